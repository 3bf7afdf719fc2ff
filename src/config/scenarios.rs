//! Owns the schema of `[scenarios]` in `thresholds.toml`: the uses of a model for which a variant is recommended, and
//! those that stand where none are written.

use super::perfgate_toml::Config;
use super::thresholds::{Defaults, can_be_judged, rules_of};
use crate::document::{Document, Node, Table, suggestion};
use crate::metric::{Better, Kind, METRICS, Metric, Statistic};
use crate::problem::Result;
use crate::record::{Against, Evidence, Limit, Rule, Severity, Weight};
use std::path::Path;

/// The scenarios of a `thresholds.toml` that has none of its own, as they would stand in it.
pub const DEFAULT_SCENARIOS: &str = include_str!("scenarios.toml");

/// A use of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// What it is, in a sentence; empty where nothing is said.
    pub about: String,
    /// What a variant has to fulfil.
    pub requires: Vec<Requirement>,
    /// What counts how much.
    pub weights: Vec<Weight>,
}

/// Something that a variant has to fulfil: a rule that no gate knows of.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    /// Its name in the scenario.
    pub name: String,
    /// The metric.
    pub metric: Metric,
    /// How it is reduced.
    pub statistic: Statistic,
    /// The boundary.
    pub limit: Limit,
    /// What it takes.
    pub evidence: Evidence,
    /// The rule for each variant that it can be judged of.
    pub rules: Vec<Rule>,
}

/// Reads `[scenarios]`, or the default ones where there is none.
pub(super) fn scenarios(node: Option<Node<'_>>, config: &Config) -> Result<Vec<Scenario>> {
    match node {
        Some(node) => all(node, config),
        None => defaults(config),
    }
}

fn defaults(config: &Config) -> Result<Vec<Scenario>> {
    let document = Document::new(Path::new("the default scenarios"), DEFAULT_SCENARIOS);
    let parsed = document.parse()?;
    let mut root = document.root(&parsed);
    all(root.need("scenarios")?, config)
}

fn all(node: Node<'_>, config: &Config) -> Result<Vec<Scenario>> {
    let entries = node.table()?.into_entries();
    entries.into_iter().map(|(name, node)| scenario(name, &node, config)).collect()
}

fn scenario(name: String, node: &Node<'_>, config: &Config) -> Result<Scenario> {
    let mut table = node.table()?;
    let about = table.take("about").map_or(Ok(String::new()), |node| node.string())?;
    let requires = match table.take("requires") {
        Some(node) => {
            let entries = node.table()?.into_entries();
            entries
                .iter()
                .map(|(name, node)| requirement(name, node, config))
                .collect::<Result<_>>()?
        }
        None => Vec::new(),
    };
    let weights = weights(&mut table)?;
    table.finish()?;
    Ok(Scenario { name, about, requires, weights })
}

/// One entry of `requires`, which is written as a rule is.
fn requirement(name: &str, node: &Node<'_>, config: &Config) -> Result<Requirement> {
    let mut variants = config.names();
    variants.retain(|name| *name != config.reference);
    // With one variant there is nobody to recommend, but what is wrong is said all the same.
    if variants.is_empty() {
        variants.push(config.reference.clone());
    }
    let defaults = Defaults {
        variants,
        against: Against::Variant(config.reference.clone()),
        evidence: Evidence::Regression,
        severity: Severity::Inform,
    };
    let mut rules = rules_of(name, node, &defaults, config)?;
    let Some(first) = rules.first().cloned() else {
        return Err(node
            .problem(format!("'{name}' is required of no variant"))
            .help("leave 'variants' out, or name one"));
    };
    let Rule { metric, statistic, limit, evidence, .. } = first;
    // A change is of the others; a fixed value is required of the reference too.
    if matches!(limit, Limit::Max(_) | Limit::Min(_)) && metric.kind() != Kind::PerDocument {
        let variant = config.reference.clone();
        rules.push(Rule { id: format!("{name}@{variant}"), variant, ..first });
    }
    rules.retain(|rule| can_be_judged(rule, node, config).is_ok());
    rules.iter_mut().for_each(|rule| rule.severity = Severity::Inform);
    Ok(Requirement { name: name.to_string(), metric, statistic, limit, evidence, rules })
}

/// `weights = { METRIC = 2, METRIC-STATISTIC = 1 }`.
fn weights(table: &mut Table<'_>) -> Result<Vec<Weight>> {
    let node = table.need("weights")?;
    let entries = node.table()?.into_entries();
    if entries.is_empty() {
        return Err(node
            .problem("nothing has a weight, so nothing tells one variant from another")
            .help("name metrics and how much they count, such as { throughput = 2, memory = 1 }"));
    }
    entries.iter().map(|(name, node)| weight(name, node)).collect()
}

fn weight(name: &str, node: &Node<'_>) -> Result<Weight> {
    let (metric, statistic) =
        weighed(name).map_err(|(what, help)| node.problem(what).help(help))?;
    let weight = node.number()?;
    if !(weight > 0.0 && weight.is_finite()) {
        return Err(node
            .problem(format!("the weight of '{name}' is {weight}; it should be above 0"))
            .help("write how much it counts beside the others, or leave it out"));
    }
    Ok(Weight { metric, statistic, weight })
}

/// The metric and the statistic of a name such as `latency-p90`; or what is wrong, and what to do.
fn weighed(name: &str) -> std::result::Result<(Metric, Statistic), (String, String)> {
    let (id, word) = match name.rsplit_once('-') {
        Some((id, word)) => (id, Some(word)),
        None => (name, None),
    };
    let Some(metric) = Metric::from_id(id) else {
        let ids: Vec<&str> =
            METRICS.iter().filter(|one| can_be_weighed(**one)).map(|one| one.id()).collect();
        return Err((format!("there is no metric '{id}'"), suggestion(id, &ids)));
    };
    if !can_be_weighed(metric) {
        let what = format!("'{metric}' has no ratio of which a weight could be: it may be 0");
        return Err((what, "put it under 'requires' instead".to_string()));
    }
    let Some(word) = word else { return Ok((metric, metric.info().default_statistic)) };
    let fits = |one: &Statistic| metric.allows(*one) && !one.is_far_tail();
    Statistic::from_id(word).filter(fits).map(|statistic| (metric, statistic)).ok_or_else(|| {
        let known: Vec<&str> =
            Statistic::ALL.iter().filter(|one| fits(one)).map(|one| one.id()).collect();
        (format!("'{metric}' has no statistic '{word}' to be weighed"), suggestion(word, &known))
    })
}

/// Whether the ratio of two variants' values says which is better by how much. A share of failures is 0 at its best,
/// and so is a divergence.
fn can_be_weighed(metric: Metric) -> bool {
    match metric.kind() {
        Kind::PerRequest | Kind::PerToken | Kind::PerRound => true,
        Kind::TaskProportion => metric.info().better == Better::Higher,
        Kind::Proportion | Kind::PerDocument => false,
    }
}
