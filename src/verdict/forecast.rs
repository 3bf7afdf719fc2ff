//! Owns what can be said of a rule before anything is measured: whether the planned rounds and tasks can
//! settle it, and what it would need.

use super::Measured;
use super::against_baseline::FEWEST_SESSIONS;
use super::change::{MOST_ROUNDS, POWER, limit_width};
use super::counts::OVER_P99;
use super::effect::{self, PerRound};
use super::graded::{MOST_TASKS, bad};
use super::judge::first_levels;
use super::{looks, tail};
use crate::baseline;
use crate::metric::{Better, Kind, Metric, Needs, Statistic};
use crate::record::{
    Against, Evidence, Header, Limit, Part, Reading, Rule, Severity, Verdict, VerdictKind,
};
use crate::stats::{self, Pairs};

/// Whether a plan can settle a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settles {
    /// It probably can.
    Yes,
    /// It cannot.
    No,
    /// Nothing is known of the noise yet.
    Unknown,
    /// Nothing has to be measured for it.
    Known,
}

/// A rule with what can be said of it beforehand.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreseen {
    /// The rule.
    pub rule: Rule,
    /// Whether the plan can settle it.
    pub settles: Settles,
    /// Why, with the figures.
    pub why: String,
}

/// The rules that a session with several looks has to decide before it may end early: those that gate on its
/// own rounds, but for those that the plan cannot settle in any case.
pub fn driving(foreseen: &[Foreseen]) -> Vec<String> {
    let drives = |Foreseen { rule, settles, .. }: &&Foreseen| {
        let of_rounds = matches!(rule.against, Against::Variant(_) | Against::Absolute)
            && !matches!(rule.metric.kind(), Kind::TaskProportion | Kind::PerDocument);
        rule.severity == Severity::Gate
            && rule.evidence != Evidence::Point
            && of_rounds
            && !matches!(settles, Settles::No | Settles::Known)
    };
    foreseen.iter().filter(drives).map(|foreseen| foreseen.rule.id.clone()).collect()
}

/// Foresees every rule, from what was measured before under the same plan (which may be nothing).
pub fn foresee(
    rules: &[Rule],
    header: &Header,
    past: &Measured<'_>,
    false_alarms: f64,
) -> Vec<Foreseen> {
    let foreseen = |(rule, alpha): (&Rule, f64)| {
        let (settles, why) = Foresight { rule, header, past, alpha }.of_rule();
        Foreseen { rule: rule.clone(), settles, why }
    };
    rules.iter().zip(first_levels(rules, false_alarms)).map(foreseen).collect()
}

struct Foresight<'a> {
    rule: &'a Rule,
    header: &'a Header,
    past: &'a Measured<'a>,
    alpha: f64,
}

