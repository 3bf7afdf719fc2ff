//! Owns writing what a variant is into `perfgate.toml`: the sums of its model and of the small files beside it, and the
//! version of its runtime; all else in the file, comments too, stays as it is.

use super::identity::{self, Runtimes};
use super::models;
use crate::config::{self, Variant, WorkTree};
use crate::engine;
use crate::problem::{Problem, Result};
use crate::record::Told;
use std::collections::BTreeMap;
use std::path::Path;
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value, value};

/// What became of a variant's sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// The variant.
    pub variant: String,
    /// The model's sum before, if there was one.
    pub before: Option<String>,
    /// The model's sum now.
    pub now: String,
    /// The small files that are another than before, or new, or gone.
    pub changed_files: Vec<String>,
    /// How many small files are locked.
    pub files: usize,
    /// The version of the runtime, or why it is not locked; missing for an engine that loads none.
    pub runtime: Option<Told<String>>,
}

/// Computes the SHA-256 of each variant's model and small files and writes them as `model_sha256` and `files_sha256`,
/// with `runtime_version` for an engine that loads a library. Variants without a model of files are left out.
/// `program` is perfgate's own binary, which asks the libraries.
///
/// # Errors
/// If a model is missing or broken, or the file cannot be written; then nothing of it is changed.
pub fn lock(file: &Path, program: &Path) -> Result<Vec<Locked>> {
    let config = config::read_config(&WorkTree, file)?;
    let text =
        std::fs::read_to_string(file).map_err(|error| Problem::io(file, "read it", &error))?;
    let broken =
        |error: toml_edit::TomlError| Problem::in_file(file, format!("is not valid TOML: {error}"));
    let mut document: DocumentMut = text.parse().map_err(broken)?;
    let mut locked = Vec::new();
    let mut runtimes = Runtimes::new(program);
    for variant in config.variants.iter().filter(|variant| engine::has_model(&variant.load)) {
        let now = models::sum(variant)?;
        let files = identity::small_files(variant)?;
        let runtime = runtimes.of(variant).map(|found| match found {
            Told::Available(version) => Told::Available(version_to_lock(&version).to_string()),
            Told::Unavailable(why) => Told::Unavailable(why),
        });
        let version = runtime.as_ref().and_then(Told::available);
        write(&mut document, variant, &now, &files, version.map(String::as_str));
        let old = variant.files_sha256.clone().unwrap_or_default();
        let names = old.keys().chain(files.keys().filter(|name| !old.contains_key(*name)));
        let changed = names.filter(|name| old.get(*name) != files.get(*name)).cloned().collect();
        locked.push(Locked {
            variant: variant.name.clone(),
            before: variant.model_sha256.clone(),
            now,
            changed_files: changed,
            files: files.len(),
            runtime,
        });
    }
    super::write_atomically(file, &document.to_string())?;
    Ok(locked)
}

/// The part of a runtime's version that is locked: a release has one build, a nightly version many.
fn version_to_lock(version: &str) -> &str {
    match version.split_once('-') {
        Some((release, build)) if build.contains("releases") => release,
        _ => version,
    }
}

/// Writes the sums behind the line of the model, where a reader looks for them.
fn write(
    document: &mut DocumentMut,
    variant: &Variant,
    sum: &str,
    files: &BTreeMap<String, String>,
    runtime: Option<&str>,
) {
    let item = &mut document["variants"][&variant.name];
    let sums = files.iter().map(|(name, sum)| (name.clone(), sum.clone()));
    let files_item = if item.is_inline_table() {
        Item::Value(Value::InlineTable(sums.collect::<InlineTable>()))
    } else {
        let mut table = Table::new();
        sums.for_each(|(name, sum)| drop(table.insert(&name, value(sum))));
        Item::Table(table)
    };
    let Some(table) = item.as_table_like_mut() else { return };
    let mut put = |key: &str, text: &str| {
        // A comment behind the old value stays.
        let before = table.get(key).and_then(|item| item.as_value());
        let decor = before.map(|before| before.decor().clone());
        let mut text = value(text);
        if let (Some(decor), Some(text)) = (decor, text.as_value_mut()) {
            *text.decor_mut() = decor;
        }
        table.insert(key, text);
    };
    put("model_sha256", sum);
    if let Some(runtime) = runtime {
        put("runtime_version", runtime);
    }
    if !files.is_empty() {
        table.insert("files_sha256", files_item);
    }
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
            let files = [("tokenizer.json".to_string(), "ee".to_string())].into();
            write(&mut document, variant, "ff", &files, Some("2026.4.1"));
        }
        assert_eq!(
            document.to_string(),
            "# head\n[variants.a] # of a\nengine = \"openvino\" # the engine\nmodel = \"m\"\nmodel_sha256 = \
             \"ff\"\nruntime_version = \"2026.4.1\"\n\n[variants.a.files_sha256]\n\"tokenizer.json\" = \"ee\"\n\n\
             [variants.b]\nmodel_sha256 = \"ff\" # old\nruntime_version = \"2026.4.1\"\n\n\
             [variants.b.files_sha256]\n\"tokenizer.json\" = \"ee\"\n"
        );
    }
}
