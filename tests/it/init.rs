//! `perfgate init` from end to end: the files parse, run, and never replace what is there.

use crate::support::{Run, finished};
use perfgate::config::{self, WorkTree};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const FILES: [&str; 5] = [
    "perfgate.toml",
    "thresholds.toml",
    "tasks.jsonl",
    ".github/workflows/perfgate.yml",
    ".gitignore",
];

fn run(folder: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perfgate"));
    command.current_dir(folder).args(arguments).env_remove("PERFGATE_OPENVINO");
    finished(command.output().unwrap())
}

fn succeeds(folder: &Path, arguments: &[&str]) -> Run {
    let run = run(folder, arguments);
    assert_eq!(run.code, 0, "{arguments:?}: {}{}", run.stdout, run.stderr);
    run
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_files_are_read_and_only_the_models_are_missing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let said = succeeds(path, &["init"]).stdout;
    for file in FILES {
        assert!(said.contains(&format!("made  {file}")), "{file} in {said}");
    }
    assert!(said.contains("Next:") && !said.contains("  cd "), "{said}");
    let thresholds = path.join("thresholds.toml");
    let setup = config::read(&WorkTree, &path.join("perfgate.toml"), Some(&thresholds)).unwrap();
    assert_eq!(setup.config.names(), ["fp16", "int8"]);
    assert!(setup.thresholds.unwrap().rules.iter().all(|rule| rule.variant == "int8"));
    let doctor = run(path, &["doctor", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&doctor.stdout).unwrap();
    let mut problems = Vec::new();
    // Whether a runtime is installed is the machine's affair.
    for section in json["sections"].as_array().unwrap() {
        let runtimes = section["title"] == "OpenVINO runtimes";
        let findings = section["findings"].as_array().unwrap().iter();
        problems.extend(findings.filter(|f| f["mark"] == "problem" && !runtimes).cloned());
    }
    let subjects: Vec<&str> = problems.iter().map(|f| f["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["fp16", "int8"], "{problems:#?}");
    let text = problems[0]["text"].as_str().unwrap();
    assert!(text.contains("the model's folder does not exist"), "{text}");
}

#[test]
fn the_workload_and_the_rules_run_with_other_variants() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    succeeds(path, &["init"]);
    let config = read(path, "perfgate.toml");
    let variants = config.find("[variants.fp16]").unwrap();
    let scripted = "[variants.fp16]\nengine = \"scripted\"\nscript = { token_ms = 0.6 }\n\
                    [variants.int8]\nengine = \"scripted\"\nscript = { token_ms = 0.2 }\n";
    let config = config[..variants].replace("rounds = 12", "rounds = 3") + scripted;
    std::fs::write(path.join("perfgate.toml"), config).unwrap();
    // The scripted engine has no model, and so no size of one.
    let rules = read(path, "thresholds.toml");
    let rules: String =
        rules.lines().filter(|l| !l.starts_with("model_size")).map(|l| format!("{l}\n")).collect();
    std::fs::write(path.join("thresholds.toml"), rules).unwrap();
    succeeds(path, &["doctor"]);
    let check = run(path, &["check"]);
    assert!([0, 1].contains(&check.code), "it was judged: {}{}", check.stdout, check.stderr);
    assert!(check.stdout.contains("throughput"), "{}", check.stdout);
}

#[test]
fn the_workflow_is_pinned_and_writes_nothing_but_the_comment() {
    let folder = TempDir::new().unwrap();
    succeeds(folder.path(), &["init"]);
    let workflow = read(folder.path(), ".github/workflows/perfgate.yml");
    let ours =
        concat!(include_str!("../../.github/workflows/ci.yml"), include_str!("../../action.yml"));
    for line in workflow.lines().filter(|line| line.contains("uses:")) {
        let action = line.trim().trim_start_matches("- ");
        assert!(ours.contains(action), "{line} is pinned as in our own");
    }
    for expected in [
        "fetch-depth: 0",
        "permissions:\n  contents: read",
        "cargo install perfgate-llm --locked",
        "perfgate check --against --github",
        "perfgate comment",
        "pull-requests: write",
    ] {
        assert!(workflow.contains(expected), "{expected} in {workflow}");
    }
}

#[test]
fn nothing_is_overwritten() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    std::fs::write(path.join("thresholds.toml"), "mine").unwrap();
    std::fs::write(path.join(".gitignore"), "target").unwrap();
    let said = succeeds(path, &["init"]).stdout;
    assert!(said.contains("kept  thresholds.toml, which is there already"), "{said}");
    assert!(said.contains("added .perfgate/ to .gitignore"), "{said}");
    assert_eq!(read(path, "thresholds.toml"), "mine");
    assert_eq!(read(path, ".gitignore"), "target\n.perfgate/\n");
    let before: Vec<String> = FILES.iter().map(|file| read(path, file)).collect();
    let said = succeeds(path, &["init", "--reference", "elsewhere"]).stdout;
    assert_eq!(said.lines().filter(|line| line.starts_with("kept  ")).count(), 5, "{said}");
    assert!(said.contains("name the models' folders in it by hand"), "{said}");
    let after: Vec<String> = FILES.iter().map(|file| read(path, file)).collect();
    assert_eq!(after, before);
}

#[test]
fn what_stands_in_the_way_is_an_error_and_nothing_is_made() {
    for name in ["tasks.jsonl", ".github", ".gitignore"] {
        let folder = TempDir::new().unwrap();
        let path = folder.path();
        std::os::unix::fs::symlink("/nowhere/at/all", path.join(name)).unwrap();
        let run = run(path, &["init"]);
        assert_eq!(run.code, 2, "{}", run.stdout);
        assert!(run.stderr.contains(&format!("{name}: is a symbolic link")), "{}", run.stderr);
        assert_eq!(std::fs::read_dir(path).unwrap().count(), 1);
    }
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("perfgate.toml")).unwrap();
    let blocked = run(folder.path(), &["init"]);
    assert!(
        blocked.stderr.contains("is a folder, where a file has to stand"),
        "{}",
        blocked.stderr
    );
    std::fs::write(folder.path().join("file"), "").unwrap();
    let blocked = run(folder.path(), &["init", "file"]);
    assert_eq!(blocked.code, 2, "{}", blocked.stdout);
}

#[test]
fn a_folder_and_the_models_can_be_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    std::fs::create_dir(path.join(".git")).unwrap();
    let models = ["--reference", "new one/m/fp \"16\"", "--candidate", "/models/int8"];
    let said = succeeds(path, &[&["init", "new one"], &models[..]].concat()).stdout;
    assert!(said.contains("  cd 'new one'\n"), "{said}");
    assert!(said.contains("move .github/workflows/perfgate.yml"), "{said}");
    let config = config::read_config(&WorkTree, &path.join("new one/perfgate.toml")).unwrap();
    let models: Vec<&str> = config.variants.iter().map(|v| v.model_as_written.as_str()).collect();
    assert_eq!(models, ["m/fp \"16\"", "/models/int8"]);
}
