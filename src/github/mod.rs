//! Owns all talk with GitHub: the one comment of a pull request, and what a job tells the page of its run.
//! Nothing is rendered here.

pub mod workflow;
