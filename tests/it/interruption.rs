//! What is left when someone stops perfgate: no process, and every sample.

use crate::support::{Project, alive, await_death, finished, scripted, signal};
use perfgate::record::Entry;
use std::process::Child;

/// A session whose second round hangs in its first timed request, for longer than the test lasts.
fn hanging() -> Project {
    let variants = "[variants.base]\nengine = \"scripted\"\n\
                    [variants.other]\nengine = \"scripted\"\n\
                    script = { faults = [{ kind = \"hang\", request = 5 }] }\n";
    let config = scripted(3, variants).replace("700ms", "10min");
    Project::new(&config, "[rules]\nlatency = \"5%\"\n")
}

/// Starts a check and waits for its first hang; returns it with its workers' process ids.
fn started(project: &Project) -> (Child, Vec<u32>) {
    let child = project.command(&["check"]).spawn().unwrap();
    let pids = project.await_journal(|entries| {
        let timed = entries.iter().filter(|e| matches!(e, Entry::Request(_))).count();
        let pids: Vec<u32> = entries
            .iter()
            .filter_map(|e| if let Entry::Spawn { pid, .. } = e { Some(*pid) } else { None })
            .collect();
        // Four warm-ups and two tasks of both; the third hangs.
        (timed >= 8 && pids.len() == 2).then_some(pids)
    });
    (child, pids)
}

#[test]
fn ctrl_c_ends_the_children_and_keeps_the_samples() {
    let project = hanging();
    let (child, pids) = started(&project);
    assert!(pids.iter().all(|pid| alive(*pid)));
    signal(child.id(), rustix::process::Signal::INT);
    let run = finished(child.wait_with_output().unwrap());
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("interrupted after 0 of 3 rounds"), "{}", run.stderr);
    assert!(run.stderr.contains("the samples so far are in"), "{}", run.stderr);
    assert!(pids.iter().all(|pid| !alive(*pid)), "no worker is left");
    let journal = project.journal();
    assert!(matches!(journal.last(), Some(Entry::SessionEnd { rounds: 0, interrupted: true })));
    let requests = journal.iter().filter(|e| matches!(e, Entry::Request(_))).count();
    assert!(requests >= 8, "{requests} samples are kept");
    assert!(journal.iter().any(|e| matches!(e, Entry::RoundEnd { complete: false, .. })));
}

#[test]
fn workers_die_with_a_killed_parent() {
    let project = hanging();
    let (mut child, pids) = started(&project);
    signal(child.id(), rustix::process::Signal::KILL);
    child.wait().unwrap();
    for pid in pids {
        await_death(pid);
    }
    assert!(project.journal().len() > 8, "what was written stays readable");
}
