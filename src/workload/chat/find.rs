//! Owns what a model's small files say of its chat: its templates, and its special tokens.

use super::super::small_files::{file_of, read_json};
use crate::config::Variant;
use crate::problem::{Problem, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A template as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The file that holds it.
    pub(super) file: PathBuf,
    /// Whether it is a value in a file of JSON, whose lines are not the template's.
    pub(super) in_json: bool,
    /// Its name, where a model has several.
    pub(super) name: Option<String>,
    /// The template.
    pub(super) text: String,
}

/// The template that a model is used with where none is asked for by name.
const DEFAULT: &str = "default";

/// A model's own template: the default one, or the one of a name. None if it has no template at all.
///
/// As in transformers, `chat_template.jinja` and the files of `additional_chat_templates` come before what
/// `tokenizer_config.json` holds.
///
/// # Errors
/// If a file cannot be read, or the model has templates and not this one.
pub(super) fn of_model(variant: &Variant, name: Option<&str>) -> Result<Option<Found>> {
    let mut all = of_files(&variant.load.model)?;
    if all.is_empty() {
        all = of_json(variant)?;
    }
    let Some(first) = all.first() else { return Ok(None) };
    let wanted = name.unwrap_or(DEFAULT);
    if let Some(found) = all.iter().find(|found| found.name.as_deref() == Some(wanted)) {
        let name = (all.len() > 1 || name.is_some()).then(|| wanted.to_string());
        return Ok(Some(Found { name, ..found.clone() }));
    }
    let names: Vec<&str> = all.iter().filter_map(|found| found.name.as_deref()).collect();
    let what = format!(
        "variant '{}': the model has no chat template of the name '{wanted}'; it has {}",
        variant.name,
        names.join(", ")
    );
    Err(Problem::in_file(&first.file, what)
        .help("name one: chat_template = \"model:NAME\"; or a file, or \"none\""))
}

fn of_files(model: &Path) -> Result<Vec<Found>> {
    let read = |file: PathBuf, name: &str| -> Result<Found> {
        let text = std::fs::read_to_string(&file)
            .map_err(|error| Problem::io(&file, "read the chat template", &error))?;
        Ok(Found { file, in_json: false, name: Some(name.to_string()), text })
    };
    let mut found = Vec::new();
    let default = model.join("chat_template.jinja");
    if default.is_file() {
        found.push(read(default, DEFAULT)?);
    }
    let Ok(listing) = std::fs::read_dir(model.join("additional_chat_templates")) else {
        return Ok(found);
    };
    let mut files: Vec<PathBuf> = listing.flatten().map(|entry| entry.path()).collect();
    files.sort();
    for file in files {
        let is_jinja = file.extension().is_some_and(|extension| extension == "jinja");
        if let (true, Some(name)) = (is_jinja, file.file_stem().and_then(|stem| stem.to_str())) {
            let name = name.to_string();
            found.push(read(file, &name)?);
        }
    }
    Ok(found)
}

/// The templates of `tokenizer_config.json`: one, or a list of them with names.
fn of_json(variant: &Variant) -> Result<Vec<Found>> {
    let Some(file) = file_of(variant, "tokenizer_config.json") else { return Ok(Vec::new()) };
    let config = read_json(&file)?;
    let found = |name: &str, text: &str| Found {
        file: file.clone(),
        in_json: true,
        name: Some(name.to_string()),
        text: text.to_string(),
    };
    let wrong = || {
        Problem::in_file(
            &file,
            "chat_template is neither a text nor a list of {\"name\", \"template\"}",
        )
        .help("set chat_template = \"FILE.jinja\" or \"none\" for this variant")
    };
    match &config["chat_template"] {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![found(DEFAULT, text)]),
        Value::Array(list) => list
            .iter()
            .map(|one| match (one["name"].as_str(), one["template"].as_str()) {
                (Some(name), Some(text)) => Ok(found(name, text)),
                _ => Err(wrong()),
            })
            .collect(),
        _ => Err(wrong()),
    }
}

