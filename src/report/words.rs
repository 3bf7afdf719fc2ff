//! Owns the words for figures: changes, intervals and limits.

use crate::metric::{Better, Metric, Statistic};
use crate::record::{Against, Effect, Limit, Rule, Verdict};

/// A metric with its statistic, such as `latency P90`.
pub(super) fn metric(metric: Metric, statistic: Statistic) -> String {
    let title = metric.info().title;
    match statistic {
        Statistic::Mean | Statistic::Rate => title.to_string(),
        Statistic::Median => format!("{title} P50"),
        Statistic::P90 => format!("{title} P90"),
        Statistic::P99 => format!("{title} P99"),
        Statistic::Cv => format!("{title} CV"),
        Statistic::P99OverP50 => format!("{title} P99/P50"),
    }
}

/// A fraction as a signed percentage: `+12.3%`.
fn percent(fraction: f64) -> String {
    if fraction.is_infinite() {
        return if fraction > 0.0 { "+∞".to_string() } else { "-∞".to_string() };
    }
    let value = fraction * 100.0;
    match value.abs() {
        // Minus zero reads as a change.
        size if size < 0.05 => "+0.0%".to_string(),
        size if size < 99.95 => format!("{value:+.1}%"),
        // An interval over two rounds may be astronomically wide; that it is says enough.
        size if size >= 9999.5 => "over +9999%".to_string(),
        _ => format!("{value:+.0}%"),
    }
}

/// A number in the words of what a rule's effect is: a change, points, or a value.
fn effect_value(rule: &Rule, value: f64) -> String {
    match (&rule.against, rule.limit) {
        (Against::Absolute, _) => rule.unit().format(value),
        // Minus zero reads as a change.
        (_, Limit::Points(_)) => format!("{:+.1} pt", value * 100.0 + 0.0),
        _ => percent(value),
    }
}

/// The change of a comparison; nothing for an absolute rule, whose value says it.
pub(super) fn change(verdict: &Verdict) -> String {
    match (&verdict.effect, &verdict.rule.against) {
        (None, _) | (_, Against::Absolute) => "-".to_string(),
        (Some(effect), _) => effect_value(&verdict.rule, effect.point),
    }
}

/// The interval that decides.
pub(super) fn interval(verdict: &Verdict) -> String {
    let Some(Effect { low, high, .. }) = verdict.effect else { return "-".to_string() };
    let (a, b) = (low.min(high), low.max(high));
    format!("{} to {}", effect_value(&verdict.rule, a), effect_value(&verdict.rule, b))
}

/// A number without zeros that say nothing.
fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// Which way a change may go so far and no further.
fn direction(rule: &Rule) -> &'static str {
    match rule.better() {
        Better::Lower => "max +",
        Better::Higher => "min -",
    }
}

/// A rule's limit: `max +5%`, `min -1 pt`, `max 1.50 s`.
pub(super) fn limit(rule: &Rule) -> String {
    let unit = rule.unit();
    match rule.limit {
        Limit::Relative(share) => {
            let percent = plain(share * 100.0);
            format!("{}{percent}%", direction(rule))
        }
        Limit::Points(share) => format!("{}{} pt", direction(rule), plain(share * 100.0)),
        Limit::Max(value) => format!("max {}", unit.format(value)),
        Limit::Min(value) => format!("min {}", unit.format(value)),
    }
}

/// A broken rule for the headline: `throughput 18.3% lower`, or the value and the limit.
pub(super) fn broken(verdict: &Verdict) -> String {
    let rule = &verdict.rule;
    let what = metric(rule.metric, rule.statistic);
    match (&verdict.effect, &rule.against, verdict.now) {
        (Some(effect), Against::Variant(_) | Against::Baseline { .. }, _) => {
            let direction = if effect.point < 0.0 { "lower" } else { "higher" };
            let size = effect_value(rule, effect.point.abs());
            format!("{what} {} {direction} ({})", size.trim_start_matches('+'), limit(rule))
        }
        (_, Against::Absolute, Some(now)) => {
            format!("{what} {} ({})", rule.unit().format(now), limit(rule))
        }
        _ => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_have_a_sign_and_no_minus_zero() {
        assert_eq!(percent(0.123), "+12.3%");
        assert_eq!(percent(-0.05), "-5.0%");
        assert_eq!(percent(-0.0001), "+0.0%");
        assert_eq!(percent(1.1273), "+113%");
        assert_eq!(percent(1.0e6), "over +9999%");
        assert_eq!(percent(f64::INFINITY), "+∞");
    }
}
