//! Owns `perfgate init`: the first files of a project that has none. What is there is never changed, but for
//! a line that is added to `.gitignore`.

use super::render::print;
use super::{InitArguments, exit, relative};
use crate::problem::{Problem, Result};
use crate::report::quoted;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const CONFIG: &str = include_str!("init/perfgate.toml");
const THRESHOLDS: &str = include_str!("init/thresholds.toml");
const TASKS: &str = include_str!("init/tasks.jsonl");
const WORKFLOW: &str = include_str!("init/perfgate.yml");

/// The models that the configuration names unless others are given: of the reference, of the candidate.
const MODELS: [&str; 2] = [".perfgate/models/fp16", ".perfgate/models/int8"];

/// The line of `.gitignore`, and how else it may be written.
const IGNORED: [&str; 4] = [".perfgate/", "/.perfgate/", ".perfgate", "/.perfgate"];

/// Makes what is missing.
pub(super) fn init(arguments: &InitArguments) -> Result<u8> {
    let folder = &arguments.folder;
    let models = [&arguments.reference, &arguments.candidate];
    let files = [
        ("perfgate.toml", config(folder, models)?),
        ("thresholds.toml", THRESHOLDS.to_string()),
        ("tasks.jsonl", TASKS.to_string()),
        (".github/workflows/perfgate.yml", WORKFLOW.to_string()),
    ];
    // All places first: an error leaves nothing half made.
    let mut there = Vec::new();
    for (name, _) in &files {
        there.push(is_there(folder, name)?);
    }
    let ignore_there = is_there(folder, ".gitignore")?;
    let mut said = String::new();
    for ((name, text), there) in files.iter().zip(&there) {
        let what = match !there && make(&folder.join(name), text)? {
            true => format!("made  {name}"),
            false => format!("kept  {name}, which is there already"),
        };
        let _ = writeln!(said, "{what}");
    }
    let _ = writeln!(said, "{}", ignore(&folder.join(".gitignore"), ignore_there)?);
    if there[0] && models.iter().any(|model| model.is_some()) {
        said += "perfgate.toml is as it was: name the models' folders in it by hand\n";
    }
    said += &next(folder);
    print(&said)?;
    Ok(exit::HOLDS)
}

/// The configuration with the models' folders that are given.
fn config(folder: &Path, models: [&Option<PathBuf>; 2]) -> Result<String> {
    let mut text = CONFIG.to_string();
    for (given, template) in models.into_iter().zip(MODELS) {
        let Some(given) = given else { continue };
        let path = seen_from(folder, given);
        let path = path.to_str().ok_or_else(|| {
            Problem::in_file(given, "cannot be written into perfgate.toml: its name is no UTF-8")
                .help("rename the folder, or link to it from one with a plain name")
        })?;
        let quoted = toml::Value::String(path.to_string()).to_string();
        text = text.replacen(&format!("\"{template}\""), &quoted, 1);
    }
    Ok(text)
}

/// A path as a file in `folder` has to write it; it was given as seen from here.
fn seen_from(folder: &Path, path: &Path) -> PathBuf {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let (top, whole) = (absolute(folder), absolute(path));
    match whole.strip_prefix(&top) {
        _ if top == absolute(Path::new(".")) => path.to_path_buf(),
        Ok(inside) if !inside.as_os_str().is_empty() => inside.to_path_buf(),
        _ => whole,
    }
}

/// Whether a file is there, and nothing in the way of making it.
fn is_there(folder: &Path, name: &str) -> Result<bool> {
    let mut path = folder.to_path_buf();
    let parts: Vec<&str> = name.split('/').collect();
    for (index, part) in parts.iter().enumerate() {
        path.push(part);
        let wants_file = index + 1 == parts.len();
        let kind = match path.symlink_metadata() {
            Ok(metadata) => metadata.file_type(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Problem::io(&path, "look at it", &error)),
        };
        let (fits, wanted) = match wants_file {
            true => (kind.is_file(), "a file"),
            false => (kind.is_dir(), "a folder"),
        };
        if !fits {
            let found = match () {
                () if kind.is_symlink() => "a symbolic link",
                () if kind.is_dir() => "a folder",
                () if kind.is_file() => "a file",
                () => "no file",
            };
            return Err(Problem::in_file(
                &path,
                format!("is {found}, where {wanted} has to stand"),
            )
            .help("move it away, or name another folder: `perfgate init FOLDER`"));
        }
    }
    Ok(true)
}

