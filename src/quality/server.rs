//! Owns the worker that answers graded tasks: started when first needed, restarted when it dies.

use super::Pass;
use crate::config::Variant;
use crate::protocol::Order;
use crate::record::{EngineInfo, Entry, Failure, FailureClass, WorkerRun};
use crate::runner::{Cut, Sink, Starter};
use crate::worker::Worker;

/// Answers the tasks of one variant.
pub(super) struct Server<'a> {
    pass: &'a Pass<'a>,
    variant: &'a Variant,
    worker: Option<Worker>,
    run: Option<WorkerRun>,
    attempt: u32,
}

impl<'a> Server<'a> {
    pub(super) fn new(pass: &'a Pass<'a>, variant: &'a Variant) -> Server<'a> {
        Server { pass, variant, worker: None, run: None, attempt: 0 }
    }

    /// What the engine says of itself; `None` if it does not load.
    pub(super) fn engine(&mut self, sink: &mut Sink<'_>) -> Result<Option<EngineInfo>, Cut> {
        self.ensure_worker(sink)?;
        Ok(self.run.as_ref().and_then(|run| run.engine.clone()))
    }

    /// The tokens of an answer, or why there is none.
    pub(super) fn ask(
        &mut self,
        order: &Order,
        sink: &mut Sink<'_>,
    ) -> Result<Result<Vec<u32>, Failure>, Cut> {
        self.ensure_worker(sink)?;
        let Some(worker) = &mut self.worker else {
            let message = format!("no worker was left: {} had failed", self.attempt);
            return Ok(Err(Failure { class: FailureClass::NotServed, message }));
        };
        match worker.generate(order, self.pass.deadlines.request, &self.pass.interrupt) {
            Ok(done) => Ok(Ok(done.tokens)),
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
