//! Owns which model each variant really has: the one that is locked, one that its recipe makes, or that of
//! the base; and whether a variant of the base is the change's own.

use super::preflight::inspect_model;
use crate::config::{Config, Recipe, Setup, Variant};
use crate::engine;
use crate::git;
use crate::hash;
use crate::problem::{Problem, Result};
use crate::record::{Absent, VariantRecord, VerdictKind, of_base};
use crate::workload::{Graded, Prompts};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Finds or makes the model of every variant. A base's variant whose model cannot be told is not measured,
/// and every rule that names it is invalid.
///
/// # Errors
/// If a model of the change or the reference is not the one that is locked, or a recipe fails.
pub(super) fn settle(setup: &mut Setup) -> Result<()> {
    let output = setup.config.output.clone();
    let mut unknown: Vec<(String, String)> = Vec::new();
    for variant in &mut setup.config.variants {
        if !engine::has_model(&variant.load) {
            continue;
        }
        if let Err(why) = of_variant(variant, &output)? {
            unknown.push((variant.name.clone(), why));
        }
    }
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

/// Points a variant to its model. Of a variant of a commit: why there is none that is surely its own.
fn of_variant(variant: &mut Variant, output: &Path) -> Result<std::result::Result<(), String>> {
    let named = variant.load.model.clone();
    let others = match look(variant, output)? {
        Looked::Found => return Ok(Ok(())),
        Looked::Others(others) => others,
    };
    move_to(variant, &named);
    if let Some(recipe) = variant.recipe.clone() {
        make(variant, &recipe, output)?;
        return made(variant).map(Ok);
    }
    if variant.must_be_known {
        return Ok(Err(unverified(variant, &others)));
    }
    if let (Some(locked), Some((place, sum))) = (&variant.model_sha256, others.first()) {
        let what = format!(
            "variant '{}': the model is of sha256 {}, and model_sha256 is {}",
            variant.name,
            hash::short(sum, 12),
            hash::short(locked, 12)
        );
        return Err(Problem::in_file(place, what).help(
            "make or fetch the model that is meant, or, if this one is, write its sum with `perfgate \
             doctor --lock`",
        ));
    }
    // There is none; what the user is told names the folder of the work tree.
    if let Some(elsewhere) = variant.elsewhere.clone() {
        move_to(variant, &elsewhere);
    }
    Ok(Ok(()))
}

/// What lies where a variant's model may be.
enum Looked {
    /// The model; the variant points to it.
    Found,
    /// Other models: where, and their sums.
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
        let recipe = variant.recipe.as_ref();
        let stale = recipe.is_some_and(|recipe| recipe_changed(recipe, &place, output));
        match &variant.model_sha256 {
            None if (own || !variant.must_be_known) && !stale => {
                return whole(variant).map(|()| Looked::Found);
            }
            None => {}
            Some(locked) => match sum(variant) {
                Ok(sum) if sum == *locked => return Ok(Looked::Found),
                Ok(sum) => others.push((place, sum)),
                // One that was not fetched may lie whole in the other place.
                Err(problem) => broken = Some(problem),
            },
        }
    }
    match broken {
        Some(problem) if others.is_empty() && variant.recipe.is_none() => Err(problem),
        _ => Ok(Looked::Others(others)),
    }
}

/// Holds a model that a recipe has made against the sum that is locked.
fn made(variant: &Variant) -> Result<()> {
    let sum = sum(variant)?;
    match &variant.model_sha256 {
        Some(locked) if *locked != sum => {
            let what = format!(
                "variant '{}': the recipe made a model of sha256 {}, and model_sha256 is {}",
                variant.name,
                hash::short(&sum, 12),
                hash::short(locked, 12)
            );
            Err(Problem::in_file(&variant.load.model, what).help(
                "if the recipe is to make this model, `perfgate doctor --lock` writes its sum; a recipe that \
                 makes another one each time cannot be locked",
            ))
        }
        _ => Ok(()),
    }
}

