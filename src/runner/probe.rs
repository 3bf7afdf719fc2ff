//! Owns what the system tells of processes and of itself: memory, and whether energy and throttling
//! can be read.

use super::energy::EnergyCounter;
use super::heat::Heat;
use crate::record::{MemoryUse, Reading};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Memory of a process from `/proc/PID/status`; `None` where the system has no such file.
pub fn memory_use(pid: u32) -> Option<MemoryUse> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    parse_status(&status)
}

/// Lets the kernel's count of a process's largest resident set (`VmHWM`) begin anew, and returns what it is then, bytes;
/// `None` where that is not allowed (`/proc/PID/clear_refs`, proc(5)).
pub fn reset_peak(pid: u32) -> Option<u64> {
    // Opened and not made: the file is there or the system has none.
    let mut file =
        std::fs::File::options().write(true).open(format!("/proc/{pid}/clear_refs")).ok()?;
    file.write_all(b"5\n").ok()?;
    Some(memory_use(pid)?.peak_rss)
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
        throttling: match Heat::find(root).since_boot() {
            Ok(throttled) => Reading::Available(format!("{throttled} since boot")),
            Err(why) => Reading::Unavailable(why),
        },
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

/// The folders that may limit this process: of its control group and those that contain it.
///
/// Inside a container the paths may be the host's, and the group itself lies where the outermost
/// is expected; folders that are not there limit nothing.
pub fn control_groups(root: &Path, controller: &str) -> Vec<PathBuf> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mount = root.join("sys/fs/cgroup");
    let mut folders = Vec::new();
    // Version 1 has lines `N:cpu,cpuacct:PATH`, version 2 the line `0::PATH`.
    for line in groups.lines() {
        let Some((_, rest)) = line.split_once(':') else { continue };
        let Some((controllers, path)) = rest.split_once(':') else { continue };
        let mount = match controllers {
            "" => mount.clone(),
            list if list.split(',').any(|one| one == controller) => mount.join(controller),
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        let inside = path.ancestors().filter(|part| !part.to_string_lossy().contains(".."));
        folders.extend(inside.map(|part| mount.join(part)));
    }
    folders
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

    /// In a process of its own: a peak that is over stays in the count until that begins anew.
    #[test]
    fn a_peak_that_is_over_can_be_forgotten() {
        let script = "x=$(head -c 64000000 /dev/zero | tr '\\0' x); unset x; echo ready; read line";
        let mut child = std::process::Command::new("bash")
            .args(["-c", script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let before = memory_use(child.id()).unwrap();
        assert!(before.peak_rss >= 60_000_000 && before.resident() < before.peak_rss, "{before:?}");
        let peak = reset_peak(child.id()).expect("a process may do so with its own children");
        assert!(peak < before.peak_rss, "{peak} after {before:?}");
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(reset_peak(child.id()), None, "a process that is gone");
    }

    #[test]
    fn this_process_has_memory() {
        let memory = memory_use(std::process::id()).expect("Linux tells");
        assert!(memory.peak_rss >= 1 << 20, "{memory:?}");
    }
}
