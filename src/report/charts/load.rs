//! Owns the charts of load: tokens per second block by block, and by requests at once.

use super::super::Grid;
use super::{Axis, Chart, Layer, Look, MOST_ROWS, Marks, Place, Ticks, cut, thinned};
use crate::record::{LoadKind, Part, Results};
use crate::verdict::{self, Level};

/// Most points of a variant.
const MOST_POINTS: usize = 200;

/// A variant's points: whole numbers along x, tokens per second along y.
struct Series {
    look: Look,
    name: String,
    points: Vec<Place>,
}

/// The charts of every session that was put under load.
pub(super) fn charts(results: &Results) -> Vec<Chart> {
    results
        .parts
        .iter()
        .flat_map(|part| [by_block(results, part), by_streams(results, part)])
        .flatten()
        .collect()
}

fn look(results: &Results, name: &str) -> Look {
    results.variants.iter().position(|other| other == name).unwrap_or_default()
}

fn by_block(results: &Results, part: &Part) -> Option<Chart> {
    let series = verdict::sustained(part).into_iter().map(|one| Series {
        look: look(results, &one.variant),
        points: one.blocks.iter().filter_map(|b| Some((f64::from(b.number), b.rate()?))).collect(),
        name: one.variant,
    });
    chart(
        "Tokens per second under sustained load",
        "block",
        "By block of a load that lasts; the variants take turns, so what moves all of them at once is the machine.",
        series.collect(),
    )
}

fn by_streams(results: &Results, part: &Part) -> Option<Chart> {
    let levels = verdict::levels(part);
    let closed = |name: &String| {
        let of = |level: &&Level| level.kind == LoadKind::Closed && level.variant == *name;
        let mut points: Vec<Place> = levels
            .iter()
            .filter(of)
            .filter_map(|level| Some((f64::from(level.streams), level.tokens_per_second?)))
            .collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Series { look: look(results, name), name: name.clone(), points }
    };
    chart(
        "Tokens per second by requests at once",
        "requests at once",
        "In closed loops, each by a fresh process. Where the line is level, more requests only wait longer.",
        part.header.plan.variants.iter().map(closed).collect(),
    )
}

/// Lines through points; none where no variant has two of them.
fn chart(title: &str, x: &str, note: &str, mut series: Vec<Series>) -> Option<Chart> {
    series.retain(|one| !one.points.is_empty());
    if series.iter().all(|one| one.points.len() < 2) {
        return None;
    }
    for one in &mut series {
        one.points = thinned(&one.points, MOST_POINTS);
    }
    let all = || series.iter().flat_map(|one| &one.points);
    let ends =
        all().fold((f64::INFINITY, 0.0f64), |(low, high), (x, _)| (low.min(*x), high.max(*x)));
    let x =
        Axis { title: x.to_string(), low: ends.0 - 0.5, high: ends.1 + 0.5, ticks: Ticks::Whole };
    let layers = series.iter().flat_map(|one| {
        let of = |marks| Layer { look: one.look, marks };
        [of(Marks::Line(one.points.clone())), of(Marks::Points(one.points.clone()))]
    });
    Some(Chart {
        title: title.to_string(),
        description: series.iter().map(words).collect::<Vec<_>>().join("; "),
        legend: series.iter().map(|one| (one.look, one.name.clone())).collect(),
        notes: vec![note.to_string()],
        y: Axis::over("tokens per second", all().map(|(_, rate)| *rate)),
        layers: layers.collect(),
        shown: Vec::new(),
        table: table(&x.title, &series),
        x,
    })
}

fn words(one: &Series) -> String {
    let (Some(first), Some(last)) = (one.points.first(), one.points.last()) else {
        return String::new();
    };
    format!("{}: {:.1} at {}, {:.1} at {}", one.name, first.1, first.0, last.1, last.0)
}

fn table(what: &str, series: &[Series]) -> Grid {
    let row = |one: &Series, (x, rate): &Place| {
        vec![one.name.clone(), x.to_string(), format!("{rate:.1}")]
    };
    let rows = series.iter().flat_map(|one| one.points.iter().map(move |place| row(one, place)));
    Grid {
        title: format!("Tokens per second by {what}"),
        header: vec!["variant".to_string(), what.to_string(), "tokens/s".to_string()],
        rows: cut(rows.collect(), MOST_ROWS),
    }
}
