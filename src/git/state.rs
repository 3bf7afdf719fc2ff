//! Owns what a work tree is checked out as: its commit, its branch, and what differs from the commit.

use super::open::{self, References};
use super::{Repo, command};
use crate::problem::Result;
use git2::StatusOptions;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How a file of the work tree differs from the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Git knows the file.
    Modified,
    /// Git does not.
    Untracked,
}

/// Whether a folder lies in a repository, in the library's words if it does not; one that cannot be opened is one.
///
/// # Errors
/// If it lies in none.
pub fn look(folder: &Path) -> std::result::Result<(), String> {
    match open::discover(folder) {
        Err(error) if error.code() == git2::ErrorCode::NotFound => Err(error.message().to_string()),
        _ => Ok(()),
    }
}

impl Repo {
    /// The branch that is checked out, if one is.
    pub fn branch(&self) -> Option<String> {
        if self.references == References::Command {
            let name = command::line(&self.folder, &["symbolic-ref", "--quiet", "--short", "HEAD"]);
            return name.ok().filter(|name| !name.is_empty());
        }
        let head = self.repository.head().ok()?;
        if head.is_branch() { head.shorthand().ok().map(str::to_string) } else { None }
    }

    /// What differs from the commit, by path from the repository's top: all of it, with a folder of which nothing is
    /// tracked as one that ends in `/`, or each file below such a folder.
    ///
    /// # Errors
    /// If the work tree cannot be looked through.
    pub fn differences(&self, below: Option<&Path>) -> Result<Vec<(PathBuf, Difference)>> {
        if self.references == References::Command {
            return self.differences_by_command(below);
        }
        let mut options = StatusOptions::new();
        options.include_untracked(true).exclude_submodules(true);
        if let Some(folder) = below {
            options.recurse_untracked_dirs(true).disable_pathspec_match(true).pathspec(folder);
        }
        let found = self.repository.statuses(Some(&mut options));
        let found = found.map_err(|error| self.broken(&error))?;
        let difference = |entry: git2::StatusEntry<'_>| {
            let kind = match entry.status().is_wt_new() {
                true => Difference::Untracked,
                false => Difference::Modified,
            };
            (PathBuf::from(OsStr::from_bytes(entry.path_bytes())), kind)
        };
        Ok(found.iter().map(difference).collect())
    }

    fn differences_by_command(&self, below: Option<&Path>) -> Result<Vec<(PathBuf, Difference)>> {
        let untracked = if below.is_some() { "all" } else { "normal" };
        let untracked = format!("--untracked-files={untracked}");
        let below = below.map(|folder| folder.to_string_lossy().into_owned());
        let mut arguments = vec![
            "--literal-pathspecs",
            "status",
            "--porcelain",
            "-z",
            "--no-renames",
            "--ignore-submodules=all",
            &untracked,
            "--",
        ];
        arguments.extend(below.as_deref());
        let printed = command::git(&self.folder, &arguments, "")
            .map_err(|why| crate::problem::Problem::in_file(&self.folder, format!("git: {why}")))?;
        let line = |line: &[u8]| {
            let (kind, path) = line.split_at_checked(3)?;
            let kind = match kind.starts_with(b"??") {
                true => Difference::Untracked,
                false => Difference::Modified,
            };
            Some((PathBuf::from(OsStr::from_bytes(path)), kind))
        };
        Ok(printed.split(|byte| *byte == 0).filter_map(line).collect())
    }
}
