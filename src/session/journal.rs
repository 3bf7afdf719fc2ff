//! Owns the journal: an append-only file of JSON Lines that holds every sample as it came.

use crate::problem::{Problem, Result};
use crate::record::{Entry, JournalLine};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The open journal of a session.
pub struct Journal {
    path: PathBuf,
    file: File,
    session: String,
    samples: u64,
}

impl Journal {
    /// Creates the journal of a session. An existing file is never touched.
    ///
    /// # Errors
    /// If the folder or the file cannot be made.
    pub fn create(folder: &Path, session: &str) -> Result<Journal> {
        let path = folder.join("journal.jsonl");
        let problem = |error: std::io::Error| {
            Problem::io(&path, "create the journal", &error)
                .help("perfgate saves each sample as it comes; name a writable folder with output = \"FOLDER\" in perfgate.toml")
        };
        std::fs::create_dir_all(folder).map_err(problem)?;
        let file = OpenOptions::new().append(true).create_new(true).open(&path).map_err(problem)?;
        Ok(Journal { path, file, session: session.to_string(), samples: 0 })
    }

    /// Where the journal lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many samples it holds: of requests, of graded tasks and of workers that have ended.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Removes the session's folder, of a session that could not begin.
    pub fn discard(&self) {
        if let Some(folder) = self.path.parent() {
            // What cannot be removed does no harm: it is never read as results.
            let _ = std::fs::remove_dir_all(folder);
            // The folder of all sessions goes too if it is empty, and only then.
            let _ = folder.parent().map(std::fs::remove_dir);
        }
    }

    /// Appends one line with a single write, so that a kill cuts at most the last one.
    ///
    /// # Errors
    /// If it cannot be written, as on a full disk.
    pub fn append(&mut self, entry: &Entry) -> Result<()> {
        let line = JournalLine { session: self.session.clone(), entry: entry.clone() };
        let mut text = serde_json::to_string(&line).expect("a journal line is plain data");
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(|error| {
            Problem::io(&self.path, "write to the journal", &error)
                .help("make room there and run again; the samples up to here are kept")
        })?;
        self.samples +=
            u64::from(matches!(entry, Entry::Request(_) | Entry::Answer(_) | Entry::Worker(_)));
        Ok(())
    }
}
