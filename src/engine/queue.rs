//! Owns the order in which the requests of a job are taken up: a queue, first come, first served, of which every
//! stream takes as soon as it is free. It knows no clock: it is told the time.

use crate::protocol::{Arrivals, GiveUp};

/// The requests of a job that no stream has taken yet. All times are nanoseconds since the job's start.
pub(super) struct Queue<'a> {
    arrivals: &'a Arrivals,
    next: u64,
    late: u64,
}

/// A request that a stream has taken. Nobody else serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Its number, from 0.
    pub(super) index: u64,
    /// When it arrives: perhaps later than it was taken, and then the stream waits for it.
    pub(super) arrival_ns: u64,
}

/// What becomes of a request that was taken, once its stream is free and it has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It begins.
    Begins,
    /// It has waited for longer than anybody would.
    Abandoned,
    /// The job has been given up.
    GivenUp,
}

impl<'a> Queue<'a> {
    pub(super) fn new(arrivals: &'a Arrivals) -> Queue<'a> {
        Queue { arrivals, next: 0, late: 0 }
    }

    /// The next request for a stream that is free at `now_ns`, and has served `served`; none if there is no more.
    ///
    /// A free stream takes the next arrival before it is there, and the stream that is free next the one behind it:
    /// whoever is free first has the first request, as in a queue.
    pub(super) fn take(&mut self, now_ns: u64, served: u64) -> Option<Ticket> {
        let arrival_ns = match self.arrivals {
            Arrivals::Closed { until_ns, most } => {
                let open = self.next < *most && (now_ns < *until_ns || served == 0);
                open.then_some(now_ns)?
            }
            Arrivals::Open { due_ns, .. } => *due_ns.get(usize::try_from(self.next).ok()?)?,
        };
        let ticket = Ticket { index: self.next, arrival_ns };
        self.next += 1;
        (!self.given_up()).then_some(ticket)
    }

    /// What becomes of a request at `now_ns`.
    pub(super) fn admit(&self, ticket: Ticket, now_ns: u64) -> Admission {
        let waited = now_ns.saturating_sub(ticket.arrival_ns);
        match self.arrivals {
            _ if self.given_up() => Admission::GivenUp,
            Arrivals::Open { patience_ns, .. } if waited > *patience_ns => Admission::Abandoned,
            _ => Admission::Begins,
        }
    }

    /// A request is done: its latency, or nothing if it failed.
    pub(super) fn done(&mut self, latency_ns: Option<u64>) {
        if let Some(GiveUp { limit_ns, .. }) = self.rule() {
            self.late += u64::from(latency_ns.is_none_or(|latency| latency > limit_ns));
        }
    }

    fn given_up(&self) -> bool {
        self.rule().is_some_and(|rule| self.late >= rule.late)
    }

    fn rule(&self) -> Option<GiveUp> {
        match self.arrivals {
            Arrivals::Open { give_up, .. } => *give_up,
            Arrivals::Closed { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(due_ns: &[u64], give_up: Option<GiveUp>) -> Arrivals {
        Arrivals::Open { due_ns: due_ns.to_vec(), patience_ns: 100, give_up }
    }

    #[test]
    fn an_open_loop_is_served_in_the_order_of_arrival_and_counts_from_it() {
        let arrivals = open(&[10, 20], None);
        let mut queue = Queue::new(&arrivals);
        let first = queue.take(0, 0).unwrap();
        let second = queue.take(5, 0).unwrap();
        assert_eq!((first.arrival_ns, second.arrival_ns), (10, 20), "not when they were taken");
        assert_eq!((first.index, second.index, queue.take(6, 0)), (0, 1, None));
        assert_eq!(queue.admit(second, 120), Admission::Begins);
        assert_eq!(queue.admit(second, 121), Admission::Abandoned);
    }

    #[test]
    fn a_closed_loop_ends_by_time_or_number_and_leaves_no_stream_out() {
        let arrivals = Arrivals::Closed { until_ns: 10, most: 4 };
        let mut queue = Queue::new(&arrivals);
        assert_eq!(queue.take(3, 0), Some(Ticket { index: 0, arrival_ns: 3 }));
        assert_eq!(queue.take(10, 1), None, "the time is over");
        assert!(queue.take(10, 0).is_some(), "a stream that had none has one");
        assert!(queue.take(4, 1).is_some() && queue.take(4, 1).is_some());
        assert_eq!(queue.take(5, 1), None, "the number is reached");
    }

    #[test]
    fn a_job_is_given_up_once_enough_requests_are_late() {
        let arrivals = open(&[0, 1, 2], Some(GiveUp { limit_ns: 50, late: 2 }));
        let mut queue = Queue::new(&arrivals);
        let taken = queue.take(0, 0).unwrap();
        queue.done(Some(51));
        queue.done(Some(50));
        assert_eq!(queue.admit(taken, 60), Admission::Begins, "one is late");
        queue.done(None);
        assert_eq!(queue.admit(taken, 60), Admission::GivenUp, "a failure is late too");
        assert_eq!(queue.take(60, 1), None);
    }
}
