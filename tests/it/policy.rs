//! A change judged by its base, in real repositories: what a pull request may try, how the base is found, and
//! what has no base to be judged by.

use crate::support::{Project, Run, git};
use perfgate::record::{Direction, PolicyChange, VerdictKind};
use std::os::unix::fs::symlink;

const RULES: &str = "[rules]\nlatency = \"20%\"\nfailure_rate = { limit = \"60pt\" }\n";

/// Both variants are equally fast, unless `int8` says otherwise.
fn config(rounds: u32, int8: f64) -> String {
    format!(
        "reference = \"fp16\"\nallow = [\"scripted\"]\n[workload]\ntasks = \"tasks.jsonl\"\ngen_tokens = 5\n\
         [session]\nrounds = {rounds}\nstop = \"never\"\n\
         [variants.fp16]\nengine = \"scripted\"\nscript = {{ token_ms = 5.0, jitter = 0.0001 }}\n\
         [variants.int8]\nengine = \"scripted\"\nscript = {{ token_ms = {int8:.1}, jitter = 0.0001 }}\n"
    )
}

/// A repository whose main branch has both files, and a branch `change` that is checked out.
fn repository() -> Project {
    let project = Project::new(&config(4, 5.0), RULES);
    project.make_repository();
    project.git(&["checkout", "-qb", "change"]);
    project
}

fn check(project: &Project, arguments: &[&str]) -> Run {
    project.run(&[&["check"], arguments].concat())
}

fn by_main(project: &Project) -> Run {
    check(project, &["--base", "main"])
}

fn changes(project: &Project) -> Vec<PolicyChange> {
    project.combined().judgement.unwrap().authority.changes
}

fn assert_change(project: &Project, subject: &str, change: &str, direction: Direction) {
    let all = changes(project);
    let found = all
        .iter()
        .any(|c| c.subject == subject && c.change.contains(change) && c.direction == direction);
    assert!(found, "no {subject}: {change} ({direction}) in {all:#?}");
}

/// A regression that each of these changes would hide if it were judged by its own policy.
fn regressed_nevertheless(edit: impl Fn(&Project)) -> Project {
    let project = repository();
    project.write("perfgate.toml", &config(4, 8.0));
    edit(&project);
    project.commit("a change");
    let run = by_main(&project);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("Judged by the base"), "{}", run.stdout);
    assert!(run.stdout.contains("latency 40"), "{}", run.stdout);
    project
}

#[test]
fn a_loosened_limit_takes_effect_after_the_merge() {
    let project = regressed_nevertheless(|project| {
        project.write("thresholds.toml", &RULES.replace("20%", "200%"));
    });
    assert_change(&project, "rule latency", "limit loosened from 20% to 200%", Direction::Looser);
    let run = check(&project, &["--base", "main", "--results"]);
    assert_eq!(run.code, 1, "judging again knows it too: {}", run.stdout);
    // Once it is on the target branch, it is the policy.
    project.git(&["branch", "-f", "main", "change"]);
    let run = by_main(&project);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(changes(&project).is_empty());
}

#[test]
fn a_deleted_rule_still_judges() {
    let project = regressed_nevertheless(|project| {
        project.write("thresholds.toml", "[rules]\nmodel_size = \"500%\"\n");
    });
    assert_change(&project, "rule latency", "rule deleted", Direction::Looser);
    assert_change(&project, "rule model_size", "rule added", Direction::Stricter);
    let project = regressed_nevertheless(|project| {
        std::fs::remove_file(project.path().join("thresholds.toml")).unwrap();
    });
    assert_change(&project, "thresholds", "all rules deleted", Direction::Looser);
}

