//! Owns what is said before anything is measured of variants that hardly differ in what they are compared for: one model
//! under two names, the same precision of weights on both sides, and weights that are not what a name says.

use crate::record::{VariantRecord, bits_of, of_base};
use crate::workload;
use std::collections::BTreeMap;

/// What to know of the models of some variants, by what their files hold and not by their names alone.
pub fn alike(reference: &str, variants: &BTreeMap<String, VariantRecord>) -> Vec<String> {
    let mut said: Vec<String> =
        variants.iter().filter_map(|(name, variant)| misnamed(name, variant)).collect();
    let Some(base) = variants.get(reference) else { return said };
    let others = variants.iter().filter(|(name, _)| {
        // A variant of the base and one of the change may be one model, which is no mistake.
        name.as_str() != reference && of_base(name).is_some() == of_base(reference).is_some()
    });
    said.extend(others.filter_map(|(name, variant)| same((name, variant), (reference, base))));
    said
}

/// One model twice, or two of the same precision.
fn same(
    (name, variant): (&str, &VariantRecord),
    (reference, base): (&str, &VariantRecord),
) -> Option<String> {
    let precision = most(&variant.weight_types)?;
    if variant.engine != base.engine || Some(precision) != most(&base.weight_types) {
        return None;
    }
    let apart = apart(variant, base);
    if variant.model_sha256 == base.model_sha256 {
        let contents = variant.identity.as_ref().zip(base.identity.as_ref());
        let contents = contents.map(|(now, base)| now.contents_apart(base)).unwrap_or_default();
        let apart: Vec<String> = apart.into_iter().chain(contents).collect();
        return Some(match apart.is_empty() {
            true => format!(
                "'{name}' and the reference '{reference}' are one model (the same bytes), set up alike: every \
                 difference between them is noise"
            ),
            false => format!(
                "'{name}' and the reference '{reference}' are one model (the same bytes): they differ in {} alone, and \
                 not in the precision of their weights",
                apart.join(", ")
            ),
        });
    }
    let recipes = [&variant.recipe, &base.recipe].map(Option::as_ref);
    let other_recipe = matches!(recipes, [Some(a), Some(b)] if a != b);
    // Another text is fed in the same precision.
    let computes =
        |setting: &String| ![workload::CHAT_TEMPLATE, workload::CHAT_DATE].contains(&&setting[..]);
    if other_recipe || apart.iter().any(computes) || !variant.test_switches.is_empty() {
        return None;
    }
    let cause = match bits_of(precision) {
        Some(8) => {
            "; `optimum-cli export openvino` compresses models of more than a billion parameters to 8 bits unless \
             --weight-format says otherwise"
        }
        _ => "",
    };
    Some(format!(
        "'{name}' and the reference '{reference}' hold most of their weights in the same type ({precision}): what is \
         compared is not two precisions{cause}"
    ))
}

/// The type of most weights.
fn most(types: &BTreeMap<String, u64>) -> Option<&str> {
    types.iter().max_by_key(|(_, weights)| **weights).map(|(name, _)| name.as_str())
}

/// In which settings two variants differ.
fn apart(a: &VariantRecord, b: &VariantRecord) -> Vec<String> {
    let mut apart = Vec::new();
    if a.threads != b.threads {
        apart.push("threads".to_string());
    }
    for (of_a, of_b) in [(&a.properties, &b.properties), (&a.options, &b.options)] {
        let keys = of_a.keys().chain(of_b.keys().filter(|key| !of_a.contains_key(*key)));
        apart.extend(keys.filter(|key| of_a.get(*key) != of_b.get(*key)).cloned());
    }
    if a.test_switches != b.test_switches {
        apart.push("a test switch".to_string());
    }
    apart
}

/// Words of names that tell a precision of weights, and its bits.
const WORDS: [(&str, u64); 12] = [
    ("fp32", 32),
    ("fp16", 16),
    ("bf16", 16),
    ("int8", 8),
    ("fp8", 8),
    ("int4", 4),
    ("fp4", 4),
    ("nf4", 4),
    ("cb4", 4),
    ("mxfp4", 4),
    ("nvfp4", 4),
    ("int2", 2),
];

