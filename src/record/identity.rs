//! Owns the identity of a variant: everything that changes its answers or its speed and is known before it runs,
//! each part by its SHA-256 or its value, and the words for what differs between two of them.

use super::Told;
use crate::hash;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The name of the tokenizer among the contents of an identity, wherever its file lies.
pub const TOKENIZER: &str = "tokenizer.json";

/// The name of the text of the chat template that is really used.
pub const CHAT_TEMPLATE: &str = "chat template";

/// What a variant is beside its weights and graph, its threads and its properties. A part that is missing is not
/// there; a part that could not be read stands in `unknown`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// SHA-256 of small files of the model's folder, of the tokenizer and of the chat template's text, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub content: BTreeMap<String, String>,
    /// The version that the runtime library says of itself, with its build, or why it is not known; missing for an
    /// engine that loads no library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Told<String>>,
    /// The recipe that makes the model, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<RecipeIdentity>,
    /// Environment variables that change arithmetic or threads, as they are set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// SHA-256 of the token ids of the timing prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompts_sha256: Option<String>,
    /// SHA-256 of what is asked in the quality pass: token ids of prompts and choices, and the ids that end answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_sha256: Option<String>,
}

/// A command that makes a model, with the files that it names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecipeIdentity {
    /// The line for the shell.
    pub command: String,
    /// SHA-256 of scripts and other files that the command names, and that those name, by their paths.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

impl RecipeIdentity {
    /// What differs between the recipe of now and that of then, in words; nothing where they are the same.
    pub fn differences(&self, then: &RecipeIdentity) -> Vec<String> {
        let mut found = Vec::new();
        if self.command != then.command {
            found
                .push(format!("another command (`{}` then, `{}` now)", then.command, self.command));
        }
        found.extend(sums("", &self.files, &then.files));
        found
    }
}

/// What stands in no file of an older perfgate.
const NOT_RECORDED: &str = "an older perfgate recorded neither tokenizer, chat template, generation_config.json, runtime \
                            nor environment";

impl Identity {
    /// What differs between what a variant is now and what it was then, each difference in words. What only one side
    /// knows is a difference, since nothing tells that it is the same. How the model was made is none: its bytes are
    /// compared.
    pub fn differences(now: Option<&Identity>, then: Option<&Identity>) -> Vec<String> {
        let (now, then) = match (now, then) {
            (Some(now), Some(then)) => (now, then),
            // Two older files are compared by what they have.
            (None, None) => return Vec::new(),
            (Some(_), None) => {
                return vec![format!("an identity that was not recorded then ({NOT_RECORDED})")];
            }
            (None, Some(_)) => {
                return vec![format!("an identity that is not recorded now ({NOT_RECORDED})")];
            }
        };
        let mut found = sums("another ", &now.content, &then.content);
        found.extend(runtimes(now.runtime.as_ref(), then.runtime.as_ref()));
        found.extend(Identity::environments(Some(now), Some(then)));
        // What is asked is compared with the workload.
        if let Some([a, b]) = now.other_prompts(then) {
            found.push(format!(
                "other prompts in token ids (sha256 {} then, {} now)",
                hash::short(b, 12),
                hash::short(a, 12)
            ));
        }
        found
    }

    /// The sums of the timing prompts of both, this one's first, where both have prompts and they are others in token ids.
    pub fn other_prompts<'a>(&'a self, other: &'a Identity) -> Option<[&'a str; 2]> {
        unlike(&self.prompts_sha256, &other.prompts_sha256)
    }

    /// The same of what is asked in the quality pass.
    pub fn otherwise_asked<'a>(&'a self, other: &'a Identity) -> Option<[&'a str; 2]> {
        unlike(&self.asked_sha256, &other.asked_sha256)
    }

    /// The names of the contents that two variants do not have alike, the chat template once.
    pub fn contents_apart(&self, other: &Identity) -> Vec<String> {
        let differs = |name: &&String| self.content.get(*name) != other.content.get(*name);
        let names = keys(&self.content, &other.content).filter(differs);
        let mut names: Vec<String> = names.cloned().collect();
        if names.iter().any(|name| name == CHAT_TEMPLATE) {
            names.retain(|name| !name.starts_with("chat_template"));
        }
        names
    }

    /// What differs of the environment variables that change arithmetic.
    pub fn environments(now: Option<&Identity>, then: Option<&Identity>) -> Vec<String> {
        if now.is_none() && then.is_none() {
            return Vec::new();
        }
        let (Some(now), Some(then)) = (now, then) else {
            return vec![format!(
                "an environment that was not recorded {} ({NOT_RECORDED})",
                if now.is_none() { "now" } else { "then" }
            )];
        };
        let value = |all: &BTreeMap<String, String>, key: &str| {
            all.get(key).cloned().unwrap_or_else(|| "unset".to_string())
        };
        keys(&now.environment, &then.environment)
            .filter(|key| now.environment.get(*key) != then.environment.get(*key))
            .map(|key| {
                let (a, b) = (value(&now.environment, key), value(&then.environment, key));
                format!("another {key} in the environment ({b} then, {a} now)")
            })
            .collect()
    }

    /// What of it is not known, in words; nothing where everything is.
    pub fn unknown(&self) -> Option<String> {
        let why = self.runtime.as_ref()?.unavailable()?;
        Some(format!("the version of its runtime is not known ({why})"))
    }

    /// Its parts in a line for people: what it consists of, and by which sums.
    pub fn words(&self) -> Vec<String> {
        let sum = |(name, sum): (&String, &String)| format!("{name} {}", hash::short(sum, 8));
        let mut words: Vec<String> = self.content.iter().map(sum).collect();
        if let Some(recipe) = &self.recipe {
            let files: Vec<String> = recipe.files.iter().map(sum).collect();
            words.push(match files.is_empty() {
                true => format!("made by `{}`", recipe.command),
                false => format!("made by `{}` with {}", recipe.command, files.join(" and ")),
            });
        }
        let variable = |(key, value): (&String, &String)| format!("{key}={value} (environment)");
        words.extend(self.environment.iter().map(variable));
        words
    }
}

