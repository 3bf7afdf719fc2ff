//! Owns which model each variant really has: the one that is locked, one that its recipe makes, or that of
//! the base; and whether a variant of the base is the change's own.

use super::identity::{self, Runtimes};
use super::preflight::inspect_model;
use super::recipe::{self, Made};
use crate::config::{Setup, Variant};
use crate::engine;
use crate::git;
use crate::hash;
use crate::problem::{Problem, Result};
use crate::record::{Absent, Identity, Told, VariantRecord, VerdictKind, of_base};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Finds or makes the model of every variant. A base's variant whose model cannot be told is not measured,
/// and every rule that names it is invalid.
///
/// # Errors
/// If a model of the change or the reference is not the one that is locked, or a recipe fails.
pub(super) fn settle(setup: &mut Setup, runtimes: &mut Runtimes<'_>) -> Result<()> {
    let output = setup.config.output.clone();
    let mut unknown: Vec<(String, String)> = Vec::new();
    let mut notes = Vec::new();
    for variant in &mut setup.config.variants {
        if !engine::has_model(&variant.load) {
            continue;
        }
        match of_variant(variant, &output)? {
            Ok(note) => notes.extend(note),
            Err(why) => {
                unknown.push((variant.name.clone(), why));
                continue;
            }
        }
        match (another_runtime(variant, runtimes), variant.must_be_known) {
            (None, _) => {}
            (Some(what), true) => unknown.push((variant.name.clone(), what)),
            (Some(what), false) => {
                return Err(Problem::new(format!("variant '{}': {what}", variant.name)));
            }
        }
    }
    setup.authority.notes.extend(notes);
    for (name, why) in unknown {
        leave_out(setup, name, VerdictKind::Invalid, why)?;
    }
    Ok(())
}

/// Takes a variant out of what is measured.
fn leave_out(setup: &mut Setup, name: String, verdict: VerdictKind, why: String) -> Result<()> {
    let others: Vec<String> =
        setup.config.names().into_iter().filter(|other| *other != name).collect();
    setup.config.keep(&others)?;
    setup.absent.insert(name, Absent { verdict, why });
    Ok(())
}

/// That the runtime of a variant is not of the version that its configuration names, with what to do.
fn another_runtime(variant: &Variant, runtimes: &mut Runtimes<'_>) -> Option<String> {
    let locked = variant.runtime_version.as_ref()?;
    let found = runtimes.of(variant)?;
    let name = of_base(&variant.name).unwrap_or(&variant.name);
    let whose = if variant.must_be_known { "that commit's runtime" } else { "the runtime" };
    let what = match found {
        Told::Available(version) if is_version(&version, locked) => return None,
        Told::Available(version) => format!("the library is of {version}"),
        Told::Unavailable(why) => format!("the library's version is not known ({why})"),
    };
    Some(format!(
        "{whose} of '{name}' is {locked} (runtime_version), and {what}; install that version and name its folder \
         (runtime = \"FOLDER\"), or, if this one is meant, write it with `perfgate doctor --lock`"
    ))
}

/// Whether a library's version is the one that is named, with or without its build.
pub fn is_version(version: &str, named: &str) -> bool {
    version == named || version.strip_prefix(named).is_some_and(|rest| rest.starts_with('-'))
}

/// Points a variant to its model; what a reader has to know of it. Of a variant of a commit: why there is none that
/// is surely its own.
fn of_variant(
    variant: &mut Variant,
    output: &Path,
) -> Result<std::result::Result<Option<String>, String>> {
    let named = variant.load.model.clone();
    let others = match look(variant, output)? {
        Looked::Found(note) => return Ok(Ok(note)),
        Looked::Others(others) => others,
    };
    move_to(variant, &named);
    if let Some(recipe) = variant.recipe.clone() {
        recipe::make(variant, &recipe, output)?;
        return made(variant).map(|()| Ok(None));
    }
    if variant.must_be_known {
        return Ok(Err(unverified(variant, &others)));
    }
    if let Some((place, other)) = others.first() {
        return Err(Problem::in_file(place, format!("variant '{}': {other}", variant.name)).help(
            "make or fetch the model that is meant, or, if this one is, write its sums with `perfgate \
             doctor --lock`",
        ));
    }
    // There is none; what the user is told names the folder of the work tree.
    if let Some(elsewhere) = variant.elsewhere.clone() {
        move_to(variant, &elsewhere);
    }
    Ok(Ok(None))
}

/// What lies where a variant's model may be.
enum Looked {
    /// The model, and what a reader has to know of it; the variant points to it.
    Found(Option<String>),
    /// Other models: where, and why they are not the one.
    Others(Vec<(PathBuf, String)>),
}

