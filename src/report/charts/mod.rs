//! Owns the charts of a report as data: points in the units of their axes, the words that say the same, and
//! the tables behind them. What draws them computes no figure.

mod accuracy;
mod history;
mod latency;
mod load;

pub use history::with_history;

use super::Grid;
use crate::record::{Part, Results, Round};

/// Most rows of a table behind a chart, so that a page stays readable.
const MOST_ROWS: usize = 100;

/// The charts of a report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Charts {
    /// The charts in the order of reading.
    pub charts: Vec<Chart>,
    /// Why some are not there.
    pub notes: Vec<String>,
}

/// One chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// The title.
    pub title: String,
    /// What it shows, with the main figures: the text alternative.
    pub description: String,
    /// The variants, each with its look.
    pub legend: Vec<(Look, String)>,
    /// What its signs mean, and what is left out.
    pub notes: Vec<String>,
    /// From left to right.
    pub x: Axis,
    /// From bottom to top; rows stand from top to bottom.
    pub y: Axis,
    /// What is drawn, the lowest first.
    pub layers: Vec<Layer>,
    /// Tables that a reader sees at once.
    pub shown: Vec<Grid>,
    /// The numbers behind the chart.
    pub table: Grid,
}

/// The number of a variant in the order of the report, from 0: it decides colour, shape and dashes, the same
/// in every chart.
pub type Look = usize;

/// An axis with the range that it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it shows, with the unit.
    pub title: String,
    /// The end at the left or at the bottom.
    pub low: f64,
    /// The other end.
    pub high: f64,
    /// What stands along it.
    pub ticks: Ticks,
}

/// What stands along an axis.
#[derive(Debug, Clone, PartialEq)]
pub enum Ticks {
    /// Round numbers.
    Linear,
    /// Round numbers on a logarithmic scale.
    Log,
    /// Whole numbers.
    Whole,
    /// These words at these places.
    Named(Vec<(f64, String)>),
    /// One row for each of these words; row `i` reaches from `i` to `i + 1`, its label stands at its upper
    /// edge, and so many lanes lie below the label.
    Rows(Vec<String>, usize),
}

/// Marks of one variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Whose they are.
    pub look: Look,
    /// The marks.
    pub marks: Marks,
}

/// A place on both axes.
pub type Place = (f64, f64);

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Marks {
    /// Many faint dots.
    Cloud(Vec<Place>),
    /// Dots in the variant's shape.
    Points(Vec<Place>),
    /// A line through these places.
    Line(Vec<Place>),
    /// The area between two lines: x, low, high.
    Band(Vec<(f64, f64, f64)>),
    /// Bars from the left edge to each place.
    Bars(Vec<Place>),
    /// A short upright line.
    Median(Place),
    /// A value with the ends of its interval, at a height.
    Estimate {
        /// The value along x.
        value: f64,
        /// The ends of its interval along x, where it has one.
        interval: Option<(f64, f64)>,
        /// The height.
        y: f64,
    },
    /// Crosses for what failed.
    Failed(Vec<Place>),
    /// Rings around what stands out.
    Rings(Vec<Place>),
}

impl Axis {
    /// An axis that holds these values, with some room; without any it has no ticks. It begins at zero where
    /// that costs less than half of it, and is logarithmic where the values differ by more than ten times.
    fn over(title: &str, values: impl Iterator<Item = f64>) -> Axis {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let title = title.to_string();
        if low > high {
            return Axis { title, low: 0.0, high: 1.0, ticks: Ticks::Named(Vec::new()) };
        }
        if low > 0.0 && high / low > 10.0 {
            let title = format!("{title}, logarithmic");
            return Axis { title, low: low / 1.1, high: high * 1.1, ticks: Ticks::Log };
        }
        let room = match (high - low) * 0.06 {
            0.0 if high == 0.0 => 1.0,
            0.0 => high.abs() * 0.06,
            room => room,
        };
        let low = if (0.0..=high * 0.5).contains(&low) { 0.0 } else { low - room };
        Axis { title, low, high: high + room, ticks: Ticks::Linear }
    }

