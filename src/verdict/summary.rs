//! Owns the table of variants: each metric of each variant, summarised over the counted rounds.

use super::{effect, samples};
use crate::metric::{Kind, METRICS, Metric, Statistic};
use crate::record::{Environment, Reading, Round, Summary};
use crate::stats;

/// Summaries of a variant over its complete rounds, in the order of the report.
pub fn summarize(rounds: &[Round], variant: &str, environment: &Environment) -> Vec<Summary> {
    let complete: Vec<&Round> = rounds.iter().filter(|round| round.complete).collect();
    METRICS
        .iter()
        .flat_map(|info| {
            let statistics: &[Statistic] = match (info.metric, info.kind) {
                (Metric::Latency, _) => &[Statistic::Median, Statistic::P90, Statistic::P99],
                (Metric::Ttft | Metric::Itl, _) => &[Statistic::Median],
                (_, Kind::Proportion) => &[Statistic::Rate],
                _ => &[Statistic::Mean],
            };
            statistics.iter().map(|statistic| (info.metric, *statistic))
        })
        .map(|(metric, statistic)| summary(metric, statistic, &complete, variant, environment))
        .collect()
}

fn summary(
    metric: Metric,
    statistic: Statistic,
    rounds: &[&Round],
    variant: &str,
    environment: &Environment,
) -> Summary {
    let found = value(metric, statistic, rounds, variant);
    let unavailable = match (metric, &environment.energy, found) {
        (_, _, Some(_)) => None,
        (Metric::TokensPerSecondPerWatt, Reading::Unavailable(why), None) => Some(why.clone()),
        (Metric::Memory, _, None) => Some("no worker's memory could be read".to_string()),
        _ => Some("no round has a value".to_string()),
    };
    let samples = match metric.info().kind {
        Kind::PerRound => {
            rounds.iter().filter_map(|r| samples::round_value(metric, r, variant)).count()
        }
        _ => rounds.iter().map(|round| samples::timed(round, variant).count()).sum(),
    };
    Summary { metric, statistic, value: found, unavailable, rounds: rounds.len(), samples }
}

/// What a table shows for a metric of a variant: the mean over rounds of the round's statistic; for
/// P99, which no round has requests enough for, the quantile over all requests; for a proportion
/// the share of all requests.
pub(super) fn value(
    metric: Metric,
    statistic: Statistic,
    rounds: &[&Round],
    variant: &str,
) -> Option<f64> {
    if metric.info().kind == Kind::Proportion {
        let (failed, all) = samples::failures(rounds, variant);
        return (all > 0).then(|| failed as f64 / all as f64);
    }
    if statistic == Statistic::P99 {
        let all: Vec<f64> =
            rounds.iter().flat_map(|round| samples::ranked(metric, round, variant)).collect();
        return (!all.is_empty()).then(|| stats::quantile(&all, 0.99));
    }
    let by_round: Vec<f64> = rounds
        .iter()
        .filter_map(|round| effect::round_statistic(metric, statistic, round, variant))
        .collect();
    (!by_round.is_empty()).then(|| stats::mean(&by_round))
}

#[cfg(test)]
mod tests {
    use super::super::samples::tests::request;
    use super::*;

    #[test]
    fn p99_is_over_all_requests_and_the_median_by_round() {
        let round = |number, latencies: &[f64]| {
            let requests = latencies
                .iter()
                .enumerate()
                .map(|(index, ms)| request(number, "a", &format!("t{index}"), &[1.0, *ms]))
                .collect();
            Round { round: number, complete: true, workers: vec![], requests }
        };
        let rounds = [round(1, &[10.0, 20.0, 30.0]), round(2, &[40.0, 50.0, 900.0])];
        let rounds: Vec<&Round> = rounds.iter().collect();
        let value = |statistic| value(Metric::Latency, statistic, &rounds, "a").unwrap();
        assert!((value(Statistic::Median) - 0.035).abs() < 1e-12);
        assert!((value(Statistic::P99) - 0.8575).abs() < 1e-12, "numpy.quantile(…, 0.99)");
    }
}
