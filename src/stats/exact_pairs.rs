//! Owns the exact test, and the exact bounds, of a difference of two proportions that were counted on the same
//! tasks: what decides a rule on graded tasks at any number of them.

use super::binomial::{proportion_lower, proportion_upper};
use super::paired::{Pairs, paired_difference, score};
use super::students_t::Interval;
use statrs::function::gamma::ln_gamma;

/// The probability that the nuisance parameter lies outside the interval that is searched, which is added to the p
/// value (Berger and Boos 1994, Journal of the American Statistical Association 89, 1012-1016).
const OUTSIDE: f64 = 1e-5;

/// Points of the nuisance parameter at which the tail is computed, before the highest is refined.
const POINTS: usize = 33;

/// Steps of the golden-section search about the highest point.
const REFINEMENTS: usize = 14;

/// Probabilities below this are not added up.
const NEGLIGIBLE: f64 = 1e-15;

/// Scores that differ by less are ties.
const TIE: f64 = 1e-9;

/// Most pairs for which the bounds are found by inverting the exact test; with more of them the score's bounds are
/// shown, and the exact test decides on which side of the limit they lie.
const MOST_INVERTED: u64 = 5000;

/// The difference of bounds at which the search for them ends.
const PRECISION: f64 = 1e-5;

/// Counts of outcomes of the same trials under two conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairCounts {
    /// Hits of the first alone.
    pub first_only: u64,
    /// Hits of the second alone.
    pub second_only: u64,
    /// All pairs.
    pub all: u64,
}

impl PairCounts {
    /// The whole counts next to imagined ones.
    fn rounded(pairs: Pairs) -> PairCounts {
        PairCounts {
            first_only: pairs.first_only.round() as u64,
            second_only: pairs.second_only.round() as u64,
            all: pairs.all.round() as u64,
        }
    }

    fn swapped(self) -> PairCounts {
        PairCounts { first_only: self.second_only, second_only: self.first_only, all: self.all }
    }
}

impl From<PairCounts> for Pairs {
    fn from(counts: PairCounts) -> Pairs {
        Pairs {
            first_only: counts.first_only as f64,
            second_only: counts.second_only as f64,
            all: counts.all as f64,
        }
    }
}

/// The p value of the hypothesis that the difference of hits, first less second, is `limit` or less: the largest
/// probability, over all ways of being at the limit, of counts that speak against it at least as much as these. 1 for
/// no pairs.
///
/// The exact unconditional test, with outcomes ordered by Tango's score at the limit (Hsueh, Liu and Chen 2001,
/// Biometrics 57, 478-483), and the probability of a hit of the second alone searched over its Clopper-Pearson interval
/// of 99.999% (Berger and Boos 1994). Unlike the score test it refuses a true hypothesis with a probability of at
/// most the level at every number of pairs.
pub fn paired_excess_p(counts: PairCounts, limit: f64) -> f64 {
    let PairCounts { first_only, second_only, all } = counts;
    if all == 0 || first_only + second_only > all || !(-1.0..1.0).contains(&limit) {
        return 1.0;
    }
    let observed = score(counts.into(), limit) - TIE;
    // Fewest hits of the first alone that speak against the limit as much, by hits of the second alone.
    let least: Vec<u64> = fewest_by_second(all, limit, observed);
    let tail = |second: f64| tail(all, second, second + limit, &least);
    let least_possible = (-limit).max(0.0);
    let most_possible = 0.5 * (1.0 - limit);
    let bound = |bound: fn(u64, u64, f64) -> f64| {
        bound(second_only, all, 0.5 * OUTSIDE).clamp(least_possible, most_possible)
    };
    let (from, to) = (bound(proportion_lower), bound(proportion_upper));
    let at = |place: usize| from + (to - from) * place as f64 / (POINTS - 1) as f64;
    let tails: Vec<f64> = (0..POINTS).map(|place| tail(at(place))).collect();
    let highest = (0..POINTS).max_by(|a, b| tails[*a].total_cmp(&tails[*b])).unwrap_or(0);
    let around = [at(highest.saturating_sub(1)), at((highest + 1).min(POINTS - 1))];
    (tails[highest].max(highest_within(around, tail)) + OUTSIDE).min(1.0)
}

