//! Owns the history of a store: every session that any commit ever held, pruned ones too, and those of the work
//! tree.

use super::anchor::is_session;
use super::store::{Stored, load, order, parse_stored};
use crate::config::Config;
use crate::git::{Repo, Version};
use crate::hash;
use crate::problem::{Problem, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// The sessions of a store over time.
#[derive(Debug)]
pub struct History {
    /// The sessions, oldest first.
    pub sessions: Vec<Accepted>,
    /// Why no commit was looked at, if so: then these are the work tree's alone.
    pub no_commits: Option<Problem>,
    /// Whether the clone lacks the older part of the history.
    pub shallow: bool,
    /// Committed files that could not be read as sessions, and why, a line each.
    pub unreadable: Vec<String>,
}

/// A session with the commit that accepted it.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The session.
    pub stored: Stored,
    /// The first commit that holds it; none of what is not committed yet.
    pub commit: Option<String>,
}

/// Reads every session that was ever stored.
///
/// # Errors
/// If a file of the work tree is no stored session. What commits hold is read as far as it can be.
pub fn history(config: &Config) -> Result<History> {
    let store = &config.baselines.folder;
    let mut history =
        History { sessions: Vec::new(), no_commits: None, shallow: false, unreadable: Vec::new() };
    let mut sessions = match committed(&config.folder, store, &mut history) {
        Ok(sessions) => sessions,
        Err(problem) => {
            history.no_commits = Some(problem);
            BTreeMap::new()
        }
    };
    for stored in load(store)? {
        let commit = sessions.get(&stored.session).and_then(|accepted| accepted.commit.clone());
        sessions.insert(stored.session.clone(), Accepted { stored, commit });
    }
    history.sessions = sessions.into_values().collect();
    history.sessions.sort_by(|a, b| order(&a.stored).cmp(&order(&b.stored)));
    Ok(history)
}

/// The sessions that commits hold, by id: the newest version of each, with the commit that brought the first.
fn committed(
    folder: &Path,
    store: &Path,
    history: &mut History,
) -> Result<BTreeMap<String, Accepted>> {
    let repo = Repo::find(folder)?;
    let store = repo.inside(store)?;
    history.shallow = repo.is_shallow();
    let mut files: BTreeMap<String, Vec<Version>> = BTreeMap::new();
    for version in repo.versions(&store)? {
        if is_session(&store, &version.path) {
            files.entry(version.path.display().to_string()).or_default().push(version);
        }
    }
    let mut sessions = BTreeMap::new();
    for versions in files.values() {
        let (first, newest) = (&versions[0], &versions[versions.len() - 1]);
        let bytes = repo.content(newest)?;
        match parse_stored(&newest.path, &String::from_utf8_lossy(&bytes)) {
            Ok(stored) => {
                let commit = Some(first.commit.to_string());
                sessions.insert(stored.session.clone(), Accepted { stored, commit });
            }
            Err(problem) => {
                let commit = newest.commit.to_string();
                let (commit, path) = (hash::short(&commit, 12), newest.path.display());
                history.unreadable.push(format!("{path} of commit {commit} {}", problem.what));
            }
        }
    }
    Ok(sessions)
}
