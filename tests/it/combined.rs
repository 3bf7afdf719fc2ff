//! Variants measured one by one and judged later: `run`, `compare`, `check --results`, `check --resume`,
//! `check --dry-run`, and rules on suites and tags, with the scripted engine.

use crate::support::{Project, Run, holds, scripted};
use crate::tasks::{knows, suite};
use perfgate::record::{Results, Verdict, VerdictKind};
use std::path::PathBuf;

const RULES: &str = "[rules]\nlatency = \"5%\"\nmemory = \"50%\"\nfailure_rate = \"60%\"\n";

fn config(other_ms: f64) -> String {
    scripted(
        4,
        &format!(
            "[variants.base]\nengine = \"scripted\"\nscript = {{ jitter = 0.01 }}\n\
             [variants.other]\nengine = \"scripted\"\nscript = {{ token_ms = {other_ms}, jitter = 0.01 }}\n"
        ),
    )
}

fn project() -> Project {
    Project::new(&config(5.0), RULES)
}

fn ok(run: Run) -> Run {
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    run
}

fn verdicts(results: &Results) -> &[Verdict] {
    &results.judgement.as_ref().expect("it was judged").verdicts
}

fn kind(results: &Results, id: &str) -> VerdictKind {
    verdicts(results).iter().find(|verdict| verdict.rule.id == id).unwrap().verdict
}

fn sessions(results: &Results) -> Vec<String> {
    results.parts.iter().map(|part| part.header.session.clone()).collect()
}

