//! Owns what is known of the rows of a batch: whether those of a variant's graph are independent of each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether the rows of a batch are independent of each other, so that several sequences may share a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rows {
    /// The engine runs each row in calls of its own: nothing is shared but a copy of the prefix.
    Apart,
    /// A probe of the loaded graph has shown it.
    Independent(Independent),
    /// It was not shown: every sequence is run by itself.
    Dependent {
        /// Why not, in a sentence's words.
        reason: String,
    },
}

/// What a probe has shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Independent {
    /// Most tokens of a sequence for which it was shown; missing where no length makes a difference to the graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u32>,
    /// The length, tokens, from which on positions are encoded in another way (LongRoPE). A prompt that passes it is
    /// not split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<u32>,
    /// Largest difference of a token's log probability between a row of a batch and the same row alone, nats.
    pub apart: f32,
    /// Largest difference allowed, nats.
    pub allowed: f32,
    /// Longest sequence that the probe fed, tokens.
    pub probed: u32,
}

impl Rows {
    /// Whether a sequence may be fed in parts next to others: its first `prefix` tokens in a call, the rest of its
    /// prompt (`prompt` tokens in all) in further ones, up to `total` tokens. All lengths are in tokens.
    pub fn allow(&self, prefix: usize, prompt: usize, total: usize) -> bool {
        match self {
            Rows::Apart => true,
            Rows::Dependent { .. } => false,
            Rows::Independent(shown) => {
                let whole = |switch: u32| prompt <= switch as usize || prefix > switch as usize;
                shown.tokens.is_none_or(|tokens| total <= tokens as usize)
                    && shown.switch.is_none_or(whole)
            }
        }
    }

    /// Why sequences are run one by one, if all of them are.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Rows::Dependent { reason } => Some(reason),
            Rows::Apart | Rows::Independent(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_takes_what_was_shown_and_nothing_longer() {
        let shown = Independent {
            tokens: Some(100),
            switch: Some(64),
            apart: 0.0,
            allowed: 1e-3,
            probed: 100,
        };
        let rows = Rows::Independent(shown);
        assert!(rows.allow(10, 60, 100));
        assert!(!rows.allow(10, 60, 101), "longer than was shown");
        assert!(!rows.allow(10, 65, 80), "split before the switch and behind it");
        assert!(!rows.allow(0, 65, 80), "split, without a prefix");
        assert!(rows.allow(65, 80, 90), "all of it behind the switch");
        assert!(Rows::Apart.allow(1, 1000, 2000));
        assert!(!Rows::Dependent { reason: String::new() }.allow(0, 1, 2));
    }
}
