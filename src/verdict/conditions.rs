//! Owns what a reader must know of the machine during the rounds: whether processors were throttled, whether they became
//! slower, and which energies are missing and why. It changes no figure.

use super::samples;
use crate::metric::{NoEnergy, request_joules};
use crate::record::{Frequency, Part, Reading, Starved, Throttled, Told};
use crate::stats;

/// A round whose mean frequency is so far below that of the fastest round is called slower, as a fraction. Boosts
/// come and go by a percent or two.
const SLOWER: f64 = 0.05;

/// A round in which the processors became slower.
#[derive(Debug, Clone, PartialEq)]
pub struct Slower {
    /// The round.
    pub round: u32,
    /// The mean frequency of its samples, kHz.
    pub khz: f64,
    /// The round with the highest mean frequency.
    pub fastest: u32,
    /// That frequency, kHz.
    pub highest_khz: f64,
}

impl Slower {
    /// By how much it is slower, as a fraction.
    pub fn fell_by(&self) -> f64 {
        1.0 - self.khz / self.highest_khz
    }
}

/// The complete rounds in which processors were throttled, with how often.
pub fn throttled(part: &Part) -> Vec<(u32, Throttled)> {
    let of_round = |(round, told): (u32, &Told<Throttled>)| Some((round, *told.available()?));
    throttling(part).filter_map(of_round).filter(|(_, throttled)| throttled.any()).collect()
}

/// What is known of throttling, by complete round.
fn throttling(part: &Part) -> impl Iterator<Item = (u32, &Told<Throttled>)> {
    let rounds = part.rounds.iter().filter(|round| round.complete);
    rounds.filter_map(|round| Some((round.round, &round.conditions.as_ref()?.throttled)))
}

/// What the quota of CPU time cost in the complete rounds together, if there is one; or why that is not known.
pub fn starved(part: &Part) -> Option<Told<Starved>> {
    let rounds = part.rounds.iter().filter(|round| round.complete);
    let mut all: Option<Starved> = None;
    for told in rounds.filter_map(|round| round.conditions.as_ref()?.quota.as_ref()) {
        let round = match told {
            Told::Available(round) => round,
            Told::Unavailable(why) => return Some(Told::Unavailable(why.clone())),
        };
        let sum = all.get_or_insert_default();
        sum.cpus_milli = round.cpus_milli;
        sum.periods = sum.periods.saturating_add(round.periods);
        sum.throttled = sum.throttled.saturating_add(round.throttled);
        sum.throttled_ns = sum.throttled_ns.saturating_add(round.throttled_ns);
    }
    all.map(Told::Available)
}

/// The mean frequency of each complete round that has one, kHz.
pub fn frequencies(part: &Part) -> Vec<(u32, f64)> {
    let rounds = part.rounds.iter().filter(|round| round.complete);
    let of_round = rounds.filter_map(|round| {
        let frequency: &Frequency = round.conditions.as_ref()?.frequency.available()?;
        let khz: Vec<f64> = frequency.mean_khz.iter().map(|khz| *khz as f64).collect();
        (!khz.is_empty()).then(|| (round.round, stats::mean(&khz)))
    });
    of_round.collect()
}

/// The rounds in which the processors were slower than in the fastest one.
pub fn slower(part: &Part) -> Vec<Slower> {
    let rounds = frequencies(part);
    let Some((fastest, highest_khz)) = rounds.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))
    else {
        return Vec::new();
    };
    let slower = rounds.into_iter().map(|(round, khz)| Slower { round, khz, fastest, highest_khz });
    slower.filter(|slower| slower.fell_by() > SLOWER).collect()
}

/// Why throttling, and why frequencies, are not known of some complete round: the first reason of each.
pub fn untold(part: &Part) -> [Option<&str>; 2] {
    let rounds = part.rounds.iter().filter(|round| round.complete);
    let frequencies = rounds.filter_map(|round| Some(&round.conditions.as_ref()?.frequency));
    [
        throttling(part).find_map(|(_, told)| told.unavailable()),
        frequencies.into_iter().find_map(Told::unavailable),
    ]
}

/// Timed requests of a variant whose energy is not known, although there are counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmetered {
    /// The variant.
    pub variant: String,
    /// Those around which a counter could not be read, or made no sense.
    pub unread: usize,
    /// Those whose energy is not above that of the idle machine.
    pub not_above_idle: usize,
    /// All that succeeded.
    pub of: usize,
    /// The rounds in which there are some, which have no energy for that.
    pub rounds: Vec<u32>,
}

/// The variants of a session that have requests without energy, where energy is counted.
pub fn unmetered(part: &Part) -> Vec<Unmetered> {
    if no_energy(part).is_some() {
        return Vec::new();
    }
    let of_variant = |variant: &String| {
        let mut found = Unmetered {
            variant: variant.clone(),
            unread: 0,
            not_above_idle: 0,
            of: 0,
            rounds: Vec::new(),
        };
        for round in part.complete() {
            let before = found.unread + found.not_above_idle;
            for request in samples::timed(round, variant).filter(|r| r.failure.is_none()) {
                found.of += 1;
                match request_joules(round, request) {
                    Ok(_) => {}
                    Err(NoEnergy::Unread) => found.unread += 1,
                    Err(NoEnergy::NotAboveIdle) => found.not_above_idle += 1,
                }
            }
            if found.unread + found.not_above_idle > before {
                found.rounds.push(round.round);
            }
        }
        (!found.rounds.is_empty()).then_some(found)
    };
    part.header.plan.variants.iter().filter_map(of_variant).collect()
}

