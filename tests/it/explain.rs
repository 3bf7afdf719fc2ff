//! `perfgate explain`: on the real model, and on machines that are made up.

use crate::support::{Project, model, root};
use perfgate::baseline;
use perfgate::hardware;
use perfgate::insight::{self, Limit, Stage, Why};
use perfgate::record::{
    Bandwidth, Ceiling, EngineInfo, Hardware, MemoryUse, Number, Part, Phase, Request, Results,
    Round, VariantRecord, Work, WorkerRun,
};
use perfgate::report::{self, FORMATS, Style};
use std::collections::BTreeMap;
use std::path::Path;

/// Three variants of the real model in two short rounds.
fn measured() -> Project {
    let variant = |name: &str, engine: &str, folder: &str, more: &str| {
        format!(
            "[variants.{name}]\nengine = \"{engine}\"\nmodel = \"{}\"\nthreads = 2\n{more}",
            model(folder).display()
        )
    };
    let hints = format!(
        "runtime = \"{}\"\nproperties = {{ INFERENCE_PRECISION_HINT = \"f32\", KV_CACHE_PRECISION = \"f16\" }}\n",
        root().join("runtimes/openvino-2026.4.1").display()
    );
    let config = format!(
        "reference = \"fp16-ov\"\n[session]\nrounds = 2\nwarmup = 1\n[workload]\n\
         tasks = \"tasks.jsonl\"\nprompt_tokens = 16\ngen_tokens = 4\n{}{}{}",
        variant("fp16", "candle", "fp16", ""),
        variant("fp16-ov", "openvino", "ov-fp16", &hints),
        variant("int8", "openvino", "ov-int8", &hints),
    );
    let project = Project::new(&config, "[rules]\nthroughput = \"50%\"\n");
    project.write("tasks.jsonl", "{\"id\": \"a\", \"prompt\": \"Once upon a time there was\"}\n");
    project
}

fn file_size(folder: &str, file: &str) -> f64 {
    std::fs::metadata(model(folder).join(file)).unwrap().len() as f64
}

