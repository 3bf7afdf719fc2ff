//! Owns the list of metrics: their ids, units, better direction, kind, declared determinism and the
//! statistics and limits that a rule gets when it names none.
//!
//! Everything that is true of a metric whatever was measured stands here; how its values are read
//! out of a record stands in [`crate::verdict::samples`].

use serde::{Deserialize, Serialize};
use std::fmt;

/// A quantity that perfgate measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Generated tokens after the first over the time after the first, tokens per second.
    Throughput,
    /// Request start to last token, seconds.
    Latency,
    /// Time to first token: request start to first token, seconds.
    Ttft,
    /// Inter-token latency: the gaps between tokens after the first, seconds.
    Itl,
    /// Largest resident set of the worker process in a round (`VmHWM`), bytes.
    Memory,
    /// Anonymous resident memory after the round's last request (`RssAnon`), bytes.
    MemoryAnon,
    /// Resident memory backed by files after the round's last request (`RssFile`), bytes.
    MemoryFile,
    /// Spawn of the worker process to its first token, seconds.
    ColdStart,
    /// Spawn of the worker process to its handshake, seconds.
    SpawnTime,
    /// Reading and compiling the model inside the worker, seconds.
    LoadTime,
    /// Time to first token of the worker's first request, seconds.
    ColdTtft,
    /// Share of the timed requests that failed, a proportion.
    FailureRate,
    /// Share of the graded tasks that were answered right, a proportion.
    Accuracy,
    /// Share of the graded tasks without a usable answer, a proportion.
    TaskFailureRate,
    /// Package energy of the timed requests over the tokens that they generated, joules per token.
    EnergyPerToken,
    /// Tokens per second over watts of package power: its reciprocal, tokens per joule.
    TokensPerSecondPerWatt,
}

/// Which direction is an improvement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Larger values are better, as for throughput.
    Higher,
    /// Smaller values are better, as for latency.
    Lower,
}

/// What one value of a metric belongs to, which decides how it is paired and reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One value per request, paired by task within a round.
    PerRequest,
    /// Several values per request (one per gap); a request's value is their mean.
    PerToken,
    /// One value per round and variant.
    PerRound,
    /// Hits over the timed requests.
    Proportion,
    /// Hits over the graded tasks of the quality pass, paired by task.
    TaskProportion,
}

/// The physical unit in which values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Tokens per second.
    TokensPerSecond,
    /// Bytes.
    Bytes,
    /// A share between 0 and 1.
    Proportion,
    /// Tokens per joule, which is tokens per second per watt.
    TokensPerJoule,
    /// Joules per token.
    JoulesPerToken,
    /// A quotient of two values of one unit.
    Ratio,
}

/// How a round's values (or all requests) are reduced to the number that a rule judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Arithmetic mean (of log ratios where two variants are compared).
    Mean,
    /// 50th percentile.
    Median,
    /// 90th percentile.
    P90,
    /// 99th percentile.
    P99,
    /// Share of the requests or tasks, for proportions.
    Rate,
    /// Coefficient of variation: the standard deviation over the mean of a round's values.
    Cv,
    /// P99 over P50.
    #[serde(rename = "p99_over_p50")]
    P99OverP50,
}

impl Statistic {
    /// All statistics, in the order of the documentation.
    pub const ALL: [Statistic; 7] = [
        Statistic::Mean,
        Statistic::Median,
        Statistic::P90,
        Statistic::P99,
        Statistic::Rate,
        Statistic::Cv,
        Statistic::P99OverP50,
    ];

