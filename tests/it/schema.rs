//! Holds every written file against its JSON Schema, and the schemas in the repository against the types
//! that they are made from.

use jsonschema::Validator;
use perfgate::baseline::Stored;
use perfgate::record::{JournalLine, Results, Starts};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The folder of the schemas.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

fn json(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

fn validator(name: &str) -> Validator {
    jsonschema::validator_for(&json(&folder().join(name))).unwrap()
}

fn assert_valid(validator: &Validator, value: &Value, what: &str) {
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}");
}

/// A file of results, as perfgate wrote it.
pub fn validate_results(file: &Path) {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| validator("results.schema.json"));
    assert_valid(validator, &json(file), &file.display().to_string());
}

/// Every line of a journal.
pub fn validate_journal(lines: &str) {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| validator("journal.schema.json"));
    for line in lines.lines() {
        assert_valid(validator, &serde_json::from_str(line).unwrap(), line);
    }
}

/// A file of cold starts.
pub fn validate_starts(file: &Path) {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| validator("starts.schema.json"));
    assert_valid(validator, &json(file), &file.display().to_string());
}

/// A stored session.
pub fn validate_baseline(file: &Path) {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| validator("baseline.schema.json"));
    assert_valid(validator, &json(file), &file.display().to_string());
}

#[test]
fn the_schemas_are_those_of_the_types() {
    let schemas = [
        ("results.schema.json", schemars::schema_for!(Results)),
        ("journal.schema.json", schemars::schema_for!(JournalLine)),
        ("baseline.schema.json", schemars::schema_for!(Stored)),
        ("starts.schema.json", schemars::schema_for!(Starts)),
    ];
    for (name, schema) in schemas {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let file = folder().join(name);
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let there = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            there == text,
            "schemas/{name} is not what the types say: UPDATE_SCHEMAS=1 cargo test --release schemas"
        );
    }
}

#[test]
fn a_schema_refuses_what_is_wrong() {
    let validator = validator("results.schema.json");
    let right = json(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/results-v2.json"));
    assert_valid(&validator, &right, "the sample");
    let break_it = |pointer: &str, value: Value| {
        let mut wrong = right.clone();
        *wrong.pointer_mut(pointer).expect(pointer) = value;
        assert!(!validator.is_valid(&wrong), "{pointer}");
    };
    break_it("/format", "two".into());
    break_it("/judgement/verdicts/0/verdict", "fine".into());
    break_it("/judgement/verdicts/0/rule/metric", "speed".into());
    break_it("/parts/0/rounds/0/requests/0/start_ns", (-1).into());
    break_it("/judgement/verdicts/0/effect/high", "infinite".into());
}

#[test]
fn the_stored_sessions_of_the_repository_are_valid() {
    let classes = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("baselines"));
    let mut seen = 0;
    for class in classes.unwrap() {
        for file in std::fs::read_dir(class.unwrap().path()).unwrap() {
            validate_baseline(&file.unwrap().path());
            seen += 1;
        }
    }
    assert!(seen >= 3, "{seen}");
}
