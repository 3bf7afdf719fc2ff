//! Owns a session: the plan, the loop over rounds, the journal and the results.

mod alike;
mod context;
mod forecast;
mod hardware;
mod identity;
mod journal;
mod lock;
mod memory;
mod merge;
mod models;
mod plan;
mod preflight;
mod recipe;
mod results;
mod resume;
mod starts;

pub use alike::alike;
pub use forecast::{Forecast, plan_looks};
pub use hardware::{Asking, execution, measure as measure_hardware, work};
pub use journal::{Journal, Recorded, parse_journal, read_journal};
pub use lock::{Locked, lock};
pub use memory::check as fits_in_memory;
pub use merge::{Shard, merge, missing};
pub use models::{is_version, unlike_lock};
pub use plan::{Fed, Prepared, feed, prepare, variant_record};
pub use preflight::{Models, inspect_model, warnings};
pub use results::{add_part, fits, judged, parse_results, read_results, write_atomically};
pub use resume::{Interrupted, find_interrupted};
pub use starts::{
    Factor, PreparedStarts, parse_starts, prepare_starts, read_starts, run_starts, starts_in,
};

use crate::load::LoadPass;
use crate::problem::{Problem, Result};
use crate::quality::{FidelityPass, Pass, Workers};
use crate::record::{
    EngineInfo, Entry, Header, IdlePower, IdleSample, JOURNAL_FORMAT, Load, Part, Round, Told,
    Verdict, WorkerRun, engine_of,
};
use crate::runner::{Cut, Runner, Sink};
use crate::stats;
use crate::verdict::{self, Measured};
use crate::worker::Interrupt;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a session came to.
#[derive(Debug)]
pub enum Ended {
    /// All rounds were run, and the quality pass.
    Complete(Box<Part>),
    /// The user stopped it; the samples are in the journal.
    Interrupted {
        /// Rounds that were complete by then.
        rounds: u32,
    },
}

/// Someone who watches a session, such as a progress bar.
pub trait Observer {
    /// Something happened.
    fn entry(&mut self, entry: &Entry);

    /// Idle power is going to be measured, for so long.
    fn idle(&mut self, _time: Duration) {}

    /// A round came to its end; at a look of the plan, how many of the rules that drive it are decided, of
    /// how many.
    fn round_done(&mut self, round: u32, settled: Option<(usize, usize)>);
}

/// Runs the rounds of a prepared session and its quality pass, and saves each sample as it comes.
///
/// `program` is perfgate's own binary, which serves as the worker. `before` is what an interrupted
/// session had come to: its complete rounds count, the one that was cut short is run again.
///
/// # Errors
/// If a variant's set-up is at fault, or samples cannot be saved.
pub fn run(
    prepared: &Prepared,
    journal: &mut Journal,
    program: PathBuf,
    interrupt: &Interrupt,
    observer: &mut dyn Observer,
    before: Option<Recorded>,
) -> Result<Ended> {
    let config = &prepared.setup.config;
    let mut runner = Runner {
        variants: &config.variants,
        prompts: &prepared.prompts,
        gen_tokens: config.workload.gen_tokens,
        sampling: config.workload.sampling,
        seed: config.workload.seed,
        warmup: config.warmup,
        restarts: config.restarts,
        deadlines: config.deadlines,
        program: program.clone(),
        energy: prepared.energy.clone(),
        idle_watts: None,
        heat: &prepared.heat,
        interrupt: interrupt.clone(),
    };
    let mut part = Part::begin(prepared.header.clone());
    let mut loads = Vec::new();
    match before {
        None => {
            let header = Box::new(part.header.clone());
            journal.append(&Entry::Session { format: JOURNAL_FORMAT, header })?;
        }
        Some(before) => {
            let at = plan::now();
            journal.append(&Entry::Resume { at: at.clone() })?;
            part.rounds = before.rounds;
            part.idle = before.idle;
            loads = before.load;
            part.resumed = [before.resumed, vec![at]].concat();
        }
    }
    let mut cut = None;
    let mut settled = look(prepared, &part).is_some_and(|look| look.open.is_empty());
    if !settled && complete(&part) < config.rounds {
        cut = take_idle_off(&mut runner, prepared, &mut part, journal, observer)?;
    }
    while cut.is_none() && !settled && complete(&part) < config.rounds {
        // The number sets the order of starts, so a round that was cut short is made up for by one
        // of the same number.
        let number = complete(&part) + 1;
        let (round, why) = runner.round(number, &mut sink(journal, observer));
        cut = why;
        part.rounds.push(round);
        if cut.is_some() {
            continue;
        }
        let look = look(prepared, &part);
        if let Some(look) = &look {
            sink(journal, observer)(&look.entry(number))?;
            settled = look.open.is_empty();
        }
        observer.round_done(number, look.map(|look| look.counts()));
    }
    if cut.is_none() {
        let asking = Asking { program: &program, deadlines: config.deadlines, interrupt };
        cut = hardware::record(prepared, &mut part, asking, &mut sink(journal, observer)).err();
    }
    if cut.is_none() {
        let done = load(prepared, &program, interrupt, &loads, &mut sink(journal, observer));
        cut = done.map(|loads| part.load = loads).err();
    }
    if cut.is_none() {
        cut = passes(prepared, &mut part, &program, interrupt, &mut sink(journal, observer)).err();
    }
    let complete = complete(&part);
    let interrupted = cut == Some(Cut::Interrupted);
    let end = Entry::SessionEnd { rounds: complete, interrupted };
    let saved = sink(journal, observer)(&end);
    match cut {
        None => {
            saved?;
            part.ended = plan::now();
            Ok(Ended::Complete(Box::new(part)))
        }
        Some(Cut::Interrupted) => Ok(Ended::Interrupted { rounds: complete }),
        Some(Cut::NotSaved(problem)) => Err(problem),
        Some(Cut::Setup { variant, failure }) => {
            Err(Problem::new(format!("variant '{variant}' cannot run: {}", failure.message)))
        }
    }
}

