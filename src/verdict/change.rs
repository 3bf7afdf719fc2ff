//! Owns the rules on times, rates and sizes: values and ratios by round, held against a limit on the scale
//! of their logs.

use super::effect::{self, PerRound};
use super::judge::{Case, Level, Test, known};
use super::tail;
use crate::metric::Better;
use crate::record::{Effect, Evidence, Limit, Needed, Resolution, Sample, Verdict, VerdictKind};
use crate::stats::{self, Interval};

/// Most rounds (or stored sessions) that are worth naming as a remedy.
pub const MOST_ROUNDS: usize = 1000;

/// The probability with which the smallest detectable effect would have been proven.
pub const POWER: f64 = 0.9;

/// An interval on the scale of one number per round, and what to say without a decision.
pub(super) struct Estimate<'a> {
    /// The interval, if there is enough for one.
    pub(super) interval: Option<Interval>,
    /// What it rests on.
    pub(super) basis: Option<Basis>,
    /// Stored sessions behind it.
    pub(super) sessions: usize,
    /// Why there is no interval.
    pub(super) missing: String,
    /// What would settle an undecided rule whose point lies so far from its limit.
    pub(super) remedy: Box<dyn Fn(f64) -> Remedy + 'a>,
}

/// What an interval rests on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Basis {
    /// The level of its bounds.
    pub(super) level: f64,
    /// Standard deviation of the numbers behind it.
    pub(super) noise: f64,
    /// How far beyond the limit a true effect must lie to be proven with [`POWER`].
    pub(super) beyond: f64,
}

/// What would settle a rule, in words and as a figure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Remedy {
    pub(super) words: String,
    pub(super) needed: Option<Needed>,
}

/// The scale on which numbers are held against a limit.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    /// The limit, turned as the numbers are.
    limit: f64,
    /// Turns the numbers so that more is worse: 1 or -1.
    orientation: f64,
    /// Turns a number into what is reported.
    shown: fn(f64) -> f64,
}

