//! Owns the grader of numbers, and which number of an answer is meant.

use super::{Miss, quoted};
use regex::Regex;
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
        let number = found.value.map_err(|why| {
            let number = quoted(&plain[found.place.clone()]);
            Miss::malformed(format!("{number} is not read: {why}"))
        })?;
        let allowed = self.tolerance.max(self.relative * self.value.abs());
        let is_near = |number: f64| (number - self.value).abs() <= allowed;
        if found.or.is_some_and(|other| is_near(other) != is_near(number)) {
            let token = quoted(&plain[found.place.clone()]);
            let what = format!("{token} is not read: its comma stands for a point or between two");
            return Err(Miss::malformed(what));
        }
        if is_near(number) {
            return Ok(());
        }
        let near = if allowed > 0.0 { format!(" (± {allowed})") } else { String::new() };
        Err(Miss::Wrong(format!("{number} is not {}{near}", self.value)))
    }
}

/// A number in a text, or what may be one and has more than one meaning: then why.
#[derive(Debug)]
struct Found {
    value: Result<f64, &'static str>,
    /// What it is if the one comma before or behind it stands for a point: `1,5` is 1 and 5, or 1.5.
    or: Option<f64>,
    /// Where it stands, with its sign, currency and per cent sign.
    place: Range<usize>,
}

/// A space that groups digits and is no space between words.
const NARROW: char = '\u{202f}';

/// The text with full-width forms and hyphens of typesetters as ASCII, and what LaTeX and typesetters put between
/// groups of digits as one kind of it.
fn plain(text: &str) -> String {
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '−' | '‐' | '‑' | '‒' | '–' | '﹣' => '-',
        '\u{a0}' | '\u{2007}' | '\u{2008}' | '\u{2009}' | '\u{200a}' => NARROW,
        '’' | 'ʼ' => '\'',
        _ => c,
    };
    let text = text.replace("{,}", ",").replace("\\,", "\u{202f}");
    text.chars().map(narrow).collect()
}

/// All numbers of a text, in order. Digits within a word, as in `CO2`, are no number.
fn numbers(text: &str) -> Vec<Found> {
    static RUN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|(?:\.[0-9]+|[0-9]+(?:[.,'_ \x{202f}][0-9]+)*\.?)(?:[eE][+-]?[0-9]+)?",
        )
        .expect("a constant")
    });
    let mut found: Vec<Found> = Vec::new();
    for run in RUN.find_iter(text) {
        if within_word(text, run.start()) {
            continue;
        }
        let after = &text[run.end()..];
        let mut parts = match radix(run.as_str()) {
            Some(_) if after.starts_with(char::is_alphanumeric) => {
                vec![(Err("letters follow"), run.range())]
            }
            Some(value) => vec![(value, run.range())],
            None => read(run.as_str(), run.start()),
        };
        if let (Some(last), Some(why)) = (parts.last_mut(), followed(after)) {
            last.0 = Err(why);
        }
        if let (Some(last), Some(factor)) = (parts.last_mut(), factor(after)) {
            last.0 = last.0.map(|value| value * factor);
        }
        if power(text, &run.range()) {
            for part in &mut parts {
                part.0 = Err("a part of a power");
            }
        }
        // What is not read is shown whole.
        let or = match &mut parts[..] {
            [_, last] => decimal_comma(run.as_str()).inspect(|_| last.1.start = run.start()),
            _ => None,
        };
        let or = or.map(|value| value * factor(after).unwrap_or(1.0));
        let (start, sign) = sign(text, run.start());
        let or = or.map(|value| if matches!(sign, Sign::Minus) { -value } else { value });
        for (at, (value, mut place)) in parts.into_iter().enumerate() {
            let value = match (at, sign) {
                (0, Sign::Minus) => value.map(|value| -value),
                (0, Sign::Unclear(why)) => Err(why),
                _ => value,
            };
            place.start = if at == 0 { start } else { place.start };
            place.end += usize::from(text[place.end..].starts_with('%'));
            found.push(Found { value, or, place });
        }
    }
    // What is too large for a double is no number that could be compared.
    found.retain(|one| one.value.map_or(true, f64::is_finite));
    if let [only] = &mut found[..]
        && in_accounts(text, &only.place)
    {
        only.value = Err("an amount in brackets is below 0 in accounts only");
    }
    found
}

/// The value of digits with one comma, if that may stand for a point, as in most of Europe. Two numbers of equally many
/// digits, two or more, such as `41,42`, are a list.
fn decimal_comma(run: &str) -> Option<f64> {
    let (before, after) = run.split_once(',')?;
    let digits = after.split(['e', 'E']).next().unwrap_or(after).trim_end_matches('.');
    let alike = before.len() == after.len() && after.len() > 1;
    let value = run.strip_suffix('.').unwrap_or(run).replacen(',', ".", 1);
    (is_digits(before) && is_digits(digits) && !alike).then(|| value.parse().ok())?
}

