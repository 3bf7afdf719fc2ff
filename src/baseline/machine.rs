//! Owns the machine's class: what must be equal for absolute times to be comparable.

use super::cpus::{Cpus, value};
use crate::record::{Environment, FinerClass, MachineClass};
use crate::runner;
use std::path::Path;

/// Instruction sets that change the speed or the results of inference, as `/proc/cpuinfo` names them.
const INSTRUCTION_SETS: [&str; 20] = [
    "sse4_2",
    "avx",
    "f16c",
    "fma",
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "asimdhp",
    "bf16",
    "i8mm",
    "sme",
    "sve",
    "sve2",
];

/// Reads this machine below a root, which is `/` but in tests.
pub fn environment(root: &Path) -> Environment {
    let host = runner::host(root);
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let cpuinfo = text("proc/cpuinfo");
    let memory_bytes = memory_bytes(root, "MemTotal").unwrap_or(0);
    let memory_gib = memory_bytes as f64 / f64::from(1 << 30);
    let cpus = Cpus::read(root, &cpuinfo);
    // A quota of the whole time of all CPUs limits nothing.
    let quota = runner::cpu_quota(root).filter(|quota| *quota < cpus.count as f64);
    Environment {
        machine: MachineClass {
            cpu: cpus.name,
            instruction_sets: instruction_sets(&cpuinfo),
            usable_cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            arch: std::env::consts::ARCH.to_string(),
            os: std::env::consts::OS.to_string(),
            memory_gib: nearest_power_of_two(memory_gib),
            finer: Some(FinerClass {
                cpus: cpus.count,
                quota_milli: quota.map(|quota| (quota * 1e3).round() as u64),
                cores: cpus.kinds,
                memory_gib: as_sold(memory_gib),
            }),
        },
        kernel: host.kernel,
        governor: host.governor,
        energy: host.energy,
        throttling: host.throttling,
        memory_bytes,
    }
}

fn instruction_sets(cpuinfo: &str) -> Vec<String> {
    let flags = value(cpuinfo, "flags").or_else(|| value(cpuinfo, "Features")).unwrap_or_default();
    let has = |name: &str| flags.split_whitespace().any(|flag| flag == name);
    let mut found: Vec<String> =
        INSTRUCTION_SETS.iter().filter(|name| has(name)).map(ToString::to_string).collect();
    found.sort();
    found
}

/// A line of `/proc/meminfo`, such as `MemAvailable`, bytes.
pub fn memory_bytes(root: &Path, key: &str) -> Option<u64> {
    let meminfo = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let kib: u64 = value(&meminfo, key)?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Whether the processor says that it is a virtual machine's. Those of ARM never do.
pub fn is_virtual(root: &Path) -> bool {
    let cpuinfo = std::fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
    let flags = value(&cpuinfo, "flags").unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "hypervisor")
}

/// The nearest power of two on a log scale, at least 1.
fn nearest_power_of_two(value: f64) -> u64 {
    1 << value.max(1.0).log2().round() as u32
}

