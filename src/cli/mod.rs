//! Owns the command line: clap types, one conversion, wiring; one file per subcommand.

mod baseline;
mod bisect;
mod calibrate;
mod check;
mod comment;
mod compare;
mod doctor;
mod exit;
mod explain;
mod history;
mod init;
mod measure;
mod merge;
mod plan;
mod policy;
mod progress;
mod publish;
mod render;
mod run;
mod start;

use crate::github::address::Repository;
use crate::github::mark::Id;
use crate::problem::{Problem, Result};
use crate::record::Only;
use crate::report::{FORMATS, Format};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// A merge gate for quantized language models: runs the variants of a model side by side, compares
/// them with statistics, and says by its exit code whether a change may merge.
#[derive(Debug, Parser)]
#[command(name = "perfgate", version, max_term_width = 100, after_help = exit::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the variants, judge them by the rules, report, and exit by the outcome
    Check(CheckArguments),
    /// Measure variants without judging them
    Run(RunArguments),
    /// Join results of parts of the graded tasks (`perfgate run --only quality --shard 1/4`) as if one session had
    /// asked them all; exits with 2 if they do not belong together
    Merge(MergeArguments),
    /// Hold one run against another by the rules
    Compare(CompareArguments),
    /// Print the report of an earlier run again
    Report(ReportArguments),
    /// Put what a run came to into the one comment of its pull request on GitHub; exits with 2 if it cannot
    #[command(after_help = COMMENT_HELP)]
    Comment(CommentArguments),
    /// Hold a variant against itself: noise, false alarms, and the limits and rounds they advise
    Calibrate(CalibrateArguments),
    /// Measure cold starts step by step, with the page cache warm and dropped, the engine's model cache and mmap on and off
    Start(StartArguments),
    /// Find the commit that broke a rule
    Bisect(BisectArguments),
    /// Accept sessions as what later ones are held against
    #[command(subcommand)]
    Baseline(BaselineCommand),
    /// Show a metric over every session that was ever stored, and where it moved
    History(HistoryArguments),
    /// Make the first files of a project; what is there already is kept
    Init(InitArguments),
    /// Say why one variant is faster than another: what it reads and computes for each token, held against what
    /// this machine can do
    Explain(ExplainArguments),
    /// Show whether this machine and this project can run the gate; exits with 2 if not
    Doctor(DoctorArguments),
    /// Say what one OpenVINO runtime is
    #[command(name = crate::worker::ASK_RUNTIME, hide = true)]
    AskRuntime { library: PathBuf, spec: Option<String> },
    /// Serve one model to the parent process
    #[command(name = crate::worker::SUBCOMMAND, hide = true)]
    Worker,
}

#[derive(Debug, clap::Args)]
struct CheckArguments {
    #[command(flatten)]
    setting: Setting,
    #[command(flatten)]
    judging: Judging,
    #[command(flatten)]
    measuring: Measuring,
    /// Print what would be done, how long it takes and which rules it can settle; measure nothing
    #[arg(long, conflicts_with_all = ["resume", "results"])]
    dry_run: bool,
    /// Judge saved results and measure nothing [default: benchmark_results.json in the output
    /// folder]; the verdicts are saved with them
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with_all = ["rounds", "fresh", "resume"])]
    results: Option<Option<PathBuf>>,
    /// In a step of GitHub Actions: append the report to its summary, mark the lines of broken rules, set
    /// its outputs; also if the check cannot run
    #[arg(long)]
    github: bool,
    #[command(flatten)]
    display: Display,
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// The variants to measure, side by side [default: all]
    #[arg(value_name = "VARIANT")]
    variants: Vec<String>,
    /// What runs: variants, workload, rounds
    #[arg(long, value_name = "FILE", default_value = "perfgate.toml")]
    config: PathBuf,
    #[command(flatten)]
    measuring: Measuring,
    /// The file of results: these variants replace theirs in it, the others stay
    /// [default: benchmark_results.json in the output folder]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    display: Display,
}

