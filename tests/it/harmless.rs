//! Owns what must hold of every output whatever the texts in a run are: no format's structure depends on
//! them, nobody is mentioned, no command is started. The attacks of the tests and the fuzz target share it.

use perfgate::github::workflow::annotations;
use perfgate::record::Results;
use perfgate::report::{self, FORMATS, Report, Sheet, Style, comment};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::{Value, json};

/// A real file of results with failures and verdicts.
const RESULTS: &str = include_str!("../data/results-v2.json");

/// Keys whose values are texts of any origin.
const TEXTS: [&str; 27] = [
    "about",
    "available",
    "NUM_STREAMS",
    "branch",
    "change",
    "config",
    "cpu",
    "engine",
    "git_unavailable",
    "how",
    "id",
    "kernel",
    "message",
    "model",
    "name",
    "notes",
    "owner",
    "reason",
    "session",
    "subject",
    "suite",
    "tails",
    "task",
    "tasks",
    "text",
    "unavailable",
    "version",
];

/// Keys whose values, or the keys in which, are names of variants.
const NAMES: [&str; 5] = ["reference", "summaries", "variant", "variants", "test_switches"];

/// Results in which every text holds `attack`, at its beginning or at its end.
pub fn attacked(attack: &str, first: bool) -> Results {
    let mut results: Value = serde_json::from_str(RESULTS).unwrap();
    let header = &mut results["parts"][0]["header"];
    header["provenance"]["git"] =
        json!({ "commit": "0123456789abcdef", "branch": "b", "modified": 1, "untracked": 0 });
    header["provenance"]["asked"] = json!({ "config": "perfgate.toml" });
    header["variants"]["other"]["test_switches"] = json!(["slowed"]);
    results["judgement"]["verdicts"][1]["rule"]["variant"] = "other".into();
    results["judgement"]["authority"] = json!({
        "base": "abcdef", "how": "told", "notes": ["a note"],
        "changes": [{ "subject": "a rule", "change": "is gone", "direction": "looser" }]
    });
    results["judgement"]["scenarios"] = json!([{
        "name": "a use", "about": "people wait", "weights": [{ "metric": "throughput", "statistic": "mean", "weight": 1.0 }],
        "requires": [{ "name": "quick", "metric": "latency", "statistic": "mean", "limit": { "max": 0.001 },
            "evidence": "regression", "verdicts": [results["judgement"]["verdicts"][0]] }]
    }]);
    let forced = json!({
        "variant": "other", "reference": "base", "document": "d", "forcing": "whole", "positions": 2,
        "kl": [0.1, 0.2], "agree": 1, "nll": 3.0, "reference_nll": 2.0, "cached": false
    });
    let mut failed = forced.clone();
    failed["failure"] = json!({ "class": "crash", "message": "gone" });
    results["parts"][0]["fidelity"] = json!([forced, failed]);
    results["parts"][0]["header"]["plan"]["fidelity"] = json!({
        "documents": ["d"], "variants": ["other"], "reference": "base", "tokens": 3, "skip": 0,
        "stepwise": 0, "sha256": "ab"
    });
    results["parts"][0]["header"]["plan"]["load"] = json!({
        "sustained": { "variants": ["base", "other"], "blocks": 1, "block_seconds": 1.0 },
        "concurrency": { "variants": ["base", "other"], "streams": [1], "seconds": 1.0, "rates": [2.0],
            "servers": 1, "seed": 1, "p99": 1.0, "search_seconds": 9.0 }
    });
    let load = |variant: &str, kind: &str| {
        let request = json!({ "task": "t", "stream": 0, "arrival_ns": 0, "start_ns": 1,
            "token_ns": [1_000_000, 2_000_000], "tokens": [1, 2] });
        let mut failed = request.clone();
        failed["failure"] = json!({ "class": "error", "message": "said no" });
        let mut other = request.clone();
        other["tokens"] = json!([1, 3]);
        json!({ "variant": variant, "kind": kind, "number": 1, "streams": 1, "pid": 1, "warmup": 0, "start_ns": 0,
            "rate": if kind == "closed" { None } else { Some(2.0) },
            "engine": { "engine": "openvino", "version": "1", "properties": { "NUM_STREAMS": "2" } },
            "requests": [request, other, failed],
            "failure": { "class": "crash", "message": "gone under load" } })
    };
    let kinds = ["sustained", "closed", "open", "probe"];
    let of_both = kinds.map(|kind| [load("base", kind), load("other", kind)]);
    results["parts"][0]["load"] = of_both.concat().into();
    for worker in results["parts"][0]["rounds"][0]["workers"].as_array_mut().unwrap() {
        // Loading that takes far more than serving, and a cold start that was none of a warm page cache.
        worker["memory_loaded"] = json!({ "peak_rss": 99999999, "rss_anon": 9, "rss_file": 9 });
        worker["page_cache"] = json!(0.5);
    }
    let part = &mut results["parts"][0];
    part["header"]["environment"]["energy"] = json!({ "available": "RAPL" });
    part["header"]["plan"]["idle_ms"] = 1000.into();
    part["idle"] = json!([{ "unavailable": "gone" }]);
    part["rounds"][0]["conditions"] =
        json!({ "throttled": { "unavailable": "hot" }, "frequency": { "unavailable": "slow" } });
    part["header"]["plan"]["quality"] = json!({
        "tasks": ["g1", "g2", "g3"], "variants": ["base", "other"], "max_tokens": 8, "stop": [], "sha256": "f",
        "labels": { "g1": { "suite": "s" }, "g2": { "suite": "u" } }, "tails": ["p1", "p2", "p3"], "of": 3
    });
    part["answers"] = ["base", "other"].map(answers).concat().into();
    part["repeats"] = json!([{
        "variant": "other", "task": "g1", "way": "same_process", "sampling": { "temperature": 0.0 },
        "tokens": [1], "grade": "right", "cached": false
    }]);
    let change = |text: &str| match first {
        true => format!("{attack}{text}"),
        false => format!("{text}{attack}"),
    };
    put(&mut results, "", &change);
    serde_json::from_value(results).expect("texts alone were changed")
}

