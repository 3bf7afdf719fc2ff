//! Owns what follows the rounds and measures no time. The quality pass: every graded task once by each variant,
//! free running until a stop token. Answers are cached by what they depend on, so a pass that was cut short
//! goes on where it stopped, and an unchanged variant answers from the cache. And the fidelity pass beside it.

mod cache;
mod fidelity;
mod forcer;
mod logits;
mod server;

pub use fidelity::FidelityPass;

use crate::config::{Deadlines, Variant};
use crate::protocol::Order;
use crate::record::{Answer, EngineInfo, Entry, Failure, Grade, MachineClass, VariantRecord};
use crate::runner::{Cut, Sink};
use crate::worker::Interrupt;
use crate::workload::{self, Graded};
use cache::Cache;
use server::Server;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a quality pass needs.
pub struct Pass<'a> {
    /// The variants.
    pub variants: &'a [Variant],
    /// What they are, for the cache.
    pub records: &'a BTreeMap<String, VariantRecord>,
    /// The tasks.
    pub graded: &'a Graded,
    /// The machine, for the cache.
    pub machine: &'a MachineClass,
    /// What the engines said of themselves in this session; one that is missing is asked.
    pub engines: BTreeMap<String, EngineInfo>,
    /// The folder of the cache; `None` asks every task anew and keeps nothing.
    pub cache: Option<PathBuf>,
    /// How long a worker may take.
    pub deadlines: Deadlines,
    /// How often a variant's worker may be restarted.
    pub restarts: u32,
    /// perfgate's own binary, which is also the worker.
    pub program: PathBuf,
    /// Set once the user wants to stop.
    pub interrupt: Interrupt,
}

impl Pass<'_> {
    /// Runs the pass. The answers stand by variant in the order of the configuration, then by task.
    ///
    /// # Errors
    /// If it is interrupted, a variant's set-up is at fault, or an answer cannot be saved.
    pub fn run(&self, sink: &mut Sink<'_>) -> Result<Vec<Answer>, Cut> {
        let mut answers = Vec::new();
        for (name, orders) in &self.graded.orders {
            let Some(variant) = self.variants.iter().find(|v| v.name == *name) else { continue };
            let mut server = Server::new(self, variant);
            let done = self.of_variant(variant, orders, &mut server, sink, &mut answers);
            let stopped = server.stop(sink);
            done?;
            stopped?;
        }
        Ok(answers)
    }

    fn of_variant(
        &self,
        variant: &Variant,
        orders: &[Order],
        server: &mut Server<'_>,
        sink: &mut Sink<'_>,
        answers: &mut Vec<Answer>,
    ) -> Result<(), Cut> {
        let mut cache = self.open_cache(variant, server, sink)?;
        for (index, order) in orders.iter().enumerate() {
            let known = cache.as_ref().and_then(|cache| cache.get(order));
            let cached = known.is_some();
            let outcome = match known {
                Some(tokens) => Ok(tokens),
                None => server.ask(order, sink)?,
            };
            if let (Ok(tokens), Some(cache), false) = (&outcome, &mut cache, cached) {
                cache.put(order, tokens).map_err(Cut::NotSaved)?;
            }
            let answer = self.answer(&variant.name, index, order, outcome, cached);
            sink(&Entry::Answer(answer.clone())).map_err(Cut::NotSaved)?;
            answers.push(answer);
        }
        Ok(())
    }

    /// The cache of a variant; `None` without one, or for an engine that does not load.
    fn open_cache(
        &self,
        variant: &Variant,
        server: &mut Server<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Option<Cache>, Cut> {
        let Some(folder) = &self.cache else { return Ok(None) };
        let engine = match self.engines.get(&variant.name) {
            Some(engine) => Some(engine.clone()),
            None => server.engine(sink)?,
        };
        let Some(engine) = engine else { return Ok(None) };
        let record = &self.records[&variant.name];
        Cache::open(folder, record, &engine, self.machine).map(Some).map_err(Cut::NotSaved)
    }

    fn answer(
        &self,
        variant: &str,
        index: usize,
        order: &Order,
        outcome: Result<Vec<u32>, Failure>,
        cached: bool,
    ) -> Answer {
        let (tokens, text, grade, failure) = match outcome {
            Ok(tokens) => {
                let text = self.graded.text(variant, &tokens);
                let (grade, failure) = workload::grade(&self.graded.expectations[index], &text);
                (tokens, text, grade, failure)
            }
            Err(failure) => (Vec::new(), String::new(), Grade::Failed, Some(failure)),
        };
        Answer {
            variant: variant.to_string(),
            task: self.graded.ids[index].clone(),
            prompt_tokens: order.prompt.len() as u32,
            tokens,
            text,
            cached,
            grade,
            failure,
        }
    }
}