    /// The same with room at the right for what has no value; returns where to put it.
    fn with_room_for_failures(mut self) -> (Axis, f64) {
        const ROOM: f64 = 0.08;
        let end = self.high;
        let place = match self.ticks {
            Ticks::Log => {
                let times = (end / self.low).powf(ROOM);
                self.high = end * times;
                end * times.sqrt()
            }
            _ => {
                let room = (end - self.low) * ROOM;
                self.high = end + room;
                end + room / 2.0
            }
        };
        (self, place)
    }

    /// One row for each label, with so many lanes.
    fn rows(labels: Vec<String>, lanes: usize) -> Axis {
        let high = labels.len() as f64;
        Axis { title: String::new(), low: 0.0, high, ticks: Ticks::Rows(labels, lanes) }
    }
}

/// The middle of a lane of a row; `place` moves within the lane, from 0 to 1.
fn lane(row: usize, lane: usize, lanes: usize, place: f64) -> f64 {
    const LABEL: f64 = 0.4;
    const FOOT: f64 = 0.06;
    let within = (lane as f64 + place) / lanes.max(1) as f64;
    row as f64 + LABEL + within * (1.0 - LABEL - FOOT)
}

/// The charts of what was measured, without the history, which needs the stored sessions.
pub(super) fn of_results(results: &Results, flips: &[Grid]) -> Charts {
    let mut charts = latency::charts(results);
    charts.extend(load::charts(results));
    charts.extend(accuracy::chart(results, flips));
    Charts { charts, notes: Vec::new() }
}

/// A variant with the part that it was measured in and that part's counted rounds.
struct Run<'a> {
    look: Look,
    name: &'a str,
    part: &'a Part,
    rounds: Vec<&'a Round>,
}

/// The variants that have counted rounds.
fn runs(results: &Results) -> Vec<Run<'_>> {
    let run = |(look, name)| {
        let part = results.part_of(name)?;
        Some(Run { look, name, part, rounds: part.complete() })
    };
    let named = results.variants.iter().map(String::as_str).enumerate();
    named.filter_map(run).filter(|run| !run.rounds.is_empty()).collect()
}

/// At most so many of some items, evenly chosen, with the first and the last.
fn thinned<T: Copy>(items: &[T], most: usize) -> Vec<T> {
    let most = most.max(2);
    if items.len() <= most {
        return items.to_vec();
    }
    (0..most).map(|index| items[index * (items.len() - 1) / (most - 1)]).collect()
}

/// A count as people write it: `100,000`.
fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Rows of a table, cut with a word on what is left out.
fn cut(mut rows: Vec<Vec<String>>, most: usize) -> Vec<Vec<String>> {
    let columns = rows.first().map_or(0, Vec::len);
    if rows.len() > most && columns > 0 {
        let mut last = vec![String::new(); columns];
        last[0] = format!("and {} more", thousands(rows.len() - most));
        rows.truncate(most);
        rows.push(last);
    }
    rows
}

