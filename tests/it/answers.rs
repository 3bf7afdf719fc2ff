//! Answers to graded tasks, from end to end with the scripted engine: those that cannot be used, batches of them and
//! what brings a worker down within one, choices by their likelihood, and the cache.

use crate::support::{Project, Session};
use crate::tasks::{config, knows, suite};
use perfgate::record::{Answer, FailureClass, Grade, VerdictKind};

const RULES: &str = "[defaults]\nvariant = \"other\"\n[rules]\naccuracy = \"5pt\"\n";

fn quality(more: &str) -> String {
    format!("[quality]\ntasks = \"graded.jsonl\"\nmax_tokens = 9\nstop = [\"\\n\"]\n{more}")
}

/// `count` tasks that the scripts are asked.
fn project(count: usize, quality: &str, base: &str, other: &str) -> Project {
    let project = Project::new(&config(quality, base, other), RULES);
    project.write("graded.jsonl", &suite("task", 0..count));
    project
}

/// A script that has every fifth task wrong, and some lines of its own before the others.
fn script(count: usize, lines: &str) -> String {
    format!("answers = [{lines}{}]", knows("task", 0..count, |n| n % 5 == 0))
}

fn line(task: usize, say: &str) -> String {
    format!("{{ to = \"task {task}.\", say = \"{say}\" }}, ")
}

fn answers(session: &Session, variant: &str) -> Vec<Answer> {
    session.answers.iter().filter(|answer| answer.variant == variant).cloned().collect()
}

fn check(project: &Project) -> Session {
    let run = project.run(&["check", "--only", "quality"]);
    assert!([0, 1, 3].contains(&run.code), "{}{}", run.stdout, run.stderr);
    project.results()
}

