//! Owns the rules on counts of requests: failures, and requests over a fixed limit, by exact binomial
//! bounds.

use super::change::POWER;
use super::judge::{Case, Level, Test};
use super::samples;
use crate::metric::Kind;
use crate::record::{Effect, Needed, Resolution, Round, Sample, Verdict, VerdictKind};
use crate::stats::{self, Interval};
use std::collections::BTreeMap;

/// The share of requests that may lie over a limit on P99.
pub(super) const OVER_P99: f64 = 0.01;

/// Requests over a limit.
struct Over {
    hits: u64,
    trials: u64,
    /// Rounds that have such requests.
    rounds: usize,
    /// So many requests count as one, being correlated within their round.
    design_effect: f64,
}

impl Case<'_> {
    /// The failure rate against a fixed limit.
    pub(super) fn failure_rate(&self, limit: f64) -> Test<'_> {
        let (failed, all) = samples::hits(self.rule.metric, &self.rounds, &self.rule.variant);
        let design_effect = self.failing_together();
        self.by_look(move |level| self.failures([failed, all], design_effect, limit, level))
    }

    /// So many requests count as one, by how far those that fail are of the same rounds: a worker that dies may take
    /// several with it.
    fn failing_together(&self) -> f64 {
        let of_round = |round: &&Round| -> Vec<f64> {
            let each = samples::failing(self.rule.metric, round, &self.rule.variant);
            each.into_iter().map(|failed| f64::from(u8::from(failed))).collect()
        };
        let by_round: Vec<Vec<f64>> = self.rounds.iter().map(of_round).collect();
        let size = by_round.iter().map(Vec::len).sum::<usize>() as f64 / by_round.len() as f64;
        stats::design_effect(stats::intraclass_correlation(&by_round), size)
    }

    fn failures(
        &self,
        [failed, all]: [u64; 2],
        design_effect: f64,
        limit: f64,
        level: Level,
    ) -> Verdict {
        let effective = [failed, all].map(|count| count as f64 / design_effect);
        let mut verdict = self.share_of_trials(effective, limit, level.here);
        let together = match design_effect > 1.005 {
            true => format!(
                "; they are of the same rounds, and count as {:.1} of {:.0}",
                effective[0], effective[1]
            ),
            false => String::new(),
        };
        if verdict.verdict != VerdictKind::Inconclusive {
            if failed > 0 {
                verdict.reason = format!("{failed} of {all} requests failed{together}");
            }
            return verdict;
        }
        let upper = verdict.effect.as_ref().map_or(1.0, |effect| effect.high);
        let proven = format!(
            "{failed} of {all} failed{together}: below {:.2}% with {:.1}% confidence",
            upper * 100.0,
            (1.0 - level.here) * 100.0
        );
        let (words, needed) = remedy(effective, design_effect, limit, level.whole);
        verdict.reason = format!("{proven}; {words}");
        verdict.needed = needed;
        verdict
    }

    /// P99 against a fixed limit: at most 1% of the requests may lie over it. Proven worse only by
    /// requests of at least two rounds, since one stall of the machine hits a whole round.
    pub(super) fn count_over(&self, limit: f64) -> Test<'_> {
        let over = self.over(limit);
        let now = self.display(&self.rule.variant);
        self.by_look(move |level| Verdict {
            now,
            base: Some(limit),
            // The share is not the value that the table shows.
            effect: None,
            ..self.tail_by_count(&over, level)
        })
    }

    fn tail_by_count(&self, over: &Over, level: Level) -> Verdict {
        let effective = [over.hits, over.trials].map(|count| count as f64 / over.design_effect);
        let mut verdict = self.share_of_trials(effective, OVER_P99, level.here);
        let one_round = verdict.verdict == VerdictKind::Regressed && over.rounds < 2;
        if one_round {
            verdict.verdict = VerdictKind::Inconclusive;
        }
        verdict.reason =
            format!("{} of {} over the limit, in {} rounds", over.hits, over.trials, over.rounds);
        if over.design_effect > 1.005 {
            verdict.reason += &format!(
                "; correlated within rounds, they count as {:.0} of {:.0}",
                effective[0], effective[1]
            );
        }
        if verdict.verdict == VerdictKind::Inconclusive {
            let (words, needed) = match self.rounds.len() {
                1 => ("1 round does not tell how far its requests go together".to_string(), None),
                _ if one_round => {
                    ("one round may be a stall; another one is proof".to_string(), None)
                }
                _ => remedy(effective, over.design_effect, OVER_P99, level.whole),
            };
            verdict.reason += &format!("; {words}");
            verdict.needed = needed;
        }
        verdict
    }

    /// Counts the requests over a limit and what correlation within rounds leaves of their number: that of
    /// the logs of the values, or that of lying over, whichever is greater. The tails of requests go
    /// together less than their values do, so this errs to the safe side.
    fn over(&self, limit: f64) -> Over {
        let (metric, variant) = (self.rule.metric, &self.rule.variant);
        let by_round: Vec<Vec<f64>> =
            self.rounds.iter().map(|round| samples::ranked(metric, round, variant)).collect();
        let beyond: Vec<Vec<f64>> = by_round
            .iter()
            .map(|values| values.iter().map(|v| f64::from(u8::from(*v > limit))).collect())
            .collect();
        let hits = beyond.iter().flatten().filter(|hit| **hit > 0.0).count() as u64;
        let trials = by_round.iter().map(|values| values.len() as u64).sum();
        let size = trials as f64 / by_round.len() as f64;
        let correlation = match by_round.len() {
            1 => 1.0,
            _ => stats::intraclass_correlation(&self.centred_logs(&by_round))
                .max(stats::intraclass_correlation(&beyond)),
        };
        Over {
            hits,
            trials,
            rounds: beyond.iter().filter(|round| round.contains(&1.0)).count(),
            design_effect: stats::design_effect(correlation, size),
        }
    }

    /// The logs of the finite values by round, less the mean of their task: that tasks differ is no
    /// correlation within rounds.
    fn centred_logs(&self, by_round: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let metric = self.rule.metric;
        let finite = |value: &f64| value.is_finite() && *value > 0.0;
        if metric.kind() != Kind::PerRequest {
            let logs = |values: &Vec<f64>| -> Vec<f64> {
                values.iter().filter(|value| finite(value)).map(|value| value.ln()).collect()
            };
            return by_round.iter().map(logs).collect();
        }
        let rounds: Vec<BTreeMap<&str, f64>> = self
            .rounds
            .iter()
            .map(|round| {
                let values = samples::by_task(metric, round, &self.rule.variant).into_iter();
                values.filter_map(|(task, value)| Some((task, value?.ln()))).collect()
            })
            .collect();
        let mut of_task: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (task, value) in rounds.iter().flatten() {
            of_task.entry(task).or_default().push(*value);
        }
        let center: BTreeMap<&str, f64> =
            of_task.into_iter().map(|(task, values)| (task, stats::mean(&values))).collect();
        let centred = |round: &BTreeMap<&str, f64>| {
            round.iter().map(|(task, value)| value - center[task]).collect()
        };
        rounds.iter().map(centred).collect()
    }

    /// A proportion of trials against a limit.
    pub(super) fn proportion(&self, hits: u64, trials: u64, limit: f64, level: f64) -> Verdict {
        self.share_of_trials([hits as f64, trials as f64], limit, level)
    }

    /// A proportion of trials, which may be effective numbers, against a limit.
    fn share_of_trials(&self, [hits, trials]: [f64; 2], limit: f64, level: f64) -> Verdict {
        let mut verdict = self.undecided(VerdictKind::Invalid, "nothing was counted".to_string());
        if trials <= 0.0 {
            return verdict;
        }
        let bounds = Interval {
            point: hits / trials,
            low: stats::effective_lower(hits, trials, level),
            high: stats::effective_upper(hits, trials, level),
        };
        verdict.reason = String::new();
        verdict.verdict = self.kind(bounds, limit);
        verdict.now = Some(bounds.point);
        verdict.base = Some(limit);
        verdict.effect = Some(self.share_effect(bounds, trials.round() as usize, level));
        let detectable = stats::detectable_share(trials.round() as u64, limit, level, POWER);
        verdict.resolution = Some(Resolution { level, noise: None, detectable });
        verdict
    }

    pub(super) fn share_effect(&self, bounds: Interval, trials: usize, level: f64) -> Effect {
        Effect {
            point: bounds.point,
            low: bounds.low,
            high: bounds.high,
            confidence: 1.0 - 2.0 * level,
            rounds: self.rounds.len(),
            requests: trials,
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
        level: Level,
    ) -> Verdict {
        let half = level.here / 2.0;
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
        verdict.effect = Some(self.share_effect(bounds, all as usize, level.here));
        let over = limit + upper(base, all_base, half);
        let detectable = stats::detectable_share(all, over, half, POWER)
            .map(|share| share - rate(base, all_base));
        verdict.resolution = Some(Resolution { level: level.here, noise: None, detectable });
        if verdict.verdict == VerdictKind::Inconclusive && now == 0 && base == 0 {
            // Each side's bound takes half of the level.
            let needed = stats::clean_trials_needed(limit, level.whole / 2.0);
            verdict.needed = needed.map(|count| Needed { count, of: Sample::Requests });
            verdict.reason += &clean(needed);
        }
        verdict
    }
}

