//! Owns the proof that the rows of a batch are independent in a loaded graph: rows with other contents go through calls
//! together, branch off a prefix and leave one by one, and have to come to what each comes to alone.
//!
//! It is not a matter of course. States that the input `beam_idx` does not reorder, as those of convolutions in some
//! exports, and whatever looks at the longest row, make a row depend on those next to it.

use super::batch::{Batch, Show};
use super::lengths::Lengths;
use super::{Engine, failed};
use crate::record::{Failure, Independent, Rows};

/// Sequences longer than this, in tokens, are never shared out in a batch unless nothing changes at any length: a probe
/// of them would take longer than what a batch saves.
const LONGEST: usize = 8192;

/// How often each row is fed, and by how many tokens: `(rows, tokens)`. The one in the middle leaves first, then the
/// first; so those that stay move up, twice.
const STEPS: [(&[usize], usize); 8] = [
    (&[0, 1, 2], 3),
    (&[0, 1, 2], 1),
    (&[0, 1, 2], 1),
    (&[0, 2], 1),
    (&[0, 2], 3),
    (&[2], 1),
    (&[2], 2),
    (&[2], 1),
];

/// How many rows there are.
const ROWS: usize = 3;

/// Of how many tokens the row that leaves first is.
const SHORTEST: usize = 5;

/// Log probabilities of a row alone and in a batch may be this far apart at least, nats. Measured: up to 5e-6 on 25
/// small graphs in f32 with a cache of f32, 0.005 on SmolLM2 (FP16 and INT8) with a cache of f16.
const ALLOWED: f32 = 2e-3;

/// They may be so many times as far apart as what the same row comes to alone, in one call and in several: what the
/// arithmetic leaves open, and more with activations or a cache of less precision. Measured on SmolLM2: in a batch
/// 0.005 where one call and several are 0.02 apart (cache of f16), and 0.11 where they are 0.34 apart (cache of u8).
const TIMES_NOISE: f32 = 2.0;

/// But never this share of how far rows of other contents are apart, which are 8 to 46 nats: what a row takes from
/// another one is of that size.
const SHARE: f32 = 0.1;

/// Where the rows part and how much they are fed at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Course {
    /// Tokens that all rows share.
    prefix: usize,
    /// Tokens of the first call behind it.
    first: usize,
}

impl Course {
    /// Tokens of the row that ends last.
    fn longest(self) -> usize {
        self.prefix + self.first + STEPS[1..].iter().map(|(_, tokens)| tokens).sum::<usize>()
    }
}

/// What is to be shown of sequences of up to `need` tokens: the courses, and how long sequences may be that are run
/// together if all of them are right; `None` for any length.
fn courses(lengths: &Lengths, need: usize) -> (Vec<Course>, Option<usize>) {
    let first = STEPS[0].1;
    let mut courses = vec![Course { prefix: 0, first }, Course { prefix: 6, first }];
    // Every row passes the length by its own tokens; and, where that is short, all of it is its own.
    let mut beyond = |length: usize| {
        courses.push(Course { prefix: (length + 1).saturating_sub(SHORTEST), first });
        if length <= 64 {
            courses.push(Course { prefix: 2, first: length });
        }
    };
    let Some(turns) = &lengths.turns else {
        let most = need.clamp(courses[1].longest(), LONGEST);
        courses.push(Course { prefix: most - courses[0].longest(), first });
        return (courses, Some(most));
    };
    let (passed, left): (Vec<usize>, Vec<usize>) =
        turns.iter().partition(|turn| **turn < need && **turn <= LONGEST);
    passed.iter().for_each(|turn| beyond(*turn));
    (courses, left.into_iter().min())
}

