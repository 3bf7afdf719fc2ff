//! Owns the configuration of a gated change: everything from the base's commit, the variants but the
//! reference from the change.

use super::changes;
use crate::config::{self, ChatTemplate, Config, Setup, Variant, WorkTree};
use crate::document::suggestion;
use crate::engine::{self, RUNTIME};
use crate::git::{self, Base, Id, Repo};
use crate::hash;
use crate::metric::Kind;
use crate::problem::{Problem, Result};
use crate::record::{Absent, Against, Authority, BASE, VerdictKind};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which change is judged, and by what.
pub struct Question<'a> {
    /// The repository.
    pub repo: &'a Repo,
    /// The commit whose policy holds.
    pub base: &'a Base,
    /// The change's `perfgate.toml`.
    pub config: &'a Path,
    /// The change's `thresholds.toml`.
    pub thresholds: &'a Path,
    /// The commit whose variants are measured too, beside the change's.
    pub beside: Option<Id>,
}

/// The set-up of a change that is judged by its base.
///
/// # Errors
/// If a file of either side is missing or wrong, or lies where the base cannot vouch for it.
pub fn govern(question: &Question<'_>) -> Result<Setup> {
    let Question { repo, base, config, thresholds, .. } = question;
    let head = config::read(&WorkTree, config, None)?;
    git::stay_inside(config, repo.folder())?;
    let (config_in, thresholds_in) = (repo.inside(config)?, repo.inside(thresholds)?);
    own_nothing_generated(repo, &head.config, config)?;
    let Some(config_there) = place_in(repo, base.commit, &config_in)? else {
        return first_configuration(question);
    };
    let side = Side::new(repo, base.commit, &head.config)?;
    let mut policy = side.read(&config_there)?;
    side.vouch(&policy_files(&policy.config))?;
    side.vouch(&templates(&policy.config))?;
    side.relocate(&mut policy.config, &head.config);
    refuse_tests(&head.config, &policy.config, config)?;

    let mut absent = BTreeMap::new();
    let merged = merge(&policy.config, &head.config, &mut absent);
    let names = with_removed(&merged, &policy.config, &absent);
    let mut notes = Vec::new();
    if config_there != config_in {
        notes.push(format!(
            "the base's configuration is {}, which this change renames to {}",
            config_there.display(),
            config_in.display()
        ));
    }
    let (rules, rules_sha256) = match rules_in(repo, base.commit, &thresholds_in, &config_there)? {
        Some(place) => {
            let file = side.checkout.join(place);
            git::stay_inside(&file, &side.checkout)?;
            let rules = config::read_thresholds(&WorkTree, &file, &names)
                .map_err(|problem| side.named(problem))?;
            (rules, hash::of_file(&file)?)
        }
        None => {
            notes.push(
                "the base has no rules: this change is judged by its own, which take effect with it"
                    .to_string(),
            );
            (config::read_thresholds(&WorkTree, thresholds, &names)?, hash::of_file(thresholds)?)
        }
    };
    notes.extend(about_reference(&policy.config));
    let mut setup = Setup {
        config: merged,
        thresholds: Some(rules),
        // Both sides make the plan.
        config_sha256: hash::of_bytes(
            format!("{}{}", policy.config_sha256, head.config_sha256).as_bytes(),
        ),
        thresholds_sha256: Some(rules_sha256),
        authority: Authority {
            base: Some(base.commit.to_string()),
            beside: None,
            how: base.how.clone(),
            notes,
            changes: changes::of(repo, base, config, thresholds)?,
        },
        absent,
        measure_unchanged: false,
    };
    if let Some(commit) = question.beside {
        measure_beside(repo, commit, config, &mut setup)?;
    }
    Ok(setup)
}