/// Whether digits are the base or the exponent of a power, `10^3`, `10**3` and `10^{-3}`, or are multiplied by one,
/// `1.5×10^3`. `90^\circ` and `5^{th}` are none.
fn power(text: &str, place: &Range<usize>) -> bool {
    static BASE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?: ?\^ ?[{(]? ?[-+]?(?:[0-9]|[a-zA-Z](?:[^a-zA-Z]|$))|\*\*[-+]?[0-9]| \*\* [-+]?[0-9])")
            .expect("a constant")
    });
    static TIMES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^ ?(?:[×xX*·⋅]|\\times|\\cdot) ?10 ?(?:\^|\*\*|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻])")
            .expect("a constant")
    });
    static EXPONENT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?:\^ ?[{(]? ?)[-+]?$").expect("a constant"));
    static STARS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[a-zA-Z0-9)\]}](?:\*\*| \*\* )[-+]?$").expect("a constant"));
    let (before, after) = (tail(&text[..place.start]), &text[place.end..]);
    // Stars on both sides are bold.
    let stars = STARS.is_match(before) && !after.starts_with("**");
    BASE.is_match(after) || TIMES.is_match(after) || EXPONENT.is_match(before) || stars
}

/// The last characters of a text, more than any mark has.
fn tail(text: &str) -> &str {
    text.char_indices().nth_back(15).map_or(text, |(at, _)| &text[at..])
}

/// Whether the digits at a place are a word's: after a letter, or after `_` behind one. `_42_` is 42 in italics.
fn within_word(text: &str, start: usize) -> bool {
    let before = text[..start].trim_end_matches('_');
    let word = before.ends_with(char::is_alphabetic);
    word || (before.len() < start && before.ends_with(|c: char| c.is_ascii_digit()))
}

/// The value of a number with a base before it, such as `0x2A`; `None` if it has none.
fn radix(text: &str) -> Option<Result<f64, &'static str>> {
    let base = match text.get(..2)? {
        "0x" | "0X" => 16,
        "0b" | "0B" => 2,
        "0o" | "0O" => 8,
        _ => return None,
    };
    Some(u64::from_str_radix(&text[2..], base).map(|value| value as f64).map_err(|_| "too large"))
}

type Part = (Result<f64, &'static str>, Range<usize>);

/// The numbers in a run of digits with marks between them, which begins at a place of the text.
fn read(run: &str, start: usize) -> Vec<Part> {
    let pieces: Vec<&str> = run.split([' ', NARROW]).collect();
    let threes = |piece: &&str| piece.len() == 3 && is_digits(piece);
    if let [first, middle @ .., last] = &pieces[..]
        && (1..=3).contains(&first.len())
        && is_digits(first)
        && middle.iter().all(threes)
        && threes(&last.split(['.', 'e', 'E']).next().unwrap_or(last))
    {
        let bare: String = pieces.concat();
        return vec![(decimal(&bare), start..start + run.len())];
    }
    if let [first, middle @ .., last] = &pieces[..]
        && (1..=3).contains(&first.len())
        && is_digits(first)
        && middle.iter().all(threes)
        && last.split_once(',').is_some_and(|(three, rest)| threes(&three) && is_digits(rest))
    {
        return vec![(Err("a comma behind groups"), start..start + run.len())];
    }
    let mut at = start;
    let mut parts = Vec::new();
    for (piece, length) in pieces.iter().zip(run.split_inclusive([' ', NARROW]).map(str::len)) {
        parts.extend(piece_of(piece, at));
        at += length;
    }
    parts
}

/// The numbers in digits with commas, points and the like between them.
fn piece_of(piece: &str, start: usize) -> Vec<Part> {
    let all = start..start + piece.len();
    let digits = piece.split(['e', 'E']).next().unwrap_or(piece).trim_end_matches('.');
    let (whole, _) = digits.split_once('.').unwrap_or((digits, ""));
    let one = |value: Result<f64, &'static str>| vec![(value, all.clone())];
    for mark in [',', '\'', '_'] {
        let mut groups = whole.split(mark);
        let first = groups.next().unwrap_or_default();
        let grouped = (1..=3).contains(&first.len())
            && is_digits(first)
            && groups.clone().count() > 0
            && groups.all(|group| group.len() == 3 && is_digits(group));
        if grouped && digits.matches('.').count() <= 1 && !digits[whole.len()..].contains(mark) {
            return one(decimal(&piece.replace(mark, "")));
        }
    }
    if digits.contains(['\'', '_']) {
        return one(Err("marks that do not group thousands"));
    }
    let points = digits.matches('.').count();
    if !digits.contains(',') {
        return one(if points <= 1 { decimal(piece) } else { Err("several points") });
    }
    let european = digits.split_once(',').is_some_and(|(before, after)| {
        let mut groups = before.split('.');
        points > 0
            && groups.next().is_some_and(|first| first.len() <= 3)
            && before.contains('.')
            && groups.all(|group| group.len() == 3)
            && is_digits(after)
    });
    if european {
        return one(Err("a point before a comma"));
    }
    // A list.
    let mut at = start;
    let parts = piece.split(',').flat_map(|item| {
        let place = at..at + item.len();
        at = place.end + 1;
        let several = item.trim_end_matches('.').matches('.').count() > 1;
        [(if several { Err("several points") } else { decimal(item) }, place)]
    });
    parts.collect()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}

/// Digits with a point and an exponent at most.
fn decimal(text: &str) -> Result<f64, &'static str> {
    // A sentence may end behind it.
    text.strip_suffix('.').unwrap_or(text).parse().map_err(|_| "more than one meaning")
}

