//! Owns the interval of a mean over few rounds: Student's t.

use super::descriptive::{mean, standard_deviation};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

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
    Some(t_interval_of(mean(values), standard_deviation(values), values.len(), alpha))
}

/// The same from the mean and standard deviation of `count` values (at least 2).
pub fn t_interval_of(mean: f64, spread: f64, count: usize, alpha: f64) -> Interval {
    let half = t_half_width(spread, count, alpha);
    Interval { point: mean, low: mean - half, high: mean + half }
}

/// Interval of the difference between a new value and the mean of earlier ones of the same kind, whose
/// ends are each a one-sided bound at level `alpha`: where nothing changed, the new value lies so far
/// from that mean.
///
/// `new - mean ± t(1 - alpha, n - 1) · s · √(1 + 1/n)`, the prediction interval for one further
/// observation (Hahn and Meeker 1991, section 4.7). `None` for fewer than two earlier values.
pub fn prediction_interval(new: f64, earlier: &[f64], alpha: f64) -> Option<Interval> {
    if earlier.len() < 2 {
        return None;
    }
    let point = new - mean(earlier);
    let half = prediction_half_width(standard_deviation(earlier), earlier.len(), alpha);
    Some(Interval { point, low: point - half, high: point + half })
}

/// `t · s · √(1 + 1/n)`, which is the half width of a mean over `n` times `√(n + 1)`.
fn prediction_half_width(spread: f64, earlier: usize, alpha: f64) -> f64 {
    t_half_width(spread, earlier, alpha) * (earlier as f64 + 1.0).sqrt()
}

/// Interval of the difference of two new values of the same kind as earlier ones, whose ends are each
/// a one-sided bound at level `alpha`; the earlier ones tell the spread.
///
/// `difference ± t(1 - alpha, n - 1) · s · √2`: the difference of two independent observations has
/// twice their variance, which `s²` estimates with `n - 1` degrees of freedom. `None` for fewer than
/// two earlier values.
pub fn difference_of_two(difference: f64, earlier: &[f64], alpha: f64) -> Option<Interval> {
    if earlier.len() < 2 {
        return None;
    }
    let freedom = (earlier.len() - 1) as f64;
    let half = t_quantile(alpha, freedom) * standard_deviation(earlier) * 2f64.sqrt();
    Some(Interval { point: difference, low: difference - half, high: difference + half })
}

/// How many earlier values would put the prediction interval on one side of a limit at `distance` from
/// the point, if their spread stays as it is. `None` above `most`.
pub fn earlier_needed(spread: f64, distance: f64, alpha: f64, most: usize) -> Option<usize> {
    (2..=most).find(|count| prediction_half_width(spread, *count, alpha) < distance.abs())
}

/// Welch's interval of the difference of two means, `a` less `b`, whose ends are each a one-sided bound
/// at level `alpha` (Welch 1947). `None` if a side has fewer than two values.
pub fn welch_interval(a: &[f64], b: &[f64], alpha: f64) -> Option<Interval> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let square_error = |values: &[f64]| standard_deviation(values).powi(2) / values.len() as f64;
    let (ea, eb) = (square_error(a), square_error(b));
    let point = mean(a) - mean(b);
    if ea + eb == 0.0 {
        return Some(Interval { point, low: point, high: point });
    }
    if !(ea + eb).is_finite() {
        return Some(Interval { point, low: f64::NEG_INFINITY, high: f64::INFINITY });
    }
    // By shares of the whole, since the squares of small errors are 0 and those of large ones infinite.
    let (sa, sb) = (ea / (ea + eb), eb / (ea + eb));
    let freedom = 1.0 / (sa.powi(2) / (a.len() as f64 - 1.0) + sb.powi(2) / (b.len() as f64 - 1.0));
    let half = t_quantile(alpha, freedom) * (ea + eb).sqrt();
    Some(Interval { point, low: point - half, high: point + half })
}

/// The value that Student's t exceeds with probability `alpha`. By the lower tail, since `1 - alpha` keeps few
/// digits of the small levels that early looks have.
pub(super) fn t_quantile(alpha: f64, freedom: f64) -> f64 {
    -StudentsT::new(0.0, 1.0, freedom)
        .expect("the degrees of freedom are positive")
        .inverse_cdf(alpha)
}

/// Half the width of the interval over `rounds` rounds (at least 2) with standard deviation `spread`.
pub fn t_half_width(spread: f64, rounds: usize, alpha: f64) -> f64 {
    // No spread has no width, however small the level.
    if spread == 0.0 {
        return 0.0;
    }
    t_quantile(alpha, (rounds - 1) as f64) * spread / (rounds as f64).sqrt()
}

/// How many rounds would put the interval on one side of a limit at `distance` from the point, if
/// the spread between rounds stays as it is. `None` above `most`.
pub fn rounds_needed(spread: f64, distance: f64, alpha: f64, most: usize) -> Option<usize> {
    if !(distance.is_finite() && spread.is_finite()) || distance == 0.0 {
        return None;
    }
    (2..=most).find(|rounds| t_half_width(spread, *rounds, alpha) < distance.abs())
}

