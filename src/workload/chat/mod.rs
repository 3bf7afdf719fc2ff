//! Owns chat templates as they are used: which one a variant's prompts stand in, and a conversation's text by it,
//! as Hugging Face's `transformers` renders it.

mod find;
mod jinja;
mod methods;
mod python;

pub(super) use find::{Special, special_tokens};
pub(super) use python::is_space;

use super::Task;
use crate::config::{ChatTemplate, Variant};
use crate::engine;
use crate::problem::{Problem, Result};
use chrono::{NaiveDate, NaiveTime};
use find::Found;
use jinja::Compiled;
use minijinja::{Value, context};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

/// What is to be done where a template cannot be used.
const OTHERWISE: &str = "name another one for this variant with chat_template = \"FILE.jinja\", or feed its prompts \
                         as they stand with chat_template = \"none\"";

/// Texts that no template holds by itself, in place of a prompt and of a system text.
const PROBE: &str = "perfgate asks whether this message is rendered";
const SYSTEM_PROBE: &str = "and whether what a system is told is rendered too by perfgate";

/// A chat template, compiled, with the special tokens that it may use.
#[derive(Debug)]
pub struct Chat {
    found: Found,
    compiled: Compiled,
    special: BTreeMap<String, Value>,
    date: NaiveDate,
    /// Which part of a conversation with a system text does not reach the model, once that was looked for.
    dropped_with_system: OnceLock<Option<&'static str>>,
}

impl Chat {
    /// The template of a variant, if its prompts stand in one.
    ///
    /// # Errors
    /// If a file cannot be read, the template is not one, or it was asked for and the model has none.
    pub fn of_variant(variant: &Variant) -> Result<Option<Chat>> {
        let has_model = engine::has_model(&variant.load);
        let found = match &variant.chat_template {
            ChatTemplate::None => return Ok(None),
            ChatTemplate::Auto if has_model => find::of_model(variant, None)?,
            ChatTemplate::Auto => None,
            ChatTemplate::Model(name) => {
                Some(find::of_model(variant, name.as_deref())?.ok_or_else(|| {
                    let what = format!("variant '{}': the model has no chat template", variant.name);
                    Problem::in_file(&variant.load.model, what).help(OTHERWISE)
                })?)
            }
            ChatTemplate::File(file) => Some(Found {
                text: std::fs::read_to_string(file).map_err(|error| {
                    Problem::io(file, "read the chat template", &error).help(format!(
                        "variant '{}' names it: chat_template = \"FILE\", \"auto\", \"model\" or \"none\"",
                        variant.name
                    ))
                })?,
                file: file.clone(),
                in_json: false,
                name: None,
            }),
        };
        let Some(found) = found else { return Ok(None) };
        let special = if has_model { special_tokens(variant)? } else { BTreeMap::new() };
        let special = special.into_iter().map(|(name, special)| match special {
            Special::One(token) => (name, Value::from(token)),
            Special::Several(tokens) => (name, tokens.into_iter().map(Value::from).collect()),
        });
        let chat = Chat::compile(found, special.collect(), variant.chat_date)
            .map_err(|problem| problem.of(&format!("variant '{}'", variant.name)))?;
        chat.says_what_it_is_told(variant)?;
        Ok(Some(chat))
    }

