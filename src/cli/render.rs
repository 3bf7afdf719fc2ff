//! Owns `perfgate report`, and the printing of reports for all subcommands.

use super::{Display, ReportArguments, exit};
use crate::baseline::Stores;
use crate::config::{self, WorkTree};
use crate::problem::{Problem, Result};
use crate::record::Results;
use crate::report::{self, Style};
use crate::session;
use crate::verdict::Outcome;
use std::io::{ErrorKind, IsTerminal, Write};

/// Prints the report of earlier results; the exit code is that of their outcome.
pub(super) fn report(arguments: &ReportArguments) -> Result<u8> {
    let results = session::read_results(&arguments.results)?;
    let stored = || Stores::load(&config::read_config(&WorkTree, &arguments.config)?, None);
    Ok(exit::code(print_results(&results, &arguments.display, stored)?))
}

/// Prints the report of some results; returns what they came to, if they were judged. `stored` reads the
/// store for formats that show its history.
pub(super) fn print_results(
    results: &Results,
    display: &Display,
    stored: impl FnOnce() -> Result<Stores>,
) -> Result<Option<Outcome>> {
    let mut report = report::build(results);
    if display.format.charts {
        report = report::with_history(report, results, stored().map(|stored| stored.sessions));
    }
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
