//! Owns the folder in which an engine keeps compiled models: a subfolder of the one that is asked for, which belongs to
//! one model's bytes, one runtime and one set-up alone.
//!
//! A runtime finds a compiled model again by what it thinks tells models apart. OpenVINO 2025.4 leaves the weights out:
//! a model and its fine-tuned copy, of one graph, answer by the same file. So two models never share a folder.

use crate::hash;
use crate::problem::{Problem, Result};
use crate::record::{ModelCache, Taken};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a compiled model depends on.
#[derive(Serialize)]
pub(super) struct Depends<'a> {
    /// SHA-256 of the model's files.
    pub(super) model_sha256: &'a str,
    /// The runtime's version with its build.
    pub(super) runtime: &'a str,
    /// The processor as the runtime names it.
    pub(super) device: Option<&'a str>,
    /// Every property that is set, but for the folder itself.
    pub(super) properties: BTreeMap<&'a str, &'a str>,
    /// Variables of the environment that change arithmetic.
    pub(super) environment: BTreeMap<String, String>,
}

/// The folder of one model and set-up.
pub(super) struct Folder {
    path: PathBuf,
    before: BTreeMap<PathBuf, u64>,
}

impl Folder {
    /// Makes the subfolder, if it is not there, and looks at what it holds.
    pub(super) fn open(asked: &Path, depends: &Depends<'_>) -> Result<Folder> {
        let json = serde_json::to_string(depends).expect("plain data");
        let path = asked.join(format!("perfgate-{}", &hash::of_bytes(json.as_bytes())[..24]));
        std::fs::create_dir_all(&path).map_err(|error| {
            Problem::io(&path, "make a folder for compiled models", &error).help(
                "name a folder that can be written to, or leave the cache of compiled models out",
            )
        })?;
        let before = files(&path);
        Ok(Folder { path, before })
    }

    /// Where the engine keeps its compiled models.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the load since then did with it.
    pub(super) fn done(&self) -> ModelCache {
        let now = files(&self.path);
        let new = now.keys().any(|file| !self.before.contains_key(file));
        let taken = match (self.before.is_empty(), new) {
            (true, true) => Taken::Made,
            (true, false) => Taken::NotKept,
            (false, true) => Taken::MadeAgain,
            (false, false) => Taken::Kept,
        };
        ModelCache { taken, bytes: now.values().sum() }
    }
}

/// The files of a folder with their sizes.
fn files(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let file = |entry: std::fs::DirEntry| {
        let metadata = entry.metadata().ok()?;
        metadata.is_file().then(|| (entry.path(), metadata.len()))
    };
    entries.filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depends<'a>(model: &'a str, isa: &str, precision: &'a str) -> Depends<'a> {
        Depends {
            model_sha256: model,
            runtime: "2025.4.1-1",
            device: None,
            properties: [("INFERENCE_PRECISION_HINT", precision)].into(),
            environment: [("ONEDNN_MAX_CPU_ISA".to_string(), isa.to_string())].into(),
        }
    }

    #[test]
    fn each_model_and_set_up_has_a_folder_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let open = |model: &str, isa: &str, precision: &str| {
            Folder::open(root.path(), &depends(model, isa, precision)).unwrap().path
        };
        let first = open("a", "AVX2", "f32");
        assert_eq!(open("a", "AVX2", "f32"), first);
        for other in [open("b", "AVX2", "f32"), open("a", "AMX", "f32"), open("a", "AVX2", "bf16")]
        {
            assert_ne!(other, first);
        }
    }

    #[test]
    fn the_first_start_is_told_from_later_ones() {
        let root = tempfile::tempdir().unwrap();
        let open = || Folder::open(root.path(), &depends("a", "AVX2", "f32")).unwrap();
        let first = open();
        assert_eq!(first.done(), ModelCache { taken: Taken::NotKept, bytes: 0 });
        std::fs::write(first.path().join("1.blob"), "12345").unwrap();
        assert_eq!(first.done(), ModelCache { taken: Taken::Made, bytes: 5 });
        let later = open();
        assert_eq!(later.done(), ModelCache { taken: Taken::Kept, bytes: 5 });
        std::fs::write(later.path().join("2.blob"), "1").unwrap();
        assert_eq!(later.done(), ModelCache { taken: Taken::MadeAgain, bytes: 6 });
    }
}
