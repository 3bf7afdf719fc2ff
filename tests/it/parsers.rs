//! Holds every parser to three promises, whatever it is given: it neither panics nor hangs, a
//! complaint names the file, and what it accepts can be used, written and read again.
//!
//! `PROPTEST_CASES=1000000 cargo test --release --test it parsers` raises the number of inputs of
//! each parser from some hundreds; judging and rendering take a twentieth of them.

use crate::damage::{Text, inputs};
use perfgate::baseline::{self, Stored, StoredMark, StoredVerdict, Stores, parse_stored};
use perfgate::config::TaskFormat as Format;
use perfgate::config::{self, Config, Setup, Source};
use perfgate::metric::METRICS;
use perfgate::problem::{Problem, Result};
use perfgate::protocol::{self, Arrivals, Command, GiveUp, Job, LoadSpec, Order, Reply, Served};
use perfgate::record::{
    Answer, ConcurrencyPlan, Conditions, EngineInfo, Entry, Failure, FailureClass, Frequency,
    GitState, Grade, IdlePower, IdleSample, JournalLine, Labels, Load, LoadKind, LoadPhases,
    LoadPlan, LoadRequest, MemoryUse, Part, QualityPlan, Reading, Results, Starved, SustainedPlan,
    Throttled, Told, VerdictKind,
};
use perfgate::report::{self, FORMATS, Style};
use perfgate::session::{self, parse_journal, parse_results};
use perfgate::workload::{self, GradedTask, parse_graded, parse_tasks};
use perfgate::{record, verdict};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestError, TestRunner};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What every parser is told that it reads.
const FILE: &str = "some/file";

/// Longest that one input may take. A healthy one takes milliseconds; machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs a property on as many inputs as are asked for, or so many.
fn hold(few: u32, share: u32, samples: Vec<String>, property: impl Fn(&str) -> bool) {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse::<u32>().ok());
    let cases = asked.map_or(few, |asked| (asked / share).max(1));
    let config = Cases {
        cases,
        // What is found becomes a named case below.
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Cases::default()
    };
    for sample in &samples {
        assert!(property(sample), "the sample is valid: {sample}");
    }
    let (begin, accepted) = (Instant::now(), std::cell::Cell::new(0u32));
    let outcome = TestRunner::new(config).run(&inputs(samples), |Text(text)| {
        let start = Instant::now();
        accepted.set(accepted.get() + u32::from(property(&text)));
        prop_assert!(start.elapsed() < PATIENCE, "took {:?}", start.elapsed());
        Ok(())
    });
    match outcome {
        Ok(()) => {
            let (accepted, time) = (accepted.get(), begin.elapsed());
            let name = std::thread::current().name().unwrap_or_default().to_string();
            println!("{name}: {cases} inputs, {accepted} accepted, {time:.1?}");
        }
        Err(TestError::Fail(why, Text(text))) => panic!("{why}\nfor the input:\n{text}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// Whether it was accepted; a complaint has to name the file.
fn accepted<T>(result: Result<T>) -> Option<T> {
    result.map_err(|Problem { file, .. }| assert_eq!(file.as_deref(), Some(FILE))).ok()
}

// The samples.

/// Two texts: the one that is tested under the name of all, the other under any.
struct Files<'a> {
    tested: &'a str,
    other: &'a str,
}

impl Source for Files<'_> {
    fn read(&self, path: &Path) -> Result<String> {
        let text = if path == Path::new(FILE) { self.tested } else { self.other };
        Ok(text.to_string())
    }
}

