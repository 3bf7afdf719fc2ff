//! Owns the record of measured cold starts, as `perfgate start` writes it.

use super::{Environment, Provenance, VariantRecord, WorkerRun};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the file's format.
pub const STARTS_FORMAT: u32 = 1;

/// Cold starts of some variants under several conditions: every sample, raw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Starts {
    /// [`STARTS_FORMAT`].
    pub format: u32,
    /// UTC start, RFC 3339.
    pub started: String,
    /// Where the run comes from.
    pub provenance: Provenance,
    /// The machine.
    pub environment: Environment,
    /// The variants by name, as they are configured.
    pub variants: BTreeMap<String, VariantRecord>,
    /// What was set out to be done.
    pub plan: StartPlan,
    /// Whether all of it was done.
    pub complete: bool,
    /// Every start, in the order of execution.
    pub samples: Vec<StartSample>,
}

/// What a measurement of cold starts sets out to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartPlan {
    /// The variants, in the order of the configuration.
    pub variants: Vec<String>,
    /// The conditions of each variant; the first is what the others are held against.
    pub conditions: BTreeMap<String, Vec<Condition>>,
    /// Starts under each condition. Each repeat goes once through all of them, in an order of its own.
    pub repeats: u32,
    /// Seed of the orders.
    pub seed: u64,
    /// Tokens fed in the one request that follows each start, by variant.
    pub prompt_tokens: BTreeMap<String, usize>,
    /// Tokens generated in it.
    pub gen_tokens: u32,
}

/// Under what a process is started; what is missing is as configured, or nothing that the engine has.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub struct Condition {
    /// What is done with the page cache of the model's files, of the engine's libraries and of the model cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_cache: Option<PageCache>,
    /// Whether the engine may take the compiled model from a folder where an earlier start left it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_cache: Option<bool>,
    /// Whether the engine maps the model's files, or reads them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mmap: Option<bool>,
}

/// What is done with the page cache before a start.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PageCache {
    /// The files are read first, so that they are in it.
    Warm,
    /// They are dropped from it, as far as no process has them mapped.
    Dropped,
}

impl PageCache {
    /// The word of tables.
    pub fn id(self) -> &'static str {
        match self {
            PageCache::Warm => "warm",
            PageCache::Dropped => "dropped",
        }
    }
}

/// One start of one variant in a fresh process, with one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartSample {
    /// From 1; 0 for a start that only fills a model cache and is not counted.
    pub repeat: u32,
    /// Position in the order of execution, from 0.
    pub slot: u32,
    /// Under what it was started.
    pub condition: Condition,
    /// The process: how it started, what it used, how much of the model was in the page cache just before the spawn.
    pub run: WorkerRun,
    /// Time to first token of its request, nanoseconds; missing if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ns: Option<u64>,
    /// Share of the engine's libraries that was in the page cache just before the spawn, 0 to 1; missing where there
    /// are none, or the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library_page_cache: Option<f64>,
    /// Bytes of the model cache's files after the start, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_cache_bytes: Option<u64>,
}
