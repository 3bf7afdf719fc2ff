//! Owns the processors' energy counters (RAPL), as Linux shows them under `/sys/class/powercap`.

use super::dies::{self, Dies};
use crate::protocol::monotonic_ns;
use crate::record::IdleSample;
use crate::worker::Interrupt;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const POWERCAP: &str = "sys/class/powercap";

/// Power of one zone beyond which a difference is none of energy, watts: no package comes near it, and a
/// counter that was set back (by a sleep, or a driver that was loaded anew) looks like such a one.
pub(super) const MOST_WATTS: f64 = 10_000.0;

/// Samples that idle power is made of.
const IDLE_SAMPLES: u32 = 10;

/// The energy counters of the processor packages, and of their memory where that is counted apart.
///
/// They count everything on the package, so idle workers and the rest of the machine are in it: a
/// measurement on a busy machine says little. Parts of packages (`core`, `uncore`) are in the packages'
/// counters already; `psys` is the whole platform and contains them. Dies of a package that show one counter are
/// counted once, see `dies`.
#[derive(Debug, Clone)]
pub struct EnergyCounter {
    packages: Vec<Zone>,
    drams: Vec<Zone>,
    /// Zones that show the counter of another one; the place of that among packages and memory together.
    repeats: Vec<(usize, Zone)>,
    /// Memory that has a counter which cannot be read, with the reason.
    left_out: Vec<String>,
}

/// What all counters said at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnergyReading {
    /// When, monotonic nanoseconds.
    at_ns: u64,
    /// The packages', then those of memory, microjoules.
    counts: Vec<u64>,
}

/// What was spent between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Time between them, nanoseconds.
    pub ns: u64,
    /// Energy of all packages, microjoules.
    pub package_uj: u64,
    /// Energy of the memory, microjoules, where it is counted apart.
    pub dram_uj: Option<u64>,
}

/// Why there are no energy counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCounters {
    /// The system shows none.
    Absent(String),
    /// This one may be read by others only, usually root.
    Forbidden(PathBuf),
    /// One is there and cannot be made sense of.
    Broken(String),
}

impl fmt::Display for NoCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoCounters::Absent(why) | NoCounters::Broken(why) => f.write_str(why),
            NoCounters::Forbidden(file) => write!(
                f,
                "{} may be read by root only; run as root, or `chmod a+r` it at boot",
                file.display()
            ),
        }
    }
}

/// A counter.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    pub name: String,
    pub counter: PathBuf,
    /// The counter starts anew from 0 above this, microjoules.
    pub range: u64,
}

impl Zone {
    /// Makes sense of a zone's files.
    fn open(folder: &Path, name: String) -> Result<Zone, NoCounters> {
        let counter = folder.join("energy_uj");
        let file = folder.join("max_energy_range_uj");
        let range = number(&file)?;
        if range == 0 {
            let why =
                format!("{} is 0, so where the counter starts anew is not known", file.display());
            return Err(NoCounters::Broken(why));
        }
        let zone = Zone { name, counter, range };
        zone.read()?;
        Ok(zone)
    }

    /// The count now, microjoules.
    ///
    /// # Errors
    /// If it cannot be read, or makes no sense.
    pub fn read(&self) -> Result<u64, NoCounters> {
        let count = number(&self.counter)?;
        if count > self.range {
            let (file, range) = (self.counter.display(), self.range);
            let why = format!("{file} holds {count}, which is over its largest value {range}");
            return Err(NoCounters::Broken(why));
        }
        Ok(count)
    }

    /// Energy between two counts, microjoules: a counter that is smaller than before has started anew.
    ///
    /// That it did so several times cannot be seen. What bounds the time in which it does not is its range over
    /// the zone's power: 262 kJ (2^32 steps of 61 µJ, as most packages have) last 22 minutes at 200 W, 65.5 kJ
    /// (steps of 15.3 µJ, as AMD and the memory of servers have) 2.7 minutes at 400 W and 22 at 50 W. Requests
    /// take seconds, and idle samples are bounded by the configuration.
    ///
    /// `None` for more than any zone can have spent in that time.
    fn between(&self, before: u64, after: u64, ns: u64) -> Option<u64> {
        let spent = match after >= before {
            true => after - before,
            false => after + self.range.saturating_sub(before),
        };
        (spent as f64 * 1e3 <= MOST_WATTS * ns as f64).then_some(spent)
    }
}

impl EnergyCounter {
    /// Finds the counters below a root, which is `/` but in tests.
    ///
    /// # Errors
    /// If there are none of packages, or one of them cannot be read; the reason is for the report.
    pub fn find(root: &Path) -> Result<EnergyCounter, NoCounters> {
        // The zones `intel-rapl:N` (AMD's too) are packages; `intel-rapl:N:M` are parts of them.
        // `intel-rapl-mmio` shows the same packages by another way.
        let ways = ["intel-rapl", "intel-rapl-mmio"];
        let mut others = Vec::new();
        for way in ways {
            let (packages, other): (Vec<Named>, Vec<Named>) = zones(root, way)?
                .into_iter()
                .filter(|zone| zone.part.is_none())
                .partition(|zone| zone.name.starts_with("package"));
            others.extend(other);
            if !packages.is_empty() {
                return EnergyCounter::of(root, way, packages);
            }
        }
        let found: Vec<&str> = others.iter().map(|zone| zone.name.as_str()).collect();
        Err(NoCounters::Absent(match found.is_empty() {
            true => format!("/{POWERCAP} has no energy counters (RAPL) on this machine"),
            false => {
                format!("/{POWERCAP} counts the energy of {} and of no package", found.join(", "))
            }
        }))
    }

