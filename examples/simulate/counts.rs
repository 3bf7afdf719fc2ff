//! Owns the sections on counts: graded tasks at any number of them, and requests over a fixed limit that go together within
//! their rounds.

use crate::cells::{self, Random};
use crate::page::{self, Table};
use perfgate::stats::{
    PairCounts, clean_requests_needed, design_effect, effective_upper, intraclass_correlation,
    paired_difference, paired_excess_p,
};
use rand_distr::{Distribution, StandardNormal};
use statrs::distribution::{Binomial, Discrete};

/// The level of every bound here.
const LEVEL: f64 = 0.05;

const TASKS: [u64; 8] = [1, 2, 3, 5, 10, 20, 50, 100];

/// The allowed loss, which is the true one.
const LOSS: f64 = 0.01;

/// Probabilities that a task gets better.
const BETTER: [f64; 5] = [0.0, 0.02, 0.1, 0.3, 0.49];

/// Outcomes that are rarer are left out of the sums.
const RARE: f64 = 1e-9;

/// The share of requests over the limit where a P99 is exactly at it, and the value that so many standard normal ones
/// exceed.
const OVER: f64 = 0.01;
const NORMAL_P99: f64 = 2.326_347_874_040_841;

/// Sizes of rounds, and numbers of them: at 300 requests, at as many as are said to do, and at twice 300.
const OF_ROUND: [usize; 2] = [10, 50];

/// The share of the variance of a request's log that its round has.
const CORRELATIONS: [f64; 3] = [0.0, 0.05, 0.2];

/// Both sections.
pub fn section(replications: usize) -> String {
    format!("{}\n{}", graded(), over(replications))
}

/// The probabilities of a false alarm and of a false pass, of the exact test and of the score's bound.
fn errors(all: u64, better: f64) -> [f64; 4] {
    let worse = better + LOSS;
    let mut sums = [0.0; 4];
    let of_worse = Binomial::new(worse, all).expect("a probability");
    for first in 0..=all {
        let outer = of_worse.pmf(first);
        if outer < RARE {
            continue;
        }
        let rest = Binomial::new((better / (1.0 - worse)).min(1.0), all - first);
        let rest = rest.expect("a probability");
        for second in 0..=all - first {
            let here = outer * rest.pmf(second);
            if here < RARE {
                continue;
            }
            let counts = PairCounts { first_only: first, second_only: second, all };
            let turned = PairCounts { first_only: second, second_only: first, all };
            let score = paired_difference(counts.into(), LEVEL);
            let refused = [
                paired_excess_p(counts, LOSS) <= LEVEL,
                paired_excess_p(turned, -LOSS) <= LEVEL,
                score.low > LOSS,
                score.high <= LOSS,
            ];
            for (sum, refused) in sums.iter_mut().zip(refused) {
                *sum += here * f64::from(u8::from(refused));
            }
        }
    }
    sums
}

fn graded() -> String {
    let cells: Vec<(u64, f64)> =
        TASKS.iter().flat_map(|all| BETTER.map(|better| (*all, better))).collect();
    let found = cells::run(40, &cells, |(all, better), _| errors(*all, *better));
    let mut table = Table::new(&[
        "tasks",
        "a task gets better",
        "exact: false alarms",
        "false passes",
        "score: false alarms",
        "false passes",
    ]);
    // Sums of probabilities are exact to the outcomes that were left out.
    let marked = |share: f64| page::bold_if(share > LEVEL + 1e-4, page::percent(share));
    for ((all, better), errors) in cells.iter().zip(&found) {
        let names = [all.to_string(), page::given(*better)];
        table.row(names.into_iter().chain(errors.map(marked)));
    }
    let most = |place: usize| page::percent(found.iter().map(|one| one[place]).fold(0.0, f64::max));
    format!(
        "## Graded tasks at any number of them

A true loss of exactly the limit, {loss}: the probability that the bound at {level} says more (a false alarm), and that it says
less (a false pass), added up over all outcomes. Bold is over {level}. perfgate decides by the exact test.

{table}
The exact test's most are {} and {}, those of the score's bound {} and {}.
",
        most(0),
        most(1),
        most(2),
        most(3),
        loss = page::given(LOSS),
        level = page::given(LEVEL),
    )
}

/// Whether a session proves that at most 1% of its requests are over the limit.
fn proves(
    of_round: usize,
    rounds: usize,
    correlation: f64,
    clean: bool,
    random: &mut Random,
) -> bool {
    let mut normal = || -> f64 { StandardNormal.sample(random) };
    let mut of_each = |_| -> Vec<f64> {
        let shared = correlation.sqrt() * normal();
        (0..of_round).map(|_| shared + (1.0 - correlation).sqrt() * normal()).collect()
    };
    let logs: Vec<Vec<f64>> = (0..rounds).map(&mut of_each).collect();
    let over = |value: &f64| f64::from(u8::from(!clean && *value > NORMAL_P99));
    let beyond: Vec<Vec<f64>> = logs.iter().map(|round| round.iter().map(over).collect()).collect();
    let hits: f64 = beyond.iter().flatten().sum();
    let together = intraclass_correlation(&logs).max(intraclass_correlation(&beyond));
    let effect = design_effect(together, of_round as f64);
    effective_upper(hits / effect, (rounds * of_round) as f64 / effect, LEVEL) <= OVER
}

fn over(replications: usize) -> String {
    let needed = |of_round: usize| {
        clean_requests_needed(OVER, LEVEL, of_round as u64, 0.9).expect("the limit is not 0")
            as usize
    };
    let mut cells = Vec::new();
    for of_round in OF_ROUND {
        for requests in [300, needed(of_round), 600] {
            for correlation in CORRELATIONS {
                cells.push((of_round, requests / of_round, correlation));
            }
        }
    }
    let found = cells::run(41, &cells, |(of_round, rounds, correlation), random| {
        [true, false].map(|clean| {
            cells::share(replications, || proves(*of_round, *rounds, *correlation, clean, random))
        })
    });
    let mut table = Table::new(&[
        "requests of a round",
        "requests",
        "their round's share of the variance",
        "none over in truth: proven",
        "1% over in truth: proven",
    ]);
    for ((of_round, rounds, correlation), [clean, at_limit]) in cells.iter().zip(&found) {
        let names =
            [of_round.to_string(), (of_round * rounds).to_string(), page::given(*correlation)];
        let shares = [page::percent(*clean), page::alarms(*at_limit, replications)];
        table.row(names.into_iter().chain(shares));
    }
    format!(
        "## Requests over a fixed limit

Logs of requests are normal, with a part that a round's requests share. Of a P99 under its limit none is over it here; of one
exactly at it 1% are, and to prove that at most 1% are is then an error, of at most {} where the level holds. 300 clean
requests prove it as often as the estimated correlation happens to be 0; {} in rounds of {}, {} in rounds of {} are what the
plan names for nine of ten sessions.

{table}",
        page::given(LEVEL),
        needed(OF_ROUND[0]),
        OF_ROUND[0],
        needed(OF_ROUND[1]),
        OF_ROUND[1],
    )
}