const CONFIG: &str = r#"
reference = "base"
output = "out"
[workload]
tasks = "t.jsonl"
prompt_tokens = 128
gen_tokens = 5
seed = 42
sampling = { temperature = 0.7, top_k = 40, top_p = 0.95 }
[quality]
tasks = "q.jsonl"
prompt_template = "q.jinja"
max_tokens = 48
stop = ["\n"]
variants = ["base", "other"]
[baselines]
folder = "b"
keep = 10
[session]
rounds = 6
warmup = 2
restarts = 2
load_deadline = "120s"
request_deadline = "2min 30s"
[variants.base]
engine = "scripted"
chat_template = "none"
script = { load_ms = 1.5, jitter = 0.1, faults = [{ kind = "crash", request = 3, token = 2 }], answers = [{ to = "a", say = "b" }] }
test = { slowdown_percent = 10 }
[variants.other]
engine = "openvino"
model = "models/int8"
runtime = "lib"
threads = 2
properties = { KV_CACHE_PRECISION = "f16", N = 2, P = true }
[variants.candle]
engine = "candle"
model = "models/fp16"
tokenizer = "tokenizer.json"
dtype = "f32"
"#;

const THRESHOLDS: &str = r#"
false_alarms = "1%"
[policy]
inconclusive = "block"
no-baseline = "inform"
[defaults]
variant = "other"
against = "base"
evidence = "safety"
severity = "inform"
[rules]
throughput = "5%"
accuracy = "1pt"
task_failure_rate = { max = "2%" }
failure_rate = "0.1%"
fails = { metric = "failure_rate", limit = "1pt", severity = "gate" }
ttft = { statistic = "median", limit = "10%", evidence = "regression", severity = "gate" }
itl = { statistic = "p90", limit = "10%" }
steady = { metric = "latency", statistic = "cv", max = "10%", variants = ["base", "other"] }
p99 = { metric = "latency", statistic = "p99", max = "1500 ms", severity = "gate" }
tail = { metric = "latency", statistic = "p99_over_p50", max = "3x" }
memory = { max = "2 GiB", evidence = "point" }
cold_start = "10%"
energy_per_token = "5%"
some = { metric = "latency", limit = "5%", tags = ["x"] }
stored = { metric = "latency", against = "baseline", limit = "20%" }
ratio = { metric = "latency", against = "baseline", relative_to = "base", limit = "5%" }
shares = { metric = "accuracy", against = "baseline", limit = "1pt" }
failed = { metric = "failure_rate", against = "baseline", limit = "1pt" }
[scenarios."our chat"]
about = "people wait"
requires = { accuracy = "1pt", few = { metric = "memory", max = "2 GiB", evidence = "safety" } }
weights = { ttft = 3, latency-p90 = 2.5, accuracy = 1 }
"#;

fn read_setup(config: &str, thresholds: &str) -> Result<Setup> {
    let files = Files { tested: thresholds, other: config };
    config::read(&files, Path::new("perfgate.toml"), Some(Path::new(FILE)))
}

fn setup() -> Setup {
    read_setup(CONFIG, THRESHOLDS).unwrap()
}

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// A session with something in every place of the format.
fn rich_part() -> &'static Part {
    static PART: OnceLock<Part> = OnceLock::new();
    PART.get_or_init(make_rich_part)
}