/// A variant whose name, or whose model's folder, says 16 bits or more where the files hold 8 or fewer, or the reverse.
fn misnamed(name: &str, variant: &VariantRecord) -> Option<String> {
    let precision = most(&variant.weight_types)?;
    let held = bits_of(precision)?;
    let folder = variant.model.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    [name, folder].into_iter().find_map(|text| {
        let lower = text.to_lowercase();
        let words = lower.split(|c: char| !c.is_ascii_alphanumeric());
        let told = words.filter_map(|word| WORDS.iter().find(|(known, _)| *known == word));
        let told: Vec<&(&str, u64)> = told.collect();
        let wrong = |bits: u64| (bits >= 16) != (held >= 16);
        // A name that says several things is about more than the weights.
        let [(word, bits)] = told[..] else { return None };
        wrong(*bits).then(|| {
            format!(
                "'{name}' holds most of its weights as {precision} (its files say so), and '{text}' says {word}: look \
                 whether this is the model that is meant"
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Identity;

    fn record(folder: &str, sum: &str, kind: &str) -> VariantRecord {
        VariantRecord {
            engine: "openvino".to_string(),
            model: format!("models/{folder}"),
            model_sha256: sum.to_string(),
            threads: 2,
            weight_types: [(kind.to_string(), 90), ("f32".to_string(), 10)].into(),
            ..VariantRecord::default()
        }
    }

    fn said(reference: (&str, VariantRecord), other: (&str, VariantRecord)) -> Vec<String> {
        let name = reference.0.to_string();
        let variants = [reference, other].map(|(name, record)| (name.to_string(), record));
        alike(&name, &variants.into())
    }

    #[test]
    fn the_same_bytes_are_named_with_what_differs() {
        let model = || record("export", "1", "u8");
        let text = said(("a", model()), ("b", model())).concat();
        assert!(
            text.contains("'b' and the reference 'a' are one model") && text.contains("noise"),
            "{text}"
        );
        let mut other = model();
        other.properties.insert("KV_CACHE_PRECISION".to_string(), "u8".to_string());
        other.threads = 4;
        let text = said(("a", model()), ("b", other)).concat();
        assert!(text.contains("they differ in threads, KV_CACHE_PRECISION alone"), "{text}");
        assert_eq!(said(("a", model()), ("a@base", model())), Vec::<String>::new());
        // What is fed is not of the bytes of the model, and makes all the difference.
        let with = |sum: &str| {
            let content =
                [("chat template", sum), ("chat_template.jinja", sum), ("config.json", "1")];
            let content = content.map(|(name, sum)| (name.to_string(), sum.to_string())).into();
            let identity = Some(Identity { content, ..Identity::default() });
            VariantRecord { identity, ..model() }
        };
        let text = said(("a", with("1")), ("b", with("2"))).concat();
        assert!(text.contains("they differ in chat template alone"), "{text}");
    }

    #[test]
    fn an_fp16_folder_that_holds_int8_is_named() {
        let text = said(("fp16", record("x", "1", "u8")), ("int8", record("y", "2", "u8")));
        assert_eq!(text.len(), 2, "{text:?}");
        assert!(text[0].contains("'fp16' holds most of its weights as u8"), "{text:?}");
        assert!(
            text[1].contains("the same type (u8)") && text[1].contains("--weight-format"),
            "{text:?}"
        );
        // The folder says it where the variant's name does not.
        let text = said(("a", record("model-fp16", "1", "i8")), ("b", record("y", "2", "u4")));
        assert_eq!(text.len(), 1, "{text:?}");
    }

    #[test]
    fn what_is_meant_is_not_warned_of() {
        let none = Vec::<String>::new();
        let fp16 = || ("fp16", record("ov-fp16", "1", "f16"));
        assert_eq!(said(fp16(), ("int8", record("ov-int8", "2", "u8"))), none);
        assert_eq!(said(fp16(), ("int8-bf16", record("ov-int8", "2", "u8"))), none);
        let candle = VariantRecord { engine: "candle".to_string(), ..record("x", "2", "f16") };
        assert_eq!(
            said(fp16(), ("other", candle)),
            none,
            "another engine is an independent reference"
        );
        let by = |recipe: &str, sum: &str| VariantRecord {
            recipe: Some(recipe.to_string()),
            ..record("x", sum, "u4")
        };
        assert_eq!(said(("a", by("groups of 64", "1")), ("b", by("groups of 128", "2"))), none);
        let scripted = || VariantRecord { weight_types: BTreeMap::new(), ..record("", "1", "u8") };
        assert_eq!(said(("a", scripted()), ("b", scripted())), none, "nothing is known of weights");
    }
}