#[test]
fn a_run_of_the_real_model_is_explained() {
    let project = measured();
    let run = project.run(&["run"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let results = project.combined();
    let part = &results.parts[0];
    let hardware = part.hardware.as_ref().expect("measured after the rounds");
    assert!(hardware.bandwidth.len() > 10 && !hardware.ceilings.is_empty());

    // What is counted is the files' size, to 1%.
    let files = [
        ("fp16", "fp16", "model.safetensors"),
        ("fp16-ov", "ov-fp16", "openvino_model.bin"),
        ("int8", "ov-int8", "openvino_model.bin"),
    ];
    for (name, folder, file) in files {
        let work = &part.work[name];
        let counted = (work.weight_bytes + work.looked_up_bytes + work.other_bytes) as f64;
        let size = file_size(folder, file);
        assert!((counted / size - 1.0).abs() < 0.01, "{name}: {counted} of {size}");
        // The same model: 30 layers of 576 wide, three heads of 64 with keys and values.
        assert_eq!(work.cache_numbers, 2 * 30 * 3 * 64, "{name}");
        assert_eq!(work.attention_products, 2 * 30 * 576, "{name}");
        assert_eq!(work.weights, 134_479_872, "{name}");
    }
    let stored: Vec<&str> = part.work.values().map(|work| work.stored.as_str()).collect();
    assert_eq!(stored, ["f16", "f16", "u8"]);

    let explained = project.run(&["explain"]);
    assert_eq!(explained.code, 0, "{}", explained.stderr);
    for expected in [
        "Rooflines",
        "Read bandwidth",
        "Arithmetic ceilings",
        "Engine (fp16 to fp16-ov) or precision (fp16-ov to int8)",
        "Predicted decoding at other sizes",
        "Executed, as the runtime tells",
        "int8 was quantized by NNCF 3.4.0 int8_asym, one scale per channel",
    ] {
        let text = explained.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(expected), "{expected}: {}", explained.stdout);
    }

    // GenAI's IR of a GGUF file is widened when it is compiled, NNCF's is not; which kernels that makes depends on the
    // processor, that there is one for each product does not.
    let held = |name: &str| {
        let told = part.execution[name].available().expect("the runtime tells");
        assert_eq!(told.untold, 0, "{told:?}");
        assert!(told.products.iter().all(|products| products.kernel.contains('_')), "{told:?}");
        let of = |products: &perfgate::record::Products| {
            (products.held.clone().unwrap(), products.count)
        };
        let mut held: BTreeMap<String, u64> = BTreeMap::new();
        for (kind, products) in told.products.iter().map(of) {
            *held.entry(kind).or_default() += products;
        }
        (held, told.bytes())
    };
    let products = 30 * 7 + 1;
    assert_eq!(
        held("int8"),
        (BTreeMap::from([("u8".to_string(), products)]), part.work["int8"].weight_bytes)
    );
    let (wide, bytes) = held("fp16-ov");
    assert_eq!(wide.values().sum::<u64>(), products);
    if part.engine("fp16-ov").unwrap().properties["INFERENCE_PRECISION_HINT"] == "f32" {
        assert_eq!((wide.len(), bytes), (1, 4 * 134_479_872), "{wide:?}");
    }
    assert!(!part.execution.contains_key("fp16"), "candle does not tell");
    let shown = project.run(&["report"]);
    assert!(shown.stdout.contains("\nWhy\n"), "{}", shown.stdout);

    // The steps of the split add up to the whole, round by round.
    let explanation = insight::explain(part).unwrap();
    assert_eq!(explanation.splits.len(), 5);
    for split in &explanation.splits {
        let parts = split.engine.point + split.precision.point;
        assert!((parts - split.whole.point).abs() < 1e-9, "{split:?}");
    }
    // Models that are no longer there as they were cannot be counted.
    let config = std::fs::read_to_string(project.path().join("perfgate.toml")).unwrap();
    let only = config.split("[variants.fp16-ov]").next().unwrap().replace("fp16-ov", "fp16");
    project.write(
        "perfgate.toml",
        &only.replace("[variants.fp16]", "[variants.other]").replace("reference = \"fp16\"\n", ""),
    );
    let again = project.run(&["explain", "--measure"]);
    assert_eq!(again.code, 2, "{}", again.stdout);
    assert!(again.stderr.contains("no model of the run is there as it was"), "{}", again.stderr);
}

/// A machine that is made up: what its files say, and what would have been measured.
struct Machine {
    cpuinfo: &'static str,
    caches: &'static [(&'static str, &'static str, &'static str)],
    /// Bandwidth in caches and in memory, GB/s.
    bandwidth: [f64; 2],
    /// Where memory begins, bytes.
    beyond: u64,
    ceilings: &'static [(Number, &'static str, f64)],
}

const XEON: Machine = Machine {
    cpuinfo: "model name\t: Intel(R) Xeon(R) Platinum 8480+\nflags\t\t: sse4_2 avx avx2 f16c fma avx512f \
              avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_int8 amx_bf16\n",
    caches: &[("1", "Data", "48K"), ("2", "Unified", "2048K"), ("3", "Unified", "107520K")],
    bandwidth: [900.0, 250.0],
    beyond: 256 << 20,
    ceilings: &[
        (Number::F32, "AVX-512", 4e12),
        (Number::F16, "AVX-512 FP16", 8e12),
        (Number::Bf16, "AMX", 60e12),
        (Number::Int8, "AMX", 120e12),
    ],
};

const LAPTOP: Machine = Machine {
    cpuinfo: "model name\t: 12th Gen Intel(R) Core(TM) i7-1260P\nflags\t\t: sse4_2 avx avx2 f16c fma avx_vnni\n",
    caches: &[("1", "Data", "48K"), ("2", "Unified", "1280K"), ("3", "Unified", "18432K")],
    bandwidth: [200.0, 50.0],
    beyond: 32 << 20,
    ceilings: &[(Number::F32, "AVX2", 400e9), (Number::Int8, "AVX-VNNI", 1600e9)],
};

const EPYC: Machine = Machine {
    cpuinfo: "model name\t: AMD EPYC 9684X 96-Core Processor\nflags\t\t: sse4_2 avx avx2 f16c fma avx512f \
              avx512_vnni avx512_bf16\n",
    caches: &[("1", "Data", "32K"), ("2", "Unified", "1024K"), ("3", "Unified", "1179648K")],
    bandwidth: [2000.0, 350.0],
    beyond: 2 << 30,
    ceilings: &[
        (Number::F32, "AVX-512", 4e12),
        (Number::Bf16, "AVX-512 BF16", 8e12),
        (Number::Int8, "AVX-512 VNNI", 16e12),
    ],
};