    fn of(root: &Path, way: &str, packages: Vec<Named>) -> Result<EnergyCounter, NoCounters> {
        let mut left_out = Vec::new();
        let parts: Vec<Named> = zones(root, way)?
            .into_iter()
            .filter(|z| z.part.is_some() && z.name == "dram")
            .collect();
        let (mut of_packages, mut of_drams) = (ByPackage::default(), ByPackage::default());
        for package in packages {
            let key = whole_package(&package.name);
            for dram in parts.iter().filter(|dram| dram.number == package.number) {
                let name = format!("dram of {}", package.name);
                match Zone::open(&dram.folder, name.clone()) {
                    Ok(zone) => of_drams.add(key, zone),
                    Err(NoCounters::Forbidden(_)) => {
                        left_out.push(format!("{name} (may be read by root only)"));
                    }
                    Err(why) => left_out.push(format!("{name} ({why})")),
                }
            }
            of_packages.add(key, Zone::open(&package.folder, package.name.clone())?);
        }
        let packages = of_packages.each_once()?;
        let drams = of_drams.each_once()?;
        let behind = packages.own.len();
        let of_drams = drams.repeats.into_iter().map(|(index, zone)| (behind + index, zone));
        let repeats = packages.repeats.into_iter().chain(of_drams).collect();
        Ok(EnergyCounter { packages: packages.own, drams: drams.own, repeats, left_out })
    }

    /// What is counted, and what could be and is not, for the report.
    pub fn name(&self) -> String {
        let zones = self.packages.iter().chain(&self.drams).enumerate();
        let counted: Vec<String> = zones
            .map(|(index, zone)| {
                let same = self.repeats.iter().filter(|(of, _)| *of == index);
                let same: Vec<&str> = same.map(|(_, repeat)| repeat.name.as_str()).collect();
                match same.is_empty() {
                    true => zone.name.clone(),
                    false => format!("{} (the same counter as {})", zone.name, same.join(" and ")),
                }
            })
            .collect();
        let counted = counted.join(", ");
        match self.left_out.is_empty() {
            true => format!("RAPL {counted}"),
            false => format!("RAPL {counted}; without {}", self.left_out.join(", ")),
        }
    }

    /// Memory that has a counter which cannot be read, with the reason.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The counters now; `None` if one can no longer be read, or if two that were one counter differ.
    pub fn read(&self) -> Option<EnergyReading> {
        let at_ns = monotonic_ns();
        let zones = self.packages.iter().chain(&self.drams);
        let counts: Vec<u64> = zones.map(|zone| zone.read().ok()).collect::<Option<_>>()?;
        let one = self.repeats.iter().all(|(index, zone)| {
            let repeat = zone.read();
            repeat.is_ok_and(|repeat| dies::still_one(counts[*index], repeat, zone.range))
        });
        one.then_some(EnergyReading { at_ns, counts })
    }

    /// What was spent between two readings; `None` if that makes no sense.
    pub fn between(&self, before: &EnergyReading, after: &EnergyReading) -> Option<Spent> {
        let ns = after.at_ns.saturating_sub(before.at_ns);
        let counts = before.counts.iter().zip(&after.counts);
        let zones = self.packages.iter().chain(&self.drams);
        let spent: Vec<u64> =
            zones.zip(counts).map(|(z, (a, b))| z.between(*a, *b, ns)).collect::<Option<_>>()?;
        let (packages, drams) = spent.split_at(self.packages.len().min(spent.len()));
        let dram_uj = (!self.drams.is_empty()).then(|| drams.iter().sum());
        Some(Spent { ns, package_uj: packages.iter().sum(), dram_uj })
    }

    /// What is spent while nothing is asked of the machine, in samples of equal length over `time`; one sample
    /// before them is not counted. Whoever calls it sees to it that no worker is alive. Fewer samples if the
    /// user wants to stop.
    ///
    /// # Errors
    /// If a counter can no longer be read.
    pub fn idle(&self, time: Duration, interrupt: &Interrupt) -> Result<Vec<IdleSample>, String> {
        let mut samples = Vec::new();
        sleep(time / IDLE_SAMPLES, interrupt);
        for _ in 0..IDLE_SAMPLES {
            let before = self.read();
            sleep(time / IDLE_SAMPLES, interrupt);
            if interrupt.is_set() {
                break;
            }
            let spent =
                before.zip(self.read()).and_then(|(before, after)| self.between(&before, &after));
            let Some(Spent { ns, package_uj, dram_uj }) = spent else {
                return Err(
                    "an energy counter could not be read while the machine was idle".to_string()
                );
            };
            samples.push(IdleSample { ns, package_uj, dram_uj });
        }
        Ok(samples)
    }
}

