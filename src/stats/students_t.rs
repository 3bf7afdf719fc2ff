//! Owns the interval of a mean over few rounds: Student's t.

use super::descriptive::{mean, standard_deviation};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A point with the ends of its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The estimate.
    pub point: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Student's t interval of the mean of `values`, whose ends are each a one-sided bound at level
/// `alpha`: the two-sided confidence is `1 - 2 alpha`.
///
/// `mean ± t(1 - alpha, n - 1) · s / √n` (Student 1908). The values are one per round, taken to be
/// independent and roughly normal; they are means of logs, which helps. `None` for fewer than two
/// values, since one has no spread.
pub fn t_interval(values: &[f64], alpha: f64) -> Option<Interval> {
    if values.len() < 2 {
        return None;
    }
    let point = mean(values);
    let half = half_width(standard_deviation(values), values.len(), alpha);
    Some(Interval { point, low: point - half, high: point + half })
}

/// Half the width of the interval over `rounds` rounds with standard deviation `spread`.
fn half_width(spread: f64, rounds: usize, alpha: f64) -> f64 {
    let t = StudentsT::new(0.0, 1.0, (rounds - 1) as f64)
        .expect("the degrees of freedom are positive")
        .inverse_cdf(1.0 - alpha);
    t * spread / (rounds as f64).sqrt()
}

/// How many rounds would put the interval on one side of a limit at `distance` from the point, if
/// the spread between rounds stays as it is. `None` above `most`.
pub fn rounds_needed(spread: f64, distance: f64, alpha: f64, most: usize) -> Option<usize> {
    if !(distance.is_finite() && spread.is_finite()) || distance == 0.0 {
        return None;
    }
    (2..=most).find(|rounds| half_width(spread, *rounds, alpha) < distance.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    #[test]
    fn one_round_has_no_interval_and_constants_have_none_of_width() {
        assert_eq!(t_interval(&[1.0], 0.05), None);
        let interval = t_interval(&[2.0; 5], 0.05).unwrap();
        assert_eq!((interval.low, interval.high), (2.0, 2.0));
    }

    #[test]
    fn rounds_needed_is_the_first_that_suffices() {
        let (spread, distance, alpha) = (0.03, 0.02, 0.05);
        let rounds = rounds_needed(spread, distance, alpha, 100).unwrap();
        assert!(half_width(spread, rounds, alpha) < distance);
        assert!(half_width(spread, rounds - 1, alpha) >= distance);
        assert_eq!(rounds_needed(0.03, 1e-9, 0.05, 100), None);
    }

    /// False alarms at a true effect equal to the limit, for the noise that lockstep rounds have:
    /// the share of bounds that lie beyond is `alpha` within three standard errors.
    #[test]
    fn simulated_false_alarms_hold_their_level() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let noise = Normal::new(0.0, 0.03).unwrap();
        let replications = 20_000;
        for (rounds, alpha) in [(3, 0.05), (5, 0.05), (5, 0.05 / 7.0), (12, 0.01)] {
            let alarms = (0..replications)
                .filter(|_| {
                    let values: Vec<f64> = (0..rounds).map(|_| noise.sample(&mut random)).collect();
                    t_interval(&values, alpha).unwrap().low > 0.0
                })
                .count();
            let rate = alarms as f64 / replications as f64;
            let error = (alpha * (1.0 - alpha) / replications as f64).sqrt();
            assert!((rate - alpha).abs() < 3.0 * error, "{rounds} rounds at {alpha}: {rate}");
        }
    }
}
