//! Owns `perfgate explain`: why one variant of a run is faster than another, from what was recorded with it or is
//! measured now.

use super::measure::catch_interrupts;
use super::render::print_sheet;
use super::{ExplainArguments, exit, own_binary};
use crate::baseline;
use crate::config::{self, Config, Variant, WorkTree};
use crate::insight;
use crate::problem::{Problem, Result};
use crate::record::{Part, Results, Work};
use crate::report;
use crate::runner::Cut;
use crate::session::{self, Asking};
use std::collections::BTreeMap;
use std::path::Path;

/// Explains the session that measured the reference.
pub(super) fn explain(arguments: &ExplainArguments) -> Result<u8> {
    let file = &arguments.results;
    let results = session::read_results(file)?;
    let mut part = part_of(results, file)?;
    if arguments.measure || part.hardware.is_none() {
        measure(&mut part, &config::read_config(&WorkTree, &arguments.config)?, file)?;
    }
    let explanation = insight::explain(&part).ok_or_else(|| {
        Problem::in_file(
            file,
            "has nothing that can be explained: no timed requests of a model of files",
        )
        .help("measure one: `perfgate run`")
    })?;
    let sheet = report::of_explanation(&explanation, &part);
    print_sheet(&sheet, arguments.display.format, arguments.display.loudness.verbose)?;
    Ok(exit::HOLDS)
}

/// The part that holds the reference, or else the last.
fn part_of(results: Results, file: &Path) -> Result<Part> {
    let reference = results.reference;
    let mut parts = results.parts;
    let with = parts.iter().position(|part| part.has(&reference)).or(parts.len().checked_sub(1));
    let index = with.ok_or_else(|| {
        Problem::in_file(file, "holds no session").help("measure one: `perfgate run`")
    })?;
    Ok(parts.swap_remove(index))
}

/// Measures this machine and counts the models' work, if it is the machine and these are the models of the part.
fn measure(part: &mut Part, config: &Config, file: &Path) -> Result<()> {
    let here = baseline::environment(Path::new("/")).machine;
    let there = &part.header.environment.machine;
    if !baseline::same_class(&here, there) {
        let what = format!(
            "was measured on another machine ({}), and this one is {}",
            there.key(),
            here.key()
        );
        return Err(Problem::in_file(file, what)
            .help("explain it there, or measure here: `perfgate run`, then `perfgate explain`"));
    }
    let same = same(part, config)?;
    part.work = work(&same)?;
    part.hardware = Some(session::measure_hardware(part));
    let (program, interrupt) = (own_binary()?, catch_interrupts()?);
    let asking = Asking { program: &program, deadlines: config.deadlines, interrupt: &interrupt };
    part.execution = session::execution(&same, asking).map_err(|cut| match cut {
        Cut::NotSaved(problem) => problem,
        Cut::Interrupted => Problem::new("interrupted; nothing was explained"),
        Cut::Setup { variant, failure } => {
            Problem::new(format!("variant '{variant}' cannot run: {}", failure.message))
        }
    })?;
    Ok(())
}

/// The variants whose models are still those that were measured.
fn same(part: &Part, config: &Config) -> Result<Vec<Variant>> {
    let mut same = Vec::new();
    for variant in &config.variants {
        let Some(measured) = part.header.variants.get(&variant.name) else { continue };
        let now = session::variant_record(variant, &session::inspect_model(variant)?)?;
        if now.model_sha256 == measured.model_sha256 {
            same.push(variant.clone());
        }
    }
    Ok(same)
}

/// What each token needs.
fn work(same: &[Variant]) -> Result<BTreeMap<String, Work>> {
    let work = session::work(same);
    if work.is_empty() {
        return Err(Problem::new(
            "no model of the run is there as it was, so nothing can be counted",
        )
        .help("measure anew: `perfgate run`, then `perfgate explain`"));
    }
    Ok(work)
}
