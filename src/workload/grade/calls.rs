//! Owns the graders of tool calls: the calls in an answer, how many, of what, and in which order.
//! Names and values are compared as they are written, without a normal form of Unicode.

use super::arguments::{Parameters, Tool, from_text};
use super::reading::{Bare, read};
use super::{Miss, difference, quoted};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A call of a tool, as an answer makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
    /// Whether the arguments are texts of any type, as in `<parameter=level>2</parameter>`.
    pub untyped: bool,
}

impl Call {
    /// A call whose arguments say their types.
    pub(super) fn new(name: String, arguments: Map<String, Value>) -> Call {
        Call { name, arguments, untyped: false }
    }

    /// A call whose arguments are texts of any type.
    pub(super) fn raw(name: &str, arguments: Map<String, Value>) -> Call {
        Call { name: name.to_string(), arguments, untyped: true }
    }
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
    /// Whether the answer is this call and no other.
    pub(super) fn check(&self, text: &str) -> Result<(), Miss> {
        let calls = read(text, Bare::Json).map_err(Miss::malformed)?;
        let Ok([call]) = <[Call; 1]>::try_from(calls.clone()) else {
            return Err(Miss::Wrong(counted(&calls, 1)));
        };
        if call.name != self.name {
            return Err(Miss::Wrong(format!(
                "{} is called, not {}",
                quoted(&call.name),
                quoted(&self.name)
            )));
        }
        let typed = |(key, value): (String, Value)| {
            let is_text = self.arguments.get(&key).is_some_and(Value::is_string);
            let value = if call.untyped && !is_text { from_text(value) } else { value };
            (key, value)
        };
        let arguments: Map<String, Value> = call.arguments.into_iter().map(typed).collect();
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

/// That an answer makes too many or too few calls.
fn counted(found: &[Call], expected: usize) -> String {
    let names: Vec<_> = found.iter().map(|call| quoted(&call.name)).collect();
    format!("{} calls instead of {expected}: {}", found.len(), names.join(", "))
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
        let found = read(text, Bare::Any).map_err(Miss::malformed)?;
        if found.len() != self.calls.len() {
            return Err(Miss::Wrong(counted(&found, self.calls.len())));
        }
        let assigned = if self.ordered {
            (0..found.len()).map(Some).collect()
        } else {
            assignment(&self.calls, &found)
        };
        for (number, (expected, call)) in self.calls.iter().zip(&assigned).enumerate() {
            let why = match call {
                Some(call) => expected.check(&found[*call]).err(),
                None => Some(expected.nearest(&found, &assigned)),
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
        match self.differences(call).into_iter().next() {
            Some(difference) => Err(difference),
            None => Ok(()),
        }
    }

    /// What differs, the tool's name first.
    fn differences(&self, call: &Call) -> Vec<String> {
        if call.name != self.name {
            let called = format!("{} is called, not {}", quoted(&call.name), quoted(&self.name));
            return vec![called];
        }
        self.parameters.differences(call)
    }

    /// Why the call that comes nearest does not do: of those that no other expectation has, the one of the same tool
    /// with the fewest differences, of equal ones the first.
    fn nearest(&self, found: &[Call], assigned: &[Option<usize>]) -> String {
        let taken = |at: usize| assigned.contains(&Some(at));
        let candidates = found.iter().enumerate().filter_map(|(at, call)| {
            let differences = self.differences(call);
            let rank = (taken(at), call.name != self.name, differences.len());
            Some((rank, differences.into_iter().next()?))
        });
        match candidates.min_by_key(|(rank, _)| *rank) {
            Some((_, reason)) => reason,
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
