//! Owns `perfgate merge`: results of parts of the graded tasks joined in one file.

use super::{MergeArguments, exit, measure, render};
use crate::baseline::Stores;
use crate::problem::{Problem, Result};
use crate::session::{self, Shard, read_results};
use std::path::Path;

/// Joins the files. Nothing is judged; a part that is missing is said.
pub(super) fn merge(arguments: &MergeArguments) -> Result<u8> {
    let output = &arguments.output;
    is_no_shard(output)?;
    let read = |file: &std::path::PathBuf| Shard::new(file, read_results(file)?);
    let shards = arguments.shards.iter().map(read).collect::<Result<Vec<Shard>>>()?;
    let results = session::merge(shards)?;
    measure::save(&results, &[output])?;
    render::show(&results, &arguments.display, || Ok(Stores::default()))?;
    if !arguments.display.loudness.quiet {
        render::tell(&format!("\n{}", measure::describe(output, None)));
    }
    if let Some(missing) = session::missing(&results) {
        render::tell(&format!("warning: {missing}; rules are judged on the tasks that are there"));
    }
    Ok(exit::HOLDS)
}

/// A part is worth hours: it is not written over because the name of the output was forgotten.
fn is_no_shard(output: &Path) -> Result<()> {
    let Ok(results) = read_results(output) else { return Ok(()) };
    let plans = results.parts.iter().filter_map(|part| part.header.plan.quality.as_ref());
    match plans.filter_map(|plan| plan.shards.as_ref()).find(|shards| shards.parts.len() == 1) {
        None => Ok(()),
        Some(shard) => {
            Err(Problem::in_file(output, format!("holds {shard} and would be written over"))
                .help("name the file to write first: perfgate merge OUT FILE…"))
        }
    }
}
