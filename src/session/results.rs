//! Owns `benchmark_results.json`: made of what sessions measured, judged by rules, written whole or not
//! at all, read with its version checked.

use crate::baseline::{self, Anchored, Stored, Stores};
use crate::config::Setup;
use crate::problem::{Problem, Result};
use crate::record::{Anchor, Header, Judgement, Part, RESULTS_FORMAT, Results};
use crate::verdict::{self, Measured};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// Writes a file under a temporary name and renames it into place, so that a reader sees the old
/// one or the new one and never half.
///
/// # Errors
/// If it cannot be written; what was there before stays.
pub fn write_atomically(path: &Path, content: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".perfgate-").tempfile_in(folder)?;
        file.write_all(content.as_bytes())?;
        // Temporary files are private; a report is to be read by others as any file is.
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| {
        Problem::io(path, "write it", &error)
            .help("make room there and see that files can be made; what was there before is kept")
    })
}

/// Applies the rules, if there are any, to what was measured.
///
/// `earlier` is another run that rules are held against; `stored` the stored sessions, those of anchors too.
pub fn judged(parts: Vec<Part>, setup: &Setup, earlier: &[Part], stored: &Stores) -> Results {
    let (config, thresholds) = (&setup.config, setup.thresholds.as_ref());
    let measured = Measured { parts: &parts, earlier, stored };
    let mut variants = config.names();
    // A file may hold variants that the configuration no longer has.
    for name in parts.iter().flat_map(|part| &part.header.plan.variants) {
        if !variants.contains(name) {
            variants.push(name.clone());
        }
    }
    variants.retain(|name| measured.part_of(name).is_some());
    let false_alarms = thresholds.map_or(0.05, |thresholds| thresholds.false_alarms);
    let summaries = verdict::summarize(&measured, &variants, &config.reference, false_alarms);
    let judgement = thresholds.map(|thresholds| Judgement {
        policies: thresholds.policies,
        false_alarms,
        verdicts: verdict::judge(&thresholds.rules, &measured, false_alarms),
        baseline: ids(&stored.sessions),
        anchors: stored.anchored.iter().map(anchor).collect(),
        earlier: earlier.iter().map(|part| part.header.session.clone()).collect(),
        authority: setup.authority.clone(),
        scenarios: verdict::scenarios(&thresholds.scenarios, &measured),
    });
    Results {
        format: RESULTS_FORMAT,
        reference: config.reference.clone(),
        variants,
        parts,
        summaries,
        judgement,
    }
}

fn ids(sessions: &[Stored]) -> Vec<String> {
    sessions.iter().map(|stored| stored.session.clone()).collect()
}

fn anchor((name, found): (&String, &Anchored)) -> (String, Anchor) {
    let anchor = Anchor { commit: found.commit.clone(), sessions: ids(&found.sessions) };
    (name.clone(), anchor)
}

/// Whether what a session is going to measure can stand beside what others did.
///
/// # Errors
/// If what stays is of another workload or machine class: with what differs.
pub fn fits(existing: &[Part], new: &Header) -> Result<()> {
    let fresh = &new.plan.variants;
    for part in existing {
        let stay: Vec<String> = part
            .header
            .plan
            .variants
            .iter()
            .filter(|name| !fresh.contains(name))
            .cloned()
            .collect();
        let differences = baseline::mismatch(new, &part.header);
        if stay.is_empty() || differences.is_empty() {
            continue;
        }
        let what = format!(
            "{} of session {} cannot stand beside {}: {}",
            stay.join(", "),
            part.header.session,
            fresh.join(", "),
            differences.join("; ")
        );
        return Err(Problem::new(what).help(
            "measure all variants anew (`perfgate run` without a name), or write to another file \
             with --output FILE",
        ));
    }
    Ok(())
}

/// Puts what a session measured beside what others did: its variants replace their older parts, those
/// of the other variants stay as they are.
///
/// # Errors
/// If it does not fit.
pub fn add_part(existing: Vec<Part>, new: Part) -> Result<Vec<Part>> {
    fits(&existing, &new.header)?;
    let mut parts = remaining(existing, &new.header.plan.variants);
    parts.push(new);
    Ok(parts)
}

