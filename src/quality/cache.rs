//! Owns the cache of answers and of forced documents: a file of JSON Lines for everything that an answer
//! depends on beside its prompt, a line for each answer, written as it comes.
//!
//! An answer depends on the model, the engine with its version, the properties that were asked for and those that are in
//! force, the threads, the instruction sets and the variables of the environment that change arithmetic; and on the
//! prompt, the seed and the generation parameters. A property that cannot be read back is there as it was asked for.
//! What is right is decided anew each time, so a changed grader or expectation costs nothing. Failures are not kept.

use crate::hash;
use crate::problem::{Problem, Result};
use crate::record::{EngineInfo, MachineClass, VariantRecord};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What came of one set-up; of answers their tokens. A cache that is off knows and keeps nothing.
pub(super) struct Cache<T = Given> {
    file: Option<(PathBuf, File)>,
    known: HashMap<String, T>,
}

/// What an answer came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Given {
    /// Its tokens; none of choices.
    pub(super) tokens: Vec<u32>,
    /// Of choices: the log likelihood of each, nats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) log_likelihoods: Vec<f64>,
}

impl Given {
    /// A free-running answer.
    pub(super) fn of(tokens: &[u32]) -> Given {
        Given { tokens: tokens.to_vec(), log_likelihoods: Vec::new() }
    }
}

#[derive(Serialize, Deserialize)]
struct Line<T> {
    order: String,
    #[serde(flatten)]
    value: T,
}

/// Everything that an answer depends on beside its order.
#[derive(Serialize)]
pub(super) struct SetUp<'a> {
    model_sha256: &'a str,
    engine: &'a str,
    version: &'a str,
    requested: &'a BTreeMap<String, String>,
    properties: &'a BTreeMap<String, String>,
    environment: Option<&'a BTreeMap<String, String>>,
    options: &'a BTreeMap<String, String>,
    threads: usize,
    arch: &'a str,
    instruction_sets: &'a [String],
}

impl<'a> SetUp<'a> {
    pub(super) fn of(
        record: &'a VariantRecord,
        engine: &'a EngineInfo,
        machine: &'a MachineClass,
    ) -> SetUp<'a> {
        SetUp {
            model_sha256: &record.model_sha256,
            engine: &engine.engine,
            version: &engine.version,
            requested: &engine.requested,
            properties: &engine.properties,
            environment: record.identity.as_ref().map(|identity| &identity.environment),
            options: &record.options,
            threads: record.threads,
            arch: &machine.arch,
            instruction_sets: &machine.instruction_sets,
        }
    }
}

impl Cache {
    /// Opens the cache of a set-up.
    pub(super) fn open(
        folder: &Path,
        record: &VariantRecord,
        engine: &EngineInfo,
        machine: &MachineClass,
    ) -> Result<Cache> {
        Cache::of(folder, &SetUp::of(record, engine, machine))
    }
}

impl<T: Clone + Serialize + DeserializeOwned> Cache<T> {
    /// No cache.
    pub(super) fn off() -> Cache<T> {
        Cache { file: None, known: HashMap::new() }
    }

    /// Opens the cache of a set-up, or of several together.
    pub(super) fn of(folder: &Path, set_up: &impl Serialize) -> Result<Cache<T>> {
        let json = serde_json::to_string(set_up).expect("plain data");
        let path = folder.join(format!("{}.jsonl", &hash::of_bytes(json.as_bytes())[..24]));
        let problem =
            |error: std::io::Error| Problem::io(&path, "open the cache of answers", &error);
        std::fs::create_dir_all(folder).map_err(problem)?;
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(problem(error)),
        };
        let known = text
            .lines()
            // A line that was cut by a kill, and the first one, which is for people, are none.
            .filter_map(|line| serde_json::from_str::<Line<T>>(line).ok())
            .map(|line| (line.order, line.value))
            .collect();
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(problem)?;
        let mut cache = Cache { file: Some((path, file)), known };
        match text {
            text if text.is_empty() => cache.write(&json)?,
            text if !text.ends_with('\n') => cache.write("")?,
            _ => {}
        }
        Ok(cache)
    }

    /// What was kept under a key.
    pub(super) fn get(&self, key: &str) -> Option<T> {
        self.known.get(key).cloned()
    }

    /// Keeps what came of what was asked.
    pub(super) fn put(&mut self, key: String, value: T) -> Result<()> {
        if self.file.is_none() {
            return Ok(());
        }
        let line = Line { order: key, value };
        self.write(&serde_json::to_string(&line).expect("plain data"))
    }

    fn write(&mut self, line: &str) -> Result<()> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        file.write_all(format!("{line}\n").as_bytes()).map_err(|error| {
            Problem::io(path, "write to the cache of answers", &error)
                .help("make room there and run again; the answers up to here are kept")
        })
    }
}

