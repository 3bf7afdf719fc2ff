//! Owns the signs of a call in an answer that is not calls and nothing else: a call between words, one that is broken,
//! and text that cannot be read at all.
//!
//! Words may name a tool and its parameters, as in 'the function area(base, height) does not fit'. What makes a call of
//! a name and brackets is an argument with a value, or that it stands by itself.

use super::reading::{self, AROUND, Bare, WRAPPERS};
use super::shapes::{self, Shapes};
use super::{json, quoted};
use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// What was found in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sign {
    /// A call of this tool.
    Call(String),
    /// What may be meant as a call and cannot be read, or text that cannot; the reason.
    Broken(String),
}

/// A constant pattern.
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant")
}

/// The first sign of a call in an answer; `tools` are the names of those that are offered, if that is known.
pub(super) fn sign(answer: &str, tools: &[String]) -> Option<Sign> {
    if let Some(why) = illegible(answer) {
        return Some(Sign::Broken(why));
    }
    if let Some(name) = whole_call(answer) {
        return Some(Sign::Call(name));
    }
    let tools = Tools(tools);
    // What can be read within a wrapper was read before.
    in_json(answer, &tools)
        .or_else(|| wrapper(answer))
        .or_else(|| in_python(answer, &tools))
        .or_else(|| by_name(answer, &tools))
        .or_else(|| notation(answer, &tools))
        .or_else(|| argument(answer))
        .or_else(|| structure(answer))
}

/// The tools' names. Models also write them with `_` for `.`, and damaged ones with a letter or two amiss.
struct Tools<'a>(&'a [String]);

impl Tools<'_> {
    fn have(&self, name: &str) -> bool {
        let name = plain(name);
        let amiss = match name.chars().count() {
            0..=5 => 0,
            6..=8 => 1,
            _ => 2,
        };
        self.0.iter().any(|tool| {
            let tool = plain(tool);
            tool == name || (amiss > 0 && strsim::osa_distance(&tool, &name) <= amiss)
        })
    }

    /// Whether a word is where the name of one begins.
    fn begin_with(&self, word: &str) -> bool {
        let word = plain(word);
        word.len() >= 4 && self.0.iter().any(|tool| plain(tool).starts_with(&word))
    }
}

fn plain(name: &str) -> String {
    name.replace(['.', '-'], "_").to_lowercase()
}

/// Why a text cannot be read, if it cannot.
fn illegible(text: &str) -> Option<String> {
    let strange = |c: &char| {
        let control = c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        let private = matches!(*c as u32, 0xe000..=0xf8ff | 0xfff0..=0xfff8 | 0xf_0000..);
        let noncharacter = (*c as u32) & 0xfffe == 0xfffe || matches!(*c as u32, 0xfdd0..=0xfdef);
        control || private || noncharacter
    };
    if text.contains('\u{fffd}') {
        return Some("bytes that are not UTF-8".to_string());
    }
    if let Some(c) = text.chars().find(strange) {
        return Some(format!("the character {} is not of a text", c.escape_unicode()));
    }
    let empty = json::sequence(json::unfenced(text)).is_ok();
    let words = text.chars().any(char::is_alphanumeric);
    (!words && !empty).then(|| "not a single letter or digit".to_string())
}

/// The text between quotes and code marks at its ends.
fn bare(text: &str) -> &str {
    json::unfenced(text).trim_matches(['`', '\'', '"', ' ', '\n', '*'])
}

/// The tool that is called first if the answer is calls in Python's syntax and nothing else, whatever stands between
/// their brackets.
fn whole_call(answer: &str) -> Option<String> {
    let text = bare(answer);
    let text = text.strip_suffix(';').unwrap_or(text).trim();
    let mut rest = text.trim_start_matches(['[', ' ', '\n']);
    let mut first = None;
    loop {
        let (name, open) = call_at(rest)?;
        let end = closed(open)?;
        // `f(x) = 2x` and `f(x)(y)` are other things.
        rest = open[end..].trim_start();
        first.get_or_insert(name.to_string());
        match rest.strip_prefix([',', ';']) {
            Some(next) if !next.trim().is_empty() => rest = next.trim_start(),
            _ => break,
        }
    }
    let rest = rest.trim_matches([']', ',', ';', ' ', '\n', '`']);
    if rest.is_empty() { first } else { None }
}

/// A name at the beginning of a text that a bracket follows at once, and the text from that bracket on.
fn call_at(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-')))?;
    let name = &text[..end];
    let starts = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    (starts && text[end..].starts_with('(')).then(|| (name, &text[end..]))
}

