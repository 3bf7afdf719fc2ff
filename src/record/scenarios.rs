//! Owns the record of scenarios: uses of a model for which a variant is recommended, and what each variant is required
//! to fulfil there.

use super::{Evidence, Limit, Verdict};
use crate::metric::{Metric, Statistic};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A use of a model: what it requires of a variant, and what counts how much.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// What it is, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// What a variant has to fulfil.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Requirement>,
    /// What counts how much.
    pub weights: Vec<Weight>,
}

/// Something that a variant has to fulfil.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Requirement {
    /// Its name in the scenario.
    pub name: String,
    /// The metric.
    pub metric: Metric,
    /// How it is reduced.
    pub statistic: Statistic,
    /// The boundary.
    pub limit: Limit,
    /// What it takes: `safety` has to be shown, anything else must not be refuted.
    pub evidence: Evidence,
    /// What it came to for each variant that it could be judged of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<Verdict>,
}

/// How much a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Weight {
    /// The metric.
    pub metric: Metric,
    /// How it is reduced.
    pub statistic: Statistic,
    /// Above 0; what counts is its share of the sum.
    pub weight: f64,
}