    /// The id used in `thresholds.toml` and in JSON.
    pub fn id(self) -> &'static str {
        match self {
            Statistic::Mean => "mean",
            Statistic::Median => "median",
            Statistic::P90 => "p90",
            Statistic::P99 => "p99",
            Statistic::Rate => "rate",
            Statistic::Cv => "cv",
            Statistic::P99OverP50 => "p99_over_p50",
        }
    }

    /// Finds a statistic by its id; `p50` is another name for `median`.
    pub fn from_id(id: &str) -> Option<Statistic> {
        if id == "p50" {
            return Some(Statistic::Median);
        }
        Statistic::ALL.into_iter().find(|s| s.id() == id)
    }

    /// The probability of the quantile, for the statistics that are one.
    pub fn quantile(self) -> Option<f64> {
        match self {
            Statistic::Median => Some(0.5),
            Statistic::P90 => Some(0.9),
            Statistic::P99 => Some(0.99),
            Statistic::Mean | Statistic::Rate | Statistic::Cv | Statistic::P99OverP50 => None,
        }
    }

    /// Whether it is a tail of so few requests that no interval for a change of it holds its level.
    pub fn is_far_tail(self) -> bool {
        matches!(self, Statistic::P99 | Statistic::P99OverP50)
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// The fixed facts about one metric.
#[derive(Debug, Clone, Copy)]
pub struct MetricInfo {
    /// The metric described.
    pub metric: Metric,
    /// The id used in files and on the command line.
    pub id: &'static str,
    /// The name used in tables.
    pub title: &'static str,
    /// The unit of stored values.
    pub unit: Unit,
    /// Which direction is an improvement.
    pub better: Better,
    /// What one value belongs to.
    pub kind: Kind,
    /// Whether the same inputs must give the same value. Declared, never inferred from zero variance.
    pub deterministic: bool,
    /// Whether it depends on the machine's mood, so that sessions differ by more than their rounds.
    pub varies_by_session: bool,
    /// The statistic of a rule that names none.
    pub default_statistic: Statistic,
    /// The allowed relative change to the worse of a rule that names no limit, as a fraction.
    pub default_limit: f64,
}

/// Every metric, in the order of the report's table.
pub const METRICS: [MetricInfo; 16] = [
    graded(Metric::Accuracy, "accuracy", "accuracy", Better::Higher),
    timing(Metric::Throughput, "throughput", "throughput", Unit::TokensPerSecond, Better::Higher),
    per_round(
        Metric::TokensPerSecondPerWatt,
        "tokens_per_second_per_watt",
        "tokens/s per watt",
        Unit::TokensPerJoule,
        Better::Higher,
    ),
    per_round(
        Metric::EnergyPerToken,
        "energy_per_token",
        "energy per token",
        Unit::JoulesPerToken,
        Better::Lower,
    ),
    timing(Metric::Latency, "latency", "latency", Unit::Seconds, Better::Lower),
    timing(Metric::Ttft, "ttft", "TTFT", Unit::Seconds, Better::Lower),
    MetricInfo {
        kind: Kind::PerToken,
        ..timing(Metric::Itl, "itl", "inter-token latency", Unit::Seconds, Better::Lower)
    },
    memory(Metric::Memory, "memory", "peak memory"),
    memory(Metric::MemoryAnon, "memory_anon", "memory, anonymous"),
    memory(Metric::MemoryFile, "memory_file", "memory, files"),
    start(Metric::ColdStart, "cold_start", "cold start"),
    start(Metric::SpawnTime, "spawn_time", "cold start: spawn"),
    start(Metric::LoadTime, "load_time", "cold start: load"),
    start(Metric::ColdTtft, "cold_ttft", "cold start: TTFT"),
    MetricInfo {
        kind: Kind::Proportion,
        varies_by_session: false,
        default_statistic: Statistic::Rate,
        default_limit: 0.001,
        ..timing(
            Metric::FailureRate,
            "failure_rate",
            "failure rate",
            Unit::Proportion,
            Better::Lower,
        )
    },
    graded(Metric::TaskFailureRate, "task_failure_rate", "task failure rate", Better::Lower),
];

/// A share of the graded tasks.
const fn graded(
    metric: Metric,
    id: &'static str,
    title: &'static str,
    better: Better,
) -> MetricInfo {
    MetricInfo {
        kind: Kind::TaskProportion,
        deterministic: true,
        varies_by_session: false,
        default_statistic: Statistic::Rate,
        default_limit: 0.01,
        ..timing(metric, id, title, Unit::Proportion, better)
    }
}

/// A metric with one value per round.
const fn per_round(
    metric: Metric,
    id: &'static str,
    title: &'static str,
    unit: Unit,
    better: Better,
) -> MetricInfo {
    MetricInfo { kind: Kind::PerRound, ..timing(metric, id, title, unit, better) }
}

/// A size of the worker process.
const fn memory(metric: Metric, id: &'static str, title: &'static str) -> MetricInfo {
    MetricInfo {
        varies_by_session: false,
        ..per_round(metric, id, title, Unit::Bytes, Better::Lower)
    }
}

/// A part of the worker's start.
const fn start(metric: Metric, id: &'static str, title: &'static str) -> MetricInfo {
    MetricInfo { default_limit: 0.10, ..per_round(metric, id, title, Unit::Seconds, Better::Lower) }
}

/// A time-like metric with the usual defaults, from which the others are varied.
const fn timing(
    metric: Metric,
    id: &'static str,
    title: &'static str,
    unit: Unit,
    better: Better,
) -> MetricInfo {
    MetricInfo {
        metric,
        id,
        title,
        unit,
        better,
        kind: Kind::PerRequest,
        deterministic: false,
        varies_by_session: true,
        default_statistic: Statistic::Mean,
        default_limit: 0.05,
    }
}

impl Metric {
    /// The facts about this metric.
    pub fn info(self) -> &'static MetricInfo {
        METRICS
            .iter()
            .find(|m| m.metric == self)
            .expect("every metric stands in METRICS; a test checks it")
    }

    /// The id used in files and on the command line.
    pub fn id(self) -> &'static str {
        self.info().id
    }

    /// Finds a metric by its id.
    pub fn from_id(id: &str) -> Option<Metric> {
        METRICS.iter().find(|m| m.id == id).map(|m| m.metric)
    }

    /// Whether `statistic` can be asked of this metric.
    pub fn allows(self, statistic: Statistic) -> bool {
        match (self.info().kind, statistic) {
            (Kind::Proportion | Kind::TaskProportion, _) => statistic == Statistic::Rate,
            (Kind::PerRound, _) => statistic == Statistic::Mean,
            (Kind::PerRequest | Kind::PerToken, Statistic::Rate) => false,
            // The far tail of a rate is its best value.
            (_, Statistic::P99OverP50) => self.info().better == Better::Lower,
            (Kind::PerRequest | Kind::PerToken, _) => true,
        }
    }

    /// The unit of a statistic of this metric: spreads have one of their own.
    pub fn unit(self, statistic: Statistic) -> Unit {
        match statistic {
            Statistic::Cv => Unit::Proportion,
            Statistic::P99OverP50 => Unit::Ratio,
            _ => self.info().unit,
        }
    }

    /// Which direction of a statistic is an improvement: less spread always is.
    pub fn better(self, statistic: Statistic) -> Better {
        match statistic {
            Statistic::Cv | Statistic::P99OverP50 => Better::Lower,
            _ => self.info().better,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl Unit {
    /// A value in the words of a table: `47.2 tok/s`, `812 ms`, `1.31 s`, `284 MiB`, `0.4%`.
    pub fn format(self, value: f64) -> String {
        if value.is_infinite() {
            return "∞ (failed requests)".to_string();
        }
        match self {
            Unit::Seconds if value.abs() < 0.0995 => format!("{:.1} ms", value * 1e3),
            Unit::Seconds if value.abs() < 0.9995 => format!("{:.0} ms", value * 1e3),
            Unit::Seconds => format!("{value:.2} s"),
            Unit::TokensPerSecond => format!("{value:.1} tok/s"),
            Unit::Bytes if value.abs() < 1024.0 * 1024.0 * 1024.0 => {
                format!("{:.0} MiB", value / (1024.0 * 1024.0))
            }
            Unit::Bytes => format!("{:.2} GiB", value / (1024.0 * 1024.0 * 1024.0)),
            Unit::Proportion => format!("{}%", trim_zeros(format!("{:.2}", value * 100.0))),
            Unit::TokensPerJoule => format!("{value:.2} tok/J"),
            Unit::JoulesPerToken => format!("{value:.3} J"),
            Unit::Ratio => format!("{value:.3}×"),
        }
    }

    /// The suffixes that a limit in this unit may carry, with their factor to the stored unit.
    pub fn suffixes(self) -> &'static [(&'static str, f64)] {
        match self {
            Unit::Seconds => &[("ms", 1e-3), ("us", 1e-6), ("s", 1.0)],
            Unit::TokensPerSecond => &[("tok/s", 1.0)],
            Unit::Bytes => &[
                ("KiB", 1024.0),
                ("MiB", 1048576.0),
                ("GiB", 1073741824.0),
                ("kB", 1e3),
                ("MB", 1e6),
                ("GB", 1e9),
                ("B", 1.0),
            ],
            Unit::Proportion => &[("%", 0.01)],
            Unit::TokensPerJoule => &[("tok/J", 1.0)],
            Unit::JoulesPerToken => &[("mJ", 1e-3), ("J", 1.0)],
            Unit::Ratio => &[("x", 1.0), ("×", 1.0)],
        }
    }
}

