//! Owns the figures of a report as numbers, and its rules one by one, for programs: dashboards, test reports,
//! annotations.

use super::words;
use crate::metric::Better;
use crate::record::{
    Against, Judgement, Part, Results, Rule, Severity, Summary, Verdict, VerdictKind,
};
use crate::verdict::{self, blocks};
use serde::Serialize;

/// One metric of one variant as numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// The variant.
    pub variant: String,
    /// The metric's id.
    pub metric: &'static str,
    /// The statistic's id.
    pub statistic: &'static str,
    /// The metric and statistic in words.
    pub what: String,
    /// The unit of the numbers: `s`, `tok/s`, `bytes`, `share`, `tok/J`, `J/tok`, `ratio`.
    pub unit: &'static str,
    /// Whether more is better.
    pub more_is_better: bool,
    /// The value: a finite number.
    pub value: f64,
    /// The ends of its 95% interval, which describes and decides nothing.
    pub interval: Option<[f64; 2]>,
    /// Rounds behind it; none behind a share of graded tasks.
    pub rounds: usize,
    /// Samples behind it.
    pub samples: usize,
}

/// One rule with what it came to, in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The rule's id.
    pub id: String,
    /// Its line in `thresholds.toml`.
    pub line: usize,
    /// The variant judged.
    pub variant: String,
    /// What it is held against, such as `int8 against fp16`.
    pub group: String,
    /// Whether it takes part in the exit code.
    pub severity: Severity,
    /// What it came to.
    pub verdict: VerdictKind,
    /// Whether it alone keeps the exit code from being 0.
    pub blocks: bool,
    /// What was found, in one sentence.
    pub says: String,
    /// What it comes to in each round.
    pub by_round: Option<ByRound>,
}

/// The change of a comparison in each round of the session, in percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByRound {
    /// What changes, such as `latency P90 of int8 against fp16`.
    pub title: String,
    /// The change by round: 5 is 5% more.
    pub percent: Vec<f64>,
    /// The rule's limit as such a change.
    pub limit: f64,
}

/// Every value that is a finite number.
pub(super) fn figures(results: &Results) -> Vec<Figure> {
    let of_variant = |variant: &String| {
        let summaries = results.summaries.get(variant).map_or(&[][..], Vec::as_slice);
        let figure = |summary: &Summary| of_summary(variant, summary);
        summaries.iter().filter_map(figure).collect::<Vec<_>>()
    };
    results.variants.iter().flat_map(of_variant).collect()
}

fn of_summary(variant: &str, summary: &Summary) -> Option<Figure> {
    let value = summary.value.filter(|value| value.is_finite())?;
    let (metric, statistic) = (summary.metric, summary.statistic);
    Some(Figure {
        variant: variant.to_string(),
        metric: metric.id(),
        statistic: statistic.id(),
        what: words::metric(metric, statistic),
        unit: metric.unit(statistic).symbol(),
        more_is_better: metric.better(statistic) == Better::Higher,
        value,
        interval: summary.interval,
        rounds: summary.rounds,
        samples: summary.samples,
    })
}

/// Every rule, in the order of `thresholds.toml`.
pub(super) fn rules(results: &Results) -> Vec<Judged> {
    let of = |judgement: &Judgement| {
        let judged = |verdict| judged(verdict, judgement, &results.parts);
        judgement.verdicts.iter().map(judged).collect()
    };
    results.judgement.as_ref().map(of).unwrap_or_default()
}

fn judged(verdict: &Verdict, judgement: &Judgement, parts: &[Part]) -> Judged {
    let rule = &verdict.rule;
    Judged {
        id: rule.id.clone(),
        line: rule.line,
        variant: rule.variant.clone(),
        group: words::group(rule),
        severity: rule.severity,
        verdict: verdict.verdict,
        blocks: blocks(verdict, &judgement.policies),
        says: says(verdict),
        by_round: by_round(rule, parts),
    }
}

/// What was found: the change or value with its interval and the limit, and the reason.
fn says(verdict: &Verdict) -> String {
    let mut text = words::broken(verdict);
    let interval = words::interval(verdict);
    if interval != "-" {
        text += &format!("; interval {interval}");
    }
    if !verdict.reason.is_empty() {
        text += &format!("; {}", verdict.reason);
    }
    text
}

/// The change by round, where two variants of one session are compared by a ratio.
fn by_round(rule: &Rule, parts: &[Part]) -> Option<ByRound> {
    let Against::Variant(other) = &rule.against else { return None };
    let limit = words::limit_in_percent(rule)?;
    let part = parts.iter().find(|part| part.has(&rule.variant) && part.has(other))?;
    let rounds = part.complete();
    let logs =
        verdict::log_ratios(rule.metric, rule.statistic, &rounds, &rule.variant, other).values;
    let percent: Vec<f64> = logs.iter().map(|log| (log.exp() - 1.0) * 100.0).collect();
    let title = format!("{} of {}", words::rule(rule), words::group(rule));
    // A rule on some of the tasks is judged on copies that hold no others.
    (percent.len() > 1 && rule.only.is_empty()).then_some(ByRound { title, percent, limit })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A rule with what it came to.
    pub fn judged(id: &str, verdict: VerdictKind, blocks: bool) -> Judged {
        Judged {
            id: id.to_string(),
            line: 1,
            variant: "int8".to_string(),
            group: "int8 against fp16".to_string(),
            severity: Severity::Gate,
            verdict,
            blocks,
            says: format!("int8: {id} is what it is"),
            by_round: None,
        }
    }
}
