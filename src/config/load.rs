//! Owns the schema of `[sustained]` and `[concurrency]`: what variants are put under for longer, and by several
//! requests at once.

use super::perfgate_toml::known_name;
use crate::document::{Node, Table};
use crate::problem::{Problem, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Load for minutes: one request behind the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Sustained {
    /// Seconds of each variant.
    pub seconds: f64,
    /// The variants.
    pub variants: Vec<String>,
}

/// Several requests at once: closed loops, open loops, a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Concurrency {
    /// The variants.
    pub variants: Vec<String>,
    /// The numbers of streams of the closed loops, each once, rising.
    pub streams: Vec<u32>,
    /// Duration of each loop, seconds.
    pub seconds: f64,
    /// Arrivals per second of the open loops, each once, rising.
    pub rates: Vec<f64>,
    /// Streams that serve an open loop.
    pub servers: u32,
    /// Seed of the arrivals.
    pub seed: u64,
    /// What P99 of the latency may be.
    pub p99: Option<Duration>,
    /// The search for the highest rate that keeps to it.
    pub search: Option<Search>,
}

/// The search for the highest rate at which P99 keeps to its limit.
#[derive(Debug, Clone)]
pub struct Search {
    /// Most seconds that it takes for each variant.
    pub seconds: f64,
    /// The file, and where in it the search is asked for.
    place: (PathBuf, usize),
}

impl PartialEq for Search {
    /// Where it is asked for makes no other search of it.
    fn eq(&self, other: &Search) -> bool {
        self.seconds == other.seconds
    }
}

impl Search {
    /// The complaint that there is no limit to search with. `rules` tells whether any were read.
    pub fn without_limit(&self, rules: bool) -> Problem {
        let (file, line) = &self.place;
        let what = "the search needs a limit of the latency's P99, and there is none".to_string();
        let rule = "latency-p99 = { metric = \"latency\", statistic = \"p99\", max = \"2 s\" }";
        Problem::in_file(file, what).at(*line, 1).help(match rules {
            true => {
                format!("add p99 = \"2s\" to [concurrency], or a rule to thresholds.toml: {rule}")
            }
            false => "add p99 = \"2s\" to [concurrency]; `perfgate run` reads no rules".to_string(),
        })
    }
}

/// Longest load, seconds.
const LONGEST: f64 = 7.0 * 24.0 * 3600.0;

/// Most streams: each is a thread.
const MOST_STREAMS: u64 = 256;

/// Reads `[sustained]`. `known` are the variants of the file.
pub(super) fn sustained(node: &Node<'_>, known: &[&str]) -> Result<Sustained> {
    let mut table = node.table()?;
    let minutes = table.need("minutes")?;
    let seconds = positive(&minutes, LONGEST / 60.0)? * 60.0;
    let variants = variants(&mut table, known)?;
    table.finish()?;
    Ok(Sustained { seconds, variants })
}

/// Reads `[concurrency]`. `seed` is the workload's.
pub(super) fn concurrency(
    node: &Node<'_>,
    known: &[&str],
    seed: u64,
    file: &Path,
) -> Result<Concurrency> {
    let mut table = node.table()?;
    let variants = variants(&mut table, known)?;
    let streams = match table.take("streams") {
        None => Vec::new(),
        Some(node) => {
            let level = |node: &Node<'_>| Ok(node.integer(1, MOST_STREAMS)? as u32);
            each_once(&node, node.list()?.iter().map(level).collect::<Result<Vec<u32>>>()?)?
        }
    };
    let seconds = positive(&table.need("seconds")?, LONGEST)?;
    let rates = match table.take("rates") {
        None => Vec::new(),
        Some(node) => {
            let rate = |node: &Node<'_>| positive(node, MOST_RATE);
            each_once(&node, node.list()?.iter().map(rate).collect::<Result<Vec<f64>>>()?)?
        }
    };
    let servers = match table.take("servers") {
        Some(node) => node.integer(1, MOST_STREAMS)? as u32,
        None => streams.last().copied().unwrap_or(1),
    };
    let seed = table.take("seed").map_or(Ok(seed), |node| node.integer(0, u64::MAX))?;
    let p99 = table.take("p99").map(|node| node.duration()).transpose()?;
    let search = search(&mut table, file)?;
    table.finish()?;
    if streams.is_empty() && rates.is_empty() && search.is_none() {
        return Err(node
            .problem("[concurrency] asks for no load")
            .help("add streams = [1, 2, 4], or rates = [0.5, 1.0], or search = true"));
    }
    Ok(Concurrency { variants, streams, seconds, rates, servers, seed, p99, search })
}

/// Most arrivals per second: the schedule of all of them is made beforehand.
const MOST_RATE: f64 = 10_000.0;

fn search(table: &mut Table<'_>, file: &Path) -> Result<Option<Search>> {
    let asked = table.take("search");
    let seconds = table.take("search_seconds");
    let wanted = asked.as_ref().map_or(Ok(false), Node::truth)?;
    match (asked, seconds) {
        (Some(node), seconds) if wanted => Ok(Some(Search {
            seconds: seconds.map_or(Ok(600.0), |node| positive(&node, LONGEST))?,
            place: (file.to_path_buf(), node.line()),
        })),
        (_, Some(node)) => Err(node
            .problem("'search_seconds' does nothing without a search")
            .help("add search = true, or leave it out")),
        (_, None) => Ok(None),
    }
}

/// The variants that a table names, in the order of the file, each once; all of them where it names none.
fn variants(table: &mut Table<'_>, known: &[&str]) -> Result<Vec<String>> {
    let Some(node) = table.take("variants") else {
        return Ok(known.iter().map(ToString::to_string).collect());
    };
    let asked =
        node.list()?.iter().map(|node| known_name(node, known)).collect::<Result<Vec<_>>>()?;
    if asked.is_empty() {
        return Err(node
            .problem("no variant is named")
            .help("name some, or leave 'variants' out for all of them"));
    }
    let in_order = known.iter().filter(|name| asked.iter().any(|one| one == *name));
    Ok(in_order.map(ToString::to_string).collect())
}

/// A number above 0.
fn positive(node: &Node<'_>, most: f64) -> Result<f64> {
    let value = node.number()?;
    if value > 0.0 && value <= most {
        return Ok(value);
    }
    Err(node
        .problem(format!("{} is {value}; it should be above 0, and at most {most}", node.name()))
        .help("write a number such as 5 or 0.5"))
}

/// Numbers in rising order; two of the same are a slip.
fn each_once<T: PartialOrd + Copy + std::fmt::Display>(
    node: &Node<'_>,
    mut list: Vec<T>,
) -> Result<Vec<T>> {
    list.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    if let Some(pair) = list.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(node
            .problem(format!("{} stands twice in {}", pair[0], node.name()))
            .help("write each number once"));
    }
    if list.is_empty() {
        return Err(node
            .problem(format!("{} is empty", node.name()))
            .help("name a number, or leave it out"));
    }
    Ok(list)
}
