//! perfgate runs the variants of a language model headless, measures them on an agent workload, and
//! decides with statistics whether a change may merge.
//!
//! Data flows in one direction:
//!
//! ```text
//! config + workload -> plan -> session ( rounds and quality by workers and engines -> record ->
//! stats -> verdicts -> enough? ) -> report -> outputs, exit code
//! ```
//!
//! The modules stand below in that order, and each imports only those above it and the leaves; the
//! test `modules_import_only_what_stands_above_them` holds them to it.

// Leaves, which every module may use.
pub mod document;
pub mod git;
pub mod hash;
pub mod metric;
pub mod problem;
pub mod protocol;
pub mod record;

// The flow. What a machine can do asks nothing of the rest. Engines stand before the configuration, which asks them for their keys.
pub mod hardware;
pub mod engine;
pub mod config;
pub mod workload;
pub mod worker;
pub mod runner;
pub mod stats;
pub mod quality;
pub mod load;
pub mod baseline;
pub mod policy;
pub mod verdict;
pub mod session;
pub mod insight;
pub mod doctor;
pub mod report;
pub mod github;
pub mod cli;
