//! Owns the decision on the rules of a session: how they share the error, and each one's way from
//! samples to a test.

use super::conditions;
use super::looks;
use super::{Measured, Scope, samples};
use crate::metric::{Kind, Needs, Statistic};
use crate::record::{
    Absent, Against, Evidence, Limit, Only, Part, Round, Rule, Severity, Verdict, VerdictKind,
    of_base,
};
use crate::stats;

/// A rule's test: all that was measured is in it, and what it takes is the level of its one-sided bounds.
pub(super) type Test<'a> = Box<dyn Fn(f64) -> Verdict + 'a>;

/// The levels of a rule at a look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    /// Over all looks together.
    pub(super) whole: f64,
    /// What this look's bounds have of it.
    pub(super) here: f64,
}

/// Judges every rule on the complete rounds.
///
/// `false_alarms` is the probability of any false alarm among the gating `regression` rules that can
/// be tested; they share it by Holm's procedure, which holds whatever their dependence. Rules of evidence
/// `safety` have to hold all together and rules that only inform decide nothing: both are judged at
/// the whole level.
pub fn judge(rules: &[Rule], measured: &Measured<'_>, false_alarms: f64) -> Vec<Verdict> {
    let scopes: Vec<Scope<'_>> = rules.iter().map(|rule| Scope::of(rule, measured)).collect();
    let cases: Vec<Option<Case<'_>>> =
        rules.iter().zip(&scopes).map(|(rule, scope)| Case::new(rule, scope.measured())).collect();
    let granted: Vec<Option<Rule>> = rules.iter().map(granted).collect();
    let spared: Vec<Option<Case<'_>>> = granted
        .iter()
        .zip(&scopes)
        .map(|(rule, s)| Case::new(rule.as_ref()?, s.measured()))
        .collect();
    let tests: Vec<Test<'_>> = rules
        .iter()
        .zip(cases.iter().zip(&spared))
        .map(|(rule, (case, spared))| {
            waived(rule, test(rule, case.as_ref(), measured), spared.as_ref().map(Case::test))
        })
        .collect();
    let mut verdicts: Vec<Verdict> = tests.iter().map(|test| test(false_alarms)).collect();
    // What was not tested can raise no false alarm, and that it was not does not depend on the figures.
    let shares =
        |place: &usize| shares_the_level(&rules[*place]) && verdicts[*place].resolution.is_some();
    let sharing: Vec<usize> = (0..rules.len()).filter(shares).collect();
    stats::holm(sharing.len(), false_alarms, |index, level| {
        let place = sharing[index];
        verdicts[place] = tests[place](level);
        verdicts[place].verdict.beyond()
    });
    verdicts
}

/// Judges one rule at a level.
pub(super) fn verdict(rule: &Rule, measured: &Measured<'_>, alpha: f64) -> Verdict {
    let scope = Scope::of(rule, measured);
    let case = Case::new(rule, scope.measured());
    test(rule, case.as_ref(), measured)(alpha)
}

/// The rule with the limit that a waiver in force grants.
fn granted(rule: &Rule) -> Option<Rule> {
    let waiver = rule.waiver.as_ref()?;
    Some(Rule { limit: waiver.limit, ..rule.clone() })
}

/// A rule with a waiver: what is beyond the limit, and not beyond what is granted, is waived. Both are
/// judged at the same level, so that the waiver changes nothing for the other rules.
fn waived<'a>(rule: &'a Rule, test: Test<'a>, granted: Option<Test<'a>>) -> Test<'a> {
    let (Some(waiver), Some(granted)) = (&rule.waiver, granted) else { return test };
    Box::new(move |level| {
        let mut verdict = test(level);
        let beyond = verdict.verdict == VerdictKind::Regressed && verdict.now.is_some();
        if beyond && granted(level).verdict != VerdictKind::Regressed {
            verdict.verdict = VerdictKind::Waived;
            verdict.reason = format!(
                "beyond its limit, and passed by a waiver of {} until {}: {}",
                waiver.owner, waiver.expires, waiver.reason
            );
        }
        verdict
    })
}

