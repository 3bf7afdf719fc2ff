//! Owns the making of a [`Report`] from results: choosing, ordering and wording, no arithmetic on
//! samples.

use super::{Report, RuleGroup, RuleRow, VariantTable, words};
use crate::record::{
    Against, Failure, FailureClass, Header, Phase, Request, Results, Severity, Verdict, VerdictKind,
};
use crate::verdict::{Outcome, outcome};
use std::collections::BTreeMap;

/// Builds the report of a session.
pub fn build(results: &Results) -> Report {
    let outcome = outcome(&results.verdicts, &results.policies);
    Report {
        session: results.header.session.clone(),
        outcome,
        headline: headline(outcome, &results.verdicts),
        groups: groups(&results.verdicts),
        variants: variant_table(results),
        failures: failures(results),
        warnings: warnings(&results.header),
        method: method(results),
        environment: environment(results),
    }
}

fn gating(verdicts: &[Verdict]) -> impl Iterator<Item = &Verdict> {
    verdicts.iter().filter(|verdict| verdict.rule.severity == Severity::Gate)
}

fn headline(outcome: Outcome, verdicts: &[Verdict]) -> String {
    let all = gating(verdicts).count();
    let of = |kind: VerdictKind| gating(verdicts).filter(move |v| v.verdict == kind);
    let undecided: Vec<&str> = gating(verdicts)
        .filter(|verdict| !verdict.verdict.decided())
        .map(|verdict| verdict.rule.id.as_str())
        .collect();
    let rules = |count: usize| if count == 1 { "rule" } else { "rules" };
    match outcome {
        Outcome::Regressed => {
            let broken: Vec<String> = of(VerdictKind::Regressed)
                .map(|v| format!("{}: {}", v.rule.variant, words::broken(v)))
                .collect();
            let count = broken.len();
            format!(
                "REGRESSION: {count} of {all} gating {} broken. {}",
                rules(all),
                broken.join("; ")
            )
        }
        Outcome::Invalid => {
            let ids: Vec<&str> = of(VerdictKind::Invalid).map(|v| v.rule.id.as_str()).collect();
            format!("INVALID: {} could not be judged; see the reasons below", ids.join(", "))
        }
        Outcome::Blocked => {
            format!(
                "BLOCKED: too little evidence for {}, which must be shown",
                undecided.join(", ")
            )
        }
        Outcome::Undecided => "UNDECIDED: no gating rule could be decided".to_string(),
        Outcome::Holds if all == 1 => "PASS: the gating rule holds".to_string(),
        Outcome::Holds if undecided.is_empty() => {
            format!("PASS: all {all} gating {} hold", rules(all))
        }
        Outcome::Holds => {
            let decided = all - undecided.len();
            let verb = if decided == 1 { "holds" } else { "hold" };
            format!(
                "PASS: {decided} of {all} gating {} {verb}; not decided, and not blocking: {}",
                rules(all),
                undecided.join(", ")
            )
        }
    }
}

fn groups(verdicts: &[Verdict]) -> Vec<RuleGroup> {
    let mut groups: Vec<RuleGroup> = Vec::new();
    for verdict in verdicts {
        let rule = &verdict.rule;
        let (base_title, other) = match &rule.against {
            Against::Variant(other) => (Some(other.clone()), format!("against {other}")),
            Against::Absolute => (None, "against fixed limits".to_string()),
            Against::Baseline { relative_to } => {
                let ratio = relative_to.as_ref().map(|other| format!("relative to {other}, "));
                let text = format!("{}against the baseline", ratio.unwrap_or_default());
                (Some("baseline".to_string()), text)
            }
        };
        let aside = if rule.severity == Severity::Inform { ", for information" } else { "" };
        let title = format!("{} {other}{aside}", rule.variant);
        let row = row(verdict);
        match groups.iter_mut().find(|group| group.title == title) {
            Some(group) => group.rows.push(row),
            None => groups.push(RuleGroup {
                title,
                base_title,
                now_title: rule.variant.clone(),
                rows: vec![row],
            }),
        }
    }
    groups
}

