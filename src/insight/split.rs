//! Owns the split of a difference into what the engine did and what the precision did, where a session has a
//! variant between both: one engine's FP16, another engine's FP16, and that engine's INT8.

use crate::metric::{Metric, Statistic};
use crate::record::Part;
use crate::stats::{self, Interval};
use crate::verdict;

/// A difference in two steps. All effects are log ratios; the steps add up to the whole round by round.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// What is compared.
    pub metric: Metric,
    /// The variant of the other engine, with weights as `between` has them.
    pub from: String,
    /// The variant between: the engine of `to`, the weights of `from`.
    pub between: String,
    /// The variant with other weights.
    pub to: String,
    /// From `from` to `between`.
    pub engine: Interval,
    /// From `between` to `to`.
    pub precision: Interval,
    /// From `from` to `to`.
    pub whole: Interval,
    /// Rounds behind each.
    pub rounds: usize,
}

/// Every split that a session's variants allow, of the metrics that tell speed and size. Intervals are 95%,
/// Student's t over rounds.
pub fn splits(part: &Part) -> Vec<Split> {
    let names: Vec<&String> = part.header.plan.variants.iter().collect();
    let mut found = Vec::new();
    for from in &names {
        for between in names.iter().filter(|name| is_engine_step(part, from, name)) {
            for to in names.iter().filter(|name| is_precision_step(part, between, name)) {
                let metrics = ["throughput", "ttft", "latency", "memory", "cold_start"];
                let metrics = metrics.into_iter().filter_map(Metric::from_id);
                found.extend(metrics.filter_map(|metric| split(part, metric, [from, between, to])));
            }
        }
    }
    found
}

/// Other engine, weights stored alike, as many threads.
fn is_engine_step(part: &Part, from: &str, to: &str) -> bool {
    differ(part, from, to).is_some_and(|(engine, weights)| engine && !weights)
        // One direction is enough: towards the variants that the reference's engine runs.
        && engine_of(part, to) == engine_of(part, &part.header.plan.reference)
}

/// The same engine, other weights, as many threads.
fn is_precision_step(part: &Part, from: &str, to: &str) -> bool {
    differ(part, from, to).is_some_and(|(engine, weights)| !engine && weights)
}

fn engine_of<'a>(part: &'a Part, variant: &str) -> Option<&'a str> {
    Some(part.header.variants.get(variant)?.engine.as_str())
}

/// Whether two variants have other engines, and other weights; nothing if they have other threads too, or if one's
/// weights are not known.
fn differ(part: &Part, a: &str, b: &str) -> Option<(bool, bool)> {
    let (of_a, of_b) = (part.header.variants.get(a)?, part.header.variants.get(b)?);
    let (work_a, work_b) = (part.work.get(a)?, part.work.get(b)?);
    let alike = of_a.threads == of_b.threads;
    alike.then(|| (of_a.engine != of_b.engine, work_a.stored != work_b.stored))
}

fn split(part: &Part, metric: Metric, [from, between, to]: [&str; 3]) -> Option<Split> {
    let rounds = part.complete();
    let step = |candidate: &str, reference: &str| {
        let effect = verdict::log_ratios(metric, Statistic::Mean, &rounds, candidate, reference);
        stats::t_interval(&effect.values, 0.025).map(|interval| (interval, effect.values.len()))
    };
    let ((engine, _), (precision, _)) = (step(between, from)?, step(to, between)?);
    let (whole, rounds) = step(to, from)?;
    let [from, between, to] = [from, between, to].map(str::to_string);
    Some(Split { metric, from, between, to, engine, precision, whole, rounds })
}
