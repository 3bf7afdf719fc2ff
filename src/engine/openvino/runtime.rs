//! Owns finding the OpenVINO runtime library: named by the variant, the environment, under
//! `.perfgate/`, in an installed wheel, in the system, in this order.

use crate::problem::{Problem, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The environment variable that names the library or a folder that holds it.
const VARIABLE: &str = "PERFGATE_OPENVINO";

/// A runtime library, and what led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRuntime {
    /// Where it was found, in words.
    pub origin: &'static str,
    /// The library's file.
    pub library: PathBuf,
}

/// Every runtime of this machine that the search comes by when a variant names none, each once, in
/// the order in which they are preferred.
pub fn all_runtimes(root: &Path) -> Vec<FoundRuntime> {
    let variable = std::env::var_os(VARIABLE).and_then(|place| within(Path::new(&place)));
    let named = variable.map(|library| FoundRuntime { origin: VARIABLE, library });
    // The same folder often stands in several of the places, as in PATH.
    let mut seen = BTreeSet::new();
    let new = |found: &FoundRuntime| {
        seen.insert(found.library.canonicalize().unwrap_or_else(|_| found.library.clone()))
    };
    named.into_iter().chain(searched(root)).filter(new).collect()
}

/// The runtimes that nobody named, looked for one after the other as they are asked for.
fn searched(root: &Path) -> impl Iterator<Item = FoundRuntime> {
    let found = |origin| move |library| FoundRuntime { origin, library };
    newest(&root.join("runtimes"))
        .into_iter()
        .map(found("the output folder"))
        .chain(in_wheels(python_libraries()).map(found("a Python wheel")))
        .chain(std::iter::once_with(system).flatten().map(found("the system")))
}

/// Finds `libopenvino_c`.
///
/// `named` is the variant's own (a file or a folder); `root` is the folder of everything generated.
///
/// # Errors
/// If there is none: the message lists what was looked through and what to install. A place that
/// was named but holds none is an error, never passed over.
pub fn find_runtime(named: Option<&Path>, root: &Path) -> Result<PathBuf> {
    if let Some(place) = named {
        return within(place).ok_or_else(|| {
            Problem::in_file(place, format!("holds no OpenVINO ({LIBRARY})")).help(format!(
                "correct the variant's runtime = \"FOLDER\" in perfgate.toml, or leave it out, or {}",
                install_words(root)
            ))
        });
    }
    if let Some(place) = std::env::var_os(VARIABLE) {
        let place = PathBuf::from(place);
        return within(&place).ok_or_else(|| {
            Problem::in_file(&place, format!("holds no OpenVINO ({LIBRARY})"))
                .help(format!("look at the environment variable {VARIABLE}, or unset it"))
        });
    }
    let found = searched(root).next().map(|found| found.library);
    found.ok_or_else(|| {
        Problem::new(format!(
            "no OpenVINO runtime was found: not in {}/runtimes, nor in an installed Python wheel, \
             nor in the system",
            root.display()
        ))
        .help(install_words(root))
    })
}

/// How to get a runtime.
pub fn install_words(root: &Path) -> String {
    // A command to be copied is short.
    let here = std::env::current_dir().unwrap_or_default();
    let root = root.strip_prefix(&here).unwrap_or(root);
    format!(
        "install one of\n      pip install --no-deps --target {}/runtimes/openvino-2026.4.1 \
         openvino==2026.4.1\n      pip install openvino\n    or name it: runtime = \"FOLDER\" for the \
         variant, or {VARIABLE}=FOLDER",
        root.display()
    )
}

/// What is called in the library. The crate that loads it takes a function that is not there for a
/// bug and panics once it is called, which would count as a failure of the model.
const FUNCTIONS: [&str; 28] = [
    "ov_compiled_model_create_infer_request",
    "ov_compiled_model_free",
    "ov_compiled_model_get_property",
    "ov_core_compile_model",
    "ov_core_create",
    "ov_core_free",
    "ov_core_get_property",
    "ov_core_read_model",
    "ov_core_set_property",
    "ov_get_last_err_msg",
    "ov_get_openvino_version",
    "ov_infer_request_get_profiling_info",
    "ov_infer_request_get_tensor",
    "ov_infer_request_set_tensor",
    "ov_infer_request_start_async",
    "ov_infer_request_wait_for",
    "ov_model_const_input_by_index",
    "ov_model_free",
    "ov_model_inputs_size",
    "ov_port_get_any_name",
    "ov_profiling_info_list_free",
    "ov_shape_create",
    "ov_tensor_create",
    "ov_tensor_data",
    "ov_tensor_free",
    "ov_tensor_get_element_type",
    "ov_tensor_get_shape",
    "ov_version_free",
];

/// Looks into a library without loading it, which would not be undone in this process.
///
/// # Errors
/// If it is no library of this system, or lacks a function.
pub(super) fn check_library(library: &Path) -> Result<()> {
    let bytes = std::fs::read(library)
        .map_err(|error| Problem::io(library, "read the OpenVINO runtime", &error))?;
    // ELF, and Mach-O of one or of several architectures.
    let magic: [&[u8]; 3] = [b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"];
    if !magic.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(unusable(library, "is no shared library"));
    }
    // Names of symbols stand in the file as text that ends with a zero byte.
    let words = words(&bytes);
    match FUNCTIONS.iter().find(|name| !words.contains(**name)) {
        Some(name) => {
            let what = format!("is an OpenVINO too old: it has no function {name}");
            Err(unusable(library, what))
        }
        None => Ok(()),
    }
}

