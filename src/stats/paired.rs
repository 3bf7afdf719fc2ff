//! Owns the interval of a difference of two proportions that were counted on the same tasks: Tango's
//! score interval.

use super::students_t::Interval;
use statrs::distribution::{ContinuousCDF, Normal};

/// Outcomes of the same trials under two conditions. Counts may be fractions, where a larger sample
/// of the same shares is imagined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pairs {
    /// Hits of the first alone.
    pub first_only: f64,
    /// Hits of the second alone.
    pub second_only: f64,
    /// All pairs.
    pub all: f64,
}

/// Interval of the difference of hits, first less second, whose ends are each a one-sided bound at
/// level `alpha`.
///
/// Tango's score interval (Tango 1998, Statistics in Medicine 17, 891-908): the differences that a
/// score test at `alpha` does not refuse. It keeps its level well for few discordant pairs, where
/// Wald's interval does not. For no pairs it is the whole range.
pub fn paired_difference(pairs: Pairs, alpha: f64) -> Interval {
    if pairs.all <= 0.0 {
        return Interval { point: 0.0, low: -1.0, high: 1.0 };
    }
    let z = Normal::standard().inverse_cdf(1.0 - alpha);
    let point = (pairs.first_only - pairs.second_only) / pairs.all;
    // The score falls with the difference: from above z at -1 to below -z at 1.
    let cross = |target: f64| {
        let (mut low, mut high) = (-1.0f64, 1.0f64);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if score(pairs, middle) > target { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    };
    Interval { point, low: cross(z), high: cross(-z) }
}

/// The score statistic of the hypothesis that the difference is `delta` (Tango 1998, equations 24 to 26), with
/// the probability of `second_only` at its restricted maximum likelihood.
pub(super) fn score(pairs: Pairs, delta: f64) -> f64 {
    let Pairs { first_only: b, second_only: c, all: n } = pairs;
    let quadratic = 2.0 * n;
    let linear = -b - c + (2.0 * n - b + c) * delta;
    let constant = -c * delta * (1.0 - delta);
    let root = (linear * linear - 4.0 * quadratic * constant).max(0.0).sqrt();
    let second = (root - linear) / (2.0 * quadratic);
    let variance = n * (2.0 * second + delta * (1.0 - delta));
    let distance = b - c - n * delta;
    // At the ends of the range, and for no discordant pair at 0, nothing varies.
    if variance <= 0.0 { distance * f64::MAX } else { distance / variance.sqrt() }
}

/// The smallest true difference that so many pairs would probably (with `power`) have proven to lie over
/// `limit`, at the observed discordance: `limit + (z(1 - alpha) + z(power)) · √(discordance / n)`,
/// where the discordance is at least the difference itself (Connor 1987, Biometrics 43, 207-211). `None` if
/// it would be more than everything.
pub fn detectable_difference(pairs: Pairs, limit: f64, alpha: f64, power: f64) -> Option<f64> {
    let normal = Normal::standard();
    let z = normal.inverse_cdf(1.0 - alpha) + normal.inverse_cdf(power);
    let discordance = (pairs.first_only + pairs.second_only) / pairs.all;
    let needed = |difference: f64| limit + z * (discordance.max(difference) / pairs.all).sqrt();
    // The difference needed grows more slowly than the difference: beyond the crossing it stays below.
    let (mut low, mut high) = (limit, 1.0);
    if needed(high) > high || pairs.all <= 0.0 {
        return None;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if needed(middle) > middle { low = middle } else { high = middle }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn pairs(first_only: f64, second_only: f64, all: f64) -> Pairs {
        Pairs { first_only, second_only, all }
    }

    #[test]
    fn edges_are_finite_and_ordered() {
        for case in [pairs(0.0, 0.0, 10.0), pairs(10.0, 0.0, 10.0), pairs(0.0, 1.0, 1.0)] {
            let interval = paired_difference(case, 0.05);
            assert!(interval.low <= interval.point && interval.point <= interval.high, "{case:?}");
            assert!((-1.0..=1.0).contains(&interval.low) && interval.high <= 1.0, "{case:?}");
        }
        let none = paired_difference(pairs(0.0, 0.0, 0.0), 0.05);
        assert_eq!((none.low, none.high), (-1.0, 1.0));
    }

    /// What R's `PropCIs::scoreci.mp` (0.3-0) is reported to give at 90% for 25 and 28 of 618 and for 41
    /// and 48 of 549: -0.0148 to 0.0247 and -1.57 to 4.14 points.
    #[test]
    fn the_intervals_of_another_implementation_are_met() {
        for (case, alpha, low, high, error) in [
            (pairs(28.0, 25.0, 618.0), 0.05, -0.0148, 0.0247, 5e-5),
            (pairs(48.0, 41.0, 549.0), 0.05, -0.0157, 0.0414, 5e-5),
        ] {
            let interval = paired_difference(case, alpha);
            assert!((interval.low - low).abs() <= error, "{case:?}: {interval:?}");
            assert!((interval.high - high).abs() <= error, "{case:?}: {interval:?}");
        }
    }

    #[test]
    fn swapping_the_sides_mirrors_the_interval() {
        let one = paired_difference(pairs(12.0, 3.0, 80.0), 0.01);
        let other = paired_difference(pairs(3.0, 12.0, 80.0), 0.01);
        assert!((one.low + other.high).abs() < 1e-12 && (one.high + other.low).abs() < 1e-12);
    }

    /// False alarms where the true loss equals the limit of one point, for the discordance that a good
    /// quantization has: the share of bounds beyond the limit. A score bound is not exact; what it
    /// makes of few tasks is shown here, and it stays under the level by more than it exceeds it.
    #[test]
    fn simulated_false_alarms_stay_near_their_level() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let replications = 4000;
        for (tasks, first, second, alpha, most) in [
            (64, 0.03, 0.02, 0.05, 0.06),
            (96, 0.06, 0.05, 0.05, 0.06),
            (500, 0.03, 0.02, 0.05, 0.06),
            (1500, 0.06, 0.05, 0.05, 0.06),
            (1500, 0.06, 0.05, 0.01, 0.016),
        ] {
            let alarms = (0..replications)
                .filter(|_| {
                    let (mut b, mut c) = (0.0, 0.0);
                    for _ in 0..tasks {
                        let place: f64 = random.random();
                        b += f64::from(u8::from(place < first));
                        c += f64::from(u8::from((first..first + second).contains(&place)));
                    }
                    paired_difference(pairs(b, c, tasks as f64), alpha).low > first - second
                })
                .count();
            let rate = alarms as f64 / replications as f64;
            assert!(rate <= most, "{tasks} tasks, {first} against {second}: {rate}");
        }
    }

    #[test]
    fn the_detectable_difference_is_beyond_the_limit_and_shrinks_with_tasks() {
        let at = |all| detectable_difference(pairs(0.06 * all, 0.05 * all, all), 0.01, 0.05, 0.9);
        assert!(at(96.0).unwrap() > at(1500.0).unwrap() && at(1500.0).unwrap() > 0.01);
        assert_eq!(detectable_difference(pairs(0.0, 0.0, 2.0), 0.01, 0.05, 0.9), None);
        assert_eq!(detectable_difference(pairs(0.0, 0.0, 0.0), 0.01, 0.05, 0.9), None);
    }
}
