//! Owns the text of the comment under a pull request and of the page of a job's run: what a reviewer has to
//! do, in the order of reading, within GitHub's limits.

use super::escape::{code_block, escape};
use super::markdown::{Block, Room, blocks, first_line};
use super::{Report, some};
use crate::hash;
use crate::verdict::Outcome;
use serde::{Deserialize, Serialize};

/// Most characters that GitHub takes in a comment.
pub const MOST: usize = 65_536;

/// Ids of so many broken rules are kept in a comment.
const MOST_BROKEN: usize = 100;

/// What a comment says of a run, kept in it for the next one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What the run came to; nothing if it could not run.
    pub outcome: Option<Outcome>,
    /// Ids of the rules that keep the exit code from being 0.
    #[serde(default)]
    pub broken: Vec<String>,
    /// The commit that was measured.
    #[serde(default)]
    pub commit: Option<String>,
}

/// What stands around the report in a comment.
#[derive(Debug, Clone, Default)]
pub struct Around<'a> {
    /// What the comment said before.
    pub before: Option<&'a Told>,
    /// The commit that was measured.
    pub commit: Option<&'a str>,
    /// The address of the full report.
    pub link: Option<&'a str>,
    /// The configuration, where a pull request may have several.
    pub gate: Option<&'a str>,
    /// Most bytes.
    pub most: usize,
}

/// The comment on a run.
pub fn comment(report: &Report, around: &Around<'_>) -> String {
    let since = since(around.before, &told(report, around.commit));
    fit(report, &(since + &about(around, "full report")), around)
}

/// The page of a job's run; `gate` is the configuration, where a job may have several.
pub fn page(report: &Report, gate: Option<&str>, most: usize) -> String {
    let around = Around { most, gate, ..Around::default() };
    fit(report, &about(&around, ""), &around)
}

/// The comment on a run that came to no report.
pub fn comment_on_problem(problem: &str, around: &Around<'_>) -> String {
    let since = since(around.before, &Told::default());
    let head = "🛑 **Not judged: perfgate could not run.** Nothing is known of this commit\n";
    let tail = since + &about(around, "the run's page");
    let room = around.most.saturating_sub(head.len() + tail.len() + 100);
    let text = super::harmless(problem);
    format!("{head}\n{}{tail}", code_block("text", cut(&text, room.min(4000))))
}

/// The page of a run that came to no report.
pub fn page_of_problem(problem: &str, gate: Option<&str>, most: usize) -> String {
    comment_on_problem(problem, &Around { most, gate, ..Around::default() })
}

/// What a comment on this report tells.
pub fn told(report: &Report, commit: Option<&str>) -> Told {
    let broken = report.rules.iter().filter(|rule| rule.blocks).map(|rule| rule.id.clone());
    Told {
        outcome: report.outcome,
        broken: broken.take(MOST_BROKEN).collect(),
        commit: commit.map(str::to_string),
    }
}

/// What became of what the comment said before.
fn since(before: Option<&Told>, now: &Told) -> String {
    let Some(before) = before.filter(|before| before.commit != now.commit) else {
        return String::new();
    };
    let not_in = |ids: &[String], others: &[String]| -> Vec<String> {
        ids.iter().filter(|id| !others.contains(id)).map(|id| escape(id)).collect()
    };
    let mut parts = Vec::new();
    let gone = not_in(&before.broken, &now.broken);
    // Where nothing was judged, nothing is known to be gone.
    if now.outcome.is_some() && !gone.is_empty() {
        parts.push(format!("no longer broken: {}", some(&gone, ", ")));
    }
    if now.outcome.is_some() && before.outcome.is_none() {
        parts.push("perfgate runs again".to_string());
    }
    let new = not_in(&now.broken, &before.broken);
    if before.outcome.is_some() && !new.is_empty() {
        parts.push(format!("newly broken: {}", some(&new, ", ")));
    }
    let still = now.broken.iter().filter(|id| before.broken.contains(id)).count();
    if still > 0 && !(gone.is_empty() && new.is_empty()) {
        parts.push(format!("still broken: {still}"));
    }
    if parts.is_empty() {
        return String::new();
    }
    let commit = before.commit.as_ref().map(|commit| short(commit));
    let commit = commit.map(|commit| format!(" of `{commit}`")).unwrap_or_default();
    format!("\n**Since the run{commit}:** {}\n", parts.join("; "))
}

/// The gate, the commit and where to find the rest.
fn about(around: &Around<'_>, rest: &str) -> String {
    let gate = around.gate.map(|gate| format!("Gate {}", escape(&super::harmless(gate))));
    let commit = around.commit.map(|commit| format!("Commit `{}`", short(commit)));
    let link = around.link.filter(|link| is_link(link)).map(|link| format!("[{rest}]({link})"));
    let parts: Vec<String> = gate.into_iter().chain(commit).chain(link).collect();
    if parts.is_empty() { String::new() } else { format!("\n{}\n", parts.join(" · ")) }
}

