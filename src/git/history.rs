//! Owns the history of a folder: every version that its files ever had, and the commits that brought them.

use super::{Id, Repo};
use crate::problem::Result;
use git2::{ObjectType, Sort, Tree};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// A version of a file, with the first commit that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The commit.
    pub commit: Id,
    /// The file's path from the repository's top.
    pub path: PathBuf,
    /// The id of its content.
    pub content: Id,
}

impl Repo {
    /// Every version that a file of a folder, or of folders in it, has in HEAD's history. A commit stands
    /// after all its ancestors.
    ///
    /// # Errors
    /// If there is no commit, or history cannot be read.
    pub fn versions(&self, folder: &Path) -> Result<Vec<Version>> {
        let broken = |error: git2::Error| self.broken(&error);
        let mut walk = self.repository.revwalk().map_err(broken)?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME | Sort::REVERSE).map_err(broken)?;
        walk.push(self.head()?).map_err(broken)?;
        let mut gathering = Gathering { repo: self, seen: HashSet::new(), found: Vec::new() };
        for commit in walk {
            let commit = commit.map_err(broken)?;
            let tree = self.tree(commit)?;
            let entry = self.entry(&tree, folder)?;
            if let Some(entry) = entry.filter(|e| e.kind() == Some(ObjectType::Tree)) {
                gathering.enter(commit, folder.to_path_buf(), entry.id())?;
            }
        }
        Ok(gathering.found)
    }

    /// The content of a version.
    ///
    /// # Errors
    /// If it is not here.
    pub fn content(&self, version: &Version) -> Result<Vec<u8>> {
        self.blob(version.content)
    }
}

/// What a walk has come across.
struct Gathering<'a> {
    repo: &'a Repo,
    /// Files and folders by path and id: what is the same again needs no second look.
    seen: HashSet<(PathBuf, Id)>,
    found: Vec<Version>,
}

impl Gathering<'_> {
    fn enter(&mut self, commit: Id, folder: PathBuf, id: Id) -> Result<()> {
        if !self.seen.insert((folder.clone(), id)) {
            return Ok(());
        }
        let tree: Tree<'_> = self.repo.find_tree(id)?;
        for entry in &tree {
            let Ok(name) = entry.name() else { continue };
            let path = folder.join(name);
            let link = entry.filemode() == i32::from(git2::FileMode::Link);
            match entry.kind() {
                Some(ObjectType::Tree) => self.enter(commit, path, entry.id())?,
                Some(ObjectType::Blob) if !link && self.seen.insert((path.clone(), entry.id())) => {
                    self.found.push(Version { commit, path, content: entry.id() });
                }
                _ => {}
            }
        }
        Ok(())
    }
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

    fn put(folder: &Path, name: &str, text: &str) {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        git(folder, &["add", "--all"]);
        git(folder, &["commit", "-qm", name]);
    }

    #[test]
    fn every_version_is_told_once_with_the_commit_that_brought_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        git(path, &["init", "-q", "-b", "trunk"]);
        let repo = Repo::find(path).unwrap();
        assert!(repo.versions(Path::new("store")).is_err(), "no commit yet");
        put(path, "other", "x");
        assert_eq!(repo.versions(Path::new("store")).unwrap(), []);
        put(path, "store/a/1", "one");
        git(path, &["switch", "-qc", "side"]);
        put(path, "store/a/2", "two");
        let side = repo.head().unwrap();
        git(path, &["switch", "-q", "trunk"]);
        std::fs::remove_file(path.join("store/a/1")).unwrap();
        put(path, "store/b/3", "three");
        put(path, "store/b/3", "another three");
        git(path, &["merge", "-q", "--no-edit", "side"]);
        let versions = repo.versions(Path::new("store")).unwrap();
        let mut told: Vec<(String, String)> = versions
            .iter()
            .map(|version| {
                let text = String::from_utf8(repo.content(version).unwrap()).unwrap();
                (version.path.display().to_string(), text)
            })
            .collect();
        let place = |text: &str| told.iter().position(|(_, content)| content == text).unwrap();
        assert_eq!(place("one"), 0);
        assert!(place("three") < place("another three"));
        assert_eq!(versions[place("two")].commit, side, "not the merge");
        told.sort();
        let paths: Vec<&str> = told.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["store/a/1", "store/a/2", "store/b/3", "store/b/3"]);
    }
}
