//! Owns the format `markdown`: the verdict and what needs attention first, the rest folded, for GitHub.

use super::tables::{
    POLICY, POLICY_HEADER, has_notes, reasons, rule_cells, rule_header, variant_header,
};
use super::{Format, Report, RuleGroup, Section, SectionKind, Sheet, Style, VariantTable};
use comfy_table::{Table, presets};
use std::fmt::Write;

/// Markdown for GitHub.
pub(super) const FORMAT: Format =
    Format { id: "markdown", help: "Markdown for GitHub", charts: false, render, sheet };

fn render(report: &Report, _: Style) -> String {
    let mut out = format!("**{}**\n", escape(&report.headline));
    if !report.authority.is_empty() {
        let _ = write!(out, "\n{}", list(report.authority.iter()));
    }
    for warning in &report.warnings {
        let _ = write!(out, "\n> Warning: {}\n", escape(warning));
    }
    let (holding, open): (Vec<&Section>, Vec<&Section>) =
        report.sections.iter().partition(|section| section.kind == SectionKind::Holding);
    for part in open {
        let _ = write!(out, "\n### {}\n", escape(&part.title));
        out.push_str(&section(part));
    }
    out.push_str(&policy(report));
    if !report.variants.rows.is_empty() {
        let _ = write!(out, "\n### Variants\n\n{}", variants(&report.variants));
    }
    if !report.failures.is_empty() {
        out.push_str("\n### Failures\n\n");
        out.push_str(&list(report.failures.iter()));
    }
    for part in holding {
        let rules: usize = part.groups.iter().map(|group| group.rows.len()).sum();
        let title = format!("{} ({rules})", escape(&part.title));
        out.push_str(&folded(&title, &section(part)));
    }
    if !report.details.rows.is_empty() {
        out.push_str(&folded("Details", &format!("\n{}", variants(&report.details))));
    }
    let environment = report.environment.iter().map(|(name, value)| format!("{name}: {value}"));
    let lines: Vec<String> = report.method.iter().cloned().chain(environment).collect();
    out.push_str(&folded("Method and environment", &format!("\n{}", list(lines.iter()))));
    out
}

fn sheet(sheet: &Sheet, _: Style) -> String {
    let mut out = format!("**{}**\n", escape(&sheet.headline));
    for warning in &sheet.warnings {
        let _ = write!(out, "\n> Warning: {}\n", escape(warning));
    }
    for grid in sheet.tables.iter().filter(|grid| !grid.rows.is_empty()) {
        let mut table = table();
        table.set_header(grid.header.iter().map(|title| escape(title)));
        for row in &grid.rows {
            table.add_row(row.iter().map(|cell| escape(cell)));
        }
        let _ = write!(out, "\n### {}\n\n{}\n", escape(&grid.title), table.trim_fmt());
    }
    let _ = write!(out, "\n{}", list(sheet.notes.iter()));
    out
}

fn policy(report: &Report) -> String {
    if report.policy.is_empty() {
        return String::new();
    }
    let mut table = table();
    table.set_header(POLICY_HEADER);
    for change in &report.policy {
        let direction = change.direction.to_string();
        table.add_row([escape(&change.subject), escape(&change.change), direction]);
    }
    format!("\n### {POLICY}\n\n{}\n", table.trim_fmt())
}

fn folded(title: &str, content: &str) -> String {
    format!("\n<details><summary>{title}</summary>\n{content}\n</details>\n")
}

fn section(section: &Section) -> String {
    let mut out = String::new();
    for group in &section.groups {
        let _ = write!(out, "\n{}\n\n{}\n", escape(&group.title), rules(group));
        let reasons = reasons(group, |_| String::new());
        if !reasons.is_empty() {
            let _ = write!(out, "\n{}", list(reasons.iter()));
        }
    }
    if !section.next.is_empty() {
        let _ = write!(out, "\nNext:\n\n{}", list(section.next.iter()));
    }
    out
}

fn rules(group: &RuleGroup) -> String {
    let mut table = table();
    table.set_header(rule_header(group, true).iter().map(|title| escape(title)));
    for row in &group.rows {
        table.add_row(rule_cells(group, row, true).iter().map(|text| escape(text)));
    }
    table.trim_fmt()
}

fn variants(of: &VariantTable) -> String {
    let mut table = table();
    table.set_header(variant_header(of).iter().map(|title| escape(title)));
    for row in &of.rows {
        let mut cells = vec![escape(&row.what)];
        cells.extend(row.cells.iter().map(|cell| match cell.differs {
            true => format!("**{}**", escape(&cell.text)),
            false => escape(&cell.text),
        }));
        if has_notes(of) {
            let changes: Vec<String> = row.changes.iter().map(|change| escape(change)).collect();
            cells.push(changes.join("<br>"));
        }
        table.add_row(cells);
    }
    let mut out = format!("{}\n", table.trim_fmt());
    if !of.notes.is_empty() {
        let _ = write!(out, "\n{}", list(of.notes.iter()));
    }
    out
}

fn list<'a>(lines: impl Iterator<Item = &'a String>) -> String {
    lines.map(|line| format!("- {}\n", escape(line))).collect()
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).force_no_tty();
    table
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
