//! Owns the schedule of a round: fresh workers, cold starts one after the other, warm-up, then every
//! task for every variant in lockstep. It reports what happens and compares nothing.

mod dies;
mod energy;
mod heat;
mod order;
pub mod page_cache;
mod probe;
mod quota;
mod start;

pub use energy::{EnergyCounter, EnergyReading, NoCounters, Spent};
pub use heat::{Heat, Watch};
pub use order::{order, spawn_order};
pub use probe::{control_groups, host, memory_use};
pub use quota::cpu_quota;
pub use start::{Starter, read_memory};

use crate::config::{Deadlines, Variant};
use crate::protocol::{Order, monotonic_ns};
use crate::record::{Entry, Failure, FailureClass, Phase, Request, Round, Sampling, WorkerRun};
use crate::worker::{Interrupt, Worker};
use crate::workload::{Prompts, TokenizedTask, request_seed};
use std::path::PathBuf;

/// What a runner needs for any round.
pub struct Runner<'a> {
    /// The variants.
    pub variants: &'a [Variant],
    /// Their prompts.
    pub prompts: &'a Prompts,
    /// Tokens to generate per request.
    pub gen_tokens: u32,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Seed of the sampler.
    pub seed: u64,
    /// Requests of each worker that are not counted.
    pub warmup: u32,
    /// How often a worker may be restarted within a round.
    pub restarts: u32,
    /// How long a worker may take.
    pub deadlines: Deadlines,
    /// perfgate's own binary, which is also the worker.
    pub program: PathBuf,
    /// Energy counters, where the machine has them.
    pub energy: Option<EnergyCounter>,
    /// Idle power that is subtracted from the energy of requests, watts.
    pub idle_watts: Option<f64>,
    /// What tells of throttling and frequencies.
    pub heat: &'a Heat,
    /// Set once the user wants to stop.
    pub interrupt: Interrupt,
}

/// Samples of the frequency in a round.
const FREQUENCY_SAMPLES: usize = 4;

/// Why a round did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// The user wants to stop.
    Interrupted,
    /// A variant's set-up is at fault.
    Setup {
        /// The variant's name.
        variant: String,
        /// What is wrong.
        failure: Failure,
    },
    /// A sample could not be saved.
    NotSaved(crate::problem::Problem),
}

/// Where the runner reports what happens, as it happens. An error ends the round.
pub type Sink<'a> = dyn FnMut(&Entry) -> crate::problem::Result<()> + 'a;

/// A variant's place in a round.
struct Place<'a> {
    variant: &'a Variant,
    tasks: &'a [TokenizedTask],
    worker: Option<Worker>,
    run: Option<WorkerRun>,
    attempt: u32,
}

impl Runner<'_> {
    /// Runs one round, from 1. What was measured before a cut is in the returned round.
    pub fn round(&self, number: u32, sink: &mut Sink<'_>) -> (Round, Option<Cut>) {
        let mut state = State {
            runner: self,
            sink,
            round: Round { round: number, idle_watts: self.idle_watts, ..Round::default() },
            slot: 0,
            watch: self.heat.watch(),
        };
        let cut = state.run().err();
        state.round.complete = cut.is_none();
        let end = Entry::RoundEnd { round: number, complete: cut.is_none() };
        let saved = (state.sink)(&end);
        let round = state.round;
        match (cut, saved) {
            (None, Err(problem)) => (round, Some(Cut::NotSaved(problem))),
            (cut, _) => (round, cut),
        }
    }
}

/// A round under way.
struct State<'a, 'b> {
    runner: &'a Runner<'a>,
    sink: &'a mut Sink<'b>,
    round: Round,
    slot: u32,
    watch: Watch<'a>,
}

