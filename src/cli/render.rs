//! Owns `perfgate report`, and the printing of reports for all subcommands.

use super::{Display, exit};
use crate::problem::{Problem, Result};
use crate::record::Results;
use crate::report::{self, Style};
use crate::session;
use crate::verdict::Outcome;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;

/// Prints the report of earlier results; the exit code is that of their outcome.
pub(super) fn report(results: &Path, display: &Display) -> Result<u8> {
    Ok(exit::code(print_results(&session::read_results(results)?, display)?))
}

/// Prints the report of some results; returns what they came to, if they were judged.
pub(super) fn print_results(results: &Results, display: &Display) -> Result<Option<Outcome>> {
    let report = report::build(results);
    let style = Style { color: colors(), verbose: display.verbose };
    print(&(display.format.render)(&report, style))?;
    Ok(report.outcome)
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
