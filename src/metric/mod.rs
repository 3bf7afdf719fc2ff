//! Owns what is true of a metric whatever was measured: its id, unit, better direction, declared
//! determinism, how its values are read out of a record, the words of its changes, and the statistic
//! and limit that a rule gets when it names none.
//!
//! Each metric (or family of them) has one file here and one line in [`METRICS`].

mod accuracy;
mod energy;
mod failure_rate;
mod fidelity;
mod itl;
mod latency;
mod memory;
mod model_size;
mod output_rate;
mod start;
mod throughput;
mod ttft;

use crate::record::{Grade, Phase, Request, Round, Taken, WorkerRun};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

pub use accuracy::{ACCURACY, TASK_FAILURE_RATE};
pub use energy::{NoEnergy, request_joules};
pub use failure_rate::FAILURE_RATE;
pub use fidelity::{KL_DIVERGENCE, PERPLEXITY, TOP1_AGREEMENT};
pub use latency::LATENCY;
pub use memory::{MEMORY, MEMORY_LOAD_PEAK, MEMORY_STEADY};
pub use model_size::MODEL_SIZE;
pub use throughput::THROUGHPUT;

/// Every metric, in the order of the report's table.
pub const METRICS: &[Metric] = &[
    accuracy::ACCURACY,
    throughput::THROUGHPUT,
    output_rate::OUTPUT_RATE,
    energy::TOKENS_PER_SECOND_PER_WATT,
    energy::ENERGY_PER_TOKEN,
    latency::LATENCY,
    ttft::TTFT,
    itl::ITL,
    memory::MEMORY,
    memory::MEMORY_ANON,
    memory::MEMORY_FILE,
    memory::MEMORY_LOAD_PEAK,
    memory::MEMORY_LOADED,
    memory::MEMORY_SERVING_PEAK,
    memory::MEMORY_STEADY,
    memory::KV_CACHE,
    model_size::MODEL_SIZE,
    start::COLD_START,
    start::SPAWN_TIME,
    start::LOAD_TIME,
    start::LIBRARY_TIME,
    start::READ_TIME,
    start::COMPILE_TIME,
    start::COLD_TTFT,
    failure_rate::FAILURE_RATE,
    accuracy::TASK_FAILURE_RATE,
    fidelity::KL_DIVERGENCE,
    fidelity::TOP1_AGREEMENT,
    fidelity::PERPLEXITY,
];

/// A quantity that perfgate measures: a reference to its facts. Two are equal if their ids are.
#[derive(Clone, Copy)]
pub struct Metric(&'static MetricInfo);

/// Which direction is an improvement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Larger values are better, as for throughput.
    Higher,
    /// Smaller values are better, as for latency.
    Lower,
}

/// What one value of a metric belongs to, which decides how it is paired and reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Sums over the positions of forced documents, paired by document with the reference's.
    PerDocument,
}

/// How a metric's values are read out of a record.
#[derive(Debug, Clone, Copy)]
pub enum Read {
    /// The value of a request that succeeded, in the metric's unit.
    Request(fn(&Stamps) -> f64),
    /// The values within a request that succeeded: the gaps between its tokens.
    Tokens,
    /// The value of a variant in a round; infinite for what failed, `None` for what is not known.
    Round(fn(&VariantRound<'_>) -> Option<f64>),
    /// Whether a timed request counts against the variant.
    Requests(fn(&Request) -> bool),
    /// Whether a grade counts against the variant.
    Answers(fn(Grade) -> bool),
    /// What of a forced document.
    Documents(Of),
}

/// What a metric of forced documents is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The divergence at each position.
    Divergence,
    /// Whether both sides have the same most probable token.
    Agreement,
    /// The likelihood of the true next token.
    Likelihood,
}

/// When the tokens of a request came, seconds since its start.
#[derive(Debug, Clone, Copy)]
pub struct Stamps {
    /// The first token.
    pub first: f64,
    /// The last token.
    pub last: f64,
    /// The gaps between tokens: one less than tokens.
    pub gaps: f64,
}

/// What one variant left in one round.
#[derive(Debug, Clone, Copy)]
pub struct VariantRound<'a> {
    /// The round.
    pub round: &'a Round,
    /// The variant's name.
    pub variant: &'a str,
}

