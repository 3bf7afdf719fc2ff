//! Owns `perfgate check --dry-run`: what a session would do, how long it would take, and which rules it
//! could settle.

use super::render::print;
use crate::hash;
use crate::problem::Result;
use crate::record::{LoadPlan, Only, Plan, Severity, VerdictKind};
use crate::report::wrap;
use crate::session::{self, Forecast, Prepared};
use crate::verdict::{Foreseen, Settles};
use std::fmt::Write;
use std::time::Duration;

/// Prints the plan. Nothing is measured and nothing written.
pub(super) fn print_plan(prepared: &Prepared, forecast: &Forecast) -> Result<u8> {
    print(&text(prepared, forecast))?;
    Ok(super::exit::HOLDS)
}

fn text(prepared: &Prepared, forecast: &Forecast) -> String {
    let plan = &prepared.header.plan;
    let mut out = String::new();
    if forecast.nothing_to_measure() {
        out.push_str("nothing to measure: every rule is known without\n");
    } else {
        let _ = writeln!(out, "{}", steps(plan));
        let _ = writeln!(out, "{}", time(plan, forecast));
        out.push_str(&stopping(plan));
    }
    out.push('\n');
    for name in &plan.variants {
        let variant = &prepared.header.variants[name];
        let mark = if *name == plan.reference { " (reference)" } else { "" };
        let sum = hash::short(&variant.model_sha256, 12);
        let _ = writeln!(
            out,
            "  {name}{mark}: {}, {} threads, {} ({sum})",
            variant.engine, variant.threads, variant.model
        );
    }
    for warning in session::warnings(&prepared.header) {
        let _ = writeln!(out, "  warning: {warning}");
    }
    for (settles, title) in [
        (Settles::Yes, "This plan can settle, at the effects and the noise of before"),
        (Settles::No, "It cannot settle"),
        (Settles::Unknown, "Not known before a first session"),
        (Settles::Known, "Known without measuring"),
    ] {
        let rules: Vec<&Foreseen> =
            forecast.rules.iter().filter(|rule| rule.settles == settles).collect();
        if rules.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{title}");
        // What is said of several rules is said once.
        let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
        for Foreseen { rule, why, .. } in rules {
            let aside = if rule.severity == Severity::Inform { " (informs)" } else { "" };
            let id = format!("{}{aside}", rule.id);
            match by_reason.iter_mut().find(|(known, _)| known == why) {
                Some((_, ids)) => ids.push(id),
                None => by_reason.push((why, vec![id])),
            }
        }
        for (why, ids) in by_reason {
            out.push_str(&wrap(&format!("{}: {why}", ids.join(", ")), "  ", "    "));
        }
    }
    out
}

/// The plan as it is fixed before the first round: when it may end, and what the budget cannot settle.
pub(super) fn looks(prepared: &Prepared, forecast: &Forecast) -> String {
    let mut out = stopping(&prepared.header.plan);
    let hopeless: Vec<&str> = forecast
        .rules
        .iter()
        .filter(|foreseen| foreseen.settles == Settles::No)
        .filter(|foreseen| foreseen.rule.severity == Severity::Gate)
        .map(|foreseen| foreseen.rule.id.as_str())
        .collect();
    if !hopeless.is_empty() {
        let line = format!(
            "not to be settled by this plan: {} (`perfgate check --dry-run` says what they need)",
            hopeless.join(", ")
        );
        out.push_str(&wrap(&line, "", "  "));
    }
    out.push_str(&invalid(&prepared.header.plan, forecast));
    out
}

/// What will be invalid whatever is measured: a user should not wait for it.
fn invalid(plan: &Plan, forecast: &Forecast) -> String {
    let gates = |name: &str| {
        forecast.rules.iter().map(|foreseen| &foreseen.rule).any(|rule| {
            let named = rule.variant == name || rule.against.variant() == Some(name);
            named && rule.severity == Severity::Gate
        })
    };
    let sure = plan.absent.iter().filter(|(_, absent)| absent.verdict == VerdictKind::Invalid);
    sure.filter(|(name, _)| gates(name))
        .map(|(name, absent)| {
            let line = format!("warning: every rule on '{name}' will be invalid: {}", absent.why);
            wrap(&line, "", "  ")
        })
        .collect()
}