/// Whether the exact test says on which side of the limit the difference lies.
fn settled_exactly(counts: PairCounts, limit: f64, alpha: f64) -> bool {
    paired_excess_p(counts, limit) <= alpha || paired_excess_p(counts.swapped(), -limit) <= alpha
}

/// How many tasks with the same shares would put the interval on one side of `limit`; `None` above
/// `most`. The count by the score's interval first, and from there on the first, in steps of 2%, at which the exact test
/// agrees.
pub fn pairs_needed(pairs: Pairs, limit: f64, alpha: f64, most: usize) -> Option<usize> {
    let imagined = |tasks: usize| {
        let factor = tasks as f64 / pairs.all;
        Pairs {
            first_only: pairs.first_only * factor,
            second_only: pairs.second_only * factor,
            all: tasks as f64,
        }
    };
    let settled = |tasks: usize| {
        let interval = paired_difference(imagined(tasks), alpha);
        interval.low > limit || interval.high <= limit
    };
    if pairs.all <= 0.0 || !settled(most) {
        return None;
    }
    // More tasks of the same shares only narrow the interval.
    let (mut unsettled, mut enough) = (0, most);
    while enough - unsettled > 1 {
        let middle = (unsettled + enough) / 2;
        if settled(middle) { enough = middle } else { unsettled = middle }
    }
    // With many the two tests agree, and the exact one takes long.
    let exactly = |tasks: usize| {
        let counts = PairCounts::rounded(imagined(tasks));
        tasks > MOST_INVERTED as usize || settled_exactly(counts, limit, alpha)
    };
    // Whole counts make the exact test uneven: fewer than there are would not do if these do not.
    let present = pairs.all as usize;
    if enough <= present && !exactly(present) {
        enough = present + 1;
    }
    while enough <= most && !exactly(enough) {
        enough += (enough / 50).max(1);
    }
    (enough <= most).then_some(enough)
}

/// The interval of the difference of hits, first less second, whose ends are each a bound at level `alpha` by
/// [`paired_excess_p`]: an end lies beyond `limit` exactly if the test at the limit refuses at the level. The whole range
/// for no pairs.
pub fn exact_paired_difference(counts: PairCounts, limit: f64, alpha: f64) -> Interval {
    if counts.all == 0 {
        return Interval { point: 0.0, low: -1.0, high: 1.0 };
    }
    let swapped = counts.swapped();
    let point = (counts.first_only as f64 - counts.second_only as f64) / counts.all as f64;
    let by_score = paired_difference(counts.into(), alpha);
    Interval {
        point,
        low: lower(counts, point, by_score.low, limit, alpha),
        high: -lower(swapped, -point, -by_score.high, -limit, alpha),
    }
}

/// The lower bound, on the side of the limit where the test at the limit says that it is.
fn lower(counts: PairCounts, point: f64, by_score: f64, limit: f64, alpha: f64) -> f64 {
    let refused = |at: f64| paired_excess_p(counts, at) <= alpha;
    let beyond = point > limit && refused(limit);
    if counts.all > MOST_INVERTED {
        return if beyond {
            by_score.max(limit + PRECISION).min(point)
        } else {
            by_score.min(limit.min(point))
        };
    }
    // What is refused lies below, and what is not above.
    let (mut low, mut high) = if beyond { (limit, point) } else { (-1.0, point.min(limit)) };
    while high - low > PRECISION {
        let middle = 0.5 * (low + high);
        if refused(middle) { low = middle } else { high = middle }
    }
    if beyond { high } else { low }
}

/// For each count of the second alone, the fewest of the first alone whose score reaches `target`; more than all where
/// none does.
fn fewest_by_second(all: u64, limit: f64, target: f64) -> Vec<u64> {
    let reaches = |first: u64, second: u64| {
        score(PairCounts { first_only: first, second_only: second, all }.into(), limit) >= target
    };
    let mut fewest = Vec::new();
    let mut from = 0;
    for second in 0..=all {
        let most = all - second;
        // The score rises with the first and falls with the second.
        let (mut low, mut high) = (from, most + 1);
        if from > most {
            fewest.push(all + 1);
            continue;
        }
        // It is mostly one more than before.
        for near in [from, from + 1] {
            if near <= most && reaches(near, second) {
                high = near;
                break;
            }
            low = (near + 1).min(most + 1);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if reaches(middle, second) { high = middle } else { low = middle + 1 }
        }
        from = high;
        fewest.push(if high <= most { high } else { all + 1 });
    }
    fewest
}

