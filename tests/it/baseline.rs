//! Stored sessions from end to end with the scripted engine: accepting, judging against them, refusing.

use crate::support::{Project, Run, holds, scripted};
use perfgate::record::{Verdict, VerdictKind};
use std::path::PathBuf;

const RULES: &str = "[defaults]\nvariant = \"other\"\n[rules]\n\
    latency = { against = \"baseline\", limit = \"20%\" }\n\
    ratio = { metric = \"throughput\", against = \"baseline\", relative_to = \"base\", limit = \"10%\" }\n\
    failure_rate = { against = \"baseline\", limit = \"60pt\" }\n\
    memory = { against = \"baseline\", limit = \"50%\", severity = \"inform\" }\n";

fn config(token_ms: f64) -> String {
    scripted(
        3,
        &format!(
            "[baselines]\nkeep = 4\n[variants.base]\nengine = \"scripted\"\nscript = {{ jitter = 0.01 }}\n\
             [variants.other]\nengine = \"scripted\"\nscript = {{ token_ms = {token_ms}, jitter = 0.01 }}\n"
        ),
    )
}

fn project() -> Project {
    Project::new(&config(5.0), RULES)
}

fn accept(project: &Project) -> Run {
    let run = project.run(&["baseline", "update"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    for file in stored(project) {
        crate::schema::validate_baseline(&file);
    }
    run
}

fn verdict(project: &Project, id: &str) -> Verdict {
    let results = project.results();
    results.verdicts.into_iter().find(|verdict| verdict.rule.id == id).unwrap()
}

fn kind(project: &Project, id: &str) -> VerdictKind {
    verdict(project, id).verdict
}

fn stored(project: &Project) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for class in std::fs::read_dir(project.path().join("baselines")).unwrap() {
        for file in std::fs::read_dir(class.unwrap().path()).unwrap() {
            files.push(file.unwrap().path());
        }
    }
    files.sort();
    files
}

/// Three accepted sessions.
fn with_baseline() -> Project {
    let project = project();
    for _ in 0..3 {
        project.check();
        accept(&project);
    }
    project
}

#[test]
fn the_fourth_session_is_held_against_three_stored_ones() {
    let project = project();
    let run = project.check();
    assert_eq!(run.code, 3, "{}", run.stdout);
    assert_eq!(kind(&project, "latency"), VerdictKind::NoBaseline);
    assert!(run.stdout.contains("`perfgate baseline update` accepts this one"), "{}", run.stdout);
    accept(&project);
    project.check();
    let early = verdict(&project, "latency");
    assert_eq!(early.verdict, VerdictKind::Inconclusive);
    assert!(early.reason.contains("1 of 3 stored sessions"), "{}", early.reason);
    assert!(early.effect.unwrap().point.abs() < 0.1, "the point is shown");
    assert_eq!(kind(&project, "failure_rate"), VerdictKind::Pass, "counts need no spread");
    assert!(holds(kind(&project, "memory")), "sizes don't vary by session");
    accept(&project);
    project.check();
    accept(&project);

    let run = project.check();
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    for id in ["latency", "ratio"] {
        let verdict = verdict(&project, id);
        assert!(verdict.verdict.decided(), "{id}: {verdict:?}");
        assert_eq!(verdict.effect.unwrap().sessions, 3);
    }
    assert!(run.stdout.contains("other relative to base, against the baseline"), "{}", run.stdout);
    assert!(run.stdout.contains("The baseline: 3 stored sessions"), "{}", run.stdout);

    project.write("perfgate.toml", &config(7.0));
    let run = project.check();
    assert_eq!(run.code, 1, "a candidate may change, and is held against what was: {}", run.stdout);
    assert_eq!(kind(&project, "latency"), VerdictKind::Regressed);
    assert_eq!(kind(&project, "ratio"), VerdictKind::Regressed);
    let refused = project.run(&["baseline", "update"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("add --accept-regression"), "{}", refused.stderr);
    assert_eq!(project.run(&["baseline", "update", "--accept-regression"]).code, 0);
}

#[test]
fn what_cannot_be_compared_says_why() {
    let project = with_baseline();
    project.write("perfgate.toml", &config(5.0).replace("gen_tokens = 5", "gen_tokens = 6"));
    let run = project.check();
    assert_eq!(run.code, 3, "{}", run.stdout);
    let latency = verdict(&project, "latency");
    assert_eq!(latency.verdict, VerdictKind::Incomparable);
    let expected = "3 with another workload (gen_tokens 5 then, 6 now)";
    assert!(latency.reason.contains(expected), "{}", latency.reason);
    // A changed reference voids the ratio to it, and nothing else.
    let script = "script = { jitter = 0.01 }";
    project.write(
        "perfgate.toml",
        &config(5.0).replace(script, "script = { jitter = 0.01, load_ms = 1.0 }"),
    );
    project.check();
    let ratio = verdict(&project, "ratio");
    assert_eq!(ratio.verdict, VerdictKind::Incomparable);
    assert!(ratio.reason.contains("3 with another model of 'base' ("), "{}", ratio.reason);
    assert!(kind(&project, "latency").decided());
    // Sessions of another machine class: times can't be compared, failures can.
    for file in stored(&project) {
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("\"cpu\":\"", "\"cpu\":\"another ")).unwrap();
    }
    project.write("perfgate.toml", &config(5.0));
    project.check();
    let latency = verdict(&project, "latency");
    assert!(
        latency.reason.contains("another machine class (CPU model another "),
        "{}",
        latency.reason
    );
    assert_eq!(kind(&project, "failure_rate"), VerdictKind::Pass);
    assert!(verdict(&project, "ratio").reason.contains("another processor (CPU model another "));
    // A machine of another class and the same processor: the ratio holds if both variants have the same
    // threads, which within a class are the change that is judged.
    for file in stored(&project) {
        let text =
            std::fs::read_to_string(&file).unwrap().replace("\"cpu\":\"another ", "\"cpu\":\"");
        std::fs::write(&file, text.replace("\"memory_gib\":", "\"memory_gib\":9")).unwrap();
    }
    project.check();
    assert_ne!(kind(&project, "ratio"), VerdictKind::Incomparable);
    let threads = |text: &str| text.replace("[variants.other]", "[variants.other]\nthreads = 77");
    project.write("perfgate.toml", &threads(&config(5.0)));
    project.check();
    let ratio = verdict(&project, "ratio");
    assert!(ratio.reason.contains("another number of threads of 'other' ("), "{}", ratio.reason);
    for file in stored(&project) {
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("\"memory_gib\":9", "\"memory_gib\":")).unwrap();
    }
    project.check();
    assert_ne!(kind(&project, "ratio"), VerdictKind::Incomparable, "a candidate may change");
    // A variant that was not there before.
    project.write("perfgate.toml", &config(5.0).replace("variants.other", "variants.newer"));
    project.write("thresholds.toml", &RULES.replace("\"other\"", "\"newer\""));
    project.check();
    let latency = verdict(&project, "latency");
    assert_eq!(latency.verdict, VerdictKind::NoBaseline);
    assert!(latency.reason.contains("none of 3 stored sessions has 'newer'"), "{}", latency.reason);
}

