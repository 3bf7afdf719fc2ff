//! Owns the files of logits between workers and perfgate, and the comparison of two of them position by position.

use crate::engine::Forced;
use crate::problem::{Problem, Result};
use crate::stats;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// A file of logits, tens of megabytes, that has no name: it is gone with this process, however that ends.
pub(super) struct Logits(File);

impl Logits {
    /// An empty file on the disk of a folder.
    pub(super) fn make(folder: &Path) -> Result<Logits> {
        let problem =
            |error: io::Error| Problem::io(folder, "make a file for logits in it", &error);
        tempfile::tempfile_in(folder).map(Logits).map_err(problem)
    }

    /// By what a worker opens it.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
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
    [reference, candidate]: [&Logits; 2],
    forced: Forced,
    next: &[u32],
    skip: usize,
) -> Result<Compared> {
    let unreadable = |error: io::Error| {
        Problem::new(format!("cannot read the logits that a worker wrote: {error}"))
            .help("see that the disk of the output folder has room, and run again")
    };
    let mut rows = [
        Rows::of(reference, forced).map_err(unreadable)?,
        Rows::of(candidate, forced).map_err(unreadable)?,
    ];
    let mut compared = Compared::default();
    for (position, next) in next.iter().enumerate() {
        let [a, b] = &mut rows;
        let (a, b) = (a.next().map_err(unreadable)?, b.next().map_err(unreadable)?);
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
    file: BufReader<&'a File>,
    bytes: Vec<u8>,
    row: Vec<f32>,
}

impl<'a> Rows<'a> {
    fn of(Logits(file): &'a Logits, forced: Forced) -> io::Result<Rows<'a>> {
        let mut file = file;
        file.rewind()?;
        let bytes = vec![0; forced.vocabulary * size_of::<f32>()];
        Ok(Rows { file: BufReader::new(file), bytes, row: vec![0.0; forced.vocabulary] })
    }

    fn next(&mut self) -> io::Result<&[f32]> {
        self.file.read_exact(&mut self.bytes)?;
        let (numbers, _) = self.bytes.as_chunks();
        for (place, bytes) in self.row.iter_mut().zip(numbers) {
            *place = f32::from_le_bytes(*bytes);
        }
        Ok(&self.row)
    }
}
