//! Owns the fifth section: how much sooner a session ends that may end early, and what the gate was meant to find.

use crate::cells;
use crate::gate::{FALSE_ALARMS, Gate, Stop};
use crate::page::{self, Table, bold_if, percent};
use crate::trial::{Shares, Truth, trial};
use crate::world::{Noise, World};
use perfgate::record::Spending;
use perfgate::stats::detectable;

/// Standard deviations of a round's ratio.
const SPREADS: [f64; 3] = [0.03, 0.06, 0.10];

/// The power that a plan is sized for, at 5 points over the limit.
const POWER: f64 = 0.9;

/// True factors under a limit of 5%.
const FACTORS: [f64; 3] = [1.15, 1.10, 1.0];

/// Most of the rounds that may be used where nothing changed.
const MOST_OF_UNCHANGED: f64 = 0.85;

/// So many times the replications where a small excess is looked for.
const MORE: usize = 25;

/// The power that was aimed at, 10 points over the limit.
const AIM: f64 = 0.95;

#[derive(Debug, Clone, Copy)]
struct Cell {
    spread: f64,
    stop: Stop,
    rounds: usize,
}

pub fn section(replications: usize) -> String {
    [sized(replications), looks_alone(replications), aim(replications)].join("\n")
}

fn sized(replications: usize) -> String {
    let mut cells = Vec::new();
    for spread in SPREADS {
        cells.extend(Stop::ALL.map(|stop| Cell { spread, stop, rounds: planned(spread, stop) }));
    }
    let figures = cells::run(10, &cells, |cell, random| {
        let gates = [Gate::new(cell.stop, cell.rounds, 1)];
        let world = World::lockstep(Noise::Normal).with_spread(cell.spread);
        FACTORS.map(|factor| {
            let truth = Truth::first(1, factor, 1.05);
            trial(&world, cell.rounds, &gates, &truth, replications, random)[0]
        })
    });
    let mut table = Table::new(&[
        "sd of a round's ratio",
        "spending",
        "rounds planned",
        "looks after",
        "found: limit + 5 points",
        "rounds used at +15%",
        "at +10%",
        "unchanged",
        "left open at +15% / +10% / unchanged",
        "targets",
    ]);
    for (cell, figures) in cells.iter().zip(&figures) {
        let looks: Vec<String> =
            cell.stop.looks(cell.rounds).iter().map(usize::to_string).collect();
        let plan = [
            format!("{:.2}", cell.spread),
            cell.stop.title().to_string(),
            cell.rounds.to_string(),
            looks.join(", "),
            percent(figures[1].found),
        ];
        let used = figures.map(|of| percent(of.used));
        let open = page::several(&figures.map(|of| of.open));
        table.row(plan.into_iter().chain(used).chain([open, targets(cell, figures)]));
    }
    format!(
        "## Stopping early

One rule with a limit of 5%, normal noise scaled to a spread. A plan has the fewest rounds that find 5
points over the limit with a power of {} by the formula of perfgate's own forecast, at the level of
its last look; `never` is the plan without looks. Rounds used are the mean share of the plan.
Targets: at +15%, 10 points over the limit, no more than {} of the plan with O'Brien-Fleming and {}
with Pocock; unchanged no more than {}.

{table}",
        page::given(POWER),
        page::given(most_of_changed(Stop::USUAL)),
        page::given(most_of_changed(Stop::At(Spending::Pocock))),
        page::given(MOST_OF_UNCHANGED),
    )
}

/// The fewest rounds that the forecast would plan.
fn planned(spread: f64, stop: Stop) -> usize {
    let distance = (1.10f64 / 1.05).ln();
    let enough = |rounds: &usize| {
        let level = stop.levels(*rounds, FALSE_ALARMS).pop().expect("a plan has a last look");
        detectable(spread, *rounds, level, POWER) <= distance
    };
    (2..).find(enough).expect("some number of rounds is enough")
}

fn most_of_changed(stop: Stop) -> f64 {
    if stop == Stop::USUAL { 0.70 } else { 0.55 }
}

fn targets(cell: &Cell, figures: &[Shares; 3]) -> String {
    if cell.stop == Stop::Never {
        return "".to_string();
    }
    let first = cell.stop.looks(cell.rounds)[0] as f64 / cell.rounds as f64;
    let most = most_of_changed(cell.stop);
    let changed = match figures[0].used <= most {
        true => "met".to_string(),
        false if first > most => format!("missed: the first look is at {}", percent(first)),
        false => "missed".to_string(),
    };
    let unchanged = if figures[2].used <= MOST_OF_UNCHANGED { "met" } else { "missed" };
    format!("+15% {changed}; unchanged {unchanged}")
}

/// The level of plans under the very conditions that Student's t asks for, with more replications: an
/// excess is the looks', whose levels are those of normal statistics.
fn looks_alone(replications: usize) -> String {
    let replications = MORE * replications;
    let cells = [5, 10, 20, 50];
    let figures = cells::run(11, &cells, |rounds, random| {
        let gates = Stop::ALL.map(|stop| Gate::new(stop, *rounds, 1));
        let world = World::lockstep(Noise::Normal);
        trial(&world, *rounds, &gates, &Truth::at_limit(1, 1.0), replications, random)
    });
    let titles = Stop::ALL.map(Stop::title);
    let mut table = Table::new(&["rounds planned", titles[0], titles[1], titles[2]]);
    for (rounds, figures) in cells.iter().zip(&figures) {
        let alarms = figures.iter().map(|of| {
            bold_if(
                of.alarmed > page::most_alarms(replications),
                format!("{:.2}%", 100.0 * of.alarmed),
            )
        });
        table.row([rounds.to_string()].into_iter().chain(alarms));
    }
    let most = figures.iter().flatten().map(|of| of.alarmed).fold(0.0, f64::max);
    format!(
        "### What the looks do to the level

False alarms of one rule at its limit under normal noise, {replications} replications. The levels of
the looks are worked out for a normal statistic and used for Student's t, which is the usual
approximation; here is what it costs. The standard error is {}; bold is over 5% by three of them.
The most is {:.2}%.

{table}",
        page::points(page::standard_error(replications)),
        100.0 * most,
    )
}

fn aim(replications: usize) -> String {
    let mut cells = Vec::new();
    for noise in Noise::ALL {
        cells.extend([(5, 1), (12, 9)].map(|(rounds, rules)| (noise, rounds, rules)));
    }
    let figures = cells::run(12, &cells, |(noise, rounds, rules), random| {
        let gates = [Gate::new(Stop::USUAL, *rounds, *rules)];
        let truth = Truth::first(*rules, 1.15, 1.05);
        trial(&World::lockstep(*noise), *rounds, &gates, &truth, replications, random)[0]
    });
    let mut table =
        Table::new(&["noise", "rounds planned", "rules", "found", "rounds used", "the aim is"]);
    for ((noise, rounds, rules), of) in cells.into_iter().zip(figures) {
        let met = if of.found >= AIM { "met" } else { "missed" };
        let names = [noise.title().to_string(), rounds.to_string(), rules.to_string()];
        table.row(names.into_iter().chain([percent(of.found), percent(of.used), met.into()]));
    }
    format!(
        "### The aim: 10 points over the limit

To be found with a power of {} in 5 rounds for one rule, and in 12 where nine share the 5%, at a
spread of about 0.03. True factor 1.15 under a limit of 5%; looks in the manner of O'Brien and
Fleming.

{table}",
        page::given(AIM)
    )
}
