//! Owns what can be said before the first round: how long a session takes, and which rules its rounds and
//! tasks can settle.

use super::plan::Prepared;
use crate::baseline::mismatch;
use crate::record::{Part, Results, Round, Stopping};
use crate::verdict::{self, Foreseen, Measured, Settles};
use std::time::Duration;

/// What a session will probably come to.
#[derive(Debug)]
pub struct Forecast {
    /// Time of the rounds.
    pub rounds: Option<Duration>,
    /// Time of the graded tasks, if they are asked anew.
    pub quality: Option<Duration>,
    /// The session that the figures come from.
    pub past: Option<String>,
    /// The rules, in their order.
    pub rules: Vec<Foreseen>,
}

impl Forecast {
    /// Whether every rule is known without measuring.
    pub fn nothing_to_measure(&self) -> bool {
        let known = |rule: &Foreseen| rule.settles == Settles::Known;
        !self.rules.is_empty() && self.rules.iter().all(known)
    }
}

/// Foresees a session as it is planned so far, from the latest results, if they are of the same workload and machine class.
fn forecast(prepared: &Prepared, latest: Option<&Results>) -> Forecast {
    let header = &prepared.header;
    let past: Vec<Part> = latest
        .iter()
        .flat_map(|results| &results.parts)
        .filter(|part| mismatch(header, &part.header).is_empty())
        .cloned()
        .collect();
    let measured = Measured { parts: &past, earlier: &[], stored: &prepared.stored };
    let rules = prepared.setup.thresholds.as_ref().map_or_else(Vec::new, |thresholds| {
        verdict::foresee(&thresholds.rules, header, &measured, thresholds.false_alarms)
    });
    let by_variant: Option<f64> =
        header.plan.variants.iter().map(|name| seconds_of_round(&past, name)).sum();
    let rounds = by_variant.map(|one| one * f64::from(header.plan.rounds));
    Forecast {
        rounds: rounds.and_then(duration),
        quality: past.iter().find_map(seconds_of_quality).and_then(duration),
        past: past.first().map(|part| part.header.session.clone()),
        rules,
    }
}

/// Fixes how the session may end early, before its first round: when the rules are looked at, and which of
/// them all have to be decided, by what `latest` results tell of the noise. Without rules, and with too few
/// rounds for two looks, every round is run. Returns what can be foreseen of the session then.
pub fn plan_looks(prepared: &mut Prepared, latest: Option<&Results>) -> Forecast {
    let plan = &prepared.header.plan;
    let looks = verdict::looks(plan.rounds, plan.variants.len() as u32);
    let planned = prepared.setup.config.stop.zip(looks);
    let Some((spending, looks)) = planned else { return forecast(prepared, latest) };
    let planned = Stopping { spending, looks, drives: Vec::new() };
    // What a rule can come to depends on the looks, and what drives the session on the rules.
    prepared.header.plan.stopping = Some(planned.clone());
    let with_looks = forecast(prepared, latest);
    let drives = verdict::driving(&with_looks.rules);
    if drives.is_empty() {
        // Nothing could end it.
        prepared.header.plan.stopping = None;
        return forecast(prepared, latest);
    }
    prepared.header.plan.stopping = Some(Stopping { drives, ..planned });
    with_looks
}

/// A duration, unless the figures of a file make none.
fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// Mean time of a variant in a round: its starts and its requests.
fn seconds_of_round(past: &[Part], variant: &str) -> Option<f64> {
    let part = past.iter().find(|part| part.has(variant))?;
    let rounds = part.complete();
    let all: f64 = rounds.iter().map(|round| nanoseconds(round, variant)).sum();
    (!rounds.is_empty()).then(|| all * 1e-9 / rounds.len() as f64)
}

fn nanoseconds(round: &Round, variant: &str) -> f64 {
    let workers = round.workers.iter().filter(|worker| worker.variant == variant);
    let starts = workers.flat_map(|worker| [worker.hello_ns, worker.load_ns]).flatten();
    let requests = round.requests.iter().filter(|request| request.variant == variant);
    let ends = requests.filter_map(|request| request.token_ns.last().copied());
    starts.chain(ends).map(|nanoseconds| nanoseconds as f64).sum()
}

/// What a session took beside its rounds, if most of its answers were asked for.
fn seconds_of_quality(part: &Part) -> Option<f64> {
    let asked = part.answers.iter().filter(|answer| !answer.cached).count();
    if asked == 0 || asked * 2 < part.answers.len() {
        return None;
    }
    let time = |text: &str| humantime::parse_rfc3339(text).ok();
    let whole = time(&part.ended)?.duration_since(time(&part.header.started)?).ok()?;
    let rounds: f64 = part
        .header
        .plan
        .variants
        .iter()
        .filter_map(|name| seconds_of_round(std::slice::from_ref(part), name))
        .sum::<f64>()
        * part.complete().len() as f64;
    Some((whole.as_secs_f64() - rounds).max(0.0))
}
