//! `perfgate start`: the table and the file by scripted engines, whose steps are exact; hostile names in it.

use crate::attacks::ATTACKS;
use crate::harmless;
use crate::support::{Project, scripted};
use perfgate::insight::start_rows;
use perfgate::record::{
    Condition, Failure, FailureClass, LoadPhases, MemoryUse, PageCache, StartSample, Starts,
    WorkerRun,
};
use perfgate::report;
use perfgate::session::read_starts;
use std::path::Path;

const VARIANTS: &str = "[variants.base]\nengine = \"scripted\"\n\
    script = { load_ms = 8, read_ms = 3, prefill_ms = 10 }\n\
    [variants.other]\nengine = \"scripted\"\nscript = { load_ms = 12, read_ms = 5, prefill_ms = 30 }\n";

fn project(variants: &str) -> Project {
    Project::new(&scripted(2, variants), "")
}

fn starts(project: &Project) -> Starts {
    let file = project.path().join(".perfgate/starts.json");
    crate::schema::validate_starts(&file);
    read_starts(&file).unwrap()
}

/// A table of a sheet in JSON: its rows under their titles.
fn table(json: &serde_json::Value, title: &str) -> Vec<Vec<(String, String)>> {
    let texts = |value: &serde_json::Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_string()).collect()
    };
    let tables = json["tables"].as_array().unwrap();
    let table = tables.iter().find(|t| t["title"].as_str().unwrap().starts_with(title)).unwrap();
    let header = texts(&table["header"]);
    let rows = table["rows"].as_array().unwrap().iter();
    rows.map(|row| header.iter().cloned().zip(texts(row)).collect()).collect()
}

fn cell<'a>(row: &'a [(String, String)], title: &str) -> &'a str {
    &row.iter().find(|(known, _)| known == title).expect(title).1
}

#[test]
fn each_condition_is_started_equally_often_and_its_steps_are_told() {
    let project = project(VARIANTS);
    let run = project.run(&["start", "--repeats", "6", "--format", "json"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let starts = starts(&project);
    assert!(starts.complete);
    // Two fills, and six repeats of two variants with the model cache off and on.
    assert_eq!(starts.samples.len(), 2 + 6 * 4);
    let fills = starts.samples.iter().filter(|sample| sample.repeat == 0);
    assert!(fills.clone().all(|sample| sample.condition.model_cache == Some(true)));
    assert_eq!(fills.count(), 2);
    let mut pids: Vec<u32> = starts.samples.iter().map(|sample| sample.run.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), starts.samples.len(), "each in a process of its own");
    for sample in &starts.samples {
        let (run, ms) = (&sample.run, 1_000_000);
        let cached = sample.condition.model_cache == Some(true) && sample.repeat > 0;
        let (read, compile, ttft) = if run.variant == "base" { (3, 5, 10) } else { (5, 7, 30) };
        let phases = LoadPhases {
            library_ns: None,
            read_ns: Some(read * ms),
            compile_ns: Some(if cached { 0 } else { compile * ms }),
        };
        assert_eq!(run.phases, Some(phases), "{sample:?}");
        assert_eq!(sample.ttft_ns, Some(ttft * ms));
        assert!(run.load_ns.unwrap() >= read * ms, "it really waits");
        let bytes = sample.condition.model_cache.filter(|on| *on).map(|_| 8);
        assert_eq!(sample.model_cache_bytes, bytes);
        assert!(run.memory.unwrap().peak_rss >= run.memory_loaded.unwrap().peak_rss);
        assert!(run.memory.unwrap().peak_rss >= run.serving_peak.unwrap());
    }
    let left = std::fs::read_dir(project.path().join(".perfgate")).unwrap();
    let left = left.filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("model-cache")
    });
    assert_eq!(left.count(), 0, "model caches are removed");

    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let steps = table(&json, "Its steps");
    assert_eq!(steps.len(), 4);
    for (row, expected) in steps.iter().zip([
        ["base", "off", "3.0 ms", "5.0 ms", "10.0 ms"],
        ["base", "on", "3.0 ms", "0.0 ms", "10.0 ms"],
        ["other", "off", "5.0 ms", "7.0 ms", "30.0 ms"],
        ["other", "on", "5.0 ms", "0.0 ms", "30.0 ms"],
    ]) {
        let titles = ["variant", "model cache", "read model", "compile", "first token"];
        assert_eq!(titles.map(|title| cell(row, title)), expected);
        assert_eq!(cell(row, "load library"), "-");
        assert!(row.iter().all(|(title, _)| title != "mmap" && title != "page cache"), "{row:?}");
    }
    let times = table(&json, "Cold start");
    assert_eq!(cell(&times[0], "change"), "-", "the first is what the others are held against");
    assert_ne!(cell(&times[1], "change"), "-");
    assert!(times.iter().all(|row| cell(row, "starts") == "6"));
    assert!(run.stdout.contains("was filled by one start more"), "{}", run.stdout);

    let again = project.run(&["start", "--results", "--format", "json"]);
    assert_eq!((again.code, &again.stdout), (0, &run.stdout), "{}", again.stderr);
    let text = project.run(&["start", "--results"]).stdout;
    assert!(text.starts_with("COLD START, medians of 6: base "), "{text}");
    assert!(text.contains("'base' is scripted"), "{text}");
}

