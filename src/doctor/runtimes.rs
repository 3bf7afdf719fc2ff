//! Owns the findings about OpenVINO runtimes: all that the search comes by, each asked for its version
//! in a process of its own, and which one each variant gets.

use super::{Finding, Section};
use crate::config::{Config, Variant};
use crate::engine::{self, FoundRuntime};
use crate::problem::Problem;
use crate::protocol::LoadSpec;
use crate::session;
use crate::worker::{Answer, Tried};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Looks for runtimes, for the variants of a configuration or without one.
///
/// `output` is the folder of everything generated where no configuration says otherwise.
pub(super) fn section(
    config: Option<&Config>,
    output: &Path,
    ask: &dyn Fn(&Path) -> Answer,
    attempt: &dyn Fn(&Path, &LoadSpec) -> Tried,
) -> Section {
    let output = config.map_or(output, |config| config.output.as_path());
    let variants: Vec<&Variant> = config
        .iter()
        .flat_map(|config| &config.variants)
        .filter(|variant| variant.load.engine == "openvino")
        .collect();
    let choices: Vec<(&Variant, Result<PathBuf, Problem>)> =
        variants.iter().map(|variant| (*variant, engine::runtime_of(&variant.load))).collect();
    let mut found = engine::all_runtimes(output);
    for library in choices.iter().filter_map(|(_, choice)| choice.as_ref().ok()) {
        if found.iter().all(|other| other.library != *library) {
            let named = FoundRuntime { origin: "a variant's own", library: library.clone() };
            found.insert(0, named);
        }
    }
    let folder = config.map(|config| config.folder.as_path());
    let answers: BTreeMap<&Path, Answer> =
        found.iter().map(|one| (one.library.as_path(), ask(&one.library))).collect();
    let mut findings: Vec<Finding> =
        found.iter().map(|one| of_runtime(one, &answers[one.library.as_path()], folder)).collect();
    if found.is_empty() {
        findings.push(none_found(config, output));
    }
    for (variant, choice) in &choices {
        let answer = choice.as_ref().map(|library| (library, &answers[library.as_path()]));
        findings.push(of_variant(variant, answer, folder));
        if let Ok((library, Ok(_))) = answer {
            findings.extend(in_force(variant, &attempt(library, &variant.load)));
        }
    }
    Section { title: "OpenVINO runtimes", findings }
}

fn none_found(config: Option<&Config>, output: &Path) -> Finding {
    match config {
        Some(_) => Finding::ok("runtimes", "none was found"),
        None => Finding::warning(
            "runtimes",
            "none was found; variants with engine = \"openvino\" need one",
            engine::install_words(output),
        ),
    }
}

fn of_runtime(found: &FoundRuntime, answer: &Answer, folder: Option<&Path>) -> Finding {
    match answer {
        Ok(runtime) => {
            let said = format!("{} on {}", runtime.version, runtime.device);
            let place = shown(&found.library, folder);
            Finding::ok("found", format!("{said}, {place} ({})", found.origin))
        }
        Err(why) => Finding::warning(
            "found",
            format!("{why} ({})", found.origin),
            "remove it, or put another version in its place, 2025.1 or newer",
        ),
    }
}

fn of_variant(
    variant: &Variant,
    answer: Result<(&PathBuf, &Answer), &Problem>,
    folder: Option<&Path>,
) -> Finding {
    let subject = format!("for {}", variant.name);
    let install = engine::install_words(&variant.load.root);
    match answer {
        Ok((library, Ok(runtime))) => {
            // The build behind the version stands with what was found.
            let version = runtime.version.split('-').next().unwrap_or_default();
            let locked = variant.runtime_version.as_deref().unwrap_or(&runtime.version);
            if !session::is_version(&runtime.version, locked) {
                let place = shown(library, folder);
                return Finding::problem(
                    subject,
                    format!("{}, {place}, and runtime_version is {locked}", runtime.version),
                    "install that version and name its folder (runtime = \"FOLDER\"), or, if this one is \
                     meant, `perfgate doctor --lock`",
                );
            }
            Finding::ok(subject, format!("{version}, {}", shown(library, folder)))
        }
        Ok((_, Err(why))) => {
            let named = "what the variant's runtime or PERFGATE_OPENVINO names comes before these: \
                         if that is this one, correct it there or leave it out";
            Finding::problem(subject, why.clone(), format!("{install}\n    {named}"))
        }
        Err(problem) => Finding::error(subject, problem.clone(), &install),
    }
}

