//! Owns the `openvino` backend: a language model's IR as `optimum-cli export openvino` or OpenVINO
//! GenAI write it, executed by a runtime library that is loaded at run time.

mod batch;
mod execution;
mod graph;
mod inputs;
mod ir;
mod recipe;
mod runtime;

use inputs::Inputs;
use runtime::find_runtime;
pub(super) use runtime::runtime_files;
pub use runtime::{FoundRuntime, all_runtimes, install_words};

use super::batch::Batch;
use super::lengths::Lengths;
use super::model_cache::{Depends, Folder};
use super::{
    Backend, Engine, Inspected, Laps, LoadError, MAKE_AGAIN, Sequence, Stream, Switches, Visit,
    arithmetic_environment, failed, probe, size_of,
};
use crate::document::{Node, Table};
use crate::hash;
use crate::problem::{self, Problem};
use crate::protocol::LoadSpec;
use crate::record::{
    Difference, EngineInfo, Execution, Failure, LoadPhases, ModelCache, Rows, Taken,
};
use openvino::{
    CompiledModel, Core, DeviceType, ElementType, InferRequest, InferenceError, Model, PropertyKey,
    RwPropertyKey, Tensor,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// An IR, executed by OpenVINO.
pub(super) const BACKEND: Backend = Backend {
    id: "openvino",
    has_model: true,
    options,
    inspect: |spec| inspect(&spec.model),
    work: |spec| Ok(Some(graph::work(&ir_files(&spec.model)?.0)?)),
    loads_library: true,
    inspect_runtime,
    switches: Switches {
        model_cache: Some(switch_model_cache),
        cache_folder: |spec| spec.properties.get(CACHE_DIR).map(PathBuf::from),
        mmap: Some(switch_mmap),
        tell_execution: Some(switch_telling),
    },
    shares_calls: true,
    load: |spec| Ok(Box::new(load(spec)?)),
};

/// `runtime = "FOLDER"` and `properties = { … }`.
fn options(table: &mut Table<'_>, folder: &Path, load: &mut LoadSpec) -> problem::Result<()> {
    if let Some(node) = table.take(RUNTIME) {
        let place = folder.join(node.string()?);
        load.options.insert(RUNTIME.to_string(), place.display().to_string().into());
    }
    load.properties = asked_properties(table.take("properties"))?;
    Ok(())
}

fn asked_properties(node: Option<Node<'_>>) -> problem::Result<BTreeMap<String, String>> {
    let Some(node) = node else { return Ok(BTreeMap::new()) };
    node.table()?.into_entries().into_iter().map(|(key, node)| Ok((key, node.scalar()?))).collect()
}

/// The option that names the library or a folder that holds it.
pub const RUNTIME: &str = "runtime";

/// The runtime library of a variant.
///
/// # Errors
/// If there is none.
pub fn runtime_of(spec: &LoadSpec) -> problem::Result<PathBuf> {
    find_runtime(spec.text(RUNTIME).map(Path::new), &spec.root)
}

/// Properties that change speed or results: read back after compiling and recorded.
const RECORDED: [&str; 11] = [
    "INFERENCE_NUM_THREADS",
    "PERFORMANCE_HINT",
    "EXECUTION_MODE_HINT",
    "INFERENCE_PRECISION_HINT",
    "KV_CACHE_PRECISION",
    "KEY_CACHE_PRECISION",
    "VALUE_CACHE_PRECISION",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE",
    "NUM_STREAMS",
    "ENABLE_CPU_PINNING",
    "CACHE_DIR",
];

/// Properties of the core and not of a device, which does not list them: the folder of compiled models, and whether
/// files are mapped.
const OF_CORE: [&str; 2] = [CACHE_DIR, ENABLE_MMAP];

const CACHE_DIR: &str = "CACHE_DIR";
const ENABLE_MMAP: &str = "ENABLE_MMAP";

fn switch_model_cache(load: &mut LoadSpec, folder: Option<&Path>) {
    match folder {
        Some(folder) => {
            load.properties.insert(CACHE_DIR.to_string(), folder.display().to_string());
        }
        None => drop(load.properties.remove(CACHE_DIR)),
    }
}

fn switch_mmap(load: &mut LoadSpec, on: bool) {
    let word = if on { "YES" } else { "NO" };
    load.properties.insert(ENABLE_MMAP.to_string(), word.to_string());
}

fn switch_telling(load: &mut LoadSpec) {
    load.properties.insert(execution::PROPERTY.to_string(), "YES".to_string());
    // It leaves nothing in a folder of compiled models.
    load.properties.remove(CACHE_DIR);
}

/// Longer than any request may take, milliseconds: the worker is killed at its deadline.
const LONG_MS: i64 = 24 * 60 * 60 * 1000;

/// A compiled language model.
struct OpenVino {
    /// The crate's type may be sent to another thread, and not be used by several. Behind a lock it can: OpenVINO's
    /// own may be asked for requests at any time, and the requests run beside each other without it.
    compiled: Mutex<CompiledModel>,
    inputs: Inputs,
    lengths: Lengths,
    /// The IR's graph.
    xml: PathBuf,
    info: EngineInfo,
    phases: LoadPhases,
    model_cache: Option<ModelCache>,
    // Held until the model is gone: OpenVINO unloads its plugins with the core.
    _core: Core,
}

/// Loads and compiles the IR of a folder.
fn load(spec: &LoadSpec) -> Result<OpenVino, LoadError> {
    let (xml, bin) = ir_files(&spec.model)?;
    let (mut laps, mut phases) = (Laps::start(), LoadPhases::default());
    let library = runtime_of(spec)?;
    let (version, mut core) = start(&library)?;
    let broken = |doing: &str, error: &dyn std::fmt::Display| {
        LoadError::setup(format!("OpenVINO {version} cannot {doing}: {error}"))
    };
    let asked = properties(spec);
    let defaults = defaults(&core);
    let device = core.get_property(&DeviceType::CPU, &PropertyKey::DeviceFullName).ok();
    let cache = compiled_models(spec, &asked, &version, device.as_deref())?;
    let mut set = asked.clone();
    if let Some(folder) = &cache {
        set.insert(CACHE_DIR.to_string(), folder.path().display().to_string());
    }
    set_properties(&mut core, &set)?;
    phases.library_ns = laps.lap();
    let model = core
        .read_model_from_file(&xml.to_string_lossy(), &bin.to_string_lossy())
        .map_err(|error| broken(&format!("read {}", xml.display()), &error))?;
    let inputs = check_inputs(&model, &xml)?;
    phases.read_ns = laps.lap();
    let compiled = core
        .compile_model(&model, DeviceType::CPU)
        .map_err(|error| broken(&format!("compile {}", xml.display()), &error))?;
    phases.compile_ns = laps.lap();
    let model_cache = cache.map(|folder| folder.done());
    let mut effective = effective(&core, &compiled, &asked);
    if let Some(done) = model_cache {
        // It cannot be read back, and what it holds tells. The subfolder's name is no property of the variant.
        effective.remove(CACHE_DIR);
        if done.taken != Taken::NotKept {
            effective.insert(CACHE_DIR.to_string(), asked[CACHE_DIR].clone());
        }
    }
    let info = EngineInfo {
        engine: "openvino".to_string(),
        properties: effective,
        defaults,
        requested: asked,
        device,
        version,
        library: Some(library.display().to_string()),
        vocab_size: None,
        all_positions: inputs.shows_all(),
    };
    let compiled = Mutex::new(compiled);
    let lengths = Lengths::of(&spec.model);
    Ok(OpenVino { compiled, inputs, lengths, xml, info, phases, model_cache, _core: core })
}

/// The folder of compiled models, where one is asked for: of this model's bytes, runtime and set-up alone.
fn compiled_models(
    spec: &LoadSpec,
    asked: &BTreeMap<String, String>,
    version: &str,
    device: Option<&str>,
) -> Result<Option<Folder>, LoadError> {
    let Some(folder) = asked.get(CACHE_DIR).filter(|folder| !folder.is_empty()) else {
        return Ok(None);
    };
    let sum = match &spec.known {
        Some(known) => known.sha256.clone(),
        None => {
            let (xml, bin) = ir_files(&spec.model)?;
            let names =
                [xml, bin].map(|file| file.file_name().map(PathBuf::from).unwrap_or_default());
            hash::of_files(&spec.model, &names)?
        }
    };
    let others = asked.iter().filter(|(key, _)| *key != CACHE_DIR);
    let depends = Depends {
        model_sha256: &sum,
        runtime: version,
        device,
        properties: others.map(|(key, value)| (key.as_str(), value.as_str())).collect(),
        environment: arithmetic_environment(),
    };
    Ok(Some(Folder::open(Path::new(folder), &depends)?))
}

/// Loads a runtime library; returns its version and what everything else is asked of.
fn start(library: &Path) -> Result<(String, Core), LoadError> {
    // It also refuses a version whose C API is another.
    openvino_sys::library::load_from(library)
        .map_err(|error| runtime::unusable(library, format!("cannot be loaded: {error}")))?;
    let version = openvino::version().build_number;
    let core = Core::new()
        .map_err(|error| LoadError::setup(format!("OpenVINO {version} cannot start: {error}")))?;
    Ok((version, core))
}

/// What a runtime library says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// Its version, with the build.
    pub version: String,
    /// The processor as its CPU device names it.
    pub device: String,
}

