//! Owns the simulation of the statistics: data whose truth is known, judged by the library's own functions,
//! and how often what they say is true. `scripts/evidence.sh simulation` keeps its page.
//!
//! `simulate [REPLICATIONS]` prints Markdown, the same on any number of processors; `simulate REPLICATIONS counts`,
//! and `… documents`, these sections alone.

mod alarms;
mod alternatives;
mod cells;
mod counts;
mod coverage;
mod documents;
mod gate;
mod page;
mod stopping;
mod tails;
mod trial;
mod world;
mod yardsticks;

use std::error::Error;

/// Replications of a cell unless an argument says otherwise.
const REPLICATIONS: usize = 4000;

/// With fewer, three standard errors of a share of 5% are 1.5 points, which would hide what is looked for.
const FEWEST: usize = 2000;

fn main() -> Result<(), Box<dyn Error>> {
    let replications = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => REPLICATIONS,
    };
    if replications < FEWEST {
        return Err(format!("{replications} replications are too few; at least {FEWEST}").into());
    }
    let alone: Option<fn(usize) -> String> = match std::env::args().nth(2).as_deref() {
        Some("counts") => Some(counts::section),
        Some("documents") => Some(documents::section),
        _ => None,
    };
    if let Some(section) = alone {
        print!("{}", section(replications));
        return Ok(());
    }
    let sections = [
        head(replications),
        world::section(),
        alarms::section(replications),
        yardsticks::section(replications),
        coverage::section(replications),
        tails::section(replications),
        alternatives::section(replications),
        stopping::section(replications),
        documents::section(replications),
        counts::section(replications),
    ];
    print!("{}", sections.join("\n"));
    Ok(())
}

fn head(replications: usize) -> String {
    format!(
        "# The statistics on data of known truth

Made by `scripts/evidence.sh simulation`, which runs
`cargo run --release --locked --example simulate`: {replications} replications of each cell, seed
{seed}, each cell on a ChaCha8 stream of its own; perfgate {version}. Bounds, levels, looks and
Holm's procedure are the library's own functions, which judge real sessions too; the loop over the
looks is written out again.

The standard error of a share is {tail} near 5% and 95%, and {middle} near 50%. \"Over 5%\" means
over by more than three standard errors, that is over {most}; a share that is 5% in truth gets
there once in about 700 cells.
",
        seed = cells::SEED,
        version = env!("CARGO_PKG_VERSION"),
        tail = page::points(page::standard_error(replications)),
        middle = page::points((0.25 / replications as f64).sqrt()),
        most = page::percent(page::most_alarms(replications)),
    )
}
