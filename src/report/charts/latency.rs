//! Owns the charts of timed requests: how latencies are distributed, how they move over rounds, and the gaps
//! between tokens.

use super::super::Grid;
use super::super::build::some;
use super::{Axis, Chart, Layer, MOST_ROWS, Marks, Place, Run, Ticks};
use super::{Look, cut, lane, runs, thinned, thousands, titles};
use crate::metric::{LATENCY, Statistic, Unit};
use crate::record::{Request, Results};
use crate::stats;
use crate::verdict::{self, samples, stalls};

/// Most dots of a chart, over all variants.
const MOST_DOTS: usize = 2_000;

/// Most steps of a cumulative curve.
const MOST_STEPS: usize = 200;

/// Most places along an answer.
const MOST_POSITIONS: usize = 200;

/// Error of each end of an interval at 95%.
const END: f64 = 0.025;

/// The charts of the timed requests; none if nothing was measured.
pub(super) fn charts(results: &Results) -> Vec<Chart> {
    let measured: Vec<Measured> = runs(results).into_iter().map(Measured::of).collect();
    if measured.iter().all(|one| one.latencies.is_empty()) {
        return Vec::new();
    }
    let mut charts = vec![distributions(&measured)];
    // Where every request failed, the first chart says it, and the others would be empty.
    if measured.iter().any(|one| !one.finite().is_empty()) {
        charts.push(cumulative(&measured));
        charts.extend(gaps(&measured));
        charts.push(over_rounds(&measured));
    }
    charts
}

/// One variant's latencies, seconds.
struct Measured<'a> {
    run: Run<'a>,
    /// Every timed request, rising; a failed one is infinite.
    latencies: Vec<f64>,
    /// The mean of each round that has one, by its number.
    by_round: Vec<(u32, f64)>,
}

impl<'a> Measured<'a> {
    fn of(run: Run<'a>) -> Measured<'a> {
        let ranked = |round: &&_| samples::ranked(LATENCY, round, run.name);
        let mut latencies: Vec<f64> = run.rounds.iter().flat_map(ranked).collect();
        latencies.sort_by(f64::total_cmp);
        let mean = |round: &&crate::record::Round| {
            let of = verdict::log_values(LATENCY, Statistic::Mean, &[*round], run.name);
            Some((round.round, of.values.first()?.exp()))
        };
        let by_round = run.rounds.iter().filter_map(mean).collect();
        Measured { run, latencies, by_round }
    }

    fn finite(&self) -> &[f64] {
        &self.latencies[..self.latencies.partition_point(|value| value.is_finite())]
    }

    fn failed(&self) -> usize {
        self.latencies.len() - self.finite().len()
    }

    /// The mean of the rounds' means, if there is any.
    fn mean(&self) -> Option<f64> {
        let means = self.means();
        (!means.is_empty()).then(|| stats::mean(&means))
    }

    /// The interval of that mean at 95%; none for one round.
    fn interval(&self) -> Option<(f64, f64)> {
        let interval = stats::t_interval(&self.means(), END)?;
        Some((interval.low.max(0.0), interval.high))
    }

    fn means(&self) -> Vec<f64> {
        self.by_round.iter().map(|(_, mean)| *mean).collect()
    }

    fn quantile(&self, p: f64) -> f64 {
        stats::quantile(&self.latencies, p)
    }
}

/// The unit of an axis of times: its name, and what a second is in it.
struct Times {
    unit: &'static str,
    factor: f64,
}

impl Times {
    fn of(values: impl Iterator<Item = f64>) -> Times {
        let largest = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        match largest < 2.0 {
            true => Times { unit: "ms", factor: 1e3 },
            false => Times { unit: "s", factor: 1.0 },
        }
    }

