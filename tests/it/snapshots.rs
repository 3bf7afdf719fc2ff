//! What a person reads, in every format, held against snapshots: made-up samples go the whole way from
//! the rules to the text. `INSTA_UPDATE=always cargo test --release snapshots` writes them anew.

use crate::html::skeleton;
use crate::support::Project;
use perfgate::baseline::Stored;
use perfgate::config::{self, WorkTree};
use perfgate::record::{
    Answer, ConcurrencyPlan, Environment, Failure, FailureClass, Fidelity, FidelityPlan, Forcing,
    Grade, Header, Labels, Load, LoadKind, LoadPhases, LoadPlan, LoadRequest, MachineClass,
    MemoryUse, Part, Phase, Plan, Provenance, QualityPlan, Reading, Repeat, Request, Results,
    Round, Sampling, SustainedPlan, VariantRecord, Way, WorkerRun,
};
use perfgate::report::{self, FORMATS, Style};
use perfgate::session;
use std::collections::BTreeMap;

/// A case: what the variants do and what is asked.
pub struct Case {
    variants: [&'static str; 2],
    /// How much slower the second variant is than the first.
    factor: f64,
    rounds: u32,
    /// Requests of the second variant that crash in each round.
    pub crashes: u32,
    /// Whether the second variant gets through any round.
    starts: bool,
    energy: Option<u64>,
    /// Whether documents were forced.
    forced: bool,
    /// Whether it was put under load.
    loaded: bool,
    message: &'static str,
    rules: String,
}

impl Case {
    pub fn new(factor: f64, rules: &str) -> Case {
        Case {
            variants: ["fp16", "int8"],
            factor,
            rounds: 6,
            crashes: 0,
            starts: true,
            energy: None,
            forced: false,
            loaded: false,
            message: "SIGSEGV in the middle of a request",
            rules: rules.to_string(),
        }
    }
}

/// A small repeatable wobble around 1.
fn wobble(index: u32) -> f64 {
    1.0 + 0.004 * (f64::from(index.wrapping_mul(2_654_435_761) >> 16) / 65536.0 - 0.5)
}

fn failure(class: FailureClass, message: &str) -> Option<Failure> {
    Some(Failure { class, message: message.to_string() })
}

fn request(case: &Case, round: u32, task: u32, second: bool) -> Request {
    let index = round * 100 + task * 2 + u32::from(second);
    let speed = wobble(index) * if second { case.factor } else { 1.0 };
    let failure = match second {
        true if !case.starts => failure(FailureClass::NotServed, "no worker was left"),
        true if task < case.crashes => failure(FailureClass::Crash, case.message),
        _ => None,
    };
    let ns = |ms: f64| (ms * 1e6 * speed) as u64;
    let stamps = |token: u32| ns(80.0 + 20.0 * f64::from(token));
    Request {
        round,
        slot: task * 2 + u32::from(second),
        variant: case.variants[usize::from(second)].to_string(),
        task: format!("t{task}"),
        attempt: 1,
        phase: Phase::Timed,
        start_ns: u64::from(index) * 1_000_000_000,
        token_ns: if failure.is_some() { vec![] } else { (0..8).map(stamps).collect() },
        prompt_tokens: 128,
        tokens: if failure.is_some() { vec![] } else { vec![7; 8] },
        energy_uj: case.energy.map(|energy| (energy as f64 * speed) as u64),
        dram_energy_uj: None,
        energy_ns: None,
        failure,
    }
}

fn worker(case: &Case, round: u32, second: bool) -> WorkerRun {
    let lost = second && !case.starts;
    let ns = |ms: f64| (!lost).then_some((ms * 1e6 * wobble(round)) as u64);
    WorkerRun {
        round,
        variant: case.variants[usize::from(second)].to_string(),
        attempt: 1,
        pid: 1000 + round,
        spawn_ns: u64::from(round),
        hello_ns: ns(4.0),
        load_ns: ns(900.0),
        model_cache: None,
        first_token_ns: ns(if second { 800.0 } else { 1100.0 }),
        phases: (!lost).then_some(LoadPhases {
            library_ns: ns(100.0),
            read_ns: ns(200.0),
            compile_ns: ns(590.0),
        }),
        memory_loaded: (!lost).then_some(MemoryUse {
            peak_rss: if second { 400 << 20 } else { 1200 << 20 },
            rss_anon: 190 << 20,
            rss_file: 100 << 20,
        }),
        serving_peak: (!lost).then_some(310 << 20),
        kv_bytes_per_token: (!lost).then_some(23040),
        page_cache: Some(1.0),
        engine: None,
        memory: (!lost).then_some(MemoryUse {
            peak_rss: if second { 400 << 20 } else { 1200 << 20 },
            rss_anon: 200 << 20,
            rss_file: 100 << 20,
        }),
        model_bytes: Some(if second { 130 << 20 } else { 260 << 20 }),
        failure: if lost { failure(FailureClass::Crash, case.message) } else { None },
    }
}

fn variant(name: &str) -> VariantRecord {
    VariantRecord {
        engine: "openvino".into(),
        model: format!("models/{name}"),
        model_sha256: perfgate::hash::of_bytes(name.as_bytes()),
        threads: 2,
        properties: BTreeMap::new(),
        options: BTreeMap::new(),
        test_switches: vec![],
        ..VariantRecord::default()
    }
}

fn environment(energy: bool) -> Environment {
    let none = || Reading::Unavailable("it is absent on this machine".to_string());
    Environment {
        machine: MachineClass {
            cpu: "Test CPU".into(),
            instruction_sets: vec!["avx2".into()],
            usable_cpus: 2,
            arch: "x86_64".into(),
            os: "linux".into(),
            memory_gib: 16,
            finer: None,
        },
        kernel: "Linux 6".into(),
        governor: none(),
        energy: match energy {
            true => Reading::Available("RAPL package-0".into()),
            false => Reading::Unavailable("/sys/class/powercap has no energy counters".into()),
        },
        throttling: none(),
        memory_bytes: 16 << 30,
    }
}

/// A session in which nothing was measured yet.
pub fn empty_part() -> Part {
    Part { rounds: vec![], answers: vec![], ..part(&Case::new(1.0, "")) }
}

/// A worker that came through a round.
pub fn some_worker(round: u32, variant: &str) -> WorkerRun {
    WorkerRun { variant: variant.to_string(), ..worker(&Case::new(1.0, ""), round, false) }
}

fn part(case: &Case) -> Part {
    let names: Vec<String> = case.variants.map(str::to_string).to_vec();
    let answer = |task: u32, second: bool| Answer {
        variant: names[usize::from(second)].clone(),
        task: format!("g{task}"),
        prompt_tokens: 40,
        tokens: vec![1],
        text: "x".into(),
        cached: false,

        log_likelihoods: vec![],
        reason: None,
        grade: if task < 6 + 3 * u32::from(second) { Grade::Wrong } else { Grade::Right },
        failure: None,
    };
    let round = |round: u32| Round {
        round,
        complete: true,
        workers: [false, true].map(|second| worker(case, round, second)).to_vec(),
        requests: (0..10)
            .flat_map(|task| [false, true].map(|second| request(case, round, task, second)))
            .collect(),
        ..Round::default()
    };
    Part {
        header: Header {
            session: "20260101T000000Z-abcd".into(),
            started: "2026-01-01T00:00:00Z".into(),
            provenance: Provenance {
                perfgate: "0.0.0".into(),
                git: None,
                git_unavailable: Some("could not find repository".into()),
                asked: None,
                config_sha256: "0".repeat(64),
                thresholds_sha256: None,
            },
            environment: environment(case.energy.is_some()),
            plan: Plan {
                only: None,
                variants: names.clone(),
                reference: names[0].clone(),
                rounds: case.rounds,
                warmup: 2,
                tasks: (0..10).map(|task| format!("t{task}")).collect(),
                prompt_tokens: Some(128),
                gen_tokens: 8,
                seed: 42,
                sampling: Sampling::default(),
                labels: BTreeMap::new(),
                workload_sha256: "cd".repeat(32),
                quality: Some(QualityPlan {
                    tasks: (0..60).map(|task| format!("g{task}")).collect(),
                    variants: names.clone(),
                    max_tokens: 48,
                    stop: vec![],
                    labels: BTreeMap::new(),
                    sha256: "ef".repeat(32),
                    ..QualityPlan::default()
                }),
                fidelity: case.forced.then(fidelity_plan),
                load: case.loaded.then(load_plan),
                stopping: None,
                absent: BTreeMap::new(),
                idle_ms: None,
            },
            variants: case.variants.map(|name| (name.to_string(), variant(name))).into(),
        },
        ended: "2026-01-01T00:05:00Z".into(),
        resumed: vec![],
        rounds: (1..=case.rounds).map(round).collect(),
        answers: (0..60).flat_map(|task| [answer(task, false), answer(task, true)]).collect(),
        rows: Default::default(),
        repeats: vec![],
        engines: BTreeMap::new(),
        fidelity: if case.forced { fidelity() } else { Vec::new() },
        idle: Vec::new(),
        hardware: None,
        work: BTreeMap::new(),
        execution: BTreeMap::new(),
        load: if case.loaded { loads() } else { Vec::new() },
    }
}

fn load_plan() -> LoadPlan {
    let variants = || vec!["fp16".to_string(), "int8".to_string()];
    LoadPlan {
        sustained: Some(SustainedPlan { variants: variants(), blocks: 10, block_seconds: 30.0 }),
        concurrency: Some(ConcurrencyPlan {
            variants: variants(),
            streams: vec![1, 2],
            seconds: 20.0,
            rates: vec![1.5],
            servers: 2,
            seed: 42,
            p99: Some(0.4),
            search_seconds: Some(900.0),
        }),
    }
}

/// A load of so many requests that arrive every so many milliseconds and take 250 each, a little more or less; the one
/// behind every hundredth waits for a second.
fn load(variant: &str, kind: LoadKind, number: u32, (requests, every): (u32, f64)) -> Load {
    let ns = |ms: f64| (ms * 1e6) as u64;
    let drifts = kind == LoadKind::Sustained && variant == "int8";
    let slower = if drifts { 1.0 + 0.004 * f64::from(number) } else { 1.0 };
    let request = |place: u32| {
        let arrival = every * slower * f64::from(place);
        let waits = if place % 100 == 99 { 1000.0 } else { 0.0 };
        let service = 250.0 * wobble(place + number) * slower;
        LoadRequest {
            task: "t1".into(),
            stream: place % 2,
            arrival_ns: ns(arrival),
            start_ns: ns(arrival + waits),
            token_ns: (1..=8).map(|token| ns(service * f64::from(token) / 8.0)).collect(),
            tokens: vec![7; 8],
            failure: None,
        }
    };
    let memory = |grown: u64| {
        let rss_anon = (300 << 20) + (u64::from(number) + grown) * (1 << 20);
        Some(MemoryUse { peak_rss: 0, rss_anon, rss_file: 100 << 20 })
    };
    Load {
        variant: variant.into(),
        kind,
        number,
        streams: 1,
        rate: None,
        arrivals: None,
        pid: 7,
        engine: None,
        warmup: 2,
        start_ns: 0,
        requests: (0..requests).map(request).collect(),
        memory_before: memory(0),
        memory_after: memory(1),
        failure: None,
    }
}

/// Both variants under every kind of load; in one a request fails, one does not come to its end, and answers change.
fn loads() -> Vec<Load> {
    let mut all = Vec::new();
    for variant in ["fp16", "int8"] {
        let block = |number| load(variant, LoadKind::Sustained, number, (50, 250.0));
        all.extend((1..=10).map(block));
        for streams in [1, 2] {
            let closed = load(variant, LoadKind::Closed, 1, (80, 250.0));
            all.push(Load { streams, ..closed });
        }
        let of_open = |kind, number, rate, requests: u32| Load {
            streams: 2,
            rate: Some(rate),
            arrivals: Some(requests),
            ..load(variant, kind, number, (requests, 1000.0 / rate))
        };
        all.push(of_open(LoadKind::Open, 1, 1.5, 30));
        let mut kept = of_open(LoadKind::Probe, 1, 2.0, 299);
        kept.requests.iter_mut().for_each(|request| request.start_ns = request.arrival_ns);
        all.push(kept);
        all.push(of_open(LoadKind::Probe, 2, 3.0, 299));
    }
    let crash = failure(FailureClass::Crash, "SIGSEGV under load");
    let last = all.iter_mut().filter(|load| load.kind == LoadKind::Closed).last().unwrap();
    (last.requests, last.failure) = (vec![], crash);
    let open = all.iter_mut().find(|load| load.kind == LoadKind::Open).unwrap();
    open.requests[3].failure = failure(FailureClass::NonFinite, "NaN");
    open.requests[4].tokens[2] = 9;
    all
}

const DOCUMENTS: u32 = 21;

fn fidelity_plan() -> FidelityPlan {
    FidelityPlan {
        documents: (0..DOCUMENTS).map(|n| format!("d{n}")).collect(),
        variants: vec!["int8".into()],
        reference: "fp16".into(),
        tokens: 101,
        skip: 0,
        stepwise: 2,
        sha256: "cd".repeat(32),
    }
}

/// Documents whose predictions differ a little, more so through the cache, where one is lost.
fn fidelity() -> Vec<Fidelity> {
    let document = |n: u32, forcing: Forcing| {
        let stepwise = forcing == Forcing::Stepwise;
        let size = if stepwise { 0.02 } else { 0.01 } * (1.0 + 50.0 * (wobble(n) - 1.0));
        let kl: Vec<f32> =
            (0..100).map(|at| (size * (0.5 + f64::from(at) / 100.0)) as f32).collect();
        let lost = stepwise && n == 1;
        Fidelity {
            variant: "int8".into(),
            reference: "fp16".into(),
            document: format!("d{n}"),
            forcing,
            positions: if lost { 0 } else { 100 },
            kl: if lost { vec![] } else { kl },
            agree: 92 + n % 3,
            nll: 301.0 + 200.0 * (wobble(n) - 1.0),
            reference_nll: 300.0,
            cached: n == 0,
            failure: failure(FailureClass::Crash, "gone").filter(|_| lost),
            reference_failure: None,
        }
    };
    let whole = (0..DOCUMENTS).map(|n| document(n, Forcing::Whole));
    whole.chain((0..2).map(|n| document(n, Forcing::Stepwise))).collect()
}

pub fn results(case: &Case, stored: &[Stored]) -> Results {
    judged(case, part(case), stored)
}

/// What a session comes to by the rules of a case.
fn judged(case: &Case, part: Part, stored: &[Stored]) -> Results {
    let table = |name: &str| format!("[variants.{name}]\nengine = \"scripted\"\n");
    let both = case.variants.map(table).concat();
    let config = format!(
        "[workload]\ntasks = \"tasks.jsonl\"\n[quality]\ntasks = \"g.jsonl\"\n\
             [quality.fidelity]\ndocuments = \"d.jsonl\"\n{both}"
    );
    let project = Project::new(&config, &case.rules);
    let path = |name: &str| project.path().join(name);
    let setup =
        config::read(&WorkTree, &path("perfgate.toml"), Some(&path("thresholds.toml"))).unwrap();
    session::judged(vec![part], &setup, &[], &stored.to_vec().into())
}

/// Every format of a report, each in a snapshot of its own; of a page what it says.
fn snapshot(name: &str, results: &Results) {
    let report = report::build(results);
    for format in FORMATS {
        let text = (format.render)(&report, Style { color: false, verbose: true });
        let text = if format.id == "html" { skeleton(&text) } else { text };
        if format.id == "terminal" {
            for line in text.lines() {
                assert!(line.chars().count() <= 100, "{name}: wider than 100 columns: {line}");
            }
        }
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("{name}.{}", format.id), text);
        });
    }
}

