//! Owns how much of the machine this process may use: its CPUs, and the quota and memory that control
//! groups of both versions leave it.

use crate::baseline;
use crate::hardware::listed;
use crate::runner::{control_groups, cpu_quota};
use std::path::Path;

/// What this process may use.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Limits {
    /// CPUs that it may run on.
    pub(super) affinity: Option<usize>,
    /// CPUs' worth of time that its control groups allow.
    pub(super) quota: Option<f64>,
    /// The machine's memory, bytes.
    pub(super) memory: Option<u64>,
    /// Memory that is free or can be freed now, bytes.
    pub(super) available: Option<u64>,
    /// Memory that its control groups allow, bytes, if less than the machine's.
    pub(super) memory_limit: Option<u64>,
}

impl Limits {
    /// Reads them below a root.
    pub(super) fn read(root: &Path) -> Limits {
        let memory = baseline::memory_bytes(root, "MemTotal");
        let limit = control_groups(root, "memory").iter().filter_map(|f| memory_limit(f)).min();
        Limits {
            affinity: affinity(root),
            quota: cpu_quota(root),
            memory,
            available: baseline::memory_bytes(root, "MemAvailable"),
            // Version 1 writes a huge number for none.
            memory_limit: limit.filter(|limit| memory.is_none_or(|memory| *limit < memory)),
        }
    }

    /// CPUs whose time this process gets.
    pub(super) fn cpus(&self) -> f64 {
        let of_process = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let affinity = self.affinity.unwrap_or_else(of_process) as f64;
        self.quota.map_or(affinity, |quota| quota.min(affinity))
    }
}

fn affinity(root: &Path) -> Option<usize> {
    let status = std::fs::read_to_string(root.join("proc/self/status")).ok()?;
    listed(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)
}

fn memory_limit(folder: &Path) -> Option<u64> {
    ["memory.max", "memory.limit_in_bytes"].iter().find_map(|name| {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        text.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::put;
    use super::*;

    #[test]
    fn version_2_limits_by_every_group_above() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, "proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-2,8\n");
        put(root, "proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n");
        put(root, "proc/self/cgroup", "0::/jobs/one\n");
        put(root, "sys/fs/cgroup/jobs/one/cpu.max", "max 100000\n");
        put(root, "sys/fs/cgroup/jobs/cpu.max", "150000 100000\n");
        put(root, "sys/fs/cgroup/jobs/one/memory.max", "2147483648\n");
        put(root, "sys/fs/cgroup/jobs/memory.max", "max\n");
        let limits = Limits::read(root);
        assert_eq!((limits.affinity, limits.quota), (Some(4), Some(1.5)));
        assert_eq!(limits.memory_limit, Some(2 << 30));
        assert!((limits.cpus() - 1.5).abs() < 1e-9);
    }

    #[test]
    fn version_1_limits_inside_a_container() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, "proc/self/cgroup", "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n");
        put(root, "proc/meminfo", "MemTotal: 8388608 kB\n");
        put(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
        put(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
        put(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        let limits = Limits::read(root);
        assert_eq!(limits.quota, Some(2.0));
        assert_eq!(limits.memory_limit, None, "the number that means none");
        put(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
        put(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n");
        let limits = Limits::read(root);
        assert_eq!((limits.quota, limits.memory_limit), (None, Some(1 << 30)));
    }

    #[test]
    fn a_system_that_tells_nothing_limits_nothing() {
        let root = tempfile::tempdir().unwrap();
        let limits = Limits::read(root.path());
        assert_eq!(limits, Limits::default());
        assert!(limits.cpus() >= 1.0);
        assert_eq!(listed("0-3,8"), Some(5));
        assert_eq!(listed("many"), None);
    }
}
