//! Owns `perfgate baseline`: accepting a session into the store, showing what is there, and pruning it.

use super::render::{self, print};
use super::{
    BaselineCommand, BaselineDiff, BaselinePrune, BaselineShow, BaselineUpdate, StoreSetting, exit,
    relative,
};
use crate::baseline::{self, Stored, StoredMark, StoredVerdict};
use crate::config::{self, Config, Store, WorkTree};
use crate::hash;
use crate::problem::{Problem, Result};
use crate::record::{GitState, Judgement, MachineClass, Part, Results};
use crate::report::{self, Tone, paint};
use crate::session::{read_results, write_atomically};
use crate::verdict::{Outcome, outcome};
use std::fmt::Write;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Runs a subcommand on the store.
pub(super) fn baseline(command: &BaselineCommand) -> Result<u8> {
    match command {
        BaselineCommand::Update(arguments) => update(arguments)?,
        BaselineCommand::List(arguments) => print(&summary(&read(&arguments.store)?)?)?,
        BaselineCommand::Show(arguments) => show(arguments)?,
        BaselineCommand::Diff(arguments) => diff(arguments)?,
        BaselineCommand::Prune(arguments) => prune(arguments)?,
    }
    Ok(exit::HOLDS)
}

fn read(setting: &StoreSetting) -> Result<Config> {
    config::read_config(&WorkTree, &setting.config)
}

/// Accepts the results of a session.
fn update(arguments: &BaselineUpdate) -> Result<()> {
    let config = read(&arguments.store)?;
    let file = match arguments.from_run.as_ref().or(arguments.results.as_ref()) {
        Some(file) => file.clone(),
        None => config.output.join("benchmark_results.json"),
    };
    let results = read_results(&file)?;
    let stored = accept(&results, arguments)
        .map_err(|problem| Problem { file: Some(file.display().to_string()), ..problem })?;
    let Store { folder, keep: limit, .. } = &config.baselines;
    let kept = keep(folder, &stored, *limit)?;
    let what = if kept.there { "already stored" } else { "stored" };
    let mut said = format!("{what}  {}\n", relative(&kept.file).display());
    for mark in &stored.marks {
        let why = results.parts.iter().find_map(|p| p.header.provenance.git_unavailable.clone());
        let why = why.filter(|_| *mark == StoredMark::NoCommit).map(|why| format!(": {why}"));
        let _ = writeln!(said, "marked  {mark}{}", why.unwrap_or_default());
    }
    for old in &kept.removed {
        let _ =
            writeln!(said, "removed  {} (more than {limit} are not kept)", relative(old).display());
    }
    if kept.left > 0 {
        let _ = writeln!(
            said,
            "{} more than the {limit} to be kept are committed: `perfgate baseline prune` removes them, \
             to be done on the target branch alone (removed on two branches, they conflict)",
            kept.left
        );
    }
    said.push_str(&summary(&config)?);
    if let Some(why) = baseline::too_large(&stored, &kept.text) {
        render::tell(&format!("warning: {}: {why}", relative(&kept.file).display()));
    }
    print(&said)
}

/// The session of some results as it is stored, if it may be.
fn accept(results: &Results, arguments: &BaselineUpdate) -> Result<Stored> {
    let refused = |(what, help): (String, &str)| Err(Problem::new(what).help(help));
    if let Some(why) = unfit(results) {
        return refused(why);
    }
    let Some(judgement) = &results.judgement else {
        let help = "apply the rules with `perfgate check --results`, or run `perfgate check`";
        return refused(("was not judged".to_string(), help));
    };
    let [part] = &results.parts[..] else {
        let what = format!("holds what {} sessions measured", results.parts.len());
        let help = "a baseline is one session, in which variants are paired: run `perfgate check`";
        return refused((what, help));
    };
    let mut stored = Stored::from_part(part);
    match outcome(&judgement.verdicts, &judgement.policies) {
        Outcome::Regressed if arguments.accept_regression => {
            stored.marks.push(StoredMark::OverRegression);
        }
        Outcome::Regressed => {
            let what = "is of a session with a proven regression".to_string();
            let help = "if the change is wanted nevertheless, add --accept-regression, which leaves \
                        a mark in the stored file";
            return refused((what, help));
        }
        Outcome::Invalid => {
            let what = "is of a session with an invalid verdict".to_string();
            let help = "look at its report with `perfgate report`, and run `perfgate check` again";
            return refused((what, help));
        }
        _ => {}
    }
    if let Some(git) = dirty(part).filter(|_| !arguments.allow_dirty) {
        let what = format!(
            "was measured in a dirty work tree ({} modified, {} untracked): no commit tells what was \
             measured",
            git.modified, git.untracked
        );
        let help = "commit, or put aside with `git stash`, and run `perfgate check` again; or add \
                    --allow-dirty, which leaves a mark in the stored file";
        return refused((what, help));
    }
    stored.marks.sort();
    stored.verdict = Some(in_short(judgement));
    Ok(stored)
}

