//! Owns the reading of calls in Python's syntax, as the Berkeley Function-Calling Leaderboard asks for
//! them: `[f(a=1, b='x'), g.h(c=[1, 2])]`, with literals and nested calls and nothing computed.

use super::Call;
use super::quoted;
use serde_json::{Map, Number, Value, json};

/// How deep values may be nested. Python's own parser gives up at 200.
const DEEPEST: usize = 100;

/// Reads one call, calls with commas between them, or a list of calls.
pub(super) fn read(text: &str) -> Result<Vec<Call>, String> {
    let mut parser = Parser { text, at: 0, depth: 0, unnamed: false };
    let calls = parser.calls();
    calls.map_err(|what| {
        let rest = &text[parser.at..];
        let found = if rest.is_empty() { "its end".to_string() } else { quoted(rest) };
        format!("no tool call ({what} at {found}): {}", quoted(text))
    })
}

/// The calls that the leaderboard's reader sees: it takes backticks off, adds a bracket that is missing, and drops an
/// argument without a name.
pub(super) fn for_the_leaderboard(text: &str) -> Option<Vec<Call>> {
    let text = text.trim_matches(['`', '\n', ' ']);
    let before = if text.starts_with('[') { "" } else { "[" };
    let after = if text.ends_with(']') { "" } else { "]" };
    let text = format!("{before}{text}{after}");
    Parser { text: &text, at: 0, depth: 0, unnamed: true }.calls().ok()
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Whether an argument without a name is dropped.
    unnamed: bool,
}

impl<'a> Parser<'a> {
    fn calls(&mut self) -> Result<Vec<Call>, String> {
        let mut calls = Vec::new();
        if self.take("[") {
            self.items("]", |parser| {
                calls.push(parser.call()?);
                Ok(())
            })?;
        } else {
            calls.push(self.call()?);
            while self.take(",") {
                calls.push(self.call()?);
            }
        }
        self.space();
        if self.at == self.text.len() { Ok(calls) } else { Err("text after the calls".into()) }
    }

    fn call(&mut self) -> Result<Call, String> {
        let name = self.path()?;
        self.expect("(")?;
        let arguments = self.keywords()?;
        Ok(Call::new(name, arguments))
    }

    /// Arguments with their names, and the bracket after them.
    fn keywords(&mut self) -> Result<Map<String, Value>, String> {
        let mut arguments = Map::new();
        self.items(")", |parser| {
            let start = parser.at;
            let name = parser.name().filter(|_| parser.take("="));
            let Some(name) = name else {
                parser.at = start;
                if parser.unnamed {
                    return parser.value().map(|_| ());
                }
                return Err("an argument without a name".to_string());
            };
            parser.value().and_then(|value| unique(&mut arguments, name.to_string(), value))
        })?;
        Ok(arguments)
    }

    /// What stands between commas up to a closing bracket, which is taken too.
    fn items(
        &mut self,
        close: &str,
        mut item: impl FnMut(&mut Parser<'a>) -> Result<(), String>,
    ) -> Result<(), String> {
        while !self.take(close) {
            item(self)?;
            if !self.take(",") {
                return self.expect(close);
            }
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Value, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("values nested deeper than {DEEPEST}"));
        }
        self.space();
        let value = match self.rest().chars().next() {
            Some('[') => self.list("[", "]"),
            Some('(') => self.tuple(),
            Some('{') => self.dict(),
            Some('\'' | '"') => self.strings(),
            Some('-' | '+' | '.' | '0'..='9') => self.number(),
            Some(c) if starts_name(c) => self.named(),
            _ => Err("no value".to_string()),
        };
        self.depth -= 1;
        value
    }

    fn list(&mut self, open: &str, close: &str) -> Result<Value, String> {
        self.expect(open)?;
        let mut list = Vec::new();
        self.items(close, |parser| {
            list.push(parser.value()?);
            Ok(())
        })?;
        Ok(list.into())
    }

    /// A tuple, which is a list in JSON; brackets around one value are only brackets.
    fn tuple(&mut self) -> Result<Value, String> {
        let list = self.list("(", ")")?;
        let inside = self.text[..self.at - 1].trim_end();
        match list {
            Value::Array(mut items) if items.len() == 1 && !inside.ends_with(',') => {
                Ok(items.remove(0))
            }
            list => Ok(list),
        }
    }

