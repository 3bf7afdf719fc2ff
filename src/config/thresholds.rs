//! Owns the schema of `thresholds.toml`: the rules, their defaults and the policies.

use super::perfgate_toml::Config;
use super::scenarios::{self, Scenario};
use crate::document::{Document, Node, Table, suggestion};
use crate::metric::{Better, Kind, METRICS, Metric, Statistic, Unit};
use crate::problem::Result;
use crate::record::{
    Against, BASE, Evidence, Forcing, Limit, Policies, Policy, Rule, Selection, Severity, Waiver,
    of_base,
};
use std::path::{Path, PathBuf};

/// What `thresholds.toml` says: one rule for each variant that it judges.
#[derive(Debug, Clone)]
pub struct Thresholds {
    /// Where it stands, for complaints about a rule.
    pub file: PathBuf,
    /// The rules in the order of the file.
    pub rules: Vec<Rule>,
    /// What to do with rules that could not be decided.
    pub policies: Policies,
    /// Probability of any false alarm among the gating rules of a session with no true change.
    pub false_alarms: f64,
    /// The waivers, those that have expired too.
    pub waivers: Vec<Waived>,
    /// The uses for which a variant is recommended.
    pub scenarios: Vec<Scenario>,
}

/// A waiver and the rules that it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Waived {
    /// The rule's name in the file, or its id.
    pub rule: String,
    /// What is granted.
    pub waiver: Waiver,
}

impl Thresholds {
    /// Puts the waivers in force on a day (`YYYY-MM-DD`) to their rules. Returns what a reader has to know:
    /// every waiver, and those that are refused because they have expired.
    pub fn waive(&mut self, today: &str) -> Vec<String> {
        let mut notes = Vec::new();
        for Waived { rule: name, waiver } in &self.waivers {
            let Waiver { owner, reason, expires, .. } = waiver;
            // Days in this form sort as texts.
            if expires.as_str() < today {
                notes.push(format!(
                    "refused: the waiver of {owner} for {name} expired on {expires}: {reason}"
                ));
                continue;
            }
            let of_rule = |rule: &&mut Rule| rule.id == *name || name_of(&rule.id) == *name;
            for rule in self.rules.iter_mut().filter(of_rule) {
                rule.waiver = Some(waiver.clone());
            }
            notes.push(format!("waiver of {owner} for {name} until {expires}: {reason}"));
        }
        notes
    }

    /// Adds the rules that hold each variant against the base's of the same name: those that hold it
    /// against another variant, with that limit, or the metric's usual one where it is wider; for a limit that
    /// keeps one precision under another is none for a change. Nothing is added where a rule says
    /// `against = "base"` itself.
    pub fn hold_against_base(&mut self, has_base: impl Fn(&str) -> bool) {
        let other = |rule: &Rule| rule.against.variant().map(str::to_string);
        if self.rules.iter().filter_map(other).any(|other| of_base(&other).is_some()) {
            return;
        }
        let mut added: Vec<Rule> = Vec::new();
        for rule in self.rules.iter().filter(|rule| has_base(&rule.variant)) {
            let limit = match rule.limit {
                Limit::Relative(share) => {
                    Limit::Relative(share.max(rule.metric.info().default_limit))
                }
                Limit::Points(share) => Limit::Points(share.max(rule.metric.info().default_limit)),
                Limit::Max(_) | Limit::Min(_) => continue,
            };
            let forced = rule.metric.kind() == Kind::PerDocument;
            if forced || matches!(rule.against, Against::Baseline { .. }) {
                continue;
            }
            added.push(Rule {
                id: format!("{}/base", rule.id),
                against: Against::Variant(format!("{}{BASE}", rule.variant)),
                limit,
                waiver: None,
                ..rule.clone()
            });
        }
        self.rules.extend(added);
    }
}

/// The rule's name in the file, of its id.
pub fn name_of(id: &str) -> &str {
    id.split_once('@').map_or(id, |(name, _)| name)
}

/// What rules get that don't say it themselves.
pub(super) struct Defaults {
    pub(super) variants: Vec<String>,
    pub(super) against: Against,
    pub(super) evidence: Evidence,
    pub(super) severity: Severity,
}

const EVIDENCE: [(&str, Evidence); 3] = [
    ("regression", Evidence::Regression),
    ("safety", Evidence::Safety),
    ("point", Evidence::Point),
];
const SEVERITY: [(&str, Severity); 2] = [("gate", Severity::Gate), ("inform", Severity::Inform)];
const POLICY: [(&str, Policy); 2] = [("inform", Policy::Inform), ("block", Policy::Block)];

