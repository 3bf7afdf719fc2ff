//! Owns the schema of `perfgate.toml`: variants, workload, rounds, deadlines, the reference.

use super::fidelity::{self, Fidelity};
use super::load::{self, Concurrency, Sustained};
use crate::document::{Document, Node, Table, suggestion};
use crate::engine::{Backend, ENGINES};
use crate::problem::{Problem, Result};
use crate::protocol::LoadSpec;
use crate::record::{Sampling, Spending};
use chrono::NaiveDate;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What `perfgate.toml` says, with defaults filled in and paths made absolute or relative to the
/// folder of the file.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of `perfgate.toml`; relative paths in it start here.
    pub folder: PathBuf,
    /// The folder of everything generated.
    pub output: PathBuf,
    /// Name of the reference variant.
    pub reference: String,
    /// The timing workload.
    pub workload: Workload,
    /// The quality pass, if there is one.
    pub quality: Option<Quality>,
    /// The fidelity pass, if there is one.
    pub fidelity: Option<Fidelity>,
    /// The sustained load, if there is one.
    pub sustained: Option<Sustained>,
    /// The loads of several requests at once, if there are any.
    pub concurrency: Option<Concurrency>,
    /// Where accepted sessions are stored.
    pub baselines: Store,
    /// Rounds of a session, at most.
    pub rounds: u32,
    /// How the error is shared out over the looks of a session that ends once its rules are settled; nothing
    /// where every round is run.
    pub stop: Option<Spending>,
    /// Requests of each fresh worker that are not counted, the cold start's among them.
    pub warmup: u32,
    /// How often a variant's worker may be restarted within a round.
    pub restarts: u32,
    /// How long a worker may take.
    pub deadlines: Deadlines,
    /// What is counted as a request's energy.
    pub energy: Energy,
    /// The variants in the order of the file.
    pub variants: Vec<Variant>,
    /// What is let into runs that gate a change, although it is for tests.
    pub allow: Vec<ForTests>,
}

/// What is for tests, and refused where a change is gated unless the base allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForTests {
    /// The engine `scripted`, whose figures are made up.
    Scripted,
    /// The engine `command`, any program.
    Command,
    /// Test switches: `[variants.NAME.test]`.
    Switches,
}

/// The timing workload.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The file of tasks, JSON Lines.
    pub tasks: PathBuf,
    /// Tokens fed per request: prompts are cut or repeated to this length. Missing: as they are.
    pub prompt_tokens: Option<u32>,
    /// Tokens generated per request.
    pub gen_tokens: u32,
    /// Seed of the sampler.
    pub seed: u64,
    /// How tokens are chosen, in the timing workload and the quality pass.
    pub sampling: Sampling,
}

/// The graded tasks and how they are run.
#[derive(Debug, Clone)]
pub struct Quality {
    /// The files of tasks, each with how they are asked.
    pub sets: Vec<TaskSet>,
    /// The variants that answer.
    pub variants: Vec<String>,
    /// Which of the tasks are asked.
    pub sample: TaskSample,
    /// How many tasks are answered together; 1 asks each as it is served.
    pub batch: u32,
    /// Tasks that are asked again, if any are.
    pub again: Again,
}

/// A file of graded tasks and how they are asked.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSet {
    /// The suite of its tasks that name none.
    pub suite: Option<String>,
    /// The file of graded tasks.
    pub tasks: PathBuf,
    /// How they are written.
    pub format: TaskFormat,
    /// The file of answers, where the format has one of its own.
    pub answers: Option<PathBuf>,
    /// A Jinja file around each prompt, such as few-shot examples.
    pub prompt_template: Option<PathBuf>,
    /// Most tokens of an answer.
    pub max_tokens: u32,
    /// Strings that end an answer, beside the model's end of sequence.
    pub stop: Vec<String>,
    /// What becomes of answers to `no_call` that cannot be read.
    pub no_call: NoCallRule,
}

/// What becomes of an answer that must not call a tool, may be meant as a call, and cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NoCallRule {
    /// It has failed.
    #[default]
    Strict,
    /// It is right, as on the Berkeley Function-Calling Leaderboard: there what its reader cannot parse calls nothing.
    Leaderboard,
}

impl NoCallRule {
    /// All rules.
    pub const ALL: [NoCallRule; 2] = [NoCallRule::Strict, NoCallRule::Leaderboard];

