//! Owns the inter-token latency: the gaps between tokens after the first.

use super::{Metric, MetricInfo, Read, Statistic, TIME};

/// Seconds between one token and the next.
pub const ITL: Metric = Metric(&MetricInfo {
    id: "itl",
    title: "inter-token latency",
    read: Read::Tokens,
    details: &[Statistic::Median],
    words: ["faster tokens", "slower tokens"],
    ..TIME
});
