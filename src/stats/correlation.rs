//! Owns the correlation within rounds, and what it leaves of a number of requests.

use super::binomial::clean_trials_needed;
use super::descriptive::mean;
use statrs::distribution::{ContinuousCDF, FisherSnedecor};

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

/// How many requests, in rounds of `of_round`, show a share under `limit` with a probability of `power` where none of
/// them is a hit and they are independent in truth: more than [`clean_trials_needed`], since how far requests of a round
/// go together is estimated, and by chance seems more than nothing in about half of all sessions. `None` for a limit of 0.
///
/// Under independence `MSB / MSW` of normal values has an F distribution, and so has the estimated design effect a
/// quantile.
pub fn clean_requests_needed(limit: f64, alpha: f64, of_round: u64, power: f64) -> Option<u64> {
    let independent = clean_trials_needed(limit, alpha)?;
    let size = of_round as f64;
    if of_round < 2 {
        return Some(independent);
    }
    let enough = |rounds: u64| {
        let between = (rounds - 1) as f64;
        let ratio = FisherSnedecor::new(between, rounds as f64 * (size - 1.0))
            .map(|f| f.inverse_cdf(power));
        let ratio = ratio.unwrap_or(f64::INFINITY);
        let correlation = ((ratio - 1.0) / (ratio + size - 1.0)).clamp(0.0, 1.0);
        (rounds * of_round) as f64 / design_effect(correlation, size) >= independent as f64
    };
    let (mut few, mut many) = (1, 2);
    while !enough(many) {
        (few, many) = (many, 2 * many);
    }
    while many - few > 1 {
        let middle = few + (many - few) / 2;
        if enough(middle) { many = middle } else { few = middle }
    }
    Some(many * of_round)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, Normal};

    /// Sessions of as many clean, independent requests as are said to do: the share whose effective number reaches 299.
    #[test]
    fn simulated_sessions_of_the_requests_needed_show_it_as_often_as_asked() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let noise = Normal::new(0.0, 1.0).unwrap();
        let mut share = |of_round: usize, requests: u64| {
            let rounds = requests as usize / of_round;
            let shown = (0..1000)
                .filter(|_| {
                    let mut round =
                        |_| (0..of_round).map(|_| noise.sample(&mut random)).collect::<Vec<f64>>();
                    let groups: Vec<Vec<f64>> = (0..rounds).map(&mut round).collect();
                    let effect = design_effect(intraclass_correlation(&groups), of_round as f64);
                    requests as f64 / effect >= 299.0
                })
                .count();
            shown as f64 / 1000.0
        };
        for of_round in [4, 10, 50] {
            let needed = clean_requests_needed(0.01, 0.05, of_round, 0.9).unwrap();
            let found = share(of_round as usize, needed);
            assert!((0.87..0.95).contains(&found), "{of_round} a round, {needed}: {found}");
        }
        // What 300 requests, ten a round, come to: a coin toss.
        assert!((0.4..0.65).contains(&share(10, 300)));
        assert_eq!(clean_requests_needed(0.01, 0.05, 1, 0.9), Some(299));
        assert_eq!(clean_requests_needed(0.0, 0.05, 10, 0.9), None);
    }

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
