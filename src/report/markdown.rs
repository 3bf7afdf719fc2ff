//! Owns the format `markdown`: the verdict and what needs attention first, the rest folded, for GitHub.

use super::escape::{code_block, escape, mermaid};
use super::tables::{
    POLICY, POLICY_HEADER, has_notes, reasons, rule_cells, rule_header, variant_header,
};
use super::{
    ByRound, Format, Grid, Report, RuleGroup, Section, SectionKind, Sheet, Style, VariantTable,
    action,
};
use comfy_table::{Table, presets};
use std::fmt::Write;

/// Markdown for GitHub.
pub(super) const FORMAT: Format = Format {
    id: "markdown",
    help: "Markdown for GitHub",
    charts: false,
    render,
    sheet: Some(sheet),
};

/// A part of the page, and how soon it is left out where there is no room for all.
#[derive(Debug)]
pub(super) struct Block {
    /// Parts with the highest rank are left out first; those of rank 0 never.
    pub(super) rank: u8,
    /// What it is called where it is left out.
    pub(super) name: &'static str,
    /// The Markdown.
    pub(super) text: String,
}

/// How much of the lists and texts is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Most rows of a table and lines of a list.
    pub(super) rows: usize,
    /// Most characters of a text.
    pub(super) chars: usize,
}

impl Room {
    /// Everything but the ends of texts without end: a table's width is counted in 16 bits, and the results
    /// have them whole.
    pub(super) const ALL: Room = Room { rows: usize::MAX, chars: 2000 };
}

fn render(report: &Report, _: Style) -> String {
    let blocks = blocks(report, Room::ALL);
    first_line(report, Room::ALL) + &blocks.into_iter().map(|block| block.text).collect::<String>()
}

/// The verdict: what to do, and what was found.
pub(super) fn first_line(report: &Report, room: Room) -> String {
    let (sign, what) = action(report);
    format!("{sign} **{what}** {}\n", room.text(&report.headline))
}

/// All below the first line, in the order of reading.
pub(super) fn blocks(report: &Report, room: Room) -> Vec<Block> {
    let notices = notices(&report.notices, room);
    let text = warnings(&report.warnings, room);
    let mut blocks = vec![
        Block { rank: 0, name: "what to know first", text: notices },
        Block { rank: 1, name: "warnings", text },
    ];
    let of = |kinds: &'static [SectionKind]| {
        report.sections.iter().filter(|section| kinds.contains(&section.kind))
    };
    for part in of(&[SectionKind::Broken, SectionKind::Waived]) {
        blocks.push(Block { rank: 0, name: "broken rules", text: open_section(part, room) });
    }
    for part in of(&[SectionKind::Undecided]) {
        blocks.push(Block { rank: 1, name: "undecided rules", text: open_section(part, room) });
    }
    blocks.push(Block { rank: 1, name: "whose rules", text: authority(report, room) });
    blocks.push(Block { rank: 1, name: "policy changes", text: policy(report, room) });
    blocks.push(Block { rank: 2, name: "variants", text: variants_section(report, room) });
    blocks.push(Block { rank: 3, name: "graded tasks", text: tasks(report, room) });
    blocks.push(Block { rank: 2, name: "fidelity", text: fidelity(report, room) });
    blocks.push(Block { rank: 5, name: "why", text: why(report, room) });
    blocks.push(Block { rank: 4, name: "which variant where", text: recommended(report, room) });
    blocks.push(Block { rank: 3, name: "load", text: load(report, room) });
    blocks.push(Block { rank: 3, name: "failures", text: failures(report, room) });
    blocks.push(Block { rank: 4, name: "how to reproduce it", text: reproduce(report) });
    blocks.push(Block { rank: 5, name: "chart", text: charts(report) });
    for part in of(&[SectionKind::Informing, SectionKind::Holding]) {
        let title = format!("{} ({})", part.title, part.rows());
        let text = folded(&title, &section(part, room));
        blocks.push(Block { rank: 6, name: "other rules", text });
    }
    blocks.push(Block { rank: 6, name: "flipped tasks", text: flips(report, room) });
    blocks.push(Block { rank: 7, name: "details of load", text: load_details(report, room) });
    blocks.push(Block { rank: 7, name: "details", text: details(report, room) });
    blocks.push(Block { rank: 8, name: "method", text: method(report, room) });
    blocks.retain(|block| !block.text.is_empty());
    blocks
}

impl Room {
    /// A text of any origin, cut to what there is room for.
    fn text(self, text: &str) -> String {
        match text.char_indices().nth(self.chars) {
            Some((end, _)) => format!("{}…", escape(&text[..end])),
            None => escape(text),
        }
    }