/// Adds the variants of a commit to a set-up, each under its name with `@base` behind it, but for the
/// reference, which is the same for both sides.
///
/// # Errors
/// If the commit's configuration is wrong, or cannot vouch for its templates.
pub fn measure_beside(repo: &Repo, commit: Id, config: &Path, setup: &mut Setup) -> Result<()> {
    setup.authority.beside = Some(commit.to_string());
    let names: Vec<String> = setup.config.names();
    let candidates: Vec<&String> = names.iter().filter(|n| **n != setup.config.reference).collect();
    let base_of = |name: &str| format!("{name}{BASE}");
    let short = &commit.to_string()[..12];
    let Some(there) = place_in(repo, commit, &repo.inside(config)?)? else {
        let why = format!("the base, {short}, has no configuration");
        for name in candidates {
            let none = Absent { verdict: VerdictKind::NoBaseline, why: why.clone() };
            setup.absent.insert(base_of(name), none);
        }
        return Ok(());
    };
    let side = Side::new(repo, commit, &setup.config)?;
    let mut then = side.read(&there)?.config;
    side.vouch(&templates(&then))?;
    side.relocate(&mut then, &setup.config);
    let mut variants = Vec::new();
    for variant in &setup.config.variants {
        let name = &variant.name;
        variants.push(variant.clone());
        if *name == setup.config.reference {
            continue;
        }
        let Some(of_then) = then.variant(name) else {
            let why = format!("the base, {short}, has no variant '{name}'");
            let none = Absent { verdict: VerdictKind::NoBaseline, why };
            setup.absent.insert(base_of(name), none);
            continue;
        };
        variants.push(Variant { name: base_of(name), must_be_known: true, ..of_then.clone() });
        if let Some(quality) = &mut setup.config.quality
            && quality.variants.contains(name)
        {
            quality.variants.push(base_of(name));
        }
    }
    setup.config.variants = variants;
    setup
        .authority
        .notes
        .push(format!("the variants of {short} are measured beside this change's"));
    Ok(())
}

/// Refuses a change that brings what perfgate generates and trusts: the base's files, answers to graded tasks,
/// notes on recipes.
fn own_nothing_generated(repo: &Repo, head: &Config, config: &Path) -> Result<()> {
    // A folder outside of the repository is nothing that a commit could bring.
    let Ok(output) = repo.inside(&head.output) else { return Ok(()) };
    for folder in ["base", "quality", "prepared"] {
        let folder = output.join(folder);
        if repo.holds(repo.head()?, &folder)? {
            let what = format!("is committed, and perfgate generates {}", folder.display());
            return Err(Problem::in_file(&output, what).help(format!(
                "remove it from git (`git rm -r --cached {}`), or name another folder with output = \"…\" in {}",
                output.display(),
                config.display()
            )));
        }
    }
    Ok(())
}

/// Where the base has the configuration: at the same place, or at the one that the change moves it from.
/// Nothing if the base has none.
fn place_in(repo: &Repo, commit: Id, config: &Path) -> Result<Option<PathBuf>> {
    if repo.read(commit, config)?.is_some() {
        return Ok(Some(config.to_path_buf()));
    }
    let known = toml_files(repo, commit, Path::new(""), &["[variants.", "[workload]"])?;
    let gone = gone(repo, &known);
    match (&gone[..], &known[..]) {
        (_, []) => Ok(None),
        ([moved], _) => Ok(Some((*moved).clone())),
        _ => {
            let names: Vec<String> = known.iter().map(|path| path.display().to_string()).collect();
            let name = config.display().to_string();
            let what =
                format!("is not in the base {}, which has others", &commit.to_string()[..12]);
            Err(Problem::in_file(config, what).help(format!(
                "{}; a further configuration gates from the first change after the one that adds it, until \
                 then with --policy-from worktree",
                suggestion(&name, &names)
            )))
        }
    }
}

/// Where the base has the rules: at the same place, under their usual name beside its configuration, or where
/// the change moves them from. Nothing if the base has none.
fn rules_in(repo: &Repo, commit: Id, thresholds: &Path, config: &Path) -> Result<Option<PathBuf>> {
    for place in [thresholds.to_path_buf(), config.with_file_name("thresholds.toml")] {
        if repo.read(commit, &place)?.is_some() {
            return Ok(Some(place));
        }
    }
    let folder = config.parent().unwrap_or(Path::new(""));
    let mut known = toml_files(repo, commit, folder, &["[rules]"])?;
    known.retain(|path| path.parent() == Some(folder));
    let gone = gone(repo, &known);
    match &gone[..] {
        [] => Ok(None),
        [moved] => Ok(Some((*moved).clone())),
        _ => {
            let what = "is not in the base, and several files of rules that are there are gone";
            Err(Problem::in_file(thresholds, what).help("move them one by one"))
        }
    }
}

/// The files of TOML below a folder of a commit that contain some texts.
fn toml_files(repo: &Repo, commit: Id, folder: &Path, texts: &[&str]) -> Result<Vec<PathBuf>> {
    let fits = |blob: &git::Blob| {
        let text = String::from_utf8_lossy(&blob.bytes);
        texts.iter().all(|wanted| text.contains(wanted))
    };
    let toml = |path: &Path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"));
    let files = repo.list_if(commit, folder, &toml)?;
    Ok(files.into_iter().filter(fits).map(|blob| blob.path).collect())
}

