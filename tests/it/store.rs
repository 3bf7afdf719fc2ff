//! The store under real git and several writers: what makes a work tree dirty, marks, two processes at
//! once, two branches merged, and the subcommands that show and prune.

use crate::support::{Project, Run, finished, scripted};
use perfgate::baseline::{Stored, parse_stored};
use perfgate::record::{Results, VerdictKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

const RULES: &str = "[defaults]\nvariant = \"other\"\nagainst = \"base\"\n[rules]\n\
                     failure_rate = { max = \"80%\" }\n";

fn config(keep: u32, script: &str) -> String {
    scripted(
        2,
        &format!(
            "[baselines]\nkeep = {keep}\n[variants.base]\nengine = \"scripted\"\n\
             [variants.other]\nengine = \"scripted\"\nscript = {{ {script} }}\n"
        ),
    )
}

fn project(keep: u32) -> Project {
    Project::new(&config(keep, "token_ms = 1.5"), RULES)
}

fn git(project: &Project, arguments: &[&str]) -> Run {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    let mut command = Command::new("git");
    command.current_dir(project.path()).args(identity).args(arguments);
    let run = finished(command.output().unwrap());
    assert_eq!(run.code, 0, "git {arguments:?}: {}{}", run.stdout, run.stderr);
    run
}

/// A project in a repository of its own, with everything committed.
fn committed(keep: u32) -> Project {
    let project = project(keep);
    git(&project, &["init", "-q", "-b", "trunk"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "-qm", "first"]);
    project
}

fn succeeds(project: &Project, arguments: &[&str]) -> Run {
    let run = project.run(arguments);
    assert_eq!(run.code, 0, "{arguments:?}: {}{}", run.stdout, run.stderr);
    run
}

/// The stored files, in the order of their sessions.
fn files(project: &Project) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(classes) = std::fs::read_dir(project.path().join("baselines")) else { return files };
    for class in classes {
        for file in std::fs::read_dir(class.unwrap().path()).unwrap() {
            files.push(file.unwrap().path());
        }
    }
    files.sort();
    files
}

fn stored(file: &Path) -> Stored {
    crate::schema::validate_baseline(file);
    parse_stored(file, &std::fs::read_to_string(file).unwrap()).unwrap()
}

fn sessions(project: &Project) -> Vec<String> {
    files(project).iter().map(|file| stored(file).session).collect()
}

/// The latest results as those of another session, the `n`th of a made-up day.
fn made(project: &Project, n: usize) -> String {
    let mut results: Results = project.combined();
    let header = &mut results.parts[0].header;
    header.session = format!("20300101T0000{n:02}Z-abcd");
    header.started = format!("2030-01-01T00:00:{n:02}Z");
    let file = format!("results-{n}.json");
    project.write(&file, &serde_json::to_string(&results).unwrap());
    file
}

fn id(n: usize) -> String {
    format!("20300101T0000{n:02}Z-abcd")
}

#[test]
fn stored_and_not_yet_committed_sessions_leave_the_work_tree_clean() {
    let project = committed(10);
    for _ in 0..3 {
        succeeds(&project, &["check"]);
        let run = succeeds(&project, &["baseline", "update"]);
        assert!(!run.stdout.contains("marked"), "{}", run.stdout);
    }
    git(&project, &["add", "baselines"]);
    git(&project, &["commit", "-qm", "baselines"]);
    // Now committed files are removed.
    for _ in 0..2 {
        succeeds(&project, &["check"]);
        succeeds(&project, &["baseline", "update"]);
        succeeds(&project, &["baseline", "prune", "--keep", "2"]);
    }
    assert!(git(&project, &["status", "--porcelain"]).stdout.contains(" D "));
    assert_eq!(files(&project).len(), 2);
    for file in files(&project) {
        let stored = stored(&file);
        assert_eq!(stored.marks, []);
        assert!(!stored.git.as_ref().unwrap().dirty());
        let verdict = stored.verdict.unwrap();
        assert_eq!(verdict.outcome, "holds");
        assert_eq!(verdict.rules["failure_rate"], VerdictKind::Pass);
    }
}

