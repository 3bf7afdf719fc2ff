//! Owns the grader of numbers, and which number of an answer is meant.

use super::{Miss, quoted};
use regex::{Match, Regex};
use serde::Deserialize;
use serde_json::Value;
use std::ops::Range;
use std::sync::LazyLock;

/// A number: `42`, or `{"value": 42, "tolerance": 0.5, "relative": 0.01, "pick": "last"}`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Number {
    /// The number.
    pub value: f64,
    /// How far off an answer may be; the larger of the two tolerances counts.
    pub tolerance: f64,
    /// How far off an answer may be, as a share of the number.
    pub relative: f64,
    /// Which number of the answer is meant.
    pub pick: Pick,
}

/// Which number of an answer is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// The last, where a chain of thought ends.
    #[default]
    Last,
    /// The first.
    First,
    /// The answer is a number and nothing else.
    Whole,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    value: f64,
    #[serde(default)]
    tolerance: f64,
    #[serde(default)]
    relative: f64,
    #[serde(default)]
    pick: Pick,
}

impl TryFrom<Value> for Number {
    type Error = String;

    fn try_from(written: Value) -> Result<Number, String> {
        if let Some(value) = written.as_f64() {
            return Ok(Number { value, tolerance: 0.0, relative: 0.0, pick: Pick::Last });
        }
        if !written.is_object() {
            return Err("a number is expected, or an object with its `value`".to_string());
        }
        let fields: Fields = serde_json::from_value(written).map_err(|error| error.to_string())?;
        let Fields { value, tolerance, relative, pick } = fields;
        if tolerance < 0.0 || relative < 0.0 {
            return Err("a tolerance is not below 0".to_string());
        }
        Ok(Number { value, tolerance, relative, pick })
    }
}

impl Number {
    /// Whether the number of the answer is near enough.
    pub(super) fn check(&self, text: &str) -> Result<(), Miss> {
        let plain = plain(text.trim());
        let found = numbers(&plain);
        let picked = match self.pick {
            Pick::Last => found.last(),
            Pick::First => found.first(),
            Pick::Whole => found.first().filter(|found| {
                found.place.start == 0 && matches!(&plain[found.place.end..], "" | ".")
            }),
        };
        let Some(found) = picked else {
            return Err(Miss::malformed(format!("no number: {}", quoted(text.trim()))));
        };
        let allowed = self.tolerance.max(self.relative * self.value.abs());
        if (found.value - self.value).abs() <= allowed {
            return Ok(());
        }
        let near = if allowed > 0.0 { format!(" (± {allowed})") } else { String::new() };
        Err(Miss::Wrong(format!("{} is not {}{near}", found.value, self.value)))
    }
}

/// A number in a text.
struct Found {
    value: f64,
    /// Where it stands, with its sign, currency and per cent sign.
    place: Range<usize>,
}

/// The text with full-width forms and the minus sign of typesetters as ASCII.
fn plain(text: &str) -> String {
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '−' => '-',
        _ => c,
    };
    text.chars().map(narrow).collect()
}

/// All numbers of a text, in order. Digits within a word, as in `CO2`, are no number.
fn numbers(text: &str) -> Vec<Found> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:([0-9]+(?:,[0-9]+)*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
            .expect("a constant")
    });
    let mut found = Vec::new();
    for captures in NUMBER.captures_iter(text) {
        let all = captures.get_match();
        let before = text[..all.start()].chars().next_back();
        let within = before.is_some_and(|c| c.is_alphabetic() || c == '_')
            || (all.as_str().starts_with('.') && before.is_some_and(|c| c.is_ascii_digit()));
        if within {
            continue;
        }
        let (start, negative) = sign(text, all.start());
        for mut one in parts(all, captures.get(1).map_or("", |digits| digits.as_str())) {
            if one.place.start == all.start() {
                one.place.start = start;
                one.value = if negative { -one.value } else { one.value };
            }
            one.place.end += usize::from(text[one.place.end..].starts_with('%'));
            found.push(one);
        }
    }
    found.retain(|one| one.value.is_finite());
    found
}

/// A match as one number, if its commas stand where they group thousands; else as those between the
/// commas.
fn parts(all: Match<'_>, digits: &str) -> Vec<Found> {
    let value = |text: &str| text.replace(',', "").parse().unwrap_or(f64::NAN);
    let mut groups = digits.split(',');
    let thousands =
        groups.next().is_some_and(|first| first.len() <= 3) && groups.all(|group| group.len() == 3);
    if thousands || !digits.contains(',') {
        return vec![Found { value: value(all.as_str()), place: all.range() }];
    }
    let mut start = all.start();
    let pieces = all.as_str().split(',').map(|piece| {
        let place = start..start + piece.len();
        start = place.end + 1;
        Found { value: value(piece), place }
    });
    pieces.collect()
}

/// Where a number starts with its sign and currency, in either order, and whether it is negative. A
/// hyphen after a letter or a digit is none: `10-5` holds 10 and 5.
fn sign(text: &str, start: usize) -> (usize, bool) {
    const CURRENCIES: [char; 4] = ['$', '€', '£', '¥'];
    let money = |text: &'_ str| text.strip_suffix(CURRENCIES).map_or(text.len(), str::len);
    let before = &text[..money(&text[..start])];
    let Some(unsigned) = before.strip_suffix(['-', '+']) else { return (before.len(), false) };
    let outer = &unsigned[..money(unsigned)];
    if outer.ends_with(char::is_alphanumeric) {
        return (before.len(), false);
    }
    (outer.len(), before.ends_with('-'))
}
