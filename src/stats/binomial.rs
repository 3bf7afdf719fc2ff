//! Owns bounds for proportions: Clopper and Pearson's exact ones.

use statrs::distribution::{Beta, ContinuousCDF};

/// Lower one-sided bound at level `alpha` for a proportion with `hits` of `trials`:
/// the `alpha` quantile of `Beta(hits, trials - hits + 1)`, and 0 for no hits
/// (Clopper and Pearson 1934). 0 for no trials.
pub fn proportion_lower(hits: u64, trials: u64, alpha: f64) -> f64 {
    if hits == 0 || trials == 0 {
        return 0.0;
    }
    beta_quantile(hits as f64, (trials - hits) as f64 + 1.0, alpha)
}

/// Upper one-sided bound at level `alpha` for a proportion with `hits` of `trials`:
/// the `1 - alpha` quantile of `Beta(hits + 1, trials - hits)`, and 1 for nothing but hits
/// (Clopper and Pearson 1934). 1 for no trials.
pub fn proportion_upper(hits: u64, trials: u64, alpha: f64) -> f64 {
    if hits >= trials {
        return 1.0;
    }
    beta_quantile(hits as f64 + 1.0, (trials - hits) as f64, 1.0 - alpha)
}

/// The quantile of a beta distribution by bisection of its distribution function, to the last bits:
/// statrs' own inverse stops at an absolute 1e-8 or so, which is coarse for rates of 0.1%.
fn beta_quantile(a: f64, b: f64, p: f64) -> f64 {
    let beta = Beta::new(a, b).expect("both shapes are positive");
    let (mut low, mut high) = (0.0f64, 1.0f64);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if beta.cdf(middle) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// How many trials without a hit put the upper bound below `limit`: the smallest `n` with
/// `(1 - limit)^n <= alpha`. `None` for a limit of 0, which no number of trials shows.
pub fn clean_trials_needed(limit: f64, alpha: f64) -> Option<u64> {
    (limit > 0.0).then(|| (alpha.ln() / (1.0 - limit).ln()).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_are_defined() {
        assert_eq!(proportion_lower(0, 50, 0.05), 0.0);
        assert_eq!(proportion_upper(50, 50, 0.05), 1.0);
        assert_eq!(proportion_upper(0, 0, 0.05), 1.0);
        assert_eq!(proportion_lower(0, 0, 0.05), 0.0);
    }

    #[test]
    fn clean_trials_agree_with_the_bound() {
        // The textbook counts: 299 for 1% and 2,995 for 0.1% at 95%.
        assert_eq!(clean_trials_needed(0.01, 0.05), Some(299));
        assert_eq!(clean_trials_needed(0.001, 0.05), Some(2995));
        assert_eq!(clean_trials_needed(0.0, 0.05), None);
        assert!(proportion_upper(0, 299, 0.05) <= 0.01);
        assert!(proportion_upper(0, 298, 0.05) > 0.01);
    }
}
