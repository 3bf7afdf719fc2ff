//! Owns the joining of sessions that each asked a part of the graded tasks: whether they belong together, and what
//! one session would have come to that asked them all.

use crate::baseline::{self, Stores};
use crate::hash;
use crate::problem::{Problem, Result};
use crate::record::{FidelityPlan, Only, Part, QualityPlan, RESULTS_FORMAT, Results, Shards, Way};
use crate::verdict::{self, Measured};
use crate::workload::sha256_of_tasks;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One session that is joined with others, and the file that it comes from.
#[derive(Debug, Clone)]
pub struct Shard {
    file: PathBuf,
    part: Part,
}

impl Shard {
    /// The session of a file of results.
    ///
    /// # Errors
    /// If the file holds several sessions.
    pub fn new(file: &Path, mut results: Results) -> Result<Shard> {
        match (results.parts.pop(), results.parts.is_empty()) {
            (Some(part), true) => Ok(Shard { file: file.to_path_buf(), part }),
            _ => Err(Problem::in_file(file, "does not hold one session alone")
                .help("measure each part into a file of its own: --output FILE")),
        }
    }

    fn documents(&self) -> Option<&FidelityPlan> {
        self.part.header.plan.fidelity.as_ref()
    }

    fn quality(&self) -> Option<&QualityPlan> {
        self.part.header.plan.quality.as_ref()
    }

    fn has_rounds(&self) -> bool {
        !self.part.rounds.is_empty()
    }
}

/// What one session would have come to that measured all of it; nothing is judged.
///
/// # Errors
/// If there is nothing to join, or the sessions do not belong together: with the files and what differs.
pub fn merge(shards: Vec<Shard>) -> Result<Results> {
    let Some(first) = shards.first() else { return Err(Problem::new("there is nothing to join")) };
    for shard in &shards[1..] {
        let mut differences = baseline::unlike_set_ups(&shard.part, &first.part);
        let asked = shards.iter().find(|shard| shard.quality().is_some());
        if let (Some(now), Some(then)) = (shard.quality(), asked.and_then(Shard::quality)) {
            differences.extend(unlike_tasks(now, then));
        }
        let forced = shards.iter().find_map(|shard| shard.documents());
        if let (Some(now), Some(then)) = (shard.documents(), forced)
            && now != then
        {
            differences.push("other documents".to_string());
        }
        if !differences.is_empty() {
            return Err(refusal(shard, first, &differences.join("; ")));
        }
    }
    nothing_stands_twice(&shards)?;
    let part = joined(shards);
    let (reference, variants) =
        (part.header.plan.reference.clone(), part.header.plan.variants.clone());
    let (parts, stored) = (vec![part], Stores::default());
    let measured = Measured { parts: &parts, earlier: &[], stored: &stored };
    let summaries = verdict::summarize(&measured, &variants, &reference, 0.05);
    Ok(Results { format: RESULTS_FORMAT, reference, variants, parts, summaries, judgement: None })
}

/// The parts of the tasks that joined results do not hold, in words.
pub fn missing(results: &Results) -> Option<String> {
    let plan = results.parts.first()?.header.plan.quality.as_ref()?;
    let shards = plan.shards.as_ref()?;
    let absent = |part: &u32| !shards.parts.contains(part);
    let parts = (1..=shards.of).filter(absent).collect();
    let absent = Shards { parts, ..shards.clone() };
    Some(format!("joined without {absent} of the graded tasks"))
}

fn refusal(shard: &Shard, first: &Shard, what: &str) -> Problem {
    let (now, then) = (shard.file.display(), first.file.display());
    Problem::in_file(&shard.file, format!("cannot be joined with {then}: {what}")).help(format!(
        "parts are of one configuration, one version of perfgate and one class of machine (then: \
         {then}, now: {now}); measure again what differs"
    ))
}

/// What differs between the graded tasks of two sessions, apart from which of them were taken.
fn unlike_tasks(now: &QualityPlan, then: &QualityPlan) -> Vec<String> {
    let mut found = Vec::new();
    let mut differ = |what: &str, now: String, then: String| {
        if now != then {
            found.push(format!("{what} {then} then, {now} now"));
        }
    };
    let whole = |plan: &QualityPlan| match &plan.shards {
        Some(shards) => (shards.of.to_string(), shards.whole.clone()),
        None => ("1".to_string(), plan.narrowed.clone()),
    };
    let sample = |plan: &QualityPlan| whole(plan).1.unwrap_or_else(|| "all".to_string());
    let sum = |plan: &QualityPlan| hash::short(&plan.source_sha256, 12).to_string();
    differ("graded tasks with sha256", sum(now), sum(then));
    differ("graded variants", now.variants.join(", "), then.variants.join(", "));
    differ("tasks at a time", now.batch.to_string(), then.batch.to_string());
    differ("sample of the graded tasks", sample(now), sample(then));
    differ("number of parts", whole(now).0, whole(then).0);
    found
}

/// Refuses tasks, and rounds, that two sessions have.
fn nothing_stands_twice(shards: &[Shard]) -> Result<()> {
    let mut seen: BTreeMap<&str, &Shard> = BTreeMap::new();
    for shard in shards {
        for task in shard.quality().iter().flat_map(|plan| &plan.tasks) {
            if let Some(other) = seen.insert(task, shard) {
                return Err(refusal(shard, other, &format!("both hold the graded task '{task}'")));
            }
        }
    }
    let mut loaded = shards.iter().filter(|shard| !shard.part.load.is_empty());
    if let (Some(one), Some(other)) = (loaded.next(), loaded.next()) {
        return Err(refusal(other, one, "both were put under load").help(
            "put variants under load once, and measure the other parts with --only quality",
        ));
    }
    let mut timed = shards.iter().filter(|shard| shard.has_rounds());
    match (timed.next(), timed.next()) {
        (Some(one), Some(other)) => Err(refusal(other, one, "both hold rounds")
            .help("measure the rounds once, and the other parts with --only quality")),
        _ => Ok(()),
    }
}