/// Makes a file, whole or not at all, unless one has come to stand there. Returns whether it was made.
fn make(file: &Path, text: &str) -> Result<bool> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let write = || -> std::io::Result<bool> {
        std::fs::create_dir_all(folder)?;
        let mut new = tempfile::Builder::new().prefix(".perfgate-").tempfile_in(folder)?;
        new.write_all(text.as_bytes())?;
        // Temporary files are private.
        use std::os::unix::fs::PermissionsExt;
        new.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        match new.persist_noclobber(file) {
            Ok(_) => Ok(true),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
        }
    };
    write().map_err(|error| {
        Problem::io(file, "make it", &error).help("name a folder in which files can be made")
    })
}

/// Keeps git from seeing what perfgate generates. Returns what was done.
fn ignore(file: &Path, there: bool) -> Result<String> {
    let line = IGNORED[0];
    if !there {
        make(file, &format!("{line}\n"))?;
        return Ok(format!("made  .gitignore with {line}"));
    }
    let append = || -> std::io::Result<bool> {
        let mut bytes = Vec::new();
        File::open(file)?.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        if text.lines().any(|line| IGNORED.contains(&line.trim_end())) {
            return Ok(false);
        }
        let start = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        writeln!(OpenOptions::new().append(true).open(file)?, "{start}{line}")?;
        Ok(true)
    };
    let added = append().map_err(|error| {
        let help = format!("add the line {line} to it by hand");
        Problem::io(file, "add a line to it", &error).help(help)
    })?;
    Ok(match added {
        true => format!("added {line} to .gitignore"),
        false => format!("kept  .gitignore, which has {line} already"),
    })
}

/// What to do then.
fn next(folder: &Path) -> String {
    let here = relative(folder);
    let go = match here.as_os_str().is_empty() || here == Path::new(".") {
        true => String::new(),
        false => format!("  cd {}\n", quoted(&here.display().to_string())),
    };
    format!(
        "\nNext:\n{go}  put the models where perfgate.toml names them: `optimum-cli export openvino` makes them\n  \
         perfgate doctor             # what is missing still\n  \
         perfgate doctor --lock      # the models' sums: a change is held against the base's models\n  \
         perfgate check --dry-run    # how long it takes, and which rules it can settle\n  \
         perfgate check\n  \
         perfgate baseline update    # accepts this session; three of them decide times\n  \
         commit the files, and the models' step in .github/workflows/perfgate.yml\n{}",
        workflow_elsewhere(folder)
    )
}

/// GitHub reads the workflows at a repository's top alone.
fn workflow_elsewhere(folder: &Path) -> &'static str {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let below = !whole.join(".git").exists()
        && whole.ancestors().skip(1).any(|above| above.join(".git").exists());
    match below {
        true => {
            "  move .github/workflows/perfgate.yml to the repository's top, and add to its job\n    \
             defaults: { run: { working-directory: FOLDER } }\n"
        }
        false => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_named_from_the_folder_of_the_configuration() {
        let seen = |folder: &str, path: &str| {
            seen_from(Path::new(folder), Path::new(path)).display().to_string()
        };
        assert_eq!(seen(".", "models/a"), "models/a");
        assert_eq!(seen(".", "../a"), "../a");
        assert_eq!(seen("/x/project", "/x/project/models/a"), "models/a");
        assert_eq!(seen("/x/project", "/y/a"), "/y/a");
        assert_eq!(seen("project", "project/models/a"), "models/a");
        assert!(seen("project", "models/a").ends_with("/models/a"));
        assert!(seen("project", "models/a").starts_with('/'));
    }

    #[test]
    fn names_are_quoted_as_each_language_wants_it() {
        for name in ["a\"b", "c:\\d", "it's", "zwei\nZeilen", "ü'''\"\"\""] {
            let text = config(Path::new("."), [&Some(name.into()), &None]).unwrap();
            let read: toml::Table = text.parse().unwrap();
            assert_eq!(read["variants"]["fp16"]["model"].as_str(), Some(name));
            assert_eq!(read["variants"]["int8"]["model"].as_str(), Some(MODELS[1]));
        }
        assert_eq!(quoted("a b'c"), "'a b'\\''c'");
    }
}
