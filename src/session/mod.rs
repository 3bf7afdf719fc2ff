//! Owns a session: the plan, the loop over rounds, the journal and the results.

mod journal;
mod memory;
mod plan;
mod preflight;
mod results;

pub use journal::Journal;
pub use plan::{Prepared, prepare};
pub use preflight::warnings;
pub use results::{read_results, write_atomically};

use crate::problem::{Problem, Result};
use crate::quality::Pass;
use crate::record::{Answer, Entry, FORMAT_VERSION, Results, Round};
use crate::runner::{Cut, Runner};
use crate::verdict::{self, Measured};
use crate::worker::Interrupt;
use crate::workload::Graded;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a session came to.
#[derive(Debug)]
pub enum Ended {
    /// All rounds were run and judged.
    Complete(Box<Results>),
    /// The user stopped it; the samples are in the journal, nothing is judged.
    Interrupted {
        /// Rounds that were complete by then.
        rounds: u32,
    },
}

/// Someone who watches a session, such as a progress bar.
pub trait Observer {
    /// Something happened.
    fn entry(&mut self, entry: &Entry);
}

/// Runs the rounds of a prepared session and its quality pass, saves each sample as it comes, and judges.
///
/// `program` is perfgate's own binary, which serves as the worker.
///
/// # Errors
/// If a variant's set-up is at fault, or samples cannot be saved.
pub fn run(
    prepared: &Prepared,
    journal: &mut Journal,
    program: PathBuf,
    interrupt: &Interrupt,
    observer: &mut dyn Observer,
) -> Result<Ended> {
    let config = &prepared.setup.config;
    let runner = Runner {
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
        interrupt: interrupt.clone(),
    };
    let header = Box::new(prepared.header.clone());
    journal.append(&Entry::Session { format: FORMAT_VERSION, header })?;
    let mut sink = |entry: &Entry| {
        journal.append(entry)?;
        observer.entry(entry);
        Ok(())
    };
    let mut rounds: Vec<Round> = Vec::new();
    let mut cut = None;
    while cut.is_none() && (rounds.len() as u32) < config.rounds {
        let number = rounds.len() as u32 + 1;
        let (round, why) = runner.round(number, &mut sink);
        cut = why;
        rounds.push(round);
    }
    let mut answers = Vec::new();
    if let (None, Some(graded)) = (&cut, &prepared.graded) {
        match quality_pass(prepared, graded, &rounds, program, interrupt).run(&mut sink) {
            Ok(found) => answers = found,
            Err(why) => cut = Some(why),
        }
    }
    let complete = rounds.iter().filter(|round| round.complete).count() as u32;
    let interrupted = cut == Some(Cut::Interrupted);
    let end = Entry::SessionEnd { rounds: complete, interrupted };
    let saved = sink(&end);
    match cut {
        None => {
            saved?;
            Ok(Ended::Complete(Box::new(judged(prepared, rounds, answers))))
        }
        Some(Cut::Interrupted) => Ok(Ended::Interrupted { rounds: complete }),
        Some(Cut::NotSaved(problem)) => Err(problem),
        Some(Cut::Setup { variant, failure }) => {
            Err(Problem::new(format!("variant '{variant}' cannot run: {}", failure.message)))
        }
    }
}

/// The quality pass after the rounds, which have told what the engines are.
fn quality_pass<'a>(
    prepared: &'a Prepared,
    graded: &'a Graded,
    rounds: &[Round],
    program: PathBuf,
    interrupt: &Interrupt,
) -> Pass<'a> {
    let config = &prepared.setup.config;
    let header = &prepared.header;
    let measured = Measured { header, rounds, answers: &[], stored: &[] };
    Pass {
        variants: &config.variants,
        records: &header.variants,
        graded,
        machine: &header.environment.machine,
        engines: measured.engines(),
        cache: prepared.use_cache.then(|| config.output.join("quality")),
        deadlines: config.deadlines,
        restarts: config.restarts,
        program,
        interrupt: interrupt.clone(),
    }
}

fn judged(prepared: &Prepared, rounds: Vec<Round>, answers: Vec<Answer>) -> Results {
    let header = prepared.header.clone();
    let thresholds = &prepared.setup.thresholds;
    let measured =
        Measured { header: &header, rounds: &rounds, answers: &answers, stored: &prepared.stored };
    let verdicts = verdict::judge(&thresholds.rules, &measured, thresholds.false_alarms);
    let summaries: BTreeMap<_, _> = header
        .plan
        .variants
        .iter()
        .map(|variant| (variant.clone(), verdict::summarize(&measured, variant)))
        .collect();
    Results {
        format: FORMAT_VERSION,
        ended: plan::now(),
        policies: thresholds.policies,
        false_alarms: thresholds.false_alarms,
        verdicts,
        summaries,
        baseline: prepared.stored.iter().map(|stored| stored.session.clone()).collect(),
        header,
        rounds,
        answers,
    }
}
