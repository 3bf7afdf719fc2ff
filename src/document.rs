//! Owns the reading of a TOML document with positions: each value knows its key and where it
//! stands, so that every complaint names file, line and column, and an unknown key its nearest one.

use crate::problem::{Problem, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A TOML document: its text (for positions) and its name (for complaints).
pub struct Document<'a> {
    file: &'a Path,
    text: &'a str,
}

/// One value of a document with the key it stands under.
#[derive(Clone)]
pub struct Node<'a> {
    document: &'a Document<'a>,
    key: String,
    value: &'a Spanned<DeValue<'a>>,
}

/// A table whose keys are taken out one by one; what remains at the end is unknown.
pub struct Table<'a> {
    document: &'a Document<'a>,
    name: String,
    position: usize,
    entries: BTreeMap<String, (usize, &'a Spanned<DeValue<'a>>)>,
    known: Vec<&'static str>,
}

impl<'a> Document<'a> {
    /// A document of the given text.
    pub fn new(file: &'a Path, text: &'a str) -> Document<'a> {
        Document { file, text }
    }

    /// Parses the text.
    ///
    /// # Errors
    /// If it is not TOML.
    pub fn parse(&self) -> Result<Spanned<DeTable<'a>>> {
        DeTable::parse(self.text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            self.problem(offset, format!("is no TOML: {}", error.message())).help(
                "texts stand in quotes, tables in [brackets], and each key once: https://toml.io",
            )
        })
    }

    /// The whole document as a table.
    pub fn root(&'a self, parsed: &'a Spanned<DeTable<'a>>) -> Table<'a> {
        Table::new(self, String::new(), 0, parsed.get_ref())
    }

    fn problem(&self, offset: usize, what: impl Into<String>) -> Problem {
        let (line, column) = position(self.text, offset);
        Problem::in_file(self.file, what).at(line, column)
    }
}

/// Line and column of a byte offset, both from 1, columns in characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1);
    (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
}

impl<'a> Table<'a> {
    fn new(
        document: &'a Document<'a>,
        name: String,
        position: usize,
        table: &'a DeTable<'a>,
    ) -> Table<'a> {
        let entries = table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), (key.span().start, value)))
            .collect();
        Table { document, name, position, entries, known: Vec::new() }
    }

    /// Takes the value of a key, if it is there.
    pub fn take(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.known.push(key);
        let (_, value) = self.entries.remove(key)?;
        Some(Node { document: self.document, key: self.path(key), value })
    }

    /// Whether a key is there and has not been taken.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Takes the value of a key.
    ///
    /// # Errors
    /// If it is not there.
    pub fn need(&mut self, key: &'static str) -> Result<Node<'a>> {
        self.take(key).ok_or_else(|| {
            let place =
                if self.name.is_empty() { String::new() } else { format!(" in [{}]", self.name) };
            self.document
                .problem(self.position, format!("the key '{key}' is missing{place}"))
                .help(format!("add it; README.md shows where '{key}' stands in a short file"))
        })
    }

    /// Whether no key is left.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries in the order of the file, for tables whose keys are the user's own names.
    pub fn into_entries(self) -> Vec<(String, Node<'a>)> {
        let mut entries: Vec<_> = self.entries.into_iter().collect();
        entries.sort_by_key(|(_, (position, _))| *position);
        entries
            .into_iter()
            .map(|(key, (_, value))| {
                let path =
                    if self.name.is_empty() { key.clone() } else { format!("{}.{key}", self.name) };
                (key, Node { document: self.document, key: path, value })
            })
            .collect()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// If a key remains that nobody asked for; the nearest known one is suggested.
    pub fn finish(self) -> Result<()> {
        let Some((key, (position, _))) = self.entries.first_key_value() else {
            return Ok(());
        };
        let place =
            if self.name.is_empty() { "here".to_string() } else { format!("in [{}]", self.name) };
        let problem = self.document.problem(*position, format!("unknown key '{key}' {place}"));
        Err(problem.help(suggestion(key, &self.known)))
    }

    /// A complaint about the table as a whole.
    pub fn problem(&self, what: impl Into<String>) -> Problem {
        self.document.problem(self.position, what)
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_string() } else { format!("{}.{key}", self.name) }
    }
}

/// The nearest of the known names, or all of them where none is near.
pub fn suggestion<S: AsRef<str>>(word: &str, known: &[S]) -> String {
    let near = known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(word, k.as_ref()), k.as_ref()))
        .min()
        .filter(|(distance, k)| *distance <= 1 + k.len() / 3);
    match near {
        Some((_, k)) => format!("did you mean '{k}'?"),
        None => {
            let names: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
            format!("known here: {}", names.join(", "))
        }
    }
}

impl<'a> Node<'a> {
    /// A complaint about this value.
    pub fn problem(&self, what: impl Into<String>) -> Problem {
        self.document.problem(self.value.span().start, what)
    }

    /// The line on which the value stands, from 1.
    pub fn line(&self) -> usize {
        position(self.document.text, self.value.span().start).0
    }

    fn expected(&self, what: &str, example: &str) -> Problem {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let key = self.key.rsplit('.').next().unwrap_or_default();
        self.problem(format!("'{}' should be {what}, not {found}", self.key))
            .help(format!("write it as {key} = {example}"))
    }

