//! Owns several sequences behind one prefix, which is computed once: answers that are generated together,
//! and the log likelihoods of the choices of a question. An engine that cannot is asked one by one.

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
    /// the logits. A row that is left out is done, and is not fed again.
    ///
    /// # Errors
    /// If the engine fails, or `visit` does.
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
/// `prefix` is how many tokens their prompts share, see [`shared_prefix`].
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
    let mut batch = engine.batch(&first.prompt[..prefix])?;
    let mut rows: Vec<Row<'_>> = orders.iter().map(|order| Row::new(order, prefix)).collect();
    loop {
        let open: Vec<usize> = (0..rows.len()).filter(|row| !rows[*row].done()).collect();
        if open.is_empty() {
            return Ok(rows.into_iter().map(Row::outcome).collect());
        }
        let fed: Vec<Vec<u32>> =
            open.iter().map(|row| std::mem::take(&mut rows[*row].next)).collect();
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
    /// What is fed next.
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

    fn choose(&mut self, logits: &[f32]) {
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
/// # Errors
/// If the engine fails, a logit is not finite, or the prompt or a continuation is empty.
pub fn score(
    engine: &mut dyn Engine,
    prompt: &[u32],
    continuations: &[Vec<u32>],
) -> Result<Vec<f64>, Failure> {
    let Some((last, prefix)) = prompt.split_last() else {
        return Err(super::failed("a prompt without tokens cannot be scored"));
    };
    if continuations.iter().any(Vec::is_empty) {
        return Err(super::failed("a choice without tokens cannot be scored"));
    }
    // The last token of all is predicted and never fed.
    let fed: Vec<Vec<u32>> = continuations
        .iter()
        .map(|tokens| {
            std::iter::once(*last).chain(tokens[..tokens.len() - 1].iter().copied()).collect()
        })
        .collect();
    let mut sums = vec![0.0; continuations.len()];
    let mut add = |row: usize, place: usize, logits: &[f32]| {
        sums[row] += log_probability(logits, continuations[row][place])?;
        Ok(())
    };
    if engine.batches() {
        let rows: Vec<(usize, &[u32])> =
            fed.iter().enumerate().map(|(row, tokens)| (row, tokens.as_slice())).collect();
        engine.batch(prefix)?.forward(&rows, Show::Every, &mut add)?;
        return Ok(sums);
    }
    for (row, tokens) in fed.iter().enumerate() {
        let mut sequence = engine.begin()?;
        if !prefix.is_empty() {
            sequence.forward(prefix)?;
        }
        step(sequence.as_mut(), tokens, &mut |place, logits| add(row, place, logits))?;
    }
    Ok(sums)
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
