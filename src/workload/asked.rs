//! Owns the graded tasks as they are asked: which of them, what each variant is fed, and where an answer stops.

use super::chat::is_space;
use super::formats::read_tasks;
use super::grade::{GRADERS, grade_reasoned, opened_by};
use super::stops::Stops;
use super::{Chat, Expectation, GradedTask, Outcome, Task, Vocabulary, grade, read_text, template};
use crate::config::{NoCallRule, Quality, TaskSample, TaskSet, Variant, Workload};
use crate::engine::shared_prefix;
use crate::hash;
use crate::problem::{Problem, Result};
use crate::protocol::Order;
use crate::record::Labels;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// How much of a prompt's end is kept for a person who looks at its answers, characters.
const TAIL: usize = 200;

/// What a variant is asked for one task.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// An answer, free running.
    Generate(Order),
    /// How probable each choice is.
    Choose {
        /// Prompt token ids.
        prompt: Vec<u32>,
        /// Token ids of each choice.
        choices: Vec<Vec<u32>>,
    },
}

impl Ask {
    /// The prompt's token ids.
    pub fn prompt(&self) -> &[u32] {
        match self {
            Ask::Generate(order) => &order.prompt,
            Ask::Choose { prompt, .. } => prompt,
        }
    }
}

/// The graded tasks, ready to be asked and graded.
#[derive(Debug, Clone)]
pub struct Graded {
    /// Ids of the tasks, in order.
    pub ids: Vec<String>,
    /// Suites and tags of the tasks that have some.
    pub labels: BTreeMap<String, Labels>,
    /// Suites and tags of those too that are not asked this time.
    pub all_labels: BTreeMap<String, Labels>,
    /// What is expected, by task.
    pub expectations: Vec<Expectation>,
    /// The end of each prompt, by task.
    pub tails: Vec<String>,
    /// What each variant is asked, by task, in the order of the configuration.
    pub asks: Vec<(String, Vec<Ask>)>,
    /// The tasks of each set, which are asked in the same way.
    pub sets: Vec<Range<usize>>,
    /// How many tokens the free-running prompts of each set begin with, by variant.
    pub shared: BTreeMap<String, Vec<usize>>,
    /// Tasks of which these were taken.
    pub of: usize,
    /// Most tokens of an answer, of all sets.
    pub max_tokens: u32,
    /// The place of each task among all, by task.
    pub places: Vec<u32>,
    /// SHA-256 of tasks, expectations, templates and generation parameters.
    pub source_sha256: String,
    /// The same with which tasks were taken.
    pub sha256: String,
    /// What is doubtful about the stop strings, in sentences by variant.
    pub doubts: BTreeMap<String, Vec<String>>,
    /// Strings that end an answer, by set.
    stops: Vec<Vec<String>>,
    /// By variant and task, the mark that ends the reasoning which the prompt begins, if it begins one.
    reasoning: BTreeMap<String, Vec<Option<&'static str>>>,
    vocabularies: BTreeMap<String, Vocabulary>,
}

impl Graded {
    /// The text of a variant's answer to a task, cut at the first stop string; and whether it ended, by one or by a
    /// stop token.
    pub fn text(&self, variant: &str, task: usize, tokens: &[u32]) -> (String, bool) {
        let text = self.vocabularies[variant].decode(tokens);
        let set = self.sets.iter().position(|set| set.contains(&task)).unwrap_or(0);
        let end = self.stops[set].iter().filter_map(|stop| text.find(stop.as_str())).min();
        let ask = self.asks.iter().find(|(name, _)| name == variant).map(|(_, asks)| &asks[task]);
        let by_token = match (ask, tokens.last()) {
            (Some(Ask::Generate(order)), Some(last)) => order.stop.contains(last),
            _ => false,
        };
        (text[..end.unwrap_or(text.len())].to_string(), end.is_some() || by_token)
    }

    /// Grades the text that [`Graded::text`] made of an answer.
    pub fn grade(&self, variant: &str, task: usize, tokens: &[u32], text: &str) -> Outcome {
        let expected = &self.expectations[task];
        let Some(close) = self.reasoning[variant][task] else { return grade(expected, text) };
        // A mark that is a special token stands in no text; the answer is what follows the token.
        let vocabulary = &self.vocabularies[variant];
        let hidden = vocabulary.id_of(close).filter(|id| vocabulary.decode(&[*id]).is_empty());
        let at = hidden.and_then(|id| tokens.iter().position(|token| *token == id));
        let answer = at.and_then(|at| text.strip_prefix(vocabulary.decode(&tokens[..at]).as_str()));
        match answer {
            Some(answer) if !expected.names_reasoning() => grade(expected, answer),
            // For a pattern or text that names the mark it stands nowhere, as without a beginning in the prompt.
            Some(_) => grade(expected, text),
            None => grade_reasoned(expected, text, close),
        }
    }

