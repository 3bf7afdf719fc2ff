//! Owns what a load pass came to: throughput and its drift, stalls and memory under load for minutes; latency and
//! throughput under several requests at once; the rate that a search arrived at. It informs, and no rule judges it.

use super::ONE_SIDE;
use super::stalls::{FEWEST_ROUNDS, STALL};
use crate::load::{self, ALPHA, Keeps, LATE, Search, Tail};
use crate::record::{ConcurrencyPlan, Failure, Load, LoadKind, LoadRequest, MemoryUse, Part};
use crate::stats::{self, Interval};
use std::collections::{BTreeMap, BTreeSet};

/// What a variant came to under load for minutes.
#[derive(Debug, Clone, PartialEq)]
pub struct Sustained {
    /// The variant.
    pub variant: String,
    /// Its blocks, in order.
    pub blocks: Vec<Block>,
    /// Requests.
    pub requests: usize,
    /// Those of them that failed.
    pub failed: usize,
    /// Tokens per second in the first tenth of the blocks.
    pub first: Option<f64>,
    /// The same in the last tenth.
    pub last: Option<f64>,
    /// Change of tokens per second over the whole load, as a fraction, by a straight line on the logs of the blocks, with a 95%
    /// interval.
    pub drift: Option<Interval>,
    /// The same of the ratio to the reference, block by block, which cancels what happens to the machine.
    pub beside: Option<Interval>,
    /// Requests that took more than three times their task's median, and the worst as such a multiple.
    pub stalls: (usize, f64),
    /// Resident memory before the first block and after the last, bytes.
    pub memory: Option<[u64; 2]>,
    /// Why it ended early, if it did.
    pub failure: Option<Failure>,
}

/// One block of a sustained load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// From 1.
    pub number: u32,
    /// Tokens of the requests that were answered.
    pub tokens: u64,
    /// Seconds from its start to the last answer.
    pub seconds: f64,
    /// Resident memory after it, bytes.
    pub memory: Option<u64>,
}

impl Block {
    fn of(load: &Load) -> Block {
        Block {
            number: load.number,
            tokens: tokens(load),
            seconds: load::seconds(load),
            memory: load.memory_after.map(resident),
        }
    }

    /// Tokens per second, if there are any.
    pub fn rate(&self) -> Option<f64> {
        (self.tokens > 0 && self.seconds > 0.0).then(|| self.tokens as f64 / self.seconds)
    }
}

/// Resident memory, bytes.
fn resident(memory: MemoryUse) -> u64 {
    memory.rss_anon.saturating_add(memory.rss_file)
}

fn tokens(load: &Load) -> u64 {
    load.requests.iter().map(|request| request.token_ns.len() as u64).sum()
}

/// What was under load for minutes, in the order of the plan.
pub fn sustained(part: &Part) -> Vec<Sustained> {
    let header = &part.header.plan;
    let plan = header.load.as_ref().and_then(|plan| plan.sustained.as_ref());
    let variants = plan.map_or(&[][..], |plan| &plan.variants);
    let reference = logs(&blocks(part, &header.reference));
    let summary = |variant: &String| {
        let loads: Vec<&Load> = of_kind(part, LoadKind::Sustained, variant).collect();
        (!loads.is_empty()).then(|| {
            let mut found = summarized(variant, &loads);
            if *variant != header.reference {
                found.beside = ratio(&logs(&found.blocks), &reference);
            }
            found
        })
    };
    variants.iter().filter_map(summary).collect()
}

fn of_kind<'a>(
    part: &'a Part,
    kind: LoadKind,
    variant: &'a str,
) -> impl Iterator<Item = &'a Load> + 'a {
    part.load.iter().filter(move |load| load.kind == kind && load.variant == variant)
}

fn blocks(part: &Part, variant: &str) -> Vec<Block> {
    of_kind(part, LoadKind::Sustained, variant).map(Block::of).collect()
}

fn summarized(variant: &str, loads: &[&Load]) -> Sustained {
    let blocks: Vec<Block> = loads.iter().map(|load| Block::of(load)).collect();
    let requests = || loads.iter().flat_map(|load| &load.requests);
    let tenth = ((blocks.len() as f64 / 10.0).round() as usize).max(1);
    let before = loads.first().and_then(|load| load.memory_before).map(resident);
    let after = loads.iter().rev().find_map(|load| load.memory_after).map(resident);
    Sustained {
        variant: variant.to_string(),
        requests: requests().count(),
        failed: requests().filter(|request| request.failure.is_some()).count(),
        first: together(&blocks[..tenth]),
        last: together(&blocks[blocks.len() - tenth..]),
        drift: change(&logs(&blocks)),
        beside: None,
        stalls: stalled(requests()),
        memory: before.zip(after).map(|(before, after)| [before, after]),
        failure: loads.iter().find_map(|load| load.failure.clone()),
        blocks,
    }
}

