//! Load: the queue against queueing theory and a simulation from elsewhere, on time that is made up; the load pass from
//! end to end with the scripted engine, whose clock moves by its script alone, and on the real model.

use crate::support::{Project, Run, finished, model, root, scripted, signal};
use perfgate::engine::{self, Engine, Sequence, Stream, generate, serve};
use perfgate::load::{Keeps, Length, Tail, poisson};
use perfgate::protocol::{Arrivals, GiveUp, Job, LoadSpec, Order, Served};
use perfgate::record::{EngineInfo, Entry, Failure, FailureClass, Load, LoadKind, VerdictKind};
use perfgate::stats;
use perfgate::verdict;
use perfgate::worker::{Interrupt, Launch, Stop, Worker};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Barrier};
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

fn reference(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../reference/queueing.json")).unwrap();
    all[kind].as_array().unwrap().clone()
}

fn numbers(case: &Value, key: &str) -> Vec<u64> {
    case[key].as_array().unwrap().iter().map(|value| value.as_u64().unwrap()).collect()
}

/// An engine whose requests take times that are given: the prompt's only token is their place in the list. Time is made up.
struct Given {
    service_ns: Arc<Vec<u64>>,
}

struct GivenStream {
    service_ns: Arc<Vec<u64>>,
    clock_ns: u64,
}

struct GivenSequence<'a> {
    stream: &'a mut GivenStream,
}

impl Engine for Given {
    fn info(&self) -> EngineInfo {
        EngineInfo::default()
    }

    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure> {
        unreachable!("it serves by streams alone")
    }

    fn streams(&mut self, count: usize) -> Result<Vec<Box<dyn Stream + '_>>, Failure> {
        let stream = |_| GivenStream { service_ns: Arc::clone(&self.service_ns), clock_ns: 0 };
        Ok((0..count).map(|number| Box::new(stream(number)) as Box<dyn Stream>).collect())
    }

    fn simulates_time(&self) -> bool {
        true
    }
}

impl Stream for GivenStream {
    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure> {
        Ok(Box::new(GivenSequence { stream: self }))
    }

    fn now_ns(&self) -> u64 {
        self.clock_ns
    }

    fn pass_until(&mut self, ns: u64) {
        self.clock_ns = self.clock_ns.max(ns);
    }
}

impl Sequence for GivenSequence<'_> {
    fn forward(&mut self, tokens: &[u32]) -> Result<&[f32], Failure> {
        self.stream.clock_ns += self.stream.service_ns[tokens[0] as usize];
        Ok(&[1.0, 0.0])
    }

    fn now_ns(&self) -> u64 {
        self.stream.clock_ns
    }
}

fn open(due_ns: Vec<u64>) -> Arrivals {
    Arrivals::Open { due_ns, patience_ns: u64::MAX, give_up: None }
}

/// Serves requests of given times by so many streams.
fn served(streams: u32, arrivals: Arrivals, service_ns: Vec<u64>) -> Vec<Served> {
    let order = |place| Order { prompt: vec![place], tokens: 1, ..Order::default() };
    let orders = (0..service_ns.len() as u32).map(order).collect();
    let mut engine = Given { service_ns: Arc::new(service_ns) };
    serve(&mut engine, &Job { orders, streams, arrivals }).unwrap().1
}

#[test]
fn each_request_begins_when_a_simulation_of_events_says() {
    let cases = reference("schedules");
    assert_eq!(cases.len(), 5);
    for case in cases {
        let streams = case["servers"].as_u64().unwrap() as u32;
        let due = numbers(&case, "due");
        let found = served(streams, open(due.clone()), numbers(&case, "service"));
        let begins: Vec<u64> = found.iter().map(|request| request.start_ns).collect();
        assert_eq!(begins, numbers(&case, "begins"), "{streams} streams");
        let arrivals: Vec<u64> = found.iter().map(|request| request.arrival_ns).collect();
        assert_eq!(arrivals, due);
        let busy: BTreeSet<u32> = found.iter().map(|request| request.stream).collect();
        assert_eq!(busy.len(), streams as usize);
    }
}

/// The mean of what hangs together, and its standard error by the means of twenty batches.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let batches: Vec<f64> = values.chunks(values.len() / 20).map(stats::mean).collect();
    (stats::mean(values), stats::standard_deviation(&batches) / (batches.len() as f64).sqrt())
}

