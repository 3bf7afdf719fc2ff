//! Owns the tables of what came of load, its figures as numbers, and how it was put on in words.

use super::{Grid, words};
use crate::load::{ALPHA, Keeps, Search, fewest_requests};
use crate::metric::Unit;
use crate::record::{ConcurrencyPlan, LoadKind, Part, Results, SustainedPlan};
use crate::stats::Interval;
use crate::verdict::{self, Block, Level, Searched, Sustained};
use serde::Serialize;
use std::collections::BTreeSet;

/// One number of a variant under load.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadFigure {
    /// The variant.
    pub variant: String,
    /// What it is, for programs, such as `tokens-per-second-streams-2`.
    pub id: String,
    /// The same in words.
    pub what: String,
    /// The unit of the number: `s`, `tok/s`, `req/s`, `bytes`, `ratio`.
    pub unit: &'static str,
    /// Whether more is better.
    pub more_is_better: bool,
    /// The value: a finite number.
    pub value: f64,
    /// The ends of its 95% interval, where it has one; a side of a P99 is one-sided.
    pub interval: Option<[f64; 2]>,
}

/// The tables of every session that was put under load: those that all reports show, and the rest.
pub(super) fn grids(results: &Results) -> (Vec<Grid>, Vec<Grid>) {
    let (mut shown, mut details) = (Vec::new(), Vec::new());
    for part in &results.parts {
        let sustained = verdict::sustained(part);
        let levels = by_variant(verdict::levels(part), &part.header.plan.variants);
        let plan = part.header.plan.load.as_ref();
        if let Some(plan) = plan.and_then(|plan| plan.sustained.as_ref())
            && !sustained.is_empty()
        {
            shown.push(of_sustained(plan, &sustained, &part.header.plan.reference));
            details.push(of_blocks(&sustained));
        }
        let of = |kind| levels.iter().filter(move |level| level.kind == kind).collect::<Vec<_>>();
        if let Some(plan) = plan.and_then(|plan| plan.concurrency.as_ref()) {
            shown.extend(closed(&of(LoadKind::Closed)));
            shown.extend(open(plan, "Open loop", &of(LoadKind::Open)));
            shown.extend(searches(plan, &verdict::searches(part)));
            details.extend(open(plan, "Probes of the search", &of(LoadKind::Probe)));
            details.extend(tails(&levels));
        }
    }
    (shown, details)
}

/// The levels of a variant beside each other: they were made in turns.
fn by_variant(mut levels: Vec<Level>, variants: &[String]) -> Vec<Level> {
    levels.sort_by_key(|level| variants.iter().position(|name| *name == level.variant));
    levels
}

/// What stands in a column of a variant.
type Cell = fn(&Sustained) -> String;

fn of_sustained(plan: &SustainedPlan, all: &[Sustained], reference: &str) -> Grid {
    let beside = format!("drift beside {reference}");
    let rows: [(&str, Cell); 8] = [
        ("requests", requests),
        ("tokens/s, first tenth", |one| tokens(one.first)),
        ("tokens/s, last tenth", |one| tokens(one.last)),
        ("drift", |one| change(one.drift)),
        (&beside, |one| change(one.beside)),
        ("stalled requests", stalls),
        ("memory before", |one| memory(one.memory.map(|[before, _]| before))),
        ("memory after", memory_after),
    ];
    let row = |(name, cell): &(&str, Cell)| {
        std::iter::once((*name).to_string()).chain(all.iter().map(cell)).collect()
    };
    let ended = all.iter().any(|one| one.failure.is_some());
    let end = |one: &Sustained| {
        one.failure.as_ref().map_or("-".to_string(), |failure| {
            let answered = one.blocks.iter().filter(|block| block.tokens > 0).count();
            format!("after block {answered}: {}", failure.class.title())
        })
    };
    let ended = ended
        .then(|| std::iter::once("ended early".to_string()).chain(all.iter().map(end)).collect());
    Grid {
        title: format!("Sustained load, {} of each", time(plan.seconds())),
        header: head("metric", all),
        rows: rows.iter().map(row).chain(ended).collect(),
    }
}

