//! Owns the reading of recorded sessions for docs/evidence/aa.md: what other procedures make of a variant
//! against itself, and with how many rounds a real slowdown is found. See `scripts/evidence.sh aa`.
//!
//! `replay compact RESULTS FOLDER` keeps the one session of a file of results in the form of the baselines;
//! `replay same FOLDER` and `replay slowed FOLDER` print tables of the sessions in a folder.

use perfgate::baseline::{self, Stored};
use perfgate::insight::replay;
use perfgate::metric::{LATENCY, Metric, Statistic, THROUGHPUT};
use perfgate::record::{
    Against, Evidence, Limit, Part, Round, Rule, Selection, Severity, Spending, VerdictKind,
};
use perfgate::stats;
use perfgate::verdict::{self, POWER, samples};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["compact", results, folder] => compact(Path::new(results), Path::new(folder)),
        ["same", folder] => same(&sessions(folder)?),
        ["slowed", folder] => slowed(&sessions(folder)?),
        _ => Err("usage: replay compact RESULTS FOLDER | same FOLDER | slowed FOLDER".into()),
    }
}

fn sessions(folder: &str) -> Result<Vec<Part>, Box<dyn Error>> {
    let stored = baseline::load(Path::new(folder))?;
    if stored.is_empty() {
        return Err(format!("{folder} holds no session").into());
    }
    Ok(stored.iter().map(Stored::to_part).collect())
}

fn compact(results: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let results = perfgate::session::read_results(results)?;
    let [part] = &results.parts[..] else { return Err("not of one session".into()) };
    let stored = Stored::from_part(part);
    let place = baseline::place(folder, &stored, u32::MAX)?;
    perfgate::session::write_atomically(&place, &stored.to_text())?;
    Ok(())
}

/// Comparisons of so many rounds each, none of which is in two.
fn chunks(part: &Part, rounds: usize) -> Vec<Vec<Round>> {
    let all: Vec<Round> = part.complete().into_iter().cloned().collect();
    all.chunks_exact(rounds).map(<[Round]>::to_vec).collect()
}

fn rule(metric: Metric, statistic: Statistic, variant: &str, against: &str, limit: f64) -> Rule {
    Rule {
        id: "r".into(),
        line: 1,
        metric,
        statistic,
        variant: variant.into(),
        against: Against::Variant(against.into()),
        limit: Limit::Relative(limit),
        evidence: Evidence::Regression,
        severity: Severity::Gate,
        only: Selection::default(),
        forcing: None,
        waiver: None,
    }
}

/// Whether a procedure calls the candidate slower than the reference.
type Procedure = fn(&[Round], &str, &str) -> bool;

/// The yardsticks: what tools of this field do with the same samples, all requests of a side in one.
const YARDSTICKS: [(&str, Procedure); 3] = [
    ("median of all requests over 10% slower", ratio),
    ("Mann-Whitney over all requests, one-sided 5%", mann_whitney),
    ("Welch's t over round means, one-sided 5%", welch),
];

fn latencies(rounds: &[Round], variant: &str) -> Vec<f64> {
    rounds.iter().flat_map(|round| samples::ranked(LATENCY, round, variant)).collect()
}

fn ratio(rounds: &[Round], candidate: &str, reference: &str) -> bool {
    let median = |variant| stats::quantile(&latencies(rounds, variant), 0.5);
    median(candidate) > 1.1 * median(reference)
}

