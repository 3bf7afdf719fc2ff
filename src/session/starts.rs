//! Owns the measuring of cold starts apart from any session: fresh processes of some variants under several
//! conditions, one after the other, in an order that chance makes.

use super::identity::{self, Runtimes};
use super::plan::{known_record, now};
use super::{memory, models, preflight};
use crate::baseline;
use crate::config::{Setup, Variant};
use crate::engine;
use crate::problem::{Problem, Result};
use crate::protocol::Order;
use crate::record::{
    Condition, Entry, PageCache, STARTS_FORMAT, StartPlan, StartSample, Starts, WorkerRun,
};
use crate::runner::{Cut, Starter, page_cache, read_memory};
use crate::worker::{Interrupt, Worker};
use crate::workload::{self, Prompts, request_seed};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What makes conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factor {
    /// The page cache, warm or dropped.
    PageCache,
    /// The engine's cache of compiled models, off or on.
    ModelCache,
    /// Mapping of the model's files, on or off.
    Mmap,
}

/// A measurement that could begin.
#[derive(Debug)]
pub struct PreparedStarts {
    setup: Setup,
    prompts: Prompts,
    /// What is to be done, and no sample yet.
    pub starts: Starts,
}

/// Prepares the starts of the variants of a configuration. The machine is looked at below `root`, which is `/` but in
/// tests.
///
/// # Errors
/// If a file is missing or wrong, or a model does not fit into memory.
pub fn prepare_starts(
    mut setup: Setup,
    repeats: u32,
    factors: &[Factor],
    root: &Path,
    program: &Path,
) -> Result<PreparedStarts> {
    let runtimes = &mut Runtimes::new(program);
    models::settle(&mut setup, runtimes)?;
    preflight::writable(&setup.config.output)?;
    let output = setup.config.output.clone();
    let mut variants = BTreeMap::new();
    let mut conditions = BTreeMap::new();
    for variant in &mut setup.config.variants {
        let model = preflight::inspect_model(variant)?;
        // One at a time is in memory.
        memory::check(&[(variant.name.clone(), model.weight_bytes)], root)?;
        engine::inspect_runtime(&variant.load)
            .map_err(|problem| problem.of(&format!("variant '{}'", variant.name)))?;
        let (mut record, known) = known_record(variant, &model)?;
        variant.load.known = known;
        record.identity = Some(identity::identity(variant, runtimes, &output)?);
        variants.insert(variant.name.clone(), record);
        let has_files = !model.files.is_empty();
        conditions.insert(variant.name.clone(), conditions_of(variant, has_files, factors));
    }
    let config = &setup.config;
    let prompts = workload::prepare(&config.workload, &config.variants)?;
    let fed = |name: String| {
        let tokens = prompts.of(&name)[0].tokens.len();
        (name, tokens)
    };
    let plan = StartPlan {
        variants: config.names(),
        conditions,
        repeats,
        seed: config.workload.seed,
        prompt_tokens: config.names().into_iter().map(fed).collect(),
        gen_tokens: config.workload.gen_tokens,
    };
    let starts = Starts {
        format: STARTS_FORMAT,
        started: now(),
        provenance: baseline::provenance(&setup),
        environment: baseline::environment(root),
        variants,
        plan,
        complete: false,
        samples: Vec::new(),
    };
    Ok(PreparedStarts { setup, prompts, starts })
}

/// Every combination of what the factors can be for a variant; the usual start first. The page cache is warm where
/// nobody asks for it, since hashing has read the files.
fn conditions_of(variant: &Variant, has_files: bool, factors: &[Factor]) -> Vec<Condition> {
    let switches = engine::switches(&variant.load);
    let wanted = |factor, has: bool| has && factors.contains(&factor);
    let page_caches = match (has_files, factors.contains(&Factor::PageCache)) {
        (false, _) => vec![None],
        (true, false) => vec![Some(PageCache::Warm)],
        (true, true) => vec![Some(PageCache::Warm), Some(PageCache::Dropped)],
    };
    let states = |wanted: bool, usual: bool| match wanted {
        true => vec![Some(usual), Some(!usual)],
        false => vec![None],
    };
    let model_caches = states(wanted(Factor::ModelCache, switches.model_cache.is_some()), false);
    let mmaps = states(wanted(Factor::Mmap, switches.mmap.is_some()), true);
    let mut conditions = Vec::new();
    for mmap in mmaps {
        for model_cache in &model_caches {
            for page_cache in &page_caches {
                let (page_cache, model_cache) = (*page_cache, *model_cache);
                conditions.push(Condition { page_cache, model_cache, mmap });
            }
        }
    }
    conditions
}