/// A special token, or several under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::workload) enum Special {
    /// Such as `bos_token`.
    One(String),
    /// `additional_special_tokens`.
    Several(Vec<String>),
}

/// The names under which transformers keeps special tokens, each of which a template may use.
const NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Special tokens that a class of tokenizers of transformers has where the files name none, of the classes that
/// language models use; `scripts/reference_text.py` holds them to the library.
const OF_CLASSES: [(&str, &[(&str, &str)]); 7] = [
    ("CodeLlamaTokenizer", &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")]),
    (
        "CohereTokenizer",
        &[
            ("bos_token", "<BOS_TOKEN>"),
            ("cls_token", "<CLS>"),
            ("eos_token", "<|END_OF_TURN_TOKEN|>"),
            ("mask_token", "<MASK_TOKEN>"),
            ("pad_token", "<PAD>"),
            ("sep_token", "<SEP>"),
            ("unk_token", "<UNK>"),
        ],
    ),
    (
        "GPT2Tokenizer",
        &[
            ("bos_token", "<|endoftext|>"),
            ("eos_token", "<|endoftext|>"),
            ("unk_token", "<|endoftext|>"),
        ],
    ),
    (
        "GPTNeoXTokenizer",
        &[
            ("bos_token", "<|endoftext|>"),
            ("eos_token", "<|endoftext|>"),
            ("pad_token", "<|padding|>"),
            ("unk_token", "<|endoftext|>"),
        ],
    ),
    (
        "GemmaTokenizer",
        &[
            ("bos_token", "<bos>"),
            ("eos_token", "<eos>"),
            ("mask_token", "<mask>"),
            ("pad_token", "<pad>"),
            ("unk_token", "<unk>"),
        ],
    ),
    ("LlamaTokenizer", &[("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>")]),
    (
        "Qwen2Tokenizer",
        &[
            ("eos_token", "<|endoftext|>"),
            ("pad_token", "<|endoftext|>"),
            ("unk_token", "<|endoftext|>"),
        ],
    ),
];

/// A model's special tokens by name, as transformers finds them: in `tokenizer_config.json`, in
/// `special_tokens_map.json` where the former has no `added_tokens_decoder`, else those of the tokenizer's class.
///
/// # Errors
/// If a file is not JSON.
pub(in crate::workload) fn special_tokens(variant: &Variant) -> Result<BTreeMap<String, Special>> {
    let json = |name: &str| match file_of(variant, name) {
        Some(file) => read_json(&file),
        None => Ok(Value::Null),
    };
    let config = json("tokenizer_config.json")?;
    let map = if config["added_tokens_decoder"].is_object() {
        Value::Null
    } else {
        json("special_tokens_map.json")?
    };
    let mut tokens = BTreeMap::new();
    let class = config["tokenizer_class"].as_str().unwrap_or_default();
    let class = class.strip_suffix("Fast").unwrap_or(class);
    let of_class = OF_CLASSES.iter().find(|(name, _)| *name == class);
    for (name, token) in of_class.into_iter().flat_map(|(_, tokens)| *tokens) {
        tokens.insert((*name).to_string(), Special::One((*token).to_string()));
    }
    for (name, value) in [&config, &map].into_iter().filter_map(Value::as_object).flatten() {
        let is_token = NAMES.contains(&name.as_str()) || name.ends_with("_token");
        match (value, token(value)) {
            // Named to say that there is none.
            (Value::Null, _) if NAMES.contains(&name.as_str()) => drop(tokens.remove(name)),
            (_, Some(text)) if is_token => {
                tokens.insert(name.clone(), Special::One(text));
            }
            (Value::Array(list), _) if name == "additional_special_tokens" => {
                let list = list.iter().filter_map(token).collect();
                tokens.insert(name.clone(), Special::Several(list));
            }
            _ => {}
        }
    }
    Ok(tokens)
}

/// A special token stands as a text or as an object with a `content`.
fn token(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value["content"].as_str()).map(str::to_string)
}