#[test]
fn fewer_rounds_and_another_workload_are_not_taken() {
    let project = regressed_nevertheless(|project| {
        let text = config(1, 8.0).replace("gen_tokens = 5", "gen_tokens = 2");
        let text = text.replace("stop = ", "restarts = 9\nstop = ");
        project.write("perfgate.toml", &format!("{text}\n[sustained]\nminutes = 1\n"));
        let tasks = std::fs::read_to_string(project.path().join("tasks.jsonl")).unwrap();
        project.write("tasks.jsonl", &tasks.replace("\"t1\"", "\"renamed\""));
    });
    assert_change(&project, "rounds", "from 4 to 1", Direction::Looser);
    assert_change(&project, "gen_tokens", "from 5 to 2", Direction::Other);
    assert_change(&project, "restarts", "from 2 to 9", Direction::Looser);
    assert_change(&project, "sustained", "load added", Direction::Other);
    assert!(project.combined().parts[0].load.is_empty(), "it takes effect after the merge");
    assert_change(&project, "workload", "1 task removed: t1", Direction::Looser);
    assert_change(&project, "workload", "1 task added: renamed", Direction::Other);
    assert_eq!(project.results().rounds.len(), 4);
    assert_eq!(project.results().header.plan.tasks[0], "t1");
    let run = check(&project, &["--base", "main", "--rounds", "2"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("the base asks for 4 rounds"), "{}", run.stderr);
}

#[test]
fn the_reference_stays_the_bases() {
    // Slowing the reference down would make any candidate look good.
    let slower = |text: String| text.replacen("token_ms = 5.0", "token_ms = 20.0", 1);
    let project = regressed_nevertheless(|project| {
        project.write("perfgate.toml", &slower(config(4, 8.0)));
    });
    assert_change(&project, "reference 'fp16'", "another script", Direction::Other);
    let swapped = |text: String| text.replace("reference = \"fp16\"", "reference = \"int8\"");
    let project = regressed_nevertheless(|project| {
        project.write("perfgate.toml", &swapped(config(4, 8.0)));
    });
    assert_change(
        &project,
        "reference",
        "reference variant changed from 'fp16' to 'int8'",
        Direction::Other,
    );
}

#[test]
fn edited_baselines_are_not_taken() {
    let project = Project::new(
        &config(3, 5.0),
        "[defaults]\nvariant = \"int8\"\n[rules]\nlatency = { against = \"baseline\", limit = \"20%\" }\n\
         failure_rate = { limit = \"60pt\" }\n",
    );
    project.make_repository();
    for _ in 0..3 {
        check(&project, &[]);
        let run = project.run(&["baseline", "update"]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        project.commit("a baseline");
    }
    project.git(&["checkout", "-qb", "change"]);
    project.write("perfgate.toml", &config(3, 8.0));
    let list = project.git(&["ls-files", "baselines"]);
    for file in list.lines() {
        let path = project.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let mut stored: serde_json::Value = serde_json::from_str(&text).unwrap();
        for run in stored["rounds"].as_array_mut().unwrap() {
            for value in run["latency_us"].as_array_mut().unwrap() {
                *value = (value.as_u64().unwrap() * 2).into();
            }
        }
        std::fs::write(&path, stored.to_string()).unwrap();
    }
    project.commit("a slower past");
    let run = by_main(&project);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert_change(&project, "baselines", "baseline replaced: ", Direction::Other);
    assert_eq!(check(&project, &[]).code, 0, "by its own baselines it would have passed");
}

#[test]
fn a_branch_of_an_old_commit_with_looser_rules_is_judged_by_the_tip() {
    let project = Project::new(&config(3, 5.0), &RULES.replace("20%", "200%"));
    project.make_repository();
    project.git(&["branch", "change"]);
    project.write("thresholds.toml", RULES);
    project.commit("stricter");
    project.git(&["checkout", "-q", "change"]);
    project.write("perfgate.toml", &config(3, 8.0));
    project.commit("slower");
    let run = by_main(&project);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(changes(&project).is_empty(), "what the base did since is none of the change's doing");
}

#[test]
fn the_base_is_found_as_github_tells_it() {
    let project = repository();
    project.write("perfgate.toml", &config(4, 8.0));
    project.write("thresholds.toml", &RULES.replace("20%", "200%"));
    let head = project.commit("slower and looser");
    let base = project.git(&["rev-parse", "main"]);
    let event = |sha: &str| format!("{{\"pull_request\": {{\"base\": {{\"sha\": \"{sha}\"}}}}}}");
    project.write(".git/event.json", &event(&base));
    let run = |name: &str, reference: &str, sha: &str, arguments: &[&str]| {
        let mut command = project.command(&[&["check"], arguments].concat());
        command.env("GITHUB_EVENT_NAME", name).env("GITHUB_REF", reference).env("GITHUB_SHA", sha);
        command.env("GITHUB_EVENT_PATH", project.path().join(".git/event.json"));
        crate::support::finished(command.output().unwrap())
    };
    // A push to a branch is no pull request.
    assert_eq!(run("push", "refs/heads/change", &head, &[]).code, 0);
    // Not on the merge commit: the event's base. The command line may say the same.
    for arguments in [&[][..], &["--base", "main"]] {
        let done = run("pull_request", "refs/pull/7/merge", "0", arguments);
        assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
        assert!(done.stdout.contains("base of the pull request's event"), "{}", done.stdout);
    }
    // It cannot make a change the judge of itself.
    let done = run("pull_request", "refs/pull/7/merge", "0", &["--base", "change"]);
    assert_eq!(done.code, 2, "{}", done.stdout);
    assert!(
        done.stderr.contains("--base change is not a commit of the target branch"),
        "{}",
        done.stderr
    );
    // The merge commit that GitHub makes: its first parent, whatever an old event says.
    project.git(&["checkout", "-q", "--detach", "main"]);
    project.git(&["merge", "-q", "--no-ff", "-m", "merge", "change"]);
    let merge = project.git(&["rev-parse", "HEAD"]);
    project.write(".git/event.json", &event(&head));
    let done = run("pull_request", "refs/pull/7/merge", &merge, &[]);
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("first parent of the merge commit"), "{}", done.stdout);
    assert_change(&project, "rule latency", "loosened", Direction::Looser);
    // An author's own merge commit is no such thing.
    let done = run("pull_request", "refs/heads/refs/pull/7/merge", &merge, &[]);
    assert!(done.stdout.contains("base of the pull request's event"), "{}", done.stdout);
    // Local work may say whose policy it wants, and the report says so.
    let done = run("pull_request", "refs/pull/7/merge", &merge, &["--policy-from", "worktree"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("(--policy-from worktree)"), "{}", done.stdout);
    // Nothing tells the base, but for the command line, which the report says.
    project.write(".git/event.json", "{}");
    let done = run("pull_request", "refs/heads/change", &head, &["--base", "main"]);
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("main, by --base; that it is of the target"), "{}", done.stdout);
    let done = run("pull_request", "refs/heads/change", &head, &[]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("--base REF"), "{}", done.stderr);
    project.write(".git/event.json", &event(&"7".repeat(40)));
    let done = run("pull_request", "refs/heads/change", &head, &[]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("fetch-depth: 0"), "{}", done.stderr);
}

#[test]
fn an_entry_of_a_merge_queue_is_judged_by_the_target_branch() {
    let project = repository();
    let main = project.git(&["rev-parse", "main"]);
    // Two entries: the first is slower and loosens the rule, the second has nothing to do with either.
    project.write("perfgate.toml", &config(4, 8.0));
    project.write("thresholds.toml", &RULES.replace("20%", "200%"));
    let first = project.commit("slower and looser");
    project.write("notes.txt", "2");
    let second = project.commit("the second entry");
    let run = |head: &str, base_sha: &str, keys: &str, arguments: &[&str]| {
        project.git(&["checkout", "-q", "--detach", head]);
        let event = format!("{{\"merge_group\": {{\"base_sha\": \"{base_sha}\"{keys}}}}}");
        project.write(".git/event.json", &event);
        let mut command = project.command(&[&["check"], arguments].concat());
        command.env("GITHUB_EVENT_NAME", "merge_group").env("GITHUB_SHA", head);
        command.env("GITHUB_REF", "refs/heads/gh-readonly-queue/main/pr-7");
        command.env("GITHUB_EVENT_PATH", project.path().join(".git/event.json"));
        crate::support::finished(command.output().unwrap())
    };
    let of_main = ", \"base_ref\": \"refs/heads/main\"";
    for (head, base_sha) in [(&first, &main), (&second, &first)] {
        for arguments in [&["--against"][..], &["--base", "main", "--against"], &[]] {
            let done = run(head, base_sha, of_main, arguments);
            assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
            let how = "tip of main, the target branch of the merge queue";
            assert!(done.stdout.contains(how), "{}", done.stdout);
            assert_change(&project, "rule latency", "loosened", Direction::Looser);
        }
    }
    // Its own entry, or one before it, is not of the branch.
    for base in ["change", first.as_str()] {
        let done = run(&second, &first, of_main, &["--base", base]);
        assert_eq!(done.code, 2, "{}", done.stdout);
        assert!(done.stderr.contains("is not a commit of the target branch"), "{}", done.stderr);
    }
    // An older one is, and the report says which.
    project.git(&["checkout", "-q", "main"]);
    project.write("notes.txt", "main goes on");
    let tip = project.commit("main goes on");
    project.git(&["checkout", "-q", "--detach", &second]);
    let done = run(&second, &first, of_main, &["--base", &main]);
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    let flat = done.stdout.replace("\n  ", " ");
    assert!(flat.contains(&format!("by --base: older than {}", &tip[..12])), "{}", done.stdout);
    // A branch of the clone that was moved onto the change would judge it by itself.
    project.git(&["branch", "-qf", "main", &second]);
    for arguments in [&[][..], &["--base", "main"], &["--base", &second]] {
        let done = run(&second, &first, of_main, arguments);
        assert_eq!(done.code, 2, "{}", done.stdout);
        assert!(done.stderr.contains("holds the change itself"), "{}", done.stderr);
    }
    project.git(&["branch", "-qf", "main", &main]);
    // Without the branch there is nothing to go by: the event's commit may be another entry.
    for keys in [", \"base_ref\": \"refs/heads/gone\"", ""] {
        let done = run(&second, &first, keys, &[]);
        assert_eq!(done.code, 2, "{}", done.stdout);
        assert!(done.stderr.contains("target branch"), "{}", done.stderr);
    }
}

#[test]
fn a_fork_and_a_rebase_are_judged_by_the_upstreams_tip() {
    let upstream = Project::new(&config(3, 5.0), RULES);
    upstream.make_repository();
    let fork = Project::new("", "");
    let clone = fork.path().join("clone");
    git(fork.path(), &["clone", "-q", &upstream.path().display().to_string(), "clone"]);
    git(&clone, &["checkout", "-qb", "feature"]);
    std::fs::write(clone.join("perfgate.toml"), config(3, 8.0)).unwrap();
    std::fs::write(clone.join("thresholds.toml"), RULES.replace("20%", "300%")).unwrap();
    git(&clone, &["commit", "-qam", "slower"]);
    // Upstream goes on, and the fork rebases onto it.
    upstream.write("notes.txt", "1");
    let tip = upstream.commit("goes on");
    git(&clone, &["fetch", "-q", "origin"]);
    git(&clone, &["rebase", "-q", "origin/main"]);
    let run = |base: &str| {
        let line = format!("cd clone && \"$PERFGATE\" check --base {base}");
        fork.shell(&line)
    };
    // A branch that only the remote has is found by its short name: the fork's own main is the old one.
    git(&clone, &["checkout", "-q", "-B", "main", "feature"]);
    git(&clone, &["checkout", "-q", "feature"]);
    git(&clone, &["branch", "-qD", "main"]);
    for base in ["origin/main", "main", &tip] {
        let done = run(base);
        assert_eq!(done.code, 1, "{base}: {}{}", done.stdout, done.stderr);
    }
}

#[test]
fn a_shallow_clone_says_what_to_fetch() {
    let project = repository();
    project.write("perfgate.toml", &config(4, 8.0));
    project.commit("slower");
    project.git(&["checkout", "-q", "--detach", "main"]);
    project.git(&["merge", "-q", "--no-ff", "-m", "merge", "change"]);
    let merge = project.git(&["rev-parse", "HEAD"]);
    project.git(&["update-ref", "refs/pull/7/merge", &merge]);
    let other = Project::new("", "");
    let clone = |depth: &str| {
        let _ = std::fs::remove_dir_all(other.path().join("part"));
        git(other.path(), &["init", "-q", "part"]);
        let part = other.path().join("part");
        let url = format!("file://{}", project.path().display());
        git(&part, &["fetch", "-q", "--depth", depth, &url, "refs/pull/7/merge"]);
        git(&part, &["checkout", "-q", "FETCH_HEAD"]);
        other.shell(&format!(
            "cd part && GITHUB_EVENT_NAME=pull_request GITHUB_REF=refs/pull/7/merge GITHUB_SHA={merge} \
             \"$PERFGATE\" check"
        ))
    };
    let run = clone("1");
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("the clone is shallow"), "{}", run.stderr);
    assert!(run.stderr.contains("fetch-depth: 0"), "{}", run.stderr);
    let run = clone("2");
    assert_eq!(run.code, 1, "both parents are there: {}{}", run.stdout, run.stderr);
    let run = other.shell("cd part && \"$PERFGATE\" check --base no-such-branch");
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("git knows no 'no-such-branch' here"), "{}", run.stderr);
}

