//! Owns the words and tables of an explanation: why one variant is faster than another, with the figure behind each
//! sentence.

use super::clean::clean_sheet;
use super::words;
use super::{Grid, Sheet};
use crate::insight::{
    self, By, Cause, Explanation, Held, Limit, Roofline, Scaling, Split, Stage, Why, beyond_caches,
};
use crate::metric::Better;
use crate::record::{CacheLevel, Execution, Hardware, Number, Part, Products, Work};
use crate::stats::Interval;
use std::collections::BTreeMap;

/// An explanation as a page of its own.
pub fn of_explanation(explanation: &Explanation, part: &Part) -> Sheet {
    let machine = &part.header.environment.machine;
    let headline = format!(
        "WHY: session {} on {}; {}",
        part.header.session,
        machine.cpu,
        headlines(explanation).join("; ")
    );
    let tables = vec![
        rooflines(explanation),
        models(explanation),
        executed(explanation),
        splits(explanation),
        bandwidth(&explanation.hardware),
        ceilings(&explanation.hardware),
    ];
    let tables = tables.into_iter().chain(explanation.scalings.iter().map(scaling)).collect();
    let mut sheet = Sheet {
        headline,
        warnings: warnings(explanation),
        findings: findings(explanation).into_iter().chain(recipes(part)).collect(),
        tables,
        notes: notes(&machine.instruction_sets),
    };
    clean_sheet(&mut sheet);
    sheet
}

/// What is not known, and what cannot be.
fn warnings(explanation: &Explanation) -> Vec<String> {
    let uncounted = explanation.not_counted.iter().map(|(name, why)| {
        format!("what a token of {name} reads, and why it is fast or slow, is not available, because {why}")
    });
    let told = |(name, (_, held)): (&String, &(Work, Held))| match &held.told {
        By::Memory(Some(why)) => Some(format!(
            "how {name} holds its weights and by which kernels it runs is not available, because {why}; the memory of its \
             process is looked at in its place"
        )),
        By::Memory(None) | By::Runtime(_) => None,
    };
    let models = explanation.models.iter().filter_map(told);
    uncounted.chain(models).chain(impossible(explanation)).collect()
}

/// Variants that are faster than this machine was found to be: it did other things meanwhile.
fn impossible(explanation: &Explanation) -> Vec<String> {
    const IMPOSSIBLE: f64 = 1.1;
    let over = explanation.rooflines.iter().filter(|line| line.share() > IMPOSSIBLE);
    let over: Vec<String> = over
        .map(|line| format!("{} ({}: {})", line.variant, stage(line.stage), percent(line.share())))
        .collect();
    if over.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "more than the bound is reached by {}: the machine was slower when its bandwidth and arithmetic were measured \
         than in the rounds, because something else ran. The shares are too high, and what follows from them may be \
         wrong; `perfgate explain --measure` on a quiet machine measures anew",
        over.join(", ")
    )]
}

/// One clause for each comparison of decoding.
fn headlines(explanation: &Explanation) -> Vec<String> {
    let decode = explanation.causes.iter().filter(|cause| cause.stage == Stage::Decode);
    let clauses: Vec<String> = decode.map(clause).collect();
    if clauses.is_empty() {
        vec!["one variant, and nothing to hold it against".to_string()]
    } else {
        clauses
    }
}

fn clause(cause: &Cause) -> String {
    let (variant, reference) = (&cause.variant, &cause.reference);
    match cause.why {
        Why::NoDifference => format!("no difference shown between {variant} and {reference}"),
        _ => format!(
            "{variant} decodes {} as fast as {reference}",
            times(cause.measured.point.exp())
        ),
    }
}

/// What a report says of a session: each variant's decoding against the reference's, and what explains it. The rest is
/// for `perfgate explain`.
pub(super) fn brief(part: &Part) -> Vec<String> {
    let Some(mut explanation) = insight::explain(part) else { return Vec::new() };
    let lines = explanation.rooflines.clone();
    let of =
        |name: &str| lines.iter().find(|line| line.variant == name && line.stage == Stage::Decode);
    let pair = |cause: &Cause| Some(caused(cause, [of(&cause.variant)?, of(&cause.reference)?]));
    explanation.causes.retain(|cause| cause.stage == Stage::Decode);
    let mut brief: Vec<String> = explanation.causes.iter().filter_map(pair).collect();
    let models = &explanation.models;
    let widened = |(name, (work, held)): (&String, &(Work, Held))| {
        held.widened.then(|| widened(name, work, held))
    };
    brief.extend(models.iter().filter_map(widened));
    brief.extend(throughput(&explanation).map(parted));
    brief
}

