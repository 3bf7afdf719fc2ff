//! Owns the comparison of a call's arguments with their alternatives, by the rules of the Berkeley
//! Function-Calling Leaderboard's checker of syntax trees: types first, then values, texts without
//! regard to case, spaces and some punctuation.

use super::{Call, quoted, same, shown};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The parameters of one expected call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameters {
    alternatives: BTreeMap<String, Vec<Value>>,
    types: BTreeMap<String, Type>,
    required: Vec<String>,
}

/// A tool as its description has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tool {
    /// The tool's name.
    pub name: String,
    /// What it says of each parameter's type, if it lists its parameters.
    types: Option<BTreeMap<String, Option<Type>>>,
    required: Vec<String>,
}

/// The type of a parameter, and of its items if it is a list of known ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Type {
    kind: Kind,
    items: Option<Kind>,
}

/// The kind of a value; integers are no floats here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Boolean,
    Integer,
    Float,
    Text,
    List,
    Object,
}

impl Kind {
    fn of(value: &Value) -> Kind {
        match value {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Boolean,
            Value::Number(number) if number.is_f64() => Kind::Float,
            Value::Number(_) => Kind::Integer,
            Value::String(_) => Kind::Text,
            Value::Array(_) => Kind::List,
            Value::Object(_) => Kind::Object,
        }
    }

    /// The kind that a description names, in the words of JSON Schema or of the leaderboard.
    fn named(name: &str) -> Option<Kind> {
        Some(match name {
            "null" => Kind::Null,
            "boolean" => Kind::Boolean,
            "integer" => Kind::Integer,
            "float" | "number" => Kind::Float,
            "string" | "any" => Kind::Text,
            "array" | "tuple" => Kind::List,
            "dict" | "object" => Kind::Object,
            _ => return None,
        })
    }

    fn title(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Boolean => "a boolean",
            Kind::Integer => "an integer",
            Kind::Float => "a float",
            Kind::Text => "a text",
            Kind::List => "a list",
            Kind::Object => "an object",
        }
    }

    /// The kind of alternatives: that of the first which is not `""`.
    fn of_first(alternatives: &[Value]) -> Option<Kind> {
        alternatives.iter().find(|value| !is_blank(value)).map(Kind::of)
    }
}

impl Tool {
    /// Reads `{"name": …, "parameters": {"properties": {…}, "required": […]}}`, in OpenAI's envelope
    /// or without.
    pub fn new(description: &Value) -> Result<Tool, String> {
        let description = description.get("function").unwrap_or(description);
        let Some(name) = description["name"].as_str() else {
            return Err("one of the `tools` has no `name`".to_string());
        };
        let parameters = &description["parameters"];
        let typed = |(key, property): (&String, &Value)| Ok((key.clone(), Type::new(property)?));
        let properties = parameters["properties"].as_object();
        let types = properties.map(|properties| properties.iter().map(typed).collect());
        let types = types
            .transpose()
            .map_err(|what: String| format!("the tool {}: {what}", quoted(name)))?;
        let required = parameters["required"].as_array().into_iter().flatten();
        let required = required.filter_map(|key| key.as_str().map(str::to_string)).collect();
        Ok(Tool { name: name.to_string(), types, required })
    }
}

impl Type {
    /// The type in a parameter's description; `None` if it names none.
    fn new(property: &Value) -> Result<Option<Type>, String> {
        let kind = |property: &Value| match property["type"].as_str() {
            Some(name) => Kind::named(name)
                .map(Some)
                .ok_or_else(|| format!("the type {} is not known", quoted(name))),
            None => Ok(None),
        };
        let Some(outer) = kind(property)? else { return Ok(None) };
        let items = if outer == Kind::List { kind(&property["items"])? } else { None };
        Ok(Some(Type { kind: outer, items }))
    }

