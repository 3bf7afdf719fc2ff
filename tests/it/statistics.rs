//! What the statistics do to a session: ending once its rules are settled, the same report from the same samples,
//! and calibration.

use crate::support::{Project, Run, signal};
use perfgate::record::{Entry, Spending};

/// Two variants with a little noise, and a session of at most so many rounds.
fn config(rounds: u32, stop: &str, other: &str) -> String {
    format!(
        "reference = \"base\"\n[workload]\ntasks = \"tasks.jsonl\"\ngen_tokens = 5\n\
         [session]\nrounds = {rounds}\n{stop}\n\
         [variants.base]\nengine = \"scripted\"\nscript = {{ token_ms = 5.0, jitter = 0.01 }}\n\
         [variants.other]\nengine = \"scripted\"\nscript = {{ {other}, jitter = 0.01 }}\n"
    )
}

const RULES: &str = "[rules]\nlatency = \"5%\"\nthroughput = \"5%\"\nfailure_rate = \"0.1%\"\n";
const SLOWER: &str = "token_ms = 8.0";

fn check(config: &str) -> (Project, Run) {
    let project = Project::new(config, RULES);
    let run = project.check();
    (project, run)
}

#[test]
fn a_session_ends_at_the_look_that_settles_its_rules() {
    let (project, run) = check(&config(12, "", SLOWER));
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let results = project.results();
    let stopping = results.header.plan.stopping.expect("several looks were planned");
    assert_eq!(stopping.spending, Spending::OBrienFleming);
    assert_eq!(stopping.looks, [4, 6, 8, 10, 12]);
    assert_eq!(stopping.drives, ["latency", "throughput"], "no 12 rounds settle the failure rate");
    let rounds = results.rounds.len();
    assert!(rounds < 12, "{}", run.stderr);
    let looks: Vec<(u32, usize)> = project
        .journal()
        .into_iter()
        .filter_map(|entry| match entry {
            Entry::Look { round, open, .. } => Some((round, open.len())),
            _ => None,
        })
        .collect();
    assert_eq!(looks.last(), Some(&(rounds as u32, 0)));
    assert!(looks[..looks.len() - 1].iter().all(|(_, open)| *open > 0), "{looks:?}");
    let said = format!("settled after {rounds} of 12 rounds");
    assert!(run.stdout.contains(&said), "{}", run.stdout);
    assert!(run.stderr.contains("looks after rounds 4, 6, 8, 10, 12 (O'Brien-Fleming)"));
    assert!(run.stderr.contains("not to be settled by this plan: failure_rate"), "{}", run.stderr);
    assert!(run.stderr.contains("2 of 2 rules settled"), "{}", run.stderr);
    // The plan is in the file, so judging it again says the same.
    let again = project.run(&["check", "--results"]);
    assert_eq!((again.code, again.stdout), (1, run.stdout));
}

#[test]
fn every_round_is_run_where_nothing_may_end_it() {
    for (config, rounds) in [
        (config(6, "stop = \"never\"", SLOWER), 6),
        (config(3, "", SLOWER), 3),
        // As noisy as this, and with so small an error allowed, nothing is settled soon.
        (config(6, "stop = \"pocock\"", "token_ms = 5.2").replace("0.01", "0.3"), 6),
    ] {
        let project = Project::new(&config, &format!("false_alarms = \"0.01%\"\n{RULES}"));
        let run = project.check();
        assert_eq!(project.results().rounds.len(), rounds, "{config}{}", run.stderr);
    }
}

