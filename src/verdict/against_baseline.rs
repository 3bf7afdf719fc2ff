//! Owns the rules against stored sessions: which of them can be compared, and a session's value held
//! against theirs.

use super::across::beyond;
use super::change::{Basis, Estimate, MOST_ROUNDS, Remedy, no_narrower};
use super::effect::{self, PerRound};
use super::graded::bad;
use super::judge::{Case, Test};
use super::{samples, select_requests};
use crate::baseline::{self, Stored};
use crate::metric::{Kind, MODEL_SIZE};
use crate::record::{Effect, Grade, Limit, Needed, Round, Sample, Verdict, VerdictKind};
use crate::stats::{self, Interval};
use std::collections::BTreeMap;

/// Fewest stored sessions for metrics that vary by session: the spread between sessions is in no one
/// of them, and two give no more than a guess of it.
pub(super) const FEWEST_SESSIONS: usize = 3;

/// A verdict on a variant that was not asked what it was then. Worse than then is worse; what is as good may be so
/// because there is less to do.
fn of_other_work(mut verdict: Verdict, why: &str) -> Verdict {
    verdict.reason = match verdict.verdict {
        VerdictKind::Pass | VerdictKind::Improved => {
            verdict.verdict = VerdictKind::Incomparable;
            why.to_string()
        }
        _ if verdict.reason.is_empty() => why.to_string(),
        _ => format!("{}; {why}", verdict.reason),
    };
    verdict
}

