//! Owns `perfgate check`: from the two files to the printed report and the exit code, by measuring or
//! from what was measured before.

use super::measure::{self, Wanted};
use super::{CheckArguments, Setting, exit, plan, policy, render};
use crate::baseline::Stores;
use crate::config::{Setup, Thresholds};
use crate::problem::{Problem, Result};
use crate::record::{Part, Results};
use crate::session::{self, Prepared, read_results};
use std::path::Path;

/// Runs the gate.
pub(super) fn check(arguments: &CheckArguments) -> Result<u8> {
    let setup = policy::setup(&arguments.setting, &arguments.judging, arguments.measuring.rounds)?;
    if let Some(file) = &arguments.results {
        return judge_saved(arguments, &setup, file.as_deref());
    }
    let mut prepared = measure::prepare(setup, &arguments.measuring)?;
    let latest = prepared.setup.config.output.join("benchmark_results.json");
    // What is no result any more tells nothing of the noise, and is about to be replaced.
    let before = if latest.exists() { read_results(&latest).ok() } else { None };
    let forecast = session::plan_looks(&mut prepared, before.as_ref());
    if arguments.dry_run {
        return plan::print_plan(&prepared, &forecast);
    }
    if !arguments.display.quiet && !arguments.measuring.resume {
        eprint!("{}", plan::looks(&prepared, &forecast));
    }
    if forecast.nothing_to_measure() {
        return judge_unmeasured(arguments, &prepared, &latest);
    }
    let wanted = Wanted { measuring: &arguments.measuring, display: &arguments.display };
    let done = measure::measure(&mut prepared, &wanted)?;
    let results = session::judged(vec![done.part], &prepared.setup, &[], &prepared.stored);
    // The session's own first: a disk that is full shows there, and the latest stay as they are.
    measure::save(&results, &[&done.folder.join("benchmark_results.json"), &latest])?;
    finish(arguments, &results, (&latest, Some(&done.journal)), &prepared.stored)
}

/// Judges a session of which every verdict is known: what is the same by its content needs no measuring.
fn judge_unmeasured(arguments: &CheckArguments, prepared: &Prepared, latest: &Path) -> Result<u8> {
    prepared.setup.config.make_output()?;
    let part = Part::begin(prepared.header.clone());
    let results = session::judged(vec![part], &prepared.setup, &[], &prepared.stored);
    measure::save(&results, &[latest])?;
    finish(arguments, &results, (latest, None), &prepared.stored)
}

/// Applies the rules to saved results and saves the verdicts with them.
fn judge_saved(arguments: &CheckArguments, setup: &Setup, file: Option<&Path>) -> Result<u8> {
    let latest = setup.config.output.join("benchmark_results.json");
    let file = file.unwrap_or(&latest);
    let saved = read_results(file)?;
    let stored = Stores::load(&setup.config, setup.thresholds.as_ref())?;
    let results = session::judged(saved.parts, setup, &[], &stored);
    measure::save(&results, &[file])?;
    finish(arguments, &results, (file, None), &stored)
}

fn finish(
    arguments: &CheckArguments,
    results: &Results,
    (file, journal): (&Path, Option<&Path>),
    stored: &Stores,
) -> Result<u8> {
    let outcome = render::print_results(results, &arguments.display, || Ok(stored.clone()))?;
    if !arguments.display.quiet {
        eprintln!("\n{}", measure::describe(file, journal));
    }
    Ok(exit::code(outcome))
}

/// Both files.
pub(super) fn setup(setting: &Setting) -> Result<Setup> {
    let file = setting.thresholds_file();
    let mut setup = crate::config::read(&crate::config::WorkTree, &setting.config, Some(&file))?;
    policy::waive(&mut setup);
    Ok(setup)
}

/// The rules of a set-up that has them.
pub(super) fn rules(setup: &Setup) -> Result<&Thresholds> {
    setup.thresholds.as_ref().ok_or_else(|| Problem::new("there are no rules"))
}