/// Loads a runtime library and asks what it is. A process can load one library and no other after
/// it, so this is for a process of its own.
///
/// # Errors
/// If it cannot be loaded, is too old, or has no CPU device.
pub fn ask_runtime(library: &Path) -> Result<Runtime, LoadError> {
    let (version, core) = start(library)?;
    let device =
        core.get_property(&DeviceType::CPU, &PropertyKey::DeviceFullName).map_err(|error| {
            LoadError::setup(format!("OpenVINO {version} has no CPU device: {error}"))
        })?;
    Ok(Runtime { version, device })
}

/// A graph that gives back what it is fed: enough to compile under properties and read them back.
const SMALLEST: &str = r#"<?xml version="1.0"?>
<net name="smallest" version="11"><layers>
<layer id="0" name="x" type="Parameter" version="opset1"><data shape="1" element_type="f32"/><output><port id="0" precision="FP32"><dim>1</dim></port></output></layer>
<layer id="1" name="y" type="Result" version="opset1"><input><port id="0" precision="FP32"><dim>1</dim></port></input></layer>
</layers><edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/></edges></net>
"#;

/// Sets a variant's properties, compiles the smallest graph and tells which of them are not in force. A process can load
/// one library, so this is for a process of its own. A folder of compiled models is left out.
///
/// # Errors
/// If the library cannot be used, or refuses a property.
pub fn try_properties(library: &Path, spec: &LoadSpec) -> Result<Vec<Difference>, LoadError> {
    let (version, mut core) = start(library)?;
    let mut asked = properties(spec);
    asked.remove(CACHE_DIR);
    set_properties(&mut core, &asked)?;
    let broken = |error: &dyn std::fmt::Display| {
        LoadError::setup(format!(
            "OpenVINO {version} cannot compile under these properties: {error}"
        ))
    };
    let folder = tempfile::tempdir().map_err(|error| broken(&error))?;
    let (xml, bin) = (folder.path().join("smallest.xml"), folder.path().join("smallest.bin"));
    std::fs::write(&xml, SMALLEST)
        .and_then(|()| std::fs::write(&bin, [0; 4]))
        .map_err(|error| broken(&error))?;
    let model = core
        .read_model_from_file(&xml.to_string_lossy(), &bin.to_string_lossy())
        .map_err(|error| broken(&error))?;
    let compiled = core.compile_model(&model, DeviceType::CPU).map_err(|error| broken(&error))?;
    let info = EngineInfo {
        properties: effective(&core, &compiled, &asked),
        requested: asked,
        ..EngineInfo::default()
    };
    Ok(info.differences())
}

