//! Owns the graders of tool calls: the calls in an answer, how many, of what, and in which order.
//! Names and values are compared as they are written, without a normal form of Unicode.

use super::arguments::{Parameters, Tool};
use super::{Alternatives, Miss, difference, json, python, quoted};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A call of a tool, as an answer makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
}

/// One call that is expected exactly: `{"name": "get_weather", "arguments": {"city": "Oslo"}}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Value,
}

impl ToolCall {
    /// Whether the text is this call as a JSON object and nothing else. Its arguments may be a
    /// string of JSON, as OpenAI's interface writes them.
    pub(super) fn check(&self, text: &str) -> Result<(), Miss> {
        let text = json::unfenced(text);
        let value = json::read(text).map_err(Miss::malformed)?;
        let Call { name, arguments } = named_call(value)
            .map_err(|what| Miss::malformed(format!("no tool call ({what}): {}", quoted(text))))?;
        if name != self.name {
            return Err(Miss::Wrong(format!(
                "{} is called, not {}",
                quoted(&name),
                quoted(&self.name)
            )));
        }
        match difference(&self.arguments, &arguments.into()) {
            None => Ok(()),
            Some((path, what)) if path.is_empty() => {
                Err(Miss::Wrong(format!("of the arguments {what}")))
            }
            Some((path, what)) => {
                Err(Miss::Wrong(format!("argument {}: {what}", quoted(&path[1..]))))
            }
        }
    }
}

/// Calls that are expected, each argument with its alternatives:
/// `{"calls": [{"get_weather": {"city": ["Oslo"], "unit": ["C", ""]}}], "ordered": false}`. `""`
/// among the alternatives makes an argument optional. `tools` are descriptions of functions, by
/// which types are checked too.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Fields")]
pub struct CallPlan {
    calls: Vec<Expected>,
    ordered: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    calls: Vec<Map<String, Value>>,
    #[serde(default)]
    ordered: bool,
    #[serde(default)]
    tools: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq)]
struct Expected {
    name: String,
    parameters: Parameters,
}

impl TryFrom<Fields> for CallPlan {
    type Error = String;

    fn try_from(fields: Fields) -> Result<CallPlan, String> {
        CallPlan::new(fields.calls, fields.ordered, &fields.tools)
    }
}

impl CallPlan {
    /// Calls as `{"function": {"parameter": [alternatives]}}`, and the tools' descriptions, which
    /// may be missing.
    ///
    /// # Errors
    /// If there are no calls, or one is not of that form, or of no tool that is described.
    pub fn new(
        calls: Vec<Map<String, Value>>,
        ordered: bool,
        tools: &[Value],
    ) -> Result<CallPlan, String> {
        if calls.is_empty() {
            return Err("no calls are expected; the grader for that is `no_call`".to_string());
        }
        let tools = tools.iter().map(Tool::new).collect::<Result<Vec<_>, _>>()?;
        let calls = calls.into_iter().map(|call| Expected::new(call, &tools));
        Ok(CallPlan { calls: calls.collect::<Result<_, _>>()?, ordered })
    }

    /// Whether each expected call is made once, and no other.
    pub(super) fn check(&self, text: &str) -> Result<(), Miss> {
        let found = read_calls(text).map_err(Miss::malformed)?;
        if found.len() != self.calls.len() {
            let names: Vec<_> = found.iter().map(|call| quoted(&call.name)).collect();
            let what = format!("{} calls instead of {}", found.len(), self.calls.len());
            return Err(Miss::Wrong(format!("{what}: {}", names.join(", "))));
        }
        let assigned = if self.ordered {
            (0..found.len()).map(Some).collect()
        } else {
            assignment(&self.calls, &found)
        };
        for (number, (expected, call)) in self.calls.iter().zip(&assigned).enumerate() {
            let why = match call {
                Some(call) => expected.check(&found[*call]).err(),
                None => Some(expected.nearest(&found)),
            };
            let Some(why) = why else { continue };
            let which = format!("call {}, {}: ", number + 1, quoted(&expected.name));
            return Err(Miss::Wrong(if found.len() > 1 { which + &why } else { why }));
        }
        Ok(())
    }
}

impl Expected {
    fn new(call: Map<String, Value>, tools: &[Tool]) -> Result<Expected, String> {
        let count = call.len();
        let (Some((name, parameters)), 1) = (call.into_iter().next(), count) else {
            return Err("each of `calls` is {\"function\": {\"parameter\": [alternatives]}}".into());
        };
        let tool = tools.iter().find(|tool| tool.name == name);
        if tool.is_none() && !tools.is_empty() {
            return Err(format!("the call of {} is of none of the `tools`", quoted(&name)));
        }
        let parameters = Parameters::new(parameters, tool)
            .map_err(|what| format!("the call of {}: {what}", quoted(&name)))?;
        Ok(Expected { name, parameters })
    }

