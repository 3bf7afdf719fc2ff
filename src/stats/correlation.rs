//! Owns the correlation within rounds, and what it leaves of a number of requests.

use super::descriptive::mean;

/// Intraclass correlation of values in groups: the share of the variance that lies between groups, from 0
/// to 1; 0 where there is too little to tell, or nothing varies.
///
/// The estimator of one-way analysis of variance for groups of unequal size, `(MSB - MSW) / (MSB + (n0 - 1)
/// MSW)` with `n0 = (N - Σ n² / N) / (k - 1)` (Donner 1986, International Statistical Review 54, 67-82).
pub fn intraclass_correlation(groups: &[Vec<f64>]) -> f64 {
    let groups: Vec<&Vec<f64>> = groups.iter().filter(|group| !group.is_empty()).collect();
    let all: Vec<f64> = groups.iter().flat_map(|group| group.iter().copied()).collect();
    let (count, size) = (groups.len() as f64, all.len() as f64);
    if groups.len() < 2 || all.len() <= groups.len() || all.iter().any(|v| !v.is_finite()) {
        return 0.0;
    }
    let center = mean(&all);
    let squares = |values: &[f64], center: f64| -> f64 {
        values.iter().map(|value| (value - center).powi(2)).sum()
    };
    let between: f64 =
        groups.iter().map(|group| group.len() as f64 * (mean(group) - center).powi(2)).sum();
    let within: f64 = groups.iter().map(|group| squares(group, mean(group))).sum();
    let (between, within) = (between / (count - 1.0), within / (size - count));
    let sum_of_squares: f64 = groups.iter().map(|group| (group.len() as f64).powi(2)).sum();
    let usual = (size - sum_of_squares / size) / (count - 1.0);
    let whole = between + (usual - 1.0) * within;
    if whole > 0.0 { ((between - within) / whole).clamp(0.0, 1.0) } else { 0.0 }
}

/// By how much correlation within groups of a size inflates the variance of a mean: `1 + (size - 1) ·
/// correlation` (Kish 1965, Survey Sampling, section 5.4). So many requests count as one.
pub fn design_effect(correlation: f64, size: f64) -> f64 {
    1.0 + (size - 1.0).max(0.0) * correlation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_are_defined() {
        assert_eq!(intraclass_correlation(&[]), 0.0);
        assert_eq!(intraclass_correlation(&[vec![1.0, 2.0]]), 0.0);
        assert_eq!(intraclass_correlation(&[vec![1.0], vec![2.0]]), 0.0, "no spread within");
        assert_eq!(intraclass_correlation(&[vec![3.0, 3.0], vec![3.0, 3.0]]), 0.0);
        assert_eq!(intraclass_correlation(&[vec![1.0, 1.0], vec![2.0, 2.0]]), 1.0);
        assert_eq!(intraclass_correlation(&[vec![1.0, 2.0], vec![2.0, 1.0]]), 0.0);
        assert_eq!(design_effect(0.0, 10.0), 1.0);
        assert_eq!(design_effect(1.0, 10.0), 10.0);
        assert_eq!(design_effect(0.5, 0.0), 1.0);
    }
}
