//! Owns what a reader must know of the samples before trusting a verdict: rounds in which the machine
//! stalled, and outputs that should repeat and don't. It changes no figure.

use super::samples;
use crate::metric::LATENCY;
use crate::record::{Part, Phase};
use crate::stats;
use std::collections::{BTreeMap, BTreeSet};

/// A request that takes so many times its task's median over the rounds is called stalled.
pub(super) const STALL: f64 = 3.0;

/// Fewest rounds for a median that one of them does not move.
pub(super) const FEWEST_ROUNDS: usize = 3;

/// Requests of one variant that took far longer in one round than in the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Stall {
    /// The round.
    pub round: u32,
    /// The variant.
    pub variant: String,
    /// Stalled requests, of all its requests in the round.
    pub requests: (usize, usize),
    /// The longest, as a multiple of the same task's median over the rounds.
    pub worst: f64,
}

/// The rounds of a session in which requests stalled, by round and variant. They stay in every figure.
pub fn stalls(part: &Part) -> Vec<Stall> {
    let rounds = part.complete();
    if rounds.len() < FEWEST_ROUNDS {
        return Vec::new();
    }
    let mut found = Vec::new();
    for variant in &part.header.plan.variants {
        let by_round: Vec<BTreeMap<&str, Option<f64>>> =
            rounds.iter().map(|round| samples::by_task(LATENCY, round, variant)).collect();
        let mut of_task: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (task, value) in by_round.iter().flatten() {
            of_task.entry(task).or_default().extend(value);
        }
        let usual: BTreeMap<&str, f64> = of_task
            .into_iter()
            .filter(|(_, values)| values.len() >= FEWEST_ROUNDS)
            .map(|(task, values)| (task, stats::quantile(&values, 0.5)))
            .collect();
        for (round, values) in rounds.iter().zip(&by_round) {
            let times =
                values.iter().filter_map(|(task, value)| Some((*value)? / usual.get(task)?));
            let stalled: Vec<f64> = times.filter(|times| *times > STALL).collect();
            if let Some(worst) = stalled.iter().copied().max_by(f64::total_cmp) {
                found.push(Stall {
                    round: round.round,
                    variant: variant.clone(),
                    requests: (stalled.len(), values.len()),
                    worst,
                });
            }
        }
    }
    found.sort_by(|a, b| (a.round, &a.variant).cmp(&(b.round, &b.variant)));
    found
}

/// For each variant, the timed tasks that were answered by other tokens in some rounds than in others: with
/// a fixed seed they should repeat. Variants without any are left out.
pub fn deviations(part: &Part) -> BTreeMap<String, BTreeSet<String>> {
    let mut first: BTreeMap<(&str, &str), &[u32]> = BTreeMap::new();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let rounds = part.complete();
    let requests = rounds.iter().flat_map(|round| &round.requests);
    for request in requests.filter(|r| r.phase == Phase::Timed && r.failure.is_none()) {
        let known = first.entry((&request.variant, &request.task)).or_insert(&request.tokens);
        if *known != request.tokens {
            found.entry(request.variant.clone()).or_default().insert(request.task.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::part;
    use super::super::samples::tests::request;
    use super::*;
    use crate::record::Round;

    fn rounds(count: u32) -> Vec<Round> {
        let round = |number| {
            let requests = ["base", "now"].map(|v| request(number, v, "t", &[10.0, 50.0])).to_vec();
            Round { round: number, complete: true, requests, ..Round::default() }
        };
        (1..=count).map(round).collect()
    }

    #[test]
    fn a_stalled_round_is_named_with_its_size() {
        let mut stalled = rounds(5);
        stalled[3].requests[1].token_ns = vec![10_000_000, 500_000_000];
        let found = stalls(&part(&stalled));
        let expected = Stall { round: 4, variant: "now".into(), requests: (1, 1), worst: 10.0 };
        assert_eq!(found, [expected]);
        assert!(stalls(&part(&rounds(5))).is_empty());
        assert!(stalls(&part(&stalled[2..4])).is_empty(), "two rounds have no usual one");
    }

    #[test]
    fn outputs_that_change_between_rounds_are_found() {
        let mut rounds = rounds(3);
        assert!(deviations(&part(&rounds)).is_empty());
        rounds[2].requests[0].tokens[1] = 7;
        let found = deviations(&part(&rounds));
        assert_eq!(found, BTreeMap::from([("base".into(), BTreeSet::from(["t".to_string()]))]));
    }
}
