//! Owns the simulation of change points: series whose truth is known, read by the library's own function, and
//! how often what it says is true. `scripts/evidence.sh change-points` keeps its page.
//!
//! It prints Markdown, the same on any machine.

use perfgate::stats::{self, CHANGE_LEVEL, ChangePoint};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, StudentT};

/// Series of each cell.
const REPLICATIONS: usize = 4000;

/// The standard deviation of a session's log.
const NOISE: f64 = 0.02;

const SEED: u64 = 20_260;

/// Sessions of a series.
const LENGTHS: [usize; 6] = [4, 6, 10, 20, 30, 100];

fn main() {
    println!("{}", head());
    println!("## No change\n\nHow many series have a change point that is none.\n");
    print!("{}", alarms());
    println!("\n## A step of 5%\n\n{}\n", STEPS);
    print!("{}", steps());
    println!("\n## An outlier, and slow drift\n\n{}\n", OTHERS);
    print!("{}", others());
}

const STEPS: &str = "Found: there is a change point within one session of the true one. Elsewhere: \
there is one further off than three sessions. Size: the mean error of the size that is told, where it is found.";

const OTHERS: &str = "An outlier is one session in the middle that is 20% higher; it is not to be a change point. \
Drift is 2% a session, which no two sessions tell: how many series have a change point at all.";

fn head() -> String {
    let percent = NOISE * 100.0;
    let error = (0.05f64 * 0.95 / REPLICATIONS as f64).sqrt() * 100.0;
    format!(
        "# Change points on series of known truth

Made by `scripts/evidence.sh change-points`, which runs `cargo run --release --locked --example change_points`:
{REPLICATIONS} series of each cell, seed {SEED}; perfgate {version}. A value is the log of a session's metric, with
independent noise of {percent}%. The method is E-divisive with Student's t as in Apache Otava; its p value is
{CHANGE_LEVEL}, Otava's own. The standard error of a share near 5% is {error:.1} points.
",
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// Draws the noise of one session.
type Noise = Box<dyn Fn(&mut ChaCha8Rng) -> f64>;

/// Noise of the same standard deviation, by its name.
fn noises() -> [(&'static str, Noise); 2] {
    let normal = Normal::new(0.0, NOISE).expect("a deviation");
    let heavy = StudentT::new(3.0).expect("degrees of freedom");
    // Student's t with 3 degrees of freedom has a variance of 3.
    let scale = NOISE / 3f64.sqrt();
    [
        ("normal", Box::new(move |random| normal.sample(random))),
        ("heavy-tailed (Student's t, 3)", Box::new(move |random| scale * heavy.sample(random))),
    ]
}

fn alarms() -> String {
    let levels = [CHANGE_LEVEL, 0.003, 0.01];
    let mut table = row(std::iter::once("noise, p value".to_string())
        .chain(LENGTHS.map(|length| format!("{length} sessions"))));
    table += &rule(LENGTHS.len() + 1);
    for (name, noise) in noises() {
        for level in levels {
            let cells = LENGTHS.map(|length| {
                share(&series(length, &noise), |values| {
                    !stats::change_points(values, level).is_empty()
                })
            });
            table += &row(std::iter::once(format!("{name}, {level}")).chain(cells));
        }
    }
    table
}

fn steps() -> String {
    let mut table =
        row(["sessions", "step before", "found", "elsewhere", "size"].map(str::to_string));
    table += &rule(5);
    let [(_, noise), _] = noises();
    for length in &LENGTHS[1..] {
        for (what, at) in [("the middle", length / 2), ("the last three", length - 3)] {
            let step = 1.05f64.ln();
            let mut all = series(*length, &noise);
            all.iter_mut().flat_map(|values| &mut values[at..]).for_each(|value| *value += step);
            let near = |point: &ChangePoint| point.at.abs_diff(at) <= 1;
            let found: Vec<Vec<ChangePoint>> =
                all.iter().map(|values| stats::change_points(values, CHANGE_LEVEL)).collect();
            let errors: Vec<f64> = found
                .iter()
                .filter_map(|points| points.iter().find(|point| near(point)))
                .map(|point| (point.after - point.before - step).abs())
                .collect();
            table += &row([
                length.to_string(),
                what.to_string(),
                share(&found, |points| points.iter().any(near)),
                share(&found, |points| points.iter().any(|point| point.at.abs_diff(at) > 3)),
                format!("±{:.1} points", stats::mean(&errors) * 100.0),
            ]);
        }
    }
    table
}

fn others() -> String {
    let mut table = row(["sessions", "outlier", "drift"].map(str::to_string));
    table += &rule(3);
    let [(_, noise), _] = noises();
    for length in &LENGTHS[1..] {
        let mut outlier = series(*length, &noise);
        outlier.iter_mut().for_each(|values| values[length / 2] += 1.2f64.ln());
        let mut drift = series(*length, &noise);
        drift
            .iter_mut()
            .flat_map(|values| values.iter_mut().enumerate())
            .for_each(|(index, value)| *value += index as f64 * 1.02f64.ln());
        let any = |values: &Vec<f64>| !stats::change_points(values, CHANGE_LEVEL).is_empty();
        table += &row([length.to_string(), share(&outlier, any), share(&drift, any)]);
    }
    table
}

fn series(length: usize, noise: &dyn Fn(&mut ChaCha8Rng) -> f64) -> Vec<Vec<f64>> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED + length as u64);
    (0..REPLICATIONS).map(|_| (0..length).map(|_| noise(&mut random)).collect()).collect()
}

fn share<T>(all: &[T], holds: impl Fn(&T) -> bool) -> String {
    let count = all.iter().filter(|one| holds(one)).count();
    format!("{:.1}%", 100.0 * count as f64 / all.len() as f64)
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    format!("| {} |\n", cells.into_iter().collect::<Vec<_>>().join(" | "))
}

fn rule(columns: usize) -> String {
    format!("|{}\n", " --- |".repeat(columns))
}
