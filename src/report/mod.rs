//! Owns the one [`Report`] that every output format renders, and the renderers, which are pure
//! functions of it. No figure is computed anew here.

mod build;
mod render;
mod words;

pub use build::build;
pub use render::{markdown, terminal};

use crate::record::{Severity, VerdictKind};
use crate::verdict::Outcome;
use serde::Serialize;

/// A session as people read it: words and formatted figures, in the order of reading.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The session's id.
    pub session: String,
    /// What the session came to.
    pub outcome: Outcome,
    /// The verdict in one sentence.
    pub headline: String,
    /// The rules, grouped by what is held against what.
    pub groups: Vec<RuleGroup>,
    /// The table of variants.
    pub variants: VariantTable,
    /// Failed requests, one line for each variant and kind of failure.
    pub failures: Vec<String>,
    /// What a reader must know before trusting the figures.
    pub warnings: Vec<String>,
    /// How the verdicts were reached.
    pub method: Vec<String>,
    /// The machine, the versions, the provenance: name and value.
    pub environment: Vec<(String, String)>,
}

/// Rules that judge the same variant against the same other side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleGroup {
    /// Such as `int8 against fp16-ov`.
    pub title: String,
    /// What the column of the other side is called; none for fixed limits, which have no such column.
    pub base_title: Option<String>,
    /// What the column of the variant judged is called.
    pub now_title: String,
    /// The rules in the order of `thresholds.toml`.
    pub rows: Vec<RuleRow>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleRow {
    /// The rule's id.
    pub id: String,
    /// Whether it gates.
    pub severity: Severity,
    /// The metric and statistic in words.
    pub what: String,
    /// Value of the other side; for a fixed limit the limit itself, which has its own column.
    pub base: String,
    /// Value of the variant judged.
    pub now: String,
    /// The change; nothing for a fixed limit.
    pub change: String,
    /// The interval that decides.
    pub interval: String,
    /// The limit in words.
    pub limit: String,
    /// What it came to.
    pub verdict: VerdictKind,
    /// Why, where the figures don't say it.
    pub reason: String,
}

/// A row for each metric, a column for each variant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VariantTable {
    /// The variants; the reference is marked.
    pub columns: Vec<String>,
    /// Name of the metric and its value by variant.
    pub rows: Vec<(String, Vec<String>)>,
    /// Why some values are not there.
    pub notes: Vec<String>,
}
