//! Clones as continuous integration makes them: partial, sparse, with references in a reftable, with other names of
//! objects. The same change is judged alike in each of them.

use crate::support::{Project, Run, finished};
use std::path::{Path, PathBuf};
use std::process::Command;

fn config(token_ms: u32) -> String {
    format!(
        "reference = \"a\"\nallow = [\"scripted\"]\n[workload]\ntasks = \"tasks.jsonl\"\ngen_tokens = 5\n\
         [session]\nrounds = 4\n\
         [variants.a]\nengine = \"scripted\"\nscript = {{ token_ms = 5, jitter = 0.001 }}\n\
         [variants.b]\nengine = \"scripted\"\nscript = {{ token_ms = {token_ms}, jitter = 0.001 }}\n"
    )
}

fn git(folder: &Path, arguments: &[&str]) -> bool {
    let done = Command::new("git").current_dir(folder).args(arguments).output().unwrap();
    done.status.success()
}

/// A remote that gives parts, with a base and a change that is slower.
fn upstream() -> Project {
    let project = Project::new(&config(5), "[rules]\nlatency = \"5%\"\n");
    project.git(&["init", "-q", "-b", "main"]);
    project.git(&["config", "uploadpack.allowFilter", "true"]);
    project.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    project.write(".gitignore", ".perfgate/\n");
    project.commit("base");
    project.git(&["checkout", "-qb", "change"]);
    project.write("perfgate.toml", &config(9));
    project.commit("slower");
    project
}

fn clone(upstream: &Project, into: &Path, how: &[&str]) -> Option<PathBuf> {
    let url = format!("file://{}", upstream.path().display());
    let arguments = [&["clone", "-q"], how, &["-b", "change", &url, "clone"]].concat();
    git(into, &arguments).then(|| into.join("clone"))
}

fn perfgate(upstream: &Project, folder: &Path, arguments: &[&str]) -> Run {
    let mut command = upstream.command(arguments);
    finished(command.current_dir(folder).output().unwrap())
}

#[test]
fn what_a_clone_left_out_is_fetched_where_the_base_needs_it() {
    let upstream = upstream();
    for how in [
        &["--filter=blob:none"][..],
        &["--filter=tree:0"],
        &["--filter=blob:none", "--sparse"],
        &["--filter=blob:none", "--depth=2", "--no-single-branch"],
        &["--ref-format=reftable"],
    ] {
        let place = tempfile::tempdir().unwrap();
        let Some(folder) = clone(&upstream, place.path(), how) else {
            // A git of before 2.45 has no reftable.
            assert!(how[0].contains("reftable"), "{how:?}");
            continue;
        };
        let run = perfgate(&upstream, &folder, &["check", "--base", "main", "--against"]);
        assert_eq!(run.code, 1, "{how:?}: {}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("tip of main"), "{how:?}: {}", run.stdout);
        let results = std::fs::read_to_string(folder.join(".perfgate/benchmark_results.json"));
        let results: serde_json::Value = serde_json::from_str(&results.unwrap()).unwrap();
        let state = results.to_string();
        assert!(state.contains("\"branch\":\"change\""), "{how:?}: the state of git is known");
        assert!(state.contains("\"modified\":0"), "{how:?}: nothing differs from the commit");
    }
}

#[test]
fn a_clone_whose_remote_is_gone_says_what_helps() {
    let upstream = upstream();
    let place = tempfile::tempdir().unwrap();
    let folder = clone(&upstream, place.path(), &["--filter=blob:none"]).unwrap();
    assert!(git(&folder, &["remote", "set-url", "origin", "file:///no/such/place"]));
    let run = perfgate(&upstream, &folder, &["check", "--base", "main"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    for part in
        ["is a partial clone, and git could not fetch", "'origin'", "clone without a filter"]
    {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
}

#[test]
fn names_of_objects_by_sha_256_are_refused_with_what_helps() {
    let project = Project::new(&config(5), "[rules]\nlatency = \"5%\"\n");
    if !git(project.path(), &["init", "-q", "-b", "main", "--object-format=sha256"]) {
        return;
    }
    project.commit("base");
    let run = project.run(&["check", "--base", "main"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    for part in ["object names of sha256", "leaving --base and --against out", "fast-import"] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
}
