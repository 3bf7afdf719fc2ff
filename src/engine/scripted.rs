//! Owns the `scripted` engine: fixed latencies on a clock of its own, fixed outputs, and faults on
//! request, for tests of everything around engines.

use super::{Engine, LoadError, Sequence, failed};
use crate::protocol::{LoadSpec, Script, monotonic_ns};
use crate::record::{EngineInfo, Failure};
use rustix::process::{Resource, Rlimit, Signal};
use std::time::Duration;

const VOCABULARY: usize = 256;

/// An engine that plays a script. Its clock starts at the real one and moves only by the script,
/// so that a test's latencies are exact and cost no time.
pub(super) struct Scripted {
    script: Script,
    clock_ns: u64,
    requests: u64,
    random: u64,
}

pub(super) fn load(spec: &LoadSpec) -> Result<Scripted, LoadError> {
    let script = spec.script.clone().unwrap_or_default();
    // The process id makes rounds differ, as they do on a real machine; jitter is 0 unless asked for.
    let random = u64::from(std::process::id());
    let mut engine = Scripted { script, clock_ns: monotonic_ns(), requests: 0, random };
    if engine.fault(0, 1).is_some_and(|kind| kind == "unsupported") {
        return Err(LoadError::setup("the script says that this model is unsupported"));
    }
    engine.strike(1).map_err(|failure| LoadError { failure, fatal: false })?;
    let load_ms = engine.script.load_ms;
    engine.pass(load_ms);
    std::thread::sleep(Duration::from_secs_f64(load_ms / 1e3));
    Ok(engine)
}

impl Scripted {
    /// Moves the clock by a duration with the script's jitter.
    fn pass(&mut self, milliseconds: f64) {
        let factor = (self.script.jitter * self.normal()).exp();
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

    fn fault(&self, request: u64, token: u64) -> Option<String> {
        let faults = &self.script.faults;
        faults
            .iter()
            .find(|fault| fault.request == request && fault.token == token)
            .map(|fault| fault.kind.clone())
    }

    /// Lets the fault strike that the script has for this request and token. Returns what the logits
    /// are to hold where that is the fault.
    fn strike(&mut self, token: u64) -> Result<Option<f32>, Failure> {
        match self.fault(self.requests, token).as_deref() {
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

    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure> {
        self.requests += 1;
        let logits = vec![0.0; VOCABULARY];
        Ok(Box::new(Play { engine: self, fed: 0, token: 0, answer: Vec::new(), logits }))
    }

    fn now_ns(&self) -> u64 {
        self.clock_ns
    }
}

struct Play<'a> {
    engine: &'a mut Scripted,
    fed: usize,
    token: u64,
    /// What is left to say of a scripted answer, backwards.
    answer: Vec<u8>,
    logits: Vec<f32>,
}

impl Play<'_> {
    /// The next token: of the answer that the script has for the prompt, or one that counts along.
    fn next(&mut self, tokens: &[u32]) -> usize {
        if self.fed == 0 {
            let prompt: Vec<u8> = tokens.iter().map(|id| *id as u8).collect();
            let prompt = String::from_utf8_lossy(&prompt);
            let line = self.engine.script.answers.iter().find(|line| prompt.contains(&line.to));
            self.answer = line.map(|line| format!("{}\0", line.say)).unwrap_or_default().into();
            self.answer.reverse();
        }
        self.fed += tokens.len();
        self.answer.pop().map_or(self.fed % VOCABULARY, usize::from)
    }
}

impl Sequence for Play<'_> {
    fn forward(&mut self, tokens: &[u32]) -> Result<&[f32], Failure> {
        self.token += 1;
        let not_finite = self.engine.strike(self.token)?;
        let script = &self.engine.script;
        let duration = if self.fed == 0 { script.prefill_ms } else { script.token_ms };
        self.engine.pass(duration);
        let next = self.next(tokens);
        self.logits.fill(0.0);
        self.logits[next] = 1.0;
        if let Some(value) = not_finite {
            self.logits[next] = value;
        }
        Ok(&self.logits)
    }

    fn now_ns(&self) -> u64 {
        self.engine.clock_ns
    }
}