#[derive(Debug, clap::Args)]
struct MergeArguments {
    /// The file that is written; `perfgate check --results OUT` judges it
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Results of the parts: of the same variants, tasks and machine class, no task in two of them; rounds in one
    /// of them at most
    #[arg(value_name = "FILE", required = true)]
    shards: Vec<PathBuf>,
    #[command(flatten)]
    display: Display,
}

#[derive(Debug, clap::Args)]
struct CompareArguments {
    /// Results that are held against
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// Results that are judged
    #[arg(value_name = "NEW")]
    new: PathBuf,
    #[command(flatten)]
    setting: Setting,
    #[command(flatten)]
    display: Display,
}

#[derive(Debug, clap::Args)]
struct CalibrateArguments {
    /// The variant to hold against itself [default: the reference]
    #[arg(value_name = "VARIANT")]
    variant: Option<String>,
    #[command(flatten)]
    setting: Setting,
    /// Sessions to measure; those of earlier calibrations are read with them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=1000))]
    sessions: u32,
    /// How long to wait between sessions: a machine's mood changes by the hour
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = humantime::parse_duration)]
    pause: Duration,
    /// Rounds of a session [default: four times those of the configuration]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=10_000))]
    rounds: Option<u32>,
    /// Where calibrations are kept [default: calibration in the output folder]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// How many rounds are compared, in place of those of the configuration
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=10_000))]
    compare: Option<u32>,
    #[command(flatten)]
    display: SheetDisplay,
}

#[derive(Debug, clap::Args)]
struct StartArguments {
    /// The variants to start [default: all]
    #[arg(value_name = "VARIANT", conflicts_with = "results")]
    variants: Vec<String>,
    /// What runs: variants and workload, whose first task is the one request of each start
    #[arg(long, value_name = "FILE", default_value = "perfgate.toml")]
    config: PathBuf,
    /// Starts of each variant under each condition; six or more give an interval
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeats: u32,
    /// What is varied, in all combinations that the engine has
    #[arg(long, value_name = "WHAT,WHAT", value_enum, value_delimiter = ',', conflicts_with = "results",
          default_values_t = [Vary::PageCache, Vary::ModelCache, Vary::Mmap])]
    vary: Vec<Vary>,
    /// The file of all samples, as JSON, saved as they come [default: starts.json in the output folder]
    #[arg(long, value_name = "FILE", conflicts_with = "results")]
    output: Option<PathBuf>,
    /// Print what an earlier measurement saved, and measure nothing [default: starts.json in the output folder]
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    results: Option<Option<PathBuf>>,
    #[command(flatten)]
    display: SheetDisplay,
}

/// What is varied between starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Vary {
    /// The model's files in the page cache, or dropped from it
    PageCache,
    /// The engine's cache of compiled models, off and on; it is filled first, and removed in the end
    ModelCache,
    /// The model's files mapped, or read
    Mmap,
    /// Nothing: as configured, with the page cache warm
    None,
}

#[derive(Debug, clap::Args)]
struct BisectArguments {
    /// A commit whose variant was good, and whose rules and workload hold
    #[arg(value_name = "GOOD")]
    good: String,
    /// A later commit where the rule is broken
    #[arg(value_name = "BAD")]
    bad: String,
    /// The rule of thresholds.toml, as reports name it
    #[arg(value_name = "RULE")]
    rule: String,
    #[command(flatten)]
    setting: Setting,
    #[command(flatten)]
    measuring: Measuring,
    #[command(flatten)]
    display: SheetDisplay,
}

/// The two files.
#[derive(Debug, clap::Args)]
struct Setting {
    /// What runs: variants, workload, rounds
    #[arg(long, value_name = "FILE", default_value = "perfgate.toml")]
    config: PathBuf,
    /// What is allowed: the rules [default: thresholds.toml beside the configuration]
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
}

impl Setting {
    fn thresholds_file(&self) -> PathBuf {
        let beside = || self.config.with_file_name("thresholds.toml");
        self.thresholds.clone().unwrap_or_else(beside)
    }
}

