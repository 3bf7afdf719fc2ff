//! Owns the decision on one rule: the effect with its bounds, held against the limit.

use super::effect::{self, PerRound};
use super::{Measured, samples, select};
use crate::metric::{Better, Kind, Needs, Statistic};
use crate::record::{
    Against, Effect, Evidence, Limit, Part, Reading, Round, Rule, Severity, Verdict, VerdictKind,
};
use crate::stats::{self, Interval};

/// Most rounds (or stored sessions) that are worth naming as a remedy.
pub(super) const MOST_ROUNDS: usize = 1000;

/// Judges every rule on the complete rounds.
///
/// `false_alarms` is the probability of any false alarm among the gating `regression` rules; it is
/// split evenly over them (Bonferroni), so it holds whatever their dependence. Rules of evidence
/// `safety` have to hold all together and rules that only inform decide nothing: both are judged
/// at the whole level.
pub fn judge(rules: &[Rule], measured: &Measured<'_>, false_alarms: f64) -> Vec<Verdict> {
    let levels = levels(rules, false_alarms);
    rules.iter().zip(levels).map(|(rule, alpha)| verdict(rule, measured, alpha)).collect()
}

/// The level of each rule's one-sided bounds.
pub(super) fn levels(rules: &[Rule], false_alarms: f64) -> Vec<f64> {
    let shares = rules.iter().filter(|rule| shares_the_level(rule)).count().max(1);
    let level =
        |rule| if shares_the_level(rule) { false_alarms / shares as f64 } else { false_alarms };
    rules.iter().map(level).collect()
}

/// Judges one rule, its one-sided bounds at a level of `alpha`.
pub(super) fn verdict(rule: &Rule, measured: &Measured<'_>, alpha: f64) -> Verdict {
    if rule.only.is_empty() {
        return judged(rule, measured, alpha);
    }
    let [parts, earlier] =
        [measured.parts, measured.earlier].map(|parts| select(parts, &rule.only));
    judged(rule, &Measured { parts: &parts, earlier: &earlier, stored: measured.stored }, alpha)
}

fn judged(rule: &Rule, measured: &Measured<'_>, alpha: f64) -> Verdict {
    match measured.part_of(&rule.variant) {
        Some(now) => Case { rule, now, rounds: &now.complete(), measured, alpha }.verdict(),
        None => undecided(rule, VerdictKind::Invalid, not_measured(&rule.variant)),
    }
}

fn not_measured(variant: &str) -> String {
    format!("'{variant}' was not measured; `perfgate run {variant}` does")
}

/// A rule without figures, and why.
fn undecided(rule: &Rule, verdict: VerdictKind, reason: String) -> Verdict {
    Verdict { rule: rule.clone(), verdict, effect: None, now: None, base: None, reason }
}

fn shares_the_level(rule: &Rule) -> bool {
    rule.severity == Severity::Gate && rule.evidence == Evidence::Regression
}

/// One rule with what it is judged on.
pub(super) struct Case<'a> {
    pub(super) rule: &'a Rule,
    /// What the session measured that the rule's variant is of.
    pub(super) now: &'a Part,
    /// Its rounds that count.
    pub(super) rounds: &'a [&'a Round],
    pub(super) measured: &'a Measured<'a>,
    pub(super) alpha: f64,
}

/// An interval on the scale of one number per round, and what to say without a decision.
pub(super) struct Estimate<'a> {
    /// The interval, if there is enough for one.
    pub(super) interval: Option<Interval>,
    /// Stored sessions behind it.
    pub(super) sessions: usize,
    /// Why there is no interval.
    pub(super) missing: String,
    /// What would settle an undecided rule whose point lies so far from its limit.
    pub(super) remedy: &'a dyn Fn(f64) -> String,
}

