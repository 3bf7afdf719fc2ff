//! Owns how figures are written: tables, percentages and what is marked.

use std::fmt::{Display, Formatter, Result};

/// A Markdown table.
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Table {
        Table { head: head.iter().map(ToString::to_string).collect(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "| {} |", self.head.join(" | "))?;
        writeln!(f, "|{}", " --- |".repeat(self.head.len()))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

pub fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// A share that is given, without the digits that it doesn't have.
pub fn given(share: f64) -> String {
    format!("{}%", (1000.0 * share).round() / 10.0)
}

/// A difference of shares.
pub fn points(share: f64) -> String {
    format!("{:.2} points", 100.0 * share)
}

pub fn bold_if(bad: bool, text: String) -> String {
    if bad { format!("**{text}**") } else { text }
}

/// Several shares in one cell.
pub fn several(shares: &[f64]) -> String {
    shares.iter().map(|share| percent(*share)).collect::<Vec<_>>().join(" / ")
}

/// The standard error of a share of 5% or of 95%.
pub fn standard_error(replications: usize) -> f64 {
    (0.05 * 0.95 / replications as f64).sqrt()
}

/// The share of false alarms over which 5% is not kept.
pub fn most_alarms(replications: usize) -> f64 {
    0.05 + 3.0 * standard_error(replications)
}

/// A share of false alarms, bold where 5% is not kept.
pub fn alarms(share: f64, replications: usize) -> String {
    bold_if(share > most_alarms(replications), percent(share))
}

/// The coverage under which it is marked.
pub const LOW_COVERAGE: f64 = 0.93;

/// A coverage, bold where it is low.
pub fn covered(share: f64) -> String {
    bold_if(share < LOW_COVERAGE, percent(share))
}

/// `none`, or the items with semicolons.
pub fn listed(items: &[String]) -> String {
    if items.is_empty() { "none".to_string() } else { items.join("; ") }
}

/// The least and the largest of some shares.
pub fn range(shares: impl IntoIterator<Item = f64>) -> String {
    let (low, high) = shares
        .into_iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    format!("{} to {}", percent(low), percent(high))
}
