//! Owns what the graded tasks of variants come to beside the rules: shares by suite and by kind of failure, how far
//! free-running answers are the reference's, and what came of asking again.

use super::ONE_SIDE;
use crate::quality::divergence;
use crate::record::{Answer, Failure, FailureClass, Grade, Part, Repeat, Way};
use crate::stats::{self, Interval};
use std::collections::{BTreeMap, BTreeSet};

/// A share with its exact 95% interval (Clopper and Pearson).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// What was counted.
    pub hits: u64,
    /// Of how many.
    pub of: u64,
    /// The ends of the interval.
    pub ends: [f64; 2],
}

impl Share {
    fn of(hits: u64, of: u64) -> Share {
        let ends = [
            stats::proportion_lower(hits, of, ONE_SIDE),
            stats::proportion_upper(hits, of, ONE_SIDE),
        ];
        Share { hits, of, ends }
    }

    /// The share itself; NaN of nothing.
    pub fn point(&self) -> f64 {
        self.hits as f64 / self.of as f64
    }
}

/// How far a variant's free-running answers are the reference's.
#[derive(Debug, Clone, PartialEq)]
pub struct Alike {
    /// Tasks that were answered by exactly the same tokens.
    pub same: Share,
    /// The median over the others of the first token, from 0, that differs.
    pub diverges_at: Option<f64>,
    /// Tasks that the reference has right and the variant has not, of those that both answered.
    pub lost: u64,
    /// Tasks that the variant has right and the reference has not.
    pub won: u64,
    /// McNemar's exact test of the two.
    pub p: f64,
}

/// What asking again in one way came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Again {
    /// What was other.
    pub way: Way,
    /// Whether tokens were drawn.
    pub drawn: bool,
    /// Answers of the same tokens as the first time, of those that were answered both times.
    pub same: Share,
    /// Tasks without an answer this time or the first time: a worker that died gave no other answer.
    pub unanswered: usize,
    /// Why the first of them has none.
    pub why: Option<String>,
}

/// How often tasks that were asked with several seeds were right.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeated {
    /// Tasks.
    pub tasks: usize,
    /// How often each was asked.
    pub times: u32,
    /// Right answers of all, with Student's t interval over tasks where there is one.
    pub right: Interval,
    /// For each number of attempts from 1: the mean over tasks of the probability that all are right, and that any
    /// is.
    pub of_k: Vec<[f64; 2]>,
}

/// A variant's graded tasks.
pub fn answers<'a>(part: &'a Part, variant: &'a str) -> impl Iterator<Item = &'a Answer> {
    part.answers.iter().filter(move |answer| answer.variant == variant)
}

