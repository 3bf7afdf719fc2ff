//! Owns the `scripted` engine: fixed latencies on a clock of its own, fixed outputs, and faults on
//! request, for tests of everything around engines.

use super::{Backend, Engine, Inspected, LoadError, Sequence, Stream, Switches, failed};
use crate::document::{Node, Table};
use crate::hash;
use crate::problem;
use crate::protocol::{LoadSpec, monotonic_ns};
use crate::record::{EngineInfo, Failure, LoadPhases, ModelCache, Taken};
use rustix::process::{Resource, Rlimit, Signal};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Plays a script.
pub(super) const BACKEND: Backend = Backend {
    id: "scripted",
    has_model: false,
    options,
    inspect,
    work: |_| Ok(None),
    loads_library: false,
    inspect_runtime: |_| Ok(None),
    switches: Switches {
        model_cache: Some(switch_model_cache),
        cache_folder: |spec| spec.text(MODEL_CACHE).map(PathBuf::from),
        ..Switches::NONE
    },
    shares_calls: false,
    load: |spec| Ok(Box::new(load(spec)?)),
};

/// The option that holds the script.
const SCRIPT: &str = "script";

/// The option that names the folder of what was compiled before.
const MODEL_CACHE: &str = "model_cache";

const VOCABULARY: usize = 256;

/// What is played: fixed latencies on the engine's own clock, and faults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Script {
    /// Duration of the load, milliseconds.
    #[serde(default)]
    load_ms: f64,
    /// How much of the load is said to be spent with reading, milliseconds; the rest with compiling.
    #[serde(default)]
    read_ms: f64,
    /// Duration of the prompt's forward pass, milliseconds.
    #[serde(default)]
    prefill_ms: f64,
    /// Duration of each further token, milliseconds.
    #[serde(default)]
    token_ms: f64,
    /// Standard deviation of the log of each duration, drawn from a seeded generator.
    #[serde(default)]
    jitter: f64,
    /// How much slower it becomes: the share of each duration that is added for each hour of its clock.
    #[serde(default)]
    drift_per_hour: f64,
    /// Standard deviation of what is added to each logit, the same for the same position and token.
    #[serde(default)]
    logit_noise: f64,
    /// What goes wrong, and when.
    #[serde(default)]
    faults: Vec<Fault>,
    /// What is said to prompts that contain a text; the first that fits.
    #[serde(default)]
    answers: Vec<Line>,
}

/// What a script answers to a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Line {
    /// The prompt contains this.
    to: String,
    /// The answer; `{pid}` in it stands for the worker's process id, so that it differs from process to process.
    say: String,
}

/// One fault of a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Fault {
    /// `crash`, `exit`, `hang`, `error`, `nan`, `infinity`, `garbage`, `chatter`, `kill`, `freeze`,
    /// `out-of-memory` or `unsupported`.
    kind: String,
    /// The request (from 1, warm-ups included) at which it strikes; 0 strikes at the load.
    request: u64,
    /// The token (from 1) before which it strikes.
    #[serde(default = "first")]
    token: u64,
    /// Strikes at every request whose prompt contains this, in place of one by its number.
    #[serde(default)]
    to: Option<String>,
}

fn first() -> u64 {
    1
}

/// `script = { … }`.
fn options(table: &mut Table<'_>, _: &Path, load: &mut LoadSpec) -> problem::Result<()> {
    let script = script(table.take(SCRIPT))?;
    let value = serde_json::to_value(script).expect("a script is plain data");
    load.options.insert(SCRIPT.to_string(), value);
    Ok(())
}

fn script(node: Option<Node<'_>>) -> problem::Result<Script> {
    let mut script = Script { prefill_ms: 10.0, token_ms: 5.0, ..Script::default() };
    let Some(node) = node else { return Ok(script) };
    let mut table = node.table()?;
    for (key, place) in [
        ("load_ms", &mut script.load_ms),
        ("read_ms", &mut script.read_ms),
        ("prefill_ms", &mut script.prefill_ms),
        ("token_ms", &mut script.token_ms),
        ("jitter", &mut script.jitter),
        ("drift_per_hour", &mut script.drift_per_hour),
        ("logit_noise", &mut script.logit_noise),
    ] {
        if let Some(node) = table.take(key) {
            *place = node.number()?;
            if !(0.0..=1e9).contains(place) {
                return Err(node
                    .problem(format!("'{key}' should be between 0 and 1000000000"))
                    .help("it is a duration in milliseconds, or a standard deviation"));
            }
        }
    }
    if let Some(node) = table.take("faults") {
        for node in node.list()? {
            script.faults.push(fault(&node)?);
        }
    }
    if let Some(node) = table.take("answers") {
        for node in node.list()? {
            let mut line = node.table()?;
            let (to, say) = (line.need("to")?.string()?, line.need("say")?.string()?);
            script.answers.push(Line { to, say });
            line.finish()?;
        }
    }
    table.finish()?;
    Ok(script)
}

