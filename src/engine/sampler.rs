//! Owns the choice of the next token from logits, the same for every engine.
//!
//! The order is that of Hugging Face's `transformers` and of vLLM: temperature, top-k, top-p, then
//! one draw. `tests/reference/sampler.json` holds what NumPy makes of the same logits.

use crate::record::{Failure, FailureClass, Sampling};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// How many logits are looked at together, so that the compiler vectorizes.
const LANES: usize = 16;
/// Logits of which the largest is kept before its place is looked for: a multiple of [`LANES`].
const BLOCK: usize = 64 * LANES;

/// Chooses tokens for one request.
pub(super) struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
    /// Candidates with their weights; kept so that a choice need not allocate.
    candidates: Vec<(u32, f64)>,
}

impl Sampler {
    /// A sampler for one request. Equal seeds and equal logits choose equal tokens, whatever the
    /// engine and the order of requests.
    pub(super) fn new(sampling: Sampling, seed: u64) -> Sampler {
        Sampler { sampling, random: ChaCha8Rng::seed_from_u64(seed), candidates: Vec::new() }
    }

    /// The next token.
    ///
    /// # Errors
    /// If a logit is NaN or infinite, or there is none.
    pub(super) fn choose(&mut self, logits: &[f32]) -> Result<u32, Failure> {
        let best = greedy(logits)?;
        if self.sampling.is_greedy() {
            return Ok(best);
        }
        self.weigh(logits, f64::from(logits[best as usize]));
        // 53 random bits: every double of that grid in [0, 1).
        let uniform = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        Ok(self.draw(uniform))
    }

    /// Fills the candidates, each weighing `exp((logit - most) / temperature)`, in the order of ids.
    fn weigh(&mut self, logits: &[f32], most: f64) {
        let temperature = self.sampling.temperature;
        self.candidates.clear();
        self.candidates.extend(
            logits
                .iter()
                .enumerate()
                .map(|(id, logit)| (id as u32, ((f64::from(*logit) - most) / temperature).exp())),
        );
        if self.sampling.top_k.is_none() && self.sampling.top_p.is_none() {
            return;
        }
        let heavier = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if let Some(k) = self.sampling.top_k.map(|k| k as usize)
            && k < self.candidates.len()
        {
            self.candidates.select_nth_unstable_by(k, heavier);
            self.candidates.truncate(k);
        }
        if let Some(p) = self.sampling.top_p {
            self.candidates.sort_unstable_by(heavier);
            let kept = nucleus(&self.candidates, p);
            self.candidates.truncate(kept);
        }
        // By id and not by weight: two engines whose logits differ in the last bits may order
        // neighbours differently, and would then draw different tokens for the same number.
        self.candidates.sort_unstable_by_key(|(id, _)| *id);
    }

    /// The candidate at a place between 0 and 1 of the candidates' total weight.
    fn draw(&self, uniform: f64) -> u32 {
        let total: f64 = self.candidates.iter().map(|(_, weight)| weight).sum();
        let mut left = uniform * total;
        for (id, weight) in &self.candidates {
            if left < *weight {
                return *id;
            }
            left -= weight;
        }
        // Rounding may leave a rest behind the last one.
        self.candidates.last().map_or(0, |(id, _)| *id)
    }
}

/// How many of the heaviest candidates (sorted) it takes to reach a share `p` of their total; at
/// least one (Holtzman et al. 2020).
fn nucleus(sorted: &[(u32, f64)], p: f64) -> usize {
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let mut sum = 0.0;
    let below = sorted.iter().take_while(|(_, weight)| {
        sum += weight / total;
        sum < p
    });
    (below.count() + 1).min(sorted.len())
}

/// The most probable token; of equals the one with the lowest id.
///
/// It is part of every token's time. To compare one logit after the other and remember the place
/// takes ten times as long.
fn greedy(logits: &[f32]) -> Result<u32, Failure> {
    let (mut most, mut first, mut finite) = (f32::NEG_INFINITY, 0, !logits.is_empty());
    for (index, block) in logits.chunks(BLOCK).enumerate() {
        let (largest, all_finite) = largest(block);
        finite &= all_finite;
        if largest > most {
            most = largest;
            first = index * BLOCK;
        }
    }
    match logits[first..].iter().position(|logit| *logit == most) {
        Some(place) if finite => Ok((first + place) as u32),
        _ => Err(Failure { class: FailureClass::NonFinite, message: describe(logits) }),
    }
}

