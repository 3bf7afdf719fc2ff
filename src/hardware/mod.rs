//! Owns what a machine can do: the sizes of its caches, read bandwidth by working set, and the ceilings of its
//! arithmetic, measured on the spot. It knows no models.

mod arithmetic;
mod bandwidth;
mod caches;
mod threads;

pub use caches::{caches, listed};

use crate::record::Hardware;
use std::path::Path;

/// Measures this machine with one thread and with so many. Takes some seconds, in which nothing else should
/// run; the caches are read below a root, which is `/` but in tests.
///
/// No more than a quarter of `memory_bytes` is used.
pub fn measure(root: &Path, threads: usize, memory_bytes: u64) -> Hardware {
    let caches = caches(root);
    let bandwidth = bandwidth::measure(threads, largest(&caches, memory_bytes));
    Hardware { caches, bandwidth, ceilings: arithmetic::measure(threads) }
}

/// Least size of the largest working set: beyond the caches of most machines.
const LEAST_BEYOND_CACHES: u64 = 256 << 20;

/// Most that is read: a machine with larger caches shows its memory less clearly, in a time that can be waited
/// for.
const MOST: u64 = 2 << 30;

/// Size of the largest working set: four times the caches, as STREAM asks for (McCalpin,
/// <https://www.cs.virginia.edu/stream/ref.html>), within what the machine has.
fn largest(caches: &[crate::record::CacheLevel], memory_bytes: u64) -> u64 {
    let cached: u64 = caches.iter().map(|cache| cache.bytes).max().unwrap_or(0);
    let wanted = (4 * cached).clamp(LEAST_BEYOND_CACHES, MOST);
    let allowed = match memory_bytes {
        0 => LEAST_BEYOND_CACHES,
        bytes => bytes / 4,
    };
    wanted.min(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{CacheLevel, Number};

    #[test]
    fn the_largest_working_set_is_four_times_the_caches_within_the_memory() {
        let cache = |bytes| CacheLevel { level: 3, unified: true, bytes, shared_by: None };
        assert_eq!(largest(&[], 64 << 30), 256 << 20);
        assert_eq!(largest(&[cache(256 << 20)], 64 << 30), 1 << 30);
        assert_eq!(largest(&[cache(1 << 30)], 64 << 30), 2 << 30);
        assert_eq!(largest(&[cache(256 << 20)], 2 << 30), 512 << 20);
    }

    #[test]
    fn this_machine_reads_and_computes() {
        let root = tempfile::tempdir().unwrap();
        let hardware = measure(root.path(), 2, 256 << 20);
        assert!(hardware.caches.is_empty(), "an empty root tells of none");
        let threads: Vec<usize> = hardware.bandwidth.iter().map(|read| read.threads).collect();
        assert!(threads.contains(&1) && threads.contains(&2));
        assert!(hardware.bandwidth.iter().all(|read| read.bytes_per_second.is_finite()));
        assert!(hardware.bandwidth.iter().all(|read| read.bytes_per_second > 0.0));
        let largest = hardware.bandwidth.iter().map(|read| read.bytes).max();
        assert_eq!(largest, Some(64 << 20));
        let of = |number| hardware.ceilings.iter().filter(move |c| c.number == number);
        assert!(of(Number::F32).count() >= 1);
        assert!(hardware.ceilings.iter().all(|ceiling| ceiling.operations_per_second > 0.0));
    }
}
