//! Owns the family Qwen2, of candle's layers.
//!
//! Not by the model of candle-transformers 0.11: it computes the angles of rotary embeddings in the weights' type, so
//! that in F16 a head of width 128 is off by 0.3 radians at token 1000 and by 1.4 at token 4000
//! (<https://github.com/huggingface/candle/pull/3520>), and in F16 it refuses several tokens behind others.

use super::config::Sizes;
use super::{Decoder, Family, Loader};
use candle_core::{D, DType, Device, Module, Result, Tensor};
use candle_nn::ops::{silu, softmax_last_dim};
use candle_nn::rotary_emb::rope;
use candle_nn::{
    Embedding, Linear, RmsNorm, VarBuilder, embedding, linear, linear_no_bias, rms_norm,
};
use candle_transformers::utils::{build_additive_causal_mask, repeat_kv};
use serde_json::Value;
use std::sync::Arc;

pub(super) const FAMILY: Family = Family {
    model_type: "qwen2",
    architecture: "Qwen2ForCausalLM",
    title: "Qwen2",
    models: "Qwen2, Qwen2.5",
    rope_scalings: &["default"],
    free_head_width: false,
    qkv_bias: true,
    window: |sizes| sizes.sliding_window.filter(|_| sizes.use_sliding_window == Some(true)),
    read,
};

fn read(sizes: &Sizes, _: Value) -> serde_json::Result<Loader> {
    let sizes = sizes.clone();
    Ok(Box::new(move |weights: VarBuilder<'_>| {
        let model = Arc::new(Model::load(&sizes, &weights)?);
        let cache = vec![None; sizes.num_hidden_layers];
        Ok(Box::new(Qwen2Decoder { model, cache }))
    }))
}

/// Keys and values of a layer: `[1, KV heads, tokens, head width]`.
type KeysValues = (Tensor, Tensor);

#[derive(Clone)]
struct Qwen2Decoder {
    model: Arc<Model>,
    /// Of each layer, once there are some.
    cache: Vec<Option<KeysValues>>,
}

impl Decoder for Qwen2Decoder {
    fn forward(&mut self, tokens: &Tensor, past: usize) -> Result<Tensor> {
        self.model.forward(tokens, past, &mut self.cache)
    }

    fn copy(&self) -> Box<dyn Decoder> {
        Box::new(self.clone())
    }
}

struct Model {
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head: Linear,
    rotary: Rotary,
}

impl Model {
    fn load(sizes: &Sizes, weights: &VarBuilder<'_>) -> Result<Model> {
        let (width, vocabulary) = (sizes.hidden_size, sizes.vocab_size);
        let inner = weights.pp("model");
        let embedding = embedding(vocabulary, width, inner.pp("embed_tokens"))?;
        let head = match sizes.tied() {
            true => Linear::new(embedding.embeddings().clone(), None),
            false => linear_no_bias(width, vocabulary, weights.pp("lm_head"))?,
        };
        let layer = |index: usize| Layer::load(sizes, &inner.pp("layers").pp(index));
        Ok(Model {
            layers: (0..sizes.num_hidden_layers).map(layer).collect::<Result<_>>()?,
            norm: rms_norm(width, sizes.rms_norm_eps, inner.pp("norm"))?,
            rotary: Rotary::new(sizes, weights.dtype(), weights.device())?,
            embedding,
            head,
        })
    }

    fn forward(
        &self,
        tokens: &Tensor,
        past: usize,
        cache: &mut [Option<KeysValues>],
    ) -> Result<Tensor> {
        let count = tokens.dim(1)?;
        let mask = match count {
            1 => None,
            _ => Some(build_additive_causal_mask(count, past, None, tokens.device(), DType::F32)?),
        };
        let rotary = self.rotary.at(past, count)?;
        let mut states = self.embedding.forward(tokens)?;
        for (layer, cache) in self.layers.iter().zip(cache) {
            states = layer.forward(&states, mask.as_ref(), &rotary, cache)?;
        }
        self.head.forward(&self.norm.forward(&states.narrow(1, count - 1, 1)?.contiguous()?)?)
    }
}

struct Layer {
    before_attention: RmsNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    before_mlp: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
    heads: usize,
    kv_heads: usize,
}

