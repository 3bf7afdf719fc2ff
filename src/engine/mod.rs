//! Owns what executes a model: the [`Engine`] trait with one file per backend, and the generation
//! loop with its sampler, which is the same for all. It knows no statistics.

mod candle;
mod openvino;
mod sampler;
mod scripted;
mod slowed;

pub use openvino::{FoundRuntime, Runtime, all_runtimes, ask_runtime, find_runtime, install_words};

use crate::problem::{self, Problem};
use crate::protocol::{LoadSpec, Order, monotonic_ns};
use crate::record::{EngineInfo, Failure, FailureClass};
use sampler::Sampler;
use std::path::{Path, PathBuf};

/// A loaded model.
pub trait Engine {
    /// What the engine says of itself.
    fn info(&self) -> EngineInfo;

    /// Starts a sequence with an empty cache. Not part of the timed region.
    ///
    /// # Errors
    /// If the engine cannot.
    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure>;

    /// The clock by which requests are stamped, nanoseconds. Only the scripted engine has its own.
    fn now_ns(&self) -> u64 {
        monotonic_ns()
    }
}

/// One sequence being generated, with its key-value cache.
pub trait Sequence {
    /// Feeds `tokens` behind those fed before.
    ///
    /// Returns the logits that follow the last of them: `[vocabulary]`.
    ///
    /// # Errors
    /// If the engine fails.
    fn forward(&mut self, tokens: &[u32]) -> Result<&[f32], Failure>;

    /// The engine's clock, nanoseconds.
    fn now_ns(&self) -> u64 {
        monotonic_ns()
    }
}

/// Why a model cannot be loaded.
#[derive(Debug)]
pub struct LoadError {
    /// The reason.
    pub failure: Failure,
    /// Whether the set-up is at fault (unsupported, missing, unknown), so that it is of no use to
    /// try again and the session cannot run.
    pub fatal: bool,
}

impl LoadError {
    /// The set-up is at fault; but want of memory is the moment's, and may pass.
    fn setup(message: impl Into<String>) -> LoadError {
        let failure = failed(message);
        LoadError { fatal: failure.class != FailureClass::OutOfMemory, failure }
    }
}

impl From<Problem> for LoadError {
    fn from(problem: Problem) -> LoadError {
        LoadError::setup(problem.to_string())
    }
}

/// An engine's error as a failure.
fn failed(message: impl Into<String>) -> Failure {
    let message = message.into();
    let class =
        if wants_memory(&message) { FailureClass::OutOfMemory } else { FailureClass::Error };
    Failure { class, message }
}

/// Whether a message of C++ or Rust says that an allocation failed.
pub fn wants_memory(message: &str) -> bool {
    // The last one is what a thread meets that gets no stack.
    const WORDS: [&str; 5] = [
        "bad_alloc",
        "bad allocation",
        "memory allocation of",
        "Cannot allocate memory",
        "Resource temporarily unavailable",
    ];
    WORDS.iter().any(|words| message.contains(words))
}

/// Loads a model into the engine that the spec names.
///
/// # Errors
/// If it is unsupported, missing or broken; the message names what.
pub fn load(spec: &LoadSpec) -> Result<Box<dyn Engine>, LoadError> {
    let engine: Box<dyn Engine> = match spec.engine.as_str() {
        "candle" => Box::new(candle::load(spec)?),
        "openvino" => Box::new(openvino::load(spec)?),
        "scripted" => Box::new(scripted::load(spec)?),
        other => return Err(LoadError::setup(format!("there is no engine '{other}'"))),
    };
    if spec.slowdown > 0.0 {
        return Ok(Box::new(slowed::Slowed::new(engine, spec.slowdown)));
    }
    Ok(engine)
}

/// What is known of a model before it is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspected {
    /// The files that its engine reads, relative to the model's folder: what its hash stands for.
    pub files: Vec<PathBuf>,
    /// Bytes of those that hold the weights.
    pub weight_bytes: u64,
    /// How many tokens it knows, where its files tell.
    pub vocab_size: Option<usize>,
}

/// Looks at a model's files as far as it goes without loading them: whether they are there, are what
/// they should be, and are whole.
///
/// # Errors
/// If one is missing, broken or cut, or the engine does not support it.
pub fn inspect(spec: &LoadSpec) -> problem::Result<Inspected> {
    if spec.engine == "scripted" {
        return Ok(Inspected::default());
    }
    if !spec.model.is_dir() {
        return Err(Problem::in_file(&spec.model, "the model's folder does not exist"));
    }
    let mut inspected = match spec.engine.as_str() {
        "candle" => candle::inspect(&spec.model)?,
        _ => openvino::inspect(&spec.model)?,
    };
    for file in &mut inspected.files {
        *file = file.strip_prefix(&spec.model).map(Path::to_path_buf).unwrap_or(file.clone());
    }
    Ok(inspected)
}

/// Looks whether the library that an engine loads at run time is there and has what is called.
///
/// # Errors
/// If it is missing, no library, or too old.
pub fn inspect_runtime(spec: &LoadSpec) -> problem::Result<()> {
    match spec.engine.as_str() {
        "openvino" => openvino::inspect_runtime(spec),
        _ => Ok(()),
    }
}

/// What to do about a file of a model that is missing or broken.
const MAKE_AGAIN: &str = "copy, download or export the model again";

/// A size of files in bytes.
fn size_of(files: &[PathBuf]) -> problem::Result<u64> {
    let size = |file: &PathBuf| {
        let found = std::fs::metadata(file).map(|metadata| metadata.len());
        found.map_err(|error| Problem::io(file, "read its size", &error))
    };
    files.iter().map(size).sum()
}

/// A generated sequence with its stamps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Start of the request, nanoseconds of the engine's clock.
    pub start_ns: u64,
    /// Each token's stamp, nanoseconds since the start.
    pub token_ns: Vec<u64>,
    /// The token ids.
    pub tokens: Vec<u32>,
}

/// Executes one request: exactly as many tokens as are asked for, or fewer if a stop token comes. A
/// token is stamped once it is chosen, so the sampler is inside the time that it takes a user to
/// see the token.
///
/// # Errors
/// If the engine fails or the logits are not finite.
pub fn generate(engine: &mut dyn Engine, order: &Order) -> Result<Generation, Failure> {
    let count = order.tokens as usize;
    let mut sampler = Sampler::new(order.sampling, order.seed);
    let mut sequence = engine.begin()?;
    let mut token_ns = Vec::with_capacity(count);
    let mut tokens = Vec::with_capacity(count);
    let start_ns = sequence.now_ns();
    let mut next = sampler.choose(sequence.forward(&order.prompt)?)?;
    loop {
        token_ns.push(sequence.now_ns() - start_ns);
        tokens.push(next);
        if tokens.len() >= count || order.stop.contains(&next) {
            return Ok(Generation { start_ns, token_ns, tokens });
        }
        next = sampler.choose(sequence.forward(&[next])?)?;
    }
}
