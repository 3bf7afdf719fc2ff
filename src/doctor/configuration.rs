//! Owns the findings about the project's files: both configuration files, the workloads, and each
//! variant's model, prompts, threads and memory.

use super::limits::Limits;
use super::{Finding, Mark, Section, count, size};
use crate::config::{self, ChatTemplate, Config, Variant, WorkTree};
use crate::engine::{self, Inspected};
use crate::problem::Result;
use crate::record::VariantRecord;
use crate::session;
use crate::workload;
use std::collections::BTreeMap;
use std::path::Path;

/// The remedy of an error that names a line and no other remedy.
const CORRECT: &str = "correct the file in this line";

/// Looks at the project of a `perfgate.toml`, which has been read.
pub(super) fn section(root: &Path, file: &Path, read: &Result<Config>, limits: &Limits) -> Section {
    let findings = match read {
        Ok(config) => {
            let mut findings = vec![of_file(file, config), thresholds(file)];
            findings.extend(workloads(config));
            let (mut models, mut records) = (session::Models::new(), BTreeMap::new());
            for variant in &config.variants {
                // As the session does before it begins, and in the same words.
                let model = match session::inspect_model(variant) {
                    Ok(model) => model,
                    Err(problem) => {
                        findings.push(Finding::error(&variant.name, problem, MODEL));
                        continue;
                    }
                };
                let (of_variant, record) = of_variant(config, variant, &model, limits);
                findings.extend(of_variant);
                records.extend(record.map(|record| (variant.name.clone(), record)));
                models.insert(variant.name.clone(), model);
            }
            let alike = session::alike(&config.reference, &records).into_iter();
            findings.extend(alike.map(|text| Finding::warning("precision", text, ALIKE)));
            findings.extend(together(config, &models, root));
            // What hinders one variant alone has been said.
            if findings.iter().all(|finding| finding.mark != Mark::Problem) {
                findings.extend(fed(config, &models));
            }
            findings
        }
        Err(problem) => {
            vec![Finding::error("perfgate.toml", problem.clone(), CORRECT)]
        }
    };
    Section { title: "Configuration", findings }
}

fn of_file(file: &Path, config: &Config) -> Finding {
    let text = format!(
        "{}: {}, the reference is '{}'",
        file.display(),
        count(config.variants.len(), "variant"),
        config.reference
    );
    Finding::ok("perfgate.toml", text)
}

fn thresholds(file: &Path) -> Finding {
    let thresholds = file.with_file_name("thresholds.toml");
    match config::read(&WorkTree, file, Some(&thresholds)) {
        Ok(_) => Finding::ok(
            "thresholds.toml",
            format!("{}: its rules are understood", thresholds.display()),
        ),
        Err(problem) => Finding::error("thresholds.toml", problem, CORRECT),
    }
}

/// The files of tasks on their own; what they become for a variant stands with the variant.
fn workloads(config: &Config) -> Vec<Finding> {
    let otherwise = "correct this file of tasks";
    let timing = workload::prepare(&config.workload, &[]).map(|prompts| prompts.ids.len());
    let mut found = vec![("workload", vec![&config.workload.tasks], timing)];
    if let Some(quality) = &config.quality {
        let graded = workload::prepare_graded(quality, &config.workload, &[]);
        let files = quality.sets.iter().map(|set| &set.tasks).collect();
        found.push(("quality", files, graded.map(|graded| graded.of)));
    }
    if let Some(fidelity) = &config.fidelity {
        let documents = workload::prepare_documents(fidelity, &config.reference, &config.variants);
        let documents = documents.map(|documents| documents.ids.len());
        found.push(("fidelity", vec![&fidelity.documents], documents));
    }
    found
        .into_iter()
        .map(|(subject, files, tasks)| match tasks {
            Ok(tasks) => {
                let files: Vec<String> =
                    files.into_iter().map(|file| shown(file, config).to_string()).collect();
                let what = if subject == "fidelity" { "document" } else { "task" };
                Finding::ok(subject, format!("{}: {}", files.join(", "), count(tasks, what)))
            }
            Err(problem) => Finding::error(subject, problem, otherwise),
        })
        .collect()
}

/// The remedy where two variants have no two precisions.
const ALIKE: &str =
    "look at the model's folders in perfgate.toml, and at how their models were exported";

