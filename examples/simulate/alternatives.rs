//! Owns the fourth section: what else could be done with few rounds, and whether it should.

use crate::cells::{self, Random};
use crate::coverage::END;
use crate::gate::FALSE_ALARMS;
use crate::page::{self, Table, bold_if, percent};
use crate::world::{Noise, TASKS, World};
use perfgate::stats::{mean, standard_deviation, t_half_width};

const ROUNDS: [usize; 3] = [3, 5, 10];

/// How many degrees of freedom the spread within rounds counts for when both are mixed.
const PRIOR: f64 = 4.0;

const METHODS: usize = 4;

const NAMES: [&str; METHODS] = ["a", "b", "c", "d"];

/// Shares of replications by method.
#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    covered: [f64; METHODS],
    alarmed: [f64; METHODS],
    found: [f64; METHODS],
}

pub fn section(replications: usize) -> String {
    let cells: Vec<(Noise, usize)> =
        Noise::ALL.iter().flat_map(|noise| ROUNDS.map(|rounds| (*noise, rounds))).collect();
    let figures = cells::run(9, &cells, |(noise, rounds), random| {
        figures(*noise, *rounds, replications, random)
    });
    let mut head = vec!["noise".to_string(), "rounds".to_string()];
    for what in ["coverage", "false alarms", "found"] {
        head.extend(NAMES.map(|name| format!("{what} {name}")));
    }
    let mut table = Table::new(&head.iter().map(String::as_str).collect::<Vec<_>>());
    let least = least(replications);
    for ((noise, rounds), of) in cells.iter().zip(&figures) {
        let covered = of.covered.map(|share| bold_if(share < least, percent(share)));
        let alarmed = of.alarmed.map(|share| page::alarms(share, replications));
        let names = [noise.title().to_string(), rounds.to_string()];
        let numbers = covered.into_iter().chain(alarmed).chain(of.found.map(percent));
        table.row(names.into_iter().chain(numbers));
    }
    format!(
        "## Alternatives to the t interval at few rounds

With three rounds Student's t has two degrees of freedom, and its interval is wide. Four ways to get
the variance of a round's ratio; one rule, every round run:

- a: from the ratios by round, Student's t: what perfgate does;
- b: from within rounds alone: the paired log ratios by round and task less the means of their row
  and column, the variance of that over the {TASKS} tasks, (rounds - 1) · ({TASKS} - 1) degrees of
  freedom;
- c: the mean of both, weighted by a's degrees of freedom and by {PRIOR}, with the sum of these as its
  degrees of freedom;
- d: the larger of a's and b's, with a's degrees of freedom.

Coverage of the two-sided 95% interval (bold under 95% less three standard errors, {}), false alarms
at a one-sided 5%, and the share that finds an effect 5 points over a limit of 5%.

{table}
The rule: an alternative is adopted if its coverage is under {} in no cell, and what it finds is more
than a in the mean over the cells.

{}",
        percent(least),
        percent(least),
        conclusion(&figures, least)
    )
}

/// The least coverage that may be by chance.
fn least(replications: usize) -> f64 {
    0.95 - 3.0 * page::standard_error(replications)
}

fn figures(noise: Noise, rounds: usize, replications: usize, random: &mut Random) -> Figures {
    let world = World::lockstep(noise);
    let widths = [END, FALSE_ALARMS].map(|alpha| freedoms(rounds).map(|f| t_quantile(f, alpha)));
    let over = (1.10f64 / 1.05).ln();
    let one = 1.0 / replications as f64;
    let mut figures = Figures::default();
    for _ in 0..replications {
        let paired = world.session(rounds, 0.0, random).paired();
        let point = mean(&paired.iter().map(|round| mean(round)).collect::<Vec<_>>());
        for (method, variance) in variances(&paired).into_iter().enumerate() {
            let error = (variance / rounds as f64).sqrt();
            let [two_sided, one_sided] = widths.map(|widths| widths[method] * error);
            let mut add = |to: fn(&mut Figures) -> &mut [f64; METHODS], holds: bool| {
                to(&mut figures)[method] += one * f64::from(u8::from(holds));
            };
            add(|figures| &mut figures.covered, point.abs() <= two_sided);
            add(|figures| &mut figures.alarmed, point - one_sided > 0.0);
            add(|figures| &mut figures.found, point + over - one_sided > 0.0);
        }
    }
    figures
}

/// The quantile of Student's t for a one-sided level, out of the library's half width, which it is a factor of.
fn t_quantile(freedom: f64, alpha: f64) -> f64 {
    let count = freedom + 1.0;
    t_half_width(count.sqrt(), count as usize, alpha)
}

fn freedoms(rounds: usize) -> [f64; METHODS] {
    let between = rounds as f64 - 1.0;
    [between, between * (TASKS as f64 - 1.0), between + PRIOR, between]
}

/// The variance of a round's ratio by each method.
fn variances(paired: &[Vec<f64>]) -> [f64; METHODS] {
    let ratios: Vec<f64> = paired.iter().map(|round| mean(round)).collect();
    let tasks: Vec<f64> = (0..TASKS)
        .map(|task| mean(&paired.iter().map(|round| round[task]).collect::<Vec<_>>()))
        .collect();
    let center = mean(&ratios);
    let square = |(round, task): (usize, usize)| {
        (paired[round][task] - ratios[round] - tasks[task] + center).powi(2)
    };
    let places = (0..paired.len()).flat_map(|round| (0..TASKS).map(move |task| (round, task)));
    let [freedom, of_within, ..] = freedoms(paired.len());
    let within = places.map(square).sum::<f64>() / of_within / TASKS as f64;
    let between = standard_deviation(&ratios).powi(2);
    let mixed = (freedom * between + PRIOR * within) / (freedom + PRIOR);
    [between, within, mixed, between.max(within)]
}

fn conclusion(figures: &[Figures], least: f64) -> String {
    let sentences = (1..METHODS).map(|method| of_method(figures, method, least));
    let own = short(figures, 0, least);
    let own = format!(
        "a itself: coverage under {} in {} of {} cells, the least {}.",
        percent(least),
        own.len(),
        figures.len(),
        percent(lowest(figures, 0))
    );
    let all: Vec<String> = std::iter::once(own).chain(sentences).collect();
    format!("- {}\n", all.join("\n- "))
}

fn of_method(figures: &[Figures], method: usize, least: f64) -> String {
    let short = short(figures, method, least);
    let too = short.iter().filter(|of| of.covered[0] < least).count();
    let gains: Vec<f64> = figures.iter().map(|of| of.found[method] - of.found[0]).collect();
    let gain = mean(&gains);
    let adopted = short.is_empty() && gain > 0.0;
    format!(
        "{}: coverage under {} in {} of {} cells (in {too} of them a's is too), the least {}; \
         finds {:+.1} points against a in the mean. **{}.**",
        NAMES[method],
        percent(least),
        short.len(),
        figures.len(),
        percent(lowest(figures, method)),
        100.0 * gain,
        if adopted { "Adopted by the rule" } else { "Not adopted" },
    )
}

fn short(figures: &[Figures], method: usize, least: f64) -> Vec<&Figures> {
    figures.iter().filter(|of| of.covered[method] < least).collect()
}

fn lowest(figures: &[Figures], method: usize) -> f64 {
    figures.iter().map(|of| of.covered[method]).fold(1.0, f64::min)
}
