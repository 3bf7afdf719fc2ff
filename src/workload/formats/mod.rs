//! Owns the formats in which graded tasks are read: perfgate's own, and those of others, which are
//! turned into it.

mod bfcl;
mod multiple_choice;

use super::graded::{GradedTask, parse_graded};
use crate::problem::{Problem, Result};
use serde::Deserialize;
use std::path::Path;

/// How a file of graded tasks is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// One task a line, with its grader: `docs/tasks.md`.
    #[default]
    Perfgate,
    /// Questions of the Berkeley Function-Calling Leaderboard, with a second file of answers.
    Bfcl,
    /// Questions with choices, as ARC, HellaSwag and others are published.
    MultipleChoice,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 3] = [Format::Perfgate, Format::Bfcl, Format::MultipleChoice];

    /// The word for it in a configuration.
    pub fn id(self) -> &'static str {
        match self {
            Format::Perfgate => "perfgate",
            Format::Bfcl => "bfcl",
            Format::MultipleChoice => "multiple-choice",
        }
    }
}

/// Reads graded tasks from the text of a file in JSON Lines, and of a second file where the format
/// keeps the right answers apart.
///
/// # Errors
/// If a line is no task of the format, an answer is missing, or a second file has no use.
pub fn read_tasks(
    format: Format,
    file: &Path,
    text: &str,
    answers: Option<(&Path, &str)>,
) -> Result<Vec<GradedTask>> {
    if let (Some((unused, _)), Format::Perfgate | Format::MultipleChoice) = (answers, format) {
        let what = format!("tasks of the format {:?} hold their own answers", format.id());
        return Err(Problem::in_file(unused, what).help("leave the file of answers away"));
    }
    match format {
        Format::Perfgate => parse_graded(file, text),
        Format::Bfcl => bfcl::read(file, text, answers),
        Format::MultipleChoice => multiple_choice::read(file, text),
    }
}