/// The findings about a variant, and what a session would record of it.
fn of_variant(
    config: &Config,
    variant: &Variant,
    model: &Inspected,
    limits: &Limits,
) -> (Vec<Finding>, Option<VariantRecord>) {
    let record = match session::variant_record(variant, model) {
        Ok(record) => record,
        Err(problem) => return (vec![Finding::error(&variant.name, problem, MODEL)], None),
    };
    let mut findings = vec![hashed(variant, model, &record)];
    findings.extend(prompts(config, variant));
    // The scripted engine computes nothing.
    if variant.load.engine != "scripted" {
        findings.push(threads(variant, limits));
    }
    findings.extend(text(variant));
    (findings, Some(record))
}

/// The remedy where a model's files cannot be used and the error brings none.
const MODEL: &str = "look at the model's files: their owner, and whether they are whole";

/// The model's files, their size and the hash that a session records.
fn hashed(variant: &Variant, model: &Inspected, record: &VariantRecord) -> Finding {
    let load = &variant.load;
    match session::unlike_lock(variant) {
        Ok(None) => {}
        Ok(Some(other)) => {
            let text = format!("{}: {other}", variant.model_as_written);
            let remedy = "make or fetch the model that is meant, or, if this one is, `perfgate doctor --lock`";
            return Finding::problem(&variant.name, text, remedy);
        }
        Err(problem) => return Finding::error(&variant.name, problem, MODEL),
    }
    let names: Vec<String> = model.files.iter().map(|file| file.display().to_string()).collect();
    let text = if names.is_empty() {
        format!("{}, without a model; sha256 {}", load.engine, record.model_sha256)
    } else {
        format!(
            "{}, {}: {}; weights of {}{}; sha256 {}",
            load.engine,
            variant.model_as_written,
            names.join(", "),
            size(model.weight_bytes),
            stored(record),
            record.model_sha256
        )
    };
    Finding::ok(&variant.name, text)
}

/// In which types the files store the weights, and by which recipe.
fn stored(record: &VariantRecord) -> String {
    let mut types: Vec<(&String, &u64)> = record.weight_types.iter().collect();
    types.sort_by_key(|(_, weights)| std::cmp::Reverse(**weights));
    let types: Vec<&str> = types.into_iter().map(|(kind, _)| kind.as_str()).collect();
    match (types.is_empty(), &record.recipe) {
        (true, _) => String::new(),
        (false, None) => format!(" as {}", types.join(" and ")),
        (false, Some(recipe)) => format!(" as {} ({recipe})", types.join(" and ")),
    }
}

/// Whether the tokenizer, a template or a task keeps the variant's prompts from being made, and what is doubtful about
/// its stop strings.
fn prompts(config: &Config, variant: &Variant) -> Vec<Finding> {
    let one = std::slice::from_ref(variant);
    // A file of tasks that is wrong by itself has been found already.
    let whole = workload::prepare(&config.workload, &[]).is_ok();
    let timing = whole.then(|| workload::prepare(&config.workload, one).map(|_| Vec::new()));
    let answers = |quality: &&config::Quality| quality.variants.contains(&variant.name);
    let graded = config.quality.as_ref().filter(answers).and_then(|quality| {
        let prepare = |variants| workload::prepare_graded(quality, &config.workload, variants);
        let doubts = |mut graded: workload::Graded| graded.doubts.remove(&variant.name);
        let asked = || prepare(one).map(|graded| doubts(graded).unwrap_or_default());
        prepare(&[]).is_ok().then(asked)
    });
    let subject = variant.name.as_str();
    let results: Vec<Result<Vec<String>>> = timing.into_iter().chain(graded).collect();
    if results.is_empty() {
        return Vec::new();
    }
    let doubts = match results.into_iter().collect::<Result<Vec<_>>>() {
        Ok(doubts) => doubts.concat(),
        Err(problem) => {
            return vec![Finding::error(
                subject,
                problem,
                "copy the tokenizer's files from where the model was made, or name another with \
                 tokenizer = \"FILE\"",
            )];
        }
    };
    let can = if variant.load.engine == "scripted" {
        "its prompts can be made"
    } else {
        "its tokenizer loads, and its prompts can be made"
    };
    let mut findings = vec![Finding::ok(subject, can)];
    let help =
        "correct it under stop = [ … ] in [quality], or leave it so if that is what is meant";
    findings.extend(doubts.into_iter().map(|what| Finding::warning(subject, what, help)));
    findings
}

