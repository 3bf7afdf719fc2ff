//! Owns the section on documents: what intervals over few of them hold where divergences are as skewed as
//! those of real models.

use crate::cells::{self, Random};
use crate::page::{self, Table, alarms, covered};
use perfgate::stats::{
    FEWEST_BOOTSTRAP_ROUNDS, Interval, Ranked, bootstrap, log_normal_mean_upper, log_ratio_of_sums,
    quantile, t_interval_of,
};
use rand_distr::{Distribution, LogNormal, Normal};

const DOCUMENTS: [usize; 3] = [8, 20, 24];

/// Standard deviations of the log of a document's own level. Of SmolLM2-135M's INT8 and INT4 against FP16
/// it is about 0.3; 0.8 is a workload of very different texts.
const SPREADS: [f64; 3] = [0.3, 0.5, 0.8];

/// Standard deviation of the log of a position's divergence within its document.
const WITHIN: f64 = 1.3;

/// Counted positions of a document.
const POSITIONS: usize = 255;

/// Resamples of the bootstrap here, where every replication draws them anew.
const RESAMPLES: usize = 400;

/// Positions of the run that tells the true P99.
const LARGE: usize = 4_000_000;

/// The levels of one document's positions, and how they are drawn.
struct World {
    level: Normal<f64>,
    within: LogNormal<f64>,
}

impl World {
    fn new(spread: f64) -> World {
        World {
            level: Normal::new(0.0, spread).expect("a spread is positive"),
            within: LogNormal::new(0.0, WITHIN).expect("a spread is positive"),
        }
    }

    fn document(&self, random: &mut Random) -> Vec<f64> {
        let level = self.level.sample(random).exp();
        (0..POSITIONS).map(|_| level * self.within.sample(random)).collect()
    }

    fn mean(spread: f64) -> f64 {
        (0.5 * (spread * spread + WITHIN * WITHIN)).exp()
    }

    fn p99(&self, random: &mut Random) -> f64 {
        let draw = |_| self.level.sample(random).exp() * self.within.sample(random);
        quantile(&(0..LARGE).map(draw).collect::<Vec<_>>(), 0.99)
    }
}

/// How often an interval of 95% holds the truth, how often its bound at 5% lies over a truth at the limit, and
/// how often the other bound lies under it.
#[derive(Default)]
struct Tally {
    held: usize,
    regressed: usize,
    passed: usize,
}

impl Tally {
    fn add(&mut self, interval: impl Fn(f64) -> Interval, truth: f64) {
        let (two_sided, one_sided) = (interval(0.025), interval(0.05));
        self.held += usize::from(two_sided.low <= truth && truth <= two_sided.high);
        self.regressed += usize::from(one_sided.low > truth);
        self.passed += usize::from(one_sided.high < truth);
    }

    fn cells(&self, replications: usize) -> [String; 3] {
        let share = |count: usize| count as f64 / replications as f64;
        [
            covered(share(self.held)),
            alarms(share(self.regressed), replications),
            alarms(share(self.passed), replications),
        ]
    }
}

pub fn section(replications: usize) -> String {
    let mut cells = Vec::new();
    for spread in SPREADS {
        cells.extend(DOCUMENTS.map(|documents| (spread, documents)));
    }
    let figures = cells::run(40, &cells, |(spread, documents), random| {
        cell(*spread, *documents, replications, random)
    });
    let mut table = Table::new(&[
        "sd of a document's log",
        "documents",
        "mean: coverage",
        "false alarms",
        "false passes",
        "P99: coverage",
        "false alarms",
        "false passes",
    ]);
    for ((spread, documents), (mean, p99)) in cells.iter().zip(&figures) {
        let tail = match *documents < FEWEST_BOOTSTRAP_ROUNDS {
            true => ["-", "-", "-"].map(str::to_string),
            false => p99.cells(replications),
        };
        let names = [format!("{spread:.1}"), documents.to_string()];
        table.row(names.into_iter().chain(mean.cells(replications)).chain(tail));
    }
    format!(
        "## Divergence over documents

Documents of {POSITIONS} positions; the logs of their levels and of the positions within are normal (standard
deviation {WITHIN} within). The mean's interval is Student's t over documents on its log, with the higher one of its upper bound and Cox's, the P99's a bootstrap over
documents ({RESAMPLES} resamples here) on its log. False alarms: with the truth at the limit the lower bound at 5%
lies over it; false passes: the upper one under it. Bold is a coverage under {}, and an error over {}.

{table}
The bounds of skewed numbers err to one side: the lower one, which breaks a rule, is careful, and the upper
one, which passes it, is too bold, the more so the more the documents differ. A pass close to its limit on few
very different documents is worth less than it says; one far from it is not.
",
        page::given(page::LOW_COVERAGE),
        page::percent(page::most_alarms(replications)),
    )
}

fn cell(spread: f64, documents: usize, replications: usize, random: &mut Random) -> (Tally, Tally) {
    let world = World::new(spread);
    let (mean, p99) = (World::mean(spread), world.p99(random).ln());
    let (mut of_mean, mut of_tail) = (Tally::default(), Tally::default());
    for seed in 0..replications {
        let values: Vec<Vec<f64>> = (0..documents).map(|_| world.document(random)).collect();
        let sums: Vec<f64> = values.iter().map(|one| one.iter().sum()).collect();
        let (point, by_document) = log_ratio_of_sums(&sums, &vec![POSITIONS as f64; documents])
            .expect("a divergence is above zero");
        let means: Vec<f64> = sums.iter().map(|sum| sum / POSITIONS as f64).collect();
        let of_level = |alpha| {
            let interval = t_interval_of(point, by_document, documents, alpha);
            let high = log_normal_mean_upper(&means, alpha)
                .map_or(interval.high, |high| high.max(interval.high));
            Interval { high, ..interval }
        };
        of_mean.add(of_level, mean.ln());
        if documents >= FEWEST_BOOTSTRAP_ROUNDS {
            let ranked = Ranked::new(&values);
            let tail = |times: &[u32]| ranked.quantile(times, 0.99).ln();
            let (point, error) = bootstrap(documents, RESAMPLES, seed as u64, tail);
            let spread = error * (documents as f64).sqrt();
            of_tail.add(|alpha| t_interval_of(point, spread, documents, alpha), p99);
        }
    }
    (of_mean, of_tail)
}