#[test]
fn empty_answers_and_such_without_end_count_and_void_nothing() {
    let count = 40;
    let lost: String =
        (1..=14).map(|n| line(n, if n < 4 { " \\n" } else { "and so on and on" })).collect();
    let base = script(count, &line(39, "\\n"));
    let project = project(count, &quality(""), &base, &script(count, &lost));
    let run = project.run(&["check", "--only", "quality"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let session = project.results();
    let classes = |variant: &str| -> Vec<FailureClass> {
        let all = answers(&session, variant);
        all.iter().filter_map(|answer| Some(answer.failure.as_ref()?.class)).collect()
    };
    assert_eq!(classes("base"), [FailureClass::Empty]);
    let expected = [[FailureClass::Empty; 3].to_vec(), [FailureClass::RunOn; 11].to_vec()].concat();
    assert_eq!(classes("other"), expected);
    let first = &answers(&session, "other")[1];
    assert_eq!((first.grade, first.text.as_str()), (Grade::Failed, " "));
    assert_eq!(first.failure.as_ref().unwrap().message, "the answer ended before it began");
    let verdict = &session.verdicts[0];
    assert_eq!(verdict.verdict, VerdictKind::Regressed, "{}", verdict.reason);
    // 12 of the 14 were right by the base, and the base's empty one is right by the other.
    assert!(
        verdict.reason.starts_with("12 of 40 tasks got worse, 1 got better"),
        "{}",
        verdict.reason
    );
    let report = std::fs::read_to_string(project.path().join(".perfgate/report.md")).unwrap();
    let table = report.split("Answers that could not be used").nth(1).unwrap();
    let row = |name: &str| {
        let line = table.lines().find(|line| line.starts_with(&format!("| {name} "))).unwrap();
        line.split('|').map(|cell| cell.trim().replace('\\', "")).collect::<Vec<_>>()[2..4].to_vec()
    };
    // The intervals are Clopper and Pearson's.
    let shares = |base: &str, other: &str| vec![base.to_string(), other.to_string()];
    assert_eq!(row("empty answer"), shares("2.5% [0.1, 13.2]", "7.5% [1.6, 20.4]"));
    assert_eq!(row("no end of the answer"), shares("0.0% [0.0, 8.8]", "27.5% [14.6, 43.9]"));
    assert_eq!(row("any"), shares("2.5% [0.1, 13.2]", "35.0% [20.6, 51.7]"));
}

#[test]
fn a_crash_within_a_batch_is_blamed_on_the_task_that_causes_it() {
    let faults = |tasks: &[usize]| {
        let one = |n: &usize| format!("{{ kind = \"kill\", to = \"task {n}.\" }}");
        format!(", faults = [{}]", tasks.iter().map(one).collect::<Vec<_>>().join(", "))
    };
    let other = script(40, &line(1, "no")) + &faults(&[12, 21]);
    // Four workers die: two of a batch, two of a task. Two restarts are enough, for the batches' own are not counted.
    let project = project(40, &quality("batch = 8\n"), &script(40, ""), &other);
    let session = check(&project);
    let lost: Vec<Answer> =
        answers(&session, "other").into_iter().filter(|a| a.failure.is_some()).collect();
    let tasks: Vec<&str> = lost.iter().map(|answer| answer.task.as_str()).collect();
    assert_eq!(tasks, ["task-12", "task-21"]);
    for answer in &lost {
        let failure = answer.failure.as_ref().unwrap();
        assert_eq!(failure.class, FailureClass::Crash, "{failure}");
    }
    assert_eq!(answers(&session, "other").len(), 40);
    // With one more there is no worker left for what comes after it.
    let text = std::fs::read_to_string(project.path().join("perfgate.toml")).unwrap();
    project.write("perfgate.toml", &text.replace(&faults(&[12, 21]), &faults(&[12, 21, 30])));
    let run = project.run(&["check", "--only", "quality", "--fresh"]);
    let session = project.results();
    assert!(run.stdout.contains("crash"), "{}{}", run.stdout, run.stderr);
    let class = |n: usize| answers(&session, "other")[n].failure.as_ref().map(|f| f.class);
    assert_eq!(
        (class(29), class(30), class(31)),
        (None, Some(FailureClass::Crash), Some(FailureClass::NotServed))
    );
}

#[test]
fn a_batch_is_asked_again_as_a_whole_and_shares_nothing_with_single_tasks() {
    let text = |batch: u32| {
        let quality = quality(&format!("batch = {batch}\n"));
        config(&quality, &script(12, ""), &script(12, &line(1, "no")))
    };
    let project = project(12, "", "", "");
    let cached = |batch: u32| -> Vec<bool> {
        project.write("perfgate.toml", &text(batch));
        answers(&check(&project), "other").iter().map(|answer| answer.cached).collect()
    };
    assert_eq!(cached(4), [false; 12]);
    assert_eq!(cached(4), [true; 12]);
    // The sixth answer is lost, and is not asked for without its batch.
    forget(&project, |lines| drop(lines.remove(6)));
    let middle: Vec<bool> = (0..12).map(|n| !(4..8).contains(&n)).collect();
    assert_eq!(cached(4), middle);
    assert_eq!(cached(1), [false; 12]);
    assert_eq!(cached(3), [false; 12]);
    assert_eq!((cached(1), cached(4)), (vec![true; 12], vec![true; 12]));
}

/// Changes the lines of every cache of answers; the first tells whose they are.
pub fn forget(project: &Project, change: impl Fn(&mut Vec<String>)) {
    for entry in std::fs::read_dir(project.path().join(".perfgate/quality")).unwrap() {
        let file = entry.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
        change(&mut lines);
        std::fs::write(&file, lines.concat()).unwrap();
    }
}

/// The scripted engine gives one token a logit of 1 and the 255 others 0.
fn log_likelihood(matching: u32, others: u32) -> f64 {
    let log_sum = (1f64.exp() + 255.0).ln();
    f64::from(matching) - f64::from(matching + others) * log_sum
}

#[test]
fn choices_are_taken_by_their_likelihood_and_cached() {
    let task = |n: usize, normalize: &str| {
        format!(
            "{{\"id\": \"c{n}\", \"prompt\": \"colour {n}?\", \"grader\": \"choice\", \"expect\": \
             {{\"choices\": [\"red\", \"tan\", \"blue\"], \"gold\": {}{normalize}}}}}\n",
            n % 2
        )
    };
    // The last token of the prompt is fed by itself, so a script says it before the choice.
    let says = |n: usize, what: &str| format!("{{ to = \"colour {n}\", say = \"? {what}\" }}, ");
    let base = (0..6).map(|n| says(n, ["red", "tan"][n % 2])).collect::<String>();
    let other = (0..6).map(|n| says(n, "tan")).collect::<String>();
    let scripts = [base, other].map(|lines| format!("answers = [{lines}]"));
    let project = project(1, &quality(""), &scripts[0], &scripts[1]);
    let tasks: String = (0..6).map(|n| task(n, "")).collect();
    project.write("graded.jsonl", &tasks);
    let session = check(&project);
    let base = answers(&session, "base");
    assert!(base.iter().all(|answer| answer.grade == Grade::Right), "{base:?}");
    assert_eq!((base[0].text.as_str(), base[1].text.as_str()), ("red", "tan"));
    assert!(base[0].tokens.is_empty() && !base[0].cached);
    // " red" as the script has it; " tan" has the space in common, and " blue" is a token longer.
    let expected = [log_likelihood(4, 0), log_likelihood(1, 3), log_likelihood(1, 4)];
    for (found, expected) in base[0].log_likelihoods.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }
    let other = answers(&session, "other");
    let grades: Vec<Grade> = other.iter().map(|answer| answer.grade).collect();
    assert_eq!(grades, [Grade::Wrong, Grade::Right].repeat(3));
    assert!(other[0].reason.is_some(), "{:?}", other[0]);
    let again = check(&project);
    assert!(again.answers.iter().all(|answer| answer.cached));
    let uncached = |answer: &Answer| Answer { cached: false, ..answer.clone() };
    assert_eq!(again.answers.iter().map(uncached).collect::<Vec<_>>(), session.answers);
    // How choices are weighed is decided anew each time.
    let weighed: String = (0..6).map(|n| task(n, ", \"normalize\": \"tokens\"")).collect();
    project.write("graded.jsonl", &weighed);
    assert!(check(&project).answers.iter().all(|answer| answer.cached));
    // A crash is a failure of the question that was asked.
    let text = std::fs::read_to_string(project.path().join("perfgate.toml")).unwrap();
    let (head, tail) = text.split_at(text.find("[variants.other]").unwrap());
    let faulty = tail
        .replace("] }", "], load_ms = 0.1, faults = [{ kind = \"kill\", to = \"colour 3\" }] }");
    project.write("perfgate.toml", &format!("{head}{faulty}"));
    let session = check(&project);
    let failed: Vec<Answer> =
        session.answers.into_iter().filter(|answer| answer.failure.is_some()).collect();
    assert_eq!((failed.len(), failed[0].task.as_str()), (1, "c3"));
    assert_eq!(failed[0].failure.as_ref().unwrap().class, FailureClass::Crash);
}