fn make_rich_part() -> Part {
    let results = parse_results(Path::new(FILE), &data("results-v2.json")).unwrap();
    let mut part = results.parts.into_iter().next().unwrap();
    part.resumed.push("2026-11-23T05:00:00Z".to_string());
    let header = &mut part.header;
    header.provenance.git = Some(GitState {
        commit: "0123456789abcdef0123456789abcdef01234567".to_string(),
        branch: Some("main".to_string()),
        modified: 1,
        untracked: 2,
    });
    header.environment.energy = Reading::Available("2 packages".to_string());
    let plan = &mut header.plan;
    plan.prompt_tokens = Some(13);
    plan.sampling.temperature = 0.7;
    let labels = Labels { suite: Some("s".to_string()), tags: vec!["x".to_string()] };
    plan.labels.insert("t1".to_string(), labels.clone());
    let graded: Vec<String> = (0..3).map(|index| format!("g{index}")).collect();
    plan.quality = Some(QualityPlan {
        tasks: graded.clone(),
        variants: plan.variants.clone(),
        max_tokens: 8,
        stop: vec!["\n".to_string()],
        labels: [("g0".to_string(), labels)].into(),
        sha256: "ab".repeat(32),
        ..QualityPlan::default()
    });
    for variant in header.variants.values_mut() {
        variant.options.insert("dtype".to_string(), "f16".to_string());
        variant.properties.insert("P".to_string(), "YES".to_string());
    }
    let failure = Failure { class: FailureClass::Malformed, message: "no JSON".to_string() };
    let variants = part.header.plan.variants.clone();
    for (variant, task) in variants.iter().flat_map(|v| graded.iter().map(move |g| (v, g))) {
        let failed = variant == "other" && task == "g1";
        part.answers.push(Answer {
            variant: variant.clone(),
            task: task.clone(),
            prompt_tokens: 4,
            tokens: vec![1, 2],
            text: "an answer".to_string(),
            cached: task == "g2",

            log_likelihoods: vec![],
            reason: None,
            grade: if failed { Grade::Failed } else { Grade::Right },
            failure: failed.then(|| failure.clone()),
        });
    }
    for round in &mut part.rounds {
        for request in &mut round.requests {
            request.energy_uj = Some(2_000_000);
            request.dram_energy_uj = Some(300_000);
            request.energy_ns = Some(50_000_000);
        }
        round.idle_watts = Some(7.5);
        round.conditions = Some(Conditions {
            throttled: Told::Available(Throttled { core: Some(2), package: None }),
            frequency: Told::Available(Frequency { cpus: 2, mean_khz: vec![2_100_000, 3_000_000] }),
            quota: Some(Told::Available(Starved {
                cpus_milli: 1_500,
                periods: 40,
                throttled: 3,
                throttled_ns: 9_000_000,
            })),
        });
        if let Some(last) = round.requests.last_mut() {
            last.failure = Some(Failure { class: FailureClass::Crash, ..failure.clone() });
            last.token_ns.clear();
        }
    }
    let sample = IdleSample { ns: 1_000_000_000, package_uj: 7_000_000, dram_uj: Some(500_000) };
    let power = IdlePower { watts: 7.5, sd_watts: 0.1, samples: vec![sample; 2] };
    part.header.plan.idle_ms = Some(2_000);
    part.idle = vec![Told::Unavailable("a counter vanished".to_string()), Told::Available(power)];
    put_under_load(&mut part);
    part
}

/// Every kind of load, once, with a request that failed.
fn put_under_load(part: &mut Part) {
    let variants = part.header.plan.variants.clone();
    part.header.plan.load = Some(LoadPlan {
        sustained: Some(SustainedPlan {
            variants: variants.clone(),
            blocks: 1,
            block_seconds: 2.0,
        }),
        concurrency: Some(ConcurrencyPlan {
            variants: variants.clone(),
            streams: vec![2],
            seconds: 2.0,
            rates: vec![3.5],
            servers: 2,
            seed: 1,
            p99: Some(0.5),
            search_seconds: Some(60.0),
        }),
    });
    let failure = Failure { class: FailureClass::NonFinite, message: "NaN".to_string() };
    let request = |place: u64| LoadRequest {
        task: "t1".to_string(),
        stream: 1,
        arrival_ns: place,
        start_ns: 2 * place,
        token_ns: if place == 3 { vec![] } else { vec![5, 10 + place] },
        tokens: if place == 3 { vec![] } else { vec![1, 2] },
        failure: (place == 3).then(|| failure.clone()),
    };
    let memory = Some(MemoryUse { peak_rss: 9, rss_anon: 5, rss_file: 2 });
    let kinds = [LoadKind::Sustained, LoadKind::Closed, LoadKind::Open, LoadKind::Probe];
    for (variant, kind) in variants.iter().flat_map(|name| kinds.map(|kind| (name, kind))) {
        let open = matches!(kind, LoadKind::Open | LoadKind::Probe);
        part.load.push(Load {
            variant: variant.clone(),
            kind,
            number: 1,
            streams: 2,
            rate: open.then_some(3.5),
            arrivals: open.then_some(4),
            pid: 7,
            engine: Some(EngineInfo::default()),
            warmup: 4,
            start_ns: 17,
            requests: (0..4).map(request).collect(),
            memory_before: memory,
            memory_after: memory,
            failure: None,
        });
    }
}

