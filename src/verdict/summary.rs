//! Owns the table of variants: each metric of each variant, summarised over the counted rounds, and its
//! change against the reference.

use super::ONE_SIDE;
use super::graded::bad;
use super::{Measured, conditions, effect, fidelity, judge, samples};
use crate::baseline::Stores;
use crate::metric::{Better, Kind, METRICS, Metric, Needs, Statistic, VariantRound};
use crate::record::{
    Against, Effect, Evidence, Limit, Part, Round, Rule, Selection, Severity, Summary,
};
use crate::stats;
use std::collections::BTreeMap;

/// Summaries of some variants over their complete rounds and graded tasks, in the order of the report:
/// the rows of the table first, then the details.
///
/// `false_alarms` is the probability that any change of the table is shown to exclude no change by
/// accident; half of it goes to each side.
pub fn summarize(
    measured: &Measured<'_>,
    variants: &[String],
    reference: &str,
    false_alarms: f64,
) -> BTreeMap<String, Vec<Summary>> {
    let graded = measured.parts.iter().any(|part| part.header.plan.quality.is_some());
    let forced = measured.parts.iter().any(|part| part.header.plan.fidelity.is_some());
    let planned = move |metric: &Metric| match metric.kind() {
        Kind::TaskProportion => graded,
        Kind::PerDocument => forced,
        _ => true,
    };
    let shown = || METRICS.iter().copied().filter(planned);
    let rows = |statistics: fn(Metric) -> &'static [Statistic]| {
        shown().flat_map(move |metric| statistics(metric).iter().map(move |s| (metric, *s)))
    };
    let table: Vec<(Metric, Statistic)> = rows(|metric| metric.info().table).collect();
    let details: Vec<(Metric, Statistic)> = rows(|metric| metric.info().details).collect();
    let changes = table.len() * variants.iter().filter(|name| *name != reference).count();
    let alpha = false_alarms / (2 * changes.max(1)) as f64;
    let of_variant = |variant: &String| {
        let Some(part) = measured.part_of(variant) else { return (variant.clone(), Vec::new()) };
        let with_change = |(metric, statistic): &(Metric, Statistic)| {
            let change = change(part, *metric, *statistic, [variant, reference], alpha);
            Summary { change, ..summary(*metric, *statistic, part, variant) }
        };
        let plain =
            |(metric, statistic): &(Metric, Statistic)| summary(*metric, *statistic, part, variant);
        let rows = table.iter().map(with_change).chain(details.iter().map(plain));
        (variant.clone(), rows.collect())
    };
    variants.iter().map(of_variant).collect()
}

/// The change of a variant against the reference of the same session, by the same estimate as a rule's.
fn change(
    part: &Part,
    metric: Metric,
    statistic: Statistic,
    [variant, reference]: [&str; 2],
    alpha: f64,
) -> Option<Effect> {
    if variant == reference || !part.has(reference) {
        return None;
    }
    let limit = metric.info().default_limit;
    let rule = Rule {
        id: metric.id().to_string(),
        line: 0,
        metric,
        statistic,
        variant: variant.to_string(),
        against: Against::Variant(reference.to_string()),
        limit: if metric.is_proportion() { Limit::Points(limit) } else { Limit::Relative(limit) },
        evidence: Evidence::Regression,
        severity: Severity::Inform,
        forcing: None,
        only: Selection::default(),
        waiver: None,
    };
    let measured =
        Measured { parts: std::slice::from_ref(part), earlier: &[], stored: &Stores::default() };
    let verdict = judge::verdict(&rule, &measured, alpha);
    // A far tail of few requests has a point and bounds that hold nothing.
    verdict.effect.filter(|_| !statistic.is_far_tail() || verdict.resolution.is_some())
}

fn summary(metric: Metric, statistic: Statistic, part: &Part, variant: &str) -> Summary {
    let rounds: Vec<&Round> = part.complete();
    let kind = metric.kind();
    if kind == Kind::PerDocument {
        return of_documents(metric, statistic, part, variant);
    }
    let answers = part.answers.iter().filter(|answer| answer.variant == variant).count();
    let found = match kind {
        Kind::TaskProportion => share_of_tasks(metric, part, variant),
        _ => value(metric, statistic, &rounds, variant),
    };
    let interval = interval(metric, statistic, part, variant);
    let unavailable = found.is_none().then(|| missing(metric, part, variant));
    let samples = match kind {
        Kind::PerRound => {
            rounds.iter().filter_map(|r| samples::round_value(metric, r, variant)).count()
        }
        Kind::TaskProportion => answers,
        _ => rounds.iter().map(|round| samples::timed(round, variant).count()).sum(),
    };
    let rounds = if kind == Kind::TaskProportion { 0 } else { rounds.len() };
    Summary {
        metric,
        statistic,
        value: found,
        unavailable,
        interval,
        rounds,
        samples,
        change: None,
    }
}

