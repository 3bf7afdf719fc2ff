//! Owns the third section but for its tails: how often an interval of 95% holds the truth.

use crate::cells::{self, Random};
use crate::page::{self, Table, covered, percent};
use crate::world::{Noise, Order, Session, World};
use perfgate::stats::{
    Interval, Pairs, mean, paired_difference, proportion_lower, proportion_upper, quantile,
    standard_deviation, t_half_width, welch_interval,
};
use statrs::distribution::{Binomial, Discrete};

/// The level of each end of an interval of 95%.
pub const END: f64 = 0.025;

/// The candidate's true factor.
pub const FACTOR: f64 = 1.10;

const ROUNDS: [usize; 4] = [3, 5, 10, 20];

/// Requests of each task where a round has a P99 of its own, and such rounds.
const REPEATS: usize = 10;
const ROUNDS_OF_P99: [usize; 2] = [5, 10];

pub fn section(replications: usize) -> String {
    let intro = format!(
        "## Coverage of the 95% intervals

The share of intervals that hold the true value: two-sided, nominally 95%, at a true factor of
{FACTOR:.2}, every round run. Under {} is bold.
",
        page::given(page::LOW_COVERAGE)
    );
    [intro, by_round(replications), p99(replications), welch(replications), tango(), rates()]
        .join("\n")
}

fn by_round(replications: usize) -> String {
    let cells = grid(&ROUNDS);
    let figures = cells::run(4, &cells, |(noise, rounds), random| {
        let world = World::lockstep(*noise);
        let half = t_half_width(1.0, *rounds, END);
        let mut hits = [0usize; 4];
        for _ in 0..replications {
            let session = world.session(*rounds, FACTOR.ln(), random);
            let by_round = [
                (session.ratios(), FACTOR.ln()),
                (session.ratios_of(|times| quantile(times, 0.5)), FACTOR.ln()),
                (session.ratios_of(|times| quantile(times, 0.9)), FACTOR.ln()),
                (session.ratios_of(|times| standard_deviation(times) / mean(times)), 0.0),
            ];
            for (hits, (values, truth)) in hits.iter_mut().zip(by_round) {
                *hits += usize::from(holds(&values, half, truth));
            }
        }
        hits.map(|hits| hits as f64 / replications as f64)
    });
    let mut table = Table::new(&["noise", "rounds", "mean", "median", "P90", "CV"]);
    for ((noise, rounds), figures) in cells.iter().zip(&figures) {
        table.row(names(*noise, *rounds).into_iter().chain(figures.map(covered)));
    }
    let ranges = Noise::ALL.map(|noise| {
        let of_noise = cells.iter().zip(&figures).filter(|((of, _), _)| *of == noise);
        let range = page::range(of_noise.flat_map(|(_, figures)| *figures));
        format!("{} {range}", noise.title())
    });
    format!(
        "### Student's t over rounds

The log ratio by round of each statistic of ten requests; the CV's true ratio is 1.

{table}
By noise: {}.
",
        ranges.join(", ")
    )
}

fn p99(replications: usize) -> String {
    let cells = grid(&ROUNDS_OF_P99);
    let figures = cells::run(5, &cells, |(noise, rounds), random| {
        let world = World::lockstep(*noise).with_repeats(REPEATS);
        let half = t_half_width(1.0, *rounds, END);
        cells::share(replications, || {
            let session = world.session(*rounds, FACTOR.ln(), random);
            holds(&session.ratios_of(|times| quantile(times, 0.99)), half, FACTOR.ln())
        })
    });
    let mut table = Table::new(&["noise", "rounds", "P99 by round"]);
    for ((noise, rounds), share) in cells.iter().zip(&figures) {
        table.row(names(*noise, *rounds).into_iter().chain([covered(*share)]));
    }
    format!(
        "### P99 by round, Student's t

100 requests in each round (ten tasks, ten times each), the fewest for which a round's own P99 counts.

{table}
All: {}.
",
        page::range(figures)
    )
}

fn welch(replications: usize) -> String {
    let cells = grid(&ROUNDS);
    let figures = cells::run(6, &cells, |(noise, rounds), random| {
        [Order::OneAfterTheOther, Order::Lockstep].map(|order| {
            let world = World::new(*noise, order);
            cells::share(replications, || {
                let session = world.session(*rounds, FACTOR.ln(), random);
                welch_of(&session).is_some_and(|interval| contains(interval, FACTOR.ln()))
            })
        })
    });
    let mut table = Table::new(&["noise", "rounds", "one after the other", "lockstep"]);
    for ((noise, rounds), figures) in cells.into_iter().zip(figures) {
        table.row(names(noise, rounds).into_iter().chain(figures.map(covered)));
    }
    format!(
        "### Welch's interval of round means

Unpaired; perfgate uses it for sizes of different sessions, which have no mood. One after the other a
drift from one variant to the next is a difference to it. In lockstep it counts the shared moods as
noise, and is wider than it needs to be.

{table}"
    )
}

