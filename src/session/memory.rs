//! Owns the memory that a session needs against what there is: all variants are loaded at once, so
//! that what does not fit is said before hours of swapping or a kill by the kernel.

use crate::baseline;
use crate::problem::{Problem, Result};
use crate::runner::control_groups;
use std::path::Path;

/// How much memory is available, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Available {
    bytes: u64,
    by: String,
}

/// Holds the weights of all variants against the memory that is available below a root.
///
/// The weights alone are the least that is needed: what the engines make of them comes on top, and
/// differs. A machine that tells nothing is believed to have enough.
///
/// # Errors
/// If the weights alone do not fit.
pub fn check(needs: &[(String, u64)], root: &Path) -> Result<()> {
    match available(root) {
        Some(available) => fits(needs, &available),
        None => Ok(()),
    }
}

fn fits(needs: &[(String, u64)], available: &Available) -> Result<()> {
    let need: u64 = needs.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes));
    if need <= available.bytes {
        return Ok(());
    }
    let each: Vec<String> =
        needs.iter().map(|(name, bytes)| format!("{name} {}", amount(*bytes))).collect();
    Err(Problem::new(format!(
        "too little memory: all variants are in memory at once, and their weights alone need {} ({}); \
         {} are available by {}",
        amount(need),
        each.join(", "),
        amount(available.bytes),
        available.by
    ))
    .help(
        "run fewer variants at once, take a smaller model, or give it more memory (end other programs, \
         raise the control group's limit, take a larger machine)",
    ))
}

/// Bytes for a person.
fn amount(bytes: u64) -> String {
    let (unit, name) = match bytes {
        bytes if bytes >= 1 << 40 => (1u64 << 40, "TiB"),
        bytes if bytes >= 1 << 30 => (1 << 30, "GiB"),
        _ => (1 << 20, "MiB"),
    };
    format!("{:.1} {name}", bytes as f64 / unit as f64)
}

/// Bytes that are available; `None` where nothing tells.
pub(super) fn left(root: &Path) -> Option<u64> {
    available(root).map(|available| available.bytes)
}

/// The least of what the machine and each control group above this process leave.
fn available(root: &Path) -> Option<Available> {
    let machine = baseline::memory_bytes(root, "MemAvailable")
        .map(|bytes| Available { bytes, by: "/proc/meminfo".to_string() });
    let groups =
        control_groups(root, "memory").into_iter().filter_map(|folder| of_group(&folder, root));
    machine.into_iter().chain(groups).min_by_key(|available| available.bytes)
}

/// What one group leaves: its limit without what is in use, of which the cache of files can be had
/// back. `None` without a limit.
fn of_group(folder: &Path, root: &Path) -> Option<Available> {
    let number = |name: &str| -> Option<u64> {
        std::fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok()
    };
    let (file, limit, used, keys) = match number("memory.max") {
        Some(limit) => {
            let keys = ["inactive_file ", "active_file "];
            ("memory.max", limit, number("memory.current")?, keys)
        }
        None => {
            let limit = number("memory.limit_in_bytes")?;
            let keys = ["total_inactive_file ", "total_active_file "];
            ("memory.limit_in_bytes", limit, number("memory.usage_in_bytes")?, keys)
        }
    };
    let stat = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let of_key =
        |key: &str| stat.lines().find_map(|line| line.strip_prefix(key)?.parse::<u64>().ok());
    let cache: u64 = keys.into_iter().filter_map(of_key).sum();
    let shown = Path::new("/").join(folder.join(file).strip_prefix(root).ok()?);
    Some(Available {
        bytes: limit.saturating_sub(used.saturating_sub(cache)),
        by: shown.display().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// A root with these files.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn left(files: &[(&str, &str)]) -> (u64, String) {
        let available = available(root(files).path()).unwrap();
        (available.bytes / MIB, available.by)
    }

    const MEMINFO: (&str, &str) =
        ("proc/meminfo", "MemTotal: 9999999 kB\nMemAvailable:    4096000 kB\n");

    #[test]
    fn the_least_of_machine_and_groups_counts() {
        assert_eq!(left(&[MEMINFO]), (4000, "/proc/meminfo".to_string()));
        let unlimited = ("sys/fs/cgroup/a/b/memory.max", "max\n");
        let own = ("proc/self/cgroup", "0::/a/b\n");
        assert_eq!(left(&[MEMINFO, own, unlimited]).0, 4000);
        // Version 2: the limit stands one level up; 300 MiB in use, of which 250 are cache.
        let current = (300 * MIB).to_string();
        let stat = format!("anon 1\ninactive_file {}\nactive_file {}\n", 200 * MIB, 50 * MIB);
        let limit = (1000 * MIB).to_string();
        let above = [
            MEMINFO,
            own,
            unlimited,
            ("sys/fs/cgroup/a/memory.max", limit.as_str()),
            ("sys/fs/cgroup/a/memory.current", &current),
            ("sys/fs/cgroup/a/memory.stat", &stat),
        ];
        assert_eq!(left(&above), (950, "/sys/fs/cgroup/a/memory.max".to_string()));
        // Version 1 in a container: the path is the host's, and the top is the container's own.
        let stat = format!("inactive_file 1\ntotal_inactive_file {}\n", 100 * MIB);
        let version_1 = [
            MEMINFO,
            ("proc/self/cgroup", "9:cpu,memory:/docker/x\n1:name=systemd:/\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", &limit),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", &current),
            ("sys/fs/cgroup/memory/memory.stat", &stat),
        ];
        assert_eq!(left(&version_1).0, 800);
        assert_eq!(available(root(&[]).path()), None, "a machine that tells nothing");
    }

    #[test]
    fn what_does_not_fit_is_told_by_variant() {
        let available = Available { bytes: 1000 * MIB, by: "it".to_string() };
        let needs = |b: u64| [("a".to_string(), 600 * MIB), ("b".to_string(), b * MIB)];
        assert_eq!(fits(&needs(400), &available), Ok(()));
        let problem = fits(&needs(1024), &available).unwrap_err().to_string();
        assert!(problem.contains("need 1.6 GiB (a 600.0 MiB, b 1.0 GiB)"), "{problem}");
        assert!(problem.contains("1000.0 MiB are available by it"), "{problem}");
    }
}
