//! Owns the grader of multiple choice by the likelihood of each choice as a continuation.

use super::{Miss, Outcome, quoted};
use crate::record::FailureClass;
use serde::Deserialize;

/// A multiple choice: `{"choices": ["red", "blue"], "gold": 1}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Choice {
    /// The choices, two or more.
    pub choices: Vec<String>,
    /// The position of the right one, from 0.
    pub gold: usize,
    /// What the log likelihoods are divided by.
    pub normalize: Normalize,
    /// What stands between the prompt and a choice.
    pub delimiter: String,
}

/// What the log likelihood of a choice is divided by, so that long choices have a chance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// Nothing: `acc` of lm-evaluation-harness.
    #[default]
    None,
    /// The number of characters of the choice without the delimiter: its `acc_norm`.
    Characters,
    /// The number of bytes of the choice in UTF-8 without the delimiter: its `acc_bytes`.
    Bytes,
    /// The number of tokens of the continuation.
    Tokens,
}

/// What an engine says of one choice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChoiceScore {
    /// The sum of the natural logarithms of its tokens' probabilities.
    pub log_likelihood: f64,
    /// Its tokens.
    pub tokens: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    choices: Vec<String>,
    gold: usize,
    #[serde(default)]
    normalize: Normalize,
    #[serde(default = "space")]
    delimiter: String,
}

fn space() -> String {
    " ".to_string()
}

impl TryFrom<Fields> for Choice {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Choice, String> {
        let Fields { choices, gold, normalize, delimiter } = fields;
        let choice = Choice { choices, gold, normalize, delimiter }.checked()?;
        match choice.choices.iter().position(|one| *one == choice.choices[gold]) {
            Some(first) if first < gold => Err(format!(
                "`gold` is choice {gold}, {}, which stands as choice {first} too: of equal ones the first counts, so \
                 no answer is right",
                quoted(&choice.choices[gold])
            )),
            _ => Ok(choice),
        }
    }
}

impl Choice {
    /// A multiple choice as datasets have it: not normalized, a space before each choice. Published ones hold a few with
    /// equal choices, which nobody gets right; they are kept, so that figures are those of others.
    ///
    /// # Errors
    /// If there are fewer than two choices, one is empty or none is the right one.
    pub fn new(choices: Vec<String>, gold: usize) -> Result<Choice, String> {
        Choice { choices, gold, normalize: Normalize::None, delimiter: space() }.checked()
    }

    fn checked(self) -> Result<Choice, String> {
        let count = self.choices.len();
        match () {
            () if count < 2 => Err(format!("{count} choices, and two are the least")),
            () if self.choices.iter().any(String::is_empty) => Err("a choice is empty".to_string()),
            () if self.gold >= count => Err(format!(
                "`gold` is {}, and the last of the choices is {}",
                self.gold,
                count - 1
            )),
            () => Ok(self),
        }
    }

    /// What is appended to the prompt for each choice.
    pub fn continuations(&self) -> impl Iterator<Item = String> + '_ {
        self.choices.iter().map(|choice| format!("{}{choice}", self.delimiter))
    }

    /// The log likelihoods, normalized.
    fn values(&self, scores: &[ChoiceScore]) -> Vec<f64> {
        let both = self.choices.iter().zip(scores);
        both.map(|(text, score)| score.log_likelihood / self.divisor(text, score)).collect()
    }

    /// What the log likelihood of a choice is divided by.
    fn divisor(&self, choice: &str, score: &ChoiceScore) -> f64 {
        match self.normalize {
            Normalize::None => 1.0,
            Normalize::Characters => choice.chars().count() as f64,
            Normalize::Bytes => choice.len() as f64,
            Normalize::Tokens => f64::from(score.tokens),
        }
    }
}

/// The most likely choice, of equal ones the first; `None` if one of them is no number.
pub fn most_likely(choice: &Choice, scores: &[ChoiceScore]) -> Option<usize> {
    let values = choice.values(scores);
    values.iter().all(|value| value.is_finite()).then(|| largest(&values))
}

/// The place of the largest value, of equal ones the first.
fn largest(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, at| if values[at] > values[best] { at } else { best })
}

/// Grades a multiple choice: the most likely choice counts, of equal ones the first.
pub fn grade_choice(choice: &Choice, scores: &[ChoiceScore]) -> Outcome {
    if scores.len() != choice.choices.len() {
        let what = format!("{} scores for {} choices", scores.len(), choice.choices.len());
        return Err(Miss::Failed(FailureClass::Error, what)).into();
    }
    let values = choice.values(scores);
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        let what = format!("the log likelihood of {} is no number", quoted(&choice.choices[at]));
        return Err(Miss::Failed(FailureClass::NonFinite, what)).into();
    }
    let best = largest(&values);
    if best == choice.gold {
        return Ok(()).into();
    }
    let (found, right) = (quoted(&choice.choices[best]), quoted(&choice.choices[choice.gold]));
    let (most, less) = (values[best], values[choice.gold]);
    let what = match most > less {
        true => format!("{found} ({most:.4}) is more likely than {right} ({less:.4})"),
        false => format!("{found} is as likely as {right} ({less:.4}), and stands first"),
    };
    Err(Miss::Wrong(what)).into()
}
