//! Owns the record of what a machine can do: its caches, the bandwidth of reading, and the ceilings of its
//! arithmetic. And of what a model asks of it for each token.

use super::EngineInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// Weights by the type that they are stored in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, u64>,
    /// How they were quantized, in the words of the model's files; missing where these say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// Bytes of tables of which a token reads a row, where no product uses them too.
    pub looked_up_bytes: u64,
    /// Bytes of what is neither, such as the weights of norms.
    pub other_bytes: u64,
    /// Numbers of the key-value cache for each position.
    pub cache_numbers: u64,
    /// Those of them that are keys; 0 where the files do not tell, and then keys are taken to be one half.
    #[serde(default)]
    pub cache_keys: u64,
    /// Multiplications of the attention for each position that lies behind a token.
    pub attention_products: u64,
}

/// The property by which OpenVINO names the type of both halves of its key-value cache, and those of each half.
const CACHE: &str = "KV_CACHE_PRECISION";
const KEYS: &str = "KEY_CACHE_PRECISION";
const VALUES: &str = "VALUE_CACHE_PRECISION";

/// The property by which candle names the type of its weights, which is that of its cache.
const OF_WEIGHTS: &str = "weights";

/// The types of the keys and of the values in an engine's key-value cache, as it names them; `None` where it names none.
pub fn cache_types(engine: &EngineInfo) -> Option<[&str; 2]> {
    let said = |key: &str| engine.properties.get(key).map(String::as_str);
    let both = said(CACHE).or_else(|| said(OF_WEIGHTS));
    Some([said(KEYS).or(both)?, said(VALUES).or(both)?])
}

/// Bits of a number of a type, as engines name types: `f16`, `u8`, `i4`, `f8e4m3`, `nf4`.
pub fn bits_of(kind: &str) -> Option<u64> {
    let digits = kind.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok().filter(|bits| (1..=64).contains(bits))
}

impl Work {
    /// Multiplications and additions for a token with so many positions behind it.
    pub fn operations(&self, positions: f64) -> f64 {
        2.0 * (self.weights as f64 + self.attention_products as f64 * positions)
    }

    /// Bytes that each position adds to the key-value cache, of the types of number that the loaded engine names for
    /// keys and for values; the scales of a cache of 8 bits or fewer come on top. `None` where the model has no cache
    /// or the engine names no type that is known.
    pub fn cache_bytes(&self, engine: &EngineInfo) -> Option<u64> {
        let [of_keys, of_values] = cache_types(engine)?.map(bits_of);
        let keys = match self.cache_keys {
            0 => self.cache_numbers / 2,
            keys => keys.min(self.cache_numbers),
        };
        let values = self.cache_numbers - keys;
        let bits = keys.checked_mul(of_keys?)?.checked_add(values.checked_mul(of_values?)?)?;
        (bits >= 8).then_some(bits / 8)
    }
}

/// How a runtime executes the products with weights, as it tells of the compiled model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Execution {
    /// The products, those that are alike together.
    pub products: Vec<Products>,
    /// Products of the model's files that the runtime does not tell of, such as those it has fused with others.
    #[serde(default)]
    pub untold: u64,
}

/// Products that are executed alike.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Products {
    /// How many products.
    pub count: u64,
    /// The kernel, as the runtime names it: `brgemm_avx2_f32`. Its last part is the type of the activations.
    pub kernel: String,
    /// The type of the weights in the files.
    pub stored: String,
    /// Their type in the memory of the process; missing where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Weights of all of these products.
    pub weights: u64,
    /// Bytes of these weights as they are held, with scales and zero points that are kept; as they are stored where it
    /// is not known how they are held.
    pub bytes: u64,
}

impl Products {
    /// Whether the process holds wider numbers than the files.
    pub fn widened(&self) -> bool {
        let held = self.held.as_deref().and_then(bits_of);
        matches!((held, bits_of(&self.stored)), (Some(held), Some(stored)) if held > stored)
    }

    /// The type of the activations that the kernel takes, by the last part of its name.
    pub fn activations(&self) -> &str {
        self.kernel.rsplit('_').next().unwrap_or_default()
    }
}

impl Execution {
    /// Bytes of all weights as the process holds them.
    pub fn bytes(&self) -> u64 {
        self.products.iter().map(|products| products.bytes).sum()
    }

    /// The products that have most of the weights.
    pub fn most(&self) -> Option<&Products> {
        self.products.iter().max_by_key(|products| products.weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(properties: &[(&str, &str)]) -> EngineInfo {
        let properties =
            properties.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string()));
        EngineInfo { properties: properties.collect(), ..EngineInfo::default() }
    }

    #[test]
    fn a_cache_is_as_large_as_its_keys_and_its_values() {
        let work = Work { cache_numbers: 300, cache_keys: 200, ..Work::default() };
        assert_eq!(work.cache_bytes(&engine(&[(CACHE, "f16")])), Some(600));
        assert_eq!(work.cache_bytes(&engine(&[(OF_WEIGHTS, "f32")])), Some(1200));
        let apart = [(CACHE, "u8"), (KEYS, "u8"), (VALUES, "u4")];
        assert_eq!(work.cache_bytes(&engine(&apart)), Some(200 + 50));
        assert_eq!(
            work.cache_bytes(&engine(&[(KEYS, "f16")])),
            None,
            "of the values nothing is said"
        );
        assert_eq!(work.cache_bytes(&engine(&[(CACHE, "dynamic")])), None);
        let halves = Work { cache_numbers: 300, ..Work::default() };
        assert_eq!(halves.cache_bytes(&engine(&apart)), Some(150 + 75));
        assert_eq!(Work::default().cache_bytes(&engine(&[(CACHE, "f16")])), None);
    }

    #[test]
    fn types_have_bits_and_wider_ones_are_told_from_the_stored() {
        let bits = ["f32", "bf16", "u8", "i4", "nf4", "f4e2m1", "f8e4m3", "u2", "u3"].map(bits_of);
        assert_eq!(bits.map(Option::unwrap), [32, 16, 8, 4, 4, 4, 8, 2, 3]);
        assert_eq!([bits_of("dynamic"), bits_of(""), bits_of("f999")], [None; 3]);
        let held = |stored: &str, held: Option<&str>| Products {
            stored: stored.to_string(),
            held: held.map(str::to_string),
            ..Products::default()
        };
        assert!(held("f16", Some("f32")).widened());
        assert!(!held("u8", Some("u8")).widened());
        assert!(!held("u8", None).widened());
    }
}
