//! Owns which tokens end an answer by the model's files, of which each may name others.

use super::super::chat::{Special, special_tokens};
use super::super::small_files::json_of;
use super::Vocabulary;
use crate::config::Variant;
use crate::problem::{Problem, Result};
use serde_json::Value;

/// The ends of sequence, by the file that names them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    by_file: Vec<(&'static str, Vec<u32>)>,
}

/// The ends that the files of a variant's model name. Whichever of them a model says, it has ended.
///
/// # Errors
/// If a file is not JSON, or none of them names an end.
pub(super) fn of(variant: &Variant, vocabulary: &Vocabulary) -> Result<Ends> {
    if matches!(vocabulary, Vocabulary::Bytes) {
        return Ok(Ends { by_file: vec![("the scripted engine", vec![0])] });
    }
    let mut by_file = Vec::new();
    for name in ["generation_config.json", "config.json"] {
        let config = json_of(variant, name)?;
        // A model of text and images keeps the one of its text inside.
        let own = ids(&config["eos_token_id"]);
        let found = if own.is_empty() { ids(&config["text_config"]["eos_token_id"]) } else { own };
        if !found.is_empty() {
            by_file.push((name, found));
        }
    }
    if let Some(Special::One(token)) = special_tokens(variant)?.get("eos_token")
        && let Some(id) = vocabulary.id_of(token)
    {
        by_file.push(("the tokenizer's files", vec![id]));
    }
    if by_file.is_empty() {
        return Err(Problem::in_file(&variant.load.model, "names no end-of-sequence token").help(
            "a quality pass needs one: eos_token_id in generation_config.json or config.json, or \
             eos_token in tokenizer_config.json",
        ));
    }
    Ok(Ends { by_file })
}

/// One id, or a list of them.
fn ids(value: &Value) -> Vec<u32> {
    let one = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Value::Array(all) => all.iter().filter_map(one).collect(),
        value => one(value).into_iter().collect(),
    }
}

impl Ends {
    /// All of them.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        self.by_file.iter().flat_map(|(_, ids)| ids).copied()
    }

    /// A sentence where none of the files names all ends; that one names more than another is usual.
    pub(super) fn disagreements(&self, vocabulary: &Vocabulary) -> Option<String> {
        let has_all = |ids: &[u32]| self.ids().all(|id| ids.contains(&id));
        if self.by_file.iter().any(|(_, ids)| has_all(ids)) {
            return None;
        }
        let name = |id: &u32| match vocabulary.name_of(*id) {
            Some(name) => format!("{id} ({name})"),
            None => id.to_string(),
        };
        let of_file = |(file, ids): &(&str, Vec<u32>)| {
            format!("{file} {}", ids.iter().map(name).collect::<Vec<_>>().join(", "))
        };
        let all: Vec<String> = self.by_file.iter().map(of_file).collect();
        Some(format!(
            "its files name different ends of an answer: {}; an answer ends at each of them",
            all.join("; ")
        ))
    }
}
