//! Owns a checkpoint's config.json: which family it is of, its sizes, and what of it candle would ignore or run
//! wrongly.

use super::super::MAKE_AGAIN;
use super::{FAMILIES, Family, Loader, rope};
use crate::problem::{Problem, Result};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// A configuration of a family that candle runs.
pub(super) struct Config {
    /// Its family.
    pub family: &'static Family,
    /// Its sizes.
    pub sizes: Sizes,
    /// Makes a model of it and of weights.
    pub load: Loader,
}

/// The sliding window of a configuration without the key, tokens: that of Mistral and Qwen2 in transformers 5.5, the
/// latter only where `use_sliding_window` is true.
const DEFAULT_WINDOW: usize = 4096;

impl Config {
    /// How many tokens a sequence may have, and what ends it there.
    pub(super) fn room(&self) -> (usize, &'static str) {
        let context = self.sizes.max_position_embeddings;
        match (self.family.window)(&self.sizes) {
            Some(window) if window < context => (
                window,
                "sliding window, beyond which candle would see tokens that the model does not; \
                 engine = \"openvino\" runs longer ones",
            ),
            _ => (context, "max_position_embeddings in config.json"),
        }
    }
}

/// What the configurations of all families say, by their names.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Sizes {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    /// As many as heads of queries, if it is not said.
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    pub max_position_embeddings: usize,
    pub rms_norm_eps: f64,
    #[serde(default = "rope_theta")]
    pub rope_theta: f64,
    tie_word_embeddings: Option<bool>,
    pub sliding_window: Option<usize>,
    pub use_sliding_window: Option<bool>,
}

/// What the configurations of all three families have where they say nothing.
fn rope_theta() -> f64 {
    10_000.0
}

impl Sizes {
    /// Heads of keys and values.
    pub(super) fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// The width of one head.
    pub(super) fn head_width(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads)
    }

    /// Whether the embeddings are the head, too.
    pub(super) fn tied(&self) -> bool {
        self.tie_word_embeddings.unwrap_or(false)
    }

    /// What is wrong with the sizes by themselves.
    fn fault(&self) -> Option<String> {
        let (heads, kv) = (self.num_attention_heads, self.kv_heads());
        if heads == 0 {
            return Some("'num_attention_heads' is 0".to_string());
        }
        if kv == 0 || !heads.is_multiple_of(kv) {
            return Some(format!(
                "{heads} attention heads cannot share {kv} 'num_key_value_heads'"
            ));
        }
        let width = self.head_width();
        (!width.is_multiple_of(2)).then(|| format!("a head width of {width} is odd"))
    }
}

/// Reads a file of JSON.
pub(super) fn read_json(file: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Problem::io(file, "read it", &error).help(MAKE_AGAIN))?;
    serde_json::from_str(&text)
        .map_err(|error| Problem::json(file, "is no JSON", &error).help(MAKE_AGAIN))
}

/// Reads a configuration.
///
/// # Errors
/// If it is none, or of a model that candle does not run as it is meant.
pub(super) fn read_config(file: &Path) -> Result<Config> {
    let mut json = read_json(file)?;
    let refused = |what: String| {
        Problem::in_file(file, format!("the candle engine does not support {what}"))
            .help(supported())
    };
    let family = family_of(&json).map_err(refused)?;
    if let Some(what) = unsupported(&json, family) {
        return Err(refused(what));
    }
    rope::settle(&mut json, family).map_err(|fault| match fault {
        rope::Fault::Unsupported(what) => refused(what),
        rope::Fault::Contradiction(what) => Problem::in_file(file, what).help(rope::SAY_ONE),
    })?;
    // `null` stands for none, a missing key for the default.
    if let Some(json) = json.as_object_mut() {
        json.entry("sliding_window").or_insert(DEFAULT_WINDOW.into());
    }
    let broken = |why: String| {
        let what = format!("is no {} configuration: {why}", family.title);
        Problem::in_file(file, what).help(MAKE_AGAIN)
    };
    let sizes: Sizes =
        serde_json::from_value(json.clone()).map_err(|error| broken(error.to_string()))?;
    if let Some(fault) = sizes.fault() {
        return Err(broken(fault));
    }
    if let Some(what) = other_layers(&json, (family.window)(&sizes).is_some()) {
        return Err(refused(what));
    }
    let load = (family.read)(&sizes, json).map_err(|error| broken(error.to_string()))?;
    Ok(Config { family, sizes, load })
}

/// What candle runs, for a refusal.
fn supported() -> String {
    let families: Vec<String> =
        FAMILIES.iter().map(|family| format!("{} ({})", family.title, family.models)).collect();
    format!(
        "it runs models of the families {} with F16 or F32 weights; others run as an IR with \
         engine = \"openvino\"",
        families.join(", ")
    )
}

