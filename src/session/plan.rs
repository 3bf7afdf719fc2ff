//! Owns what is fixed before the first round: the plan, the models' hashes, provenance and machine.

use crate::baseline;
use crate::config::{ChatTemplate, Setup, Variant};
use crate::engine;
use crate::hash;
use crate::problem::{Problem, Result};
use crate::protocol::monotonic_ns;
use crate::record::{Header, Plan, VariantRecord};
use crate::workload::{self, Prompts};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

/// A session that could begin.
#[derive(Debug)]
pub struct Prepared {
    /// Both configuration files.
    pub setup: Setup,
    /// The prompts in token ids.
    pub prompts: Prompts,
    /// Everything known before the first round.
    pub header: Header,
}

/// Prepares a session: reads tasks and tokenizers, hashes the models (which also brings their files
/// into the page cache, the same for every variant), looks at the machine and at git.
///
/// # Errors
/// If a file is missing or wrong.
pub fn prepare(setup: Setup) -> Result<Prepared> {
    let config = &setup.config;
    let mut variants = BTreeMap::new();
    for variant in &config.variants {
        variants.insert(variant.name.clone(), variant_record(variant)?);
    }
    let prompts = workload::prepare(&config.workload, &config.variants)?;
    let started = now();
    let header = Header {
        session: session_id(&started),
        provenance: baseline::provenance(&setup),
        environment: baseline::environment(Path::new("/")),
        plan: Plan {
            variants: config.names(),
            reference: config.reference.clone(),
            rounds: config.rounds,
            warmup: config.warmup,
            tasks: prompts.ids.clone(),
            prompt_tokens: config.workload.prompt_tokens,
            gen_tokens: config.workload.gen_tokens,
            seed: config.workload.seed,
            workload_sha256: prompts.sha256.clone(),
        },
        started,
        variants,
    };
    Ok(Prepared { setup, prompts, header })
}

fn variant_record(variant: &Variant) -> Result<VariantRecord> {
    let load = &variant.load;
    let named = |what: String| {
        let help = if load.model.starts_with(&load.root) {
            "make the models first; in perfgate's own repository, scripts/setup.sh does"
        } else {
            "look at this variant's model = \"…\" in perfgate.toml"
        };
        Problem::new(format!("variant '{}': {what}", variant.name)).help(help)
    };
    let files = engine::model_files(load).map_err(|error| named(error.failure.message))?;
    let model_sha256 = match &load.script {
        Some(script) => hash::of_bytes(format!("{script:?}").as_bytes()),
        None => hash::of_files(&load.model, &files)?,
    };
    let mut options = BTreeMap::new();
    if let Some(dtype) = &load.dtype {
        options.insert("dtype".to_string(), dtype.clone());
    }
    if let Some(runtime) = &load.runtime {
        options.insert("runtime".to_string(), runtime.display().to_string());
    }
    match &variant.chat_template {
        ChatTemplate::None => {}
        ChatTemplate::Model => drop(options.insert("chat_template".into(), "model".into())),
        ChatTemplate::File(file) => {
            options.insert("chat_template".into(), file.display().to_string());
        }
    }
    let mut test_switches = Vec::new();
    if load.slowdown > 0.0 {
        test_switches.push(format!("slowed on purpose by {}%", load.slowdown * 100.0));
    }
    Ok(VariantRecord {
        engine: load.engine.clone(),
        model: variant.model_as_written.clone(),
        model_sha256,
        threads: load.threads,
        properties: load.properties.clone(),
        options,
        test_switches,
    })
}

/// The time, UTC, RFC 3339, to the second.
pub(super) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// A session's id: its start without punctuation, and four characters against collisions.
fn session_id(started: &str) -> String {
    let time: String = started.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let salt = hash::of_bytes(format!("{}/{}", std::process::id(), monotonic_ns()).as_bytes());
    format!("{time}-{}", &salt[..4])
}