/// The beginning of a commit's id, of which nothing but the digits is shown.
fn short(commit: &str) -> String {
    let digits: String = commit.chars().filter(char::is_ascii_hexdigit).collect();
    hash::short(&digits, 12).to_string()
}

/// Whether a text is an address that a comment can link to as it stands.
pub fn is_link(text: &str) -> bool {
    let web = text.starts_with("https://") || text.starts_with("http://");
    web && text.len() <= 2_000
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>()[]\"'`\\|".contains(&byte))
}

/// As much of a report as there is room for: first whole parts are left out, the least important first, then
/// the tables and texts are cut.
fn fit(report: &Report, about: &str, around: &Around<'_>) -> String {
    const ROOMS: [Room; 5] = [
        Room::ALL,
        Room { rows: 100, chars: 600 },
        Room { rows: 25, chars: 200 },
        Room { rows: 8, chars: 100 },
        Room { rows: 2, chars: 60 },
    ];
    for room in ROOMS {
        let head = first_line(report, room) + about;
        let mut blocks = blocks(report, room);
        let mut left_out: Vec<&'static str> = Vec::new();
        loop {
            let text = whole(&head, &blocks, &left_out);
            if text.len() <= around.most {
                return text;
            }
            let Some(next) = least_important(&blocks) else { break };
            left_out.insert(0, blocks.remove(next).name);
        }
    }
    cut(&first_line(report, ROOMS[4]), around.most).to_string()
}

/// The last of the parts with the highest rank above 0.
fn least_important(blocks: &[Block]) -> Option<usize> {
    let by_rank = blocks.iter().enumerate().filter(|(_, block)| block.rank > 0);
    by_rank.max_by_key(|(index, block)| (block.rank, *index)).map(|(index, _)| index)
}

fn whole(head: &str, blocks: &[Block], left_out: &[&'static str]) -> String {
    let mut text = head.to_string();
    blocks.iter().for_each(|block| text.push_str(&block.text));
    let mut names = left_out.to_vec();
    names.dedup();
    if !names.is_empty() {
        text += &format!("\nLeft out for want of room: {}\n", names.join(", "));
    }
    text
}

/// The beginning of a text, of so many bytes at most.
fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::judged;
    use super::*;
    use crate::record::VerdictKind;

    fn told(outcome: Option<Outcome>, broken: &[&str], commit: &str) -> Told {
        let broken = broken.iter().map(|id| id.to_string()).collect();
        Told { outcome, broken, commit: Some(commit.to_string()) }
    }

    #[test]
    fn a_comment_says_what_became_of_the_one_before() {
        let red = Some(Outcome::Regressed);
        let before = told(red, &["latency", "ttft"], "abcdef0123456789");
        let says = |now: &Told| since(Some(&before), now);
        assert_eq!(
            says(&told(Some(Outcome::Holds), &[], "1")),
            "\n**Since the run of `abcdef012345`:** no longer broken: latency, ttft\n"
        );
        assert_eq!(
            says(&told(red, &["latency", "memory"], "1")),
            "\n**Since the run of `abcdef012345`:** no longer broken: ttft; newly broken: memory; \
             still broken: 1\n"
        );
        assert_eq!(says(&told(red, &["latency", "ttft"], "1")), "", "nothing new");
        assert_eq!(says(&told(None, &[], "1")), "", "nothing is known");
        assert_eq!(says(&told(None, &[], "abcdef0123456789")), "", "the same commit again");
        let after_error = since(Some(&told(None, &[], "a")), &told(Some(Outcome::Holds), &[], "b"));
        assert!(after_error.contains("perfgate runs again"), "{after_error}");
    }

    #[test]
    fn hostile_surroundings_stay_text() {
        let around = Around {
            commit: Some("`]<img>abc"),
            link: Some("https://x/y)[z](javascript:a"),
            most: MOST,
            ..Around::default()
        };
        assert_eq!(about(&around, "more"), "\nCommit `abc`\n");
        let text = comment_on_problem("```\n<b>\n@x", &around);
        assert!(text.contains("````text\n```\n<b>\n@x\n````"), "{text}");
    }

    #[test]
    fn failures_stay_longest() {
        let rules = (0..300).map(|n| judged(&format!("r{n}"), VerdictKind::Regressed, true));
        let mut report = Report { rules: rules.collect(), ..Report::default() };
        report.warnings = vec!["w".repeat(700); 50];
        report.method = vec!["m".repeat(1000); 60];
        report.headline = "REGRESSION: it is slower".to_string();
        for most in [60_000, 30_000, 3_000, 500, 60] {
            let text = page(&report, None, most);
            assert!(text.len() <= most, "{} of {most}", text.len());
            assert!(text.contains("REGRESSION"), "{text}");
        }
        assert!(page(&report, None, 60_000).contains("Left out for want of room: method"));
    }
}
