//! Energy and heat from counters to the report, on machines that are made up; sessions with the scripted engine.

use crate::machines::{Machine, RANGE, SMALL_RANGE, counter};
use crate::support::{Project, scripted};
use perfgate::baseline::{Stored, Stores};
use perfgate::config::{self, WorkTree};
use perfgate::metric::{Metric, request_joules};
use perfgate::record::{
    Entry, Part, Phase, Request, Results, Round, Throttled, Told, Verdict, VerdictKind,
};
use perfgate::report::{self, Style};
use perfgate::runner::{EnergyCounter, EnergyReading, Heat, NoCounters, Spent};
use perfgate::session::{self, Ended, Journal, Observer, parse_journal};
use perfgate::worker::Interrupt;
#[cfg(target_os = "linux")]
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The counters of a machine, and what they say now.
fn counters(root: &Path) -> (EnergyCounter, EnergyReading) {
    let counters = EnergyCounter::find(root).unwrap();
    let now = counters.read().unwrap();
    // Some time, for energy without time is none.
    std::thread::sleep(Duration::from_millis(2));
    (counters, now)
}

fn spent(counters: &EnergyCounter, before: &EnergyReading) -> Option<(u64, Option<u64>)> {
    let Spent { package_uj, dram_uj, .. } = counters.between(before, &counters.read()?)?;
    Some((package_uj, dram_uj))
}

fn why(root: &Path) -> String {
    EnergyCounter::find(root).unwrap_err().to_string()
}

#[test]
fn a_laptop_has_its_package_and_memory_counted_once() {
    let root = tempfile::tempdir().unwrap();
    let machine = Machine::laptop(root.path());
    let (counters, before) = counters(root.path());
    assert_eq!(counters.name(), "RAPL package-0, dram of package-0");
    for zone in ["intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl:1", "intel-rapl-mmio:0"] {
        machine.energy(zone, 7_000);
    }
    assert_eq!(spent(&counters, &before), Some((0, Some(0))), "parts, the platform and the twin");
    machine.energy("intel-rapl:0", 500);
    machine.energy("intel-rapl:0:2", 90);
    assert_eq!(spent(&counters, &before), Some((500, Some(90))));
    // Where the usual way to the counters is not there, the other one is taken.
    for zone in ["intel-rapl:0", "intel-rapl:0:2"] {
        machine.put(&format!("sys/class/powercap/{zone}/name"), "gone");
    }
    assert_eq!(EnergyCounter::find(root.path()).unwrap().name(), "RAPL package-0");
}

#[test]
fn two_sockets_are_added_and_each_counter_starts_anew_by_itself() {
    let root = tempfile::tempdir().unwrap();
    let machine = Machine::xeon(root.path());
    machine.energy("intel-rapl:1", RANGE - 100);
    machine.energy("intel-rapl:0:0", SMALL_RANGE - 10);
    let (counters, before) = counters(root.path());
    let name = "RAPL package-0, package-1, dram of package-0, dram of package-1";
    assert_eq!(counters.name(), name);
    machine.energy("intel-rapl:0", 1_000);
    machine.energy("intel-rapl:1", 50);
    machine.energy("intel-rapl:0:0", 5);
    machine.energy("intel-rapl:1:0", 30);
    assert_eq!(spent(&counters, &before), Some((1_000 + 150, Some(15 + 30))));
}

#[test]
fn sockets_come_in_the_order_of_their_numbers_and_dies_are_packages() {
    let root = tempfile::tempdir().unwrap();
    let machine = Machine::bare(root.path());
    for (number, name) in [("a", "package-1-die-1"), ("2", "package-0-die-0"), ("3", "psys")] {
        let folder = format!("sys/class/powercap/intel-rapl:{number}");
        machine.put(&format!("{folder}/name"), name);
        machine.put(&format!("{folder}/max_energy_range_uj"), "1000000");
        machine.put(&format!("{folder}/energy_uj"), "1");
    }
    let counters = EnergyCounter::find(root.path()).unwrap();
    assert_eq!(counters.name(), "RAPL package-0-die-0, package-1-die-1");
    for number in ["2", "a"] {
        machine.put(&format!("sys/class/powercap/intel-rapl:{number}/name"), "other");
    }
    assert!(why(root.path()).contains("counts the energy of other, psys, other and of no package"));
}

