//! Bad input: each is refused with exit code 2 and a message that names the place, the cause and the
//! remedy, before anything is measured; and nothing that was there before is touched.

use crate::support::{Project, Run, finished, scripted};
use perfgate::config::{self, WorkTree};
use perfgate::session;
use std::path::{Path, PathBuf};
use std::process::Command;

const RULES: &str = "[rules]\nlatency = \"5%\"\n";
const OLD: &str = "results of an earlier session";

/// A project with results of an earlier session.
fn project(config: &str, thresholds: &str) -> Project {
    let project = Project::new(config, thresholds);
    std::fs::create_dir(project.path().join(".perfgate")).unwrap();
    project.write(".perfgate/benchmark_results.json", OLD);
    project
}

const SCRIPTED: &str =
    "[variants.base]\nengine = \"scripted\"\n[variants.other]\nengine = \"scripted\"\n";

/// Two variants of the model in the project's folder `model`.
fn of_model(engine: &str) -> String {
    let variant = |name: &str| {
        let runtime = match engine {
            "openvino" => format!("runtime = {:?}\n", runtime()),
            _ => String::new(),
        };
        format!("[variants.{name}]\nengine = \"{engine}\"\nmodel = \"model\"\n{runtime}")
    };
    scripted(1, &(variant("base") + &variant("other")))
}

/// The runtime that `scripts/setup.sh` installs.
fn runtime() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".perfgate/runtimes/openvino-2026.4.1")
}

/// Exit code 2 with these words and a remedy, and no report.
fn refused(run: &Run, words: &[&str]) {
    assert_eq!(run.code, 2, "{words:?}: {}{}", run.stdout, run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "wanted {word:?} in {}", run.stderr);
    }
    assert!(run.stderr.contains("\n  help: "), "no remedy: {}", run.stderr);
    assert_eq!(run.stdout, "", "{words:?}");
}

/// The same of a check that left nothing behind.
fn check_refused(project: &Project, words: &[&str]) {
    refused(&project.check(), words);
    untouched(project);
}

fn untouched(project: &Project) {
    let left = std::fs::read_dir(project.path().join(".perfgate")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["benchmark_results.json"]);
    let file = project.path().join(".perfgate/benchmark_results.json");
    assert_eq!(std::fs::read_to_string(file).unwrap(), OLD);
}

