//! Owns what GitHub tells a job: its run, its event, and which pull request that is about.

use super::address::{PUBLIC, Repository, encoded};
use super::client::Client;
use super::mark::{Run, is_commit};
use crate::problem::{Problem, Result};
use crate::report::comment::is_link;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// GitHub's payloads have at most 25 MB.
const MOST_BYTES: u64 = 32 << 20;

const NAME_IT: &str = "name the pull request with --pull-request N";

/// What the environment of a job says; all of it is missing elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// The address of the API.
    pub api: Option<String>,
    /// The address of the pages.
    pub server: Option<String>,
    /// The repository, `OWNER/NAME`.
    pub repository: Option<String>,
    /// The run.
    pub run: Option<Run>,
    /// The commit that the run is of; for a pull request that of its merge.
    pub commit: Option<String>,
    /// The event's name.
    pub event: Option<String>,
    /// The file of the event.
    pub file: Option<PathBuf>,
}

impl Job {
    /// What the variables say, `variable` being how one is read.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Job {
        let text = |name: &str| variable(&format!("GITHUB_{name}")).filter(|text| !text.is_empty());
        let number = |name: &str| text(name)?.parse::<u64>().ok();
        let run =
            number("RUN_ID").map(|id| Run { id, attempt: number("RUN_ATTEMPT").unwrap_or(1) });
        Job {
            api: text("API_URL"),
            server: text("SERVER_URL").map(|url| url.trim_end_matches('/').to_string()),
            repository: text("REPOSITORY"),
            run,
            commit: text("SHA"),
            event: text("EVENT_NAME"),
            file: text("EVENT_PATH").map(PathBuf::from),
        }
    }

    /// The address of the API, github.com's if no other is named.
    pub fn api(&self) -> &str {
        self.api.as_deref().unwrap_or(PUBLIC)
    }

    /// The event, if there is one.
    ///
    /// # Errors
    /// If its file cannot be read, or is none.
    pub fn read_event(&self) -> Result<Option<Event>> {
        self.file.as_deref().map(Event::read).transpose()
    }

    /// The page of the run that measured: of the one that triggered this one, or of this one.
    pub fn link(&self, event: Option<&Event>) -> Option<String> {
        let server = self.server.as_deref()?;
        if let Some(trigger) = event.and_then(|event| event.workflow_run.as_ref()) {
            let url = trigger.html_url.clone()?;
            return (url.starts_with(&format!("{server}/")) && is_link(&url)).then_some(url);
        }
        let url = format!("{server}/{}/actions/runs/{}", self.repository.as_deref()?, self.run?.id);
        is_link(&url).then_some(url)
    }

    /// The run that measured. Runs of the workflow that comments are in the order in which measurements
    /// ended, so that of an older commit may come last.
    pub fn measured_by(&self, event: Option<&Event>) -> Option<Run> {
        match event.and_then(|event| event.workflow_run.as_ref()) {
            Some(trigger) => {
                Some(Run { id: trigger.id?, attempt: trigger.run_attempt.unwrap_or(1) })
            }
            None => self.run,
        }
    }

    /// The commit that was measured: a pull request's own rather than that of its merge.
    pub fn measured(&self, event: Option<&Event>) -> Option<String> {
        let of_event = event.and_then(|event| match (&event.workflow_run, &event.pull_request) {
            (Some(trigger), _) => trigger.head_sha.clone(),
            (None, Some(request)) => request.head.as_ref()?.sha.clone(),
            (None, None) => None,
        });
        of_event.or_else(|| self.commit.clone()).filter(|commit| is_commit(commit))
    }
}

/// What an event says of a pull request.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Event {
    pull_request: Option<PullRequest>,
    workflow_run: Option<WorkflowRun>,
    repository: Option<Known>,
}

#[derive(Debug, Clone, Deserialize)]
struct PullRequest {
    number: u64,
    head: Option<Side>,
    base: Option<Side>,
}

