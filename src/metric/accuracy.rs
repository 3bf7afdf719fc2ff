//! Owns the shares of graded tasks: answered right, and without a usable answer.

use super::{Better, Metric, MetricInfo, Read, Statistic, TIME, Unit};
use crate::record::Grade;

const GRADED: MetricInfo = MetricInfo {
    unit: Unit::Proportion,
    deterministic: true,
    varies_by_session: false,
    default_statistic: Statistic::Rate,
    default_limit: 0.01,
    ..TIME
};

/// Graded tasks that were answered right.
pub const ACCURACY: Metric = Metric(&MetricInfo {
    id: "accuracy",
    title: "accuracy",
    better: Better::Higher,
    read: Read::Answers(|grade| grade != Grade::Right),
    table: &[Statistic::Rate],
    words: ["more right answers", "fewer right answers"],
    ..GRADED
});

/// Graded tasks without a usable answer.
pub const TASK_FAILURE_RATE: Metric = Metric(&MetricInfo {
    id: "task_failure_rate",
    title: "task failure rate",
    read: Read::Answers(|grade| grade == Grade::Failed),
    details: &[Statistic::Rate],
    words: ["fewer failures", "more failures"],
    ..GRADED
});
