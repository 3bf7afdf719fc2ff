//! Owns how a metric's values are read out of a record.

use crate::metric::{Better, Kind, Metric};
use crate::record::{FailureClass, MemoryUse, Phase, Request, Round, WorkerRun};
use std::collections::BTreeMap;

const NANOSECOND: f64 = 1e-9;

/// The counted requests of a variant in a round.
pub fn timed<'a>(round: &'a Round, variant: &'a str) -> impl Iterator<Item = &'a Request> {
    round.requests.iter().filter(move |r| r.phase == Phase::Timed && r.variant == variant)
}

/// Whether a variant got through a round: every request was attempted, and one at least succeeded.
pub fn completed(round: &Round, variant: &str) -> bool {
    let not_served = |request: &Request| {
        request.failure.as_ref().is_some_and(|f| f.class == FailureClass::NotServed)
    };
    let mut any = false;
    for request in timed(round, variant) {
        if not_served(request) {
            return false;
        }
        any |= request.failure.is_none();
    }
    any
}

/// The value of a request, in the metric's unit; `None` if it failed.
pub fn request_value(metric: Metric, request: &Request) -> Option<f64> {
    let (first, last) = (*request.token_ns.first()? as f64, *request.token_ns.last()? as f64);
    let gaps = request.token_ns.len() as f64 - 1.0;
    let value = match metric {
        Metric::Latency => last * NANOSECOND,
        Metric::Ttft => first * NANOSECOND,
        Metric::Throughput => gaps / ((last - first) * NANOSECOND),
        Metric::Itl => (last - first) * NANOSECOND / gaps,
        _ => return None,
    };
    (value.is_finite() && value > 0.0).then_some(value)
}

/// What a failure counts as where values are ranked: the worst there is.
pub fn worst(metric: Metric) -> f64 {
    match metric.info().better {
        Better::Lower => f64::INFINITY,
        Better::Higher => 0.0,
    }
}

/// A round's values by task, in the metric's unit; `None` for a failed request.
pub fn by_task<'a>(
    metric: Metric,
    round: &'a Round,
    variant: &'a str,
) -> BTreeMap<&'a str, Option<f64>> {
    timed(round, variant).map(|r| (r.task.as_str(), request_value(metric, r))).collect()
}

/// A round's values in any order, a failure counting as the worst. Inter-token latency gives every
/// gap, the others one value per request.
pub fn ranked(metric: Metric, round: &Round, variant: &str) -> Vec<f64> {
    timed(round, variant)
        .flat_map(|request| match (request_value(metric, request), metric.info().kind) {
            (None, _) => vec![worst(metric)],
            (Some(_), Kind::PerToken) => gaps(request),
            (Some(value), _) => vec![value],
        })
        .collect()
}

/// The gaps between a request's tokens, seconds.
fn gaps(request: &Request) -> Vec<f64> {
    request.token_ns.windows(2).map(|pair| (pair[1] - pair[0]) as f64 * NANOSECOND).collect()
}

/// A round's single value of a metric that has one per round. A start that failed counts as the
/// worst; memory that could not be read is `None`.
pub fn round_value(metric: Metric, round: &Round, variant: &str) -> Option<f64> {
    let workers: Vec<&WorkerRun> = round.workers.iter().filter(|w| w.variant == variant).collect();
    let first = workers.iter().find(|worker| worker.attempt == 1)?;
    let seconds = |ns: Option<u64>| ns.map_or(f64::INFINITY, |ns| ns as f64 * NANOSECOND);
    match metric {
        Metric::ColdStart => Some(seconds(first.first_token_ns)),
        Metric::SpawnTime => Some(seconds(first.hello_ns)),
        Metric::LoadTime => Some(seconds(first.load_ns)),
        Metric::ColdTtft => {
            let mut cold = round
                .requests
                .iter()
                .filter(|r| r.phase == Phase::ColdStart && r.variant == variant && r.attempt <= 1);
            Some(seconds(cold.next().and_then(|request| request.token_ns.first().copied())))
        }
        Metric::Memory => largest(&workers, |memory| memory.peak_rss),
        Metric::MemoryAnon => largest(&workers, |memory| memory.rss_anon),
        Metric::MemoryFile => largest(&workers, |memory| memory.rss_file),
        Metric::EnergyPerToken => joules_per_token(round, variant),
        Metric::TokensPerSecondPerWatt => joules_per_token(round, variant).map(f64::recip),
        _ => None,
    }
}

