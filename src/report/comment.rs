//! Owns the text of the comment under a pull request: what a reviewer has to do, in the order of reading,
//! within GitHub's limit.

use super::{MARKDOWN, Report, Style};
use crate::verdict::Outcome;
use serde::{Deserialize, Serialize};

/// Most characters that GitHub takes in a comment.
pub const MOST: usize = 65_536;

/// What a comment says of a run, kept in it for the next one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What the run came to; nothing if it could not run.
    pub outcome: Option<Outcome>,
    /// Ids of the gating rules that are broken.
    #[serde(default)]
    pub broken: Vec<String>,
    /// The commit that was measured.
    #[serde(default)]
    pub commit: Option<String>,
}

/// What stands around the report in a comment.
#[derive(Debug, Clone, Default)]
pub struct Around<'a> {
    /// What the comment said before.
    pub before: Option<&'a Told>,
    /// The commit that was measured.
    pub commit: Option<&'a str>,
    /// The address of the full report.
    pub link: Option<&'a str>,
    /// Most bytes.
    pub most: usize,
}

/// The comment on a run.
pub fn comment(report: &Report, _around: &Around<'_>) -> String {
    (MARKDOWN.render)(report, Style::default())
}

/// The comment on a run that came to no report.
pub fn comment_on_problem(problem: &str, _around: &Around<'_>) -> String {
    problem.to_string()
}

/// What a comment on this report tells.
pub fn told(report: &Report, commit: Option<&str>) -> Told {
    Told { outcome: report.outcome, broken: Vec::new(), commit: commit.map(str::to_string) }
}