/// What a variant asks for and does not get.
fn in_force(variant: &Variant, tried: &Tried) -> Vec<Finding> {
    let subject = format!("for {}", variant.name);
    match tried {
        Ok(differences) => differences
            .iter()
            .map(|difference| {
                let remedy =
                    "write what is in force into the variant's properties, or leave it out";
                Finding::warning(subject.clone(), difference.to_string(), remedy)
            })
            .collect(),
        Err(why) => {
            let remedy = "correct the variant's properties in perfgate.toml";
            vec![Finding::problem(subject, why.clone(), remedy)]
        }
    }
}

/// A path as it is seen from the project's folder.
fn shown(path: &Path, folder: Option<&Path>) -> String {
    let inner = folder.and_then(|folder| path.strip_prefix(folder).ok());
    inner.unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::super::tests::{about, put};
    use super::*;
    use crate::config::{WorkTree, read_config};
    use crate::engine::Runtime;

    const HEAD: &str = "[workload]\ntasks = \"t\"\n";

    fn answer(library: &Path) -> Answer {
        if library.to_string_lossy().contains("2024") {
            return Err("2025.1 or newer is needed".to_string());
        }
        Ok(Runtime { version: "2026.4.1-1-x".to_string(), device: "CPU".to_string() })
    }

    fn look(root: &Path, variants: &str) -> Section {
        put(root, "perfgate.toml", &format!("{HEAD}{variants}"));
        let config = read_config(&WorkTree, &root.join("perfgate.toml")).unwrap();
        section(Some(&config), root, &answer, &|_, _| Ok(Vec::new()))
    }

    fn runtime(root: &Path, version: &str) {
        let file = format!("{version}/openvino/libs/libopenvino_c.so.1");
        put(root, &file, "");
    }

    const OPENVINO: &str = "[variants.a]\nengine = \"openvino\"\nmodel = \"m\"\n";

    #[test]
    fn each_variant_gets_its_own_or_the_first_found() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        runtime(root, ".perfgate/runtimes/openvino-2026.4.1");
        runtime(root, "mine");
        let both = format!(
            "{OPENVINO}[variants.b]\nengine = \"openvino\"\nmodel = \"m\"\nruntime = \"mine\"\n"
        );
        let section = look(root, &both);
        let text = |subject: &str| about(&section, subject).text.clone();
        assert!(text("for a").starts_with("2026.4.1, .perfgate/runtimes/openvino-2026.4.1/"));
        assert!(text("for b").starts_with("2026.4.1, mine/openvino/libs/"), "{}", text("for b"));
        assert!(text("found").contains("mine/openvino/libs/libopenvino_c.so.1 (a variant's own)"));
        assert!(section.findings.iter().all(|finding| finding.mark == Mark::Ok));
    }

    #[test]
    fn a_runtime_that_is_too_old_is_a_problem_of_those_who_get_it() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        runtime(root, "openvino-2024.6.0");
        let section = look(root, &format!("{OPENVINO}runtime = \"openvino-2024.6.0\"\n"));
        let finding = about(&section, "for a");
        assert_eq!(finding.mark, Mark::Problem);
        let remedy = finding.remedy.as_ref().unwrap();
        assert!(remedy.contains("pip install") && remedy.contains("leave it out"), "{remedy}");
        assert_eq!(about(&section, "found").mark, Mark::Warning);
    }

    #[test]
    fn a_named_folder_without_a_runtime_is_a_problem() {
        let root = tempfile::tempdir().unwrap();
        let section = look(root.path(), &format!("{OPENVINO}runtime = \"nowhere\"\n"));
        let finding = about(&section, "for a");
        assert_eq!(finding.mark, Mark::Problem);
        assert!(finding.text.contains("nowhere: holds no OpenVINO"), "{}", finding.text);
        assert!(finding.remedy.as_ref().unwrap().contains("runtime = \"FOLDER\""), "{finding:?}");
    }
}