    fn axis(&self, what: &str, values: impl Iterator<Item = f64>) -> Axis {
        Axis::over(&format!("{what} ({})", self.unit), values.map(|value| value * self.factor))
    }
}

fn time(seconds: f64) -> String {
    Unit::Seconds.format(seconds)
}

fn optional(seconds: Option<f64>) -> String {
    seconds.map_or("-".to_string(), time)
}

fn legend(measured: &[Measured<'_>]) -> Vec<(Look, String)> {
    measured.iter().map(|one| (one.run.look, one.run.name.to_string())).collect()
}

fn of_each(measured: &[Measured<'_>], words: impl Fn(&Measured<'_>) -> String) -> String {
    let all: Vec<String> =
        measured.iter().map(|one| format!("{}: {}", one.run.name, words(one))).collect();
    all.join("; ")
}

fn distributions(measured: &[Measured<'_>]) -> Chart {
    let all = || measured.iter().flat_map(|one| one.finite().iter().copied());
    let times = Times::of(all());
    // A wide interval of few rounds is no reason to squeeze the dots.
    let (x, beyond) = match measured.iter().any(|one| one.failed() > 0) {
        true => times.axis("latency", all()).with_room_for_failures(),
        false => (times.axis("latency", all()), 0.0),
    };
    let most = MOST_DOTS / measured.len();
    let ends = (x.low, x.high);
    let layers = measured.iter().enumerate();
    let layers = layers.flat_map(|(row, one)| of_row(one, row, &times, most, beyond, ends));
    let words = |one: &Measured<'_>| {
        let interval = one
            .interval()
            .map_or(String::new(), |(low, high)| format!(" ({} to {})", time(low), time(high)));
        format!(
            "{} requests, {} failed, median {}, mean {}{interval}",
            thousands(one.latencies.len()),
            thousands(one.failed()),
            time(one.quantile(0.5)),
            optional(one.mean())
        )
    };
    let labels = measured.iter().map(|one| one.run.name.to_string()).collect();
    Chart {
        title: "Latency of every timed request".to_string(),
        description: of_each(measured, words),
        legend: Vec::new(),
        notes: notes_of_distributions(measured, most),
        layers: layers.collect(),
        x,
        y: Axis::rows(labels, 1),
        shown: Vec::new(),
        table: table_of_distributions(measured),
    }
}

fn notes_of_distributions(measured: &[Measured<'_>], most: usize) -> Vec<String> {
    let mut notes = vec![
        "A dot is a request. │ median; ◆ mean over rounds with its 95% interval (Student's t)"
            .to_string(),
    ];
    if measured.iter().any(|one| one.failed() > 0) {
        notes.push("✕ a failed request; it has no latency and stands at the right".to_string());
    }
    let all: usize = measured.iter().map(|one| one.latencies.len()).sum();
    let of = |one: &Measured<'_>| one.finite().len().min(most) + one.failed().min(most);
    let shown: usize = measured.iter().map(of).sum();
    if shown < all {
        let (shown, all) = (thousands(shown), thousands(all));
        notes.push(format!(
            "{shown} of {all} requests shown, evenly chosen by rank; the marks are of all"
        ));
    }
    notes
}

/// The marks of one variant's row.
fn of_row(
    one: &Measured<'_>,
    row: usize,
    times: &Times,
    most: usize,
    beyond: f64,
    (low, high): (f64, f64),
) -> Vec<Layer> {
    let look = one.run.look;
    let layer = |marks| Layer { look, marks };
    let dots: Vec<Place> = thinned(one.finite(), most)
        .into_iter()
        .enumerate()
        .map(|(index, value)| (value * times.factor, lane(row, 0, 1, jitter(index))))
        .collect();
    let failed = one.failed().min(most);
    let crosses = (0..failed).map(|index| (beyond, lane(row, 0, 1, jitter(index)))).collect();
    let middle = lane(row, 0, 1, 0.5);
    let median = one.quantile(0.5) * times.factor;
    let mut layers = vec![layer(Marks::Cloud(dots)), layer(Marks::Failed(crosses))];
    if median.is_finite() {
        layers.push(layer(Marks::Median((median, middle))));
    }
    if let Some(mean) = one.mean() {
        let into = |value: f64| (value * times.factor).clamp(low, high);
        let interval = one.interval().map(|(low, high)| (into(low), into(high)));
        layers.push(layer(Marks::Estimate { value: mean * times.factor, interval, y: middle }));
    }
    layers
}

/// A place within a lane, from 0 to 1, that looks like chance and is always the same: multiples of the golden
/// ratio lie evenly.
fn jitter(index: usize) -> f64 {
    (index as f64 * 0.618_033_988_749_895 + 0.5).fract()
}

fn table_of_distributions(measured: &[Measured<'_>]) -> Grid {
    let row = |one: &Measured<'_>| {
        let interval = one.interval();
        vec![
            one.run.name.to_string(),
            thousands(one.latencies.len()),
            thousands(one.failed()),
            optional(one.finite().first().copied()),
            time(one.quantile(0.5)),
            optional(one.finite().last().copied()),
            optional(one.mean()),
            interval.map_or("-".into(), |(low, high)| format!("{} to {}", time(low), time(high))),
        ]
    };
    let header =
        ["variant", "requests", "failed", "least", "median", "largest", "mean", "95% interval"];
    Grid {
        title: "Latency by variant".to_string(),
        header: titles(header),
        rows: measured.iter().map(row).collect(),
    }
}

fn cumulative(measured: &[Measured<'_>]) -> Chart {
    let all = || measured.iter().flat_map(|one| one.finite().iter().copied());
    let times = Times::of(all());
    let mut layers = Vec::new();
    for one in measured {
        let look = one.run.look;
        let line = steps(&one.latencies);
        let line = line.into_iter().map(|(value, share)| (value * times.factor, share * 100.0));
        layers.push(Layer { look, marks: Marks::Line(line.collect()) });
        let marked = [0.5, 0.99].map(|p| (one.quantile(p) * times.factor, p * 100.0));
        let marked = marked.into_iter().filter(|(value, _)| value.is_finite()).collect();
        layers.push(Layer { look, marks: Marks::Points(marked) });
    }
    let words = |one: &Measured<'_>| {
        format!("P50 {}, P99 {}", time(one.quantile(0.5)), time(one.quantile(0.99)))
    };
    let mut notes = vec!["Marks: P50 and P99".to_string()];
    if measured.iter().any(|one| one.failed() > 0) {
        notes.push("A failed request counts as infinite: its curve ends below 100%".to_string());
    }
    Chart {
        title: "Share of requests answered within a time".to_string(),
        description: of_each(measured, words),
        legend: legend(measured),
        notes,
        x: times.axis("latency", all()),
        y: Axis {
            title: "requests answered (%)".to_string(),
            low: 0.0,
            high: 102.0,
            ticks: Ticks::Linear,
        },
        layers,
        shown: Vec::new(),
        table: table_of_quantiles(measured),
    }
}

/// The empirical distribution of some values, rising, as the corners of its steps: value and share of all
/// values up to it. Infinite values count and have no step. There are at most [`MOST_STEPS`] steps, with the
/// first and the last.
fn steps(values: &[f64]) -> Vec<Place> {
    let finite = values.partition_point(|value| value.is_finite());
    let ranks: Vec<usize> = (1..=finite).collect();
    let mut corners = Vec::new();
    let mut below = 0.0;
    for rank in thinned(&ranks, MOST_STEPS) {
        let share = rank as f64 / values.len() as f64;
        corners.extend([(values[rank - 1], below), (values[rank - 1], share)]);
        below = share;
    }
    corners
}

fn table_of_quantiles(measured: &[Measured<'_>]) -> Grid {
    let mut header = titles(["latency within which"]);
    header.extend(measured.iter().map(|one| one.run.name.to_string()));
    let row = |percent: u32| {
        let p = f64::from(percent) / 100.0;
        let cells = measured.iter().map(|one| time(one.quantile(p)));
        std::iter::once(format!("{percent}% were answered")).chain(cells).collect()
    };
    let rows = [1, 5, 10, 25, 50, 75, 90, 95, 99].map(row).to_vec();
    Grid { title: "Quantiles of latency".to_string(), header, rows }
}

/// The gaps before each place of an answer.
struct Gaps {
    /// The token's place, from 2: the first has no gap before it.
    position: usize,
    median: f64,
    low: f64,
    high: f64,
}

/// The gaps before each place of a variant's answers; failed requests have none.
fn gaps_of(run: &Run<'_>) -> Vec<Gaps> {
    let requests: Vec<&Request> = run
        .rounds
        .iter()
        .flat_map(|round| samples::timed(round, run.name))
        .filter(|request| request.failure.is_none())
        .collect();
    let longest = requests.iter().map(|request| request.token_ns.len()).max().unwrap_or(0);
    let positions: Vec<usize> = (1..longest).collect();
    let at = |index: usize| {
        let gap = |request: &&Request| {
            let (before, now) = (request.token_ns.get(index - 1)?, request.token_ns.get(index)?);
            // A file may hold stamps that go back.
            Some(now.saturating_sub(*before) as f64 * 1e-9)
        };
        let mut values: Vec<f64> = requests.iter().filter_map(gap).collect();
        // Sorted once for three quantiles.
        values.sort_by(f64::total_cmp);
        let of = |p| stats::quantile(&values, p);
        Gaps { position: index + 1, median: of(0.5), low: of(0.1), high: of(0.9) }
    };
    thinned(&positions, MOST_POSITIONS).into_iter().map(at).collect()
}

fn gaps(measured: &[Measured<'_>]) -> Option<Chart> {
    let all: Vec<Vec<Gaps>> = measured.iter().map(|one| gaps_of(&one.run)).collect();
    let values = || all.iter().flatten().flat_map(|gap| [gap.low, gap.high]);
    let longest = all.iter().flatten().map(|gap| gap.position).max()?;
    let times = Times::of(values());
    let words: Vec<String> =
        measured.iter().zip(&all).map(|(one, gaps)| words_of_gaps(one.run.name, gaps)).collect();
    let mut notes = vec!["Line: median; area: P10 to P90; over all answers so long".to_string()];
    if longest > MOST_POSITIONS + 1 {
        let (shown, all) = (thousands(MOST_POSITIONS), thousands(longest - 1));
        notes.push(format!("{shown} of {all} positions shown, evenly chosen"));
    }
    Some(Chart {
        title: "Inter-token latency along the answer".to_string(),
        description: words.join("; "),
        legend: legend(measured),
        notes,
        x: Axis {
            title: "position of the token in the answer".to_string(),
            low: 2.0,
            high: (longest as f64).max(3.0),
            ticks: Ticks::Whole,
        },
        y: times.axis("time since the token before", values()),
        layers: layers_of_gaps(measured, &all, &times),
        shown: Vec::new(),
        table: table_of_gaps(measured, &all),
    })
}

/// The lines over all bands.
fn layers_of_gaps(measured: &[Measured<'_>], all: &[Vec<Gaps>], times: &Times) -> Vec<Layer> {
    let band = |gap: &Gaps| {
        let [low, high] = [gap.low, gap.high].map(|value| value * times.factor);
        (gap.position as f64, low, high)
    };
    let median = |gap: &Gaps| (gap.position as f64, gap.median * times.factor);
    let each = || measured.iter().map(|one| one.run.look).zip(all);
    let bands = each().map(|(look, gaps)| {
        let marks = Marks::Band(gaps.iter().map(band).collect());
        Layer { look, marks }
    });
    let lines = each().map(|(look, gaps)| {
        let marks = Marks::Line(gaps.iter().map(median).collect());
        Layer { look, marks }
    });
    bands.chain(lines).collect()
}

fn words_of_gaps(name: &str, gaps: &[Gaps]) -> String {
    let [Some(first), Some(last)] = [gaps.first(), gaps.last()] else {
        return format!("{name}: no answer of two tokens");
    };
    let at = |gap: &Gaps| format!("{} before token {}", time(gap.median), gap.position);
    format!("{name}: median {}, {}", at(first), at(last))
}

fn table_of_gaps(measured: &[Measured<'_>], all: &[Vec<Gaps>]) -> Grid {
    const MOST: usize = 20;
    let mut positions: Vec<usize> = all.iter().flatten().map(|gap| gap.position).collect();
    positions.sort_unstable();
    positions.dedup();
    let mut header = titles(["token"]);
    header.extend(measured.iter().map(|one| one.run.name.to_string()));
    let cell = |gaps: &Vec<Gaps>, position: usize| {
        let gap = gaps.iter().find(|gap| gap.position == position);
        gap.map_or("-".to_string(), |gap| {
            format!("{} ({} to {})", time(gap.median), time(gap.low), time(gap.high))
        })
    };
    let row = |position: usize| {
        let cells = all.iter().map(|gaps| cell(gaps, position));
        std::iter::once(position.to_string()).chain(cells).collect()
    };
    Grid {
        title: "Time since the token before: median (P10 to P90)".to_string(),
        header,
        rows: thinned(&positions, MOST).into_iter().map(row).collect(),
    }
}

fn over_rounds(measured: &[Measured<'_>]) -> Chart {
    let all = || measured.iter().flat_map(|one| one.by_round.iter().map(|(_, mean)| *mean));
    let times = Times::of(all());
    let stalled: Vec<Vec<u32>> = measured.iter().map(|one| stalled_rounds(&one.run)).collect();
    let each = || measured.iter().zip(&stalled);
    let named: Vec<String> = each()
        .flat_map(|(one, rounds)| rounds.iter().map(|r| format!("{} in round {r}", one.run.name)))
        .collect();
    let words = |one: &Measured<'_>| match (one.by_round.first(), one.by_round.last()) {
        (Some((from, first)), Some((to, last))) => {
            format!("{} in round {from}, {} in round {to}", time(*first), time(*last))
        }
        _ => "no round with an answer".to_string(),
    };
    let numbers = || measured.iter().flat_map(|one| one.run.rounds.iter().map(|r| r.round));
    let last = f64::from(numbers().max().unwrap_or(1));
    Chart {
        title: "Mean latency of each round".to_string(),
        description: of_each(measured, words),
        legend: legend(measured),
        notes: match named.is_empty() {
            true => Vec::new(),
            false => vec![format!("○ requests stalled: {}", some(&named, ", "))],
        },
        x: Axis { title: "round".to_string(), low: 0.5, high: last + 0.5, ticks: Ticks::Whole },
        y: times.axis("mean latency", all()),
        layers: each().flat_map(|(one, rounds)| layers_of_rounds(one, rounds, &times)).collect(),
        shown: Vec::new(),
        table: table_of_rounds(measured),
    }
}

/// The rounds in which a variant's requests stalled.
fn stalled_rounds(run: &Run<'_>) -> Vec<u32> {
    let own = stalls(run.part).into_iter().filter(|stall| stall.variant == run.name);
    own.map(|stall| stall.round).collect()
}

fn layers_of_rounds(one: &Measured<'_>, stalled: &[u32], times: &Times) -> [Layer; 3] {
    let place = |(round, mean): &(u32, f64)| (f64::from(*round), mean * times.factor);
    let places: Vec<Place> = one.by_round.iter().map(place).collect();
    let stalled = one.by_round.iter().filter(|(round, _)| stalled.contains(round)).map(place);
    [Marks::Line(places.clone()), Marks::Points(places), Marks::Rings(stalled.collect())]
        .map(|marks| Layer { look: one.run.look, marks })
}

fn table_of_rounds(measured: &[Measured<'_>]) -> Grid {
    let mut numbers: Vec<u32> =
        measured.iter().flat_map(|one| one.run.rounds.iter().map(|round| round.round)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut header = titles(["round"]);
    header.extend(measured.iter().map(|one| one.run.name.to_string()));
    let cell = |one: &Measured<'_>, number: u32| {
        optional(one.by_round.iter().find(|(round, _)| *round == number).map(|(_, mean)| *mean))
    };
    let row = |number: u32| {
        let cells = measured.iter().map(|one| cell(one, number));
        std::iter::once(number.to_string()).chain(cells).collect()
    };
    let rows = cut(numbers.into_iter().map(row).collect(), MOST_ROWS);
    Grid { title: "Mean latency by round".to_string(), header, rows }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{results, round};
    use super::*;

    fn marks(chart: &Chart) -> Vec<&Marks> {
        chart.layers.iter().map(|layer| &layer.marks).collect()
    }

    #[test]
    fn a_failed_request_is_infinite_and_the_curve_ends_below_all() {
        let values = [0.1, 0.2, 0.2, f64::INFINITY];
        let corners = steps(&values);
        assert_eq!(corners[..3], [(0.1, 0.0), (0.1, 0.25), (0.2, 0.25)]);
        assert_eq!(corners.last(), Some(&(0.2, 0.75)));
        assert_eq!(steps(&[f64::INFINITY; 3]), []);
    }

    #[test]
    fn a_curve_has_a_bounded_number_of_steps_with_both_ends() {
        let values: Vec<f64> = (1..=100_000).map(f64::from).collect();
        let corners = steps(&values);
        assert_eq!(corners.len(), 2 * MOST_STEPS);
        assert_eq!((corners[0], corners[2 * MOST_STEPS - 1]), ((1.0, 0.0), (1e5, 1.0)));
    }

    #[test]
    fn every_chart_says_what_failed() {
        let rounds = [round(1, &[Some(100.0), None]), round(2, &[Some(200.0), Some(300.0)])];
        let charts = charts(&results(&rounds));
        let [dots, curve, gaps, rounds] = &charts[..] else { panic!("{}", charts.len()) };
        assert!(
            dots.description.starts_with("base: 4 requests, 1 failed, median 250 ms, mean 175 ms")
        );
        let crosses = marks(dots).into_iter().filter_map(|marks| match marks {
            Marks::Failed(places) => Some(places.len()),
            _ => None,
        });
        assert_eq!(crosses.collect::<Vec<_>>(), [1, 1]);
        assert_eq!(curve.table.rows[8][1], "∞ (failed requests)");
        let Marks::Points(marked) = marks(curve)[1] else { panic!() };
        assert_eq!(marked[..], [(250.0, 50.0)], "the P99 is infinite and has no mark");
        let Marks::Line(line) = marks(curve)[0] else { panic!() };
        let last = line.last().map(|(value, share)| (value.round(), *share));
        assert_eq!(last, Some((300.0, 75.0)));
        assert_eq!(
            gaps.table.rows[0],
            ["2", "50.0 ms (30.0 ms to 70.0 ms)", "50.0 ms (30.0 ms to 70.0 ms)"]
        );
        let Marks::Points(means) = marks(rounds)[1] else { panic!() };
        let means: Vec<f64> = means.iter().map(|(_, mean)| mean.round()).collect();
        assert_eq!(means, [100.0, 250.0]);
    }

    #[test]
    fn many_requests_are_thinned_and_the_page_says_so() {
        let many: Vec<Option<f64>> = (0..5_000).map(|n| Some(100.0 + f64::from(n))).collect();
        let chart = &charts(&results(&[round(1, &many)]))[0];
        let Marks::Cloud(dots) = marks(chart)[0] else { panic!() };
        assert_eq!(dots.len(), MOST_DOTS / 2);
        let ends = (dots[0].0, dots[dots.len() - 1].0);
        assert!((ends.0 - 0.1).abs() < 1e-9 && (ends.1 - 5.099).abs() < 1e-9, "{ends:?}");
        assert!(chart.notes[1].starts_with("2,000 of 10,000 requests shown"), "{:?}", chart.notes);
    }

    #[test]
    fn a_stalled_round_has_a_ring() {
        let rounds: Vec<_> =
            (1..=5).map(|n| round(n, &[Some(if n == 4 { 900.0 } else { 100.0 })])).collect();
        let charts = charts(&results(&rounds));
        let chart = charts.last().unwrap();
        let Marks::Rings(rings) = marks(chart)[2] else { panic!() };
        assert_eq!(rings[..], [(4.0, 900.0)]);
        assert_eq!(chart.notes, ["○ requests stalled: base in round 4, now in round 4"]);
    }

    #[test]
    fn nothing_measured_has_no_chart() {
        assert_eq!(charts(&results(&[])), []);
    }
}