/// Three answers, of which the second variant has one wrong, one that is none, and one that is right alone.
fn answers(variant: &str) -> Vec<Value> {
    let answer = |task: &str, more: Value| {
        let mut answer = json!({
            "variant": variant, "task": task, "prompt_tokens": 3, "tokens": [1, 2], "text": "said", "cached": false
        });
        answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answer
    };
    let right = json!({ "grade": "right" });
    let wrong = json!({ "grade": "wrong", "reason": "another name" });
    let empty =
        json!({ "grade": "failed", "failure": { "class": "empty", "message": "nothing came" } });
    let [one, two, three] = match variant {
        "base" => [right.clone(), right, wrong],
        _ => [wrong, empty, right],
    };
    vec![answer("g1", one), answer("g2", two), answer("g3", three)]
}

fn put(value: &mut Value, key: &str, change: &dyn Fn(&str) -> String) {
    let free = TEXTS.contains(&key) || NAMES.contains(&key);
    match value {
        Value::String(text) if free => *text = change(text),
        Value::Array(list) => list.iter_mut().for_each(|value| put(value, key, change)),
        // Verdicts with a word of ours each, `unavailable` among them.
        Value::Object(_) if key == "policies" => {}
        Value::Object(object) => {
            let names = matches!(key, "labels" | "summaries" | "variants");
            for (inner, mut value) in std::mem::take(object) {
                put(&mut value, &inner, change);
                object.insert(if names { change(&inner) } else { inner }, value);
            }
        }
        _ => {}
    }
}

/// Panics if an output is anything but text where the attack stands. `name` is for the message.
pub fn check(name: &str, attack: &str) {
    // Nothing is no attack, and leaves some texts with a meaning of their own, as the engine's.
    if attack.is_empty() {
        return;
    }
    for first in [true, false] {
        let plain = report::build(&attacked("a", first));
        let report = report::build(&attacked(attack, first));
        for format in FORMATS {
            let style = Style { color: false, verbose: true };
            let render = |report: &Report| (format.render)(report, style);
            let (text, plain) = (render(&report), render(&plain));
            let place = format!("{name}, {}", format.id);
            no_control(&place, &text);
            match format.id {
                "markdown" => same_markdown(&place, &text, &plain),
                "html" => same_markup(&place, &text, &plain),
                "junit" => same_markup(&place, &text, &plain),
                "json" | "bmf" | "benchmark-smaller" | "benchmark-bigger" => {
                    same_json(&place, &text, &plain);
                }
                "terminal" | "line" => starts_no_command(&place, &text),
                other => panic!("{other}: say here what must hold of it"),
            }
        }
        comment_is_harmless(name, &report, &plain);
        for line in annotations(&report, |id| Some((id.to_string(), 1))) {
            assert!(line.starts_with("::error file="), "{name}: {line}");
            assert_eq!(line.lines().count(), 1, "{name}: {line}");
            let (properties, _) = line[2..].split_once("::").unwrap();
            assert_eq!(properties.split(',').count(), 3, "{name}: {line}");
        }
    }
}

/// The same of a sheet, beside one with a harmless text in place of the attack.
#[allow(dead_code)] // The fuzz target attacks reports alone.
pub fn check_sheet(name: &str, sheet: &Sheet, plain: &Sheet) {
    for format in FORMATS {
        let Some(render) = format.sheet else { continue };
        let style = Style { color: false, verbose: true };
        let (text, plain) = (render(sheet, style), render(plain, style));
        let place = format!("{name}, {} of a sheet", format.id);
        no_control(&place, &text);
        match format.id {
            "markdown" => same_markdown(&place, &text, &plain),
            "html" => same_markup(&place, &text, &plain),
            "json" => same_json(&place, &text, &plain),
            "terminal" | "line" => starts_no_command(&place, &text),
            other => panic!("{other}: say here what must hold of it"),
        }
    }
}