/// The level of each rule's bounds before any is known to be broken.
pub(super) fn first_levels(rules: &[Rule], false_alarms: f64) -> Vec<f64> {
    let shares = rules.iter().filter(|rule| shares_the_level(rule)).count().max(1);
    let level =
        |rule| if shares_the_level(rule) { false_alarms / shares as f64 } else { false_alarms };
    rules.iter().map(level).collect()
}

/// Whether a rule has a share of the gate's error, if anything tests it.
pub fn shares_the_level(rule: &Rule) -> bool {
    rule.severity == Severity::Gate && rule.evidence == Evidence::Regression
}

fn test<'a>(rule: &'a Rule, case: Option<&'a Case<'a>>, measured: &Measured<'_>) -> Test<'a> {
    let parts = measured.parts;
    match case {
        Some(case) => case.test(),
        None => match parts.iter().find_map(|part| absent(part, &rule.variant)) {
            Some(Absent { verdict, why }) => known(undecided(rule, *verdict, why.clone())),
            None => known(undecided(rule, VerdictKind::Invalid, not_measured(&rule.variant))),
        },
    }
}

/// Why a session did not measure a variant, if it set out not to.
fn absent<'a>(part: &'a Part, variant: &str) -> Option<&'a Absent> {
    part.header.plan.absent.get(variant)
}

/// A verdict that no level changes.
pub(super) fn known<'a>(verdict: Verdict) -> Test<'a> {
    Box::new(move |_| verdict.clone())
}

fn not_measured(variant: &str) -> String {
    format!("'{variant}' was not measured; `perfgate run {variant}` does")
}

/// A rule without figures, and why.
fn undecided(rule: &Rule, verdict: VerdictKind, reason: String) -> Verdict {
    Verdict {
        rule: rule.clone(),
        verdict,
        effect: None,
        now: None,
        base: None,
        resolution: None,
        needed: None,
        reason,
    }
}

/// One rule with what it is judged on.
pub(super) struct Case<'a> {
    pub(super) rule: &'a Rule,
    /// What the session measured that the rule's variant is of.
    pub(super) now: &'a Part,
    /// Its rounds that count.
    pub(super) rounds: Vec<&'a Round>,
    pub(super) measured: Measured<'a>,
}

