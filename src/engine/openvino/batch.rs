//! Owns several sequences in one inference request of OpenVINO: rows of a batch that the input `beam_idx`
//! branches off one prefix, and lets go one by one.

use super::{infer, left_out, logits_of, set, wrong};
use crate::engine::batch::{Batch, Show, Visit};
use crate::record::Failure;
use openvino::{ElementType, InferRequest, InferenceError, Shape, Tensor};

/// The rows that a request still has.
pub(super) struct OpenVinoBatch {
    request: InferRequest,
    has_position_ids: bool,
    /// Tokens of the prefix, which is one row until the first call after it.
    prefix: usize,
    /// The rows as they lie in the request's cache; none before the first call.
    rows: Vec<Row>,
}

#[derive(Clone)]
struct Row {
    number: usize,
    /// 1 for a token, 0 for padding: rows of unequal length are filled up on their left.
    mask: Vec<i64>,
    /// Tokens without padding.
    length: usize,
}

impl OpenVinoBatch {
    /// Computes the prefix, which may be empty.
    pub(super) fn new(
        request: InferRequest,
        has_position_ids: bool,
        prefix: &[u32],
    ) -> Result<OpenVinoBatch, Failure> {
        let mut batch = OpenVinoBatch { request, has_position_ids, prefix: 0, rows: Vec::new() };
        if !prefix.is_empty() {
            batch.feed(&[(0, prefix)]).map_err(wrong)?;
            batch.prefix = prefix.len();
            batch.rows.clear();
        }
        Ok(batch)
    }

    /// Feeds the rows; returns the length to which they were filled up.
    fn feed(&mut self, fed: &[(usize, &[u32])]) -> Result<usize, InferenceError> {
        let longest = fed.iter().map(|(_, tokens)| tokens.len()).max().unwrap_or(0);
        let (mut ids, mut positions, mut beams) = (Vec::new(), Vec::new(), Vec::new());
        let mut rows = Vec::with_capacity(fed.len());
        for (number, tokens) in fed {
            let place = self.rows.iter().position(|row| row.number == *number);
            beams.push(place.unwrap_or(0) as i32);
            let mut row = match place {
                Some(place) => self.rows[place].clone(),
                None => Row { number: *number, mask: vec![1; self.prefix], length: self.prefix },
            };
            let padding = longest - tokens.len();
            ids.extend(std::iter::repeat_n(0, padding));
            ids.extend(tokens.iter().map(|token| i64::from(*token)));
            positions.extend(std::iter::repeat_n(0, padding));
            positions.extend((row.length..row.length + tokens.len()).map(|place| place as i64));
            row.mask.extend(std::iter::repeat_n(0, padding));
            row.mask.extend(std::iter::repeat_n(1, tokens.len()));
            row.length += tokens.len();
            rows.push(row);
        }
        let mask: Vec<i64> = rows.iter().flat_map(|row| row.mask.iter().copied()).collect();
        let shape = [fed.len(), longest];
        set(&mut self.request, "input_ids", shape, |all| all.copy_from_slice(&ids))?;
        let seen = [fed.len(), mask.len() / fed.len()];
        set(&mut self.request, "attention_mask", seen, |all| all.copy_from_slice(&mask))?;
        if self.has_position_ids {
            set(&mut self.request, "position_ids", shape, |all| all.copy_from_slice(&positions))?;
        }
        let mut beam = Tensor::new(ElementType::I32, &Shape::new(&[beams.len() as i64])?)?;
        beam.get_data_mut::<i32>()?.copy_from_slice(&beams);
        self.request.set_tensor("beam_idx", &beam)?;
        infer(&mut self.request)?;
        self.rows = rows;
        Ok(longest)
    }
}

impl Batch for OpenVinoBatch {
    fn forward(
        &mut self,
        rows: &[(usize, &[u32])],
        show: Show,
        visit: &mut Visit<'_>,
    ) -> Result<(), Failure> {
        let longest = self.feed(rows).map_err(wrong)?;
        let tensor = self.request.get_tensor("logits").map_err(wrong)?;
        let (all, vocabulary) = logits_of(&tensor)?;
        if all.len() != rows.len() * longest * vocabulary {
            return Err(left_out(all.len(), rows.len() * longest));
        }
        for (index, (row, tokens)) in rows.iter().enumerate() {
            let first = match show {
                Show::Last => tokens.len() - 1,
                Show::Every => 0,
            };
            for place in first..tokens.len() {
                let position = index * longest + longest - tokens.len() + place;
                visit(*row, place, &all[position * vocabulary..(position + 1) * vocabulary])?;
            }
        }
        Ok(())
    }
}
