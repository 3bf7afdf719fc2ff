//! Owns the diagnosis: whether this machine and this project can run the gate, as findings with a
//! remedy beside each that is not fine. It measures nothing and changes nothing.

mod configuration;
mod energy;
mod history;
mod limits;
mod machine;
mod runtimes;

use crate::config::{self, WorkTree};
use crate::problem::Problem;
use crate::protocol::LoadSpec;
use crate::worker;
use limits::Limits;
use serde::Serialize;
use std::path::Path;

/// What a finding means for the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// As it should be.
    Ok,
    /// The gate runs, and something about it is worse than it could be.
    Warning,
    /// The gate cannot run.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it means.
    pub mark: Mark,
    /// What was looked at, in a word or two.
    pub subject: String,
    /// What was found.
    pub text: String,
    /// What to do about it; none if there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Findings that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Its title.
    pub title: &'static str,
    /// What was found, in the order in which it is shown.
    pub findings: Vec<Finding>,
}

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// Findings for which the gate cannot run.
    pub problems: usize,
    /// Findings that it can run with.
    pub warnings: usize,
    /// All findings.
    pub sections: Vec<Section>,
}

impl Finding {
    fn ok(subject: impl Into<String>, text: impl Into<String>) -> Finding {
        Finding { mark: Mark::Ok, subject: subject.into(), text: text.into(), remedy: None }
    }

    fn warning(
        subject: impl Into<String>,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        let remedy = Some(remedy.into());
        Finding { mark: Mark::Warning, remedy, ..Finding::ok(subject, text) }
    }

    fn problem(
        subject: impl Into<String>,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding { mark: Mark::Problem, ..Finding::warning(subject, text, remedy) }
    }

    /// An error that `perfgate check` would end with, in its own words; `otherwise` is the remedy of
    /// one that brings none.
    fn error(subject: impl Into<String>, problem: Problem, otherwise: &str) -> Finding {
        let text = Problem { help: None, ..problem.clone() }.to_string();
        Finding::problem(subject, text, problem.help.unwrap_or_else(|| otherwise.to_string()))
    }
}

impl Diagnosis {
    fn new(sections: Vec<Section>) -> Diagnosis {
        let count = |mark: Mark| {
            sections.iter().flat_map(|section| &section.findings).filter(|f| f.mark == mark).count()
        };
        Diagnosis { problems: count(Mark::Problem), warnings: count(Mark::Warning), sections }
    }
}

/// Looks at the machine below `root`, which is `/` but in tests, and at the project of a
/// `perfgate.toml`.
///
/// `program` is perfgate's own binary, which asks the runtimes in processes of their own.
pub fn examine(root: &Path, file: &Path, program: &Path) -> Diagnosis {
    let limits = Limits::read(root);
    let read = config::read_config(&WorkTree, file);
    let config = read.as_ref().ok();
    let beside = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = beside.unwrap_or(Path::new("."));
    let ask = |library: &Path| worker::ask_runtime(program, library);
    let attempt = |library: &Path, spec: &LoadSpec| worker::try_properties(program, library, spec);
    Diagnosis::new(vec![
        machine::section(root, &limits),
        energy::section(root),
        runtimes::section(config, &file.with_file_name(".perfgate"), &ask, &attempt),
        configuration::section(root, file, &read, &limits),
        history::baselines(config, root),
        history::git(folder, config),
    ])
}

/// A size in the unit that suits it.
fn size(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..0x10_0000 => format!("{:.0} KiB", value / 1024.0),
        0x10_0000..0x4000_0000 => format!("{:.0} MiB", value / f64::from(1 << 20)),
        _ => format!("{:.1} GiB", value / f64::from(1 << 30)),
    }
}

/// A number with its noun, which takes an `s` for more than one.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a made-up file of the system.
    pub(super) fn put(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// The finding about a subject.
    pub(super) fn about<'a>(section: &'a Section, subject: &str) -> &'a Finding {
        section.findings.iter().find(|finding| finding.subject == subject).expect(subject)
    }

    #[test]
    fn marks_are_counted() {
        let findings = vec![
            Finding::ok("a", ""),
            Finding::warning("b", "", "do"),
            Finding::error("c", Problem::new("what").help("do"), ""),
            Finding::error("d", Problem::new("what"), "otherwise"),
        ];
        assert_eq!(findings[2].remedy.as_deref(), Some("do"));
        assert_eq!(findings[3].remedy.as_deref(), Some("otherwise"));
        let diagnosis = Diagnosis::new(vec![Section { title: "t", findings }]);
        assert_eq!((diagnosis.problems, diagnosis.warnings), (2, 1));
    }

    #[test]
    fn sizes_have_the_unit_that_suits_them() {
        assert_eq!(size(48 << 10), "48 KiB");
        assert_eq!(size(480 << 20), "480 MiB");
        assert_eq!(size(3 << 29), "1.5 GiB");
    }
}