/// Measures idle power where it is to be subtracted, while no worker is alive. Where that fails no energy is
/// counted: one with it and one without are two things.
fn take_idle_off(
    runner: &mut Runner<'_>,
    prepared: &Prepared,
    part: &mut Part,
    journal: &mut Journal,
    observer: &mut dyn Observer,
) -> Result<Option<Cut>> {
    let (Some(ms), Some(counter)) = (prepared.header.plan.idle_ms, &prepared.energy) else {
        return Ok(None);
    };
    let time = Duration::from_millis(ms);
    observer.idle(time);
    let samples = counter.idle(time, &runner.interrupt);
    if runner.interrupt.is_set() {
        return Ok(Some(Cut::Interrupted));
    }
    let power = Told::from(samples.map(idle_power));
    match &power {
        Told::Available(power) => runner.idle_watts = Some(power.watts),
        Told::Unavailable(_) => runner.energy = None,
    }
    part.idle.push(power.clone());
    sink(journal, observer)(&Entry::Idle { power })?;
    Ok(None)
}

/// Energy over time, and the samples' scatter.
fn idle_power(samples: Vec<IdleSample>) -> IdlePower {
    let power: Vec<f64> = samples.iter().map(IdleSample::watts).collect();
    let ns: f64 = samples.iter().map(|sample| sample.ns as f64).sum();
    let weighted = samples.iter().map(|sample| sample.watts() * sample.ns as f64);
    IdlePower {
        watts: weighted.sum::<f64>() / ns,
        sd_watts: stats::standard_deviation(&power),
        samples,
    }
}

/// What follows the rounds first, on the same machine: load.
fn load(
    prepared: &Prepared,
    program: &Path,
    interrupt: &Interrupt,
    before: &[Load],
    sink: &mut Sink<'_>,
) -> std::result::Result<Vec<Load>, Cut> {
    let Some(plan) = &prepared.header.plan.load else { return Ok(Vec::new()) };
    let config = &prepared.setup.config;
    let pass = LoadPass {
        plan,
        variants: &config.variants,
        prompts: &prepared.prompts,
        gen_tokens: config.workload.gen_tokens,
        sampling: config.workload.sampling,
        seed: config.workload.seed,
        warmup: config.warmup,
        deadlines: config.deadlines,
        program: program.to_path_buf(),
        interrupt: interrupt.clone(),
    };
    pass.run(before, sink)
}