/// The head or the base of a pull request.
#[derive(Debug, Clone, Deserialize)]
struct Side {
    sha: Option<String>,
    /// Missing where it was deleted.
    repo: Option<Known>,
}

#[derive(Debug, Clone, Deserialize)]
struct Known {
    id: Option<u64>,
    owner: Option<Owner>,
}

#[derive(Debug, Clone, Deserialize)]
struct Owner {
    login: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct WorkflowRun {
    id: Option<u64>,
    run_attempt: Option<u64>,
    html_url: Option<String>,
    head_sha: Option<String>,
    head_branch: Option<String>,
    head_repository: Option<Known>,
    #[serde(default)]
    pull_requests: Vec<PullRequest>,
}

/// Where to comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// In this pull request.
    Number(u64),
    /// In the one with this head, which GitHub has to be asked for.
    Search(Head),
    /// Nowhere: why.
    Nowhere(String),
}

/// The head of a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    owner: String,
    branch: String,
    sha: String,
    /// The id of its repository.
    repository: u64,
}

impl Event {
    fn read(file: &Path) -> Result<Event> {
        let help = format!("GITHUB_EVENT_PATH names it; {NAME_IT}");
        let unread =
            |error: &std::io::Error| Problem::io(file, "read the event", error).help(&help);
        let about = std::fs::metadata(file).map_err(|error| unread(&error))?;
        if !about.is_file() || about.len() > MOST_BYTES {
            let what = format!("is no event: it is no file of at most {} MiB", MOST_BYTES >> 20);
            return Err(Problem::in_file(file, what).help(help));
        }
        let bytes = std::fs::read(file).map_err(|error| unread(&error))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Problem::json(file, "is no event", &error).help(&help))
    }

    /// Where to comment; `name` is the event's.
    pub fn target(&self, name: Option<&str>) -> Target {
        match (&self.workflow_run, &self.pull_request) {
            (Some(trigger), _) => self.target_of_run(trigger),
            (None, Some(request)) => Target::Number(request.number),
            (None, None) => {
                let name: String =
                    name.unwrap_or("?").chars().filter(|c| !c.is_control()).collect();
                Target::Nowhere(format!("the event '{name}' is of no pull request"))
            }
        }
    }

    /// The pull request of the run that triggered this one. GitHub tells none of a fork, and may tell such
    /// as another repository has from the same branch.
    fn target_of_run(&self, trigger: &WorkflowRun) -> Target {
        let here = self.repository.as_ref().and_then(|repository| repository.id);
        let fits = |request: &&PullRequest| {
            let base = request.base.as_ref().and_then(|base| base.repo.as_ref()?.id);
            let sha = request.head.as_ref().and_then(|head| head.sha.as_ref());
            base == here && sha.is_some() && sha == trigger.head_sha.as_ref()
        };
        let told: Vec<u64> =
            trigger.pull_requests.iter().filter(fits).map(|pr| pr.number).collect();
        if let [number] = told[..] {
            return Target::Number(number);
        }
        let head = || {
            let repository = trigger.head_repository.as_ref()?;
            Some(Head {
                owner: repository.owner.as_ref()?.login.clone()?,
                branch: trigger.head_branch.clone()?,
                sha: trigger.head_sha.clone()?,
                repository: repository.id?,
            })
        };
        match head() {
            Some(head) => Target::Search(head),
            None => Target::Nowhere(
                "the run that triggered this one has no branch any more".to_string(),
            ),
        }
    }
}

/// The open pull request that has this head, still.
///
/// # Errors
/// If GitHub cannot be asked, or there are several.
pub fn find(client: &Client, repository: &Repository, head: &Head) -> Result<Option<u64>> {
    let label = encoded(&format!("{}:{}", head.owner, head.branch));
    let path = format!("/repos/{repository}/pulls");
    let open = client.list(&path, &format!("state=open&head={label}&"))?;
    let read = |value: Value| serde_json::from_value::<PullRequest>(value).ok();
    let fits = |request: &PullRequest| {
        request.head.as_ref().is_some_and(|side| {
            let repository = side.repo.as_ref().and_then(|repository| repository.id);
            side.sha.as_ref() == Some(&head.sha) && repository == Some(head.repository)
        })
    };
    let numbers: Vec<u64> =
        open.into_iter().filter_map(read).filter(fits).map(|request| request.number).collect();
    match numbers[..] {
        [] => Ok(None),
        [number] => Ok(Some(number)),
        _ => {
            let list: Vec<String> = numbers.iter().map(u64::to_string).collect();
            let what = format!("several open pull requests have this head: {}", list.join(", "));
            Err(Problem::new(what).help(NAME_IT))
        }
    }
}

