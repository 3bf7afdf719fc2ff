//! Owns the rules on graded tasks: shares paired by task, held against a limit in points.

use super::change::POWER;
use super::judge::{Case, Test};
use super::tasks::{answers, failed};
use crate::metric::{ACCURACY, Better, Metric, Read};
use crate::record::{
    Answer, Effect, FailureClass, Grade, Needed, Part, Resolution, Sample, Verdict, VerdictKind,
};
use crate::stats::{self, Interval, PairCounts, Pairs};
use std::collections::BTreeMap;

/// Most tasks that are worth naming as a remedy.
pub(super) const MOST_TASKS: usize = 100_000;

/// The share of a suite's tasks that the reference has right up to which it is at the floor; so near to
/// all it is at the ceiling.
const FLOOR: f64 = 0.02;

/// The share of a side's answers that may have been cut off at the most tokens of an answer: with more of them an
/// accuracy is that of the limit on tokens, and not of the model.
const CUT_OFF: f64 = 0.05;

/// Whether a grade counts against the variant in a metric.
pub(super) fn bad(metric: Metric, grade: Grade) -> bool {
    match metric.info().read {
        Read::Answers(counts) => counts(grade),
        _ => false,
    }
}

/// For each task of a variant, whether it is right.
pub(super) fn right_tasks(part: &Part, variant: &str) -> BTreeMap<String, bool> {
    answers(part, variant).map(|a| (a.task.clone(), !bad(ACCURACY, a.grade))).collect()
}

/// How the tasks of two variants fell out.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    /// Tasks that count against the variant judged alone.
    worse: u32,
    /// Tasks that count against the other side alone.
    better: u32,
    /// Tasks that count against the variant judged.
    bad_now: u32,
    /// Tasks that count against the other side.
    bad_base: u32,
    all: u32,
}

impl Tally {
    fn add(&mut self, now: bool, base: bool) {
        self.all += 1;
        self.worse += u32::from(now && !base);
        self.better += u32::from(!now && base);
        self.bad_now += u32::from(now);
        self.bad_base += u32::from(base);
    }

    fn and(self, other: Tally) -> Tally {
        Tally {
            worse: self.worse + other.worse,
            better: self.better + other.better,
            bad_now: self.bad_now + other.bad_now,
            bad_base: self.bad_base + other.bad_base,
            all: self.all + other.all,
        }
    }

    fn counts(&self) -> PairCounts {
        PairCounts {
            first_only: u64::from(self.worse),
            second_only: u64::from(self.better),
            all: u64::from(self.all),
        }
    }

    /// By how much more of them count against the variant than against the other side, as a share.
    fn loss(&self) -> f64 {
        (f64::from(self.worse) - f64::from(self.better)) / f64::from(self.all)
    }

    /// Whether the other side has (nearly) all or none of them right: such tasks tell a loss badly. That none of
    /// them fails there is as it should be, and hides no failure of the variant.
    fn tells_little(&self, metric: Metric) -> bool {
        let share = f64::from(self.bad_base) / f64::from(self.all);
        let too_easy = metric == ACCURACY && share < FLOOR;
        too_easy || share > 1.0 - FLOOR
    }
}

