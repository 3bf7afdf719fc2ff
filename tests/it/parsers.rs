//! Holds every parser to three promises, whatever it is given: it neither panics nor hangs, a
//! complaint names the file, and what it accepts can be used, written and read again.
//!
//! `PROPTEST_CASES=1000000 cargo test --release --test it parsers` raises the number of inputs of
//! each parser from some hundreds; judging and rendering take a twentieth of them.

use perfgate::baseline::{self, Stored, parse_stored};
use perfgate::config::{self, Config, Setup, Source};
use perfgate::metric::METRICS;
use perfgate::problem::{Problem, Result};
use perfgate::protocol::{self, Command, LoadSpec, Order, Reply};
use perfgate::record::{
    Answer, EngineInfo, Entry, Failure, FailureClass, GitState, Grade, JournalLine, Labels, Part,
    QualityPlan, Reading, Results,
};
use perfgate::report::{self, FORMATS, Style};
use perfgate::session::{self, parse_journal, parse_results};
use perfgate::workload::{self, parse_graded, parse_tasks};
use perfgate::{record, verdict};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestError, TestRunner};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What every parser is told that it reads.
const FILE: &str = "some/file";

/// Longest that one input may take. A healthy one takes milliseconds; machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(5);

// The inputs.

/// Numbers at the edges of what the formats hold, and some that are none.
const NUMBERS: [&str; 18] = [
    "0",
    "-1",
    "1",
    "2",
    "0.5",
    "-0.0",
    "1e308",
    "-1e308",
    "1e-320",
    "1e999",
    "NaN",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "0x10",
];

/// Texts that a careless reader trips over.
const TEXTS: [&str; 20] = [
    "",
    " ",
    "\u{0}\u{7}\u{1b}[31m",
    "<script>alert(1)</script>",
    "a|b",
    "two\nlines\r\n",
    "\u{200b}\u{feff}",
    "\u{202e}\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
    "éééééééééééééééééééé",
    "a💥💥💥💥💥💥💥💥",
    "e\u{301}\u{300}\u{302}",
    "../../../etc/passwd",
    "{} %s \\ ' \" ```",
    "</details>",
    "nan",
    "inf",
    "base",
    "other",
    "9999999999 years",
    "1970-01-01T00:00:00Z",
];

/// Pieces of the formats, for inputs made from nothing.
const PIECES: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "=",
    "\n",
    "\r",
    ".",
    "#",
    "'",
    "\\",
    "\\u",
    "\"\"\"",
    "0",
    "1e9",
    "-",
    "null",
    "true",
    "\"format\":2",
    "\"id\":",
    "\"prompt\":",
    "\"record\":",
    "\"session\"",
    "\"reply\":",
    "\"command\":",
    "rules",
    "[rules]",
    "[workload]",
    "tasks",
    "[variants.a]",
    "engine",
    "latency",
    "\"5%\"",
    "\u{feff}",
    "é",
    "\u{0}",
    "\t",
];

/// An input as text, shown by its start where a property fails.
#[derive(Clone)]
struct Text(String);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Arbitrary bytes, pieces of the formats, and above all valid samples that were damaged.
fn inputs(samples: Vec<String>) -> impl Strategy<Value = Text> {
    let parsed = |text: &String| serde_json::from_str::<Value>(text).ok();
    let documents: Vec<Option<Value>> = samples.iter().map(parsed).collect();
    let step = (0..40u8, any::<u32>(), any::<u32>(), any::<u32>());
    let damaged = (any::<usize>(), vec(step, 1..4)).prop_map(move |(which, steps)| {
        let which = which % samples.len();
        let mut text = Cow::Borrowed(samples[which].as_str());
        // Changes to a document go on in it, which saves reading and writing it each time.
        let mut document = documents[which].clone();
        let mut changed = false;
        for (kind, a, b, c) in steps {
            let places = [a, b, c].map(|n| n as usize);
            if let (13.., Some(value)) = (kind, &mut document) {
                damage_value(value, kind, places);
                changed = true;
                continue;
            }
            if let Some(value) = document.take().filter(|_| changed) {
                text = Cow::Owned(value.to_string());
            }
            text = Cow::Owned(damage(&text, &samples, kind, places));
        }
        Text(match document.filter(|_| changed) {
            Some(value) => value.to_string(),
            None => text.into_owned(),
        })
    });
    let lossy = |bytes: Vec<u8>| Text(String::from_utf8_lossy(&bytes).into_owned());
    let pieces = vec(0..PIECES.len(), 0..40)
        .prop_map(|of| Text(of.into_iter().map(|index| PIECES[index]).collect()));
    prop_oneof![
        1 => vec(any::<u8>(), 0..200).prop_map(lossy),
        1 => pieces,
        14 => damaged,
    ]
}

