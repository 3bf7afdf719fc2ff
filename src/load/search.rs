//! Owns the search for the highest rate of arrivals at which P99 of the latency keeps to its limit, and what it takes to
//! say that it does.

use crate::protocol::GiveUp;
use crate::record::{Load, LoadKind};
use crate::stats;

/// The share of requests that may be late: P99 is within a limit where at most so many are over it.
pub const LATE: f64 = 0.01;

/// The error of each one-sided statement on a P99.
pub const ALPHA: f64 = 0.05;

/// The search is done when the highest rate that was shown and the lowest that was not are so near.
const NEAR: f64 = 1.1;

/// Most probes of a search.
const MOST_PROBES: u32 = 12;

/// Whether P99 keeps to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// At most 1% are late, shown.
    Yes,
    /// More are, shown.
    No,
    /// Too few requests for either.
    Unknown,
}

/// What `late` of `count` requests say of a P99 against its limit: the exact one-sided bounds of Clopper and Pearson at 95%, by
/// which 299 requests without a late one, or 473 with one, show that it is kept. As MLPerf's LoadGen stops early, but for its
/// 99%. Requests are taken to be independent.
pub fn keeps(late: u64, count: u64) -> Keeps {
    match () {
        () if count > 0 && stats::proportion_upper(late, count, ALPHA) <= LATE => Keeps::Yes,
        () if stats::proportion_lower(late, count, ALPHA) > LATE => Keeps::No,
        () => Keeps::Unknown,
    }
}

/// Fewest requests that show that a P99 is kept: none of them may be late.
pub fn fewest_requests() -> u64 {
    stats::clean_trials_needed(LATE, ALPHA).expect("the share is above 0")
}

/// Requests of a load that were late, and how many count: all that were to arrive, since it is only given up
/// once enough were late.
pub fn late(load: &Load, limit_ns: u64) -> (u64, u64) {
    let over = |latency: Option<u64>| latency.is_none_or(|latency| latency > limit_ns);
    let late = load.requests.iter().filter(|request| over(request.latency_ns())).count() as u64;
    (late, load.arrivals.map_or(load.requests.len() as u64, u64::from))
}

/// When a probe of so many requests is given up: once no rest of it could be enough.
pub(super) fn give_up(limit_ns: u64, count: u64) -> GiveUp {
    let late = (1..=count).find(|late| keeps(*late, count) == Keeps::No).unwrap_or(count);
    GiveUp { limit_ns, late }
}

/// Requests per second that a load came to: those answered over the time to the last answer.
pub fn requests_per_second(load: &Load) -> Option<f64> {
    let answered = load.requests.iter().filter(|request| request.failure.is_none()).count();
    let seconds = seconds(load);
    (answered > 0 && seconds > 0.0).then(|| answered as f64 / seconds)
}

/// Seconds from a load's start to the last thing that happened in it.
pub fn seconds(load: &Load) -> f64 {
    let ends = load.requests.iter().map(|request| {
        request.start_ns.saturating_add(request.token_ns.last().copied().unwrap_or_default())
    });
    ends.max().unwrap_or_default() as f64 * 1e-9
}

/// A bisection of rates.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// The highest rate at which the limit was shown to be kept; 0 before there is one.
    pub shown: f64,
    /// The lowest rate at which that was not shown; before there is one, what the closed loop came to, at which
    /// requests that arrive by chance pile up without end.
    pub not_shown: f64,
    /// Whether it was refuted at `not_shown`.
    pub refuted: bool,
    /// Probes so far.
    pub probes: u32,
    /// Seconds that are left.
    pub seconds: f64,
}

impl Search {
    /// A search below the rate of a closed loop, with so many seconds.
    pub fn new(capacity: f64, seconds: f64) -> Search {
        Search { shown: 0.0, not_shown: capacity, refuted: false, probes: 0, seconds }
    }

    /// Whether the two rates are so near that it is done.
    pub fn is_near(&self) -> bool {
        self.shown > 0.0 && self.not_shown / self.shown < NEAR
    }

    /// The rate of the next probe; none if the search is done, or the seconds left are too few for it.
    pub fn next(&self) -> Option<f64> {
        if self.is_near() || self.probes >= MOST_PROBES {
            return None;
        }
        let rate = 0.5 * (self.shown + self.not_shown);
        (seconds_of_probe(rate) <= self.seconds).then_some(rate)
    }

    /// Takes a load that was made as a probe.
    pub fn probe(&mut self, load: &Load, limit_ns: u64) {
        let (late, count) = late(load, limit_ns);
        // One that failed as a whole did not keep to anything.
        let keeps = if load.failure.is_some() { Keeps::No } else { keeps(late, count) };
        self.probed(load.rate.unwrap_or_default(), keeps, seconds(load));
    }

    fn probed(&mut self, rate: f64, keeps: Keeps, seconds: f64) {
        self.probes += 1;
        self.seconds -= seconds;
        match keeps {
            Keeps::Yes => self.shown = rate,
            Keeps::No | Keeps::Unknown => {
                (self.not_shown, self.refuted) = (rate, keeps == Keeps::No);
            }
        }
    }

    /// The search that recorded probes belong to, in their order.
    pub fn replay<'a>(
        capacity: f64,
        seconds: f64,
        limit_ns: u64,
        loads: impl IntoIterator<Item = &'a Load>,
    ) -> Search {
        let mut search = Search::new(capacity, seconds);
        let probes = loads.into_iter().filter(|load| load.kind == LoadKind::Probe);
        probes.for_each(|load| search.probe(load, limit_ns));
        search
    }
}

/// How long a probe takes at least, seconds.
pub fn seconds_of_probe(rate: f64) -> f64 {
    fewest_requests() as f64 / rate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_p99_takes_299_clean_requests_or_473_with_a_late_one() {
        assert_eq!(fewest_requests(), 299);
        assert_eq!(keeps(0, 299), Keeps::Yes);
        assert_eq!(keeps(0, 298), Keeps::Unknown);
        assert_eq!((keeps(1, 472), keeps(1, 473)), (Keeps::Unknown, Keeps::Yes));
        assert_eq!(keeps(0, 0), Keeps::Unknown);
        assert_eq!(keeps(3, 3), Keeps::No);
        let GiveUp { late, .. } = give_up(1, 299);
        assert_eq!((keeps(late, 299), keeps(late - 1, 299)), (Keeps::No, Keeps::Unknown));
    }

    #[test]
    fn a_search_closes_in_on_the_rate_and_keeps_to_its_seconds() {
        let mut search = Search::new(16.0, 1e9);
        let mut rates = Vec::new();
        while let Some(rate) = search.next() {
            rates.push(rate);
            let keeps = if rate <= 9.5 { Keeps::Yes } else { Keeps::No };
            search.probed(rate, keeps, 299.0 / rate);
        }
        assert_eq!(rates, [8.0, 12.0, 10.0, 9.0, 9.5]);
        assert_eq!((search.shown, search.not_shown, search.refuted), (9.5, 10.0, true));
        // The first probe takes 37 seconds.
        assert_eq!(Search::new(16.0, 37.0).next(), None);
        assert_eq!(Search::new(16.0, 38.0).next(), Some(8.0));
    }
}