/// Whose policy it is, and what is measured beside.
#[derive(Debug, clap::Args)]
struct Judging {
    /// Judge by the rules, workload, reference and baselines of this commit, the tip of the target branch
    /// [default: in a pull request on GitHub its base, else the work tree]
    #[arg(long, value_name = "REF")]
    base: Option<String>,
    /// Measure the variants of this commit beside those of the work tree and hold each against its own;
    /// without --base it is also what the work tree is judged by [default: the base]
    #[arg(long, value_name = "REF", num_args = 0..=1)]
    against: Option<Option<String>>,
    /// Whose policy holds, in a pull request too
    #[arg(long, value_name = "SIDE", value_enum, default_value_t = PolicyFrom::Base)]
    policy_from: PolicyFrom,
    /// Measure the base's variants even if they are the same by their content
    #[arg(long, requires = "against")]
    measure_unchanged: bool,
}

/// Whose policy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PolicyFrom {
    /// The base's, where there is one
    Base,
    /// The work tree's own, for local work; the report says so
    Worktree,
}

/// How to measure.
#[derive(Debug, Default, clap::Args)]
struct Measuring {
    /// Run so many rounds instead of what the configuration says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: Option<u32>,
    /// Ask every graded task anew, even where an earlier session has the answer
    #[arg(long)]
    fresh: bool,
    /// Go on with the session that was interrupted, if nothing relevant has changed
    #[arg(long)]
    resume: bool,
    /// Measure the graded tasks, the rounds or the load alone; rules on the rest stay undecided
    #[arg(long, value_name = "WHAT", value_enum, conflicts_with = "results")]
    only: Option<Only>,
    /// Ask the graded tasks of this suite alone; may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "results")]
    suite: Vec<String>,
    /// Ask the graded tasks alone that carry all of these tags
    #[arg(long, value_name = "TAG,TAG", value_delimiter = ',', conflicts_with = "results")]
    tags: Vec<String>,
    /// Ask so many graded tasks at most, the same ones each time, or all [default: the configuration's]
    #[arg(long, value_name = "N|all", value_parser = limit, conflicts_with = "results")]
    limit: Option<TaskLimit>,
    /// Ask one part of several of the graded tasks, such as 1/4; `perfgate merge` joins them
    #[arg(long, value_name = "I/N", value_parser = shard, conflicts_with = "results")]
    shard: Option<Shard>,
}

impl ValueEnum for Only {
    fn value_variants<'a>() -> &'a [Only] {
        &[Only::Quality, Only::Timing, Only::Load]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Only::Quality => "The graded tasks",
            Only::Timing => "The rounds",
            Only::Load => "The sustained load and the loads of several requests at once",
        };
        Some(PossibleValue::new(self.id()).help(help))
    }
}

/// How many graded tasks are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaskLimit {
    All,
    Some(u32),
}

/// One part of several, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shard {
    part: u32,
    of: u32,
}

/// `all`, or a number.
fn limit(text: &str) -> std::result::Result<TaskLimit, String> {
    match text.parse() {
        _ if text == "all" => Ok(TaskLimit::All),
        Ok(0) | Err(_) => Err("write a number of tasks above 0, or all".to_string()),
        Ok(count) => Ok(TaskLimit::Some(count)),
    }
}

/// `1/4`.
fn shard(text: &str) -> std::result::Result<Shard, String> {
    let numbers = text.split_once('/').and_then(|(a, b)| a.parse().ok().zip(b.parse().ok()));
    match numbers {
        Some((part, of)) if (1..=of).contains(&part) => Ok(Shard { part, of }),
        _ => Err("write I/N, such as 1/4 for the first of four parts".to_string()),
    }
}

impl Measuring {
    /// The options that change what is measured beside the rounds, and their values.
    fn narrowed(&self) -> Vec<(String, String)> {
        let only = self.only.map(|only| only.id().to_string());
        let limit = self.limit.map(|limit| match limit {
            TaskLimit::All => "all".to_string(),
            TaskLimit::Some(count) => count.to_string(),
        });
        let tags = (!self.tags.is_empty()).then(|| self.tags.join(","));
        let shard = self.shard.map(|shard| format!("{}/{}", shard.part, shard.of));
        let suites = self.suite.iter().map(|suite| ("--suite", suite.clone()));
        only.map(|only| ("--only", only))
            .into_iter()
            .chain(suites)
            .chain(tags.map(|tags| ("--tags", tags)))
            .chain(limit.map(|limit| ("--limit", limit)))
            .chain(shard.map(|shard| ("--shard", shard)))
            .map(|(option, value)| (option.to_string(), value))
            .collect()
    }
}

