//! Owns what a model's config.json says of the lengths of sequences: how many positions it knows, and at which lengths
//! it begins to compute otherwise (windows, chunks, positions that are encoded anew beyond the original context).

use serde_json::{Map, Value};
use std::path::Path;

/// Lengths that matter to a model, in tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lengths {
    /// Most positions, and the key that says so. Missing where no file tells.
    pub(super) context: Option<Context>,
    /// Lengths at which something changes, rising. Missing where there is no config.json that would name them.
    pub(super) turns: Option<Vec<usize>>,
    /// The length beyond which all positions of a call are encoded in another way, by the longest of its sequences.
    pub(super) switch: Option<usize>,
}

/// How many tokens a sequence may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The number of tokens.
    pub tokens: usize,
    /// What says so, in words for a message.
    pub said_by: String,
}

/// The names by which families of models state their context.
const CONTEXT: [&str; 8] = [
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "n_ctx",
    "max_sequence_length",
    "max_target_positions",
    "max_context_length",
    "model_max_length",
];

/// The names of lengths at which something changes.
const TURNS: [&str; 7] = [
    "sliding_window",
    "window_size",
    "attention_window",
    "attention_chunk_size",
    "original_max_position_embeddings",
    "chunk_size",
    "mamba_chunk_size",
];

impl Lengths {
    /// What the config.json of a folder says; nothing without one that can be read.
    pub(super) fn of(model: &Path) -> Lengths {
        let text = std::fs::read_to_string(model.join("config.json")).ok();
        let config = text.and_then(|text| serde_json::from_str(&text).ok());
        match config {
            Some(Value::Object(config)) => Lengths::stated(&config),
            _ => Lengths::default(),
        }
    }

    fn stated(config: &Map<String, Value>) -> Lengths {
        // A model of several parts says it of its text in an object of its own.
        let text = config.get("text_config").and_then(Value::as_object).unwrap_or(config);
        let mut turns = Vec::new();
        collect_turns(config, &mut turns);
        turns.sort_unstable();
        turns.dedup();
        Lengths { context: context(text), turns: Some(turns), switch: switch(text) }
    }
}

fn number(table: &Map<String, Value>, key: &str) -> Option<usize> {
    let number = table.get(key)?.as_u64().filter(|number| *number > 0)?;
    usize::try_from(number).ok()
}

/// How rotary embeddings are scaled, by the name of either version of transformers.
fn scaling(text: &Map<String, Value>) -> Option<&Map<String, Value>> {
    ["rope_scaling", "rope_parameters"].iter().find_map(|key| text.get(*key)?.as_object())
}

fn kind(scaling: &Map<String, Value>) -> &str {
    let kind = |key: &str| scaling.get(key).and_then(Value::as_str);
    kind("rope_type").or_else(|| kind("type")).unwrap_or("default")
}

fn context(text: &Map<String, Value>) -> Option<Context> {
    let (key, stated) = CONTEXT.iter().find_map(|key| Some((*key, number(text, key)?)))?;
    let said_by = format!("{key} in config.json");
    // Some state the context before it is stretched, and the factor; where both are there the longer one holds.
    let stretched = scaling(text).filter(|s| ["linear", "dynamic", "yarn"].contains(&kind(s)));
    let longer = stretched.and_then(|scaling| {
        let factor = scaling.get("factor")?.as_f64().filter(|factor| *factor >= 1.0)?;
        let from = number(scaling, "original_max_position_embeddings").unwrap_or(stated);
        Some((from as f64 * factor) as usize).filter(|longer| *longer > stated)
    });
    Some(match longer {
        Some(tokens) => Context { tokens, said_by: format!("{said_by}, stretched by its factor") },
        None => Context { tokens: stated, said_by },
    })
}

/// The length at which a kind of scaling that looks at the whole length begins. One that is not known is taken for
/// such a kind, since splitting a prompt less often does no harm.
fn switch(text: &Map<String, Value>) -> Option<usize> {
    let original = |table: &Map<String, Value>| number(table, "original_max_position_embeddings");
    let of = |scaling: &Map<String, Value>| match kind(scaling) {
        "default" | "linear" | "yarn" | "llama3" | "proportional" | "mrope" => None,
        "dynamic" => original(scaling).or_else(|| number(text, "max_position_embeddings")),
        _ => original(scaling).or_else(|| original(text)),
    };
    let Some(scaling) = scaling(text) else { return original(text) };
    // Some state it by the type of a layer.
    let by_layer = scaling.values().filter_map(Value::as_object).filter_map(of).min();
    of(scaling).or(by_layer)
}

