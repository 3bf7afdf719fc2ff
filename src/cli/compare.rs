//! Owns `perfgate compare`: one run held against another by the rules.

use super::{CompareArguments, check, exit, render};
use crate::baseline::Stores;
use crate::problem::Result;
use crate::session::{self, read_results};
use crate::verdict;

/// Judges the new run against the old one. Nothing is written.
pub(super) fn compare(arguments: &CompareArguments) -> Result<u8> {
    let mut setup = check::setup(&arguments.setting)?;
    let (old, new) = (read_results(&arguments.old)?, read_results(&arguments.new)?);
    // The other run takes the place of every baseline, so that no anchor is needed.
    let stored = Stores::load(&setup.config, None)?;
    let mut thresholds = check::rules(&setup)?.clone();
    thresholds.rules = verdict::against_earlier(&thresholds.rules, &old.parts);
    setup.thresholds = Some(thresholds);
    let results = session::judged(new.parts, &setup, &old.parts, &stored);
    let report = render::show(&results, &arguments.display, || Ok(stored))?;
    Ok(exit::code(report.outcome))
}
