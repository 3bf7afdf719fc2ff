//! Owns the line of commits from one to another, as a branch went.

use super::{FETCH, Id, Repo};
use crate::hash;
use crate::problem::{Problem, Result};
use git2::Sort;
use std::time::{Duration, UNIX_EPOCH};

/// A commit as people know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its id.
    pub id: Id,
    /// Its day, UTC, `YYYY-MM-DD`.
    pub day: String,
    /// The first line of its message.
    pub subject: String,
}

impl Repo {
    /// The commits after one up to another and with it, oldest first, along first parents where the older one
    /// lies on them: a branch that was merged is one step then.
    ///
    /// # Errors
    /// If the older one is no ancestor of the other.
    pub fn line(&self, from: Id, to: Id) -> Result<Vec<About>> {
        let short = |id: Id| hash::short(&id.to_string(), 12).to_string();
        if from == to || !self.repository.graph_descendant_of(to, from).unwrap_or(false) {
            let what = format!("{} is no ancestor of {}", short(from), short(to));
            let help = match self.is_shallow() {
                true => format!("the clone is shallow; {FETCH}"),
                false => {
                    "name the older commit, which is good, first; `git log` shows the order".into()
                }
            };
            return Err(Problem::in_file(&self.folder, what).help(help));
        }
        let walk = |first_parents: bool| -> std::result::Result<Vec<Id>, git2::Error> {
            let mut walk = self.repository.revwalk()?;
            walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
            if first_parents {
                walk.simplify_first_parent()?;
            }
            walk.push(to)?;
            walk.hide(from)?;
            walk.collect()
        };
        let broken = |error: git2::Error| self.broken(&error);
        let straight = walk(true).map_err(broken)?;
        let first = straight.first().map(|first| self.parents(*first));
        let on_it = first.is_some_and(|parents| parents.first() == Some(&from));
        let ids = if on_it { straight } else { walk(false).map_err(broken)? };
        ids.into_iter().map(|id| self.about(id)).collect()
    }

    /// What people know a commit by.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn about(&self, id: Id) -> Result<About> {
        let commit = self.repository.find_commit(id).map_err(|error| self.broken(&error))?;
        let seconds = u64::try_from(commit.time().seconds()).unwrap_or(0);
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        let day = humantime::format_rfc3339_seconds(time).to_string()[..10].to_string();
        let subject = commit.summary().ok().flatten().unwrap_or_default().to_string();
        Ok(About { id, day, subject })
    }
}