/// What follows then: the graded tasks, then the documents.
fn passes(
    prepared: &Prepared,
    part: &mut Part,
    program: &Path,
    interrupt: &Interrupt,
    sink: &mut Sink<'_>,
) -> std::result::Result<(), Cut> {
    let mut engines = BTreeMap::new();
    let sink: &mut Sink<'_> = &mut |entry: &Entry| {
        if let Entry::Worker(WorkerRun { variant, engine: Some(engine), .. }) = entry {
            engines.entry(variant.clone()).or_insert_with(|| engine.clone());
        }
        sink(entry)
    };
    let (config, plan) = (&prepared.setup.config, &prepared.header.plan);
    let workers = &workers(prepared, &part.rounds, program, interrupt);
    if let (Some(quality), Some(graded)) = (&config.quality, &prepared.graded) {
        let (batch, again) = (quality.batch, quality.again);
        let done = Pass { workers, graded, batch, again }.run(sink)?;
        (part.answers, part.rows, part.repeats) = (done.answers, done.rows, done.repeats);
    }
    if let (Some(plan), Some(documents)) = (&plan.fidelity, &prepared.documents) {
        let scratch = config.output.clone();
        part.fidelity = FidelityPass { workers, plan, documents, scratch }.run(sink)?;
    }
    if part.rounds.is_empty() {
        part.engines = engines;
    }
    Ok(())
}

/// Saves what happens and shows it.
fn sink<'a>(
    journal: &'a mut Journal,
    observer: &'a mut dyn Observer,
) -> impl FnMut(&Entry) -> Result<()> + 'a {
    |entry| {
        journal.append(entry)?;
        observer.entry(entry);
        Ok(())
    }
}

/// What the rules that drive a session come to at a look.
struct Look {
    spent: f64,
    decided: Vec<String>,
    open: Vec<String>,
}

impl Look {
    fn counts(&self) -> (usize, usize) {
        (self.decided.len(), self.decided.len() + self.open.len())
    }

    fn entry(&self, round: u32) -> Entry {
        let (decided, open) = (self.decided.clone(), self.open.clone());
        Entry::Look { round, spent: self.spent, decided, open }
    }
}

/// Looks at the rules, if the plan has a look after the rounds so far.
fn look(prepared: &Prepared, part: &Part) -> Option<Look> {
    let thresholds = prepared.setup.thresholds.as_ref()?;
    let stopping = part.header.plan.stopping.as_ref()?;
    let rounds = complete(part);
    if !stopping.looks.contains(&rounds) {
        return None;
    }
    let parts = std::slice::from_ref(part);
    let measured = Measured { parts, earlier: &[], stored: &prepared.stored };
    let verdicts = verdict::judge(&thresholds.rules, &measured, thresholds.false_alarms);
    let driving = verdicts.into_iter().filter(|v| stopping.drives.contains(&v.rule.id));
    let (decided, open): (Vec<Verdict>, Vec<Verdict>) =
        driving.partition(|verdict| verdict.verdict.decided());
    let ids = |verdicts: Vec<Verdict>| verdicts.into_iter().map(|v| v.rule.id).collect();
    let (spending, looks) = (stopping.spending, &stopping.looks);
    Some(Look {
        spent: verdict::share_spent(spending, looks, rounds, thresholds.false_alarms),
        decided: ids(decided),
        open: ids(open),
    })
}

fn complete(part: &Part) -> u32 {
    part.complete().len() as u32
}

/// How both passes start their workers; the rounds have told what the engines are.
fn workers<'a>(
    prepared: &'a Prepared,
    rounds: &[Round],
    program: &Path,
    interrupt: &Interrupt,
) -> Workers<'a> {
    let (config, header) = (&prepared.setup.config, &prepared.header);
    Workers {
        variants: &config.variants,
        records: &header.variants,
        machine: &header.environment.machine,
        engines: engines(header, rounds),
        cache: prepared.use_cache.then(|| config.output.join("quality")),
        deadlines: config.deadlines,
        restarts: config.restarts,
        program: program.to_path_buf(),
        interrupt: interrupt.clone(),
    }
}

/// What the engines have said of themselves in the rounds.
fn engines(header: &Header, rounds: &[Round]) -> BTreeMap<String, EngineInfo> {
    let engine = |name: &String| Some((name.clone(), engine_of(rounds, name)?.clone()));
    header.plan.variants.iter().filter_map(engine).collect()
}
