//! Owns the step from samples to effects by round: log ratios of one variant over another, or the
//! values of one.

use super::samples::{by_task, ranked, request_value, round_value, worst};
use crate::metric::{Kind, Metric, Statistic};
use crate::record::Round;
use crate::stats;

/// What each round says: one number per round that has one, and what stands behind them.
#[derive(Debug, Clone, PartialEq)]
pub struct PerRound {
    /// One value per round: the log of a ratio (candidate over reference), or of a value in the
    /// metric's unit.
    pub values: Vec<f64>,
    /// Requests (pairs of requests in a comparison) behind them; workers for one value per round.
    pub requests: usize,
    /// Rounds in which a failure of the candidate made the value infinitely bad.
    pub candidate_failed: usize,
    /// Rounds in which a failure of the reference made the value meaningless.
    pub reference_failed: usize,
    /// Differences from here on can be told apart at all: what clock or page count leave open, as a log.
    pub resolution: f64,
    /// Point and spread by round of a statistic of all requests together, in place of the values'.
    pooled: Option<(f64, f64)>,
}

/// The round's statistic of a variant, failures ranked as the worst; `None` without a value.
pub fn round_statistic(
    metric: Metric,
    statistic: Statistic,
    round: &Round,
    variant: &str,
) -> Option<f64> {
    if metric.kind() == Kind::PerRound {
        return round_value(metric, round, variant);
    }
    // A mean over failures would be infinite or hide them; failures have a rule of their own.
    let successes = || -> Vec<f64> {
        super::samples::timed(round, variant).filter_map(|r| request_value(metric, r)).collect()
    };
    let values = match statistic {
        Statistic::Mean | Statistic::Cv | Statistic::Rate => successes(),
        _ => ranked(metric, round, variant),
    };
    if values.is_empty() {
        return None;
    }
    match statistic {
        Statistic::Cv => positive(stats::standard_deviation(&values) / stats::mean(&values)),
        Statistic::P99OverP50 => Some(p99_over_p50(&values)),
        _ => Some(match statistic.quantile() {
            Some(p) => stats::quantile(&values, p),
            None => stats::mean(&values),
        }),
    }
}

/// P99 over P50; infinite where failures reach the P99.
pub(super) fn p99_over_p50(values: &[f64]) -> f64 {
    let tail = stats::quantile(values, 0.99);
    if tail.is_infinite() { tail } else { tail / stats::quantile(values, 0.5) }
}

/// No spread at all has no logarithm, and one value has no spread. What equal values leave by rounding is
/// none.
fn positive(value: f64) -> Option<f64> {
    (value.is_finite() && value > 1e-12).then_some(value)
}

/// Log ratios of `candidate` over `reference`, one per round.
///
/// `mean` pairs by task and averages the log ratios of the tasks that succeeded in both; the others
/// are the log ratio of the round's own statistics.
pub fn log_ratios(
    metric: Metric,
    statistic: Statistic,
    rounds: &[&Round],
    candidate: &str,
    reference: &str,
) -> PerRound {
    let mut effect = PerRound::empty();
    let paired = statistic == Statistic::Mean && metric.kind() != Kind::PerRound;
    for round in rounds {
        effect.resolve(metric, statistic, round, &[candidate, reference]);
        if paired {
            let ratios = paired_log_ratios(metric, round, candidate, reference);
            effect.requests += ratios.len();
            if !ratios.is_empty() {
                effect.values.push(stats::mean(&ratios));
            }
            continue;
        }
        let value = |variant| round_statistic(metric, statistic, round, variant);
        let (Some(now), Some(base)) = (value(candidate), value(reference)) else { continue };
        effect.requests += samples_behind(metric, round, candidate);
        match (is_worst(metric, now), is_worst(metric, base)) {
            (_, true) => effect.reference_failed += 1,
            (true, false) => effect.candidate_failed += 1,
            (false, false) => effect.values.push((now / base).ln()),
        }
    }
    effect
}

/// The logs of one variant's values, one per round: times, rates and sizes are skewed, their logs less
/// so, and an interval in logs never reaches below zero.
pub fn log_values(
    metric: Metric,
    statistic: Statistic,
    rounds: &[&Round],
    variant: &str,
) -> PerRound {
    let mut effect = PerRound::empty();
    for round in rounds {
        let Some(value) = round_statistic(metric, statistic, round, variant) else { continue };
        effect.requests += samples_behind(metric, round, variant);
        effect.resolve(metric, statistic, round, &[variant]);
        match is_worst(metric, value) {
            true => effect.candidate_failed += 1,
            false => effect.values.push(value.ln()),
        }
    }
    effect
}

