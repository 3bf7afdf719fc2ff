//! Owns what a report says of how variants are really set up: the settings that change answers or speed as the engines
//! read them back, where two variants differ in more than their weights, and where a setting is not the runtime's own.

use crate::record::{EngineInfo, Part, VariantRecord, cache_types};

/// Settings beside the key-value cache that change what a model answers or how fast, by the names of OpenVINO's
/// properties and in words.
const SETTINGS: [(&str, &str); 4] = [
    ("INFERENCE_PRECISION_HINT", "inference precision"),
    ("DYNAMIC_QUANTIZATION_GROUP_SIZE", "group size of quantized activations"),
    ("EXECUTION_MODE_HINT", "execution mode"),
    ("NUM_STREAMS", "streams"),
];

/// The settings whose default depends on the processor, and that change answers.
const OF_THE_PROCESSOR: [&str; 2] = ["INFERENCE_PRECISION_HINT", "DYNAMIC_QUANTIZATION_GROUP_SIZE"];

/// The properties of the key-value cache.
const CACHE: [&str; 3] = ["KV_CACHE_PRECISION", "KEY_CACHE_PRECISION", "VALUE_CACHE_PRECISION"];

/// The settings of each variant that matter, in one line.
pub(super) fn lines(part: &Part) -> Vec<(String, String)> {
    let line = |name: &String| {
        let (variant, engine) = (part.header.variants.get(name)?, part.engine(name)?);
        let mut words = Vec::new();
        let most = variant.weight_types.iter().max_by_key(|(_, weights)| **weights);
        words.extend(most.map(|(kind, _)| match &variant.recipe {
            Some(recipe) => format!("weights {kind} ({recipe})"),
            None => format!("weights {kind}"),
        }));
        words.extend(SETTINGS.iter().filter_map(|(key, title)| {
            let value = engine.properties.get(*key)?;
            Some(format!("{title} {value}{}", origin(key, variant, engine)))
        }));
        words.extend(cache(engine).map(|cache| {
            let asked = CACHE.iter().any(|key| variant.properties.contains_key(*key));
            format!("key-value cache {cache}{}", if asked { " (set)" } else { "" })
        }));
        if words.is_empty() {
            return None;
        }
        words.push(format!("{} threads", variant.threads));
        Some((format!("set-up of {name}"), words.join(", ")))
    };
    part.header.plan.variants.iter().filter_map(line).collect()
}

/// Who chose a setting.
fn origin(key: &str, variant: &VariantRecord, engine: &EngineInfo) -> String {
    if !variant.properties.contains_key(key) {
        return String::new();
    }
    match engine.defaults.get(key) {
        Some(default) if engine.properties.get(key) != Some(default) => {
            format!(" (set; this runtime's default here is {default})")
        }
        _ => " (set)".to_string(),
    }
}

/// The type of the cache, or of its halves.
fn cache(engine: &EngineInfo) -> Option<String> {
    match cache_types(engine)? {
        [keys, values] if keys == values => Some(keys.to_string()),
        [keys, values] => Some(format!("{keys} for keys, {values} for values")),
    }
}

/// What is to be known of the settings before any figure is read.
pub(super) fn warnings(part: &Part) -> Vec<String> {
    apart(part).chain(not_the_default(part)).collect()
}

/// Variants that differ from the reference, in its engine, in more than their weights.
fn apart(part: &Part) -> impl Iterator<Item = String> {
    let reference = &part.header.plan.reference;
    let base = part.header.variants.get(reference).zip(part.engine(reference));
    let others = part.header.plan.variants.iter().filter(move |name| *name != reference);
    others.filter_map(move |name| {
        let (of_base, base) = base?;
        let (variant, engine) = (part.header.variants.get(name)?, part.engine(name)?);
        if engine.engine != base.engine {
            return None;
        }
        let mut apart: Vec<String> = SETTINGS
            .iter()
            .filter_map(|(key, title)| {
                let (here, there) = (engine.properties.get(*key)?, base.properties.get(*key)?);
                let keys = &[*key][..];
                (here != there)
                    .then(|| format!("{title} {here} against {there}{}", chosen(keys, variant, of_base)))
            })
            .collect();
        let caches = cache(engine).zip(cache(base)).filter(|(here, there)| here != there);
        let unread = caches.is_some() && part.header.plan.fidelity.is_some();
        apart.extend(caches.map(|(here, there)| {
            format!("key-value cache {here} against {there}{}", chosen(&CACHE, variant, of_base))
        }));
        let unread = match unread {
            true => "; documents that are forced whole read nothing back from the cache: only `stepwise` sees what it costs",
            false => "",
        };
        (!apart.is_empty()).then(|| {
            format!(
                "'{name}' and the reference '{reference}' differ in more than their weights: {}. The same properties for \
                 both compare the weights alone{unread}",
                apart.join("; ")
            )
        })
    })
}