/// How far beyond a limit a true effect has to lie for `rounds` rounds (at least 2) to prove it probably (with
/// `power`): `(c (1 - 1/(4f)) + z(power) √(1 + c²/(2f))) · s / √n` with `f = n - 1` and `c = t(1 - alpha, f)`.
///
/// The normal approximation to the noncentral t distribution (Johnson and Welch 1940; Abramowitz and Stegun
/// 1964, 26.7.10). At a power of 0.9 the exact one is 0.895 to 0.91, at few rounds and small levels too.
pub fn detectable(spread: f64, rounds: usize, alpha: f64, power: f64) -> f64 {
    if spread == 0.0 {
        return 0.0;
    }
    let freedom = (rounds - 1) as f64;
    let critical = t_quantile(alpha, freedom);
    let widening = (1.0 + critical * critical / (2.0 * freedom)).sqrt();
    let shift =
        critical * (1.0 - 0.25 / freedom) + Normal::standard().inverse_cdf(power) * widening;
    shift * spread / (rounds as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal as Noise};

    /// With two degrees of freedom the quantile has a closed form: `(1 - 2α) / √(2 α (1 - α))`.
    #[test]
    fn small_levels_keep_their_digits() {
        for alpha in [0.05f64, 1e-4, 1e-8, 1e-12, 1e-16] {
            let exact = (1.0 - 2.0 * alpha) / (2.0 * alpha * (1.0 - alpha)).sqrt();
            let found = t_half_width(1.0, 3, alpha) * 3f64.sqrt();
            assert!((found / exact - 1.0).abs() < 1e-6, "{alpha}: {found} is not {exact}");
        }
        assert_eq!(t_half_width(0.0, 3, 0.0), 0.0);
        assert_eq!(detectable(0.0, 3, 0.0, 0.9), 0.0);
    }

    #[test]
    fn one_round_has_no_interval_and_constants_have_none_of_width() {
        assert_eq!(t_interval(&[1.0], 0.05), None);
        let interval = t_interval(&[2.0; 5], 0.05).unwrap();
        assert_eq!((interval.low, interval.high), (2.0, 2.0));
    }

    #[test]
    fn welch_bears_errors_whose_squares_are_no_numbers() {
        for size in [1e-120, 1e-100, 1.0, 1e100] {
            let interval = welch_interval(&[0.0, size], &[0.0, size, 0.0], 0.05).unwrap();
            let width = (interval.high - interval.low) / size;
            assert!((3.0..4.5).contains(&width), "{width} for {size}");
        }
        let endless = welch_interval(&[0.0, 1e200], &[0.0, 1.0], 0.05).unwrap();
        assert_eq!(endless.high, f64::INFINITY);
    }

    #[test]
    fn rounds_needed_is_the_first_that_suffices() {
        let (spread, distance, alpha) = (0.03, 0.02, 0.05);
        let rounds = rounds_needed(spread, distance, alpha, 100).unwrap();
        assert!(t_half_width(spread, rounds, alpha) < distance);
        assert!(t_half_width(spread, rounds - 1, alpha) >= distance);
        assert_eq!(rounds_needed(0.03, 1e-9, 0.05, 100), None);
    }

    /// False alarms at a true effect equal to the limit, for the noise that lockstep rounds have:
    /// the share of bounds that lie beyond is `alpha` within three standard errors.
    #[test]
    fn simulated_false_alarms_hold_their_level() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let noise = Noise::new(0.0, 0.03).unwrap();
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

    /// A new session of the same kind is called worse with the probability that was asked for,
    /// however large the spread between sessions.
    #[test]
    fn simulated_false_alarms_of_a_prediction_hold_their_level() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let noise = Noise::new(0.0, 0.05).unwrap();
        let replications = 20_000;
        for (sessions, alpha) in [(3, 0.05), (3, 0.01), (5, 0.05), (10, 0.005)] {
            let alarms = (0..replications)
                .filter(|_| {
                    let earlier: Vec<f64> =
                        (0..sessions).map(|_| noise.sample(&mut random)).collect();
                    let new = noise.sample(&mut random);
                    prediction_interval(new, &earlier, alpha).unwrap().low > 0.0
                })
                .count();
            let rate = alarms as f64 / replications as f64;
            let error = (alpha * (1.0 - alpha) / replications as f64).sqrt();
            assert!((rate - alpha).abs() < 3.0 * error, "{sessions} sessions at {alpha}: {rate}");
        }
    }

    /// Two sessions of the same kind are told apart with the probability that was asked for.
    #[test]
    fn simulated_false_alarms_of_two_sessions_hold_their_level() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let noise = Noise::new(0.0, 0.05).unwrap();
        let replications = 20_000;
        for (sessions, alpha) in [(3, 0.05), (5, 0.01), (10, 0.005)] {
            let alarms = (0..replications)
                .filter(|_| {
                    let mut draw = || noise.sample(&mut random);
                    let earlier: Vec<f64> = (0..sessions).map(|_| draw()).collect();
                    let difference = draw() - draw();
                    difference_of_two(difference, &earlier, alpha).unwrap().low > 0.0
                })
                .count();
            let rate = alarms as f64 / replications as f64;
            let error = (alpha * (1.0 - alpha) / replications as f64).sqrt();
            assert!((rate - alpha).abs() < 3.0 * error, "{sessions} sessions at {alpha}: {rate}");
        }
    }

    #[test]
    fn earlier_needed_is_the_first_that_suffices() {
        let needed = earlier_needed(0.03, 0.08, 0.05, 100).unwrap();
        assert!(prediction_half_width(0.03, needed, 0.05) < 0.08);
        assert!(prediction_half_width(0.03, needed - 1, 0.05) >= 0.08);
        assert_eq!(earlier_needed(0.03, 0.04, 0.05, 100), None, "one more is never sure");
    }
}
