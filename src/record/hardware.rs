//! Owns the record of what a machine can do: its caches, the bandwidth of reading, and the ceilings of its
//! arithmetic. And of what a model asks of it for each token.

use super::EngineInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was measured of a machine on the spot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hardware {
    /// The data caches of the first CPU, from the smallest, as the system tells of them.
    pub caches: Vec<CacheLevel>,
    /// Read bandwidth by threads and working set.
    pub bandwidth: Vec<Bandwidth>,
    /// The most that arithmetic of a kind can do.
    pub ceilings: Vec<Ceiling>,
}

/// One data cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheLevel {
    /// 1 is nearest to the processor.
    pub level: u32,
    /// Whether it holds instructions as well.
    pub unified: bool,
    /// Its size in bytes.
    pub bytes: u64,
    /// How many CPUs share it, where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_by: Option<usize>,
}

/// How fast a working set is read over and over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bandwidth {
    /// Threads that read at once, each a part of its own.
    pub threads: usize,
    /// The parts together, bytes.
    pub bytes: u64,
    /// The best of several repetitions.
    pub bytes_per_second: f64,
}

/// A kind of number that arithmetic is done with.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Number {
    /// 32 bits, floating point.
    F32,
    /// 16 bits, IEEE's half precision.
    F16,
    /// 16 bits, the upper half of 32.
    Bf16,
    /// 8 bits, products added up in 32-bit integers.
    Int8,
}

impl Number {
    /// As people write it.
    pub fn title(self) -> &'static str {
        match self {
            Number::F32 => "FP32",
            Number::F16 => "FP16",
            Number::Bf16 => "BF16",
            Number::Int8 => "INT8",
        }
    }
}

/// The most that an instruction does of multiplications with addition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ceiling {
    /// What is multiplied.
    pub number: Number,
    /// The instructions, such as `AVX-512 VNNI`.
    pub instructions: String,
    /// Threads that compute at once.
    pub threads: usize,
    /// Multiplications and additions per second, each counted as one; the best of several repetitions.
    pub operations_per_second: f64,
}

/// What a model's files say that each token needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Work {
    /// Weights that every token is multiplied with.
    pub weights: u64,
    /// Bytes of these in the files, with their scales and zero points: what is read for each token, if they
    /// are held in memory as they are stored.
    pub weight_bytes: u64,
    /// How most of them are stored, as the files name it: `f16`, `u8`, `u4`.
    pub stored: String,
    /// Bytes of tables of which a token reads a row, where no product uses them too.
    pub looked_up_bytes: u64,
    /// Bytes of what is neither, such as the weights of norms.
    pub other_bytes: u64,
    /// Numbers of the key-value cache for each position.
    pub cache_numbers: u64,
    /// Multiplications of the attention for each position that lies behind a token.
    pub attention_products: u64,
}

/// The properties by which engines name the type of their key-value cache: OpenVINO has one of its own, candle's is
/// that of the weights.
const CACHE_TYPE: [&str; 2] = ["KV_CACHE_PRECISION", "weights"];

impl Work {
    /// Multiplications and additions for a token with so many positions behind it.
    pub fn operations(&self, positions: f64) -> f64 {
        2.0 * (self.weights as f64 + self.attention_products as f64 * positions)
    }

    /// Bytes that each position adds to the key-value cache, of the type of number that the loaded engine names; the
    /// scales of a cache of 8 bits or fewer come on top. `None` where the model has no cache or the engine names no
    /// type that is known.
    pub fn cache_bytes(&self, engine: &EngineInfo) -> Option<u64> {
        let said = CACHE_TYPE.iter().find_map(|key| engine.properties.get(*key))?;
        let bits = match said.as_str() {
            "f32" => 32,
            "f16" | "bf16" => 16,
            "u8" | "i8" => 8,
            "u4" | "i4" => 4,
            _ => return None,
        };
        let bytes = self.cache_numbers.checked_mul(bits)? / 8;
        (bytes > 0).then_some(bytes)
    }
}
