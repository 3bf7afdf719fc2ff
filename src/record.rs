//! Owns the raw record of a session: what was run, where, and every sample, as the journal and
//! `benchmark_results.json` hold it.
//!
//! Times are nanoseconds of the machine's monotonic clock, which parent and workers share; spans
//! are nanoseconds since the start they belong to. Nothing here computes a statistic.

mod fidelity;
mod hardware;
mod identity;
mod load;
mod properties;
mod rows;
mod scenarios;
mod starts;

pub use fidelity::{Fidelity, FidelityPlan, Forcing};
pub use hardware::{
    Bandwidth, CacheLevel, Ceiling, Execution, Hardware, Number, Products, Work, bits_of,
    cache_types,
};
pub use identity::{CHAT_TEMPLATE, Identity, RecipeIdentity, TOKENIZER};
pub use load::{ConcurrencyPlan, Load, LoadKind, LoadPlan, LoadRequest, SustainedPlan};
pub use properties::{Difference, ModelCache, Taken};
pub use rows::{Independent, Rows};
pub use scenarios::{Requirement, Scenario, Weight};
pub use starts::{Condition, PageCache, STARTS_FORMAT, StartPlan, StartSample, Starts};

use crate::metric::{Better, Metric, Statistic, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Version of the journal's format. A reader accepts this one and the one before.
pub const JOURNAL_FORMAT: u32 = 2;

/// Version of the result file's format. A reader accepts this one and the one before.
pub const RESULTS_FORMAT: u32 = 2;

/// Why a request (or a worker's load) counts as failed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The engine reported an error.
    Error,
    /// The worker process died: a signal, an abort, an exit in the middle.
    Crash,
    /// The deadline of the request or of the load passed; the worker was killed.
    Deadline,
    /// The logits held NaN or an infinity.
    NonFinite,
    /// The kernel killed the worker, or it could not allocate, for want of memory.
    OutOfMemory,
    /// The worker broke the protocol: garbage on its pipe, a wrong id, too few tokens.
    Protocol,
    /// A graded task asked for a structure, and the answer is none; or it asked for no call, and the answer may be
    /// meant as one and cannot be read.
    Malformed,
    /// A graded task was answered with nothing.
    Empty,
    /// An answer did not end within the tokens that it may have.
    RunOn,
    /// Not attempted, because the variant's worker had failed more often than may be restarted.
    NotServed,
    /// The worker cannot do what was asked.
    Unsupported,
}

impl FailureClass {
    /// The words of the report.
    pub fn title(self) -> &'static str {
        match self {
            FailureClass::Error => "error",
            FailureClass::Crash => "crash",
            FailureClass::Deadline => "deadline passed",
            FailureClass::NonFinite => "NaN or infinite logits",
            FailureClass::OutOfMemory => "out of memory",
            FailureClass::Protocol => "broken protocol",
            FailureClass::Malformed => "malformed answer",
            FailureClass::Empty => "empty answer",
            FailureClass::RunOn => "no end of the answer",
            FailureClass::NotServed => "not served",
            FailureClass::Unsupported => "not supported",
        }
    }

    /// Whether it is what the model said, and not that its engine failed to let it speak.
    pub fn is_answer(self) -> bool {
        matches!(self, FailureClass::Malformed | FailureClass::Empty | FailureClass::RunOn)
    }
}

/// A failure with its reason, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// What kind of failure it was.
    pub class: FailureClass,
    /// What happened, with the tail of the worker's output where that says why.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class.title(), self.message)
    }
}

/// Whether a request is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The first request after the load, which ends the cold start.
    ColdStart,
    /// Executed and recorded, never counted.
    Warmup,
    /// Counted.
    Timed,
}

/// One task executed once by one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Request {
    /// The round, from 1.
    pub round: u32,
    /// Position in the round's order of execution, from 0, counted over all variants.
    pub slot: u32,
    /// The variant's name.
    pub variant: String,
    /// The task's id.
    pub task: String,
    /// Which of the variant's workers of this round served it, from 1; above 1 after a restart.
    pub attempt: u32,
    /// Whether it is counted.
    pub phase: Phase,
    /// Start of the request, monotonic nanoseconds, stamped by the worker (by the parent if it failed).
    pub start_ns: u64,
    /// Each token's stamp, nanoseconds since `start_ns`; empty if it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_ns: Vec<u64>,
    /// Number of prompt tokens fed.
    pub prompt_tokens: u32,
    /// The generated token ids; empty if it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<u32>,
    /// Energy of the processor packages from request to answer, microjoules, where it can be read; idle
    /// power is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_uj: Option<u64>,
    /// Energy of the memory (DRAM) in the same time, microjoules, where it is counted apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dram_energy_uj: Option<u64>,
    /// Time between the two readings of the counters, nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_ns: Option<u64>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// How the next token is chosen from the logits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sampling {
    /// Divides the logits; 0 takes the most probable token (greedy decoding).
    pub temperature: f64,
    /// Only so many of the most probable tokens are candidates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Only the most probable tokens that together reach this probability are candidates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
}

impl Sampling {
    /// Whether no chance is involved.
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0
    }
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_greedy() {
            return f.write_str("greedy");
        }
        write!(f, "temperature {}", self.temperature)?;
        if let Some(k) = self.top_k {
            write!(f, ", top-k {k}")?;
        }
        if let Some(p) = self.top_p {
            write!(f, ", top-p {p}")?;
        }
        Ok(())
    }
}

/// What a graded answer came to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// As expected.
    Right,
    /// An answer, and not the expected one.
    Wrong,
    /// No usable answer: the request failed, or the answer is malformed.
    Failed,
}

