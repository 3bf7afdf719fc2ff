//! Owns the worker that a variant's documents are forced by: started when first needed, restarted when it
//! dies.

use super::fidelity::FidelityPass;
use crate::config::Variant;
use crate::engine::Forced;
use crate::record::{EngineInfo, Entry, Failure, FailureClass, WorkerRun};
use crate::runner::{Cut, Sink, Starter};
use crate::worker::Worker;
use std::path::Path;

/// Forces documents through one variant.
pub(super) struct Forcer<'a> {
    pass: &'a FidelityPass<'a>,
    pub(super) variant: &'a Variant,
    worker: Option<Worker>,
    run: Option<WorkerRun>,
    attempt: u32,
}

impl<'a> Forcer<'a> {
    pub(super) fn new(pass: &'a FidelityPass<'a>, variant: &'a Variant) -> Forcer<'a> {
        Forcer { pass, variant, worker: None, run: None, attempt: 0 }
    }

    /// What the engine says of itself; `None` if it does not load.
    pub(super) fn engine(&mut self, sink: &mut Sink<'_>) -> Result<Option<EngineInfo>, Cut> {
        if let Some(engine) = self.pass.engines.get(&self.variant.name) {
            return Ok(Some(engine.clone()));
        }
        self.ensure_worker(sink)?;
        Ok(self.run.as_ref().and_then(|run| run.engine.clone()))
    }

    /// Writes the logits after each of `tokens` to a file, or says why there are none.
    pub(super) fn force(
        &mut self,
        tokens: &[u32],
        stepwise: bool,
        logits: &Path,
        sink: &mut Sink<'_>,
    ) -> Result<Result<Forced, Failure>, Cut> {
        self.ensure_worker(sink)?;
        let Some(worker) = &mut self.worker else {
            let message = format!("no worker was left: {} had failed", self.attempt);
            return Ok(Err(Failure { class: FailureClass::NotServed, message }));
        };
        let (deadline, interrupt) = (self.pass.deadlines.request, &self.pass.interrupt);
        match worker.force((tokens, stepwise), logits, deadline, interrupt) {
            Ok(forced) => Ok(Ok(forced)),
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
            program: &self.pass.program,
            deadline: self.pass.deadlines.load,
            interrupt: &self.pass.interrupt,
        };
        while self.worker.is_none() && self.attempt <= self.pass.restarts {
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
