//! Owns the documents of the fidelity pass in token ids, which every variant has to share.

use super::{Vocabulary, parse_lines, read_text};
use crate::config::{FEWEST_TOKENS, Fidelity, Variant};
use crate::hash;
use crate::problem::{Problem, Result};
use serde::Deserialize;
use std::path::Path;

/// One line of the file of documents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The id, which stays.
    pub id: String,
    /// The text.
    pub text: String,
    /// The licence of the text, for people.
    #[serde(default)]
    pub license: Option<String>,
}

/// The documents, ready to be forced.
#[derive(Debug, Clone)]
pub struct Documents {
    /// Ids of the documents, in order.
    pub ids: Vec<String>,
    /// Their token ids, cut to length: the same for the reference and every variant.
    pub tokens: Vec<Vec<u32>>,
    /// First positions of each that are not counted.
    pub skip: usize,
    /// So many of them, the first, are forced stepwise too.
    pub stepwise: usize,
    /// SHA-256 of the file and of the numbers above.
    pub sha256: String,
}

/// Reads the documents and makes the token ids of the reference, and sees that every other variant's are the
/// same.
///
/// # Errors
/// If the file or a tokenizer is missing or wrong, a document is too short, or a tokenizer is another one.
pub fn prepare_documents(
    fidelity: &Fidelity,
    reference: &str,
    variants: &[Variant],
) -> Result<Documents> {
    let text = read_text(&fidelity.documents, "[quality.fidelity] documents")?;
    let documents = parse_documents(&fidelity.documents, &text)?;
    let mut shared: Option<Vec<Vec<u32>>> = None;
    // The reference first: the others are held against it.
    let named = |name: &str| variants.iter().find(|variant| variant.name == name);
    let names = std::iter::once(reference).chain(fidelity.variants.iter().map(String::as_str));
    for variant in names.filter_map(named) {
        let tokens = encode(fidelity, &documents, variant)?;
        match &shared {
            None => shared = Some(tokens),
            Some(of_reference) if *of_reference == tokens => {}
            Some(_) => return Err(another_tokenizer(variant, reference)),
        }
    }
    let numbers = format!("\0{}\0{}\0{}", fidelity.tokens, fidelity.skip, fidelity.stepwise);
    Ok(Documents {
        ids: documents.into_iter().map(|(_, document)| document.id).collect(),
        tokens: shared.unwrap_or_default(),
        skip: fidelity.skip as usize,
        stepwise: fidelity.stepwise as usize,
        sha256: hash::of_bytes((text + &numbers).as_bytes()),
    })
}

fn another_tokenizer(variant: &Variant, reference: &str) -> Problem {
    let what = format!(
        "makes other tokens of the documents than that of '{reference}', so their predictions cannot be \
         compared"
    );
    Problem::in_file(&variant.tokenizer, what).of(&format!("variant '{}'", variant.name)).help(
        "leave the variant out of variants = [ … ] in [quality.fidelity], or give it the reference's \
         tokenizer",
    )
}

/// The token ids of a variant, with what its tokenizer puts before a text, cut to length.
fn encode(
    fidelity: &Fidelity,
    documents: &[(usize, Document)],
    variant: &Variant,
) -> Result<Vec<Vec<u32>>> {
    let vocabulary = Vocabulary::of(variant)?;
    // A counted position, which has a next token.
    let fewest = FEWEST_TOKENS.max(fidelity.skip + 2) as usize;
    let tokens = |(line, document): &(usize, Document)| {
        let mut tokens = vocabulary.encode(variant, &document.text, true)?;
        tokens.truncate(fidelity.tokens as usize);
        if tokens.len() < fewest {
            let (id, count) = (&document.id, tokens.len());
            let what = format!("the document '{id}' has {count} tokens, and {fewest} are needed");
            return Err(Problem::in_file(&fidelity.documents, what).at(*line, 1).help(
                "write a longer text, and keep 'skip' in [quality.fidelity] below the shortest",
            ));
        }
        Ok(tokens)
    };
    documents.iter().map(tokens).collect()
}

/// Reads documents from JSON Lines, each with its line.
///
/// # Errors
/// If a line is no document, or there is none.
pub fn parse_documents(file: &Path, text: &str) -> Result<Vec<(usize, Document)>> {
    const EXAMPLE: &str = r#"each line is one JSON object, such as {"id": "d1", "text": "…"}"#;
    parse_lines(file, text, EXAMPLE, |document: &Document| (&document.id, &document.text))
}