    /// Ids of the tasks whose answers are right where they cannot be read.
    pub fn lenient(&self) -> Vec<String> {
        let both = self.ids.iter().zip(&self.expectations);
        both.filter(|(_, expected)| expected.is_lenient()).map(|(id, _)| id.clone()).collect()
    }
}

/// Reads the graded tasks, takes the sample of them, and makes the token ids of each variant that answers them.
///
/// # Errors
/// If the tasks, a tokenizer or a template are missing or wrong, or the sample holds none.
pub fn prepare_graded(
    quality: &Quality,
    workload: &Workload,
    variants: &[Variant],
) -> Result<Graded> {
    let mut identity =
        format!("{}\0{}\0{}\0{GRADERS}", workload.seed, workload.sampling, quality.batch);
    let (mut all, mut templates) = (Vec::new(), Vec::new());
    for set in &quality.sets {
        let (tasks, template) = read_set(set, &mut identity)?;
        all.push(tasks);
        templates.push(template);
    }
    ids_are_unique(quality, &all)?;
    let all_labels = labels(all.iter().flatten());
    let of = all.iter().map(Vec::len).sum();
    let taken = take(&quality.sample, &all);
    if taken.iter().all(Vec::is_empty) {
        return Err(no_task(&quality.sample, &all_labels));
    }
    let source_sha256 = hash::of_bytes(identity.as_bytes());
    let prompted: Vec<Prompted<'_>> = quality
        .sets
        .iter()
        .zip(&templates)
        .zip(&taken)
        .map(|((set, template), tasks)| Prompted::new(set, template.as_deref(), tasks))
        .collect::<Result<_>>()?;
    let (mut asks, mut shared, mut vocabularies) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let (mut reasoning, mut stops) = (BTreeMap::new(), Stops::default());
    for variant in variants.iter().filter(|v| quality.variants.contains(&v.name)) {
        let vocabulary = Vocabulary::of(variant)?;
        let (mut of_variant, mut begins) = (Vec::new(), Vec::new());
        let mut opened: Vec<Option<&'static str>> = Vec::new();
        for set in &prompted {
            let (of_set, begin) =
                set.asks(workload, variant, &vocabulary, &mut stops, &mut opened)?;
            of_variant.extend(of_set);
            begins.push(begin);
        }
        reasoning.insert(variant.name.clone(), opened);
        asks.push((variant.name.clone(), of_variant));
        shared.insert(variant.name.clone(), begins);
        vocabularies.insert(variant.name.clone(), vocabulary);
    }
    stops.can_all_be_met()?;
    let tasks: Vec<&GradedTask> = taken.iter().flatten().copied().collect();
    let ids: Vec<String> = tasks.iter().map(|task| task.id.clone()).collect();
    Ok(Graded {
        places: places(&ids, &all),
        sha256: sha256_of_tasks(&source_sha256, &ids),
        source_sha256,
        ids,
        labels: labels(tasks.iter().copied()),
        all_labels,
        expectations: tasks.iter().map(|task| task.expectation.clone()).collect(),
        tails: tasks.iter().map(|task| tail(&task.prompt)).collect(),
        asks,
        sets: ranges(&taken),
        shared,
        of,
        max_tokens: quality.sets.iter().map(|set| set.max_tokens).max().unwrap_or(0),
        doubts: stops.doubts(),
        stops: quality.sets.iter().map(|set| set.stop.clone()).collect(),
        reasoning,
        vocabularies,
    })
}

/// What identifies some tasks of a source, see [`Graded`].
pub fn sha256_of_tasks(source_sha256: &str, ids: &[String]) -> String {
    hash::of_bytes(format!("{source_sha256}\0{}", ids.join("\0")).as_bytes())
}

/// The places of some tasks among all.
fn places(ids: &[String], all: &[Vec<GradedTask>]) -> Vec<u32> {
    let all = all.iter().flatten().map(|task| task.id.as_str());
    let places: BTreeMap<&str, u32> = all.zip(0..).collect();
    ids.iter().map(|id| places[id.as_str()]).collect()
}

