//! Owns the charts of what rules judge over the stored sessions, with this run as the last point.

use super::super::{Grid, Report, clean, words};
use super::{Axis, Chart, Layer, MOST_ROWS, Marks, Place, Ticks};
use super::{cut, thinned, thousands, titles};
use crate::baseline::{self, Accepted, Stored};
use crate::insight::{self, Asked, Series};
use crate::metric::{Kind, Metric, Statistic, Unit};
use crate::problem::Result;
use crate::record::Results;

/// Most metrics that have a chart of their history.
const MOST_METRICS: usize = 8;

/// Most sessions of a history, the newest.
const MOST_SESSIONS: usize = 60;

/// Most days that stand along an axis.
const MOST_DAYS: usize = 3;

/// Adds the history of what the rules judge: the stored sessions of this machine's class, oldest first, and
/// this run. Where they could not be read, the report says why there is none.
pub fn with_history(mut report: Report, results: &Results, stored: Result<Vec<Stored>>) -> Report {
    let (charts, note) = match stored {
        Ok(stored) => charts(results, &stored),
        Err(why) => {
            let why = why.to_string().lines().next().unwrap_or_default().to_string();
            (Vec::new(), Some(format!("No history: the stored sessions could not be read: {why}")))
        }
    };
    report.charts.charts.extend(charts);
    report.charts.notes.extend(note);
    clean::clean_charts(&mut report.charts);
    report
}

/// The charts, and why some are not there.
fn charts(results: &Results, stored: &[Stored]) -> (Vec<Chart>, Option<String>) {
    let asked = asked(results);
    if asked.is_empty() {
        return (Vec::new(), None);
    }
    let sessions = sessions(results, stored);
    if sessions.iter().all(|session| session.this_run) {
        let note = "No history: no session of this machine's class is stored (`perfgate baseline \
                    update` stores one)";
        return (Vec::new(), Some(note.to_string()));
    }
    let accepted: Vec<Accepted> = sessions.iter().map(|session| session.accepted.clone()).collect();
    let mut charts = Vec::new();
    let mut still = Vec::new();
    let mut left = 0;
    for (metric, statistic) in asked {
        let asked = Asked { metric, statistic, relative_to: None };
        let series = insight::over_sessions(&accepted, &results.variants, &asked);
        match series.is_empty() {
            true => {}
            false if series.iter().all(never_moved) => still.push(words::metric(metric, statistic)),
            false if charts.len() == MOST_METRICS => left += 1,
            false => charts.push(chart(results, &sessions, &series, &asked)),
        }
    }
    (charts, note(&still, left))
}

fn never_moved(series: &Series) -> bool {
    series.points.windows(2).all(|pair| pair[0].value == pair[1].value)
}

fn note(still: &[String], left: usize) -> Option<String> {
    let mut notes = Vec::new();
    if !still.is_empty() {
        notes.push(format!("The same in all stored sessions and this run: {}", still.join(", ")));
    }
    if left > 0 {
        notes.push(format!("{left} more have a history: `perfgate history METRIC` shows it"));
    }
    (!notes.is_empty()).then(|| notes.join(". "))
}