#[test]
fn a_dirty_work_tree_is_refused_or_leaves_a_mark() {
    let project = committed(4);
    project.write("notes", "of something new");
    project.write("thresholds.toml", &RULES.replace("80%", "81%"));
    succeeds(&project, &["check"]);
    let run = project.run(&["baseline", "update"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("dirty work tree (1 modified, 1 untracked)"), "{}", run.stderr);
    assert!(run.stderr.contains("git stash") && run.stderr.contains("--allow-dirty"));
    assert!(files(&project).is_empty());
    // Committing afterwards does not change what was measured.
    git(&project, &["add", "."]);
    git(&project, &["commit", "-qm", "second"]);
    assert_eq!(project.run(&["baseline", "update"]).code, 2);
    let run = succeeds(&project, &["baseline", "update", "--allow-dirty"]);
    assert!(run.stdout.contains("marked  dirty work tree"), "{}", run.stdout);
    assert!(run.stdout.contains("holds  [dirty work tree]"), "{}", run.stdout);
    let text = std::fs::read_to_string(&files(&project)[0]).unwrap();
    assert!(text.contains("\"marks\": [\"dirty work tree\"]"), "{text}");
    let show = succeeds(&project, &["baseline", "show"]).stdout;
    assert!(show.contains("warning: mark: dirty work tree"), "{show}");
    // The flag alone makes no mark.
    succeeds(&project, &["check"]);
    succeeds(&project, &["baseline", "update", "--allow-dirty"]);
    // Sessions of one second are told apart by chance.
    let mut marks: Vec<usize> = files(&project).iter().map(|f| stored(f).marks.len()).collect();
    marks.sort_unstable();
    assert_eq!(marks, [0, 1]);
}

#[test]
fn a_regression_that_is_accepted_leaves_a_mark() {
    let project = project(4);
    project
        .write("thresholds.toml", &RULES.replace("failure_rate", "latency").replace("80%", "1us"));
    assert_eq!(project.check().code, 1);
    let run = project.run(&["baseline", "update", "--allow-dirty"]);
    assert!(run.stderr.contains("add --accept-regression"), "{}", run.stderr);
    let file = project.path().join(".perfgate/benchmark_results.json");
    let file = file.to_str().unwrap();
    assert_eq!(project.run(&["baseline", "update", file, "--from-run", file]).code, 2);
    let arguments = ["baseline", "update", "--accept-regression", "--from-run", file];
    let run = succeeds(&project, &arguments);
    let text = std::fs::read_to_string(&files(&project)[0]).unwrap();
    assert!(run.stdout.contains("marked  no commit: could not find repository"), "{}", run.stdout);
    let marks = "\"marks\": [\"accepted over a regression\",\"no commit\"]";
    assert!(text.contains(marks), "{text}");
    assert_eq!(stored(&files(&project)[0]).verdict.unwrap().outcome, "regressed");
}

#[test]
fn files_of_the_previous_format_stay_as_they_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("baselines");
    let class = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    for file in std::fs::read_dir(class).unwrap() {
        let file = file.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(stored(&file).to_text(), text, "{}", file.display());
    }
    let project = project(4);
    succeeds(&project, &["check"]);
    succeeds(&project, &["baseline", "update"]);
    let old = files(&project).remove(0);
    let text = std::fs::read_to_string(&old).unwrap();
    let new = |line: &&str| !line.contains("\"marks\"") && !line.contains("\"verdict\"");
    let without: String = text.lines().filter(new).map(|line| format!("{line}\n")).collect();
    let without = without.replace("\"format\": 2", "\"format\": 1");
    std::fs::write(&old, &without).unwrap();
    succeeds(&project, &["check"]);
    succeeds(&project, &["baseline", "update"]);
    assert_eq!(std::fs::read_to_string(&old).unwrap(), without);
    let show = succeeds(&project, &["baseline", "show", &stored(&old).session]).stdout;
    assert!(show.contains("accepted before verdicts were stored"), "{show}");
    assert!(show.contains("mark: no commit"), "{show}");
    std::fs::write(&old, without.replace("\"format\": 1", "\"format\": 3")).unwrap();
    let run = project.run(&["baseline", "list"]);
    assert!(
        run.stderr.contains("is of format 3, and this perfgate reads 1 and 2"),
        "{}",
        run.stderr
    );
}

fn start(project: &Project, arguments: &[&str]) -> Child {
    project.command(arguments).spawn().unwrap()
}

#[test]
fn several_writers_at_once_lose_nothing() {
    let project = project(100);
    succeeds(&project, &["check"]);
    let made: Vec<String> = (0..12).map(|n| made(&project, n)).collect();
    let all: Vec<String> = (0..12).map(id).collect();
    let children: Vec<Child> =
        made.iter().map(|file| start(&project, &["baseline", "update", file])).collect();
    for child in children {
        let run = finished(child.wait_with_output().unwrap());
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    }
    assert_eq!(sessions(&project), all, "each is whole");
    // With a small window older ones may be refused, and what is kept is kept.
    std::fs::remove_dir_all(project.path().join("baselines")).unwrap();
    project.write("perfgate.toml", &config(3, ""));
    let mut children: Vec<Child> = Vec::new();
    for file in &made {
        children.push(start(&project, &["baseline", "update", file]));
        children.push(start(&project, &["baseline", "prune"]));
    }
    for child in children {
        let run = finished(child.wait_with_output().unwrap());
        let too_old = run.stderr.contains("sessions newer than") && run.code == 2;
        assert!(run.code == 0 || too_old, "{}{}", run.stdout, run.stderr);
    }
    assert_eq!(sessions(&project), all[9..], "the newest, and no temporary file");
}