const FOUR: &str =
    "[rules]\naccuracy = \"20pt\"\nthroughput = \"5%\"\nlatency = \"5%\"\nmemory = \"0%\"\n";

#[test]
fn everything_holds() {
    snapshot("pass", &results(&Case::new(1.001, FOUR), &[]));
}

#[test]
fn one_regression() {
    let rules = "[rules]\nttft = \"30%\"\nthroughput = \"15%\"\nmemory = \"0%\"\n";
    snapshot("one_regression", &results(&Case::new(1.25, rules), &[]));
}

#[test]
fn twenty_rules() {
    let mut rules = String::from("[rules]\n");
    for limit in 1..=7 {
        rules += &format!(
            "throughput-{limit} = {{ metric = \"throughput\", limit = \"{limit}%\" }}\n\
             latency-{limit} = {{ metric = \"latency\", statistic = \"p90\", limit = \"{limit}%\" }}\n"
        );
    }
    rules += "ttft = { max = \"1 s\" }\nfailure_rate = \"0.1%\"\ncold_start = \"10%\"\n\
              load_time = { limit = \"5%\", severity = \"inform\" }\naccuracy = \"1pt\"\nitl = \"1%\"\n";
    snapshot("twenty_rules", &results(&Case::new(1.04, &rules), &[]));
}