/// Why a session has no energy at all, if it has none.
pub(super) fn no_energy(part: &Part) -> Option<String> {
    if let Reading::Unavailable(why) = &part.header.environment.energy {
        return Some(why.clone());
    }
    // One that went on may have some rounds with and some without: each is left out or in by its requests.
    let failed = |told: &Told<_>| told.unavailable().map(str::to_string);
    let all: Option<Vec<String>> = part.idle.iter().map(failed).collect();
    let why = all.unwrap_or_default().into_iter().next()?;
    Some(format!("idle power, which is to be subtracted, is not known: {why}"))
}

/// Why no round of a variant has energy, although there are counters.
pub(super) fn no_round_has_energy(part: &Part, variant: &str) -> Option<String> {
    let found = unmetered(part).into_iter().find(|found| found.variant == variant)?;
    Some(reasons(&found))
}

/// Why some requests have no energy, in words.
pub fn reasons(found: &Unmetered) -> String {
    let of = found.of;
    let mut parts = Vec::new();
    if found.unread > 0 {
        let count = found.unread;
        parts.push(format!("around {count} of {of} requests an energy counter could not be read"));
    }
    if found.not_above_idle > 0 {
        let count = found.not_above_idle;
        parts.push(format!("{count} of {of} requests took no more energy than the idle machine"));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::part;
    use super::super::samples::tests::request;
    use super::*;
    use crate::record::{Conditions, IdlePower, Round};

    fn round(round: u32, throttled: Told<Throttled>, mean_khz: &[u64]) -> Round {
        let frequency = Told::Available(Frequency { cpus: 2, mean_khz: mean_khz.to_vec() });
        let conditions = Some(Conditions { throttled, frequency, quota: None });
        Round { round, complete: true, conditions, ..Round::default() }
    }

    #[test]
    fn throttled_and_slower_rounds_are_named() {
        let none = || Told::Available(Throttled { core: Some(0), package: Some(0) });
        let twice = Throttled { core: Some(2), package: None };
        let mut cut = round(4, Told::Available(twice), &[1]);
        cut.complete = false;
        let part = part(&[
            round(1, none(), &[2_000_000, 3_000_000]),
            round(2, Told::Available(twice), &[2_000_000]),
            round(3, none(), &[2_400_000]),
            cut,
        ]);
        assert_eq!(throttled(&part), [(2, twice)]);
        let slower = slower(&part);
        assert_eq!(slower.len(), 1, "4% less is no news");
        assert_eq!((slower[0].round, slower[0].fastest), (2, 1));
        assert!((slower[0].fell_by() - 0.2).abs() < 1e-12);
        assert_eq!(untold(&part), [None, None]);
    }

    #[test]
    fn what_is_not_known_is_no_zero() {
        let why = || Told::Unavailable("no counters".to_string());
        let part = part(&[round(1, why(), &[]), Round { complete: true, ..Round::default() }]);
        assert_eq!(throttled(&part), []);
        assert_eq!(slower(&part), []);
        assert_eq!(untold(&part), [Some("no counters"), None]);
    }

    #[test]
    fn requests_without_energy_are_counted_with_the_reason() {
        let energy = |task: &str, energy_uj| crate::record::Request {
            energy_uj,
            energy_ns: Some(1_000_000_000),
            ..request(1, "now", task, &[10.0, 20.0])
        };
        let requests = vec![
            energy("x", Some(2_000_000)),
            energy("y", Some(900_000)),
            energy("z", None),
            request(1, "now", "failed", &[]),
        ];
        let round =
            Round { round: 1, complete: true, requests, idle_watts: Some(1.0), ..Round::default() };
        let mut part = part(&[round]);
        assert_eq!(unmetered(&part), [], "this machine has no counters: that is said once");
        assert_eq!(no_energy(&part).unwrap(), "none here");
        part.header.environment.energy = Reading::Available("RAPL".to_string());
        let found = &unmetered(&part)[0];
        assert_eq!((found.unread, found.not_above_idle, found.of), (1, 1, 3));
        assert_eq!(found.rounds, [1]);
        let why = no_round_has_energy(&part, "now").unwrap();
        assert!(why.contains("1 of 3 requests took no more energy than the idle machine"), "{why}");
        assert_eq!(no_round_has_energy(&part, "base"), None);
        part.idle.push(Told::Unavailable("gone".to_string()));
        assert!(no_energy(&part).unwrap().ends_with("is not known: gone"));
        let power = IdlePower { watts: 1.0, sd_watts: 0.1, samples: vec![] };
        part.idle.push(Told::Available(power));
        assert_eq!(no_energy(&part), None, "the rounds after the second one have it");
    }

    #[test]
    fn what_a_quota_cost_is_added_over_rounds() {
        let quota = |throttled| {
            Some(Told::Available(Starved {
                cpus_milli: 1_500,
                periods: 50,
                throttled,
                throttled_ns: 7,
            }))
        };
        let mut session = part(&[]);
        session.rounds =
            (1..=3).map(|at| round(at, Told::Available(Throttled::default()), &[])).collect();
        assert_eq!(starved(&session), None, "no quota");
        for (round, throttled) in session.rounds.iter_mut().zip([0, 4, 9]) {
            round.conditions.as_mut().unwrap().quota = quota(throttled);
        }
        let expected = Starved { cpus_milli: 1_500, periods: 150, throttled: 13, throttled_ns: 21 };
        assert_eq!(starved(&session), Some(Told::Available(expected)));
        session.rounds[1].conditions.as_mut().unwrap().quota =
            Some(Told::Unavailable("gone".to_string()));
        assert_eq!(starved(&session), Some(Told::Unavailable("gone".to_string())));
    }
}
