//! Owns what an IR says of how its weights were quantized: the section `nncf` of the model's `rt_info`, which NNCF and
//! `optimum-cli export openvino` write.

use super::ir::attribute;
use quick_xml::events::BytesStart;
use std::collections::BTreeMap;

/// The values of the section, as far as they were met.
#[derive(Debug, Default)]
pub(super) struct Recipe {
    /// The section that is being read, by its element.
    section: Option<Section>,
    version: Option<String>,
    /// Of the compression of weights.
    weights: BTreeMap<String, String>,
    /// Whether activations were quantized when the model was made.
    activations: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Nncf,
    Weights,
    Other,
}

/// What else may have been done to weights, where it is `True`.
const METHODS: [(&str, &str); 4] = [
    ("awq", "AWQ"),
    ("gptq", "GPTQ"),
    ("scale_estimation", "scale estimation"),
    ("lora_correction", "LoRA correction"),
];

impl Recipe {
    /// Takes the next element that stands outside of all operations.
    pub(super) fn open(&mut self, tag: &BytesStart<'_>) {
        let name = tag.name().0;
        match (name, self.section) {
            ("nncf", _) => self.section = Some(Section::Nncf),
            (_, None) => {}
            ("weight_compression", _) => self.section = Some(Section::Weights),
            ("quantization", _) => {
                self.activations = true;
                self.section = Some(Section::Other);
            }
            ("runtime_options" | "optimum" | "conversion_parameters", _) => self.section = None,
            ("version", Some(Section::Nncf)) => self.version = attribute(tag, "value"),
            (_, Some(Section::Weights)) => {
                if let Some(value) = attribute(tag, "value") {
                    self.weights.insert(name.to_string(), value);
                }
            }
            _ => {}
        }
    }

    /// The recipe in words; `None` if the file tells of none.
    pub(super) fn words(&self) -> Option<String> {
        let by = match &self.version {
            Some(version) => format!("NNCF {version}"),
            None => "NNCF".to_string(),
        };
        let value = |key: &str| self.weights.get(key).map(String::as_str);
        let Some(mode) = value("mode") else {
            return self.activations.then(|| format!("{by}, weights and activations quantized"));
        };
        let mut words = vec![format!("{by} {mode}")];
        words.extend(value("group_size").map(|size| match size {
            "-1" => "one scale per channel".to_string(),
            size => format!("groups of {size}"),
        }));
        match value("ratio").and_then(|ratio| ratio.parse::<f64>().ok()) {
            Some(ratio) if ratio < 1.0 => {
                let rest = value("backup_mode").unwrap_or("another type");
                words.push(format!("ratio {ratio}, the rest {rest}"));
            }
            _ => {}
        }
        if value("all_layers") == Some("True") {
            words.push("all layers".to_string());
        }
        let used = METHODS.iter().filter(|(key, _)| value(key) == Some("True"));
        words.extend(used.map(|(_, title)| (*title).to_string()));
        if self.activations {
            words.push("activations quantized".to_string());
        }
        Some(words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quick_xml::Reader;
    use quick_xml::events::Event;

    fn words(text: &str) -> Option<String> {
        let (mut reader, mut recipe) = (Reader::from_str(text), Recipe::default());
        loop {
            match reader.read_event().unwrap() {
                Event::Start(tag) | Event::Empty(tag) => recipe.open(&tag),
                Event::Eof => return recipe.words(),
                _ => {}
            }
        }
    }

    #[test]
    fn the_recipe_is_named_as_nncf_wrote_it() {
        let of = |inner: &str| {
            words(&format!(
                "<rt_info><Runtime_version value=\"9\"/><nncf><version value=\"3.4.0\"/>{inner}</nncf>\
                 <runtime_options><mode value=\"x\"/></runtime_options></rt_info>"
            ))
        };
        let int4 = "<weight_compression><all_layers value=\"True\"/><awq value=\"True\"/>\
                    <backup_mode value=\"int8_asym\"/><group_size value=\"64\"/><mode value=\"int4_sym\"/>\
                    <ratio value=\"0.8\"/></weight_compression>";
        let expected =
            "NNCF 3.4.0 int4_sym, groups of 64, ratio 0.8, the rest int8_asym, all layers, AWQ";
        assert_eq!(of(int4).as_deref(), Some(expected));
        let int8 = "<weight_compression><group_size value=\"-1\"/><mode value=\"int8_asym\"/><ratio value=\"1\"/>\
                    </weight_compression>";
        assert_eq!(of(int8).as_deref(), Some("NNCF 3.4.0 int8_asym, one scale per channel"));
        assert_eq!(
            of("<quantization><preset value=\"mixed\"/></quantization>").as_deref(),
            Some("NNCF 3.4.0, weights and activations quantized")
        );
        assert_eq!(of(""), None);
        assert_eq!(words("<rt_info><mode value=\"int8\"/></rt_info>"), None);
    }
}
