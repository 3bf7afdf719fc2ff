//! Owns which commit a change is judged by: the tip of the branch that it is to be merged into.

use super::{FETCH, Id, Repo};
use crate::problem::{Problem, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a continuous integration service says of the run; all of it is missing elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Ci {
    /// `GITHUB_EVENT_NAME`.
    pub event: Option<String>,
    /// `GITHUB_REF`.
    pub reference: Option<String>,
    /// `GITHUB_SHA`.
    pub commit: Option<String>,
    /// `GITHUB_EVENT_PATH`.
    pub file: Option<PathBuf>,
}

impl Ci {
    /// What the environment says.
    pub fn of_environment() -> Ci {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Ci {
            event: text("GITHUB_EVENT_NAME"),
            reference: text("GITHUB_REF"),
            commit: text("GITHUB_SHA"),
            file: text("GITHUB_EVENT_PATH").map(PathBuf::from),
        }
    }

    /// Whether the run is of a change that is not merged yet.
    pub fn is_pull_request(&self) -> bool {
        const EVENTS: [&str; 3] = ["pull_request", "pull_request_target", "merge_group"];
        self.event.as_deref().is_some_and(|event| EVENTS.contains(&event))
            || self.reference.as_deref().is_some_and(is_merge_ref)
    }

    /// The base's commit as the event tells it.
    ///
    /// # Errors
    /// If the event's file cannot be read, or tells no base of a pull request.
    fn base_of_event(&self) -> Result<Option<String>> {
        let Some(file) = &self.file else { return Ok(None) };
        let text = std::fs::read_to_string(file)
            .map_err(|error| Problem::io(file, "read the event", &error).help(NAME_BASE))?;
        let event: Value = serde_json::from_str(&text)
            .map_err(|error| Problem::json(file, "is no event", &error).help(NAME_BASE))?;
        let sha = event["pull_request"]["base"]["sha"].as_str();
        Ok(sha.or(event["merge_group"]["base_sha"].as_str()).map(str::to_string))
    }
}

const NAME_BASE: &str = "name the target branch with --base REF";

/// The commit that a change is judged by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The commit.
    pub commit: Id,
    /// How it was found, in words.
    pub how: String,
}

/// The tip of the branch that a change is to be merged into: the first parent of a pull request's merge
/// commit, if HEAD is that; else the base that the event tells; else `reference`. Nothing where none of
/// them says anything.
///
/// # Errors
/// If a commit that is named is not here, or a pull request has no base.
pub fn find_base(repo: &Repo, ci: &Ci, reference: Option<&str>) -> Result<Option<Base>> {
    if ci.is_pull_request() {
        if let Some(base) = parent_of_merge(repo, ci)? {
            return Ok(Some(base));
        }
        if let Some(sha) = ci.base_of_event()? {
            let commit = named(repo, &sha)?;
            return Ok(Some(Base { commit, how: "base of the pull request's event".to_string() }));
        }
    }
    if let Some(reference) = reference {
        let commit = repo.resolve(reference)?;
        return Ok(Some(Base { commit, how: format!("tip of {reference}") }));
    }
    if ci.is_pull_request() {
        let what = "this is a pull request, and nothing tells what it is to be merged into";
        return Err(Problem::new(what).help(format!(
            "{NAME_BASE}; GitHub tells it by GITHUB_EVENT_PATH, or by HEAD being the merge commit \
             (GITHUB_REF refs/pull/N/merge, GITHUB_SHA)"
        )));
    }
    Ok(None)
}

/// Whether a reference is that of a pull request's merge commit.
fn is_merge_ref(reference: &str) -> bool {
    let number = reference.strip_prefix("refs/pull/").and_then(|rest| rest.strip_suffix("/merge"));
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The base by the merge commit, if HEAD is the one that the service made.
fn parent_of_merge(repo: &Repo, ci: &Ci) -> Result<Option<Base>> {
    let (Some(reference), Some(sha)) = (&ci.reference, &ci.commit) else { return Ok(None) };
    if !is_merge_ref(reference) || repo.head()?.to_string() != *sha {
        return Ok(None);
    }
    match repo.parents(repo.head()?)[..] {
        [first, _, ..] if repo.has(first) => {
            let how = format!("first parent of the merge commit of {reference}");
            Ok(Some(Base { commit: first, how }))
        }
        // One that no merge made is somebody else's HEAD; of a shallow clone the parents are missing.
        [_] => Ok(None),
        _ if repo.is_shallow() => {
            let what = "the clone is shallow: the target branch's commit, by which a pull request \
                        is judged, is not here";
            Err(Problem::in_file(repo.folder(), what).help(FETCH))
        }
        _ => Ok(None),
    }
}

/// A commit by its full id.
fn named(repo: &Repo, sha: &str) -> Result<Id> {
    let id = Id::from_str(sha).map_err(|_| {
        Problem::new(format!("the event names '{sha}' as the base, which is no commit's id"))
            .help(NAME_BASE)
    })?;
    if repo.has(id) {
        return Ok(id);
    }
    let what = format!("the base's commit {} is not in this clone", crate::hash::short(sha, 12));
    Err(Problem::in_file(repo.folder(), what).help(missing_help(repo.folder(), repo.is_shallow())))
}

fn missing_help(folder: &Path, shallow: bool) -> String {
    match shallow {
        true => format!("the clone is shallow; {FETCH}"),
        // A submodule has commits of its own, which no event of the outer repository names.
        false if folder.join(".git").is_file() => format!(
            "{}, a submodule or a linked work tree, has its own commits; name its target branch with \
             --base REF, or {FETCH}",
            folder.display()
        ),
        false => FETCH.to_string(),
    }
}
