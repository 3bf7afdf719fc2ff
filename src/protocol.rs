//! Owns the messages between perfgate and a worker process: JSON Lines over one descriptor, in
//! both directions, with a version and capabilities in the handshake.
//!
//! A worker sends [`Reply::Hello`] as soon as it lives. It then answers every [`Command`] that has an
//! id with one reply of that id; ids may be outstanding together. It ends when the descriptor does.
//! Inside a timed region a worker writes nothing: the stamps come with the reply.

use crate::record::{EngineInfo, Execution, Failure, LoadPhases, ModelCache, Rows, Sampling};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;

/// The protocol's version; both sides must speak the same.
pub const VERSION: u32 = 1;

/// The environment variable that names the descriptor of a worker's socket to its parent. Not
/// stdin or stdout, since engines print there.
pub const WORKER_FD: &str = "PERFGATE_WORKER_FD";

/// Longest message accepted; more is garbage.
pub const MAX_MESSAGE: u64 = 64 << 20;

/// What an engine needs to load a model. Paths are absolute.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadSpec {
    /// The engine's id.
    pub engine: String,
    /// The model's folder.
    pub model: PathBuf,
    /// Threads for the arithmetic.
    pub threads: usize,
    /// How many sequences it will have to serve at once, where that is more than it is to tune itself for; 0: one
    /// after the other, as always but under load.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub streams: u32,
    /// Where `.perfgate/runtimes` is looked for.
    #[serde(default)]
    pub root: PathBuf,
    /// Properties passed to the engine as they are.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// What the engine's own keys of `perfgate.toml` say, as the engine wrote it down.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Value>,
    /// What the session found the model to be; without it the engine takes its sum where it needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<KnownModel>,
    /// Test switch: each forward pass is followed by a busy wait of this share of its own time.
    #[serde(default)]
    pub slowdown: f64,
}

/// A model whose sum was taken, with what tells that its files have not been written to since.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownModel {
    /// SHA-256 over the names and sums of its files.
    pub sha256: String,
    /// The files, relative to the model's folder, as they were before it was taken.
    pub files: Vec<FileState>,
}

/// A file without its content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// Its path, relative to the model's folder.
    pub path: PathBuf,
    /// Its length, bytes.
    pub bytes: u64,
    /// When it was last written to, nanoseconds since 1970.
    pub modified_ns: u64,
    /// Which file of its disk it is.
    pub inode: u64,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl LoadSpec {
    /// An option that is text, if it is there.
    pub fn text(&self, option: &str) -> Option<&str> {
        self.options.get(option)?.as_str()
    }
}

/// From perfgate to the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Load the model. Answered by `loaded` or `failed`.
    Load {
        /// Id of the answer.
        id: u64,
        /// What to load.
        spec: Box<LoadSpec>,
    },
    /// Execute one request. Answered by `generated` or `failed`.
    Generate {
        /// Id of the answer.
        id: u64,
        /// What to generate.
        order: Order,
    },
    /// Execute several requests, together where the engine can. Answered by `generated_together` or `failed`.
    GenerateTogether {
        /// Id of the answer.
        id: u64,
        /// What to generate.
        orders: Vec<Order>,
        /// How many tokens their prompts share, which are computed once.
        prefix: usize,
    },
    /// Look whether the rows of batches are independent of each other. Answered by `proven` or `failed`.
    ProveRows {
        /// Id of the answer.
        id: u64,
        /// Of how many tokens the longest sequences will be.
        need: usize,
    },
    /// Say how probable texts are behind a prompt. Answered by `scored` or `failed`.
    Score {
        /// Id of the answer.
        id: u64,
        /// Prompt token ids.
        prompt: Vec<u32>,
        /// Token ids of each text.
        continuations: Vec<Vec<u32>>,
    },
    /// Feed given tokens and write the logits after each of them to a file: f32, little endian,
    /// `[positions, vocabulary]`. Answered by `forced` or `failed`.
    Force {
        /// Id of the answer.
        id: u64,
        /// The tokens.
        tokens: Vec<u32>,
        /// Whether they are fed one by one through the cache, or in one call where the engine can.
        stepwise: bool,
        /// Where the logits are written. An absolute path.
        logits: PathBuf,
    },
    /// Say how the loaded model executes its products with weights. Answered by `execution` or `failed`.
    Execution {
        /// Id of the answer.
        id: u64,
    },
    /// Serve many requests, several at once. Answered by `served` or `failed`.
    Serve {
        /// Id of the answer.
        id: u64,
        /// What is to be served, and when.
        job: Box<Job>,
    },
}

/// Requests that are served by several streams at once: each stream serves one at a time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// What is generated: the first request has the first of these, and behind the last the first comes again.
    pub orders: Vec<Order>,
    /// Requests that are served at once, at most.
    pub streams: u32,
    /// When requests arrive.
    pub arrivals: Arrivals,
}

/// When the requests of a job arrive. All times are nanoseconds since its start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Closed loop: each stream's next request arrives when the one before is done.
    Closed {
        /// None arrives from here on; but each stream has one request at least.
        until_ns: u64,
        /// None arrives behind so many.
        most: u64,
    },
    /// Open loop: requests arrive at given times, and wait for a stream that is free, first come, first served.
    Open {
        /// The times, rising.
        due_ns: Vec<u64>,
        /// A request that has waited for so long when a stream gets to it is not served any more.
        patience_ns: u64,
        /// When the job is given up, if at all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        give_up: Option<GiveUp>,
    },
}