/// How to show a report, and where else to put it.
#[derive(Debug, clap::Args)]
struct Display {
    /// How the report is printed
    #[arg(long, value_name = "FORMAT", default_value = FORMATS[0].id, value_parser = formats())]
    format: Format,
    /// Write the report to a file too, in any of the formats; may be given several times
    #[arg(long, value_name = "FORMAT=FILE", value_parser = export)]
    export: Vec<Export>,
    #[command(flatten)]
    loudness: Loudness,
}

/// A file that a report is written to.
#[derive(Debug, Clone)]
struct Export {
    format: Format,
    file: PathBuf,
}

/// How to show a sheet.
#[derive(Debug, clap::Args)]
struct SheetDisplay {
    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = FORMATS[0].id, value_parser = sheet_formats())]
    format: Format,
    #[command(flatten)]
    loudness: Loudness,
}

/// How much is said.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Loudness {
    /// Print nothing but the report
    #[arg(long, short)]
    quiet: bool,
    /// Print more: every start of a worker, details of the metrics, the environment
    #[arg(long, short, conflicts_with = "quiet")]
    verbose: bool,
}

fn formats() -> impl TypedValueParser<Value = Format> {
    parser_of(FORMATS.iter().copied())
}

/// Those that can show a sheet.
fn sheet_formats() -> impl TypedValueParser<Value = Format> {
    parser_of(FORMATS.iter().copied().filter(|format| format.sheet.is_some()))
}

fn parser_of(formats: impl Iterator<Item = Format>) -> impl TypedValueParser<Value = Format> {
    let known = formats.map(|format| PossibleValue::new(format.id).help(format.help));
    PossibleValuesParser::new(known)
        .try_map(|id| format_of(&id).ok_or_else(|| std::io::Error::other("no such format")))
}

fn format_of(id: &str) -> Option<Format> {
    FORMATS.iter().copied().find(|format| format.id == id)
}

/// `html=report.html`.
fn export(text: &str) -> std::result::Result<Export, String> {
    let known: Vec<&str> = FORMATS.iter().map(|format| format.id).collect();
    let (id, file) = text.split_once('=').unwrap_or((text, ""));
    let format = format_of(id)
        .ok_or_else(|| format!("there is no format '{id}'; there are {}", known.join(", ")))?;
    match file.is_empty() {
        true => Err(format!("no file: write {id}=FILE")),
        false => Ok(Export { format, file: PathBuf::from(file) }),
    }
}

#[derive(Debug, Subcommand)]
enum BaselineCommand {
    /// Store the latest session; one file for each, to be committed
    Update(BaselineUpdate),
    /// Show what is stored, by machine class
    List(BaselineList),
    /// Show one stored session: where it comes from, what the rules said, its values
    Show(BaselineShow),
    /// Show what differs between two stored sessions; unpaired, and nothing is decided by it
    Diff(BaselineDiff),
    /// Remove all but the newest sessions of each machine class
    Prune(BaselinePrune),
}

#[derive(Debug, clap::Args)]
struct BaselineUpdate {
    /// Results to accept [default: benchmark_results.json in the output folder]
    #[arg(value_name = "FILE")]
    results: Option<PathBuf>,
    /// The same as FILE
    #[arg(long, value_name = "FILE", conflicts_with = "results")]
    from_run: Option<PathBuf>,
    #[command(flatten)]
    store: StoreSetting,
    /// Accept a session although it proved a regression; a mark in the stored file says so
    #[arg(long)]
    accept_regression: bool,
    /// Accept a session that was measured with uncommitted changes; a mark in the stored file says so
    #[arg(long)]
    allow_dirty: bool,
}