/// Results of both formats: as two releases wrote them, and one that is rich.
fn results_samples() -> Vec<String> {
    let setup = setup();
    let stored = Stores::from(stored_sessions());
    let rich = session::judged(vec![rich_part().clone()], &setup, &[], &stored);
    vec![data("results-v1.json"), data("results-v2.json"), written(&rich)]
}

/// As many stored sessions as decide.
fn stored_sessions() -> Vec<Stored> {
    (0..3)
        .map(|index| {
            let mut stored = Stored::from_part(rich_part());
            stored.session = format!("20261123T04481{index}Z-398d");
            stored.verdict = Some(StoredVerdict {
                outcome: "holds".to_string(),
                rules: BTreeMap::from([("latency".to_string(), VerdictKind::Pass)]),
            });
            stored.marks = vec![StoredMark::Dirty, StoredMark::OverRegression];
            stored
        })
        .collect()
}

fn written(results: &Results) -> String {
    serde_json::to_string(results).unwrap()
}

/// The journal of a session.
fn journal(part: &Part) -> String {
    let mut entries = vec![Entry::Session {
        format: record::JOURNAL_FORMAT,
        header: Box::new(part.header.clone()),
    }];
    for round in part.rounds.iter().take(1) {
        entries.extend(part.idle.iter().cloned().map(|power| Entry::Idle { power }));
        entries.push(Entry::RoundStart { round: round.round });
        entries.push(Entry::Spawn { round: 1, variant: "base".into(), attempt: 1, pid: 7 });
        entries.extend(round.requests.iter().cloned().map(Entry::Request));
        entries.extend(round.workers.iter().cloned().map(Entry::Worker));
        let conditions = round.conditions.clone();
        let conditions =
            conditions.map(|it| Entry::Conditions { round: round.round, conditions: it });
        entries.extend(conditions);
        entries.push(Entry::RoundEnd { round: round.round, complete: round.complete });
    }
    entries.push(Entry::Resume { at: "2026-11-23T05:00:00Z".to_string() });
    entries.extend(part.answers.iter().cloned().map(Entry::Answer));
    entries.extend(part.load.iter().cloned().map(Entry::Load));
    entries.push(Entry::SessionEnd { rounds: 1, interrupted: false });
    lines(entries.iter().map(|entry| line(&part.header.session, entry)))
}

fn line(session: &str, entry: &Entry) -> String {
    let line = JournalLine { session: session.to_string(), entry: entry.clone() };
    serde_json::to_string(&line).unwrap()
}

fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

// The properties.

/// Writes what was accepted and reads it back: no difference, told by the bytes, since NaN is not
/// equal to itself.
fn reads_back<T>(value: &T, write: impl Fn(&T) -> String, read: impl Fn(&str) -> Result<T>) {
    let text = write(value);
    let again = read(&text).unwrap_or_else(|problem| panic!("{problem}\nfor what was written"));
    assert_eq!(write(&again), text, "what was written reads back");
}

/// Judges results with everything that they can be held against, and renders what comes of it.
fn judge_and_render(results: &Results, setup: &Setup, stored: &Stores) {
    render(results);
    let thresholds = setup.thresholds.as_ref().unwrap();
    let mut across = thresholds.clone();
    let earlier = [rich_part().clone()];
    across.rules = verdict::against_earlier(&thresholds.rules, &results.parts);
    let with = |thresholds| Setup { thresholds, ..setup.clone() };
    let parts = || results.parts.clone();
    for judged in [
        session::judged(parts(), &with(None), &[], &Stores::default()),
        session::judged(parts(), setup, &[], stored),
        session::judged(parts(), &with(Some(across.clone())), &results.parts, stored),
        session::judged(earlier.to_vec(), &with(Some(across)), &results.parts, stored),
    ] {
        reads_back(&judged, written, |text| parse_results(Path::new(FILE), text));
        render(&judged);
    }
    for part in &results.parts {
        let _ = session::fits(&earlier, &part.header);
        use_stored(&Stored::from_part(part));
    }
}