fn head(first: &str, all: &[Sustained]) -> Vec<String> {
    std::iter::once(first.to_string()).chain(all.iter().map(|one| one.variant.clone())).collect()
}

fn requests(one: &Sustained) -> String {
    with_failures(one.requests, one.failed)
}

fn with_failures(requests: usize, failed: usize) -> String {
    match failed {
        0 => requests.to_string(),
        failed => format!("{requests} ({failed} failed)"),
    }
}

fn tokens(rate: Option<f64>) -> String {
    rate.map_or("-".to_string(), |rate| format!("{rate:.1}"))
}

fn change(interval: Option<Interval>) -> String {
    interval.map_or("-".to_string(), |Interval { point, low, high }| {
        format!("{} ({} to {})", words::percent(point), words::percent(low), words::percent(high))
    })
}

fn stalls(one: &Sustained) -> String {
    match one.stalls {
        (0, _) => "0".to_string(),
        (count, worst) => format!("{count}, the worst {worst:.1} times as long"),
    }
}

fn memory(bytes: Option<u64>) -> String {
    bytes.map_or("not available".to_string(), |bytes| Unit::Bytes.format(bytes as f64))
}

fn memory_after(one: &Sustained) -> String {
    let Some([before, after]) = one.memory else { return memory(None) };
    let growth = (after as f64 - before as f64) / f64::from(1 << 20);
    format!("{} ({growth:+.1} MiB)", Unit::Bytes.format(after as f64))
}

/// Every block: its tokens per second, and the memory after it.
fn of_blocks(all: &[Sustained]) -> Grid {
    let numbers = all.iter().flat_map(|one| &one.blocks).map(|block| block.number);
    let numbers: BTreeSet<u32> = numbers.collect();
    let cell = |number: u32| {
        move |one: &Sustained| {
            let block = one.blocks.iter().find(|block| block.number == number);
            block.map_or("-".to_string(), |block: &Block| {
                let rate = block.rate().map_or("none".to_string(), |rate| format!("{rate:.1}"));
                format!("{rate}, {}", memory(block.memory))
            })
        }
    };
    let row = |number: u32| {
        std::iter::once(number.to_string()).chain(all.iter().map(cell(number))).collect()
    };
    Grid {
        title: "Sustained load by block: tokens/s, and memory after it".to_string(),
        header: head("block", all),
        rows: numbers.into_iter().map(row).collect(),
    }
}

fn closed(levels: &[&Level]) -> Option<Grid> {
    let header = ["variant", "streams", "tokens/s", "requests/s", "P50", "P90", "P99", "requests"];
    let row = |level: &&Level| {
        let [p50, p90] = quantiles(level);
        vec![
            level.variant.clone(),
            streams(level),
            tokens(level.tokens_per_second),
            level.requests_per_second.map_or("-".to_string(), rate),
            p50,
            p90,
            p99(level),
            requests_of(level),
        ]
    };
    grid("Closed loop: requests at once".to_string(), &header, levels.iter().map(row).collect())
}

/// How many were asked for, and what the engine made of it.
fn streams(level: &Level) -> String {
    match &level.engine_streams {
        Some(made) if *made != level.streams.to_string() => {
            format!("{} (engine: {made})", level.streams)
        }
        _ => level.streams.to_string(),
    }
}

fn grid(title: String, header: &[&str], rows: Vec<Vec<String>>) -> Option<Grid> {
    let header = header.iter().map(ToString::to_string).collect();
    (!rows.is_empty()).then_some(Grid { title, header, rows })
}