#[test]
fn the_first_look_counts_for_a_resumed_session_too() {
    let project = Project::new(&config(12, "", SLOWER), RULES);
    let mut child = project.command(&["check"]).spawn().unwrap();
    project.await_journal(|entries| {
        entries.iter().find(|e| matches!(e, Entry::RoundEnd { round: 2, .. })).cloned()
    });
    signal(child.id(), rustix::process::Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(2));
    let run = project.run(&["check", "--resume"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let results = project.results();
    assert!(results.header.plan.stopping.is_some());
    let complete = results.rounds.iter().filter(|round| round.complete).count();
    assert!([4, 6, 8, 10].contains(&complete), "{complete}");
}

#[test]
fn the_same_samples_give_the_same_report() {
    let (project, _) = check(&config(20, "stop = \"never\"", "token_ms = 5.1"));
    project.write(
        "thresholds.toml",
        "[rules]\nlatency = \"5%\"\ncv = { metric = \"latency\", statistic = \"cv\", limit = \"50%\" }\n\
         p99 = { metric = \"itl\", statistic = \"p99\", limit = \"20%\" }\n",
    );
    let file = project.path().join(".perfgate/benchmark_results.json");
    let judge = || {
        let run = project.run(&["check", "--results", "--format", "json"]);
        (run.stdout, std::fs::read(&file).unwrap())
    };
    let first = judge();
    assert!(first.0.contains("latency"), "{}", first.0);
    assert!(judge() == first, "another report from the same samples");
}

#[test]
fn a_stalled_round_is_named_in_the_report() {
    let (project, _) = check(&config(4, "stop = \"never\"", "token_ms = 5.0"));
    let file = project.path().join(".perfgate/benchmark_results.json");
    let mut results = perfgate::session::read_results(&file).unwrap();
    let stalled = results.parts[0].rounds[2].requests.iter_mut();
    for request in stalled.filter(|request| request.variant == "other") {
        request.token_ns.iter_mut().for_each(|ns| *ns *= 10);
    }
    std::fs::write(&file, serde_json::to_string(&results).unwrap()).unwrap();
    let run = project.run(&["check", "--results"]);
    assert!(run.stdout.contains("round 3: 4 of 4 requests of 'other' stalled"), "{}", run.stdout);
    assert!(run.stdout.contains("inconclusive"), "{}", run.stdout);
}

#[test]
fn a_calibration_tells_the_noise_and_advises() {
    let project = Project::new(
        &config(4, "", "token_ms = 5.0"),
        "[rules]\nlatency = \"0.1%\"\nthroughput = \"20%\"\n",
    );
    let run = project.run(&["calibrate", "--sessions", "2", "--pause", "0s", "--rounds", "12"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.starts_with("NOISE of 'base' against itself: "), "{}", run.stdout);
    assert!(run.stdout.contains("of 6 comparisons of 4 rounds"), "{}", run.stdout);
    let warning = "limits below what 4 rounds can tell on this machine: latency (0.1%); ";
    assert!(run.stdout.contains(warning), "{}", run.stdout);
    // Read again, and with the next one.
    let again = project.run(&["calibrate", "--sessions", "0"]);
    assert_eq!(again.stdout, run.stdout);
    let more = project.run(&["calibrate", "--rounds", "4", "--format", "markdown"]);
    assert!(more.stdout.contains("of 7 comparisons"), "{}{}", more.stdout, more.stderr);
    assert!(more.stdout.contains("### False alarms in comparisons of 4 rounds"), "{}", more.stdout);
    let json = project.run(&["calibrate", "--sessions", "0", "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["tables"].as_array().unwrap().len(), 4);
    let none = project.run(&["calibrate", "other", "--sessions", "0"]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("holds no calibration of 'other'"), "{}", none.stderr);
}

#[test]
fn a_calibration_can_be_left_between_its_sessions() {
    let project = Project::new(&config(4, "", "token_ms = 5.0"), RULES);
    let arguments = ["calibrate", "--sessions", "2", "--pause", "1h", "--rounds", "4"];
    let child = project.command(&arguments).spawn().unwrap();
    let kept = project.path().join(".perfgate/calibration");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while !kept.exists() {
        assert!(std::time::Instant::now() < end, "the first session is never kept");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    signal(child.id(), rustix::process::Signal::INT);
    let run = crate::support::finished(child.wait_with_output().unwrap());
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("interrupted between sessions; 1 are kept"), "{}", run.stderr);
    assert_eq!(project.run(&["calibrate", "--sessions", "0"]).code, 0);
}