/// Reads `thresholds.toml` against the variants of `perfgate.toml`.
pub(super) fn parse(file: &Path, text: &str, config: &Config) -> Result<Thresholds> {
    let document = Document::new(file, text);
    let parsed = document.parse()?;
    let mut root = document.root(&parsed);
    let false_alarms = match root.take("false_alarms") {
        None => 0.05,
        Some(node) => {
            let share = percent(&node)?;
            if !(0.0001..=0.5).contains(&share) {
                return Err(node
                    .problem("'false_alarms' should be between 0.01% and 50%")
                    .help("usual is \"5%\""));
            }
            share
        }
    };
    let policies = policies(root.take("policy"))?;
    let defaults = defaults(root.take("defaults"), config)?;
    let node = root.need("rules")?;
    let mut rules = Vec::new();
    for (name, node) in node.table()?.into_entries() {
        rules.extend(rule(&name, &node, &defaults, config)?);
    }
    let waivers = match root.take("waivers") {
        Some(node) => {
            node.list()?.iter().map(|node| waiver(node, &rules)).collect::<Result<_>>()?
        }
        None => Vec::new(),
    };
    let scenarios = scenarios::scenarios(root.take("scenarios"), config)?;
    root.finish()?;
    if rules.is_empty() {
        return Err(node
            .problem("there are no rules")
            .help("the shortest is: throughput = \"5%\""));
    }
    Ok(Thresholds { file: file.to_path_buf(), rules, policies, false_alarms, waivers, scenarios })
}

/// One entry of `[[waivers]]`.
fn waiver(node: &Node<'_>, rules: &[Rule]) -> Result<Waived> {
    let mut table = node.table()?;
    let named = table.need("rule")?;
    let name = named.string()?;
    let plain = name.strip_suffix("/base").unwrap_or(&name);
    let of_rule = |rule: &&Rule| rule.id == plain || name_of(&rule.id) == plain;
    let Some(rule) = rules.iter().find(of_rule) else {
        let ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
        return Err(named
            .problem(format!("there is no rule '{name}' to waive"))
            .help(suggestion(&name, &ids)));
    };
    let node = table.need("limit")?;
    let limit = match rule.limit {
        Limit::Max(_) => Limit::Max(absolute(&node, rule.metric, rule.statistic)?),
        Limit::Min(_) => Limit::Min(absolute(&node, rule.metric, rule.statistic)?),
        Limit::Relative(_) | Limit::Points(_) => relative(&node, rule.metric, rule.statistic)?,
    };
    let mut text = |key: &'static str| {
        let node = table.need(key)?;
        let text = node.string()?;
        let said = !text.trim().is_empty();
        said.then_some(text).ok_or_else(|| {
            node.problem(format!("the waiver's '{key}' says nothing"))
                .help("a waiver names its reason and who answers for it")
        })
    };
    let (reason, owner) = (text("reason")?, text("owner")?);
    let expires = table.need("expires")?.day()?;
    table.finish()?;
    Ok(Waived { rule: name, waiver: Waiver { limit, reason, owner, expires } })
}

fn policies(node: Option<Node<'_>>) -> Result<Policies> {
    let mut policies = Policies::default();
    let Some(node) = node else { return Ok(policies) };
    let mut table = node.table()?;
    for (key, place) in [
        ("inconclusive", &mut policies.inconclusive),
        ("no-baseline", &mut policies.no_baseline),
        ("incomparable", &mut policies.incomparable),
        ("unavailable", &mut policies.unavailable),
    ] {
        if let Some(node) = table.take(key) {
            *place = node.choice(&POLICY)?;
        }
    }
    table.finish()?;
    Ok(policies)
}

fn defaults(node: Option<Node<'_>>, config: &Config) -> Result<Defaults> {
    // The only variant can be held against fixed limits and stored sessions.
    let alone = config.variants.len() == 1;
    let judged = |name: &String| alone || *name != config.reference;
    let mut defaults = Defaults {
        variants: config.names().into_iter().filter(judged).collect(),
        against: Against::Variant(config.reference.clone()),
        evidence: Evidence::Regression,
        severity: Severity::Gate,
    };
    let Some(node) = node else { return Ok(defaults) };
    let mut table = node.table()?;
    if let Some(names) = variants(&mut table, config)? {
        defaults.variants = names;
    }
    if let Some(other) = against(&mut table, config)? {
        defaults.against = other;
    }
    if let Some(node) = table.take("evidence") {
        defaults.evidence = node.choice(&EVIDENCE)?;
    }
    if let Some(node) = table.take("severity") {
        defaults.severity = node.choice(&SEVERITY)?;
    }
    table.finish()?;
    Ok(defaults)
}

