//! Owns telling that a model's files are still those whose sum was taken: what is measured and kept under a sum must be
//! of those bytes.

use crate::hash;
use crate::problem::{Problem, Result};
use crate::protocol::{FileState, KnownModel};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Takes the sum of a model's files, and notes their states from before it is taken.
///
/// # Errors
/// If one cannot be read.
pub fn know(model: &Path, files: &[PathBuf]) -> Result<KnownModel> {
    let files = states(model, files)?;
    let names: Vec<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
    Ok(KnownModel { sha256: hash::of_files(model, &names)?, files })
}

/// Makes sure that the files were not written to since.
///
/// # Errors
/// If one was: it is named.
pub(super) fn still(model: &Path, known: &KnownModel) -> Result<()> {
    let paths: Vec<PathBuf> = known.files.iter().map(|file| file.path.clone()).collect();
    let now = states(model, &paths)?;
    match now.iter().zip(&known.files).find(|(now, then)| now != then) {
        None => Ok(()),
        Some((changed, _)) => Err(Problem::in_file(
            &model.join(&changed.path),
            "was written to since the session took the model's sum: what is measured would not be what is named",
        )
        .help("let nothing write to the models while perfgate runs, and run it again")),
    }
}

fn states(model: &Path, files: &[PathBuf]) -> Result<Vec<FileState>> {
    let state = |path: &PathBuf| {
        let file = model.join(path);
        let found = std::fs::metadata(&file)
            .map_err(|error| Problem::io(&file, "look at the model's file", &error))?;
        let modified =
            found.mtime().saturating_mul(1_000_000_000).saturating_add(found.mtime_nsec());
        Ok(FileState {
            path: path.clone(),
            bytes: found.len(),
            modified_ns: u64::try_from(modified).unwrap_or(0),
            inode: found.ino(),
        })
    };
    files.iter().map(state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_replaced_after_its_sum_was_taken_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("a", "1");
        write("b", "2");
        let known = know(folder.path(), &["a".into(), "b".into()]).unwrap();
        assert_eq!(known.sha256, hash::of_files(folder.path(), &["a".into(), "b".into()]).unwrap());
        still(folder.path(), &known).unwrap();
        // The same length, and another file under the name.
        write("c", "3");
        std::fs::rename(folder.path().join("c"), folder.path().join("b")).unwrap();
        let said = still(folder.path(), &known).unwrap_err().to_string();
        assert!(said.contains("b: was written to since the session took"), "{said}");
    }
}
