//! Owns the processors' energy counters (RAPL), as Linux shows them under `/sys/class/powercap`.

use std::fmt;
use std::path::{Path, PathBuf};

const POWERCAP: &str = "sys/class/powercap";

/// The energy counters of the processor packages.
///
/// They count everything on the package, so idle workers and the rest of the machine are in it: a
/// measurement on a busy machine says little.
#[derive(Debug, Clone)]
pub struct EnergyCounter {
    packages: Vec<Package>,
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

#[derive(Debug, Clone)]
struct Package {
    name: String,
    counter: PathBuf,
    /// The counter starts anew from 0 above this, microjoules.
    range: u64,
}

impl EnergyCounter {
    /// Finds the counters below a root, which is `/` but in tests.
    ///
    /// # Errors
    /// If there are none, or they cannot be read; the reason is for the report.
    pub fn find(root: &Path) -> Result<EnergyCounter, NoCounters> {
        let folder = root.join(POWERCAP);
        let mut packages = Vec::new();
        // The zones `intel-rapl:N` (AMD's too) are packages; `intel-rapl:N:M` are parts of them, and
        // `intel-rapl-mmio` shows the same counters again.
        let mut zones: Vec<PathBuf> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                name.strip_prefix("intel-rapl:").is_some_and(|rest| !rest.contains(':'))
            })
            .collect();
        zones.sort();
        for zone in zones {
            let name = read(&zone.join("name"))?;
            if !name.starts_with("package") {
                continue; // `psys` is the whole platform and contains the packages.
            }
            let counter = zone.join("energy_uj");
            let range = number(&zone.join("max_energy_range_uj"))?;
            number(&counter)?;
            packages.push(Package { name, counter, range });
        }
        if packages.is_empty() {
            let why = format!("/{POWERCAP} has no energy counters (RAPL) on this machine");
            return Err(NoCounters::Absent(why));
        }
        Ok(EnergyCounter { packages })
    }

    /// What is counted, for the report.
    pub fn name(&self) -> String {
        let names: Vec<&str> = self.packages.iter().map(|package| package.name.as_str()).collect();
        format!("RAPL {}", names.join(", "))
    }

    /// The counters now, microjoules; `None` if one can no longer be read.
    pub fn read(&self) -> Option<Vec<u64>> {
        self.packages.iter().map(|package| number(&package.counter).ok()).collect()
    }

    /// Energy between two readings of all packages, microjoules. A counter that is smaller than before
    /// has started anew once.
    pub fn between(&self, before: &[u64], after: &[u64]) -> u64 {
        let spent = |(package, (before, after)): (&Package, (&u64, &u64))| {
            if after >= before {
                after - before
            } else {
                after + package.range.saturating_sub(*before)
            }
        };
        self.packages.iter().zip(before.iter().zip(after)).map(spent).sum()
    }
}

fn read(file: &Path) -> Result<String, NoCounters> {
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

fn number(file: &Path) -> Result<u64, NoCounters> {
    let text = read(file)?;
    text.parse().map_err(|_| {
        NoCounters::Broken(format!("{} holds '{text}', which is no count", file.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(root: &Path, zone: &str, files: &[(&str, &str)]) {
        let folder = root.join(POWERCAP).join(zone);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, content) in files {
            std::fs::write(folder.join(name), format!("{content}\n")).unwrap();
        }
    }

    fn package(name: &str, energy: &str) -> [(&'static str, String); 3] {
        [
            ("name", name.to_string()),
            ("energy_uj", energy.to_string()),
            ("max_energy_range_uj", "1000".to_string()),
        ]
    }

    fn put(root: &Path, name: &str, files: &[(&'static str, String)]) {
        let files: Vec<(&str, &str)> = files.iter().map(|(n, c)| (*n, c.as_str())).collect();
        zone(root, name, &files);
    }

    #[test]
    fn packages_are_added_and_parts_are_not() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, "intel-rapl:0", &package("package-0", "100"));
        put(root, "intel-rapl:0:0", &package("core", "50"));
        put(root, "intel-rapl:1", &package("package-1", "900"));
        put(root, "intel-rapl:2", &package("psys", "5000"));
        put(root, "intel-rapl-mmio:0", &package("package-0", "100"));
        zone(root, "intel-rapl", &[("enabled", "1")]);
        let counter = EnergyCounter::find(root).unwrap();
        assert_eq!(counter.name(), "RAPL package-0, package-1");
        let before = counter.read().unwrap();
        assert_eq!(before, [100, 900]);
        // The second one starts anew above 1000.
        put(root, "intel-rapl:0", &package("package-0", "130"));
        put(root, "intel-rapl:1", &package("package-1", "20"));
        assert_eq!(counter.between(&before, &counter.read().unwrap()), 30 + 120);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let root = tempfile::tempdir().unwrap();
        let why = || EnergyCounter::find(root.path()).unwrap_err().to_string();
        assert!(why().contains("no energy counters (RAPL) on this machine"));
        put(root.path(), "intel-rapl:0", &package("package-0", "many"));
        assert!(why().contains("energy_uj holds 'many', which is no count"));
        zone(root.path(), "intel-rapl:0", &[("energy_uj", "1")]);
        let counter = EnergyCounter::find(root.path()).unwrap();
        std::fs::remove_file(root.path().join(POWERCAP).join("intel-rapl:0/energy_uj")).unwrap();
        assert_eq!(counter.read(), None);
        assert!(why().contains("cannot be read"));
    }
}
