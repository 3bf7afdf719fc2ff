//! Owns the output rate: all generated tokens over the whole latency, as a user waits for them.

use super::{Better, Metric, MetricInfo, Read, Statistic, TIME, Unit};

/// Tokens per second from a request's start to its last token.
pub const OUTPUT_RATE: Metric = Metric(&MetricInfo {
    id: "output_rate",
    title: "output rate",
    unit: Unit::TokensPerSecond,
    better: Better::Higher,
    read: Read::Request(|stamps| (stamps.gaps + 1.0) / stamps.last),
    details: &[Statistic::Mean],
    words: ["higher output rate", "lower output rate"],
    ..TIME
});
