//! Owns the words on how graded tasks were asked: how many together, and which variants were asked one by one, and why.

use crate::record::{Part, Rows};

/// How the graded tasks of a session were asked; `batch` is how many at most together.
pub(super) fn words(part: &Part, batch: u32) -> String {
    let mut text = match batch {
        0 | 1 => "one at a time".to_string(),
        batch => format!("{batch} together behind what their prompts share"),
    };
    for (name, rows) in &part.rows {
        match rows {
            Rows::Apart => {}
            Rows::Dependent { reason } => {
                text += &format!("; {name} one by one, and each choice by itself, since {reason}");
            }
            Rows::Independent(shown) => {
                let limit = shown.tokens.map_or(String::new(), |tokens| {
                    format!(", and longer sequences than {tokens} tokens are run one by one")
                });
                text += &format!(
                    "; {name}: a probe of {} tokens found rows within {:.1e} nats of the same rows alone ({:.1e} \
                     allowed){limit}",
                    shown.probed, shown.apart, shown.allowed
                );
            }
        }
    }
    text
}