/// The memory that is sold and holds this much, GiB. Between two sizes there is half the lower one at least, and the
/// limit lies 4% above a size: what is kept back of one never reaches down to it, and nothing that is sold is so near.
fn as_sold(gib: f64) -> u64 {
    let mut size = 1;
    loop {
        for sold in [size, size * 3 / 2] {
            if gib <= sold as f64 * 1.04 {
                return sold;
            }
        }
        size *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_a_made_up_machine() {
        let root = tempfile::tempdir().unwrap();
        let proc = root.path().join("proc");
        std::fs::create_dir_all(&proc).unwrap();
        let cpuinfo = "processor\t: 0\ncpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Test CPU\n\
                       stepping\t: 8\nflags\t\t: fpu avx avx2 avx512_vnni\n";
        std::fs::write(proc.join("cpuinfo"), cpuinfo).unwrap();
        std::fs::write(proc.join("meminfo"), "MemTotal:       24600000 kB\n").unwrap();
        let machine = environment(root.path()).machine;
        assert_eq!(machine.cpu, "Test CPU (6-143-8)");
        assert_eq!(machine.instruction_sets, ["avx", "avx2", "avx512_vnni"]);
        assert_eq!(machine.memory_gib, 32, "23.5 GiB is nearer to 32 than to 16");
        assert!(machine.key().starts_with("v2/Test CPU (6-143-8)/avx+avx2+avx512_vnni/"));
        assert_eq!(machine.finer.as_ref().unwrap().memory_gib, 24, "as it is sold");
        let old = MachineClass { finer: None, ..machine };
        assert!(old.key().starts_with("v1/Test CPU (6-143-8)/avx+avx2+avx512_vnni/"));
        assert!(old.key().ends_with("/32GiB"), "{}", old.key());
    }

    #[test]
    fn a_machine_that_tells_nothing_still_has_a_class() {
        let root = tempfile::tempdir().unwrap();
        let machine = environment(root.path()).machine;
        assert_eq!((machine.cpu.as_str(), machine.memory_gib), ("unknown CPU", 1));
    }

    fn put(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    fn class(cpuinfo: &str, files: &[(&str, &str)]) -> MachineClass {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "proc/cpuinfo", cpuinfo);
        put(root.path(), "proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-7\n");
        files.iter().for_each(|(file, text)| put(root.path(), file, text));
        environment(root.path()).machine
    }

    /// Processors of ARM, by implementer and part.
    fn arm(parts: &[&str]) -> String {
        let blocks = parts.iter().enumerate().map(|(cpu, part)| {
            format!(
                "processor\t: {cpu}\nFeatures\t: fp asimd asimddp i8mm\nCPU implementer\t: 0x41\n\
                 CPU part\t: {part}\n\n"
            )
        });
        blocks.collect()
    }

    #[test]
    fn memory_as_it_is_sold_does_not_change_with_what_firmware_keeps() {
        for (sold, installed) in [
            (32, &[33.0, 32.0, 31.2, 30.9, 28.0][..]),
            (24, &[24.0, 23.4, 22.4, 22.6, 21.9]),
            (16, &[16.0, 15.6, 15.1, 13.9]),
            (8, &[8.0, 7.6, 7.2]),
            (96, &[94.2, 90.4]),
            (48, &[47.0, 45.2, 40.0]),
            (64, &[62.7, 56.0]),
            (1, &[0.0, 0.9]),
        ] {
            for gib in installed {
                assert_eq!(as_sold(*gib), sold, "{gib}");
            }
        }
    }

    #[test]
    fn a_quota_is_another_class_than_pinned_cpus() {
        let cgroup = ("proc/self/cgroup", "0::/job\n");
        let quota = |text| class("", &[cgroup, ("sys/fs/cgroup/job/cpu.max", text)]);
        let finer = |class: &MachineClass| class.finer.clone().unwrap();
        let limited = quota("150000 100000\n");
        assert_eq!((finer(&limited).cpus, finer(&limited).quota_milli), (8, Some(1_500)));
        assert!(limited.key().contains("/8cpu-quota-1.5/"), "{}", limited.key());
        assert_eq!(finer(&quota("800000 100000\n")).quota_milli, None, "it limits nothing");
        let pinned = class("", &[("proc/self/status", "Cpus_allowed_list:\t3\n")]);
        assert_eq!((finer(&pinned).cpus, finer(&pinned).quota_milli), (1, None));
        assert_ne!(pinned.key(), limited.key());
    }

    #[test]
    fn cores_without_a_name_are_told_by_their_parts_and_each_kind_counts() {
        let one = class(&arm(&["0xd0c"; 8]), &[]);
        assert_eq!(one.cpu, "0x41-0xd0c");
        assert_eq!(one.instruction_sets, ["asimddp", "i8mm"]);
        assert!(one.finer.as_ref().unwrap().cores.is_empty());
        let big_little = ["0xd05", "0xd05", "0xd05", "0xd05", "0xd0b", "0xd0b"];
        let both = class(&arm(&big_little), &[]);
        let kinds = ["2 × 0x41-0xd0b", "4 × 0x41-0xd05"];
        assert_eq!(both.finer.as_ref().unwrap().cores.len(), 2);
        assert!(both.finer.as_ref().unwrap().cores.iter().all(|c| kinds.contains(&c.as_str())));
        let fewer = class(&arm(&big_little[..5]), &[]);
        assert_ne!(both.key(), fewer.key());
        // Those that may not be used are none of the class.
        let pinned = class(&arm(&big_little), &[("proc/self/status", "Cpus_allowed_list:\t4-5\n")]);
        assert_eq!((pinned.cpu.as_str(), pinned.finer.unwrap().cores.len()), ("0x41-0xd0b", 0));
    }

    #[test]
    fn the_cores_of_risc_v_and_of_hybrids_are_named() {
        let hart = |isa: &str| {
            format!(
                "processor\t: 0\nhart\t\t: 1\nisa\t\t: {isa}\nmmu\t\t: sv39\nuarch\t\t: sifive,u74-mc\n\n"
            )
        };
        assert_eq!(class(&hart("rv64imafdc"), &[]).cpu, "sifive,u74-mc rv64imafdc");
        assert_ne!(class(&hart("rv64imafdcv"), &[]).key(), class(&hart("rv64imafdc"), &[]).key());
        let core = "processor\t: 0\nmodel name\t: Hybrid\nflags\t: avx2\n\n";
        let hybrid = class(
            core,
            &[("sys/devices/cpu_core/cpus", "0-3\n"), ("sys/devices/cpu_atom/cpus", "4-11\n")],
        );
        assert_eq!(hybrid.finer.unwrap().cores, ["4 × efficient core", "4 × performance core"]);
    }

    #[test]
    fn a_class_of_version_1_is_held_to_what_it_says() {
        let same = crate::baseline::same_class;
        let now = class(
            "processor\t: 0\nmodel name\t: Some CPU\n",
            &[("proc/meminfo", "MemTotal: 32000000 kB\n")],
        );
        let old = MachineClass { finer: None, ..now.clone() };
        assert!(same(&now, &old) && same(&old, &now) && same(&now, &now));
        for changed in [
            MachineClass { usable_cpus: old.usable_cpus + 1, ..old.clone() },
            MachineClass { memory_gib: 64, ..old.clone() },
            MachineClass { cpu: "another".into(), ..old.clone() },
        ] {
            assert!(!same(&now, &changed), "{changed:?}");
        }
        // What version 1 did not record may have been anything.
        let finer = now.finer.clone().unwrap();
        let limited = FinerClass { quota_milli: Some(1_500), ..finer.clone() };
        let hybrid = FinerClass { cores: vec!["2 × a".into(), "2 × b".into()], ..finer };
        for finer in [limited, hybrid] {
            let other = MachineClass { finer: Some(finer), ..now.clone() };
            assert!(!same(&other, &old) && !same(&other, &now) && same(&other, &other));
        }
    }
}