fn clean(needed: Option<u64>) -> String {
    match needed {
        Some(needed) => format!("; {needed} clean requests on each side would show it"),
        None => "; no number of them shows 0 points: allow a little, such as 0.1pt".to_string(),
    }
}

/// What would settle a count of (effective) hits and trials, each of which takes so many requests.
fn remedy(
    [hits, trials]: [f64; 2],
    design_effect: f64,
    limit: f64,
    alpha: f64,
) -> (String, Option<Needed>) {
    let requests = |trials: u64| (trials as f64 * design_effect).ceil() as u64;
    let needed = |count: u64| Some(Needed { count, of: Sample::Requests });
    if hits > limit * trials {
        return match stats::trials_to_exceed(hits / trials, limit, alpha) {
            Some(count) => {
                let count = requests(count);
                (format!("about {count} requests with such a share would prove it"), needed(count))
            }
            None => ("too near the limit for any number of requests".to_string(), None),
        };
    }
    match stats::trials_needed(hits, limit, alpha) {
        Some(count) if hits == 0.0 => {
            let count = requests(count);
            (format!("{count} clean requests would show it"), needed(count))
        }
        Some(count) => {
            let count = requests(count);
            (format!("{count} requests with no more of them would show it"), needed(count))
        }
        None => ("no number of requests shows 0%: allow a little, such as 0.1%".to_string(), None),
    }
}
