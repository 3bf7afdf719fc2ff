//! Owns group-sequential testing: how much of an error probability may be spent by when, and the level
//! that this leaves for each look.

use crate::record::Spending;
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

/// The share of a one-sided error `alpha` that may be spent when a fraction of the information, 0 to 1, is
/// there.
///
/// `2 - 2 Φ(z(1 - alpha / 2) / √fraction)` in the manner of O'Brien and Fleming, `alpha · ln(1 + (e - 1) ·
/// fraction)` in that of Pocock (Lan and DeMets 1983, Biometrika 70, 659-663).
pub fn error_spent(spending: Spending, alpha: f64, fraction: f64) -> f64 {
    if fraction <= 0.0 {
        return 0.0;
    }
    let fraction = fraction.min(1.0);
    match spending {
        Spending::OBrienFleming => {
            let normal = Normal::standard();
            2.0 * normal.sf(normal.inverse_cdf(1.0 - alpha / 2.0) / fraction.sqrt())
        }
        Spending::Pocock => alpha * ((std::f64::consts::E - 1.0) * fraction).ln_1p(),
    }
}

/// The one-sided level of each look, at given fractions of the planned information (rising, the last at most
/// 1), so that the probability of crossing at any of them without an effect is what may be spent by
/// then.
///
/// The levels are those of a normal statistic with independent increments, found by integrating its
/// density from look to look (Armitage, McPherson and Rowe 1969; Jennison and Turnbull 2000,
/// chapter 19). With an estimated variance they are used as the levels of t tests (Pocock 1977;
/// Jennison and Turnbull 2000, section 3.8).
pub fn look_levels(spending: Spending, alpha: f64, fractions: &[f64]) -> Vec<f64> {
    let normal = Normal::standard();
    let mut levels = Vec::with_capacity(fractions.len());
    let mut before = Density::start();
    let (mut spent, mut time) = (0.0, 0.0);
    for fraction in fractions {
        let share = error_spent(spending, alpha, *fraction) - spent;
        let step = (fraction - time).sqrt();
        let boundary = before.boundary(share, step, fraction.sqrt());
        levels.push(normal.sf(boundary / fraction.sqrt()));
        before = before.after(step, boundary, fraction.sqrt());
        spent += share;
        time = *fraction;
    }
    levels
}

/// Nodes of the quadrature: eleven digits with up to fifty even looks, five with a hundred; steps that are
/// shorter still against the whole would want more.
const NODES: usize = 96;

/// How many standard deviations below zero the density is cut off.
const REACH: f64 = 8.0;

/// The density of the statistic (Brownian motion at the fraction's time) among the paths that have not
/// crossed, as weighted points.
struct Density {
    points: Vec<(f64, f64)>,
}

impl Density {
    /// All of the probability at zero.
    fn start() -> Density {
        Density { points: vec![(0.0, 1.0)] }
    }

    /// The probability of lying over `boundary` one step later.
    fn over(&self, boundary: f64, step: f64) -> f64 {
        let normal = Normal::standard();
        self.points.iter().map(|(at, weight)| weight * normal.sf((boundary - at) / step)).sum()
    }

    /// The boundary over which a given share lies one step later; `spread` is the standard deviation then.
    fn boundary(&self, share: f64, step: f64, spread: f64) -> f64 {
        // What is too small to be found in the tail is never crossed.
        let (mut low, mut high) = (-REACH * spread, 2.0 * REACH * spread);
        if self.over(high, step) >= share {
            return high;
        }
        while high - low > 1e-12 * spread {
            let middle = 0.5 * (low + high);
            if self.over(middle, step) > share { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }

    /// The density one step later, of what then lies under `boundary`.
    fn after(&self, step: f64, boundary: f64, spread: f64) -> Density {
        let normal = Normal::standard();
        let (low, high) = (-REACH * spread, boundary.min(REACH * spread));
        let density = |at: f64| {
            let parts = self.points.iter().map(|(from, w)| w * normal.pdf((at - from) / step));
            parts.sum::<f64>() / step
        };
        let points = gauss_legendre(NODES).into_iter().map(|(node, weight)| {
            let at = 0.5 * (high - low) * node + 0.5 * (high + low);
            (at, 0.5 * (high - low) * weight * density(at))
        });
        Density { points: points.collect() }
    }
}

/// Nodes and weights of Gauss-Legendre quadrature on -1 to 1, by Newton's method on the Legendre polynomial
/// (Press et al. 2007, Numerical Recipes, section 4.6).
fn gauss_legendre(count: usize) -> Vec<(f64, f64)> {
    let size = count as f64;
    let node = |index: usize| {
        let mut x = (std::f64::consts::PI * (index as f64 + 0.75) / (size + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..10 {
            let (mut now, mut before) = (1.0, 0.0);
            for degree in 1..=count {
                let d = degree as f64;
                (now, before) = (((2.0 * d - 1.0) * x * now - (d - 1.0) * before) / d, now);
            }
            slope = size * (x * now - before) / (x * x - 1.0);
            x -= now / slope;
        }
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..count).map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundaries(spending: Spending, alpha: f64, looks: usize) -> Vec<f64> {
        let fractions: Vec<f64> = (1..=looks).map(|k| k as f64 / looks as f64).collect();
        let normal = Normal::standard();
        let levels = look_levels(spending, alpha, &fractions);
        levels.into_iter().map(|level| normal.inverse_cdf(1.0 - level)).collect()
    }

    /// Five even looks at a one-sided 2.5%, as R's gsDesign prints them (from a coarser grid).
    #[test]
    fn the_published_boundaries_are_met() {
        for (spending, published) in [
            (Spending::OBrienFleming, [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
            (Spending::Pocock, [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]),
        ] {
            for (found, published) in boundaries(spending, 0.025, 5).into_iter().zip(published) {
                assert!((found - published).abs() < 2e-4, "{spending:?}: {found} {published}");
            }
        }
    }

    #[test]
    fn one_look_spends_everything_and_more_looks_never_more() {
        for spending in [Spending::OBrienFleming, Spending::Pocock] {
            let one = look_levels(spending, 0.05, &[1.0]);
            assert!((one[0] - 0.05).abs() < 1e-9, "{one:?}");
            let levels = look_levels(spending, 0.05, &[0.25, 0.5, 0.75, 1.0]);
            assert!(levels.iter().all(|level| *level < 0.05 && *level > 0.0), "{levels:?}");
            // A larger error allows more at every look, which Holm's procedure rests on.
            let less = look_levels(spending, 0.025, &[0.25, 0.5, 0.75, 1.0]);
            assert!(less.iter().zip(&levels).all(|(less, more)| less < more), "{less:?}");
        }
    }
}
