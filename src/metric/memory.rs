//! Owns the memory of a worker process: its peak, and anonymous and file-backed pages apart.

use super::{Metric, MetricInfo, Needs, Read, Statistic, TIME, Unit, VariantRound};
use crate::record::MemoryUse;

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
    read: Read::Round(|of| largest(of, |memory| memory.peak_rss)),
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

/// The largest of a round's processes; after a restart there are several, and each held the model.
fn largest(of: &VariantRound<'_>, size: impl Fn(&MemoryUse) -> u64) -> Option<f64> {
    of.workers().filter_map(|worker| Some(size(&worker.memory?) as f64)).max_by(f64::total_cmp)
}