    fn dict(&mut self) -> Result<Value, String> {
        self.expect("{")?;
        let mut map = Map::new();
        self.items("}", |parser| {
            let Value::String(key) = parser.value()? else {
                return Err("a key that is no text".to_string());
            };
            parser.expect(":")?;
            parser.value().and_then(|value| unique(&mut map, key, value))
        })?;
        Ok(map.into())
    }

    /// A constant, the prefix of a string, a call, or a bare name, which stands for its text.
    fn named(&mut self) -> Result<Value, String> {
        let start = self.at;
        let path = self.path()?;
        let next = self.rest().chars().next();
        match (path.as_str(), next) {
            ("r" | "R" | "u" | "U", Some('\'' | '"')) => {
                self.at = start;
                self.strings()
            }
            ("True", _) => Ok(true.into()),
            ("False", _) => Ok(false.into()),
            ("None", _) => Ok(Value::Null),
            _ if self.take("(") => self.nested_call(start, path),
            _ if path.contains('.') => Err("an attribute".to_string()),
            _ => Ok(path.into()),
        }
    }

    /// A call as a value: `{"name": {arguments}}`, or its text if its arguments have no names.
    fn nested_call(&mut self, start: usize, name: String) -> Result<Value, String> {
        let inside = self.at;
        if let Ok(arguments) = self.keywords()
            && !arguments.is_empty()
        {
            return Ok(json!({ name: arguments }));
        }
        self.at = inside;
        self.list("", ")")?;
        Ok(self.text[start..self.at].into())
    }

    fn number(&mut self) -> Result<Value, String> {
        let negative = self.rest().starts_with('-');
        if negative || self.rest().starts_with('+') {
            self.at += 1;
            self.space();
        }
        let length = number_length(self.rest());
        let digits = &self.rest()[..length];
        let value = number(digits, negative).ok_or("no number")?;
        self.at += length;
        Ok(value)
    }

    /// Strings, one after the other, are one.
    fn strings(&mut self) -> Result<Value, String> {
        let mut all = String::new();
        loop {
            self.space();
            let raw = self.rest().starts_with(['r', 'R']);
            let prefix = usize::from(self.rest().starts_with(['r', 'R', 'u', 'U']));
            if !self.rest()[prefix..].starts_with(['\'', '"']) {
                return Ok(all.into());
            }
            self.at += prefix;
            self.string(raw, &mut all)?;
        }
    }

    fn string(&mut self, raw: bool, all: &mut String) -> Result<(), String> {
        let quotes = ["'''", "\"\"\"", "'", "\""];
        let quote = quotes.into_iter().find(|quote| self.rest().starts_with(quote));
        let quote = quote.ok_or("no string")?;
        self.at += quote.len();
        loop {
            let rest = self.rest();
            if let Some(after) = rest.strip_prefix(quote) {
                self.at = self.text.len() - after.len();
                return Ok(());
            }
            let (text, length) = match rest.chars().next() {
                None => return Err("a string without an end".to_string()),
                Some('\n') if quote.len() == 1 => {
                    return Err("a line's end in a string".to_string());
                }
                Some('\\') if raw => (rest.chars().take(2).collect(), None),
                Some('\\') => escape(rest).map(|(text, length)| (text, Some(length)))?,
                Some(c) => (c.to_string(), None),
            };
            self.at += length.unwrap_or(text.len());
            all.push_str(&text);
        }
    }

    /// A name with dots.
    fn path(&mut self) -> Result<String, String> {
        let mut path = self.name().ok_or("no name")?.to_string();
        while self.rest().starts_with('.') {
            self.at += 1;
            path = format!("{path}.{}", self.name().ok_or("no name")?);
        }
        Ok(path)
    }

    fn name(&mut self) -> Option<&'a str> {
        self.space();
        let rest = self.rest();
        rest.chars().next().filter(|c| starts_name(*c))?;
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += end;
        Some(&rest[..end])
    }

    fn expect(&mut self, mark: &str) -> Result<(), String> {
        if self.take(mark) { Ok(()) } else { Err(format!("no `{mark}`")) }
    }

    fn take(&mut self, mark: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(mark);
        self.at += if found { mark.len() } else { 0 };
        found
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}