/// Which chat template the variant's prompts stand in, and where the model's small files disagree. What hinders its
/// prompts has been said already.
fn text(variant: &Variant) -> Vec<Finding> {
    let subject = variant.name.as_str();
    let (Ok(said), true) = (workload::text_of(variant), engine::has_model(&variant.load)) else {
        return Vec::new();
    };
    let template = match (said.get(workload::CHAT_TEMPLATE), &variant.chat_template) {
        (Some(template), ChatTemplate::File(_)) => {
            format!("its prompts stand in the chat template {template}")
        }
        (Some(template), _) => {
            format!("its prompts stand in the model's chat template, {template}")
        }
        (None, ChatTemplate::Auto) => {
            "its prompts are fed as they stand: the model has no chat template".to_string()
        }
        (None, _) => "its prompts are fed as they stand: chat_template = \"none\"".to_string(),
    };
    let mut findings = vec![Finding::ok(subject, template)];
    findings.extend(workload::disagreements(variant).unwrap_or_default().into_iter().map(|what| {
        Finding::warning(
            subject,
            what,
            "correct the file that is wrong, or leave it so if that is what is meant",
        )
    }));
    findings
}

/// The threads of a variant against the CPUs that it may use.
fn threads(variant: &Variant, limits: &Limits) -> Finding {
    let (threads, cpus) = (variant.load.threads, limits.cpus());
    if threads as f64 > cpus {
        return too_many_threads(variant, cpus);
    }
    Finding::ok(&variant.name, format!("{} for {}", count(threads, "thread"), time_of(cpus)))
}

fn too_many_threads(variant: &Variant, cpus: f64) -> Finding {
    Finding::warning(
        &variant.name,
        format!(
            "{} share {}: they wait for each other, and times scatter",
            count(variant.load.threads, "thread"),
            time_of(cpus)
        ),
        format!(
            "write threads = {} for this variant in perfgate.toml, or run where it may use more CPUs",
            (cpus as usize).max(1)
        ),
    )
}

/// CPUs' worth of time, whole or not.
fn time_of(cpus: f64) -> String {
    if cpus.fract() == 0.0 { count(cpus as usize, "CPU") } else { format!("{cpus:.2} CPUs' time") }
}

/// The weights of all variants, which are in memory side by side, against what is available.
fn together(config: &Config, models: &session::Models, root: &Path) -> Option<Finding> {
    let weights =
        |variant: &Variant| Some((variant.name.clone(), models.get(&variant.name)?.weight_bytes));
    let needs: Vec<(String, u64)> = config.variants.iter().filter_map(weights).collect();
    let need: u64 = needs.iter().map(|(_, bytes)| bytes).sum();
    match session::fits_in_memory(&needs, root) {
        _ if need == 0 => None,
        Err(problem) => Some(Finding::error("memory", problem, "")),
        Ok(()) => {
            let text = format!("the weights of all variants, side by side, take {}", size(need));
            Some(Finding::ok("memory", text))
        }
    }
}

/// Everything that the variants are to be fed, against the vocabularies and contexts of their models.
fn fed(config: &Config, models: &session::Models) -> Option<Finding> {
    let problem = session::feed(config, models).err()?;
    Some(Finding::error("prompts", problem, CORRECT))
}

