//! Owns the rules applied to estimates: from samples to effects, from effects to verdicts, from
//! verdicts to the outcome of a session. No I/O.

mod effect;
mod judge;
mod outcome;
pub mod samples;
mod summary;

pub use judge::judge;
pub use outcome::{Outcome, outcome};
pub use summary::summarize;