fn open(plan: &ConcurrencyPlan, what: &str, levels: &[&Level]) -> Option<Grid> {
    let mut header = vec!["variant", "rate", "waiting", "service", "P50", "P90", "P99"];
    header.extend(plan.p99.map(|_| "kept"));
    header.push("requests");
    let row = |level: &&Level| {
        let mean = |value: Option<f64>| value.map_or("-".to_string(), seconds);
        let [p50, p90] = quantiles(level);
        let mut cells = vec![
            level.variant.clone(),
            level.rate.map_or("-".to_string(), per_second),
            mean(level.waiting),
            mean(level.service),
            p50,
            p90,
            p99(level),
        ];
        cells.extend(plan.p99.map(|_| kept(level).to_string()));
        cells.push(requests_of(level));
        cells
    };
    let limit = plan.p99.map(|limit| format!("; P99 max {}", seconds(limit))).unwrap_or_default();
    let title = format!("{what}: arrivals by chance, {} served at once{limit}", plan.servers);
    grid(title, &header, levels.iter().map(row).collect())
}

/// What each P99 rests on.
fn tails(levels: &[Level]) -> Option<Grid> {
    let header = ["variant", "load", "requests", "design effect", "as independent", "P99"];
    let row = |level: &Level| {
        let load = match level.rate {
            Some(rate) => per_second(rate),
            None => format!("{} at once", level.streams),
        };
        vec![
            level.variant.clone(),
            load,
            level.requests.to_string(),
            format!("{:.1}", level.effect),
            format!("{:.0}", level.requests as f64 / level.effect),
            p99(level),
        ]
    };
    let known = levels.iter().filter(|level| level.latency.is_some());
    grid("What each P99 rests on".to_string(), &header, known.map(row).collect())
}

/// A duration; one of a failed request has no end.
fn seconds(value: f64) -> String {
    if value.is_finite() { Unit::Seconds.format(value) } else { "∞".to_string() }
}

fn rate(rate: f64) -> String {
    format!("{rate:.2}")
}

fn per_second(rate: f64) -> String {
    format!("{rate:.2}/s")
}

fn quantiles(level: &Level) -> [String; 2] {
    level.latency.map_or(["-", "-"].map(str::to_string), |[p50, p90, _]| [p50, p90].map(seconds))
}

/// A P99 with its bounds, each one-sided; without an upper one that it is over the lower: a value that stands for
/// more than it can would be taken for the tail.
fn p99(level: &Level) -> String {
    match (level.latency, level.p99_bounds) {
        (Some([.., p99]), [Some(low), Some(high)]) => {
            let (low, high) = (seconds(low), seconds(high));
            // One unit is enough for both.
            let unit = high.split_once(' ').map(|(_, unit)| format!(" {unit}"));
            let low = unit.and_then(|unit| low.strip_suffix(&unit)).unwrap_or(&low);
            format!("{} ({low} to {high})", seconds(p99))
        }
        (Some(_), [Some(low), None]) => format!("over {}", seconds(low)),
        _ => "not known".to_string(),
    }
}

/// How many there were, how many of them failed, and how many were over the limit.
fn requests_of(level: &Level) -> String {
    let late = level.late.filter(|(late, ..)| *late > 0 && level.rate.is_some());
    let late = late.map(|(late, ..)| format!("{late} late"));
    let failed = (level.failed > 0).then(|| format!("{} failed", level.failed));
    let aside: Vec<String> = late.into_iter().chain(failed).collect();
    match aside.is_empty() {
        true => level.requests.to_string(),
        false => format!("{} ({})", level.requests, aside.join(", ")),
    }
}

fn kept(level: &Level) -> &'static str {
    match (level.late, &level.failure) {
        (_, Some(failure)) => failure.class.title(),
        (Some((_, _, Keeps::Yes)), _) => "yes",
        (Some((_, _, Keeps::No)), _) => "no",
        (Some((_, _, Keeps::Unknown)), _) => "unknown",
        (None, None) => "-",
    }
}