/// What the rules judge, each once; stored sessions keep no single gaps between tokens.
fn asked(results: &Results) -> Vec<(Metric, Statistic)> {
    let verdicts = results.judgement.iter().flat_map(|judgement| &judgement.verdicts);
    let mut all = Vec::new();
    for rule in verdicts.map(|verdict| &verdict.rule) {
        let kept = rule.metric.kind() != Kind::PerToken || rule.statistic == Statistic::Mean;
        let one = (rule.metric, rule.statistic);
        if kept && !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// One session of the history.
struct Session {
    accepted: Accepted,
    this_run: bool,
}

/// The newest sessions of this machine's class, oldest first, and this run's at the end.
fn sessions(results: &Results, stored: &[Stored]) -> Vec<Session> {
    let measured = results.parts.iter().filter(|part| !part.rounds.is_empty());
    let now: Vec<Stored> = measured.map(Stored::from_part).collect();
    let Some(last) = now.last() else { return Vec::new() };
    let before = stored.iter().filter(|session| {
        session.machine == last.machine && now.iter().all(|now| now.session != session.session)
    });
    let mut before: Vec<&Stored> = before.collect();
    before.sort_by_key(|session| baseline::order(session));
    let before = before[before.len().saturating_sub(MOST_SESSIONS)..].iter().copied().cloned();
    let session =
        |stored, this_run| Session { accepted: Accepted { stored, commit: None }, this_run };
    let before = before.map(|stored| session(stored, false));
    before.chain(now.iter().map(|stored| session(stored.clone(), true))).collect()
}

fn chart(results: &Results, sessions: &[Session], series: &[Series], asked: &Asked<'_>) -> Chart {
    let scale = Scale::of(asked.unit(), series);
    let what = words::metric(asked.metric, asked.statistic);
    let look =
        |one: &Series| results.variants.iter().position(|name| *name == one.variant).unwrap_or(0);
    let mut layers = Vec::new();
    let mut legend = Vec::new();
    for one in series {
        let look = look(one);
        legend.push((look, one.variant.clone()));
        layers.extend(layers_of(one, sessions, &scale).map(|marks| Layer { look, marks }));
    }
    let values = series.iter().flat_map(|one| &one.points).map(|point| point.value * scale.factor);
    Chart {
        title: format!("History of {what}"),
        description: description(series, asked),
        legend,
        notes: notes(series),
        x: over(sessions),
        y: Axis::over(&format!("{what}{}", scale.unit), values),
        layers,
        shown: Vec::new(),
        table: table(series, sessions, asked),
    }
}

/// How values stand on the axis.
struct Scale {
    unit: &'static str,
    factor: f64,
}

impl Scale {
    fn of(unit: Unit, series: &[Series]) -> Scale {
        let largest = series.iter().flat_map(|one| &one.points).map(|point| point.value);
        let largest = largest.fold(0.0, f64::max);
        let (unit, factor) = match unit {
            Unit::Seconds if largest < 2.0 => (" (ms)", 1e3),
            Unit::Seconds => (" (s)", 1.0),
            Unit::TokensPerSecond => (" (tok/s)", 1.0),
            Unit::Bytes => (" (MiB)", 1.0 / f64::from(1 << 20)),
            Unit::Proportion => (" (%)", 100.0),
            Unit::TokensPerJoule => (" (tok/J)", 1.0),
            Unit::JoulesPerToken => (" (J)", 1.0),
            Unit::Nats => (" (nats)", 1.0),
            Unit::Ratio | Unit::Number => ("", 1.0),
        };
        Scale { unit, factor }
    }
}

/// The place of a session, from 1.
fn place_of(started: &str, sessions: &[Session]) -> f64 {
    let of = |session: &Session| session.accepted.stored.started == started;
    sessions.iter().position(of).unwrap_or(0) as f64 + 1.0
}

/// A line for each stretch that can be compared, a mark for each session, and a ring where it moved.
fn layers_of<'a>(
    one: &'a Series,
    sessions: &'a [Session],
    scale: &'a Scale,
) -> impl Iterator<Item = Marks> + 'a {
    let place =
        |point: &insight::Point| (place_of(&point.started, sessions), point.value * scale.factor);
    let mut stretches: Vec<Vec<Place>> = Vec::new();
    for point in &one.points {
        match stretches.last_mut().filter(|_| point.apart.is_empty()) {
            Some(stretch) => stretch.push(place(point)),
            None => stretches.push(vec![place(point)]),
        }
    }
    let all = stretches.concat();
    let moved = one.changes.iter().filter_map(|change| all.get(change.at).copied()).collect();
    let lines = stretches.into_iter().map(Marks::Line);
    lines.chain([Marks::Points(all), Marks::Rings(moved)])
}

fn description(series: &[Series], asked: &Asked<'_>) -> String {
    let unit = asked.unit();
    let words = |one: &Series| {
        let values = || one.points.iter().map(|point| point.value);
        let (least, most) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let last = values().next_back().map_or("-".to_string(), |value| unit.format(value));
        let [least, most] = [least, most].map(|value| unit.format(value));
        let (name, count) = (&one.variant, one.points.len());
        format!("{name}: {count} sessions, {least} to {most}, the latest {last}")
    };
    series.iter().map(words).collect::<Vec<_>>().join("; ")
}

