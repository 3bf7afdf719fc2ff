//! Owns where configuration is read from: the work tree, or the tree of a commit.

use crate::git::{Id, Repo};
use crate::problem::{Problem, Result};
use std::path::Path;

/// A place that holds configuration files.
pub trait Source {
    /// Reads a text file.
    ///
    /// # Errors
    /// If it is not there, not readable or not UTF-8.
    fn read(&self, path: &Path) -> Result<String>;
}

/// The files as they lie on disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct WorkTree;

impl Source for WorkTree {
    fn read(&self, path: &Path) -> Result<String> {
        std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => missing(path),
            std::io::ErrorKind::InvalidData => {
                Problem::in_file(path, "is not text in UTF-8").help("save it as UTF-8")
            }
            _ => Problem::io(path, "read it", &error),
        })
    }
}

/// A file that is not there; one whose name differs in its case alone is named.
fn missing(path: &Path) -> Problem {
    let problem = Problem::in_file(path, "there is no such file");
    let lower = |name: &std::ffi::OsStr| name.to_string_lossy().to_lowercase();
    let (Some(folder), Some(wanted)) = (path.parent(), path.file_name().map(lower)) else {
        return problem;
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let near = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .find(|entry| lower(&entry.file_name()) == wanted);
    match near {
        Some(entry) => problem.help(format!(
            "there is '{}': case matters, so rename it, or name it on the command line",
            entry.file_name().to_string_lossy()
        )),
        None => problem,
    }
}

/// The files of a commit, under the names that they have in the work tree.
#[derive(Clone, Copy)]
pub struct CommitTree<'a> {
    /// The repository.
    pub repo: &'a Repo,
    /// The commit.
    pub commit: Id,
}

impl Source for CommitTree<'_> {
    fn read(&self, path: &Path) -> Result<String> {
        let inner = self.repo.inside(path)?;
        let Some(blob) = self.repo.read(self.commit, &inner)? else {
            let what = format!("is not in commit {}", &self.commit.to_string()[..12]);
            return Err(Problem::in_file(&inner, what));
        };
        String::from_utf8(blob.bytes)
            .map_err(|_| Problem::in_file(path, "is not text in UTF-8").help("save it as UTF-8"))
    }
}
