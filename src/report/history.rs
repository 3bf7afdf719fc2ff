//! Owns the sheet of a metric over the stored sessions: a line of small bars and a table for each variant, and
//! the change points in words.

use super::build::some;
use super::clean::clean_sheet;
use super::{Grid, Sheet, words};
use crate::hash;
use crate::insight::{Asked, Change, Point, Series};
use crate::metric::Better;
use crate::record::MachineClass;

/// The bars of a sparkline, from the smallest value to the largest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Most bars of a line: a terminal has 100 columns, and the name and the values need some.
const MOST_BARS: usize = 50;

/// With fewer sessions, the simulation finds hardly any step of 5% (`docs/evidence/change_points.md`).
const FEW: usize = 6;

/// What a reader must know beside the series.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// Why no commit was looked at, if so.
    pub no_commits: Option<String>,
    /// Whether the clone lacks the older part of the history.
    pub shallow: bool,
    /// Committed files that could not be read, a line each.
    pub unreadable: Vec<String>,
    /// Sessions of other classes of machines, which are not shown.
    pub of_other_classes: usize,
}

/// A metric over the stored sessions, for people.
pub fn of_history(series: &[Series], asked: &Asked<'_>, scene: &Scene) -> Sheet {
    let several = series.iter().any(|one| one.machine != series[0].machine);
    let mut tables: Vec<Grid> = changes(series, asked, several).into_iter().collect();
    tables.extend(series.iter().map(|series| table(series, asked, several)));
    let mut sheet = Sheet {
        headline: headline(series, asked, several),
        warnings: warnings(scene),
        tables,
        notes: notes(series, scene),
        ..Sheet::default()
    };
    clean_sheet(&mut sheet);
    sheet
}

fn headline(series: &[Series], asked: &Asked<'_>, several: bool) -> String {
    let mut days: Vec<&str> = points(series).map(|point| day(&point.started)).collect();
    days.sort_unstable();
    let most = series.iter().map(|series| series.points.len()).max().unwrap_or(0);
    let sessions = if several { points(series).count() } else { most };
    let when = match (days.first(), days.last()) {
        (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
        (first, _) => (*first.unwrap_or(&"?")).to_string(),
    };
    let moved: Vec<String> = series
        .iter()
        .flat_map(|series| series.changes.iter().map(|change| sentence(series, change, asked)))
        .collect();
    let what = what(asked);
    let count = counted(sessions, "session");
    let found = match moved.len() {
        0 => "no change point".to_string(),
        count => format!("{}: {}", counted(count, "change point"), some(&moved, "; ")),
    };
    format!("HISTORY of {what}: {count}, {when}; {found}")
}

fn points(series: &[Series]) -> impl Iterator<Item = &Point> {
    series.iter().flat_map(|series| &series.points)
}

/// `between A and B: latency of int8 +12.3%, slower answers`.
fn sentence(series: &Series, change: &Change, asked: &Asked<'_>) -> String {
    let (before, after) = ends(series, change);
    format!(
        "between {} and {}: {} of {} {}",
        place(before),
        place(after),
        what(asked),
        series.variant,
        size(change, asked)
    )
}

/// The sessions on both sides of a change point.
fn ends<'a>(series: &'a Series, change: &Change) -> (&'a Point, &'a Point) {
    (&series.points[change.at - 1], &series.points[change.at])
}

/// A session by its day and the commit that it was measured at.
fn place(point: &Point) -> String {
    match &point.measured {
        Some((commit, _)) => format!("{} ({})", day(&point.started), hash::short(commit, 9)),
        None => day(&point.started).to_string(),
    }
}

fn what(asked: &Asked<'_>) -> String {
    let metric = words::metric(asked.metric, asked.statistic);
    match asked.relative_to {
        Some(other) => format!("{metric} relative to {other}"),
        None => metric,
    }
}

