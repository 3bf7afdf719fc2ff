//! Owns throughput: generated tokens after the first over the time after the first.

use super::{Better, Metric, MetricInfo, Read, Statistic, TIME, Unit};

/// Tokens per second of decoding.
pub const THROUGHPUT: Metric = Metric(&MetricInfo {
    id: "throughput",
    title: "throughput",
    unit: Unit::TokensPerSecond,
    better: Better::Higher,
    read: Read::Request(|stamps| stamps.gaps / (stamps.last - stamps.first)),
    table: &[Statistic::Mean],
    words: ["higher throughput", "lower throughput"],
    ..TIME
});
