//! Owns where a run comes from: perfgate's version, the commit and whether the work tree differs.

use crate::config::Setup;
use crate::record::{GitState, Provenance};
use git2::{Repository, StatusOptions};
use std::path::Path;

/// The provenance of a run with this set-up.
pub fn provenance(setup: &Setup) -> Provenance {
    let (git, git_unavailable) = match git_state(&setup.config.folder) {
        Ok(state) => (Some(state), None),
        Err(why) => (None, Some(why)),
    };
    Provenance {
        perfgate: env!("CARGO_PKG_VERSION").to_string(),
        git,
        git_unavailable,
        config_sha256: setup.config_sha256.clone(),
        thresholds_sha256: setup.thresholds_sha256.clone(),
    }
}

/// The state of the repository that holds a folder, or why there is none.
///
/// # Errors
/// If there is no repository or no commit, in git's words.
pub fn git_state(folder: &Path) -> Result<GitState, String> {
    let why = |error: git2::Error| error.message().to_string();
    let repository = Repository::discover(folder).map_err(why)?;
    let head = repository.head().map_err(why)?;
    let commit = head.peel_to_commit().map_err(why)?.id().to_string();
    let branch = if head.is_branch() { head.shorthand().ok().map(str::to_string) } else { None };
    let mut options = StatusOptions::new();
    options.include_untracked(true).exclude_submodules(true);
    let statuses = repository.statuses(Some(&mut options)).map_err(why)?;
    let untracked = statuses.iter().filter(|s| s.status().is_wt_new()).count();
    Ok(GitState { commit, branch, modified: statuses.len() - untracked, untracked })
}

/// Whether the repository that holds a folder lacks the older part of its history.
pub fn is_shallow(folder: &Path) -> bool {
    Repository::discover(folder).is_ok_and(|repository| repository.is_shallow())
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
        assert!(git_state(path).is_err(), "no commit yet");
        std::fs::write(path.join("a"), "1").unwrap();
        std::fs::write(path.join(".gitignore"), "ignored\n").unwrap();
        git(path, &["add", "."]);
        git(path, &["commit", "-qm", "first"]);
        std::fs::write(path.join("ignored"), "x").unwrap();
        let clean = git_state(path).unwrap();
        assert_eq!(clean.branch.as_deref(), Some("trunk"));
        assert_eq!(clean.commit.len(), 40);
        assert!(!clean.dirty(), "ignored files do not count");
        std::fs::write(path.join("a"), "2").unwrap();
        std::fs::write(path.join("b"), "new").unwrap();
        let dirty = git_state(path).unwrap();
        assert_eq!((dirty.modified, dirty.untracked), (1, 1));
    }

    #[test]
    fn outside_of_a_repository_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let why = git_state(folder.path()).unwrap_err();
        assert!(why.contains("could not find repository"), "{why}");
    }
}
