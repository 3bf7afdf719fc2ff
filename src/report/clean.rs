//! Owns making texts harmless before any format sees them: names, messages and answers come from models,
//! files and programs, and may hold what moves a cursor or turns a line around.

use super::{Axis, Chart, Charts, Grid, Report, Sheet, Ticks, VariantTable};

/// Replaces what is not to be seen by what is, in every text of a report.
pub(super) fn clean(report: &mut Report) {
    one_line(&mut report.headline);
    report.notices.iter_mut().for_each(one_line);
    report.authority.iter_mut().for_each(one_line);
    for change in &mut report.policy {
        one_line(&mut change.subject);
        one_line(&mut change.change);
    }
    report.reproduce.iter_mut().for_each(one_line);
    report.sessions.iter_mut().for_each(one_line);
    for section in &mut report.sections {
        section.next.iter_mut().for_each(one_line);
        for group in &mut section.groups {
            one_line(&mut group.title);
            group.base_title.iter_mut().for_each(one_line);
            one_line(&mut group.now_title);
            for row in &mut group.rows {
                one_line(&mut row.id);
                one_line(&mut row.what);
                one_line(&mut row.reason);
            }
        }
    }
    for rule in &mut report.rules {
        one_line(&mut rule.id);
        one_line(&mut rule.variant);
        one_line(&mut rule.group);
        one_line(&mut rule.says);
        rule.by_round.iter_mut().for_each(|by_round| one_line(&mut by_round.title));
    }
    report.figures.iter_mut().for_each(|figure| one_line(&mut figure.variant));
    for table in [&mut report.variants, &mut report.details] {
        self::table(table);
    }
    let grids = report.tasks.iter_mut().chain(&mut report.fidelity).chain(&mut report.flips);
    let of_load = report.load.iter_mut().chain(&mut report.load_details);
    grids.chain(of_load).for_each(grid);
    report.load_figures.iter_mut().for_each(|figure| one_line(&mut figure.variant));

    // Only here lines have a meaning: a worker's last words are several.
    report.failures.iter_mut().for_each(lines);
    report.warnings.iter_mut().chain(&mut report.why).for_each(one_line);
    if let Some(recommended) = &mut report.recommended {
        one_line(&mut recommended.conclusion);
        for choice in &mut recommended.choices {
            one_line(&mut choice.scenario);
            choice.variants.iter_mut().for_each(one_line);
        }
        grid(&mut recommended.table);
    }
    report.method.iter_mut().for_each(one_line);
    for (name, value) in &mut report.environment {
        one_line(name);
        one_line(value);
    }
    clean_charts(&mut report.charts);
}

/// The same for charts.
pub(super) fn clean_charts(charts: &mut Charts) {
    charts.notes.iter_mut().for_each(one_line);
    charts.charts.iter_mut().for_each(chart);
}

fn chart(chart: &mut Chart) {
    one_line(&mut chart.title);
    one_line(&mut chart.description);
    chart.legend.iter_mut().for_each(|(_, name)| one_line(name));
    chart.notes.iter_mut().for_each(one_line);
    [&mut chart.x, &mut chart.y].into_iter().for_each(axis);
    chart.shown.iter_mut().for_each(grid);
    grid(&mut chart.table);
}

fn axis(axis: &mut Axis) {
    one_line(&mut axis.title);
    match &mut axis.ticks {
        Ticks::Named(named) => named.iter_mut().for_each(|(_, word)| one_line(word)),
        Ticks::Rows(labels, _) => labels.iter_mut().for_each(one_line),
        Ticks::Linear | Ticks::Log | Ticks::Whole => {}
    }
}

/// The same for a sheet.
pub(super) fn clean_sheet(sheet: &mut Sheet) {
    one_line(&mut sheet.headline);
    let lines = sheet.warnings.iter_mut().chain(&mut sheet.findings).chain(&mut sheet.notes);
    lines.for_each(one_line);
    sheet.tables.iter_mut().for_each(grid);
}

fn grid(grid: &mut Grid) {
    one_line(&mut grid.title);
    grid.header.iter_mut().chain(grid.rows.iter_mut().flatten()).for_each(one_line);
}

/// A text of any origin, of several lines perhaps, for a terminal or a log.
pub fn harmless(text: &str) -> String {
    let mut text = text.to_string();
    lines(&mut text);
    defuse(&text)
}

/// Takes workflow commands apart: GitHub's runner reads `::error::` at the beginning of a printed line, and
/// `##[error]` anywhere in it.
pub fn defuse(text: &str) -> String {
    let line = |line: &str| {
        let start = line.len() - line.trim_start().len();
        let line = match line[start..].strip_prefix("::") {
            Some(rest) => format!("{}: :{rest}", &line[..start]),
            None => line.to_string(),
        };
        line.replace("##[", "# #[")
    };
    text.split_inclusive('\n').map(line).collect()
}

fn table(table: &mut VariantTable) {
    table.columns.iter_mut().for_each(one_line);
    table.notes.iter_mut().for_each(one_line);
    for row in &mut table.rows {
        row.changes.iter_mut().for_each(one_line);
        row.cells.iter_mut().for_each(|cell| one_line(&mut cell.text));
    }
}

fn one_line(text: &mut String) {
    *text = text.chars().map(|c| if c == '\n' { ' ' } else { visible(c) }).collect();
}

fn lines(text: &mut String) {
    *text = text.chars().map(|c| if c == '\n' { c } else { visible(c) }).collect();
}

/// Control characters as their pictures; what changes the direction of text, or has no width and so
/// hides in a name, as a replacement character.
fn visible(c: char) -> char {
    match c {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflow_commands_are_taken_apart() {
        for (text, expected) in [
            ("::error::x", ": :error::x"),
            ("a\n  \t::set-output name=x::y\n", "a\n  \t: :set-output name=x::y\n"),
            ("core::fmt ##[error]x", "core::fmt # #[error]x"),
        ] {
            assert_eq!(defuse(text), expected);
        }
        assert_eq!(harmless("\u{1b}[2J\n::add-mask::a"), "\u{241b}[2J\n: :add-mask::a");
    }

    #[test]
    fn what_moves_a_cursor_or_hides_is_shown() {
        let mut text = "a\u{1b}[2Jb\u{202e}c\nd\u{200b}e\té".to_string();
        let mut whole = text.clone();
        one_line(&mut text);
        assert_eq!(text, "a\u{241b}[2Jb\u{fffd}c d\u{fffd}e\u{2409}é");
        lines(&mut whole);
        assert!(whole.contains("c\nd"), "{whole}");
    }
}
