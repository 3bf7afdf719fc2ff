//! Owns the graders: what an answer's text is worth, given what was expected.

use crate::record::{Failure, FailureClass, Grade};
use serde::Deserialize;
use serde_json::Value;

/// What counts as right, as a task file writes it: `"grader": "exact", "expect": "42"`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "grader", content = "expect", rename_all = "snake_case")]
pub enum Expectation {
    /// The answer's text without white space at its ends.
    Exact(String),
    /// A call of a tool, compared as a structure.
    ToolCall(ToolCall),
}

/// A call of a tool: `{"name": "get_weather", "arguments": {"city": "Oslo"}}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Value,
}

/// Grades an answer. A missing structure where one is required is a failure with its reason.
pub fn grade(expectation: &Expectation, text: &str) -> (Grade, Option<Failure>) {
    let right = match expectation {
        Expectation::Exact(expected) => Ok(text.trim() == expected.trim()),
        Expectation::ToolCall(expected) => parse_call(text).map(|found| {
            found.name == expected.name && same(&found.arguments, &expected.arguments)
        }),
    };
    match right {
        Ok(true) => (Grade::Right, None),
        Ok(false) => (Grade::Wrong, None),
        Err(message) => (Grade::Failed, Some(Failure { class: FailureClass::Malformed, message })),
    }
}

/// The call in an answer: one JSON object and nothing else. Its arguments may be a string of JSON, as
/// OpenAI's interface writes them.
fn parse_call(text: &str) -> Result<ToolCall, String> {
    let text = text.trim();
    let mut json: Value = serde_json::from_str(text)
        .map_err(|error| format!("no JSON ({error}): {}", shortened(text)))?;
    if let Some(Value::String(inner)) = json.get("arguments")
        && let Ok(arguments) = serde_json::from_str::<Value>(inner)
    {
        json["arguments"] = arguments;
    }
    let call: ToolCall = serde_json::from_value(json)
        .map_err(|error| format!("no tool call ({error}): {}", shortened(text)))?;
    if call.arguments.is_object() {
        return Ok(call);
    }
    Err(format!("the arguments are no object: {}", shortened(text)))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(expect: &str, text: &str) -> Grade {
        let expectation: Expectation = serde_json::from_str(expect).unwrap();
        grade(&expectation, text).0
    }

    #[test]
    fn exact_ignores_white_space_at_the_ends_only() {
        let expect = r#"{"grader": "exact", "expect": "forty two"}"#;
        assert_eq!(of(expect, " forty two\n"), Grade::Right);
        assert_eq!(of(expect, "forty  two"), Grade::Wrong);
        assert_eq!(of(expect, "Forty two"), Grade::Wrong);
    }

    #[test]
    fn calls_are_compared_as_structures() {
        let expect = r#"{"grader": "tool_call", "expect":
            {"name": "move", "arguments": {"to": "home", "by": 3, "via": [1, {"x": null}]}}}"#;
        let cases = [
            (
                r#"{"name": "move", "arguments": {"to": "home", "by": 3, "via": [1, {"x": null}]}}"#,
                Grade::Right,
            ),
            (
                r#" {"arguments": {"via": [1.0, {"x": null}], "by": 3.0, "to": "home"}, "name": "move"} "#,
                Grade::Right,
            ),
            (
                r#"{"name": "move", "arguments": "{\"to\": \"home\", \"by\": 3, \"via\": [1, {\"x\": null}]}"}"#,
                Grade::Right,
            ),
            (
                r#"{"name": "stay", "arguments": {"to": "home", "by": 3, "via": [1, {"x": null}]}}"#,
                Grade::Wrong,
            ),
            (
                r#"{"name": "move", "arguments": {"to": "home", "by": "3", "via": [1, {"x": null}]}}"#,
                Grade::Wrong,
            ),
            (
                r#"{"name": "move", "arguments": {"to": "home", "by": 3, "via": [{"x": null}, 1]}}"#,
                Grade::Wrong,
            ),
            (r#"{"name": "move", "arguments": {"to": "home", "by": 3}}"#, Grade::Wrong),
            (r#"{"name": "move", "arguments": {}, "why": "so"}"#, Grade::Failed),
            (r#"{"name": "move", "arguments": [1]}"#, Grade::Failed),
            (r#"{"name": "move", "argum"#, Grade::Failed),
            ("I would move home.", Grade::Failed),
            ("", Grade::Failed),
        ];
        for (text, expected) in cases {
            assert_eq!(of(expect, text), expected, "{text}");
        }
    }

    #[test]
    fn a_malformed_answer_is_quoted() {
        let expectation =
            Expectation::ToolCall(ToolCall { name: "a".into(), arguments: Value::Null });
        let (_, failure) = grade(&expectation, &"é".repeat(200));
        let failure = failure.unwrap();
        assert_eq!(failure.class, FailureClass::Malformed);
        assert!(failure.message.ends_with("é\"…"), "{failure}");
    }
}
