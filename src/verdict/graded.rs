//! Owns the rules on graded tasks: shares paired by task, held against a limit in points.

use super::judge::Case;
use crate::metric::{Better, Metric, Read};
use crate::record::{Answer, Effect, FailureClass, Grade, Part, Verdict, VerdictKind};
use crate::stats::{self, Interval, Pairs};
use std::collections::BTreeMap;

/// Most tasks that are worth naming as a remedy.
pub(super) const MOST_TASKS: usize = 100_000;

/// Whether a grade counts against the variant in a metric.
pub(super) fn bad(metric: Metric, grade: Grade) -> bool {
    match metric.info().read {
        Read::Answers(counts) => counts(grade),
        _ => false,
    }
}

impl Case<'_> {
    /// A rule on graded tasks against a variant of this session or another: answers don't vary by
    /// session, so they are paired by task in any case.
    pub(super) fn graded(&self, then: &Part, reference: &str, limit: f64) -> Verdict {
        let now = self.bad_tasks(self.now, &self.rule.variant);
        if now.is_empty() {
            return self.no_answers();
        }
        if let Some(why) = hard_failures(then, reference) {
            return self.undecided(VerdictKind::Invalid, why);
        }
        self.paired(&now, &self.bad_tasks(then, reference), limit)
    }

    /// A rule on graded tasks against a fixed limit.
    pub(super) fn graded_share(&self, limit: f64) -> Verdict {
        let now = self.bad_tasks(self.now, &self.rule.variant);
        if now.is_empty() { self.no_answers() } else { self.share(&now, limit) }
    }

    fn no_answers(&self) -> Verdict {
        let why = format!("'{}' was asked no graded task", self.rule.variant);
        self.undecided(VerdictKind::Invalid, why)
    }

    /// For each task of a variant, whether it counts against it.
    pub(super) fn bad_tasks(&self, part: &Part, variant: &str) -> BTreeMap<String, bool> {
        let metric = self.rule.metric;
        answers(part, variant).map(|a| (a.task.clone(), bad(metric, a.grade))).collect()
    }

    /// The paired difference of two shares, in points.
    pub(super) fn paired(
        &self,
        now: &BTreeMap<String, bool>,
        base: &BTreeMap<String, bool>,
        limit: f64,
    ) -> Verdict {
        let (mut worse, mut better, mut all) = (0u32, 0u32, 0u32);
        let (mut bad_now, mut bad_base) = (0u32, 0u32);
        for (task, now) in now {
            let Some(base) = base.get(task) else { continue };
            all += 1;
            worse += u32::from(*now && !base);
            better += u32::from(!now && *base);
            bad_now += u32::from(*now);
            bad_base += u32::from(*base);
        }
        if all == 0 || base.len() != now.len() {
            let why = format!(
                "{all} tasks can be paired, of {} on this side and {} on the other",
                now.len(),
                base.len()
            );
            return self.undecided(VerdictKind::Invalid, why);
        }
        let pairs = Pairs {
            first_only: f64::from(worse),
            second_only: f64::from(better),
            all: f64::from(all),
        };
        let loss = stats::paired_difference(pairs, self.alpha);
        let mut verdict = self.undecided(self.kind(loss, limit), String::new());
        verdict.reason = format!("{worse} of {all} tasks got worse, {better} got better");
        if verdict.verdict == VerdictKind::Inconclusive {
            verdict.reason += &match stats::pairs_needed(pairs, limit, self.alpha, MOST_TASKS) {
                Some(needed) => format!("; about {needed} tasks with such shares would settle it"),
                None => format!("; too near the limit: {MOST_TASKS} tasks would not settle it"),
            };
        }
        verdict.now = Some(self.shown_share(f64::from(bad_now) / f64::from(all)));
        verdict.base = Some(self.shown_share(f64::from(bad_base) / f64::from(all)));
        verdict.effect = Some(self.share_effect(self.turned(loss, 0.0), all));
        verdict
    }

    /// A share against a fixed limit, by exact binomial bounds on what counts against the variant.
    fn share(&self, now: &BTreeMap<String, bool>, limit: f64) -> Verdict {
        let hits = now.values().filter(|bad| **bad).count() as u64;
        let all = now.len() as u64;
        let mut verdict = self.proportion(hits, all, self.shown_share(limit));
        verdict.base = Some(limit);
        verdict.now = verdict.now.map(|share| self.shown_share(share));
        if let Some(effect) = &mut verdict.effect {
            let bounds = Interval { point: effect.point, low: effect.low, high: effect.high };
            *effect = self.share_effect(self.turned(bounds, 1.0), all as u32);
        }
        verdict
    }

    /// A share of bad tasks as the metric shows it, and back.
    fn shown_share(&self, share: f64) -> f64 {
        if self.rule.better() == Better::Higher { 1.0 - share } else { share }
    }

    /// An interval on bad tasks as the metric shows it: `whole - x` where more is better.
    fn turned(&self, bad: Interval, whole: f64) -> Interval {
        match self.rule.better() {
            Better::Lower => bad,
            Better::Higher => {
                Interval { point: whole - bad.point, low: whole - bad.high, high: whole - bad.low }
            }
        }
    }

    fn share_effect(&self, bounds: Interval, tasks: u32) -> Effect {
        Effect { rounds: 0, ..self.proportion_effect(bounds, u64::from(tasks)) }
    }
}

fn answers<'a>(part: &'a Part, variant: &'a str) -> impl Iterator<Item = &'a Answer> {
    part.answers.iter().filter(move |answer| answer.variant == variant)
}