/// The answer of one variant to one graded task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The variant's name.
    pub variant: String,
    /// The task's id.
    pub task: String,
    /// Number of prompt tokens fed.
    pub prompt_tokens: u32,
    /// The generated token ids, the stop token among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<u32>,
    /// The answer, cut at the first stop string; of a question with choices the one that was chosen.
    pub text: String,
    /// Of a question with choices: the log likelihood of each, nats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_likelihoods: Vec<f64>,
    /// Whether it comes from an earlier session with the same model, engine, prompt and machine kind.
    pub cached: bool,
    /// What it came to.
    pub grade: Grade,
    /// What is wrong with it, if it is an answer and not the expected one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// A task that was asked again, to see whether the same comes out, or how often it is right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Repeat {
    /// The variant's name.
    pub variant: String,
    /// The task's id.
    pub task: String,
    /// What was other than the first time.
    pub way: Way,
    /// How tokens were chosen.
    pub sampling: Sampling,
    /// The generated token ids; none if it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<u32>,
    /// The first token, from 0, at which it differs from the first time; missing where it does not, or where nothing
    /// is to be the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverges_at: Option<u32>,
    /// What it came to.
    pub grade: Grade,
    /// Whether it comes from an earlier session.
    pub cached: bool,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// What is other when a task is asked again.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Nothing: the answer that the others are held against.
    First,
    /// Asked again in the same process.
    SameProcess,
    /// Asked in another process.
    OtherProcess,
    /// Asked with so many threads.
    Threads(usize),
    /// Asked with another seed, from 1; nothing is to be the same.
    Seed(u32),
}

/// What an engine says of itself once its model is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EngineInfo {
    /// The engine's id: `candle`, `openvino`, `scripted`.
    pub engine: String,
    /// The version of the library that executes the model.
    pub version: String,
    /// The runtime library's file, where one is loaded at run time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    /// The device as the engine names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Effective properties, as the engine reads them back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// What its device has for such properties before any is set; of a model, files of its own may choose otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, String>,
    /// Properties that were set, by the configuration and by perfgate itself; none in files of an older perfgate.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requested: BTreeMap<String, String>,
    /// Size of the vocabulary, if known before the first request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    /// Whether one call gives the logits after every position; else a text is forced token by token.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all_positions: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// Memory of one process as the kernel accounts for it, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryUse {
    /// Largest resident set so far (`VmHWM`).
    pub peak_rss: u64,
    /// Anonymous resident memory at the reading (`RssAnon`).
    pub rss_anon: u64,
    /// Resident memory backed by files at the reading (`RssFile`).
    pub rss_file: u64,
}

impl MemoryUse {
    /// What is resident at the reading, bytes.
    pub fn resident(&self) -> u64 {
        self.rss_anon.saturating_add(self.rss_file)
    }
}

/// The steps of a load, nanoseconds, as the engine stamps them. The whole load is somewhat longer than their sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoadPhases {
    /// Loading the library that executes the model, and starting its devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library_ns: Option<u64>,
    /// Reading the model's files, or mapping them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_ns: Option<u64>,
    /// Making of what was read what runs: OpenVINO compiles, candle builds its tensors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compile_ns: Option<u64>,
}

impl LoadPhases {
    /// Whether the engine told of any step.
    pub fn is_empty(&self) -> bool {
        *self == LoadPhases::default()
    }
}

/// One worker process: how it started, and what it used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerRun {
    /// The round, from 1.
    pub round: u32,
    /// The variant's name.
    pub variant: String,
    /// From 1; above 1 after a restart.
    pub attempt: u32,
    /// The process id.
    pub pid: u32,
    /// Just before the spawn, monotonic nanoseconds.
    pub spawn_ns: u64,
    /// Spawn to the handshake, nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hello_ns: Option<u64>,
    /// Reading and compiling the model, nanoseconds, stamped inside the worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_ns: Option<u64>,
    /// The steps of the load, where the engine tells them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phases: Option<LoadPhases>,
    /// Spawn to the first token of the first request, nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ns: Option<u64>,
    /// What the engine says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineInfo>,
    /// Memory when the model was loaded, before the first request; its peak is that of the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_loaded: Option<MemoryUse>,
    /// What its load did with the engine's folder of compiled models; missing without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_cache: Option<ModelCache>,
    /// Largest resident set from the loaded model to the last request, bytes; missing where the kernel does not let
    /// its count begin anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_peak: Option<u64>,
    /// Memory when the round's last request was done; its peak is that of the process's whole life. Missing where the
    /// system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryUse>,
    /// What each token adds to the key-value cache, bytes, computed from the model's shape and the cache's type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_bytes_per_token: Option<u64>,
    /// Size of the model's files just before the spawn, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_bytes: Option<u64>,
    /// Share of them that were in the page cache then, 0 to 1; missing where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_cache: Option<f64>,
    /// Why it ended early, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// One round: every timing task once by a fresh worker of each variant, in lockstep.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Round {
    /// From 1.
    pub round: u32,
    /// False if it was cut short (interrupted); then it is kept and not counted.
    pub complete: bool,
    /// The workers, in the order of their spawns.
    pub workers: Vec<WorkerRun>,
    /// All requests in the order of their execution, warm-up included.
    pub requests: Vec<Request>,
    /// Idle power that is subtracted from the energy of the round's requests, watts; missing where it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_watts: Option<f64>,
    /// What the machine did meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Conditions>,
}

/// What the machine did during a round: whether it was throttled, and how fast its clocks were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conditions {
    /// How often processors were throttled, or why that is not known.
    pub throttled: Told<Throttled>,
    /// Their frequency, or why it is not known.
    pub frequency: Told<Frequency>,
    /// What the quota of CPU time cost, or why that is not known; missing where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Told<Starved>>,
}

/// How often the kernel stopped all threads since the quota of their control group was used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Starved {
    /// The quota, thousandths of a CPU's time.
    pub cpus_milli: u64,
    /// Periods in which the group had something to do.
    pub periods: u64,
    /// Those of them in which it was stopped.
    pub throttled: u64,
    /// For how long, nanoseconds, of all CPUs together.
    pub throttled_ns: u64,
}

/// How often the processors got too hot and slowed themselves down, by what the kernel counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Throttled {
    /// Events of single cores, of all of them together; missing where they are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core: Option<u64>,
    /// Events of whole packages, of all of them together; missing where they are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<u64>,
}

