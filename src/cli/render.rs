//! Owns `perfgate report`, and the printing of reports for all subcommands.

use super::{Display, Export, ReportArguments, exit};
use crate::baseline::Stores;
use crate::config::{self, WorkTree};
use crate::problem::{Problem, Result};
use crate::record::Results;
use crate::report::{self, Format, Report, Sheet, Style};
use crate::session;
use std::io::{ErrorKind, IsTerminal, Write};

/// Prints the report of earlier results; the exit code is that of their outcome.
pub(super) fn report(arguments: &ReportArguments) -> Result<u8> {
    let results = session::read_results(&arguments.results)?;
    let stored = || Stores::load(&config::read_config(&WorkTree, &arguments.config)?, None);
    Ok(exit::code(show(&results, &arguments.display, stored)?.outcome))
}

/// Makes the report of some results, writes it to the files that are asked for, and prints it. `stored` reads
/// the store for formats that show its history.
pub(super) fn show(
    results: &Results,
    display: &Display,
    stored: impl FnOnce() -> Result<Stores>,
) -> Result<Report> {
    let mut report = report::build(results);
    let formats = display.export.iter().map(|export| export.format).chain([display.format]);
    if formats.into_iter().any(|format| format.charts) {
        report = report::with_history(report, results, stored().map(|stored| stored.sessions));
    }
    for Export { format, file } in &display.export {
        // A file is read later: it has room for everything, and no colours.
        let style = Style { color: false, verbose: true };
        session::write_atomically(file, &(format.render)(&report, style))?;
    }
    let style = Style { color: colors(), verbose: display.loudness.verbose };
    print(&(display.format.render)(&report, style))?;
    Ok(report)
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

/// A line on stderr, in which names and messages of any origin are nothing but text.
pub(super) fn tell(text: &str) {
    eprintln!("{}", report::harmless(text.trim_end()));
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