fn fault(node: &Node<'_>) -> problem::Result<Fault> {
    const KINDS: [&str; 12] = [
        "crash",
        "exit",
        "hang",
        "error",
        "nan",
        "infinity",
        "garbage",
        "chatter",
        "kill",
        "freeze",
        "out-of-memory",
        "unsupported",
    ];
    let mut table = node.table()?;
    let kind = table.need("kind")?.choice(&KINDS.map(|kind| (kind, kind)))?.to_string();
    let request = table.take("request").map_or(Ok(0), |node| node.integer(0, u64::MAX))?;
    let token = table.take("token").map_or(Ok(1), |node| node.integer(1, u64::MAX))?;
    let to = table.take("to").map(|node| node.string()).transpose()?;
    table.finish()?;
    Ok(Fault { kind, request, token, to })
}

fn switch_model_cache(load: &mut LoadSpec, folder: Option<&Path>) {
    match folder {
        Some(folder) => {
            load.options.insert(MODEL_CACHE.to_string(), folder.display().to_string().into());
        }
        None => drop(load.options.remove(MODEL_CACHE)),
    }
}

/// The script that a spec holds; an idle one without.
fn script_of(spec: &LoadSpec) -> Result<Script, String> {
    match spec.options.get(SCRIPT) {
        Some(script) => serde_json::from_value(script.clone()).map_err(|error| error.to_string()),
        None => Ok(Script::default()),
    }
}

/// There are no files; what stands for them is the script without its faults, which are what goes wrong
/// with a model and not what it is.
fn inspect(spec: &LoadSpec) -> problem::Result<Inspected> {
    let script = script_of(spec).unwrap_or_default();
    let sound = Script { faults: Vec::new(), ..script };
    let identity = hash::of_bytes(format!("{sound:?}").as_bytes());
    Ok(Inspected { identity: Some(identity), ..Inspected::default() })
}

/// An engine that plays a script. Its clock starts at the real one and moves only by the script,
/// so that a test's latencies are exact and cost no time. Streams are copies, each with a clock and
/// chances of its own; they serve without being in each other's way.
#[derive(Clone)]
struct Scripted {
    script: Script,
    clock_ns: u64,
    /// When the script began, by its clock.
    began_ns: u64,
    /// Requests so far, of all streams.
    requests: Arc<AtomicU64>,
    /// The latest clock of a stream that is done.
    latest_ns: Arc<AtomicU64>,
    /// The request that is being played.
    request: u64,
    random: u64,
    phases: LoadPhases,
    model_cache: Option<ModelCache>,
}

fn load(spec: &LoadSpec) -> Result<Scripted, LoadError> {
    let script = script_of(spec).map_err(LoadError::setup)?;
    // The process id makes rounds differ, as they do on a real machine; jitter is 0 unless asked for.
    let random = u64::from(std::process::id());
    let clock_ns = monotonic_ns();
    let mut engine = Scripted {
        script,
        clock_ns,
        began_ns: clock_ns,
        requests: Arc::default(),
        latest_ns: Arc::default(),
        request: 0,
        random,
        phases: LoadPhases::default(),
        model_cache: None,
    };
    if engine.fault(1, "").is_some_and(|kind| kind == "unsupported") {
        return Err(LoadError::setup("the script says that this model is unsupported"));
    }
    engine.strike(1, "").map_err(|failure| LoadError { failure, fatal: false })?;
    let (load_ms, read_ms) = (engine.script.load_ms, engine.script.read_ms);
    engine.model_cache = spec.text(MODEL_CACHE).map(Path::new).map(compiled_in).transpose()?;
    let compile_ms = match engine.model_cache {
        Some(ModelCache { taken: Taken::Kept, .. }) => 0.0,
        _ => (load_ms - read_ms).max(0.0),
    };
    if read_ms > 0.0 {
        let ns = |milliseconds: f64| Some((milliseconds * 1e6) as u64);
        let (read_ns, compile_ns) = (ns(read_ms), ns(compile_ms));
        engine.phases = LoadPhases { library_ns: None, read_ns, compile_ns };
    }
    engine.pass(read_ms + compile_ms);
    std::thread::sleep(Duration::from_secs_f64((read_ms + compile_ms) / 1e3));
    Ok(engine)
}