#[test]
fn branches_that_both_store_sessions_merge() {
    let project = committed(3);
    project.write(".gitignore", "results-*.json\n");
    git(&project, &["add", "."]);
    git(&project, &["commit", "-qm", "ignore"]);
    succeeds(&project, &["check"]);
    let made: Vec<String> = (0..6).map(|n| made(&project, n)).collect();
    let update = |n: usize| drop(succeeds(&project, &["baseline", "update", &made[n]]));
    let commit = |what: &str| {
        git(&project, &["add", "baselines"]);
        git(&project, &["commit", "-qm", what]);
    };
    (0..3).for_each(update);
    commit("three");
    // Both have more than are to be kept. Had both removed the oldest file, git would take each one's new
    // file for the old one renamed.
    git(&project, &["checkout", "-qb", "side"]);
    (3..5).for_each(update);
    commit("side");
    git(&project, &["checkout", "-q", "trunk"]);
    let run = succeeds(&project, &["baseline", "update", &made[5]]);
    let said = "1 more than the 3 to be kept are committed: `perfgate baseline prune` removes them";
    assert!(run.stdout.contains(said), "{}", run.stdout);
    commit("trunk");
    git(&project, &["merge", "-q", "-m", "merged", "side"]);
    assert_eq!(git(&project, &["status", "--porcelain"]).stdout, "");
    let list = succeeds(&project, &["baseline", "list"]).stdout;
    for n in 0..6 {
        assert!(list.contains(&id(n)), "{list}");
    }
    assert!(list.contains("this machine's class: 6 of at most 3"), "{list}");
    succeeds(&project, &["baseline", "prune"]);
    assert_eq!(sessions(&project), [3, 4, 5].map(id));
}

#[test]
fn pruning_keeps_the_newest_of_each_class() {
    let project = project(10);
    succeeds(&project, &["check"]);
    for n in 0..4 {
        let made = made(&project, n);
        succeeds(&project, &["baseline", "update", &made]);
    }
    // Two of another class.
    let class = files(&project)[0].parent().unwrap().to_path_buf();
    let other = class.with_file_name("v1-other-00000000");
    std::fs::create_dir(&other).unwrap();
    for file in &files(&project)[..2] {
        let text = std::fs::read_to_string(file).unwrap();
        let text = text.replace("\"memory_gib\":", "\"memory_gib\":9");
        std::fs::write(other.join(file.file_name().unwrap()), text).unwrap();
    }
    let before = files(&project);
    let dry = succeeds(&project, &["baseline", "prune", "--keep", "1", "--dry-run"]).stdout;
    assert_eq!(dry.lines().filter(|line| line.starts_with("would remove  baselines/")).count(), 4);
    assert_eq!(files(&project), before);
    let none = succeeds(&project, &["baseline", "prune"]).stdout;
    assert!(none.contains("no machine class has more than 10 sessions"), "{none}");
    let pruned = succeeds(&project, &["baseline", "prune", "--keep", "1"]).stdout;
    assert_eq!(pruned, dry.replace("would remove", "removed"));
    assert_eq!(files(&project).len(), 2);
    let list = succeeds(&project, &["baseline", "list"]).stdout;
    assert!(list.contains("  against this machine: memory 9"), "{list}");
    project.write("perfgate.toml", &config(1, ""));
    let old = project.run(&["baseline", "update"]);
    assert_eq!(old.code, 2, "{}", old.stdout);
    assert!(old.stderr.contains("sessions newer than 2"), "{}", old.stderr);
    assert!(old.stderr.contains("raise keep"), "{}", old.stderr);
}

