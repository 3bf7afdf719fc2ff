//! Owns the schedules of open loops: when requests arrive, drawn before the first of them is served.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// How long a schedule is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// All that arrive within so many seconds.
    Seconds(f64),
    /// So many arrivals.
    Requests(u64),
}

/// Arrivals of a Poisson process, nanoseconds since its start, rising: the gaps are exponential with a mean of `1 / rate`
/// seconds, so that arrivals know nothing of each other. The same seed draws the same gaps, at another rate stretched.
pub fn poisson(rate: f64, length: Length, seed: u64) -> Vec<u64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut seconds = 0.0;
    let mut due_ns = Vec::new();
    loop {
        seconds += exponential(&mut random) / rate;
        let more = match length {
            Length::Seconds(end) => seconds < end,
            Length::Requests(count) => (due_ns.len() as u64) < count,
        };
        if !more {
            return due_ns;
        }
        due_ns.push((seconds * 1e9) as u64);
    }
}

/// An exponential deviate with mean 1: the negative logarithm of a uniform one above 0 and up to 1.
fn exponential(random: &mut ChaCha8Rng) -> f64 {
    const STEPS: u64 = 1 << 53;
    -(((random.next_u64() % STEPS) + 1) as f64 / STEPS as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_exponential_and_the_schedule_repeats() {
        let due = poisson(4.0, Length::Requests(40_000), 5);
        assert_eq!((due.len(), due.is_sorted()), (40_000, true));
        let gaps: Vec<f64> = std::iter::once(due[0])
            .chain(due.windows(2).map(|pair| pair[1] - pair[0]))
            .map(|gap| gap as f64 * 1e-9 * 4.0)
            .collect();
        // The share over t is exp(-t), within four standard errors.
        for t in [0.1f64, 0.5, 1.0, 2.0, 4.0] {
            let expected = (-t).exp();
            let share = gaps.iter().filter(|gap| **gap > t).count() as f64 / gaps.len() as f64;
            let error = (expected * (1.0 - expected) / gaps.len() as f64).sqrt();
            assert!((share - expected).abs() < 4.0 * error, "{t}: {share} is not {expected}");
        }
        // A gap says nothing of the next one: no correlation, within four standard errors.
        let product: f64 = gaps.windows(2).map(|pair| (pair[0] - 1.0) * (pair[1] - 1.0)).sum();
        assert!((product / gaps.len() as f64).abs() < 4.0 / (gaps.len() as f64).sqrt());
        assert_eq!(poisson(4.0, Length::Requests(40_000), 5), due);
        assert_ne!(poisson(4.0, Length::Requests(40_000), 6), due);
    }

    #[test]
    fn a_schedule_ends_with_its_seconds_and_is_stretched_with_its_rate() {
        let due = poisson(100.0, Length::Seconds(2.0), 1);
        assert!((150..250).contains(&due.len()), "{}", due.len());
        assert!(*due.last().unwrap() < 2_000_000_000);
        let slow = poisson(50.0, Length::Seconds(4.0), 1);
        assert_eq!(slow.len(), due.len());
        assert!(slow.iter().zip(&due).all(|(slow, fast)| slow.abs_diff(2 * fast) <= 2));
    }
}