/// Takes what is compiled from a folder; from now on it is there.
fn compiled_in(folder: &Path) -> Result<ModelCache, LoadError> {
    let file = folder.join("compiled.blob");
    let taken = if file.exists() { Taken::Kept } else { Taken::Made };
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&file, b"compiled"))
        .map_err(|error| LoadError::setup(format!("cannot write {}: {error}", file.display())))?;
    Ok(ModelCache { taken, bytes: 8 })
}

impl Scripted {
    /// Moves the clock by a duration with the script's jitter.
    fn pass(&mut self, milliseconds: f64) {
        let hours = (self.clock_ns - self.began_ns) as f64 / 3.6e12;
        let drift = 1.0 + self.script.drift_per_hour * hours;
        let factor = (self.script.jitter * self.normal()).exp() * drift;
        let nanoseconds = (milliseconds * factor * 1e6) as u64;
        self.clock_ns = self.clock_ns.saturating_add(nanoseconds);
    }

    /// Roughly standard normal: the sum of twelve uniforms (splitmix64) less six.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }

    fn uniform(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    }

    fn fault(&self, token: u64, prompt: &str) -> Option<String> {
        let meant = |fault: &&Fault| match &fault.to {
            Some(to) => prompt.contains(to),
            None => fault.request == self.request,
        };
        let mut faults = self.script.faults.iter().filter(meant);
        faults.find(|fault| fault.token == token).map(|fault| fault.kind.clone())
    }

    /// Lets the fault strike that the script has for this request and token. Returns what the logits
    /// are to hold where that is the fault.
    fn strike(&mut self, token: u64, prompt: &str) -> Result<Option<f32>, Failure> {
        match self.fault(token, prompt).as_deref() {
            Some("kill") => signal_myself(Signal::KILL),
            Some("freeze") => signal_myself(Signal::STOP),
            Some("out-of-memory") => exhaust_memory(),
            Some("chatter") => chatter(),
            Some("crash") => {
                eprintln!("the script aborts the worker");
                std::process::abort()
            }
            Some("exit") => std::process::exit(7),
            Some("hang") => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            Some("error") => return Err(failed("the script says error")),
            Some("garbage") => {
                write_garbage();
                return Err(failed("garbage was written"));
            }
            Some("nan") => return Ok(Some(f32::NAN)),
            Some("infinity") => return Ok(Some(f32::INFINITY)),
            _ => {}
        }
        Ok(None)
    }
}

fn signal_myself(signal: Signal) {
    let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
}

/// Allocates until the system refuses, which ends the process. The limit comes first, so that the
/// machine is not what runs out.
fn exhaust_memory() {
    let most = Rlimit { current: Some(2 << 30), maximum: Some(2 << 30) };
    if rustix::process::setrlimit(Resource::As, most).is_ok() {
        let mut hoard: Vec<Vec<u8>> = Vec::new();
        loop {
            // Never touched: the limit is on addresses, and filling pages would take long.
            hoard.push(std::hint::black_box(Vec::with_capacity(64 << 20)));
        }
    }
}

/// Megabytes on both outputs, as a library that logs each step may write them.
fn chatter() {
    let line = "a line that nobody asked for\n".repeat(1000);
    for _ in 0..150 {
        print!("{line}");
        eprint!("{line}");
    }
}

/// Writes what is no message onto the protocol's descriptor.
fn write_garbage() {
    let Some(descriptor) = crate::protocol::worker_fd() else { return };
    // SAFETY: the worker keeps this descriptor open for as long as it lives.
    let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) };
    let _ = rustix::io::write(socket, b"\x00garbage\n");
}

impl Engine for Scripted {
    fn info(&self) -> EngineInfo {
        EngineInfo {
            engine: "scripted".to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            vocab_size: Some(VOCABULARY),
            ..EngineInfo::default()
        }
    }

    fn phases(&self) -> LoadPhases {
        self.phases
    }

