//! Owns a checkpoint's weights on disk: which files hold them, and whether the tensors are those that the
//! configuration asks for.

use super::super::MAKE_AGAIN;
use super::config::{Config, read_json};
use crate::problem::{Problem, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The safetensors files of a model: one, or those that its index names.
pub(super) fn weight_files(model: &Path) -> Result<Vec<PathBuf>> {
    let single = model.join("model.safetensors");
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index = model.join("model.safetensors.index.json");
    if !index.is_file() {
        let what = "holds neither model.safetensors nor model.safetensors.index.json";
        return Err(Problem::in_file(model, what).help(MAKE_AGAIN));
    }
    let json = read_json(&index)?;
    let map = json["weight_map"].as_object().into_iter().flatten();
    let names: BTreeSet<&str> = map.filter_map(|(_, name)| name.as_str()).collect();
    if names.is_empty() {
        return Err(Problem::in_file(&index, "has no weight_map").help(MAKE_AGAIN));
    }
    let files: Vec<PathBuf> = names.into_iter().map(|name| model.join(name)).collect();
    match files.iter().find(|file| !file.is_file()) {
        Some(missing) => {
            let what = format!("names the shard {}, which is missing", missing.display());
            Err(Problem::in_file(&index, what).help(MAKE_AGAIN))
        }
        None => Ok(files),
    }
}

/// Checks names and shapes against the configuration, since candle panics on a missing tensor.
pub(super) fn check_tensors(files: &[PathBuf], config: &Config) -> Result<()> {
    let mut found = BTreeMap::new();
    for file in files {
        // SAFETY: as in `load`.
        let tensors =
            unsafe { candle_core::safetensors::MmapedSafetensors::new(file) }.map_err(|error| {
                let what = format!("is no safetensors file, or is cut short: {error}");
                Problem::in_file(file, what).help(MAKE_AGAIN)
            })?;
        for (name, view) in tensors.tensors() {
            found.insert(name, (file, view.shape().to_vec()));
        }
    }
    for (name, shape) in expected_tensors(config) {
        let (file, what) = match found.get(&name) {
            Some((_, is)) if *is == shape => continue,
            Some((file, is)) => (
                *file,
                format!("tensor '{name}' has the shape {is:?}, and config.json asks for {shape:?}"),
            ),
            None => (&files[0], format!("tensor '{name}' is missing, which config.json asks for")),
        };
        return Err(Problem::in_file(file, what)
            .help("config.json and weights are of different models: copy both from one"));
    }
    Ok(())
}

/// Names and shapes of a checkpoint's tensors.
fn expected_tensors(config: &Config) -> Vec<(String, Vec<usize>)> {
    let sizes = &config.sizes;
    let (vocabulary, width) = (sizes.vocab_size, sizes.hidden_size);
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_string(), vec![vocabulary, width]),
        ("model.norm.weight".to_string(), vec![width]),
    ];
    if !sizes.tied() {
        tensors.push(("lm_head.weight".to_string(), vec![vocabulary, width]));
    }
    let layer = layer_tensors(config);
    for index in 0..sizes.num_hidden_layers {
        for (name, shape) in &layer {
            tensors.push((format!("model.layers.{index}.{name}"), shape.clone()));
        }
    }
    tensors
}

/// Names and shapes of the tensors of one layer.
fn layer_tensors(config: &Config) -> Vec<(String, Vec<usize>)> {
    let sizes = &config.sizes;
    let (width, inner) = (sizes.hidden_size, sizes.intermediate_size);
    let queries = sizes.num_attention_heads * sizes.head_width();
    let kv = sizes.kv_heads() * sizes.head_width();
    let weights = [
        ("input_layernorm", vec![width]),
        ("post_attention_layernorm", vec![width]),
        ("self_attn.q_proj", vec![queries, width]),
        ("self_attn.k_proj", vec![kv, width]),
        ("self_attn.v_proj", vec![kv, width]),
        ("self_attn.o_proj", vec![width, queries]),
        ("mlp.gate_proj", vec![inner, width]),
        ("mlp.up_proj", vec![inner, width]),
        ("mlp.down_proj", vec![width, inner]),
    ];
    let biases = [
        ("self_attn.q_proj", vec![queries]),
        ("self_attn.k_proj", vec![kv]),
        ("self_attn.v_proj", vec![kv]),
    ];
    let biases = biases.into_iter().filter(|_| config.family.qkv_bias);
    let weights = weights.into_iter().map(|(name, shape)| (format!("{name}.weight"), shape));
    weights.chain(biases.map(|(name, shape)| (format!("{name}.bias"), shape))).collect()
}
