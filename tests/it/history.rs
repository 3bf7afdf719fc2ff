//! Stored sessions over commits, from end to end in real repositories: rules that are anchored to one of them, and
//! `perfgate history`.

use crate::support::{Project, git, scripted};
use perfgate::baseline::{self, Stored, parse_stored};
use perfgate::record::{GitState, Verdict, VerdictKind};
use std::path::PathBuf;
use std::time::Duration;

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
        commit(&project, &format!("2% slower, {step}"));
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
    // A change that is judged by its base is held to the base's anchors.
    let allowed = format!("allow = [\"scripted\"]\n{}", config(1.02f64.powi(10)));
    project.write("perfgate.toml", &allowed);
    commit(&project, "rules");
    let run = project.run(&["check", "--base", "trunk"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let drift = self::verdict(&project, "drift");
    assert_eq!(drift.verdict, VerdictKind::Regressed, "{drift:?}");
    assert_eq!(drift.effect.unwrap().sessions, 3);
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

/// One real session, of which others are made.
fn template(project: &Project) -> Stored {
    project.check();
    assert_eq!(project.run(&["baseline", "update"]).code, 0);
    let file = stored_files(project).remove(0);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    parse_stored(&file, &text).unwrap()
}

fn stored_files(project: &Project) -> Vec<PathBuf> {
    let classes = std::fs::read_dir(project.path().join("baselines")).unwrap();
    classes
        .flat_map(|class| std::fs::read_dir(class.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect()
}

/// The session of a day in January 2026, measured at a commit of its own, in which `other` is slower by a factor.
fn session(template: &Stored, day: usize, factor: f64) -> Stored {
    let mut stored = template.clone();
    stored.session = format!("202601{day:02}T120000Z-0000");
    stored.started = format!("2026-01-{day:02}T12:00:00Z");
    let commit = format!("{day:02}").repeat(20);
    stored.git = Some(GitState { commit, branch: None, modified: 0, untracked: 1 });
    for run in stored.rounds.iter_mut().filter(|run| run.variant == "other") {
        for value in run.latency_us.iter_mut().flatten() {
            *value = (*value as f64 * factor).round() as u64;
        }
    }
    stored
}

/// Stores it as `perfgate baseline update` does, but keeps the newest of its class alone.
fn store(project: &Project, stored: &Stored) {
    let store = project.path().join("baselines");
    let place = baseline::place(&store, stored, 1).unwrap();
    let class = place.parent().unwrap();
    std::fs::create_dir_all(class).unwrap();
    std::fs::write(&place, stored.to_text()).unwrap();
    for file in baseline::surplus(class, 1).unwrap() {
        std::fs::remove_file(file).unwrap();
    }
}

/// A project in a repository, and a session of it.
fn repository() -> (Project, Stored) {
    let project = Project::new(&config(1.0), MOVING);
    project.write(".gitignore", ".perfgate/\n");
    git(project.path(), &["init", "-q", "-b", "trunk"]);
    let template = template(&project);
    commit(&project, "begin");
    (project, template)
}

/// Small differences between sessions, the same on every run.
fn wobble(day: usize) -> f64 {
    1.0 + 0.004 * ((day * 7) % 5) as f64
}

/// Sixteen sessions, one a commit, of which the work tree has one; from the ninth on `other` is 12% slower.
fn with_a_step() -> Project {
    let (project, template) = repository();
    for day in 1..=16 {
        let step = if day < 9 { 1.0 } else { 1.12 };
        store(&project, &session(&template, day, step * wobble(day)));
        if day < 16 {
            commit(&project, &format!("day {day}"));
        }
    }
    project
}

#[test]
fn a_step_is_named_with_its_size_and_the_sessions_around_it() {
    let project = with_a_step();
    let run = project.run(&["history", "latency", "--variant", "other"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let lines: Vec<&str> = run.stdout.lines().collect();
    let words = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = "HISTORY of latency: 16 sessions, 2026-01-01 to 2026-01-16; 1 change point: \
                    between 2026-01-08 (080808080) and 2026-01-09 (090909090): latency of other \
                    +11.9%, slower answers";
    assert!(words.contains(expected), "{}", run.stdout);
    assert!(words.contains("other ▁▂▁▂▁▁▂▁█▇██▇█▇█ 30.0 ms to 34.1 ms"), "{}", run.stdout);
    let row = |day: &str| lines.iter().find(|line| line.contains(&format!("{day} 12:00"))).unwrap();
    let accepted = git(project.path(), &["log", "--format=%h", "--abbrev=9", "--grep=day 9"]);
    assert!(row("2026-01-09").starts_with(" ◆"), "{}", run.stdout);
    assert!(row("2026-01-09").contains(&accepted), "{accepted}: {}", run.stdout);
    assert!(row("2026-01-08").contains(" 080808080"), "{}", run.stdout);
    assert!(row("2026-01-16").contains(" -  "), "not committed: {}", run.stdout);
    // The ratio to the variant that did not change tells the same; that one has no change point.
    let ratio = project.run(&["history", "latency", "--relative-to", "base"]).stdout;
    assert!(ratio.contains("1 change point"), "{ratio}");
    let still = project.run(&["history", "latency", "--variant", "base"]).stdout;
    assert!(still.contains("no change point") && still.contains("▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄"), "{still}");
    // The same as JSON and as Markdown.
    let json = project.run(&["history", "latency", "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["tables"][0]["rows"].as_array().unwrap().len(), 1, "{json}");
    assert_eq!(json["tables"][1]["rows"].as_array().unwrap().len(), 16, "{json}");
    let markdown = project.run(&["history", "latency", "--format", "markdown"]).stdout;
    assert!(markdown.contains("### Change points, each between two sessions"), "{markdown}");
    assert!(markdown.contains("| +11.9%, slower answers | under 0.0001 |"), "{markdown}");
}

#[test]
fn what_cannot_be_compared_begins_a_new_stretch() {
    let (project, template) = repository();
    for day in 1..=12 {
        let mut stored = session(&template, day, wobble(day) * if day > 6 { 1.5 } else { 1.0 });
        if day > 6 {
            stored.workload.sha256 = "b".repeat(64);
            stored.workload.gen_tokens = 6;
        }
        store(&project, &stored);
        let mut elsewhere = session(&template, day, 3.0 * wobble(day));
        elsewhere.session = elsewhere.session.replace("-0000", "-1111");
        elsewhere.machine.cpu = "Another CPU".into();
        store(&project, &elsewhere);
        commit(&project, &format!("day {day}"));
    }
    let run = project.run(&["history", "latency", "--variant", "other"]);
    let words = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("12 sessions, 2026-01-01 to 2026-01-12; no change point"), "{words}");
    let expected =
        "(other), 2026-01-07 12:00 and before: another workload (gen_tokens 5 then, 6 now)";
    assert!(words.contains(expected), "{words}");
    assert!(words.contains("┄ 2026-01-07 12:00"), "{words}");
    assert!(words.contains("12 sessions of other machine classes"), "{words}");
    let all = project.run(&["history", "latency", "--variant", "other", "--all-classes"]).stdout;
    assert!(all.contains("24 sessions") && all.contains("other on Another CPU"), "{all}");
}

#[test]
fn what_cannot_be_shown_says_why_and_what_helps() {
    let (project, template) = repository();
    let fails = |arguments: &[&str], expected: [&str; 2]| {
        let run = project.run(&[&["history"], arguments].concat());
        assert_eq!(run.code, 2, "{}", run.stdout);
        for text in expected {
            assert!(run.stderr.contains(text), "{text}: {}", run.stderr);
        }
    };
    fails(
        &["latency"],
        ["no session is stored there, nor in any commit", "`perfgate baseline update`"],
    );
    fails(&["latncy"], ["there is no metric 'latncy'", "did you mean 'latency'?"]);
    let mut elsewhere = session(&template, 1, 1.0);
    elsewhere.machine.cpu = "Another CPU".into();
    store(&project, &elsewhere);
    fails(&["latency"], ["none of 1 stored sessions is of this machine's class", "--all-classes"]);
    store(&project, &session(&template, 2, 1.0));
    fails(&["latency", "--variant", "othr"], ["has a variant 'othr'", "did you mean 'other'?"]);
    fails(&["itl", "--statistic", "p90"], ["no statistic 'p90' of 'itl'", "mean"]);
    fails(&["failure_rate", "--relative-to", "base"], ["has no ratio", "--relative-to"]);
    fails(&["accuracy"], ["has a value of 'accuracy' for base, other", "[quality]"]);
    // What a commit holds and is no session is left out, and said.
    let broken = stored_files(&project)[0].with_file_name("broken.json");
    std::fs::write(&broken, "{").unwrap();
    commit(&project, "broken");
    std::fs::remove_file(&broken).unwrap();
    commit(&project, "mended");
    let run = project.run(&["history", "latency"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let words = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("1 committed file left out: baselines/"), "{words}");
    assert!(words.contains("With fewer than 6 sessions"), "{words}");
}

#[test]
fn a_shallow_clone_and_no_repository_at_all_are_said() {
    let project = with_a_step();
    git(project.path(), &["add", "."]);
    git(project.path(), &["commit", "-qm", "day 16"]);
    let whole = format!("file://{}", project.path().display());
    git(project.path(), &["clone", "-q", "--depth", "3", &whole, ".perfgate/part"]);
    let part = project.path().join(".perfgate/part/perfgate.toml");
    let run = project.run(&["history", "latency", "--config", part.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let words = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("latency: 3 sessions"), "{words}");
    assert!(words.contains("the clone is shallow, so the history is cut"), "{words}");
    assert!(words.contains("fetch-depth: 0"), "{words}");
    std::fs::remove_dir_all(project.path().join(".git")).unwrap();
    let run = project.run(&["history", "latency"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("latency: 1 session, 2026-01-16"), "{}", run.stdout);
    assert!(run.stdout.contains("no commit was looked at, only the work tree"), "{}", run.stdout);
}
