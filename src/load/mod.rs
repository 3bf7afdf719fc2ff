//! Owns the load pass: what variants come to under load for minutes, and under several requests at once, in closed
//! loops, in open loops, and in a search for the highest rate that keeps to a limit. It runs after the rounds, and
//! compares nothing.

mod arrivals;
mod search;
mod server;

pub use arrivals::{Length, poisson};
pub use search::{
    ALPHA, Keeps, LATE, Probe, Search, Tail, fewest_requests, latencies, requests_per_second,
    seconds,
};

use crate::config::{Deadlines, Variant};
use crate::protocol::Arrivals;
use crate::record::{ConcurrencyPlan, Load, LoadKind, LoadPlan, Sampling, SustainedPlan};
use crate::runner::{Cut, Sink, order};
use crate::worker::Interrupt;
use crate::workload::Prompts;
use server::{Asked, Server};
use std::path::PathBuf;

/// Blocks of each variant of a sustained load: enough for a trend, and three of them are a tenth.
pub const BLOCKS: u32 = 30;

/// What a load pass needs.
pub struct LoadPass<'a> {
    /// What to do.
    pub plan: &'a LoadPlan,
    /// The variants of the session.
    pub variants: &'a [Variant],
    /// Their prompts.
    pub prompts: &'a Prompts,
    /// Tokens to generate per request.
    pub gen_tokens: u32,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Seed of the sampler.
    pub seed: u64,
    /// Requests of each stream of a fresh worker that are not counted.
    pub warmup: u32,
    /// How long a worker may take.
    pub deadlines: Deadlines,
    /// perfgate's own binary, which is also the worker.
    pub program: PathBuf,
    /// Set once the user wants to stop.
    pub interrupt: Interrupt,
}

impl<'a> LoadPass<'a> {
    /// Puts the variants under load. `before` is what an interrupted session had come to, which is not done again.
    ///
    /// # Errors
    /// If a variant's set-up is at fault, the user interrupts, or a load cannot be saved.
    pub fn run(&'a self, before: &[Load], sink: &mut Sink<'_>) -> Result<Vec<Load>, Cut> {
        let mut done = Vec::new();
        if let Some(plan) = &self.plan.sustained {
            done.extend(self.sustained(plan, before, sink)?);
        }
        if let Some(plan) = &self.plan.concurrency {
            let mut loads = Loads { pass: self, plan, before, done: Vec::new() };
            loads.run(sink)?;
            done.append(&mut loads.done);
        }
        Ok(done)
    }

    fn of_names(&self, names: &[String]) -> Vec<&'a Variant> {
        self.variants.iter().filter(|variant| names.contains(&variant.name)).collect()
    }

    /// All workers are alive, and variants take turns block by block, so that heat and neighbours hit all of them. A
    /// session that was interrupted in the middle begins anew: its processes are gone.
    fn sustained(
        &'a self,
        plan: &SustainedPlan,
        before: &[Load],
        sink: &mut Sink<'_>,
    ) -> Result<Vec<Load>, Cut> {
        let variants = self.of_names(&plan.variants);
        if let Some(known) = whole_sustained(plan, variants.len(), before) {
            return Ok(known);
        }
        let mut servers = Vec::new();
        for variant in variants {
            servers.push(Server::start(self, variant, 1, false, sink)?);
        }
        let done = self.blocks(plan, &mut servers, sink);
        for server in &mut servers {
            let ended = server.end(sink);
            if done.is_ok() {
                ended?;
            }
        }
        done
    }

    fn blocks(
        &self,
        plan: &SustainedPlan,
        servers: &mut [Server<'_>],
        sink: &mut Sink<'_>,
    ) -> Result<Vec<Load>, Cut> {
        let mut done: Vec<Load> = Vec::new();
        for number in 1..=plan.blocks {
            for index in order(servers.len(), number as usize - 1) {
                let server = &mut servers[index];
                // One that did not start says so once; one that died said so in its last block.
                if number > 1 && !server.alive() {
                    continue;
                }
                let until_ns = nanoseconds(plan.block_seconds);
                let arrivals = Arrivals::Closed { until_ns, most: u64::MAX };
                let asked = Asked { kind: LoadKind::Sustained, number, rate: None };
                done.push(server.serve(asked, arrivals, plan.block_seconds, sink)?);
            }
        }
        Ok(done)
    }
}

