//! Owns what a tokenizer puts around a text, and what of it the model's `tokenizer_config.json` does not want.

use super::super::chat::{Special, special_tokens};
use super::super::small_files::json_of;
use super::Around;
use crate::config::Variant;
use crate::problem::Result;
use tokenizers::Tokenizer;

/// What a tokenizer adds that is taken away, and what there is to say of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// Tokens that are taken away.
    pub(super) taken: Around,
    /// Sentences where the tokenizer and its configuration disagree.
    pub(super) said: Vec<String>,
}

/// What a variant's tokenizer adds to a text, held against `add_bos_token` and `add_eos_token`.
///
/// transformers 4 obeys these two for the tokenizers of Llama and Gemma; transformers 5 ignores them where there is a
/// `tokenizer.json`, whose own rule then holds. An end of sequence behind a prompt leaves nothing to answer, so it is
/// only kept where the configuration asks for it.
///
/// # Errors
/// If a file is not JSON.
pub(super) fn of(variant: &Variant, tokenizer: &Tokenizer) -> Result<Surroundings> {
    let config = json_of(variant, "tokenizer_config.json")?;
    let wants = |key: &str| config[key].as_bool();
    let special = special_tokens(variant)?;
    let id = |name: &str| match special.get(name) {
        Some(Special::One(token)) => tokenizer.token_to_id(token),
        _ => None,
    };
    let (before, after) = added(tokenizer);
    let mut found = Surroundings::default();
    let begins = !before.is_empty() && before.first().copied() == id("bos_token");
    match (wants("add_bos_token"), begins) {
        (Some(false), true) => {
            found.taken.first = 1;
            found.said.push(
                "its tokenizer.json begins a prompt with bos_token and its tokenizer_config.json has add_bos_token = \
                 false: prompts begin without it"
                    .to_string(),
            );
        }
        (Some(true), false) if before.is_empty() => found.said.push(
            "its tokenizer_config.json has add_bos_token = true and its tokenizer.json adds none: prompts without a \
             chat template begin without it, as in transformers 5"
                .to_string(),
        ),
        _ => {}
    }
    let ends = !after.is_empty() && after.last().copied() == id("eos_token");
    if ends && wants("add_eos_token") != Some(true) {
        found.taken.last = 1;
        found.said.push(
            "its tokenizer.json ends a prompt with eos_token, behind which no answer begins: prompts end without it \
             (add_eos_token = true in tokenizer_config.json keeps it)"
                .to_string(),
        );
    }
    Ok(found)
}

/// The tokens that a tokenizer puts before and behind a text.
fn added(tokenizer: &Tokenizer) -> (Vec<u32>, Vec<u32>) {
    let ids = |special| {
        let encoding = tokenizer.encode("a", special);
        encoding.map_or_else(|_| Vec::new(), |encoding| encoding.get_ids().to_vec())
    };
    let (plain, all) = (ids(false), ids(true));
    let start = all.windows(plain.len().max(1)).position(|window| window == plain);
    match start {
        Some(start) if !plain.is_empty() => {
            (all[..start].to_vec(), all[start + plain.len()..].to_vec())
        }
        _ => (Vec::new(), Vec::new()),
    }
}
