//! Owns what an IR's two files say without a runtime: whether the XML is whole, whether the weights
//! are as long as it refers to, and how many tokens the model knows.

use super::super::MAKE_AGAIN;
use crate::problem::{Problem, Result};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::collections::BTreeSet;
use std::path::Path;

/// What an IR's XML says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The end of the last constant, bytes into the weights, and the constant's name.
    end: Option<(u64, String)>,
    /// The last dimension of the logits, if it is fixed.
    pub(super) vocab_size: Option<usize>,
    /// The names of its inputs.
    pub(super) inputs: BTreeSet<String>,
}

/// What is wrong with a text that should be XML, and the byte at which it shows.
type Fault = (usize, String);

/// Checks both files against each other; returns what the XML says.
pub(super) fn inspect(xml: &Path, bin: &Path) -> Result<Facts> {
    let text = std::fs::read(xml).map_err(|error| Problem::io(xml, "read it", &error))?;
    let text = String::from_utf8_lossy(&text);
    let facts = facts(&text).map_err(|(offset, why)| {
        let before = String::from_utf8_lossy(&text.as_bytes()[..offset]);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Problem::in_file(xml, format!("is no IR of OpenVINO, or is cut short: {why}"))
            .at(line, column)
            .help(MAKE_AGAIN)
    })?;
    let length =
        std::fs::metadata(bin).map_err(|error| Problem::io(bin, "read its size", &error))?.len();
    match &facts.end {
        Some((end, name)) if *end > length => Err(Problem::in_file(
            bin,
            format!(
                "has {length} bytes and is cut short, or is another model's: the constant '{name}' \
                 of openvino_model.xml ends at byte {end}"
            ),
        )
        .help(MAKE_AGAIN)),
        _ => Ok(facts),
    }
}

/// Reads the XML once from end to end.
fn facts(text: &str) -> std::result::Result<Facts, Fault> {
    let mut reader = Reader::from_str(text);
    // What closes what is checked below, in words that name the place.
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_unmatched_ends = true;
    let mut reading = Reading::default();
    loop {
        let start = reader.buffer_position() as usize;
        let event = reader.read_event().map_err(|error| match error {
            // What a cut leaves shows at the end of the text.
            quick_xml::Error::Syntax(why) => (text.len(), format!("it ends inside a tag: {why}")),
            other => (reader.error_position() as usize, other.to_string()),
        })?;
        let outside = |name: &str| Err((start, format!("<{name}> stands outside <net>")));
        match event {
            Event::Start(tag) | Event::Empty(tag) if reading.is_outside(&tag) => {
                return outside(tag.name().0);
            }
            Event::Start(tag) => {
                reading.open(&tag);
                reading.path.push(tag.name().0.to_string());
            }
            Event::Empty(tag) => reading.open(&tag),
            Event::Text(words) => reading.words = words.trim().to_string(),
            Event::End(tag) if reading.path.last().map(String::as_str) != Some(tag.name().0) => {
                return Err((start, format!("</{}> closes what is not open", tag.name().0)));
            }
            Event::End(tag) => reading.close(tag.name().0),
            Event::Eof => break,
            _ => {}
        }
    }
    match reading.path.last() {
        Some(name) => Err((text.len(), format!("it ends inside <{name}>"))),
        None if !reading.closed => Err((text.len(), "it has no <net>".to_string())),
        None => Ok(reading.facts),
    }
}

/// What is known at one place of the XML.
#[derive(Default)]
struct Reading {
    facts: Facts,
    /// The elements that are open.
    path: Vec<String>,
    /// The name of the layer, if it is a constant.
    constant: Option<String>,
    /// The name of the layer, if it is an input.
    parameter: Option<String>,
    /// Whether the port is that of the logits.
    in_logits: bool,
    /// The text since the last tag.
    words: String,
    /// Whether `<net>` was closed.
    closed: bool,
}

impl Reading {
    /// Whether an element begins that is not the net and not inside of it.
    fn is_outside(&self, tag: &BytesStart<'_>) -> bool {
        self.closed || (self.path.is_empty() && tag.name().0 != "net")
    }

    fn open(&mut self, tag: &BytesStart<'_>) {
        self.words.clear();
        match tag.name().0 {
            "layer" => {
                let constant = attribute(tag, "type").as_deref() == Some("Const");
                let name = || attribute(tag, "name").unwrap_or_else(|| "?".to_string());
                self.constant = constant.then(name);
                // The bodies of loops have parameters of their own.
                let of_net = self.path == ["net", "layers"];
                let parameter = of_net && attribute(tag, "type").as_deref() == Some("Parameter");
                self.parameter = parameter.then(name);
            }
            "data" => self.constant_data(tag),
            "port" => {
                let names = attribute(tag, "names").unwrap_or_default();
                self.in_logits = names.split(',').any(|name| name == "logits");
                if let Some(layer) = self.parameter.take() {
                    // An input goes by the first of its names, and by its layer's where it has none.
                    let name = names.split(',').find(|name| !name.is_empty()).map(str::to_string);
                    self.facts.inputs.insert(name.unwrap_or(layer));
                }
            }
            _ => {}
        }
    }

    /// Where a constant's bytes end.
    fn constant_data(&mut self, tag: &BytesStart<'_>) {
        let Some(name) = &self.constant else { return };
        let number = |key| attribute(tag, key)?.parse::<u64>().ok();
        let (Some(offset), Some(size)) = (number("offset"), number("size")) else { return };
        let end = offset.saturating_add(size);
        if self.facts.end.as_ref().is_none_or(|(last, _)| end > *last) {
            self.facts.end = Some((end, name.clone()));
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "port" => self.in_logits = false,
            // -1 is a dimension that is not fixed.
            "dim" if self.in_logits => self.facts.vocab_size = self.words.parse().ok(),
            _ => {}
        }
        self.words.clear();
        self.path.pop();
        self.closed = self.path.is_empty();
    }
}

/// The value of an attribute, if it has one that can be read.
pub(super) fn attribute(tag: &BytesStart<'_>, key: &str) -> Option<String> {
    let attribute = tag.try_get_attribute(key).ok()??;
    Some(attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
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
		<layer id="3" name="x" type="Parameter" version="opset1">
			<output><port id="0" names="input_ids"><dim>-1</dim></port></output>
		</layer>
		<layer id="4" name="loop" type="Loop" version="opset5">
			<body><layers>
				<layer id="0" name="Parameter_7" type="Parameter" version="opset1">
					<output><port id="0" names="inner"><dim>-1</dim></port></output>
				</layer>
			</layers></body>
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
        assert_eq!(facts.inputs, BTreeSet::from(["input_ids".to_string()]));
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
