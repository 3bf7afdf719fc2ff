//! Owns where configuration is read from: the work tree now, a commit's tree later.

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
            std::io::ErrorKind::NotFound => Problem::in_file(path, "there is no such file"),
            std::io::ErrorKind::InvalidData => {
                Problem::in_file(path, "is not text in UTF-8").help("save it as UTF-8")
            }
            _ => Problem::io(path, "read it", &error),
        })
    }
}
