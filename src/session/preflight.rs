//! Owns what is looked at before anything is measured or hashed: the output folder, the models' files,
//! memory, the engines' libraries, and whether tokenizers fit their models.

use super::alike::alike;
use super::{memory, models};
use crate::config::{Config, Variant};
use crate::engine::{self, Inspected};
use crate::problem::{Problem, Result};
use crate::record::{Header, VariantRecord};
use crate::workload::{self, Ask, Documents, Graded, Prompts};
use std::collections::BTreeMap;
use std::path::Path;

/// What the models' files say, by variant.
pub type Models = BTreeMap<String, Inspected>;

/// Looks at everything but the workload, cheap things first. Memory is read below `root`.
///
/// # Errors
/// If something is missing, broken or too little.
pub(super) fn check(config: &Config, root: &Path) -> Result<Models> {
    writable(&config.output)?;
    let mut models = Models::new();
    for variant in &config.variants {
        models.insert(variant.name.clone(), inspect_model(variant)?);
    }
    let weights = |variant: &Variant| (variant.name.clone(), models[&variant.name].weight_bytes);
    memory::check(&config.variants.iter().map(weights).collect::<Vec<_>>(), root)?;
    for variant in &config.variants {
        engine::inspect_runtime(&variant.load)
            .map_err(|problem| problem.of(&format!("variant '{}'", variant.name)))?;
    }
    Ok(models)
}

fn where_models_come_from(variant: &Variant) -> &'static str {
    if variant.load.model.starts_with(&variant.load.root) {
        "make the models first; in perfgate's own repository, scripts/setup.sh does (for examples/tinyllama scripts/random_llama.sh tinyllama-1.1b)"
    } else {
        "look at this variant's model = \"…\" in perfgate.toml"
    }
}

/// Looks at a variant's model as far as it goes without loading it.
///
/// # Errors
/// If a file is missing or broken.
pub fn inspect_model(variant: &Variant) -> Result<Inspected> {
    models::whole(variant)?;
    engine::inspect(&variant.load).map_err(|problem| {
        let problem = problem.of(&format!("variant '{}'", variant.name));
        match problem.help {
            Some(_) if variant.load.model.is_dir() => problem,
            _ => problem.help(where_models_come_from(variant)),
        }
    })
}

/// Tries whether files can be made in the output folder, or where it is to be made; leaves nothing.
pub(super) fn writable(output: &Path) -> Result<()> {
    let help = "name a writable folder with output = \"FOLDER\" in perfgate.toml";
    let there = output.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    if !there.is_dir() {
        return Err(Problem::in_file(there, "results are to be written here, and it is no folder")
            .help(help));
    }
    tempfile::tempfile_in(there)
        .map_err(|error| Problem::io(there, "write results here", &error).help(help))?;
    for name in ["benchmark_results.json", "report.md"] {
        let file = output.join(name);
        if file.is_dir() {
            return Err(Problem::in_file(&file, "is a folder, and a file is to be written here")
                .help(format!("remove it, or {help}")));
        }
    }
    Ok(())
}

/// Holds each variant's tokenizer and prompts against the vocabulary of its model. Fewer tokens than
/// the model knows are usual: vocabularies are padded.
///
/// # Errors
/// If a tokenizer is another model's.
pub(super) fn vocabularies(
    config: &Config,
    models: &Models,
    prompts: &Prompts,
    graded: Option<&Graded>,
    documents: Option<&Documents>,
) -> Result<()> {
    let is_forced = |name: &String| {
        let fidelity = config.fidelity.as_ref();
        fidelity.is_some_and(|f| f.variants.contains(name) || *name == config.reference)
    };
    for variant in &config.variants {
        let Some(size) = models[&variant.name].vocab_size else { continue };
        let help = "name the model's own with tokenizer = \"FILE\", or put it into the model's folder as tokenizer.json";
        let refuse = |what: String| {
            let problem = Problem::in_file(&variant.tokenizer, what).help(help);
            Err(problem.of(&format!("variant '{}'", variant.name)))
        };
        let tokens = workload::tokenizer_size(variant)?;
        if tokens > size {
            return refuse(format!(
                "a tokenizer of {tokens} tokens is another model's: {} knows {size}",
                variant.load.model.display()
            ));
        }
        // Tokens that were added to a tokenizer may lie beyond the model's and do no harm unused.
        let timed = prompts.of(&variant.name).iter().map(|task| &task.tokens);
        let asked = graded.into_iter().flat_map(|graded| &graded.asks);
        let asked = asked.filter(|(name, _)| *name == variant.name).flat_map(|(_, asks)| asks);
        let forced = documents.filter(|_| is_forced(&variant.name));
        let forced = forced.into_iter().flat_map(|documents| &documents.tokens).map(Vec::as_slice);
        let timed = timed.map(Vec::as_slice);
        let highest = timed.chain(asked.map(Ask::prompt)).chain(forced).flatten().max();
        if let Some(token) = highest.filter(|token| **token as usize >= size) {
            return refuse(format!(
                "a prompt has the token {token}, and {} knows {size} tokens",
                variant.load.model.display()
            ));
        }
    }
    Ok(())
}

/// Refuses to compare predictions over vocabularies of different sizes, as padding may make them.
///
/// # Errors
/// If a variant of the fidelity pass knows more or fewer tokens than the reference.
pub(super) fn same_vocabulary(config: &Config, models: &Models) -> Result<()> {
    let Some(fidelity) = &config.fidelity else { return Ok(()) };
    let size = |name: &String| models.get(name)?.vocab_size;
    let Some(expected) = size(&config.reference) else { return Ok(()) };
    match fidelity.variants.iter().find_map(|name| Some((name, size(name)?)).filter(|(_, n)| *n != expected)) {
        None => Ok(()),
        Some((name, size)) => Err(Problem::new(format!(
            "variant '{name}' predicts one of {size} tokens, and the reference '{}' one of {expected}: such \
             distributions cannot be compared",
            config.reference
        ))
        .help("leave the variant out of variants = [ … ] in [quality.fidelity]")),
    }
}

/// What does not hinder a session and should be known at its start.
pub fn warnings(header: &Header) -> Vec<String> {
    let usable = header.environment.machine.usable_cpus;
    let variants = header.variants.iter().filter(|(_, variant)| variant.threads > usable);
    let too_many = variants.map(|(name, variant)| {
        format!("'{name}' asks for {} threads, and {usable} CPUs are usable", variant.threads)
    });
    let mut all: Vec<String> =
        alike(&header.plan.reference, &header.variants).into_iter().chain(too_many).collect();
    for (name, variant) in &header.variants {
        all.extend(variant.disagreements.iter().map(|what| format!("'{name}': {what}")));
    }
    all.extend(unlike_texts(header));
    all
}

/// A warning where some variants are fed their prompts in a chat template and others as they stand.
fn unlike_texts(header: &Header) -> Option<String> {
    let with_model = header.variants.iter().filter(|(_, variant)| variant.engine != "scripted");
    let (inside, plain): (Vec<_>, Vec<_>) =
        with_model.partition(|(_, variant)| variant.options.contains_key(workload::CHAT_TEMPLATE));
    let names = |variants: &[(&String, &VariantRecord)]| {
        variants.iter().map(|(name, _)| format!("'{name}'")).collect::<Vec<_>>().join(", ")
    };
    (!inside.is_empty() && !plain.is_empty()).then(|| {
        format!(
            "{} is fed its prompts in a chat template, and {} as they stand: they are not asked the same",
            names(&inside),
            names(&plain)
        )
    })
}
