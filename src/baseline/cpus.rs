//! Owns what `/proc/cpuinfo` says of processors: their names on each architecture, and the kinds of cores where a machine
//! has several.

use std::collections::BTreeMap;
use std::path::Path;

/// The processors that this process may use.
pub(super) struct Cpus {
    /// The name of the first one.
    pub(super) name: String,
    /// How many there are.
    pub(super) count: usize,
    /// Each kind with its number, where there are several; sorted.
    pub(super) kinds: Vec<String>,
}

impl Cpus {
    /// Reads them below a root, from the text of `proc/cpuinfo`.
    pub(super) fn read(root: &Path, cpuinfo: &str) -> Cpus {
        let status = std::fs::read_to_string(root.join("proc/self/status")).unwrap_or_default();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let allowed = allowed.and_then(numbers);
        let usable = |cpu: &u32| allowed.as_ref().is_none_or(|list| list.contains(cpu));
        let of_process = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let count = allowed.as_ref().map_or_else(of_process, Vec::len);
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        let mut first = None;
        for (cpu, block) in blocks(cpuinfo) {
            if let Some(name) = name(block).filter(|_| usable(&cpu)) {
                first.get_or_insert_with(|| name.clone());
                *kinds.entry(name).or_default() += 1;
            }
        }
        // Intel's hybrids have one name for both kinds of cores, which the kernel counts apart.
        let hybrid =
            [("cpu_core", "performance"), ("cpu_atom", "efficient"), ("cpu_lowpower", "low-power")];
        let hybrid: BTreeMap<String, usize> = hybrid
            .into_iter()
            .filter_map(|(unit, kind)| {
                let list =
                    std::fs::read_to_string(root.join("sys/devices").join(unit).join("cpus"));
                let cpus = numbers(&list.ok()?)?.into_iter().filter(usable).count();
                (cpus > 0).then(|| (format!("{kind} core"), cpus))
            })
            .collect();
        let kinds = if kinds.len() < 2 && hybrid.len() > 1 { hybrid } else { kinds };
        let kinds = match kinds.len() {
            0 | 1 => Vec::new(),
            _ => kinds.into_iter().map(|(name, count)| format!("{count} × {name}")).collect(),
        };
        // Some kernels name the model once for all processors.
        let name = first.or_else(|| name(cpuinfo)).unwrap_or_else(|| "unknown CPU".to_string());
        Cpus { name, count, kinds }
    }
}

/// The value of the first line of a key, as in `model name : Some CPU`.
pub(super) fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

/// The part of each processor, by its number.
fn blocks(cpuinfo: &str) -> impl Iterator<Item = (u32, &str)> {
    cpuinfo
        .split("\n\n")
        .filter_map(|block| Some((value(block, "processor")?.parse().ok()?, block)))
}

/// What a processor is called, if its part says anything.
fn name(block: &str) -> Option<String> {
    // RISC-V: the core's design, and what it can do.
    let design: Vec<&str> = ["uarch", "isa"].iter().filter_map(|key| value(block, key)).collect();
    if !design.is_empty() {
        return Some(design.join(" "));
    }
    let named = value(block, "model name");
    // Virtual machines often hide the model's name; family, model and stepping still tell it. ARM mostly has none.
    let numbers: Vec<&str> = ["cpu family", "model", "stepping", "CPU implementer", "CPU part"]
        .iter()
        .filter_map(|key| value(block, key))
        .collect();
    match (named, numbers.is_empty()) {
        (Some(name), true) => Some(name.to_string()),
        (Some(name), false) => Some(format!("{name} ({})", numbers.join("-"))),
        (None, false) => Some(numbers.join("-")),
        (None, true) => None,
    }
}

/// The numbers of a list of the kernel's, such as `0-3,8`.
fn numbers(list: &str) -> Option<Vec<u32>> {
    // So many has no machine, and a range of a broken file may be long.
    const MOST: u32 = 1 << 16;
    let mut cpus = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        cpus.extend(first..=last.min(MOST));
    }
    Some(cpus)
}
