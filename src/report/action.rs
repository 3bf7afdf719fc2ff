//! Owns what a reviewer is told to do, by what the run came to.

use super::{Report, SectionKind};
use crate::verdict::Outcome;

/// A sign and the words.
pub(super) fn action(report: &Report) -> (&'static str, &'static str) {
    let undecided = report.sections.iter().any(|section| section.kind == SectionKind::Undecided);
    match report.outcome {
        None => ("ℹ️", "Measured, and not judged."),
        Some(Outcome::Holds) if report.in_doubt => {
            ("⚠️", "May merge by the policy, and nobody knows yet whether it got worse.")
        }
        Some(Outcome::Holds) if undecided => ("✅", "May merge; not all of it was decided."),
        Some(Outcome::Holds) => ("✅", "May merge."),
        Some(Outcome::Waived) => ("✅", "May merge, by a waiver."),
        Some(Outcome::Regressed) => ("❌", "Do not merge: it got worse."),
        Some(Outcome::Invalid) => ("🛑", "Not judged: mend what is named first."),
        Some(Outcome::Blocked) => ("⛔", "Do not merge yet: evidence is missing."),
        Some(Outcome::Undecided) => ("⚠️", "Nothing was decided: measure longer."),
    }
}
