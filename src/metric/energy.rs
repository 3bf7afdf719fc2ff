//! Owns energy by token: energy of the timed requests, of packages and memory, over the tokens that they generated.

use super::{Better, Metric, MetricInfo, Needs, Read, Statistic, TIME, Unit, VariantRound};
use crate::record::{Phase, Request, Round};

/// Tokens per second over watts, which is tokens per joule.
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

/// Why the energy of a request is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoEnergy {
    /// A counter could not be read around it, or made no sense.
    Unread,
    /// It is not above that of an idle machine, so that nothing is left of it.
    NotAboveIdle,
}

/// The energy of a request, joules: that of the packages, and of their memory where that is counted, less the idle
/// power over the time between the two readings where that is subtracted.
///
/// # Errors
/// If it is not known, or nothing is left: it is never negative, and never zero for want of a figure.
pub fn request_joules(round: &Round, request: &Request) -> Result<f64, NoEnergy> {
    let package_uj = request.energy_uj.ok_or(NoEnergy::Unread)?;
    let dram_uj = request.dram_energy_uj.unwrap_or(0);
    let joules = (package_uj as f64 + dram_uj as f64) * 1e-6;
    let Some(idle_watts) = round.idle_watts else { return Ok(joules) };
    let seconds = request.energy_ns.ok_or(NoEnergy::Unread)? as f64 * 1e-9;
    match joules - idle_watts * seconds {
        left if left > 0.0 => Ok(left),
        _ => Err(NoEnergy::NotAboveIdle),
    }
}

/// Energy of the successful timed requests over the tokens that they generated; `None` if one of them has no
/// energy.
fn joules_per_token(of: &VariantRound<'_>) -> Option<f64> {
    let (mut joules, mut tokens) = (0.0, 0);
    for request in of.requests(Phase::Timed).filter(|request| request.failure.is_none()) {
        joules += request_joules(of.round, request).ok()?;
        tokens += request.token_ns.len();
    }
    (joules > 0.0 && tokens > 0).then(|| joules / tokens as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Failure, FailureClass};

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
            dram_energy_uj: None,
            energy_ns: Some(100_000_000),
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
        let mut round = Round { round: 1, complete: true, requests, ..Round::default() };
        let of = |round: &Round| joules_per_token(&VariantRound { round, variant: "a" });
        assert_eq!(of(&round), Some(1.0));
        round.requests.push(request("z", None));
        assert_eq!(of(&round), None, "a gap makes it unknown");
    }

    #[test]
    fn memory_is_added_and_idle_power_is_taken_off() {
        let one = Request { dram_energy_uj: Some(1_000_000), ..request("x", Some(2_000_000)) };
        let round = |idle_watts| Round {
            round: 1,
            complete: true,
            requests: vec![one.clone()],
            idle_watts,
            ..Round::default()
        };
        let joules = |idle| request_joules(&round(idle), &one);
        assert_eq!(joules(None), Ok(3.0));
        // 5 W over the tenth of a second between the readings.
        assert_eq!(joules(Some(5.0)), Ok(2.5));
        assert_eq!(
            joules(Some(30.0)),
            Err(NoEnergy::NotAboveIdle),
            "nothing is left, which is no zero"
        );
        assert_eq!(joules(Some(31.0)), Err(NoEnergy::NotAboveIdle));
        let of = |idle| joules_per_token(&VariantRound { round: &round(idle), variant: "a" });
        assert_eq!((of(Some(5.0)), of(Some(31.0))), (Some(2.5 / 3.0), None));
        let unread = Request { energy_ns: None, ..one.clone() };
        assert_eq!(request_joules(&round(Some(5.0)), &unread), Err(NoEnergy::Unread));
        assert_eq!(
            request_joules(&round(None), &unread),
            Ok(3.0),
            "without idle no time is needed"
        );
    }
}