/// The largest of some logits, and whether all of them are finite.
fn largest(block: &[f32]) -> (f32, bool) {
    let mut most = [f32::NEG_INFINITY; LANES];
    // Stays zero as long as everything is finite: infinity and NaN times zero are NaN.
    let mut zeros = [0.0f32; LANES];
    for logits in block.chunks(LANES) {
        for ((most, zero), logit) in most.iter_mut().zip(&mut zeros).zip(logits) {
            *most = if *logit > *most { *logit } else { *most };
            *zero += logit * 0.0;
        }
    }
    (most.into_iter().fold(f32::NEG_INFINITY, f32::max), zeros.iter().all(|zero| *zero == 0.0))
}

fn describe(logits: &[f32]) -> String {
    match logits.iter().position(|logit| !logit.is_finite()) {
        Some(id) => format!("the logit of token {id} is {}", logits[id]),
        None => "the engine returned no logits".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const REFERENCE: &str = include_str!("../../tests/reference/sampler.json");

    #[test]
    fn takes_the_largest_and_of_equals_the_first() {
        assert_eq!(greedy(&[0.1, 3.0, -2.0, 3.0]).unwrap(), 1);
        assert_eq!(greedy(&[-7.0]).unwrap(), 0);
        for place in [0, LANES, BLOCK - 1, BLOCK, 2 * BLOCK + 3] {
            let mut many = vec![-1.0; 2 * BLOCK + 5];
            many[place] = 0.5;
            *many.last_mut().unwrap() = 0.5;
            assert_eq!(greedy(&many).unwrap() as usize, place);
        }
    }

    #[test]
    fn refuses_what_is_not_finite() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let failure = greedy(&[1.0, bad, 2.0]).unwrap_err();
            assert_eq!(failure.class, FailureClass::NonFinite);
            assert!(failure.message.contains("token 1"), "{failure}");
        }
        assert!(greedy(&[]).is_err());
        assert_eq!(greedy(&[f32::MAX, f32::MAX]).unwrap(), 0, "large is not infinite");
    }

    fn sampling(case: &Value) -> Sampling {
        Sampling {
            temperature: case["temperature"].as_f64().unwrap(),
            top_k: case["top_k"].as_u64().map(|k| k as u32),
            top_p: case["top_p"].as_f64(),
        }
    }

    fn floats(values: &Value) -> Vec<f32> {
        values.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
    }

    #[test]
    fn candidates_and_probabilities_are_those_of_numpy() {
        let reference: Value = serde_json::from_str(REFERENCE).unwrap();
        let cases = reference["cases"].as_array().unwrap();
        assert!(cases.len() >= 20);
        for case in cases {
            let logits = floats(&case["logits"]);
            let mut sampler = Sampler::new(sampling(case), 0);
            let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            sampler.weigh(&logits, f64::from(most));
            let total: f64 = sampler.candidates.iter().map(|(_, weight)| weight).sum();
            let expected = case["probabilities"].as_array().unwrap();
            let mut found = vec![0.0; expected.len()];
            for (id, weight) in &sampler.candidates {
                found[*id as usize] = weight / total;
            }
            for (found, expected) in found.iter().zip(expected) {
                let expected = expected.as_f64().unwrap();
                assert!((found - expected).abs() < 1e-12, "{found} is not {expected} in {case}");
            }
            for (uniform, token) in case["draws"].as_array().unwrap().iter().map(|d| (&d[0], &d[1]))
            {
                assert_eq!(
                    u64::from(sampler.draw(uniform.as_f64().unwrap())),
                    token.as_u64().unwrap()
                );
            }
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_tokens_and_frequencies_are_the_probabilities() {
        let logits = [1.0f32, 0.0, 2.0, -1.0];
        let hot = Sampling { temperature: 1.0, top_k: Some(3), top_p: None };
        let draw = |seed: u64| {
            let mut sampler = Sampler::new(hot, seed);
            (0..4000).map(|_| sampler.choose(&logits).unwrap()).collect::<Vec<u32>>()
        };
        let tokens = draw(7);
        assert_eq!(tokens, draw(7));
        assert_ne!(tokens, draw(8));
        let weights = [1.0f64.exp(), 1.0, 2.0f64.exp(), 0.0];
        let total: f64 = weights.iter().sum();
        for (id, weight) in weights.iter().enumerate() {
            let share = tokens.iter().filter(|t| **t as usize == id).count() as f64 / 4000.0;
            let expected = weight / total;
            let error = (expected * (1.0 - expected) / 4000.0).sqrt();
            assert!((share - expected).abs() <= 4.0 * error, "token {id}: {share}, {expected}");
        }
    }
}