    /// The word for it in `perfgate.toml` and in a task.
    pub fn id(self) -> &'static str {
        match self {
            NoCallRule::Strict => "strict",
            NoCallRule::Leaderboard => "leaderboard",
        }
    }
}

/// How a file of graded tasks is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TaskFormat {
    /// As `docs/tasks.md` describes.
    #[default]
    Perfgate,
    /// Questions of the Berkeley Function-Calling Leaderboard, with a second file of answers.
    Bfcl,
    /// Question, choices and gold, as lm-evaluation-harness has them.
    MultipleChoice,
}

impl TaskFormat {
    /// All formats.
    pub const ALL: [TaskFormat; 3] =
        [TaskFormat::Perfgate, TaskFormat::Bfcl, TaskFormat::MultipleChoice];

    /// The word for it in `perfgate.toml`.
    pub fn id(self) -> &'static str {
        match self {
            TaskFormat::Perfgate => "perfgate",
            TaskFormat::Bfcl => "bfcl",
            TaskFormat::MultipleChoice => "multiple-choice",
        }
    }
}

/// Which of the graded tasks are asked: all of them where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskSample {
    /// Tasks of any of these suites.
    pub suites: Vec<String>,
    /// Tasks that carry every one of these tags.
    pub tags: Vec<String>,
    /// So many of them at most: the same ones each time.
    pub limit: Option<u32>,
    /// One of several parts: its number, from 1, and how many there are.
    pub shard: Option<(u32, u32)>,
}

impl TaskSample {
    /// Whether the command line asked for less than the configuration has.
    pub fn is_narrowed(&self) -> bool {
        !self.suites.is_empty() || !self.tags.is_empty() || self.shard.is_some()
    }
}

impl fmt::Display for TaskSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suites = self.suites.iter().map(|suite| format!("suite {suite}"));
        let tags = self.tags.iter().map(|tag| format!("tag {tag}"));
        let limit = self.limit.iter().map(|limit| format!("at most {limit}"));
        let shard = self.shard.iter().map(|(part, of)| format!("part {part} of {of}"));
        f.write_str(&suites.chain(tags).chain(limit).chain(shard).collect::<Vec<_>>().join(", "))
    }
}

/// Tasks that are asked again: whether the same comes out, and how often it is right.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Again {
    /// Tasks of which the same answer is asked for again; none: nothing is said of determinism.
    pub determinism: u32,
    /// Tasks that are asked several times with other seeds.
    pub repeated: u32,
    /// How often those are asked.
    pub times: u32,
    /// How their tokens are chosen; never greedy.
    pub sampling: Sampling,
}

/// Where accepted sessions are stored.
#[derive(Debug, Clone)]
pub struct Store {
    /// The folder.
    pub folder: PathBuf,
    /// The same folder in the work tree, where `folder` lies among the files of a commit.
    pub elsewhere: Option<PathBuf>,
    /// How many sessions of a machine class are kept, the newest.
    pub keep: u32,
}

/// How long a worker may take before it is killed.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// From the spawn to the loaded model.
    pub load: Duration,
    /// For one request.
    pub request: Duration,
}

/// What is counted as a request's energy, where the machine has counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Energy {
    /// For how long idle power is measured before the first round, to be subtracted; nothing where it is kept.
    pub subtract_idle: Option<Duration>,
}

/// The day that templates are told it is unless the configuration says another: what Llama 3.2's template takes where
/// it cannot ask.
pub const CHAT_DATE: NaiveDate = NaiveDate::from_ymd_opt(2024, 7, 26).expect("it is a day");

/// Where a variant's chat template comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChatTemplate {
    /// The model's own if it has one; else prompts are fed as they stand.
    Auto,
    /// Prompts are fed as they stand in the task file.
    None,
    /// The model's own, which it has to have; the one of this name where it has several.
    Model(Option<String>),
    /// A Jinja file.
    File(PathBuf),
}