/// A tokenizer of so many words.
fn tokenizer(words: usize) -> String {
    let mut vocabulary = serde_json::Map::new();
    for (id, word) in ["[UNK]", "Say", "things"].into_iter().enumerate() {
        vocabulary.insert(word.to_string(), id.into());
    }
    for id in 3..words {
        vocabulary.insert(format!("w{id}"), id.into());
    }
    serde_json::json!({
        "version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    })
    .to_string()
}

/// A tokenizer as large as the models' vocabulary, and one token more that was added to it.
fn tokenizer_with(token: &str) -> String {
    let mut tokenizer: serde_json::Value = serde_json::from_str(&tokenizer(VOCABULARY)).unwrap();
    tokenizer["added_tokens"] = serde_json::json!([{
        "id": VOCABULARY, "content": token, "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true,
    }]);
    tokenizer.to_string()
}

/// The size of the vocabulary of the models below.
const VOCABULARY: usize = 20;

/// The bytes of a safetensors file with these tensors, all zero.
fn safetensors(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in tensors {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        let entry = serde_json::json!({
            "dtype": "F16", "shape": shape, "data_offsets": [start, end],
        });
        header.insert((*name).to_string(), entry);
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + end, 0);
    bytes
}

/// A Llama of one layer that candle runs.
fn candle_model(folder: &Path) {
    let config = serde_json::json!({
        "model_type": "llama", "hidden_act": "silu", "hidden_size": 8, "intermediate_size": 16,
        "num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1,
        "vocab_size": VOCABULARY, "rms_norm_eps": 1e-5, "max_position_embeddings": 64,
        "tie_word_embeddings": true, "eos_token_id": 2,
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    std::fs::write(folder.join("tokenizer.json"), tokenizer(12)).unwrap();
    let layer = "model.layers.0";
    let names: Vec<String> = [
        "input_layernorm",
        "post_attention_layernorm",
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    ]
    .map(|name| format!("{layer}.{name}.weight"))
    .to_vec();
    let shapes: [&[usize]; 9] =
        [&[8], &[8], &[8, 8], &[4, 8], &[4, 8], &[8, 8], &[16, 8], &[16, 8], &[8, 16]];
    let mut tensors: Vec<(&str, &[usize])> =
        vec![("model.embed_tokens.weight", &[VOCABULARY, 8]), ("model.norm.weight", &[8])];
    tensors.extend(names.iter().map(String::as_str).zip(shapes));
    std::fs::write(folder.join("model.safetensors"), safetensors(&tensors)).unwrap();
}

const IR: &str = r#"<?xml version="1.0"?>
<net name="Model0" version="11">
	<layers>
		<layer id="0" name="weights" type="Const" version="opset1">
			<data element_type="f16" shape="20, 10" offset="0" size="400" />
			<output><port id="0" precision="F16" names="logits"><dim>1</dim><dim>20</dim></port></output>
		</layer><layer id="1" name="p0" type="Parameter"><output><port id="0" names="input_ids" /></output></layer><layer id="2" name="p1" type="Parameter"><output><port id="0" names="attention_mask" /></output></layer><layer id="3" name="p2" type="Parameter"><output><port id="0" names="beam_idx" /></output></layer>
	</layers>
</net>
"#;

/// An IR that is whole and has a language model's inputs, though it is not one.
fn ir(folder: &Path) {
    std::fs::write(folder.join("openvino_model.xml"), IR).unwrap();
    std::fs::write(folder.join("openvino_model.bin"), [0; 400]).unwrap();
    std::fs::write(folder.join("tokenizer.json"), tokenizer(12)).unwrap();
}

/// Breaks a sound model in one way and checks that it is refused with these words.
fn broken(engine: &str, change: impl Fn(&Path), words: &[&str]) {
    let project = project(&of_model(engine), RULES);
    let folder = project.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    match engine {
        "openvino" => ir(&folder),
        _ => candle_model(&folder),
    }
    change(&folder);
    check_refused(&project, &[words, &["variant 'base'"]].concat());
}

fn remove(name: &str) -> impl Fn(&Path) {
    move |folder| std::fs::remove_file(folder.join(name)).unwrap()
}

fn write(name: &str, content: impl AsRef<[u8]>) -> impl Fn(&Path) {
    move |folder| std::fs::write(folder.join(name), &content).unwrap()
}

#[test]
fn models_that_are_missing() {
    for engine in ["openvino", "candle"] {
        let gone = |folder: &Path| std::fs::remove_dir_all(folder).unwrap();
        broken(engine, gone, &["/model: ", "the model's folder does not exist", "model = \"…\""]);
    }
    broken("openvino", remove("openvino_model.xml"), &["openvino_model.xml: ", "is missing"]);
    broken("openvino", remove("openvino_model.bin"), &["openvino_model.bin: ", "is missing"]);
    broken("candle", remove("config.json"), &["config.json: ", "cannot read it"]);
    broken("candle", remove("model.safetensors"), &["/model: ", "holds neither model.safetensors"]);
}

#[test]
fn an_ir_that_is_broken_or_cut() {
    let half = &IR[..IR.find("names=").unwrap()];
    for (text, words) in [
        ("{\"no\": \"xml\"}", ["openvino_model.xml:1:14: ", "it has no <net>"]),
        ("", ["openvino_model.xml:1:1: ", "is no IR of OpenVINO, or is cut short"]),
        (half, ["openvino_model.xml:6:", "is cut short: it ends inside a tag"]),
        (
            &IR.replace("\t</layers>\n", ""),
            ["openvino_model.xml:8:1: ", "</net> closes what is not open"],
        ),
    ] {
        broken("openvino", write("openvino_model.xml", text), &words);
    }
    let words = ["openvino_model.bin: ", "has 399 bytes and is cut short", "ends at byte 400"];
    broken("openvino", write("openvino_model.bin", [0; 399]), &words);
}

#[test]
fn safetensors_that_are_broken_or_cut() {
    let cut = |folder: &Path| {
        let file = folder.join("model.safetensors");
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(file, &bytes[..bytes.len() - 7]).unwrap();
    };
    let words =
        ["model.safetensors: ", "is no safetensors file, or is cut short", "copy, download"];
    broken("candle", cut, &words);
    broken("candle", write("model.safetensors", [b'x'; 4000]), &words);
    broken("candle", write("model.safetensors", ""), &words);
    let index = "model.safetensors.index.json";
    let sharded = |text: &str| {
        let text = text.to_string();
        move |folder: &Path| {
            std::fs::rename(folder.join("model.safetensors"), folder.join("part-1.safetensors"))
                .unwrap();
            std::fs::write(folder.join(index), &text).unwrap();
        }
    };
    let two = r#"{"weight_map": {"a": "part-1.safetensors", "b": "part-2.safetensors"}}"#;
    let words = [
        "model.safetensors.index.json: ",
        "names the shard",
        "part-2.safetensors, which is missing",
    ];
    broken("candle", sharded(two), &words);
    broken("candle", sharded(&two[..30]), &["index.json:1:30: ", "is no JSON"]);
    broken("candle", sharded("{}"), &["index.json: ", "has no weight_map"]);
    let words =
        ["model.safetensors: ", "tensor 'model.embed_tokens.weight'", "of different models"];
    broken("candle", write("model.safetensors", safetensors(&[("x", &[1])])), &words);
}

#[test]
fn tokenizers_of_another_model() {
    for engine in ["openvino", "candle"] {
        let words =
            ["tokenizer.json: ", "a tokenizer of 21 tokens", "knows 20", "tokenizer = \"FILE\""];
        broken(engine, write("tokenizer.json", tokenizer(VOCABULARY + 1)), &words);
        let cut = &tokenizer(12)[..40];
        broken(engine, write("tokenizer.json", cut), &["tokenizer.json: ", "is not a tokenizer"]);
        broken(
            engine,
            remove("tokenizer.json"),
            &["tokenizer.json: ", "there is no such tokenizer"],
        );
    }
    // A token that was added to the tokenizer counts only where a prompt has it.
    let words = ["tokenizer.json: ", "a prompt has the token 20", "knows 20 tokens"];
    broken("candle", write("tokenizer.json", tokenizer_with("thing")), &words);
    // The IR does not tell, and the configuration beside it does.
    let dynamic = |folder: &Path| {
        let text = IR.replace("<dim>20</dim>", "<dim>-1</dim>");
        std::fs::write(folder.join("openvino_model.xml"), text).unwrap();
        std::fs::write(folder.join("config.json"), "{\"vocab_size\": 11}").unwrap();
    };
    broken("openvino", dynamic, &["tokenizer.json: ", "a tokenizer of 12 tokens", "knows 11"]);
}

/// Prompt and generated tokens beyond the context that a model's files state: before anything is measured.
#[test]
fn what_does_not_fit_into_a_context() {
    let words = ["alpha"; 30].join(" ");
    for engine in ["openvino", "candle"] {
        let check = |context: usize, more: &str, expected: &[&str]| {
            let head =
                of_model(engine).replace("gen_tokens = 5", "gen_tokens = 5\nprompt_tokens = 8");
            let project = project(&format!("{head}{more}"), RULES);
            let folder = project.path().join("model");
            std::fs::create_dir(&folder).unwrap();
            match engine {
                "openvino" => ir(&folder),
                _ => candle_model(&folder),
            }
            let config = std::fs::read_to_string(folder.join("config.json"));
            let mut config: serde_json::Value = config.map_or_else(
                |_| serde_json::json!({}),
                |text| serde_json::from_str(&text).unwrap(),
            );
            config["max_position_embeddings"] = context.into();
            config["eos_token_id"] = 0.into();
            std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
            let line =
                |grader: &str| format!("{{\"id\": \"g1\", \"prompt\": \"{words}\", {grader}}}\n");
            project.write("exact.jsonl", &line("\"grader\": \"exact\", \"expect\": \"x\""));
            let choice = "\"grader\": \"choice\", \"expect\": {\"choices\": [\"a\", \"b b b\"], \"gold\": 0}";
            project.write("choice.jsonl", &line(choice));
            project
                .write("documents.jsonl", &format!("{{\"id\": \"d1\", \"text\": \"{words}\"}}\n"));
            check_refused(
                &project,
                &[expected, &["variant 'base'", "max_position_embeddings"]].concat(),
            );
            let doctor = project.run(&["doctor"]);
            let said = doctor.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(doctor.code, 2, "{said}");
            assert!(said.contains(expected[0]), "{}: {said}", expected[0]);
        };
        // Twelve tokens are fed: eight, and four of those that are generated.
        let behind = "has 8 tokens and up to 5 generated ones, and the model's context is of 11";
        check(11, "", &["the task 't1'", behind, "lower prompt_tokens or gen_tokens"]);
        let quality = |file: &str| format!("[quality]\ntasks = \"{file}\"\nmax_tokens = 9\n");
        let behind = "has 30 tokens and up to 9 generated ones";
        check(37, &quality("exact.jsonl"), &["the graded task 'g1'", behind, "lower max_tokens"]);
        let behind = "has 30 tokens and up to 3 generated ones";
        check(31, &quality("choice.jsonl"), &["the graded task 'g1'", behind, "or its choices"]);
        let fidelity =
            "[quality.fidelity]\ndocuments = \"documents.jsonl\"\ntokens = 24\nskip = 1\n";
        check(
            22,
            fidelity,
            &["the document 'd1'", "has 24 tokens, and", "lower tokens in [quality.fidelity]"],
        );
    }
}

/// An IR that cannot run is told what it is, and how to export the model.
#[test]
fn exports_that_cannot_be_run() {
    for (from, to, words) in [
        (
            "beam_idx",
            "past_key_values.0.key",
            ["`--disable-stateful`", "text-generation-with-past"],
        ),
        ("beam_idx", "position_ids", ["`--task text-generation`", "text-generation-with-past"]),
        (
            "input_ids",
            "inputs_embeds",
            ["the language part of a model", "text-generation-with-past"],
        ),
        (
            "attention_mask",
            "pixel_mask",
            ["no input 'attention_mask'", "text-generation-with-past"],
        ),
    ] {
        let text = IR.replace(from, to);
        broken("openvino", write("openvino_model.xml", text), &words);
    }
    let seen = |folder: &Path| {
        let part = |name: &str| folder.join(name);
        std::fs::rename(part("openvino_model.xml"), part("openvino_language_model.xml")).unwrap();
    };
    broken("openvino", seen, &["openvino_language_model.xml", "a model of images or sound"]);
}

/// A tokenizer smaller than the model's vocabulary, and an added token that no prompt has, are usual.
#[test]
fn a_tokenizer_that_fits_is_no_error() {
    let project = Project::new(&of_model("candle"), RULES);
    let folder = project.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    candle_model(&folder);
    for tokenizer in [tokenizer(12), tokenizer_with("<pad>")] {
        std::fs::write(folder.join("tokenizer.json"), tokenizer).unwrap();
        let run = project.check();
        assert_ne!(run.code, 2, "{}{}", run.stdout, run.stderr);
        assert!(project.results().rounds[0].complete);
    }
}

#[test]
fn wrong_toml() {
    let good = scripted(1, SCRIPTED);
    let configs = [
        (good.replace("\"base\"", "\"base"), ["perfgate.toml:1:", "is no TOML"]),
        (good.replace("gen_tokens", "gen_token"), ["perfgate.toml:4:1: ", "mean 'gen_tokens'?"]),
        (good.replace("rounds = 1", "rounds = 0"), ["perfgate.toml:6:10: ", "should be between 1"]),
        (good.replace("rounds = 1", "rounds = \"1\""), ["perfgate.toml:6:10: ", "rounds = 5"]),
        (good.replace("[workload]", "[other]"), ["perfgate.toml:1:1: ", "'workload' is missing"]),
        (good.replace("\"base\"", "\"bas\""), ["perfgate.toml:1:13: ", "did you mean 'base'?"]),
    ];
    for (config, words) in configs {
        check_refused(&project(&config, RULES), &words);
    }
    for (rule, words) in [
        ("latency = 5%", ["thresholds.toml:2:", "is no TOML"]),
        ("latency = { limt = \"5%\" }", ["thresholds.toml:2:13: ", "did you mean 'limit'?"]),
        ("latncy = \"5%\"", ["thresholds.toml:2:10: ", "did you mean 'latency'?"]),
        ("a = { metric = \"latncy\" }", ["thresholds.toml:2:16: ", "did you mean 'latency'?"]),
        ("latency = { variant = \"othr\" }", ["thresholds.toml:2:23: ", "did you mean 'other'?"]),
        ("latency = { against = \"bas\" }", ["thresholds.toml:2:23: ", "did you mean 'base'?"]),
        ("latency = \"-5%\"", ["thresholds.toml:2:11: ", "'-5%' is no percentage"]),
        ("latency = \"nan%\"", ["thresholds.toml:2:11: ", "'nan%' is no percentage"]),
        ("latency = { max = \"inf s\" }", ["thresholds.toml:2:19: ", "is no value of 'latency'"]),
        ("latency = { max = \"-1 s\" }", ["thresholds.toml:2:19: ", "is no value of 'latency'"]),
        ("throughput = \"100%\"", ["thresholds.toml:2:14: ", "should be between 0% and 99%"]),
        ("failure_rate = \"150%\"", ["thresholds.toml:2:16: ", "is more than all"]),
        ("failure_rate = \"101pt\"", ["thresholds.toml:2:16: ", "is no limit in points"]),
        ("failure_rate = { limit = \"5%\" }", ["thresholds.toml:2:26: ", "write \"1pt\" for one"]),
    ] {
        check_refused(&project(&good, &format!("[rules]\n{rule}\n")), &words);
    }
    let missing = project(&good, RULES);
    std::fs::remove_file(missing.path().join("thresholds.toml")).unwrap();
    check_refused(&missing, &["thresholds.toml: there is no such file", "[rules]"]);
}

#[test]
fn wrong_task_files() {
    let task = |number: usize| format!("{{\"id\": \"t{number}\", \"prompt\": \"x\"}}\n");
    let lines = |at_37: &str| -> String {
        (1..=40).map(|n| if n == 37 { format!("{at_37}\n") } else { task(n) }).collect()
    };
    for (line, words) in [
        ("{\"id\": \"t37\", \"prompt\": \"x", ["tasks.jsonl:37:", "this line is no task: EOF"]),
        ("{\"id\": \"t37\"}", ["tasks.jsonl:37:", "missing field `prompt`"]),
        (&task(5), ["tasks.jsonl:37:1: ", "the id 't5' stands twice"]),
    ] {
        let project = project(&scripted(1, SCRIPTED), RULES);
        project.write("tasks.jsonl", &lines(line.trim_end()));
        check_refused(&project, &words);
    }
    let quality = SCRIPTED.to_string() + "[quality]\ntasks = \"graded.jsonl\"\n";
    let project = project(&scripted(1, &quality), RULES);
    let graded = |grader: &str| {
        format!(
            "{{\"id\": \"a\", \"prompt\": \"x\", \"grader\": \"{grader}\", \"expect\": \"y\"}}\n"
        )
    };
    project.write("graded.jsonl", &graded("exakt"));
    let words = ["graded.jsonl:1:", "unknown variant `exakt`", "graders: exact, normalized, regex"];
    check_refused(&project, &words);
    project.write("graded.jsonl", &graded("exact").repeat(2));
    check_refused(&project, &["graded.jsonl:2:1: ", "the id 'a' stands twice"]);
}

#[test]
fn baselines_that_cannot_be_read() {
    for (text, words) in [
        (
            "{\"format\": 99, \"new\": 1}\n",
            ["old.json: ", "is of format 99, and this perfgate reads"],
        ),
        ("{\n  \"format\": 1,\n  \"sess", ["old.json:3:", "is no stored session, or is cut short"]),
        ("", ["old.json:1:", "is no stored session, or is cut short"]),
    ] {
        let project = project(&scripted(1, SCRIPTED), RULES);
        std::fs::create_dir_all(project.path().join("baselines/v1-any")).unwrap();
        project.write("baselines/v1-any/old.json", text);
        check_refused(&project, &words);
        refused(&project.run(&["baseline", "list"]), &words);
    }
}

#[test]
fn results_that_cannot_be_read() {
    let project = project(&scripted(1, SCRIPTED), RULES);
    let cut = "{\"format\": 1,\n\"header\": {";
    for (name, text, words) in [
        ("new.json", "{\"format\": 99}", ["new.json: ", "is of format 99"]),
        ("cut.json", cut, ["cut.json:2:11: ", "or is cut short"]),
        ("empty.json", "", ["empty.json: ", "is empty"]),
        ("folder", "", ["folder: ", "Is a directory"]),
        ("nowhere.json", "", ["nowhere.json: ", "No such file"]),
    ] {
        match name {
            "folder" => std::fs::create_dir(project.path().join(name)).unwrap(),
            "nowhere.json" => {}
            _ => project.write(name, text),
        }
        refused(&project.run(&["report", name]), &words);
        refused(&project.run(&["baseline", "update", name]), &words);
        assert!(!project.path().join("baselines").exists());
    }
    untouched(&project);
}

/// Runs a line of shell in a mount namespace of its own, where this machine lets us have one.
fn unshared(project: &Project, line: &str) -> Option<Run> {
    for options in ["-rm", "-m"] {
        let mount = [options, "mount", "-t", "tmpfs", "none", "/mnt"];
        let tried = Command::new("unshare").args(mount).output();
        if tried.is_ok_and(|output| output.status.success()) {
            let mut command = Command::new("unshare");
            command.args([options, "sh", "-c", line]).current_dir(project.path());
            command.env("PERFGATE", env!("CARGO_BIN_EXE_perfgate"));
            return Some(finished(command.output().unwrap()));
        }
    }
    println!("not tried: this user cannot mount");
    None
}

#[test]
fn output_folders_that_cannot_be_written() {
    let output = |place: &str| format!("output = \"{place}\"\n{}", scripted(1, SCRIPTED));
    let help = "name a writable folder with output = \"FOLDER\"";
    let project = project(&output("tasks.jsonl"), RULES);
    check_refused(&project, &["tasks.jsonl: ", "it is no folder", help]);
    project.write("perfgate.toml", &output("tasks.jsonl/deeper"));
    check_refused(&project, &["tasks.jsonl: ", "it is no folder", help]);
    std::fs::create_dir_all(project.path().join("out/benchmark_results.json")).unwrap();
    project.write("perfgate.toml", &output("out"));
    check_refused(&project, &["out/benchmark_results.json: ", "is a folder", help]);
    std::fs::create_dir(project.path().join("fixed")).unwrap();
    project.write("perfgate.toml", &output("fixed/new"));
    let read_only = "mount -t tmpfs -o ro none fixed && exec \"$PERFGATE\" check";
    if let Some(run) = unshared(&project, read_only) {
        refused(&run, &["/fixed: cannot write results here", "Read-only file system", help]);
        untouched(&project);
    }
}

/// The journal of the only session under a folder: so many requests, and the last line may be cut.
fn kept(sessions: &Path) -> usize {
    let session = std::fs::read_dir(sessions).unwrap().next().unwrap().unwrap().path();
    let names = std::fs::read_dir(&session).unwrap().count();
    assert_eq!(names, 1, "nothing but the journal");
    let text = std::fs::read_to_string(session.join("journal.jsonl")).unwrap();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().filter(|line| line.contains("\"token_ns\"")).count()
}

#[test]
fn a_disk_that_fills_up_keeps_the_samples_and_the_old_results() {
    let words =
        ["journal.jsonl: cannot write to the journal", "make room", "the samples so far are in"];
    let project = project(&scripted(50, SCRIPTED), RULES);
    let line = "mkdir full kept && mount -t tmpfs -o size=48k none full && \
                cp .perfgate/benchmark_results.json full && mount --move full .perfgate && \
                { \"$PERFGATE\" check; code=$?; cp -r .perfgate/. kept; exit $code; }";
    if let Some(run) = unshared(&project, line) {
        refused(&run, &[&words[..], &["No space left on device"]].concat());
        untouched(&project);
        let folder = project.path().join("kept");
        assert_eq!(std::fs::read_to_string(folder.join("benchmark_results.json")).unwrap(), OLD);
        assert!(!folder.join("report.md").exists());
        assert!(kept(&folder.join("sessions")) > 8, "more than a round");
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -f 32; exec \"$PERFGATE\" check"]).current_dir(project.path());
    shell.env("PERFGATE", env!("CARGO_BIN_EXE_perfgate"));
    refused(&finished(shell.output().unwrap()), &[&words[..], &["File too large"]].concat());
    let folder = project.path().join(".perfgate");
    assert_eq!(std::fs::read_to_string(folder.join("benchmark_results.json")).unwrap(), OLD);
    assert!(kept(&folder.join("sessions")) > 8, "more than a round");
}

#[test]
fn models_larger_than_the_memory() {
    let project = project(&of_model("openvino"), RULES);
    let folder = project.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    ir(&folder);
    let weights = std::fs::File::create(folder.join("openvino_model.bin")).unwrap();
    weights.set_len(1 << 43).unwrap();
    let words =
        ["too little memory", "need 16.0 TiB (base 8.0 TiB, other 8.0 TiB)", "run fewer variants"];
    check_refused(&project, &words);
    weights.set_len(3 << 30).unwrap();
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("proc")).unwrap();
    let path = |name: &str| project.path().join(name);
    let prepare = |available_kib: u64| {
        let text = format!("MemTotal: 99999999 kB\nMemAvailable: {available_kib} kB\n");
        std::fs::write(root.path().join("proc/meminfo"), text).unwrap();
        let setup = config::read(&WorkTree, &path("perfgate.toml"), Some(&path("thresholds.toml")))
            .unwrap();
        session::prepare(setup, root.path(), Path::new(env!("CARGO_BIN_EXE_perfgate")))
            .unwrap_err()
            .to_string()
    };
    let said = prepare(5 << 20);
    assert!(said.contains("need 6.0 GiB (base 3.0 GiB, other 3.0 GiB)"), "{said}");
    assert!(said.contains("5.0 GiB are available by /proc/meminfo\n  help: "), "{said}");
    // With enough it goes on, to what is wrong next.
    std::fs::remove_file(folder.join("tokenizer.json")).unwrap();
    assert!(prepare(7 << 20).contains("there is no such tokenizer"));
}

/// A check of an IR with no runtime named in its configuration.
fn with_runtime(project: &Project, name: &str, value: &Path) -> Run {
    let text = of_model("openvino");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("runtime")).collect();
    project.write("perfgate.toml", &lines.join("\n"));
    let folder = project.path().join("model");
    std::fs::create_dir_all(&folder).unwrap();
    ir(&folder);
    let mut command = project.command(&["check"]);
    for name in ["VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH", "OPENVINO_INSTALL_DIR"] {
        command.env_remove(name);
    }
    command.env("HOME", value).env("PATH", value).env(name, value);
    finished(command.output().unwrap())
}

#[test]
fn no_openvino_and_one_that_is_too_old() {
    let project = project(&of_model("openvino"), RULES);
    let place = project.path().join("runtime");
    std::fs::create_dir(&place).unwrap();
    let named = |words: &[&str]| {
        refused(&with_runtime(&project, "PERFGATE_OPENVINO", &place), words);
        untouched(&project);
    };
    named(&["/runtime: ", "holds no OpenVINO (libopenvino_c.so", "PERFGATE_OPENVINO"]);
    let none = with_runtime(&project, "HOME", &place);
    if none.stderr.contains("there is no such") {
        println!("not tried: the system has an OpenVINO");
    } else {
        refused(&none, &["no OpenVINO runtime was found", "pip install openvino"]);
        untouched(&project);
    }
    let library = place.join("libopenvino_c.so");
    std::fs::write(&library, "no library").unwrap();
    named(&["libopenvino_c.so: ", "is no shared library", "2025.1 or newer"]);
    let source = place.join("old.c");
    let build = |code: &str| {
        std::fs::write(&source, code).unwrap();
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
        assert!(compiler.status().unwrap().success());
    };
    build("int ov_get_openvino_version(void *v) { return 0; }\n");
    named(&["libopenvino_c.so: ", "is an OpenVINO too old: it has no function ov_", "2025.1"]);
    // What only loading tells, in the first worker: a version, and a library that misses another.
    let text = include_str!("../../src/engine/openvino/runtime.rs");
    let names =
        text.lines().filter_map(|line| line.trim().strip_prefix("\"ov_")?.strip_suffix("\","));
    let code: String = names
        .filter(|name| *name != "get_openvino_version")
        .map(|name| format!("int ov_{name}(void) {{ return 0; }}\n"))
        .collect();
    let version = "int ov_get_openvino_version(const char **v) \
                   { v[0] = \"2024.6.0-1\"; v[1] = \"x\"; return 0; }\n";
    build(&(code + version));
    named(&["libopenvino_c.so: ", "OpenVINO version is too old", "2024.6.0-1", "2025.1"]);
    std::fs::remove_file(&library).unwrap();
    let libraries = std::fs::read_dir(runtime().join("openvino/libs")).unwrap();
    let whole = libraries
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("libopenvino_c."))
        .unwrap();
    std::fs::copy(whole, &library).unwrap();
    named(&["libopenvino_c.so: ", "cannot be loaded", "libopenvino.so"]);
}

