//! Owns the tests of the formats in which graded tasks are read.

use perfgate::config::TaskFormat as Format;
use perfgate::problem::Result;
use perfgate::record::Grade;
use perfgate::workload::{self, Expectation, GradedTask, NoCall};
use std::path::Path;

const QUESTIONS: &str = include_str!("../data/bfcl/questions.jsonl");
const ANSWERS: &str = include_str!("../data/bfcl/answers.jsonl");

fn read(format: Format, text: &str, answers: Option<&str>) -> Result<Vec<GradedTask>> {
    let answers = answers.map(|text| (Path::new("answers.jsonl"), text));
    workload::read_tasks(format, Path::new("tasks.jsonl"), text, answers)
}

fn complaint(format: Format, text: &str, answers: Option<&str>) -> String {
    read(format, text, answers).expect_err(text).to_string()
}

#[test]
fn own_tasks_have_a_licence_if_they_say_so() {
    let line = r#"{"id": "a", "prompt": "x", "license": "MIT", "grader": "no_call"}"#;
    let tasks = read(Format::Perfgate, line, None).unwrap();
    assert_eq!(tasks[0].license.as_deref(), Some("MIT"));
    assert_eq!(tasks[0].expectation, Expectation::NoCall(NoCall::default()));
    let twice = complaint(Format::Perfgate, line, Some(ANSWERS));
    assert!(twice.starts_with("answers.jsonl: tasks of the format \"perfgate\""), "{twice}");
}

#[test]
fn the_leaderboards_questions_become_tasks() {
    let tasks = read(Format::Bfcl, QUESTIONS, Some(ANSWERS)).unwrap();
    let suites: Vec<_> = tasks.iter().map(|task| task.suite.as_deref().unwrap()).collect();
    assert_eq!(suites, ["simple_python", "parallel", "multiple", "live_simple", "irrelevance"]);
    let answers = [
        ("[calculate_triangle_area(base=10, height=5)]", "[calculate_triangle_area(base=10)]"),
        (
            "[spotify.play(artist='Maroon 5', duration=15), spotify.play(artist='Taylor Swift', duration=20)]",
            "[spotify.play(artist='Maroon 5', duration=15)]",
        ),
        (
            "[triangle_properties.get(side1=5, side2=4, side3=3)]",
            "[triangle_properties.get(side1=5, side2=4, side3=3, get_area=1)]",
        ),
        ("get_movies(city='mumbai', movie_date=None)", "get_movies(cinema_hall='All')"),
        ("None of the functions computes an area.", "[determine_body_mass_index(weight=1.0)]"),
    ];
    for (task, (right, wrong)) in tasks.iter().zip(answers) {
        assert_eq!(task.license.as_deref(), Some("Apache-2.0"));
        assert_eq!(task.tags, ["bfcl"]);
        assert_eq!(workload::grade(&task.expectation, right).grade, Grade::Right, "{right}");
        assert_eq!(workload::grade(&task.expectation, wrong).grade, Grade::Wrong, "{wrong}");
    }
    let [triangle, .., movies, _] = &tasks[..] else { panic!("{}", tasks.len()) };
    assert_eq!(
        triangle.prompt,
        "Find the area of a triangle with a base of 10 units and height of 5 units."
    );
    let system = triangle.system.as_deref().unwrap();
    assert!(system.contains("[{\"description\":\"Calculate the area of a triangle"), "{system}");
    assert!(movies.system.as_deref().unwrap().ends_with("(today's date) in India."));
}

#[test]
fn several_messages_stand_with_who_says_them() {
    let line = r#"{"id": "irrelevance_1", "question": [[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Dance"}]], "function": [{"name": "f"}]}"#;
    let tasks = read(Format::Bfcl, line, None).unwrap();
    assert_eq!(tasks[0].prompt, "user: Hi\n\nassistant: Hello\n\nuser: Dance");
}

