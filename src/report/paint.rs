//! Owns the colours of a terminal, the same for every command. A colour only repeats what a word says.

use crate::record::VerdictKind;
use crate::verdict::Outcome;

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// To be looked at.
    Open,
    /// Broken.
    Bad,
    /// The title of what follows.
    Title,
}

impl Tone {
    /// That of a verdict.
    pub fn of_verdict(verdict: VerdictKind) -> Tone {
        match verdict {
            kind if kind.holds() => Tone::Good,
            VerdictKind::Regressed | VerdictKind::Invalid => Tone::Bad,
            _ => Tone::Open,
        }
    }

    /// That of a headline.
    pub fn of_outcome(outcome: Option<Outcome>) -> Tone {
        match outcome {
            Some(Outcome::Holds) => Tone::Good,
            Some(Outcome::Regressed | Outcome::Invalid) => Tone::Bad,
            Some(Outcome::Waived | Outcome::Blocked | Outcome::Undecided) => Tone::Open,
            None => Tone::Title,
        }
    }

    /// The parameters of the escape sequence that selects it (ECMA-48, SGR).
    fn parameters(self) -> &'static str {
        match self {
            Tone::Good => "32",
            Tone::Open => "33",
            Tone::Bad => "1;31",
            Tone::Title => "1",
        }
    }
}

/// The text in a tone, or as it is where no colours are wanted.
pub fn paint(text: &str, tone: Tone, color: bool) -> String {
    match color {
        true => format!("\u{1b}[{}m{text}\u{1b}[0m", tone.parameters()),
        false => text.to_string(),
    }
}

/// The same for the beginning of a text, up to the first colon: `PASS`, `warning`.
pub(super) fn paint_first(text: &str, tone: Tone, color: bool) -> String {
    match text.split_once(':') {
        Some((first, rest)) => format!("{}:{rest}", paint(first, tone, color)),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_nothing_is_added() {
        assert_eq!(paint("a", Tone::Bad, false), "a");
        assert_eq!(paint("a", Tone::Bad, true), "\u{1b}[1;31ma\u{1b}[0m");
        let painted = paint_first("PASS: all: hold", Tone::Good, true);
        assert_eq!(painted, "\u{1b}[32mPASS\u{1b}[0m: all: hold");
        assert_eq!(paint_first("no colon", Tone::Good, true), "no colon");
    }
}
