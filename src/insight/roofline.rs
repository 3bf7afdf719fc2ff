//! Owns the roofline of a variant: what a token reads and computes, how long that takes at the least on this
//! machine, and how much of the measured time it accounts for.
//!
//! The model is that of Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for
//! multicore architectures" (CACM 52, 2009): no faster than the bytes can be read, nor than the operations can be
//! done. Reading is measured for a working set of the size that a token reads, so that models which fit into caches
//! have a roof of their own.

use crate::metric::{Kind, Metric, Statistic};
use crate::record::{
    Ceiling, EngineInfo, Execution, Hardware, MemoryUse, Number, Part, Products, Told, Work,
    bits_of,
};
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
    /// Whether it is more than the files have: some are widened while loading.
    pub widened: bool,
    /// What tells of it.
    pub told: By,
}

/// What tells how weights are held.
#[derive(Debug, Clone, PartialEq)]
pub enum By {
    /// The runtime, of every product.
    Runtime(Execution),
    /// The memory of the process: the runtime was not asked, or did not tell of every product, for this reason, where
    /// one is known.
    Memory(Option<String>),
}

impl Held {
    /// The products with most of the weights, where the runtime tells of them.
    pub fn most(&self) -> Option<&Products> {
        match &self.told {
            By::Runtime(execution) => execution.most(),
            By::Memory(_) => None,
        }
    }
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
    /// The ceiling of the arithmetic that the variant does, or is set to do where its kernels are not known.
    pub ceiling: Ceiling,
    /// Whether its activations are quantized to 8 bits as they come.
    pub quantizes: bool,
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

/// How a variant holds its weights: as its runtime tells, or else by the memory of its process after the round's last
/// request.
///
/// Engines may widen 16-bit weights to 32 bits while loading, where they compute in 32 bits; where the runtime does not
/// tell, the memory does: narrower weights would not need so much. Where they compute in 16 bits, as much memory is a
/// second copy in another layout. Weights narrower than 16 bits are then taken to be unpacked in registers.
pub fn held(
    work: &Work,
    engine: &EngineInfo,
    memory: Option<MemoryUse>,
    told: Option<&Told<Execution>>,
) -> Held {
    let (weights, stored_bytes) = (work.weights as f64, work.weight_bytes as f64);
    let anonymous_per_weight =
        memory.map(|memory| memory.rss_anon as f64 / weights).filter(|bytes| bytes.is_finite());
    let why = match told {
        Some(Told::Available(execution)) => match whole(execution) {
            Ok(()) => {
                return Held {
                    bytes: execution.bytes() as f64,
                    stored_bytes,
                    anonymous_per_weight,
                    widened: execution.products.iter().any(Products::widened),
                    told: By::Runtime(execution.clone()),
                };
            }
            Err(why) => Some(why),
        },
        Some(Told::Unavailable(why)) => Some(why.clone()),
        None => None,
    };
    let widened = matches!(work.stored.as_str(), "f16" | "bf16")
        && asked_number(engine) == Number::F32
        && anonymous_per_weight.is_some_and(|bytes| bytes >= WIDENED);
    let bytes = if widened { weights * WIDE } else { stored_bytes };
    Held { bytes, stored_bytes, anonymous_per_weight, widened, told: By::Memory(why) }
}

/// Whether a runtime has told of all products.
fn whole(execution: &Execution) -> Result<(), String> {
    let unknown = execution.products.iter().filter(|products| products.held.is_none());
    let unknown: u64 = unknown.map(|products| products.count).sum::<u64>() + execution.untold;
    let all: u64 = execution.products.iter().map(|products| products.count).sum::<u64>();
    match (unknown, all + execution.untold) {
        (0, all) if all > 0 => Ok(()),
        (_, 0) => Err("the runtime tells of no product with weights".to_string()),
        (unknown, all) => Err(format!(
            "the runtime does not tell how {unknown} of {all} products with weights are executed"
        )),
    }
}

/// Why nothing can be said of what a token of a model reads: the files were not understood. `None` if they were.
pub fn not_counted(work: &Work) -> Option<String> {
    let known = work.weight_bytes + work.looked_up_bytes;
    let all = known + work.other_bytes;
    if work.weights == 0 {
        return Some("no product with weights was recognized in the model's files".to_string());
    }
    (work.other_bytes > known).then(|| {
        format!(
            "{} of the {all} bytes of the model's constants feed nothing that is recognized",
            work.other_bytes
        )
    })
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
    if not_counted(work).is_some() {
        return None;
    }
    let held = held(work, engine, memory_of(part, variant), part.execution.get(variant));
    let (bytes, operations) = match stage {
        // Each token of the prompt sees those before it; the weights are read once.
        Stage::Prefill => (held.bytes, prompt * work.operations(prompt / 2.0)),
        Stage::Decode => {
            let positions = prompt + generated / 2.0;
            (held.bytes + cached * positions, work.operations(positions))
        }
    };
    let bandwidth = bandwidth(hardware, threads, bytes)?;
    let sets = &part.header.environment.machine.instruction_sets;
    let quantizes = quantizes(work, engine, &held, sets);
    let number = if quantizes { Number::Int8 } else { multiplied(engine, &held) };
    let kernel = held.most().map(|products| products.kernel.as_str());
    let ceiling = ceiling(hardware, threads, number, kernel)?.clone();
    let (reading, computing) = (bytes / bandwidth, operations / ceiling.operations_per_second);
    let sane = |value: f64| value.is_finite() && value > 0.0;
    if ![bytes, operations, bandwidth, reading, computing, measured].into_iter().all(sane) {
        return None;
    }
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
        quantizes,
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

/// The property that lets activations be quantized as they come, in groups of so many.
const GROUPS: &str = "DYNAMIC_QUANTIZATION_GROUP_SIZE";

/// Instruction sets without which OpenVINO quantizes no activations, as Linux names them.
const VNNI: [&str; 2] = ["avx512_vnni", "avx_vnni"];

fn property<'a>(engine: &'a EngineInfo, key: &str) -> &'a str {
    engine.properties.get(key).map_or("", String::as_str)
}

