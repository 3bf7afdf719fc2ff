//! Owns the explanation of a session: the rooflines of its variants, why one is faster than another as far as they
//! show it, what the engine and what the precision did, and what to expect at other sizes.

use super::roofline::{Held, Roofline, Stage, held, memory_of, not_counted, rooflines};
use super::scale::{Scaling, pairs, scaling};
use super::split::{Split, splits};
use crate::metric::{Metric, Statistic};
use crate::record::{Hardware, Part, Work};
use crate::stats::{self, Interval};
use crate::verdict;
use std::collections::BTreeMap;

/// Everything that is said of why.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What the machine can do.
    pub hardware: Hardware,
    /// By variant: what a token needs, and how its weights are held.
    pub models: BTreeMap<String, (Work, Held)>,
    /// Why nothing is said of what a token of a variant reads, by variant.
    pub not_counted: BTreeMap<String, String>,
    /// The stages of each variant in the order of the plan.
    pub rooflines: Vec<Roofline>,
    /// Each variant against the reference.
    pub causes: Vec<Cause>,
    /// What the engine and what the precision did.
    pub splits: Vec<Split>,
    /// Other sizes.
    pub scalings: Vec<Scaling>,
}

/// Why a variant decodes faster or slower than the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// The variant.
    pub variant: String,
    /// The reference.
    pub reference: String,
    /// The stage.
    pub stage: Stage,
    /// Log ratio of the variant's speed over the reference's, with its 95% interval.
    pub measured: Interval,
    /// Log ratio of the speeds that their bounds allow.
    pub allowed: f64,
    /// What it comes to.
    pub why: Why,
}

/// What the evidence supports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Why {
    /// The interval holds no difference at all: there is nothing to explain.
    NoDifference,
    /// The bound explains at least half of the difference: this share of its logarithm.
    Bound(f64),
    /// It explains less than half.
    Partly(f64),
    /// The bound points the other way, or nowhere: no cause is shown.
    Unexplained,
}

/// Explains a session of which the hardware and the work are known; nothing if no variant's are.
pub fn explain(part: &Part) -> Option<Explanation> {
    let hardware = part.hardware.clone()?;
    let names = &part.header.plan.variants;
    let lines: Vec<Roofline> =
        names.iter().flat_map(|name| rooflines(part, &hardware, name)).collect();
    if lines.is_empty() && part.work.values().all(|work| not_counted(work).is_none()) {
        return None;
    }
    let model = |(name, work): (&String, &Work)| {
        if not_counted(work).is_some() {
            return None;
        }
        let told = part.execution.get(name);
        let held = held(work, part.engine(name)?, memory_of(part, name), told);
        Some((name.clone(), (work.clone(), held)))
    };
    let uncounted = |(name, work): (&String, &Work)| Some((name.clone(), not_counted(work)?));
    let scalings =
        pairs(part, &lines).into_iter().filter_map(|pair| scaling(&hardware, part, pair)).collect();
    Some(Explanation {
        models: part.work.iter().filter_map(model).collect(),
        not_counted: part.work.iter().filter_map(uncounted).collect(),
        causes: causes(part, &lines),
        splits: splits(part),
        scalings,
        rooflines: lines,
        hardware,
    })
}

fn causes(part: &Part, lines: &[Roofline]) -> Vec<Cause> {
    let reference = &part.header.plan.reference;
    let of = |name: &str, stage: Stage| {
        lines.iter().find(|line| line.variant == name && line.stage == stage)
    };
    let others = part.header.plan.variants.iter().filter(|name| *name != reference);
    others
        .flat_map(|name| [Stage::Decode, Stage::Prefill].map(|stage| (name, stage)))
        .filter_map(|(name, stage)| cause(part, [of(name, stage)?, of(reference, stage)?]))
        .collect()
}

fn cause(part: &Part, [line, base]: [&Roofline; 2]) -> Option<Cause> {
    let metric = match line.stage {
        Stage::Decode => Metric::from_id("throughput")?,
        Stage::Prefill => Metric::from_id("ttft")?,
    };
    let rounds = part.complete();
    let (variant, reference) = (&line.variant, &base.variant);
    let logs = verdict::log_ratios(metric, Statistic::Mean, &rounds, variant, reference).values;
    let ratio = stats::t_interval(&logs, 0.025)?;
    let measured = match line.stage {
        Stage::Decode => ratio,
        // Of times the inverse is speed.
        Stage::Prefill => Interval { point: -ratio.point, low: -ratio.high, high: -ratio.low },
    };
    let allowed = (base.bound() / line.bound()).ln();
    Some(Cause {
        variant: variant.clone(),
        reference: reference.clone(),
        stage: line.stage,
        measured,
        allowed,
        why: why(measured, allowed),
    })
}

/// A difference of bounds smaller than this explains nothing.
const SMALL: f64 = 0.05;

fn why(measured: Interval, allowed: f64) -> Why {
    if measured.low <= 0.0 && measured.high >= 0.0 {
        return Why::NoDifference;
    }
    let share = allowed / measured.point;
    match share {
        _ if allowed.abs() < SMALL || share <= 0.0 => Why::Unexplained,
        share if share >= 0.5 => Why::Bound(share),
        share => Why::Partly(share),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_named_where_the_bound_points_the_same_way() {
        let measured = |low, high| Interval { point: (low + high) / 2.0, low, high };
        assert_eq!(why(measured(-0.1, 0.2), 0.7), Why::NoDifference);
        assert_eq!(why(measured(0.6, 0.8), 0.7), Why::Bound(1.0));
        assert_eq!(why(measured(-0.8, -0.6), -0.7), Why::Bound(1.0));
        assert_eq!(why(measured(0.9, 1.1), 0.25), Why::Partly(0.25));
        assert_eq!(why(measured(0.9, 1.1), -0.25), Why::Unexplained);
        assert_eq!(why(measured(0.9, 1.1), 0.01), Why::Unexplained);
    }
}
