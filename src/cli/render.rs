//! Owns `perfgate report`, and the printing of reports for all subcommands.

use super::{Display, Export, exit};
use crate::problem::{Problem, Result};
use crate::record::Results;
use crate::report::{self, Format, Report, Sheet, Style};
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
    show(&report, display)?;
    Ok(report.outcome)
}

/// Writes a report to the files that are asked for, and prints it.
pub(super) fn show(report: &Report, display: &Display) -> Result<()> {
    let style = Style { color: colors(), verbose: display.loudness.verbose };
    for Export { format, file } in &display.export {
        // A file is read later: it has room for everything, and no colours.
        let style = Style { color: false, verbose: true };
        session::write_atomically(file, &(format.render)(report, style))?;
    }
    print(&(display.format.render)(report, style))
}

/// Prints a sheet in one of the formats that can show it.
pub(super) fn print_sheet(sheet: &Sheet, format: Format, verbose: bool) -> Result<()> {
    let render = format.sheet.expect("the command line takes no other format here");
    print(&render(sheet, Style { color: colors(), verbose }))
}

/// Whether colours are wanted: on a terminal, or with CLICOLOR_FORCE, and never with NO_COLOR.
pub(super) fn colors() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && (std::io::stdout().is_terminal() || set("CLICOLOR_FORCE"))
}

/// Prints to stdout. A reader that has gone (`perfgate report | head`) is no error.
pub(super) fn print(text: &str) -> Result<()> {
    let text = report::defuse(text);
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Problem::new(format!("cannot print: {error}")))
        }
        _ => Ok(()),
    }
}
