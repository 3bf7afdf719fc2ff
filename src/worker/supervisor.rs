//! Owns a worker process from the outside: spawn, handshake, deadlines, kill, and what is said of
//! one that dies.

use crate::engine::{Forced, Generation, wants_memory};
use crate::protocol::{
    self, Arrivals, Command, Job, LoadSpec, Order, Reply, Served, Together, WORKER_FD, monotonic_ns,
};
use crate::record::{EngineInfo, Execution, Failure, FailureClass, LoadPhases, ModelCache, Rows};
use rustix::io::FdFlags;
use rustix::process::{Pid, Signal};
use std::collections::VecDeque;
use std::io::{self, BufReader, Read};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How much of a worker's output is kept to explain its death, bytes.
const TAIL: usize = 4096;
/// How long a worker may take to end by itself once its socket is closed.
const FAREWELL: Duration = Duration::from_secs(5);
/// How often a wait looks whether the user has interrupted.
const GLANCE: Duration = Duration::from_millis(100);

/// Set once the user wants to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(pub Arc<AtomicBool>);

impl Interrupt {
    /// Whether the user wants to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How to start a worker.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program; perfgate itself.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Threads for engines that read the environment (candle).
    pub threads: usize,
}

/// Why a worker did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The load or the request failed; it counts.
    Failed(Failure),
    /// The variant's set-up is at fault; the session cannot run.
    Fatal(Failure),
    /// The user wants to stop; nothing counts.
    Interrupted,
}

/// What a load came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Duration of the load inside the worker, nanoseconds.
    pub load_ns: u64,
    /// Its steps, as far as the engine stamps them.
    pub phases: LoadPhases,
    /// What it did with the engine's folder of compiled models, if it has one.
    pub model_cache: Option<ModelCache>,
    /// What the engine says of itself.
    pub engine: EngineInfo,
}

/// A living (or just deceased) worker process. Dropping it kills its process group.
pub struct Worker {
    child: Child,
    group: Pid,
    socket: Option<UnixStream>,
    replies: Receiver<io::Result<Reply>>,
    output: Arc<Mutex<VecDeque<u8>>>,
    drains: Vec<JoinHandle<()>>,
    next_id: u64,
    /// What it said that it can do.
    capabilities: Vec<String>,
    status: Option<ExitStatus>,
    /// Processes that the kernel had killed for want of memory, before the spawn.
    killed_before: Option<u64>,
    /// Just before the spawn, monotonic nanoseconds.
    pub spawn_ns: u64,
}