const ARM: Machine = Machine {
    cpuinfo: "CPU implementer\t: 0x41\nCPU part\t: 0xd40\nFeatures\t: fp asimd asimddp\n",
    caches: &[],
    bandwidth: [300.0, 120.0],
    beyond: 64 << 20,
    ceilings: &[(Number::F32, "NEON", 300e9)],
};

/// Seconds that a made-up variant takes for the prompt and for a token.
struct Speed {
    name: &'static str,
    engine: &'static str,
    stored: &'static str,
    bytes: u64,
    anonymous: u64,
    prompt: f64,
    token: f64,
}

const WEIGHTS: u64 = 1_000_000_000;

impl Machine {
    fn hardware(&self, root: &Path) -> Hardware {
        for (index, (level, kind, size)) in self.caches.iter().enumerate() {
            let folder = root.join(format!("sys/devices/system/cpu/cpu0/cache/index{index}"));
            std::fs::create_dir_all(&folder).unwrap();
            for (file, text) in
                [("level", level), ("type", kind), ("size", size), ("shared_cpu_list", &"0-15")]
            {
                std::fs::write(folder.join(file), format!("{text}\n")).unwrap();
            }
        }
        let sizes = (14..33).map(|power| 1_u64 << power);
        let speed = |bytes: u64| self.bandwidth[usize::from(bytes >= self.beyond)] * 1e9;
        let read = |bytes| Bandwidth { threads: 8, bytes, bytes_per_second: speed(bytes) };
        let ceiling = |(number, instructions, speed): &(Number, &str, f64)| Ceiling {
            number: *number,
            instructions: (*instructions).to_string(),
            threads: 8,
            operations_per_second: *speed,
        };
        Hardware {
            caches: hardware::caches(root),
            bandwidth: sizes.map(read).collect(),
            ceilings: self.ceilings.iter().map(ceiling).collect(),
        }
    }

    /// A session on it: three rounds of the variants, the first of them the reference.
    fn session(&self, speeds: &[Speed]) -> Part {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("proc")).unwrap();
        std::fs::write(root.path().join("proc/cpuinfo"), self.cpuinfo).unwrap();
        let mut part = crate::snapshots::empty_part();
        part.hardware = Some(self.hardware(root.path()));
        part.header.environment = baseline::environment(root.path());
        part.header.plan.variants = speeds.iter().map(|speed| speed.name.to_string()).collect();
        part.header.plan.reference = speeds[0].name.to_string();
        part.header.variants = speeds.iter().map(|s| (s.name.to_string(), record(s))).collect();
        part.work = speeds.iter().map(|speed| (speed.name.to_string(), work(speed))).collect();
        part.rounds = (1..=3).map(|number| round(number, speeds)).collect();
        part
    }
}

fn record(speed: &Speed) -> VariantRecord {
    VariantRecord {
        engine: speed.engine.to_string(),
        model: String::new(),
        model_sha256: "0".repeat(64),
        threads: 8,
        properties: BTreeMap::new(),
        options: BTreeMap::new(),
        test_switches: Vec::new(),
        ..VariantRecord::default()
    }
}

fn work(speed: &Speed) -> Work {
    Work {
        weights: WEIGHTS,
        weight_bytes: speed.bytes,
        stored: speed.stored.to_string(),
        cache_numbers: 40_000,
        attention_products: 80_000,
        ..Work::default()
    }
}

fn round(number: u32, speeds: &[Speed]) -> Round {
    // A little apart in each round, so that there is a spread.
    let ns = |seconds: f64| (seconds * (1.0 + 0.01 * f64::from(number)) * 1e9) as u64;
    let properties =
        [("INFERENCE_PRECISION_HINT", "f32"), ("DYNAMIC_QUANTIZATION_GROUP_SIZE", "32")];
    let engine = |speed: &Speed| EngineInfo {
        engine: speed.engine.to_string(),
        properties: properties.map(|(key, value)| (key.to_string(), value.to_string())).into(),
        ..EngineInfo::default()
    };
    let worker = |speed: &Speed| WorkerRun {
        engine: Some(engine(speed)),
        memory: Some(MemoryUse { peak_rss: 0, rss_anon: speed.anonymous, rss_file: 0 }),
        ..crate::snapshots::some_worker(number, speed.name)
    };
    let request = |speed: &Speed| Request {
        round: number,
        slot: 0,
        variant: speed.name.to_string(),
        task: "t".to_string(),
        attempt: 1,
        phase: Phase::Timed,
        start_ns: 0,
        token_ns: (0..9).map(|token| ns(speed.prompt + f64::from(token) * speed.token)).collect(),
        prompt_tokens: 128,
        tokens: vec![1; 9],
        energy_uj: None,
        dram_energy_uj: None,
        energy_ns: None,
        failure: None,
    };
    Round {
        round: number,
        complete: true,
        workers: speeds.iter().map(worker).collect(),
        requests: speeds.iter().map(request).collect(),
        ..Round::default()
    }
}