/// Why nothing that was measured can be a baseline, and what to do.
fn unfit(results: &Results) -> Option<(String, &'static str)> {
    if results.parts.iter().all(|part| part.complete().is_empty()) {
        return Some(("has no complete round".to_string(), "run `perfgate check` again"));
    }
    let slowed = |(name, variant): (&String, &crate::record::VariantRecord)| {
        let switch = variant.test_switches.first()?;
        Some(format!("'{name}' is {switch}"))
    };
    let mut variants = results.parts.iter().flat_map(|part| &part.header.variants);
    let switch = variants.find_map(slowed)?;
    let help = "a test switch has no place in a baseline; run without it";
    Some((format!("is a test: {switch}"), help))
}

/// The state of the repository that a session was measured in, if it differed from the commit.
fn dirty(part: &Part) -> Option<&GitState> {
    part.header.provenance.git.as_ref().filter(|git| git.dirty())
}

/// The outcome and the rules' verdicts.
fn in_short(judgement: &Judgement) -> StoredVerdict {
    let outcome = serde_json::json!(outcome(&judgement.verdicts, &judgement.policies));
    StoredVerdict {
        outcome: outcome.as_str().unwrap_or_default().to_string(),
        rules: judgement.verdicts.iter().map(|v| (v.rule.id.clone(), v.verdict)).collect(),
    }
}

/// What became of a store with a session.
pub(super) struct Kept {
    /// The session's file.
    file: PathBuf,
    /// Its text.
    text: String,
    /// Whether it was there already, with these bytes.
    there: bool,
    /// What was removed, since no more are kept.
    removed: Vec<PathBuf>,
    /// How many more are not to be kept, and stay because they are committed.
    left: usize,
}

/// Writes a session into a store, and removes those of its machine class that are not kept beside it.
///
/// Those that git holds stay: of two branches that each remove the same file and add one much like it,
/// git thinks that both renamed it, and merging them is a conflict.
pub(super) fn keep(store: &Path, stored: &Stored, limit: u32) -> Result<Kept> {
    let file = baseline::place(store, stored, limit)?;
    let text = stored.to_text();
    let there = std::fs::read_to_string(&file).is_ok_and(|there| there == text);
    if !there {
        write_atomically(&file, &text)?;
    }
    // Only now: of two that write at the same time, the later one sees what both wrote.
    let surplus = baseline::surplus(file.parent().unwrap_or(store), limit)?;
    let (committed, surplus): (Vec<PathBuf>, Vec<PathBuf>) =
        surplus.into_iter().partition(|file| baseline::is_committed(file));
    Ok(Kept { removed: remove(surplus)?, left: committed.len(), file, text, there })
}

/// Removes files, and returns those that were there still: another process may be at the same.
fn remove(files: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    for file in files {
        match std::fs::remove_file(&file) {
            Ok(()) => removed.push(file),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Problem::io(&file, "remove it", &error)),
        }
    }
    Ok(removed)
}

/// Removes what is not kept.
fn prune(arguments: &BaselinePrune) -> Result<()> {
    let config = read(&arguments.store)?;
    let keep = arguments.keep.unwrap_or(config.baselines.keep);
    let mut said = String::new();
    for class in baseline::classes(&config.baselines.folder)? {
        let surplus = baseline::surplus(&class, keep)?;
        let (word, files) = match arguments.dry_run {
            true => ("would remove", surplus),
            false => ("removed", remove(surplus)?),
        };
        for file in files {
            let _ = writeln!(said, "{word}  {}", relative(&file).display());
        }
    }
    if said.is_empty() {
        let _ = writeln!(said, "nothing to remove: no machine class has more than {keep} sessions");
    }
    print(&said)
}

/// Shows one stored session.
fn show(arguments: &BaselineShow) -> Result<()> {
    let store = read(&arguments.store)?.baselines;
    let sessions = sessions(&store)?;
    let stored = match &arguments.session {
        Some(id) => find(&sessions, id, &store)?,
        None => {
            let newest = of_class(&sessions, &here()).last().copied();
            newest.ok_or_else(|| too_few(&store, "no session", "name one of another class"))?
        }
    };
    render::print_sheet(&report::of_stored(stored), arguments.format, false)
}