impl Layer {
    fn load(sizes: &Sizes, weights: &VarBuilder<'_>) -> Result<Layer> {
        let (width, inner, epsilon) =
            (sizes.hidden_size, sizes.intermediate_size, sizes.rms_norm_eps);
        let kv = sizes.kv_heads() * sizes.head_width();
        let (attention, mlp) = (weights.pp("self_attn"), weights.pp("mlp"));
        Ok(Layer {
            before_attention: rms_norm(width, epsilon, weights.pp("input_layernorm"))?,
            query: linear(width, width, attention.pp("q_proj"))?,
            key: linear(width, kv, attention.pp("k_proj"))?,
            value: linear(width, kv, attention.pp("v_proj"))?,
            output: linear_no_bias(width, width, attention.pp("o_proj"))?,
            before_mlp: rms_norm(width, epsilon, weights.pp("post_attention_layernorm"))?,
            gate: linear_no_bias(width, inner, mlp.pp("gate_proj"))?,
            up: linear_no_bias(width, inner, mlp.pp("up_proj"))?,
            down: linear_no_bias(inner, width, mlp.pp("down_proj"))?,
            heads: sizes.num_attention_heads,
            kv_heads: sizes.kv_heads(),
        })
    }

    /// States in, states out: `[1, tokens, width]`.
    fn forward(
        &self,
        states: &Tensor,
        mask: Option<&Tensor>,
        rotary: &Angles,
        cache: &mut Option<KeysValues>,
    ) -> Result<Tensor> {
        let normed = self.before_attention.forward(states)?;
        let states = (states + self.attend(&normed, mask, rotary, cache)?)?;
        let normed = self.before_mlp.forward(&states)?;
        let gated = (silu(&self.gate.forward(&normed)?)? * self.up.forward(&normed)?)?;
        states + self.down.forward(&gated)?
    }

    fn attend(
        &self,
        states: &Tensor,
        mask: Option<&Tensor>,
        rotary: &Angles,
        cache: &mut Option<KeysValues>,
    ) -> Result<Tensor> {
        let query = rotary.turn(&split(&self.query.forward(states)?, self.heads)?)?;
        let key = rotary.turn(&split(&self.key.forward(states)?, self.kv_heads)?)?;
        let value = split(&self.value.forward(states)?, self.kv_heads)?;
        let (key, value) = match cache.take() {
            Some((keys, values)) => {
                (Tensor::cat(&[&keys, &key], 2)?, Tensor::cat(&[&values, &value], 2)?)
            }
            None => (key, value),
        };
        *cache = Some((key.clone(), value.clone()));
        let shared = self.heads / self.kv_heads;
        // As in candle's Llama. The biases of Qwen2's keys make scores that F16 does not hold.
        let [query, key, value] = [query, repeat_kv(key, shared)?, repeat_kv(value, shared)?]
            .map(|tensor| tensor.to_dtype(DType::F32));
        let (query, key, value) = (query?, key?, value?);
        let scale = (query.dim(D::Minus1)? as f64).sqrt();
        let scores = (query.matmul(&key.t()?)? / scale)?;
        let scores = mask.map_or(Ok(scores.clone()), |mask| scores.broadcast_add(mask))?;
        let mixed = softmax_last_dim(&scores)?.matmul(&value.contiguous()?)?;
        let mixed = mixed.transpose(1, 2)?.flatten_from(2)?.to_dtype(states.dtype())?;
        self.output.forward(&mixed)
    }
}

/// From `[1, tokens, heads × head width]` to `[1, heads, tokens, head width]`.
fn split(states: &Tensor, heads: usize) -> Result<Tensor> {
    let (one, count, width) = states.dims3()?;
    states.reshape((one, count, heads, width / heads))?.transpose(1, 2)?.contiguous()
}

/// Cosines and sines of every position: `[context, half a head's width]`.
struct Rotary {
    cosines: Tensor,
    sines: Tensor,
}

impl Rotary {
    fn new(sizes: &Sizes, dtype: DType, device: &Device) -> Result<Rotary> {
        let width = sizes.head_width();
        let frequencies: Vec<f32> = (0..width)
            .step_by(2)
            .map(|place| sizes.rope_theta.powf(-(place as f64) / width as f64) as f32)
            .collect();
        let frequencies = Tensor::new(frequencies, device)?.unsqueeze(0)?;
        let context =
            u32::try_from(sizes.max_position_embeddings).map_err(candle_core::Error::wrap)?;
        let positions = Tensor::arange(0, context, device)?.to_dtype(DType::F32)?.unsqueeze(1)?;
        let angles = positions.matmul(&frequencies)?;
        Ok(Rotary {
            cosines: angles.cos()?.to_dtype(dtype)?,
            sines: angles.sin()?.to_dtype(dtype)?,
        })
    }

    fn at(&self, past: usize, count: usize) -> Result<Angles> {
        Ok(Angles {
            cosines: self.cosines.narrow(0, past, count)?,
            sines: self.sines.narrow(0, past, count)?,
        })
    }
}

/// Cosines and sines of the positions being fed.
struct Angles {
    cosines: Tensor,
    sines: Tensor,
}

impl Angles {
    /// Turns `[1, heads, tokens, head width]` by each position's angles.
    fn turn(&self, states: &Tensor) -> Result<Tensor> {
        rope(states, &self.cosines, &self.sines)
    }
}