impl Throttled {
    /// Whether anything was throttled.
    pub fn any(self) -> bool {
        self.core.is_some_and(|count| count > 0) || self.package.is_some_and(|count| count > 0)
    }
}

impl fmt::Display for Throttled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of =
            |count: Option<u64>, what: &str| count.map(|count| format!("{what} {count} times"));
        let parts = [of(self.core, "cores"), of(self.package, "packages")];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// The frequency of the processors that could be used, sampled right behind requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Frequency {
    /// How many of them tell.
    pub cpus: usize,
    /// The mean over them at each sample, kHz, in the order of the samples.
    pub mean_khz: Vec<u64>,
}

/// Something that a machine tells, or the reason why it does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Told<T> {
    /// What was read.
    Available(T),
    /// Why nothing was read.
    Unavailable(String),
}

impl<T> Told<T> {
    /// What was read, if anything was.
    pub fn available(&self) -> Option<&T> {
        match self {
            Told::Available(value) => Some(value),
            Told::Unavailable(_) => None,
        }
    }

    /// Why nothing was read, if nothing was.
    pub fn unavailable(&self) -> Option<&str> {
        match self {
            Told::Available(_) => None,
            Told::Unavailable(why) => Some(why),
        }
    }
}

impl<T> From<Result<T, String>> for Told<T> {
    fn from(read: Result<T, String>) -> Told<T> {
        match read {
            Ok(value) => Told::Available(value),
            Err(why) => Told::Unavailable(why),
        }
    }
}

/// The power of all that is counted while no worker is alive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IdlePower {
    /// Energy over time of all samples, watts.
    pub watts: f64,
    /// Standard deviation of the samples' power, watts.
    pub sd_watts: f64,
    /// What was read.
    pub samples: Vec<IdleSample>,
}

/// The energy of some time in which no worker was alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdleSample {
    /// How long it was, nanoseconds.
    pub ns: u64,
    /// Energy of the processor packages, microjoules.
    pub package_uj: u64,
    /// Energy of the memory (DRAM), microjoules, where it is counted apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dram_uj: Option<u64>,
}

impl IdleSample {
    /// Its power, packages and memory together, watts.
    pub fn watts(&self) -> f64 {
        let uj = self.package_uj as f64 + self.dram_uj.unwrap_or(0) as f64;
        uj * 1e3 / self.ns as f64
    }
}

/// State of the git repository that holds the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GitState {
    /// Full id of HEAD's commit.
    pub commit: String,
    /// The branch, unless HEAD is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Tracked files that differ from HEAD.
    pub modified: usize,
    /// Files that git neither tracks nor ignores.
    pub untracked: usize,
}

impl GitState {
    /// Whether the work tree differs from the commit.
    pub fn dirty(&self) -> bool {
        self.modified > 0 || self.untracked > 0
    }
}

/// Where a run comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Provenance {
    /// perfgate's own version.
    pub perfgate: String,
    /// The repository's state, if the configuration lies in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitState>,
    /// Why there is no git state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_unavailable: Option<String>,
    /// What was asked of perfgate, so that it can be asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Invocation>,
    /// SHA-256 of `perfgate.toml`.
    pub config_sha256: String,
    /// SHA-256 of `thresholds.toml`, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds_sha256: Option<String>,
}

/// What was asked of `perfgate check` beside the commits: the arguments that decide what is measured and how it
/// is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invocation {
    /// The configuration, as seen from the repository's top where there is one.
    pub config: String,
    /// The rules, where they do not stand beside the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<String>,
    /// Rounds, where the command line changed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<u32>,
    /// What else it changed of what is measured: options and their values, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub narrowed: Vec<(String, String)>,
}

/// What must be equal for absolute times to be comparable. Its text form is a versioned key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineClass {
    /// The CPU model as the kernel names it; implementer and part, or design and instructions, where it names none.
    pub cpu: String,
    /// Instruction sets that matter to inference, sorted.
    pub instruction_sets: Vec<String>,
    /// Whole CPUs that this process may use: affinity and quota, rounded down.
    pub usable_cpus: usize,
    /// The architecture, as Rust names it.
    pub arch: String,
    /// The operating system, as Rust names it.
    pub os: String,
    /// Memory rounded to a power of two, GiB.
    pub memory_gib: u64,
    /// What version 2 of the class adds; missing in sessions of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finer: Option<FinerClass>,
}

/// What version 2 of a machine's class tells apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FinerClass {
    /// CPUs that this process may run on (affinity).
    pub cpus: usize,
    /// Thousandths of a CPU's time that control groups leave it, where that is less than the whole time of those CPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_milli: Option<u64>,
    /// Each kind of core with its number, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cores: Vec<String>,
    /// Memory as it is sold, GiB: the next of 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, … above what is installed less 4%. What
    /// firmware and kernel keep of it changes nothing so.
    pub memory_gib: u64,
}

impl FinerClass {
    /// CPUs and their quota in words.
    pub fn cpus_in_words(&self) -> String {
        match self.quota_milli {
            None => format!("{}cpu", self.cpus),
            Some(quota) => format!("{}cpu-quota-{}", self.cpus, quota as f64 / 1e3),
        }
    }
}

impl MachineClass {
    /// The versioned key: equal keys mean comparable machines.
    pub fn key(&self) -> String {
        let sets = self.instruction_sets.join("+");
        let (cpu, arch, os) = (&self.cpu, &self.arch, &self.os);
        match &self.finer {
            None => {
                let (cpus, memory) = (self.usable_cpus, self.memory_gib);
                format!("v1/{cpu}/{sets}/{cpus}cpu/{arch}-{os}/{memory}GiB")
            }
            Some(finer) => {
                let kinds = match finer.cores.is_empty() {
                    true => String::new(),
                    false => format!(" [{}]", finer.cores.join(" + ")),
                };
                let (cpus, memory) = (finer.cpus_in_words(), finer.memory_gib);
                format!("v2/{cpu}{kinds}/{sets}/{cpus}/{arch}-{os}/{memory}GiB")
            }
        }
    }
}

