//! Owns the replay of measured rounds as a session that had planned them, to see when it would have ended and
//! what it would have said.

use crate::baseline::Stores;
use crate::record::{Header, Part, Round, Rule, Spending, Stopping, Verdict};
use crate::verdict::{self, Measured};

/// What a session would have come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// Rounds that it would have run.
    pub rounds: usize,
    /// What it would have said.
    pub verdicts: Vec<Verdict>,
}

/// Judges rounds as a session would have that had planned exactly these, ending as soon as the rules named in
/// `drives` are decided at a look.
pub fn replay(
    header: &Header,
    rounds: &[Round],
    rules: &[Rule],
    false_alarms: f64,
    (stop, drives): (Option<Spending>, &[String]),
) -> Replay {
    let mut part = Part::begin(header.clone());
    let planned = rounds.len() as u32;
    let plan = &mut part.header.plan;
    plan.rounds = planned;
    let looks = verdict::looks(planned, plan.variants.len() as u32);
    plan.stopping = stop
        .zip(looks)
        .filter(|_| !drives.is_empty())
        .map(|(spending, looks)| Stopping { spending, looks, drives: drives.to_vec() });
    let looks = match &plan.stopping {
        Some(stopping) => stopping.looks.clone(),
        None => vec![planned],
    };
    let mut verdicts = Vec::new();
    for look in looks {
        part.rounds = rounds[..look as usize].to_vec();
        let parts = std::slice::from_ref(&part);
        let measured = Measured { parts, earlier: &[], stored: &Stores::default() };
        verdicts = verdict::judge(rules, &measured, false_alarms);
        let open =
            |verdict: &&Verdict| drives.contains(&verdict.rule.id) && !verdict.verdict.decided();
        if !verdicts.iter().any(|verdict| open(&verdict)) {
            break;
        }
    }
    Replay { rounds: part.rounds.len(), verdicts }
}
