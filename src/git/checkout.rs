//! Owns the files of a commit on the disk, in a folder of their own beside the work tree.

use super::open::References;
use super::{Id, Repo, lfs};
use crate::problem::{Problem, Result};
use git2::build::CheckoutBuilder;
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What stands in a folder once all files of its commit are there.
const DONE: &str = ".perfgate-complete";

/// Puts the files of a commit below `place`, in a folder of the commit's name; what is there is used again.
/// Files that stand for others by Git LFS are filled in from what the clone has fetched.
///
/// # Errors
/// If they cannot be written.
pub fn check_out(repo: &Repo, commit: Id, place: &Path) -> Result<PathBuf> {
    let folder = place.join(&commit.to_string()[..16]);
    clean_up(place);
    let objects = repo.repository.commondir().join("lfs/objects");
    if folder.join(DONE).exists() {
        let now = File::options().write(true).open(folder.join(DONE));
        let _ = now.and_then(|done| done.set_modified(SystemTime::now()));
        // What was not fetched then may be now.
        fill_in(&folder, &objects).map_err(|error| Problem::io(&folder, "write it", &error))?;
        return Ok(folder);
    }
    let io = |doing: &str, error: &std::io::Error| {
        Problem::io(&folder, doing, error).help("make room there, and see that files can be made")
    };
    // Beside it first: two at once, or one that was killed, leave no half.
    std::fs::create_dir_all(place).map_err(|error| io("make it", &error))?;
    let fresh = tempfile::Builder::new()
        .prefix(".checkout-")
        .tempdir_in(place)
        .map_err(|error| io("make it", &error))?;
    let tree = repo.tree(commit)?;
    repo.bring(&contents(repo, &tree)?)?;
    let failed = |why: &str| {
        Problem::in_file(&folder, format!("cannot hold the base's files: {why}"))
            .help("make room there, and see that files can be made")
    };
    match repo.references {
        References::Files => {
            let mut options = CheckoutBuilder::new();
            options.target_dir(fresh.path()).force().update_index(false);
            repo.repository
                .checkout_tree(tree.as_object(), Some(&mut options))
                .map_err(|error| failed(error.message()))?;
        }
        // The library looks at HEAD meanwhile, which it cannot read.
        References::Command => {
            write(repo, &tree, fresh.path())?;
        }
    }
    fill_in(fresh.path(), &objects)
        .and_then(|()| std::fs::write(fresh.path().join(DONE), ""))
        .map_err(|error| io("write it", &error))?;
    let fresh = fresh.keep();
    if std::fs::rename(&fresh, &folder).is_err() {
        // Somebody else was first, or a folder without its mark lies there.
        if !folder.join(DONE).exists() {
            std::fs::remove_dir_all(&folder)
                .and_then(|()| std::fs::rename(&fresh, &folder))
                .map_err(|error| io("write it", &error))?;
        } else {
            let _ = std::fs::remove_dir_all(&fresh);
        }
    }
    Ok(folder)
}

/// Writes the files of a tree as they are stored: what attributes say of line ends is not looked at.
fn write(repo: &Repo, tree: &git2::Tree<'_>, folder: &Path) -> Result<()> {
    for entry in tree {
        let Ok(name) = entry.name() else { continue };
        let place = folder.join(name);
        let written = match (entry.kind(), entry.filemode()) {
            (Some(git2::ObjectType::Tree), _) => {
                let made = std::fs::create_dir(&place);
                if made.is_ok() {
                    write(repo, &repo.find_tree(entry.id())?, &place)?;
                }
                made
            }
            (Some(git2::ObjectType::Blob), 0o120_000) => {
                let target = repo.blob(entry.id())?;
                std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(&target), &place)
            }
            (Some(git2::ObjectType::Blob), mode) => {
                let mut options = File::options();
                options.write(true).create_new(true).mode(if mode & 0o100 == 0 {
                    0o666
                } else {
                    0o777
                });
                let bytes = repo.blob(entry.id())?;
                options.open(&place).and_then(|mut file| file.write_all(&bytes))
            }
            _ => Ok(()),
        };
        written.map_err(|error| {
            Problem::io(&place, "write it", &error)
                .help("make room there, and see that files can be made")
        })?;
    }
    Ok(())
}

/// The ids of all contents of a tree.
fn contents(repo: &Repo, tree: &git2::Tree<'_>) -> Result<Vec<Id>> {
    let mut found = Vec::new();
    for entry in tree {
        match entry.kind() {
            Some(git2::ObjectType::Blob) => found.push(entry.id()),
            Some(git2::ObjectType::Tree) => {
                found.extend(contents(repo, &repo.find_tree(entry.id())?)?);
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Removes what has not been used for a week; what cannot be removed does no harm.
fn clean_up(place: &Path) {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
    for folder in std::fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path())
    {
        let used = std::fs::metadata(folder.join(DONE)).and_then(|done| done.modified());
        if used.is_ok_and(|used| used.elapsed().is_ok_and(|time| time > WEEK)) {
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}

/// Replaces pointers by what they stand for, where the clone has it.
fn fill_in(folder: &Path, objects: &Path) -> std::io::Result<()> {
    if !objects.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fill_in(&entry.path(), objects)?;
        } else if kind.is_file()
            && let Some(sum) = lfs::pointer(&entry.path())
        {
            let object = objects.join(&sum[..2]).join(&sum[2..4]).join(&sum);
            if object.is_file() {
                std::fs::copy(&object, entry.path())?;
            }
        }
    }
    Ok(())
}

/// Makes sure that a file does not lead out of a folder by symbolic links. What is not there leads nowhere.
///
/// # Errors
/// If it does.
pub fn stay_inside(file: &Path, folder: &Path) -> Result<()> {
    let (Ok(real), Ok(folder)) = (file.canonicalize(), folder.canonicalize()) else {
        return Ok(());
    };
    if real.starts_with(&folder) {
        return Ok(());
    }
    let what = format!("leads by a symbolic link to {}, outside of the repository", real.display());
    Err(Problem::in_file(file, what)
        .help("what a pull request is judged by has to be committed: put the file itself there"))
}