/// The machine of a session. Only [`MachineClass`] decides comparability; the rest is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// What must be equal for absolute times to be comparable.
    pub machine: MachineClass,
    /// The kernel's name and version.
    pub kernel: String,
    /// The frequency governor, or why it is not known.
    pub governor: Reading,
    /// Package energy counters, or why there are none.
    pub energy: Reading,
    /// Throttle counters, or why there are none.
    pub throttling: Reading,
    /// Installed memory, bytes.
    pub memory_bytes: u64,
}

/// Something that a machine tells, or the reason why it does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// What was read.
    Available(String),
    /// Why nothing was read.
    Unavailable(String),
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reading::Available(value) => f.write_str(value),
            Reading::Unavailable(reason) => write!(f, "not available: {reason}"),
        }
    }
}

/// One variant as it was configured for the session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VariantRecord {
    /// The engine's id.
    pub engine: String,
    /// The model's folder as the configuration writes it.
    pub model: String,
    /// SHA-256 over the names and SHA-256 of the model's files.
    pub model_sha256: String,
    /// Threads asked for.
    pub threads: usize,
    /// Properties asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Everything else that was asked for (data type, chat template).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Test switches in force, in words; a report must show them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test_switches: Vec<String>,
    /// What else changes its answers or its speed; missing in files of an older perfgate, and then not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Where the model's small files disagree with each other, and what was done about it; a report must
    /// show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disagreements: Vec<String>,
    /// Weights by the type in which the model's files store them; empty where they do not tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weight_types: BTreeMap<String, u64>,
    /// How the weights were quantized, in the words of the model's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
}

/// What a session set out to do, fixed before the first round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The variants in the order of the configuration.
    pub variants: Vec<String>,
    /// The reference variant.
    pub reference: String,
    /// Rounds to run.
    pub rounds: u32,
    /// Warm-up requests of each worker, the cold start's among them.
    pub warmup: u32,
    /// Ids of the timing tasks.
    pub tasks: Vec<String>,
    /// Tokens fed per request, or missing where prompts keep their own lengths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u32>,
    /// Tokens generated per request.
    pub gen_tokens: u32,
    /// Seed of the sampler.
    pub seed: u64,
    /// How tokens are chosen.
    #[serde(default)]
    pub sampling: Sampling,
    /// Suites and tags of the timing tasks, by id; tasks without any are not listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Labels>,
    /// SHA-256 of the workload: tasks, lengths, seed, sampling.
    pub workload_sha256: String,
    /// The quality pass, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityPlan>,
    /// What alone is measured, where that is not everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Only>,
    /// The fidelity pass, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<FidelityPlan>,
    /// The load pass, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadPlan>,
    /// How the session may end before its last round; missing where all rounds are run in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopping: Option<Stopping>,
    /// Variants that rules may name and that are not measured, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub absent: BTreeMap<String, Absent>,
    /// How long idle power is measured before the first round, to be subtracted from the energy of requests,
    /// milliseconds; missing where it is kept, and where no energy is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
}

/// What alone a session measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// The quality pass.
    Quality,
    /// The rounds.
    Timing,
    /// The sustained load, and the loads of several requests at once.
    Load,
}

impl Only {
    /// The word of the command line.
    pub fn id(self) -> &'static str {
        match self {
            Only::Quality => "quality",
            Only::Timing => "timing",
            Only::Load => "load",
        }
    }
}

/// A variant that is not measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Absent {
    /// What the rules that name it come to.
    pub verdict: VerdictKind,
    /// Why it is not measured.
    pub why: String,
}

/// How soon the error probability of a session with several looks is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Spending {
    /// Hardly any at first, so that the last look is nearly as sharp as a single one.
    #[serde(rename = "obrien-fleming")]
    OBrienFleming,
    /// Nearly evenly: sooner done where the effect is large, and blunter at the end.
    Pocock,
}

impl Spending {
    /// What reports call it.
    pub fn title(self) -> &'static str {
        match self {
            Spending::OBrienFleming => "O'Brien-Fleming",
            Spending::Pocock => "Pocock",
        }
    }
}

/// How a session may end before its last round, fixed before the first: the rounds after which the rules are
/// looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stopping {
    /// How the error is shared out over the looks.
    pub spending: Spending,
    /// The rounds after which there is a look, rising; the last is the last round of the plan.
    pub looks: Vec<u32>,
    /// Ids of the rules that all have to be decided.
    pub drives: Vec<String>,
}

/// What a quality pass set out to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QualityPlan {
    /// Ids of the graded tasks.
    pub tasks: Vec<String>,
    /// The variants that answer them.
    pub variants: Vec<String>,
    /// Most tokens of an answer.
    pub max_tokens: u32,
    /// Strings that end an answer.
    pub stop: Vec<String>,
    /// Suites and tags of the tasks, by id; tasks without any are not listed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Labels>,
    /// SHA-256 of the tasks, their expectations, the template and the generation parameters.
    pub sha256: String,
    /// The end of each task's prompt, in the order of the tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tails: Vec<String>,
    /// Tasks of which these were taken.
    #[serde(default)]
    pub of: usize,
    /// Which of the tasks the command line asked for, where that is not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub narrowed: Option<String>,
    /// How many tasks were answered together.
    #[serde(default = "one")]
    pub batch: u32,
    /// SHA-256 of all that `sha256` is of, but for which of the tasks were taken: equal for all parts of the tasks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source_sha256: String,
    /// The place of each task among all that there are, from 0; missing where all of them were taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<u32>,
    /// Which parts of the tasks these are, where they were shared out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<Shards>,
    /// Ids of the tasks that must not call a tool and count an answer that cannot be read as right, by the rule
    /// `leaderboard`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lenient: Vec<String>,
}

