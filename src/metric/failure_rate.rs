//! Owns the failure rate: the share of the timed requests that failed.

use super::{Metric, MetricInfo, Read, Statistic, TIME, Unit};

/// Failed over all timed requests.
pub const FAILURE_RATE: Metric = Metric(&MetricInfo {
    id: "failure_rate",
    title: "failure rate",
    unit: Unit::Proportion,
    read: Read::Requests(|request| request.failure.is_some()),
    varies_by_session: false,
    default_statistic: Statistic::Rate,
    default_limit: 0.001,
    table: &[Statistic::Rate],
    words: ["fewer failures", "more failures"],
    ..TIME
});