/// A named model set-up.
#[derive(Debug, Clone)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// The model's folder as the file writes it.
    pub model_as_written: String,
    /// The tokenizer's file.
    pub tokenizer: PathBuf,
    /// The chat template.
    pub chat_template: ChatTemplate,
    /// The day that a template is told it is (`strftime_now`), so that prompts are the same tomorrow.
    pub chat_date: NaiveDate,
    /// What the engine needs.
    pub load: LoadSpec,
    /// SHA-256 that its model has to have, as `perfgate doctor --lock` writes it.
    pub model_sha256: Option<String>,
    /// SHA-256 of each small file that changes answers, by name; where it is there, no other one may be.
    pub files_sha256: Option<BTreeMap<String, String>>,
    /// The version that its runtime library has to have, such as `2026.4.1`.
    pub runtime_version: Option<String>,
    /// How its model is made.
    pub recipe: Option<Recipe>,
    /// Where its model may lie otherwise, of a variant that a commit defines.
    pub elsewhere: Option<PathBuf>,
    /// Whether nothing but the commit's own model will do: what its folder holds by chance may be another's.
    pub must_be_known: bool,
}

/// A command that makes a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The line for the shell.
    pub command: String,
    /// Where it is run.
    pub folder: PathBuf,
}

impl Variant {
    /// What of it is for tests.
    pub fn for_tests(&self) -> Vec<ForTests> {
        let engine = match self.load.engine.as_str() {
            "scripted" => Some(ForTests::Scripted),
            "command" => Some(ForTests::Command),
            _ => None,
        };
        let switches = (self.load.slowdown > 0.0).then_some(ForTests::Switches);
        engine.into_iter().chain(switches).collect()
    }
}

impl ForTests {
    /// The word of `allow`.
    pub fn id(self) -> &'static str {
        match self {
            ForTests::Scripted => "scripted",
            ForTests::Command => "command",
            ForTests::Switches => "test-switches",
        }
    }
}

impl Config {
    /// The variant of a name.
    pub fn variant(&self, name: &str) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.name == name)
    }

    /// Keeps the variants of these names only, in the order of the file.
    ///
    /// # Errors
    /// If there is no variant of a name.
    pub fn keep(&mut self, names: &[String]) -> Result<()> {
        let known = self.names();
        if let Some(name) = names.iter().find(|name| !known.contains(name)) {
            return Err(Problem::new(format!("'{name}' is no variant of perfgate.toml"))
                .help(suggestion(name, &known)));
        }
        self.variants.retain(|variant| names.contains(&variant.name));
        if let Some(quality) = &mut self.quality {
            quality.variants.retain(|name| names.contains(name));
        }
        // Without its reference there is nothing to hold a variant against.
        let reference_stays = names.contains(&self.reference);
        if let Some(fidelity) = &mut self.fidelity {
            fidelity.variants.retain(|name| reference_stays && names.contains(name));
        }
        self.fidelity = self.fidelity.take().filter(|fidelity| !fidelity.variants.is_empty());
        let loads = [
            self.sustained.as_mut().map(|sustained| &mut sustained.variants),
            self.concurrency.as_mut().map(|concurrency| &mut concurrency.variants),
        ];
        loads.into_iter().flatten().for_each(|asked| asked.retain(|name| names.contains(name)));
        Ok(())
    }

    /// Makes the folder of everything generated, if it is not there, and keeps git from seeing it.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make_output(&self) -> Result<()> {
        let output = &self.output;
        if output.exists() {
            return Ok(());
        }
        let problem = |error: std::io::Error| {
            Problem::io(output, "make the folder for results", &error)
                .help("name a writable folder with output = \"FOLDER\" in perfgate.toml")
        };
        std::fs::create_dir_all(output).map_err(problem)?;
        std::fs::write(output.join(".gitignore"), "*\n").map_err(problem)
    }

    /// The names of the variants in the order of the file.
    pub fn names(&self) -> Vec<String> {
        self.variants.iter().map(|variant| variant.name.clone()).collect()
    }
}