/// Measures every start. `sink` gets what there is after each of them, to be saved.
///
/// # Errors
/// If a variant's set-up is at fault, the user interrupts, or the sink fails. What was measured until then the sink has.
pub fn run_starts(
    prepared: PreparedStarts,
    program: &Path,
    interrupt: &Interrupt,
    sink: &mut dyn FnMut(&Starts) -> Result<()>,
) -> Result<Starts> {
    let PreparedStarts { setup, prompts, mut starts } = prepared;
    let config = &setup.config;
    let caches = tempfile::Builder::new()
        .prefix("model-cache-")
        .tempdir_in(&config.output)
        .map_err(|error| Problem::io(&config.output, "make a folder for model caches", &error))?;
    let bench = Bench { setup: &setup, prompts: &prompts, program, interrupt, caches };
    for (repeat, variant, condition) in schedule(&starts.plan) {
        let variant = config.variant(&variant).expect("the plan is of these variants");
        let slot = starts.samples.len() as u32;
        let sample = bench.start(variant, condition, (repeat, slot))?;
        starts.samples.push(sample);
        sink(&starts)?;
    }
    starts.complete = true;
    sink(&starts)?;
    Ok(starts)
}

/// How many starts a plan comes to, those that fill a model cache among them.
pub fn starts_in(plan: &StartPlan) -> u64 {
    let conditions = plan.variants.iter().filter_map(|name| plan.conditions.get(name)).flatten();
    let (mut all, mut fill) = (0u64, 0u64);
    for condition in conditions {
        all += 1;
        fill += u64::from(fills(*condition));
    }
    all.saturating_mul(u64::from(plan.repeats)).saturating_add(fill)
}

/// Whether a model cache is filled for it first; the same one serves where the page cache is dropped.
fn fills(condition: Condition) -> bool {
    condition.model_cache == Some(true) && condition.page_cache != Some(PageCache::Dropped)
}

/// The starts in their order: first those that fill model caches, then by repeat all conditions of all variants,
/// shuffled (Durstenfeld 1964, Communications of the ACM 7, algorithm 235).
fn schedule(plan: &StartPlan) -> Vec<(u32, String, Condition)> {
    let mut all: Vec<(String, Condition)> = Vec::new();
    for name in &plan.variants {
        let conditions = plan.conditions.get(name).into_iter().flatten();
        all.extend(conditions.map(|condition| (name.clone(), *condition)));
    }
    let mut order: Vec<(u32, String, Condition)> = all
        .iter()
        .filter(|(_, condition)| fills(*condition))
        .map(|(name, condition)| (0, name.clone(), *condition))
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
    for repeat in 1..=plan.repeats {
        for place in (1..all.len()).rev() {
            // The bias of the remainder is below 2^-57 for so few.
            let other = (random.next_u64() % (place as u64 + 1)) as usize;
            all.swap(place, other);
        }
        order.extend(all.iter().map(|(name, condition)| (repeat, name.clone(), *condition)));
    }
    order
}

/// What every start needs.
struct Bench<'a> {
    setup: &'a Setup,
    prompts: &'a Prompts,
    program: &'a Path,
    interrupt: &'a Interrupt,
    /// The folder of model caches, which goes with it.
    caches: TempDir,
}