/// One session of all. What is timed comes from the one that has rounds.
fn joined(mut shards: Vec<Shard>) -> Part {
    shards.sort_by_key(|shard| !shard.has_rounds());
    let quality = join_plans(&shards);
    let sessions: Vec<String> =
        shards.iter().map(|shard| shard.part.header.session.clone()).collect();
    let started = shards.iter().map(|shard| shard.part.header.started.clone()).min();
    let mut shards = shards.into_iter();
    let mut whole = shards.next().expect("there is one").part;
    for Shard { part, .. } in shards {
        whole.ended = whole.ended.max(part.ended);
        whole.resumed.extend(part.resumed);
        whole.answers.extend(part.answers);
        whole.repeats.extend(part.repeats);
        for (name, rows) in part.rows {
            // What one machine could not show is not shown.
            if rows.reason().is_some() || !whole.rows.contains_key(&name) {
                whole.rows.insert(name, rows);
            }
        }
        if whole.load.is_empty() {
            whole.load = part.load;
            whole.header.plan.load = part.header.plan.load;
        }
        // Each may have been forced through the documents, which are the same.
        if whole.fidelity.is_empty() {
            whole.fidelity = part.fidelity;
            whole.header.plan.fidelity = part.header.plan.fidelity;
        }
    }
    let header = &mut whole.header;
    header.session = session_id(&header.session, &sessions);
    header.started = started.unwrap_or_default();
    // No single command measures it again.
    header.provenance.asked = None;
    header.plan.only = match (whole.rounds.is_empty(), &quality) {
        (true, None) if !whole.load.is_empty() => Some(Only::Load),
        (true, _) => Some(Only::Quality),
        (false, None) => Some(Only::Timing),
        (false, Some(_)) => None,
    };
    header.plan.quality = quality;
    in_order(&mut whole);
    whole
}

/// The first session's start, and four characters that stand for all.
fn session_id(first: &str, all: &[String]) -> String {
    let time = first.split('-').next().unwrap_or_default();
    format!("{time}-{}", &hash::of_bytes(all.join("/").as_bytes())[..4])
}

/// The graded tasks of all sessions, in their own order.
fn join_plans(shards: &[Shard]) -> Option<QualityPlan> {
    let plans: Vec<&QualityPlan> = shards.iter().filter_map(Shard::quality).collect();
    let mut whole = (*plans.first()?).clone();
    let mut tasks: Vec<(u32, &String, Option<&String>)> = plans
        .iter()
        .flat_map(|plan| {
            let places = plan.places.iter().copied().chain(0..);
            places
                .zip(&plan.tasks)
                .enumerate()
                .map(|(index, (place, task))| (place, task, plan.tails.get(index)))
        })
        .collect();
    tasks.sort();
    whole.tasks = tasks.iter().map(|(_, task, _)| task.to_string()).collect();
    whole.tails = tasks.iter().filter_map(|(.., tail)| tail.cloned()).collect();
    whole.places = tasks.iter().map(|(place, ..)| *place).collect();
    if whole.tasks.len() == whole.of {
        whole.places.clear();
    }
    whole.labels = plans.iter().flat_map(|plan| plan.labels.clone()).collect();
    whole.lenient = plans.iter().flat_map(|plan| plan.lenient.clone()).collect();
    whole.lenient.sort();
    whole.sha256 = sha256_of_tasks(&whole.source_sha256, &whole.tasks);
    join_shards(&mut whole, &plans);
    Some(whole)
}

/// Which parts of the tasks are there, in the plan of all; what is whole again says nothing of parts.
fn join_shards(whole: &mut QualityPlan, plans: &[&QualityPlan]) {
    let Some(shards) = whole.shards.take() else { return };
    let parts = plans.iter().filter_map(|plan| plan.shards.as_ref()).flat_map(|s| s.parts.clone());
    let mut parts: Vec<u32> = parts.collect();
    parts.sort_unstable();
    let shards = Shards { parts, ..shards };
    whole.narrowed = shards.whole.clone();
    if !shards.complete() {
        let words = shards.whole.iter().cloned().chain([shards.to_string()]);
        whole.narrowed = Some(words.collect::<Vec<_>>().join(", "));
        whole.shards = Some(shards);
    }
}

/// Puts answers and repeats by variant in the order of the plan, then by task.
fn in_order(part: &mut Part) {
    let plan = &part.header.plan;
    let Some(quality) = &plan.quality else { return };
    let places: BTreeMap<&str, usize> =
        quality.tasks.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
    let place = |task: &str| places.get(task).copied();
    let variant = |name: &String| plan.variants.iter().position(|other| other == name);
    part.answers.sort_by_key(|answer| (variant(&answer.variant), place(&answer.task)));
    // Those of other seeds stand by task, the others by what was other.
    let way = |way: Way| if let Way::Seed(_) = way { Way::Seed(0) } else { way };
    part.repeats
        .sort_by_key(|repeat| (variant(&repeat.variant), way(repeat.way), place(&repeat.task)));
}
