//! Owns the table of what a change would do to the policy: its own files held against those of the commit
//! from which it began.

use crate::baseline;
use crate::config::{
    self, ChatTemplate, CommitTree, Config, Quality, Setup, Source, TaskSet, Thresholds, Variant,
    WorkTree,
};
use crate::git::{Base, Id, Repo};
use crate::hash;
use crate::problem::{Problem, Result};
use crate::record::{
    Against, Direction, Evidence, Limit, Policies, Policy, PolicyChange, Rule, Severity,
};
use crate::workload;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display};
use std::path::{Path, PathBuf};

/// What a change does to the policy, since it left its base.
///
/// # Errors
/// If one of the change's files is wrong: once merged it would be the policy.
pub(super) fn of(
    repo: &Repo,
    base: &Base,
    config: &Path,
    thresholds: &Path,
) -> Result<Vec<PolicyChange>> {
    let new = read(&WorkTree, config, thresholds)?;
    // What the base alone changed since is none of this change's doing.
    let began = repo.head().ok().and_then(|head| repo.merge_base(head, base.commit));
    let old_side = |commit: Id| {
        let tree = CommitTree { repo, commit };
        read(&tree, config, thresholds).ok().map(|setup| (tree, setup))
    };
    let Some((tree, old)) = began.and_then(old_side).or_else(|| old_side(base.commit)) else {
        return Ok(Vec::new());
    };
    let mut table = Table(Vec::new());
    references(&mut table, &old.config, &new.config);
    session(&mut table, &old.config, &new.config);
    work(&mut table, &tree, &old.config, &new.config);
    thresholds_of(&mut table, old.thresholds.as_ref(), new.thresholds.as_ref());
    stores(&mut table, &tree, &old.config, &new.config);
    Ok(table.0)
}

/// Both files, or the first alone where the other is missing.
fn read(source: &dyn Source, config: &Path, thresholds: &Path) -> Result<Setup> {
    match source.read(thresholds) {
        Ok(_) => config::read(source, config, Some(thresholds)),
        Err(_) => config::read(source, config, None),
    }
}

/// The table as it grows.
struct Table(Vec<PolicyChange>);

impl Table {
    fn add(&mut self, subject: impl Display, change: impl Display, direction: Direction) {
        let (subject, change) = (subject.to_string(), change.to_string());
        self.0.push(PolicyChange { subject, change, direction });
    }

    /// A value that may have moved; `looser` says of old and new whether less is then stopped.
    fn moved<T: PartialEq + Display>(
        &mut self,
        subject: &str,
        [old, new]: [T; 2],
        looser: impl Fn(&T, &T) -> Direction,
    ) {
        if old != new {
            let direction = looser(&old, &new);
            self.add(subject, format!("from {old} to {new}"), direction);
        }
    }
}

fn other<T>(_: &T, _: &T) -> Direction {
    Direction::Other
}

fn less_is_looser<T: PartialOrd>(old: &T, new: &T) -> Direction {
    if new < old { Direction::Looser } else { Direction::Stricter }
}

fn more_is_looser<T: PartialOrd>(old: &T, new: &T) -> Direction {
    if new > old { Direction::Looser } else { Direction::Stricter }
}

fn references(table: &mut Table, old: &Config, new: &Config) {
    if old.reference != new.reference {
        let change =
            format!("reference variant changed from '{}' to '{}'", old.reference, new.reference);
        table.add("reference", change, Direction::Other);
    }
    let subject = format!("reference '{}'", old.reference);
    match (old.variant(&old.reference), new.variant(&old.reference)) {
        (Some(_), None) => table.add(subject, "reference variant deleted", Direction::Other),
        (Some(a), Some(b)) => {
            let differs = differences(a, b);
            if !differs.is_empty() {
                let change = format!("reference variant changed: {}", differs.join("; "));
                table.add(subject, change, Direction::Other);
            }
        }
        (None, _) => {}
    }
}

