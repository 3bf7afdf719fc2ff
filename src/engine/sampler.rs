//! Owns the choice of the next token from logits, the same for every engine.

use crate::record::{Failure, FailureClass};

/// The most probable token; of equals the one with the lowest id.
///
/// # Errors
/// If a logit is NaN or infinite, or there is none.
pub(super) fn greedy(logits: &[f32]) -> Result<u32, Failure> {
    let mut best = 0;
    let mut most = f32::NEG_INFINITY;
    // The sum is finite only if every logit is: one addition each, and it vectorizes.
    let mut sum = 0.0f64;
    for (id, logit) in logits.iter().enumerate() {
        sum += f64::from(*logit);
        if *logit > most {
            most = *logit;
            best = id;
        }
    }
    if sum.is_finite() && !logits.is_empty() {
        return Ok(best as u32);
    }
    Err(Failure { class: FailureClass::NonFinite, message: describe(logits) })
}

fn describe(logits: &[f32]) -> String {
    match logits.iter().position(|logit| !logit.is_finite()) {
        Some(id) => format!("the logit of token {id} is {}", logits[id]),
        None => "the engine returned no logits".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_largest_and_of_equals_the_first() {
        assert_eq!(greedy(&[0.1, 3.0, -2.0, 3.0]).unwrap(), 1);
        assert_eq!(greedy(&[-7.0]).unwrap(), 0);
    }

    #[test]
    fn refuses_what_is_not_finite() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let failure = greedy(&[1.0, bad, 2.0]).unwrap_err();
            assert_eq!(failure.class, FailureClass::NonFinite);
            assert!(failure.message.contains("token 1"), "{failure}");
        }
        assert!(greedy(&[]).is_err());
        assert_eq!(greedy(&[f32::MAX, f32::MAX]).unwrap(), 0, "large is not infinite");
    }
}
