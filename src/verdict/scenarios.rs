//! Owns what scenarios need of the samples: whether variants fulfil what is required, and how their accuracies compare.

use super::graded::right_tasks;
use super::{Measured, ONE_SIDE, judge};
use crate::config;
use crate::record::{Part, Requirement, Scenario};
use crate::stats::{self, Interval, Pairs};
use std::borrow::Cow;

/// What each scenario requires, judged of the variants that were measured. Each requirement is judged by itself, with
/// one-sided bounds of 2.5%: it shares nothing with the rules of the gate, or with the looks that they stop at.
pub fn scenarios(asked: &[config::Scenario], measured: &Measured<'_>) -> Vec<Scenario> {
    let mut parts = Cow::Borrowed(measured.parts);
    if parts.iter().any(|part| part.header.plan.stopping.is_some()) {
        parts.to_mut().iter_mut().for_each(|part| part.header.plan.stopping = None);
    }
    let measured = &Measured { parts: &parts, ..*measured };
    let scenario = |scenario: &config::Scenario| Scenario {
        name: scenario.name.clone(),
        about: scenario.about.clone(),
        requires: scenario.requires.iter().map(|one| requirement(one, measured)).collect(),
        weights: scenario.weights.clone(),
    };
    asked.iter().map(scenario).collect()
}

fn requirement(asked: &config::Requirement, measured: &Measured<'_>) -> Requirement {
    let rules = asked.rules.iter().filter(|rule| measured.part_of(&rule.variant).is_some());
    Requirement {
        name: asked.name.clone(),
        metric: asked.metric,
        statistic: asked.statistic,
        limit: asked.limit,
        evidence: asked.evidence,
        verdicts: rules.map(|rule| judge::verdict(rule, measured, ONE_SIDE)).collect(),
    }
}

/// The log of the ratio of two variants' accuracies on the tasks that both answered, `a` over `b`; its ends are each a
/// one-sided bound at level `alpha`. `None` without such tasks, or where one has none right.
///
/// From the exact interval of the difference, with `b`'s share taken as it was found: `ln(1 + difference / share)`.
pub fn accuracy_ratio(part: &Part, [a, b]: [&str; 2], alpha: f64) -> Option<Interval> {
    let (of_a, of_b) = (right_tasks(part, a), right_tasks(part, b));
    let mut pairs = Pairs { first_only: 0.0, second_only: 0.0, all: 0.0 };
    let mut right = 0.0;
    for (task, second) in &of_b {
        let Some(first) = of_a.get(task) else { continue };
        pairs.all += 1.0;
        pairs.first_only += f64::from(u8::from(*first && !second));
        pairs.second_only += f64::from(u8::from(!first && *second));
        right += f64::from(u8::from(*second));
    }
    let share = right / pairs.all;
    let log = |difference: f64| (1.0 + difference / share).max(0.0).ln();
    let found = stats::paired_difference(pairs, alpha);
    let ratio = Interval { point: log(found.point), low: log(found.low), high: log(found.high) };
    (share > 0.0 && ratio.point.is_finite()).then_some(ratio)
}
