//! Owns the recommendation: which variant of a session to deploy for which use, by what its rules and requirements came
//! to, and by weighed ratios with their intervals.

use crate::metric::{Better, Kind};
use crate::record::{
    Evidence, Limit, Part, Requirement, Results, Round, Scenario, Severity, Verdict, VerdictKind,
    Weight, of_base,
};
use crate::stats::{self, Interval};
use crate::verdict;

/// An error of 2.5% on each side of a comparison of two, shared by the pairs that there are.
const ONE_SIDE: f64 = 0.025;

/// What is measured of the weights must be this much of them, or nothing is recommended.
const ENOUGH: f64 = 0.5;

/// What is recommended for one use.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// The scenario's name.
    pub scenario: String,
    /// What it comes to.
    pub answer: Answer,
    /// Variants that are out of question, and why; the first reason of each.
    pub out: Vec<(String, Out)>,
    /// What is required of the variants named in the answer and was not shown, nor refuted.
    pub open: Vec<Open>,
    /// What counts and was not measured of all of them, and so is left out.
    pub unmeasured: Vec<Weight>,
}

/// What a recommendation comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// This one is better than each other that remains; held against the one that comes next.
    Best(Comparison),
    /// This one remains alone.
    Only(String),
    /// The first is the best by its point, and not shown to be better than the others.
    Level {
        /// The best by its point, held against the nearest of the others.
        nearest: Comparison,
        /// The others of which no difference is shown.
        others: Vec<String>,
    },
    /// Every variant is out.
    Nobody,
    /// Too little of what counts was measured: this share of the weights.
    Unmeasured(f64),
    /// Intervals take two rounds in which all that counts was measured.
    TooFewRounds,
}

/// Two variants by the weights of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The better one by its point.
    pub variant: String,
    /// The other.
    pub over: String,
    /// Log of the weighted geometric mean of the ratios, above 0 where `variant` is better. Its ends are one-sided
    /// bounds of 2.5%, shared by the pairs of variants.
    pub score: Interval,
    /// The ratios behind it, the weightiest first.
    pub ratios: Vec<Ratio>,
    /// Rounds behind it.
    pub rounds: usize,
}

/// A ratio of two variants' values, and what it adds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Of what.
    pub of: Weight,
    /// The ratio of the values.
    pub ratio: f64,
    /// What it adds to the score: above 0 where it speaks for the better one.
    pub adds: f64,
}

/// Why a variant is out of question.
#[derive(Debug, Clone, PartialEq)]
pub enum Out {
    /// It breaks this gating rule.
    Rule(String),
    /// This gating rule could not be judged of it.
    Unjudged(String),
    /// It got through no round.
    NoRound,
    /// Requests or starts failed in so many rounds, which makes what is weighed infinitely bad.
    Failed(Weight, usize),
    /// It does not fulfil what is required: the requirement, and what it came to.
    Required(Box<Open>),
}

/// A requirement that a variant is not shown to fulfil.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// The variant.
    pub variant: String,
    /// The requirement, without its verdicts.
    pub requirement: Requirement,
    /// What it came to; missing where it was not measured of the variant.
    pub verdict: Option<Verdict>,
}

/// What to deploy for each scenario; nothing where there is no choice, or nothing was judged.
pub fn recommend(results: &Results) -> Vec<Recommendation> {
    let Some(judgement) = &results.judgement else { return Vec::new() };
    let Some(part) = results.part_of(&results.reference) else { return Vec::new() };
    let names = part.header.plan.variants.iter().map(String::as_str);
    // What the base has is no choice: it is what was there before.
    let is_choice = |name: &&str| *name == results.reference || of_base(name).is_none();
    let candidates: Vec<&str> = names.filter(is_choice).collect();
    if candidates.len() < 2 || part.complete().is_empty() {
        return Vec::new();
    }
    let session = Session { part, rounds: part.complete(), reference: &results.reference };
    let broken = |name: &str| {
        let gating = judgement.verdicts.iter().filter(|one| one.rule.severity == Severity::Gate);
        let of_it = gating.filter(|one| one.rule.variant == name);
        of_it.into_iter().find_map(|one| match one.verdict {
            VerdictKind::Regressed => Some(Out::Rule(one.rule.id.clone())),
            VerdictKind::Invalid => Some(Out::Unjudged(one.rule.id.clone())),
            _ => None,
        })
    };
    let scenarios = judgement.scenarios.iter();
    scenarios.map(|scenario| session.recommend(scenario, &candidates, &broken)).collect()
}

struct Session<'a> {
    part: &'a Part,
    rounds: Vec<&'a Round>,
    reference: &'a str,
}