/// What differs of a variant's definition, in words.
fn differences(old: &Variant, new: &Variant) -> Vec<String> {
    let sum = |sum: &Option<String>| {
        sum.as_ref().map_or("none".to_string(), |sum| hash::short(sum, 12).to_string())
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_string());
    let files = |variant: &Variant| {
        let short =
            |(name, sum): (&String, &String)| (name.clone(), hash::short(sum, 8).to_string());
        variant
            .files_sha256
            .as_ref()
            .map_or("none".to_string(), |files| listed(&files.iter().map(short).collect()))
    };
    let command = |variant: &Variant| {
        variant.recipe.as_ref().map_or("none".to_string(), |recipe| recipe.command.clone())
    };
    let template = |variant: &Variant| match &variant.chat_template {
        ChatTemplate::Auto => "auto".to_string(),
        ChatTemplate::None => "none".to_string(),
        ChatTemplate::Model(None) => "the model's".to_string(),
        ChatTemplate::Model(Some(name)) => format!("the model's '{name}'"),
        ChatTemplate::File(file) => file.display().to_string(),
    };
    let slowdown = |variant: &Variant| format!("{}%", variant.load.slowdown * 100.0);
    let pairs = [
        ("engine", old.load.engine.clone(), new.load.engine.clone()),
        ("model", old.model_as_written.clone(), new.model_as_written.clone()),
        ("model_sha256", sum(&old.model_sha256), sum(&new.model_sha256)),
        ("files_sha256", files(old), files(new)),
        ("runtime_version", text(&old.runtime_version), text(&new.runtime_version)),
        ("threads", old.load.threads.to_string(), new.load.threads.to_string()),
        ("properties", listed(&old.load.properties), listed(&new.load.properties)),
        ("chat_template", template(old), template(new)),
        ("chat_date", old.chat_date.to_string(), new.chat_date.to_string()),
        ("tokenizer", old.tokenizer.display().to_string(), new.tokenizer.display().to_string()),
        ("prepare", command(old), command(new)),
        ("slowdown", slowdown(old), slowdown(new)),
    ];
    let mut words: Vec<String> = pairs
        .into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(what, old, new)| format!("{what} from {old} to {new}"))
        .collect();
    let keys: BTreeSet<&String> = old.load.options.keys().chain(new.load.options.keys()).collect();
    for key in keys {
        if old.load.options.get(key) != new.load.options.get(key) {
            words.push(format!("another {key}"));
        }
    }
    words
}

fn listed(properties: &BTreeMap<String, String>) -> String {
    let all: Vec<String> = properties.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if all.is_empty() { "none".to_string() } else { all.join(" ") }
}

fn session(table: &mut Table, old: &Config, new: &Config) {
    table.moved("rounds", [old.rounds, new.rounds], less_is_looser);
    let stop = |config: &Config| config.stop.map_or("never", |spending| spending.title());
    table.moved("stop", [stop(old), stop(new)], other);
    table.moved("warmup", [old.warmup, new.warmup], other);
    table.moved("restarts", [old.restarts, new.restarts], more_is_looser);
    let seconds = |time: std::time::Duration| humantime::format_duration(time).to_string();
    let deadlines = [
        ("load_deadline", old.deadlines.load, new.deadlines.load),
        ("request_deadline", old.deadlines.request, new.deadlines.request),
    ];
    for (subject, old, new) in deadlines {
        let direction = more_is_looser(&old, &new);
        table.moved(subject, [seconds(old), seconds(new)], |_, _| direction);
    }
    let idle = |config: &Config| match config.energy.subtract_idle {
        None => "keep".to_string(),
        Some(time) => format!("subtract, measured for {}", seconds(time)),
    };
    table.moved("energy.idle", [idle(old), idle(new)], other);
    let allowed: Vec<&str> =
        new.allow.iter().filter(|w| !old.allow.contains(w)).map(|what| what.id()).collect();
    if !allowed.is_empty() {
        table.add("allow", format!("lets in {}", allowed.join(", ")), Direction::Looser);
    }
    let banned: Vec<&str> =
        old.allow.iter().filter(|w| !new.allow.contains(w)).map(|what| what.id()).collect();
    if !banned.is_empty() {
        table.add("allow", format!("refuses {}", banned.join(", ")), Direction::Stricter);
    }
}

