//! Owns the [`Sheet`]s of stored sessions: one of them, and what differs between two.

use super::words;
use super::{Grid, Sheet};
use crate::baseline::{self, Stored, StoredVariant, Stores};
use crate::hash;
use crate::metric::{ACCURACY, Metric, Statistic, TASK_FAILURE_RATE};
use crate::record::{Summary, VerdictKind};
use crate::verdict::{self, Measured};
use std::collections::{BTreeMap, BTreeSet};

/// Values of a session's variants by metric, in the order of the report.
type Values = Vec<((Metric, Statistic), BTreeMap<String, f64>)>;

/// One stored session: where it comes from, what the rules said, and its values.
pub fn of_stored(stored: &Stored) -> Sheet {
    let rounds: BTreeSet<u32> = stored.rounds.iter().map(|run| run.round).collect();
    let headline = format!(
        "STORED SESSION {}: {}, {} rounds of {} tasks by {}",
        stored.session,
        outcome(stored),
        rounds.len(),
        stored.workload.tasks.len(),
        names(stored).join(", ")
    );
    let provenance = Grid {
        title: "Where it comes from".to_string(),
        header: titles(&["what", "value"]),
        rows: provenance(stored).into_iter().map(|(what, value)| vec![what, value]).collect(),
    };
    let tables = vec![values(stored), rules(stored), provenance];
    let notes = vec![
        "The values are means over rounds, as in the report of the session; what a variant is against \
         another stands there, with its interval"
            .to_string(),
    ];
    Sheet { headline, warnings: marks(stored), tables, notes, ..Sheet::default() }
}

/// What differs between two stored sessions. Nothing is paired across sessions, and nothing is decided.
pub fn of_two_stored(old: &Stored, new: &Stored) -> Sheet {
    let headline = format!(
        "UNPAIRED: {} against {}; measured apart, so the changes hold the machine's mood too and \
         decide nothing",
        new.session, old.session
    );
    let mut warnings: Vec<String> = Vec::new();
    for stored in [old, new] {
        warnings.extend(
            marks(stored).into_iter().map(|mark| format!("{} has the {mark}", stored.session)),
        );
    }
    let (changes, unlike) = changes(old, new);
    warnings.extend(unlike);
    let notes = vec![
        "`perfgate check` judges a session against stored ones by the rules with against = \
         \"baseline\": by the spread between them"
            .to_string(),
    ];
    Sheet {
        headline,
        warnings,
        tables: vec![origins(old, new), differing(old, new), changes],
        notes,
        ..Sheet::default()
    }
}

fn titles(titles: &[&str]) -> Vec<String> {
    titles.iter().map(|title| (*title).to_string()).collect()
}

fn names(stored: &Stored) -> Vec<String> {
    stored.variants.keys().cloned().collect()
}

fn marks(stored: &Stored) -> Vec<String> {
    stored.marks().iter().map(|mark| format!("mark: {mark}")).collect()
}

fn outcome(stored: &Stored) -> String {
    let unknown = "accepted before verdicts were stored";
    stored.verdict.as_ref().map_or(unknown, |verdict| &verdict.outcome).to_string()
}

/// What tells a session apart, apart from its values.
fn provenance(stored: &Stored) -> Vec<(String, String)> {
    let workload = &stored.workload;
    let git = stored.git.as_ref();
    let commit = git.map_or("none".to_string(), |git| match &git.branch {
        Some(branch) => format!("{} on {branch}", git.commit),
        None => git.commit.clone(),
    });
    let tree = match git {
        Some(git) if git.dirty() => {
            format!("dirty: {} modified, {} untracked", git.modified, git.untracked)
        }
        Some(_) => "clean".to_string(),
        None => "-".to_string(),
    };
    let length = workload.prompt_tokens.map_or("as written".to_string(), |n| n.to_string());
    let mut rows: Vec<(String, String)> = [
        ("date", stored.started.clone()),
        ("commit", commit),
        ("work tree", tree),
        ("perfgate", stored.perfgate.clone()),
        ("machine class", stored.machine.key()),
        ("kernel", stored.kernel.clone()),
        (
            "workload",
            format!(
                "{} tasks, {length} tokens in, {} out; sha256 {}",
                workload.tasks.len(),
                workload.gen_tokens,
                hash::short(&workload.sha256, 12)
            ),
        ),
    ]
    .map(|(what, value)| (what.to_string(), value))
    .to_vec();
    if let Some(sum) = &workload.quality_sha256 {
        let value = format!("{}; sha256 {}", workload.quality_tasks, hash::short(sum, 12));
        rows.push(("graded tasks".to_string(), value));
    }
    rows.extend(stored.variants.iter().map(|(name, v)| (format!("variant {name}"), variant(v))));
    rows
}

fn variant(StoredVariant { asked, engine }: &StoredVariant) -> String {
    let mut text = format!(
        "{} {}, {} threads, model {} with sha256 {}",
        asked.engine,
        engine.version,
        asked.threads,
        asked.model,
        hash::short(&asked.model_sha256, 12)
    );
    for (key, value) in asked.options.iter().chain(&asked.properties) {
        text += &format!(", {key} = {value}");
    }
    text
}

