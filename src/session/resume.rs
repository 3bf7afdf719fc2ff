//! Owns going on with an interrupted session: which one it is, and whether anything relevant changed.

use super::journal::{Recorded, read_journal};
use super::plan::Prepared;
use crate::problem::{Problem, Result};
use crate::record::{Header, Identity, VariantRecord};
use std::path::{Path, PathBuf};

/// A session that can go on.
#[derive(Debug)]
pub struct Interrupted {
    /// Its journal.
    pub journal: PathBuf,
    /// What it had come to.
    pub recorded: Recorded,
}

impl Interrupted {
    /// Its complete rounds.
    pub fn rounds(&self) -> usize {
        self.recorded.rounds.iter().filter(|round| round.complete).count()
    }
}

/// Finds the newest session below a folder of results and takes over its id and plan, if it was
/// interrupted and nothing that its figures depend on has changed since.
///
/// # Errors
/// If there is none, it was not interrupted, or something changed: with each difference.
pub fn find_interrupted(prepared: &mut Prepared, output: &Path) -> Result<Interrupted> {
    const HELP: &str = "run it again without --resume to begin a new session";
    let sessions = output.join("sessions");
    let Some(newest) = newest(&sessions) else {
        return Err(Problem::in_file(&sessions, "holds no session to go on with").help(HELP));
    };
    if newest.join("benchmark_results.json").exists() {
        return Err(Problem::in_file(&newest, "the latest session came to its end").help(HELP));
    }
    let journal = newest.join("journal.jsonl");
    let recorded = read_journal(&journal)?;
    let differences = differences(&prepared.header, &recorded.header);
    if !differences.is_empty() {
        let what = format!("cannot be resumed: {}", differences.join("; "));
        return Err(Problem::in_file(&journal, what).help(HELP));
    }
    prepared.header = recorded.header.clone();
    Ok(Interrupted { journal, recorded })
}

/// The folder whose journal was written to last; ids tell no order within a second.
fn newest(sessions: &Path) -> Option<PathBuf> {
    let written = |folder: &PathBuf| {
        std::fs::metadata(folder.join("journal.jsonl"))
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    std::fs::read_dir(sessions)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|folder| written(folder).is_some())
        .max_by_key(written)
}

/// What a session's figures depend on and has changed, in words.
fn differences(now: &Header, then: &Header) -> Vec<String> {
    let (a, b) = (&now.provenance, &then.provenance);
    let mut found = Vec::new();
    let mut unless = |same: bool, what: String| {
        if !same {
            found.push(what);
        }
    };
    unless(a.perfgate == b.perfgate, format!("perfgate was {}, is {}", b.perfgate, a.perfgate));
    unless(a.config_sha256 == b.config_sha256, "perfgate.toml changed".to_string());
    unless(a.thresholds_sha256 == b.thresholds_sha256, "the rules changed".to_string());
    let (class, old_class) = (now.environment.machine.key(), then.environment.machine.key());
    unless(class == old_class, format!("the machine class was {old_class}, is {class}"));
    let (kernel, old_kernel) = (&now.environment.kernel, &then.environment.kernel);
    unless(kernel == old_kernel, format!("the kernel was {old_kernel}, is {kernel}"));
    let (rounds, old_rounds) = (now.plan.rounds, then.plan.rounds);
    unless(
        rounds == old_rounds,
        format!("{old_rounds} rounds were planned, {rounds} are asked for"),
    );
    let (names, old_names) = (now.plan.variants.join(", "), then.plan.variants.join(", "));
    unless(names == old_names, format!("the variants were {old_names}, are {names}"));
    unless(
        now.plan.workload_sha256 == then.plan.workload_sha256,
        "the workload changed".to_string(),
    );
    unless(now.plan.quality == then.plan.quality, "the graded tasks changed".to_string());
    unless(now.plan.fidelity == then.plan.fidelity, "the documents changed".to_string());
    unless(now.plan.load == then.plan.load, "the load changed".to_string());
    for (name, variant) in &now.variants {
        let model = |record: &VariantRecord| record.model_sha256.clone();
        let Some(old) = then.variants.get(name) else { continue };
        unless(model(variant) == model(old), format!("the model of '{name}' changed"));
        let both = (variant.identity.as_ref(), old.identity.as_ref());
        for what in Identity::differences(both.0, both.1) {
            unless(false, format!("'{name}' has {what}"));
        }
        let asked = |identity: Option<&Identity>| Some(identity?.asked_sha256.clone());
        unless(
            asked(both.0) == asked(both.1),
            format!(
                "what '{name}' is asked in the quality pass, or what ends its answers, changed"
            ),
        );
    }
    found
}
