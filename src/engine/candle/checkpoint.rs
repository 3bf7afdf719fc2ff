//! Owns a checkpoint's weights on disk: which files hold them, and whether the tensors are those that the
//! configuration asks for.

use super::super::MAKE_AGAIN;
use super::config::{Config, read_json};
use crate::problem::{Problem, Result};
use candle_core::safetensors::MmapedSafetensors;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The files of a checkpoint's weights.
#[derive(Debug)]
pub(super) struct Weights {
    /// Each once, in order.
    pub files: Vec<PathBuf>,
    index: Option<Index>,
}

/// What an index says: the file of each tensor.
#[derive(Debug)]
struct Index {
    file: PathBuf,
    places: BTreeMap<String, PathBuf>,
}

const SINGLE: &str = "model.safetensors";
const HEAD: &str = "lm_head.weight";
const EMBEDDINGS: &str = "model.embed_tokens.weight";

/// The remedy where index and shards do not belong together.
const STALE: &str =
    "index and shards are of different exports: copy all of them from one, into an empty folder";

/// The remedy where config.json and weights do not belong together.
const OTHER_MODEL: &str = "config.json and weights are of different models: copy both from one";

/// The safetensors files of a model: one, or those that its index names.
///
/// # Errors
/// If there are none, or the folder holds two sets of weights.
pub(super) fn weight_files(model: &Path) -> Result<Weights> {
    let adapter = model.join("adapter_config.json");
    if adapter.is_file() {
        let what = "is of an adapter, which transformers adds to the weights and the candle engine does not";
        return Err(Problem::in_file(&adapter, what)
            .help("merge the adapter into the weights, or move it out of the model's folder"));
    }
    let single = model.join(SINGLE);
    let file = model.join("model.safetensors.index.json");
    if !file.is_file() {
        if single.is_file() {
            return Ok(Weights { files: vec![single], index: None });
        }
        let what = "holds neither model.safetensors nor model.safetensors.index.json";
        return Err(Problem::in_file(model, what).help(MAKE_AGAIN));
    }
    let json = read_json(&file)?;
    let map = json["weight_map"].as_object().into_iter().flatten();
    let places: BTreeMap<String, PathBuf> = map
        .filter_map(|(tensor, name)| Some((tensor.clone(), model.join(name.as_str()?))))
        .collect();
    if places.is_empty() {
        return Err(Problem::in_file(&file, "has no weight_map").help(MAKE_AGAIN));
    }
    let files: BTreeSet<&PathBuf> = places.values().collect();
    if let Some(missing) = files.iter().find(|file| !file.is_file()) {
        let what = format!("names the shard {}, which is missing", missing.display());
        return Err(Problem::in_file(&file, what).help(MAKE_AGAIN));
    }
    if single.is_file() && !files.contains(&single) {
        let what = "is not named by model.safetensors.index.json next to it: the folder holds two sets of weights, \
                    and which one is read depends on the program";
        return Err(Problem::in_file(&single, what)
            .help("remove the one that is not meant: this file, or the index and its shards"));
    }
    let files = files.into_iter().cloned().collect();
    Ok(Weights { files, index: Some(Index { file, places }) })
}

/// Checks names, types and shapes against the configuration, since candle panics on a missing tensor, reads the last
/// of several with one name, takes whole numbers for weights, and leaves out what it does not know.
///
/// # Errors
/// If candle would compute something else than the checkpoint says.
pub(super) fn check_tensors(weights: &Weights, config: &Config) -> Result<()> {
    let mapped = weights.files.iter().map(|file| {
        // SAFETY: as in `load`.
        unsafe { MmapedSafetensors::new(file) }.map_err(|error| {
            let what = format!("is no safetensors file, or is cut short: {error}");
            Problem::in_file(file, what).help(MAKE_AGAIN)
        })
    });
    let mapped: Vec<MmapedSafetensors> = mapped.collect::<Result<_>>()?;
    let mut found = BTreeMap::new();
    for (file, tensors) in weights.files.iter().zip(&mapped) {
        for (name, view) in tensors.tensors() {
            if let Some(what) = weights.misplaced(&name, file) {
                return Err(Problem::in_file(file, what).help(STALE));
            }
            found.insert(name, (file, view));
        }
    }
    if let Some(index) = &weights.index
        && let Some((name, file)) = index.places.iter().find(|(name, _)| !found.contains_key(*name))
    {
        let what = format!("has tensor '{name}' in {}, which does not hold it", file.display());
        return Err(Problem::in_file(&index.file, what).help(STALE));
    }
    let expected = expected_tensors(config);
    for (name, shape) in &expected {
        let Some((file, view)) = found.get(name) else {
            let what = format!("tensor '{name}' is missing, which config.json asks for");
            return Err(Problem::in_file(&weights.files[0], what).help(OTHER_MODEL));
        };
        let kind = format!("{:?}", view.dtype());
        let what = match view.shape() {
            is if is != shape => {
                format!("tensor '{name}' has the shape {is:?}, and config.json asks for {shape:?}")
            }
            _ if FLOATS.contains(&kind.as_str()) => continue,
            _ => format!("tensor '{name}' is of the type {kind}, so its weights are quantized"),
        };
        return Err(Problem::in_file(file, what).help(OTHER_MODEL));
    }
    let expected: BTreeSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    for (name, (file, view)) in &found {
        // By what positions turn, which older releases of transformers saved: it follows from config.json.
        if expected.contains(name.as_str()) || name.ends_with("rotary_emb.inv_freq") {
            continue;
        }
        if name == HEAD {
            let (_, embeddings) = &found[EMBEDDINGS];
            if embeddings.dtype() == view.dtype() && embeddings.data() == view.data() {
                continue;
            }
            let what = format!(
                "tensor '{HEAD}' differs from '{EMBEDDINGS}', and config.json ties the two \
                 ('tie_word_embeddings'): transformers 5 takes the first for the head, version 4 the second"
            );
            return Err(Problem::in_file(file, what).help(
                "write \"tie_word_embeddings\": false into config.json if the head was trained by itself; if it was \
                 not, remove the tensor",
            ));
        }
        let (title, layers) = (config.family.title, config.sizes.num_hidden_layers);
        let what =
            format!("tensor '{name}' would not be read: no {title} of {layers} layers has one");
        return Err(Problem::in_file(file, what).help(format!(
            "{OTHER_MODEL}; other families run as an IR with engine = \"openvino\""
        )));
    }
    Ok(())
}

/// Types of tensors that hold weights as they are.
const FLOATS: [&str; 4] = ["F16", "BF16", "F32", "F64"];

impl Weights {
    /// What is wrong with where a tensor lies, if there is an index that says where it belongs.
    fn misplaced(&self, name: &str, file: &Path) -> Option<String> {
        match self.index.as_ref()?.places.get(name) {
            Some(place) if place == file => None,
            Some(place) => Some(format!(
                "holds tensor '{name}', which model.safetensors.index.json has in {}",
                place.display()
            )),
            None => Some(format!(
                "holds tensor '{name}', which model.safetensors.index.json does not name"
            )),
        }
    }
}

/// Names and shapes of a checkpoint's tensors.
fn expected_tensors(config: &Config) -> Vec<(String, Vec<usize>)> {
    let sizes = &config.sizes;
    let (vocabulary, width) = (sizes.vocab_size, sizes.hidden_size);
    let mut tensors = vec![
        (EMBEDDINGS.to_string(), vec![vocabulary, width]),
        ("model.norm.weight".to_string(), vec![width]),
    ];
    if !sizes.tied() {
        tensors.push((HEAD.to_string(), vec![vocabulary, width]));
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
