//! Owns where a run comes from: perfgate's version, the commit and whether the work tree differs.

use super::store::is_stored_file;
use crate::config::Setup;
use crate::git::{self, Difference, Repo};
use crate::problem::Problem;
use crate::record::{GitState, Provenance};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The provenance of a run with this set-up.
pub fn provenance(setup: &Setup) -> Provenance {
    let (git, git_unavailable) =
        match git_state(&setup.config.folder, Some(&setup.config.baselines.folder)) {
            Ok(state) => (Some(state), None),
            Err(why) => (None, Some(why)),
        };
    Provenance {
        perfgate: env!("CARGO_PKG_VERSION").to_string(),
        git,
        git_unavailable,
        asked: None,
        config_sha256: setup.config_sha256.clone(),
        thresholds_sha256: setup.thresholds_sha256.clone(),
    }
}

/// The state of the repository that holds a folder, or why there is none.
///
/// The files of a store of accepted sessions do not count as differences: they are written between
/// measuring and committing, and nothing that is measured depends on them.
///
/// # Errors
/// If there is no repository or no commit, in git's words.
pub fn git_state(folder: &Path, store: Option<&Path>) -> Result<GitState, String> {
    let why = |problem: Problem| problem.what;
    git::look(folder)?;
    let repo = Repo::find(folder).map_err(why)?;
    let commit = repo.head().map_err(why)?.to_string();
    let branch = repo.branch();
    let store = store.and_then(|store| inside(&repo, store));
    let mut state = GitState { commit, branch, modified: 0, untracked: 0 };
    for (file, difference) in repo.differences(None).map_err(why)? {
        let whole_folder = file.as_os_str().as_bytes().ends_with(b"/");
        match &store {
            Some(store) if is_stored_file(store, &file) => {}
            Some(store)
                if whole_folder && (store.starts_with(&file) || file.starts_with(store)) =>
            {
                let below = repo.differences(Some(&file)).map_err(why)?;
                state.untracked += below.iter().filter(|(f, _)| !is_stored_file(store, f)).count();
            }
            _ if difference == Difference::Untracked => state.untracked += 1,
            _ => state.modified += 1,
        }
    }
    Ok(state)
}

/// Where a file or folder lies in a repository's work tree; nothing if it is not there.
fn inside(repo: &Repo, path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()?.strip_prefix(repo.folder()).ok().map(Path::to_path_buf)
}

/// Whether the commit that is checked out holds a file. Outside of a repository none does.
pub fn is_committed(file: &Path) -> bool {
    let holds = || {
        let repo = Repo::find(file.parent()?).ok()?;
        let place = inside(&repo, file)?;
        repo.holds(repo.head().ok()?, &place).ok()
    };
    holds().unwrap_or(false)
}

/// Whether the repository that holds a folder lacks the older part of its history.
pub fn is_shallow(folder: &Path) -> bool {
    Repo::find(folder).is_ok_and(|repo| repo.is_shallow())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn git(folder: &Path, arguments: &[&str]) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
        let done = Command::new("git").current_dir(folder).args(identity).args(arguments).output();
        assert!(done.unwrap().status.success(), "git {arguments:?}");
    }

    #[test]
    fn tells_the_commit_and_what_differs_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        git(path, &["init", "-q", "-b", "trunk"]);
        assert!(git_state(path, None).is_err(), "no commit yet");
        std::fs::write(path.join("a"), "1").unwrap();
        std::fs::write(path.join(".gitignore"), "ignored\n").unwrap();
        git(path, &["add", "."]);
        git(path, &["commit", "-qm", "first"]);
        std::fs::write(path.join("ignored"), "x").unwrap();
        let clean = git_state(path, None).unwrap();
        assert_eq!(clean.branch.as_deref(), Some("trunk"));
        assert_eq!(clean.commit.len(), 40);
        assert!(!clean.dirty(), "ignored files do not count");
        std::fs::write(path.join("a"), "2").unwrap();
        std::fs::write(path.join("b"), "new").unwrap();
        let dirty = git_state(path, None).unwrap();
        assert_eq!((dirty.modified, dirty.untracked), (1, 1));
    }

    #[test]
    fn what_is_stored_is_no_difference() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        git(path, &["init", "-q"]);
        git(path, &["commit", "-q", "--allow-empty", "-m", "first"]);
        let (project, store) = (path.join("a/project"), path.join("a/project/kept/store"));
        let put = |file: &str| {
            let file = store.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        };
        put("v1-cpu-1/one.json");
        put("v1-cpu-2/.perfgate-x7");
        let found = || {
            let state = git_state(&project, Some(&store)).unwrap();
            (state.modified, state.untracked)
        };
        assert_eq!(found(), (0, 0), "a folder of which nothing is tracked");
        assert_eq!(git_state(&project, None).unwrap().untracked, 1);
        git(path, &["add", "."]);
        git(path, &["commit", "-qm", "second"]);
        put("v1-cpu-1/two.json");
        let committed =
            ["v1-cpu-1/one.json", "v1-cpu-1/two.json"].map(|f| is_committed(&store.join(f)));
        assert_eq!(committed, [true, false]);
        put("v1-cpu-3/three.json");
        std::fs::remove_file(store.join("v1-cpu-1/one.json")).unwrap();
        assert_eq!(found(), (0, 0), "a pruned file, a new one, a new class");
        put("v1-cpu-3/tasks.jsonl");
        put("notes");
        put("more/v1-cpu-3/three.json");
        assert_eq!(found(), (0, 3), "other files beside them count");
        let state = git_state(&project, Some(&path.join("nowhere"))).unwrap();
        assert_eq!((state.modified, state.untracked > 0), (1, true));
    }

    #[test]
    fn outside_of_a_repository_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let why = git_state(folder.path(), None).unwrap_err();
        assert!(why.contains("could not find repository"), "{why}");
    }
}
