//! Which variant is recommended where: on samples that are made up, of which the truth is known, and through the
//! whole way with the scripted engine.

use crate::snapshots::empty_part;
use crate::support::{Project, scripted};
use perfgate::baseline::Stores;
use perfgate::config::{self, DEFAULT_SCENARIOS, WorkTree};
use perfgate::insight::{Answer, Out, Recommendation, recommend};
use perfgate::record::{
    Answer as Graded, Grade, MemoryUse, Phase, Request, Results, Round, VariantRecord, WorkerRun,
};
use perfgate::report;
use perfgate::session;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use std::path::Path;

const ROUNDS: u32 = 6;

/// A variant that is made up: its means, and how much its rounds and requests scatter (of the log).
#[derive(Clone, Copy)]
struct Made {
    name: &'static str,
    /// Milliseconds to the first token, and for each further one.
    times: [f64; 2],
    /// Milliseconds to the first token of a fresh process.
    start: f64,
    /// MiB.
    memory: f64,
    /// Of 200 tasks.
    right: u32,
    noise: f64,
}

const BASE: Made = Made {
    name: "base",
    times: [200.0, 20.0],
    start: 1500.0,
    memory: 1200.0,
    right: 120,
    noise: 0.02,
};

fn results(thresholds: &str, variants: &[Made], seed: u64) -> Results {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let names: Vec<&str> = variants.iter().map(|one| one.name).collect();
    let tables: String =
        names.iter().map(|name| format!("[variants.{name}]\nengine = \"scripted\"\n")).collect();
    let quality = "[quality]\ntasks = \"graded.jsonl\"\n";
    let project = Project::new(&scripted(ROUNDS, &format!("{quality}{tables}")), thresholds);
    let file = |name: &str| project.path().join(name);
    let read = config::read(&WorkTree, &file("perfgate.toml"), Some(&file("thresholds.toml")));
    let setup = read.unwrap_or_else(|problem| panic!("{problem}"));
    let mut part = empty_part();
    let record = part.header.variants.values().next().unwrap().clone();
    part.header.variants =
        names.iter().map(|name| (name.to_string(), VariantRecord { ..record.clone() })).collect();
    let plan = &mut part.header.plan;
    plan.variants = names.iter().map(ToString::to_string).collect();
    plan.reference = "base".to_string();
    plan.quality.as_mut().unwrap().variants = plan.variants.clone();
    plan.quality.as_mut().unwrap().tasks = (0..200).map(|task| format!("g{task}")).collect();
    for number in 1..=ROUNDS {
        let mut round = Round { round: number, complete: true, ..Round::default() };
        for variant in variants {
            variant.measured(&mut round, &mut random);
        }
        part.rounds.push(round);
    }
    part.answers = variants.iter().flat_map(Made::answers).collect();
    session::judged(vec![part], &setup, &[], &Stores::default())
}

impl Made {
    fn measured(&self, round: &mut Round, random: &mut ChaCha8Rng) {
        let normal = Normal::new(0.0, self.noise).unwrap();
        let whole = normal.sample(random);
        let mut ns = |ms: f64| (ms * 1e6 * (whole + normal.sample(random)).exp()) as u64;
        let memory = (self.memory * 1048576.0) as u64;
        round.workers.push(WorkerRun {
            round: round.round,
            variant: self.name.to_string(),
            attempt: 1,
            first_token_ns: Some(ns(self.start)),
            memory: Some(MemoryUse { peak_rss: memory, rss_anon: memory / 2, rss_file: 9 }),
            ..WorkerRun::default()
        });
        for task in 0..8 {
            let (first, gap) = (ns(self.times[0]), ns(self.times[1]));
            round.requests.push(Request {
                round: round.round,
                slot: 0,
                variant: self.name.to_string(),
                task: format!("t{task}"),
                attempt: 1,
                phase: Phase::Timed,
                start_ns: 0,
                token_ns: (0..8).map(|token| first + gap * token).collect(),
                prompt_tokens: 128,
                tokens: vec![7; 8],
                energy_uj: None,
                dram_energy_uj: None,
                energy_ns: None,
                failure: None,
            });
        }
    }

