//! Owns the data and perfgate's side of the speed figures: see `scripts/evidence_speed.py`.
//!
//! `speed bootstrap FOLDER` writes 100,000 values of two variants in 20 rounds and times 10,000 resamples
//! of the log ratio of their P99; `speed results FOLDER` writes two files of results of 100,000 requests each.

use perfgate::record::{Phase, Results, Round};
use perfgate::stats::{self, RESAMPLES, Ranked};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

const ROUNDS: usize = 20;
const OF_ROUND: usize = 5_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, what, folder] = &arguments[..] else {
        return Err("usage: speed bootstrap|results FOLDER".into());
    };
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder)?;
    match what.as_str() {
        "bootstrap" => bootstrap(folder),
        "results" => results(folder),
        other => Err(format!("there is no '{other}'").into()),
    }
}

/// Latencies by round: `[rounds][requests]`.
fn latencies(seed: u64) -> Vec<Vec<f64>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut round = || {
        let mood: f64 = random.random_range(0.9..1.1);
        (0..OF_ROUND).map(|_| mood * (0.3 - 0.05 * random.random::<f64>().ln())).collect()
    };
    (0..ROUNDS).map(|_| round()).collect()
}

fn bootstrap(folder: &Path) -> Result<(), Box<dyn Error>> {
    let sides = [latencies(1), latencies(2)];
    for (name, side) in ["now", "base"].iter().zip(&sides) {
        let bytes: Vec<u8> = side.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(folder.join(format!("{name}.f64")), bytes)?;
    }
    let start = Instant::now();
    let [now, base] = sides.map(|side| Ranked::new(&side));
    let (point, spread) = stats::bootstrap(ROUNDS, RESAMPLES, 99, |times| {
        (now.quantile(times, 0.99) / base.quantile(times, 0.99)).ln()
    });
    let seconds = start.elapsed().as_secs_f64();
    println!("{}", serde_json::json!({ "seconds": seconds, "point": point, "spread": spread }));
    Ok(())
}

/// Two files with as many requests, made of the repository's own example by repeating its requests.
fn results(folder: &Path) -> Result<(), Box<dyn Error>> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/results-v2.json");
    let mut results = perfgate::session::read_results(&example)?;
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for name in ["old.json", "new.json"] {
        enlarge(&mut results, &mut random);
        std::fs::write(folder.join(name), serde_json::to_string(&results)?)?;
    }
    println!("{}", requests(&results));
    Ok(())
}

fn requests(results: &Results) -> usize {
    results.parts[0].rounds.iter().map(|round| round.requests.len()).sum()
}

/// Gives the one session 20 rounds of 5,000 timed requests of 8 tokens over all variants.
fn enlarge(results: &mut Results, random: &mut ChaCha8Rng) {
    let part = &mut results.parts[0];
    let plan = &mut part.header.plan;
    let tasks = OF_ROUND / plan.variants.len();
    plan.tasks = (0..tasks).map(|task| format!("task-{task}")).collect();
    plan.rounds = ROUNDS as u32;
    let first: Round = part.rounds[0].clone();
    let timed = |variant: &str| {
        let of = |r: &&perfgate::record::Request| r.phase == Phase::Timed && r.variant == variant;
        first.requests.iter().find(of).cloned().expect("the example has timed requests")
    };
    let templates: Vec<_> = plan.variants.iter().map(|variant| timed(variant)).collect();
    let mut round = |number: u32| {
        let mut round = first.clone();
        round.round = number;
        round.workers.iter_mut().for_each(|worker| worker.round = number);
        round.requests.clear();
        for task in &plan.tasks {
            for template in &templates {
                let mut request = template.clone();
                (request.round, request.task) = (number, task.clone());
                let step: u64 = random.random_range(9_000_000..11_000_000);
                request.token_ns = (1..=8).map(|token| token * step).collect();
                request.tokens = (100..108).collect();
                round.requests.push(request);
            }
        }
        round
    };
    part.rounds = (1..=ROUNDS as u32).map(&mut round).collect();
}
