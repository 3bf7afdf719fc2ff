//! Owns the schema of `[quality.fidelity]`: the documents that are forced, and through which variants.

use super::perfgate_toml::known_name;
use crate::document::Node;
use crate::problem::Result;
use std::path::{Path, PathBuf};

/// The documents of the fidelity pass and how they are forced.
#[derive(Debug, Clone)]
pub struct Fidelity {
    /// The file of documents, JSON Lines.
    pub documents: PathBuf,
    /// Most tokens of a document; longer ones are cut.
    pub tokens: u32,
    /// First positions of each document that are not counted.
    pub skip: u32,
    /// So many of the documents, the first, are forced through the key-value cache too.
    pub stepwise: u32,
    /// The variants that are held against the reference.
    pub variants: Vec<String>,
}

/// Fewest tokens of a document: on fewer a model has nothing to go by.
pub const FEWEST_TOKENS: u32 = 16;

/// Reads `[quality.fidelity]`. `usual` are the variants of a table that names none; the reference is forced
/// in any case and no candidate.
pub(super) fn parse(
    node: &Node<'_>,
    folder: &Path,
    known: &[&str],
    usual: &[String],
    reference: &str,
) -> Result<Fidelity> {
    let mut table = node.table()?;
    let documents = folder.join(table.need("documents")?.string()?);
    let tokens = table
        .take("tokens")
        .map_or(Ok(256), |node| node.integer(u64::from(FEWEST_TOKENS), 1 << 16))?;
    let skip = table.take("skip").map_or(Ok(0), |node| node.integer(0, tokens - 2))?;
    let stepwise =
        table.take("stepwise").map_or(Ok(4), |node| node.integer(0, u64::from(u32::MAX)))?;
    let mut asked = match table.take("variants") {
        None => usual.to_vec(),
        Some(node) => {
            node.list()?.iter().map(|node| known_name(node, known)).collect::<Result<Vec<_>>>()?
        }
    };
    table.finish()?;
    asked.retain(|name| name != reference);
    if asked.is_empty() {
        return Err(node
            .problem(format!("there is nothing to hold against the reference, '{reference}'"))
            .help("name other variants with variants = [ … ]"));
    }
    // In the order of the file, each once.
    let in_order = known.iter().filter(|name| asked.iter().any(|one| one == *name));
    Ok(Fidelity {
        documents,
        tokens: tokens as u32,
        skip: skip as u32,
        stepwise: stepwise as u32,
        variants: in_order.map(ToString::to_string).collect(),
    })
}
