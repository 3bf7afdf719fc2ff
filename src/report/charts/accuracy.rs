//! Owns the chart of graded tasks: accuracy by suite, and the tasks whose grade is another than the
//! reference's.

use super::super::Grid;
use super::{Axis, Chart, Layer, Look, Marks, Ticks, cut, lane, titles};
use crate::record::{Part, Results};
use crate::verdict::tasks::{self, Share};

/// Most suites that are drawn; the table has them all.
const MOST_SUITES: usize = 12;

/// Most flipped tasks that are shown beside the chart.
const MOST_FLIPS: usize = 40;

/// A variant that answered tasks.
struct Asked<'a> {
    look: Look,
    name: &'a str,
    part: &'a Part,
}

/// Right answers of a suite, with the variants in order.
struct Suite<'a> {
    name: String,
    shares: Vec<(&'a Asked<'a>, Share)>,
}

/// The chart of graded tasks; nothing where none was asked.
pub(super) fn chart(results: &Results, flips: &[Grid]) -> Option<Chart> {
    let variants = asked(results);
    if variants.is_empty() {
        return None;
    }
    let suites = suites(&variants);
    let drawn = &suites[..suites.len().min(MOST_SUITES)];
    let words = |suite: &Suite<'_>| {
        let each = suite.shares.iter().map(|(asked, share)| {
            format!("{} {} of {} ({})", asked.name, share.hits, share.of, percent(share))
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

fn asked(results: &Results) -> Vec<Asked<'_>> {
    let of = |(look, name)| Some(Asked { look, name, part: results.part_of(name)? });
    let named = results.variants.iter().map(String::as_str).enumerate().filter_map(of);
    named.filter(|asked| tasks::answers(asked.part, asked.name).next().is_some()).collect()
}

/// All tasks together, and each suite where there are several.
fn suites<'a>(variants: &'a [Asked<'a>]) -> Vec<Suite<'a>> {
    let mut names: Vec<Option<String>> = Vec::new();
    for name in variants.iter().flat_map(|asked| tasks::suites(asked.part)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let suite = |name: String, of: Option<&Option<String>>| {
        let share = |asked: &'a Asked<'a>| (asked, tasks::right(asked.part, asked.name, of));
        Suite { name, shares: variants.iter().map(share).collect() }
    };
    let mut suites = vec![suite("all tasks".to_string(), None)];
    if names.len() > 1 {
        suites.extend(names.iter().map(|of| {
            let name = of.as_ref().map_or("no suite".to_string(), |name| format!("suite {name}"));
            suite(name, Some(of))
        }));
    }
    suites
}

fn layers(suites: &[Suite<'_>], lanes: usize) -> Vec<Layer> {
    let of_row = |(row, suite): (usize, &Suite<'_>)| {
        let layer = |(at, (asked, share)): (usize, &(&Asked<'_>, Share))| {
            let right = if share.of == 0 { 0.0 } else { share.point() * 100.0 };
            let place = vec![(right, lane(row, at, lanes, 0.5))];
            let look = asked.look;
            [
                Layer { look, marks: Marks::Bars(place.clone()) },
                Layer { look, marks: Marks::Points(place) },
            ]
        };
        suite.shares.iter().enumerate().flat_map(layer).collect::<Vec<_>>()
    };
    suites.iter().enumerate().flat_map(of_row).collect()
}

fn percent(share: &Share) -> String {
    match share.of {
        0 => "-".to_string(),
        _ => format!("{:.1}%", share.point() * 100.0),
    }
}

fn table(suites: &[Suite<'_>]) -> Grid {
    let row = |suite: &str, (asked, share): &(&Asked<'_>, Share)| {
        let [name, suite] = [asked.name, suite].map(str::to_string);
        vec![suite, name, share.hits.to_string(), share.of.to_string(), percent(share)]
    };
    let rows = suites.iter().flat_map(|suite| {
        suite.shares.iter().map(|share| row(&suite.name, share)).collect::<Vec<_>>()
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
    use crate::record::{Answer, Grade, Labels, QualityPlan};
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
