//! Identity is more than weights: what changed between an interruption and its resumption, between a stored session and
//! this one, and what an engine keeps in a folder of compiled models, on the real model.

use crate::support::{Project, model, root, scripted};
use perfgate::record::{Results, Taken, VerdictKind};
use std::path::{Path, PathBuf};

const TEMPLATE: &str = "{% for m in messages %}{{ m['content'] }}{% endfor %}";

/// Scripted variants with a chat template of a file: its text is what differs.
fn templated(rules: &str) -> Project {
    let variant = |name: &str| {
        format!("[variants.{name}]\nengine = \"scripted\"\nchat_template = \"{name}.jinja\"\n")
    };
    let config = scripted(4, &format!("{}{}", variant("base"), variant("other")));
    let config = format!("allow = [\"scripted\"]\n{config}");
    let project = Project::new(&config, rules);
    project.write("base.jinja", TEMPLATE);
    project.write("other.jinja", TEMPLATE);
    project
}

fn ok(project: &Project, arguments: &[&str]) -> String {
    let run = project.run(arguments);
    assert_eq!(run.code, 0, "{arguments:?}: {}{}", run.stdout, run.stderr);
    run.stdout
}

/// As after a kill, at the begin of round 3.
fn kill(project: &Project) {
    let journal = project.journal_file().unwrap();
    std::fs::remove_file(journal.with_file_name("benchmark_results.json")).unwrap();
    let text = std::fs::read_to_string(&journal).unwrap();
    let third = text.match_indices("{\"session\"").filter(|(at, _)| {
        text[*at..].lines().next().unwrap().contains("\"record\":\"round_start\"")
    });
    let cut = third.map(|(at, _)| at).nth(2).unwrap();
    std::fs::write(&journal, &text[..cut]).unwrap();
}

#[test]
fn a_template_that_was_edited_since_keeps_a_session_from_going_on() {
    let project = templated("[rules]\nlatency = \"900%\"\n");
    ok(&project, &["check"]);
    kill(&project);
    project.write("other.jinja", &format!("You are careful. {TEMPLATE}"));
    let run = project.run(&["check", "--resume"]);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("'other' has another chat template (sha256 "), "{}", run.stderr);
    assert!(run.stderr.contains("other prompts in token ids"), "{}", run.stderr);
    assert!(!run.stderr.contains("'base' has"), "{}", run.stderr);
    project.write("other.jinja", TEMPLATE);
    ok(&project, &["check", "--resume"]);
}

#[test]
fn an_environment_that_changes_arithmetic_is_recorded_and_keeps_a_session_from_going_on() {
    let project = templated("[rules]\nlatency = \"900%\"\n");
    ok(&project, &["check"]);
    kill(&project);
    let mut command = project.command(&["check", "--resume"]);
    command.env("ONEDNN_MAX_CPU_ISA", "AVX2");
    let run = crate::support::finished(command.output().unwrap());
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    let words = "'other' has another ONEDNN_MAX_CPU_ISA in the environment (unset then, AVX2 now)";
    assert!(run.stderr.contains(words), "{}", run.stderr);
}

const RATIO: &str = "[rules]\nratio = { metric = \"latency\", variant = \"other\", against = \"baseline\", \
                     relative_to = \"base\", limit = \"10%\" }\n";

#[test]
fn a_ratio_to_a_reference_that_is_asked_otherwise_is_not_comparable() {
    let project = templated(RATIO);
    for _ in 0..3 {
        project.check();
        ok(&project, &["baseline", "update"]);
    }
    let of_now = |project: &Project| project.results().verdicts.remove(0);
    project.check();
    assert_ne!(of_now(&project).verdict, VerdictKind::Incomparable, "{}", of_now(&project).reason);
    project.write("base.jinja", &format!("You are careful. {TEMPLATE}"));
    project.check();
    let verdict = of_now(&project);
    assert_eq!(verdict.verdict, VerdictKind::Incomparable, "{}", verdict.reason);
    assert!(verdict.reason.contains("another chat template (sha256 "), "{}", verdict.reason);
    assert!(verdict.reason.contains("of 'base'"), "{}", verdict.reason);
    // A session that an older perfgate stored says nothing of it.
    project.write("base.jinja", TEMPLATE);
    for file in stored(project.path()) {
        let mut json: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for variant in ["base", "other"] {
            json["variants"][variant]["asked"].as_object_mut().unwrap().remove("identity").unwrap();
        }
        std::fs::write(&file, json.to_string()).unwrap();
    }
    project.check();
    let verdict = of_now(&project);
    assert_eq!(verdict.verdict, VerdictKind::Incomparable, "{}", verdict.reason);
    assert!(
        verdict.reason.contains("an identity that was not recorded then"),
        "{}",
        verdict.reason
    );
}