/// The name of a package by that of one of its dies: `package-0-die-1`.
fn whole_package(name: &str) -> &str {
    name.split_once("-die-").map_or(name, |(package, _)| package)
}

/// The zones of each package, in the order of their numbers.
#[derive(Default)]
struct ByPackage(Vec<(String, Vec<Zone>)>);

impl ByPackage {
    fn add(&mut self, package: &str, zone: Zone) {
        match self.0.iter_mut().find(|(name, _)| name == package) {
            Some((_, zones)) => zones.push(zone),
            None => self.0.push((package.to_string(), vec![zone])),
        }
    }

    /// Each counter once.
    fn each_once(self) -> Result<Dies, NoCounters> {
        let mut all = Dies::default();
        for (_, zones) in self.0 {
            let Dies { own, repeats } = dies::tell_apart(zones)?;
            let behind = all.own.len();
            all.repeats.extend(repeats.into_iter().map(|(index, zone)| (behind + index, zone)));
            all.own.extend(own);
        }
        Ok(all)
    }
}

/// Waits, in steps that a user who wants to stop does not notice.
fn sleep(time: Duration, interrupt: &Interrupt) {
    const STEP: Duration = Duration::from_millis(500);
    let mut left = time;
    while !left.is_zero() && !interrupt.is_set() {
        let step = left.min(STEP);
        std::thread::sleep(step);
        left -= step;
    }
}

/// A zone's folder and what it is called.
struct Named {
    folder: PathBuf,
    name: String,
    /// The N of `intel-rapl:N:M`, which the kernel writes in hexadecimal digits.
    number: u32,
    /// The M.
    part: Option<u32>,
}

/// The zones of a way to the counters, by number. Deeper ones are parts of parts.
fn zones(root: &Path, way: &str) -> Result<Vec<Named>, NoCounters> {
    let mut zones = Vec::new();
    for entry in std::fs::read_dir(root.join(POWERCAP)).into_iter().flatten().flatten() {
        let file_name = entry.file_name();
        let file_name = file_name.to_string_lossy();
        let Some(numbers) = file_name.strip_prefix(way).and_then(|rest| rest.strip_prefix(':'))
        else {
            continue;
        };
        let hexadecimal = |n: &str| u32::from_str_radix(n, 16).ok();
        let numbers: Option<Vec<u32>> = numbers.split(':').map(hexadecimal).collect();
        let (number, part) = match numbers.as_deref() {
            Some([number]) => (*number, None),
            Some([number, part]) => (*number, Some(*part)),
            _ => continue,
        };
        let folder = entry.path();
        let name = match (read(&folder.join("name")), part) {
            (Ok(name), _) => name,
            (Err(why), None) => return Err(why),
            // A part that says not what it is hinders nothing.
            (Err(_), Some(_)) => continue,
        };
        zones.push(Named { folder, name, number, part });
    }
    zones.sort_by_key(|zone| (zone.number, zone.part));
    Ok(zones)
}

/// The text of a file of the kernel's, without the line's end.
pub(super) fn read(file: &Path) -> Result<String, NoCounters> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.trim().to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(NoCounters::Forbidden(file.to_path_buf()))
        }
        Err(error) => {
            Err(NoCounters::Broken(format!("{} cannot be read: {error}", file.display())))
        }
    }
}

/// The count that a file of the kernel's holds.
pub(super) fn number(file: &Path) -> Result<u64, NoCounters> {
    let text = read(file)?;
    text.parse().map_err(|_| {
        NoCounters::Broken(format!("{} holds '{text}', which is no count", file.display()))
    })
}

// What is found on machines of many kinds is tested in tests/it/energy.rs.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_starts_anew_goes_on_and_one_that_is_set_back_says_nothing() {
        let zone =
            Zone { name: "package-0".into(), counter: PathBuf::new(), range: 262_143_328_850 };
        let second = 1_000_000_000;
        assert_eq!(zone.between(1_000, 15_001_000, second), Some(15_000_000));
        assert_eq!(zone.between(5, 5, second), Some(0));
        assert_eq!(zone.between(262_143_328_850 - 1_000_000, 14_000_000, second), Some(15_000_000));
        // As after a sleep: a jump over nearly the whole range would be hundreds of kilowatts.
        assert_eq!(zone.between(5_000_000, 1_000, second), None);
        assert_eq!(zone.between(0, 5_000, 0), None, "energy without time");
        assert_eq!(zone.between(262_143_328_851, 0, second), Some(0), "never below nothing");
    }

    #[test]
    fn a_wait_ends_with_the_wish_to_stop() {
        let interrupt = Interrupt::default();
        interrupt.0.store(true, std::sync::atomic::Ordering::Relaxed);
        // Three hundred years, were it not for the wish.
        sleep(Duration::from_secs(10_000_000_000), &interrupt);
        assert!(interrupt.is_set());
    }
}
