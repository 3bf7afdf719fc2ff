//! Owns what stands at the top of a report, before any figure: what makes a figure other than it seems. Workers that died,
//! logits that are not finite, answers that were cut off, two variants that are one model, two that are not the
//! same model, and two that are not asked the same.

use super::{some, words};
use crate::record::{
    Failure, FailureClass, Identity, Part, Phase, Results, VariantRecord, of_base,
};
use crate::verdict::tasks;
use std::collections::BTreeMap;

/// The share of a variant's answers that were cut off from which it is said.
const CUT_OFF: f64 = 0.05;

/// Two models whose weights differ in number by more than this factor are not one model in two precisions, whose files may
/// differ by a table that only one of them holds twice.
const OTHER_WEIGHTS: f64 = 1.5;

/// Effective properties that change what a model answers, whatever its weights are.
const ARITHMETIC: [&str; 5] = [
    "INFERENCE_PRECISION_HINT",
    "KV_CACHE_PRECISION",
    "KEY_CACHE_PRECISION",
    "VALUE_CACHE_PRECISION",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE",
];

/// The sentences, the gravest first.
pub(super) fn of_results(results: &Results) -> Vec<String> {
    let reference = &results.reference;
    let of_part = |part: &Part| {
        let mut found = died(part);
        found.extend(not_finite(part));
        found.extend(other_models(part, reference));
        found.extend(one_model(part, reference));
        found.extend(other_prompts(part, reference));
        found.extend(cut_off(part));
        found.extend(other_arithmetic(part, reference));
        found
    };
    results.parts.iter().flat_map(of_part).collect()
}

/// Every failure of a part, by variant.
fn failures(part: &Part) -> Vec<(&str, &Failure)> {
    let rounds = || part.rounds.iter().filter(|round| round.complete);
    let requests = rounds().flat_map(|round| &round.requests);
    let requests = requests.filter_map(|one| Some((one.variant.as_str(), one.failure.as_ref()?)));
    let starts = rounds().flat_map(|round| &round.workers).filter(|one| one.load_ns.is_none());
    let starts = starts.filter_map(|one| Some((one.variant.as_str(), one.failure.as_ref()?)));
    let answers = part.answers.iter();
    let answers = answers.filter_map(|one| Some((one.variant.as_str(), one.failure.as_ref()?)));
    let repeats = part.repeats.iter();
    let repeats = repeats.filter_map(|one| Some((one.variant.as_str(), one.failure.as_ref()?)));
    let documents =
        part.fidelity.iter().filter_map(|one| match (&one.failure, &one.reference_failure) {
            (Some(failure), _) => Some((one.variant.as_str(), failure)),
            (None, Some(failure)) => Some((one.reference.as_str(), failure)),
            (None, None) => None,
        });
    requests.chain(starts).chain(answers).chain(repeats).chain(documents).collect()
}

/// Workers that died: what they were asked has no answer, which is not another answer.
fn died(part: &Part) -> Vec<String> {
    let of_process = |class: FailureClass| {
        matches!(class, FailureClass::Crash | FailureClass::OutOfMemory | FailureClass::Deadline)
    };
    let mut seen: BTreeMap<(&str, FailureClass), (usize, &Failure)> = BTreeMap::new();
    for (variant, failure) in failures(part) {
        if of_process(failure.class) {
            seen.entry((variant, failure.class)).or_insert((0, failure)).0 += 1;
        }
    }
    let sentence = |((variant, class), (count, first)): (
        (&str, FailureClass),
        (usize, &Failure),
    )| {
        let what = match class {
            FailureClass::Deadline => "was ended at its deadline",
            FailureClass::OutOfMemory => "ran out of memory",
            _ => "died",
        };
        let times = if count == 1 { "once".to_string() } else { format!("{count} times") };
        let message = first.message.lines().next().unwrap_or_default().trim();
        let why = if message.is_empty() { String::new() } else { format!(": {message}") };
        format!(
            "The worker of '{variant}' {what} ({times}), and what it was asked then has no answer{why}"
        )
    };
    seen.into_iter().map(sentence).collect()
}

fn not_finite(part: &Part) -> Vec<String> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (variant, failure) in failures(part) {
        if failure.class == FailureClass::NonFinite {
            *seen.entry(variant).or_insert(0) += 1;
        }
    }
    let sentence = |(variant, count)| {
        let times = if count == 1 { "once".to_string() } else { format!("{count} times") };
        format!(
            "The logits of '{variant}' were NaN or infinite ({times}): its figures are those of what is left"
        )
    };
    seen.into_iter().map(sentence).collect()
}

/// Answers that did not end within the tokens that they may have, on every side where they are many or the other side's
/// are.
fn cut_off(part: &Part) -> Option<String> {
    let quality = part.header.plan.quality.as_ref()?;
    let shares: Vec<(&String, tasks::Share)> = quality
        .variants
        .iter()
        .map(|variant| (variant, tasks::failed(part, variant, Some(FailureClass::RunOn))))
        .filter(|(_, share)| share.of > 0)
        .collect();
    if !shares.iter().any(|(_, share)| share.point() > CUT_OFF) {
        return None;
    }
    let of = |(variant, share): &(&String, tasks::Share)| {
        format!("{:.0}% of the answers of '{variant}'", 100.0 * share.point())
    };
    Some(format!(
        "Cut off at the limit of tokens, and counted as wrong: {}. Raise `max_tokens` or name where an answer ends",
        some(&shares.iter().map(of).collect::<Vec<_>>(), ", ")
    ))
}

