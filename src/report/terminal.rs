//! Owns the format `terminal`: text for a terminal of at least 100 columns.

use super::paint::{Tone, paint, paint_first};
use super::tables::{
    POLICY, POLICY_HEADER, has_notes, reasons, rule_cells, rule_header, variant_header,
};
use super::{
    Format, Grid, Report, RuleGroup, RuleRow, Section, SectionKind, Sheet, Style, VariantTable,
};
use crate::record::VerdictKind;
use comfy_table::{
    Attribute, Cell, Color, ContentArrangement, LineStyle, Table, TableStyle, presets,
};
use std::fmt::Write;

/// Tables for a terminal.
pub(super) const FORMAT: Format = Format {
    id: "terminal",
    help: "Tables for a terminal",
    charts: false,
    render,
    sheet: Some(sheet),
};

/// A line under the header and nothing else: rows of figures need no cage.
const TABLE: TableStyle =
    presets::NOTHING.header_separator(LineStyle::none().fill('─').junction('─'));

/// The width that every terminal is taken to have.
const WIDTH: usize = 100;

fn render(report: &Report, style: Style) -> String {
    let mut out = String::new();
    let tone = if report.in_doubt { Tone::Open } else { Tone::of_outcome(report.outcome) };
    headline(&mut out, &report.headline, tone, style);
    for notice in &report.notices {
        paragraph(&mut out, "", &format!("NOTE: {notice}"));
    }
    for line in &report.authority {
        paragraph(&mut out, "", line);
    }
    warnings(&mut out, &report.warnings, style);
    let (holding, open): (Vec<&Section>, Vec<&Section>) =
        report.sections.iter().partition(|section| section.kind == SectionKind::Holding);
    open.into_iter().for_each(|part| section(&mut out, part, style));
    policy(&mut out, report, style);
    variants(&mut out, "Variants", &report.variants, style);
    let tasks = report.tasks.len().min(if style.verbose { usize::MAX } else { 1 });
    report.tasks[..tasks].iter().for_each(|table| grid(&mut out, table, style));
    for flips in &report.flips {
        paragraph(&mut out, "  ", &format!("{} (report.md shows them)", flips.title));
    }
    report.fidelity.iter().for_each(|table| grid(&mut out, table, style));
    findings(&mut out, "Why", &report.why, style);
    if let Some(recommended) = &report.recommended {
        grid(&mut out, &recommended.table, style);
        paragraph(&mut out, "  ", &recommended.conclusion);
    }
    report.load.iter().for_each(|table| grid(&mut out, table, style));
    if style.verbose {
        report.load_details.iter().for_each(|table| grid(&mut out, table, style));
    }
    holding.into_iter().for_each(|part| section(&mut out, part, style));
    if style.verbose {
        variants(&mut out, "Details", &report.details, style);
    }
    if !report.failures.is_empty() {
        title(&mut out, "Failures", style);
        for failure in &report.failures {
            paragraph(&mut out, "  ", failure);
        }
    }
    out.push('\n');
    for method in &report.method {
        paragraph(&mut out, "", method);
    }
    if style.verbose {
        title(&mut out, "Environment", style);
        for (name, value) in &report.environment {
            paragraph(&mut out, "  ", &format!("{name}: {value}"));
        }
    }
    out
}

fn policy(out: &mut String, report: &Report, style: Style) {
    if report.policy.is_empty() {
        return;
    }
    let mut table = table(style);
    table.set_header(POLICY_HEADER);
    for change in &report.policy {
        table.add_row([&change.subject, &change.change, &change.direction.to_string()]);
    }
    title(out, POLICY, style);
    let _ = writeln!(out, "{}", table.trim_fmt());
}

fn sheet(sheet: &Sheet, style: Style) -> String {
    let mut out = String::new();
    headline(&mut out, &sheet.headline, Tone::Title, style);
    warnings(&mut out, &sheet.warnings, style);
    findings(&mut out, "Findings", &sheet.findings, style);
    let tables = sheet.tables.iter().filter(|grid| !grid.rows.is_empty());
    tables.for_each(|table| grid(&mut out, table, style));
    out.push('\n');
    for note in &sheet.notes {
        paragraph(&mut out, "", note);
    }
    out
}

fn findings(out: &mut String, heading: &str, lines: &[String], style: Style) {
    if lines.is_empty() {
        return;
    }
    title(out, heading, style);
    for line in lines {
        out.push_str(&wrap(line, "  - ", "    "));
    }
}

