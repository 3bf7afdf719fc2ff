//! The quality pass from end to end with the scripted engine: grades, pairing, cache, resuming, faults.

use crate::support::{Project, Run, finished, scripted, signal};
use perfgate::record::{Answer, Entry, FailureClass, Grade, VerdictKind};

const RULES: &str = "[defaults]\nvariant = \"other\"\n[rules]\naccuracy = \"1pt\"\n\
                     task_failure_rate = { limit = \"5pt\", severity = \"inform\" }\n";
const TASKS: usize = 64;

/// What a script says to task number `n`.
fn call(n: usize, right: bool) -> String {
    let level = if right { n } else { n + 1000 };
    format!(
        "{{ to = \"task {n}.\", say = '{{\"name\": \"set\", \"arguments\": {{\"n\": {level}}}}}' }}"
    )
}

/// Both variants know the tasks; `other` has those from `wrong_from` on wrong.
fn config(wrong_from: usize, more: &str) -> String {
    let script = |from: usize| {
        let lines: Vec<String> = (0..TASKS).map(|n| call(n, n < from)).collect();
        lines.join(", ")
    };
    scripted(
        2,
        &format!(
            "[quality]\ntasks = \"graded.jsonl\"\nprompt_template = \"prompt.jinja\"\nmax_tokens = 200\n\
             stop = [\"\\n\"]\n[variants.base]\nengine = \"scripted\"\nscript = {{ answers = [{}] }}\n\
             [variants.other]\nengine = \"scripted\"\nscript = {{ answers = [{}]{more} }}\n",
            script(TASKS),
            script(wrong_from)
        ),
    )
}

fn project(config: &str, thresholds: &str) -> Project {
    let project = Project::new(config, thresholds);
    let tasks: String = (0..TASKS)
        .map(|n| {
            format!(
                "{{\"id\": \"g{n}\", \"prompt\": \"task {n}.\", \"grader\": \"tool_call\", \
                 \"expect\": {{\"name\": \"set\", \"arguments\": {{\"n\": {n}.0}}}}}}\n"
            )
        })
        .collect();
    project.write("graded.jsonl", &tasks);
    project.write("prompt.jinja", "User: {{ prompt }}\nCall:");
    project
}

fn check(config: &str) -> (Project, Run) {
    let project = project(config, RULES);
    let run = project.check();
    (project, run)
}

fn of<'a>(answers: &'a [Answer], variant: &str) -> Vec<&'a Answer> {
    answers.iter().filter(|answer| answer.variant == variant).collect()
}

/// Workers of the quality pass, which stand in round 0 of the journal.
fn quality_spawns(entries: &[Entry]) -> usize {
    entries.iter().filter(|e| matches!(e, Entry::Spawn { round: 0, .. })).count()
}

#[test]
fn a_proven_loss_of_accuracy_exits_1_and_equal_answers_ask_for_more_tasks() {
    let (project, run) = check(&config(40, ""));
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.starts_with(
            "REGRESSION: 1 of 1 gating rule broken. other: accuracy 37.5 pt lower (min -1 pt)"
        ),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("24 of 64 tasks got worse, 0 got better"), "{}", run.stdout);
    let results = project.results();
    assert_eq!(of(&results.answers, "base").len(), TASKS);
    assert!(of(&results.answers, "base").iter().all(|answer| answer.grade == Grade::Right));
    let wrong = of(&results.answers, "other").iter().filter(|a| a.grade == Grade::Wrong).count();
    assert_eq!(wrong, TASKS - 40);
    let answer = of(&results.answers, "other")[0];
    assert_eq!(answer.text, r#"{"name": "set", "arguments": {"n": 0}}"#);
    assert_eq!(answer.tokens.last(), Some(&0), "stopped at the end of the sequence");
    // No discordant pair of 64 leaves more than a point open, and of what everyone has right more would not close it.
    let (_, run) = check(&config(TASKS, ""));
    assert_eq!(run.code, 3, "{}", run.stdout);
    assert!(run.stdout.contains("0 of 64 tasks got worse, 0 got better; "), "{}", run.stdout);
    let said = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("more tasks like these would not settle it"), "{said}");
}

#[test]
fn answers_come_from_the_cache_until_something_they_depend_on_changes() {
    let first = config(40, "");
    let (project, run) = check(&first);
    assert_eq!(quality_spawns(&project.journal()), 2);
    let flat = run.stdout.replace("\n  ", " ");
    assert!(flat.contains("0 of 128 answers from"), "{flat}");
    let spawns_of = |project: &Project, arguments: &[&str]| {
        std::fs::remove_dir_all(project.path().join(".perfgate/sessions")).unwrap();
        let again = project.run(arguments);
        assert_eq!(again.code, 1, "{}{}", again.stdout, again.stderr);
        quality_spawns(&project.journal())
    };
    assert_eq!(spawns_of(&project, &["check"]), 0);
    let results = project.results();
    assert!(results.answers.iter().all(|answer| answer.cached));
    assert_eq!(spawns_of(&project, &["check", "--fresh"]), 2, "--fresh asks anew");
    // Another model for one variant: that one is asked again.
    project.write("perfgate.toml", &config(30, ""));
    assert_eq!(spawns_of(&project, &["check"]), 1);
    // Another expectation: nothing is asked again, and grades change.
    let tasks = std::fs::read_to_string(project.path().join("graded.jsonl")).unwrap();
    project.write("graded.jsonl", &tasks.replace("\"n\": 7.0", "\"n\": 8"));
    assert_eq!(spawns_of(&project, &["check"]), 0);
    let results = project.results();
    assert_eq!(of(&results.answers, "base")[7].grade, Grade::Wrong);
    // A longer answer is another order.
    project.write("perfgate.toml", &config(30, "").replace("max_tokens = 200", "max_tokens = 201"));
    assert_eq!(spawns_of(&project, &["check"]), 2);
}