/// Two sums that are both there and not the same.
fn unlike<'a>(a: &'a Option<String>, b: &'a Option<String>) -> Option<[&'a str; 2]> {
    a.as_deref().zip(b.as_deref()).filter(|(a, b)| a != b).map(|(a, b)| [a, b])
}

fn keys<'a>(
    now: &'a BTreeMap<String, String>,
    then: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = &'a String> {
    now.keys().chain(then.keys()).collect::<BTreeSet<_>>().into_iter()
}

/// What differs between sums by name: `another tokenizer.json (sha256 … then, … now)`.
fn sums(
    another: &str,
    now: &BTreeMap<String, String>,
    then: &BTreeMap<String, String>,
) -> Vec<String> {
    let shown = |sum: Option<&String>| match sum {
        Some(sum) => format!("sha256 {}", hash::short(sum, 12)),
        None => "none".to_string(),
    };
    keys(now, then)
        .filter(|name| now.get(*name) != then.get(*name))
        .map(|name| {
            let (a, b) = (shown(now.get(name)), shown(then.get(name)));
            format!("{another}{name} ({b} then, {a} now)")
        })
        .collect()
}

fn runtimes(now: Option<&Told<String>>, then: Option<&Told<String>>) -> Option<String> {
    let shown = |runtime: Option<&Told<String>>| match runtime {
        Some(Told::Available(version)) => version.clone(),
        Some(Told::Unavailable(why)) => format!("not known ({why})"),
        None => "none".to_string(),
    };
    let unknown = |runtime: Option<&Told<String>>| runtime.is_some_and(|r| r.available().is_none());
    (now != then || unknown(now))
        .then(|| format!("another runtime ({} then, {} now)", shown(then), shown(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(parts: &[(&str, &str)]) -> Identity {
        let content = parts.iter().map(|(name, sum)| (name.to_string(), sum.repeat(32)));
        Identity { content: content.collect(), ..Identity::default() }
    }

    #[test]
    fn each_part_that_differs_is_named_with_both_sums() {
        let now = with(&[(CHAT_TEMPLATE, "ab"), (TOKENIZER, "cd")]);
        let then =
            with(&[(CHAT_TEMPLATE, "ef"), (TOKENIZER, "cd"), ("generation_config.json", "12")]);
        assert_eq!(
            Identity::differences(Some(&now), Some(&then)),
            [
                "another chat template (sha256 efefefefefef then, sha256 abababababab now)",
                "another generation_config.json (sha256 121212121212 then, none now)"
            ]
        );
        assert_eq!(Identity::differences(Some(&now), Some(&now)), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_known_is_a_difference() {
        let now = with(&[]);
        let of_older = Identity::differences(Some(&now), None);
        assert!(of_older[0].starts_with("an identity that was not recorded then"), "{of_older:?}");
        let unknown = |why: &str| Identity {
            runtime: Some(Told::Unavailable(why.to_string())),
            ..Identity::default()
        };
        // Two that are not known for the same reason are not the same.
        let both = Identity::differences(Some(&unknown("x")), Some(&unknown("x")));
        assert_eq!(both, ["another runtime (not known (x) then, not known (x) now)"]);
    }

    #[test]
    fn the_environment_is_part_of_it_and_the_recipe_is_named_by_itself() {
        let mut now = with(&[]);
        now.environment.insert("ONEDNN_MAX_CPU_ISA".into(), "AVX2".into());
        let recipe = |sum: &str| RecipeIdentity {
            command: "sh scripts/export.sh".into(),
            files: [("scripts/export.sh".to_string(), sum.repeat(32))].into(),
        };
        now.recipe = Some(recipe("ab"));
        let then = Identity { recipe: Some(recipe("cd")), ..with(&[]) };
        assert_eq!(
            Identity::differences(Some(&now), Some(&then)),
            ["another ONEDNN_MAX_CPU_ISA in the environment (unset then, AVX2 now)"]
        );
        assert_eq!(
            recipe("ab").differences(&recipe("cd")),
            ["scripts/export.sh (sha256 cdcdcdcdcdcd then, sha256 abababababab now)"]
        );
    }
}
