//! Owns the formats in which graded tasks are read: perfgate's own, and those of others, which are
//! turned into it.

mod bfcl;
mod multiple_choice;

use super::graded::{GradedTask, parse_graded};
use crate::config::TaskFormat;
use crate::problem::{Problem, Result};
use std::path::Path;

/// Reads graded tasks from the text of a file in JSON Lines, and of a second file where the format
/// keeps the right answers apart.
///
/// # Errors
/// If a line is no task of the format, an answer is missing, or a second file has no use.
pub fn read_tasks(
    format: TaskFormat,
    file: &Path,
    text: &str,
    answers: Option<(&Path, &str)>,
) -> Result<Vec<GradedTask>> {
    if let (Some((unused, _)), TaskFormat::Perfgate | TaskFormat::MultipleChoice) =
        (answers, format)
    {
        let what = format!("tasks of the format {:?} hold their own answers", format.id());
        return Err(Problem::in_file(unused, what).help("leave the file of answers away"));
    }
    match format {
        TaskFormat::Perfgate => parse_graded(file, text),
        TaskFormat::Bfcl => bfcl::read(file, text, answers),
        TaskFormat::MultipleChoice => multiple_choice::read(file, text),
    }
}