    /// Lines as a list.
    fn list<T: AsRef<str>>(self, lines: &[T]) -> String {
        let shown = lines.iter().take(self.rows);
        let text: String = shown.map(|line| format!("- {}\n", self.text(line.as_ref()))).collect();
        text + &self.more(lines.len(), "- ")
    }

    fn list_after_line<T: AsRef<str>>(self, lines: &[T]) -> String {
        if lines.is_empty() { String::new() } else { format!("\n{}", self.list(lines)) }
    }

    /// How many there are beyond those that are shown.
    fn more(self, count: usize, before: &str) -> String {
        match count.saturating_sub(self.rows) {
            0 => String::new(),
            more => format!("{before}and {more} more\n"),
        }
    }
}

fn notices(notices: &[String], room: Room) -> String {
    let shown = notices.iter().take(room.rows);
    let text: String = shown.map(|notice| format!("\n> Note: {}\n", room.text(notice))).collect();
    text + &room.more(notices.len(), "\n> ")
}

fn warnings(warnings: &[String], room: Room) -> String {
    let shown = warnings.iter().take(room.rows);
    let text: String =
        shown.map(|warning| format!("\n> Warning: {}\n", room.text(warning))).collect();
    text + &room.more(warnings.len(), "\n> ")
}

fn authority(report: &Report, room: Room) -> String {
    if report.authority.is_empty() {
        return String::new();
    }
    format!("\n### Whose rules\n\n{}", room.list(&report.authority))
}

fn open_section(part: &Section, room: Room) -> String {
    format!("\n### {}\n{}", escape(&part.title), section(part, room))
}

fn variants_section(report: &Report, room: Room) -> String {
    if report.variants.rows.is_empty() {
        return String::new();
    }
    format!("\n### Variants\n\n{}", variants(&report.variants, room))
}

/// How far predictions are from the reference's.
fn fidelity(report: &Report, room: Room) -> String {
    let section =
        |table: &Grid| format!("\n### {}\n\n{}", room.text(&table.title), rows(table, room));
    report.fidelity.iter().map(section).collect()
}

/// Why variants differ in speed.
fn why(report: &Report, room: Room) -> String {
    if report.why.is_empty() {
        return String::new();
    }
    format!("\n### Why\n\n{}", room.list(&report.why))
}

/// Which variant to deploy where: what it comes to, and the table folded.
fn recommended(report: &Report, room: Room) -> String {
    let Some(found) = &report.recommended else { return String::new() };
    let table = folded("By scenario", &format!("\n{}", rows(&found.table, room)));
    format!("\n### {}\n\n{}\n{table}", room.text(&found.table.title), room.text(&found.conclusion))
}

/// What came of load.
fn load(report: &Report, room: Room) -> String {
    if report.load.is_empty() {
        return String::new();
    }
    let tables: String = report.load.iter().map(|table| grid(table, room)).collect();
    format!("\n### Load\n{tables}")
}

fn load_details(report: &Report, room: Room) -> String {
    if report.load_details.is_empty() {
        return String::new();
    }
    let tables: String = report.load_details.iter().map(|table| grid(table, room)).collect();
    folded("More of the load", &tables)
}

fn failures(report: &Report, room: Room) -> String {
    if report.failures.is_empty() {
        return String::new();
    }
    format!("\n### Failures\n\n{}", room.list(&report.failures))
}

/// The commands that measure the same again.
fn reproduce(report: &Report) -> String {
    if report.reproduce.is_empty() {
        return String::new();
    }
    folded("Reproduce it", &format!("\n{}", code_block("sh", &report.reproduce.join("\n"))))
}

/// What broken and undecided rules come to in each round, which the tables don't show.
fn charts(report: &Report) -> String {
    const MOST: usize = 3;
    let open = report.rules.iter().filter(|rule| rule.blocks);
    let charts: Vec<&ByRound> = open.filter_map(|rule| rule.by_round.as_ref()).take(MOST).collect();
    if charts.is_empty() {
        return String::new();
    }
    let text: String = charts
        .iter()
        .map(|chart| {
            format!("\n{}\n\n{}", escape(&chart.title), code_block("mermaid", &mermaid(chart)))
        })
        .collect();
    folded(
        "Round by round",
        &format!("\nThe change in percent by round; the level line is the limit.\n{text}"),
    )
}

/// The graded tasks that became wrong or right.
fn flips(report: &Report, room: Room) -> String {
    if report.flips.is_empty() {
        return String::new();
    }
    const MOST: usize = 20;
    // All of them stand in the JSON.
    let room = Room { rows: room.rows.min(MOST), chars: room.chars.min(300) };
    let tasks: String = report.flips.iter().map(|tasks| grid(tasks, room)).collect();
    folded("Flipped tasks", &tasks)
}