impl PerRound {
    fn empty() -> PerRound {
        PerRound {
            values: Vec::new(),
            requests: 0,
            candidate_failed: 0,
            reference_failed: 0,
            resolution: 0.0,
            pooled: None,
        }
    }

    /// Takes note of how finely a round's values of some variants can be read.
    fn resolve(&mut self, metric: Metric, statistic: Statistic, round: &Round, variants: &[&str]) {
        let of = |variant: &&str| {
            let value = round_statistic(metric, statistic, round, variant)?;
            Some(metric.finest(statistic, value)).filter(|finest| finest.is_finite())
        };
        self.resolution = self.resolution.max(variants.iter().filter_map(of).sum());
    }

    /// A statistic of all requests of some rounds, with the spread of a round that its error amounts to.
    pub fn pooled(point: f64, spread: f64, rounds: usize, requests: usize) -> PerRound {
        let pooled = Some((point, spread));
        PerRound { values: vec![point; rounds], requests, pooled, ..PerRound::empty() }
    }

    /// The estimate: the mean of the rounds' values.
    pub fn point(&self) -> f64 {
        self.pooled.map_or_else(|| stats::mean(&self.values), |(point, _)| point)
    }

    /// The noise: the standard deviation of the rounds' values; NaN for fewer than two.
    pub fn spread(&self) -> f64 {
        self.pooled.map_or_else(|| stats::standard_deviation(&self.values), |(_, spread)| spread)
    }
}

fn is_worst(metric: Metric, value: f64) -> bool {
    value == worst(metric)
}

fn samples_behind(metric: Metric, round: &Round, variant: &str) -> usize {
    match metric.kind() {
        Kind::PerRound => 1,
        _ => super::samples::timed(round, variant).count(),
    }
}

/// Log ratios of the tasks of a round that succeeded in both.
pub fn paired_log_ratios(
    metric: Metric,
    round: &Round,
    candidate: &str,
    reference: &str,
) -> Vec<f64> {
    let base = by_task(metric, round, reference);
    by_task(metric, round, candidate)
        .into_iter()
        .filter_map(|(task, now)| Some((now? / base.get(task).copied().flatten()?).ln()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples::tests::request;
    use super::*;
    use crate::metric::LATENCY;

    fn round(number: u32, now: &[&[f64]], base: &[&[f64]]) -> Round {
        let mut requests = Vec::new();
        for (variant, latencies) in [("now", now), ("base", base)] {
            for (index, stamps) in latencies.iter().enumerate() {
                requests.push(request(number, variant, &format!("t{index}"), stamps));
            }
        }
        Round { round: number, complete: true, requests, ..Round::default() }
    }

    #[test]
    fn means_pair_by_task_and_leave_failures_out() {
        let round = round(
            1,
            &[&[1.0, 20.0], &[1.0, 80.0], &[]],
            &[&[1.0, 10.0], &[1.0, 20.0], &[1.0, 5.0]],
        );
        let effect = log_ratios(LATENCY, Statistic::Mean, &[&round], "now", "base");
        assert_eq!(effect.requests, 2);
        let expected = (2.0f64.ln() + 4.0f64.ln()) / 2.0;
        assert!((effect.values[0] - expected).abs() < 1e-12);
    }

    #[test]
    fn quantiles_see_failures_of_either_side() {
        let good: &[f64] = &[1.0, 10.0];
        type Stamps<'a> = &'a [&'a [f64]];
        let cases: [(Stamps<'_>, Stamps<'_>, (usize, usize, usize)); 3] = [
            (&[good, good], &[good, good], (1, 0, 0)),
            (&[good, &[]], &[good, good], (0, 1, 0)),
            (&[good, &[]], &[good, &[]], (0, 0, 1)),
        ];
        for (now, base, expected) in cases {
            let round = round(1, now, base);
            let effect = log_ratios(LATENCY, Statistic::P90, &[&round], "now", "base");
            let found = (effect.values.len(), effect.candidate_failed, effect.reference_failed);
            assert_eq!(found, expected);
        }
    }
}