/// The splits of the throughput.
fn throughput(explanation: &Explanation) -> impl Iterator<Item = &Split> {
    explanation.splits.iter().filter(|split| split.metric.info().id == "throughput")
}

/// The conclusions, each with its figures.
pub fn findings(explanation: &Explanation) -> Vec<String> {
    let of = |name: &str, stage: Stage| {
        let mut lines = explanation.rooflines.iter();
        lines.find(|line| line.variant == name && line.stage == stage)
    };
    let mut findings: Vec<String> =
        explanation.rooflines.iter().map(|line| limited(line, explanation)).collect();
    findings.extend(explanation.causes.iter().filter_map(|cause| {
        let pair = [of(&cause.variant, cause.stage)?, of(&cause.reference, cause.stage)?];
        Some(caused(cause, pair))
    }));
    findings.extend(explanation.models.iter().filter_map(|(name, (_, held))| kernels(name, held)));
    findings.extend(
        explanation
            .models
            .iter()
            .filter(|(_, (_, held))| held.widened)
            .map(|(name, (work, held))| widened(name, work, held)),
    );
    findings.extend(explanation.rooflines.iter().filter_map(quantized));
    findings.extend(
        explanation.rooflines.iter().filter_map(|line| unused(line, &explanation.hardware)),
    );
    findings.extend(throughput(explanation).map(parted));
    findings.extend(explanation.scalings.iter().map(predicted));
    findings
}

/// What limits a stage.
fn limited(line: &Roofline, explanation: &Explanation) -> String {
    let variant = &line.variant;
    let share = percent(line.share());
    let beyond = line.measured - line.bound();
    let what = match line.stage {
        Stage::Decode => format!("{variant}, each token"),
        Stage::Prefill => format!("{variant}, the prompt"),
    };
    let reading = format!(
        "{} read at {} take {}",
        bytes(line.bytes),
        rate(line.bandwidth),
        seconds(line.reading)
    );
    let computing = format!(
        "{} operations at {} {} ({}) take {}",
        count(line.operations),
        operations(line.ceiling.operations_per_second),
        line.ceiling.number.title(),
        line.ceiling.instructions,
        seconds(line.computing)
    );
    let measured = seconds(line.measured);
    match line.limit {
        Limit::Memory => format!(
            "{what}: limited by reading from memory: {reading}, {share} of the measured {measured}"
        ),
        Limit::Caches => format!(
            "{what}: limited by reading, most of it from caches ({} from memory alone): {reading}, {share} of the \
             measured {measured}",
            memory_alone(line, explanation)
        ),
        Limit::Arithmetic => format!(
            "{what}: limited by arithmetic: {computing}, {share} of the measured {measured}"
        ),
        Limit::Overhead => format!(
            "{what}: limited by neither reading nor arithmetic: {reading}, {computing}; the longer of both is {share} \
             of the measured {measured}. The other {} go to the steps between the products and to kernels that \
             reach less than the machine can do; which of them it is, these figures don't show",
            seconds(beyond)
        ),
    }
}

/// How fast memory is beyond the caches.
fn memory_alone(line: &Roofline, explanation: &Explanation) -> String {
    let threads = line.ceiling.threads;
    beyond_caches(&explanation.hardware, threads).map_or("-".to_string(), rate)
}

/// Why a variant differs from the reference.
fn caused(cause: &Cause, [line, base]: [&Roofline; 2]) -> String {
    let Cause { variant, reference, .. } = cause;
    let doing = match cause.stage {
        Stage::Decode => "decodes",
        Stage::Prefill => "reads the prompt",
    };
    let Interval { point, low, high } = cause.measured;
    let measured = format!(
        "{variant} {doing} {} as fast as {reference} ({} to {})",
        times(point.exp()),
        plain(low.exp()),
        plain(high.exp())
    );
    let allowed = format!("the bounds allow {}", times(cause.allowed.exp()));
    let difference = differs(line, base);
    match cause.why {
        Why::NoDifference => {
            format!("{measured}: no difference shown, so there is none to explain ({allowed})")
        }
        Why::Bound(share) if share > WELL_OVER => format!(
            "{measured} because {difference}; {allowed}, and it gets less of that than {reference} gets of its own ({} \
             of the bound against {})",
            percent(line.share()),
            percent(base.share())
        ),
        Why::Bound(share) => format!(
            "{measured} because {difference}: {allowed}, which is {} of the difference (of its logarithm)",
            percent(share)
        ),
        Why::Partly(share) => format!(
            "{measured}, and {difference} is only part of why: {allowed}, {} of the difference; the rest is how well \
             each uses the machine ({} and {} of the bound)",
            percent(share),
            percent(line.share()),
            percent(base.share())
        ),
        Why::Unexplained => format!(
            "{measured}; what each reads and computes does not explain it ({allowed}): the cause is how well each uses \
             the machine ({} and {} of the bound), and these figures show no more",
            percent(line.share()),
            percent(base.share())
        ),
    }
}