fn row(verdict: &Verdict) -> RuleRow {
    let rule = &verdict.rule;
    let unit = rule.unit();
    let value = |value: Option<f64>| value.map_or("-".to_string(), |value| unit.format(value));
    RuleRow {
        id: rule.id.clone(),
        severity: rule.severity,
        what: words::metric(rule.metric, rule.statistic),
        base: value(verdict.base),
        now: value(verdict.now),
        change: words::change(verdict),
        interval: words::interval(verdict),
        limit: words::limit(rule),
        verdict: verdict.verdict,
        reason: verdict.reason.clone(),
    }
}

fn variant_table(results: &Results) -> VariantTable {
    let plan = &results.header.plan;
    let mark = |name: &String| {
        if *name == plan.reference { format!("{name} (reference)") } else { name.clone() }
    };
    let mut rows = Vec::new();
    let mut notes: Vec<String> = Vec::new();
    let first = plan.variants.first().and_then(|name| results.summaries.get(name));
    for (index, summary) in first.into_iter().flatten().enumerate() {
        let title = words::metric(summary.metric, summary.statistic);
        let mut cells = Vec::new();
        for name in &plan.variants {
            let summary = &results.summaries[name][index];
            match (&summary.value, &summary.unavailable) {
                (Some(value), _) => {
                    cells.push(summary.metric.unit(summary.statistic).format(*value));
                }
                (None, why) => {
                    cells.push("not available".to_string());
                    let why = why.clone().unwrap_or_default();
                    let note = format!("{title}: not available, because {why}");
                    if !notes.contains(&note) {
                        notes.push(note);
                    }
                }
            }
        }
        rows.push((title, cells));
    }
    VariantTable { columns: plan.variants.iter().map(mark).collect(), rows, notes }
}

/// Failed requests and starts by variant and class, with the first message of each.
fn failures(results: &Results) -> Vec<String> {
    let complete = || results.rounds.iter().filter(|round| round.complete);
    let requests = complete().flat_map(|round| &round.requests).filter_map(|request| {
        Some((request.variant.as_str(), phase(request), request.failure.as_ref()?))
    });
    let loads = complete()
        .flat_map(|round| &round.workers)
        .filter(|worker| worker.load_ns.is_none())
        .filter_map(|worker| Some((worker.variant.as_str(), "loads", worker.failure.as_ref()?)));
    let mut seen: BTreeMap<(&str, &str, FailureClass), (usize, &Failure)> = BTreeMap::new();
    let answers = results.answers.iter().filter_map(|answer| {
        Some((answer.variant.as_str(), "graded tasks", answer.failure.as_ref()?))
    });
    for (variant, what, failure) in requests.chain(loads).chain(answers) {
        seen.entry((variant, what, failure.class)).or_insert((0, failure)).0 += 1;
    }
    seen.into_iter()
        .map(|((variant, what, class), (count, first))| {
            format!(
                "{variant}: {count} {what} failed ({}), the first: {}",
                class.title(),
                first.message
            )
        })
        .collect()
}

fn phase(request: &Request) -> &'static str {
    match request.phase {
        Phase::Timed => "requests",
        Phase::ColdStart | Phase::Warmup => "warm-up requests",
    }
}

fn warnings(header: &Header) -> Vec<String> {
    let mut warnings = Vec::new();
    let (rounds, variants) = (header.plan.rounds as usize, header.plan.variants.len());
    if !rounds.is_multiple_of(variants) {
        warnings.push(format!(
            "{rounds} rounds do not balance the order in which {variants} variants are started; \
             a multiple of {variants} does"
        ));
    }
    for (name, variant) in &header.variants {
        for switch in &variant.test_switches {
            warnings.push(format!("test switch: '{name}' is {switch}"));
        }
        if variant.engine == "scripted" {
            warnings.push(format!("'{name}' is scripted: its figures are made up, for tests"));
        }
        let usable = header.environment.machine.usable_cpus;
        if variant.threads > usable {
            warnings.push(format!(
                "'{name}' asks for {} threads, and {usable} CPUs are usable",
                variant.threads
            ));
        }
    }
    warnings
}

