//! Owns what follows the rounds and measures no time. The quality pass: every graded task by each variant, free
//! running until a stop token or by the likelihood of its choices, and some of them again. Answers are cached by
//! what they depend on, so a pass that was cut short goes on where it stopped, and an unchanged variant answers
//! from the cache. And the fidelity pass beside it.

mod again;
mod answers;
mod cache;
mod fidelity;
mod logits;
mod rows;
mod server;

pub use fidelity::FidelityPass;

use crate::config::{Again, Deadlines, Variant};
use crate::record::{Answer, EngineInfo, MachineClass, Repeat, Rows, VariantRecord};
use crate::runner::{Cut, Sink};
use crate::worker::Interrupt;
use crate::workload::{Ask, Graded};
use again::Repeating;
pub use again::divergence;
use answers::Answering;
use cache::Cache;
use server::Server;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a quality pass came to.
#[derive(Debug, Default)]
pub struct Done {
    /// The answers.
    pub answers: Vec<Answer>,
    /// Whether the rows of batches are independent, by variant, where that was looked for.
    pub rows: BTreeMap<String, Rows>,
    /// What was asked again.
    pub repeats: Vec<Repeat>,
}

/// How the workers of both passes are started, and what is known of what they run.
pub struct Workers<'a> {
    /// The variants, the reference among them.
    pub variants: &'a [Variant],
    /// What they are, for the cache.
    pub records: &'a BTreeMap<String, VariantRecord>,
    /// The machine, for the cache.
    pub machine: &'a MachineClass,
    /// What the engines said of themselves in this session; one that is missing is asked.
    pub engines: BTreeMap<String, EngineInfo>,
    /// The folder of the cache; `None` asks everything anew and keeps nothing.
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

impl Workers<'_> {
    /// The variant of a name.
    fn variant(&self, name: &str) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.name == name)
    }
}

/// What a quality pass needs.
pub struct Pass<'a> {
    /// How its workers are started.
    pub workers: &'a Workers<'a>,
    /// The tasks.
    pub graded: &'a Graded,
    /// How many tasks are answered together.
    pub batch: u32,
    /// What is asked again.
    pub again: Again,
}

impl Pass<'_> {
    /// Runs the pass. What it came to stands by variant in the order of the configuration, then by task.
    ///
    /// # Errors
    /// If it is interrupted, a variant's set-up is at fault, or an answer cannot be saved.
    pub fn run(&self, sink: &mut Sink<'_>) -> Result<Done, Cut> {
        let mut done = Done::default();
        for (name, asks) in &self.graded.asks {
            let Some(variant) = self.workers.variant(name) else { continue };
            let mut server = Server::new(self.workers, variant);
            let ended = self.of_variant(variant, asks, &mut server, sink, &mut done);
            let stopped = server.stop(sink);
            ended?;
            stopped?;
        }
        Ok(done)
    }

    fn of_variant<'a>(
        &'a self,
        variant: &'a Variant,
        asks: &'a [Ask],
        server: &mut Server<'a>,
        sink: &mut Sink<'_>,
        done: &mut Done,
    ) -> Result<(), Cut> {
        let mut cache = self.open_cache(variant, server, sink)?;
        let cache = &mut cache;
        let mut answering =
            Answering { pass: self, variant, asks, server, cache, sink, rows: None };
        done.answers.extend(answering.run()?);
        done.rows.extend(answering.rows.map(|rows| (variant.name.clone(), rows)));
        // What is asked again has processes of its own; this one would hold its memory all the while.
        server.stop(sink)?;
        let mut repeating = Repeating { pass: self, variant, asks, cache, sink };
        done.repeats.extend(repeating.run()?);
        Ok(())
    }

    /// The cache of a variant; it is off if none is wanted, or for an engine that does not load.
    fn open_cache(
        &self,
        variant: &Variant,
        server: &mut Server<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Cache, Cut> {
        let Some(folder) = &self.workers.cache else { return Ok(Cache::off()) };
        let Some(engine) = server.engine(sink)? else { return Ok(Cache::off()) };
        let record = &self.workers.records[&variant.name];
        Cache::open(folder, record, &engine, self.workers.machine).map_err(Cut::NotSaved)
    }
}
