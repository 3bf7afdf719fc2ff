//! Owns the words of a recommendation: which variant for which use, why in a few words with their figures, how sure, and
//! what it comes to in a paragraph.

use super::{Grid, words};
use crate::insight::{self, Answer, Comparison, Open, Out, Ratio, Recommendation};
use crate::record::{Limit, Requirement, Results, VerdictKind, Weight};
use serde::Serialize;

/// Which variant to deploy where.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Recommended {
    /// What it comes to.
    pub conclusion: String,
    /// The choices, for programs.
    pub choices: Vec<Choice>,
    /// The choices with their reasons.
    pub table: Grid,
}

/// The choice for one scenario.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Choice {
    /// The scenario.
    pub scenario: String,
    /// The variants of which no difference is shown, the best by its point first; one where the choice is clear, none
    /// where nothing is recommended.
    pub variants: Vec<String>,
    /// How many times as good the first is as the next by the weights, with the ends of its interval; missing where
    /// nothing was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<[f64; 3]>,
}

/// Ratios of a reason, at most.
const MOST_RATIOS: usize = 3;

/// A ratio that adds less than this to the log of a score is no reason, 2%.
const WORTH_SAYING: f64 = 0.02;

/// What is recommended from some results; nothing where there is no choice.
pub(super) fn of_results(results: &Results) -> Option<Recommended> {
    let found = insight::recommend(results);
    let choice = |one: &Recommendation| Choice {
        scenario: one.scenario.clone(),
        variants: one.answer.named().into_iter().map(str::to_string).collect(),
        score: one.answer.comparison().map(ends),
    };
    let header = ["scenario", "recommended", "why", "how sure"].map(str::to_string).to_vec();
    let table = Grid {
        title: "Which variant where".to_string(),
        header,
        rows: found.iter().map(row).collect(),
    };
    let choices = found.iter().map(choice).collect();
    (!found.is_empty()).then(|| Recommended { conclusion: conclusion(&found), choices, table })
}

fn row(found: &Recommendation) -> Vec<String> {
    vec![found.scenario.clone(), recommended(&found.answer), why(found), sure(found)]
}

fn recommended(answer: &Answer) -> String {
    match answer {
        Answer::Best(_) | Answer::Only(_) => answer.named().join(", "),
        Answer::Level { .. } => format!("no difference shown: {}", answer.named().join(", ")),
        Answer::Nobody => "none".to_string(),
        Answer::Unmeasured(_) | Answer::TooFewRounds => "not known".to_string(),
    }
}

fn why(found: &Recommendation) -> String {
    let excluded = || found.out.iter().map(|(name, why)| format!("{name} is out: {}", out(why)));
    let left = |one: &Comparison| {
        let reasons = std::iter::once(reasons(one));
        reasons.chain(excluded()).collect::<Vec<_>>().join("; ")
    };
    match &found.answer {
        Answer::Best(one) => left(one),
        Answer::Level { nearest, .. } => left(nearest),
        Answer::Only(_) | Answer::Nobody => excluded().collect::<Vec<_>>().join("; "),
        Answer::Unmeasured(share) => format!(
            "{:.0}% of what counts was measured, and half is the least: no {}",
            share * 100.0,
            weights(&found.unmeasured)
        ),
        Answer::TooFewRounds => {
            "two rounds in which all that counts was measured are the least".to_string()
        }
    }
}

/// The ratios that weigh most, of the better variant's values over the other's; what speaks against it behind a "but".
fn reasons(one: &Comparison) -> String {
    let worth = |speaks: fn(f64) -> bool| {
        let of_this_kind = one.ratios.iter().filter(move |ratio| speaks(ratio.adds));
        let most = of_this_kind.filter(|ratio| ratio.adds.abs() >= WORTH_SAYING);
        most.take(MOST_RATIOS).map(ratio).collect::<Vec<_>>().join(", ")
    };
    let (better, worse) = (worth(|adds| adds > 0.0), worth(|adds| adds < 0.0));
    match (better.is_empty(), worse.is_empty()) {
        (false, true) => format!("{better} of {}", one.over),
        (false, false) => format!("{better} of {}, but {worse}", one.over),
        (true, false) => format!("{worse} of {}", one.over),
        (true, true) => format!("nothing that counts differs from {} by much", one.over),
    }
}

fn ratio(ratio: &Ratio) -> String {
    format!("{} {:.2}×", words::metric(ratio.of.metric, ratio.of.statistic), ratio.ratio)
}

fn sure(found: &Recommendation) -> String {
    let by_figures = match &found.answer {
        Answer::Best(one) => Some(format!("{} as good as {}", score(one), one.over)),
        Answer::Level { nearest, .. } => {
            Some(format!("{} as good as {}: holds no difference", score(nearest), nearest.over))
        }
        Answer::Only(_) => Some("by what is required, not by a comparison".to_string()),
        Answer::Nobody | Answer::Unmeasured(_) | Answer::TooFewRounds => None,
    };
    // Where one is recommended it need not be named again.
    let open = found.open.iter().map(|one| match &found.answer {
        Answer::Level { .. } => format!("{}: {}", one.variant, self::open(one)),
        _ => self::open(one),
    });
    let missing = || format!("not weighed: {}, not measured", weights(&found.unmeasured));
    let compared = matches!(found.answer, Answer::Best(_) | Answer::Level { .. });
    let missing = (compared && !found.unmeasured.is_empty()).then(missing);
    let parts: Vec<String> = by_figures.into_iter().chain(open).chain(missing).collect();
    if parts.is_empty() { "-".to_string() } else { parts.join("; ") }
}

/// The weighted geometric mean of the ratios, and the ends of its interval.
fn ends(one: &Comparison) -> [f64; 3] {
    [one.score.point, one.score.low, one.score.high].map(f64::exp)
}

