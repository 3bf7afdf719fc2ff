//! Owns making texts of any origin inert in Markdown as GitHub shows it, and in a Mermaid chart.

use super::ByRound;
use std::fmt::Write;

/// Keeps what stands before it and behind it apart, and is not seen.
const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// Text that GitHub shows as it is: no markup, no table cell's end, no mention, no reference, no link, on
/// one line.
///
/// GitHub looks for mentions, references, links and formulas in the text that is left when the markup is
/// done, where a backslash is gone: these are taken apart.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let after = rest.peek().copied().unwrap_or(' ');
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // GitHub's own way of showing one beside formulas, and that of readers which heed backslashes.
            '$' => out.push_str("<span>\\$</span>"),
            '@' => out.extend(['@', ZERO_WIDTH_SPACE]),
            '#' => out.extend(['\\', '#', ZERO_WIDTH_SPACE]),
            '|' | '*' | '`' | '[' | ']' | '\\' | '~' => out.extend(['\\', c]),
            // Inside of a word it marks nothing up, and names are full of it.
            '_' if !(before.is_alphanumeric() && after.is_alphanumeric()) => out.push_str("\\_"),
            // `https://`, `www.`, `GH-1`, `:tada:`.
            ':' if after == '/' => out.extend([':', ZERO_WIDTH_SPACE]),
            ':' if after.is_alphabetic() && !before.is_alphanumeric() => {
                out.extend([':', ZERO_WIDTH_SPACE]);
            }
            '.' if matches!(before, 'w' | 'W') => out.extend([ZERO_WIDTH_SPACE, '.']),
            '-' if matches!(before, 'h' | 'H') && after.is_ascii_digit() => {
                out.extend([ZERO_WIDTH_SPACE, '-']);
            }
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
        before = c;
    }
    not_a_list(out.trim_start())
}

/// What begins a list, a heading's line or a rule does so at the start alone, as space that indents code.
fn not_a_list(plain: &str) -> String {
    let digits = plain.bytes().take_while(u8::is_ascii_digit).count();
    let mut behind = plain[digits..].chars();
    let numbered = digits > 0
        && matches!(behind.next(), Some('.' | ')'))
        && behind.next().is_none_or(char::is_whitespace);
    match numbered {
        true => format!("{}\\{}", &plain[..digits], &plain[digits..]),
        false if plain.starts_with(['-', '+', '=']) => {
            let signed_number = plain[1..].starts_with(|c: char| c.is_ascii_digit() || c == '∞');
            if signed_number { plain.to_string() } else { format!("\\{plain}") }
        }
        false => plain.to_string(),
    }
}

/// Lines of code, between fences that they do not hold.
pub(super) fn code_block(language: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{text}\n{fence}\n")
}

/// A line chart of a change by round with its limit.
pub(super) fn mermaid(chart: &ByRound) -> String {
    const MOST_NAMED: usize = 30;
    let all = || chart.percent.iter().chain([&chart.limit]).copied();
    let (low, high) = (all().fold(0.0, f64::min), all().fold(0.0, f64::max));
    let room = ((high - low) * 0.1).max(1.0);
    let line = |values: Vec<String>| values.join(", ");
    let rounds = chart.percent.len();
    // Mermaid's own first colour is hardly seen on white; these two are told apart by everybody.
    let mut out = String::from(
        "%%{init: {\"themeVariables\": {\"xyChart\": {\"plotColorPalette\": \"#0072B2, #D55E00\"}}}}%%\n\
         xychart-beta\n",
    );
    // Each round by its number, unless they would stand over each other.
    let _ = match rounds {
        0..=MOST_NAMED => {
            let names = (1..=rounds).map(|round| round.to_string()).collect();
            writeln!(out, "    x-axis \"round\" [{}]", line(names))
        }
        _ => writeln!(out, "    x-axis \"round\" 1 --> {rounds}"),
    };
    let _ = writeln!(out, "    y-axis \"change, %\" {:.1} --> {:.1}", low - room, high + room);
    let percent = chart.percent.iter().map(|percent| format!("{percent:.2}")).collect();
    let _ = writeln!(out, "    line [{}]", line(percent));
    let _ = write!(out, "    line [{}]", line(vec![format!("{:.2}", chart.limit); rounds]));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_github_would_act_on_is_taken_apart() {
        for (text, expected) in [
            ("<img src=x>", "&lt;img src=x&gt;"),
            ("a | **b** `c` ~d~", "a \\| \\*\\*b\\*\\* \\`c\\` \\~d\\~"),
            ("@someone", "@\u{200b}someone"),
            ("[link](x)", "\\[link\\](x)"),
            ("fixes #12", "fixes \\#\u{200b}12"),
            ("gh-12", "gh\u{200b}-12"),
            ("https://x.y", "https:\u{200b}//x.y"),
            ("www.x.y", "www\u{200b}.x.y"),
            ("$x$", "<span>\\$</span>x<span>\\$</span>"),
            (":tada:", ":\u{200b}tada:"),
            ("_a_ b_c", "\\_a\\_ b_c"),
            ("two\nlines", "two lines"),
            ("- item", "\\- item"),
            ("12. item", "12\\. item"),
            ("-5.2%", "-5.2%"),
            ("&amp;", "&amp;amp;"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }

    #[test]
    fn code_does_not_end_its_block() {
        assert_eq!(code_block("sh", "a ````` b"), "``````sh\na ````` b\n``````\n");
        assert_eq!(code_block("sh", "a"), "```sh\na\n```\n");
    }

    #[test]
    fn a_chart_holds_nothing_but_numbers() {
        let chart =
            ByRound { title: "\"]\nclick x".into(), percent: vec![10.0, -2.0, 12.5], limit: 5.0 };
        assert_eq!(
            mermaid(&chart),
            "%%{init: {\"themeVariables\": {\"xyChart\": {\"plotColorPalette\": \"#0072B2, \
             #D55E00\"}}}}%%\nxychart-beta\n    x-axis \"round\" [1, 2, 3]\n    y-axis \"change, %\" -3.5 --> 13.9\n    \
             line [10.00, -2.00, 12.50]\n    line [5.00, 5.00, 5.00]"
        );
    }
}
