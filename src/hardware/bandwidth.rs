//! Owns the bandwidth of reading a working set over and over, by its size and the number of threads.
//!
//! A token is the reading of all weights, so it is reading alone that is measured, with loads as wide as the
//! processor has them.

use super::threads::best;
use crate::record::Bandwidth;
use std::hint::black_box;

/// The smallest working set: within the first cache of every processor.
const SMALLEST: u64 = 16 << 10;

/// Bytes that one step reads: eight loads of 64 bytes, which is enough to keep a core's misses in flight.
const STEP: usize = 512;

/// Reads working sets from 16 KiB to `largest`, each twice as large as the one before, by one thread and by
/// `threads`; up to what the system gives.
pub(super) fn measure(threads: usize, largest: u64) -> Vec<Bandwidth> {
    let mut counts = vec![1, threads.max(1)];
    counts.dedup();
    let sizes = || std::iter::successors(Some(SMALLEST), |bytes| Some(bytes * 2));
    counts
        .into_iter()
        .flat_map(|threads| {
            let within = sizes().take_while(move |bytes| *bytes <= largest);
            within.map_while(move |bytes| of(threads, bytes))
        })
        .collect()
}

fn of(threads: usize, bytes: u64) -> Option<Bandwidth> {
    let each = (bytes as usize / threads).next_multiple_of(STEP);
    // Asked for before, since a thread cannot do without. A quarter more is for what else it takes.
    Vec::<u8>::new().try_reserve_exact((bytes + bytes / 4) as usize).ok()?;
    let read = reader();
    let seconds = best(
        threads,
        || Buffer::new(each),
        |buffer| {
            black_box(read(black_box(buffer.numbers())));
        },
    )?;
    let bytes = (each * threads) as u64;
    Some(Bandwidth { threads, bytes, bytes_per_second: bytes as f64 / seconds })
}

/// Memory that begins at a line of the cache, so that no load crosses one.
struct Buffer {
    memory: Vec<[u64; 8]>,
}

impl Buffer {
    fn new(bytes: usize) -> Buffer {
        // Not zeros, which the kernel would give as one page that all share.
        Buffer { memory: vec![[0x0101_0101_0101_0101; 8]; bytes / 64 + 1] }
    }

    /// Whole steps of numbers.
    fn numbers(&self) -> &[u64] {
        let all = self.memory.as_flattened();
        let skipped = all.as_ptr().align_offset(64);
        let rest = &all[skipped..];
        let each = STEP / size_of::<u64>();
        &rest[..(all.len() - 8) / each * each]
    }
}

/// The way of reading that fits this processor; the sum is so that nothing is left out.
type Reader = fn(&[u64]) -> u64;

#[cfg(target_arch = "x86_64")]
fn reader() -> Reader {
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has the instructions.
        return |numbers| unsafe { sum_avx512(numbers) };
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the instructions.
        return |numbers| unsafe { sum_avx2(numbers) };
    }
    sum
}

#[cfg(not(target_arch = "x86_64"))]
fn reader() -> Reader {
    sum
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn sum_avx512(numbers: &[u64]) -> u64 {
    sum(numbers)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_avx2(numbers: &[u64]) -> u64 {
    sum(numbers)
}

/// Sums in as many lanes as eight registers have; the compiler makes the widest loads of it that the caller's
/// instructions allow.
#[inline(always)]
fn sum(numbers: &[u64]) -> u64 {
    const LANES: usize = STEP / size_of::<u64>();
    let mut lanes = [0_u64; LANES];
    for chunk in numbers.chunks_exact(LANES) {
        for (lane, number) in lanes.iter_mut().zip(chunk) {
            *lane = lane.wrapping_add(*number);
        }
    }
    lanes.iter().fold(0, |sum, lane| sum.wrapping_add(*lane))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reader_reads_everything() {
        for bytes in [STEP, 3 * STEP, 1 << 16] {
            let buffer = Buffer::new(bytes);
            let expected = (bytes as u64 / 8).wrapping_mul(0x0101_0101_0101_0101);
            assert_eq!(buffer.numbers().len() * 8, bytes);
            assert_eq!(reader()(buffer.numbers()), expected);
            assert_eq!(sum(buffer.numbers()), expected);
        }
    }
}