/// Drops the zeros that say nothing behind a decimal point.
fn trim_zeros(text: String) -> String {
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_found_again() {
        for info in &METRICS {
            assert_eq!(Metric::from_id(info.id), Some(info.metric));
            assert_eq!(info.metric.info().id, info.id);
            assert!(info.metric.allows(info.default_statistic), "{}", info.id);
        }
        let json = serde_json::to_string(&Metric::ColdStart).unwrap();
        assert_eq!(json, "\"cold_start\"", "JSON uses the id");
    }

    #[test]
    fn values_read_as_people_write_them() {
        let cases = [
            (Unit::Seconds, 0.0123, "12.3 ms"),
            (Unit::Seconds, 0.812, "812 ms"),
            (Unit::Seconds, 1.305, "1.30 s"),
            (Unit::Bytes, 300.0 * 1048576.0, "300 MiB"),
            (Unit::Bytes, 1.5 * 1073741824.0, "1.50 GiB"),
            (Unit::Proportion, 0.004, "0.4%"),
            (Unit::Proportion, 0.0, "0%"),
            (Unit::Proportion, 1.0, "100%"),
            (Unit::TokensPerSecond, 47.24, "47.2 tok/s"),
        ];
        for (unit, value, text) in cases {
            assert_eq!(unit.format(value), text);
        }
    }
}
