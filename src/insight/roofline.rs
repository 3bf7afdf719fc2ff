//! Owns the roofline of a variant: what a token reads and computes, how long that takes at the least on this
//! machine, and how much of the measured time it accounts for.
//!
//! The model is that of Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for
//! multicore architectures" (CACM 52, 2009): no faster than the bytes can be read, nor than the operations can be
//! done. Reading is measured for a working set of the size that a token reads, so that models which fit into caches
//! have a roof of their own.

use crate::metric::{Kind, Metric, Statistic};
use crate::record::{Ceiling, EngineInfo, Hardware, MemoryUse, Number, Part, Work};
use crate::stats;
use crate::verdict;

/// What of a request is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Reading the prompt, to the first token.
    Prefill,
    /// Each further token.
    Decode,
}

/// What the time of a stage goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Reading that the caches serve faster than the memory would.
    Caches,
    /// Reading from memory.
    Memory,
    /// Multiplying and adding.
    Arithmetic,
    /// Neither accounts for half of the time.
    Overhead,
}

/// How a variant holds and uses its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Bytes of the weights that each token reads, as they are held in memory.
    pub bytes: f64,
    /// Bytes of them in the files.
    pub stored_bytes: f64,
    /// Anonymous memory of the process for each weight, where it is known.
    pub anonymous_per_weight: Option<f64>,
    /// Whether it is more than the files have: widened to 32 bits while loading.
    pub widened: bool,
}

/// A stage of a variant against its bounds. Times are seconds for a token, or for the prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Roofline {
    /// The variant.
    pub variant: String,
    /// The stage.
    pub stage: Stage,
    /// Bytes read: weights, and the key-value cache so far.
    pub bytes: f64,
    /// Multiplications and additions.
    pub operations: f64,
    /// Read bandwidth for a working set of these bytes, bytes per second.
    pub bandwidth: f64,
    /// The ceiling of the arithmetic that the variant is set to.
    pub ceiling: Ceiling,
    /// Whether its engine lets that arithmetic be chosen.
    pub choosable: bool,
    /// Least time of the reading.
    pub reading: f64,
    /// Least time of the arithmetic.
    pub computing: f64,
    /// Measured: the mean over rounds.
    pub measured: f64,
    /// Its 95% interval, where there are rounds enough.
    pub interval: Option<[f64; 2]>,
    /// What limits it.
    pub limit: Limit,
}

impl Roofline {
    /// The least time: the slower of both.
    pub fn bound(&self) -> f64 {
        self.reading.max(self.computing)
    }

    /// The share of the bound that is reached.
    pub fn share(&self) -> f64 {
        self.bound() / self.measured
    }
}

/// The share of the time above which a bound is said to limit a stage.
const ACCOUNTS_FOR: f64 = 0.5;

/// How much faster than memory reading must be to be said to come from caches.
const CLEARLY_FASTER: f64 = 1.3;

/// Weights are widened if the process keeps this many bytes for each: nearly the four of 32 bits.
const WIDENED: f64 = 3.9;

/// Bytes of a number of 32 bits.
const WIDE: f64 = 4.0;

/// How a variant holds its weights: by the memory of its process after the round's last request.
///
/// Engines may widen 16-bit weights to 32 bits while loading, where they compute in 32 bits; no property tells, but the
/// memory does: narrower weights would not need so much. Where they compute in 16 bits, as much memory is a second
/// copy in another layout. Weights narrower than 16 bits are unpacked in registers.
pub fn held(work: &Work, engine: &EngineInfo, memory: Option<MemoryUse>) -> Held {
    let (weights, stored_bytes) = (work.weights as f64, work.weight_bytes as f64);
    let anonymous_per_weight = memory.map(|memory| memory.rss_anon as f64 / weights);
    let widened = matches!(work.stored.as_str(), "f16" | "bf16")
        && number(work, engine) == Number::F32
        && anonymous_per_weight.is_some_and(|bytes| bytes >= WIDENED);
    let bytes = if widened { weights * WIDE } else { stored_bytes };
    Held { bytes, stored_bytes, anonymous_per_weight, widened }
}

/// Memory of a variant's last worker that came to the end of its round.
pub fn memory_of(part: &Part, variant: &str) -> Option<MemoryUse> {
    let rounds = part.complete();
    let workers = rounds.iter().flat_map(|round| &round.workers);
    workers
        .filter(|worker| worker.variant == variant)
        .filter_map(|worker| worker.memory)
        .next_back()
}

/// Both stages of a variant; none if its model's work or its times are not known.
pub fn rooflines(part: &Part, hardware: &Hardware, variant: &str) -> Vec<Roofline> {
    let stages = [Stage::Prefill, Stage::Decode];
    stages.into_iter().filter_map(|stage| roofline(part, hardware, variant, stage)).collect()
}

