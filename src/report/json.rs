//! Owns the format `json`: the report as it is, for programs.

use super::{Format, Report, Style};

/// The report's texts and figures as JSON.
pub(super) const FORMAT: Format =
    Format { id: "json", help: "The report's texts and figures as JSON", render };

fn render(report: &Report, _: Style) -> String {
    let mut text = serde_json::to_string_pretty(report).expect("a report is plain data");
    text.push('\n');
    text
}
