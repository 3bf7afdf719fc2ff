//! Owns the sheet of a bisection: the commits that were tried, and the one that broke a rule.

use super::clean::clean_sheet;
use super::sheet::{Grid, Sheet};
use super::words;
use crate::git::About;
use crate::hash;
use crate::record::Verdict;

/// One commit that was tried.
#[derive(Debug, Clone)]
pub struct Step {
    /// The commit.
    pub commit: About,
    /// What the rule came to; nothing where it could not be tried.
    pub verdict: Option<Verdict>,
    /// What has to be known about it.
    pub note: String,
}

/// The sheet of a bisection of a rule from a good commit on; `found` are the commits of which one broke it.
pub fn of_bisection(rule: &str, good: &About, steps: &[Step], found: &[About]) -> Sheet {
    let headline = match found {
        [one] => format!("FOUND: {} broke '{rule}': {}", id(one), one.subject),
        several => {
            let ids: Vec<String> = several.iter().map(id).collect();
            format!(
                "BETWEEN {}: one of them broke '{rule}', and the others could not be decided",
                ids.join(", ")
            )
        }
    };
    let row = |step: &Step| {
        let verdict = step.verdict.as_ref();
        let of = |words: fn(&Verdict) -> String| verdict.map_or("-".to_string(), words);
        let rounds = |verdict: &Verdict| {
            verdict.effect.as_ref().map_or("-".to_string(), |effect| effect.rounds.to_string())
        };
        vec![
            id(&step.commit),
            step.commit.day.clone(),
            step.commit.subject.clone(),
            of(words::change),
            of(words::interval),
            of(rounds),
            of(|verdict| verdict.verdict.to_string()),
        ]
    };
    let about = |step: &Step| {
        let reason =
            step.verdict.as_ref().map(|verdict| verdict.reason.clone()).unwrap_or_default();
        let words: Vec<String> =
            [step.note.clone(), reason].into_iter().filter(|text| !text.is_empty()).collect();
        (!words.is_empty()).then(|| format!("{}: {}", id(&step.commit), words.join("; ")))
    };
    let mut notes: Vec<String> = steps.iter().filter_map(about).collect();
    notes.push(format!(
        "each commit was measured in lockstep beside {}, {}, with its rules and workload, until the rule \
         was settled; a commit of a set-up that was measured before is not measured again",
        id(good),
        good.subject
    ));
    let titles = ["commit", "date", "subject", "change", "interval", "rounds", "verdict"];
    let mut sheet = Sheet {
        headline,
        warnings: Vec::new(),
        tables: vec![Grid {
            title: "Commits, oldest first".to_string(),
            header: titles.map(str::to_string).to_vec(),
            rows: steps.iter().map(row).collect(),
        }],
        notes,
        ..Sheet::default()
    };
    // Subjects of commits are anybody's text.
    clean_sheet(&mut sheet);
    sheet
}

fn id(about: &About) -> String {
    hash::short(&about.id.to_string(), 12).to_string()
}
