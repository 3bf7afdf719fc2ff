//! Owns the reading of measured cold starts: medians by variant and condition, and what a condition changes.

use crate::record::{Condition, MemoryUse, PageCache, StartSample, Starts, Taken};
use crate::stats::{self, Interval};

/// An error of 2.5% on each side, of intervals that describe and decide nothing.
const ONE_SIDE: f64 = 0.025;

/// What is still there of dropped files is worth a word beyond this share, and so is what is missing of warm ones.
const NEARLY: f64 = 0.01;

/// The starts of one variant under one condition.
#[derive(Debug, Clone, PartialEq)]
pub struct StartRow {
    /// The variant.
    pub variant: String,
    /// Under what it was started.
    pub condition: Condition,
    /// Counted starts that came to a first token.
    pub starts: usize,
    /// Those that did not.
    pub failed: usize,
    /// Why the first of them failed.
    pub failure: Option<String>,
    /// Spawn to first token, seconds.
    pub cold_start: Option<Median>,
    /// Mean log ratio of the cold start to that of the variant's first condition in the same repeat; nothing for that
    /// condition itself.
    pub change: Option<Interval>,
    /// Medians of its steps, seconds.
    pub steps: Steps,
    /// Medians of its memory, bytes.
    pub memory: StartMemory,
    /// The share of the model's files in the page cache before the spawn, 0 to 1: of the start that was farthest from
    /// what the condition asks for.
    pub page_cache: Option<f64>,
    /// The same of the engine's libraries.
    pub library_page_cache: Option<f64>,
}

/// A median with the ends of a 95% interval, where there are values enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Median {
    /// The median.
    pub value: f64,
    /// The ends of the interval, of order statistics.
    pub interval: Option<[f64; 2]>,
}

/// Medians of the steps of a start, seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Steps {
    /// Spawn to the handshake.
    pub spawn: Option<f64>,
    /// Loading the engine's library.
    pub library: Option<f64>,
    /// Reading the model.
    pub read: Option<f64>,
    /// Compiling it, or building its tensors.
    pub compile: Option<f64>,
    /// The first request's time to first token.
    pub first_token: Option<f64>,
}

/// Medians of the memory of a start, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StartMemory {
    /// The peak until the model was loaded.
    pub load_peak: Option<f64>,
    /// What was resident then.
    pub loaded: Option<f64>,
    /// The peak from then on.
    pub serving_peak: Option<f64>,
    /// What was resident after the request.
    pub steady: Option<f64>,
}

impl StartRow {
    /// Whether the page cache was not what the condition asks for.
    pub fn is_off(&self) -> bool {
        let off = |share: f64| match self.condition.page_cache {
            Some(PageCache::Warm) => share < 1.0 - NEARLY,
            Some(PageCache::Dropped) => share > NEARLY,
            None => false,
        };
        self.page_cache.is_some_and(off) || self.library_page_cache.is_some_and(off)
    }
}

/// The starts by variant and condition, in the order of the plan.
pub fn start_rows(starts: &Starts) -> Vec<StartRow> {
    let mut rows = Vec::new();
    for variant in &starts.plan.variants {
        let conditions = starts.plan.conditions.get(variant).map_or(&[][..], Vec::as_slice);
        let first = conditions.first().map(|condition| of(starts, variant, *condition));
        for (index, condition) in conditions.iter().enumerate() {
            let samples = of(starts, variant, *condition);
            let others = first.as_ref().filter(|_| index > 0);
            let change = others.and_then(|others| change(&samples, others));
            rows.push(row(variant, *condition, &samples, change));
        }
    }
    rows
}

/// The counted starts of a variant under a condition: not the one that made the compiled model for all later ones.
fn of<'a>(starts: &'a Starts, variant: &str, condition: Condition) -> Vec<&'a StartSample> {
    let counted = |sample: &&StartSample| {
        let made = sample.run.model_cache.is_some_and(|cache| cache.taken == Taken::Made);
        sample.repeat > 0 && !made && sample.condition == condition && sample.run.variant == variant
    };
    starts.samples.iter().filter(counted).collect()
}