    /// The type of alternatives whose description names none; of items only if all are of one.
    fn of(alternatives: &[Value]) -> Type {
        let kind = Kind::of_first(alternatives).unwrap_or(Kind::Text);
        let mut items = alternatives.iter().filter_map(Value::as_array).flatten().map(Kind::of);
        let first = items.next();
        Type { kind, items: first.filter(|first| items.all(|other| other == *first)) }
    }
}

impl Parameters {
    /// Reads `{"parameter": [alternatives]}`; a tool's description adds types and what is required.
    pub fn new(written: Value, tool: Option<&Tool>) -> Result<Parameters, String> {
        let Value::Object(written) = written else {
            return Err("the parameters are no object".to_string());
        };
        let mut alternatives = BTreeMap::new();
        for (name, values) in written {
            let Value::Array(values) = values else {
                return Err(format!("{}: the alternatives are no list", quoted(&name)));
            };
            let objects = values.iter().chain(values.iter().filter_map(Value::as_array).flatten());
            let mut entries = objects.filter_map(Value::as_object).flatten();
            if let Some((key, _)) = entries.find(|(_, value)| !value.is_array()) {
                return Err(format!(
                    "{}: {} needs a list of alternatives, as in {{\"key\": [1, 2]}}",
                    quoted(&name),
                    quoted(key)
                ));
            }
            alternatives.insert(name, values);
        }
        let described = tool.and_then(|tool| tool.types.as_ref());
        let types = alternatives.iter().filter_map(|(name, values)| {
            let described = match described {
                // What the tool does not take is not expected, whatever the task says.
                Some(types) => *types.get(name)?,
                None => None,
            };
            Some((name.clone(), described.unwrap_or_else(|| Type::of(values))))
        });
        let types = types.collect();
        let required = tool.map_or(Vec::new(), |tool| tool.required.clone());
        Ok(Parameters { alternatives, types, required })
    }

    /// What is missing, unexpected or none of its alternatives.
    pub fn differences(&self, call: &Call) -> Vec<String> {
        let arguments = &call.arguments;
        let mut all: Vec<String> = self
            .required
            .iter()
            .filter(|name| !arguments.contains_key(*name))
            .map(|name| format!("required argument {} is missing", named(name)))
            .collect();
        for (name, value) in arguments {
            let (Some(alternatives), Some(typed)) =
                (self.alternatives.get(name), self.types.get(name))
            else {
                all.push(format!("argument {} is not expected", quoted(name)));
                continue;
            };
            let read = (call.untyped && typed.kind != Kind::Text).then(|| from_text(value.clone()));
            if let Err(what) = argument(read.as_ref().unwrap_or(value), alternatives, *typed) {
                all.push(format!("argument {}: {what}", named(name)));
            }
        }
        let missing = self.alternatives.iter().filter(|(name, alternatives)| {
            !arguments.contains_key(*name)
                && !self.required.contains(name)
                && !alternatives.iter().any(is_blank)
        });
        all.extend(missing.map(|(name, _)| format!("argument {} is missing", named(name))));
        all
    }
}

/// The name of a parameter for a reason.
fn named(name: &str) -> String {
    format!("'{}'", name.escape_debug())
}

/// The value that a text of any type stands for: a constant, a number or a structure, or the text itself.
pub(super) fn from_text(value: Value) -> Value {
    let Value::String(text) = &value else { return value };
    match text.trim() {
        "True" => true.into(),
        "False" => false.into(),
        "None" => Value::Null,
        bare => super::json::read(bare).unwrap_or(value),
    }
}

/// `""` among alternatives: the argument may be left out.
fn is_blank(value: &Value) -> bool {
    value.as_str() == Some("")
}

