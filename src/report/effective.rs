//! Owns what is said of settings that are not as they were asked for, and of starts that take a compiled model from a
//! folder.

use crate::metric::Unit;
use crate::record::{EngineInfo, ModelCache, Part, Taken, WorkerRun};

/// What a reader has to know of a session's engines before reading its figures.
pub(super) fn warnings(part: &Part) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in &part.header.plan.variants {
        let differences = part.engine(name).map(EngineInfo::differences).unwrap_or_default();
        warnings.extend(differences.iter().map(|difference| format!("'{name}': {difference}")));
        warnings.extend(model_cache(part, name));
    }
    warnings
}

/// What cold starts of a variant are of that takes its compiled model from a folder.
fn model_cache(part: &Part, variant: &str) -> Option<String> {
    let complete = part.complete();
    let starts = complete.iter().flat_map(|round| &round.workers);
    let starts: Vec<(&WorkerRun, ModelCache)> = starts
        .filter(|worker| worker.variant == variant && worker.attempt == 1)
        .filter_map(|worker| Some((worker, worker.model_cache?)))
        .collect();
    let count = |taken: Taken| starts.iter().filter(|(_, cache)| cache.taken == taken).count();
    let (_, last) = starts.last()?;
    let size = Unit::Bytes.format(last.bytes as f64);
    let made = starts.iter().find(|(_, cache)| cache.taken == Taken::Made);
    let made = made.map(|(worker, _)| match worker.first_token_ns {
        Some(ns) => format!(
            ". The start that made it took {} and is not counted in cold_start, load_time, compile_time, cold_ttft, \
             memory and memory_load_peak",
            Unit::Seconds.format(ns as f64 * 1e-9)
        ),
        None => ". The start that made it is not counted".to_string(),
    });
    let again = count(Taken::MadeAgain) + count(Taken::NotKept);
    Some(match (count(Taken::Kept), again) {
        (0, 0) => format!(
            "the only start of '{variant}' made the compiled model that later ones take from CACHE_DIR ({size}): it has \
             no cold start to be compared"
        ),
        (kept, 0) => format!(
            "{kept} cold starts of '{variant}' take the compiled model from CACHE_DIR ({size}, which model_size does not \
             count){}",
            made.unwrap_or_default()
        ),
        (kept, again) => format!(
            "'{variant}' has CACHE_DIR, and {again} of its starts compiled the model all the same, {kept} took it from \
             there ({size}, which model_size does not count){}",
            made.unwrap_or_default()
        ),
    })
}
