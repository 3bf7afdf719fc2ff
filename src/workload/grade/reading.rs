//! Owns the reading of the calls in an answer: the reasoning before them, the native wrappers of model families, and
//! what stands inside. An answer is read as the family's parser in a server would, and no more leniently.

use super::shapes::{self, Shapes};
use super::{Call, json, python, quoted};
use serde_json::{Map, Value};

/// What enclosed reasoning begins and ends with.
const REASONING: [(&str, &str); 6] = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<seed:think>", "</seed:think>"),
];

/// What a family puts around calls. A mark may be missing from an answer's text where it is a special token of the
/// tokenizer, which is left out when tokens are made text; so an end that is missing is none that is needed.
pub(super) struct Wrapper {
    /// What it begins with.
    pub(super) open: &'static str,
    /// What it ends with, if it is not the answer's end.
    close: Option<&'static str>,
}

const fn wrapper(open: &'static str, close: &'static str) -> Wrapper {
    Wrapper { open, close: Some(close) }
}

const fn until_the_end(open: &'static str) -> Wrapper {
    Wrapper { open, close: None }
}

/// The wrappers, those first that begin as another does.
pub(super) const WRAPPERS: [Wrapper; 21] = [
    // Hermes, Qwen, and with another inside GLM and Qwen Coder.
    wrapper("<tool_call>", "</tool_call>"),
    // Jamba, Hunyuan, MiniMax.
    wrapper("<tool_calls>", "</tool_calls>"),
    // Phi 4, Granite 3.
    wrapper("<|tool_call|>", "<|/tool_call|>"),
    // LFM 2.
    wrapper("<|tool_call_start|>", "<|tool_call_end|>"),
    // Kimi K2.
    wrapper("<|tool_call_begin|>", "<|tool_call_end|>"),
    // DeepSeek 3 and R1.
    wrapper("<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"),
    // Gemma 4 and FunctionGemma: not read, but known.
    wrapper("<|tool_call>", "<tool_call|>"),
    wrapper("<start_function_call>", "<end_function_call>"),
    // Granite 20B, Olmo 3, Claude's way of writing.
    wrapper("<function_call>", "</function_call>"),
    wrapper("<function_calls>", "</function_calls>"),
    // Nemotron.
    wrapper("<TOOLCALL>", "</TOOLCALL>"),
    // Apertus.
    wrapper("<|tools_prefix|>", "<|tools_suffix|>"),
    // Command R.
    wrapper("<|START_ACTION|>", "<|END_ACTION|>"),
    // InternLM.
    wrapper("<|action_start|><|plugin|>", "<|action_end|>"),
    wrapper("<|action_start|>", "<|action_end|>"),
    // Seed, MiniMax M2.
    wrapper("<seed:tool_call>", "</seed:tool_call>"),
    wrapper("<minimax:tool_call>", "</minimax:tool_call>"),
    // Llama 3.
    until_the_end("<|python_tag|>"),
    // Mistral.
    until_the_end("[TOOL_CALLS]"),
    // Phi 4 mini; the list follows at once.
    until_the_end("functools["),
    // gpt-oss.
    wrapper("to=functions.", "<|call|>"),
];

/// Marks around several wrappers, which say nothing themselves.
pub(super) const AROUND: [&str; 6] = [
    "<|tool_calls_section_begin|>",
    "<|tool_calls_section_end|>",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    "<|eom_id|>",
    "<|eot_id|>",
];

/// What may be read without a wrapper around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bare {
    /// A name and arguments in JSON.
    Json,
    /// Any shape in JSON, and Python's syntax.
    Any,
}

/// The calls in an answer, which is those calls and nothing else; before a wrapper words may stand.
///
/// # Errors
/// If the answer is not that, with the reason.
pub(super) fn read(text: &str, bare: Bare) -> Result<Vec<Call>, String> {
    let whole = text.trim();
    let plain = body(whole, bare);
    // What can be read as it stands holds any mark within a text only.
    if plain.is_ok() {
        return plain;
    }
    // Nor does a wrapper at the beginning have reasoning before it.
    let begins = WRAPPERS.iter().any(|wrapper| whole.starts_with(wrapper.open));
    let answer = if begins { whole } else { after_reasoning(whole)? };
    match wrapped(answer) {
        Some(calls) => calls,
        None if answer == whole => plain,
        None => body(answer, bare),
    }
}

/// The answer without the reasoning before it, whose beginning may belong to the prompt.
///
/// # Errors
/// If the reasoning does not end.
pub(super) fn after_reasoning(text: &str) -> Result<&str, String> {
    for (open, close) in REASONING {
        match text.split_once(close) {
            Some((_, answer)) => return Ok(answer.trim()),
            None if text.trim_start().starts_with(open) => {
                return Err(format!("the reasoning does not end: {}", quoted(text)));
            }
            None => {}
        }
    }
    Ok(text)
}

