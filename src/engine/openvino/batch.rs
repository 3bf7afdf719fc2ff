//! Owns several sequences in one inference request of OpenVINO: rows of a batch that the input `beam_idx`
//! branches off one prefix, and lets go one by one. All are of one length at any time, so that nothing is padded.

use super::inputs::Inputs;
use super::{failed, infer, left_out, logits_of, wrong};
use crate::engine::batch::{Batch, Show, Visit};
use crate::record::Failure;
use openvino::{InferRequest, InferenceError};

/// The rows that a request still has.
pub(super) struct OpenVinoBatch {
    request: InferRequest,
    inputs: Inputs,
    /// Tokens that each row was fed, those of the prefix among them.
    past: usize,
    /// The numbers of the rows as they lie in the request's cache; none before the first call behind the prefix, which
    /// is one row.
    rows: Vec<usize>,
}

impl OpenVinoBatch {
    /// Computes the prefix, which may be empty.
    pub(super) fn new(
        request: InferRequest,
        inputs: Inputs,
        prefix: &[u32],
    ) -> Result<OpenVinoBatch, Failure> {
        let mut batch = OpenVinoBatch { request, inputs, past: 0, rows: Vec::new() };
        if !prefix.is_empty() {
            batch.call(&[(0, prefix)], &[0], 0..prefix.len()).map_err(wrong)?;
        }
        Ok(batch)
    }

    /// Runs some of the tokens of rows, which lay at `beams`.
    fn call(
        &mut self,
        fed: &[(usize, &[u32])],
        beams: &[i32],
        part: std::ops::Range<usize>,
    ) -> Result<(), InferenceError> {
        let shape = (fed.len(), part.len());
        let ids = fed.iter().flat_map(|(_, tokens)| tokens[part.clone()].iter().copied());
        self.inputs.fill(&mut self.request, shape, self.past, ids, Some(beams))?;
        infer(&mut self.request)?;
        self.past += part.len();
        Ok(())
    }

    /// Where the rows lie now; at the first call they all branch off the prefix.
    fn beams(&self, fed: &[(usize, &[u32])]) -> Result<Vec<i32>, Failure> {
        let place = |row: &usize| match self.rows.is_empty() {
            true => Ok(0),
            false => {
                let found = self.rows.iter().position(|known| known == row);
                found
                    .map(|place| place as i32)
                    .ok_or_else(|| failed("a row came back that had ended"))
            }
        };
        fed.iter().map(|(row, _)| place(row)).collect()
    }
}

impl Batch for OpenVinoBatch {
    fn forward(
        &mut self,
        rows: &[(usize, &[u32])],
        show: Show,
        visit: &mut Visit<'_>,
    ) -> Result<(), Failure> {
        let length = rows.first().map_or(0, |(_, tokens)| tokens.len());
        if length == 0 || rows.iter().any(|(_, tokens)| tokens.len() != length) {
            return Err(failed("rows of a batch are fed as many tokens each, and at least one"));
        }
        let mut beams = self.beams(rows)?;
        let mut done = 0;
        while done < length {
            let single = show == Show::Every && !self.inputs.shows_all();
            let left = if single { 1 } else { length - done };
            let end = done + self.inputs.at_once(self.past, left);
            self.call(rows, &beams, done..end).map_err(wrong)?;
            self.rows = rows.iter().map(|(row, _)| *row).collect();
            beams = (0..rows.len() as i32).collect();
            let tensor = self.request.get_tensor("logits").map_err(wrong)?;
            let (all, vocabulary) = logits_of(&tensor)?;
            let fed = end - done;
            if all.len() != rows.len() * fed * vocabulary {
                return Err(left_out(all.len(), rows.len() * fed));
            }
            let first = match show {
                Show::Last => length - 1,
                Show::Every => 0,
            };
            for (index, (row, _)) in rows.iter().enumerate() {
                for place in done.max(first)..end {
                    let position = index * fed + place - done;
                    visit(*row, place, &all[position * vocabulary..(position + 1) * vocabulary])?;
                }
            }
            done = end;
        }
        Ok(())
    }
}