#[test]
fn a_session_is_shown_and_two_are_held_side_by_side() {
    let project = project(10);
    let run = project.run(&["baseline", "show"]);
    assert!(run.stderr.contains("holds no stored session"), "{}", run.stderr);
    succeeds(&project, &["check"]);
    succeeds(&project, &["baseline", "update", &made(&project, 1)]);
    let show = succeeds(&project, &["baseline", "show"]).stdout;
    let expected =
        ["STORED SESSION 20300101T000001Z-abcd: holds, 2 rounds of 4 tasks by base, other"];
    for text in expected.iter().chain(&["throughput", "latency P50", "cold start", "failure_rate"])
    {
        assert!(show.contains(text), "{text} in {show}");
    }
    let run = project.run(&["baseline", "diff"]);
    assert!(run.stderr.contains("no two sessions of this machine's class"), "{}", run.stderr);
    project.write("perfgate.toml", &config(10, "token_ms = 6.0").replace("other", "newer"));
    project.write("thresholds.toml", &RULES.replace("other", "newer"));
    succeeds(&project, &["check"]);
    succeeds(&project, &["baseline", "update", &made(&project, 2)]);
    let diff = succeeds(&project, &["baseline", "diff"]).stdout;
    for text in [
        "UNPAIRED: 20300101T000002Z-abcd against 20300101T000001Z-abcd",
        "decide nothing",
        "no variant 'other' now",
        "no variant 'newer' then",
        "×",
    ] {
        assert!(diff.contains(text), "{text} in {diff}");
    }
    // Another workload: what cannot be compared is not.
    project.write(
        "perfgate.toml",
        &config(10, "token_ms = 6.0").replace("gen_tokens = 5", "gen_tokens = 6"),
    );
    project.write("thresholds.toml", RULES);
    succeeds(&project, &["check"]);
    succeeds(&project, &["baseline", "update", &made(&project, 3)]);
    let diff = succeeds(&project, &["baseline", "diff", &id(1), "20300101T000003Z"]).stdout;
    assert!(diff.contains("gen_tokens 5 then, 6 now"), "{diff}");
    assert!(diff.contains("another model of 'other'"), "{diff}");
    assert!(!diff.contains('×'), "{diff}");
    let markdown = ["baseline", "diff", &id(1), &id(2), "--format", "markdown"];
    assert!(succeeds(&project, &markdown).stdout.starts_with("**UNPAIRED"));
    for (arguments, expected) in [
        (&["2030"][..], "several sessions whose names begin with '2030'"),
        (&["1999"], "holds no session '1999'"),
        (&[&id(3)], "would be held against itself"),
    ] {
        let run = project.run(&[&["baseline", "diff"], arguments].concat());
        assert_eq!(run.code, 2);
        assert!(run.stderr.contains(expected), "{}", run.stderr);
    }
}

#[test]
fn a_session_too_large_for_a_repository_is_named_with_what_to_do() {
    let project = project(10);
    succeeds(&project, &["check"]);
    let mut results = project.combined();
    let part = &mut results.parts[0];
    let rounds = part.rounds.clone();
    for n in 2..300 {
        part.rounds.extend(rounds.iter().take(1).cloned().map(|mut round| {
            round.round = n + 1;
            round
        }));
    }
    project.write("large.json", &serde_json::to_string(&results).unwrap());
    let run = succeeds(&project, &["baseline", "update", "large.json"]);
    assert!(
        run.stderr.contains("KiB, where a stored session should take 100 KiB"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("600 lines, of each round and variant"), "{}", run.stderr);
    assert!(run.stderr.contains("fewer rounds or tasks"), "{}", run.stderr);
    // What this repository plans at most is far from it: 12 rounds of 3 variants and 10 tasks.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("baselines");
    let class = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut real = stored(&std::fs::read_dir(class).unwrap().next().unwrap().unwrap().path());
    let rounds = real.rounds.clone();
    (0..3).for_each(|_| real.rounds.extend(rounds.clone()));
    assert_eq!((real.rounds.len(), real.workload.tasks.len()), (36, 10));
    let size = real.to_text().len();
    assert!(size < 25 << 10, "{size}");
}

#[test]
fn doctor_names_this_class_and_what_differs_of_the_stored_ones() {
    let project = project(10);
    succeeds(&project, &["check"]);
    succeeds(&project, &["baseline", "update"]);
    let file = files(&project).remove(0);
    let text = std::fs::read_to_string(&file).unwrap();
    for (from, to, expected) in [
        ("\"memory_gib\":", "\"memory_gib\":9", "ratios relative to a variant; times cannot"),
        ("\"cpu\":\"", "\"cpu\":\"another ", "INT8 results can differ"),
    ] {
        std::fs::write(&file, text.replace(from, to)).unwrap();
        let doctor = succeeds(&project, &["doctor", "--format", "json"]).stdout;
        assert!(doctor.contains("none of the 1 in baselines is of this machine's class, v2/"));
        assert!(doctor.contains("1 session of another: "), "{doctor}");
        assert!(doctor.contains(" then, "), "{doctor}");
        assert!(doctor.contains(expected), "{expected} in {doctor}");
    }
}
