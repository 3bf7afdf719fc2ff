//! Owns the machine's class: what must be equal for absolute times to be comparable.

use crate::record::{Environment, MachineClass};
use crate::runner;
use std::path::Path;

/// Instruction sets that change the speed or the results of inference, as `/proc/cpuinfo` names them.
const INSTRUCTION_SETS: [&str; 14] = [
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
];

/// Reads this machine below a root, which is `/` but in tests.
pub fn environment(root: &Path) -> Environment {
    let host = runner::host(root);
    let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let cpuinfo = text("proc/cpuinfo");
    let memory_bytes = memory_bytes(root, "MemTotal").unwrap_or(0);
    Environment {
        machine: MachineClass {
            cpu: cpu_model(&cpuinfo),
            instruction_sets: instruction_sets(&cpuinfo),
            usable_cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            arch: std::env::consts::ARCH.to_string(),
            os: std::env::consts::OS.to_string(),
            memory_gib: nearest_power_of_two(memory_bytes as f64 / f64::from(1 << 30)),
        },
        kernel: host.kernel,
        governor: host.governor,
        energy: host.energy,
        throttling: host.throttling,
        memory_bytes,
    }
}

/// The value of the first line of a key, as in `model name : Some CPU`.
fn value<'a>(cpuinfo: &'a str, key: &str) -> Option<&'a str> {
    cpuinfo.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

fn cpu_model(cpuinfo: &str) -> String {
    let named = value(cpuinfo, "model name");
    // Virtual machines often hide the model's name; family, model and stepping still tell it.
    let numbers: Vec<&str> = ["cpu family", "model", "stepping", "CPU implementer", "CPU part"]
        .iter()
        .filter_map(|key| value(cpuinfo, key))
        .collect();
    match (named, numbers.is_empty()) {
        (Some(name), true) => name.to_string(),
        (Some(name), false) => format!("{name} ({})", numbers.join("-")),
        (None, false) => numbers.join("-"),
        (None, true) => "unknown CPU".to_string(),
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
        assert!(machine.key().starts_with("v1/Test CPU (6-143-8)/avx+avx2+avx512_vnni/"));
    }

    #[test]
    fn a_machine_that_tells_nothing_still_has_a_class() {
        let root = tempfile::tempdir().unwrap();
        let machine = environment(root.path()).machine;
        assert_eq!((machine.cpu.as_str(), machine.memory_gib), ("unknown CPU", 1));
    }
}