/// What the files say before they are loaded.
fn inspect(model: &Path) -> problem::Result<Inspected> {
    let (xml, bin) = ir_files(model)?;
    let ir = ir::inspect(&xml, &bin)?;
    Inputs::of(&ir.inputs, &xml)?;
    let vocab_size = ir.vocab_size.or_else(|| configured_vocabulary(model));
    let context = Lengths::of(model).context;
    let weight_bytes = size_of(std::slice::from_ref(&bin))?;
    Ok(Inspected { files: vec![xml, bin], weight_bytes, vocab_size, context, identity: None })
}

/// The size of the vocabulary by the model's `config.json`, which exporters put beside the IR.
fn configured_vocabulary(model: &Path) -> Option<usize> {
    let text = std::fs::read_to_string(model.join("config.json")).ok()?;
    let config: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(config["vocab_size"].as_u64()? as usize)
}

/// Looks for the runtime, and for what is called in it.
fn inspect_runtime(spec: &LoadSpec) -> problem::Result<Option<PathBuf>> {
    let library = runtime_of(spec)?;
    runtime::check_library(&library)?;
    Ok(Some(library))
}

/// The IR's two files.
fn ir_files(model: &Path) -> problem::Result<(PathBuf, PathBuf)> {
    let xml = model.join("openvino_model.xml");
    let bin = model.join("openvino_model.bin");
    let missing = [&xml, &bin].into_iter().find(|file| !file.is_file());
    match missing {
        None => Ok((xml, bin)),
        Some(file) => Err(inputs::other_export(model).unwrap_or_else(|| no_ir(file))),
    }
}