/// The probability that counts with these probabilities lie in the region.
fn tail(all: u64, second: f64, first: f64, least: &[u64]) -> f64 {
    let share = if second < 1.0 { (first / (1.0 - second)).clamp(0.0, 1.0) } else { 0.0 };
    let center = (all as f64 * second) as u64;
    let term = |count: u64| {
        let weight = probability(count, all, second);
        (weight, weight * at_least(least[count as usize], all - count, share))
    };
    let mut sum = 0.0;
    for count in center..=all {
        let (weight, part) = term(count);
        sum += part;
        if weight < NEGLIGIBLE && count > center {
            break;
        }
    }
    for count in (0..center).rev() {
        let (weight, part) = term(count);
        sum += part;
        if weight < NEGLIGIBLE {
            break;
        }
    }
    sum
}

/// The binomial probability of so many of `all`.
fn probability(count: u64, all: u64, share: f64) -> f64 {
    if share <= 0.0 {
        return f64::from(u8::from(count == 0));
    }
    if share >= 1.0 {
        return f64::from(u8::from(count == all));
    }
    let (k, n) = (count as f64, all as f64);
    let ways = ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
    (ways + k * share.ln() + (n - k) * (-share).ln_1p()).exp()
}

/// The binomial probability of at least so many of `all`, from the shorter tail.
fn at_least(count: u64, all: u64, share: f64) -> f64 {
    if count == 0 {
        return 1.0;
    }
    if count > all || share <= 0.0 {
        return 0.0;
    }
    if share >= 1.0 {
        return 1.0;
    }
    let odds = share / (1.0 - share);
    let upper = count as f64 > all as f64 * share;
    let mut at = if upper { count } else { count - 1 };
    let mut part = probability(at, all, share);
    let mut sum = 0.0;
    loop {
        sum += part;
        if part < NEGLIGIBLE * sum || part == 0.0 {
            break;
        }
        if upper {
            if at == all {
                break;
            }
            part *= (all - at) as f64 / (at + 1) as f64 * odds;
            at += 1;
        } else {
            if at == 0 {
                break;
            }
            part *= at as f64 / (all - at + 1) as f64 / odds;
            at -= 1;
        }
    }
    if upper { sum.min(1.0) } else { (1.0 - sum).max(0.0) }
}

