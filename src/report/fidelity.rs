//! Owns the tables of what teacher forcing found, and how it was done in words.

use super::{Grid, words};
use crate::record::{Part, Results};
use crate::stats::Interval;
use crate::verdict::{self, Forced};

/// A table for each session in which documents were forced.
pub(super) fn grids(results: &Results) -> Vec<Grid> {
    results.parts.iter().filter_map(of_part).collect()
}

fn of_part(part: &Part) -> Option<Grid> {
    let forced = verdict::forced(part);
    let reference = &forced.first()?.reference;
    let column = |one: &Forced| format!("{}, {}", one.variant, one.forcing);
    let header = std::iter::once("metric".to_string()).chain(forced.iter().map(column));
    let row = |(name, cell): &(String, Cell)| {
        std::iter::once(name.clone()).chain(forced.iter().map(cell)).collect()
    };
    Some(Grid {
        title: format!("Fidelity to {reference}"),
        header: header.collect(),
        rows: cells(reference).iter().map(row).collect(),
    })
}

/// What stands in a column.
type Cell = fn(&Forced) -> String;

/// The rows: what they are called, and a cell of them.
fn cells(reference: &str) -> [(String, Cell); 9] {
    let named = |name: &str, cell: Cell| (name.to_string(), cell);
    [
        named("documents", documents),
        named("positions", |one| one.positions.to_string()),
        named("KL divergence, nats", |one| finite(one, shown(one.kl, number))),
        named("KL divergence P99, nats", |one| finite(one, shown(one.p99, number))),
        named("KL divergence max, nats", |one| {
            finite(one, one.max.map_or("-".to_string(), number))
        }),
        named("top-1 agreement", |one| {
            finite(one, shown(one.agreement, |n| format!("{:.2}%", n * 100.0)))
        }),
        named("perplexity", |one| finite(one, perplexity(one, 0))),
        named(&format!("perplexity of {reference}"), |one| perplexity(one, 1)),
        named("change of perplexity", |one| finite(one, shown(one.change, signed))),
    ]
}

/// A figure, unless the logits of some documents were NaN or infinite: the mean over the others is not the variant's.
fn finite(one: &Forced, text: String) -> String {
    if one.not_finite > 0 { "not finite".to_string() } else { text }
}

fn documents(one: &Forced) -> String {
    match one.failed {
        0 => one.documents.to_string(),
        failed => format!("{} ({failed} failed)", one.documents),
    }
}

fn perplexity(one: &Forced, place: usize) -> String {
    one.perplexity.map_or("-".to_string(), |both| number(both[place]))
}

/// A point with the ends of its 95% interval, where it has a width.
fn shown(interval: Option<Interval>, word: fn(f64) -> String) -> String {
    match interval {
        None => "-".to_string(),
        Some(Interval { point, low, high }) if low < high => {
            format!("{} ({} to {})", word(point), word(low), word(high))
        }
        Some(Interval { point, .. }) => word(point),
    }
}

/// Four digits that say something.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_string(),
        size if size < 1e-3 => format!("{value:.1e}"),
        size if size < 9.9995 => format!("{value:.4}"),
        _ => format!("{value:.2}"),
    }
}

/// A relative change, whose hundredths of a percent matter here.
fn signed(change: f64) -> String {
    if change.abs() < 0.01 { format!("{:+.2}%", change * 100.0) } else { words::percent(change) }
}

/// How documents were forced, in words.
pub(super) fn method(part: &Part) -> Option<String> {
    let plan = part.header.plan.fidelity.as_ref().filter(|plan| !plan.variants.is_empty())?;
    let (all, reference) = (part.fidelity.len(), &plan.reference);
    let cached = part.fidelity.iter().filter(|one| one.cached).count();
    let last = |name: &&String| part.engine(name).is_some_and(|engine| !engine.all_positions);
    let stepped: Vec<&str> =
        plan.variants.iter().chain([reference]).filter(last).map(String::as_str).collect();
    let mut text = format!(
        "{} documents of at most {} tokens forced through {} and {reference}, by position: \
         KL({reference} || variant) of the next token's distributions; \"whole\" in one call, \"stepwise\" \
         (the first {}) token by token through the cache; {cached} of {all} from earlier sessions with the \
         same models, engines and processor kind; the document is the unit, weighted by its positions: \
         Student's t, for P99 a bootstrap over documents, 95% in the table",
        plan.documents.len(),
        plan.tokens,
        plan.variants.join(", "),
        plan.stepwise.min(plan.documents.len() as u32),
    );
    if plan.skip > 0 {
        text += &format!("; the first {} positions of each are not counted", plan.skip);
    }
    if !stepped.is_empty() {
        text += &format!(
            "; {} token by token in either case: its engine gives the last position of a call only",
            stepped.join(", ")
        );
    }
    Some(text)
}
