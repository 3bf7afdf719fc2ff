//! Graded tasks as `[quality]` asks for them, from end to end with the scripted engine: suites of their own, samples
//! of them, and what is measured alone.

use crate::support::{Project, Run, Session, scripted};
use perfgate::record::{Grade, Only, VerdictKind};
use std::collections::BTreeSet;

/// A suite of tasks `NAME 0.` and so on, each of which expects its number.
pub fn suite(name: &str, numbers: std::ops::Range<usize>) -> String {
    numbers
        .map(|n| {
            let tag = if n % 2 == 0 { "even" } else { "odd" };
            format!(
                "{{\"id\": \"{name}-{n}\", \"prompt\": \"{name} {n}.\", \"grader\": \"exact\", \
                 \"expect\": \"{n}\", \"tags\": [\"{tag}\"]}}\n"
            )
        })
        .collect()
}

/// A script that knows the tasks of a suite, but says `no` to those that are `wrong`.
pub fn knows(name: &str, numbers: std::ops::Range<usize>, wrong: impl Fn(usize) -> bool) -> String {
    let line = |n: usize| {
        let say = if wrong(n) { "no".to_string() } else { n.to_string() };
        format!("{{ to = \"{name} {n}.\", say = \"{say}\\n\" }}, ")
    };
    numbers.map(line).collect()
}

/// Both variants play scripts.
pub fn config(quality: &str, base: &str, other: &str) -> String {
    let variant = |name: &str, script: &str| {
        format!("[variants.{name}]\nengine = \"scripted\"\nscript = {{ {script} }}\n")
    };
    scripted(2, &format!("{quality}\n{}{}", variant("base", base), variant("other", other)))
}

const SUITES: &str = "[quality]\nmax_tokens = 9\nstop = [\"\\n\"]\n\
                      [quality.suites.sums]\ntasks = \"sums.jsonl\"\nmax_tokens = 30\n\
                      stop = [\";\"]\nprompt_template = \"sums.jinja\"\n\
                      [quality.suites.names]\ntasks = \"names.jsonl\"\n";

const RULES: &str = "[defaults]\nvariant = \"other\"\n[rules]\naccuracy = \"5pt\"\n";

const EACH: usize = 40;

/// Two suites of 40 tasks each, of which both have eight wrong, and `other` some more of the sums.
fn two_suites(wrong: std::ops::Range<usize>, rules: &str) -> Project {
    let hard = |n| (30..38).contains(&n);
    let script = |wrong: std::ops::Range<usize>| {
        let sums = knows("sums", 0..EACH, |n| hard(n) || wrong.contains(&n)).replace("\\n", ";");
        format!("answers = [{sums}{}]", knows("names", 0..EACH, hard))
    };
    let project = Project::new(&config(SUITES, &script(0..0), &script(wrong)), rules);
    project.write("sums.jsonl", &suite("sums", 0..EACH));
    project.write("names.jsonl", &suite("names", 0..EACH));
    project.write("sums.jinja", "Add.\n{{ prompt }}\n=");
    project
}

fn ids(session: &Session) -> Vec<String> {
    session.header.plan.quality.as_ref().unwrap().tasks.clone()
}

/// The tasks that are asked with some options; nothing is timed.
fn taken(project: &Project, options: &[&str]) -> Vec<String> {
    let run = project.run(&[&["check", "--only", "quality"], options].concat());
    assert!([0, 1, 3].contains(&run.code), "{options:?}: {}{}", run.stdout, run.stderr);
    ids(&project.results())
}

fn verdict(project: &Project, id: &str) -> (VerdictKind, String) {
    let verdicts = project.results().verdicts;
    let found = verdicts.into_iter().find(|verdict| verdict.rule.id == id).unwrap();
    (found.verdict, found.reason)
}

