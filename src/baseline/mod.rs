//! Owns what makes runs comparable and traceable: the machine's class and git's provenance. The
//! store of accepted sessions will stand here.

mod machine;
mod provenance;

pub use machine::environment;
pub use provenance::provenance;
