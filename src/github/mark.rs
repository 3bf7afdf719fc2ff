//! Owns the marks of a comment: the first line, which says whose it is, and the second, which holds what it
//! tells for the next run. Neither is shown.

use crate::report::comment::{MOST, Told};
use serde::{Deserialize, Serialize};

/// Most bytes of a state; a longer one is none of perfgate's.
const MOST_STATE: usize = 16 << 10;
const MOST_RULES: usize = 1_000;
const MOST_RULE: usize = 300;
const STATE: &str = "<!-- perfgate-llm-state: ";
const END: &str = " -->";
const CUT: &str = "\n\n(cut: it was too long for a comment)\n";

/// Which comment of a pull request is meant, where there are several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id(String);

impl Id {
    /// An id of letters, digits, `.`, `_` and `-`, at most 64.
    ///
    /// # Errors
    /// If it is none: in words.
    pub fn new(text: &str) -> Result<Id, String> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        match (1..=64).contains(&text.len()) && text.bytes().all(known) {
            true => Ok(Id(text.to_string())),
            false => Err("an id has 1 to 64 letters, digits, '.', '_' and '-'".to_string()),
        }
    }

    /// The id of the gate with a configuration, by its path as seen from the repository's top: `default` for
    /// `perfgate.toml` there, as it always was; another path's own, so that two gates in one pull request have two
    /// comments.
    pub fn of_config(path: &str) -> Id {
        const KEPT: usize = 48;
        if path == "perfgate.toml" {
            return Id("default".to_string());
        }
        let known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let plain: String = path.chars().map(|c| if known(c) { c } else { '-' }).collect();
        let tail = &plain[plain.len().saturating_sub(KEPT)..];
        // Two paths may look alike with other letters left out, or cut.
        let sum = crate::hash::of_bytes(path.as_bytes());
        Id(format!("{tail}-{}", crate::hash::short(&sum, 8)))
    }

    fn line(&self) -> String {
        format!("<!-- perfgate-llm:{} -->", self.0)
    }

    /// Whether a comment begins with this id's mark; quoting it elsewhere doesn't count.
    pub fn marks(&self, body: &str) -> bool {
        body.lines().next().is_some_and(|line| line.trim_end() == self.line())
    }
}

/// A run of a workflow; a later one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Run {
    /// The run's number.
    pub id: u64,
    /// Its attempt, from 1.
    pub attempt: u64,
}

/// What a comment holds for the next run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// What it tells.
    #[serde(flatten)]
    pub told: Told,
    /// The run that was told of, where it is known.
    #[serde(default)]
    pub run: Option<Run>,
}

impl State {
    /// The state that a comment holds. A damaged one is none, and so is one that perfgate would not write:
    /// whoever may write in the repository can edit it.
    pub fn read(body: &str) -> Option<State> {
        let line = body.lines().nth(1)?;
        let json = line.trim_end().strip_prefix(STATE)?.strip_suffix(END)?;
        let state: State =
            (json.len() <= MOST_STATE).then(|| serde_json::from_str(json).ok())??;
        state.is_sound().then_some(state)
    }

    fn is_sound(&self) -> bool {
        let rule = |id: &String| id.len() <= MOST_RULE && !id.contains(char::is_control);
        let told = &self.told;
        told.broken.len() <= MOST_RULES
            && told.broken.iter().all(rule)
            && told.commit.as_deref().is_none_or(is_commit)
    }

    /// As JSON that can stand in an HTML comment: nothing in it can end one.
    fn written(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        // These characters stand within strings only, where JSON has another way to write them.
        let escaped = |c: char| match c {
            '-' | '<' | '>' | '&' => format!("\\u{:04x}", c as u32),
            other => other.to_string(),
        };
        json.chars().map(escaped).collect()
    }
}

/// Whether a text is a commit's id, or the beginning of one.
pub fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The two lines that a comment begins with. A state that is too large to be read again is left out.
pub fn head(id: &Id, state: &State) -> String {
    let json = state.written();
    match json.len() <= MOST_STATE && state.is_sound() {
        true => format!("{}\n{STATE}{json}{END}\n", id.line()),
        false => {
            let told = Told { broken: Vec::new(), ..state.told.clone() };
            let few = State { told: Told { commit: None, ..told }, run: state.run };
            format!("{}\n{STATE}{}{END}\n", id.line(), few.written())
        }
    }
}

/// Most bytes that a text may have below a head.
pub fn room(head: &str) -> usize {
    MOST.saturating_sub(head.len())
}

