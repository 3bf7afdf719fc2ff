//! Owns the plainest decode loop over the `openvino` crate: what perfgate's own loop is held against,
//! so it uses nothing of perfgate. `scripts/evidence_harness.py` runs it.
//!
//! `bare_openvino LIBRARY MODEL THREADS PROMPTS TOKENS WARMUP`: the runtime's library file, the
//! model's folder, a JSON file with a list of token ids for each request, how many tokens to
//! generate for each, and how many requests to run before the timed ones. Prints one JSON line for
//! each timed request.

use openvino::{
    CompiledModel, Core, DeviceType, ElementType, InferRequest, RwPropertyKey, Shape, Tensor,
};
use serde_json::json;
use std::error::Error;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [library, model, threads, prompts, tokens, warmup] = arguments.as_slice() else {
        return Err("usage: bare_openvino LIBRARY MODEL THREADS PROMPTS TOKENS WARMUP".into());
    };
    let prompts: Vec<Vec<i64>> = serde_json::from_slice(&std::fs::read(prompts)?)?;
    let (tokens, warmup): (usize, usize) = (tokens.parse()?, warmup.parse()?);
    openvino_sys::library::load_from(library)?;
    let mut core = Core::new()?;
    let mut compiled = compile(&mut core, model, threads)?;
    for prompt in prompts.iter().cycle().take(warmup) {
        generate(&mut compiled, prompt, tokens)?;
    }
    for prompt in &prompts {
        print(&generate(&mut compiled, prompt, tokens)?);
    }
    Ok(())
}

/// Compiles with the properties of `perfgate.toml`, and those that perfgate sets itself.
fn compile(core: &mut Core, model: &str, threads: &str) -> Result<CompiledModel> {
    let properties = [
        ("INFERENCE_NUM_THREADS", threads),
        ("PERFORMANCE_HINT", "LATENCY"),
        ("INFERENCE_PRECISION_HINT", "f32"),
        ("KV_CACHE_PRECISION", "f16"),
    ];
    for (key, value) in properties {
        core.set_property(&DeviceType::CPU, &RwPropertyKey::Other(key.into()), value)?;
    }
    let xml = format!("{model}/openvino_model.xml");
    let bin = format!("{model}/openvino_model.bin");
    let model = core.read_model_from_file(&xml, &bin)?;
    Ok(core.compile_model(&model, DeviceType::CPU)?)
}

/// A request's tokens, each with the time since the start at which it was known.
type Generated = Vec<(usize, Duration)>;

/// Decodes greedily; a new request has an empty cache and is made outside of the time measured.
fn generate(compiled: &mut CompiledModel, prompt: &[i64], count: usize) -> Result<Generated> {
    let mut request = compiled.create_infer_request()?;
    let mut generated = Vec::with_capacity(count);
    let start = Instant::now();
    // Zero: the cache continues the one sequence that there is.
    request.set_tensor("beam_idx", &Tensor::new(ElementType::I32, &Shape::new(&[1])?)?)?;
    let mut next = step(&mut request, prompt, 0)?;
    generated.push((next, start.elapsed()));
    while generated.len() < count {
        let past = prompt.len() + generated.len() - 1;
        next = step(&mut request, &[next as i64], past)?;
        generated.push((next, start.elapsed()));
    }
    Ok(generated)
}

/// Feeds tokens behind `past` others and takes the most probable next one.
fn step(request: &mut InferRequest, tokens: &[i64], past: usize) -> Result<usize> {
    let length = past + tokens.len();
    let positions: Vec<i64> = (past as i64..length as i64).collect();
    request.set_tensor("input_ids", &row(tokens)?)?;
    request.set_tensor("attention_mask", &row(&vec![1; length])?)?;
    request.set_tensor("position_ids", &row(&positions)?)?;
    // As GenAI does it; `infer` was found to be slower.
    request.infer_async()?;
    request.wait(i64::from(i32::MAX))?;
    let logits = request.get_tensor("logits")?;
    let vocabulary = logits.get_shape()?.get_dimensions()[2] as usize;
    let all: &[f32] = logits.get_data()?;
    Ok(argmax(&all[all.len() - vocabulary..]))
}

/// An input of the shape `[1, length]`.
fn row(values: &[i64]) -> Result<Tensor> {
    let mut tensor = Tensor::new(ElementType::I64, &Shape::new(&[1, values.len() as i64])?)?;
    tensor.get_data_mut()?.copy_from_slice(values);
    Ok(tensor)
}

fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best
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
