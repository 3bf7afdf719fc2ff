//! Owns the two files a user writes: `perfgate.toml` (what runs) and `thresholds.toml` (what is
//! allowed): their schema, defaults and validation. It never reads a model.

mod perfgate_toml;
mod source;
mod thresholds;

pub use perfgate_toml::{ChatTemplate, Config, Deadlines, Quality, Store, Variant, Workload};
pub use source::{Source, WorkTree};
pub use thresholds::Thresholds;

use crate::problem::Result;
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
}

/// Reads both files, or `perfgate.toml` alone where no rules are wanted.
///
/// # Errors
/// If a file is missing or wrong: with file, line, column and the remedy.
pub fn read(source: &dyn Source, config: &Path, thresholds: Option<&Path>) -> Result<Setup> {
    let config_text = config_text(source, config)?;
    let parsed = perfgate_toml::parse(config, &config_text)?;
    let config_sha256 = crate::hash::of_bytes(config_text.as_bytes());
    let Some(thresholds) = thresholds else {
        return Ok(Setup {
            config: parsed,
            thresholds: None,
            config_sha256,
            thresholds_sha256: None,
        });
    };
    let thresholds_text = source.read(thresholds).map_err(|problem| {
        problem.help("write the rules of the gate there; the shortest is:\n    [rules]\n    throughput = \"5%\"")
    })?;
    let rules = thresholds::parse(thresholds, &thresholds_text, &parsed)?;
    Ok(Setup {
        config: parsed,
        thresholds: Some(rules),
        config_sha256,
        thresholds_sha256: Some(crate::hash::of_bytes(thresholds_text.as_bytes())),
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
    source.read(config).map_err(|problem| {
        problem.help(
            "run perfgate in the folder that holds perfgate.toml, or name it with --config FILE; \
             README.md shows one of ten lines",
        )
    })
}
