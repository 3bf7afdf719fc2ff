//! The gate from end to end with the scripted engine: verdicts, exit codes, faults, reports.

use crate::support::{Project, Run, scripted};
use perfgate::record::{FailureClass, Phase, Request, VerdictKind};

const LATENCY: &str = "[rules]\nlatency = \"5%\"\n";

/// The base at 5 ms a token, and another variant with a script of its own.
fn pair(other: &str) -> String {
    format!(
        "[variants.base]\nengine = \"scripted\"\nscript = {{ token_ms = 5.0, jitter = 0.01 }}\n\
         [variants.other]\nengine = \"scripted\"\nscript = {{ {other} }}\n"
    )
}

fn check(rounds: u32, other: &str, thresholds: &str) -> (Project, Run) {
    let project = Project::new(&scripted(rounds, &pair(other)), thresholds);
    let run = project.check();
    (project, run)
}

fn verdicts(project: &Project) -> Vec<(String, VerdictKind)> {
    let results = project.results();
    results.verdicts.iter().map(|v| (v.rule.id.clone(), v.verdict)).collect()
}

fn failures(project: &Project, variant: &str, phase: Phase) -> Vec<Request> {
    let results = project.results();
    let all = results.rounds.into_iter().flat_map(|round| round.requests);
    all.filter(|r| r.variant == variant && r.phase == phase && r.failure.is_some()).collect()
}

fn classes(requests: &[Request]) -> Vec<FailureClass> {
    requests.iter().map(|request| request.failure.as_ref().unwrap().class).collect()
}

#[test]
fn a_variant_within_the_limit_passes_and_a_slower_one_fails() {
    // A little slower, and not equal: an equal one is called improved by chance now and then.
    let (project, run) = check(5, "token_ms = 5.1, jitter = 0.01", LATENCY);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.starts_with("PASS: the gating rule holds"), "{}", run.stdout);
    assert_eq!(verdicts(&project), [("latency".to_string(), VerdictKind::Pass)]);

    let (_, run) = check(5, "token_ms = 6.0, jitter = 0.01", LATENCY);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.starts_with("REGRESSION: 1 of 1 gating rule broken. other: latency"));
    assert!(run.stdout.contains("warning: 5 rounds do not balance the order"), "{}", run.stdout);

    let (_, run) = check(5, "token_ms = 4.0, jitter = 0.01", LATENCY);
    assert_eq!(run.code, 0);
    assert!(run.stdout.contains("improved"), "{}", run.stdout);
}

#[test]
fn undecided_rules_follow_the_policy() {
    // One round has no spread, so a time cannot be judged; a count can.
    let equal = "token_ms = 5.0";
    let (_, run) = check(1, equal, LATENCY);
    assert_eq!(run.code, 3, "no gating rule was decided: {}", run.stdout);
    assert!(run.stdout.starts_with("UNDECIDED"), "{}", run.stdout);
    let two = "[rules]\nlatency = \"5%\"\nfailure_rate = \"90%\"\n";
    let (_, run) = check(1, equal, two);
    assert_eq!(run.code, 0, "the policy informs: {}", run.stdout);
    assert!(run.stdout.contains("not decided, and not blocking: latency"), "{}", run.stdout);
    let (_, run) = check(1, equal, &format!("[policy]\ninconclusive = \"block\"\n{two}"));
    assert_eq!(run.code, 3);
    assert!(run.stdout.starts_with("BLOCKED: too little evidence for latency"), "{}", run.stdout);
}

#[test]
fn every_fault_is_a_counted_failure_with_its_reason() {
    let cases = [
        ("crash", FailureClass::Crash, "SIGABRT", 1),
        ("exit", FailureClass::Crash, "exited with code 7", 1),
        ("hang", FailureClass::Deadline, "no answer within 700ms", 1),
        ("garbage", FailureClass::Protocol, "garbage", 1),
        ("error", FailureClass::Error, "the script says error", 0),
        ("kill", FailureClass::Crash, "SIGKILL", 1),
        ("freeze", FailureClass::Deadline, "no answer within 700ms: it was stopped", 1),
        ("out-of-memory", FailureClass::OutOfMemory, "memory allocation of", 1),
        ("nan", FailureClass::NonFinite, "is NaN", 0),
        ("infinity", FailureClass::NonFinite, "is inf", 0),
    ];
    for (kind, class, reason, restarts) in cases {
        // Request 5 is the third timed one of a fresh worker: two warm-ups come first. A worker
        // that replaces it serves one task less than that.
        let script = format!("faults = [{{ kind = \"{kind}\", request = 5, token = 3 }}]");
        let (project, run) = check(2, &script, "[rules]\nfailure_rate = \"0.1%\"\n");
        assert_eq!(run.code, 1, "{kind}: {}{}", run.stdout, run.stderr);
        let failed = failures(&project, "other", Phase::Timed);
        assert_eq!(classes(&failed), [class, class], "{kind}: one in each round");
        let message = &failed[0].failure.as_ref().unwrap().message;
        assert!(message.contains(reason), "{kind}: {message}");
        assert!(run.stdout.contains(reason), "the report tells it: {}", run.stdout);
        if kind == "crash" {
            assert!(message.contains("the script aborts the worker"), "stderr's tail: {message}");
        }
        let results = project.results();
        let workers = &results.rounds[0].workers;
        let of_other = workers.iter().filter(|w| w.variant == "other").count();
        assert_eq!(of_other, 1 + restarts, "{kind}: restarted only if it died");
        assert_eq!(failures(&project, "base", Phase::Timed), [], "{kind}");
    }
}

