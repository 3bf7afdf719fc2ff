//! Owns the serving of a job: streams of one loaded model that take requests from one queue, each by a thread of its
//! own, or one after the other where time is made up. What is timed is stamped here.

use super::queue::{Admission, Queue, Ticket};
use super::{Engine, Generation, Sequence, failed, generate_in};
use crate::protocol::{Job, Order, Served, monotonic_ns};
use crate::record::{Failure, FailureClass};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One of several streams of a loaded model: it runs one sequence at a time, while the others run theirs.
pub trait Stream: Send {
    /// Starts a sequence with an empty cache. Not part of the timed region.
    ///
    /// # Errors
    /// If the engine cannot.
    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure>;

    /// Its clock, nanoseconds.
    fn now_ns(&self) -> u64 {
        monotonic_ns()
    }

    /// Moves a clock that is made up on to a time, if that is not over.
    fn pass_until(&mut self, _ns: u64) {}
}

/// Why there are no streams.
pub(super) fn unsupported() -> Failure {
    let message = "this engine runs one sequence at a time".to_string();
    Failure { class: FailureClass::Unsupported, message }
}

/// A panic in an engine's library is a failed request, with the panic's message.
///
/// # Errors
/// If `work` panics.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Failure { class: FailureClass::Error, message: format!("the engine panicked: {text}") }
    })
}

/// Serves a job. Returns its start (nanoseconds of the engine's clock) and its requests in the order in which they
/// were taken up; those that failed among them, those that nobody began before it was given up left out.
///
/// # Errors
/// If there is nothing to generate, or the engine has not so many streams.
pub fn serve(engine: &mut dyn Engine, job: &Job) -> Result<(u64, Vec<Served>), Failure> {
    if job.orders.is_empty() || job.streams == 0 {
        return Err(failed("a job has at least one order and one stream"));
    }
    let simulated = engine.simulates_time();
    let mut streams = engine.streams(job.streams as usize)?;
    let (start_ns, mut requests) = match simulated {
        true => in_turns(&mut streams, job),
        false => at_once(&mut streams, job),
    };
    requests.sort_by_key(|request| request.index);
    Ok((start_ns, requests))
}

/// What the streams of a job have in common.
struct Common<'a> {
    job: &'a Job,
    queue: Mutex<Queue<'a>>,
    start_ns: u64,
}

impl<'a> Common<'a> {
    fn new(job: &'a Job, start_ns: u64) -> Common<'a> {
        Common { job, queue: Mutex::new(Queue::new(&job.arrivals)), start_ns }
    }

    /// The queue; a stream that panicked has left it whole.
    fn queue(&self) -> MutexGuard<'_, Queue<'a>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, ticket: Ticket) -> &'a Order {
        &self.job.orders[(ticket.index % self.job.orders.len() as u64) as usize]
    }

    /// Nanoseconds since the job's start.
    fn since(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.start_ns)
    }

    /// Serves a request that has arrived, with what was begun for it; nothing if the job was given up. `now_ns` is the
    /// stream's clock at this moment.
    fn request(
        &self,
        (stream, ticket): (usize, Ticket),
        sequence: Result<Box<dyn Sequence + '_>, Failure>,
        now_ns: u64,
    ) -> Option<Served> {
        let admission = self.queue().admit(ticket, self.since(now_ns));
        let done = match admission {
            Admission::GivenUp => return None,
            Admission::Abandoned => Err(abandoned(self.since(now_ns) - ticket.arrival_ns)),
            Admission::Begins => sequence.and_then(|mut sequence| {
                guarded(|| generate_in(sequence.as_mut(), self.order(ticket)))?
            }),
        };
        let served = self.record(stream, ticket, now_ns, done);
        let service = served.token_ns.last();
        let latency = service.map(|service| served.start_ns - ticket.arrival_ns + service);
        self.queue().done(latency);
        Some(served)
    }

    fn record(
        &self,
        stream: usize,
        ticket: Ticket,
        now_ns: u64,
        done: Result<Generation, Failure>,
    ) -> Served {
        let (index, stream, arrival_ns) = (ticket.index, stream as u32, ticket.arrival_ns);
        let request = Served { index, stream, arrival_ns, ..Served::default() };
        match done {
            Ok(Generation { start_ns, token_ns, tokens }) => {
                // A closed loop's request arrives when its stream is free, so never behind its start.
                let start_ns = self.since(start_ns).max(arrival_ns);
                Served { start_ns, token_ns, tokens, ..request }
            }
            Err(failure) => {
                let start_ns = self.since(now_ns).max(arrival_ns);
                Served { start_ns, failure: Some(failure), ..request }
            }
        }
    }
}

fn abandoned(waited_ns: u64) -> Failure {
    let message =
        format!("it waited {:.1} s for a free stream, as long as it may", waited_ns as f64 * 1e-9);
    Failure { class: FailureClass::Deadline, message }
}

/// Every stream by a thread of its own, on the machine's clock.
fn at_once(streams: &mut [Box<dyn Stream + '_>], job: &Job) -> (u64, Vec<Served>) {
    let common = Common::new(job, monotonic_ns());
    let common = &common;
    let served = std::thread::scope(|scope| {
        let threads: Vec<_> = streams
            .iter_mut()
            .enumerate()
            .map(|(number, stream)| scope.spawn(move || by_thread(stream.as_mut(), number, common)))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    (common.start_ns, served)
}

/// What one thread does. A sequence is begun before its request is taken, so that a free stream is ready.
fn by_thread(stream: &mut dyn Stream, number: usize, common: &Common<'_>) -> Vec<Served> {
    let mut served = Vec::new();
    loop {
        let sequence = guarded(|| stream.begin()).and_then(|begun| begun);
        let taken = common.queue().take(common.since(monotonic_ns()), served.len() as u64);
        let Some(ticket) = taken else { return served };
        let arrival_ns = common.start_ns.saturating_add(ticket.arrival_ns);
        std::thread::sleep(Duration::from_nanos(arrival_ns.saturating_sub(monotonic_ns())));
        served.extend(common.request((number, ticket), sequence, monotonic_ns()));
    }
}

/// One stream after the other, always the one whose clock is behind: a simulation of what threads would do.
fn in_turns(streams: &mut [Box<dyn Stream + '_>], job: &Job) -> (u64, Vec<Served>) {
    let start_ns = streams.iter().map(|stream| stream.now_ns()).max().unwrap_or_default();
    streams.iter_mut().for_each(|stream| stream.pass_until(start_ns));
    let common = Common::new(job, start_ns);
    let mut served = Vec::new();
    let mut of_stream = vec![0; streams.len()];
    let mut open: Vec<usize> = (0..streams.len()).collect();
    while let Some(number) = open.iter().copied().min_by_key(|number| streams[*number].now_ns()) {
        let stream = &mut streams[number];
        let taken = common.queue().take(common.since(stream.now_ns()), of_stream[number]);
        let Some(ticket) = taken else {
            open.retain(|other| *other != number);
            continue;
        };
        stream.pass_until(start_ns.saturating_add(ticket.arrival_ns));
        let now_ns = stream.now_ns();
        let sequence = guarded(|| stream.begin()).and_then(|begun| begun);
        served.extend(common.request((number, ticket), sequence, now_ns));
        of_stream[number] += 1;
    }
    (start_ns, served)
}
