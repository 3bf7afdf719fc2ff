//! Owns a session: the plan, the loop over rounds, the journal and the results.

mod journal;
mod plan;
mod results;

pub use journal::Journal;
pub use plan::{Prepared, prepare};
pub use results::{read_results, write_atomically};

use crate::problem::{Problem, Result};
use crate::record::{Entry, FORMAT_VERSION, Results, Round};
use crate::runner::{Cut, Runner};
use crate::verdict;
use crate::worker::Interrupt;
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

/// Runs the rounds of a prepared session, saves each sample as it comes, and judges.
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
        warmup: config.warmup,
        restarts: config.restarts,
        deadlines: config.deadlines,
        program,
        interrupt: interrupt.clone(),
    };
    let header = Box::new(prepared.header.clone());
    journal.append(&Entry::Session { format: FORMAT_VERSION, header })?;
    let mut rounds: Vec<Round> = Vec::new();
    let mut cut = None;
    while cut.is_none() && (rounds.len() as u32) < config.rounds {
        let number = rounds.len() as u32 + 1;
        let (round, why) = runner.round(number, &mut |entry| {
            journal.append(entry)?;
            observer.entry(entry);
            Ok(())
        });
        cut = why;
        rounds.push(round);
    }
    let complete = rounds.iter().filter(|round| round.complete).count() as u32;
    let interrupted = cut == Some(Cut::Interrupted);
    let end = Entry::SessionEnd { rounds: complete, interrupted };
    let saved = journal.append(&end);
    observer.entry(&end);
    match cut {
        None => {
            saved?;
            Ok(Ended::Complete(Box::new(judged(prepared, rounds))))
        }
        Some(Cut::Interrupted) => Ok(Ended::Interrupted { rounds: complete }),
        Some(Cut::NotSaved(problem)) => Err(problem),
        Some(Cut::Setup { variant, failure }) => {
            Err(Problem::new(format!("variant '{variant}' cannot run: {}", failure.message)))
        }
    }
}

fn judged(prepared: &Prepared, rounds: Vec<Round>) -> Results {
    let header = prepared.header.clone();
    let thresholds = &prepared.setup.thresholds;
    let environment = &header.environment;
    let verdicts = verdict::judge(&thresholds.rules, &rounds, environment, thresholds.false_alarms);
    let summaries: BTreeMap<_, _> = header
        .plan
        .variants
        .iter()
        .map(|variant| (variant.clone(), verdict::summarize(&rounds, variant, environment)))
        .collect();
    Results {
        format: FORMAT_VERSION,
        header,
        ended: plan::now(),
        policies: thresholds.policies,
        false_alarms: thresholds.false_alarms,
        verdicts,
        summaries,
        rounds,
    }
}
