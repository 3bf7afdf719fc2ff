//! The HTML page: well-formed, self-contained, readable without seeing its charts, and never made of anything
//! that a name or a message says.

use crate::snapshots::{Case, results};
use crate::support::{Project, scripted};
use perfgate::record::{Failure, FailureClass, Phase, Results};
use perfgate::report::{self, FORMATS, Format, Style};
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

const RULES: &str = "[rules]\nlatency = \"5%\"\naccuracy = \"20pt\"\n";

fn html() -> Format {
    *FORMATS.iter().find(|format| format.id == "html").unwrap()
}

fn page(results: &Results) -> String {
    (html().render)(&report::build(results), Style::default())
}

/// What an entity stands for.
fn resolved(entity: &BytesRef<'_>) -> String {
    if let Some(c) = entity.resolve_char_ref().unwrap() {
        return c.to_string();
    }
    let name: &str = entity;
    resolve_xml_entity(name).unwrap_or_else(|| panic!("entity {name}")).to_string()
}

/// One element of a page, or one text.
enum Piece {
    Open(String, Vec<(String, String)>),
    Text(String),
    Close(String),
}

/// The pieces of a page; panics if it is not well-formed.
fn pieces(page: &str) -> Vec<Piece> {
    let mut reader = Reader::from_str(page);
    let name = |start: &BytesStart<'_>| {
        let attribute = |one: quick_xml::events::attributes::Attribute<'_>| {
            (one.key.as_ref().to_string(), one.value.to_string())
        };
        let attributes = start.attributes().map(|one| attribute(one.unwrap())).collect();
        (start.name().as_ref().to_string(), attributes)
    };
    let mut pieces = Vec::new();
    let mut open: Vec<String> = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                let (name, attributes) = name(&start);
                open.push(name.clone());
                pieces.push(Piece::Open(name, attributes));
            }
            Event::Empty(start) => {
                let (name, attributes) = name(&start);
                pieces.push(Piece::Open(name.clone(), attributes));
                pieces.push(Piece::Close(name));
            }
            Event::End(end) => {
                let name = end.name().as_ref().to_string();
                assert_eq!(open.pop().as_ref(), Some(&name));
                pieces.push(Piece::Close(name));
            }
            Event::Text(text) => pieces.push(Piece::Text(text.to_string())),
            Event::GeneralRef(entity) => pieces.push(Piece::Text(resolved(&entity))),
            Event::DocType(_) => assert!(pieces.is_empty()),
            Event::Eof => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
    pieces
}

/// What a page says, without its tags: a line for each paragraph and row, a line for each drawing.
pub fn skeleton(page: &str) -> String {
    let (mut out, mut line, mut hidden) = (String::new(), String::new(), String::new());
    for piece in pieces(page) {
        match piece {
            Piece::Open(name, _) if !hidden.is_empty() => match name.as_str() {
                "title" => line.push_str("[chart: "),
                "desc" => line.push_str(" | "),
                _ => {}
            },
            Piece::Open(name, _) => match name.as_str() {
                "style" | "svg" => hidden = name,
                "h1" | "h2" | "h3" | "summary" => line.push_str("# "),
                "li" => line.push_str("- "),
                _ => {}
            },
            Piece::Text(text) if hidden.is_empty() => line.push_str(&text),
            Piece::Text(text) if hidden == "svg" && line.contains("[chart: ") => {
                line.push_str(&text)
            }
            Piece::Text(_) => {}
            Piece::Close(name) => match name.as_str() {
                "desc" => {
                    out.push_str(&format!("{}]\n", words(&line)));
                    line.clear();
                }
                name if name == hidden => hidden.clear(),
                "th" | "td" => line.push_str(" | "),
                "dt" => line.push_str(": "),
                "title" | "h1" | "h2" | "h3" | "p" | "li" | "tr" | "div" | "summary"
                    if hidden.is_empty() =>
                {
                    if !words(&line).trim_matches(['#', '-', ' ']).is_empty() {
                        out.push_str(&format!("{}\n", words(&line)));
                    }
                    line.clear();
                }
                _ => {}
            },
        }
    }
    out
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches(" |").to_string()
}