/// Shows that rows are independent for sequences of up to `need` tokens, or says what is not.
///
/// # Errors
/// If the engine fails in single sequences.
pub(super) fn prove(
    engine: &mut dyn Engine,
    lengths: &Lengths,
    need: usize,
) -> Result<Rows, Failure> {
    let vocabulary = vocabulary(engine)?;
    let (courses, tokens) = courses(lengths, need);
    let noise = noise(engine, courses[1], vocabulary)?;
    let (mut worst, mut allowed, mut probed) = (0.0f32, f32::INFINITY, 0);
    for course in courses {
        let contents = Contents { course, vocabulary };
        let mut alone = Vec::new();
        for row in 0..ROWS {
            alone.push(contents.run(engine, &[row])?.remove(0));
        }
        let together = match contents.run(engine, &[0, 1, 2]) {
            Ok(together) => together,
            // What single sequences are run without, a batch fails by itself.
            Err(failure) => return Ok(dependent(course, format!("fails: {}", failure.message))),
        };
        let signal = largest(&alone[0], &alone[2]).min(largest(&alone[1], &alone[2]));
        let here = ALLOWED.max((TIMES_NOISE * noise).min(SHARE * signal));
        let apart = together.iter().zip(&alone).map(|(a, b)| largest(a, b)).fold(0.0, f32::max);
        if !apart.is_finite() || !signal.is_finite() {
            return Ok(dependent(course, "has logits that are not finite".to_string()));
        }
        if signal < ALLOWED / SHARE {
            return Ok(dependent(
                course,
                format!(
                    "is like another of other contents: log probabilities differ by {signal:.1e} nats"
                ),
            ));
        }
        if apart > here {
            return Ok(dependent(
                course,
                format!(
                    "is not what it is alone: log probabilities are up to {apart:.2} nats apart, and {here:.1e} is \
                     allowed"
                ),
            ));
        }
        worst = worst.max(apart);
        allowed = allowed.min(here);
        probed = probed.max(course.longest());
    }
    Ok(Rows::Independent(Independent {
        tokens: tokens.map(|tokens| tokens as u32),
        switch: lengths.switch.map(|switch| switch as u32),
        apart: worst,
        allowed,
        probed: probed as u32,
    }))
}

fn dependent(course: Course, what: String) -> Rows {
    let longest = course.longest();
    Rows::Dependent { reason: format!("in a probe of {longest} tokens a row of a batch {what}") }
}

/// How far a row is from itself where its tokens come in one call and in several, in a short course.
fn noise(engine: &mut dyn Engine, course: Course, vocabulary: u32) -> Result<f32, Failure> {
    let contents = Contents { course, vocabulary };
    let parts = contents.run(engine, &[ROWS - 1])?.remove(0);
    let tokens = contents.last_row();
    let first = tokens.len() - parts.len();
    let mut whole = Predictions::new();
    engine.begin()?.forward_each(&tokens, &mut |place, logits| {
        if place >= first {
            whole.push(log_probabilities(logits));
        }
        Ok(())
    })?;
    let noise = largest(&whole, &parts);
    // Without a measure of it nothing more is allowed than in f32.
    Ok(if noise.is_finite() { noise } else { 0.0 })
}

/// How many tokens the model knows.
fn vocabulary(engine: &mut dyn Engine) -> Result<u32, Failure> {
    let known = match engine.info().vocab_size {
        Some(known) => known,
        None => engine.begin()?.forward(&[0])?.len(),
    };
    match u32::try_from(known) {
        Ok(known) if known > 0 => Ok(known),
        _ => Err(failed(format!("the model knows {known} tokens"))),
    }
}

/// What the rows of a course say.
struct Contents {
    course: Course,
    vocabulary: u32,
}

/// Of each position that is looked at the logarithms of the probabilities of all tokens, nats.
type Predictions = Vec<Vec<f32>>;