/// The normal approximation without correction for continuity; latencies in nanoseconds have few ties.
fn mann_whitney(rounds: &[Round], candidate: &str, reference: &str) -> bool {
    let [now, base] = [candidate, reference].map(|variant| latencies(rounds, variant));
    let wins = |a: &f64, b: &f64| f64::from(u8::from(b < a)) + f64::from(u8::from(b == a)) / 2.0;
    let below: f64 = now.iter().map(|a| base.iter().map(|b| wins(a, b)).sum::<f64>()).sum();
    let (n, m) = (now.len() as f64, base.len() as f64);
    (below - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt() > 1.644_853_626_951_472_8
}

fn welch(rounds: &[Round], candidate: &str, reference: &str) -> bool {
    let rounds: Vec<&Round> = rounds.iter().collect();
    let [now, base] = [candidate, reference]
        .map(|variant| verdict::log_values(LATENCY, Statistic::Mean, &rounds, variant).values);
    stats::welch_interval(&now, &base, 0.05).is_some_and(|interval| interval.low > 0.0)
}

fn share(hits: usize, all: usize) -> String {
    let (hits, all) = (hits as u64, all as u64);
    format!(
        "{hits} of {all} | {:.1}% | {:.1}% to {:.1}%",
        hits as f64 / all as f64 * 100.0,
        stats::proportion_lower(hits, all, 0.025) * 100.0,
        stats::proportion_upper(hits, all, 0.025) * 100.0
    )
}

/// False alarms of perfgate and of the yardsticks between a variant and its copy, in either direction.
fn same(sessions: &[Part]) -> Result<(), Box<dyn Error>> {
    let names = &sessions[0].header.plan.variants;
    let [variant, copy] = &names[..] else { return Err("not of two variants".into()) };
    println!("| rounds | procedure | alarms | rate | 95% interval |\n|---|---|---|---|---|");
    for rounds in [3, 5, 10] {
        let all: Vec<(&Part, Vec<Round>)> = sessions
            .iter()
            .flat_map(|part| chunks(part, rounds).into_iter().map(move |chunk| (part, chunk)))
            .collect();
        let gate = |(part, chunk): &&(&Part, Vec<Round>)| {
            let rules = [rule(LATENCY, Statistic::Mean, copy, variant, 0.0)];
            let done = replay(&part.header, chunk, &rules, 0.05, (None, &[]));
            done.verdicts[0].verdict == VerdictKind::Regressed
        };
        let found = all.iter().filter(gate).count();
        println!("| {rounds} | perfgate, latency, limit 0 | {} |", share(found, all.len()));
        for (name, procedure) in YARDSTICKS {
            let found = all.iter().filter(|(_, chunk)| procedure(chunk, copy, variant)).count();
            println!("| {rounds} | {name} | {} |", share(found, all.len()));
        }
    }
    println!(
        "\nThe same between rounds that were measured one after the other: the copy's rounds against the"
    );
    println!("variant's next ones, as when two versions are measured in turn.\n");
    println!("| rounds a side | procedure | alarms | rate | 95% interval |\n|---|---|---|---|---|");
    for rounds in [3, 5, 10] {
        let all: Vec<Vec<Round>> = sessions
            .iter()
            .flat_map(|part| chunks(part, 2 * rounds))
            .map(|c| in_turn(c, copy, variant))
            .collect();
        for (name, procedure) in YARDSTICKS {
            let found = all.iter().filter(|chunk| procedure(chunk, copy, variant)).count();
            println!("| {rounds} | {name} | {} |", share(found, all.len()));
        }
    }
    Ok(())
}

/// Rounds of which the first half has the candidate alone and the second the reference alone.
fn in_turn(mut rounds: Vec<Round>, candidate: &str, reference: &str) -> Vec<Round> {
    let half = rounds.len() / 2;
    for (index, round) in rounds.iter_mut().enumerate() {
        let stays = if index < half { candidate } else { reference };
        round.requests.retain(|request| request.variant == stays);
    }
    rounds
}

/// With how many rounds real slowdowns are found, against what the noise predicts.
fn slowed(sessions: &[Part]) -> Result<(), Box<dyn Error>> {
    let reference = "int8";
    println!(
        "| slowed by | metric | change measured, all rounds | noise between rounds | rounds predicted for 90% | found in comparisons of so many | rate | 95% interval | mean rounds of a session that may end early |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (percent, variant) in [(5, "slowed-5"), (10, "slowed-10")] {
        for metric in [LATENCY, THROUGHPUT] {
            let ratios: Vec<f64> = sessions
                .iter()
                .flat_map(|part| {
                    let rounds = part.complete();
                    verdict::log_ratios(metric, Statistic::Mean, &rounds, variant, reference).values
                })
                .collect();
            let spread = stats::standard_deviation(&ratios);
            let distance = (1.0 + f64::from(percent) / 100.0).ln();
            let needed = (2..100)
                .find(|n| stats::detectable(spread, *n, 0.05, POWER) <= distance)
                .ok_or("too noisy")?;
            let all: Vec<(&Part, Vec<Round>)> = sessions
                .iter()
                .flat_map(|part| chunks(part, needed).into_iter().map(move |chunk| (part, chunk)))
                .collect();
            let rules = [rule(metric, Statistic::Mean, variant, reference, 0.0)];
            let of = |stop: Option<Spending>, (part, chunk): &(&Part, Vec<Round>)| {
                replay(&part.header, chunk, &rules, 0.05, (stop, &["r".to_string()]))
            };
            let found = all
                .iter()
                .filter(|chunk| of(None, chunk).verdicts[0].verdict == VerdictKind::Regressed)
                .count();
            let used: Vec<f64> = all
                .iter()
                .map(|chunk| of(Some(Spending::OBrienFleming), chunk).rounds as f64)
                .collect();
            println!(
                "| {percent}% | {metric} | {:+.1}% | {:.1}% | {needed} | {} | {:.1} of {needed} |",
                stats::mean(&ratios).exp_m1() * 100.0,
                spread * 100.0,
                share(found, all.len()),
                stats::mean(&used),
            );
        }
    }
    Ok(())
}
