//! Owns the grader of answers that must not call a tool: no call is right, a call is wrong, and what may be meant as
//! one and cannot be read has failed.

use super::reading::{self, Bare};
use super::signs::{self, Sign};
use super::{Alternatives, Miss, python, quoted};
use crate::config::NoCallRule;
use crate::record::FailureClass;
use serde::Deserialize;
use serde_json::Value;

/// An answer without a call: `null`, one of some refusals, or
/// `{"refusals": ["none"], "tools": […], "rule": "leaderboard"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Option<Value>")]
pub struct NoCall {
    /// What it has to say, if that matters.
    refusals: Option<Alternatives>,
    /// The names of the tools that the task offers, which make more of a call known.
    tools: Vec<String>,
    /// What becomes of an answer that cannot be read.
    rule: NoCallRule,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    refusals: Option<Alternatives>,
    #[serde(default)]
    tools: Vec<Value>,
    rule: Option<String>,
}

impl TryFrom<Option<Value>> for NoCall {
    type Error = String;

    fn try_from(written: Option<Value>) -> Result<NoCall, String> {
        let plain = |refusals| NoCall { refusals, ..NoCall::default() };
        let written = match written {
            None | Some(Value::Null) => return Ok(plain(None)),
            Some(written @ Value::Object(_)) => written,
            Some(texts) => {
                let refusals = serde_json::from_value(texts).map_err(|error| error.to_string())?;
                return Ok(plain(Some(refusals)));
            }
        };
        let fields: Fields = serde_json::from_value(written).map_err(|error| error.to_string())?;
        let rule = match fields.rule {
            None => NoCallRule::Strict,
            Some(name) => {
                NoCallRule::ALL.into_iter().find(|rule| rule.id() == name).ok_or_else(|| {
                    format!("`rule` is {}; it is `strict` or `leaderboard`", quoted(&name))
                })?
            }
        };
        Ok(NoCall { refusals: fields.refusals, ..NoCall::offered(&fields.tools, rule)? })
    }
}

impl NoCall {
    /// Any answer without a call is right, where these tools are offered: descriptions, or names alone.
    ///
    /// # Errors
    /// If one of them has no name.
    pub fn offered(tools: &[Value], rule: NoCallRule) -> Result<NoCall, String> {
        let name = |tool: &Value| {
            let described = tool.get("function").filter(|inner| inner.is_object()).unwrap_or(tool);
            let name = described.as_str().or(described["name"].as_str());
            let name = name.filter(|name| !name.trim().is_empty());
            name.map(str::to_string).ok_or_else(|| "one of the `tools` has no `name`".to_string())
        };
        let tools = tools.iter().map(name).collect::<Result<_, _>>()?;
        Ok(NoCall { refusals: None, tools, rule })
    }

    /// Takes over the rule of a suite, unless it has one that is more lenient.
    pub(in super::super) fn under(&mut self, rule: NoCallRule) {
        if rule == NoCallRule::Leaderboard {
            self.rule = rule;
        }
    }

    /// What becomes of an answer that cannot be read.
    pub fn rule(&self) -> NoCallRule {
        self.rule
    }

    /// Whether the answer holds no call, and is one of the refusals if there are some.
    pub(super) fn check(&self, text: &str) -> Result<(), Miss> {
        // `{"error": {…}}` is a call of `error` only as long as nobody says which tools there are. Of these and of
        // Python's syntax the signs know more.
        let bare = if self.tools.is_empty() { Bare::Any } else { Bare::Json };
        if let Ok(calls) = reading::read(text, bare)
            && let Some(call) = calls.first()
        {
            return Err(called(&call.name));
        }
        let answer = reading::after_reasoning(text.trim());
        if self.rule == NoCallRule::Leaderboard {
            let calls = python::for_the_leaderboard(answer.as_ref().unwrap_or(&text));
            if let Some(call) = calls.as_ref().and_then(|calls| calls.first()) {
                return Err(called(&call.name));
            }
            return self.refused(answer.as_ref().unwrap_or(&text));
        }
        let answer = answer.map_err(Miss::malformed)?;
        if answer.is_empty() {
            let what = "there is no answer".to_string();
            return Err(Miss::Failed(FailureClass::Empty, what));
        }
        match signs::sign(answer, &self.tools) {
            Some(Sign::Call(name)) => Err(called(&name)),
            Some(Sign::Broken(why)) => Err(Miss::malformed(format!("{why}: {}", quoted(answer)))),
            None => self.refused(answer),
        }
    }

    fn refused(&self, answer: &str) -> Result<(), Miss> {
        self.refusals.as_ref().map_or(Ok(()), |refusals| refusals.check(answer))
    }
}

fn called(name: &str) -> Miss {
    Miss::Wrong(format!("{} is called", quoted(name)))
}