impl Contents {
    /// The token at a place of a row, or of the prefix. They look without order, and are the same each time.
    fn token(&self, row: Option<usize>, place: usize) -> u32 {
        let salt = row.map_or(0, |row| row as u64 + 1);
        let mut mixed = (place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ salt.wrapping_mul(0xd6e8_feb8_6659_fd93);
        for _ in 0..2 {
            mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        }
        ((mixed >> 32) % u64::from(self.vocabulary)) as u32
    }

    /// All tokens of the last row, those of the prefix among them.
    fn last_row(&self) -> Vec<u32> {
        let (prefix, end) = (self.course.prefix, self.course.longest());
        let row = Some(ROWS - 1);
        let token = |place| match place < prefix {
            true => self.token(None, place),
            false => self.token(row, place - prefix),
        };
        (0..end).map(token).collect()
    }

    /// Runs some of the rows, in calls of the same lengths whichever they are. Returns the predictions of each.
    fn run(&self, engine: &mut dyn Engine, rows: &[usize]) -> Result<Vec<Predictions>, Failure> {
        let Course { prefix, first } = self.course;
        let shared: Vec<u32> = (0..prefix).map(|place| self.token(None, place)).collect();
        let mut batch = engine.batch(&shared)?;
        let mut predictions: Vec<Predictions> = vec![Vec::new(); rows.len()];
        let mut place = 0;
        for (step, (of, tokens)) in STEPS.iter().enumerate() {
            let length = if step == 0 { first } else { *tokens };
            let fed: Vec<(usize, Vec<u32>)> = rows
                .iter()
                .enumerate()
                .filter(|(_, row)| of.contains(row))
                .map(|(number, row)| {
                    let tokens = place..place + length;
                    (number, tokens.map(|place| self.token(Some(*row), place)).collect())
                })
                .collect();
            place += length;
            if fed.is_empty() {
                continue;
            }
            let show = if step == 0 { Show::Last } else { Show::Every };
            step_of(batch.as_mut(), &fed, show, &mut predictions)?;
        }
        Ok(predictions)
    }
}

fn step_of(
    batch: &mut dyn Batch,
    fed: &[(usize, Vec<u32>)],
    show: Show,
    predictions: &mut [Predictions],
) -> Result<(), Failure> {
    let fed: Vec<(usize, &[u32])> =
        fed.iter().map(|(row, tokens)| (*row, tokens.as_slice())).collect();
    batch.forward(&fed, show, &mut |row, _, logits| {
        predictions[row].push(log_probabilities(logits));
        Ok(())
    })
}

fn log_probabilities(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - most).exp()).sum();
    let log = sum.ln() as f32;
    logits.iter().map(|logit| logit - most - log).collect()
}