fn starts_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn unique(map: &mut Map<String, Value>, key: String, value: Value) -> Result<(), String> {
    match map.insert(key.clone(), value) {
        None => Ok(()),
        Some(_) => Err(format!("{} stands twice", quoted(&key))),
    }
}

/// How far a number reaches: the sign of an exponent belongs to it.
fn number_length(text: &str) -> usize {
    let hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    let mut before = ' ';
    let end = text.find(|c: char| {
        let exponent = matches!(before, 'e' | 'E') && matches!(c, '+' | '-') && !hexadecimal;
        before = c;
        !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.') || exponent)
    });
    end.unwrap_or(text.len())
}

/// A literal of Python; `None` if it is none, or too large for JSON.
fn number(literal: &str, negative: bool) -> Option<Value> {
    let lower = literal.to_ascii_lowercase();
    // An underscore stands between two digits, or after the prefix.
    let hexadecimal = lower.starts_with("0x");
    let prefix = hexadecimal || lower.starts_with("0o") || lower.starts_with("0b");
    let digit = |c: Option<&u8>| {
        c.is_some_and(|c| c.is_ascii_digit() || (hexadecimal && c.is_ascii_hexdigit()))
    };
    let bytes = lower.as_bytes();
    let misplaced = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let after_prefix = prefix && at == 2;
        !(after_prefix || digit(before)) || !digit(bytes.get(at + 1))
    };
    if (0..bytes.len()).any(|at| bytes[at] == b'_' && misplaced(at)) {
        return None;
    }
    let digits = lower.replace('_', "");
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter();
    let mut prefixed = radix.filter_map(|(prefix, radix)| {
        digits.strip_prefix(prefix).and_then(|digits| i128::from_str_radix(digits, radix).ok())
    });
    let whole = prefixed.next().or_else(|| {
        let decimal = digits.bytes().all(|c| c.is_ascii_digit());
        let padded = digits.starts_with('0') && digits.bytes().any(|c| c != b'0');
        if decimal && !padded { digits.parse().ok() } else { None }
    });
    if let Some(whole) = whole {
        return Number::from_i128(if negative { -whole } else { whole }).map(Value::Number);
    }
    if !digits.contains(['.', 'e']) || !digits.bytes().all(|c| b"0123456789.e+-".contains(&c)) {
        return None;
    }
    let value: f64 = digits.parse().ok()?;
    Number::from_f64(if negative { -value } else { value }).map(Value::Number)
}

/// An escape at the beginning of a text, and its length. What Python does not know stays as it is.
fn escape(text: &str) -> Result<(String, usize), String> {
    let plain = |text: &str| Ok((text.to_string(), 2));
    match text[1..].chars().next() {
        None => Err("a string without an end".to_string()),
        Some('\n') => plain(""),
        Some('n') => plain("\n"),
        Some('t') => plain("\t"),
        Some('r') => plain("\r"),
        Some('a') => plain("\u{7}"),
        Some('b') => plain("\u{8}"),
        Some('f') => plain("\u{c}"),
        Some('v') => plain("\u{b}"),
        Some(c @ ('\\' | '\'' | '"')) => plain(&c.to_string()),
        Some('x') => code(text, 2, 2, 16),
        Some('u') => code(text, 2, 4, 16),
        Some('U') => code(text, 2, 8, 16),
        Some('0'..='7') => {
            let digits = text[1..].bytes().take(3).take_while(|c| (b'0'..=b'7').contains(c));
            code(text, 1, digits.count(), 8)
        }
        Some('N') => Err("a character by its name".to_string()),
        Some(c) => Ok((format!("\\{c}"), 1 + c.len_utf8())),
    }
}

/// The character with a number that stands in a text.
fn code(text: &str, start: usize, length: usize, radix: u32) -> Result<(String, usize), String> {
    let digits = text.get(start..start + length).filter(|digits| !digits.starts_with('+'));
    let number = digits.and_then(|digits| u32::from_str_radix(digits, radix).ok());
    let found = number.and_then(char::from_u32).ok_or("no character")?;
    Ok((found.to_string(), start + length))
}