fn of_documents(metric: Metric, statistic: Statistic, part: &Part, variant: &str) -> Summary {
    let (value, interval, samples) = fidelity::value(metric, statistic, part, variant);
    let unavailable = value.is_none().then(|| match part.header.plan.reference == variant {
        true => "it is the reference".to_string(),
        false => "it was not forced through the documents".to_string(),
    });
    Summary { metric, statistic, value, unavailable, interval, rounds: 0, samples, change: None }
}

/// The ends of an interval that describes a value: Student's t over rounds, Clopper and Pearson's of a share.
fn interval(metric: Metric, statistic: Statistic, part: &Part, variant: &str) -> Option<[f64; 2]> {
    let rounds = part.complete();
    let share = |(hits, all): (u64, u64)| {
        let ends = [
            stats::proportion_lower(hits, all, ONE_SIDE),
            stats::proportion_upper(hits, all, ONE_SIDE),
        ];
        (all > 0).then_some(ends)
    };
    let ends = match metric.kind() {
        Kind::TaskProportion => share(tasks_counted(metric, part, variant)),
        Kind::Proportion => share(samples::hits(metric, &rounds, variant)),
        _ if statistic.is_far_tail() => None,
        _ => stats::t_interval(&by_round(metric, statistic, &rounds, variant), ONE_SIDE)
            .map(|interval| [interval.low, interval.high]),
    };
    ends.filter(|ends| ends.iter().all(|end| end.is_finite()))
}

/// Why a variant has no value.
fn missing(metric: Metric, part: &Part, variant: &str) -> String {
    let energy = || {
        let why = conditions::no_energy(part);
        why.or_else(|| conditions::no_round_has_energy(part, variant))
    };
    let rounds = part.complete();
    let made = |round: &&Round| VariantRound { round, variant }.made_model_cache();
    if metric.kind() == Kind::PerRound && !rounds.is_empty() && rounds.iter().all(made) {
        return "its only start made the compiled model that later ones take".to_string();
    }
    match metric.info().needs {
        Needs::Energy => energy().unwrap_or_else(|| "no round has a value".to_string()),
        Needs::ProcessMemory => "no worker's memory could be read".to_string(),
        Needs::LoadPhases => "its engine tells of no such step".to_string(),
        Needs::ModelShape => {
            "neither its files nor its engine tell the shape of the cache".to_string()
        }
        _ if metric.kind() == Kind::TaskProportion => "it answers no graded tasks".to_string(),
        _ => "no round has a value".to_string(),
    }
}

/// The share of a variant's graded tasks that a metric counts.
fn share_of_tasks(metric: Metric, part: &Part, variant: &str) -> Option<f64> {
    let (counted, all) = tasks_counted(metric, part, variant);
    (all > 0).then(|| counted as f64 / all as f64)
}

/// How many of a variant's graded tasks a metric counts (the right ones for accuracy), and of how many.
fn tasks_counted(metric: Metric, part: &Part, variant: &str) -> (u64, u64) {
    let (mut worse, mut all) = (0, 0);
    for answer in part.answers.iter().filter(|answer| answer.variant == variant) {
        all += 1;
        worse += u64::from(bad(metric, answer.grade));
    }
    (if metric.info().better == Better::Higher { all - worse } else { worse }, all)
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
    if metric.kind() == Kind::Proportion {
        let (failed, all) = samples::hits(metric, rounds, variant);
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
    let by_round = by_round(metric, statistic, rounds, variant);
    (!by_round.is_empty()).then(|| stats::mean(&by_round))
}

/// The statistic of each round that has one.
fn by_round(metric: Metric, statistic: Statistic, rounds: &[&Round], variant: &str) -> Vec<f64> {
    let of_round = |round: &&Round| effect::round_statistic(metric, statistic, round, variant);
    rounds.iter().filter_map(of_round).collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples::tests::request;
    use super::*;
    use crate::metric::LATENCY;

    #[test]
    fn p99_is_over_all_requests_and_the_median_by_round() {
        let round = |number, latencies: &[f64]| {
            let requests = latencies
                .iter()
                .enumerate()
                .map(|(index, ms)| request(number, "a", &format!("t{index}"), &[1.0, *ms]))
                .collect();
            Round { round: number, complete: true, requests, ..Round::default() }
        };
        let rounds = [round(1, &[10.0, 20.0, 30.0]), round(2, &[40.0, 50.0, 900.0])];
        let rounds: Vec<&Round> = rounds.iter().collect();
        let value = |statistic| value(LATENCY, statistic, &rounds, "a").unwrap();
        assert!((value(Statistic::Median) - 0.035).abs() < 1e-12);
        assert!((value(Statistic::P99) - 0.8575).abs() < 1e-12, "numpy.quantile(…, 0.99)");
    }
}
