//! The fidelity pass from end to end with the scripted engine: limits, ways of forcing, cache, resuming, faults.

use crate::support::{Project, Run, finished, scripted, signal};
use perfgate::record::{Entry, FailureClass, Fidelity, Forcing, VerdictKind};
use perfgate::worker::{Interrupt, Launch, Stop, Worker};
use std::path::Path;
use std::time::Duration;

const DOCUMENTS: usize = 8;
const STEPWISE: usize = 2;
const RULES: &str = "[rules]\nkl_divergence = \"0.05\"\n\
                     top1_agreement = { min = \"90%\", severity = \"inform\" }\n\
                     perplexity = { limit = \"2%\", severity = \"inform\" }\n";

/// `base` predicts without noise, `other` with so much.
fn config(noise: f64, more: &str) -> String {
    scripted(
        1,
        &format!(
            "[quality.fidelity]\ndocuments = \"documents.jsonl\"\ntokens = 40\nstepwise = {STEPWISE}\n\
             [variants.base]\nengine = \"scripted\"\n\
             [variants.other]\nengine = \"scripted\"\nscript = {{ logit_noise = {noise:?}{more} }}\n"
        ),
    )
}

fn project(config: &str, rules: &str) -> Project {
    let project = Project::new(config, rules);
    let documents: String = (0..DOCUMENTS)
        .map(|n| {
            let text = "document of some words, ".repeat(1 + n % 3);
            format!("{{\"id\": \"d{n}\", \"text\": \"{n} {text}\"}}\n")
        })
        .collect();
    project.write("documents.jsonl", &documents);
    project
}

fn check(config: &str) -> (Project, Run) {
    let project = project(config, RULES);
    let run = project.check();
    (project, run)
}

fn forced(project: &Project) -> Vec<Fidelity> {
    project.combined().parts.remove(0).fidelity
}

fn verdict(project: &Project, id: &str) -> (VerdictKind, String) {
    let verdicts = project.combined().judgement.unwrap().verdicts;
    let found = verdicts.into_iter().find(|verdict| verdict.rule.id == id).unwrap();
    (found.verdict, found.reason)
}

fn spawns(entries: &[Entry]) -> usize {
    entries.iter().filter(|e| matches!(e, Entry::Spawn { round: 0, .. })).count()
}