/// The highest value of a function within two ends, by golden section.
fn highest_within([mut low, mut high]: [f64; 2], of: impl Fn(f64) -> f64) -> f64 {
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let mut places = [high - ratio * (high - low), low + ratio * (high - low)];
    let mut values = places.map(&of);
    let mut highest = values[0].max(values[1]);
    for _ in 0..REFINEMENTS {
        if values[0] > values[1] {
            high = places[1];
            (places[1], values[1]) = (places[0], values[0]);
            places[0] = high - ratio * (high - low);
            values[0] = of(places[0]);
        } else {
            low = places[0];
            (places[0], values[0]) = (places[1], values[1]);
            places[1] = low + ratio * (high - low);
            values[1] = of(places[1]);
        }
        highest = highest.max(values[0]).max(values[1]);
    }
    highest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(first_only: u64, second_only: u64, all: u64) -> PairCounts {
        PairCounts { first_only, second_only, all }
    }

    fn pairs(first_only: f64, second_only: f64, all: f64) -> Pairs {
        Pairs { first_only, second_only, all }
    }

    #[test]
    fn pairs_needed_is_the_first_that_suffices() {
        let shares = pairs(6.0, 4.0, 100.0);
        let needed = pairs_needed(shares, 0.01, 0.05, 1_000_000).unwrap();
        let at = |tasks: usize| {
            let factor = tasks as f64 / 100.0;
            paired_difference(pairs(6.0 * factor, 4.0 * factor, tasks as f64), 0.05).low
        };
        assert!(at(needed) > 0.01 && at(needed - 1) <= 0.01, "{needed}");
        // None that differs: the score's interval says 268, and no test at 5% supports it before 299.
        let none = pairs_needed(pairs(0.0, 0.0, 50.0), 0.01, 0.05, 100_000).unwrap();
        assert!((299..=306).contains(&none), "{none}");
        assert_eq!(pairs_needed(pairs(6.0, 5.0, 100.0), 0.01, 0.05, 1_000_000), None);
    }

    #[test]
    fn three_of_three_worse_prove_nothing_and_five_of_five_do() {
        let bound = |first, all| exact_paired_difference(counts(first, 0, all), 0.01, 0.05).low;
        assert!((paired_excess_p(counts(3, 0, 3), 0.0) - 0.125).abs() < 2e-5);
        assert!(bound(3, 3) <= 0.01, "(0.505)^3 is 13%");
        assert!(bound(4, 4) <= 0.01, "6.5%");
        assert!(bound(5, 5) > 0.01, "3.3%");
        // The score's bound, which called three of three a proven loss.
        assert!(paired_difference(counts(3, 0, 3).into(), 0.05).low > 0.01);
    }

    #[test]
    fn edges_are_defined_and_the_point_lies_within() {
        assert_eq!(paired_excess_p(counts(0, 0, 0), 0.01), 1.0);
        assert_eq!(paired_excess_p(counts(3, 3, 5), 0.01), 1.0, "more than there are");
        let none = exact_paired_difference(counts(0, 0, 0), 0.01, 0.05);
        assert_eq!((none.low, none.high), (-1.0, 1.0));
        for all in [1, 2, 7, 40, 6000] {
            for (first, second) in [(0, 0), (all, 0), (0, all), (all / 2, all / 3)] {
                for limit in [0.0, 0.01, 0.2] {
                    let interval = exact_paired_difference(counts(first, second, all), limit, 0.05);
                    let Interval { point, low, high } = interval;
                    assert!(
                        -1.0 <= low && low <= point && point <= high && high <= 1.0,
                        "{all}: {interval:?}"
                    );
                }
            }
        }
    }

    /// The p values of all outcomes: against the difference being the limit or less, and the limit or more.
    fn all_p_values(all: u64, limit: f64) -> Vec<(PairCounts, [f64; 2])> {
        let outcomes = (0..=all).flat_map(|b| (0..=all - b).map(move |c| counts(b, c, all)));
        let tested = |one: PairCounts| {
            (one, [paired_excess_p(one, limit), paired_excess_p(one.swapped(), -limit)])
        };
        outcomes.map(tested).collect()
    }

    /// At a true loss exactly at the limit a loss is called proven, and is called excluded, with at most the
    /// probability that was asked for: at every number of tasks, and whatever else differs. All outcomes are added up.
    #[test]
    fn false_alarms_are_at_most_the_level_at_every_number_of_tasks() {
        let mut worst = [0.0f64; 2];
        for all in (1..=12).chain([20, 32]) {
            for limit in [0.01, 0.05] {
                let p_values = all_p_values(all, limit);
                for second in [0.0, 0.004, 0.02, 0.1, 0.3, 0.47] {
                    let first = second + limit;
                    let probability = |one: &PairCounts| {
                        let others = all - one.first_only;
                        let of_second = (second / (1.0 - first)).min(1.0);
                        probability(one.first_only, all, first)
                            * probability(one.second_only, others, of_second)
                    };
                    for alpha in [0.05, 0.05 / 8.0] {
                        for side in 0..2 {
                            let refused = p_values.iter().filter(|(_, p)| p[side] <= alpha);
                            let share: f64 = refused.map(|(one, _)| probability(one)).sum();
                            assert!(
                                share <= alpha * 1.001,
                                "{all} tasks, {second} better, limit {limit}, level {alpha}: {share}"
                            );
                            worst[side] = worst[side].max(share / alpha);
                        }
                    }
                }
            }
        }
        // It is not safe by deciding nothing.
        assert!(worst[0] > 0.7, "{worst:?}");
    }
}
