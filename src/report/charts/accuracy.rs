//! Owns the chart of graded tasks: accuracy by suite, and the tasks whose grade is another than the
//! reference's.

use super::super::Grid;
use super::{Axis, Chart, Layer, Look, Marks, Ticks, cut, lane, titles};
use crate::record::{Answer, Grade, Results};
use std::collections::BTreeMap;

/// Most suites that are drawn; the table has them all.
const MOST_SUITES: usize = 12;

/// Most flipped tasks that are shown beside the chart.
const MOST_FLIPS: usize = 40;

/// What a variant answered, by task.
struct Answers<'a> {
    look: Look,
    name: &'a str,
    by_task: BTreeMap<&'a str, &'a Answer>,
}

/// Right answers of all, by suite, with the variants in order.
struct Suite<'a> {
    name: String,
    tallies: Vec<(&'a Answers<'a>, [usize; 2])>,
}

/// The chart of graded tasks; nothing where none was asked.
pub(super) fn chart(results: &Results, flips: &[Grid]) -> Option<Chart> {
    let variants = answers(results);
    if variants.is_empty() {
        return None;
    }
    let suites = suites(results, &variants);
    let drawn = &suites[..suites.len().min(MOST_SUITES)];
    let words = |suite: &Suite<'_>| {
        let each = suite.tallies.iter().map(|(answers, [right, all])| {
            format!("{} {right} of {all} ({})", answers.name, percent(*right, *all))
        });
        format!("{}: {}", suite.name, each.collect::<Vec<_>>().join(", "))
    };
    let mut notes = Vec::new();
    if drawn.len() < suites.len() {
        let (shown, all) = (drawn.len(), suites.len());
        notes.push(format!("{shown} of {all} suites drawn; the table has them all"));
    }
    if flips.is_empty() && variants.len() > 1 {
        notes.push(format!("No task flipped: every one is right where {} is", results.reference));
    }
    Some(Chart {
        title: "Accuracy by suite".to_string(),
        description: drawn.iter().map(words).collect::<Vec<_>>().join("; "),
        legend: variants.iter().map(|one| (one.look, one.name.to_string())).collect(),
        notes,
        x: Axis {
            title: "tasks answered right (%)".to_string(),
            low: 0.0,
            high: 100.0,
            ticks: Ticks::Linear,
        },
        y: Axis::rows(drawn.iter().map(|suite| suite.name.clone()).collect(), variants.len()),
        layers: layers(drawn, variants.len()),
        shown: flips.iter().map(in_short).collect(),
        table: table(&suites),
    })
}

/// The first rows of a table; the results have them all.
fn in_short(grid: &Grid) -> Grid {
    Grid { rows: cut(grid.rows.clone(), MOST_FLIPS), ..grid.clone() }
}

fn answers(results: &Results) -> Vec<Answers<'_>> {
    let of = |(look, name)| Answers {
        look,
        name,
        by_task: results
            .part_of(name)
            .into_iter()
            .flat_map(|part| &part.answers)
            .filter(|answer| answer.variant == name)
            .map(|answer| (answer.task.as_str(), answer))
            .collect(),
    };
    let named = results.variants.iter().map(String::as_str).enumerate();
    named.map(of).filter(|answers| !answers.by_task.is_empty()).collect()
}

/// The suite of a graded task, if it has one.
fn suite_of<'a>(results: &'a Results, task: &str) -> Option<&'a str> {
    let mut plans = results.parts.iter().filter_map(|part| part.header.plan.quality.as_ref());
    plans.find_map(|plan| plan.labels.get(task)?.suite.as_deref())
}

