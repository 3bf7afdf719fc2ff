//! Owns what makes runs comparable and traceable: the machine's class and git's provenance. And
//! the store of accepted sessions.

mod anchor;
mod comparable;
mod history;
mod cpus;
mod machine;
mod provenance;
mod store;

pub use anchor::{Anchored, Stores, load_at};
pub use comparable::{
    Between, another_processor, between, class_differences, differences, differences_of_stored,
    mismatch, same_class, unlike, unlike_set_ups,
};
pub use history::{Accepted, History, history};
pub use machine::{environment, is_virtual, memory_bytes};
pub use provenance::{git_state, is_committed, is_shallow, provenance};
pub use store::{
    Stored, StoredMark, StoredQuality, StoredRun, StoredVariant, StoredVerdict, StoredWorkload,
    class_folder, classes, files, load, order, parse_stored, place, surplus, too_large,
};
