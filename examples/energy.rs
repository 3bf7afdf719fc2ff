//! Owns the measurement of what reading the energy counters costs, for docs/evidence/energy.md: readings of a made-up
//! machine of two sockets against the requests of real models, in turn in one session. See `scripts/evidence.sh energy`.
//!
//! ```sh
//! cargo run --release --example energy -- CONFIG PERFGATE ROUNDS
//! ```
//!
//! CONFIG is a `perfgate.toml`, PERFGATE the program that serves as the worker. Prints a page in Markdown.

use perfgate::config::{self, WorkTree};
use perfgate::problem::{Problem, Result};
use perfgate::record::{Entry, Part, Phase};
use perfgate::runner::{EnergyCounter, Heat};
use perfgate::session::{self, Ended, Journal, Observer};
use perfgate::stats;
use perfgate::worker::Interrupt;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

/// Readings that are timed together, behind each round.
const READINGS: u32 = 2_000;

/// The share of a request's time that readings may take.
const MOST: f64 = 0.005;

const SOCKETS: u32 = 2;

fn main() {
    if let Err(problem) = run() {
        eprintln!("error: {problem}");
        std::process::exit(2);
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, program, rounds] = &arguments[..] else {
        return Err(Problem::new("usage: energy CONFIG PERFGATE ROUNDS"));
    };
    let shared_memory = Path::new("/dev/shm");
    if !shared_memory.is_dir() {
        return Err(Problem::new(
            "/dev/shm is no folder, and the made-up machine belongs into memory",
        ));
    }
    let folder = tempfile::tempdir_in(shared_memory)
        .map_err(|error| Problem::io(shared_memory, "make a folder", &error))?;
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u32;
    let root = folder.path();
    make_machine(root, cpus).map_err(|error| Problem::io(root, "make up a machine", &error))?;

    let mut setup = config::read(&WorkTree, Path::new(config), None)?;
    (setup.config.quality, setup.config.fidelity) = (None, None);
    setup.config.rounds =
        rounds.parse().map_err(|_| Problem::new(format!("'{rounds}' is no number of rounds")))?;
    let prepared = session::prepare(setup, root, Path::new(program))?;
    let Some(energy) = prepared.energy.clone() else {
        return Err(Problem::new("the made-up machine has no counters"));
    };
    let mut timer = Timer { energy, heat: prepared.heat.clone(), blocks: Vec::new() };
    let mut journal = Journal::create(&root.join("session"), &prepared.header.session)?;
    let interrupt = Interrupt::default();
    let ended =
        session::run(&prepared, &mut journal, program.into(), &interrupt, &mut timer, None)?;
    let Ended::Complete(part) = ended else { return Err(Problem::new("it was interrupted")) };
    print(&timer, &part, cpus)
}

/// Two sockets with memory, and all CPUs with throttle counters and frequencies.
fn make_machine(root: &Path, cpus: u32) -> std::io::Result<()> {
    let put = |file: String, text: &str| -> std::io::Result<()> {
        let file = root.join(file);
        std::fs::create_dir_all(file.parent().unwrap_or(root))?;
        std::fs::write(file, format!("{text}\n"))
    };
    for socket in 0..SOCKETS {
        let package = format!("package-{socket}");
        for (zone, name) in [(String::new(), package.as_str()), (":0".to_string(), "dram")] {
            let folder = format!("sys/class/powercap/intel-rapl:{socket}{zone}");
            put(format!("{folder}/name"), name)?;
            put(format!("{folder}/max_energy_range_uj"), "262143328850")?;
            put(format!("{folder}/energy_uj"), "123456789012")?;
        }
    }
    for cpu in 0..cpus {
        let folder = format!("sys/devices/system/cpu/cpu{cpu}");
        put(format!("{folder}/cpufreq/scaling_cur_freq"), "2900000")?;
        for of in ["core", "package"] {
            put(format!("{folder}/thermal_throttle/{of}_throttle_count"), "0")?;
        }
    }
    // What a session looks at beside.
    for file in ["proc/cpuinfo", "proc/meminfo"] {
        put(file.to_string(), &std::fs::read_to_string(Path::new("/").join(file))?)?;
    }
    Ok(())
}

/// Times readings behind each round.
struct Timer {
    energy: EnergyCounter,
    heat: Heat,
    /// Seconds of one reading of the energy counters, of all frequencies, and of the throttle counters.
    blocks: Vec<[f64; 3]>,
}

impl Observer for Timer {
    fn entry(&mut self, _: &Entry) {}

    fn round_done(&mut self, _: u32, _: Option<(usize, usize)>) {
        self.blocks.push([
            seconds(|| drop(black_box(self.energy.read()))),
            seconds(|| drop(black_box(self.heat.khz()))),
            seconds(|| drop(black_box(self.heat.since_boot()))),
        ]);
    }
}

fn seconds(read: impl Fn()) -> f64 {
    let start = Instant::now();
    (0..READINGS).for_each(|_| read());
    start.elapsed().as_secs_f64() / f64::from(READINGS)
}

fn print(timer: &Timer, part: &Part, cpus: u32) -> Result<()> {
    let of = |place: usize| timer.blocks.iter().map(|block| block[place]).collect::<Vec<f64>>();
    let median = |values: &[f64]| stats::quantile(values, 0.5);
    let largest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let us = |seconds: f64| format!("{:.1} µs", seconds * 1e6);
    let (energy, frequency, throttling) = (of(0), of(1), of(2));
    println!("| reading | median | largest |\n|---|---|---|");
    for (what, values) in [
        (format!("energy: {} counters", 2 * SOCKETS), &energy),
        (format!("frequency: {cpus} CPUs"), &frequency),
        (format!("throttling: {} counters", 2 * cpus), &throttling),
    ] {
        println!("| {what} | {} | {} |", us(median(values)), us(largest(values)));
    }
    println!(
        "\n| variant | requests | median request | two readings over it, median | largest reading over the shortest request |"
    );
    println!("|---|---|---|---|---|");
    let mut worst: f64 = 0.0;
    for variant in &part.header.plan.variants {
        let rounds = part.complete();
        let requests = rounds.iter().flat_map(|round| &round.requests);
        let timed = requests.filter(|r| r.phase == Phase::Timed && r.variant == *variant);
        let times: Vec<f64> =
            timed.filter_map(|r| Some(*r.token_ns.last()? as f64 * 1e-9)).collect();
        if times.is_empty() {
            return Err(Problem::new(format!("no request of '{variant}' succeeded")));
        }
        let shortest = times.iter().copied().fold(f64::INFINITY, f64::min);
        let usual = 2.0 * median(&energy) / median(&times);
        let most = 2.0 * largest(&energy) / shortest;
        worst = worst.max(most);
        let percent = |share: f64| format!("{:.4}%", share * 100.0);
        println!(
            "| {variant} | {} | {:.0} ms | {} | {} |",
            times.len(),
            median(&times) * 1e3,
            percent(usual),
            percent(most)
        );
    }
    let word = if worst < MOST { "under" } else { "NOT under" };
    println!(
        "\nThe largest of these shares is {:.4}%, {word} the {}% that readings may cost.",
        worst * 100.0,
        MOST * 100.0
    );
    Ok(())
}