/// The suites of the graded tasks of a session, in the order of their tasks; `None` for tasks without one.
pub fn suites(part: &Part) -> Vec<Option<String>> {
    let Some(quality) = &part.header.plan.quality else { return Vec::new() };
    let mut suites = Vec::new();
    for task in &quality.tasks {
        let suite = quality.labels.get(task).and_then(|labels| labels.suite.clone());
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    suites
}

/// The share of right answers of a variant in a suite, or in all.
pub fn right(part: &Part, variant: &str, suite: Option<&Option<String>>) -> Share {
    let labels = part.header.plan.quality.as_ref().map(|quality| &quality.labels);
    let of_suite = |answer: &&Answer| {
        let own = labels.and_then(|labels| labels.get(&answer.task)?.suite.clone());
        suite.is_none_or(|suite| *suite == own)
    };
    let answers: Vec<&Answer> = answers(part, variant).filter(of_suite).collect();
    let right = answers.iter().filter(|answer| answer.grade == Grade::Right).count();
    Share::of(right as u64, answers.len() as u64)
}

/// The kinds of failure among the answers of a session.
pub fn kinds_of_failure(part: &Part) -> BTreeSet<FailureClass> {
    part.answers.iter().filter_map(|answer| Some(answer.failure.as_ref()?.class)).collect()
}

/// The share of a variant's answers that failed in one way, or in any.
pub fn failed(part: &Part, variant: &str, class: Option<FailureClass>) -> Share {
    let answers: Vec<&Answer> = answers(part, variant).collect();
    let of_class = |answer: &&&Answer| {
        let failed = answer.failure.as_ref();
        failed.is_some_and(|failure| class.is_none_or(|class| class == failure.class))
    };
    Share::of(answers.iter().filter(of_class).count() as u64, answers.len() as u64)
}

/// How far a variant's answers are the reference's; `None` if they share no free-running task that both answered.
pub fn alike(part: &Part, variant: &str, reference: &str) -> Option<Alike> {
    let base: BTreeMap<&str, &Answer> =
        answers(part, reference).map(|a| (a.task.as_str(), a)).collect();
    let pairs: Vec<(&Answer, &Answer)> = answers(part, variant)
        .filter_map(|now| Some((*base.get(now.task.as_str())?, now)))
        .collect();
    let count = |wanted: fn(bool, bool) -> bool| {
        // What an engine failed to give is not another answer.
        let flips = |(base, now): &&(&Answer, &Answer)| {
            [base, now].iter().all(|one| answered(one.failure.as_ref()))
                && wanted(base.grade == Grade::Right, now.grade == Grade::Right)
        };
        pairs.iter().filter(flips).count() as u64
    };
    let (lost, won) = (count(|base, now| base && !now), count(|base, now| !base && now));
    let spoken: Vec<&(&Answer, &Answer)> =
        pairs.iter().filter(|(a, b)| !a.tokens.is_empty() && !b.tokens.is_empty()).collect();
    let places: Vec<f64> = spoken
        .iter()
        .filter_map(|(a, b)| divergence(&a.tokens, &b.tokens))
        .map(f64::from)
        .collect();
    (!spoken.is_empty()).then(|| Alike {
        same: Share::of((spoken.len() - places.len()) as u64, spoken.len() as u64),
        diverges_at: (!places.is_empty()).then(|| stats::quantile(&places, 0.5)),
        lost,
        won,
        p: stats::mcnemar(lost, won),
    })
}

/// Whether a task was answered, whatever the answer is worth.
fn answered(failure: Option<&Failure>) -> bool {
    failure.is_none_or(|failure| failure.class.is_answer())
}

/// What asking a variant again was, by what was other.
pub fn again(part: &Part, variant: &str) -> Vec<Again> {
    let of_variant = || part.repeats.iter().filter(|repeat| repeat.variant == variant);
    let drawn = |repeat: &Repeat| !repeat.sampling.is_greedy();
    let first: BTreeMap<(bool, &str), &Repeat> = of_variant()
        .filter(|repeat| repeat.way == Way::First)
        .map(|repeat| ((drawn(repeat), repeat.task.as_str()), repeat))
        .collect();
    let ways: BTreeSet<(bool, Way)> = of_variant()
        .filter(|repeat| !matches!(repeat.way, Way::First | Way::Seed(_)))
        .map(|repeat| (drawn(repeat), repeat.way))
        .collect();
    let of_way = |(sampled, way): (bool, Way)| {
        let mut found =
            Again { way, drawn: sampled, same: Share::of(0, 0), unanswered: 0, why: None };
        let (mut hits, mut of) = (0, 0);
        for repeat in of_variant().filter(|one| one.way == way && drawn(one) == sampled) {
            let before = first.get(&(sampled, repeat.task.as_str()));
            let failures = [repeat.failure.as_ref(), before.and_then(|one| one.failure.as_ref())];
            match failures.into_iter().flatten().find(|failure| !answered(Some(failure))) {
                Some(failure) => {
                    found.unanswered += 1;
                    found.why.get_or_insert_with(|| failure.to_string());
                }
                None => {
                    of += 1;
                    hits += u64::from(repeat.diverges_at.is_none() && !repeat.tokens.is_empty());
                }
            }
        }
        found.same = Share::of(hits, of);
        found
    };
    ways.into_iter().map(of_way).collect()
}

/// How often a variant's tasks were right that were asked with several seeds; `None` if none was.
pub fn repeated(part: &Part, variant: &str) -> Option<Repeated> {
    let mut by_task: BTreeMap<&str, [u32; 2]> = BTreeMap::new();
    for repeat in part.repeats.iter().filter(|repeat| repeat.variant == variant) {
        if let Way::Seed(_) = repeat.way {
            let [right, times] = by_task.entry(&repeat.task).or_default();
            *right += u32::from(repeat.grade == Grade::Right);
            *times += 1;
        }
    }
    let times = by_task.values().map(|[_, times]| *times).min()?;
    let shares: Vec<f64> =
        by_task.values().map(|[right, times]| f64::from(*right) / f64::from(*times)).collect();
    let point = stats::mean(&shares);
    let unknown = Interval { point, low: f64::NAN, high: f64::NAN };
    let mean = |of: fn(u32, u32, u32) -> f64, k: u32| {
        let values: Vec<f64> =
            by_task.values().map(|[right, times]| of(*right, *times, k)).collect();
        stats::mean(&values)
    };
    Some(Repeated {
        tasks: by_task.len(),
        times,
        right: stats::t_interval(&shares, ONE_SIDE).unwrap_or(unknown),
        of_k: (1..=times).map(|k| [mean(stats::all_right, k), mean(stats::any_right, k)]).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::part;
    use super::*;
    use crate::record::Sampling;

    fn repeat(task: &str, way: Way, tokens: &[u32], failure: Option<FailureClass>) -> Repeat {
        Repeat {
            variant: "now".into(),
            task: task.into(),
            way,
            sampling: Sampling::default(),
            tokens: tokens.to_vec(),
            diverges_at: None,
            grade: Grade::Wrong,
            cached: false,
            failure: failure.map(|class| Failure { class, message: "signal 8".into() }),
        }
    }

    fn again_of(repeats: Vec<Repeat>) -> Vec<Again> {
        let mut part = part(&[]);
        part.repeats = repeats;
        again(&part, "now")
    }

    #[test]
    fn a_worker_that_died_gave_no_other_answer() {
        let one = Way::Threads(1);
        let died = Some(FailureClass::Crash);
        let found = again_of(vec![
            repeat("a", Way::First, &[1, 2], None),
            repeat("b", Way::First, &[1], None),
            repeat("a", one, &[], died),
            repeat("b", one, &[], died),
        ]);
        assert_eq!((found[0].same.of, found[0].unanswered), (0, 2), "{found:?}");
        assert_eq!(found[0].why.as_deref(), Some("crash: signal 8"));
        let part_of_it = again_of(vec![
            repeat("a", Way::First, &[1, 2], None),
            repeat("b", Way::First, &[], died),
            repeat("c", Way::First, &[5], Some(FailureClass::RunOn)),
            repeat("a", one, &[1, 2], None),
            // There is nothing to compare it with.
            repeat("b", one, &[1], None),
            repeat("c", one, &[5], Some(FailureClass::RunOn)),
        ]);
        let same = &part_of_it[0].same;
        assert_eq!((same.hits, same.of, part_of_it[0].unanswered), (2, 2, 1), "{part_of_it:?}");
    }
}