fn work(table: &mut Table, tree: &CommitTree<'_>, old: &Config, new: &Config) {
    let tokens = |n: Option<u32>| n.map_or("as written".to_string(), |n| n.to_string());
    let (a, b) = (&old.workload, &new.workload);
    table.moved("prompt_tokens", [tokens(a.prompt_tokens), tokens(b.prompt_tokens)], other);
    table.moved("gen_tokens", [a.gen_tokens, b.gen_tokens], other);
    table.moved("seed", [a.seed, b.seed], other);
    table.moved("sampling", [a.sampling.to_string(), b.sampling.to_string()], other);
    tasks(table, "workload", tree, [&a.tasks, &b.tasks], |file, text| {
        let tasks = workload::parse_tasks(file, text)?;
        Ok(tasks.into_iter().map(|task| (task.id.clone(), format!("{task:?}"))).collect())
    });
    documents(table, tree, old, new);
    load(table, "sustained", [&old.sustained, &new.sustained]);
    load(table, "concurrency", [&old.concurrency, &new.concurrency]);
    let (a, b) = match (&old.quality, &new.quality) {
        (Some(a), Some(b)) => (a, b),
        (Some(_), None) => return table.add("quality", "graded tasks deleted", Direction::Looser),
        (None, Some(_)) => return table.add("quality", "graded tasks added", Direction::Stricter),
        (None, None) => return,
    };
    table.moved("quality.variants", [a.variants.join(", "), b.variants.join(", ")], other);
    table.moved("quality.batch", [a.batch, b.batch], other);
    let sample = |quality: &Quality| match quality.sample.to_string() {
        all if all.is_empty() => "all".to_string(),
        some => some,
    };
    table.moved("quality.limit", [sample(a), sample(b)], other);
    table.moved("quality.again", [format!("{:?}", a.again), format!("{:?}", b.again)], other);
    sets(table, tree, a, b);
}

/// The sets of graded tasks, held against those of the same name.
fn sets(table: &mut Table, tree: &CommitTree<'_>, old: &Quality, new: &Quality) {
    let name = |set: &TaskSet| set.suite.clone().unwrap_or_else(|| "graded tasks".to_string());
    for a in &old.sets {
        let Some(b) = new.sets.iter().find(|b| b.suite == a.suite) else {
            table.add(name(a), "graded tasks deleted", Direction::Looser);
            continue;
        };
        table.moved("max_tokens", [a.max_tokens, b.max_tokens], other);
        table.moved("quality.stop", [format!("{:?}", a.stop), format!("{:?}", b.stop)], other);
        set_tasks(table, &name(a), tree, [a, b]);
        let text = |source: &dyn Source, file: &Option<PathBuf>| {
            file.as_ref().and_then(|file| source.read(file).ok())
        };
        for (key, a, b) in [
            ("prompt_template", &a.prompt_template, &b.prompt_template),
            ("answers", &a.answers, &b.answers),
        ] {
            if text(tree, a) != text(&WorkTree, b) {
                table.add(key, "changed", Direction::Other);
            }
        }
    }
    for b in new.sets.iter().filter(|b| old.sets.iter().all(|a| a.suite != b.suite)) {
        table.add(name(b), "graded tasks added", Direction::Stricter);
    }
}

/// Tasks are compared by their lines, which hold their ids whatever the format.
fn set_tasks(table: &mut Table, name: &str, tree: &CommitTree<'_>, [old, new]: [&TaskSet; 2]) {
    tasks(table, name, tree, [&old.tasks, &new.tasks], |file, text| {
        let mut lines = BTreeMap::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let task: Value = serde_json::from_str(line)
                .map_err(|error| Problem::in_file(file, format!("is no task: {error}")))?;
            let id = task["id"].as_str().map_or(format!("line {}", index + 1), str::to_string);
            lines.insert(id, line.to_string());
        }
        Ok(lines)
    });
}

