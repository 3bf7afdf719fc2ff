//! Owns what the processors tell of their heat and speed: throttle counters and frequencies, as Linux shows them
//! under `/sys/devices/system/cpu`, and beside them what a quota of CPU time cost.

use super::energy::{number, read};
use super::quota::{Counted, Quotas};
use crate::record::{Conditions, Frequency, Throttled, Told};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const CPUS: &str = "sys/devices/system/cpu";

/// What tells of the processors' heat and speed, or why nothing does.
#[derive(Debug, Clone)]
pub struct Heat {
    throttle: Result<ThrottleCounters, String>,
    frequency: Result<Vec<PathBuf>, String>,
    quotas: Quotas,
}

/// Throttle counters: how often a core, or a package, got too hot since boot.
#[derive(Debug, Clone, Default)]
struct ThrottleCounters {
    core: Vec<ThrottleCounter>,
    package: Vec<ThrottleCounter>,
}

#[derive(Debug, Clone)]
struct ThrottleCounter {
    file: PathBuf,
    /// What it counts for. Each CPU of a core, and of a package, has a counter of the same events.
    of: String,
}

/// What the throttle counters said at one time.
type Counts = [Vec<u64>; 2];

/// A round whose heat and speed are watched.
pub struct Watch<'a> {
    heat: &'a Heat,
    before: Result<Counts, String>,
    starved: Counted,
    samples: Result<Vec<u64>, String>,
}

impl Heat {
    /// Finds what there is below a root, which is `/` but in tests. Throttling is looked at on all processors, since
    /// they heat each other; frequencies of those that this process may use.
    pub fn find(root: &Path) -> Heat {
        let cpus = cpus(root);
        Heat {
            throttle: ThrottleCounters::find(&cpus),
            frequency: frequencies(root, &cpus),
            quotas: Quotas::find(root),
        }
    }

    /// Throttle events since boot, or why they are not known.
    pub fn since_boot(&self) -> Result<Throttled, String> {
        let counters = self.throttle.as_ref().map_err(Clone::clone)?;
        let now = counters.read()?;
        let zero = [vec![0; now[0].len()], vec![0; now[1].len()]];
        counters.between(&zero, &now)
    }

    /// The frequency now, kHz: the mean over the processors that this process may use.
    ///
    /// # Errors
    /// If it cannot be read: with the reason.
    pub fn khz(&self) -> Result<u64, String> {
        let files = self.frequency.as_ref().map_err(Clone::clone)?;
        let mut sum: u128 = 0;
        for file in files {
            sum += u128::from(number(file).map_err(|why| why.to_string())?);
        }
        // Of numbers that are no frequencies, too, the mean is no larger than the largest.
        Ok((sum / files.len().max(1) as u128) as u64)
    }

    /// Begins to watch.
    pub fn watch(&self) -> Watch<'_> {
        let before = match &self.throttle {
            Ok(counters) => counters.read(),
            Err(why) => Err(why.clone()),
        };
        let samples = self.frequency.as_ref().map(|_| Vec::new()).map_err(Clone::clone);
        Watch { heat: self, before, starved: self.quotas.read(), samples }
    }
}

impl Watch<'_> {
    /// Takes a sample of the frequency. Called right behind a request: processors that rest clock down.
    pub fn sample(&mut self) {
        let Ok(samples) = &mut self.samples else { return };
        match self.heat.khz() {
            Ok(khz) => samples.push(khz),
            Err(why) => self.samples = Err(why),
        }
    }

    /// Ends the watch.
    pub fn end(self) -> Conditions {
        let throttled = match (&self.heat.throttle, self.before) {
            (Ok(counters), Ok(before)) => {
                counters.read().and_then(|after| counters.between(&before, &after))
            }
            (Err(why), _) => Err(why.clone()),
            (_, Err(why)) => Err(why),
        };
        let cpus = self.heat.frequency.as_ref().map_or(0, Vec::len);
        let frequency = match self.samples {
            Ok(samples) if samples.is_empty() => Err("no request was executed".to_string()),
            Ok(mean_khz) => Ok(Frequency { cpus, mean_khz }),
            Err(why) => Err(why),
        };
        let quota = self.heat.quotas.between(&self.starved, &self.heat.quotas.read());
        Conditions { throttled: Told::from(throttled), frequency: Told::from(frequency), quota }
    }
}