/// The largest difference between predictions, at the positions that both have.
fn largest(a: &Predictions, b: &Predictions) -> f32 {
    let pairs = a.iter().zip(b).flat_map(|(a, b)| a.iter().zip(b));
    // A difference that is not a number is the largest.
    pairs
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |most, one| if one > most || one.is_nan() { one } else { most })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Sequence, batch};
    use crate::record::EngineInfo;
    use std::collections::BTreeMap;

    const VOCABULARY: usize = 40;

    /// What a row takes from the others.
    #[derive(Clone, Copy, PartialEq)]
    enum Leak {
        Nothing,
        /// Their last tokens.
        Always,
        /// Their last tokens, once it is longer than so many tokens.
        Beyond(usize),
        /// The whole past of the row before it, once one has left: states that are not moved up.
        OnceOneLeft,
        /// A little: what arithmetic of less precision leaves open.
        Rounding,
    }

    /// An engine whose logits are a function of all tokens of a row, and of what leaks into it.
    struct Toy(Leak);

    struct Rows3 {
        leak: Leak,
        prefix: Vec<u32>,
        rows: BTreeMap<usize, Vec<u32>>,
    }

    fn logits(past: &[u32], leaked: u64) -> Vec<f32> {
        let mut state = past.iter().fold(leaked, |state, token| {
            (state ^ u64::from(*token)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        });
        (0..VOCABULARY)
            .map(|_| {
                state = state.wrapping_mul(0xd6e8_feb8_6659_fd93).wrapping_add(1);
                (state >> 40) as f32 / (1 << 21) as f32
            })
            .collect()
    }

    impl Batch for Rows3 {
        fn forward(
            &mut self,
            rows: &[(usize, &[u32])],
            show: Show,
            visit: &mut batch::Visit<'_>,
        ) -> Result<(), Failure> {
            let left = rows.len() < self.rows.len();
            let before: Vec<Vec<u32>> = self.rows.values().cloned().collect();
            self.rows.retain(|row, _| rows.iter().any(|(kept, _)| kept == row));
            for (place, (row, tokens)) in rows.iter().enumerate() {
                if left && self.leak == Leak::OnceOneLeft {
                    self.rows.insert(*row, before[place].clone());
                }
                let start = self.prefix.clone();
                self.rows.entry(*row).or_insert(start).extend(*tokens);
            }
            let lasts: Vec<u32> =
                self.rows.values().filter_map(|past| past.last().copied()).collect();
            for (row, tokens) in rows {
                let past = self.rows[row].clone();
                let others = lasts.iter().map(|token| u64::from(*token)).sum::<u64>()
                    - u64::from(past[past.len() - 1]);
                let first = if show == Show::Last { tokens.len() - 1 } else { 0 };
                for place in first..tokens.len() {
                    let seen = &past[..past.len() - tokens.len() + place + 1];
                    let leaks = match self.leak {
                        Leak::Always => true,
                        Leak::Beyond(length) => seen.len() > length,
                        _ => false,
                    };
                    let mut row_logits = logits(seen, if leaks { others } else { 0 });
                    if self.leak == Leak::Rounding {
                        row_logits[0] += 1e-3 * rows.len() as f32;
                    }
                    visit(*row, place, &row_logits)?;
                }
            }
            Ok(())
        }
    }

    struct One(Vec<u32>, Vec<f32>);

    impl Sequence for One {
        fn forward(&mut self, tokens: &[u32]) -> Result<&[f32], Failure> {
            self.0.extend(tokens);
            self.1 = logits(&self.0, 0);
            Ok(&self.1)
        }
    }

    impl Engine for Toy {
        fn info(&self) -> EngineInfo {
            EngineInfo { vocab_size: Some(VOCABULARY), ..EngineInfo::default() }
        }

        fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure> {
            Ok(Box::new(One(Vec::new(), Vec::new())))
        }

        fn batch(&mut self, prefix: &[u32]) -> Result<Box<dyn Batch + '_>, Failure> {
            Ok(Box::new(Rows3 { leak: self.0, prefix: prefix.to_vec(), rows: BTreeMap::new() }))
        }
    }

    fn proof(leak: Leak, turns: Option<Vec<usize>>, need: usize) -> Rows {
        prove(&mut Toy(leak), &Lengths { turns, ..Lengths::default() }, need).unwrap()
    }

    fn shown(rows: Rows) -> Independent {
        match rows {
            Rows::Independent(shown) => shown,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_that_take_nothing_from_others_are_shown_independent() {
        let found = shown(proof(Leak::Nothing, Some(vec![]), 500));
        assert_eq!((found.apart, found.tokens), (0.0, None));
        let found = shown(proof(Leak::Rounding, Some(vec![]), 500));
        assert!(found.apart > 0.0 && found.apart <= found.allowed, "{found:?}");
    }

    #[test]
    fn what_a_row_takes_from_others_is_seen() {
        for leak in [Leak::Always, Leak::OnceOneLeft] {
            let reason = proof(leak, Some(vec![]), 500).reason().map(str::to_string).unwrap();
            assert!(reason.contains("is not what it is alone"), "{reason}");
        }
    }

    #[test]
    fn what_begins_beyond_a_length_is_seen_or_such_sequences_are_not_let_in() {
        for length in [20, 100, 1000] {
            let turns = || Some(vec![length]);
            assert!(
                proof(Leak::Beyond(length), turns(), length + 50).reason().is_some(),
                "{length}"
            );
            // No sequence of the session gets there: it is not looked at, and what is longer is run by itself.
            let rows = proof(Leak::Beyond(length), turns(), length);
            assert_eq!(shown(rows.clone()).tokens, Some(length as u32));
            assert!(rows.allow(0, 5, length) && !rows.allow(0, 5, length + 1));
        }
        // Too long to be looked at.
        let rows = proof(Leak::Nothing, Some(vec![16, LONGEST + 1]), 3 * LONGEST);
        assert_eq!(shown(rows).tokens, Some(LONGEST as u32 + 1));
        // No file names lengths: as far as the session's sequences go.
        assert!(proof(Leak::Beyond(200), None, 256).reason().is_some());
        assert_eq!(shown(proof(Leak::Beyond(300), None, 256)).tokens, Some(256));
    }
}
