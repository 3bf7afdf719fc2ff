//! Owns the statistics: pure functions on numbers, without I/O and without knowing any metric.
//!
//! Reference values of every function, computed with SciPy and NumPy, stand in
//! `tests/reference/stats.json` beside the script that made them.

mod binomial;
mod bootstrap;
mod change_points;
mod clusters;
mod correlation;
mod descriptive;
mod divergence;
mod exact_pairs;
mod holm;
mod paired;
mod repeats;
mod sequential;
mod students_t;
mod sum;
mod trend;

pub use binomial::{
    clean_trials_needed, detectable_share, effective_lower, effective_upper, mcnemar,
    proportion_lower, proportion_upper, quantile_ranks, trials_needed, trials_to_exceed,
};
pub use bootstrap::{FEWEST_BOOTSTRAP_ROUNDS, RESAMPLES, Ranked, bootstrap};
pub use change_points::{CHANGE_LEVEL, ChangePoint, change_points};
pub use clusters::cluster_effect;
pub use correlation::{clean_requests_needed, design_effect, intraclass_correlation};
pub use descriptive::{mean, median_interval, quantile, standard_deviation};
pub use divergence::{
    Divergence, divergence, log_normal_mean_upper, log_ratio_of_sums, ratio_of_sums,
};
pub use exact_pairs::{PairCounts, exact_paired_difference, paired_excess_p, pairs_needed};
pub use holm::holm;
pub use paired::{Pairs, detectable_difference, paired_difference};
pub use repeats::{all_right, any_right};
pub use sequential::{error_spent, look_levels};
pub use students_t::{
    Interval, detectable, difference_of_two, earlier_needed, prediction_interval, rounds_needed,
    t_half_width, t_interval, t_interval_of, welch_interval,
};
pub use sum::sum_of_independent;
pub use trend::{FEWEST_OF_TREND, trend};
