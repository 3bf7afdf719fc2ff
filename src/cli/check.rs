//! Owns `perfgate check`: from the two files to the printed report and the exit code.

use super::progress::Progress;
use super::{CheckArguments, exit, relative, render};
use crate::config::{self, WorkTree};
use crate::problem::{Problem, Result};
use crate::record::Results;
use crate::report;
use crate::session::{self, Ended, Journal, Prepared, write_atomically};
use crate::worker::Interrupt;
use std::path::{Path, PathBuf};

/// Runs the gate.
pub(super) fn check(arguments: CheckArguments) -> Result<u8> {
    let prepared = prepare(&arguments)?;
    if !arguments.quiet {
        session::warnings(&prepared.header).iter().for_each(|text| eprintln!("warning: {text}"));
    }
    let interrupt = catch_interrupts()?;
    let program = std::env::current_exe()
        .map_err(|error| Problem::new(format!("cannot find perfgate's own binary: {error}")))?;
    let output = prepared.setup.config.output.clone();
    make_output(&output)?;
    let folder = output.join("sessions").join(&prepared.header.session);
    let mut journal = Journal::create(&folder, &prepared.header.session)?;
    let mut progress = Progress::new(&prepared.header.plan, arguments.quiet);
    let ended = session::run(&prepared, &mut journal, program, &interrupt, &mut progress);
    progress.finish();
    let samples = |problem: Problem| {
        if journal.samples() == 0 {
            journal.discard();
            return problem;
        }
        let place = format!("the samples so far are in {}", journal.path().display());
        let help = problem.help.clone().map_or(place.clone(), |help| format!("{help}\n  {place}"));
        problem.help(help)
    };
    match ended.map_err(samples)? {
        Ended::Complete(results) => {
            let report = report::build(&results);
            let files = save(&results, &report, &output, &folder).map_err(samples)?;
            render::print(&render::text(&report, arguments.format))?;
            if !arguments.quiet {
                eprintln!("\n{}", describe(&files, journal.path()));
            }
            Ok(exit::code(report.outcome))
        }
        Ended::Interrupted { rounds } => Err(samples(Problem::new(format!(
            "interrupted after {rounds} of {} rounds; nothing was judged",
            prepared.header.plan.rounds
        )))),
    }
}

fn prepare(arguments: &CheckArguments) -> Result<Prepared> {
    let thresholds = match &arguments.thresholds {
        Some(file) => file.clone(),
        None => arguments.config.with_file_name("thresholds.toml"),
    };
    let mut setup = config::read(&WorkTree, &arguments.config, &thresholds)?;
    if let Some(rounds) = arguments.rounds {
        setup.config.rounds = rounds;
    }
    let mut prepared = session::prepare(setup, Path::new("/"))?;
    prepared.use_cache = !arguments.fresh;
    Ok(prepared)
}

/// Makes the folder of everything generated, if it is not there, and keeps git from seeing it.
fn make_output(output: &Path) -> Result<()> {
    if output.exists() {
        return Ok(());
    }
    let problem = |error: std::io::Error| {
        Problem::io(output, "make the folder for results", &error)
            .help("name a writable folder with output = \"FOLDER\" in perfgate.toml")
    };
    std::fs::create_dir_all(output).map_err(problem)?;
    std::fs::write(output.join(".gitignore"), "*\n").map_err(problem)
}

/// The first Ctrl-C ends the session in order, a second one at once.
fn catch_interrupts() -> Result<Interrupt> {
    let interrupt = Interrupt::default();
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let flag = || std::sync::Arc::clone(&interrupt.0);
        signal_hook::flag::register_conditional_default(signal, flag())
            .and_then(|_| signal_hook::flag::register(signal, flag()))
            .map_err(|error| Problem::new(format!("cannot catch signal {signal}: {error}")))?;
    }
    // A limit on the size of files ends a process by default; caught, it is an error of the write.
    let signal = signal_hook::consts::SIGXFSZ;
    signal_hook::flag::register(signal, std::sync::Arc::default())
        .map_err(|error| Problem::new(format!("cannot catch signal {signal}: {error}")))?;
    Ok(interrupt)
}

/// Writes results and report, into the session's folder and as the latest.
fn save(
    results: &Results,
    report: &report::Report,
    output: &Path,
    session: &Path,
) -> Result<Vec<PathBuf>> {
    let mut json = serde_json::to_string(results).expect("results are plain data");
    json.push('\n');
    let markdown = report::markdown(report);
    let files = [("benchmark_results.json", &json), ("report.md", &markdown)];
    // The session's own first: a disk that is full shows there, and the latest stay as they are.
    for folder in [session, output] {
        for (name, content) in files {
            write_atomically(&folder.join(name), content)?;
        }
    }
    Ok(files.map(|(name, _)| output.join(name)).to_vec())
}

fn describe(files: &[PathBuf], journal: &Path) -> String {
    let mut text = String::new();
    for (what, file) in
        [("results", &files[0]), ("report ", &files[1]), ("journal", &journal.to_path_buf())]
    {
        text.push_str(&format!("{what}  {}\n", relative(file).display()));
    }
    text.trim_end().to_string()
}