impl Session<'_> {
    fn recommend(
        &self,
        scenario: &Scenario,
        candidates: &[&str],
        broken: &dyn Fn(&str) -> Option<Out>,
    ) -> Recommendation {
        let (mut out, mut remaining, mut open) = (Vec::new(), Vec::new(), Vec::new());
        for name in candidates {
            let demands: Vec<Open> = self.not_shown(scenario, name).collect();
            let refuted = || demands.iter().find(|one| one.rules_out());
            let required = || refuted().map(|one| Out::Required(Box::new(one.clone())));
            let why = broken(name).or_else(|| self.fails(scenario, name)).or_else(required);
            match why {
                Some(why) => out.push((name.to_string(), why)),
                None => {
                    remaining.push(*name);
                    open.extend(demands);
                }
            }
        }
        let (measured, unmeasured): (Vec<Weight>, Vec<Weight>) =
            scenario.weights.iter().copied().partition(|weight| self.measures(weight, &remaining));
        let answer = self.answer(scenario, &remaining, &measured);
        let named = answer.named();
        open.retain(|one| named.contains(&one.variant.as_str()));
        Recommendation { scenario: scenario.name.clone(), answer, out, open, unmeasured }
    }

    fn answer(&self, scenario: &Scenario, remaining: &[&str], weights: &[Weight]) -> Answer {
        match remaining {
            [] => return Answer::Nobody,
            [only] => return Answer::Only(only.to_string()),
            _ => {}
        }
        let sum = |weights: &[Weight]| weights.iter().map(|one| one.weight).sum::<f64>();
        let share = sum(weights) / sum(&scenario.weights);
        if share < ENOUGH {
            return Answer::Unmeasured(share);
        }
        let pairs = remaining.len() * (remaining.len() - 1) / 2;
        let alpha = ONE_SIDE / pairs as f64;
        let compare = |a: &str, b: &str| self.compare(weights, [a, b], alpha);
        // The best by its point is better than the first by the most.
        let first = remaining[0];
        let points = remaining.iter().map(|name| match *name == first {
            true => Some(0.0),
            false => compare(name, first).map(|found| found.score.point),
        });
        let Some(points) = points.collect::<Option<Vec<f64>>>() else {
            return Answer::TooFewRounds;
        };
        let places = 0..remaining.len();
        let best = places.max_by(|a, b| points[*a].total_cmp(&points[*b])).unwrap_or(0);
        let others = remaining.iter().filter(|name| **name != remaining[best]);
        let compared = others.map(|other| compare(remaining[best], other));
        let Some(mut compared) = compared.collect::<Option<Vec<Comparison>>>() else {
            return Answer::TooFewRounds;
        };
        compared.sort_by(|a, b| a.score.point.total_cmp(&b.score.point));
        let level = compared.iter().filter(|one| one.score.low <= 0.0);
        let level: Vec<String> = level.map(|one| one.over.clone()).collect();
        match level.first().cloned() {
            None => Answer::Best(compared.swap_remove(0)),
            Some(nearest) => {
                let place = compared.iter().position(|one| one.over == nearest).unwrap_or(0);
                Answer::Level { nearest: compared.swap_remove(place), others: level }
            }
        }
    }

    /// What a scenario requires of a variant and is not shown.
    fn not_shown<'b>(
        &'b self,
        scenario: &'b Scenario,
        name: &'b str,
    ) -> impl Iterator<Item = Open> + 'b {
        scenario.requires.iter().filter_map(move |requirement| {
            let found = requirement.verdicts.iter().find(|one| one.rule.variant == name);
            // Against itself the reference has changed by nothing.
            let given = name == self.reference && found.is_none() && is_change(requirement);
            if given || found.is_some_and(|one| one.verdict.holds()) {
                return None;
            }
            Some(Open {
                variant: name.to_string(),
                requirement: Requirement { verdicts: Vec::new(), ..requirement.clone() },
                verdict: found.cloned(),
            })
        })
    }

    /// What of a variant failed, so that nothing of it can be weighed.
    fn fails(&self, scenario: &Scenario, name: &str) -> Option<Out> {
        if !verdict::completes_a_round(&self.rounds, name) {
            return Some(Out::NoRound);
        }
        let failed = |weight: &Weight| {
            if weight.metric.kind() == Kind::TaskProportion {
                return 0;
            }
            verdict::log_values(weight.metric, weight.statistic, &self.rounds, name)
                .candidate_failed
        };
        let mut weights = scenario.weights.iter().map(|weight| (weight, failed(weight)));
        weights.find(|(_, rounds)| *rounds > 0).map(|(weight, rounds)| Out::Failed(*weight, rounds))
    }

    /// Whether something that counts was measured of all of them.
    fn measures(&self, weight: &Weight, remaining: &[&str]) -> bool {
        let Some((first, others)) = remaining.split_first() else { return false };
        others.iter().all(|name| self.ratio(weight, [name, first]).is_some())
    }

    /// Log of the ratio of two variants' values, above 0 where the first is better; with what it is over rounds.
    fn ratio(&self, weight: &Weight, [a, b]: [&str; 2]) -> Option<Vec<f64>> {
        if weight.metric.kind() == Kind::TaskProportion {
            return Some(vec![verdict::accuracy_ratio(self.part, [a, b], ONE_SIDE)?.point]);
        }
        let found = verdict::log_ratios(weight.metric, weight.statistic, &self.rounds, a, b).values;
        let finite = !found.is_empty() && found.iter().all(|log| log.is_finite());
        finite.then_some(found)
    }

    /// Two variants by the weights. The ratios of a round are weighed together, so that what they have in common is in
    /// the spread; accuracy is of other requests, and so independent.
    fn compare(&self, weights: &[Weight], [a, b]: [&str; 2], alpha: f64) -> Option<Comparison> {
        let sum: f64 = weights.iter().map(|one| one.weight).sum();
        let of_tasks = |one: &&Weight| one.metric.kind() == Kind::TaskProportion;
        let (graded, timed): (Vec<&Weight>, Vec<&Weight>) = weights.iter().partition(of_tasks);
        let by_round = |round: &Round| {
            let parts = timed.iter().map(|one| {
                let of = verdict::log_ratios(one.metric, one.statistic, &[round], a, b);
                Some(sign(one) * one.weight / sum * of.values.first()?)
            });
            parts.sum::<Option<f64>>()
        };
        let mut terms = Vec::new();
        let mut rounds = 0;
        if !timed.is_empty() {
            let values: Vec<f64> = self.rounds.iter().filter_map(|round| by_round(round)).collect();
            rounds = values.len();
            terms.push(stats::t_interval(&values, alpha)?);
        }
        for one in graded {
            let found = verdict::accuracy_ratio(self.part, [a, b], alpha)?;
            let share = one.weight / sum;
            terms.push(Interval {
                point: share * found.point,
                low: share * found.low,
                high: share * found.high,
            });
        }
        let score = stats::sum_of_independent(&terms);
        let ratios = weights.iter().filter_map(|one| {
            let log = stats::mean(&self.ratio(one, [a, b])?);
            Some(Ratio { of: *one, ratio: log.exp(), adds: sign(one) * one.weight / sum * log })
        });
        let mut ratios: Vec<Ratio> = ratios.collect();
        ratios.sort_by(|a, b| b.adds.abs().total_cmp(&a.adds.abs()));
        let (variant, over) = (a.to_string(), b.to_string());
        Some(Comparison { variant, over, score, ratios, rounds })
    }
}