impl Case<'_> {
    fn verdict(&self) -> Verdict {
        let rule = self.rule;
        if let (Needs::Energy, Reading::Unavailable(why)) =
            (rule.metric.info().needs, &self.now.header.environment.energy)
        {
            return self.undecided(VerdictKind::Unavailable, why.clone());
        }
        if self.rounds.is_empty() {
            return self.undecided(VerdictKind::Invalid, "no round was completed".to_string());
        }
        if !completes_a_round(self.rounds, &rule.variant) {
            let why = format!("'{}' completed no round: every one of them failed", rule.variant);
            return self.undecided(VerdictKind::Regressed, why);
        }
        match &rule.against {
            Against::Absolute => self.absolute(),
            Against::Baseline { relative_to } => match relative_to {
                Some(other) if !self.now.has(other) => {
                    let why = format!("'{other}' was not measured in the same session");
                    self.undecided(VerdictKind::Invalid, why)
                }
                _ => self.against_baseline(relative_to.as_deref()),
            },
            Against::Variant(other) => match self.measured.part_of(other) {
                None => self.undecided(VerdictKind::Invalid, not_measured(other)),
                Some(then) if std::ptr::eq(then, self.now) => self.beside(other),
                Some(then) => self.across(then, other),
            },
            Against::Earlier(other) => {
                match self.measured.earlier.iter().find(|part| part.has(other)) {
                    Some(then) => self.across(then, other),
                    None => {
                        let why = format!("the other run has no variant '{other}'");
                        self.undecided(VerdictKind::NoBaseline, why)
                    }
                }
            }
        }
    }

    /// Against a fixed limit.
    fn absolute(&self) -> Verdict {
        match (self.rule.metric.kind(), self.rule.limit) {
            (Kind::TaskProportion, Limit::Max(limit) | Limit::Min(limit)) => {
                self.graded_share(limit)
            }
            (Kind::Proportion, Limit::Max(limit)) => self.failure_rate(limit),
            (_, Limit::Max(limit)) if self.rule.statistic == Statistic::P99 => {
                self.count_over(limit)
            }
            (_, Limit::Max(limit) | Limit::Min(limit)) => self.value(limit),
            (_, limit) => self.no_such_limit(limit),
        }
    }

    /// Against another variant of the same session.
    fn beside(&self, other: &str) -> Verdict {
        let rule = self.rule;
        if !completes_a_round(self.rounds, other) {
            let why = format!("'{other}', the other side, completed no round");
            return self.undecided(VerdictKind::Invalid, why);
        }
        match (rule.metric.kind(), rule.limit) {
            (Kind::TaskProportion, Limit::Points(limit)) => self.graded(self.now, other, limit),
            (Kind::Proportion, Limit::Points(limit)) => {
                let hits = |variant: &str| samples::hits(rule.metric, self.rounds, variant);
                self.failure_difference(hits(&rule.variant), hits(other), limit)
            }
            (_, Limit::Relative(limit)) => self.ratio(other, limit),
            (_, limit) => self.no_such_limit(limit),
        }
    }

    pub(super) fn no_such_limit(&self, limit: Limit) -> Verdict {
        let why = format!("a limit of {limit:?} cannot be held against {:?}", self.rule.against);
        self.undecided(VerdictKind::Invalid, why)
    }

    pub(super) fn undecided(&self, verdict: VerdictKind, reason: String) -> Verdict {
        undecided(self.rule, verdict, reason)
    }

    /// The display value: the mean over rounds of the round's statistic.
    pub(super) fn display(&self, variant: &str) -> Option<f64> {
        super::summary::value(self.rule.metric, self.rule.statistic, self.rounds, variant)
    }

    /// A candidate against a reference, by log ratios.
    fn ratio(&self, reference: &str, limit: f64) -> Verdict {
        let rule = self.rule;
        let effect =
            effect::log_ratios(rule.metric, rule.statistic, self.rounds, &rule.variant, reference);
        let mut verdict = if effect.reference_failed > 0 {
            let why = format!(
                "requests of '{reference}', the other side, failed in {} of {} rounds",
                effect.reference_failed,
                self.rounds.len()
            );
            self.undecided(VerdictKind::Invalid, why)
        } else {
            let remedy = |distance| self.rounds_remedy(&effect, distance);
            self.decide_change(&effect, self.over_rounds(&effect, &remedy), limit)
        };
        verdict.base = self.display(reference);
        verdict
    }

    /// Holds log ratios against an allowed relative change.
    pub(super) fn decide_change(
        &self,
        effect: &PerRound,
        estimate: Estimate<'_>,
        limit: f64,
    ) -> Verdict {
        let better = self.rule.better();
        let orientation = if better == Better::Lower { 1.0 } else { -1.0 };
        let log_limit = oriented_limit(better, limit);
        self.only_informing(self.decide(effect, estimate, log_limit, orientation, f64::exp_m1))
    }

    /// A tail of few requests is its largest one: shown, not decided.
    fn only_informing(&self, mut verdict: Verdict) -> Verdict {
        if self.rule.statistic.is_far_tail() && verdict.verdict != VerdictKind::Invalid {
            verdict.verdict = VerdictKind::Inconclusive;
            verdict.reason =
                "it has no valid interval yet and only informs; the tail is judged by P90 \
                              or by an absolute P99"
                    .to_string();
        }
        verdict
    }

    /// Student's t over the rounds.
    fn over_rounds<'b>(
        &self,
        effect: &PerRound,
        remedy: &'b dyn Fn(f64) -> String,
    ) -> Estimate<'b> {
        Estimate {
            interval: stats::t_interval(&effect.values, self.alpha),
            sessions: 0,
            missing: match (effect.values.len(), self.rounds.len()) {
                (_, 1) => "1 round has no spread; at least 2 are needed, 6 are usual".to_string(),
                (some, all) => format!("{some} of {all} rounds have a value; 2 are needed"),
            },
            remedy,
        }
    }

    /// A variant's own value against a fixed limit.
    fn value(&self, limit: f64) -> Verdict {
        let rule = self.rule;
        let effect = effect::log_values(rule.metric, rule.statistic, self.rounds, &rule.variant);
        // For an upper limit more is worse, for a lower limit less is.
        let orientation = if matches!(rule.limit, Limit::Min(_)) { -1.0 } else { 1.0 };
        let remedy = |distance| self.rounds_remedy(&effect, distance);
        let estimate = self.over_rounds(&effect, &remedy);
        let decided =
            self.decide(&effect, estimate, limit.ln() * orientation, orientation, f64::exp);
        let mut verdict = self.only_informing(decided);
        verdict.base = Some(limit);
        if verdict.verdict == VerdictKind::Improved {
            verdict.verdict = VerdictKind::Pass;
        }
        verdict
    }

    /// Holds an estimate against a limit. `orientation` turns the numbers so that more is worse;
    /// `shown` turns them into what the effect reports.
    fn decide(
        &self,
        effect: &PerRound,
        estimate: Estimate<'_>,
        limit: f64,
        orientation: f64,
        shown: impl Fn(f64) -> f64,
    ) -> Verdict {
        let mut verdict = self.undecided(VerdictKind::Invalid, String::new());
        verdict.now = self.display(&self.rule.variant);
        let rounds = self.rounds.len();
        if effect.values.is_empty() && effect.candidate_failed == 0 {
            verdict.reason = "nothing could be compared: no round has a value".to_string();
            return verdict;
        }
        verdict.effect = estimate.interval.map(|interval| Effect {
            point: shown(interval.point),
            low: shown(interval.low),
            high: shown(interval.high),
            confidence: 1.0 - 2.0 * self.alpha,
            rounds: effect.values.len(),
            requests: effect.requests,
            sessions: estimate.sessions,
        });
        // Failures that reach the judged quantile: infinitely worse in that round. One such round
        // may be chance, as for requests over an absolute limit.
        if effect.candidate_failed >= 2 {
            verdict.verdict = VerdictKind::Regressed;
            verdict.reason = failed_rounds(effect, rounds);
            return verdict;
        }
        let Some(interval) = estimate.interval else {
            verdict.verdict = VerdictKind::Inconclusive;
            verdict.reason = match effect.candidate_failed {
                0 => estimate.missing,
                _ => failed_rounds(effect, rounds),
            };
            return verdict;
        };
        let worse = oriented(interval, orientation);
        verdict.verdict = self.kind(worse, limit);
        match verdict.verdict {
            VerdictKind::Inconclusive => verdict.reason = (estimate.remedy)(worse.point - limit),
            VerdictKind::Pass | VerdictKind::Improved if effect.candidate_failed > 0 => {
                verdict.verdict = VerdictKind::Inconclusive;
                verdict.reason = failed_rounds(effect, rounds);
            }
            _ if effect.values.len() + effect.candidate_failed < rounds => {
                verdict.reason = format!("{} of {rounds} rounds have a value", effect.values.len());
            }
            _ => {}
        }
        verdict
    }

    /// How many rounds would settle a rule whose point lies at a distance from its limit.
    fn rounds_remedy(&self, effect: &PerRound, distance: f64) -> String {
        let spread = stats::standard_deviation(&effect.values);
        match stats::rounds_needed(spread, distance, self.alpha, MOST_ROUNDS) {
            Some(needed) => format!("about {needed} rounds would settle it"),
            None => format!("too near the limit: {MOST_ROUNDS} rounds would not settle it"),
        }
    }

    /// The verdict of an interval that is oriented so that more is worse.
    pub(super) fn kind(&self, worse: Interval, limit: f64) -> VerdictKind {
        let at = match self.rule.evidence {
            Evidence::Point => Interval { point: worse.point, low: worse.point, high: worse.point },
            Evidence::Regression | Evidence::Safety => worse,
        };
        match () {
            () if !(at.low.is_finite() && at.high.is_finite()) => VerdictKind::Invalid,
            () if at.low > limit => VerdictKind::Regressed,
            () if at.high > limit => VerdictKind::Inconclusive,
            () if worse.high < 0.0 => VerdictKind::Improved,
            () => VerdictKind::Pass,
        }
    }

    /// The failure rate against a fixed limit, by exact binomial bounds.
    fn failure_rate(&self, limit: f64) -> Verdict {
        let (failed, all) = samples::hits(self.rule.metric, self.rounds, &self.rule.variant);
        let mut verdict = self.proportion(failed, all, limit);
        if verdict.verdict == VerdictKind::Inconclusive {
            let needed = match stats::clean_trials_needed(limit, self.alpha) {
                Some(needed) => format!("{needed} clean requests would show it"),
                None => "no number of them shows 0%: allow a little, such as 0.1%".to_string(),
            };
            let upper = verdict.effect.as_ref().map_or(1.0, |effect| effect.high);
            verdict.reason = match failed {
                0 => format!(
                    "0 of {all} failed: below {:.2}% with {:.1}% confidence; {needed}",
                    upper * 100.0,
                    (1.0 - self.alpha) * 100.0
                ),
                _ => format!("{failed} of {all} failed, which proves neither"),
            };
        } else if failed > 0 {
            verdict.reason = format!("{failed} of {all} requests failed");
        }
        verdict
    }

    /// P99 against a fixed limit: at most 1% of the requests may lie over it. Proven worse only by
    /// requests of at least two rounds, since one stall of the machine hits a whole round.
    fn count_over(&self, limit: f64) -> Verdict {
        let rule = self.rule;
        let (mut over, mut all, mut rounds_over) = (0, 0, 0);
        for round in self.rounds {
            let values = samples::ranked(rule.metric, round, &rule.variant);
            let here = values.iter().filter(|value| **value > limit).count() as u64;
            over += here;
            all += values.len() as u64;
            rounds_over += usize::from(here > 0);
        }
        let mut verdict = self.proportion(over, all, 0.01);
        if verdict.verdict == VerdictKind::Regressed && rounds_over < 2 {
            verdict.verdict = VerdictKind::Inconclusive;
        }
        verdict.reason = format!("{over} of {all} over the limit, in {rounds_over} rounds");
        if let (VerdictKind::Inconclusive, 0, Some(needed)) =
            (verdict.verdict, over, stats::clean_trials_needed(0.01, self.alpha))
        {
            verdict.reason += &format!("; {needed} requests under it would show it");
        }
        verdict.now = self.display(&rule.variant);
        verdict.base = Some(limit);
        verdict.effect = None;
        verdict
    }

    /// A proportion of trials against a limit.
    pub(super) fn proportion(&self, hits: u64, trials: u64, limit: f64) -> Verdict {
        let mut verdict = self.undecided(VerdictKind::Invalid, "nothing was counted".to_string());
        if trials == 0 {
            return verdict;
        }
        let rate = hits as f64 / trials as f64;
        let bounds = Interval {
            point: rate,
            low: stats::proportion_lower(hits, trials, self.alpha),
            high: stats::proportion_upper(hits, trials, self.alpha),
        };
        verdict.reason = String::new();
        verdict.verdict = self.kind(bounds, limit);
        verdict.now = Some(rate);
        verdict.base = Some(limit);
        verdict.effect = Some(self.proportion_effect(bounds, trials));
        verdict
    }

    pub(super) fn proportion_effect(&self, bounds: Interval, trials: u64) -> Effect {
        Effect {
            point: bounds.point,
            low: bounds.low,
            high: bounds.high,
            confidence: 1.0 - 2.0 * self.alpha,
            rounds: self.rounds.len(),
            requests: trials as usize,
            sessions: 0,
        }
    }

    /// The difference of two failure rates, in points: failed and all requests of each side.
    /// Conservative: half the level goes to each side's exact bound, whatever the pairing.
    pub(super) fn failure_difference(
        &self,
        (now, all): (u64, u64),
        (base, all_base): (u64, u64),
        limit: f64,
    ) -> Verdict {
        let half = self.alpha / 2.0;
        let rate = |failed: u64, all: u64| failed as f64 / all as f64;
        let lower = stats::proportion_lower;
        let upper = stats::proportion_upper;
        let bounds = Interval {
            point: rate(now, all) - rate(base, all_base),
            low: lower(now, all, half) - upper(base, all_base, half),
            high: upper(now, all, half) - lower(base, all_base, half),
        };
        let reason = format!("{now} of {all} against {base} of {all_base} failed");
        let mut verdict = self.undecided(self.kind(bounds, limit), reason);
        verdict.now = Some(rate(now, all));
        verdict.base = Some(rate(base, all_base));
        verdict.effect = Some(self.proportion_effect(bounds, all));
        verdict
    }
}

