//! Owns the `candle` backend: Llama models (TinyLlama, SmolLM2, Llama 3) from `config.json` and
//! safetensors, with weights in F16 or F32.

use super::batch::{Batch, Show, Visit};
use super::{
    Backend, Engine, Inspected, Laps, LoadError, MAKE_AGAIN, Sequence, Switches, failed, size_of,
};
use crate::problem::{Problem, Result};
use crate::protocol::LoadSpec;
use crate::record::{EngineInfo, Failure, LoadPhases};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::llama::{Cache, Config, Llama, LlamaConfig};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Llama models in pure Rust.
pub(super) const BACKEND: Backend = Backend {
    id: "candle",
    has_model: true,
    options: |table, _, load| {
        let types = [("f16", "f16"), ("f32", "f32")];
        let dtype = table.take("dtype").map_or(Ok("f16"), |node| node.choice(&types))?;
        load.options.insert("dtype".to_string(), dtype.into());
        Ok(())
    },
    inspect: |spec| inspect(&spec.model),
    inspect_runtime: |_| Ok(None),
    // Its weights are always mapped, and nothing is compiled that could be kept.
    switches: Switches::NONE,
    kv_type: Some("weights"),
    load: |spec| Ok(Box::new(load(spec)?)),
};

/// candle's version, held equal to Cargo.lock by a test.
const VERSION: &str = "0.11.1";

/// A Llama model in candle.
struct Candle {
    model: Llama,
    /// An empty cache; candle's has no reset, so each request gets a copy.
    pristine: Cache,
    config: Config,
    dtype: &'static str,
    threads: usize,
    phases: LoadPhases,
}

/// Loads a Llama model from a folder in the layout of Hugging Face.
fn load(spec: &LoadSpec) -> std::result::Result<Candle, LoadError> {
    let (dtype, dtype_name) = match spec.text("dtype") {
        None | Some("f16") => (DType::F16, "f16"),
        Some("f32") => (DType::F32, "f32"),
        Some(other) => {
            return Err(LoadError::setup(format!(
                "the candle engine has no data type '{other}': use f16 or f32"
            )));
        }
    };
    let (mut laps, mut phases) = (Laps::start(), LoadPhases::default());
    let config = read_config(&spec.model.join("config.json"))?;
    let files = weight_files(&spec.model)?;
    check_tensors(&files, &config)?;
    let device = Device::Cpu;
    // SAFETY: the files are mapped; perfgate's models are not written to while a session runs, and
    // a change would be a change of the model's hash.
    let weights = unsafe { VarBuilder::from_mmaped_safetensors(&files, dtype, &device) };
    let broken = |error: candle_core::Error| {
        LoadError::setup(format!("candle cannot load {}: {error}", spec.model.display()))
    };
    let weights = weights.map_err(broken)?;
    phases.read_ns = laps.lap();
    let model = Llama::load(weights, &config).map_err(broken)?;
    let pristine = Cache::new(true, dtype, &config, &device).map_err(broken)?;
    phases.compile_ns = laps.lap();
    Ok(Candle { model, pristine, config, dtype: dtype_name, threads: spec.threads, phases })
}

/// What the files say before they are loaded.
fn inspect(model: &Path) -> Result<Inspected> {
    let file = model.join("config.json");
    let config = read_config(&file)?;
    let mut files = weight_files(model)?;
    check_tensors(&files, &config)?;
    let weight_bytes = size_of(&files)?;
    files.push(file);
    Ok(Inspected {
        files,
        weight_bytes,
        vocab_size: Some(config.vocab_size),
        kv_values: Some(kv_values(&config)),
        ..Inspected::default()
    })
}

/// Numbers that the cache holds of a token: a key and a value for each head that has its own, in each layer.
fn kv_values(config: &Config) -> u64 {
    let head = config.hidden_size / config.num_attention_heads;
    (2 * config.num_hidden_layers * config.num_key_value_heads * head) as u64
}

fn read_json(file: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Problem::io(file, "read it", &error).help(MAKE_AGAIN))?;
    serde_json::from_str(&text)
        .map_err(|error| Problem::json(file, "is no JSON", &error).help(MAKE_AGAIN))
}

