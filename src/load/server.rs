//! Owns the worker of one variant under load: started for a number of streams, warmed, given jobs, ended.

use super::LoadPass;
use crate::config::Variant;
use crate::protocol::{Arrivals, Job, Order, Served, monotonic_ns};
use crate::record::{
    EngineInfo, Entry, Failure, FailureClass, Load, LoadKind, LoadRequest, WorkerRun,
};
use crate::runner::{Cut, Sink, Starter, memory_use};
use crate::worker::Worker;
use crate::workload::request_seed;
use std::time::Duration;

/// What is asked of a worker, for its record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) kind: LoadKind,
    pub(super) number: u32,
    pub(super) rate: Option<f64>,
}

/// A variant's worker; without one, why there is none.
pub(super) struct Server<'a> {
    pass: &'a LoadPass<'a>,
    variant: &'a Variant,
    streams: u32,
    orders: Vec<Order>,
    tasks: Vec<String>,
    worker: Option<Worker>,
    run: Option<WorkerRun>,
    failure: Option<Failure>,
    warmup: u32,
    engine: Option<EngineInfo>,
}

impl<'a> Server<'a> {
    /// Starts a worker and warms each of its streams. `tuned` tells the engine how many there are to be; without, it is
    /// set up as for one request after the other.
    pub(super) fn start(
        pass: &'a LoadPass<'a>,
        variant: &'a Variant,
        streams: u32,
        tuned: bool,
        sink: &mut Sink<'_>,
    ) -> Result<Server<'a>, Cut> {
        let prompts = pass.prompts.of(&variant.name);
        let order = |task: &crate::workload::TokenizedTask| Order {
            prompt: task.tokens.clone(),
            tokens: pass.gen_tokens,
            stop: Vec::new(),
            sampling: pass.sampling,
            seed: request_seed(pass.seed, &task.id),
        };
        let mut server = Server {
            pass,
            variant,
            streams,
            orders: prompts.iter().map(order).collect(),
            tasks: prompts.iter().map(|task| task.id.clone()).collect(),
            worker: None,
            run: None,
            failure: None,
            warmup: 0,
            engine: None,
        };
        let mut set_up = variant.clone();
        set_up.load.streams = if tuned { streams } else { 0 };
        let starter = Starter {
            program: &pass.program,
            deadline: pass.deadlines.load,
            interrupt: &pass.interrupt,
            before_spawn: None,
        };
        let (worker, run) = starter.start(&set_up, 0, 1, sink)?;
        (server.engine, server.failure) = (run.engine.clone(), run.failure.clone());
        (server.worker, server.run) = (worker, Some(run));
        if server.worker.is_some() {
            server.warm(sink)?;
        } else {
            server.end(sink)?;
        }
        Ok(server)
    }

    /// Whether it can be given a job.
    pub(super) fn alive(&self) -> bool {
        self.worker.is_some()
    }

    /// The first requests of each stream, which are slow.
    fn warm(&mut self, sink: &mut Sink<'_>) -> Result<(), Cut> {
        let most = u64::from(self.streams) * u64::from(self.pass.warmup);
        let deadline = self.pass.deadlines.request * (self.pass.warmup + 1);
        let job = self.job(Arrivals::Closed { until_ns: u64::MAX, most });
        if let Err(failure) = self.ask(&job, deadline, sink)? {
            self.failure = Some(failure);
            return self.end(sink);
        }
        self.warmup += most as u32;
        Ok(())
    }

    /// Gives it a job that takes about so many seconds. What came of it is in the journal then.
    pub(super) fn serve(
        &mut self,
        asked: Asked,
        arrivals: Arrivals,
        seconds: f64,
        sink: &mut Sink<'_>,
    ) -> Result<Load, Cut> {
        let due = match &arrivals {
            Arrivals::Open { due_ns, .. } => Some(due_ns.len() as u32),
            Arrivals::Closed { .. } => None,
        };
        let mut load = Load {
            variant: self.variant.name.clone(),
            kind: asked.kind,
            number: asked.number,
            streams: self.streams,
            rate: asked.rate,
            arrivals: due,
            pid: self.run.as_ref().map_or(0, |run| run.pid),
            engine: self.engine.take(),
            warmup: self.warmup,
            start_ns: monotonic_ns(),
            requests: Vec::new(),
            memory_before: self.memory(),
            memory_after: None,
            failure: self.failure.clone(),
        };
        if self.worker.is_some() {
            // Behind the last arrival it may wait as long as a request may, and take as long.
            let whole = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
            let deadline = whole.saturating_add(self.pass.deadlines.request * 3);
            let job = self.job(arrivals);
            match self.ask(&job, deadline, sink)? {
                Ok((start_ns, requests)) => {
                    load.start_ns = start_ns;
                    load.requests = requests.into_iter().map(|one| self.record(one)).collect();
                    load.memory_after = self.memory();
                    self.warmup += load.requests.len() as u32;
                }
                Err(failure) => load.failure = Some(failure),
            }
        }
        sink(&Entry::Load(load.clone())).map_err(Cut::NotSaved)?;
        Ok(load)
    }

    fn job(&self, arrivals: Arrivals) -> Job {
        Job { orders: self.orders.clone(), streams: self.streams, arrivals }
    }

    fn record(&self, served: Served) -> LoadRequest {
        let task = served.index % self.tasks.len() as u64;
        LoadRequest {
            task: self.tasks[task as usize].clone(),
            stream: served.stream,
            arrival_ns: served.arrival_ns,
            start_ns: served.start_ns,
            token_ns: served.token_ns,
            tokens: served.tokens,
            failure: served.failure,
        }
    }

    fn memory(&self) -> Option<crate::record::MemoryUse> {
        memory_use(self.worker.as_ref()?.pid())
    }

    /// What a job comes to. A worker that dies of it is reported.
    fn ask(
        &mut self,
        job: &Job,
        deadline: Duration,
        sink: &mut Sink<'_>,
    ) -> Result<Result<(u64, Vec<Served>), Failure>, Cut> {
        let Some(worker) = &mut self.worker else {
            let message = "no worker was left".to_string();
            return Ok(Err(Failure { class: FailureClass::NotServed, message }));
        };
        match worker.serve(job, deadline, &self.pass.interrupt) {
            Ok(done) => Ok(Ok(done)),
            Err(stop) => {
                let alive = worker.alive();
                let failure = Cut::unless_failed(stop, &self.variant.name)?;
                if !alive {
                    if let Some(run) = &mut self.run {
                        run.failure = Some(failure.clone());
                    }
                    self.failure = Some(failure.clone());
                    self.end(sink)?;
                }
                Ok(Err(failure))
            }
        }
    }

    /// Ends the worker, if there is one, and reports it.
    pub(super) fn end(&mut self, sink: &mut Sink<'_>) -> Result<(), Cut> {
        if let Some(worker) = self.worker.take() {
            if let (Some(run), true) = (&mut self.run, worker.alive()) {
                run.memory = memory_use(worker.pid());
            }
            worker.stop();
        }
        match self.run.take() {
            Some(run) => sink(&Entry::Worker(run)).map_err(Cut::NotSaved),
            None => Ok(()),
        }
    }
}