/// One damage to a text; what cannot be done to it leaves it as it is.
fn damage(text: &str, samples: &[String], kind: u8, [a, b, c]: [usize; 3]) -> String {
    match kind {
        0..=4 => damage_bytes(text.as_bytes(), kind, a, b, c),
        5..=7 => damage_lines(text, kind, a, b),
        8 => {
            let other = samples[c % samples.len()].as_bytes();
            let bytes = text.as_bytes();
            let start = &bytes[..a % (bytes.len() + 1)];
            let end = &other[b % (other.len() + 1)..];
            String::from_utf8_lossy(&[start, end].concat()).into_owned()
        }
        9 | 10 => replace_number(text, a, NUMBERS[b % NUMBERS.len()]),
        11 => {
            let quoted = json!(hostile(b, c)).to_string();
            replace_string(text, a, &quoted)
        }
        // Names that stand elsewhere: what is valid by itself and fits to nothing.
        12 => match strings(text).get(b % strings(text).len().max(1)) {
            Some((start, end)) => replace_string(text, a, &text[*start..*end]),
            None => text.to_string(),
        },
        _ => damage_json(text, kind, [a, b, c]),
    }
}

fn hostile(which: usize, size: usize) -> String {
    match which % (TEXTS.len() + 1) {
        // Now and then longer than any table counts to.
        at if at == TEXTS.len() => "x".repeat(if size % 50 == 0 { 70_000 } else { size % 3000 }),
        at => TEXTS[at].to_string(),
    }
}

fn damage_bytes(bytes: &[u8], kind: u8, a: usize, b: usize, c: usize) -> String {
    let mut bytes = bytes.to_vec();
    let start = a % (bytes.len() + 1);
    let end = (start + b % 20).min(bytes.len());
    match kind {
        0 => drop(bytes.drain(start..end)),
        1 => {
            let copy = bytes[start..end].to_vec();
            bytes.splice(start..start, copy);
        }
        2 if !bytes.is_empty() => {
            let length = bytes.len();
            bytes.swap(start % length, b % length);
        }
        3 => {
            let piece =
                if c.is_multiple_of(2) { PIECES[b % PIECES.len()] } else { TEXTS[b % TEXTS.len()] };
            bytes.splice(start..start, piece.bytes());
        }
        _ => bytes.truncate(start),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn damage_lines(text: &str, kind: u8, a: usize, b: usize) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.is_empty() {
        return String::new();
    }
    let (a, b) = (a % lines.len(), b % lines.len());
    match kind {
        5 => drop(lines.remove(a)),
        6 => lines.insert(b, lines[a]),
        _ => lines.swap(a, b),
    }
    lines.concat()
}

/// Where numbers stand.
fn numbers(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = at + bytes[at..].iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
        if end > at {
            found.push((at, end));
        }
        at = end + 1;
    }
    found
}

/// Where strings stand, with their quotes.
fn strings(text: &str) -> Vec<(usize, usize)> {
    let quotes: Vec<usize> = text.match_indices('"').map(|(at, _)| at).collect();
    quotes.chunks_exact(2).map(|pair| (pair[0], pair[1] + 1)).collect()
}

fn replace_number(text: &str, which: usize, by: &str) -> String {
    replace(text, &numbers(text), which, by)
}

fn replace_string(text: &str, which: usize, by: &str) -> String {
    replace(text, &strings(text), which, by)
}

fn replace(text: &str, places: &[(usize, usize)], which: usize, by: &str) -> String {
    if places.is_empty() {
        return text.to_string();
    }
    let (start, end) = places[which % places.len()];
    format!("{}{by}{}", &text[..start], &text[end..])
}

/// Changes a value in one line of JSON Lines.
fn damage_json(text: &str, kind: u8, places: [usize; 3]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    let count = lines.len().max(1);
    if let Some(line) = lines.get_mut(places[2] % count)
        && let Ok(mut value) = serde_json::from_str::<Value>(line)
    {
        damage_value(&mut value, kind, places);
        *line = value.to_string();
    }
    lines.join("\n") + "\n"
}

