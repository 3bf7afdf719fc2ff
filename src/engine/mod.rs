//! Owns what executes a model: the [`Engine`] trait with one file per backend, and the generation
//! loop with its sampler, which is the same for all. It knows no statistics.

mod batch;
mod candle;
mod checkpoint;
mod environment;
mod force;
mod known;
mod lengths;
mod model_cache;
mod openvino;
mod probe;
mod sampler;
mod queue;
mod scripted;
mod serve;
mod slowed;

pub use batch::{Batch, generate_together, score, shared_prefix};
pub use environment::arithmetic_environment;
pub use force::{Forced, Unforced, force};
pub use known::know;
pub use lengths::Context;
use openvino::runtime_files;
pub use openvino::{
    FoundRuntime, RUNTIME, Runtime, all_runtimes, ask_runtime, install_words, runtime_of,
    try_properties,
};
pub use serve::{Stream, guarded, serve};

use crate::document::Table;
use crate::problem::{self, Problem};
use crate::protocol::{LoadSpec, Order, monotonic_ns};
use crate::record::{
    EngineInfo, Execution, Failure, FailureClass, LoadPhases, ModelCache, Rows, Work,
};
use sampler::Sampler;
use std::path::{Path, PathBuf};

/// Every engine. Each has one file here and one line in this list.
pub const ENGINES: &[Backend] = &[candle::BACKEND, openvino::BACKEND, scripted::BACKEND];

/// What an engine has to offer before a model is loaded.
#[derive(Clone, Copy)]
pub struct Backend {
    /// The word in `perfgate.toml`.
    pub id: &'static str,
    /// Whether a variant has a model's folder.
    pub has_model: bool,
    /// Takes the engine's own keys out of a variant's table; relative paths start in the folder.
    pub options: fn(&mut Table<'_>, &Path, &mut LoadSpec) -> problem::Result<()>,
    /// Looks at a model's files without loading them.
    pub inspect: fn(&LoadSpec) -> problem::Result<Inspected>,
    /// What a token needs, as far as the files tell.
    pub work: fn(&LoadSpec) -> problem::Result<Option<Work>>,
    /// Whether a library is loaded at run time that executes the model.
    pub loads_library: bool,
    /// Looks for the library that is loaded at run time, if the engine has one.
    pub inspect_runtime: fn(&LoadSpec) -> problem::Result<Option<PathBuf>>,
    /// What of its start can be switched.
    pub switches: Switches,
    /// Whether rows of a batch go through calls together, see [`Engine::shares_calls`].
    pub shares_calls: bool,
    /// Loads a model.
    pub load: fn(&LoadSpec) -> Result<Box<dyn Engine>, LoadError>,
}

/// What of an engine's start can be switched; what it does not have is missing.
#[derive(Clone, Copy)]
pub struct Switches {
    /// Lets it keep compiled models in a folder and take them from there, or forbids both.
    pub model_cache: Option<fn(&mut LoadSpec, Option<&Path>)>,
    /// Where it keeps compiled models, if it does.
    pub cache_folder: fn(&LoadSpec) -> Option<PathBuf>,
    /// Lets it map the model's files, or makes it read them.
    pub mmap: Option<fn(&mut LoadSpec, bool)>,
    /// Lets the loaded model tell how it executes its products ([`Engine::execution`]); it is not to be timed then.
    pub tell_execution: Option<fn(&mut LoadSpec)>,
}

impl Switches {
    /// Nothing can be switched.
    const NONE: Switches =
        Switches { model_cache: None, cache_folder: |_| None, mmap: None, tell_execution: None };
}

/// A loaded model.
pub trait Engine {
    /// What the engine says of itself.
    fn info(&self) -> EngineInfo;

    /// How long the steps of the load took, as far as it stamps them.
    fn phases(&self) -> LoadPhases {
        LoadPhases::default()
    }

    /// What the load did with the engine's folder of compiled models, if it has one.
    fn model_cache(&self) -> Option<ModelCache> {
        None
    }

    /// Starts a sequence with an empty cache. Not part of the timed region.
    ///
    /// # Errors
    /// If the engine cannot.
    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure>;

    /// Whether it runs several sequences together, see [`Engine::batch`].
    fn batches(&self) -> bool {
        false
    }

    /// Whether the rows of a batch go through calls together, so that whether they are independent of each other is
    /// a matter of the graph, see [`Engine::prove_rows`].
    fn shares_calls(&self) -> bool {
        false
    }

    /// Looks whether the rows of a batch are independent of each other for sequences of up to `need` tokens: by a
    /// probe of the loaded graph, where rows share calls.
    ///
    /// # Errors
    /// If the engine fails.
    fn prove_rows(&mut self, _need: usize) -> Result<Rows, Failure> {
        Ok(Rows::Apart)
    }

    /// Says how the products with weights are executed and in which types the process holds the weights, of a model
    /// that was loaded to tell it ([`Switches::tell_execution`]).
    ///
    /// # Errors
    /// If the engine fails or does not tell.
    fn execution(&mut self) -> Result<Execution, Failure> {
        Err(failed("this engine does not tell how it executes a model"))
    }

    /// Starts several sequences that go on from one prefix, which is computed here, once.
    ///
    /// # Errors
    /// If the engine fails, or runs one sequence at a time.
    fn batch(&mut self, _prefix: &[u32]) -> Result<Box<dyn Batch + '_>, Failure> {
        Err(failed("this engine runs one sequence at a time"))
    }

