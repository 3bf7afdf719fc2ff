//! Owns which set-up `perfgate check` runs with: the work tree's own, or the one that the base makes of it.

use super::{Judging, PolicyFrom, Setting, check};
use crate::config::Setup;
use crate::git::{self, Ci, Repo};
use crate::policy::{Question, govern};
use crate::problem::{Problem, Result};
use std::path::Path;
use std::time::SystemTime;

/// The set-up of a check. `rounds` are those that the command line asks for.
pub(super) fn setup(setting: &Setting, judging: &Judging, rounds: Option<u32>) -> Result<Setup> {
    let ci = Ci::of_environment();
    let against = judging.against.as_ref();
    let asked = judging.base.is_some() || against.is_some();
    if !asked && !ci.is_pull_request() {
        return check::setup(setting);
    }
    let folder = match setting.config.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let repo = Repo::find(folder)?;
    let beside = against.and_then(|reference| reference.as_deref());
    if judging.policy_from == PolicyFrom::Worktree {
        return of_work_tree(setting, judging, &repo, &ci);
    }
    let named = git::Named { base: judging.base.as_deref(), against: beside };
    let Some(base) = git::find_base(&repo, &ci, named)? else {
        return Err(Problem::new("--against names no commit, and this is no pull request")
            .help("name one: --against REF, such as --against main"));
    };
    let measured = match beside {
        Some(reference) if judging.base.is_some() || ci.is_pull_request() => {
            repo.resolve(reference)?
        }
        _ => base.commit,
    };
    let thresholds = setting.thresholds_file();
    let question = Question {
        repo: &repo,
        base: &base,
        config: &setting.config,
        thresholds: &thresholds,
        beside: against.is_some().then_some(measured),
    };
    let mut setup = govern(&question)?;
    if let (Some(asked), least) = (rounds, setup.config.rounds)
        && asked < least
    {
        let what = format!("--rounds {asked}: the base asks for {least} rounds");
        return Err(Problem::new(what).help(
            "leave --rounds out or raise it; for local work there is --policy-from worktree",
        ));
    }
    finish(&mut setup, judging);
    Ok(setup)
}

/// The work tree's own policy where a base is known: named in the report.
fn of_work_tree(setting: &Setting, judging: &Judging, repo: &Repo, ci: &Ci) -> Result<Setup> {
    let mut setup = check::setup(setting)?;
    let beside = judging.against.as_ref().and_then(|reference| reference.as_deref());
    if judging.against.is_some() {
        // The work tree judges: what is named is measured, whatever it is.
        let named = beside.or(judging.base.as_deref());
        let base = match named {
            Some(reference) => {
                let commit = repo.resolve(reference)?;
                Some(git::Base { commit, how: format!("tip of {reference}") })
            }
            None => git::find_base(repo, ci, git::Named::default())?,
        };
        let base = base.ok_or_else(|| {
            Problem::new("--against names no commit").help("name one, such as --against main")
        })?;
        crate::policy::measure_beside(repo, base.commit, &setting.config, &mut setup)?;
    }
    setup.authority.how = "the work tree's own rules (--policy-from worktree)".to_string();
    finish(&mut setup, judging);
    Ok(setup)
}

fn finish(setup: &mut Setup, judging: &Judging) {
    setup.measure_unchanged = judging.measure_unchanged;
    if judging.against.is_some() {
        let names = setup.config.names();
        let absent = setup.absent.clone();
        let base_of = |name: &str| format!("{name}{}", crate::record::BASE);
        if let Some(thresholds) = &mut setup.thresholds {
            thresholds.hold_against_base(|name| {
                names.contains(&base_of(name)) || absent.contains_key(&base_of(name))
            });
        }
    }
    waive(setup);
}

/// Puts the waivers in force to their rules, and notes every waiver.
pub(super) fn waive(setup: &mut Setup) {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    if let Some(thresholds) = &mut setup.thresholds {
        let notes = thresholds.waive(&now[..10]);
        setup.authority.notes.extend(notes);
    }
}
