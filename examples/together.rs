//! Owns the measurement of what answering together saves: the same tasks one by one, in batches without and with the
//! prefix that they share, and choices of a question one by one and together; in turn, so that a machine's mood hits all.
//!
//! ```sh
//! cargo run --release --example together -- CONFIG VARIANT TASKS
//! ```

use perfgate::config::{self, WorkTree};
use perfgate::engine::{self, Engine};
use perfgate::problem::{Problem, Result};
use perfgate::protocol::Order;
use perfgate::record::Failure;
use perfgate::workload::{self, Ask};
use std::path::Path;
use std::time::Instant;

/// So many requests are answered together.
const BATCH: usize = 8;

/// How often each way is taken.
const TURNS: usize = 2;

/// A question: its prompt and its choices.
type Question<'a> = (&'a [u32], &'a [Vec<u32>]);

fn main() {
    if let Err(problem) = run() {
        eprintln!("error: {problem}");
        std::process::exit(2);
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, variant, count] = &arguments[..] else {
        return Err(Problem::new("usage: together CONFIG VARIANT TASKS"));
    };
    let mut setup = config::read(&WorkTree, Path::new(file), None)?;
    setup.config.keep(std::slice::from_ref(variant))?;
    let config = &setup.config;
    let Some(mut quality) = config.quality.clone() else {
        return Err(Problem::new("there are no graded tasks"));
    };
    quality.sample.limit = count.parse().ok();
    let graded = workload::prepare_graded(&quality, &config.workload, &config.variants)?;
    let (asks, shared) = (&graded.asks[0].1, &graded.shared[variant]);
    let sets: Vec<(Vec<Order>, usize)> = graded
        .sets
        .iter()
        .zip(shared)
        .map(|(set, shared)| (orders(&asks[set.clone()]), *shared))
        .collect();
    let questions: Vec<Question<'_>> = asks.iter().filter_map(question).collect();
    let mut engine = engine::load(&config.variants[0].load)
        .map_err(|error| Problem::new(error.failure.to_string()))?;
    report(engine.as_mut(), &sets, &questions).map_err(|failure| Problem::new(failure.to_string()))
}

fn orders(asks: &[Ask]) -> Vec<Order> {
    let order = |ask: &Ask| match ask {
        Ask::Generate(order) => Some(order.clone()),
        Ask::Choose { .. } => None,
    };
    let mut orders: Vec<Order> = asks.iter().filter_map(order).collect();
    // As the quality pass does it: rows that share calls wait for the longest prompt.
    orders.sort_by_key(|order| order.prompt.len());
    orders
}

fn question(ask: &Ask) -> Option<Question<'_>> {
    match ask {
        Ask::Choose { prompt, choices } => Some((prompt, choices)),
        Ask::Generate(_) => None,
    }
}

fn report(
    engine: &mut dyn Engine,
    sets: &[(Vec<Order>, usize)],
    questions: &[Question<'_>],
) -> std::result::Result<(), Failure> {
    let mut seconds = [0.0; 5];
    // The first turn warms up.
    for turn in 0..=TURNS {
        let mut took = [0.0; 5];
        let start = Instant::now();
        for order in sets.iter().flat_map(|(orders, _)| orders) {
            engine::generate(engine, order)?;
        }
        took[0] = start.elapsed().as_secs_f64();
        for (place, with_prefix) in [(1, false), (2, true)] {
            let start = Instant::now();
            for (orders, shared) in sets {
                for batch in orders.chunks(BATCH) {
                    let prefix = if with_prefix { *shared } else { 0 };
                    engine::generate_together(engine, batch, prefix)?;
                }
            }
            took[place] = start.elapsed().as_secs_f64();
        }
        let start = Instant::now();
        for (prompt, choices) in questions {
            for choice in *choices {
                engine::score(engine, prompt, std::slice::from_ref(choice))?;
            }
        }
        took[3] = start.elapsed().as_secs_f64();
        let start = Instant::now();
        for (prompt, choices) in questions {
            engine::score(engine, prompt, choices)?;
        }
        took[4] = start.elapsed().as_secs_f64();
        if turn > 0 {
            seconds.iter_mut().zip(took).for_each(|(sum, took)| *sum += took / TURNS as f64);
        }
    }
    let free: usize = sets.iter().map(|(orders, _)| orders.len()).sum();
    for (way, place, base) in [
        (format!("{free} tasks one by one"), 0, 0),
        (format!("{free} tasks in batches of {BATCH}, each prompt whole"), 1, 0),
        (format!("{free} tasks in batches of {BATCH} behind their prefix"), 2, 0),
        (format!("{} questions, choice by choice", questions.len()), 3, 3),
        (format!("{} questions, choices together", questions.len()), 4, 3),
    ] {
        println!("| {way} | {:.1} s | {:.2} |", seconds[place], seconds[base] / seconds[place]);
    }
    Ok(())
}