    /// Splits the loaded model into so many streams (at least 1), which serve at the same time.
    ///
    /// # Errors
    /// If the engine runs one sequence at a time.
    fn streams(&mut self, _count: usize) -> Result<Vec<Box<dyn Stream + '_>>, Failure> {
        Err(serve::unsupported())
    }

    /// Whether time is made up: then streams do not run at the same time, but in the order of their clocks.
    fn simulates_time(&self) -> bool {
        false
    }

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

    /// Feeds `tokens` behind those fed before and shows the logits that follow each of them to `visit`, with
    /// the token's place: in one call where the engine gives all positions ([`EngineInfo::all_positions`]),
    /// else one by one.
    ///
    /// # Errors
    /// If the engine or `visit` fails.
    fn forward_each(&mut self, tokens: &[u32], visit: &mut Visit<'_>) -> Result<(), Failure> {
        force::step(self, tokens, visit)
    }

    /// The engine's clock, nanoseconds.
    fn now_ns(&self) -> u64 {
        monotonic_ns()
    }
}

/// Takes the place of a token among those that are fed, and the logits that follow it: `[vocabulary]`.
pub type Visit<'a> = dyn FnMut(usize, &[f32]) -> Result<(), Failure> + 'a;

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

/// Stamps the steps of a load, one after the other.
struct Laps {
    last_ns: u64,
}

impl Laps {
    fn start() -> Laps {
        Laps { last_ns: monotonic_ns() }
    }

    /// Nanoseconds since the start or the lap before.
    fn lap(&mut self) -> Option<u64> {
        let now = monotonic_ns();
        let passed = now - self.last_ns;
        self.last_ns = now;
        Some(passed)
    }
}

/// Loads a model into the engine that the spec names.
///
/// # Errors
/// If it is unsupported, missing or broken, or was written to since its sum was taken; the message names what.
pub fn load(spec: &LoadSpec) -> Result<Box<dyn Engine>, LoadError> {
    let engine = (backend(spec)?.load)(spec)?;
    if let Some(known) = &spec.known {
        known::still(&spec.model, known)?;
    }
    if spec.slowdown > 0.0 {
        return Ok(slowed(engine, spec.slowdown));
    }
    Ok(engine)
}

/// An engine made slower by a share of its own time: the test switch `slowdown_percent`.
pub fn slowed(engine: Box<dyn Engine>, share: f64) -> Box<dyn Engine> {
    Box::new(slowed::Slowed::new(engine, share))
}

fn backend(spec: &LoadSpec) -> problem::Result<Backend> {
    let found = ENGINES.iter().copied().find(|backend| backend.id == spec.engine);
    found.ok_or_else(|| Problem::new(format!("there is no engine '{}'", spec.engine)))
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
    /// How many tokens a sequence may have, where its files tell.
    pub context: Option<Context>,
    /// What its hash stands for where it has no files.
    pub identity: Option<String>,
}

/// Whether an engine executes a model of files.
pub fn has_model(spec: &LoadSpec) -> bool {
    backend(spec).is_ok_and(|backend| backend.has_model)
}

/// Whether an engine loads a library at run time that executes the model.
pub fn loads_library(spec: &LoadSpec) -> bool {
    backend(spec).is_ok_and(|backend| backend.loads_library)
}

/// Looks at a model's files as far as it goes without loading them: whether they are there, are what
/// they should be, and are whole.
///
/// # Errors
/// If one is missing, broken or cut, or the engine does not support it.
pub fn inspect(spec: &LoadSpec) -> problem::Result<Inspected> {
    let backend = backend(spec)?;
    if backend.has_model && !spec.model.is_dir() {
        return Err(Problem::in_file(&spec.model, "the model's folder does not exist"));
    }
    let mut inspected = (backend.inspect)(spec)?;
    for file in &mut inspected.files {
        *file = file.strip_prefix(&spec.model).map(Path::to_path_buf).unwrap_or(file.clone());
    }
    Ok(inspected)
}

/// Looks whether the library that an engine loads at run time is there and has what is called. Returns it,
/// if the engine loads one.
///
/// # Errors
/// If it is missing, no library, or too old.
pub fn inspect_runtime(spec: &LoadSpec) -> problem::Result<Option<PathBuf>> {
    (backend(spec)?.inspect_runtime)(spec)
}

/// What a model needs for each token, counted from its files; `None` for an engine without.
///
/// # Errors
/// If they cannot be read.
pub fn work(spec: &LoadSpec) -> problem::Result<Option<Work>> {
    (backend(spec)?.work)(spec)
}

/// The files that a variant's engine reads, and their size in bytes; `None` if it has none, or they cannot be read.
pub fn model_files(spec: &LoadSpec, inspected: &Inspected) -> Option<(Vec<PathBuf>, u64)> {
    let files: Vec<PathBuf> = inspected.files.iter().map(|file| spec.model.join(file)).collect();
    if files.is_empty() {
        return None;
    }
    let bytes = size_of(&files).ok()?;
    Some((files, bytes))
}

/// The libraries that a variant's engine loads at run time; none if it loads none, or they are not found.
pub fn library_files(spec: &LoadSpec) -> Vec<PathBuf> {
    let library = inspect_runtime(spec).ok().flatten();
    library.map_or_else(Vec::new, |library| runtime_files(&library))
}

/// What can be switched of the start of a variant's engine.
pub fn switches(spec: &LoadSpec) -> Switches {
    backend(spec).map_or(Switches::NONE, |backend| backend.switches)
}

/// Whether an engine's batches share calls, so that a graph has to be shown to keep their rows apart.
pub fn shares_calls(spec: &LoadSpec) -> bool {
    backend(spec).is_ok_and(|backend| backend.shares_calls)
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
    let mut sequence = engine.begin()?;
    generate_in(sequence.as_mut(), order)
}

/// Executes one request in a sequence that was begun for it.
fn generate_in(sequence: &mut dyn Sequence, order: &Order) -> Result<Generation, Failure> {
    let count = order.tokens as usize;
    let mut sampler = Sampler::new(order.sampling, order.seed);
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