fn no_control(place: &str, text: &str) {
    let bad = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(bad), "{place}: {:?}", text.lines().find(|line| line.contains(bad)));
}

fn starts_no_command(place: &str, text: &str) {
    for line in report::defuse(text).lines() {
        assert!(!line.trim_start().starts_with("::"), "{place}: {line}");
        assert!(!line.contains("##["), "{place}: {line}");
    }
}

fn comment_is_harmless(name: &str, report: &Report, plain: &Report) {
    for most in [comment::MOST, 4000, 900] {
        let around = comment::Around { most, ..comment::Around::default() };
        let text = comment::comment(report, &around);
        assert!(text.len() <= most, "{name}: {} of {most}", text.len());
        no_control(name, &text);
    }
    let whole = |report| comment::page(report, None, 1 << 30);
    same_markdown(&format!("{name}, comment"), &whole(report), &whole(plain));
}

/// What GitHub's Markdown has beyond the common one.
fn github() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH
        | Options::ENABLE_GFM
}

/// The structure of Markdown as GitHub reads it, without the texts.
fn structure(markdown: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut in_code = false;
    for event in Parser::new_ext(markdown, github()) {
        match &event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            _ => {}
        }
        let part = match event {
            Event::Text(_) | Event::SoftBreak | Event::HardBreak => "text".to_string(),
            // The one tag that the escaping of texts makes itself.
            Event::InlineHtml(tag) if matches!(&*tag, "<span>" | "</span>") => "text".to_string(),
            Event::Html(html) | Event::InlineHtml(html) => format!("html {html}"),
            _ if in_code => "code".to_string(),
            event => format!("{event:?}"),
        };
        if parts.last() != Some(&part) || !matches!(&*part, "text" | "code") {
            parts.push(part);
        }
    }
    parts
}

fn same_markdown(place: &str, text: &str, plain: &str) {
    let (one, other) = (structure(text), structure(plain));
    if let Some(at) = one.iter().zip(&other).position(|(a, b)| a != b) {
        let excerpt = &one[at.saturating_sub(3)..(at + 3).min(one.len())];
        panic!("{place}: {excerpt:?} where {:?} was\n{text:.3000}", other[at]);
    }
    assert_eq!(one.len(), other.len(), "{place}\n{text:.3000}");
    let mut in_code = false;
    for event in Parser::new_ext(text, github()) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            Event::Text(text) if !in_code => acts_on_nothing(place, &text),
            _ => {}
        }
    }
}

/// GitHub looks for these in the text that is left.
fn acts_on_nothing(place: &str, text: &str) {
    let letters: Vec<char> = text.chars().collect();
    for pair in letters.windows(2) {
        assert!(!(pair[0] == '@' && pair[1].is_alphanumeric()), "{place}: a mention in {text}");
        assert!(!(pair[0] == '#' && pair[1].is_ascii_digit()), "{place}: a reference in {text}");
    }
    assert!(!text.contains("://"), "{place}: an address in {text}");
    assert!(!text.to_lowercase().contains("www."), "{place}: an address in {text}");
}

/// Tags and attributes of XML or of HTML that is as well-formed, without the texts.
fn tags(text: &str) -> Vec<String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut tags = Vec::new();
    loop {
        let part = match reader.read_event().unwrap_or_else(|error| panic!("{error}\n{text}")) {
            Event::Eof => return tags,
            Event::Start(tag) | Event::Empty(tag) => {
                let keys =
                    tag.attributes().map(|attribute| attribute.unwrap().key.as_ref().to_string());
                let keys: Vec<String> = keys.collect();
                format!("{} {keys:?}", tag.name().as_ref())
            }
            Event::End(tag) => format!("/{}", tag.name().as_ref()),
            Event::Text(_) | Event::GeneralRef(_) => continue,
            other => format!("{other:?}"),
        };
        tags.push(part);
    }
}

fn same_markup(place: &str, text: &str, plain: &str) {
    let (one, other) = (tags(text), tags(plain));
    let at = one.iter().zip(&other).position(|(a, b)| a != b);
    assert_eq!(
        at,
        None,
        "{place}: {:?} where {:?} was",
        at.map(|n| &one[n]),
        at.map(|n| &other[n])
    );
    assert_eq!(one.len(), other.len(), "{place}");
}

/// The same shape; keys may be names.
fn same_json(place: &str, text: &str, plain: &str) {
    let read = |text: &str| -> Value { serde_json::from_str(text).expect(place) };
    assert_eq!(shape(&read(text)), shape(&read(plain)), "{place}");
    starts_no_command(place, text);
}

fn shape(value: &Value) -> Value {
    match value {
        Value::String(_) => "text".into(),
        Value::Array(list) => list.iter().map(shape).collect(),
        Value::Object(object) => {
            let mut values: Vec<Value> = object.values().map(shape).collect();
            values.sort_by_key(Value::to_string);
            values.into()
        }
        other => other.clone(),
    }
}