/// Lets counters go on until the guard is dropped: zones and their power in watts.
struct Moving(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Moving {
    fn of(machine: &Machine, zones: &[(&'static str, u64, u64)]) -> Moving {
        let (machine, zones, on) =
            (machine.clone(), zones.to_vec(), Arc::new(AtomicBool::new(true)));
        let go_on = Arc::clone(&on);
        let thread = std::thread::spawn(move || {
            let begin = Instant::now();
            while go_on.load(Ordering::Relaxed) {
                let us = begin.elapsed().as_micros() as u64;
                for (zone, from, watts) in &zones {
                    machine.energy(zone, from + us * watts);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Moving(on, Some(thread))
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
        self.1.take().unwrap().join().unwrap();
    }
}

#[test]
fn dies_that_show_one_counter_are_counted_once() {
    let root = tempfile::tempdir().unwrap();
    let machine = Machine::threadripper(root.path());
    let found = {
        let _moving = Moving::of(&machine, &[("intel-rapl:0", 9_000_000_000, 180)]);
        EnergyCounter::find(root.path()).unwrap()
    };
    assert_eq!(found.name(), "RAPL package-0-die-0 (the same counter as package-0-die-1)");
    machine.energy("intel-rapl:0", 1_000);
    let before = found.read().unwrap();
    std::thread::sleep(Duration::from_millis(2));
    machine.energy("intel-rapl:0", 8_500);
    assert_eq!(spent(&found, &before), Some((7_500, None)));
    // Once they differ they were two, and their sum is not known.
    std::fs::remove_file(machine.path(&counter("intel-rapl:1"))).unwrap();
    machine.energy("intel-rapl:1", 90_000_000);
    assert_eq!(found.read(), None);
}

#[test]
fn dies_with_equal_counters_that_stand_still_are_not_guessed_at() {
    let root = tempfile::tempdir().unwrap();
    Machine::threadripper(root.path());
    let why = why(root.path());
    assert!(why.contains("are equal and stand still, so whether they are one counter"), "{why}");
}

#[test]
fn dies_that_count_for_themselves_are_added() {
    let root = tempfile::tempdir().unwrap();
    let machine = Machine::cascade_lake_ap(root.path());
    let (found, before) = counters(root.path());
    let names = "package-0-die-0, package-0-die-1, package-1-die-0, package-1-die-1";
    let drams = names.replace("package", "dram of package");
    assert_eq!(found.name(), format!("RAPL {names}, {drams}"));
    for zone in 0..4 {
        machine.energy(&format!("intel-rapl:{zone}"), 7_000_000_000 * (zone + 1) + 10 + zone);
    }
    assert_eq!(spent(&found, &before), Some((46, Some(0))));
}

#[test]
fn dies_whose_counters_are_equal_by_chance_are_told_apart_at_work() {
    let root = tempfile::tempdir().unwrap();
    let machine = Machine::cascade_lake_ap(root.path());
    let moving = [
        ("intel-rapl:0", 5_000_000, 90),
        ("intel-rapl:1", 5_000_000, 40),
        ("intel-rapl:0:0", 400_000, 9),
        ("intel-rapl:1:0", 400_000, 5),
    ];
    for (zone, from, _) in moving {
        machine.energy(zone, from);
    }
    let _moving = Moving::of(&machine, &moving);
    let name = EnergyCounter::find(root.path()).unwrap().name();
    assert!(!name.contains("the same counter"), "{name}");
}

#[test]
fn zones_are_numbered_in_hexadecimal_digits() {
    let root = tempfile::tempdir().unwrap();
    let machine = Machine::twelve_sockets(root.path());
    let (found, before) = counters(root.path());
    let names: Vec<String> = (0..12).map(|socket| format!("package-{socket}")).collect();
    assert_eq!(found.name(), format!("RAPL {}", names.join(", ")));
    machine.energy("intel-rapl:a", 30);
    machine.energy("intel-rapl:b", 4);
    assert_eq!(spent(&found, &before), Some((34, None)));
}

#[test]
fn an_epyc_has_packages_alone_and_an_arm_server_nothing() {
    let root = tempfile::tempdir().unwrap();
    let machine = Machine::epyc(root.path());
    let (counters, before) = counters(root.path());
    assert_eq!(counters.name(), "RAPL package-0");
    machine.energy("intel-rapl:0", 40);
    assert_eq!(
        spent(&counters, &before),
        Some((40, None)),
        "memory that is not counted is no zero"
    );
    let heat = Heat::find(root.path());
    assert!(heat.since_boot().unwrap_err().contains("cpu*/thermal_throttle is absent"));
    let root = tempfile::tempdir().unwrap();
    Machine::arm(root.path());
    assert!(why(root.path()).contains("no energy counters (RAPL) on this machine"));
    let heat = Heat::find(root.path());
    assert_eq!(heat.khz(), Ok(3_000_000));
    assert!(heat.since_boot().is_err());
    let bare = tempfile::tempdir().unwrap();
    let none = Heat::find(bare.path()).khz().unwrap_err();
    assert!(none.contains("cpufreq/scaling_cur_freq is absent on this machine"), "{none}");
}

#[test]
fn files_that_vanish_or_make_no_sense_say_so() {
    let root = tempfile::tempdir().unwrap();
    let machine = Machine::xeon(root.path());
    let (found, before) = counters(root.path());
    let file = counter("intel-rapl:1:0");
    machine.remove(&file);
    assert_eq!(found.read(), None, "one that is gone leaves no sum of the others");
    // Found again, the memory that is there is counted, and what is not is named.
    let name = EnergyCounter::find(root.path()).unwrap().name();
    assert!(
        name.starts_with(
            "RAPL package-0, package-1, dram of package-0; without dram of package-1 ("
        ),
        "{name}"
    );
    machine.put(&file, "5");
    assert_eq!(spent(&found, &before), Some((0, Some(5))));
    for (text, expected) in [
        ("many", "energy_uj holds 'many', which is no count"),
        ("", "energy_uj holds '', which is no count"),
        ("-1", "energy_uj holds '-1', which is no count"),
        ("999999999999999999999", "which is no count"),
        ("262143328851", "energy_uj holds 262143328851, which is over its largest value"),
    ] {
        machine.put(&counter("intel-rapl:0"), text);
        assert!(why(root.path()).contains(expected), "{}", why(root.path()));
        assert_eq!(found.read(), None, "{text}");
    }
    machine.energy("intel-rapl:0", 7);
    machine.put("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "0");
    assert!(why(root.path()).contains("max_energy_range_uj is 0"));
    machine.remove("sys/class/powercap/intel-rapl:0/max_energy_range_uj");
    assert!(why(root.path()).contains("max_energy_range_uj cannot be read: No such file"));
    machine.remove("sys/class/powercap/intel-rapl:1/name");
    assert!(why(root.path()).contains("intel-rapl:1/name cannot be read: No such file"));
}

/// What a user finds who may not read the counters; who runs the tests may be root, who may.
#[test]
#[cfg(target_os = "linux")]
fn counters_that_may_not_be_read_say_who_may() {
    let folder = tempfile::tempdir().unwrap();
    let close = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o000)).unwrap();
    };
    let (packages, memory) = (folder.path().join("packages"), folder.path().join("memory"));
    close(&Machine::laptop(&packages).path(&counter("intel-rapl:0")));
    close(&Machine::laptop(&memory).path(&counter("intel-rapl:0:2")));
    // Root may read what nobody may, until it gives that up, which one thread can do for itself.
    let unprivileged = std::thread::scope(|threads| {
        let thread = threads.spawn(|| {
            rustix::thread::set_capabilities(
                None,
                CapabilitySets {
                    effective: CapabilitySet::empty(),
                    permitted: CapabilitySet::empty(),
                    inheritable: CapabilitySet::empty(),
                },
            )
            .unwrap();
            (EnergyCounter::find(&packages), EnergyCounter::find(&memory))
        });
        thread.join().unwrap()
    });
    let (found, partly) = unprivileged;
    let found = found.unwrap_err();
    assert_eq!(found, NoCounters::Forbidden(packages.join(counter("intel-rapl:0"))));
    assert!(
        found
            .to_string()
            .ends_with("may be read by root only; run as root, or `chmod a+r` it at boot")
    );
    let name = partly.unwrap().name();
    assert_eq!(name, "RAPL package-0; without dram of package-0 (may be read by root only)");
}

#[test]
fn throttling_is_counted_once_by_core_and_package() {
    let root = tempfile::tempdir().unwrap();
    let machine = Machine::xeon(root.path());
    // Before the session.
    (0..8).for_each(|cpu| machine.throttled(cpu, "package", 100));
    let heat = Heat::find(root.path());
    let since_boot = Throttled { core: Some(0), package: Some(200) };
    assert_eq!(heat.since_boot(), Ok(since_boot), "two packages");
    assert_eq!(since_boot.to_string(), "cores 0 times, packages 200 times");
    let mut watch = heat.watch();
    watch.sample();
    // Both threads of one core see the same events, as all do of one package.
    machine.throttled(0, "core", 3);
    machine.throttled(1, "core", 2);
    machine.throttled(7, "core", 1);
    (4..8).for_each(|cpu| machine.throttled(cpu, "package", 105));
    (0..8).for_each(|cpu| machine.clock(cpu, 2_000_000 + 100_000 * u64::from(cpu % 2)));
    watch.sample();
    let conditions = watch.end();
    let throttled = Throttled { core: Some(4), package: Some(5) };
    assert_eq!(conditions.throttled, Told::Available(throttled));
    let Told::Available(frequency) = conditions.frequency else { panic!("it tells") };
    assert_eq!((frequency.cpus, frequency.mean_khz), (8, vec![3_000_000, 2_050_000]));
}

#[test]
fn frequencies_are_those_of_usable_processors() {
    let root = tempfile::tempdir().unwrap();
    let machine = Machine::laptop(root.path());
    machine.put("proc/self/status", "Name:\tx\nCpus_allowed_list:\t1-2,6\nThreads:\t1");
    (0..8).for_each(|cpu| machine.clock(cpu, 9_000_000));
    machine.clock(1, 1_000_000);
    machine.clock(2, 2_000_000);
    machine.clock(6, 3_000_000);
    assert_eq!(Heat::find(root.path()).khz(), Ok(2_000_000));
    machine.put("proc/self/status", "Cpus_allowed_list:\tall");
    assert_eq!(
        Heat::find(root.path()).khz(),
        Ok((5 * 9_000_000 + 6_000_000) / 8),
        "it does not tell"
    );
}

#[test]
fn heat_that_cannot_be_read_any_more_is_a_reason_and_no_zero() {
    let root = tempfile::tempdir().unwrap();
    let machine = Machine::laptop(root.path());
    machine.throttled(3, "core", 5);
    let heat = Heat::find(root.path());
    let mut watch = heat.watch();
    machine.throttled(3, "core", 4);
    machine.remove("sys/devices/system/cpu/cpu5/cpufreq/scaling_cur_freq");
    watch.sample();
    let conditions = watch.end();
    let why = conditions.throttled.unavailable().unwrap();
    assert!(
        why.ends_with("cpu3/thermal_throttle/core_throttle_count went back from 5 to 4"),
        "{why}"
    );
    let why = conditions.frequency.unavailable().unwrap();
    assert!(why.contains("cpu5/cpufreq/scaling_cur_freq cannot be read: No such file"), "{why}");
    let why = heat.watch().end().frequency;
    assert_eq!(why.unavailable(), Some("no request was executed"));
    machine.throttled(3, "core", 6);
    let watch = heat.watch();
    machine.put("sys/devices/system/cpu/cpu2/thermal_throttle/package_throttle_count", "x");
    let conditions = watch.end();
    assert!(conditions.throttled.unavailable().unwrap().contains("holds 'x', which is no count"));
}

/// Once this file is there the package's counter goes away.
const GONE: &str = "gone";

/// A machine whose power is set from outside, and what happens to it at the beginning of each round.
struct Lab<'a> {
    machine: &'a Machine,
    /// Power of each counted zone, milliwatts.
    milliwatts: AtomicU64,
    stop: AtomicBool,
}

impl Lab<'_> {
    /// Counts up the energy of package and memory until told to stop.
    fn burn(&self) {
        let (mut energy_nj, mut last) = (0u64, Instant::now());
        while !self.stop.load(Ordering::Relaxed) {
            if self.machine.path(GONE).exists() {
                std::fs::remove_file(self.machine.path(&counter("intel-rapl:0"))).unwrap();
                return;
            }
            let now = Instant::now();
            let ns = (now - last).as_nanos() as u64;
            last = now;
            energy_nj += self.milliwatts.load(Ordering::Relaxed) * ns / 1_000_000;
            self.machine.energy("intel-rapl:0", energy_nj / 1_000);
            self.machine.energy("intel-rapl:0:2", energy_nj / 10_000);
        }
    }
}

/// Sets the machine's power while it is idle and in rounds, and does something at the beginning of each round.
struct Director<'a> {
    lab: &'a Lab<'a>,
    idle: u64,
    busy: u64,
    at_round: &'a dyn Fn(&Machine, u32),
}

impl Observer for Director<'_> {
    fn entry(&mut self, entry: &Entry) {
        if let Entry::RoundStart { round } = entry {
            self.lab.milliwatts.store(self.busy, Ordering::Relaxed);
            (self.at_round)(self.lab.machine, *round);
        }
    }

    fn idle(&mut self, time: Duration) {
        assert_eq!(time, Duration::from_secs(1));
        self.lab.milliwatts.store(self.idle, Ordering::Relaxed);
    }

    fn round_done(&mut self, _: u32, _: Option<(usize, usize)>) {}
}

const VARIANTS: &str =
    "[variants.base]\nengine = \"scripted\"\n[variants.other]\nengine = \"scripted\"\n";

const RULES: &str = "[defaults]\nvariant = \"other\"\n[rules]\nenergy_per_token = { max = \"50 J\" }\n\
                     tokens_per_second_per_watt = { min = \"0.001 tok/J\" }\n\
                     [rules.ratio]\nmetric = \"tokens_per_second_per_watt\"\nlimit = \"90%\"\n";

/// What a session on a made-up laptop came to, with what its journal holds.
struct Measured {
    results: Results,
    text: String,
    journal: String,
}

/// Runs a whole session on a made-up laptop. Power is in milliwatts.
fn session(keys: &str, watts: [u64; 2], at_round: &dyn Fn(&Machine, u32)) -> Measured {
    session_with(keys, watts, at_round, &|_| ())
}

/// The same; `prepared_machine` is told of the machine once the session could begin.
///
/// The made-up counters are moved by a thread, which a busy machine may hold up for a whole request: then the session
/// is run again.
fn session_with(
    keys: &str,
    watts: [u64; 2],
    at_round: &dyn Fn(&Machine, u32),
    prepared_machine: &dyn Fn(&Machine),
) -> Measured {
    let mut attempts = (0..20).map(|_| attempt(keys, watts, at_round, prepared_machine));
    let moved = |done: &Measured| watts[1] == 0 || !done.stood_still();
    attempts.find(moved).expect("counters that move while a request runs")
}

fn attempt(
    keys: &str,
    [idle, busy]: [u64; 2],
    at_round: &dyn Fn(&Machine, u32),
    prepared_machine: &dyn Fn(&Machine),
) -> Measured {
    // So many tokens take milliseconds even when nothing computes them.
    let config = scripted(3, VARIANTS).replace("gen_tokens = 5", "gen_tokens = 20000");
    let project = Project::new(&format!("{config}{keys}"), RULES);
    let machine = Machine::laptop(project.path());
    let file = |name: &str| project.path().join(name);
    let setup =
        config::read(&WorkTree, &file("perfgate.toml"), Some(&file("thresholds.toml"))).unwrap();
    let prepared =
        session::prepare(setup, project.path(), Path::new(env!("CARGO_BIN_EXE_perfgate"))).unwrap();
    prepared_machine(&machine);
    let mut journal = Journal::create(&file("session"), &prepared.header.session).unwrap();
    let lab =
        Lab { machine: &machine, milliwatts: AtomicU64::new(busy), stop: AtomicBool::new(false) };
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| lab.burn());
        let mut director = Director { lab: &lab, idle, busy, at_round };
        let program = env!("CARGO_BIN_EXE_perfgate").into();
        let interrupt = Interrupt::default();
        let ended = session::run(&prepared, &mut journal, program, &interrupt, &mut director, None);
        lab.stop.store(true, Ordering::Relaxed);
        ended
    });
    let Ended::Complete(part) = ended.unwrap() else { panic!("nobody interrupted it") };
    let results = session::judged(vec![*part], &prepared.setup, &[], &Stores::default());
    let terminal = report::FORMATS.iter().find(|format| format.id == "terminal").unwrap();
    let style = Style { color: false, verbose: true };
    let text = (terminal.render)(&report::build(&results), style);
    let journal = std::fs::read_to_string(journal.path()).unwrap();
    Measured { results, text: one_line(&text), journal }
}

