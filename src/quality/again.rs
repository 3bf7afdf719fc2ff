//! Owns asking tasks again: whether the same comes out in the same process, in another one and with other threads,
//! and how often an answer is right when tokens are drawn.

use super::Pass;
use super::cache::{self, Cache, Given};
use super::server::Server;
use crate::config::Variant;
use crate::protocol::Order;
use crate::record::{Entry, Failure, FailureClass, Repeat, Sampling, Way};
use crate::runner::{Cut, Sink};
use crate::workload::Ask;
use std::collections::BTreeMap;

/// The repeats of one variant as they come.
pub(super) struct Repeating<'a, 'b, 's> {
    pub(super) pass: &'a Pass<'a>,
    pub(super) variant: &'a Variant,
    pub(super) asks: &'a [Ask],
    pub(super) cache: &'b mut Cache,
    pub(super) sink: &'b mut Sink<'s>,
}

/// What was said the first time, by task and whether tokens were drawn.
type First = BTreeMap<(usize, bool), Vec<u32>>;

impl Repeating<'_, '_, '_> {
    /// Asks again what the configuration wants asked again.
    pub(super) fn run(&mut self) -> Result<Vec<Repeat>, Cut> {
        let again = self.pass.again;
        let mut repeats = Vec::new();
        let mut first = First::new();
        let tasks = self.tasks(again.determinism);
        let one = threads(self.variant);
        let other = other_threads(one);
        for (threads, ways) in [
            (one, &[Way::First, Way::SameProcess][..]),
            (one, &[Way::OtherProcess][..]),
            (other, &[Way::Threads(other)][..]),
        ] {
            let orders: Vec<(usize, Way, Order)> = ways
                .iter()
                .flat_map(|way| tasks.iter().map(move |task| (*task, *way)))
                .flat_map(|(task, way)| {
                    [Sampling::default(), again.sampling]
                        .map(|sampling| (task, way, self.order(task, sampling, 0)))
                })
                .collect();
            self.process(threads, &orders, &mut first, &mut repeats)?;
        }
        let drawn: Vec<(usize, Way, Order)> = self
            .tasks(again.repeated)
            .into_iter()
            .flat_map(|task| (1..=again.times).map(move |time| (task, time)))
            .map(|(task, time)| (task, Way::Seed(time), self.order(task, again.sampling, time)))
            .collect();
        self.process(one, &drawn, &mut first, &mut repeats)?;
        Ok(repeats)
    }

    /// Free-running tasks, spread evenly over all.
    fn tasks(&self, count: u32) -> Vec<usize> {
        let free: Vec<usize> = (0..self.asks.len())
            .filter(|task| matches!(self.asks[*task], Ask::Generate(_)))
            .collect();
        let count = (count as usize).min(free.len());
        (0..count).map(|index| free[index * free.len() / count]).collect()
    }

    fn order(&self, task: usize, sampling: Sampling, time: u32) -> Order {
        let Ask::Generate(order) = &self.asks[task] else { unreachable!("only these are taken") };
        let seed = order.seed.wrapping_add(u64::from(time));
        Order { sampling, seed, ..order.clone() }
    }

    /// Asks in one process of its own, which is started only if something is not in the cache.
    fn process(
        &mut self,
        threads: usize,
        orders: &[(usize, Way, Order)],
        first: &mut First,
        repeats: &mut Vec<Repeat>,
    ) -> Result<(), Cut> {
        let keys: Vec<String> = orders.iter().map(|(_, way, order)| key(order, *way)).collect();
        let known: Vec<Option<Given>> = keys.iter().map(|key| self.cache.get(key)).collect();
        // What is to be the same in one process is asked in one process, or not at all.
        let alone = orders.iter().all(|(_, way, _)| matches!(way, Way::Seed(_)));
        let usable = alone || known.iter().all(Option::is_some);
        let mut variant = self.variant.clone();
        set_threads(&mut variant, threads);
        let mut server = Server::new(self.pass.workers, &variant);
        let all = || -> Result<(), Cut> {
            for (((task, way, order), key), known) in orders.iter().zip(keys).zip(known) {
                let known = known.filter(|_| usable);
                let cached = known.is_some();
                let outcome = match known {
                    Some(given) => Ok(given.tokens),
                    None => {
                        let outcome = server.ask_one(order, self.sink)?;
                        outcome.and_then(|tokens| as_asked(*way, server.threads(), tokens))
                    }
                };
                if let (Ok(tokens), false) = (&outcome, cached) {
                    self.cache.put(key, Given::of(tokens)).map_err(Cut::NotSaved)?;
                }
                let asked = (*task, *way, order);
                let repeat = repeat(self.pass, self.variant, asked, outcome, cached, first);
                (self.sink)(&Entry::Repeat(repeat.clone())).map_err(Cut::NotSaved)?;
                repeats.push(repeat);
            }
            Ok(())
        };
        let done = all();
        server.stop(self.sink)?;
        done
    }
}

