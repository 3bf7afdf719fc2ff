//! Owns means, spread and order statistics.

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

#[cfg(test)]
mod tests {
    use super::*;

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