/// `+12.3%, slower answers`.
fn size(change: &Change, asked: &Asked<'_>) -> String {
    let better = asked.metric.better(asked.statistic);
    let worse = (change.change > 0.0) == (better == Better::Lower);
    let words = asked.metric.info().words[usize::from(worse)];
    format!("{}, {words}", amount(change.change, asked))
}

/// A change with its sign, of shares in points.
fn amount(change: f64, asked: &Asked<'_>) -> String {
    match asked.metric.is_proportion() {
        true => format!("{:+.1} pt", change * 100.0 + 0.0),
        false => words::percent(change),
    }
}

fn warnings(scene: &Scene) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(why) = &scene.no_commits {
        warnings.push(format!("no commit was looked at, only the work tree: {why}"));
    }
    if scene.shallow {
        warnings.push(format!(
            "the clone is shallow, so the history is cut, and what its oldest commit holds is shown as \
             accepted by it; {}",
            crate::git::FETCH
        ));
    }
    if !scene.unreadable.is_empty() {
        let count = counted(scene.unreadable.len(), "committed file");
        warnings.push(format!("{count} left out: {}", some(&scene.unreadable, "; ")));
    }
    warnings
}

fn changes(series: &[Series], asked: &Asked<'_>, several: bool) -> Option<Grid> {
    let unit = asked.unit();
    let row = |series: &Series, change: &Change| {
        let (before, after) = ends(series, change);
        vec![
            name(series, several),
            place(before),
            place(after),
            format!("{} to {}", unit.format(change.before), unit.format(change.after)),
            size(change, asked),
            if change.p < 1e-4 { "under 0.0001".to_string() } else { format!("{:.4}", change.p) },
        ]
    };
    let rows: Vec<Vec<String>> = series
        .iter()
        .flat_map(|series| series.changes.iter().map(move |change| row(series, change)))
        .collect();
    let header = ["variant", "after", "before", "from", "change", "p"];
    (!rows.is_empty()).then(|| Grid {
        title: "Change points, each between two sessions".to_string(),
        header: header.map(str::to_string).to_vec(),
        rows,
    })
}

fn table(series: &Series, asked: &Asked<'_>, several: bool) -> Grid {
    let header = ["", "session", "measured at", "accepted by", &what(asked), "change"];
    let row = |(index, point): (usize, &Point)| {
        let moved = series.changes.iter().any(|change| change.at == index);
        let mark = match () {
            () if moved => "◆",
            () if !point.apart.is_empty() => "┄",
            () => "",
        };
        let measured = point.measured.as_ref().map_or("-".to_string(), |(commit, modified)| {
            format!("{}{}", hash::short(commit, 9), if *modified { "+" } else { "" })
        });
        let accepted = point.accepted.as_ref();
        vec![
            mark.to_string(),
            minute(&point.started),
            measured,
            accepted.map_or("-".to_string(), |commit| hash::short(commit, 9).to_string()),
            asked.unit().format(point.value),
            point.change.map_or(String::new(), |change| amount(change, asked)),
        ]
    };
    Grid {
        title: format!("{}  {}", name(series, several), line(series, asked)),
        header: header.map(str::to_string).to_vec(),
        rows: series.points.iter().enumerate().map(row).collect(),
    }
}

/// A series by its variant, and by its machine where there are several.
fn name(series: &Series, several: bool) -> String {
    match several {
        true => format!("{} on {}", series.variant, machine(&series.machine)),
        false => series.variant.clone(),
    }
}

fn machine(class: &MachineClass) -> String {
    match &class.finer {
        None => format!("{}, {} CPUs, {} GiB", class.cpu, class.usable_cpus, class.memory_gib),
        Some(finer) => {
            let quota = finer.quota_milli.map(|quota| format!(" (quota {})", quota as f64 / 1e3));
            let quota = quota.unwrap_or_default();
            format!("{}, {} CPUs{quota}, {} GiB", class.cpu, finer.cpus, finer.memory_gib)
        }
    }
}