/// The kind of number that an engine is set to multiply, by its precision hint. candle widens half precision to 32 bits.
fn asked_number(engine: &EngineInfo) -> Number {
    match property(engine, PRECISION) {
        "bf16" => Number::Bf16,
        "f16" => Number::F16,
        _ => Number::F32,
    }
}

/// The kind of number that most products multiply: by the activations that their kernel takes, where it is known.
fn multiplied(engine: &EngineInfo, held: &Held) -> Number {
    match held.most().map(Products::activations) {
        Some("f32") => Number::F32,
        Some("bf16") => Number::Bf16,
        Some("f16") => Number::F16,
        Some(narrow) if bits_of(narrow) == Some(8) => Number::Int8,
        _ => asked_number(engine),
    }
}

/// Whether activations are quantized to 8 bits as they come. No property and no kernel's name tells it: OpenVINO's CPU
/// plugin does it for integer weights that stay compressed, where activations are of 32 bits, the group size is not 0
/// and the processor has VNNI; the tests hold that to the answers.
fn quantizes(work: &Work, engine: &EngineInfo, held: &Held, sets: &[String]) -> bool {
    let kept = match &held.told {
        By::Runtime(_) => held.most().and_then(|products| products.held.as_deref()),
        By::Memory(_) => Some(work.stored.as_str()),
    };
    matches!(kept, Some("u8" | "i8" | "u4" | "i4" | "u2"))
        && !matches!(property(engine, GROUPS), "" | "0")
        && multiplied(engine, held) == Number::F32
        && VNNI.iter().any(|vnni| sets.iter().any(|set| set == vnni))
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

/// The instructions of tiles, which kernels name.
const TILES: &str = "AMX";

/// The ceiling of a kind of number, or of 32 bits where the processor has no instructions for it. That of tiles is for
/// kernels alone whose name says that they use them, where the kernel is known.
fn ceiling<'a>(
    hardware: &'a Hardware,
    threads: usize,
    number: Number,
    kernel: Option<&str>,
) -> Option<&'a Ceiling> {
    let tiles = kernel.is_none_or(|kernel| kernel.contains("amx"));
    let nearest = nearest(hardware.ceilings.iter().map(|ceiling| ceiling.threads), threads)?;
    let mut of_threads = hardware.ceilings.iter().filter(|ceiling| ceiling.threads == nearest);
    let of = |wanted: Number| {
        let of_number = of_threads.clone().filter(|ceiling| ceiling.number == wanted);
        let fits = |ceiling: &&Ceiling| tiles || ceiling.instructions != TILES;
        of_number.clone().find(fits).or_else(|| of_number.clone().next())
    };
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
        let found = ceiling(&hardware(), 2, Number::Bf16, None).unwrap().clone();
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
        let held = |work: &Work, engine, memory| held(work, engine, memory, None);
        assert_eq!(held(&work("f16"), &half, memory(450)).bytes, 200.0, "a second copy");
        assert_eq!(held(&work("f16"), &single, memory(250)).bytes, 200.0);
        assert_eq!(held(&work("f16"), &single, memory(450)).bytes, 400.0);
        assert!(held(&work("f16"), &single, memory(450)).widened);
        assert_eq!(held(&work("u8"), &single, memory(450)).bytes, 200.0);
        assert_eq!(held(&work("f16"), &single, None).bytes, 200.0);
    }

    fn products(kernel: &str, stored: &str, held: Option<&str>, bytes: u64) -> Products {
        let held = held.map(str::to_string);
        let [kernel, stored] = [kernel, stored].map(str::to_string);
        Products { count: 1, kernel, stored, held, weights: bytes, bytes }
    }

    #[test]
    fn what_the_runtime_tells_comes_before_what_the_memory_shows() {
        let work =
            Work { weights: 100, weight_bytes: 200, stored: "f16".to_string(), ..Work::default() };
        let memory = Some(MemoryUse { peak_rss: 0, rss_anon: 410, rss_file: 0 });
        let told = |held: Option<&str>, bytes, untold| {
            let products = vec![products("brgemm_avx2_f32", "f16", held, bytes)];
            Told::Available(Execution { products, untold })
        };
        let of = |told: &Told<Execution>| held(&work, &EngineInfo::default(), memory, Some(told));
        // An export that keeps 16 bits has as much anonymous memory as one that is widened.
        let kept = of(&told(Some("f16"), 200, 0));
        assert_eq!((kept.bytes, kept.widened), (200.0, false));
        let wide = of(&told(Some("f32"), 400, 0));
        assert_eq!((wide.bytes, wide.widened), (400.0, true));
        // Half an answer is none.
        for told in
            [told(Some("f16"), 200, 1), told(None, 200, 0), Told::Unavailable("dead".into())]
        {
            let held = of(&told);
            assert_eq!((held.bytes, held.widened), (400.0, true));
            assert!(matches!(held.told, By::Memory(Some(_))), "{held:?}");
        }
    }

    #[test]
    fn activations_are_quantized_by_group_size_type_and_instructions() {
        let work = Work { weights: 100, stored: "u8".to_string(), ..Work::default() };
        let engine = |groups: &str| EngineInfo {
            properties: [(GROUPS.to_string(), groups.to_string())].into(),
            ..EngineInfo::default()
        };
        let of = |kernel: &str, kept: &str, groups: &str, sets: &[&str]| {
            let products = vec![products(kernel, "u8", Some(kept), 100)];
            let told = Told::Available(Execution { products, untold: 0 });
            let held = held(&work, &engine(groups), None, Some(&told));
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_string()).collect();
            quantizes(&work, &engine(groups), &held, &sets)
        };
        let vnni = ["avx2", "avx512_vnni"];
        assert!(of("brgemm_avx512_f32", "u8", "32", &vnni));
        assert!(!of("brgemm_avx512_f32", "u8", "0", &vnni));
        assert!(!of("brgemm_avx512_bf16", "u8", "32", &vnni), "bf16 is not quantized");
        assert!(!of("brgemm_avx512_f32", "f32", "32", &vnni), "widened weights");
        assert!(!of("brgemm_avx2_f32", "u8", "32", &["avx2"]), "no VNNI");
    }

    #[test]
    fn tiles_are_for_kernels_that_name_them() {
        let of = |instructions: &str, operations_per_second| Ceiling {
            number: Number::Bf16,
            instructions: instructions.to_string(),
            threads: 2,
            operations_per_second,
        };
        let ceilings = vec![of(TILES, 8e12), of("AVX-512 BF16", 1e12)];
        let hardware = Hardware { ceilings, ..Hardware::default() };
        let found =
            |kernel| ceiling(&hardware, 2, Number::Bf16, kernel).unwrap().operations_per_second;
        assert_eq!(found(Some("brgemm_avx512_amx_bf16")), 8e12);
        assert_eq!(found(Some("brgemm_avx512_bf16")), 1e12);
        assert_eq!(found(None), 8e12);
    }

    #[test]
    fn a_model_that_was_not_understood_is_not_counted() {
        assert!(not_counted(&Work::default()).is_some());
        let work = Work { weights: 10, weight_bytes: 10, other_bytes: 11, ..Work::default() };
        assert!(not_counted(&work).unwrap().contains("11 of the 21 bytes"));
        assert_eq!(not_counted(&Work { other_bytes: 10, ..work }), None);
    }
}