fn searches(plan: &ConcurrencyPlan, all: &[Searched]) -> Option<Grid> {
    let limit = plan.p99?;
    let header = ["variant", "closed loop", "kept at", "not kept at", "probes", "ended"];
    let row = |one: &Searched| {
        let known = |value: Option<String>| value.unwrap_or("-".to_string());
        let search = one.search.as_ref();
        let shown = search.map(|search| search.shown).filter(|rate| *rate > 0.0);
        vec![
            one.variant.clone(),
            known(one.capacity.map(per_second)),
            known(shown.map(per_second)),
            known(search.filter(|search| Some(search.not_shown) < one.capacity).map(not_kept)),
            search.map_or(0, |search| search.probes).to_string(),
            search.map_or("the closed loop came to nothing".to_string(), end),
        ]
    };
    let title = format!("Highest arrival rate with a P99 of at most {}", seconds(limit));
    grid(title, &header, all.iter().map(row).collect())
}

fn not_kept(search: &Search) -> String {
    let unproven = if search.refuted { "" } else { " (not shown)" };
    format!("{:.2}/s{unproven}", search.not_shown)
}

/// Why a search went no further.
fn end(search: &Search) -> String {
    let probe = search.planned();
    match () {
        () if search.is_near() => "near enough".to_string(),
        () if probe.seconds() > search.seconds => format!(
            "{} left, and the next probe, of {} requests, takes {}",
            time(search.seconds.max(0.0)),
            probe.requests,
            time(probe.seconds())
        ),
        () => format!("after {} probes", search.probes),
    }
}

/// A time for a person.
fn time(seconds: f64) -> String {
    match seconds {
        _ if seconds < 99.5 => format!("{} s", words::plain((seconds * 10.0).round() / 10.0)),
        _ => format!("{} min", words::plain((seconds / 6.0).round() / 10.0)),
    }
}

/// How load was put on, in words.
pub(super) fn method(part: &Part) -> Vec<String> {
    let Some(plan) = &part.header.plan.load else { return Vec::new() };
    let mut lines = Vec::new();
    if let Some(plan) = plan.sustained.as_ref().filter(|_| !verdict::sustained(part).is_empty()) {
        lines.push(format!(
            "Sustained load: {}, one request behind the other, by turns in {} blocks of at least {} each, \
             all processes alive; tokens/s count all that came, prefill in the time. Drift: a straight line \
             through the logs of the blocks over the whole load; its 95% interval is taken from the slowest waves \
             beside it, so that blocks may hang together. A stalled request takes over three times its task's median",
            plan.variants.join(", "),
            plan.blocks,
            time(plan.block_seconds)
        ));
    }
    if let Some(plan) = plan.concurrency.as_ref().filter(|_| !verdict::levels(part).is_empty()) {
        lines.push(of_concurrency(plan));
    }
    lines
}

fn of_concurrency(plan: &ConcurrencyPlan) -> String {
    let mut text = format!(
        "Concurrency: a fresh process of a variant for each load, set up for so many streams and warmed, {} \
         each; latency from arrival to last token",
        time(plan.seconds)
    );
    if !plan.rates.is_empty() || plan.search_seconds.is_some() {
        text += &format!(
            "; open loops: Poisson arrivals, drawn beforehand from seed {}, the same for each variant, and a \
             request that has to wait is charged from its arrival",
            plan.seed
        );
    }
    text += &format!(
        ". P99 with bounds of {}% on each side by order statistics, counts divided by a design effect, since who \
         comes behind a late request is late too: an upper one, and that a limit is kept, takes {} requests at \
         least, none of them late; with fewer the tail is not known",
        (1.0 - ALPHA) * 100.0,
        fewest_requests()
    );
    text
}

