//! Owns the rules applied to estimates: from samples to effects, from effects to verdicts, from
//! verdicts to the outcome of a session. No I/O.

mod across;
mod against_baseline;
mod change;
mod conditions;
mod counts;
mod effect;
mod fidelity;
mod forecast;
mod graded;
mod judge;
mod load;
mod loads;
mod looks;
mod outcome;
pub mod samples;
mod scenarios;
mod stalls;
mod summary;
mod tail;
pub mod tasks;

pub use across::against_earlier;
pub use change::{MOST_ROUNDS, POWER, limit_of_width, limit_width};
pub use conditions::{
    Slower, Unmetered, frequencies, reasons, slower, starved, throttled, unmetered, untold,
};
pub use effect::{PerRound, log_ratios, log_values, paired_log_ratios};
pub use fidelity::{Forced, forced};
pub use forecast::{Foreseen, Settles, driving, foresee};
#[cfg(test)]
pub(crate) use judge::tests as testing;
pub use judge::{completes_a_round, judge, shares_the_level};
pub use load::{
    Block, Level, Searched, Sustained, deviations_under_load, levels, searches, sustained,
};
pub use loads::{HeavyLoad, cold_page_cache, heavy_loads, is_heavy};
pub use looks::{FIRST_LOOK, looks, share_spent};
pub use outcome::{Outcome, blocks, outcome};
pub use samples::timed;
pub use scenarios::{accuracy_ratio, scenarios};
pub use stalls::{Stall, deviations, stalls};
pub use summary::summarize;

use crate::baseline::Stores;
use crate::record::{Labels, Part, Phase, Round, Rule, Selection};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// An error of 2.5% on each side, of intervals that describe and decide nothing.
const ONE_SIDE: f64 = 0.025;

/// Everything that rules are applied to.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// What was measured, by session.
    pub parts: &'a [Part],
    /// Another run that this one is held against, by session.
    pub earlier: &'a [Part],
    /// The stored sessions.
    pub stored: &'a Stores,
}

impl<'a> Measured<'a> {
    /// The part that a variant was measured in.
    pub fn part_of(&self, variant: &str) -> Option<&'a Part> {
        self.parts.iter().find(|part| part.has(variant))
    }
}

/// What a rule is applied to: everything, or copies with nothing but the tasks that it judges.
struct Scope<'a> {
    parts: Cow<'a, [Part]>,
    earlier: Cow<'a, [Part]>,
    stored: &'a Stores,
}

impl<'a> Scope<'a> {
    fn of(rule: &Rule, measured: &Measured<'a>) -> Scope<'a> {
        let select = |parts: &'a [Part]| match rule.only.is_empty() {
            true => Cow::Borrowed(parts),
            false => Cow::Owned(select(parts, &rule.only)),
        };
        Scope {
            parts: select(measured.parts),
            earlier: select(measured.earlier),
            stored: measured.stored,
        }
    }

    fn measured(&self) -> Measured<'_> {
        Measured { parts: &self.parts, earlier: &self.earlier, stored: self.stored }
    }
}

/// Copies with the tasks that are selected. Warm-up stays: it is of no task's account.
fn select(parts: &[Part], only: &Selection) -> Vec<Part> {
    let of_part = |part: &Part| {
        let mut part = part.clone();
        let plan = &part.header.plan;
        select_requests(&mut part.rounds, only, &plan.labels);
        if let Some(quality) = &plan.quality {
            part.answers.retain(|answer| only.takes(quality.labels.get(&answer.task)));
        }
        part
    };
    parts.iter().map(of_part).collect()
}

/// Leaves the timed requests of the tasks that are selected.
fn select_requests(rounds: &mut [Round], only: &Selection, labels: &BTreeMap<String, Labels>) {
    for round in rounds {
        round.requests.retain(|r| r.phase != Phase::Timed || only.takes(labels.get(&r.task)));
    }
}
