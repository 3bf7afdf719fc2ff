//! Owns the trend of a series of blocks, with an interval that stays true where neighbours hang together.

use super::Interval;
use super::students_t::t_quantile;

/// Fewest values of a trend's interval.
pub const FEWEST_OF_TREND: usize = 8;

/// The change that a straight line through `values`, equally spaced, makes over their whole length (as many steps
/// as values), with one-sided bounds at level `alpha`. `None` for fewer than [`FEWEST_OF_TREND`].
///
/// The line is that of least squares. Its error is not taken from the residuals, which for correlated values says
/// too little, but from their slowest waves: with `c(k)` the coefficient of the values on the orthonormal polynomial of
/// degree `k`, the slope's is `c(1)`, and `c(2) … c(ν + 1)` vary as `c(1)` does about no trend, since all of them see
/// the spectrum near frequency 0. So `c(1) / √(mean of c(k)²)` has Student's t distribution with `ν` degrees of freedom
/// (the series estimator of the long-run variance: Phillips 2005, Econometric Theory 21, 116-142; for trends Sun
/// 2011, Journal of Econometrics 164, 345-366), whatever the correlation of neighbours, for long series. `ν` is
/// `0.4 n^(2/3)` (Lazarus, Lewis, Stock and Watson 2018, Journal of Business & Economic Statistics 36, 541-559), between 3
/// and 30.
pub fn trend(values: &[f64], alpha: f64) -> Option<Interval> {
    let count = values.len();
    if count < FEWEST_OF_TREND {
        return None;
    }
    let waves = waves(count);
    let basis = orthonormal_polynomials(count, waves + 1);
    let coefficient = |polynomial: &Vec<f64>| -> f64 {
        polynomial.iter().zip(values).map(|(p, value)| p * value).sum()
    };
    let variance = basis[2..].iter().map(|p| coefficient(p).powi(2)).sum::<f64>() / waves as f64;
    // The polynomial of degree 1 rises by the same in each step.
    let rise = (basis[1][1] - basis[1][0]) * count as f64;
    let point = coefficient(&basis[1]) * rise;
    let half = t_quantile(alpha, waves as f64) * variance.sqrt() * rise;
    Some(Interval { point, low: point - half, high: point + half })
}

/// How many slow waves beside the trend tell its error.
fn waves(count: usize) -> usize {
    ((0.4 * (count as f64).powf(2.0 / 3.0)).round() as usize).clamp(3, 30)
}

/// The orthonormal polynomials of degrees 0 to `degree` on `count` equally spaced points (Gram's), by Stieltjes'
/// recurrence: `[degree + 1][count]`. The one of degree 1 rises.
fn orthonormal_polynomials(count: usize, degree: usize) -> Vec<Vec<f64>> {
    let center = (count - 1) as f64 / 2.0;
    let places: Vec<f64> = (0..count).map(|place| (place as f64 - center) / count as f64).collect();
    let mut basis = vec![vec![1.0 / (count as f64).sqrt(); count]];
    while basis.len() <= degree {
        let last = &basis[basis.len() - 1];
        let mut next: Vec<f64> = last.iter().zip(&places).map(|(p, place)| p * place).collect();
        // Twice, since the first time leaves what rounding brings in.
        for _ in 0..2 {
            for known in &basis {
                let shared: f64 = known.iter().zip(&next).map(|(a, b)| a * b).sum();
                next.iter_mut().zip(known).for_each(|(value, p)| *value -= shared * p);
            }
        }
        let size = next.iter().map(|value| value * value).sum::<f64>().sqrt();
        next.iter_mut().for_each(|value| *value /= size);
        basis.push(next);
    }
    basis
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    #[test]
    fn a_straight_line_has_its_rise_and_no_width() {
        let line: Vec<f64> = (0..30).map(|place| 2.0 - 0.01 * f64::from(place)).collect();
        let found = trend(&line, 0.025).unwrap();
        assert!((found.point + 0.3).abs() < 1e-12, "{found:?}");
        assert!(found.high - found.low < 1e-12, "{found:?}");
        assert_eq!(trend(&line[..7], 0.025), None);
    }

    /// False alarms without any trend, of both sides together at 5%: as many as asked for where neighbours are
    /// independent, and where they hang together far fewer than least squares raises by its residuals.
    #[test]
    fn simulated_false_alarms_hold_their_level_for_correlated_blocks() {
        let replications = 20_000;
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut rate = |correlation: f64| {
            let mut alarms = [0, 0];
            for _ in 0..replications {
                let mut state = 0.0;
                let mut next = || {
                    let noise: f64 = StandardNormal.sample(&mut random);
                    state = correlation * state + noise;
                    state
                };
                for _ in 0..50 {
                    next();
                }
                let values: Vec<f64> = (0..30).map(|_| next()).collect();
                let found = trend(&values, 0.025).unwrap();
                alarms[0] += usize::from(found.low > 0.0 || found.high < 0.0);
                alarms[1] += usize::from(by_residuals(&values));
            }
            alarms.map(|count| count as f64 / f64::from(replications))
        };
        let error = (0.05f64 * 0.95 / f64::from(replications)).sqrt();
        let [independent, _] = rate(0.0);
        assert!((independent - 0.05).abs() < 3.0 * error, "{independent}");
        let ([mild, naive_mild], [strong, naive_strong]) = (rate(0.3), rate(0.6));
        assert!(mild < 0.07 && naive_mild > 0.12, "{mild} {naive_mild}");
        assert!(strong < 0.1 && naive_strong > 0.28, "{strong} {naive_strong}");
    }

    /// Least squares with independent residuals.
    fn by_residuals(values: &[f64]) -> bool {
        let basis = orthonormal_polynomials(values.len(), 1);
        let of = |p: &Vec<f64>| p.iter().zip(values).map(|(p, v)| p * v).sum::<f64>();
        let (level, slope) = (of(&basis[0]), of(&basis[1]));
        let rest = values.iter().map(|v| v * v).sum::<f64>() - level * level - slope * slope;
        let freedom = (values.len() - 2) as f64;
        slope.abs() > t_quantile(0.025, freedom) * (rest / freedom).sqrt()
    }
}