/// The mean wait of a queue agrees with the formulas of Pollaczek and Khinchine (fixed service) and Erlang (exponential).
#[test]
fn mean_waits_agree_with_queueing_theory() {
    const REQUESTS: u64 = 150_000;
    let cases = reference("mean_waits");
    assert_eq!(cases.len(), 9);
    for case in cases {
        let number = |key: &str| case[key].as_f64().unwrap();
        let streams = case["servers"].as_u64().unwrap() as u32;
        let due = poisson(number("rate"), Length::Requests(REQUESTS), 3);
        let found = if case["service"] == "fixed" {
            let script = json!({ "prefill_ms": 1000.0, "token_ms": 0.0 });
            let mut engine = scripted_engine(script);
            let order = Order { prompt: vec![65], tokens: 1, ..Order::default() };
            let job = Job { orders: vec![order], streams, arrivals: open(due) };
            serve(engine.as_mut(), &job).unwrap().1
        } else {
            let mut random = ChaCha8Rng::seed_from_u64(4);
            let mut draw = || -(1.0 - random.random_range(0.0..1.0f64)).ln();
            let service = (0..REQUESTS).map(|_| (draw() * SECOND as f64) as u64).collect();
            served(streams, open(due), service)
        };
        let wait = |request: &Served| (request.start_ns - request.arrival_ns) as f64 * 1e-9;
        let (mean, error) = mean_and_error(&found.iter().map(wait).collect::<Vec<_>>());
        let expected = number("wait");
        assert!(error < 0.08 * expected, "{case}: {error}");
        assert!((mean - expected).abs() < 4.0 * error, "{case}: {mean} with error {error}");
    }
}

fn scripted_engine(script: Value) -> Box<dyn Engine> {
    let options = BTreeMap::from([("script".to_string(), script)]);
    let spec = LoadSpec { engine: "scripted".into(), options, ..LoadSpec::default() };
    engine::load(&spec).map_err(|error| error.failure.message).unwrap()
}

/// One request of two hundred stalls for five seconds while others arrive. They are charged from their arrival: a closed loop, or a
/// clock that starts with the service, has one slow request and hides the rest (coordinated omission).
#[test]
fn a_stalled_server_is_charged_from_the_intended_arrival() {
    let due: Vec<u64> = (0..200).map(|place| place * SECOND / 20).collect();
    let mut service = vec![SECOND / 100; 200];
    service[10] = 5 * SECOND;
    let found = served(1, open(due), service.clone());
    let slow = |time: fn(&Served) -> u64| found.iter().filter(|one| time(one) > SECOND).count();
    assert_eq!(slow(|one| one.token_ns[0]), 1, "by service alone");
    // The k-th behind the stalled one arrives 50 ms k later, and begins when those between, of 10 ms each, are done.
    let behind = (0..).take_while(|k| 5.0 - 0.05 * f64::from(*k) + 0.01 * f64::from(*k) > 1.0);
    let expected = behind.count();
    assert_eq!(slow(|one| one.start_ns + one.token_ns[0] - one.arrival_ns), expected);
    assert_eq!(expected, 100);
    // The same server under a closed loop: the others just come later.
    let closed = Arrivals::Closed { until_ns: u64::MAX, most: 200 };
    let found = served(1, closed, service);
    let latency = |one: &&Served| one.start_ns + one.token_ns[0] - one.arrival_ns > SECOND;
    assert_eq!((found.len(), found.iter().filter(latency).count()), (200, 1));
}

#[test]
fn who_waits_for_too_long_is_not_served_and_a_probe_is_given_up() {
    let due: Vec<u64> = (0..10).map(|place| place * SECOND / 10).collect();
    let patience = Arrivals::Open { due_ns: due.clone(), patience_ns: SECOND, give_up: None };
    let found = served(1, patience, vec![SECOND; 10]);
    assert_eq!(found.len(), 10);
    let failed: Vec<&Served> = found.iter().filter(|one| one.failure.is_some()).collect();
    assert!(
        !failed.is_empty()
            && failed.iter().all(|one| {
                let failure = one.failure.as_ref().unwrap();
                failure.class == FailureClass::Deadline
                    && failure.message.contains("free stream")
                    && one.start_ns - one.arrival_ns > SECOND
                    && one.tokens.is_empty()
            }),
        "{failed:?}"
    );
    let give_up = Some(GiveUp { limit_ns: SECOND, late: 3 });
    let given_up = Arrivals::Open { due_ns: due, patience_ns: u64::MAX, give_up };
    let found = served(1, given_up, vec![SECOND; 10]);
    assert_eq!(found.len(), 4, "the first is in time, and three late ones are enough");
}

