//! Owns the second section: three usual yardsticks on the same sessions as the gate.

use crate::cells::{self, Random};
use crate::gate::{FALSE_ALARMS, Gate, Stop, Verdict};
use crate::page::{self, Table};
use crate::world::{Noise, Order, Session, World, times};
use perfgate::stats::{mean, quantile, welch_interval};
use statrs::distribution::{ContinuousCDF, Normal};

const ROUNDS: [usize; 3] = [5, 10, 20];

/// Rules of a family that nobody corrects for.
const FAMILY: usize = 9;

/// True factors of a changed candidate.
const CHANGES: [f64; 3] = [1.05, 1.10, 1.15];

type Yardstick = fn(&Session) -> bool;

const YARDSTICKS: [(&str, Yardstick); 3] = [
    ("median over 10% slower", median_is_slower),
    ("Mann-Whitney", mann_whitney),
    ("Welch", welch),
];

/// The gate's limits, as factors.
const LIMITS: [(&str, f64); 2] = [("perfgate, limit 0", 1.0), ("perfgate, limit 5%", 1.05)];

/// How often a yardstick accuses.
#[derive(Debug, Clone, Copy)]
struct Shares {
    /// One rule and a family, where nothing changed.
    alarms: [f64; 2],
    /// The changes that are looked for.
    found: [f64; CHANGES.len()],
}

pub fn section(replications: usize) -> String {
    let mut page = "## Three usual yardsticks on the same data

- median: the median of all of the candidate's requests is more than 10% over the reference's;
- Mann-Whitney: the one-sided rank test at 5% on all requests, as if they were independent (normal
  approximation, midranks, corrected for ties and continuity);
- Welch: the one-sided t test at 5% of the means of logs by round, unpaired;
- perfgate: the gate of the section above. Of nine rules each has its share of the 5%; the others
  are not corrected for several rules.

False alarms: at no effect, of one rule / of any of nine. Found: at +5% / +10% / +15%, of one rule.
"
    .to_string();
    for (order, title, table, words) in [
        (Order::Lockstep, "In lockstep", 2, LOCKSTEP),
        (Order::OneAfterTheOther, "One after the other", 3, ONE_AFTER_THE_OTHER),
    ] {
        let cells: Vec<(Noise, usize)> =
            Noise::ALL.iter().flat_map(|noise| ROUNDS.map(|rounds| (*noise, rounds))).collect();
        let figures = cells::run(table, &cells, |(noise, rounds), random| {
            figures(World::new(*noise, order), order, *rounds, replications, random)
        });
        let rows = cells.into_iter().zip(figures);
        page += &format!("\n### {title}\n\n{words}\n\n{}", shown(order, rows, replications));
    }
    page
}

const LOCKSTEP: &str = "\
Both sides share tasks and moods, and whoever throws the pairing away counts these as noise: hardly
any false alarms, and less found of a small change than by pairs (perfgate at a limit of 0). A
median over a threshold has no level at all.";

const ONE_AFTER_THE_OTHER: &str = "\
First all rounds of the reference, then all of the candidate, each round in a mood of its own.
Requests of a round share its mood, so pooled requests are not independent, and Mann-Whitney takes
moods for a change. Welch counts rounds, and keeps its level where the machine doesn't drift; a
drift from one variant to the other is a change to all of them, and nothing in such data could tell.
perfgate's t over paired rounds is not applicable here, since nothing is paired: of variants that
were measured one by one it judges times by the spread between stored sessions only.";

fn figures(
    world: World,
    order: Order,
    rounds: usize,
    replications: usize,
    random: &mut Random,
) -> Vec<Shares> {
    let gates = [Gate::new(Stop::USUAL, rounds, 1), Gate::new(Stop::USUAL, rounds, FAMILY)];
    let count = YARDSTICKS.len() + if order == Order::Lockstep { LIMITS.len() } else { 0 };
    let mut shares = vec![Shares { alarms: [0.0; 2], found: [0.0; CHANGES.len()] }; count];
    let one = 1.0 / replications as f64;
    for _ in 0..replications {
        let unchanged: Vec<Session> =
            (0..FAMILY).map(|_| world.session(rounds, 0.0, random)).collect();
        let changed = CHANGES.map(|factor| world.session(rounds, factor.ln(), random));
        for (place, shares) in shares.iter_mut().enumerate() {
            let accused = |sessions: &[Session]| accuses(place, &gates, sessions);
            shares.alarms[0] += one * f64::from(u8::from(accused(&unchanged[..1])));
            shares.alarms[1] += one * f64::from(u8::from(accused(&unchanged)));
            for (found, session) in shares.found.iter_mut().zip(&changed) {
                *found += one * f64::from(u8::from(accused(std::slice::from_ref(session))));
            }
        }
    }
    shares
}

