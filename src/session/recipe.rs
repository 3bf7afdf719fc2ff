//! Owns recipes: the command that makes a model, what it is (the command and the files that it names), which one
//! made the model of a folder, and running it.

use crate::config::{Recipe, Variant};
use crate::git;
use crate::hash;
use crate::problem::{Problem, Result};
use crate::record::RecipeIdentity;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Files beyond this size are told by their length and both ends, bytes: a recipe may name a model to convert.
const WHOLE: u64 = 64 << 20;

/// Most files that are followed from one recipe.
const MOST_FILES: usize = 200;

/// What a recipe is: its command, and every file that it names by a relative path, or that one of those names, such
/// as a script that calls another. What lies in the folder of the model or of everything generated is not a part of it.
///
/// # Errors
/// If such a file cannot be read.
pub(super) fn identity(recipe: &Recipe, model: &Path, output: &Path) -> Result<RecipeIdentity> {
    let folder = &recipe.folder;
    let model = git::without_detours(model);
    // A checkout of a commit lies among what is generated itself.
    let inside = folder.starts_with(output);
    let made = |path: &Path| path.starts_with(&model) || (!inside && path.starts_with(output));
    let mut files = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<(PathBuf, String)> = vec![(folder.clone(), recipe.command.clone())];
    while let Some((from, text)) = open.pop() {
        for path in named_files(&text, &[folder, &from]) {
            if files.len() >= MOST_FILES || made(&path) || !seen.insert(path.clone()) {
                continue;
            }
            let (sum, text) = content(&path)?;
            files.insert(relative(&path, folder), sum);
            if let Some(text) = text {
                let beside = path.parent().unwrap_or(folder).to_path_buf();
                open.push((beside, text));
            }
        }
    }
    Ok(RecipeIdentity { command: recipe.command.clone(), files })
}

/// The files that a text names by paths from some folders. Python's modules are named by their imports.
fn named_files(text: &str, folders: &[&PathBuf]) -> BTreeSet<PathBuf> {
    let between = |c: char| c.is_whitespace() || "\"'`;|&<>()=,:$@{}[]#*".contains(c);
    let words = text.split(between).map(|word| word.trim_end_matches('.').to_string());
    let imported = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let first = words.next()?;
        let module = words.next()?;
        matches!(first, "import" | "from")
            .then(|| module.trim_matches('.').replace('.', "/") + ".py")
    });
    // `python -m tools.export` runs tools/export.py.
    let mut run = text.split_whitespace().skip_while(|word| *word != "-m").skip(1);
    let run = run.next().map(|module| module.replace('.', "/") + ".py");
    let mut found = BTreeSet::new();
    for word in words.chain(imported).chain(run) {
        let legal = !word.is_empty() && !word.starts_with(['/', '-', '~']);
        // What explains makes no model.
        if !legal || word.ends_with(".md") {
            continue;
        }
        let place = |folder: &&PathBuf| git::without_detours(&folder.join(&word));
        found.extend(folders.iter().map(place).find(|path| path.is_file()));
    }
    found
}

/// A file's sum as git sees it (with Unix line ends, if it is text), and its text if it is one that may name others.
fn content(path: &Path) -> Result<(String, Option<String>)> {
    let io = |error: std::io::Error| Problem::io(path, "read what the recipe names", &error);
    let length = std::fs::metadata(path).map_err(io)?.len();
    if length > WHOLE {
        return ends(path, length).map(|sum| (sum, None)).map_err(io);
    }
    let bytes = std::fs::read(path).map_err(io)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => {
            let text = text.replace("\r\n", "\n");
            let sum = hash::of_bytes(text.as_bytes());
            // Data names nothing; a long text is data.
            (sum, Some(text).filter(|text| text.len() < 1 << 20))
        }
        Ok(text) => (hash::of_bytes(text.as_bytes()), None),
        Err(error) => (hash::of_bytes(error.as_bytes()), None),
    })
}

fn ends(path: &Path, length: u64) -> std::io::Result<String> {
    const END: u64 = 1 << 20;
    let mut file = File::open(path)?;
    let mut bytes = length.to_le_bytes().to_vec();
    (&mut file).take(END).read_to_end(&mut bytes)?;
    file.seek(SeekFrom::Start(length - END))?;
    file.take(END).read_to_end(&mut bytes)?;
    Ok(hash::of_bytes(&bytes))
}

/// A path as it is seen from the recipe's folder, the same in a checkout of a commit and in the work tree.
fn relative(path: &Path, folder: &Path) -> String {
    let mut up = PathBuf::new();
    for ancestor in folder.ancestors() {
        if let Ok(inner) = path.strip_prefix(ancestor) {
            return up.join(inner).display().to_string();
        }
        up.push("..");
    }
    path.display().to_string()
}

/// What became of a folder's model since a recipe made it.
pub(super) enum Made {
    /// No recipe made it, as far as is known.
    Unknown,
    /// The recipe of now made it.
    Current,
    /// The recipe has changed since: what of it, in words.
    Stale(String),
}

/// Whether the recipe of now made the model of a folder.
///
/// # Errors
/// If a file of the recipe cannot be read.
pub(super) fn made(recipe: &Recipe, model: &Path, output: &Path) -> Result<Made> {
    let Ok(text) = std::fs::read_to_string(note_of(model, output)) else {
        return Ok(Made::Unknown);
    };
    let now = identity(recipe, model, output)?;
    // Older notes are the command alone.
    let Ok(then) = serde_json::from_str::<RecipeIdentity>(&text) else {
        return Ok(match text == now.command && now.files.is_empty() {
            true => Made::Current,
            false => {
                Made::Stale("an older perfgate made it, which did not note the files".to_string())
            }
        });
    };
    let differences = now.differences(&then);
    Ok(match differences.is_empty() {
        true => Made::Current,
        false => Made::Stale(differences.join(", ")),
    })
}

/// Where it is noted which recipe made the model of a folder.
fn note_of(model: &Path, output: &Path) -> PathBuf {
    let name = hash::of_bytes(git::without_detours(model).as_os_str().as_encoded_bytes());
    output.join("prepared").join(&name[..24])
}

/// Makes a model by its recipe.
///
/// # Errors
/// If it fails, or makes no folder.
pub(super) fn make(variant: &Variant, recipe: &Recipe, output: &Path) -> Result<()> {
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
    // As it is now: a log that it names is another one after each run.
    let identity = identity(recipe, &model, output)?;
    let written = std::fs::create_dir_all(note.parent().unwrap_or(output))
        .and_then(|()| std::fs::write(&note, serde_json::to_string(&identity)?));
    written.map_err(|error| Problem::io(&note, "note the recipe", &error))
}
