//! Holds the statistics to reference values from SciPy and NumPy.

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
