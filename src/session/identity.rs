//! Owns looking for what a variant is beside its weights: the small files of its folder, the template's text, its
//! recipe, its runtime's version, and the environment.

use super::recipe;
use crate::config::Variant;
use crate::engine;
use crate::hash;
use crate::problem::Result;
use crate::record::{CHAT_TEMPLATE, Identity, TOKENIZER, Told};
use crate::worker;
use crate::workload::{self, Ask, Graded, Prompts};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Small files of a model's folder that change what it is asked or how its answers end. The tokenizer is not among
/// them, since a variant may name another.
const SMALL_FILES: [&str; 8] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "config.json",
    "generation_config.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "tokenizer.model",
];

/// Folders of a model's folder whose files do so too.
const SMALL_FOLDERS: [&str; 1] = ["additional_chat_templates"];

/// SHA-256 of each small file of a variant that changes answers, by its name: of the tokenizer that it really uses, of
/// its folder's configuration, and of adapters that lie there.
///
/// # Errors
/// If one cannot be read.
pub(super) fn small_files(variant: &Variant) -> Result<BTreeMap<String, String>> {
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    if !engine::has_model(&variant.load) {
        return Ok(BTreeMap::new());
    }
    let folder = &variant.load.model;
    // As they are read: from the model's folder, else from next to the tokenizer.
    let next_to = variant.tokenizer.parent().unwrap_or(folder);
    for name in SMALL_FILES {
        let own = folder.join(name);
        let place = if own.is_file() { own } else { next_to.join(name) };
        files.insert(name.to_string(), place);
    }
    for name in SMALL_FOLDERS {
        for path in entries(&folder.join(name)) {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(format!("{name}/{file}"), path);
        }
    }
    for path in entries(folder) {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if file.starts_with("adapter") {
            files.insert(file, path);
        }
    }
    files.insert(TOKENIZER.to_string(), variant.tokenizer.clone());
    let there = files.into_iter().filter(|(_, path)| path.is_file());
    there.map(|(name, path)| Ok((name, hash::of_file(&path)?))).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Asks runtime libraries for their versions, each once.
pub(super) struct Runtimes<'a> {
    /// perfgate's own binary, which asks in processes of their own.
    program: &'a Path,
    known: BTreeMap<PathBuf, Told<String>>,
}

impl Runtimes<'_> {
    /// Nothing is asked yet.
    pub(super) fn new(program: &Path) -> Runtimes<'_> {
        Runtimes { program, known: BTreeMap::new() }
    }

    /// The version of a variant's runtime library, or why it is not known; nothing for an engine that loads none.
    pub(super) fn of(&mut self, variant: &Variant) -> Option<Told<String>> {
        if !engine::loads_library(&variant.load) {
            return None;
        }
        let library = match engine::inspect_runtime(&variant.load) {
            Ok(library) => library?,
            Err(problem) => return Some(Told::Unavailable(problem.what)),
        };
        let library = library.canonicalize().unwrap_or(library);
        let program = self.program;
        let ask = |library: &PathBuf| {
            Told::from(worker::ask_runtime(program, library).map(|runtime| runtime.version))
        };
        Some(self.known.entry(library.clone()).or_insert_with(|| ask(&library)).clone())
    }
}

/// SHA-256 of a variant's small files, its tokenizer and the text of its chat template, by name.
///
/// # Errors
/// If a file cannot be read.
pub(super) fn content(variant: &Variant) -> Result<BTreeMap<String, String>> {
    let mut content = small_files(variant)?;
    if let Some(text) = workload::chat_template_text(variant)? {
        content.insert(CHAT_TEMPLATE.to_string(), hash::of_bytes(text.as_bytes()));
    }
    Ok(content)
}

/// What a variant is, as far as it is known before any prompt is made.
///
/// # Errors
/// If a file cannot be read.
pub(super) fn identity(
    variant: &Variant,
    runtimes: &mut Runtimes<'_>,
    output: &Path,
) -> Result<Identity> {
    let content = content(variant)?;
    let model = &variant.load.model;
    let recipe = variant.recipe.as_ref().map(|recipe| recipe::identity(recipe, model, output));
    Ok(Identity {
        content,
        runtime: runtimes.of(variant),
        recipe: recipe.transpose()?,
        environment: engine::arithmetic_environment(),
        prompts_sha256: None,
        asked_sha256: None,
    })
}

/// Adds what a variant is asked, in token ids.
pub(super) fn add_prompts(
    identity: &mut Identity,
    name: &str,
    prompts: &Prompts,
    graded: Option<&Graded>,
) {
    let tokens: Vec<&[u32]> = prompts.of(name).iter().map(|task| &task.tokens[..]).collect();
    let sum = |json: serde_json::Result<Vec<u8>>| hash::of_bytes(&json.expect("plain data"));
    identity.prompts_sha256 = Some(sum(serde_json::to_vec(&tokens)));
    let asks = graded.into_iter().flat_map(|graded| &graded.asks);
    let of_variant = asks.filter(|(of, _)| of == name).map(|(_, asks)| asks).next();
    identity.asked_sha256 = of_variant.map(|asks| {
        let plain = |ask: &Ask| match ask {
            Ask::Generate(order) => serde_json::json!(order),
            Ask::Choose { prompt, choices } => serde_json::json!([prompt, choices]),
        };
        sum(serde_json::to_vec(&asks.iter().map(plain).collect::<Vec<_>>()))
    });
}