/// A path as it is seen from the project's folder.
fn shown(path: &Path, config: &Config) -> String {
    path.strip_prefix(&config.folder).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::super::tests::{about, put};
    use super::*;

    fn look(root: &Path, variants: &str, limits: &Limits) -> Section {
        put(root, "t.jsonl", "{\"id\": \"a\", \"prompt\": \"x\"}\n");
        put(root, "thresholds.toml", "[rules]\nfailure_rate = { max = \"0%\" }\n");
        put(root, "perfgate.toml", &format!("{HEAD}{variants}"));
        let file = root.join("perfgate.toml");
        section(root, &file, &config::read_config(&WorkTree, &file), limits)
    }

    fn limits(cpus: usize, memory: u64) -> Limits {
        Limits {
            affinity: Some(cpus),
            memory: Some(memory),
            available: Some(memory / 2),
            ..Limits::default()
        }
    }

    /// The rules judge what is not the reference.
    const HEAD: &str = "[workload]\ntasks = \"t.jsonl\"\n[variants.first]\nengine = \"scripted\"\n";
    const IR: &str = "[variants.ir]\nengine = \"openvino\"\nmodel = \"m\"\nthreads = 4\n";

    fn with_model(root: &Path) {
        let input = |name| {
            format!(
                "<layer name=\"p\" type=\"Parameter\"><output><port names=\"{name}\"/></output></layer>"
            )
        };
        let inputs = ["input_ids", "attention_mask", "beam_idx"].map(input).concat();
        put(root, "m/openvino_model.xml", &format!("<net><layers>{inputs}</layers></net>"));
        put(root, "m/openvino_model.bin", &"y".repeat(3000));
    }

    fn all<'a>(section: &'a Section, subject: &str) -> Vec<&'a Finding> {
        section.findings.iter().filter(|finding| finding.subject == subject).collect()
    }

    #[test]
    fn a_missing_model_is_one_problem_with_a_remedy() {
        let root = tempfile::tempdir().unwrap();
        let section = look(root.path(), IR, &limits(4, 1 << 30));
        let found = all(&section, "ir");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].mark, Mark::Problem);
        assert!(found[0].text.contains("does not exist"), "{}", found[0].text);
        assert!(found[0].remedy.as_ref().unwrap().contains("model = "), "{:?}", found[0]);
    }

    #[test]
    fn a_missing_tokenizer_is_a_problem_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        with_model(root.path());
        let section = look(root.path(), IR, &limits(8, 1 << 30));
        let found = all(&section, "ir");
        assert_eq!(found[0].mark, Mark::Ok);
        assert!(
            found[0].text.contains("openvino_model.bin; weights of 3 KiB; sha256 "),
            "{}",
            found[0].text
        );
        assert_eq!(found[1].mark, Mark::Problem);
        assert!(found[1].text.contains("there is no such tokenizer"), "{}", found[1].text);
        assert!(found.iter().any(|f| f.text == "4 threads for 8 CPUs"), "{found:?}");
        assert_eq!(about(&section, "memory").mark, Mark::Ok);
    }

    #[test]
    fn weights_are_held_against_memory() {
        let root = tempfile::tempdir().unwrap();
        with_model(root.path());
        put(root.path(), "proc/meminfo", "MemAvailable: 2 kB\n");
        let short = look(root.path(), IR, &limits(4, 5000));
        let finding = about(&short, "memory");
        assert_eq!(finding.mark, Mark::Problem);
        assert!(finding.text.contains("too little memory"), "{}", finding.text);
        put(root.path(), "proc/meminfo", "MemAvailable: 200 kB\n");
        let enough = look(root.path(), IR, &limits(4, 5000));
        assert_eq!(about(&enough, "memory").mark, Mark::Ok);
    }

    #[test]
    fn threads_beyond_the_cpus_are_a_warning() {
        let root = tempfile::tempdir().unwrap();
        with_model(root.path());
        let quota = Limits { quota: Some(2.5), ..limits(4, 1 << 30) };
        let section = look(root.path(), IR, &quota);
        let found = all(&section, "ir").into_iter().find(|f| f.text.starts_with("4 threads"));
        let found = found.unwrap();
        assert!(found.text.contains("share 2.50 CPUs' time"), "{}", found.text);
        assert!(found.remedy.as_ref().unwrap().contains("threads = 2"), "{found:?}");
    }

    #[test]
    fn the_scripted_engine_needs_nothing() {
        let root = tempfile::tempdir().unwrap();
        let variants = "[variants.a]\nengine = \"scripted\"\n";
        let section = look(root.path(), variants, &limits(1, 1 << 30));
        assert!(section.findings.iter().all(|f| f.mark == Mark::Ok), "{section:?}");
    }

    #[test]
    fn both_files_bring_their_own_errors() {
        let root = tempfile::tempdir().unwrap();
        let variants = "[variants.a]\nengine = \"scripted\"\ntreads = 2\n";
        let section = look(root.path(), variants, &limits(1, 1 << 30));
        let finding = about(&section, "perfgate.toml");
        assert_eq!(finding.mark, Mark::Problem);
        assert!(finding.text.contains("perfgate.toml:7:1: "), "{}", finding.text);
        assert_eq!(finding.remedy.as_deref(), Some("did you mean 'threads'?"));
        let whole = "[variants.a]\nengine = \"scripted\"\n";
        look(root.path(), whole, &limits(1, 1 << 30));
        put(root.path(), "thresholds.toml", "[rules]\n");
        assert_eq!(thresholds(&root.path().join("perfgate.toml")).mark, Mark::Problem);
        put(root.path(), "t.jsonl", "none\n");
        let file = root.path().join("perfgate.toml");
        let read = config::read_config(&WorkTree, &file);
        let section = super::section(root.path(), &file, &read, &limits(1, 1 << 30));
        assert_eq!(about(&section, "workload").mark, Mark::Problem);
        assert_eq!(all(&section, "a").len(), 1, "said once, not for each variant");
    }
}