#[test]
fn stored_files_are_deterministic_reviewable_and_a_window() {
    let project = project();
    project.check();
    accept(&project);
    let [file] = &stored(&project)[..] else { panic!("one file") };
    let text = std::fs::read_to_string(file).unwrap();
    let again = accept(&project);
    assert!(again.stdout.starts_with("already stored"), "{}", again.stdout);
    assert_eq!(std::fs::read_to_string(file).unwrap(), text, "the same bytes");
    let rounds =
        text.lines().filter(|line| line.trim_start().starts_with("{\"cold_start_us\"")).count();
    assert_eq!(rounds, 6, "a line for each of three rounds of two variants: {text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["rounds"][0]["latency_us"].as_array().unwrap().len(), 4, "by task");
    let name = file.file_stem().unwrap().to_string_lossy().into_owned();
    assert_eq!(json["session"], name.as_str());
    let first = file.clone();
    for _ in 0..4 {
        // Sessions are told apart by their second.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        project.check();
        accept(&project);
    }
    let files = stored(&project);
    assert_eq!(files.len(), 4, "no more than are to be kept");
    assert!(!files.contains(&first), "the oldest went");
    let list = project.run(&["baseline", "list"]).stdout;
    assert!(list.contains("this machine's class: 4 of at most 4"), "{list}");
    std::fs::write(&files[0], "{\"format\": 1").unwrap();
    let run = project.check();
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("is no stored session"), "{}", run.stderr);
    assert!(run.stderr.contains("restore it with git"), "{}", run.stderr);
}

#[test]
fn tests_and_interrupted_sessions_are_no_baseline() {
    let project = project();
    let run = project.run(&["baseline", "update"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("run `perfgate check` first"), "{}", run.stderr);
    project.write("perfgate.toml", &(config(5.0) + "test = { slowdown_percent = 5 }\n"));
    project.check();
    let run = project.run(&["baseline", "update"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("is a test: 'other' is slowed on purpose by 5%"), "{}", run.stderr);
    assert!(!project.path().join("baselines").exists());
}
