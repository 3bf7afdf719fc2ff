//! Tasks that are asked again, from end to end with the scripted engine: whether the same comes out, and how often
//! an answer is right when tokens are drawn.

use crate::answers::forget;
use crate::support::{Project, Session};
use crate::tasks::{config, knows, suite};
use perfgate::record::{Grade, Part, Repeat, Way};
use perfgate::verdict::tasks;

const RULES: &str = "[defaults]\nvariant = \"other\"\n[rules]\naccuracy = \"50pt\"\n";

const TASKS: usize = 10;

fn project(again: &str, base: &str, other: &str) -> Project {
    let quality = format!(
        "[quality]\ntasks = \"graded.jsonl\"\nmax_tokens = 24\nstop = [\"\\n\"]\n[quality.again]\n{again}\n"
    );
    let script =
        |lines: &str| format!("answers = [{lines}{}]", knows("task", 0..TASKS, |n| n % 5 == 0));
    let project = Project::new(&config(&quality, &script(base), &script(other)), RULES);
    project.write("graded.jsonl", &suite("task", 0..TASKS));
    project
}

fn check(project: &Project) -> Session {
    let run = project.run(&["check", "--only", "quality", "--verbose"]);
    assert!([0, 1, 3].contains(&run.code), "{}{}", run.stdout, run.stderr);
    project.results()
}

fn part(project: &Project) -> Part {
    project.combined().parts.remove(0)
}

fn of<'a>(part: &'a Part, variant: &str, way: Way) -> Vec<&'a Repeat> {
    let wanted = |repeat: &&Repeat| repeat.variant == variant && repeat.way == way;
    part.repeats.iter().filter(wanted).collect()
}

/// Low enough that the scripted engine's most probable token is drawn in any case.
const DETERMINISM: &str = "determinism = 4\nsampling = { temperature = 0.02 }";

#[test]
fn what_is_deterministic_is_shown_to_be() {
    let project = project(DETERMINISM, "", "{ to = \"task 1.\", say = \"no\\n\" }, ");
    check(&project);
    let part = part(&project);
    // Four tasks, greedy and drawn, the first time and in three other ways.
    for variant in ["base", "other"] {
        for way in [Way::First, Way::SameProcess, Way::OtherProcess, Way::Threads(1)] {
            let repeats = of(&part, variant, way);
            assert_eq!(repeats.len(), 8, "{variant} {way:?}");
            assert!(repeats.iter().all(|repeat| repeat.diverges_at.is_none()), "{repeats:?}");
        }
    }
    let spread: Vec<&str> = of(&part, "base", Way::First)[..].iter().map(|r| &r.task[..]).collect();
    let expected = ["task-0", "task-2", "task-5", "task-7"];
    assert_eq!(spread, expected.map(|task| [task; 2]).concat());
    let again = tasks::again(&part, "base");
    assert_eq!(again.len(), 6);
    assert!(again.iter().all(|again| (again.same.hits, again.same.of) == (4, 4)), "{again:?}");
    let report = std::fs::read_to_string(project.path().join(".perfgate/report.md")).unwrap();
    let row = |line: &&str| line.contains("in another process") && line.contains("| base ");
    let line = report.lines().find(row).unwrap_or_else(|| panic!("{report}")).replace('\\', "");
    // 0.025 to the power of a quarter.
    assert!(line.contains("100.0% [39.8, 100.0]"), "{line}");
    assert!(report.contains("with 1 thread"), "{report}");
}

#[test]
fn an_answer_that_depends_on_the_process_is_found_out() {
    let drifts: String = (0..TASKS)
        .map(|n| format!("{{ to = \"task {n}.\", say = \"it is {{pid}}\\n\" }}, "))
        .collect();
    let project = project(DETERMINISM, "", &drifts);
    check(&project);
    let part = part(&project);
    assert!(of(&part, "base", Way::OtherProcess).iter().all(|r| r.diverges_at.is_none()));
    assert!(of(&part, "other", Way::SameProcess).iter().all(|r| r.diverges_at.is_none()));
    for way in [Way::OtherProcess, Way::Threads(1)] {
        let repeats = of(&part, "other", way);
        assert_eq!(repeats.len(), 8);
        for repeat in repeats {
            // Behind `it is `, and before the end of the number.
            let place = repeat.diverges_at.unwrap_or_else(|| panic!("{repeat:?}"));
            assert!((6..14).contains(&place), "{repeat:?}");
        }
    }
    let report = std::fs::read_to_string(project.path().join(".perfgate/report.md")).unwrap();
    let row = |line: &&str| line.contains("in another process") && line.contains("| other ");
    let line = report.lines().find(row).unwrap_or_else(|| panic!("{report}")).replace('\\', "");
    assert!(line.contains("0.0% [0.0, 60.2]"), "{line}");
}