/// Shows what differs between two stored sessions.
fn diff(arguments: &BaselineDiff) -> Result<()> {
    let store = read(&arguments.store)?.baselines;
    let sessions = sessions(&store)?;
    let (old, new) = match &arguments.old {
        Some(old) => {
            let old = find(&sessions, old, &store)?;
            let new = match &arguments.new {
                Some(new) => find(&sessions, new, &store)?,
                None => of_class(&sessions, &old.machine).last().copied().unwrap_or(old),
            };
            (old, new)
        }
        None => match of_class(&sessions, &here())[..] {
            [.., old, new] => (old, new),
            _ => return Err(too_few(&store, "no two sessions", "name two of other classes")),
        },
    };
    if old.session == new.session {
        let what = format!("{} would be held against itself", old.session);
        return Err(Problem::new(what).help("name another session as NEW"));
    }
    render::print_sheet(&report::of_two_stored(old, new), arguments.format, false)
}

/// What is stored, of which there must be some.
fn sessions(store: &Store) -> Result<Vec<Stored>> {
    let sessions = baseline::load(&store.folder)?;
    if sessions.is_empty() {
        return Err(Problem::in_file(&relative(&store.folder), "holds no stored session")
            .help("accept one: `perfgate check`, then `perfgate baseline update`"));
    }
    Ok(sessions)
}

/// The session of a name, or the only one whose name begins so.
fn find<'a>(sessions: &'a [Stored], id: &str, store: &Store) -> Result<&'a Stored> {
    let exact = sessions.iter().find(|stored| stored.session == id);
    let mut beginning = sessions.iter().filter(|stored| stored.session.starts_with(id));
    let problem = |what: String| {
        Problem::in_file(&relative(&store.folder), what)
            .help("`perfgate baseline list` names what is there")
    };
    match (exact, beginning.next(), beginning.next()) {
        (Some(stored), ..) | (None, Some(stored), None) => Ok(stored),
        (None, None, _) => Err(problem(format!("holds no session '{id}'"))),
        (None, Some(_), Some(_)) => {
            Err(problem(format!("holds several sessions whose names begin with '{id}'")))
        }
    }
}

fn too_few(store: &Store, what: &str, instead: &str) -> Problem {
    let what = format!("holds {what} of this machine's class");
    Problem::in_file(&relative(&store.folder), what)
        .help(format!("{instead}; `perfgate baseline list` shows what is there"))
}

fn here() -> MachineClass {
    baseline::environment(Path::new("/")).machine
}

fn of_class<'a>(sessions: &'a [Stored], machine: &MachineClass) -> Vec<&'a Stored> {
    sessions.iter().filter(|stored| stored.machine == *machine).collect()
}

/// What is stored, by machine class, with what differs of each class from this machine.
fn summary(config: &Config) -> Result<String> {
    let folder = &config.baselines.folder;
    let sessions = baseline::load(folder)?;
    if sessions.is_empty() {
        return Ok(format!("no session is stored in {}\n", relative(folder).display()));
    }
    let here = here();
    let mut machines: Vec<&MachineClass> = sessions.iter().map(|stored| &stored.machine).collect();
    machines.sort_by_key(|machine| machine.key());
    machines.dedup();
    let mut text = String::new();
    for machine in machines {
        let key = machine.key();
        let mark = if baseline::same_class(&here, machine) { ", this machine's class" } else { "" };
        let of_class = of_class(&sessions, machine);
        let (there, most) = (of_class.len(), config.baselines.keep);
        let title = format!("{key}{mark}: {there} of at most {most}");
        let _ = writeln!(text, "{}", paint(&title, Tone::Title, render::colors()));
        let differences = baseline::class_differences(&here, machine);
        if !differences.is_empty() {
            let _ = writeln!(text, "  against this machine: {}", differences.join("; "));
        }
        of_class.iter().for_each(|stored| line(&mut text, stored));
    }
    Ok(text)
}

/// A stored session in a line: commit, variants, outcome, marks.
fn line(text: &mut String, stored: &Stored) {
    let commit = stored.git.as_ref().map_or("no commit", |git| hash::short(&git.commit, 12));
    let variants: Vec<&str> = stored.variants.keys().map(String::as_str).collect();
    let _ = write!(text, "  {}  {commit}  {}", stored.session, variants.join(", "));
    if let Some(verdict) = &stored.verdict {
        let _ = write!(text, "  {}", verdict.outcome);
    }
    // Where there is no commit the line says so already.
    let marks = stored.marks().into_iter().filter(|mark| *mark != StoredMark::NoCommit);
    let marks: Vec<String> = marks.map(|mark| mark.to_string()).collect();
    if !marks.is_empty() {
        let _ = write!(text, "  [{}]", marks.join(", "));
    }
    text.push('\n');
}
