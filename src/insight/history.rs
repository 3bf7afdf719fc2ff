//! Owns a metric over the stored sessions: one value for each, in stretches that can be compared, and where
//! it moved.

use crate::baseline::{Accepted, Stored, differences_of_stored};
use crate::metric::{Better, Kind, Metric, Read, Statistic, Unit};
use crate::record::{Grade, MachineClass, Round};
use crate::stats::{self, CHANGE_LEVEL};
use crate::verdict::{self, samples};

/// What is asked of the stored sessions.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The metric.
    pub metric: Metric,
    /// How it is reduced.
    pub statistic: Statistic,
    /// Show the ratio to this variant of the same session.
    pub relative_to: Option<&'a str>,
}

impl Asked<'_> {
    /// The unit of the values.
    pub fn unit(&self) -> Unit {
        match self.relative_to {
            Some(_) => Unit::Ratio,
            None => self.metric.unit(self.statistic),
        }
    }
}

/// One variant on one class of machines.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The variant.
    pub variant: String,
    /// The machines' class.
    pub machine: MachineClass,
    /// The sessions, oldest first.
    pub points: Vec<Point>,
    /// Where the values moved, in order.
    pub changes: Vec<Change>,
    /// Sessions that have the variant and no value of it, because what would be measured failed or was not
    /// asked for.
    pub without_value: usize,
}

/// One session.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// UTC start, RFC 3339.
    pub started: String,
    /// The commit that was measured, if it is known, and whether the work tree differed from it.
    pub measured: Option<(String, bool)>,
    /// The commit that accepted the session; none of what is not committed.
    pub accepted: Option<String>,
    /// The value: the mean over rounds as rules have it, or a share of all requests or tasks.
    pub value: f64,
    /// The change since the point before, where both can be compared: a fraction, of shares a difference.
    pub change: Option<f64>,
    /// Why it cannot be compared with the point before, each difference in words.
    pub apart: Vec<String>,
}

/// A place where a series moved.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Index of the first point after it.
    pub at: usize,
    /// The value from the change before on.
    pub before: f64,
    /// The value up to the change after.
    pub after: f64,
    /// The change: a fraction, of shares a difference.
    pub change: f64,
    /// Two-sided p value of Student's t between both sides.
    pub p: f64,
}

/// The series of some variants, by variant and class of machine; those without a value are left out.
pub fn over_sessions(sessions: &[Accepted], variants: &[String], asked: &Asked<'_>) -> Vec<Series> {
    let mut classes: Vec<&MachineClass> = Vec::new();
    for accepted in sessions {
        if !classes.contains(&&accepted.stored.machine) {
            classes.push(&accepted.stored.machine);
        }
    }
    let of = |variant: &String, machine: &MachineClass| {
        let of_class = sessions.iter().filter(|accepted| accepted.stored.machine == *machine);
        series(of_class, variant, machine, asked)
    };
    variants
        .iter()
        .flat_map(|variant| classes.iter().map(|machine| of(variant, machine)))
        .filter(|series| !series.points.is_empty())
        .collect()
}

fn series<'a>(
    sessions: impl Iterator<Item = &'a Accepted>,
    variant: &str,
    machine: &MachineClass,
    asked: &Asked<'_>,
) -> Series {
    let mut series = Series {
        variant: variant.to_string(),
        machine: machine.clone(),
        points: Vec::new(),
        changes: Vec::new(),
        without_value: 0,
    };
    let scale = Scale { share: asked.metric.is_proportion() };
    let mut before: Option<(&Stored, f64)> = None;
    for accepted in sessions.filter(|accepted| accepted.stored.variants.contains_key(variant)) {
        let stored = &accepted.stored;
        let Some(number) = number(stored, variant, asked) else {
            series.without_value += 1;
            continue;
        };
        let apart = before.map_or_else(Vec::new, |(then, _)| {
            let pair = asked.relative_to.map(|reference| [variant, reference]);
            differences_of_stored(stored, then, asked.metric, pair)
        });
        let change =
            before.filter(|_| apart.is_empty()).map(|(_, then)| scale.change(then, number));
        let git = stored.git.as_ref();
        series.points.push(Point {
            started: stored.started.clone(),
            measured: git.map(|git| (git.commit.clone(), git.modified > 0)),
            accepted: accepted.commit.clone(),
            value: scale.value(number),
            change,
            apart,
        });
        before = Some((stored, number));
    }
    series.changes = changes(&series.points, scale);
    series
}

/// How numbers are told apart and shown.
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// Shares are as they are; everything else is a log.
    share: bool,
}

impl Scale {
    fn value(self, number: f64) -> f64 {
        if self.share { number } else { number.exp() }
    }

    fn number(self, value: f64) -> f64 {
        if self.share { value } else { value.ln() }
    }

    fn change(self, before: f64, after: f64) -> f64 {
        if self.share { after - before } else { (after - before).exp_m1() }
    }
}

/// The change points of each stretch that can be compared.
fn changes(points: &[Point], scale: Scale) -> Vec<Change> {
    let mut starts: Vec<usize> =
        (0..points.len()).filter(|index| *index == 0 || !points[*index].apart.is_empty()).collect();
    starts.push(points.len());
    let of_stretch = |ends: &[usize]| {
        let start = ends[0];
        let numbers: Vec<f64> =
            points[start..ends[1]].iter().map(|point| scale.number(point.value)).collect();
        let change = move |point: stats::ChangePoint| Change {
            at: start + point.at,
            before: scale.value(point.before),
            after: scale.value(point.after),
            change: scale.change(point.before, point.after),
            p: point.p,
        };
        stats::change_points(&numbers, CHANGE_LEVEL).into_iter().map(change).collect::<Vec<_>>()
    };
    starts.windows(2).flat_map(of_stretch).collect()
}

/// A session's number: the mean over rounds of the log, as a rule against the baseline takes it, or a share.
fn number(stored: &Stored, variant: &str, asked: &Asked<'_>) -> Option<f64> {
    let (metric, statistic) = (asked.metric, asked.statistic);
    if metric.kind() == Kind::TaskProportion {
        return share_of_tasks(stored, variant, metric);
    }
    let rounds = stored.to_rounds();
    let rounds: Vec<&Round> = rounds.iter().collect();
    if metric.is_proportion() {
        let (hits, all) = samples::hits(metric, &rounds, variant);
        return (all > 0).then(|| hits as f64 / all as f64);
    }
    let by_round = match asked.relative_to {
        None => verdict::log_values(metric, statistic, &rounds, variant),
        Some(other) => verdict::log_ratios(metric, statistic, &rounds, variant, other),
    };
    let number = stats::mean(&by_round.values);
    number.is_finite().then_some(number)
}

/// The share of a variant's graded tasks that a metric counts.
fn share_of_tasks(stored: &Stored, variant: &str, metric: Metric) -> Option<f64> {
    let Read::Answers(counts) = metric.info().read else { return None };
    let quality = stored.quality.get(variant)?;
    let of = |grade: Grade, tasks: usize| if counts(grade) { tasks } else { 0 };
    let bad = of(Grade::Wrong, quality.wrong.len()) + of(Grade::Failed, quality.failed.len());
    let all = stored.workload.quality_tasks;
    let share = bad as f64 / all as f64;
    let better =
        |share: f64| if metric.info().better == Better::Higher { 1.0 - share } else { share };
    (all > 0).then(|| better(share))
}