/// An allowed relative change on the log scale, turned so that more is worse.
pub(super) fn oriented_limit(better: Better, limit: f64) -> f64 {
    match better {
        Better::Lower => limit.ln_1p(),
        Better::Higher => -(-limit).ln_1p(),
    }
}

pub(super) fn completes_a_round(rounds: &[&Round], variant: &str) -> bool {
    rounds.iter().any(|round| samples::completed(round, variant))
}

fn oriented(interval: Interval, orientation: f64) -> Interval {
    let (a, b) = (interval.low * orientation, interval.high * orientation);
    Interval { point: interval.point * orientation, low: a.min(b), high: a.max(b) }
}

fn failed_rounds(effect: &PerRound, rounds: usize) -> String {
    format!(
        "failed requests reach this statistic in {} of {rounds} rounds",
        effect.candidate_failed
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::samples::tests::request;
    use super::*;
    use crate::metric::{FAILURE_RATE, LATENCY, MEMORY, Metric, THROUGHPUT};
    use crate::record::{
        Environment, Failure, FailureClass, Header, MachineClass, Plan, Provenance, Sampling,
        Selection, VariantRecord,
    };
    use std::collections::BTreeMap;

    fn environment() -> Environment {
        let none = || Reading::Unavailable("none here".to_string());
        Environment {
            machine: MachineClass {
                cpu: "c".into(),
                instruction_sets: vec![],
                usable_cpus: 2,
                arch: "a".into(),
                os: "o".into(),
                memory_gib: 1,
            },
            kernel: "k".into(),
            governor: none(),
            energy: none(),
            throttling: none(),
            memory_bytes: 1,
        }
    }

    fn scripted() -> VariantRecord {
        VariantRecord {
            engine: "scripted".into(),
            model: String::new(),
            model_sha256: "0".repeat(64),
            threads: 1,
            properties: BTreeMap::new(),
            options: BTreeMap::new(),
            test_switches: vec![],
        }
    }

    /// What is known before a session of two variants without a quality pass.
    pub fn header() -> Header {
        Header {
            session: "s".into(),
            started: "2026-01-01T00:00:00Z".into(),
            provenance: Provenance {
                perfgate: "0".into(),
                git: None,
                git_unavailable: None,
                config_sha256: String::new(),
                thresholds_sha256: None,
            },
            environment: environment(),
            plan: Plan {
                variants: vec!["base".into(), "now".into()],
                reference: "base".into(),
                rounds: 5,
                warmup: 1,
                tasks: vec![],
                prompt_tokens: None,
                gen_tokens: 2,
                seed: 0,
                sampling: Sampling::default(),
                workload_sha256: "w".into(),
                labels: BTreeMap::new(),
                quality: None,
            },
            variants: ["base", "now"].map(|name| (name.to_string(), scripted())).into(),
        }
    }

    pub fn part(rounds: &[Round]) -> Part {
        Part {
            header: header(),
            ended: String::new(),
            resumed: vec![],
            rounds: rounds.to_vec(),
            answers: vec![],
        }
    }

    fn judge_rounds(rules: &[Rule], rounds: &[Round]) -> Vec<Verdict> {
        judge(rules, &Measured { parts: &[part(rounds)], earlier: &[], stored: &[] }, 0.05)
    }

    pub fn rule(metric: Metric, statistic: Statistic, limit: Limit) -> Rule {
        let against = match limit {
            Limit::Max(_) | Limit::Min(_) => Against::Absolute,
            _ => Against::Variant("base".into()),
        };
        Rule {
            id: "r".into(),
            line: 1,
            metric,
            statistic,
            variant: "now".into(),
            against,
            limit,
            evidence: Evidence::Regression,
            severity: Severity::Gate,
            only: Selection::default(),
        }
    }

    /// Rounds of ten requests whose latencies differ by a factor and a little noise.
    fn rounds(count: u32, factor: f64) -> Vec<Round> {
        (1..=count)
            .map(|number| {
                let mut requests = Vec::new();
                for task in 0..10 {
                    let wobble = 1.0 + 0.002 * f64::from(number % 3) + 0.001 * f64::from(task % 5);
                    let base = [10.0, 50.0 + f64::from(task)];
                    let now = base.map(|ms| ms * factor * wobble);
                    requests.push(request(number, "base", &format!("t{task}"), &base));
                    requests.push(request(number, "now", &format!("t{task}"), &now));
                }
                Round { round: number, complete: true, workers: vec![], requests }
            })
            .collect()
    }

    fn verdict(rule: Rule, rounds: &[Round]) -> Verdict {
        judge_rounds(&[rule], rounds).remove(0)
    }

    fn kind(rule: Rule, rounds: &[Round]) -> VerdictKind {
        verdict(rule, rounds).verdict
    }

    #[test]
    fn a_change_is_judged_by_its_interval_and_its_direction() {
        let latency = || rule(LATENCY, Statistic::Mean, Limit::Relative(0.05));
        let throughput = || rule(THROUGHPUT, Statistic::Mean, Limit::Relative(0.05));
        for (factor, expected) in
            [(1.2, VerdictKind::Regressed), (1.02, VerdictKind::Pass), (0.8, VerdictKind::Improved)]
        {
            let rounds = rounds(5, factor);
            assert_eq!(kind(latency(), &rounds), expected, "{factor}");
            assert_eq!(kind(throughput(), &rounds), expected, "{factor}");
        }
        let near = verdict(latency(), &rounds(3, 1.0458));
        assert_eq!(near.verdict, VerdictKind::Inconclusive);
        assert!(near.reason.contains("would"), "{}", near.reason);
        assert_eq!(kind(latency(), &rounds(1, 2.0)), VerdictKind::Inconclusive, "one round");
    }

    #[test]
    fn the_level_is_shared_by_gating_regression_rules_only() {
        let one = rule(LATENCY, Statistic::Mean, Limit::Relative(0.05));
        let mut safety = one.clone();
        safety.evidence = Evidence::Safety;
        let mut informs = one.clone();
        informs.severity = Severity::Inform;
        let rules = [one.clone(), one, safety, informs];
        let verdicts = judge_rounds(&rules, &rounds(5, 1.0));
        let confidence: Vec<f64> =
            verdicts.iter().map(|v| v.effect.as_ref().unwrap().confidence).collect();
        assert_eq!(confidence, [0.95, 0.95, 0.9, 0.9]);
    }

    #[test]
    fn nothing_measured_is_never_a_quiet_pass() {
        let latency = || rule(LATENCY, Statistic::Mean, Limit::Relative(0.05));
        assert_eq!(kind(latency(), &[]), VerdictKind::Invalid);
        let mut cut = rounds(3, 1.0);
        for round in &mut cut {
            round.complete = false;
        }
        assert_eq!(kind(latency(), &cut), VerdictKind::Invalid);
        // Tasks of other names: nothing pairs.
        let mut renamed = rounds(3, 1.0);
        for request in renamed.iter_mut().flat_map(|round| &mut round.requests) {
            if request.variant == "now" {
                request.task.push('x');
            }
        }
        assert_eq!(kind(latency(), &renamed), VerdictKind::Invalid);
        let memory = rule(MEMORY, Statistic::Mean, Limit::Relative(0.05));
        assert_eq!(kind(memory, &rounds(3, 1.0)), VerdictKind::Invalid, "no workers recorded");
        let energy = rule(
            Metric::from_id("tokens_per_second_per_watt").unwrap(),
            Statistic::Mean,
            Limit::Relative(0.05),
        );
        let energy = verdict(energy, &rounds(3, 1.0));
        assert_eq!(energy.verdict, VerdictKind::Unavailable);
        assert_eq!(energy.reason, "none here");
    }

    fn fail(rounds: &mut [Round], variant: &str, class: FailureClass, per_round: usize) {
        for round in rounds {
            let requests = round.requests.iter_mut().filter(|r| r.variant == variant);
            for request in requests.take(per_round) {
                request.token_ns.clear();
                request.tokens.clear();
                request.failure = Some(Failure { class, message: "test".into() });
            }
        }
    }

    #[test]
    fn a_variant_that_completes_no_round_regressed_and_such_a_reference_is_invalid() {
        let latency = || rule(LATENCY, Statistic::Mean, Limit::Relative(0.05));
        let mut gone = rounds(3, 1.0);
        fail(&mut gone, "now", FailureClass::NotServed, 3);
        assert_eq!(kind(latency(), &gone), VerdictKind::Regressed);
        let mut gone = rounds(3, 1.0);
        fail(&mut gone, "base", FailureClass::NotServed, 3);
        assert_eq!(kind(latency(), &gone), VerdictKind::Invalid);
        let mut always = rounds(3, 1.0);
        fail(&mut always, "now", FailureClass::NonFinite, 10);
        assert_eq!(kind(latency(), &always), VerdictKind::Regressed, "not one request succeeds");
    }

    #[test]
    fn failures_never_improve_a_tail() {
        let p90 = || rule(LATENCY, Statistic::P90, Limit::Relative(0.05));
        let mut crashing = rounds(5, 0.5);
        fail(&mut crashing, "now", FailureClass::Crash, 2);
        assert_eq!(kind(p90(), &crashing), VerdictKind::Regressed);
        let mut once = rounds(5, 0.5);
        fail(&mut once[..1], "now", FailureClass::Crash, 2);
        assert_eq!(kind(p90(), &once), VerdictKind::Inconclusive, "one round may be chance");
        let mut reference = rounds(5, 1.0);
        fail(&mut reference[..1], "base", FailureClass::Crash, 2);
        assert_eq!(kind(p90(), &reference), VerdictKind::Invalid);
    }

    #[test]
    fn a_failure_rate_says_what_it_proves() {
        let rate = || rule(FAILURE_RATE, Statistic::Rate, Limit::Max(0.001));
        let clean = verdict(rate(), &rounds(5, 1.0));
        assert_eq!(clean.verdict, VerdictKind::Inconclusive);
        assert!(clean.reason.contains("0 of 50 failed"), "{}", clean.reason);
        assert!(clean.reason.contains("2995 clean requests"), "{}", clean.reason);
        assert_eq!(kind(rate(), &rounds(300, 1.0)), VerdictKind::Pass, "3,000 clean requests");
        let mut failing = rounds(5, 1.0);
        fail(&mut failing, "now", FailureClass::Crash, 1);
        assert_eq!(kind(rate(), &failing), VerdictKind::Regressed);
        let points = rule(FAILURE_RATE, Statistic::Rate, Limit::Points(0.01));
        assert_eq!(kind(points, &failing), VerdictKind::Inconclusive, "5 of 50 against 0 of 50");
    }

    #[test]
    fn an_absolute_tail_needs_slow_requests_in_two_rounds() {
        let p99 = || rule(LATENCY, Statistic::P99, Limit::Max(0.055));
        // Latencies are 50 to 59 ms: half of them over.
        assert_eq!(kind(p99(), &rounds(5, 1.0)), VerdictKind::Regressed);
        let mut stalled = rounds(5, 0.5);
        for request in stalled[0].requests.iter_mut().filter(|r| r.variant == "now") {
            request.token_ns = vec![1_000_000, 900_000_000];
        }
        assert_eq!(kind(p99(), &stalled), VerdictKind::Inconclusive, "one stalled round");
        assert_eq!(kind(p99(), &rounds(5, 0.5)), VerdictKind::Inconclusive, "50 requests");
        assert_eq!(kind(p99(), &rounds(30, 0.5)), VerdictKind::Pass, "300 requests");
    }

    #[test]
    fn absolute_limits_have_a_side() {
        let rounds = rounds(5, 1.0);
        let check = |metric, limit| kind(rule(metric, Statistic::Mean, limit), &rounds);
        // About 55 ms and 22 tok/s (one gap of about 45 ms).
        assert_eq!(check(LATENCY, Limit::Max(0.1)), VerdictKind::Pass);
        assert_eq!(check(LATENCY, Limit::Max(0.01)), VerdictKind::Regressed);
        assert_eq!(check(THROUGHPUT, Limit::Min(5.0)), VerdictKind::Pass);
        assert_eq!(check(THROUGHPUT, Limit::Min(100.0)), VerdictKind::Regressed);
    }

    #[test]
    fn a_point_rule_decides_by_its_point() {
        let mut point = rule(LATENCY, Statistic::Mean, Limit::Relative(0.05));
        point.evidence = Evidence::Point;
        assert_eq!(kind(point.clone(), &rounds(3, 1.0458)), VerdictKind::Pass);
        assert_eq!(kind(point, &rounds(3, 1.0658)), VerdictKind::Regressed);
    }
}