    fn answers(&self) -> Vec<Graded> {
        let answer = |task: u32| Graded {
            variant: self.name.to_string(),
            task: format!("g{task}"),
            prompt_tokens: 40,
            tokens: vec![1],
            text: "x".into(),
            cached: false,
            log_likelihoods: vec![],
            reason: None,
            grade: if task < self.right { Grade::Right } else { Grade::Wrong },
            failure: None,
        };
        (0..200).map(answer).collect()
    }
}

fn of<'a>(found: &'a [Recommendation], scenario: &str) -> &'a Recommendation {
    found.iter().find(|one| one.scenario == scenario).unwrap()
}

const RULES: &str = "[rules]\nlatency = \"30%\"\n";

#[test]
fn a_variant_that_is_clearly_better_is_recommended_with_its_reasons() {
    let quick = Made { name: "quick", times: [100.0, 10.0], memory: 400.0, ..BASE };
    let results = results(RULES, &[BASE, quick], 1);
    let found = recommend(&results);
    assert_eq!(found.len(), 5, "the default scenarios");
    for scenario in
        ["local experimentation", "edge", "always-on service", "multi-agent orchestration"]
    {
        let Answer::Best(best) = &of(&found, scenario).answer else { panic!("{found:?}") };
        assert_eq!((best.variant.as_str(), best.over.as_str()), ("quick", "base"), "{scenario}");
        assert_eq!(best.rounds, ROUNDS as usize);
    }
    // Half the times, a third of the memory, the same start: by hand from the weights.
    let Answer::Best(best) = &of(&found, "local experimentation").answer else { panic!() };
    let expected = (2.0 * 2f64.ln() + 2.0 * 2f64.ln() + 2.0 * 0.0 + 3f64.ln()) / 7.0;
    assert!((best.score.point - expected).abs() < 0.03, "{} {expected}", best.score.point);
    assert!(best.score.low < expected && expected < best.score.high, "{:?}", best.score);
    let sum: f64 = best.ratios.iter().map(|one| one.adds).sum();
    assert!((sum - best.score.point).abs() < 1e-9, "the ratios add up to the score");
    // The same answers on all 200 tasks: within a point is not shown by so few, so where it must be the
    // reference stays.
    let careful = of(&found, "accuracy-critical research");
    assert_eq!(careful.answer, Answer::Only("base".to_string()), "{careful:?}");
    assert!(matches!(&careful.out[..], [(name, Out::Required(_))] if name == "quick"));
    // Energy was not measured, which is said and is no zero.
    let unmeasured: Vec<&str> =
        of(&found, "edge").unmeasured.iter().map(|one| one.metric.id()).collect();
    assert_eq!(unmeasured, ["tokens_per_second_per_watt", "model_size"]);

    let report = report::build(&results);
    let recommended = report.recommended.unwrap();
    assert_eq!(recommended.choices.len(), 5);
    assert!(
        recommended.conclusion.starts_with(
            "Deploy quick for local experimentation (1.7"
        ) && recommended.conclusion.contains(
            "×); base for accuracy-critical research. In brackets: how many times as good as the next, by the weights of \
             the use. Out where it matters: quick, because accuracy within 1 pt is not shown (+0.0 pt, "
        ),
        "{}",
        recommended.conclusion
    );
    let row = &recommended.table.rows[0];
    assert!(row[2].contains("throughput 2.0") && row[2].ends_with("× of base"), "{row:?}");
    assert!(row[3].contains("times (") && row[3].contains("as good as base"), "{row:?}");
}

