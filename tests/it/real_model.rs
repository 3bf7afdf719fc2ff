//! The real engines on the real model that `scripts/setup.sh` makes.

use crate::support::{Project, finished};
use perfgate::engine::{self, Generation};
use perfgate::protocol::LoadSpec;
use perfgate::record::{Entry, FailureClass, Phase, Request, VerdictKind};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".perfgate")
}

fn model(name: &str) -> PathBuf {
    let folder = root().join("models/smollm2-135m").join(name);
    assert!(folder.is_dir(), "{} is missing: run scripts/setup.sh first", folder.display());
    folder
}

fn spec(engine: &str, name: &str) -> LoadSpec {
    LoadSpec {
        engine: engine.to_string(),
        model: model(name),
        threads: 2,
        root: root(),
        ..LoadSpec::default()
    }
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

fn answer(spec: &LoadSpec, count: usize) -> Generation {
    let mut engine = engine::load(spec).map_err(|error| error.failure.message).unwrap();
    let first = engine::generate(engine.as_mut(), &prompt(QUESTION), count).unwrap();
    let second = engine::generate(engine.as_mut(), &prompt(QUESTION), count).unwrap();
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
    let f32 = LoadSpec { dtype: Some("f32".to_string()), ..spec("candle", "fp16") };
    assert_eq!(answer(&f32, 12).tokens, candle.tokens[..12]);
}

#[test]
fn the_slowdown_switch_slows_the_real_engine() {
    let seconds = |slowdown: f64| {
        let mut engine = engine::load(&LoadSpec { slowdown, ..openvino("ov-int8") })
            .map_err(|error| error.failure.message)
            .unwrap();
        let mut best = u64::MAX;
        for _ in 0..4 {
            let done = engine::generate(engine.as_mut(), &prompt(QUESTION), 12).unwrap();
            best = best.min(*done.token_ns.last().unwrap());
        }
        best as f64 * 1e-9
    };
    // A switch of 400% makes it five times as slow; 2 leaves room for any noise.
    assert!(seconds(4.0) > 2.0 * seconds(0.0));
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
    assert!(load_error(&no_bin).contains("openvino_model.bin is missing"));
    std::fs::write(&xml, "<net").unwrap();
    std::fs::write(folder.path().join("openvino_model.bin"), "").unwrap();
    assert!(load_error(&no_bin).contains("cannot read"));
    let other = LoadSpec { runtime: Some(folder.path().join("nowhere")), ..openvino("ov-int8") };
    assert!(load_error(&other).contains("nowhere holds no OpenVINO"));
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
    std::fs::write(path("model.safetensors.index.json"), index.replace("part-2", "part-1"))
        .unwrap();
    assert_eq!(answer(&spec, 4).tokens.len(), 4);
}

/// A project whose variants are the real INT8 model, under two names.
fn project(gen_tokens: u32, rounds: u32, thresholds: &str) -> Project {
    let variant = |name: &str| {
        format!(
            "[variants.{name}]\nengine = \"openvino\"\nmodel = {:?}\nruntime = {:?}\nthreads = 2\n\
             chat_template = \"model\"\nproperties = {{ KV_CACHE_PRECISION = \"f16\" }}\n",
            model("ov-int8"),
            root().join("runtimes/openvino-2026.4.1"),
        )
    };
    let config = format!(
        "[workload]\ntasks = \"tasks.jsonl\"\nprompt_tokens = 16\ngen_tokens = {gen_tokens}\n\
         [session]\nrounds = {rounds}\n{}{}",
        variant("left"),
        variant("right"),
    );
    Project::new(&config, thresholds)
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
    assert!(environment.machine.key().starts_with("v1/"));
}