impl Foresight<'_> {
    fn of_rule(&self) -> (Settles, String) {
        let rule = self.rule;
        let named = rule.against.variant().into_iter().chain([rule.variant.as_str()]);
        if let Some(absent) = named.filter_map(|name| self.header.plan.absent.get(name)).next() {
            return (Settles::Known, format!("{}: {}", absent.verdict, absent.why));
        }
        if let (Needs::Energy, Reading::Unavailable(why)) =
            (rule.metric.info().needs, &self.header.environment.energy)
        {
            return (Settles::No, why.clone());
        }
        if rule.evidence == Evidence::Point {
            return (Settles::Yes, "its point decides".to_string());
        }
        match (&rule.against, rule.metric.kind(), rule.limit) {
            (_, Kind::PerDocument, _) => self.documents(),
            (Against::Baseline { .. }, _, _) => self.baseline(),
            (_, Kind::TaskProportion, Limit::Points(limit)) => self.tasks(limit),
            (_, Kind::TaskProportion, _) => (Settles::Unknown, "depends on the share".to_string()),
            (_, Kind::Proportion, Limit::Points(limit)) => self.requests(limit, self.last() / 2.0),
            (_, Kind::Proportion, Limit::Max(limit)) => self.requests(limit, self.last()),
            (_, _, Limit::Max(_)) if rule.statistic == Statistic::P99 => {
                self.requests_over(self.last())
            }
            _ if rule.metric.info().deterministic => {
                (Settles::Yes, "it is compared exactly".to_string())
            }
            _ if rule.statistic.is_far_tail() && !self.tail_has_interval() => {
                (Settles::No, "too few requests for an interval; it only informs".to_string())
            }
            _ => self.rounds(),
        }
    }

    /// What the documents of the past came to under this rule: they are the same, so nothing but the models
    /// moves it.
    fn documents(&self) -> (Settles, String) {
        match super::judge::verdict(self.rule, self.past, self.alpha) {
            Verdict { verdict, .. } if verdict.decided() => {
                (Settles::Yes, format!("as the latest session did: {verdict}"))
            }
            Verdict { verdict: VerdictKind::Inconclusive, reason, .. } => {
                (Settles::Unknown, reason)
            }
            _ => (Settles::Unknown, "depends on how far the predictions are apart".to_string()),
        }
    }

    /// The level of the plan's last look.
    fn last(&self) -> f64 {
        let plan = &self.header.plan;
        let level = |stopping| looks::level(stopping, plan.rounds as usize, self.alpha);
        plan.stopping.as_ref().and_then(level).unwrap_or(self.alpha)
    }

    /// The timing tasks that the rule judges.
    fn tasks_of_round(&self) -> usize {
        let plan = &self.header.plan;
        plan.tasks.iter().filter(|task| self.rule.only.takes(plan.labels.get(*task))).count()
    }

    fn tail_has_interval(&self) -> bool {
        tail::has_interval(self.header.plan.rounds as usize, self.tasks_of_round())
    }

    /// A count: so many clean requests would prove it.
    fn requests(&self, limit: f64, alpha: f64) -> (Settles, String) {
        let planned = self.tasks_of_round() as u64 * u64::from(self.header.plan.rounds);
        let Some(needed) = stats::clean_trials_needed(limit, alpha) else {
            return (Settles::No, "no number of requests shows 0%: allow a little".to_string());
        };
        let hit = if self.rule.metric.is_proportion() { "a failure" } else { "one over" };
        let why = format!("{planned} requests; {needed} without {hit} would show it");
        (settles(planned >= needed), why)
    }

    /// A P99 against a fixed value: so many requests under it would prove it, and so many more since their correlation
    /// within rounds is estimated.
    fn requests_over(&self, alpha: f64) -> (Settles, String) {
        let of_round = self.tasks_of_round() as u64;
        let planned = of_round * u64::from(self.header.plan.rounds);
        let independent = stats::clean_trials_needed(OVER_P99, alpha);
        let probably = stats::clean_requests_needed(OVER_P99, alpha, of_round, POWER);
        let (Some(independent), Some(probably)) = (independent, probably) else {
            return (Settles::No, "no number of requests shows it".to_string());
        };
        let settles = match planned {
            planned if planned >= probably => Settles::Yes,
            planned if planned >= independent => Settles::Unknown,
            _ => Settles::No,
        };
        let why = format!(
            "{planned} requests; {independent} independent ones without one over would show it, and {probably} in \
             rounds of {of_round} do so in nine of ten sessions"
        );
        (settles, why)
    }

    /// A share of the graded tasks: so many pairs, with the shares of the past.
    fn tasks(&self, limit: f64) -> (Settles, String) {
        let Some(quality) = &self.header.plan.quality else {
            return (Settles::No, "there are no graded tasks".to_string());
        };
        let takes = |task: &&String| self.rule.only.takes(quality.labels.get(*task));
        let planned = quality.tasks.iter().filter(takes).count();
        let pairs = self.discordant();
        let from = if pairs.is_some() { "with the shares of the past" } else { "if none differs" };
        let none = Pairs { first_only: 0.0, second_only: 0.0, all: planned as f64 };
        match stats::pairs_needed(pairs.unwrap_or(none), limit, self.alpha, MOST_TASKS) {
            Some(needed) if needed <= planned => {
                (settles(true), format!("{planned} tasks; {needed} would do, {from}"))
            }
            Some(needed) => (Settles::No, format!("{planned} tasks; about {needed}, {from}")),
            None => (Settles::No, format!("{planned} tasks; {MOST_TASKS} would not do, {from}")),
        }
    }

    /// How the answers of the past fell out against the other variant's.
    fn discordant(&self) -> Option<Pairs> {
        let part = self.past.part_of(&self.rule.variant)?;
        let other = self.rule.against.variant()?;
        let of = |variant: &str| -> Vec<(&str, bool)> {
            let answers = part.answers.iter().filter(|answer| answer.variant == variant);
            answers.map(|a| (a.task.as_str(), bad(self.rule.metric, a.grade))).collect()
        };
        let (now, base) = (of(&self.rule.variant), of(other));
        let mut pairs = Pairs { first_only: 0.0, second_only: 0.0, all: 0.0 };
        for (task, bad) in now {
            let Some((_, bad_base)) = base.iter().find(|(other, _)| *other == task) else {
                continue;
            };
            pairs.all += 1.0;
            pairs.first_only += f64::from(u8::from(bad && !bad_base));
            pairs.second_only += f64::from(u8::from(!bad && *bad_base));
        }
        (pairs.all > 0.0).then_some(pairs)
    }

    /// A value by round: so many rounds, at the spread of the past.
    fn rounds(&self) -> (Settles, String) {
        let planned = self.header.plan.rounds as usize;
        let Some((effect, limit)) =
            self.past.part_of(&self.rule.variant).and_then(|p| self.seen(p))
        else {
            return (Settles::Unknown, "its noise is not known before a first session".to_string());
        };
        let spread = effect.spread();
        let distance = self.oriented(effect.point()) - limit;
        let told = match planned {
            0 | 1 => "1 round tells nothing".to_string(),
            _ => {
                let beyond = stats::detectable(spread, planned, self.last(), POWER).exp_m1();
                format!("{planned} rounds find {:.1}% beyond the limit", beyond * 100.0)
            }
        };
        match stats::rounds_needed(spread, distance, self.last(), MOST_ROUNDS) {
            Some(needed) if needed <= planned => (settles(true), told),
            Some(needed) => (Settles::No, format!("{told}; about {needed} rounds would settle it")),
            None => (Settles::No, format!("{told}; too near its limit for {MOST_ROUNDS} rounds")),
        }
    }

    /// The rule's values by round in the past, with the limit on their scale.
    fn seen(&self, part: &Part) -> Option<(PerRound, f64)> {
        let rule = self.rule;
        let rounds = part.complete();
        let (effect, limit) = match (&rule.against, rule.limit) {
            (Against::Variant(other), Limit::Relative(limit)) if part.has(other) => {
                let ratios =
                    effect::log_ratios(rule.metric, rule.statistic, &rounds, &rule.variant, other);
                (ratios, limit_width(rule.better(), limit))
            }
            (Against::Absolute, Limit::Max(limit) | Limit::Min(limit)) => {
                let values =
                    effect::log_values(rule.metric, rule.statistic, &rounds, &rule.variant);
                (values, self.oriented(limit.ln()))
            }
            _ => return None,
        };
        (effect.values.len() >= 2).then_some((effect, limit))
    }

    /// A number turned so that more is worse.
    fn oriented(&self, value: f64) -> f64 {
        let lower_is_worse = match self.rule.limit {
            Limit::Min(_) => true,
            Limit::Max(_) => false,
            _ => self.rule.better() == Better::Higher,
        };
        if lower_is_worse { -value } else { value }
    }

    fn baseline(&self) -> (Settles, String) {
        let rule = self.rule;
        let stored = self.past.stored.of(rule.against.anchor()).iter();
        let class = &self.header.environment.machine;
        let workload = &self.header.plan.workload_sha256;
        let sessions = stored
            .filter(|s| {
                s.variants.contains_key(&rule.variant) && baseline::same_class(class, &s.machine)
            })
            .filter(|s| s.workload.sha256 == *workload || graded(rule.metric))
            .count();
        let fewest = if rule.metric.info().varies_by_session { FEWEST_SESSIONS } else { 1 };
        let why = match sessions {
            0 if let Some(anchor) = rule.against.anchor() => format!(
                "no session of this class and workload was stored at {anchor}: name an anchor where \
                 there are some"
            ),
            0 => "no stored session of this class and workload; `perfgate baseline update` accepts one"
                .to_string(),
            count => format!("{count} stored sessions of {fewest} that are needed"),
        };
        (settles(sessions >= fewest), why)
    }
}

fn graded(metric: Metric) -> bool {
    metric.kind() == Kind::TaskProportion
}

fn settles(yes: bool) -> Settles {
    if yes { Settles::Yes } else { Settles::No }
}
