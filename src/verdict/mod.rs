//! Owns the rules applied to estimates: from samples to effects, from effects to verdicts, from
//! verdicts to the outcome of a session. No I/O.

mod against_baseline;
mod effect;
mod graded;
mod judge;
mod outcome;
pub mod samples;
mod summary;

pub use judge::judge;
pub use outcome::{Outcome, outcome};
pub use summary::summarize;

use crate::baseline::Stored;
use crate::record::{Answer, EngineInfo, Header, Round};
use std::collections::BTreeMap;

/// Everything that rules are applied to.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// What was known before the first round.
    pub header: &'a Header,
    /// The rounds; those that were cut short count for nothing.
    pub rounds: &'a [Round],
    /// The answers to graded tasks.
    pub answers: &'a [Answer],
    /// The stored sessions, oldest first.
    pub stored: &'a [Stored],
}

impl<'a> Measured<'a> {
    /// The rounds that count.
    pub fn complete(&self) -> Vec<&'a Round> {
        self.rounds.iter().filter(|round| round.complete).collect()
    }

    /// What each variant's engine said of itself.
    pub fn engines(&self) -> BTreeMap<String, EngineInfo> {
        let workers = self.rounds.iter().flat_map(|round| &round.workers);
        workers
            .filter_map(|worker| Some((worker.variant.clone(), worker.engine.clone()?)))
            .collect()
    }
}
