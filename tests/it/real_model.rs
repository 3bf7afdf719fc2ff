//! The real engines on the real model that `scripts/setup.sh` makes.

use crate::support::{Project, finished, holds, model, root};
use perfgate::engine::{self, Engine, Generation, Sequence};
use perfgate::protocol::{LoadSpec, Order, monotonic_ns};
use perfgate::record::{
    EngineInfo, Entry, Failure, FailureClass, PageCache, Phase, Request, Sampling, VerdictKind,
    WorkerRun,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

fn spec(engine: &str, name: &str) -> LoadSpec {
    LoadSpec {
        engine: engine.to_string(),
        model: model(name),
        threads: 2,
        root: root(),
        ..LoadSpec::default()
    }
}

fn option(key: &str, value: &str) -> BTreeMap<String, serde_json::Value> {
    BTreeMap::from([(key.to_string(), value.into())])
}

fn openvino(name: &str) -> LoadSpec {
    let properties = BTreeMap::from([
        ("INFERENCE_PRECISION_HINT".to_string(), "f32".to_string()),
        ("KV_CACHE_PRECISION".to_string(), "f16".to_string()),
    ]);
    LoadSpec { properties, ..spec("openvino", name) }
}

fn prompt(text: &str) -> Vec<u32> {
    let tokenizer = perfgate::workload::load_tokenizer(&model("fp16").join("tokenizer.json"));
    tokenizer.unwrap().encode(text, false).unwrap().get_ids().to_vec()
}

fn decode(tokens: &[u32]) -> String {
    let tokenizer = perfgate::workload::load_tokenizer(&model("fp16").join("tokenizer.json"));
    tokenizer.unwrap().decode(tokens, false).unwrap()
}

const QUESTION: &str =
    "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n";

fn loaded(spec: &LoadSpec) -> Box<dyn Engine> {
    engine::load(spec).map_err(|error| error.failure.message).unwrap()
}

fn order(text: &str, count: usize) -> Order {
    Order { prompt: prompt(text), tokens: count as u32, ..Order::default() }
}

fn answer(spec: &LoadSpec, count: usize) -> Generation {
    let mut engine = loaded(spec);
    let order = order(QUESTION, count);
    let first = engine::generate(engine.as_mut(), &order).unwrap();
    let second = engine::generate(engine.as_mut(), &order).unwrap();
    assert_eq!(first.tokens, second.tokens, "a request leaves nothing behind for the next");
    assert_eq!(first.tokens.len(), count, "the end of sequence is ignored");
    assert!(first.token_ns.is_sorted_by(|a, b| a < b), "{:?}", first.token_ns);
    first
}

#[test]
fn the_engines_agree_on_the_answer() {
    let candle = answer(&spec("candle", "fp16"), 24);
    let text = decode(&candle.tokens);
    assert!(text.starts_with("The capital of France is Paris."), "{text}");
    assert_eq!(answer(&openvino("ov-fp16"), 24).tokens, candle.tokens);
    let int8 = decode(&answer(&openvino("ov-int8"), 24).tokens);
    assert!(int8.starts_with("The capital of France is Paris."), "{int8}");
    let f32 = LoadSpec { options: option("dtype", "f32"), ..spec("candle", "fp16") };
    assert_eq!(answer(&f32, 12).tokens, candle.tokens[..12]);
}

/// The logits behind a prompt and the tokens fed after it, one at a time.
fn logits_after(engine: &mut dyn Engine, prompt: &[u32], fed: &[u32]) -> Vec<f32> {
    let mut sequence = engine.begin().unwrap();
    let mut logits = sequence.forward(prompt).unwrap().to_vec();
    for token in fed {
        logits = sequence.forward(&[*token]).unwrap().to_vec();
    }
    logits
}

/// Two engines say the same, token by token; where they part, both hold the two tokens for equally
/// good within what 16-bit arithmetic leaves open.
#[test]
fn candle_and_openvino_agree_on_greedy_tokens_or_part_at_a_near_tie() {
    let texts = [
        "The capital of France is",
        "Once upon a time there was a",
        "def fibonacci(n):\n    ",
        "Water boils at a temperature of",
        "The three primary colors are",
        "Dear Sir or Madam,\n\nI am writing to",
        "1, 2, 3, 5, 8, 13,",
        "The quick brown fox",
        "In 1969, the first humans",
        "To make pancakes you need",
        "The mitochondria is",
        "SELECT name FROM users WHERE",
        "Shakespeare wrote the play",
        "The opposite of hot is",
        "A triangle has three",
        "Photosynthesis is the process by which",
        "The largest planet in our solar system",
        "My favourite season is autumn because",
        "<|im_start|>user\nName a fruit.<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n",
        "{\"name\": \"Ada\", \"born\": 1815, \"",
        "Q: What is the chemical symbol of gold?\nA:",
    ];
    let (mut candle, mut openvino) =
        (loaded(&spec("candle", "fp16")), loaded(&openvino("ov-fp16")));
    let mut parted = 0;
    for text in texts {
        let order = order(text, 32);
        let ours = engine::generate(candle.as_mut(), &order).unwrap().tokens;
        let theirs = engine::generate(openvino.as_mut(), &order).unwrap().tokens;
        let Some(place) = ours.iter().zip(&theirs).position(|(a, b)| a != b) else { continue };
        parted += 1;
        for engine in [candle.as_mut(), openvino.as_mut()] {
            let logits = logits_after(engine, &order.prompt, &ours[..place]);
            let (a, b) = (logits[ours[place] as usize], logits[theirs[place] as usize]);
            let gap = (a - b).abs();
            println!("{text:?} parts at token {place}: logits {a} and {b}");
            assert!(gap < 0.05, "{text:?} at token {place}: {a} and {b} are no near-tie");
        }
    }
    println!("{} of {} prompts agree on all 32 tokens", texts.len() - parted, texts.len());
    assert!(parted <= texts.len() / 4, "{parted} of {} part", texts.len());
}

#[test]
fn a_seed_draws_the_same_tokens_again_and_another_seed_others() {
    let mut engine = loaded(&openvino("ov-int8"));
    let sampling = Sampling { temperature: 0.9, top_k: Some(40), top_p: Some(0.95) };
    let mut draw = |seed: u64| {
        let order = Order { sampling, seed, ..order("Once upon a time", 24) };
        engine::generate(engine.as_mut(), &order).unwrap().tokens
    };
    let first = draw(1);
    assert_eq!(first, draw(1));
    assert_ne!(first, draw(2));
    // The sampler is the same for both engines: where their logits agree, so do the tokens.
    let (mut candle, mut openvino) =
        (loaded(&spec("candle", "fp16")), loaded(&openvino("ov-fp16")));
    let mut same = 0;
    for seed in 0..6 {
        let order = Order { sampling, seed, ..order("The best thing about dogs is", 16) };
        let ours = engine::generate(candle.as_mut(), &order).unwrap().tokens;
        let theirs = engine::generate(openvino.as_mut(), &order).unwrap().tokens;
        same += usize::from(ours == theirs);
    }
    println!("{same} of 6 seeds draw the same 16 tokens in both engines");
    assert!(same >= 5, "{same} of 6 seeds");
}

#[test]
fn generation_stops_at_the_end_of_sequence_where_it_is_asked_to() {
    let mut engine = loaded(&openvino("ov-int8"));
    let end = prompt("<|im_end|>");
    let stopped = Order { stop: end.clone(), ..order(QUESTION, 64) };
    let tokens = engine::generate(engine.as_mut(), &stopped).unwrap().tokens;
    assert_eq!(tokens.last(), Some(&end[0]), "{}", decode(&tokens));
    assert!(tokens.len() < 64);
    assert!(decode(&tokens).starts_with("The capital of France is Paris."));
}

/// Against the IR's own tokenizer, whose ids `scripts/reference_tokens.py` wrote down.
#[test]
fn the_tokenizer_gives_the_ids_of_the_irs_tokenizer() {
    let reference: serde_json::Value =
        serde_json::from_str(include_str!("../reference/tokens.json")).unwrap();
    let tokenizer =
        perfgate::workload::load_tokenizer(&model("ov-fp16").join("tokenizer.json")).unwrap();
    let cases = reference["cases"].as_array().unwrap();
    assert!(cases.len() >= 200, "{}", cases.len());
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let ids: Vec<u64> =
            case["ids"].as_array().unwrap().iter().filter_map(|v| v.as_u64()).collect();
        let found = tokenizer.encode(text, true).unwrap();
        let found: Vec<u64> = found.get_ids().iter().map(|id| u64::from(*id)).collect();
        assert_eq!(found, ids, "{text:?}");
    }
}