impl<'a> VariantRound<'a> {
    /// Its workers, in the order of their spawns.
    pub fn workers(self) -> impl Iterator<Item = &'a WorkerRun> {
        self.round.workers.iter().filter(move |worker| worker.variant == self.variant)
    }

    /// Whether its start made the compiled model that later starts take from a folder: such a start is another thing
    /// than theirs, and no figure mixes both.
    pub fn made_model_cache(self) -> bool {
        let mut first = self.workers().filter(|worker| worker.attempt == 1);
        let cache = first.find_map(|worker| worker.model_cache);
        cache.is_some_and(|cache| cache.taken == Taken::Made)
    }

    /// Its requests of a phase.
    pub fn requests(self, phase: Phase) -> impl Iterator<Item = &'a Request> {
        let of_phase = move |r: &&Request| r.phase == phase && r.variant == self.variant;
        self.round.requests.iter().filter(of_phase)
    }
}

/// What a machine must have for a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing special.
    Nothing,
    /// Energy counters.
    Energy,
    /// Access to the accounts of processes.
    ProcessMemory,
    /// An engine that tells the steps of its load.
    LoadPhases,
    /// A model whose files tell the shape of its key-value cache.
    ModelShape,
}

/// The physical unit in which values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Natural units of information.
    Nats,
    /// A number without a unit.
    Number,
}

/// How a round's values (or all requests) are reduced to the number that a rule judges.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
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

    /// Whether it is a tail of so few requests that an interval for a change of it takes many.
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
    /// The id used in files and on the command line.
    pub id: &'static str,
    /// The name used in tables.
    pub title: &'static str,
    /// The unit of stored values.
    pub unit: Unit,
    /// Which direction is an improvement.
    pub better: Better,
    /// How its values are read out of a record.
    pub read: Read,
    /// What the machine must have.
    pub needs: Needs,
    /// Whether the same inputs must give the same value. Declared, never inferred from zero variance.
    pub deterministic: bool,
    /// Whether it depends on the machine's mood, so that sessions differ by more than their rounds.
    pub varies_by_session: bool,
    /// The statistic of a rule that names none.
    pub default_statistic: Statistic,
    /// The allowed change to the worse of a rule that names no limit: relative, as a fraction, or for
    /// a proportion a difference (0.01 is one point).
    pub default_limit: f64,
    /// What the table of variants shows.
    pub table: &'static [Statistic],
    /// What the folded table of details shows.
    pub details: &'static [Statistic],
    /// Whether tables show the quotient to the reference beside the value.
    pub shown_as_ratio: bool,
    /// A change to the better and one to the worse in words: `faster`, `slower`.
    pub words: [&'static str; 2],
}

/// What most metrics have in common: a time per request, of which less is better.
const TIME: MetricInfo = MetricInfo {
    id: "",
    title: "",
    unit: Unit::Seconds,
    better: Better::Lower,
    read: Read::Tokens,
    needs: Needs::Nothing,
    deterministic: false,
    varies_by_session: true,
    default_statistic: Statistic::Mean,
    default_limit: 0.05,
    table: &[],
    details: &[],
    shown_as_ratio: false,
    words: ["faster", "slower"],
};

