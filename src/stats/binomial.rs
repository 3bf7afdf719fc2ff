//! Owns bounds and tests for proportions: the exact ones of Clopper and Pearson, and McNemar's.

use statrs::distribution::{Beta, Binomial, ContinuousCDF, DiscreteCDF};

/// Lower one-sided bound at level `alpha` for a proportion with `hits` of `trials`:
/// the `alpha` quantile of `Beta(hits, trials - hits + 1)`, and 0 for no hits
/// (Clopper and Pearson 1934). 0 for no trials.
pub fn proportion_lower(hits: u64, trials: u64, alpha: f64) -> f64 {
    effective_lower(hits as f64, trials as f64, alpha)
}

/// Upper one-sided bound at level `alpha` for a proportion with `hits` of `trials`:
/// the `1 - alpha` quantile of `Beta(hits + 1, trials - hits)`, and 1 for nothing but hits
/// (Clopper and Pearson 1934). 1 for no trials.
pub fn proportion_upper(hits: u64, trials: u64, alpha: f64) -> f64 {
    effective_upper(hits as f64, trials as f64, alpha)
}

/// The lower bound for effective numbers, which are counts divided by a design effect and need not be whole
/// (Korn and Graubard 1998, Survey Methodology 24, 193-201).
pub fn effective_lower(hits: f64, trials: f64, alpha: f64) -> f64 {
    if hits <= 0.0 || trials <= 0.0 {
        return 0.0;
    }
    beta_quantile(hits, (trials - hits).max(0.0) + 1.0, alpha)
}

/// The upper bound for effective numbers.
pub fn effective_upper(hits: f64, trials: f64, alpha: f64) -> f64 {
    if hits >= trials {
        return 1.0;
    }
    beta_quantile(hits + 1.0, trials - hits, 1.0 - alpha)
}