#[test]
fn a_closed_loop_of_fixed_times_comes_to_what_they_make() {
    for streams in [1, 2, 4] {
        let closed = Arrivals::Closed { until_ns: 10 * SECOND, most: u64::MAX };
        let found = served(streams, closed, vec![SECOND / 4; 7]);
        assert_eq!(found.len(), 40 * streams as usize);
        let of_stream = |stream| found.iter().filter(move |one| one.stream == stream).count();
        assert!((0..streams).all(|stream| of_stream(stream) == 40));
        assert!(found.iter().all(|one| one.start_ns == one.arrival_ns));
    }
}

/// An engine whose requests go on only once as many run at the same time as there are streams.
struct Together {
    meet: Barrier,
}

struct TogetherStream<'a>(&'a Together);

impl Engine for Together {
    fn info(&self) -> EngineInfo {
        EngineInfo::default()
    }

    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure> {
        unreachable!("it serves by streams alone")
    }

    fn streams(&mut self, count: usize) -> Result<Vec<Box<dyn Stream + '_>>, Failure> {
        let this = &*self;
        Ok((0..count).map(|_| Box::new(TogetherStream(this)) as Box<dyn Stream + '_>).collect())
    }
}

impl Stream for TogetherStream<'_> {
    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure> {
        Ok(Box::new(TogetherStream(self.0)))
    }
}

impl Sequence for TogetherStream<'_> {
    fn forward(&mut self, tokens: &[u32]) -> Result<&[f32], Failure> {
        self.0.meet.wait();
        assert!(tokens[0] != 13, "unlucky");
        Ok(&[0.0, 1.0])
    }
}

#[test]
fn threads_serve_at_the_same_time_and_a_panic_is_one_failed_request() {
    let mut engine = Together { meet: Barrier::new(3) };
    let order = |place| Order { prompt: vec![place], tokens: 1, ..Order::default() };
    let orders = [1, 2, 13].map(order).to_vec();
    let arrivals = open((0..9).collect());
    let (_, found) = serve(&mut engine, &Job { orders, streams: 3, arrivals }).unwrap();
    let numbers: Vec<u64> = found.iter().map(|one| one.index).collect();
    assert_eq!(numbers, (0..9).collect::<Vec<_>>(), "each once, in order");
    for one in &found {
        assert!(one.start_ns >= one.arrival_ns);
        match one.index % 3 {
            2 => assert!(one.failure.as_ref().unwrap().message.contains("unlucky"), "{one:?}"),
            _ => assert_eq!((one.tokens.len(), one.failure.as_ref()), (1, None)),
        }
    }
    let nothing = Job { streams: 1, ..Job::default() };
    assert!(serve(&mut engine, &nothing).unwrap_err().message.contains("at least one order"));
}

#[test]
fn ranks_and_trends_agree_with_scipy() {
    let cases = reference("ranks");
    assert_eq!(cases.len(), 54);
    for case in cases {
        let number = |key: &str| case[key].as_f64().unwrap();
        let count = case["count"].as_u64().unwrap();
        let found = stats::quantile_ranks(count, number("p"), number("alpha"), 1.0);
        assert_eq!(found, [case["lower"].as_u64(), case["upper"].as_u64()], "{case}");
    }
    let cases = reference("clusters");
    assert_eq!(cases.len(), 8);
    for case in cases {
        let values: Vec<f64> =
            case["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let (found, expected) = (stats::cluster_effect(&values), case["effect"].as_f64().unwrap());
        assert!((found / expected - 1.0).abs() < 1e-9, "{found} is not {expected}");
    }
    let cases = reference("trends");
    assert_eq!(cases.len(), 10);
    for case in cases {
        let number = |key: &str| case[key].as_f64().unwrap();
        let values: Vec<f64> =
            case["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let found = stats::trend(&values, number("alpha")).unwrap();
        for (found, expected) in [(found.point, "point"), (found.low, "low"), (found.high, "high")]
        {
            assert!((found - number(expected)).abs() < 1e-9, "{expected} {found}: {case}");
        }
    }
}

const SUSTAINED: &str = "[sustained]\nminutes = 5\n";
const CONCURRENCY: &str = "[concurrency]\nstreams = [2, 1]\nseconds = 6\n";

/// Two variants whose answers of five tokens take 30 ms, and the second as much more as is said.
fn config(load: &str, more: &str) -> String {
    scripted(
        2,
        &format!(
            "{load}[variants.base]\nengine = \"scripted\"\n[variants.other]\nengine = \"scripted\"\n\
             script = {{ token_ms = 5{more} }}\n"
        ),
    )
}

const RULES: &str = "[rules]\nlatency = \"50%\"\n";

fn project(load: &str, more: &str) -> Project {
    Project::new(&config(load, more), RULES)
}

fn loads(project: &Project) -> Vec<Load> {
    project.combined().parts.remove(0).load
}

fn of_kind<'a>(loads: &'a [Load], kind: LoadKind, variant: &str) -> Vec<&'a Load> {
    loads.iter().filter(|load| load.kind == kind && load.variant == variant).collect()
}