/// Those that the work tree no longer has under their names.
fn gone<'a>(repo: &Repo, known: &'a [PathBuf]) -> Vec<&'a PathBuf> {
    known.iter().filter(|path| !exists_as_written(&repo.folder().join(path))).collect()
}

/// Whether a file is there under exactly this name, on file systems too that ignore case.
fn exists_as_written(path: &Path) -> bool {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return false };
    std::fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| entry.file_name() == name)
}

/// A change that brings the first configuration has nobody else's rules to be judged by.
fn first_configuration(question: &Question<'_>) -> Result<Setup> {
    let Question { base, config, thresholds, .. } = question;
    let mut setup = config::read(&WorkTree, config, Some(thresholds))?;
    setup.authority = Authority {
        base: Some(base.commit.to_string()),
        beside: None,
        how: base.how.clone(),
        notes: vec![
            "the base has no perfgate.toml: this change brings the first one and is judged by its own \
             rules, which take effect with it"
                .to_string(),
        ],
        changes: Vec::new(),
    };
    if let Some(commit) = question.beside {
        measure_beside(question.repo, commit, config, &mut setup)?;
    }
    Ok(setup)
}

/// What for tests a change may not have.
fn refuse_tests(head: &Config, policy: &Config, file: &Path) -> Result<()> {
    let banned = |variant: &Variant| {
        variant.for_tests().into_iter().find(|what| !policy.allow.contains(what))
    };
    let candidates = head.variants.iter().filter(|variant| variant.name != policy.reference);
    match candidates.filter_map(|variant| Some((variant, banned(variant)?))).next() {
        None => Ok(()),
        Some((variant, what)) => {
            let kind = match what {
                config::ForTests::Switches => "has test switches".to_string(),
                _ => format!("is of the engine '{}'", what.id()),
            };
            let what_it_is = format!("variant '{}' {kind}, which gates nothing", variant.name);
            Err(Problem::in_file(file, what_it_is).help(format!(
                "the base's perfgate.toml would have to allow it: allow = [\"{}\"]",
                what.id()
            )))
        }
    }
}

/// The base's configuration with the change's variants: the reference stays the base's.
fn merge(policy: &Config, head: &Config, absent: &mut BTreeMap<String, Absent>) -> Config {
    let of_head = |name: &str| head.variant(name).cloned();
    let is_reference = |name: &str| name == policy.reference;
    let mut variants: Vec<Variant> = Vec::new();
    let mut asked: Vec<String> = Vec::new();
    let quality = policy.quality.as_ref();
    let answers =
        |name: &str| quality.is_some_and(|q| q.variants.iter().any(|other| other == name));
    for of_policy in &policy.variants {
        let name = &of_policy.name;
        if is_reference(name) {
            variants.push(of_policy.clone());
        } else if let Some(variant) = of_head(name) {
            variants.push(variant);
        } else {
            let why = format!(
                "this change removes '{name}', which the base's rules judge: change the rules first, in a \
                 change of their own"
            );
            absent.insert(name.clone(), Absent { verdict: VerdictKind::Invalid, why });
            continue;
        }
        if answers(name) {
            asked.push(name.clone());
        }
    }
    for variant in head.variants.iter().filter(|variant| policy.variant(&variant.name).is_none()) {
        variants.push(variant.clone());
        if quality.is_some() {
            asked.push(variant.name.clone());
        }
    }
    Config {
        folder: head.folder.clone(),
        output: head.output.clone(),
        variants,
        quality: policy
            .quality
            .clone()
            .map(|quality| config::Quality { variants: asked, ..quality }),
        ..policy.clone()
    }
}

/// The configuration with the variants that the change removes, so that rules may name them.
fn with_removed(merged: &Config, policy: &Config, absent: &BTreeMap<String, Absent>) -> Config {
    let mut names = merged.clone();
    let removed = policy.variants.iter().filter(|variant| absent.contains_key(&variant.name));
    for variant in removed {
        names.variants.push(variant.clone());
        if let Some(quality) = &mut names.quality {
            quality.variants.push(variant.name.clone());
        }
    }
    names
}