/// Parts of the graded tasks that were asked apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shards {
    /// The numbers of the parts, from 1, rising.
    pub parts: Vec<u32>,
    /// How many parts there are.
    pub of: u32,
    /// Which of the tasks were shared out, where that is not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<String>,
}

impl Shards {
    /// Whether every part is there.
    pub fn complete(&self) -> bool {
        self.parts.len() == self.of as usize
    }
}

impl fmt::Display for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.parts.iter().map(u32::to_string).collect();
        let plural = if numbers.len() == 1 { "" } else { "s" };
        write!(f, "part{plural} {} of {}", numbers.join(", "), self.of)
    }
}

fn one() -> u32 {
    1
}

/// One line of the journal. The journal is append-only JSON Lines, written as samples come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JournalLine {
    /// The session's id.
    pub session: String,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What happened in a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Entry {
    /// The session begins: the first line.
    Session {
        /// [`JOURNAL_FORMAT`].
        format: u32,
        /// Everything known before the first round.
        header: Box<Header>,
    },
    /// A round begins.
    RoundStart {
        /// From 1.
        round: u32,
    },
    /// A worker was spawned; its figures follow in a `worker` line.
    Spawn {
        /// From 1.
        round: u32,
        /// The variant's name.
        variant: String,
        /// From 1; above 1 after a restart.
        attempt: u32,
        /// The process id.
        pid: u32,
    },
    /// A request was executed or failed.
    Request(Request),
    /// A graded task was answered, or its answer was found in the cache. The workers of the quality
    /// pass are of round 0.
    Answer(Answer),
    /// It was looked whether the rows of a variant's batches are independent, before its first one.
    Rows {
        /// The variant's name.
        variant: String,
        /// What was found.
        rows: Rows,
    },
    /// A graded task was asked again.
    Repeat(Repeat),
    /// A document was forced through a variant and the reference, or that was found in the cache.
    Fidelity(Fidelity),
    /// What the machine can do was measured, and what each token needs was counted.
    Hardware {
        /// The machine.
        hardware: Box<Hardware>,
        /// By variant.
        work: BTreeMap<String, Work>,
        /// By variant: how its runtime executes the products with weights, or why that is not known.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        execution: BTreeMap<String, Told<Execution>>,
    },
    /// A load was served, or failed as a whole. Its workers are of round 0.
    Load(Load),
    /// A worker ended.
    Worker(WorkerRun),
    /// Idle power was measured, or could not be: before the first round, and before the first of a session
    /// that goes on.
    Idle {
        /// What it is; it is subtracted in the rounds that follow.
        power: Told<IdlePower>,
    },
    /// What the machine did during a round that was not cut short.
    Conditions {
        /// From 1.
        round: u32,
        /// What it did.
        conditions: Conditions,
    },
    /// A round ended.
    RoundEnd {
        /// From 1.
        round: u32,
        /// False if it was cut short.
        complete: bool,
    },
    /// The rules were looked at after a round.
    Look {
        /// The round.
        round: u32,
        /// The share of the error that is spent with this look, of each bound; 1 at the last look.
        spent: f64,
        /// Ids of the driving rules that are decided at it.
        decided: Vec<String>,
        /// Ids of those that are not.
        open: Vec<String>,
    },
    /// An interrupted session goes on.
    Resume {
        /// UTC, RFC 3339.
        at: String,
    },
    /// The last line of a session that was not killed.
    SessionEnd {
        /// Complete rounds.
        rounds: u32,
        /// Whether someone interrupted it.
        interrupted: bool,
    },
}

/// Everything that is known of a session before its first round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// The session's id: its UTC start and four characters against collisions.
    pub session: String,
    /// UTC start, RFC 3339.
    pub started: String,
    /// Where the run comes from.
    pub provenance: Provenance,
    /// The machine.
    pub environment: Environment,
    /// What is to be done.
    pub plan: Plan,
    /// The variants by name.
    pub variants: BTreeMap<String, VariantRecord>,
}

/// What a rule came to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictKind {
    /// Shown to be within the limit.
    Pass,
    /// Within the limit, and better than no change beyond doubt.
    Improved,
    /// Nothing to compare: both sides are the same by their content.
    Unchanged,
    /// Beyond the limit, and within what a waiver grants.
    Waived,
    /// Shown to be beyond the limit.
    Regressed,
    /// Neither was shown.
    Inconclusive,
    /// There is no stored baseline to hold it against.
    NoBaseline,
    /// The other side was measured on something that cannot be compared.
    Incomparable,
    /// This machine cannot measure it.
    Unavailable,
    /// Missing, not finite, or nothing was compared.
    Invalid,
}

impl VerdictKind {
    /// The word of tables and JSON.
    pub fn id(self) -> &'static str {
        match self {
            VerdictKind::Pass => "pass",
            VerdictKind::Improved => "improved",
            VerdictKind::Unchanged => "unchanged",
            VerdictKind::Waived => "waived",
            VerdictKind::Regressed => "regressed",
            VerdictKind::Inconclusive => "inconclusive",
            VerdictKind::NoBaseline => "no-baseline",
            VerdictKind::Incomparable => "incomparable",
            VerdictKind::Unavailable => "unavailable",
            VerdictKind::Invalid => "invalid",
        }
    }

    /// Whether the rule holds, without a waiver.
    pub fn holds(self) -> bool {
        matches!(self, VerdictKind::Pass | VerdictKind::Improved | VerdictKind::Unchanged)
    }

    /// Whether the rule was decided by evidence.
    pub fn decided(self) -> bool {
        matches!(
            self,
            VerdictKind::Pass
                | VerdictKind::Improved
                | VerdictKind::Unchanged
                | VerdictKind::Waived
                | VerdictKind::Regressed
        )
    }

    /// Whether it was shown to be beyond its limit, whatever a waiver grants.
    pub fn beyond(self) -> bool {
        matches!(self, VerdictKind::Regressed | VerdictKind::Waived)
    }
}

