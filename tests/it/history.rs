//! Stored sessions over commits, from end to end in real repositories: rules that are anchored to one of them, and
//! `perfgate history`.

use crate::support::{Project, scripted};
use perfgate::record::{Verdict, VerdictKind};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    let done = Command::new("git").current_dir(folder).args(identity).args(arguments).output();
    let done = done.unwrap();
    assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_string()
}

fn commit(project: &Project, message: &str) {
    git(project.path(), &["add", "."]);
    git(project.path(), &["commit", "-qm", message]);
}

/// Without any jitter; `other` is slower by a factor.
fn config(factor: f64) -> String {
    let script = |factor: f64| {
        format!("script = {{ prefill_ms = {}, token_ms = {} }}\n", 10.0 * factor, 5.0 * factor)
    };
    scripted(
        2,
        &format!(
            "[baselines]\nkeep = 3\n[variants.base]\nengine = \"scripted\"\n{}\
             [variants.other]\nengine = \"scripted\"\n{}",
            script(1.0),
            script(factor)
        ),
    )
}

const MOVING: &str = "[defaults]\nvariant = \"other\"\n[rules]\n\
    latency = { against = \"baseline\", limit = \"5%\", evidence = \"point\" }\n";

fn verdict(project: &Project, id: &str) -> Verdict {
    let verdicts = project.results().verdicts;
    verdicts.into_iter().find(|verdict| verdict.rule.id == id).unwrap()
}

fn accept(project: &Project, message: &str) {
    let run = project.run(&["baseline", "update"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    commit(project, message);
    // Sessions are told apart, and the oldest found, by their second.
    std::thread::sleep(Duration::from_millis(1050));
}

/// A project in a repository with three stored sessions, tagged `v1`.
fn tagged() -> Project {
    let project = Project::new(&config(1.0), MOVING);
    project.write(".gitignore", ".perfgate/\n");
    git(project.path(), &["init", "-q", "-b", "trunk"]);
    commit(&project, "begin");
    for number in 1..=3 {
        project.check();
        accept(&project, &format!("session {number}"));
    }
    git(project.path(), &["tag", "v1"]);
    project
}

#[test]
fn ten_steps_of_two_percent_pass_one_by_one_and_not_against_an_anchor() {
    let project = tagged();
    for step in 1..=10 {
        project.write("perfgate.toml", &config(1.02f64.powi(step)));
        let run = project.check();
        assert_eq!(run.code, 0, "step {step}: {}", run.stdout);
        assert_eq!(verdict(&project, "latency").verdict, VerdictKind::Pass, "step {step}");
        accept(&project, &format!("step {step}"));
    }
    let drift = "drift = { metric = \"latency\", against = \"baseline\", anchor = \"v1\", limit = \"5%\" }\n";
    project.write("thresholds.toml", &format!("{MOVING}{drift}"));
    let run = project.check();
    assert_eq!(run.code, 1, "{}", run.stdout);
    assert_eq!(verdict(&project, "latency").verdict, VerdictKind::Pass);
    let drift = verdict(&project, "drift");
    assert_eq!(drift.verdict, VerdictKind::Regressed, "{drift:?}");
    let effect = drift.effect.unwrap();
    assert!((effect.point - 0.219).abs() < 0.001, "{effect:?}");
    assert_eq!(effect.sessions, 3);
    assert!(run.stdout.contains("other against the baseline of v1"), "{}", run.stdout);
    assert!(run.stdout.contains("of v1 (commit "), "{}", run.stdout);
    let anchors = project.combined().judgement.unwrap().anchors;
    assert_eq!(anchors["v1"].commit, git(project.path(), &["rev-parse", "v1"]));
    assert_eq!(anchors["v1"].sessions.len(), 3);
}

#[test]
fn an_anchor_that_is_not_there_is_said_with_its_line() {
    let project = Project::new(&config(1.0), MOVING);
    let rule = |anchor: &str| {
        format!(
            "{MOVING}drift = {{ metric = \"latency\", against = \"baseline\", anchor = \"{anchor}\" }}\n"
        )
    };
    project.write("thresholds.toml", &rule("v9"));
    let run = project.check();
    assert_eq!(run.code, 2);
    let expected = "thresholds.toml:5:1: rule 'drift' is anchored to 'v9': ";
    assert!(run.stderr.contains(expected), "no repository: {}", run.stderr);
    git(project.path(), &["init", "-q", "-b", "trunk"]);
    commit(&project, "begin");
    let run = project.check();
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains(expected), "no such tag: {}", run.stderr);
    assert!(run.stderr.contains("git knows no 'v9' here"), "{}", run.stderr);
    for remedy in ["`git fetch --tags`", "fetch-depth: 0"] {
        assert!(run.stderr.contains(remedy), "{}", run.stderr);
    }
    // A commit at which nothing was stored decides nothing, and says so.
    project.write("thresholds.toml", &rule("trunk"));
    let run = project.check();
    assert_eq!(run.code, 3, "{}", run.stdout);
    let drift = verdict(&project, "drift");
    assert_eq!(drift.verdict, VerdictKind::NoBaseline);
    assert!(drift.reason.contains("no session was stored at trunk"), "{}", drift.reason);
    // What was saved is judged by anchors too.
    let run = project.run(&["check", "--results"]);
    assert_eq!(run.code, 3, "{}", run.stdout);
}
