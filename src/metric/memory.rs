//! Owns the memory of a worker process: its peaks, of loading and of serving, what it holds in between, anonymous and
//! file-backed pages apart, and what each token adds.

use super::{Metric, MetricInfo, Needs, Read, Statistic, TIME, Unit, VariantRound};
use crate::record::{MemoryUse, WorkerRun};

const SIZE: MetricInfo = MetricInfo {
    unit: Unit::Bytes,
    needs: Needs::ProcessMemory,
    varies_by_session: false,
    words: ["less memory", "more memory"],
    ..TIME
};

/// Largest resident set of the worker process in a round (`VmHWM`), bytes.
pub const MEMORY: Metric = Metric(&MetricInfo {
    id: "memory",
    title: "peak memory",
    read: Read::Round(|of| compiled(of, |of| largest(of, |memory| memory.peak_rss))),
    table: &[Statistic::Mean],
    ..SIZE
});

/// Anonymous resident memory after the round's last request (`RssAnon`), bytes.
pub const MEMORY_ANON: Metric = Metric(&MetricInfo {
    id: "memory_anon",
    title: "memory, anonymous",
    read: Read::Round(|of| largest(of, |memory| memory.rss_anon)),
    details: &[Statistic::Mean],
    ..SIZE
});

/// Resident memory backed by files after the round's last request (`RssFile`), bytes.
pub const MEMORY_FILE: Metric = Metric(&MetricInfo {
    id: "memory_file",
    title: "memory, files",
    read: Read::Round(|of| largest(of, |memory| memory.rss_file)),
    details: &[Statistic::Mean],
    ..SIZE
});

/// Largest resident set until the model was loaded, bytes: what a memory limit must let through before the first request.
pub const MEMORY_LOAD_PEAK: Metric = Metric(&MetricInfo {
    id: "memory_load_peak",
    title: "memory, peak of loading",
    read: Read::Round(|of| {
        compiled(of, |of| of_worker(of, |worker| Some(worker.memory_loaded?.peak_rss)))
    }),
    details: &[Statistic::Mean],
    ..SIZE
});

/// Resident memory, anonymous and of files, when the model was loaded, bytes.
pub const MEMORY_LOADED: Metric = Metric(&MetricInfo {
    id: "memory_loaded",
    title: "memory, loaded",
    read: Read::Round(|of| of_worker(of, |worker| Some(worker.memory_loaded?.resident()))),
    details: &[Statistic::Mean],
    ..SIZE
});

/// Largest resident set from the loaded model to the round's last request, bytes.
pub const MEMORY_SERVING_PEAK: Metric = Metric(&MetricInfo {
    id: "memory_serving_peak",
    title: "memory, peak of serving",
    read: Read::Round(|of| of_worker(of, |worker| worker.serving_peak)),
    details: &[Statistic::Mean],
    ..SIZE
});

/// Resident memory, anonymous and of files, after the round's last request, bytes.
pub const MEMORY_STEADY: Metric = Metric(&MetricInfo {
    id: "memory_steady",
    title: "memory, steady",
    read: Read::Round(|of| largest(of, MemoryUse::resident)),
    details: &[Statistic::Mean],
    ..SIZE
});

/// Bytes that each token adds to the key-value cache, by the model's shape and the cache's type.
pub const KV_CACHE: Metric = Metric(&MetricInfo {
    id: "kv_cache_per_token",
    title: "KV cache per token",
    read: Read::Round(|of| of_worker(of, |worker| worker.kv_bytes_per_token)),
    needs: Needs::ModelShape,
    deterministic: true,
    details: &[Statistic::Mean],
    ..SIZE
});

/// A value of a process, but for the one that compiled the model for all later ones.
fn compiled(
    of: &VariantRound<'_>,
    value: impl Fn(&VariantRound<'_>) -> Option<f64>,
) -> Option<f64> {
    if of.made_model_cache() { None } else { value(of) }
}

/// The largest of a round's processes; after a restart there are several, and each held the model.
fn largest(of: &VariantRound<'_>, size: impl Fn(&MemoryUse) -> u64) -> Option<f64> {
    of_worker(of, |worker| Some(size(&worker.memory?)))
}

fn of_worker(of: &VariantRound<'_>, size: impl Fn(&WorkerRun) -> Option<u64>) -> Option<f64> {
    of.workers().filter_map(|worker| Some(size(worker)? as f64)).max_by(f64::total_cmp)
}
