//! Owns the one comment of a pull request: made, brought up to date, and kept one, whoever else works on it
//! at the same time.

use super::address::Repository;
use super::client::{Client, Failure, Method};
use super::mark::{self, Id, Run, State};
use crate::problem::{Problem, Result};
use crate::report::comment::Told;
use serde::Deserialize;
use serde_json::{Value, json};

/// Who writes with the token of a workflow, which may not ask for its own name.
const WORKFLOWS: &str = "github-actions[bot]";

/// How often the comments are listed before what others do to them is too much.
const PASSES: u32 = 8;

/// A pull request.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its repository.
    pub repository: Repository,
    /// Its number.
    pub number: u64,
}

/// When a comment is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Each time.
    Always,
    /// When something is wrong, and later when what is wrong has changed.
    Change,
    /// When something is wrong, and from then on each time.
    Failure,
    /// Not at all.
    Never,
}

/// Makes the text below a comment's marks, from what the comment said before and the most bytes there is
/// room for.
pub type Render<'a> = Box<dyn Fn(Option<&Told>, usize) -> String + 'a>;

/// The comment that is wanted.
pub struct Wish<'a> {
    /// Which of perfgate's comments it is.
    pub id: Id,
    /// When it is wanted.
    pub mode: Mode,
    /// Whether something is wrong.
    pub failed: bool,
    /// What it tells, and of which run.
    pub state: State,
    /// Who writes it; asked of GitHub if it is not given.
    pub author: Option<String>,
    /// Its text.
    pub render: Render<'a>,
}

impl Wish<'_> {
    fn is_created(&self) -> bool {
        match self.mode {
            Mode::Always => true,
            Mode::Change | Mode::Failure => self.failed,
            Mode::Never => false,
        }
    }

    /// Whether a comment that tells this is to be brought up to date.
    fn is_updated(&self, tells: Option<&State>) -> bool {
        let told = &self.state.told;
        let same = |old: &Told| old.outcome == told.outcome && old.broken == told.broken;
        match self.mode {
            Mode::Always | Mode::Failure => true,
            Mode::Change => !tells.is_some_and(|state| same(&state.told)),
            Mode::Never => false,
        }
    }

    /// The whole comment, marks and text; `before` is what it said before.
    pub fn body(&self, before: Option<&Told>) -> String {
        let head = mark::head(&self.id, &self.state);
        mark::joined(&head, &(self.render)(before, mark::room(&head)))
    }
}

/// What was done, with the comment's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// There was none.
    Created(String),
    /// There was one.
    Updated(String),
    /// There was one that says all of it.
    Unchanged(String),
    /// Nothing was to be said: why.
    NotWanted(String),
}

#[derive(Debug, Clone, Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    html_url: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    user: Option<User>,
}

#[derive(Debug, Clone, Deserialize)]
struct User {
    login: String,
}

impl Comment {
    fn body(&self) -> String {
        self.body.as_deref().unwrap_or_default().replace("\r\n", "\n").trim_end().to_string()
    }

    fn url(&self) -> String {
        // It ends in a log, where a line's end could begin a command of the workflow.
        self.html_url.iter().flat_map(|url| url.chars()).filter(char::is_ascii_graphic).collect()
    }

    fn state(&self) -> Option<State> {
        State::read(self.body.as_deref()?)
    }

    fn run(&self) -> Option<Run> {
        self.state()?.run
    }
}

/// Makes the one comment of a pull request be there and say what is wanted.
///
/// Each pass lists the comments and does what the list asks for; when it asks for nothing more, all is done.
/// So two runs at once, a comment that somebody deletes, and an answer that was lost all end with one comment.
/// The oldest stays, and the text is that of the latest run.
///
/// # Errors
/// If GitHub refuses it or stays out of reach, or others never stop changing the comment.
pub fn upsert(client: &Client, place: &Place, wish: &Wish) -> Result<Done> {
    if wish.mode == Mode::Never {
        return Ok(Done::NotWanted("the mode is never".to_string()));
    }
    let mut work = Work {
        client,
        place,
        wish,
        author: author(client, wish)?,
        body: None,
        created: Vec::new(),
        written: None,
        lost: None,
        done: None,
    };
    for _ in 0..PASSES {
        if let Some(done) = work.pass()? {
            return Ok(done);
        }
    }
    // What was written was taken; the list may lag behind it.
    work.done.ok_or_else(|| {
        work.lost.unwrap_or_else(|| {
            Problem::new("others change the comment all the time").help("try again")
        })
    })
}

/// Who writes with this token.
fn author(client: &Client, wish: &Wish) -> std::result::Result<String, Failure> {
    if let Some(author) = &wish.author {
        return Ok(author.clone());
    }
    match client.send(&Method::GET, "/user", None) {
        Ok(user) => Ok(user["login"].as_str().unwrap_or(WORKFLOWS).to_string()),
        Err(Failure { status: Some(403 | 404), .. }) => Ok(WORKFLOWS.to_string()),
        Err(failure) => Err(failure),
    }
}

struct Work<'a> {
    client: &'a Client,
    place: &'a Place,
    wish: &'a Wish<'a>,
    author: String,
    /// The comment as it is wanted, once it is known what it said before.
    body: Option<String>,
    /// The ids of comments that were made here, which a list may not show yet.
    created: Vec<u64>,
    /// The comment that was last written.
    written: Option<u64>,
    /// A creation of which it is not known whether it was done.
    lost: Option<Problem>,
    done: Option<Done>,
}

/// Nothing was done to a comment because it is no more.
struct Gone;

