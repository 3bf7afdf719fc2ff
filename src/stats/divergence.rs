//! Owns the comparison of two distributions of the next token, and the ratio of sums over documents.

use super::descriptive::{mean, standard_deviation};
use super::students_t::t_quantile;

/// How the predictions of two models differ at one position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Divergence {
    /// KL(reference || candidate), nats; never below zero.
    pub kl: f64,
    /// Whether both have the same most probable token; of equal ones the first counts.
    pub agrees: bool,
    /// The reference's negative log likelihood of the true next token, nats.
    pub reference_nll: f64,
    /// The candidate's.
    pub nll: f64,
}

/// Compares the logits of two models at one position, both `[vocabulary]` and finite; `next` is the true
/// next token. Log-softmax and sums are in f64.
///
/// `KL = Σ p (log p - log q) = Σ p (a - b) - lse(a) + lse(b)`, with the logits `a` and `b`.
pub fn divergence(reference: &[f32], candidate: &[f32], next: usize) -> Divergence {
    let (top, peak) = largest(reference);
    let (candidate_top, candidate_peak) = largest(candidate);
    let (mut weight, mut candidate_weight, mut apart) = (0.0, 0.0, 0.0);
    for (a, b) in reference.iter().zip(candidate) {
        let (a, b) = (f64::from(*a), f64::from(*b));
        let p = (a - peak).exp();
        weight += p;
        candidate_weight += (b - candidate_peak).exp();
        apart += p * (a - b);
    }
    let log_sum = peak + weight.ln();
    let candidate_log_sum = candidate_peak + candidate_weight.ln();
    let kl = apart / weight - log_sum + candidate_log_sum;
    Divergence {
        // What rounding leaves below zero is none.
        kl: if kl < 0.0 { 0.0 } else { kl },
        agrees: top == candidate_top,
        reference_nll: log_sum - f64::from(reference[next]),
        nll: candidate_log_sum - f64::from(candidate[next]),
    }
}

/// The place of the largest logit, the first of equal ones, and its value.
fn largest(logits: &[f32]) -> (usize, f64) {
    let mut best = 0;
    for (place, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = place;
        }
    }
    (best, f64::from(logits[best]))
}

/// A mean over documents, weighted by their positions, and the spread of a document that its error amounts
/// to: the standard error is `spread / √n`.
///
/// The ratio estimator `R = Σ y / Σ m` of sums `y` over `m` positions each, with the standard deviation of
/// `(y - R m) / mean(m)` (Cochran 1977, section 2.11). For documents of one length these are the mean and
/// the standard deviation of the documents' own means. NaN for fewer than two documents.
pub fn ratio_of_sums(sums: &[f64], positions: &[f64]) -> (f64, f64) {
    let (whole, all): (f64, f64) = (sums.iter().sum(), positions.iter().sum());
    let ratio = whole / all;
    let mean = all / positions.len() as f64;
    let residuals: Vec<f64> =
        sums.iter().zip(positions).map(|(sum, m)| (sum - ratio * m) / mean).collect();
    (ratio, standard_deviation(&residuals))
}

/// The log of such a mean of what is never below zero, and its spread by the delta method: `s / R`. The mean of
/// a few skewed numbers is itself skewed, and its log is less so. `None` for a mean of zero.
pub fn log_ratio_of_sums(sums: &[f64], positions: &[f64]) -> Option<(f64, f64)> {
    let (ratio, spread) = ratio_of_sums(sums, positions);
    (ratio > 0.0).then(|| (ratio.ln(), spread / ratio))
}

/// Upper bound at level `alpha` of the log of the mean of log-normal values, by their logs `l` with mean `m` and variance `v`: `m + v/2
/// + t(1 - alpha, n - 1) · √(v/n + v²/(2 (n - 1)))`, Cox's interval with Student's quantile (Olsson 2005, Journal of
/// Statistics Education 13). `None` for fewer than two values, or where one is not positive.
pub fn log_normal_mean_upper(values: &[f64], alpha: f64) -> Option<f64> {
    if values.len() < 2 || values.iter().any(|value| *value <= 0.0 || !value.is_finite()) {
        return None;
    }
    let logs: Vec<f64> = values.iter().map(|value| value.ln()).collect();
    let (freedom, variance) = (logs.len() as f64 - 1.0, standard_deviation(&logs).powi(2));
    let error = (variance / (freedom + 1.0) + variance * variance / (2.0 * freedom)).sqrt();
    Some(mean(&logs) + 0.5 * variance + t_quantile(alpha, freedom) * error)
}

#[cfg(test)]
mod tests {
    use super::super::{mean, standard_deviation};
    use super::*;

    #[test]
    fn equal_distributions_do_not_diverge_whatever_their_offset() {
        let logits = [0.5f32, -2.0, 3.25, 3.25];
        let moved = logits.map(|logit| logit + 64.0);
        let found = divergence(&logits, &moved, 1);
        assert!(found.kl < 1e-12 && found.agrees, "{found:?}");
        assert!((found.nll - found.reference_nll).abs() < 1e-12);
    }

    #[test]
    fn two_coins_diverge_as_the_formula_says() {
        let (p, q) = (0.8f64, 0.3f64);
        let logits = |p: f64| [p.ln() as f32, (1.0 - p).ln() as f32];
        let found = divergence(&logits(p), &logits(q), 0);
        let expected = p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
        assert!((found.kl - expected).abs() < 1e-6, "{found:?}");
        assert!(!found.agrees);
        assert!((found.reference_nll + p.ln()).abs() < 1e-6);
        assert!((found.nll + q.ln()).abs() < 1e-6);
    }

    #[test]
    fn documents_of_one_length_have_the_mean_and_spread_of_their_means() {
        let means = [0.1, 0.4, 0.2, 0.9];
        let sums = means.map(|mean| mean * 50.0);
        let (ratio, spread) = ratio_of_sums(&sums, &[50.0; 4]);
        assert!((ratio - mean(&means)).abs() < 1e-12);
        assert!((spread - standard_deviation(&means)).abs() < 1e-12);
        let (ratio, _) = ratio_of_sums(&[1.0, 3.0], &[1.0, 9.0]);
        assert!((ratio - 0.4).abs() < 1e-12, "long documents weigh more");
    }
}