#[test]
fn what_breaks_a_rule_is_never_recommended() {
    // Much better at all that counts for local experimentation, but for the latency that the rule is on.
    let other = Made { name: "other", times: [20.0, 60.0], memory: 100.0, start: 100.0, ..BASE };
    let found = recommend(&results("[rules]\nthroughput = \"30%\"\n", &[BASE, other], 2));
    for one in &found {
        assert_eq!(one.answer, Answer::Only("base".to_string()), "{one:?}");
        assert_eq!(one.out, [("other".to_string(), Out::Rule("throughput".to_string()))]);
    }
    // Without that rule it would have been.
    let found = recommend(&results("[rules]\nmemory = \"30%\"\n", &[BASE, other], 2));
    let Answer::Best(best) = &of(&found, "local experimentation").answer else {
        panic!("{found:?}")
    };
    assert_eq!(best.variant, "other");
}

#[test]
fn a_loss_of_accuracy_rules_out_where_accuracy_is_required() {
    let worse = Made { name: "worse", times: [100.0, 10.0], right: 80, ..BASE };
    let found = recommend(&results(RULES, &[BASE, worse], 3));
    assert_eq!(of(&found, "multi-agent orchestration").answer, Answer::Only("base".to_string()));
    let Answer::Best(best) = &of(&found, "local experimentation").answer else { panic!() };
    assert_eq!(best.variant, "worse", "which requires nothing of it");
}

#[test]
fn accuracy_can_weigh_and_its_interval_is_in_the_score() {
    let scenario = "[scenarios.careful]\nweights = { accuracy = 3, throughput = 1 }\n";
    let other = Made { name: "other", times: [200.0, 20.0], right: 60, ..BASE };
    let found = recommend(&results(&format!("{RULES}{scenario}"), &[BASE, other], 4));
    let Answer::Best(best) = &found[0].answer else { panic!("{found:?}") };
    // Twice as many right answers, with three quarters of the weight.
    assert_eq!(best.variant, "base");
    assert!((best.score.point - 0.75 * 2f64.ln()).abs() < 0.02, "{best:?}");
    assert!(best.score.low < best.score.point - 0.05, "{best:?}");
}

/// Two and three equal variants, session after session: how often one is said to be better all the same.
#[test]
fn equal_variants_are_told_apart_no_more_often_than_allowed() {
    let (weights, sessions) = ("{ latency-p90 = 3, throughput = 2, ttft = 2, memory = 1 }", 300);
    let thresholds = format!("{RULES}[scenarios.one]\nweights = {weights}\n");
    for names in [&["base", "a"][..], &["base", "a", "b"][..]] {
        let variants: Vec<Made> =
            names.iter().map(|name| Made { name, noise: 0.05, ..BASE }).collect();
        let chosen = (0..sessions).filter(|seed| {
            let found = recommend(&results(&thresholds, &variants, 1000 + seed));
            matches!(found[0].answer, Answer::Best(_))
        });
        // 5% of 300 are 15; 27 and more have a probability of 0.2%.
        let chosen = chosen.count();
        assert!(chosen < 27, "{chosen} of {sessions} sessions of {names:?}");
    }
}

#[test]
fn a_small_difference_is_no_difference_shown() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let other = Made { name: "other", times: [199.0, 19.9], noise: 0.08, ..BASE };
    let noisy = Made { noise: 0.08, ..BASE };
    let found = recommend(&results(RULES, &[noisy, other], random.random()));
    let Answer::Level { nearest, others } = &of(&found, "local experimentation").answer else {
        panic!("{found:?}")
    };
    assert!(nearest.score.low <= 0.0 && nearest.score.high > 0.0);
    assert_eq!(others.len(), 1);
}