/// The parts without some variants.
fn remaining(parts: Vec<Part>, without: &[String]) -> Vec<Part> {
    let strip = |mut part: Part| {
        let stays = |name: &String| !without.contains(name);
        part.header.variants.retain(|name, _| stays(name));
        let plan = &mut part.header.plan;
        plan.variants.retain(stays);
        if let Some(quality) = &mut plan.quality {
            quality.variants.retain(stays);
        }
        if let Some(fidelity) = &mut plan.fidelity {
            fidelity.variants.retain(stays);
        }
        if let Some(load) = &mut plan.load {
            load.keep(stays);
        }
        for round in &mut part.rounds {
            round.workers.retain(|worker| stays(&worker.variant));
            round.requests.retain(|request| stays(&request.variant));
        }
        part.answers.retain(|answer| stays(&answer.variant));
        part.repeats.retain(|repeat| stays(&repeat.variant));
        part.engines.retain(|name, _| stays(name));
        part.work.retain(|name, _| stays(name));
        part.load.retain(|load| stays(&load.variant));
        // Another reference may be what took this one's place.
        part.fidelity.retain(|one| stays(&one.variant) && stays(&one.reference));
        part
    };
    parts.into_iter().map(strip).filter(|part| !part.header.variants.is_empty()).collect()
}

/// Reads results, of this version or the one before.
///
/// # Errors
/// If the file is missing, cut, of another version, or no results.
pub fn read_results(path: &Path) -> Result<Results> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Problem::io(path, "read it", &error)
            .help("run `perfgate check` first, or name a file of results")
    })?;
    parse_results(path, &text)
}

/// Reads the text of results, of this version or the one before. `path` is for complaints.
///
/// # Errors
/// If it is cut, of another version, or no results.
pub fn parse_results(path: &Path, text: &str) -> Result<Results> {
    let help = "name a file that `perfgate check` of this version wrote, or run it again";
    if text.trim().is_empty() {
        return Err(Problem::in_file(path, "is empty").help(help));
    }
    let broken = |error: serde_json::Error| {
        Problem::json(path, "is no benchmark_results.json, or is cut short", &error).help(help)
    };
    // As this version writes it: files of a hundred megabytes are worth not being read twice.
    if text.starts_with(&format!("{{\"format\":{RESULTS_FORMAT},")) {
        return serde_json::from_str(text).map_err(broken);
    }
    let json: Value = serde_json::from_str(text).map_err(broken)?;
    let previous = u64::from(RESULTS_FORMAT) - 1;
    match json["format"].as_u64() {
        Some(version) if version == u64::from(RESULTS_FORMAT) => {
            serde_json::from_str(text).map_err(broken)
        }
        Some(version) if version == previous => {
            serde_json::from_value(of_format_1(json)).map_err(broken)
        }
        Some(version) => {
            let what = format!(
                "is of format {version}, and this perfgate reads {previous} and {RESULTS_FORMAT}"
            );
            Err(Problem::in_file(path, what).help(help))
        }
        None => {
            let what = "is no benchmark_results.json: no 'format'";
            Err(Problem::in_file(path, what).help(help))
        }
    }
}

/// Format 1 had one session, always judged, and its fields at the top.
fn of_format_1(mut old: Value) -> Value {
    let mut take = |key: &str| old.get_mut(key).map_or(Value::Null, Value::take);
    let list = |value: Value| if value.is_null() { json!([]) } else { value };
    let header = take("header");
    json!({
        "format": RESULTS_FORMAT,
        "reference": header["plan"]["reference"],
        "variants": header["plan"]["variants"],
        "summaries": take("summaries"),
        "judgement": {
            "policies": take("policies"),
            "false_alarms": take("false_alarms"),
            "verdicts": take("verdicts"),
            "baseline": list(take("baseline")),
        },
        "parts": [{
            "ended": take("ended"),
            "rounds": take("rounds"),
            "answers": list(take("answers")),
            "header": header,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/results.json");
        write_atomically(&path, "one").unwrap();
        write_atomically(&path, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        let left = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "nothing temporary stays behind");
        assert!(write_atomically(Path::new("/proc/no/such"), "x").is_err());
    }

    #[test]
    fn what_is_no_result_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.json");
        for (text, expected) in [
            ("{\"format\": 99}", "is of format 99, and this perfgate reads 1 and 2"),
            ("{\"format\": 2, ", "r.json:1:14: is no benchmark_results.json, or is cut short: EOF"),
            ("{}", "no 'format'"),
            ("{\"format\": 2}", "missing field"),
            ("{\"format\": 1}", "is no benchmark_results.json, or is cut short"),
        ] {
            std::fs::write(&path, text).unwrap();
            let problem = read_results(&path).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn a_file_of_the_previous_format_reads_as_one_part() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/results-v1.json"));
        let results = read_results(path).unwrap();
        assert_eq!((results.format, results.parts.len()), (RESULTS_FORMAT, 1));
        assert_eq!(results.variants, ["base", "other"]);
        assert_eq!(results.parts[0].complete().len(), 2);
        assert_eq!(results.judgement.unwrap().verdicts.len(), 2);
    }
}
