//! Owns the grading of answers from a file, so that other programs can hold the graders against their own:
//!
//!     target/release/examples/grade_answers pairs.jsonl > grades.jsonl
//!
//! Each line is `{"grader": …, "expect": …, "answers": ["text", …]}`; what comes out is a line of
//! `[["right", null], ["wrong", "reason"], …]` for each.

use perfgate::record::Grade;
use perfgate::workload::{Expectation, grade};
use serde::Deserialize;
use std::io::{BufRead, BufReader, BufWriter, Write};

#[derive(Deserialize)]
struct Line {
    #[serde(flatten)]
    expectation: Expectation,
    answers: Vec<String>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("name a file of answers")?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in BufReader::new(std::fs::File::open(file)?).lines() {
        let Line { expectation, answers } = serde_json::from_str(&line?)?;
        let graded = answers.iter().map(|answer| {
            let outcome = grade(&expectation, answer);
            let word = match outcome.grade {
                Grade::Right => "right",
                Grade::Wrong => "wrong",
                Grade::Failed => "failed",
            };
            (word, outcome.reason.or(outcome.failure.map(|failure| failure.message)))
        });
        serde_json::to_writer(&mut out, &graded.collect::<Vec<_>>())?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}