impl Default for Arrivals {
    fn default() -> Arrivals {
        Arrivals::Closed { until_ns: 0, most: 0 }
    }
}

/// When an open loop is given up: no further request is begun then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveUp {
    /// A request is late if it takes longer than this from its arrival to its last token, or fails.
    pub limit_ns: u64,
    /// So many late ones are enough.
    pub late: u64,
}

/// What a request generates.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Prompt token ids.
    pub prompt: Vec<u32>,
    /// Tokens to generate: exactly so many, or at most so many with stop tokens.
    pub tokens: u32,
    /// Tokens that end the generation, themselves the last of it. None for timing, where the end of
    /// sequence is ignored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<u32>,
    /// How tokens are chosen.
    #[serde(default)]
    pub sampling: Sampling,
    /// Seed of the sampler for this request alone.
    #[serde(default)]
    pub seed: u64,
}

/// From the worker to perfgate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The handshake.
    Hello {
        /// [`VERSION`].
        protocol: u32,
        /// What the worker can do: the names of the commands that it answers.
        capabilities: Vec<String>,
    },
    /// The model is loaded.
    Loaded {
        /// Id of the command.
        id: u64,
        /// Duration of the load, nanoseconds.
        load_ns: u64,
        /// Its steps, as far as the engine stamps them.
        #[serde(default, skip_serializing_if = "LoadPhases::is_empty")]
        phases: LoadPhases,
        /// What it did with the engine's folder of compiled models, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model_cache: Option<ModelCache>,
        /// What the engine says of itself.
        engine: Box<EngineInfo>,
    },
    /// A request was executed.
    Generated {
        /// Id of the command.
        id: u64,
        /// Start, monotonic nanoseconds.
        start_ns: u64,
        /// Each token's stamp, nanoseconds since the start.
        token_ns: Vec<u64>,
        /// The generated token ids.
        tokens: Vec<u32>,
    },
    /// Requests were executed together.
    GeneratedTogether {
        /// Id of the command.
        id: u64,
        /// What each came to, in the order of the command.
        answers: Vec<Together>,
    },
    /// It was looked whether rows are independent.
    Proven {
        /// Id of the command.
        id: u64,
        /// What was found.
        rows: Rows,
    },
    /// Texts were scored.
    Scored {
        /// Id of the command.
        id: u64,
        /// The log likelihood of each continuation, nats.
        log_likelihoods: Vec<f64>,
    },
    /// Tokens were forced, and their logits are written.
    Forced {
        /// Id of the command.
        id: u64,
        /// As many as tokens.
        positions: usize,
        /// Logits of each.
        vocabulary: usize,
    },
    /// How the model executes its products with weights.
    Execution {
        /// Id of the command.
        id: u64,
        /// What the runtime tells.
        execution: Execution,
    },
    /// A job was served.
    Served {
        /// Id of the command.
        id: u64,
        /// Start, monotonic nanoseconds.
        start_ns: u64,
        /// Its requests, in the order in which they were taken up.
        requests: Vec<Served>,
    },
    /// A load or a request failed; the worker lives on.
    Failed {
        /// Id of the command.
        id: u64,
        /// Why.
        failure: Failure,
        /// Whether the variant itself is at fault (an unsupported or broken model, an unknown
        /// property), so that trying again is of no use.
        #[serde(default)]
        fatal: bool,
    },
}

/// One request of a job. Times are nanoseconds since the job's start, but for the tokens'.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Its number, from 0: which of the job's orders it had.
    pub index: u64,
    /// The stream that served it, from 0.
    pub stream: u32,
    /// When it arrived.
    pub arrival_ns: u64,
    /// When it began.
    pub start_ns: u64,
    /// Each token's stamp, nanoseconds since `start_ns`; none if it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_ns: Vec<u64>,
    /// The generated token ids; none if it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<u32>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// What one of several requests came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Together {
    /// The generated token ids; none if it failed.
    pub tokens: Vec<u32>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Writes one message as a line.
///
/// # Errors
/// If the other side is gone.
pub fn send<T: Serialize>(mut to: impl Write, message: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// Reads one message; `None` at the end of the stream.
///
/// # Errors
/// If a line is no message (kind `InvalidData`), longer than [`MAX_MESSAGE`], or cannot be read.
pub fn receive<T: for<'de> Deserialize<'de>>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    if from.take(MAX_MESSAGE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    serde_json::from_slice(&line).map(Some).map_err(|error| {
        let start = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        let why = format!("not a message of the worker protocol ({error}): {start:?}");
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}

/// The descriptor of the socket to the parent, inside a worker.
pub fn worker_fd() -> Option<std::os::fd::RawFd> {
    std::env::var(WORKER_FD).ok()?.parse().ok()
}

/// The machine's monotonic clock, nanoseconds. Parent and workers read the same clock, so that
/// their stamps can be subtracted.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_round_trip_and_garbage_is_named() {
        let order = Order { prompt: vec![1, 2], tokens: 3, ..Order::default() };
        let command = Command::Generate { id: 7, order };
        let mut bytes = Vec::new();
        send(&mut bytes, &command).unwrap();
        bytes.extend_from_slice(b"\x00\xffnot json\n");
        let mut reader = bytes.as_slice();
        assert_eq!(receive::<Command>(&mut reader).unwrap(), Some(command));
        let error = receive::<Command>(&mut reader).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("not json"), "{error}");
        assert!(receive::<Command>(&mut reader).unwrap().is_none());
    }
}
