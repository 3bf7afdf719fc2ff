//! Owns the interval of a sum of independent estimates that have an interval each.

use super::students_t::Interval;

/// The interval of the sum of independent estimates, at the level of their own intervals: MOVER, the method of variance
/// estimates recovery.
///
/// `low = Σ point - √Σ(point - low)²`, `high = Σ point + √Σ(high - point)²`: each interval tells the variance of its
/// estimate near that end, so that skewed ones stay skewed (Zou and Donner 2008, Statistics in Medicine 27,
/// 1693-1702, equations 10 and 11, for several terms). Of one interval it is that interval. 0 for none.
pub fn sum_of_independent(intervals: &[Interval]) -> Interval {
    let point = intervals.iter().map(|one| one.point).sum();
    let half = |distance: fn(&Interval) -> f64| {
        intervals.iter().map(|one| distance(one).powi(2)).sum::<f64>().sqrt()
    };
    Interval {
        point,
        low: point - half(|one| one.point - one.low),
        high: point + half(|one| one.high - one.point),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Pairs, paired_difference, t_interval};
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    #[test]
    fn the_ends_add_up_in_squares() {
        let one = Interval { point: 1.0, low: -2.0, high: 2.0 };
        let two = Interval { point: 2.0, low: -2.0, high: 4.0 };
        let sum = sum_of_independent(&[one, two]);
        assert_eq!((sum.point, sum.low), (3.0, -2.0));
        assert!((sum.high - (3.0 + 5f64.sqrt())).abs() < 1e-12);
        assert_eq!(sum_of_independent(&[one]), one);
    }

    #[test]
    fn a_sum_of_a_mean_over_rounds_and_a_difference_of_shares_is_covered() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let normal = Normal::new(0.1, 0.05).unwrap();
        let (mut over, mut under, all) = (0, 0, 4000);
        for _ in 0..all {
            let rounds: Vec<f64> = (0..6).map(|_| normal.sample(&mut random)).collect();
            let mut pairs = Pairs { first_only: 0.0, second_only: 0.0, all: 120.0 };
            for _ in 0..120 {
                match random.random::<f64>() {
                    share if share < 0.05 => pairs.first_only += 1.0,
                    share if share < 0.15 => pairs.second_only += 1.0,
                    _ => {}
                }
            }
            let parts = [t_interval(&rounds, 0.025).unwrap(), paired_difference(pairs, 0.025)];
            let sum = sum_of_independent(&parts);
            over += i32::from(sum.low > 0.05);
            under += i32::from(sum.high < 0.05);
        }
        // 2.5% on each side; 0.035 is four standard errors above.
        let share = |count: i32| f64::from(count) / f64::from(all);
        assert!(share(over) < 0.035 && share(under) < 0.035, "{} {}", share(over), share(under));
        assert!(share(over) + share(under) > 0.02, "it is not wide for nothing");
    }
}