fn fp16(prompt: f64, token: f64) -> Speed {
    let bytes = 2 * WEIGHTS;
    Speed {
        name: "fp16",
        engine: "openvino",
        stored: "f16",
        bytes,
        anonymous: bytes,
        prompt,
        token,
    }
}

fn int8(prompt: f64, token: f64) -> Speed {
    let bytes = WEIGHTS;
    Speed { name: "int8", engine: "openvino", stored: "u8", bytes, anonymous: bytes, prompt, token }
}

fn said(part: &Part) -> String {
    let explanation = insight::explain(part).unwrap();
    let sheet = report::of_explanation(&explanation, part);
    let markdown = FORMATS.iter().find(|format| format.id == "markdown").unwrap();
    (markdown.sheet.unwrap())(&sheet, Style::default())
}

fn assert_said(text: &str, expected: &[&str]) {
    // Markdown has its own signs escaped.
    let text = text.replace('\\', "");
    for words in expected {
        assert!(text.contains(words), "{words}\nis not in\n{text}");
    }
}

#[test]
fn a_xeon_with_amx_reads_from_memory_and_has_16_bits_unused() {
    // 2 GB at 250 GB/s are 8 ms; the prompt's 256 billion operations at 4 Top/s 64 ms.
    let text = said(&XEON.session(&[fp16(0.070, 0.010), int8(0.030, 0.0055)]));
    assert_said(
        &text,
        &[
            "fp16, each token: limited by reading from memory: 2.02 GB read at 250 GB/s take",
            "fp16, the prompt: limited by arithmetic",
            "this processor has BF16 (AMX) at 15.0 times the speed, which is not used; INFERENCE_PRECISION_HINT changes that",
            "amx_bf16 amx_int8 amx_tile",
            "int8 decodes 1.82 times as fast as fp16 (1.82 to 1.82) because it reads 1.02 GB where the other reads",
            "L3 (105 MiB)",
        ],
    );
}

#[test]
fn a_laptop_is_explained_by_its_memory_alone() {
    let text = said(&LAPTOP.session(&[fp16(0.700, 0.045), int8(0.200, 0.0225)]));
    assert_said(
        &text,
        &[
            "limited by reading from memory: 1.02 GB read at 50.0 GB/s take",
            "2.00 times as fast as fp16",
            "INT8   | AVX-VNNI",
            "int8 is predicted to be faster than fp16 at every model size",
        ],
    );
    assert!(!text.contains("unused"), "{text}");
}

#[test]
fn an_epyc_with_a_large_cache_serves_a_model_from_it() {
    // 2 GB lie beyond the cache of 1.1 GiB, 1 GB within.
    let text = said(&EPYC.session(&[fp16(0.070, 0.0068), int8(0.060, 0.0007)]));
    assert_said(
        &text,
        &[
            "int8, each token: limited by reading, most of it from caches (350 GB/s from memory alone)",
            "L3 (1 GiB)",
            "this processor has BF16 (AVX-512 BF16) at 2.00 times the speed",
        ],
    );
}

#[test]
fn an_arm_server_without_caches_told_is_explained_by_what_was_measured() {
    let text = said(&ARM.session(&[fp16(0.9, 0.04), int8(0.9, 0.04)]));
    assert_said(
        &text,
        &[
            "no difference shown between int8 and fp16",
            "FP32   | NEON",
            "limited by neither reading nor arithmetic",
            "these figures don't show",
            "instruction sets: asimddp",
        ],
    );
}