fn row(
    variant: &str,
    condition: Condition,
    samples: &[&StartSample],
    change: Option<Interval>,
) -> StartRow {
    let values: Vec<f64> = samples.iter().filter_map(|sample| cold_start(sample)).collect();
    let failures = samples.iter().filter_map(|sample| sample.run.failure.as_ref());
    let span = |value: &dyn Fn(&StartSample) -> Option<u64>| {
        median(samples, &|sample| Some(value(sample)? as f64 * 1e-9))
    };
    let phase = |value: fn(&crate::record::LoadPhases) -> Option<u64>| {
        span(&|sample| value(sample.run.phases.as_ref()?))
    };
    let bytes = |value: &dyn Fn(&StartSample) -> Option<u64>| {
        median(samples, &|sample| Some(value(sample)? as f64))
    };
    let loaded = |value: fn(&MemoryUse) -> u64| {
        bytes(&|sample| sample.run.memory_loaded.as_ref().map(value))
    };
    StartRow {
        variant: variant.to_string(),
        condition,
        starts: values.len(),
        failed: samples.len() - values.len(),
        failure: failures.map(ToString::to_string).next(),
        cold_start: (!values.is_empty()).then(|| Median {
            value: stats::quantile(&values, 0.5),
            interval: stats::median_interval(&values, ONE_SIDE),
        }),
        change,
        steps: Steps {
            spawn: span(&|sample| sample.run.hello_ns),
            library: phase(|phases| phases.library_ns),
            read: phase(|phases| phases.read_ns),
            compile: phase(|phases| phases.compile_ns),
            first_token: span(&|sample| sample.ttft_ns),
        },
        memory: StartMemory {
            load_peak: loaded(|memory| memory.peak_rss),
            loaded: loaded(MemoryUse::resident),
            serving_peak: bytes(&|sample| sample.run.serving_peak),
            steady: bytes(&|sample| sample.run.memory.as_ref().map(MemoryUse::resident)),
        },
        page_cache: farthest(condition, samples.iter().filter_map(|sample| sample.run.page_cache)),
        library_page_cache: farthest(
            condition,
            samples.iter().filter_map(|sample| sample.library_page_cache),
        ),
    }
}

/// Spawn to first token, seconds.
fn cold_start(sample: &StartSample) -> Option<f64> {
    sample.run.first_token_ns.map(|ns| ns as f64 * 1e-9).filter(|seconds| *seconds > 0.0)
}

/// The median of what the starts that came to a first token have of a value.
fn median(samples: &[&StartSample], value: &dyn Fn(&StartSample) -> Option<f64>) -> Option<f64> {
    let came = samples.iter().filter(|sample| cold_start(sample).is_some());
    let values: Vec<f64> = came.filter_map(|sample| value(sample)).collect();
    (!values.is_empty()).then(|| stats::quantile(&values, 0.5))
}

fn farthest(condition: Condition, shares: impl Iterator<Item = f64>) -> Option<f64> {
    match condition.page_cache {
        Some(PageCache::Dropped) => shares.max_by(f64::total_cmp),
        _ => shares.min_by(f64::total_cmp),
    }
}

/// Student's t interval of the log ratio, paired by repeat, in which both ran one soon after the other.
fn change(samples: &[&StartSample], others: &[&StartSample]) -> Option<Interval> {
    let ratio = |sample: &&StartSample| {
        let other = others.iter().find(|other| other.repeat == sample.repeat)?;
        Some((cold_start(sample)? / cold_start(other)?).ln())
    };
    let ratios: Vec<f64> = samples.iter().filter_map(ratio).collect();
    stats::t_interval(&ratios, ONE_SIDE)
}