/// Asserts what must be true of every page; returns how many figures it has.
fn sound(page: &str) -> usize {
    let pieces = pieces(page);
    let mut ids = Vec::new();
    let mut counts = [0; 5];
    for piece in &pieces {
        let Piece::Open(name, attributes) = piece else { continue };
        assert!(!["script", "img", "link", "iframe", "image", "a", "use"].contains(&name.as_str()));
        for (key, value) in attributes {
            assert!(!key.starts_with("on") && key != "src" && key != "href", "{key}={value}");
            if key == "id" {
                assert!(!ids.contains(value), "two elements are called {value}");
                ids.push(value.clone());
            }
        }
        let role = attributes.iter().any(|(key, value)| key == "role" && value == "img");
        for (count, found) in counts.iter_mut().zip([
            name == "figure",
            name == "svg" && role,
            name == "desc",
            name == "table",
            name == "title",
        ]) {
            *count += usize::from(found);
        }
    }
    let [figures, drawings, descriptions, tables, titles] = counts;
    assert_eq!((drawings, descriptions, titles), (figures, figures, figures + 1));
    assert!(tables >= figures, "every figure has its numbers");
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    for outside in ["url(", "@import", "http:", "https:", "expression"] {
        assert!(!style.contains(outside), "the style has {outside}");
    }
    for not_drawn in ["NaN", "inf,", "-inf"] {
        assert!(!page.contains(not_drawn), "{not_drawn}");
    }
    figures
}

/// Makes every timed request of some results a failure.
fn all_failed(results: &mut Results) {
    let rounds = results.parts.iter_mut().flat_map(|part| &mut part.rounds);
    for request in rounds.flat_map(|round| &mut round.requests) {
        if request.phase == Phase::Timed {
            request.token_ns.clear();
            request.tokens.clear();
            let message = "died".to_string();
            request.failure = Some(Failure { class: FailureClass::Crash, message });
        }
    }
}

/// Results of so many variants: the first ones, and copies of the last under other names.
fn of_variants(count: usize) -> Results {
    let mut results = results(&Case::new(1.2, RULES), &[]);
    let last = results.variants[1].clone();
    results.variants.truncate(count);
    for number in 2..count {
        let name = format!("variant-{number} of a name that is longer than there is room for");
        results.summaries.insert(name.clone(), results.summaries[&last].clone());
        let part = &mut results.parts[0];
        let record = part.header.variants[&last].clone();
        part.header.variants.insert(name.clone(), record);
        part.header.plan.variants.push(name.clone());
        for round in &mut part.rounds {
            let copy = |request: &perfgate::record::Request| {
                let mut copy = request.clone();
                copy.variant = name.clone();
                copy
            };
            let copies: Vec<_> =
                round.requests.iter().filter(|r| r.variant == last).map(copy).collect();
            round.requests.extend(copies);
        }
        results.variants.push(name);
    }
    results
}

#[test]
fn a_page_is_whole_whatever_was_measured() {
    let usual = results(&Case::new(1.2, RULES), &[]);
    assert_eq!(sound(&page(&usual)), 5, "without the history");
    assert_eq!(sound(&page(&of_variants(1))), 5);
    assert_eq!(sound(&page(&of_variants(12))), 5);
    let mut failed = usual.clone();
    all_failed(&mut failed);
    let text = page(&failed);
    assert_eq!(sound(&text), 2, "there is no latency to draw");
    assert!(skeleton(&text).contains("60 requests, 60 failed, median ∞ (failed requests)"));
    let mut nothing = usual;
    nothing.parts[0].rounds.clear();
    nothing.parts[0].answers.clear();
    assert_eq!(sound(&page(&nothing)), 0);
}

