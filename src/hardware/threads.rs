//! Owns work that several threads do at once: all begin together, and the time is that of the slowest.

use std::sync::{Barrier, OnceLock};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Repetitions of which the best counts, as STREAM has it: what else ran can only make it slower.
const REPETITIONS: usize = 12;

/// Least duration of a repetition; the clock and the start of threads are nothing beside it.
const LEAST: Duration = Duration::from_millis(8);

/// Makes a worker's state on each of some threads, so that its memory is touched there first, lets all work
/// together for several repetitions, and returns the least time of a pass, seconds; `None` if the system gives no
/// more threads.
///
/// `pass` does a fixed amount of work.
pub(super) fn best<State>(
    threads: usize,
    make: impl Fn() -> State + Sync,
    pass: impl Fn(&mut State) + Sync,
) -> Option<f64> {
    // Opened once all are there, or closed if one is not, so that none waits for ever.
    let gate: OnceLock<Option<Barrier>> = OnceLock::new();
    let passes = passes(&make, &pass);
    let worker = &|| {
        let barrier = gate.wait().as_ref()?;
        let mut state = make();
        pass(&mut state);
        let mut spans = [(Instant::now(), Instant::now()); REPETITIONS];
        for span in &mut spans {
            barrier.wait();
            let begun = Instant::now();
            (0..passes).for_each(|_| pass(&mut state));
            *span = (begun, Instant::now());
        }
        Some(spans)
    };
    let spans: Vec<[(Instant, Instant); REPETITIONS]> = std::thread::scope(|scope| {
        let started = (0..threads).map(|_| Builder::new().spawn_scoped(scope, worker));
        let started: Option<Vec<_>> = started.map(Result::ok).collect();
        let opened = gate.set(started.is_some().then(|| Barrier::new(threads)));
        debug_assert!(opened.is_ok(), "set once");
        started?.into_iter().map(|thread| thread.join().ok()?).collect::<Option<Vec<_>>>()
    })?;
    let took = |repetition: usize| {
        let first = spans.iter().map(|of_thread| of_thread[repetition].0).min();
        let last = spans.iter().map(|of_thread| of_thread[repetition].1).max();
        let whole = first.zip(last).map(|(first, last)| last - first);
        whole.unwrap_or_default().as_secs_f64() / passes as f64
    };
    Some((0..REPETITIONS).map(took).fold(f64::INFINITY, f64::min))
}

/// How many passes of one thread alone last long enough to be timed.
fn passes<State>(make: &impl Fn() -> State, pass: &impl Fn(&mut State)) -> usize {
    let mut state = make();
    pass(&mut state);
    let begun = Instant::now();
    let mut done = 0;
    while begun.elapsed() < LEAST {
        pass(&mut state);
        done += 1;
    }
    done
}
