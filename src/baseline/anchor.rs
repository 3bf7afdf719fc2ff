//! Owns what rules against a baseline are held against: the stored sessions as they are, and as they were at
//! the commits that rules are anchored to.

use super::store::{Stored, load, order, parse_stored};
use crate::config::{Config, Thresholds};
use crate::git::{FETCH, Id, Repo};
use crate::problem::{Problem, Result};
use crate::record::Rule;
use std::collections::BTreeMap;
use std::path::Path;

/// The stored sessions, oldest first, and those of anchors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stores {
    /// Those that are in force.
    pub sessions: Vec<Stored>,
    /// Those of each anchor, by its name.
    pub anchored: BTreeMap<String, Anchored>,
}

/// The stored sessions of a commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Anchored {
    /// The commit's id.
    pub commit: String,
    /// The sessions, oldest first.
    pub sessions: Vec<Stored>,
}

impl From<Vec<Stored>> for Stores {
    fn from(sessions: Vec<Stored>) -> Stores {
        Stores { sessions, anchored: BTreeMap::new() }
    }
}

impl Stores {
    /// The sessions of the store's folder, and those of the commits that rules name.
    ///
    /// # Errors
    /// If a file is no stored session, or a commit is not here: with the rule's line.
    pub fn load(config: &Config, thresholds: Option<&Thresholds>) -> Result<Stores> {
        let sessions = newest(load(&config.baselines.folder)?, config.baselines.keep);
        Stores::from(sessions).with_anchors(config, thresholds)
    }

    /// The same with the sessions of the commits that rules name.
    ///
    /// # Errors
    /// If a commit is not here, or holds what is no stored session.
    pub fn with_anchors(
        mut self,
        config: &Config,
        thresholds: Option<&Thresholds>,
    ) -> Result<Stores> {
        let Some(thresholds) = thresholds else { return Ok(self) };
        for rule in &thresholds.rules {
            let Some(anchor) = rule.against.anchor() else { continue };
            if !self.anchored.contains_key(anchor) {
                let found = anchored(config, anchor)
                    .map_err(|problem| at_rule(problem, rule, anchor, &thresholds.file))?;
                self.anchored.insert(anchor.to_string(), found);
            }
        }
        Ok(self)
    }

    /// What a rule is held against.
    pub fn of(&self, anchor: Option<&str>) -> &[Stored] {
        match anchor {
            None => &self.sessions,
            Some(anchor) => self.anchored.get(anchor).map_or(&[], |found| &found.sessions),
        }
    }
}

/// The newest so many of each machine class, of sessions that stand oldest first: a folder may hold more than
/// are held against, until somebody prunes it.
fn newest(mut sessions: Vec<Stored>, keep: u32) -> Vec<Stored> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    sessions.reverse();
    sessions.retain(|stored| {
        let count = seen.entry(stored.machine.key()).or_default();
        *count += 1;
        *count <= keep
    });
    sessions.reverse();
    sessions
}

/// The sessions that were stored at a commit.
fn anchored(config: &Config, anchor: &str) -> Result<Anchored> {
    let repo = Repo::find(&config.folder)?;
    let commit = repo.resolve(anchor).map_err(|problem| {
        // Tags are what clones lack most often.
        problem.help(format!(
            "see that the name is right; tags come with `git fetch --tags`. Or {FETCH}"
        ))
    })?;
    let store = &config.baselines;
    let folder = store.elsewhere.as_ref().unwrap_or(&store.folder);
    let sessions = newest(load_at(&repo, commit, folder)?, store.keep);
    Ok(Anchored { commit: commit.to_string(), sessions })
}

/// The sessions that a store's folder held at a commit, oldest first.
///
/// # Errors
/// If the folder lies outside of the repository, or a file is no stored session.
pub fn load_at(repo: &Repo, commit: Id, store: &Path) -> Result<Vec<Stored>> {
    let folder = repo.inside(store)?;
    let files = repo.list_if(commit, &folder, &|path| is_session(&folder, path))?;
    let mut sessions = files
        .iter()
        .map(|file| parse_stored(&file.path, &String::from_utf8_lossy(&file.bytes)))
        .collect::<Result<Vec<_>>>()?;
    sessions.sort_by(|a, b| order(a).cmp(&order(b)));
    Ok(sessions)
}

/// Whether a path is that of a session: `CLASS/SESSION.json` in the store.
pub(super) fn is_session(store: &Path, path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
        && path.strip_prefix(store).is_ok_and(|inner| inner.components().count() == 2)
}

/// A problem with an anchor, told at the rule that names it.
fn at_rule(problem: Problem, rule: &Rule, anchor: &str, file: &Path) -> Problem {
    let place = problem.file.map_or(String::new(), |file| format!("{file}: "));
    let what = format!("rule '{}' is anchored to '{anchor}': {place}{}", rule.id, problem.what);
    let told = Problem::in_file(file, what).at(rule.line, 1);
    match problem.help {
        Some(help) => told.help(help),
        None => told,
    }
}