/// When the session may end before its last round.
fn stopping(plan: &Plan) -> String {
    let Some(stopping) = &plan.stopping else { return String::new() };
    let looks: Vec<String> = stopping.looks.iter().map(u32::to_string).collect();
    let line = format!(
        "looks after rounds {} ({}); it ends once these are decided: {}",
        looks.join(", "),
        stopping.spending.title(),
        stopping.drives.join(", ")
    );
    wrap(&line, "", "  ")
}

/// What is done, in one line; also what stands at the head of a session's progress.
pub(super) fn steps(plan: &Plan) -> String {
    let mut steps = Vec::new();
    if let Some(ms) = plan.idle_ms {
        let time = humantime::format_duration(Duration::from_millis(ms));
        steps.push(format!("idle power for {time}"));
    }
    if !matches!(plan.only, Some(Only::Quality | Only::Load)) {
        steps.push(format!(
            "{}{} rounds of {} requests for each of {}",
            if plan.stopping.is_some() { "at most " } else { "" },
            plan.rounds,
            plan.tasks.len(),
            plan.variants.join(", ")
        ));
    }
    steps.extend(plan.load.as_ref().into_iter().flat_map(load));
    if let Some(quality) = plan.quality.as_ref().filter(|quality| !quality.variants.is_empty()) {
        let (tasks, variants) = (quality.tasks.len(), quality.variants.join(", "));
        steps.push(format!("{tasks} graded tasks for each of {variants}"));
    }
    if let Some(fidelity) = &plan.fidelity {
        let (documents, variants) = (fidelity.documents.len(), fidelity.variants.join(", "));
        steps.push(format!("{documents} documents forced through each of {variants}"));
    }
    steps.join(", then ")
}

/// What is done under load.
fn load(plan: &LoadPlan) -> Vec<String> {
    let sustained = plan.sustained.iter().map(|plan| {
        let time = about(Duration::from_secs_f64(plan.seconds()));
        format!("{time} of load, in blocks by turns, on each of {}", plan.variants.join(", "))
    });
    let concurrency = plan.concurrency.iter().map(|plan| {
        let streams: Vec<String> = plan.streams.iter().map(u32::to_string).collect();
        let rates: Vec<String> = plan.rates.iter().map(f64::to_string).collect();
        let closed = (!streams.is_empty()).then(|| format!("{} streams", streams.join(", ")));
        let open = (!rates.is_empty()).then(|| format!("{} arrivals per second", rates.join(", ")));
        let search = plan.search_seconds.map(|_| "a search for the highest rate".to_string());
        let levels: Vec<String> = [closed, open, search].into_iter().flatten().collect();
        format!("load by {} on each of {}", levels.join(", by "), plan.variants.join(", "))
    });
    sustained.chain(concurrency).collect()
}

/// How long the load takes, without the starts of its workers.
fn time_of_load(plan: &LoadPlan) -> String {
    let sustained = plan.sustained.iter().map(|plan| plan.seconds() * plan.variants.len() as f64);
    let concurrency =
        plan.concurrency.iter().map(|plan| plan.seconds_of_variant() * plan.variants.len() as f64);
    let seconds: f64 = sustained.chain(concurrency).sum();
    let searches = plan.concurrency.as_ref().is_some_and(|plan| plan.search_seconds.is_some());
    let most = if searches { "at most " } else { "" };
    let time = about(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    format!("{most}{time} of load, and the starts of its workers")
}

fn time(plan: &Plan, forecast: &Forecast) -> String {
    let load = plan.load.as_ref().map(time_of_load);
    if plan.only == Some(Only::Load) {
        return format!("time: {}", load.unwrap_or_default());
    }
    let Some(past) = &forecast.past else {
        let load = load.map(|load| format!(" but for {load}")).unwrap_or_default();
        return format!(
            "time: not known before a first session of this workload on this machine{load}"
        );
    };
    let load = load.map(|load| format!(", {load}")).unwrap_or_default();
    let rounds = forecast.rounds.map_or("an unknown time".to_string(), about);
    let quality = match (&plan.quality, forecast.quality) {
        (Some(_), Some(time)) => {
            format!(", and {} for graded tasks that are not cached", about(time))
        }
        _ => String::new(),
    };
    format!("time: about {rounds} for the rounds{load}{quality} (as in session {past})")
}

fn about(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 90.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}