/// No rule is on load, so that a change of it is neither looser nor stricter.
fn load<T: PartialEq>(table: &mut Table, subject: &str, [old, new]: [&Option<T>; 2]) {
    let change = match (old, new) {
        (Some(old), Some(new)) if old != new => "load changed",
        (Some(_), None) => "load deleted",
        (None, Some(_)) => "load added",
        _ => return,
    };
    table.add(subject, change, Direction::Other);
}

fn documents(table: &mut Table, tree: &CommitTree<'_>, old: &Config, new: &Config) {
    let (a, b) = match (&old.fidelity, &new.fidelity) {
        (Some(a), Some(b)) => (a, b),
        (Some(_), None) => return table.add("fidelity", "documents deleted", Direction::Looser),
        (None, Some(_)) => return table.add("fidelity", "documents added", Direction::Stricter),
        (None, None) => return,
    };
    table.moved("fidelity.tokens", [a.tokens, b.tokens], other);
    table.moved("fidelity.skip", [a.skip, b.skip], other);
    table.moved("fidelity.stepwise", [a.stepwise, b.stepwise], other);
    table.moved("fidelity.variants", [a.variants.join(", "), b.variants.join(", ")], other);
    tasks(table, "documents", tree, [&a.documents, &b.documents], |file, text| {
        let documents = workload::parse_documents(file, text)?;
        Ok(documents.into_iter().map(|(_, one)| (one.id.clone(), format!("{one:?}"))).collect())
    });
}

/// Which tasks are other ones: by id, each with all that it says.
fn tasks(
    table: &mut Table,
    subject: &str,
    tree: &CommitTree<'_>,
    [old, new]: [&Path; 2],
    parse: impl Fn(&Path, &str) -> Result<BTreeMap<String, String>>,
) {
    let read = |source: &dyn Source, file: &Path| {
        source.read(file).and_then(|text| parse(file, &text)).unwrap_or_default()
    };
    let (old, new) = (read(tree, old), read(&WorkTree, new));
    let removed: Vec<&String> = old.keys().filter(|id| !new.contains_key(*id)).collect();
    let added: Vec<&String> = new.keys().filter(|id| !old.contains_key(*id)).collect();
    let changed: Vec<&String> = old
        .iter()
        .filter(|(id, task)| new.get(*id).is_some_and(|n| n != *task))
        .map(|(id, _)| id)
        .collect();
    for (verb, ids, direction) in [
        ("removed", removed, Direction::Looser),
        ("added", added, Direction::Other),
        ("changed", changed, Direction::Other),
    ] {
        if !ids.is_empty() {
            let noun = if ids.len() == 1 { "task" } else { "tasks" };
            table.add(subject, format!("{} {noun} {verb}: {}", ids.len(), some(&ids)), direction);
        }
    }
}