impl Case<'_> {
    /// A candidate against a reference, by log ratios.
    pub(super) fn ratio<'b>(&'b self, reference: &'b str, limit: f64) -> Test<'b> {
        let base = self.display(reference);
        let with_base = move |verdict: Verdict| Verdict { base, ..verdict };
        let (effect, advisory) = self.numbers(Some(reference));
        if effect.reference_failed > 0 {
            let why = format!(
                "requests of '{reference}', the other side, failed in {} of {} rounds",
                effect.reference_failed,
                self.rounds.len()
            );
            return known(with_base(self.undecided(VerdictKind::Invalid, why)));
        }
        self.tested(effect, advisory, self.change_scale(limit), with_base)
    }

    /// A variant's own value against a fixed limit.
    pub(super) fn value(&self, limit: f64) -> Test<'_> {
        // For an upper limit more is worse, for a lower limit less is.
        let orientation = if matches!(self.rule.limit, Limit::Min(_)) { -1.0 } else { 1.0 };
        let scale = Scale { limit: limit.ln() * orientation, orientation, shown: f64::exp };
        let (effect, advisory) = self.numbers(None);
        self.tested(effect, advisory, scale, move |mut verdict| {
            verdict.base = Some(limit);
            if verdict.verdict == VerdictKind::Improved {
                verdict.verdict = VerdictKind::Pass;
            }
            verdict
        })
    }

    /// One number per round, and why they can only inform, if so.
    fn numbers(&self, reference: Option<&str>) -> (PerRound, Option<String>) {
        let rule = self.rule;
        let (metric, statistic, rounds) = (rule.metric, rule.statistic, &self.rounds);
        let by_round = match reference {
            Some(other) => effect::log_ratios(metric, statistic, rounds, &rule.variant, other),
            None => effect::log_values(metric, statistic, rounds, &rule.variant),
        };
        match statistic.is_far_tail() {
            true => tail::effect(self, reference, by_round),
            false => (by_round, None),
        }
    }

    /// The test of one number per round.
    fn tested<'b>(
        &'b self,
        effect: PerRound,
        advisory: Option<String>,
        scale: Scale,
        finish: impl Fn(Verdict) -> Verdict + 'b,
    ) -> Test<'b> {
        if self.rule.metric.info().deterministic {
            return known(finish(self.exact(&effect, scale)));
        }
        self.by_look(move |level| {
            let verdict = self.decide(&effect, self.over_rounds(&effect, level), scale);
            finish(match &advisory {
                Some(why) => self.advisory(verdict, why),
                None => verdict,
            })
        })
    }

    /// A tail of too few requests: shown, not decided.
    fn advisory(&self, mut verdict: Verdict, why: &str) -> Verdict {
        if verdict.verdict != VerdictKind::Invalid {
            verdict.verdict = VerdictKind::Inconclusive;
            verdict.reason = why.to_string();
            verdict.resolution = None;
            verdict.needed = None;
        }
        verdict
    }

    /// Student's t over the rounds.
    fn over_rounds<'b>(&'b self, effect: &'b PerRound, level: Level) -> Estimate<'b> {
        let rounds = effect.values.len();
        let spread = effect.spread();
        // Rounds that agree to less than what can be read tell nothing of how far others would lie.
        let told = spread.max(effect.resolution);
        let enough = rounds >= 2;
        Estimate {
            interval: enough
                .then(|| stats::t_interval_of(effect.point(), told, rounds, level.here)),
            basis: enough.then(|| Basis {
                level: level.here,
                noise: spread,
                beyond: stats::detectable(told, rounds, level.here, POWER).max(effect.resolution),
            }),
            sessions: 0,
            missing: match (rounds, self.rounds.len()) {
                (_, 1) => "1 round has no spread; at least 2 are needed, 6 are usual".to_string(),
                (some, all) => format!("{some} of {all} rounds have a value; 2 are needed"),
            },
            remedy: Box::new(move |distance| rounds_remedy(told, distance, level.whole)),
        }
    }

    /// Holds log ratios against an allowed relative change.
    pub(super) fn decide_change(
        &self,
        effect: &PerRound,
        estimate: Estimate<'_>,
        limit: f64,
    ) -> Verdict {
        self.decide(effect, estimate, self.change_scale(limit))
    }

    fn change_scale(&self, limit: f64) -> Scale {
        let better = self.rule.better();
        let orientation = if better == Better::Lower { 1.0 } else { -1.0 };
        Scale { limit: limit_width(better, limit), orientation, shown: f64::exp_m1 }
    }

    /// Holds an estimate against a limit.
    fn decide(&self, effect: &PerRound, estimate: Estimate<'_>, scale: Scale) -> Verdict {
        let mut verdict = self.undecided(VerdictKind::Invalid, String::new());
        verdict.now = self.display(&self.rule.variant);
        let rounds = self.rounds.len();
        if effect.values.is_empty() && effect.candidate_failed == 0 {
            verdict.reason = self.no_value();
            return verdict;
        }
        let shown = scale.shown;
        let basis = estimate.basis;
        let found = estimate.interval.map(|interval| no_narrower(interval, effect.resolution));
        verdict.effect = found.map(|interval| Effect {
            point: shown(interval.point),
            low: shown(interval.low),
            high: shown(interval.high),
            confidence: 1.0 - 2.0 * basis.map_or(0.0, |basis| basis.level),
            rounds: effect.values.len(),
            requests: effect.requests,
            sessions: estimate.sessions,
        });
        verdict.resolution = basis.map(|basis| Resolution {
            level: basis.level,
            noise: Some(basis.noise),
            detectable: Some(shown((scale.limit + basis.beyond) * scale.orientation)),
        });
        // Failures that reach the judged quantile: infinitely worse in that round. One such round
        // may be chance, as for requests over an absolute limit.
        if effect.candidate_failed >= 2 {
            verdict.verdict = VerdictKind::Regressed;
            verdict.reason = failed_rounds(effect, rounds);
            return verdict;
        }
        let Some(interval) = found else {
            verdict.verdict = VerdictKind::Inconclusive;
            verdict.reason = match effect.candidate_failed {
                0 => estimate.missing,
                _ => failed_rounds(effect, rounds),
            };
            return verdict;
        };
        let worse = oriented(interval, scale.orientation);
        let distance = worse.point - scale.limit;
        let at_limit = distance.abs() <= effect.resolution;
        verdict.verdict = match self.rule.evidence {
            // What cannot be told from the limit is not beyond it.
            Evidence::Point if at_limit => {
                self.kind(Interval { point: scale.limit, ..worse }, scale.limit)
            }
            _ => self.kind(worse, scale.limit),
        };
        match verdict.verdict {
            VerdictKind::Inconclusive if at_limit && effect.resolution > 0.0 => {
                verdict.reason = format!(
                    "the distance to the limit is less than what can be measured, which is {}: no number of \
                     rounds would settle it",
                    finest_words(effect.resolution)
                );
            }
            VerdictKind::Inconclusive => {
                let remedy = (estimate.remedy)(distance);
                verdict.reason = remedy.words;
                verdict.needed = remedy.needed;
            }
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

    /// Values that the same inputs must give again: compared as they are, without an error probability. If
    /// they differ between rounds after all, that is said, and the worst round is judged.
    fn exact(&self, effect: &PerRound, scale: Scale) -> Verdict {
        let mut verdict = self.undecided(VerdictKind::Invalid, String::new());
        verdict.now = self.display(&self.rule.variant);
        let worse = effect.values.iter().map(|value| value * scale.orientation);
        let Some(worst) = worse.clone().max_by(f64::total_cmp) else {
            verdict.reason = self.no_value();
            return verdict;
        };
        let best = worse.min_by(f64::total_cmp).unwrap_or(worst);
        // The logs of equal values differ by rounding.
        let at_limit = (worst - scale.limit).abs() < 1e-12;
        let judged = if at_limit { scale.limit } else { worst };
        verdict.verdict =
            self.kind(Interval { point: judged, low: judged, high: judged }, scale.limit);
        let shown = |worse: f64| (scale.shown)(worse * scale.orientation);
        verdict.effect = Some(Effect {
            point: shown(worst),
            low: shown(worst).min(shown(best)),
            high: shown(worst).max(shown(best)),
            confidence: 1.0,
            rounds: effect.values.len(),
            requests: effect.requests,
            sessions: 0,
        });
        if worst != best {
            verdict.reason = format!(
                "it should be the same in every round, and is not: the worst of {} rounds is judged",
                effect.values.len()
            );
        }
        verdict
    }
}

/// How many rounds would settle a rule whose point lies at a distance from its limit.
fn rounds_remedy(spread: f64, distance: f64, alpha: f64) -> Remedy {
    match stats::rounds_needed(spread, distance, alpha, MOST_ROUNDS) {
        Some(needed) => Remedy {
            words: format!("about {needed} rounds would settle it"),
            needed: Some(Needed { count: needed as u64, of: Sample::Rounds }),
        },
        None => Remedy {
            words: format!("too near the limit: {MOST_ROUNDS} rounds would not settle it"),
            needed: None,
        },
    }
}

/// How far an allowed relative change lies from no change on the log scale.
pub fn limit_width(better: Better, limit: f64) -> f64 {
    match better {
        Better::Lower => limit.ln_1p(),
        Better::Higher => -(-limit).ln_1p(),
    }
}

/// The relative change that lies so far from no change on the log scale, to the worse.
pub fn limit_of_width(better: Better, width: f64) -> f64 {
    match better {
        Better::Lower => width.exp_m1(),
        Better::Higher => -(-width).exp_m1(),
    }
}

/// An interval that reaches so far from its point at least.
pub(super) fn no_narrower(interval: Interval, half: f64) -> Interval {
    let Interval { point, low, high } = interval;
    Interval { point, low: low.min(point - half), high: high.max(point + half) }
}

/// A small share in percent, with two digits that say something.
fn finest_words(share: f64) -> String {
    let percent = 100.0 * share;
    if percent >= 0.01 { format!("{percent:.2}%") } else { format!("{percent:.0e}%") }
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
