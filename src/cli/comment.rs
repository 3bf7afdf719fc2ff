//! Owns `perfgate comment`: what a run came to, put into the one comment of its pull request.

use super::{CommentArguments, CommentMode, exit, render};
use crate::git;
use crate::github::address::{Api, Repository};
use crate::github::client::{Client, SystemClock};
use crate::github::comments::{self, Done, Mode, Place, Wish};
use crate::github::event::{self, Event, Job, Target};
use crate::github::mark::{self, State};
use crate::github::token::Token;
use crate::problem::{Problem, Result};
use crate::report::comment::{Around, Told, comment as text_of, comment_on_problem, is_link, told};
use crate::report::{self, Report};
use crate::session;
use std::path::{Path, PathBuf};

/// Largest file of results that is read: one of a fork's may be anything.
const MOST_BYTES: u64 = 64 << 20;

/// What the comment is about.
enum Subject {
    Report(Box<Report>),
    /// There is none: why.
    Problem(String),
}

impl Subject {
    fn of(arguments: &CommentArguments) -> Result<Subject> {
        if let Some(problem) = &arguments.problem {
            return Ok(Subject::Problem(problem.clone()));
        }
        small_enough(&arguments.results)?;
        let results = session::read_results(&arguments.results)?;
        Ok(Subject::Report(Box::new(report::build(&results))))
    }

    fn told(&self, commit: Option<&str>) -> Told {
        match self {
            Subject::Report(report) => told(report, commit),
            Subject::Problem(_) => Told { commit: commit.map(str::to_string), ..Told::default() },
        }
    }

    /// Whether something is wrong. What was measured and not judged is not.
    fn failed(&self) -> bool {
        match self {
            Subject::Report(report) => exit::code(report.outcome) != exit::HOLDS,
            Subject::Problem(_) => true,
        }
    }

    fn text(&self, around: &Around<'_>) -> String {
        match self {
            Subject::Report(report) => text_of(report, around),
            Subject::Problem(problem) => comment_on_problem(problem, around),
        }
    }
}

/// Comments, and says in one line on stderr what was done.
pub(super) fn comment(arguments: &CommentArguments) -> Result<u8> {
    let job = Job::of_environment(|name| std::env::var(name).ok());
    if arguments.dry_run {
        let event = job.read_event()?;
        let subject = Subject::of(arguments)?;
        let body = wish(arguments, &subject, &job, event.as_ref()).body(None);
        return render::print(&format!("{body}\n")).map(|()| exit::HOLDS);
    }
    let (word, rest) = match put(arguments, &job)? {
        Done::Created(url) => ("created", url),
        Done::Updated(url) => ("updated", url),
        Done::Unchanged(url) => ("unchanged", url),
        Done::NotWanted(why) => ("not wanted", why),
    };
    render::tell(&format!("comment {word}: {rest}"));
    Ok(exit::HOLDS)
}

/// Puts the comment there.
fn put(arguments: &CommentArguments, job: &Job) -> Result<Done> {
    let not_wanted = |why: &str| Ok(Done::NotWanted(why.to_string()));
    if arguments.mode == CommentMode::Never {
        return not_wanted("the mode is never");
    }
    let event = job.read_event()?;
    let target = match (arguments.pull_request, &event) {
        (Some(number), _) => Target::Number(number),
        (None, Some(event)) => event.target(job.event.as_deref()),
        (None, None) => return Err(event::nothing_tells()),
    };
    if let Target::Nowhere(why) = &target {
        return not_wanted(why);
    }
    let subject = Subject::of(arguments)?;
    let repository = repository(arguments, job)?;
    let token = Token::of_environment(|name| std::env::var_os(name))?;
    let client = Client::new(Api::new(job.api())?, token, Box::new(SystemClock))?;
    let number = match &target {
        Target::Number(number) => Some(*number),
        Target::Search(head) => event::find(&client, &repository, head)?,
        Target::Nowhere(_) => None,
    };
    let Some(number) = number else {
        return not_wanted("no open pull request has the head that was measured (any more)");
    };
    let wish = wish(arguments, &subject, job, event.as_ref());
    comments::upsert(&client, &Place { repository, number }, &wish)
}