impl Metric {
    /// The facts about this metric.
    pub fn info(self) -> &'static MetricInfo {
        self.0
    }

    /// By how much, relative to a value of a statistic, two readings have to differ to be told apart: what the clock, or
    /// the kernel's count of pages, leaves open. 0 where nothing is known to.
    ///
    /// Times are stamped to a microsecond at best, which rates inherit (a rate over at least one gap). Resident memory
    /// is counted in batches of 64 pages of 4 KiB: Linux keeps a count per thread (to 6.1: `TASK_RSS_EVENTS_THRESH` is
    /// 64) or per processor (from 6.2 on, 32 pages each) that is added up late, which proc(5) calls inaccurate.
    pub fn finest(self, statistic: Statistic, value: f64) -> f64 {
        const CLOCK_SECONDS: f64 = 1e-6;
        const PAGES_BYTES: f64 = 64.0 * 4096.0;
        match self.unit(statistic) {
            _ if self.info().deterministic => 0.0,
            Unit::Seconds => CLOCK_SECONDS / value,
            Unit::TokensPerSecond => CLOCK_SECONDS * value,
            Unit::Bytes => PAGES_BYTES / value,
            _ => 0.0,
        }
    }

    /// What one of its values belongs to.
    pub fn kind(self) -> Kind {
        match self.0.read {
            Read::Request(_) => Kind::PerRequest,
            Read::Tokens => Kind::PerToken,
            Read::Round(_) => Kind::PerRound,
            Read::Requests(_) => Kind::Proportion,
            Read::Answers(_) => Kind::TaskProportion,
            Read::Documents(_) => Kind::PerDocument,
        }
    }

    /// Whether it is a share, whose changes are differences in points.
    pub fn is_proportion(self) -> bool {
        matches!(self.kind(), Kind::Proportion | Kind::TaskProportion)
    }

    /// The id used in files and on the command line.
    pub fn id(self) -> &'static str {
        self.info().id
    }

    /// Finds a metric by its id.
    pub fn from_id(id: &str) -> Option<Metric> {
        METRICS.iter().copied().find(|metric| metric.id() == id)
    }

    /// Whether `statistic` can be asked of this metric.
    pub fn allows(self, statistic: Statistic) -> bool {
        match (self.kind(), statistic) {
            (Kind::Proportion | Kind::TaskProportion, _) => statistic == Statistic::Rate,
            (Kind::PerRound, _) => statistic == Statistic::Mean,
            (Kind::PerDocument, Statistic::P99) => {
                matches!(self.0.read, Read::Documents(Of::Divergence))
            }
            (Kind::PerDocument, _) => statistic == self.0.default_statistic,
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

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Metric) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Metric {}

impl PartialOrd for Metric {
    fn partial_cmp(&self, other: &Metric) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Metric {
    fn cmp(&self, other: &Metric) -> Ordering {
        self.id().cmp(other.id())
    }
}

impl Hash for Metric {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Metric, D::Error> {
        let id = Cow::<str>::deserialize(deserializer)?;
        Metric::from_id(&id)
            .ok_or_else(|| serde::de::Error::custom(format!("there is no metric '{id}'")))
    }
}

impl JsonSchema for Metric {
    fn schema_name() -> Cow<'static, str> {
        "Metric".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A quantity that perfgate measures.",
            "enum": METRICS.iter().map(|metric| metric.id()).collect::<Vec<_>>(),
        })
    }
}

impl Unit {
    /// The unit as a dashboard writes it behind a plain number.
    pub fn symbol(self) -> &'static str {
        match self {
            Unit::Seconds => "s",
            Unit::TokensPerSecond => "tok/s",
            Unit::Bytes => "bytes",
            Unit::Proportion => "share",
            Unit::TokensPerJoule => "tok/J",
            Unit::JoulesPerToken => "J/tok",
            Unit::Ratio => "ratio",
            Unit::Nats => "nats",
            Unit::Number => "number",
        }
    }

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
            Unit::Bytes if value != 0.0 && value.abs() < 1024.0 * 1024.0 => {
                format!("{:.1} KiB", value / 1024.0)
            }
            Unit::Bytes if value.abs() < 1024.0 * 1024.0 * 1024.0 => {
                format!("{:.0} MiB", value / (1024.0 * 1024.0))
            }
            Unit::Bytes => format!("{:.2} GiB", value / (1024.0 * 1024.0 * 1024.0)),
            Unit::Proportion => format!("{}%", trim_zeros(format!("{:.2}", value * 100.0))),
            Unit::TokensPerJoule => format!("{value:.2} tok/J"),
            Unit::JoulesPerToken => format!("{value:.3} J"),
            Unit::Ratio => format!("{value:.3}×"),
            Unit::Nats if value.abs() < 0.00005 => {
                format!("{} nats", trim_zeros(format!("{value:.7}")))
            }
            Unit::Nats => format!("{value:.4} nats"),
            Unit::Number => format!("{value:.3}"),
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
            Unit::Nats => &[("nats", 1.0), ("", 1.0)],
            Unit::Number => &[("", 1.0)],
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
        let mut ids: Vec<&str> = METRICS.iter().map(|metric| metric.id()).collect();
        for metric in METRICS.iter().copied() {
            let info = metric.info();
            assert_eq!(Metric::from_id(info.id), Some(metric));
            let shown = info.table.iter().chain(info.details);
            for statistic in shown.chain([&info.default_statistic]) {
                assert!(metric.allows(*statistic), "{metric} {statistic}");
            }
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), METRICS.len());
        let json = serde_json::to_string(&start::COLD_START).unwrap();
        assert_eq!(json, "\"cold_start\"", "JSON uses the id");
    }

    #[test]
    fn values_read_as_people_write_them() {
        let cases = [
            (Unit::Seconds, 0.0123, "12.3 ms"),
            (Unit::Seconds, 0.812, "812 ms"),
            (Unit::Seconds, 1.305, "1.30 s"),
            (Unit::Bytes, 23040.0, "22.5 KiB"),
            (Unit::Bytes, 0.0, "0 MiB"),
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
