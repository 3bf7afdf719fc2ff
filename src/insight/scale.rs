//! Owns the prediction of speed at other model sizes, from the roofline and the share of it that is reached here.

use super::roofline::{Roofline, Stage, bandwidth};
use crate::record::{Hardware, Part};

/// Two variants of one engine at model sizes of this machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    /// The variant with the wider weights.
    pub wide: String,
    /// The one with the narrower.
    pub narrow: String,
    /// Weights of the model that was measured.
    pub weights: f64,
    /// The sizes, ascending.
    pub points: Vec<Predicted>,
    /// Weights from which on the narrow one is the faster at every larger size, under each assumption; `None` if it
    /// never is.
    pub from: [Option<f64>; 2],
}

/// Speeds at a size, under both assumptions: what a token takes beyond the reading stays as it is, or grows with the
/// model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted {
    /// Weights that each token is multiplied with.
    pub weights: f64,
    /// Of the variant with the wider weights, tokens per second.
    pub wide: [f64; 2],
    /// Of the one with the narrower.
    pub narrow: [f64; 2],
}

impl Predicted {
    /// How many times as fast the narrow one is: the lower and the higher of both assumptions.
    pub fn ratio(&self) -> [f64; 2] {
        let [a, b] = [0, 1].map(|assumption| self.narrow[assumption] / self.wide[assumption]);
        [a.min(b), a.max(b)]
    }
}

/// Model sizes that are shown, weights.
const SIZES: [f64; 6] = [15e6, 110e6, 350e6, 1.1e9, 3e9, 7e9];

/// Sizes between which the crossing is looked for: a million weights times powers of this, to 20 billion.
const STEP: f64 = 1.025;
const STEPS: i32 = 400;

/// Predicts decoding of two variants of one engine at other sizes. Each reads as fast as the machine reads a working
/// set of that size. What it takes beyond the reading is known at one size alone, so there are two predictions: it
/// stays as it is, as a fixed cost of each token would, or it grows with the weights, as arithmetic does.
pub fn scaling(
    hardware: &Hardware,
    part: &Part,
    [wide, narrow]: [&Roofline; 2],
) -> Option<Scaling> {
    let threads = part.header.variants.get(&wide.variant)?.threads;
    let weights = part.work.get(&wide.variant)?.weights as f64;
    let rates = |of: &Roofline, size: f64| {
        let grown = size / weights;
        let reading = of.bytes * grown / bandwidth(hardware, threads, of.bytes * grown)?;
        // Where reading was faster than the machine's reading, there is nothing beyond.
        let beyond = (of.measured - of.reading).max(0.0);
        Some([beyond, beyond * grown].map(|beyond| (reading + beyond).recip()))
    };
    let at = |size: f64| {
        Some(Predicted { weights: size, wide: rates(wide, size)?, narrow: rates(narrow, size)? })
    };
    let fine: Vec<Predicted> = (0..=STEPS).filter_map(|step| at(1e6 * STEP.powi(step))).collect();
    Some(Scaling {
        points: SIZES.into_iter().filter_map(at).collect(),
        from: [0, 1].map(|assumption| crossing(&fine, assumption)),
        wide: wide.variant.clone(),
        narrow: narrow.variant.clone(),
        weights,
    })
}

/// The size from which on the narrow one stays the faster; 0 if it is at all sizes.
fn crossing(fine: &[Predicted], assumption: usize) -> Option<f64> {
    let slower = |point: &Predicted| point.narrow[assumption] <= point.wide[assumption];
    match fine.iter().rposition(slower) {
        None => Some(0.0),
        Some(last) => fine.get(last + 1).map(|point| point.weights),
    }
}

/// The pairs that can be scaled: decoding by one engine with as many threads, weights stored in 16 bits against
/// narrower ones.
pub fn pairs<'a>(part: &Part, rooflines: &'a [Roofline]) -> Vec<[&'a Roofline; 2]> {
    let decoding = || rooflines.iter().filter(|roofline| roofline.stage == Stage::Decode);
    let stored =
        |roofline: &Roofline| part.work.get(&roofline.variant).map(|work| work.stored.as_str());
    let alike = |a: &Roofline, b: &Roofline| {
        let of = |roofline: &Roofline| {
            let record = part.header.variants.get(&roofline.variant)?;
            Some((record.engine.clone(), record.threads))
        };
        of(a) == of(b)
    };
    let is_wide = |roofline: &&Roofline| matches!(stored(roofline), Some("f16" | "bf16" | "f32"));
    let is_narrow = |roofline: &&Roofline| matches!(stored(roofline), Some("u8" | "i8"));
    decoding()
        .filter(is_wide)
        .flat_map(|wide| decoding().filter(is_narrow).map(move |narrow| [wide, narrow]))
        .filter(|[wide, narrow]| alike(wide, narrow))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrow_one_is_faster_from_the_last_size_on_at_which_it_was_not() {
        let point = |weights: f64, narrow: f64| Predicted {
            weights,
            wide: [1.0, 1.0],
            narrow: [narrow, 2.0],
        };
        let fine = [point(1.0, 2.0), point(2.0, 0.9), point(3.0, 1.1), point(4.0, 1.2)];
        assert_eq!(crossing(&fine, 0), Some(3.0));
        assert_eq!(crossing(&fine, 1), Some(0.0), "at all sizes");
        assert_eq!(crossing(&fine[..2], 0), None, "never");
        assert_eq!(fine[1].ratio(), [0.9, 2.0]);
    }
}
