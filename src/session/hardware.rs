//! Owns what a session records of the machine and the models for its explanation: measured, counted and asked once,
//! after the rounds, where some variant's model tells of its work.

use super::{Prepared, memory};
use crate::config::{Deadlines, Variant};
use crate::engine;
use crate::hardware;
use crate::record::{Entry, Execution, Failure, Hardware, Part, Told, Work};
use crate::runner::{Cut, Sink, Starter};
use crate::worker::Interrupt;
use std::collections::BTreeMap;
use std::path::Path;

/// What it takes to ask models how they are executed.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// perfgate's own binary, which is also the worker.
    pub program: &'a Path,
    /// How long a worker may take.
    pub deadlines: Deadlines,
    /// Set once the user wants to stop.
    pub interrupt: &'a Interrupt,
}

/// Measures and records it, unless it is there already or nothing is to explain.
pub(super) fn record(
    prepared: &Prepared,
    part: &mut Part,
    asking: Asking<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), Cut> {
    let variants = &prepared.setup.config.variants;
    let work = work(variants);
    if work.is_empty() || part.rounds.is_empty() {
        return Ok(());
    }
    let hardware = measure(part);
    let execution = execution(variants, asking)?;
    let entry = Entry::Hardware {
        hardware: Box::new(hardware.clone()),
        work: work.clone(),
        execution: execution.clone(),
    };
    sink(&entry).map_err(Cut::NotSaved)?;
    (part.hardware, part.work, part.execution) = (Some(hardware), work, execution);
    Ok(())
}

/// Measures this machine with as many threads as the variant with the most has. Takes some seconds.
pub fn measure(part: &Part) -> Hardware {
    let header = &part.header;
    let threads = header.variants.values().map(|variant| variant.threads).max().unwrap_or(1);
    let root = Path::new("/");
    hardware::measure(root, threads, memory::left(root))
}

/// What each token needs, by variant; without those whose engine or files do not tell.
pub fn work(variants: &[Variant]) -> BTreeMap<String, Work> {
    let of = |variant: &Variant| {
        Some((variant.name.clone(), engine::work(&variant.load).ok().flatten()?))
    };
    variants.iter().filter_map(of).collect()
}

/// How each variant's model is executed, or why that is not known; without those whose engine never tells. Each is
/// loaded once more for it, by a process of its own, so that a model that tells is never one that is timed.
///
/// # Errors
/// If the user interrupts.
pub fn execution(
    variants: &[Variant],
    asking: Asking<'_>,
) -> Result<BTreeMap<String, Told<Execution>>, Cut> {
    let mut told = BTreeMap::new();
    for variant in variants {
        let Some(switch) = engine::switches(&variant.load).tell_execution else { continue };
        let mut telling = variant.clone();
        switch(&mut telling.load);
        let execution = match ask(&telling, asking) {
            Ok(Ok(execution)) => Told::Available(execution),
            Ok(Err(failure)) | Err(Cut::Setup { failure, .. }) => {
                Told::Unavailable(failure.message)
            }
            Err(cut) => return Err(cut),
        };
        told.insert(variant.name.clone(), execution);
    }
    Ok(told)
}

fn ask(variant: &Variant, asking: Asking<'_>) -> Result<Result<Execution, Failure>, Cut> {
    let Asking { program, deadlines, interrupt } = asking;
    let starter = Starter { program, deadline: deadlines.load, interrupt, before_spawn: None };
    // Its spawn and its figures are none of the session's samples.
    let (worker, run) = starter.start(variant, 0, 1, &mut |_| Ok(()))?;
    let Some(mut worker) = worker else {
        return Ok(Err(run.failure.expect("a start without a worker says why")));
    };
    let told = worker.execution(deadlines.request, interrupt);
    worker.stop();
    told.map(Ok).or_else(|stop| Cut::unless_failed(stop, &variant.name).map(Err))
}
