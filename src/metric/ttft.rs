//! Owns the time to first token: request start to first token.

use super::{Metric, MetricInfo, Read, Statistic, TIME};

/// Seconds from a request's start to its first token.
pub const TTFT: Metric = Metric(&MetricInfo {
    id: "ttft",
    title: "TTFT",
    read: Read::Request(|stamps| stamps.first),
    table: &[Statistic::Median],
    words: ["faster first token", "slower first token"],
    ..TIME
});