#[test]
fn five_minutes_of_load_show_which_variant_becomes_slower() {
    // A tenth more after five minutes.
    let project = project(SUSTAINED, ", drift_per_hour = 1.2");
    let run = project.check();
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let loads = loads(&project);
    for variant in ["base", "other"] {
        let blocks = of_kind(&loads, LoadKind::Sustained, variant);
        assert_eq!(blocks.len(), 30);
        assert!(blocks.iter().enumerate().all(|(at, block)| block.number as usize == at + 1));
        assert!(blocks.iter().all(|block| block.streams == 1 && block.pid == blocks[0].pid));
    }
    let order: Vec<&str> = loads.iter().take(4).map(|load| load.variant.as_str()).collect();
    assert_eq!(order, ["base", "other", "other", "base"], "they take turns");
    let base = of_kind(&loads, LoadKind::Sustained, "base");
    // Ten seconds of 30 ms each, the last one served to its end.
    assert!(base.iter().all(|block| block.requests.len() == 334), "{}", base[0].requests.len());
    let part = project.combined().parts.remove(0);
    let [steady, slower] = &verdict::sustained(&part)[..] else { panic!() };
    assert!(steady.drift.unwrap().point.abs() < 1e-9);
    let (drift, beside) = (slower.drift.unwrap(), slower.beside.unwrap());
    assert!(drift.high < -0.08 && drift.low > -0.1, "{drift:?}");
    assert!((drift.point - beside.point).abs() < 1e-9, "the reference stays as it is");
    assert_eq!((steady.stalls.0, steady.failed), (0, 0));
    assert!(steady.memory.is_some());
    for words in ["Sustained load, 5 min of each", "drift beside base", "-9."] {
        assert!(run.stdout.contains(words), "wanted {words:?} in {}", run.stdout);
    }
    assert!(run.stderr.contains("5 min of load, in blocks by turns"), "{}", run.stderr);
    let report = project.run(&["report", "--verbose"]).stdout;
    assert!(report.contains("Sustained load by block"), "{report}");
    let lines = std::fs::read_to_string(project.journal_file().unwrap()).unwrap();
    crate::schema::validate_journal(&lines);
}