#[test]
fn forced_documents() {
    let rules = "[rules]\nkl_divergence = \"0.05\"\n\
                 tail = { metric = \"kl_divergence\", statistic = \"p99\", max = \"0.01\" }\n\
                 steps = { metric = \"kl_divergence\", max = \"0.05\", forcing = \"stepwise\" }\n\
                 top1_agreement = { min = \"93%\", severity = \"inform\" }\nperplexity = \"2%\"\n";
    let case = Case { forced: true, ..Case::new(1.0, rules) };
    snapshot("fidelity", &results(&case, &[]));
}

#[test]
fn under_load() {
    let case = Case { loaded: true, ..Case::new(1.0, "[rules]\nlatency = \"50%\"\n") };
    snapshot("load", &results(&case, &[]));
}

#[test]
fn inconclusive() {
    let case =
        Case { rounds: 2, ..Case::new(1.05, "[rules]\nlatency = \"5%\"\naccuracy = \"1pt\"\n") };
    snapshot("inconclusive", &results(&case, &[]));
}

const STORED: &str = "[rules]\nlatency = { against = \"baseline\", limit = \"5%\" }\n\
    ratio = { metric = \"throughput\", against = \"baseline\", relative_to = \"fp16\", limit = \"5%\" }\n";

#[test]
fn no_baseline() {
    snapshot("no_baseline", &results(&Case::new(1.0, STORED), &[]));
}