/// Reads `perfgate.toml`.
pub(super) fn parse(file: &Path, text: &str) -> Result<Config> {
    let document = Document::new(file, text);
    let parsed = document.parse()?;
    let mut root = document.root(&parsed);
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let output = folder.join(match root.take("output") {
        Some(node) => node.string()?,
        None => ".perfgate".to_string(),
    });
    let workload = workload(root.need("workload")?.table()?, &folder)?;
    let session = session(root.take("session"))?;
    let node = root.need("variants")?;
    let mut variants = Vec::new();
    for (name, node) in node.table()?.into_entries() {
        variants.push(variant(name, &node, &folder, &output)?);
    }
    if variants.is_empty() {
        return Err(node.problem("no variant is defined").help("add one as [variants.NAME]"));
    }
    let reference = reference(root.take("reference"), &variants)?;
    let (quality, fidelity) = match root.take("quality") {
        Some(node) => passes(node.table()?, &folder, &variants, &reference)?,
        None => (None, None),
    };
    let energy = energy(root.take("energy"))?;
    let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
    let sustained =
        root.take("sustained").map(|node| load::sustained(&node, &names)).transpose()?;
    let concurrency = root
        .take("concurrency")
        .map(|node| load::concurrency(&node, &names, workload.seed, file))
        .transpose()?;
    let baselines = store(root.take("baselines"), &folder)?;
    let allow = match root.take("allow") {
        Some(node) => node.list()?.iter().map(|node| node.choice(&ALLOW)).collect::<Result<_>>()?,
        None => Vec::new(),
    };
    root.finish()?;
    Ok(Config {
        folder,
        output,
        reference,
        workload,
        quality,
        fidelity,
        sustained,
        concurrency,
        baselines,
        rounds: session.rounds,
        stop: session.stop,
        warmup: session.warmup,
        restarts: session.restarts,
        deadlines: session.deadlines,
        energy,
        variants,
        allow,
    })
}

const ALLOW: [(&str, ForTests); 3] = [
    ("scripted", ForTests::Scripted),
    ("command", ForTests::Command),
    ("test-switches", ForTests::Switches),
];

fn reference(node: Option<Node<'_>>, variants: &[Variant]) -> Result<String> {
    let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
    node.map_or_else(|| Ok(names[0].to_string()), |node| known_name(&node, &names))
}

fn workload(mut table: Table<'_>, folder: &Path) -> Result<Workload> {
    let tasks = folder.join(table.need("tasks")?.string()?);
    let prompt_tokens = match table.take("prompt_tokens") {
        Some(node) => Some(node.integer(1, 1 << 20)? as u32),
        None => None,
    };
    // Two tokens are the least that has a time after the first one.
    let gen_tokens = match table.take("gen_tokens") {
        Some(node) => node.integer(2, 1 << 20)? as u32,
        None => 32,
    };
    let seed = table.take("seed").map_or(Ok(0), |node| node.integer(0, u64::MAX))?;
    let sampling = sampling(table.take("sampling"))?;
    table.finish()?;
    Ok(Workload { tasks, prompt_tokens, gen_tokens, seed, sampling })
}

/// Greedy, unless a temperature is given.
fn sampling(node: Option<Node<'_>>) -> Result<Sampling> {
    let mut sampling = Sampling::default();
    let Some(node) = node else { return Ok(sampling) };
    let mut table = node.table()?;
    if let Some(node) = table.take("temperature") {
        sampling.temperature = node.number()?;
        if !(0.0..=100.0).contains(&sampling.temperature) {
            return Err(node
                .problem("'temperature' should be between 0 (greedy) and 100")
                .help("usual are values from 0.5 to 1; leave it out for greedy decoding"));
        }
    }
    if let Some(node) = table.take("top_k") {
        sampling.top_k = Some(node.integer(1, u64::from(u32::MAX))? as u32);
    }
    if let Some(node) = table.take("top_p") {
        let p = node.number()?;
        if !(p > 0.0 && p <= 1.0) {
            return Err(node
                .problem("'top_p' is a probability: above 0, at most 1")
                .help("usual is 0.95; leave it out to draw from all tokens"));
        }
        sampling.top_p = Some(p);
    }
    table.finish()?;
    if sampling.is_greedy() && (sampling.top_k.is_some() || sampling.top_p.is_some()) {
        return Err(node
            .problem("'top_k' and 'top_p' do nothing without a temperature")
            .help("add temperature = 0.7, or leave both out for greedy decoding"));
    }
    Ok(sampling)
}

/// The graded tasks and the documents; each may stand alone.
fn passes(
    mut table: Table<'_>,
    folder: &Path,
    variants: &[Variant],
    reference: &str,
) -> Result<(Option<Quality>, Option<Fidelity>)> {
    let node = table.take("fidelity");
    let alone = node.is_some() && table.is_empty();
    let quality = if alone { None } else { Some(quality(table, folder, variants)?) };
    let Some(node) = node else { return Ok((quality, None)) };
    let known: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
    let usual = match &quality {
        Some(quality) => quality.variants.clone(),
        None => known.iter().map(ToString::to_string).collect(),
    };
    let fidelity = fidelity::parse(&node, folder, &known, &usual, reference)?;
    Ok((quality, Some(fidelity)))
}

