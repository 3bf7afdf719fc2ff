//! Owns the reading of a git repository: commits, their files, and which commit a change is judged by.
//! Nothing of the repository is ever changed, but that what a partial clone lacks is fetched.

mod base;
mod checkout;
mod command;
mod history;
mod lfs;
mod line;
mod objects;
mod open;
mod state;

pub use base::{Base, Ci, Named, find_base};
pub use checkout::{check_out, stay_inside};
pub use history::Version;
pub use lfs::pointer;
pub use line::About;
pub use state::{Difference, look};

use crate::problem::{Problem, Result};
use git2::{ErrorCode, ObjectType, Repository, Tree};
use open::References;
use std::path::{Component, Path, PathBuf};

/// The id of a commit.
pub type Id = git2::Oid;

/// What to do about history that a shallow clone lacks.
pub const FETCH: &str = "fetch it: `git fetch --unshallow` (or `git fetch origin BRANCH`); on GitHub, \
     fetch-depth: 0 under `with:` of actions/checkout";

/// A repository with a work tree.
pub struct Repo {
    repository: Repository,
    folder: PathBuf,
    references: References,
}

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its path from the repository's top.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Repo {
    /// The repository whose work tree holds a folder.
    ///
    /// # Errors
    /// If there is none, or it is not to be read.
    pub fn find(folder: &Path) -> Result<Repo> {
        let repository = open::discover(folder).map_err(|error| open::problem(folder, &error))?;
        let Some(top) = repository.workdir() else {
            return Err(Problem::in_file(folder, "lies in a bare repository, which has no files")
                .help("run it in a clone with a work tree"));
        };
        let top = top.canonicalize().map_err(|error| Problem::io(top, "find it", &error))?;
        let references = References::of(&repository);
        Ok(Repo { repository, folder: top, references })
    }

    /// The top of the work tree, without symbolic links in it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// HEAD's commit.
    ///
    /// # Errors
    /// If there is none yet.
    pub fn head(&self) -> Result<Id> {
        let found = match self.references {
            References::Files => {
                let head = self.repository.head().and_then(|head| head.peel_to_commit());
                head.map(|commit| commit.id()).map_err(|error| error.message().to_string())
            }
            References::Command => self.parsed("HEAD"),
        };
        found.map_err(|why| {
            Problem::in_file(&self.folder, format!("has no commit: {why}"))
                .help("make one: `git add .` and `git commit`")
        })
    }

    /// The commit that a branch, a tag or anything else that git understands stands for. A branch that
    /// only the remote `origin` has is found too.
    ///
    /// # Errors
    /// If there is none.
    pub fn resolve(&self, reference: &str) -> Result<Id> {
        let unknown = || format!("git knows no '{reference}' here");
        let find = |text: &str| match self.references {
            References::Files => {
                let found = self.repository.revparse_single(text);
                let commit = found.and_then(|object| object.peel_to_commit());
                commit.map(|commit| commit.id()).map_err(|error| match error.code() {
                    ErrorCode::NotFound => unknown(),
                    _ => format!("'{reference}' is no commit: {}", error.message()),
                })
            }
            References::Command => self.parsed(text).map_err(|_| unknown()),
        };
        let found = find(reference)
            .or_else(|first| find(&format!("refs/remotes/origin/{reference}")).map_err(|_| first));
        found.map_err(|what| {
            let help = match self.is_shallow() {
                true => format!("the clone is shallow; {FETCH}"),
                false => format!(
                    "look at `git branch --all` and `git tag`; what is missing can be fetched: `git \
                     fetch origin {reference}`"
                ),
            };
            Problem::in_file(&self.folder, what).help(help)
        })
    }

    /// The commit that git's own command takes a text for.
    fn parsed(&self, text: &str) -> std::result::Result<Id, String> {
        let commit = format!("{text}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--end-of-options", &commit];
        let id = command::line(&self.folder, &arguments)?;
        Id::from_str(&id).map_err(|error| error.message().to_string())
    }

    /// Whether one commit is another's ancestor, or the same, as far as history is here.
    pub fn is_ancestor(&self, older: Id, newer: Id) -> bool {
        older == newer || self.repository.graph_descendant_of(newer, older).unwrap_or(false)
    }

    /// Whether a commit is here.
    pub fn has(&self, commit: Id) -> bool {
        self.repository.find_commit(commit).is_ok()
    }

    /// Whether the older part of the history is missing.
    pub fn is_shallow(&self) -> bool {
        self.repository.is_shallow()
    }

    /// The parents of a commit.
    pub fn parents(&self, commit: Id) -> Vec<Id> {
        self.repository
            .find_commit(commit)
            .map_or_else(|_| Vec::new(), |c| c.parent_ids().collect())
    }

    /// The best common ancestor of two commits, if there is one in what is here.
    pub fn merge_base(&self, a: Id, b: Id) -> Option<Id> {
        self.repository.merge_base(a, b).ok()
    }

    /// A path from the repository's top, with `.` and `..` resolved; symbolic links are not followed.
    ///
    /// # Errors
    /// If it leads out of the work tree.
    pub fn inside(&self, path: &Path) -> Result<PathBuf> {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let plain = without_detours(&whole);
        // The folder may be reached by another name: `/tmp` for `/private/tmp`, or a symbolic link.
        let real = plain.parent().and_then(|folder| folder.canonicalize().ok());
        let real = real.zip(plain.file_name()).map(|(folder, name)| folder.join(name));
        for candidate in real.iter().chain([&plain]) {
            if let Ok(inner) = candidate.strip_prefix(&self.folder) {
                return Ok(inner.to_path_buf());
            }
        }
        let what = format!("lies outside of the repository {}", self.folder.display());
        Err(Problem::in_file(path, what).help(
            "what a pull request is judged by has to be committed: move it into the repository",
        ))
    }

    /// Reads a file of a commit; nothing if it has none of that path. Symbolic links within the commit are
    /// followed.
    ///
    /// # Errors
    /// If something else lies there, or a link leads out.
    pub fn read(&self, commit: Id, path: &Path) -> Result<Option<Blob>> {
        const MOST_LINKS: usize = 16;
        let tree = self.tree(commit)?;
        let mut path = without_detours(path);
        for _ in 0..MOST_LINKS {
            let Some((at, entry)) = self.deepest(&tree, &path)? else {
                return Ok(None);
            };
            let link = entry.filemode() == i32::from(git2::FileMode::Link);
            match entry.kind() {
                Some(ObjectType::Commit) => {
                    let what =
                        format!("lies in the submodule {}, another repository", at.display());
                    return Err(Problem::in_file(&path, what).help(
                        "what a pull request is judged by has to be in the repository itself",
                    ));
                }
                Some(ObjectType::Blob) if link => path = self.follow(&at, &path, &entry)?,
                Some(ObjectType::Blob) if at == path => {
                    let bytes = self.blob(entry.id())?;
                    return Ok(Some(Blob { path, bytes }));
                }
                _ if at == path => {
                    return Err(Problem::in_file(&path, "is a folder, and a file was expected"));
                }
                _ => return Ok(None),
            }
        }
        Err(Problem::in_file(&path, "is a symbolic link to itself"))
    }

    /// The files of a folder of a commit, those of its folders too; none if there is no such folder.
    ///
    /// # Errors
    /// If the commit cannot be read.
    pub fn list(&self, commit: Id, folder: &Path) -> Result<Vec<Blob>> {
        self.list_if(commit, folder, &|_| true)
    }

    /// Those of them whose path is wanted; the others are not read.
    ///
    /// # Errors
    /// If the commit cannot be read.
    pub fn list_if(
        &self,
        commit: Id,
        folder: &Path,
        wanted: &dyn Fn(&Path) -> bool,
    ) -> Result<Vec<Blob>> {
        let tree = self.tree(commit)?;
        let folder = without_detours(folder);
        let found = match folder.as_os_str().is_empty() {
            true => Some(tree),
            false => {
                let entry = self.entry(&tree, &folder)?;
                let entry = entry.filter(|entry| entry.kind() == Some(ObjectType::Tree));
                entry.map(|entry| self.find_tree(entry.id())).transpose()?
            }
        };
        let mut files = Vec::new();
        if let Some(tree) = found {
            self.gather(&tree, &folder, wanted, &mut files)?;
        }
        // All at once: a partial clone asks its remote for each call.
        self.bring(&files.iter().map(|(_, id)| *id).collect::<Vec<Id>>())?;
        let read = |(path, id)| Ok(Blob { path, bytes: self.blob(id)? });
        files.into_iter().map(read).collect()
    }

    /// Paths and contents' ids of the files of a tree that are wanted.
    fn gather(
        &self,
        tree: &Tree<'_>,
        folder: &Path,
        wanted: &dyn Fn(&Path) -> bool,
        files: &mut Vec<(PathBuf, Id)>,
    ) -> Result<()> {
        for entry in tree {
            let Ok(name) = entry.name() else { continue };
            let path = folder.join(name);
            match entry.kind() {
                Some(ObjectType::Blob)
                    if entry.filemode() != i32::from(git2::FileMode::Link) && wanted(&path) =>
                {
                    files.push((path, entry.id()));
                }
                Some(ObjectType::Tree) => {
                    let inner = self.find_tree(entry.id())?;
                    self.gather(&inner, &path, wanted, files)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a commit has anything at a path, or a symbolic link or a submodule on the way to it.
    ///
    /// # Errors
    /// If the commit cannot be read.
    pub fn holds(&self, commit: Id, path: &Path) -> Result<bool> {
        let tree = self.tree(commit)?;
        Ok(self.deepest(&tree, &without_detours(path))?.is_some())
    }

    /// The path that a path stands for if the symbolic link at its beginning `at` is followed.
    fn follow(&self, at: &Path, path: &Path, entry: &git2::TreeEntry<'_>) -> Result<PathBuf> {
        let target = self.blob(entry.id())?;
        let target = String::from_utf8_lossy(&target).into_owned();
        let rest = path.strip_prefix(at).unwrap_or(Path::new(""));
        let folder = at.parent().unwrap_or(Path::new(""));
        let whole = folder.join(&target).join(rest);
        let out = Path::new(&target).is_absolute() || leads_out(&whole);
        if out {
            let what = format!("is a symbolic link to {target}, outside of the repository");
            return Err(Problem::in_file(at, what).help(
                "what a pull request is judged by has to be committed: put the file itself there",
            ));
        }
        Ok(without_detours(&whole))
    }

    /// The deepest entry along a path, with its own path: the path's end, or what is no folder before it.
    fn deepest(
        &self,
        tree: &Tree<'_>,
        path: &Path,
    ) -> Result<Option<(PathBuf, git2::TreeEntry<'static>)>> {
        let mut at = PathBuf::new();
        let mut tree = tree.clone();
        let mut components = path.components().peekable();
        while let Some(Component::Normal(name)) = components.next() {
            at.push(name);
            let Some(entry) = self.entry(&tree, Path::new(name))? else { return Ok(None) };
            if components.peek().is_none() || entry.kind() != Some(ObjectType::Tree) {
                return Ok(Some((at, entry)));
            }
            tree = self.find_tree(entry.id())?;
        }
        Ok(None)
    }
}

/// A path without `.` and `..`; those that lead above its beginning are dropped.
pub fn without_detours(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

/// Whether a relative path leads above its beginning.
fn leads_out(path: &Path) -> bool {
    let mut depth = 0;
    path.components().any(|component| {
        depth += match component {
            Component::ParentDir => -1,
            Component::Normal(_) => 1,
            _ => 0,
        };
        depth < 0
    })
}
