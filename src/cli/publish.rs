//! Owns the telling of a step of GitHub Actions what a check came to, or why it came to nothing.

use super::{Setting, comment, exit, relative};
use crate::config::{self, WorkTree};
use crate::github::workflow::{Step, annotation_of, annotations};
use crate::problem::{Problem, Result};
use crate::record::{BASE, VerdictKind};
use crate::report::{self, Judged, Report};
use std::collections::BTreeMap;
use std::path::Path;

/// Tells it what a report says; `results` is the file that it was made of.
pub(super) fn report(
    step: &Step,
    report: &Report,
    results: &Path,
    setting: &Setting,
) -> Result<()> {
    let gate = comment::gate(&setting.config);
    step.summarize(|most| report::comment::page(report, gate.as_deref(), most))?;
    let places = places(setting);
    let place = |id: &str| places.get(id.trim_end_matches(&format!("/{}", &BASE[1..]))).cloned();
    // Workflow commands are read from either stream; stdout holds the report.
    annotations(report, place).iter().for_each(|line| eprintln!("{line}"));
    let proven = |rule: &&Judged| rule.blocks && rule.verdict == VerdictKind::Regressed;
    step.set(&[
        ("verdict", report.outcome.map_or("measured", |outcome| outcome.id()).to_string()),
        ("exit-code", exit::code(report.outcome).to_string()),
        ("regressions", report.rules.iter().filter(proven).count().to_string()),
        ("headline", report.headline.clone()),
        ("results", relative(results).display().to_string()),
        ("problem", String::new()),
    ])
}

/// Tells it why there is no report.
pub(super) fn problem(step: &Step, problem: &Problem, config: &Path) -> Result<()> {
    let gate = comment::gate(config);
    let text = report::harmless(&problem.to_string());
    eprintln!("{}", annotation_of(problem, from_top));
    step.summarize(|most| report::comment::page_of_problem(&text, gate.as_deref(), most))?;
    step.set(&[
        ("verdict", "error".to_string()),
        ("exit-code", exit::COULD_NOT_RUN.to_string()),
        ("regressions", "0".to_string()),
        ("headline", "perfgate could not run".to_string()),
        ("results", String::new()),
        ("problem", text),
    ])
}

/// Where the rules stand in the work tree, whose lines a page of the change can show. The rules in force may
/// be the base's.
fn places(setting: &Setting) -> BTreeMap<String, (String, usize)> {
    let file = setting.thresholds_file();
    let Ok(setup) = config::read(&WorkTree, &setting.config, Some(&file)) else {
        return BTreeMap::new();
    };
    let shown = from_top(&file);
    let rules = setup.thresholds.into_iter().flat_map(|thresholds| thresholds.rules);
    rules.map(|rule| (rule.id, (shown.clone(), rule.line))).collect()
}

/// A file as seen from the top of the checked out repository.
pub(super) fn from_top(file: &Path) -> String {
    let whole = file.canonicalize().unwrap_or_else(|_| file.to_path_buf());
    let top = crate::git::Repo::find(whole.parent().unwrap_or(Path::new("."))).ok();
    let inside = top.and_then(|repo| repo.inside(&whole).ok());
    inside.unwrap_or_else(|| file.to_path_buf()).display().to_string()
}