/// The tasks of one set, and the template around their prompts; what they depend on is added to `identity`.
fn read_set(set: &TaskSet, identity: &mut String) -> Result<(Vec<GradedTask>, Option<String>)> {
    let text = read_text(&set.tasks, "[quality] tasks")?;
    let answers = match &set.answers {
        Some(file) => Some((file.as_path(), read_text(file, "[quality] answers")?)),
        None => None,
    };
    let given = answers.as_ref().map(|(file, text)| (*file, text.as_str()));
    let mut tasks = read_tasks(set.format, &set.tasks, &text, given)?;
    for task in &mut tasks {
        task.suite = task.suite.take().or_else(|| set.suite.clone());
        if let Expectation::NoCall(no_call) = &mut task.expectation {
            no_call.under(set.no_call);
        }
    }
    let around = match &set.prompt_template {
        Some(file) => Some(read_text(file, "[quality] prompt_template")?),
        None => None,
    };
    *identity += &format!(
        "\0{}\0{}\0{around:?}\0{}\0{:?}",
        hash::of_bytes(text.as_bytes()),
        answers.map_or(String::new(), |(_, text)| hash::of_bytes(text.as_bytes())),
        set.max_tokens,
        set.stop
    );
    if set.no_call == NoCallRule::Leaderboard {
        *identity += "\0no_call by the leaderboard";
    }
    Ok((tasks, around))
}

/// By its id a task's results are compared, so no two files may share one.
fn ids_are_unique(quality: &Quality, all: &[Vec<GradedTask>]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (set, tasks) in quality.sets.iter().zip(all) {
        if let Some(task) = tasks.iter().find(|task| !seen.insert(task.id.as_str())) {
            let what = format!("the id '{}' stands in another file of tasks too", task.id);
            return Err(Problem::in_file(&set.tasks, what).help("give each task an id of its own"));
        }
    }
    Ok(())
}

fn labels<'a>(tasks: impl Iterator<Item = &'a GradedTask>) -> BTreeMap<String, Labels> {
    super::labels(tasks.map(|task| (&task.id, &task.suite, &task.tags)))
}

/// The tasks of a sample, by set and in the order of the files.
///
/// Tasks are ranked by the hash of their ids, and the first of them taken: so the sample is the same each time, a
/// smaller one lies within a larger one, and a task that is added changes it by one at most.
fn take<'a>(sample: &TaskSample, all: &'a [Vec<GradedTask>]) -> Vec<Vec<&'a GradedTask>> {
    let selected = |task: &&GradedTask| {
        let of_suite = task.suite.as_ref().is_some_and(|suite| sample.suites.contains(suite));
        (sample.suites.is_empty() || of_suite)
            && sample.tags.iter().all(|tag| task.tags.contains(tag))
    };
    let mut ranked: Vec<(String, &str)> = all
        .iter()
        .flatten()
        .filter(selected)
        .map(|task| (hash::of_bytes(task.id.as_bytes()), task.id.as_str()))
        .collect();
    ranked.sort_unstable();
    ranked.truncate(sample.limit.map_or(usize::MAX, |limit| limit as usize));
    let in_shard = |rank: usize| match sample.shard {
        Some((part, of)) => rank % of as usize == part as usize - 1,
        None => true,
    };
    let ranked = ranked.iter().enumerate().filter(|(rank, _)| in_shard(*rank));
    let taken: BTreeSet<&str> = ranked.map(|(_, (_, id))| *id).collect();
    all.iter()
        .map(|tasks| tasks.iter().filter(|task| taken.contains(task.id.as_str())).collect())
        .collect()
}

fn no_task(sample: &TaskSample, labels: &BTreeMap<String, Labels>) -> Problem {
    let suites: BTreeSet<&str> =
        labels.values().filter_map(|labels| labels.suite.as_deref()).collect();
    let tags: BTreeSet<&str> =
        labels.values().flat_map(|labels| labels.tags.iter().map(String::as_str)).collect();
    let list = |words: BTreeSet<&str>| words.into_iter().collect::<Vec<_>>().join(", ");
    Problem::new(format!("no graded task is of {sample}")).help(format!(
        "the suites are: {}; the tags are: {}",
        list(suites),
        list(tags)
    ))
}

/// The places of each set's tasks among all.
fn ranges(taken: &[Vec<&GradedTask>]) -> Vec<Range<usize>> {
    let mut start = 0;
    taken
        .iter()
        .map(|tasks| {
            let range = start..start + tasks.len();
            start = range.end;
            range
        })
        .collect()
}

/// The end of a prompt, of [`TAIL`] characters at most.
fn tail(prompt: &str) -> String {
    let all = prompt.chars().count();
    let end: String = prompt.chars().skip(all.saturating_sub(TAIL)).collect();
    if all > TAIL { format!("…{end}") } else { end }
}

/// The tasks of one set with its template around their prompts.
struct Prompted<'a> {
    set: &'a TaskSet,
    tasks: Vec<(&'a GradedTask, Task)>,
    /// Two prompts of that template that share nothing but it; none without a task.
    probes: Option<[Task; 2]>,
}

