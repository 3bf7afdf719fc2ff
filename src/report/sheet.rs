//! Owns the [`Sheet`]: paragraphs and tables about what is no run, such as a machine's noise.

use super::words;
use crate::insight::{Advice, Calibration, Noise, Share};
use crate::metric::Statistic;
use serde::Serialize;

/// Paragraphs and tables in the order of reading.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Sheet {
    /// What it comes to, in one sentence.
    pub headline: String,
    /// What a reader must know first.
    pub warnings: Vec<String>,
    /// What was found, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// The tables.
    pub tables: Vec<Grid>,
    /// How the figures came about.
    pub notes: Vec<String>,
}

/// A table with a title.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Grid {
    /// The title.
    pub title: String,
    /// The titles of the columns.
    pub header: Vec<String>,
    /// The cells by row.
    pub rows: Vec<Vec<String>>,
}

/// What a machine's noise means for the rules, for people.
pub fn of_calibration(calibration: &Calibration) -> Sheet {
    let rounds: usize = calibration.sessions.iter().map(|(_, rounds)| rounds).sum();
    let gate = &calibration.alarms.gate;
    let headline = match gate.all {
        0 => format!(
            "NOISE of '{}' against itself: {rounds} rounds, too few for a comparison of {}",
            calibration.variant, calibration.rounds
        ),
        _ => format!(
            "NOISE of '{}' against itself: {} of {} comparisons of {} rounds raised a false alarm, \
             a rate of {} to {} (95%), where {} is allowed",
            calibration.variant,
            gate.hits,
            gate.all,
            calibration.rounds,
            words::level(gate.low),
            words::level(gate.high),
            words::level(calibration.false_alarms)
        ),
    };
    let mut tables = vec![noise(calibration), detectable(calibration)];
    tables.push(advice(calibration));
    if gate.all > 0 {
        tables.push(alarms(calibration));
    }
    Sheet {
        headline,
        warnings: warnings(calibration),
        tables,
        notes: notes(calibration),
        ..Sheet::default()
    }
}

fn warnings(calibration: &Calibration) -> Vec<String> {
    let tight: Vec<String> = calibration
        .advice
        .iter()
        .filter(|advice| advice.too_tight())
        .map(|advice| format!("{} ({})", advice.rule, percent(advice.limit)))
        .collect();
    let mut warnings = Vec::new();
    if !tight.is_empty() {
        warnings.push(format!(
            "limits below what {} rounds can tell on this machine: {}; the table of limits and rounds \
             says what could",
            calibration.rounds,
            tight.join(", ")
        ));
    }
    if calibration.sessions.len() < 2 {
        warnings.push(
            "one session says nothing of the noise between sessions: calibrate again at other times, \
             or with --sessions"
                .to_string(),
        );
    }
    warnings
}

fn noise(calibration: &Calibration) -> Grid {
    let row = |noise: &Noise| {
        let optional = |value: Option<f64>| value.map_or("-".to_string(), percent);
        // A pair of requests stands behind means alone.
        let within = noise.within_rounds.filter(|_| noise.statistic == Statistic::Mean);
        vec![
            words::metric(noise.metric, noise.statistic),
            optional(within),
            percent(noise.between_rounds),
            optional(noise.ratio_between_sessions),
            optional(noise.value_between_sessions),
        ]
    };
    Grid {
        title: "Noise, standard deviations of logs".to_string(),
        header: titles([
            "metric",
            "ratio of a request, within rounds",
            "ratio of a round, between rounds",
            "ratio, between sessions",
            "value, between sessions",
        ]),
        rows: calibration.noise.iter().map(row).collect(),
    }
}

fn detectable(calibration: &Calibration) -> Grid {
    let mut header = titles(["metric"]);
    let first = calibration.noise.first().map_or(&[][..], |noise| &noise.detectable);
    header.extend(first.iter().map(|detectable| format!("{} rounds", detectable.rounds)));
    let row = |noise: &Noise| {
        let cells = noise.detectable.iter().map(|detectable| {
            format!("{} / {}", percent(detectable.one_rule), percent(detectable.of_all))
        });
        std::iter::once(words::metric(noise.metric, noise.statistic)).chain(cells).collect()
    };
    Grid {
        title: format!(
            "Smallest change beyond a limit that is found with a probability of 90%: one rule / one \
             of {}",
            calibration.sharing
        ),
        header,
        rows: calibration.noise.iter().map(row).collect(),
    }
}

fn advice(calibration: &Calibration) -> Grid {
    let row = |advice: &Advice| {
        vec![
            advice.rule.clone(),
            percent(advice.limit),
            percent(advice.least_limit),
            advice.rounds.map_or("over 1000".to_string(), |rounds| rounds.to_string()),
        ]
    };
    Grid {
        title: "Limits and rounds that this noise advises".to_string(),
        header: titles([
            "rule",
            "limit",
            &format!("least limit for {} rounds", calibration.rounds),
            "rounds for the limit",
        ]),
        rows: calibration.advice.iter().map(row).collect(),
    }
}

fn alarms(calibration: &Calibration) -> Grid {
    let mut rows = vec![cells("any gating rule, as configured", &calibration.alarms.gate)];
    let alone = |(rule, share): &(String, Share)| {
        cells(&format!("{rule}, alone, with a limit of 0"), share)
    };
    rows.extend(calibration.alarms.by_rule.iter().map(alone));
    Grid {
        title: format!("False alarms in comparisons of {} rounds", calibration.alarms.rounds),
        header: titles(["rule", "alarms", "rate", "95% interval of the rate"]),
        rows,
    }
}

fn cells(what: &str, share: &Share) -> Vec<String> {
    vec![
        what.to_string(),
        format!("{} of {}", share.hits, share.all),
        percent(share.hits as f64 / share.all as f64),
        format!("{} to {}", percent(share.low), percent(share.high)),
    ]
}

fn notes(calibration: &Calibration) -> Vec<String> {
    let sessions: Vec<String> =
        calibration.sessions.iter().map(|(id, rounds)| format!("{id} ({rounds} rounds)")).collect();
    vec![
        format!("Sessions: {}", sessions.join(", ")),
        "No round is in two comparisons. The least limit is the smallest under which an unchanged \
         variant is proven to lie with a probability of 90%; the error is shared out evenly over the \
         gating rules. A rule alone with a limit of 0 shows whether its level, 5% as a rule, holds"
            .to_string(),
    ]
}

fn titles<const N: usize>(titles: [&str; N]) -> Vec<String> {
    titles.map(str::to_string).to_vec()
}

/// A share or a small log as a percentage.
fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1}%", share * 100.0) } else { "-".to_string() }
}
