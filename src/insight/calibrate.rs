//! Owns the reading of an A/A run, a variant against itself: the noise by metric, the false alarms of the
//! rules, the smallest change that can be told, and which limits and how many rounds that advises.

use super::replay::replay;
use crate::baseline::Stores;
use crate::metric::{Kind, Metric, Statistic};
use crate::record::{Against, Limit, Part, Round, Rule, Severity, Spending, VerdictKind};
use crate::stats;
use crate::verdict::{self, Measured, POWER};

/// The numbers of rounds for which the smallest detectable change is told, beside the plan's own.
const ROUNDS: [usize; 4] = [3, 6, 12, 20];

/// What is asked of an A/A run.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The variant and the copy of it.
    pub pair: [&'a str; 2],
    /// The rules, turned so that they judge the copy against the variant.
    pub rules: &'a [Rule],
    /// Probability of any false alarm of the gate.
    pub false_alarms: f64,
    /// Rounds of a session, as configured.
    pub rounds: usize,
    /// How a session ends early, as configured.
    pub stop: Option<Spending>,
}

/// What a machine's noise means for the rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The variant that was held against itself.
    pub variant: String,
    /// The sessions, with their rounds.
    pub sessions: Vec<(String, usize)>,
    /// Rounds of a session, as configured.
    pub rounds: usize,
    /// Gating rules that share the error.
    pub sharing: usize,
    /// Probability of any false alarm of the gate.
    pub false_alarms: f64,
    /// The noise by metric.
    pub noise: Vec<Noise>,
    /// The false alarms.
    pub alarms: Alarms,
    /// What it means for each rule.
    pub advice: Vec<Advice>,
}

/// The noise of a metric: standard deviations of logs, so 0.03 is about 3%.
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    /// The metric.
    pub metric: Metric,
    /// How it is reduced.
    pub statistic: Statistic,
    /// Of the ratio of one request, within a round; nothing where there is no pair of requests.
    pub within_rounds: Option<f64>,
    /// Of a round's ratio, between the rounds of a session.
    pub between_rounds: f64,
    /// Of a session's mean ratio, between sessions; nothing for one session.
    pub ratio_between_sessions: Option<f64>,
    /// Of a session's mean value, between sessions; nothing for one session.
    pub value_between_sessions: Option<f64>,
    /// The smallest changes that can be told.
    pub detectable: Vec<Detectable>,
}

/// The smallest change beyond a limit that so many rounds prove with a probability of 90%, as a fraction.
#[derive(Debug, Clone, PartialEq)]
pub struct Detectable {
    /// Rounds.
    pub rounds: usize,
    /// For a rule that has the error for itself.
    pub one_rule: f64,
    /// For one of the gating rules as configured.
    pub of_all: f64,
}

/// False alarms in comparisons of nothing with nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarms {
    /// Rounds of a comparison; no round is in two of them.
    pub rounds: usize,
    /// Comparisons in which any gating rule was broken, with the limits and looks as configured.
    pub gate: Share,
    /// By rule, judged alone over all rounds of a comparison, with a limit of 0: how well its level holds.
    pub by_rule: Vec<(String, Share)>,
}

/// A share of comparisons with its exact 95% interval (Clopper and Pearson 1934).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Comparisons with an alarm.
    pub hits: u64,
    /// All comparisons.
    pub all: u64,
    /// Lower bound of the rate.
    pub low: f64,
    /// Upper bound of the rate.
    pub high: f64,
}

impl Share {
    fn of(hits: u64, all: u64) -> Share {
        let low = stats::proportion_lower(hits, all, 0.025);
        Share { hits, all, low, high: stats::proportion_upper(hits, all, 0.025) }
    }
}

/// What the noise means for one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// The rule.
    pub rule: String,
    /// Its limit, as a fraction.
    pub limit: f64,
    /// The smallest limit under which an unchanged variant is proven to lie, with a probability of 90%, in
    /// the rounds configured.
    pub least_limit: f64,
    /// Rounds after which an unchanged variant is proven to lie under the configured limit, with that
    /// probability; nothing if a thousand are too few.
    pub rounds: Option<usize>,
}

