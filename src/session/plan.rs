//! Owns what is fixed before the first round: the plan, the models' hashes, provenance and machine.

use super::identity::{self, Runtimes};
use super::{Models, context, models, preflight};
use crate::baseline::{self, Stores};
use crate::config::{
    Concurrency, Config, Fidelity, Quality, Setup, TaskSample, Thresholds, Variant,
};
use crate::engine::{self, Inspected};
use crate::hash;
use crate::load::BLOCKS;
use crate::metric::{Kind, LATENCY, Statistic};
use crate::problem::{Problem, Result};
use crate::protocol::{KnownModel, monotonic_ns};
use crate::record::{
    Against, ConcurrencyPlan, FidelityPlan, Header, Identity, Limit, LoadPlan, Plan, QualityPlan,
    Shards, SustainedPlan, VariantRecord,
};
use crate::runner::{EnergyCounter, Heat};
use crate::workload::{self, Documents, Graded, Prompts};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A session that could begin.
#[derive(Debug)]
pub struct Prepared {
    /// Both configuration files.
    pub setup: Setup,
    /// The prompts in token ids.
    pub prompts: Prompts,
    /// The graded tasks, if there is a quality pass.
    pub graded: Option<Graded>,
    /// The documents, if there is a fidelity pass.
    pub documents: Option<Documents>,
    /// The stored sessions, all that there are, and those of anchors.
    pub stored: Stores,
    /// Whether answers of earlier sessions may be used again.
    pub use_cache: bool,
    /// Energy counters, where the machine has them.
    pub energy: Option<EnergyCounter>,
    /// What tells of throttling and frequencies.
    pub heat: Heat,
    /// Everything known before the first round.
    pub header: Header,
}

