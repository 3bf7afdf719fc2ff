//! Owns trials of the gate: many sessions of one truth, and what became of them.

use crate::cells::Random;
use crate::gate::{Gate, Verdict};
use crate::world::World;

/// What is true of the rules, in logs.
#[derive(Debug, Clone)]
pub struct Truth {
    /// The effect of each rule's stream.
    pub effects: Vec<f64>,
    /// The limit of all of them.
    pub limit: f64,
}

impl Truth {
    /// The first rule's change against a limit, where the others' variants are unchanged; both as factors.
    pub fn first(rules: usize, factor: f64, limit: f64) -> Truth {
        let mut effects = vec![0.0; rules];
        effects[0] = factor.ln();
        Truth { effects, limit: limit.ln() }
    }

    /// Every rule's change is the largest that its limit allows.
    pub fn at_limit(rules: usize, limit: f64) -> Truth {
        Truth { effects: vec![limit.ln(); rules], limit: limit.ln() }
    }
}

/// Shares of sessions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shares {
    /// In which a rule is called regressed whose change is within its limit.
    pub alarmed: f64,
    /// In which the first rule is called regressed.
    pub found: f64,
    /// In which a rule is left open.
    pub open: f64,
    /// The mean share of the planned rounds that were run.
    pub used: f64,
}

/// Runs the same sessions through several gates.
pub fn trial(
    world: &World,
    rounds: usize,
    gates: &[Gate],
    truth: &Truth,
    replications: usize,
    random: &mut Random,
) -> Vec<Shares> {
    let mut shares = vec![Shares::default(); gates.len()];
    let one = 1.0 / replications as f64;
    for _ in 0..replications {
        let streams: Vec<Vec<f64>> = truth
            .effects
            .iter()
            .map(|effect| world.session(rounds, *effect, random).ratios())
            .collect();
        for (gate, shares) in gates.iter().zip(&mut shares) {
            let ended = gate.run(&streams, truth.limit);
            let regressed = |rule: usize| ended.verdicts[rule] == Verdict::Regressed;
            let innocent = |rule: usize| truth.effects[rule] <= truth.limit;
            let alarmed = (0..streams.len()).any(|rule| innocent(rule) && regressed(rule));
            let open = ended.verdicts.contains(&Verdict::Open);
            shares.alarmed += one * f64::from(u8::from(alarmed));
            shares.found += one * f64::from(u8::from(regressed(0)));
            shares.open += one * f64::from(u8::from(open));
            shares.used += one * ended.rounds as f64 / rounds as f64;
        }
    }
    shares
}
