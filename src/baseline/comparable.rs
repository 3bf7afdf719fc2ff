//! Owns what must be equal for two sessions to be compared, and the naming of each difference.

use super::store::{Stored, StoredEnergy, StoredWorkload};
use crate::engine;
use crate::hash;
use crate::metric::{Kind, Metric, Needs};
use crate::record::{EngineInfo, FinerClass, Header, Identity, MachineClass, Part, VariantRecord};
use std::collections::BTreeMap;

/// Why a stored session says nothing about a metric of this one: each difference in words, `then`
/// against now; none where they can be compared.
///
/// `relative_to` is the variant that is judged and the one that it is held against, where their ratio is
/// compared; the latter must be the same in all that matters. Without it values are compared as they are,
/// and the machine's class must be.
pub fn differences(
    now: &Part,
    then: &Stored,
    metric: Metric,
    relative_to: Option<[&str; 2]>,
) -> Vec<String> {
    let unknown = EngineInfo::default();
    let engine = |name: &str| now.engine(name).unwrap_or(&unknown);
    let side = Side {
        workload: &StoredWorkload::of(&now.header.plan),
        machine: &now.header.environment.machine,
        energy: StoredEnergy::of(&now.header),
        variants: now
            .header
            .variants
            .iter()
            .map(|(n, asked)| (&n[..], (asked, engine(n))))
            .collect(),
    };
    side.differences(&Side::of_stored(then), metric, relative_to)
}

/// The same of two stored sessions.
pub fn differences_of_stored(
    now: &Stored,
    then: &Stored,
    metric: Metric,
    relative_to: Option<[&str; 2]>,
) -> Vec<String> {
    Side::of_stored(now).differences(&Side::of_stored(then), metric, relative_to)
}

/// What a variant was asked for, and what its engine said of itself.
type SetUp<'a> = (&'a VariantRecord, &'a EngineInfo);

/// What a session is compared by.
struct Side<'a> {
    workload: &'a StoredWorkload,
    machine: &'a MachineClass,
    energy: Option<StoredEnergy>,
    variants: BTreeMap<&'a str, SetUp<'a>>,
}

impl<'a> Side<'a> {
    fn of_stored(stored: &'a Stored) -> Side<'a> {
        let variants = stored.variants.iter();
        Side {
            workload: &stored.workload,
            machine: &stored.machine,
            energy: stored.energy.clone(),
            variants: variants.map(|(name, v)| (&name[..], (&v.asked, &v.engine))).collect(),
        }
    }

    fn differences(
        &self,
        then: &Side<'_>,
        metric: Metric,
        relative_to: Option<[&str; 2]>,
    ) -> Vec<String> {
        let mut found = workloads(metric, self.workload, then.workload);
        found.extend(energies(metric, self.energy.as_ref(), then.energy.as_ref()));
        match relative_to {
            // What a processor answers is flagged where it is judged; what is set in the environment is in nobody's view.
            _ if metric.is_proportion() => {
                let both = self.environment().zip(then.environment());
                found.extend(
                    both.into_iter()
                        .flat_map(|(now, then)| Identity::environments(Some(now), Some(then))),
                );
            }
            None => {
                found.extend(class(self.machine, then.machine));
                found.extend(Identity::environments(self.environment(), then.environment()));
            }
            Some([judged, reference]) => {
                found.extend(another_processor(self.machine, then.machine));
                found.extend(self.variant(then, reference));
                // What a machine of another class gives a variant (all its CPUs, its runtime) is not the change
                // that is judged. Within a class it is.
                if !same_class(self.machine, then.machine) && judged != reference {
                    found.extend(self.resources(then, judged));
                }
            }
        }
        found
    }

    /// What any of the variants tells of the environment, which they share.
    fn environment(&self) -> Option<&'a Identity> {
        self.variants.values().find_map(|(asked, _)| asked.identity.as_ref())
    }