/// Tokens per second of some blocks.
fn together(blocks: &[Block]) -> Option<f64> {
    let tokens: u64 = blocks.iter().map(|block| block.tokens).sum();
    let seconds: f64 = blocks.iter().map(|block| block.seconds).sum();
    (tokens > 0 && seconds > 0.0).then(|| tokens as f64 / seconds)
}

/// The logs of tokens per second by block; none where a block has no tokens, which is no small change.
fn logs(blocks: &[Block]) -> Vec<f64> {
    let logs: Option<Vec<f64>> = blocks.iter().map(|block| Some(block.rate()?.ln())).collect();
    logs.unwrap_or_default()
}

/// The relative change that a straight line through logs makes.
fn change(logs: &[f64]) -> Option<Interval> {
    let Interval { point, low, high } = stats::trend(logs, ONE_SIDE)?;
    Some(Interval { point: point.exp_m1(), low: low.exp_m1(), high: high.exp_m1() })
}

fn ratio(logs: &[f64], reference: &[f64]) -> Option<Interval> {
    let paired: Vec<f64> = logs.iter().zip(reference).map(|(a, b)| a - b).collect();
    (logs.len() == reference.len()).then(|| change(&paired)).flatten()
}

/// Requests that took far longer than their task's usual time, and the worst.
fn stalled<'a>(requests: impl Iterator<Item = &'a LoadRequest>) -> (usize, f64) {
    let mut by_task: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for request in requests {
        if let Some(latency) = request.latency_ns() {
            by_task.entry(&request.task).or_default().push(latency as f64);
        }
    }
    let mut found = (0, 0.0f64);
    for values in by_task.values().filter(|values| values.len() >= FEWEST_ROUNDS) {
        let usual = stats::quantile(values, 0.5);
        for times in values.iter().map(|value| value / usual).filter(|times| *times > STALL) {
            found = (found.0 + 1, found.1.max(times));
        }
    }
    found
}

/// What a variant came to under several requests at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// The variant.
    pub variant: String,
    /// Closed or open loop, or a probe.
    pub kind: LoadKind,
    /// Requests served at once, at most.
    pub streams: u32,
    /// Streams that the engine made of that, where it says.
    pub engine_streams: Option<String>,
    /// Arrivals per second, of an open loop.
    pub rate: Option<f64>,
    /// Requests.
    pub requests: usize,
    /// Those of them that failed.
    pub failed: usize,
    /// Tokens of the answers over the time to the last of them.
    pub tokens_per_second: Option<f64>,
    /// Answers over the time to the last of them.
    pub requests_per_second: Option<f64>,
    /// P50, P90 and P99 of the latency, seconds; a failed request counts as infinite.
    pub latency: Option<[f64; 3]>,
    /// One-sided 95% bounds of the P99, seconds; none where the requests are too few.
    pub p99_bounds: [Option<f64>; 2],
    /// How many times less the requests say of the tail than if they were independent.
    pub effect: f64,
    /// Mean time from arrival to first forward pass, seconds.
    pub waiting: Option<f64>,
    /// Mean time from there to the last token, seconds.
    pub service: Option<f64>,
    /// Requests over the limit of the P99, of how many, and what that says; none without a limit.
    pub late: Option<(u64, u64, Keeps)>,
    /// Why none of its requests has an answer, if so.
    pub failure: Option<Failure>,
}

/// What was under several requests at once, in the order of its making.
pub fn levels(part: &Part) -> Vec<Level> {
    let limit = concurrency(part).and_then(|plan| plan.p99);
    let loads = part.load.iter().filter(|load| load.kind != LoadKind::Sustained);
    loads.map(|load| level(load, limit)).collect()
}

fn concurrency(part: &Part) -> Option<&ConcurrencyPlan> {
    part.header.plan.load.as_ref()?.concurrency.as_ref()
}