impl fmt::Display for VerdictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// What a rule asks for before it passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Fails when proven worse than the limit.
    Regression,
    /// Passes only when proven within the limit.
    Safety,
    /// The point decides; the report labels it so.
    Point,
}

/// Whether a rule takes part in the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does.
    Gate,
    /// It is shown only.
    Inform,
}

/// What to do with a gating rule that could not be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Say it loudly, do not block.
    Inform,
    /// Exit with 3.
    Block,
}

/// Policies for the verdicts that are neither good nor bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Policies {
    /// For `inconclusive`.
    pub inconclusive: Policy,
    /// For `no-baseline`.
    pub no_baseline: Policy,
    /// For `incomparable`.
    pub incomparable: Policy,
    /// For `unavailable`.
    pub unavailable: Policy,
}

impl Default for Policies {
    fn default() -> Self {
        Policies {
            inconclusive: Policy::Inform,
            no_baseline: Policy::Inform,
            incomparable: Policy::Inform,
            unavailable: Policy::Inform,
        }
    }
}

impl Policies {
    /// The policy for a verdict; `Inform` for those that have none.
    pub fn of(&self, verdict: VerdictKind) -> Policy {
        match verdict {
            VerdictKind::Inconclusive => self.inconclusive,
            VerdictKind::NoBaseline => self.no_baseline,
            VerdictKind::Incomparable => self.incomparable,
            VerdictKind::Unavailable => self.unavailable,
            _ => Policy::Inform,
        }
    }
}

/// What a rule holds its variant against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// Another variant of this run, of the same session or of another.
    Variant(String),
    /// The same variant in the stored sessions.
    Baseline {
        /// Compare the ratio to this variant, now against then, which cancels much of the machine.
        relative_to: Option<String>,
        /// Hold it against the sessions that were stored at this tag, branch or commit, in place of those
        /// that are stored now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        anchor: Option<String>,
    },
    /// A variant in another run file.
    Earlier(String),
    /// A fixed value, in the metric's unit.
    Absolute,
}

impl Against {
    /// The variant on the other side, where that is a variant of this run.
    pub fn variant(&self) -> Option<&str> {
        match self {
            Against::Variant(other) | Against::Baseline { relative_to: Some(other), .. } => {
                Some(other)
            }
            Against::Baseline { relative_to: None, .. }
            | Against::Earlier(_)
            | Against::Absolute => None,
        }
    }

    /// The commit whose stored sessions are the other side, if it is not those of now.
    pub fn anchor(&self) -> Option<&str> {
        match self {
            Against::Baseline { anchor, .. } => anchor.as_deref(),
            _ => None,
        }
    }
}

/// What stands behind the name of a variant that is the base's.
pub const BASE: &str = "@base";

/// The name of the variant of which another is the base's: `int8` of `int8@base`.
pub fn of_base(name: &str) -> Option<&str> {
    name.strip_suffix(BASE)
}

/// The boundary that a rule draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Allowed relative change to the worse, as a fraction: 0.05 allows 5% slower or less throughput.
    Relative(f64),
    /// Allowed difference to the worse between two proportions, as a fraction: 0.01 is one point.
    Points(f64),
    /// Largest allowed value, in the metric's unit.
    Max(f64),
    /// Smallest allowed value, in the metric's unit.
    Min(f64),
}

/// One rule of `thresholds.toml`, for one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// The rule's name in the file, with the variant behind `@` where it stands for several.
    pub id: String,
    /// Line in `thresholds.toml`, from 1.
    pub line: usize,
    /// The metric judged.
    pub metric: Metric,
    /// How it is reduced.
    pub statistic: Statistic,
    /// The variant judged.
    pub variant: String,
    /// What it is held against.
    pub against: Against,
    /// The boundary.
    pub limit: Limit,
    /// What it takes to pass or fail.
    pub evidence: Evidence,
    /// Whether it takes part in the exit code.
    pub severity: Severity,
    /// How the documents are fed that a rule on fidelity judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forcing: Option<Forcing>,
    /// The tasks that it judges; all of them where nothing is said.
    #[serde(default, skip_serializing_if = "Selection::is_empty")]
    pub only: Selection,
    /// What a waiver in force grants beyond the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<Waiver>,
}

/// A regression that somebody accepts until a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Waiver {
    /// The limit in place of the rule's own.
    pub limit: Limit,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day on which it holds, UTC, `YYYY-MM-DD`.
    pub expires: String,
}

/// Some of the tasks: those of a suite, those that carry tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Selection {
    /// Tasks of this suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// Tasks that carry every one of these tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Selection {
    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.suite.is_none() && self.tags.is_empty()
    }

    /// Whether it selects a task with these labels.
    pub fn takes(&self, labels: Option<&Labels>) -> bool {
        let none = Labels::default();
        let labels = labels.unwrap_or(&none);
        (self.suite.is_none() || self.suite == labels.suite)
            && self.tags.iter().all(|tag| labels.tags.contains(tag))
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suite = self.suite.iter().map(|suite| format!("suite {suite}"));
        let tags = self.tags.iter().map(|tag| format!("tag {tag}"));
        f.write_str(&suite.chain(tags).collect::<Vec<_>>().join(", "))
    }
}

/// What a task belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Labels {
    /// The suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// Free words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Labels {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.suite.is_none() && self.tags.is_empty()
    }
}

impl Rule {
    /// The unit of the values that the rule compares.
    pub fn unit(&self) -> Unit {
        match &self.against {
            Against::Baseline { relative_to: Some(_), .. } => Unit::Ratio,
            _ => self.metric.unit(self.statistic),
        }
    }

    /// Which direction is an improvement.
    pub fn better(&self) -> Better {
        self.metric.better(self.statistic)
    }
}

