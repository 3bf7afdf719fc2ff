//! Owns the renderers: the terminal's text and Markdown, as pure functions of a report.

use super::{Report, RuleGroup, RuleRow};
use crate::record::VerdictKind;
use comfy_table::{Attribute, Cell, Color, LineStyle, Table, TableStyle, presets};
use std::fmt::Write;

/// A line under the header and nothing else: rows of figures need no cage.
const TERMINAL: TableStyle =
    presets::NOTHING.header_separator(LineStyle::none().fill('─').junction('─'));

/// The width that every terminal is taken to have.
const WIDTH: usize = 100;

/// Text for a terminal of at least 100 columns; `color` for those that show it.
pub fn terminal(report: &Report, color: bool) -> String {
    let mut out = String::new();
    paragraph(&mut out, "", &report.headline);
    for warning in &report.warnings {
        paragraph(&mut out, "", &format!("warning: {warning}"));
    }
    for group in &report.groups {
        let mut table = table(TERMINAL, color);
        table.set_header(rule_header(group));
        for row in &group.rows {
            let cells = rule_cells(group, row).into_iter().map(Cell::new);
            let mut cells: Vec<Cell> = cells.collect();
            let last = cells.len() - 1;
            cells[last] = colored(row.verdict, color);
            table.add_row(cells);
        }
        let _ = write!(out, "\n{}\n{}\n", group.title, table.trim_fmt());
        for row in group.rows.iter().filter(|row| !row.reason.is_empty()) {
            paragraph(&mut out, "  ", &format!("{}: {}", row.id, row.reason));
        }
    }
    let mut table = table(TERMINAL, color);
    let header = std::iter::once("metric".to_string()).chain(report.variants.columns.clone());
    table.set_header(header);
    for (name, cells) in &report.variants.rows {
        table.add_row(std::iter::once(name.clone()).chain(cells.clone()));
    }
    let _ = write!(out, "\nAll variants\n{}\n", table.trim_fmt());
    for note in &report.variants.notes {
        paragraph(&mut out, "  ", note);
    }
    if !report.failures.is_empty() {
        out.push_str("\nFailures\n");
        for failure in &report.failures {
            paragraph(&mut out, "  ", failure);
        }
    }
    out.push('\n');
    for method in &report.method {
        paragraph(&mut out, "", method);
    }
    out
}

/// Text wrapped at the width of a narrow terminal, later lines indented under the first.
fn paragraph(out: &mut String, indent: &str, text: &str) {
    let later = format!("{indent}  ");
    for (index, line) in text.lines().enumerate() {
        let first = if index == 0 { indent } else { &later };
        let options = textwrap::Options::new(WIDTH).initial_indent(first).subsequent_indent(&later);
        out.push_str(&textwrap::fill(line, options));
        out.push('\n');
    }
}

fn table(style: TableStyle, color: bool) -> Table {
    let mut table = Table::new();
    table.load_style(style);
    if color {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    table
}

fn colored(verdict: VerdictKind, color: bool) -> Cell {
    let cell = Cell::new(verdict);
    match (color, verdict) {
        (false, _) => cell,
        (true, VerdictKind::Pass | VerdictKind::Improved) => cell.fg(Color::Green),
        (true, VerdictKind::Regressed | VerdictKind::Invalid) => {
            cell.fg(Color::Red).add_attribute(Attribute::Bold)
        }
        (true, _) => cell.fg(Color::Yellow),
    }
}

/// The titles of a group's table.
fn rule_header(group: &RuleGroup) -> Vec<String> {
    let mut titles = vec!["rule".to_string()];
    titles.extend(group.base_title.clone());
    titles.push(group.now_title.clone());
    titles.extend(group.base_title.as_ref().map(|_| "change".to_string()));
    titles.extend(["interval", "limit", "verdict"].map(str::to_string));
    titles
}

/// The cells under them, the verdict last.
fn rule_cells(group: &RuleGroup, row: &RuleRow) -> Vec<String> {
    let compares = group.base_title.is_some();
    let mut cells = vec![row.what.clone()];
    cells.extend(compares.then(|| row.base.clone()));
    cells.push(row.now.clone());
    cells.extend(compares.then(|| row.change.clone()));
    cells.extend([row.interval.clone(), row.limit.clone(), row.verdict.to_string()]);
    cells
}

/// Markdown for GitHub: the verdict and the rules first, the rest folded.
pub fn markdown(report: &Report) -> String {
    let mut out = format!("**{}**\n", escape(&report.headline));
    for warning in &report.warnings {
        let _ = write!(out, "\n> Warning: {}\n", escape(warning));
    }
    for group in &report.groups {
        let mut table = table(presets::ASCII_MARKDOWN, false);
        table.set_header(rule_header(group).iter().map(|title| escape(title)));
        for row in &group.rows {
            table.add_row(rule_cells(group, row).iter().map(|text| escape(text)));
        }
        let _ = write!(out, "\n### {}\n\n{}\n", escape(&group.title), table.trim_fmt());
        let reasons = group.rows.iter().filter(|row| !row.reason.is_empty());
        for (index, row) in reasons.enumerate() {
            let space = if index == 0 { "\n" } else { "" };
            let _ = writeln!(out, "{space}- {}: {}", escape(&row.id), escape(&row.reason));
        }
    }
    let mut table = table(presets::ASCII_MARKDOWN, false);
    let columns = report.variants.columns.iter().map(|name| escape(name));
    table.set_header(std::iter::once("metric".to_string()).chain(columns));
    for (name, cells) in &report.variants.rows {
        table.add_row(std::iter::once(name).chain(cells).map(|text| escape(text)));
    }
    let _ = write!(out, "\n### All variants\n\n{}\n", table.trim_fmt());
    if !report.variants.notes.is_empty() {
        out.push('\n');
    }
    for note in &report.variants.notes {
        let _ = writeln!(out, "- {}", escape(note));
    }
    if !report.failures.is_empty() {
        out.push_str("\n### Failures\n\n");
        for failure in &report.failures {
            let _ = writeln!(out, "- {}", escape(failure));
        }
    }
    out.push_str("\n<details><summary>Method and environment</summary>\n\n");
    for method in &report.method {
        let _ = writeln!(out, "- {}", escape(method));
    }
    for (name, value) in &report.environment {
        let _ = writeln!(out, "- {}: {}", escape(name), escape(value));
    }
    out.push_str("\n</details>\n");
    out
}

/// Text that Markdown shows as it is: no markup, no table cell's end, no mention, on one line.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // A zero-width space keeps GitHub from notifying people.
            '@' => out.push_str("@\u{200b}"),
            '|' | '*' | '`' | '[' | ']' | '\\' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            // An underscore marks up only at the edge of a word; names are full of inner ones.
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        let text = "<img src=x> | **bold** `code`\n@someone [link](x)";
        let escaped = escape(text);
        assert_eq!(
            escaped,
            "&lt;img src=x&gt; \\| \\*\\*bold\\*\\* \\`code\\` @\u{200b}someone \\[link\\](x)"
        );
    }
}