/// What the graded tasks came to: by suite in sight, the rest folded.
fn tasks(report: &Report, room: Room) -> String {
    let Some((by_suite, rest)) = report.tasks.split_first() else { return String::new() };
    let mut text = format!("\n### Graded tasks\n{}", grid(by_suite, room));
    if !rest.is_empty() {
        let rest: String = rest.iter().map(|table| grid(table, room)).collect();
        text += &folded("More of the graded tasks", &rest);
    }
    text
}

/// A table under its title.
fn grid(grid: &Grid, room: Room) -> String {
    format!("\n{}\n\n{}", room.text(&grid.title), rows(grid, room))
}

/// The table itself.
fn rows(grid: &Grid, room: Room) -> String {
    let mut table = table();
    table.set_header(grid.header.iter().map(|title| room.text(title)));
    for row in grid.rows.iter().take(room.rows) {
        table.add_row(row.iter().map(|cell| room.text(cell)));
    }
    format!("{}\n{}", table.trim_fmt(), room.more(grid.rows.len(), "\n"))
}

fn details(report: &Report, room: Room) -> String {
    if report.details.rows.is_empty() {
        return String::new();
    }
    folded("Details", &format!("\n{}", variants(&report.details, room)))
}

fn method(report: &Report, room: Room) -> String {
    let environment = report.environment.iter().map(|(name, value)| format!("{name}: {value}"));
    let lines: Vec<String> = report.method.iter().cloned().chain(environment).collect();
    folded("Method and environment", &format!("\n{}", room.list(&lines)))
}

fn sheet(sheet: &Sheet, _: Style) -> String {
    let mut out = format!("**{}**\n", escape(&sheet.headline));
    out.push_str(&warnings(&sheet.warnings, Room::ALL));
    out.push_str(&Room::ALL.list_after_line(&sheet.findings));
    for table in sheet.tables.iter().filter(|table| !table.rows.is_empty()) {
        let _ = write!(out, "\n###{}", grid(table, Room::ALL).replacen('\n', " ", 1));
    }
    let _ = write!(out, "\n{}", Room::ALL.list(&sheet.notes));
    out
}

fn policy(report: &Report, room: Room) -> String {
    if report.policy.is_empty() {
        return String::new();
    }
    let mut table = table();
    table.set_header(POLICY_HEADER);
    for change in report.policy.iter().take(room.rows) {
        let direction = change.direction.to_string();
        table.add_row([room.text(&change.subject), room.text(&change.change), direction]);
    }
    let more = room.more(report.policy.len(), "\n");
    format!("\n### {POLICY}\n\n{}\n{more}", table.trim_fmt())
}

fn folded(title: &str, content: &str) -> String {
    format!("\n<details><summary>{title}</summary>\n{content}\n</details>\n")
}

fn section(section: &Section, room: Room) -> String {
    let mut out = String::new();
    for group in section.groups.iter().take(room.rows) {
        let _ = write!(out, "\n{}\n\n{}\n", room.text(&group.title), rules(group, room));
        out.push_str(&room.more(group.rows.len(), "\n"));
        out.push_str(&room.list_after_line(&reasons(group, |_| String::new())));
    }
    out.push_str(&room.more(section.groups.len(), "\n"));
    if !section.next.is_empty() {
        let _ = write!(out, "\nNext:\n\n{}", room.list(&section.next));
    }
    out
}

fn rules(group: &RuleGroup, room: Room) -> String {
    let mut table = table();
    table.set_header(rule_header(group, true).iter().map(|title| room.text(title)));
    for row in group.rows.iter().take(room.rows) {
        table.add_row(rule_cells(group, row, true).iter().map(|text| room.text(text)));
    }
    table.trim_fmt()
}

fn variants(of: &VariantTable, room: Room) -> String {
    let mut table = table();
    table.set_header(variant_header(of).iter().map(|title| room.text(title)));
    for row in of.rows.iter().take(room.rows) {
        let mut cells = vec![room.text(&row.what)];
        cells.extend(row.cells.iter().map(|cell| match cell.differs {
            true => format!("**{}**", room.text(&cell.text)),
            false => room.text(&cell.text),
        }));
        if has_notes(of) {
            let changes: Vec<String> = row.changes.iter().map(|change| room.text(change)).collect();
            cells.push(changes.join("<br>"));
        }
        table.add_row(cells);
    }
    format!("{}\n{}", table.trim_fmt(), room.list_after_line(&of.notes))
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).force_no_tty();
    table
}
