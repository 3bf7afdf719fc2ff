//! Owns the store of accepted sessions: one file for each, with all variants by round and aligned by
//! task, in deterministic bytes that a person can review.

use crate::metric::request_joules;
use crate::problem::{Problem, Result};
use crate::record::{
    EngineInfo, Environment, Failure, FailureClass, GitState, Grade, Header, LoadPhases,
    MachineClass, MemoryUse, ModelCache, Part, Phase, Plan, Provenance, Reading, Request, Round,
    Sampling, VariantRecord, VerdictKind, WorkerRun, of_base,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

/// The version of the stored files. A reader accepts this one and the one before, which had neither
/// verdict nor marks.
const FORMAT: u32 = 2;

/// The size that a stored session should stay under, bytes: a repository carries one for each accepted
/// session of each machine class for ever, in its history.
const MOST_BYTES: usize = 100 << 10;

/// Most stamps of tokens that a stored session may stand for: a gigabyte of them, a thousand times
/// what sessions have. Read back, each token of each request gets its own.
const MOST_STAMPS: u64 = 1 << 27;

/// An accepted session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// The version of the file's format.
    pub format: u32,
    /// The session's id.
    pub session: String,
    /// UTC start, RFC 3339.
    pub started: String,
    /// perfgate's version.
    pub perfgate: String,
    /// The state of the repository, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitState>,
    /// The machine's class.
    pub machine: MachineClass,
    /// The kernel.
    pub kernel: String,
    /// What its energy is of, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<StoredEnergy>,
    /// What was asked of the variants.
    pub workload: StoredWorkload,
    /// The variants by name.
    pub variants: BTreeMap<String, StoredVariant>,
    /// The graded tasks that were not answered right, by variant; all others were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quality: BTreeMap<String, StoredQuality>,
    /// A line for each complete round and variant.
    pub rounds: Vec<StoredRun>,
    /// What the rules said when it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<StoredVerdict>,
    /// What a reader must know before trusting it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<StoredMark>,
}

/// What the energy of a stored session is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoredEnergy {
    /// What was counted, as the report names it.
    pub counted: String,
    /// Whether idle power was subtracted.
    pub less_idle: bool,
}

impl StoredEnergy {
    /// What a session's energy is of, if there are counters.
    pub fn of(header: &Header) -> Option<StoredEnergy> {
        match &header.environment.energy {
            Reading::Available(counted) => Some(StoredEnergy {
                counted: counted.clone(),
                less_idle: header.plan.idle_ms.is_some(),
            }),
            Reading::Unavailable(_) => None,
        }
    }
}

/// What the rules said of a session when it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoredVerdict {
    /// What it came to: `holds`, `regressed`, `blocked`, `undecided`.
    pub outcome: String,
    /// The verdict of each rule by its id.
    pub rules: BTreeMap<String, VerdictKind>,
}

/// What a reader of a stored session must know before trusting it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum StoredMark {
    /// Measured with files that differed from the commit.
    #[serde(rename = "dirty work tree")]
    Dirty,
    /// Accepted although a regression was proven.
    #[serde(rename = "accepted over a regression")]
    OverRegression,
    /// Measured where git told of no commit.
    #[serde(rename = "no commit")]
    NoCommit,
}

impl fmt::Display for StoredMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoredMark::Dirty => "dirty work tree",
            StoredMark::OverRegression => "accepted over a regression",
            StoredMark::NoCommit => "no commit",
        })
    }
}

/// What was asked of the variants of a stored session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoredWorkload {
    /// SHA-256 of the timing workload.
    pub sha256: String,
    /// Ids of the timing tasks: the order of the values in each round.
    pub tasks: Vec<String>,
    /// Tokens fed per request, if fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u32>,
    /// Tokens generated per request.
    pub gen_tokens: u32,
    /// SHA-256 of the quality workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality_sha256: Option<String>,
    /// Number of graded tasks.
    #[serde(default)]
    pub quality_tasks: usize,
}

impl StoredWorkload {
    /// What a plan asks of the variants.
    pub fn of(plan: &Plan) -> StoredWorkload {
        StoredWorkload {
            sha256: plan.workload_sha256.clone(),
            tasks: plan.tasks.clone(),
            prompt_tokens: plan.prompt_tokens,
            gen_tokens: plan.gen_tokens,
            quality_sha256: plan.quality.as_ref().map(|quality| quality.sha256.clone()),
            quality_tasks: plan.quality.as_ref().map_or(0, |quality| quality.tasks.len()),
        }
    }
}