/// Whether a requirement is on the change against the reference.
fn is_change(requirement: &Requirement) -> bool {
    let relative = matches!(requirement.limit, Limit::Relative(_) | Limit::Points(_));
    relative || requirement.metric.kind() == Kind::PerDocument
}

/// 1 where more is better, -1 where less is.
fn sign(weight: &Weight) -> f64 {
    match weight.metric.better(weight.statistic) {
        Better::Higher => 1.0,
        Better::Lower => -1.0,
    }
}

impl Open {
    /// Whether it rules a variant out: refuted, or not shown where it has to be.
    fn rules_out(&self) -> bool {
        let refuted =
            self.verdict.as_ref().is_some_and(|one| one.verdict == VerdictKind::Regressed);
        refuted || self.requirement.evidence == Evidence::Safety
    }
}

impl Answer {
    /// What was compared, where that is what it rests on.
    pub fn comparison(&self) -> Option<&Comparison> {
        match self {
            Answer::Best(found) | Answer::Level { nearest: found, .. } => Some(found),
            _ => None,
        }
    }

    /// The variants that it names, the best first.
    pub fn named(&self) -> Vec<&str> {
        match self {
            Answer::Best(found) => vec![found.variant.as_str()],
            Answer::Only(name) => vec![name.as_str()],
            Answer::Level { nearest, others } => {
                let others = others.iter().map(String::as_str);
                std::iter::once(nearest.variant.as_str()).chain(others).collect()
            }
            Answer::Nobody | Answer::Unmeasured(_) | Answer::TooFewRounds => Vec::new(),
        }
    }
}