#[test]
fn a_pass_that_was_cut_short_goes_on_where_it_stopped() {
    // A timing worker has six requests, so the twentieth comes in the quality pass alone.
    let hang = ", faults = [{ kind = \"hang\", request = 20 }]";
    let project = project(&config(40, hang).replace("700ms", "10min"), RULES);
    let child = project.command(&["check"]).spawn().unwrap();
    let answered = |entries: &[Entry]| {
        entries.iter().filter(|e| matches!(e, Entry::Answer(a) if a.variant == "other")).count()
    };
    project.await_journal(|entries| (answered(entries) == 19).then_some(()));
    signal(child.id(), rustix::process::Signal::INT);
    let run = finished(child.wait_with_output().unwrap());
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("interrupted after 2 of 2 rounds"), "{}", run.stderr);
    project.write("perfgate.toml", &config(40, ""));
    let run = project.check();
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let answers = project.results().answers;
    let cached = |variant: &str| of(&answers, variant).iter().filter(|a| a.cached).count();
    assert_eq!((cached("base"), cached("other")), (TASKS, 19));
}

#[test]
fn a_crash_is_a_failed_task_of_the_candidate_and_voids_the_reference() {
    // Another load time makes it another model, whose answers are not in the other's cache.
    let crash = ", load_ms = 0.1, faults = [{ kind = \"kill\", request = 20 }]";
    let (project, run) = check(&config(TASKS, crash));
    let answers = project.results().answers;
    let failed: Vec<&Answer> =
        of(&answers, "other").into_iter().filter(|a| a.grade == Grade::Failed).collect();
    // The first worker serves 19, its successor 19 more behind the one that was lost, and so on.
    let tasks: Vec<&str> = failed.iter().map(|answer| answer.task.as_str()).collect();
    assert_eq!(tasks[..3], ["g19", "g39", "g59"]);
    let classes: Vec<FailureClass> =
        failed.iter().map(|answer| answer.failure.as_ref().unwrap().class).collect();
    assert_eq!(classes[..3], [FailureClass::Crash; 3]);
    assert!(classes[3..].iter().all(|class| *class == FailureClass::NotServed), "{classes:?}");
    assert!(run.stdout.contains("other: 3 graded tasks failed (crash)"), "{}", run.stdout);

    let swapped = config(TASKS, crash).replace("reference = \"base\"", "reference = \"other\"");
    let project = self::project(&swapped, &RULES.replace("\"other\"", "\"base\""));
    let run = project.check();
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert_eq!(project.results().verdicts[0].verdict, VerdictKind::Invalid);
    assert!(
        run.stdout.contains("tasks of 'other', the other side, failed: crash"),
        "{}",
        run.stdout
    );
}

#[test]
fn what_is_no_call_is_a_failed_task() {
    let text = config(TASKS, "").replace(&call(5, true), "{ to = \"task 5.\", say = 'I cannot.' }");
    let (project, run) = check(&text);
    let answers = project.results().answers;
    let malformed = of(&answers, "other")[5];
    assert_eq!(malformed.grade, Grade::Failed);
    assert_eq!(malformed.failure.as_ref().unwrap().class, FailureClass::Malformed);
    assert!(run.stdout.contains("malformed answer"), "{}", run.stdout);
    assert_eq!(of(&answers, "base")[5].grade, Grade::Failed, "both scripts were changed");
}

#[test]
fn mistakes_in_graded_tasks_name_the_place() {
    let project = project(&config(TASKS, ""), RULES);
    project.write(
        "graded.jsonl",
        "{\"id\": \"a\", \"prompt\": \"x\", \"grader\": \"tool_cal\", \"expect\": 1}\n",
    );
    let run = project.check();
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("graded.jsonl:1:"), "{}", run.stderr);
    assert!(run.stderr.contains("unknown variant `tool_cal`"), "{}", run.stderr);
    project.write("prompt.jinja", "User: {{ promt }}");
    project.write(
        "graded.jsonl",
        "{\"id\": \"a\", \"prompt\": \"x\", \"grader\": \"exact\", \"expect\": \"1\"}\n",
    );
    let run = project.check();
    assert!(run.stderr.contains("prompt.jinja:1:1: the template fails"), "{}", run.stderr);
}

#[test]
fn stored_answers_of_another_processor_decide_and_are_flagged() {
    let rules = RULES
        .replace("accuracy = \"1pt\"", "accuracy = { against = \"baseline\", limit = \"1pt\" }");
    let rules = rules
        .replace("task_failure_rate", "failure_rate")
        .replace("limit = \"5pt\"", "max = \"50%\"");
    let project = project(&config(TASKS, ""), &rules);
    project.check();
    assert_eq!(project.run(&["baseline", "update"]).code, 0);
    let reason = |project: &Project| {
        project.check();
        project.results().verdicts.remove(0).reason
    };
    let here = reason(&project);
    assert!(!here.contains("another processor"), "{here}");
    let class = std::fs::read_dir(project.path().join("baselines")).unwrap().next().unwrap();
    let file = std::fs::read_dir(class.unwrap().path()).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"cpu\":\"", "\"cpu\":\"another ")).unwrap();
    let elsewhere = reason(&project);
    assert!(elsewhere.starts_with(&here), "the verdict stands: {elsewhere}");
    assert!(elsewhere.contains("measured on another processor (CPU model another "), "{elsewhere}");
    assert!(elsewhere.ends_with("): INT8 results can differ"), "{elsewhere}");
    project.write("perfgate.toml", &config(40, ""));
    assert_eq!(project.check().code, 1, "a loss is a loss");
}