/// What the base does not say of its reference.
fn about_reference(policy: &Config) -> Option<String> {
    let reference = policy.variant(&policy.reference)?;
    let in_commit = reference.elsewhere.is_some() && reference.load.model.exists();
    if in_commit || !engine::has_model(&reference.load) {
        return None;
    }
    let mut missing = Vec::new();
    if reference.model_sha256.is_none() {
        missing.push("model_sha256");
    }
    if reference.files_sha256.is_none() {
        missing.push("files_sha256");
    }
    if engine::loads_library(&reference.load) && reference.runtime_version.is_none() {
        missing.push("runtime_version");
    }
    let what = match missing[..] {
        [] => return None,
        ["model_sha256", ..] => "its model is the base's",
        ["files_sha256", ..] => {
            "its tokenizer, templates and generation_config.json are the base's"
        }
        _ => "its runtime is the base's",
    };
    Some(format!(
        "the base names no {} for its reference '{}': that {what} is not checked (`perfgate doctor --lock`)",
        missing.join(", no "),
        reference.name
    ))
}

/// A commit's variant beside that of an older one, with the rules and the workload of the older one: a set-up
/// with nothing but the two, of which the older one's is the reference.
///
/// `names` picks the one rule of the older commit; it is turned to hold the variant against the older one's.
///
/// # Errors
/// If one of the two has no such configuration, variant or rule.
pub fn between(
    repo: &Repo,
    [old, new]: [Id; 2],
    [config, thresholds]: [&Path; 2],
    rule: &str,
) -> Result<Setup> {
    let here = config::read_config(&WorkTree, config)?;
    let (config_in, thresholds_in) = (repo.inside(config)?, repo.inside(thresholds)?);
    let need = |found: Option<PathBuf>, commit: Id, file: &Path| {
        found.ok_or_else(|| {
            Problem::in_file(file, format!("is not in commit {}", &commit.to_string()[..12]))
                .help("name a commit that has it")
        })
    };
    let old_config = need(place_in(repo, old, &config_in)?, old, config)?;
    let new_config = need(place_in(repo, new, &config_in)?, new, config)?;
    let then = Side::new(repo, old, &here)?;
    let mut setup = then.read(&old_config)?;
    then.vouch(&policy_files(&setup.config))?;
    then.vouch(&templates(&setup.config))?;
    then.relocate(&mut setup.config, &here);
    let rules = rules_in(repo, old, &thresholds_in, &old_config)?;
    let rules = then.checkout.join(need(rules, old, thresholds)?);
    let mut all = config::read_thresholds(&WorkTree, &rules, &setup.config)
        .map_err(|problem| then.named(problem))?;
    let ids: Vec<String> = all.rules.iter().map(|rule| rule.id.clone()).collect();
    all.rules.retain(|known| known.id == rule);
    let [one] = &mut all.rules[..] else {
        let what = format!("has no rule '{rule}' in commit {}", &old.to_string()[..12]);
        return Err(Problem::in_file(&rules, what).help(suggestion(rule, &ids)));
    };
    let name = one.variant.clone();
    if one.against != Against::Absolute {
        one.against = Against::Variant(format!("{name}{BASE}"));
    }
    let now = Side::new(repo, new, &here)?;
    let mut changed = now.read(&new_config)?.config;
    now.vouch(&templates(&changed))?;
    now.relocate(&mut changed, &here);
    let variant = |config: &Config, commit: Id| {
        let found = config.variant(&name).cloned();
        found.map(|variant| Variant { must_be_known: true, ..variant }).ok_or_else(|| {
            Problem::in_file(
                config_in.as_path(),
                format!("has no variant '{name}' in commit {}", &commit.to_string()[..12]),
            )
        })
    };
    let base_name = format!("{name}{BASE}");
    let base = Variant { name: base_name.clone(), ..variant(&setup.config, old)? };
    let judged = variant(&changed, new)?;
    let config = &mut setup.config;
    (config.folder, config.variants) = (here.folder.clone(), vec![base, judged]);
    config.reference = base_name.clone();
    config.quality = config
        .quality
        .take()
        .filter(|quality| {
            one.metric.kind() == Kind::TaskProportion && quality.variants.contains(&name)
        })
        .map(|quality| config::Quality { variants: vec![base_name, name], ..quality });
    // Both are judged against each other, and documents are against the reference only.
    config.fidelity = None;
    // One rule is judged, and none is on load.
    (config.sustained, config.concurrency) = (None, None);
    setup.thresholds = Some(all);
    Ok(setup)
}

