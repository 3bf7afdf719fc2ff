//! Owns the search for texts that are more than text in an output: in Markdown, HTML, XML, JSON, a log or on a
//! terminal. The checks are those of the tests.

#![no_main]

#[path = "../../tests/it/harmless.rs"]
mod harmless;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| harmless::check("fuzz", text));
