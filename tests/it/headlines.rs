//! What a report says before its figures: that little evidence is not a pass, and what makes figures other than they seem.

use crate::support::{Project, Run, model, root, scripted};
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

/// The start of what is printed, on one line.
fn top(run: &Run) -> String {
    let words = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(700).collect()
}

#[test]
fn workers_that_died_and_logits_that_are_not_finite_stand_at_the_top() {
    for (fault, said) in [
        ("crash", "The worker of 'other' died (once), and what it was asked then has no answer"),
        ("out-of-memory", "The worker of 'other' ran out of memory (once), and what it was asked"),
        ("hang", "The worker of 'other' was ended at its deadline (once), and what it was asked"),
        ("nan", "The logits of 'other' were NaN or infinite (once): its figures are those of"),
        ("infinity", "The logits of 'other' were NaN or infinite (once): its figures are those of"),
    ] {
        let broken = format!(
            "[variants.base]\nengine = \"scripted\"\nscript = {{ token_ms = 5.0, jitter = 0.001 }}\n\
             [variants.other]\nengine = \"scripted\"\nscript = {{ token_ms = 5.0, jitter = 0.001, \
             faults = [{{ kind = \"{fault}\", request = 5, token = 3 }}] }}\n"
        );
        let rules = "[defaults]\nvariant = \"other\"\n[rules]\nlatency = \"50%\"\n\
                     failure_rate = { limit = \"90pt\" }\n";
        let project = Project::new(&scripted(1, &broken), rules);
        let run = project.check();
        assert!(top(&run).contains(said), "{fault}: {}{}", run.stdout, run.stderr);
        let report = std::fs::read_to_string(project.path().join(".perfgate/report.md")).unwrap();
        let (place, table) = (report.find("of 'other' "), report.find("\n|").expect("a table"));
        assert!(place.is_some_and(|place| place < table), "before any figure: {report}");
        // Without the fault there is nothing to be said.
        project
            .write("perfgate.toml", &scripted(1, &broken.replace("request = 5", "request = 500")));
        let run = project.check();
        assert!(!run.stdout.contains("of 'other' "), "{fault}: {}", run.stdout);
    }
}

#[test]
fn one_real_model_under_two_names_stands_at_the_top() {
    let runtime = root().join("runtimes/openvino-2026.4.1");
    let variant = |name: &str| {
        format!(
            "[variants.{name}]\nengine = \"openvino\"\nmodel = \"{}\"\nruntime = \"{}\"\n",
            model("ov-int8").display(),
            runtime.display()
        )
    };
    let head = scripted(1, "").replace("700ms", "60s");
    let both = format!("{head}{}{}", variant("base"), variant("other"));
    let rules = "[defaults]\nvariant = \"other\"\n[rules]\nmodel_size = \"5%\"\n";
    let project = Project::new(&both, rules);
    project.write("tasks.jsonl", "{\"id\": \"a\", \"prompt\": \"Name a colour.\"}\n");
    let run = project.check();
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let said = "'other' and 'base' are the same model in the same set-up (sha256 ";
    assert!(top(&run).contains(said), "{}", run.stdout);
    // Before anything is measured, too.
    let plan = project.run(&["check", "--dry-run"]);
    let warned = format!("{}{}", plan.stdout, plan.stderr);
    let said =
        "warning: 'other' and the reference 'base' are one model (the same bytes), set up alike";
    assert!(warned.contains(said), "{warned}");
}
