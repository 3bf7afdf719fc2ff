//! Owns the graders of plain text: exact, normalized, and by a pattern.

use super::{Miss, quoted, reading};
use regex::Regex;
use serde::Deserialize;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;

/// Compares texts without the white space at their ends.
pub(super) fn exact(expected: &str, text: &str) -> Result<(), Miss> {
    let (text, expected) = (text.trim(), expected.trim());
    if text == expected {
        return Ok(());
    }
    Err(Miss::Wrong(format!("{} is not {}", quoted(text), quoted(expected))))
}

/// Texts that each count, compared after `normalize`: `"Oslo"` or `["Oslo", "Oslo, Norway"]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "OneOrMore")]
pub struct Alternatives {
    texts: Vec<String>,
    normalized: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl TryFrom<OneOrMore> for Alternatives {
    type Error = String;

    fn try_from(written: OneOrMore) -> Result<Alternatives, String> {
        let texts = match written {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        };
        let normalized: Vec<String> = texts.iter().map(|text| normalize(text)).collect();
        if texts.is_empty() {
            return Err("the list of texts is empty".to_string());
        }
        // A grader that takes an empty answer for "A" would be worse than none.
        match normalized.iter().position(String::is_empty) {
            Some(at) => Err(format!(
                "nothing is left of {} when it is normalized; use `exact` or `regex`",
                quoted(&texts[at])
            )),
            None => Ok(Alternatives { texts, normalized }),
        }
    }
}

impl Alternatives {
    /// Whether one of them holds a mark of reasoning.
    pub(super) fn names_reasoning(&self) -> bool {
        self.texts.iter().any(|text| reading::names_reasoning(text))
    }

    /// Whether the text is one of these, normalized.
    pub(super) fn check(&self, text: &str) -> Result<(), Miss> {
        if self.normalized.contains(&normalize(text)) {
            return Ok(());
        }
        let expected: Vec<String> = self.texts.iter().map(|text| quoted(text)).collect();
        let found = quoted(text.trim());
        Err(Miss::Wrong(format!("{found} is none of {}", expected.join(", "))))
    }
}

/// The normal form of SQuAD's evaluation, after NFKC: lower case, without ASCII punctuation, without
/// the words a, an and the, and with single spaces.
pub(super) fn normalize(text: &str) -> String {
    static ARTICLES: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b(a|an|the)\b").expect("a constant"));
    let lower = text.nfkc().collect::<String>().to_lowercase();
    let bare: String = lower.chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let words = ARTICLES.replace_all(&bare, " ");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A pattern that must match the whole answer, in time linear in its length.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern {
    written: String,
    whole: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.written == other.written
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(written: String) -> Result<Pattern, String> {
        if written.trim().is_empty() {
            return Err(
                "the pattern is empty, and an empty answer is a failure: none is right".into()
            );
        }
        // First by itself: `a)(b` is a pattern only with brackets around it.
        // With `(?x)` a comment reaches to the line's end, and hides the bracket unless that stands on the next line;
        // without, a line's end would have to be in the answer.
        let compiled = Regex::new(&written).and_then(|_| {
            let whole = Regex::new(&format!(r"\A(?:{written})\z"));
            whole.or_else(|error| Regex::new(&format!("\\A(?:{written}\n)\\z")).map_err(|_| error))
        });
        match compiled {
            Ok(whole) => Ok(Pattern { written, whole }),
            Err(error) => {
                let error = error.to_string();
                let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                Err(format!("no pattern: {}: {why}", quoted(&written)))
            }
        }
    }
}

impl Pattern {
    /// Whether it holds a mark of reasoning.
    pub(super) fn names_reasoning(&self) -> bool {
        reading::names_reasoning(&self.written)
    }

    /// Whether the text without the white space at its ends matches.
    pub(super) fn check(&self, text: &str) -> Result<(), Miss> {
        let text = text.trim();
        if self.whole.is_match(text) {
            return Ok(());
        }
        let pattern = quoted(&self.written);
        Err(Miss::Wrong(format!("{} does not match {pattern}", quoted(text))))
    }
}
