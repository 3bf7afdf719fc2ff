//! Owns the tests of the graders against tables of cases, most of them made by other programs.

use perfgate::record::{FailureClass, Grade};
use perfgate::workload::{self, ChoiceScore, Expectation, Outcome};
use serde::Deserialize;
use serde_json::{Value, json};

/// Reads a table of `tests/reference/graders`.
macro_rules! table {
    ($name:literal) => {
        serde_json::from_str(include_str!(concat!("../reference/graders/", $name))).unwrap()
    };
}

fn expectation(grader: &str, expect: &Value) -> Expectation {
    let written = json!({"grader": grader, "expect": expect});
    serde_json::from_value(written).unwrap_or_else(|error| panic!("{grader} {expect}: {error}"))
}

/// Holds an outcome to what every outcome promises.
fn sound(outcome: &Outcome, case: &str) {
    assert_eq!(outcome.reason.is_some(), outcome.grade == Grade::Wrong, "{case}: {outcome:?}");
    assert_eq!(outcome.failure.is_some(), outcome.grade == Grade::Failed, "{case}: {outcome:?}");
    let failure = outcome.failure.as_ref().map(|failure| &failure.message);
    let text = outcome.reason.as_ref().or(failure).map_or("", String::as_str);
    assert!(text.chars().count() <= 200, "{case}: {text}");
    assert!(!text.contains(char::is_control), "{case}: {text:?}");
}

/// Cases that a person wrote and decided.
#[derive(Deserialize)]
struct Written {
    grader: String,
    expect: Value,
    answers: Vec<WrittenAnswer>,
}

#[derive(Deserialize)]
struct WrittenAnswer {
    text: String,
    grade: Grade,
    /// A part of the reason, or of the failure's message.
    #[serde(default)]
    says: String,
}

#[test]
fn decided_cases() {
    let table: Vec<Written> = table!("decided.json");
    let mut graders = std::collections::BTreeSet::new();
    for group in &table {
        let expected = expectation(&group.grader, &group.expect);
        graders.insert(group.grader.as_str());
        for answer in &group.answers {
            let outcome = workload::grade(&expected, &answer.text);
            let case = format!("{} {}: {:?}", group.grader, group.expect, answer.text);
            assert_eq!(outcome.grade, answer.grade, "{case}: {outcome:?}");
            sound(&outcome, &case);
            let failure = outcome.failure.map(|failure| failure.message);
            let text = outcome.reason.or(failure).unwrap_or_default();
            assert!(text.contains(&answer.says), "{case}: {:?} in {text:?}", answer.says);
        }
    }
    assert_eq!(graders.len(), 8, "{graders:?}");
}

#[test]
fn deep_and_long_answers_do_not_overflow() {
    let graders = [
        ("tool_call", json!({"name": "f", "arguments": {}})),
        ("tool_calls", json!({"calls": [{"f": {"x": [1]}}]})),
        ("json_schema", json!({"schema": {"type": "array", "items": {"$ref": "#"}}, "equals": []})),
        ("no_call", Value::Null),
        ("numeric", json!(42)),
        ("regex", json!("(a*)*b")),
        ("normalized", json!("x")),
    ];
    let many = 100_000;
    let texts = [
        "[".repeat(many),
        "{\"a\":".repeat(many),
        format!("f(x={})", "[".repeat(many)),
        format!("f(x={}", "g(".repeat(many)),
        format!("f(x={}", "g(x=".repeat(many)),
        format!("f(x={}", "{'a': ".repeat(many)),
        format!("f(x={}", "'a' ".repeat(many)),
        format!("f(x={})", "9".repeat(many)),
        format!("{{\"name\": \"f\", \"arguments\": {:?}}}", "[".repeat(many)),
        "9,".repeat(many),
        "a".repeat(many),
        "-$".repeat(many),
    ];
    for (grader, expect) in graders {
        let expected = expectation(grader, &expect);
        for text in &texts {
            let outcome = workload::grade(&expected, text);
            sound(&outcome, &format!("{grader}: {}", &text[..20]));
            assert!(
                outcome.grade != Grade::Right || grader == "no_call",
                "{grader}: {}",
                &text[..20]
            );
        }
    }
}

#[test]
fn a_choice_needs_a_number_for_each_continuation() {
    let expected = expectation("choice", &json!({"choices": ["red", "blue"], "gold": 1}));
    let Expectation::Choice(choice) = &expected else { panic!("{expected:?}") };
    assert_eq!(choice.continuations().collect::<Vec<_>>(), [" red", " blue"]);
    let score = |log_likelihood, tokens| ChoiceScore { log_likelihood, tokens };
    let right = workload::grade_choice(choice, &[score(-2.0, 1), score(-1.0, 1)]);
    assert_eq!(right.grade, Grade::Right);
    let tied = workload::grade_choice(choice, &[score(-1.0, 1), score(-1.0, 1)]);
    assert_eq!(
        tied.reason.unwrap(),
        "\"red\" is as likely as \"blue\" (-1.0000), and stands first"
    );
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let failed = workload::grade_choice(choice, &[score(-1.0, 1), score(bad, 1)]);
        assert_eq!(failed.failure.unwrap().class, FailureClass::NonFinite);
    }
    let failed = workload::grade_choice(choice, &[score(-1.0, 1)]);
    assert_eq!(failed.failure.unwrap().message, "1 scores for 2 choices");
    let failed = workload::grade(&expected, "blue");
    assert_eq!(failed.failure.unwrap().class, FailureClass::Error);
}