/// The sparkline with its ends: `▁▁▂▇█  412 ms to 508 ms`.
fn line(series: &Series, asked: &Asked<'_>) -> String {
    let skipped = series.points.len().saturating_sub(MOST_BARS);
    let shown = &series.points[skipped..];
    let values = || shown.iter().map(|point| point.value);
    let (least, most) =
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let mut bars = String::new();
    for (index, point) in shown.iter().enumerate() {
        if index > 0 && !point.apart.is_empty() {
            bars.push(' ');
        }
        bars.push(bar(point.value, least, most));
    }
    let unit = asked.unit();
    let ends = format!("{} to {}", unit.format(least), unit.format(most));
    match skipped {
        0 => format!("{bars}  {ends}"),
        _ => format!("{bars}  {ends} (the latest {MOST_BARS})"),
    }
}

/// The bar of a value between the least and the largest; in the middle if all are the same.
fn bar(value: f64, least: f64, most: f64) -> char {
    let place = (value - least) / (most - least);
    match place.is_finite() {
        true => BARS[(place * (BARS.len() - 1) as f64).round() as usize],
        false => BARS[BARS.len() / 2 - 1],
    }
}

fn notes(series: &[Series], scene: &Scene) -> Vec<String> {
    let mut notes = Vec::new();
    let mut apart: Vec<(String, Vec<&str>)> = Vec::new();
    for series in series {
        for point in series.points.iter().filter(|point| !point.apart.is_empty()) {
            let why =
                format!("{} and before: {}", minute(&point.started), point.apart.join(" and "));
            match apart.iter_mut().find(|(known, _)| *known == why) {
                Some((_, variants)) => variants.push(&series.variant),
                None => apart.push((why, vec![&series.variant])),
            }
        }
    }
    let cut = |(why, variants): (String, Vec<&str>)| {
        format!(
            "┄ A new stretch, which is not compared with the one before ({}), {why}",
            variants.join(", ")
        )
    };
    notes.extend(apart.into_iter().map(cut));
    for series in series.iter().filter(|series| series.without_value > 0) {
        let count = counted(series.without_value, "session");
        notes.push(format!("{} of '{}' without a value are not shown", count, series.variant));
    }
    let longest = series.iter().map(|series| series.points.len()).max().unwrap_or(0);
    if longest < FEW {
        notes.push(format!(
            "With fewer than {FEW} sessions only a change of many times the noise is found"
        ));
    }
    if scene.of_other_classes > 0 {
        let count = counted(scene.of_other_classes, "session");
        notes.push(format!("{count} of other machine classes: --all-classes shows them"));
    }
    notes.push(
        "◆ The first session after a change point: E-divisive with Student's t at p < 0.001, as in \
         Apache Otava, on each stretch of sessions that can be compared. One session alone hardly \
         makes one"
            .to_string(),
    );
    notes.push(
        "A session's value is the one that rules against the baseline take. Accepted by: the first \
         commit that holds it; - is not committed. +: the work tree differed from the commit"
            .to_string(),
    );
    notes
}

/// `2026-11-23`.
fn day(started: &str) -> &str {
    hash::short(started, 10)
}

/// `2026-11-23 03:05`.
fn minute(started: &str) -> String {
    hash::short(started, 16).replacen('T', " ", 1)
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_reach_from_the_least_to_the_largest() {
        let bars: String = (0..8).map(|value| bar(f64::from(value), 0.0, 7.0)).collect();
        assert_eq!(bars, "▁▂▃▄▅▆▇█");
        assert_eq!(bar(3.0, 3.0, 3.0), '▄', "nothing varies");
    }

    #[test]
    fn a_time_that_is_none_stays_as_it_is() {
        assert_eq!(minute("2026-11-23T03:05:19Z"), "2026-11-23 03:05");
        assert_eq!((minute("é"), day("")), ("é".to_string(), ""));
    }
}