    fn check(&self, call: &Call) -> Result<(), String> {
        if call.name != self.name {
            return Err(format!("{} is called, not {}", quoted(&call.name), quoted(&self.name)));
        }
        self.parameters.check(&call.arguments)
    }

    /// Why the call that comes nearest does not do.
    fn nearest(&self, found: &[Call]) -> String {
        let reasons: Vec<(bool, String)> = found
            .iter()
            .filter_map(|call| Some((call.name == self.name, self.check(call).err()?)))
            .collect();
        let same_tool = reasons.iter().find(|(same_tool, _)| *same_tool);
        match same_tool.or(reasons.first()) {
            Some((_, reason)) => reason.clone(),
            None => "another call does the same".to_string(),
        }
    }
}

/// For each expected call one found call of its own that does, so that as many as can be have one
/// (the augmenting paths of bipartite matching).
fn assignment(expected: &[Expected], found: &[Call]) -> Vec<Option<usize>> {
    let fits: Vec<Vec<usize>> = expected
        .iter()
        .map(|expected| (0..found.len()).filter(|at| expected.check(&found[*at]).is_ok()).collect())
        .collect();
    let mut owner = vec![None; found.len()];
    for at in 0..expected.len() {
        augment(at, &fits, &mut owner, &mut vec![false; found.len()]);
    }
    let position = |at| owner.iter().position(|owner| *owner == Some(at));
    (0..expected.len()).map(position).collect()
}

/// Finds a call for one more expectation, where others may have to give theirs up for another.
fn augment(
    at: usize,
    fits: &[Vec<usize>],
    owner: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for &call in &fits[at] {
        if std::mem::replace(&mut tried[call], true) {
            continue;
        }
        if owner[call].is_none_or(|other| augment(other, fits, owner, tried)) {
            owner[call] = Some(at);
            return true;
        }
    }
    false
}

/// Right if the answer holds no call; with refusals, if it is one of them.
pub(super) fn no_call(refusals: Option<&Alternatives>, text: &str) -> Result<(), Miss> {
    if let Ok(calls) = read_calls(text)
        && let Some(call) = calls.first()
    {
        return Err(Miss::Wrong(format!("{} is called", quoted(&call.name))));
    }
    refusals.map_or(Ok(()), |refusals| refusals.check(text))
}

/// The calls in an answer, which is those calls and nothing else: JSON, or Python's syntax.
fn read_calls(text: &str) -> Result<Vec<Call>, String> {
    let text = json::unfenced(text);
    let in_list = text.strip_prefix('[').map(str::trim_start);
    if !text.starts_with('{') && !in_list.is_some_and(|text| text.starts_with(['{', ']'])) {
        return python::read(text);
    }
    let value = json::read(text)?;
    calls_of(value).map_err(|what| format!("no tool call ({what}): {}", quoted(text)))
}

fn calls_of(value: Value) -> Result<Vec<Call>, String> {
    match value {
        Value::Array(list) => list.into_iter().map(call_of).collect(),
        Value::Object(mut object) if object.len() == 1 && object.contains_key("tool_calls") => {
            match object.remove("tool_calls") {
                Some(Value::Array(list)) => list.into_iter().map(call_of).collect(),
                _ => Err("`tool_calls` is no list".to_string()),
            }
        }
        value => Ok(vec![call_of(value)?]),
    }
}

/// One call: `{"name": …, "arguments": …}`, with OpenAI's envelope around it or without, or
/// `{"function": {arguments}}`.
fn call_of(value: Value) -> Result<Call, String> {
    let Value::Object(mut object) = value else { return Err("a call is an object".to_string()) };
    let envelope = object.keys().all(|key| ["id", "type", "index", "function"].contains(&&**key));
    if envelope && object.len() > 1 && object.contains_key("function") {
        return named_call(object.remove("function").unwrap_or_default());
    }
    if object.contains_key("name") && object.contains_key("arguments") {
        return named_call(object.into());
    }
    let one = object.len() == 1;
    match object.into_iter().next() {
        Some((name, Value::Object(arguments))) if one => Ok(Call { name, arguments }),
        _ => Err("neither `name` and `arguments` nor one tool with its arguments".to_string()),
    }
}

fn named_call(value: Value) -> Result<Call, String> {
    let mut call: ToolCall = serde_json::from_value(value).map_err(|error| error.to_string())?;
    if let Value::String(inner) = &call.arguments {
        call.arguments = json::read(inner)?;
    }
    match call.arguments {
        Value::Object(arguments) => Ok(Call { name: call.name, arguments }),
        _ => Err("the arguments are no object".to_string()),
    }
}