    /// The value as a string.
    ///
    /// # Errors
    /// If it is something else.
    pub fn string(&self) -> Result<String> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            _ => Err(self.expected("a string in quotes", "\"…\"")),
        }
    }

    /// The value as a string, if it is one.
    pub fn as_string(&self) -> Option<String> {
        self.string().ok()
    }

    /// The value as one of some words.
    ///
    /// # Errors
    /// If it is another; the nearest is suggested.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T> {
        let word = self.string()?;
        choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.problem(format!("'{}' cannot be '{word}'", self.key))
                .help(suggestion(&word, &names))
        })
    }

    /// The value as an integer within bounds (both included).
    ///
    /// # Errors
    /// If it is something else or out of bounds.
    pub fn integer(&self, low: u64, high: u64) -> Result<u64> {
        let DeValue::Integer(integer) = self.value.get_ref() else {
            return Err(self.expected("an integer", "5"));
        };
        let text = integer.as_str().replace('_', "");
        match u64::from_str_radix(&text, integer.radix()) {
            Ok(value) if (low..=high).contains(&value) => Ok(value),
            _ if high == u64::MAX => Err(self
                .problem(format!("'{}' is {text}; it should be at least {low}", self.key))
                .help(format!("write {low} or more"))),
            _ => Err(self
                .problem(format!("'{}' is {text}; it should be between {low} and {high}", self.key))
                .help("write a whole number between them, both included")),
        }
    }

    /// The value as a finite number.
    ///
    /// # Errors
    /// If it is something else, infinite or NaN.
    pub fn number(&self) -> Result<f64> {
        let text = match self.value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => return Err(self.expected("a number", "0.5")),
        };
        text.replace('_', "").parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(
            || {
                self.problem(format!("'{}' is no finite number", self.key))
                    .help("write a decimal number such as 0.5")
            },
        )
    }

    /// The value as a number, if it is one.
    pub fn as_number(&self) -> Option<Result<f64>> {
        matches!(self.value.get_ref(), DeValue::Integer(_) | DeValue::Float(_))
            .then(|| self.number())
    }

    /// The value as true or false.
    ///
    /// # Errors
    /// If it is something else.
    pub fn truth(&self) -> Result<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(truth) => Ok(*truth),
            _ => Err(self.expected("true or false", "true")),
        }
    }

    /// The key that it stands under, with the tables around it, in quotes.
    pub fn name(&self) -> String {
        format!("'{}'", self.key)
    }

    /// The value as a duration with a unit, such as `"90s"` or `"2min"`.
    ///
    /// # Errors
    /// If it is none, zero, or so long that a clock could not hold its end.
    pub fn duration(&self) -> Result<Duration> {
        const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
        let text = self.string()?;
        match humantime::parse_duration(&text) {
            Ok(duration) if duration > LONGEST => Err(self
                .problem(format!("'{}' is '{text}'; it should be at most 30 days", self.key))
                .help("write how long you would wait, such as \"90s\" or \"2min\"")),
            Ok(duration) if !duration.is_zero() => Ok(duration),
            _ => Err(self
                .problem(format!("'{}' is '{text}', which is no duration", self.key))
                .help("write a number and a unit, such as \"90s\", \"500ms\" or \"2min\"")),
        }
    }

    /// The value as a day, `2026-12-31`, with or without quotes.
    ///
    /// # Errors
    /// If it is none.
    pub fn day(&self) -> Result<String> {
        let text = match self.value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            _ => return Err(self.expected("a day", "2026-12-31")),
        };
        let is_day =
            text.len() == 10 && humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).is_ok();
        is_day.then_some(text.clone()).ok_or_else(|| {
            self.problem(format!("'{}' is '{text}', which is no day", self.key))
                .help("write year, month and day, such as 2026-12-31")
        })
    }

    /// The value as a list.
    ///
    /// # Errors
    /// If it is something else.
    pub fn list(&self) -> Result<Vec<Node<'a>>> {
        let DeValue::Array(array) = self.value.get_ref() else {
            return Err(self.expected("a list", "[\"…\", \"…\"]"));
        };
        Ok(array
            .iter()
            .map(|value| Node { document: self.document, key: self.key.clone(), value })
            .collect())
    }

    /// The value as a table.
    ///
    /// # Errors
    /// If it is something else.
    pub fn table(&self) -> Result<Table<'a>> {
        let DeValue::Table(table) = self.value.get_ref() else {
            return Err(self.expected("a table", "{ … }"));
        };
        Ok(Table::new(self.document, self.key.clone(), self.value.span().start, table))
    }

    /// A scalar as the text that an engine's property takes: strings as they are, numbers and
    /// truth values as TOML writes them.
    ///
    /// # Errors
    /// If it is a list, a table or a date.
    pub fn scalar(&self) -> Result<String> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            DeValue::Integer(integer) => Ok(integer.as_str().to_string()),
            DeValue::Float(float) => Ok(float.as_str().to_string()),
            DeValue::Boolean(truth) => Ok(if *truth { "YES" } else { "NO" }.to_string()),
            _ => Err(self.expected("a string, a number or true/false", "\"…\"")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        assert_eq!(position("a\nbé c", 0), (1, 1));
        assert_eq!(position("a\nbé c", 6), (2, 4), "é is one column");
        assert_eq!(position("a\n", 2), (2, 1));
    }

    #[test]
    fn suggestions_are_near_or_list_all() {
        assert_eq!(suggestion("treads", &["threads", "model"]), "did you mean 'threads'?");
        assert_eq!(suggestion("zzzzzz", &["threads", "model"]), "known here: threads, model");
    }
}
