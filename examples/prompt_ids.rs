//! Owns printing the token ids that perfgate feeds a variant, as a JSON list with a list for each task.
//! `scripts/evidence_harness.py` gives them to the other harnesses, so that all do the same work.
//!
//! `prompt_ids CONFIG VARIANT`: the two files that `perfgate check` reads, and the name of
//! a variant in the first.

use perfgate::config::{self, WorkTree};
use perfgate::problem::{Problem, Result};
use perfgate::workload;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match ids() {
        Ok(ids) => {
            println!("{}", serde_json::json!(ids));
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn ids() -> Result<Vec<Vec<u32>>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, name] = arguments.as_slice() else {
        return Err(Problem::new("usage: prompt_ids CONFIG VARIANT"));
    };
    let config = config::read(&WorkTree, Path::new(config), None)?.config;
    let variant = config
        .variant(name)
        .ok_or_else(|| Problem::new(format!("there is no variant '{name}'")))?;
    // Only this one: the tokenizers of others need not be there.
    let prompts = workload::prepare(&config.workload, std::slice::from_ref(variant))?;
    Ok(prompts.of(name).iter().map(|task| task.tokens.clone()).collect())
}