/// The same faults in the load and before the first token.
#[test]
fn faults_in_load_and_prefill_are_counted_with_their_reason() {
    let cases = [
        ("kill", FailureClass::Crash, "SIGKILL"),
        ("freeze", FailureClass::Deadline, "it was stopped"),
        ("garbage", FailureClass::Protocol, "garbage"),
        ("out-of-memory", FailureClass::OutOfMemory, "memory allocation of"),
    ];
    for (kind, class, reason) in cases {
        let script = format!("faults = [{{ kind = \"{kind}\", request = 0 }}]");
        let config = scripted(1, &pair(&script))
            .replace("rounds = 1", "rounds = 1\nrestarts = 1\nload_deadline = \"900ms\"");
        let project = Project::new(&config, LATENCY);
        let run = project.check();
        assert_eq!(run.code, 1, "{kind}: {}{}", run.stdout, run.stderr);
        let round = project.results().rounds.remove(0);
        let workers: Vec<_> = round.workers.iter().filter(|w| w.variant == "other").collect();
        assert_eq!(workers.len(), 2, "{kind}: one restart");
        for worker in workers {
            let failure = worker.failure.as_ref().unwrap();
            assert_eq!(failure.class, class, "{kind}: {failure}");
            assert!(failure.message.contains(reason), "{kind}: {failure}");
            assert!(worker.load_ns.is_none() && worker.hello_ns.is_some());
        }
        let served = failures(&project, "other", Phase::Timed);
        assert_eq!(classes(&served), [FailureClass::NotServed; 4], "{kind}");

        let script = format!("faults = [{{ kind = \"{kind}\", request = 5, token = 1 }}]");
        let (project, _) = check(1, &script, LATENCY);
        let failed = failures(&project, "other", Phase::Timed);
        assert_eq!(classes(&failed), [class], "{kind} in the prefill");
    }
}

#[test]
fn megabytes_on_stdout_and_stderr_change_nothing() {
    let chatter =
        |request: u64| format!("{{ kind = \"chatter\", request = {request}, token = 2 }}");
    let script =
        format!("faults = [{{ kind = \"chatter\", request = 0 }}, {}, {}]", chatter(1), chatter(5));
    let (project, run) = check(2, &script, "[rules]\nfailure_rate = \"90%\"\n");
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let results = project.results();
    let requests = results.rounds.iter().flat_map(|round| &round.requests);
    assert!(requests.clone().all(|request| request.failure.is_none()));
    assert_eq!(requests.count(), 2 * 2 * (2 + 4));
    assert!(!run.stdout.contains("nobody asked for"), "{}", run.stdout);
    assert!(!run.stderr.contains("nobody asked for"), "{}", run.stderr);
    let journal = std::fs::metadata(project.journal_file().unwrap()).unwrap().len();
    assert!(journal < 100_000, "the journal has {journal} bytes");
}

#[test]
fn a_candidate_that_completes_no_round_exits_1_and_such_a_reference_2() {
    let dies = "faults = [{ kind = \"crash\", request = 0 }]";
    let (project, run) = check(2, dies, LATENCY);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("'other' completed no round"), "{}", run.stdout);
    let results = project.results();
    let loads = results.rounds[0].workers.iter().filter(|w| w.variant == "other");
    assert_eq!(loads.count(), 3, "the first and two restarts");
    assert!(run.stdout.contains("loads failed (crash)"), "{}", run.stdout);

    let config = scripted(2, &pair(dies)).replace("reference = \"base\"", "reference = \"other\"");
    let project = Project::new(&config, LATENCY);
    let run = project.check();
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stdout.starts_with("INVALID: latency"), "{}", run.stdout);
}

#[test]
fn a_variant_whose_set_up_is_at_fault_stops_the_session_with_the_reason() {
    let (_, run) = check(2, "faults = [{ kind = \"unsupported\" }]", LATENCY);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("error: variant 'other' cannot run: the script says"),
        "{}",
        run.stderr
    );
    assert_eq!(run.stdout, "", "no report");
}