impl<'a> Case<'a> {
    fn new(rule: &'a Rule, measured: Measured<'a>) -> Option<Case<'a>> {
        let now = measured.part_of(&rule.variant)?;
        Some(Case { rule, now, rounds: now.complete(), measured })
    }

    fn test(&self) -> Test<'_> {
        let rule = self.rule;
        if let Some(verdict) = self.beforehand() {
            return known(verdict);
        }
        if rule.metric.kind() == Kind::PerDocument {
            return self.documents();
        }
        match &rule.against {
            Against::Absolute => self.absolute(),
            Against::Baseline { relative_to, .. } => match relative_to {
                Some(other) if !self.now.has(other) => {
                    let why = format!("'{other}' was not measured in the same session");
                    self.known(VerdictKind::Invalid, why)
                }
                _ => self.against_baseline(relative_to.as_deref()),
            },
            Against::Variant(other) => match self.measured.part_of(other) {
                None => self.not_beside(other),
                Some(then) if std::ptr::eq(then, self.now) => self.beside(other),
                Some(then) => self.across(then, other),
            },
            Against::Earlier(other) => {
                match self.measured.earlier.iter().find(|part| part.has(other)) {
                    Some(then) => self.across(then, other),
                    None => {
                        let why = format!("the other run has no variant '{other}'");
                        self.known(VerdictKind::NoBaseline, why)
                    }
                }
            }
        }
    }

    /// What can be said without looking at the figures.
    fn beforehand(&self) -> Option<Verdict> {
        let rule = self.rule;
        if let Some(Absent { verdict, why }) =
            rule.against.variant().and_then(|other| absent(self.now, other))
        {
            return Some(self.undecided(*verdict, why.clone()));
        }
        if rule.metric.info().needs == Needs::Energy
            && let Some(why) = conditions::no_energy(self.now)
        {
            return Some(self.undecided(VerdictKind::Unavailable, why));
        }
        let graded = matches!(rule.metric.kind(), Kind::TaskProportion | Kind::PerDocument);
        let only = self.now.header.plan.only;
        let measured = match only {
            None => true,
            Some(Only::Quality) => graded,
            Some(Only::Timing) => !graded,
            Some(Only::Load) => false,
        };
        if !measured {
            let only = only.map_or("", Only::id);
            let why = format!("not measured: only {only} was asked for (--only {only})");
            return Some(self.undecided(VerdictKind::Inconclusive, why));
        }
        if only == Some(Only::Quality) {
            return None;
        }
        if self.rounds.is_empty() {
            let why = "no round was completed".to_string();
            return Some(self.undecided(VerdictKind::Invalid, why));
        }
        if !completes_a_round(&self.rounds, &rule.variant) {
            let why = format!("'{}' completed no round: every one of them failed", rule.variant);
            return Some(self.undecided(VerdictKind::Regressed, why));
        }
        None
    }

    /// Against a variant that was not measured.
    fn not_beside(&self, other: &str) -> Test<'_> {
        match of_base(other) {
            Some(_) => self.known(
                VerdictKind::NoBaseline,
                "no base was measured beside it: `perfgate check --against REF` does".to_string(),
            ),
            None => self.known(VerdictKind::Invalid, not_measured(other)),
        }
    }

    /// Against a fixed limit.
    fn absolute(&self) -> Test<'_> {
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
    fn beside<'b>(&'b self, other: &'b str) -> Test<'b> {
        let rule = self.rule;
        let by_rounds = self.now.header.plan.only != Some(Only::Quality);
        if by_rounds && !completes_a_round(&self.rounds, other) {
            let why = format!("'{other}', the other side, completed no round");
            return self.known(VerdictKind::Invalid, why);
        }
        match (rule.metric.kind(), rule.limit) {
            (Kind::TaskProportion, Limit::Points(limit)) => self.graded(self.now, other, limit),
            (Kind::Proportion, Limit::Points(limit)) => {
                let hits = |variant: &str| samples::hits(rule.metric, &self.rounds, variant);
                let (now, base) = (hits(&rule.variant), hits(other));
                self.by_look(move |level| self.failure_difference(now, base, limit, level))
            }
            (_, Limit::Relative(limit)) => self.ratio(other, limit),
            (_, limit) => self.no_such_limit(limit),
        }
    }

    pub(super) fn no_such_limit(&self, limit: Limit) -> Test<'_> {
        let why = format!("a limit of {limit:?} cannot be held against {:?}", self.rule.against);
        self.known(VerdictKind::Invalid, why)
    }

    pub(super) fn undecided(&self, verdict: VerdictKind, reason: String) -> Verdict {
        undecided(self.rule, verdict, reason)
    }

    /// Why nothing could be compared, where no round has a value.
    pub(super) fn no_value(&self) -> String {
        let why = match self.rule.metric.info().needs {
            Needs::Energy => conditions::no_round_has_energy(self.now, &self.rule.variant),
            Needs::LoadPhases | Needs::ModelShape | Needs::Nothing | Needs::ProcessMemory => None,
        };
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        format!("nothing could be compared: no round has a value{why}")
    }

    /// A verdict that needs no test.
    pub(super) fn known(&self, verdict: VerdictKind, reason: String) -> Test<'_> {
        known(self.undecided(verdict, reason))
    }

    /// A test on this session's own rounds, of which the plan may have several looks.
    pub(super) fn by_look<'b>(&'b self, test: impl Fn(Level) -> Verdict + 'b) -> Test<'b> {
        let plan = &self.now.header.plan;
        Box::new(move |whole| match &plan.stopping {
            None => test(Level { whole, here: whole }),
            Some(stopping) => match looks::level(stopping, self.rounds.len(), whole) {
                Some(here) => test(Level { whole, here }),
                None => {
                    let why = format!("the plan has no look after {} rounds", self.rounds.len());
                    self.undecided(VerdictKind::Inconclusive, why)
                }
            },
        })
    }

    /// The display value: the mean over rounds of the round's statistic.
    pub(super) fn display(&self, variant: &str) -> Option<f64> {
        super::summary::value(self.rule.metric, self.rule.statistic, &self.rounds, variant)
    }

    /// The verdict of an interval that is oriented so that more is worse.
    pub(super) fn kind(&self, worse: stats::Interval, limit: f64) -> VerdictKind {
        let at = match self.rule.evidence {
            Evidence::Point => {
                stats::Interval { point: worse.point, low: worse.point, high: worse.point }
            }
            Evidence::Regression | Evidence::Safety => worse,
        };
        match () {
            () if at.low.is_nan() || at.high.is_nan() || at.point.is_infinite() => {
                VerdictKind::Invalid
            }
            () if at.low > limit => VerdictKind::Regressed,
            () if at.high > limit => VerdictKind::Inconclusive,
            () if worse.high < 0.0 => VerdictKind::Improved,
            () => VerdictKind::Pass,
        }
    }
}

