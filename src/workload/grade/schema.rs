//! Owns the grader of JSON by a schema.

use super::{Miss, clipped, difference, json, quoted, shown};
use jsonschema::{PatternOptions, Validator};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// A JSON Schema, and the value that is expected, if only one is:
/// `{"schema": {"type": "object"}, "equals": {"a": 1}}`. The draft is that of `$schema`, else
/// 2020-12. `format` only informs, in every draft, as the JSON Schema organisation's suite has it; nothing is fetched
/// for a `$ref`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Schema {
    fields: Fields,
    validator: Arc<Validator>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    schema: Value,
    #[serde(default, deserialize_with = "given")]
    equals: Option<Value>,
}

/// A value that is given, `null` too.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl PartialEq for Schema {
    fn eq(&self, other: &Schema) -> bool {
        self.fields == other.fields
    }
}

impl TryFrom<Fields> for Schema {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Schema, String> {
        // Patterns that take exponential time for some answers are refused with the rest.
        let options = jsonschema::options()
            .offline()
            .should_validate_formats(false)
            .with_pattern_options(PatternOptions::regex());
        let built = options.build(&fields.schema);
        let validator = built.map_err(|error| {
            format!("no JSON Schema: at {:?}: {error}", error.instance_path().as_str())
        })?;
        let schema = Schema { fields, validator: Arc::new(validator) };
        if let Some(value) = &schema.fields.equals {
            schema.valid(value).map_err(|why| format!("`equals` is not valid: {why}"))?;
        }
        Ok(schema)
    }
}

impl Schema {
    /// Whether the text is JSON, valid, and the value that is expected.
    pub(super) fn check(&self, text: &str) -> Result<(), Miss> {
        let value = json::read(json::unfenced(text)).map_err(Miss::malformed)?;
        self.valid(&value).map_err(Miss::Wrong)?;
        let Some(expected) = &self.fields.equals else { return Ok(()) };
        match difference(expected, &value) {
            None => Ok(()),
            Some((path, what)) => Err(Miss::Wrong(placed(&path, &what))),
        }
    }

    /// The first violation.
    fn valid(&self, value: &Value) -> Result<(), String> {
        let Err(error) = self.validator.validate(value) else { return Ok(()) };
        let what = error.masked_with(shown(error.instance())).to_string();
        let visible: String = what.chars().flat_map(escaped).collect();
        Err(placed(error.instance_path().as_str(), &visible))
    }
}

/// What is wrong at a place of the answer.
fn placed(path: &str, what: &str) -> String {
    match path {
        "" => what.to_string(),
        path => format!("at {}: {what}", quoted(&clipped(path, 60))),
    }
}

/// A character of a message that quotes the model, escaped if it cannot be seen.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let keep = matches!(c, '"' | '\'' | '\\');
    let plain = keep.then_some(c).into_iter();
    plain.chain((!keep).then(|| c.escape_debug()).into_iter().flatten())
}
