//! Tests what a model is fed: chat templates, tokenizers' files, ends and stop strings, prompts and choices, held to
//! transformers and lm-evaluation-harness (`scripts/reference_text.py`).

use crate::support::{Project, model};
use chrono::NaiveDate;
use perfgate::config::{self, WorkTree};
use perfgate::problem::{Problem, Result};
use perfgate::record::Grade;
use perfgate::workload::{self, Ask, Chat};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn reference() -> Value {
    serde_json::from_str(include_str!("../reference/text.json")).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    list(value).iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// A project whose one variant `m` has a tokenizer and no weights: enough to see what it would be fed.
struct Fed {
    folder: TempDir,
}

impl Fed {
    fn new(tokenizer: &Value) -> Fed {
        let fed = Fed { folder: tempfile::tempdir().unwrap() };
        fed.write("m/tokenizer.json", &tokenizer.to_string());
        fed.write("m/config.json", &json!({"eos_token_id": 2}).to_string());
        fed.write("tasks.jsonl", r#"{"id": "t", "prompt": "x"}"#);
        fed.configure("", "");
        fed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.path(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    fn configure(&self, quality: &str, variant: &str) {
        let config = format!(
            "[workload]\ntasks = \"tasks.jsonl\"\n{quality}\n[variants.m]\nengine = \"candle\"\nmodel = \"m\"\n{variant}\n"
        );
        self.write("perfgate.toml", &config);
    }

    fn config(&self) -> config::Config {
        config::read(&WorkTree, &self.path("perfgate.toml"), None).unwrap().config
    }

    /// The token ids of the timed tasks.
    fn timed(&self) -> Result<Vec<Vec<u32>>> {
        let config = self.config();
        let prompts = workload::prepare(&config.workload, &config.variants)?;
        Ok(prompts.of("m").iter().map(|task| task.tokens.clone()).collect())
    }

    /// What is asked of the graded tasks.
    fn asked(&self) -> Result<Vec<Ask>> {
        let config = self.config();
        let quality = config.quality.as_ref().unwrap();
        let graded = workload::prepare_graded(quality, &config.workload, &config.variants)?;
        Ok(graded.asks.into_iter().flat_map(|(_, asks)| asks).collect())
    }

    /// What is doubtful about the stop strings.
    fn doubts(&self, stop: &str) -> Vec<String> {
        self.configure(&format!("[quality]\ntasks = \"graded.jsonl\"\nstop = {stop}\n"), "");
        let config = self.config();
        let quality = config.quality.as_ref().unwrap();
        let graded = workload::prepare_graded(quality, &config.workload, &config.variants).unwrap();
        graded.doubts.get("m").cloned().unwrap_or_default()
    }

    fn disagreements(&self) -> Vec<String> {
        workload::disagreements(&self.config().variants[0]).unwrap()
    }
}

/// A tokenizer of the reference, as a case has it.
fn tokenizer(reference: &Value, case: &Value) -> Value {
    let mut made = reference["bases"][text(&case["base"])].clone();
    made["post_processor"] = case["post"].clone();
    for (key, value) in case["set"].as_object().into_iter().flatten() {
        made[key] = value.clone();
    }
    made
}

fn plain(reference: &Value) -> Fed {
    Fed::new(&tokenizer(reference, &json!({"base": "byte_level"})))
}

fn render(reference: &Value, case: &Value) -> Result<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.jinja");
    std::fs::write(&file, text(&case["template"])).unwrap();
    let date = NaiveDate::parse_from_str(text(&reference["day"]), "%Y-%m-%d").unwrap();
    Chat::of_file(&file, date)?.render_json(text(&case["conversation"]))
}

#[test]
fn templates_are_rendered_byte_for_byte_as_transformers_does() {
    let reference = reference();
    let cases = list(&reference["templates"]);
    assert!(cases.len() >= 50, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let ours = render(&reference, case);
        let same = match case["text"].as_str() {
            Some(theirs) => ours.as_deref() == Ok(theirs),
            None => ours.is_err(),
        };
        if !same {
            wrong.push(format!(
                "{}\n  theirs {}\n  ours   {ours:?}",
                case["template"], case["text"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What is known to differ still does, and nothing but that.
    for case in list(&reference["otherwise"]) {
        let ours = render(&reference, case).ok();
        assert_ne!(ours.as_deref(), case["text"].as_str(), "{case}: no longer differs");
    }
}

#[test]
fn tokenizer_files_are_taken_as_transformers_takes_them() {
    let reference = reference();
    let prompt = text(&reference["text"]);
    let cases = list(&reference["folders"]);
    assert!(cases.len() >= 15, "{}", cases.len());
    for case in cases {
        let fed = Fed::new(&tokenizer(&reference, case));
        for (file, text) in case["files"].as_object().unwrap() {
            fed.write(&format!("m/{file}"), text.as_str().unwrap());
        }
        fed.write("tasks.jsonl", &json!({"id": "t", "prompt": prompt}).to_string());
        let expected = if case["own"].is_null() { &case["ids"] } else { &case["own"] };
        assert_eq!(fed.timed().unwrap(), [ids(expected)], "{}", case["name"]);
        if !case["own"].is_null() {
            let said = fed.disagreements();
            assert!(
                said.iter().any(|said| said.contains("tokenizer.json")),
                "{}: {said:?}",
                case["name"]
            );
        }
    }
}

#[test]
fn dropout_saved_in_a_tokenizer_is_not_applied() {
    let reference = reference();
    let mut with = tokenizer(&reference, &json!({"base": "byte_level"}));
    let task = json!({"id": "t", "prompt": "The sea is blue. ".repeat(20)}).to_string();
    let fed = |tokenizer: &Value| {
        let fed = Fed::new(tokenizer);
        fed.write("tasks.jsonl", &task);
        fed.timed().unwrap()
    };
    let without = fed(&with);
    with["model"]["dropout"] = json!(0.5);
    assert_eq!(fed(&with), without);
}

#[test]
fn special_tokens_of_classes_are_those_of_transformers() {
    let reference = reference();
    let classes = reference["classes"].as_object().unwrap();
    assert_eq!(classes.len(), 7);
    for (class, tokens) in classes {
        let fed = plain(&reference);
        let template = "{{ messages[0].content }}{{ bos_token }}|{{ eos_token }}|{{ unk_token }}|{{ sep_token }}|\
                        {{ pad_token }}|{{ cls_token }}|{{ mask_token }}";
        let config = json!({"tokenizer_class": format!("{class}Fast"), "chat_template": template});
        fed.write("m/tokenizer_config.json", &config.to_string());
        let names = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"];
        let of =
            |name: &&str| tokens[format!("{name}_token")].as_str().unwrap_or_default().to_string();
        let expected = format!("x{}", names.iter().map(of).collect::<Vec<_>>().join("|"));
        let by_template = fed.timed().unwrap();
        fed.write("m/tokenizer_config.json", "{}");
        fed.write("tasks.jsonl", &json!({"id": "t", "prompt": expected}).to_string());
        assert_eq!(by_template, fed.timed().unwrap(), "{class}");
    }
}

#[test]
fn prompts_and_choices_are_split_as_lm_evaluation_harness_does() {
    let reference = reference();
    let cases = list(&reference["pairs"]);
    assert!(cases.len() >= 100, "{}", cases.len());
    let mut refused = 0;
    for case in cases {
        let fed = Fed::new(&tokenizer(&reference, case));
        let other = format!("{} or not", text(&case["choice"]));
        let expect = json!({
            "choices": [case["choice"], other], "gold": 0, "delimiter": case["delimiter"]
        });
        let task =
            json!({"id": "c", "prompt": case["prompt"], "grader": "choice", "expect": expect});
        fed.write("graded.jsonl", &task.to_string());
        fed.configure("[quality]\ntasks = \"graded.jsonl\"\n", "");
        if list(&case["continuation"]).is_empty() {
            let problem = fed.asked().unwrap_err().to_string();
            assert!(
                problem.contains("task 'c'") && problem.contains("nothing is left to score"),
                "{problem}"
            );
            refused += 1;
            continue;
        }
        let Ask::Choose { prompt, choices } = &fed.asked().unwrap()[0] else { panic!("{case}") };
        assert_eq!(
            (prompt, &choices[0]),
            (&ids(&case["context"]), &ids(&case["continuation"])),
            "{case}"
        );
    }
    assert!(refused > 0);
}

#[test]
fn a_models_own_template_is_the_default_and_said() {
    let reference = reference();
    let fed = plain(&reference);
    let said = || workload::text_of(&fed.config().variants[0]).unwrap();
    let plain = fed.timed().unwrap();
    assert!(said().is_empty(), "a model without a template is fed as it stands");
    fed.write("m/chat_template.jinja", "<s>{{ messages[0].content }}</s>{{ strftime_now('%Y') }}");
    let inside = fed.timed().unwrap();
    assert_eq!(inside[0][0], 1);
    assert_eq!(said()["chat_template"], "chat_template.jinja");
    assert_eq!(said()["chat_date"], "2024-07-26");
    fed.configure("", "chat_date = \"2031-01-01\"");
    assert_ne!(fed.timed().unwrap(), inside, "another day is another prompt");
    assert_eq!(said()["chat_date"], "2031-01-01");
    fed.configure("", "chat_template = \"none\"");
    assert_eq!(fed.timed().unwrap(), plain);
    fed.configure("", "chat_template = \"model:tool_use\"");
    let problem = fed.timed().unwrap_err().to_string();
    assert!(
        problem.contains("no chat template of the name 'tool_use'; it has default"),
        "{problem}"
    );
    fed.write("m/additional_chat_templates/tool_use.jinja", "</s>{{ messages[0].content }}");
    assert_eq!(fed.timed().unwrap()[0][0], 2);
    assert_eq!(said()["chat_template"], "tool_use.jinja (tool_use)");
}

#[test]
fn a_template_that_drops_what_it_is_told_is_refused() {
    let reference = reference();
    let fed = plain(&reference);
    let graded = json!({"id": "g1", "system": "Call area(base) when asked.", "prompt": "Area of a triangle?",
                        "grader": "exact", "expect": "x"});
    fed.write("graded.jsonl", &graded.to_string());
    let refused = [
        // The system text, as in case 06: the functions would never reach the model.
        (
            "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}",
            "the system text",
        ),
        (
            "{% for m in messages %}{% if m.role == 'human' %}{{ m.content }}{% endif %}{% endfor %}<s>",
            "the user's message",
        ),
        ("You are helpful. {{ messages[-1].content }}", "the system text"),
        ("{{ messages[0].content }}{{ messages[-1].content[:9] }}", "the prompt"),
        ("{{ messages[0].content }} asks perfgate", "the prompt"),
    ];
    // What the template itself says, or the prompt, holds a short system text by accident.
    let by_accident = [
        ("SYS", "Hello there", "SYSTEM: fixed. {{ messages[-1].content }}", "the system text"),
        ("Hello", "Hello there", "{{ messages[-1].content }}", "the system text"),
        (
            "Say hello there.",
            "hello",
            "{% if messages[1] is defined %}{{ messages[0].content }}{% else %}{{ messages[0].content }}{% endif %}",
            "the prompt",
        ),
    ];
    for (system, prompt, template, what) in by_accident {
        let task = json!({"id": "g1", "system": system, "prompt": prompt, "grader": "exact", "expect": "x"});
        fed.write("graded.jsonl", &task.to_string());
        fed.write("t.jinja", template);
        fed.configure("[quality]\ntasks = \"graded.jsonl\"\n", "chat_template = \"t.jinja\"");
        let problem = fed.asked().expect_err(template).to_string();
        assert!(
            problem.contains(&format!("leaves out or changes {what}")),
            "{template}: {problem}"
        );
    }
    fed.write("graded.jsonl", &graded.to_string());
    for (template, what) in refused {
        fed.write("t.jinja", template);
        fed.configure("[quality]\ntasks = \"graded.jsonl\"\n", "chat_template = \"t.jinja\"");
        let problem = fed.asked().expect_err(template).to_string();
        assert!(
            problem.contains("leaves out or changes") && problem.contains(what),
            "{template}: {problem}"
        );
        assert!(
            problem.contains("t.jinja") && problem.contains("chat_template = \"none\""),
            "{problem}"
        );
    }
    let kept = [
        "{% for m in messages %}{{ m.content | trim }}{% endfor %}",
        "{{ messages | tojson }}",
        "{{ messages[0].content }}\n{{ messages[1].content }}",
    ];
    for template in kept {
        fed.write("t.jinja", template);
        assert_eq!(fed.asked().expect(template).len(), 1);
    }
}

#[test]
fn an_error_of_a_template_names_its_file_and_line() {
    let fed = plain(&reference());
    let problem = |fed: &Fed| -> Problem { fed.timed().unwrap_err() };
    fed.write("m/chat_template.jinja", "{{ messages[0].content }}\n{% if x %}\n{% endfr %}");
    let found = problem(&fed);
    assert!(
        found
            .to_string()
            .contains("m/chat_template.jinja:3:1: variant 'm': the chat template is not"),
        "{found}"
    );
    fed.write(
        "m/chat_template.jinja",
        "{{ messages[0].content }}\n{{ raise_exception('roles must alternate') }}",
    );
    let found = problem(&fed);
    let expected = "m/chat_template.jinja:2:1: variant 'm', task 't': the chat template fails: roles must alternate";
    assert!(found.to_string().contains(expected), "{found}");
    std::fs::remove_file(fed.path("m/chat_template.jinja")).unwrap();
    fed.write(
        "m/tokenizer_config.json",
        &json!({"chat_template": "a\n{{ messages | nope }}"}).to_string(),
    );
    let found = problem(&fed).to_string();
    assert!(
        found.contains("tokenizer_config.json: ") && found.contains("line 2 of the chat template"),
        "{found}"
    );
}

fn stops(fed: &Fed, stop: &str) -> Result<Vec<u32>> {
    fed.configure(&format!("[quality]\ntasks = \"graded.jsonl\"\nstop = {stop}\n"), "");
    match &fed.asked()?[0] {
        Ask::Generate(order) => Ok(order.stop.clone()),
        Ask::Choose { .. } => panic!("it is generated"),
    }
}

#[test]
fn an_answer_ends_at_every_end_that_the_files_name() {
    let fed = plain(&reference());
    fed.write("graded.jsonl", r#"{"id": "g", "prompt": "x", "grader": "exact", "expect": "x"}"#);
    assert_eq!(stops(&fed, "[]").unwrap(), [2]);
    assert!(fed.disagreements().is_empty());
    fed.write("m/generation_config.json", r#"{"eos_token_id": [5, 2]}"#);
    fed.write("m/tokenizer_config.json", r#"{"eos_token": "<|im_end|>"}"#);
    assert_eq!(stops(&fed, "[]").unwrap(), [2, 4, 5]);
    let said = fed.disagreements().join(" ");
    for part in [
        "generation_config.json 5 (<pad>), 2 (</s>)",
        "config.json 2 (</s>)",
        "files 4 (<|im_end|>)",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_stop_string_that_is_a_special_token_ends_an_answer_and_one_that_cannot_be_met_is_refused() {
    let fed = plain(&reference());
    fed.write("graded.jsonl", r#"{"id": "g", "prompt": "x", "grader": "exact", "expect": "x"}"#);
    assert_eq!(stops(&fed, r#"["<|im_end|>"]"#).unwrap(), [2, 4]);
    let problem = stops(&fed, r#"["<|eot_id|>"]"#).unwrap_err().to_string();
    assert!(
        problem.contains("\"<|eot_id|>\"") && problem.contains("can never be met"),
        "{problem}"
    );
    let problem = stops(&fed, r#"["<|im_end|>\n"]"#).unwrap_err().to_string();
    assert!(problem.contains("the special token <|im_end|>"), "{problem}");
    // Text that prompts hold too is text.
    fed.write(
        "graded.jsonl",
        r#"{"id": "g", "prompt": "<|user|>x", "grader": "exact", "expect": "x"}"#,
    );
    assert_eq!(stops(&fed, r#"["<|user|>", "</answer>"]"#).unwrap(), [2]);
}

#[test]
fn reasoning_that_a_prompt_opens_may_end_at_a_special_token() {
    // Mistral's marks are special tokens, which no answer's text shows.
    let reference = reference();
    let mut tokenizer = reference["bases"]["byte_level"].clone();
    let vocabulary = tokenizer["model"]["vocab"].as_object().unwrap();
    let next = vocabulary.values().filter_map(Value::as_u64).max().unwrap() + 1;
    for (id, mark) in (next..).zip(["[THINK]", "[/THINK]"]) {
        tokenizer["added_tokens"].as_array_mut().unwrap().push(json!({
            "id": id, "content": mark, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true
        }));
    }
    let fed = Fed::new(&tokenizer);
    let task = json!({"id": "g", "prompt": "Six times seven?[THINK]", "grader": "numeric",
                      "expect": {"value": 42, "pick": "first"}});
    fed.write("graded.jsonl", &task.to_string());
    fed.configure("[quality]\ntasks = \"graded.jsonl\"\n", "");
    let config = fed.config();
    let quality = config.quality.as_ref().unwrap();
    let graded = workload::prepare_graded(quality, &config.workload, &config.variants).unwrap();
    let loaded = workload::load_tokenizer(&fed.path("m/tokenizer.json")).unwrap();
    let cases = [
        ("Is it 41?[/THINK]It is 42.", Grade::Right),
        ("Is it 42?[/THINK]It is 41.", Grade::Wrong),
        ("It is 42.", Grade::Failed),
        ("It is 42.[/THINK]", Grade::Failed),
    ];
    for (said, grade) in cases {
        let tokens = loaded.encode(said, false).unwrap().get_ids().to_vec();
        let (text, _) = graded.text("m", 0, &tokens);
        assert!(!text.contains("THINK"), "{text}");
        let outcome = graded.grade("m", 0, &tokens, &text);
        assert_eq!(outcome.grade, grade, "{said}: {outcome:?}");
    }
}

#[test]
fn a_stop_string_that_may_be_meant_as_a_special_token_is_said() {
    let fed = plain(&reference());
    let task =
        |prompt| json!({"id": "g", "prompt": prompt, "grader": "exact", "expect": "x"}).to_string();
    fed.write("graded.jsonl", &task("x"));
    let doubtful =
        ["<end_of_utterance>", "<turn|>", "[/INST]", "[EOT]", "<eot>", "<|im_end|", "<<SYS>>"];
    for stop in doubtful {
        let said = fed.doubts(&json!([stop]).to_string());
        let expected = format!(
            "the stop string {stop:?} is not a special token of its tokenizer and ends an answer only if the model \
             writes it as text"
        );
        assert_eq!(said, [expected], "{stop}");
    }
    for stop in
        ["<|im_end|>", "</answer>", "\n", "Question:", "[1]", "<", "]", "[x]", "<b>", "a|>b"]
    {
        assert!(fed.doubts(&json!([stop]).to_string()).is_empty(), "{stop}");
    }
    // What prompts hold is text.
    fed.write("graded.jsonl", &task("[INST]x[/INST]"));
    assert!(fed.doubts(r#"["[/INST]"]"#).is_empty());
    assert_eq!(fed.doubts(r#"["[/INST]", "[EOT]"]"#).len(), 1);
    // A part of a special token that prompts hold is not.
    fed.write("graded.jsonl", &task("x<|im_end|>"));
    assert_eq!(fed.doubts(r#"["<|im_end|"]"#).len(), 1);
}

#[test]
fn a_template_around_prompts_has_to_hold_the_prompt() {
    let fed = plain(&reference());
    fed.write(
        "graded.jsonl",
        r#"{"id": "g", "prompt": "6 times 7?", "grader": "exact", "expect": "x"}"#,
    );
    fed.write("around.jinja", "What is 6 times 8?\n");
    fed.configure("[quality]\ntasks = \"graded.jsonl\"\nprompt_template = \"around.jinja\"\n", "");
    let problem = fed.asked().unwrap_err().to_string();
    assert!(problem.contains("leaves out or changes the prompt"), "{problem}");
}

/// The real model with its own template, through the whole program: said at the start, in the report and by doctor.
#[test]
fn a_real_models_template_is_said_by_check_and_doctor() {
    let project = Project::new(
        &format!(
            "[workload]\ntasks = \"tasks.jsonl\"\ngen_tokens = 2\n[quality]\ntasks = \"graded.jsonl\"\nmax_tokens = 24\n\
         stop = [\"<|im_end|>\", \"[/INST]\"]\n[session]\nrounds = 1\n[variants.m]\nengine = \"candle\"\nmodel = {:?}\nthreads = 2\n\
         [variants.n]\nengine = \"candle\"\nmodel = {:?}\nthreads = 2\n",
            copied(&model("fp16")).display().to_string(),
            model("fp16").display().to_string(),
        ),
        "[rules]\naccuracy = \"1pt\"\n",
    );
    project.write("graded.jsonl", r#"{"id": "g1", "prompt": "What is the capital of France? One word.", "grader": "regex", "expect": "(?s).*Paris.*"}"#);
    let run = project.run(&["check", "--only", "quality", "--verbose"]);
    assert!([0, 3].contains(&run.code), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("chat_template tokenizer_config.json"), "{}", run.stdout);
    assert!(
        run.stdout.contains("'m': its files name different ends of an answer"),
        "{}",
        run.stdout
    );
    let said = "the stop string \"[/INST]\" is not a special token of its tokenizer";
    let first = run.stdout.lines().chain(run.stderr.lines()).find(|line| line.contains(said));
    assert!(first.is_some_and(|line| line.contains("'m'")), "{}{}", run.stdout, run.stderr);
    let answers = project.results().answers;
    for answer in &answers {
        // <|im_end|> is 2, and the first of them ends the answer.
        let place = answer.tokens.iter().position(|token| *token == 2);
        assert_eq!(place, Some(answer.tokens.len() - 1), "{answer:?}");
    }
    let run = project.run(&["doctor"]);
    let joined = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(joined.contains(said), "{}", run.stdout);
    assert!(
        run.stdout
            .contains("its prompts stand in the model's chat template, tokenizer_config.json"),
        "{}",
        run.stdout
    );
}

/// A model's folder with the weights linked, and another end in its generation_config.json.
fn copied(from: &Path) -> PathBuf {
    let folder = tempfile::tempdir().unwrap().keep();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let file = folder.join("generation_config.json");
    let _ = std::fs::remove_file(&file);
    std::fs::write(file, r#"{"eos_token_id": 0}"#).unwrap();
    folder
}
