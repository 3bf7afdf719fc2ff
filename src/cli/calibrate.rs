//! Owns `perfgate calibrate`: a variant against itself, in sessions apart in time, and what its noise means for
//! the rules.

use super::check::{rules, setup};
use super::measure::{self, Wanted};
use super::render;
use super::{CalibrateArguments, Measuring, exit, relative};
use crate::baseline::{self, Stored};
use crate::config::{Config, Setup, Thresholds};
use crate::insight::{self, Question};
use crate::problem::{Problem, Result};
use crate::record::{Header, Part};
use crate::report;
use crate::worker::Interrupt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many calibrations of a machine class are kept.
const KEPT: u32 = 50;

/// Measures, and reads what was measured now and before.
pub(super) fn calibrate(arguments: &CalibrateArguments) -> Result<u8> {
    let mut setup = setup(&arguments.setting)?;
    let thresholds = rules(&setup)?.clone();
    let (rounds, stop) = (setup.config.rounds, setup.config.stop);
    let pair = double(&mut setup.config, arguments.variant.as_deref())?;
    let folder = match &arguments.folder {
        Some(folder) => folder.clone(),
        None => setup.config.output.join("calibration"),
    };
    setup.config.rounds = arguments.rounds.unwrap_or(rounds.saturating_mul(4));
    let header = sessions(arguments, &setup, &folder)?;
    let pair = [pair[0].as_str(), pair[1].as_str()];
    let parts = readable(&baseline::load(&folder)?, pair, header.as_ref());
    if parts.is_empty() {
        return Err(Problem::in_file(&folder, format!("holds no calibration of '{}'", pair[0]))
            .help("measure one: `perfgate calibrate` without --sessions 0"));
    }
    let rules = insight::retargeted(&thresholds.rules, pair);
    let question = Question {
        pair,
        rules: &rules,
        false_alarms: thresholds.false_alarms,
        rounds: arguments.compare.unwrap_or(rounds) as usize,
        stop,
    };
    if rules.is_empty() {
        return Err(nothing_to_say(&thresholds));
    }
    let sheet = report::of_calibration(&insight::calibrate(&parts, &question));
    render::print_sheet(&sheet, arguments.display.format, arguments.display.loudness.verbose)?;
    if !arguments.display.loudness.quiet {
        eprintln!("\ncalibrations  {}", relative(&folder).display());
    }
    Ok(exit::HOLDS)
}

fn nothing_to_say(thresholds: &Thresholds) -> Problem {
    Problem::in_file(&thresholds.file, "has no rule that holds one variant against another")
        .help("a calibration is about such rules; the shortest is: throughput = \"5%\"")
}

/// Leaves a variant and a copy of it in a configuration, and no graded tasks. Returns both names.
fn double(config: &mut Config, wanted: Option<&str>) -> Result<[String; 2]> {
    let name = wanted.unwrap_or(&config.reference).to_string();
    config.keep(std::slice::from_ref(&name))?;
    let mut copy = config.variants[0].clone();
    copy.name = format!("{name}-copy");
    let names = [name, copy.name.clone()];
    config.variants.push(copy);
    config.reference = names[0].clone();
    config.quality = None;
    config.fidelity = None;
    (config.sustained, config.concurrency) = (None, None);
    Ok(names)
}

/// Measures and keeps the sessions that are asked for. Returns the last one's header.
fn sessions(
    arguments: &CalibrateArguments,
    setup: &Setup,
    folder: &Path,
) -> Result<Option<Header>> {
    let measuring = Measuring::default();
    let interrupt = measure::catch_interrupts()?;
    let mut last = None;
    for number in 1..=arguments.sessions {
        if number > 1 {
            if !arguments.display.loudness.quiet {
                eprintln!("waiting {}", humantime::format_duration(arguments.pause));
            }
            wait(arguments.pause, &interrupt, number - 1)?;
        }
        let mut setup = setup.clone();
        // The rules are for the reading; a calibration ends when all its rounds are run.
        setup.thresholds = None;
        let mut prepared = measure::prepare(setup, &measuring)?;
        let wanted = Wanted { measuring: &measuring, loudness: &arguments.display.loudness };
        let done = measure::measure(&mut prepared, &wanted)?;
        keep(folder, &done.part)?;
        last = Some(done.part.header);
    }
    Ok(last)
}

/// Waits between sessions, unless the user has had enough.
fn wait(pause: Duration, interrupt: &Interrupt, done: u32) -> Result<()> {
    let end = Instant::now() + pause;
    while Instant::now() < end {
        if interrupt.is_set() {
            return Err(Problem::new(format!("interrupted between sessions; {done} are kept"))
                .help("`perfgate calibrate --sessions 0` reads what is there"));
        }
        std::thread::sleep(Duration::from_millis(100).min(pause));
    }
    Ok(())
}

/// Keeps a session in the compact form of the baselines.
fn keep(folder: &Path, part: &Part) -> Result<()> {
    super::baseline::keep(folder, &Stored::from_part(part), KEPT).map(drop)
}

/// The calibrations of a pair that can be read together: of the machine class, workload and models of the one
/// just measured, or of the newest.
fn readable(stored: &[Stored], [variant, copy]: [&str; 2], header: Option<&Header>) -> Vec<Part> {
    let having = |stored: &&Stored| {
        stored.variants.contains_key(variant) && stored.variants.contains_key(copy)
    };
    let all: Vec<&Stored> = stored.iter().filter(having).collect();
    let Some(newest) = all.last() else { return Vec::new() };
    let session = header.map_or(&newest.session, |header| &header.session);
    let like = all.iter().find(|stored| stored.session == *session).unwrap_or(newest);
    let same = |stored: &&&Stored| {
        stored.machine.key() == like.machine.key()
            && stored.workload == like.workload
            && stored.variants == like.variants
    };
    all.iter().filter(same).map(|stored| stored.to_part()).collect()
}