/// Where the bracket with which a text begins is closed; `None` if it is not. Quotes hide what stands between them
/// where a value may begin, so that the apostrophe of a word is none.
fn closed(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut before, mut escaped) = (0usize, None, ' ', false);
    // Each name in an answer may ask: what is longer is no call of a model.
    for (at, c) in text.char_indices().take(20_000) {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') if "(,=[{:".contains(before) => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + c.len_utf8());
                }
            }
            _ => {}
        }
        before = if c.is_whitespace() { before } else { c };
    }
    None
}

/// A call in JSON anywhere, or a part of one.
fn in_json(answer: &str, tools: &Tools<'_>) -> Option<Sign> {
    static PARTS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r#"["'](arguments|parameters|tool_calls?|function_call|tool_name|tool_input|action_input)["']\s*:|\b(arguments|parameters)["']\s*:?\s*["']?\{"#,
        )
    });
    // In JSON that can be read, `parameters` may be those that are missing.
    static KEYS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r#""(arguments|tool_calls?|function_call|tool_name|tool_input|action_input)"\s*:"#)
    });
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r#"["']?\b(?:name|function|tool|action)["']?\s*[:=]\s*["']([\w.-]+)["']"#)
    });
    static KEYED: LazyLock<Regex> = LazyLock::new(|| pattern(r#"["']([\w.-]+)["']\s*:\s*[\[{]"#));
    let mut rest = answer;
    while let Some(at) = rest.find('{') {
        rest = &rest[at..];
        let Ok((value, after)) = json::first(rest) else {
            rest = &rest[1..];
            continue;
        };
        match called(&value, tools, 0) {
            Some(name) => return Some(Sign::Call(name)),
            None if looks_called(&value) => {
                return Some(Sign::Broken("JSON with the name of a tool and no arguments".into()));
            }
            None => rest = after,
        }
    }
    let values = json::sequence(json::unfenced(answer));
    // `{"tool_calls": []}` is an answer, and without a call.
    let nothing = |value: &Value| {
        shapes::calls(value.clone(), Shapes::Named).is_ok_and(|calls| calls.is_empty())
    };
    if values.as_ref().is_ok_and(|values| values.iter().all(nothing)) {
        return None;
    }
    let parts = if values.is_ok() { &*KEYS } else { &*PARTS };
    if parts.is_match(answer) {
        return Some(Sign::Broken("a part of a call in JSON".to_string()));
    }
    let of_tool = NAMED.captures_iter(answer).chain(KEYED.captures_iter(answer));
    let mut names = of_tool.filter_map(|captures| Some(captures.get(1)?.as_str()));
    let name = names.find(|name| tools.have(name))?;
    Some(Sign::Broken(format!("{} as in a call in JSON", quoted(name))))
}

/// The first tool that a value calls, at any depth.
fn called(value: &Value, tools: &Tools<'_>, depth: usize) -> Option<String> {
    if depth > 4 {
        return None;
    }
    if let Value::Object(object) = value {
        if let Ok(call) = shapes::call(value.clone(), Shapes::Named) {
            return Some(call.name);
        }
        let offered = object.iter().find(|(key, value)| value.is_object() && tools.have(key));
        if let Some((name, _)) = offered {
            return Some(name.clone());
        }
    }
    let inner: Vec<&Value> = match value {
        Value::Object(object) => object.values().collect(),
        Value::Array(list) => list.iter().collect(),
        _ => Vec::new(),
    };
    inner.into_iter().find_map(|value| called(value, tools, depth + 1))
}

/// Whether a value has the name of a tool and something like arguments under another key.
fn looks_called(value: &Value) -> bool {
    let Value::Object(object) = value else { return false };
    let keys = ["name", "function", "tool", "tool_name", "action"];
    let name = keys.iter().find_map(|key| object.get(*key)?.as_str());
    let is_name = name.is_some_and(|name| {
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
        !name.is_empty() && name.chars().all(allowed)
    });
    is_name && object.values().any(Value::is_object)
}

/// A wrapper's mark.
fn wrapper(answer: &str) -> Option<Sign> {
    static OTHERS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r#"</?(?:function=|parameter=|invoke\b|tool_call|function_call|start_function_call|TOOLCALL|tools_call)|\[/?TOOL_CALLS?\]|\[ARGS\]|<\|?/?(?:tool_call|python_tag|plugin|tools_prefix)|</?arg_(?:key|value)>"#,
        )
    });
    static REACT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^\s*Action Input\s*:"));
    let mark = WRAPPERS.iter().map(|wrapper| wrapper.open).chain(AROUND[..4].iter().copied());
    let found = mark.into_iter().find(|mark| answer.contains(mark));
    let found =
        found.or_else(|| OTHERS.find(answer).or(REACT.find(answer)).map(|m| m.as_str().trim()));
    found.map(|mark| Sign::Broken(format!("{} and no call that can be read", quoted(mark))))
}

