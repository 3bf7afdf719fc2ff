//! Owns what the system tells of processes and of itself: memory, and whether energy and throttling
//! can be read.

use super::energy::EnergyCounter;
use crate::record::{MemoryUse, Reading};
use std::path::Path;

/// Memory of a process from `/proc/PID/status`; `None` where the system has no such file.
pub fn memory_use(pid: u32) -> Option<MemoryUse> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    parse_status(&status)
}

/// `VmHWM`, `RssAnon` and `RssFile`, which the kernel gives in KiB.
fn parse_status(status: &str) -> Option<MemoryUse> {
    let bytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some(MemoryUse {
        peak_rss: bytes("VmHWM:")?,
        rss_anon: bytes("RssAnon:")?,
        rss_file: bytes("RssFile:")?,
    })
}

/// What this machine tells beyond its class.
pub struct Host {
    /// The kernel's name and version.
    pub kernel: String,
    /// The frequency governor.
    pub governor: Reading,
    /// Package energy counters.
    pub energy: Reading,
    /// Throttle counters.
    pub throttling: Reading,
}

/// Reads the host below a root, which is `/` but in tests.
pub fn host(root: &Path) -> Host {
    let name = rustix::system::uname();
    let text = |s: &std::ffi::CStr| s.to_string_lossy().into_owned();
    Host {
        kernel: format!("{} {}", text(name.sysname()), text(name.release())),
        governor: read(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        energy: match EnergyCounter::find(root) {
            Ok(counter) => Reading::Available(counter.name()),
            Err(why) => Reading::Unavailable(why.to_string()),
        },
        throttling: read(
            root,
            "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count",
        ),
    }
}

fn read(root: &Path, path: &str) -> Reading {
    match std::fs::read_to_string(root.join(path)) {
        Ok(text) => Reading::Available(text.trim().to_string()),
        Err(error) => Reading::Unavailable(match error.kind() {
            std::io::ErrorKind::NotFound => format!("/{path} is absent on this machine"),
            _ => format!("/{path} cannot be read: {error}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_lines() {
        let status = "Name:\tx\nVmHWM:\t  2048 kB\nRssAnon:\t 1024 kB\nRssFile:\t  512 kB\n";
        let memory = parse_status(status).unwrap();
        assert_eq!(
            (memory.peak_rss, memory.rss_anon, memory.rss_file),
            (2 << 20, 1 << 20, 1 << 19)
        );
        assert_eq!(parse_status("Name:\tkthread\n"), None);
    }

    #[test]
    fn this_process_has_memory() {
        let memory = memory_use(std::process::id()).expect("Linux tells");
        assert!(memory.peak_rss >= 1 << 20, "{memory:?}");
    }
}
