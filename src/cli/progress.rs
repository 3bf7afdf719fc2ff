//! Owns what is shown while a session runs: a bar on a terminal, a line per round elsewhere. All of
//! it goes to stderr.

use crate::record::{Answer, Entry, FailureClass, Plan};
use crate::session::Observer;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Instant;

/// The display of a session's progress.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
    rounds: u32,
    round_began: Instant,
    failures: u64,
    /// The variant whose graded tasks are being answered.
    answering: Option<String>,
}

impl Progress {
    pub(super) fn new(plan: &Plan, quiet: bool) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let per_round =
            plan.variants.len() as u64 * (u64::from(plan.warmup) + plan.tasks.len() as u64);
        let graded =
            plan.quality.as_ref().map_or(0, |quality| quality.tasks.len() * quality.variants.len());
        let all = per_round * u64::from(plan.rounds) + graded as u64;
        let bar = (terminal && !quiet).then(|| {
            let style = ProgressStyle::with_template(
                "{bar:30} {pos}/{len} requests, about {eta} left  {wide_msg}",
            );
            let bar = ProgressBar::new(all);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(std::time::Duration::from_millis(500));
            bar
        });
        if !quiet {
            eprintln!(
                "{} rounds of {} requests for each of {}",
                plan.rounds,
                plan.tasks.len(),
                plan.variants.join(", ")
            );
            if let Some(quality) = &plan.quality {
                let (tasks, variants) = (quality.tasks.len(), quality.variants.join(", "));
                eprintln!("then {tasks} graded tasks for each of {variants}");
            }
        }
        Progress {
            bar,
            lines: !terminal && !quiet,
            rounds: plan.rounds,
            round_began: Instant::now(),
            failures: 0,
            answering: None,
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn answer(&mut self, answer: &Answer) {
        let hard = answer.failure.as_ref().is_some_and(|f| f.class != FailureClass::Malformed);
        self.failures += u64::from(hard);
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        self.say(format!("quality: {}, {}{}", answer.variant, answer.task, self.failed()));
        if self.lines && self.answering.as_ref() != Some(&answer.variant) {
            eprintln!("quality: {}", answer.variant);
            self.answering = Some(answer.variant.clone());
        }
    }

    fn say(&self, message: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(message);
        }
    }

    fn failed(&self) -> String {
        match self.failures {
            0 => String::new(),
            count => format!(", {count} failed"),
        }
    }
}

impl Observer for Progress {
    fn entry(&mut self, entry: &Entry) {
        match entry {
            Entry::RoundStart { round } => {
                self.round_began = Instant::now();
                self.say(format!("round {round} of {}", self.rounds));
            }
            Entry::Spawn { round: 0, variant, .. } => {
                self.say(format!("quality: starting {variant}"));
            }
            Entry::Answer(answer) => self.answer(answer),
            Entry::Spawn { round, variant, .. } => {
                self.say(format!("round {round} of {}: starting {variant}", self.rounds));
            }
            Entry::Request(request) => {
                self.failures += u64::from(request.failure.is_some());
                if let Some(bar) = &self.bar {
                    bar.inc(1);
                    let (round, rounds) = (request.round, self.rounds);
                    let (variant, task) = (&request.variant, &request.task);
                    let failed = self.failed();
                    self.say(format!("round {round} of {rounds}: {variant}, {task}{failed}"));
                }
            }
            Entry::RoundEnd { round, complete } if self.lines => {
                let seconds = self.round_began.elapsed().as_secs_f64();
                let how = if *complete { "done" } else { "cut short" };
                let (rounds, failed) = (self.rounds, self.failed());
                eprintln!("round {round} of {rounds} {how} in {seconds:.0} s{failed}");
            }
            _ => {}
        }
    }
}
