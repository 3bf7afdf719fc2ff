//! Several sequences behind one prefix, by the real engines on the real model: batches come to what each request
//! comes to by itself, and choices to what the logits of each step say.

use crate::support::{model, root};
use perfgate::engine::{self, Engine, generate, generate_together, score, shared_prefix};
use perfgate::protocol::{LoadSpec, Order};
use perfgate::workload::load_tokenizer;
use std::collections::BTreeMap;

fn encode(text: &str) -> Vec<u32> {
    let tokenizer = load_tokenizer(&model("fp16").join("tokenizer.json")).unwrap();
    tokenizer.encode(text, false).unwrap().get_ids().to_vec()
}

fn load(engine: &str, name: &str, properties: &[(&str, &str)]) -> Box<dyn Engine> {
    let spec = LoadSpec {
        engine: engine.to_string(),
        model: model(name),
        threads: 2,
        root: root(),
        properties: properties.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        options: BTreeMap::new(),
        ..LoadSpec::default()
    };
    engine::load(&spec).map_err(|error| error.failure.message).unwrap()
}

const OPENVINO: [(&str, &str); 2] =
    [("INFERENCE_PRECISION_HINT", "f32"), ("KV_CACHE_PRECISION", "f16")];

/// Few-shot examples that all prompts begin with.
const EXAMPLES: &str = "Opposites.\nhot: cold\nbig: small\nyoung: old\n";

/// Four prompts of other lengths behind the examples, whose answers end at the line's end or at their length.
fn orders() -> Vec<Order> {
    let end = encode("\n")[0];
    [("up:", 12), ("the first of all days:", 9), ("left:", 3), ("light, as of a feather:", 12)]
        .map(|(prompt, tokens)| Order {
            prompt: encode(&format!("{EXAMPLES}{prompt}")),
            tokens,
            stop: vec![end],
            ..Order::default()
        })
        .to_vec()
}

/// Holds a batch against single requests; returns the tokens.
fn together_as_apart(engine: &mut dyn Engine) -> Vec<Vec<u32>> {
    assert!(engine.batches());
    let orders = orders();
    let prefix = shared_prefix(orders.iter().map(|order| order.prompt.as_slice()));
    assert!(prefix >= encode(EXAMPLES).len() - 1, "{prefix} tokens are shared");
    let lengths: Vec<usize> = orders.iter().map(|order| order.prompt.len()).collect();
    assert!(lengths.iter().any(|length| *length != lengths[0]), "{lengths:?}");
    let together = generate_together(engine, &orders, prefix).unwrap();
    let together: Vec<Vec<u32>> = together.into_iter().map(Result::unwrap).collect();
    for (order, answer) in orders.iter().zip(&together) {
        assert_eq!(*answer, generate(engine, order).unwrap().tokens, "{:?}", order.prompt);
    }
    let ends: Vec<usize> = together.iter().map(Vec::len).collect();
    assert!(ends.iter().any(|end| *end != ends[0]), "rows end at different times: {ends:?}");
    // Without a prefix, and with one row alone.
    let from_start = generate_together(engine, &orders[..2], 0).unwrap();
    let from_start: Vec<Vec<u32>> = from_start.into_iter().map(Result::unwrap).collect();
    assert_eq!(from_start, together[..2]);
    let alone = generate_together(engine, &orders[3..], prefix).unwrap();
    assert_eq!(alone[0].as_ref().unwrap(), &together[3]);
    together
}

#[test]
fn fp16_answers_of_a_batch_are_those_of_single_requests() {
    let openvino = together_as_apart(&mut *load("openvino", "ov-fp16", &OPENVINO));
    let candle = together_as_apart(&mut *load("candle", "fp16", &[]));
    assert_eq!(openvino, candle, "two engines, one model");
}

#[test]
fn int8_answers_of_a_batch_are_those_of_single_requests() {
    // With activations quantized by groups a row depends on those beside it.
    let exact = [OPENVINO[0], OPENVINO[1], ("DYNAMIC_QUANTIZATION_GROUP_SIZE", "0")];
    together_as_apart(&mut *load("openvino", "ov-int8", &exact));
}

/// The sum of the logarithms of the softmax at the tokens of a choice, fed one by one. So is the last of the prompt:
/// in F16 a prompt that is fed as a whole rounds otherwise, by a hundredth of a nat.
fn step_by_step(engine: &mut dyn Engine, prompt: &[u32], choice: &[u32]) -> f64 {
    let mut sequence = engine.begin().unwrap();
    let (prefix, mut fed) = prompt.split_at(prompt.len() - 1);
    sequence.forward(prefix).unwrap();
    let mut sum = 0.0;
    for (place, token) in choice.iter().enumerate() {
        let logits: Vec<f64> =
            sequence.forward(fed).unwrap().iter().map(|logit| f64::from(*logit)).collect();
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let all: f64 = logits.iter().map(|logit| (logit - most).exp()).sum();
        sum += logits[*token as usize] - most - all.ln();
        fed = &choice[place..=place];
    }
    sum
}

#[test]
fn choices_have_the_likelihood_that_the_logits_of_each_step_say() {
    let prompt = encode("Question: What is the capital of France?\nAnswer:");
    let choices = [" Paris", " Rome, the capital of Italy", " a kind of cheese"].map(encode);
    let mut of_engines = Vec::new();
    for (name, model, properties) in
        [("openvino", "ov-fp16", &OPENVINO[..]), ("candle", "fp16", &[])]
    {
        let mut engine = load(name, model, properties);
        let scores = score(&mut *engine, &prompt, &choices).unwrap();
        for (score, choice) in scores.iter().zip(&choices) {
            let expected = step_by_step(&mut *engine, &prompt, choice);
            assert!((score - expected).abs() < 1e-3, "{name}: {score} is not {expected}");
        }
        assert!(scores[0] > scores[1] && scores[0] > scores[2], "{name}: {scores:?}");
        of_engines.push(scores);
    }
    for (openvino, candle) in of_engines[0].iter().zip(&of_engines[1]) {
        assert!((openvino - candle).abs() < 0.05, "{of_engines:?}");
    }
}