impl Case<'_> {
    /// A rule on graded tasks against a variant of this session or another: answers don't vary by
    /// session, so they are paired by task in any case.
    pub(super) fn graded(&self, then: &Part, reference: &str, limit: f64) -> Test<'_> {
        let now = self.bad_tasks(self.now, &self.rule.variant);
        if now.is_empty() {
            return self.no_answers();
        }
        if let Some(why) = hard_failures(then, reference) {
            return self.known(VerdictKind::Invalid, why);
        }
        let test = self.paired(&now, &self.bad_tasks(then, reference), limit);
        let cut_off = [(self.now, self.rule.variant.as_str()), (then, reference)];
        let Some(why) = self.cut_off(&cut_off) else { return test };
        Box::new(move |alpha| match test(alpha) {
            verdict if matches!(verdict.verdict, VerdictKind::Pass | VerdictKind::Improved) => {
                let reason = format!("{}; {why}", verdict.reason);
                Verdict { verdict: VerdictKind::Inconclusive, reason, needed: None, ..verdict }
            }
            verdict => verdict,
        })
    }

    /// Why an accuracy cannot be shown to hold: too many answers of a side were cut off before their end. What is cut off
    /// on both sides counts as wrong on both, whatever the models would have said.
    fn cut_off(&self, sides: &[(&Part, &str)]) -> Option<String> {
        if self.rule.metric != ACCURACY {
            return None;
        }
        let of = |(part, variant): &(&Part, &str)| {
            let share = failed(part, variant, Some(FailureClass::RunOn));
            (share.of > 0 && share.point() > CUT_OFF)
                .then(|| format!("{} of {} answers of '{variant}'", share.hits, share.of))
        };
        let found: Vec<String> = sides.iter().filter_map(of).collect();
        (!found.is_empty()).then(|| {
            format!(
                "{} were cut off at the limit of tokens and count as wrong, which shows no accuracy: raise \
                 `max_tokens` under [quality], or name where an answer ends with `stop`",
                found.join(" and ")
            )
        })
    }

    /// A rule on graded tasks against a fixed limit.
    pub(super) fn graded_share(&self, limit: f64) -> Test<'_> {
        let now = self.bad_tasks(self.now, &self.rule.variant);
        if now.is_empty() {
            return self.no_answers();
        }
        Box::new(move |alpha| self.share(&now, limit, alpha))
    }

    fn no_answers(&self) -> Test<'_> {
        let quality = self.now.header.plan.quality.as_ref();
        if let Some(some) = quality.and_then(|quality| quality.narrowed.as_ref()) {
            let why = format!("none of its tasks was asked for, which were those of {some}");
            return self.known(VerdictKind::Inconclusive, why);
        }
        let why = format!("'{}' was asked no graded task", self.rule.variant);
        self.known(VerdictKind::Invalid, why)
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
    ) -> Test<'_> {
        let mut suites: BTreeMap<Option<String>, Tally> = BTreeMap::new();
        let mut whole = Tally::default();
        for (task, now) in now {
            let Some(base) = base.get(task) else { continue };
            whole.add(*now, *base);
            suites.entry(self.suite(task)).or_default().add(*now, *base);
        }
        if whole.all == 0 || base.len() != now.len() {
            let why = format!(
                "{} tasks can be paired, of {} on this side and {} on the other",
                whole.all,
                now.len(),
                base.len()
            );
            return self.known(VerdictKind::Invalid, why);
        }
        let metric = self.rule.metric;
        let (poor, telling): (Vec<_>, Vec<_>) =
            suites.into_iter().partition(|(_, tally)| tally.tells_little(metric));
        let telling = telling.into_iter().fold(Tally::default(), |sum, (_, tally)| sum.and(tally));
        let poor: Vec<Option<String>> = poor.into_iter().map(|(suite, _)| suite).collect();
        Box::new(move |alpha| {
            let verdict = self.decide_pairs(whole, limit, alpha);
            match verdict.verdict {
                VerdictKind::Pass | VerdictKind::Improved if !poor.is_empty() => {
                    self.by_telling_suites(verdict, telling, &poor, limit, alpha)
                }
                VerdictKind::Inconclusive => {
                    // More tasks of which nothing can be lost don't show that nothing is lost; a loss they do show.
                    // So a loss is forecast from all of them, and nothing is said against the suites in which it shows.
                    if whole.loss() > limit {
                        self.with_forecast(verdict, whole, &[], limit, alpha)
                    } else {
                        self.with_forecast(verdict, telling, &poor, limit, alpha)
                    }
                }
                _ => verdict,
            }
        })
    }

    /// Holds a pass only if the suites that can tell a loss show it too: at the floor nothing can be lost,
    /// and what is too easy is lost last.
    fn by_telling_suites(
        &self,
        verdict: Verdict,
        telling: Tally,
        poor: &[Option<String>],
        limit: f64,
        alpha: f64,
    ) -> Verdict {
        let of_telling = || self.decide_pairs(telling, limit, alpha).verdict;
        if telling.all > 0 && matches!(of_telling(), VerdictKind::Pass | VerdictKind::Improved) {
            let reason = format!("{}; {}", verdict.reason, self.why_poor(poor));
            return Verdict { reason, ..verdict };
        }
        let verdict = Verdict { verdict: VerdictKind::Inconclusive, ..verdict };
        self.with_forecast(verdict, telling, poor, limit, alpha)
    }

    /// Why some suites are no evidence.
    fn why_poor(&self, poor: &[Option<String>]) -> String {
        let names: Vec<&str> =
            poor.iter().map(|suite| suite.as_deref().unwrap_or("tasks without a suite")).collect();
        let names = names.join(", ");
        match self.rule.metric == ACCURACY {
            true => format!(
                "{names}: the other side has nearly all or none of it right, which is no evidence"
            ),
            false => {
                format!("{names}: the other side fails at nearly all of it, which is no evidence")
            }
        }
    }

    /// What would settle an undecided rule: more of the tasks that can tell, if there are any.
    fn with_forecast(
        &self,
        mut verdict: Verdict,
        telling: Tally,
        poor: &[Option<String>],
        limit: f64,
        alpha: f64,
    ) -> Verdict {
        if !poor.is_empty() {
            verdict.reason += &format!("; {}", self.why_poor(poor));
        }
        if telling.all == 0 {
            verdict.reason += ", and more tasks like these would not settle it";
            return verdict;
        }
        let of_the_others = if poor.is_empty() { "" } else { " of the other suites" };
        let pairs = Pairs::from(telling.counts());
        let needed = stats::pairs_needed(pairs, limit, alpha, MOST_TASKS);
        verdict.needed = needed.map(|count| Needed { count: count as u64, of: Sample::Tasks });
        verdict.reason += &match needed {
            Some(needed) => {
                format!("; about {needed} tasks{of_the_others} with such shares would settle it")
            }
            None => format!(
                "; too near the limit: {MOST_TASKS} tasks{of_the_others} would not settle it"
            ),
        };
        verdict
    }

    /// The suite of a graded task.
    fn suite(&self, task: &str) -> Option<String> {
        let quality = self.now.header.plan.quality.as_ref()?;
        quality.labels.get(task)?.suite.clone()
    }

    fn decide_pairs(&self, tally: Tally, limit: f64, alpha: f64) -> Verdict {
        let Tally { worse, better, all, .. } = tally;
        let pairs = Pairs::from(tally.counts());
        let loss = stats::exact_paired_difference(tally.counts(), limit, alpha);
        let mut verdict = self.undecided(self.kind(loss, limit), String::new());
        verdict.reason = format!("{worse} of {all} tasks got worse, {better} got better");
        if worse + better > 0 {
            let p = stats::mcnemar(u64::from(worse), u64::from(better));
            verdict.reason += &format!(" (exact McNemar {})", p_value(p));
        }
        let share = |bad: u32| Some(self.shown_share(f64::from(bad) / f64::from(all)));
        (verdict.now, verdict.base) = (share(tally.bad_now), share(tally.bad_base));
        verdict.effect = Some(self.tasks_effect(self.turned(loss, 0.0), all, alpha));
        let sign = if self.rule.better() == Better::Higher { -1.0 } else { 1.0 };
        verdict.resolution = Some(Resolution {
            level: alpha,
            noise: None,
            detectable: stats::detectable_difference(pairs, limit, alpha, POWER)
                .map(|difference| sign * difference),
        });
        verdict
    }

    /// A share against a fixed limit, by exact binomial bounds on what counts against the variant.
    fn share(&self, now: &BTreeMap<String, bool>, limit: f64, alpha: f64) -> Verdict {
        let hits = now.values().filter(|bad| **bad).count() as u64;
        let all = now.len() as u64;
        let mut verdict = self.proportion(hits, all, self.shown_share(limit), alpha);
        verdict.base = Some(limit);
        verdict.now = verdict.now.map(|share| self.shown_share(share));
        if let Some(effect) = &mut verdict.effect {
            let bounds = Interval { point: effect.point, low: effect.low, high: effect.high };
            *effect = self.tasks_effect(self.turned(bounds, 1.0), all as u32, alpha);
        }
        if let Some(resolution) = &mut verdict.resolution {
            resolution.detectable = resolution.detectable.map(|share| self.shown_share(share));
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

    fn tasks_effect(&self, bounds: Interval, tasks: u32, alpha: f64) -> Effect {
        Effect { rounds: 0, ..self.share_effect(bounds, tasks as usize, alpha) }
    }
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_string() } else { format!("p = {p:.3}") }
}