/// Whether a difference was asked for.
fn chosen(keys: &[&str], a: &VariantRecord, b: &VariantRecord) -> &'static str {
    let asked =
        |variant: &VariantRecord| keys.iter().any(|key| variant.properties.contains_key(*key));
    match asked(a) || asked(b) {
        true => " (as perfgate.toml sets it)",
        false => " (by default: the model's own files or the runtime choose it)",
    }
}

/// Settings that a default deployment on this processor would not have.
fn not_the_default(part: &Part) -> impl Iterator<Item = String> {
    OF_THE_PROCESSOR.into_iter().filter_map(move |key| {
        let mut names = Vec::new();
        let mut values = None;
        for name in &part.header.plan.variants {
            let (variant, engine) = (part.header.variants.get(name)?, part.engine(name));
            let Some(engine) = engine.filter(|_| variant.properties.contains_key(key)) else { continue };
            let both = engine.properties.get(key).zip(engine.defaults.get(key));
            if let Some((value, default)) = both.filter(|(value, default)| value != default) {
                names.push(format!("'{name}'"));
                values = Some((value, default));
            }
        }
        let (value, default) = values?;
        Some(format!(
            "{key} is set to {value} for {}, and this runtime's default on this processor is {default}: a deployment with \
             default settings is another one, in speed and in answers (docs/measuring.md)",
            names.join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::testing;
    use std::collections::BTreeMap;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect()
    }

    /// A session of two variants of one engine, with what was asked and what is effective.
    fn part(asked: [&[(&str, &str)]; 2], effective: [&[(&str, &str)]; 2]) -> Part {
        let mut part = testing::part(&[]);
        let names = part.header.plan.variants.clone();
        for (index, name) in names.iter().enumerate() {
            let variant = part.header.variants.get_mut(name).unwrap();
            variant.properties = map(asked[index]);
            let engine = EngineInfo {
                engine: "openvino".to_string(),
                properties: map(effective[index]),
                defaults: map(&[("INFERENCE_PRECISION_HINT", "bf16")]),
                ..EngineInfo::default()
            };
            part.engines.insert(name.clone(), engine);
        }
        part
    }

    const HINT: &str = "INFERENCE_PRECISION_HINT";

    #[test]
    fn caches_that_differ_by_default_are_said_at_the_top() {
        let part = part([&[], &[]], [&[(CACHE[0], "f16")], &[(CACHE[0], "u8")]]);
        let said = warnings(&part);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("key-value cache u8 against f16 (by default"), "{said:?}");
    }

    #[test]
    fn precisions_that_differ_are_said_with_who_chose_them() {
        let asked = [(HINT, "f32")];
        let part = part([&asked, &[]], [&[(HINT, "f32")], &[(HINT, "bf16")]]);
        let said = warnings(&part);
        assert!(
            said[0].contains("inference precision bf16 against f32 (as perfgate.toml sets it)"),
            "{said:?}"
        );
        assert!(said[1].contains("INFERENCE_PRECISION_HINT is set to f32 for 'base'"), "{said:?}");
        let lines = lines(&part);
        assert!(
            lines[0]
                .1
                .contains("inference precision f32 (set; this runtime's default here is bf16)"),
            "{lines:?}"
        );
        assert!(lines[1].1.starts_with("inference precision bf16, "), "{lines:?}");
    }

    #[test]
    fn equal_settings_are_not_warned_of() {
        let settings = [(HINT, "bf16"), (CACHE[0], "u8"), (CACHE[1], "u8"), (CACHE[2], "u4")];
        let part = part([&[], &[]], [&settings, &settings]);
        assert_eq!(warnings(&part), Vec::<String>::new());
        assert!(lines(&part)[0].1.contains("key-value cache u8 for keys, u4 for values"));
    }
}
