//! Owns the worker of one variant in the passes: started when first needed, restarted when it dies.

use super::Workers;
use crate::config::Variant;
use crate::engine::Forced;
use crate::protocol::Order;
use crate::record::{EngineInfo, Entry, Failure, FailureClass, Rows, WorkerRun};
use crate::runner::{Cut, Sink, Starter};
use crate::worker::{Stop, Worker};
use std::path::Path;

/// A probe of rows may take as long as so many requests.
const PROBE: u32 = 16;

/// The tokens of each answer that was asked for, or why there are none.
type Answers = Vec<Result<Vec<u32>, Failure>>;

/// Asks one variant.
pub(super) struct Server<'a> {
    workers: &'a Workers<'a>,
    pub(super) variant: &'a Variant,
    worker: Option<Worker>,
    run: Option<WorkerRun>,
    attempt: u32,
    /// Restarts that are not counted: of workers that died of a batch, whose tasks are then asked one by one.
    spare: u32,
}

impl<'a> Server<'a> {
    pub(super) fn new(workers: &'a Workers<'a>, variant: &'a Variant) -> Server<'a> {
        Server { workers, variant, worker: None, run: None, attempt: 0, spare: 0 }
    }

    /// What the engine says of itself; `None` if it does not load.
    pub(super) fn engine(&mut self, sink: &mut Sink<'_>) -> Result<Option<EngineInfo>, Cut> {
        if let Some(engine) = self.workers.engines.get(&self.variant.name) {
            return Ok(Some(engine.clone()));
        }
        self.ensure_worker(sink)?;
        Ok(self.run.as_ref().and_then(|run| run.engine.clone()))
    }

    /// Looks whether the rows of batches are independent, for sequences of up to `need` tokens. One that cannot be
    /// looked at is not shown. Returns with it whether it would be the same another time.
    pub(super) fn prove_rows(
        &mut self,
        need: usize,
        sink: &mut Sink<'_>,
    ) -> Result<(Rows, bool), Cut> {
        let deadline = self.workers.deadlines.request * PROBE;
        let interrupt = self.workers.interrupt.clone();
        match self.with(sink, |worker| worker.prove_rows(need, deadline, &interrupt))? {
            Ok(rows) => Ok((rows, true)),
            Err(failure) => {
                self.spare += u32::from(self.worker.is_none());
                let reason = format!("the probe of its rows failed: {failure}");
                Ok((Rows::Dependent { reason }, false))
            }
        }
    }

    /// The tokens of each answer, asked for together, or why there are none; nothing where together they have none,
    /// so that they are asked one by one, and what brings a worker down is blamed on the task that does.
    pub(super) fn ask_together(
        &mut self,
        orders: &[Order],
        prefix: usize,
        sink: &mut Sink<'_>,
    ) -> Result<Option<Answers>, Cut> {
        let deadline = self.workers.deadlines.request * orders.len() as u32;
        let interrupt = self.workers.interrupt.clone();
        let together = self
            .with(sink, |worker| worker.generate_together(orders, prefix, deadline, &interrupt))?;
        self.spare += u32::from(together.is_err() && self.worker.is_none());
        Ok(together.ok())
    }

    /// The tokens of an answer, or why there are none.
    pub(super) fn ask_one(
        &mut self,
        order: &Order,
        sink: &mut Sink<'_>,
    ) -> Result<Result<Vec<u32>, Failure>, Cut> {
        let (deadline, interrupt) =
            (self.workers.deadlines.request, self.workers.interrupt.clone());
        let done = self.with(sink, |worker| worker.generate(order, deadline, &interrupt))?;
        Ok(done.map(|done| done.tokens))
    }

    /// The log likelihood of each choice, nats, each computed by itself, or why there are none.
    pub(super) fn score_apart(
        &mut self,
        prompt: &[u32],
        choices: &[Vec<u32>],
        sink: &mut Sink<'_>,
    ) -> Result<Result<Vec<f64>, Failure>, Cut> {
        let mut scores = Vec::new();
        for choice in choices {
            match self.score(prompt, std::slice::from_ref(choice), sink)? {
                Ok(score) => scores.extend(score),
                Err(failure) => return Ok(Err(failure)),
            }
        }
        Ok(Ok(scores))
    }

    /// The log likelihood of each choice, nats, computed together, or why there are none.
    pub(super) fn score(
        &mut self,
        prompt: &[u32],
        choices: &[Vec<u32>],
        sink: &mut Sink<'_>,
    ) -> Result<Result<Vec<f64>, Failure>, Cut> {
        let (deadline, interrupt) =
            (self.workers.deadlines.request, self.workers.interrupt.clone());
        self.with(sink, |worker| worker.score(prompt, choices, deadline, &interrupt))
    }

    /// Writes the logits after each of `tokens` to a file, or says why there are none.
    pub(super) fn force(
        &mut self,
        tokens: &[u32],
        stepwise: bool,
        logits: &Path,
        sink: &mut Sink<'_>,
    ) -> Result<Result<Forced, Failure>, Cut> {
        let (deadline, interrupt) =
            (self.workers.deadlines.request, self.workers.interrupt.clone());
        self.with(sink, |worker| worker.force((tokens, stepwise), logits, deadline, &interrupt))
    }

    /// Asks the worker, which is started if there is none, and reported if it dies of it.
    fn with<T>(
        &mut self,
        sink: &mut Sink<'_>,
        ask: impl FnOnce(&mut Worker) -> Result<T, Stop>,
    ) -> Result<Result<T, Failure>, Cut> {
        self.ensure_worker(sink)?;
        let Some(worker) = &mut self.worker else {
            let message = format!("no worker was left: {} had failed", self.attempt);
            return Ok(Err(Failure { class: FailureClass::NotServed, message }));
        };
        match ask(worker) {
            Ok(done) => Ok(Ok(done)),
            Err(stop) => {
                let alive = worker.alive();
                let failure = Cut::unless_failed(stop, &self.variant.name)?;
                if !alive {
                    if let Some(run) = &mut self.run {
                        run.failure = Some(failure.clone());
                    }
                    self.stop(sink)?;
                }
                Ok(Err(failure))
            }
        }
    }

    /// The threads that the running worker's engine reads back, where it says.
    pub(super) fn threads(&self) -> Option<usize> {
        let properties = &self.run.as_ref()?.engine.as_ref()?.properties;
        let said = ["INFERENCE_NUM_THREADS", "RAYON_NUM_THREADS"].iter();
        said.filter_map(|key| properties.get(*key)).find_map(|value| value.parse().ok())
    }

    /// Ends the worker, if there is one, and reports it.
    pub(super) fn stop(&mut self, sink: &mut Sink<'_>) -> Result<(), Cut> {
        if let Some(worker) = self.worker.take() {
            worker.stop();
        }
        match self.run.take() {
            Some(run) => sink(&Entry::Worker(run)).map_err(Cut::NotSaved),
            None => Ok(()),
        }
    }

    fn ensure_worker(&mut self, sink: &mut Sink<'_>) -> Result<(), Cut> {
        let starter = Starter {
            program: &self.workers.program,
            deadline: self.workers.deadlines.load,
            interrupt: &self.workers.interrupt,
            before_spawn: None,
        };
        while self.worker.is_none() && self.attempt <= self.workers.restarts + self.spare {
            self.attempt += 1;
            let (worker, run) = starter.start(self.variant, 0, self.attempt, sink)?;
            self.run = Some(run);
            if worker.is_none() {
                self.stop(sink)?;
            }
            self.worker = worker;
        }
        Ok(())
    }
}