/// From this share of a difference on, more is allowed than is reached.
const WELL_OVER: f64 = 1.2;

/// What is less, of what bounds a stage.
fn differs(line: &Roofline, base: &Roofline) -> String {
    let by_reading = base.reading >= base.computing || line.reading >= line.computing;
    if by_reading {
        return format!(
            "it reads {} where the other reads {}",
            bytes(line.bytes),
            bytes(base.bytes)
        );
    }
    format!(
        "it multiplies in {} ({}) where the other does in {} ({})",
        line.ceiling.number.title(),
        operations(line.ceiling.operations_per_second),
        base.ceiling.number.title(),
        operations(base.ceiling.operations_per_second)
    )
}

/// Native 16-bit arithmetic that a variant limited by arithmetic is not set to use.
fn unused(line: &Roofline, hardware: &Hardware) -> Option<String> {
    const WORTH_SAYING: f64 = 1.5;
    if line.limit != Limit::Arithmetic || line.ceiling.number != Number::F32 {
        return None;
    }
    let of_16_bits = hardware.ceilings.iter().filter(|ceiling| {
        matches!(ceiling.number, Number::F16 | Number::Bf16)
            && ceiling.threads == line.ceiling.threads
    });
    let best =
        of_16_bits.max_by(|a, b| a.operations_per_second.total_cmp(&b.operations_per_second))?;
    let gain = best.operations_per_second / line.ceiling.operations_per_second;
    let remedy = if line.choosable {
        "INFERENCE_PRECISION_HINT changes that (and with it the answers)"
    } else {
        "its engine has no setting for it"
    };
    (gain >= WORTH_SAYING).then(|| {
        format!(
            "{} computes in FP32, and this processor has {} ({}) at {} the speed, which is not used; {remedy}",
            line.variant,
            best.number.title(),
            best.instructions,
            times(gain)
        )
    })
}

/// By which kernels the products with weights are executed, as the runtime tells.
fn kernels(name: &str, held: &Held) -> Option<String> {
    let By::Runtime(execution) = &held.told else { return None };
    let each = |products: &Products| {
        format!(
            "{} of {} by {} with weights held as {}",
            products.count,
            counted(execution),
            products.kernel,
            products.held.as_deref().unwrap_or("is not known")
        )
    };
    let each: Vec<String> = execution.products.iter().map(each).collect();
    Some(format!("{name} executes its products with weights: {}", each.join("; ")))
}

fn counted(execution: &Execution) -> u64 {
    execution.products.iter().map(|products| products.count).sum()
}

/// Activations that are quantized as they come, which changes answers as well as speed.
fn quantized(line: &Roofline) -> Option<String> {
    (line.quantizes && line.stage == Stage::Decode).then(|| {
        format!(
            "{} quantizes its activations to 8 bits as they come: with activations of 32 bits, integer weights and VNNI, \
             OpenVINO does so unless DYNAMIC_QUANTIZATION_GROUP_SIZE is 0 (docs/measuring.md says what that changes)",
            line.variant
        )
    })
}

/// How the weights of each variant were quantized, as its files say.
fn recipes(part: &Part) -> impl Iterator<Item = String> {
    let said = |name: &String| {
        let recipe = part.header.variants.get(name)?.recipe.as_ref()?;
        Some(format!("{name} was quantized by {recipe}, as its files say"))
    };
    part.header.plan.variants.iter().filter_map(said)
}

