//! Owns tokenizers: text to token ids and back, and which tokens end an answer.

mod decoding;
mod ends;
mod surroundings;

use crate::config::Variant;
use crate::hash;
use crate::problem::{Problem, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use tokenizers::Tokenizer;
use tokenizers::models::ModelWrapper;

/// A variant's tokenizer. The scripted engine's tokens are bytes, 0 ending the text.
#[derive(Debug, Clone)]
pub(super) enum Vocabulary {
    Bytes,
    Tokenizer(Arc<Tokenizer>, Around),
}

/// What of the tokens that a tokenizer puts around a text is taken away again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Around {
    /// Tokens at the beginning.
    first: usize,
    /// Tokens at the end: behind an end of sequence no answer begins.
    last: usize,
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
        let tokenizer = match LOADED.lock().ok().and_then(|loaded| known(&loaded)) {
            Some(tokenizer) => tokenizer,
            None => {
                let loaded = load_tokenizer(file)
                    .map_err(|problem| problem.of(&format!("variant '{}'", variant.name)))?;
                let tokenizer = Arc::new(loaded);
                if let Ok(mut loaded) = LOADED.lock() {
                    loaded.insert(sum, Arc::clone(&tokenizer));
                }
                tokenizer
            }
        };
        let around = surroundings::of(variant, &tokenizer)?.taken;
        Ok(Vocabulary::Tokenizer(tokenizer, around))
    }

    /// The token ids of a text, with what the tokenizer puts around it if `special`.
    pub(super) fn encode(&self, variant: &Variant, text: &str, special: bool) -> Result<Vec<u32>> {
        match self {
            Vocabulary::Bytes => Ok(text.bytes().map(u32::from).collect()),
            Vocabulary::Tokenizer(tokenizer, around) => {
                let encoding = tokenizer.encode(text, special).map_err(|error| {
                    let what = format!("cannot encode a prompt: {error}");
                    Problem::in_file(&variant.tokenizer, what)
                })?;
                let ids = encoding.get_ids();
                let taken = if special { *around } else { Around::default() };
                let end = ids.len().saturating_sub(taken.last);
                Ok(ids[taken.first.min(end)..end].to_vec())
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
            Vocabulary::Tokenizer(tokenizer, _) => {
                tokenizer.decode(tokens, true).unwrap_or_default()
            }
        }
    }

    /// The tokens that end an answer: the model's ends of sequence, each token whose text contains a
    /// stop string, and each special token that is one, which no answer's text shows. A stop string
    /// that spans several tokens ends the text, not the generation.
    pub(super) fn stop_tokens(&self, variant: &Variant, stop: &[String]) -> Result<Vec<u32>> {
        let contains = |text: &str| stop.iter().any(|stop| text.contains(stop.as_str()));
        let mut ids: Vec<u32> = match self {
            Vocabulary::Bytes => {
                (1..128).filter(|byte| contains(&char::from(*byte as u8).to_string())).collect()
            }
            Vocabulary::Tokenizer(tokenizer, _) if !stop.is_empty() => {
                let all = tokenizer.get_vocab(true).into_values().max().map_or(0, |id| id + 1);
                let special = stop.iter().filter_map(|stop| tokenizer.token_to_id(stop));
                let shown = (0..all).filter(|id| contains(&self.decode(&[*id])));
                special.chain(shown).collect()
            }
            Vocabulary::Tokenizer(..) => Vec::new(),
        };
        ids.extend(ends::of(variant, self)?.ids());
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Whether an answer can hold a stop string.
    pub(super) fn can_stop(&self, stop: &str) -> Stop {
        let Vocabulary::Tokenizer(tokenizer, _) = self else { return Stop::Text };
        let special = tokenizer.get_added_tokens_decoder();
        let mut special = special.values().filter(|token| token.special);
        if special.clone().any(|token| token.content == stop) {
            return Stop::Special;
        }
        match special.find(|token| stop.contains(token.content.as_str())) {
            Some(token) => Stop::Around(token.content.clone()),
            None if tokenizer.token_to_id(stop).is_some() => Stop::Text,
            None if looks_special(stop) => Stop::Unknown,
            None if may_be_special(stop) => Stop::Doubtful,
            None => Stop::Text,
        }
    }

    /// A text without the special tokens that are written in it.
    pub(super) fn without_special(&self, text: &str) -> String {
        let Vocabulary::Tokenizer(tokenizer, _) = self else { return text.to_string() };
        let special = tokenizer.get_added_tokens_decoder();
        let mut special: Vec<&str> = special
            .values()
            .filter(|token| token.special && !token.content.is_empty())
            .map(|token| token.content.as_str())
            .collect();
        // The longest first: one may hold another.
        special.sort_unstable_by_key(|token| std::cmp::Reverse(token.len()));
        special.into_iter().fold(text.to_string(), |text, token| text.replace(token, "\0"))
    }

    /// The id of a token that the tokenizer has by name.
    pub(super) fn id_of(&self, token: &str) -> Option<u32> {
        match self {
            Vocabulary::Bytes => None,
            Vocabulary::Tokenizer(tokenizer, _) => tokenizer.token_to_id(token),
        }
    }

    /// The name of a token.
    pub(super) fn name_of(&self, id: u32) -> Option<String> {
        match self {
            Vocabulary::Bytes => None,
            Vocabulary::Tokenizer(tokenizer, _) => tokenizer.id_to_token(id),
        }
    }
}

/// How a stop string can be met in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// In its text.
    Text,
    /// As a special token.
    Special,
    /// Never: it holds this special token, which no text shows, and more.
    Around(String),
    /// In its text, but it may be meant as a special token that the tokenizer does not have.
    Doubtful,
    /// Never, unless prompts hold it too: it looks like a special token, and the tokenizer has no such token.
    Unknown,
}