/// A variant of a stored session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoredVariant {
    /// What was asked for.
    pub asked: VariantRecord,
    /// What the engine said of itself, without the library's path, which is the machine's own.
    pub engine: EngineInfo,
}

/// Graded tasks of one variant that were not answered right.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoredQuality {
    /// Ids of the tasks with a wrong answer.
    pub wrong: Vec<String>,
    /// Ids of the tasks without a usable answer.
    pub failed: Vec<String>,
}

/// One variant in one round; times in microseconds, sizes in bytes. Values by task stand in the order
/// of the workload's tasks; `null` is a failed request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoredRun {
    /// From 1.
    pub round: u32,
    /// The variant's name.
    pub variant: String,
    /// Spawn to handshake.
    pub spawn_us: Option<u64>,
    /// Reading and compiling the model.
    pub load_us: Option<u64>,
    /// The load's steps: library, reading, compiling; nothing where the engine tells none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps_us: Option<[Option<u64>; 3]>,
    /// Time to first token of the first request.
    pub cold_ttft_us: Option<u64>,
    /// Spawn to the first token.
    pub cold_start_us: Option<u64>,
    /// Memory after the last request.
    pub memory: Option<MemoryUse>,
    /// Memory when the model was loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_loaded: Option<MemoryUse>,
    /// Largest resident set from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_peak: Option<u64>,
    /// What each token adds to the key-value cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_bytes_per_token: Option<u64>,
    /// Size of the model's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_bytes: Option<u64>,
    /// What the start did with the engine's folder of compiled models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_cache: Option<ModelCache>,
    /// Time to first token by task.
    pub ttft_us: Vec<Option<u64>>,
    /// Latency by task.
    pub latency_us: Vec<Option<u64>>,
    /// Energy by task, microjoules, where it was measured: as it is judged, packages and memory together, less
    /// the idle power where that is subtracted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub energy_uj: Vec<Option<u64>>,
}

impl Stored {
    /// A session as it is stored, with the marks of where it was measured and without a verdict. Rounds
    /// that were cut short are left out.
    pub fn from_part(part: &Part) -> Stored {
        let header = &part.header;
        let plan = &header.plan;
        let complete = part.complete();
        // What was measured of a base beside them is nobody's variant.
        let own = |name: &String| of_base(name).is_none();
        let names: Vec<&String> = plan.variants.iter().filter(|name| own(name)).collect();
        let engine = |name: &String| EngineInfo {
            library: None,
            ..part.engine(name).cloned().unwrap_or_default()
        };
        let stored = |(name, asked): (&String, &VariantRecord)| {
            (name.clone(), StoredVariant { asked: asked.clone(), engine: engine(name) })
        };
        Stored {
            format: FORMAT,
            session: header.session.clone(),
            started: header.started.clone(),
            perfgate: header.provenance.perfgate.clone(),
            git: header.provenance.git.clone(),
            machine: header.environment.machine.clone(),
            kernel: header.environment.kernel.clone(),
            energy: StoredEnergy::of(header),
            workload: StoredWorkload::of(plan),
            variants: header.variants.iter().filter(|(name, _)| own(name)).map(stored).collect(),
            quality: quality(part),
            rounds: complete
                .iter()
                .flat_map(|round| names.iter().map(|name| run(round, name, &plan.tasks)))
                .collect(),
            verdict: None,
            marks: of_git(header.provenance.git.as_ref()).into_iter().collect(),
        }
    }

    /// Its marks. Files of format 1 had none, and are marked by what they say of git.
    pub fn marks(&self) -> Vec<StoredMark> {
        match self.format {
            1 => of_git(self.git.as_ref()).into_iter().collect(),
            _ => self.marks.clone(),
        }
    }

    /// The tasks that a variant was graded on, and those of them that were answered wrong and that had no
    /// usable answer; nothing for a variant without answers.
    pub fn graded(&self, variant: &str) -> Option<[usize; 3]> {
        let quality = self.quality.get(variant)?;
        Some([self.workload.quality_tasks, quality.wrong.len(), quality.failed.len()])
    }