impl<'a> State<'a, '_> {
    fn run(&mut self) -> Result<(), Cut> {
        let number = self.round.round;
        self.tell(Entry::RoundStart { round: number })?;
        let runner = self.runner;
        let mut places: Vec<Place<'a>> = runner
            .variants
            .iter()
            .map(|variant| Place {
                variant,
                tasks: runner.prompts.of(&variant.name),
                worker: None,
                run: None,
                attempt: 0,
            })
            .collect();
        let done = self.all_requests(&mut places).and_then(|()| self.conditions());
        for place in &mut places {
            let ended = self.end_worker(place);
            if done.is_ok() {
                ended?;
            }
        }
        done
    }

    /// Cold starts one after the other, then warm-up and tasks in lockstep.
    fn all_requests(&mut self, places: &mut [Place<'a>]) -> Result<(), Cut> {
        let number = self.round.round as usize - 1;
        for index in spawn_order(places.len(), number) {
            self.ensure_worker(&mut places[index])?;
        }
        for warmup in 1..self.runner.warmup {
            for index in order(places.len(), number + warmup as usize) {
                let place = &mut places[index];
                if place.worker.is_some() {
                    let task = warmup as usize % place.tasks.len();
                    self.request(place, task, Phase::Warmup)?;
                }
            }
        }
        let tasks = self.runner.prompts.ids.len();
        for task in 0..tasks {
            for index in order(places.len(), number + task) {
                let place = &mut places[index];
                self.ensure_worker(place)?;
                self.request(place, task, Phase::Timed)?;
            }
            // Evenly over the round, and never while a request runs.
            if (task + 1) * FREQUENCY_SAMPLES / tasks > task * FREQUENCY_SAMPLES / tasks {
                self.watch.sample();
            }
        }
        Ok(())
    }

    /// Keeps what the machine did while requests were executed.
    fn conditions(&mut self) -> Result<(), Cut> {
        let watch = std::mem::replace(&mut self.watch, self.runner.heat.watch());
        let conditions = watch.end();
        self.round.conditions = Some(conditions.clone());
        self.tell(Entry::Conditions { round: self.round.round, conditions })
    }

    /// Makes sure that the variant has a living, warmed worker, if it may have another.
    fn ensure_worker(&mut self, place: &mut Place<'a>) -> Result<(), Cut> {
        while place.worker.is_none() && place.attempt <= self.runner.restarts {
            place.attempt += 1;
            self.start_worker(place)?;
            // The first worker is warmed in lockstep with the others; a later one alone.
            let alone = if place.attempt > 1 { self.runner.warmup } else { 1 };
            for warmup in 0..alone {
                if place.worker.is_some() {
                    let phase = if warmup == 0 { Phase::ColdStart } else { Phase::Warmup };
                    self.request(place, warmup as usize % place.tasks.len(), phase)?;
                }
            }
        }
        Ok(())
    }

    fn start_worker(&mut self, place: &mut Place<'a>) -> Result<(), Cut> {
        let starter = Starter {
            program: &self.runner.program,
            deadline: self.runner.deadlines.load,
            interrupt: &self.runner.interrupt,
            before_spawn: None,
        };
        let round = self.round.round;
        let (worker, run) = starter.start(place.variant, round, place.attempt, self.sink)?;
        place.run = Some(run);
        if worker.is_none() {
            self.end_worker(place)?;
        }
        place.worker = worker;
        Ok(())
    }

    /// Executes one request, or records that nobody is left to serve it.
    fn request(&mut self, place: &mut Place<'a>, task: usize, phase: Phase) -> Result<(), Cut> {
        let prompt = &place.tasks[task];
        let mut request = Request {
            round: self.round.round,
            slot: self.slot,
            variant: place.variant.name.clone(),
            task: prompt.id.clone(),
            attempt: place.attempt,
            phase,
            start_ns: monotonic_ns(),
            token_ns: Vec::new(),
            prompt_tokens: prompt.tokens.len() as u32,
            tokens: Vec::new(),
            energy_uj: None,
            dram_energy_uj: None,
            energy_ns: None,
            failure: None,
        };
        self.slot += 1;
        let Some(worker) = &mut place.worker else {
            request.failure = Some(Failure {
                class: FailureClass::NotServed,
                message: format!(
                    "no worker was left: {} of {} had failed",
                    place.attempt,
                    self.runner.restarts + 1
                ),
            });
            return self.keep(request);
        };
        let runner = self.runner;
        let order = Order {
            prompt: prompt.tokens.clone(),
            tokens: runner.gen_tokens,
            stop: Vec::new(),
            sampling: runner.sampling,
            seed: request_seed(runner.seed, &prompt.id),
        };
        let before = runner.energy.as_ref().and_then(EnergyCounter::read);
        match worker.generate(&order, runner.deadlines.request, &runner.interrupt) {
            Ok(done) => {
                let spent = runner
                    .energy
                    .as_ref()
                    .and_then(|counter| counter.between(&before?, &counter.read()?));
                if let Some(Spent { ns, package_uj, dram_uj }) = spent {
                    request.energy_uj = Some(package_uj);
                    request.dram_energy_uj = dram_uj;
                    request.energy_ns = Some(ns);
                }
                request.start_ns = done.start_ns;
                if let (Phase::ColdStart, Some(run)) = (phase, &mut place.run) {
                    let first = done.start_ns + done.token_ns[0];
                    run.first_token_ns = Some(first.saturating_sub(run.spawn_ns));
                }
                request.token_ns = done.token_ns;
                request.tokens = done.tokens;
                self.keep(request)
            }
            Err(stop) => {
                let alive = worker.alive();
                let failure = Cut::unless_failed(stop, &place.variant.name)?;
                request.failure = Some(failure.clone());
                self.keep(request)?;
                if !alive {
                    if let Some(run) = &mut place.run {
                        run.failure = Some(failure);
                    }
                    self.end_worker(place)?;
                }
                Ok(())
            }
        }
    }

    /// Reads a worker's memory, ends it and keeps its figures.
    fn end_worker(&mut self, place: &mut Place<'a>) -> Result<(), Cut> {
        let worker = place.worker.take();
        let Some(mut run) = place.run.take() else { return Ok(()) };
        if let Some(worker) = worker {
            read_memory(&worker, &mut run);
            worker.stop();
        }
        self.round.workers.push(run.clone());
        self.tell(Entry::Worker(run))
    }

    fn keep(&mut self, request: Request) -> Result<(), Cut> {
        self.round.requests.push(request.clone());
        self.tell(Entry::Request(request))
    }

    fn tell(&mut self, entry: Entry) -> Result<(), Cut> {
        (self.sink)(&entry).map_err(Cut::NotSaved)
    }
}
