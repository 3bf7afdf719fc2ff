//! Owns the recognition of Git LFS pointers: small texts that stand for files which were not fetched.

use std::io::Read;
use std::path::Path;

/// Pointers are smaller than this.
const MOST_BYTES: u64 = 1024;

/// The SHA-256 of the file that a pointer stands for; nothing if the file is no pointer.
///
/// Source: the Git LFS specification, version 1 (`docs/spec.md` of git-lfs).
pub fn pointer(file: &Path) -> Option<String> {
    if std::fs::metadata(file).ok()?.len() > MOST_BYTES {
        return None;
    }
    let mut text = String::new();
    std::fs::File::open(file).ok()?.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    if !text.starts_with("version https://git-lfs.github.com/spec/") {
        return None;
    }
    let sum = text.lines().find_map(|line| line.strip_prefix("oid sha256:"))?.trim();
    (sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit())).then(|| sum.to_string())
}
