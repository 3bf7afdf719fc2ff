//! Owns the files of logits between workers and perfgate: where they lie, that they go, and the comparison of
//! two of them position by position.

use crate::engine::Forced;
use crate::problem::{Problem, Result};
use crate::stats;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// A folder of such files, tens of megabytes each, that is gone with its owner.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder anew, without what a killed session left there.
    pub(super) fn make(path: &Path) -> Result<Folder> {
        let problem = |error: io::Error| Problem::io(path, "make the folder for logits", &error);
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(problem(error)),
            _ => {}
        }
        std::fs::create_dir_all(path).map_err(problem)?;
        Ok(Folder(std::path::absolute(path).map_err(problem)?))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now is by the next pass.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How the predictions of two variants differ over the counted positions of a document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Compared {
    /// KL(reference || variant) by position, nats.
    pub(super) kl: Vec<f32>,
    /// Positions with the same most probable token.
    pub(super) agree: u32,
    /// Sum of the variant's negative log likelihoods of the true next tokens, nats.
    pub(super) nll: f64,
    /// The reference's.
    pub(super) reference_nll: f64,
}

/// Compares two files of logits; `next` are the true next tokens, one for each position.
pub(super) fn compare(
    [reference, candidate]: [&Path; 2],
    forced: Forced,
    next: &[u32],
    skip: usize,
) -> Result<Compared> {
    let mut rows = [Rows::open(reference, forced)?, Rows::open(candidate, forced)?];
    let mut compared = Compared::default();
    for (position, next) in next.iter().enumerate() {
        let [a, b] = &mut rows;
        let (a, b) = (a.next()?, b.next()?);
        if position < skip {
            continue;
        }
        let found = stats::divergence(a, b, *next as usize);
        compared.kl.push(found.kl as f32);
        compared.agree += u32::from(found.agrees);
        compared.nll += found.nll;
        compared.reference_nll += found.reference_nll;
    }
    Ok(compared)
}

/// The rows of a file, one after the other.
struct Rows<'a> {
    path: &'a Path,
    file: BufReader<File>,
    bytes: Vec<u8>,
    row: Vec<f32>,
}

impl Rows<'_> {
    fn open(path: &Path, forced: Forced) -> Result<Rows<'_>> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let bytes = vec![0; forced.vocabulary * size_of::<f32>()];
        Ok(Rows { path, file: BufReader::new(file), bytes, row: vec![0.0; forced.vocabulary] })
    }

    fn next(&mut self) -> Result<&[f32]> {
        self.file.read_exact(&mut self.bytes).map_err(|error| unreadable(self.path, &error))?;
        let (numbers, _) = self.bytes.as_chunks();
        for (place, bytes) in self.row.iter_mut().zip(numbers) {
            *place = f32::from_le_bytes(*bytes);
        }
        Ok(&self.row)
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::io(path, "read the logits that a worker wrote", error)
}