    /// The stored rounds in the form of measured ones, so that the same code reads both. Only the
    /// first and the last stamp of a request are its own; those between are spread evenly.
    pub fn to_rounds(&self) -> Vec<Round> {
        let mut rounds: BTreeMap<u32, Vec<&StoredRun>> = BTreeMap::new();
        for run in &self.rounds {
            rounds.entry(run.round).or_default().push(run);
        }
        let round = |(round, runs): (u32, Vec<&StoredRun>)| Round {
            round,
            complete: true,
            workers: runs.iter().map(|run| worker(run)).collect(),
            requests: runs.iter().flat_map(|run| self.requests(run)).collect(),
            ..Round::default()
        };
        rounds.into_iter().map(round).collect()
    }

    /// The stored session as a part of a run, as far as it is kept: without prompts' tokens, settings of the
    /// session, and the machine's readings.
    pub fn to_part(&self) -> Part {
        let unknown = || Reading::Unavailable("not kept in a stored session".to_string());
        let workload = &self.workload;
        let names: Vec<String> = self.variants.keys().cloned().collect();
        let rounds = self.to_rounds();
        Part {
            header: Header {
                session: self.session.clone(),
                started: self.started.clone(),
                provenance: Provenance {
                    perfgate: self.perfgate.clone(),
                    git: self.git.clone(),
                    git_unavailable: None,
                    asked: None,
                    config_sha256: String::new(),
                    thresholds_sha256: None,
                },
                environment: Environment {
                    machine: self.machine.clone(),
                    kernel: self.kernel.clone(),
                    governor: unknown(),
                    energy: match &self.energy {
                        Some(energy) => Reading::Available(energy.counted.clone()),
                        None => unknown(),
                    },
                    throttling: unknown(),
                    memory_bytes: 0,
                },
                plan: Plan {
                    only: None,
                    reference: names.first().cloned().unwrap_or_default(),
                    variants: names,
                    rounds: rounds.len() as u32,
                    warmup: 0,
                    tasks: workload.tasks.clone(),
                    prompt_tokens: workload.prompt_tokens,
                    gen_tokens: workload.gen_tokens,
                    seed: 0,
                    sampling: Sampling::default(),
                    labels: BTreeMap::new(),
                    workload_sha256: workload.sha256.clone(),
                    quality: None,
                    fidelity: None,
                    load: None,
                    stopping: None,
                    absent: BTreeMap::new(),
                    idle_ms: None,
                },
                variants: self
                    .variants
                    .iter()
                    .map(|(name, variant)| (name.clone(), variant.asked.clone()))
                    .collect(),
            },
            ended: self.started.clone(),
            resumed: Vec::new(),
            rounds,
            answers: Vec::new(),
            rows: Default::default(),
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

    /// How many stamps [`Stored::to_rounds`] makes at most.
    fn stamps(&self) -> u64 {
        let workload = &self.workload;
        let requests = (workload.tasks.len() as u64 + 1).saturating_mul(self.rounds.len() as u64);
        requests.saturating_mul(u64::from(workload.gen_tokens.max(2)))
    }

    fn requests(&self, run: &StoredRun) -> Vec<Request> {
        let gaps = u64::from(self.workload.gen_tokens.max(2)) - 1;
        let request = |task: &str, first: Option<u64>, last: Option<u64>| {
            let token_ns = match (first, last) {
                (Some(first), Some(last)) => spread(nanos(first), nanos(last), gaps),
                _ => Vec::new(),
            };
            let failure = token_ns.is_empty().then(|| Failure {
                class: FailureClass::Error,
                message: "failed in the stored session".to_string(),
            });
            Request {
                round: run.round,
                slot: 0,
                variant: run.variant.clone(),
                task: task.to_string(),
                attempt: 1,
                phase: Phase::Timed,
                start_ns: 0,
                token_ns,
                prompt_tokens: self.workload.prompt_tokens.unwrap_or(0),
                tokens: Vec::new(),
                energy_uj: None,
                dram_energy_uj: None,
                energy_ns: None,
                failure,
            }
        };
        let at = |values: &[Option<u64>], index: usize| values.get(index).copied().flatten();
        let mut requests: Vec<Request> = Vec::new();
        for (index, task) in self.workload.tasks.iter().enumerate() {
            let mut timed = request(task, at(&run.ttft_us, index), at(&run.latency_us, index));
            timed.energy_uj = at(&run.energy_uj, index);
            requests.push(timed);
        }
        if let (Some(first), Some(task)) = (run.cold_ttft_us, self.workload.tasks.first()) {
            requests.push(Request {
                phase: Phase::ColdStart,
                ..request(task, Some(first), Some(first))
            });
        }
        requests
    }

    /// The file's bytes: JSON with a line for each entry of each list and table of the top level, so
    /// that a diff shows what changed.
    pub fn to_text(&self) -> String {
        let json = serde_json::to_value(self).expect("plain data");
        let mut text = String::from("{");
        for (index, (key, value)) in json.as_object().into_iter().flatten().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(text, "{comma}\n  {}: ", serde_json::json!(key));
            match (key.as_str(), value) {
                ("rounds", serde_json::Value::Array(items)) => {
                    lines(&mut text, '[', ']', items.iter().map(ToString::to_string));
                }
                ("variants" | "quality", serde_json::Value::Object(items)) => {
                    let entry = |(name, value)| format!("{}: {value}", serde_json::json!(name));
                    lines(&mut text, '{', '}', items.iter().map(entry));
                }
                _ => text.push_str(&value.to_string()),
            }
        }
        text.push_str("\n}\n");
        text
    }
}

/// Why the text of a stored session is larger than a repository should carry, and what to do; nothing
/// where it is not.
pub fn too_large(stored: &Stored, text: &str) -> Option<String> {
    if text.len() <= MOST_BYTES {
        return None;
    }
    let size = |json: serde_json::Value| json.to_string().len();
    let rounds = size(serde_json::json!(stored.rounds));
    let most = if rounds >= size(serde_json::json!(stored.quality)) {
        format!(
            "most of it are {} lines, of each round and variant, with {} tasks each: fewer rounds or \
             tasks make it smaller",
            stored.rounds.len(),
            stored.workload.tasks.len()
        )
    } else {
        "most of it are the ids of graded tasks that were not answered right: fewer tasks, or \
         shorter ids, make it smaller"
            .to_string()
    };
    let (kib, limit) = (text.len().div_ceil(1 << 10), MOST_BYTES >> 10);
    Some(format!("{kib} KiB, where a stored session should take {limit} KiB at most; {most}"))
}

/// The mark that the state of a repository makes.
fn of_git(git: Option<&GitState>) -> Option<StoredMark> {
    match git {
        None => Some(StoredMark::NoCommit),
        Some(git) => git.dirty().then_some(StoredMark::Dirty),
    }
}

fn lines(text: &mut String, open: char, close: char, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.map(|item| format!("\n    {item}")).collect();
    let _ = write!(text, "{open}{}\n  {close}", items.join(","));
}

fn quality(part: &Part) -> BTreeMap<String, StoredQuality> {
    let mut quality: BTreeMap<String, StoredQuality> = BTreeMap::new();
    for answer in part.answers.iter().filter(|answer| of_base(&answer.variant).is_none()) {
        let stored = quality.entry(answer.variant.clone()).or_default();
        match answer.grade {
            Grade::Right => {}
            Grade::Wrong => stored.wrong.push(answer.task.clone()),
            Grade::Failed => stored.failed.push(answer.task.clone()),
        }
    }
    quality
}

/// Microseconds of nanoseconds, rounded to the nearest.
fn micros(nanoseconds: u64) -> u64 {
    nanoseconds.saturating_add(500) / 1000
}

/// Nanoseconds of microseconds; a file may hold any number.
fn nanos(microseconds: u64) -> u64 {
    microseconds.saturating_mul(1000)
}

/// Stamps with so many even gaps from the first to the last.
fn spread(first: u64, last: u64, gaps: u64) -> Vec<u64> {
    let span = u128::from(last.saturating_sub(first));
    let share = |gap: u64| (span * u128::from(gap) / u128::from(gaps)) as u64;
    (0..=gaps).map(|gap| first + share(gap)).collect()
}

fn run(round: &Round, variant: &str, tasks: &[String]) -> StoredRun {
    let first = round.workers.iter().find(|w| w.variant == variant && w.attempt == 1);
    let of = |phase: Phase| {
        round.requests.iter().filter(move |r| r.phase == phase && r.variant == variant)
    };
    let timed: BTreeMap<&str, &Request> =
        of(Phase::Timed).map(|request| (request.task.as_str(), request)).collect();
    let by_task = |value: &dyn Fn(&Request) -> Option<u64>| -> Vec<Option<u64>> {
        tasks.iter().map(|task| value(timed.get(task.as_str())?)).collect()
    };
    let energy = by_task(&|request| {
        let joules = request_joules(round, request).ok()?;
        Some((joules * 1e6).round() as u64)
    });
    StoredRun {
        round: round.round,
        variant: variant.to_string(),
        spawn_us: first.and_then(|w| w.hello_ns).map(micros),
        load_us: first.and_then(|w| w.load_ns).map(micros),
        steps_us: first.and_then(|w| w.phases).map(|phases| {
            [phases.library_ns, phases.read_ns, phases.compile_ns].map(|ns| ns.map(micros))
        }),
        cold_ttft_us: of(Phase::ColdStart)
            .next()
            .and_then(|r| r.token_ns.first())
            .map(|ns| micros(*ns)),
        cold_start_us: first.and_then(|w| w.first_token_ns).map(micros),
        memory: round.workers.iter().filter(|w| w.variant == variant).find_map(|w| w.memory),
        memory_loaded: first.and_then(|w| w.memory_loaded),
        serving_peak: first.and_then(|w| w.serving_peak),
        kv_bytes_per_token: first.and_then(|w| w.kv_bytes_per_token),
        model_bytes: first.and_then(|w| w.model_bytes),
        model_cache: first.and_then(|w| w.model_cache),
        ttft_us: by_task(&|request| request.token_ns.first().map(|ns| micros(*ns))),
        latency_us: by_task(&|request| request.token_ns.last().map(|ns| micros(*ns))),
        energy_uj: if energy.iter().any(Option::is_some) { energy } else { Vec::new() },
    }
}

fn worker(run: &StoredRun) -> WorkerRun {
    WorkerRun {
        round: run.round,
        variant: run.variant.clone(),
        attempt: 1,
        hello_ns: run.spawn_us.map(nanos),
        load_ns: run.load_us.map(nanos),
        phases: run.steps_us.map(|steps| {
            let [library_ns, read_ns, compile_ns] = steps.map(|us| us.map(nanos));
            LoadPhases { library_ns, read_ns, compile_ns }
        }),
        first_token_ns: run.cold_start_us.map(nanos),
        memory_loaded: run.memory_loaded,
        serving_peak: run.serving_peak,
        memory: run.memory,
        kv_bytes_per_token: run.kv_bytes_per_token,
        model_bytes: run.model_bytes,
        model_cache: run.model_cache,
        ..WorkerRun::default()
    }
}

/// The folder of a machine class in a store: readable, and with a part of the key's sum, since
/// different keys must not meet.
pub fn class_folder(store: &Path, machine: &MachineClass) -> PathBuf {
    let key = machine.key();
    let words: String = match &machine.finer {
        None => format!("{} {}cpu {}gib", machine.cpu, machine.usable_cpus, machine.memory_gib),
        Some(finer) => {
            format!("{} {} {}gib", machine.cpu, finer.cpus_in_words(), finer.memory_gib)
        }
    }
    .to_lowercase()
    .chars()
    .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
    .collect();
    let words: Vec<&str> = words.split('-').filter(|word| !word.is_empty()).collect();
    let sum = crate::hash::of_bytes(key.as_bytes());
    let version = if machine.finer.is_some() { 2 } else { 1 };
    store.join(format!("v{version}-{}-{}", words.join("-"), &sum[..8]))
}

/// Whether a file of a store, both as paths from one place, is one that perfgate writes: a session, or one
/// that is being written.
pub(super) fn is_stored_file(store: &Path, file: &Path) -> bool {
    let Ok(below) = file.strip_prefix(store) else { return false };
    let parts: Vec<String> =
        below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    match &parts[..] {
        [class, name] => {
            let known = class.starts_with("v1-") || class.starts_with("v2-");
            known && (name.ends_with(".json") || name.starts_with(".perfgate-"))
        }
        _ => false,
    }
}

/// Every stored session, oldest first. A store that is not there is empty.
///
/// # Errors
/// If a file cannot be read or is no stored session.
pub fn load(store: &Path) -> Result<Vec<Stored>> {
    let mut sessions = Vec::new();
    for folder in classes(store)? {
        sessions.extend(of_class(&folder)?.into_iter().map(|(stored, _)| stored));
    }
    sessions.sort_by(|a, b| order(a).cmp(&order(b)));
    Ok(sessions)
}

/// The folders of a store, each of one machine class.
///
/// # Errors
/// If the store cannot be read.
pub fn classes(store: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(store)?.into_iter().filter(|folder| folder.is_dir()).collect())
}

