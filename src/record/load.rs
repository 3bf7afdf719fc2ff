//! Owns the record of load: what a variant was put under for longer, and by several requests at once, and when
//! each of its requests arrived, began and came to its tokens.

use super::{EngineInfo, Failure, MemoryUse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What of the load pass a load belongs to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LoadKind {
    /// A block of the sustained load: one stream, one request behind the other.
    Sustained,
    /// Closed loop: each stream asks again as soon as it has its answer.
    Closed,
    /// Open loop: requests arrive by a schedule, whether the ones before are answered or not.
    Open,
    /// Open loop, as a probe of the search for the highest rate.
    Probe,
}

/// One load: requests served by one worker of a variant, without a pause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// The variant's name.
    pub variant: String,
    /// What it belongs to.
    pub kind: LoadKind,
    /// From 1, of its kind and variant: the block of a sustained load, the probe of a search; 1 otherwise.
    pub number: u32,
    /// Requests that are served at once, at most.
    pub streams: u32,
    /// Requests that were to arrive each second, of an open loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Requests that were to arrive, of an open loop; fewer are recorded where a probe was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<u32>,
    /// The worker's process id.
    pub pid: u32,
    /// What the engine says of itself, of the first load of a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineInfo>,
    /// Requests that the worker had executed before, which are not counted.
    pub warmup: u32,
    /// Start of the load, monotonic nanoseconds, stamped by the worker (by the parent if it failed).
    pub start_ns: u64,
    /// The requests, in the order in which they were taken up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<LoadRequest>,
    /// The worker's memory just before the load; missing where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_before: Option<MemoryUse>,
    /// The same just after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_after: Option<MemoryUse>,
    /// Why none of its requests has an answer, if so: the worker did not start, died, or took too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// One request of a load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoadRequest {
    /// The task's id.
    pub task: String,
    /// The stream that served it, from 0.
    pub stream: u32,
    /// When it arrived: by the schedule of an open loop; once its stream was free in a closed one. Nanoseconds
    /// since the load's start, as the next one.
    pub arrival_ns: u64,
    /// When its first forward pass began.
    pub start_ns: u64,
    /// Each token's stamp, nanoseconds since its own `start_ns`; empty if it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_ns: Vec<u64>,
    /// The generated token ids; empty if it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<u32>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl LoadRequest {
    /// From its arrival to its last token, nanoseconds; `None` if it failed.
    pub fn latency_ns(&self) -> Option<u64> {
        Some(self.waiting_ns().saturating_add(self.service_ns()?))
    }

    /// From its arrival to its first forward pass, nanoseconds.
    pub fn waiting_ns(&self) -> u64 {
        self.start_ns.saturating_sub(self.arrival_ns)
    }

    /// From its first forward pass to its last token, nanoseconds; `None` if it failed.
    pub fn service_ns(&self) -> Option<u64> {
        self.token_ns.last().copied().filter(|_| self.failure.is_none())
    }
}

/// What a load pass set out to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadPlan {
    /// The sustained load, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sustained: Option<SustainedPlan>,
    /// The loads of several requests at once, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<ConcurrencyPlan>,
}

impl LoadPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.sustained.is_none() && self.concurrency.is_none()
    }

    /// Leaves some variants in it; a kind of load without any is none.
    pub fn keep(&mut self, stays: impl Fn(&String) -> bool) {
        if let Some(plan) = &mut self.sustained {
            plan.variants.retain(&stays);
        }
        if let Some(plan) = &mut self.concurrency {
            plan.variants.retain(&stays);
        }
        self.sustained = self.sustained.take().filter(|plan| !plan.variants.is_empty());
        self.concurrency = self.concurrency.take().filter(|plan| !plan.variants.is_empty());
    }
}

/// What a sustained load set out to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SustainedPlan {
    /// The variants, which take turns block by block.
    pub variants: Vec<String>,
    /// Blocks of each variant.
    pub blocks: u32,
    /// Shortest duration of a block, seconds: its last request is served to its end.
    pub block_seconds: f64,
}

impl SustainedPlan {
    /// Seconds of each variant.
    pub fn seconds(&self) -> f64 {
        f64::from(self.blocks) * self.block_seconds
    }
}

/// What the loads of several requests at once set out to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConcurrencyPlan {
    /// The variants.
    pub variants: Vec<String>,
    /// The numbers of streams of the closed loops.
    pub streams: Vec<u32>,
    /// Duration of each loop, seconds: nothing arrives, or is asked again, after it.
    pub seconds: f64,
    /// Arrivals per second of the open loops.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<f64>,
    /// Streams that serve an open loop.
    pub servers: u32,
    /// Seed of the arrivals.
    pub seed: u64,
    /// What P99 of the latency may be, seconds, if there is a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
    /// Most seconds that the search for the highest rate takes for each variant, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search_seconds: Option<f64>,
}

impl ConcurrencyPlan {
    /// Seconds of each variant, the search's at most.
    pub fn seconds_of_variant(&self) -> f64 {
        let loops = (self.streams.len() + self.rates.len()) as f64;
        loops * self.seconds + self.search_seconds.unwrap_or(0.0)
    }
}
