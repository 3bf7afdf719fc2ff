//! Owns how a metric's values are read out of a record.

use crate::metric::{Better, Kind, Metric, Read, Stamps, VariantRound};
use crate::record::{FailureClass, Phase, Request, Round};
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

/// The value of a request, in the metric's unit; `None` if it failed, or for a metric of another kind.
pub fn request_value(metric: Metric, request: &Request) -> Option<f64> {
    let stamps = Stamps {
        first: *request.token_ns.first()? as f64 * NANOSECOND,
        last: *request.token_ns.last()? as f64 * NANOSECOND,
        gaps: request.token_ns.len() as f64 - 1.0,
    };
    let value = match metric.info().read {
        Read::Request(value) => value(&stamps),
        Read::Tokens => (stamps.last - stamps.first) / stamps.gaps,
        Read::Round(_) | Read::Requests(_) | Read::Answers(_) | Read::Documents(_) => return None,
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
        .flat_map(|request| match (request_value(metric, request), metric.kind()) {
            (None, _) => vec![worst(metric)],
            (Some(_), Kind::PerToken) => gaps(request),
            (Some(value), _) => vec![value],
        })
        .collect()
}

/// The gaps between a request's tokens, seconds.
fn gaps(request: &Request) -> Vec<f64> {
    // A file may hold stamps that go back.
    let gap = |pair: &[u64]| pair[1].saturating_sub(pair[0]) as f64 * NANOSECOND;
    request.token_ns.windows(2).map(gap).collect()
}

/// A round's single value of a metric that has one per round. A start that failed counts as the
/// worst; what could not be read is `None`.
pub fn round_value(metric: Metric, round: &Round, variant: &str) -> Option<f64> {
    match metric.info().read {
        Read::Round(value) => value(&VariantRound { round, variant }),
        _ => None,
    }
}

/// For each counted request of a variant in a round, whether it counts against it in a metric.
pub fn failing(metric: Metric, round: &Round, variant: &str) -> Vec<bool> {
    let Read::Requests(counts) = metric.info().read else { return Vec::new() };
    timed(round, variant).map(counts).collect()
}

/// Requests of a variant that count against it in a metric, and all counted ones, in some rounds.
pub fn hits(metric: Metric, rounds: &[&Round], variant: &str) -> (u64, u64) {
    let each = rounds.iter().flat_map(|round| failing(metric, round, variant));
    each.fold((0, 0), |(hits, all), hit| (hits + u64::from(hit), all + 1))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::metric::{FAILURE_RATE, LATENCY, THROUGHPUT};
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
            dram_energy_uj: None,
            energy_ns: None,
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
        let of = |id| Metric::from_id(id).unwrap();
        close(request_value(of("ttft"), &request), 0.1);
        close(request_value(LATENCY, &request), 0.18);
        close(request_value(THROUGHPUT, &request), 3.0 / 0.08);
        close(request_value(of("output_rate"), &request), 4.0 / 0.18);
        close(request_value(of("itl"), &request), 0.08 / 3.0);
    }

    #[test]
    fn failures_rank_as_the_worst_and_warm_up_is_never_counted() {
        let mut warm = request(1, "a", "w", &[1.0, 2.0]);
        warm.phase = Phase::Warmup;
        let round = Round {
            round: 1,
            complete: true,
            requests: vec![warm, request(1, "a", "x", &[10.0, 20.0]), request(1, "a", "y", &[])],
            ..Round::default()
        };
        assert_eq!(ranked(LATENCY, &round, "a"), [0.02, f64::INFINITY]);
        assert_eq!(ranked(THROUGHPUT, &round, "a"), [100.0, 0.0]);
        assert_eq!(hits(FAILURE_RATE, &[&round], "a"), (1, 2));
        assert!(completed(&round, "a"));
        assert!(!completed(&round, "b"), "nothing was run");
    }
}