fn render(results: &Results) {
    let report = report::build(results);
    for format in FORMATS {
        for (color, verbose) in [(false, true), (true, false)] {
            let text = (format.render)(&report, Style { color, verbose });
            assert!(text.ends_with('\n'), "{} ends with a line's end", format.id);
            assert!(format.id != "markdown" || !text.contains("<script"), "markup passed through");
        }
    }
}

/// Everything that is done with a stored session.
fn use_stored(stored: &Stored) {
    reads_back(stored, Stored::to_text, |text| parse_stored(Path::new(FILE), text));
    stored.to_rounds();
    let _ = baseline::class_folder(Path::new("store"), &stored.machine);
    let other = &stored_sessions()[0];
    for sheet in [
        report::of_stored(stored),
        report::of_two_stored(stored, other),
        report::of_two_stored(other, stored),
    ] {
        for format in FORMATS {
            let Some(render) = format.sheet else { continue };
            assert!(render(&sheet, Style::default()).ends_with('\n'), "{}", format.id);
        }
    }
    let part = rich_part();
    for metric in METRICS.iter().copied() {
        for relative_to in [None, Some(["other", "base"]), Some(["other", "nobody"])] {
            baseline::differences(part, stored, metric, relative_to);
        }
    }
}

#[test]
fn perfgate_toml() {
    hold(300, 1, vec![CONFIG.to_string()], |text| {
        let files = Files { tested: text, other: "" };
        let Some(config) = accepted(config::read_config(&files, Path::new(FILE))) else {
            return false;
        };
        usable(&config);
        true
    });
}

/// What the session does first with a configuration.
fn usable(config: &Config) {
    assert!(config.variant(&config.reference).is_some());
    for deadline in [config.deadlines.load, config.deadlines.request] {
        assert!(Instant::now().checked_add(deadline).is_some(), "{deadline:?} has an end");
    }
    for variant in &config.variants {
        if let Ok(model) = session::inspect_model(variant) {
            session::variant_record(variant, &model).ok();
        }
        let script = variant.load.options.get("script");
        for load_ms in script.into_iter().filter_map(|script| script["load_ms"].as_f64()) {
            assert!(Duration::try_from_secs_f64(load_ms / 1e3).is_ok(), "{load_ms} ms pass");
        }
    }
}

#[test]
fn thresholds_toml() {
    hold(300, 1, vec![THRESHOLDS.to_string()], |text| read_thresholds(text).is_some());
}

/// Reads rules on the variants of the configuration above.
fn read_thresholds(text: &str) -> Option<Setup> {
    accepted(read_setup(CONFIG, text))
}

#[test]
fn results_are_judged_by_any_rules() {
    let stored = Stores::from(stored_sessions());
    hold(100, 20, vec![THRESHOLDS.to_string()], |text| {
        let Some(setup) = read_thresholds(text) else { return false };
        render(&session::judged(vec![rich_part().clone()], &setup, &[], &stored));
        true
    });
}

#[test]
fn timing_tasks() {
    let sample = lines([
        json!({"id": "t1", "prompt": "Say it."}).to_string(),
        json!({"id": "t2", "system": "Be brief.", "prompt": "é", "suite": "s", "tags": ["x"]})
            .to_string(),
    ]);
    hold(500, 1, vec![sample], |text| {
        let Some(tasks) = accepted(parse_tasks(Path::new(FILE), text)) else { return false };
        for task in &tasks {
            workload::request_seed(0, &task.id);
        }
        !tasks.is_empty()
    });
}

