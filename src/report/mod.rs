//! Owns the one [`Report`] that every output format renders, and the formats, which are pure functions
//! of it. No figure is computed anew here.
//!
//! Each format has one file here and one line in [`FORMATS`].

mod action;
mod bisection;
mod build;
mod charts;
mod clean;
pub mod comment;
mod dashboards;
mod effective;
mod energy;
mod escape;
mod explanation;
mod fidelity;
mod figures;
mod history;
mod html;
mod json;
mod junit;
mod line;
mod load;
mod markdown;
mod notices;
mod paint;
mod recommendation;
mod reproduce;
mod rows;
mod setup;
mod sheet;
mod starts;
mod stored;
mod tables;
mod tasks;
mod terminal;
mod words;

use action::action;
pub use bisection::{Step, of_bisection};
pub use build::build;
use build::some;
pub use charts::{Axis, Chart, Charts, Layer, Look, Marks, Place, Ticks, with_history};
pub use clean::{defuse, harmless};
pub use explanation::of_explanation;
pub use figures::{ByRound, Figure, Judged};
pub use history::{Scene, of_history};
pub use load::LoadFigure;
pub use paint::{Tone, paint};
pub use recommendation::{Choice, Recommended};
pub use reproduce::quoted;
pub use sheet::{Grid, Sheet, of_calibration};
pub use starts::of_starts;
pub use stored::{of_stored, of_two_stored};
pub use terminal::wrap;

use crate::record::{PolicyChange, Severity, VerdictKind};
use crate::verdict::Outcome;
use serde::Serialize;

/// Every format, the default first.
pub const FORMATS: &[Format] = &[
    terminal::FORMAT,
    markdown::FORMAT,
    json::FORMAT,
    line::FORMAT,
    html::FORMAT,
    junit::FORMAT,
    dashboards::BMF,
    dashboards::SMALLER,
    dashboards::BIGGER,
];

/// The Markdown that is saved with each session.
pub const MARKDOWN: Format = markdown::FORMAT;

/// A way to print a report.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// The word of `--format`.
    pub id: &'static str,
    /// What it is, for `--help`.
    pub help: &'static str,
    /// Whether it shows charts, so that the history is worth reading.
    pub charts: bool,
    /// Turns a report into text that ends with a line's end.
    pub render: fn(&Report, Style) -> String,
    /// The same for a sheet; formats that hold nothing but rules or figures have none.
    pub sheet: Option<fn(&Sheet, Style) -> String>,
}

/// How a terminal is written to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Whether it shows colours.
    pub color: bool,
    /// Whether details and environment are wanted too.
    pub verbose: bool,
}

/// What was measured, and what it came to, as people read it: words and formatted figures, in the order
/// of reading.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The ids of the sessions that measured it.
    pub sessions: Vec<String>,
    /// What it came to; missing where variants were measured and not judged.
    pub outcome: Option<Outcome>,
    /// The verdict in one sentence.
    pub headline: String,
    /// Whether nothing blocks although the estimate of a gating rule is beyond its limit, which is not called a pass.
    #[serde(skip)]
    pub in_doubt: bool,
    /// What a reader must know before the figures: what was not measured as it seems, or compares two things that are
    /// not the same model, or one model with itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// Whose rules it was judged by, and what has to be known about them; nothing where it is the work
    /// tree's own as a matter of course.
    pub authority: Vec<String>,
    /// What the change would do to the policy.
    pub policy: Vec<PolicyChange>,
    /// The rules, by what a reader has to do with them.
    pub sections: Vec<Section>,
    /// The rules one by one, in the order of `thresholds.toml`.
    pub rules: Vec<Judged>,
    /// The values as numbers, by variant.
    pub figures: Vec<Figure>,
    /// The commands that measure the same again; none where the commits are not known.
    pub reproduce: Vec<String>,
    /// The table of variants.
    pub variants: VariantTable,
    /// More of their metrics.
    pub details: VariantTable,
    /// What the graded tasks came to, table by table.
    pub tasks: Vec<Grid>,
    /// How far the variants' predictions of the same documents are from the reference's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fidelity: Vec<Grid>,
    /// Why variants differ in speed, as far as reading and arithmetic show it; a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// Which variant to deploy where; missing where there is no choice, or nothing was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommended: Option<Recommended>,
    /// What came of load for minutes and of several requests at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub load: Vec<Grid>,
    /// More of it: block by block, probe by probe.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub load_details: Vec<Grid>,
    /// The same as numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub load_figures: Vec<LoadFigure>,
    /// Graded tasks whose grade is another than the reference's: those lost, those won.
    pub flips: Vec<Grid>,
    /// Failed requests, one line for each variant and kind of failure.
    pub failures: Vec<String>,
    /// What a reader must know before trusting the figures.
    pub warnings: Vec<String>,
    /// How the verdicts were reached.
    pub method: Vec<String>,
    /// The machine, the versions, the provenance: name and value.
    pub environment: Vec<(String, String)>,
    /// The charts, for formats that draw.
    #[serde(skip)]
    pub charts: Charts,
}

/// What a reader has to do with some rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionKind {
    /// Gating rules that are broken or could not be judged.
    Broken,
    /// Rules beyond their limit that a waiver lets pass.
    Waived,
    /// Gating rules without enough evidence.
    Undecided,
    /// Rules that only inform and don't hold.
    Informing,
    /// Rules that hold.
    Holding,
}

/// Some rules with what to do about them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Section {
    /// What a reader has to do with them.
    pub kind: SectionKind,
    /// The heading.
    pub title: String,
    /// The rules, by what is held against what.
    pub groups: Vec<RuleGroup>,
    /// What to do next.
    pub next: Vec<String>,
}

impl Section {
    /// The rows of its tables.
    fn rows(&self) -> usize {
        self.groups.iter().map(|group| group.rows.len()).sum()
    }
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
    /// Its line in `thresholds.toml`.
    pub line: usize,
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
    /// The observed noise by round (against a baseline by session).
    pub noise: String,
    /// The smallest true effect that would probably have been proven broken.
    pub detects: String,
    /// What it came to.
    pub verdict: VerdictKind,
    /// Why, where the figures don't say it.
    pub reason: String,
}

/// A row for each metric, a column for each variant.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct VariantTable {
    /// The variants; the reference is marked.
    pub columns: Vec<String>,
    /// The metrics.
    pub rows: Vec<VariantRow>,
    /// Why some values are not there, and what a reader must know of others.
    pub notes: Vec<String>,
}

/// One metric of every variant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VariantRow {
    /// The metric and statistic in words.
    pub what: String,
    /// Its value by variant.
    pub cells: Vec<VariantCell>,
    /// What changed against the reference, in words; a line for each variant that did.
    pub changes: Vec<String>,
}

/// One metric of one variant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VariantCell {
    /// The value.
    pub text: String,
    /// Whether its interval excludes that it is as the reference.
    pub differs: bool,
}