impl Bench<'_> {
    /// Starts a variant under a condition and lets it answer one request.
    fn start(
        &self,
        variant: &Variant,
        condition: Condition,
        (repeat, slot): (u32, u32),
    ) -> Result<StartSample> {
        let (variant, cache) = self.under(variant, condition);
        let libraries = engine::library_files(&variant.load);
        let cached = || cache.as_deref().map_or_else(Vec::new, files_of);
        let library_page_cache = std::cell::Cell::new(None);
        let before_spawn = |model: &[PathBuf]| {
            let files = [model, &libraries, &cached()].concat();
            // What could not be done shows in the shares, which are read afterwards.
            match condition.page_cache {
                Some(PageCache::Warm) => drop(page_cache::warm(&files)),
                Some(PageCache::Dropped) => drop(page_cache::evict(&files)),
                None => {}
            }
            library_page_cache.set(page_cache::resident(&libraries));
        };
        let starter = Starter {
            program: self.program,
            deadline: self.setup.config.deadlines.load,
            interrupt: self.interrupt,
            before_spawn: Some(&before_spawn),
        };
        let nobody = &mut |_: &Entry| Ok(());
        let started = starter.start(&variant, repeat, 1, nobody);
        let (worker, mut run) = started.map_err(|cut| self.problem(cut))?;
        let ttft_ns = match worker {
            Some(worker) => self.first_request(&variant, worker, &mut run)?,
            None => None,
        };
        let model_cache_bytes = cache.is_some().then(|| {
            cached().iter().filter_map(|file| std::fs::metadata(file).ok()).map(|m| m.len()).sum()
        });
        let library_page_cache = library_page_cache.get();
        Ok(StartSample {
            repeat,
            slot,
            condition,
            run,
            ttft_ns,
            library_page_cache,
            model_cache_bytes,
        })
    }

    /// The variant with the condition's switches, and its folder of compiled models if it has one.
    fn under(&self, variant: &Variant, condition: Condition) -> (Variant, Option<PathBuf>) {
        let mut variant = variant.clone();
        let switches = engine::switches(&variant.load);
        if let (Some(switch), Some(on)) = (switches.mmap, condition.mmap) {
            switch(&mut variant.load, on);
        }
        let folder = || {
            let kind = if condition.mmap == Some(false) { "read" } else { "mapped" };
            let number = self.setup.config.variants.iter().position(|v| v.name == variant.name);
            self.caches.path().join(format!("{}-{kind}", number.unwrap_or(0)))
        };
        let cache = condition.model_cache.filter(|on| *on).map(|_| folder());
        if let (Some(switch), Some(_)) = (switches.model_cache, condition.model_cache) {
            switch(&mut variant.load, cache.as_deref());
        }
        // One that the variant names itself is dropped from the page cache too.
        let cache = (switches.cache_folder)(&variant.load);
        (variant, cache)
    }

    /// Asks for the first timing task, notes when its first token came and what memory is held then.
    fn first_request(
        &self,
        variant: &Variant,
        mut worker: Worker,
        run: &mut WorkerRun,
    ) -> Result<Option<u64>> {
        let config = &self.setup.config;
        let task = &self.prompts.of(&variant.name)[0];
        let order = Order {
            prompt: task.tokens.clone(),
            tokens: config.workload.gen_tokens,
            stop: Vec::new(),
            sampling: config.workload.sampling,
            seed: request_seed(config.workload.seed, &task.id),
        };
        let mut ttft = None;
        match worker.generate(&order, config.deadlines.request, self.interrupt) {
            Ok(done) => {
                ttft = done.token_ns.first().copied();
                let first = done.start_ns.saturating_add(ttft.unwrap_or(0));
                run.first_token_ns = Some(first.saturating_sub(run.spawn_ns));
            }
            Err(stop) => {
                let failed = Cut::unless_failed(stop, &variant.name);
                run.failure = Some(failed.map_err(|cut| self.problem(cut))?);
            }
        }
        read_memory(&worker, run);
        worker.stop();
        Ok(ttft)
    }

    fn problem(&self, cut: Cut) -> Problem {
        match cut {
            Cut::Interrupted => Problem::new("interrupted"),
            Cut::Setup { variant, failure } => {
                Problem::new(format!("variant '{variant}' cannot run: {}", failure.message))
            }
            Cut::NotSaved(problem) => problem,
        }
    }
}