/// `variant = "a"` or `variants = ["a", "b"]`.
fn variants(table: &mut Table<'_>, config: &Config) -> Result<Option<Vec<String>>> {
    let nodes = match (table.take("variant"), table.take("variants")) {
        (None, None) => return Ok(None),
        (Some(one), None) => vec![one],
        (None, Some(many)) => many.list()?,
        (Some(_), Some(many)) => {
            return Err(many.problem("both 'variant' and 'variants' are given").help("keep one"));
        }
    };
    nodes.iter().map(|node| known_variant(node, config)).collect::<Result<Vec<_>>>().map(Some)
}

fn known_variant(node: &Node<'_>, config: &Config) -> Result<String> {
    let name = node.string()?;
    if config.variant(&name).is_some() {
        return Ok(name);
    }
    Err(node
        .problem(format!("'{name}' is no variant of perfgate.toml"))
        .help(suggestion(&name, &config.names())))
}

/// `against = "VARIANT"`, or `against = "baseline"` with perhaps `relative_to = "VARIANT"` and
/// `anchor = "REF"`.
fn against(table: &mut Table<'_>, config: &Config) -> Result<Option<Against>> {
    let relative_to = table.take("relative_to");
    let anchor = table.take("anchor");
    let other = match table.take("against") {
        None => None,
        Some(node)
            if node.as_string().as_deref() == Some("baseline")
                && config.variant("baseline").is_none() =>
        {
            let relative_to = match &relative_to {
                Some(node) => Some(known_variant(node, config)?),
                None => None,
            };
            let anchor = anchor.map(|node| self::anchor(&node)).transpose()?;
            return Ok(Some(Against::Baseline { relative_to, anchor }));
        }
        // Which variant of the base it is depends on the one that a rule judges.
        Some(node)
            if node.as_string().as_deref() == Some("base") && config.variant("base").is_none() =>
        {
            Some(Against::Variant(BASE.to_string()))
        }
        Some(node) => Some(Against::Variant(known_variant(&node, config)?)),
    };
    for (key, node) in [("relative_to", relative_to), ("anchor", anchor)] {
        if let Some(node) = node {
            return Err(node
                .problem(format!("'{key}' goes with against = \"baseline\""))
                .help(format!("add it, or leave '{key}' out")));
        }
    }
    Ok(other)
}

/// A tag, branch or commit. Whether there is one of that name is seen when its sessions are read.
fn anchor(node: &Node<'_>) -> Result<String> {
    let name = node.string()?;
    if name.trim().is_empty() {
        return Err(node
            .problem("'anchor' is empty")
            .help("name a tag, branch or commit, such as \"v1.2.0\""));
    }
    Ok(name)
}

/// One entry of `[rules]`: `NAME = "5%"` or `NAME = { … }`; one rule for each variant it judges.
fn rule(name: &str, node: &Node<'_>, defaults: &Defaults, config: &Config) -> Result<Vec<Rule>> {
    let rules = rules_of(name, node, defaults, config)?;
    for rule in &rules {
        can_be_judged(rule, node, config)?;
    }
    Ok(rules)
}