/// The error of a place where nothing tells which pull request is meant.
pub fn nothing_tells() -> Problem {
    Problem::new("nothing tells which pull request is meant: there is no GITHUB_EVENT_PATH")
        .help(NAME_IT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(value: Value) -> Event {
        serde_json::from_value(value).unwrap()
    }

    fn trigger(pull_requests: Value) -> Event {
        event(json!({"repository": {"id": 1}, "workflow_run": {
            "id": 5, "run_attempt": 2, "head_sha": "abcdef1234", "head_branch": "fix",
            "html_url": "https://github.com/o/n/actions/runs/5",
            "head_repository": {"id": 2, "owner": {"login": "me"}}, "pull_requests": pull_requests}}))
    }

    fn told(number: u64, sha: &str, base: u64) -> Value {
        json!({"number": number, "head": {"sha": sha}, "base": {"repo": {"id": base}}})
    }

    fn job() -> Job {
        Job {
            server: Some("https://github.com".into()),
            repository: Some("o/n".into()),
            run: Some(Run { id: 9, attempt: 1 }),
            commit: Some("1234567".into()),
            ..Job::default()
        }
    }

    #[test]
    fn a_pull_request_s_event_names_it() {
        let event = event(json!({"pull_request": {"number": 7, "head": {"sha": "abcdef0"}}}));
        assert_eq!(event.target(Some("pull_request")), Target::Number(7));
        assert_eq!(job().measured(Some(&event)).as_deref(), Some("abcdef0"));
        let link = job().link(Some(&event)).unwrap();
        assert_eq!(link, "https://github.com/o/n/actions/runs/9");
        assert_eq!(job().measured_by(Some(&event)), job().run);
    }

    #[test]
    fn events_without_a_pull_request_have_no_place() {
        for name in ["push", "merge_group"] {
            let Target::Nowhere(why) = Event::default().target(Some(name)) else {
                panic!("{name}")
            };
            assert!(why.contains(name), "{why}");
        }
    }

    #[test]
    fn a_triggered_run_comments_where_the_first_was_of() {
        let of = |requests| trigger(requests).target(Some("workflow_run"));
        assert_eq!(of(json!([told(3, "abcdef1234", 1)])), Target::Number(3));
        for others in [
            json!([]),
            json!([told(3, "0000000", 1)]),
            json!([told(3, "abcdef1234", 8)]),
            json!([told(3, "abcdef1234", 1), told(4, "abcdef1234", 1)]),
        ] {
            let Target::Search(head) = of(others.clone()) else { panic!("{others}") };
            assert_eq!((head.owner.as_str(), head.repository), ("me", 2));
        }
        let event = trigger(json!([]));
        assert_eq!(job().measured(Some(&event)).as_deref(), Some("abcdef1234"));
        let link = job().link(Some(&event)).unwrap();
        assert_eq!(link, "https://github.com/o/n/actions/runs/5");
        assert_eq!(job().measured_by(Some(&event)), Some(Run { id: 5, attempt: 2 }));
    }

    #[test]
    fn a_link_to_elsewhere_or_with_more_in_it_is_none() {
        for url in ["https://evil.org/x", "https://github.com.evil.org/", "https://github.com/a)b"]
        {
            let mut event = trigger(json!([]));
            event.workflow_run.as_mut().unwrap().html_url = Some(url.to_string());
            assert_eq!(job().link(Some(&event)), None, "{url}");
        }
    }
}
