//! The table of attacks: texts that would do something in a table, in Markdown, in HTML, in a chart, in a log
//! or on a terminal, put into every name and message of a run; and texts that chance makes of their pieces.

use crate::harmless::check;
use proptest::prelude::*;

/// What it would do, and the text.
pub const ATTACKS: &[(&str, &str)] = &[
    ("end a cell", "a | b | c"),
    ("end a row", "a\n| b |"),
    ("escape the escape", "a\\|b\\\\|c"),
    ("emphasis", "*a* **b** _c_ __d__ ~~e~~ ~f~"),
    ("code", "`a` ``b`` ```\nc\n```"),
    ("a fence", "\n```mermaid\ngraph TD; a-->b\n```\n"),
    ("a heading", "# a"),
    ("a heading below", "a\n==="),
    ("a rule", "\n\n---\n\n"),
    ("a list", "- a"),
    ("a numbered list", "1. a"),
    ("a task", "- [x] done"),
    ("a quote", "> a"),
    ("a link", "[a](https://x.example)"),
    ("a reference link", "[a][b]\n\n[b]: https://x.example"),
    ("a footnote", "a[^1]\n\n[^1]: b"),
    ("an image", "![a](https://x.example/pixel.png)"),
    ("a bare address", "https://x.example/?a=b www.x.example ftp://x.example"),
    ("an address in angles", "<https://x.example>"),
    ("a mention", "@octocat @org/team"),
    ("a mail address", "a@x.example"),
    ("closing an issue", "fixes #1, closes owner/repo#2, GH-3, gh-4"),
    ("a picture word", ":tada: :+1:"),
    ("a formula", "$a$ $$b$$ $`c`$"),
    ("a tag", "<script>alert(1)</script>"),
    ("an event", "<img src=x onerror=alert(1)>"),
    ("leaving an attribute", "\" onload=\"alert(1)\" x='"),
    ("leaving a fold", "</details></summary></td></table></svg></style>"),
    ("a comment of HTML", "<!-- perfgate-llm:default --> -->"),
    ("an entity", "&lt;b&gt; &#60;b&#62; &amp;"),
    ("a section of XML", "]]> <![CDATA[ x"),
    (
        "a declaration of XML",
        "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]>",
    ),
    ("a line of a chart", "\"]\n    click a href \"javascript:alert(1)\"\n    %%{init: {}}%%"),
    ("a template", "{{ 7 * 7 }} {% raw %} ${{ secrets.GITHUB_TOKEN }} ${7*7}"),
    ("a command of the runner", "\n::error file=a,line=1::owned"),
    ("an indented one", "\n   ::set-output name=verdict::holds"),
    ("an old one", "##[error]owned ##[add-mask]a"),
    ("a command's property", "a,line=1::b%0A%25:"),
    ("an output", "a\nverdict=holds\nend-of-value\nverdict<<x\nholds\nx"),
    ("moving the cursor", "\u{1b}[2J\u{1b}[1;1H\u{1b}]0;title\u{7}\u{9b}31m"),
    ("carriage return", "FAIL\rPASS"),
    ("backspaces", "FAIL\u{8}\u{8}\u{8}\u{8}PASS"),
    ("turning a line around", "a\u{202e}SSAP\u{2066}b\u{2069}"),
    ("no width", "i\u{200b}nt\u{feff}8\u{2060}"),
    ("separators", "a\u{2028}b\u{2029}c\u{85}d\u{c}e\u{b}f"),
    ("nothing", "\0"),
    ("no character", "\u{fffe}\u{ffff}\u{fdd0}"),
    ("a file's name", "../../etc/passwd; rm -rf ~ `id` $(id) 'a' \"b\""),
    ("marks that pile up", "Z\u{351}\u{32b}\u{343}\u{32a}\u{302}\u{32b}"),
    ("wide letters", "漢字かな交じり文👩‍👩‍👧‍👦"),
];

#[test]
fn no_text_of_a_run_is_more_than_text_in_any_output() {
    for (name, attack) in ATTACKS {
        check(name, attack);
    }
}

#[test]
fn a_text_without_end_is_cut_where_there_is_no_room() {
    check("long", &"x".repeat(70_000));
    check("long lines of a table", &"| ".repeat(20_000));
}

/// Pieces of attacks in any order, among letters of any kind.
fn pieces() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(ATTACKS).prop_map(|(_, attack)| attack.to_string());
    let marks = proptest::collection::vec(
        proptest::sample::select(&b"|*_`~[](){}<>#@!&$:/\\-+=.0 \n\r\t;,%'\"a"[..]),
        1..8,
    )
    .prop_map(|bytes| String::from_utf8(bytes).unwrap());
    let any = any::<char>().prop_map(String::from);
    proptest::collection::vec(prop_oneof![1 => known, 4 => marks, 1 => any], 1..5)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: ProptestConfig::default().cases / 4,
        ..ProptestConfig::default()
    })]

    #[test]
    fn neither_is_one_that_chance_makes(attack in pieces()) {
        check("chance", &attack);
    }
}