/// The files that come into memory with a library: OpenVINO's own and those of its threads, which lie beside it.
pub(in crate::engine) fn runtime_files(library: &Path) -> Vec<PathBuf> {
    let Some(folder) = library.parent() else { return Vec::new() };
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        ["libopenvino", "libtbb"].iter().any(|start| name.starts_with(start)) && path.is_file()
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(ours).collect();
    files.sort();
    files
}

/// A library that cannot serve, with what to do.
pub(super) fn unusable(library: &Path, why: impl Into<String>) -> Problem {
    Problem::in_file(library, why).help(
        "perfgate needs a whole OpenVINO, 2025.1 or newer: `pip install openvino`, or name another with \
         runtime = \"FOLDER\" for the variant",
    )
}

/// The names of functions of OpenVINO in a library.
fn words(bytes: &[u8]) -> BTreeSet<&str> {
    bytes
        .split(|byte| *byte == 0)
        .filter_map(|word| std::str::from_utf8(word).ok())
        // Mach-O puts an underscore before each name.
        .map(|word| word.trim_start_matches('_'))
        .filter(|word| word.starts_with("ov_"))
        .collect()
}

#[cfg(target_os = "macos")]
const LIBRARY: &str = "libopenvino_c.dylib or libopenvino_c.NNNN.dylib";
#[cfg(not(target_os = "macos"))]
const LIBRARY: &str = "libopenvino_c.so or libopenvino_c.so.NNNN";

fn is_library(name: &str) -> bool {
    name.starts_with("libopenvino_c.") && (name.contains(".so") || name.ends_with(".dylib"))
}

/// The library in a place: the file itself, or in the folders where wheels and archives keep it.
fn within(place: &Path) -> Option<PathBuf> {
    if place.is_file() {
        return Some(place.to_path_buf());
    }
    ["openvino/libs", "libs", "runtime/lib/intel64", "runtime/lib/arm64", "lib", "."]
        .iter()
        .find_map(|inner| library_in(&place.join(inner)))
}

/// The library in a folder; the unversioned name first, since it is the one meant to be loaded.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_library(name))
        .collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    names.first().map(|name| folder.join(name))
}

/// The runtimes among `runtimes/openvino-VERSION`, the highest version first.
fn newest(runtimes: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(runtimes).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.sort_by_key(|folder| std::cmp::Reverse(version_key(folder)));
    folders.iter().filter_map(|folder| within(folder)).collect()
}

/// The numbers in a folder's name, so that 2026.10 comes after 2026.4.
fn version_key(folder: &Path) -> Vec<u64> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// The `lib` folders under which Pythons keep what pip installs: of the active environment, beside
/// every folder of `PATH` (where CI services put their Pythons), of the user and of the system.
fn python_libraries() -> Vec<PathBuf> {
    let environments = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(std::env::var_os);
    let mut roots: Vec<PathBuf> = environments.map(PathBuf::from).collect();
    let path = std::env::var_os("PATH").unwrap_or_default();
    roots.extend(std::env::split_paths(&path).filter_map(|bin| Some(bin.parent()?.to_path_buf())));
    roots.extend(std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local")));
    roots.extend(["/usr/local", "/usr"].map(PathBuf::from));
    roots.into_iter().map(|root| root.join("lib")).collect()
}

/// The libraries in installed wheels, found without running Python.
fn in_wheels(libraries: Vec<PathBuf>) -> impl Iterator<Item = PathBuf> {
    libraries
        .into_iter()
        .filter_map(|library| std::fs::read_dir(library).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("python3")))
        .flat_map(|python| ["site-packages", "dist-packages"].map(|kind| python.join(kind)))
        .filter_map(|packages| within(&packages.join("openvino")))
}

/// Where the `openvino-finder` crate looks, and the archives' usual folder.
fn system() -> Option<PathBuf> {
    openvino_sys::library::find().or_else(|| {
        let mut folders: Vec<PathBuf> = std::fs::read_dir("/opt/intel")
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().contains("openvino"))
            .collect();
        folders.sort();
        folders.iter().rev().find_map(|folder| within(folder))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    #[test]
    fn the_variant_comes_first_and_is_never_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let named = root.path().join("mine");
        touch(&root.path().join("runtimes/openvino-2026.4.1/openvino/libs/libopenvino_c.so.2641"));
        let error = find_runtime(Some(&named), root.path()).unwrap_err().to_string();
        assert!(error.contains("mine: holds no OpenVINO"), "{error}");
        touch(&named.join("runtime/lib/intel64/libopenvino_c.so"));
        let found = find_runtime(Some(&named), root.path()).unwrap();
        assert!(found.ends_with("mine/runtime/lib/intel64/libopenvino_c.so"));
    }

    #[test]
    fn an_installed_wheel_is_found_without_python() {
        let root = tempfile::tempdir().unwrap();
        let library = root.path().join("lib");
        assert_eq!(in_wheels(vec![library.clone()]).next(), None);
        touch(&library.join("python3.12/site-packages/other/x.so"));
        let wheel = library.join("python3.12/site-packages/openvino/libs/libopenvino_c.so.2641");
        touch(&wheel);
        let found: Vec<PathBuf> = in_wheels(vec![root.path().join("none"), library]).collect();
        assert_eq!(found, [wheel]);
    }

    #[test]
    fn the_newest_of_several_runtimes_is_taken() {
        let root = tempfile::tempdir().unwrap();
        for version in ["2025.4.1", "2026.10.0", "2026.4.1"] {
            touch(
                &root.path().join(format!(
                    "runtimes/openvino-{version}/openvino/libs/libopenvino_c.so.2641"
                )),
            );
        }
        let found = newest(&root.path().join("runtimes"));
        assert_eq!(found.len(), 3);
        assert!(found[0].to_string_lossy().contains("2026.10.0"), "{found:?}");
    }
}
