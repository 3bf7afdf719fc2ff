//! Owns where values and words stand along an axis.

use super::super::{Axis, Ticks};

/// Most round numbers along an axis; a phone has room for no more.
const MOST: f64 = 6.0;

/// How far along the axis a value stands, from 0 to 1.
pub(super) fn share(axis: &Axis, value: f64) -> f64 {
    let share = match axis.ticks {
        Ticks::Log => (value / axis.low).ln() / (axis.high / axis.low).ln(),
        _ => (value - axis.low) / (axis.high - axis.low),
    };
    if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
}

/// The words along an axis with their values.
pub(super) fn ticks(axis: &Axis) -> Vec<(f64, String)> {
    let span = axis.high - axis.low;
    match &axis.ticks {
        Ticks::Linear => at_steps(axis, step(span)),
        Ticks::Whole => at_steps(axis, step(span).max(1.0)),
        Ticks::Log => {
            let found =
                [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]].map(|factors| by_decade(axis, factors));
            let fits = |ticks: &Vec<(f64, String)>| ticks.len() as f64 <= MOST;
            found.into_iter().find(fits).unwrap_or_default()
        }
        Ticks::Named(named) => named.clone(),
        Ticks::Rows(..) => Vec::new(),
    }
}

/// The smallest step of 1, 2 or 5 times a power of ten that gives no more than the most.
fn step(span: f64) -> f64 {
    let rough = span / MOST;
    let power = 10f64.powf(rough.log10().floor());
    let fits = |factor: &f64| factor * power >= rough;
    [1.0, 2.0, 5.0, 10.0].into_iter().find(fits).unwrap_or(10.0) * power
}

fn at_steps(axis: &Axis, step: f64) -> Vec<(f64, String)> {
    let (first, last) = ((axis.low / step).ceil(), (axis.high / step).floor());
    let count = (last - first).clamp(-1.0, 2.0 * MOST) as i32;
    let value = |index: i32| (first + f64::from(index)) * step;
    (0..=count).map(|index| (value(index), number(value(index), step))).collect()
}

fn by_decade(axis: &Axis, factors: &[f64]) -> Vec<(f64, String)> {
    let decades = axis.low.log10().floor() as i32..=axis.high.log10().ceil() as i32;
    let value = |decade: i32| factors.iter().map(move |factor| factor * 10f64.powi(decade));
    let within = |value: &f64| (axis.low..=axis.high).contains(value);
    decades.flat_map(value).filter(within).map(|value| (value, number(value, value))).collect()
}

/// A round number with the decimals that its step needs.
fn number(value: f64, step: f64) -> String {
    let decimals = (-step.log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
    // Minus zero reads as a value below.
    let value = if value == 0.0 { 0.0 } else { value };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(low: f64, high: f64, ticks: Ticks) -> String {
        let axis = Axis { title: String::new(), low, high, ticks };
        super::ticks(&axis).into_iter().map(|(_, word)| word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn numbers_along_an_axis_are_round_and_few() {
        assert_eq!(words(0.0, 1050.0, Ticks::Linear), "0 200 400 600 800 1000");
        assert_eq!(words(0.71, 0.79, Ticks::Linear), "0.72 0.74 0.76 0.78");
        assert_eq!(words(0.5, 3.5, Ticks::Whole), "1 2 3");
        assert_eq!(words(90.0, 1200.0, Ticks::Log), "100 200 500 1000");
        assert_eq!(words(0.5, 60_000.0, Ticks::Log), "1 10 100 1000 10000");
        assert_eq!(words(0.0, 1.0, Ticks::Named(vec![])), "");
    }

    #[test]
    fn a_place_is_within_the_axis() {
        let axis = |ticks| Axis { title: String::new(), low: 1.0, high: 100.0, ticks };
        assert!((share(&axis(Ticks::Log), 10.0) - 0.5).abs() < 1e-12);
        assert_eq!(share(&axis(Ticks::Linear), 500.0), 1.0);
        assert_eq!(share(&axis(Ticks::Linear), f64::NAN), 0.0);
    }
}