#[test]
fn what_the_leaderboard_has_besides_is_refused() {
    let first = QUESTIONS.lines().next().unwrap();
    let with = |from: &str, to: &str| {
        assert!(first.contains(from), "{from}");
        first.replace(from, to)
    };
    let turn = r#"[{"role": "user", "content": "Find"#;
    let cases = [
        (
            with(&format!("[{turn}"), &format!("[[], {turn}")),
            "tasks.jsonl:1:1: this line is no task: 'simple_python_0' has 2 turns",
        ),
        (with("simple_python_0", "simple_java_0"), "asks for another language than Python"),
        (with("simple_python_0", "live_relevance_0-0-0"), "any call would do"),
        (with("\"function\"", "\"functions\""), "names no functions"),
        (with("\"question\"", "\"questions\""), "missing field `question`"),
        (
            with("simple_python_0", "simple_python_7"),
            "tasks.jsonl:1:1: 'simple_python_7' has no answer in answers.jsonl",
        ),
        (
            with("\"integer\"", "\"HashMap\""),
            "answers.jsonl:1:1: the answer to 'simple_python_0': the tool \"calculate_triangle_area\": the type \"HashMap\" is not known",
        ),
        (
            with("\"name\": \"calculate_triangle_area\"", "\"name\": \"g\""),
            "the call of \"calculate_triangle_area\" is of none of the `tools`",
        ),
        (format!("{first}\n{first}"), "tasks.jsonl:2:1: the id 'simple_python_0' stands twice"),
    ];
    for (text, expected) in cases {
        let found = complaint(Format::Bfcl, &text, Some(ANSWERS));
        assert!(found.contains(expected), "{expected:?} in {found}");
        assert!(found.contains("\n  help: "), "{found}");
    }
    let found = complaint(Format::Bfcl, first, None);
    assert!(found.contains("for there is no file of answers"), "{found}");
    let found = complaint(Format::Bfcl, first, Some("{\"id\": \"simple_python_0\"}"));
    assert!(found.starts_with("answers.jsonl:1:"), "{found}");
}

#[test]
fn choices_are_read_as_datasets_write_them() {
    let cases = [
        // As ARC.
        r#"{"id": "Mercury_1", "question": "Which is red?", "choices": {"text": ["sky", "blood"], "label": ["A", "B"]}, "answerKey": "B"}"#,
        r#"{"id": "Mercury_2", "question": "Which is red?", "choices": {"text": ["sky", "blood"], "label": ["1", "2"]}, "answerKey": "2"}"#,
        // As MMLU.
        r#"{"question": "Which is red?", "subject": "colors", "choices": ["sky", "blood"], "answer": 1}"#,
        r#"{"question": " Which is red?\n", "choices": ["sky", "blood"], "answer": "B"}"#,
        // As lm-evaluation-harness prepares tasks.
        r#"{"id": 7, "query": "Which is red?", "choices": ["sky", "blood"], "gold": 1}"#,
        r#"{"query": "Which is red?", "choices": ["sky", "blood"], "label": "1"}"#,
    ];
    let tasks = read(Format::MultipleChoice, &cases.join("\n"), None).unwrap();
    let ids: Vec<_> = tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["Mercury_1", "Mercury_2", "3", "4", "7", "6"]);
    for task in &tasks {
        assert_eq!(task.prompt, "Question: Which is red?\nAnswer:");
        let Expectation::Choice(choice) = &task.expectation else { panic!("{task:?}") };
        assert_eq!((&choice.choices[..], choice.gold), (&["sky".into(), "blood".into()][..], 1));
        assert_eq!(choice.continuations().last().unwrap(), " blood");
    }
    let story = r#"{"ctx": "A man climbs a ladder. He ", "choices": ["falls.", "eats it."], "label": "0", "suite": "stories", "license": "MIT"}"#;
    let [task] = &read(Format::MultipleChoice, story, None).unwrap()[..] else { panic!() };
    assert_eq!(task.prompt, "A man climbs a ladder. He");
    assert_eq!((task.suite.as_deref(), task.license.as_deref()), (Some("stories"), Some("MIT")));
}

#[test]
fn a_broken_choice_is_named() {
    let good = r#"{"question": "q", "choices": ["a", "b"], "answer": 1}"#;
    let labelled =
        r#"{"question": "q", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answer": "C"}"#;
    let cases = [
        (good.replace("1}", "2}"), "'1': `gold` is 2, and the last of the choices is 1"),
        (good.replace("1}", "\"C\"}"), "'1': `gold` is 2, and the last of the choices is 1"),
        (good.replace("1}", "-1}"), "the answer -1 is neither a position from 0 nor a letter"),
        (good.replace("1}", "\"\"}"), "the answer \"\" is neither"),
        (labelled.to_string(), "the answer \"C\" is none of the labels A, B"),
        (good.replace("\"answer\"", "\"anwser\""), "'1' has no `answer`"),
        (good.replace("\"question\"", "\"text\""), "'1' has no `question`, `query` or `ctx`"),
        (good.replace("[\"a\", \"b\"]", "\"ab\""), "`choices` is a list of texts, or"),
        (good.replace("\"a\"", "\"\""), "'1': a choice is empty"),
        (good.replace("\"a\", ", ""), "'1': 1 choices, and two are the least"),
        (good.replace("1}", "1"), "tasks.jsonl:1:"),
        (format!("{good}\n\n{}", good.replace("{", "{\"id\": 1, ")), "tasks.jsonl:3:1: the id '1'"),
    ];
    for (text, expected) in cases {
        let found = complaint(Format::MultipleChoice, &text, None);
        assert!(found.contains(expected), "{expected:?} in {found}");
        assert!(found.starts_with("tasks.jsonl:") && found.contains("\n  help: "), "{found}");
    }
}
