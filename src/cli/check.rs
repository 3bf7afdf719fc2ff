//! Owns `perfgate check`: from the two files to the printed report and the exit code, by measuring or
//! from what was measured before.

use super::measure::{self, Wanted};
use super::{CheckArguments, Setting, exit, plan, policy, publish, render};
use crate::baseline::Stores;
use crate::config::{Setup, Thresholds};
use crate::github::workflow::Step;
use crate::problem::{Problem, Result};
use crate::record::{Invocation, Part, Results};
use crate::session::{self, Prepared, read_results};
use std::path::Path;

/// Runs the gate, and tells GitHub what it came to if that is wanted.
pub(super) fn check(arguments: &CheckArguments) -> Result<u8> {
    let step = arguments.github.then(Step::of_environment).transpose()?;
    let done = gate(arguments, step.as_ref());
    if let (Some(step), Err(problem)) = (&step, &done) {
        publish::problem(step, problem, &arguments.setting.config)?;
    }
    done
}

fn gate(arguments: &CheckArguments, step: Option<&Step>) -> Result<u8> {
    let setup = policy::setup(&arguments.setting, &arguments.judging, arguments.measuring.rounds)?;
    if let Some(file) = &arguments.results {
        return judge_saved(arguments, step, &setup, file.as_deref());
    }
    let mut prepared = measure::prepare(setup, &arguments.measuring)?;
    prepared.header.provenance.asked = Some(asked(arguments));
    let latest = prepared.setup.config.output.join("benchmark_results.json");
    // What is no result any more tells nothing of the noise, and is about to be replaced.
    let before = if latest.exists() { read_results(&latest).ok() } else { None };
    let forecast = session::plan_looks(&mut prepared, before.as_ref());
    if arguments.dry_run {
        return plan::print_plan(&prepared, &forecast);
    }
    if !arguments.display.loudness.quiet && !arguments.measuring.resume {
        render::tell(&plan::looks(&prepared, &forecast));
    }
    if forecast.nothing_to_measure() {
        return judge_unmeasured(arguments, step, &prepared, &latest);
    }
    let wanted = Wanted { measuring: &arguments.measuring, loudness: &arguments.display.loudness };
    let done = measure::measure(&mut prepared, &wanted)?;
    let results = session::judged(vec![done.part], &prepared.setup, &[], &prepared.stored);
    // The session's own first: a disk that is full shows there, and the latest stay as they are.
    measure::save(&results, &[&done.folder.join("benchmark_results.json"), &latest])?;
    finish(arguments, step, &results, (&latest, Some(&done.journal)), &prepared.stored)
}

/// What the command line says of what is measured and by what rules; the commits stand elsewhere.
fn asked(arguments: &CheckArguments) -> Invocation {
    let setting = &arguments.setting;
    Invocation {
        config: publish::from_top(&setting.config),
        thresholds: setting.thresholds.as_deref().map(publish::from_top),
        rounds: arguments.measuring.rounds,
        narrowed: arguments.measuring.narrowed(),
    }
}

/// Judges a session of which every verdict is known: what is the same by its content needs no measuring.
fn judge_unmeasured(
    arguments: &CheckArguments,
    step: Option<&Step>,
    prepared: &Prepared,
    latest: &Path,
) -> Result<u8> {
    prepared.setup.config.make_output()?;
    let part = Part::begin(prepared.header.clone());
    let results = session::judged(vec![part], &prepared.setup, &[], &prepared.stored);
    measure::save(&results, &[latest])?;
    finish(arguments, step, &results, (latest, None), &prepared.stored)
}

/// Applies the rules to saved results and saves the verdicts with them.
fn judge_saved(
    arguments: &CheckArguments,
    step: Option<&Step>,
    setup: &Setup,
    file: Option<&Path>,
) -> Result<u8> {
    let latest = setup.config.output.join("benchmark_results.json");
    let file = file.unwrap_or(&latest);
    let saved = read_results(file)?;
    let stored = Stores::load(&setup.config, setup.thresholds.as_ref())?;
    let results = session::judged(saved.parts, setup, &[], &stored);
    measure::save(&results, &[file])?;
    finish(arguments, step, &results, (file, None), &stored)
}

fn finish(
    arguments: &CheckArguments,
    step: Option<&Step>,
    results: &Results,
    (file, journal): (&Path, Option<&Path>),
    stored: &Stores,
) -> Result<u8> {
    let report = render::show(results, &arguments.display, || Ok(stored.clone()))?;
    if let Some(step) = step {
        publish::report(step, &report, file, &arguments.setting)?;
    }
    if !arguments.display.loudness.quiet {
        render::tell(&format!("\n{}", measure::describe(file, journal)));
    }
    Ok(exit::code(report.outcome))
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
