//! Owns what a config.json says of rotary embeddings: their base and their scaling stand under several names, old and
//! new, and are run only where all of them agree.
//!
//! transformers 4 reads `rope_theta` and `rope_scaling`. Version 5 reads one table, `rope_parameters`, prefers the
//! table's values to those next to it, and `rope_scaling` to the whole table
//! (`RotaryEmbeddingConfigMixin.convert_rope_params_to_dict` of 5.5). A file that says two things is two models.

use super::Family;
use serde_json::{Map, Value};

/// The remedy of a contradiction.
pub(super) const SAY_ONE: &str =
    "leave the value in config.json that the model was trained with, and remove the other";

/// Why rotary embeddings are not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// candle does not compute them so.
    Unsupported(String),
    /// The file says two things.
    Contradiction(String),
}

/// Settles what the file says, and leaves it under the names that candle reads: `rope_theta`, and `rope_scaling`,
/// which is null for none.
///
/// # Errors
/// If candle would compute something else, or two places disagree.
pub(super) fn settle(json: &mut Value, family: &Family) -> Result<(), Fault> {
    let scaling = table(json, "rope_scaling")?;
    let parameters = table(json, "rope_parameters")?;
    let kind = kind_of(scaling, parameters)?.to_string();
    if !family.rope_scalings.contains(&kind.as_str()) {
        return Err(Fault::Unsupported(format!("the rope scaling '{kind}'")));
    }
    let base = base(json, scaling, parameters)?;
    let all = json.as_object().into_iter().chain(scaling).chain(parameters);
    for part in all.filter_map(|table| table.get("partial_rotary_factor")) {
        if !part.is_null() && part.as_f64() != Some(1.0) {
            return Err(Fault::Unsupported(format!(
                "rotary embeddings of a part of each head ('partial_rotary_factor' {part})"
            )));
        }
    }
    let mut scaled = scaling.or(parameters).filter(|_| kind != "default").cloned();
    let outer = &json["original_max_position_embeddings"];
    if let Some(table) = &mut scaled {
        let inner = table.get("original_max_position_embeddings");
        if let Some(inner) = inner.filter(|inner| !outer.is_null() && *inner != outer) {
            return Err(Fault::Contradiction(format!(
                "says two original contexts: {outer} by 'original_max_position_embeddings' and {inner} in the table \
                 of rotary embeddings"
            )));
        }
        table.insert("rope_type".to_string(), kind.into());
    }
    let Some(object) = json.as_object_mut() else { return Ok(()) };
    object.remove("rope_parameters");
    object.insert("rope_scaling".to_string(), scaled.map_or(Value::Null, Value::Object));
    match base {
        Some(base) => object.insert("rope_theta".to_string(), base.into()),
        None => object.remove("rope_theta"),
    };
    Ok(())
}

type Table = Map<String, Value>;

/// A table of the file; an empty one says nothing.
fn table<'a>(json: &'a Value, key: &str) -> Result<Option<&'a Table>, Fault> {
    match &json[key] {
        Value::Null => Ok(None),
        Value::Object(table) if table.values().any(Value::is_object) => Err(Fault::Unsupported(
            format!("rotary embeddings that differ between layers ('{key}')"),
        )),
        Value::Object(table) => Ok(Some(table).filter(|table| !table.is_empty())),
        other => Err(Fault::Unsupported(format!("'{key}' that is not a table: {other}"))),
    }
}

/// The kind of scaling, `default` for none.
fn kind_of<'a>(
    scaling: Option<&'a Table>,
    parameters: Option<&'a Table>,
) -> Result<&'a str, Fault> {
    let in_scaling = kind_in(scaling, "rope_scaling")?;
    let in_parameters = kind_in(parameters, "rope_parameters")?;
    // A table of parameters may hold the base alone. One of scaling is there to say what kind.
    if scaling.is_some() && in_scaling.is_none() {
        return Err(Fault::Unsupported("the rope scaling 'without a type'".to_string()));
    }
    let new = in_parameters.unwrap_or("default");
    if let (Some(old), Some(scaling), Some(parameters)) = (in_scaling, scaling, parameters)
        && (old != new || rest(scaling) != rest(parameters))
    {
        return Err(Fault::Contradiction(
            "says two things of rotary embeddings: 'rope_scaling' and 'rope_parameters' differ"
                .to_string(),
        ));
    }
    Ok(in_scaling.unwrap_or(new))
}

/// What kind of scaling a table says, by the new key or the old one.
fn kind_in<'a>(table: Option<&'a Table>, name: &str) -> Result<Option<&'a str>, Fault> {
    let mut found = None;
    for key in ["rope_type", "type"] {
        let text = match table.and_then(|table| table.get(key)) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.as_str(),
            Some(other) => return Err(Fault::Unsupported(format!("the rope scaling {other}"))),
        };
        match found {
            Some(first) if first != text => {
                return Err(Fault::Contradiction(format!(
                    "says two types of rotary embeddings in '{name}': '{first}' and '{text}'"
                )));
            }
            _ => found = Some(text),
        }
    }
    Ok(found)
}

