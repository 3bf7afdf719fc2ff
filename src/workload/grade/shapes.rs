//! Owns the shapes that a call has in JSON: OpenAI's with its envelope or without, those of model families, and the
//! leaderboard's.

use super::Call;
use super::json;
use serde_json::{Map, Value};

/// Keys that may stand next to a call's name and arguments without changing it.
const BESIDE: [&str; 5] = ["id", "type", "index", "call_id", "tool_call_id"];
/// Keys that name the tool; the last has OpenAI's envelope as well.
const NAMES: [&str; 3] = ["name", "tool_name", "function"];
/// Keys that hold its arguments.
const ARGUMENTS: [&str; 2] = ["arguments", "parameters"];
/// Keys of a whole message next to its calls.
const MESSAGE: [&str; 3] = ["role", "content", "refusal"];

/// Which shapes are calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shapes {
    /// A name and arguments.
    Named,
    /// These, and the leaderboard's `{"tool": {arguments}}`.
    All,
}

/// The calls that a value of JSON makes: a call, a list of them, or a message with some.
pub(super) fn calls(value: Value, shapes: Shapes) -> Result<Vec<Call>, String> {
    match value {
        Value::Array(list) => list.into_iter().map(|value| call(value, shapes)).collect(),
        Value::Object(mut object) if is_message(&object) => match object.remove("tool_calls") {
            Some(Value::Array(list)) => list.into_iter().map(|value| call(value, shapes)).collect(),
            _ => Err("`tool_calls` is not a list".to_string()),
        },
        value => Ok(vec![call(value, shapes)?]),
    }
}

fn is_message(object: &Map<String, Value>) -> bool {
    let known = |key: &String| key == "tool_calls" || MESSAGE.contains(&key.as_str());
    object.contains_key("tool_calls") && object.keys().all(known)
}

/// One call.
pub(super) fn call(value: Value, shapes: Shapes) -> Result<Call, String> {
    let Value::Object(mut object) = value else { return Err("a call is an object".to_string()) };
    for envelope in ["function", "function_call"] {
        let inner = object.get(envelope).and_then(Value::as_object);
        let named = inner.is_some_and(|inner| inner.contains_key("name"));
        let alone = object.keys().all(|key| key == envelope || BESIDE.contains(&key.as_str()));
        if alone && (named || (inner.is_some() && object.len() > 1)) {
            return named_call(object.remove(envelope).unwrap_or_default());
        }
    }
    let named = NAMES.iter().any(|key| object.get(*key).is_some_and(Value::is_string));
    if shapes == Shapes::Named || (named && object.len() > 1) {
        return named_call(object.into());
    }
    let one = object.len() == 1;
    match object.into_iter().next() {
        Some((name, Value::Object(arguments))) if one => Ok(Call::new(name, arguments)),
        _ => Err("neither `name` and `arguments` nor one tool with its arguments".to_string()),
    }
}

/// `{"name": …, "arguments": …}`, whose arguments may be a string of JSON, as OpenAI's interface writes them.
fn named_call(value: Value) -> Result<Call, String> {
    let Value::Object(mut object) = value else { return Err("a call is an object".to_string()) };
    let mut take = |keys: &[&str]| {
        let key = keys.iter().find(|key| object.contains_key(**key))?;
        object.remove(*key)
    };
    let Some(Value::String(name)) = take(&NAMES) else { return Err("missing field `name`".into()) };
    let Some(arguments) = take(&ARGUMENTS) else { return Err("missing field `arguments`".into()) };
    if let Some(key) = object.keys().find(|key| !BESIDE.contains(&key.as_str())) {
        return Err(format!("unknown field `{key}`"));
    }
    let arguments = match arguments {
        Value::String(inner) => json::read(&inner)?,
        arguments => arguments,
    };
    match arguments {
        Value::Object(arguments) if is_schema(&arguments) => {
            Err("a description of a tool".to_string())
        }
        Value::Object(arguments) => Ok(Call::new(name, arguments)),
        _ => Err("the arguments are not an object".to_string()),
    }
}

/// Whether it describes parameters and holds none: a tool's description has the shape of a call.
fn is_schema(arguments: &Map<String, Value>) -> bool {
    let object = arguments.get("type").and_then(Value::as_str);
    object.is_some_and(|kind| ["object", "dict"].contains(&kind))
        && arguments.get("properties").is_some_and(Value::is_object)
}