/// The variants that are held against the reference, with both records.
fn pairs<'a>(
    part: &'a Part,
    reference: &'a str,
) -> impl Iterator<Item = (&'a str, &'a VariantRecord, &'a VariantRecord)> {
    let variants = &part.header.variants;
    let base = variants.get(reference);
    let others = part.header.plan.variants.iter().filter(move |name| *name != reference);
    others.filter_map(move |name| Some((name.as_str(), variants.get(name)?, base?)))
}

/// Variants that are the reference under another name.
fn one_model(part: &Part, reference: &str) -> Vec<String> {
    let same = |(name, now, base): (&str, &VariantRecord, &VariantRecord)| {
        let set_up = |of: &VariantRecord| {
            (of.engine.clone(), of.threads, of.properties.clone(), of.options.clone())
        };
        // What is scripted has no model, and a slowed variant is there to be told from itself.
        let real = now.engine != "scripted" && now.test_switches == base.test_switches;
        let same = real
            && !now.model_sha256.is_empty()
            && now.model_sha256 == base.model_sha256
            && set_up(now) == set_up(base)
            && Identity::differences(now.identity.as_ref(), base.identity.as_ref()).is_empty()
            && part.engine(name).map(|of| &of.version)
                == part.engine(reference).map(|of| &of.version);
        same.then(|| {
            format!(
                "'{name}' and '{reference}' are the same model in the same set-up (sha256 {}): every difference \
                 between them is noise",
                crate::hash::short(&now.model_sha256, 16)
            )
        })
    };
    pairs(part, reference).filter_map(same).collect()
}

/// Variants that are not asked what the other side is, token for token: the reference, and the same variant of the base.
fn other_prompts(part: &Part, reference: &str) -> Vec<String> {
    let variants = &part.header.variants;
    let other = |name: &str, other: &str| {
        let [now, base] = [name, other].map(|name| variants.get(name)?.identity.as_ref());
        let (now, base) = (now?, base?);
        let mut what = Vec::new();
        if now.other_prompts(base).is_some() {
            what.push(match [name, other].map(|name| prompt_tokens(part, name)) {
                [Some(now), Some(base)] => format!(
                    "other timed prompts ({} tokens on average, and '{other}' {})",
                    words::plain(now),
                    words::plain(base)
                ),
                _ => "other timed prompts".to_string(),
            });
        }
        if now.otherwise_asked(base).is_some() {
            what.push("other graded prompts or ends of answers".to_string());
        }
        if what.is_empty() {
            return None;
        }
        let apart = now.contents_apart(base);
        let why = match apart.is_empty() {
            true => String::new(),
            false => format!(", since they differ in {}", some(&apart, ", ")),
        };
        Some(format!(
            "'{name}' is not asked what '{other}' is: it has {}{why}. Their times and answers are of other work",
            what.join(" and ")
        ))
    };
    let of_the_base = |name: &str| {
        let twin = variants.keys().find(|twin| of_base(twin) == Some(name));
        other(name, twin?)
    };
    let names = || pairs(part, reference).map(|(name, _, _)| name);
    let mut found: Vec<String> = names()
        .filter(|name| of_base(name).is_none())
        .filter_map(|name| other(name, reference))
        .collect();
    found.extend(variants.keys().filter_map(|name| of_the_base(name)));
    found
}

/// The tokens of a timed prompt of a variant, on average.
fn prompt_tokens(part: &Part, variant: &str) -> Option<f64> {
    let requests = part.rounds.iter().flat_map(|round| &round.requests);
    let timed = requests.filter(|one| one.variant == variant && one.phase == Phase::Timed);
    let tokens: Vec<f64> = timed.map(|one| f64::from(one.prompt_tokens)).collect();
    (!tokens.is_empty()).then(|| tokens.iter().sum::<f64>() / tokens.len() as f64)
}

/// Variants that are another model than the reference, by the numbers in their files: any ratio of the two is possible, and
/// says nothing of a precision.
fn other_models(part: &Part, reference: &str) -> Vec<String> {
    let other = |(name, _, _): (&str, &VariantRecord, &VariantRecord)| {
        let (now, base) = (part.work.get(name)?, part.work.get(reference)?);
        let (cache, of_base) = (now.cache_numbers, base.cache_numbers);
        let (weights, of_reference) = (now.weights as f64, base.weights as f64);
        let ratio = weights / of_reference;
        let why = match () {
            () if cache > 0 && of_base > 0 && cache != of_base => format!(
                "its layers keep {cache} numbers for each token, and those of '{reference}' {of_base}"
            ),
            () if ratio.is_finite() && ratio > 0.0 && ratio.max(1.0 / ratio) > OTHER_WEIGHTS => {
                let million = |count: f64| words::plain(count / 1e6);
                format!(
                    "it has {} million weights, and '{reference}' {} million",
                    million(weights),
                    million(of_reference)
                )
            }
            () => return None,
        };
        Some(format!("'{name}' is not the same model as '{reference}': {why}"))
    };
    pairs(part, reference).filter_map(other).collect()
}

/// Variants of one engine that compute in another way than the reference.
fn other_arithmetic(part: &Part, reference: &str) -> Vec<String> {
    let other = |(name, _, _): (&str, &VariantRecord, &VariantRecord)| {
        let (now, base) = (part.engine(name)?, part.engine(reference)?);
        if now.engine != base.engine {
            return None;
        }
        let differs = |key: &&str| {
            let (a, b) = (now.properties.get(*key)?, base.properties.get(*key)?);
            (a != b).then(|| format!("{key} {a} and not {b}"))
        };
        let differences: Vec<String> = ARITHMETIC.iter().filter_map(differs).collect();
        (!differences.is_empty()).then(|| {
            format!(
                "'{name}' differs from '{reference}' by more than its weights: {}",
                differences.join(", ")
            )
        })
    };
    pairs(part, reference).filter_map(other).collect()
}