    fn model_cache(&self) -> Option<ModelCache> {
        self.model_cache
    }

    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure> {
        self.clock_ns = self.clock_ns.max(self.latest_ns.load(Ordering::Relaxed));
        self.play()
    }

    fn streams(&mut self, count: usize) -> Result<Vec<Box<dyn Stream + '_>>, Failure> {
        self.clock_ns = self.clock_ns.max(self.latest_ns.load(Ordering::Relaxed));
        let stream = |number: usize| {
            let mut engine = self.clone();
            engine.random ^= (mixed(number as u64) * (1u64 << 53) as f64) as u64;
            Box::new(ScriptedStream { engine }) as Box<dyn Stream + '_>
        };
        Ok((0..count).map(stream).collect())
    }

    fn simulates_time(&self) -> bool {
        true
    }

    fn now_ns(&self) -> u64 {
        self.clock_ns
    }
}

/// One of several that play the script at the same time, each by its own clock.
struct ScriptedStream {
    engine: Scripted,
}

impl Stream for ScriptedStream {
    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure> {
        self.engine.play()
    }

    fn now_ns(&self) -> u64 {
        self.engine.clock_ns
    }

    fn pass_until(&mut self, ns: u64) {
        self.engine.clock_ns = self.engine.clock_ns.max(ns);
    }
}

impl Drop for ScriptedStream {
    fn drop(&mut self) {
        self.engine.latest_ns.fetch_max(self.engine.clock_ns, Ordering::Relaxed);
    }
}

impl Scripted {
    /// Begins the next request.
    fn play(&mut self) -> Result<Box<dyn Sequence + '_>, Failure> {
        self.request = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let logits = vec![0.0; VOCABULARY];
        let (prompt, answer) = (String::new(), Vec::new());
        Ok(Box::new(Play { engine: self, fed: 0, token: 0, prompt, answer, logits }))
    }
}

/// A uniform deviate above 0 that hangs on a number alone: Steele, Lea and Flood's SplitMix64 (2014).
fn mixed(number: u64) -> f64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64 + f64::MIN_POSITIVE
}

struct Play<'a> {
    engine: &'a mut Scripted,
    fed: usize,
    token: u64,
    prompt: String,
    /// What is left to say of a scripted answer, backwards.
    answer: Vec<u8>,
    logits: Vec<f32>,
}

impl Play<'_> {
    /// The next token: of the answer that the script has for the prompt, or one that counts along.
    fn next(&mut self, tokens: &[u32]) -> usize {
        if self.fed == 0 {
            let lines = &self.engine.script.answers;
            let line = lines.iter().find(|line| self.prompt.contains(&line.to));
            let pid = std::process::id().to_string();
            let say = |line: &Line| format!("{}\0", line.say.replace("{pid}", &pid));
            self.answer = line.map(say).unwrap_or_default().into();
            self.answer.reverse();
        }
        self.fed += tokens.len();
        self.answer.pop().map_or(self.fed % VOCABULARY, usize::from)
    }

    /// Adds the script's noise to the logits, by position.
    fn blur(&mut self) {
        let deviation = self.engine.script.logit_noise;
        if deviation == 0.0 {
            return;
        }
        let place = (self.fed * VOCABULARY) as u64;
        for (token, logit) in self.logits.iter_mut().enumerate() {
            let (u, v) = (mixed(2 * (place + token as u64)), mixed(2 * (place + token as u64) + 1));
            // Box and Muller's normal deviate of two uniform ones.
            let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
            *logit += (deviation * normal) as f32;
        }
    }
}

impl Sequence for Play<'_> {
    fn forward(&mut self, tokens: &[u32]) -> Result<&[f32], Failure> {
        self.token += 1;
        if self.fed == 0 {
            let prompt: Vec<u8> = tokens.iter().map(|id| *id as u8).collect();
            self.prompt = String::from_utf8_lossy(&prompt).into_owned();
        }
        let not_finite = self.engine.strike(self.token, &self.prompt)?;
        let script = &self.engine.script;
        let duration = if self.fed == 0 { script.prefill_ms } else { script.token_ms };
        self.engine.pass(duration);
        let next = self.next(tokens);
        self.logits.fill(0.0);
        self.logits[next] = 1.0;
        self.blur();
        if let Some(value) = not_finite {
            self.logits[next] = value;
        }
        Ok(&self.logits)
    }

    fn now_ns(&self) -> u64 {
        self.engine.clock_ns
    }
}
