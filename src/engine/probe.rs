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

/// Log probabilities of a row alone and in a batch may be this far apart, nats, where weights and activations are
/// computed as they are. Measured on the architectures of the field: 2e-5 in f32.
const ALLOWED: f32 = 2e-3;

/// And this share of how far two rows of other contents are apart, whatever the arithmetic. Kernels of less precision
/// (bf16; INT8 with activations that are quantized as they come) round otherwise for other numbers of rows. Measured:
/// up to 0.05 with these, 0.3 and more where a row sees another one's state.
const ALLOWED_SHARE: f32 = 0.1;

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
        let here = ALLOWED.max(ALLOWED_SHARE * signal);
        let apart = together.iter().zip(&alone).map(|(a, b)| largest(a, b)).fold(0.0, f32::max);
        log(course, apart, signal);
        if !apart.is_finite() || !signal.is_finite() {
            return Ok(dependent(course, "has logits that are not finite".to_string()));
        }
        if signal < 10.0 * ALLOWED {
            let what = format!(
                "cannot be told from another: their log probabilities differ by {signal:.1e} nats"
            );
            return Ok(dependent(course, what));
        }
        if apart > here {
            let what = format!(
                "is not what it is alone: log probabilities are up to {apart:.2} nats apart, and {here:.1e} is allowed"
            );
            return Ok(dependent(course, what));
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

/// For measurements.
fn log(course: Course, apart: f32, signal: f32) {
    if std::env::var_os("PERFGATE_SHOW_PROBE").is_some() {
        eprintln!("probe {course:?}: rows apart by {apart:e}, other contents by {signal}");
    }
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
