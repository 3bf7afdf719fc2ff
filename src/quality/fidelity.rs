//! Owns the fidelity pass: every document forced through the reference and each variant, and their predictions
//! compared position by position. Like the graded tasks it measures no time and is cached by what it depends
//! on, so a pass that was cut short goes on where it stopped.

use super::Workers;
use super::cache::{Cache, SetUp, key};
use super::logits::{Compared, Logits, compare};
use super::server::Server;
use crate::engine::Forced;
use crate::record::{Entry, Failure, FailureClass, Fidelity, FidelityPlan, Forcing};
use crate::runner::{Cut, Sink};
use crate::workload::Documents;
use serde::Serialize;
use std::path::PathBuf;

/// What a fidelity pass needs.
pub struct FidelityPass<'a> {
    /// How its workers are started.
    pub workers: &'a Workers<'a>,
    /// What is held against what.
    pub plan: &'a FidelityPlan,
    /// The documents.
    pub documents: &'a Documents,
    /// A folder on whose disk there is room for logits, some 100 MB; nothing is left there.
    pub scratch: PathBuf,
}

/// What tells one forced document from another of the same two set-ups.
#[derive(Serialize)]
struct Order<'a> {
    tokens: &'a [u32],
    skip: usize,
    forcing: Forcing,
}

/// One variant that is held against the reference.
struct Candidate<'a> {
    server: Server<'a>,
    cache: Cache<Compared>,
}

/// One document, forced in one way.
struct Item<'a> {
    id: &'a str,
    order: Order<'a>,
}

impl Item<'_> {
    /// What is fed: all but the last token, which is only predicted.
    fn fed(&self) -> &[u32] {
        &self.order.tokens[..self.order.tokens.len() - 1]
    }

    /// The token behind each of them.
    fn next(&self) -> &[u32] {
        &self.order.tokens[1..]
    }

    fn stepwise(&self) -> bool {
        self.order.forcing == Forcing::Stepwise
    }
}

