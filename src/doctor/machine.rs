//! Owns the findings about the machine: its class, processor, caches, CPUs, memory and clock.

use super::limits::Limits;
use super::{Finding, Section, count, size};
use crate::baseline;
use crate::hardware;
use crate::record::{CacheLevel, Reading};
use std::path::Path;

/// Looks at the machine below a root.
pub(super) fn section(root: &Path, limits: &Limits) -> Section {
    let environment = baseline::environment(root);
    let machine = &environment.machine;
    let sets = match machine.instruction_sets.is_empty() {
        true => "none of those that speed up inference".to_string(),
        false => machine.instruction_sets.join(" "),
    };
    let findings = vec![
        Finding::ok("class", machine.key()),
        Finding::ok("processor", format!("{}, {}", machine.cpu, machine.arch)),
        Finding::ok("instructions", sets),
        Finding::ok("caches", caches(root)),
        Finding::ok("kernel", environment.kernel.clone()),
        cpus(limits),
        memory(limits),
        swap(root),
        governor(&environment.governor, baseline::is_virtual(root)),
    ];
    Section { title: "Machine", findings }
}

/// The data caches of the first CPU, each with the number of CPUs that share it.
fn caches(root: &Path) -> String {
    let cache = |cache: &CacheLevel| {
        let kind = if cache.unified { "" } else { "d" };
        let sharing = cache.shared_by.map(|cpus| format!(" for {}", count(cpus, "CPU")));
        format!("L{}{kind} {}{}", cache.level, size(cache.bytes), sharing.unwrap_or_default())
    };
    let found: Vec<String> = hardware::caches(root).iter().map(cache).collect();
    if found.is_empty() { "not told by this system".to_string() } else { found.join(", ") }
}

fn cpus(limits: &Limits) -> Finding {
    let affinity = limits.affinity.map_or("some CPUs".to_string(), |cpus| count(cpus, "CPU"));
    match (limits.affinity, limits.quota) {
        (affinity_cpus, Some(quota)) if affinity_cpus.is_none_or(|cpus| quota < cpus as f64) => {
            let whole = (quota.floor() as usize).max(1);
            Finding::warning(
                "CPUs",
                format!(
                    "this process may run on {affinity}, and the quota of its control group is the \
                     time of {quota:.2} CPUs: once it is used up, the kernel stops all threads for a \
                     while, and times scatter"
                ),
                format!(
                    "give whole CPUs instead of a share of their time: `docker run --cpuset-cpus \
                     0-{}` in place of --cpus; in Kubernetes, the static CPU manager with equal \
                     requests and limits; in systemd, AllowedCPUs= in place of CPUQuota=. Or raise \
                     the quota to all of its CPUs. Until then, write threads = {whole} for each variant",
                    (quota.ceil() as usize).saturating_sub(1),
                ),
            )
        }
        (None, _) => Finding::ok("CPUs", "the affinity is not told by this system"),
        (Some(_), Some(quota)) => {
            Finding::ok("CPUs", format!("{affinity}, with a quota of {quota:.2}"))
        }
        (Some(_), None) => Finding::ok("CPUs", format!("{affinity}, without a quota")),
    }
}

fn memory(limits: &Limits) -> Finding {
    let Some(total) = limits.memory else {
        return Finding::ok("memory", "not told by this system");
    };
    let mut text = format!("{} in all", size(total));
    if let Some(available) = limits.available {
        text.push_str(&format!(", {} available", size(available)));
    }
    if let Some(limit) = limits.memory_limit {
        text.push_str(&format!(", limited to {} by the control group", size(limit)));
    }
    Finding::ok("memory", text)
}

fn swap(root: &Path) -> Finding {
    let bytes = |key: &str| baseline::memory_bytes(root, key);
    let (Some(total), Some(free)) = (bytes("SwapTotal"), bytes("SwapFree")) else {
        return Finding::ok("swap", "not told by this system");
    };
    match (total, total.saturating_sub(free)) {
        (0, _) => Finding::ok("swap", "none"),
        (_, 0) => Finding::ok("swap", format!("{}, none of it in use", size(total))),
        (_, used) => Finding::warning(
            "swap",
            format!(
                "{} of {} in use: memory was short, and what comes back from the disk makes times \
                 scatter",
                size(used),
                size(total)
            ),
            "end programs that need much memory, then empty it with `sudo swapoff -a && sudo swapon \
             -a`",
        ),
    }
}

