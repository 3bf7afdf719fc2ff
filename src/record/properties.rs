//! Owns what an engine was asked for against what it does: properties that came out otherwise, and its folder of
//! compiled models.

use super::EngineInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a load did with the engine's folder of compiled models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelCache {
    /// Where the compiled model came from.
    pub taken: Taken,
    /// Size of the compiled models that the folder holds for this model and set-up, bytes.
    pub bytes: u64,
}

/// Where a compiled model came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    /// It was made, and kept for the starts after this one: the first start.
    Made,
    /// It was kept by an earlier start.
    Kept,
    /// It was made although the folder held one.
    MadeAgain,
    /// It was made and not kept.
    NotKept,
}

/// A property that is not as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The property.
    pub key: String,
    /// What was asked for.
    pub asked: String,
    /// What is in force; nothing where the engine does not tell.
    pub got: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { key, asked, got } = self;
        match got {
            Some(got) => write!(f, "{key} = {asked} was asked for, and {got} is in force"),
            None => write!(
                f,
                "{key} = {asked} was asked for, and the runtime does not tell whether it is in force"
            ),
        }
    }
}

impl EngineInfo {
    /// The properties that were set and are not in force, or of which that is not known. Other spellings of the same are
    /// no difference, and `AUTO` is met by whatever is chosen.
    pub fn differences(&self) -> Vec<Difference> {
        let differs = |(key, asked): (&String, &String)| {
            let got = self.properties.get(key);
            let met = asked.eq_ignore_ascii_case("auto") || got.is_some_and(|got| same(asked, got));
            let (key, asked, got) = (key.clone(), asked.clone(), got.cloned());
            (!met).then_some(Difference { key, asked, got })
        };
        self.requested.iter().filter_map(differs).collect()
    }
}

/// Whether two spellings of a property's value mean the same.
fn same(asked: &str, got: &str) -> bool {
    let (asked, got) = (plain(asked), plain(got));
    if asked == got {
        return true;
    }
    // A bare 1 is a number unless the other side is a word.
    let is_digit = |text: &str| ["0", "1"].contains(&text);
    if let (Some(a), Some(b)) = (switch(&asked), switch(&got)) {
        return a == b && !(is_digit(&asked) && is_digit(&got));
    }
    match (asked.parse::<f64>(), got.parse::<f64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// A value without quotes and case; types of numbers by their short names.
fn plain(text: &str) -> String {
    let text = text.trim().trim_matches('"').to_lowercase();
    match text.strip_prefix("fp").filter(|bits| bits.parse::<u32>().is_ok()) {
        Some(bits) => format!("f{bits}"),
        None => text,
    }
}

fn switch(text: &str) -> Option<bool> {
    match text {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(asked: &str, got: Option<&str>) -> Vec<String> {
        let mut info = EngineInfo::default();
        info.requested.insert("K".into(), asked.into());
        info.properties.extend(got.map(|got| ("K".to_string(), got.to_string())));
        info.differences().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_spelt_otherwise_is_the_same() {
        let same = [
            ("YES", "true"),
            ("1", "YES"),
            ("false", "NO"),
            ("latency", "LATENCY"),
            ("FP32", "f32"),
            ("32", "32.0"),
            ("1", "1"),
            ("AUTO", "7"),
        ];
        for (asked, got) in same {
            assert_eq!(differences(asked, Some(got)), Vec::<String>::new(), "{asked} {got}");
        }
    }

    /// As the runtime 2026.4.1 does.
    #[test]
    fn what_is_changed_or_not_told_is_said() {
        assert_eq!(differences("4", Some("2")), ["K = 4 was asked for, and 2 is in force"]);
        assert_eq!(differences("1", Some("0")).len(), 1, "numbers are not switches");
        assert_eq!(differences("ECORE_ONLY", Some("ANY_CORE")).len(), 1);
        assert_eq!(differences("true", Some("NO")).len(), 1);
        assert!(differences("YES", None)[0].ends_with("does not tell whether it is in force"));
    }
}
