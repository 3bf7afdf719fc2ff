//! Rows of a batch on small graphs of each kind (full attention, a sliding window, biases by distance, convolutions,
//! LongRoPE, a recurrent state), held to what transformers says of the same weights in f32. The graphs are exports of
//! optimum-intel, made by scripts/architectures/fixtures.py with the values next to them.

use crate::support::root;
use perfgate::engine::{self, Engine, generate, generate_together, score};
use perfgate::protocol::{LoadSpec, Order};
use perfgate::record::Rows;
use serde::Deserialize;
use std::path::{Path, PathBuf};

const KINDS: [&str; 6] = ["full", "window", "alibi", "convolution", "longrope", "mamba"];

/// What arithmetic of 32 bits leaves open over a dozen tokens, nats.
const ALLOWED: f64 = 2e-3;

/// What transformers says of a kind.
#[derive(Deserialize)]
struct Reference {
    choices: Vec<Question>,
    /// Tokens that all prompts of `greedy` begin with.
    shared: usize,
    greedy: Vec<Greedy>,
    document: Document,
}

#[derive(Deserialize)]
struct Question {
    prompt: Vec<u32>,
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    tokens: Vec<u32>,
    log_likelihood: f64,
}

#[derive(Deserialize)]
struct Greedy {
    prompt: Vec<u32>,
    tokens: Vec<u32>,
    /// By how much the logit of each was above the next.
    margins: Vec<f64>,
}

#[derive(Deserialize)]
struct Document {
    tokens: Vec<u32>,
    log_probabilities: Vec<f64>,
}

impl Greedy {
    /// The tokens up to the first near tie, which may fall to either side. Once a Phi-3 passes its original context,
    /// transformers computes everything before it anew; an IR, and what serves it, does not.
    fn sure(&self, kind: &str) -> usize {
        let tie =
            self.margins.iter().position(|margin| *margin < 1e-3).unwrap_or(self.tokens.len());
        match kind {
            "longrope" if self.prompt.len() <= ORIGINAL => {
                tie.min(ORIGINAL - self.prompt.len() + 1)
            }
            _ => tie,
        }
    }
}

/// The original context of the LongRoPE, tokens.
const ORIGINAL: usize = 24;

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/architectures").join(kind)
}

