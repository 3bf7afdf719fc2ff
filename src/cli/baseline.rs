//! Owns `perfgate baseline`: accepting a session into the store, and listing what is there.

use super::render::print;
use super::{BaselineList, BaselineUpdate, relative};
use crate::baseline::{self, Stored};
use crate::config::{self, Config, WorkTree};
use crate::hash;
use crate::problem::{Problem, Result};
use crate::record::Results;
use crate::session::{read_results, write_atomically};
use crate::verdict::{Outcome, outcome};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Accepts the results of a session.
pub(super) fn update(arguments: &BaselineUpdate) -> Result<u8> {
    let config = config::read_config(&WorkTree, &arguments.config)?;
    let file = match &arguments.results {
        Some(file) => file.clone(),
        None => config.output.join("benchmark_results.json"),
    };
    let results = read_results(&file)?;
    if let Some(why) = refusal(&results, arguments.accept_regression) {
        return Err(Problem::in_file(&file, why.0).help(why.1));
    }
    let [part] = &results.parts[..] else {
        let what = format!("holds what {} sessions measured", results.parts.len());
        return Err(Problem::in_file(&file, what).help(
            "a baseline is one session, in which variants are paired: run `perfgate check`",
        ));
    };
    let stored = Stored::from_part(part);
    let store = &config.baselines;
    let (place, dropped) = baseline::place(&store.folder, &stored, store.keep)?;
    if dropped.contains(&place) {
        let what = format!("is older than the {} stored sessions that are kept", store.keep);
        return Err(Problem::in_file(&file, what)
            .help("store a newer session, or raise keep in [baselines] of perfgate.toml"));
    }
    let text = stored.to_text();
    let there = std::fs::read_to_string(&place).is_ok_and(|there| there == text);
    replace(&place, &text, &dropped)?;
    let what = if there { "already stored" } else { "stored" };
    let mut said = format!("{what}  {}\n", relative(&place).display());
    for old in dropped {
        let _ = writeln!(
            said,
            "removed  {} (more than {} are not kept)",
            relative(&old).display(),
            store.keep
        );
    }
    said.push_str(&summary(&config)?);
    print(&said)?;
    Ok(0)
}

/// Writes a stored session to its place and removes those that are not kept beside it.
pub(super) fn replace(place: &Path, text: &str, dropped: &[PathBuf]) -> Result<()> {
    write_atomically(place, text)?;
    for old in dropped {
        std::fs::remove_file(old).map_err(|error| Problem::io(old, "remove it", &error))?;
    }
    Ok(())
}

/// Lists the stored sessions.
pub(super) fn list(arguments: &BaselineList) -> Result<u8> {
    print(&summary(&config::read_config(&WorkTree, &arguments.config)?)?)?;
    Ok(0)
}

/// Why a session cannot be a baseline, and what to do.
fn refusal(results: &Results, accept_regression: bool) -> Option<(String, &'static str)> {
    if results.parts.iter().all(|part| part.complete().is_empty()) {
        return Some(("has no complete round".to_string(), "run `perfgate check` again"));
    }
    let slowed = |(name, variant): (&String, &crate::record::VariantRecord)| {
        let switch = variant.test_switches.first()?;
        Some(format!("'{name}' is {switch}"))
    };
    if let Some(switch) =
        results.parts.iter().flat_map(|part| &part.header.variants).find_map(slowed)
    {
        let help = "a test switch has no place in a baseline; run without it";
        return Some((format!("is a test: {switch}"), help));
    }
    let Some(judgement) = &results.judgement else {
        return Some((
            "was not judged".to_string(),
            "apply the rules with `perfgate check --results`, or run `perfgate check`",
        ));
    };
    match outcome(&judgement.verdicts, &judgement.policies) {
        Outcome::Regressed if !accept_regression => Some((
            "is of a session with a proven regression".to_string(),
            "if the change is wanted nevertheless, add --accept-regression",
        )),
        Outcome::Invalid => Some((
            "is of a session with an invalid verdict".to_string(),
            "look at its report with `perfgate report`, and run `perfgate check` again",
        )),
        _ => None,
    }
}

/// What is stored, by machine class.
fn summary(config: &Config) -> Result<String> {
    let folder = &config.baselines.folder;
    let sessions = baseline::load(folder)?;
    if sessions.is_empty() {
        return Ok(format!("no session is stored in {}\n", relative(folder).display()));
    }
    let here = baseline::environment(Path::new("/")).machine.key();
    let mut keys: Vec<String> = sessions.iter().map(|stored| stored.machine.key()).collect();
    keys.sort();
    keys.dedup();
    let mut text = String::new();
    for key in keys {
        let mark = if key == here { ", this machine's class" } else { "" };
        let of_class: Vec<&Stored> = sessions.iter().filter(|s| s.machine.key() == key).collect();
        let _ =
            writeln!(text, "{key}{mark}: {} of at most {}", of_class.len(), config.baselines.keep);
        for stored in of_class {
            let commit =
                stored.git.as_ref().map_or("no commit", |git| hash::short(&git.commit, 12));
            let variants: Vec<&str> = stored.variants.keys().map(String::as_str).collect();
            let _ = writeln!(text, "  {}  {commit}  {}", stored.session, variants.join(", "));
        }
    }
    Ok(text)
}