fn titles<const N: usize>(titles: [&str; N]) -> Vec<String> {
    titles.map(str::to_string).to_vec()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::metric::LATENCY;
    use crate::record::Judgement;
    use serde_json::{Value, json};

    /// Requests of `base` and `now` in a round, with these latencies in milliseconds; a request without one
    /// failed.
    pub fn round(number: u32, latencies: &[Option<f64>]) -> Round {
        let request = |variant: &str, (task, latency): (usize, &Option<f64>)| {
            let stamps = latency.map_or(json!([]), |ms| {
                let last = (ms * 1e6) as u64;
                json!([last / 4, last / 2, last])
            });
            let failure = match latency {
                Some(_) => Value::Null,
                None => json!({ "class": "error", "message": "test" }),
            };
            json!({
                "round": number, "slot": 0, "variant": variant, "task": format!("t{task}"),
                "attempt": 1, "phase": "timed", "start_ns": 0, "token_ns": stamps,
                "prompt_tokens": 8, "tokens": [], "failure": failure,
            })
        };
        let of = |variant| latencies.iter().enumerate().map(move |one| request(variant, one));
        let requests: Vec<Value> = of("base").chain(of("now")).collect();
        let round = json!({
            "round": number, "complete": true, "workers": [], "requests": requests,
        });
        serde_json::from_value(round).unwrap()
    }

    /// What `base` and `now` did in some rounds, not judged.
    pub fn results(rounds: &[Round]) -> Results {
        let variant = json!({
            "engine": "scripted", "model": "", "model_sha256": "0", "threads": 1,
            "identity": {},
        });
        let unknown = json!({ "unavailable": "a test" });
        let results = json!({
            "format": 2, "reference": "base", "variants": ["base", "now"], "summaries": {},
            "parts": [{
                "ended": "", "rounds": rounds,
                "header": {
                    "session": "s", "started": "2026-01-01T00:00:00Z",
                    "provenance": { "perfgate": "0", "config_sha256": "" },
                    "environment": {
                        "machine": {
                            "cpu": "c", "instruction_sets": [], "usable_cpus": 2, "arch": "x86_64",
                            "os": "linux", "memory_gib": 16,
                        },
                        "kernel": "", "governor": unknown, "energy": unknown, "throttling": unknown,
                        "memory_bytes": 0,
                    },
                    "plan": {
                        "variants": ["base", "now"], "reference": "base", "rounds": 1, "warmup": 0,
                        "tasks": ["t0", "t1"], "gen_tokens": 3, "seed": 0, "workload_sha256": "w",
                    },
                    "variants": { "base": variant, "now": variant },
                },
            }],
        });
        serde_json::from_value(results).unwrap()
    }

    /// The same, judged by one rule on latency.
    pub fn judged(mut results: Results) -> Results {
        let judgement = json!({
            "policies": {
                "inconclusive": "inform", "no-baseline": "inform", "incomparable": "inform",
                "unavailable": "inform",
            },
            "false_alarms": 0.05,
            "verdicts": [{
                "verdict": "pass",
                "rule": {
                    "id": "r", "line": 1, "metric": LATENCY, "statistic": "mean", "variant": "now",
                    "against": "absolute", "limit": { "max": 1.0 }, "evidence": "regression",
                    "severity": "gate",
                },
            }],
        });
        results.judgement = Some(serde_json::from_value::<Judgement>(judgement).unwrap());
        results
    }

    #[test]
    fn thinning_keeps_both_ends_and_is_even() {
        let items: Vec<usize> = (0..100_000).collect();
        let few = thinned(&items, 5);
        assert_eq!(few, [0, 24_999, 49_999, 74_999, 99_999]);
        assert_eq!(thinned(&items[..3], 5), [0, 1, 2]);
        assert_eq!((thousands(7), thousands(2_000), thousands(1_234_567)), {
            ("7".to_string(), "2,000".to_string(), "1,234,567".to_string())
        });
    }

    #[test]
    fn axes_hold_their_values() {
        let axis = Axis::over("t", [10.0, 300.0].into_iter());
        assert!(axis.ticks == Ticks::Log && axis.low < 10.0 && axis.high > 300.0, "{axis:?}");
        let axis = Axis::over("t", [4.0, 10.0, f64::INFINITY].into_iter());
        assert_eq!((axis.low, &axis.ticks), (0.0, &Ticks::Linear));
        assert!(Axis::over("t", [9.0, 10.0].into_iter()).low > 8.0);
        let one = Axis::over("t", [5.0].into_iter());
        assert!(one.low < 5.0 && one.high > 5.0);
        assert_eq!(Axis::over("t", std::iter::empty()).ticks, Ticks::Named(Vec::new()));
    }

    #[test]
    fn a_table_that_is_cut_says_so() {
        let rows: Vec<Vec<String>> = (0..5).map(|n| vec![n.to_string(), "x".into()]).collect();
        let few = cut(rows.clone(), 3);
        assert_eq!(few[3], ["and 2 more", ""]);
        assert_eq!(cut(rows, 5).len(), 5);
    }
}
