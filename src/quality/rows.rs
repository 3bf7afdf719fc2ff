//! Owns what the quality pass knows of the rows of a variant's batches: shown by its worker before the first batch, or
//! found in the cache, where it stands by what it depends on. It decides which tasks are answered together.

use super::Pass;
use super::answers::Answering;
use super::cache::{Cache, SetUp, key};
use crate::engine;
use crate::record::{Entry, Rows};
use crate::runner::Cut;
use crate::workload::Ask;

/// Lengths of sequences are rounded up to a multiple of this many tokens, so that one more task needs no new probe.
const STEP: usize = 256;

/// Stands in what the cache knows answers by: raised when rows are fed in another way. The first one padded them.
pub(super) const MANNER: &str = "rows of equal length, 2";

/// Of how many tokens a variant's longest sequence may be.
fn longest(asks: &[Ask]) -> usize {
    let of = |ask: &Ask| match ask {
        Ask::Generate(order) => order.prompt.len() + order.tokens as usize,
        Ask::Choose { prompt, choices } => {
            prompt.len() + choices.iter().map(Vec::len).max().unwrap_or(0)
        }
    };
    asks.iter().map(of).max().unwrap_or(0)
}

impl Answering<'_, '_, '_> {
    /// Whether the rows of the variant's batches are independent; looked for once.
    pub(super) fn rows(&mut self) -> Result<Rows, Cut> {
        if let Some(rows) = &self.rows {
            return Ok(rows.clone());
        }
        let rows = self.look()?;
        let variant = self.variant.name.clone();
        (self.sink)(&Entry::Rows { variant, rows: rows.clone() }).map_err(Cut::NotSaved)?;
        Ok(self.rows.insert(rows).clone())
    }

    fn look(&mut self) -> Result<Rows, Cut> {
        if !engine::shares_calls(&self.variant.load) {
            return Ok(Rows::Apart);
        }
        let need = longest(self.asks).next_multiple_of(STEP);
        let mut cache = self.pass.cache_of_rows(self)?;
        let place = key(&("rows", MANNER, need));
        if let Some(known) = cache.get(&place) {
            return Ok(known);
        }
        let (rows, to_keep) = self.server.prove_rows(need, self.sink)?;
        if to_keep {
            cache.put(place, rows.clone()).map_err(Cut::NotSaved)?;
        }
        Ok(rows)
    }
}

impl Pass<'_> {
    /// The cache of what was shown of a variant's rows; off where that of its answers is.
    fn cache_of_rows(&self, answering: &mut Answering<'_, '_, '_>) -> Result<Cache<Rows>, Cut> {
        let Some(folder) = &self.workers.cache else { return Ok(Cache::off()) };
        let Some(engine) = answering.server.engine(answering.sink)? else {
            return Ok(Cache::off());
        };
        let record = &self.workers.records[&answering.variant.name];
        let set_up = SetUp::of(record, &engine, self.workers.machine);
        Cache::of(folder, &("rows", set_up)).map_err(Cut::NotSaved)
    }
}