#[test]
fn graded_tasks() {
    hold(500, 1, vec![graded_sample()], |text| {
        let Some(tasks) = accepted(parse_graded(Path::new(FILE), text)) else { return false };
        tasks.iter().for_each(|task| grade_any(task, text));
        !tasks.is_empty()
    });
}

/// A task for each grader.
fn graded_sample() -> String {
    let call = json!({"name": "hotel", "arguments": {"city": "Oslo", "count": 14}});
    let tools = json!([{"name": "f", "parameters": {"properties": {"x": {"type": "array", "items": {"type": "float"}}}, "required": ["x"]}}]);
    let graders = [
        ("exact", json!("y")),
        ("normalized", json!(["Oslo", "Oslo, Norway"])),
        ("regex", json!("(?i)yes|no+")),
        ("numeric", json!({"value": 42, "tolerance": 0.5, "relative": 0.01, "pick": "first"})),
        (
            "json_schema",
            json!({"schema": {"type": "object", "required": ["a"]}, "equals": {"a": 1}}),
        ),
        ("tool_call", call),
        (
            "tool_calls",
            json!({"calls": [{"f": {"x": [[1.5], ""]}}], "ordered": true, "tools": tools}),
        ),
        ("no_call", json!(["none"])),
        ("choice", json!({"choices": ["a", "b"], "gold": 1, "normalize": "bytes"})),
    ];
    lines(graders.map(|(grader, expect)| {
        let task =
            json!({"id": grader, "prompt": "x", "suite": "s", "grader": grader, "expect": expect});
        task.to_string()
    }))
}

/// Any text may be an answer, a file of tasks too.
fn grade_any(task: &GradedTask, text: &str) {
    let written = "[é(x=[1, -2.5], y={'k': (None, r'\\')}), f(x=g(1))]";
    for answer in [text, "{\"name\": \"é\", \"arguments\": \"{}\"}", written] {
        let outcome = workload::grade(&task.expectation, answer);
        assert_eq!(outcome.failure.is_some(), outcome.grade == Grade::Failed);
    }
}

#[test]
fn tasks_in_the_formats_of_others() {
    let choice = json!({"id": "a", "question": "q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"});
    let questions = include_str!("../data/bfcl/questions.jsonl").to_string();
    let answers = include_str!("../data/bfcl/answers.jsonl").to_string();
    let of_bfcl = |questions: &str, answers: &str| {
        let answers = Some((Path::new(FILE), answers));
        accepted(workload::read_tasks(Format::Bfcl, Path::new(FILE), questions, answers))
    };
    hold(200, 1, vec![choice.to_string(), questions.clone(), answers.clone()], |text| {
        let choices = workload::read_tasks(Format::MultipleChoice, Path::new(FILE), text, None);
        let choices = accepted(choices);
        let (asked, answered) = (of_bfcl(text, &answers), of_bfcl(&questions, text));
        let read: Vec<_> = [choices, asked, answered].into_iter().flatten().flatten().collect();
        read.iter().for_each(|task| grade_any(task, text));
        !read.is_empty()
    });
}

#[test]
fn journals() {
    let session = &rich_part().header.session;
    let sample = journal(rich_part());
    let known: BTreeSet<&str> = sample.lines().collect();
    hold(200, 1, vec![sample.clone()], |text| {
        for one in text.lines().filter(|line| !known.contains(line)) {
            if let Ok(read) = serde_json::from_str::<JournalLine>(one) {
                let text = serde_json::to_string(&read).unwrap();
                let again: JournalLine = serde_json::from_str(&text).unwrap();
                assert_eq!(serde_json::to_string(&again).unwrap(), text);
            }
        }
        let Some(recorded) = accepted(parse_journal(Path::new(FILE), text)) else { return false };
        let header = Box::new(recorded.header);
        let first = line(session, &Entry::Session { format: record::JOURNAL_FORMAT, header });
        accepted(parse_journal(Path::new(FILE), &(first + "\n"))).expect("its own header");
        true
    });
}

