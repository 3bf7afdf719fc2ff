//! Owns templates around prompts, such as few-shot examples: a prompt put into its place.

use crate::problem::{Problem, Result};
use minijinja::{Environment, UndefinedBehavior, context};
use std::path::Path;

/// A prompt inside a user's template, of which `{{ prompt }}` is the place.
///
/// # Errors
/// If the template fails, or what it makes does not hold the prompt.
pub(super) fn fill(file: &Path, template: &str, prompt: &str) -> Result<String> {
    const HELP: &str = "the prompt of a task is {{ prompt }}";
    let mut environment = Environment::new();
    // A misspelt name would otherwise be nothing, and every prompt the same.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let text = environment.render_str(template, context! { prompt }).map_err(|error| {
        let problem = Problem::in_file(file, format!("the template fails: {error}")).help(HELP);
        match error.line() {
            Some(line) => problem.at(line, 1),
            None => problem,
        }
    })?;
    if !text.contains(prompt.trim()) {
        let what =
            "the template leaves out or changes the prompt, so that tasks would not be told apart";
        return Err(Problem::in_file(file, what).help(HELP));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_put_into_its_place() {
        let fill = |template| fill(Path::new("t.jinja"), template, "2+2?");
        assert_eq!(
            fill("Q: 1+1?\nA: 2\nQ: {{ prompt }}\nA:").unwrap(),
            "Q: 1+1?\nA: 2\nQ: 2+2?\nA:"
        );
        let problem = fill("Q: {{ promt }}").unwrap_err().to_string();
        assert!(problem.starts_with("t.jinja:1:1: the template fails"), "{problem}");
        let problem = fill("Q: 2+2\nA:").unwrap_err().to_string();
        assert!(
            problem.starts_with("t.jinja: the template leaves out or changes the prompt"),
            "{problem}"
        );
    }
}