#[test]
fn incomparable() {
    let case = Case::new(1.0, STORED);
    let mut stored = Stored::from_part(&part(&case));
    stored.machine.cpu = "Other CPU".into();
    stored.variants.get_mut("fp16").unwrap().engine.version = "2025.4".into();
    snapshot("incomparable", &results(&case, &[stored]));
}

#[test]
fn energy_that_is_unavailable_and_energy_that_is_not() {
    let rules = "[rules]\ntokens_per_second_per_watt = \"0%\"\nlatency = \"50%\"\n";
    snapshot("no_energy", &results(&Case::new(0.8, rules), &[]));
    let case = Case { energy: Some(2_000_000), ..Case::new(0.8, rules) };
    snapshot("energy", &results(&case, &[]));
}

#[test]
fn a_crashed_variant() {
    let rules = "[rules]\nlatency = \"5%\"\nfailure_rate = \"0.1%\"\n";
    let some = Case { crashes: 2, ..Case::new(1.0, rules) };
    snapshot("crashes", &results(&some, &[]));
    let all = Case { starts: false, ..Case::new(1.0, rules) };
    snapshot("crashed", &results(&all, &[]));
}

/// What a model may say, a file of tasks may ask, and a grader may quote.
const SAID: &str =
    "| [a](http://b) `x` <b>@someone</b>\n# heading \u{1b}[31m \u{202e} ${{ a }} ::error::b";