#[test]
fn closed_and_open_loops_come_to_what_the_script_makes_of_them() {
    let open = "rates = [20, 100]\np99 = \"500ms\"\n";
    let project = project(&format!("{CONCURRENCY}{open}"), "");
    let run = project.check();
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let all = loads(&project);
    assert_eq!(all.len(), 8);
    let pids: BTreeSet<u32> = all.iter().map(|load| load.pid).collect();
    assert_eq!(pids.len(), 8, "a fresh worker for each");
    for (streams, load) in [1, 2].iter().zip(of_kind(&all, LoadKind::Closed, "base")) {
        assert_eq!((load.streams, load.requests.len()), (*streams, 200 * *streams as usize));
        assert_eq!(load.warmup, 2 * streams);
    }
    let due = |variant: &str| -> Vec<Vec<u64>> {
        let open = of_kind(&all, LoadKind::Open, variant);
        let arrivals = |load: &&Load| load.requests.iter().map(|one| one.arrival_ns).collect();
        open.iter().map(arrivals).collect()
    };
    assert_eq!(due("base"), due("other"), "the same arrivals for each");
    assert_eq!(due("base")[0], poisson(20.0, Length::Seconds(6.0), 0));
    let levels = verdict::levels(&project.combined().parts[0]);
    let of = |rate| levels.iter().find(|level| level.rate == Some(rate)).unwrap();
    // Two streams serve 66.7 a second: 20 hardly wait, 100 wait longer and longer, up to the deadline of 0.7 s.
    let (calm, flooded) = (of(20.0), of(100.0));
    assert!(calm.waiting.unwrap() < 0.01 && (calm.service.unwrap() - 0.03).abs() < 1e-6);
    assert_eq!(calm.late.unwrap().2, Keeps::Unknown, "{} requests", calm.requests);
    assert_eq!(calm.p99_bounds[1], None);
    assert!(flooded.waiting.unwrap() > 0.3 && flooded.failed > 0);
    assert_eq!((flooded.late.unwrap().2, flooded.latency.unwrap()[2]), (Keeps::No, f64::INFINITY));
    for words in ["Closed loop: requests at once", "Open loop: arrivals by chance", "unknown"] {
        assert!(run.stdout.contains(words), "wanted {words:?} in {}", run.stdout);
    }
    let json = project.run(&["report", "--format", "json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let figure = |id: &str| {
        let figures = json["load_figures"].as_array().unwrap();
        figures.iter().find(|one| one["id"] == id && one["variant"] == "base").cloned()
    };
    let rate = figure("requests-per-second-streams-2").unwrap()["value"].as_f64().unwrap();
    assert!((rate - 400.0 / 6.0).abs() < 1e-6, "{rate}");
    let bmf = project.run(&["report", "--format", "bmf"]).stdout;
    assert!(bmf.contains("tokens-per-second-streams-2"), "{bmf}");
    for (format, words) in [
        ("markdown", "### Load"),
        ("html", "<h2>Load</h2>"),
        ("benchmark-bigger", "base: tokens/s, 2 streams"),
        ("benchmark-smaller", "base: latency P90, 20 arrivals/s"),
    ] {
        let text = project.run(&["report", "--format", format]).stdout;
        assert!(text.contains(words), "{format}: {text}");
    }
}

#[test]
fn a_search_says_at_which_rate_the_tail_is_kept_and_when_its_time_is_too_short() {
    let search = "servers = 2\np99 = \"100ms\"\nsearch = true\nsearch_seconds = 120\n";
    let project = project(&format!("{CONCURRENCY}{search}"), "");
    let run = project.run(&["run", "--only", "load"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let part = project.combined().parts.remove(0);
    let found = verdict::searches(&part);
    assert_eq!(found.len(), 2);
    let search = found[0].search.as_ref().unwrap();
    assert!(search.probes >= 3 && search.seconds >= 0.0, "{search:?}");
    assert!(search.shown > 20.0 && search.not_shown > search.shown, "{search:?}");
    assert!(search.not_shown <= 2.0 / 0.03 + 1e-6, "two streams serve no more");
    assert_eq!(found[0].search, found[1].search, "the same script, the same arrivals");
    let probes = of_kind(&part.load, LoadKind::Probe, "base");
    for probe in &probes {
        assert!(probe.arrivals >= Some(299), "{:?}", probe.arrivals);
        let kept = probe.rate.unwrap() <= search.shown;
        let tail = Tail::of(probe, SECOND / 10);
        assert_eq!(tail.keeps() == Keeps::Yes, kept, "{tail:?} at {:?}", probe.rate);
    }
    assert!(run.stdout.contains("Highest arrival rate with a P99 of at most 100 ms"));
    let short = config(
        &format!("{CONCURRENCY}servers = 2\np99 = \"100ms\"\nsearch = true\nsearch_seconds = 5\n"),
        "",
    );
    project.write("perfgate.toml", &short);
    let run = project.run(&["run", "--only", "load"]);
    assert!(run.stdout.contains("5 s left, and the next probe, of 299"), "{}", run.stdout);
}

#[test]
fn the_limit_is_that_of_the_rule_unless_it_is_given() {
    let rules = "[rules]\nlatency-p99 = { metric = \"latency\", statistic = \"p99\", max = \"2 s\" }\n\
                 latency = \"50%\"\n";
    let load = format!("{CONCURRENCY}search = true\nsearch_seconds = 1\n");
    let project = Project::new(&config(&load, ""), rules);
    let run = project.check();
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let plan = project.combined().parts[0].header.plan.load.clone().unwrap();
    assert_eq!(plan.concurrency.unwrap().p99, Some(2.0));
    let run = project.run(&["run"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("perfgate.toml:12:1: the search needs a limit"), "{}", run.stderr);
    assert!(run.stderr.contains("`perfgate run` reads no rules"), "{}", run.stderr);
}

#[test]
fn a_worker_that_dies_under_load_ends_its_load_and_nothing_else() {
    // Two workers of each variant come before: the rounds', with six requests. The seventh is under load.
    let crash = ", faults = [{ kind = \"crash\", request = 500 }]";
    let project = project(&format!("{SUSTAINED}{CONCURRENCY}"), crash);
    let run = project.check();
    assert_eq!(run.code, 0, "rules are not on load: {}{}", run.stdout, run.stderr);
    let all = loads(&project);
    let other = of_kind(&all, LoadKind::Sustained, "other");
    assert_eq!(other.len(), 2, "two of the first block's 334 requests and more");
    assert_eq!(other[1].failure.as_ref().unwrap().class, FailureClass::Crash);
    assert_eq!(of_kind(&all, LoadKind::Sustained, "base").len(), 30);
    for words in ["ended early", "after block 1: crash", "other: 1 loads as a whole failed (crash)"]
    {
        assert!(run.stdout.contains(words), "wanted {words:?} in {}", run.stdout);
    }
    let error = ", faults = [{ kind = \"error\", request = 20 }]";
    project.write("perfgate.toml", &config(CONCURRENCY, error));
    let run = project.check();
    let failed = |load: &&Load| load.requests.iter().filter(|one| one.failure.is_some()).count();
    let all = loads(&project);
    let counts: Vec<usize> = of_kind(&all, LoadKind::Closed, "other").iter().map(failed).collect();
    assert_eq!(counts, [1, 1], "one request of each load");
    assert!(run.stdout.contains("2 requests under load failed (error)"), "{}", run.stdout);
}

#[test]
fn what_was_measured_under_load_is_not_measured_again() {
    // The rounds' worker has six requests; 3 streams are warmed by six.
    let hang = ", faults = [{ kind = \"hang\", request = 605 }]";
    let long = |config: String| config.replace("700ms", "10min");
    let load = CONCURRENCY.replace("[2, 1]", "[1, 2, 3]");
    let project = Project::new(&long(config(&load, hang)), RULES);
    let child = project.command(&["check"]).spawn().unwrap();
    let done = |entries: &[Entry]| entries.iter().filter(|e| matches!(e, Entry::Load(_))).count();
    // Of three streams other is the first or the second.
    project.await_journal(|entries| (done(entries) >= 4).then_some(()));
    signal(child.id(), rustix::process::Signal::INT);
    let run = finished(child.wait_with_output().unwrap());
    assert_eq!(run.code, 2, "{}", run.stderr);
    let before: Vec<u32> = project
        .journal()
        .into_iter()
        .filter_map(|entry| if let Entry::Load(load) = entry { Some(load.pid) } else { None })
        .collect();
    // The configuration has to stay, so the fault does too; it is the deadline that ends it now.
    assert!((4..6).contains(&before.len()), "{before:?}");
    let child = project.command(&["check", "--resume"]).spawn().unwrap();
    project.await_journal(|entries| {
        entries.iter().any(|entry| matches!(entry, Entry::Resume { .. })).then_some(())
    });
    let more = |entries: &[Entry]| {
        let spawned = entries.iter().rposition(|e| matches!(e, Entry::Spawn { round: 0, .. }))?;
        let resumed = entries.iter().position(|e| matches!(e, Entry::Resume { .. }))?;
        (spawned > resumed).then_some(resumed)
    };
    let resumed = project.await_journal(more);
    signal(child.id(), rustix::process::Signal::INT);
    finished(child.wait_with_output().unwrap());
    let again = project.journal()[resumed..]
        .iter()
        .filter(|entry| matches!(entry, Entry::Load(load) if load.streams < 3))
        .count();
    assert_eq!(again, 0, "loads of one and two streams were there");
}

#[test]
fn load_alone_leaves_the_rules_open_and_the_rest_leaves_the_load_out() {
    let project = project(CONCURRENCY, "");
    let run = project.run(&["check", "--only", "load"]);
    assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
    let results = project.combined();
    assert!(results.parts[0].rounds.is_empty());
    assert_eq!(results.parts[0].load.len(), 4);
    let verdict = &results.judgement.unwrap().verdicts[0];
    assert_eq!(verdict.verdict, VerdictKind::Inconclusive);
    assert!(verdict.reason.contains("--only load"), "{}", verdict.reason);
    let run = project.run(&["check", "--only", "timing"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(loads(&project).is_empty());
    let plan = project.run(&["check", "--only", "load", "--dry-run"]).stdout;
    assert!(plan.contains("load by 1, 2 streams on each of base, other"), "{plan}");
    assert!(plan.contains("time: 24 s of load"), "{plan}");
    project.write("perfgate.toml", &config("", ""));
    let run = project.run(&["run", "--only", "load"]);
    assert!(run.stderr.contains("there is no load to measure alone"), "{}", run.stderr);
}

#[test]
fn a_run_of_some_variants_replaces_their_load_alone() {
    let project = project(CONCURRENCY, "");
    assert_eq!(project.run(&["run"]).code, 0);
    let before = loads(&project);
    let run = project.run(&["run", "other", "--only", "load"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let parts = project.combined().parts;
    assert_eq!(parts.len(), 2);
    assert_eq!(
        parts[0].load,
        of_kind(&before, LoadKind::Closed, "base").into_iter().cloned().collect::<Vec<_>>()
    );
    assert!(parts[1].load.iter().all(|load| load.variant == "other") && parts[1].load.len() == 2);
}

fn refused(load: &str) -> Run {
    let run = project(load, "").check();
    assert_eq!(run.code, 2, "{load}: {}", run.stdout);
    run
}

#[test]
fn mistakes_name_the_place() {
    let concurrency = |line: &str| format!("[concurrency]\n{line}\nseconds = 6\n");
    let cases = [
        ("[sustained]\n".to_string(), "9:1: the key 'minutes' is missing in [sustained]"),
        (
            "[sustained]\nminutes = 0\n".to_string(),
            "10:11: 'sustained.minutes' is 0; it should be above 0",
        ),
        ("[sustained]\nminutes = \"5min\"\n".to_string(), "'sustained.minutes' should be a number"),
        ("[sustained]\nminutes = 5\nvariants = [\"oter\"]\n".to_string(), "did you mean 'other'?"),
        (
            "[sustained]\nminutes = 5\nblocks = 3\n".to_string(),
            "unknown key 'blocks' in [sustained]",
        ),
        (
            concurrency("streams = [0]"),
            "10:12: 'concurrency.streams' is 0; it should be between 1 and 256",
        ),
        (concurrency("streams = [2, 2]"), "10:11: 2 stands twice in 'concurrency.streams'"),
        (concurrency("streams = []"), "'concurrency.streams' is empty"),
        (concurrency("rates = [-1]"), "'concurrency.rates' is -1; it should be above 0"),
        (concurrency("p99 = 2"), "'concurrency.p99' should be a string"),
        (concurrency("search = \"yes\""), "'concurrency.search' should be true or false"),
        (concurrency("search = false\nsearch_seconds = 5"), "does nothing without a search"),
        (concurrency("search = true"), "10:1: the search needs a limit of the latency's P99"),
        (concurrency("variants = [\"base\"]"), "[concurrency] asks for no load"),
        ("[concurrency]\nstreams = [1]\n".to_string(), "the key 'seconds' is missing"),
    ];
    for (load, expected) in cases {
        let run = refused(&load);
        assert!(run.stderr.contains("perfgate.toml:"), "{}", run.stderr);
        assert!(run.stderr.contains(expected), "wanted {expected:?} in {}", run.stderr);
        assert!(run.stderr.contains("help: "), "{}", run.stderr);
    }
}

#[test]
fn a_worker_that_serves_one_at_a_time_says_so() {
    let hello = r#"{"reply":"hello","protocol":1,"capabilities":["load","generate"]}"#;
    let script = format!("echo '{hello}' >&$PERFGATE_WORKER_FD; sleep 10");
    let launch =
        Launch { program: "bash".into(), arguments: vec!["-c".to_string(), script], threads: 1 };
    let mut worker = Worker::spawn(&launch).unwrap();
    let (deadline, interrupt) = (Duration::from_secs(10), Interrupt::default());
    worker.hello(deadline, &interrupt).unwrap();
    let found = worker.serve(&Job::default(), deadline, &interrupt);
    let Err(Stop::Failed(failure)) = found else { panic!("{found:?}") };
    assert_eq!(failure.class, FailureClass::Unsupported);
    assert!(worker.alive(), "it was not even asked");
}

fn real(engine: &str, name: &str, streams: u32) -> LoadSpec {
    let properties = [("INFERENCE_PRECISION_HINT", "f32"), ("KV_CACHE_PRECISION", "f16")];
    let openvino = engine == "openvino";
    let properties = properties.iter().filter(|_| openvino);
    LoadSpec {
        engine: engine.into(),
        model: model(name),
        threads: 2,
        streams,
        root: root(),
        properties: properties.map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        ..LoadSpec::default()
    }
}

/// Streams of the real engines on the real model come to the tokens of single requests, whatever runs beside them.
#[test]
fn real_answers_of_streams_are_those_of_single_requests() {
    let tokenizer =
        perfgate::workload::load_tokenizer(&model("fp16").join("tokenizer.json")).unwrap();
    let order = |text: &str| Order {
        prompt: tokenizer.encode(text, false).unwrap().get_ids().to_vec(),
        tokens: 6,
        ..Order::default()
    };
    let orders = ["The capital of France is", "1, 2, 3, 4,", "Once upon a time"].map(order);
    for (name, folder) in [("openvino", "ov-fp16"), ("openvino", "ov-int8"), ("candle", "fp16")] {
        let mut engine =
            engine::load(&real(name, folder, 2)).map_err(|error| error.failure.message).unwrap();
        if name == "openvino" {
            assert_eq!(engine.info().properties["NUM_STREAMS"], "2", "{folder}");
        }
        let alone: Vec<Vec<u32>> =
            orders.iter().map(|order| generate(engine.as_mut(), order).unwrap().tokens).collect();
        let arrivals = Arrivals::Closed { until_ns: u64::MAX, most: 9 };
        let job = Job { orders: orders.to_vec(), streams: 2, arrivals };
        let (_, found) = serve(engine.as_mut(), &job).unwrap();
        assert_eq!(found.len(), 9, "{folder}");
        for one in &found {
            assert_eq!(one.failure, None, "{folder}");
            assert_eq!(one.tokens, alone[(one.index % 3) as usize], "{folder}, {}", one.index);
            assert!(one.token_ns.is_sorted() && one.token_ns.len() == 6);
        }
        let streams: BTreeSet<u32> = found.iter().map(|one| one.stream).collect();
        assert_eq!(streams.len(), 2, "{folder}: both served");
        let overlap = |pair: &[Served]| pair[1].start_ns < pair[0].start_ns + pair[0].token_ns[5];
        assert!(found.windows(2).any(overlap), "{folder}: at the same time");
    }
}

#[test]
fn the_real_model_goes_through_all_of_it() {
    let folder = |name: &str| model(name).display().to_string();
    let variants = [("fp16-ov", "ov-fp16"), ("int8", "ov-int8")].map(|(name, of)| {
        format!(
            "[variants.{name}]\nengine = \"openvino\"\nmodel = \"{}\"\nthreads = 2\n\
             tokenizer = \"{}/tokenizer.json\"\nruntime = \"{}/runtimes/openvino-2026.4.1\"\n",
            folder(of),
            folder("fp16"),
            root().display()
        )
    });
    let config = format!(
        "[workload]\ntasks = \"tasks.jsonl\"\nprompt_tokens = 8\ngen_tokens = 3\n\
         [session]\nrounds = 1\nwarmup = 1\n[sustained]\nminutes = 0.005\nvariants = [\"int8\"]\n\
         [concurrency]\nstreams = [1, 2]\nseconds = 0.5\nrates = [4]\n{}",
        variants.concat()
    );
    let project = Project::new(&config, RULES);
    let run = project.run(&["run", "--only", "load"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let all = loads(&project);
    assert!(all.iter().all(|load| load.failure.is_none()), "{}", run.stdout);
    assert_eq!(of_kind(&all, LoadKind::Sustained, "int8").len(), 30);
    assert!(of_kind(&all, LoadKind::Sustained, "fp16-ov").is_empty());
    for variant in ["fp16-ov", "int8"] {
        let streams: Vec<(u32, String)> = of_kind(&all, LoadKind::Closed, variant)
            .iter()
            .map(|load| {
                let engine = load.engine.as_ref().unwrap();
                assert!(load.requests.len() >= load.streams as usize);
                assert!(load.memory_after.is_some());
                (load.streams, engine.properties["NUM_STREAMS"].clone())
            })
            .collect();
        assert_eq!(streams, [(1, "1".to_string()), (2, "2".to_string())]);
        let open = of_kind(&all, LoadKind::Open, variant);
        let due = poisson(4.0, Length::Seconds(0.5), 0);
        let found: Vec<u64> = open[0].requests.iter().map(|one| one.arrival_ns).collect();
        assert_eq!(found, due);
        assert!(open[0].requests.iter().all(|one| one.tokens.len() == 3));
    }
}