/// A folder without an IR's file.
fn no_ir(file: &Path) -> Problem {
    Problem::in_file(
        file,
        "is missing; an IR is openvino_model.xml and openvino_model.bin, as `optimum-cli export \
         openvino` writes them",
    )
    .help(MAKE_AGAIN)
}

/// The properties asked for. The variant's `threads` stand for the device's own key.
fn properties(spec: &LoadSpec) -> BTreeMap<String, String> {
    let mut properties = spec.properties.clone();
    properties
        .entry("INFERENCE_NUM_THREADS".to_string())
        .or_insert_with(|| spec.threads.to_string());
    // The default hint tunes for throughput of many requests on some versions; a gate at batch 1
    // wants the same on all.
    properties.entry("PERFORMANCE_HINT".to_string()).or_insert_with(|| "LATENCY".to_string());
    if spec.streams > 0 {
        // The hint alone would let requests that come at the same time wait for each other.
        properties.entry("NUM_STREAMS".to_string()).or_insert_with(|| spec.streams.to_string());
    }
    properties
}

fn set_properties(core: &mut Core, asked: &BTreeMap<String, String>) -> Result<(), LoadError> {
    let supported = core
        .get_property(&DeviceType::CPU, &PropertyKey::SupportedProperties)
        .map_err(|error| LoadError::setup(format!("the CPU device does not answer: {error}")))?;
    let supported: BTreeSet<&str> = supported.split_whitespace().collect();
    for (key, value) in asked {
        let of_core = OF_CORE.contains(&key.as_str());
        if !of_core && !supported.contains(key.as_str()) {
            let nearest = supported
                .iter()
                .min_by_key(|name| strsim::damerau_levenshtein(key, name))
                .copied()
                .unwrap_or_default();
            return Err(LoadError::setup(format!(
                "the OpenVINO CPU device has no property '{key}'; the nearest is '{nearest}'"
            )));
        }
        let key_as_set = RwPropertyKey::Other(key.clone().into());
        // The core's own have no device; a device would not pass the mapping on to the reading of models.
        let device =
            if key == ENABLE_MMAP { DeviceType::Other("".into()) } else { DeviceType::CPU };
        core.set_property(&device, &key_as_set, value).map_err(|error| {
            LoadError::setup(format!("OpenVINO refuses {key} = \"{value}\": {error}"))
        })?;
    }
    Ok(())
}

