//! Owns the graders: what an answer's text is worth, given what was expected, and why.

mod arguments;
mod calls;
mod choice;
mod json;
mod no_call;
mod numeric;
mod python;
mod reading;
mod schema;
mod shapes;
mod signs;
mod text;

pub use calls::{Call, CallPlan, ToolCall};
pub use choice::{Choice, ChoiceScore, Normalize, grade_choice, most_likely};
pub use no_call::NoCall;
pub use numeric::{Number, Pick};
pub use schema::Schema;
pub use text::{Alternatives, Pattern};

pub(super) use reading::opened_by;

use crate::config::NoCallRule;
use crate::record::{Failure, FailureClass, Grade};
use serde::Deserialize;
use serde_json::Value;

/// What counts as right, as a task file writes it: `"grader": "exact", "expect": "42"`. What the
/// expectations themselves can have wrong, such as a bad pattern, is refused when they are read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "grader", content = "expect", rename_all = "snake_case")]
pub enum Expectation {
    /// The answer's text without white space at its ends.
    Exact(String),
    /// One of some texts, but for case, punctuation, articles and white space.
    Normalized(Alternatives),
    /// A pattern that matches the whole answer.
    Regex(Pattern),
    /// A number in the answer.
    Numeric(Number),
    /// JSON that a schema allows.
    JsonSchema(Schema),
    /// A call of a tool, compared as a structure.
    ToolCall(ToolCall),
    /// Some calls of tools, each argument with its alternatives.
    ToolCalls(CallPlan),
    /// No call of a tool, nor what may be meant as one.
    NoCall(NoCall),
    /// The most probable of some continuations; `grade_choice` grades it, for there is no text.
    Choice(Choice),
}

/// Raised when an answer may come to another grade than before, so that grades of another time are not compared.
pub(super) const GRADERS: &str = "graders 3";

impl Expectation {
    /// Whether an answer that cannot be read, is empty or does not end counts as right: the rule `leaderboard` of
    /// [`NoCall`].
    pub fn is_lenient(&self) -> bool {
        matches!(self, Expectation::NoCall(no_call) if no_call.rule() == NoCallRule::Leaderboard)
    }

    /// Whether it names a mark of reasoning, so that reasoning belongs to what is graded.
    pub(super) fn names_reasoning(&self) -> bool {
        match self {
            Expectation::Exact(expected) => reading::names_reasoning(expected),
            Expectation::Normalized(expected) => expected.names_reasoning(),
            Expectation::Regex(pattern) => pattern.names_reasoning(),
            _ => false,
        }
    }
}

/// What an answer came to, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it came to.
    pub grade: Grade,
    /// What differs, in one line of at most 200 characters, for a wrong answer.
    pub reason: Option<String>,
    /// Why the answer is not usable, for one that failed.
    pub failure: Option<Failure>,
}

/// Why an answer is not right.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Miss {
    /// An answer, and not the expected one: what differs.
    Wrong(String),
    /// No usable answer.
    Failed(FailureClass, String),
}

impl Miss {
    /// The structure that was asked for is not there.
    fn malformed(message: impl Into<String>) -> Miss {
        Miss::Failed(FailureClass::Malformed, message.into())
    }
}

impl From<Result<(), Miss>> for Outcome {
    fn from(result: Result<(), Miss>) -> Outcome {
        let (grade, reason, failure) = match result {
            Ok(()) => (Grade::Right, None, None),
            Err(Miss::Wrong(reason)) => (Grade::Wrong, Some(clipped(&reason, 200)), None),
            Err(Miss::Failed(class, message)) => {
                let message = clipped(&message, 200);
                (Grade::Failed, None, Some(Failure { class, message }))
            }
        };
        Outcome { grade, reason, failure }
    }
}

/// Grades an answer. A missing structure where one is required is a failure, and so is reasoning that does not end.
///
/// Reasoning before the answer is not part of it, unless the expectation itself names a mark of reasoning.
pub fn grade(expectation: &Expectation, text: &str) -> Outcome {
    let answer = || reading::after_reasoning(text).map_err(Miss::malformed);
    let graded = || if expectation.names_reasoning() { Ok(text) } else { answer() };
    let result = match expectation {
        Expectation::Exact(expected) => graded().and_then(|answer| text::exact(expected, answer)),
        Expectation::Normalized(expected) => graded().and_then(|answer| expected.check(answer)),
        Expectation::Regex(pattern) => graded().and_then(|answer| pattern.check(answer)),
        Expectation::Numeric(number) => answer().and_then(|answer| number.check(answer)),
        // A text within JSON may hold any mark.
        Expectation::JsonSchema(schema) => schema.check(text).or_else(|miss| match answer() {
            Ok(answer) if answer == text => Err(miss),
            answer => schema.check(answer?),
        }),
        Expectation::ToolCall(call) => call.check(text),
        Expectation::ToolCalls(plan) => plan.check(text),
        Expectation::NoCall(no_call) => no_call.check(text),
        Expectation::Choice(_) => {
            let message =
                "a choice is graded by the likelihood of its continuations, not by a text";
            Err(Miss::Failed(FailureClass::Error, message.to_string()))
        }
    };
    result.into()
}

/// Grades an answer to a prompt that ends by opening reasoning, which `close` ends: without that mark the answer is
/// reasoning that does not end, whatever stands in it.
pub(super) fn grade_reasoned(expectation: &Expectation, text: &str, close: &str) -> Outcome {
    let whole = expectation.is_lenient() || expectation.names_reasoning();
    if whole || text.contains(close) {
        return grade(expectation, text);
    }
    let what = format!("the reasoning that the prompt begins does not end: {}", quoted(text));
    Err(Miss::malformed(what)).into()
}

/// At most so many characters, the last of them an ellipsis if there were more.
fn clipped(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some(_) => text.chars().take(characters - 1).chain(['…']).collect(),
        None => text.to_string(),
    }
}

/// A model's text for a reason: escaped, shortened, in quotes.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A value for a reason: JSON, with what cannot be seen escaped.
fn shown(value: &Value) -> String {
    if let Value::String(text) = value {
        return quoted(text);
    }
    let visible = |c: char| match c {
        '"' | '\'' | '\\' => c.to_string(),
        _ => c.escape_debug().to_string(),
    };
    clipped(&value.to_string(), 60).chars().map(visible).collect()
}

/// Whether two values are equal as structures: the order of keys is free, that of lists is not, and
/// `3` equals `3.0`.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// The first place where two values differ, as a path such as `/a/0`, and how; `None` if they are
/// the same.
fn difference(expected: &Value, found: &Value) -> Option<(String, String)> {
    let under = |key: String, inner: Option<(String, String)>| {
        inner.map(|(path, what)| (format!("/{key}{path}"), what))
    };
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let missing = expected.keys().find(|key| !found.contains_key(*key));
            let extra = found.keys().find(|key| !expected.contains_key(*key));
            if let Some(key) = missing {
                return Some((String::new(), format!("{} is missing", quoted(key))));
            }
            if let Some(key) = extra {
                return Some((String::new(), format!("{} is not expected", quoted(key))));
            }
            expected
                .iter()
                .find_map(|(key, value)| under(key.clone(), difference(value, &found[key])))
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let mut pairs = expected.iter().zip(found).enumerate();
            pairs.find_map(|(at, (expected, found))| {
                under(at.to_string(), difference(expected, found))
            })
        }
        _ if same(expected, found) => None,
        _ => Some((String::new(), format!("{} is not {}", shown(found), shown(expected)))),
    }
}
