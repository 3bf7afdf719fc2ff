//! Owns the tests of the graders against tables of cases, most of them made by other programs.

use perfgate::record::{FailureClass, Grade};
use perfgate::workload::{self, ChoiceScore, Expectation, Outcome};
use proptest::prelude::*;
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
    let mut wrong = Vec::new();
    for group in &table {
        let expected = expectation(&group.grader, &group.expect);
        graders.insert(group.grader.as_str());
        for answer in &group.answers {
            let outcome = workload::grade(&expected, &answer.text);
            let case = format!("{} {}: {:?}", group.grader, group.expect, answer.text);
            sound(&outcome, &case);
            let failure = outcome.failure.map(|failure| failure.message);
            let text = outcome.reason.or(failure).unwrap_or_default();
            if outcome.grade != answer.grade || !text.contains(&answer.says) {
                wrong.push(format!(
                    "{case}: {:?}, {text:?}, wanted {:?}",
                    outcome.grade, answer.says
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

/// A table that `scripts/reference_graders.py` wrote.
#[derive(Deserialize)]
struct Table<T> {
    cases: Vec<T>,
}

/// Answers to one entry of the leaderboard.
#[derive(Deserialize)]
struct Entry {
    id: String,
    category: String,
    tools: Value,
    calls: Value,
    answers: Vec<EntryAnswer>,
}

#[derive(Deserialize)]
struct EntryAnswer {
    damage: String,
    text: String,
    /// The verdict of the leaderboard's checker.
    valid: bool,
    /// Ours, where it differs on purpose.
    ours: Option<bool>,
    because: Option<String>,
}

#[test]
fn calls_are_graded_as_the_leaderboard_does() {
    let table: Table<Entry> = table!("bfcl.json");
    let (mut right, mut wrong, mut deliberate) = (0, 0, 0);
    for entry in &table.cases {
        let expect = json!({"calls": entry.calls, "tools": entry.tools});
        let expected = expectation("tool_calls", &expect);
        for answer in &entry.answers {
            let outcome = workload::grade(&expected, &answer.text);
            let case = format!("{} {}: {}", entry.id, answer.damage, answer.text);
            sound(&outcome, &case);
            let valid = answer.ours.unwrap_or(answer.valid);
            assert_eq!(outcome.grade == Grade::Right, valid, "{case}: {outcome:?}");
            assert_eq!(answer.ours.is_some(), answer.because.is_some(), "{case}");
            deliberate += usize::from(answer.ours.is_some());
            right += usize::from(answer.valid);
            wrong += usize::from(!answer.valid);
        }
    }
    let categories: std::collections::BTreeSet<_> =
        table.cases.iter().map(|entry| &entry.category).collect();
    assert_eq!(categories.len(), 8, "{categories:?}");
    assert!(right > 250 && wrong > 250, "{right} {wrong}");
    assert_eq!(deliberate, 22, "the differences that docs/tasks.md lists");
}

#[derive(Deserialize)]
struct ChoiceCase {
    choices: Vec<String>,
    gold: usize,
    log_likelihoods: Vec<f64>,
    acc: bool,
    acc_norm: bool,
    acc_bytes: bool,
}

#[test]
fn choices_are_graded_as_lm_evaluation_harness_does() {
    let table: Table<ChoiceCase> = table!("choice.json");
    assert!(table.cases.len() >= 100);
    for case in &table.cases {
        let scores: Vec<ChoiceScore> = case
            .log_likelihoods
            .iter()
            .map(|&log_likelihood| ChoiceScore { log_likelihood, tokens: 1 })
            .collect();
        for (normalize, right) in [
            ("none", case.acc),
            ("tokens", case.acc),
            ("characters", case.acc_norm),
            ("bytes", case.acc_bytes),
        ] {
            let expect =
                json!({"choices": case.choices, "gold": case.gold, "normalize": normalize});
            let Expectation::Choice(choice) = expectation("choice", &expect) else { panic!() };
            let outcome = workload::grade_choice(&choice, &scores);
            let about = format!("{expect} {:?}", case.log_likelihoods);
            sound(&outcome, &about);
            assert_eq!(outcome.grade == Grade::Right, right, "{about}: {outcome:?}");
        }
    }
    let differ = table.cases.iter().filter(|case| case.acc_norm != case.acc_bytes).count();
    assert!(differ > 0, "characters and bytes are told apart");
}

#[derive(Deserialize)]
struct NormalizedCase {
    expected: String,
    text: String,
    equal: bool,
    /// Whether nothing is left of what is expected.
    empty: bool,
}

#[test]
fn texts_are_normalized_as_squad_does() {
    let table: Table<NormalizedCase> = table!("normalized.json");
    for case in &table.cases {
        let written = json!({"grader": "normalized", "expect": case.expected});
        let expected = serde_json::from_value::<Expectation>(written);
        assert_eq!(expected.is_err(), case.empty, "{:?}", case.expected);
        let Ok(expected) = expected else { continue };
        let outcome = workload::grade(&expected, &case.text);
        let about = format!("{:?} and {:?}", case.expected, case.text);
        assert_eq!(outcome.grade == Grade::Right, case.equal, "{about}: {outcome:?}");
    }
}

#[derive(Deserialize)]
struct NumberCase {
    text: String,
    number: Option<f64>,
}

#[test]
fn numbers_are_found_as_flexible_extract_does() {
    let table: Table<NumberCase> = table!("numeric.json");
    for case in &table.cases {
        let outcome = workload::grade(
            &expectation("numeric", &json!(case.number.unwrap_or(0.0))),
            &case.text,
        );
        let grade = if case.number.is_some() { Grade::Right } else { Grade::Failed };
        assert_eq!(outcome.grade, grade, "{:?} {:?}: {outcome:?}", case.text, case.number);
    }
}

/// One schema of the official suite, and values: what they show, the value, whether it is valid.
#[derive(Deserialize)]
struct SchemaCase {
    about: String,
    schema: Value,
    tests: Vec<(String, Value, bool)>,
}

#[test]
fn schemas_hold_as_the_official_suite_says() {
    let table: Table<SchemaCase> = table!("json_schema.json");
    let mut count = 0;
    for case in &table.cases {
        let expected = expectation("json_schema", &json!({"schema": case.schema}));
        for (what, value, valid) in &case.tests {
            let outcome = workload::grade(&expected, &value.to_string());
            let about = format!("{}: {what}: {value}", case.about);
            sound(&outcome, &about);
            let grade = if *valid { Grade::Right } else { Grade::Wrong };
            assert_eq!(outcome.grade, grade, "{about}: {outcome:?}");
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
}

/// What each grader is tried with.
fn all_graders() -> Vec<Expectation> {
    let call = json!({"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}});
    let calls = json!({"calls": [{"get_weather": {"city": ["Oslo"], "days": [3]}}]});
    let tools = json!({"tools": ["get_weather"]});
    [
        ("exact", json!("42")),
        ("normalized", json!("Oslo")),
        ("regex", json!("(?x) [0-9]+ # digits")),
        ("numeric", json!(42)),
        ("json_schema", json!({"schema": {"type": "object"}})),
        ("tool_call", call),
        ("tool_calls", calls),
        ("no_call", Value::Null),
        ("no_call", tools),
        ("no_call", json!({"rule": "leaderboard"})),
    ]
    .iter()
    .map(|(grader, expect)| expectation(grader, expect))
    .collect()
}

/// A call in each notation that is read, by family; `json` is the call in JSON.
fn notations(name: &str, arguments: &Value) -> Vec<String> {
    let call = json!({"name": name, "arguments": arguments});
    let given = arguments.as_object().unwrap();
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_string);
    let tags: String = given
        .iter()
        .map(|(key, value)| format!("<parameter={key}>\n{}\n</parameter>\n", text(value)))
        .collect();
    let pairs: String = given
        .iter()
        .map(|(key, value)| {
            format!("<arg_key>{key}</arg_key>\n<arg_value>{}</arg_value>\n", text(value))
        })
        .collect();
    vec![
        call.to_string(),
        json!([call]).to_string(),
        json!({"name": name, "parameters": arguments}).to_string(),
        json!({"name": name, "arguments": arguments.to_string()}).to_string(),
        json!({"id": "1", "type": "function", "function": call}).to_string(),
        json!({"function": call}).to_string(),
        json!({"role": "assistant", "content": null, "tool_calls": [call]}).to_string(),
        format!("<tool_call>\n{call}\n</tool_call>"),
        format!("I will.\n<tool_call>\n{call}\n</tool_call>"),
        format!("<think>\nWell.\n</think>\n\n<tool_call>{call}</tool_call>"),
        format!("Well.\n</think>\n{call}"),
        format!("[TOOL_CALLS] [{call}]"),
        format!("[TOOL_CALLS]{name}[ARGS]{arguments}"),
        format!("{name}{arguments}"),
        format!("<|python_tag|>{call}"),
        format!("functools[{call}]"),
        format!("<function={name}>{arguments}</function>"),
        format!("<tool_call>\n<function={name}>\n{tags}</function>\n</tool_call>"),
        format!("<tool_call>{name}\n{pairs}</tool_call>"),
        format!(
            "<|tool_call_begin|>functions.{name}:0<|tool_call_argument_begin|>{arguments}<|tool_call_end|>"
        ),
        format!(
            "<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{arguments}<|call|>"
        ),
        format!("```json\n{call}\n```"),
        format!("{call};"),
    ]
}

/// Texts that look like calls, and pieces of them.
fn call_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("get_weather".to_string()),
        Just(
            "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\", \"days\": 3}}".into()
        ),
        Just("get_weather(city='Oslo', days=3)".into()),
        Just("<tool_call>".into()),
        Just("</tool_call>".into()),
        Just("<think>".into()),
        Just("</think>".into()),
        Just("[TOOL_CALLS]".into()),
        Just("to=functions.".into()),
        Just("<function=get_weather>".into()),
        Just("<parameter=city>".into()),
        Just("</parameter>".into()),
        Just("```".into()),
        Just("42 000,5".into()),
        "[\\[\\](){}'\",:;=<>|.\\-+$₹ \n0-9a-c\u{a0}\u{fffd}é]{0,4}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_answer_is_graded_soundly(text in call_like()) {
        let outcomes: Vec<Outcome> =
            all_graders().iter().map(|expected| workload::grade(expected, &text)).collect();
        for outcome in &outcomes {
            sound(outcome, &text);
        }
        // An answer that makes a call is not one that makes none, by the leaderboard's rule either.
        let [tool_call, tool_calls, rest @ ..] = &outcomes[5..] else { unreachable!() };
        let calls = |outcome: &Outcome| {
            let none = outcome.reason.as_ref().is_some_and(|reason| reason.starts_with("0 calls"));
            outcome.grade != Grade::Failed && !none
        };
        if calls(tool_call) || calls(tool_calls) {
            for outcome in rest {
                prop_assert_eq!(outcome.grade, Grade::Wrong, "{}: {:?}", text, outcome);
            }
        }
    }

    #[test]
    fn every_notation_of_a_call_is_read_alike(
        name in "[a-z][a-z_]{0,8}[a-z]",
        city in "[a-zA-Zé ]{1,9}[a-z]",
        days in 0i64..100,
        far in any::<bool>(),
    ) {
        let arguments = json!({"city": city, "days": days, "far": far, "via": [days, city]});
        let expect = json!({"name": name, "arguments": arguments});
        let exact = expectation("tool_call", &expect);
        let plan = json!({"calls": [{&name: {"city": [city], "days": [days], "far": [far], "via": [[days, city]]}}]});
        let planned = expectation("tool_calls", &plan);
        let other = json!({"name": name, "arguments": {"city": city, "days": days + 1, "far": far, "via": [days, city]}});
        let other = expectation("tool_call", &other);
        let none = expectation("no_call", &Value::Null);
        for text in notations(&name, &arguments) {
            for (expected, grade) in [
                (&exact, Grade::Right),
                (&planned, Grade::Right),
                (&other, Grade::Wrong),
                (&none, Grade::Wrong),
            ] {
                let outcome = workload::grade(expected, &text);
                prop_assert_eq!(outcome.grade, grade, "{}: {:?}", text, outcome);
            }
        }
    }

    #[test]
    fn a_number_is_right_for_itself_alone(
        number in -9_999_999i64..10_000_000,
        group in prop_oneof![
            Just(""), Just(","), Just(" "), Just("\u{a0}"), Just("\u{202f}"), Just("'"), Just("_")
        ],
        before in prop_oneof![
            Just(""), Just("$"), Just("₹"), Just("about "), Just("= "), Just("**"), Just("_"), Just("(")
        ],
        after in prop_oneof![
            Just(""), Just("."), Just(" km"), Just("%"), Just("**"), Just(")"), Just("k"), Just("²")
        ],
        sign_first in any::<bool>(),
    ) {
        let digits = number.unsigned_abs().to_string();
        let grouped: Vec<&str> = {
            let head = digits.len() % 3;
            let mut groups = if head > 0 { vec![&digits[..head]] } else { vec![] };
            groups.extend((head..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
            groups
        };
        let sign = if number < 0 { "-" } else { "" };
        let money = before.contains(['$', '₹']);
        let text = match sign_first && money {
            true => format!("{sign}{before}{}{after}", grouped.join(group)),
            false => format!("{before}{sign}{}{after}", grouped.join(group)),
        };
        let outcome = workload::grade(&expectation("numeric", &json!(number)), &text);
        let unread = matches!(after, "k" | "²");
        let grade = if unread { Grade::Failed } else { Grade::Right };
        prop_assert_eq!(outcome.grade, grade, "{}: {:?}", text, outcome);
        for other in [-number, number + 1, number * 1000, number / 1000, number % 1000] {
            if other != number {
                let outcome = workload::grade(&expectation("numeric", &json!(other)), &text);
                prop_assert_ne!(outcome.grade, Grade::Right, "{} for {}", text, other);
            }
        }
    }
}

#[test]
fn a_choice_of_tools_says_more_than_none() {
    // A function's name that is broken is one only where the functions are known.
    let known = expectation("no_call", &json!({"tools": ["get_weather"]}));
    let unknown = expectation("no_call", &Value::Null);
    let text = "I call get_waether('Oslo') now.";
    assert_eq!(workload::grade(&known, text).grade, Grade::Wrong);
    assert_eq!(workload::grade(&unknown, text).grade, Grade::Right);
    let refused = json!({"grader": "no_call", "expect": {"rule": "lenient"}});
    let refused = serde_json::from_value::<Expectation>(refused).unwrap_err().to_string();
    assert!(
        refused.contains("`rule` is \"lenient\"; it is `strict` or `leaderboard`"),
        "{refused}"
    );
    let refused = json!({"grader": "no_call", "expect": {"tools": [{"parameters": {}}]}});
    let refused = serde_json::from_value::<Expectation>(refused).unwrap_err().to_string();
    assert!(refused.contains("one of the `tools` has no `name`"), "{refused}");
}