/// An estimated effect of a rule: the change for a comparison, the value for an absolute rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// The point: relative change as a fraction (0.05 is 5% more), or the value in the metric's unit.
    #[serde(with = "nonfinite")]
    #[schemars(with = "nonfinite::Number")]
    pub point: f64,
    /// Lower end of the interval at `confidence`.
    #[serde(with = "nonfinite")]
    #[schemars(with = "nonfinite::Number")]
    pub low: f64,
    /// Upper end of the interval at `confidence`.
    #[serde(with = "nonfinite")]
    #[schemars(with = "nonfinite::Number")]
    pub high: f64,
    /// Two-sided confidence of the interval; its ends are the one-sided bounds that decide.
    pub confidence: f64,
    /// Rounds behind it.
    pub rounds: usize,
    /// Requests or tasks (pairs of them in a comparison) behind it.
    pub requests: usize,
    /// Stored sessions behind it, for rules against a baseline.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sessions: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What a verdict rests on, and what the session could have told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resolution {
    /// Error probability of each of the two one-sided bounds that decide: what was spent on the rule.
    pub level: f64,
    /// The observed noise: standard deviation, between rounds (against a baseline between sessions), of
    /// the log of the value or ratio that is judged. Counts have none.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "nonfinite::option")]
    #[schemars(with = "Option<nonfinite::Number>")]
    pub noise: Option<f64>,
    /// The smallest true effect that would have been proven beyond the limit with a probability of 90%, in
    /// the unit of the rule's limit: a relative change, a difference of shares, or a value. Missing if
    /// none would.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "nonfinite::option")]
    #[schemars(with = "Option<nonfinite::Number>")]
    pub detectable: Option<f64>,
}

/// What would settle an undecided rule, if effect and noise stayed as observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Needed {
    /// So many in all.
    pub count: u64,
    /// Of these.
    pub of: Sample,
}

/// What evidence is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sample {
    /// Rounds.
    Rounds,
    /// Timed requests.
    Requests,
    /// Graded tasks.
    Tasks,
    /// Documents of the fidelity pass.
    Documents,
    /// Stored sessions.
    Sessions,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sample::Rounds => "rounds",
            Sample::Requests => "requests",
            Sample::Tasks => "graded tasks",
            Sample::Documents => "documents",
            Sample::Sessions => "stored sessions",
        })
    }
}

/// A rule with what it came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The rule.
    pub rule: Rule,
    /// What it came to.
    pub verdict: VerdictKind,
    /// The effect, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// The value of the variant judged, in the metric's unit.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "nonfinite::option")]
    #[schemars(with = "Option<nonfinite::Number>")]
    pub now: Option<f64>,
    /// The value of what it is held against, in the metric's unit.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "nonfinite::option")]
    #[schemars(with = "Option<nonfinite::Number>")]
    pub base: Option<f64>,
    /// What it rests on; missing where nothing was tested, and where values are compared exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// What would settle it, if it is inconclusive and something would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<Needed>,
    /// Why, in a sentence, where the figures don't say it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// One metric of one variant, summarised over the counted rounds, for the table of variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// The metric.
    pub metric: Metric,
    /// How it is reduced.
    pub statistic: Statistic,
    /// Mean over rounds of the round's statistic, in the metric's unit; missing if not measured.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "nonfinite::option")]
    #[schemars(with = "Option<nonfinite::Number>")]
    pub value: Option<f64>,
    /// Why it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// The ends of an interval of the value: 95%, two-sided, adjusted for nothing. It describes and decides
    /// nothing. Missing for a value of one round, and for a far tail of all requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// Rounds behind it.
    pub rounds: usize,
    /// Samples behind it.
    pub samples: usize,
    /// The change against the reference of the same session, at a level that is shared out over the
    /// table's changes, so that the chance of any that excludes no change by accident stays small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Effect>,
}

/// What one session measured: the variants of `header.plan`, in lockstep with each other. Nothing is
/// paired across parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// Everything known before the first round.
    pub header: Header,
    /// UTC end, RFC 3339.
    pub ended: String,
    /// When it went on after an interruption, UTC, RFC 3339.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<String>,
    /// Every sample.
    pub rounds: Vec<Round>,
    /// Every answer to a graded task, by variant in the order of the plan, then by task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// Whether the rows of batches are independent, by variant, where graded tasks were to be asked together.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: BTreeMap<String, Rows>,
    /// What was asked again, by variant in the order of the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repeats: Vec<Repeat>,
    /// What the engines said of themselves in the quality pass, by variant, where no round tells.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub engines: BTreeMap<String, EngineInfo>,
    /// Every document of the fidelity pass: by document, forcing and variant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fidelity: Vec<Fidelity>,
    /// Idle power, where it is subtracted: as measured before the first round, and each time that the session
    /// went on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idle: Vec<Told<IdlePower>>,
    /// What the machine can do, measured after the rounds; missing where no variant's work is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Hardware>,
    /// What each token needs, by variant, where the model's files tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub work: BTreeMap<String, Work>,
    /// How its runtime executes the products with weights, by variant, or why that is not known; missing for engines
    /// that do not tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub execution: BTreeMap<String, Told<Execution>>,
    /// Every load: the sustained one block by block, then closed loops, open loops, searches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub load: Vec<Load>,
}

impl Part {
    /// A session of which nothing is measured yet.
    pub fn begin(header: Header) -> Part {
        Part {
            header,
            ended: String::new(),
            resumed: Vec::new(),
            rounds: Vec::new(),
            answers: Vec::new(),
            rows: BTreeMap::new(),
            repeats: Vec::new(),
            engines: BTreeMap::new(),
            fidelity: Vec::new(),
            idle: Vec::new(),
            hardware: None,
            work: BTreeMap::new(),
            execution: BTreeMap::new(),
            load: Vec::new(),
        }
    }

    /// The rounds that count: those that were not cut short.
    pub fn complete(&self) -> Vec<&Round> {
        self.rounds.iter().filter(|round| round.complete).collect()
    }

    /// Whether a variant was measured in this session.
    pub fn has(&self, variant: &str) -> bool {
        self.header.variants.contains_key(variant)
    }

