//! Owns what an IR's two files say without a runtime: whether the XML is whole, whether the weights
//! are as long as it refers to, and how many tokens the model knows.

use super::super::MAKE_AGAIN;
use crate::problem::{Problem, Result};
use std::path::Path;

/// What an IR's XML says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    /// The end of the last constant, bytes into the weights, and the constant's name.
    end: Option<(u64, String)>,
    /// The last dimension of the logits, if it is fixed.
    vocab_size: Option<usize>,
}

/// What is wrong with a text that should be XML, and the byte at which it shows.
type Fault = (usize, String);

/// Checks both files against each other; returns the size of the vocabulary, where the IR tells.
pub(super) fn inspect(xml: &Path, bin: &Path) -> Result<Option<usize>> {
    let text = std::fs::read(xml).map_err(|error| Problem::io(xml, "read it", &error))?;
    let text = String::from_utf8_lossy(&text);
    let facts = facts(&text).map_err(|(offset, why)| {
        let before = &text[..offset];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Problem::in_file(xml, format!("is no IR of OpenVINO, or is cut short: {why}"))
            .at(line, column)
            .help(MAKE_AGAIN)
    })?;
    let length =
        std::fs::metadata(bin).map_err(|error| Problem::io(bin, "read its size", &error))?.len();
    match facts.end {
        Some((end, name)) if end > length => Err(Problem::in_file(
            bin,
            format!(
                "has {length} bytes and is cut short, or is another model's: the constant '{name}' \
                 of openvino_model.xml ends at byte {end}"
            ),
        )
        .help(MAKE_AGAIN)),
        _ => Ok(facts.vocab_size),
    }
}

/// Reads the XML once from end to end.
fn facts(text: &str) -> std::result::Result<Facts, Fault> {
    let mut facts = Facts::default();
    let mut open: Vec<&str> = Vec::new();
    let mut layer = "";
    let (mut in_logits, mut closed) = (false, false);
    let mut tags = Tags { text, at: 0 };
    while let Some(tag) = tags.next()? {
        if closed || (open.is_empty() && tag.name != "net") {
            return Err((tag.start, format!("<{}> stands outside <net>", tag.name)));
        }
        match tag.name {
            "layer" => layer = tag.inner,
            "data" if attribute(layer, "type") == Some("Const") => {
                let number = |key| attribute(tag.inner, key)?.parse::<u64>().ok();
                if let (Some(offset), Some(size)) = (number("offset"), number("size")) {
                    let end = offset.saturating_add(size);
                    if facts.end.as_ref().is_none_or(|(last, _)| end > *last) {
                        facts.end = Some((end, attribute(layer, "name").unwrap_or("?").into()));
                    }
                }
            }
            "port" => {
                let names = attribute(tag.inner, "names").unwrap_or_default();
                in_logits = names.split(',').any(|name| name == "logits");
            }
            "/port" => in_logits = false,
            // The text before the tag is the dimension; -1 is one that is not fixed.
            "/dim" if in_logits => facts.vocab_size = tag.before.trim().parse().ok(),
            _ => {}
        }
        match tag.name.strip_prefix('/') {
            Some(name) if open.last() != Some(&name) => {
                return Err((tag.start, format!("</{name}> closes what is not open")));
            }
            Some(_) => {
                open.pop();
                closed = open.is_empty();
            }
            None if !tag.inner.ends_with('/') => open.push(tag.name),
            None => {}
        }
    }
    match open.last() {
        Some(name) => Err((text.len(), format!("it ends inside <{name}>"))),
        None if !closed => Err((text.len(), "it has no <net>".to_string())),
        None => Ok(facts),
    }
}

/// The tags of a text, one after the other; comments and instructions are passed over.
struct Tags<'a> {
    text: &'a str,
    at: usize,
}

struct Tag<'a> {
    start: usize,
    /// The element, with a slash in front where it is closed.
    name: &'a str,
    /// What stands between the brackets.
    inner: &'a str,
    /// The text since the tag before.
    before: &'a str,
}

impl<'a> Tags<'a> {
    fn next(&mut self) -> std::result::Result<Option<Tag<'a>>, Fault> {
        loop {
            let rest = &self.text[self.at..];
            let Some(gap) = rest.find('<') else { return Ok(None) };
            let (before, from) = rest.split_at(gap);
            let start = self.at + gap;
            let special = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"), ("<!", ">")];
            let end = match special.iter().find(|(opening, _)| from.starts_with(opening)) {
                Some((_, closing)) => from.find(closing).map(|end| end + closing.len()),
                None => end_of_tag(from),
            };
            let cut = || (self.text.len(), "it ends inside a tag".to_string());
            let whole = &from[..end.ok_or_else(cut)?];
            self.at = start + whole.len();
            if whole.starts_with("<!") || whole.starts_with("<?") {
                continue;
            }
            let inner = &whole[1..whole.len() - 1];
            let name = inner.split(|c: char| c.is_whitespace()).next().unwrap_or_default();
            let name = name.strip_suffix('/').unwrap_or(name);
            return Ok(Some(Tag { start, name, inner, before }));
        }
    }
}

/// The end of a tag: its bracket, outside of quotes.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    for (index, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(index + 1),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// The value of an attribute in a tag.
fn attribute<'a>(tag: &'a str, key: &str) -> Option<&'a str> {
    let rest = &tag[tag.find(&format!(" {key}=\""))? + key.len() + 3..];
    Some(&rest[..rest.find('"')?])
}

#[cfg(test)]
mod tests {
    use super::*;

    const IR: &str = r#"<?xml version="1.0"?>
<net name="Model0" version="11">
	<layers>
		<!-- <data offset="900" size="900"/> -->
		<layer id="0" name="weights" type="Const" version="opset1">
			<data element_type="f16" shape="2" offset="6" size="4" />
			<output><port id="0" precision="FP16"><dim>2</dim></port></output>
		</layer>
		<layer id="1" name="a > b" type="Other"><data offset="700" size="1"/></layer>
		<layer id="2" name="end" type="MatMul" version="opset1">
			<output><port id="2" names="x,logits"><dim>-1</dim><dim>7</dim></port></output>
		</layer>
	</layers>
</net>
"#;

    #[test]
    fn constants_and_logits_are_found() {
        let facts = facts(IR).unwrap();
        assert_eq!(facts.end, Some((10, "weights".to_string())));
        assert_eq!(facts.vocab_size, Some(7));
        let dynamic = super::facts(&IR.replace("<dim>7", "<dim>-1")).unwrap();
        assert_eq!(dynamic.vocab_size, None);
    }

    #[test]
    fn no_cut_is_taken_for_the_whole() {
        let end = IR.trim_end().len();
        for length in (0..end).filter(|length| IR.is_char_boundary(*length)) {
            assert!(facts(&IR[..length]).is_err(), "{length} of {end} bytes");
        }
        for text in ["{}", "<html></html>", "<net></layers></net>", "<net></net><net></net>"] {
            assert!(facts(text).is_err(), "{text}");
        }
    }
}
