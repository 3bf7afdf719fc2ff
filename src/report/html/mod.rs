//! Owns the format `html`: one self-contained page, light and dark, for screens, phones and paper. Nothing is
//! loaded from elsewhere, and nothing runs in it.

mod axis;
mod svg;

use super::tables::{
    POLICY, POLICY_HEADER, has_notes, reasons, rule_cells, rule_header, variant_header,
};
use super::{
    Chart, Format, Grid, Look, Report, RuleGroup, RuleRow, Section, SectionKind, Sheet, Style,
    VariantCell, VariantRow, VariantTable, action,
};
use crate::record::{PolicyChange, VerdictKind};
use crate::verdict::Outcome;
use minijinja::{Environment, Value, context};

/// A page.
pub(super) const FORMAT: Format = Format {
    id: "html",
    help: "One self-contained page",
    charts: true,
    render,
    sheet: Some(sheet),
};

fn render(report: &Report, _: Style) -> String {
    let of = |holding: bool| -> Vec<Value> {
        let wanted = |section: &&Section| (section.kind == SectionKind::Holding) == holding;
        report.sections.iter().filter(wanted).map(section).collect()
    };
    let charts = &report.charts;
    page(context! {
        headline => &report.headline,
        sign => sign(if report.in_doubt { Some(Outcome::Undecided) } else { report.outcome }),
        action => action(report).1,
        reproduce => report.reproduce.join("\n"),
        facts => facts(report),
        tasks => report.tasks.iter().map(table).collect::<Vec<_>>(),
        warnings => report.warnings.clone(),
        notices => report.notices.clone(),
        authority => report.authority.clone(),
        open => of(false),
        holding => of(true),
        policy => policy(report),
        variants => variants(&report.variants, "Variants"),
        details => variants(&report.details, "Details"),
        grids => report.fidelity.iter().map(table).collect::<Vec<_>>(),
        load => report.load.iter().map(table).collect::<Vec<_>>(),
        load_details => report.load_details.iter().map(table).collect::<Vec<_>>(),
        figures => charts.charts.iter().enumerate().map(figure).collect::<Vec<_>>(),
        chart_notes => charts.notes.clone(),
        why_title => "Why",
        why => report.why.clone(),
        recommended => report.recommended.as_ref().map(|found| table(&found.table)),
        conclusion => report.recommended.as_ref().map(|found| &found.conclusion),
        failures => report.failures.clone(),
        method => report.method.clone(),
        environment => report.environment.iter().map(named).collect::<Vec<_>>(),
        looks => looks(&charts.charts),
    })
}

fn sheet(sheet: &Sheet, _: Style) -> String {
    let grids = sheet.tables.iter().filter(|grid| !grid.rows.is_empty());
    page(context! {
        headline => &sheet.headline,
        sign => sign(None),
        warnings => sheet.warnings.clone(),
        why_title => "Findings",
        why => sheet.findings.clone(),
        grids => grids.map(table).collect::<Vec<_>>(),
        notes => sheet.notes.clone(),
    })
}

/// The whole page. The template's name ends with `html`, so that every text is escaped.
fn page(values: Value) -> String {
    let mut environment = Environment::new();
    let templates =
        [("page.html", include_str!("page.html")), ("page.css", include_str!("page.css"))];
    for (name, text) in templates {
        environment.add_template(name, text).expect("the templates are part of the program");
    }
    let page = environment.get_template("page.html").and_then(|page| page.render(values));
    let mut page = page.expect("a page is made of what is plain data");
    page.push('\n');
    page
}

/// The sign and the colour of the headline: not by colour alone.
fn sign(outcome: Option<Outcome>) -> Value {
    let (word, class) = match outcome {
        Some(Outcome::Holds) => ("✓", "good"),
        Some(Outcome::Waived) => ("✓", "fair"),
        Some(Outcome::Regressed | Outcome::Invalid) => ("✗", "bad"),
        Some(Outcome::Blocked) => ("■", "bad"),
        Some(Outcome::Undecided) => ("?", "fair"),
        None => ("", "plain"),
    };
    context! { word, class }
}

/// The sign and the colour of a verdict in a table.
fn verdict(kind: VerdictKind) -> Value {
    let (sign, class) = match kind {
        kind if kind.holds() => ("✓", "good"),
        VerdictKind::Waived => ("✓", "fair"),
        VerdictKind::Regressed | VerdictKind::Invalid => ("✗", "bad"),
        _ => ("?", "fair"),
    };
    context! { text => kind.id(), sign, class }
}