fn widened(name: &str, work: &Work, held: &Held) -> String {
    if let By::Runtime(execution) = &held.told {
        let wide = || execution.products.iter().filter(|products| products.widened());
        let mut kinds: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for products in wide() {
            let kind = (products.stored.as_str(), products.held.as_deref().unwrap_or_default());
            *kinds.entry(kind).or_default() += products.weights;
        }
        let each = |((stored, held), weights): ((&str, &str), u64)| {
            format!("{} stored as {stored}, held as {held}", count(weights as f64))
        };
        let each: Vec<String> = kinds.into_iter().map(each).collect();
        let all = wide().map(|products| products.weights).sum::<u64>() == work.weights;
        let of = if all {
            "its weights".to_string()
        } else {
            format!("part of its {} weights", count(work.weights as f64))
        };
        return format!(
            "{name} holds {of} in wider numbers than its files do, as its runtime tells: {}; so a token reads {} and not {}",
            each.join(", "),
            bytes(held.bytes),
            bytes(held.stored_bytes)
        );
    }
    format!(
        "{name} holds its {} weights ({} stored) in 32 bits: its process keeps {} bytes of anonymous memory for each \
         weight, so a token reads {} and not {}",
        count(work.weights as f64),
        work.stored,
        held.anonymous_per_weight.map_or("-".to_string(), plain),
        bytes(held.bytes),
        bytes(held.stored_bytes)
    )
}

fn parted(split: &Split) -> String {
    let factor = |interval: Interval| {
        let Interval { point, low, high } = interval;
        format!("{} ({} to {})", times(point.exp()), plain(low.exp()), plain(high.exp()))
    };
    let Split { from, between, to, engine, precision, whole, .. } = split;
    format!(
        "from {from} to {to} throughput is {}: {} by the engine ({from} to {between}), {} by the precision ({between} \
         to {to})",
        factor(*whole),
        factor(*engine),
        factor(*precision)
    )
}

fn predicted(scaling: &Scaling) -> String {
    let Scaling { wide, narrow, from, .. } = scaling;
    let when = match from {
        [Some(a), Some(b)] if *a == 0.0 && *b == 0.0 => {
            format!("{narrow} is predicted to be faster than {wide} at every model size")
        }
        [Some(a), Some(b)] => format!(
            "{narrow} is predicted to overtake {wide} between {} and {} weights",
            count(a.min(*b)),
            count(a.max(*b))
        ),
        [Some(one), None] | [None, Some(one)] => format!(
            "{narrow} is predicted to overtake {wide} at {} weights or never, by what grows with the model",
            count(*one)
        ),
        [None, None] => {
            format!("{narrow} is predicted to be slower than {wide} at every model size")
        }
    };
    let largest = scaling.points.last().map(|point| {
        let [low, high] = point.ratio();
        format!("; {} to {} as fast at {} weights", plain(low), times(high), count(point.weights))
    });
    format!("on this machine {when}{}", largest.unwrap_or_default())
}

fn rooflines(explanation: &Explanation) -> Grid {
    let row = |line: &Roofline| {
        let interval = line.interval.map_or(String::new(), |[low, high]| {
            format!(" ({} to {})", seconds(low), seconds(high))
        });
        vec![
            line.variant.clone(),
            stage(line.stage).to_string(),
            format!("{} at {}: {}", bytes(line.bytes), rate(line.bandwidth), seconds(line.reading)),
            format!(
                "{} at {} {}: {}",
                prefixed(line.operations, "op"),
                operations(line.ceiling.operations_per_second),
                line.ceiling.number.title(),
                seconds(line.computing)
            ),
            format!("{}{interval}", seconds(line.measured)),
            percent(line.share()),
            limit(line.limit).to_string(),
        ]
    };
    Grid {
        title: "Rooflines".to_string(),
        header: titles(&[
            "variant",
            "for each",
            "reading",
            "computing",
            "measured",
            "of bound",
            "limited by",
        ]),
        rows: explanation.rooflines.iter().map(row).collect(),
    }
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Prefill => "prompt",
        Stage::Decode => "token",
    }
}

fn limit(limit: Limit) -> &'static str {
    match limit {
        Limit::Caches => "caches",
        Limit::Memory => "memory",
        Limit::Arithmetic => "arithmetic",
        Limit::Overhead => "neither",
    }
}

