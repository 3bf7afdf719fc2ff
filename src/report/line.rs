//! Owns the format `line`: the verdict in one line, for a commit status or a message.

use super::{Format, Report, Sheet, Style};

/// The verdict alone.
pub(super) const FORMAT: Format = Format {
    id: "line",
    help: "The verdict in one line",
    charts: false,
    render,
    sheet: Some(sheet),
};

fn render(report: &Report, _: Style) -> String {
    format!("{}\n", report.headline)
}

fn sheet(sheet: &Sheet, _: Style) -> String {
    format!("{}\n", sheet.headline)
}