#[test]
fn a_renamed_configuration_is_judged_by_the_old_one() {
    let project = repository();
    project.git(&["mv", "perfgate.toml", "gate.toml"]);
    project.git(&["mv", "thresholds.toml", "limits.toml"]);
    project.write("gate.toml", &config(4, 8.0));
    project.write("limits.toml", &RULES.replace("20%", "200%"));
    project.commit("renamed and looser");
    let run = check(
        &project,
        &["--base", "main", "--config", "gate.toml", "--thresholds", "limits.toml"],
    );
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("which this change renames to gate.toml"), "{}", run.stdout);
    // A second configuration beside the first is nobody's successor.
    project.git(&["checkout", "-q", "main"]);
    project.write("second.toml", &config(4, 8.0));
    let run = check(&project, &["--base", "main", "--config", "second.toml"]);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("is not in the base"), "{}", run.stderr);
    // Case alone is a renaming too, and a missing file names its near one.
    project.git(&["checkout", "-qb", "case", "main"]);
    project.git(&["mv", "perfgate.toml", "Perfgate.toml"]);
    project.write("Perfgate.toml", &config(4, 8.0));
    std::fs::remove_file(project.path().join("second.toml")).unwrap();
    let run = by_main(&project);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("there is 'Perfgate.toml': case matters"), "{}", run.stderr);
    let run = check(&project, &["--base", "main", "--config", "Perfgate.toml"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
}

#[test]
fn what_the_base_cannot_vouch_for_is_refused() {
    // A link out of the repository.
    let outside = Project::new("", RULES);
    let project = Project::new(&config(3, 5.0), RULES);
    std::fs::remove_file(project.path().join("thresholds.toml")).unwrap();
    symlink(outside.path().join("thresholds.toml"), project.path().join("thresholds.toml"))
        .unwrap();
    project.make_repository();
    let run = by_main(&project);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("outside of the repository"), "{}", run.stderr);
    // A link within it is followed in the base too.
    std::fs::remove_file(project.path().join("thresholds.toml")).unwrap();
    project.write("rules.toml", RULES);
    symlink("rules.toml", project.path().join("thresholds.toml")).unwrap();
    project.commit("a link within");
    project.git(&["checkout", "-qb", "change"]);
    project.write("rules.toml", &RULES.replace("20%", "200%"));
    project.write("perfgate.toml", &config(3, 8.0));
    project.commit("looser behind the link");
    let run = by_main(&project);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    // A workload that no commit has.
    let project = Project::new(&config(3, 5.0).replace("tasks.jsonl", "made.jsonl"), RULES);
    project.write("made.jsonl", "{\"id\": \"a\", \"prompt\": \"x\"}\n");
    project.make_repository();
    project.git(&["rm", "-q", "--cached", "made.jsonl"]);
    project.git(&["commit", "-qm", "not committed"]);
    let run = by_main(&project);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("[workload] tasks is not in that commit"), "{}", run.stderr);
    // Rules outside of the repository.
    let place = outside.path().join("thresholds.toml").display().to_string();
    let run = check(&project, &["--base", "main", "--thresholds", &place]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("lies outside of the repository"), "{}", run.stderr);
    // No repository at all.
    let plain = Project::new(&config(3, 5.0), RULES);
    let run = by_main(&plain);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("run it in a clone of a git repository"), "{}", run.stderr);
}

