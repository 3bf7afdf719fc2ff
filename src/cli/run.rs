//! Owns `perfgate run`: measuring variants without judging them, beside what was measured before.

use super::measure::{self, Wanted};
use super::{RunArguments, exit, render};
use crate::baseline::Stores;
use crate::config::{self, WorkTree};
use crate::problem::Result;
use crate::record::{Only, Part, Results};
use crate::session::{self, read_results};
use crate::verdict::samples;
use std::path::{Path, PathBuf};

/// Measures variants, all of them in lockstep, and puts them into the file of results.
pub(super) fn run(arguments: &RunArguments) -> Result<u8> {
    let mut setup = config::read(&WorkTree, &arguments.config, None)?;
    let whole = setup.clone();
    if !arguments.variants.is_empty() {
        setup.config.keep(&arguments.variants)?;
    }
    let mut prepared = measure::prepare(setup, &arguments.measuring)?;
    let config = &prepared.setup.config;
    let output: PathBuf = match &arguments.output {
        Some(file) => file.clone(),
        None => config.output.join("benchmark_results.json"),
    };
    let existing = existing(&output)?;
    // Said now and not after the measuring.
    session::fits(&existing, &prepared.header)?;
    let wanted = Wanted { measuring: &arguments.measuring, loudness: &arguments.display.loudness };
    let done = measure::measure(&mut prepared, &wanted)?;
    let of_session = session::judged(vec![done.part.clone()], &whole, &[], &Stores::default());
    measure::save(&of_session, &[&done.folder.join("benchmark_results.json")])?;
    let broken = without_a_round(&done.part);
    let parts = session::add_part(existing, done.part)?;
    let results: Results = session::judged(parts, &whole, &[], &Stores::default());
    measure::save(&results, &[&output])?;
    render::show(&results, &arguments.display, || Ok(Stores::default()))?;
    if !arguments.display.loudness.quiet {
        render::tell(&format!("\n{}", measure::describe(&output, Some(&done.journal))));
    }
    for name in &broken {
        render::tell(&format!(
            "error: '{name}' completed no round; see its failures in the report"
        ));
    }
    Ok(if broken.is_empty() { exit::HOLDS } else { exit::COULD_NOT_RUN })
}

/// What the file of results holds already.
fn existing(file: &Path) -> Result<Vec<Part>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    Ok(read_results(file)?.parts)
}

fn without_a_round(part: &Part) -> Vec<String> {
    if matches!(part.header.plan.only, Some(Only::Quality | Only::Load)) {
        return Vec::new();
    }
    let rounds = part.complete();
    let none = |name: &&String| !rounds.iter().any(|round| samples::completed(round, name));
    part.header.plan.variants.iter().filter(none).cloned().collect()
}
