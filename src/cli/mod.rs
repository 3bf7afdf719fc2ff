//! Owns the command line: clap types, one conversion, wiring; one file per subcommand.

mod check;
mod exit;
mod progress;
mod render;

use crate::problem::Problem;
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

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
    /// Print the report of an earlier run again
    Report(ReportArguments),
    /// Serve one model to the parent process
    #[command(name = crate::worker::SUBCOMMAND, hide = true)]
    Worker,
}

#[derive(Debug, clap::Args)]
struct CheckArguments {
    /// What runs: variants, workload, rounds
    #[arg(long, value_name = "FILE", default_value = "perfgate.toml")]
    config: PathBuf,
    /// What is allowed: the rules [default: thresholds.toml beside the configuration]
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,
    /// Run so many rounds instead of what the configuration says
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: Option<u32>,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    format: Format,
    /// Print nothing but the report
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, clap::Args)]
struct ReportArguments {
    /// Results of an earlier run
    #[arg(value_name = "FILE", default_value = ".perfgate/benchmark_results.json")]
    results: PathBuf,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    format: Format,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables for a terminal
    Terminal,
    /// Markdown for GitHub
    Markdown,
    /// The report's texts and figures as JSON
    Json,
}

/// Runs the command line and returns the exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Check(arguments) => check::check(arguments),
        Command::Report(arguments) => render::report(&arguments.results, arguments.format),
        Command::Worker => {
            crate::worker::run_child().map(|()| 0).map_err(|error| Problem::new(error.to_string()))
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(exit::COULD_NOT_RUN)
        }
    }
}