/// Graded tasks of two suites, half of them lost with hostile texts, three won, and some asked again.
fn with_graded_tasks(mut part: Part) -> Part {
    let quality = part.header.plan.quality.as_mut().unwrap();
    quality.of = 60;
    quality.tails = (0..60).map(|task| format!("…the end of prompt {task}: {SAID}")).collect();
    let suite = |task: u32| Some(if task < 30 { "calls" } else { "sums" }.to_string());
    let labels = |task| Labels { suite: suite(task), tags: vec![] };
    quality.labels = (0..60).map(|task| (format!("g{task}"), labels(task))).collect();
    for answer in &mut part.answers {
        let task: u32 = answer.task[1..].parse().unwrap();
        let second = answer.variant == "int8";
        answer.grade = if second == (task < 3) { Grade::Right } else { Grade::Wrong };
        if task >= 28 {
            answer.grade = Grade::Right;
        }
        answer.text = format!("answer {task} of {}: {SAID}", answer.variant);
        if answer.grade == Grade::Wrong {
            answer.reason = Some(format!("not {SAID}"));
        }
        if second && task == 5 {
            answer.grade = Grade::Failed;
            answer.reason = None;
            answer.failure = failure(FailureClass::RunOn, SAID);
        }
        // Tokens that part at the second place, for some.
        answer.tokens = vec![1, if second && task.is_multiple_of(3) { 2 } else { 3 }];
    }
    let repeat = |task: u32, way: Way| Repeat {
        variant: "int8".into(),
        task: format!("g{task}"),
        way,
        sampling: Sampling { temperature: 0.7, ..Sampling::default() },
        tokens: vec![1],
        diverges_at: (way == Way::OtherProcess && task == 30).then_some(0),
        grade: if task == 30 { Grade::Wrong } else { Grade::Right },
        cached: false,
        failure: None,
    };
    let ways = [Way::SameProcess, Way::OtherProcess, Way::Threads(1), Way::Seed(1), Way::Seed(2)];
    part.repeats = (30..34).flat_map(|task| ways.map(|way| repeat(task, way))).collect();
    part
}

