//! Owns the comparison of what was measured in different sessions of this run, or in two runs: nothing
//! is paired but answers by task, and the spread between sessions has to come from elsewhere.

use super::against_baseline::FEWEST_SESSIONS;
use super::change::{Basis, Estimate, POWER, Remedy, no_narrower};
use super::effect::{self, PerRound};
use super::judge::{Case, Level, Test, completes_a_round};
use super::samples;
use crate::baseline;
use crate::metric::Kind;
use crate::record::{Against, Effect, Limit, Part, Round, Rule, VerdictKind};
use crate::stats::{self, Interval};

/// The rules with another run as the other side: the same variant there, or, where that run has none of
/// that name, the variant that the rule names. Fixed limits stay; what would be judged twice is once.
pub fn against_earlier(rules: &[Rule], earlier: &[Part]) -> Vec<Rule> {
    let has = |name: &str| earlier.iter().any(|part| part.has(name));
    let mut turned: Vec<Rule> = Vec::new();
    for rule in rules {
        let mut rule = rule.clone();
        // Documents are compared within one session only, with its reference.
        let stays = rule.against == Against::Absolute || rule.metric.kind() == Kind::PerDocument;
        if !stays {
            let other = rule.against.variant().filter(|other| !has(&rule.variant) && has(other));
            rule.against = Against::Earlier(other.unwrap_or(&rule.variant).to_string());
        }
        let same = |other: &Rule| {
            (other.metric, other.statistic, &other.variant, &other.against, &other.only)
                == (rule.metric, rule.statistic, &rule.variant, &rule.against, &rule.only)
        };
        if stays || !turned.iter().any(same) {
            turned.push(rule);
        }
    }
    turned
}

