//! Owns changes of far tails, P99 and P99 over P50: when there are requests enough for an interval, and
//! which.

use super::effect::PerRound;
use super::judge::Case;
use super::samples;
use crate::metric::Statistic;
use crate::record::Round;
use crate::stats::{self, FEWEST_BOOTSTRAP_ROUNDS, RESAMPLES, Ranked};

/// Fewest requests of a round for its own P99: with fewer it would be the round's largest value.
pub(super) const FEWEST_OF_ROUND: usize = 100;

/// Fewest requests of a side for the bootstrap: ten of them lie over its P99.
pub(super) const FEWEST_REQUESTS: usize = 1000;

/// The seed of the resamples: the same samples give the same report.
const SEED: u64 = 99;

/// Whether so many rounds of so many requests give a far tail an interval.
pub(super) fn has_interval(rounds: usize, requests_of_round: usize) -> bool {
    (rounds >= 2 && requests_of_round >= FEWEST_OF_ROUND)
        || (rounds >= FEWEST_BOOTSTRAP_ROUNDS && rounds * requests_of_round >= FEWEST_REQUESTS)
}

/// The numbers behind a far tail's interval. Where each round has requests enough the round's own tails
/// are good ones (`by_round`); with rounds enough the tail of all requests has a bootstrap over
/// rounds. Else the numbers by round come back with why they decide nothing.
pub(super) fn effect(
    case: &Case<'_>,
    reference: Option<&str>,
    by_round: PerRound,
) -> (PerRound, Option<String>) {
    let values = |variant: &str| -> Vec<Vec<f64>> {
        let of = |round: &&Round| samples::ranked(case.rule.metric, round, variant);
        case.rounds.iter().map(of).collect()
    };
    let now = values(&case.rule.variant);
    let base = reference.map(values);
    let sides = || std::iter::once(&now).chain(&base);
    if sides().flatten().all(|round| round.len() >= FEWEST_OF_ROUND) {
        return (by_round, None);
    }
    let rounds = now.len();
    let fewest = sides().map(|side| side.iter().map(Vec::len).sum()).min().unwrap_or(0);
    if rounds < FEWEST_BOOTSTRAP_ROUNDS || fewest < FEWEST_REQUESTS {
        let why = format!(
            "a P99 has an interval from {FEWEST_OF_ROUND} requests in each round on, or with \
             {FEWEST_BOOTSTRAP_ROUNDS} rounds and {FEWEST_REQUESTS} requests; until then it only \
             informs, and the tail is judged by P90 or by an absolute P99"
        );
        return (by_round, Some(why));
    }
    let mut pooled = bootstrapped(case.rule.statistic, &now, base.as_deref(), by_round.requests);
    pooled.resolution = by_round.resolution;
    (pooled, None)
}

/// The log of the tail of all requests, or of the ratio of two, with its spread by bootstrap over rounds.
fn bootstrapped(
    statistic: Statistic,
    now: &[Vec<f64>],
    base: Option<&[Vec<f64>]>,
    requests: usize,
) -> PerRound {
    let rounds = now.len();
    let (now, base) = (Ranked::new(now), base.map(Ranked::new));
    let tail = |side: &Ranked, times: &[u32]| -> f64 {
        let p99 = side.quantile(times, 0.99).ln();
        match statistic {
            Statistic::P99OverP50 => p99 - side.quantile(times, 0.5).ln(),
            _ => p99,
        }
    };
    let all = vec![1; rounds];
    let failed = |side: &Ranked| tail(side, &all).is_infinite();
    let (point, error) = stats::bootstrap(rounds, RESAMPLES, SEED, |times| {
        tail(&now, times) - base.as_ref().map_or(0.0, |base| tail(base, times))
    });
    // Failures that reach the tail of some resamples only: it is not known how far it may go.
    let error = if error.is_nan() { f64::INFINITY } else { error };
    // As if each round had given a number: the spread of a mean over so many is the bootstrap's error.
    let spread = error * (rounds as f64).sqrt();
    let mut effect = PerRound::pooled(point, spread, rounds, requests);
    if failed(&now) {
        effect.values.clear();
        effect.candidate_failed = rounds;
    }
    if base.as_ref().is_some_and(failed) {
        effect.reference_failed = rounds;
    }
    effect
}
