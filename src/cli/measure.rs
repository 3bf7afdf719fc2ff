//! Owns what `check` and `run` have in common: preparing, measuring with progress, and saving.

use super::progress::Progress;
use super::render::tell;
use super::{Loudness, Measuring, TaskLimit, own_binary, relative};
use crate::config::{Config, Setup};
use crate::problem::{Problem, Result};
use crate::record::{Only, Part, Results};
use crate::report::{self, Style};
use crate::session::{
    self, Ended, Journal, Prepared, Recorded, find_interrupted, write_atomically,
};
use crate::worker::Interrupt;
use std::path::{Path, PathBuf};

/// How to measure and how to show it.
pub(super) struct Wanted<'a> {
    pub(super) measuring: &'a Measuring,
    pub(super) loudness: &'a Loudness,
}

/// What a session came to, and where it lies.
pub(super) struct Done {
    pub(super) part: Part,
    pub(super) folder: PathBuf,
    pub(super) journal: PathBuf,
}

/// Prepares a session with what the command line changes.
pub(super) fn prepare(mut setup: Setup, measuring: &Measuring) -> Result<Prepared> {
    if let Some(rounds) = measuring.rounds {
        setup.config.rounds = rounds;
    }
    narrow(&mut setup.config, measuring)?;
    let mut prepared = session::prepare(setup, Path::new("/"), &own_binary()?)?;
    prepared.use_cache = !measuring.fresh;
    prepared.header.plan.only = measuring.only;
    Ok(prepared)
}

/// Takes out of the configuration what is not asked for.
fn narrow(config: &mut Config, measuring: &Measuring) -> Result<()> {
    let some = !measuring.suite.is_empty()
        || !measuring.tags.is_empty()
        || measuring.limit.is_some()
        || measuring.shard.is_some();
    match measuring.only {
        Some(Only::Timing) => {
            (config.quality, config.fidelity) = (None, None);
            (config.sustained, config.concurrency) = (None, None);
        }
        Some(Only::Quality) => {
            config.rounds = 0;
            (config.sustained, config.concurrency) = (None, None);
        }
        Some(Only::Load) => {
            config.rounds = 0;
            (config.quality, config.fidelity) = (None, None);
            if config.sustained.is_none() && config.concurrency.is_none() {
                return Err(Problem::new("there is no load to measure alone").help(
                    "add [sustained] with minutes = 5, or [concurrency] with streams = [1, 2] and seconds = 30, to \
                     perfgate.toml, or leave out --only",
                ));
            }
        }
        None => {}
    }
    let Some(quality) = &mut config.quality else {
        let nothing = measuring.only == Some(Only::Quality) && config.fidelity.is_none();
        return match some || nothing {
            true => Err(Problem::new("there are no graded tasks to choose from")
                .help("add [quality] with tasks = \"FILE\" to perfgate.toml, or leave out --only, --suite, --tags, --limit and --shard")),
            false => Ok(()),
        };
    };
    let sample = &mut quality.sample;
    sample.suites = measuring.suite.clone();
    sample.tags = measuring.tags.clone();
    sample.shard = measuring.shard.map(|shard| (shard.part, shard.of));
    match measuring.limit {
        Some(TaskLimit::All) => sample.limit = None,
        Some(TaskLimit::Some(count)) => sample.limit = Some(count),
        None => {}
    }
    Ok(())
}

/// Runs a prepared session, or goes on with the one that was interrupted.
pub(super) fn measure(prepared: &mut Prepared, wanted: &Wanted<'_>) -> Result<Done> {
    let output = prepared.setup.config.output.clone();
    let interrupt = catch_interrupts()?;
    let program = own_binary()?;
    if !wanted.loudness.quiet {
        let warnings = session::warnings(&prepared.header);
        warnings.iter().for_each(|text| tell(&format!("warning: {text}")));
    }
    let (mut journal, before) = if wanted.measuring.resume {
        resume(prepared, &output, wanted.loudness.quiet)?
    } else {
        prepared.setup.config.make_output()?;
        let folder = output.join("sessions").join(&prepared.header.session);
        (Journal::create(&folder, &prepared.header.session)?, None)
    };
    let done = before.as_ref().map_or(0, |before| before.rounds.len());
    let mut progress = Progress::new(&prepared.header.plan, done, wanted.loudness);
    let ended = session::run(prepared, &mut journal, program, &interrupt, &mut progress, before);
    progress.finish();
    let place = journal.path().to_path_buf();
    let samples = |problem: Problem| {
        if journal.samples() == 0 && !wanted.measuring.resume {
            journal.discard();
            return problem;
        }
        let place = format!("the samples so far are in {}", place.display());
        let help = problem.help.clone().map_or(place.clone(), |help| format!("{help}\n  {place}"));
        problem.help(help)
    };
    match ended.map_err(samples)? {
        Ended::Complete(part) => {
            let folder = place.parent().unwrap_or(&output).to_path_buf();
            Ok(Done { part: *part, folder, journal: place })
        }
        Ended::Interrupted { rounds } => Err(samples(
            Problem::new(match prepared.header.plan.rounds {
                0 if prepared.header.plan.only == Some(Only::Load) => {
                    "interrupted under load; nothing was judged".to_string()
                }
                0 => "interrupted in the quality pass; nothing was judged".to_string(),
                all => format!("interrupted after {rounds} of {all} rounds; nothing was judged"),
            })
            .help("the same command with --resume goes on from there"),
        )),
    }
}

/// Takes up the interrupted session, and says what is used again.
fn resume(
    prepared: &mut Prepared,
    output: &Path,
    quiet: bool,
) -> Result<(Journal, Option<Recorded>)> {
    let interrupted = find_interrupted(prepared, output)?;
    let journal = Journal::reopen(&interrupted.journal, &prepared.header.session)?;
    if !quiet {
        tell(&format!(
            "resuming session {}: {} of {} rounds and {} graded answers are there{}",
            prepared.header.session,
            interrupted.rounds(),
            prepared.header.plan.rounds,
            interrupted.recorded.answers.len(),
            match interrupted.recorded.load.len() {
                0 => String::new(),
                loads => format!(", and {loads} loads"),
            }
        ));
    }
    Ok((journal, Some(interrupted.recorded)))
}

/// The first Ctrl-C ends the session in order, a second one at once.
pub(super) fn catch_interrupts() -> Result<Interrupt> {
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

/// Writes results to some files, in this order, and their report as Markdown beside each.
pub(super) fn save(results: &Results, files: &[&Path]) -> Result<()> {
    let mut json = serde_json::to_string(results).expect("results are plain data");
    json.push('\n');
    let markdown = (report::MARKDOWN.render)(&report::build(results), Style::default());
    for file in files {
        write_atomically(file, &json)?;
        write_atomically(&file.with_file_name("report.md"), &markdown)?;
    }
    Ok(())
}

/// Where everything lies.
pub(super) fn describe(results: &Path, journal: Option<&Path>) -> String {
    let report = results.with_file_name("report.md");
    let mut lines = vec![("results", results), ("report ", report.as_path())];
    lines.extend(journal.map(|journal| ("journal", journal)));
    let line = |(what, file): (&str, &Path)| format!("{what}  {}", relative(file).display());
    lines.into_iter().map(line).collect::<Vec<_>>().join("\n")
}