impl Advice {
    /// Whether the limit is below what the configured rounds can tell.
    pub fn too_tight(&self) -> bool {
        self.limit < self.least_limit
    }
}

/// The rules turned to judge a copy of a variant against the variant itself, each once: those that hold times,
/// rates, sizes and failures of one variant against another's.
pub fn retargeted(rules: &[Rule], [variant, copy]: [&str; 2]) -> Vec<Rule> {
    let mut turned: Vec<Rule> = Vec::new();
    for rule in rules {
        let relative = matches!(rule.limit, Limit::Relative(_) | Limit::Points(_));
        if !relative
            || !matches!(rule.against, Against::Variant(_))
            || matches!(rule.metric.kind(), Kind::TaskProportion | Kind::PerDocument)
        {
            continue;
        }
        let id = rule.id.split('@').next().unwrap_or(&rule.id).to_string();
        let against = Against::Variant(variant.to_string());
        let rule = Rule { id, variant: copy.to_string(), against, ..rule.clone() };
        if !turned.iter().any(|other| other.id == rule.id) {
            turned.push(rule);
        }
    }
    turned
}

/// Reads an A/A run of one session or more.
pub fn calibrate(sessions: &[Part], question: &Question<'_>) -> Calibration {
    let sharing = question.rules.iter().filter(|rule| verdict::shares_the_level(rule)).count();
    let noise: Vec<Noise> =
        judged(question.rules).map(|of| noise(sessions, question, of, sharing)).collect();
    let advice =
        question.rules.iter().filter_map(|rule| advice(rule, &noise, question, sharing)).collect();
    Calibration {
        variant: question.pair[0].to_string(),
        sessions: sessions
            .iter()
            .map(|part| (part.header.session.clone(), part.complete().len()))
            .collect(),
        rounds: question.rounds,
        sharing,
        false_alarms: question.false_alarms,
        alarms: alarms(sessions, question),
        noise,
        advice,
    }
}

/// The level of one of so many rules that share it.
fn shared(question: &Question<'_>, sharing: usize) -> f64 {
    question.false_alarms / sharing.max(1) as f64
}

/// What the rules judge, each once.
fn judged(rules: &[Rule]) -> impl Iterator<Item = (Metric, Statistic)> {
    let mut seen: Vec<(Metric, Statistic)> = Vec::new();
    for rule in rules.iter().filter(|rule| !rule.metric.is_proportion()) {
        if !rule.metric.info().deterministic && !seen.contains(&(rule.metric, rule.statistic)) {
            seen.push((rule.metric, rule.statistic));
        }
    }
    seen.into_iter()
}

fn noise(
    sessions: &[Part],
    question: &Question<'_>,
    (metric, statistic): (Metric, Statistic),
    sharing: usize,
) -> Noise {
    let [variant, copy] = question.pair;
    let ratios = |part: &Part| {
        verdict::log_ratios(metric, statistic, &part.complete(), copy, variant).values
    };
    let by_session: Vec<Vec<f64>> = sessions.iter().map(ratios).collect();
    let within: Vec<Vec<f64>> = sessions
        .iter()
        .flat_map(Part::complete)
        .map(|round| verdict::paired_log_ratios(metric, round, copy, variant))
        .collect();
    let spread = pooled_spread(&by_session).unwrap_or(f64::NAN);
    let value = |part: &Part| {
        let values = verdict::log_values(metric, statistic, &part.complete(), variant).values;
        (!values.is_empty()).then(|| stats::mean(&values))
    };
    let values: Vec<f64> = sessions.iter().filter_map(value).collect();
    let means: Vec<f64> =
        by_session.iter().filter(|v| !v.is_empty()).map(|v| stats::mean(v)).collect();
    let between = |values: &[f64]| (values.len() >= 2).then(|| stats::standard_deviation(values));
    Noise {
        metric,
        statistic,
        within_rounds: pooled_spread(&within),
        between_rounds: spread,
        ratio_between_sessions: between(&means),
        value_between_sessions: between(&values),
        detectable: detectable(spread, question, sharing),
    }
}