    /// What an engine said of itself, if a worker of the variant came so far.
    pub fn engine(&self, variant: &str) -> Option<&EngineInfo> {
        let of_load = || {
            let mut loads = self.load.iter().filter(|load| load.variant == variant);
            loads.find_map(|load| load.engine.as_ref())
        };
        engine_of(&self.rounds, variant).or_else(|| self.engines.get(variant)).or_else(of_load)
    }
}

/// What the engine of a variant said of itself in some rounds.
pub fn engine_of<'a>(rounds: &'a [Round], variant: &str) -> Option<&'a EngineInfo> {
    let mut workers = rounds.iter().flat_map(|round| &round.workers);
    workers.find_map(|worker| worker.engine.as_ref().filter(|_| worker.variant == variant))
}

/// Rules applied to what was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judgement {
    /// The policies in force for undecided rules.
    pub policies: Policies,
    /// Probability of any false alarm among the gating `regression` rules.
    pub false_alarms: f64,
    /// The verdicts, in the order of the rules.
    pub verdicts: Vec<Verdict>,
    /// Ids of the stored sessions that rules were held against, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baseline: Vec<String>,
    /// The stored sessions of the commits that rules are anchored to, by the anchor's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub anchors: BTreeMap<String, Anchor>,
    /// Ids of the sessions of another run file that rules were held against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<String>,
    /// Whose rules, workload and reference it was.
    #[serde(default)]
    pub authority: Authority,
    /// The uses for which a variant is recommended, with what was required there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scenarios: Vec<Scenario>,
}

/// Whose rules, workload, reference and baselines a run is judged by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Authority {
    /// The base's commit; missing where the work tree's own files rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The commit whose variants were measured beside the work tree's, if any was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// How it was chosen, in words; nothing where the work tree's own files rule as a matter of course.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub how: String,
    /// What a reader has to know about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What the change would do to the policy, once it is merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<PolicyChange>,
}

/// One thing that a change does to the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyChange {
    /// What is changed: a rule, a key, a file.
    pub subject: String,
    /// What becomes of it.
    pub change: String,
    /// What that means for later changes.
    pub direction: Direction,
}

/// What a change of the policy means for later changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// It lets through more than before.
    Looser,
    /// It lets through less.
    Stricter,
    /// Neither can be said.
    Other,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Direction::Looser => "looser",
            Direction::Stricter => "stricter",
            Direction::Other => "other",
        })
    }
}

/// What was stored at a commit that rules are anchored to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Anchor {
    /// The commit's full id.
    pub commit: String,
    /// Ids of the sessions that were stored there, oldest first.
    pub sessions: Vec<String>,
}

/// `benchmark_results.json`: what was measured of each variant, with summaries and verdicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Results {
    /// [`RESULTS_FORMAT`].
    pub format: u32,
    /// Name of the reference variant.
    pub reference: String,
    /// The variants that were measured, in the order of the configuration.
    pub variants: Vec<String>,
    /// What each session measured; every variant stands in one of them.
    pub parts: Vec<Part>,
    /// The summaries by variant.
    pub summaries: BTreeMap<String, Vec<Summary>>,
    /// The verdicts; missing where variants were measured and not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judgement: Option<Judgement>,
}

impl Results {
    /// The part that a variant was measured in.
    pub fn part_of(&self, variant: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.has(variant))
    }
}

/// JSON has no infinities; they are written as the strings `"inf"`, `"-inf"` and `"nan"`.
mod nonfinite {
    use schemars::JsonSchema;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// A number, or one of the strings `inf`, `-inf` and `nan`.
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(untagged)]
    pub enum Number {
        Finite(f64),
        Word(#[schemars(regex(pattern = r"^(inf|-inf|nan)$"))] String),
    }

    fn to_number(value: f64) -> Number {
        if value.is_finite() {
            return Number::Finite(value);
        }
        Number::Word(
            if value.is_nan() {
                "nan"
            } else if value > 0.0 {
                "inf"
            } else {
                "-inf"
            }
            .to_string(),
        )
    }

    fn from_number<E: serde::de::Error>(number: Number) -> Result<f64, E> {
        match number {
            Number::Finite(value) => Ok(value),
            Number::Word(word) => match word.as_str() {
                "inf" => Ok(f64::INFINITY),
                "-inf" => Ok(f64::NEG_INFINITY),
                "nan" => Ok(f64::NAN),
                other => Err(E::custom(format!("'{other}' is no number"))),
            },
        }
    }

    pub fn serialize<S: Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
        to_number(*value).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        from_number(Number::deserialize(d)?)
    }

    pub mod option {
        use super::{Number, from_number, to_number};
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        pub fn serialize<S: Serializer>(value: &Option<f64>, s: S) -> Result<S::Ok, S::Error> {
            value.map(to_number).serialize(s)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f64>, D::Error> {
            Option::<Number>::deserialize(d)?.map(from_number).transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinities_survive_json() {
        let effect = Effect {
            point: f64::INFINITY,
            low: f64::NEG_INFINITY,
            high: 0.1 + 0.2,
            confidence: 0.95,
            rounds: 5,
            requests: 50,
            sessions: 0,
        };
        let json = serde_json::to_string(&effect).unwrap();
        assert_eq!(serde_json::from_str::<Effect>(&json).unwrap(), effect);
    }

    #[test]
    fn a_journal_line_reads_back() {
        let line = JournalLine {
            session: "s".into(),
            entry: Entry::Request(Request {
                round: 1,
                slot: 3,
                variant: "int8".into(),
                task: "t1".into(),
                attempt: 1,
                phase: Phase::Timed,
                start_ns: u64::MAX / 3,
                token_ns: vec![1, 2, 3],
                prompt_tokens: 128,
                tokens: vec![5, 6, 7],
                energy_uj: None,
                dram_energy_uj: None,
                energy_ns: None,
                failure: None,
            }),
        };
        let json = serde_json::to_string(&line).unwrap();
        assert!(json.starts_with(r#"{"session":"s","record":"request","round":1"#), "{json}");
        assert_eq!(serde_json::from_str::<JournalLine>(&json).unwrap(), line);
    }
}