/// The base, if any place says one.
fn base(
    json: &Value,
    scaling: Option<&Table>,
    parameters: Option<&Table>,
) -> Result<Option<f64>, Fault> {
    let places = [
        ("'rope_theta'", json.as_object()),
        ("'rope_scaling'", scaling),
        ("'rope_parameters'", parameters),
    ];
    let mut found: Option<(&str, f64)> = None;
    for (place, table) in places {
        let value = table.and_then(|table| table.get("rope_theta"));
        let Some(value) = value.filter(|value| !value.is_null()) else { continue };
        let Some(base) = value.as_f64() else {
            let what = format!("a base of rotary embeddings {value} (by {place})");
            return Err(Fault::Unsupported(what));
        };
        match found {
            Some((first, other)) if other.total_cmp(&base).is_ne() => {
                return Err(Fault::Contradiction(format!(
                    "says two bases of rotary embeddings: {other} by {first} and {base} by {place}"
                )));
            }
            _ => found = Some((place, base)),
        }
    }
    Ok(found.map(|(_, base)| base))
}

/// A table without its type and its base.
fn rest(table: &Table) -> Table {
    let apart = ["rope_type", "type", "rope_theta"];
    let kept =
        table.iter().filter(|(key, value)| !apart.contains(&key.as_str()) && !value.is_null());
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::FAMILIES;
    use super::*;
    use serde_json::json;

    fn settled(mut config: Value) -> Result<Value, Fault> {
        settle(&mut config, &FAMILIES[0])?;
        Ok(config)
    }

    /// Llama 3.2's.
    fn llama3(kind: &str) -> Value {
        json!({kind: "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192})
    }

    #[test]
    fn the_same_said_in_any_way_is_one_thing() {
        let expected = json!({"rope_theta": 5e5, "rope_scaling": llama3("rope_type")});
        let mut new = llama3("rope_type");
        new["rope_theta"] = json!(500_000);
        for config in [
            json!({"rope_theta": 500_000.0, "rope_scaling": llama3("rope_type")}),
            json!({"rope_parameters": new.clone()}),
            json!({"rope_theta": 5e5, "rope_parameters": new.clone()}),
            json!({"rope_theta": 5e5, "rope_scaling": llama3("rope_type"), "rope_parameters": new}),
        ] {
            let mut settled = settled(config.clone()).unwrap();
            settled["rope_scaling"].as_object_mut().unwrap().remove("rope_theta");
            assert_eq!(settled, expected, "{config}");
        }
        let old = settled(json!({"rope_scaling": llama3("type")})).unwrap();
        assert_eq!(old["rope_scaling"]["rope_type"], "llama3");
        for none in [
            json!({"rope_scaling": null}),
            json!({"rope_scaling": {}, "rope_parameters": null}),
            json!({"rope_parameters": {"rope_type": "default"}}),
            json!({"rope_scaling": {"type": "default"}}),
        ] {
            assert_eq!(settled(none).unwrap(), json!({"rope_scaling": null}));
        }
    }

    #[test]
    fn two_values_are_refused() {
        let cases = [
            (
                json!({"rope_theta": 1e4, "rope_parameters": {"rope_type": "default", "rope_theta": 1e5}}),
                "says two bases of rotary embeddings: 10000 by 'rope_theta' and 100000 by 'rope_parameters'",
            ),
            (
                json!({"rope_theta": 1e4, "rope_scaling": {"type": "default", "rope_theta": 1e5}}),
                "and 100000 by 'rope_scaling'",
            ),
            (
                json!({"rope_scaling": llama3("type"), "rope_parameters": {"rope_type": "default"}}),
                "'rope_scaling' and 'rope_parameters' differ",
            ),
            (
                json!({"rope_parameters": {"rope_type": "default", "type": "yarn"}}),
                "says two types of rotary embeddings in 'rope_parameters': 'default' and 'yarn'",
            ),
            (
                json!({"original_max_position_embeddings": 4096, "rope_scaling": llama3("type")}),
                "says two original contexts: 4096",
            ),
        ];
        for (config, expected) in cases {
            match settled(config) {
                Err(Fault::Contradiction(what)) => assert!(what.contains(expected), "{what}"),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_candle_would_ignore_is_refused() {
        let cases = [
            (json!({"rope_parameters": {"type": "yarn", "factor": 4.0}}), "rope scaling 'yarn'"),
            (json!({"rope_parameters": {"rope_type": "longrope"}}), "rope scaling 'longrope'"),
            (json!({"rope_scaling": {"factor": 2.0}}), "'without a type'"),
            (json!({"rope_scaling": {"type": "dynamic", "factor": 2.0}}), "rope scaling 'dynamic'"),
            (json!({"rope_scaling": {"type": 1}}), "the rope scaling 1"),
            (json!({"rope_scaling": "yarn"}), "'rope_scaling' that is not a table"),
            (json!({"rope_theta": "1e4"}), "a base of rotary embeddings \"1e4\""),
            (json!({"partial_rotary_factor": 0.5}), "'partial_rotary_factor' 0.5"),
            (
                json!({"rope_parameters": {"partial_rotary_factor": 0.25}}),
                "'partial_rotary_factor' 0.25",
            ),
            (
                json!({"rope_parameters": {"full_attention": {"rope_type": "default"}}}),
                "differ between layers ('rope_parameters')",
            ),
        ];
        for (config, expected) in cases {
            match settled(config) {
                Err(Fault::Unsupported(what)) => assert!(what.contains(expected), "{what}"),
                other => panic!("{expected}: {other:?}"),
            }
        }
    }
}