/// What the device has for the properties that matter, before any is set.
fn defaults(core: &Core) -> BTreeMap<String, String> {
    let value = |key: &str| {
        let key_as_read = PropertyKey::Other(key.to_string().into());
        Some((key.to_string(), core.get_property(&DeviceType::CPU, &key_as_read).ok()?))
    };
    RECORDED.into_iter().filter(|key| !OF_CORE.contains(key)).filter_map(value).collect()
}

/// What the compiled model says of the properties that matter and of those asked for; of the core's own what the core
/// says.
fn effective(
    core: &Core,
    compiled: &CompiledModel,
    asked: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let keys: BTreeSet<&str> =
        RECORDED.into_iter().chain(asked.keys().map(String::as_str)).collect();
    let mut found = BTreeMap::new();
    for key in keys {
        let name = PropertyKey::Other(key.to_string().into());
        let of_model = compiled.get_property(&name).ok().map(|value| value.into_owned());
        let value = of_model.or_else(|| {
            let of_core = OF_CORE.contains(&key) && asked.contains_key(key);
            core.get_property(&DeviceType::CPU, &name).ok().filter(|_| of_core)
        });
        found.extend(value.map(|value| (key.to_string(), value)));
    }
    found
}

/// Checks that the IR is a stateful language model; tells which inputs it has.
fn check_inputs(model: &Model, xml: &Path) -> Result<Inputs, LoadError> {
    let unreadable = |error: InferenceError| {
        LoadError::setup(format!("{}: its inputs cannot be read: {error}", xml.display()))
    };
    let mut names = BTreeSet::new();
    for index in 0..model.get_inputs_len().map_err(unreadable)? {
        let node = model.get_input_by_index(index).map_err(unreadable)?;
        names.insert(node.get_name().map_err(unreadable)?);
    }
    Ok(Inputs::of(&names, xml)?)
}

impl Engine for OpenVino {
    fn info(&self) -> EngineInfo {
        self.info.clone()
    }

    fn phases(&self) -> LoadPhases {
        self.phases
    }

    fn model_cache(&self) -> Option<ModelCache> {
        self.model_cache
    }

    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure> {
        Ok(Box::new(sequence(&self.compiled, self.inputs)?))
    }

    fn execution(&mut self) -> Result<Execution, Failure> {
        let mut sequence = sequence(&self.compiled, self.inputs)?;
        // The kernels of a token that follows others are those of most of a request's time.
        for tokens in [&[0; 8][..], &[0]] {
            sequence.run(tokens).map_err(wrong)?;
        }
        let products = graph::products(&self.xml).map_err(|problem| failed(problem.to_string()))?;
        Ok(execution::execution(&products, &execution::operators(&sequence.request)?))
    }

    fn streams(&mut self, count: usize) -> Result<Vec<Box<dyn Stream + '_>>, Failure> {
        let (compiled, inputs) = (&self.compiled, self.inputs);
        let stream = |_| Box::new(OpenVinoStream { compiled, inputs }) as Box<dyn Stream + '_>;
        Ok((0..count).map(stream).collect())
    }

    fn batches(&self) -> bool {
        true
    }

    fn shares_calls(&self) -> bool {
        true
    }

    fn prove_rows(&mut self, need: usize) -> Result<Rows, Failure> {
        let lengths = self.lengths.clone();
        probe::prove(self, &lengths, need)
    }

    fn batch(&mut self, prefix: &[u32]) -> Result<Box<dyn Batch + '_>, Failure> {
        let request = request(&self.compiled)?;
        let rows = batch::OpenVinoBatch::new(request, self.inputs, prefix)?;
        Ok(Box::new(rows))
    }
}

/// A request of its own for each sequence; the compiled model and its threads are shared.
struct OpenVinoStream<'a> {
    compiled: &'a Mutex<CompiledModel>,
    inputs: Inputs,
}

impl Stream for OpenVinoStream<'_> {
    fn begin(&mut self) -> Result<Box<dyn Sequence + '_>, Failure> {
        Ok(Box::new(sequence(self.compiled, self.inputs)?))
    }
}