#[test]
fn variants_measured_one_by_one_end_in_one_file() {
    let project = project();
    let first = ok(project.run(&["run", "base"]));
    assert!(first.stdout.starts_with("MEASURED: base; not judged"), "{}", first.stdout);
    ok(project.run(&["run", "other"]));
    let both = project.combined();
    assert_eq!(both.variants, ["base", "other"]);
    assert_eq!(both.parts.len(), 2);
    assert!(both.judgement.is_none());
    let before = sessions(&both);

    // Its own part is replaced, the other one keeps its session.
    ok(project.run(&["run", "base"]));
    let again = project.combined();
    assert_eq!(again.variants, ["base", "other"], "in the order of the configuration");
    let after = sessions(&again);
    assert_eq!(after.len(), 2);
    assert_eq!(after[0], before[1], "the part of 'other'");
    assert_ne!(after[1], before[0]);

    // Judged as what it is: not paired. A count and a size can be told, a time cannot.
    let run = project.run(&["check", "--results"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("measured in 2 sessions"), "{}", run.stdout);
    assert!(run.stdout.contains("nothing is paired"), "{}", run.stdout);
    let judged = project.combined();
    assert_eq!(kind(&judged, "latency"), VerdictKind::Inconclusive);
    let latency = &verdicts(&judged)[0];
    assert!(latency.reason.contains("0 of 3 stored sessions"), "{}", latency.reason);
    assert!(latency.effect.as_ref().unwrap().point.abs() < 0.2, "the point is shown");
    assert!(holds(kind(&judged, "memory")));
    assert_eq!(kind(&judged, "failure_rate"), VerdictKind::Pass);
    let report = project.run(&["report"]);
    assert_eq!(report.stdout, run.stdout, "the verdicts were saved");

    // A baseline is one session.
    let refused = project.run(&["baseline", "update"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("holds what 2 sessions measured"), "{}", refused.stderr);
}

#[test]
fn one_variant_of_a_session_can_be_measured_anew() {
    let project = project();
    ok(project.check());
    let session = sessions(&project.combined());
    ok(project.run(&["run", "other"]));
    let results = project.combined();
    assert_eq!(sessions(&results)[0], session[0]);
    let old = &results.parts[0];
    assert_eq!(old.header.plan.variants, ["base"]);
    assert!(old.rounds.iter().all(|round| round.requests.iter().all(|r| r.variant == "base")));
    assert!(old.rounds.iter().all(|round| round.workers.iter().all(|w| w.variant == "base")));
    assert_eq!(results.parts[1].header.plan.variants, ["other"]);
    // All of them in one session again: one part.
    ok(project.run(&["run"]));
    assert_eq!(project.combined().parts.len(), 1);
}

#[test]
fn a_part_of_another_workload_is_refused_before_anything_is_measured() {
    let project = project();
    ok(project.run(&["run", "base"]));
    let before = std::fs::read_to_string(results_file(&project)).unwrap();
    project.write("perfgate.toml", &config(5.0).replace("gen_tokens = 5", "gen_tokens = 6"));
    let run = project.run(&["run", "other"]);
    assert_eq!(run.code, 2);
    let expected = "cannot stand beside other: another workload (gen_tokens 5 then, 6 now)";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    assert!(run.stderr.contains("--output FILE"), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(results_file(&project)).unwrap(), before);
    let folder = project.path().join(".perfgate/sessions");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1, "nothing was begun");
    // Another machine class: the file is edited, since there is one machine here.
    let cpu = "\"cpu\":\"";
    project.write("perfgate.toml", &config(5.0));
    std::fs::write(results_file(&project), before.replace(cpu, "\"cpu\":\"another ")).unwrap();
    let run = project.run(&["run", "other"]);
    assert!(run.stderr.contains("another machine class (CPU model another "), "{}", run.stderr);
    let elsewhere = project.run(&["run", "other", "--output", "elsewhere.json"]);
    assert_eq!(elsewhere.code, 0, "{}", elsewhere.stderr);
    let unknown = project.run(&["run", "othr"]);
    assert!(unknown.stderr.contains("did you mean 'other'?"), "{}", unknown.stderr);
}

fn results_file(project: &Project) -> PathBuf {
    project.path().join(".perfgate/benchmark_results.json")
}

#[test]
fn one_run_is_held_against_another() {
    let project = project();
    ok(project.run(&["run", "--output", "old.json"]));
    project.write("perfgate.toml", &config(9.0));
    ok(project.run(&["run", "--output", "new.json"]));
    let run = project.run(&["compare", "old.json", "new.json"]);
    assert!(run.stdout.contains("other against other of the other run"), "{}", run.stdout);
    assert!(run.stdout.contains("measured in different sessions"), "{}", run.stdout);
    assert_eq!(run.code, 0, "the time is undecided, memory and failures hold: {}", run.stdout);
    // Stored sessions tell the spread between sessions, and then the time is decided.
    project.write("perfgate.toml", &config(5.0));
    for _ in 0..3 {
        ok(project.check());
        ok(project.run(&["baseline", "update"]));
    }
    let run = project.run(&["compare", "old.json", "new.json"]);
    assert_eq!(run.code, 1, "{}", run.stdout);
    assert!(run.stdout.starts_with("REGRESSION: 1 of 3 gating rules broken."), "{}", run.stdout);
    let same = project.run(&["compare", "old.json", "old.json", "--format", "json"]);
    assert_eq!(same.code, 0, "{}", same.stdout);
    // Variants of other names: the one that the rule names is the other side.
    ok(project.run(&["run", "base", "--output", "base.json"]));
    ok(project.run(&["run", "other", "--output", "other.json"]));
    let run = project.run(&["compare", "base.json", "other.json"]);
    assert!(run.stdout.contains("other against base of the other run"), "{}", run.stdout);
}

/// A session whose journal ends in the middle of round 3, as after a kill.
fn killed() -> (Project, PathBuf) {
    let project = project();
    ok(project.check());
    let journal = project.journal_file().unwrap();
    std::fs::remove_file(journal.with_file_name("benchmark_results.json")).unwrap();
    let text = std::fs::read_to_string(&journal).unwrap();
    let third = text.match_indices("\"record\":\"round_start\"").nth(2).unwrap().0;
    let cut = third + (text.len() - third) / 3;
    std::fs::write(&journal, &text[..cut]).unwrap();
    (project, journal)
}

#[test]
fn an_interrupted_session_goes_on_where_it_stopped() {
    let (project, journal) = killed();
    let old = std::fs::read_to_string(&journal).unwrap();
    let run = project.run(&["check", "--resume"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("2 of 4 rounds and 0 graded answers are there"), "{}", run.stderr);
    assert!(run.stdout.contains("interrupted, and resumed at"), "{}", run.stdout);
    let results = project.results();
    let numbers: Vec<(u32, bool)> = results.rounds.iter().map(|r| (r.round, r.complete)).collect();
    assert_eq!(numbers, [(1, true), (2, true), (3, false), (3, true), (4, true)]);
    assert_eq!(results.header.session, journal_session(&journal));
    let text = std::fs::read_to_string(&journal).unwrap();
    crate::schema::validate_journal(&text);
    let whole = old.rfind('\n').unwrap() + 1;
    assert!(text.starts_with(&old[..whole]), "what was there stays");
    // The figures of the first rounds are those of before.
    let first = &results.rounds[0].requests[0];
    assert!(old.contains(&serde_json::to_string(&first.token_ns).unwrap()));

    let again = project.run(&["check", "--resume"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("the latest session came to its end"), "{}", again.stderr);
}

fn journal_session(journal: &std::path::Path) -> String {
    let folder = journal.parent().unwrap().file_name().unwrap();
    folder.to_string_lossy().into_owned()
}

#[test]
fn what_changed_since_keeps_a_session_from_going_on() {
    let (project, _) = killed();
    project.write("perfgate.toml", &config(6.0));
    project.write("tasks.jsonl", "{\"id\": \"t1\", \"prompt\": \"Another.\"}\n");
    let run = project.run(&["check", "--resume", "--rounds", "5"]);
    assert_eq!(run.code, 2);
    for expected in [
        "journal.jsonl: cannot be resumed: ",
        "perfgate.toml changed",
        "4 rounds were planned, 5 are asked for",
        "the workload changed",
        "the model of 'other' changed",
        "without --resume",
    ] {
        assert!(run.stderr.contains(expected), "wanted {expected:?} in {}", run.stderr);
    }
    let empty = Project::new(&config(5.0), RULES);
    let run = empty.run(&["check", "--resume"]);
    assert!(run.stderr.contains("holds no session to go on with"), "{}", run.stderr);
}

#[test]
fn the_plan_is_printed_and_nothing_is_measured() {
    let project = project();
    let run = ok(project.run(&["check", "--dry-run"]));
    assert!(run.stdout.starts_with("4 rounds of 4 requests for each of base, other\n"));
    assert!(run.stdout.contains("time: not known before a first session"), "{}", run.stdout);
    assert!(
        run.stdout.contains("Not known before a first session\n  latency, memory: "),
        "{}",
        run.stdout
    );
    assert!(!project.path().join(".perfgate").exists());
    ok(project.check());
    let run = ok(project.run(&["check", "--dry-run"]));
    assert!(run.stdout.contains("of before\n  latency: 4 rounds find"), "{}", run.stdout);
    project.write("thresholds.toml", "[rules]\nfailure_rate = \"0.1%\"\n");
    let run = ok(project.run(&["check", "--dry-run"]));
    let expected = "It cannot settle\n  failure_rate: 16 requests; 2995 without a failure";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
}

#[test]
fn rules_judge_the_tasks_of_a_suite_or_of_tags() {
    let project = project();
    let line =
        |id: &str, more: &str| format!("{{\"id\": \"{id}\", \"prompt\": \"Say {id}.\"{more}}}\n");
    let tasks = line("a", ", \"suite\": \"short\", \"tags\": [\"x\", \"y\"]")
        + &line("b", ", \"suite\": \"short\"")
        + &line("c", ", \"tags\": [\"y\"]");
    project.write("tasks.jsonl", &tasks);
    let rules = "[rules]\nall = { metric = \"failure_rate\", max = \"90%\" }\n\
        short = { metric = \"failure_rate\", max = \"90%\", suite = \"short\" }\n\
        y = { metric = \"failure_rate\", max = \"90%\", tags = [\"y\"] }\n\
        both = { metric = \"latency\", limit = \"50%\", suite = \"short\", tags = [\"y\"] }\n";
    project.write("thresholds.toml", rules);
    let run = ok(project.check());
    let results = project.combined();
    let requests: Vec<usize> =
        verdicts(&results).iter().map(|v| v.effect.as_ref().unwrap().requests).collect();
    assert_eq!(requests, [12, 8, 8, 4], "three, two, two and one of three tasks in four rounds");
    assert!(run.stdout.contains("failure rate (suite short)"), "{}", run.stdout);

    project.write("thresholds.toml", &rules.replace("suite = \"short\" }", "suite = \"shrt\" }"));
    let run = project.check();
    assert_eq!(run.code, 2);
    let expected = "thresholds.toml:3:1: rule 'short' judges suite shrt, of which there is no task";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    assert!(run.stderr.contains("the tasks have suite short, tag x, tag y"), "{}", run.stderr);
    project.write("thresholds.toml", "[rules]\nmemory = { limit = \"5%\", suite = \"short\" }\n");
    let run = project.check();
    assert!(run.stderr.contains("'memory' is of a whole process"), "{}", run.stderr);
}

#[test]
fn the_terminal_is_told_as_much_as_is_wanted() {
    let project = project();
    let quiet = ok(project.run(&["check", "--quiet"]));
    assert_eq!(quiet.stderr, "");
    let verbose = ok(project.run(&["check", "--verbose"]));
    assert!(verbose.stderr.contains("round 1: other, process "), "{}", verbose.stderr);
    assert!(verbose.stdout.contains("\nDetails\n"), "{}", verbose.stdout);
    assert!(verbose.stdout.contains("\nEnvironment\n"), "{}", verbose.stdout);
    assert!(!quiet.stdout.contains("\nEnvironment\n"), "{}", quiet.stdout);
    assert!(!verbose.stdout.contains('\u{1b}'), "a pipe gets no colours");
    let wrong = project.run(&["report", "--format", "pdf"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("terminal, markdown, json, line"), "{}", wrong.stderr);
    // A reader that goes away is no panic.
    let gone =
        project.shell("\"$PERFGATE\" report --verbose | head -c 1; echo \"${PIPESTATUS[0]}\"");
    assert_eq!(gone.stderr, "", "{}", gone.stdout);
    assert!(gone.stdout.ends_with("0\n"), "{}", gone.stdout);
}

#[test]
fn graded_tasks_that_were_answered_one_by_one_need_no_round() {
    let quality = "[quality]\ntasks = \"graded.jsonl\"\nmax_tokens = 24\nstop = [\"\\n\"]\n";
    let script = |worse: usize| format!("answers = [{}]", knows("task", 0..40, |n| n < worse));
    let rules = "[defaults]\nvariant = \"other\"\n[rules]\naccuracy = \"5pt\"\n";
    let project = Project::new(&crate::tasks::config(quality, &script(10), &script(30)), rules);
    project.write("graded.jsonl", &suite("task", 0..40));
    for variant in ["base", "other"] {
        ok(project.run(&["run", variant, "--only", "quality"]));
    }
    let run = project.run(&["check", "--results"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.starts_with("REGRESSION"), "{}", run.stdout);
    let of_suites = run.stdout.split("Right answers by suite").nth(1).expect("a table of suites");
    assert!(of_suites.contains("75.0%") && of_suites.contains("25.0%"), "both sides: {of_suites}");
}