fn damage_value(root: &mut Value, kind: u8, [a, b, c]: [usize; 3]) {
    // The likeliest is a value of the same type: it is read the furthest.
    let kind = if kind > 16 { 13 } else { kind };
    let count = size(root);
    let mut copy = Value::Null;
    if kind == 15 {
        at(root, &mut (c % count), &mut |value| copy = value.clone());
    }
    at(root, &mut (a % count), &mut |value| match (kind, &mut *value) {
        (13, value) => like(value, b, c),
        (14, Value::Object(map)) => {
            let key = map.keys().nth(b % map.len().max(1)).cloned();
            let gone = key.and_then(|key| map.remove(&key));
            if let (Some(gone), true) = (gone, c.is_multiple_of(2)) {
                map.insert(hostile(c / 2, c), gone);
            }
        }
        (15, _) => *value = copy.clone(),
        _ => {
            *value = match b % 9 {
                0 => Value::Null,
                1 => json!(true),
                2 => json!(-1),
                3 => json!(u64::MAX),
                4 => json!(1e308),
                5 => json!(hostile(c, c)),
                6 => json!([]),
                7 => json!({}),
                _ => json!([null]),
            };
        }
    });
}

/// Another value of the same type, which a parser may well accept.
fn like(value: &mut Value, b: usize, c: usize) {
    const COUNTS: [u64; 8] = [0, 1, 2, 3, 1 << 31, u32::MAX as u64, (1 << 53) + 1, u64::MAX];
    match value {
        Value::Number(number) if number.is_u64() && !c.is_multiple_of(8) => {
            *value = json!(COUNTS[b % COUNTS.len()]);
        }
        Value::Number(_) => {
            *value = serde_json::from_str(NUMBERS[b % NUMBERS.len()]).unwrap_or(Value::Null);
        }
        Value::String(text) => *text = hostile(b, c),
        Value::Bool(truth) => *truth = !*truth,
        Value::Array(list) if list.is_empty() || b.is_multiple_of(5) => list.clear(),
        Value::Array(list) => {
            let (from, to) = (b % list.len(), c % list.len());
            match c % 4 {
                0 => list.swap(from, to),
                1 => drop(list.remove(from)),
                2 => list.insert(to, list[from].clone()),
                _ => like(&mut list[from], c, b),
            }
        }
        Value::Object(map) => {
            let length = map.len().max(1);
            map.values_mut().nth(b % length).into_iter().for_each(|value| like(value, c, b));
        }
        Value::Null => {}
    }
}

/// How many values a value holds, itself among them.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(size).sum(),
        Value::Object(map) => map.values().map(size).sum(),
        _ => 0,
    }
}

/// Does something to the value at a place in the order of reading.
fn at(value: &mut Value, left: &mut usize, act: &mut dyn FnMut(&mut Value)) {
    if *left == 0 {
        act(value);
        *left = usize::MAX;
        return;
    }
    *left -= 1;
    let mut inside = |value: &mut Value| {
        at(value, left, act);
        *left == usize::MAX
    };
    let _ = match value {
        Value::Array(list) => list.iter_mut().any(&mut inside),
        Value::Object(map) => map.values_mut().any(&mut inside),
        _ => false,
    };
}

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
            grade: if failed { Grade::Failed } else { Grade::Right },
            failure: failed.then(|| failure.clone()),
        });
    }
    for round in &mut part.rounds {
        for request in &mut round.requests {
            request.energy_uj = Some(2_000_000);
        }
        if let Some(last) = round.requests.last_mut() {
            last.failure = Some(Failure { class: FailureClass::Crash, ..failure.clone() });
            last.token_ns.clear();
        }
    }
    part
}

/// Results of both formats: as two releases wrote them, and one that is rich.
fn results_samples() -> Vec<String> {
    let setup = setup();
    let stored = stored_sessions();
    let rules = setup.thresholds.as_ref();
    let rich = session::judged(vec![rich_part().clone()], &setup.config, rules, &[], &stored);
    vec![data("results-v1.json"), data("results-v2.json"), written(&rich)]
}