/// The quantile of a beta distribution by bisection of its distribution function, to the last bits:
/// statrs' own inverse stops at an absolute 1e-8 or so, which is coarse for rates of 0.1%.
fn beta_quantile(a: f64, b: f64, p: f64) -> f64 {
    let beta = Beta::new(a, b).expect("both shapes are positive");
    let (mut low, mut high) = (0.0f64, 1.0f64);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if beta.cdf(middle) < p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// How many trials without a hit put the upper bound below `limit`: the smallest `n` with
/// `(1 - limit)^n <= alpha`. `None` for a limit of 0, which no number of trials shows.
pub fn clean_trials_needed(limit: f64, alpha: f64) -> Option<u64> {
    (limit > 0.0).then(|| ((alpha.ln() / (-limit).ln_1p()).ceil() as u64).max(1))
}

/// How many trials with no more than `hits` hits put the upper bound to `limit` or below. `None` for a limit
/// of 0.
///
/// MLPerf LoadGen's early stopping asks for as many queries at 99%: for a 99th percentile 459 with none
/// over the latency bound and 662 with one, for a 90th percentile 44 and 64.
pub fn trials_needed(hits: f64, limit: f64, alpha: f64) -> Option<u64> {
    let clean = clean_trials_needed(limit, alpha)?;
    if hits <= 0.0 {
        return Some(clean);
    }
    let enough = |trials: u64| effective_upper(hits, trials as f64, alpha) <= limit;
    // A hit takes more trials than none; a small part of one, after rounding, perhaps not.
    let (mut few, mut many) = (clean - 1, clean);
    while !enough(many) {
        (few, many) = (many, many.checked_mul(2)?);
    }
    while many - few > 1 {
        let middle = few + (many - few) / 2;
        if enough(middle) { many = middle } else { few = middle }
    }
    Some(many)
}

/// The ranks, from 1, of the order statistics between which the quantile at probability `p` of what `count` values were
/// drawn from lies, each side with an error of at most `alpha`: the largest rank at and over which so many values lie that
/// more than `1 - p` of all do, and the smallest over which so few lie that at most `1 - p` do, by the bounds of
/// Clopper and Pearson. For independent values (`effect` 1) these are the exact ones of Conover (1999, Practical
/// Nonparametric Statistics, section 3.2); else counts are divided by their design effect. `None` where so few values have no
/// such bound: for a P99 at 95% the upper one takes 299, as [`clean_trials_needed`] says.
pub fn quantile_ranks(count: u64, p: f64, alpha: f64, effect: f64) -> [Option<u64>; 2] {
    let (share, all) = (1.0 - p, count as f64 / effect);
    let more = |over: u64| effective_lower(over as f64 / effect, all, alpha) > share;
    let fewer = |over: u64| effective_upper(over as f64 / effect, all, alpha) <= share;
    // The fewest values at and over it that are too many, and the most over it that are few enough.
    let many = least(count, more);
    let few = least(count, |over| !fewer(over)).checked_sub(1);
    [
        (many <= count).then(|| count + 1 - many).filter(|rank| *rank <= count),
        few.map(|few| count - few).filter(|rank| *rank > 0),
    ]
}

/// The least number up to `most` for which something holds that holds for all larger ones; `most + 1` if it never does.
fn least(most: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, most + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// How many trials with a share of hits over `limit` would put the lower bound over it; `None` for a share
/// so near that ten million would not.
pub fn trials_to_exceed(share: f64, limit: f64, alpha: f64) -> Option<u64> {
    const MOST: u64 = 10_000_000;
    let exceeds = |trials: u64| {
        let trials = trials as f64;
        effective_lower(share * trials, trials, alpha) > limit
    };
    if !exceeds(MOST) {
        return None;
    }
    let (mut few, mut many) = (0, MOST);
    while many - few > 1 {
        let middle = few + (many - few) / 2;
        if exceeds(middle) { many = middle } else { few = middle }
    }
    Some(many)
}

/// The smallest share that `trials` trials would probably (with `power`) have proven to lie over `limit`: the
/// share whose fewest telling hits come with that probability. `None` if no number of hits tells.
pub fn detectable_share(trials: u64, limit: f64, alpha: f64, power: f64) -> Option<f64> {
    if proportion_lower(trials, trials, alpha) <= limit {
        return None;
    }
    // More hits only raise the bound.
    let (mut too_few, mut telling) = (0, trials);
    while telling - too_few > 1 {
        let middle = (too_few + telling) / 2;
        let tells = proportion_lower(middle, trials, alpha) > limit;
        if tells { telling = middle } else { too_few = middle }
    }
    // P(X >= k) is the distribution function of Beta(k, n - k + 1).
    Some(beta_quantile(telling as f64, (trials - telling) as f64 + 1.0, power))
}

/// Two-sided probability, under equal chances, of discordant pairs at least as uneven as `first` against
/// `second`: McNemar's exact test (McNemar 1947). 1 for no discordant pair.
pub fn mcnemar(first: u64, second: u64) -> f64 {
    let all = first + second;
    if all == 0 {
        return 1.0;
    }
    let tosses = Binomial::new(0.5, all).expect("one half is a probability");
    (2.0 * tosses.cdf(first.min(second))).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_are_defined() {
        assert_eq!(proportion_lower(0, 50, 0.05), 0.0);
        assert_eq!(proportion_upper(50, 50, 0.05), 1.0);
        assert_eq!(proportion_upper(0, 0, 0.05), 1.0);
        assert_eq!(proportion_lower(0, 0, 0.05), 0.0);
    }

    #[test]
    fn clean_trials_agree_with_the_bound() {
        // The textbook counts: 299 for 1% and 2,995 for 0.1% at 95%.
        assert_eq!(clean_trials_needed(0.01, 0.05), Some(299));
        assert_eq!(clean_trials_needed(0.001, 0.05), Some(2995));
        assert_eq!(clean_trials_needed(0.0, 0.05), None);
        assert!(proportion_upper(0, 299, 0.05) <= 0.01);
        assert!(proportion_upper(0, 298, 0.05) > 0.01);
    }

    /// The counts of MLPerf LoadGen's early stopping (99% confidence), and the textbook's at 95%.
    #[test]
    fn trials_with_hits_agree_with_published_counts() {
        for (hits, limit, alpha, published) in [
            (0.0, 0.01, 0.01, 459),
            (1.0, 0.01, 0.01, 662),
            (0.0, 0.1, 0.01, 44),
            (1.0, 0.1, 0.01, 64),
            (0.0, 0.01, 0.05, 299),
            (1.0, 0.01, 0.05, 473),
        ] {
            assert_eq!(trials_needed(hits, limit, alpha), Some(published), "{hits} {limit}");
        }
        assert_eq!(trials_needed(3.0, 0.0, 0.05), None);
    }

    #[test]
    fn a_detectable_share_is_over_the_limit_and_shrinks_with_trials() {
        let share = |trials| detectable_share(trials, 0.01, 0.05, 0.9).unwrap();
        assert!(share(60) > share(300) && share(300) > 0.01);
        assert_eq!(detectable_share(0, 0.01, 0.05, 0.9), None);
        assert_eq!(detectable_share(50, 1.0, 0.05, 0.9), None);
    }

    #[test]
    fn a_p99_has_an_upper_bound_from_299_values_on() {
        assert_eq!(quantile_ranks(298, 0.99, 0.05, 1.0)[1], None);
        assert_eq!(quantile_ranks(299, 0.99, 0.05, 1.0)[1], Some(299), "the largest");
        assert_eq!(quantile_ranks(0, 0.99, 0.05, 1.0), [None, None]);
        assert_eq!(quantile_ranks(596, 0.99, 0.05, 2.0)[1], None, "as 298 that are independent");
        assert_eq!(quantile_ranks(598, 0.99, 0.05, 2.0)[1], Some(598), "as 299");
        let [low, high] = quantile_ranks(1000, 0.5, 0.05, 1.0);
        assert!(low.unwrap() < 500 && high.unwrap() > 500);
    }

    #[test]
    fn mcnemar_knows_its_edges() {
        assert_eq!(mcnemar(0, 0), 1.0);
        assert_eq!(mcnemar(3, 3), 1.0);
        assert!((mcnemar(0, 5) - 0.0625).abs() < 1e-15);
        assert_eq!(mcnemar(9, 2), mcnemar(2, 9));
    }
}
