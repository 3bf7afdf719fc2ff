//! Owns `perfgate check --dry-run`: what a session would do, how long it would take, and which rules it
//! could settle.

use super::render::print;
use crate::hash;
use crate::problem::Result;
use crate::record::{Plan, Severity};
use crate::report::wrap;
use crate::session::{Forecast, Prepared, forecast, read_results};
use crate::verdict::{Foreseen, Settles};
use std::fmt::Write;
use std::time::Duration;

/// Prints the plan. Nothing is measured and nothing written.
pub(super) fn print_plan(prepared: &Prepared) -> Result<u8> {
    let latest = prepared.setup.config.output.join("benchmark_results.json");
    let latest = if latest.exists() { Some(read_results(&latest)?) } else { None };
    let forecast = forecast(prepared, latest.as_ref());
    print(&text(prepared, &forecast))?;
    Ok(super::exit::HOLDS)
}

fn text(prepared: &Prepared, forecast: &Forecast) -> String {
    let plan = &prepared.header.plan;
    let mut out = format!("{}\n", steps(plan));
    let _ = writeln!(out, "{}\n", time(plan, forecast));
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
    for (settles, title) in [
        (Settles::Yes, "This plan can settle, at the effects and the noise of before"),
        (Settles::No, "It cannot settle"),
        (Settles::Unknown, "Not known before a first session"),
    ] {
        let rules: Vec<&Foreseen> =
            forecast.rules.iter().filter(|rule| rule.settles == settles).collect();
        if rules.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{title}");
        for Foreseen { rule, why, .. } in rules {
            let aside = if rule.severity == Severity::Inform { " (informs)" } else { "" };
            let line = format!("{}{aside}: {why}", rule.id);
            out.push_str(&wrap(&line, "  ", "    "));
        }
    }
    out
}

/// What is done, in one line; also what stands at the head of a session's progress.
pub(super) fn steps(plan: &Plan) -> String {
    let mut text = format!(
        "{} rounds of {} requests for each of {}",
        plan.rounds,
        plan.tasks.len(),
        plan.variants.join(", ")
    );
    if let Some(quality) = plan.quality.as_ref().filter(|quality| !quality.variants.is_empty()) {
        let (tasks, variants) = (quality.tasks.len(), quality.variants.join(", "));
        let _ = write!(text, ", then {tasks} graded tasks for each of {variants}");
    }
    text
}

fn time(plan: &Plan, forecast: &Forecast) -> String {
    let Some(past) = &forecast.past else {
        return "time: not known before a first session of this workload on this machine"
            .to_string();
    };
    let rounds = forecast.rounds.map_or("an unknown time".to_string(), about);
    let quality = match (&plan.quality, forecast.quality) {
        (Some(_), Some(time)) => {
            format!(", and {} for graded tasks that are not cached", about(time))
        }
        _ => String::new(),
    };
    format!("time: about {rounds} for the rounds{quality} (as in session {past})")
}

fn about(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 90.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}