fn welch_of(session: &Session) -> Option<Interval> {
    let means = |side: &[Vec<f64>]| side.iter().map(|round| mean(round)).collect::<Vec<_>>();
    welch_interval(&means(&session.now), &means(&session.base), END)
}

fn tango() -> String {
    let mut cells = Vec::new();
    for shares in [(0.03, 0.02), (0.06, 0.05)] {
        cells.extend([96, 500, 1500].map(|tasks| (tasks, shares)));
    }
    let figures = cells::run(7, &cells, |(tasks, shares), _: &mut Random| {
        let truth = shares.0 - shares.1;
        let [mut held, mut alarms] = [0.0; 2];
        for (first_only, second_only, weight) in outcomes(*tasks, *shares) {
            let pairs = Pairs { first_only, second_only, all: *tasks as f64 };
            held += weight * share_of(contains(paired_difference(pairs, END), truth));
            alarms += weight * share_of(paired_difference(pairs, 2.0 * END).low > truth);
        }
        (held, alarms)
    });
    let mut table = Table::new(&[
        "tasks",
        "reference alone right",
        "candidate alone right",
        "coverage",
        "false alarms at 5%",
    ]);
    for ((tasks, shares), (held, alarms)) in cells.into_iter().zip(figures) {
        let shares = [shares.0, shares.1].map(percent);
        table.row(
            [tasks.to_string()].into_iter().chain(shares).chain([covered(held), percent(alarms)]),
        );
    }
    format!(
        "### Tango's score interval of paired proportions

Not drawn but added up over all outcomes, so these figures have no error of simulation. False
alarms: the lower one-sided bound at 5% lies over the true loss.

{table}"
    )
}

/// The outcomes of tasks answered by two variants, with their probabilities; what is left out comes to less
/// than one in a million.
fn outcomes(tasks: u64, shares: (f64, f64)) -> Vec<(f64, f64, f64)> {
    let mut found = Vec::new();
    for (first, weight) in likely(tasks, shares.0) {
        for (second, given) in likely(tasks - first, shares.1 / (1.0 - shares.0)) {
            found.push((first as f64, second as f64, weight * given));
        }
    }
    found
}

fn likely(trials: u64, share: f64) -> Vec<(u64, f64)> {
    let tosses = Binomial::new(share, trials).expect("a share is a probability");
    let all = (0..=trials).map(|hits| (hits, tosses.pmf(hits)));
    all.filter(|(_, weight)| *weight > 1e-9).collect()
}

fn rates() -> String {
    let mut table = Table::new(&[
        "requests",
        "true rate",
        "coverage",
        "truth under the lower end",
        "over the upper",
    ]);
    for rate in [0.01, 0.1] {
        for requests in [60, 300] {
            let [mut under, mut over] = [0.0; 2];
            for (hits, weight) in likely(requests, rate) {
                under += weight * share_of(proportion_lower(hits, requests, END) > rate);
                over += weight * share_of(proportion_upper(hits, requests, END) < rate);
            }
            let shares =
                [percent(rate), covered(1.0 - under - over), percent(under), percent(over)];
            table.row([requests.to_string()].into_iter().chain(shares));
        }
    }
    format!(
        "### Clopper and Pearson's bounds of a rate

Added up over all outcomes as well. The bounds are exact: neither end may miss the truth more often
than 2.5%, and the price is a coverage over 95%.

{table}"
    )
}

fn share_of(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

fn grid(rounds: &[usize]) -> Vec<(Noise, usize)> {
    let of = |noise: &Noise| rounds.iter().map(|rounds| (*noise, *rounds)).collect::<Vec<_>>();
    Noise::ALL.iter().flat_map(of).collect()
}

fn names(noise: Noise, rounds: usize) -> [String; 2] {
    [noise.title().to_string(), rounds.to_string()]
}

/// Whether the t interval holds the truth, given half its width for a spread of 1.
fn holds(values: &[f64], half: f64, truth: f64) -> bool {
    (mean(values) - truth).abs() <= half * standard_deviation(values)
}

fn contains(interval: Interval, truth: f64) -> bool {
    interval.low <= truth && truth <= interval.high
}