/// Why a reference's answers say nothing: those that its engine failed to give are not its own.
fn hard_failures(part: &Part, reference: &str) -> Option<String> {
    let hard = |answer: &&Answer| {
        answer.failure.as_ref().is_some_and(|f| f.class != FailureClass::Malformed)
    };
    let failed: Vec<&Answer> = answers(part, reference).filter(hard).collect();
    let first = failed.first()?.failure.as_ref()?;
    Some(format!("{} tasks of '{reference}', the other side, failed: {first}", failed.len()))
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::{header, rule};
    use super::super::samples::tests::request;
    use super::super::{Measured, judge};
    use super::*;
    use crate::metric::{ACCURACY, Statistic, TASK_FAILURE_RATE};
    use crate::record::{Failure, Limit, Round, Rule};

    fn answer(variant: &str, task: usize, grade: Grade) -> Answer {
        Answer {
            variant: variant.to_string(),
            task: format!("t{task}"),
            prompt_tokens: 1,
            tokens: vec![],
            text: String::new(),
            cached: false,
            grade,
            failure: None,
        }
    }

    /// A hundred tasks, of which so many first ones each side has wrong.
    fn answers(base_wrong: usize, now_wrong: usize) -> Vec<Answer> {
        let grade = |task: usize, wrong: usize| {
            if task < wrong { Grade::Wrong } else { Grade::Right }
        };
        (0..100)
            .flat_map(|task| {
                [
                    answer("base", task, grade(task, base_wrong)),
                    answer("now", task, grade(task, now_wrong)),
                ]
            })
            .collect()
    }

    fn verdict(rule: Rule, answers: &[Answer]) -> Verdict {
        let requests =
            ["base", "now"].map(|variant| request(1, variant, "t", &[10.0, 20.0])).to_vec();
        let rounds = [Round { round: 1, complete: true, workers: vec![], requests }];
        let part = Part {
            header: header(),
            ended: String::new(),
            resumed: vec![],
            rounds: rounds.to_vec(),
            answers: answers.to_vec(),
        };
        let measured = Measured { parts: &[part], earlier: &[], stored: &[] };
        judge(&[rule], &measured, 0.05).remove(0)
    }

    fn accuracy(limit: Limit) -> Rule {
        rule(ACCURACY, Statistic::Rate, limit)
    }

    #[test]
    fn a_proven_loss_is_a_regression_and_a_small_one_asks_for_more_tasks() {
        let lost = verdict(accuracy(Limit::Points(0.01)), &answers(10, 30));
        assert_eq!(lost.verdict, VerdictKind::Regressed);
        assert_eq!(lost.reason, "20 of 100 tasks got worse, 0 got better");
        let effect = lost.effect.unwrap();
        assert!((effect.point + 0.2).abs() < 1e-12 && effect.high < -0.01, "{effect:?}");
        assert!((lost.now.unwrap() - 0.7).abs() < 1e-12);
        let small = verdict(accuracy(Limit::Points(0.01)), &answers(10, 13));
        assert_eq!(small.verdict, VerdictKind::Inconclusive);
        assert!(
            small.reason.contains("tasks with such shares would settle it"),
            "{}",
            small.reason
        );
        let wide = verdict(accuracy(Limit::Points(0.10)), &answers(10, 10));
        assert_eq!(wide.verdict, VerdictKind::Pass);
        let gain = verdict(accuracy(Limit::Points(0.01)), &answers(30, 10));
        assert_eq!(gain.verdict, VerdictKind::Improved);
    }

    #[test]
    fn a_fixed_limit_is_held_against_the_exact_bounds() {
        let at_least = |share| verdict(accuracy(Limit::Min(share)), &answers(0, 20));
        assert_eq!(at_least(0.7).verdict, VerdictKind::Pass);
        assert_eq!(at_least(0.95).verdict, VerdictKind::Regressed);
        let near = at_least(0.8);
        assert_eq!(near.verdict, VerdictKind::Inconclusive);
        assert_eq!((near.now, near.base), (Some(0.8), Some(0.8)));
        let effect = near.effect.unwrap();
        assert!(effect.low < 0.8 && 0.8 < effect.high && effect.high < 0.9, "{effect:?}");
    }

    #[test]
    fn failed_answers_count_against_the_candidate_and_void_the_reference() {
        let crash = Failure { class: FailureClass::Crash, message: "gone".into() };
        let mut failing = answers(0, 0);
        for answer in failing.iter_mut().filter(|answer| answer.variant == "now").take(20) {
            answer.grade = Grade::Failed;
            answer.failure = Some(crash.clone());
        }
        assert_eq!(
            verdict(accuracy(Limit::Points(0.01)), &failing).verdict,
            VerdictKind::Regressed
        );
        let failures = rule(TASK_FAILURE_RATE, Statistic::Rate, Limit::Points(0.01));
        assert_eq!(verdict(failures, &failing).verdict, VerdictKind::Regressed);
        for answer in &mut failing {
            answer.variant = if answer.variant == "now" { "base" } else { "now" }.to_string();
        }
        let void = verdict(accuracy(Limit::Points(0.01)), &failing);
        assert_eq!(void.verdict, VerdictKind::Invalid);
        assert!(void.reason.contains("crash: gone"), "{}", void.reason);
    }

    #[test]
    fn tasks_without_a_partner_are_no_quiet_pass() {
        let mut answers = answers(0, 0);
        answers.retain(|answer| answer.variant == "now" || answer.task != "t5");
        assert_eq!(verdict(accuracy(Limit::Points(0.01)), &answers).verdict, VerdictKind::Invalid);
        answers.retain(|answer| answer.variant == "base");
        assert_eq!(verdict(accuracy(Limit::Points(0.01)), &answers).verdict, VerdictKind::Invalid);
    }
}
