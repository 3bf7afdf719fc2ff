//! `perfgate merge` from end to end with the scripted engine: parts of the graded tasks come to what one session
//! comes to that asks them all, and what does not belong together is refused.

use crate::support::Project;
use crate::tasks::{config, knows, suite};
use perfgate::record::{Answer, Part, Results};
use perfgate::session::read_results;

const QUALITY: &str = "[quality]\nmax_tokens = 9\nstop = [\"\\n\"]\nbatch = 4\n\
                       [quality.suites.sums]\ntasks = \"sums.jsonl\"\n\
                       [quality.suites.names]\ntasks = \"names.jsonl\"\n";

const RULES: &str = "[defaults]\nvariant = \"other\"\n[rules]\naccuracy = \"5pt\"\n";

const EACH: usize = 24;

fn project() -> Project {
    let script = |wrong: usize| {
        let lines = |name| knows(name, 0..EACH, |n| n % 5 == 0 || n < wrong);
        format!("answers = [{}{}]", lines("sums"), lines("names"))
    };
    let project = Project::new(&config(QUALITY, &script(0), &script(12)), RULES);
    project.write("sums.jsonl", &suite("sums", 0..EACH));
    project.write("names.jsonl", &suite("names", 0..EACH));
    project
}

/// Measures the parts into files of their own.
fn shards(project: &Project, of: usize, options: &[&str]) -> Vec<String> {
    let measure = |part: usize| {
        let (file, shard) = (format!("s{part}.json"), format!("{part}/{of}"));
        let fixed = ["run", "--only", "quality", "--shard", &shard, "--output", &file];
        let run = project.run(&[&fixed[..], options].concat());
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        file
    };
    (1..=of).map(measure).collect()
}

fn merge(project: &Project, files: &[String]) -> crate::support::Run {
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    project.run(&[&["merge", "all.json"][..], &files].concat())
}

fn read(project: &Project, file: &str) -> Results {
    let file = project.path().join(file);
    crate::schema::validate_results(&file);
    read_results(&file).unwrap()
}

/// All that a session that asked everything and joined parts have in common.
fn alike(part: &Part) -> (Vec<Answer>, serde_json::Value) {
    let answers = part.answers.iter().map(|answer| Answer { cached: false, ..answer.clone() });
    (answers.collect(), serde_json::to_value(&part.header.plan).unwrap())
}

#[test]
fn four_parts_come_to_what_one_session_comes_to() {
    let project = project();
    for options in [&[][..], &["--suite", "sums", "--tags", "odd"], &["--limit", "30"]] {
        let whole = project.run(&[&["check", "--only", "quality", "--fresh"], options].concat());
        let expected = project.combined();
        let mut files = shards(&project, 4, &[options, &["--fresh"]].concat());
        // The order of the files does not matter.
        files.reverse();
        let run = merge(&project, &files);
        assert_eq!(
            (run.code, run.stderr.contains("warning: joined")),
            (0, false),
            "{}",
            run.stderr
        );
        let merged = read(&project, "all.json");
        assert!(merged.judgement.is_none());
        assert_eq!(alike(&merged.parts[0]), alike(&expected.parts[0]), "{options:?}");
        let judged = project.run(&["check", "--results", "all.json"]);
        assert_eq!(judged.code, whole.code, "{}{}", judged.stdout, judged.stderr);
        let judged = read(&project, "all.json");
        let verdicts = |results: &Results| results.judgement.clone().unwrap().verdicts;
        assert_eq!(verdicts(&judged), verdicts(&expected), "{options:?}");
        assert_eq!(judged.summaries, expected.summaries);
    }
}