/// As many stored sessions as decide.
fn stored_sessions() -> Vec<Stored> {
    (0..3)
        .map(|index| {
            let mut stored = Stored::from_part(rich_part());
            stored.session = format!("20261123T04481{index}Z-398d");
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
        entries.push(Entry::RoundStart { round: round.round });
        entries.push(Entry::Spawn { round: 1, variant: "base".into(), attempt: 1, pid: 7 });
        entries.extend(round.requests.iter().cloned().map(Entry::Request));
        entries.extend(round.workers.iter().cloned().map(Entry::Worker));
        entries.push(Entry::RoundEnd { round: round.round, complete: round.complete });
    }
    entries.push(Entry::Resume { at: "2026-11-23T05:00:00Z".to_string() });
    entries.extend(part.answers.iter().cloned().map(Entry::Answer));
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
fn judge_and_render(results: &Results, setup: &Setup, stored: &[Stored]) {
    render(results);
    let thresholds = setup.thresholds.as_ref().unwrap();
    let mut across = thresholds.clone();
    let earlier = [rich_part().clone()];
    across.rules = verdict::against_earlier(&thresholds.rules, &results.parts);
    let config = &setup.config;
    let parts = || results.parts.clone();
    for judged in [
        session::judged(parts(), config, None, &[], &[]),
        session::judged(parts(), config, Some(thresholds), &[], stored),
        session::judged(parts(), config, Some(&across), &results.parts, stored),
        session::judged(earlier.to_vec(), config, Some(&across), &results.parts, stored),
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
    let part = rich_part();
    for metric in METRICS {
        for relative_to in [None, Some("base"), Some("nobody")] {
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
        session::variant_record(variant, &[]).ok();
        let script = variant.load.script.iter();
        for load_ms in script.map(|script| script.load_ms) {
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
    let stored = stored_sessions();
    hold(100, 20, vec![THRESHOLDS.to_string()], |text| {
        let Some(setup) = read_thresholds(text) else { return false };
        let rules = setup.thresholds.as_ref();
        render(&session::judged(vec![rich_part().clone()], &setup.config, rules, &[], &stored));
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
    let call = json!({"name": "hotel", "arguments": {"city": "Oslo", "count": 14}});
    let sample = lines([
        json!({"id": "a", "prompt": "x", "grader": "exact", "expect": "y", "suite": "s"})
            .to_string(),
        json!({"id": "b", "prompt": "x", "grader": "tool_call", "expect": call}).to_string(),
    ]);
    hold(500, 1, vec![sample], |text| {
        let Some(tasks) = accepted(parse_graded(Path::new(FILE), text)) else { return false };
        // Any text may be an answer, a file of tasks too.
        for task in &tasks {
            for answer in [text, "{\"name\": \"é\", \"arguments\": \"{}\"}"] {
                workload::grade(&task.expectation, answer);
            }
        }
        !tasks.is_empty()
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
    let (setup, stored) = (setup(), stored_sessions());
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
fn results_are_held_against_any_baseline() {
    let setup = setup();
    let samples = stored_sessions().iter().take(1).map(Stored::to_text).collect();
    let [good, more, _] = <[Stored; 3]>::try_from(stored_sessions()).unwrap();
    hold(100, 20, samples, |text| {
        let Some(stored) = accepted(parse_stored(Path::new(FILE), text)) else { return false };
        for stored in [vec![stored.clone()], vec![stored, good.clone(), more.clone()]] {
            let rules = setup.thresholds.as_ref();
            render(&session::judged(vec![rich_part().clone()], &setup.config, rules, &[], &stored));
        }
        true
    });
}

#[test]
fn protocol_messages() {
    let order = Order { prompt: vec![1, 2], tokens: 3, stop: vec![4], ..Order::default() };
    let spec = LoadSpec { engine: "scripted".into(), threads: 2, ..LoadSpec::default() };
    let failure = Failure { class: FailureClass::Error, message: "no".into() };
    let commands =
        [Command::Load { id: 1, spec: Box::new(spec) }, Command::Generate { id: 2, order }];
    let replies = [
        Reply::Hello { protocol: protocol::VERSION, capabilities: vec!["load".into()] },
        Reply::Loaded { id: 1, load_ns: 5, engine: EngineInfo::default() },
        Reply::Generated { id: 2, start_ns: 1, token_ns: vec![1, 2], tokens: vec![3, 4] },
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
    let itl = METRICS.into_iter().find(|metric| metric.id() == "itl").unwrap();
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