/// A call in Python's syntax between words, or a broken one.
fn in_python(answer: &str, tools: &Tools<'_>) -> Option<Sign> {
    static CALL: LazyLock<Regex> = LazyLock::new(|| pattern(r"[\p{Alphabetic}_][\w.-]*\("));
    static KEYWORD: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r#"^\(\s*\w+\s*[=:]\s*(?:["'\[{\d+-]|True\b|False\b|None\b|true\b|false\b|null\b)"#)
    });
    static POSITIONAL: LazyLock<Regex> =
        LazyLock::new(|| pattern(r#"^\(\s*(?:["'\[{]|[+-]?\d|True\b|False\b|None\b)"#));
    let start = answer.trim_start_matches(['`', '\'', '"', ' ', '\n']);
    let begins = answer.len() - start.len();
    for found in CALL.find_iter(answer) {
        let (name, at) = (&answer[found.start()..found.end() - 1], found.start());
        let open = &answer[found.end() - 1..];
        let before = answer[..at].trim_end_matches(' ');
        if before.ends_with("def") || before.ends_with("function") || before.ends_with("import") {
            continue;
        }
        let offered = tools.have(name);
        let in_list = before.ends_with('[') && !before.ends_with("![");
        let keyword = KEYWORD.is_match(open);
        let given = keyword || POSITIONAL.is_match(open);
        let line = line_around(answer, at);
        let Some(end) = closed(open) else {
            let first = at == begins || (in_list && before.len() <= begins + 1);
            let meant = (offered && (given || in_list))
                || keyword
                || (first && (in_list || single_line(open)));
            if meant {
                return Some(Sign::Broken(format!("a call of {} without an end", quoted(name))));
            }
            continue;
        };
        let alone = whole_call(line.trim_start_matches(['-', '*', '>', ' '])).is_some();
        let after = open[end..].trim_start_matches(' ');
        let listed = in_list && after.starts_with([']', ',']);
        let call = match offered {
            true => given || in_list || alone,
            false => {
                (listed && alone)
                    || (alone && keyword && !in_code(answer, at))
                    || (listed && keyword)
            }
        };
        if call {
            return Some(Sign::Call(name.to_string()));
        }
    }
    // A code fence that holds calls and nothing else.
    let mut fences = answer.split("```").skip(1).step_by(2);
    fences.find_map(|fence| {
        let body = fence.split_once('\n').map_or(fence, |(_, body)| body);
        let calls = reading::read(body, Bare::Any).ok()?;
        Some(Sign::Call(calls.into_iter().next()?.name))
    })
}

/// The line in which a position lies.
fn line_around(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    text[start..end].trim()
}

fn single_line(text: &str) -> bool {
    !text.trim().contains('\n') && !text.contains(". ")
}

/// Whether a position lies in a code fence of several lines.
fn in_code(text: &str, at: usize) -> bool {
    text[..at].matches("```").count() % 2 == 1
}

/// A tool's name in a place where words have none.
fn by_name(answer: &str, tools: &Tools<'_>) -> Option<Sign> {
    static MARKED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"^[\[(]\s*([\w.-]+)|<([\w.-]+)[\s/>]|(?m:^)\s*Action\s*:\s*([\w.-]+)")
    });
    let text = bare(answer);
    if tools.have(text) || (tools.begin_with(text) && text.contains(['_', '.'])) {
        return Some(Sign::Broken(format!("{} alone", quoted(text))));
    }
    let names =
        MARKED.captures_iter(text).filter_map(|captures| captures.iter().skip(1).flatten().next());
    let name = names.map(|name| name.as_str()).find(|name| tools.have(name))?;
    Some(Sign::Broken(format!("{} as in a call", quoted(name))))
}

