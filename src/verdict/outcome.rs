//! Owns the step from verdicts to the outcome of a session.

use crate::record::{Evidence, Policies, Policy, Severity, Verdict, VerdictKind};
use serde::{Deserialize, Serialize};

/// What a session came to. The exit code follows from it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every gating rule holds, or is undecided where the policy informs.
    Holds,
    /// So it is, but for rules that a waiver lets pass.
    Waived,
    /// A gating rule is proven broken.
    Regressed,
    /// A gating rule's verdict is `invalid`.
    Invalid,
    /// A gating rule is undecided where that blocks.
    Blocked,
    /// No gating rule was decided at all.
    Undecided,
}

impl Outcome {
    /// The word of JSON, as in outputs of a CI job.
    pub fn id(self) -> &'static str {
        match self {
            Outcome::Holds => "holds",
            Outcome::Waived => "waived",
            Outcome::Regressed => "regressed",
            Outcome::Invalid => "invalid",
            Outcome::Blocked => "blocked",
            Outcome::Undecided => "undecided",
        }
    }
}

/// The outcome of some verdicts under some policies. A proven regression outranks all else.
pub fn outcome(verdicts: &[Verdict], policies: &Policies) -> Outcome {
    let gating = || verdicts.iter().filter(|v| v.rule.severity == Severity::Gate);
    let any = |kind| gating().any(|verdict| verdict.verdict == kind);
    let blocked = gating().any(|verdict| lacks_evidence(verdict, policies));
    match () {
        () if any(VerdictKind::Regressed) => Outcome::Regressed,
        () if any(VerdictKind::Invalid) => Outcome::Invalid,
        () if blocked => Outcome::Blocked,
        () if !gating().any(|verdict| verdict.verdict.decided()) => Outcome::Undecided,
        () if any(VerdictKind::Waived) => Outcome::Waived,
        () => Outcome::Holds,
    }
}

/// Whether a rule is undecided where that blocks.
fn lacks_evidence(verdict: &Verdict, policies: &Policies) -> bool {
    let safety = verdict.rule.evidence == Evidence::Safety;
    !verdict.verdict.decided() && (safety || policies.of(verdict.verdict) == Policy::Block)
}

/// Whether a verdict alone keeps the exit code from being 0.
pub fn blocks(verdict: &Verdict, policies: &Policies) -> bool {
    let broken = matches!(verdict.verdict, VerdictKind::Regressed | VerdictKind::Invalid);
    verdict.rule.severity == Severity::Gate && (broken || lacks_evidence(verdict, policies))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{LATENCY, Statistic};
    use crate::record::{Against, Limit, Rule, Selection};
    use VerdictKind::*;

    fn verdict(kind: VerdictKind, severity: Severity, evidence: Evidence) -> Verdict {
        let rule = Rule {
            id: "r".into(),
            line: 1,
            metric: LATENCY,
            statistic: Statistic::Mean,
            variant: "v".into(),
            against: Against::Absolute,
            limit: Limit::Max(1.0),
            evidence,
            severity,
            only: Selection::default(),
            forcing: None,
            waiver: None,
        };
        Verdict {
            rule,
            verdict: kind,
            effect: None,
            now: None,
            base: None,
            resolution: None,
            needed: None,
            reason: String::new(),
        }
    }

    fn of(kinds: &[VerdictKind], policies: &Policies) -> Outcome {
        let verdicts: Vec<Verdict> =
            kinds.iter().map(|kind| verdict(*kind, Severity::Gate, Evidence::Regression)).collect();
        outcome(&verdicts, policies)
    }

    #[test]
    fn the_worst_outranks_the_rest() {
        let inform = Policies::default();
        let block = Policies { inconclusive: Policy::Block, ..inform };
        for (kinds, policies, expected) in [
            (&[Pass, Improved][..], &inform, Outcome::Holds),
            (&[Pass, Inconclusive, NoBaseline, Unavailable], &inform, Outcome::Holds),
            (&[Inconclusive, Unavailable], &inform, Outcome::Undecided),
            (&[], &inform, Outcome::Undecided),
            (&[Pass, Inconclusive], &block, Outcome::Blocked),
            (&[Pass, NoBaseline], &block, Outcome::Holds),
            (&[Invalid, Inconclusive, Pass], &block, Outcome::Invalid),
            (&[Invalid, Regressed, Inconclusive], &block, Outcome::Regressed),
            (&[Unchanged, Inconclusive], &inform, Outcome::Holds),
            (&[Pass, Waived, Inconclusive], &inform, Outcome::Waived),
            (&[Waived, Inconclusive], &block, Outcome::Blocked),
            (&[Waived, Regressed], &inform, Outcome::Regressed),
        ] {
            assert_eq!(of(kinds, policies), expected, "{kinds:?}");
        }
    }

    #[test]
    fn safety_blocks_whatever_the_policy_and_advice_never_does() {
        let gate = verdict(Pass, Severity::Gate, Evidence::Regression);
        let safety = verdict(Inconclusive, Severity::Gate, Evidence::Safety);
        let advice = verdict(Regressed, Severity::Inform, Evidence::Regression);
        let policies = Policies::default();
        assert_eq!(outcome(&[gate.clone(), safety], &policies), Outcome::Blocked);
        assert_eq!(outcome(&[gate, advice.clone()], &policies), Outcome::Holds);
        assert_eq!(outcome(&[advice], &policies), Outcome::Undecided);
    }
}