/// By what the cache knows an answer that is asked for again. Answers with another number of threads that earlier versions
/// kept were not read back, and are not taken.
fn key(order: &Order, way: Way) -> String {
    match way {
        Way::Threads(_) => cache::key(&(order, way, "threads read back")),
        _ => cache::key(&(order, way)),
    }
}

/// The property that stands before a variant's `threads`, where it is set.
const THREADS: &str = "INFERENCE_NUM_THREADS";

/// The number of threads that a variant asks for.
fn threads(variant: &Variant) -> usize {
    let property = variant.load.properties.get(THREADS).and_then(|value| value.parse().ok());
    property.unwrap_or(variant.load.threads)
}

/// Another number of threads.
fn other_threads(threads: usize) -> usize {
    if threads == 1 { 2 } else { 1 }
}

fn set_threads(variant: &mut Variant, threads: usize) {
    variant.load.threads = threads;
    if let Some(property) = variant.load.properties.get_mut(THREADS) {
        *property = threads.to_string();
    }
}

/// An answer, unless it was to be given with another number of threads than the engine says that it has. An engine that does
/// not say is taken at its word.
fn as_asked(way: Way, effective: Option<usize>, tokens: Vec<u32>) -> Result<Vec<u32>, Failure> {
    match (way, effective) {
        (Way::Threads(asked), Some(effective)) if asked != effective => Err(Failure {
            class: FailureClass::Unsupported,
            message: format!(
                "{asked} threads were asked for, and the engine runs with {effective}"
            ),
        }),
        _ => Ok(tokens),
    }
}

/// What asking again came to.
fn repeat(
    pass: &Pass<'_>,
    variant: &Variant,
    (task, way, order): (usize, Way, &Order),
    outcome: Result<Vec<u32>, Failure>,
    cached: bool,
    first: &mut First,
) -> Repeat {
    let answer = pass.answer(&variant.name, task, order, outcome, cached);
    let key = (task, !order.sampling.is_greedy());
    let diverges_at = match way {
        Way::Seed(_) => None,
        Way::First => {
            if answer.failure.as_ref().is_none_or(|failure| failure.class.is_answer()) {
                first.insert(key, answer.tokens.clone());
            }
            None
        }
        _ => first.get(&key).and_then(|first| divergence(first, &answer.tokens)),
    };
    Repeat {
        variant: answer.variant,
        task: answer.task,
        way,
        sampling: order.sampling,
        tokens: answer.tokens,
        diverges_at,
        grade: answer.grade,
        cached,
        failure: answer.failure,
    }
}

/// The first place, from 0, at which two sequences differ; one that is cut short differs behind its end.
pub fn divergence(a: &[u32], b: &[u32]) -> Option<u32> {
    let place = a.iter().zip(b).position(|(a, b)| a != b);
    match place {
        Some(place) => Some(place as u32),
        None if a.len() == b.len() => None,
        None => Some(a.len().min(b.len()) as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_other_threads_than_were_asked_for_is_none() {
        let given = |way, effective| as_asked(way, effective, vec![7]);
        assert_eq!(given(Way::Threads(1), Some(1)), Ok(vec![7]));
        assert_eq!(given(Way::Threads(1), None), Ok(vec![7]), "the engine does not say");
        assert_eq!(given(Way::OtherProcess, Some(2)), Ok(vec![7]));
        let other = given(Way::Threads(1), Some(2)).unwrap_err();
        assert_eq!(other.class, FailureClass::Unsupported);
        assert_eq!(other.message, "1 threads were asked for, and the engine runs with 2");
    }

    #[test]
    fn sequences_diverge_where_they_differ_first() {
        assert_eq!(divergence(&[1, 2, 3], &[1, 2, 3]), None);
        assert_eq!(divergence(&[1, 2, 3], &[1, 9, 3]), Some(1));
        assert_eq!(divergence(&[1, 2], &[1, 2, 3]), Some(2));
        assert_eq!(divergence(&[], &[]), None);
        assert_eq!(divergence(&[], &[1]), Some(0));
    }
}