/// The comment on a subject.
fn wish<'a>(
    arguments: &'a CommentArguments,
    subject: &'a Subject,
    job: &Job,
    event: Option<&Event>,
) -> Wish<'a> {
    let commit = arguments.commit.clone().or_else(|| job.measured(event));
    let link = arguments.link.clone().or_else(|| job.link(event));
    let state = State { told: subject.told(commit.as_deref()), run: job.measured_by(event) };
    let gate = gate(&arguments.config);
    let render = move |before: Option<&Told>, most: usize| {
        let (commit, link, gate) = (commit.as_deref(), link.as_deref(), gate.as_deref());
        subject.text(&Around { before, commit, link, gate, most })
    };
    Wish {
        id: arguments.id.clone().unwrap_or_else(|| mark::Id::of_config(&place(&arguments.config))),
        mode: mode(arguments.mode),
        failed: subject.failed(),
        state,
        author: arguments.author.clone(),
        render: Box::new(render),
    }
}

/// Where a configuration lies: as seen from the repository's top, else from the job's workspace, else from the folder
/// that holds its own, which is the same on every machine where neither is there.
fn place(config: &Path) -> String {
    let absolute = std::path::absolute(config).unwrap_or_else(|_| config.to_path_buf());
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    let plain = git::without_detours(&absolute);
    let inside = git::Repo::find(folder).ok().and_then(|repo| repo.inside(&absolute).ok());
    let workspace = || {
        let top = std::env::var_os("GITHUB_WORKSPACE").filter(|top| !top.is_empty())?;
        let top = Path::new(&top);
        let tops = [Some(top.to_path_buf()), top.canonicalize().ok()];
        let inner = tops.iter().flatten().find_map(|top| plain.strip_prefix(top).ok());
        inner.map(Path::to_path_buf)
    };
    let last_two = || {
        let names: Vec<_> = plain.components().rev().take(2).collect();
        names.into_iter().rev().collect::<PathBuf>()
    };
    inside.or_else(workspace).unwrap_or_else(last_two).display().to_string()
}

/// A configuration's place, where it is not the one that every project has.
pub(super) fn gate(config: &Path) -> Option<String> {
    Some(place(config)).filter(|place| place != "perfgate.toml")
}

fn mode(mode: CommentMode) -> Mode {
    match mode {
        CommentMode::Always => Mode::Always,
        CommentMode::Change => Mode::Change,
        CommentMode::Failure => Mode::Failure,
        CommentMode::Never => Mode::Never,
    }
}

fn repository(arguments: &CommentArguments, job: &Job) -> Result<Repository> {
    if let Some(repository) = &arguments.repository {
        return Ok(repository.clone());
    }
    let help = "name it with --repository OWNER/NAME";
    let Some(name) = &job.repository else {
        let what = "nothing tells which repository is meant: there is no GITHUB_REPOSITORY";
        return Err(Problem::new(what).help(help));
    };
    Repository::new(name).map_err(|why| Problem::new(format!("GITHUB_REPOSITORY {why}")).help(help))
}

/// Looks at a file before it is read.
fn small_enough(file: &Path) -> Result<()> {
    // What isn't there is told by the reader.
    let Ok(about) = std::fs::metadata(file) else { return Ok(()) };
    if about.is_file() && about.len() <= MOST_BYTES {
        return Ok(());
    }
    let what = format!(
        "is no file of at most {} MiB, as results to comment on have to be",
        MOST_BYTES >> 20
    );
    Err(Problem::in_file(file, what).help("name a file that `perfgate check` wrote"))
}

/// The id of `--id`.
pub(super) fn id(text: &str) -> std::result::Result<mark::Id, String> {
    mark::Id::new(text)
}

/// The address of `--link`.
pub(super) fn link(text: &str) -> std::result::Result<String, String> {
    match is_link(text) {
        true => Ok(text.to_string()),
        false => Err("is no address of the form https://…, without brackets or spaces".to_string()),
    }
}

/// The commit of `--commit`.
pub(super) fn commit(text: &str) -> std::result::Result<String, String> {
    match mark::is_commit(text) {
        true => Ok(text.to_string()),
        false => Err("is no commit's id of 7 to 64 hexadecimal digits".to_string()),
    }
}
