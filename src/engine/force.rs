//! Owns teacher forcing: given tokens go in, and the logits after each of them into a file.

use super::{Engine, Sequence, Visit, failed};
use crate::record::{Failure, FailureClass};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// What was written: `[positions, vocabulary]`, f32, little endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forced {
    /// As many as tokens.
    pub positions: usize,
    /// Logits of each.
    pub vocabulary: usize,
}

/// Why tokens were not forced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unforced {
    /// The reason.
    pub failure: Failure,
    /// Whether the file could not be written, which is no fault of the model.
    pub unwritten: bool,
}

impl From<Failure> for Unforced {
    fn from(failure: Failure) -> Unforced {
        Unforced { failure, unwritten: false }
    }
}

/// Feeds `tokens` to an empty sequence and writes the logits after each of them to a file. `stepwise` feeds
/// them one by one, through the key-value cache; else in one call, where the engine can.
///
/// # Errors
/// If the engine fails, the logits are not finite, or they cannot be written.
pub fn force(
    engine: &mut dyn Engine,
    tokens: &[u32],
    stepwise: bool,
    logits: &Path,
) -> Result<Forced, Unforced> {
    let unwritten = |error: std::io::Error| {
        failed(format!("cannot write logits to {}: {error}", logits.display()))
    };
    let not_written = |failure| Unforced { failure, unwritten: true };
    let file = File::create(logits).map_err(unwritten).map_err(not_written)?;
    let mut file = BufWriter::new(file);
    let mut forced = Forced { positions: 0, vocabulary: 0 };
    let mut bytes = Vec::new();
    let mut written = true;
    let mut visit = |position: usize, row: &[f32]| {
        check(position, row, &forced)?;
        forced = Forced { positions: position + 1, vocabulary: row.len() };
        bytes.clear();
        bytes.extend(row.iter().flat_map(|logit| logit.to_le_bytes()));
        let saved = file.write_all(&bytes);
        written = saved.is_ok();
        saved.map_err(unwritten)
    };
    let mut sequence = engine.begin()?;
    let done = match stepwise {
        true => step(sequence.as_mut(), tokens, &mut visit),
        false => sequence.forward_each(tokens, &mut visit),
    };
    done.map_err(|failure| Unforced { failure, unwritten: !written })?;
    file.flush().map_err(unwritten).map_err(not_written)?;
    match forced.positions == tokens.len() {
        true => Ok(forced),
        false => Err(failed(format!("{} of {} positions", forced.positions, tokens.len())).into()),
    }
}

/// Refuses logits that are no distribution, or of another size than those before.
fn check(position: usize, row: &[f32], before: &Forced) -> Result<(), Failure> {
    if row.is_empty() || (position > 0 && row.len() != before.vocabulary) {
        return Err(failed(format!("{} logits after position {position}", row.len())));
    }
    match row.iter().find(|logit| !logit.is_finite()) {
        Some(logit) => Err(Failure {
            class: FailureClass::NonFinite,
            message: format!("a logit after position {position} is {logit}"),
        }),
        None => Ok(()),
    }
}

/// Feeds tokens one by one.
pub(super) fn step<S: Sequence + ?Sized>(
    sequence: &mut S,
    tokens: &[u32],
    visit: &mut Visit<'_>,
) -> Result<(), Failure> {
    for (position, token) in tokens.iter().enumerate() {
        visit(position, sequence.forward(&[*token])?)?;
    }
    Ok(())
}
