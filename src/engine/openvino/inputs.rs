//! Owns the inputs of a language model's IR: which there have to be, which are known, and how they are filled.

use crate::problem::Problem;
use openvino::{ElementType, InferRequest, InferenceError, Shape, Tensor};
use std::collections::BTreeSet;
use std::path::Path;

/// How the export of a model with a cache is asked for.
const EXPORT: &str =
    "optimum-cli export openvino --model MODEL --task text-generation-with-past FOLDER";

/// The inputs that an IR has besides `input_ids`, `attention_mask` and `beam_idx`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Inputs {
    position_ids: bool,
    /// Mamba's: how long its convolution is, by which its graph tells the first call from those behind it.
    convolution: Option<usize>,
}

impl Inputs {
    /// Looks whether the inputs are those of a stateful language model. `model` is its folder.
    ///
    /// # Errors
    /// If one is missing or not known; the message says what the IR is and how to export it.
    pub(super) fn of(names: &BTreeSet<String>, xml: &Path) -> Result<Inputs, Problem> {
        let refuse = |why: String, help: String| Err(Problem::in_file(xml, why).help(help));
        if names.iter().any(|name| name.starts_with("past_key_values")) {
            return refuse(
                "the IR keeps its cache in inputs ('past_key_values'), as `--disable-stateful` exports it; a stateful \
                 one is needed"
                    .to_string(),
                format!("export it without that option: {EXPORT}"),
            );
        }
        if names.contains("inputs_embeds") {
            return refuse(
                "the IR takes embeddings ('inputs_embeds') and not token ids: it is the language part of a model of \
                 images or sound"
                    .to_string(),
                format!("export the text model by itself, where its family has one: {EXPORT}"),
            );
        }
        if names.iter().any(|name| name.starts_with("decoder_") || name == "encoder_hidden_states")
        {
            return refuse(
                "the IR is of an encoder and decoder, and perfgate runs models that are decoders alone".to_string(),
                format!("name a model of causal language modelling: {EXPORT}"),
            );
        }
        let senses = ["pixel_values", "input_features", "input_values"];
        if let Some(name) = senses.into_iter().find(|name| names.contains(*name)) {
            return refuse(
                format!(
                    "the IR takes pictures or sound ('{name}'), and perfgate runs models of text alone"
                ),
                format!("export the text model by itself, where its family has one: {EXPORT}"),
            );
        }
        if let Some(name) = encoder(xml).filter(|_| !names.contains("beam_idx")) {
            return refuse(
                format!(
                    "the IR is of '{name}' by its config.json, which encodes texts, as embedding models and \
                     classifiers do, and generates none"
                ),
                format!("name a model of causal language modelling: {EXPORT}"),
            );
        }
        if names.contains("input_ids") && !names.contains("beam_idx") {
            return refuse(
                "the IR has no cache (no input 'beam_idx'), as `--task text-generation` exports it: each token would \
                 compute the whole text anew"
                    .to_string(),
                format!("export it with its cache: {EXPORT}"),
            );
        }
        for needed in ["input_ids", "attention_mask", "beam_idx"] {
            if !names.contains(needed) {
                return refuse(
                    format!("the IR has no input '{needed}': it is not a language model's"),
                    format!("export one: {EXPORT}"),
                );
            }
        }
        let known = ["input_ids", "attention_mask", "beam_idx", "position_ids", "cache_position"];
        if let Some(other) = names.iter().find(|name| !known.contains(&name.as_str())) {
            return refuse(
                format!("the IR takes an input '{other}', which is not supported"),
                format!("a language model of text alone is run: {EXPORT}"),
            );
        }
        let convolution = match names.contains("cache_position") {
            true => Some(convolution(xml)?),
            false => None,
        };
        Ok(Inputs { position_ids: names.contains("position_ids"), convolution })
    }

    /// How many of `count` tokens go into one call behind `past` ones. A graph that tells calls apart by their place
    /// takes a text as a whole at first, and one token at a time behind it.
    pub(super) fn at_once(self, past: usize, count: usize) -> usize {
        match self.convolution {
            Some(_) if past > 0 => count.min(1),
            _ => count,
        }
    }

    /// Whether the logits of every position of a call are right. With the export of a Mamba they were off by 0.34 nats
    /// in one call of 59 tokens, and right token by token.
    pub(super) fn shows_all(self) -> bool {
        self.convolution.is_none()
    }

    /// Fills the inputs for rows of equal length: `ids` are `[rows, length]`, behind `past` tokens of each. `beams` are
    /// the places at which the rows lay in the call before; `None` leaves what was set.
    pub(super) fn fill(
        self,
        request: &mut InferRequest,
        (rows, length): (usize, usize),
        past: usize,
        ids: impl Iterator<Item = u32>,
        beams: Option<&[i32]>,
    ) -> Result<(), InferenceError> {
        let shape = [rows, length];
        set(request, "input_ids", &shape, |places| {
            places.iter_mut().zip(ids).for_each(|(place, id)| *place = i64::from(id));
        })?;
        let seen = if self.convolution.is_some() { length } else { past + length };
        set(request, "attention_mask", &[rows, seen], |mask| mask.fill(1))?;
        if self.position_ids {
            set(request, "position_ids", &shape, |positions| {
                for (index, place) in positions.iter_mut().enumerate() {
                    *place = (past + index % length) as i64;
                }
            })?;
        }
        if let Some(convolution) = self.convolution {
            // The graph tells its first call by the length of this input, and keeps the convolution's state at its
            // end: a place within it would overwrite what is still needed.
            let (count, first) =
                if past == 0 { (convolution, 0) } else { (1, past.max(convolution)) };
            set(request, "cache_position", &[count], |places| {
                for (index, place) in places.iter_mut().enumerate() {
                    *place = (first + index) as i64;
                }
            })?;
        }
        if let Some(beams) = beams {
            let mut beam = Tensor::new(ElementType::I32, &Shape::new(&[rows as i64])?)?;
            beam.get_data_mut::<i32>()?.copy_from_slice(beams);
            request.set_tensor("beam_idx", &beam)?;
        }
        Ok(())
    }
}

