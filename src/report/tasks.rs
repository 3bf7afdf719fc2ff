//! Owns the tables on graded tasks: right answers by suite, answers that could not be used, what is the reference's,
//! what came of asking again, and the tasks that flipped.

use super::Grid;
use crate::record::{Answer, Grade, Part, Results, Way};
use crate::verdict::tasks::{self, Share};
use std::collections::BTreeMap;

/// The tables, without those that would be empty.
pub(super) fn tables(results: &Results) -> Vec<Grid> {
    let parts: Vec<&Part> = results.parts.iter().filter(|part| !part.answers.is_empty()).collect();
    let mut grids = Vec::new();
    for of_one_source in parts.chunk_by(|a, b| asks_the_same(a, b)) {
        grids.push(by_suite(of_one_source));
    }
    for part in parts {
        let variants = asked(part);
        grids.push(unusable(part, &variants));
        grids.push(alike(part, &variants, &results.reference));
        grids.push(again(part, &variants));
        grids.push(repeated(part, &variants));
    }
    grids.retain(|grid| !grid.rows.is_empty());
    grids
}

/// The variants that answered, in the order of the plan.
fn asked(part: &Part) -> Vec<&str> {
    let quality = part.header.plan.quality.iter();
    quality.flat_map(|quality| &quality.variants).map(String::as_str).collect()
}

fn header<const N: usize>(first: [&str; N], variants: &[&str]) -> Vec<String> {
    first.iter().chain(variants).map(ToString::to_string).collect()
}

/// Whether two sessions asked the same tasks, so that one table has the variants of both.
fn asks_the_same(a: &Part, b: &Part) -> bool {
    let sum = |part: &Part| part.header.plan.quality.as_ref().map(|quality| quality.sha256.clone());
    sum(a) == sum(b)
}

/// One table of sessions that asked the same tasks.
fn by_suite(parts: &[&Part]) -> Grid {
    let suites = tasks::suites(parts[0]);
    let mut columns: Vec<(&Part, &str)> = Vec::new();
    for part in parts {
        columns.extend(asked(part).into_iter().map(|variant| (*part, variant)));
    }
    let variants: Vec<&str> = columns.iter().map(|(_, variant)| *variant).collect();
    let row = |name: &str, suite: Option<&Option<String>>| {
        let shares: Vec<Share> =
            columns.iter().map(|(part, variant)| tasks::right(part, variant, suite)).collect();
        let tasks = shares.first().map_or(0, |share| share.of).to_string();
        [name.to_string(), tasks].into_iter().chain(shares.iter().map(share)).collect()
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    if suites.len() > 1 {
        rows.extend(suites.iter().map(|suite| row(suite.as_deref().unwrap_or("-"), Some(suite))));
    }
    let name = match &suites[..] {
        [Some(only)] => only,
        _ => "all",
    };
    rows.push(row(name, None));
    Grid {
        title: "Right answers by suite, with exact 95% intervals".to_string(),
        header: header(["suite", "tasks"], &variants),
        rows,
    }
}

fn unusable(part: &Part, variants: &[&str]) -> Grid {
    let kinds = tasks::kinds_of_failure(part);
    let row = |name: &str, class| {
        let shares = variants.iter().map(|variant| share(&tasks::failed(part, variant, class)));
        std::iter::once(name.to_string()).chain(shares).collect()
    };
    let mut rows: Vec<Vec<String>> =
        kinds.iter().map(|class| row(class.title(), Some(*class))).collect();
    if rows.len() > 1 {
        rows.push(row("any", None));
    }
    Grid {
        title: "Answers that could not be used, with exact 95% intervals".to_string(),
        header: header(["why"], variants),
        rows,
    }
}

fn alike(part: &Part, variants: &[&str], reference: &str) -> Grid {
    let row = |variant: &&&str| {
        let alike = tasks::alike(part, variant, reference)?;
        let place = |place: f64| format!("{:.0}", place + 1.0);
        Some(vec![
            variant.to_string(),
            share(&alike.same),
            alike.diverges_at.map_or("-".to_string(), place),
            alike.lost.to_string(),
            alike.won.to_string(),
            p_value(alike.p),
        ])
    };
    let others = variants.iter().filter(|variant| **variant != reference);
    Grid {
        title: format!("Free-running answers held against those of {reference}"),
        header: header(
            [
                "variant",
                "the same tokens",
                "else differs from token (median)",
                "lost",
                "won",
                "exact McNemar p",
            ],
            &[],
        ),
        rows: if variants.contains(&reference) {
            others.filter_map(|v| row(&v)).collect()
        } else {
            vec![]
        },
    }
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_string() } else { format!("{p:.3}") }
}

fn again(part: &Part, variants: &[&str]) -> Grid {
    let of_variant = |variant: &&str| {
        let row = |again: tasks::Again| {
            let way = match again.way {
                Way::SameProcess => "in the same process".to_string(),
                Way::OtherProcess => "in another process".to_string(),
                Way::Threads(1) => "with 1 thread".to_string(),
                Way::Threads(threads) => format!("with {threads} threads"),
                Way::First | Way::Seed(_) => "-".to_string(),
            };
            let decoding = if again.drawn { "sampled, the same seed" } else { "greedy" };
            vec![variant.to_string(), decoding.to_string(), way, same(&again)]
        };
        tasks::again(part, variant).into_iter().map(row).collect::<Vec<_>>()
    };
    Grid {
        title: "Determinism: the same task asked again".to_string(),
        header: header(["variant", "decoding", "asked again", "the same tokens"], &[]),
        rows: variants.iter().flat_map(of_variant).collect(),
    }
}