/// The order of sessions in time.
pub fn order(stored: &Stored) -> (&str, &str) {
    (&stored.started, &stored.session)
}

/// The sessions of a class's folder with their files, oldest first.
fn of_class(folder: &Path) -> Result<Vec<(Stored, PathBuf)>> {
    let mut sessions = Vec::new();
    for file in entries(folder)? {
        if file.extension().is_some_and(|extension| extension == "json")
            && let Some(stored) = read(&file)?
        {
            sessions.push((stored, file));
        }
    }
    sessions.sort_by(|(a, _), (b, _)| order(a).cmp(&order(b)));
    Ok(sessions)
}

/// The files of the stored sessions, by name.
///
/// # Errors
/// If a folder cannot be read.
pub fn files(store: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in entries(store)?.into_iter().filter(|folder| folder.is_dir()) {
        let json = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "json");
        files.extend(entries(&folder)?.into_iter().filter(json));
    }
    Ok(files)
}

/// What lies in a folder, by name; nothing for one that is not there.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Problem::io(folder, "read the stored baselines", &error)),
    };
    let mut paths: Vec<PathBuf> = listing.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// What to do about a stored session that cannot be read.
const HELP: &str =
    "restore it with git, or delete it and accept a session anew with `perfgate baseline update`";

/// Reads a stored session; nothing if another process has removed it since it was seen.
fn read(file: &Path) -> Result<Option<Stored>> {
    match std::fs::read_to_string(file) {
        Ok(text) => parse_stored(file, &text).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !file.is_symlink() => {
            Ok(None)
        }
        Err(error) => Err(Problem::io(file, "read the stored session", &error).help(HELP)),
    }
}

