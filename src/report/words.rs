//! Owns the words for figures: changes, intervals and limits.

use crate::metric::{Better, Kind, Metric, Statistic, Unit};
use crate::record::{
    Against, Effect, Evidence, Forcing, Limit, Rule, Sample, Severity, Summary, Verdict,
    VerdictKind,
};
use crate::verdict::Stall;

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

/// What a rule judges, such as `accuracy (suite plans)`.
pub(super) fn rule(rule: &Rule) -> String {
    let what = metric(rule.metric, rule.statistic);
    let only = (!rule.only.is_empty()).then(|| rule.only.to_string());
    // What a rule asks for is said where it is not the usual.
    let evidence = match rule.evidence {
        Evidence::Regression => None,
        Evidence::Safety => Some("must be shown".to_string()),
        Evidence::Point => Some("by its point".to_string()),
    };
    let forcing = rule.forcing.filter(|forcing| *forcing != Forcing::Whole);
    let forcing = forcing.map(|forcing| forcing.to_string());
    let aside: Vec<String> = only.into_iter().chain(forcing).chain(evidence).collect();
    if aside.is_empty() { what } else { format!("{what} ({})", aside.join("; ")) }
}

/// A fraction as a signed percentage: `+12.3%`.
pub(super) fn percent(fraction: f64) -> String {
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
    if verdict.rule.against != Against::Absolute && a <= -1.0 && b.is_infinite() {
        return "not known".to_string();
    }
    let (a, b) = (effect_value(&verdict.rule, a), effect_value(&verdict.rule, b));
    // One unit is enough for both.
    let short = ["%", " pt", " nats"]
        .iter()
        .find_map(|unit| b.ends_with(unit).then(|| a.strip_suffix(unit))?);
    format!("{} to {b}", short.unwrap_or(&a))
}

/// The observed noise: the standard deviation of a log, as a percentage.
pub(super) fn noise(verdict: &Verdict) -> String {
    match verdict.resolution.as_ref().and_then(|resolution| resolution.noise) {
        Some(noise) if noise.is_finite() => format!("{:.1}%", noise * 100.0),
        _ => "-".to_string(),
    }
}

/// The smallest true effect that would probably have been proven.
pub(super) fn detects(verdict: &Verdict) -> String {
    let rule = &verdict.rule;
    match verdict.resolution.as_ref().and_then(|resolution| resolution.detectable) {
        None => "-".to_string(),
        Some(share) if judged_by_count(rule) => format!("{:.1}% over", share * 100.0),
        Some(effect) => effect_value(rule, effect),
    }
}

/// Whether a rule on times counts the requests beyond its limit.
fn judged_by_count(rule: &Rule) -> bool {
    rule.statistic == Statistic::P99
        && rule.metric.kind() != Kind::PerDocument
        && matches!(rule.limit, Limit::Max(_))
}

/// A round in which requests stalled.
pub(super) fn stall(stall: &Stall) -> String {
    let (stalled, all) = stall.requests;
    let times = format!("{:.1} times", stall.worst);
    format!(
        "round {}: {stalled} of {all} requests of '{}' stalled, the longest at {times} its usual \
         latency; nothing is left out of the figures",
        stall.round, stall.variant
    )
}

/// A load that takes far more memory than serving.
pub(super) fn heavy_load(variant: &str, peak: f64, steady: f64) -> String {
    let bytes = |bytes| Unit::Bytes.format(bytes);
    format!(
        "{variant} took {} while it was loaded, {:.1} times the {} that it holds while serving: a memory limit has to \
         let the peak through",
        bytes(peak),
        peak / steady,
        bytes(steady)
    )
}

/// A small probability as a percentage, with the digits that it needs.
pub(super) fn level(level: f64) -> String {
    let percent = level * 100.0;
    match percent {
        _ if percent >= 1.0 => format!("{}%", plain((percent * 10.0).round() / 10.0)),
        _ if percent >= 0.01 || percent == 0.0 => {
            format!("{}%", plain((percent * 100.0).round() / 100.0))
        }
        _ => "under 0.01%".to_string(),
    }
}

