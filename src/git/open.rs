//! Owns the opening of a repository: which of git's extensions are known here, and what to do about the others.

use super::command;
use crate::problem::Problem;
use git2::{Error, ErrorCode, Repository};
use std::path::Path;
use std::sync::Once;

/// Extensions that the library knows nothing of and that do no harm: what a partial clone lacks is fetched by git's own
/// command, references in a reftable are read by it, and relative paths to work trees are paths.
const EXTENSIONS: [&str; 3] = ["partialclone", "refstorage", "relativeworktrees"];

/// The repository that a folder lies in, in the library's words if there is none.
pub(super) fn discover(folder: &Path) -> Result<Repository, Error> {
    static ONCE: Once = Once::new();
    let mut allowed = Ok(());
    ONCE.call_once(|| {
        // SAFETY: this writes a variable of the library's, once, and every repository is opened behind it.
        allowed = unsafe { git2::opts::set_extensions(&EXTENSIONS) };
    });
    allowed?;
    Repository::discover(folder)
}

/// Where references are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum References {
    /// In files, which the library reads.
    Files,
    /// In a reftable, which git's command reads.
    Command,
}

impl References {
    /// As a repository's own configuration has it.
    pub(super) fn of(repository: &Repository) -> References {
        let storage = repository.config().and_then(|c| c.get_string("extensions.refstorage"));
        match storage {
            Ok(storage) if storage != "files" => References::Command,
            _ => References::Files,
        }
    }
}

/// Why a folder's repository could not be opened, with what helps.
pub(super) fn problem(folder: &Path, error: &Error) -> Problem {
    let problem = Problem::in_file(folder, format!("git: {}", error.message()));
    if error.code() == ErrorCode::Owner {
        return problem.help(format!(
            "git does not trust a folder of somebody else, as is usual in containers: `git config --global --add \
             safe.directory {}`",
            folder.display()
        ));
    }
    match command::line(folder, &["rev-parse", "--show-object-format"]).as_deref() {
        Ok("sha1") => problem.help(
            "git itself reads this repository and the library that perfgate reads it by does not: `git config \
             --local --get-regexp '^extensions'` shows what it uses; make a plain clone of it and run perfgate there",
        ),
        Ok(format) => Problem::in_file(
            folder,
            format!("is a repository with object names of {format}, and perfgate reads those of SHA-1 only"),
        )
        .help(
            "judge without git, by leaving --base and --against out, or run in a repository with SHA-1 names: `git \
             init --object-format=sha1 COPY && git fast-export --all | git -C COPY fast-import`",
        ),
        Err(_) => problem.help("run it in a clone of a git repository"),
    }
}