fn method(results: &Results) -> Vec<String> {
    let plan = &results.header.plan;
    let complete = results.rounds.iter().filter(|round| round.complete).count();
    let lengths = match plan.prompt_tokens {
        Some(prompt) => format!("{prompt} tokens in"),
        None => "prompts of their own lengths in".to_string(),
    };
    let mut lines = vec![
        format!(
            "{complete} rounds of {} requests for each variant, in lockstep, by fresh processes; \
             {lengths}, {} out, {}; {} warm-up requests each, not counted",
            plan.tasks.len(),
            plan.gen_tokens,
            plan.sampling,
            plan.warmup
        ),
        format!(
            "A gating rule is broken, or holds, when its whole interval lies beyond, or within, its \
             limit: Student's t over rounds (exact binomial for failures), at levels that keep \
             the chance of any false alarm of the gate under {}%",
            results.false_alarms * 100.0
        ),
    ];
    if let Some(quality) = &plan.quality {
        let all = results.answers.len();
        let cached = results.answers.iter().filter(|answer| answer.cached).count();
        lines.push(format!(
            "{} graded tasks by {}, at most {} tokens each, {}; {cached} of {all} answers from \
             earlier sessions with the same model, engine and processor kind; paired by task, \
             Tango's score interval",
            quality.tasks.len(),
            quality.variants.join(", "),
            quality.max_tokens,
            plan.sampling
        ));
    }
    if results.verdicts.iter().any(|v| matches!(v.rule.against, Against::Baseline { .. })) {
        lines.push(format!(
            "The baseline: {} stored sessions; a value of this one is held against the spread \
             between theirs (prediction interval)",
            results.baseline.len()
        ));
    }
    lines
}

fn environment(results: &Results) -> Vec<(String, String)> {
    let header = &results.header;
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| lines.push((name.to_string(), value));
    let provenance = &header.provenance;
    add("perfgate", provenance.perfgate.clone());
    add("session", format!("{}, {} to {}", header.session, header.started, results.ended));
    add("commit", commit(header));
    add("machine", header.environment.machine.key());
    add("kernel", header.environment.kernel.clone());
    add("governor", header.environment.governor.to_string());
    add("throttling", header.environment.throttling.to_string());
    add("workload", format!("sha256 {}", &header.plan.workload_sha256[..16]));
    for name in &header.plan.variants {
        let variant = &header.variants[name];
        let mut parts = vec![variant.engine.clone()];
        let engine = results
            .rounds
            .iter()
            .flat_map(|round| &round.workers)
            .find(|worker| worker.variant == *name && worker.engine.is_some())
            .and_then(|worker| worker.engine.as_ref());
        if let Some(engine) = engine {
            parts[0] = format!("{} {}", engine.engine, engine.version);
        }
        parts.push(format!("{} threads", variant.threads));
        parts.extend(variant.options.iter().map(|(key, value)| format!("{key} {value}")));
        parts.extend(
            engine.iter().flat_map(|e| &e.properties).map(|(key, value)| format!("{key}={value}")),
        );
        parts.push(format!("model {} sha256 {}", variant.model, &variant.model_sha256[..16]));
        add(name, parts.join(", "));
    }
    lines
}

fn commit(header: &Header) -> String {
    let provenance = &header.provenance;
    match (&provenance.git, &provenance.git_unavailable) {
        (Some(git), _) => {
            let state = if git.dirty() {
                format!("{} modified, {} untracked files", git.modified, git.untracked)
            } else {
                "clean".to_string()
            };
            let branch = git.branch.as_deref().unwrap_or("detached");
            format!("{} on {branch}, {state}", &git.commit[..12])
        }
        (None, Some(why)) => format!("not available: {why}"),
        (None, None) => "not available".to_string(),
    }
}
