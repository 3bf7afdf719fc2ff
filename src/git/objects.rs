//! Owns the objects of a repository: trees and contents, those that a partial clone left out too, which are fetched by
//! git's own command, as git itself does when it needs them.

use super::{FETCH, Id, Repo, command};
use crate::problem::{Problem, Result};
use git2::{Tree, TreeEntry};
use std::fmt::Write;
use std::path::{Component, Path};

impl Repo {
    /// The tree of a commit.
    pub(super) fn tree(&self, commit: Id) -> Result<Tree<'_>> {
        let found = self.repository.find_commit(commit).map_err(|error| self.broken(&error))?;
        self.find_tree(found.tree_id())
    }

    pub(super) fn find_tree(&self, id: Id) -> Result<Tree<'_>> {
        self.bring(&[id])?;
        self.repository.find_tree(id).map_err(|error| self.broken(&error))
    }

    /// The content of a file.
    pub(super) fn blob(&self, id: Id) -> Result<Vec<u8>> {
        self.bring(&[id])?;
        let blob = self.repository.find_blob(id).map_err(|error| self.broken(&error))?;
        Ok(blob.content().to_vec())
    }

    /// What lies at a path of a tree, if anything does.
    pub(super) fn entry(&self, tree: &Tree<'_>, path: &Path) -> Result<Option<TreeEntry<'static>>> {
        let mut components = path.components().peekable();
        let mut tree = tree.clone();
        while let Some(Component::Normal(name)) = components.next() {
            let Ok(entry) = tree.get_path(Path::new(name)) else { return Ok(None) };
            if components.peek().is_none() {
                return Ok(Some(entry));
            }
            if entry.kind() != Some(git2::ObjectType::Tree) {
                return Ok(None);
            }
            tree = self.find_tree(entry.id())?;
        }
        Ok(None)
    }

    /// Makes sure that objects are here, by fetching those that a partial clone lacks. What is missing in a clone that
    /// promised to be whole is told by whoever reads it.
    pub(super) fn bring(&self, ids: &[Id]) -> Result<()> {
        let objects = self.repository.odb().map_err(|error| self.broken(&error))?;
        let missing: Vec<&Id> = ids.iter().filter(|id| !objects.exists(**id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let Some(remote) = self.promisor() else { return Ok(()) };
        let list = missing.iter().fold(String::new(), |mut list, id| {
            let _ = writeln!(list, "{id}");
            list
        });
        // The options are those by which git fetches them when it needs them.
        let fetched = command::git(
            &self.folder,
            &[
                "-c",
                "fetch.negotiationAlgorithm=noop",
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--recurse-submodules=no",
                "--filter=blob:none",
                "--stdin",
                &remote,
            ],
            &list,
        );
        fetched.map_err(|why| self.left_out(missing.len(), &remote, &why))?;
        objects.refresh().map_err(|error| self.broken(&error))
    }

    /// The remote that has what a partial clone lacks.
    fn promisor(&self) -> Option<String> {
        let config = self.repository.config().ok()?;
        let named = config.get_string("extensions.partialclone").ok();
        named.filter(|name| !name.is_empty()).or_else(|| {
            let remotes = self.repository.remotes().ok()?;
            let names = remotes.iter().filter_map(|name| name.ok().flatten().map(str::to_string));
            let promises = |name: &String| {
                config.get_bool(&format!("remote.{name}.promisor")).unwrap_or(false)
            };
            names.into_iter().find(promises)
        })
    }

    fn left_out(&self, count: usize, remote: &str, why: &str) -> Problem {
        let what = format!(
            "is a partial clone, and git could not fetch what it lacks ({count} objects) from '{remote}': {why}"
        );
        Problem::in_file(&self.folder, what).help(
            "clone without a filter (leave `filter` and `sparse-checkout` of actions/checkout out), or let git reach \
             the remote in this job (`persist-credentials: true` for a private repository)",
        )
    }

    pub(super) fn broken(&self, error: &git2::Error) -> Problem {
        let what = format!("cannot read the repository: {}", error.message());
        Problem::in_file(&self.folder, what).help(FETCH)
    }
}