#[test]
fn a_linked_work_tree_and_a_submodule_have_their_own_head() {
    let project = repository();
    project.git(&["worktree", "add", "-q", "-b", "beside", "linked", "main"]);
    std::fs::write(project.path().join("linked/perfgate.toml"), config(4, 8.0)).unwrap();
    let run = project.shell("cd linked && \"$PERFGATE\" check --base main");
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    // Inside a submodule its own branches count, and the outer event's base is not there.
    let outer = Project::new("", "");
    outer.make_repository();
    let url = project.path().display().to_string();
    outer.git(&["-c", "protocol.file.allow=always", "submodule", "add", "-q", &url, "inner"]);
    outer.commit("a submodule");
    let sha = outer.git(&["rev-parse", "HEAD"]);
    let run = outer.shell("cd inner && \"$PERFGATE\" check --base origin/main");
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    outer.write(
        "event.json",
        &format!("{{\"pull_request\": {{\"base\": {{\"sha\": \"{sha}\"}}}}}}"),
    );
    let run = outer.shell(
        "cd inner && GITHUB_EVENT_NAME=pull_request GITHUB_EVENT_PATH=../event.json \"$PERFGATE\" check",
    );
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("a submodule or a linked work tree"), "{}", run.stderr);
    // A policy file that lies in a submodule is another repository's.
    let text = config(3, 5.0).replace("tasks.jsonl", "inner/tasks.jsonl");
    outer.write("perfgate.toml", &text);
    outer.write("thresholds.toml", RULES);
    outer.commit("tasks of the submodule");
    let run = by_main(&outer);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("[workload] tasks is not in that commit"), "{}", run.stderr);
}