/// The rules by what they came to.
fn rules(stored: &Stored) -> Grid {
    let mut by_verdict: BTreeMap<VerdictKind, Vec<&str>> = BTreeMap::new();
    for (rule, verdict) in stored.verdict.iter().flat_map(|verdict| &verdict.rules) {
        by_verdict.entry(*verdict).or_default().push(rule);
    }
    let row =
        |(verdict, rules): (VerdictKind, Vec<&str>)| vec![verdict.to_string(), rules.join(", ")];
    Grid {
        title: "What the rules said when it was accepted".to_string(),
        header: titles(&["verdict", "rules"]),
        rows: by_verdict.into_iter().map(row).collect(),
    }
}

/// The values of the report's table of variants, as far as they are stored.
fn measured(stored: &Stored) -> Values {
    let names = names(stored);
    let part = stored.to_part();
    let stores = Stores::default();
    let measured = Measured { parts: std::slice::from_ref(&part), earlier: &[], stored: &stores };
    // Without a reference there is no change to be estimated.
    let summaries = verdict::summarize(&measured, &names, "", 0.05);
    let mut rows: Values = Vec::new();
    for (metric, at) in [(ACCURACY, 1), (TASK_FAILURE_RATE, 2)] {
        let share = |name: &String| Some((name.clone(), share(stored.graded(name)?, at)?));
        rows.push(((metric, Statistic::Rate), names.iter().filter_map(share).collect()));
    }
    let in_table = |summary: &&Summary| summary.metric.info().table.contains(&summary.statistic);
    for (name, of_variant) in &summaries {
        for summary in of_variant.iter().filter(in_table) {
            let what = (summary.metric, summary.statistic);
            let Some(value) = summary.value else { continue };
            match rows.iter_mut().find(|(known, _)| *known == what) {
                Some((_, values)) => drop(values.insert(name.clone(), value)),
                None => rows.push((what, BTreeMap::from([(name.clone(), value)]))),
            }
        }
    }
    rows.retain(|(_, values)| !values.is_empty());
    rows
}

/// The share of right answers, or of those that were not usable.
fn share([all, wrong, failed]: [usize; 3], at: usize) -> Option<f64> {
    let counted = if at == 1 { all.saturating_sub(wrong + failed) } else { failed };
    (all > 0).then(|| counted as f64 / all as f64)
}

fn values(stored: &Stored) -> Grid {
    let names = names(stored);
    let row = |((metric, statistic), values): &((Metric, Statistic), BTreeMap<String, f64>)| {
        let cell = |name: &String| match values.get(name) {
            Some(value) => metric.unit(*statistic).format(*value),
            None => "-".to_string(),
        };
        let what = words::metric(*metric, *statistic);
        std::iter::once(what).chain(names.iter().map(cell)).collect()
    };
    let mut header = titles(&["metric"]);
    header.extend(names.iter().cloned());
    Grid { title: "Values".to_string(), header, rows: measured(stored).iter().map(row).collect() }
}

/// Where two sessions come from, as far as that differs.
fn origins(old: &Stored, new: &Stored) -> Grid {
    let about = |stored: &Stored| {
        let mut rows = provenance(stored);
        rows.retain(|(what, _)| ["date", "commit", "work tree", "perfgate"].contains(&&what[..]));
        rows.push(("verdict".to_string(), outcome(stored)));
        rows
    };
    let differing = about(old).into_iter().zip(about(new)).filter(|(a, b)| a != b);
    Grid {
        title: "Where they come from".to_string(),
        header: titles(&["what", &old.session, &new.session]),
        rows: differing.map(|((what, a), (_, b))| vec![what, a, b]).collect(),
    }
}

/// What differs of workload, machine and variants.
fn differing(old: &Stored, new: &Stored) -> Grid {
    let between = baseline::between(new, old);
    let of = |what: &'static str, found: Vec<String>| {
        found.into_iter().map(move |text| vec![what.to_string(), text])
    };
    let rows = of("workload", between.workload)
        .chain(of("machine", between.machine))
        .chain(of("variants", between.variants));
    Grid {
        title: "What differs of what was measured".to_string(),
        header: titles(&["of", "difference"]),
        rows: rows.collect(),
    }
}

/// Each metric of the variants in both, and why some are not held against each other.
fn changes(old: &Stored, new: &Stored) -> (Grid, BTreeSet<String>) {
    let (then, now) = (measured(old), measured(new));
    let mut unlike = BTreeSet::new();
    let mut rows = Vec::new();
    for name in old.variants.keys().filter(|name| new.variants.contains_key(*name)) {
        for (what @ (metric, statistic), values) in &now {
            let before = then.iter().find(|(known, _)| known == what);
            let before = before.and_then(|(_, values)| values.get(name));
            let (Some(a), Some(b)) = (before, values.get(name)) else { continue };
            let differences = baseline::differences_of_stored(new, old, *metric, None);
            let change = match differences.is_empty() {
                true if metric.is_proportion() => format!("{:+.1} pt", (b - a) * 100.0 + 0.0),
                true if (b / a).is_finite() => format!("{:.3}×", b / a),
                _ => "-".to_string(),
            };
            unlike.extend(
                (!differences.is_empty()).then(|| {
                    format!("some values cannot be compared: {}", differences.join(" and "))
                }),
            );
            let unit = metric.unit(*statistic);
            let what = words::metric(*metric, *statistic);
            rows.push(vec![name.clone(), what, unit.format(*a), unit.format(*b), change]);
        }
    }
    let grid = Grid {
        title: "Values, unpaired: new over old, or the difference of shares".to_string(),
        header: titles(&["variant", "metric", &old.session, &new.session, "new/old"]),
        rows,
    };
    (grid, unlike)
}
