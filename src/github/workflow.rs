//! Owns what a step of GitHub Actions tells the page of its run: its summary, its annotations and its outputs.

use crate::problem::{Problem, Result};
use crate::report::Report;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Most bytes of all summaries of one step; what is over is refused whole.
const SUMMARY: u64 = 1024 * 1024;

/// GitHub shows so many annotations of a kind for one step.
const ANNOTATIONS: usize = 10;

/// The files through which a step talks to its job.
#[derive(Debug, Clone)]
pub struct Step {
    summary: PathBuf,
    output: PathBuf,
}

impl Step {
    /// The job that this process runs in.
    ///
    /// # Errors
    /// If it runs in none.
    pub fn of_environment() -> Result<Step> {
        let file = |name: &str| {
            std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from).ok_or_else(
                || {
                    Problem::new(format!(
                        "--github: {name} is not set, so this is no step of GitHub Actions"
                    ))
                    .help("leave --github out; --export markdown=FILE writes the same page")
                },
            )
        };
        Ok(Step { summary: file("GITHUB_STEP_SUMMARY")?, output: file("GITHUB_OUTPUT")? })
    }

    /// Appends a page to the step's summary; `page` makes one of so many bytes at most.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn summarize(&self, page: impl Fn(usize) -> String) -> Result<()> {
        let there = std::fs::metadata(&self.summary).map_or(0, |metadata| metadata.len());
        let room = SUMMARY.saturating_sub(there + 2);
        let text = page(room as usize);
        if text.len() as u64 > room {
            return Ok(());
        }
        append(&self.summary, &format!("{text}\n"))
    }

    /// Sets outputs of the step.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set(&self, outputs: &[(&str, String)]) -> Result<()> {
        let text: String = outputs.iter().map(|(name, value)| output(name, value)).collect();
        append(&self.output, &text)
    }
}

fn append(file: &Path, text: &str) -> Result<()> {
    let write =
        || OpenOptions::new().create(true).append(true).open(file)?.write_all(text.as_bytes());
    write().map_err(|error| Problem::io(file, "append to it", &error))
}

/// An output between two delimiters that its value does not hold.
fn output(name: &str, value: &str) -> String {
    let mut delimiter = "end-of-value".to_string();
    while value.contains(&delimiter) {
        delimiter.push('-');
    }
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

/// An error for each rule that keeps the exit code from being 0, at the place that `place` knows of the rule
/// with an id: a file, as seen from the repository's top, and a line in it.
pub fn annotations(
    report: &Report,
    place: impl Fn(&str) -> Option<(String, usize)>,
) -> Vec<String> {
    let blocking: Vec<_> = report.rules.iter().filter(|rule| rule.blocks).collect();
    let shown = if blocking.len() > ANNOTATIONS { ANNOTATIONS - 1 } else { blocking.len() };
    let mut lines: Vec<String> = blocking[..shown]
        .iter()
        .map(|rule| {
            let title = format!("perfgate: {} {}", rule.id, rule.verdict);
            error(place(&rule.id), &title, &rule.says)
        })
        .collect();
    if let more @ 1.. = blocking.len() - shown {
        lines.push(error(None, "perfgate", &format!("{more} more rules, in the step's summary")));
    }
    lines
}

/// The annotation of a check that could not run; `from_top` names a file as seen from the repository's top.
pub fn annotation_of(problem: &Problem, from_top: impl Fn(&Path) -> String) -> String {
    let file = problem.file.as_ref().map(|file| from_top(Path::new(file)));
    let place = file.zip(problem.position.map(|(line, _)| line));
    let help = problem.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
    let text = crate::report::harmless(&format!("{}{help}", problem.what));
    error(place, "perfgate could not run", &text)
}

/// A workflow command.
fn error(place: Option<(String, usize)>, title: &str, message: &str) -> String {
    let place = place.map(|(file, line)| format!("file={},line={line},", property(&file)));
    format!("::error {}title={}::{}", place.unwrap_or_default(), property(title), data(message))
}

/// The text of a command on one line.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command, which ends at a comma or a colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Severity, VerdictKind};
    use crate::report::Judged;

    fn report(count: usize, id: &str) -> Report {
        let judged = |index: usize| Judged {
            id: format!("{id}{index}"),
            line: index,
            variant: "int8".to_string(),
            group: "int8 against fp16".to_string(),
            severity: Severity::Gate,
            verdict: VerdictKind::Regressed,
            blocks: true,
            says: "20% slower\n::error::x".to_string(),
            by_round: None,
        };
        Report { rules: (0..count).map(judged).collect(), ..Report::default() }
    }

    #[test]
    fn an_annotation_is_one_command_whatever_its_texts_hold() {
        let lines = annotations(&report(1, "a,line=9::b%"), |_| Some(("t,1:2.toml".into(), 7)));
        assert_eq!(
            lines,
            [
                "::error file=t%2C1%3A2.toml,line=7,title=perfgate%3A a%2Cline=9%3A%3Ab%250 regressed\
              ::20%25 slower%0A::error::x"
            ]
        );
    }

    #[test]
    fn github_shows_ten_and_the_tenth_names_the_rest() {
        assert_eq!(annotations(&report(10, "r"), |_| None).len(), 10);
        let lines = annotations(&report(12, "r"), |_| None);
        assert_eq!(lines.len(), 10);
        assert!(lines[9].ends_with("::3 more rules, in the step's summary"), "{}", lines[9]);
    }

    #[test]
    fn no_value_ends_its_output() {
        let text = output("headline", "a\nend-of-value\nverdict=holds");
        assert_eq!(
            text,
            "headline<<end-of-value-\na\nend-of-value\nverdict=holds\nend-of-value-\n"
        );
    }

    #[test]
    fn a_summary_fits_what_is_left() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = |name: &str| folder.path().join(name);
        let step = Step { summary: file("summary"), output: file("output") };
        std::fs::write(&step.summary, "x".repeat(SUMMARY as usize - 100)).unwrap();
        step.summarize(|room| "y".repeat(room)).unwrap();
        assert_eq!(std::fs::metadata(&step.summary).unwrap().len(), SUMMARY - 1);
        step.summarize(|_| "too long".to_string()).unwrap();
        assert_eq!(std::fs::metadata(&step.summary).unwrap().len(), SUMMARY - 1);
    }
}
