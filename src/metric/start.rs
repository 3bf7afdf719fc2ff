//! Owns the cold start, spawn of the worker process to its first token, and its parts.

use super::{Metric, MetricInfo, Needs, Read, Statistic, TIME, VariantRound};
use crate::record::{LoadPhases, Phase, WorkerRun};

const START: MetricInfo = MetricInfo {
    default_limit: 0.10,
    words: ["faster initialization", "slower initialization"],
    ..TIME
};

/// Seconds from the spawn of the worker process to its first token. Of a variant that keeps compiled models the start
/// that made one has no value.
pub const COLD_START: Metric = Metric(&MetricInfo {
    id: "cold_start",
    title: "cold start",
    read: Read::Round(|of| compiled(of, |of| first(of, |worker| worker.first_token_ns))),
    table: &[Statistic::Mean],
    ..START
});

/// Seconds from the spawn of the worker process to its handshake.
pub const SPAWN_TIME: Metric = Metric(&MetricInfo {
    id: "spawn_time",
    title: "cold start: spawn",
    read: Read::Round(|of| first(of, |worker| worker.hello_ns)),
    details: &[Statistic::Mean],
    ..START
});

/// Seconds of reading and compiling the model inside the worker.
pub const LOAD_TIME: Metric = Metric(&MetricInfo {
    id: "load_time",
    title: "cold start: load",
    read: Read::Round(|of| compiled(of, |of| first(of, |worker| worker.load_ns))),
    details: &[Statistic::Mean],
    ..START
});

/// Seconds of loading the library that executes the model, such as OpenVINO's.
pub const LIBRARY_TIME: Metric = Metric(&MetricInfo {
    id: "library_time",
    title: "cold start: load library",
    read: Read::Round(|of| step(of, |phases| phases.library_ns)),
    needs: Needs::LoadPhases,
    details: &[Statistic::Mean],
    ..START
});

/// Seconds of reading, or mapping, the model's files.
pub const READ_TIME: Metric = Metric(&MetricInfo {
    id: "read_time",
    title: "cold start: read model",
    read: Read::Round(|of| step(of, |phases| phases.read_ns)),
    needs: Needs::LoadPhases,
    details: &[Statistic::Mean],
    ..START
});

/// Seconds of making of the model what runs: OpenVINO compiles it, candle builds its tensors.
pub const COMPILE_TIME: Metric = Metric(&MetricInfo {
    id: "compile_time",
    title: "cold start: compile model",
    read: Read::Round(|of| compiled(of, |of| step(of, |phases| phases.compile_ns))),
    needs: Needs::LoadPhases,
    details: &[Statistic::Mean],
    ..START
});

/// Time to first token of the worker's first request, seconds.
pub const COLD_TTFT: Metric = Metric(&MetricInfo {
    id: "cold_ttft",
    title: "cold start: TTFT",
    read: Read::Round(|of| compiled(of, cold_ttft)),
    details: &[Statistic::Mean],
    ..START
});

/// A value of a start, but for the one that made the compiled model for all later ones.
fn compiled(
    of: &VariantRound<'_>,
    value: impl Fn(&VariantRound<'_>) -> Option<f64>,
) -> Option<f64> {
    if of.made_model_cache() { None } else { value(of) }
}

/// A span of the round's first worker; a start that failed counts as the worst.
fn first(of: &VariantRound<'_>, span: impl Fn(&WorkerRun) -> Option<u64>) -> Option<f64> {
    of.workers().find(|worker| worker.attempt == 1).map(|worker| seconds(span(worker)))
}

/// A step of the first worker's load; nothing where its engine tells of no such step.
fn step(of: &VariantRound<'_>, span: fn(&LoadPhases) -> Option<u64>) -> Option<f64> {
    let worker = of.workers().find(|worker| worker.attempt == 1)?;
    match (&worker.phases, worker.load_ns) {
        (Some(phases), _) => span(phases).map(|ns| seconds(Some(ns))),
        (None, Some(_)) => None,
        (None, None) => Some(f64::INFINITY),
    }
}

fn cold_ttft(of: &VariantRound<'_>) -> Option<f64> {
    of.workers().find(|worker| worker.attempt == 1)?;
    let mut cold = of.requests(Phase::ColdStart).filter(|request| request.attempt <= 1);
    Some(seconds(cold.next().and_then(|request| request.token_ns.first().copied())))
}

fn seconds(nanoseconds: Option<u64>) -> f64 {
    nanoseconds.map_or(f64::INFINITY, |ns| ns as f64 * 1e-9)
}