impl FidelityPass<'_> {
    /// Runs the pass: by document, forcing and variant.
    ///
    /// # Errors
    /// If it is interrupted, a variant's set-up is at fault, or something cannot be saved.
    pub fn run(&self, sink: &mut Sink<'_>) -> Result<Vec<Fidelity>, Cut> {
        let named = |name: &String| self.workers.variant(name);
        let Some(reference) = named(&self.plan.reference) else { return Ok(Vec::new()) };
        let file = || Logits::make(&self.scratch).map_err(Cut::NotSaved);
        let files = [file()?, file()?];
        let mut reference = Server::new(self.workers, reference);
        let candidates = self.plan.variants.iter().filter_map(named);
        let mut candidates: Vec<Candidate<'_>> = candidates
            .map(|variant| Candidate {
                server: Server::new(self.workers, variant),
                cache: Cache::off(),
            })
            .collect();
        let done = self.all(&mut reference, &mut candidates, &files, sink);
        let servers = candidates.iter_mut().map(|candidate| &mut candidate.server);
        let stopped = servers.chain([&mut reference]).map(|server| server.stop(sink));
        // Every worker is ended, whatever became of the first.
        let stopped: Vec<Result<(), Cut>> = stopped.collect();
        let done = done?;
        stopped.into_iter().collect::<Result<Vec<()>, Cut>>()?;
        Ok(done)
    }

    fn all(
        &self,
        reference: &mut Server<'_>,
        candidates: &mut [Candidate<'_>],
        files: &[Logits; 2],
        sink: &mut Sink<'_>,
    ) -> Result<Vec<Fidelity>, Cut> {
        for candidate in &mut *candidates {
            candidate.cache = self.open_cache(reference, &mut candidate.server, sink)?;
        }
        let mut done = Vec::new();
        for item in self.items() {
            for found in self.document(&item, reference, candidates, files, sink)? {
                sink(&Entry::Fidelity(found.clone())).map_err(Cut::NotSaved)?;
                done.push(found);
            }
        }
        Ok(done)
    }

    /// Every document in every way in which it is forced.
    fn items(&self) -> impl Iterator<Item = Item<'_>> {
        let Documents { ids, tokens, skip, stepwise, .. } = self.documents;
        ids.iter().zip(tokens).enumerate().flat_map(move |(place, (id, tokens))| {
            let ways = if place < *stepwise { &Forcing::ALL[..] } else { &[Forcing::Whole] };
            ways.iter().map(move |forcing| Item {
                id,
                order: Order { tokens, skip: *skip, forcing: *forcing },
            })
        })
    }

    /// The cache of a pair; it is off if none is wanted, or if an engine does not load.
    fn open_cache(
        &self,
        reference: &mut Server<'_>,
        candidate: &mut Server<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Cache<Compared>, Cut> {
        let Some(folder) = &self.workers.cache else { return Ok(Cache::off()) };
        let (Some(a), Some(b)) = (reference.engine(sink)?, candidate.engine(sink)?) else {
            return Ok(Cache::off());
        };
        let of = |server: &Server<'_>| &self.workers.records[&server.variant.name];
        let set_up = |record, engine| SetUp::of(record, engine, self.workers.machine);
        let pair = [set_up(of(reference), &a), set_up(of(candidate), &b)];
        Cache::of(folder, &pair).map_err(Cut::NotSaved)
    }

    /// One document against every variant. The reference is forced once for all that are not known.
    fn document(
        &self,
        item: &Item<'_>,
        reference: &mut Server<'_>,
        candidates: &mut [Candidate<'_>],
        files: &[Logits; 2],
        sink: &mut Sink<'_>,
    ) -> Result<Vec<Fidelity>, Cut> {
        let mut base: Option<Result<Forced, Failure>> = None;
        let mut found = Vec::new();
        for candidate in candidates {
            let name = &candidate.server.variant.name;
            if let Some(known) = candidate.cache.get(&key(&item.order)) {
                found.push(self.record(item, name, known, true));
                continue;
            }
            let base = match &base {
                Some(base) => base,
                None => base.insert(reference.force(
                    item.fed(),
                    item.stepwise(),
                    &files[0].path(),
                    sink,
                )?),
            };
            found.push(match base {
                Ok(base) => self.pair(item, candidate, *base, files, sink)?,
                Err(failure) => Fidelity {
                    reference_failure: Some(failure.clone()),
                    ..self.record(item, name, Compared::default(), false)
                },
            });
        }
        Ok(found)
    }

    /// One document through a variant, held against the reference's logits.
    fn pair(
        &self,
        item: &Item<'_>,
        candidate: &mut Candidate<'_>,
        base: Forced,
        files: &[Logits; 2],
        sink: &mut Sink<'_>,
    ) -> Result<Fidelity, Cut> {
        let Candidate { server, cache } = candidate;
        let name = &server.variant.name;
        let [reference, other] = files;
        let forced = match server.force(item.fed(), item.stepwise(), &other.path(), sink)? {
            Ok(forced) => forced,
            Err(failure) => {
                let nothing = self.record(item, name, Compared::default(), false);
                return Ok(Fidelity { failure: Some(failure), ..nothing });
            }
        };
        if let Some(failure) = self.unlike(item, forced, base) {
            return Err(Cut::Setup { variant: name.clone(), failure });
        }
        let compared = compare([reference, other], forced, item.next(), item.order.skip);
        let compared = compared.map_err(Cut::NotSaved)?;
        cache.put(key(&item.order), compared.clone()).map_err(Cut::NotSaved)?;
        Ok(self.record(item, name, compared, false))
    }

    /// Why two files of logits cannot be compared, where models do not tell before they are loaded.
    fn unlike(&self, item: &Item<'_>, forced: Forced, base: Forced) -> Option<Failure> {
        let (known, reference) = (forced.vocabulary, &self.plan.reference);
        let highest = item.order.tokens.iter().max().map_or(0, |token| *token as usize);
        let what = match () {
            () if forced != base => {
                format!("the reference '{reference}' one of {}", base.vocabulary)
            }
            () if highest >= known => format!("the document '{}' has token {highest}", item.id),
            () => return None,
        };
        let message = format!(
            "it predicts one of {known} tokens, and {what}: leave it out of variants = [ … ] in \
             [quality.fidelity]"
        );
        Some(Failure { class: FailureClass::Error, message })
    }

    fn record(&self, item: &Item<'_>, name: &str, compared: Compared, cached: bool) -> Fidelity {
        Fidelity {
            variant: name.to_string(),
            reference: self.plan.reference.clone(),
            document: item.id.to_string(),
            forcing: item.order.forcing,
            positions: compared.kl.len() as u32,
            kl: compared.kl,
            agree: compared.agree,
            nll: compared.nll,
            reference_nll: compared.reference_nll,
            cached,
            failure: None,
            reference_failure: None,
        }
    }
}
