//! Owns `perfgate bisect`: the commit that broke a rule, each one measured in lockstep beside a good one.

use super::measure::{self, Wanted};
use super::render;
use super::{BisectArguments, exit, plan};
use crate::git::{About, Id, Repo};
use crate::hash;
use crate::policy;
use crate::problem::{Problem, Result};
use crate::record::{Part, Verdict};
use crate::report::{self, Step};
use crate::session;
use std::collections::BTreeMap;
use std::path::Path;

/// Searches between two commits.
pub(super) fn bisect(arguments: &BisectArguments) -> Result<u8> {
    let folder = arguments.setting.config.parent().filter(|folder| !folder.as_os_str().is_empty());
    let repo = Repo::find(folder.unwrap_or(Path::new(".")))?;
    let good = repo.resolve(&arguments.good)?;
    let line = repo.line(good, repo.resolve(&arguments.bad)?)?;
    let mut search = Search {
        arguments,
        repo: &repo,
        good,
        line: &line,
        tried: BTreeMap::new(),
        known: Vec::new(),
    };
    let found = search.run()?;
    let sheet = report::of_bisection(&arguments.rule, &repo.about(good)?, &search.steps(), &found);
    render::print_sheet(&sheet, arguments.display.format, arguments.display.loudness.verbose)?;
    Ok(if found.len() == 1 { exit::HOLDS } else { exit::UNDECIDED })
}

/// What one commit came to.
#[derive(Debug, Clone)]
struct Tried {
    verdict: Option<Verdict>,
    /// In words, where there is no verdict, or it comes from another commit.
    note: String,
}

impl Tried {
    /// Whether the rule is broken; nothing where that is not known.
    fn broken(&self) -> Option<bool> {
        let verdict = self.verdict.as_ref()?.verdict;
        verdict.decided().then(|| verdict.beyond())
    }
}

struct Search<'a> {
    arguments: &'a BisectArguments,
    repo: &'a Repo,
    good: Id,
    /// The commits after the good one, oldest first; the last is the bad one.
    line: &'a [About],
    /// By place in the line.
    tried: BTreeMap<usize, Tried>,
    /// What was measured, by what makes the difference.
    known: Vec<(String, usize)>,
}

impl Search<'_> {
    /// The commits of which one broke the rule: a single one if every step was decided.
    fn run(&mut self) -> Result<Vec<About>> {
        let last = self.line.len() - 1;
        if self.attempt(last)? != Some(true) {
            let tried = &self.tried[&last];
            let came = tried
                .verdict
                .as_ref()
                .map_or(tried.note.clone(), |v| format!("{}; {}", v.verdict, v.reason));
            let what = format!(
                "'{}' is not shown to be broken at {}, held against {}: {came}",
                self.arguments.rule, self.arguments.bad, self.arguments.good
            );
            return Err(Problem::new(what).help("name two commits between which it breaks; more rounds (--rounds N) find smaller changes"));
        }
        // Everything before `low` is good, `high` is bad.
        let (mut low, mut high) = (0, last);
        while let Some(place) = self.next(low, high) {
            match self.attempt(place)? {
                Some(true) => high = place,
                Some(false) => low = place + 1,
                None => {}
            }
        }
        Ok(self.line[low..=high].to_vec())
    }

    /// The commit nearest to the middle that was not tried yet.
    fn next(&self, low: usize, high: usize) -> Option<usize> {
        let middle = low + (high - low) / 2;
        (low..high)
            .filter(|place| !self.tried.contains_key(place))
            .min_by_key(|place| place.abs_diff(middle))
    }

    /// Measures one commit beside the good one; what cannot be measured is passed over.
    fn attempt(&mut self, place: usize) -> Result<Option<bool>> {
        let about = &self.line[place];
        if !self.arguments.display.loudness.quiet {
            let id = about.id.to_string();
            render::tell(&format!(
                "bisect: {} {} {}",
                hash::short(&id, 12),
                about.day,
                about.subject
            ));
        }
        let thresholds = self.arguments.setting.thresholds_file();
        let files = [self.arguments.setting.config.as_path(), &thresholds];
        let rule = &self.arguments.rule;
        let prepared = policy::between(self.repo, [self.good, about.id], files, rule)
            .and_then(|setup| measure::prepare(setup, &self.arguments.measuring));
        let tried = match prepared {
            Ok(prepared) => self.measure(prepared, place)?,
            // What is wrong with the good commit is wrong with every step.
            Err(problem) if place + 1 == self.line.len() => return Err(problem),
            Err(problem) => {
                Tried { verdict: None, note: Problem { help: None, ..problem }.to_string() }
            }
        };
        let broken = tried.broken();
        self.tried.insert(place, tried);
        Ok(broken)
    }

    fn measure(&mut self, mut prepared: session::Prepared, place: usize) -> Result<Tried> {
        let setup_key = key(&prepared);
        if let Some((_, same)) = self.known.iter().find(|(key, _)| *key == setup_key) {
            let id = self.line[*same].id.to_string();
            let note = format!("as {}: the same set-up", hash::short(&id, 12));
            return Ok(Tried { note, ..self.tried[same].clone() });
        }
        let forecast = session::plan_looks(&mut prepared, None);
        let verdict = if prepared.header.plan.variants.len() < 2 {
            // Nothing to measure: it is the good one, or its model is not known.
            let part = Part::begin(prepared.header.clone());
            session::judged(vec![part], &prepared.setup, &[], &prepared.stored)
        } else {
            if !self.arguments.display.loudness.quiet {
                render::tell(&plan::looks(&prepared, &forecast));
            }
            let wanted = Wanted {
                measuring: &self.arguments.measuring,
                loudness: &self.arguments.display.loudness,
            };
            let done = measure::measure(&mut prepared, &wanted)?;
            let results = session::judged(vec![done.part], &prepared.setup, &[], &prepared.stored);
            measure::save(&results, &[&done.folder.join("benchmark_results.json")])?;
            results
        };
        let verdict = verdict.judgement.and_then(|judgement| judgement.verdicts.into_iter().next());
        self.known.push((setup_key, place));
        Ok(Tried { verdict, note: String::new() })
    }

    fn steps(&self) -> Vec<Step> {
        let step = |(place, tried): (&usize, &Tried)| Step {
            commit: self.line[*place].clone(),
            verdict: tried.verdict.clone(),
            note: tried.note.clone(),
        };
        self.tried.iter().map(step).collect()
    }
}

/// Everything that makes a difference between two set-ups of the same rule.
fn key(prepared: &session::Prepared) -> String {
    let header = &prepared.header;
    let records = serde_json::to_string(&header.variants).expect("plain data");
    let absent = serde_json::to_string(&header.plan.absent).expect("plain data");
    let prompts: Vec<_> =
        header.plan.variants.iter().map(|name| prepared.prompts.of(name)).collect();
    let graded = prepared.graded.as_ref().map(|graded| &graded.asks);
    hash::of_bytes(format!("{records}{absent}{prompts:?}{graded:?}").as_bytes())
}