    /// What differs of the variant that a ratio is to.
    fn variant(&self, then: &Side<'_>, name: &str) -> Vec<String> {
        match (self.variants.get(name), then.variants.get(name)) {
            (_, None) => vec![format!("no variant '{name}'")],
            (None, _) => vec![format!("no variant '{name}' now")],
            (Some(new), Some(old)) => settings(name, *new, *old),
        }
    }

    /// What differs of the threads and the engine's build of a variant that both sides have.
    fn resources(&self, then: &Side<'_>, name: &str) -> Vec<String> {
        let (Some((new, new_engine)), Some((old, old_engine))) =
            (self.variants.get(name), then.variants.get(name))
        else {
            return Vec::new();
        };
        let parts = [
            changed(
                &of("engine version", name),
                known(&new_engine.version),
                known(&old_engine.version),
            ),
            changed(&of("number of threads", name), new.threads, old.threads),
        ];
        parts.into_iter().flatten().collect()
    }
}

/// Why a metric of two sessions cannot be compared as it is, each difference in words.
pub fn unlike(now: &Header, then: &Header, metric: Metric) -> Vec<String> {
    let (a, b) = (StoredWorkload::of(&now.plan), StoredWorkload::of(&then.plan));
    let mut found = workloads(metric, &a, &b);
    if !metric.is_proportion() {
        found.extend(class(&now.environment.machine, &then.environment.machine));
        let any =
            |header: &Header| header.variants.values().find_map(|variant| variant.identity.clone());
        found.extend(Identity::environments(any(now).as_ref(), any(then).as_ref()));
    }
    let energy = [now, then].map(StoredEnergy::of);
    found.extend(energies(metric, energy[0].as_ref(), energy[1].as_ref()));
    found
}

/// What differs of what is counted as energy. Of a side without any there is nothing to say here.
fn energies(
    metric: Metric,
    now: Option<&StoredEnergy>,
    then: Option<&StoredEnergy>,
) -> Option<String> {
    let (now, then) = (now?, then?);
    if metric.info().needs != Needs::Energy || now == then {
        return None;
    }
    let idle = |energy: &StoredEnergy| if energy.less_idle { "subtracted" } else { "kept" };
    let parts =
        [moved("counted", &now.counted, &then.counted), moved("idle power", idle(now), idle(then))];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Some(format!("other energy ({})", parts.join("; ")))
}

/// What differs between two stored sessions, each difference in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Between {
    /// Of the tasks.
    pub workload: Vec<String>,
    /// Of the machine.
    pub machine: Vec<String>,
    /// Of the variants: which there are, and each of those in both.
    pub variants: Vec<String>,
}

/// What differs between two stored sessions.
pub fn between(now: &Stored, then: &Stored) -> Between {
    let mut workload: Vec<String> = timing(&now.workload, &then.workload).into_iter().collect();
    workload.extend(quality(&now.workload, &then.workload));
    let mut machine = class_differences(&now.machine, &then.machine);
    machine.extend(moved("kernel", &now.kernel, &then.kernel));
    let mut variants = Vec::new();
    for (name, old) in &then.variants {
        match now.variants.get(name) {
            Some(new) => variants.extend(settings(
                name,
                (&new.asked, &new.engine),
                (&old.asked, &old.engine),
            )),
            None => variants.push(format!("no variant '{name}' now")),
        }
    }
    let added = now.variants.keys().filter(|name| !then.variants.contains_key(*name));
    variants.extend(added.map(|name| format!("no variant '{name}' then")));
    Between { workload, machine, variants }
}

/// What differs of the tasks that a metric is of.
fn workloads(metric: Metric, now: &StoredWorkload, then: &StoredWorkload) -> Vec<String> {
    let found = match metric.kind() {
        Kind::TaskProportion => quality(now, then),
        _ => timing(now, then),
    };
    found.into_iter().collect()
}

