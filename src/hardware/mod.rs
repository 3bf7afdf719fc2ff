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
/// No more than a quarter of the memory that is `available`, bytes, is used.
pub fn measure(root: &Path, threads: usize, available: Option<u64>) -> Hardware {
    let caches = caches(root);
    let bandwidth = bandwidth::measure(threads, largest(&caches, available));
    Hardware { caches, bandwidth, ceilings: arithmetic::measure(threads) }
}

/// Least size of the largest working set: beyond the caches of most machines.
const LEAST_BEYOND_CACHES: u64 = 256 << 20;

/// Most that is read: a machine with larger caches shows its memory less clearly, in a time that can be waited
/// for.
const MOST: u64 = 2 << 30;

/// Size of the largest working set: four times the caches, as STREAM asks for (McCalpin,
/// <https://www.cs.virginia.edu/stream/ref.html>), within what there is.
fn largest(caches: &[crate::record::CacheLevel], available: Option<u64>) -> u64 {
    let cached: u64 = caches.iter().map(|cache| cache.bytes).max().unwrap_or(0);
    let wanted = (4 * cached).clamp(LEAST_BEYOND_CACHES, MOST);
    available.map_or(LEAST_BEYOND_CACHES, |bytes| wanted.min(bytes / 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{CacheLevel, Number};

    #[test]
    fn the_largest_working_set_is_four_times_the_caches_within_the_memory() {
        let cache = |bytes| CacheLevel { level: 3, unified: true, bytes, shared_by: None };
        assert_eq!(largest(&[], Some(64 << 30)), 256 << 20);
        assert_eq!(largest(&[cache(256 << 20)], Some(64 << 30)), 1 << 30);
        assert_eq!(largest(&[cache(1 << 30)], Some(64 << 30)), 2 << 30);
        assert_eq!(largest(&[cache(256 << 20)], Some(2 << 30)), 512 << 20);
    }

    #[test]
    fn this_machine_reads_and_computes() {
        let root = tempfile::tempdir().unwrap();
        let hardware = measure(root.path(), 2, Some(256 << 20));
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
