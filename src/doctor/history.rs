//! Owns the findings about what earlier runs left: stored sessions of this machine's class, and git.

use super::{Finding, Section, count};
use crate::baseline::{self, Stored};
use crate::config::Config;
use crate::hash;
use crate::record::MachineClass;
use std::path::Path;

/// Looks at the store of accepted sessions.
pub(super) fn baselines(config: Option<&Config>, root: &Path) -> Section {
    let findings = match config {
        Some(config) => stored(config, &baseline::environment(root).machine),
        None => {
            let text = "perfgate.toml, which names the store, could not be read";
            vec![Finding::ok("sessions", text)]
        }
    };
    Section { title: "Baselines", findings }
}

fn stored(config: &Config, here: &MachineClass) -> Vec<Finding> {
    let store = &config.baselines;
    let folder = store.folder.strip_prefix(&config.folder).unwrap_or(&store.folder).display();
    let sessions = match baseline::load(&store.folder) {
        Ok(sessions) => sessions,
        Err(problem) => {
            let otherwise = "take the file from git again, or remove it";
            return vec![Finding::error("sessions", problem, otherwise)];
        }
    };
    let of_class =
        sessions.iter().filter(|stored| baseline::same_class(here, &stored.machine)).count();
    let mut findings = Vec::new();
    findings.push(if sessions.is_empty() {
        let text = format!("none is stored in {folder}; only rules against a baseline need some");
        Finding::ok("sessions", text)
    } else if of_class == 0 {
        Finding::warning(
            "sessions",
            format!(
                "none of the {} in {folder} is of this machine's class, {}: rules against a baseline \
                 cannot decide times here",
                sessions.len(),
                here.key()
            ),
            "run `perfgate check` and `perfgate baseline update` in turn a few times on this machine \
             and commit the files, or run on the machine whose sessions are stored (`perfgate \
             baseline list` shows them)",
        )
    } else {
        let text = format!(
            "{of_class} of {} in {folder} of this machine's class, {}",
            sessions.len(),
            here.key()
        );
        Finding::ok("sessions", text)
    });
    findings.extend(other_classes(&sessions, here));
    findings
}

/// The stored classes that are not this machine's, with what differs and what it means.
fn other_classes(sessions: &[Stored], here: &MachineClass) -> Vec<Finding> {
    let mut machines: Vec<&MachineClass> = sessions.iter().map(|stored| &stored.machine).collect();
    machines.sort_by_key(|machine| machine.key());
    machines.dedup();
    machines.retain(|machine| !baseline::same_class(here, machine));
    let finding = |machine: &MachineClass| {
        let number = sessions.iter().filter(|stored| stored.machine == *machine).count();
        let differences = baseline::class_differences(here, machine).join("; ");
        let meaning = match baseline::another_processor(here, machine) {
            Some(_) => "shares can be compared, and INT8 results can differ",
            None => "shares can be compared, and ratios relative to a variant; times cannot",
        };
        let text = format!("{} of another: {differences}. {meaning}", count(number, "session"));
        Finding::ok("stored class", text)
    };
    machines.into_iter().map(finding).collect()
}

/// Looks at the repository that holds the project's folder. The files of its store do not count.
pub(super) fn git(folder: &Path, config: Option<&Config>) -> Section {
    let mut findings = Vec::new();
    let store = config.map(|config| config.baselines.folder.as_path());
    match baseline::git_state(folder, store) {
        Ok(state) => {
            let on = match &state.branch {
                Some(branch) => format!("on branch {branch}"),
                None => "on no branch".to_string(),
            };
            findings
                .push(Finding::ok("commit", format!("{} {on}", hash::short(&state.commit, 12))));
            findings.push(if state.dirty() {
                Finding::warning(
                    "work tree",
                    format!(
                        "{} modified, {} untracked: no commit tells what is measured",
                        count(state.modified, "file"),
                        state.untracked
                    ),
                    "commit, or put aside with `git stash`, before a session that is to be stored",
                )
            } else {
                Finding::ok("work tree", "clean")
            });
            findings.push(history(baseline::is_shallow(folder)));
        }
        Err(why) => findings.push(no_commit(folder, &why)),
    }
    Section { title: "Git", findings }
}

fn history(shallow: bool) -> Finding {
    if !shallow {
        return Finding::ok("history", "complete");
    }
    Finding::warning(
        "history",
        "the clone is shallow: the target branch's commits, which later comparisons with it need, \
         are not here",
        "`git fetch --unshallow`; on GitHub, fetch-depth: 0 under `with:` of actions/checkout",
    )
}

fn no_commit(folder: &Path, why: &str) -> Finding {
    let remedy = if why.contains("not owned") {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
        format!(
            "git does not trust a folder of somebody else, as is usual in containers: `git config \
             --global --add safe.directory {}`",
            folder.display()
        )
    } else {
        "run it in a clone that has a commit, or make one: `git init`, `git add .`, `git commit`"
            .to_string()
    };
    Finding::warning("commit", format!("{why}; results are traced to no commit"), remedy)
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::super::tests::{about, put};
    use super::*;
    use std::process::Command;

    fn run(folder: &Path, arguments: &[&str]) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
        let done = Command::new("git").current_dir(folder).args(identity).args(arguments).output();
        assert!(done.unwrap().status.success(), "git {arguments:?}");
    }

    #[test]
    fn a_repository_is_told_with_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let section = git(path, None);
        assert_eq!(about(&section, "commit").mark, Mark::Warning);
        assert!(about(&section, "commit").remedy.as_ref().unwrap().contains("git init"));
        run(path, &["init", "-q", "-b", "trunk"]);
        put(path, "a", "1");
        run(path, &["add", "."]);
        run(path, &["commit", "-qm", "first"]);
        let section = git(path, None);
        assert!(about(&section, "commit").text.ends_with("on branch trunk"));
        assert!(section.findings.iter().all(|finding| finding.mark == Mark::Ok), "{section:?}");
        put(path, "b", "2");
        let section = git(path, None);
        assert_eq!(about(&section, "work tree").mark, Mark::Warning);
    }

    #[test]
    fn a_shallow_clone_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, part) = (folder.path().join("whole"), folder.path().join("part"));
        std::fs::create_dir(&whole).unwrap();
        run(&whole, &["init", "-q"]);
        run(&whole, &["commit", "-q", "--allow-empty", "-m", "first"]);
        run(&whole, &["commit", "-q", "--allow-empty", "-m", "second"]);
        let url = format!("file://{}", whole.display());
        run(folder.path(), &["clone", "-q", "--depth", "1", &url, "part"]);
        assert_eq!(about(&git(&whole, None), "history").mark, Mark::Ok);
        let section = git(&part, None);
        assert_eq!(about(&section, "history").mark, Mark::Warning);
        assert!(about(&section, "history").remedy.as_ref().unwrap().contains("fetch-depth: 0"));
    }

    #[test]
    fn somebody_elses_folder_has_its_own_remedy() {
        let finding = no_commit(Path::new("/src"), "repository path '/src' is not owned by you");
        assert!(finding.remedy.unwrap().contains("safe.directory /src"));
    }
}
