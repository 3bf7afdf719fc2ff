//! Owns chat templates: finding a model's own, and rendering one as Hugging Face's `transformers` does.

use super::Task;
use crate::config::{ChatTemplate, Variant};
use crate::problem::{Problem, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, context};
use serde_json::Value;
use std::path::Path;

/// A variant's chat template, if it wants one.
pub(super) fn of_variant(variant: &Variant) -> Result<Option<String>> {
    match &variant.chat_template {
        ChatTemplate::None => Ok(None),
        ChatTemplate::Model => of_model(&variant.load.model).map(Some),
        ChatTemplate::File(path) => std::fs::read_to_string(path).map(Some).map_err(|error| {
            Problem::io(path, "read the chat template", &error).help(format!(
                "variant '{}' names it: chat_template = \"FILE\", \"model\" or \"none\"",
                variant.name
            ))
        }),
    }
}

/// A prompt inside a user's template, of which `{{ prompt }}` is the place.
pub(super) fn fill(file: &Path, template: &str, prompt: &str) -> Result<String> {
    let mut environment = Environment::new();
    // A misspelt name would otherwise be nothing, and every prompt the same.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.render_str(template, context! { prompt }).map_err(|error| {
        let problem = Problem::in_file(file, format!("the template fails: {error}"))
            .help("the prompt of a task is {{ prompt }}");
        match error.line() {
            Some(line) => problem.at(line, 1),
            None => problem,
        }
    })
}

/// The template in a model's `tokenizer_config.json` (or its `chat_template.jinja`).
fn of_model(model: &Path) -> Result<String> {
    let jinja = model.join("chat_template.jinja");
    if jinja.is_file() {
        return std::fs::read_to_string(&jinja)
            .map_err(|error| Problem::io(&jinja, "read the chat template", &error));
    }
    let file = model.join("tokenizer_config.json");
    let config = read_json(&file)?;
    match config.get("chat_template").and_then(Value::as_str) {
        Some(template) => Ok(template.to_string()),
        None => Err(Problem::in_file(&file, "holds no chat_template")
            .help("set chat_template = \"FILE.jinja\" or \"none\" for this variant")),
    }
}

/// One of a model's small files of JSON.
pub(super) fn read_json(file: &Path) -> Result<Value> {
    let help = "copy or download it again from where the model comes from";
    let text = std::fs::read_to_string(file)
        .map_err(|error| Problem::io(file, "read the model's file", &error).help(help))?;
    serde_json::from_str(&text)
        .map_err(|error| Problem::json(file, "is no JSON", &error).help(help))
}

/// Renders a task as a conversation that waits for the assistant.
pub(super) fn render(template: &str, task: &Task, variant: &Variant) -> Result<String> {
    let mut messages = Vec::new();
    if let Some(system) = &task.system {
        messages.push(context! { role => "system", content => system });
    }
    messages.push(context! { role => "user", content => &task.prompt });
    let config = variant.load.model.join("tokenizer_config.json");
    let special = if config.is_file() { read_json(&config)? } else { Value::Null };
    // The settings of `transformers.apply_chat_template`.
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .expect("only the treatment of white space differs from the default");
    let mut environment = Environment::new();
    environment.set_syntax(syntax);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function(
        "raise_exception",
        |message: String| -> std::result::Result<String, _> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        },
    );
    let wrong = |error: minijinja::Error| {
        Problem::new(format!("the chat template of variant '{}' fails: {error}", variant.name))
    };
    environment
        .render_str(
            template,
            context! {
                messages,
                add_generation_prompt => true,
                bos_token => token(&special, "bos_token"),
                eos_token => token(&special, "eos_token"),
            },
        )
        .map_err(wrong)
}

/// A special token stands as a string or as an object with a `content`.
pub(super) fn token(config: &Value, key: &str) -> String {
    let value = &config[key];
    value.as_str().or_else(|| value["content"].as_str()).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::LoadSpec;

    fn variant() -> Variant {
        Variant {
            name: "v".into(),
            model_as_written: String::new(),
            tokenizer: "t".into(),
            chat_template: ChatTemplate::None,
            load: LoadSpec::default(),
            model_sha256: None,
            files_sha256: None,
            runtime_version: None,
            recipe: None,
            elsewhere: None,
            must_be_known: false,
        }
    }

    #[test]
    fn renders_roles_in_order_and_asks_for_the_assistant() {
        let template = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}\
                        {% if add_generation_prompt %}<assistant>{% endif %}";
        let task = Task {
            id: "t".into(),
            system: Some("be brief".into()),
            prompt: "2+2?".into(),
            suite: None,
            tags: vec![],
        };
        let text = render(template, &task, &variant()).unwrap();
        assert_eq!(text, "<system>be brief\n<user>2+2?\n<assistant>");
    }

    #[test]
    fn a_prompt_is_put_into_its_place() {
        let fill = |template| fill(Path::new("t.jinja"), template, "2+2?");
        assert_eq!(
            fill("Q: 1+1?\nA: 2\nQ: {{ prompt }}\nA:").unwrap(),
            "Q: 1+1?\nA: 2\nQ: 2+2?\nA:"
        );
        let problem = fill("Q: {{ promt }}").unwrap_err().to_string();
        assert!(problem.starts_with("t.jinja:1:1: the template fails"), "{problem}");
    }

    #[test]
    fn a_template_that_refuses_says_why() {
        let task =
            Task { id: "t".into(), system: None, prompt: "x".into(), suite: None, tags: vec![] };
        let problem =
            render("{{ raise_exception('no system role') }}", &task, &variant()).unwrap_err();
        assert!(problem.to_string().contains("no system role"), "{problem}");
    }
}