#[test]
fn results() {
    hold(150, 1, results_samples(), |text| {
        let path = Path::new(FILE);
        let Some(results) = accepted(parse_results(path, text)) else { return false };
        reads_back(&results, written, |text| parse_results(path, text));
        true
    });
}

#[test]
fn results_are_judged_and_rendered() {
    let (setup, stored) = (setup(), Stores::from(stored_sessions()));
    hold(100, 20, results_samples(), |text| {
        let Some(results) = accepted(parse_results(Path::new(FILE), text)) else { return false };
        judge_and_render(&results, &setup, &stored);
        true
    });
}

#[test]
fn stored_baselines() {
    let samples = stored_sessions().iter().take(1).map(Stored::to_text).collect();
    hold(150, 1, samples, |text| {
        let Some(stored) = accepted(parse_stored(Path::new(FILE), text)) else { return false };
        use_stored(&stored);
        true
    });
}

#[test]
fn cold_starts() {
    let samples = vec![serde_json::to_string(&crate::start::sample("a", "b")).unwrap()];
    hold(100, 1, samples, |text| {
        let Some(starts) = accepted(session::parse_starts(Path::new(FILE), text)) else {
            return false;
        };
        let again = serde_json::to_string(&starts).unwrap();
        assert_eq!(session::parse_starts(Path::new(FILE), &again).unwrap(), starts);
        let sheet = perfgate::report::of_starts(&starts);
        let sheets = perfgate::report::FORMATS.iter().filter_map(|format| format.sheet);
        sheets.for_each(|render| assert!(!render(&sheet, Style::default()).is_empty()));
        true
    });
}

#[test]
fn results_are_held_against_any_baseline() {
    let setup = setup();
    let samples = stored_sessions().iter().take(1).map(Stored::to_text).collect();
    let [good, more, _] = <[Stored; 3]>::try_from(stored_sessions()).unwrap();
    hold(100, 20, samples, |text| {
        let Some(stored) = accepted(parse_stored(Path::new(FILE), text)) else { return false };
        for stored in [vec![stored.clone()], vec![stored, good.clone(), more.clone()]] {
            let stored = Stores::from(stored);
            render(&session::judged(vec![rich_part().clone()], &setup, &[], &stored));
        }
        true
    });
}

#[test]
fn protocol_messages() {
    let order = Order { prompt: vec![1, 2], tokens: 3, stop: vec![4], ..Order::default() };
    let spec = LoadSpec { engine: "scripted".into(), threads: 2, ..LoadSpec::default() };
    let failure = Failure { class: FailureClass::Error, message: "no".into() };
    let give_up = Some(GiveUp { limit_ns: 5, late: 2 });
    let arrivals = Arrivals::Open { due_ns: vec![1, 2], patience_ns: 7, give_up };
    let served = Served { index: 1, stream: 1, arrival_ns: 2, start_ns: 3, ..Served::default() };
    let commands = [
        Command::Load { id: 1, spec: Box::new(spec) },
        Command::Generate { id: 2, order: order.clone() },
        Command::Serve { id: 4, job: Box::new(Job { orders: vec![order], streams: 2, arrivals }) },
    ];
    let replies = [
        Reply::Hello { protocol: protocol::VERSION, capabilities: vec!["load".into()] },
        Reply::Loaded {
            id: 1,
            load_ns: 5,
            phases: LoadPhases { read_ns: Some(2), ..LoadPhases::default() },
            model_cache: None,
            engine: Box::default(),
        },
        Reply::Generated { id: 2, start_ns: 1, token_ns: vec![1, 2], tokens: vec![3, 4] },
        Reply::Served { id: 4, start_ns: 9, requests: vec![served] },
        Reply::Failed { id: 3, failure, fatal: true },
    ];
    let mut samples = Vec::new();
    commands.iter().for_each(|command| samples.push(message(command)));
    replies.iter().for_each(|reply| samples.push(message(reply)));
    hold(500, 1, samples, |text| {
        let (commands, replies) = (messages::<Command>(text), messages::<Reply>(text));
        commands + replies > 0
    });
}

