//! Owns `perfgate doctor`: from the diagnosis to its printed form and the exit code.

use super::render::{colors, print};
use super::{DoctorArguments, DoctorFormat, exit, own_binary};
use crate::doctor::{self, Diagnosis, Finding, Mark};
use crate::hash;
use crate::problem::Result;
use crate::record::Told;
use crate::report::{Tone, paint, wrap};
use crate::session::{self, Locked};
use crate::worker;
use std::path::Path;

/// Looks at machine and project.
pub(super) fn doctor(arguments: &DoctorArguments) -> Result<u8> {
    if arguments.lock {
        return lock(&arguments.config, &own_binary()?);
    }
    let diagnosis = doctor::examine(Path::new("/"), &arguments.config, &own_binary()?);
    let text = match arguments.format {
        DoctorFormat::Terminal => terminal(&diagnosis, colors()),
        DoctorFormat::Json => {
            let json = serde_json::to_string_pretty(&diagnosis).expect("findings are plain data");
            json + "\n"
        }
    };
    print(&text)?;
    Ok(if diagnosis.problems > 0 { exit::COULD_NOT_RUN } else { 0 })
}

/// Writes what the variants are, and says what became of each.
fn lock(config: &Path, program: &Path) -> Result<u8> {
    let mut text = String::new();
    for locked in session::lock(config, program)? {
        let Locked { variant, before, now, changed_files, files, runtime } = locked;
        let is_new = before.is_none();
        let was = match before {
            Some(before) if before == now => "as before".to_string(),
            Some(before) => format!("was {}", hash::short(&before, 12)),
            None => "new".to_string(),
        };
        text.push_str(&format!("locked  {variant}  {} ({was})\n", hash::short(&now, 12)));
        let were = match changed_files.is_empty() {
            _ if is_new => "new".to_string(),
            true => "as before".to_string(),
            false => format!("other than before: {}", changed_files.join(", ")),
        };
        text.push_str(&format!("        {files} small files ({were})\n"));
        match runtime {
            Some(Told::Available(version)) => {
                text.push_str(&format!("        runtime {version}\n"));
            }
            Some(Told::Unavailable(why)) => {
                text.push_str(&format!("        runtime not locked: {why}\n"));
            }
            None => {}
        }
    }
    if text.is_empty() {
        text.push_str("no variant has a model of files\n");
    }
    print(&text)?;
    Ok(0)
}

/// Asks one OpenVINO runtime in this process, for the process that looks at all of them.
pub(super) fn ask_runtime(library: &Path, spec: Option<&str>) -> Result<u8> {
    print(&format!("{}\n", worker::answer_for_runtime(library, spec)))?;
    Ok(0)
}

/// Text for a terminal of at least 100 columns; `color` for those that show it.
fn terminal(diagnosis: &Diagnosis, color: bool) -> String {
    let findings = diagnosis.sections.iter().flat_map(|section| &section.findings);
    let subjects = findings.map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for section in &diagnosis.sections {
        out.push_str(&paint(section.title, Tone::Title, color));
        out.push('\n');
        for finding in &section.findings {
            line(&mut out, finding, subjects.min(24), color);
        }
        out.push('\n');
    }
    let tone = match (diagnosis.problems, diagnosis.warnings) {
        (0, 0) => Tone::Good,
        (0, _) => Tone::Open,
        _ => Tone::Bad,
    };
    let summary = summary(diagnosis);
    out.push_str(&paint(summary.trim_end(), tone, color));
    out.push('\n');
    out
}

/// A finding, with its remedy below.
fn line(out: &mut String, finding: &Finding, subjects: usize, color: bool) {
    let (word, tone) = match finding.mark {
        Mark::Ok => ("ok", Tone::Good),
        Mark::Warning => ("warning", Tone::Open),
        Mark::Problem => ("problem", Tone::Bad),
    };
    let head = format!("  {word:7}  {:subjects$}  ", finding.subject);
    let indent = " ".repeat(subjects + 13);
    let text = wrap(&flush(&finding.text), &head, &indent);
    out.push_str(&text.replacen(word, &paint(word, tone, color), 1));
    if let Some(remedy) = &finding.remedy {
        // Not under the text: most commands fit into a line so.
        out.push_str(&wrap(&flush(remedy), "           > ", "             "));
    }
}

/// Its lines without the indent that they have in an error's own text.
fn flush(text: &str) -> String {
    text.lines().map(str::trim_start).collect::<Vec<_>>().join("\n")
}

fn summary(diagnosis: &Diagnosis) -> String {
    let number = |number: usize, noun: &str| match number {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    };
    let (problems, warnings) =
        (number(diagnosis.problems, "problem"), number(diagnosis.warnings, "warning"));
    let meaning = if diagnosis.problems > 0 { "cannot run" } else { "can run" };
    format!("{problems}, {warnings}: the gate {meaning} here\n")
}