/// What a folder without a language model's IR has in its place, if that is known.
pub(super) fn other_export(model: &Path) -> Option<Problem> {
    let refuse = |file: &str, what: &str, help: &str| {
        let file = model.join(file);
        let problem = || Problem::in_file(&file, what).help(format!("{help}: {EXPORT}"));
        file.is_file().then(problem)
    };
    refuse(
        "openvino_language_model.xml",
        "is the language part of a model of images or sound, and perfgate runs models of text alone",
        "export the text model by itself, where its family has one",
    )
    .or_else(|| {
        refuse(
            "openvino_encoder_model.xml",
            "is of an encoder and decoder, and perfgate runs models that are decoders alone",
            "name a model of causal language modelling",
        )
    })
}

/// The architecture of a model that generates no text, if config.json names one.
fn encoder(xml: &Path) -> Option<String> {
    let text = std::fs::read_to_string(xml.with_file_name("config.json")).ok()?;
    let config: serde_json::Value = serde_json::from_str(&text).ok()?;
    let name = config["architectures"][0].as_str()?;
    let generates = ["CausalLM", "LMHead", "ConditionalGeneration"];
    (!generates.iter().any(|part| name.contains(part))).then(|| name.to_string())
}

/// The length of a Mamba's convolution, which its graph does not name.
fn convolution(xml: &Path) -> Result<usize, Problem> {
    let file = xml.with_file_name("config.json");
    let text = std::fs::read_to_string(&file);
    let config: Option<serde_json::Value> =
        text.ok().and_then(|text| serde_json::from_str(&text).ok());
    let stated =
        config.and_then(|config| config["conv_kernel"].as_u64()).filter(|kernel| *kernel > 0);
    stated.map(|kernel| kernel as usize).ok_or_else(|| {
        let what = "the IR takes an input 'cache_position', as Mamba's does, and config.json does not say how long \
                    its convolution is (conv_kernel)";
        Problem::in_file(xml, what).help("put the config.json of the export into its folder")
    })
}

/// Sets an input of 64-bit numbers.
fn set(
    request: &mut InferRequest,
    name: &str,
    shape: &[usize],
    fill: impl FnOnce(&mut [i64]),
) -> Result<(), InferenceError> {
    let shape: Vec<i64> = shape.iter().map(|length| *length as i64).collect();
    let mut tensor = Tensor::new(ElementType::I64, &Shape::new(&shape)?)?;
    fill(tensor.get_data_mut()?);
    request.set_tensor(name, &tensor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Result<Inputs, String> {
        let names = names.iter().map(|name| name.to_string()).collect();
        Inputs::of(&names, Path::new("/nowhere/openvino_model.xml")).map_err(|p| p.to_string())
    }

    const NEEDED: [&str; 3] = ["input_ids", "attention_mask", "beam_idx"];

    #[test]
    fn what_an_ir_is_and_how_to_export_it_is_said() {
        assert_eq!(of(&NEEDED), Ok(Inputs::default()));
        let with = |name| of(&[&NEEDED[..], &[name]].concat());
        assert_eq!(with("position_ids").unwrap(), Inputs { position_ids: true, convolution: None });
        let cases = [
            (with("past_key_values.0.key"), "`--disable-stateful`"),
            (with("inputs_embeds"), "the language part of a model of images or sound"),
            (with("decoder_input_ids"), "of an encoder and decoder"),
            (with("token_type_ids"), "takes an input 'token_type_ids', which is not supported"),
            (of(&["input_ids", "attention_mask"]), "`--task text-generation` exports it"),
            (of(&["pixel_values"]), "takes pictures or sound ('pixel_values')"),
            (of(&["input_ids", "attention_mask", "pixel_values"]), "takes pictures or sound"),
            (of(&["waveform"]), "no input 'input_ids': it is not a language model's"),
            (with("cache_position"), "conv_kernel"),
        ];
        for (outcome, expected) in cases {
            let said = outcome.unwrap_err();
            assert!(said.contains(expected), "wanted {expected:?} in {said}");
        }
    }

    #[test]
    fn a_model_that_generates_nothing_is_named_by_its_architecture() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["input_ids", "attention_mask", "token_type_ids"].map(String::from).into();
        let said = |architecture: &str| {
            let config = format!(r#"{{"architectures": ["{architecture}"]}}"#);
            std::fs::write(folder.path().join("config.json"), config).unwrap();
            let said = Inputs::of(&names, &folder.path().join("openvino_model.xml"));
            said.unwrap_err().to_string()
        };
        assert!(said("BertModel").contains("is of 'BertModel' by its config.json, which encodes"));
        assert!(said("GPT2LMHeadModel").contains("`--task text-generation` exports it"));
        assert!(said("LlamaForCausalLM").contains("`--task text-generation` exports it"));
    }

    #[test]
    fn a_mamba_takes_a_text_at_first_and_single_tokens_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), r#"{"conv_kernel": 4}"#).unwrap();
        let names = NEEDED.iter().chain(&["cache_position"]).map(|name| name.to_string()).collect();
        let inputs = Inputs::of(&names, &folder.path().join("openvino_model.xml")).unwrap();
        assert_eq!((inputs.at_once(0, 9), inputs.at_once(9, 9), inputs.at_once(9, 1)), (9, 1, 1));
        assert_eq!(Inputs::default().at_once(9, 9), 9);
    }
}
