//! Owns what a change is judged by: the rules, workload, reference and baselines of the base, with the
//! change's own variants among them; and what the change would do to that policy.

mod changes;
mod govern;

pub use govern::{Question, between, govern, measure_beside};
