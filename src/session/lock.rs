//! Owns writing the sums of models into `perfgate.toml`, so that a model is known by its content; all else
//! in the file, comments too, stays as it is.

use super::models;
use crate::config::{self, Variant, WorkTree};
use crate::engine;
use crate::problem::{Problem, Result};
use std::path::Path;
use toml_edit::{DocumentMut, value};

/// What became of a variant's sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// The variant.
    pub variant: String,
    /// The sum before, if there was one.
    pub before: Option<String>,
    /// The sum now.
    pub now: String,
}

/// Computes the SHA-256 of each variant's model and writes it as `model_sha256`. Variants without a model of
/// files are left out.
///
/// # Errors
/// If a model is missing or broken, or the file cannot be written; then nothing of it is changed.
pub fn lock(file: &Path) -> Result<Vec<Locked>> {
    let config = config::read_config(&WorkTree, file)?;
    let text =
        std::fs::read_to_string(file).map_err(|error| Problem::io(file, "read it", &error))?;
    let broken =
        |error: toml_edit::TomlError| Problem::in_file(file, format!("is no TOML: {error}"));
    let mut document: DocumentMut = text.parse().map_err(broken)?;
    let mut locked = Vec::new();
    for variant in config.variants.iter().filter(|variant| engine::has_model(&variant.load)) {
        let now = models::sum(variant)?;
        write(&mut document, variant, &now);
        let (name, before) = (variant.name.clone(), variant.model_sha256.clone());
        locked.push(Locked { variant: name, before, now });
    }
    super::write_atomically(file, &document.to_string())?;
    Ok(locked)
}

/// Writes a sum behind the line of the model, where a reader looks for it.
fn write(document: &mut DocumentMut, variant: &Variant, sum: &str) {
    let Some(table) = document["variants"][&variant.name].as_table_like_mut() else { return };
    // A comment behind the old sum stays.
    let before = table.get("model_sha256").and_then(|item| item.as_value());
    let decor = before.map(|before| before.decor().clone());
    let mut sum = value(sum);
    if let (Some(decor), Some(sum)) = (decor, sum.as_value_mut()) {
        *sum.decor_mut() = decor;
    }
    table.insert("model_sha256", sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_added_or_replaced_and_comments_stay() {
        let text = "# head\n[variants.a] # of a\nengine = \"openvino\" # the engine\nmodel = \"m\"\n\n\
                    [variants.b]\nmodel_sha256 = \"00\" # old\n";
        let mut document: DocumentMut = text.parse().unwrap();
        let config = "[workload]\ntasks = \"t\"\n[variants.a]\nengine = \"scripted\"\n[variants.b]\nengine = \"scripted\"\n";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("perfgate.toml");
        std::fs::write(&file, config).unwrap();
        let config = config::read_config(&WorkTree, &file).unwrap();
        for variant in &config.variants {
            write(&mut document, variant, "ff");
        }
        assert_eq!(
            document.to_string(),
            "# head\n[variants.a] # of a\nengine = \"openvino\" # the engine\nmodel = \"m\"\nmodel_sha256 = \
             \"ff\"\n\n[variants.b]\nmodel_sha256 = \"ff\" # old\n"
        );
    }
}