/// What right behind a number changes its value in a way that is not read.
fn followed(after: &str) -> Option<&'static str> {
    static MULTIPLE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^[ \x{202f}-]?(?:k|K|M|B|bn|Bn|mn|Mn|mio|Mio)(?:[^\p{Alphabetic}\d]|$)")
            .expect("a constant")
    });
    static WORD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"^[ \x{202f}-]?(?:(?i:lakh|lac|crore|cr|dozen|mrd|milliard)s?\b|[万萬亿億千百])",
        )
        .expect("a constant")
    });
    let next = after.chars().next()?;
    if MULTIPLE.is_match(after) {
        return Some("thousands or millions as a letter");
    }
    if WORD.is_match(after) {
        return Some("a word that multiplies");
    }
    if !next.is_ascii() && next.is_numeric() {
        return Some("a power or a fraction follows");
    }
    let ends = after[next.len_utf8()..].chars().next().is_none_or(char::is_whitespace);
    (next == '-' && ends).then_some("a minus sign behind it")
}

/// What a word behind a number multiplies it by.
fn factor(after: &str) -> Option<f64> {
    static WORD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)^[ \x{202f}-]?(hundred|thousand|million|billion|trillion)s?\b")
            .expect("a constant")
    });
    Some(match WORD.captures(after)?[1].to_ascii_lowercase().as_str() {
        "hundred" => 1e2,
        "thousand" => 1e3,
        "million" => 1e6,
        "billion" => 1e9,
        _ => 1e12,
    })
}

/// What stands before a number.
#[derive(Debug, Clone, Copy)]
enum Sign {
    Plus,
    Minus,
    Unclear(&'static str),
}

/// Where a number starts with its sign and currency, in either order, and its sign. A hyphen after a letter or a digit
/// is none: `10-5` holds 10 and 5.
fn sign(text: &str, start: usize) -> (usize, Sign) {
    static MONEY: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\\?\p{Sc}[ \x{202f}]?$").expect("a constant"));
    static APART: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"[=(:≈]\s*-[ \x{202f}]$").expect("a constant"));
    let money = |text: &'_ str| MONEY.find(text).map_or(text.len(), |found| found.start());
    let before = &text[..money(&text[..start])];
    if before.ends_with('±') {
        return (before.len(), Sign::Unclear("either sign"));
    }
    if let Some(apart) = APART.find(before) {
        // `x = - 5`; a line that begins with a hyphen is an item of a list.
        return (apart.end() - 2, Sign::Minus);
    }
    let Some(unsigned) = before.strip_suffix(['-', '+']) else { return (before.len(), Sign::Plus) };
    let outer = &unsigned[..money(unsigned)];
    if outer.ends_with(char::is_alphanumeric) {
        return (before.len(), Sign::Plus);
    }
    (outer.len(), if before.ends_with('-') { Sign::Minus } else { Sign::Plus })
}

/// Whether an answer is an amount of money in brackets, `(₹42)` or `$(42)`, which is below 0 in accounts and a remark
/// elsewhere. Brackets around a plain number are brackets.
fn in_accounts(text: &str, place: &Range<usize>) -> bool {
    static ACCOUNTS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:\\?\p{Sc}\s*\([^()]*\)|\(\\?\p{Sc}[^()]*\))\.?$").expect("a constant")
    });
    place.start <= 3 && ACCOUNTS.is_match(text)
}
