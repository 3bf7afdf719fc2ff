//! Owns what must be equal for two sessions to be compared, and the naming of each difference.

use super::store::{Stored, StoredVariant, StoredWorkload};
use crate::hash;
use crate::metric::{Kind, Metric};
use crate::record::{EngineInfo, Header, MachineClass, Part, VariantRecord};
use std::collections::BTreeMap;

/// Why a stored session says nothing about a metric of this one: each difference in words, `then`
/// against now; none where they can be compared.
///
/// `relative_to` is the variant whose ratio is compared; it must be the same in all that matters.
/// Without it values are compared as they are, and the machine's class must be.
pub fn differences(
    now: &Part,
    then: &Stored,
    metric: Metric,
    relative_to: Option<&str>,
) -> Vec<String> {
    let unknown = EngineInfo::default();
    let reference = relative_to.and_then(|name| {
        Some((now.header.variants.get(name)?, now.engine(name).unwrap_or(&unknown)))
    });
    let side = Side {
        workload: &StoredWorkload::of(&now.header.plan),
        machine: &now.header.environment.machine,
        reference,
    };
    side.differences(then, metric, relative_to)
}

/// The same of two stored sessions.
pub fn differences_of_stored(
    now: &Stored,
    then: &Stored,
    metric: Metric,
    relative_to: Option<&str>,
) -> Vec<String> {
    let reference = relative_to.and_then(|name| now.variants.get(name));
    let side = Side {
        workload: &now.workload,
        machine: &now.machine,
        reference: reference.map(|variant| (&variant.asked, &variant.engine)),
    };
    side.differences(then, metric, relative_to)
}

/// What a session is compared by.
struct Side<'a> {
    workload: &'a StoredWorkload,
    machine: &'a MachineClass,
    /// The variant whose ratio is compared: what was asked of it, and what its engine said.
    reference: Option<(&'a VariantRecord, &'a EngineInfo)>,
}

impl Side<'_> {
    fn differences(&self, then: &Stored, metric: Metric, relative_to: Option<&str>) -> Vec<String> {
        let mut found = workloads(metric, self.workload, &then.workload);
        match relative_to {
            _ if metric.is_proportion() => {}
            None => found.extend(class(self.machine, &then.machine)),
            Some(reference) => {
                let parts = processor(self.machine, &then.machine);
                if !parts.is_empty() {
                    found.push(format!("another processor ({})", parts.join("; ")));
                }
                found.extend(variant(self.reference, then, reference));
            }
        }
        found
    }
}

/// Why a metric of two sessions cannot be compared as it is, each difference in words.
pub fn unlike(now: &Header, then: &Header, metric: Metric) -> Vec<String> {
    let (a, b) = (StoredWorkload::of(&now.plan), StoredWorkload::of(&then.plan));
    let mut found = workloads(metric, &a, &b);
    if !metric.is_proportion() {
        found.extend(class(&now.environment.machine, &then.environment.machine));
    }
    found
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
    let memory = |machine: &MachineClass| format!("{} GiB", machine.memory_gib);
    let mut parts = processor(now, then);
    parts.extend(moved("usable CPUs", now.usable_cpus, then.usable_cpus));
    parts.extend(moved("architecture", &now.arch, &then.arch));
    parts.extend(moved("system", &now.os, &then.os));
    parts.extend(moved("memory", memory(now), memory(then)));
    (!parts.is_empty()).then(|| format!("another machine class ({})", parts.join("; ")))
}

fn processor(now: &MachineClass, then: &MachineClass) -> Vec<String> {
    let sets = |machine: &MachineClass| machine.instruction_sets.join("+");
    let parts =
        [moved("CPU model", &now.cpu, &then.cpu), moved("instruction sets", sets(now), sets(then))];
    parts.into_iter().flatten().collect()
}

/// What differs of the variant whose ratio is compared. Test switches and the model's place are no part
/// of it.
fn variant(now: Option<(&VariantRecord, &EngineInfo)>, then: &Stored, name: &str) -> Vec<String> {
    let Some(StoredVariant { asked: old, engine: old_engine }) = then.variants.get(name) else {
        return vec![format!("no variant '{name}'")];
    };
    let Some((new, new_engine)) = now else {
        return vec![format!("no variant '{name}' now")];
    };
    let of = |what: &str| format!("{what} of '{name}'");
    let mut found: Vec<String> = [
        changed(&of("model"), short(&new.model_sha256), short(&old.model_sha256)),
        changed(&of("engine"), &new.engine, &old.engine),
        changed(&of("engine version"), known(&new_engine.version), known(&old_engine.version)),
        changed(&of("number of threads"), new.threads, old.threads),
    ]
    .into_iter()
    .flatten()
    .collect();
    let settings = |asked: &VariantRecord, engine: &EngineInfo| {
        let mut all: BTreeMap<String, String> = asked.options.clone();
        all.extend(asked.properties.clone());
        all.extend(engine.properties.clone());
        all
    };
    let (a, b) = (settings(new, new_engine), settings(old, old_engine));
    let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let value = |all: &BTreeMap<String, String>, key: &String| {
        all.get(key).cloned().unwrap_or_else(|| "unset".to_string())
    };
    found.extend(
        keys.into_iter().filter_map(|key| changed(&of(key), value(&a, key), value(&b, key))),
    );
    found
}
