//! Owns the format `json`: the report as it is, for programs.

use super::{Format, Report, Sheet, Style};
use serde::Serialize;

/// The report's texts and figures as JSON.
pub(super) const FORMAT: Format = Format {
    id: "json",
    help: "The report's texts and figures as JSON",
    charts: false,
    render,
    sheet: Some(sheet),
};

fn render(report: &Report, _: Style) -> String {
    pretty(report)
}

fn sheet(sheet: &Sheet, _: Style) -> String {
    pretty(sheet)
}

fn pretty(data: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(data).expect("a report is plain data");
    text.push('\n');
    // GitHub's runner acts on this wherever a printed line has it; both say the same.
    text.replace("##[", "#\\u0023[")
}
