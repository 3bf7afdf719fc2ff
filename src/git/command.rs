//! Owns git's own command: the one way to what the library cannot do, which is to fetch objects that a partial clone left
//! out and to read references that are kept in a reftable.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs git in a folder and returns what it printed.
///
/// # Errors
/// If it cannot be started or does not end well: the last line that it said.
pub(super) fn git(folder: &Path, arguments: &[&str], input: &str) -> Result<Vec<u8>, String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    // In a hook they name another repository than the folder's.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(variable);
    }
    // Nobody is there to type a password.
    command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = |error: std::io::Error| format!("git cannot be run: {error}");
    let mut child = command.spawn().map_err(failed)?;
    // Whoever reads nothing closes the pipe, which is no fault.
    if let Some(mut pipe) = child.stdin.take() {
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    Err(last.map_or_else(|| format!("git ended with {}", output.status), str::to_string))
}

/// The first line of what git printed.
///
/// # Errors
/// As [`git`].
pub(super) fn line(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let printed = git(folder, arguments, "")?;
    Ok(String::from_utf8_lossy(&printed).lines().next().unwrap_or_default().to_string())
}