#[test]
fn a_judged_variant_that_is_asked_otherwise_is_no_better_than_then() {
    let rules = format!(
        "{RATIO}fixed = {{ metric = \"latency\", variant = \"other\", against = \"baseline\", limit = \"10%\" }}\n"
    );
    let project = templated(&rules);
    for _ in 0..3 {
        project.check();
        ok(&project, &["baseline", "update"]);
    }
    project.check();
    for verdict in project.results().verdicts {
        assert_eq!(verdict.verdict, VerdictKind::Pass, "{}", verdict.reason);
    }
    let why = "'other' has other timed prompts in token ids than the stored sessions, since it differs from then in \
               chat template";
    project.write("other.jinja", &format!("You are careful. {TEMPLATE}"));
    project.check();
    for verdict in project.results().verdicts {
        assert_eq!(verdict.verdict, VerdictKind::Incomparable, "{}", verdict.reason);
        assert_eq!(verdict.reason, why);
    }
    // Worse is worse, and the reason is told.
    let slower = std::fs::read_to_string(project.path().join("perfgate.toml")).unwrap();
    let key = "chat_template = \"other.jinja\"\n";
    project.write(
        "perfgate.toml",
        &slower.replace(key, &format!("{key}script = {{ token_ms = 20.0 }}\n")),
    );
    let run = project.check();
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    for verdict in project.results().verdicts {
        assert_eq!(verdict.verdict, VerdictKind::Regressed, "{}", verdict.reason);
        assert!(verdict.reason.ends_with(why), "{}", verdict.reason);
    }
}

#[test]
fn variants_that_are_not_asked_the_same_are_named_at_the_top() {
    let project = templated("[rules]\nlatency = { variant = \"other\", limit = \"900%\" }\n");
    let note = "is not asked what";
    assert!(!ok(&project, &["check"]).contains(note), "they are asked the same");
    project.make_repository();
    project.git(&["checkout", "-qb", "change"]);
    project.write("other.jinja", &format!("You are careful. {TEMPLATE}"));
    project.commit("another template");
    let plain = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let report = plain(ok(&project, &["check", "--against", "main"]));
    for other in ["base", "other@base"] {
        let said = format!(
            "'other' is not asked what '{other}' is: it has other timed prompts (30 tokens on average, and '{other}' \
             13), since they differ in chat template. Their times and answers are of other work"
        );
        let place = report.find(&said).unwrap_or_else(|| panic!("{other}: {report}"));
        assert!(place < 900, "{report}");
    }
}

fn stored(project: &Path) -> Vec<PathBuf> {
    let classes = std::fs::read_dir(project.join("baselines")).unwrap().flatten();
    let files = classes.flat_map(|class| std::fs::read_dir(class.path()).unwrap().flatten());
    files.map(|file| file.path()).collect()
}

