//! What a check tells a step of GitHub Actions, and the files that it writes beside.

use crate::support::{Project, Run, scripted};
use perfgate::record::{Results, VerdictKind};
use std::path::Path;

/// A variant that is slower by a factor, and a configuration with it.
fn project(factor: f64) -> Project {
    let variants = format!(
        "[variants.base]\nengine = \"scripted\"\nscript = {{ prefill_ms = 10, token_ms = 5.0 }}\n\
         [variants.other]\nengine = \"scripted\"\nscript = {{ prefill_ms = 10, token_ms = {} }}\n",
        5.0 * factor
    );
    Project::new(
        &scripted(4, &variants),
        "[rules]\nthroughput = \"60%\"\nlatency = { limit = \"30%\", evidence = \"point\" }\n",
    )
}

/// Runs a command as a step would, with its files in the project's folder.
fn step(project: &Project, arguments: &[&str]) -> Run {
    let mut command = project.command(arguments);
    for name in ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"] {
        command.env(name, project.path().join(name));
    }
    crate::support::finished(command.output().unwrap())
}

fn read(project: &Project, name: &str) -> String {
    std::fs::read_to_string(project.path().join(name)).unwrap()
}

/// The value of an output.
fn output(project: &Project, name: &str) -> String {
    let text = read(project, "GITHUB_OUTPUT");
    let mut lines = text.lines();
    let start = lines.find_map(|line| line.strip_prefix(&format!("{name}<<"))).expect(name);
    lines.take_while(|line| *line != start).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_regression_is_on_the_page_of_the_run_and_on_its_line() {
    let project = project(2.0);
    project.write("GITHUB_STEP_SUMMARY", "before\n");
    let run = step(&project, &["check", "--github"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let summary = read(&project, "GITHUB_STEP_SUMMARY");
    assert!(summary.starts_with("before\n❌ **Do not merge"), "{summary}");
    assert!(summary.contains("| latency"), "{summary}");
    let annotations: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("::")).collect();
    let expected = "::error file=thresholds.toml,line=3,title=perfgate%3A latency regressed::";
    assert_eq!(annotations.len(), 1, "{}", run.stderr);
    assert!(annotations[0].starts_with(expected), "{}", annotations[0]);
    assert_eq!(output(&project, "verdict"), "regressed");
    assert_eq!(output(&project, "exit-code"), "1");
    assert_eq!(output(&project, "regressions"), "1");
    assert_eq!(output(&project, "problem"), "");
    let results = output(&project, "results");
    assert_eq!(results, ".perfgate/benchmark_results.json");
    assert!(output(&project, "headline").starts_with("REGRESSION: 1 of 2"));
}

#[test]
fn a_check_that_holds_annotates_nothing() {
    let project = project(1.0);
    let run = step(&project, &["check", "--github"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!run.stderr.contains("::error"), "{}", run.stderr);
    assert_eq!(output(&project, "verdict"), "holds");
    assert_eq!(output(&project, "regressions"), "0");
}

#[test]
fn a_check_that_cannot_run_says_why_on_the_page_and_in_the_outputs() {
    let project = project(1.0);
    project.write("thresholds.toml", "[rules]\nlatncy = \"5%\"\n");
    let run = step(&project, &["check", "--github"]);
    assert_eq!(run.code, 2);
    let annotation = run.stderr.lines().find(|line| line.starts_with("::error")).unwrap();
    let expected = "::error file=thresholds.toml,line=2,title=perfgate could not run::";
    assert!(annotation.starts_with(expected), "{annotation}");
    assert_eq!(output(&project, "verdict"), "error");
    assert_eq!(output(&project, "exit-code"), "2");
    assert_eq!(output(&project, "results"), "");
    assert!(output(&project, "problem").starts_with("thresholds.toml:2:"));
    let summary = read(&project, "GITHUB_STEP_SUMMARY");
    assert!(summary.contains("perfgate could not run") && summary.contains("latncy"), "{summary}");
}

#[test]
fn outside_of_a_step_there_is_nobody_to_tell() {
    let project = project(1.0);
    let run = project.run(&["check", "--github"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("GITHUB_STEP_SUMMARY is not set"), "{}", run.stderr);
    assert!(!project.path().join(".perfgate").exists(), "nothing was measured");
}

#[test]
fn a_report_goes_to_files_in_several_formats() {
    let project = project(2.0);
    let exports = ["--export", "junit=out/junit.xml", "--export", "bmf=bmf.json"];
    let run = project.run(&[&["check", "--quiet", "--format", "line"], &exports[..]].concat());
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
    assert!(read(&project, "out/junit.xml").contains("failures=\"1\""));
    let bmf: serde_json::Value = serde_json::from_str(&read(&project, "bmf.json")).unwrap();
    assert!(bmf["other"]["latency-median"]["value"].as_f64().unwrap() > 1e7, "nanoseconds");
    let again = project.run(&["report", "--export", "junit=again.xml"]);
    assert_eq!(again.code, 1);
    assert_eq!(read(&project, "again.xml"), read(&project, "out/junit.xml"));
    for (wrong, message) in [("html5=x", "there is no format 'html5'"), ("junit", "no file")] {
        let run = project.run(&["report", "--export", wrong]);
        assert_eq!(run.code, 2);
        assert!(run.stderr.contains(message), "{}", run.stderr);
    }
}

#[test]
fn a_report_says_how_to_measure_the_same_again() {
    let project = project(2.0);
    project.write("a b.toml", &read(&project, "perfgate.toml"));
    project.make_repository();
    let commit = project.git(&["rev-parse", "HEAD"]);
    let run = project.run(&[
        "check",
        "--config",
        "a b.toml",
        "--rounds",
        "5",
        "--export",
        "markdown=a.md",
    ]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let expected = format!(
        "```sh\ngit fetch origin {commit}\ngit checkout {commit}\n\
         perfgate check --config 'a b.toml' --rounds 5\n```"
    );
    assert!(read(&project, "a.md").contains(&expected), "{}", read(&project, "a.md"));
}

#[test]
fn whatever_a_file_of_results_holds_starts_no_command_of_the_runner() {
    let project = project(2.0);
    assert_eq!(project.run(&["check", "--quiet"]).code, 1);
    let file = project.path().join(".perfgate/benchmark_results.json");
    let mut results: Results = perfgate::session::read_results(&file).unwrap();
    let attack = "\n::error::owned\n  ::set-output name=a::b\u{1b}[2J##[warning]";
    let verdict = &mut results.judgement.as_mut().unwrap().verdicts[0];
    verdict.verdict = VerdictKind::Inconclusive;
    verdict.reason = attack.to_string();
    verdict.rule.id = attack.to_string();
    results.parts[0].header.session = attack.to_string();
    std::fs::write(&file, serde_json::to_string(&results).unwrap()).unwrap();
    for format in perfgate::report::FORMATS {
        let run = project.run(&["report", "--format", format.id]);
        for line in run.stdout.lines().chain(run.stderr.lines()) {
            assert!(!line.trim_start().starts_with("::"), "{}: {line}", format.id);
            assert!(!line.contains("##["), "{}: {line}", format.id);
            assert!(!line.contains('\u{1b}'), "{}: {line}", format.id);
        }
    }
    assert!(Path::new(&file).exists());
}

#[test]
fn colours_repeat_what_words_say_and_are_wanted_by_the_environment_alone() {
    let project = project(2.0);
    assert_eq!(project.run(&["check", "--quiet"]).code, 1);
    let plain = project.run(&["report"]).stdout;
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let mut command = project.command(&["report"]);
    let colored = crate::support::finished(command.env("CLICOLOR_FORCE", "1").output().unwrap());
    assert!(colored.stdout.contains("\u{1b}[1;31mREGRESSION\u{1b}[0m: "), "{}", colored.stdout);
    let mut without = String::new();
    for (index, part) in colored.stdout.split('\u{1b}').enumerate() {
        without += if index == 0 { part } else { part.split_once('m').unwrap().1 };
    }
    // A coloured cell is as wide as its column.
    let without: String = without.lines().map(|line| line.trim_end().to_string() + "\n").collect();
    assert_eq!(without, plain, "nothing but colours differs");
    let mut command = project.command(&["report"]);
    let never = command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().unwrap();
    assert_eq!(crate::support::finished(never).stdout, plain);
}