impl Case<'_> {
    /// The variant now against the same variant in the stored sessions.
    pub(super) fn against_baseline<'b>(&'b self, relative_to: Option<&'b str>) -> Test<'b> {
        let rule = self.rule;
        let stored = self.measured.stored.of(rule.against.anchor());
        let having: Vec<&Stored> =
            stored.iter().filter(|stored| stored.variants.contains_key(&rule.variant)).collect();
        if having.is_empty() {
            return self.known(VerdictKind::NoBaseline, self.none_has_it(stored.len()));
        }
        let comparable = match self.comparable(&having, relative_to) {
            Ok(comparable) => comparable,
            Err(why) => return self.known(VerdictKind::Incomparable, why),
        };
        let test = match (rule.metric.kind(), rule.limit) {
            (Kind::TaskProportion, Limit::Points(limit)) => self.stored_tasks(&comparable, limit),
            (Kind::Proportion, Limit::Points(limit)) => self.stored_failures(&comparable, limit),
            (_, Limit::Relative(limit)) => self.stored_values(&comparable, relative_to, limit),
            (_, limit) => self.no_such_limit(limit),
        };
        let sessions = comparable.len();
        let other_work = self.other_prompts(&comparable);
        Box::new(move |alpha| {
            let verdict = test(alpha);
            let effect = verdict.effect.map(|effect| Effect { sessions, ..effect });
            let verdict = Verdict { effect, ..verdict };
            match &other_work {
                None => verdict,
                Some(why) => of_other_work(verdict, why),
            }
        })
    }

    /// How the timed prompts of the rule's variant are others than in some of the sessions, in token ids, where the
    /// metric depends on them.
    fn other_prompts(&self, comparable: &[&Stored]) -> Option<String> {
        if self.rule.metric.is_proportion() || self.rule.metric == MODEL_SIZE {
            return None;
        }
        let variant = &self.rule.variant;
        let now = self.now.header.variants.get(variant)?.identity.as_ref()?;
        let of_then = comparable.iter().filter_map(|stored| stored.variants.get(variant));
        let mut of_then = of_then.filter_map(|stored| stored.asked.identity.as_ref());
        let other = of_then.find(|then| now.other_prompts(then).is_some())?;
        let apart = now.contents_apart(other);
        let why = match apart.is_empty() {
            true => String::new(),
            false => format!(", since it differs from then in {}", apart.join(", ")),
        };
        Some(format!(
            "'{variant}' has other timed prompts in token ids than the stored sessions{why}"
        ))
    }

    /// Why there is no stored session of the rule's variant, among so many.
    fn none_has_it(&self, stored: usize) -> String {
        let variant = &self.rule.variant;
        match (stored, self.rule.against.anchor()) {
            (0, None) => {
                "no session is stored yet; `perfgate baseline update` accepts this one".to_string()
            }
            (count, None) => format!(
                "none of {count} stored sessions has '{variant}'; `perfgate baseline update` \
                 accepts this one"
            ),
            (0, Some(anchor)) => {
                format!("no session was stored at {anchor}: name an anchor where there are some")
            }
            (count, Some(anchor)) => format!(
                "none of {count} sessions that were stored at {anchor} has '{variant}': name an \
                 anchor where some have"
            ),
        }
    }

    /// The stored sessions that can be compared, or why none can.
    fn comparable<'b>(
        &self,
        having: &[&'b Stored],
        relative_to: Option<&str>,
    ) -> Result<Vec<&'b Stored>, String> {
        let relative_to = relative_to.map(|reference| [self.rule.variant.as_str(), reference]);
        let mut comparable = Vec::new();
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for stored in having {
            let differences =
                baseline::differences(self.now, stored, self.rule.metric, relative_to);
            match differences.is_empty() {
                true => comparable.push(*stored),
                false => *reasons.entry(differences.join(" and ")).or_default() += 1,
            }
        }
        if !comparable.is_empty() {
            return Ok(comparable);
        }
        let reasons: Vec<String> =
            reasons.into_iter().map(|(why, count)| format!("{count} with {why}")).collect();
        let count = having.len();
        Err(format!("none of {count} stored sessions can be compared: {}", reasons.join("; ")))
    }

    /// Graded tasks against those of the newest session, of the same processor if there is one: the
    /// answers of an unchanged variant don't vary there, so older sessions add nothing.
    fn stored_tasks(&self, comparable: &[&Stored], limit: f64) -> Test<'_> {
        let machine = &self.now.header.environment.machine;
        let elsewhere = |stored: &Stored| baseline::another_processor(machine, &stored.machine);
        let same = comparable.iter().rev().find(|stored| elsewhere(stored).is_none());
        let newest = same.or(comparable.last()).expect("some are comparable");
        let now = self.bad_tasks(self.now, &self.rule.variant);
        let Some(quality) = newest.quality.get(&self.rule.variant) else {
            let why = format!("'{}' answered no tasks in the stored session", self.rule.variant);
            return self.known(VerdictKind::NoBaseline, why);
        };
        let grade = |task: &String| match () {
            () if quality.failed.contains(task) => Grade::Failed,
            () if quality.wrong.contains(task) => Grade::Wrong,
            () => Grade::Right,
        };
        let metric = self.rule.metric;
        let base = now.keys().map(|task| (task.clone(), bad(metric, grade(task)))).collect();
        let test = self.paired(&now, &base, limit);
        let Some(elsewhere) = elsewhere(newest) else { return test };
        let flag = format!("the baseline was measured on {elsewhere}: INT8 results can differ");
        Box::new(move |alpha| {
            let verdict = test(alpha);
            let reasons = [verdict.reason.as_str(), &flag];
            let reasons: Vec<&str> = reasons.into_iter().filter(|text| !text.is_empty()).collect();
            Verdict { reason: reasons.join("; "), ..verdict }
        })
    }

    /// The failure rate against that of all stored sessions together.
    fn stored_failures(&self, comparable: &[&Stored], limit: f64) -> Test<'_> {
        let rounds: Vec<Round> =
            comparable.iter().flat_map(|stored| self.rounds_of(stored)).collect();
        let rounds: Vec<&Round> = rounds.iter().collect();
        let hits = |rounds: &[&Round]| samples::hits(self.rule.metric, rounds, &self.rule.variant);
        self.failures_between(hits(&self.rounds), hits(&rounds), limit)
    }

    /// A value (or a ratio) against those of the stored sessions.
    fn stored_values(
        &self,
        comparable: &[&Stored],
        relative_to: Option<&str>,
        limit: f64,
    ) -> Test<'_> {
        let now = self.logs(&self.rounds, relative_to);
        if now.reference_failed > 0 {
            let why = format!("requests of '{}' failed", relative_to.unwrap_or_default());
            return self.known(VerdictKind::Invalid, why);
        }
        let then: Vec<Vec<f64>> = comparable
            .iter()
            .map(|stored| {
                let rounds = self.rounds_of(stored);
                self.logs(&rounds.iter().collect::<Vec<_>>(), relative_to).values
            })
            .filter(|values| !values.is_empty())
            .collect();
        if then.is_empty() {
            let why = format!("no stored session has a value of {}", self.rule.metric);
            return self.known(VerdictKind::NoBaseline, why);
        }
        let sessions: Vec<f64> = then.iter().map(|values| stats::mean(values)).collect();
        Box::new(move |alpha| {
            let estimate = self.against_sessions(&now, &then, &sessions, alpha);
            let mut verdict = self.decide_change(&now, estimate, limit);
            verdict.base = Some(stats::mean(&sessions).exp());
            if now.values.is_empty() {
                return verdict;
            }
            let mean = stats::mean(&now.values);
            verdict.now = Some(mean.exp());
            if self.too_few(&sessions) {
                let change = mean - stats::mean(&sessions);
                verdict.effect = Some(self.without_bounds(change, 0, sessions.len()));
                if verdict.verdict == VerdictKind::Inconclusive {
                    verdict.reason = format!(
                        "{} of {FEWEST_SESSIONS} stored sessions: the spread between sessions is \
                         not known yet",
                        sessions.len()
                    );
                    let count = FEWEST_SESSIONS as u64;
                    verdict.needed = Some(Needed { count, of: Sample::Sessions });
                }
            }
            verdict
        })
    }

    /// The rounds of a stored session, with the tasks that the rule judges.
    fn rounds_of(&self, stored: &Stored) -> Vec<Round> {
        let mut rounds = stored.to_rounds();
        select_requests(&mut rounds, &self.rule.only, &self.now.header.plan.labels);
        rounds
    }

    /// The mean log of a variant's value in each comparable stored session that has one.
    pub(super) fn stored_means(&self, variant: &str) -> Vec<f64> {
        let rule = self.rule;
        let mean = |stored: &Stored| {
            let comparable = stored.variants.contains_key(variant)
                && baseline::differences(self.now, stored, rule.metric, None).is_empty();
            let rounds = if comparable { self.rounds_of(stored) } else { Vec::new() };
            let rounds: Vec<&Round> = rounds.iter().collect();
            let logs = effect::log_values(rule.metric, rule.statistic, &rounds, variant).values;
            (!logs.is_empty()).then(|| stats::mean(&logs))
        };
        self.measured.stored.sessions.iter().filter_map(mean).collect()
    }

    /// One log value (or log ratio) per round.
    fn logs(&self, rounds: &[&Round], relative_to: Option<&str>) -> PerRound {
        let rule = self.rule;
        match relative_to {
            None => effect::log_values(rule.metric, rule.statistic, rounds, &rule.variant),
            Some(reference) => {
                effect::log_ratios(rule.metric, rule.statistic, rounds, &rule.variant, reference)
            }
        }
    }

    fn too_few(&self, sessions: &[f64]) -> bool {
        self.rule.metric.info().varies_by_session && sessions.len() < FEWEST_SESSIONS
    }

    /// With enough sessions the new one is held against their spread. A metric that does not vary by
    /// session can be compared round by round before.
    fn against_sessions<'b>(
        &'b self,
        effect: &PerRound,
        then: &[Vec<f64>],
        sessions: &'b [f64],
        alpha: f64,
    ) -> Estimate<'b> {
        let now = &effect.values[..];
        let by_session = sessions.len() >= FEWEST_SESSIONS;
        let interval = match by_session {
            _ if now.is_empty() || self.too_few(sessions) => None,
            true => stats::prediction_interval(stats::mean(now), sessions, alpha),
            false => stats::welch_interval(now, &then.concat(), alpha),
        };
        let numbers = if by_session { sessions } else { now };
        // Both sides are read as finely, so their difference twice as coarsely; sessions that agree to less than that
        // tell nothing of how far others would lie.
        let resolution = 2.0 * effect.resolution;
        let interval = interval.map(|interval| {
            let of_others = stats::t_half_width(resolution, numbers.len().max(2), alpha);
            no_narrower(interval, of_others * (numbers.len() as f64 + 1.0).sqrt())
        });
        let basis = |interval: Interval| Basis {
            level: alpha,
            noise: stats::standard_deviation(numbers),
            beyond: beyond(interval, numbers.len(), alpha),
        };
        Estimate {
            interval,
            basis: interval.map(basis),
            sessions: sessions.len(),
            missing: "too few rounds".to_string(),
            remedy: Box::new(move |distance| {
                sessions_remedy(sessions, distance, alpha, self.rule.against.anchor())
            }),
        }
    }
}

/// How many stored sessions would settle a rule whose point lies at a distance from its limit.
fn sessions_remedy(sessions: &[f64], distance: f64, alpha: f64, anchor: Option<&str>) -> Remedy {
    let spread = stats::standard_deviation(sessions);
    match (stats::earlier_needed(spread, distance, alpha, MOST_ROUNDS), anchor) {
        // Nothing can be stored at a commit that has been made.
        (Some(needed), Some(anchor)) if needed > sessions.len() => Remedy {
            words: format!(
                "about {needed} sessions would settle it, and {} of {anchor} can be compared: an \
                 anchor with more would help",
                sessions.len()
            ),
            needed: Some(Needed { count: needed as u64, of: Sample::Sessions }),
        },
        (Some(needed), None) if needed > sessions.len() => Remedy {
            words: format!("about {needed} stored sessions would settle it"),
            needed: Some(Needed { count: needed as u64, of: Sample::Sessions }),
        },
        _ => Remedy {
            words: "sessions differ by more than the distance to the limit: a quieter machine, or \
                    'relative_to' a variant that does not change, would help"
                .to_string(),
            needed: None,
        },
    }
}