/// A copy of the INT8 model of the same graph, with other weights.
fn fine_tuned(to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(model("ov-int8")).unwrap().flatten() {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let xml = std::fs::read_to_string(to.join("openvino_model.xml")).unwrap();
    let file = to.join("openvino_model.bin");
    let mut weights = std::fs::read(&file).unwrap();
    let number = |data: &str, key: &str| -> usize {
        let start = data.find(&format!(" {key}=\"")).unwrap() + key.len() + 3;
        data[start..].split('"').next().unwrap().parse().unwrap()
    };
    let mut changed = 0;
    for data in xml.split("<data ").skip(1).map(|data| data.split('>').next().unwrap()) {
        let data = &format!(" {data}");
        if data.contains("element_type=\"u8\"") && data.contains(" size=") {
            let (offset, size) = (number(data, "offset"), number(data, "size"));
            // Whole matrices and not their scales: each eighth weight moves by a quarter of its range.
            if size > 100_000 {
                weights[offset..offset + size].iter_mut().step_by(8).for_each(|byte| *byte ^= 0x40);
                changed += 1;
            }
        }
    }
    assert!(changed > 10, "{changed} matrices");
    std::fs::write(file, weights).unwrap();
}

/// OpenVINO 2025.4 finds a compiled model by its graph: in one folder a model and its fine-tuned copy are one to it.
fn two_models_of_one_graph(runtime: &Path) {
    assert!(runtime.is_dir(), "{} is missing: see scripts/test.sh", runtime.display());
    let rules = "[rules]\nkl_divergence = { variant = \"tuned\", max = \"0.001\", evidence = \"point\" }\n\
                 start = { metric = \"cold_start\", variant = \"tuned\", max = \"600 s\" }\n";
    let variant = |name: &str, model: &Path| {
        format!(
            "[variants.{name}]\nengine = \"openvino\"\nmodel = {:?}\nruntime = {:?}\nthreads = 2\n\
             properties = {{ INFERENCE_PRECISION_HINT = \"f32\", CACHE_DIR = \"compiled\" }}\n",
            model.display().to_string(),
            runtime.display().to_string()
        )
    };
    let project = Project::new("", rules);
    fine_tuned(&project.path().join("tuned"));
    let config = format!(
        "[workload]\ntasks = \"tasks.jsonl\"\nprompt_tokens = 8\ngen_tokens = 4\n\
         [session]\nrounds = 2\nstop = \"never\"\n\
         [quality.fidelity]\ndocuments = \"documents.jsonl\"\ntokens = 40\nstepwise = 0\n{}{}",
        variant("int8", &model("ov-int8")),
        variant("tuned", Path::new("tuned"))
    );
    project.write("perfgate.toml", &config);
    let text = "The sea is blue because water takes the red part of the light away. ".repeat(8);
    // A single document has no spread, and decides nothing.
    let other =
        "Ships cross it with tea, wood and letters from one harbour to the next. ".repeat(8);
    let documents = [("d1", text), ("d2", other)]
        .map(|(id, text)| format!("{{\"id\": \"{id}\", \"text\": {text:?}}}\n"));
    project.write("documents.jsonl", &documents.concat());
    // Twice: the second time both are taken from the folder, and nothing from the cache of answers.
    let mut divergences = Vec::new();
    for arguments in [&["check"][..], &["check", "--fresh"]] {
        let run = project.run(arguments);
        let results = project.combined();
        let judgement = results.judgement.as_ref().unwrap();
        let kl = judgement.verdicts.iter().find(|v| v.rule.id == "kl_divergence").unwrap();
        assert_eq!(kl.verdict, VerdictKind::Regressed, "{}{}", run.stdout, run.stderr);
        divergences.push(kl.now.unwrap());
        let taken = taken(&results);
        let expected = match divergences.len() {
            1 => vec![Taken::Made, Taken::Kept, Taken::Made, Taken::Kept],
            _ => vec![Taken::Kept; 4],
        };
        assert_eq!(taken, expected, "{}", run.stdout);
        if divergences.len() == 1 {
            // The start that made the compiled model is another thing than those that took it.
            let summary = results.summaries["tuned"].iter().find(|s| s.metric.id() == "cold_start");
            assert_eq!(summary.unwrap().samples, 1, "{:?}", summary);
            let flat = run.stdout.replace("\n  ", " ");
            assert!(flat.contains("take the compiled model from CACHE_DIR"), "{}", run.stdout);
        }
    }
    assert!(
        divergences[0] > 0.01 && (divergences[0] - divergences[1]).abs() < 1e-3,
        "{divergences:?}"
    );
}

/// What each start did with its folder, by variant and round.
fn taken(results: &Results) -> Vec<Taken> {
    let of = |name: &str| -> Vec<Taken> {
        let workers = results.parts[0].rounds.iter().flat_map(|round| &round.workers);
        workers.filter(|w| w.variant == name).map(|w| w.model_cache.unwrap().taken).collect()
    };
    [of("int8"), of("tuned")].concat()
}

#[test]
fn two_models_of_one_graph_share_no_compiled_model() {
    two_models_of_one_graph(&root().join("runtimes/openvino-2026.4.1"));
}

#[test]
fn nor_do_they_with_a_runtime_that_leaves_weights_out() {
    two_models_of_one_graph(&root().join("evidence/against/openvino-2025.4.1"));
}

/// What the runtime 2026.4.1 does on two processors.
#[test]
fn what_was_asked_for_and_is_not_in_force_is_a_warning() {
    let project =
        Project::new("", "[rules]\nfailure_rate = { max = \"0%\", variant = \"other\" }\n");
    let variant = |name: &str, more: &str| {
        format!(
            "[variants.{name}]\nengine = \"openvino\"\nmodel = {:?}\nruntime = {:?}\nthreads = 2\n\
             properties = {{ KV_CACHE_PRECISION = \"f16\", ENABLE_CPU_PINNING = false{more} }}\n",
            model("ov-int8").display().to_string(),
            root().join("runtimes/openvino-2026.4.1").display().to_string()
        )
    };
    project.write(
        "perfgate.toml",
        &format!(
            "[workload]\ntasks = \"tasks.jsonl\"\nprompt_tokens = 8\ngen_tokens = 4\n\
             [session]\nrounds = 1\nstop = \"never\"\n{}{}",
            variant("plain", ""),
            variant("other", ", NUM_STREAMS = 4, SCHEDULING_CORE_TYPE = \"ECORE_ONLY\"")
        ),
    );
    let run = project.check();
    // One request proves nothing of a rule, and nothing here depends on it.
    assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
    let results = project.combined();
    let engine = |name: &str| results.parts[0].engine(name).unwrap().clone();
    assert_eq!(engine("plain").differences(), [], "other spellings are no difference");
    let differences: Vec<String> =
        engine("other").differences().iter().map(ToString::to_string).collect();
    let core = "SCHEDULING_CORE_TYPE = ECORE_ONLY was asked for, and ANY_CORE is in force";
    assert!(differences.iter().any(|text| text == core), "{differences:?}");
    let flat = run.stdout.replace("\n  ", " ");
    assert!(flat.contains(&format!("'other': {core}")), "{}", run.stdout);
    assert_eq!(engine("other").requested["NUM_STREAMS"], "4");
}