/// The same in words.
fn score(one: &Comparison) -> String {
    let [point, low, high] = ends(one);
    if low <= 0.0 || !high.is_finite() || high > 100.0 {
        return format!("{point:.2} times (interval too wide to say)");
    }
    format!("{point:.2} times ({low:.2} to {high:.2})")
}

fn weights(weights: &[Weight]) -> String {
    let names = weights.iter().map(|one| words::metric(one.metric, one.statistic));
    names.collect::<Vec<_>>().join(", ")
}

fn out(why: &Out) -> String {
    match why {
        Out::Rule(id) => format!("it breaks the rule {id}"),
        Out::Unjudged(id) => format!("the rule {id} could not be judged of it"),
        Out::NoRound => "it got through no round".to_string(),
        Out::Failed(weight, rounds) => format!(
            "failures in {rounds} rounds, so its {} is no figure",
            words::metric(weight.metric, weight.statistic)
        ),
        Out::Required(one) => open(one),
    }
}

/// What is required, and what it came to.
fn open(one: &Open) -> String {
    let asked = asked(&one.requirement);
    let found = one.verdict.as_ref().map(|verdict| (verdict.verdict, verdict));
    let figures = |verdict| match words::change(verdict).as_str() {
        "-" => format!("({})", words::interval(verdict)),
        change => format!("({change}, {})", words::interval(verdict)),
    };
    match found {
        Some((VerdictKind::Regressed, verdict)) => {
            format!("{asked} is not kept {}", figures(verdict))
        }
        Some((VerdictKind::Inconclusive, verdict)) if verdict.effect.is_some() => {
            format!("{asked} is not shown {}", figures(verdict))
        }
        Some((VerdictKind::Inconclusive, _)) => format!("{asked} is not shown"),
        _ => format!("{asked} was not measured"),
    }
}

fn asked(requirement: &Requirement) -> String {
    let what = words::metric(requirement.metric, requirement.statistic);
    let value = |value| requirement.metric.unit(requirement.statistic).format(value);
    let limit = match requirement.limit {
        Limit::Relative(share) => format!("within {}%", plain(share * 100.0)),
        Limit::Points(share) => format!("within {} pt", plain(share * 100.0)),
        Limit::Max(most) => format!("at most {}", value(most)),
        Limit::Min(least) => format!("at least {}", value(least)),
    };
    format!("{what} {limit}")
}

/// A number as it was written: 1, 0.5.
fn plain(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    format!("{rounded}")
}

/// What all scenarios come to.
fn conclusion(found: &[Recommendation]) -> String {
    let mut sentences = Vec::new();
    let chosen = found.iter().filter(|one| matches!(one.answer, Answer::Best(_) | Answer::Only(_)));
    let chosen: Vec<(String, String)> =
        chosen.map(|one| (recommended(&one.answer), scored(one))).collect();
    let clause =
        |(variant, scenarios): &(String, Vec<&str>)| format!("{variant} for {}", listed(scenarios));
    let clauses: Vec<String> = grouped(&chosen).iter().map(clause).collect();
    if !clauses.is_empty() {
        sentences.push(format!("Deploy {}.", clauses.join("; ")));
        if found.iter().any(|one| matches!(one.answer, Answer::Best(_))) {
            let what =
                "In brackets: how many times as good as the next, by the weights of the use.";
            sentences.push(what.to_string());
        }
    }
    let level = found.iter().filter(|one| matches!(one.answer, Answer::Level { .. }));
    let level: Vec<(String, String)> =
        level.map(|one| (listed(&one.answer.named()), one.scenario.clone())).collect();
    for (variants, scenarios) in grouped(&level) {
        let scenarios = listed(&scenarios);
        sentences.push(format!("For {scenarios} no difference between {variants} is shown."));
    }
    let silent = found.iter().filter(|one| one.answer.named().is_empty());
    let silent: Vec<&str> = silent.map(|one| one.scenario.as_str()).collect();
    if !silent.is_empty() {
        sentences.push(format!("For {} nothing is recommended.", listed(&silent)));
    }
    let outs = found.iter().flat_map(|one| &one.out);
    let outs = outs.map(|(name, why)| format!("{name}, because {}", out(why)));
    let opens = found.iter().flat_map(|one| &one.open);
    let opens = opens.map(|one| format!("{} of {}", asked(&one.requirement), one.variant));
    let unmeasured = found.iter().flat_map(|one| &one.unmeasured);
    let unmeasured = unmeasured.map(|one| words::metric(one.metric, one.statistic));
    for (said, list) in [
        ("Out where it matters", each_once(outs)),
        ("Required, and neither shown nor refuted", each_once(opens)),
        ("Not measured, and so not weighed", each_once(unmeasured)),
    ] {
        if !list.is_empty() {
            sentences.push(format!("{said}: {}.", list.join("; ")));
        }
    }
    sentences.join(" ")
}

/// A scenario with how much better its choice is.
fn scored(found: &Recommendation) -> String {
    match &found.answer {
        Answer::Best(one) => {
            format!("{} ({:.2}×)", found.scenario, ends(one)[0])
        }
        _ => found.scenario.clone(),
    }
}

fn each_once(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for text in texts {
        if !list.contains(&text) {
            list.push(text);
        }
    }
    list
}

/// Pairs by their first, in the order of their first appearance.
fn grouped(pairs: &[(String, String)]) -> Vec<(String, Vec<&str>)> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (key, value) in pairs {
        match groups.iter_mut().find(|(known, _)| known == key) {
            Some((_, values)) => values.push(value),
            None => groups.push((key.clone(), vec![value])),
        }
    }
    groups
}

/// `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => one.to_string(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