#[test]
fn suites_have_templates_stops_and_lengths_of_their_own_or_those_of_all() {
    let project = two_suites(0..8, &RULES.replace("5pt", "3pt"));
    let run = project.check();
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let session = project.results();
    let plan = session.header.plan.quality.as_ref().unwrap();
    assert_eq!((plan.max_tokens, plan.of), (30, 2 * EACH));
    assert_eq!(plan.stop, ["\n", ";"]);
    assert_eq!(plan.narrowed, None);
    assert_eq!(plan.labels["names-3"].suite.as_deref(), Some("names"));
    assert_eq!(plan.tails[0], "sums 0.", "a tail is of the task, not of the template");
    let answer = |task: &str, variant: &str| {
        session.answers.iter().find(|a| a.task == task && a.variant == variant).unwrap()
    };
    let sum = answer("sums-12", "base");
    assert_eq!(sum.prompt_tokens as usize, "Add.\nsums 12.\n=".len());
    assert_eq!((sum.text.as_str(), sum.tokens.last()), ("12", Some(&u32::from(b';'))));
    let name = answer("names-12", "base");
    assert_eq!(name.prompt_tokens as usize, "names 12.".len());
    assert_eq!((name.text.as_str(), name.tokens.last()), ("12", Some(&u32::from(b'\n'))));
    let wrong = answer("sums-3", "other");
    assert_eq!((wrong.grade, wrong.text.as_str()), (Grade::Wrong, "no"));
    assert!(wrong.reason.is_some());
    // By suite and together, with Clopper and Pearson's intervals of 32 and 24 of 40.
    let row = " sums    40      80.0% [64.4, 90.9]   60.0% [43.3, 75.1]\n";
    assert!(run.stdout.contains(row), "{}", run.stdout);
    // What a suite does not say holds by `[quality]`: nine tokens, and no more.
    let text = std::fs::read_to_string(project.path().join("perfgate.toml")).unwrap();
    project.write("perfgate.toml", &text.replace("say = \"7\\n\"", "say = \"7 and more\""));
    project.run(&["check", "--only", "quality"]);
    let session = project.results();
    let long = session.answers.iter().find(|a| a.task == "names-7").unwrap();
    assert_eq!(long.failure.as_ref().unwrap().message, "no end within 9 tokens");
    assert_eq!(long.tokens.len(), 9);
}

#[test]
fn mistakes_of_the_configuration_name_the_place() {
    let suites = |text: &str| format!("[quality.suites.a]\ntasks = \"names.jsonl\"\n{text}");
    let cases = [
        (
            "[quality]\nmax_tokens = 9\n".to_string(),
            "perfgate.toml:9:1: the key 'tasks' is missing in [quality]",
        ),
        (
            "[quality]\ntasks = \"names.jsonl\"\nformat = \"csv\"\n".to_string(),
            "perfgate.toml:11:10: ",
        ),
        (
            "[quality]\ntasks = \"names.jsonl\"\nformat = \"csv\"\n".to_string(),
            "perfgate, bfcl, multiple-choice",
        ),
        (
            "[quality.suites.a]\nstop = []\n".to_string(),
            "perfgate.toml:9:1: the key 'tasks' is missing in [quality.suites.a]",
        ),
        ("[quality]\nsuites = {}\n".to_string(), "perfgate.toml:10:10: no suite is defined"),
        (
            suites("[quality.suites.b]\ntasks = \"twice.jsonl\"\n"),
            "twice.jsonl: the id 'names-1' stands in another file of tasks too",
        ),
        (suites("temperature = 1\n"), "perfgate.toml:11:1: "),
        (suites("[quality]\nlimit = 0\n"), "perfgate.toml:12:9: "),
        (suites("[quality]\nbatch = 0\n"), "perfgate.toml:12:9: "),
        (suites("[quality]\nbatch = 257\n"), "perfgate.toml:12:9: "),
        (
            suites("[quality.again]\nsampling = { temperature = 0 }\n"),
            "perfgate.toml:12:12: tasks that are asked again with other seeds need a temperature above 0",
        ),
        (suites("[quality.again]\ntimes = 1\n"), "perfgate.toml:12:9: "),
        (suites("[quality.again]\ndeterminsm = 1\n"), "perfgate.toml:12:1: "),
    ];
    for (quality, expected) in cases {
        let project = Project::new(&config(&quality, "", ""), RULES);
        project.write("names.jsonl", &suite("names", 0..3));
        project.write("twice.jsonl", &suite("names", 1..2));
        let run = project.check();
        assert_eq!(run.code, 2, "{quality}: {}", run.stdout);
        assert!(run.stderr.contains(expected), "wanted {expected:?} of {quality}: {}", run.stderr);
    }
}

