//! Owns SHA-256 sums as lower-case hexadecimal text: of bytes, of files, of a model's files.

use crate::problem::{Problem, Result};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// SHA-256 of bytes.
pub fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a file's content.
///
/// # Errors
/// If it cannot be read.
pub fn of_file(path: &Path) -> Result<String> {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0u8; 1 << 20];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(hex(&hasher.finalize()));
            }
            hasher.update(&buffer[..read]);
        }
    };
    read().map_err(|error| Problem::io(path, "read it", &error))
}

/// SHA-256 over the names and sums of several files of a folder, in the order of their names, so
/// that renaming and swapping count as changes.
///
/// # Errors
/// If one cannot be read.
pub fn of_files(folder: &Path, names: &[PathBuf]) -> Result<String> {
    let mut names = names.to_vec();
    names.sort();
    let mut text = String::new();
    for name in &names {
        let sum = of_file(&folder.join(name))?;
        writeln!(text, "{sum}  {}", name.display()).expect("writing to a string");
    }
    Ok(of_bytes(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
}

/// The first characters of a sum or a commit's id that comes from a file, and may be any text.
pub fn short(sum: &str, length: usize) -> &str {
    sum.char_indices().nth(length).map_or(sum, |(end, _)| &sum[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_published_vector() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            of_bytes(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_renamed_file_changes_the_sum_of_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            std::fs::write(folder.path().join(name), "same").unwrap();
        }
        let a = of_files(folder.path(), &["a".into()]).unwrap();
        let b = of_files(folder.path(), &["b".into()]).unwrap();
        assert_ne!(a, b);
    }
}