/// Looks for a variant's model in its folder, and in the work tree's for a variant of a commit.
fn look(variant: &mut Variant, output: &Path) -> Result<Looked> {
    let named = variant.load.model.clone();
    let places = std::iter::once(named.clone()).chain(variant.elsewhere.clone());
    let (mut others, mut broken) = (Vec::new(), None);
    for place in places.filter(|place| place.is_dir()) {
        move_to(variant, &place);
        // A folder of the commit is vouched for by it.
        let own = place == named && variant.elsewhere.is_some();
        let stale = match &variant.recipe {
            Some(recipe) => match recipe::made(recipe, &place, output)? {
                Made::Stale(what) => Some(what),
                Made::Current | Made::Unknown => None,
            },
            None => None,
        };
        if variant.model_sha256.is_none() {
            if !own && variant.must_be_known {
                continue;
            }
            if let Some(what) = stale {
                eprintln!("preparing {} again: its recipe has changed ({what})", variant.name);
                continue;
            }
        }
        match unlike_locked(variant, own, output) {
            Ok(None) => {
                whole(variant)?;
                let note = stale.map(|what| {
                    format!(
                        "the recipe of '{}' has changed since it made the model ({what}), and the model is still the \
                         one that is locked: if another is meant, remove the folder and the sums",
                        variant.name
                    )
                });
                return Ok(Looked::Found(note));
            }
            Ok(Some(other)) => others.push((place, other)),
            // One that was not fetched may lie whole in the other place.
            Err(problem) => broken = Some(problem),
        }
    }
    match broken {
        Some(problem) if others.is_empty() && variant.recipe.is_none() => Err(problem),
        _ => Ok(Looked::Others(others)),
    }
}

/// Why the model and the small files of a variant are not those that its configuration locks, in words.
///
/// # Errors
/// If a file cannot be read.
pub fn unlike_lock(variant: &Variant) -> Result<Option<String>> {
    let own = Variant { must_be_known: false, ..variant.clone() };
    unlike_locked(&own, true, Path::new(""))
}

/// Why the model and the small files of the folder that a variant points to are not surely those that it locks, in
/// words; nothing where they are. `own` is a folder of the variant's commit, which vouches for what it does not lock.
fn unlike_locked(variant: &Variant, own: bool, output: &Path) -> Result<Option<String>> {
    if let Some(locked) = &variant.model_sha256 {
        let sum = sum(variant)?;
        if sum != *locked {
            return Ok(Some(format!(
                "the model is of sha256 {}, and model_sha256 is {}",
                hash::short(&sum, 12),
                hash::short(locked, 12)
            )));
        }
    }
    if let Some(locked) = &variant.files_sha256 {
        let found = identity::small_files(variant)?;
        return Ok(unlike_files(&found, locked));
    }
    let tokenizer = &variant.tokenizer;
    let in_commit = own
        && (tokenizer.starts_with(&variant.load.model)
            || tokenizer.starts_with(output.join("base")));
    if variant.must_be_known && !in_commit {
        return Ok(Some(
            "nothing tells whether its tokenizer, chat template and generation_config.json are that commit's \
             (files_sha256, which `perfgate doctor --lock` writes, on the target branch too)"
                .to_string(),
        ));
    }
    Ok(None)
}

