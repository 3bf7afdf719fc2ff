//! Holds the modules to their order: each imports only those that stand above it, and the leaves.

use std::path::{Path, PathBuf};

const LEAVES: [&str; 7] = ["document", "git", "hash", "metric", "problem", "protocol", "record"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The modules in the order in which lib.rs lists them, leaves first.
fn order() -> Vec<String> {
    let text = include_str!("../../src/lib.rs");
    let names = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_string).collect()
}

#[test]
fn modules_import_only_what_stands_above_them() {
    let order = order();
    assert_eq!(order[..LEAVES.len()], LEAVES, "the leaves stand first");
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let relative = file.strip_prefix(&src).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_string_lossy();
        let module = first.trim_end_matches(".rs").to_string();
        let Some(place) = order.iter().position(|name| *name == module) else {
            assert!(module == "lib" || module == "main", "{module} is not in lib.rs");
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            for rest in line.split("crate::").skip(1) {
                let used = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                let Some(other) = order.iter().position(|name| name == used) else { continue };
                let above = other < LEAVES.len() || (place >= LEAVES.len() && other <= place);
                let place = format!("{}:{}", relative.display(), number + 1);
                // Documentation may point anywhere.
                assert!(above || line.trim_start().starts_with("//"), "{place} imports {used}");
            }
        }
    }
}

#[test]
fn every_file_opens_with_the_sentence_that_says_what_it_owns() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{}", file.display());
    }
}