fn grid(out: &mut String, grid: &Grid, style: Style) {
    let mut table = table(style);
    table.set_header(&grid.header);
    table.add_rows(&grid.rows);
    title(out, &grid.title, style);
    let _ = writeln!(out, "{}", table.trim_fmt());
}

fn section(out: &mut String, section: &Section, style: Style) {
    for group in &section.groups {
        title(out, &format!("{}: {}", section.title, group.title), style);
        let _ = writeln!(out, "{}", rules(group, style));
        for reason in reasons(group, |row| found(row, style)) {
            paragraph(out, "  ", &reason);
        }
    }
    for next in &section.next {
        paragraph(out, "  ", &format!("next: {next}"));
    }
}

/// What an undecided rule would have found, where the table has no column for it.
fn found(row: &RuleRow, style: Style) -> String {
    match row.verdict == VerdictKind::Inconclusive && row.detects != "-" && !style.verbose {
        true => format!("; a true {} would have been found", row.detects),
        false => String::new(),
    }
}

fn rules(group: &RuleGroup, style: Style) -> String {
    let mut table = table(style);
    table.set_header(rule_header(group, style.verbose));
    for row in &group.rows {
        let mut cells: Vec<Cell> =
            rule_cells(group, row, style.verbose).into_iter().map(Cell::new).collect();
        let last = cells.len() - 1;
        cells[last] = colored(row.verdict, style);
        table.add_row(cells);
    }
    table.trim_fmt()
}

fn variants(out: &mut String, title: &str, of: &VariantTable, style: Style) {
    if of.rows.is_empty() {
        return;
    }
    let mut table = table(style);
    table.set_header(variant_header(of));
    for row in &of.rows {
        let value = |text: &str, differs: bool| match differs && style.color {
            true => Cell::new(text).add_attribute(Attribute::Bold),
            false => Cell::new(text),
        };
        let mut cells = vec![Cell::new(&row.what)];
        cells.extend(row.cells.iter().map(|cell| value(&cell.text, cell.differs)));
        if has_notes(of) {
            cells.push(Cell::new(row.changes.join("\n")));
        }
        table.add_row(cells);
    }
    self::title(out, title, style);
    let _ = writeln!(out, "{}", table.trim_fmt());
    for note in &of.notes {
        paragraph(out, "  ", note);
    }
}

/// What it comes to; a colour repeats its first word.
fn headline(out: &mut String, text: &str, tone: Tone, style: Style) {
    out.push_str(&paint_first(&wrap(text, "", "  "), tone, style.color));
}

fn warnings(out: &mut String, warnings: &[String], style: Style) {
    for warning in warnings {
        let text = wrap(&format!("warning: {warning}"), "", "  ");
        out.push_str(&paint_first(&text, Tone::Open, style.color));
    }
}

/// The title of what follows, behind an empty line.
fn title(out: &mut String, text: &str, style: Style) {
    for line in wrap(text, "", "  ").lines().enumerate() {
        let (before, line) = (if line.0 == 0 { "\n" } else { "" }, line.1);
        let _ = writeln!(out, "{before}{}", paint(line, Tone::Title, style.color));
    }
}

/// A paragraph, its later lines indented under the first.
fn paragraph(out: &mut String, indent: &str, text: &str) {
    out.push_str(&wrap(text, indent, &format!("{indent}  ")));
}

/// Text wrapped at the width that every terminal is taken to have: what stands before the first line,
/// and before the later ones. Words are broken only if a whole line is too short for them: names,
/// commands and paths are full of hyphens, and are there to be copied.
pub fn wrap(text: &str, first: &str, later: &str) -> String {
    let mut out = String::new();
    for (index, line) in text.lines().enumerate() {
        let options = textwrap::Options::new(WIDTH)
            .initial_indent(if index == 0 { first } else { later })
            .subsequent_indent(later)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        out.push_str(&textwrap::fill(line, options));
        out.push('\n');
    }
    out
}

fn table(style: Style) -> Table {
    let mut table = Table::new();
    table.load_style(TABLE);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH as u16);
    if style.color {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    table
}

fn colored(verdict: VerdictKind, style: Style) -> Cell {
    let cell = Cell::new(verdict);
    // The table counts the width of a cell's text, and adds colours of its own to it.
    match (style.color, Tone::of_verdict(verdict)) {
        (false, _) | (true, Tone::Title) => cell,
        (true, Tone::Good) => cell.fg(Color::DarkGreen),
        (true, Tone::Open) => cell.fg(Color::DarkYellow),
        (true, Tone::Bad) => cell.fg(Color::DarkRed).add_attribute(Attribute::Bold),
    }
}
