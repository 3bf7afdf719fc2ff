//! Owns what GitHub's refusals mean to a person: the status, what GitHub says of it, and the remedy.

use crate::problem::Problem;

/// The remedies for a token that may not do what is wanted.
const PERMISSION: &str = "give the job `permissions: pull-requests: write` (and `issues: write`); the token of a \
    pull request from a fork may only read: use the workflow_run set-up there (docs/ci.md)";

/// What a refusal is of: `what` was asked for, `status` and `message` answered. `accepted` are the permissions
/// that would do, as GitHub lists them.
pub(super) fn explain(what: &str, status: u16, message: &str, accepted: Option<&str>) -> Problem {
    let said = if message.is_empty() { String::new() } else { format!(": {message}") };
    let problem = Problem::new(format!("{what}: GitHub answered {status}{said}"));
    problem.help(remedy(status, message, accepted))
}

fn remedy(status: u16, message: &str, accepted: Option<&str>) -> String {
    let locked = message.to_ascii_lowercase().contains(" is locked");
    match status {
        401 => "the token is not valid (any more): set GITHUB_TOKEN to one that is".to_string(),
        403 if locked => "unlock the pull request's conversation".to_string(),
        403 => match accepted {
            Some(accepted) => format!("{PERMISSION}; GitHub asks for: {accepted}"),
            None => PERMISSION.to_string(),
        },
        404 => "there is no such pull request, or the token cannot see it: look at --repository and \
                --pull-request, and give the token access to the repository"
            .to_string(),
        410 => "the pull request, or the comments of its repository, are no more: nothing can be said there"
            .to_string(),
        422 => "GitHub takes no such comment (too long, or held for spam): see with --dry-run what it is"
            .to_string(),
        _ => "look at GITHUB_API_URL, and at https://www.githubstatus.com".to_string(),
    }
}
