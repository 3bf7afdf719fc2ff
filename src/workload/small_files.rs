//! Owns finding and reading a model's small files, those next to its weights.

use crate::config::Variant;
use crate::problem::{Problem, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A small file of a variant: in its model's folder, else next to its tokenizer.
pub(super) fn file_of(variant: &Variant, name: &str) -> Option<PathBuf> {
    let next_to = variant.tokenizer.parent().unwrap_or(Path::new(""));
    [variant.load.model.join(name), next_to.join(name)].into_iter().find(|file| file.is_file())
}

/// One of a model's small files of JSON.
///
/// # Errors
/// If it cannot be read, or is not JSON.
pub(super) fn read_json(file: &Path) -> Result<Value> {
    let help = "copy or download it again from where the model comes from";
    let text = std::fs::read_to_string(file)
        .map_err(|error| Problem::io(file, "read the model's file", &error).help(help))?;
    serde_json::from_str(&text)
        .map_err(|error| Problem::json(file, "is not JSON", &error).help(help))
}

/// The same of a variant, if it has the file; nothing otherwise.
///
/// # Errors
/// If it cannot be read, or is not JSON.
pub(super) fn json_of(variant: &Variant, name: &str) -> Result<Value> {
    file_of(variant, name).map_or(Ok(Value::Null), |file| read_json(&file))
}