/// How many answers were the same, and how many tasks have none to compare.
fn same(again: &tasks::Again) -> String {
    // A worker's last words are several lines.
    let why = again.why.as_deref().and_then(|why| why.lines().next()).unwrap_or_default();
    match (again.same.of, again.unanswered) {
        (0, _) => format!("not measured: {why}"),
        (_, 0) => share(&again.same),
        (_, unanswered) => format!("{}; {unanswered} not measured: {why}", share(&again.same)),
    }
}

fn repeated(part: &Part, variants: &[&str]) -> Grid {
    let found: Vec<(&str, tasks::Repeated)> = variants
        .iter()
        .filter_map(|variant| Some((*variant, tasks::repeated(part, variant)?)))
        .collect();
    let times = found.iter().map(|(_, repeated)| repeated.times).min().unwrap_or(0);
    let mut shown: Vec<u32> = vec![1, times.div_ceil(2), times];
    shown.retain(|k| *k > 1);
    shown.dedup();
    let mut titles = header(["variant", "tasks", "right"], &[]);
    for k in &shown {
        titles.extend([format!("all of {k} right"), format!("any of {k} right")]);
    }
    let percent = |share: f64| format!("{:.1}%", share * 100.0);
    let row = |(variant, repeated): &(&str, tasks::Repeated)| {
        let right = &repeated.right;
        let ends = match right.low.is_finite() {
            true => format!(" [{}, {}]", percent(right.low.max(0.0)), percent(right.high.min(1.0))),
            false => String::new(),
        };
        let mut row = vec![
            variant.to_string(),
            repeated.tasks.to_string(),
            format!("{}{ends}", percent(right.point)),
        ];
        row.extend(shown.iter().flat_map(|k| repeated.of_k[*k as usize - 1].map(percent)));
        row
    };
    Grid {
        title: format!("Tasks asked {times} times with other seeds, sampled"),
        header: titles,
        rows: found.iter().map(row).collect(),
    }
}

/// `61.2% [55.0, 67.1]`.
fn share(share: &Share) -> String {
    if share.of == 0 {
        return "-".to_string();
    }
    let [low, high] = share.ends.map(|end| end * 100.0);
    format!("{:.1}% [{low:.1}, {high:.1}]", share.point() * 100.0)
}

/// The tasks that the reference answers right and a variant does not, and the other way round: with the prompt's
/// end, both answers, and what is wrong.
pub(super) fn flipped(results: &Results) -> Vec<Grid> {
    let Some(base_part) = results.part_of(&results.reference) else { return Vec::new() };
    let base: BTreeMap<&str, &Answer> = tasks::answers(base_part, &results.reference)
        .map(|answer| (answer.task.as_str(), answer))
        .collect();
    let rows = |wanted: fn(bool, bool) -> bool| {
        let of = |variant: &String| {
            let part = results.part_of(variant)?;
            let row = |now: &Answer| {
                let base = base.get(now.task.as_str())?;
                let right = |answer: &Answer| answer.grade == Grade::Right;
                wanted(right(base), right(now)).then(|| flip(part, base, now))
            };
            Some(tasks::answers(part, variant).filter_map(row).collect::<Vec<_>>())
        };
        results.variants.iter().filter_map(of).flatten().collect::<Vec<_>>()
    };
    let titles = [
        "task",
        "suite",
        "variant",
        "the prompt's end",
        "reference's answer",
        "variant's answer",
        "why",
    ];
    let grid = |what: &str, rows: Vec<Vec<String>>| Grid {
        title: format!("{what}: {}", rows.len()),
        header: header(titles, &[]),
        rows,
    };
    let name = &results.reference;
    let lost =
        grid(&format!("Lost tasks, right by {name} and not by the variant"), rows(|b, n| b && !n));
    let won =
        grid(&format!("Won tasks, right by the variant and not by {name}"), rows(|b, n| !b && n));
    [lost, won].into_iter().filter(|grid| !grid.rows.is_empty()).collect()
}

fn flip(part: &Part, base: &Answer, now: &Answer) -> Vec<String> {
    let quality = part.header.plan.quality.as_ref();
    let place = quality.and_then(|q| q.tasks.iter().position(|task| *task == now.task));
    let tail = quality.zip(place).and_then(|(quality, place)| quality.tails.get(place));
    let suite = quality.and_then(|q| q.labels.get(&now.task)?.suite.clone());
    // The wrong one of the two says why.
    let wrong = if now.grade == Grade::Right { base } else { now };
    let failure = wrong.failure.as_ref().map(ToString::to_string);
    let why = wrong.reason.clone().or(failure).unwrap_or_else(|| "another answer".to_string());
    vec![
        now.task.clone(),
        suite.unwrap_or_else(|| "-".to_string()),
        now.variant.clone(),
        tail.cloned().unwrap_or_default(),
        base.text.clone(),
        now.text.clone(),
        why,
    ]
}