/// The same, whether this configuration measures it or not.
pub(super) fn rules_of(
    name: &str,
    node: &Node<'_>,
    defaults: &Defaults,
    config: &Config,
) -> Result<Vec<Rule>> {
    let short = node.as_string().is_some() || node.as_number().is_some();
    let mut table = if short { None } else { Some(node.table()?) };
    let metric = metric(name, node, table.as_mut())?;
    let statistic = statistic(metric, table.as_mut())?;
    let names = match &mut table {
        Some(table) => variants(table, config)?,
        None => None,
    }
    .unwrap_or_else(|| defaults.variants.clone());
    let (against, limit) = match &mut table {
        table if metric.kind() == Kind::PerDocument => {
            of_documents(node, table.as_mut(), metric, statistic, config)?
        }
        None if metric.is_proportion() && !in_points(node) => {
            let share = absolute(node, metric, statistic)?;
            let limit = match metric.better(statistic) {
                Better::Lower => Limit::Max(share),
                Better::Higher => Limit::Min(share),
            };
            (Against::Absolute, limit)
        }
        None => (defaults.against.clone(), relative(node, metric, statistic)?),
        Some(table) => boundary(table, metric, statistic, defaults, config)?,
    };
    let (mut evidence, mut severity) = (defaults.evidence, defaults.severity);
    let mut only = Selection::default();
    let mut forcing = (metric.kind() == Kind::PerDocument).then_some(Forcing::Whole);
    if let Some(mut table) = table {
        only = selection(&mut table, metric)?;
        if let (Some(forcing), Some(node)) = (&mut forcing, take_forcing(&mut table, metric)) {
            *forcing = node.choice(&Forcing::ALL.map(|forcing| (forcing.id(), forcing)))?;
        }
        if let Some(node) = table.take("evidence") {
            evidence = node.choice(&EVIDENCE)?;
        }
        if let Some(node) = table.take("severity") {
            severity = node.choice(&SEVERITY)?;
        }
        table.finish()?;
    }
    let several = names.len() > 1;
    let rules = names.into_iter().map(|variant| Rule {
        id: if several { format!("{name}@{variant}") } else { name.to_string() },
        line: node.line(),
        metric,
        statistic,
        against: match &against {
            Against::Variant(base) if base == BASE => Against::Variant(format!("{variant}{BASE}")),
            other => other.clone(),
        },
        variant,
        limit,
        evidence,
        severity,
        forcing,
        only: only.clone(),
        waiver: None,
    });
    Ok(rules.collect())
}

/// Refuses rules that no measurement of this version could ever decide.
pub(super) fn can_be_judged(rule: &Rule, node: &Node<'_>, config: &Config) -> Result<()> {
    let other = rule.against.variant();
    if other == Some(rule.variant.as_str()) && config.variants.len() == 1 {
        return Err(node
            .problem(format!("rule '{}': '{}' is the only variant", rule.id, rule.variant))
            .help(
                "give it a fixed limit, such as { max = \"800 ms\" }, hold it against = \"baseline\", or add \
                 another variant to perfgate.toml",
            ));
    }
    if other == Some(rule.variant.as_str()) {
        return Err(node
            .problem(format!("rule '{}' holds '{}' against itself", rule.id, rule.variant))
            .help("name the variant to judge with variant = \"NAME\", here or in [defaults]"));
    }
    let stored = matches!(rule.against, Against::Baseline { .. });
    if stored && rule.metric.kind() == Kind::PerToken && rule.statistic != Statistic::Mean {
        return Err(node
            .problem(format!(
                "stored sessions keep no single gaps, so of '{}' only the mean can be compared",
                rule.metric
            ))
            .help("use statistic = \"mean\", or another metric"));
    }
    if let Against::Baseline { relative_to: Some(_), .. } = &rule.against
        && rule.metric.is_proportion()
    {
        return Err(node
            .problem(format!("'{}' is a proportion and takes no 'relative_to'", rule.metric))
            .help("leave it out: a proportion does not depend on the machine's speed"));
    }
    if rule.metric.kind() == Kind::PerDocument {
        return can_be_forced(rule, node, config);
    }
    if rule.metric.kind() == Kind::TaskProportion {
        let answers = |name: &str| {
            let asked = config.quality.iter().flat_map(|quality| &quality.variants);
            asked.into_iter().any(|asked| asked == of_base(name).unwrap_or(name))
        };
        let mut named = std::iter::once(rule.variant.as_str()).chain(other);
        if let Some(missing) = named.find(|name| !answers(name)) {
            return Err(node
                .problem(format!("'{}' of '{missing}' is not measured", rule.metric))
                .help("add [quality] with tasks = \"FILE\" to perfgate.toml, and the variant to its 'variants' if it names some"));
        }
    }
    Ok(())
}