/// Whether a variant got through any of some rounds.
pub fn completes_a_round(rounds: &[&Round], variant: &str) -> bool {
    rounds.iter().any(|round| samples::completed(round, variant))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::looks;
    use super::super::samples::tests::request;
    use super::*;
    use crate::baseline::Stores;
    use crate::metric::{FAILURE_RATE, LATENCY, MEMORY, Metric, THROUGHPUT};
    use crate::record::{
        Environment, Failure, FailureClass, Header, MachineClass, MemoryUse, Plan, Provenance,
        Reading, Sample, Sampling, Selection, Spending, Stopping, VariantRecord, WorkerRun,
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
                finer: None,
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
            ..VariantRecord::default()
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
                asked: None,
                config_sha256: String::new(),
                thresholds_sha256: None,
            },
            environment: environment(),
            plan: Plan {
                only: None,
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
                fidelity: None,
                load: None,
                stopping: None,
                absent: BTreeMap::new(),
                idle_ms: None,
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
            rows: Default::default(),
            repeats: vec![],
            engines: BTreeMap::new(),
            fidelity: Vec::new(),
            idle: Vec::new(),
            hardware: None,
            work: BTreeMap::new(),
            execution: BTreeMap::new(),
            load: Vec::new(),
        }
    }

    fn judge_rounds(rules: &[Rule], rounds: &[Round]) -> Vec<Verdict> {
        judge(
            rules,
            &Measured { parts: &[part(rounds)], earlier: &[], stored: &Stores::default() },
            0.05,
        )
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
            forcing: None,
            waiver: None,
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
                Round { round: number, complete: true, requests, ..Round::default() }
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
        let one = verdict(p99(), &stalled);
        assert_eq!(one.verdict, VerdictKind::Inconclusive, "one stalled round");
        assert!(one.reason.ends_with("one round may be a stall; another one is proof"), "{one:?}");
        assert_eq!(kind(p99(), &rounds(5, 0.5)), VerdictKind::Inconclusive, "50 requests");
        let slow = |limit| rule(LATENCY, Statistic::P99, Limit::Max(limit));
        assert_eq!(kind(slow(1.0), &many(60, 10, 1.0)), VerdictKind::Pass, "600 requests");
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

    #[test]
    fn a_proven_rule_hands_its_share_on() {
        let one = |id: &str, limit| Rule {
            id: id.into(),
            ..rule(LATENCY, Statistic::Mean, Limit::Relative(limit))
        };
        let rules = [one("a", 0.01), one("b", 0.5), one("c", 0.5)];
        let verdicts = judge_rounds(&rules, &rounds(5, 1.2));
        let levels: Vec<f64> =
            verdicts.iter().map(|v| v.resolution.as_ref().unwrap().level).collect();
        assert_eq!(verdicts[0].verdict, VerdictKind::Regressed);
        assert_eq!(levels, [0.05 / 3.0, 0.025, 0.025]);
    }

    #[test]
    fn what_nothing_tests_takes_no_share() {
        let latency = rule(LATENCY, Statistic::Mean, Limit::Relative(0.05));
        let mut stored = latency.clone();
        stored.against = Against::Baseline { relative_to: None, anchor: None };
        let energy = rule(
            Metric::from_id("tokens_per_second_per_watt").unwrap(),
            Statistic::Mean,
            Limit::Relative(0.05),
        );
        let verdicts = judge_rounds(&[latency, stored, energy], &rounds(5, 1.0));
        assert_eq!(verdicts[0].resolution.as_ref().unwrap().level, 0.05);
        assert_eq!(verdicts[1].verdict, VerdictKind::NoBaseline);
    }

    #[test]
    fn every_verdict_says_what_could_have_been_told_and_what_would_settle_it() {
        let latency = || rule(LATENCY, Statistic::Mean, Limit::Relative(0.05));
        let near = verdict(latency(), &rounds(3, 1.044));
        let needed = near.needed.expect("it is inconclusive");
        assert!(needed.of == Sample::Rounds && needed.count > 3, "{needed:?}");
        let resolution = near.resolution.unwrap();
        assert!(resolution.noise.unwrap() > 0.0 && resolution.detectable.unwrap() > 0.05);
        let throughput = rule(THROUGHPUT, Statistic::Mean, Limit::Relative(0.05));
        let detectable = verdict(throughput, &rounds(5, 1.0)).resolution.unwrap().detectable;
        assert!(detectable.unwrap() < -0.05, "{detectable:?}");
        let rate = verdict(rule(FAILURE_RATE, Statistic::Rate, Limit::Max(0.001)), &rounds(5, 1.0));
        assert_eq!(
            rate.needed.map(|needed| (needed.count, needed.of)),
            Some((2995, Sample::Requests))
        );
        assert!(rate.resolution.unwrap().detectable.unwrap() > 0.001);
    }

    fn judge_at_look(count: u32, planned: u32, factor: f64) -> Verdict {
        let mut part = part(&rounds(count, factor));
        part.header.plan.stopping = Some(Stopping {
            spending: Spending::OBrienFleming,
            looks: looks::looks(planned, 1).unwrap(),
            drives: vec!["r".into()],
        });
        let latency = rule(LATENCY, Statistic::Mean, Limit::Relative(0.05));
        judge(
            &[latency],
            &Measured { parts: &[part], earlier: &[], stored: &Stores::default() },
            0.05,
        )
        .remove(0)
    }

    #[test]
    fn an_early_look_asks_for_more() {
        let level = |count| judge_at_look(count, 12, 1.2).resolution.unwrap().level;
        assert!(level(3) < level(6) && level(6) < level(12) && level(12) < 0.05);
        assert_eq!(judge_at_look(6, 12, 1.2).verdict, VerdictKind::Regressed);
        let none = judge_at_look(2, 12, 1.2);
        assert_eq!(none.verdict, VerdictKind::Inconclusive);
        assert_eq!(none.reason, "the plan has no look after 2 rounds");
    }

    /// Multiplies the latencies of a variant in some rounds.
    fn stall(rounds: &mut [Round], variant: &str, times: u64) {
        for request in rounds.iter_mut().flat_map(|round| &mut round.requests) {
            if request.variant == variant {
                request.token_ns.iter_mut().for_each(|ns| *ns *= times);
            }
        }
    }

    #[test]
    fn a_stall_of_the_machine_neither_fails_nor_hides() {
        let rules = || {
            [Statistic::Mean, Statistic::Median, Statistic::P90, Statistic::Cv]
                .map(|statistic| rule(LATENCY, statistic, Limit::Relative(0.05)))
        };
        let mut one_side = rounds(6, 1.0);
        stall(&mut one_side[3..4], "now", 10);
        let verdicts = judge_rounds(&rules(), &one_side);
        for verdict in &verdicts[..3] {
            assert_eq!(verdict.verdict, VerdictKind::Inconclusive, "{verdict:?}");
            assert!(verdict.effect.as_ref().unwrap().point > 0.3, "it stays in the figure");
        }
        // Where it hits both, the ratio is what it was.
        let mut both = rounds(6, 1.0);
        stall(&mut both[3..4], "now", 10);
        stall(&mut both[3..4], "base", 10);
        let verdicts = judge_rounds(&rules(), &both);
        assert!(verdicts.iter().all(|v| v.verdict == VerdictKind::Pass), "{verdicts:?}");
        // A real slowdown is found in spite of it.
        let mut slower = rounds(8, 1.5);
        stall(&mut slower[2..3], "base", 10);
        let verdict = &judge_rounds(&rules()[..1], &slower)[0];
        assert_ne!(verdict.verdict, VerdictKind::Pass);
    }

    #[test]
    fn constants_and_ties_have_intervals_without_width() {
        let constant: Vec<Round> = rounds(6, 1.0)
            .into_iter()
            .map(|mut round| {
                for request in &mut round.requests {
                    request.token_ns = vec![10_000_000, 50_000_000];
                }
                round
            })
            .collect();
        let kind = |statistic, limit| kind(rule(LATENCY, statistic, limit), &constant);
        for statistic in [Statistic::Mean, Statistic::Median, Statistic::P90] {
            assert_eq!(kind(statistic, Limit::Relative(0.05)), VerdictKind::Pass);
            // Exactly at it, by a clock that tells microseconds.
            assert_eq!(kind(statistic, Limit::Relative(0.0)), VerdictKind::Inconclusive);
        }
        assert_eq!(kind(Statistic::Mean, Limit::Max(0.051)), VerdictKind::Pass);
        assert_eq!(kind(Statistic::Mean, Limit::Max(0.049)), VerdictKind::Regressed);
        // No spread has no logarithm: there is nothing to compare, which is never a pass.
        assert_eq!(kind(Statistic::Cv, Limit::Relative(0.5)), VerdictKind::Invalid);
    }

    #[test]
    fn a_single_task_and_a_missing_metric_are_defined() {
        let mut single = rounds(5, 1.0);
        for round in &mut single {
            round.requests.retain(|request| request.task == "t0");
        }
        for statistic in [Statistic::Mean, Statistic::Median, Statistic::P90] {
            let found = kind(rule(LATENCY, statistic, Limit::Relative(0.05)), &single);
            assert_eq!(found, VerdictKind::Pass, "{statistic}");
        }
        let cv = rule(LATENCY, Statistic::Cv, Limit::Relative(0.5));
        assert_eq!(kind(cv, &single), VerdictKind::Invalid, "one value has no spread");
        // Rates need two tokens; one variant gives only one.
        let mut short = rounds(5, 1.0);
        for request in short.iter_mut().flat_map(|round| &mut round.requests) {
            if request.variant == "now" {
                request.token_ns.truncate(1);
            }
        }
        let throughput = rule(THROUGHPUT, Statistic::Mean, Limit::Relative(0.05));
        assert_eq!(kind(throughput, &short), VerdictKind::Invalid);
    }

    /// Rounds of many requests with independent noise in both variants.
    fn many(count: u32, of_round: u32, factor: f64) -> Vec<Round> {
        let mut state = 1u64;
        let mut noise = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f64 / f64::from(1u32 << 24)
        };
        let mut round = |number| {
            let mut requests = Vec::new();
            for task in 0..of_round {
                for (variant, factor) in [("base", 1.0), ("now", factor)] {
                    let last = factor * (50.0 - 8.0 * (1.0 - noise()).ln());
                    requests.push(request(number, variant, &format!("t{task}"), &[10.0, last]));
                }
            }
            Round { round: number, complete: true, requests, ..Round::default() }
        };
        (1..=count).map(&mut round).collect()
    }

    #[test]
    fn a_relative_p99_has_an_interval_once_there_are_requests_enough() {
        let p99 = |limit| rule(LATENCY, Statistic::P99, Limit::Relative(limit));
        let few = verdict(p99(0.1), &many(19, 60, 2.0));
        assert_eq!(few.verdict, VerdictKind::Inconclusive);
        assert!(few.reason.contains("100 requests in each round"), "{}", few.reason);
        assert_eq!(few.resolution, None, "it spends nothing");
        for (name, rounds) in [("by round", 6), ("bootstrap", 20)] {
            let of_round = if rounds == 6 { 200 } else { 60 };
            let twice = verdict(p99(0.1), &many(rounds, of_round, 2.0));
            assert_eq!(twice.verdict, VerdictKind::Regressed, "{name}");
            let effect = twice.effect.unwrap();
            assert!(effect.low < 1.0 && 1.0 < effect.high, "{name}: {effect:?}");
            let equal = verdict(p99(0.5), &many(rounds, of_round, 1.0));
            assert_eq!(equal.verdict, VerdictKind::Pass, "{name}");
            let ratio = rule(LATENCY, Statistic::P99OverP50, Limit::Relative(0.5));
            assert_eq!(verdict(ratio, &many(rounds, of_round, 2.0)).verdict, VerdictKind::Pass);
        }
    }

    #[test]
    fn failures_near_a_pooled_tail_leave_it_open_and_in_it_break_it() {
        let p99 = || rule(LATENCY, Statistic::P99, Limit::Relative(0.5));
        let mut near = many(20, 60, 1.0);
        fail(&mut near[..1], "now", FailureClass::Crash, 8);
        let found = verdict(p99(), &near);
        assert_eq!(found.verdict, VerdictKind::Inconclusive, "{found:?}");
        fail(&mut near[1..], "now", FailureClass::Crash, 2);
        assert_eq!(verdict(p99(), &near).verdict, VerdictKind::Regressed);
        fail(&mut near, "base", FailureClass::Crash, 2);
        assert_eq!(verdict(p99(), &near).verdict, VerdictKind::Invalid);
    }

    #[test]
    fn a_hundred_thousand_requests_are_judged_and_always_alike() {
        let rounds = many(20, 2500, 1.0);
        let rules = [
            rule(LATENCY, Statistic::Mean, Limit::Relative(0.05)),
            rule(LATENCY, Statistic::P90, Limit::Relative(0.05)),
            rule(LATENCY, Statistic::P99, Limit::Relative(0.05)),
            rule(LATENCY, Statistic::P99, Limit::Max(0.2)),
            rule(FAILURE_RATE, Statistic::Rate, Limit::Max(0.001)),
        ];
        let verdicts = judge_rounds(&rules, &rounds);
        let kinds: Vec<VerdictKind> = verdicts.iter().map(|verdict| verdict.verdict).collect();
        assert!(kinds.iter().all(|kind| kind.decided()), "{kinds:?}");
        assert_eq!(judge_rounds(&rules, &rounds), verdicts);
    }

    #[test]
    fn correlated_requests_count_for_less() {
        // Whole rounds are slow or fast together, and none is over the limit.
        let mut moody = many(60, 10, 1.0);
        for round in moody.iter_mut().step_by(2) {
            stall(std::slice::from_mut(round), "now", 2);
        }
        let p99 = |limit| rule(LATENCY, Statistic::P99, Limit::Max(limit));
        assert_eq!(verdict(p99(1.0), &many(60, 10, 1.0)).verdict, VerdictKind::Pass);
        let found = verdict(p99(1.0), &moody);
        assert_eq!(found.verdict, VerdictKind::Inconclusive);
        assert!(found.reason.contains("correlated within rounds"), "{}", found.reason);
        assert!(found.needed.unwrap().count > 300, "{:?}", found.needed);
        // Few requests prove what is far over, in two rounds or more.
        assert_eq!(verdict(p99(0.03), &many(2, 5, 1.0)).verdict, VerdictKind::Regressed);
        assert_eq!(verdict(p99(0.03), &many(1, 500, 1.0)).verdict, VerdictKind::Inconclusive);
        assert_eq!(verdict(p99(1.0), &many(1, 500, 1.0)).verdict, VerdictKind::Inconclusive);
    }

    /// Rounds in which the processes of both sides held so many bytes.
    fn with_memory(count: u32, base: u64, now: u64) -> Vec<Round> {
        let mut rounds = rounds(count, 1.0);
        for round in &mut rounds {
            for (variant, bytes) in [("base", base), ("now", now)] {
                let memory = MemoryUse { peak_rss: bytes, rss_anon: bytes, rss_file: 0 };
                round.workers.push(WorkerRun {
                    round: round.round,
                    variant: variant.into(),
                    attempt: 1,
                    memory: Some(memory),
                    ..WorkerRun::default()
                });
            }
        }
        rounds
    }

    #[test]
    fn a_page_more_is_not_a_regression_however_equal_the_rounds_are() {
        const PAGE: u64 = 4096;
        let (base, memory) = (400_000_000, |limit| rule(MEMORY, Statistic::Mean, limit));
        for count in [2, 5, 200] {
            let found = |now| verdict(memory(Limit::Relative(0.0)), &with_memory(count, base, now));
            for now in [base, base + PAGE, base - PAGE] {
                let found = found(now);
                assert_eq!(found.verdict, VerdictKind::Inconclusive, "{count} rounds: {found:?}");
                assert!(
                    found.reason.contains("less than what can be measured"),
                    "{}",
                    found.reason
                );
                assert_eq!(found.needed, None);
            }
            assert_eq!(found(2 * base).verdict, VerdictKind::Regressed, "{count} rounds");
            assert_eq!(found(base / 2).verdict, VerdictKind::Improved, "{count} rounds");
        }
        // Half a percent more, seen twice in two rounds, is not shown to be so; in twelve it is.
        let more = |count| {
            let rounds = with_memory(count, base, base + base / 200);
            verdict(memory(Limit::Relative(0.0)), &rounds).verdict
        };
        assert_eq!(more(2), VerdictKind::Inconclusive);
        assert_eq!(more(12), VerdictKind::Regressed);
        let mut point = memory(Limit::Relative(0.0));
        point.evidence = Evidence::Point;
        assert_eq!(verdict(point, &with_memory(5, base, base + PAGE)).verdict, VerdictKind::Pass);
        let fixed = verdict(memory(Limit::Max(base as f64)), &with_memory(5, base, base + PAGE));
        assert_eq!(fixed.verdict, VerdictKind::Inconclusive, "{fixed:?}");
    }

    #[test]
    fn requests_that_fail_together_count_together() {
        let one_worker = |count: u32, failed: usize| {
            let mut rounds = rounds(count, 1.0);
            fail(&mut rounds[..1], "now", FailureClass::Crash, failed);
            verdict(rule(FAILURE_RATE, Statistic::Rate, Limit::Max(0.001)), &rounds)
        };
        // All ten of one round of sixty: as one of sixty.
        let together = one_worker(60, 10);
        assert_eq!(together.verdict, VerdictKind::Inconclusive, "{together:?}");
        assert!(together.reason.contains("count as 1.0 of 60"), "{}", together.reason);
        // One round of five is not chance at 0.1%.
        assert_eq!(one_worker(5, 10).verdict, VerdictKind::Regressed);
        let mut apart = rounds(60, 1.0);
        for round in apart.iter_mut().step_by(6) {
            fail(std::slice::from_mut(round), "now", FailureClass::Crash, 1);
        }
        let apart = verdict(rule(FAILURE_RATE, Statistic::Rate, Limit::Max(0.001)), &apart);
        assert_eq!(apart.verdict, VerdictKind::Regressed, "{apart:?}");
    }

    fn with_sizes(sizes: [[u64; 2]; 3]) -> Vec<Round> {
        let mut rounds = rounds(3, 1.0);
        for (round, sizes) in rounds.iter_mut().zip(sizes) {
            for (variant, bytes) in ["base", "now"].into_iter().zip(sizes) {
                round.workers.push(WorkerRun {
                    round: round.round,
                    variant: variant.into(),
                    attempt: 1,
                    model_bytes: Some(bytes),
                    ..WorkerRun::default()
                });
            }
        }
        rounds
    }

    #[test]
    fn deterministic_metrics_are_compared_exactly_and_a_deviation_is_said() {
        let size = Metric::from_id("model_size").unwrap();
        let rule = |limit| rule(size, Statistic::Mean, limit);
        let same = with_sizes([[100, 105]; 3]);
        for (limit, expected) in [
            (Limit::Relative(0.05), VerdictKind::Pass),
            (Limit::Relative(0.04), VerdictKind::Regressed),
            (Limit::Max(105.0), VerdictKind::Pass),
            (Limit::Max(104.0), VerdictKind::Regressed),
        ] {
            let found = verdict(rule(limit), &same);
            assert_eq!((found.verdict, &found.reason[..]), (expected, ""), "{limit:?}");
            assert_eq!(found.resolution, None, "no error is spent");
        }
        let deviating =
            verdict(rule(Limit::Relative(0.05)), &with_sizes([[100, 100], [100, 120], [100, 100]]));
        assert_eq!(deviating.verdict, VerdictKind::Regressed);
        assert!(deviating.reason.contains("should be the same in every round"));
        assert_eq!(
            verdict(rule(Limit::Relative(0.05)), &rounds(3, 1.0)).verdict,
            VerdictKind::Invalid
        );
    }
}