fn read_config(file: &Path) -> Result<Config> {
    let json = read_json(file)?;
    if let Some(what) = unsupported(&json) {
        return Err(Problem::in_file(file, format!("the candle engine does not support {what}"))
            .help(
                "it runs Llama models (TinyLlama, SmolLM2, Llama 3) with F16 or F32 weights; \
                 others run as an IR with engine = \"openvino\"",
            ));
    }
    let broken = |why: String| {
        Problem::in_file(file, format!("is no Llama configuration: {why}")).help(MAKE_AGAIN)
    };
    let config: LlamaConfig =
        serde_json::from_value(json).map_err(|error| broken(error.to_string()))?;
    match config.num_attention_heads {
        0 => Err(broken("'num_attention_heads' is 0".to_string())),
        _ => Ok(config.into_config(false)),
    }
}

/// What of a configuration candle's Llama would silently ignore, or run wrongly.
fn unsupported(config: &Value) -> Option<String> {
    let text = |key: &str| config[key].as_str();
    if let Some(kind) = text("model_type").filter(|kind| *kind != "llama") {
        return Some(format!("the model type '{kind}'"));
    }
    let architectures = config["architectures"].as_array().into_iter().flatten();
    for architecture in architectures.filter_map(Value::as_str) {
        if architecture != "LlamaForCausalLM" {
            return Some(format!("the architecture '{architecture}'"));
        }
    }
    if let Some(activation) = text("hidden_act").filter(|name| *name != "silu") {
        return Some(format!("the activation '{activation}'"));
    }
    for key in ["attention_bias", "mlp_bias"] {
        if config[key] == Value::Bool(true) {
            return Some(format!("biases ('{key}')"));
        }
    }
    if !config["quantization_config"].is_null() {
        return Some("weights that are quantized already ('quantization_config')".to_string());
    }
    let rope = &config["rope_scaling"];
    let kind = rope["rope_type"].as_str().or_else(|| rope["type"].as_str());
    if !rope.is_null() && !matches!(kind, Some("llama3" | "default")) {
        return Some(format!("the rope scaling '{}'", kind.unwrap_or("without a type")));
    }
    let size = |key: &str| config[key].as_u64();
    if let (Some(head), Some(width), Some(heads)) =
        (size("head_dim"), size("hidden_size"), size("num_attention_heads"))
        && head * heads != width
    {
        return Some(format!("a head width of {head} with {heads} heads in a width of {width}"));
    }
    None
}

/// The safetensors files of a model: one, or those that its index names.
fn weight_files(model: &Path) -> Result<Vec<PathBuf>> {
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
fn check_tensors(files: &[PathBuf], config: &Config) -> Result<()> {
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

/// Names and shapes of a Llama checkpoint.
fn expected_tensors(config: &Config) -> Vec<(String, Vec<usize>)> {
    let width = config.hidden_size;
    let kv = width / config.num_attention_heads * config.num_key_value_heads;
    let inner = config.intermediate_size;
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_string(), vec![config.vocab_size, width]),
        ("model.norm.weight".to_string(), vec![width]),
    ];
    if !config.tie_word_embeddings {
        tensors.push(("lm_head.weight".to_string(), vec![config.vocab_size, width]));
    }
    let layer = [
        ("input_layernorm", vec![width]),
        ("post_attention_layernorm", vec![width]),
        ("self_attn.q_proj", vec![width, width]),
        ("self_attn.k_proj", vec![kv, width]),
        ("self_attn.v_proj", vec![kv, width]),
        ("self_attn.o_proj", vec![width, width]),
        ("mlp.gate_proj", vec![inner, width]),
        ("mlp.up_proj", vec![inner, width]),
        ("mlp.down_proj", vec![width, inner]),
    ];
    for index in 0..config.num_hidden_layers {
        for (name, shape) in &layer {
            tensors.push((format!("model.layers.{index}.{name}.weight"), shape.clone()));
        }
    }
    tensors
}

impl Engine for Candle {
    fn info(&self) -> EngineInfo {
        let properties = BTreeMap::from([
            ("weights".to_string(), self.dtype.to_string()),
            ("RAYON_NUM_THREADS".to_string(), self.threads.to_string()),
        ]);
        EngineInfo {
            engine: "candle".to_string(),
            version: VERSION.to_string(),
            device: Some("CPU".to_string()),
            properties,
            vocab_size: Some(self.config.vocab_size),
            ..EngineInfo::default()
        }
    }