#[test]
fn tests_gate_nothing_unless_the_base_allows_them() {
    let banned = config(3, 5.0).replace("allow = [\"scripted\"]\n", "");
    let project = Project::new(&banned, RULES);
    project.make_repository();
    project.git(&["checkout", "-qb", "change"]);
    project.write("perfgate.toml", &config(3, 5.0));
    project.commit("allows itself");
    let run = by_main(&project);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stderr.contains("'int8' is of the engine 'scripted', which gates nothing"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("allow = [\"scripted\"]"), "{}", run.stderr);
    // A test switch is one more thing to allow.
    project.git(&["checkout", "-q", "main"]);
    project.write("perfgate.toml", &config(3, 5.0));
    project.commit("scripted may gate");
    let switch = format!("{}test = {{ slowdown_percent = 1 }}\n", config(3, 5.0));
    project.write("perfgate.toml", &switch);
    let run = by_main(&project);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("'int8' has test switches"), "{}", run.stderr);
    project.git(&["stash", "-q"]);
    assert_eq!(by_main(&project).code, 0);
}

#[test]
fn a_change_cannot_bring_what_perfgate_generates() {
    let project = repository();
    project.write("perfgate.toml", &config(4, 8.0));
    project.commit("slower");
    assert_eq!(by_main(&project).code, 1);
    // The base's files as they would be laid out, with a rule that lets everything pass.
    let folder = std::fs::read_dir(project.path().join(".perfgate/base")).unwrap().next().unwrap();
    let forged = folder.unwrap().path().join("thresholds.toml");
    std::fs::write(forged, RULES.replace("20%", "900%")).unwrap();
    project.git(&["add", "-f", ".perfgate/base"]);
    project.git(&["commit", "-qm", "a base of its own"]);
    let run = by_main(&project);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stderr.contains("is committed, and perfgate generates .perfgate/base"),
        "{}",
        run.stderr
    );
    // Nor by a link to where it lies.
    project.git(&["mv", ".perfgate/base", "forged"]);
    std::fs::remove_dir_all(project.path().join(".perfgate")).unwrap();
    std::fs::create_dir(project.path().join("real")).unwrap();
    project.git(&["mv", "forged", "real/base"]);
    symlink("real", project.path().join(".perfgate")).unwrap();
    project.write(".gitignore", "");
    project.commit("behind a link");
    let run = by_main(&project);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains("is committed, and perfgate generates"), "{}", run.stderr);
}

