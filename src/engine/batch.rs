//! Owns several sequences behind one prefix, which is computed once: answers that are generated together,
//! and the log likelihoods of the choices of a question. An engine that cannot is asked one by one.
//!
//! Nothing is ever padded: a graph with sliding windows, biases by distance or recurrent states counts padding, mask or
//! not. Where rows share calls, all of a call have as many tokens: those of their prompts that all still have, else one.

use super::force::step;
use super::sampler::Sampler;
use super::{Engine, generate};
use crate::protocol::Order;
use crate::record::{Failure, FailureClass};

/// What is done with the logits behind a token of a row: the row, the token's place among those that were fed
/// with it, `[vocabulary]`.
pub type Visit<'a> = dyn FnMut(usize, usize, &[f32]) -> Result<(), Failure> + 'a;

/// Behind which tokens the logits are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// The last of each row.
    Last,
    /// Every one.
    Every,
}

/// Several sequences that go on from one prefix.
pub trait Batch {
    /// Feeds each of `rows` (its number, from 0, and at least one token) behind what it was fed before, and shows
    /// the logits. A row that is left out is done, and is not fed again. Where rows share calls
    /// ([`Engine::shares_calls`]) each is fed as many tokens as the others, and all of them begin at the first call.
    ///
    /// # Errors
    /// If the engine fails, rows that share a call are of other lengths, or `visit` fails.
    fn forward(
        &mut self,
        rows: &[(usize, &[u32])],
        show: Show,
        visit: &mut Visit<'_>,
    ) -> Result<(), Failure>;
}

/// How many tokens all prompts begin with; one token of each is left, behind which the first logits are.
pub fn shared_prefix<'a>(prompts: impl IntoIterator<Item = &'a [u32]>) -> usize {
    let mut prompts = prompts.into_iter();
    let Some(first) = prompts.next() else { return 0 };
    let most = first.len().saturating_sub(1);
    prompts.fold(most, |shared, prompt| {
        let equal = first.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        shared.min(equal).min(prompt.len().saturating_sub(1))
    })
}

/// Executes several requests together where the engine can, each as [`generate`] would: the tokens of each, or
/// why there are none.
///
/// `prefix` is how many tokens their prompts share, see [`shared_prefix`]. That the rows of the engine's batches are
/// independent is the caller's to know, see [`Engine::prove_rows`].
///
/// # Errors
/// If the engine fails, so that none has an answer.
pub fn generate_together(
    engine: &mut dyn Engine,
    orders: &[Order],
    prefix: usize,
) -> Result<Vec<Result<Vec<u32>, Failure>>, Failure> {
    let Some(first) = orders.first() else { return Ok(Vec::new()) };
    if !engine.batches() {
        let one = |order| generate(engine, order).map(|done| done.tokens);
        return Ok(orders.iter().map(one).collect());
    }
    let shares_calls = engine.shares_calls();
    let mut batch = engine.batch(&first.prompt[..prefix])?;
    let mut rows: Vec<Row<'_>> = orders.iter().map(|order| Row::new(order, prefix)).collect();
    loop {
        let open: Vec<usize> = (0..rows.len()).filter(|row| !rows[*row].done()).collect();
        let Some(shortest) = open.iter().map(|row| rows[*row].next.len()).min() else {
            return Ok(rows.into_iter().map(Row::outcome).collect());
        };
        let fed: Vec<Vec<u32>> = open
            .iter()
            .map(|row| {
                let next = &mut rows[*row].next;
                let count = if shares_calls { shortest } else { next.len() };
                next.drain(..count).collect()
            })
            .collect();
        let lists: Vec<(usize, &[u32])> =
            open.iter().zip(&fed).map(|(row, tokens)| (*row, tokens.as_slice())).collect();
        batch.forward(&lists, Show::Last, &mut |row, _, logits| {
            rows[row].choose(logits);
            Ok(())
        })?;
    }
}

/// One answer that is being generated with others.
struct Row<'a> {
    order: &'a Order,
    sampler: Sampler,
    /// What is still to be fed: of its prompt, or the token that was chosen last.
    next: Vec<u32>,
    tokens: Vec<u32>,
    failure: Option<Failure>,
}

