//! Checkpoints that say two things, or hold what candle would not read, made of the small random models of
//! `scripts/random_llama.sh tests`: refused where another program would compute something else.

use crate::support::root;
use candle_core::{DType, Device, Tensor};
use perfgate::engine::{self, generate};
use perfgate::protocol::{LoadSpec, Order};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";

/// A copy of a model in a folder of its own, to be changed.
struct Checkpoint {
    folder: tempfile::TempDir,
    tensors: HashMap<String, Tensor>,
}

impl Checkpoint {
    fn of(shape: &str) -> Checkpoint {
        let from = root().join("models/random").join(shape).join("fp16");
        let made = "is missing: run scripts/random_llama.sh tests first";
        assert!(from.is_dir(), "{} {made}", from.display());
        let folder = tempfile::tempdir().unwrap();
        for name in ["config.json", SINGLE] {
            std::fs::copy(from.join(name), folder.path().join(name)).unwrap();
        }
        let tensors = candle_core::safetensors::load(from.join(SINGLE), &Device::Cpu).unwrap();
        Checkpoint { folder, tensors }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn say(&self, key: &str, value: Value) {
        let text = std::fs::read_to_string(self.file("config.json")).unwrap();
        let mut config: Value = serde_json::from_str(&text).unwrap();
        config[key] = value;
        std::fs::write(self.file("config.json"), config.to_string()).unwrap();
    }

    fn save(&self, name: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let part: HashMap<String, Tensor> =
            self.tensors.clone().into_iter().filter(|(name, _)| wanted(name)).collect();
        candle_core::safetensors::save(&part, self.file(name)).unwrap();
        part.into_keys().collect()
    }

    /// Two shards and an index: the head and the last layer in the second.
    fn shard(&self) {
        std::fs::remove_file(self.file(SINGLE)).unwrap();
        let last = |name: &str| name.starts_with("model.layers.2.") || name == "lm_head.weight";
        let first = self.save("model-00001-of-00002.safetensors", |name| !last(name));
        let second = self.save("model-00002-of-00002.safetensors", last);
        let place =
            |shard: usize| move |name| (name, format!("model-0000{shard}-of-00002.safetensors"));
        let map: BTreeMap<String, String> =
            first.into_iter().map(place(1)).chain(second.into_iter().map(place(2))).collect();
        let index = json!({"metadata": {}, "weight_map": map});
        std::fs::write(self.file(INDEX), index.to_string()).unwrap();
    }

    /// Twice what a tensor holds.
    fn twice(&mut self, name: &str) {
        let tensor = (self.tensors[name].clone() * 2.0).unwrap();
        self.tensors.insert(name.to_string(), tensor);
    }

    fn tokens(&self) -> Vec<u32> {
        let mut engine = engine::load(&spec(self.folder.path()))
            .map_err(|error| error.failure.message)
            .expect("it loads");
        let order = Order { prompt: vec![5, 80, 300], tokens: 12, ..Order::default() };
        generate(&mut *engine, &order).unwrap().tokens
    }

    /// What is said before loading, and by loading.
    fn refused(&self) -> String {
        let spec = spec(self.folder.path());
        let loaded = engine::load(&spec).err().expect("it is refused").failure.message;
        let inspected = engine::inspect(&spec).unwrap_err().to_string();
        assert_eq!(loaded, inspected, "it is refused before it is loaded");
        inspected
    }
}

fn spec(model: &Path) -> LoadSpec {
    LoadSpec {
        engine: "candle".to_string(),
        model: model.to_path_buf(),
        threads: 1,
        root: root(),
        options: BTreeMap::from([("dtype".to_string(), "f32".into())]),
        ..LoadSpec::default()
    }
}

fn holds(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn a_head_of_its_own_is_not_tied_away() {
    let mut model = Checkpoint::of("llama-tiny");
    let free = model.tokens();
    model.say("tie_word_embeddings", json!(true));
    holds(
        &model.refused(),
        &[
            "model.safetensors: tensor 'lm_head.weight' differs from 'model.embed_tokens.weight'",
            "transformers 5 takes the first for the head, version 4 the second",
            "\"tie_word_embeddings\": false",
        ],
    );
    // The same table under both names is one.
    let embeddings = model.tensors["model.embed_tokens.weight"].clone();
    model.tensors.insert("lm_head.weight".to_string(), embeddings);
    model.save(SINGLE, |_| true);
    let tied = model.tokens();
    assert_ne!(tied, free, "the head was another");
    model.save(SINGLE, |name| name != "lm_head.weight");
    assert_eq!(model.tokens(), tied);
}

#[test]
fn shards_are_those_of_their_index() {
    let mut model = Checkpoint::of("llama-tiny");
    let whole = model.tokens();
    model.shard();
    assert_eq!(model.tokens(), whole);
    // A stale copy in a shard that is read later: the last one of a name would win.
    let stale = "model.layers.0.mlp.up_proj.weight";
    model.twice(stale);
    let last = |name: &str| name.starts_with("model.layers.2.") || name == "lm_head.weight";
    let second = "model-00002-of-00002.safetensors";
    model.save(second, |name| last(name) || name == stale);
    holds(
        &model.refused(),
        &[
            second,
            stale,
            "which model.safetensors.index.json has in ",
            "-00001-of-00002",
            "copy all",
        ],
    );
    // One that the index does not know.
    model
        .tensors
        .insert("left.over".to_string(), Tensor::zeros(4, DType::F16, &Device::Cpu).unwrap());
    model.save(second, |name| last(name) || name == "left.over");
    holds(&model.refused(), &["'left.over', which model.safetensors.index.json does not name"]);
    // One that is elsewhere.
    model.save(second, |name| last(name) && name != "lm_head.weight");
    let first = |name: &str| !last(name) && name != "left.over" || name == "lm_head.weight";
    model.save("model-00001-of-00002.safetensors", first);
    holds(
        &model.refused(),
        &["holds tensor 'lm_head.weight', which model.safetensors.index.json has"],
    );
    model.save("model-00001-of-00002.safetensors", |name| !last(name) && name != "left.over");
    holds(&model.refused(), &[INDEX, "has tensor 'lm_head.weight' in ", "which does not hold it"]);
}

#[test]
fn a_single_file_next_to_an_index_of_others_is_two_models() {
    let model = Checkpoint::of("llama-tiny");
    let whole = model.tokens();
    model.shard();
    model.save(SINGLE, |_| true);
    holds(
        &model.refused(),
        &["model.safetensors: is not named by model.safetensors.index.json", "two sets of weights"],
    );
    // An index that names the single file is about it.
    let map: BTreeMap<&String, &str> = model.tensors.keys().map(|name| (name, SINGLE)).collect();
    std::fs::write(model.file(INDEX), json!({"weight_map": map}).to_string()).unwrap();
    assert_eq!(model.tokens(), whole);
}

#[test]
fn tensors_that_would_not_be_read_are_refused() {
    let zeros = |kind| Tensor::zeros(16, kind, &Device::Cpu).unwrap();
    let mut model = Checkpoint::of("llama-tiny");
    let whole = model.tokens();
    // It follows from the configuration, and old releases saved it.
    let saved = "model.layers.0.self_attn.rotary_emb.inv_freq";
    model.tensors.insert(saved.to_string(), zeros(DType::F32));
    model.save(SINGLE, |_| true);
    assert_eq!(model.tokens(), whole);
    for name in [
        "model.layers.0.self_attn.q_norm.weight",
        "model.layers.0.self_attn.o_proj.bias",
        "model.layers.3.mlp.up_proj.weight",
        "model.layers.1.mlp.down_proj.weight_scale",
        "base_model.model.layers.0.self_attn.q_proj.lora_A.weight",
    ] {
        model.tensors.insert(name.to_string(), zeros(DType::F16));
        model.save(SINGLE, |_| true);
        let expected = format!("tensor '{name}' would not be read: no Llama of 3 layers has one");
        holds(&model.refused(), &[&expected]);
        model.tensors.remove(name);
    }
    // Whole numbers are weights of a scheme that nothing here undoes.
    let name = "model.layers.1.mlp.down_proj.weight";
    let whole_numbers = model.tensors[name].to_dtype(DType::U8).unwrap();
    model.tensors.insert(name.to_string(), whole_numbers);
    model.save(SINGLE, |_| true);
    holds(&model.refused(), &[name, "is of the type U8, so its weights are quantized"]);
}

#[test]
fn configurations_that_say_two_things_are_refused() {
    let model = Checkpoint::of("qwen2-tiny");
    let base = model.tokens();
    model.say("rope_parameters", json!({"rope_type": "default", "rope_theta": 1_000_000.0}));
    assert_eq!(model.tokens(), base, "the same base twice");
    model.say("rope_parameters", json!({"rope_type": "default", "rope_theta": 10_000.0}));
    holds(
        &model.refused(),
        &["config.json: says two bases of rotary embeddings: 1000000 by 'rope_theta' and 10000 by"],
    );
    model.say("rope_parameters", json!({"type": "yarn", "factor": 4.0}));
    holds(&model.refused(), &["does not support the rope scaling 'yarn'"]);
    model.say("rope_parameters", Value::Null);
    std::fs::write(model.file("adapter_config.json"), "{}").unwrap();
    holds(&model.refused(), &["adapter_config.json: is of an adapter", "merge the adapter"]);
}