#[test]
fn a_base_without_files_has_a_stated_outcome() {
    let project = Project::new(&config(3, 5.0), RULES);
    project.git(&["init", "-q", "-b", "main"]);
    project.write(".gitignore", ".perfgate/\n");
    project.git(&["add", ".gitignore"]);
    project.git(&["commit", "-qm", "nothing yet"]);
    project.git(&["checkout", "-qb", "change"]);
    project.commit("the first configuration");
    let run = check(&project, &["--against", "main"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let said =
        "the base has no perfgate.toml: this change brings the first one and is judged by its own";
    let flat = run.stdout.replace("\n  ", " ");
    assert!(flat.contains(said), "{}", run.stdout);
    // Rules alone are missing.
    project.git(&["checkout", "-q", "main"]);
    project.write("tasks.jsonl", "{\"id\": \"a\", \"prompt\": \"x\"}\n");
    project.write("perfgate.toml", &config(3, 5.0));
    project.commit("no rules yet");
    project.git(&["checkout", "-qb", "rules"]);
    project.write("thresholds.toml", RULES);
    project.commit("rules");
    let run = by_main(&project);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("the base has no rules"), "{}", run.stdout);
    assert_change(&project, "thresholds", "first rules", Direction::Stricter);
}

#[test]
fn what_a_change_adds_or_removes_has_a_stated_outcome() {
    // A variant more: judged by the rules that name no variant.
    let project = repository();
    let more =
        "[variants.int4]\nengine = \"scripted\"\nscript = { token_ms = 9.0, jitter = 0.0001 }\n";
    project.write("perfgate.toml", &format!("{}{more}", config(4, 5.0)));
    project.commit("another variant");
    let run = check(&project, &["--against", "main"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let verdicts = project.results().verdicts;
    let of = |id: &str| verdicts.iter().find(|v| v.rule.id == id).unwrap();
    assert_eq!(of("latency@int4").verdict, VerdictKind::Regressed);
    assert_eq!(of("latency@int4/base").verdict, VerdictKind::NoBaseline);
    assert_eq!(of("latency@int8/base").verdict, VerdictKind::Unchanged);
    // A variant less: its rules cannot be judged, and that is no pass.
    let project = repository();
    let one = config(4, 5.0).replace("variants.int8", "variants.int9");
    project.write("perfgate.toml", &one);
    project.commit("renamed a variant");
    let run = by_main(&project);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("this change removes 'int8'"), "{}", run.stdout);
    // A rule, tasks, a metric more: after the merge.
    let project = repository();
    project.write("thresholds.toml", &format!("{RULES}memory = \"1%\"\n"));
    let tasks = std::fs::read_to_string(project.path().join("tasks.jsonl")).unwrap();
    project.write("tasks.jsonl", &format!("{tasks}{{\"id\": \"t5\", \"prompt\": \"y\"}}\n"));
    project.commit("more");
    let run = by_main(&project);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert_change(&project, "rule memory", "rule added", Direction::Stricter);
    assert_change(&project, "workload", "1 task added: t5", Direction::Other);
    assert!(project.results().verdicts.iter().all(|v| v.rule.id != "memory"));
    // Rules that will not do are said before they are everybody's.
    project.write("thresholds.toml", "[rules]\nlatensy = \"5%\"\n");
    let run = by_main(&project);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("did you mean 'latency'?"), "{}", run.stderr);
}

#[test]
fn the_bases_variants_are_measured_beside() {
    let project = repository();
    project.write(
        "perfgate.toml",
        &config(4, 5.0)
            .replace("jitter = 0.0001 }\n[variants.int8]", "jitter = 0.0001 }\n\n[variants.int8]"),
    );
    let run = check(&project, &["--against", "main"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("unchanged"), "{}", run.stdout);
    let header = project.results().header;
    assert_eq!(header.plan.variants, ["fp16", "int8"], "what is the same is not measured twice");
    assert_eq!(header.plan.absent["int8@base"].verdict, VerdictKind::Unchanged);
    let run = check(&project, &["--against", "main", "--measure-unchanged"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert_eq!(project.results().header.plan.variants, ["fp16", "int8", "int8@base"]);
    // What is stored of it is the change's own.
    let run = project.run(&["baseline", "update", "--allow-dirty"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let run = project.run(&["baseline", "show"]);
    assert!(run.stdout.contains("int8") && !run.stdout.contains("@base"), "{}", run.stdout);
    std::fs::remove_dir_all(project.path().join("baselines")).unwrap();
    // With rules on changes alone there is nothing to measure.
    let alone = "[rules]\nlatency = { against = \"base\", limit = \"3%\" }\n";
    project.git(&["checkout", "-q", "-f", "main"]);
    project.write("thresholds.toml", alone);
    project.commit("rules on changes alone");
    project.git(&["checkout", "-qB", "change"]);
    let run = check(&project, &["--against", "main"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(project.results().rounds.is_empty());
    assert!(run.stdout.starts_with("PASS: nothing that is judged has changed"), "{}", run.stdout);
    let plan = check(&project, &["--against", "main", "--dry-run"]);
    assert!(plan.stdout.starts_with("nothing to measure"), "{}", plan.stdout);
    // Slower than before, and well within what is allowed against the reference: the rule of its own
    // for the change is what stops it.
    let rules = "[rules]\nlatency = \"20%\"\nstep = { metric = \"latency\", against = \"base\", limit = \"3%\" }\n";
    project.git(&["checkout", "-q", "main"]);
    project.write("thresholds.toml", rules);
    project.write("perfgate.toml", &config(4, 5.0));
    project.commit("a rule for changes");
    project.git(&["checkout", "-qb", "slower"]);
    project.write("perfgate.toml", &config(4, 5.5));
    project.commit("slower");
    let run = check(&project, &["--against", "main"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let step = project.results().verdicts.into_iter().find(|v| v.rule.id == "step").unwrap();
    assert_eq!(step.verdict, VerdictKind::Regressed);
    assert!((step.effect.unwrap().point - 2.0 / 30.0).abs() < 0.01);
    assert!(run.stdout.contains("int8 against int8@base"), "{}", run.stdout);
    // Without a base beside it such a rule has nothing to be held against.
    let run = by_main(&project);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("no base was measured beside it"), "{}", run.stdout);
}

#[test]
fn a_waiver_lets_a_regression_pass_once_the_base_has_it() {
    let project = repository();
    project.write("perfgate.toml", &config(4, 8.0));
    let waiver = |limit: &str, day: &str| {
        format!(
            "{RULES}[[waivers]]\nrule = \"latency\"\nlimit = \"{limit}\"\nreason = \"a safer kernel\"\n\
             owner = \"@ann\"\nexpires = {day}\n"
        )
    };
    project.write("thresholds.toml", &waiver("50%", "2999-12-31"));
    project.commit("slower, with a waiver of its own");
    let run = by_main(&project);
    assert_eq!(run.code, 1, "not before it is merged: {}{}", run.stdout, run.stderr);
    assert_change(&project, "rule latency", "waiver of @ann until 2999-12-31", Direction::Looser);
    for (limit, day, code, said) in [
        ("50%", "2999-12-31", 0, "PASSED BY WAIVER: int8: latency 40"),
        ("30%", "2999-12-31", 1, "waiver of @ann for latency until 2999-12-31: a safer kernel"),
        ("50%", "2020-01-31", 1, "refused: the waiver of @ann for latency expired on 2020-01-31"),
    ] {
        project.git(&["checkout", "-q", "main"]);
        project.write("thresholds.toml", &waiver(limit, day));
        project.git(&["commit", "-qam", "a waiver"]);
        project.git(&["checkout", "-q", "change"]);
        let run = by_main(&project);
        assert_eq!(run.code, code, "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains(said), "{}", run.stdout);
    }
    project.write("thresholds.toml", &waiver("50%", "\"soon\""));
    let run = check(&project, &[]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("'soon', which is no day"), "{}", run.stderr);
}