/// A comment of a head and a text, which is cut if it is too long for GitHub in spite of all.
pub fn joined(head: &str, text: &str) -> String {
    let text = text.trim_end();
    let most = room(head);
    if text.len() <= most {
        return format!("{head}{text}");
    }
    let mut end = most.saturating_sub(CUT.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{head}{}{}", &text[..end], CUT.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Outcome;
    use proptest::prelude::*;

    fn state(broken: &[&str]) -> State {
        let told = Told {
            outcome: Some(Outcome::Regressed),
            broken: broken.iter().map(|id| id.to_string()).collect(),
            commit: Some("0123456789abcdef".to_string()),
        };
        State { told, run: Some(Run { id: 7, attempt: 2 }) }
    }

    fn id() -> Id {
        Id::new("default").unwrap()
    }

    #[test]
    fn each_configuration_has_an_id_of_its_own() {
        assert_eq!(Id::of_config("perfgate.toml"), Id::new("default").unwrap());
        let long = format!("{}/perfgate.toml", "ein-größerer Ordner/".repeat(20));
        let paths = [
            "red/perfgate.toml",
            "green/perfgate.toml",
            "red-perfgate.toml",
            "gate.toml",
            &long,
            "",
            "ü",
        ];
        let ids: Vec<Id> = paths.iter().map(|path| Id::of_config(path)).collect();
        for (index, id) in ids.iter().enumerate() {
            assert_eq!(Id::new(&id.0).as_ref(), Ok(id), "it is one that can be written");
            assert!(!ids[..index].contains(id), "{id:?}");
        }
        assert!(ids[0].0.starts_with("red-perfgate.toml-"), "{:?}", ids[0]);
    }

    #[test]
    fn a_state_is_read_as_it_was_written_and_closes_no_comment() {
        for hostile in ["latency", "a-->b", "<!-- -->", "--!>", "\"}\\", "é\u{2028}@x"] {
            let state = state(&[hostile, "throughput"]);
            let body = joined(&head(&id(), &state), "text");
            assert_eq!(State::read(&body).as_ref(), Some(&state), "{body}");
            assert!(id().marks(&body));
            let second = body.lines().nth(1).unwrap();
            assert_eq!(second.matches("--").count(), 2, "{second}");
            assert_eq!(second.matches(['<', '>']).count(), 2, "{second}");
        }
    }

    #[test]
    fn a_state_that_perfgate_would_not_write_is_none() {
        let body = |line: &str| format!("<!-- perfgate-llm:default -->\n{line}\n");
        for line in [
            "",
            "<!-- perfgate-llm-state: {} ",
            "<!-- perfgate-llm-state: {\"outcome\":\"holds\" -->",
            "<!-- perfgate-llm-state: {\"outcome\":\"wonderful\"} -->",
            "<!-- perfgate-llm-state: {\"outcome\":null,\"commit\":\"[x](http://y)\"} -->",
            "<!-- perfgate-llm-state: {\"outcome\":null,\"broken\":[\"a\\nb\"]} -->",
            "<!-- perfgate-llm-state: {\"outcome\":null,\"run\":{\"id\":-1,\"attempt\":1}} -->",
        ] {
            assert_eq!(State::read(&body(line)), None, "{line}");
        }
        let deep = format!("{STATE}{}{END}", "[".repeat(MOST_STATE - 1));
        assert_eq!(State::read(&body(&deep)), None);
        let long =
            format!("{STATE}{{\"outcome\":null,\"broken\":[\"{}\"]}}{END}", "x".repeat(MOST));
        assert_eq!(State::read(&body(&long)), None);
    }

    #[test]
    fn a_state_too_large_keeps_what_orders_runs() {
        let names: Vec<String> = (0..5000).map(|n| format!("rule-{n}")).collect();
        let large = state(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let read = State::read(&head(&id(), &large)).unwrap();
        assert_eq!(read.run, large.run);
        assert_eq!(read.told.outcome, large.told.outcome);
        assert_eq!(read.told.broken, Vec::<String>::new());
    }

    #[test]
    fn only_the_first_line_marks() {
        let line = "<!-- perfgate-llm:default -->";
        assert!(id().marks(&format!("{line}\r\nx")));
        for other in [
            format!("> {line}\n"),
            format!("x\n{line}"),
            format!(" {line}"),
            "<!-- perfgate-llm:default2 -->".to_string(),
            String::new(),
        ] {
            assert!(!id().marks(&other), "{other}");
        }
        for bad in ["", "a b", "a-->", "a\n", "é", &"x".repeat(65)] {
            assert!(Id::new(bad).is_err(), "{bad}");
        }
        assert!(Id::new("int8_v1.2-x").is_ok());
    }

    proptest! {
        #[test]
        fn a_comment_is_never_too_long(text in ".{0,40}", times in 0usize..4000) {
            let head = head(&id(), &state(&["latency"]));
            let text = text.repeat(times);
            let body = joined(&head, &text);
            prop_assert!(body.len() <= MOST);
            prop_assert!(body.starts_with(&head));
            if text.len() <= room(&head) {
                prop_assert_eq!(&body[head.len()..], text.trim_end());
            }
        }

        #[test]
        fn reading_never_fails(body in "(?s).{0,300}", json in "[-{}\":,a-z0-9\\\\\\[\\]<>!]{0,80}") {
            State::read(&body);
            if let Some(state) = State::read(&format!("x\n{STATE}{json}{END}")) {
                prop_assert!(state.is_sound());
            }
        }
    }
}
