//! Owns the bootstrap over rounds of a far tail: the spread of the log ratio of two quantiles of all requests.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Fewest rounds for a bootstrap: with fewer, resampling says too little of what other rounds would
/// have given, and its intervals are too short.
pub const FEWEST_BOOTSTRAP_ROUNDS: usize = 20;

/// Resamples of an interval: their own noise in a standard error is then 0.7%.
pub const RESAMPLES: usize = 10_000;

/// Values of one side in a block of the ranking.
const BLOCK: usize = 256;

/// The requests of all rounds of one side, ranked, such that the quantiles of any resample of its rounds are
/// quickly found.
pub struct Ranked {
    /// Every value with its round, in ascending order.
    values: Vec<(f64, u32)>,
    /// For the start of each block, how many values of each round lie before it: `[blocks][rounds]`.
    before: Vec<Vec<u32>>,
    /// How many values each round has.
    sizes: Vec<u32>,
}

impl Ranked {
    /// Ranks the values of some rounds: `[rounds][requests]`.
    pub fn new(rounds: &[Vec<f64>]) -> Ranked {
        let tag = |(round, values): (usize, &Vec<f64>)| {
            values.iter().map(|value| (*value, round as u32)).collect::<Vec<_>>()
        };
        let mut values: Vec<(f64, u32)> = rounds.iter().enumerate().flat_map(tag).collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut before = Vec::with_capacity(values.len() / BLOCK + 1);
        let mut counts = vec![0u32; rounds.len()];
        for block in values.chunks(BLOCK) {
            before.push(counts.clone());
            block.iter().for_each(|(_, round)| counts[*round as usize] += 1);
        }
        Ranked { values, before, sizes: counts }
    }

    /// The quantile at probability `p` of a sample that holds each round so many times; type 7 of Hyndman
    /// and Fan (1996), as everywhere. NaN for no values.
    pub fn quantile(&self, times: &[u32], p: f64) -> f64 {
        let size = weigh(&self.sizes, times);
        if size == 0 {
            return f64::NAN;
        }
        let place = p * (size - 1) as f64;
        let (below, above) = (place.floor() as u64, place.ceil() as u64);
        let first = self.ordered(times, below);
        let second = if above == below { first } else { self.ordered(times, above) };
        if first == second { first } else { first + (place - place.floor()) * (second - first) }
    }

    /// The value at a rank, from 0, of the sample that holds each round so many times.
    fn ordered(&self, times: &[u32], rank: u64) -> f64 {
        let block = self.before.partition_point(|before| weigh(before, times) <= rank) - 1;
        let mut seen = weigh(&self.before[block], times);
        for (value, round) in &self.values[block * BLOCK..] {
            seen += u64::from(times[*round as usize]);
            if seen > rank {
                return *value;
            }
        }
        f64::NAN
    }
}

fn weigh(counts: &[u32], times: &[u32]) -> u64 {
    counts.iter().zip(times).map(|(count, times)| u64::from(*count) * u64::from(*times)).sum()
}

/// A statistic's value and the standard deviation that a bootstrap over rounds gives it.
///
/// `statistic` gets how many times each of `rounds` rounds is in the sample: once for the value, and as
/// drawn with replacement for `resamples` resamples (Efron 1979; clusters as units: Davison and
/// Hinkley 1997, section 3.8). The spread is scaled by `√(rounds / (rounds - 1))`, since resamples
/// vary about the sample and not about the truth. The same seed draws the same resamples, on any
/// number of processors.
pub fn bootstrap(
    rounds: usize,
    resamples: usize,
    seed: u64,
    statistic: impl Fn(&[u32]) -> f64,
) -> (f64, f64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = Vec::with_capacity(resamples);
    let mut times = vec![0u32; rounds];
    for _ in 0..resamples {
        times.fill(0);
        for _ in 0..rounds {
            // A number below `rounds`; what it favours is less than one in a hundred million.
            let place = (u64::from(random.next_u32()) * rounds as u64) >> 32;
            times[place as usize] += 1;
        }
        drawn.push(statistic(&times));
    }
    let size = rounds as f64;
    let spread = super::standard_deviation(&drawn) * (size / (size - 1.0)).sqrt();
    (statistic(&vec![1; rounds]), spread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn a_resample_has_the_quantiles_of_the_values_written_out() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let rounds: Vec<Vec<f64>> = (0..7)
            .map(|round| (0..100 + round * 13).map(|_| random.random_range(0.0..1.0)).collect())
            .collect();
        let ranked = Ranked::new(&rounds);
        for times in [[1; 7], [0, 2, 0, 1, 3, 1, 0], [7, 0, 0, 0, 0, 0, 0]] {
            let whole: Vec<f64> = rounds
                .iter()
                .zip(times)
                .flat_map(|(values, times)| values.repeat(times as usize))
                .collect();
            for p in [0.0, 0.5, 0.9, 0.99, 1.0] {
                let expected = super::super::quantile(&whole, p);
                assert_eq!(ranked.quantile(&times, p), expected, "{times:?} {p}");
            }
        }
        assert!(Ranked::new(&[]).quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn the_bootstrap_of_a_mean_is_its_standard_error_and_repeats_itself() {
        let values: Vec<f64> = (0..25).map(|index| f64::from(index * index % 17)).collect();
        let mean = |times: &[u32]| {
            values.iter().zip(times).map(|(v, t)| v * f64::from(*t)).sum::<f64>() / 25.0
        };
        let (point, spread) = bootstrap(25, 20_000, 1, mean);
        assert_eq!(point, super::super::mean(&values));
        let expected = super::super::standard_deviation(&values) / 5.0;
        assert!((spread / expected - 1.0).abs() < 0.02, "{spread} {expected}");
        assert_eq!(bootstrap(25, 20_000, 1, mean), (point, spread));
    }
}