/// The largest of a round's processes; after a restart there are several, and each held the model.
fn largest(workers: &[&WorkerRun], size: impl Fn(&MemoryUse) -> u64) -> Option<f64> {
    let sizes = workers.iter().filter_map(|worker| Some(size(&worker.memory?) as f64));
    sizes.max_by(f64::total_cmp)
}

/// Package energy of the successful timed requests over the tokens that they generated; `None` if one
/// of them has no energy.
fn joules_per_token(round: &Round, variant: &str) -> Option<f64> {
    let (mut joules, mut tokens) = (0.0, 0);
    for request in timed(round, variant).filter(|request| request.failure.is_none()) {
        joules += request.energy_uj? as f64 * 1e-6;
        tokens += request.token_ns.len();
    }
    (joules > 0.0 && tokens > 0).then(|| joules / tokens as f64)
}

/// Failed and all counted requests of a variant in some rounds.
pub fn failures(rounds: &[&Round], variant: &str) -> (u64, u64) {
    let (mut failed, mut all) = (0, 0);
    for request in rounds.iter().flat_map(|round| timed(round, variant)) {
        all += 1;
        failed += u64::from(request.failure.is_some());
    }
    (failed, all)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::record::Failure;

    /// A request whose tokens come at the given milliseconds; none at all is a failure.
    pub fn request(round: u32, variant: &str, task: &str, milliseconds: &[f64]) -> Request {
        let failed = milliseconds.is_empty();
        Request {
            round,
            slot: 0,
            variant: variant.to_string(),
            task: task.to_string(),
            attempt: 1,
            phase: Phase::Timed,
            start_ns: 0,
            token_ns: milliseconds.iter().map(|ms| (ms * 1e6) as u64).collect(),
            prompt_tokens: 8,
            tokens: vec![0; milliseconds.len()],
            energy_uj: None,
            failure: failed
                .then(|| Failure { class: FailureClass::Error, message: "test".to_string() }),
        }
    }

    fn close(found: Option<f64>, expected: f64) {
        let found = found.expect("there is a value");
        assert!((found / expected - 1.0).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn a_request_is_measured_as_the_documentation_defines() {
        let request = request(1, "a", "t", &[100.0, 120.0, 140.0, 180.0]);
        close(request_value(Metric::Ttft, &request), 0.1);
        close(request_value(Metric::Latency, &request), 0.18);
        close(request_value(Metric::Throughput, &request), 3.0 / 0.08);
        close(request_value(Metric::Itl, &request), 0.08 / 3.0);
    }

    #[test]
    fn energy_is_that_of_the_timed_requests_over_their_tokens() {
        let with = |task: &str, energy: Option<u64>| Request {
            energy_uj: energy,
            ..request(1, "a", task, &[10.0, 20.0, 30.0])
        };
        let warm = Request { phase: Phase::Warmup, ..with("w", Some(99_000_000)) };
        let failed = request(1, "a", "f", &[]);
        let requests = vec![warm, with("x", Some(2_000_000)), with("y", Some(4_000_000)), failed];
        let mut round = Round { round: 1, complete: true, workers: vec![], requests };
        close(joules_per_token(&round, "a"), 1.0);
        round.requests.push(with("z", None));
        assert_eq!(joules_per_token(&round, "a"), None, "a gap makes it unknown");
    }

    #[test]
    fn failures_rank_as_the_worst_and_warm_up_is_never_counted() {
        let mut warm = request(1, "a", "w", &[1.0, 2.0]);
        warm.phase = Phase::Warmup;
        let round = Round {
            round: 1,
            complete: true,
            workers: vec![],
            requests: vec![warm, request(1, "a", "x", &[10.0, 20.0]), request(1, "a", "y", &[])],
        };
        assert_eq!(ranked(Metric::Latency, &round, "a"), [0.02, f64::INFINITY]);
        assert_eq!(ranked(Metric::Throughput, &round, "a"), [100.0, 0.0]);
        assert_eq!(failures(&[&round], "a"), (1, 2));
        assert!(completed(&round, "a"));
        assert!(!completed(&round, "b"), "nothing was run");
    }
}
