//! Owns what a model's generation_config.json asks for beyond the most probable token, which perfgate does not do.

use super::super::small_files::json_of;
use crate::config::Variant;
use crate::problem::Result;
use serde_json::Value;

/// A sentence where a generation_config.json asks for something that changes even the most probable token, which
/// `generate` of transformers and servers apply and perfgate does not: what is measured is the model.
///
/// # Errors
/// If the file is not JSON.
pub(super) fn not_applied(variant: &Variant) -> Result<Option<String>> {
    let config = json_of(variant, "generation_config.json")?;
    let number = |key: &str, neutral: f64| {
        config[key].as_f64().filter(|value| *value != neutral).map(|value| format!("{key} {value}"))
    };
    let there = |key: &str| {
        let empty = matches!(&config[key], Value::Null)
            || config[key].as_array().is_some_and(Vec::is_empty);
        (!empty).then(|| key.to_string())
    };
    let numbers = [
        ("repetition_penalty", 1.0),
        ("encoder_repetition_penalty", 1.0),
        ("no_repeat_ngram_size", 0.0),
        ("guidance_scale", 1.0),
        ("min_length", 0.0),
        ("min_new_tokens", 0.0),
    ];
    let lists = [
        "suppress_tokens",
        "begin_suppress_tokens",
        "bad_words_ids",
        "sequence_bias",
        "forced_bos_token_id",
        "forced_eos_token_id",
    ];
    let numbers = numbers.into_iter().filter_map(|(key, neutral)| number(key, neutral));
    let named: Vec<String> = numbers.chain(lists.into_iter().filter_map(there)).collect();
    Ok((!named.is_empty()).then(|| {
        format!(
            "its generation_config.json asks for {}, which perfgate does not apply: an answer may be another than a \
             server's",
            named.join(", ")
        )
    }))
}
