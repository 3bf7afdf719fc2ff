//! Owns the table of variants: each metric of each variant, summarised over the counted rounds.

use super::graded::bad;
use super::{Measured, effect, samples};
use crate::metric::{Better, Kind, METRICS, Metric, Statistic};
use crate::record::{Reading, Round, Summary};
use crate::stats;

/// Summaries of a variant over its complete rounds and graded tasks, in the order of the report.
pub fn summarize(measured: &Measured<'_>, variant: &str) -> Vec<Summary> {
    let complete: Vec<&Round> = measured.complete();
    let graded = measured.header.plan.quality.is_some();
    METRICS
        .iter()
        .filter(|info| graded || info.kind != Kind::TaskProportion)
        .flat_map(|info| {
            let statistics: &[Statistic] = match (info.metric, info.kind) {
                (Metric::Latency, _) => &[
                    Statistic::Median,
                    Statistic::P90,
                    Statistic::P99,
                    Statistic::P99OverP50,
                    Statistic::Cv,
                ],
                (Metric::Ttft | Metric::Itl, _) => &[Statistic::Median],
                (_, Kind::Proportion | Kind::TaskProportion) => &[Statistic::Rate],
                _ => &[Statistic::Mean],
            };
            statistics.iter().map(|statistic| (info.metric, *statistic))
        })
        .map(|(metric, statistic)| summary(metric, statistic, measured, &complete, variant))
        .collect()
}

fn summary(
    metric: Metric,
    statistic: Statistic,
    measured: &Measured<'_>,
    rounds: &[&Round],
    variant: &str,
) -> Summary {
    let kind = metric.info().kind;
    let found = match kind {
        Kind::TaskProportion => share_of_tasks(metric, measured, variant),
        _ => value(metric, statistic, rounds, variant),
    };
    let unavailable = match (metric, &measured.header.environment.energy, found) {
        (_, _, Some(_)) => None,
        (
            Metric::TokensPerSecondPerWatt | Metric::EnergyPerToken,
            Reading::Unavailable(why),
            None,
        ) => Some(why.clone()),
        (Metric::Memory | Metric::MemoryAnon | Metric::MemoryFile, _, None) => {
            Some("no worker's memory could be read".to_string())
        }
        _ if kind == Kind::TaskProportion => Some("it answers no graded tasks".to_string()),
        _ => Some("no round has a value".to_string()),
    };
    let samples = match kind {
        Kind::PerRound => {
            rounds.iter().filter_map(|r| samples::round_value(metric, r, variant)).count()
        }
        Kind::TaskProportion => measured.answers.iter().filter(|a| a.variant == variant).count(),
        _ => rounds.iter().map(|round| samples::timed(round, variant).count()).sum(),
    };
    let rounds = if kind == Kind::TaskProportion { 0 } else { rounds.len() };
    Summary { metric, statistic, value: found, unavailable, rounds, samples }
}

/// The share of a variant's graded tasks that a metric counts.
fn share_of_tasks(metric: Metric, measured: &Measured<'_>, variant: &str) -> Option<f64> {
    let (mut worse, mut all) = (0, 0);
    for answer in measured.answers.iter().filter(|answer| answer.variant == variant) {
        all += 1;
        worse += u32::from(bad(metric, answer.grade));
    }
    let share = f64::from(worse) / f64::from(all);
    (all > 0).then(|| if metric.info().better == Better::Higher { 1.0 - share } else { share })
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
    if statistic.is_far_tail() {
        let all: Vec<f64> =
            rounds.iter().flat_map(|round| samples::ranked(metric, round, variant)).collect();
        let tail = match statistic {
            Statistic::P99OverP50 => effect::p99_over_p50,
            _ => |values: &[f64]| stats::quantile(values, 0.99),
        };
        return (!all.is_empty()).then(|| tail(&all));
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
