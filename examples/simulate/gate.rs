//! Owns the gate's procedure on the ratios by round: looks, Holm's procedure at each, and the end of a session.

use perfgate::record::Spending;
use perfgate::stats::{holm, look_levels, mean, standard_deviation, t_half_width};
use perfgate::verdict::looks;

/// The probability of any false alarm that is asked for.
pub const FALSE_ALARMS: f64 = 0.05;

/// Variants of the simulated sessions, on which the looks depend.
const VARIANTS: u32 = 2;

/// How a session may end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    Never,
    At(Spending),
}

impl Stop {
    /// As it is unless the configuration says otherwise.
    pub const USUAL: Stop = Stop::At(Spending::OBrienFleming);

    pub const ALL: [Stop; 3] = [Stop::USUAL, Stop::At(Spending::Pocock), Stop::Never];

    pub fn title(self) -> &'static str {
        match self {
            Stop::Never => "never",
            Stop::At(spending) => spending.title(),
        }
    }

    /// After which rounds the rules are looked at.
    pub fn looks(self, rounds: usize) -> Vec<usize> {
        let planned = match self {
            Stop::Never => None,
            Stop::At(_) => looks(rounds as u32, VARIANTS),
        };
        planned.map_or(vec![rounds], |looks| looks.into_iter().map(|look| look as usize).collect())
    }

    /// The level of each look of a rule that has `alpha` in all.
    pub fn levels(self, rounds: usize, alpha: f64) -> Vec<f64> {
        let looks = self.looks(rounds);
        match self {
            Stop::At(spending) if looks.len() > 1 => {
                let fraction = |look: &usize| *look as f64 / rounds as f64;
                look_levels(spending, alpha, &looks.iter().map(fraction).collect::<Vec<_>>())
            }
            _ => vec![alpha],
        }
    }
}

/// What a rule came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Regressed,
    Within,
    Open,
}

/// How a session ended.
#[derive(Debug)]
pub struct Ended {
    pub rounds: usize,
    pub verdicts: Vec<Verdict>,
}

/// The gate for a plan, with what doesn't depend on the data worked out beforehand.
pub struct Gate {
    looks: Vec<usize>,
    /// Half the width of the interval at each look for a spread of 1, by how many rules share the level: an
    /// interval's width is in proportion to the spread, and quantiles of t take time.
    half: Vec<Vec<f64>>,
}

impl Gate {
    pub fn new(stop: Stop, rounds: usize, rules: usize) -> Gate {
        let looks = stop.looks(rounds);
        let levels: Vec<Vec<f64>> =
            (1..=rules).map(|left| stop.levels(rounds, FALSE_ALARMS / left as f64)).collect();
        let half = looks.iter().enumerate().map(|(place, look)| {
            levels.iter().map(|levels| t_half_width(1.0, *look, levels[place])).collect()
        });
        Gate { half: half.collect(), looks }
    }

    /// Runs a session over streams of ratios, one for each rule, that all have the same limit. What counts are
    /// the verdicts of the look at which it ends.
    pub fn run(&self, streams: &[Vec<f64>], limit: f64) -> Ended {
        let mut ended = Ended { rounds: 0, verdicts: Vec::new() };
        for (look, half) in self.looks.iter().zip(&self.half) {
            ended = Ended { rounds: *look, verdicts: judge(streams, *look, half, limit) };
            if ended.verdicts.iter().all(|verdict| *verdict != Verdict::Open) {
                break;
            }
        }
        ended
    }
}

fn judge(streams: &[Vec<f64>], rounds: usize, half: &[f64], limit: f64) -> Vec<Verdict> {
    let of = |stream: &Vec<f64>| (mean(&stream[..rounds]), standard_deviation(&stream[..rounds]));
    let moments: Vec<(f64, f64)> = streams.iter().map(of).collect();
    let mut verdicts = vec![Verdict::Open; streams.len()];
    holm(streams.len(), FALSE_ALARMS, |rule, level| {
        let left = (FALSE_ALARMS / level).round() as usize;
        let (mean, spread) = moments[rule];
        verdicts[rule] = verdict(mean, half[left - 1] * spread, limit);
        verdicts[rule] == Verdict::Regressed
    });
    verdicts
}

/// As a rule's interval is judged: the whole of it beyond the limit, or none of it.
fn verdict(mean: f64, half: f64, limit: f64) -> Verdict {
    match () {
        () if mean - half > limit => Verdict::Regressed,
        () if mean + half <= limit => Verdict::Within,
        () => Verdict::Open,
    }
}
