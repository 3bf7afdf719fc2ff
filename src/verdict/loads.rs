//! Owns what a reader must know of how models were loaded: loads that took far more memory than serving does, and cold
//! starts whose files were not in the page cache. It changes no figure.

use super::samples;
use crate::metric::{MEMORY_LOAD_PEAK, MEMORY_STEADY, Metric};
use crate::record::Part;
use crate::stats;

/// A peak of loading of more than so many times the steady state is worth a word.
const HEAVY: f64 = 1.3;

/// Less than this share of a model in the page cache is no warm start. What is missing of a twentieth is read within the
/// noise of a start, and kernels let single pages go at any time.
const WARM: f64 = 0.95;

/// A variant whose loading took far more memory than it held afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct HeavyLoad {
    /// The variant.
    pub variant: String,
    /// Peak of loading, bytes: mean over rounds.
    pub peak: f64,
    /// Resident after the last request, bytes: mean over rounds.
    pub steady: f64,
}

/// Whether a peak of loading is far over a steady state.
pub fn is_heavy(peak: f64, steady: f64) -> bool {
    steady > 0.0 && peak > HEAVY * steady
}

/// The variants of a session whose loading is heavy.
pub fn heavy_loads(part: &Part) -> Vec<HeavyLoad> {
    let rounds = part.complete();
    let mean = |metric: Metric, variant: &str| {
        let value = |round| samples::round_value(metric, round, variant);
        let values: Vec<f64> = rounds.iter().filter_map(|round| value(round)).collect();
        (!values.is_empty()).then(|| stats::mean(&values))
    };
    let load = |variant: &String| {
        let (peak, steady) = (mean(MEMORY_LOAD_PEAK, variant)?, mean(MEMORY_STEADY, variant)?);
        is_heavy(peak, steady).then(|| HeavyLoad { variant: variant.clone(), peak, steady })
    };
    part.header.plan.variants.iter().filter_map(load).collect()
}

/// The page cache before the spawns of a session's counted cold starts: the smallest share of a variant's model that was
/// in it, by variant, where that is no warm start. `None` if the system told nothing of any.
pub fn cold_page_cache(part: &Part) -> Option<Vec<(String, f64)>> {
    let rounds = part.complete();
    let smallest = |variant: &String| {
        let workers = rounds.iter().flat_map(|round| &round.workers);
        let shares = workers
            .filter(|worker| worker.variant == *variant && worker.attempt == 1)
            .filter_map(|worker| worker.page_cache);
        Some((variant.clone(), shares.min_by(f64::total_cmp)?))
    };
    let all: Vec<(String, f64)> = part.header.plan.variants.iter().filter_map(smallest).collect();
    (!all.is_empty()).then(|| all.into_iter().filter(|(_, share)| *share < WARM).collect())
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::part;
    use super::*;
    use crate::record::{MemoryUse, Round, WorkerRun};

    fn rounds(page_cache: Option<f64>) -> Vec<Round> {
        let worker = |variant: &str, peak_rss| WorkerRun {
            variant: variant.into(),
            attempt: 1,
            page_cache,
            memory_loaded: Some(MemoryUse { peak_rss, rss_anon: 100, rss_file: 0 }),
            memory: Some(MemoryUse { peak_rss: 9999, rss_anon: 60, rss_file: 40 }),
            ..WorkerRun::default()
        };
        let round = |round| Round {
            round,
            complete: true,
            workers: vec![worker("base", 130), worker("now", 240 + 10 * u64::from(round))],
            ..Round::default()
        };
        (1..=3).map(round).collect()
    }

    #[test]
    fn a_load_is_heavy_beyond_a_third_more_than_the_steady_state() {
        let found = heavy_loads(&part(&rounds(None)));
        assert_eq!(found, [HeavyLoad { variant: "now".into(), peak: 260.0, steady: 100.0 }]);
    }

    #[test]
    fn a_cold_page_cache_is_told_from_one_that_nobody_knows() {
        assert_eq!(cold_page_cache(&part(&rounds(None))), None);
        assert_eq!(cold_page_cache(&part(&rounds(Some(1.0)))), Some(vec![]));
        let mut some = rounds(Some(1.0));
        some[1].workers[0].page_cache = Some(0.25);
        assert_eq!(cold_page_cache(&part(&some)), Some(vec![("base".into(), 0.25)]));
    }
}
