//! Owns what several attempts at the same task tell: how probably some attempts are all right, or any of them.

/// The probability that `k` attempts, drawn from `times` without replacement of which `right` were right, are all
/// right: `C(right, k) / C(times, k)`, the unbiased estimate of pass^k (Yao et al. 2024, τ-bench). 1 for `k` of 0, 0
/// where fewer than `k` were made.
pub fn all_right(right: u32, times: u32, k: u32) -> f64 {
    if k > times {
        return 0.0;
    }
    // Factor by factor, so that no binomial coefficient overflows.
    (0..k).map(|i| f64::from(right.saturating_sub(i)) / f64::from(times - i)).product()
}

/// The probability that at least one of `k` such attempts is right: `1 - C(times - right, k) / C(times, k)`, the
/// unbiased estimate of pass@k (Chen et al. 2021).
pub fn any_right(right: u32, times: u32, k: u32) -> f64 {
    1.0 - all_right(times.saturating_sub(right), times, k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_are_defined() {
        assert_eq!(all_right(5, 5, 5), 1.0);
        assert_eq!(all_right(4, 5, 5), 0.0);
        assert_eq!(all_right(0, 5, 1), 0.0);
        assert_eq!(all_right(3, 5, 0), 1.0);
        assert_eq!(all_right(5, 5, 6), 0.0);
        assert_eq!(any_right(0, 5, 5), 0.0);
        assert_eq!(any_right(1, 5, 5), 1.0);
        assert!((any_right(2, 5, 1) - 0.4).abs() < 1e-15);
    }
}