fn roofline(part: &Part, hardware: &Hardware, variant: &str, stage: Stage) -> Option<Roofline> {
    let work = part.work.get(variant)?;
    let engine = part.engine(variant)?;
    let threads = part.header.variants.get(variant)?.threads;
    let [measured, low, high] = seconds(part, variant, stage)?;
    let (prompt, generated) = lengths(part, variant)?;
    // An engine that does not say how it holds the cache is taken to use 32 bits.
    let cached =
        work.cache_bytes(engine).map_or(work.cache_numbers as f64 * WIDE, |bytes| bytes as f64);
    let held = held(work, engine, memory_of(part, variant));
    let (bytes, operations) = match stage {
        // Each token of the prompt sees those before it; the weights are read once.
        Stage::Prefill => (held.bytes, prompt * work.operations(prompt / 2.0)),
        Stage::Decode => {
            let positions = prompt + generated / 2.0;
            (held.bytes + cached * positions, work.operations(positions))
        }
    };
    let bandwidth = bandwidth(hardware, threads, bytes)?;
    let ceiling = ceiling(hardware, threads, number(work, engine))?.clone();
    let (reading, computing) = (bytes / bandwidth, operations / ceiling.operations_per_second);
    let memory = beyond_caches(hardware, threads)?;
    let limit = match reading.max(computing) / measured {
        share if share < ACCOUNTS_FOR => Limit::Overhead,
        _ if computing > reading => Limit::Arithmetic,
        _ if bandwidth > CLEARLY_FASTER * memory => Limit::Caches,
        _ => Limit::Memory,
    };
    let interval = (low.is_finite() && high.is_finite()).then_some([low, high]);
    let variant = variant.to_string();
    Some(Roofline {
        variant,
        stage,
        bytes,
        operations,
        bandwidth,
        ceiling,
        choosable: engine.properties.contains_key(PRECISION),
        reading,
        computing,
        measured,
        interval,
        limit,
    })
}

/// The mean over rounds of a stage's time and its 95% interval, seconds.
fn seconds(part: &Part, variant: &str, stage: Stage) -> Option<[f64; 3]> {
    let (metric, inverse) = match stage {
        Stage::Prefill => (Metric::from_id("ttft")?, false),
        Stage::Decode => (Metric::from_id("throughput")?, true),
    };
    debug_assert!(metric.kind() == Kind::PerRequest);
    let logs = verdict::log_values(metric, Statistic::Mean, &part.complete(), variant).values;
    if logs.is_empty() {
        return None;
    }
    let wide =
        stats::Interval { point: stats::mean(&logs), low: f64::NEG_INFINITY, high: f64::INFINITY };
    let interval = stats::t_interval(&logs, 0.025).unwrap_or(wide);
    let time = |log: f64| if inverse { (-log).exp() } else { log.exp() };
    let (a, b) = (time(interval.low), time(interval.high));
    Some([time(interval.point), a.min(b), a.max(b)])
}

/// Mean lengths of the timed requests: tokens of the prompt, and generated ones.
fn lengths(part: &Part, variant: &str) -> Option<(f64, f64)> {
    let rounds = part.complete();
    let requests: Vec<_> = rounds.iter().flat_map(|round| verdict::timed(round, variant)).collect();
    if requests.is_empty() {
        return None;
    }
    let mean = |of: fn(&crate::record::Request) -> usize| {
        requests.iter().map(|request| of(request) as f64).sum::<f64>() / requests.len() as f64
    };
    Some((mean(|request| request.prompt_tokens as usize), mean(|request| request.token_ns.len())))
}

/// The property by which OpenVINO lets the arithmetic be chosen.
const PRECISION: &str = "INFERENCE_PRECISION_HINT";

/// The kind of number that an engine is set to multiply: OpenVINO by its precision hint, and in 8 bits where
/// weights are so and activations are quantized as they come. candle widens half precision to 32 bits.
fn number(work: &Work, engine: &EngineInfo) -> Number {
    let property = |key: &str| engine.properties.get(key).map_or("", String::as_str);
    let quantizes = !matches!(property("DYNAMIC_QUANTIZATION_GROUP_SIZE"), "" | "0");
    let narrow = matches!(work.stored.as_str(), "u8" | "i8" | "u4" | "i4");
    match property(PRECISION) {
        _ if quantizes && narrow => Number::Int8,
        "bf16" => Number::Bf16,
        "f16" => Number::F16,
        _ => Number::F32,
    }
}