/// Why a reference's answers say nothing: those that its engine failed to give are not its own.
fn hard_failures(part: &Part, reference: &str) -> Option<String> {
    let hard = |answer: &&Answer| answer.failure.as_ref().is_some_and(|f| !f.class.is_answer());
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
    use crate::baseline::Stores;
    use crate::metric::{Statistic, TASK_FAILURE_RATE};
    use crate::record::{Failure, FailureClass, Labels, Limit, QualityPlan, Round, Rule};

    fn answer(variant: &str, task: usize, grade: Grade) -> Answer {
        Answer {
            variant: variant.to_string(),
            task: format!("t{task}"),
            prompt_tokens: 1,
            tokens: vec![],
            text: String::new(),
            cached: false,

            log_likelihoods: vec![],
            reason: None,
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
        let rounds = [Round { round: 1, complete: true, requests, ..Round::default() }];
        let part = Part {
            header: header(),
            ended: String::new(),
            resumed: vec![],
            rounds: rounds.to_vec(),
            answers: answers.to_vec(),
            rows: Default::default(),
            repeats: vec![],
            engines: BTreeMap::new(),
            fidelity: Vec::new(),
            idle: Vec::new(),
            hardware: None,
            work: BTreeMap::new(),
            execution: BTreeMap::new(),
            load: Vec::new(),
        };
        let measured = Measured { parts: &[part], earlier: &[], stored: &Stores::default() };
        judge(&[rule], &measured, 0.05).remove(0)
    }

    fn accuracy(limit: Limit) -> Rule {
        rule(ACCURACY, Statistic::Rate, limit)
    }

    #[test]
    fn a_proven_loss_is_a_regression_and_a_small_one_asks_for_more_tasks() {
        let lost = verdict(accuracy(Limit::Points(0.01)), &answers(10, 30));
        assert_eq!(lost.verdict, VerdictKind::Regressed);
        assert_eq!(
            lost.reason,
            "20 of 100 tasks got worse, 0 got better (exact McNemar p < 0.001)"
        );
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
    fn little_evidence_is_not_proof() {
        // So many tasks, all right on the other side of which so many were lost.
        let lost = |tasks: usize, lost: usize| {
            let mut few = answers(0, lost);
            few.retain(|answer| answer.task[1..].parse::<usize>().unwrap() < tasks);
            verdict(accuracy(Limit::Points(0.01)), &few)
        };
        for all in [1, 2, 3, 4] {
            let found = lost(all, all);
            assert_eq!(found.verdict, VerdictKind::Inconclusive, "{found:?}");
            assert!(found.effect.unwrap().high >= -0.01, "the interval reaches the limit");
        }
        let found = lost(5, 5);
        assert_eq!(found.verdict, VerdictKind::Regressed, "0.505 to the fifth is 3.3%: {found:?}");
        assert!(found.effect.unwrap().high < -0.01);
    }

    #[test]
    fn an_accuracy_of_answers_that_were_cut_off_is_not_shown() {
        let cut = |side: &str, count: usize, limit| {
            let mut all = answers(30, 30);
            for answer in all.iter_mut().filter(|answer| answer.variant == side).take(count) {
                answer.grade = Grade::Failed;
                answer.failure =
                    Some(Failure { class: FailureClass::RunOn, message: "no end".into() });
            }
            verdict(accuracy(Limit::Points(limit)), &all)
        };
        assert_eq!(cut("now", 5, 0.1).verdict, VerdictKind::Pass, "a few");
        for side in ["now", "base"] {
            let found = cut(side, 20, 0.1);
            assert_eq!(found.verdict, VerdictKind::Inconclusive, "{found:?}");
            let said = format!("20 of 100 answers of '{side}' were cut off at the limit of tokens");
            assert!(found.reason.contains(&said), "{}", found.reason);
            assert_eq!(found.needed, None, "no number of tasks would help");
        }
        // A loss is a loss.
        assert_eq!(cut("now", 60, 0.1).verdict, VerdictKind::Regressed);
    }

    #[test]
    fn more_tasks_that_tell_nothing_are_not_advised() {
        let floor = in_suites([100, 100], [100, 100]);
        assert!(
            floor.reason.ends_with("more tasks like these would not settle it"),
            "{}",
            floor.reason
        );
        assert_eq!(floor.needed, None);
        let one = in_suites([0, 0], [40, 43]);
        assert!(one.reason.contains("tasks of the other suites"), "{}", one.reason);
        assert!(one.needed.unwrap().count > 100);
    }

    #[test]
    fn a_reference_that_never_fails_hides_no_failure() {
        let failures = |limit| rule(TASK_FAILURE_RATE, Statistic::Rate, Limit::Points(limit));
        assert_eq!(verdict(failures(0.05), &answers(40, 40)).verdict, VerdictKind::Pass);
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

    /// The answers of two suites: what each side has wrong in the first, and in the second.
    fn in_suites(first: [usize; 2], second: [usize; 2]) -> Verdict {
        let mut answers = Vec::new();
        let mut labels = BTreeMap::new();
        for (suite, wrong) in [("one", first), ("two", second)] {
            for task in 0..100 {
                let id = format!("{suite}-{task}");
                for (variant, wrong) in ["base", "now"].into_iter().zip(wrong) {
                    let grade = if task < wrong { Grade::Wrong } else { Grade::Right };
                    answers.push(Answer { task: id.clone(), ..answer(variant, task, grade) });
                }
                labels.insert(id, Labels { suite: Some(suite.to_string()), tags: vec![] });
            }
        }
        let requests =
            ["base", "now"].map(|variant| request(1, variant, "t", &[10.0, 20.0])).to_vec();
        let mut part = Part {
            header: header(),
            ended: String::new(),
            resumed: vec![],
            rounds: vec![Round { round: 1, complete: true, requests, ..Round::default() }],
            answers,
            rows: Default::default(),
            repeats: vec![],
            engines: BTreeMap::new(),
            fidelity: Vec::new(),
            idle: Vec::new(),
            hardware: None,
            work: BTreeMap::new(),
            execution: BTreeMap::new(),
            load: Vec::new(),
        };
        part.header.plan.quality = Some(QualityPlan {
            tasks: labels.keys().cloned().collect(),
            variants: vec!["base".into(), "now".into()],
            max_tokens: 1,
            stop: vec![],
            labels,
            sha256: String::new(),
            ..QualityPlan::default()
        });
        let measured = Measured { parts: &[part], earlier: &[], stored: &Stores::default() };
        judge(&[accuracy(Limit::Points(0.05))], &measured, 0.05).remove(0)
    }

    #[test]
    fn suites_at_floor_or_ceiling_are_no_evidence_for_a_pass() {
        assert_eq!(in_suites([40, 40], [50, 50]).verdict, VerdictKind::Pass);
        // All that is known comes from what nobody can lose, or nobody has lost yet.
        for poor in [100, 0] {
            let found = in_suites([poor, poor], [poor, poor]);
            assert_eq!(found.verdict, VerdictKind::Inconclusive, "{found:?}");
            assert!(found.reason.contains("one, two: the other side has nearly all or none"));
        }
        // The suite that can tell decides alone: 3 of 100 lost is no proof of less than 5.
        assert_eq!(in_suites([0, 0], [40, 43]).verdict, VerdictKind::Inconclusive);
        assert_eq!(in_suites([0, 0], [40, 40]).verdict, VerdictKind::Pass);
        // A loss counts wherever it comes.
        assert_eq!(in_suites([0, 40], [40, 40]).verdict, VerdictKind::Regressed);
    }
}