#[test]
fn a_sample_is_the_same_each_time_and_lies_within_a_larger_one() {
    let project = two_suites(0..8, RULES);
    let limited = |count: &str| taken(&project, &["--limit", count]);
    let (ten, twenty) = (limited("10"), limited("20"));
    assert_eq!((ten.len(), twenty.len()), (10, 20));
    assert!(ten.iter().all(|id| twenty.contains(id)), "{ten:?} of {twenty:?}");
    assert_eq!(limited("10"), ten);
    let all = taken(&project, &["--limit", "all"]);
    assert_eq!(all.len(), 2 * EACH);
    let places: Vec<usize> =
        ten.iter().map(|id| all.iter().position(|other| other == id).unwrap()).collect();
    assert!(places.is_sorted(), "in the order of the files: {places:?}");
    // The configuration's own limit, and the command line against it.
    let text = std::fs::read_to_string(project.path().join("perfgate.toml")).unwrap();
    project.write("perfgate.toml", &text.replace("[quality]\n", "[quality]\nlimit = 20\n"));
    assert_eq!(taken(&project, &[]), twenty);
    assert_eq!(taken(&project, &["--limit", "all"]), all);
    assert_eq!(project.results().header.plan.quality.unwrap().of, 2 * EACH);
    // One more task: at most one of the sample is another.
    project.write("names.jsonl", &suite("names", 0..EACH + 1));
    let grown = taken(&project, &[]);
    let kept = grown.iter().filter(|id| twenty.contains(id)).count();
    assert!(grown.len() == 20 && kept >= 19, "{kept} of {grown:?}");
}

#[test]
fn shards_have_nothing_in_common_and_are_all_together() {
    let project = two_suites(0..8, RULES);
    for options in [&[][..], &["--limit", "30", "--tags", "even"]] {
        let whole: BTreeSet<String> = taken(&project, options).into_iter().collect();
        let shards: Vec<Vec<String>> = (1..=3)
            .map(|part| taken(&project, &[options, &["--shard", &format!("{part}/3")]].concat()))
            .collect();
        let together: BTreeSet<String> = shards.iter().flatten().cloned().collect();
        assert_eq!(shards.iter().map(Vec::len).sum::<usize>(), whole.len(), "{options:?}");
        assert_eq!(together, whole);
        let sizes = shards.iter().map(Vec::len);
        assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1, "{shards:?}");
    }
    for bad in ["0/3", "4/3", "3", "1/0", "a/b"] {
        let run = project.run(&["check", "--shard", bad]);
        assert!(run.code == 2 && run.stderr.contains("such as 1/4"), "{bad}: {}", run.stderr);
    }
    for bad in ["0", "-1", "some"] {
        let run = project.run(&["check", "--limit", bad]);
        assert!(run.code == 2 && !run.stderr.is_empty(), "{bad}: {}", run.stderr);
    }
}