fn quality(mut table: Table<'_>, folder: &Path, variants: &[Variant]) -> Result<Quality> {
    let defaults = AnswerEnds::take(&mut table, &AnswerEnds { max_tokens: 64, stop: Vec::new() })?;
    let mut sets = Vec::new();
    if let Some(suites) = table.take("suites") {
        for (name, node) in suites.table()?.into_entries() {
            sets.push(task_set(node.table()?, Some(&name), folder, &defaults)?);
        }
        if sets.is_empty() {
            return Err(suites
                .problem("no suite is defined")
                .help("add one as [quality.suites.NAME] with tasks = \"FILE\""));
        }
    }
    if sets.is_empty() || table.has("tasks") {
        let whole = task_set_keys(&mut table, None, folder, &defaults)?;
        sets.insert(0, whole);
    }
    let known: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
    let names = match table.take("variants") {
        None => known.iter().map(ToString::to_string).collect(),
        Some(node) => {
            let asked: Vec<String> =
                node.list()?.iter().map(|node| known_name(node, &known)).collect::<Result<_>>()?;
            // In the order of the file, each once.
            let asked = |name: &&&str| asked.iter().any(|other| other == *name);
            known.iter().filter(asked).map(ToString::to_string).collect()
        }
    };
    let limit = match table.take("limit") {
        Some(node) => Some(node.integer(1, 1 << 20)? as u32),
        None => None,
    };
    let batch = table.take("batch").map_or(Ok(1), |node| node.integer(1, 256))? as u32;
    let again = again(table.take("again"))?;
    table.finish()?;
    let sample = TaskSample { limit, ..TaskSample::default() };
    Ok(Quality { sets, variants: names, sample, batch, again })
}

/// Where answers end; what a suite does not say is what `[quality]` says.
struct AnswerEnds {
    max_tokens: u32,
    stop: Vec<String>,
}

impl AnswerEnds {
    fn take(table: &mut Table<'_>, default: &AnswerEnds) -> Result<AnswerEnds> {
        let max_tokens = match table.take("max_tokens") {
            Some(node) => node.integer(1, 1 << 20)? as u32,
            None => default.max_tokens,
        };
        let stop = match table.take("stop") {
            None => default.stop.clone(),
            Some(node) => node.list()?.iter().map(stop_string).collect::<Result<_>>()?,
        };
        Ok(AnswerEnds { max_tokens, stop })
    }
}

/// `[quality.suites.NAME]`.
fn task_set(
    mut table: Table<'_>,
    name: Option<&str>,
    folder: &Path,
    defaults: &AnswerEnds,
) -> Result<TaskSet> {
    let ends = AnswerEnds::take(&mut table, defaults)?;
    let set = task_set_keys(&mut table, name, folder, &ends)?;
    table.finish()?;
    Ok(set)
}

fn task_set_keys(
    table: &mut Table<'_>,
    name: Option<&str>,
    folder: &Path,
    ends: &AnswerEnds,
) -> Result<TaskSet> {
    let formats = TaskFormat::ALL.map(|format| (format.id(), format));
    let tasks = folder.join(table.need("tasks")?.string()?);
    let file = |node: Option<Node<'_>>| -> Result<Option<PathBuf>> {
        node.map(|node| Ok(folder.join(node.string()?))).transpose()
    };
    Ok(TaskSet {
        suite: name.map(str::to_string),
        tasks,
        format: table
            .take("format")
            .map_or(Ok(TaskFormat::Perfgate), |node| node.choice(&formats))?,
        answers: file(table.take("answers"))?,
        prompt_template: file(table.take("prompt_template"))?,
        max_tokens: ends.max_tokens,
        stop: ends.stop.clone(),
        no_call: table.take("no_call").map_or(Ok(NoCallRule::Strict), |node| {
            node.choice(&NoCallRule::ALL.map(|rule| (rule.id(), rule)))
        })?,
    })
}