/// Refuses rules on variants that are not held against the reference by forcing.
fn can_be_forced(rule: &Rule, node: &Node<'_>, config: &Config) -> Result<()> {
    let (metric, variant) = (rule.metric, &rule.variant);
    if *variant == config.reference {
        return Err(node
            .problem(format!("'{metric}' holds '{variant}' against itself: it is the reference"))
            .help("name the variant to judge with variant = \"NAME\", here or in [defaults]"));
    }
    let Some(fidelity) = config.fidelity.as_ref().filter(|f| f.variants.contains(variant)) else {
        return Err(node.problem(format!("'{metric}' of '{variant}' is not measured")).help(
            "add [quality.fidelity] with documents = \"FILE\" to perfgate.toml, and the variant to its \
             'variants' if it names some",
        ));
    };
    if rule.forcing == Some(Forcing::Stepwise) && fidelity.stepwise == 0 {
        return Err(node
            .problem("no document is forced stepwise: [quality.fidelity] has stepwise = 0")
            .help("raise it, or judge forcing = \"whole\""));
    }
    Ok(())
}

/// `forcing = "whole"` or `"stepwise"`, of a metric that is forced.
fn take_forcing<'a>(table: &mut Table<'a>, metric: Metric) -> Option<Node<'a>> {
    if metric.kind() == Kind::PerDocument { table.take("forcing") } else { None }
}

/// The limit of a metric of forced documents, which has one kind each: a divergence a `max`, an agreement a
/// `min`, a perplexity a `limit` against the reference's.
fn of_documents(
    node: &Node<'_>,
    mut table: Option<&mut Table<'_>>,
    metric: Metric,
    statistic: Statistic,
    config: &Config,
) -> Result<(Against, Limit)> {
    if let Some(table) = &mut table {
        only_against_reference(table, metric, config)?;
    }
    let key = match (metric.unit(statistic), metric.better(statistic)) {
        (Unit::Number, _) => "limit",
        (_, Better::Lower) => "max",
        (_, Better::Higher) => "min",
    };
    let taken = match &mut table {
        Some(table) => table.take(key),
        None => None,
    };
    let given = taken.as_ref().or(table.is_none().then_some(node));
    let usual = metric.info().default_limit;
    Ok(match key {
        "limit" => {
            let limit =
                given.map_or(Ok(Limit::Relative(usual)), |n| relative(n, metric, statistic))?;
            (Against::Variant(config.reference.clone()), limit)
        }
        _ => {
            let value = given.map_or(Ok(usual), |node| absolute(node, metric, statistic))?;
            (Against::Absolute, if key == "max" { Limit::Max(value) } else { Limit::Min(value) })
        }
    })
}

/// Documents are compared position by position within one session, so with nothing but its reference.
fn only_against_reference(table: &mut Table<'_>, metric: Metric, config: &Config) -> Result<()> {
    let reference = &config.reference;
    for key in ["against", "relative_to", "anchor"] {
        let Some(node) = table.take(key) else { continue };
        if key == "against" && node.as_string().as_ref() == Some(reference) {
            continue;
        }
        return Err(node
            .problem(format!("'{metric}' is held against the reference, '{reference}', only"))
            .help(format!(
                "leave '{key}' out: both are forced in one session, position by position"
            )));
    }
    Ok(())
}

/// Whether a limit is written in percentage points.
fn in_points(node: &Node<'_>) -> bool {
    node.as_string().is_some_and(|text| text.trim_end().ends_with("pt"))
}

/// `suite = "NAME"` and `tags = ["a", "b"]`: the tasks that a rule judges.
fn selection(table: &mut Table<'_>, metric: Metric) -> Result<Selection> {
    let (suite, tags) = (table.take("suite"), table.take("tags"));
    if let (Some(node), Kind::PerRound | Kind::PerDocument) =
        (suite.as_ref().or(tags.as_ref()), metric.kind())
    {
        let of = if metric.kind() == Kind::PerRound { "a whole process" } else { "documents" };
        return Err(node
            .problem(format!("'{metric}' is of {of} and not of single tasks"))
            .help("leave 'suite' and 'tags' out"));
    }
    Ok(Selection {
        suite: suite.map(|node| node.string()).transpose()?,
        tags: match tags {
            Some(node) => node.list()?.iter().map(Node::string).collect::<Result<_>>()?,
            None => Vec::new(),
        },
    })
}

fn metric(name: &str, node: &Node<'_>, table: Option<&mut Table<'_>>) -> Result<Metric> {
    let ids: Vec<&str> = METRICS.iter().map(|metric| metric.id()).collect();
    match table.and_then(|table| table.take("metric")) {
        Some(node) => {
            let id = node.string()?;
            Metric::from_id(&id).ok_or_else(|| {
                node.problem(format!("there is no metric '{id}'")).help(suggestion(&id, &ids))
            })
        }
        None => Metric::from_id(name).ok_or_else(|| {
            node.problem(format!("rule '{name}' names no metric, and its name is none"))
                .help(format!("{}; or add metric = \"…\"", suggestion(name, &ids)))
        }),
    }
}

