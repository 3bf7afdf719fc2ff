//! Owns the exit codes: all of them, and what each means.

use crate::verdict::Outcome;

/// Every gating rule holds, is passed by a waiver, or is undecided where the policy only informs.
pub const HOLDS: u8 = 0;
/// A gating rule is proven broken, or its variant completed no round.
const REGRESSED: u8 = 1;
/// The gate could not run, was interrupted, or a gating verdict is `invalid`.
pub const COULD_NOT_RUN: u8 = 2;
/// Blocked for want of evidence, or no gating rule was decided at all.
const BLOCKED: u8 = 3;

/// What was asked for could not be decided.
pub const UNDECIDED: u8 = BLOCKED;

/// The exit codes, for `--help`.
pub const HELP: &str = "\
Exit codes:
  0  every gating rule holds, or is passed by a waiver, which the report says (undecided ones are
     named and do not block by default)
  1  a gating rule is proven broken, or its variant completed no round
  2  perfgate could not run, was interrupted, or a verdict is invalid
  3  blocked for want of evidence, or no gating rule could be decided";

/// The exit code of an outcome; without one nothing was judged, and nothing is wrong.
pub fn code(outcome: Option<Outcome>) -> u8 {
    match outcome {
        None | Some(Outcome::Holds | Outcome::Waived) => HOLDS,
        Some(Outcome::Regressed) => REGRESSED,
        Some(Outcome::Invalid) => COULD_NOT_RUN,
        Some(Outcome::Blocked | Outcome::Undecided) => BLOCKED,
    }
}
