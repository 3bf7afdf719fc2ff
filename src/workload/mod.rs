//! Owns what is asked of a model: the tasks, their token ids (made once for each tokenizer and
//! template, the same for every engine) and the workload's fingerprint. It runs nothing.

mod template;

use crate::config::{ChatTemplate, Variant, Workload};
use crate::hash;
use crate::problem::{Problem, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tokenizers::Tokenizer;

/// One prompt of the timing workload.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The id, which stays.
    pub id: String,
    /// A system message, used by chat templates and put before the prompt without one.
    #[serde(default)]
    pub system: Option<String>,
    /// The prompt.
    pub prompt: String,
}

/// A prompt in token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizedTask {
    /// The task's id.
    pub id: String,
    /// The prompt's token ids.
    pub tokens: Vec<u32>,
}

/// The tasks as each variant is fed them.
#[derive(Debug, Clone)]
pub struct Prompts {
    by_variant: BTreeMap<String, Vec<TokenizedTask>>,
    /// Ids of the tasks, in order.
    pub ids: Vec<String>,
    /// SHA-256 of the tasks' file and the generation parameters.
    pub sha256: String,
}

impl Prompts {
    /// The tasks of a variant.
    pub fn of(&self, variant: &str) -> &[TokenizedTask] {
        &self.by_variant[variant]
    }
}

/// Reads the tasks and makes the token ids of each variant.
///
/// # Errors
/// If the tasks, a tokenizer or a template are missing or wrong.
pub fn prepare(workload: &Workload, variants: &[Variant]) -> Result<Prompts> {
    let text = std::fs::read_to_string(&workload.tasks).map_err(|error| {
        Problem::io(&workload.tasks, "read the tasks", &error)
            .help("name the file of tasks in perfgate.toml: [workload] tasks = \"FILE.jsonl\"")
    })?;
    let tasks = parse_tasks(&workload.tasks, &text)?;
    let mut by_variant = BTreeMap::new();
    // Variants that share tokenizer and template share the work and are sure to share the ids.
    let mut done: BTreeMap<(String, Option<String>), Vec<TokenizedTask>> = BTreeMap::new();
    for variant in variants {
        let template = template_text(variant)?;
        let key = (tokenizer_id(variant)?, template.clone());
        let tokenized = match done.get(&key) {
            Some(tokenized) => tokenized.clone(),
            None => tokenize(workload, &tasks, variant, template.as_deref())?,
        };
        by_variant.insert(variant.name.clone(), tokenized.clone());
        done.insert(key, tokenized);
    }
    let parameters =
        format!("{:?}/{}/{}", workload.prompt_tokens, workload.gen_tokens, workload.seed);
    Ok(Prompts {
        by_variant,
        ids: tasks.iter().map(|task| task.id.clone()).collect(),
        sha256: hash::of_bytes(
            format!("{}{parameters}", hash::of_bytes(text.as_bytes())).as_bytes(),
        ),
    })
}

/// Reads tasks from JSON Lines.
fn parse_tasks(file: &Path, text: &str) -> Result<Vec<Task>> {
    let mut tasks: Vec<Task> = Vec::new();
    let mut ids = BTreeSet::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let task: Task = serde_json::from_str(line).map_err(|error| {
            // serde_json counts lines within the one line that it was given.
            let error_text = error.to_string();
            let what = error_text.split(" at line ").next().unwrap_or_default();
            Problem::in_file(file, format!("this line is no task: {what}"))
                .at(index + 1, error.column().max(1))
                .help(r#"each line is one JSON object, such as {"id": "t1", "prompt": "…"}"#)
        })?;
        let complaint = match () {
            () if task.id.is_empty() => Some("the task's id is empty".to_string()),
            () if task.prompt.is_empty() => Some(format!("the prompt of '{}' is empty", task.id)),
            () if !ids.insert(task.id.clone()) => {
                Some(format!("the id '{}' stands twice", task.id))
            }
            () => None,
        };
        if let Some(what) = complaint {
            return Err(Problem::in_file(file, what).at(index + 1, 1));
        }
        tasks.push(task);
    }
    if tasks.is_empty() {
        return Err(Problem::in_file(file, "holds no task"));
    }
    Ok(tasks)
}

