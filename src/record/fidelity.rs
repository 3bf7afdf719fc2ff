//! Owns the record of teacher forcing: what was forced, and how each variant's predictions of the same text
//! differ from the reference's.

use super::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a document's tokens are fed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Forcing {
    /// All in one call, where the engine gives the logits after every position; else token by token.
    Whole,
    /// Token by token, through the key-value cache as while generating.
    Stepwise,
}

impl Forcing {
    /// Both, in the order of the pass.
    pub const ALL: [Forcing; 2] = [Forcing::Whole, Forcing::Stepwise];

    /// The word of files and tables.
    pub fn id(self) -> &'static str {
        match self {
            Forcing::Whole => "whole",
            Forcing::Stepwise => "stepwise",
        }
    }
}

impl fmt::Display for Forcing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// One document forced through a variant and through the reference: how their predictions of each next
/// token differ. Positions without a next token, and those that are skipped, are not counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fidelity {
    /// The variant's name.
    pub variant: String,
    /// The name of the variant that it is held against.
    pub reference: String,
    /// The document's id.
    pub document: String,
    /// How both were asked to be fed.
    pub forcing: Forcing,
    /// Positions that count; none if either side failed.
    pub positions: u32,
    /// KL(reference || variant) of the distributions of the next token, by position, nats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kl: Vec<f32>,
    /// Positions at which both find the same token the most probable one.
    pub agree: u32,
    /// Sum over positions of the variant's negative log likelihood of the true next token, nats.
    pub nll: f64,
    /// The same of the reference.
    pub reference_nll: f64,
    /// Whether it comes from an earlier session with the same models, engines, tokens and machine kind.
    pub cached: bool,
    /// Why the variant failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Why the reference failed, if it did; then the variant was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_failure: Option<Failure>,
}

/// What a fidelity pass set out to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FidelityPlan {
    /// Ids of the documents.
    pub documents: Vec<String>,
    /// The variants that are held against the reference.
    pub variants: Vec<String>,
    /// The reference.
    pub reference: String,
    /// Most tokens of a document.
    pub tokens: u32,
    /// First positions of each document that are not counted.
    pub skip: u32,
    /// So many of the documents, the first, are forced stepwise too.
    pub stepwise: u32,
    /// SHA-256 of the documents and of the three numbers.
    pub sha256: String,
}
