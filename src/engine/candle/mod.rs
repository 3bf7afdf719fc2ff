//! Owns the `candle` backend: models of the families in [`FAMILIES`] from `config.json` and safetensors, with weights
//! in F16 or F32. Each family has one file here and one line in that list.

mod checkpoint;
mod config;
mod llama;
mod mistral;
mod qwen2;
mod rope;

use super::batch::{Batch, Show, Visit};
use super::{
    Backend, Context, Engine, Inspected, Laps, LoadError, Sequence, Stream, Switches, failed,
    size_of,
};
use crate::problem::Result;
use crate::protocol::LoadSpec;
use crate::record::{EngineInfo, Failure, LoadPhases};
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use checkpoint::{check_tensors, weight_files};
use config::{Config, Sizes, read_config};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Models in pure Rust.
pub(super) const BACKEND: Backend = Backend {
    id: "candle",
    has_model: true,
    options: |table, _, load| {
        let types = [("f16", "f16"), ("f32", "f32")];
        let dtype = table.take("dtype").map_or(Ok("f16"), |node| node.choice(&types))?;
        load.options.insert("dtype".to_string(), dtype.into());
        Ok(())
    },
    inspect: |spec| inspect(&spec.model),
    work: |spec| {
        let config = spec.model.join("config.json");
        super::checkpoint::work(&config, &weight_files(&spec.model)?.files).map(Some)
    },
    loads_library: false,
    inspect_runtime: |_| Ok(None),
    // Its weights are always mapped, and nothing is compiled that could be kept.
    switches: Switches::NONE,
    shares_calls: false,
    load: |spec| Ok(Box::new(load(spec)?)),
};

/// Every family of models.
const FAMILIES: [Family; 3] = [llama::FAMILY, mistral::FAMILY, qwen2::FAMILY];

/// A family of models: how it is recognised, what of it candle runs, and how.
struct Family {
    /// `model_type` in config.json.
    model_type: &'static str,
    /// What stands in `architectures` there.
    architecture: &'static str,
    /// Its name.
    title: &'static str,
    /// Models by which users know it.
    models: &'static str,
    /// The types of `rope_scaling` that are run.
    rope_scalings: &'static [&'static str],
    /// Whether `head_dim` may be another than the width over the heads.
    free_head_width: bool,
    /// Whether the projections of queries, keys and values have biases.
    qkv_bias: bool,
    /// How many tokens a token sees, itself included, if not all.
    window: fn(&Sizes) -> Option<usize>,
    /// Reads the configuration.
    read: fn(&Sizes, Value) -> serde_json::Result<Loader>,
}

/// Makes a model of its weights.
type Loader = Box<dyn Fn(VarBuilder<'_>) -> candle_core::Result<Box<dyn Decoder>> + Send + Sync>;

/// A model with the cache of one sequence. Threads share the one that is never run.
trait Decoder: Send + Sync {
    /// Feeds tokens, `[1, tokens]`, behind `past` others; returns the logits that follow the last: as many as the
    /// vocabulary has tokens, in any shape and type.
    fn forward(&mut self, tokens: &Tensor, past: usize) -> candle_core::Result<Tensor>;

    /// The same model with a copy of the cache, which goes on by itself.
    fn copy(&self) -> Box<dyn Decoder>;
}

/// candle's version, held equal to Cargo.lock by a test.
const VERSION: &str = "0.11.1";

/// A model in candle.
struct Candle {
    /// With an empty cache; each request gets a copy.
    pristine: Box<dyn Decoder>,
    config: Config,
    dtype: &'static str,
    threads: usize,
    phases: LoadPhases,
}

/// Loads a model from a folder in the layout of Hugging Face.
fn load(spec: &LoadSpec) -> std::result::Result<Candle, LoadError> {
    let (dtype, dtype_name) = match spec.text("dtype") {
        None | Some("f16") => (DType::F16, "f16"),
        Some("f32") => (DType::F32, "f32"),
        Some(other) => {
            return Err(LoadError::setup(format!(
                "the candle engine has no data type '{other}': use f16 or f32"
            )));
        }
    };
    let (mut laps, mut phases) = (Laps::start(), LoadPhases::default());
    let config = read_config(&spec.model.join("config.json"))?;
    let weights = weight_files(&spec.model)?;
    check_tensors(&weights, &config)?;
    // SAFETY: the files are mapped; perfgate's models are not written to while a session runs, and
    // a change would be a change of the model's hash.
    let weights =
        unsafe { VarBuilder::from_mmaped_safetensors(&weights.files, dtype, &Device::Cpu) };
    let broken = |error: candle_core::Error| {
        LoadError::setup(format!("candle cannot load {}: {error}", spec.model.display()))
    };
    let weights = weights.map_err(broken)?;
    phases.read_ns = laps.lap();
    let pristine = (config.load)(weights).map_err(broken)?;
    phases.compile_ns = laps.lap();
    Ok(Candle { pristine, config, dtype: dtype_name, threads: spec.threads, phases })
}

/// What the files say before they are loaded.
fn inspect(model: &Path) -> Result<Inspected> {
    let file = model.join("config.json");
    let config = read_config(&file)?;
    let weights = weight_files(model)?;
    check_tensors(&weights, &config)?;
    let mut files = weights.files;
    let weight_bytes = size_of(&files)?;
    files.push(file);
    let (tokens, said_by) = config.room();
    let context = Some(Context { tokens, said_by: said_by.to_string() });
    let vocab_size = Some(config.sizes.vocab_size);
    Ok(Inspected { files, weight_bytes, vocab_size, context, identity: None })
}

impl Engine for Candle {
    fn info(&self) -> EngineInfo {
        let properties = BTreeMap::from([
            ("weights".to_string(), self.dtype.to_string()),
            ("RAYON_NUM_THREADS".to_string(), self.threads.to_string()),
        ]);
        EngineInfo {
            engine: "candle".to_string(),
            version: VERSION.to_string(),
            device: Some("CPU".to_string()),
            properties,
            vocab_size: Some(self.config.sizes.vocab_size),
            ..EngineInfo::default()
        }
    }

    fn phases(&self) -> LoadPhases {
        self.phases
    }

    fn begin(&mut self) -> std::result::Result<Box<dyn Sequence + '_>, Failure> {
        Ok(Box::new(CandleSequence::new(self)))
    }

    fn streams(&mut self, count: usize) -> std::result::Result<Vec<Box<dyn Stream + '_>>, Failure> {
        let engine = &*self;
        let stream = |_| Box::new(CandleStream { engine }) as Box<dyn Stream + '_>;
        Ok((0..count).map(stream).collect())
    }

    fn batches(&self) -> bool {
        true
    }

    fn batch(&mut self, prefix: &[u32]) -> std::result::Result<Box<dyn Batch + '_>, Failure> {
        let mut start = CandleSequence::new(self);
        if !prefix.is_empty() {
            start.forward(prefix)?;
        }
        Ok(Box::new(CandleBatch { start, rows: BTreeMap::new() }))
    }
}

