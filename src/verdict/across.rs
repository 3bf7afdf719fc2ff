//! Owns the comparison of what was measured in different sessions of this run, or in two runs: nothing
//! is paired but answers by task, and the spread between sessions has to come from elsewhere.

use super::against_baseline::FEWEST_SESSIONS;
use super::effect::{self, PerRound};
use super::judge::{Case, Estimate, completes_a_round};
use super::samples;
use crate::baseline;
use crate::metric::Kind;
use crate::record::{Against, Effect, Limit, Part, Round, Rule, Verdict, VerdictKind};
use crate::stats::{self, Interval};

/// The rules with another run as the other side: the same variant there, or, where that run has none of
/// that name, the variant that the rule names. Fixed limits stay; what would be judged twice is once.
pub fn against_earlier(rules: &[Rule], earlier: &[Part]) -> Vec<Rule> {
    let has = |name: &str| earlier.iter().any(|part| part.has(name));
    let mut turned: Vec<Rule> = Vec::new();
    for rule in rules {
        let mut rule = rule.clone();
        if rule.against != Against::Absolute {
            let other = rule.against.variant().filter(|other| !has(&rule.variant) && has(other));
            rule.against = Against::Earlier(other.unwrap_or(&rule.variant).to_string());
        }
        let same = |other: &Rule| {
            (other.metric, other.statistic, &other.variant, &other.against, &other.only)
                == (rule.metric, rule.statistic, &rule.variant, &rule.against, &rule.only)
        };
        if rule.against == Against::Absolute || !turned.iter().any(same) {
            turned.push(rule);
        }
    }
    turned
}

impl Case<'_> {
    /// The rule's variant against one that was measured in another session.
    pub(super) fn across(&self, then: &Part, other: &str) -> Verdict {
        let rule = self.rule;
        let differences = baseline::unlike(&self.now.header, &then.header, rule.metric);
        if !differences.is_empty() {
            return self.undecided(VerdictKind::Incomparable, differences.join(" and "));
        }
        let rounds = then.complete();
        if !completes_a_round(&rounds, other) {
            let why = format!("'{other}', the other side, completed no round");
            return self.undecided(VerdictKind::Invalid, why);
        }
        match (rule.metric.kind(), rule.limit) {
            (Kind::TaskProportion, Limit::Points(limit)) => self.graded(then, other, limit),
            (Kind::Proportion, Limit::Points(limit)) => {
                let now = samples::hits(rule.metric, self.rounds, &rule.variant);
                let base = samples::hits(rule.metric, &rounds, other);
                self.failure_difference(now, base, limit)
            }
            (_, Limit::Relative(limit)) => self.unpaired(&rounds, other, limit),
            (_, limit) => self.no_such_limit(limit),
        }
    }

    /// The logs of one side's rounds against the other's.
    fn unpaired(&self, rounds: &[&Round], other: &str, limit: f64) -> Verdict {
        let rule = self.rule;
        let logs = |rounds: &[&Round], variant: &str| {
            effect::log_values(rule.metric, rule.statistic, rounds, variant)
        };
        let (now, then) = (logs(self.rounds, &rule.variant), logs(rounds, other));
        if then.candidate_failed > 0 {
            let why = format!(
                "requests of '{other}', the other side, failed in {} of {} rounds",
                then.candidate_failed,
                rounds.len()
            );
            return self.undecided(VerdictKind::Invalid, why);
        }
        let sessions = if rule.metric.info().varies_by_session {
            self.stored_means(&rule.variant)
        } else {
            Vec::new()
        };
        let remedy = |_| {
            "measured in different sessions; side by side in one session (`perfgate check`) a \
             smaller change can be told"
                .to_string()
        };
        let estimate = Estimate {
            interval: self.difference(&now, &then, &sessions),
            sessions: sessions.len(),
            missing: "too few rounds".to_string(),
            remedy: &remedy,
        };
        let mut verdict = self.decide_change(&now, estimate, limit);
        verdict.base = super::summary::value(rule.metric, rule.statistic, rounds, other);
        let spread_unknown =
            rule.metric.info().varies_by_session && sessions.len() < FEWEST_SESSIONS;
        if spread_unknown && !now.values.is_empty() && !then.values.is_empty() {
            self.show_difference(&mut verdict, &now, &then, sessions.len());
        }
        verdict
    }

    /// For a metric that varies by session the spread between stored sessions, else Welch over rounds.
    fn difference(&self, now: &PerRound, then: &PerRound, sessions: &[f64]) -> Option<Interval> {
        if now.values.is_empty() || then.values.is_empty() {
            return None;
        }
        if !self.rule.metric.info().varies_by_session {
            return stats::welch_interval(&now.values, &then.values, self.alpha);
        }
        let point = stats::mean(&now.values) - stats::mean(&then.values);
        (sessions.len() >= FEWEST_SESSIONS)
            .then(|| stats::difference_of_two(point, sessions, self.alpha))?
    }

    /// The change without a bound on either side, and why there is none.
    fn show_difference(
        &self,
        verdict: &mut Verdict,
        now: &PerRound,
        then: &PerRound,
        sessions: usize,
    ) {
        let point = stats::mean(&now.values) - stats::mean(&then.values);
        verdict.effect = Some(Effect {
            point: point.exp_m1(),
            low: -1.0,
            high: f64::INFINITY,
            confidence: 1.0 - 2.0 * self.alpha,
            rounds: self.rounds.len(),
            requests: now.requests,
            sessions: 0,
        });
        if verdict.verdict == VerdictKind::Inconclusive {
            verdict.reason = format!(
                "measured in different sessions, whose spread is not known ({sessions} of \
                 {FEWEST_SESSIONS} stored sessions): measure both in one (`perfgate check`), or \
                 store sessions (`perfgate baseline update`)"
            );
        }
    }
}
