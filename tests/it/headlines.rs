//! What a report says before its figures: that little evidence is not a pass, and what makes figures other than they seem.

use crate::support::{Project, Run};
use crate::tasks::{config, knows, suite};

/// Both variants answer so many tasks, of which `other` has those wrong or without an end that it should not.
fn check(tasks: usize, base: &str, other: &str, rules: &str) -> (Project, Run) {
    let quality = "[quality]\ntasks = \"graded.jsonl\"\nmax_tokens = 24\nstop = [\"\\n\"]\n";
    let script = |lines: &str| format!("answers = [{lines}]");
    let project = Project::new(&config(quality, &script(base), &script(other)), rules);
    project.write("graded.jsonl", &suite("task", 0..tasks));
    let run = project.run(&["check", "--only", "quality"]);
    (project, run)
}

const RULES: &str = "[defaults]\nvariant = \"other\"\n[rules]\naccuracy = \"1pt\"\n\
                     task_failure_rate = { limit = \"90pt\" }\n";

#[test]
fn three_lost_tasks_of_three_are_not_decided_and_not_a_pass() {
    let lost = |tasks: usize| {
        check(tasks, &knows("task", 0..tasks, |_| false), &knows("task", 0..tasks, |_| true), RULES)
    };
    let (project, run) = lost(3);
    assert_eq!(run.code, 0, "the policy informs: {}{}", run.stdout, run.stderr);
    let said = "NOT DECIDED: the estimate of accuracy is beyond the limit, without proof; 1 of 2 gating rules hold";
    let first: String = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(first.starts_with(said), "{}", run.stdout);
    let report = std::fs::read_to_string(project.path().join(".perfgate/report.md")).unwrap();
    assert!(report.starts_with("⚠️ **May merge by the policy, and nobody knows yet"), "{report}");
    let strict = format!("[policy]\ninconclusive = \"block\"\n{RULES}");
    project.write("thresholds.toml", &strict);
    assert_eq!(project.run(&["check", "--only", "quality"]).code, 3);
    let (_, run) = lost(6);
    assert_eq!(run.code, 1, "0.505 to the sixth is 1.7%: {}", run.stdout);
}

#[test]
fn answers_that_were_cut_off_stand_at_the_top_and_pass_nothing() {
    // Half of the tasks run on and on, by both.
    let runs_on =
        |n: usize| format!("{{ to = \"task {n}.\", say = \"{}\" }}, ", "and so on ".repeat(20));
    let lines: String = (0..20).map(runs_on).collect();
    let both = lines + &knows("task", 20..40, |n| n < 25);
    let rules = RULES.replace("\"1pt\"", "\"30pt\"");
    let (project, run) = check(40, &both, &both, &rules);
    let said = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let top = "Cut off at the limit of tokens, and counted as wrong: 50% of the answers of 'base', 50% of the answers \
               of 'other'.";
    let place = said.find(top).unwrap_or_else(|| panic!("{}", run.stdout));
    assert!(place < 200, "{said}");
    let verdicts = project.results().verdicts;
    let accuracy = verdicts.iter().find(|verdict| verdict.rule.id == "accuracy").unwrap();
    assert!(!accuracy.verdict.decided(), "{accuracy:?}");
    assert!(accuracy.reason.contains("20 of 40 answers of 'other'"), "{}", accuracy.reason);
}
