//! Owns the answers of one variant: asked for in batches, or found in the cache, then graded.

use super::Pass;
use super::cache::{Cache, Given, key};
use super::rows::MANNER;
use super::server::Server;
use crate::config::Variant;
use crate::engine;
use crate::protocol::Order;
use crate::record::{Answer, Entry, Failure, FailureClass, Grade, Rows};
use crate::runner::{Cut, Sink};
use crate::workload::{self, Ask, ChoiceScore, Expectation, Outcome};
use std::ops::Range;

/// The answers of one variant as they come.
pub(super) struct Answering<'a, 'b, 's> {
    pub(super) pass: &'a Pass<'a>,
    pub(super) variant: &'a Variant,
    pub(super) asks: &'a [Ask],
    pub(super) server: &'b mut Server<'a>,
    pub(super) cache: &'b mut Cache,
    pub(super) sink: &'b mut Sink<'s>,
    /// Whether the rows of its batches are independent, once that was looked for.
    pub(super) rows: Option<Rows>,
}

impl Answering<'_, '_, '_> {
    /// Every task of every set; the answers stand in the order of the tasks.
    pub(super) fn run(&mut self) -> Result<Vec<Answer>, Cut> {
        let mut answers: Vec<Option<Answer>> = vec![None; self.asks.len()];
        let graded = self.pass.graded;
        let shared = &graded.shared[&self.variant.name];
        for (set, shared) in graded.sets.iter().zip(shared) {
            self.choices(set.clone(), &mut answers)?;
            self.generated(set.clone(), *shared, &mut answers)?;
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// Questions with choices, whose choices are scored together where that is known to be right.
    fn choices(&mut self, set: Range<usize>, answers: &mut [Option<Answer>]) -> Result<(), Cut> {
        let shares_calls = engine::shares_calls(&self.variant.load);
        for task in set {
            let Ask::Choose { prompt, choices } = &self.asks[task] else { continue };
            let longest = prompt.len() + choices.iter().map(Vec::len).max().unwrap_or(0);
            let together = self.rows()?.allow(prompt.len().saturating_sub(1), longest, longest);
            let place = match (shares_calls, together) {
                (false, _) => key(&(prompt, choices)),
                (true, true) => key(&(MANNER, prompt, choices)),
                (true, false) => key(&("by itself", prompt, choices)),
            };
            let known = self.cache.get(&place);
            let cached = known.is_some();
            let scores = match known {
                Some(given) => Ok(given.log_likelihoods),
                None if together => self.server.score(prompt, choices, self.sink)?,
                None => self.server.score_apart(prompt, choices, self.sink)?,
            };
            if let (Ok(scores), false) = (&scores, cached) {
                let given = Given { log_likelihoods: scores.clone(), ..Given::default() };
                self.cache.put(place, given).map_err(Cut::NotSaved)?;
            }
            let answer = self.chosen(task, choices, scores, cached);
            self.done(task, answer, answers)?;
        }
        Ok(())
    }

    /// Free-running answers, in batches whose members do not depend on what is cached: so an answer is computed in
    /// the same way each time. Those of a batch are of similar length, since rows that share calls wait for the
    /// longest prompt.
    fn generated(
        &mut self,
        set: Range<usize>,
        prefix: usize,
        answers: &mut [Option<Answer>],
    ) -> Result<(), Cut> {
        let mut tasks: Vec<(usize, &Order)> = set
            .filter_map(|task| match &self.asks[task] {
                Ask::Generate(order) => Some((task, order)),
                Ask::Choose { .. } => None,
            })
            .collect();
        let batch = self.pass.batch.max(1) as usize;
        if batch == 1 || tasks.len() < 2 {
            return self.one_by_one(&tasks, answers);
        }
        let rows = self.rows()?;
        if engine::shares_calls(&self.variant.load) {
            tasks.sort_by_key(|(_, order)| order.prompt.len());
        }
        let allowed = |order: &Order| {
            let prompt = order.prompt.len();
            rows.allow(prefix, prompt, prompt + order.tokens as usize)
        };
        let (tasks, apart): (Vec<_>, Vec<_>) =
            tasks.into_iter().partition(|(_, order)| allowed(order));
        for group in tasks.chunks(batch) {
            match group.len() {
                1 => self.one_by_one(group, answers)?,
                _ => self.together(group, prefix, answers)?,
            }
        }
        self.one_by_one(&apart, answers)
    }

    /// Answers that are asked for together, or one by one if they do not come.
    fn together(
        &mut self,
        group: &[(usize, &Order)],
        prefix: usize,
        answers: &mut [Option<Answer>],
    ) -> Result<(), Cut> {
        let shares_calls = engine::shares_calls(&self.variant.load);
        // How rows that share calls are split into them depends on the lengths of all.
        let lengths: Vec<usize> = group.iter().map(|(_, order)| order.prompt.len()).collect();
        let place = |order: &Order| match shares_calls {
            false => key(&(order, self.pass.batch, prefix)),
            true => key(&(MANNER, order, prefix, &lengths)),
        };
        let keys: Vec<String> = group.iter().map(|(_, order)| place(order)).collect();
        let known: Option<Vec<Given>> = keys.iter().map(|key| self.cache.get(key)).collect();
        let cached = known.is_some();
        let outcomes = match known {
            Some(given) => given.into_iter().map(|given| Ok(given.tokens)).collect(),
            None => {
                let orders: Vec<Order> = group.iter().map(|(_, o)| (*o).clone()).collect();
                match self.server.ask_together(&orders, prefix, self.sink)? {
                    Some(outcomes) => outcomes,
                    None => return self.one_by_one(group, answers),
                }
            }
        };
        for ((outcome, key), (task, order)) in outcomes.into_iter().zip(keys).zip(group) {
            self.answered((*task, order), key, outcome, cached, answers)?;
        }
        Ok(())
    }

    fn one_by_one(
        &mut self,
        tasks: &[(usize, &Order)],
        answers: &mut [Option<Answer>],
    ) -> Result<(), Cut> {
        for (task, order) in tasks {
            let place = key(order);
            let known = self.cache.get(&place);
            let cached = known.is_some();
            let outcome = match known {
                Some(given) => Ok(given.tokens),
                None => self.server.ask_one(order, self.sink)?,
            };
            self.answered((*task, order), place, outcome, cached, answers)?;
        }
        Ok(())
    }

    /// Keeps and grades what came of a free-running task.
    fn answered(
        &mut self,
        (task, order): (usize, &Order),
        key: String,
        outcome: Result<Vec<u32>, Failure>,
        cached: bool,
        answers: &mut [Option<Answer>],
    ) -> Result<(), Cut> {
        if let (Ok(tokens), false) = (&outcome, cached) {
            self.cache.put(key, Given::of(tokens)).map_err(Cut::NotSaved)?;
        }
        let answer = self.pass.answer(&self.variant.name, task, order, outcome, cached);
        self.done(task, answer, answers)
    }

    fn done(
        &mut self,
        task: usize,
        answer: Answer,
        answers: &mut [Option<Answer>],
    ) -> Result<(), Cut> {
        (self.sink)(&Entry::Answer(answer.clone())).map_err(Cut::NotSaved)?;
        answers[task] = Some(answer);
        Ok(())
    }

    /// The answer to a question with choices.
    fn chosen(
        &self,
        task: usize,
        choices: &[Vec<u32>],
        scores: Result<Vec<f64>, Failure>,
        cached: bool,
    ) -> Answer {
        let graded = self.pass.graded;
        let mut answer = Answer {
            variant: self.variant.name.clone(),
            task: graded.ids[task].clone(),
            prompt_tokens: self.asks[task].prompt().len() as u32,
            tokens: Vec::new(),
            text: String::new(),
            log_likelihoods: Vec::new(),
            cached,
            grade: Grade::Failed,
            reason: None,
            failure: None,
        };
        match (scores, &graded.expectations[task]) {
            (Ok(log_likelihoods), Expectation::Choice(choice)) => {
                let score = |(log_likelihood, tokens): (&f64, &Vec<u32>)| ChoiceScore {
                    log_likelihood: *log_likelihood,
                    tokens: tokens.len() as u32,
                };
                let scores: Vec<ChoiceScore> =
                    log_likelihoods.iter().zip(choices).map(score).collect();
                let outcome = workload::grade_choice(choice, &scores);
                let best = workload::most_likely(choice, &scores);
                answer.text = best.map_or(String::new(), |best| choice.choices[best].clone());
                (answer.grade, answer.reason, answer.failure) =
                    (outcome.grade, outcome.reason, outcome.failure);
                answer.log_likelihoods = log_likelihoods;
            }
            (Ok(_), _) => unreachable!("only choices are asked for as choices"),
            (Err(failure), _) => answer.failure = Some(failure),
        }
        answer
    }
}

impl Pass<'_> {
    /// A free-running answer with its grade.
    pub(super) fn answer(
        &self,
        variant: &str,
        task: usize,
        order: &Order,
        outcome: Result<Vec<u32>, Failure>,
        cached: bool,
    ) -> Answer {
        let (tokens, text, outcome) = match outcome {
            Ok(tokens) => {
                let (text, ended) = self.graded.text(variant, task, &tokens);
                let outcome = self.grade((variant, task), order, &tokens, (&text, ended));
                (tokens, text, outcome)
            }
            Err(failure) => (Vec::new(), String::new(), failed(failure)),
        };
        Answer {
            variant: variant.to_string(),
            task: self.graded.ids[task].clone(),
            prompt_tokens: order.prompt.len() as u32,
            tokens,
            text,
            log_likelihoods: Vec::new(),
            cached,
            grade: outcome.grade,
            reason: outcome.reason,
            failure: outcome.failure,
        }
    }

    /// Grades a text. One that is empty or does not end is none that could be used, whatever stands in it.
    fn grade(
        &self,
        (variant, task): (&str, usize),
        order: &Order,
        tokens: &[u32],
        (text, ended): (&str, bool),
    ) -> Outcome {
        let failed = |class, message: String| failed(Failure { class, message });
        if self.graded.expectations[task].is_lenient() {
            return self.graded.grade(variant, task, tokens, text);
        }
        if !ended {
            let most = order.tokens;
            return failed(FailureClass::RunOn, format!("no end within {most} tokens"));
        }
        if text.trim().is_empty() {
            return failed(FailureClass::Empty, "the answer ended before it began".to_string());
        }
        self.graded.grade(variant, task, tokens, text)
    }
}

/// What is no usable answer.
fn failed(failure: Failure) -> Outcome {
    Outcome { grade: Grade::Failed, reason: None, failure: Some(failure) }
}