/// Streams share the weights, and the threads of the arithmetic; each request has a cache of its own.
struct CandleStream<'a> {
    engine: &'a Candle,
}

impl Stream for CandleStream<'_> {
    fn begin(&mut self) -> std::result::Result<Box<dyn Sequence + '_>, Failure> {
        Ok(Box::new(CandleSequence::new(self.engine)))
    }
}

/// Sequences that each have a copy of the prefix's cache, and are run one after the other.
struct CandleBatch<'a> {
    start: CandleSequence<'a>,
    rows: BTreeMap<usize, CandleSequence<'a>>,
}

impl Batch for CandleBatch<'_> {
    fn forward(
        &mut self,
        rows: &[(usize, &[u32])],
        show: Show,
        visit: &mut Visit<'_>,
    ) -> std::result::Result<(), Failure> {
        self.rows.retain(|row, _| rows.iter().any(|(kept, _)| kept == row));
        for (row, tokens) in rows {
            let sequence = self.rows.entry(*row).or_insert_with(|| self.start.copy());
            // candle returns the logits of the last position alone.
            let step = if show == Show::Last { tokens.len() } else { 1 };
            for (index, fed) in tokens.chunks(step).enumerate() {
                visit(*row, (index + 1) * step - 1, sequence.forward(fed)?)?;
            }
        }
        Ok(())
    }
}

struct CandleSequence<'a> {
    config: &'a Config,
    decoder: Box<dyn Decoder>,
    past: usize,
    logits: Vec<f32>,
}

impl<'a> CandleSequence<'a> {
    fn new(engine: &'a Candle) -> CandleSequence<'a> {
        let decoder = engine.pristine.copy();
        CandleSequence { config: &engine.config, decoder, past: 0, logits: Vec::new() }
    }

    /// A sequence that goes on from here by itself.
    fn copy(&self) -> CandleSequence<'a> {
        CandleSequence { decoder: self.decoder.copy(), logits: Vec::new(), ..*self }
    }

    fn run(&mut self, tokens: &[u32]) -> candle_core::Result<()> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let logits = self.decoder.forward(&input, self.past)?;
        self.past += tokens.len();
        self.logits = logits.flatten_all()?.to_dtype(DType::F32)?.to_vec1()?;
        Ok(())
    }
}

impl Sequence for CandleSequence<'_> {
    fn forward(&mut self, tokens: &[u32]) -> std::result::Result<&[f32], Failure> {
        let vocabulary = self.config.sizes.vocab_size;
        if let Some(id) = tokens.iter().find(|id| **id as usize >= vocabulary) {
            return Err(failed(format!(
                "token {id} is outside the model's vocabulary of {vocabulary}: the tokenizer is \
                 another model's"
            )));
        }
        let (room, what) = self.config.room();
        if self.past + tokens.len() > room {
            return Err(failed(format!(
                "{} tokens do not fit into the {room} of the model's {what}",
                self.past + tokens.len()
            )));
        }
        self.run(tokens).map_err(|error| failed(format!("candle: {error}")))?;
        Ok(&self.logits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"candle-core\"\nversion = \"{VERSION}\"")));
    }
}
