//! Owns whether energy counters of one package's dies are one counter that is shown several times.
//!
//! A processor of several dies has a zone for each. On some the package counts once and each die shows that count (AMD's
//! Threadripper 1950X, and Zen 4 on kernels that take its chiplets for dies): their sum is a multiple of what was
//! spent. On others each die counts for itself (Intel's Cascade Lake AP): their sum is what was spent. Names do not
//! tell the two apart. Counts do, if they are looked at often enough while the machine is at work: counters since
//! boot that are equal at one time may be so by chance, or because both dies rest.

use super::energy::{MOST_WATTS, NoCounters, Zone};
use crate::protocol::monotonic_ns;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Time from one look to the next, which a thread spends at work: it heats one die more than another.
const STEP: Duration = Duration::from_millis(25);

/// Fewest steps in which the counter went on until it is believed: a quarter of a second.
const FEWEST: u32 = 10;

/// Steps after which a counter that still does not go on is given up.
const MOST: u32 = 80;

/// How much later one die may show the count than another: RAPL's registers are written about every millisecond.
const LATE: Duration = Duration::from_millis(2);

/// Of several zones of one package, those that count for themselves, and those that repeat one of them.
#[derive(Debug, Default)]
pub(super) struct Dies {
    /// With a counter of their own.
    pub own: Vec<Zone>,
    /// The place in `own` of what is repeated, and the zone that repeats it.
    pub repeats: Vec<(usize, Zone)>,
}

/// Looks at the zones of one package.
///
/// # Errors
/// If counters can no longer be read, or are equal and stand still, so that nothing tells what they are.
pub(super) fn tell_apart(zones: Vec<Zone>) -> Result<Dies, NoCounters> {
    let mut dies = Dies::default();
    for zone in zones {
        let mut repeated = None;
        for (index, other) in dies.own.iter().enumerate() {
            if other.range == zone.range && repeats(&zone, other)? {
                repeated = Some(index);
                break;
            }
        }
        match repeated {
            Some(index) => dies.repeats.push((index, zone)),
            None => dies.own.push(zone),
        }
    }
    Ok(dies)
}

/// Whether a zone shows the counter of another one.
fn repeats(zone: &Zone, other: &Zone) -> Result<bool, NoCounters> {
    let begin = Look::take(zone, other)?;
    // Far apart: no power of any package explains it.
    if !begin.agrees(MOST_WATTS, other.range) {
        return Ok(false);
    }
    let (mut last, mut steps) = (begin, 0);
    for _ in 0..MOST {
        work(STEP);
        let now = Look::take(zone, other)?;
        steps += u32::from(now.before != last.before);
        last = now;
        let ns = now.at_ns.saturating_sub(begin.at_ns).max(1);
        let spent = ahead(begin.before, now.before, other.range);
        let watts = spent as f64 * 1e3 / ns as f64;
        if !now.agrees(watts, other.range) {
            return Ok(false);
        }
        if steps >= FEWEST {
            // The first look, too, by the power that is known now.
            return Ok(begin.agrees(watts, other.range));
        }
    }
    Err(NoCounters::Broken(format!(
        "{} and {} of one package are equal and stand still, so whether they are one counter cannot be told",
        zone.counter.display(),
        other.counter.display()
    )))
}

/// Two counters at one time, microjoules: the other's before and after the one's.
#[derive(Debug, Clone, Copy)]
struct Look {
    at_ns: u64,
    before: u64,
    between: u64,
    after: u64,
}

impl Look {
    fn take(zone: &Zone, other: &Zone) -> Result<Look, NoCounters> {
        Ok(Look {
            at_ns: monotonic_ns(),
            before: other.read()?,
            between: zone.read()?,
            after: other.read()?,
        })
    }

    /// Whether both can be one counter at a power.
    fn agrees(&self, watts: f64, range: u64) -> bool {
        let late = (watts * LATE.as_secs_f64() * 1e6).round() as u64;
        let begin = (self.before + range - late.min(range)) % range.max(1);
        ahead(begin, self.between, range) <= ahead(self.before, self.after, range) + 2 * late
    }
}

/// Whether two counts that were read right after one another can still be of one counter.
pub(super) fn still_one(of_own: u64, of_repeat: u64, range: u64) -> bool {
    let (before, between, after) = (of_own, of_repeat, of_own);
    Look { at_ns: 0, before, between, after }.agrees(MOST_WATTS, range)
}

/// How far a counter went that starts anew above its range.
fn ahead(from: u64, to: u64, range: u64) -> u64 {
    if to >= from { to - from } else { to + range.saturating_sub(from) }
}

/// Keeps one thread busy.
fn work(time: Duration) {
    let begin = Instant::now();
    let mut value = 1.0_f64;
    while begin.elapsed() < time {
        for _ in 0..10_000 {
            value = black_box(value.mul_add(1.000_000_1, 1e-9));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: u64 = 65_712_999_613;

    #[test]
    fn counts_agree_within_what_is_spent_in_two_milliseconds() {
        let look = |between: u64| Look { at_ns: 0, before: 1_000_000, between, after: 1_000_500 };
        // 100 W: 200 mJ in that time.
        for (between, expected) in [
            (1_000_000, true),
            (1_000_500, true),
            (800_000, true),
            (799_999, false),
            (1_200_500, true),
            (1_200_501, false),
            (50_000_000_000, false),
        ] {
            assert_eq!(look(between).agrees(100.0, RANGE), expected, "{between}");
        }
        // Where one has started anew already.
        let around = Look { at_ns: 0, before: RANGE - 100, between: 50, after: 100 };
        assert!(around.agrees(0.0, RANGE));
        let late = Look { at_ns: 0, before: 50, between: RANGE - 100, after: 60 };
        assert!(late.agrees(100.0, RANGE) && !late.agrees(0.01, RANGE));
    }

    #[test]
    fn counters_that_drift_apart_are_two() {
        assert!(still_one(5_000_000, 5_100_000, RANGE));
        assert!(still_one(RANGE - 10, 10, RANGE));
        assert!(!still_one(5_000_000, 95_000_000, RANGE), "90 J in between two reads");
    }
}