fn statistic(metric: Metric, table: Option<&mut Table<'_>>) -> Result<Statistic> {
    let Some(node) = table.and_then(|table| table.take("statistic")) else {
        return Ok(metric.info().default_statistic);
    };
    let word = node.string()?;
    let allowed: Vec<&str> =
        Statistic::ALL.into_iter().filter(|s| metric.allows(*s)).map(Statistic::id).collect();
    Statistic::from_id(&word).filter(|s| metric.allows(*s)).ok_or_else(|| {
        node.problem(format!("'{metric}' has no statistic '{word}'"))
            .help(suggestion(&word, &allowed))
    })
}

/// `limit` against a variant, or an absolute `max` or `min`.
fn boundary(
    table: &mut Table<'_>,
    metric: Metric,
    statistic: Statistic,
    defaults: &Defaults,
    config: &Config,
) -> Result<(Against, Limit)> {
    let other = against(table, config)?;
    let fixed = |node: &Node<'_>, limit: Limit| match &other {
        None => Ok((Against::Absolute, limit)),
        Some(_) => Err(node
            .problem("'max' and 'min' are absolute and take no 'against'")
            .help("use limit = \"…\" for the allowed change against a variant")),
    };
    match (table.take("limit"), table.take("max"), table.take("min")) {
        (None, Some(node), None) => fixed(&node, Limit::Max(absolute(&node, metric, statistic)?)),
        (None, None, Some(node)) => fixed(&node, Limit::Min(absolute(&node, metric, statistic)?)),
        (limit, None, None) => {
            let other = other.unwrap_or_else(|| defaults.against.clone());
            let limit = match limit {
                Some(node) => relative(&node, metric, statistic)?,
                None if metric.is_proportion() => Limit::Points(metric.info().default_limit),
                None => Limit::Relative(metric.info().default_limit),
            };
            Ok((other, limit))
        }
        _ => Err(table
            .problem("a rule takes one of 'limit', 'max' and 'min'")
            .help("keep one; another rule with metric = \"…\" can have the other")),
    }
}

/// An allowed change: a percentage for times, rates and sizes, points for proportions.
fn relative(node: &Node<'_>, metric: Metric, statistic: Statistic) -> Result<Limit> {
    if !metric.is_proportion() {
        let share = percent(node)?;
        // Of what is better when higher, no more than all of it can be lost.
        let most = if metric.better(statistic) == Better::Higher { 0.99 } else { 10.0 };
        if share <= most {
            return Ok(Limit::Relative(share));
        }
        return Err(node
            .problem(format!(
                "the limit of '{metric}' should be between 0% and {:.0}%",
                most * 100.0
            ))
            .help("it is the change for the worse that is still allowed, such as \"5%\""));
    }
    let text = node.string()?;
    let points = text
        .strip_suffix("pt")
        .and_then(|number| number.trim().parse::<f64>().ok())
        .filter(|points| (0.0..=100.0).contains(points));
    points.map(|points| Limit::Points(points / 100.0)).ok_or_else(|| {
        node.problem(format!("'{text}' is no limit in points, and '{metric}' is a proportion"))
            .help("write \"1pt\" for one percentage point; a percentage of a percentage misleads")
    })
}

/// A percentage such as `"5%"`, as a fraction.
fn percent(node: &Node<'_>) -> Result<f64> {
    let text = match node.as_string() {
        Some(text) => text,
        None => {
            return Err(node
                .problem("a limit needs its unit")
                .help("write it in quotes, such as \"5%\""));
        }
    };
    text.strip_suffix('%')
        .and_then(|number| number.trim().parse::<f64>().ok())
        .filter(|number| number.is_finite() && *number >= 0.0)
        .map(|number| number / 100.0)
        .ok_or_else(|| {
            node.problem(format!("'{text}' is no percentage"))
                .help("write a number that is not negative and a percent sign, such as \"5%\"")
        })
}