/// Which small file is not the one that is locked, in words.
fn unlike_files(
    found: &BTreeMap<String, String>,
    locked: &BTreeMap<String, String>,
) -> Option<String> {
    let sum = |sum: Option<&String>| match sum {
        Some(sum) => format!("is of sha256 {}", hash::short(sum, 12)),
        None => "is not there".to_string(),
    };
    let names: BTreeSet<&String> = found.keys().chain(locked.keys()).collect();
    let other = |name: &&String| found.get(*name) != locked.get(*name);
    let said = |name: &String| match locked.get(name) {
        Some(locked) => {
            let found = sum(found.get(name));
            format!("{name} {found}, and files_sha256 has {}", hash::short(locked, 12))
        }
        None => format!("{name} {}, and files_sha256 has none", sum(found.get(name))),
    };
    let all: Vec<String> = names.into_iter().filter(other).map(said).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// Holds a model that a recipe has made against the sums that are locked.
fn made(variant: &Variant) -> Result<()> {
    match unlike_lock(variant)? {
        Some(what) => {
            let what = format!("variant '{}': the recipe made another model: {what}", variant.name);
            Err(Problem::in_file(&variant.load.model, what).help(
                "if the recipe is to make this model, `perfgate doctor --lock` writes its sums; a recipe that \
                 makes another one each time cannot be locked",
            ))
        }
        None => Ok(()),
    }
}

/// Why nothing tells that a model is the base's.
fn unverified(variant: &Variant, found: &[(PathBuf, String)]) -> String {
    let name = of_base(&variant.name).unwrap_or(&variant.name);
    match (&variant.model_sha256, found.first()) {
        (None, None) => format!(
            "nothing tells which model '{name}' has in that commit: it names no model_sha256 and no recipe \
             (`perfgate doctor --lock` writes the sum, on the target branch too)"
        ),
        (_, Some((_, other))) => format!(
            "that commit's model of '{name}' is not here: in its folder {other}; give the variant a recipe \
             (prepare = \"…\") that makes it, or fetch it into another folder"
        ),
        (Some(locked), None) => format!(
            "that commit's model of '{name}', sha256 {}, is not here: make or fetch it, or give the variant a \
             recipe (prepare = \"…\")",
            hash::short(locked, 12)
        ),
    }
}

/// Points a variant to a folder, and its tokenizer too if it is the model's own.
fn move_to(variant: &mut Variant, place: &Path) {
    if let Ok(inner) = variant.tokenizer.strip_prefix(&variant.load.model) {
        variant.tokenizer = place.join(inner);
    }
    variant.load.model = place.to_path_buf();
}

/// SHA-256 of a variant's model.
pub(super) fn sum(variant: &Variant) -> Result<String> {
    let model = inspect_model(variant)?;
    hash::of_files(&variant.load.model, &model.files)
}

/// Refuses files that stand for others by Git LFS.
pub(super) fn whole(variant: &Variant) -> Result<()> {
    let folder = &variant.load.model;
    let Ok(listing) = std::fs::read_dir(folder) else { return Ok(()) };
    let mut files: Vec<PathBuf> = listing.flatten().map(|entry| entry.path()).collect();
    files.push(variant.tokenizer.clone());
    files.sort();
    match files.iter().find(|file| file.is_file() && git::pointer(file).is_some()) {
        None => Ok(()),
        Some(file) => {
            let what = format!(
                "variant '{}': this is a Git LFS pointer and not the model itself",
                variant.name
            );
            Err(Problem::in_file(file, what).help(
                "fetch it: `git lfs install` and `git lfs pull` (for a base also `git lfs fetch origin \
                 BRANCH`); on GitHub, lfs: true under `with:` of actions/checkout",
            ))
        }
    }
}

/// Leaves the base's variants out that are the change's own in everything that is measured: model, small files, engine,
/// runtime, threads, properties, and every prompt. One of which not all of this is known is not comparable.
///
/// # Errors
/// If the configuration cannot do without it.
pub(super) fn leave_out_unchanged(
    setup: &mut Setup,
    records: &mut BTreeMap<String, VariantRecord>,
) -> Result<()> {
    if setup.measure_unchanged {
        return Ok(());
    }
    let names = setup.config.names();
    for (base, name) in names.iter().filter_map(|base| Some((base, of_base(base)?))) {
        let Some(both) = setup.config.variant(base).zip(setup.config.variant(name)) else {
            continue;
        };
        if !same_set_up(both, [&records[base], &records[name]]) {
            continue;
        }
        let (verdict, why) = match unknown_runtime(both.0, &setup.config.output) {
            Some(why) => (VerdictKind::Incomparable, why),
            None => (VerdictKind::Unchanged, unchanged(&records[base], &records[name])),
        };
        records.remove(base);
        leave_out(setup, base.clone(), verdict, why)?;
    }
    Ok(())
}

/// What is the same, in words, with what of the recipe is not.
fn unchanged(base: &VariantRecord, now: &VariantRecord) -> String {
    let recipe = |record: &VariantRecord| record.identity.as_ref()?.recipe.clone();
    let other = recipe(now).zip(recipe(base)).map(|(now, then)| now.differences(&then));
    let other = match other {
        Some(differences) if !differences.is_empty() => {
            format!("; another recipe ({}) made the same files", differences.join(", "))
        }
        _ => String::new(),
    };
    format!(
        "the same in the base: model {}, tokenizer and templates, engine, runtime, threads, properties and \
         prompts{other}",
        hash::short(&base.model_sha256, 12)
    )
}

/// Why nothing tells which runtime a variant of a commit had: a library that was upgraded in place has the path and
/// the name of the one before.
fn unknown_runtime(base: &Variant, output: &Path) -> Option<String> {
    let in_commit = || {
        let library = engine::inspect_runtime(&base.load).ok().flatten();
        library.is_some_and(|library| library.starts_with(output.join("base")))
    };
    let known = !engine::loads_library(&base.load) || base.runtime_version.is_some() || in_commit();
    (!known).then(|| {
        "all else is the same in the base, but nothing tells which version of the runtime it had: it may have been \
         upgraded in place. `perfgate doctor --lock` writes runtime_version, on the target branch too"
            .to_string()
    })
}

fn same_set_up((a, b): (&Variant, &Variant), records: [&VariantRecord; 2]) -> bool {
    // Where a library lies does not matter; what it says is compared by itself.
    let options = |variant: &Variant| {
        let mut options = variant.load.options.clone();
        options.remove(engine::RUNTIME);
        options
    };
    let [base, now] = records;
    let asked = |record: &VariantRecord| record.identity.as_ref().map(|i| i.asked_sha256.clone());
    base.model_sha256 == now.model_sha256
        && Identity::differences(now.identity.as_ref(), base.identity.as_ref()).is_empty()
        && asked(base) == asked(now)
        && a.load.engine == b.load.engine
        && a.load.threads == b.load.threads
        && a.load.properties == b.load.properties
        && a.load.slowdown == b.load.slowdown
        && options(a) == options(b)
}