#[derive(Debug, clap::Args)]
struct BaselineList {
    #[command(flatten)]
    store: StoreSetting,
}

#[derive(Debug, clap::Args)]
struct BaselineShow {
    /// The session, or the beginning of its name [default: the newest of this machine's class]
    #[arg(value_name = "SESSION")]
    session: Option<String>,
    #[command(flatten)]
    store: StoreSetting,
    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = FORMATS[0].id, value_parser = sheet_formats())]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct BaselineDiff {
    /// The earlier session, or the beginning of its name [default: the newest but one of this machine's
    /// class]
    #[arg(value_name = "OLD")]
    old: Option<String>,
    /// The later session [default: the newest of OLD's machine class]
    #[arg(value_name = "NEW")]
    new: Option<String>,
    #[command(flatten)]
    store: StoreSetting,
    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = FORMATS[0].id, value_parser = sheet_formats())]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct BaselinePrune {
    /// How many sessions of each machine class stay [default: keep in [baselines] of the configuration]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    keep: Option<u32>,
    /// Print what would be removed; remove nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: StoreSetting,
}

/// The store.
#[derive(Debug, clap::Args)]
struct StoreSetting {
    /// The configuration, which names the store
    #[arg(long, value_name = "FILE", default_value = "perfgate.toml")]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
struct HistoryArguments {
    /// The metric, by its name in thresholds.toml
    #[arg(value_name = "METRIC")]
    metric: String,
    /// The variant to show [default: all of the configuration]
    #[arg(long, value_name = "VARIANT")]
    variant: Option<String>,
    /// How a session's values are reduced, such as p90 [default: the metric's own]
    #[arg(long, value_name = "STATISTIC")]
    statistic: Option<String>,
    /// Show the ratio to this variant of the same session, which cancels much of the machine
    #[arg(long, value_name = "VARIANT")]
    relative_to: Option<String>,
    /// The configuration, which names the store
    #[arg(long, value_name = "FILE", default_value = "perfgate.toml")]
    config: PathBuf,
    /// Show sessions of other machine classes too, each class for itself
    #[arg(long)]
    all_classes: bool,
    #[command(flatten)]
    display: SheetDisplay,
}

#[derive(Debug, clap::Args)]
struct ExplainArguments {
    /// Results of an earlier run
    #[arg(value_name = "FILE", default_value = ".perfgate/benchmark_results.json")]
    results: PathBuf,
    /// The configuration, which names the models where they have to be looked at
    #[arg(long, value_name = "FILE", default_value = "perfgate.toml")]
    config: PathBuf,
    /// Measure what this machine can do anew, in place of what was recorded with the run; takes some seconds
    #[arg(long)]
    measure: bool,
    #[command(flatten)]
    display: SheetDisplay,
}

#[derive(Debug, clap::Args)]
struct ReportArguments {
    /// Results of an earlier run
    #[arg(value_name = "FILE", default_value = ".perfgate/benchmark_results.json")]
    results: PathBuf,
    /// The configuration, which names the store whose history a page shows
    #[arg(long, value_name = "FILE", default_value = "perfgate.toml")]
    config: PathBuf,
    #[command(flatten)]
    display: Display,
}

/// What `perfgate comment` reads besides, for `--help`.
const COMMENT_HELP: &str = "\
Environment:
  GITHUB_TOKEN (or GH_TOKEN)  the token, with `pull-requests: write`; it is never shown
  GITHUB_API_URL              the API's address [default: https://api.github.com]
  HTTPS_PROXY, NO_PROXY       the way there
In a workflow GitHub sets the rest: the repository, the event and the run.

Exit codes:
  0  there is nothing (more) to say, or it is said
  2  the comment could not be put there";

#[derive(Debug, clap::Args)]
struct CommentArguments {
    /// Results of an earlier run
    #[arg(value_name = "FILE", default_value = ".perfgate/benchmark_results.json")]
    results: PathBuf,
    /// The configuration of the gate, whose path tells its comment from those of other gates; it is not read
    #[arg(long, value_name = "FILE", default_value = "perfgate.toml")]
    config: PathBuf,
    /// Which of perfgate's comments it is, where a pull request has several [default: the configuration's, by its path
    /// in the repository; 'default' for perfgate.toml at the top]
    #[arg(long, value_name = "ID", value_parser = comment::id)]
    id: Option<Id>,
    /// When to comment
    #[arg(long, value_enum, default_value_t = CommentMode::Always)]
    mode: CommentMode,
    /// The pull request [default: that of the workflow's event]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pull_request: Option<u64>,
    /// Its repository [default: GITHUB_REPOSITORY]
    #[arg(long, value_name = "OWNER/NAME", value_parser = Repository::new)]
    repository: Option<Repository>,
    /// Whose comment is brought up to date [default: the token's owner, or github-actions[bot]]
    #[arg(long, value_name = "LOGIN")]
    author: Option<String>,
    /// The address of the full report [default: the workflow's run]
    #[arg(long, value_name = "URL", value_parser = comment::link)]
    link: Option<String>,
    /// The commit that was measured [default: the pull request's newest, as the event tells it]
    #[arg(long, value_name = "SHA", value_parser = comment::commit)]
    commit: Option<String>,
    /// Comment that the check could not run, and why; FILE is not read
    #[arg(long, value_name = "TEXT")]
    problem: Option<String>,
    /// Print the comment, and talk to nobody
    #[arg(long)]
    dry_run: bool,
}

/// When to comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CommentMode {
    /// Each time
    Always,
    /// When something is wrong, and later when what is wrong has changed
    Change,
    /// When something is wrong, and from then on each time
    Failure,
    /// Not at all
    Never,
}