/// The figures of all sessions, variants and levels that are finite numbers.
pub(super) fn figures(results: &Results) -> Vec<LoadFigure> {
    let of_part = |part: &Part| {
        let sustained: Vec<LoadFigure> =
            verdict::sustained(part).iter().flat_map(figures_of_sustained).collect();
        let levels = verdict::levels(part);
        let of_levels = levels.iter().filter(|level| level.kind != LoadKind::Probe);
        let levels: Vec<LoadFigure> = of_levels.flat_map(figures_of_level).collect();
        let searches: Vec<LoadFigure> =
            verdict::searches(part).iter().filter_map(figure_of_search).collect();
        [sustained, levels, searches].concat()
    };
    results.parts.iter().flat_map(of_part).filter(|figure| figure.value.is_finite()).collect()
}

fn figures_of_sustained(one: &Sustained) -> Vec<LoadFigure> {
    let figure = |id: &str, what: &str, (unit, more_is_better), value: Option<f64>| {
        Some(LoadFigure {
            variant: one.variant.clone(),
            id: format!("sustained-{id}"),
            what: format!("sustained load: {what}"),
            unit,
            more_is_better,
            value: value?,
            interval: None,
        })
    };
    let drift = figure("drift", "drift", ("ratio", true), one.drift.map(|drift| drift.point));
    let drift = drift.map(|figure| LoadFigure {
        interval: one.drift.map(|Interval { low, high, .. }| [low, high]),
        ..figure
    });
    let [before, after] = one.memory.map_or([None; 2], |both| both.map(|bytes| Some(bytes as f64)));
    let all = [
        figure("tokens-per-second-first", "tokens/s, first tenth", ("tok/s", true), one.first),
        figure("tokens-per-second-last", "tokens/s, last tenth", ("tok/s", true), one.last),
        drift,
        figure("memory-before", "memory before", ("bytes", false), before),
        figure("memory-after", "memory after", ("bytes", false), after),
    ];
    all.into_iter().flatten().collect()
}

fn figures_of_level(level: &Level) -> Vec<LoadFigure> {
    let (id, words) = match level.rate {
        Some(rate) => (format!("arrivals-{rate}"), format!("{rate} arrivals/s")),
        None => (format!("streams-{}", level.streams), format!("{} streams", level.streams)),
    };
    let figure = |name: &str, what: &str, (unit, more_is_better), value: Option<f64>| {
        Some(LoadFigure {
            variant: level.variant.clone(),
            id: format!("{name}-{id}"),
            what: format!("{what}, {words}"),
            unit,
            more_is_better,
            value: value?,
            interval: None,
        })
    };
    let [p50, p90, p99] = level.latency.map_or([None; 3], |all| all.map(Some));
    let (low, high) = (level.p99_bounds[0], level.p99_bounds[1]);
    let ends = low.zip(high).filter(|(_, high)| high.is_finite()).map(|(low, high)| [low, high]);
    let p99 = figure("latency-p99", "latency P99", ("s", false), p99);
    let waiting = level.waiting.filter(|_| level.rate.is_some());
    let all = [
        figure("tokens-per-second", "tokens/s", ("tok/s", true), level.tokens_per_second),
        figure("requests-per-second", "requests/s", ("req/s", true), level.requests_per_second),
        figure("latency-p50", "latency P50", ("s", false), p50),
        figure("latency-p90", "latency P90", ("s", false), p90),
        p99.map(|figure| LoadFigure { interval: ends, ..figure }),
        figure("waiting-mean", "waiting", ("s", false), waiting),
    ];
    all.into_iter().flatten().collect()
}

fn figure_of_search(one: &Searched) -> Option<LoadFigure> {
    let shown = one.search.as_ref().map(|search| search.shown).filter(|rate| *rate > 0.0)?;
    Some(LoadFigure {
        variant: one.variant.clone(),
        id: "arrivals-kept".to_string(),
        what: format!("highest arrival rate with a P99 of at most {}", seconds(one.limit)),
        unit: "req/s",
        more_is_better: true,
        value: shown,
        interval: None,
    })
}