#[test]
fn tasks_are_chosen_by_suite_and_tags() {
    let project = two_suites(0..8, RULES);
    let of = |options: &[&str]| taken(&project, options);
    assert_eq!(of(&["--suite", "names"]).len(), EACH);
    assert_eq!(of(&["--suite", "names", "--suite", "sums"]).len(), 2 * EACH);
    let even = of(&["--suite", "sums", "--tags", "even"]);
    assert_eq!(even.len(), EACH / 2);
    assert!(even.contains(&"sums-2".to_string()), "{even:?}");
    for (options, what) in [
        (&["--suite", "nams"][..], "no graded task is of suite nams"),
        (&["--tags", "even,odd"], "no graded task is of tag even, tag odd"),
        (
            &["--suite", "sums", "--tags", "prime", "--limit", "3"],
            "suite sums, tag prime, at most 3",
        ),
    ] {
        let run = project.run(&[&["check"], options].concat());
        assert_eq!(run.code, 2, "{options:?}");
        assert!(run.stderr.contains(what), "{options:?}: {}", run.stderr);
        let help = "the suites are: names, sums; the tags are: even, odd";
        assert!(run.stderr.contains(help), "{options:?}: {}", run.stderr);
    }
    // Without graded tasks there is nothing to choose from.
    let project = Project::new(&config("", "", ""), "[rules]\nlatency = \"50%\"\n");
    for options in [&["--suite", "a"][..], &["--limit", "3"], &["--only", "quality"]] {
        let run = project.run(&[&["check"], options].concat());
        assert_eq!(run.code, 2, "{options:?}");
        assert!(run.stderr.contains("there are no graded tasks to choose from"), "{}", run.stderr);
    }
}

