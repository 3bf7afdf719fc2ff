//! Owns what is asked of a model: the tasks, their token ids (made once for each tokenizer and
//! template, the same for every engine), the graders and the workload's fingerprint. It runs nothing.

mod asked;
mod chat;
mod formats;
mod documents;
mod grade;
mod graded;
mod small_files;
mod stops;
mod template;
mod vocabulary;

pub use asked::{Ask, Graded, prepare_graded, sha256_of_tasks};
pub use chat::{CHAT_DATE, CHAT_TEMPLATE, Chat, chat_template_text, text_of};
pub use documents::{Document, Documents, parse_documents, prepare_documents};
pub use formats::read_tasks;
pub use grade::{
    Alternatives, Call, CallPlan, Choice, ChoiceScore, Expectation, NoCall, Normalize, Number,
    Outcome, Pattern, Pick, Schema, ToolCall, grade, grade_choice, most_likely,
};
pub use graded::{GradedTask, parse_graded};
pub use vocabulary::{disagreements, load_tokenizer, tokenizer_size};

use crate::config::{Variant, Workload};
use crate::hash;
use crate::problem::{Problem, Result};
use crate::record::Labels;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use vocabulary::Vocabulary;

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
    /// The suite it belongs to, by which rules may select it.
    #[serde(default)]
    pub suite: Option<String>,
    /// Free words, by which rules may select it.
    #[serde(default)]
    pub tags: Vec<String>,
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
    by_variant: Vec<(String, Vec<TokenizedTask>)>,
    /// Ids of the tasks, in order.
    pub ids: Vec<String>,
    /// Suites and tags of the tasks that have some.
    pub labels: BTreeMap<String, Labels>,
    /// SHA-256 of the tasks' file and the generation parameters.
    pub sha256: String,
}

impl Prompts {
    /// The tasks of a variant; none for a variant that they were not made for.
    pub fn of(&self, variant: &str) -> &[TokenizedTask] {
        let found = self.by_variant.iter().find(|(name, _)| name == variant);
        found.map_or(&[], |(_, tasks)| tasks)
    }
}

/// Reads the tasks and makes the token ids of each variant.
///
/// # Errors
/// If the tasks, a tokenizer or a template are missing or wrong.
pub fn prepare(workload: &Workload, variants: &[Variant]) -> Result<Prompts> {
    let text = read_text(&workload.tasks, "[workload] tasks")?;
    let tasks = parse_tasks(&workload.tasks, &text)?;
    let mut by_variant = Vec::new();
    for variant in variants {
        let mut tokenized = tokenize(&tasks, variant, &Vocabulary::of(variant)?)?;
        for task in &mut tokenized {
            task.tokens = fit(std::mem::take(&mut task.tokens), workload.prompt_tokens);
        }
        by_variant.push((variant.name.clone(), tokenized));
    }
    let parameters = format!(
        "{}{:?}/{}/{}/{}",
        hash::of_bytes(text.as_bytes()),
        workload.prompt_tokens,
        workload.gen_tokens,
        workload.seed,
        workload.sampling
    );
    Ok(Prompts {
        by_variant,
        labels: labels(tasks.iter().map(|task| (&task.id, &task.suite, &task.tags))),
        ids: tasks.into_iter().map(|task| task.id).collect(),
        sha256: hash::of_bytes(parameters.as_bytes()),
    })
}

/// The suites and tags of the tasks that have some.
fn labels<'a>(
    tasks: impl Iterator<Item = (&'a String, &'a Option<String>, &'a Vec<String>)>,
) -> BTreeMap<String, Labels> {
    tasks
        .map(|(id, suite, tags)| (id.clone(), Labels { suite: suite.clone(), tags: tags.clone() }))
        .filter(|(_, labels)| !labels.is_empty())
        .collect()
}

/// The seed of one request: the same for every variant and round, another for every task.
pub fn request_seed(seed: u64, task: &str) -> u64 {
    let sum = hash::of_bytes(format!("{seed}/{task}").as_bytes());
    u64::from_str_radix(&sum[..16], 16).expect("a sum is hexadecimal")
}

/// Reads a file that the configuration names under `key`.
fn read_text(file: &Path, key: &str) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| {
        Problem::io(file, "read it", &error)
            .help(format!("perfgate.toml names it: {key} = \"FILE\""))
    })
}

/// Reads tasks from JSON Lines.
///
/// # Errors
/// If a line is no task, or there is none.
pub fn parse_tasks(file: &Path, text: &str) -> Result<Vec<Task>> {
    const EXAMPLE: &str = r#"each line is one JSON object, such as {"id": "t1", "prompt": "…"}"#;
    let tasks = parse_lines(file, text, EXAMPLE, |task: &Task| (&task.id, &task.prompt))?;
    Ok(tasks.into_iter().map(|(_, task)| task).collect())
}

/// Reads JSON Lines of anything that has an id and a prompt; each with its line, from 1.
fn parse_lines<T: DeserializeOwned>(
    file: &Path,
    text: &str,
    example: &str,
    id_and_prompt: impl Fn(&T) -> (&String, &String),
) -> Result<Vec<(usize, T)>> {
    let mut tasks: Vec<(usize, T)> = Vec::new();
    let mut ids = BTreeSet::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let task: T = serde_json::from_str(line).map_err(|error| {
            // serde_json counts lines within the one line that it was given.
            let error_text = error.to_string();
            let what = error_text.split(" at line ").next().unwrap_or_default();
            Problem::in_file(file, format!("this line is no task: {what}"))
                .at(index + 1, error.column().max(1))
                .help(example)
        })?;
        let (id, prompt) = id_and_prompt(&task);
        let complaint = match () {
            () if id.is_empty() => Some("the task's id is empty".to_string()),
            () if prompt.is_empty() => Some(format!("the prompt of '{id}' is empty")),
            () if !ids.insert(id.clone()) => Some(format!("the id '{id}' stands twice")),
            () => None,
        };
        if let Some(what) = complaint {
            return Err(Problem::in_file(file, what).at(index + 1, 1).help(
                "each task has a prompt and an id of its own, by which its results are compared",
            ));
        }
        tasks.push((index + 1, task));
    }
    if tasks.is_empty() {
        return Err(Problem::in_file(file, "holds no task").help(example));
    }
    Ok(tasks)
}

/// The tasks in a variant's token ids, with its chat template around them.
fn tokenize(
    tasks: &[Task],
    variant: &Variant,
    vocabulary: &Vocabulary,
) -> Result<Vec<TokenizedTask>> {
    let chat = Chat::of_variant(variant)?;
    tasks
        .iter()
        .map(|task| {
            let text = prompt_text(task, variant, chat.as_ref())?;
            // A template writes the special tokens itself; without one the tokenizer adds its own.
            let tokens = vocabulary.encode(variant, &text, chat.is_none())?;
            Ok(TokenizedTask { id: task.id.clone(), tokens })
        })
        .collect()
}

/// A task's text as a variant is fed it.
fn prompt_text(task: &Task, variant: &Variant, chat: Option<&Chat>) -> Result<String> {
    match (chat, &task.system) {
        (Some(chat), _) => chat.render_task(task, variant),
        (None, Some(system)) => Ok(format!("{system}\n\n{}", task.prompt)),
        (None, None) => Ok(task.prompt.clone()),
    }
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
