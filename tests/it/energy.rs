//! Energy from end to end, with the scripted engine on a machine whose counters are made up.

use crate::support::{Project, scripted};
use perfgate::baseline::Stores;
use perfgate::config::{self, WorkTree};
use perfgate::metric::Metric;
use perfgate::record::{Entry, Phase, VerdictKind};
use perfgate::session::{self, Ended, Journal, Observer};
use perfgate::worker::Interrupt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

struct Nobody;

impl Observer for Nobody {
    fn entry(&mut self, _: &Entry) {}

    fn round_done(&mut self, _: u32, _: Option<(usize, usize)>) {}
}

fn write(file: &Path, text: &str) {
    // A counter is never seen half written, as the kernel's is not.
    let draft = file.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(&draft, file).unwrap();
}

/// Counts up a made-up package's energy until told to stop.
fn burn(counter: &Path, stop: &AtomicBool) {
    let mut energy = 0u64;
    while !stop.load(Ordering::Relaxed) {
        energy += 1_000;
        write(counter, &format!("{energy}\n"));
    }
}

#[test]
fn energy_is_measured_where_there_are_counters() {
    let variants =
        "[variants.base]\nengine = \"scripted\"\n[variants.other]\nengine = \"scripted\"\n";
    let rules = "[defaults]\nvariant = \"other\"\n[rules]\nenergy_per_token = { max = \"50 J\" }\n\
                 tokens_per_second_per_watt = { min = \"0.001 tok/J\" }\n";
    // So many tokens take milliseconds even when nothing computes them.
    let config = scripted(3, variants).replace("gen_tokens = 5", "gen_tokens = 20000");
    let project = Project::new(&config, rules);
    let zone = project.path().join("sys/class/powercap/intel-rapl:0");
    std::fs::create_dir_all(&zone).unwrap();
    write(&zone.join("name"), "package-0\n");
    write(&zone.join("max_energy_range_uj"), "262143328850\n");
    write(&zone.join("energy_uj"), "0\n");
    let file = |name: &str| project.path().join(name);
    let setup =
        config::read(&WorkTree, &file("perfgate.toml"), Some(&file("thresholds.toml"))).unwrap();
    let prepared = session::prepare(setup, project.path()).unwrap();
    let mut journal = Journal::create(&file("session"), &prepared.header.session).unwrap();
    let stop = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| burn(&zone.join("energy_uj"), &stop));
        let program = env!("CARGO_BIN_EXE_perfgate").into();
        let ended = session::run(
            &prepared,
            &mut journal,
            program,
            &Interrupt::default(),
            &mut Nobody,
            None,
        );
        stop.store(true, Ordering::Relaxed);
        ended
    });
    let Ended::Complete(part) = ended.unwrap() else { panic!("nobody interrupted it") };
    let setup = &prepared.setup;
    let results = session::judged(vec![*part], setup, &[], &Stores::default());
    let part = &results.parts[0];
    assert_eq!(part.header.environment.energy.to_string(), "RAPL package-0");
    for verdict in &results.judgement.as_ref().unwrap().verdicts {
        assert!(verdict.verdict.decided(), "{verdict:?}");
        assert_ne!(verdict.verdict, VerdictKind::Regressed);
    }
    let value = |id: &str| {
        let metric = Metric::from_id(id).unwrap();
        let found = results.summaries["other"].iter().find(|summary| summary.metric == metric);
        found.unwrap().value.unwrap()
    };
    assert!(value("energy_per_token") > 0.0);
    assert!(value("tokens_per_second_per_watt") > 0.0);
    // The report's figures are those of the raw samples: joules over tokens, by round.
    let by_round: Vec<f64> = part
        .rounds
        .iter()
        .map(|round| {
            let timed =
                round.requests.iter().filter(|r| r.phase == Phase::Timed && r.variant == "other");
            let (mut joules, mut tokens) = (0.0, 0.0);
            for request in timed {
                joules += request.energy_uj.unwrap() as f64 * 1e-6;
                tokens += request.tokens.len() as f64;
            }
            joules / tokens
        })
        .collect();
    let mean = by_round.iter().sum::<f64>() / by_round.len() as f64;
    assert!((value("energy_per_token") / mean - 1.0).abs() < 1e-12);
}
