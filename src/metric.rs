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
    /// Spawn of the worker process to its first token, seconds.
    ColdStart,
    /// Reading and compiling the model inside the worker, seconds.
    LoadTime,
    /// Share of the requests that failed, a proportion.
    FailureRate,
    /// Throughput per watt of package power, tokens per joule.
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
    /// Successes and failures over requests.
    Proportion,
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
    /// Share of the requests, for proportions.
    Rate,
}

impl Statistic {
    /// All statistics, in the order of the documentation.
    pub const ALL: [Statistic; 5] =
        [Statistic::Mean, Statistic::Median, Statistic::P90, Statistic::P99, Statistic::Rate];

    /// The id used in `thresholds.toml` and in JSON.
    pub fn id(self) -> &'static str {
        match self {
            Statistic::Mean => "mean",
            Statistic::Median => "median",
            Statistic::P90 => "p90",
            Statistic::P99 => "p99",
            Statistic::Rate => "rate",
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
            Statistic::Mean | Statistic::Rate => None,
        }
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
    /// The statistic of a rule that names none.
    pub default_statistic: Statistic,
    /// The allowed relative change to the worse of a rule that names no limit, as a fraction.
    pub default_limit: f64,
}

/// Every metric, in the order of the report's table.
pub const METRICS: [MetricInfo; 9] = [
    timing(Metric::Throughput, "throughput", "throughput", Unit::TokensPerSecond, Better::Higher),
    MetricInfo {
        kind: Kind::PerRound,
        ..timing(
            Metric::TokensPerSecondPerWatt,
            "tokens_per_second_per_watt",
            "tokens/s per watt",
            Unit::TokensPerJoule,
            Better::Higher,
        )
    },
    timing(Metric::Latency, "latency", "latency", Unit::Seconds, Better::Lower),
    timing(Metric::Ttft, "ttft", "TTFT", Unit::Seconds, Better::Lower),
    MetricInfo {
        kind: Kind::PerToken,
        ..timing(Metric::Itl, "itl", "inter-token latency", Unit::Seconds, Better::Lower)
    },
    MetricInfo {
        kind: Kind::PerRound,
        ..timing(Metric::Memory, "memory", "peak memory", Unit::Bytes, Better::Lower)
    },
    MetricInfo {
        kind: Kind::PerRound,
        default_limit: 0.10,
        ..timing(Metric::ColdStart, "cold_start", "cold start", Unit::Seconds, Better::Lower)
    },
    MetricInfo {
        kind: Kind::PerRound,
        default_limit: 0.10,
        ..timing(Metric::LoadTime, "load_time", "model load", Unit::Seconds, Better::Lower)
    },
    MetricInfo {
        kind: Kind::Proportion,
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
];

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
        match self.info().kind {
            Kind::Proportion => statistic == Statistic::Rate,
            Kind::PerRound => statistic == Statistic::Mean,
            Kind::PerRequest | Kind::PerToken => statistic != Statistic::Rate,
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
