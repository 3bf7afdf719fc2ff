//! Owns the sizes of the data caches, as Linux shows them under `/sys/devices/system/cpu`.

use crate::record::CacheLevel;
use std::path::Path;

/// The data caches of the first CPU, from the smallest level; none where the system shows none.
pub fn caches(root: &Path) -> Vec<CacheLevel> {
    let folder = root.join("sys/devices/system/cpu/cpu0/cache");
    let mut found: Vec<CacheLevel> =
        (0..10).filter_map(|index| cache(&folder.join(format!("index{index}")))).collect();
    found.sort_by_key(|cache| cache.level);
    found
}

fn cache(folder: &Path) -> Option<CacheLevel> {
    let text =
        |name: &str| Some(std::fs::read_to_string(folder.join(name)).ok()?.trim().to_string());
    let unified = match text("type")?.as_str() {
        "Instruction" => return None,
        "Data" => false,
        _ => true,
    };
    Some(CacheLevel {
        level: text("level")?.parse().ok()?,
        unified,
        bytes: text("size")?.strip_suffix('K')?.parse::<u64>().ok()? << 10,
        shared_by: listed(&text("shared_cpu_list").unwrap_or_default()),
    })
}

/// The number of CPUs in a list of the kernel's, such as `0-3,8`.
pub fn listed(list: &str) -> Option<usize> {
    let in_range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        Some((last + 1).saturating_sub(first))
    };
    list.trim().split(',').map(in_range).sum()
}
