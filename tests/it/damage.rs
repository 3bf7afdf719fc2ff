//! Owns the inputs of the property tests: arbitrary ones, and valid samples with damages of many kinds.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Numbers at the edges of what the formats hold, and some that are none.
const NUMBERS: [&str; 18] = [
    "0",
    "-1",
    "1",
    "2",
    "0.5",
    "-0.0",
    "1e308",
    "-1e308",
    "1e-320",
    "1e999",
    "NaN",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "0x10",
];

/// Texts that a careless reader trips over.
const TEXTS: [&str; 20] = [
    "",
    " ",
    "\u{0}\u{7}\u{1b}[31m",
    "<script>alert(1)</script>",
    "a|b",
    "two\nlines\r\n",
    "\u{200b}\u{feff}",
    "\u{202e}\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
    "éééééééééééééééééééé",
    "a💥💥💥💥💥💥💥💥",
    "e\u{301}\u{300}\u{302}",
    "../../../etc/passwd",
    "{} %s \\ ' \" ```",
    "</details>",
    "nan",
    "inf",
    "base",
    "other",
    "9999999999 years",
    "1970-01-01T00:00:00Z",
];

/// Pieces of the formats, for inputs made from nothing.
const PIECES: [&str; 40] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "=",
    "\n",
    "\r",
    ".",
    "#",
    "'",
    "\\",
    "\\u",
    "\"\"\"",
    "0",
    "1e9",
    "-",
    "null",
    "true",
    "\"format\":2",
    "\"id\":",
    "\"prompt\":",
    "\"record\":",
    "\"session\"",
    "\"reply\":",
    "\"command\":",
    "rules",
    "[rules]",
    "[workload]",
    "tasks",
    "[variants.a]",
    "engine",
    "latency",
    "\"5%\"",
    "\u{feff}",
    "é",
    "\u{0}",
    "\t",
];

/// An input as text, shown by its start where a property fails.
#[derive(Clone)]
pub struct Text(pub String);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Arbitrary bytes, pieces of the formats, and above all valid samples that were damaged.
pub fn inputs(samples: Vec<String>) -> impl Strategy<Value = Text> {
    let parsed = |text: &String| serde_json::from_str::<Value>(text).ok();
    let documents: Vec<Option<Value>> = samples.iter().map(parsed).collect();
    let step = (0..40u8, any::<u32>(), any::<u32>(), any::<u32>());
    let damaged = (any::<usize>(), vec(step, 1..4)).prop_map(move |(which, steps)| {
        let which = which % samples.len();
        let mut text = Cow::Borrowed(samples[which].as_str());
        // Changes to a document go on in it, which saves reading and writing it each time.
        let mut document = documents[which].clone();
        let mut changed = false;
        for (kind, a, b, c) in steps {
            let places = [a, b, c].map(|n| n as usize);
            if let (13.., Some(value)) = (kind, &mut document) {
                damage_value(value, kind, places);
                changed = true;
                continue;
            }
            if let Some(value) = document.take().filter(|_| changed) {
                text = Cow::Owned(value.to_string());
            }
            text = Cow::Owned(damage(&text, &samples, kind, places));
        }
        Text(match document.filter(|_| changed) {
            Some(value) => value.to_string(),
            None => text.into_owned(),
        })
    });
    let lossy = |bytes: Vec<u8>| Text(String::from_utf8_lossy(&bytes).into_owned());
    let pieces = vec(0..PIECES.len(), 0..40)
        .prop_map(|of| Text(of.into_iter().map(|index| PIECES[index]).collect()));
    prop_oneof![
        1 => vec(any::<u8>(), 0..200).prop_map(lossy),
        1 => pieces,
        14 => damaged,
    ]
}

/// One damage to a text; what cannot be done to it leaves it as it is.
fn damage(text: &str, samples: &[String], kind: u8, [a, b, c]: [usize; 3]) -> String {
    match kind {
        0..=4 => damage_bytes(text.as_bytes(), kind, a, b, c),
        5..=7 => damage_lines(text, kind, a, b),
        8 => {
            let other = samples[c % samples.len()].as_bytes();
            let bytes = text.as_bytes();
            let start = &bytes[..a % (bytes.len() + 1)];
            let end = &other[b % (other.len() + 1)..];
            String::from_utf8_lossy(&[start, end].concat()).into_owned()
        }
        9 | 10 => replace_number(text, a, NUMBERS[b % NUMBERS.len()]),
        11 => {
            let quoted = json!(hostile(b, c)).to_string();
            replace_string(text, a, &quoted)
        }
        // Names that stand elsewhere: what is valid by itself and fits to nothing.
        12 => match strings(text).get(b % strings(text).len().max(1)) {
            Some((start, end)) => replace_string(text, a, &text[*start..*end]),
            None => text.to_string(),
        },
        _ => damage_json(text, kind, [a, b, c]),
    }
}

fn hostile(which: usize, size: usize) -> String {
    match which % (TEXTS.len() + 1) {
        // Now and then longer than any table counts to.
        at if at == TEXTS.len() => {
            "x".repeat(if size.is_multiple_of(50) { 70_000 } else { size % 3000 })
        }
        at => TEXTS[at].to_string(),
    }
}