/// The standard deviation within groups, pooled by their degrees of freedom; nothing if no group has two
/// values.
fn pooled_spread(groups: &[Vec<f64>]) -> Option<f64> {
    let (mut squares, mut freedom) = (0.0, 0.0);
    for group in groups.iter().filter(|group| group.len() >= 2) {
        let free = group.len() as f64 - 1.0;
        squares += stats::standard_deviation(group).powi(2) * free;
        freedom += free;
    }
    (freedom > 0.0).then(|| (squares / freedom).sqrt())
}

fn detectable(spread: f64, question: &Question<'_>, sharing: usize) -> Vec<Detectable> {
    let mut rounds: Vec<usize> = ROUNDS.iter().copied().chain([question.rounds]).collect();
    rounds.sort_unstable();
    rounds.dedup();
    let at = |rounds: usize, level: f64| stats::detectable(spread, rounds, level, POWER).exp_m1();
    rounds
        .into_iter()
        .filter(|rounds| *rounds >= 2)
        .map(|rounds| Detectable {
            rounds,
            one_rule: at(rounds, question.false_alarms),
            of_all: at(rounds, shared(question, sharing)),
        })
        .collect()
}

fn advice(rule: &Rule, noise: &[Noise], question: &Question<'_>, sharing: usize) -> Option<Advice> {
    let Limit::Relative(limit) = rule.limit else { return None };
    let noise = noise.iter().find(|n| (n.metric, n.statistic) == (rule.metric, rule.statistic))?;
    let level = if verdict::shares_the_level(rule) {
        shared(question, sharing)
    } else {
        question.false_alarms
    };
    // An unchanged variant lies as far within its limit as the limit is wide.
    let width = verdict::limit_width(rule.better(), limit);
    let reach = |rounds: usize| stats::detectable(noise.between_rounds, rounds, level, POWER);
    let most = verdict::MOST_ROUNDS;
    (question.rounds >= 2).then(|| Advice {
        rule: rule.id.clone(),
        limit,
        least_limit: verdict::limit_of_width(rule.better(), reach(question.rounds)),
        rounds: (2..=most).find(|rounds| reach(*rounds) <= width),
    })
}

/// Cuts the sessions into comparisons of as many rounds as are configured, and judges each.
fn alarms(sessions: &[Part], question: &Question<'_>) -> Alarms {
    let mut gate = (0, 0);
    let mut by_rule: Vec<(u64, u64)> = vec![(0, 0); question.rules.len()];
    for part in sessions {
        let rounds: Vec<Round> = part.complete().into_iter().cloned().collect();
        let drives = drives(part, question);
        for chunk in rounds.chunks_exact(question.rounds.max(1)) {
            let look = (question.stop, &drives[..]);
            let done = replay(&part.header, chunk, question.rules, question.false_alarms, look);
            let broken = done
                .verdicts
                .iter()
                .any(|verdict| verdict.rule.severity == Severity::Gate && verdict.verdict.beyond());
            gate = (gate.0 + u64::from(broken), gate.1 + 1);
            for (rule, count) in question.rules.iter().zip(&mut by_rule) {
                let mut alone = rule.clone();
                alone.limit = match rule.limit {
                    Limit::Points(_) => Limit::Points(0.0),
                    _ => Limit::Relative(0.0),
                };
                let done = replay(
                    &part.header,
                    chunk,
                    std::slice::from_ref(&alone),
                    question.false_alarms,
                    (None, &[]),
                );
                let broken = done.verdicts[0].verdict == VerdictKind::Regressed;
                *count = (count.0 + u64::from(broken), count.1 + 1);
            }
        }
    }
    Alarms {
        rounds: question.rounds,
        gate: Share::of(gate.0, gate.1),
        by_rule: question
            .rules
            .iter()
            .zip(by_rule)
            .map(|(rule, (hits, all))| (rule.id.clone(), Share::of(hits, all)))
            .collect(),
    }
}

/// The rules that would drive a session that knew this one's noise.
fn drives(part: &Part, question: &Question<'_>) -> Vec<String> {
    let mut header = part.header.clone();
    header.plan.rounds = question.rounds as u32;
    let parts = std::slice::from_ref(part);
    let measured = Measured { parts, earlier: &[], stored: &Stores::default() };
    let foreseen = verdict::foresee(question.rules, &header, &measured, question.false_alarms);
    verdict::driving(&foreseen)
}