impl<'a> Prompted<'a> {
    fn new(
        set: &'a TaskSet,
        around: Option<&str>,
        taken: &[&'a GradedTask],
    ) -> Result<Prompted<'a>> {
        let task = |of: &GradedTask, prompt: &str| -> Result<Task> {
            let prompt = match set.prompt_template.as_deref().zip(around) {
                Some((file, around)) => template::fill(file, around, prompt)?,
                None => prompt.to_string(),
            };
            let (id, system) = (of.id.clone(), of.system.clone());
            Ok(Task { id, system, prompt, suite: None, tags: Vec::new() })
        };
        let probes = match taken.first() {
            Some(first) => Some([task(first, "a")?, task(first, "7")?]),
            None => None,
        };
        let with = |of: &&'a GradedTask| Ok((*of, task(of, &of.prompt)?));
        Ok(Prompted { set, tasks: taken.iter().map(with).collect::<Result<_>>()?, probes })
    }

    /// What a variant is asked, and how many tokens all free-running prompts of the set begin with. That is what the
    /// template is before the prompt, whichever tasks were taken: so that an answer, which with some engines depends
    /// on where its prompt is split, does not depend on the sample.
    ///
    /// To `opened` is added for each task which mark ends the reasoning that its prompt begins.
    fn asks(
        &self,
        workload: &Workload,
        variant: &Variant,
        vocabulary: &Vocabulary,
        stops: &mut Stops,
        opened: &mut Vec<Option<&'static str>>,
    ) -> Result<(Vec<Ask>, usize)> {
        let chat = Chat::of_variant(variant)?;
        let special = chat.is_none();
        let text = |task: &Task| super::prompt_text(task, variant, chat.as_ref());
        let encode = |text: &str| vocabulary.encode(variant, text, special);
        let stop = vocabulary.stop_tokens(variant, &self.set.stop)?;
        let mut asks = Vec::new();
        for (task, prompt) in &self.tasks {
            let text = text(prompt)?;
            opened.push(opened_by(&text));
            asks.push(match &task.expectation {
                Expectation::Choice(choice) => {
                    let pairs = Pairs { variant, vocabulary, special };
                    pairs.choose(&text, choice.continuations()).map_err(|problem| {
                        problem.of(&format!("variant '{}', task '{}'", variant.name, task.id))
                    })?
                }
                _ => {
                    stops.look(variant, vocabulary, &self.set.stop, &text)?;
                    Ask::Generate(Order {
                        prompt: encode(&text)?,
                        tokens: self.set.max_tokens,
                        stop: stop.clone(),
                        sampling: workload.sampling,
                        seed: super::request_seed(workload.seed, &task.id),
                    })
                }
            });
        }
        let mut begins = Vec::new();
        for probe in self.probes.iter().flatten() {
            begins.push(encode(&text(probe)?)?);
        }
        let free = asks.iter().filter(|ask| matches!(ask, Ask::Generate(_))).map(Ask::prompt);
        let shared = shared_prefix(begins.iter().map(Vec::as_slice).chain(free));
        Ok((asks, shared))
    }
}

/// How prompts and choices become the token ids of one variant.
struct Pairs<'a> {
    variant: &'a Variant,
    vocabulary: &'a Vocabulary,
    /// Whether the tokenizer puts its own tokens around a text.
    special: bool,
}

impl Pairs<'_> {
    /// A prompt with each of its choices, in token ids, as lm-evaluation-harness makes them (`_encode_pair`): blanks
    /// and line breaks at the prompt's end belong to the choice, and a choice is what is left of both together behind
    /// as many tokens as the prompt has by itself.
    ///
    /// # Errors
    /// If the prompt is blank, or nothing is left of a choice.
    fn choose(&self, text: &str, choices: impl Iterator<Item = String>) -> Result<Ask> {
        let prompt = text.trim_end_matches(is_space);
        let blanks = &text[prompt.len()..];
        let encode = |text: &str| self.vocabulary.encode(self.variant, text, self.special);
        let tokens = encode(prompt)?;
        if prompt.is_empty() || tokens.is_empty() {
            return Err(Problem::new(
                "the prompt is blank, and a choice is scored behind a prompt",
            )
            .help("give the task a prompt"));
        }
        let choices = choices.map(|choice| {
            let both = encode(&format!("{prompt}{blanks}{choice}"))?;
            match both.get(tokens.len()..) {
                Some(rest) if !rest.is_empty() => Ok(rest.to_vec()),
                _ => Err(Problem::new(format!(
                    "the tokenizer joins the choice '{choice}' to the end of the prompt, so nothing is left to score"
                ))
                .help("end the prompt otherwise, or write another `delimiter` between the two")),
            }
        });
        Ok(Ask::Choose { choices: choices.collect::<Result<_>>()?, prompt: tokens })
    }
}