fn notes(series: &[Series]) -> Vec<String> {
    let mut notes = vec![
        "A session's value is the one that rules against the baseline take; a line breaks where \
         sessions cannot be compared"
            .to_string(),
    ];
    if series.iter().any(|one| !one.changes.is_empty()) {
        notes.push("○ the first session after a change point".to_string());
    }
    notes
}

/// The sessions along the axis, some of them with their day.
fn over(sessions: &[Session]) -> Axis {
    let named = |(index, session): (usize, &Session)| {
        let started = &session.accepted.stored.started;
        (index as f64 + 1.0, when(started, 5, 16))
    };
    let (before, now): (Vec<_>, Vec<_>) =
        sessions.iter().enumerate().partition(|(_, session)| !session.this_run);
    // The last one before this run stands too near to it.
    let room = before.len().saturating_sub(before.len() / 4).max(1);
    let mut ticks: Vec<(f64, String)> =
        thinned(&before[..room.min(before.len())], MOST_DAYS).into_iter().map(named).collect();
    ticks.extend(now.last().map(|(index, _)| (*index as f64 + 1.0, "this run".to_string())));
    Axis {
        title: "session, oldest first".to_string(),
        low: 0.6,
        high: sessions.len() as f64 + 0.4,
        ticks: Ticks::Named(ticks),
    }
}

/// A part of `2026-11-23T03:05:19Z`, as `11-23 03:05`.
fn when(started: &str, from: usize, to: usize) -> String {
    started.get(from..to).unwrap_or(started).replacen('T', " ", 1)
}

fn table(series: &[Series], sessions: &[Session], asked: &Asked<'_>) -> Grid {
    let mut header = titles(["session", "started"]);
    header.extend(series.iter().map(|one| one.variant.clone()));
    let cell = |one: &Series, started: &str| {
        let point = one.points.iter().find(|point| point.started == started);
        point.map_or("-".to_string(), |point| asked.unit().format(point.value))
    };
    let row = |session: &Session| {
        let stored = &session.accepted.stored;
        let run = if session.this_run { " (this run)" } else { "" };
        let mut row = vec![format!("{}{run}", stored.session), when(&stored.started, 0, 16)];
        row.extend(series.iter().map(|one| cell(one, &stored.started)));
        row
    };
    // The newest first: they are the ones to keep where a table is cut.
    let rows = sessions.iter().rev().map(row).collect();
    let title = format!("{} sessions, newest first", thousands(sessions.len()));
    Grid { title, header, rows: cut(rows, MOST_ROWS) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{judged, results, round};
    use super::*;

    #[test]
    fn stored_sessions_and_this_run_stand_in_order() {
        let now = judged(results(&[round(1, &[Some(20.0)]), round(2, &[Some(20.0)])]));
        let stored = |id: &str, day: &str, milliseconds: f64| {
            let before = results(&[round(1, &[Some(milliseconds)])]);
            let mut stored = Stored::from_part(&before.parts[0]);
            stored.session = id.to_string();
            stored.started = format!("2025-12-{day}T10:00:00Z");
            stored
        };
        let mut elsewhere = stored("z", "20", 5.0);
        elsewhere.machine.cpu = "another".to_string();
        let all = [stored("b", "03", 12.0), stored("a", "01", 10.0), elsewhere];
        let (charts, note) = charts(&now, &all);
        assert_eq!((charts.len(), note), (1, None));
        let Marks::Points(points) = &charts[0].layers[1].marks else { panic!() };
        let values: Vec<f64> = points.iter().map(|(_, value)| value.round()).collect();
        assert_eq!((points[0].0, values), (1.0, vec![10.0, 12.0, 20.0]));
        assert!(charts[0].table.rows[0][0].ends_with("(this run)"));
        assert_eq!(charts[0].table.rows.len(), 3, "the other class is not shown");
    }

    #[test]
    fn without_stored_sessions_the_reason_is_said() {
        let now = judged(results(&[round(1, &[Some(20.0)])]));
        assert!(charts(&now, &[]).1.unwrap().starts_with("No history: no session"));
        assert_eq!(charts(&results(&[]), &[]), (vec![], None), "no rule names a metric");
    }
}
