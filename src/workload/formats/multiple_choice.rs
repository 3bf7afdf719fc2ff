//! Owns the reading of multiple-choice questions as datasets publish them: a question, its choices,
//! and which of them is right.

use super::super::grade::{Choice, Expectation};
use super::super::graded::GradedTask;
use super::super::parse_lines;
use crate::problem::Result;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

const EXAMPLE: &str = r#"each line is {"question": "…", "choices": ["…", "…"], "answer": 1}; the answer is a position from 0, a letter, or one of the labels in {"text": […], "label": […]}"#;

/// One line. Of `question`, `query` and `ctx` there is one, and one of the names of the answer;
/// other fields of a dataset are left alone.
#[derive(Deserialize)]
struct Line {
    id: Value,
    question: Option<String>,
    query: Option<String>,
    ctx: Option<String>,
    choices: Choices,
    gold: Option<Value>,
    answer: Option<Value>,
    label: Option<Value>,
    #[serde(rename = "answerKey")]
    answer_key: Option<Value>,
    suite: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    license: Option<String>,
}

/// The choices, as a list or as ARC has them.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`choices` is a list of texts, or {\"text\": […], \"label\": […]}")]
enum Choices {
    Plain(Vec<String>),
    Labelled { text: Vec<String>, label: Vec<String> },
}

/// A line as a task.
#[derive(Deserialize)]
#[serde(try_from = "Line")]
struct Question(GradedTask);

impl TryFrom<Line> for Question {
    type Error = String;

    fn try_from(line: Line) -> std::result::Result<Question, String> {
        let id = match line.id {
            Value::String(id) => id,
            Value::Number(id) => id.to_string(),
            _ => return Err("the id is neither a text nor a number".to_string()),
        };
        let prompt = match (line.question.or(line.query), line.ctx) {
            (Some(question), _) => format!("Question: {}\nAnswer:", question.trim()),
            // A text to be continued, not a question.
            (None, Some(context)) => context.trim_end().to_string(),
            (None, None) => return Err(format!("'{id}' has no `question`, `query` or `ctx`")),
        };
        let (texts, labels) = match line.choices {
            Choices::Plain(texts) => (texts, Vec::new()),
            Choices::Labelled { text, label } => (text, label),
        };
        let gold = line.gold.or(line.answer).or(line.label).or(line.answer_key);
        let gold = gold.ok_or_else(|| format!("'{id}' has no `answer`"))?;
        let choice = position(&gold, &labels)
            .and_then(|gold| Choice::new(texts, gold))
            .map_err(|what| format!("'{id}': {what}"))?;
        Ok(Question(GradedTask {
            id,
            system: None,
            prompt,
            suite: line.suite,
            tags: line.tags,
            license: line.license,
            expectation: Expectation::Choice(choice),
        }))
    }
}

/// The position of the right choice, from 0: a label, a letter, or the position itself.
fn position(gold: &Value, labels: &[String]) -> std::result::Result<usize, String> {
    let found = match gold {
        Value::String(text) if !labels.is_empty() => labels.iter().position(|label| label == text),
        Value::String(text) => match text.trim().as_bytes() {
            [letter @ (b'A'..=b'Z' | b'a'..=b'z')] => {
                Some(usize::from(letter.to_ascii_uppercase() - b'A'))
            }
            _ => text.trim().parse().ok(),
        },
        gold => gold.as_u64().and_then(|gold| usize::try_from(gold).ok()),
    };
    found.ok_or_else(|| match labels {
        [] => format!("the answer {gold} is neither a position from 0 nor a letter"),
        labels => format!("the answer {gold} is none of the labels {}", labels.join(", ")),
    })
}

/// Reads questions; one without an id gets the number of its line.
pub(super) fn read(file: &Path, text: &str) -> Result<Vec<GradedTask>> {
    let lines: Vec<String> =
        text.lines().enumerate().map(|(index, line)| with_id(line, index + 1)).collect();
    let questions =
        parse_lines(file, &lines.join("\n"), EXAMPLE, |Question(task)| (&task.id, &task.prompt))?;
    Ok(questions.into_iter().map(|(_, Question(task))| task).collect())
}

/// A line with its number for an id if it is an object without one; any other as it is.
fn with_id(line: &str, number: usize) -> String {
    match serde_json::from_str::<Map<String, Value>>(line) {
        Ok(mut object) if !object.contains_key("id") => {
            object.insert("id".to_string(), number.to_string().into());
            Value::Object(object).to_string()
        }
        _ => line.to_string(),
    }
}
