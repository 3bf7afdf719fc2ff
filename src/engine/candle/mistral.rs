//! Owns the family Mistral, by candle's own model.

use super::config::Sizes;
use super::{Decoder, Family, Loader};
use candle_core::{Result, Tensor};
use candle_nn::{Activation, VarBuilder};
use candle_transformers::models::mistral::{Config, Model};
use serde_json::Value;

pub(super) const FAMILY: Family = Family {
    model_type: "mistral",
    architecture: "MistralForCausalLM",
    title: "Mistral",
    models: "Mistral 7B, Mistral Nemo",
    rope_scalings: &["default"],
    free_head_width: true,
    qkv_bias: false,
    window: |sizes| sizes.sliding_window,
    read,
};

fn read(sizes: &Sizes, _: Value) -> serde_json::Result<Loader> {
    let tied = sizes.tied();
    let config = Config {
        vocab_size: sizes.vocab_size,
        hidden_size: sizes.hidden_size,
        intermediate_size: sizes.intermediate_size,
        num_hidden_layers: sizes.num_hidden_layers,
        num_attention_heads: sizes.num_attention_heads,
        head_dim: Some(sizes.head_width()),
        num_key_value_heads: sizes.kv_heads(),
        hidden_act: Activation::Silu,
        max_position_embeddings: sizes.max_position_embeddings,
        rms_norm_eps: sizes.rms_norm_eps,
        rope_theta: sizes.rope_theta,
        // candle's window has one token too many, and none where tokens are fed one by one: no sequence is let
        // grow longer than it, see `Config::room`.
        sliding_window: None,
        use_flash_attn: false,
    };
    Ok(Box::new(move |weights: VarBuilder<'_>| {
        // candle's model knows no tied embeddings. They are in memory twice so.
        let weights = match tied {
            true => weights.rename_f(|name: &str| match name {
                "lm_head.weight" => "model.embed_tokens.weight".to_string(),
                other => other.to_string(),
            }),
            false => weights,
        };
        Ok(Box::new(MistralDecoder(Model::new(&config, weights)?)))
    }))
}

/// The model holds the cache; a copy shares the weights, and the cached tensors, which are never written to.
struct MistralDecoder(Model);

impl Decoder for MistralDecoder {
    fn forward(&mut self, tokens: &Tensor, past: usize) -> Result<Tensor> {
        self.0.forward(tokens, past)
    }

    fn copy(&self) -> Box<dyn Decoder> {
        Box::new(MistralDecoder(self.0.clone()))
    }
}
