//! Owns reading graded tasks.
use super::{GradedTask, parse_graded};
use crate::config::TaskFormat;
use crate::problem::Result;
use std::path::Path;
pub(super) fn read_tasks(
    _f: TaskFormat,
    file: &Path,
    text: &str,
    _a: Option<(&Path, &str)>,
) -> Result<Vec<GradedTask>> {
    parse_graded(file, text)
}