/// An engine that notes how long each of its forward passes took.
struct Stopwatch {
    inner: Box<dyn Engine>,
    spans: Rc<RefCell<Vec<u64>>>,
}

struct StopwatchSequence<'a> {
    inner: Box<dyn Sequence + 'a>,
    spans: Rc<RefCell<Vec<u64>>>,
}

impl Engine for Stopwatch {
    fn info(&self) -> EngineInfo {
        self.inner.info()
    }

    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure> {
        let spans = Rc::clone(&self.spans);
        Ok(Box::new(StopwatchSequence { inner: self.inner.begin()?, spans }))
    }
}

impl Sequence for StopwatchSequence<'_> {
    fn forward(&mut self, tokens: &[u32]) -> Result<&[f32], Failure> {
        let start = monotonic_ns();
        let logits = self.inner.forward(tokens)?;
        self.spans.borrow_mut().push(monotonic_ns() - start);
        Ok(logits)
    }
}

/// Held against the passes' own times, not against another run: that would be a race on a busy machine.
#[test]
fn the_slowdown_switch_slows_every_pass_of_the_real_engine() {
    let spans = Rc::new(RefCell::new(Vec::new()));
    let inner = loaded(&openvino("ov-int8"));
    let stopwatch = Stopwatch { inner, spans: Rc::clone(&spans) };
    let mut engine = engine::slowed(Box::new(stopwatch), 0.5);
    let done = engine::generate(engine.as_mut(), &order(QUESTION, 12)).unwrap();
    let spans = spans.borrow();
    assert_eq!((done.token_ns.len(), spans.len()), (12, 12));
    let mut passed = 0.0;
    for (span, stamp) in spans.iter().zip(&done.token_ns) {
        passed += 1.5 * *span as f64;
        assert!(*stamp as f64 >= passed, "a token came after {stamp} ns, {passed} at the earliest");
    }
}

