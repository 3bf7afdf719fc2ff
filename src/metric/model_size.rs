//! Owns the size of the model's files, which the same model has in every round.

use super::{Metric, MetricInfo, Read, Statistic, TIME, Unit};

/// Bytes of the files that the engine reads, just before the worker is spawned. A compiled model that the engine keeps
/// beside them (CACHE_DIR) is not counted.
pub const MODEL_SIZE: Metric = Metric(&MetricInfo {
    id: "model_size",
    title: "model size",
    unit: Unit::Bytes,
    read: Read::Round(|of| Some(of.workers().next()?.model_bytes? as f64)),
    deterministic: true,
    varies_by_session: false,
    table: &[Statistic::Mean],
    words: ["smaller files", "larger files"],
    ..TIME
});