fn message<T: serde::Serialize>(message: &T) -> String {
    let mut bytes = Vec::new();
    protocol::send(&mut bytes, message).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// How many messages a stream holds; each reads back as it is written.
fn messages<T>(text: &str) -> usize
where
    T: serde::Serialize + for<'de> serde::Deserialize<'de>,
{
    let mut stream = text.as_bytes();
    let mut count = 0;
    loop {
        match protocol::receive::<T>(&mut stream) {
            Ok(None) => return count,
            Ok(Some(read)) => {
                let text = message(&read);
                let again: T = protocol::receive(&mut text.as_bytes()).unwrap().unwrap();
                assert_eq!(message(&again), text);
                count += 1;
            }
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::InvalidData),
        }
    }
}

// What was found once.

/// A stored session with one text replaced.
fn stored_with(from: &str, to: &str) -> Result<Stored> {
    let text = stored_sessions()[0].to_text();
    assert!(text.contains(from), "{from} in {text}");
    parse_stored(Path::new(FILE), &text.replace(from, to))
}

#[test]
fn a_sum_of_other_characters_is_cut_between_them() {
    use_stored(&stored_with(&"ab".repeat(32), &"é".repeat(32).replacen('é', "a", 1)).unwrap());
}

#[test]
fn a_stored_session_of_endless_tokens_is_refused() {
    let problem = stored_with("\"gen_tokens\":5", "\"gen_tokens\":4294967295").unwrap_err();
    assert!(problem.to_string().starts_with("some/file: stands for more than"), "{problem}");
}

#[test]
fn times_at_the_end_of_the_range_are_no_small_ones() {
    let mut part = rich_part().clone();
    for round in &mut part.rounds {
        round.workers.iter_mut().for_each(|worker| worker.load_ns = Some(u64::MAX));
        round.requests.iter_mut().for_each(|request| request.token_ns = vec![u64::MAX; 2]);
    }
    let stored = Stored::from_part(&part);
    assert_eq!(stored.rounds[0].load_us, Some(u64::MAX / 1000));
    let mut largest = stored.clone();
    largest.rounds[0].latency_us[0] = Some(u64::MAX);
    assert_eq!(largest.to_rounds()[0].requests[0].token_ns.last(), Some(&u64::MAX));
    use_stored(&largest);
}

#[test]
fn stamps_that_go_back_are_no_endless_gap() {
    let mut part = rich_part().clone();
    for request in part.rounds.iter_mut().flat_map(|round| &mut round.requests) {
        request.token_ns = vec![5_000_000, 9_000_000, 7_000_000, 12_000_000];
    }
    let itl = METRICS.iter().copied().find(|metric| metric.id() == "itl").unwrap();
    let gaps = verdict::samples::ranked(itl, &part.rounds[0], "base");
    assert!(gaps.iter().all(|gap| (0.0..0.1).contains(gap)), "{gaps:?}");
}

#[test]
fn a_session_whose_id_is_a_path_is_not_stored() {
    let mut stored = stored_sessions().remove(0);
    for id in ["../../escaped", "", "/tmp/x", "a b"] {
        stored.session = id.to_string();
        let problem = baseline::place(Path::new("store"), &stored, 10).unwrap_err().to_string();
        assert!(problem.contains("no name for a file"), "{problem}");
    }
}

#[test]
fn endless_deadlines_and_durations_are_refused() {
    for (from, to) in [
        ("\"120s\"", "\"9223372036854775807s\""),
        ("load_ms = 1.5", "load_ms = 1e308"),
        ("load_ms = 1.5", "load_ms = -1"),
    ] {
        let problem = read_setup(&CONFIG.replace(from, to), THRESHOLDS).unwrap_err().to_string();
        assert!(problem.contains("at most 30 days") || problem.contains("between 0"), "{problem}");
    }
}
