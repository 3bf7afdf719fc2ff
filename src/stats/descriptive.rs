//! Owns means, spread and order statistics.

use statrs::distribution::{Binomial, DiscreteCDF};

/// Arithmetic mean; NaN for no values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sample standard deviation with `n - 1` in the denominator; NaN for fewer than two values.
pub fn standard_deviation(values: &[f64]) -> f64 {
    let center = mean(values);
    let squares: f64 = values.iter().map(|value| (value - center).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0)).sqrt()
}

/// The quantile at probability `p` (0 to 1) by linear interpolation between order statistics:
/// type 7 of Hyndman and Fan (1996), the default of NumPy and R. Infinite values rank as what they
/// are, and an interpolation that touches one is infinite. NaN for no values.
pub fn quantile(values: &[f64], p: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = p * (sorted.len() - 1) as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    // Without this, two equal infinities would interpolate to NaN.
    if below == above { below } else { below + (place - place.floor()) * (above - below) }
}

/// Ends of an interval of the median from order statistics, each a one-sided bound at level `alpha` at most, whatever
/// the distribution: the `k`-th smallest and the `k`-th largest value, with the largest `k` for which a fair coin shows
/// fewer than `k` heads in `n` tosses with a probability of at most `alpha` (Thompson 1936; Conover 1999, section 3.2).
/// `None` where even the extremes do not suffice, as with five values at 2.5%.
pub fn median_interval(values: &[f64], alpha: f64) -> Option<[f64; 2]> {
    let count = values.len();
    let tosses = Binomial::new(0.5, count as u64).ok()?;
    let places = (1..=count.div_ceil(2)).take_while(|k| tosses.cdf(*k as u64 - 1) <= alpha);
    let place = places.last()?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some([sorted[place - 1], sorted[count - place]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Exp1};

    /// Conover's table of the binomial: of 10 values the second from each end, of 20 the sixth.
    #[test]
    fn the_interval_of_a_median_is_of_the_known_order_statistics() {
        let values = |count: usize| (1..=count).map(|value| value as f64).collect::<Vec<_>>();
        assert_eq!(median_interval(&values(5), 0.025), None);
        assert_eq!(median_interval(&[], 0.025), None);
        assert_eq!(median_interval(&values(6), 0.025), Some([1.0, 6.0]));
        assert_eq!(median_interval(&values(10), 0.025), Some([2.0, 9.0]));
        assert_eq!(median_interval(&values(20), 0.025), Some([6.0, 15.0]));
        assert_eq!(
            median_interval(&[2.0, f64::INFINITY, 1.0, 3.0, 4.0, 5.0], 0.025).unwrap()[1],
            f64::INFINITY
        );
    }

    /// Of skewed values too, each end misses the true median as rarely as the binomial says: of ten values in 1.07% of
    /// samples.
    #[test]
    fn simulated_intervals_of_a_median_cover_it() {
        let mut random = ChaCha8Rng::seed_from_u64(4);
        let (median, replications) = (2f64.ln(), 20_000);
        let mut misses = [0, 0];
        for _ in 0..replications {
            let values: Vec<f64> = (0..10).map(|_| Exp1.sample(&mut random)).collect();
            let [low, high] = median_interval(&values, 0.025).unwrap();
            misses[0] += usize::from(low > median);
            misses[1] += usize::from(high < median);
        }
        let expected = 11.0 / 1024.0;
        for count in misses {
            let rate = count as f64 / replications as f64;
            let error = (expected * (1.0 - expected) / replications as f64).sqrt();
            assert!((rate - expected).abs() < 3.0 * error, "{rate}");
        }
    }

    #[test]
    fn an_infinite_value_ranks_last() {
        let values = [3.0, f64::INFINITY, 1.0, 2.0];
        assert_eq!(quantile(&values, 0.5), 2.5);
        assert_eq!(quantile(&values, 0.9), f64::INFINITY);
        assert_eq!(quantile(&[f64::INFINITY; 3], 0.5), f64::INFINITY);
        assert!(quantile(&[], 0.5).is_nan());
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
    }
}