#[test]
fn near_predictions_pass_and_far_ones_regress() {
    let (project, run) = check(&config(0.1, ""));
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let forced = forced(&project);
    let of = |forcing| forced.iter().filter(move |one| one.forcing == forcing).collect::<Vec<_>>();
    assert_eq!(of(Forcing::Whole).len(), DOCUMENTS);
    assert_eq!(of(Forcing::Stepwise).len(), STEPWISE);
    let first = of(Forcing::Whole)[0];
    assert_eq!((first.positions, first.kl.len()), (25, 25), "26 bytes predict 25 times");
    assert_eq!(of(Forcing::Whole)[2].positions, 39, "cut at 40");
    // A little normal noise on the logits diverges by half its variance.
    let all: Vec<f64> = forced.iter().flat_map(|one| &one.kl).map(|kl| f64::from(*kl)).collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    assert!((0.004..0.006).contains(&mean), "{mean}");
    assert!(run.stdout.contains("Fidelity to base"), "{}", run.stdout);
    let mut left: Vec<String> = std::fs::read_dir(project.path().join(".perfgate"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let expected = [".gitignore", "benchmark_results.json", "quality", "report.md", "sessions"];
    assert_eq!(left, expected, "logits are not kept");

    let (project, run) = check(&config(0.8, ""));
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert_eq!(verdict(&project, "kl_divergence").0, VerdictKind::Regressed);
    assert!(run.stdout.starts_with("REGRESSION: 1 of 1 gating rule broken. other: KL divergence"));
}

#[test]
fn documents_come_from_the_cache_until_a_model_or_a_token_changes() {
    let (project, _) = check(&config(0.1, ""));
    assert_eq!(spawns(&project.journal()), 2);
    let spawns_of = |arguments: &[&str]| {
        std::fs::remove_dir_all(project.path().join(".perfgate/sessions")).unwrap();
        let again = project.run(arguments);
        assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
        spawns(&project.journal())
    };
    let before = forced(&project);
    assert_eq!(spawns_of(&["check"]), 0);
    let after = forced(&project);
    assert!(after.iter().all(|one| one.cached));
    let as_before = |one: &Fidelity| Fidelity { cached: false, ..one.clone() };
    assert_eq!(after.iter().map(as_before).collect::<Vec<_>>(), before);
    assert_eq!(spawns_of(&["check", "--fresh"]), 2, "--fresh forces anew");
    project.write("perfgate.toml", &config(0.11, ""));
    assert_eq!(spawns_of(&["check"]), 2, "another model");
    project.write("perfgate.toml", &config(0.11, "").replace("tokens = 40", "tokens = 39"));
    assert_eq!(spawns_of(&["check"]), 2);
    let cached = forced(&project).iter().filter(|one| one.cached).count();
    let short = (0..DOCUMENTS).filter(|n| n % 3 == 0).count() + 1;
    assert_eq!(cached, short, "those that are not cut are the same");
}

#[test]
fn a_pass_that_was_cut_short_goes_on_where_it_stopped() {
    // A timing worker has six requests, so the seventh comes in the fidelity pass alone.
    let hang = ", faults = [{ kind = \"hang\", request = 7 }]";
    let project = project(&config(0.1, hang).replace("700ms", "10min"), RULES);
    let child = project.command(&["check"]).spawn().unwrap();
    let done = |entries: &[Entry]| {
        entries.iter().filter(|entry| matches!(entry, Entry::Fidelity(_))).count()
    };
    project.await_journal(|entries| (done(entries) == 6).then_some(()));
    signal(child.id(), rustix::process::Signal::INT);
    let run = finished(child.wait_with_output().unwrap());
    assert_eq!(run.code, 2, "{}", run.stderr);
    project.write("perfgate.toml", &config(0.1, ""));
    let run = project.check();
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert_eq!(forced(&project).iter().filter(|one| one.cached).count(), 6);
}

#[test]
fn a_candidate_that_fails_never_passes_and_a_reference_that_fails_voids() {
    // The seventh request of each worker: one lost document of ten, or one of every seven.
    let fault = |kind: &str| format!(", faults = [{{ kind = \"{kind}\", request = 7 }}]");
    for (kind, class, expected) in [
        ("kill", FailureClass::Crash, VerdictKind::Inconclusive),
        ("hang", FailureClass::Deadline, VerdictKind::Inconclusive),
        ("nan", FailureClass::NonFinite, VerdictKind::Regressed),
    ] {
        let (project, run) = check(&config(0.1, &fault(kind)));
        let failures: Vec<FailureClass> =
            forced(&project).iter().filter_map(|one| Some(one.failure.as_ref()?.class)).collect();
        assert_eq!(failures, [class], "{}", run.stderr);
        let (verdict, reason) = verdict(&project, "kl_divergence");
        assert_eq!(verdict, expected, "{kind}");
        assert!(reason.starts_with("1 of 8 documents failed ("), "{reason}");
        assert!(run.stdout.contains("other: 1 documents failed"), "{}", run.stdout);
    }
    let often = ", faults = [{ kind = \"kill\", request = 5 }]";
    let (project, run) = check(&config(0.1, often));
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert_eq!(verdict(&project, "kl_divergence").0, VerdictKind::Regressed, "two are proof");
    let swapped =
        config(0.1, &fault("nan")).replace("reference = \"base\"", "reference = \"other\"");
    let (project, run) = check(&swapped);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    let (verdict, reason) = verdict(&project, "kl_divergence");
    assert_eq!(verdict, VerdictKind::Invalid);
    assert!(reason.starts_with("1 documents of 'other', the other side, failed: NaN"), "{reason}");
}

#[test]
fn stepwise_forcing_has_rules_of_its_own() {
    let rules = format!(
        "{RULES}steps = {{ metric = \"kl_divergence\", max = \"0.05\", forcing = \"stepwise\" }}\n"
    );
    let project = project(&config(0.1, ""), &rules);
    let run = project.check();
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let results = project.combined();
    let verdicts = results.judgement.unwrap().verdicts;
    let steps = verdicts.iter().find(|verdict| verdict.rule.id == "steps").unwrap();
    assert_eq!(steps.effect.as_ref().unwrap().requests, STEPWISE);
    assert_eq!(steps.verdict, VerdictKind::Pass);
}

#[test]
fn mistakes_name_the_place() {
    let cases = [
        (
            "kl_divergence = { max = \"0.05\", against = \"baseline\" }",
            "is held against the reference, 'base', only",
        ),
        ("kl_divergence = { variant = \"base\" }", "holds 'base' against itself"),
        ("kl_divergence = { limit = \"5%\" }", "unknown key 'limit'"),
        ("kl_divergence = { statistic = \"p90\" }", "'kl_divergence' has no statistic 'p90'"),
        ("top1_agreement = \"101%\"", "'101%' is more than all of 'top1_agreement'"),
        ("perplexity = { forcing = \"backwards\" }", "cannot be 'backwards'"),
        ("latency = { forcing = \"whole\" }", "unknown key 'forcing'"),
    ];
    for (rule, expected) in cases {
        let run = project(&config(0.1, ""), &format!("[rules]\n{rule}\n")).check();
        assert_eq!(run.code, 2, "{rule}: {}", run.stdout);
        assert!(run.stderr.contains("thresholds.toml:2:"), "{}", run.stderr);
        assert!(run.stderr.contains(expected), "wanted {expected:?} in {}", run.stderr);
    }
    let cases = [
        (config(0.1, "").replace("tokens = 40", "tokens = 15"), "it should be between 16 and"),
        (
            config(0.1, "").replace("tokens = 40", "skip = 26"),
            "documents.jsonl:1:1: the document 'd0' has 26 tokens, and 28 are needed",
        ),
        (
            config(0.1, "").replace("stepwise = 2", "variants = [\"base\"]"),
            "there is nothing to hold against the reference",
        ),
    ];
    for (config, expected) in cases {
        let run = project(&config, RULES).check();
        assert_eq!(run.code, 2, "{}", run.stdout);
        assert!(run.stderr.contains(expected), "wanted {expected:?} in {}", run.stderr);
    }
    let without = config(0.1, "").replace("[quality.fidelity]", "[ignored]");
    let run = project(&without.split("[ignored]").next().map(|head| {
        format!("{head}[variants.base]\nengine = \"scripted\"\n[variants.other]\nengine = \"scripted\"\n")
    }).unwrap(), RULES).check();
    assert!(run.stderr.contains("'kl_divergence' of 'other' is not measured"), "{}", run.stderr);
}

#[test]
fn a_worker_that_cannot_force_says_so() {
    let hello = r#"{"reply":"hello","protocol":1,"capabilities":["load","generate"]}"#;
    let script = format!("echo '{hello}' >&$PERFGATE_WORKER_FD; sleep 10");
    let launch =
        Launch { program: "bash".into(), arguments: vec!["-c".to_string(), script], threads: 1 };
    let mut worker = Worker::spawn(&launch).unwrap();
    let (deadline, interrupt) = (Duration::from_secs(10), Interrupt::default());
    worker.hello(deadline, &interrupt).unwrap();
    let found = worker.force((&[1, 2], false), Path::new("/nowhere"), deadline, &interrupt);
    let Err(Stop::Failed(failure)) = found else { panic!("{found:?}") };
    assert_eq!(failure.class, FailureClass::Unsupported);
    assert!(worker.alive(), "it was not even asked");
}