/// The mark that ends the reasoning which a prompt begins: some templates (DeepSeek R1's, QwQ's) end with the mark that
/// opens it, so that an answer is reasoning until it has the mark that closes it.
pub(in super::super) fn opened_by(prompt: &str) -> Option<&'static str> {
    let end = prompt.trim_end();
    REASONING.iter().find(|(open, _)| end.ends_with(open)).map(|(_, close)| *close)
}

/// Whether a text that is expected holds a mark of reasoning, so that reasoning belongs to what is graded.
pub(super) fn names_reasoning(expected: &str) -> bool {
    REASONING.iter().any(|(open, close)| expected.contains(open) || expected.contains(close))
}

/// The calls in wrappers; `None` if there is no wrapper.
fn wrapped(text: &str) -> Option<Result<Vec<Call>, String>> {
    let starts = WRAPPERS.iter().filter_map(|wrapper| text.find(wrapper.open));
    let mut rest = &text[starts.min()?..];
    let mut calls = Vec::new();
    loop {
        let wrapper = WRAPPERS.iter().find(|wrapper| rest.starts_with(wrapper.open));
        let Some(wrapper) = wrapper else {
            return Some(Err(format!("text after the calls: {}", quoted(rest))));
        };
        rest = &rest[wrapper.open.len()..];
        let end = match wrapper.close {
            Some(close) => rest.find(close).map(|at| (at, at + close.len())),
            None => rest.find(wrapper.open).map(|at| (at, at)),
        };
        let (inside, after) = match end {
            Some((at, after)) => (&rest[..at], &rest[after..]),
            None => (rest, ""),
        };
        let read = match wrapper.open {
            // The bracket belongs to the list.
            "functools[" => inner(&format!("[{inside}")),
            // Some tokenizers put reasoning's last words, others these marks around each call.
            "<tool_call>" if inside.contains("<tool_call>") => {
                Err(format!("a call within a call: {}", quoted(inside)))
            }
            _ => inner(inside),
        };
        match read {
            Ok(more) if more.is_empty() => {
                return Some(Err(format!("nothing is called: {}", quoted(text))));
            }
            Ok(more) => calls.extend(more),
            Err(why) => return Some(Err(why)),
        }
        rest = without_marks(after);
        if rest.is_empty() {
            return Some(Ok(calls));
        }
    }
}

/// A text without white space, separators and marks before it.
fn without_marks(mut text: &str) -> &str {
    loop {
        let less = text.trim_start_matches([' ', '\n', '\r', '\t', ';', ',']);
        let less = AROUND.iter().find_map(|mark| less.strip_prefix(mark)).unwrap_or(less);
        if less == text {
            return text;
        }
        text = less;
    }
}