impl Work<'_> {
    /// Does what a list of the comments asks for; says what was done in all when it asks for nothing.
    fn pass(&mut self) -> Result<Option<Done>> {
        let own = self.own()?;
        let Some(keep) = own.iter().min_by_key(|comment| comment.id) else {
            if !self.wish.is_created() {
                return Ok(Some(Done::NotWanted(
                    "nothing is wrong, and there is no comment".to_string(),
                )));
            }
            self.create()?;
            return Ok(None);
        };
        let (body, why_not) = self.wanted(&own, keep);
        let mut acted = false;
        if keep.body() != body {
            if self.write(keep, &body)?.is_err() {
                return Ok(None);
            }
            acted = true;
        }
        for other in own.iter().filter(|comment| comment.id != keep.id) {
            self.remove(other)?;
            acted = true;
        }
        Ok((!acted).then(|| self.conclusion(keep, why_not)))
    }

    fn conclusion(&mut self, keep: &Comment, why_not: Option<&str>) -> Done {
        let url = keep.url();
        match (self.done.take(), why_not) {
            (Some(done), _) => done,
            (None, Some(why)) => Done::NotWanted(format!("{why}: {url}")),
            // The answer to the creation was lost, and it was done.
            (None, None) if self.lost.is_some() => Done::Created(url),
            (None, None) => Done::Unchanged(url),
        }
    }

    /// What the comment that stays is to hold, and why that is not this run's text, where it is not.
    fn wanted(&mut self, own: &[Comment], keep: &Comment) -> (String, Option<&'static str>) {
        let newest =
            own.iter().max_by_key(|comment| (comment.run(), std::cmp::Reverse(comment.id)));
        let newest = newest.unwrap_or(keep);
        let this = self.wish.state.run;
        if this.is_some() && newest.run() > this {
            return (newest.body(), Some("a later run has said it already"));
        }
        if self.written == Some(keep.id) {
            // Only an older run's text is written over again: two runs of the same age would never end.
            let older = keep.run().is_some() && keep.run() < this;
            return match (&self.body, older) {
                (Some(body), true) => (body.clone(), None),
                _ => (keep.body(), None),
            };
        }
        let state = newest.state();
        if self.body.is_none() && !self.wish.is_updated(state.as_ref()) {
            return (newest.body(), Some("the comment says the same already"));
        }
        (self.body(state.map(|state| state.told).as_ref()), None)
    }

    fn body(&mut self, before: Option<&Told>) -> String {
        let make = || self.client.scrub(&self.wish.body(before));
        self.body.get_or_insert_with(make).clone()
    }

    fn path(&self) -> String {
        format!("/repos/{}/issues/{}/comments", self.place.repository, self.place.number)
    }

    fn path_of(&self, id: u64) -> String {
        format!("/repos/{}/issues/comments/{id}", self.place.repository)
    }

    /// The marked comments of this author.
    fn own(&mut self) -> Result<Vec<Comment>> {
        let all = self.client.list(&self.path(), "")?;
        let read = |value: Value| serde_json::from_value::<Comment>(value).ok();
        let mut all: Vec<Comment> = all.into_iter().filter_map(read).collect();
        let shown: Vec<u64> = all.iter().map(|comment| comment.id).collect();
        for id in std::mem::take(&mut self.created) {
            // A list may lag behind; what was deleted is gone for certain.
            if !shown.contains(&id) {
                match self.client.send(&Method::GET, &self.path_of(id), None) {
                    Ok(value) => all.extend(read(value)),
                    Err(Failure { status: Some(404 | 410), .. }) => continue,
                    Err(failure) => return Err(failure.into()),
                }
            }
            self.created.push(id);
        }
        all.retain(|comment| self.is_own(comment));
        Ok(all)
    }

    fn is_own(&self, comment: &Comment) -> bool {
        let user = comment.user.as_ref();
        user.is_some_and(|user| user.login.eq_ignore_ascii_case(&self.author))
            && self.wish.id.marks(comment.body.as_deref().unwrap_or_default())
    }

    fn create(&mut self) -> Result<()> {
        let body = self.body(None);
        let made = self.client.send(&Method::POST, &self.path(), Some(&json!({ "body": body })));
        let made = match made {
            Ok(value) => serde_json::from_value::<Comment>(value).ok(),
            Err(Failure { status: None, problem }) => {
                // The next list shows whether it was done.
                self.lost = Some(problem);
                return Ok(());
            }
            Err(failure) => return Err(failure.into()),
        };
        if let Some(made) = made {
            // Now it is certain who writes.
            if let Some(user) = &made.user {
                self.author.clone_from(&user.login);
            }
            self.created.push(made.id);
            self.written = Some(made.id);
            self.done = Some(Done::Created(made.url()));
        }
        Ok(())
    }

    fn write(&mut self, keep: &Comment, body: &str) -> Result<std::result::Result<(), Gone>> {
        let body = json!({ "body": body });
        let done = self.client.send(&Method::PATCH, &self.path_of(keep.id), Some(&body));
        if !found(done)? {
            return Ok(Err(Gone));
        }
        // GitHub knows no change under a condition: an older run that read before this write may write after
        // it. The next list is to show that.
        self.client.settle();
        let again = self.written.replace(keep.id) == Some(keep.id);
        if !again {
            self.done = Some(Done::Updated(keep.url()));
        }
        Ok(Ok(()))
    }

    fn remove(&self, other: &Comment) -> Result<()> {
        // Where it is gone already, another run was quicker.
        found(self.client.send(&Method::DELETE, &self.path_of(other.id), None)).map(drop)
    }
}

/// Whether what was asked for was still there.
fn found(done: std::result::Result<Value, Failure>) -> Result<bool> {
    match done {
        Ok(_) => Ok(true),
        Err(Failure { status: Some(404 | 410), .. }) => Ok(false),
        Err(failure) => Err(failure.into()),
    }
}
