//! Owns change points: where a series of values, one for each session, moved to another level.
//!
//! The method is that of Apache Otava, formerly Hunter (Fleming et al. 2023, *Hunter: Using Change
//! Point Detection to Hunt for Performance Regressions*, ICPE '23, doi 10.1145/3578244.3583719). Places
//! are proposed by the divergence of E-divisive (Matteson and James 2014, *Journal of the American
//! Statistical Association* 109, 334-345) and tested by Student's t. It suits the 10 to 100 sessions of a
//! store: it takes the spread from the values themselves and repeats itself exactly.
//!
//! Over the permutation test of E-divisive itself: with three values on each side no permutation
//! test can have a p value under 1/10, and it depends on a seed. Over PELT (Killick, Fearnhead and
//! Eckley 2012, same journal 107, 1590-1598): it is exact for a penalty, and the penalty wants a noise that is
//! known beforehand. `docs/evidence/change_points.md` has false alarms and power.

use super::descriptive::mean;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The p value under which a split is a change point unless somebody asks for another: Otava's.
pub const CHANGE_LEVEL: f64 = 0.001;

/// Values that are looked at together, as in Otava: a change is found by what lies near it.
const WINDOW: usize = 50;

/// How much less is asked of a split before its neighbours are known.
const FIRST_PASS: f64 = 10.0;

/// A place where a series moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangePoint {
    /// Index of the first value after the move.
    pub at: usize,
    /// Mean from the change point before, or the beginning.
    pub before: f64,
    /// Mean up to the change point after, or the end.
    pub after: f64,
    /// Two-sided p value of Student's t test between the two. The place was chosen by the same values,
    /// so it is smaller than the probability of a false alarm.
    pub p: f64,
}

/// The places where a series of finite values moved, in order.
///
/// Windows of 50 values, half overlapping, are split where the divergence
/// `Q(τ, κ) = 2/(m+n) Σ|x-y| - 2m/((m+n)(n-1)) Σ|x-x'| - 2n/((m+n)(m-1)) Σ|y-y'|` of the `n` values before
/// `τ` and the `m` from there to `κ` is greatest, as long as Student's t test refuses equal means
/// at ten times `level`. From all places together the weakest is then dropped, and its neighbours are
/// tested anew, until each is under `level` (0 to 0.05). (Otava 0.8.0 tests the neighbour on the right alone
/// anew, and so keeps some over its level.) The t test is Otava's: equal variances, with
/// `n` and not `n - 1` in the denominators, so that its p is somewhat too small in short segments.
pub fn change_points(values: &[f64], level: f64) -> Vec<ChangePoint> {
    let mut places = proposed(values, level * FIRST_PASS);
    loop {
        let points = tested(values, &places);
        let weakest = points.iter().enumerate().max_by(|a, b| a.1.p.total_cmp(&b.1.p));
        match weakest {
            Some((index, point)) if point.p >= level => drop(places.remove(index)),
            _ => return points,
        }
    }
}

/// The places that any window proposes, in order.
fn proposed(values: &[f64], level: f64) -> Vec<usize> {
    let mut places: Vec<usize> = Vec::new();
    let mut start = 0;
    while start < values.len() {
        let end = values.len().min(start + WINDOW);
        let found = split(&values[start..end], level);
        let last = found.last().map_or(0, |place| start + place);
        places.extend(found.into_iter().map(|place| start + place));
        start = last.max(start + WINDOW / 2);
    }
    places.sort_unstable();
    places.dedup();
    places
}

/// Splits a window at its greatest divergence for as long as that is significant.
fn split(values: &[f64], level: f64) -> Vec<usize> {
    let mut places: Vec<usize> = Vec::new();
    loop {
        let best = segments(&places, values.len())
            .filter_map(|(start, end)| Some((start, end, most_divergent(&values[start..end])?)))
            .reduce(|best, next| if next.2.1 > best.2.1 { next } else { best });
        let Some((start, end, (inside, _))) = best else { return places };
        let place = start + inside;
        if p_value(&values[start..place], &values[place..end]) > level {
            return places;
        }
        places.push(place);
        places.sort_unstable();
    }
}

/// The stretches between places.
fn segments(places: &[usize], length: usize) -> impl Iterator<Item = (usize, usize)> {
    let starts = std::iter::once(0).chain(places.iter().copied());
    let ends = places.iter().copied().chain(std::iter::once(length));
    starts.zip(ends)
}