/// `[quality.again]`; without it nothing is asked again.
fn again(node: Option<Node<'_>>) -> Result<Again> {
    let mut again = Again {
        times: 5,
        sampling: Sampling { temperature: 0.7, top_k: None, top_p: Some(0.95) },
        ..Again::default()
    };
    let Some(node) = node else { return Ok(again) };
    let mut table = node.table()?;
    if let Some(node) = table.take("determinism") {
        again.determinism = node.integer(0, 1 << 20)? as u32;
    }
    if let Some(node) = table.take("repeated") {
        again.repeated = node.integer(0, 1 << 20)? as u32;
    }
    if let Some(node) = table.take("times") {
        again.times = node.integer(2, 1000)? as u32;
    }
    if let Some(node) = table.take("sampling") {
        again.sampling = sampling(Some(node.clone()))?;
        if again.sampling.is_greedy() {
            return Err(node
                .problem("tasks that are asked again with other seeds need a temperature above 0")
                .help("such as sampling = { temperature = 0.7, top_p = 0.95 }"));
        }
    }
    table.finish()?;
    Ok(again)
}

fn stop_string(node: &Node<'_>) -> Result<String> {
    let text = node.string()?;
    if text.is_empty() {
        return Err(node
            .problem("an empty string would stop before the first token")
            .help("leave it out, or name what ends an answer, such as \"\\n\""));
    }
    Ok(text)
}

pub(super) fn known_name(node: &Node<'_>, known: &[&str]) -> Result<String> {
    let name = node.string()?;
    if known.contains(&name.as_str()) {
        return Ok(name);
    }
    Err(node.problem(format!("'{name}' is no variant of this file")).help(suggestion(&name, known)))
}

fn store(node: Option<Node<'_>>, folder: &Path) -> Result<Store> {
    let mut store = Store { folder: folder.join("baselines"), elsewhere: None, keep: 10 };
    let Some(node) = node else { return Ok(store) };
    let mut table = node.table()?;
    if let Some(node) = table.take("folder") {
        store.folder = folder.join(node.string()?);
    }
    if let Some(node) = table.take("keep") {
        store.keep = node.integer(1, 10_000)? as u32;
    }
    table.finish()?;
    Ok(store)
}

const STOP: [(&str, Option<Spending>); 3] = [
    ("obrien-fleming", Some(Spending::OBrienFleming)),
    ("pocock", Some(Spending::Pocock)),
    ("never", None),
];

struct Session {
    rounds: u32,
    stop: Option<Spending>,
    warmup: u32,
    restarts: u32,
    deadlines: Deadlines,
}

fn session(node: Option<Node<'_>>) -> Result<Session> {
    let mut session = Session {
        // A multiple of 2 and 3: then the order of two or three variants is balanced.
        rounds: 6,
        stop: Some(Spending::OBrienFleming),
        warmup: 2,
        restarts: 2,
        deadlines: Deadlines { load: Duration::from_secs(120), request: Duration::from_secs(120) },
    };
    let Some(node) = node else { return Ok(session) };
    let mut table = node.table()?;
    if let Some(node) = table.take("rounds") {
        session.rounds = node.integer(1, 10_000)? as u32;
    }
    if let Some(node) = table.take("stop") {
        session.stop = node.choice(&STOP)?;
    }
    if let Some(node) = table.take("warmup") {
        session.warmup = node.integer(1, 1000)? as u32;
    }
    if let Some(node) = table.take("restarts") {
        session.restarts = node.integer(0, 1000)? as u32;
    }
    if let Some(node) = table.take("load_deadline") {
        session.deadlines.load = node.duration()?;
    }
    if let Some(node) = table.take("request_deadline") {
        session.deadlines.request = node.duration()?;
    }
    table.finish()?;
    Ok(session)
}

/// `[energy]`: idle power is kept, unless it is to be subtracted.
fn energy(node: Option<Node<'_>>) -> Result<Energy> {
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(600);
    let Some(node) = node else { return Ok(Energy::default()) };
    let mut table = node.table()?;
    let choices = [("keep", false), ("subtract", true)];
    let subtract = table.take("idle").map_or(Ok(false), |node| node.choice(&choices))?;
    let mut time = Duration::from_secs(10);
    if let Some(node) = table.take("idle_time") {
        time = node.duration()?;
        if !(SHORTEST..=LONGEST).contains(&time) {
            return Err(node
                .problem("'energy.idle_time' should be between 1 s and 10 min")
                .help("10 s are usual: ten samples of a second each"));
        }
    }
    table.finish()?;
    Ok(Energy { subtract_idle: subtract.then_some(time) })
}