/// All tasks together, and each suite where there are several.
fn suites<'a>(results: &Results, variants: &'a [Answers<'a>]) -> Vec<Suite<'a>> {
    let mut names: Vec<Option<&str>> = variants
        .iter()
        .flat_map(|answers| answers.by_task.keys())
        .map(|task| suite_of(results, task))
        .collect();
    names.sort_unstable();
    names.dedup();
    let tally = |answers: &'a Answers<'a>, takes: &dyn Fn(&str) -> bool| {
        let of = answers.by_task.iter().filter(|(task, _)| takes(task));
        let [mut right, mut all] = [0, 0];
        for (_, answer) in of {
            all += 1;
            right += usize::from(answer.grade == Grade::Right);
        }
        (answers, [right, all])
    };
    let suite = |name: String, takes: &dyn Fn(&str) -> bool| Suite {
        name,
        tallies: variants.iter().map(|answers| tally(answers, takes)).collect(),
    };
    let mut suites = vec![suite("all tasks".to_string(), &|_| true)];
    if names.len() > 1 {
        suites.extend(names.into_iter().map(|name| {
            let title = name.map_or("no suite".to_string(), |name| format!("suite {name}"));
            suite(title, &|task| suite_of(results, task) == name)
        }));
    }
    suites
}

fn layers(suites: &[Suite<'_>], lanes: usize) -> Vec<Layer> {
    let of_row = |(row, suite): (usize, &Suite<'_>)| {
        let layer = |(at, (answers, [right, all])): (usize, &(&Answers<'_>, [usize; 2]))| {
            let share = *right as f64 / (*all).max(1) as f64 * 100.0;
            let place = vec![(share, lane(row, at, lanes, 0.5))];
            let look = answers.look;
            [
                Layer { look, marks: Marks::Bars(place.clone()) },
                Layer { look, marks: Marks::Points(place) },
            ]
        };
        suite.tallies.iter().enumerate().flat_map(layer).collect::<Vec<_>>()
    };
    suites.iter().enumerate().flat_map(of_row).collect()
}

fn percent(right: usize, all: usize) -> String {
    match all {
        0 => "-".to_string(),
        _ => format!("{:.1}%", right as f64 / all as f64 * 100.0),
    }
}

fn table(suites: &[Suite<'_>]) -> Grid {
    let row = |suite: &str, (answers, [right, all]): &(&Answers<'_>, [usize; 2])| {
        let [name, suite] = [answers.name, suite].map(str::to_string);
        vec![suite, name, right.to_string(), all.to_string(), percent(*right, *all)]
    };
    let rows = suites.iter().flat_map(|suite| {
        suite.tallies.iter().map(|tally| row(&suite.name, tally)).collect::<Vec<_>>()
    });
    Grid {
        title: "Right answers".to_string(),
        header: titles(["suite", "variant", "right", "tasks", "accuracy"]),
        rows: rows.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::results;
    use super::*;
    use crate::record::{Labels, QualityPlan};
    use crate::report::tasks::flipped;

    /// Answers of `base` and `now` to tasks, by suite, task and both grades.
    fn graded(tasks: &[(&str, &str, Grade, Grade)]) -> Results {
        let mut results = results(&[]);
        let label = |suite: &str| Labels { suite: Some(suite.to_string()), tags: vec![] };
        let answer = |variant: &str, task: &str, grade| Answer {
            variant: variant.to_string(),
            task: task.to_string(),
            prompt_tokens: 1,
            tokens: vec![],
            text: String::new(),
            cached: false,

            log_likelihoods: vec![],
            reason: None,
            grade,
            failure: None,
        };
        let part = &mut results.parts[0];
        for (_, task, base, now) in tasks {
            part.answers.extend([answer("base", task, *base), answer("now", task, *now)]);
        }
        part.header.plan.quality = Some(QualityPlan {
            tasks: tasks.iter().map(|(_, task, ..)| task.to_string()).collect(),
            variants: vec!["base".into(), "now".into()],
            max_tokens: 1,
            stop: vec![],
            labels: tasks.iter().map(|(s, task, ..)| (task.to_string(), label(s))).collect(),
            ..QualityPlan::default()
        });
        results
    }

    #[test]
    fn suites_are_counted_each_and_together() {
        use Grade::{Failed, Right, Wrong};
        let results = graded(&[
            ("a", "1", Right, Right),
            ("a", "2", Right, Wrong),
            ("b", "3", Wrong, Right),
            ("b", "4", Right, Failed),
        ]);
        let chart = chart(&results, &flipped(&results)).unwrap();
        let Ticks::Rows(labels, lanes) = &chart.y.ticks else { panic!("{:?}", chart.y) };
        assert_eq!((labels.join(", "), *lanes), ("all tasks, suite a, suite b".to_string(), 2));
        assert_eq!(chart.table.rows[1], ["all tasks", "now", "2", "4", "50.0%"]);
        assert_eq!(chart.table.rows[3], ["suite a", "now", "1", "2", "50.0%"]);
        let Marks::Bars(bars) = &chart.layers[2].marks else { panic!() };
        assert_eq!((chart.layers[2].look, bars[0].0), (1, 50.0));
        let [lost, won] = &chart.shown[..] else { panic!("{:?}", chart.shown) };
        assert_eq!(lost.rows[0][..3], ["2", "a", "now"]);
        assert_eq!(lost.rows[1][..3], ["4", "b", "now"]);
        assert_eq!(won.rows[0][..3], ["3", "b", "now"]);
    }

    #[test]
    fn one_suite_is_not_told_twice_and_many_flips_are_cut() {
        let names: Vec<String> = (0..50).map(|n| format!("t{n:02}")).collect();
        let tasks: Vec<_> =
            names.iter().map(|n| ("a", n.as_str(), Grade::Right, Grade::Wrong)).collect();
        let asked = graded(&tasks);
        let chart = chart(&asked, &flipped(&asked)).unwrap();
        assert_eq!(chart.table.rows.len(), 2);
        assert_eq!(chart.shown[0].rows.len(), MOST_FLIPS + 1);
        assert_eq!(chart.shown[0].rows[MOST_FLIPS][0], "and 10 more");
        assert!(chart.shown[0].title.ends_with(": 50"), "{}", chart.shown[0].title);
        assert!(super::chart(&results(&[]), &[]).is_none(), "nothing was asked");
    }
}