fn models(explanation: &Explanation) -> Grid {
    let row = |(name, (work, held)): (&String, &(Work, Held))| {
        vec![
            name.clone(),
            count(work.weights as f64),
            types(work),
            bytes(work.weight_bytes as f64),
            bytes(work.looked_up_bytes as f64),
            bytes(work.other_bytes as f64),
            bytes(held.bytes),
            held.anonymous_per_weight.map_or("-".to_string(), plain),
            work.cache_numbers.to_string(),
        ]
    };
    Grid {
        title: "Counted from the models' files".to_string(),
        header: titles(&[
            "variant",
            "weights",
            "stored as",
            "bytes in products",
            "looked up",
            "other",
            "read for a token",
            "anonymous bytes for a weight",
            "KV numbers for a position",
        ]),
        rows: explanation.models.iter().map(row).collect(),
    }
}

/// The types of the weights in the files, with their shares where there are several.
fn types(work: &Work) -> String {
    if work.types.len() < 2 {
        return work.stored.clone();
    }
    let mut types: Vec<(&String, &u64)> = work.types.iter().collect();
    types.sort_by_key(|(_, weights)| std::cmp::Reverse(**weights));
    let share = |weights: u64| percent(weights as f64 / work.weights as f64);
    let each = |(name, weights): (&String, &u64)| format!("{name} {}", share(*weights));
    types.into_iter().map(each).collect::<Vec<_>>().join(", ")
}

/// What each runtime tells of its products.
fn executed(explanation: &Explanation) -> Grid {
    let row = |name: &String, products: &Products| {
        vec![
            name.clone(),
            products.count.to_string(),
            count(products.weights as f64),
            products.stored.clone(),
            products.held.clone().unwrap_or_else(|| "not known".to_string()),
            bytes(products.bytes as f64),
            products.kernel.clone(),
        ]
    };
    let of = |(name, (_, held)): (&String, &(Work, Held))| match &held.told {
        By::Runtime(execution) => {
            execution.products.iter().map(|products| row(name, products)).collect()
        }
        By::Memory(_) => Vec::new(),
    };
    Grid {
        title: "Executed, as the runtime tells".to_string(),
        header: titles(&[
            "variant",
            "products",
            "weights",
            "stored as",
            "held as",
            "bytes held",
            "kernel",
        ]),
        rows: explanation.models.iter().flat_map(of).collect(),
    }
}

fn splits(explanation: &Explanation) -> Grid {
    let row = |split: &Split| {
        let better = match split.metric.info().better {
            Better::Higher => "higher is better",
            Better::Lower => "lower is better",
        };
        let shown = |interval: Interval| {
            let of = words::percent;
            format!(
                "{} ({} to {})",
                of(interval.point.exp_m1()),
                of(interval.low.exp_m1()),
                of(interval.high.exp_m1())
            )
        };
        vec![
            format!("{} ({better})", split.metric.info().title),
            shown(split.engine),
            shown(split.precision),
            shown(split.whole),
            split.rounds.to_string(),
        ]
    };
    let title = explanation.splits.first().map(|split| {
        let Split { from, between, to, .. } = split;
        format!("Engine ({from} to {between}) or precision ({between} to {to})")
    });
    Grid {
        title: title.unwrap_or_default(),
        header: titles(&["metric", "engine", "precision", "both", "rounds"]),
        rows: explanation.splits.iter().map(row).collect(),
    }
}

fn bandwidth(hardware: &Hardware) -> Grid {
    let mut sizes: Vec<u64> = hardware.bandwidth.iter().map(|read| read.bytes).collect();
    let mut threads: Vec<usize> = hardware.bandwidth.iter().map(|read| read.threads).collect();
    sizes.sort_unstable();
    sizes.dedup();
    threads.sort_unstable();
    threads.dedup();
    let cell = |size: u64, threads: usize| {
        let found =
            hardware.bandwidth.iter().find(|read| (read.bytes, read.threads) == (size, threads));
        found.map_or("-".to_string(), |read| rate(read.bytes_per_second))
    };
    let row = |size: &u64| {
        let mut cells = vec![binary(*size), within(&hardware.caches, *size)];
        cells.extend(threads.iter().map(|threads| cell(*size, *threads)));
        cells
    };
    let mut header = titles(&["working set", "fits into"]);
    header.extend(threads.iter().map(|threads| match threads {
        1 => "1 thread".to_string(),
        number => format!("{number} threads"),
    }));
    Grid { title: "Read bandwidth".to_string(), header, rows: sizes.iter().map(row).collect() }
}

/// The smallest cache that a working set of one thread would fit into.
fn within(caches: &[CacheLevel], size: u64) -> String {
    let fits = caches.iter().find(|cache| cache.bytes >= size);
    match fits {
        Some(cache) => format!("L{} ({})", cache.level, binary(cache.bytes)),
        None => "memory".to_string(),
    }
}