#[test]
fn a_rule_on_a_suite_that_was_left_out_is_undecided() {
    let rules = format!(
        "{RULES}sums = {{ metric = \"accuracy\", limit = \"5pt\", suite = \"sums\" }}\n\
         names = {{ metric = \"accuracy\", limit = \"90pt\", suite = \"names\" }}\n"
    );
    let project = two_suites(0..20, &rules);
    let run = project.run(&["check", "--only", "quality", "--suite", "names"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let (kind, why) = verdict(&project, "sums");
    assert_eq!(kind, VerdictKind::Inconclusive, "{why}");
    assert_eq!(why, "none of its tasks was asked for, which were those of suite names");
    assert_eq!(verdict(&project, "names").0, VerdictKind::Pass);
    let run = project.run(&["check", "--only", "quality", "--suite", "sums"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert_eq!(verdict(&project, "names").0, VerdictKind::Inconclusive);
    assert_eq!(verdict(&project, "sums").0, VerdictKind::Regressed);
    // A rule on a suite that no file has is a mistake, whatever is left out.
    project.write("thresholds.toml", &rules.replace("\"sums\" }", "\"sum\" }"));
    let run = project.run(&["check", "--only", "quality", "--suite", "names"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("rule 'sums' judges"), "{}", run.stderr);
}

fn rules(accuracy: &str) -> String {
    format!(
        "[defaults]\nvariant = \"other\"\n[rules]\nlatency = \"50%\"\n\
         accuracy = {{ limit = \"{accuracy}\", suite = \"sums\" }}\n"
    )
}

#[test]
fn graded_tasks_alone_decide_the_rules_on_them() {
    let only = |wrong, accuracy: &str| {
        let project = two_suites(wrong, &rules(accuracy));
        let run = project.run(&["check", "--only", "quality"]);
        (project, run)
    };
    let (project, run) = only(0..20, "5pt");
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let session = project.results();
    assert_eq!((session.header.plan.only, session.rounds.len()), (Some(Only::Quality), 0));
    assert_eq!(session.answers.len(), 4 * EACH);
    let (kind, why) = verdict(&project, "latency");
    assert_eq!(kind, VerdictKind::Inconclusive);
    assert_eq!(why, "not measured: only quality was asked for (--only quality)");
    // Judged again from the file it comes to the same.
    let again = project.run(&["check", "--results"]);
    assert_eq!(again.code, 1, "{}{}", again.stdout, again.stderr);
    let (_, run) = only(0..0, "90pt");
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    // 1 of 40 proves nothing of five points, and no other gating rule is decided.
    let (project, run) = only(0..1, "5pt");
    assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
    assert_eq!(verdict(&project, "accuracy").0, VerdictKind::Inconclusive);
}

#[test]
fn rounds_alone_ask_no_task() {
    let project = two_suites(0..20, &rules("5pt"));
    let run = project.run(&["check", "--only", "timing"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let session = project.results();
    assert_eq!((session.rounds.len(), session.answers.len()), (2, 0));
    assert_eq!(session.header.plan.only, Some(Only::Timing));
    assert_eq!(verdict(&project, "latency").0, VerdictKind::Pass);
    let (kind, why) = verdict(&project, "accuracy");
    assert_eq!(kind, VerdictKind::Inconclusive);
    assert_eq!(why, "not measured: only timing was asked for (--only timing)");
    // `run` measures the same way, and a variant without a round is none that failed.
    let run = project.run(&["run", "--only", "quality", "--output", "q.json"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
}

#[test]
fn what_was_asked_for_is_said_so_that_it_can_be_asked_again() {
    let project = two_suites(0..20, &rules("5pt"));
    project.make_repository();
    let options = [
        "--only", "quality", "--suite", "sums", "--suite", "names", "--tags", "even", "--limit",
        "12", "--shard", "2/2",
    ];
    let run: Run = project.run(&[&["check"][..], &options].concat());
    assert!(run.code != 2, "{}{}", run.stdout, run.stderr);
    let first = ids(&project.results());
    let report = std::fs::read_to_string(project.path().join(".perfgate/report.md")).unwrap();
    let line = report.lines().find(|line| line.starts_with("perfgate check")).unwrap();
    assert_eq!(line, format!("perfgate check {}", options.join(" ")), "{report}");
    let again = project.shell(&line.replace("perfgate", "\"$PERFGATE\""));
    assert_eq!(again.code, run.code, "{}", again.stderr);
    assert_eq!(ids(&project.results()), first);
}

#[test]
fn answers_that_must_not_call_and_cannot_be_read_have_failed_unless_the_leaderboards_rule_is_asked_for()
 {
    let said = [
        (
            "<tool_call>{\"name\":\"fan\",\"arguments\":{\"level\":2}}</tool_call>",
            Grade::Wrong,
            Grade::Wrong,
        ),
        ("[get_closest_integer(30)]", Grade::Wrong, Grade::Wrong),
        ("fan(level=", Grade::Failed, Grade::Right),
        (
            "I will call it: {\"name\":\"fan\",\"arguments\":{\"level\":2}}",
            Grade::Wrong,
            Grade::Right,
        ),
        ("I cannot do that.", Grade::Right, Grade::Right),
        ("", Grade::Failed, Grade::Right),
    ];
    let suites = ["strict", "parity"];
    let script: String = suites
        .iter()
        .flat_map(|suite| {
            said.iter()
                .enumerate()
                .map(move |(n, (say, ..))| format!("{{ to = \"{suite} {n}.\", say = '{say}' }}, "))
        })
        .collect();
    let quality = "[quality]\nmax_tokens = 90\n[quality.suites.strict]\ntasks = \"strict.jsonl\"\n\
                   [quality.suites.parity]\ntasks = \"parity.jsonl\"\nno_call = \"leaderboard\"\n";
    let script = format!("answers = [{script}]");
    let project = Project::new(&config(quality, &script, &script), RULES);
    for suite in suites {
        let line = |n| {
            format!(
                "{{\"id\": \"{suite}-{n}\", \"prompt\": \"{suite} {n}.\", \"grader\": \"no_call\"}}\n"
            )
        };
        project.write(&format!("{suite}.jsonl"), &(0..said.len()).map(line).collect::<String>());
    }
    let run = project.run(&["check", "--only", "quality"]);
    let session = project.results();
    for (n, (say, strict, parity)) in said.iter().enumerate() {
        for (suite, grade) in [("strict", strict), ("parity", parity)] {
            let id = format!("{suite}-{n}");
            let answer = session.answers.iter().find(|answer| answer.task == id).unwrap();
            assert_eq!(answer.grade, *grade, "{say:?} in {suite}: {answer:?}");
        }
    }
    let lenient: Vec<String> = (0..said.len()).map(|n| format!("parity-{n}")).collect();
    assert_eq!(session.header.plan.quality.as_ref().unwrap().lenient, lenient);
    let warned = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let warning = "6 of 12 graded tasks follow the leaderboard's rule for `no_call`";
    assert!(warned.contains(warning), "{}{}", run.stdout, run.stderr);
    project.write(
        "perfgate.toml",
        &config(&quality.replace("leaderboard", "lenient"), &script, &script),
    );
    let run = project.check();
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("no_call' cannot be 'lenient'"), "{}", run.stderr);
}

#[test]
fn an_answer_to_a_prompt_that_opens_reasoning_needs_its_end() {
    // The grader, what is expected, what is said, and the grades behind `<think>` and without it.
    let cases = [
        ("numeric", "42", "It is 42.", Grade::Failed, Grade::Right),
        ("numeric", "42", "Is it 41?</think>It is 42.", Grade::Right, Grade::Right),
        ("numeric", "42", "It is 42.</think>", Grade::Failed, Grade::Failed),
        ("exact", "\"42\"", "42", Grade::Failed, Grade::Right),
        ("normalized", "\"Oslo\"", "Oslo", Grade::Failed, Grade::Right),
        ("regex", "\".*42.*\"", "It is 42.", Grade::Failed, Grade::Right),
        ("regex", "\".*(<think>|42).*\"", "It is 42.", Grade::Right, Grade::Right),
        ("json_schema", "{\"schema\": {}}", "[1]", Grade::Failed, Grade::Right),
        ("no_call", "null", "I cannot.", Grade::Failed, Grade::Right),
        ("no_call", "null", "fan(level=2)", Grade::Failed, Grade::Wrong),
        ("no_call", "null", "Hm.</think>I cannot.", Grade::Right, Grade::Right),
        ("no_call", "{\"rule\": \"leaderboard\"}", "I cannot.", Grade::Right, Grade::Right),
        (
            "tool_call",
            "{\"name\": \"fan\", \"arguments\": {}}",
            "{\"name\": \"fan\", \"arguments\": {}}",
            Grade::Failed,
            Grade::Right,
        ),
        ("tool_calls", "{\"calls\": [{\"fan\": {}}]}", "fan()", Grade::Failed, Grade::Right),
        (
            "tool_calls",
            "{\"calls\": [{\"fan\": {}}]}",
            "Hm.</think>fan()",
            Grade::Right,
            Grade::Right,
        ),
    ];
    let script: String = cases
        .iter()
        .enumerate()
        .map(|(n, (_, _, say, ..))| format!("{{ to = \"task {n}.\", say = '{say}' }}, "))
        .collect();
    let lines: String = cases
        .iter()
        .enumerate()
        .map(|(n, (grader, expect, ..))| {
            format!(
                "{{\"id\": \"t{n}\", \"prompt\": \"task {n}.\", \"grader\": \"{grader}\", \"expect\": {expect}}}\n"
            )
        })
        .collect();
    let script = format!("answers = [{script}]");
    let quality = "[quality]\nmax_tokens = 90\ntasks = \"graded.jsonl\"\n";
    let config = config(quality, &script, &script) + "chat_template = \"think.jinja\"\n";
    let project = Project::new(&config, RULES);
    project.write("graded.jsonl", &lines);
    project.write("think.jinja", "{{ messages[-1].content }}\nAssistant: <think>\n");
    let run = project.run(&["check", "--only", "quality"]);
    let session = project.results();
    for (n, (grader, _, say, opened, plain)) in cases.iter().enumerate() {
        for (variant, grade) in [("base", plain), ("other", opened)] {
            let id = format!("t{n}");
            let answer = session
                .answers
                .iter()
                .find(|answer| answer.task == id && answer.variant == variant)
                .unwrap_or_else(|| panic!("{}{}", run.stdout, run.stderr));
            assert_eq!(answer.grade, *grade, "{grader} {say:?} of {variant}: {answer:?}");
        }
    }
    let failure = |id: &str| {
        let mut answers = session.answers.iter();
        let answer = answers.find(|answer| answer.task == id && answer.variant == "other");
        answer.unwrap().failure.clone().unwrap().message
    };
    assert_eq!(failure("t0"), "the reasoning that the prompt begins does not end: \"It is 42.\"");
}
