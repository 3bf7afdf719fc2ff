//! Owns the coverage of the bootstrap over rounds, which far tails of all requests are judged by.

use crate::cells::{self, Random};
use crate::coverage::{END, FACTOR};
use crate::page::{self, Table, covered};
use crate::world::{Noise, Session, World, times};
use perfgate::stats::{
    FEWEST_BOOTSTRAP_ROUNDS, RESAMPLES, Ranked, bootstrap, quantile, t_interval_of,
};
use rand::Rng;
use std::cell::RefCell;

const ROUNDS: [usize; 2] = [FEWEST_BOOTSTRAP_ROUNDS, 50];

/// Requests of each task in a round.
const REPEATS: usize = 5;

/// Resamples of each interval here: fewer add noise to an interval, and hardly change how often it holds.
const FEWER: usize = 1000;

/// Replications for each of the others.
const DIVISOR: usize = 2;

/// The tails that have a bootstrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    P99,
    P99OverP50,
}

impl Tail {
    fn title(self) -> &'static str {
        match self {
            Tail::P99 => "P99",
            Tail::P99OverP50 => "P99 over P50",
        }
    }

    fn of(self, side: &Ranked, times: &[u32]) -> f64 {
        let tail = side.quantile(times, 0.99).ln();
        match self {
            Tail::P99 => tail,
            Tail::P99OverP50 => tail - side.quantile(times, 0.5).ln(),
        }
    }

    fn truth(self, world: &World) -> f64 {
        let at = |p| world.true_tail(p, FACTOR.ln());
        match self {
            Tail::P99 => at(0.99),
            Tail::P99OverP50 => at(0.99) - at(0.5),
        }
    }
}

/// What came of the intervals of a cell.
#[derive(Debug, Clone, Copy)]
struct Figures {
    with_t: f64,
    percentile: f64,
    /// Mean width of the first over that of the second.
    width: f64,
}

pub fn section(replications: usize) -> String {
    let replications = replications / DIVISOR;
    let mut cells = Vec::new();
    for tail in [Tail::P99, Tail::P99OverP50] {
        for noise in Noise::ALL {
            cells.extend(ROUNDS.map(|rounds| (tail, noise, rounds)));
        }
    }
    let figures = cells::run(8, &cells, |(tail, noise, rounds), random| {
        let world = World::lockstep(*noise).with_repeats(REPEATS);
        figures(*tail, &world, *rounds, replications, random)
    });
    let mut table = Table::new(&[
        "tail",
        "noise",
        "rounds",
        "point ± t · spread",
        "plain percentiles",
        "width, first over second",
    ]);
    for ((tail, noise, rounds), of) in cells.iter().zip(&figures) {
        let names = [tail.title(), noise.title()].map(ToString::to_string);
        let shares = [covered(of.with_t), covered(of.percentile), format!("{:.2}", of.width)];
        table.row(names.into_iter().chain([rounds.to_string()]).chain(shares));
    }
    format!(
        "### The bootstrap over rounds of a far tail

The log ratio of the P99, and of P99 over P50, of all requests of a session with 50 in each round.
perfgate takes the point ± t(0.975, rounds - 1) times the bootstrap's spread, with {RESAMPLES}
resamples. Here it is {FEWER} resamples and {replications} replications, for want of time. Beside it
stand the 2.5% and 97.5% quantiles of the same resamples. The true values are those of endless
sessions; the bimodal candidate's distribution has a shape of its own, and its quantiles are
worked out from the mixture.

{table}
{}",
        chosen(&figures)
    )
}

fn figures(
    tail: Tail,
    world: &World,
    rounds: usize,
    replications: usize,
    random: &mut Random,
) -> Figures {
    let truth = tail.truth(world);
    let half = t_interval_of(0.0, 1.0, rounds, END).high * (rounds as f64).sqrt();
    let one = 1.0 / replications as f64;
    let mut sums = Figures { with_t: 0.0, percentile: 0.0, width: 0.0 };
    let mut widths = [0.0; 2];
    for _ in 0..replications {
        let session = world.session(rounds, FACTOR.ln(), random);
        let (point, spread, drawn) = resampled(tail, &session, rounds, random.random());
        let (low, high) = (quantile(&drawn, END), quantile(&drawn, 1.0 - END));
        sums.with_t += one * f64::from(u8::from((point - truth).abs() <= half * spread));
        sums.percentile += one * f64::from(u8::from(low <= truth && truth <= high));
        widths[0] += 2.0 * half * spread;
        widths[1] += high - low;
    }
    sums.width = widths[0] / widths[1];
    sums
}

/// The library's bootstrap, and the resamples that it drew.
fn resampled(tail: Tail, session: &Session, rounds: usize, seed: u64) -> (f64, f64, Vec<f64>) {
    let side =
        |logs: &[Vec<f64>]| Ranked::new(&logs.iter().map(|round| times(round)).collect::<Vec<_>>());
    let (now, base) = (side(&session.now), side(&session.base));
    let drawn = RefCell::new(Vec::with_capacity(FEWER + 1));
    let (point, spread) = bootstrap(rounds, FEWER, seed, |times| {
        let value = tail.of(&now, times) - tail.of(&base, times);
        drawn.borrow_mut().push(value);
        value
    });
    let mut drawn = drawn.into_inner();
    // The last one is the sample itself.
    drawn.truncate(FEWER);
    (point, spread, drawn)
}

/// Which of the two intervals the figures speak for.
fn chosen(figures: &[Figures]) -> String {
    let miss = |share: f64| (share - 0.95).abs();
    let nearer = figures.iter().filter(|of| miss(of.with_t) < miss(of.percentile)).count();
    let low = |of: fn(&Figures) -> f64| {
        figures.iter().filter(|figures| of(figures) < page::LOW_COVERAGE).count()
    };
    let all = figures.len();
    format!(
        "With t the coverage is {}, under {} in {} of {all} cells; with plain percentiles {}, in {} of
{all}. The interval with t is nearer to 95% in {nearer} of {all} cells, the plain one narrower in {};
the one with t {}.

A gate's ends lie at a rule's share of 5% and at a look's share of that, which can be less than one
of {RESAMPLES} resamples: no percentile reaches there, and t does.
",
        page::range(figures.iter().map(|of| of.with_t)),
        page::given(page::LOW_COVERAGE),
        low(|of| of.with_t),
        page::range(figures.iter().map(|of| of.percentile)),
        low(|of| of.percentile),
        figures.iter().filter(|of| of.width > 1.0).count(),
        match low(|of| of.with_t) < low(|of| of.percentile) {
            true => "is less often too short",
            false => "is no less often too short, so at 95% the plain one does as well",
        }
    )
}