/// The C API has no reset of the state: a new request starts with an empty one.
fn request(compiled: &Mutex<CompiledModel>) -> Result<InferRequest, Failure> {
    let mut compiled = compiled.lock().unwrap_or_else(PoisonError::into_inner);
    let request = compiled.create_infer_request();
    request.map_err(|error| failed(format!("OpenVINO cannot create a request: {error}")))
}

fn sequence(compiled: &Mutex<CompiledModel>, inputs: Inputs) -> Result<OpenVinoSequence, Failure> {
    let request = request(compiled)?;
    Ok(OpenVinoSequence { request, inputs, past: 0, logits: None })
}

struct OpenVinoSequence {
    request: InferRequest,
    inputs: Inputs,
    past: usize,
    logits: Option<Tensor>,
}

impl OpenVinoSequence {
    fn run(&mut self, tokens: &[u32]) -> Result<(), InferenceError> {
        let beams = (self.past == 0).then_some(&[0][..]);
        let (shape, ids) = ((1, tokens.len()), tokens.iter().copied());
        self.inputs.fill(&mut self.request, shape, self.past, ids, beams)?;
        infer(&mut self.request)?;
        self.logits = Some(self.request.get_tensor("logits")?);
        self.past += tokens.len();
        Ok(())
    }

    /// Runs `tokens`. Returns the logits `[1, positions, vocabulary]` and the size of the vocabulary.
    fn logits(&mut self, tokens: &[u32]) -> Result<(&[f32], usize), Failure> {
        self.run(tokens).map_err(wrong)?;
        logits_of(self.logits.as_ref().expect("set by a run without an error"))
    }
}

impl Sequence for OpenVinoSequence {
    fn forward(&mut self, tokens: &[u32]) -> Result<&[f32], Failure> {
        let mut left = tokens;
        while self.inputs.at_once(self.past, left.len()) < left.len() {
            let (now, later) = left.split_at(self.inputs.at_once(self.past, left.len()));
            self.run(now).map_err(wrong)?;
            left = later;
        }
        let (all, vocabulary) = self.logits(left)?;
        Ok(&all[all.len() - vocabulary.min(all.len())..])
    }

    fn forward_each(&mut self, tokens: &[u32], visit: &mut Visit<'_>) -> Result<(), Failure> {
        let mut done = 0;
        while done < tokens.len() {
            let left = if self.inputs.shows_all() { tokens.len() - done } else { 1 };
            let fed = self.inputs.at_once(self.past, left);
            let (all, vocabulary) = self.logits(&tokens[done..done + fed])?;
            if vocabulary == 0 || all.len() != fed * vocabulary {
                return Err(left_out(all.len(), fed));
            }
            let mut rows = all.chunks_exact(vocabulary).enumerate();
            rows.try_for_each(|(position, row)| visit(done + position, row))?;
            done += fed;
        }
        Ok(())
    }
}

/// OpenVINO's error as a failure.
fn wrong(error: InferenceError) -> Failure {
    failed(format!("OpenVINO: {error}"))
}

/// Why logits cannot be told apart by position.
fn left_out(logits: usize, positions: usize) -> Failure {
    failed(format!("the IR gave {logits} logits for {positions} positions: it leaves some out"))
}

/// Runs a request. Not by its `infer`: decoding with that was found to take about 4% longer (OpenVINO 2026.4).
fn infer(request: &mut InferRequest) -> Result<(), InferenceError> {
    request.infer_async()?;
    request.wait(LONG_MS)
}

/// The logits of an inference, `[rows, positions, vocabulary]`, and the size of the vocabulary.
fn logits_of(tensor: &Tensor) -> Result<(&[f32], usize), Failure> {
    let kind = tensor.get_element_type().map_err(wrong)?;
    if kind != ElementType::F32 {
        return Err(failed(format!("the IR's logits are {kind:?}, and f32 is supported")));
    }
    let shape = tensor.get_shape().map_err(wrong)?;
    let vocabulary = shape.get_dimensions().last().copied().unwrap_or(0) as usize;
    Ok((tensor.get_data().map_err(wrong)?, vocabulary))
}