/// Prepares a session: looks at what could go wrong, reads tasks and tokenizers, hashes the models
/// (which also brings their files into the page cache, the same for every variant), looks at the
/// machine and at git.
///
/// The machine is looked at below `root`, which is `/` but in tests. `program` is perfgate's own binary, which asks
/// runtime libraries for their versions in processes of their own.
///
/// # Errors
/// If a file is missing or wrong.
pub fn prepare(mut setup: Setup, root: &Path, program: &Path) -> Result<Prepared> {
    let runtimes = &mut Runtimes::new(program);
    models::settle(&mut setup, runtimes)?;
    let config = &setup.config;
    let models = preflight::check(config, root)?;
    let Fed { prompts, graded, documents } = feed(config, &models)?;
    if let Some(thresholds) = &setup.thresholds {
        tasks_are_there(thresholds, &prompts, graded.as_ref())?;
    }
    let stored = Stores::load(config, setup.thresholds.as_ref())?;
    let output = config.output.clone();
    let mut variants = BTreeMap::new();
    for variant in &mut setup.config.variants {
        let (mut record, known) = known_record(variant, &models[&variant.name])?;
        variant.load.known = known;
        let mut identity = identity::identity(variant, runtimes, &output)?;
        identity::add_prompts(&mut identity, &variant.name, &prompts, graded.as_ref());
        record.identity = Some(identity);
        let doubts = graded.as_ref().and_then(|graded| graded.doubts.get(&variant.name));
        record.disagreements.extend(doubts.into_iter().flatten().cloned());
        variants.insert(variant.name.clone(), record);
    }
    models::leave_out_unchanged(&mut setup, &mut variants)?;
    let config = &setup.config;
    let started = now();
    let energy = EnergyCounter::find(root).ok();
    let subtracts = energy.is_some() && config.rounds > 0;
    let forced = config.fidelity.as_ref().zip(documents.as_ref());
    let load = load_plan(config, setup.thresholds.as_ref())?;
    let header = Header {
        session: session_id(&started),
        provenance: baseline::provenance(&setup),
        environment: baseline::environment(root),
        plan: Plan {
            variants: config.names(),
            reference: config.reference.clone(),
            rounds: config.rounds,
            warmup: config.warmup,
            tasks: prompts.ids.clone(),
            prompt_tokens: config.workload.prompt_tokens,
            gen_tokens: config.workload.gen_tokens,
            seed: config.workload.seed,
            sampling: config.workload.sampling,
            labels: prompts.labels.clone(),
            workload_sha256: prompts.sha256.clone(),
            quality: config.quality.as_ref().zip(graded.as_ref()).map(quality_plan),
            fidelity: forced.map(|both| fidelity_plan(both, &config.reference)),
            load,
            only: None,
            stopping: None,
            absent: setup.absent.clone(),
            idle_ms: config.energy.subtract_idle.filter(|_| subtracts).map(milliseconds),
        },
        started,
        variants,
    };
    let heat = Heat::find(root);
    Ok(Prepared {
        setup,
        prompts,
        graded,
        documents,
        stored,
        use_cache: true,
        energy,
        heat,
        header,
    })
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Refuses rules on suites or tags that no task has.
fn tasks_are_there(
    thresholds: &Thresholds,
    prompts: &Prompts,
    graded: Option<&Graded>,
) -> Result<()> {
    for rule in thresholds.rules.iter().filter(|rule| !rule.only.is_empty()) {
        let of_quality = rule.metric.kind() == Kind::TaskProportion;
        let labels = match graded {
            Some(graded) if of_quality => &graded.all_labels,
            // The rounds alone were asked for, and no graded task was read.
            None if of_quality => continue,
            _ => &prompts.labels,
        };
        if labels.values().any(|labels| rule.only.takes(Some(labels))) {
            continue;
        }
        let known: BTreeSet<String> = labels
            .values()
            .flat_map(|l| {
                let tags = l.tags.iter().map(|tag| format!("tag {tag}"));
                l.suite.iter().map(|suite| format!("suite {suite}")).chain(tags)
            })
            .collect();
        let known: Vec<String> = known.into_iter().collect();
        let help = match known.is_empty() {
            true => "the tasks have neither \"suite\" nor \"tags\"".to_string(),
            false => format!("the tasks have {}", known.join(", ")),
        };
        let what = format!("rule '{}' judges {}, of which there is no task", rule.id, rule.only);
        return Err(Problem::in_file(&thresholds.file, what).at(rule.line, 1).help(help));
    }
    Ok(())
}

fn quality_plan((quality, graded): (&Quality, &Graded)) -> QualityPlan {
    let sample = &quality.sample;
    let whole = TaskSample { shard: None, ..sample.clone() };
    let words = |sample: &TaskSample| sample.is_narrowed().then(|| sample.to_string());
    QualityPlan {
        tasks: graded.ids.clone(),
        variants: quality.variants.clone(),
        max_tokens: graded.max_tokens,
        stop: stops(quality),
        labels: graded.labels.clone(),
        sha256: graded.sha256.clone(),
        tails: graded.tails.clone(),
        of: graded.of,
        narrowed: words(sample),
        batch: quality.batch,
        source_sha256: graded.source_sha256.clone(),
        places: if graded.ids.len() == graded.of { Vec::new() } else { graded.places.clone() },
        shards: sample.shard.map(|(part, of)| Shards {
            parts: vec![part],
            of,
            whole: words(&whole),
        }),
        lenient: graded.lenient(),
    }
}

/// The strings that end answers, of all sets.
fn stops(quality: &Quality) -> Vec<String> {
    let all: BTreeSet<&String> = quality.sets.iter().flat_map(|set| &set.stop).collect();
    all.into_iter().cloned().collect()
}

/// Everything that the variants are fed, in token ids.
pub struct Fed {
    prompts: Prompts,
    graded: Option<Graded>,
    documents: Option<Documents>,
}

/// Makes everything that the variants are to be fed and holds it against the vocabularies and contexts of their models.
///
/// # Errors
/// If a file, a tokenizer or a template is wrong, or a model cannot be fed what is meant for it.
pub fn feed(config: &Config, models: &Models) -> Result<Fed> {
    let prompts = workload::prepare(&config.workload, &config.variants)?;
    let graded = match &config.quality {
        Some(quality) => {
            Some(workload::prepare_graded(quality, &config.workload, &config.variants)?)
        }
        None => None,
    };
    let documents = documents(config)?;
    preflight::vocabularies(config, models, &prompts, graded.as_ref(), documents.as_ref())?;
    context::check(config, models, &prompts, graded.as_ref(), documents.as_ref())?;
    preflight::same_vocabulary(config, models)?;
    Ok(Fed { prompts, graded, documents })
}

/// The documents of the fidelity pass, if there is one.
fn documents(config: &Config) -> Result<Option<Documents>> {
    let prepare =
        |fidelity| workload::prepare_documents(fidelity, &config.reference, &config.variants);
    config.fidelity.as_ref().map(prepare).transpose()
}

fn fidelity_plan((fidelity, documents): (&Fidelity, &Documents), reference: &str) -> FidelityPlan {
    FidelityPlan {
        documents: documents.ids.clone(),
        variants: fidelity.variants.clone(),
        reference: reference.to_string(),
        tokens: fidelity.tokens,
        skip: fidelity.skip,
        stepwise: fidelity.stepwise,
        sha256: documents.sha256.clone(),
    }
}

/// The load pass, if there is one.
///
/// # Errors
/// If a search has no limit to keep to.
fn load_plan(config: &Config, thresholds: Option<&Thresholds>) -> Result<Option<LoadPlan>> {
    let sustained = config.sustained.as_ref().map(|sustained| SustainedPlan {
        variants: sustained.variants.clone(),
        blocks: BLOCKS,
        block_seconds: sustained.seconds / f64::from(BLOCKS),
    });
    let concurrency =
        config.concurrency.as_ref().map(|asked| concurrency_plan(asked, thresholds)).transpose()?;
    let mut plan = LoadPlan { sustained, concurrency };
    // A variant may be left out that the base's configuration names.
    plan.keep(|name| config.variant(name).is_some());
    Ok(Some(plan).filter(|plan| !plan.is_empty()))
}

fn concurrency_plan(
    asked: &Concurrency,
    thresholds: Option<&Thresholds>,
) -> Result<ConcurrencyPlan> {
    let own = asked.p99.map(|limit| limit.as_secs_f64());
    let p99 = own.or_else(|| rule_on_p99(thresholds?));
    if let (Some(search), None) = (&asked.search, p99) {
        return Err(search.without_limit(thresholds.is_some()));
    }
    let mut streams = asked.streams.clone();
    // The search begins below what a closed loop comes to.
    if asked.search.is_some() && !streams.contains(&asked.servers) {
        streams.push(asked.servers);
        streams.sort_unstable();
    }
    Ok(ConcurrencyPlan {
        variants: asked.variants.clone(),
        streams,
        seconds: asked.seconds,
        rates: asked.rates.clone(),
        servers: asked.servers,
        seed: asked.seed,
        p99,
        search_seconds: asked.search.as_ref().map(|search| search.seconds),
    })
}

/// The limit of the first rule on the P99 of the latency against a fixed value, seconds.
fn rule_on_p99(thresholds: &Thresholds) -> Option<f64> {
    let absolute = thresholds.rules.iter().filter(|rule| rule.against == Against::Absolute);
    let mut tails =
        absolute.filter(|rule| rule.metric == LATENCY && rule.statistic == Statistic::P99);
    tails.find_map(|rule| match rule.limit {
        Limit::Max(limit) => Some(limit),
        _ => None,
    })
}

/// What is asked of a variant, with the hash of its model and of its small files; its runtime is not asked.
///
/// # Errors
/// If a file of the model cannot be read.
pub fn variant_record(variant: &Variant, model: &Inspected) -> Result<VariantRecord> {
    let (record, _) = known_record(variant, model)?;
    let content = identity::content(variant)?;
    Ok(VariantRecord { identity: Some(Identity { content, ..Identity::default() }), ..record })
}

/// The same, with what tells a worker that the files are still those.
pub(super) fn known_record(
    variant: &Variant,
    model: &Inspected,
) -> Result<(VariantRecord, Option<KnownModel>)> {
    let load = &variant.load;
    let known = match &model.identity {
        Some(_) => None,
        None => Some(engine::know(&load.model, &model.files)?),
    };
    let model_sha256 = match (&model.identity, &known) {
        (Some(identity), _) => identity.clone(),
        (None, known) => known.iter().map(|known| known.sha256.clone()).collect(),
    };
    // What is no text is part of the identity.
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_string()));
    let mut options: BTreeMap<String, String> = load.options.iter().filter_map(text).collect();
    // A tokenizer or template that cannot be used is an error where the prompts are made.
    options.extend(workload::text_of(variant).unwrap_or_default());
    let mut disagreements = if engine::has_model(load) {
        workload::disagreements(variant).unwrap_or_default()
    } else {
        Vec::new()
    };
    if engine::has_model(load) && model.context.is_none() {
        disagreements.push(
            "no file of its model states a context (max_position_embeddings in config.json), so nothing that is \
             longer is refused"
                .to_string(),
        );
    }
    let mut test_switches = Vec::new();
    if load.slowdown > 0.0 {
        test_switches.push(format!("slowed on purpose by {}%", load.slowdown * 100.0));
    }
    let work = engine::work(load).ok().flatten().unwrap_or_default();
    let record = VariantRecord {
        engine: load.engine.clone(),
        model: variant.model_as_written.clone(),
        model_sha256,
        threads: load.threads,
        properties: load.properties.clone(),
        options,
        test_switches,
        disagreements,
        weight_types: work.types,
        recipe: work.recipe,
        identity: None,
    };
    Ok((record, known))
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
