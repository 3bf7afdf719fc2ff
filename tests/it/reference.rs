//! Holds the statistics to reference values from SciPy, NumPy and statsmodels.

use perfgate::stats;
use serde_json::Value;

fn reference() -> Value {
    serde_json::from_str(include_str!("../reference/stats.json")).unwrap()
}

fn cases(kind: &str) -> Vec<Value> {
    let cases = reference()[kind].as_array().unwrap().clone();
    assert!(cases.len() >= 16, "{kind} has {} cases", cases.len());
    cases
}

fn number(case: &Value, key: &str) -> f64 {
    case[key].as_f64().unwrap()
}

fn values(case: &Value) -> Vec<f64> {
    list(case, "values")
}

fn close(found: f64, expected: f64, what: &Value) {
    let error = (found - expected).abs();
    assert!(error <= 1e-9 * expected.abs().max(1e-3), "{found} is not {expected}: {what}");
}

#[test]
fn t_intervals_agree_with_scipy_to_nine_digits() {
    for case in cases("t_intervals") {
        let interval = stats::t_interval(&values(&case), number(&case, "alpha")).unwrap();
        close(interval.low, number(&case, "low"), &case);
        close(interval.high, number(&case, "high"), &case);
    }
}

#[test]
fn exact_binomial_bounds_agree_with_scipy_to_nine_digits() {
    for case in cases("proportions") {
        let count = |key: &str| case[key].as_u64().unwrap();
        let (hits, trials, alpha) = (count("hits"), count("trials"), number(&case, "alpha"));
        close(stats::proportion_lower(hits, trials, alpha), number(&case, "low"), &case);
        close(stats::proportion_upper(hits, trials, alpha), number(&case, "high"), &case);
    }
}

#[test]
fn quantiles_agree_with_numpy() {
    for case in cases("quantiles") {
        close(
            stats::quantile(&values(&case), number(&case, "p")),
            number(&case, "quantile"),
            &case,
        );
    }
}

#[test]
fn intervals_of_a_median_agree_with_scipy() {
    for case in cases("median_intervals") {
        let found = stats::median_interval(&values(&case), number(&case, "alpha"));
        let expected = case["low"].as_f64().zip(case["high"].as_f64());
        assert_eq!(found, expected.map(|(low, high)| [low, high]), "{case}");
    }
}