fn damage_bytes(bytes: &[u8], kind: u8, a: usize, b: usize, c: usize) -> String {
    let mut bytes = bytes.to_vec();
    let start = a % (bytes.len() + 1);
    let end = (start + b % 20).min(bytes.len());
    match kind {
        0 => drop(bytes.drain(start..end)),
        1 => {
            let copy = bytes[start..end].to_vec();
            bytes.splice(start..start, copy);
        }
        2 if !bytes.is_empty() => {
            let length = bytes.len();
            bytes.swap(start % length, b % length);
        }
        3 => {
            let piece =
                if c.is_multiple_of(2) { PIECES[b % PIECES.len()] } else { TEXTS[b % TEXTS.len()] };
            bytes.splice(start..start, piece.bytes());
        }
        _ => bytes.truncate(start),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn damage_lines(text: &str, kind: u8, a: usize, b: usize) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.is_empty() {
        return String::new();
    }
    let (a, b) = (a % lines.len(), b % lines.len());
    match kind {
        5 => drop(lines.remove(a)),
        6 => lines.insert(b, lines[a]),
        _ => lines.swap(a, b),
    }
    lines.concat()
}

/// Where numbers stand.
fn numbers(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = at + bytes[at..].iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
        if end > at {
            found.push((at, end));
        }
        at = end + 1;
    }
    found
}

/// Where strings stand, with their quotes.
fn strings(text: &str) -> Vec<(usize, usize)> {
    let quotes: Vec<usize> = text.match_indices('"').map(|(at, _)| at).collect();
    quotes.chunks_exact(2).map(|pair| (pair[0], pair[1] + 1)).collect()
}

fn replace_number(text: &str, which: usize, by: &str) -> String {
    replace(text, &numbers(text), which, by)
}

fn replace_string(text: &str, which: usize, by: &str) -> String {
    replace(text, &strings(text), which, by)
}

fn replace(text: &str, places: &[(usize, usize)], which: usize, by: &str) -> String {
    if places.is_empty() {
        return text.to_string();
    }
    let (start, end) = places[which % places.len()];
    format!("{}{by}{}", &text[..start], &text[end..])
}

/// Changes a value in one line of JSON Lines.
fn damage_json(text: &str, kind: u8, places: [usize; 3]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    let count = lines.len().max(1);
    if let Some(line) = lines.get_mut(places[2] % count)
        && let Ok(mut value) = serde_json::from_str::<Value>(line)
    {
        damage_value(&mut value, kind, places);
        *line = value.to_string();
    }
    lines.join("\n") + "\n"
}

fn damage_value(root: &mut Value, kind: u8, [a, b, c]: [usize; 3]) {
    // The likeliest is a value of the same type: it is read the furthest.
    let kind = if kind > 16 { 13 } else { kind };
    let count = size(root);
    let mut copy = Value::Null;
    if kind == 15 {
        at(root, &mut (c % count), &mut |value| copy = value.clone());
    }
    at(root, &mut (a % count), &mut |value| match (kind, &mut *value) {
        (13, value) => like(value, b, c),
        (14, Value::Object(map)) => {
            let key = map.keys().nth(b % map.len().max(1)).cloned();
            let gone = key.and_then(|key| map.remove(&key));
            if let (Some(gone), true) = (gone, c.is_multiple_of(2)) {
                map.insert(hostile(c / 2, c), gone);
            }
        }
        (15, _) => *value = copy.clone(),
        _ => {
            *value = match b % 9 {
                0 => Value::Null,
                1 => json!(true),
                2 => json!(-1),
                3 => json!(u64::MAX),
                4 => json!(1e308),
                5 => json!(hostile(c, c)),
                6 => json!([]),
                7 => json!({}),
                _ => json!([null]),
            };
        }
    });
}

/// Another value of the same type, which a parser may well accept.
fn like(value: &mut Value, b: usize, c: usize) {
    const COUNTS: [u64; 8] = [0, 1, 2, 3, 1 << 31, u32::MAX as u64, (1 << 53) + 1, u64::MAX];
    match value {
        Value::Number(number) if number.is_u64() && !c.is_multiple_of(8) => {
            *value = json!(COUNTS[b % COUNTS.len()]);
        }
        Value::Number(_) => {
            *value = serde_json::from_str(NUMBERS[b % NUMBERS.len()]).unwrap_or(Value::Null);
        }
        Value::String(text) => *text = hostile(b, c),
        Value::Bool(truth) => *truth = !*truth,
        Value::Array(list) if list.is_empty() || b.is_multiple_of(5) => list.clear(),
        Value::Array(list) => {
            let (from, to) = (b % list.len(), c % list.len());
            match c % 4 {
                0 => list.swap(from, to),
                1 => drop(list.remove(from)),
                2 => list.insert(to, list[from].clone()),
                _ => like(&mut list[from], c, b),
            }
        }
        Value::Object(map) => {
            let length = map.len().max(1);
            map.values_mut().nth(b % length).into_iter().for_each(|value| like(value, c, b));
        }
        Value::Null => {}
    }
}

/// How many values a value holds, itself among them.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(size).sum(),
        Value::Object(map) => map.values().map(size).sum(),
        _ => 0,
    }
}

/// Does something to the value at a place in the order of reading.
fn at(value: &mut Value, left: &mut usize, act: &mut dyn FnMut(&mut Value)) {
    if *left == 0 {
        act(value);
        *left = usize::MAX;
        return;
    }
    *left -= 1;
    let mut inside = |value: &mut Value| {
        at(value, left, act);
        *left == usize::MAX
    };
    let _ = match value {
        Value::Array(list) => list.iter_mut().any(&mut inside),
        Value::Object(map) => map.values_mut().any(&mut inside),
        _ => false,
    };
}
