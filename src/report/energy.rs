//! Owns what a report says of energy and heat: what was counted, whether idle power is in it, and what the machine did
//! during the rounds.

use super::build::some;
use crate::record::{IdlePower, Part, Reading, Throttled, Told};
use crate::verdict::{self, Slower, Unmetered};

/// What was counted as energy, where anything was.
pub(super) fn method(part: &Part) -> Option<String> {
    let Reading::Available(counted) = &part.header.environment.energy else { return None };
    if part.rounds.is_empty() {
        return None;
    }
    let idle = match part.header.plan.idle_ms {
        None => "the idle power of what is counted is in it".to_string(),
        Some(_) => part.idle.iter().map(idle).collect::<Vec<_>>().join(", then "),
    };
    Some(format!(
        "Energy of a request: {counted}, from just before it is sent until its answer came; {idle}"
    ))
}

fn idle(power: &Told<IdlePower>) -> String {
    match power {
        Told::Unavailable(why) => format!("idle power is not known ({why}), so none is counted"),
        Told::Available(IdlePower { watts, sd_watts, samples }) => {
            let seconds = samples.iter().map(|sample| sample.ns as f64 * 1e-9).sum::<f64>();
            format!(
                "less the idle power of {watts:.2} W over its time (measured without workers for \
                 {seconds:.0} s, {} samples with a standard deviation of {sd_watts:.2} W)",
                samples.len()
            )
        }
    }
}

/// What a reader must know of energy and heat before trusting figures.
pub(super) fn warnings(part: &Part) -> Vec<String> {
    let throttled = verdict::throttled(part);
    let slower = verdict::slower(part);
    let unmetered = verdict::unmetered(part);
    let all = part.complete().len();
    let mut warnings = Vec::new();
    if !throttled.is_empty() {
        warnings.push(of_throttling(&throttled, all));
    }
    warnings.extend(of_quota(part));
    warnings.extend(of_frequency(&slower, all));
    warnings.extend(unmetered.iter().map(of_unmetered));
    warnings
}

fn of_throttling(rounds: &[(u32, Throttled)], all: usize) -> String {
    let of_round = |(round, throttled): &(u32, Throttled)| format!("round {round} ({throttled})");
    let named: Vec<String> = rounds.iter().map(of_round).collect();
    format!(
        "the processors got too hot and were throttled in {} of {all} rounds: {}. All variants of a round were hit, so \
         ratios stand; times, rates and energy by themselves are those of a hot machine: see to its cooling, \
         let nothing else run, and measure again",
        rounds.len(),
        some(&named, ", ")
    )
}

/// That the kernel stopped the workers, which a quota makes it do.
fn of_quota(part: &Part) -> Option<String> {
    let Some(Told::Available(starved)) = verdict::starved(part) else { return None };
    (starved.throttled > 0).then(|| {
        format!(
            "a quota of {} CPUs' time stopped all threads in {} of {} periods, for {:.1} s of CPU time in all: times \
             scatter by it, and are those of this quota. Give whole CPUs instead (`docker run --cpuset-cpus`, \
             AllowedCPUs= in systemd) and measure again",
            starved.cpus_milli as f64 / 1e3,
            starved.throttled,
            starved.periods,
            starved.throttled_ns as f64 / 1e9
        )
    })
}

/// The quota of CPU time and what it cost during the rounds, if there is one.
pub(super) fn quota(part: &Part) -> Option<String> {
    let class = part.header.environment.machine.finer.as_ref().and_then(|finer| finer.quota_milli);
    match verdict::starved(part) {
        Some(Told::Available(starved)) => Some(format!(
            "{} CPUs' time; stopped in {} of {} periods",
            starved.cpus_milli as f64 / 1e3,
            starved.throttled,
            starved.periods
        )),
        Some(Told::Unavailable(why)) => Some(format!("what it cost is not available: {why}")),
        None => class.map(|quota| format!("{} CPUs' time", quota as f64 / 1e3)),
    }
}

fn of_frequency(rounds: &[Slower], all: usize) -> Option<String> {
    let slowest = rounds.iter().min_by(|a, b| a.khz.total_cmp(&b.khz))?;
    Some(format!(
        "the processors' frequency fell in {} of {all} rounds, most in round {}: {}, {:.0}% below round {}'s {}. \
         Ratios of variants stand; for times, rates and energy by themselves fix it (`sudo cpupower \
         frequency-set -g performance`, cooling, no boost) and measure again",
        rounds.len(),
        slowest.round,
        ghz(slowest.khz),
        slowest.fell_by() * 100.0,
        slowest.fastest,
        ghz(slowest.highest_khz)
    ))
}

fn of_unmetered(found: &Unmetered) -> String {
    let rounds: Vec<String> = found.rounds.iter().map(u32::to_string).collect();
    let help = match found.not_above_idle {
        0 => "",
        _ => {
            "; let requests take longer (gen_tokens), the machine rest before a session, or keep idle power (`idle` under \
              [energy])"
        }
    };
    format!(
        "energy of '{}': {}; its rounds {} have none{help}",
        found.variant,
        verdict::reasons(found),
        some(&rounds, ", ")
    )
}

/// What throttled during the rounds, beside what the machine's counters said before.
pub(super) fn throttling(part: &Part) -> String {
    let before = part.header.environment.throttling.to_string();
    let watched = part.complete().iter().filter(|round| round.conditions.is_some()).count();
    let throttled = verdict::throttled(part).len();
    match (watched, verdict::untold(part)[0]) {
        (0, _) => before,
        (_, Some(why)) => format!("not available: {why}"),
        (_, None) if throttled == 0 => format!("in no round ({before})"),
        (_, None) => format!("in {throttled} of {watched} rounds ({before})"),
    }
}

/// How fast the processors were during the rounds, if that was looked at.
pub(super) fn frequency(part: &Part) -> Option<String> {
    let rounds = verdict::frequencies(part);
    let ends = rounds.iter().map(|(_, khz)| *khz).fold(None, |ends, khz| match ends {
        None => Some((khz, khz)),
        Some((low, high)) => Some((f64::min(low, khz), f64::max(high, khz))),
    });
    match (ends, verdict::untold(part)[1]) {
        (_, Some(why)) => Some(format!("not available: {why}")),
        (None, None) => None,
        (Some((low, high)), None) => {
            Some(format!("{} to {} (means of rounds, behind requests)", ghz(low), ghz(high)))
        }
    }
}

fn ghz(khz: f64) -> String {
    format!("{:.2} GHz", khz * 1e-6)
}