fn level(load: &Load, limit: Option<f64>) -> Level {
    let seconds = |ns: u64| ns as f64 * 1e-9;
    let mut latencies = load::latencies(load);
    let effect = stats::cluster_effect(&latencies);
    latencies.sort_by(f64::total_cmp);
    let answered = || load.requests.iter().filter(|request| request.failure.is_none());
    let mean = |values: Vec<f64>| (!values.is_empty()).then(|| stats::mean(&values));
    let ranks = stats::quantile_ranks(latencies.len() as u64, 1.0 - LATE, ALPHA, effect);
    let engine = load.engine.as_ref();
    Level {
        variant: load.variant.clone(),
        kind: load.kind,
        streams: load.streams,
        engine_streams: engine.and_then(|engine| engine.properties.get("NUM_STREAMS").cloned()),
        rate: load.rate,
        requests: load.requests.len(),
        failed: load.requests.iter().filter(|request| request.failure.is_some()).count(),
        tokens_per_second: Block::of(load).rate(),
        requests_per_second: load::requests_per_second(load),
        latency: (!latencies.is_empty())
            .then(|| [0.5, 0.9, 0.99].map(|p| stats::quantile(&latencies, p))),
        effect,
        p99_bounds: ranks.map(|rank| Some(latencies[rank? as usize - 1])),
        waiting: mean(answered().map(|request| seconds(request.waiting_ns())).collect()),
        service: mean(answered().filter_map(|r| r.service_ns()).map(seconds).collect()),
        late: limit.filter(|_| load.failure.is_none()).map(|limit| {
            let tail = Tail::of(load, (limit * 1e9) as u64);
            (tail.late, tail.count, tail.keeps())
        }),
        failure: load.failure.clone(),
    }
}

/// What a search came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Searched {
    /// The variant.
    pub variant: String,
    /// The limit of the P99, seconds.
    pub limit: f64,
    /// Requests per second of the closed loop below which it searched; none if that came to nothing.
    pub capacity: Option<f64>,
    /// Where it ended.
    pub search: Option<Search>,
}

/// The searches for the highest rate, in the order of the plan.
pub fn searches(part: &Part) -> Vec<Searched> {
    let Some(plan) = concurrency(part) else { return Vec::new() };
    let (Some(limit), Some(seconds)) = (plan.p99, plan.search_seconds) else { return Vec::new() };
    let searched = |variant: &String| {
        let mut closed = of_kind(part, LoadKind::Closed, variant);
        let of_servers = closed.find(|load| load.streams == plan.servers);
        let capacity = of_servers.and_then(load::requests_per_second);
        let probes = || of_kind(part, LoadKind::Probe, variant);
        let replay = |capacity| Search::replay(capacity, seconds, (limit * 1e9) as u64, probes());
        Searched { variant: variant.clone(), limit, capacity, search: capacity.map(replay) }
    };
    plan.variants.iter().map(searched).collect()
}