/// The calls inside of a wrapper. Some families write one on each line there.
fn inner(text: &str) -> Result<Vec<Call>, String> {
    let text = AROUND.iter().fold(text.trim(), |text, mark| text.trim_end_matches(mark).trim_end());
    let read = body(text, Bare::Any);
    if read.is_ok() || !text.contains('\n') || text.starts_with(['{', '[', '<']) {
        return read;
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let each: Result<Vec<_>, _> = lines.map(|line| body(line, Bare::Any)).collect();
    each.map(|calls| calls.into_iter().flatten().collect()).or(read)
}

/// Calls without a wrapper: JSON, one value or some, Python's syntax, or what families write inside of their wrappers.
fn body(text: &str, bare: Bare) -> Result<Vec<Call>, String> {
    let text = json::unfenced(text);
    let text = text.strip_suffix(';').map_or(text, str::trim_end);
    let in_list = text.strip_prefix('[').map(str::trim_start);
    if text.starts_with('{') || in_list.is_some_and(|text| text.starts_with(['{', ']'])) {
        let shapes = if bare == Bare::Any { Shapes::All } else { Shapes::Named };
        let mut calls = Vec::new();
        for value in json::sequence(text)? {
            let more = shapes::calls(value, shapes)
                .map_err(|what| format!("no tool call ({what}): {}", quoted(text)))?;
            calls.extend(more);
        }
        return Ok(calls);
    }
    if let Some(calls) = tagged(text) {
        return calls;
    }
    if let Some(calls) = before_json(text) {
        return calls;
    }
    match bare {
        Bare::Any => python::read(text),
        Bare::Json => Err(format!("no JSON: {}", quoted(text))),
    }
}

/// Calls as tags: `<function=NAME>…</function>` (Qwen Coder, Llama), `<invoke name="NAME">…</invoke>` (MiniMax), and
/// GLM's `NAME<arg_key>…`; `None` if there are none. What a tag holds is a text of any type.
fn tagged(text: &str) -> Option<Result<Vec<Call>, String>> {
    let broken = |what: &str| Some(Err(format!("no tool call ({what}): {}", quoted(text))));
    if let Some((name, mut rest)) = text.split_once("<arg_key>")
        && is_name(name.trim())
    {
        let mut arguments = Map::new();
        loop {
            let Some((key, after)) = rest.split_once("</arg_key>") else {
                return broken("no </arg_key>");
            };
            let Some(after) = after.trim_start().strip_prefix("<arg_value>") else {
                return broken("no <arg_value>");
            };
            let Some((value, after)) = after.split_once("</arg_value>") else {
                return broken("no </arg_value>");
            };
            if arguments.insert(key.trim().to_string(), value.into()).is_some() {
                return broken("an argument that stands twice");
            }
            match after.trim_start().strip_prefix("<arg_key>") {
                Some(after) => rest = after,
                None if after.trim().is_empty() => {
                    return Some(Ok(vec![Call::raw(name.trim(), arguments)]));
                }
                None => return broken("text after the arguments"),
            }
        }
    }
    let forms = [
        ("<function=", ">", "</function>", "<parameter=", ">"),
        ("<invoke name=\"", "\">", "</invoke>", "<parameter name=\"", "\">"),
    ];
    let (open, ends, close, parameter, closes) =
        forms.into_iter().find(|form| text.starts_with(form.0))?;
    let (mut rest, mut calls) = (text, Vec::new());
    while let Some(after) = rest.strip_prefix(open) {
        let Some((name, after)) = after.split_once(ends) else {
            return broken("a tag without an end");
        };
        let (inside, after) = match after.split_once(close) {
            Some(both) => both,
            // Arguments in JSON end by themselves.
            None if after.trim_start().starts_with('{') => (after, ""),
            None => return broken("a tag without an end"),
        };
        rest = after.trim_start_matches([' ', '\n', '\r', '\t', ';', ',']);
        let inside = inside.trim();
        if !is_name(name) {
            return broken("no name");
        }
        if inside.starts_with('{') {
            match json::read(inside) {
                Ok(Value::Object(arguments)) => calls.push(Call::new(name.to_string(), arguments)),
                _ => return broken("the arguments are not an object"),
            }
            continue;
        }
        let mut arguments = Map::new();
        let mut inside = inside;
        while let Some(after) = inside.strip_prefix(parameter) {
            let Some((key, after)) = after.split_once(closes) else {
                return broken("a tag without an end");
            };
            let Some((value, after)) = after.split_once("</parameter>") else {
                return broken("no </parameter>");
            };
            // One line's end at either side belongs to the tags.
            let value = value.strip_prefix('\n').unwrap_or(value);
            let value = value.strip_suffix('\n').unwrap_or(value);
            if arguments.insert(key.to_string(), value.into()).is_some() {
                return broken("an argument that stands twice");
            }
            inside = after.trim_start();
        }
        if !inside.is_empty() {
            return broken("text between the arguments");
        }
        calls.push(Call::raw(name, arguments));
    }
    Some(if rest.is_empty() {
        Ok(calls)
    } else {
        Err(format!("text after the calls: {}", quoted(rest)))
    })
}

/// What stands between a name and its arguments in JSON, by family; some of it is left out with the special tokens.
const BETWEEN: [&str; 10] = [
    "[ARGS]",
    "<|tool_call_argument_begin|>",
    "<｜tool▁sep｜>",
    "<|channel|>",
    "<|constrain|>",
    "<|message|>",
    "commentary",
    "json",
    "```json",
    "\n",
];

/// Calls as a name and then arguments in JSON (Mistral, Kimi K2, DeepSeek, gpt-oss); `None` if there are none.
fn before_json(text: &str) -> Option<Result<Vec<Call>, String>> {
    let (mut rest, mut calls) = (text, Vec::new());
    loop {
        rest = rest.strip_prefix("function<｜tool▁sep｜>").unwrap_or(rest);
        rest = rest.strip_prefix("functions.").unwrap_or(rest);
        let end = rest.find(|c: char| !in_name(c))?;
        let name = &rest[..end];
        if !is_name(name) {
            return None;
        }
        let mut between = &rest[end..];
        // The number of the call (Kimi K2), its id (Mistral).
        if let Some(number) = between.strip_prefix(':') {
            between = number.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        if let Some(id) = between.strip_prefix("[CALL_ID]") {
            between = id.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        }
        loop {
            between = between.trim_start_matches(' ');
            match BETWEEN.iter().find_map(|mark| between.strip_prefix(mark)) {
                Some(less) => between = less,
                None => break,
            }
        }
        if !between.starts_with('{') {
            return None;
        }
        match json::first(between) {
            Ok((Value::Object(arguments), after)) => {
                calls.push(Call::new(name.to_string(), arguments));
                let after = after.trim_start();
                rest = after
                    .strip_prefix("```")
                    .unwrap_or(after)
                    .trim_start_matches([' ', '\n', ';', ',']);
            }
            Ok(_) => {
                return Some(Err(format!(
                    "no tool call (the arguments are not an object): {}",
                    quoted(text)
                )));
            }
            Err(why) => return Some(Err(why)),
        }
        if rest.is_empty() {
            return Some(Ok(calls));
        }
    }
}

/// Whether it can be a tool's name.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_') && text.chars().all(in_name)
}

/// Whether a character may stand in a tool's name.
fn in_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-')
}
