//! Owns a graded task as a file has it: its prompt, where it belongs, and what is expected.

use super::grade::Expectation;
use super::parse_lines;
use crate::problem::Result;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A task whose answer is graded.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Line")]
pub struct GradedTask {
    /// The id, which stays.
    pub id: String,
    /// A system message, used by chat templates and put before the prompt without one.
    pub system: Option<String>,
    /// The prompt.
    pub prompt: String,
    /// The suite it belongs to, by which rules may select it.
    pub suite: Option<String>,
    /// Free words, by which rules may select it.
    pub tags: Vec<String>,
    /// The licence of the task, where it comes from elsewhere, such as `Apache-2.0`.
    pub license: Option<String>,
    /// What counts as right.
    pub expectation: Expectation,
}

/// One line of the file of graded tasks.
#[derive(Deserialize)]
struct Line {
    id: String,
    #[serde(default)]
    system: Option<String>,
    prompt: String,
    #[serde(default)]
    suite: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    license: Option<String>,
    #[serde(flatten)]
    expectation: Expectation,
    // `deny_unknown_fields` does not go with `flatten`; what is left over is refused by hand.
    #[serde(flatten)]
    unknown: BTreeMap<String, serde_json::Value>,
}

impl TryFrom<Line> for GradedTask {
    type Error = String;

    fn try_from(line: Line) -> std::result::Result<GradedTask, String> {
        let Line { id, system, prompt, suite, tags, license, expectation, unknown } = line;
        if let Some(key) = unknown.keys().find(|key| *key != "grader" && *key != "expect") {
            return Err(format!("unknown field `{key}` of task '{id}'"));
        }
        if matches!(&expectation, Expectation::Exact(expected) if expected.trim().is_empty()) {
            return Err(format!(
                "task '{id}' expects an empty text of `exact`, and an empty answer is a failure: none is right"
            ));
        }
        Ok(GradedTask { id, system, prompt, suite, tags, license, expectation })
    }
}

/// Reads graded tasks from JSON Lines.
///
/// # Errors
/// If a line is no graded task, or there is none.
pub fn parse_graded(file: &Path, text: &str) -> Result<Vec<GradedTask>> {
    const EXAMPLE: &str = r#"each line is one JSON object, such as {"id": "t1", "prompt": "…", "grader": "exact", "expect": "…"}; graders: exact, normalized, regex, numeric, json_schema, tool_call, tool_calls, no_call, choice"#;
    let tasks = parse_lines(file, text, EXAMPLE, |task: &GradedTask| (&task.id, &task.prompt))?;
    Ok(tasks.into_iter().map(|(_, task)| task).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_line_is_named() {
        let file = Path::new("graded.jsonl");
        let good = r#"{"id": "a", "prompt": "x", "grader": "exact", "expect": "y"}"#;
        assert_eq!(
            parse_graded(file, good).unwrap()[0].expectation,
            Expectation::Exact("y".into())
        );
        let cases = [
            (good.replace("exact", "exakt"), "graded.jsonl:1:"),
            (good.replace("exact", "exakt"), "unknown variant `exakt`"),
            (good.replace("\"y\"", "{}"), "graded.jsonl:1:"),
            (good.replace("expect", "expected"), "graded.jsonl:1:"),
            (good.replace("{", "{\"wieght\": 1, "), "unknown field `wieght` of task 'a'"),
            (
                good.replace("exact", "tool_call").replace("\"y\"", "{\"name\": \"n\"}"),
                "missing field `arguments`",
            ),
            (format!("{good}\n{good}"), "graded.jsonl:2:1: the id 'a' stands twice"),
        ];
        for (text, expected) in cases {
            let problem = parse_graded(file, &text).expect_err(expected).to_string();
            assert!(problem.contains(expected), "wanted {expected:?} in {problem}");
        }
    }

    #[test]
    fn a_bad_expectation_is_named() {
        let calls = "tool_calls";
        let cases = [
            ("regex", r#""a(b""#, "no pattern: \"a(b\": unclosed group"),
            ("regex", r#""a)(b""#, "no pattern: \"a)(b\": unopened group"),
            ("exact", r#""""#, "task 'a' expects an empty text of `exact`"),
            ("exact", r#"" \n""#, "task 'a' expects an empty text of `exact`"),
            ("regex", r#""""#, "the pattern is empty"),
            ("regex", r#""  ""#, "the pattern is empty"),
            ("normalized", r#""A""#, "nothing is left of \"A\" when it is normalized"),
            ("normalized", "[]", "the list of texts is empty"),
            ("numeric", r#""42""#, "a number is expected, or an object with its `value`"),
            ("numeric", r#"{"value": 1, "tol": 2}"#, "unknown field `tol`"),
            ("numeric", r#"{"value": 1, "relative": -1}"#, "a tolerance is not below 0"),
            ("json_schema", r#"{"schema": {"type": "objekt"}}"#, "no JSON Schema: at \"/type\": "),
            ("json_schema", r#"{"schema": {"$ref": "http://127.0.0.1:1/s"}}"#, "no JSON Schema: "),
            ("json_schema", r#"{"schema": {"pattern": "(?=a)"}}"#, "no JSON Schema: "),
            (
                "json_schema",
                r#"{"schema": {"type": "object"}, "equals": null}"#,
                "`equals` is not valid: null is not of type \"object\"",
            ),
            ("no_call", "[]", "the list of texts is empty"),
            ("no_call", r#"{"rules": 1}"#, "unknown field `rules`"),
            (calls, r#"{"calls": []}"#, "no calls are expected; the grader for that is `no_call`"),
            (calls, r#"{"calls": [{"f": {"x": 1}}]}"#, "\"x\": the alternatives are no list"),
            (calls, r#"{"calls": [{"f": {}, "g": {}}]}"#, "each of `calls` is {\"function\":"),
            (
                calls,
                r#"{"calls": [{"f": {"x": [{"k": 1}]}}]}"#,
                "\"x\": \"k\" needs a list of alternatives",
            ),
            (
                calls,
                r#"{"calls": [{"f": {}}], "tools": [{"name": "g"}]}"#,
                "the call of \"f\" is of none of the `tools`",
            ),
            (
                "choice",
                r#"{"choices": ["a", "b"], "gold": 2}"#,
                "`gold` is 2, and the last of the choices is 1",
            ),
            (
                "choice",
                r#"{"choices": ["red", "blue", "red"], "gold": 2}"#,
                "`gold` is choice 2, \"red\", which stands as choice 0 too",
            ),
        ];
        for (grader, expect, expected) in cases {
            let line = format!(
                r#"{{"id": "a", "prompt": "x", "grader": "{grader}", "expect": {expect}}}"#
            );
            let problem =
                parse_graded(Path::new("g.jsonl"), &line).expect_err(expected).to_string();
            assert!(problem.starts_with("g.jsonl:1:"), "{problem}");
            assert!(problem.contains(expected), "wanted {expected:?} in {problem}");
        }
    }
}