/// Reads the text of a stored session. `file` is for complaints.
///
/// # Errors
/// If it is cut, of another version, or no stored session.
pub fn parse_stored(file: &Path, text: &str) -> Result<Stored> {
    let broken = |error: serde_json::Error| {
        Problem::json(file, "is no stored session, or is cut short", &error).help(HELP)
    };
    // The version first: of another one, anything else may differ too.
    let json: serde_json::Value = serde_json::from_str(text).map_err(broken)?;
    match json["format"].as_u64() {
        Some(format) if format != u64::from(FORMAT) && format != u64::from(FORMAT) - 1 => {
            let previous = FORMAT - 1;
            let what =
                format!("is of format {format}, and this perfgate reads {previous} and {FORMAT}");
            Err(Problem::in_file(file, what).help(HELP))
        }
        _ => {
            let stored: Stored = serde_json::from_str(text).map_err(broken)?;
            if stored.stamps() > MOST_STAMPS {
                let what = format!("stands for more than {MOST_STAMPS} tokens");
                return Err(Problem::in_file(file, what).help(HELP));
            }
            Ok(stored)
        }
    }
}

/// Where a session is stored, unless its machine class has as many newer ones as are kept.
///
/// # Errors
/// If it is too old, the store cannot be read, or the session's id, which comes from a file, is no name
/// for one.
pub fn place(store: &Path, session: &Stored, keep: u32) -> Result<PathBuf> {
    let folder = class_folder(store, &session.machine);
    let id = &session.session;
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        let what = format!("cannot hold a session with the id {id:?}: it is no name for a file");
        return Err(
            Problem::in_file(&folder, what).help("store results that perfgate wrote, as they are")
        );
    }
    let newer =
        of_class(&folder)?.iter().filter(|(other, _)| order(other) > order(session)).count();
    if newer >= keep as usize {
        let what = format!("holds enough sessions newer than {id}: {keep} are kept");
        return Err(Problem::in_file(&folder, what)
            .help("store a newer session, or raise keep in [baselines] of perfgate.toml"));
    }
    Ok(folder.join(format!("{id}.json")))
}

/// The files that a class's folder has beyond the newest so many, oldest first.
///
/// Whoever removes them takes nothing from others that write at the same time: what is not among the
/// newest here is not among the newest of more.
///
/// # Errors
/// If the folder cannot be read.
pub fn surplus(class: &Path, keep: u32) -> Result<Vec<PathBuf>> {
    let sessions = of_class(class)?;
    let surplus = sessions.len().saturating_sub(keep as usize);
    Ok(sessions.into_iter().take(surplus).map(|(_, file)| file).collect())
}
