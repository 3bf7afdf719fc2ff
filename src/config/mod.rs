//! Owns the two files a user writes: `perfgate.toml` (what runs) and `thresholds.toml` (what is
//! allowed): their schema, defaults and validation. It never reads a model.

mod fidelity;
mod load;
mod perfgate_toml;
mod scenarios;
mod source;
mod thresholds;

pub use fidelity::{FEWEST_TOKENS, Fidelity};
pub use load::{Concurrency, Search, Sustained};
pub use perfgate_toml::{
    Again, CHAT_DATE, ChatTemplate, Config, Deadlines, Energy, ForTests, NoCallRule, Quality,
    Recipe, Store, TaskFormat, TaskSample, TaskSet, Variant, Workload,
};
pub use scenarios::{DEFAULT_SCENARIOS, Requirement, Scenario};
pub use source::{CommitTree, Source, WorkTree};
pub use thresholds::{Thresholds, Waived, name_of};

use crate::problem::Result;
use crate::record::{Absent, Authority};
use std::collections::BTreeMap;
use std::path::Path;

/// Both files, read and checked against each other.
#[derive(Debug, Clone)]
pub struct Setup {
    /// `perfgate.toml`.
    pub config: Config,
    /// `thresholds.toml`, where rules are wanted.
    pub thresholds: Option<Thresholds>,
    /// SHA-256 of `perfgate.toml`.
    pub config_sha256: String,
    /// SHA-256 of `thresholds.toml`, where it was read.
    pub thresholds_sha256: Option<String>,
    /// Whose rules, workload and reference these are.
    pub authority: Authority,
    /// Variants that rules may name and that are not measured.
    pub absent: BTreeMap<String, Absent>,
    /// Whether the base's variants are measured even if they are those of the change.
    pub measure_unchanged: bool,
}

impl Setup {
    fn of(config: Config, config_sha256: String) -> Setup {
        Setup {
            config,
            thresholds: None,
            config_sha256,
            thresholds_sha256: None,
            authority: Authority::default(),
            absent: BTreeMap::new(),
            measure_unchanged: false,
        }
    }
}

/// Reads both files, or `perfgate.toml` alone where no rules are wanted.
///
/// # Errors
/// If a file is missing or wrong: with file, line, column and the remedy.
pub fn read(source: &dyn Source, config: &Path, thresholds: Option<&Path>) -> Result<Setup> {
    let config_text = config_text(source, config)?;
    let parsed = perfgate_toml::parse(config, &config_text)?;
    let mut setup = Setup::of(parsed, crate::hash::of_bytes(config_text.as_bytes()));
    if let Some(thresholds) = thresholds {
        let text = thresholds_text(source, thresholds)?;
        setup.thresholds = Some(thresholds::parse(thresholds, &text, &setup.config)?);
        setup.thresholds_sha256 = Some(crate::hash::of_bytes(text.as_bytes()));
    }
    Ok(setup)
}

/// Reads `thresholds.toml` alone, against the variants of a configuration.
///
/// # Errors
/// If it is missing or wrong.
pub fn read_thresholds(source: &dyn Source, file: &Path, config: &Config) -> Result<Thresholds> {
    thresholds::parse(file, &thresholds_text(source, file)?, config)
}

fn thresholds_text(source: &dyn Source, file: &Path) -> Result<String> {
    source.read(file).map_err(|problem| match problem.help {
        Some(_) => problem,
        None => problem.help(
            "write the rules of the gate there; the shortest is:\n    [rules]\n    throughput = \"5%\"",
        ),
    })
}

/// Reads `perfgate.toml` alone.
///
/// # Errors
/// If it is missing or wrong.
pub fn read_config(source: &dyn Source, config: &Path) -> Result<Config> {
    perfgate_toml::parse(config, &config_text(source, config)?)
}

fn config_text(source: &dyn Source, config: &Path) -> Result<String> {
    source.read(config).map_err(|problem| match problem.help {
        Some(_) => problem,
        None => problem.help(
            "run perfgate in the folder that holds perfgate.toml, or name it with --config FILE; \
             README.md shows one of ten lines, and `perfgate init` writes the first files",
        ),
    })
}
