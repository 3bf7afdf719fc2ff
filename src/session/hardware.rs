//! Owns what a session records of the machine and the models for its explanation: measured and counted once,
//! after the rounds, where some variant's model tells of its work.

use super::{Prepared, memory};
use crate::config::Variant;
use crate::engine;
use crate::hardware;
use crate::record::{Entry, Hardware, Part, Work};
use crate::runner::{Cut, Sink};
use std::collections::BTreeMap;
use std::path::Path;

/// Measures and records it, unless it is there already or nothing is to explain.
pub(super) fn record(prepared: &Prepared, part: &mut Part, sink: &mut Sink<'_>) -> Result<(), Cut> {
    let work = work(&prepared.setup.config.variants);
    if work.is_empty() || part.rounds.is_empty() {
        return Ok(());
    }
    let hardware = measure(part);
    let entry = Entry::Hardware { hardware: Box::new(hardware.clone()), work: work.clone() };
    sink(&entry).map_err(Cut::NotSaved)?;
    (part.hardware, part.work) = (Some(hardware), work);
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