fn template_text(variant: &Variant) -> Result<Option<String>> {
    match &variant.chat_template {
        ChatTemplate::None => Ok(None),
        ChatTemplate::Model => template::of_model(&variant.load.model).map(Some),
        ChatTemplate::File(path) => std::fs::read_to_string(path)
            .map(Some)
            .map_err(|error| Problem::io(path, "read the chat template", &error)),
    }
}

/// What tells one tokenizer from another: the hash of its file.
fn tokenizer_id(variant: &Variant) -> Result<String> {
    if is_scripted(variant) {
        return Ok("bytes".to_string());
    }
    if !variant.tokenizer.is_file() {
        return Err(Problem::in_file(&variant.tokenizer, "there is no such tokenizer").help(format!(
            "variant '{}' needs a tokenizer.json in its model's folder, or tokenizer = \"FILE\"",
            variant.name
        )));
    }
    hash::of_file(&variant.tokenizer)
}

fn is_scripted(variant: &Variant) -> bool {
    variant.load.engine == "scripted"
}

fn tokenize(
    workload: &Workload,
    tasks: &[Task],
    variant: &Variant,
    template: Option<&str>,
) -> Result<Vec<TokenizedTask>> {
    let tokenizer =
        if is_scripted(variant) { None } else { Some(load_tokenizer(&variant.tokenizer)?) };
    tasks
        .iter()
        .map(|task| {
            let text = match template {
                Some(template) => template::render(template, task, variant)?,
                None => match &task.system {
                    Some(system) => format!("{system}\n\n{}", task.prompt),
                    None => task.prompt.clone(),
                },
            };
            // A template writes the special tokens itself; without one the tokenizer adds its own.
            let tokens = match &tokenizer {
                None => text.bytes().map(u32::from).collect(),
                Some(tokenizer) => tokenizer
                    .encode(text, template.is_none())
                    .map_err(|error| {
                        Problem::in_file(
                            &variant.tokenizer,
                            format!("cannot encode a prompt: {error}"),
                        )
                    })?
                    .get_ids()
                    .to_vec(),
            };
            Ok(TokenizedTask { id: task.id.clone(), tokens: fit(tokens, workload.prompt_tokens) })
        })
        .collect()
}

/// Reads a `tokenizer.json`.
///
/// # Errors
/// If it is missing or not understood.
pub fn load_tokenizer(file: &Path) -> Result<Tokenizer> {
    Tokenizer::from_file(file).map_err(|error| {
        Problem::in_file(
            file,
            format!("is no tokenizer that the 'tokenizers' crate reads: {error}"),
        )
    })
}

/// Cuts or repeats token ids to an exact length: timing needs the same work for every prompt. A cut
/// keeps the end, where tasks differ: the beginning is often a system message that all share.
fn fit(tokens: Vec<u32>, length: Option<u32>) -> Vec<u32> {
    match length.map(|length| length as usize) {
        Some(length) if tokens.len() >= length => tokens[tokens.len() - length..].to_vec(),
        Some(length) if !tokens.is_empty() => tokens.iter().copied().cycle().take(length).collect(),
        _ => tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_cut_or_repeated_to_length() {
        assert_eq!(fit(vec![1, 2, 3], Some(2)), [2, 3]);
        assert_eq!(fit(vec![1, 2, 3], Some(7)), [1, 2, 3, 1, 2, 3, 1]);
        assert_eq!(fit(vec![1, 2, 3], None), [1, 2, 3]);
    }

    #[test]
    fn a_broken_line_is_named() {
        let file = Path::new("tasks.jsonl");
        let good = r#"{"id": "a", "prompt": "x"}"#;
        let cases = [
            (
                format!("{good}\n\n{{\"id\": \"b\", \"prompt\": }}"),
                "tasks.jsonl:3:23: this line is no task",
            ),
            (format!("{good}\n{good}"), "tasks.jsonl:2:1: the id 'a' stands twice"),
            (r#"{"id": "a", "promt": "x"}"#.to_string(), "unknown field `promt`"),
            (r#"{"id": "", "prompt": "x"}"#.to_string(), "the task's id is empty"),
            ("\n".to_string(), "holds no task"),
        ];
        for (text, expected) in cases {
            let problem = parse_tasks(file, &text).expect_err(expected).to_string();
            assert!(problem.contains(expected), "wanted {expected:?} in {problem}");
        }
    }
}