/// Whether a value is of its type and one of the alternatives.
fn argument(value: &Value, alternatives: &[Value], typed: Type) -> Result<(), String> {
    let as_described = of_type(value, alternatives, typed)?;
    // Alternatives of another type than the description's stand for a variable: no text rules.
    let plain =
        !as_described || Kind::of_first(alternatives).is_some_and(|kind| kind != typed.kind);
    let equal = match value {
        Value::Object(object) if !plain => alternatives.iter().any(|one| object_fits(object, one)),
        Value::Array(items) if !plain && typed.items == Some(Kind::Object) => {
            alternatives.iter().any(|one| objects_fit(items, one))
        }
        Value::Array(items) if !plain => {
            let loose: Value = items.iter().map(standardized).collect();
            alternatives.iter().any(|one| same(&loose, &standardized_list(one)))
        }
        Value::String(_) if !plain => {
            let loose = standardized(value);
            alternatives.iter().any(|one| standardized(one) == loose)
        }
        _ => alternatives.iter().any(|one| same(one, value)),
    };
    if equal {
        return Ok(());
    }
    let expected: Vec<_> = alternatives.iter().filter(|one| !is_blank(one)).map(shown).collect();
    Err(format!("{} is none of {}", shown(value), expected.join(", ")))
}

/// Whether a value is of the type that is described, and not only of that of the alternatives; an
/// error if it is of neither.
fn of_type(value: &Value, alternatives: &[Value], typed: Type) -> Result<bool, String> {
    let found = match (typed.kind, Kind::of(value)) {
        // Python turns an integer into a float by itself, and not the other way round.
        (Kind::Float, Kind::Integer) => Kind::Float,
        (_, found) => found,
    };
    let as_described = found == typed.kind;
    if !as_described && Kind::of_first(alternatives) != Some(found) {
        return Err(format!("{} is not {}", shown(value), typed.kind.title()));
    }
    if let (true, Some(kind), Value::Array(items)) = (as_described, typed.items, value) {
        let fits = |list: &Value| list.as_array().is_none_or(|list| items_fit(items, list, kind));
        if !alternatives.iter().any(fits) {
            return Err(format!("{} is not a list, each item {}", shown(value), kind.title()));
        }
    }
    Ok(as_described)
}

/// Whether each item is of a kind, or of that of an alternative's items.
fn items_fit(items: &[Value], alternative: &[Value], kind: Kind) -> bool {
    let other = Kind::of_first(alternative);
    items.iter().map(Kind::of).all(|found| found == kind || other == Some(found))
}

/// Whether an object is one that an alternative `{"key": [alternatives]}` allows.
fn object_fits(object: &Map<String, Value>, alternative: &Value) -> bool {
    let Value::Object(alternative) = alternative else { return false };
    let each = object.iter().all(|(key, value)| {
        let allowed = alternative.get(key).and_then(Value::as_array).into_iter().flatten();
        let loose = standardized(value);
        allowed.map(standardized).any(|one| same(&one, &loose))
    });
    let optional = |values: &Value| values.as_array().is_some_and(|all| all.iter().any(is_blank));
    each && alternative.iter().all(|(key, values)| object.contains_key(key) || optional(values))
}

/// Whether a list of objects is one that an alternative allows, in its order.
fn objects_fit(items: &[Value], alternative: &Value) -> bool {
    let allowed = alternative.as_array().map_or(&[][..], |allowed| allowed);
    items.len() == allowed.len()
        && items
            .iter()
            .zip(allowed)
            .all(|(item, one)| item.as_object().is_some_and(|object| object_fits(object, one)))
}

/// A list with its texts standardized; `""`, which makes an argument optional, is the empty list.
fn standardized_list(alternative: &Value) -> Value {
    match alternative {
        Value::Array(items) => items.iter().map(standardized).collect(),
        _ if is_blank(alternative) => Value::Array(Vec::new()),
        other => other.clone(),
    }
}

/// A text in lower case, without spaces and the marks `,./-_*^`, with one kind of quotes; anything
/// else as it is.
fn standardized(value: &Value) -> Value {
    let Value::String(text) = value else { return value.clone() };
    let bare: String = text.chars().filter(|c| !" ,./-_*^".contains(*c)).collect();
    bare.to_lowercase().replace('\'', "\"").into()
}