#[test]
fn nothing_is_varied_where_nobody_asks_for_it() {
    let project = project(VARIANTS);
    let run = project.run(&["start", "other", "--repeats", "1", "--vary", "none", "--quiet"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
    let starts = starts(&project);
    assert_eq!(starts.samples.len(), 1);
    assert_eq!(starts.samples[0].condition, Condition::default());
    assert_eq!(starts.plan.variants, ["other"]);
    let rows = start_rows(&starts);
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].cold_start.unwrap().interval, None, "one start has no interval");
}

#[test]
fn failed_starts_are_counted_and_told() {
    let broken =
        "script = { load_ms = 1, read_ms = 1, faults = [{ kind = \"error\", request = 1 }] }";
    let variants = format!("{VARIANTS}[variants.broken]\nengine = \"scripted\"\n{broken}\n");
    let project = project(&variants);
    let run = project.run(&["start", "base", "broken", "--repeats", "2", "--vary", "none"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    let text = &run.stdout;
    assert!(
        text.contains("2 starts of 'broken' failed, the first: error: the script says error"),
        "{text}"
    );
    assert!(text.contains("broken has no first token"), "{text}");
    let rows = start_rows(&starts(&project));
    assert_eq!((rows[0].starts, rows[0].failed), (2, 0));
    assert_eq!((rows[1].starts, rows[1].failed, rows[1].cold_start), (0, 2, None));
}

#[test]
fn what_cannot_be_started_or_read_is_an_error_with_a_remedy() {
    let project = project(VARIANTS);
    let run = project.run(&["start", "othr"]);
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("'othr' is no variant") && run.stderr.contains("other"),
        "{}",
        run.stderr
    );
    let run = project.run(&["start", "--results"]);
    assert!(run.stderr.contains("`perfgate start` measures cold starts"), "{}", run.stderr);
    project.write("x.json", "{\"format\": 1,\n \"started\": 5}");
    let run = project.run(&["start", "--results", "x.json"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("x.json:2:"), "{}", run.stderr);
    project.write("x.json", "{\"format\": 2}");
    let run = project.run(&["start", "--results", "x.json"]);
    assert!(run.stderr.contains("is of a newer perfgate"), "{}", run.stderr);
    let unsupported = "script = { faults = [{ kind = \"unsupported\", request = 0 }] }";
    let variants = format!("{VARIANTS}[variants.broken]\nengine = \"scripted\"\n{unsupported}\n");
    project.write("perfgate.toml", &scripted(2, &variants));
    let run = project.run(&["start", "broken"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("variant 'broken' cannot run: the script says"), "{}", run.stderr);
}

/// Made-up starts of a variant with every condition, which an engine with files would have.
pub fn sample(name: &str, text: &str) -> Starts {
    let project = project(VARIANTS);
    assert_eq!(project.run(&["start", "base", "--repeats", "1", "--vary", "none", "-q"]).code, 0);
    let mut starts = starts(&project);
    let mut record = starts.variants["base"].clone();
    record.test_switches = vec![text.to_string()];
    starts.variants = [(name.to_string(), record)].into();
    starts.plan.variants = vec![name.to_string()];
    starts.plan.repeats = 6;
    starts.complete = false;
    let mut conditions = Vec::new();
    for mmap in [true, false] {
        for model_cache in [false, true] {
            for page_cache in [PageCache::Warm, PageCache::Dropped] {
                let (page_cache, model_cache) = (Some(page_cache), Some(model_cache));
                conditions.push(Condition { page_cache, model_cache, mmap: Some(mmap) });
            }
        }
    }
    starts.plan.conditions = [(name.to_string(), conditions.clone())].into();
    starts.samples.clear();
    for repeat in 0..=6 {
        for condition in &conditions {
            let dropped = condition.page_cache == Some(PageCache::Dropped);
            let seconds = if dropped { 2.0 } else { 1.0 } + 0.01 * f64::from(repeat);
            let ns = |share: f64| Some((seconds * share * 1e9) as u64);
            let memory =
                |peak_rss| MemoryUse { peak_rss, rss_anon: 300 << 20, rss_file: 100 << 20 };
            starts.samples.push(StartSample {
                repeat,
                slot: starts.samples.len() as u32,
                condition: *condition,
                run: WorkerRun {
                    round: repeat,
                    variant: name.to_string(),
                    attempt: 1,
                    hello_ns: ns(0.01),
                    load_ns: ns(0.8),
                    phases: Some(LoadPhases {
                        library_ns: ns(0.1),
                        read_ns: ns(0.2),
                        compile_ns: ns(0.5),
                    }),
                    first_token_ns: ns(1.0).filter(|_| repeat != 3),
                    failure: (repeat == 3)
                        .then(|| Failure { class: FailureClass::Crash, message: text.to_string() }),
                    memory_loaded: Some(memory(900 << 20)),
                    serving_peak: Some(410 << 20),
                    memory: Some(memory(900 << 20)),
                    page_cache: Some(if dropped { 0.4 } else { 1.0 }),
                    ..WorkerRun::default()
                },
                ttft_ns: ns(0.19),
                library_page_cache: Some(if dropped { 0.0 } else { 1.0 }),
                model_cache_bytes: Some(7 << 20),
            });
        }
    }
    starts
}

#[test]
fn medians_changes_and_what_to_know_are_those_of_the_samples() {
    let sheet = report::of_starts(&sample("int8", "slowed"));
    // Of repeats 1, 2, 4, 5 and 6: 1.04 s, and twice a second more where the page cache is dropped.
    assert!(
        sheet.headline.contains("int8 1.04 s (slowest 2.04 s with the page cache dropped"),
        "{}",
        sheet.headline
    );
    let times = &sheet.tables[0];
    assert_eq!(times.rows.len(), 8);
    let warm = ["int8", "warm", "off", "on", "5", "1.04 s", "-", "-", "-"];
    assert_eq!(times.rows[0], warm, "five starts are too few for an interval");
    let change = ((1..=6)
        .filter(|repeat| *repeat != 3)
        .map(|repeat| {
            let more = 0.01 * f64::from(repeat);
            ((2.0 + more) / (1.0 + more)).ln()
        })
        .sum::<f64>()
        / 5.0)
        .exp_m1();
    assert_eq!(times.rows[1][7], format!("+{:.1}%", change * 100.0));
    let memory = &sheet.tables[2].rows[0];
    assert_eq!(memory[4..], ["900 MiB", "400 MiB", "410 MiB", "400 MiB", "2.25×"]);
    let all = [sheet.warnings.join("\n"), sheet.notes.join("\n")].join("\n");
    for expected in [
        "cut short after 56 of",
        "1 starts of 'int8' (page cache warm, model cache off, mmap on) failed, the first: crash: slowed",
        "not as it says: up to 40% of the model and 0% of its libraries",
        "The model cache of 'int8' was filled by one start more, which took 1.00 s, and holds 7 MiB",
        "int8 took 900 MiB while it was loaded, 2.2 times the 400 MiB that it holds while serving",
    ] {
        assert!(all.contains(expected), "{expected}\n{all}");
    }
    assert_eq!(all.matches("while it was loaded").count(), 1, "said once of a variant");
}

#[test]
fn no_name_or_message_is_more_than_text_in_the_sheet() {
    let plain = sample("a", "a");
    for (name, attack) in ATTACKS {
        let mut attacked = plain.clone();
        attacked.variants =
            attacked.variants.into_values().map(|v| (attack.to_string(), v)).collect();
        attacked.variants.get_mut(*attack).unwrap().test_switches = vec![attack.to_string()];
        attacked.plan.variants = vec![attack.to_string()];
        let conditions = attacked.plan.conditions.remove("a").unwrap();
        attacked.plan.conditions.insert(attack.to_string(), conditions);
        for sample in &mut attacked.samples {
            sample.run.variant = attack.to_string();
            sample.run.failure.iter_mut().for_each(|failure| failure.message = attack.to_string());
        }
        harmless::check_sheet(name, &report::of_starts(&attacked), &report::of_starts(&plain));
    }
}

#[test]
fn a_file_that_is_no_starts_is_refused_by_name() {
    let problem = perfgate::session::parse_starts(Path::new("some/file"), "[]").unwrap_err();
    assert_eq!(problem.file.as_deref(), Some("some/file"));
}
