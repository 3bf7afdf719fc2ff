//! The integration tests, in one binary so that the engines' libraries are linked once.
//!
//! Those in `real_model` run real engines on the model that `scripts/setup.sh` makes, those in `families` on the
//! random ones of `scripts/random_llama.sh tests`; the others use the scripted engine, whose latencies are exact.

mod again;
mod answers;
mod architecture;
mod attacks;
mod bad_input;
mod baseline;
mod batches;
mod bisect;
mod checkpoints;
mod clones;
mod combined;
mod damage;
mod doctor;
mod energy;
mod explain;
mod families;
mod fidelity;
mod formats;
mod gate;
mod github;
mod github_server;
mod graders;
mod harmless;
mod headlines;
mod history;
mod html;
mod identity;
mod init;
mod interruption;
mod machines;
mod load;
mod merge;
mod models;
mod parsers;
mod policy;
mod publish;
mod quality;
mod real_model;
mod recommend;
mod reference;
mod rows;
mod schema;
mod snapshots;
mod start;
mod statistics;
mod store;
mod support;
mod tasks;
mod text;