impl Worker {
    /// Spawns the process. The handshake is part of [`Worker::hello`].
    ///
    /// # Errors
    /// If the process cannot be spawned.
    pub fn spawn(launch: &Launch) -> io::Result<Worker> {
        let (ours, theirs) = UnixStream::pair()?;
        let descriptor = theirs.as_raw_fd();
        let parent = rustix::process::getpid();
        let mut command = std::process::Command::new(&launch.program);
        command
            .args(&launch.arguments)
            .env(WORKER_FD, descriptor.to_string())
            .env("RAYON_NUM_THREADS", launch.threads.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group, so that what it spawns dies with it and Ctrl-C reaches us alone.
            .process_group(0);
        // SAFETY: only system calls between fork and exec, no allocation and no lock.
        unsafe {
            command.pre_exec(move || {
                rustix::io::fcntl_setfd(BorrowedFd::borrow_raw(descriptor), FdFlags::empty())?;
                die_with(parent)
            });
        }
        let killed_before = killed_for_memory();
        let spawn_ns = monotonic_ns();
        let mut child = command.spawn()?;
        drop(theirs);
        let group = Pid::from_child(&child);
        let output = Arc::new(Mutex::new(VecDeque::new()));
        let mut drains = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            drains.push(drain(stdout, &output));
        }
        if let Some(stderr) = child.stderr.take() {
            drains.push(drain(stderr, &output));
        }
        let (sender, replies) = channel();
        let mut reader = BufReader::new(ours.try_clone()?);
        std::thread::spawn(move || {
            loop {
                let message = match protocol::receive::<Reply>(&mut reader) {
                    Ok(Some(reply)) => Ok(reply),
                    Ok(None) => break,
                    Err(error) => Err(error),
                };
                let last = message.is_err();
                if sender.send(message).is_err() || last {
                    break;
                }
            }
        });
        Ok(Worker {
            child,
            group,
            socket: Some(ours),
            replies,
            output,
            drains,
            next_id: 1,
            capabilities: Vec::new(),
            status: None,
            killed_before,
            spawn_ns,
        })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process can still be asked.
    pub fn alive(&self) -> bool {
        self.socket.is_some()
    }

    /// Waits for the handshake.
    ///
    /// # Errors
    /// If it does not come in time, or of another version.
    pub fn hello(&mut self, deadline: Duration, interrupt: &Interrupt) -> Result<(), Stop> {
        match self.wait(deadline, interrupt)? {
            Reply::Hello { protocol: protocol::VERSION, capabilities } => {
                self.capabilities = capabilities;
                Ok(())
            }
            Reply::Hello { protocol, .. } => Err(self.give_up(
                FailureClass::Protocol,
                format!("it speaks protocol {protocol}, and {} is spoken here", protocol::VERSION),
            )),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Loads a model.
    ///
    /// # Errors
    /// If it cannot be loaded, in time or at all.
    pub fn load(
        &mut self,
        spec: &LoadSpec,
        deadline: Duration,
        interrupt: &Interrupt,
    ) -> Result<Loaded, Stop> {
        let id = self.id();
        self.send(&Command::Load { id, spec: Box::new(spec.clone()) })?;
        match self.wait(deadline, interrupt)? {
            Reply::Loaded { id: of, load_ns, phases, model_cache, engine } if of == id => {
                Ok(Loaded { load_ns, phases, model_cache, engine: *engine })
            }
            Reply::Failed { id: of, failure, fatal } if of == id => {
                Err(if fatal { Stop::Fatal(failure) } else { Stop::Failed(failure) })
            }
            other => Err(self.unexpected(&other)),
        }
    }

    /// Executes one request.
    ///
    /// # Errors
    /// If it fails; the worker may be dead then, see [`Worker::alive`].
    pub fn generate(
        &mut self,
        order: &Order,
        deadline: Duration,
        interrupt: &Interrupt,
    ) -> Result<Generation, Stop> {
        let id = self.id();
        self.send(&Command::Generate { id, order: order.clone() })?;
        match self.wait(deadline, interrupt)? {
            Reply::Generated { id: of, start_ns, token_ns, tokens } if of == id => {
                match complaint(order, &tokens, &token_ns) {
                    None => Ok(Generation { start_ns, token_ns, tokens }),
                    Some(why) => Err(self.give_up(FailureClass::Protocol, why)),
                }
            }
            Reply::Failed { id: of, failure, .. } if of == id => Err(Stop::Failed(failure)),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Executes requests together; `prefix` tokens are shared by their prompts. Returns what each came to.
    ///
    /// # Errors
    /// If none has an answer; the worker may be dead then, see [`Worker::alive`].
    pub fn generate_together(
        &mut self,
        orders: &[Order],
        prefix: usize,
        deadline: Duration,
        interrupt: &Interrupt,
    ) -> Result<Vec<Result<Vec<u32>, Failure>>, Stop> {
        let id = self.id();
        self.send(&Command::GenerateTogether { id, orders: orders.to_vec(), prefix })?;
        match self.wait(deadline, interrupt)? {
            Reply::GeneratedTogether { id: of, answers }
                if of == id && answers.len() == orders.len() =>
            {
                let outcome = |answer: Together| answer.failure.map_or(Ok(answer.tokens), Err);
                let answers: Vec<_> = answers.into_iter().map(outcome).collect();
                let short = orders.iter().zip(&answers).find_map(|(order, answer)| {
                    let tokens = answer.as_ref().ok()?;
                    (!enough(order, tokens)).then_some((tokens.len(), order.tokens))
                });
                match short {
                    None => Ok(answers),
                    Some((came, asked)) => Err(self.give_up(
                        FailureClass::Protocol,
                        format!("{came} tokens came, and {asked} were asked for"),
                    )),
                }
            }
            Reply::Failed { id: of, failure, .. } if of == id => Err(Stop::Failed(failure)),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Looks whether the rows of batches are independent of each other, for sequences of up to `need` tokens.
    ///
    /// # Errors
    /// If it fails; the worker may be dead then, see [`Worker::alive`].
    pub fn prove_rows(
        &mut self,
        need: usize,
        deadline: Duration,
        interrupt: &Interrupt,
    ) -> Result<Rows, Stop> {
        if !self.capabilities.iter().any(|capability| capability == "prove_rows") {
            let reason = "its worker was built before there was a probe of it".to_string();
            return Ok(Rows::Dependent { reason });
        }
        let id = self.id();
        self.send(&Command::ProveRows { id, need })?;
        match self.wait(deadline, interrupt)? {
            Reply::Proven { id: of, rows } if of == id => Ok(rows),
            Reply::Failed { id: of, failure, .. } if of == id => Err(Stop::Failed(failure)),
            other => Err(self.unexpected(&other)),
        }
    }

    /// The log likelihood of each continuation of a prompt, nats.
    ///
    /// # Errors
    /// If it fails; the worker may be dead then, see [`Worker::alive`].
    pub fn score(
        &mut self,
        prompt: &[u32],
        continuations: &[Vec<u32>],
        deadline: Duration,
        interrupt: &Interrupt,
    ) -> Result<Vec<f64>, Stop> {
        let id = self.id();
        let (prompt, continuations) = (prompt.to_vec(), continuations.to_vec());
        let asked = continuations.len();
        self.send(&Command::Score { id, prompt, continuations })?;
        match self.wait(deadline, interrupt)? {
            Reply::Scored { id: of, log_likelihoods }
                if of == id && log_likelihoods.len() == asked =>
            {
                Ok(log_likelihoods)
            }
            Reply::Failed { id: of, failure, .. } if of == id => Err(Stop::Failed(failure)),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Forces tokens; the logits are in the file `logits` then.
    ///
    /// # Errors
    /// If it fails; the worker may be dead then, see [`Worker::alive`]. One that was built before there was
    /// forcing is not asked.
    pub fn force(
        &mut self,
        (tokens, stepwise): (&[u32], bool),
        logits: &Path,
        deadline: Duration,
        interrupt: &Interrupt,
    ) -> Result<Forced, Stop> {
        if !self.capabilities.iter().any(|capability| capability == "force") {
            let message = "its worker has no teacher forcing: it was built before there was any";
            let (class, message) = (FailureClass::Unsupported, message.to_string());
            return Err(Stop::Failed(Failure { class, message }));
        }
        let (id, tokens) = (self.id(), tokens.to_vec());
        let positions = tokens.len();
        self.send(&Command::Force { id, tokens, stepwise, logits: logits.to_path_buf() })?;
        match self.wait(deadline, interrupt)? {
            Reply::Forced { id: of, positions: forced, vocabulary }
                if of == id && forced == positions && vocabulary > 0 =>
            {
                Ok(Forced { positions, vocabulary })
            }
            Reply::Failed { id: of, failure, fatal } if of == id => {
                Err(if fatal { Stop::Fatal(failure) } else { Stop::Failed(failure) })
            }
            other => Err(self.unexpected(&other)),
        }
    }

    /// Asks how the loaded model executes its products with weights.
    ///
    /// # Errors
    /// If the engine does not tell; the worker may be dead then, see [`Worker::alive`]. One that was built before it
    /// could be asked is not asked.
    pub fn execution(
        &mut self,
        deadline: Duration,
        interrupt: &Interrupt,
    ) -> Result<Execution, Stop> {
        if !self.capabilities.iter().any(|capability| capability == "execution") {
            let message = "its worker does not tell: it was built before it could be asked";
            let (class, message) = (FailureClass::Unsupported, message.to_string());
            return Err(Stop::Failed(Failure { class, message }));
        }
        let id = self.id();
        self.send(&Command::Execution { id })?;
        match self.wait(deadline, interrupt)? {
            Reply::Execution { id: of, execution } if of == id => Ok(execution),
            Reply::Failed { id: of, failure, .. } if of == id => Err(Stop::Failed(failure)),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Serves a job. Returns its start (monotonic nanoseconds) and its requests in the order in which they were
    /// taken up, those that failed among them.
    ///
    /// # Errors
    /// If none has an answer; the worker may be dead then, see [`Worker::alive`]. One that was built before there
    /// were jobs is not asked.
    pub fn serve(
        &mut self,
        job: &Job,
        deadline: Duration,
        interrupt: &Interrupt,
    ) -> Result<(u64, Vec<Served>), Stop> {
        if !self.capabilities.iter().any(|capability| capability == "serve") {
            let message =
                "its worker serves one request at a time: it was built before load was put on any";
            let (class, message) = (FailureClass::Unsupported, message.to_string());
            return Err(Stop::Failed(Failure { class, message }));
        }
        let id = self.id();
        self.send(&Command::Serve { id, job: Box::new(job.clone()) })?;
        match self.wait(deadline, interrupt)? {
            Reply::Served { id: of, start_ns, requests } if of == id => {
                match requests.iter().find_map(|request| complaint_of_served(job, request)) {
                    None => Ok((start_ns, requests)),
                    Some(why) => Err(self.give_up(FailureClass::Protocol, why)),
                }
            }
            Reply::Failed { id: of, failure, .. } if of == id => Err(Stop::Failed(failure)),
            other => Err(self.unexpected(&other)),
        }
    }

    /// Lets the worker end by itself; kills it if it does not.
    pub fn stop(mut self) {
        // The reading thread holds the socket too, so dropping ours would not close it.
        if let Some(socket) = self.socket.take() {
            let _ = socket.shutdown(std::net::Shutdown::Write);
        }
        if self.wait_for_exit(FAREWELL).is_none() {
            self.kill();
        }
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn send(&mut self, command: &Command) -> Result<(), Stop> {
        let Some(socket) = &self.socket else {
            return Err(Stop::Failed(Failure {
                class: FailureClass::Crash,
                message: "the worker had ended before".to_string(),
            }));
        };
        match protocol::send(socket, command) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.died()),
        }
    }

    fn wait(&mut self, deadline: Duration, interrupt: &Interrupt) -> Result<Reply, Stop> {
        let end = Instant::now() + deadline;
        loop {
            if interrupt.is_set() {
                self.kill();
                return Err(Stop::Interrupted);
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.replies.recv_timeout(left.min(GLANCE)) {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(self.give_up(FailureClass::Protocol, error.to_string()));
                }
                Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => return Err(self.died()),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    let stopped = if is_stopped(self.pid()) { ": it was stopped" } else { "" };
                    let whole = Duration::from_millis(deadline.as_millis() as u64);
                    let within = humantime::format_duration(whole);
                    let text = format!("no answer within {within}{stopped}");
                    return Err(self.give_up(FailureClass::Deadline, text));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Kills the worker for cause.
    fn give_up(&mut self, class: FailureClass, why: String) -> Stop {
        self.kill();
        let message = format!("{why}; the worker was killed{}", self.last_words());
        Stop::Failed(Failure { class, message })
    }

    fn unexpected(&mut self, reply: &Reply) -> Stop {
        let text = format!("{reply:?}");
        let start: String = text.chars().take(80).collect();
        self.give_up(FailureClass::Protocol, format!("an answer that was not asked for: {start}"))
    }

    /// The socket closed without being asked: says how the process ended.
    fn died(&mut self) -> Stop {
        let status = self.wait_for_exit(Duration::from_secs(2));
        self.kill();
        let signal = status.and_then(|status| status.signal());
        let how = match (signal, status.map(|status| status.code())) {
            (_, None) => "closed its socket and went on".to_string(),
            (Some(signal), _) => format!("was killed by signal {}", signal_name(signal)),
            (None, Some(Some(code))) => format!("exited with code {code}"),
            (None, Some(None)) => "ended".to_string(),
        };
        let words = self.last_words();
        let by_kernel = signal == Some(9) && killed_for_memory() > self.killed_before;
        let (class, why) = match () {
            () if by_kernel => (FailureClass::OutOfMemory, ": the kernel's out-of-memory killer"),
            () if wants_memory(&words) => (FailureClass::OutOfMemory, ""),
            () => (FailureClass::Crash, ""),
        };
        Stop::Failed(Failure { class, message: format!("the worker {how}{why}{words}") })
    }

    fn wait_for_exit(&mut self, patience: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + patience;
        while self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
            if self.status.is_some() || Instant::now() >= end {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.status
    }

    fn kill(&mut self) {
        self.socket = None;
        // The whole group, and before the child is reaped: afterwards its id may be another's.
        if self.status.is_none() {
            let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
            self.status = self.child.wait().ok();
        }
    }

    /// The end of what the process printed, for a message.
    fn last_words(&mut self) -> String {
        for drain in self.drains.drain(..) {
            // A grandchild may hold the pipe open; then what is there must do.
            let end = Instant::now() + Duration::from_millis(200);
            while !drain.is_finished() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let bytes: Vec<u8> = self.output.lock().map_or_else(
            |poisoned| poisoned.into_inner().iter().copied().collect(),
            |tail| tail.iter().copied().collect(),
        );
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> =
            text.lines().rev().filter(|l| !l.trim().is_empty()).take(20).collect();
        if lines.is_empty() {
            return String::new();
        }
        let kept: Vec<&str> = lines.into_iter().rev().collect();
        format!("; its last output:\n{}", kept.join("\n"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What is wrong with an answer, if anything: too few tokens, or stamps that don't fit them.
fn complaint(order: &Order, tokens: &[u32], stamps: &[u64]) -> Option<String> {
    let asked = order.tokens as usize;
    (!enough(order, tokens) || stamps.len() != tokens.len() || !stamps.is_sorted()).then(|| {
        format!(
            "{} tokens and {} stamps came, and {asked} of each in order were asked for",
            tokens.len(),
            stamps.len()
        )
    })
}

/// What is wrong with a request of a job, if anything.
fn complaint_of_served(job: &Job, request: &Served) -> Option<String> {
    let (index, stream) = (request.index, request.stream);
    let arrived = match &job.arrivals {
        Arrivals::Closed { most, .. } => index < *most,
        Arrivals::Open { due_ns, .. } => {
            usize::try_from(index).is_ok_and(|index| due_ns.get(index) == Some(&request.arrival_ns))
        }
    };
    if !arrived || stream >= job.streams || request.start_ns < request.arrival_ns {
        return Some(format!(
            "a request came that was not asked for: number {index}, of stream {stream}"
        ));
    }
    if request.failure.is_some() {
        return None;
    }
    let order = &job.orders[(index % job.orders.len() as u64) as usize];
    complaint(order, &request.tokens, &request.token_ns)
}

/// Whether as many tokens came as were asked for, or fewer with a stop token at their end.
fn enough(order: &Order, tokens: &[u32]) -> bool {
    let asked = order.tokens as usize;
    let stopped = tokens.last().is_some_and(|last| order.stop.contains(last));
    tokens.len() == asked || (stopped && tokens.len() < asked)
}

/// Lets the kernel kill this process once its parent dies, where the kernel can.
fn die_with(parent: Pid) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before the line above.
        if rustix::process::getppid() != Some(parent) {
            return Err(io::Error::other("perfgate has ended"));
        }
    }
    let _ = parent;
    Ok(())
}

/// Reads a pipe to its end in a thread, so that a chatty worker never blocks, and keeps the tail.
fn drain(mut pipe: impl Read + Send + 'static, tail: &Arc<Mutex<VecDeque<u8>>>) -> JoinHandle<()> {
    let tail = Arc::clone(tail);
    std::thread::spawn(move || {
        let mut buffer = [0u8; 8192];
        while let Ok(read) = pipe.read(&mut buffer) {
            if read == 0 {
                break;
            }
            let Ok(mut tail) = tail.lock() else { break };
            tail.extend(&buffer[..read]);
            let surplus = tail.len().saturating_sub(TAIL);
            tail.drain(..surplus);
        }
    })
}

/// How many processes of this one's control group (workers are in the same) the kernel has killed for
/// want of memory; of the whole machine where there is no such group. `None` where it does not tell.
fn killed_for_memory() -> Option<u64> {
    let read = |file: &str| std::fs::read_to_string(file).ok();
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    // Version 1 has a line `N:memory:PATH`, version 2 the line `0::PATH`.
    let of_group = groups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        match controllers {
            "memory" => read(&format!("/sys/fs/cgroup/memory{path}/memory.oom_control")),
            "" => read(&format!("/sys/fs/cgroup{path}/memory.events")),
            _ => None,
        }
    });
    let count = |text: String| {
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
    };
    of_group.chain(read("/proc/vmstat")).find_map(count)
}

/// Whether a process is stopped, as by SIGSTOP or a debugger.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which is in parentheses and may hold anything.
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['T', 't']))
}

fn signal_name(signal: i32) -> String {
    let name = signal_hook::low_level::signal_name(signal);
    match (signal, name) {
        (_, Some(name)) => format!("{signal} ({name})"),
        (_, None) => signal.to_string(),
    }
}
