//! Owns the statistics: pure functions on numbers, without I/O and without knowing any metric.
//!
//! Reference values of every function, computed with SciPy and NumPy, stand in
//! `tests/reference/stats.json` beside the script that made them.

mod binomial;
mod descriptive;
mod paired;
mod students_t;

pub use binomial::{clean_trials_needed, proportion_lower, proportion_upper};
pub use descriptive::{mean, quantile, standard_deviation};
pub use paired::{Pairs, paired_difference, pairs_needed};
pub use students_t::{
    Interval, difference_of_two, earlier_needed, prediction_interval, rounds_needed, t_half_width,
    t_interval, welch_interval,
};
