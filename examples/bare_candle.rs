//! Owns candle's own decode loop, as candle's `llama` example writes it: what perfgate's loop is held
//! against, so it uses nothing of perfgate. `scripts/evidence_harness.py` runs it.
//!
//! `bare_candle MODEL PROMPTS TOKENS WARMUP`: the model's folder, a JSON file with a list of token
//! ids for each request, how many tokens to generate for each, and how many requests to run before
//! the timed ones. Prints one JSON line for each timed request. `RAYON_NUM_THREADS` sets the threads.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::generation::{LogitsProcessor, Sampling};
use candle_transformers::models::llama::{Cache, Config, Llama, LlamaConfig};
use serde_json::json;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const DTYPE: DType = DType::F16;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, prompts, tokens, warmup] = arguments.as_slice() else {
        return Err("usage: bare_candle MODEL PROMPTS TOKENS WARMUP".into());
    };
    let prompts: Vec<Vec<u32>> = serde_json::from_slice(&std::fs::read(prompts)?)?;
    let (tokens, warmup): (usize, usize) = (tokens.parse()?, warmup.parse()?);
    let (llama, config) = load(Path::new(model))?;
    for prompt in prompts.iter().cycle().take(warmup) {
        generate(&llama, &config, prompt, tokens)?;
    }
    for prompt in &prompts {
        print(&generate(&llama, &config, prompt, tokens)?);
    }
    Ok(())
}

fn load(folder: &Path) -> Result<(Llama, Config)> {
    let config: LlamaConfig = serde_json::from_slice(&std::fs::read(folder.join("config.json"))?)?;
    let config = config.into_config(false);
    let files = [folder.join("model.safetensors")];
    // SAFETY: the file is mapped, and nobody writes to it meanwhile.
    let weights = unsafe { VarBuilder::from_mmaped_safetensors(&files, DTYPE, &Device::Cpu)? };
    Ok((Llama::load(weights, &config)?, config))
}

/// A request's tokens, each with the time since the start at which it was known.
type Generated = Vec<(u32, Duration)>;

/// Decodes greedily; the cache is made outside of the time measured.
fn generate(llama: &Llama, config: &Config, prompt: &[u32], count: usize) -> Result<Generated> {
    let mut cache = Cache::new(true, DTYPE, config, &Device::Cpu)?;
    let mut processor = LogitsProcessor::from_sampling(0, Sampling::ArgMax);
    let mut tokens = prompt.to_vec();
    let mut generated = Vec::with_capacity(count);
    let mut position = 0;
    let start = Instant::now();
    for _ in 0..count {
        let context = &tokens[position..];
        let input = Tensor::new(context, &Device::Cpu)?.unsqueeze(0)?;
        let logits = llama.forward(&input, position, &mut cache)?.squeeze(0)?;
        position += context.len();
        let next = processor.sample(&logits)?;
        tokens.push(next);
        generated.push((next, start.elapsed()));
    }
    Ok(generated)
}

fn print(generated: &Generated) {
    let seconds = |index: usize| generated[index].1.as_secs_f64();
    let last = generated.len() - 1;
    let line = json!({
        "ttft_s": seconds(0),
        "decode_tok_s": last as f64 / (seconds(last) - seconds(0)),
        "latency_s": seconds(last),
        "tokens": generated.iter().map(|(token, _)| token).collect::<Vec<_>>(),
    });
    println!("{line}");
}