fn variant(name: String, node: &Node<'_>, folder: &Path, output: &Path) -> Result<Variant> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || !name.chars().all(legal) {
        return Err(node
            .problem(format!(
                "the variant's name '{name}' should be of letters, digits, '.', '_' and '-'"
            ))
            .help("rename it, such as [variants.int8]"));
    }
    let mut table = node.table()?;
    let known: Vec<(&str, Backend)> =
        ENGINES.iter().map(|backend| (backend.id, *backend)).collect();
    let backend = table.need("engine")?.choice(&known)?;
    let model_as_written = match table.take("model") {
        Some(node) => node.string()?,
        None if !backend.has_model => String::new(),
        None => {
            return Err(table
                .problem(format!("variant '{name}' has no 'model'"))
                .help("add model = \"FOLDER\", the folder with the model's files"));
        }
    };
    let model = folder.join(&model_as_written);
    let tokenizer = match table.take("tokenizer") {
        Some(node) => folder.join(node.string()?),
        None => model.join("tokenizer.json"),
    };
    let chat_template = match table.take("chat_template") {
        None => ChatTemplate::Auto,
        Some(node) => match node.string()?.as_str() {
            "auto" => ChatTemplate::Auto,
            "none" => ChatTemplate::None,
            "model" => ChatTemplate::Model(None),
            other => match other.strip_prefix("model:") {
                Some(name) => ChatTemplate::Model(Some(name.to_string())),
                None => ChatTemplate::File(folder.join(other)),
            },
        },
    };
    let chat_date = match table.take("chat_date") {
        None => CHAT_DATE,
        Some(node) => NaiveDate::parse_from_str(&node.string()?, "%Y-%m-%d").map_err(|_| {
            node.problem("'chat_date' is not a day")
                .help("write the day that chat templates are told it is, such as \"2024-07-26\"")
        })?,
    };
    let usable = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = match table.take("threads") {
        Some(node) => node.integer(1, 4096)? as usize,
        None => usable,
    };
    let mut load = LoadSpec {
        engine: backend.id.to_string(),
        model,
        threads,
        root: output.to_path_buf(),
        ..LoadSpec::default()
    };
    (backend.options)(&mut table, folder, &mut load)?;
    if let Some(node) = table.take("test") {
        let mut test = node.table()?;
        if let Some(node) = test.take("slowdown_percent") {
            load.slowdown = node.number()? / 100.0;
            if !(0.0..=1000.0).contains(&load.slowdown) {
                return Err(node
                    .problem("'slowdown_percent' should be between 0 and 100000")
                    .help("write 10 for a variant that is to take a tenth longer"));
            }
        }
        test.finish()?;
    }
    let model_sha256 =
        table.take("model_sha256").map(|node| sha256(&node, "model_sha256")).transpose()?;
    let files_sha256 = table.take("files_sha256").map(|node| files_sha256(&node)).transpose()?;
    let runtime_version = match table.take("runtime_version") {
        None => None,
        Some(node) if !backend.loads_library => {
            return Err(node
                .problem(format!("the engine '{}' loads no runtime library", backend.id))
                .help("leave out runtime_version for this variant"));
        }
        Some(node) => Some(node.string()?),
    };
    let recipe = match table.take("prepare") {
        None => None,
        Some(node) => {
            let (command, folder) = (node.string()?, folder.to_path_buf());
            if command.trim().is_empty() {
                return Err(node.problem("'prepare' is no command").help(
                    "write the line that makes the model, such as \"scripts/export.sh int8\"",
                ));
            }
            Some(Recipe { command, folder })
        }
    };
    table.finish()?;
    let elsewhere = None;
    Ok(Variant {
        name,
        model_as_written,
        tokenizer,
        chat_template,
        chat_date,
        load,
        model_sha256,
        files_sha256,
        runtime_version,
        recipe,
        elsewhere,
        must_be_known: false,
    })
}

fn sha256(node: &Node<'_>, key: &str) -> Result<String> {
    let sum = node.string()?.to_lowercase();
    if sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(sum);
    }
    Err(node
        .problem(format!("'{key}' should be 64 hexadecimal digits"))
        .help("`perfgate doctor --lock` writes it"))
}