/// Why what two sessions measured cannot stand in one file: each difference in words.
pub fn mismatch(now: &Header, then: &Header) -> Vec<String> {
    let (a, b) = (StoredWorkload::of(&now.plan), StoredWorkload::of(&then.plan));
    let mut found: Vec<String> = timing(&a, &b).into_iter().collect();
    found.extend(quality(&a, &b));
    found.extend(class(&now.environment.machine, &then.environment.machine));
    found
}

/// Why two sessions are no parts of one: what differs of perfgate, the machine's class, the timing workload and
/// the variants, in words.
pub fn unlike_set_ups(now: &Part, then: &Part) -> Vec<String> {
    let (a, b) = (&now.header, &then.header);
    let mut found: Vec<String> =
        moved("perfgate", &a.provenance.perfgate, &b.provenance.perfgate).into_iter().collect();
    found.extend(class(&a.environment.machine, &b.environment.machine));
    found.extend(timing(&StoredWorkload::of(&a.plan), &StoredWorkload::of(&b.plan)));
    found.extend(moved("reference", &a.plan.reference, &b.plan.reference));
    found.extend(moved("variants", a.plan.variants.join(", "), b.plan.variants.join(", ")));
    for (name, new) in &a.variants {
        let Some(old) = b.variants.get(name) else { continue };
        // Without rounds nothing is known of an engine's build.
        let unknown = EngineInfo::default();
        let both = now.engine(name).zip(then.engine(name));
        let (new_engine, old_engine) = both.unwrap_or((&unknown, &unknown));
        found.extend(settings(name, (new, new_engine), (old, old_engine)));
        let switches = |record: &VariantRecord| record.test_switches.join("; ");
        found.extend(changed(&of("test switch", name), switches(new), switches(old)));
    }
    found
}

fn changed<T: PartialEq + std::fmt::Display>(what: &str, now: T, then: T) -> Option<String> {
    (now != then).then(|| format!("another {what} ({then} then, {now} now)"))
}

fn moved<T: PartialEq + std::fmt::Display>(what: &str, now: T, then: T) -> Option<String> {
    (now != then).then(|| format!("{what} {then} then, {now} now"))
}

fn known(version: &str) -> &str {
    if version.is_empty() { "unknown" } else { version }
}

/// The start of a sum, or what stands for none.
fn short(sum: &str) -> &str {
    if sum.is_empty() { "none" } else { hash::short(sum, 12) }
}