#[derive(Debug, clap::Args)]
struct InitArguments {
    /// The folder of the project
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// The folder of the reference's model, an OpenVINO IR
    #[arg(long, value_name = "FOLDER")]
    reference: Option<PathBuf>,
    /// The folder of the model that is judged, an OpenVINO IR
    #[arg(long, value_name = "FOLDER")]
    candidate: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct DoctorArguments {
    /// The project's configuration
    #[arg(long, value_name = "FILE", default_value = "perfgate.toml")]
    config: PathBuf,
    /// How the findings are printed
    #[arg(long, value_enum, default_value_t = DoctorFormat::Terminal)]
    format: DoctorFormat,
    /// Write what each variant is into the configuration (model_sha256, files_sha256, runtime_version), and do no more
    #[arg(long, conflicts_with = "format")]
    lock: bool,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DoctorFormat {
    /// Lines for a terminal
    Terminal,
    /// The same findings as JSON
    Json,
}

/// Runs the command line and returns the exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Check(arguments) => check::check(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Merge(arguments) => merge::merge(&arguments),
        Command::Compare(arguments) => compare::compare(&arguments),
        Command::Report(arguments) => render::report(&arguments),
        Command::Comment(arguments) => comment::comment(&arguments),
        Command::Calibrate(arguments) => calibrate::calibrate(&arguments),
        Command::Start(arguments) => start::start(&arguments),
        Command::Bisect(arguments) => bisect::bisect(&arguments),
        Command::Baseline(command) => baseline::baseline(&command),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::History(arguments) => history::history(&arguments),
        Command::Init(arguments) => init::init(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::AskRuntime { library, spec } => doctor::ask_runtime(&library, spec.as_deref()),
        Command::Worker => {
            crate::worker::run_child().map(|()| 0).map_err(|error| Problem::new(error.to_string()))
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            render::tell(&format!("error: {problem}"));
            ExitCode::from(exit::COULD_NOT_RUN)
        }
    }
}

/// perfgate's own binary, which serves as the worker too.
fn own_binary() -> Result<PathBuf> {
    std::env::current_exe()
        .map_err(|error| Problem::new(format!("cannot find perfgate's own binary: {error}")))
}

/// A path as the user would type it from here, without detours such as `examples/..`.
fn relative(path: &Path) -> PathBuf {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).unwrap_or_default();
    whole.strip_prefix(here).map(Path::to_path_buf).unwrap_or(whole)
}