/// A text without the breaks of lines.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Measured {
    fn part(&self) -> &Part {
        &self.results.parts[0]
    }

    /// Whether a counter did not move while a request ran.
    fn stood_still(&self) -> bool {
        let requests = self.part().rounds.iter().flat_map(|round| &round.requests);
        requests
            .filter(|request| request.phase == Phase::Timed)
            .any(|request| request.energy_uj == Some(0) || request.dram_energy_uj == Some(0))
    }

    fn verdict(&self, id: &str) -> &Verdict {
        let judgement = self.results.judgement.as_ref().unwrap();
        judgement.verdicts.iter().find(|verdict| verdict.rule.id == id).unwrap()
    }

    fn value(&self, variant: &str, id: &str) -> Option<f64> {
        let metric = Metric::from_id(id).unwrap();
        let found = self.results.summaries[variant].iter().find(|summary| summary.metric == metric);
        found.unwrap().value
    }

    fn says(&self, text: &str) {
        assert!(self.text.contains(text), "wanted {text:?} in\n{}", self.text);
    }
}

fn timed<'a>(round: &'a Round, variant: &'a str) -> impl Iterator<Item = &'a Request> {
    round.requests.iter().filter(move |r| r.phase == Phase::Timed && r.variant == variant)
}

/// Joules over tokens of a variant in a round, by its raw samples.
fn joules_per_token(round: &Round, variant: &str, idle_watts: f64) -> f64 {
    let (mut joules, mut tokens) = (0.0, 0.0);
    for request in timed(round, variant) {
        let uj = request.energy_uj.unwrap() + request.dram_energy_uj.unwrap();
        joules += uj as f64 * 1e-6 - idle_watts * request.energy_ns.unwrap() as f64 * 1e-9;
        tokens += request.tokens.len() as f64;
    }
    joules / tokens
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn energy_and_heat_are_measured_where_there_are_counters() {
    let done = session("", [0, 20_000], &|machine, round| {
        if round == 2 {
            // While requests run: three events of one core, seen by both of its threads, and a slower clock.
            (2..4).for_each(|cpu| machine.throttled(cpu, "core", 3));
            (0..8).for_each(|cpu| machine.clock(cpu, 2_100_000));
        }
    });
    let part = done.part();
    let counted = "RAPL package-0, dram of package-0";
    assert_eq!(part.header.environment.energy.to_string(), counted);
    for id in ["energy_per_token", "tokens_per_second_per_watt"] {
        assert_eq!(done.verdict(id).verdict, VerdictKind::Pass, "{:?}", done.verdict(id));
    }
    // The report's figures are those of the raw samples: by round, packages and memory together.
    let by_round = |variant: &str| -> Vec<f64> {
        part.rounds.iter().map(|round| joules_per_token(round, variant, 0.0)).collect()
    };
    let (now, base) = (by_round("other"), by_round("base"));
    let value = |id| done.value("other", id).unwrap();
    assert!((value("energy_per_token") / mean(&now) - 1.0).abs() < 1e-9);
    let efficiency: Vec<f64> = now.iter().map(|joules| 1.0 / joules).collect();
    assert!((value("tokens_per_second_per_watt") / mean(&efficiency) - 1.0).abs() < 1e-9);
    // The ratio to the reference is the mean of the logs of the rounds' ratios, and has an interval.
    let effect = done.verdict("ratio").effect.as_ref().unwrap();
    let logs: Vec<f64> = now.iter().zip(&base).map(|(now, base)| (base / now).ln()).collect();
    assert!((effect.point - mean(&logs).exp_m1()).abs() < 1e-9, "{effect:?}");
    assert!(effect.low < effect.point && effect.point < effect.high, "{effect:?}");
    let absolute = done.verdict("tokens_per_second_per_watt").effect.as_ref().unwrap();
    assert!(absolute.low < absolute.point && absolute.point < absolute.high, "{absolute:?}");
    done.says(&format!("Energy of a request: {counted}, from just before it is sent"));
    done.says("the idle power of what is counted is in it");
    let both = format!(
        "{:.2} tok/J, {:.2}×",
        value("tokens_per_second_per_watt"),
        value("tokens_per_second_per_watt")
            / done.value("base", "tokens_per_second_per_watt").unwrap()
    );
    done.says(&both);
    // Heat.
    done.says("throttled in 1 of 3 rounds: round 2 (cores 3 times, packages 0 times)");
    done.says(
        "frequency fell in 2 of 3 rounds, most in round 2: 2.10 GHz, 30% below round 1's 3.00 GHz",
    );
    done.says("in 1 of 3 rounds (cores 0 times, packages 0 times since boot)");
    done.says("2.10 GHz to 3.00 GHz");
    let frequencies: Vec<usize> = part
        .rounds
        .iter()
        .map(|round| {
            let conditions = round.conditions.as_ref().unwrap();
            conditions.frequency.available().unwrap().mean_khz.len()
        })
        .collect();
    assert_eq!(frequencies, [4, 4, 4], "behind each of four tasks");
    // The journal holds the same, sample by sample.
    let recorded = parse_journal(Path::new("journal.jsonl"), &done.journal).unwrap();
    assert_eq!(recorded.rounds, part.rounds);
}

#[test]
fn idle_power_is_taken_off_where_that_is_asked_for() {
    let keys = "[energy]\nidle = \"subtract\"\nidle_time = \"1s\"\n";
    let done = session(keys, [2_000, 60_000], &|_, _| {});
    let part = done.part();
    let [Told::Available(power)] = &part.idle[..] else { panic!("{:?}", part.idle) };
    let joules: f64 = power
        .samples
        .iter()
        .map(|sample| (sample.package_uj + sample.dram_uj.unwrap()) as f64 * 1e-6)
        .sum();
    let seconds: f64 = power.samples.iter().map(|sample| sample.ns as f64 * 1e-9).sum();
    assert_eq!(power.samples.len(), 10);
    assert!((power.watts / (joules / seconds) - 1.0).abs() < 1e-9);
    assert!(power.sd_watts > 0.0);
    // Should nothing have counted during a request, since whatever counts here had to wait, its round has no energy.
    let above = |request: &Request| {
        let round = Round { idle_watts: Some(power.watts), ..Round::default() };
        request_joules(&round, request).is_ok()
    };
    let by_round: Vec<f64> = part
        .rounds
        .iter()
        .filter(|round| timed(round, "other").all(above))
        .map(|round| joules_per_token(round, "other", power.watts))
        .collect();
    let value = done.value("other", "energy_per_token").unwrap();
    assert!((value / mean(&by_round) - 1.0).abs() < 1e-9);
    assert!(part.rounds.iter().all(|round| round.idle_watts == Some(power.watts)));
    done.says(&format!("less the idle power of {:.2} W over its time", power.watts));
    done.says("10 samples with a standard deviation of");
    let recorded = parse_journal(Path::new("journal.jsonl"), &done.journal).unwrap();
    assert_eq!((&recorded.idle, &recorded.rounds), (&part.idle, &part.rounds));
    // Stored sessions keep what was judged, and are held against sessions of the same kind alone.
    let stored = Stored::from_part(part);
    let kept = stored.to_rounds();
    for (round, read) in part.rounds.iter().zip(&kept) {
        for (request, read) in timed(round, "other").zip(timed(read, "other")) {
            let joules = request_joules(round, request).ok();
            assert_eq!(read.energy_uj, joules.map(|joules| (joules * 1e6).round() as u64));
            assert_eq!(read.dram_energy_uj, None, "it is in the sum");
        }
    }
    let energy = Metric::from_id("energy_per_token").unwrap();
    let differences = |part| perfgate::baseline::differences(part, &stored, energy, None);
    assert_eq!(differences(part), Vec::<String>::new());
    let mut kept = part.clone();
    kept.header.plan.idle_ms = None;
    assert_eq!(differences(&kept), ["other energy (idle power subtracted then, kept now)"]);
    let latency = Metric::from_id("latency").unwrap();
    let of_latency = perfgate::baseline::differences(&kept, &stored, latency, None);
    assert_eq!(of_latency, Vec::<String>::new());
}

#[test]
fn energy_that_is_not_above_idle_is_a_reason_and_no_zero() {
    let keys = "[energy]\nidle = \"subtract\"\nidle_time = \"1s\"\n";
    let done = session(keys, [60_000, 0], &|_, _| {});
    for verdict in &done.results.judgement.as_ref().unwrap().verdicts {
        assert_eq!(verdict.verdict, VerdictKind::Invalid, "{verdict:?}");
        let why =
            "no round has a value: 12 of 12 requests took no more energy than the idle machine";
        assert!(verdict.reason.ends_with(why), "{}", verdict.reason);
    }
    assert_eq!(done.value("other", "energy_per_token"), None);
    done.says("requests took no more energy than the idle machine");
    done.says("or keep idle power (`idle` under [energy])");
}

#[test]
fn a_counter_that_vanishes_costs_its_round_and_is_named() {
    let done = session("", [0, 20_000], &|machine, round| {
        if round == 3 {
            machine.put(GONE, "");
            while machine.path(&counter("intel-rapl:0")).exists() {
                std::thread::yield_now();
            }
        }
    });
    let part = done.part();
    assert!(timed(&part.rounds[2], "other").all(|request| request.energy_uj.is_none()));
    let two: Vec<f64> =
        part.rounds[..2].iter().map(|round| joules_per_token(round, "other", 0.0)).collect();
    let value = done.value("other", "energy_per_token").unwrap();
    assert!((value / mean(&two) - 1.0).abs() < 1e-9);
    let verdict = done.verdict("energy_per_token");
    assert_eq!(
        (verdict.verdict, &verdict.reason[..]),
        (VerdictKind::Pass, "2 of 3 rounds have a value")
    );
    done.says("energy of 'other': around 4 of 12 requests an energy counter could not be read; its rounds 3 have none");
}

#[test]
fn idle_power_that_cannot_be_read_leaves_energy_unavailable() {
    let keys = "[energy]\nidle = \"subtract\"\nidle_time = \"1s\"\n";
    // Before the session begins, and after it was prepared.
    let done = session_with(keys, [0, 1_000], &|_, _| {}, &|machine| machine.put(GONE, ""));
    let part = done.part();
    let [Told::Unavailable(why)] = &part.idle[..] else { panic!("{:?}", part.idle) };
    assert!(why.contains("could not be read while the machine was idle"), "{why}");
    for verdict in &done.results.judgement.as_ref().unwrap().verdicts {
        assert_eq!(verdict.verdict, VerdictKind::Unavailable, "{verdict:?}");
        assert!(verdict.reason.starts_with("idle power, which is to be subtracted, is not known"));
    }
    assert!(part.rounds.iter().flat_map(|round| &round.requests).all(|r| r.energy_uj.is_none()));
    done.says("idle power is not known (");
}
