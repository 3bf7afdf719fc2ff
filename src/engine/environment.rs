//! Owns the environment variables that a worker inherits and that change its arithmetic or its threads.

use std::collections::BTreeMap;

/// Families of variables that oneDNN (with its old name), OpenVINO, OpenMP and its runtimes, MKL, oneTBB, Rayon, candle
/// and the loader of libraries read. `ONEDNN_MAX_CPU_ISA` and `ONEDNN_DEFAULT_FPMATH_MODE` change answers.
const FAMILIES: [&str; 19] = [
    "ACL_",
    "BLIS_",
    "CANDLE_",
    "DNNL_",
    "GOMP_",
    "KMP_",
    "LD_PRELOAD",
    "LIBXSMM_",
    "MISTRALRS_",
    "MKL_",
    "OMP_",
    "ONEDNN_",
    "OPENBLAS_",
    "OPENVINO_",
    "OV_",
    "RAYON_",
    "TBB_",
    "VECLIB_",
    "GLIBC_TUNABLES",
];

/// Parts of the names of those that only say more or name places.
const HARMLESS: [&str; 7] =
    ["VERBOSE", "LOG_LEVEL", "DISPLAY", "TELEMETRY", "VISUALIZE", "_PATH", "_DIR"];

/// What each worker is given by perfgate itself.
const SET_BY_US: &str = "RAYON_NUM_THREADS";

/// The variables of this process, which its workers inherit, that change arithmetic or threads.
pub fn arithmetic_environment() -> BTreeMap<String, String> {
    // What is not text has no place in a record; its lossy form differs from another's all the same.
    let text = |part: std::ffi::OsString| part.to_string_lossy().into_owned();
    let all = std::env::vars_os().map(|(key, value)| (text(key), text(value)));
    all.filter(|(key, _)| changes_arithmetic(key)).collect()
}

fn changes_arithmetic(key: &str) -> bool {
    key != SET_BY_US
        && FAMILIES.iter().any(|family| key.starts_with(family))
        && !HARMLESS.iter().any(|part| key.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_answers_is_told_from_what_only_talks() {
        for key in [
            "ONEDNN_MAX_CPU_ISA",
            "ONEDNN_DEFAULT_FPMATH_MODE",
            "DNNL_MAX_CPU_ISA",
            "OV_CPU_MAX_ISA",
            "OMP_NUM_THREADS",
            "KMP_AFFINITY",
            "MKL_CBWR",
            "CANDLE_DEQUANTIZE_ALL",
        ] {
            assert!(changes_arithmetic(key), "{key}");
        }
        let silent = ["ONEDNN_VERBOSE", "OPENVINO_LOG_LEVEL", "PATH", "PERFGATE_OPENVINO", "HOME"];
        for key in silent.into_iter().chain([SET_BY_US]) {
            assert!(!changes_arithmetic(key), "{key}");
        }
    }
}
