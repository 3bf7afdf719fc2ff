//! Owns rendering chat templates by perfgate for the evidence that holds them to transformers.
//!
//! `render_templates` reads lines of a template's file, a tab and a conversation, the JSON object of the template's
//! variables, and writes for each a line `{"text": …}` or `{"problem": …}`.

use chrono::NaiveDate;
use perfgate::config::CHAT_DATE;
use perfgate::problem::{Problem, Result};
use perfgate::workload::Chat;
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut chats = HashMap::new();
    for line in std::io::stdin().lines() {
        let rendered = match line {
            Ok(line) => render(&line, CHAT_DATE, &mut chats),
            Err(error) => Err(Problem::new(format!("standard input cannot be read: {error}"))),
        };
        println!(
            "{}",
            match rendered {
                Ok(text) => json!({ "text": text }),
                Err(problem) => json!({ "problem": problem.to_string() }),
            }
        );
    }
    ExitCode::SUCCESS
}

fn render(line: &str, date: NaiveDate, chats: &mut HashMap<String, Chat>) -> Result<String> {
    let (file, conversation) = line
        .split_once('\t')
        .ok_or_else(|| Problem::new("a line is a template's file, a tab and a conversation"))?;
    if !chats.contains_key(file) {
        chats.insert(file.to_string(), Chat::of_file(Path::new(file), date)?);
    }
    chats[file].render_json(conversation)
}
