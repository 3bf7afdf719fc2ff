//! Owns the family Llama, by candle's own model.

use super::config::Sizes;
use super::{Decoder, Family, Loader};
use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::llama::{Cache, Llama, LlamaConfig};
use serde_json::Value;
use std::sync::Arc;

pub(super) const FAMILY: Family = Family {
    model_type: "llama",
    architecture: "LlamaForCausalLM",
    title: "Llama",
    models: "TinyLlama, SmolLM2, Llama 2 and 3",
    rope_scalings: &["llama3", "default"],
    free_head_width: false,
    qkv_bias: false,
    window: |_| None,
    read,
};

fn read(_: &Sizes, json: Value) -> serde_json::Result<Loader> {
    let config = serde_json::from_value::<LlamaConfig>(json)?.into_config(false);
    Ok(Box::new(move |weights: VarBuilder<'_>| {
        let cache = Cache::new(true, weights.dtype(), &config, weights.device())?;
        let model = Arc::new(Llama::load(weights, &config)?);
        Ok(Box::new(LlamaDecoder { model, cache }))
    }))
}

/// candle's cache has no reset, and is cheap to copy while it is empty; its tensors are never written to.
#[derive(Clone)]
struct LlamaDecoder {
    model: Arc<Llama>,
    cache: Cache,
}

impl Decoder for LlamaDecoder {
    fn forward(&mut self, tokens: &Tensor, past: usize) -> Result<Tensor> {
        self.model.forward(tokens, past, &mut self.cache)
    }

    fn copy(&self) -> Box<dyn Decoder> {
        Box::new(self.clone())
    }
}