/// A call without marks in a notation that is known and not read: Gemma 4's and FunctionGemma's `call:fan{level:2}`, whose
/// marks are special tokens, a name with an object behind it, and the lines of YAML.
fn notation(answer: &str, tools: &Tools<'_>) -> Option<Sign> {
    static GEMMA: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"\bcall:[A-Za-z_][\w.-]*\s*(?:\{|$)"));
    // `fan{level: 2}`, `"fan", {"level": 2}`, `fan -> {}`.
    static OBJECT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r#"([\w.-]+)["'`]?\s*(?:[,:=|]|->|=>)?\s*\{\s*(?:["'`]?[\w.-]+["'`]?\s*[:=]|\}|$)"#)
    });
    static LINES: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r#"(?m)^[ \t]*(?:- *)?["']?(?:name|function|tool|tool_name|function_name|action)["']?[ \t]*:[ \t]*["'`]?([\w.-]+)["'`]?,?[ \t]*\n(?:.*\n)*?[ \t]*["']?(?:arguments|parameters|args|params|input|tool_input|action_input)["']?[ \t]*:"#,
        )
    });
    if let Some(found) = GEMMA.find(answer) {
        return Some(Sign::Broken(format!("{} as in a call", quoted(found.as_str()))));
    }
    let names = OBJECT.captures_iter(answer).chain(LINES.captures_iter(answer));
    let mut names = names.filter_map(|captures| Some(captures.get(1)?.as_str()));
    let name = names.find(|name| tools.have(name)).or_else(|| named_with_fields(answer, tools))?;
    Some(Sign::Broken(format!("{} with arguments as in a call", quoted(name))))
}

/// A tool's name in an answer that is its arguments in YAML and nothing else: `fan:` and then lines such as `  level: 2`.
fn named_with_fields<'a>(answer: &'a str, tools: &Tools<'_>) -> Option<&'a str> {
    static FIELD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s+(?:- )?[\w.-]+:(?:\s|$)"));
    let mut lines = json::unfenced(answer).lines().filter(|line| !line.trim().is_empty());
    let name = lines.next()?.trim().trim_start_matches("- ").strip_suffix(':')?;
    let mut lines = lines.peekable();
    let fields = lines.peek().is_some() && lines.all(|line| FIELD.is_match(line));
    (fields && tools.have(name)).then_some(name)
}

/// An argument with a value behind or before a bracket, as no words have it; code of several lines may.
fn argument(answer: &str) -> Option<Sign> {
    static TEXT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r#"[(,\[]\s*["'\w]\w*["']?=(?:"[^"\n]*"|'[^'\n]*'|True|False|None|\[[^\]\n]*\]|\{[^}\n]*\})\s*[,)]|\w=(?:"[^"\n]*"|'[^'\n]*'|True|False)\s*\)"#,
        )
    });
    static NUMBER: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"[\w.]{3,}\((?:\w+=[^,()]*,\s*)*\w{3,}=[+-]?\d[\d.]*\s*[,)]"));
    let found = TEXT.find_iter(answer).chain(NUMBER.find_iter(answer));
    let defines = |at| {
        let line = line_around(answer, at);
        line.starts_with("def ") || line.starts_with("function ")
    };
    let mut found = found.into_iter();
    let found = found.find(|found| !in_code(answer, found.start()) && !defines(found.start()));
    found
        .map(|found| Sign::Broken(format!("an argument as in a call, {},", quoted(found.as_str()))))
}

/// An answer that begins as a list, JSON, a tag or a code fence, and is none; or whose last line does.
fn structure(answer: &str) -> Option<Sign> {
    static LISTED: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r#"(?s)^\[.*(?:=\s*["'\d\[{]|(?:["'\d\])}]|True|False|None)\s*\)).*[\])]$"#)
    });
    let broken = |what: &str| Some(Sign::Broken(what.to_string()));
    let text = json::unfenced(answer);
    let list = text.strip_prefix('[').map(str::trim_start);
    let begins =
        text.starts_with('{') || list.is_some_and(|text| text.starts_with(['{', '"', '[']));
    if begins && json::sequence(text).is_err() {
        return broken("a structure that cannot be read");
    }
    if text.starts_with("```") {
        return broken("a code fence without an end");
    }
    let last = text.lines().last().unwrap_or_default().trim();
    for line in [text, last] {
        let tag = line
            .strip_prefix('<')
            .is_some_and(|tag| tag.starts_with(|c: char| c.is_alphabetic() || c == '|'));
        let open = (line.starts_with('[') && !line.contains(']')) || (tag && !line.contains('>'));
        if open || LISTED.is_match(line) {
            return broken("a list or a tag that cannot be read");
        }
    }
    None
}