#[test]
fn a_part_that_is_missing_is_said_and_can_be_added() {
    let project = project();
    let files = shards(&project, 4, &["--suite", "sums"]);
    let some = [files[2].clone(), files[0].clone()];
    let run = merge(&project, &some);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let warning = "warning: joined without parts 2, 4 of 4 of the graded tasks";
    assert!(run.stderr.contains(warning), "{}", run.stderr);
    let merged = read(&project, "all.json");
    let plan = merged.parts[0].header.plan.quality.clone().unwrap();
    assert_eq!(plan.narrowed.as_deref(), Some("suite sums, parts 1, 3 of 4"));
    assert_eq!(plan.tasks.len(), EACH / 2);
    assert!(plan.tasks.iter().all(|task| task.starts_with("sums-")), "{:?}", plan.tasks);
    // What was joined can be joined with the rest.
    std::fs::copy(project.path().join("all.json"), project.path().join("half.json")).unwrap();
    let run = merge(&project, &["half.json".into(), files[1].clone(), files[3].clone()]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let plan = read(&project, "all.json").parts[0].header.plan.quality.clone().unwrap();
    let expected: Vec<String> = (0..EACH).map(|n| format!("sums-{n}")).collect();
    assert_eq!((plan.tasks, plan.shards), (expected, None));
    assert_eq!(plan.narrowed.as_deref(), Some("suite sums"));
}

#[test]
fn rounds_come_from_the_one_part_that_has_some() {
    let project = project();
    let files = shards(&project, 2, &[]);
    let timing = project.run(&["run", "--only", "timing", "--output", "t.json"]);
    assert_eq!(timing.code, 0, "{}", timing.stderr);
    let run = merge(&project, &[&files[..], &["t.json".to_string()]].concat());
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let merged = read(&project, "all.json");
    let part = &merged.parts[0];
    assert_eq!((part.rounds.len(), part.answers.len()), (2, 4 * EACH));
    assert_eq!(part.header.plan.only, None);
    assert_eq!(part.rounds, read(&project, "t.json").parts[0].rounds);
    project.write("thresholds.toml", &format!("{RULES}latency = \"50%\"\n"));
    let judged = project.run(&["check", "--results", "all.json"]);
    assert_eq!(judged.code, 1, "{}", judged.stdout);
    let verdicts = read(&project, "all.json").judgement.unwrap().verdicts;
    assert!(verdicts.iter().all(|verdict| verdict.verdict.decided()), "{verdicts:?}");
    // Two that have rounds.
    std::fs::copy(project.path().join("t.json"), project.path().join("u.json")).unwrap();
    let run = merge(&project, &["t.json".into(), "u.json".into()]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("cannot be joined with t.json: both hold rounds"),
        "{}",
        run.stderr
    );
}

#[test]
fn what_does_not_belong_together_is_refused_with_what_differs() {
    let project = project();
    let files = shards(&project, 2, &[]);
    let second = std::fs::read_to_string(project.path().join("s2.json")).unwrap();
    let result: serde_json::Value = serde_json::from_str(&second).unwrap();
    let header = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut changed = result.clone();
        change(&mut changed["parts"][0]["header"]);
        changed.to_string()
    };
    let cases: [(String, &str); 10] = [
        (header(&|h| h["provenance"]["perfgate"] = "9.9".into()), "perfgate 0."),
        (
            header(&|h| h["environment"]["machine"]["cpu"] = "Z".into()),
            "another machine class (CPU model",
        ),
        (header(&|h| h["plan"]["workload_sha256"] = "f".into()), "another workload"),
        (
            header(&|h| h["variants"]["other"]["model_sha256"] = "feedfeedfeedfeed".into()),
            "another model of 'other' (",
        ),
        (
            header(&|h| h["variants"]["base"]["threads"] = 7.into()),
            "another number of threads of 'base' (2 then, 7 now)",
        ),
        (
            header(&|h| h["variants"]["base"]["properties"] = serde_json::json!({ "A": "B" })),
            "another A of 'base' (unset then, B now)",
        ),
        (
            header(&|h| h["plan"]["quality"]["source_sha256"] = "feedfeedfeedfeed".into()),
            "graded tasks with sha256 ",
        ),
        (header(&|h| h["plan"]["quality"]["batch"] = 8.into()), "tasks at a time 4 then, 8 now"),
        (
            header(&|h| h["plan"]["quality"]["shards"]["of"] = 3.into()),
            "number of parts 2 then, 3 now",
        ),
        (
            header(&|h| h["plan"]["quality"]["shards"]["whole"] = "suite sums".into()),
            "sample of the graded tasks all then, suite sums now",
        ),
    ];
    for (text, expected) in cases {
        project.write("changed.json", &text);
        let run = merge(&project, &[files[0].clone(), "changed.json".into()]);
        assert_eq!(run.code, 2, "{expected}");
        let what = "error: changed.json: cannot be joined with s1.json: ";
        assert!(run.stderr.starts_with(what), "{}", run.stderr);
        assert!(run.stderr.contains(expected), "wanted {expected}: {}", run.stderr);
        assert!(!project.path().join("all.json").exists());
    }
    // The same tasks twice.
    std::fs::copy(project.path().join("s1.json"), project.path().join("copy.json")).unwrap();
    let run = merge(&project, &[files[0].clone(), files[1].clone(), "copy.json".into()]);
    assert_eq!(run.code, 2);
    let what = "copy.json: cannot be joined with s1.json: both hold the graded task 'sums-";
    assert!(run.stderr.contains(what), "{}", run.stderr);
    // Several sessions in a file, no results, and a part in the output's place.
    let mut several = result.clone();
    let part = several["parts"][0].clone();
    several["parts"].as_array_mut().unwrap().push(part);
    project.write("several.json", &several.to_string());
    let run = merge(&project, &[files[0].clone(), "several.json".into()]);
    assert!(run.stderr.contains("several.json: does not hold one session alone"), "{}", run.stderr);
    let run = merge(&project, &[files[0].clone(), "perfgate.toml".into()]);
    assert!(run.code == 2 && run.stderr.contains("perfgate.toml:1:"), "{}", run.stderr);
    let run = project.run(&["merge", "s1.json", "s2.json"]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("s1.json: holds part 1 of 2 and would be written over"),
        "{}",
        run.stderr
    );
    assert_eq!(project.run(&["merge", "all.json"]).code, 2, "no file to join");
}
