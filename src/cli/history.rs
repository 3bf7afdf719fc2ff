//! Owns `perfgate history`: a metric over every session that was ever stored.

use super::render;
use super::{HistoryArguments, exit, relative};
use crate::baseline::{self, Accepted, History};
use crate::config::{self, Config, WorkTree};
use crate::document::suggestion;
use crate::insight::{self, Asked, Series};
use crate::metric::{Kind, METRICS, Metric, Statistic};
use crate::problem::{Problem, Result};
use crate::report::{self, Scene};
use std::path::Path;

/// Prints the history of a metric.
pub(super) fn history(arguments: &HistoryArguments) -> Result<u8> {
    let metric = metric(&arguments.metric)?;
    let statistic = statistic(metric, arguments.statistic.as_deref())?;
    let asked = Asked { metric, statistic, relative_to: arguments.relative_to.as_deref() };
    if asked.relative_to.is_some() && metric.is_proportion() {
        return Err(Problem::new(format!("'{metric}' is a proportion and has no ratio"))
            .help("leave --relative-to out: a proportion does not depend on the machine's speed"));
    }
    let config = config::read_config(&WorkTree, &arguments.config)?;
    let mut history = baseline::history(&config)?;
    if history.sessions.is_empty() {
        return Err(none_stored(&config, &history));
    }
    let of_other_classes = if arguments.all_classes { 0 } else { keep_class(&mut history)? };
    let variants = variants(arguments, &config, &history.sessions)?;
    let series = insight::over_sessions(&history.sessions, &variants, &asked);
    if series.is_empty() {
        return Err(no_value(&asked, &variants, history.sessions.len()));
    }
    let scene = Scene {
        no_commits: history.no_commits.map(one_line),
        shallow: history.shallow,
        unreadable: history.unreadable,
        of_other_classes,
    };
    show(arguments, &series, &asked, &scene)
}

fn show(
    arguments: &HistoryArguments,
    series: &[Series],
    asked: &Asked<'_>,
    scene: &Scene,
) -> Result<u8> {
    let sheet = report::of_history(series, asked, scene);
    render::print_sheet(&sheet, arguments.display.format, arguments.display.loudness.verbose)?;
    Ok(exit::HOLDS)
}

fn metric(id: &str) -> Result<Metric> {
    let ids: Vec<&str> = METRICS.iter().map(|metric| metric.id()).collect();
    Metric::from_id(id).ok_or_else(|| {
        Problem::new(format!("there is no metric '{id}'")).help(suggestion(id, &ids))
    })
}

fn statistic(metric: Metric, wanted: Option<&str>) -> Result<Statistic> {
    let Some(word) = wanted else { return Ok(metric.info().default_statistic) };
    // Stored sessions keep no single gaps between tokens.
    let kept = |s: &Statistic| {
        metric.allows(*s) && (metric.kind() != Kind::PerToken || *s == Statistic::Mean)
    };
    let allowed: Vec<&str> = Statistic::ALL.into_iter().filter(kept).map(Statistic::id).collect();
    Statistic::from_id(word).filter(kept).ok_or_else(|| {
        Problem::new(format!("stored sessions have no statistic '{word}' of '{metric}'"))
            .help(suggestion(word, &allowed))
    })
}

/// A problem in a sentence, with its remedy.
fn one_line(problem: Problem) -> String {
    problem.to_string().replace("\n  help: ", "; ")
}

fn none_stored(config: &Config, history: &History) -> Problem {
    let store = &config.baselines.folder;
    let help =
        "run `perfgate check`, then `perfgate baseline update` stores its session; commit it";
    let (what, help) = match (&history.no_commits, history.shallow) {
        (Some(why), _) => {
            let why = one_line(why.clone());
            (
                format!("no session is stored there; commits could not be looked at: {why}"),
                help.to_string(),
            )
        }
        (None, true) => {
            let what = "no session is stored there, nor in the commits of this shallow clone";
            (what.to_string(), crate::git::FETCH.to_string())
        }
        (None, false) => {
            ("no session is stored there, nor in any commit before".to_string(), help.to_string())
        }
    };
    Problem::in_file(&relative(store), what).help(help)
}

/// Leaves the sessions of this machine's class; returns how many there were of others.
fn keep_class(history: &mut History) -> Result<usize> {
    let machine = baseline::environment(Path::new("/")).machine;
    let all = history.sessions.len();
    history.sessions.retain(|accepted| baseline::same_class(&machine, &accepted.stored.machine));
    if history.sessions.is_empty() {
        let here = machine.key();
        let what = format!("none of {all} stored sessions is of this machine's class ({here})");
        return Err(Problem::new(what).help(
            "--all-classes shows them; `perfgate check` and `perfgate baseline update` store one of \
             this class",
        ));
    }
    Ok(all - history.sessions.len())
}

/// The variants to show: the one that is asked for, or those of the configuration that sessions have, but for the
/// one that they are relative to.
fn variants(
    arguments: &HistoryArguments,
    config: &Config,
    sessions: &[Accepted],
) -> Result<Vec<String>> {
    let mut known = config.names();
    known.retain(|name| sessions.iter().any(|a| a.stored.variants.contains_key(name)));
    for name in sessions.iter().flat_map(|accepted| accepted.stored.variants.keys()) {
        if !known.contains(name) {
            known.push(name.clone());
        }
    }
    for name in arguments.variant.iter().chain(&arguments.relative_to) {
        if !known.contains(name) {
            return Err(Problem::new(format!("no stored session has a variant '{name}'"))
                .help(suggestion(name, &known)));
        }
    }
    if let Some(variant) = &arguments.variant {
        return Ok(vec![variant.clone()]);
    }
    let configured = config.names();
    if known.iter().any(|name| configured.contains(name)) {
        known.retain(|name| configured.contains(name));
    }
    known.retain(|name| arguments.relative_to.as_ref() != Some(name));
    Ok(known)
}

fn no_value(asked: &Asked<'_>, variants: &[String], sessions: usize) -> Problem {
    let what = format!(
        "none of {sessions} stored sessions has a value of '{}' for {}",
        asked.metric,
        if variants.is_empty() { "another variant".to_string() } else { variants.join(", ") }
    );
    Problem::new(what).help(
        "graded tasks need [quality], energy needs counters; `perfgate report` shows what a session has",
    )
}
