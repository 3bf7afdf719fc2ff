//! Owns the quota of CPU time that control groups of both versions leave this process, and how often the kernel stopped it
//! once a quota was used up.

use super::probe::control_groups;
use crate::record::{Starved, Told};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The CPUs' worth of time that this process may use, if a control group or one of those around it has a quota; below a
/// root, which is `/` but in tests.
pub fn cpu_quota(root: &Path) -> Option<f64> {
    control_groups(root, "cpu").iter().filter_map(|folder| quota(folder)).reduce(f64::min)
}

/// A group's quota in CPUs, if it has one: `cpu.max` holds `QUOTA PERIOD` or `max PERIOD`.
fn quota(folder: &Path) -> Option<f64> {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let (quota, period) = match text("cpu.max") {
        Some(both) => {
            let (quota, period) = both.trim().split_once(' ')?;
            (quota.to_string(), period.to_string())
        }
        None => (text("cpu.cfs_quota_us")?, text("cpu.cfs_period_us")?),
    };
    let (quota, period) = (quota.trim().parse::<f64>().ok()?, period.trim().parse::<f64>().ok()?);
    // Version 1 writes -1 for none.
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

/// The groups with a quota that hold this process.
#[derive(Debug, Clone, Default)]
pub(super) struct Quotas {
    groups: Vec<PathBuf>,
    cpus: f64,
}

/// What the groups counted at one time.
pub(super) type Counted = Result<Vec<Starved>, String>;

impl Quotas {
    /// Finds them below a root.
    pub(super) fn find(root: &Path) -> Quotas {
        let folders: BTreeSet<PathBuf> = control_groups(root, "cpu").into_iter().collect();
        let groups: Vec<PathBuf> =
            folders.into_iter().filter(|folder| quota(folder).is_some()).collect();
        Quotas { groups, cpus: cpu_quota(root).unwrap_or_default() }
    }

    /// Reads what they count.
    pub(super) fn read(&self) -> Counted {
        self.groups.iter().map(|folder| self.counted(folder)).collect()
    }

    fn counted(&self, folder: &Path) -> Result<Starved, String> {
        let file = folder.join("cpu.stat");
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        let value = |key: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
            line.trim().parse().ok()
        };
        // Microseconds by version 2, nanoseconds by version 1.
        let ns = value("throttled_usec").map(|us| us.saturating_mul(1_000));
        let counted = || {
            Some(Starved {
                cpus_milli: (self.cpus * 1e3).round() as u64,
                periods: value("nr_periods")?,
                throttled: value("nr_throttled")?,
                throttled_ns: ns.or_else(|| value("throttled_time"))?,
            })
        };
        counted().ok_or_else(|| format!("{} counts no throttled periods", file.display()))
    }

    /// What the quota cost between two times: of several groups, of the one that stopped this process longest. Nothing
    /// where there is no quota.
    pub(super) fn between(&self, before: &Counted, after: &Counted) -> Option<Told<Starved>> {
        if self.groups.is_empty() {
            return None;
        }
        let (before, after) = match (before, after) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(why), _) | (_, Err(why)) => return Some(Told::Unavailable(why.clone())),
        };
        let spent = before.iter().zip(after).map(|(before, after)| Starved {
            cpus_milli: after.cpus_milli,
            periods: after.periods.saturating_sub(before.periods),
            throttled: after.throttled.saturating_sub(before.throttled),
            throttled_ns: after.throttled_ns.saturating_sub(before.throttled_ns),
        });
        spent.max_by_key(|spent| (spent.throttled_ns, spent.periods)).map(Told::Available)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    fn stat(periods: u64, throttled: u64, usec: u64) -> String {
        format!(
            "usage_usec 5\nnr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec {usec}\n"
        )
    }

    #[test]
    fn the_group_that_stopped_this_process_is_found_among_those_around_it() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let groups = "sys/fs/cgroup";
        put(root, "proc/self/cgroup", "0::/jobs/one\n");
        assert!(Quotas::find(root).between(&Ok(vec![]), &Ok(vec![])).is_none(), "no quota");
        put(root, &format!("{groups}/jobs/one/cpu.max"), "400000 100000\n");
        put(root, &format!("{groups}/jobs/cpu.max"), "150000 100000\n");
        put(root, &format!("{groups}/jobs/one/cpu.stat"), &stat(100, 0, 0));
        put(root, &format!("{groups}/jobs/cpu.stat"), &stat(200, 10, 3_000));
        assert_eq!(cpu_quota(root), Some(1.5));
        let quotas = Quotas::find(root);
        let before = quotas.read();
        put(root, &format!("{groups}/jobs/one/cpu.stat"), &stat(130, 0, 0));
        put(root, &format!("{groups}/jobs/cpu.stat"), &stat(230, 21, 5_500));
        let expected =
            Starved { cpus_milli: 1_500, periods: 30, throttled: 11, throttled_ns: 2_500_000 };
        assert_eq!(quotas.between(&before, &quotas.read()), Some(Told::Available(expected)));
        std::fs::remove_file(root.join(groups).join("jobs/cpu.stat")).unwrap();
        let told = quotas.between(&before, &quotas.read()).unwrap();
        assert!(told.unavailable().unwrap().contains("cpu.stat cannot be read"), "{told:?}");
    }

    #[test]
    fn version_1_counts_nanoseconds() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, "proc/self/cgroup", "1:cpu,cpuacct:/docker/abc\n");
        put(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n");
        put(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
        put(
            root,
            "sys/fs/cgroup/cpu/cpu.stat",
            "nr_periods 4\nnr_throttled 1\nthrottled_time 77\n",
        );
        assert_eq!(cpu_quota(root), Some(2.5));
        let expected = Starved { cpus_milli: 2_500, periods: 4, throttled: 1, throttled_ns: 77 };
        assert_eq!(Quotas::find(root).read(), Ok(vec![expected]));
        put(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
        assert_eq!(cpu_quota(root), None);
    }
}