/// The first few of a list.
fn some<T: Display>(list: &[T]) -> String {
    const MOST: usize = 5;
    let first: Vec<String> = list.iter().take(MOST).map(ToString::to_string).collect();
    match list.len().saturating_sub(MOST) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn thresholds_of(table: &mut Table, old: Option<&Thresholds>, new: Option<&Thresholds>) {
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (Some(_), None) => return table.add("thresholds", "all rules deleted", Direction::Looser),
        (None, Some(_)) => return table.add("thresholds", "first rules", Direction::Stricter),
        (None, None) => return,
    };
    let percent = |share: f64| Percent(share);
    table.moved("false_alarms", [percent(old.false_alarms), percent(new.false_alarms)], |a, b| {
        less_is_looser(&a.0, &b.0)
    });
    policies(table, &old.policies, &new.policies);
    // The id of a rule depends on how many variants it judges.
    let key = |rule: &Rule| (config::name_of(&rule.id).to_string(), rule.variant.clone());
    let find = |rules: &'_ [Rule], rule: &Rule| rules.iter().find(|o| key(o) == key(rule)).cloned();
    for rule in &old.rules {
        let subject = format!("rule {}", rule.id);
        match find(&new.rules, rule) {
            Some(now) => rules(table, &subject, rule, &now),
            None => table.add(
                subject,
                format!("rule deleted (limit {})", words(rule)),
                Direction::Looser,
            ),
        }
    }
    // That the rules judge another variant too changes nothing about them.
    let known = |rule: &&Rule| old.rules.iter().any(|other| other.variant == rule.variant);
    for rule in new.rules.iter().filter(known).filter(|rule| find(&old.rules, rule).is_none()) {
        let change = format!("rule added (limit {})", words(rule));
        table.add(format!("rule {}", rule.id), change, Direction::Stricter);
    }
    for waived in new.waivers.iter().filter(|waived| !old.waivers.contains(waived)) {
        let waiver = &waived.waiver;
        let change =
            format!("waiver of {} until {}: {}", waiver.owner, waiver.expires, waiver.reason);
        table.add(format!("rule {}", waived.rule), change, Direction::Looser);
    }
    // What is recommended decides nothing. The rules of a scenario depend on the variants that there are.
    let said = |thresholds: &Thresholds| {
        let mut scenarios = thresholds.scenarios.clone();
        scenarios.iter_mut().flat_map(|one| &mut one.requires).for_each(|one| one.rules.clear());
        scenarios
    };
    if said(old) != said(new) {
        table.add("scenarios", "other recommendations", Direction::Other);
    }
    for waived in old.waivers.iter().filter(|waived| !new.waivers.contains(waived)) {
        let change = format!("waiver of {} withdrawn", waived.waiver.owner);
        table.add(format!("rule {}", waived.rule), change, Direction::Stricter);
    }
}

fn policies(table: &mut Table, old: &Policies, new: &Policies) {
    let looser = |_: &&str, new: &&str| {
        if *new == "inform" { Direction::Looser } else { Direction::Stricter }
    };
    let word = |policy: Policy| match policy {
        Policy::Inform => "inform",
        Policy::Block => "block",
    };
    for (subject, a, b) in [
        ("policy inconclusive", old.inconclusive, new.inconclusive),
        ("policy no-baseline", old.no_baseline, new.no_baseline),
        ("policy incomparable", old.incomparable, new.incomparable),
        ("policy unavailable", old.unavailable, new.unavailable),
    ] {
        table.moved(subject, [word(a), word(b)], looser);
    }
}

/// What becomes of one rule.
fn rules(table: &mut Table, subject: &str, old: &Rule, new: &Rule) {
    if old.limit != new.limit {
        let (from, to) = (words(old), words(new));
        let direction = loosened(old, new);
        let change = match direction {
            Direction::Looser => format!("limit loosened from {from} to {to}"),
            Direction::Stricter => format!("limit tightened from {from} to {to}"),
            Direction::Other => format!("limit changed from {from} to {to}"),
        };
        table.add(subject, change, direction);
    }
    if old.severity != new.severity {
        let (change, direction) = match new.severity {
            Severity::Inform => ("no longer gates", Direction::Looser),
            Severity::Gate => ("gates from now on", Direction::Stricter),
        };
        table.add(subject, change, direction);
    }
    let strength = |evidence: Evidence| match evidence {
        Evidence::Safety => 2,
        Evidence::Regression => 1,
        Evidence::Point => 0,
    };
    if old.evidence != new.evidence {
        let change = format!("evidence from {} to {}", word(&old.evidence), word(&new.evidence));
        table.add(
            subject,
            change,
            less_is_looser(&strength(old.evidence), &strength(new.evidence)),
        );
    }
    let what = |rule: &Rule| format!("{} {}", rule.metric.id(), rule.statistic.id());
    table.moved(&format!("{subject}, what it judges"), [what(old), what(new)], other);
    table.moved(&format!("{subject}, against"), [against(old), against(new)], other);
    let forcing = |rule: &Rule| rule.forcing.map_or("-".to_string(), |way| way.to_string());
    table.moved(&format!("{subject}, forcing"), [forcing(old), forcing(new)], other);
    let only = |rule: &Rule| match rule.only.is_empty() {
        true => "all tasks".to_string(),
        false => rule.only.to_string(),
    };
    table.moved(&format!("{subject}, tasks"), [only(old), only(new)], other);
}