fn list(case: &Value, key: &str) -> Vec<f64> {
    case[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn prediction_intervals_agree_with_scipy() {
    for case in cases("predictions") {
        let (new, alpha) = (number(&case, "new"), number(&case, "alpha"));
        let interval = stats::prediction_interval(new, &values(&case), alpha).unwrap();
        close(interval.low, number(&case, "low"), &case);
        close(interval.high, number(&case, "high"), &case);
    }
}

#[test]
fn differences_of_two_agree_with_scipy() {
    for case in cases("differences_of_two") {
        let (difference, alpha) = (number(&case, "difference"), number(&case, "alpha"));
        let interval = stats::difference_of_two(difference, &values(&case), alpha).unwrap();
        close(interval.low, number(&case, "low"), &case);
        close(interval.high, number(&case, "high"), &case);
    }
}

#[test]
fn welch_intervals_agree_with_scipy() {
    for case in cases("welch") {
        let (a, b) = (list(&case, "a"), list(&case, "b"));
        let interval = stats::welch_interval(&a, &b, number(&case, "alpha")).unwrap();
        close(interval.low, number(&case, "low"), &case);
        close(interval.high, number(&case, "high"), &case);
    }
}

#[test]
fn sums_of_independent_estimates_agree_with_scipy() {
    for case in cases("sums") {
        let (points, lows, highs) =
            (list(&case, "points"), list(&case, "lows"), list(&case, "highs"));
        let ends = lows.into_iter().zip(highs);
        let parts = points.into_iter().zip(ends);
        let parts: Vec<stats::Interval> =
            parts.map(|(point, (low, high))| stats::Interval { point, low, high }).collect();
        let sum = stats::sum_of_independent(&parts);
        close(sum.low, number(&case, "low"), &case);
        close(sum.high, number(&case, "high"), &case);
    }
}

/// Against a search for the restricted likelihood and the roots, which is exact to about 1e-7.
#[test]
fn paired_differences_agree_with_a_search_by_scipy() {
    for case in cases("paired_differences") {
        let pairs = stats::Pairs {
            first_only: number(&case, "first_only"),
            second_only: number(&case, "second_only"),
            all: number(&case, "all"),
        };
        let interval = stats::paired_difference(pairs, number(&case, "alpha"));
        for (found, key) in [(interval.low, "low"), (interval.high, "high")] {
            assert!((found - number(&case, key)).abs() < 1e-6, "{key} is {found}: {case}");
        }
    }
}

#[test]
fn upper_bounds_of_log_normal_means_agree_with_scipy() {
    for case in cases("log_normal_means") {
        let found = stats::log_normal_mean_upper(&values(&case), number(&case, "alpha")).unwrap();
        close(found, number(&case, "high"), &case);
    }
    assert_eq!(stats::log_normal_mean_upper(&[0.1], 0.05), None);
    assert_eq!(stats::log_normal_mean_upper(&[0.1, 0.0], 0.05), None);
}

/// Against all outcomes written out, for dense values of the nuisance parameter.
#[test]
fn exact_tests_of_pairs_agree_with_an_enumeration() {
    for case in cases("exact_pairs") {
        let count = |key: &str| case[key].as_u64().unwrap();
        let counts = stats::PairCounts {
            first_only: count("first_only"),
            second_only: count("second_only"),
            all: count("all"),
        };
        let found = stats::paired_excess_p(counts, number(&case, "limit"));
        close_share(found, number(&case, "p"), 1e-3, &case);
    }
}

fn close_share(found: f64, expected: f64, digits: f64, what: &Value) {
    let error = (found / expected - 1.0).abs();
    assert!(error <= digits, "{found} is not {expected} by {error}: {what}");
}

/// Against the joint normal distribution of all looks, which is good for five digits.
#[test]
fn look_levels_agree_with_the_joint_distribution() {
    for case in cases("look_levels") {
        let spending = serde_json::from_value(case["spending"].clone()).unwrap();
        let found = stats::look_levels(spending, number(&case, "alpha"), &list(&case, "fractions"));
        let expected = list(&case, "levels");
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.into_iter().zip(expected) {
            close_share(found, expected, 1e-5, &case);
        }
    }
}

#[test]
fn holm_agrees_with_statsmodels() {
    for case in cases("holm") {
        let p = list(&case, "p");
        let (refused, level) =
            stats::holm(p.len(), number(&case, "alpha"), |index, level| p[index] <= level);
        assert_eq!(serde_json::json!(refused), case["refused"], "{case}");
        if let Some(expected) = case["level"].as_f64() {
            close(level, expected, &case);
        }
    }
}

#[test]
fn intraclass_correlations_agree_with_statsmodels() {
    for case in cases("intraclass_correlations") {
        let groups: Vec<Vec<f64>> = serde_json::from_value(case["groups"].clone()).unwrap();
        close(stats::intraclass_correlation(&groups), number(&case, "correlation"), &case);
    }
}

#[test]
fn bounds_of_effective_numbers_agree_with_scipy_to_nine_digits() {
    for case in cases("effective_proportions") {
        let (hits, trials) = (number(&case, "hits"), number(&case, "trials"));
        let alpha = number(&case, "alpha");
        close(stats::effective_lower(hits, trials, alpha), number(&case, "low"), &case);
        close(stats::effective_upper(hits, trials, alpha), number(&case, "high"), &case);
    }
}

#[test]
fn trials_needed_are_the_first_that_suffice() {
    for case in cases("trials_needed") {
        let found = stats::trials_needed(
            number(&case, "hits"),
            number(&case, "limit"),
            number(&case, "alpha"),
        );
        assert_eq!(found, case["trials"].as_u64(), "{case}");
    }
}

#[test]
fn trials_to_exceed_are_the_first_that_suffice() {
    for case in cases("trials_to_exceed") {
        let (share, limit) = (number(&case, "share"), number(&case, "limit"));
        let found = stats::trials_to_exceed(share, limit, number(&case, "alpha"));
        assert_eq!(found, case["trials"].as_u64(), "{case}");
    }
}

#[test]
fn detectable_shares_agree_with_a_search_by_scipy() {
    for case in cases("detectable_shares") {
        let found = stats::detectable_share(
            case["trials"].as_u64().unwrap(),
            number(&case, "limit"),
            number(&case, "alpha"),
            number(&case, "power"),
        );
        assert_eq!(found.is_some(), case["share"].is_f64(), "{case}");
        if let Some(found) = found {
            close(found, number(&case, "share"), &case);
        }
    }
}

#[test]
fn mcnemar_agrees_with_scipy_and_statsmodels() {
    for case in cases("mcnemar_tests") {
        let count = |key: &str| case[key].as_u64().unwrap();
        let found = stats::mcnemar(count("first"), count("second"));
        close_share(found, number(&case, "p"), 1e-9, &case);
    }
}

#[test]
fn detectable_effects_agree_with_scipy_to_nine_digits() {
    for case in cases("detectable_effects") {
        close_share(detectable(&case), number(&case, "johnson_welch"), 1e-9, &case);
    }
}

/// Against the noncentral t distribution: the power is what was asked for, less half a point to one more.
#[test]
fn detectable_effects_have_their_power() {
    for case in cases("detectable_effects") {
        let found = detectable(&case);
        assert!(found >= number(&case, "least"), "{found} is detected too rarely: {case}");
        assert!(found <= number(&case, "most"), "{found} is detected more often: {case}");
    }
}

fn detectable(case: &Value) -> f64 {
    let rounds = case["rounds"].as_u64().unwrap() as usize;
    let (spread, alpha) = (number(case, "spread"), number(case, "alpha"));
    stats::detectable(spread, rounds, alpha, number(case, "power"))
}

#[test]
fn detectable_differences_agree_with_a_search_by_scipy() {
    for case in cases("detectable_differences") {
        let pairs = stats::Pairs {
            first_only: number(&case, "first_only"),
            second_only: number(&case, "second_only"),
            all: number(&case, "all"),
        };
        let (limit, alpha) = (number(&case, "limit"), number(&case, "alpha"));
        let found = stats::detectable_difference(pairs, limit, alpha, number(&case, "power"));
        assert_eq!(found.is_some(), case["difference"].is_f64(), "{case}");
        if let Some(found) = found {
            close(found, number(&case, "difference"), &case);
            assert!(number(&case, "reached") >= number(&case, "power"), "{case}");
        }
    }
}

#[test]
fn quantiles_of_resamples_agree_with_numpy() {
    for case in cases("resampled_quantiles") {
        let numbers =
            |key: &str| -> Vec<u32> { serde_json::from_value(case[key].clone()).unwrap() };
        let request = |round: u32, index: u32| {
            f64::from((7919 * index + 104_729 * round) % 1009 * (10 + round % 7)) / 1009.0
        };
        let rounds: Vec<Vec<f64>> = (0..)
            .zip(numbers("sizes"))
            .map(|(round, size)| (0..size).map(|index| request(round, index)).collect())
            .collect();
        let found = stats::Ranked::new(&rounds).quantile(&numbers("times"), number(&case, "p"));
        let expected = number(&case, "quantile");
        assert!((found - expected).abs() <= 1e-12, "{found} is not {expected}: {case}");
    }
}

/// 40,000 resamples have a noise of 0.4% in the error.
#[test]
fn a_bootstrap_of_means_comes_to_their_standard_errors() {
    for (seed, case) in (0..).zip(cases("bootstrap_errors")) {
        let values = values(&case);
        let mean = |times: &[u32]| {
            let sum: f64 = values.iter().zip(times).map(|(v, t)| v * f64::from(*t)).sum();
            sum / values.len() as f64
        };
        let (point, error) = stats::bootstrap(values.len(), 40_000, seed, mean);
        close(point, number(&case, "mean"), &case);
        close_share(error, number(&case, "error"), 0.02, &case);
    }
}

#[test]
fn shares_of_right_attempts_agree_with_counting_every_choice() {
    let reference: Value = serde_json::from_str(include_str!("../reference/repeats.json")).unwrap();
    let cases = reference["cases"].as_array().unwrap();
    assert_eq!(cases.len(), (1..10).map(|times| times * (times + 1)).sum::<usize>());
    for case in cases {
        let count = |key: &str| case[key].as_u64().unwrap() as u32;
        let (right, times, k) = (count("right"), count("times"), count("k"));
        for (found, key) in [
            (stats::all_right(right, times, k), "all_right"),
            (stats::any_right(right, times, k), "any_right"),
        ] {
            assert!((found - number(case, key)).abs() < 1e-12, "{key} is {found}: {case}");
        }
    }
}

/// Against Otava, whose merge is put right where it forgets to test a neighbour anew; as it is, it gives the
/// same places for nearly all series.
#[test]
fn change_points_agree_with_otava() {
    let reference: Value =
        serde_json::from_str(include_str!("../reference/change_points.json")).unwrap();
    let cases = reference["series"].as_array().unwrap();
    assert!(cases.len() >= 60, "{}", cases.len());
    let mut other = 0;
    for case in cases {
        let found = stats::change_points(&values(case), number(case, "level"));
        let expected = case["points"].as_array().unwrap();
        let places: Vec<usize> = found.iter().map(|point| point.at).collect();
        let wanted: Vec<&Value> = expected.iter().map(|point| &point["at"]).collect();
        assert_eq!(serde_json::json!(places), serde_json::json!(wanted), "{case}");
        for (found, expected) in found.iter().zip(expected) {
            close(found.before, number(expected, "before"), case);
            close(found.after, number(expected, "after"), case);
            close_share(found.p, number(expected, "p"), 1e-8, case);
        }
        other += usize::from(serde_json::json!(places) != case["unmodified"]);
    }
    assert!(other * 10 <= cases.len(), "{other} of {}", cases.len());
}

fn fidelity() -> Value {
    serde_json::from_str(include_str!("../reference/fidelity.json")).unwrap()
}

#[test]
fn divergences_agree_with_numpy_by_the_definitions_of_llama_cpp() {
    let row = |case: &Value, key: &str, position: usize| -> Vec<f32> {
        let row = case[key][position].as_array().unwrap().iter();
        row.map(|logit| logit.as_f64().unwrap() as f32).collect()
    };
    let cases = fidelity()["positions"].as_array().unwrap().clone();
    assert_eq!(cases.len(), 8);
    for case in &cases {
        for position in 0..4 {
            let (base, other) =
                (row(case, "reference", position), row(case, "candidate", position));
            let next = case["next"][position].as_u64().unwrap() as usize;
            let found = stats::divergence(&base, &other, next);
            let expected = |key: &str| case[key][position].as_f64().unwrap();
            // Both round sums of terms that cancel.
            assert!((found.kl - expected("kl")).abs() < 1e-11, "{found:?}: {case}");
            assert_eq!(Some(found.agrees), case["agree"][position].as_bool());
            close(found.nll, expected("nll"), case);
            close(found.reference_nll, expected("reference_nll"), case);
        }
    }
}

#[test]
fn ratios_over_documents_agree_with_numpy_and_scipy() {
    let cases = fidelity()["ratios"].as_array().unwrap().clone();
    assert_eq!(cases.len(), 20);
    for case in &cases {
        let (sums, positions) = (list(case, "sums"), list(case, "positions"));
        let (point, spread) = stats::ratio_of_sums(&sums, &positions);
        let alpha = number(case, "alpha");
        let interval = stats::t_interval_of(point, spread, sums.len(), alpha);
        close(interval.point, number(case, "point"), case);
        close(interval.low, number(case, "low"), case);
        close(interval.high, number(case, "high"), case);
        let (log, spread) = stats::log_ratio_of_sums(&sums, &positions).unwrap();
        let interval = stats::t_interval_of(log, spread, sums.len(), alpha);
        // The reference's derivative is a difference, good to some seven digits of the end.
        close_share(interval.low.exp(), number(case, "log_low"), 1e-6, case);
        close_share(interval.high.exp(), number(case, "log_high"), 1e-6, case);
    }
    assert_eq!(stats::log_ratio_of_sums(&[0.0, 0.0], &[3.0, 4.0]), None, "no log of nothing");
}