fn collect_turns(table: &Map<String, Value>, turns: &mut Vec<usize>) {
    let no_window = table.get("use_sliding_window").and_then(Value::as_bool) == Some(false);
    for (key, value) in table {
        let window = key == "sliding_window";
        match value {
            Value::Object(inner) => collect_turns(inner, turns),
            Value::Array(values) if TURNS.contains(&key.as_str()) => {
                turns.extend(values.iter().filter_map(Value::as_u64).map(|turn| turn as usize));
            }
            _ if TURNS.contains(&key.as_str()) && !(window && no_window) => {
                turns.extend(number(table, key));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(json: &str) -> Lengths {
        Lengths::stated(serde_json::from_str::<Value>(json).unwrap().as_object().unwrap())
    }

    #[test]
    fn families_state_their_context_by_other_names() {
        let context = |json: &str| stated(json).context.map(|context| context.tokens);
        assert_eq!(context(r#"{"max_position_embeddings": 512}"#), Some(512));
        assert_eq!(context(r#"{"n_positions": 1024}"#), Some(1024));
        assert_eq!(context(r#"{"max_seq_len": 2048}"#), Some(2048));
        assert_eq!(context(r#"{"text_config": {"max_position_embeddings": 64}}"#), Some(64));
        assert_eq!(context(r#"{"hidden_size": 64}"#), None, "none is stated");
        assert_eq!(context(r#"{"max_position_embeddings": null}"#), None);
        // Qwen2.5 states the context before YaRN; Llama 3 the one behind its scaling.
        let yarn = r#"{"max_position_embeddings": 32768, "rope_scaling": {"type": "yarn", "factor": 4.0,
                       "original_max_position_embeddings": 32768}}"#;
        assert_eq!(context(yarn), Some(131072));
        let llama = r#"{"max_position_embeddings": 131072, "rope_scaling": {"rope_type": "llama3", "factor": 8.0,
                        "original_max_position_embeddings": 8192}}"#;
        assert_eq!(context(llama), Some(131072));
    }

    #[test]
    fn windows_and_original_contexts_are_turns_where_they_are_used() {
        let turns = |json: &str| stated(json).turns.unwrap();
        assert_eq!(turns(r#"{"sliding_window": 16}"#), [16]);
        assert_eq!(turns(r#"{"sliding_window": 16, "use_sliding_window": true}"#), [16]);
        assert!(turns(r#"{"sliding_window": 16, "use_sliding_window": false}"#).is_empty());
        assert!(turns(r#"{"sliding_window": null}"#).is_empty());
        assert_eq!(turns(r#"{"window_size": [8, 256]}"#), [8, 256]);
        let nested = r#"{"sliding_window": 32, "rope_parameters": {"full": {"original_max_position_embeddings": 8}}}"#;
        assert_eq!(turns(nested), [8, 32]);
        assert_eq!(Lengths::default().turns, None, "nothing is known without a config.json");
    }

    #[test]
    fn what_looks_at_the_whole_length_switches() {
        let switch = |json: &str| stated(json).switch;
        let long = r#"{"rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 64}}"#;
        assert_eq!(switch(long), Some(64));
        let phi = r#"{"original_max_position_embeddings": 4096, "rope_scaling": {"type": "su"}}"#;
        assert_eq!(switch(phi), Some(4096));
        assert_eq!(
            switch(r#"{"max_position_embeddings": 9, "rope_scaling": {"type": "dynamic"}}"#),
            Some(9)
        );
        let llama =
            r#"{"rope_scaling": {"rope_type": "llama3", "original_max_position_embeddings": 64}}"#;
        assert_eq!(switch(llama), None);
        assert_eq!(switch(r#"{"rope_parameters": {"rope_theta": 1e4}}"#), None);
    }
}
