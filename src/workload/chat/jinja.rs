//! Owns the template language as Hugging Face's `transformers` sets it up for chat templates: Jinja 2 in its
//! sandbox, with some functions of its own.

use super::methods;
use super::python::{Dumps, to_str};
use chrono::NaiveDateTime;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};
use std::fmt::Write;

type Result<T> = std::result::Result<T, Error>;

/// Under which name the environment holds its one template.
const NAME: &str = "chat_template";

/// Most steps of one rendering: a template that loops for ever ends with an error.
const FUEL: u64 = 50_000_000;

/// A template, compiled.
#[derive(Debug)]
pub(super) struct Compiled(Environment<'static>);

impl Compiled {
    /// Compiles a template; `strftime_now` in it gives `now`.
    pub(super) fn new(source: &str, now: NaiveDateTime) -> Result<Compiled> {
        let mut environment = environment(now);
        environment.add_template_owned(NAME, without_generation(source))?;
        Ok(Compiled(environment))
    }

    pub(super) fn render(&self, variables: Value) -> Result<String> {
        self.0.get_template(NAME)?.render(variables)
    }
}

fn environment(now: NaiveDateTime) -> Environment<'static> {
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .expect("only the treatment of white space differs from the default");
    let mut environment = Environment::new();
    environment.set_syntax(syntax);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(methods::call);
    environment.set_formatter(|out, _, value| {
        out.write_str(&to_str(value)).map_err(|_| Error::from(ErrorKind::WriteFailure))
    });
    environment.add_function("raise_exception", |message: Value| -> Result<Value> {
        Err(invalid(to_str(&message)))
    });
    environment.add_function("strftime_now", move |format: &str| -> Result<String> {
        let mut text = String::new();
        // Some formats of C are none of chrono's.
        write!(text, "{}", now.format(format))
            .map_err(|_| invalid(format!("strftime_now does not know the format {format:?}")))?;
        Ok(text)
    });
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
    filters(&mut environment);
    tests(&mut environment);
    environment
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.into())
}

/// The filters that Python's values make differ.
fn filters(environment: &mut Environment<'_>) {
    environment.add_filter("tojson", to_json);
    environment.add_filter("string", |value: &Value| to_str(value));
    environment.add_filter("length", length);
    environment.add_filter("count", length);
    environment.add_filter("join", join);
    environment.add_filter("e", escape);
    environment.add_filter("escape", escape);
    environment.add_filter("wordcount", minijinja_contrib::filters::wordcount);
    environment.add_filter("trim", |value: &Value, chars: Option<&str>| {
        let strips =
            |c: char| chars.map_or_else(|| super::python::is_space(c), |chars| chars.contains(c));
        to_str(value).trim_matches(strips).to_string()
    });
}

/// `json.dumps`, with the arguments that transformers lets through.
fn to_json(value: &Value, rest: Rest<Value>, keywords: Kwargs) -> Result<String> {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    let mut given: Vec<Option<Value>> = vec![None; names.len()];
    for (index, argument) in rest.iter().enumerate() {
        *given.get_mut(index).ok_or_else(|| invalid("tojson takes four arguments"))? =
            Some(argument.clone());
    }
    for (name, given) in names.iter().zip(&mut given) {
        if let Some(argument) = keywords.get::<Option<Value>>(name)? {
            *given = Some(argument);
        }
    }
    keywords.assert_all_used()?;
    let [ensure_ascii, indent, separators, sort_keys] = &given[..] else {
        return Err(invalid("tojson takes four arguments"));
    };
    let is_true = |given: &Option<Value>| given.as_ref().is_some_and(Value::is_true);
    let indent = match indent.as_ref().filter(|indent| !indent.is_none()) {
        None => None,
        Some(indent) if indent.kind() == ValueKind::String => Some(to_str(indent)),
        // Python's True is the number 1.
        Some(indent) if indent.kind() == ValueKind::Bool => {
            Some(" ".repeat(usize::from(indent.is_true())))
        }
        Some(indent) => {
            let width = i64::try_from(indent.clone())?;
            Some(" ".repeat(usize::try_from(width).unwrap_or(0)))
        }
    };
    let separators = match separators.as_ref().filter(|value| !value.is_none()) {
        Some(pair) => match &pair.try_iter()?.collect::<Vec<_>>()[..] {
            [item, key] => (to_str(item), to_str(key)),
            _ => return Err(invalid("the separators of tojson are two")),
        },
        None if indent.is_some() => (",".to_string(), ": ".to_string()),
        None => (", ".to_string(), ": ".to_string()),
    };
    let (ensure_ascii, sort_keys) = (is_true(ensure_ascii), is_true(sort_keys));
    Dumps { ensure_ascii, indent, separators, sort_keys }.of(value)
}