fn ceilings(hardware: &Hardware) -> Grid {
    let row = |ceiling: &crate::record::Ceiling| {
        vec![
            ceiling.number.title().to_string(),
            ceiling.instructions.clone(),
            ceiling.threads.to_string(),
            operations(ceiling.operations_per_second),
        ]
    };
    Grid {
        title: "Arithmetic ceilings".to_string(),
        header: titles(&["number", "instructions", "threads", "operations"]),
        rows: hardware.ceilings.iter().map(row).collect(),
    }
}

fn scaling(scaling: &Scaling) -> Grid {
    let range = |[a, b]: [f64; 2]| format!("{} to {}", plain(a.min(b)), plain(a.max(b)));
    let row = |point: &crate::insight::Predicted| {
        let ratio = point.ratio();
        vec![
            count(point.weights),
            format!("{} tok/s", range(point.wide)),
            format!("{} tok/s", range(point.narrow)),
            format!("{} times", range(ratio)),
        ]
    };
    Grid {
        title: format!("Predicted decoding at other sizes, {} measured", count(scaling.weights)),
        header: titles(&["weights", &scaling.wide, &scaling.narrow, "ratio"]),
        rows: scaling.points.iter().map(row).collect(),
    }
}

fn notes(sets: &[String]) -> Vec<String> {
    let sets =
        if sets.is_empty() { "none that speed up inference".to_string() } else { sets.join(" ") };
    vec![
        format!("instruction sets: {sets}"),
        "Bound: the longer of reading what a token needs, at the bandwidth of a working set of that size, and \
         computing it, at the ceiling of the numbers that the variant is set to multiply (roofline; Williams, \
         Waterman, Patterson 2009). Bandwidth and ceilings are the best of twelve repetitions by kernels that do \
         nothing else. Measured: means over rounds, with Student's t at 95%"
            .to_string(),
        "Predicted: reading at the measured bandwidth of each size; what a token takes beyond it stays as it is, or \
         grows with the model: the two ends"
            .to_string(),
    ]
}

fn titles(titles: &[&str]) -> Vec<String> {
    titles.iter().map(|title| (*title).to_string()).collect()
}

/// Three digits that say something.
fn plain(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn times(factor: f64) -> String {
    format!("{} times", plain(factor))
}

fn percent(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

/// With a decimal prefix, as rates and files have it.
fn prefixed(value: f64, unit: &str) -> String {
    const PREFIXES: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let found = PREFIXES.iter().find(|(size, _)| value >= 0.9995 * size);
    match found {
        Some((size, prefix)) => format!("{} {prefix}{unit}", plain(value / size)),
        None => format!("{value:.0} {unit}").trim_end().to_string(),
    }
}

fn bytes(value: f64) -> String {
    prefixed(value, "B")
}

fn rate(value: f64) -> String {
    prefixed(value, "B/s")
}

fn operations(value: f64) -> String {
    prefixed(value, "op/s")
}

/// A number of weights or operations: `134 million`.
fn count(value: f64) -> String {
    const NAMES: [(f64, &str); 3] = [(1e12, "trillion"), (1e9, "billion"), (1e6, "million")];
    match NAMES.iter().find(|(size, _)| value >= 0.9995 * size) {
        Some((size, name)) => format!("{} {name}", plain(value / size)),
        None => format!("{value:.0}"),
    }
}

fn seconds(value: f64) -> String {
    match value {
        value if value >= 1.0 => format!("{} s", plain(value)),
        value if value >= 1e-3 => format!("{} ms", plain(value * 1e3)),
        value => format!("{} µs", plain(value * 1e6)),
    }
}

/// A size in memory.
fn binary(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 1 << 30 => format!("{} GiB", bytes >> 30),
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes => format!("{} KiB", bytes >> 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_prefix() {
        assert_eq!(bytes(538_000_000.0), "538 MB");
        assert_eq!(rate(36.12e9), "36.1 GB/s");
        assert_eq!(operations(1.234e12), "1.23 Top/s");
        assert_eq!(count(134_479_872.0), "134 million");
        assert_eq!(count(512.0), "512");
        assert_eq!(seconds(0.0149), "14.9 ms");
        assert_eq!(seconds(2.5e-5), "25.0 µs");
        assert_eq!(binary(64 << 10), "64 KiB");
    }
}