/// The files of a folder of compiled models, and of the folders in it: one for each model and set-up.
fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) =
        entries.map(|entry| entry.path()).partition(|path| path.is_dir());
    let inner = folders.iter().flat_map(|folder| files_of(folder));
    files.into_iter().filter(|path| path.is_file()).chain(inner).collect()
}

/// Reads the starts that a file holds.
///
/// # Errors
/// If it cannot be read, or holds none.
pub fn read_starts(file: &Path) -> Result<Starts> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Problem::io(file, "read it", &error)
            .help("`perfgate start` measures cold starts and writes them")
    })?;
    parse_starts(file, &text)
}

/// Reads starts from the text of a file, whose name is for messages.
///
/// # Errors
/// If it holds none, or those of a newer perfgate.
pub fn parse_starts(file: &Path, text: &str) -> Result<Starts> {
    let help = "name a file that `perfgate start` wrote, or measure anew";
    let format = serde_json::from_str::<serde_json::Value>(text).ok();
    let format = format.and_then(|json| json["format"].as_u64());
    if format.is_some_and(|format| format > u64::from(STARTS_FORMAT)) {
        let what = "is of a newer perfgate than this one";
        return Err(Problem::in_file(file, what).help("use that one, or measure anew"));
    }
    serde_json::from_str(text)
        .map_err(|error| Problem::json(file, "holds no cold starts", &error).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(repeats: u32, seed: u64) -> StartPlan {
        let condition = |model_cache, page_cache| Condition {
            page_cache: Some(page_cache),
            model_cache: Some(model_cache),
            mmap: None,
        };
        let all = [(false, PageCache::Warm), (true, PageCache::Warm), (true, PageCache::Dropped)];
        let conditions = all.map(|(on, page_cache)| condition(on, page_cache)).to_vec();
        StartPlan {
            variants: vec!["a".into(), "b".into()],
            conditions: BTreeMap::from([
                ("a".into(), conditions.clone()),
                ("b".into(), conditions),
            ]),
            repeats,
            seed,
            prompt_tokens: BTreeMap::new(),
            gen_tokens: 4,
        }
    }

    #[test]
    fn every_repeat_has_every_condition_once_in_an_order_of_its_own() {
        let order = schedule(&plan(6, 1));
        assert_eq!(order.len(), 2 + 6 * 6);
        assert_eq!(starts_in(&plan(6, 1)), order.len() as u64);
        let fills: Vec<&str> = order[..2].iter().map(|(_, name, _)| name.as_str()).collect();
        assert_eq!((order[1].0, fills), (0, vec!["a", "b"]), "each model cache is filled once");
        let mut orders = Vec::new();
        for (index, repeat) in order[2..].chunks(6).enumerate() {
            assert!(repeat.iter().all(|(number, ..)| *number as usize == index + 1));
            let mut sorted = repeat.to_vec();
            sorted.sort();
            sorted.dedup();
            assert_eq!(sorted.len(), 6);
            orders.push(repeat.iter().map(|(_, name, on)| (name, on)).collect::<Vec<_>>());
        }
        orders.sort();
        orders.dedup();
        assert!(orders.len() > 3, "{orders:?}");
        assert_eq!(schedule(&plan(6, 1)), order, "a seed has one order");
        assert_ne!(schedule(&plan(6, 2)), order);
    }

    /// Each condition stands in each place equally often, up to chance.
    #[test]
    fn shuffling_prefers_no_place() {
        let repeats = 6000;
        let order = schedule(&plan(repeats, 3));
        let mut counts: BTreeMap<(usize, &str, Condition), u32> = BTreeMap::new();
        for repeat in order[2..].chunks(6) {
            for (place, (_, name, condition)) in repeat.iter().enumerate() {
                *counts.entry((place, name, *condition)).or_insert(0) += 1;
            }
        }
        let expected = f64::from(repeats) / 6.0;
        let deviation = (expected * 5.0 / 6.0).sqrt();
        assert_eq!(counts.len(), 36);
        for (what, count) in counts {
            assert!((f64::from(count) - expected).abs() < 4.5 * deviation, "{what:?}: {count}");
        }
    }
}
