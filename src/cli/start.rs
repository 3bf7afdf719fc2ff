//! Owns `perfgate start`: cold starts of variants under several conditions, or those of a file.

use super::measure::catch_interrupts;
use super::render;
use super::{StartArguments, Vary, exit, own_binary, relative};
use crate::config::{self, WorkTree};
use crate::problem::{Problem, Result};
use crate::record::{StartSample, Starts};
use crate::report;
use crate::session::{self, Factor, write_atomically};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Measures, saves each start as it comes, and prints the table.
pub(super) fn start(arguments: &StartArguments) -> Result<u8> {
    let (starts, file) = match &arguments.results {
        Some(file) => {
            let file = match file {
                Some(file) => file.clone(),
                None => in_output(&config::read_config(&WorkTree, &arguments.config)?.output),
            };
            (session::read_starts(&file)?, None)
        }
        None => {
            let (starts, file) = measure(arguments)?;
            (starts, Some(file))
        }
    };
    let sheet = report::of_starts(&starts);
    let loudness = arguments.display.loudness;
    render::print_sheet(&sheet, arguments.display.format, loudness.verbose)?;
    if let Some(file) = file.filter(|_| !loudness.quiet) {
        render::tell(&format!("\nsamples  {}", relative(&file).display()));
    }
    Ok(if starts.samples.iter().all(|sample| sample.run.failure.is_none()) {
        exit::HOLDS
    } else {
        exit::COULD_NOT_RUN
    })
}

fn in_output(output: &Path) -> PathBuf {
    output.join("starts.json")
}

fn measure(arguments: &StartArguments) -> Result<(Starts, PathBuf)> {
    let mut setup = config::read(&WorkTree, &arguments.config, None)?;
    // What is asked of graded tasks and documents is no matter of starts.
    (setup.config.quality, setup.config.fidelity) = (None, None);
    if !arguments.variants.is_empty() {
        setup.config.keep(&arguments.variants)?;
    }
    setup.config.make_output()?;
    let output = arguments.output.clone().unwrap_or_else(|| in_output(&setup.config.output));
    let factors: Vec<Factor> = arguments.vary.iter().filter_map(|vary| vary.factor()).collect();
    let program = own_binary()?;
    let root = Path::new("/");
    let prepared = session::prepare_starts(setup, arguments.repeats, &factors, root, &program)?;
    let interrupt = catch_interrupts()?;
    let quiet = arguments.display.loudness.quiet;
    let progress = Progress::new(session::starts_in(&prepared.starts.plan), quiet);
    let mut saved = 0;
    let mut save = |starts: &Starts| {
        let mut json = serde_json::to_string(starts).expect("starts are plain data");
        json.push('\n');
        write_atomically(&output, &json)?;
        if starts.samples.len() > saved {
            saved = starts.samples.len();
            progress.done(&starts.samples[saved - 1], saved);
        }
        Ok(())
    };
    let ended = session::run_starts(prepared, &program, &interrupt, &mut save);
    progress.finish();
    match ended {
        Ok(starts) => Ok((starts, output)),
        Err(problem) if saved > 0 => Err(with_place(problem, &output)),
        Err(problem) => Err(problem),
    }
}

/// Says where the starts are that were measured before a problem.
fn with_place(problem: Problem, output: &Path) -> Problem {
    let place = format!(
        "the starts so far are in {}; `perfgate start --results` prints them",
        relative(output).display()
    );
    let help = problem.help.clone().map_or(place.clone(), |help| format!("{help}\n  {place}"));
    problem.help(help)
}

impl Vary {
    fn factor(self) -> Option<Factor> {
        match self {
            Vary::PageCache => Some(Factor::PageCache),
            Vary::ModelCache => Some(Factor::ModelCache),
            Vary::Mmap => Some(Factor::Mmap),
            Vary::None => None,
        }
    }
}

/// What is shown while it runs: a bar on a terminal, a line for each repeat elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
    all: u64,
    repeat: std::cell::Cell<u32>,
}

impl Progress {
    fn new(all: u64, quiet: bool) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let bar = (terminal && !quiet).then(|| {
            let style = ProgressStyle::with_template(
                "{bar:30} {pos}/{len} starts, about {eta} left  {wide_msg}",
            );
            let bar = ProgressBar::new(all);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(std::time::Duration::from_millis(500));
            bar
        });
        if !quiet {
            render::tell(&format!("{all} starts, each in a fresh process"));
        }
        Progress { bar, lines: !terminal && !quiet, all, repeat: std::cell::Cell::new(u32::MAX) }
    }

    fn done(&self, sample: &StartSample, count: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(count as u64);
            bar.set_message(report::harmless(&sample.run.variant));
        }
        if self.lines && self.repeat.replace(sample.repeat) != sample.repeat {
            let what = match sample.repeat {
                0 => "filling model caches".to_string(),
                repeat => format!("repeat {repeat}"),
            };
            render::tell(&format!("{what}: start {count} of {}", self.all));
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