fn reference(kind: &str) -> Reference {
    let text = std::fs::read_to_string(folder(kind).join("reference.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn load(kind: &str) -> Box<dyn Engine> {
    let exact = [("INFERENCE_PRECISION_HINT", "f32"), ("KV_CACHE_PRECISION", "f32")];
    let spec = LoadSpec {
        engine: "openvino".to_string(),
        model: folder(kind),
        threads: 2,
        root: root(),
        properties: exact.map(|(key, value)| (key.to_string(), value.to_string())).into(),
        ..LoadSpec::default()
    };
    engine::load(&spec).map_err(|error| error.failure.message).unwrap()
}

/// What is said of the rows of a kind for sequences of its reference, which are of 60 tokens at most.
fn rows(engine: &mut dyn Engine) -> Rows {
    engine.prove_rows(64).unwrap()
}

/// As the quality pass does it: together where that was shown, or each by itself.
fn scores(
    engine: &mut dyn Engine,
    rows: &Rows,
    prompt: &[u32],
    choices: &[Vec<u32>],
) -> (bool, Vec<f64>) {
    let longest = prompt.len() + choices.iter().map(Vec::len).max().unwrap();
    if rows.allow(prompt.len() - 1, longest, longest) {
        return (true, score(engine, prompt, choices).unwrap());
    }
    let one = |choice: &Vec<u32>| score(engine, prompt, std::slice::from_ref(choice)).unwrap()[0];
    (false, choices.iter().map(one).collect())
}

#[test]
fn rows_of_each_kind_of_graph_are_shown_independent_or_are_not_used() {
    for kind in KINDS {
        let rows = rows(&mut *load(kind));
        println!("{kind}: {rows:?}");
        match (kind, rows) {
            ("longrope", Rows::Independent(shown)) => {
                assert_eq!(shown.switch, Some(ORIGINAL as u32))
            }
            (_, Rows::Independent(shown)) => assert!(shown.apart < 1e-4, "{kind}: {shown:?}"),
            (_, other) => panic!("{kind}: {other:?}"),
        }
    }
}

#[test]
fn choices_have_the_likelihoods_of_transformers_together_and_alone() {
    for kind in KINDS {
        let mut engine = load(kind);
        let rows = rows(&mut *engine);
        let (mut worst, mut together) = (0.0f64, 0);
        let reference = reference(kind);
        for Question { prompt, choices } in &reference.choices {
            let tokens: Vec<Vec<u32>> =
                choices.iter().map(|choice| choice.tokens.clone()).collect();
            let (shared, scores) = scores(&mut *engine, &rows, prompt, &tokens);
            together += usize::from(shared);
            for (score, choice) in scores.iter().zip(choices) {
                worst = worst.max((score - choice.log_likelihood).abs());
            }
        }
        println!(
            "{kind}: {together} of {} questions together, {worst:.1e} nats apart",
            reference.choices.len()
        );
        assert!(worst < ALLOWED, "{kind}: {worst} nats from transformers");
        // Whatever was shown of rows, none of it is wrong alone.
        let dependent = Rows::Dependent { reason: String::new() };
        for Question { prompt, choices } in &reference.choices {
            let tokens: Vec<Vec<u32>> =
                choices.iter().map(|choice| choice.tokens.clone()).collect();
            let (_, scores) = scores_alone(&mut *engine, &dependent, prompt, &tokens);
            for (score, choice) in scores.iter().zip(choices) {
                let apart = (score - choice.log_likelihood).abs();
                assert!(apart < ALLOWED, "{kind} alone: {apart} nats from transformers");
            }
        }
    }
}

fn scores_alone(
    engine: &mut dyn Engine,
    rows: &Rows,
    prompt: &[u32],
    choices: &[Vec<u32>],
) -> (bool, Vec<f64>) {
    let (together, scores) = scores(engine, rows, prompt, choices);
    assert!(!together);
    (together, scores)
}

#[test]
fn greedy_answers_are_those_of_transformers_in_a_batch_and_alone() {
    for kind in KINDS {
        let mut engine = load(kind);
        let rows = rows(&mut *engine);
        let Reference { shared, greedy, .. } = reference(kind);
        let orders: Vec<Order> = greedy
            .iter()
            .map(|one| Order {
                prompt: one.prompt.clone(),
                tokens: one.tokens.len() as u32,
                ..Order::default()
            })
            .collect();
        let (mut checked, mut together) = (0, 0);
        for prefix in [shared, 0] {
            let allowed: Vec<usize> = (0..orders.len())
                .filter(|row| {
                    let (prompt, tokens) =
                        (orders[*row].prompt.len(), orders[*row].tokens as usize);
                    rows.allow(prefix, prompt, prompt + tokens)
                })
                .collect();
            let of: Vec<Order> = allowed.iter().map(|row| orders[*row].clone()).collect();
            together += of.len();
            let answers = generate_together(&mut *engine, &of, prefix).unwrap();
            for (row, answer) in allowed.into_iter().zip(answers) {
                let sure = greedy[row].sure(kind);
                assert_eq!(
                    answer.unwrap()[..sure],
                    greedy[row].tokens[..sure],
                    "{kind}, row {row}"
                );
                checked += sure;
            }
        }
        for (order, expected) in orders.iter().zip(&greedy) {
            let tokens = generate(&mut *engine, order).unwrap().tokens;
            assert_eq!(
                tokens[..expected.sure(kind)],
                expected.tokens[..expected.sure(kind)],
                "{kind} alone"
            );
            checked += expected.sure(kind);
        }
        println!("{kind}: {checked} tokens checked, {together} answers in batches");
        assert!(checked > 40, "{kind}: {checked}");
    }
}

#[test]
fn a_document_has_the_likelihoods_of_transformers_in_one_call_and_step_by_step() {
    for kind in KINDS {
        let mut engine = load(kind);
        let Document { tokens, log_probabilities } = reference(kind).document;
        let sums: Vec<f64> = [true, false]
            .into_iter()
            // Encoded anew beyond the original context, a text is another one step by step.
            .filter(|whole| *whole || kind != "longrope")
            .map(|whole| {
                let mut sequence = engine.begin().unwrap();
                let mut worst = 0.0f64;
                let fed = &tokens[..tokens.len() - 1];
                for part in fed.chunks(if whole { fed.len() } else { 1 }) {
                    let offset = part.as_ptr() as usize - fed.as_ptr() as usize;
                    let offset = offset / size_of::<u32>();
                    sequence
                        .forward_each(part, &mut |place, logits| {
                            let found = log_probability(logits, tokens[offset + place + 1]);
                            worst = worst.max((found - log_probabilities[offset + place]).abs());
                            Ok(())
                        })
                        .unwrap();
                }
                worst
            })
            .collect();
        println!("{kind}: {sums:?} nats apart");
        assert!(sums.iter().all(|worst| *worst < ALLOWED), "{kind}: {sums:?}");
    }
}

fn log_probability(logits: &[f32], token: u32) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - most).exp()).sum();
    f64::from(logits[token as usize] - most) - sum.ln()
}