fn named((name, value): &(String, String)) -> Value {
    context! { name, value }
}

/// Which sessions and commits it is of.
fn facts(report: &Report) -> Vec<Value> {
    let known = |(name, _): &&(String, String)| name == "session" || name == "commit";
    report.environment.iter().filter(known).map(named).collect()
}

fn section(section: &Section) -> Value {
    context! {
        title => &section.title,
        rows => section.rows(),
        tables => section.groups.iter().map(rules).collect::<Vec<_>>(),
        next => section.next.clone(),
    }
}

fn cell(text: &String) -> Value {
    context! { text }
}

fn cells(texts: &[String]) -> Vec<Value> {
    texts.iter().map(cell).collect()
}

fn rules(group: &RuleGroup) -> Value {
    let row = |row: &RuleRow| {
        let mut cells = cells(&second(rule_cells(group, row, true)));
        cells[1] = verdict(row.verdict);
        cells
    };
    context! {
        kind => "rules",
        title => &group.title,
        header => second(rule_header(group, true)),
        rows => group.rows.iter().map(row).collect::<Vec<_>>(),
        notes => reasons(group, |_| String::new()),
    }
}

/// The last column as the second, where a phone shows it.
fn second(mut columns: Vec<String>) -> Vec<String> {
    columns[1..].rotate_right(1);
    columns
}

/// The table of policy changes, if there are any.
fn policy(report: &Report) -> Option<Value> {
    let row = |change: &PolicyChange| {
        cells(&[change.subject.clone(), change.change.clone(), change.direction.to_string()])
    };
    (!report.policy.is_empty()).then(|| {
        context! {
            kind => "words",
            title => POLICY,
            header => POLICY_HEADER.map(Value::from).to_vec(),
            rows => report.policy.iter().map(row).collect::<Vec<_>>(),
        }
    })
}

/// What changed, a line for each variant, or a paragraph where there are many.
fn changes(changes: &[String]) -> Value {
    const MOST_LINES: usize = 3;
    match changes.len() > MOST_LINES {
        true => context! { text => changes.join("; "), class => "long" },
        false => cell(&changes.join("\n")),
    }
}

/// A table of variants, if it has rows.
fn variants(of: &VariantTable, title: &str) -> Option<Value> {
    let value = |cell: &VariantCell| {
        let class = if cell.differs { "differs" } else { "" };
        context! { text => &cell.text, class }
    };
    let row = |row: &VariantRow| {
        let mut all = vec![cell(&row.what)];
        all.extend(row.cells.iter().map(value));
        all.extend(has_notes(of).then(|| changes(&row.changes)));
        all
    };
    (!of.rows.is_empty()).then(|| {
        context! {
            title,
            header => variant_header(of),
            rows => of.rows.iter().map(row).collect::<Vec<_>>(),
            notes => of.notes.clone(),
        }
    })
}

fn table(grid: &Grid) -> Value {
    grid_of("", grid)
}

/// A table of words, not of figures.
fn words(grid: &Grid) -> Value {
    grid_of("words", grid)
}

fn grid_of(kind: &str, grid: &Grid) -> Value {
    context! {
        kind,
        title => &grid.title,
        header => grid.header.clone(),
        rows => grid.rows.iter().map(|row| cells(row)).collect::<Vec<_>>(),
    }
}

fn figure((index, chart): (usize, &Chart)) -> Value {
    let sign = |(look, name): &(Look, String)| {
        context! { drawing => drawing(svg::swatch(*look)), name }
    };
    context! {
        id => format!("chart-{}", index + 1),
        title => &chart.title,
        description => &chart.description,
        legend => chart.legend.iter().map(sign).collect::<Vec<_>>(),
        notes => chart.notes.clone(),
        drawing => drawing(svg::draw(chart)),
        shown => chart.shown.iter().map(words).collect::<Vec<_>>(),
        table => table(&chart.table),
    }
}

/// Our own drawing, the one thing that is not escaped.
fn drawing(drawing: svg::Drawing) -> Value {
    let svg::Drawing { width, height, body } = drawing;
    context! { width, height, body => Value::from_safe_string(body) }
}

/// The colours that the style sheet has to know.
fn looks(charts: &[Chart]) -> Vec<Value> {
    let layers = charts.iter().flat_map(|chart| &chart.layers);
    let count = layers.map(|layer| layer.look + 1).max().unwrap_or(0);
    let look = |(hex, color, dash): (String, usize, usize)| context! { hex, color, dash };
    svg::looks(count).into_iter().map(look).collect()
}