/// Why nothing tells that a model is the base's.
fn unverified(variant: &Variant, found: &[(PathBuf, String)]) -> String {
    let name = of_base(&variant.name).unwrap_or(&variant.name);
    match (&variant.model_sha256, found.first()) {
        (None, _) => format!(
            "nothing tells which model '{name}' has in that commit: it names no model_sha256 and no recipe \
             (`perfgate doctor --lock` writes the sum, on the target branch too)"
        ),
        (Some(locked), Some((_, sum))) => format!(
            "that commit's model of '{name}', sha256 {}, is not here: its folder holds {}; give the variant a \
             recipe (prepare = \"…\") that makes it, or fetch it into another folder",
            hash::short(locked, 12),
            hash::short(sum, 12)
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

/// Where it is noted which recipe made the model of a folder.
fn note_of(model: &Path, output: &Path) -> PathBuf {
    let name = hash::of_bytes(git::without_detours(model).as_os_str().as_encoded_bytes());
    output.join("prepared").join(&name[..24])
}

/// Whether another recipe made the model than the one of now. Of a model that no recipe made nothing is known.
fn recipe_changed(recipe: &Recipe, model: &Path, output: &Path) -> bool {
    std::fs::read_to_string(note_of(model, output)).is_ok_and(|text| text != recipe.command)
}

/// Makes a model by its recipe.
fn make(variant: &Variant, recipe: &Recipe, output: &Path) -> Result<()> {
    let folder = output.join("logs");
    let log = folder.join(format!("prepare-{}.log", variant.name.replace('@', "-")));
    let model = git::without_detours(&variant.load.model);
    let io = |error: std::io::Error| Problem::io(&log, "write the recipe's output", &error);
    std::fs::create_dir_all(&folder).map_err(io)?;
    let out = File::create(&log).map_err(io)?;
    let err = out.try_clone().map_err(io)?;
    eprintln!("preparing {}: {} (output in {})", variant.name, recipe.command, log.display());
    let outside = recipe.folder.ancestors().nth(1).unwrap_or(&recipe.folder);
    let status = Command::new("sh")
        .args(["-c", &recipe.command])
        .current_dir(&recipe.folder)
        .env("PERFGATE_MODEL", &model)
        // A checkout of the base lies inside the change's repository and is none itself.
        .env("GIT_CEILING_DIRECTORIES", outside)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .status()
        .map_err(|error| Problem::io(&recipe.folder, "run the recipe", &error))?;
    let failed = |what: String| {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(5)..].join("\n      ");
        let seen = if last.is_empty() {
            String::new()
        } else {
            format!("; its last words:\n      {last}")
        };
        Problem::new(format!(
            "variant '{}': the recipe `{}` {what}{seen}",
            variant.name, recipe.command
        ))
        .help(format!("its output is in {}", log.display()))
    };
    if !status.success() {
        return Err(failed(format!("failed ({status})")));
    }
    if !model.is_dir() {
        return Err(failed(format!("made no folder {} (PERFGATE_MODEL)", model.display())));
    }
    let note = note_of(&model, output);
    let written = std::fs::create_dir_all(note.parent().unwrap_or(output))
        .and_then(|()| std::fs::write(&note, &recipe.command));
    written.map_err(|error| Problem::io(&note, "note the recipe", &error))
}

/// Leaves the base's variants out that are the change's own in everything that is measured: model, engine,
/// library, threads, properties, and every prompt.
///
/// # Errors
/// If a runtime library cannot be found.
pub(super) fn leave_out_unchanged(
    setup: &mut Setup,
    records: &mut BTreeMap<String, VariantRecord>,
    prompts: &Prompts,
    graded: Option<&Graded>,
) -> Result<()> {
    if setup.measure_unchanged {
        return Ok(());
    }
    let names = setup.config.names();
    for (base, name) in names.iter().filter_map(|base| Some((base, of_base(base)?))) {
        let orders = |name: &str| {
            let all = graded.into_iter().flat_map(|graded| &graded.asks);
            all.filter(|(of, _)| of == name).map(|(_, orders)| orders.clone()).next()
        };
        let same = same_set_up(&setup.config, records, base, name)?
            && tokens(prompts, base) == tokens(prompts, name)
            && orders(base) == orders(name);
        if same {
            let sum = hash::short(&records[base].model_sha256, 12).to_string();
            let why = format!(
                "the same in the base: model {sum}, engine, library, threads, properties and prompts"
            );
            records.remove(base);
            leave_out(setup, base.clone(), VerdictKind::Unchanged, why)?;
        }
    }
    Ok(())
}

fn tokens<'a>(prompts: &'a Prompts, name: &str) -> Vec<&'a [u32]> {
    prompts.of(name).iter().map(|task| &task.tokens[..]).collect()
}

fn same_set_up(
    config: &Config,
    records: &BTreeMap<String, VariantRecord>,
    base: &str,
    name: &str,
) -> Result<bool> {
    let (Some(a), Some(b)) = (config.variant(base), config.variant(name)) else { return Ok(false) };
    let library = |variant: &Variant| -> Result<Option<PathBuf>> {
        let library = engine::inspect_runtime(&variant.load)?;
        Ok(library.map(|library| library.canonicalize().unwrap_or(library)))
    };
    // Where templates and libraries lie does not matter; what they say is compared by itself.
    let options = |variant: &Variant| {
        let mut options = variant.load.options.clone();
        options.remove(engine::RUNTIME);
        options
    };
    Ok(records[base].model_sha256 == records[name].model_sha256
        && a.load.engine == b.load.engine
        && a.load.threads == b.load.threads
        && a.load.properties == b.load.properties
        && a.load.slowdown == b.load.slowdown
        && options(a) == options(b)
        && library(a)? == library(b)?)
}
