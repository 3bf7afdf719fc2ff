//! `perfgate doctor` from end to end: on this repository with its real models and runtime, and on
//! projects that are broken in one place each.

use crate::support::{Project, Run, finished, scripted};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const RULES: &str = "[defaults]\nvariant = \"base\"\n[rules]\nfailure_rate = { max = \"0%\" }\n";
const VARIANT: &str = "[variants.base]\nengine = \"scripted\"\n";

/// The findings of a run: title of the section, mark, subject, text, remedy.
fn findings(run: &Run) -> Vec<[String; 5]> {
    let json: Value = serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let mut found = Vec::new();
    for section in json["sections"].as_array().unwrap() {
        for finding in section["findings"].as_array().unwrap() {
            let [mark, subject, what, remedy] =
                ["mark", "subject", "text", "remedy"].map(|key| text(&finding[key]));
            found.push([text(&section["title"]), mark, subject, what, remedy]);
        }
    }
    found
}

fn json(project: &Project) -> Run {
    project.run(&["doctor", "--format", "json"])
}

/// The only problem of a project, which must make the exit code 2: its subject, text and remedy.
fn only_problem(project: &Project) -> [String; 3] {
    let run = json(project);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    let mut problems: Vec<[String; 5]> =
        findings(&run).into_iter().filter(|finding| finding[1] == "problem").collect();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let [_, _, subject, text, remedy] = problems.remove(0);
    let terminal = project.run(&["doctor"]);
    assert_eq!(terminal.code, 2);
    assert!(terminal.stdout.ends_with("the gate cannot run here\n"), "{}", terminal.stdout);
    [subject, text, remedy]
}

fn here(arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perfgate"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).arg("doctor").args(arguments);
    finished(command.env_remove("PERFGATE_OPENVINO").output().unwrap())
}

#[test]
fn this_repository_can_run_the_gate() {
    let run = here(&["--format", "json"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let found = findings(&run);
    let text = |title: &str, subject: &str| -> &str {
        let finding = found.iter().find(|f| f[0] == title && f[2] == subject);
        &finding.unwrap_or_else(|| panic!("no {title}, {subject}")).as_slice()[3]
    };
    let runtime = text("OpenVINO runtimes", "found");
    assert!(runtime.starts_with("2026.4.1-"), "{runtime}");
    assert!(runtime.contains(".perfgate/runtimes/openvino-2026.4.1/"), "{runtime}");
    for variant in ["fp16-ov", "int8"] {
        let used = text("OpenVINO runtimes", &format!("for {variant}"));
        assert!(used.starts_with("2026.4.1, "), "{used}");
        let model = text("Configuration", variant);
        assert!(model.contains("openvino_model.xml, openvino_model.bin; "), "{model}");
        let sum = model.rsplit("sha256 ").next().unwrap();
        assert_eq!(sum.len(), 64, "{model}");
    }
    assert!(text("Machine", "class").starts_with("v2/"));
    for [_, mark, subject, _, remedy] in &found {
        assert_eq!(mark == "ok", remedy.is_empty(), "{subject} is '{mark}': {remedy:?}");
    }
}

#[test]
fn the_terminal_shows_the_same_within_100_columns() {
    let run = here(&[]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let long = run.stdout.lines().find(|line| line.chars().count() > 100);
    assert_eq!(long, None);
    assert!(!run.stdout.contains('\x1b'), "no colors unless it is a terminal");
    for title in ["Machine", "Energy and throttling", "OpenVINO runtimes", "Baselines", "Git"] {
        assert!(run.stdout.lines().any(|line| line == title), "{title} in {}", run.stdout);
    }
    assert!(run.stdout.ends_with("the gate can run here\n"), "{}", run.stdout);
}

#[test]
fn without_a_configuration_the_rest_is_shown() {
    let project = Project::new(&scripted(1, VARIANT), RULES);
    assert_eq!(json(&project).code, 0, "it is whole before");
    std::fs::remove_file(project.path().join("perfgate.toml")).unwrap();
    let [subject, text, remedy] = only_problem(&project);
    assert_eq!(subject, "perfgate.toml");
    assert!(text.contains("there is no such file"), "{text}");
    assert!(remedy.contains("--config FILE"), "{remedy}");
    let found = findings(&json(&project));
    assert!(found.iter().any(|f| f[2] == "class" && f[3].starts_with("v2/")), "{found:#?}");
}

#[test]
fn a_missing_model_has_a_remedy() {
    let missing =
        "[variants.m]\nengine = \"candle\"\nmodel = \".perfgate/models/m\"\nthreads = 1\n";
    let project = Project::new(&scripted(1, &format!("{VARIANT}{missing}")), RULES);
    let [subject, text, remedy] = only_problem(&project);
    assert_eq!(subject, "m");
    assert!(
        text.contains(".perfgate/models/m: variant 'm': the model's folder does not exist"),
        "{text}"
    );
    assert!(remedy.contains("make the models first"), "{remedy}");
}

/// A variant on the repository's real model.
fn real(runtime: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(".perfgate");
    let model = root.join("models/smollm2-135m/ov-int8");
    format!(
        "[variants.m]\nengine = \"openvino\"\nmodel = {model:?}\nruntime = {runtime:?}\nthreads = 1\n"
    )
}

#[test]
fn an_unknown_runtime_has_a_remedy() {
    let project = Project::new(&scripted(1, &format!("{VARIANT}{}", real("nowhere"))), RULES);
    let [subject, text, remedy] = only_problem(&project);
    assert_eq!(subject, "for m");
    assert!(text.contains("nowhere: holds no OpenVINO"), "{text}");
    assert!(remedy.contains("pip install"), "{remedy}");
}

#[test]
fn a_library_that_is_none_has_a_remedy() {
    let project = Project::new(&scripted(1, &format!("{VARIANT}{}", real("broken"))), RULES);
    std::fs::create_dir(project.path().join("broken")).unwrap();
    project.write("broken/libopenvino_c.so", "not a library");
    let [subject, text, remedy] = only_problem(&project);
    assert_eq!(subject, "for m");
    assert!(text.contains("libopenvino_c.so: cannot be loaded"), "{text}");
    assert!(remedy.contains("pip install"), "{remedy}");
}

#[test]
fn a_mistake_in_either_file_is_told_as_check_tells_it() {
    let project = Project::new(&scripted(1, VARIANT).replace("rounds", "runds"), RULES);
    let [subject, text, remedy] = only_problem(&project);
    assert_eq!(subject, "perfgate.toml");
    let told = project.check().stderr;
    assert!(told.contains(&text) && told.contains(&remedy), "{text} / {remedy} in {told}");
    project.write("perfgate.toml", &scripted(1, VARIANT));
    project.write("thresholds.toml", "[rules]\nthroughputt = \"5%\"\n");
    let [subject, text, remedy] = only_problem(&project);
    assert_eq!(subject, "thresholds.toml");
    let told = project.check().stderr;
    assert!(told.contains(&text) && told.contains(&remedy), "{text} / {remedy} in {told}");
}