fn governor(governor: &Reading, is_virtual: bool) -> Finding {
    match governor {
        Reading::Available(name) if name == "performance" => Finding::ok("governor", name.clone()),
        Reading::Available(name) => Finding::warning(
            "governor",
            format!("{name}: the clock follows the load, and times scatter"),
            "set it until the next boot with `sudo cpupower frequency-set -g performance`, or \
             without that program: `echo performance | sudo tee \
             /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor`",
        ),
        Reading::Unavailable(why) if is_virtual => Finding::warning(
            "governor",
            format!("{why}: it is a virtual machine, whose host sets the clock"),
            "hold variants against each other, which run side by side at the same clock; where \
             absolute times matter, use bare metal",
        ),
        Reading::Unavailable(why) => Finding::warning(
            "governor",
            why.clone(),
            "load the processor's frequency driver (`sudo modprobe acpi-cpufreq`), or switch on \
             frequency control in the firmware; in a container, mount /sys. If the clock is fixed, \
             nothing is to do",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::super::tests::{about, put};
    use super::*;

    fn cache(root: &Path, index: u32, [level, kind, size, cpus]: [&str; 4]) {
        for (name, text) in
            [("level", level), ("type", kind), ("size", size), ("shared_cpu_list", cpus)]
        {
            let file = format!("sys/devices/system/cpu/cpu0/cache/index{index}/{name}");
            put(root, &file, &format!("{text}\n"));
        }
    }

    fn look(root: &Path) -> Section {
        section(root, &Limits::read(root))
    }

    #[test]
    fn caches_are_told_with_those_who_share_them() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(about(&look(root), "caches").text, "not told by this system");
        cache(root, 0, ["1", "Data", "48K", "0"]);
        cache(root, 1, ["1", "Instruction", "32K", "0"]);
        cache(root, 2, ["2", "Unified", "2048K", "0,4"]);
        cache(root, 3, ["3", "Unified", "33792K", "0-7"]);
        let section = look(root);
        let text = &about(&section, "caches").text;
        assert_eq!(text, "L1d 48 KiB for 1 CPU, L2 2 MiB for 2 CPUs, L3 33 MiB for 8 CPUs");
    }

    #[test]
    fn a_quota_below_the_affinity_is_a_warning() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, "proc/self/status", "Cpus_allowed_list:\t0-3\n");
        assert_eq!(about(&look(root), "CPUs").text, "4 CPUs, without a quota");
        put(root, "proc/self/cgroup", "0::/\n");
        put(root, "sys/fs/cgroup/cpu.max", "150000 100000\n");
        let section = look(root);
        let finding = about(&section, "CPUs");
        assert_eq!(finding.mark, Mark::Warning);
        assert!(finding.text.contains("run on 4 CPUs"), "{}", finding.text);
        assert!(finding.text.contains("the time of 1.50 CPUs"), "{}", finding.text);
        let remedy = finding.remedy.as_ref().unwrap();
        assert!(remedy.contains("--cpuset-cpus 0-1"), "{remedy}");
        assert!(remedy.contains("threads = 1"), "{remedy}");
        put(root, "sys/fs/cgroup/cpu.max", "400000 100000\n");
        assert_eq!(about(&look(root), "CPUs").text, "4 CPUs, with a quota of 4.00");
    }

    #[test]
    fn the_limit_of_the_control_group_is_told() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, "proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n");
        put(root, "proc/self/cgroup", "0::/job\n");
        put(root, "sys/fs/cgroup/job/memory.max", "1073741824\n");
        let text = about(&look(root), "memory").text.clone();
        assert_eq!(
            text,
            "8.0 GiB in all, 4.0 GiB available, limited to 1.0 GiB by the control group"
        );
    }

    #[test]
    fn swap_in_use_is_a_warning() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        put(root, "proc/meminfo", "SwapTotal: 1048576 kB\nSwapFree: 1048576 kB\n");
        assert_eq!(about(&look(root), "swap").mark, Mark::Ok);
        put(root, "proc/meminfo", "SwapTotal: 1048576 kB\nSwapFree: 524288 kB\n");
        let section = look(root);
        assert_eq!(about(&section, "swap").mark, Mark::Warning);
        assert!(about(&section, "swap").text.starts_with("512 MiB of 1.0 GiB in use"));
    }

    #[test]
    fn the_governor_should_be_performance() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let file = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
        put(root, file, "performance\n");
        assert_eq!(about(&look(root), "governor").mark, Mark::Ok);
        put(root, file, "powersave\n");
        let section = look(root);
        assert!(about(&section, "governor").remedy.as_ref().unwrap().contains("-g performance"));
        let absent = Reading::Unavailable("is absent".to_string());
        assert!(governor(&absent, true).remedy.unwrap().contains("bare metal"));
        assert!(governor(&absent, false).remedy.unwrap().contains("modprobe"));
    }
}