#[test]
fn lockstep_gives_every_task_to_every_variant_before_the_next() {
    let (project, _) = check(3, "token_ms = 5.0", LATENCY);
    for round in project.results().rounds {
        let timed: Vec<&Request> =
            round.requests.iter().filter(|r| r.phase == Phase::Timed).collect();
        assert_eq!(timed.len(), 8);
        for pair in timed.chunks(2) {
            assert_eq!(pair[0].task, pair[1].task);
            assert_ne!(pair[0].variant, pair[1].variant);
        }
        let first: Vec<&str> = timed.chunks(2).map(|pair| pair[0].variant.as_str()).collect();
        assert_eq!(first.iter().filter(|v| **v == "base").count(), 2, "turns: {first:?}");
        let slots: Vec<u32> = round.requests.iter().map(|request| request.slot).collect();
        assert!(slots.is_sorted(), "{slots:?}");
        assert!(round.workers.iter().all(|w| w.first_token_ns > w.load_ns && w.memory.is_some()));
        let [a, b] = &round.workers[..] else { panic!("two workers: {:?}", round.workers) };
        assert_ne!(a.pid, b.pid);
    }
}

#[test]
fn the_journal_holds_what_the_results_hold() {
    use perfgate::record::Entry;
    let (project, _) = check(2, "token_ms = 5.0", LATENCY);
    let text = std::fs::read_to_string(project.journal_file().unwrap()).unwrap();
    crate::schema::validate_journal(&text);
    let journal = project.journal();
    assert!(matches!(journal.first(), Some(Entry::Session { format: 2, .. })));
    assert!(matches!(journal.last(), Some(Entry::SessionEnd { rounds: 2, interrupted: false })));
    let journalled: Vec<Request> = journal
        .into_iter()
        .filter_map(|entry| if let Entry::Request(request) = entry { Some(request) } else { None })
        .collect();
    let results: Vec<Request> =
        project.results().rounds.into_iter().flat_map(|round| round.requests).collect();
    assert_eq!(journalled, results);
    assert_eq!(results.len(), 2 * 2 * (2 + 4), "rounds, variants, warm-up and tasks");
    let ignore = std::fs::read_to_string(project.path().join(".perfgate/.gitignore")).unwrap();
    assert_eq!(ignore, "*\n", "git sees nothing of what is generated");
}

#[test]
fn a_saved_report_reads_as_the_first_one_in_every_format() {
    let (project, first) = check(3, "token_ms = 6.0, jitter = 0.01", LATENCY);
    let again = project.run(&["report"]);
    assert_eq!(again.stdout, first.stdout);
    assert_eq!(again.code, first.code);
    let markdown = project.run(&["report", "--format", "markdown"]).stdout;
    let saved = std::fs::read_to_string(project.path().join(".perfgate/report.md")).unwrap();
    assert_eq!(markdown, saved);
    assert!(markdown.contains("** REGRESSION: "), "{markdown}");
    assert!(markdown.contains("| rule"), "{markdown}");
    let json = project.run(&["report", "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["outcome"], "regressed");
    assert_eq!(json["sections"][0]["groups"][0]["rows"][0]["verdict"], "regressed");
    for line in first.stdout.lines() {
        assert!(line.chars().count() <= 100, "wider than 100 columns: {line}");
    }
}

#[test]
fn bad_input_exits_2_and_names_the_place() {
    let good = scripted(2, &pair("token_ms = 5.0"));
    let cases = [
        (
            good.replace("gen_tokens", "gen_token"),
            LATENCY,
            "perfgate.toml:4:1: unknown key 'gen_token'",
        ),
        (
            good.clone(),
            "[rules]\nlatncy = \"5%\"\n",
            "thresholds.toml:2:10: rule 'latncy' names no metric",
        ),
        (good.replace("tasks.jsonl", "nowhere.jsonl"), LATENCY, "nowhere.jsonl: cannot read it"),
        (
            good.replacen(
                "engine = \"scripted\"\nscript = { token_ms = 5.0, jitter = 0.01 }",
                "engine = \"openvino\"\nmodel = \"gone\"",
                1,
            ),
            LATENCY,
            "variant 'base': the model's folder",
        ),
    ];
    for (config, thresholds, expected) in cases {
        let project = Project::new(&config, thresholds);
        let run = project.check();
        assert_eq!(run.code, 2, "{expected}");
        assert!(run.stderr.contains(expected), "wanted {expected:?} in {}", run.stderr);
        assert!(!project.path().join(".perfgate").exists(), "nothing was begun");
    }
    let project = Project::new(&good, LATENCY);
    let run = project.run(&["check", "--config", "other.toml"]);
    assert!(run.stderr.contains("other.toml: there is no such file"), "{}", run.stderr);
}

#[test]
fn a_test_switch_and_scripted_figures_are_said_in_the_report() {
    let variants = pair("token_ms = 5.0") + "test = { slowdown_percent = 20 }\n";
    let project = Project::new(&scripted(2, &variants), LATENCY);
    let run = project.check();
    assert!(run.stdout.contains("test switch: 'other' is slowed on purpose by 20%"));
    assert!(run.stdout.contains("'base' is scripted: its figures are made up"));
}