impl ThrottleCounters {
    fn find(cpus: &[(u32, PathBuf)]) -> Result<ThrottleCounters, String> {
        let mut found = ThrottleCounters::default();
        for (cpu, folder) in cpus {
            // Where the kernel does not tell of packages and cores there is one package, and each CPU is a core.
            let topology = |file: &str, unknown: String| {
                read(&folder.join("topology").join(file)).unwrap_or(unknown)
            };
            let package = topology("physical_package_id", "0".to_string());
            let core = topology("core_id", format!("cpu{cpu}"));
            let file = |name: &str| folder.join("thermal_throttle").join(name);
            let core = ThrottleCounter {
                file: file("core_throttle_count"),
                of: format!("core {core} of package {package}"),
            };
            let package = ThrottleCounter {
                file: file("package_throttle_count"),
                of: format!("package {package}"),
            };
            for (counter, list) in [(core, &mut found.core), (package, &mut found.package)] {
                if counter.file.exists() {
                    number(&counter.file).map_err(|why| why.to_string())?;
                    list.push(counter);
                }
            }
        }
        match found.core.is_empty() && found.package.is_empty() {
            true => Err(format!("/{CPUS}/cpu*/thermal_throttle is absent on this machine")),
            false => Ok(found),
        }
    }

    fn read(&self) -> Result<Counts, String> {
        let all = |counters: &[ThrottleCounter]| -> Result<Vec<u64>, String> {
            counters
                .iter()
                .map(|counter| number(&counter.file).map_err(|why| why.to_string()))
                .collect()
        };
        Ok([all(&self.core)?, all(&self.package)?])
    }

    fn between(&self, before: &Counts, after: &Counts) -> Result<Throttled, String> {
        Ok(Throttled {
            core: events(&self.core, &before[0], &after[0])?,
            package: events(&self.package, &before[1], &after[1])?,
        })
    }
}

/// Events between two readings: of several counters of one thing the one that saw most, of all things together.
fn events(
    counters: &[ThrottleCounter],
    before: &[u64],
    after: &[u64],
) -> Result<Option<u64>, String> {
    let mut most: BTreeMap<&str, u64> = BTreeMap::new();
    for (counter, (before, after)) in counters.iter().zip(before.iter().zip(after)) {
        let Some(events) = after.checked_sub(*before) else {
            let file = counter.file.display();
            return Err(format!("{file} went back from {before} to {after}"));
        };
        let known = most.entry(&counter.of).or_default();
        *known = events.max(*known);
    }
    let sum = most.values().fold(0u64, |sum, events| sum.saturating_add(*events));
    Ok((!counters.is_empty()).then_some(sum))
}

/// The folders of all CPUs with their numbers, in order.
fn cpus(root: &Path) -> Vec<(u32, PathBuf)> {
    let entries = std::fs::read_dir(root.join(CPUS)).into_iter().flatten().flatten();
    let mut cpus: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            Some((name.to_str()?.strip_prefix("cpu")?.parse().ok()?, entry.path()))
        })
        .collect();
    cpus.sort();
    cpus
}

/// The frequency's file of each CPU that this process may use.
fn frequencies(root: &Path, cpus: &[(u32, PathBuf)]) -> Result<Vec<PathBuf>, String> {
    let usable = usable_cpus(root);
    let file = |folder: &PathBuf| folder.join("cpufreq/scaling_cur_freq");
    let files: Vec<PathBuf> = cpus
        .iter()
        .filter(|(cpu, _)| usable.as_ref().is_none_or(|usable| usable.contains(cpu)))
        .map(|(_, folder)| file(folder))
        .filter(|file| file.exists())
        .collect();
    if files.is_empty() {
        return Err(format!("/{CPUS}/cpu*/cpufreq/scaling_cur_freq is absent on this machine"));
    }
    for file in &files {
        number(file).map_err(|why| why.to_string())?;
    }
    Ok(files)
}

/// The CPUs on which this process may run, such as `0-3,8`; `None` if the system does not tell.
fn usable_cpus(root: &Path) -> Option<Vec<u32>> {
    // So many has no machine, and a range of a broken file may be long.
    const MOST: u32 = 1 << 16;
    let status = std::fs::read_to_string(root.join("proc/self/status")).ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut cpus = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        cpus.extend(first..=last.min(MOST));
    }
    Some(cpus)
}
