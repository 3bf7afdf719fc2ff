//! Owns what a checkpoint in the layout of Hugging Face says of the work for each token: `config.json`, and the names
//! and shapes of its tensors.

use super::MAKE_AGAIN;
use crate::problem::{Problem, Result};
use crate::record::Work;
use candle_core::safetensors::MmapedSafetensors;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The table that tokens are looked up in. Without a table of its own, the output is a product with it too.
const EMBEDDINGS: &str = "model.embed_tokens.weight";

/// The table of the output.
const OUTPUT: &str = "lm_head.weight";

/// One tensor, as the header of its file has it.
struct Tensor {
    elements: u64,
    bytes: u64,
    /// As the engines' words for types have it: `f16`.
    kind: String,
    is_matrix: bool,
}

/// Counts the work of a token.
///
/// # Errors
/// If a file cannot be read or is none of its kind.
pub(super) fn work(config: &Path, weights: &[PathBuf]) -> Result<Work> {
    let text = std::fs::read_to_string(config)
        .map_err(|error| Problem::io(config, "read it", &error).help(MAKE_AGAIN))?;
    let config: Value = serde_json::from_str(&text)
        .map_err(|error| Problem::json(config, "is no JSON", &error).help(MAKE_AGAIN))?;
    Ok(count(&config, &tensors(weights)?))
}

fn tensors(files: &[PathBuf]) -> Result<BTreeMap<String, Tensor>> {
    let mut found = BTreeMap::new();
    for file in files {
        // SAFETY: the file is mapped, its header read, and nothing kept.
        let mapped = unsafe { MmapedSafetensors::new(file) }.map_err(|error| {
            let what = format!("is no safetensors file, or is cut short: {error}");
            Problem::in_file(file, what).help(MAKE_AGAIN)
        })?;
        for (name, view) in mapped.tensors() {
            let tensor = Tensor {
                elements: view.shape().iter().product::<usize>() as u64,
                bytes: view.data().len() as u64,
                kind: format!("{:?}", view.dtype()).to_lowercase(),
                is_matrix: view.shape().len() == 2,
            };
            found.insert(name, tensor);
        }
    }
    Ok(found)
}

fn count(config: &Value, tensors: &BTreeMap<String, Tensor>) -> Work {
    let looked_up = |name: &str| name == EMBEDDINGS && tensors.contains_key(OUTPUT);
    let mut work = Work::default();
    for (name, tensor) in tensors {
        if looked_up(name) {
            work.looked_up_bytes += tensor.bytes;
        } else if tensor.is_matrix {
            work.weights += tensor.elements;
            work.weight_bytes += tensor.bytes;
            *work.types.entry(tensor.kind.clone()).or_default() += tensor.elements;
        } else {
            work.other_bytes += tensor.bytes;
        }
    }
    let most = work.types.iter().max_by_key(|(_, elements)| **elements);
    work.stored = most.map(|(kind, _)| kind.clone()).unwrap_or_default();
    let number = |key: &str| config[key].as_u64();
    let heads = number("num_attention_heads").unwrap_or(0);
    let width = number("hidden_size").unwrap_or(0);
    let head = number("head_dim").or_else(|| width.checked_div(heads)).unwrap_or(0);
    let layers = number("num_hidden_layers").unwrap_or(0);
    // Keys and values of the heads that have their own; queries with keys, weights with values of all heads.
    work.cache_keys = layers * head * number("num_key_value_heads").unwrap_or(heads);
    work.cache_numbers = 2 * work.cache_keys;
    work.attention_products = 2 * layers * head * heads;
    work
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tied_table_is_read_and_another_is_looked_up() {
        let config = json!({"hidden_size": 8, "num_attention_heads": 4, "num_key_value_heads": 2,
            "num_hidden_layers": 3});
        let tensor = |elements, is_matrix| Tensor {
            elements,
            bytes: 2 * elements,
            kind: "f16".to_string(),
            is_matrix,
        };
        let mut tensors = BTreeMap::from([
            (EMBEDDINGS.to_string(), tensor(80, true)),
            ("model.layers.0.mlp.up_proj.weight".to_string(), tensor(64, true)),
            ("model.norm.weight".to_string(), tensor(8, false)),
        ]);
        let tied = count(&config, &tensors);
        assert_eq!((tied.weights, tied.weight_bytes, tied.looked_up_bytes), (144, 288, 0));
        assert_eq!((tied.other_bytes, tied.stored.as_str()), (16, "f16"));
        assert_eq!((tied.cache_numbers, tied.attention_products), (2 * 3 * 2 * 2, 2 * 3 * 8));
        tensors.insert(OUTPUT.to_string(), tensor(80, true));
        let untied = count(&config, &tensors);
        assert_eq!((untied.weights, untied.looked_up_bytes), (144, 160));
    }
}