#[test]
fn what_is_to_be_the_same_in_one_process_is_asked_in_one_or_not_at_all() {
    let project = project(DETERMINISM, "", "{ to = \"task 1.\", say = \"no\\n\" }, ");
    check(&project);
    check(&project);
    assert!(part(&project).repeats.iter().all(|repeat| repeat.cached));
    // Behind the first line and the answers: one of the second time in the same process.
    forget(&project, |lines| drop(lines.remove(1 + TASKS + 12)));
    check(&project);
    let part = part(&project);
    for variant in ["base", "other"] {
        for (way, cached) in [
            (Way::First, false),
            (Way::SameProcess, false),
            (Way::OtherProcess, true),
            (Way::Threads(1), true),
        ] {
            let repeats = of(&part, variant, way);
            assert!(repeats.iter().all(|repeat| repeat.cached == cached), "{variant} {way:?}");
        }
    }
    assert!(part.answers.iter().all(|answer| answer.cached));
}

/// The mean over all ways of choosing `k` of some attempts of whether `right` holds of their grades.
fn by_enumeration(grades: &[bool], k: usize, right: impl Fn(&[bool]) -> bool) -> f64 {
    let chosen = (0u32..1 << grades.len()).filter(|set| set.count_ones() as usize == k);
    let outcomes: Vec<bool> = chosen
        .map(|set| {
            let taken = grades.iter().enumerate().filter(|(index, _)| set & (1 << index) != 0);
            right(&taken.map(|(_, grade)| *grade).collect::<Vec<_>>())
        })
        .collect();
    outcomes.iter().filter(|outcome| **outcome).count() as f64 / outcomes.len() as f64
}

#[test]
fn how_often_tasks_are_right_is_counted_over_other_seeds() {
    // At this temperature about one token of eight is another than the script's.
    let again = "repeated = 5\ntimes = 4\nsampling = { temperature = 0.134 }";
    let project = project(again, "", "{ to = \"task 1.\", say = \"no\\n\" }, ");
    check(&project);
    let part = part(&project);
    assert_eq!(part.repeats.len(), 2 * 5 * 4);
    let by_task: Vec<Vec<bool>> = ["task-0", "task-2", "task-4", "task-6", "task-8"]
        .map(|task| {
            let of_task = |repeat: &&Repeat| repeat.variant == "base" && repeat.task == task;
            let repeats: Vec<&Repeat> = part.repeats.iter().filter(of_task).collect();
            let seeds: Vec<Way> = repeats.iter().map(|repeat| repeat.way).collect();
            assert_eq!(seeds, [1, 2, 3, 4].map(Way::Seed), "{task}");
            repeats.iter().map(|repeat| repeat.grade == Grade::Right).collect()
        })
        .to_vec();
    assert!(by_task[0].iter().all(|right| !right), "a multiple of five is wrong in any case");
    let all: Vec<bool> = by_task.concat();
    let right = all.iter().filter(|right| **right).count();
    assert!((2..16).contains(&right), "chance made too easy a case: {by_task:?}");
    let found = tasks::repeated(&part, "base").unwrap();
    assert_eq!((found.tasks, found.times, found.of_k.len()), (5, 4, 4));
    assert!((found.right.point - right as f64 / 20.0).abs() < 1e-12);
    let mean = |k: usize, holds: fn(&[bool]) -> bool| {
        by_task.iter().map(|grades| by_enumeration(grades, k, holds)).sum::<f64>() / 5.0
    };
    for (k, [all_right, any_right]) in (1..).zip(found.of_k) {
        let all_of = mean(k, |taken| taken.iter().all(|right| *right));
        let any_of = mean(k, |taken| taken.iter().any(|right| *right));
        assert!((all_right - all_of).abs() < 1e-12, "{all_right} of {k} is not {all_of}");
        assert!((any_right - any_of).abs() < 1e-12, "{any_right} of {k} is not {any_of}");
    }
    let report = std::fs::read_to_string(project.path().join(".perfgate/report.md")).unwrap();
    assert!(report.contains("Tasks asked 4 times with other seeds, sampled"), "{report}");
    assert!(report.contains("all of 2 right") && report.contains("any of 4 right"), "{report}");
    // The same seeds draw the same tokens.
    let tokens = |part: &Part| part.repeats.iter().map(|r| r.tokens.clone()).collect::<Vec<_>>();
    project.run(&["check", "--only", "quality", "--fresh"]);
    assert_eq!(tokens(&self::part(&project)), tokens(&part));
}