/// A value in the metric's unit, such as `"1.5 s"` or `"20 tok/s"`; a proportion as `"0.1%"`.
fn absolute(node: &Node<'_>, metric: Metric, statistic: Statistic) -> Result<f64> {
    let unit = metric.unit(statistic);
    let help = || {
        let names: Vec<&str> = unit.suffixes().iter().map(|(name, _)| *name).collect();
        format!("write a number and its unit ({}), such as {}", names.join(", "), example(unit))
    };
    let Some(text) = node.as_string() else {
        return Err(node.problem("a limit needs its unit").help(help()));
    };
    // The spread of a time is a share too, and has no end.
    let shares = metric.info().unit == Unit::Proportion;
    let value = unit.suffixes().iter().find_map(|(suffix, factor)| {
        text.strip_suffix(suffix)?.trim().parse::<f64>().ok().map(|number| number * factor)
    });
    match value {
        Some(value) if shares && value > 1.0 => Err(node
            .problem(format!("'{text}' is more than all of '{metric}'"))
            .help("a proportion is at most 100%")),
        Some(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err(node.problem(format!("'{text}' is no value of '{metric}'")).help(help())),
    }
}

fn example(unit: Unit) -> &'static str {
    match unit {
        Unit::Seconds => "\"1.5 s\"",
        Unit::TokensPerSecond => "\"20 tok/s\"",
        Unit::Bytes => "\"900 MiB\"",
        Unit::Proportion => "\"0.1%\"",
        Unit::TokensPerJoule => "\"2 tok/J\"",
        Unit::JoulesPerToken => "\"0.5 J\"",
        Unit::Ratio => "\"1.5x\"",
        Unit::Nats => "\"0.05\"",
        Unit::Number => "\"20\"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let text = r#"
reference = "fp16"
[workload]
tasks = "t.jsonl"
[variants.fp16]
engine = "scripted"
[variants.int8]
engine = "scripted"
[variants.int4]
engine = "scripted"
"#;
        super::super::perfgate_toml::parse(Path::new("perfgate.toml"), text).unwrap()
    }

    fn read(text: &str) -> Result<Thresholds> {
        parse(Path::new("thresholds.toml"), text, &config())
    }

    #[test]
    fn the_shortest_rule_judges_every_other_variant() {
        let rules = read("[rules]\nthroughput = \"5%\"").unwrap().rules;
        let ids: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!(ids, ["throughput@int8", "throughput@int4"]);
        assert_eq!(rules[0].against, Against::Variant("fp16".into()));
        assert_eq!(rules[0].limit, Limit::Relative(0.05));
        assert_eq!(rules[0].line, 2);
    }

    #[test]
    fn the_only_variant_takes_fixed_limits_and_stored_sessions() {
        let text = "[workload]\ntasks = \"t\"\n[variants.a]\nengine = \"scripted\"\n";
        let config = super::super::perfgate_toml::parse(Path::new("perfgate.toml"), text).unwrap();
        let read = |text: &str| parse(Path::new("thresholds.toml"), text, &config);
        let fixed = read("[rules]\nlatency = { max = \"1 s\" }\nfailure_rate = \"0.1%\"").unwrap();
        let judged: Vec<&str> = fixed.rules.iter().map(|rule| rule.variant.as_str()).collect();
        assert_eq!(judged, ["a", "a"]);
        assert!(read("[rules]\nlatency = { against = \"baseline\", limit = \"5%\" }").is_ok());
        let problem = read("[rules]\nlatency = \"5%\"").unwrap_err().to_string();
        assert!(problem.contains("rule 'latency': 'a' is the only variant"), "{problem}");
        assert!(problem.contains("give it a fixed limit"), "{problem}");
    }

    #[test]
    fn rules_take_defaults_units_and_points() {
        let thresholds = read(
            r#"
false_alarms = "1%"
[policy]
inconclusive = "block"
[defaults]
variant = "int8"
evidence = "safety"
[rules]
p90 = { metric = "latency", statistic = "p90", limit = "10%", severity = "inform" }
slow = { metric = "latency", statistic = "p99", max = "1500 ms" }
memory = { max = "2 GiB", evidence = "point" }
failure_rate = "0.1%"
fails = { metric = "failure_rate", limit = "1pt" }
throughput = { min = "20 tok/s", variants = ["int4"] }
steady = { metric = "latency", statistic = "cv", max = "10%" }
stored = { metric = "latency", against = "baseline", limit = "20%" }
ratio = { metric = "latency", against = "baseline", relative_to = "fp16", anchor = "v1.2.0", limit = "5%" }
"#,
        )
        .unwrap();
        assert_eq!(thresholds.policies.inconclusive, Policy::Block);
        assert!((thresholds.false_alarms - 0.01).abs() < 1e-12);
        let limits: Vec<Limit> = thresholds.rules.iter().map(|rule| rule.limit).collect();
        assert_eq!(
            limits,
            [
                Limit::Relative(0.1),
                Limit::Max(1.5),
                Limit::Max(2.0 * 1073741824.0),
                Limit::Max(0.001),
                Limit::Points(0.01),
                Limit::Min(20.0),
                Limit::Max(0.1),
                Limit::Relative(0.2),
                Limit::Relative(0.05),
            ]
        );
        let against: Vec<&Against> = thresholds.rules.iter().map(|rule| &rule.against).collect();
        assert_eq!(against[7], &Against::Baseline { relative_to: None, anchor: None });
        let anchor = Some("v1.2.0".to_string());
        assert_eq!(against[8], &Against::Baseline { relative_to: Some("fp16".into()), anchor });
        assert_eq!(thresholds.rules[0].severity, Severity::Inform);
        assert_eq!(thresholds.rules[1].evidence, Evidence::Safety);
        assert_eq!(thresholds.rules[5].variant, "int4");
    }

    #[test]
    fn complaints_name_the_place_and_the_remedy() {
        let cases = [
            (
                "[rules]\nthroghput = \"5%\"",
                "2:13: rule 'throghput' names no metric, and its name is none\n  help: did you mean 'throughput'?",
            ),
            ("[rules]\nthroughput = 5", "2:14: a limit needs its unit"),
            ("[rules]\nthroughput = \"-5%\"", "2:14: '-5%' is no percentage"),
            ("[rules]\nthroughput = \"NaN%\"", "is no percentage"),
            ("[rules]\nthroughput = \"150%\"", "should be between 0% and 99%"),
            ("[rules]\nlatency = \"1001%\"", "should be between 0% and 1000%"),
            ("[rules]\nthroughput = { limit = \"5\" }", "'5' is no percentage"),
            (
                "[rules]\nfailure_rate = { limit = \"5%\" }",
                "'5%' is no limit in points, and 'failure_rate' is a proportion\n  help: write \"1pt\"",
            ),
            (
                "[rules]\nlatency = { max = \"3 tok/s\" }",
                "'3 tok/s' is no value of 'latency'\n  help: write a number and its unit (ms, us, s)",
            ),
            (
                "[rules]\nlatency = { variant = \"int88\" }",
                "2:23: 'int88' is no variant of perfgate.toml\n  help: did you mean 'int8'?",
            ),
            (
                "[rules]\nlatency = { variant = \"fp16\" }",
                "rule 'latency' holds 'fp16' against itself",
            ),
            (
                "[rules]\nlatency = { relative_to = \"fp16\", variant = \"int8\" }",
                "2:27: 'relative_to' goes with against = \"baseline\"",
            ),
            (
                "[rules]\nlatency = { anchor = \"v1\", variant = \"int8\" }",
                "2:22: 'anchor' goes with against = \"baseline\"",
            ),
            (
                "[rules]\nlatency = { against = \"baseline\", anchor = \" \" }",
                "2:44: 'anchor' is empty\n  help: name a tag, branch or commit",
            ),
            (
                "[rules]\nlatency = { against = \"baseline\", variant = \"int8\", relative_to = \"int8\" }",
                "rule 'latency' holds 'int8' against itself",
            ),
            (
                "[rules]\nitl = { against = \"baseline\", statistic = \"p90\" }",
                "stored sessions keep no single gaps",
            ),
            ("[rules]\naccuracy = \"1pt\"", "'accuracy' of 'int8' is not measured"),
            ("[rules]\nlatency = { max = \"1 s\", against = \"fp16\" }", "take no 'against'"),
            (
                "[rules]\nlatency = { max = \"1 s\", limit = \"5%\" }",
                "takes one of 'limit', 'max' and 'min'",
            ),
            ("[rules]\nmemory = { statistic = \"p99\" }", "'memory' has no statistic 'p99'"),
            (
                "[rules]\nmemory = { severty = \"gate\" }",
                "unknown key 'severty' in [rules.memory]\n  help: did you mean 'severity'?",
            ),
            ("[rules]", "there are no rules"),
            ("", "the key 'rules' is missing"),
        ];
        for (text, expected) in cases {
            let problem = read(text).expect_err(expected).to_string();
            assert!(problem.contains(expected), "wanted {expected:?} in:\n{problem}");
        }
    }
}
