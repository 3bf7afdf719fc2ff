//! Owns the token: read from the environment, sent to GitHub, and shown to nobody else.

use crate::problem::{Problem, Result};
use std::ffi::OsString;
use std::fmt;

/// The variables that may hold it, the first that is set counts.
const VARIABLES: [&str; 2] = ["GITHUB_TOKEN", "GH_TOKEN"];

/// What stands in its place wherever it would be shown.
const HIDDEN: &str = "***";

/// A token for GitHub's API, which no output may show.
#[derive(Clone)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({HIDDEN})")
    }
}

impl Token {
    /// The token of the environment, `variable` being how a variable is read.
    ///
    /// # Errors
    /// If there is none, or it is none that could be sent.
    pub fn of_environment(variable: impl Fn(&str) -> Option<OsString>) -> Result<Token> {
        let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
        let Some((name, value)) = VARIABLES.iter().find_map(|name| Some((*name, set(name)?)))
        else {
            return Err(Problem::new("there is no token for GitHub").help(
                "set GITHUB_TOKEN; in a workflow `env: GITHUB_TOKEN: ${{ github.token }}` at this step, or \
                 see with --dry-run what would be said",
            ));
        };
        Token::new(value.to_str().unwrap_or_default()).map_err(|problem| problem.of(name))
    }

    /// A token as it is written.
    ///
    /// # Errors
    /// If it holds what no header may; the error does not show it.
    pub fn new(text: &str) -> Result<Token> {
        // A line's end would let a token say more to the server than that it is one.
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Problem::new(
                "it holds a character that no token has, such as a line's end",
            )
            .help("store the token anew, without spaces or a line's end around it"));
        }
        Ok(Token(text.to_string()))
    }

    /// The value of the header `Authorization`.
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// A text without the token.
    pub fn scrub(&self, text: &str) -> String {
        text.replace(&self.0, HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_never_shown() {
        let token = Token::new("ghs_secret").unwrap();
        assert_eq!(format!("{token:?} {:#?}", Some(&token)).matches("secret").count(), 0);
        assert_eq!(token.scrub("no ghs_secret here: ghs_secret"), "no *** here: ***");
        for broken in ["ghs_secret\n", "ghs secret", "ghs_sécret", "\u{7}secret"] {
            let problem = Token::new(broken).unwrap_err().to_string();
            assert!(!problem.contains("cret"), "{problem}");
        }
    }

    #[test]
    fn the_first_that_is_set_counts() {
        let from = |set: &'static [(&str, &str)]| {
            Token::of_environment(move |name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            })
        };
        let both = from(&[("GITHUB_TOKEN", "one"), ("GH_TOKEN", "two")]).unwrap();
        assert_eq!(both.header(), "Bearer one");
        let other = from(&[("GITHUB_TOKEN", ""), ("GH_TOKEN", "two")]).unwrap();
        assert_eq!(other.header(), "Bearer two");
        assert!(from(&[]).unwrap_err().to_string().contains("GITHUB_TOKEN"));
        assert!(from(&[("GH_TOKEN", "two\n")]).unwrap_err().what.starts_with("GH_TOKEN: "));
    }
}