#[test]
fn little_of_what_counts_is_no_ground_for_a_choice() {
    let scenario =
        "[scenarios.power]\nweights = { tokens_per_second_per_watt = 3, throughput = 1 }\n";
    let quick = Made { name: "quick", times: [100.0, 10.0], ..BASE };
    let found = recommend(&results(&format!("{RULES}{scenario}"), &[BASE, quick], 6));
    assert_eq!(found[0].answer, Answer::Unmeasured(0.25));
    assert!(
        recommend(&results(
            "[rules]\nmemory = { max = \"9 GiB\", variant = \"base\" }\n",
            &[BASE],
            6
        ))
        .is_empty()
    );
    let none = format!("{RULES}[scenarios]\n");
    assert!(
        recommend(&results(&none, &[BASE, quick], 6)).is_empty(),
        "an empty table turns it off"
    );
}

#[test]
fn wrong_scenarios_are_refused_with_file_line_and_remedy() {
    for (text, expected) in [
        ("weights = { speed = 1 }", ["thresholds.toml:4:", "there is no metric 'speed'", "help"]),
        ("weights = { latency-p95 = 1 }", ["has no statistic 'p95'", "p90", "help"]),
        ("weights = { latency-p99 = 1 }", ["has no statistic 'p99'", "to be weighed", "help"]),
        ("weights = { failure_rate = 1 }", ["it may be 0", "requires", "help"]),
        ("weights = { memory = 0 }", ["is 0; it should be above 0", "leave it out", "help"]),
        ("weights = { memory = -1 }", ["is -1; it should be above 0", "leave it out", "help"]),
        ("weights = {}", ["nothing has a weight", "throughput = 2", "help"]),
        ("about = \"x\"", ["'weights'", "thresholds.toml:3:", "scenarios.mine"]),
        ("wieghts = { memory = 1 }\nweights = { memory = 1 }", ["wieghts", "weights", "help"]),
        (
            "weights = { memory = 1 }\nrequires = { accuracy = \"much\" }",
            ["thresholds.toml:5:", "accuracy", "help"],
        ),
        (
            "weights = { memory = 1 }\nrequires = { latency = \"5\" }",
            ["'5' is no percentage", "5%", "help"],
        ),
    ] {
        let thresholds = format!("{RULES}[scenarios.mine]\n{text}\n");
        let variants =
            "[variants.base]\nengine = \"scripted\"\n[variants.b]\nengine = \"scripted\"\n";
        let project = Project::new(&scripted(1, variants), &thresholds);
        let run = project.run(&["check"]);
        assert_eq!(run.code, 2, "{text}: {}", run.stdout);
        for words in expected {
            assert!(run.stderr.contains(words), "{text}: {words} is not in {}", run.stderr);
        }
    }
}

#[test]
fn the_whole_way_from_the_configuration_to_every_format() {
    let variants = "[variants.base]\nengine = \"scripted\"\nscript = { token_ms = 20 }\n\
                    [variants.quick]\nengine = \"scripted\"\nscript = { token_ms = 8 }\n";
    let scenario = "[scenarios.chat]\nabout = \"people wait\"\nrequires = { latency = { max = \"9 s\" } }\n\
                    weights = { throughput = 1, latency = 1 }\n";
    let project = Project::new(&scripted(3, variants), &format!("{RULES}{scenario}"));
    let run = project.run(&["check"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("Which variant where"), "{}", run.stdout);
    assert!(run.stdout.contains("Deploy quick for chat"), "{}", run.stdout);
    let report = project.run(&["report", "--format", "json"]).stdout;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["recommended"]["choices"][0]["variants"][0], "quick");
    for format in ["markdown", "html"] {
        let text = project.run(&["report", "--format", format]).stdout;
        assert!(text.contains("Deploy quick for chat"), "{format}: {text}");
    }
    // Measured alone, nothing says which rules it breaks, and so nothing is recommended.
    let run = project.run(&["run"]);
    assert!(!run.stdout.contains("Which variant where"), "{}", run.stdout);
}

#[test]
fn the_page_shows_the_default_scenarios_as_they_are() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recommend.md");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(
        page.contains(DEFAULT_SCENARIOS),
        "docs/recommend.md is to have src/config/scenarios.toml"
    );
}