/// The family by `model_type`, or by `architectures` where there is none. A configuration without both is taken for
/// a Llama's: the tensors tell.
fn family_of(json: &Value) -> std::result::Result<&'static Family, String> {
    let kind = json["model_type"].as_str();
    let architectures = json["architectures"].as_array().into_iter().flatten();
    let architectures: Vec<&str> = architectures.filter_map(Value::as_str).collect();
    let family = match (kind, architectures.first()) {
        (Some(kind), _) => FAMILIES
            .iter()
            .find(|family| family.model_type == kind)
            .ok_or_else(|| format!("the model type '{kind}'"))?,
        (None, Some(name)) => FAMILIES
            .iter()
            .find(|family| family.architecture == *name)
            .ok_or_else(|| format!("the architecture '{name}'"))?,
        (None, None) => &FAMILIES[0],
    };
    match architectures.iter().find(|name| **name != family.architecture) {
        Some(other) => Err(format!("the architecture '{other}'")),
        None => Ok(family),
    }
}

/// Keys by which models of other families scale what these three leave as it is.
const SCALES: [&str; 7] = [
    "logit_scale",
    "logits_scaling",
    "embedding_multiplier",
    "residual_multiplier",
    "attention_multiplier",
    "attn_logit_softcapping",
    "final_logit_softcapping",
];

/// What of a configuration candle would silently ignore, or run wrongly.
fn unsupported(config: &Value, family: &Family) -> Option<String> {
    let activation = &config["hidden_act"];
    if !activation.is_null() && activation != "silu" {
        return Some(format!("the activation {}", quoted(activation)));
    }
    let off = |key: &str| matches!(config[key], Value::Null | Value::Bool(false));
    if let Some(key) = ["attention_bias", "mlp_bias"].into_iter().find(|key| !off(key)) {
        return Some(format!("biases ('{key}')"));
    }
    if !off("use_bidirectional_attention") || config["is_causal"] == false {
        return Some("attention to later tokens".to_string());
    }
    // Of transformers; of compressed-tensors before it was a part of that; of MLX.
    let quantized = ["quantization_config", "compression_config", "quantization"];
    if let Some(key) = quantized.into_iter().find(|key| !config[*key].is_null()) {
        return Some(format!("weights that are quantized already ('{key}')"));
    }
    let one = |key: &str| config[key].is_null() || config[key].as_f64() == Some(1.0);
    if let Some(key) = SCALES.into_iter().find(|key| !one(key)) {
        return Some(format!("the scaling '{key}' of {}", config[key]));
    }
    let size = |key: &str| config[key].as_u64();
    if let (false, Some(head), Some(width), Some(heads)) =
        (family.free_head_width, size("head_dim"), size("hidden_size"), size("num_attention_heads"))
        && head * heads != width
    {
        return Some(format!("a head width of {head} with {heads} heads in a width of {width}"));
    }
    None
}

/// Layers of another kind than full attention. Those with a window are run, since no sequence grows beyond it.
fn other_layers(config: &Value, windowed: bool) -> Option<String> {
    let run = |kind: &Value| kind == "full_attention" || (windowed && kind == "sliding_attention");
    let other = config["layer_types"].as_array()?.iter().find(|kind| !run(kind))?;
    Some(match other == "sliding_attention" {
        true => "layers with a sliding window ('layer_types') that nothing puts in use".to_string(),
        false => format!("layers of the type {} ('layer_types')", quoted(other)),
    })
}

