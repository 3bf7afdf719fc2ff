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

    /// What the event says of the target branch; nothing where there is no event.
    ///
    /// # Errors
    /// If the event's file cannot be read.
    fn event(&self) -> Result<Value> {
        let Some(file) = &self.file else { return Ok(Value::Null) };
        let text = std::fs::read_to_string(file)
            .map_err(|error| Problem::io(file, "read the event", &error).help(NAME_BASE))?;
        serde_json::from_str(&text)
            .map_err(|error| Problem::json(file, "is not an event", &error).help(NAME_BASE))
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

/// What a command line says of the base.
#[derive(Debug, Clone, Copy, Default)]
pub struct Named<'a> {
    /// The commit that judges (`--base`). It is heard in a pull request too, if it is on the target branch.
    pub base: Option<&'a str>,
    /// The commit that is measured against (`--against`), which judges where nothing else says what does.
    pub against: Option<&'a str>,
}

/// The commit that a change is judged by: what `--base` names; else, in a pull request, the tip of the target branch,
/// which is the first parent of the pull request's merge commit, if HEAD is that, or what the event tells; else what
/// `--against` names. Nothing where none of them says anything.
///
/// In a merge queue the event's `base_sha` may be another entry of the queue, whose rules are not merged: the tip of the
/// branch `base_ref` counts.
///
/// # Errors
/// If a commit that is named is not here, a pull request has no base, or `--base` names a commit in a pull request that
/// is not of its target branch.
pub fn find_base(repo: &Repo, ci: &Ci, named: Named<'_>) -> Result<Option<Base>> {
    let tip_of = |reference: &str| {
        let commit = repo.resolve(reference)?;
        Ok(Base { commit, how: format!("tip of {reference}") })
    };
    if !ci.is_pull_request() {
        return named.base.or(named.against).map(tip_of).transpose();
    }
    let base = base_of_request(repo, ci, named, &tip_of)?;
    // Whatever named it: a branch of the clone may have been moved onto the change.
    if repo.is_ancestor(repo.head()?, base.commit) {
        let what = format!(
            "the base {} ({}) holds the change itself, which would be judged by its own rules",
            crate::hash::short(&base.commit.to_string(), 12),
            base.how
        );
        return Err(Problem::in_file(repo.folder(), what).help(
            "fetch the target branch as the remote has it (`git fetch origin BRANCH`), or name a commit of it from \
             before the change with --base REF",
        ));
    }
    Ok(Some(base))
}

/// The base in a pull request or a merge queue.
fn base_of_request(
    repo: &Repo,
    ci: &Ci,
    named: Named<'_>,
    tip_of: &dyn Fn(&str) -> Result<Base>,
) -> Result<Base> {
    let target = target(repo, ci);
    if let Some(reference) = named.base {
        let commit = repo.resolve(reference)?;
        return match target {
            Ok(Some(target)) => on_target(repo, reference, commit, target),
            // Nothing else says what the target is, or it is not here: the command line was asked for then.
            Ok(None) | Err(_) => {
                let how = format!(
                    "{reference}, by --base; that it is of the target branch is not checked"
                );
                Ok(Base { commit, how })
            }
        };
    }
    if let Some(target) = target? {
        return Ok(Base { commit: target.tip, how: target.how });
    }
    if let Some(reference) = named.against {
        return tip_of(reference);
    }
    let what = "this is a pull request, and nothing tells what it is to be merged into";
    Err(Problem::new(what).help(format!(
        "{NAME_BASE}; GitHub tells it by GITHUB_EVENT_PATH, or by HEAD being the merge commit (GITHUB_REF \
         refs/pull/N/merge, GITHUB_SHA)"
    )))
}

/// The branch that a pull request is to be merged into.
struct Target {
    /// Its tip, as far as the service says it.
    tip: Id,
    /// How that was found, in words.
    how: String,
    /// Its tip in this clone, which may be later.
    here: Option<Id>,
}

/// The target branch, if anything tells it.
fn target(repo: &Repo, ci: &Ci) -> Result<Option<Target>> {
    let event = ci.event()?;
    let here = event["pull_request"]["base"]["ref"].as_str().and_then(|name| branch(repo, name));
    if let Some(Base { commit, how }) = parent_of_merge(repo, ci)? {
        return Ok(Some(Target { tip: commit, how, here }));
    }
    if let Some(sha) = event["pull_request"]["base"]["sha"].as_str() {
        let how = "base of the pull request's event".to_string();
        return Ok(Some(Target { tip: at(repo, sha)?, how, here }));
    }
    let queue = &event["merge_group"];
    if queue.is_null() {
        return Ok(None);
    }
    let Some(name) = queue["base_ref"].as_str() else {
        let what = "the event of the merge queue names no target branch ('base_ref')";
        return Err(Problem::new(what).help(NAME_BASE));
    };
    let short = short(name);
    let Some(tip) = branch(repo, name) else {
        let what = format!(
            "the target branch {short} of the merge queue is not in this clone, and what the event names as the base \
             may be another entry of the queue"
        );
        return Err(Problem::in_file(repo.folder(), what).help(FETCH));
    };
    let how = format!("tip of {short}, the target branch of the merge queue");
    Ok(Some(Target { tip, how, here: None }))
}

/// A branch's name without what all branches begin with.
fn short(name: &str) -> &str {
    name.strip_prefix("refs/heads/").unwrap_or(name)
}

/// The tip of a branch: the remote's, or where there is none of that name this repository's own.
fn branch(repo: &Repo, name: &str) -> Option<Id> {
    let places =
        [format!("refs/remotes/origin/{}", short(name)), format!("refs/heads/{}", short(name))];
    places.iter().find_map(|place| repo.resolve(place).ok())
}

/// What `--base` names in a pull request, if the target branch has it: what it does not have was not merged, so that a
/// change could be judged by its own rules.
fn on_target(repo: &Repo, reference: &str, commit: Id, target: Target) -> Result<Base> {
    if commit == target.tip {
        return Ok(Base { commit, how: target.how });
    }
    if target.here == Some(commit) && repo.is_ancestor(target.tip, commit) {
        return Ok(Base { commit, how: format!("tip of {reference}, by --base") });
    }
    let tip = target.tip.to_string();
    let tip = crate::hash::short(&tip, 12);
    let tips = [Some(target.tip), target.here];
    if tips.into_iter().flatten().any(|tip| repo.is_ancestor(commit, tip)) {
        let how = format!("{reference}, by --base: older than {tip}, the {}", target.how);
        return Ok(Base { commit, how });
    }
    let what = format!(
        "--base {reference} is not a commit of the target branch, whose tip is {tip} ({})",
        target.how
    );
    Err(Problem::in_file(repo.folder(), what).help(match repo.is_shallow() {
        true => format!("the clone is shallow, so that older commits of the branch are not known; {FETCH}"),
        false => "a change is judged by what is merged: leave --base out, or name the target branch or an older \
                  commit of it; for local work there is --policy-from worktree"
            .to_string(),
    }))
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
fn at(repo: &Repo, sha: &str) -> Result<Id> {
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
