//! Owns what makes runs comparable and traceable: the machine's class and git's provenance. And
//! the store of accepted sessions.

mod comparable;
mod machine;
mod provenance;
mod store;

pub use comparable::{
    Between, another_processor, between, class_differences, differences, mismatch, unlike,
    unlike_stored,
};
pub use machine::{environment, is_virtual, memory_bytes};
pub use provenance::{git_state, is_committed, is_shallow, provenance};
pub use store::{
    Stored, StoredMark, StoredQuality, StoredRun, StoredVariant, StoredVerdict, StoredWorkload,
    class_folder, classes, load, parse_stored, place, surplus, too_large,
};