/// Whether the yardstick at a place, or the gate behind them, accuses any of some sessions.
fn accuses(place: usize, gates: &[Gate; 2], sessions: &[Session]) -> bool {
    if let Some((_, yardstick)) = YARDSTICKS.get(place) {
        return sessions.iter().any(yardstick);
    }
    let (_, limit) = LIMITS[place - YARDSTICKS.len()];
    let streams: Vec<Vec<f64>> = sessions.iter().map(Session::ratios).collect();
    let gate = &gates[usize::from(sessions.len() > 1)];
    gate.run(&streams, limit.ln()).verdicts.contains(&Verdict::Regressed)
}

fn shown(
    order: Order,
    rows: impl Iterator<Item = ((Noise, usize), Vec<Shares>)>,
    replications: usize,
) -> String {
    let mut head = vec!["noise".to_string(), "rounds".to_string()];
    let limits = LIMITS.iter().map(|(title, _)| *title);
    let gates = limits.filter(|_| order == Order::Lockstep);
    for title in YARDSTICKS.iter().map(|(title, _)| *title).chain(gates) {
        head.extend([format!("{title}: false alarms"), "found".to_string()]);
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let mut table = Table::new(&head);
    let mut sums: Vec<(f64, f64)> = Vec::new();
    let mut count = 0.0;
    for ((noise, rounds), shares) in rows {
        let figures = shares.iter().flat_map(|of| {
            let alarms = of.alarms.map(|share| page::alarms(share, replications)).join(" / ");
            [alarms, page::several(&of.found)]
        });
        sums.resize(shares.len(), (0.0, 0.0));
        for (sum, of) in sums.iter_mut().zip(&shares) {
            *sum = (sum.0 + of.alarms[0], sum.1 + of.found[0]);
        }
        count += 1.0;
        table.row([noise.title().into(), rounds.to_string()].into_iter().chain(figures));
    }
    let titles =
        YARDSTICKS.iter().map(|(title, _)| title).chain(LIMITS.iter().map(|(title, _)| title));
    let means: Vec<String> = titles
        .zip(sums)
        .map(|(title, sum)| format!("{title} {}", page::several(&[sum.0 / count, sum.1 / count])))
        .collect();
    format!(
        "{table}\nMeans of the rows for one rule, false alarms / found at +5%: {}.\n",
        means.join("; ")
    )
}

fn pooled(rounds: &[Vec<f64>]) -> Vec<f64> {
    rounds.concat()
}

fn median_is_slower(session: &Session) -> bool {
    let median = |side: &[Vec<f64>]| quantile(&times(&pooled(side)), 0.5);
    median(&session.now) > 1.10 * median(&session.base)
}

/// The one-sided rank test of all requests, by ranks of times that are the ranks of their logs.
fn mann_whitney(session: &Session) -> bool {
    let (now, base) = (pooled(&session.now), pooled(&session.base));
    let (m, n) = (now.len() as f64, base.len() as f64);
    let tag = |candidate: bool| move |value: f64| (value, candidate);
    let mut all: Vec<(f64, bool)> =
        now.into_iter().map(tag(true)).chain(base.into_iter().map(tag(false))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut before, mut ranks, mut ties) = (0.0, 0.0, 0.0);
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        let size = group.len() as f64;
        let candidates = group.iter().filter(|(_, candidate)| *candidate).count() as f64;
        ranks += candidates * (before + 0.5 * (size + 1.0));
        ties += size.powi(3) - size;
        before += size;
    }
    let above = ranks - 0.5 * m * (m + 1.0);
    let variance = m * n / 12.0 * (m + n + 1.0 - ties / ((m + n) * (m + n - 1.0)));
    let score = (above - 0.5 * m * n - 0.5) / variance.sqrt();
    Normal::standard().sf(score) < FALSE_ALARMS
}

fn welch(session: &Session) -> bool {
    let means = |side: &[Vec<f64>]| side.iter().map(|round| mean(round)).collect::<Vec<_>>();
    welch_interval(&means(&session.now), &means(&session.base), FALSE_ALARMS)
        .is_some_and(|interval| interval.low > 0.0)
}
