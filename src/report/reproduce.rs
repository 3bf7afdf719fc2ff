//! Owns the commands that measure again what a report is of.

use crate::record::Results;

/// Checks the commit out and asks the same; nothing where it is not known what was asked, or of which commit.
pub(super) fn commands(results: &Results) -> Vec<String> {
    let [part] = &results.parts[..] else { return Vec::new() };
    let provenance = &part.header.provenance;
    let (Some(git), Some(asked)) = (&provenance.git, &provenance.asked) else { return Vec::new() };
    let mut check = "perfgate check".to_string();
    let mut add = |option: &str, value: &str| check += &format!(" {option} {}", quoted(value));
    if asked.config != "perfgate.toml" {
        add("--config", &asked.config);
    }
    if let Some(thresholds) = &asked.thresholds {
        add("--thresholds", thresholds);
    }
    if let Some(rounds) = asked.rounds {
        add("--rounds", &rounds.to_string());
    }
    for (option, value) in &asked.narrowed {
        add(option, value);
    }
    let authority = results.judgement.as_ref().map(|judgement| &judgement.authority);
    if let Some(base) = authority.and_then(|authority| authority.base.as_ref()) {
        add("--base", base);
    } else if authority.is_some_and(|authority| authority.beside.is_some()) {
        add("--policy-from", "worktree");
    }
    if let Some(beside) = authority.and_then(|authority| authority.beside.as_ref()) {
        add("--against", beside);
    }
    vec![
        format!("git fetch origin {}", quoted(&git.commit)),
        format!("git checkout {}", quoted(&git.commit)),
        check,
    ]
}

/// A word as a shell takes it, whatever it holds.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    match !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        true => text.to_string(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