    fn phases(&self) -> LoadPhases {
        self.phases
    }

    fn begin(&mut self) -> std::result::Result<Box<dyn Sequence + '_>, Failure> {
        let cache = self.pristine.clone();
        Ok(Box::new(CandleSequence { engine: self, cache, past: 0, logits: Vec::new() }))
    }

    fn batches(&self) -> bool {
        true
    }

    fn batch(&mut self, prefix: &[u32]) -> std::result::Result<Box<dyn Batch + '_>, Failure> {
        let cache = self.pristine.clone();
        let mut start = CandleSequence { engine: self, cache, past: 0, logits: Vec::new() };
        if !prefix.is_empty() {
            start.forward(prefix)?;
        }
        Ok(Box::new(CandleBatch { start, rows: BTreeMap::new() }))
    }
}

/// Sequences that each have a copy of the prefix's cache, and are run one after the other.
struct CandleBatch<'a> {
    start: CandleSequence<'a>,
    rows: BTreeMap<usize, CandleSequence<'a>>,
}

impl Batch for CandleBatch<'_> {
    fn forward(
        &mut self,
        rows: &[(usize, &[u32])],
        show: Show,
        visit: &mut Visit<'_>,
    ) -> std::result::Result<(), Failure> {
        self.rows.retain(|row, _| rows.iter().any(|(kept, _)| kept == row));
        for (row, tokens) in rows {
            let sequence = self.rows.entry(*row).or_insert_with(|| self.start.clone());
            // candle returns the logits of the last position alone.
            let step = if show == Show::Last { tokens.len() } else { 1 };
            for (index, fed) in tokens.chunks(step).enumerate() {
                visit(*row, (index + 1) * step - 1, sequence.forward(fed)?)?;
            }
        }
        Ok(())
    }
}

#[derive(Clone)]
struct CandleSequence<'a> {
    engine: &'a Candle,
    cache: Cache,
    past: usize,
    logits: Vec<f32>,
}

impl CandleSequence<'_> {
    fn run(&mut self, tokens: &[u32]) -> candle_core::Result<()> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let logits = self.engine.model.forward(&input, self.past, &mut self.cache)?;
        self.past += tokens.len();
        self.logits = logits.squeeze(0)?.to_vec1()?;
        Ok(())
    }
}

impl Sequence for CandleSequence<'_> {
    fn forward(&mut self, tokens: &[u32]) -> std::result::Result<&[f32], Failure> {
        let vocabulary = self.engine.config.vocab_size;
        if let Some(id) = tokens.iter().find(|id| **id as usize >= vocabulary) {
            return Err(failed(format!(
                "token {id} is outside the model's vocabulary of {vocabulary}: the tokenizer is \
                 another model's"
            )));
        }
        let room = self.engine.config.max_position_embeddings;
        if self.past + tokens.len() > room {
            return Err(failed(format!(
                "{} tokens do not fit into the model's context of {room}",
                self.past + tokens.len()
            )));
        }
        self.run(tokens).map_err(|error| failed(format!("candle: {error}")))?;
        Ok(&self.logits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_version_is_that_of_the_lock_file() {
        let lock = include_str!("../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"candle-core\"\nversion = \"{VERSION}\"")));
    }

    #[test]
    fn what_is_unsupported_is_named() {
        let good = json!({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
            "hidden_act": "silu", "hidden_size": 64, "num_attention_heads": 4, "head_dim": 16});
        assert_eq!(unsupported(&good), None);
        let cases = [
            ("model_type", json!("mistral"), "the model type 'mistral'"),
            ("architectures", json!(["Qwen2ForCausalLM"]), "the architecture 'Qwen2ForCausalLM'"),
            ("hidden_act", json!("gelu"), "the activation 'gelu'"),
            ("attention_bias", json!(true), "biases ('attention_bias')"),
            ("rope_scaling", json!({"type": "linear", "factor": 2}), "the rope scaling 'linear'"),
            ("quantization_config", json!({"bits": 4}), "quantized already"),
            ("head_dim", json!(32), "a head width of 32"),
        ];
        for (key, value, expected) in cases {
            let mut bad = good.clone();
            bad[key] = value;
            let what = unsupported(&bad).expect(expected);
            assert!(what.contains(expected), "{what}");
        }
    }
}
