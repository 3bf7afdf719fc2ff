//! Owns `perfgate report`, and the printing of reports for all subcommands.

use super::{Format, exit};
use crate::problem::{Problem, Result};
use crate::report::{self, Report};
use crate::session;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;

/// Prints the report of earlier results; the exit code is that of their outcome.
pub(super) fn report(results: &Path, format: Format) -> Result<u8> {
    let report = report::build(&session::read_results(results)?);
    print(&text(&report, format))?;
    Ok(exit::code(report.outcome))
}

/// A report in a format.
pub(super) fn text(report: &Report, format: Format) -> String {
    match format {
        Format::Terminal => report::terminal(report, colors()),
        Format::Markdown => report::markdown(report),
        Format::Json => {
            let mut text = serde_json::to_string_pretty(report).expect("a report is plain data");
            text.push('\n');
            text
        }
    }
}

/// Whether stdout is a terminal whose user wants colors.
pub(super) fn colors() -> bool {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !plain
}

/// Prints to stdout. A reader that has gone (`perfgate report | head`) is no error.
pub(super) fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Problem::new(format!("cannot print: {error}")))
        }
        _ => Ok(()),
    }
}