/// Read bandwidth of a working set by so many threads, bytes per second: between the sizes that were measured, by
/// the logarithm of the size.
pub fn bandwidth(hardware: &Hardware, threads: usize, bytes: f64) -> Option<f64> {
    let curve = curve(hardware, threads);
    let above = curve.iter().position(|(size, _)| *size >= bytes);
    match above {
        None => Some(curve.last()?.1),
        Some(0) => Some(curve[0].1),
        Some(index) => {
            let ((size, speed), (next, then)) = (curve[index - 1], curve[index]);
            let way = (bytes / size).ln() / (next / size).ln();
            Some(speed + way * (then - speed))
        }
    }
}

/// Read bandwidth of the largest working set: of the memory, as far as it is beyond the caches.
pub fn beyond_caches(hardware: &Hardware, threads: usize) -> Option<f64> {
    curve(hardware, threads).last().map(|(_, speed)| *speed)
}

/// Working sets with their bandwidth, ascending, of the number of threads nearest to one that is asked for.
fn curve(hardware: &Hardware, threads: usize) -> Vec<(f64, f64)> {
    let nearest = nearest(hardware.bandwidth.iter().map(|read| read.threads), threads);
    let of_threads = hardware.bandwidth.iter().filter(|read| Some(read.threads) == nearest);
    let mut curve: Vec<(f64, f64)> =
        of_threads.map(|read| (read.bytes as f64, read.bytes_per_second)).collect();
    curve.sort_by(|a, b| a.0.total_cmp(&b.0));
    curve
}

fn nearest(counts: impl Iterator<Item = usize>, threads: usize) -> Option<usize> {
    counts.min_by_key(|count| count.abs_diff(threads))
}

/// The ceiling of a kind of number, or of 32 bits where the processor has no instructions for it.
fn ceiling(hardware: &Hardware, threads: usize, number: Number) -> Option<&Ceiling> {
    let nearest = nearest(hardware.ceilings.iter().map(|ceiling| ceiling.threads), threads)?;
    let mut of_threads = hardware.ceilings.iter().filter(|ceiling| ceiling.threads == nearest);
    let of = |wanted: Number| of_threads.clone().find(|ceiling| ceiling.number == wanted);
    of(number).or_else(|| of(Number::F32)).or_else(|| of_threads.next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Bandwidth;

    fn hardware() -> Hardware {
        let read =
            |threads, bytes, bytes_per_second| Bandwidth { threads, bytes, bytes_per_second };
        let ceiling = |number, threads, operations_per_second| Ceiling {
            number,
            instructions: "test".to_string(),
            threads,
            operations_per_second,
        };
        Hardware {
            caches: Vec::new(),
            bandwidth: vec![
                read(1, 1 << 20, 100e9),
                read(2, 1 << 20, 200e9),
                read(2, 1 << 28, 20e9),
                read(1, 1 << 28, 12e9),
            ],
            ceilings: vec![ceiling(Number::F32, 1, 1e11), ceiling(Number::F32, 2, 2e11)],
        }
    }

    #[test]
    fn bandwidth_lies_between_what_was_measured() {
        let at = |threads, bytes| bandwidth(&hardware(), threads, bytes).unwrap();
        assert_eq!(at(2, 1.0), 200e9);
        assert_eq!(at(2, 1e12), 20e9);
        // Half way in logs: 2^24 bytes.
        assert!((at(2, f64::from(1 << 24)) - 110e9).abs() < 1.0);
        assert_eq!(at(1, 1e12), 12e9);
        assert_eq!(at(64, 1e12), 20e9, "the nearest number of threads");
        assert_eq!(bandwidth(&Hardware::default(), 2, 1.0), None);
    }

    #[test]
    fn a_missing_kind_of_arithmetic_is_done_in_32_bits() {
        let found = ceiling(&hardware(), 2, Number::Bf16).unwrap().clone();
        assert_eq!((found.number, found.operations_per_second), (Number::F32, 2e11));
    }

    #[test]
    fn weights_are_widened_where_the_memory_says_so() {
        let work = |stored: &str| Work {
            weights: 100,
            weight_bytes: 200,
            stored: stored.to_string(),
            ..Work::default()
        };
        let memory = |rss_anon| Some(MemoryUse { peak_rss: 0, rss_anon, rss_file: 0 });
        let single = EngineInfo::default();
        let properties = [(PRECISION.to_string(), "bf16".to_string())].into();
        let half = EngineInfo { properties, ..EngineInfo::default() };
        assert_eq!(held(&work("f16"), &half, memory(450)).bytes, 200.0, "a second copy");
        assert_eq!(held(&work("f16"), &single, memory(250)).bytes, 200.0);
        assert_eq!(held(&work("f16"), &single, memory(450)).bytes, 400.0);
        assert!(held(&work("f16"), &single, memory(450)).widened);
        assert_eq!(held(&work("u8"), &single, memory(450)).bytes, 200.0);
        assert_eq!(held(&work("f16"), &single, None).bytes, 200.0);
    }
}