/// What tells one thing that is asked from another.
pub(super) fn key(order: &impl Serialize) -> String {
    hash::of_bytes(&serde_json::to_vec(order).expect("an order is plain data"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Order;
    use crate::record::Identity;

    fn tokens(cache: &Cache, order: &Order) -> Option<Vec<u32>> {
        cache.get(&key(order)).map(|given| given.tokens)
    }

    fn record(sum: &str) -> VariantRecord {
        VariantRecord {
            engine: "e".into(),
            model: "m".into(),
            model_sha256: sum.into(),
            threads: 2,
            properties: BTreeMap::new(),
            options: BTreeMap::new(),
            test_switches: vec![],
            ..VariantRecord::default()
        }
    }

    fn machine(set: &str) -> MachineClass {
        MachineClass {
            cpu: "c".into(),
            instruction_sets: vec![set.into()],
            usable_cpus: 2,
            arch: "a".into(),
            os: "o".into(),
            memory_gib: 1,
            finer: None,
        }
    }

    #[test]
    fn answers_are_found_again_for_the_same_set_up_and_order_only() {
        let folder = tempfile::tempdir().unwrap();
        let open = |sum: &str, set: &str| {
            Cache::open(folder.path(), &record(sum), &EngineInfo::default(), &machine(set)).unwrap()
        };
        let order = Order { prompt: vec![1, 2], tokens: 3, ..Order::default() };
        let mut cache = open("x", "avx2");
        assert_eq!(tokens(&cache, &order), None);
        cache.put(key(&order), Given::of(&[7, 8])).unwrap();
        assert_eq!(tokens(&open("x", "avx2"), &order), Some(vec![7, 8]));
        assert_eq!(tokens(&open("y", "avx2"), &order), None, "another model");
        assert_eq!(tokens(&open("x", "amx"), &order), None, "other instructions");
        assert_eq!(tokens(&open("x", "avx2"), &Order { seed: 1, ..order.clone() }), None);
        let with = |key: &str, value: &str, isa: &str| {
            let engine = EngineInfo {
                requested: [(key.to_string(), value.to_string())].into(),
                ..EngineInfo::default()
            };
            let environment = [("ONEDNN_MAX_CPU_ISA".to_string(), isa.to_string())].into();
            let identity = Some(Identity { environment, ..Identity::default() });
            let record = VariantRecord { identity, ..record("x") };
            Cache::open(folder.path(), &record, &engine, &machine("avx2")).unwrap()
        };
        let mut cached = with("CACHE_DIR", "c", "AVX2");
        cached.put(key(&order), Given::of(&[9])).unwrap();
        assert_eq!(tokens(&with("CACHE_DIR", "c", "AVX2"), &order), Some(vec![9]));
        assert_eq!(
            tokens(&with("CACHE_DIR", "d", "AVX2"), &order),
            None,
            "what cannot be read back"
        );
        assert_eq!(tokens(&with("CACHE_DIR", "c", "AVX512"), &order), None, "another environment");
    }

    #[test]
    fn a_line_cut_by_a_kill_loses_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            Cache::open(folder.path(), &record("x"), &EngineInfo::default(), &machine("s")).unwrap()
        };
        let orders: Vec<Order> =
            (1..4).map(|tokens| Order { tokens, ..Order::default() }).collect();
        let mut cache = open();
        cache.put(key(&orders[0]), Given::of(&[1])).unwrap();
        cache.put(key(&orders[1]), Given::of(&[2])).unwrap();
        let (path, _) = cache.file.as_ref().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::write(path, &text[..text.len() - 5]).unwrap();
        let mut cache = open();
        assert_eq!(tokens(&cache, &orders[0]), Some(vec![1]));
        assert_eq!(tokens(&cache, &orders[1]), None);
        cache.put(key(&orders[2]), Given::of(&[3])).unwrap();
        assert_eq!(tokens(&open(), &orders[2]), Some(vec![3]));
    }
}