/// Whether a text is written as special tokens are, such as `<|eot_id|>` or `</s>`.
fn looks_special(text: &str) -> bool {
    const OTHERS: [&str; 10] = [
        "<s>",
        "</s>",
        "<bos>",
        "<eos>",
        "<pad>",
        "<unk>",
        "<end_of_turn>",
        "<start_of_turn>",
        "[EOS]",
        "[BOS]",
    ];
    let inner = |open: &str, close: &str| text.strip_prefix(open)?.strip_suffix(close);
    let between = inner("<|", "|>").or_else(|| inner("<｜", "｜>"));
    OTHERS.contains(&text)
        || between.is_some_and(|inner| !inner.is_empty() && !inner.contains(['<', '>', '\n']))
}

/// Whether a text resembles the special tokens of some model, such as `<end_of_utterance>`, `<turn|>` or `[/INST]`. It
/// may also be what a prompt asks the model to write.
fn may_be_special(text: &str) -> bool {
    const WORDS: [&str; 18] = [
        "end",
        "start",
        "begin",
        "begining",
        "beginning",
        "turn",
        "utterance",
        "message",
        "eot",
        "eos",
        "eom",
        "eod",
        "bos",
        "sep",
        "inst",
        "sys",
        "im",
        "endoftext",
    ];
    if text.starts_with("<|") || text.ends_with("|>") {
        return true;
    }
    let inner = |open: char, close: char| text.strip_prefix(open)?.strip_suffix(close);
    let words = |inner: &str| {
        let lower = inner.to_lowercase();
        lower.split(|c: char| !c.is_alphanumeric()).any(|word| WORDS.contains(&word))
    };
    if let Some(inner) = inner('<', '>') {
        return inner.contains('|') || words(inner);
    }
    inner('[', ']').is_some_and(|inner| {
        let name = inner.strip_prefix('/').unwrap_or(inner);
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    })
}

/// How many tokens a variant's tokenizer has, those left out that were added to it: its highest id
/// and one. The scripted engine's has 256.
///
/// # Errors
/// If the tokenizer is missing or not understood.
pub fn tokenizer_size(variant: &Variant) -> Result<usize> {
    match Vocabulary::of(variant)? {
        Vocabulary::Bytes => Ok(256),
        Vocabulary::Tokenizer(tokenizer, _) => {
            Ok(tokenizer.get_vocab(false).into_values().max().map_or(0, |id| id as usize + 1))
        }
    }
}

/// What a variant's small files of text disagree on, and what is done about it, in sentences.
///
/// # Errors
/// If a tokenizer is missing or not understood, or a file is not JSON.
pub fn disagreements(variant: &Variant) -> Result<Vec<String>> {
    let vocabulary = Vocabulary::of(variant)?;
    // That there is no end at all is said where one is needed.
    let ends = ends::of(variant, &vocabulary).ok();
    let mut all: Vec<String> =
        ends.and_then(|ends| ends.disagreements(&vocabulary)).into_iter().collect();
    all.extend(decoding::not_applied(variant)?);
    if let Vocabulary::Tokenizer(tokenizer, _) = &vocabulary {
        all.extend(surroundings::of(variant, tokenizer)?.said);
    }
    Ok(all)
}

/// Reads a `tokenizer.json`. What it says of training is switched off, as transformers does when it encodes a
/// text: a length to which inputs are cut, one to which they are padded, and merges that are dropped at random.
///
/// # Errors
/// If it is missing or not understood.
pub fn load_tokenizer(file: &Path) -> Result<Tokenizer> {
    let wrong = |error: String| {
        Problem::in_file(file, format!("is not a tokenizer that the 'tokenizers' crate reads: {error}"))
            .help("take the tokenizer.json that belongs to the model, or name it with tokenizer = \"FILE\"")
    };
    let mut tokenizer = Tokenizer::from_file(file).map_err(|error| wrong(error.to_string()))?;
    tokenizer.with_truncation(None).map_err(|error| wrong(error.to_string()))?;
    tokenizer.with_padding(None);
    if let ModelWrapper::BPE(model) = tokenizer.get_model()
        && model.dropout.is_some()
    {
        let mut model = model.clone();
        model.dropout = None;
        tokenizer.with_model(model);
    }
    Ok(tokenizer)
}
