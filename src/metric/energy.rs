//! Owns energy by token: package energy of the timed requests over the tokens that they generated.

use super::{Better, Metric, MetricInfo, Needs, Read, Statistic, TIME, Unit, VariantRound};
use crate::record::Phase;

/// Tokens per second over watts of package power, which is tokens per joule.
pub const TOKENS_PER_SECOND_PER_WATT: Metric = Metric(&MetricInfo {
    id: "tokens_per_second_per_watt",
    title: "tokens/s per watt",
    unit: Unit::TokensPerJoule,
    better: Better::Higher,
    read: Read::Round(|of| joules_per_token(of).map(f64::recip)),
    needs: Needs::Energy,
    table: &[Statistic::Mean],
    shown_as_ratio: true,
    words: ["more efficient", "less efficient"],
    ..TIME
});

/// Joules per generated token.
pub const ENERGY_PER_TOKEN: Metric = Metric(&MetricInfo {
    id: "energy_per_token",
    title: "energy per token",
    unit: Unit::JoulesPerToken,
    read: Read::Round(joules_per_token),
    needs: Needs::Energy,
    details: &[Statistic::Mean],
    words: ["less energy", "more energy"],
    ..TIME
});

/// Package energy of the successful timed requests over the tokens that they generated; `None` if one
/// of them has no energy.
fn joules_per_token(of: &VariantRound<'_>) -> Option<f64> {
    let (mut joules, mut tokens) = (0.0, 0);
    for request in of.requests(Phase::Timed).filter(|request| request.failure.is_none()) {
        joules += request.energy_uj? as f64 * 1e-6;
        tokens += request.token_ns.len();
    }
    (joules > 0.0 && tokens > 0).then(|| joules / tokens as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Failure, FailureClass, Request, Round};

    fn request(task: &str, energy_uj: Option<u64>) -> Request {
        Request {
            round: 1,
            slot: 0,
            variant: "a".to_string(),
            task: task.to_string(),
            attempt: 1,
            phase: Phase::Timed,
            start_ns: 0,
            token_ns: vec![10, 20, 30],
            prompt_tokens: 8,
            tokens: vec![0; 3],
            energy_uj,
            failure: None,
        }
    }

    #[test]
    fn energy_is_that_of_the_timed_requests_over_their_tokens() {
        let warm = Request { phase: Phase::Warmup, ..request("w", Some(99_000_000)) };
        let failure = Failure { class: FailureClass::Error, message: "test".to_string() };
        let failed = Request { failure: Some(failure), token_ns: vec![], ..request("f", None) };
        let requests =
            vec![warm, request("x", Some(2_000_000)), request("y", Some(4_000_000)), failed];
        let mut round = Round { round: 1, complete: true, workers: vec![], requests };
        let of = |round: &Round| joules_per_token(&VariantRound { round, variant: "a" });
        assert_eq!(of(&round), Some(1.0));
        round.requests.push(request("z", None));
        assert_eq!(of(&round), None, "a gap makes it unknown");
    }
}