/// A number without zeros that say nothing.
pub(super) fn plain(value: f64) -> String {
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

/// A relative limit as a signed change in percent: -5 where 5% less is allowed.
pub(super) fn limit_in_percent(rule: &Rule) -> Option<f64> {
    let Limit::Relative(share) = rule.limit else { return None };
    Some(share * if rule.better() == Better::Lower { 100.0 } else { -100.0 })
}

/// What is held against what, such as `int8 against fp16-ov`.
pub(super) fn group(rule: &Rule) -> String {
    let other = match &rule.against {
        Against::Variant(other) => format!("against {other}"),
        Against::Earlier(other) => format!("against {other} of the other run"),
        Against::Absolute => "against fixed limits".to_string(),
        Against::Baseline { relative_to, anchor } => {
            let ratio = relative_to.as_ref().map(|other| format!("relative to {other}, "));
            let of = anchor.as_ref().map(|anchor| format!(" of {anchor}"));
            let (ratio, of) = (ratio.unwrap_or_default(), of.unwrap_or_default());
            format!("{ratio}against the baseline{of}")
        }
    };
    format!("{} {other}", rule.variant)
}

/// What the column of the other side is called; fixed limits have none.
pub(super) fn other_side(rule: &Rule) -> Option<String> {
    match &rule.against {
        Against::Variant(other) => Some(other.clone()),
        Against::Earlier(other) => Some(format!("{other}, other run")),
        Against::Absolute => None,
        Against::Baseline { anchor, .. } => Some(anchor.clone().unwrap_or("baseline".to_string())),
    }
}

/// What to do about a rule that does not hold; nothing where its reason says it.
pub(super) fn next_step(verdict: &Verdict) -> Option<String> {
    let rule = &verdict.rule;
    match verdict.verdict {
        VerdictKind::Regressed if verdict.effect.is_none() && verdict.now.is_none() => Some(format!(
            "see under Failures why '{}' does not run, and try it alone: `perfgate run {}`",
            rule.variant, rule.variant
        )),
        VerdictKind::Regressed => Some(format!(
            "look at what changed in '{}' (model, properties, threads, runtime: `perfgate report \
             --verbose` lists them); if the change is wanted, loosen the limit in thresholds.toml",
            rule.variant
        )),
        // For what only informs nobody has to measure longer.
        VerdictKind::Inconclusive
            if rule.severity == Severity::Gate
                && verdict.needed.is_some_and(|needed| needed.of == Sample::Rounds) =>
        {
            Some("raise `rounds` under [session], or use `perfgate check --rounds N`".to_string())
        }
        VerdictKind::Inconclusive
            if rule.severity == Severity::Gate
                && verdict.needed.is_some_and(|needed| needed.of == Sample::Documents) =>
        {
            Some("add documents to the file that [quality.fidelity] names".to_string())
        }
        VerdictKind::Incomparable if rule.against.anchor().is_some() => Some(
            "name another anchor in thresholds.toml, at which sessions of this workload, machine class \
             and reference were stored"
                .to_string(),
        ),
        VerdictKind::Incomparable if matches!(rule.against, Against::Variant(_)) => Some(
            "write what both sides are into their perfgate.toml with `perfgate doctor --lock`, and commit it to the \
             base too"
                .to_string(),
        ),
        VerdictKind::Incomparable => Some(
            "store sessions of this workload, machine class and reference: `perfgate baseline update`"
                .to_string(),
        ),
        _ => None,
    }
}

/// Whether the interval of a change excludes that there is none.
pub(super) fn differs(summary: &Summary) -> bool {
    summary.change.as_ref().is_some_and(|change| change.low > 0.0 || change.high < 0.0)
}

/// A change against the reference in words, by its interval and the metric's usual limit: `+89.8%,
/// higher throughput`, `no perceptible change`.
pub(super) fn note(summary: &Summary) -> Option<String> {
    let change = summary.change.as_ref()?;
    let info = summary.metric.info();
    let share = summary.metric.is_proportion();
    let figure = |value: f64| match share {
        true => format!("{:+.1} pt", value * 100.0 + 0.0),
        false => percent(value),
    };
    let limit = info.default_limit;
    let largest = change.low.abs().max(change.high.abs());
    if !differs(summary) {
        return Some(match largest <= limit {
            _ if change.point == 0.0 => "no change".to_string(),
            true => "no perceptible change".to_string(),
            false => format!("{}, no change shown", figure(change.point)),
        });
    }
    let better =
        (change.point > 0.0) == (summary.metric.better(summary.statistic) == Better::Higher);
    let words = match (better, largest <= limit) {
        (true, true) => "slight improvement",
        (false, true) => "slight regression",
        (better, false) => info.words[usize::from(!better)],
    };
    Some(format!("{}, {words}", figure(change.point)))
}

/// Whether the estimate of a rule that is not decided lies beyond its limit.
pub(super) fn seems_broken(verdict: &Verdict) -> bool {
    let rule = &verdict.rule;
    let point = verdict.effect.as_ref().map(|effect| effect.point);
    let value = if rule.against == Against::Absolute { point.or(verdict.now) } else { point };
    let Some(value) = value.filter(|_| verdict.verdict == VerdictKind::Inconclusive) else {
        return false;
    };
    match (rule.limit, rule.better()) {
        (Limit::Max(limit), _) => value > limit,
        (Limit::Min(limit), _) => value < limit,
        (Limit::Relative(limit) | Limit::Points(limit), Better::Lower) => value > limit,
        (Limit::Relative(limit) | Limit::Points(limit), Better::Higher) => value < -limit,
    }
}

/// A broken rule for the headline: `int8: throughput 18.3% lower`, or the value and the limit.
pub(super) fn broken(verdict: &Verdict) -> String {
    let rule = &verdict.rule;
    let what = format!("{}: {}", rule.variant, self::rule(rule));
    if verdict.effect.is_none() && verdict.now.is_none() {
        // Of what failed there is no figure, and the cause stands before the first colon.
        return match (rule.metric.kind(), verdict.reason.split_once(": ")) {
            (Kind::PerDocument, Some((cause, _))) => format!("{what} not measured, {cause}"),
            (Kind::PerDocument, None) => format!("{} came through no document", rule.variant),
            _ => format!("{} completed no round", rule.variant),
        };
    }
    match (&verdict.effect, &rule.against, verdict.now) {
        (Some(effect), Against::Variant(_) | Against::Earlier(_) | Against::Baseline { .. }, _) => {
            let direction = if effect.point < 0.0 { "lower" } else { "higher" };
            let size = match (rule.limit, effect.point.abs()) {
                // What is proven is not nothing.
                (Limit::Relative(_), point) if point < 5e-4 => format!("{:.1e}%", point * 100.0),
                (_, point) => effect_value(rule, point),
            };
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
