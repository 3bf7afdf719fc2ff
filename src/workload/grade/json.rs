//! Owns the reading of JSON answers: without the code fence around them, and no more lenient than
//! the strictest parser of an agent.

use super::quoted;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The text without white space at its ends, and without the one code fence that encloses all of it.
pub(super) fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inside = text.strip_prefix("```").and_then(|text| text.strip_suffix("```"));
    let body = inside.and_then(|inside| inside.split_once('\n')).filter(|(language, _)| {
        language.trim().chars().all(|c| c.is_ascii_alphanumeric() || "+-_".contains(c))
    });
    body.map_or(text, |(_, body)| body.trim())
}

/// Reads JSON and nothing else. Of a key that stands twice parsers keep the first, the last or
/// neither, so it is an error. So is nesting deeper than 128.
pub(super) fn read(text: &str) -> Result<Value, String> {
    match serde_json::from_str::<Strict>(text) {
        Ok(Strict(value)) => Ok(value),
        Err(error) => Err(format!("no JSON ({error}): {}", quoted(text))),
    }
}

/// Reads one value at the beginning of a text, and what stands after it.
pub(super) fn first(text: &str) -> Result<(Value, &str), String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Strict>();
    match values.next() {
        Some(Ok(Strict(value))) => Ok((value, &text[values.byte_offset()..])),
        Some(Err(error)) => Err(format!("no JSON ({error}): {}", quoted(text))),
        None => Err(format!("no JSON (nothing): {}", quoted(text))),
    }
}

/// Reads one value, or several with a line's end, a comma or a semicolon between each two.
pub(super) fn sequence(text: &str) -> Result<Vec<Value>, String> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        let (value, after) = first(rest)?;
        values.push(value);
        let next = after.trim_start_matches([' ', '\t', '\r', '\n']);
        if next.is_empty() {
            return Ok(values);
        }
        let mark = next.strip_prefix([',', ';']);
        if mark.is_none() && !after[..after.len() - next.len()].contains('\n') {
            return Err(format!("no JSON (trailing characters): {}", quoted(text)));
        }
        rest = mark.unwrap_or(next);
    }
}

/// A value of which no key stands twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Strict, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {} stands twice", quoted(&key))));
            }
            let Strict(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(map.into())
    }
}
