//! Owns the reading of the Berkeley Function-Calling Leaderboard's files: a question and functions,
//! and in a second file the calls that answer it.

use super::super::grade::{CallPlan, Expectation, NoCall};
use super::super::graded::GradedTask;
use super::super::parse_lines;
use crate::config::NoCallRule;
use crate::problem::{Problem, Result};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

const QUESTION: &str = r#"each line is {"id": "simple_python_0", "question": [[{"role": "user", "content": "…"}]], "function": [{"name": "…", "parameters": {…}}]}"#;
const ANSWER: &str = r#"each line is {"id": "simple_python_0", "ground_truth": [{"function": {"parameter": ["alternative", …]}}]}"#;

/// What the functions stand after.
const INSTRUCTIONS: &str = "\
You fulfil requests by calling functions. Answer with the calls and nothing else, as one list in \
Python's syntax:
[first_function(argument='text'), second.function(argument=1, other=[True, None])]
Give every argument its name, and take its value from the request. If no function fits the \
request, or the request does not say what a function requires, say so in one sentence and call \
nothing.

The functions, in JSON:
";

/// One line of the file of questions.
#[derive(Deserialize)]
struct Line {
    id: String,
    question: Vec<Vec<Message>>,
    function: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
}

/// A question in one turn.
#[derive(Deserialize)]
#[serde(try_from = "Line")]
struct Question {
    id: String,
    system: String,
    prompt: String,
    functions: Vec<Value>,
}

/// One line of the file of answers.
#[derive(Deserialize)]
struct Answer {
    id: String,
    ground_truth: Vec<Map<String, Value>>,
}

impl TryFrom<Line> for Question {
    type Error = String;

    fn try_from(line: Line) -> std::result::Result<Question, String> {
        let Line { id, question, function } = line;
        let turns = question.len();
        if turns != 1 {
            return Err(format!(
                "'{id}' has {turns} turns, and an answer is one; take a category of one turn, such as simple_python"
            ));
        }
        if id.contains("java") {
            return Err(format!("'{id}' asks for another language than Python"));
        }
        if id.starts_with("live_relevance") {
            return Err(format!("'{id}' has no right answer: any call would do"));
        }
        let Some(functions) = function else {
            return Err(format!("'{id}' names no functions; agentic categories are not read"));
        };
        let messages: Vec<Message> = question.into_iter().flatten().collect();
        let (system, said): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| message.role == "system");
        let mut instructions = format!("{INSTRUCTIONS}{}", Value::Array(functions.clone()));
        for message in system {
            instructions += &format!("\n\n{}", message.content.trim());
        }
        Ok(Question { id, system: instructions, prompt: conversation(&said), functions })
    }
}

/// What was said: one message as it stands, more with who says each.
fn conversation(messages: &[Message]) -> String {
    if let [one] = messages {
        return one.content.clone();
    }
    let said = messages.iter().map(|message| format!("{}: {}", message.role, message.content));
    said.collect::<Vec<_>>().join("\n\n")
}

/// Reads questions, with their answers unless none of them needs one.
pub(super) fn read(
    file: &Path,
    text: &str,
    answers: Option<(&Path, &str)>,
) -> Result<Vec<GradedTask>> {
    let questions =
        parse_lines(file, text, QUESTION, |question: &Question| (&question.id, &question.prompt))?;
    let mut known = BTreeMap::new();
    if let Some((file, text)) = answers {
        let lines = parse_lines(file, text, ANSWER, |answer: &Answer| (&answer.id, &answer.id))?;
        for (line, answer) in lines {
            known.insert(answer.id, (file, line, answer.ground_truth));
        }
    }
    let task = |(line, question): (usize, Question)| {
        let expectation = match known.remove(&question.id) {
            _ if is_irrelevant(&question.id) => {
                let offered = NoCall::offered(&question.functions, NoCallRule::Strict);
                offered.map(Expectation::NoCall).map_err(|what| {
                    let what = format!("'{}': {what}", question.id);
                    Problem::in_file(file, what).at(line, 1).help(QUESTION)
                })?
            }
            Some((file, line, calls)) => calls_of(&question, file, line, calls)?,
            None => return Err(unanswered(file, line, &question.id, answers)),
        };
        Ok(graded(question, expectation))
    };
    questions.into_iter().map(task).collect()
}

/// Whether no function fits, so that the right answer calls none.
fn is_irrelevant(id: &str) -> bool {
    id.starts_with("irrelevance") || id.starts_with("live_irrelevance")
}

fn calls_of(
    question: &Question,
    file: &Path,
    line: usize,
    calls: Vec<Map<String, Value>>,
) -> Result<Expectation> {
    CallPlan::new(calls, false, &question.functions).map(Expectation::ToolCalls).map_err(|what| {
        Problem::in_file(file, format!("the answer to '{}': {what}", question.id))
            .at(line, 1)
            .help(ANSWER)
    })
}

fn unanswered(file: &Path, line: usize, id: &str, answers: Option<(&Path, &str)>) -> Problem {
    let (what, help) = match answers {
        Some((answers, _)) => (
            format!("'{id}' has no answer in {}", answers.display()),
            "take the file of the same name from the folder `possible_answer`",
        ),
        None => (
            format!("'{id}' has no answer, for there is no file of answers"),
            "name the file of the same name from the folder `possible_answer` too",
        ),
    };
    Problem::in_file(file, what).at(line, 1).help(help)
}

fn graded(question: Question, expectation: Expectation) -> GradedTask {
    let Question { id, system, prompt, .. } = question;
    // `live_simple_58-27-0` is of `live_simple`.
    let category = id.trim_end_matches(|c: char| c.is_ascii_digit() || "-_".contains(c));
    GradedTask {
        suite: (!category.is_empty()).then(|| category.to_string()),
        id,
        system: Some(system),
        prompt,
        tags: vec!["bfcl".to_string()],
        license: Some("Apache-2.0".to_string()),
        expectation,
    }
}