#[test]
fn hostile_names_stay_text_in_a_page() {
    let names = [
        "<script>alert(1)</script>",
        "</svg></style></title><img src=x onerror=alert(1)>",
        "\"' onload=\"alert(1)",
        "]]>&amp;&lt;{{ 7 * 7 }}{% raw %}",
        "\u{1b}[31m\u{202e}\u{0}",
        "javascript:alert(1)//https://example.com/url(x)",
    ];
    let mut case = Case::new(1.2, RULES);
    case.crashes = 2;
    let plain = results(&case, &[]);
    let plain = serde_json::to_string(&plain).unwrap();
    for name in names {
        let mut text = plain.clone();
        for (old, new) in [("int8", "v"), ("t3", "t"), ("g7", "g"), ("SIGSEGV in the middle", "m")]
        {
            let quoted = serde_json::to_string(&format!("{new}{name}")).unwrap();
            text = text.replace(&format!("\"{old}\""), &quoted);
        }
        let results: Results = serde_json::from_str(&text).unwrap();
        let page = page(&results);
        assert_eq!(sound(&page), 5, "{name}");
        if !name.contains('\u{1b}') {
            assert!(
                skeleton(&page).contains(&words(&format!("v{name}"))),
                "{name} is shown as it is"
            );
        }
        assert!(!page.contains(['\u{1b}', '\u{202e}', '\0']), "{name}");
    }
}

#[test]
fn a_page_stays_small_with_very_many_requests() {
    let mut many = results(&Case::new(1.2, RULES), &[]);
    let part = &mut many.parts[0];
    let round = part.rounds[0].clone();
    part.rounds = (1..=500)
        .map(|number| {
            let mut round = round.clone();
            round.round = number;
            round.requests.iter_mut().for_each(|request| request.round = number);
            round
        })
        .collect();
    let text = page(&many);
    assert_eq!(sound(&text), 5);
    assert!(text.contains("2,000 of 10,000 requests shown"));
    assert!(text.len() < 1 << 20, "{} bytes", text.len());
}

#[test]
fn a_sheet_is_a_page_too() {
    let sheet = report::Sheet {
        headline: "NOISE of '<b>'".to_string(),
        warnings: vec!["mind & beware".to_string()],
        findings: vec!["a < b because of c".to_string()],
        tables: vec![report::Grid {
            title: "Noise".to_string(),
            header: vec!["metric".to_string(), "value".to_string()],
            rows: vec![vec!["latency".to_string(), "1%".to_string()]],
        }],
        notes: vec!["a note".to_string()],
    };
    let page = (html().sheet.unwrap())(&sheet, Style::default());
    assert_eq!(sound(&page), 0);
    let expected = "NOISE of '<b>'\n# NOISE of '<b>'\n- Warning: mind & beware\n# Findings\n- a < b because of c\nNoise\n\
                    metric | value\nlatency | 1%\n- a note\n";
    assert_eq!(skeleton(&page), expected);
}

#[test]
fn a_page_of_a_check_has_the_history_of_the_store() {
    let config = |token_ms: f64| {
        let script = format!("engine = \"scripted\"\nscript = {{ token_ms = {token_ms} }}\n");
        scripted(2, &format!("[variants.base]\n{script}[variants.now]\n{script}"))
    };
    let project = Project::new(&config(5.0), "[rules]\nlatency = \"50%\"\n");
    let of = |arguments: &[&str]| {
        let run = project.run(arguments);
        assert!([0, 3].contains(&run.code), "{}{}", run.stdout, run.stderr);
        sound(&run.stdout);
        skeleton(&run.stdout)
    };
    let first = of(&["check", "--format", "html", "--quiet"]);
    assert!(first.contains("No history: no session of this machine's class is stored"), "{first}");
    assert_eq!(project.run(&["baseline", "update"]).code, 0);
    project.write("perfgate.toml", &config(6.0));
    let second = of(&["check", "--format", "html", "--quiet"]);
    assert!(second.contains("[chart: History of latency | base: 2 sessions"), "{second}");
    let again = of(&["report", "--format", "html"]);
    assert!(again.contains("[chart: History of latency | base: 2 sessions"), "{again}");
    let elsewhere = of(&["report", "--format", "html", "--config", "none.toml"]);
    assert!(elsewhere.contains("No history: the stored sessions could not be read"), "{elsewhere}");
}