/// A value of a configuration in a message.
fn quoted(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| format!("'{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(config: &Value) -> std::result::Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, config.to_string()).unwrap();
        read_config(&file).map_err(|problem| problem.to_string())
    }

    fn good(family: &Family) -> Value {
        json!({"model_type": family.model_type, "architectures": [family.architecture],
            "hidden_act": "silu", "hidden_size": 64, "intermediate_size": 128, "head_dim": 16,
            "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 1,
            "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "vocab_size": 100})
    }

    #[test]
    fn what_is_unsupported_is_named_in_every_family() {
        let cases = [
            ("model_type", json!("gemma"), "the model type 'gemma'"),
            ("architectures", json!(["GemmaForCausalLM"]), "the architecture 'GemmaForCausalLM'"),
            ("hidden_act", json!("gelu"), "the activation 'gelu'"),
            ("attention_bias", json!(true), "biases ('attention_bias')"),
            ("rope_scaling", json!({"type": "linear", "factor": 2}), "the rope scaling 'linear'"),
            (
                "rope_parameters",
                json!({"rope_type": "yarn", "rope_theta": 1e4}),
                "the rope scaling 'yarn'",
            ),
            ("rope_parameters", json!({"type": "yarn", "factor": 2}), "the rope scaling 'yarn'"),
            ("quantization_config", json!({"bits": 4}), "quantized already"),
            ("quantization", json!({"bits": 4}), "quantized already ('quantization')"),
            ("attention_bias", json!("true"), "biases ('attention_bias')"),
            ("mlp_bias", json!(true), "biases ('mlp_bias')"),
            ("hidden_act", json!(["silu"]), "the activation [\"silu\"]"),
            ("logits_scaling", json!(8.0), "the scaling 'logits_scaling' of 8.0"),
            ("is_causal", json!(false), "attention to later tokens"),
            ("use_bidirectional_attention", json!(true), "attention to later tokens"),
            ("layer_types", json!(["linear_attention"]), "type 'linear_attention'"),
            ("num_attention_heads", json!(0), "'num_attention_heads' is 0"),
            ("num_key_value_heads", json!(3), "cannot share 3 'num_key_value_heads'"),
            ("vocab_size", json!("many"), "configuration: invalid type"),
        ];
        for family in &FAMILIES {
            let good = good(family);
            assert_eq!(read(&good).unwrap().family.title, family.title);
            for (key, value, expected) in &cases {
                let mut bad = good.clone();
                // A head width that is said would be the first to be wrong.
                bad["head_dim"] = Value::Null;
                bad[key] = value.clone();
                let what = read(&bad).err().expect(expected);
                assert!(what.contains(expected), "{}: {what}", family.title);
                let refused = what.contains("does not support");
                assert!(!refused || what.contains("Mistral (Mistral 7B"), "{what}");
            }
        }
    }

    #[test]
    fn a_family_is_found_by_type_or_architecture_which_agree() {
        for family in &FAMILIES {
            let mut config = good(family);
            config["model_type"] = Value::Null;
            assert_eq!(read(&config).unwrap().family.title, family.title);
        }
        let mut both = good(&FAMILIES[0]);
        both["architectures"] = json!([FAMILIES[1].architecture]);
        assert!(read(&both).err().unwrap().contains("the architecture 'MistralForCausalLM'"));
    }

    #[test]
    fn only_families_with_heads_of_their_own_width_may_have_it() {
        for family in &FAMILIES {
            let mut config = good(family);
            config["head_dim"] = json!(32);
            match read(&config) {
                Ok(config) => {
                    assert!(family.free_head_width);
                    assert_eq!(config.sizes.head_width(), 32);
                }
                Err(what) => assert!(what.contains("a head width of 32 with 4 heads"), "{what}"),
            }
        }
    }

    #[test]
    fn the_base_of_rotary_embeddings_is_found_under_both_names() {
        let mut config = good(&FAMILIES[0]);
        assert!((read(&config).unwrap().sizes.rope_theta - 1e4).abs() < 1e-9);
        config["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 5e5});
        assert!((read(&config).unwrap().sizes.rope_theta - 5e5).abs() < 1e-9);
    }

    #[test]
    fn a_window_ends_a_sequence_where_the_family_has_one() {
        let room = |family: &Family, on: bool| {
            let mut config = good(family);
            config["sliding_window"] = json!(128);
            config["use_sliding_window"] = json!(on);
            read(&config).unwrap().room().0
        };
        let rooms = FAMILIES.each_ref().map(|family| [false, true].map(|on| room(family, on)));
        assert_eq!(rooms, [[256, 256], [128, 128], [256, 128]], "Llama, Mistral, Qwen2");
    }

    #[test]
    fn a_window_that_is_not_said_is_the_default_and_null_is_none() {
        let room = |family: &Family, window: Option<Value>| {
            let mut config = good(family);
            config["max_position_embeddings"] = json!(8192);
            config["use_sliding_window"] = json!(true);
            if let Some(window) = window {
                config["sliding_window"] = window;
            }
            read(&config).unwrap().room().0
        };
        let rooms = FAMILIES
            .each_ref()
            .map(|family| [None, Some(Value::Null)].map(|window| room(family, window)));
        assert_eq!(rooms, [[8192, 8192], [4096, 8192], [4096, 8192]], "Llama, Mistral, Qwen2");
    }

    #[test]
    fn layers_with_a_window_are_run_where_it_is_in_use() {
        for (family, expected) in FAMILIES.iter().zip([false, true, true]) {
            let mut config = good(family);
            config["layer_types"] = json!(["full_attention", "sliding_attention"]);
            config["sliding_window"] = json!(128);
            config["use_sliding_window"] = json!(true);
            assert_eq!(read(&config).is_ok(), expected, "{}", family.title);
        }
        let mut config = good(&FAMILIES[2]);
        config["layer_types"] = json!(["sliding_attention"]);
        config["sliding_window"] = json!(128);
        assert!(read(&config).err().unwrap().contains("that nothing puts in use"));
    }
}