fn word<T: Debug>(value: &T) -> String {
    format!("{value:?}").to_lowercase()
}

fn against(rule: &Rule) -> String {
    match &rule.against {
        Against::Variant(other) | Against::Earlier(other) => other.clone(),
        Against::Absolute => "a fixed limit".to_string(),
        Against::Baseline { relative_to, anchor } => {
            let of = anchor.as_ref().map(|anchor| format!(" of {anchor}"));
            let ratio = relative_to.as_ref().map(|other| format!(", relative to {other}"));
            format!("the baseline{}{}", of.unwrap_or_default(), ratio.unwrap_or_default())
        }
    }
}

/// A rule's limit as it is written.
fn words(rule: &Rule) -> String {
    let unit = rule.unit();
    match rule.limit {
        Limit::Relative(share) => Percent(share).to_string(),
        Limit::Points(share) => format!("{} pt", Percent(share).to_string().trim_end_matches('%')),
        Limit::Max(value) => format!("at most {}", unit.format(value)),
        Limit::Min(value) => format!("at least {}", unit.format(value)),
    }
}

fn loosened(old: &Rule, new: &Rule) -> Direction {
    match (old.limit, new.limit) {
        (Limit::Relative(a), Limit::Relative(b))
        | (Limit::Points(a), Limit::Points(b))
        | (Limit::Max(a), Limit::Max(b)) => more_is_looser(&a, &b),
        (Limit::Min(a), Limit::Min(b)) => less_is_looser(&a, &b),
        _ => Direction::Other,
    }
}

/// A fraction as a percentage without zeros that say nothing.
#[derive(PartialEq)]
struct Percent(f64);

impl Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{:.3}", self.0 * 100.0);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// What becomes of the stored sessions.
fn stores(table: &mut Table, tree: &CommitTree<'_>, old: &Config, new: &Config) {
    let (a, b) = (&old.baselines, &new.baselines);
    if a.folder != b.folder {
        table.add("baselines", "another folder", Direction::Other);
    }
    table.moved("baselines.keep", [a.keep, b.keep], other);
    let Ok(inner) = tree.repo.inside(&a.folder) else { return };
    let before: BTreeMap<String, String> = tree
        .repo
        .list(tree.commit, &inner)
        .unwrap_or_default()
        .into_iter()
        .filter(|blob| blob.path.extension().is_some_and(|extension| extension == "json"))
        .filter_map(|blob| Some((name(&blob.path)?, hash::of_bytes(&blob.bytes))))
        .collect();
    let after: BTreeMap<String, String> = baseline::files(&b.folder)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|file| Some((name(&file)?, hash::of_file(&file).ok()?)))
        .collect();
    let pick = |keep: &dyn Fn(&String) -> bool, from: &BTreeMap<String, String>| -> Vec<String> {
        from.keys().filter(|name| keep(name)).cloned().collect()
    };
    let added = pick(&|name| !before.contains_key(name), &after);
    let removed = pick(&|name| !after.contains_key(name), &before);
    let replaced =
        pick(&|name| after.get(name).is_some_and(|sum| before.get(name) != Some(sum)), &before);
    for (verb, sessions) in [("replaced", replaced), ("removed", removed), ("added", added)] {
        if !sessions.is_empty() {
            table.add(
                "baselines",
                format!("baseline {verb}: {}", some(&sessions)),
                Direction::Other,
            );
        }
    }
}

/// The session's id, by which its file is named.
fn name(file: &Path) -> Option<String> {
    Some(file.file_stem()?.to_string_lossy().into_owned())
}
