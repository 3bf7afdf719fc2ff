//! Owns the one error that a user meets: the file, the line, what was wrong and what to do.

use std::fmt;
use std::path::Path;

/// Bad input or a failed step, for a person: where, what and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file at fault, as the user wrote it.
    pub file: Option<String>,
    /// Line and column in it, from 1.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// A result whose error is for a person.
pub type Result<T> = std::result::Result<T, Problem>;

impl Problem {
    /// A problem that lies in no file.
    pub fn new(what: impl Into<String>) -> Problem {
        Problem { file: None, position: None, what: what.into(), help: None }
    }

    /// A problem with a file as a whole.
    pub fn in_file(file: &Path, what: impl Into<String>) -> Problem {
        Problem { file: Some(file.display().to_string()), ..Problem::new(what) }
    }

    /// A file that cannot be read, written or otherwise used.
    pub fn io(file: &Path, doing: &str, error: &std::io::Error) -> Problem {
        Problem::in_file(file, format!("cannot {doing}: {error}"))
    }

    /// A file of JSON that is cut, or something else than `what`.
    pub fn json(file: &Path, what: &str, error: &serde_json::Error) -> Problem {
        let text = error.to_string();
        // The position is the problem's own; serde_json says it at the end of its sentence.
        let why = text.split(" at line ").next().unwrap_or_default();
        Problem::in_file(file, format!("{what}: {why}"))
            .at(error.line().max(1), error.column().max(1))
    }

    /// Adds line and column.
    pub fn at(mut self, line: usize, column: usize) -> Problem {
        self.position = Some((line, column));
        self
    }

    /// Adds the remedy.
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// Says whose problem it is, in front of what is wrong.
    pub fn of(mut self, whose: &str) -> Problem {
        self.what = format!("{whose}: {}", self.what);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            f.write_str(file)?;
            if let Some((line, column)) = self.position {
                write!(f, ":{line}:{column}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.what)?;
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
