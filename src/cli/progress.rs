//! Owns what is shown while a session runs: a bar on a terminal, a line per round elsewhere. All of
//! it goes to stderr.

use super::Loudness;
use super::plan::steps;
use super::render::tell;
use crate::record::{Answer, Entry, Fidelity, Load, LoadKind, Plan};
use crate::report::harmless;
use crate::session::Observer;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// The display of a session's progress.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
    verbose: bool,
    rounds: u32,
    /// Whether the session may end before its last round.
    early: bool,
    began: Instant,
    /// Rounds that were there before.
    before: u32,
    round_began: Instant,
    /// Driving rules that were decided at the latest look, and all of them.
    settled: Option<(usize, usize)>,
    failures: u64,
    /// The variant whose graded tasks are being answered.
    answering: Option<String>,
}

impl Progress {
    /// For a plan of which so many rounds are done.
    pub(super) fn new(plan: &Plan, done: usize, loudness: &Loudness) -> Progress {
        let quiet = loudness.quiet;
        let terminal = std::io::stderr().is_terminal();
        let per_round =
            plan.variants.len() as u64 * (u64::from(plan.warmup) + plan.tasks.len() as u64);
        let graded =
            plan.quality.as_ref().map_or(0, |quality| quality.tasks.len() * quality.variants.len());
        let forced = plan.fidelity.as_ref().map_or(0, |fidelity| {
            let documents = fidelity.documents.len();
            (documents + documents.min(fidelity.stepwise as usize)) * fidelity.variants.len()
        });
        let all = per_round * u64::from(plan.rounds) + (graded + forced) as u64;
        let bar = (terminal && !quiet).then(|| {
            let style = ProgressStyle::with_template(
                "{bar:30} {pos}/{len} requests, about {eta} left  {wide_msg}",
            );
            let bar = ProgressBar::new(all);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_position(per_round * done as u64);
            bar.reset_eta();
            bar.enable_steady_tick(std::time::Duration::from_millis(500));
            bar
        });
        if !quiet {
            tell(&steps(plan));
        }
        Progress {
            bar,
            lines: !terminal && !quiet,
            verbose: loudness.verbose,
            rounds: plan.rounds,
            early: plan.stopping.is_some(),
            began: Instant::now(),
            before: done as u32,
            round_began: Instant::now(),
            settled: None,
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
        let hard = answer.failure.as_ref().is_some_and(|f| !f.class.is_answer());
        self.failures += u64::from(hard);
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        self.say(format!("quality: {}, {}{}", answer.variant, answer.task, self.failed()));
        if self.lines && self.answering.as_ref() != Some(&answer.variant) {
            tell(&format!("quality: {}", answer.variant));
            self.answering = Some(answer.variant.clone());
        }
    }

    fn forced(&mut self, found: &Fidelity) {
        let failed = found.failure.is_some() || found.reference_failure.is_some();
        self.failures += u64::from(failed);
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        let (variant, document, failed) = (&found.variant, &found.document, self.failed());
        self.say(format!("fidelity: {variant}, {document}, {}{failed}", found.forcing));
        const ALL: &str = "fidelity";
        if self.lines && self.answering.as_deref() != Some(ALL) {
            tell(ALL);
            self.answering = Some(ALL.to_string());
        }
    }

    fn loaded(&mut self, load: &Load) {
        let failed = load.requests.iter().filter(|request| request.failure.is_some()).count();
        self.failures += failed as u64 + u64::from(load.failure.is_some());
        let (variant, failed) = (&load.variant, self.failed());
        let what = match (load.kind, load.rate) {
            (LoadKind::Sustained, _) => format!("sustained, block {}", load.number),
            (_, Some(rate)) => format!("{rate:.2} requests/s arriving"),
            (_, None) => format!("{} at once", load.streams),
        };
        let text = format!("load: {variant}, {what}{failed}");
        // Blocks are many.
        if self.lines && (load.kind != LoadKind::Sustained || load.number.is_multiple_of(10)) {
            tell(&text);
        }
        self.say(text);
    }

    fn say(&self, message: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(harmless(&message));
        }
    }

    /// A line that stays, above the bar if there is one.
    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(harmless(text)),
            None => tell(text),
        }
    }

    fn settled(&self) -> String {
        match self.settled {
            Some((decided, all)) => format!(", {decided} of {all} rules settled"),
            None => String::new(),
        }
    }

    /// How long the remaining rounds take at the pace of those before.
    fn left(&self, round: u32) -> String {
        let (done, more) = (round.saturating_sub(self.before), self.rounds.saturating_sub(round));
        if done == 0 || more == 0 {
            return String::new();
        }
        let seconds = self.began.elapsed().as_secs_f64() / f64::from(done) * f64::from(more);
        let about = if self.early { "at most about" } else { "about" };
        format!(", {about} {seconds:.0} s of rounds left")
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
                self.say(format!("starting {variant}"));
            }
            Entry::Load(load) => self.loaded(load),
            Entry::Rows { variant, rows } => {
                if let Some(reason) = rows.reason() {
                    self.say(format!("{variant} is asked one by one: {reason}"));
                }
            }
            Entry::Repeat(repeat) => {
                self.say(format!("asked again: {}, {}", repeat.variant, repeat.task));
            }
            Entry::Answer(answer) => self.answer(answer),
            Entry::Fidelity(found) => self.forced(found),
            Entry::Spawn { round, variant, .. } => {
                self.say(format!("round {round} of {}: starting {variant}", self.rounds));
            }
            Entry::Request(request) => {
                self.failures += u64::from(request.failure.is_some());
                if let Some(bar) = &self.bar {
                    bar.inc(1);
                    let (round, rounds) = (request.round, self.rounds);
                    let (variant, task) = (&request.variant, &request.task);
                    let more = self.settled() + &self.failed();
                    self.say(format!("round {round} of {rounds}: {variant}, {task}{more}"));
                }
            }
            Entry::Worker(worker) if self.verbose => {
                let (round, variant) = (worker.round, &worker.variant);
                let what = match (&worker.failure, worker.first_token_ns) {
                    (Some(failure), _) => format!("failed, {failure}"),
                    (None, Some(ns)) => format!("first token after {:.2} s", ns as f64 * 1e-9),
                    (None, None) => "done".to_string(),
                };
                self.line(&format!("round {round}: {variant}, process {}: {what}", worker.pid));
            }
            Entry::RoundEnd { round, complete: false } if self.lines => {
                tell(&format!("round {round} of {} cut short{}", self.rounds, self.failed()));
            }
            _ => {}
        }
    }

    fn idle(&mut self, time: Duration) {
        let text = format!("measuring idle power for {}", humantime::format_duration(time));
        self.say(text.clone());
        if self.lines {
            tell(&text);
        }
    }

    fn round_done(&mut self, round: u32, settled: Option<(usize, usize)>) {
        self.settled = settled.or(self.settled);
        if self.lines {
            let seconds = self.round_began.elapsed().as_secs_f64();
            let (rounds, failed, settled) = (self.rounds, self.failed(), self.settled());
            let left = self.left(round);
            tell(&format!(
                "round {round} of {rounds} done in {seconds:.0} s{failed}{settled}{left}"
            ));
        }
    }
}