/// The files that a policy consists of, beside the two of its own, each with the key that names it.
fn policy_files(policy: &Config) -> Vec<(PathBuf, String)> {
    let mut files = vec![(policy.workload.tasks.clone(), "[workload] tasks".to_string())];
    if let Some(quality) = &policy.quality {
        for set in &quality.sets {
            files.push((set.tasks.clone(), "[quality] tasks".to_string()));
            for (file, key) in
                [(&set.answers, "answers"), (&set.prompt_template, "prompt_template")]
            {
                files.extend(file.clone().map(|file| (file, format!("[quality] {key}"))));
            }
        }
    }
    let documents = policy.fidelity.as_ref().map(|fidelity| fidelity.documents.clone());
    files.extend(documents.map(|file| (file, "[quality.fidelity] documents".to_string())));
    files
}

/// The files of chat templates, each with the key that names it.
fn templates(config: &Config) -> Vec<(PathBuf, String)> {
    let of_variant = |variant: &Variant| match &variant.chat_template {
        ChatTemplate::File(file) => {
            Some((file.clone(), format!("chat_template of '{}'", variant.name)))
        }
        _ => None,
    };
    config.variants.iter().filter_map(of_variant).collect()
}

/// The files of a commit on the disk, and the work tree that they belong to.
struct Side<'a> {
    commit: Id,
    checkout: PathBuf,
    work_tree: &'a Path,
}

impl<'a> Side<'a> {
    fn new(repo: &'a Repo, commit: Id, head: &Config) -> Result<Side<'a>> {
        head.make_output()?;
        let checkout = git::check_out(repo, commit, &head.output.join("base"))?;
        Ok(Side { commit, checkout, work_tree: repo.folder() })
    }

    /// Says whose the problem is.
    fn named(&self, problem: Problem) -> Problem {
        problem.of(&format!("the base, {},", &self.commit.to_string()[..12]))
    }

    fn read(&self, config: &Path) -> Result<Setup> {
        let file = self.checkout.join(config);
        git::stay_inside(&file, &self.checkout)?;
        config::read(&WorkTree, &file, None).map_err(|problem| self.named(problem))
    }

    /// Makes sure that the commit itself has some files.
    fn vouch(&self, files: &[(PathBuf, String)]) -> Result<()> {
        for (file, key) in files {
            let plain = git::without_detours(file);
            let Ok(inner) = plain.strip_prefix(&self.checkout) else {
                let what = format!("{key} lies outside of the repository");
                return Err(self.named(Problem::in_file(&plain, what).help(VOUCH)));
            };
            if !plain.exists() {
                let what = format!("{key} is not in that commit");
                return Err(self.named(Problem::in_file(inner, what).help(VOUCH)));
            }
            git::stay_inside(&plain, &self.checkout)?;
        }
        Ok(())
    }

    /// Points a configuration that was read from the checkout to what lies in the work tree alone: what is
    /// generated, and models and runtimes that no commit holds.
    fn relocate(&self, policy: &mut Config, head: &Config) {
        policy.output = head.output.clone();
        policy.baselines.elsewhere = self.elsewhere(&policy.baselines.folder);
        for variant in &mut policy.variants {
            variant.load.root = head.output.clone();
            let model = variant.load.model.clone();
            variant.elsewhere = self.elsewhere(&model);
            if !variant.tokenizer.starts_with(&model) {
                variant.tokenizer = self.find(&variant.tokenizer);
            }
            if let Some(place) = variant.load.text(RUNTIME).map(PathBuf::from) {
                let place = self.find(&place).display().to_string();
                variant.load.options.insert(RUNTIME.to_string(), place.into());
            }
        }
    }

    /// The same path in the work tree, of one in the checkout.
    fn elsewhere(&self, path: &Path) -> Option<PathBuf> {
        let inner = path.strip_prefix(&self.checkout).ok()?;
        Some(git::without_detours(&self.work_tree.join(inner)))
    }

    /// A path where the base has it, or else where the work tree may have it.
    fn find(&self, path: &Path) -> PathBuf {
        let plain = git::without_detours(path);
        match self.elsewhere(path) {
            Some(elsewhere) if !(plain.starts_with(&self.checkout) && plain.exists()) => elsewhere,
            _ => plain,
        }
    }
}

const VOUCH: &str = "what a pull request is judged by has to be committed: commit the file, and name it by a path within \
     the repository";