/// A sum for each file's name.
fn files_sha256(node: &Node<'_>) -> Result<BTreeMap<String, String>> {
    let entries = node.table()?.into_entries();
    let sum = |(name, node): (String, Node<'_>)| {
        let sum = sha256(&node, &format!("files_sha256.{name}"))?;
        Ok((name, sum))
    };
    entries.into_iter().map(sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORTEST: &str = r#"
[workload]
tasks = "tasks.jsonl"

[variants.fp16]
engine = "openvino"
model = "models/fp16"

[variants.int8]
engine = "openvino"
model = "models/int8"
properties = { KV_CACHE_PRECISION = "f16", INFERENCE_NUM_THREADS = 2, ENABLE_CPU_PINNING = true }
"#;

    fn read(text: &str) -> Result<Config> {
        parse(Path::new("dir/perfgate.toml"), text)
    }

    #[test]
    fn the_shortest_file_gets_defaults() {
        let config = read(SHORTEST).unwrap();
        assert_eq!(config.reference, "fp16", "the first variant");
        assert_eq!(config.names(), ["fp16", "int8"]);
        assert!(config.workload.tasks.ends_with("dir/tasks.jsonl"));
        let int8 = &config.variant("int8").unwrap().load;
        assert!(int8.model.ends_with("dir/models/int8"));
        assert_eq!(int8.properties["ENABLE_CPU_PINNING"], "YES");
        assert_eq!(int8.properties["INFERENCE_NUM_THREADS"], "2");
        assert_eq!(config.rounds, 6);
        assert_eq!(config.energy.subtract_idle, None, "idle power is kept");
    }

    #[test]
    fn idle_power_is_subtracted_where_that_is_asked_for() {
        let idle = |keys: &str| {
            let text = SHORTEST.replace("[workload]", &format!("[energy]\n{keys}\n[workload]"));
            read(&text).unwrap().energy.subtract_idle
        };
        assert_eq!(idle("idle = \"keep\"\nidle_time = \"3s\""), None);
        assert_eq!(idle("idle = \"subtract\""), Some(Duration::from_secs(10)));
        assert_eq!(idle("idle = \"subtract\"\nidle_time = \"3s\""), Some(Duration::from_secs(3)));
    }

    #[test]
    fn complaints_name_the_place_and_the_remedy() {
        let cases = [
            (
                SHORTEST.replace("engine", "engin"),
                "5:1: the key 'engine' is missing in [variants.fp16]",
            ),
            (
                format!("refrence = \"x\"\n{SHORTEST}"),
                "1:1: unknown key 'refrence' here\n  help: did you mean 'reference'?",
            ),
            (
                format!("reference = \"int4\"\n{SHORTEST}"),
                "1:13: 'int4' is no variant of this file\n  help: did you mean 'int8'?",
            ),
            (
                SHORTEST.replace("[workload]", "[session]\nrounds = 0\n[workload]"),
                "3:10: 'session.rounds' is 0; it should be between 1 and 10000",
            ),
            (
                SHORTEST.replace("[workload]", "[energy]\nidle = \"sub\"\n[workload]"),
                "3:8: 'energy.idle' cannot be 'sub'",
            ),
            (
                SHORTEST.replace("[workload]", "[energy]\nidle_time = \"1ms\"\n[workload]"),
                "3:13: 'energy.idle_time' should be between 1 s and 10 min\n  help: 10 s are usual",
            ),
            (
                SHORTEST.replace("[workload]", "[session]\nload_deadline = \"soon\"\n[workload]"),
                "3:17: 'session.load_deadline' is 'soon', which is no duration",
            ),
            (
                SHORTEST.replacen("\"openvino\"", "\"openvin\"", 1),
                "6:10: 'variants.fp16.engine' cannot be 'openvin'\n  help: did you mean 'openvino'?",
            ),
            (SHORTEST.replacen("\"openvino\"", "\"openvino", 1), "6:"),
            (
                SHORTEST.replace("model = \"models/fp16\"", "dtype = \"f16\"\nmodel = \"m\""),
                "7:1: unknown key 'dtype' in [variants.fp16]",
            ),
        ];
        for (text, expected) in cases {
            let problem = read(&text).expect_err(expected).to_string();
            assert!(problem.starts_with("dir/perfgate.toml:"), "{problem}");
            assert!(problem.contains(expected), "wanted {expected:?} in:\n{problem}\nof\n{text}");
        }
    }
}
