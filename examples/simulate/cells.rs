//! Owns how cells are run: on all processors, each on random numbers of its own, so that a page doesn't depend
//! on who came first.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The seed of everything.
pub const SEED: u64 = 20_260;

/// A cell's random numbers.
pub type Random = ChaCha8Rng;

/// The cell's own stream: streams of one seed never overlap, so cells are independent, and one that is
/// added to a table leaves those before it as they were.
pub fn stream(table: u64, index: usize) -> Random {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    random.set_stream(table << 32 | index as u64);
    random
}

/// Runs every cell of a table; results come in the cells' order.
pub fn run<C: Sync, R: Send + Sync>(
    table: u64,
    cells: &[C],
    work: impl Fn(&C, &mut Random) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results: Vec<OnceLock<R>> = cells.iter().map(|_| OnceLock::new()).collect();
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(cell) = cells.get(index) else { return };
            let _ = results[index].set(work(cell, &mut stream(table, index)));
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    results.into_iter().map(|result| result.into_inner().expect("every cell was run")).collect()
}

/// The share of replications for which something holds.
pub fn share(replications: usize, mut holds: impl FnMut() -> bool) -> f64 {
    (0..replications).filter(|_| holds()).count() as f64 / replications as f64
}