#[test]
fn graded_tasks() {
    let rules = "[rules]\naccuracy = \"5pt\"\nlatency = \"50%\"\n";
    let case = Case::new(1.0, rules);
    let results = judged(&case, with_graded_tasks(part(&case)), &[]);
    snapshot("graded_tasks", &results);
    let report = report::build(&results);
    let json = FORMATS.iter().find(|format| format.id == "json").unwrap();
    let json: serde_json::Value =
        serde_json::from_str(&(json.render)(&report, Style::default())).unwrap();
    let rows = |index: usize| json["flips"][index]["rows"].as_array().unwrap().len();
    assert_eq!((rows(0), rows(1)), (25, 3), "every flipped task stands in the JSON");
    let markdown = (report::MARKDOWN.render)(&report, Style::default());
    let lost = markdown.split("Lost tasks, right by fp16").nth(1).unwrap();
    let lost = lost.split("Won tasks").next().unwrap();
    let rows = lost.lines().filter(|line| line.starts_with("| g")).count();
    assert_eq!(rows, 20, "and twenty of them in Markdown: {lost}");
    assert!(lost.contains("5 more"), "{lost}");
}

#[test]
fn hostile_names() {
    // Such names cannot come by the configuration, but by a file of results from elsewhere.
    let name = "<img src=x onerror=alert(1)>\u{1b}[31m@someone\n# int8 |`x`";
    let message =
        "thread 'main' panicked at <script>alert('x')</script> | [a](http://b) \u{202e}\u{7}";
    let case = Case { crashes: 2, message, ..Case::new(1.2, FOUR) };
    let text = serde_json::to_string(&results(&case, &[])).unwrap();
    let text = text.replace("\"int8\"", &serde_json::to_string(name).unwrap());
    let results: Results = serde_json::from_str(&text).unwrap();
    snapshot("hostile_names", &results);
    for format in FORMATS {
        let text = (format.render)(&report::build(&results), Style::default());
        assert!(!text.contains('\u{1b}'), "{}: an escape gets through: {text}", format.id);
        assert!(!text.contains('\u{202e}') && !text.contains('\u{7}'), "{}: {text}", format.id);
    }
}
