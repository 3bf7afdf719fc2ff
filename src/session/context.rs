//! Owns the check that everything that is to be fed and generated fits into the models' contexts, before anything is
//! measured. Beyond it some engines run on silently, and what comes out means nothing.

use super::preflight::Models;
use crate::config::{Config, Variant};
use crate::engine::Context;
use crate::problem::{Problem, Result};
use crate::workload::{Ask, Documents, Graded, Prompts};

/// Holds each variant's prompts, with what they generate, against the context that its model's files state. One that
/// no file states cannot be checked.
///
/// # Errors
/// If one is longer; the message names it and what to do.
pub(super) fn check(
    config: &Config,
    models: &Models,
    prompts: &Prompts,
    graded: Option<&Graded>,
    documents: Option<&Documents>,
) -> Result<()> {
    for variant in &config.variants {
        let Some(context) = &models[&variant.name].context else { continue };
        if let Some(one) = too_long(config, variant, context, prompts, graded, documents) {
            return Err(one.problem(variant, context));
        }
    }
    Ok(())
}

/// A sequence that does not fit.
struct TooLong {
    /// What it is, with its id.
    what: String,
    prompt: usize,
    generated: usize,
    help: &'static str,
}

impl TooLong {
    fn problem(self, variant: &Variant, context: &Context) -> Problem {
        let TooLong { what, prompt, generated, help } = self;
        let behind = match generated {
            0 => String::new(),
            generated => format!(" and up to {generated} generated ones"),
        };
        let said = format!(
            "{what} has {prompt} tokens{behind}, and the model's context is of {} ({})",
            context.tokens, context.said_by
        );
        Problem::in_file(&variant.load.model, said)
            .help(help)
            .of(&format!("variant '{}'", variant.name))
    }
}

fn too_long(
    config: &Config,
    variant: &Variant,
    context: &Context,
    prompts: &Prompts,
    graded: Option<&Graded>,
    documents: Option<&Documents>,
) -> Option<TooLong> {
    // The last token of all is never fed.
    let fits =
        |prompt: usize, generated: usize| (prompt + generated).saturating_sub(1) <= context.tokens;
    let is_timed = config.rounds > 0 || config.sustained.is_some() || config.concurrency.is_some();
    let generated = config.workload.gen_tokens as usize;
    let timed = prompts.of(&variant.name).iter().filter(|_| is_timed);
    let timed = timed.filter(|task| !fits(task.tokens.len(), generated)).map(|task| TooLong {
        what: format!("the task '{}'", task.id),
        prompt: task.tokens.len(),
        generated,
        help: "shorten it, or lower prompt_tokens or gen_tokens in [workload]",
    });
    let asked = graded.into_iter().flat_map(|graded| {
        let of_variant = graded.asks.iter().filter(|(name, _)| *name == variant.name);
        of_variant.flat_map(|(_, asks)| graded.ids.iter().zip(asks))
    });
    let asked = asked.filter_map(|(id, ask)| {
        let (prompt, generated) = (ask.prompt().len(), behind(ask));
        let help = match ask {
            Ask::Generate(_) => "shorten its prompt, or lower max_tokens in [quality] or its suite",
            Ask::Choose { .. } => "shorten its prompt or its choices",
        };
        let what = format!("the graded task '{id}'");
        (!fits(prompt, generated)).then_some(TooLong { what, prompt, generated, help })
    });
    let is_forced = config.fidelity.as_ref().is_some_and(|fidelity| {
        fidelity.variants.contains(&variant.name) || variant.name == config.reference
    });
    let forced = documents.filter(|_| is_forced);
    let forced =
        forced.into_iter().flat_map(|documents| documents.ids.iter().zip(&documents.tokens));
    let forced = forced.filter(|(_, tokens)| !fits(tokens.len(), 0)).map(|(id, tokens)| TooLong {
        what: format!("the document '{id}'"),
        prompt: tokens.len(),
        generated: 0,
        help: "lower tokens in [quality.fidelity]",
    });
    timed.chain(asked).chain(forced).next()
}

/// Tokens behind the prompt of a graded task, at most.
fn behind(ask: &Ask) -> usize {
    match ask {
        Ask::Generate(order) => order.tokens as usize,
        Ask::Choose { choices, .. } => choices.iter().map(Vec::len).max().unwrap_or(0),
    }
}