#[test]
fn what_the_bounds_do_not_explain_is_said_to_be_unexplained() {
    // INT8 is slower although it reads half.
    let part = XEON.session(&[fp16(0.070, 0.010), int8(0.080, 0.020)]);
    let explanation = insight::explain(&part).unwrap();
    let decode = explanation.causes.iter().find(|cause| cause.stage == Stage::Decode).unwrap();
    assert_eq!(decode.why, Why::Unexplained);
    let limits: Vec<Limit> = explanation.rooflines.iter().map(|line| line.limit).collect();
    assert!(limits.contains(&Limit::Overhead), "{limits:?}");
    assert_said(&said(&part), &["does not explain it", "these figures show no more"]);
}

#[test]
fn a_share_above_the_possible_is_a_warning() {
    let text = said(&LAPTOP.session(&[fp16(0.700, 0.020), int8(0.200, 0.0225)]));
    assert_said(&text, &["more than the bound is reached by fp16 (token:", "explain --measure"]);
}

#[test]
fn results_of_another_machine_are_explained_there() {
    let project = Project::new(
        "[workload]\ntasks = \"tasks.jsonl\"\n[variants.a]\nengine = \"scripted\"\n",
        "",
    );
    let mut part = XEON.session(&[fp16(0.070, 0.010), int8(0.030, 0.0055)]);
    let file = |part: &Part| {
        let results = Results {
            format: perfgate::record::RESULTS_FORMAT,
            reference: "fp16".to_string(),
            variants: part.header.plan.variants.clone(),
            parts: vec![part.clone()],
            summaries: BTreeMap::new(),
            judgement: None,
        };
        project.write("r.json", &serde_json::to_string(&results).unwrap());
        project.run(&["explain", "r.json"])
    };
    let there = file(&part);
    assert_eq!(there.code, 0, "recorded with the run: {}", there.stderr);
    part.hardware = None;
    let here = file(&part);
    assert_eq!(here.code, 2);
    assert!(here.stderr.contains("was measured on another machine"), "{}", here.stderr);
    assert!(here.stderr.contains("perfgate run"), "{}", here.stderr);
}

/// An IR as `optimum-cli` exports it marks the 16 bits of its products as decompressed at run time; GenAI's of a GGUF file
/// does not. Their memory is about as large, and the runtime alone tells the two apart.
#[test]
fn an_export_that_keeps_16_bits_is_told_from_one_that_is_widened() {
    let project = measured();
    let folder = project.path().join("export");
    std::fs::create_dir_all(&folder).unwrap();
    let source = model("ov-fp16");
    for name in ["openvino_model.bin", "tokenizer.json"] {
        std::os::unix::fs::symlink(source.join(name), folder.join(name)).unwrap();
    }
    let text = std::fs::read_to_string(source.join("openvino_model.xml")).unwrap();
    let bare = "<data destination_type=\"f32\" />\n\t\t\t<input>";
    let marked = "<data destination_type=\"f32\" />\n\t\t\t<rt_info>\
                  <attribute name=\"decompression\" version=\"0\" /></rt_info>\n\t\t\t<input>";
    assert!(text.contains(bare), "the IR is written otherwise than it was");
    std::fs::write(folder.join("openvino_model.xml"), text.replace(bare, marked)).unwrap();
    let config = std::fs::read_to_string(project.path().join("perfgate.toml")).unwrap();
    let int8 = model("ov-int8").display().to_string();
    project.write("perfgate.toml", &config.replace(&int8, &folder.display().to_string()));

    let run = project.run(&["run", "fp16-ov", "int8"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    // What is named int8 holds 16 bits here: said before anything is measured, and at the top of the report.
    let said = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        said.contains(
            "'int8' and the reference 'fp16-ov' hold most of their weights in the same type (f16)"
        ),
        "{said}"
    );
    assert!(
        said.contains(
            "'int8' holds most of its weights as f16 (its files say so), and 'int8' says int8"
        ),
        "{said}"
    );
    let results = project.combined();
    let part = &results.parts[0];
    let told = part.execution["int8"].available().expect("the runtime tells");
    let precision = &part.engine("int8").unwrap().properties["INFERENCE_PRECISION_HINT"];
    let held = |told: &perfgate::record::Execution| told.products[0].held.clone();
    if cfg!(target_arch = "x86_64") && precision == "f32" {
        assert_eq!(held(told).as_deref(), Some("f16"), "{told:?}");
        assert_eq!(told.bytes(), part.work["int8"].weight_bytes);
        let wide = part.execution["fp16-ov"].available().unwrap();
        assert_eq!(held(wide).as_deref(), Some("f32"), "{wide:?}");
    }
}
