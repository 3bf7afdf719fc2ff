//! Owns all talk with GitHub: the one comment of a pull request, and what a job tells the page of its run.
//! Nothing is rendered here.

pub mod address;
pub mod client;
pub mod comments;
pub mod event;
pub mod mark;
mod refusal;
pub mod token;
pub mod workflow;
