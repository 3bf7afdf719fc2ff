//! Owns which of the stop strings an answer can hold: one that no answer of any variant can is a mistake, and one that is
//! written as special tokens are and is none may be a mistake.

use super::Vocabulary;
use super::vocabulary::Stop;
use crate::config::Variant;
use crate::problem::{Problem, Result};
use std::collections::BTreeMap;

/// The stop strings of all sets, held against the variants' vocabularies and prompts.
#[derive(Default)]
pub(super) struct Stops {
    /// By stop string and variant.
    seen: BTreeMap<String, BTreeMap<String, Seen>>,
}

/// What is known of a stop string for a variant.
struct Seen {
    stop: Stop,
    /// Whether a prompt holds it: then it is text, which a model may write too.
    in_prompts: bool,
    tokenizer: String,
}

impl Seen {
    fn is_met(&self) -> bool {
        self.in_prompts || !matches!(self.stop, Stop::Unknown | Stop::Around(_))
    }
}

impl Stops {
    /// Looks at the stop strings of a set, one of whose prompts is `prompt`.
    ///
    /// # Errors
    /// If one holds a special token and more, which no answer can.
    pub(super) fn look(
        &mut self,
        variant: &Variant,
        vocabulary: &Vocabulary,
        stops: &[String],
        prompt: &str,
    ) -> Result<()> {
        for stop in stops {
            let of_stop = self.seen.entry(stop.clone()).or_default();
            let seen = of_stop.entry(variant.name.clone()).or_insert_with(|| Seen {
                stop: vocabulary.can_stop(stop),
                in_prompts: false,
                tokenizer: variant.tokenizer.display().to_string(),
            });
            if let Stop::Around(token) = &seen.stop {
                let what = format!(
                    "the stop string {stop:?} holds the special token {token}, which no answer's text shows, and \
                     more: it can never be met"
                );
                return Err(Problem::in_file(&variant.tokenizer, what)
                    .help(format!("write the special token alone: stop = [\"{token}\"]")));
            }
            let in_doubt = matches!(seen.stop, Stop::Unknown | Stop::Doubtful);
            // A part of a special token, such as `<|im_end|`, is not text in a prompt that holds the token.
            if in_doubt && !seen.in_prompts && prompt.contains(stop.as_str()) {
                seen.in_prompts = vocabulary.without_special(prompt).contains(stop.as_str());
            }
        }
        Ok(())
    }

    /// Refuses a stop string that no variant's answers can hold.
    ///
    /// # Errors
    /// If there is one.
    pub(super) fn can_all_be_met(&self) -> Result<()> {
        let never = self.seen.iter().find(|(_, of_stop)| !of_stop.values().any(Seen::is_met));
        let Some((stop, of_stop)) = never else { return Ok(()) };
        let place = of_stop.values().next_back().map_or("", |seen| seen.tokenizer.as_str());
        Err(Problem::new(format!(
            "the stop string {stop:?} is written as special tokens are, and {place} has no such token: it can \
             never be met"
        ))
        .help("correct it under stop = [ … ] in [quality], or leave it out: answers end at the model's own ends"))
    }

    /// Sentences, by variant, about stop strings that may be meant as special tokens and are none.
    pub(super) fn doubts(&self) -> BTreeMap<String, Vec<String>> {
        let mut doubts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (stop, of_stop) in &self.seen {
            let in_doubt = |seen: &Seen| matches!(seen.stop, Stop::Unknown | Stop::Doubtful);
            for (variant, _) in of_stop.iter().filter(|(_, s)| in_doubt(s) && !s.in_prompts) {
                doubts.entry(variant.clone()).or_default().push(format!(
                    "the stop string {stop:?} is not a special token of its tokenizer and ends an answer only if the \
                     model writes it as text"
                ));
            }
        }
        doubts
    }
}
