//! Finding the commit that broke a rule, in real repositories with the scripted engine.

use crate::support::Project;

const RULES: &str = "[rules]\nlatency = \"5%\"\n";

fn config(token_ms: f64) -> String {
    format!(
        "reference = \"fp16\"\n[workload]\ntasks = \"tasks.jsonl\"\ngen_tokens = 5\n[session]\nrounds = 4\n\
         [variants.fp16]\nengine = \"scripted\"\nscript = {{ token_ms = 5.0, jitter = 0.001 }}\n\
         [variants.int8]\nengine = \"scripted\"\nscript = {{ token_ms = {token_ms:.2}, jitter = 0.001 }}\n"
    )
}

/// Nine commits after the first, of which the sixth makes int8 slower; every other one leaves it as it is.
fn broken_at_six() -> (Project, Vec<String>) {
    let project = Project::new(&config(5.0), RULES);
    project.make_repository();
    let mut ids = vec![project.git(&["rev-parse", "HEAD"])];
    for number in 1..=9 {
        let token_ms = if number < 6 { 5.0 } else { 6.0 };
        let noise = f64::from(number % 2) * 0.02;
        project.write("perfgate.toml", &config(token_ms + noise));
        project.write("notes.txt", &format!("{number}"));
        ids.push(project.commit(&format!("change {number}")));
    }
    (project, ids)
}

#[test]
fn the_commit_that_broke_a_rule_is_found() {
    let (project, ids) = broken_at_six();
    let run = project.run(&["bisect", &ids[0], "HEAD", "latency"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let found = format!("FOUND: {} broke 'latency': change 6", &ids[6][..12]);
    assert!(run.stdout.contains(&found), "{}", run.stdout);
    assert!(run.stdout.contains("the same set-up"), "{}", run.stdout);
    let steps = ids.iter().filter(|id| run.stdout.contains(&format!(" {} ", &id[..12]))).count();
    assert!(steps <= 5, "halving needs four steps of nine and the bad one: {}", run.stdout);
    let sessions = std::fs::read_dir(project.path().join(".perfgate/sessions")).unwrap().count();
    assert!(sessions < steps, "what was measured before is not measured again");
}

#[test]
fn commits_that_cannot_be_tried_are_passed_over() {
    let (project, ids) = broken_at_six();
    // A branch that breaks the file itself where the search would look first, and mends it later.
    project.git(&["checkout", "-qb", "bent", &ids[3]]);
    let mut line = Vec::new();
    for number in 4..=7 {
        let text = if number < 6 { "no toml at all".to_string() } else { config(6.0) };
        project.write("perfgate.toml", &text);
        project.write("notes.txt", &format!("bent {number}"));
        line.push(project.commit(&format!("bent {number}")));
    }
    let run = project.run(&["bisect", &ids[0], "bent", "latency"]);
    // The file has to be readable now, and is.
    assert_eq!(run.code, 3, "{}{}", run.stdout, run.stderr);
    for id in &line[..3] {
        assert!(run.stdout.contains(&id[..12]), "{}", run.stdout);
    }
    assert!(run.stdout.contains("one of them broke 'latency'"), "{}", run.stdout);
    assert!(run.stdout.contains("is no TOML"), "{}", run.stdout);
}

#[test]
fn what_cannot_be_searched_says_why() {
    let (project, ids) = broken_at_six();
    for (arguments, said) in [
        (["bisect", "HEAD", &ids[0], "latency"], "is no ancestor of"),
        (["bisect", &ids[0], "HEAD", "latensy"], "did you mean 'latency'?"),
        (["bisect", &ids[0], &ids[4], "latency"], "is not shown to be broken at"),
        (["bisect", "no-such", "HEAD", "latency"], "git knows no 'no-such' here"),
    ] {
        let run = project.run(&arguments);
        assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
}
