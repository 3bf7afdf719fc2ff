//! Owns tokenizers: text to token ids and back, and which tokens end an answer.

use super::template;
use crate::config::Variant;
use crate::hash;
use crate::problem::{Problem, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use tokenizers::Tokenizer;

/// A variant's tokenizer. The scripted engine's tokens are bytes, 0 ending the text.
#[derive(Debug, Clone)]
pub(super) enum Vocabulary {
    Bytes,
    Tokenizer(Arc<Tokenizer>),
}

/// Tokenizers by the sum of their file: variants usually share one, which takes long to read.
static LOADED: LazyLock<Mutex<BTreeMap<String, Arc<Tokenizer>>>> = LazyLock::new(Mutex::default);

impl Vocabulary {
    /// The vocabulary of a variant.
    pub(super) fn of(variant: &Variant) -> Result<Vocabulary> {
        if variant.load.engine == "scripted" {
            return Ok(Vocabulary::Bytes);
        }
        let file = &variant.tokenizer;
        if !file.is_file() {
            return Err(Problem::in_file(file, "there is no such tokenizer").help(format!(
                "variant '{}' needs a tokenizer.json in its model's folder, or tokenizer = \"FILE\"",
                variant.name
            )));
        }
        let sum = hash::of_file(file)?;
        let known = |loaded: &BTreeMap<_, Arc<Tokenizer>>| loaded.get(&sum).cloned();
        if let Some(tokenizer) = LOADED.lock().ok().and_then(|loaded| known(&loaded)) {
            return Ok(Vocabulary::Tokenizer(tokenizer));
        }
        let loaded = load_tokenizer(file);
        let tokenizer =
            Arc::new(loaded.map_err(|problem| problem.of(&format!("variant '{}'", variant.name)))?);
        if let Ok(mut loaded) = LOADED.lock() {
            loaded.insert(sum, Arc::clone(&tokenizer));
        }
        Ok(Vocabulary::Tokenizer(tokenizer))
    }

    /// The token ids of a text.
    pub(super) fn encode(&self, variant: &Variant, text: &str, special: bool) -> Result<Vec<u32>> {
        match self {
            Vocabulary::Bytes => Ok(text.bytes().map(u32::from).collect()),
            Vocabulary::Tokenizer(tokenizer) => {
                let encoding = tokenizer.encode(text, special).map_err(|error| {
                    let what = format!("cannot encode a prompt: {error}");
                    Problem::in_file(&variant.tokenizer, what)
                })?;
                Ok(encoding.get_ids().to_vec())
            }
        }
    }

    /// The text of token ids, special tokens left out.
    pub(super) fn decode(&self, tokens: &[u32]) -> String {
        match self {
            Vocabulary::Bytes => {
                let bytes: Vec<u8> =
                    tokens.iter().map(|id| *id as u8).filter(|byte| *byte != 0).collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            // It fails only on a broken tokenizer; such an answer is empty, and graded so.
            Vocabulary::Tokenizer(tokenizer) => tokenizer.decode(tokens, true).unwrap_or_default(),
        }
    }

    /// The tokens that end an answer: the model's end of sequence, and each token whose text contains
    /// a stop string. A stop string that spans several tokens ends the text, not the generation.
    pub(super) fn stop_tokens(&self, variant: &Variant, stop: &[String]) -> Result<Vec<u32>> {
        let contains = |text: &str| stop.iter().any(|stop| text.contains(stop.as_str()));
        let mut ids: Vec<u32> = match self {
            Vocabulary::Bytes => {
                (1..128).filter(|byte| contains(&char::from(*byte as u8).to_string())).collect()
            }
            Vocabulary::Tokenizer(tokenizer) if !stop.is_empty() => {
                let all = tokenizer.get_vocab_size(true) as u32;
                (0..all).filter(|id| contains(&self.decode(&[*id]))).collect()
            }
            Vocabulary::Tokenizer(_) => Vec::new(),
        };
        ids.extend(self.end_of_sequence(variant)?);
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// The model's end-of-sequence tokens: from its `generation_config.json` or `config.json`, else
    /// from its `tokenizer_config.json`.
    fn end_of_sequence(&self, variant: &Variant) -> Result<Vec<u32>> {
        let Vocabulary::Tokenizer(tokenizer) = self else { return Ok(vec![0]) };
        let json = |name: &str| {
            let file = variant.load.model.join(name);
            if file.is_file() { template::read_json(&file) } else { Ok(Value::Null) }
        };
        for name in ["generation_config.json", "config.json"] {
            let ids = match &json(name)?["eos_token_id"] {
                Value::Array(ids) => ids.iter().filter_map(Value::as_u64).collect(),
                one => one.as_u64().into_iter().collect::<Vec<u64>>(),
            };
            if !ids.is_empty() {
                return Ok(ids.into_iter().map(|id| id as u32).collect());
            }
        }
        let text = template::token(&json("tokenizer_config.json")?, "eos_token");
        tokenizer.token_to_id(&text).map(|id| vec![id]).ok_or_else(|| {
            Problem::in_file(&variant.load.model, "names no end-of-sequence token").help(
                "a quality pass needs one: eos_token_id in generation_config.json or config.json, \
                 or eos_token in tokenizer_config.json",
            )
        })
    }
}

/// How many tokens a variant's tokenizer has, those left out that were added to it: its highest id
/// and one. The scripted engine's has 256.
///
/// # Errors
/// If the tokenizer is missing or not understood.
pub fn tokenizer_size(variant: &Variant) -> Result<usize> {
    match Vocabulary::of(variant)? {
        Vocabulary::Bytes => Ok(256),
        Vocabulary::Tokenizer(tokenizer) => {
            Ok(tokenizer.get_vocab(false).into_values().max().map_or(0, |id| id as usize + 1))
        }
    }
}

/// Reads a `tokenizer.json`.
///
/// # Errors
/// If it is missing or not understood.
pub fn load_tokenizer(file: &Path) -> Result<Tokenizer> {
    Tokenizer::from_file(file).map_err(|error| {
        Problem::in_file(
            file,
            format!("is no tokenizer that the 'tokenizers' crate reads: {error}"),
        )
        .help("take the tokenizer.json that belongs to the model, or name it with tokenizer = \"FILE\"")
    })
}