/// For each variant and number of streams, the tasks that were answered by other tokens at some times than at others,
/// with the same seed. Those without any are left out.
pub fn deviations_under_load(part: &Part) -> BTreeMap<(String, u32), BTreeSet<String>> {
    let mut first: BTreeMap<(&str, u32, &str), &[u32]> = BTreeMap::new();
    let mut found: BTreeMap<(String, u32), BTreeSet<String>> = BTreeMap::new();
    for load in &part.load {
        for request in load.requests.iter().filter(|request| request.failure.is_none()) {
            let place = (load.variant.as_str(), load.streams, request.task.as_str());
            if *first.entry(place).or_insert(&request.tokens) != request.tokens {
                let key = (load.variant.clone(), load.streams);
                found.entry(key).or_default().insert(request.task.clone());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::part;
    use super::*;
    use crate::record::{FailureClass, LoadPlan, SustainedPlan};

    /// A request that arrives, waits and is answered by ten tokens, all in milliseconds.
    fn request(arrival: u64, waiting: u64, service: u64) -> LoadRequest {
        let ms = 1_000_000;
        LoadRequest {
            task: "t".into(),
            stream: 0,
            arrival_ns: arrival * ms,
            start_ns: (arrival + waiting) * ms,
            token_ns: (1..=10).map(|token| service * ms * token / 10).collect(),
            tokens: vec![7; 10],
            failure: None,
        }
    }

    fn load(variant: &str, kind: LoadKind, number: u32, requests: Vec<LoadRequest>) -> Load {
        let memory = |rss_anon| Some(MemoryUse { peak_rss: 0, rss_anon, rss_file: 5 });
        Load {
            variant: variant.into(),
            kind,
            number,
            streams: 1,
            rate: None,
            arrivals: None,
            pid: 1,
            engine: None,
            warmup: 2,
            start_ns: 0,
            requests,
            memory_before: memory(100 * u64::from(number - 1)),
            memory_after: memory(100 * u64::from(number)),
            failure: None,
        }
    }

    /// Thirty blocks of ten requests each, in which one variant becomes slower by 1% a block beside a machine that becomes
    /// slower by 0.5%.
    fn drifting() -> Part {
        let mut part = part(&[]);
        part.header.plan.load = Some(LoadPlan {
            sustained: Some(SustainedPlan {
                variants: vec!["base".into(), "now".into()],
                blocks: 30,
                block_seconds: 1.0,
            }),
            concurrency: None,
        });
        for number in 1..=30 {
            for (variant, step) in [("base", 0.005f64), ("now", 0.015)] {
                let service = 1e5 * (step * f64::from(number)).exp();
                let requests = (0..10)
                    .map(|place| request((service * f64::from(place)) as u64, 0, service as u64));
                let load = load(variant, LoadKind::Sustained, number, requests.collect());
                part.load.push(load);
            }
        }
        part
    }

    #[test]
    fn a_drift_is_that_of_the_variant_and_that_beside_the_reference() {
        let found = sustained(&drifting());
        let [base, now] = &found[..] else { panic!("{found:?}") };
        let near = |interval: &Option<Interval>, step: f64| {
            let Interval { point, low, high } = interval.unwrap();
            let expected = (-30.0 * step).exp_m1();
            assert!(
                (point - expected).abs() < 1e-4 && low <= point && point <= high,
                "{point} {expected}"
            );
        };
        near(&base.drift, 0.005);
        near(&now.drift, 0.015);
        near(&now.beside, 0.01);
        assert_eq!(base.beside, None);
        assert_eq!((now.requests, now.failed, now.stalls.0), (300, 0, 0));
        assert_eq!(now.memory, Some([5, 3005]));
        // Ten tokens in the time of a request, at the middle of three blocks.
        let expected = 10.0 / (100.0 * (0.015f64 * 2.0).exp());
        assert!((now.first.unwrap() / expected - 1.0).abs() < 1e-3, "{:?}", now.first);
        assert!(now.last.unwrap() < now.first.unwrap());
    }

    #[test]
    fn a_stall_is_counted_and_a_block_without_answers_has_no_drift() {
        let mut part = drifting();
        part.load[10].requests[4].token_ns[9] *= 5;
        let found = sustained(&part);
        assert_eq!(found[0].stalls.0, 1);
        assert!((4.0..6.0).contains(&found[0].stalls.1), "{:?}", found[0].stalls);
        let failure = Failure { class: FailureClass::Crash, message: "gone".into() };
        part.load[20].requests.clear();
        part.load[20].failure = Some(failure.clone());
        let found = sustained(&part);
        assert_eq!((found[0].drift, found[0].failure.as_ref()), (None, Some(&failure)));
        assert_eq!(found[1].beside, None, "there is nothing to hold it against");
    }

    #[test]
    fn a_level_counts_from_the_arrival_and_a_failure_is_infinite() {
        let mut one =
            load("now", LoadKind::Open, 1, vec![request(0, 0, 100), request(50, 450, 100)]);
        let found = level(&one, Some(0.5));
        assert_eq!(found.latency.unwrap()[2], stats::quantile(&[0.1, 0.55], 0.99));
        assert_eq!((found.waiting, found.service), (Some(0.225), Some(0.1)));
        assert_eq!(found.late, Some((1, 2, Keeps::No)), "one of two is far over one of a hundred");
        assert_eq!(found.p99_bounds[1], None, "two requests bound no P99");
        assert!((found.tokens_per_second.unwrap() - 20.0 / 0.6).abs() < 1e-9);
        assert!((found.requests_per_second.unwrap() - 2.0 / 0.6).abs() < 1e-9);
        one.requests[0].failure = Some(Failure { class: FailureClass::Error, message: "e".into() });
        let found = level(&one, Some(0.5));
        assert_eq!((found.failed, found.latency.unwrap()[2]), (1, f64::INFINITY));
        // In no order that hangs together.
        let many = (0..600)
            .map(|place| request(place, 0, 100 + (place * place * 31 + place * 17) % 601))
            .collect();
        let found = level(&load("now", LoadKind::Open, 1, many), Some(0.701));
        assert!(found.effect < 2.0, "{}", found.effect);
        let ([.., p99], [Some(low), Some(high)]) = (found.latency.unwrap(), found.p99_bounds)
        else {
            panic!("{found:?}")
        };
        assert!(low <= p99 && p99 <= high && high < 0.701, "{low} {p99} {high}");
        assert_eq!(found.late, Some((0, 600, Keeps::Yes)));
    }

    #[test]
    fn answers_that_change_under_load_are_found() {
        let mut part = part(&[]);
        let requests = vec![request(0, 0, 1), request(1, 0, 1)];
        part.load = vec![load("now", LoadKind::Closed, 1, requests)];
        assert!(deviations_under_load(&part).is_empty());
        part.load[0].requests[1].tokens[3] = 8;
        let expected = BTreeSet::from(["t".to_string()]);
        assert_eq!(deviations_under_load(&part)[&("now".to_string(), 1)], expected);
    }
}