fn load_error(spec: &LoadSpec) -> String {
    match engine::load(spec) {
        Ok(_) => panic!("it loaded: {spec:?}"),
        Err(error) => {
            assert!(error.fatal, "{}", error.failure);
            error.failure.message
        }
    }
}

#[test]
fn what_openvino_cannot_do_is_said_in_a_sentence() {
    let mut unknown = openvino("ov-int8");
    unknown.properties.insert("KV_CACHE_PRECISON".to_string(), "f16".to_string());
    let message = load_error(&unknown);
    assert!(
        message.contains("no property 'KV_CACHE_PRECISON'; the nearest is 'KV_CACHE_PRECISION'")
    );
    let mut refused = openvino("ov-int8");
    refused.properties.insert("KV_CACHE_PRECISION".to_string(), "f17".to_string());
    let message = load_error(&refused);
    assert!(message.contains("OpenVINO refuses KV_CACHE_PRECISION = \"f17\""), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let xml = folder.path().join("openvino_model.xml");
    std::fs::copy(model("ov-int8").join("openvino_model.xml"), &xml).unwrap();
    let no_bin = LoadSpec { model: folder.path().to_path_buf(), ..openvino("ov-int8") };
    assert!(load_error(&no_bin).contains("openvino_model.bin: is missing"));
    std::fs::write(&xml, "<net").unwrap();
    std::fs::write(folder.path().join("openvino_model.bin"), "").unwrap();
    assert!(load_error(&no_bin).contains("cannot read"));
    let nowhere = folder.path().join("nowhere").display().to_string();
    let other = LoadSpec { options: option("runtime", &nowhere), ..openvino("ov-int8") };
    assert!(load_error(&other).contains("nowhere: holds no OpenVINO"));
}

#[test]
fn what_candle_cannot_do_is_said_in_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let spec = LoadSpec { model: folder.path().to_path_buf(), ..spec("candle", "fp16") };
    assert!(load_error(&spec).contains("config.json"));
    let config = std::fs::read_to_string(model("fp16").join("config.json")).unwrap();
    std::fs::write(path("config.json"), &config).unwrap();
    assert!(load_error(&spec).contains("holds neither model.safetensors nor"));
    let weights = std::fs::read(model("fp16").join("model.safetensors")).unwrap();
    std::fs::write(path("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    assert!(load_error(&spec).contains("is no safetensors file, or is cut short"));
    // The same tensors, but the configuration promises more layers.
    std::fs::write(path("model.safetensors"), &weights).unwrap();
    let more = config.replace("\"num_hidden_layers\": 30", "\"num_hidden_layers\": 31");
    assert_ne!(more, config);
    std::fs::write(path("config.json"), more).unwrap();
    assert!(
        load_error(&spec).contains("tensor 'model.layers.30.input_layernorm.weight' is missing")
    );
}

#[test]
fn a_model_in_shards_is_read_by_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::copy(model("fp16").join("config.json"), path("config.json")).unwrap();
    std::os::unix::fs::symlink(model("fp16").join("model.safetensors"), path("part-1.safetensors"))
        .unwrap();
    let index = r#"{"weight_map": {"a": "part-1.safetensors", "b": "part-2.safetensors"}}"#;
    std::fs::write(path("model.safetensors.index.json"), index).unwrap();
    let spec = LoadSpec { model: folder.path().to_path_buf(), ..spec("candle", "fp16") };
    assert!(load_error(&spec).contains("part-2.safetensors, which is missing"));
    // An index names every tensor of its shards.
    let bytes = std::fs::read(path("part-1.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let names = header.keys().filter(|name| *name != "__metadata__");
    let map: BTreeMap<&String, &str> = names.map(|name| (name, "part-1.safetensors")).collect();
    let index = serde_json::json!({ "weight_map": map }).to_string();
    std::fs::write(path("model.safetensors.index.json"), index).unwrap();
    assert_eq!(answer(&spec, 4).tokens.len(), 4);
}

/// A project whose variants are the real INT8 model, under two names.
fn project(gen_tokens: u32, rounds: u32, thresholds: &str) -> Project {
    Project::new(&project_config(gen_tokens, rounds), thresholds)
}

fn project_config(gen_tokens: u32, rounds: u32) -> String {
    let variant = |name: &str| {
        format!(
            "[variants.{name}]\nengine = \"openvino\"\nmodel = {:?}\nruntime = {:?}\nthreads = 2\n\
             chat_template = \"model\"\nproperties = {{ KV_CACHE_PRECISION = \"f16\" }}\n",
            model("ov-int8"),
            root().join("runtimes/openvino-2026.4.1"),
        )
    };
    format!(
        "[workload]\ntasks = \"tasks.jsonl\"\nprompt_tokens = 16\ngen_tokens = {gen_tokens}\n\
         [session]\nrounds = {rounds}\n{}{}",
        variant("left"),
        variant("right"),
    )
}

fn timed(entries: &[Entry]) -> Vec<&Request> {
    let requests = entries.iter().filter_map(|entry| match entry {
        Entry::Request(request) => Some(request),
        _ => None,
    });
    requests.filter(|request| request.phase == Phase::Timed).collect()
}

#[test]
fn a_worker_killed_in_decode_is_a_counted_failure_and_the_check_goes_on() {
    let project =
        project(100, 1, "[rules]\nfailure_rate = { variant = \"right\", max = \"50%\" }\n");
    let child = project.command(&["check"]).spawn().unwrap();
    // Both have answered the first task, and the second is the right one's turn first.
    let (pid, before, first) = project.await_journal(|entries| {
        let timed = timed(entries);
        let pid = entries.iter().find_map(|e| match e {
            Entry::Spawn { variant, pid, .. } if variant == "right" => Some(*pid),
            _ => None,
        })?;
        (timed.len() == 2).then(|| (pid, entries.len(), timed[1].clone()))
    });
    assert_eq!(first.variant, "right");
    // A quarter into its tokens, going by the request before: long after the first token, and far
    // from the last even if the machine has become twice as fast.
    let (ttft, latency) = (first.token_ns[0], *first.token_ns.last().unwrap());
    assert!(latency > 4 * ttft, "{latency} ns and {ttft} ns to the first token");
    std::thread::sleep(std::time::Duration::from_nanos(latency / 4));
    let now = project.journal();
    assert_eq!(now.len(), before, "the request was still under way");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid as i32).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    let run = finished(child.wait_with_output().unwrap());
    let journal = project.journal();
    assert_eq!(journal[..before], now[..], "every earlier sample is kept");
    let requests = project.results().rounds.remove(0).requests;
    let failed: Vec<&Request> = requests.iter().filter(|r| r.failure.is_some()).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    let failure = failed[0].failure.as_ref().unwrap();
    assert_eq!((failed[0].variant.as_str(), failure.class), ("right", FailureClass::Crash));
    assert!(failure.message.contains("SIGKILL"), "{failure}");
    let served = timed(&journal).into_iter().filter(|r| r.variant == "right").count();
    assert_eq!(served, 4, "a new worker served the rest");
    let spawned = journal.iter().filter(|e| matches!(e, Entry::Spawn { .. })).count();
    assert_eq!(spawned, 3, "two workers and one restart");
    assert_eq!(run.code, 3, "1 of 4 proves nothing about 50%: {}", run.stdout);
    assert!(run.stdout.contains("1 of 4 failed"), "{}", run.stdout);
}

/// Strikes the right variant's worker with a signal in its load, in a prefill and in a decode, and
/// returns what the session came to.
fn strike(signal: rustix::process::Signal) -> (Project, crate::support::Run) {
    let config =
        project_config(40, 1).replace("prompt_tokens = 16", "prompt_tokens = 256").replace(
            "rounds = 1",
            "rounds = 1\nrestarts = 3\nload_deadline = \"12s\"\nrequest_deadline = \"8s\"",
        );
    let project =
        Project::new(&config, "[rules]\nfailure_rate = { variant = \"right\", max = \"1%\" }\n");
    let child = project.command(&["check"]).spawn().unwrap();
    let right_pid = |entries: &[Entry]| {
        entries.iter().rev().find_map(|e| match e {
            Entry::Spawn { variant, pid, .. } if variant == "right" => Some(*pid as i32),
            _ => None,
        })
    };
    let send = |pid: i32| {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    };
    // Reading and compiling takes more than a second, and the process's own start far less.
    let loading = project.await_journal(right_pid);
    std::thread::sleep(std::time::Duration::from_millis(300));
    send(loading);
    // The left one's requests tell how long things take here and now.
    let paced = |count: usize| {
        project.await_journal(|entries| {
            let timed = timed(entries);
            let pace = timed.iter().rev().find(|r| r.failure.is_none())?;
            let stamps = (pace.token_ns[0], *pace.token_ns.last()?);
            (timed.len() == count).then(|| (right_pid(entries).unwrap(), stamps))
        })
    };
    // Both have served the first task, and the right one has just begun the second.
    let (pid, (first, _)) = paced(2);
    std::thread::sleep(std::time::Duration::from_nanos(first / 3));
    send(pid);
    // The left one has served the fourth task, and the right one has just begun it.
    let (pid, (first, last)) = paced(7);
    std::thread::sleep(std::time::Duration::from_nanos(first + (last - first) / 3));
    send(pid);
    let run = finished(child.wait_with_output().unwrap());
    (project, run)
}

fn struck(signal: rustix::process::Signal, class: FailureClass, words: &str) {
    let (project, run) = strike(signal);
    let round = project.results().rounds.remove(0);
    let workers: Vec<_> = round.workers.iter().filter(|w| w.variant == "right").collect();
    assert_eq!(workers.len(), 3, "each was struck: {}", run.stderr);
    assert_eq!(workers[0].load_ns, None, "struck in its load");
    let failures = workers.iter().map(|worker| worker.failure.as_ref().unwrap());
    for failure in failures {
        assert_eq!(failure.class, class, "{failure}");
        assert!(failure.message.contains(words), "{failure}");
    }
    let failed: Vec<&str> = round
        .requests
        .iter()
        .filter(|r| r.failure.is_some() && r.phase == Phase::Timed)
        .map(|r| r.task.as_str())
        .collect();
    assert_eq!(failed, ["t2", "t4"], "the requests under way and no other");
    assert!(round.requests.iter().all(|r| r.variant == "right" || r.failure.is_none()));
    assert!(run.stdout.contains("2 of 4"), "{}", run.stdout);
}

#[test]
fn sigkill_in_load_prefill_and_decode_is_counted_each_time() {
    struck(rustix::process::Signal::KILL, FailureClass::Crash, "SIGKILL");
}

#[test]
fn sigstop_in_load_prefill_and_decode_ends_at_the_deadline() {
    struck(rustix::process::Signal::STOP, FailureClass::Deadline, "it was stopped");
}

/// A shell that runs perfgate under a limit.
fn limited(project: &Project, before: &str) -> crate::support::Run {
    let line = format!("{before}; exec {} check", env!("CARGO_BIN_EXE_perfgate"));
    let mut shell = std::process::Command::new("sh");
    finished(shell.current_dir(project.path()).args(["-c", &line]).output().unwrap())
}

/// No worker of the right variant gets through, for want of memory in at least one case; returns what
/// the failures say.
fn starved(project: &Project, run: &crate::support::Run) -> String {
    assert_eq!(run.code, 1, "it completes no round: {}{}", run.stdout, run.stderr);
    let workers = project.results().rounds.remove(0).workers;
    let right = workers.iter().filter(|worker| worker.variant == "right");
    let failures: Vec<_> = right.map(|w| w.failure.as_ref().expect("all fail")).collect();
    assert!(
        failures.iter().any(|failure| failure.class == FailureClass::OutOfMemory),
        "{failures:?}"
    );
    assert!(run.stdout.contains("failed (out of memory)"), "{}", run.stdout);
    format!("{failures:?}")
}

const FAILURES: &str = "[rules]\nfailure_rate = { variant = \"right\", max = \"1%\" }\n";

/// Under this limit on the address space the parent lives and the model does not.
#[test]
fn a_model_that_cannot_allocate_is_a_counted_failure() {
    let project = project(8, 1, FAILURES);
    let run = limited(&project, "ulimit -v 330000");
    starved(&project, &run);
}

/// A control group with so much memory, where this machine lets us make one.
fn control_group(megabytes: u32) -> Option<PathBuf> {
    let name = format!("perfgate-test-{}", std::process::id());
    for (root, limit) in
        [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
    {
        let folder = Path::new(root).join(&name);
        if std::fs::create_dir(&folder).is_err() {
            continue;
        }
        if std::fs::write(folder.join(limit), format!("{megabytes}M")).is_ok() {
            let _ = std::fs::write(folder.join("memory.swap.max"), "0");
            return Some(folder);
        }
        let _ = std::fs::remove_dir(&folder);
    }
    None
}

#[test]
fn a_worker_that_the_kernel_kills_for_want_of_memory_is_a_counted_failure() {
    let Some(group) = control_group(150) else {
        println!("not tried: this user cannot make a control group");
        return;
    };
    // The weights of one model alone fit into the group: otherwise the check would not begin.
    let config = project_config(8, 1);
    let left = config.find("[variants.left]").unwrap();
    let right = config.find("[variants.right]").unwrap();
    let scripted = "[variants.left]\nengine = \"scripted\"\n";
    let config = format!("{}{scripted}{}", &config[..left], &config[right..]);
    let project = Project::new(&config, FAILURES);
    let run = limited(&project, &format!("echo $$ > {}/cgroup.procs", group.display()));
    let said = starved(&project, &run);
    let _ = std::fs::remove_dir(&group);
    assert!(said.contains("the kernel's out-of-memory killer"), "{said}");
}

/// The steps of a load are there and within it, and its memory is in order.
fn told_in_steps(worker: &WorkerRun) {
    let phases = worker.phases.expect("both engines stamp their steps");
    let library = phases.library_ns.unwrap_or(0);
    let sum = library + phases.read_ns.unwrap() + phases.compile_ns.unwrap();
    assert!(sum > 0 && sum <= worker.load_ns.unwrap(), "{phases:?} in {:?}", worker.load_ns);
    let engine = &worker.engine.as_ref().unwrap().engine;
    assert_eq!(phases.library_ns.is_some(), engine == "openvino", "candle is in the binary");
    let (loaded, last) = (worker.memory_loaded.unwrap(), worker.memory.unwrap());
    let serving = worker.serving_peak.unwrap();
    assert!(loaded.peak_rss >= loaded.resident(), "{loaded:?}");
    assert!(serving >= last.resident(), "{serving} {last:?}");
    assert_eq!(
        last.peak_rss,
        loaded.peak_rss.max(serving),
        "the peak of all is the larger of both"
    );
}

/// On copies of the models, which no other test has mapped: so that they can be dropped.
#[test]
fn real_cold_starts_are_told_by_condition() {
    let project = project(4, 1, "");
    let copy = |name: &str| {
        let folder = project.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        for entry in std::fs::read_dir(model(name)).unwrap() {
            let from = entry.unwrap().path();
            std::fs::copy(&from, folder.join(from.file_name().unwrap())).unwrap();
        }
    };
    ["fp16", "ov-int8"].into_iter().for_each(copy);
    let runtime = root().join("runtimes/openvino-2026.4.1");
    let config = format!(
        "reference = \"candle\"\n[workload]\ntasks = \"tasks.jsonl\"\nprompt_tokens = 16\ngen_tokens = 4\n\
         [session]\nrounds = 1\n[variants.candle]\nengine = \"candle\"\nmodel = \"fp16\"\nthreads = 2\n\
         [variants.int8]\nengine = \"openvino\"\nmodel = \"ov-int8\"\nthreads = 2\nruntime = {:?}\n\
         properties = {{ KV_CACHE_PRECISION = \"f16\" }}\n",
        runtime.display().to_string()
    );
    project.write("perfgate.toml", &config);
    let run = project.run(&["start", "--repeats", "1"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    println!("{}", run.stdout);
    let file = project.path().join(".perfgate/starts.json");
    crate::schema::validate_starts(&file);
    let starts = perfgate::session::read_starts(&file).unwrap();
    assert_eq!(starts.samples.len(), 2 + 2 + 8);
    for sample in &starts.samples {
        told_in_steps(&sample.run);
        let share = sample.run.page_cache.expect("the files are this user's");
        match sample.condition.page_cache.unwrap() {
            PageCache::Warm => assert!(share > 0.99, "{share} of {}", sample.run.variant),
            PageCache::Dropped => assert!(share < 0.01, "{share} of {}", sample.run.variant),
        }
        let cached = sample.condition.model_cache == Some(true);
        assert_eq!(sample.model_cache_bytes.is_some_and(|bytes| bytes > 50 << 20), cached);
    }
    let files = |mmap: bool| {
        let of = |sample: &&perfgate::record::StartSample| {
            sample.condition.mmap == Some(mmap) && sample.condition.model_cache == Some(false)
        };
        let sizes = starts.samples.iter().filter(of).map(|s| s.run.memory.unwrap().rss_file);
        sizes.max().unwrap()
    };
    assert!(files(true) > files(false) + (50 << 20), "{} {}", files(true), files(false));
}

#[test]
fn a_real_session_records_everything_that_the_report_needs() {
    let thresholds = "[defaults]\nvariant = \"right\"\n[rules]\nmemory = \"50%\"\nlatency = \"400%\"\n\
                      ttft = { max = \"60 s\" }\nthroughput = { min = \"0.1 tok/s\" }\n\
                      tokens_per_second_per_watt = { limit = \"5%\" }\n";
    let project = project(8, 3, thresholds);
    let run = project.check();
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let results = project.results();
    let verdict = |id: &str| results.verdicts.iter().find(|v| v.rule.id == id).unwrap();
    let memory = verdict("memory").verdict;
    assert!(matches!(memory, VerdictKind::Pass | VerdictKind::Improved), "{memory}");
    assert_eq!(verdict("ttft").verdict, VerdictKind::Pass);
    assert_eq!(verdict("throughput").verdict, VerdictKind::Pass);
    let energy = verdict("tokens_per_second_per_watt");
    assert_eq!(energy.verdict, VerdictKind::Unavailable);
    assert!(energy.reason.contains("/sys/class/powercap"), "{}", energy.reason);
    for round in &results.rounds {
        for worker in &round.workers {
            let engine = worker.engine.as_ref().unwrap();
            assert!(engine.version.starts_with("2026.4.1"), "{}", engine.version);
            assert_eq!(engine.properties["KV_CACHE_PRECISION"], "f16");
            assert_eq!(engine.properties["INFERENCE_NUM_THREADS"], "2");
            assert!(worker.memory.unwrap().peak_rss > 100 << 20);
            assert!(worker.first_token_ns > worker.load_ns);
            told_in_steps(worker);
            // 30 layers, a key and a value for each of 3 heads of width 64, two bytes each.
            assert_eq!(worker.kv_bytes_per_token, Some(2 * 30 * 3 * 64 * 2));
        }
        for request in round.requests.iter().filter(|r| r.phase == Phase::Timed) {
            assert_eq!((request.prompt_tokens, request.tokens.len()), (16, 8));
        }
    }
    let both = |name: &str| -> Vec<Vec<u32>> {
        let all = results.rounds.iter().flat_map(|round| &round.requests);
        all.filter(|r| r.variant == name && r.phase == Phase::Timed)
            .map(|r| r.tokens.clone())
            .collect()
    };
    assert_eq!(both("left"), both("right"), "the same model says the same");
    let environment = &results.header.environment;
    assert!(environment.memory_bytes > 1 << 30);
    assert!(environment.machine.key().starts_with("v2/"));
}

#[test]
fn real_variants_are_measured_one_by_one_and_judged_together() {
    let project = project(8, 2, "[rules]\nmemory = \"50%\"\nlatency = \"5%\"\n");
    for name in ["left", "right"] {
        let run = project.run(&["run", name]);
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    }
    let run = project.run(&["check", "--results"]);
    let results = project.combined();
    assert_eq!(results.parts.len(), 2);
    let tokens = |variant: &str| {
        let part = results.part_of(variant).unwrap();
        let requests = part.rounds.iter().flat_map(|round| &round.requests);
        requests.map(|request| request.tokens.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        tokens("left"),
        tokens("right"),
        "the same model and seed, in sessions of their own"
    );
    let verdicts = &results.judgement.as_ref().unwrap().verdicts;
    assert!(holds(verdicts[0].verdict), "{:?}", verdicts[0]);
    assert_eq!(verdicts[1].verdict, VerdictKind::Inconclusive, "{:?}", verdicts[1]);
    assert_eq!(run.code, 0, "{}", run.stdout);
}

#[test]
fn a_real_session_that_was_killed_goes_on() {
    let project = project(8, 3, "[rules]\nfailure_rate = \"60%\"\n");
    let mut child = project.command(&["check"]).spawn().unwrap();
    // In the middle of the second round.
    project.await_journal(|entries| {
        let rounds = entries.iter().filter(|e| matches!(e, Entry::RoundEnd { .. })).count();
        (rounds == 1 && timed(entries).len() > 9).then_some(())
    });
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    child.wait().unwrap();
    let before = project.journal();
    let run = project.run(&["check", "--resume"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("1 of 3 rounds and 0 graded answers are there"), "{}", run.stderr);
    let rounds = project.results().rounds;
    let numbers: Vec<(u32, bool)> = rounds.iter().map(|r| (r.round, r.complete)).collect();
    assert_eq!(numbers, [(1, true), (2, false), (2, true), (3, true)]);
    let old: Vec<Request> = timed(&before).into_iter().cloned().collect();
    let kept = rounds.iter().flat_map(|round| &round.requests);
    let kept: Vec<&Request> = kept.filter(|request| request.phase == Phase::Timed).collect();
    assert!(old.iter().zip(kept).all(|(old, kept)| old == kept), "the samples of before");
}

/// The logits after each token, fed in one call or one by one.
fn forced(spec: &LoadSpec, tokens: &[u32], stepwise: bool) -> Vec<Vec<f32>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logits");
    let mut engine = loaded(spec);
    let forced = engine::force(engine.as_mut(), tokens, stepwise, &file);
    let forced = forced.map_err(|unforced| unforced.failure.message).unwrap();
    let bytes = std::fs::read(file).unwrap();
    assert_eq!(bytes.len(), 4 * forced.vocabulary * tokens.len());
    let (numbers, _) = bytes.as_chunks();
    let logits: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
    logits.chunks_exact(forced.vocabulary).map(<[f32]>::to_vec).collect()
}

/// Mean KL divergence of two set-ups over the first 64 tokens of a document.
fn mean_divergence(sides: [(&LoadSpec, bool); 2], text: &str) -> f64 {
    let tokens = &prompt(text)[..64];
    let [base, other] = sides.map(|(spec, stepwise)| forced(spec, &tokens[..63], stepwise));
    let each = base.iter().zip(&other).zip(&tokens[1..]);
    let sum: f64 = each
        .map(|((base, other), next)| perfgate::stats::divergence(base, other, *next as usize).kl)
        .sum();
    sum / 63.0
}

fn documents() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads/documents.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let all = perfgate::workload::parse_documents(&file, &text).unwrap();
    [0, 4].map(|place: usize| all[place].1.text.clone()).to_vec()
}

#[test]
fn the_engines_predict_the_same() {
    let (base, other) = (openvino("ov-fp16"), spec("candle", "fp16"));
    for text in documents() {
        for stepwise in [false, true] {
            let found = mean_divergence([(&base, stepwise), (&other, stepwise)], &text);
            assert!(found < 1e-3, "{found}");
        }
    }
    let info = |spec: &LoadSpec| loaded(spec).info().all_positions;
    assert_eq!([info(&base), info(&other)], [true, false]);
}

#[test]
fn only_forcing_token_by_token_sees_the_precision_of_the_cache() {
    let fine = openvino("ov-fp16");
    let mut coarse = fine.clone();
    coarse.properties.insert("KV_CACHE_PRECISION".to_string(), "u8".to_string());
    let text = &documents()[0];
    let [whole, stepwise] =
        [false, true].map(|way| mean_divergence([(&fine, way), (&coarse, way)], text));
    assert!(whole < 1e-9, "one call reads nothing back from the cache: {whole}");
    assert!(stepwise > 1e-6, "{stepwise}");
}

#[test]
fn quantized_activations_make_the_split_into_calls_matter() {
    let apart = |group: &str| {
        let mut spec = openvino("ov-int8");
        let key = "DYNAMIC_QUANTIZATION_GROUP_SIZE".to_string();
        spec.properties.insert(key, group.to_string());
        mean_divergence([(&spec, false), (&spec, true)], &documents()[0])
    };
    let (quantized, exact) = (apart("32"), apart("0"));
    // OpenVINO quantizes activations only where the processor multiplies 8-bit integers (VNNI); elsewhere the group
    // size changes nothing.
    let sets = perfgate::baseline::environment(Path::new("/")).machine.instruction_sets;
    if sets.iter().any(|set| set.contains("vnni") || set.contains("amx_int8")) {
        assert!(exact < 0.1 * quantized, "{exact} exact, {quantized} quantized");
    } else {
        assert_eq!(exact, quantized);
    }
}