    /// The template of a file by itself, which takes all its variables from the conversation.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a template.
    pub fn of_file(file: &Path, date: NaiveDate) -> Result<Chat> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Problem::io(file, "read the chat template", &error))?;
        let found = Found { file: file.to_path_buf(), in_json: false, name: None, text };
        Chat::compile(found, BTreeMap::new(), date)
    }

    fn compile(found: Found, special: BTreeMap<String, Value>, date: NaiveDate) -> Result<Chat> {
        let compiled = Compiled::new(&found.text, date.and_time(NaiveTime::MIN))
            .map_err(|error| wrong(&found, "is not one that is understood", &error))?;
        Ok(Chat { found, compiled, special, date, dropped_with_system: OnceLock::new() })
    }

    /// Where the template stands, in a few words: its file's name, and its own where there are several.
    pub fn place(&self) -> String {
        let file = self.found.file.file_name().unwrap_or(self.found.file.as_os_str());
        match &self.found.name {
            Some(name) => format!("{} ({name})", file.display()),
            None => file.display().to_string(),
        }
    }

    /// The day that `strftime_now` gives, if the template calls it.
    pub fn date(&self) -> Option<NaiveDate> {
        self.found.text.contains("strftime_now").then_some(self.date)
    }

    /// A conversation's text. `conversation` is a JSON object of the template's variables: `messages`, perhaps
    /// `tools`, `documents`, `add_generation_prompt` (true unless said otherwise), special tokens and others.
    ///
    /// # Errors
    /// If it is not such an object, or the template fails.
    pub fn render_json(&self, conversation: &str) -> Result<String> {
        let given: Value = serde_json::from_str(conversation)
            .map_err(|error| Problem::new(format!("the conversation is not JSON: {error}")))?;
        let given = python::pairs(&given).into_iter();
        let given = given.filter_map(|(name, value)| Some((name.as_str()?.to_string(), value)));
        self.render(given.collect())
    }

    fn render(&self, given: BTreeMap<String, Value>) -> Result<String> {
        // As transformers passes them: there, and none.
        let mut variables = BTreeMap::from([
            ("tools".to_string(), Value::from(())),
            ("documents".to_string(), Value::from(())),
            ("add_generation_prompt".to_string(), Value::from(true)),
        ]);
        variables.extend(self.special.clone());
        variables.extend(given);
        self.compiled
            .render(Value::from_pairs(variables))
            .map_err(|error| wrong(&self.found, "fails", &error))
    }

    fn conversation(&self, system: Option<&str>, prompt: &str) -> Result<String> {
        let system = system.map(|content| context! { role => "system", content => content });
        let user = context! { role => "user", content => prompt };
        let messages: Vec<Value> = system.into_iter().chain([user]).collect();
        self.render(BTreeMap::from([("messages".to_string(), Value::from(messages))]))
    }

    /// A task as a conversation that waits for the assistant.
    ///
    /// # Errors
    /// If the template fails, or leaves a text of the task out: what is asked would never reach the model.
    pub(super) fn render_task(&self, task: &Task, variant: &Variant) -> Result<String> {
        let of_task = format!("variant '{}', task '{}'", variant.name, task.id);
        let text = self
            .conversation(task.system.as_deref(), &task.prompt)
            .map_err(|problem| problem.of(&of_task))?;
        if task.system.is_some()
            && let Some(what) = self.dropped_with_system.get_or_init(|| self.drops_with_system())
        {
            return Err(self.dropped(&of_task, what));
        }
        let parts = [("system text", task.system.as_deref()), ("prompt", Some(&task.prompt))];
        for (what, part) in parts {
            if part.is_some_and(|part| !holds(&text, part)) {
                return Err(self.dropped(&of_task, what));
            }
        }
        Ok(text)
    }

    /// Which part of a conversation with a system text does not reach the model. A task's own texts may stand in a
    /// rendering by accident, a short one in a text of the template itself, or a system text within the prompt; these
    /// cannot.
    fn drops_with_system(&self) -> Option<&'static str> {
        // What the template refuses itself is said with a task.
        let text = self.conversation(Some(SYSTEM_PROBE), PROBE).ok()?;
        let parts = [("system text", SYSTEM_PROBE), ("prompt", PROBE)];
        parts.into_iter().find(|(_, probe)| !holds(&text, probe)).map(|(what, _)| what)
    }

    /// Refuses a template that puts no message into its text. What it refuses itself is said with a task.
    fn says_what_it_is_told(&self, variant: &Variant) -> Result<()> {
        match self.conversation(None, PROBE) {
            Ok(text) if !holds(&text, PROBE) => {
                Err(self.dropped(&format!("variant '{}'", variant.name), "user's message"))
            }
            _ => Ok(()),
        }
    }

    fn dropped(&self, whose: &str, what: &str) -> Problem {
        let what = format!(
            "the chat template{} leaves out or changes the {what}, which would never reach the model",
            named(&self.found)
        );
        Problem::in_file(&self.found.file, what).of(whose).help(OTHERWISE)
    }
}

fn named(found: &Found) -> String {
    found.name.as_ref().map_or(String::new(), |name| format!(" '{name}'"))
}

/// An error of the template language, at its line.
fn wrong(found: &Found, what: &str, error: &minijinja::Error) -> Problem {
    let mut why = error.detail().map_or_else(|| error.kind().to_string(), str::to_string);
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        why = format!("{why}: {inner}");
        cause = inner.source();
    }
    let name = named(found);
    let problem = match error.line() {
        Some(line) if found.in_json => {
            let what = format!("line {line} of the chat template{name} {what}: {why}");
            Problem::in_file(&found.file, what)
        }
        line => {
            let problem =
                Problem::in_file(&found.file, format!("the chat template{name} {what}: {why}"));
            line.map_or(problem.clone(), |line| problem.at(line, 1))
        }
    };
    problem.help(OTHERWISE)
}

/// Whether a rendering holds a text: as it stands but for white space, or as JSON has it.
fn holds(rendered: &str, text: &str) -> bool {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let as_json = || serde_json::Value::from(text.trim()).to_string();
    squeezed(rendered).contains(&squeezed(text)) || rendered.contains(as_json().trim_matches('"'))
}

/// What the record of a session says of a variant's text: its template and the template's day. Nothing where prompts
/// are fed as they stand.
///
/// # Errors
/// As [`Chat::of_variant`].
pub fn text_of(variant: &Variant) -> Result<BTreeMap<String, String>> {
    let Some(chat) = Chat::of_variant(variant)? else { return Ok(BTreeMap::new()) };
    let date = chat.date().map(|date| (CHAT_DATE.to_string(), date.to_string()));
    Ok(date.into_iter().chain([(CHAT_TEMPLATE.to_string(), chat.place())]).collect())
}

/// Under which name the record of a variant holds its template.
pub const CHAT_TEMPLATE: &str = "chat_template";

/// Under which name it holds the day that the template is told.
pub const CHAT_DATE: &str = "chat_date";

/// The text of the chat template that a variant's prompts really stand in; nothing where they are fed as they stand.
///
/// # Errors
/// As [`Chat::of_variant`].
pub fn chat_template_text(variant: &Variant) -> Result<Option<String>> {
    Ok(Chat::of_variant(variant)?.map(|chat| chat.found.text))
}