impl<'a> Row<'a> {
    fn new(order: &'a Order, prefix: usize) -> Row<'a> {
        Row {
            order,
            sampler: Sampler::new(order.sampling, order.seed),
            next: order.prompt[prefix..].to_vec(),
            tokens: Vec::new(),
            failure: None,
        }
    }

    /// Takes the logits behind what was fed last; inside the prompt they are of no interest.
    fn choose(&mut self, logits: &[f32]) {
        if !self.next.is_empty() {
            return;
        }
        match self.sampler.choose(logits) {
            Ok(token) => {
                self.tokens.push(token);
                self.next = vec![token];
            }
            Err(failure) => self.failure = Some(failure),
        }
    }

    fn done(&self) -> bool {
        let stopped = self.tokens.last().is_some_and(|last| self.order.stop.contains(last));
        self.failure.is_some() || stopped || self.tokens.len() >= self.order.tokens as usize
    }

    fn outcome(self) -> Result<Vec<u32>, Failure> {
        self.failure.map_or(Ok(self.tokens), Err)
    }
}

/// The log likelihood of each continuation of a prompt, nats: the sum over its tokens of the logarithm of the
/// probability (softmax of the logits) of each behind the prompt and those before it.
///
/// A single continuation goes through the engine by itself, with its prompt, in one call where the engine gives all
/// positions. Several go together where the engine can; that its rows are independent then is the caller's to know.
///
/// # Errors
/// If the engine fails, a logit is not finite, or the prompt or a continuation is empty.
pub fn score(
    engine: &mut dyn Engine,
    prompt: &[u32],
    continuations: &[Vec<u32>],
) -> Result<Vec<f64>, Failure> {
    if prompt.is_empty() {
        return Err(super::failed("a prompt without tokens cannot be scored"));
    }
    if continuations.iter().any(Vec::is_empty) {
        return Err(super::failed("a choice without tokens cannot be scored"));
    }
    if engine.batches() && continuations.len() > 1 {
        return score_together(engine, prompt, continuations);
    }
    continuations.iter().map(|continuation| score_alone(engine, prompt, continuation)).collect()
}

fn score_alone(
    engine: &mut dyn Engine,
    prompt: &[u32],
    continuation: &[u32],
) -> Result<f64, Failure> {
    // The last token of all is predicted and never fed.
    let before = prompt.len() - 1;
    let fed: Vec<u32> = prompt.iter().chain(continuation).copied().collect();
    let fed = &fed[..fed.len() - 1];
    let whole = engine.info().all_positions;
    let mut sequence = engine.begin()?;
    let mut sum = 0.0;
    let mut add = |place: usize, logits: &[f32]| {
        sum += log_probability(logits, continuation[place])?;
        Ok(())
    };
    if whole {
        sequence.forward_each(fed, &mut |place, logits| match place.checked_sub(before) {
            Some(place) => add(place, logits),
            None => Ok(()),
        })?;
    } else {
        if before > 0 {
            sequence.forward(&fed[..before])?;
        }
        step(sequence.as_mut(), &fed[before..], &mut add)?;
    }
    Ok(sum)
}

fn score_together(
    engine: &mut dyn Engine,
    prompt: &[u32],
    continuations: &[Vec<u32>],
) -> Result<Vec<f64>, Failure> {
    let (prefix, last) = prompt.split_at(prompt.len() - 1);
    let fed: Vec<Vec<u32>> = continuations
        .iter()
        .map(|tokens| last.iter().chain(&tokens[..tokens.len() - 1]).copied().collect())
        .collect();
    let mut sums = vec![0.0; continuations.len()];
    let shares_calls = engine.shares_calls();
    let mut batch = engine.batch(prefix)?;
    let mut done = 0;
    loop {
        // The rows that go on, and as many tokens as all of them still have.
        let open: Vec<usize> = (0..fed.len()).filter(|row| fed[*row].len() > done).collect();
        let Some(shortest) = open.iter().map(|row| fed[*row].len()).min() else { return Ok(sums) };
        let longest = fed.iter().map(Vec::len).max().unwrap_or(shortest);
        let end = if shares_calls { shortest } else { longest };
        let part = |row: &usize| (*row, &fed[*row][done..end.min(fed[*row].len())]);
        let rows: Vec<(usize, &[u32])> = open.iter().map(part).collect();
        batch.forward(&rows, Show::Every, &mut |row, place, logits| {
            sums[row] += log_probability(logits, continuations[row][done + place])?;
            Ok(())
        })?;
        done = end;
    }
}

/// The logarithm of a token's probability by the softmax of logits, in nats.
///
/// # Errors
/// If a logit is not finite, or there is none of that token.
fn log_probability(logits: &[f32], token: u32) -> Result<f64, Failure> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - largest).exp()).sum();
    let found = logits.get(token as usize).copied().unwrap_or(f32::NAN);
    let log = f64::from(found - largest) - sum.ln();
    if log.is_finite() {
        return Ok(log);
    }
    let message = format!("the logit of token {token} is {found}, or one beside it is not finite");
    Err(Failure { class: FailureClass::NonFinite, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_what_all_share_and_leaves_each_a_token() {
        let shared = |prompts: &[&[u32]]| shared_prefix(prompts.iter().copied());
        assert_eq!(shared(&[&[1, 2, 3, 4], &[1, 2, 5]]), 2);
        assert_eq!(shared(&[&[1, 2, 3], &[1, 2, 3]]), 2);
        assert_eq!(shared(&[&[1, 2], &[1, 2, 3]]), 1);
        assert_eq!(shared(&[&[7, 2], &[1, 2]]), 0);
        assert_eq!(shared(&[]), 0);
    }

    #[test]
    fn a_log_probability_is_that_of_the_softmax() {
        // log softmax([1, 2, 3])[2] = -log(1 + e^-1 + e^-2)
        let expected = -(1.0 + (-1.0f64).exp() + (-2.0f64).exp()).ln();
        assert!((log_probability(&[1.0, 2.0, 3.0], 2).unwrap() - expected).abs() < 1e-12);
        for bad in [[f32::NAN, 0.0], [f32::INFINITY, 0.0], [0.0, f32::NAN]] {
            let failure = log_probability(&bad, 0).unwrap_err();
            assert_eq!(failure.class, FailureClass::NonFinite);
        }
        assert!(log_probability(&[0.0], 1).is_err());
        assert!(log_probability(&[0.0, f32::NEG_INFINITY], 1).is_err());
    }
}
