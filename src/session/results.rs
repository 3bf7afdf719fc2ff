//! Owns `benchmark_results.json` on disk: written whole or not at all, read with its version checked.

use crate::problem::{Problem, Result};
use crate::record::{FORMAT_VERSION, Results};
use serde_json::Value;
use std::io::Write;
use std::path::Path;

/// Writes a file under a temporary name and renames it into place, so that a reader sees the old
/// one or the new one and never half.
///
/// # Errors
/// If it cannot be written; what was there before stays.
pub fn write_atomically(path: &Path, content: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new().prefix(".perfgate-").tempfile_in(folder)?;
        file.write_all(content.as_bytes())?;
        // Temporary files are private; a report is to be read by others as any file is.
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| {
        Problem::io(path, "write it", &error)
            .help("make room there and see that files can be made; what was there before is kept")
    })
}

/// Reads results.
///
/// # Errors
/// If the file is missing, cut, of another version, or no results.
pub fn read_results(path: &Path) -> Result<Results> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Problem::io(path, "read it", &error)
            .help("run `perfgate check` first, or name a file of results")
    })?;
    let help = "name a file that `perfgate check` of this version wrote, or run it again";
    if text.trim().is_empty() {
        return Err(Problem::in_file(path, "is empty").help(help));
    }
    let broken = |error: serde_json::Error| {
        Problem::json(path, "is no benchmark_results.json, or is cut short", &error).help(help)
    };
    let json: Value = serde_json::from_str(&text).map_err(broken)?;
    match json["format"].as_u64() {
        Some(version) if version == u64::from(FORMAT_VERSION) => {}
        Some(version) => {
            return Err(Problem::in_file(
                path,
                format!("is of format {version}, and this perfgate reads format {FORMAT_VERSION}"),
            )
            .help(help));
        }
        None => {
            let what = "is no benchmark_results.json: no 'format'";
            return Err(Problem::in_file(path, what).help(help));
        }
    }
    serde_json::from_str(&text).map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/results.json");
        write_atomically(&path, "one").unwrap();
        write_atomically(&path, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        let left = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "nothing temporary stays behind");
        assert!(write_atomically(Path::new("/proc/no/such"), "x").is_err());
    }

    #[test]
    fn what_is_no_result_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.json");
        for (text, expected) in [
            ("{\"format\": 99}", "is of format 99, and this perfgate reads format 1"),
            ("{\"format\": 1, ", "r.json:1:14: is no benchmark_results.json, or is cut short: EOF"),
            ("{}", "no 'format'"),
            ("{\"format\": 1}", "missing field"),
        ] {
            std::fs::write(&path, text).unwrap();
            let problem = read_results(&path).unwrap_err().to_string();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
