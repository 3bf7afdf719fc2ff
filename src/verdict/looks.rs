//! Owns the looks of a session that may end early: when they are, and what of the error each has.

use crate::record::{Spending, Stopping};
use crate::stats;
use std::sync::{Mutex, PoisonError};

/// The first round after which rules are looked at: two rounds tell next to nothing of their spread.
pub const FIRST_LOOK: u32 = 3;

/// Most looks of a plan; more of them gain no time.
const MOST_LOOKS: u32 = 20;

/// The rounds of a plan after which there is a look, the last one included; none if the plan is too short for
/// two looks. Looks come at multiples of the number of variants, when each was started as often in each
/// place of the order.
pub fn looks(rounds: u32, variants: u32) -> Option<Vec<u32>> {
    let variants = variants.max(1);
    // A plan of graded tasks alone has no round at all.
    let every = variants * rounds.max(1).div_ceil(MOST_LOOKS * variants);
    let first = every * FIRST_LOOK.div_ceil(every);
    let mut looks: Vec<u32> = (first..rounds).step_by(every as usize).collect();
    looks.push(rounds);
    (looks.len() > 1).then_some(looks)
}

/// The level of the look after so many rounds, of a rule that has `alpha` in all; `None` where no look is
/// planned.
pub fn level(stopping: &Stopping, rounds: usize, alpha: f64) -> Option<f64> {
    let place = stopping.looks.iter().position(|look| *look as usize == rounds)?;
    all_levels(stopping, alpha).get(place).copied()
}

/// The looks of a plan, how they spend, and the bits of a rule's whole level.
type Key = (Vec<u32>, Spending, u64);

/// The levels of all looks of a plan. They are worth remembering: the same few are asked for by every rule, at
/// every step of Holm's procedure and every look.
fn all_levels(stopping: &Stopping, alpha: f64) -> Vec<f64> {
    static KNOWN: Mutex<Vec<(Key, Vec<f64>)>> = Mutex::new(Vec::new());
    let key = (stopping.looks.clone(), stopping.spending, alpha.to_bits());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, levels)) = known.iter().find(|(other, _)| *other == key) {
        return levels.clone();
    }
    let last = f64::from(stopping.looks.last().copied().unwrap_or(1));
    let fractions: Vec<f64> = stopping.looks.iter().map(|look| f64::from(*look) / last).collect();
    let levels = stats::look_levels(stopping.spending, alpha, &fractions);
    // A file may ask for any number of plans.
    if known.len() >= 1000 {
        known.clear();
    }
    known.push((key, levels.clone()));
    levels
}

/// The share of the error that is spent once so many rounds are looked at, for a rule that has `alpha` in all.
pub fn share_spent(spending: Spending, looks: &[u32], rounds: u32, alpha: f64) -> f64 {
    let last = looks.last().copied().unwrap_or(rounds).max(1);
    stats::error_spent(spending, alpha, f64::from(rounds) / f64::from(last)) / alpha
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_begin_at_the_third_round_are_few_and_balanced() {
        assert_eq!(looks(3, 1), None);
        assert_eq!(looks(4, 2), None);
        assert_eq!(looks(6, 1).unwrap(), [3, 4, 5, 6]);
        assert_eq!(looks(7, 2).unwrap(), [4, 6, 7]);
        assert_eq!(looks(12, 3).unwrap(), [3, 6, 9, 12]);
        assert_eq!(looks(100, 2).unwrap().len(), 17);
        assert_eq!(looks(10_000, 2).unwrap()[..2], [500, 1000]);
    }

    #[test]
    fn only_planned_looks_have_a_level() {
        let stopping =
            Stopping { spending: Spending::Pocock, looks: looks(6, 1).unwrap(), drives: vec![] };
        assert_eq!(level(&stopping, 2, 0.05), None);
        assert_eq!(level(&stopping, 7, 0.05), None);
        let levels: Vec<f64> = (3..=6).map(|n| level(&stopping, n, 0.05).unwrap()).collect();
        assert!(levels.iter().all(|level| *level > 0.0 && *level < 0.05), "{levels:?}");
        assert!((share_spent(Spending::Pocock, &stopping.looks, 6, 0.05) - 1.0).abs() < 1e-12);
    }
}