/// What an interrupted session had of a sustained load, if that was all of it.
fn whole_sustained(plan: &SustainedPlan, variants: usize, before: &[Load]) -> Option<Vec<Load>> {
    let known: Vec<&Load> = before.iter().filter(|load| load.kind == LoadKind::Sustained).collect();
    // Of several attempts only the last can be whole.
    let first = known.len().checked_sub(plan.blocks as usize * variants)?;
    let last = &known[first..];
    let in_order = |(place, load): (usize, &&Load)| load.number as usize == place / variants + 1;
    let whole = !last.is_empty() && last.iter().enumerate().all(in_order);
    whole.then(|| last.iter().map(|load| (*load).clone()).collect())
}

fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// The loads of several requests at once, one worker after the other.
struct Loads<'a> {
    pass: &'a LoadPass<'a>,
    plan: &'a ConcurrencyPlan,
    before: &'a [Load],
    done: Vec<Load>,
}

/// One load: what it is, and when its requests arrive.
struct Step {
    asked: Asked,
    streams: u32,
    arrivals: Arrivals,
    seconds: f64,
}

impl Loads<'_> {
    /// Closed loops, open loops, then the searches; for each level all variants, in an order that changes.
    fn run(&mut self, sink: &mut Sink<'_>) -> Result<(), Cut> {
        let plan = self.plan;
        let variants = self.pass.of_names(&plan.variants);
        let closed = plan.streams.iter().map(|streams| (LoadKind::Closed, *streams, None));
        let open = plan.rates.iter().map(|rate| (LoadKind::Open, plan.servers, Some(*rate)));
        for (level, (kind, streams, rate)) in closed.chain(open).enumerate() {
            for index in order(variants.len(), level) {
                let asked = Asked { kind, number: 1, rate };
                let (seconds, arrivals) = (plan.seconds, self.arrivals(rate));
                self.step(variants[index], Step { asked, streams, arrivals, seconds }, sink)?;
            }
        }
        if let (Some(seconds), Some(limit)) = (plan.search_seconds, plan.p99) {
            for variant in variants {
                self.search(variant, seconds, nanoseconds(limit), sink)?;
            }
        }
        Ok(())
    }

    /// Of a loop of the plan's seconds.
    fn arrivals(&self, rate: Option<f64>) -> Arrivals {
        let seconds = self.plan.seconds;
        match rate {
            None => Arrivals::Closed { until_ns: nanoseconds(seconds), most: u64::MAX },
            Some(rate) => Arrivals::Open {
                due_ns: poisson(rate, Length::Seconds(seconds), self.plan.seed),
                patience_ns: self.patience_ns(),
                give_up: None,
            },
        }
    }

    /// Nobody waits longer for a stream than a request may take.
    fn patience_ns(&self) -> u64 {
        u64::try_from(self.pass.deadlines.request.as_nanos()).unwrap_or(u64::MAX)
    }

    fn search(
        &mut self,
        variant: &Variant,
        seconds: f64,
        limit_ns: u64,
        sink: &mut Sink<'_>,
    ) -> Result<(), Cut> {
        let of_variant = |load: &&Load| {
            let closed = load.kind == LoadKind::Closed && load.streams == self.plan.servers;
            load.variant == variant.name && closed
        };
        let closed = self.done.iter().find(of_variant);
        let Some(capacity) = closed.and_then(requests_per_second) else { return Ok(()) };
        let mut search = Search::new(capacity, seconds);
        while let Some(probe) = search.next() {
            let Probe { rate, requests: count } = probe;
            let asked =
                Asked { kind: LoadKind::Probe, number: search.probes + 1, rate: Some(rate) };
            let arrivals = Arrivals::Open {
                due_ns: poisson(rate, Length::Requests(count), self.plan.seed),
                patience_ns: self.patience_ns(),
                give_up: Some(search::give_up(limit_ns, count)),
            };
            // Chance may stretch a schedule; four times its mean never comes.
            let seconds = 4.0 * probe.seconds();
            let step = Step { asked, streams: self.plan.servers, arrivals, seconds };
            let load = self.step(variant, step, sink)?;
            search.probe(&load, limit_ns);
        }
        Ok(())
    }

    /// One load by a fresh worker, unless it was done before.
    fn step(&mut self, variant: &Variant, step: Step, sink: &mut Sink<'_>) -> Result<Load, Cut> {
        let Step { asked, streams, arrivals, seconds } = step;
        let same = |load: &&Load| {
            (load.variant == variant.name && load.streams == streams)
                && (load.kind, load.number, load.rate) == (asked.kind, asked.number, asked.rate)
        };
        if let Some(known) = self.before.iter().find(same) {
            self.done.push(known.clone());
            return Ok(known.clone());
        }
        let mut server = Server::start(self.pass, variant, streams, true, sink)?;
        let load = server.serve(asked, arrivals, seconds, sink)?;
        server.end(sink)?;
        self.done.push(load.clone());
        Ok(load)
    }
}
