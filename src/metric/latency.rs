//! Owns latency: request start to last token.

use super::{Metric, MetricInfo, Read, Statistic, TIME};

/// Seconds from a request's start to its last token.
pub const LATENCY: Metric = Metric(&MetricInfo {
    id: "latency",
    title: "latency",
    read: Read::Request(|stamps| stamps.last),
    table: &[Statistic::Median, Statistic::P99],
    details: &[Statistic::P90, Statistic::P99OverP50, Statistic::Cv],
    words: ["faster answers", "slower answers"],
    ..TIME
});