#[test]
fn more_threads_than_cpus_are_a_warning_at_the_start_and_in_the_report() {
    let variants = SCRIPTED.replace("[variants.other]", "threads = 4096\n[variants.other]");
    let project = Project::new(&scripted(2, &variants), RULES);
    let run = project.check();
    assert_ne!(run.code, 2, "{}", run.stderr);
    let warning = "'base' asks for 4096 threads, and ";
    let at = run.stderr.find(&format!("warning: {warning}")).expect(&run.stderr);
    assert!(at < run.stderr.find("2 rounds of").unwrap(), "before the first round: {}", run.stderr);
    assert!(run.stdout.contains(warning), "{}", run.stdout);
    assert!(!project.run(&["check", "--quiet"]).stderr.contains("warning"), "quiet is quiet");
}

#[test]
fn a_single_variant_is_held_against_fixed_limits_and_nothing_else() {
    let alone = scripted(1, "[variants.base]\nengine = \"scripted\"\n");
    let refused = project(&alone, RULES);
    check_refused(&refused, &["'base' is the only variant", "help: give it a fixed limit"]);
    let fixed =
        project(&alone, "[rules]\nfailure_rate = { max = \"50%\", evidence = \"point\" }\n");
    let run = fixed.check();
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.starts_with("PASS: the gating rule holds"), "{}", run.stdout);
}

#[test]
fn a_way_to_stop_that_is_none_is_refused() {
    let config = scripted(1, SCRIPTED).replace("\"never\"", "\"pocok\"");
    let project = project(&config, RULES);
    check_refused(&project, &["cannot be 'pocok'", "pocock"]);
}