/// A text for HTML, as MarkupSafe escapes it.
fn escape(value: &Value) -> String {
    let escaped = |c: char| match c {
        '&' => "&amp;".to_string(),
        '<' => "&lt;".to_string(),
        '>' => "&gt;".to_string(),
        '\'' => "&#39;".to_string(),
        '"' => "&#34;".to_string(),
        c => c.to_string(),
    };
    to_str(value).chars().map(escaped).collect()
}

/// `len(value)`; what is undefined has none.
fn length(value: &Value) -> Result<usize> {
    match value.kind() {
        ValueKind::Undefined => Ok(0),
        ValueKind::Iterable => Ok(value.try_iter()?.count()),
        kind => value.len().ok_or_else(|| invalid(format!("a value of type {kind} has no length"))),
    }
}

fn join(
    values: &Value,
    between: Option<Value>,
    attribute: Option<Value>,
    keywords: Kwargs,
) -> Result<String> {
    let between = match between {
        Some(between) => Some(between),
        None => keywords.get::<Option<Value>>("d")?,
    };
    let attribute = match attribute {
        Some(attribute) => Some(attribute),
        None => keywords.get::<Option<Value>>("attribute")?,
    };
    keywords.assert_all_used()?;
    let between = between.map_or_else(String::new, |between| to_str(&between));
    let mut parts = Vec::new();
    let values: Vec<Value> = match values.as_str() {
        Some(text) => text.chars().map(|c| Value::from(c.to_string())).collect(),
        None => values.try_iter()?.collect(),
    };
    for value in values {
        parts.push(to_str(&match &attribute {
            Some(attribute) => value.get_item(attribute)?,
            None => value,
        }));
    }
    Ok(parts.join(&between))
}

/// The tests that Python's types make differ: a text and a mapping have a length and items, and True is a number.
fn tests(environment: &mut Environment<'_>) {
    use ValueKind::{Bool, Iterable, Map, Number, Seq, String, Undefined};
    environment.add_test("sequence", |value: &Value| {
        matches!(value.kind(), Seq | Iterable | String | Map | Undefined)
    });
    environment.add_test("iterable", |value: &Value| {
        matches!(value.kind(), Seq | String | Map | Iterable | Undefined)
    });
    environment.add_test("number", |value: &Value| matches!(value.kind(), Number | Bool));
    environment
        .add_test("callable", |value: &Value| value.kind() == ValueKind::Plain && !value.is_none());
}

/// A template without the marks of what the model says, `{% generation %}` and `{% endgeneration %}`: they have
/// a scope of their own, and put nothing into the text. Lines stay where they are.
fn without_generation(source: &str) -> String {
    // As Jinja's lexer ends lines.
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let (mut out, mut rest) = (String::with_capacity(source.len()), source.as_str());
    while let Some(start) = rest.find("{%").into_iter().chain(rest.find("{#")).min() {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let end = if from.starts_with("{#") { "#}" } else { "%}" };
        let end = from.find(end).map_or(from.len(), |end| end + 2);
        let (block, after) = from.split_at(end);
        rest = after;
        match word(block) {
            "generation" => out.push_str(&block.replacen("generation", "with", 1)),
            "endgeneration" => out.push_str(&block.replacen("endgeneration", "endwith", 1)),
            "raw" => {
                // Whatever stands in it is text.
                let is_end = |place: &usize| word(&rest[*place..]) == "endraw";
                let end = rest.match_indices("{%").map(|(place, _)| place).find(is_end);
                let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
                out.push_str(block);
                out.push_str(text);
                rest = after;
            }
            _ => out.push_str(block),
        }
    }
    out + rest
}

/// The first word of a block.
fn word(block: &str) -> &str {
    let inner =
        block.strip_prefix("{%").unwrap_or_default().trim_start_matches(['-', '+']).trim_start();
    let end = inner.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inner.len());
    &inner[..end]
}