impl Case<'_> {
    /// The rule's variant against one that was measured in another session. The noise is that between
    /// sessions, which no look of this session's rounds can pick, so the whole level is there.
    pub(super) fn across<'b>(&'b self, then: &'b Part, other: &'b str) -> Test<'b> {
        let rule = self.rule;
        let differences = baseline::unlike(&self.now.header, &then.header, rule.metric);
        if !differences.is_empty() {
            return self.known(VerdictKind::Incomparable, differences.join(" and "));
        }
        let rounds = then.complete();
        // Graded tasks are answered in no round.
        let of_rounds = rule.metric.kind() != Kind::TaskProportion;
        if of_rounds && !completes_a_round(&rounds, other) {
            let why = format!("'{other}', the other side, completed no round");
            return self.known(VerdictKind::Invalid, why);
        }
        match (rule.metric.kind(), rule.limit) {
            (Kind::TaskProportion, Limit::Points(limit)) => self.graded(then, other, limit),
            (Kind::Proportion, Limit::Points(limit)) => {
                let now = samples::hits(rule.metric, &self.rounds, &rule.variant);
                let base = samples::hits(rule.metric, &rounds, other);
                self.failures_between(now, base, limit)
            }
            (_, Limit::Relative(limit)) => self.unpaired(&rounds, other, limit),
            (_, limit) => self.no_such_limit(limit),
        }
    }

    /// Failures of this session against those of others.
    pub(super) fn failures_between(
        &self,
        now: (u64, u64),
        base: (u64, u64),
        limit: f64,
    ) -> Test<'_> {
        Box::new(move |alpha| {
            let level = Level { whole: alpha, here: alpha };
            self.failure_difference(now, base, limit, level)
        })
    }

    /// The logs of one side's rounds against the other's.
    fn unpaired(&self, rounds: &[&Round], other: &str, limit: f64) -> Test<'_> {
        let rule = self.rule;
        let logs = |rounds: &[&Round], variant: &str| {
            effect::log_values(rule.metric, rule.statistic, rounds, variant)
        };
        let (now, then) = (logs(&self.rounds, &rule.variant), logs(rounds, other));
        if then.candidate_failed > 0 {
            let why = format!(
                "requests of '{other}', the other side, failed in {} of {} rounds",
                then.candidate_failed,
                rounds.len()
            );
            return self.known(VerdictKind::Invalid, why);
        }
        let sessions = if rule.metric.info().varies_by_session {
            self.stored_means(&rule.variant)
        } else {
            Vec::new()
        };
        let base = super::summary::value(rule.metric, rule.statistic, rounds, other);
        let spread_unknown =
            rule.metric.info().varies_by_session && sessions.len() < FEWEST_SESSIONS;
        Box::new(move |alpha| {
            let estimate = self.difference(&now, &then, &sessions, alpha);
            let mut verdict = self.decide_change(&now, estimate, limit);
            verdict.base = base;
            if spread_unknown && !now.values.is_empty() && !then.values.is_empty() {
                let change = stats::mean(&now.values) - stats::mean(&then.values);
                verdict.effect = Some(self.without_bounds(change, now.requests, 0));
                if verdict.verdict == VerdictKind::Inconclusive {
                    verdict.reason = format!(
                        "measured in different sessions, whose spread is not known ({} of \
                         {FEWEST_SESSIONS} stored sessions): measure both in one (`perfgate \
                         check`), or store sessions (`perfgate baseline update`)",
                        sessions.len()
                    );
                }
            }
            verdict
        })
    }

    /// A change without a bound on either side.
    pub(super) fn without_bounds(&self, change: f64, requests: usize, sessions: usize) -> Effect {
        Effect {
            point: change.exp_m1(),
            low: -1.0,
            high: f64::INFINITY,
            confidence: 1.0,
            rounds: self.rounds.len(),
            requests,
            sessions,
        }
    }

    /// For a metric that varies by session the spread between stored sessions, else Welch over rounds.
    fn difference(
        &self,
        now: &PerRound,
        then: &PerRound,
        sessions: &[f64],
        alpha: f64,
    ) -> Estimate<'_> {
        let varies = self.rule.metric.info().varies_by_session;
        let point = stats::mean(&now.values) - stats::mean(&then.values);
        let (interval, noise) = match varies {
            _ if now.values.is_empty() || then.values.is_empty() => (None, 0.0),
            false => (
                stats::welch_interval(&now.values, &then.values, alpha),
                stats::standard_deviation(&now.values),
            ),
            true if sessions.len() < FEWEST_SESSIONS => (None, 0.0),
            true => (
                stats::difference_of_two(point, sessions, alpha),
                stats::standard_deviation(sessions),
            ),
        };
        // Each side is read so coarsely; numbers that agree to less tell nothing of how far others would lie.
        let fewest = if varies { sessions.len() } else { now.values.len().min(then.values.len()) };
        let resolution = now.resolution + then.resolution;
        let interval = interval.map(|interval| {
            let of_others = stats::t_half_width(resolution, fewest.max(2), alpha);
            no_narrower(
                interval,
                of_others * if varies { (2.0 * fewest as f64).sqrt() } else { 1.0 },
            )
        });
        Estimate {
            interval,
            basis: interval.map(|interval| Basis {
                level: alpha,
                noise,
                beyond: beyond(interval, sessions.len().max(now.values.len()), alpha),
            }),
            sessions: sessions.len(),
            missing: "too few rounds".to_string(),
            remedy: Box::new(|_| Remedy {
                words: "measured in different sessions; side by side in one session (`perfgate \
                        check`) a smaller change can be told"
                    .to_string(),
                needed: None,
            }),
        }
    }
}

/// How far beyond a limit a true effect must lie to be proven with [`POWER`], from the width of an interval
/// over so many numbers.
pub(super) fn beyond(interval: Interval, numbers: usize, alpha: f64) -> f64 {
    let half = 0.5 * (interval.high - interval.low);
    let numbers = numbers.max(2);
    half * stats::detectable(1.0, numbers, alpha, POWER) / stats::t_half_width(1.0, numbers, alpha)
}