/// The split with the greatest divergence, and that; the first of several. `None` for fewer than two
/// values.
fn most_divergent(values: &[f64]) -> Option<(usize, f64)> {
    let distance = |of: &[f64], value: f64| of.iter().map(|x| (x - value).abs()).sum::<f64>();
    let mut best: Option<(usize, f64)> = None;
    let mut left = 0.0; // Distances within what lies before the split.
    for at in 1..values.len() {
        left += distance(&values[..at - 1], values[at - 1]);
        let (mut between, mut right) = (0.0, 0.0);
        for end in at + 1..=values.len() {
            let value = values[end - 1];
            between += distance(&values[..at], value);
            right += distance(&values[at..end - 1], value);
            let divergence = divergence((at, left), (end - at, right), between);
            if best.is_none_or(|(_, greatest)| divergence > greatest) {
                best = Some((at, divergence));
            }
        }
    }
    best
}

/// `Q` of two sides, each with its number of values and the sum of the distances within it.
fn divergence((n, left): (usize, f64), (m, right): (usize, f64), between: f64) -> f64 {
    // One value alone has no distance within.
    let within = |sum: f64, count: usize| if count > 1 { sum / (count as f64 - 1.0) } else { 0.0 };
    let (a, b) = (n as f64, m as f64);
    2.0 / (a + b) * (between - b * within(left, n) - a * within(right, m))
}

/// Each place with the levels on both its sides.
fn tested(values: &[f64], places: &[usize]) -> Vec<ChangePoint> {
    let sides: Vec<(usize, usize)> = segments(places, values.len()).collect();
    let point = |pair: &[(usize, usize)]| {
        let (left, right) = (&values[pair[0].0..pair[0].1], &values[pair[1].0..pair[1].1]);
        let p = p_value(left, right);
        ChangePoint { at: pair[1].0, before: mean(left), after: mean(right), p }
    };
    sides.windows(2).map(point).collect()
}

/// Two-sided p value of Student's t test between two stretches (Student 1908), as Otava takes it. It is 1 where
/// nothing can be told.
fn p_value(left: &[f64], right: &[f64]) -> f64 {
    let squares = |values: &[f64]| {
        let center = mean(values);
        let sum: f64 = values.iter().map(|value| (value - center).powi(2)).sum();
        // Otava hands the standard deviation of the values themselves to SciPy, which takes it for
        // that of a sample.
        sum * (values.len() as f64 - 1.0) / values.len() as f64
    };
    let (n, m) = (left.len() as f64, right.len() as f64);
    let freedom = n + m - 2.0;
    let difference = mean(left) - mean(right);
    if freedom < 1.0 || difference == 0.0 {
        return 1.0;
    }
    let variance = (squares(left) + squares(right)) / freedom;
    let t = difference.abs() / (variance * (1.0 / n + 1.0 / m)).sqrt();
    let student = StudentsT::new(0.0, 1.0, freedom).expect("the degrees of freedom are positive");
    // No spread at all makes t infinite, and p 0.
    2.0 * student.cdf(-t)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(values: &[f64]) -> Vec<usize> {
        change_points(values, CHANGE_LEVEL).iter().map(|point| point.at).collect()
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        let wobble = |index: usize| 0.01 * ((index * 7) % 5) as f64;
        let values: Vec<f64> =
            (0..20).map(|index| wobble(index) + if index < 12 { 1.0 } else { 1.2 }).collect();
        let [point] = change_points(&values, CHANGE_LEVEL)[..] else { panic!("one point") };
        assert_eq!(point.at, 12);
        assert!((point.after - point.before - 0.2).abs() < 0.01 && point.p < 1e-6, "{point:?}");
    }

    #[test]
    fn what_does_not_vary_does_not_change() {
        for length in 0..5 {
            assert_eq!(places(&vec![3.0; length]), Vec::<usize>::new());
        }
        assert_eq!(places(&[3.0; 120]), Vec::<usize>::new());
        assert_eq!(places(&[1.0, 2.0]), Vec::<usize>::new(), "two values have no spread");
        assert_eq!(places(&[1.0, 1.0, 1.0, 2.0, 2.0]), [3], "an exact step needs no spread");
    }

    #[test]
    fn changes_across_windows_are_found_once() {
        let wobble = |index: usize| 0.01 * ((index * 7) % 5) as f64;
        let level = |index: usize| [0.0, 0.3, 0.1][(index >= 49) as usize + (index >= 76) as usize];
        let values: Vec<f64> = (0..140).map(|index| level(index) + wobble(index)).collect();
        assert_eq!(places(&values), [49, 76]);
    }
}