fn timing(now: &StoredWorkload, then: &StoredWorkload) -> Option<String> {
    if now.sha256 == then.sha256 {
        return None;
    }
    let length = |tokens: Option<u32>| tokens.map_or("as written".to_string(), |n| n.to_string());
    let parts = [
        moved("tasks", now.tasks.len(), then.tasks.len()),
        moved("prompt_tokens", length(now.prompt_tokens), length(then.prompt_tokens)),
        moved("gen_tokens", now.gen_tokens, then.gen_tokens),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Some(match parts.is_empty() {
        true => "another workload (other prompts, seed or sampling)".to_string(),
        false => format!("another workload ({})", parts.join("; ")),
    })
}

fn quality(now: &StoredWorkload, then: &StoredWorkload) -> Option<String> {
    let sum = |workload: &StoredWorkload| workload.quality_sha256.clone().unwrap_or_default();
    let (a, b) = (sum(now), sum(then));
    (a != b).then(|| {
        format!(
            "other graded tasks ({} with sha256 {} then, {} with {} now)",
            then.quality_tasks,
            short(&b),
            now.quality_tasks,
            short(&a)
        )
    })
}

fn class(now: &MachineClass, then: &MachineClass) -> Option<String> {
    let parts = class_differences(now, then);
    (!parts.is_empty()).then(|| format!("another machine class ({})", parts.join("; ")))
}

/// What differs between two machine classes, each difference in words; nothing within one.
///
/// A class of version 1 knows neither of quotas nor of several kinds of cores. It is one with a class of version 2 that has
/// none of both and what version 1 says of it is equal.
pub fn class_differences(now: &MachineClass, then: &MachineClass) -> Vec<String> {
    let mut parts = processor(now, then);
    match (&now.finer, &then.finer) {
        (Some(new), Some(old)) => {
            parts.extend(moved("usable CPUs", new.cpus_in_words(), old.cpus_in_words()));
            parts.extend(moved("memory", gib(new.memory_gib), gib(old.memory_gib)));
        }
        (new, old) => {
            if new.iter().chain(old).any(|finer| finer.quota_milli.is_some()) {
                let quota = |finer: &Option<FinerClass>| match finer {
                    Some(finer) => finer.cpus_in_words(),
                    None => "not recorded".to_string(),
                };
                parts.extend(moved("CPU quota", quota(new), quota(old)));
            }
            parts.extend(moved("usable CPUs", now.usable_cpus, then.usable_cpus));
            parts.extend(moved("memory", gib(now.memory_gib), gib(then.memory_gib)));
        }
    }
    parts.extend(moved("architecture", &now.arch, &then.arch));
    parts.extend(moved("system", &now.os, &then.os));
    parts
}

/// Whether two machines are of one class.
pub fn same_class(now: &MachineClass, then: &MachineClass) -> bool {
    class_differences(now, then).is_empty()
}

fn gib(memory: u64) -> String {
    format!("{memory} GiB")
}

/// That two machines have other processors, with what differs: ratios are not comparable then, and what
/// INT8 models answer can differ.
pub fn another_processor(now: &MachineClass, then: &MachineClass) -> Option<String> {
    let parts = processor(now, then);
    (!parts.is_empty()).then(|| format!("another processor ({})", parts.join("; ")))
}

fn processor(now: &MachineClass, then: &MachineClass) -> Vec<String> {
    let sets = |machine: &MachineClass| machine.instruction_sets.join("+");
    let kinds = |machine: &MachineClass| match machine.finer.as_ref().map(|finer| &finer.cores) {
        Some(cores) if !cores.is_empty() => cores.join(" + "),
        _ => "of one".to_string(),
    };
    let parts = [
        moved("CPU model", &now.cpu, &then.cpu),
        moved("kinds of cores", kinds(now), kinds(then)),
        moved("instruction sets", sets(now), sets(then)),
    ];
    parts.into_iter().flatten().collect()
}

fn of(what: &str, variant: &str) -> String {
    format!("{what} of '{variant}'")
}

/// What differs of a variant: now, then. Test switches and the model's place are no part of it.
fn settings(name: &str, (new, new_engine): SetUp<'_>, (old, old_engine): SetUp<'_>) -> Vec<String> {
    let of = |what: &str| of(what, name);
    let mut found: Vec<String> = [
        changed(&of("model"), short(&new.model_sha256), short(&old.model_sha256)),
        changed(&of("engine"), &new.engine, &old.engine),
        changed(&of("engine version"), known(&new_engine.version), known(&old_engine.version)),
        changed(&of("number of threads"), new.threads, old.threads),
    ]
    .into_iter()
    .flatten()
    .collect();
    let identity = Identity::differences(new.identity.as_ref(), old.identity.as_ref());
    found.extend(identity.iter().map(|what| of(what)));
    let all = |asked: &VariantRecord, engine: &EngineInfo| {
        let mut all: BTreeMap<String, String> = asked.options.clone();
        all.extend(asked.properties.clone());
        all.extend(engine.properties.clone());
        // Where files lie is the machine's own; what they say is compared by itself.
        all.remove(engine::RUNTIME);
        all.remove("chat_template");
        if let Some(folder) = all.get_mut("CACHE_DIR") {
            *folder = "set".to_string();
        }
        all
    };
    let (a, b) = (all(new, new_engine), all(old, old_engine));
    let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let value = |all: &BTreeMap<String, String>, key: &String| {
        all.get(key).cloned().unwrap_or_else(|| "unset".to_string())
    };
    found.extend(
        keys.into_iter().filter_map(|key| changed(&of(key), value(&a, key), value(&b, key))),
    );
    found
}
