//! Owns the making of a [`Report`] from results: choosing, ordering and wording, no arithmetic on
//! samples.

use super::{
    Report, RuleGroup, RuleRow, Section, SectionKind, VariantCell, VariantRow, VariantTable, words,
};
use super::{
    charts, clean, effective, energy, explanation, fidelity, figures, load, notices,
    recommendation, reproduce, rows, setup, tasks,
};
use crate::hash;
use crate::record::{
    self, Against, Authority, Evidence, Failure, FailureClass, Header, Judgement, Part, Phase,
    Request, Results, Severity, Summary, VariantRecord, Verdict, VerdictKind,
};
use crate::session;
use crate::verdict::{
    HeavyLoad, Outcome, cold_page_cache, deviations, deviations_under_load, heavy_loads, outcome,
    stalls,
};
use crate::workload::CHAT_TEMPLATE;
use std::collections::{BTreeMap, BTreeSet};

/// Builds the report of what was measured.
pub fn build(results: &Results) -> Report {
    let judgement = results.judgement.as_ref();
    let verdicts: &[Verdict] = judgement.map_or(&[], |judgement| &judgement.verdicts);
    let outcome = judgement.map(|j| outcome(&j.verdicts, &j.policies));
    let (variants, details) = match results.parts.iter().all(|part| part.rounds.is_empty()) {
        true => (VariantTable::default(), VariantTable::default()),
        false => variant_tables(results),
    };
    let flips = tasks::flipped(results);
    let (load, load_details) = load::grids(results);
    let charts = charts::of_results(results, &flips);
    let mut report = Report {
        sessions: results.parts.iter().map(|part| part.header.session.clone()).collect(),
        outcome,
        headline: match outcome {
            Some(outcome) => headline(outcome, verdicts),
            None => format!(
                "MEASURED: {}; not judged (`perfgate check --results` applies the rules)",
                results.variants.join(", ")
            ),
        },
        in_doubt: outcome == Some(Outcome::Holds) && in_doubt(verdicts),
        notices: notices::of_results(results),
        authority: judgement.map_or_else(Vec::new, |j| authority(&j.authority, outcome)),
        policy: judgement.map_or_else(Vec::new, |judgement| judgement.authority.changes.clone()),
        rules: figures::rules(results),
        figures: figures::figures(results),
        sections: sections(verdicts),
        reproduce: reproduce::commands(results),
        variants,
        details,
        tasks: tasks::tables(results),
        fidelity: fidelity::grids(results),
        why: results.parts.iter().flat_map(explanation::brief).collect(),
        recommended: recommendation::of_results(results),
        load,
        load_details,
        load_figures: load::figures(results),
        flips,
        failures: failures(results),
        warnings: warnings(results),
        method: method(results),
        environment: environment(results),
        charts,
    };
    clean::clean(&mut report);
    report
}

/// Whose rules it was judged by.
fn authority(authority: &Authority, outcome: Option<Outcome>) -> Vec<String> {
    let how = &authority.how;
    let judged_by = match &authority.base {
        Some(base) => Some(format!("Judged by the base {}, {how}", hash::short(base, 12))),
        None if how.is_empty() => None,
        None => Some(format!("Judged by {how}")),
    };
    let regressed = outcome == Some(Outcome::Regressed) && authority.base.is_some();
    let wanted = regressed.then(|| {
        "If a regression is wanted, a change of its own grants it on the target branch first: [[waivers]] in \
         thresholds.toml"
            .to_string()
    });
    judged_by.into_iter().chain(authority.notes.clone()).chain(wanted).collect()
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
            let mut broken: Vec<String> = of(VerdictKind::Regressed).map(words::broken).collect();
            let count = broken.len();
            broken.dedup();
            let text = format!("REGRESSION: {count} of {all} gating {} broken. ", rules(all));
            text + &some(&broken, "; ")
        }
        Outcome::Invalid => {
            let ids: Vec<&str> = of(VerdictKind::Invalid).map(|v| v.rule.id.as_str()).collect();
            format!("INVALID: {} could not be judged; see the reasons below", some(&ids, ", "))
        }
        Outcome::Blocked => {
            let names = some(&undecided, ", ");
            format!("BLOCKED: too little evidence for {names}, which must be shown")
        }
        Outcome::Waived => {
            let waived: Vec<String> = of(VerdictKind::Waived).map(words::broken).collect();
            format!("PASSED BY WAIVER: {}", some(&waived, "; "))
        }
        Outcome::Undecided => "UNDECIDED: no gating rule could be decided".to_string(),
        Outcome::Holds if in_doubt(verdicts) => not_decided(verdicts),
        Outcome::Holds if of(VerdictKind::Unchanged).count() == all => {
            "PASS: nothing that is judged has changed".to_string()
        }
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
                some(&undecided, ", ")
            )
        }
    }
}

fn in_doubt(verdicts: &[Verdict]) -> bool {
    gating(verdicts).any(words::seems_broken)
}

/// What does not block and is not to be called a pass: the estimate of a gating rule is beyond its limit, and too little
/// was measured to prove it.
fn not_decided(verdicts: &[Verdict]) -> String {
    let all = gating(verdicts).count();
    let undecided: Vec<&Verdict> =
        gating(verdicts).filter(|verdict| !verdict.verdict.decided()).collect();
    let ids = |seems_broken: bool| -> Vec<&str> {
        let those = undecided.iter().filter(|verdict| words::seems_broken(verdict) == seems_broken);
        those.map(|verdict| verdict.rule.id.as_str()).collect()
    };
    let (beyond, others) = (ids(true), ids(false));
    let (estimate, it) = if beyond.len() == 1 { ("estimate", "is") } else { ("estimates", "are") };
    let others = match others.is_empty() {
        true => String::new(),
        false => format!("; not decided either: {}", some(&others, ", ")),
    };
    format!(
        "NOT DECIDED: the {estimate} of {} {it} beyond the limit, without proof; {} of {all} gating rules \
         hold{others}",
        some(&beyond, ", "),
        all - undecided.len()
    )
}

/// The first few of a list, and how many more there are: a headline is one sentence.
pub(super) fn some<T: AsRef<str>>(list: &[T], separator: &str) -> String {
    const MOST: usize = 4;
    let first: Vec<&str> = list.iter().take(MOST).map(AsRef::as_ref).collect();
    let text = first.join(separator);
    match list.len().saturating_sub(MOST) {
        0 => text,
        more => format!("{text}{separator}and {more} more"),
    }
}

fn kind(verdict: &Verdict) -> SectionKind {
    match (verdict.rule.severity, verdict.verdict) {
        (_, VerdictKind::Waived) => SectionKind::Waived,
        (_, kind) if kind.holds() => SectionKind::Holding,
        (Severity::Inform, _) => SectionKind::Informing,
        (_, VerdictKind::Regressed | VerdictKind::Invalid) => SectionKind::Broken,
        _ => SectionKind::Undecided,
    }
}

fn sections(verdicts: &[Verdict]) -> Vec<Section> {
    let section = |(wanted, title): (SectionKind, &str)| {
        let of: Vec<&Verdict> = verdicts.iter().filter(|v| kind(v) == wanted).collect();
        let next = if wanted == SectionKind::Holding { Vec::new() } else { next_steps(&of) };
        (!of.is_empty()).then(|| Section {
            kind: wanted,
            title: title.to_string(),
            groups: groups(&of),
            next,
        })
    };
    let order = [
        (SectionKind::Broken, "Broken"),
        (SectionKind::Waived, "Passed by waiver"),
        (SectionKind::Undecided, "Undecided"),
        (SectionKind::Informing, "For information"),
        (SectionKind::Holding, "Holding"),
    ];
    order.into_iter().filter_map(section).collect()
}

/// What to do about some rules, each remedy once.
fn next_steps(verdicts: &[&Verdict]) -> Vec<String> {
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    for verdict in verdicts {
        let Some(step) = words::next_step(verdict) else { continue };
        let id = match verdict.verdict {
            VerdictKind::Regressed => format!("{} (line {})", verdict.rule.id, verdict.rule.line),
            _ => verdict.rule.id.clone(),
        };
        match steps.iter_mut().find(|(known, _)| *known == step) {
            Some((_, ids)) => ids.push(id),
            None => steps.push((step, vec![id])),
        }
    }
    steps.into_iter().map(|(step, ids)| format!("{}: {step}", some(&ids, ", "))).collect()
}

fn groups(verdicts: &[&Verdict]) -> Vec<RuleGroup> {
    let mut groups: Vec<RuleGroup> = Vec::new();
    for verdict in verdicts {
        let rule = &verdict.rule;
        // The section of rules that only inform says so itself.
        let informs = kind(verdict) == SectionKind::Holding && rule.severity == Severity::Inform;
        let aside = if informs { ", for information" } else { "" };
        let title = format!("{}{aside}", words::group(rule));
        let row = row(verdict);
        match groups.iter_mut().find(|group| group.title == title) {
            Some(group) => group.rows.push(row),
            None => groups.push(RuleGroup {
                title,
                base_title: words::other_side(rule),
                now_title: rule.variant.clone(),
                rows: vec![row],
            }),
        }
    }
    groups.iter_mut().for_each(in_one_row);
    groups
}

/// Rules that all say of one thing that it is unchanged say it once.
fn in_one_row(group: &mut RuleGroup) {
    let unchanged = |row: &RuleRow| row.verdict == VerdictKind::Unchanged;
    let count = group.rows.len();
    if count > 1 && group.rows.iter().all(unchanged) {
        let ids: Vec<String> = group.rows.iter().map(|row| row.id.clone()).collect();
        group.rows.truncate(1);
        group.rows[0].id = some(&ids, ", ");
        group.rows[0].what = format!("{count} rules");
        group.rows[0].limit = "-".to_string();
    }
}

fn row(verdict: &Verdict) -> RuleRow {
    let rule = &verdict.rule;
    let unit = rule.unit();
    let value = |value: Option<f64>| value.map_or("-".to_string(), |value| unit.format(value));
    RuleRow {
        id: rule.id.clone(),
        line: rule.line,
        severity: rule.severity,
        what: words::rule(rule),
        base: value(verdict.base),
        now: value(verdict.now),
        change: words::change(verdict),
        interval: words::interval(verdict),
        limit: words::limit(rule),
        noise: words::noise(verdict),
        detects: words::detects(verdict),
        verdict: verdict.verdict,
        reason: verdict.reason.clone(),
    }
}

/// The table of variants and that of more details.
fn variant_tables(results: &Results) -> (VariantTable, VariantTable) {
    let mark = |name: &String| {
        if *name == results.reference { format!("{name} (ref)") } else { name.clone() }
    };
    let columns: Vec<String> = results.variants.iter().map(mark).collect();
    let mut tables = [VariantTable { columns, ..VariantTable::default() }, VariantTable::default()];
    tables[1].columns = tables[0].columns.clone();
    let first = results.variants.first().and_then(|name| results.summaries.get(name));
    for (index, summary) in first.into_iter().flatten().enumerate() {
        let by_variant: Vec<(&str, &Summary)> = results
            .variants
            .iter()
            .filter_map(|name| Some((name.as_str(), results.summaries.get(name)?.get(index)?)))
            .collect();
        let main = summary.metric.info().table.contains(&summary.statistic);
        let table = &mut tables[usize::from(!main)];
        for note in missing(&by_variant) {
            if !table.notes.contains(&note) {
                table.notes.push(note);
            }
        }
        table.rows.push(variant_row(results, &by_variant));
    }
    let heavy = results.parts.iter().flat_map(heavy_loads);
    let sentence = |load: HeavyLoad| words::heavy_load(&load.variant, load.peak, load.steady);
    tables[0].notes.extend(heavy.map(sentence));
    tables.into()
}

fn variant_row(results: &Results, by_variant: &[(&str, &Summary)]) -> VariantRow {
    let (_, first) = by_variant[0];
    let info = first.metric.info();
    let unit = first.metric.unit(first.statistic);
    let of_reference = by_variant
        .iter()
        .find(|(name, _)| *name == results.reference)
        .and_then(|(_, summary)| summary.value)
        .filter(|_| info.shown_as_ratio);
    let cell = |(_, summary): &(&str, &Summary)| VariantCell {
        text: match (summary.value, of_reference) {
            (Some(value), Some(reference)) => {
                format!("{}, {:.2}×", unit.format(value), value / reference)
            }
            (Some(value), None) => unit.format(value),
            (None, _) => "not available".to_string(),
        },
        differs: words::differs(summary),
    };
    let notes: Vec<(&str, String)> = by_variant
        .iter()
        .filter_map(|(name, summary)| Some((*name, words::note(summary)?)))
        .collect();
    // With one candidate its name says nothing.
    let named = results.variants.len() > 2;
    let change = |(name, note): (&str, String)| match named {
        true => format!("{name} {note}"),
        false => note,
    };
    VariantRow {
        what: words::metric(first.metric, first.statistic),
        cells: by_variant.iter().map(cell).collect(),
        changes: notes.into_iter().map(change).collect(),
    }
}

/// Why values are missing.
fn missing(by_variant: &[(&str, &Summary)]) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, summary) in by_variant {
        let Some(why) = &summary.unavailable else { continue };
        match by_reason.iter_mut().find(|(known, _)| known == why) {
            Some((_, names)) => names.push(name),
            None => by_reason.push((why, vec![name])),
        }
    }
    let text = |(why, names): (&str, Vec<&str>)| {
        let (_, first) = by_variant[0];
        let what = words::metric(first.metric, first.statistic);
        match names.len() == by_variant.len() {
            true => format!("{what}: not available, because {why}"),
            false => format!("{what} of {}: not available, because {why}", names.join(", ")),
        }
    };
    by_reason.into_iter().map(text).collect()
}

/// Failed requests and starts by variant and class, with the first message of each.
fn failures(results: &Results) -> Vec<String> {
    let complete = || results.parts.iter().flat_map(Part::complete);
    let requests = complete().flat_map(|round| &round.requests).filter_map(|request| {
        Some((request.variant.as_str(), phase(request), request.failure.as_ref()?))
    });
    let loads = complete()
        .flat_map(|round| &round.workers)
        .filter(|worker| worker.load_ns.is_none())
        .filter_map(|worker| Some((worker.variant.as_str(), "loads", worker.failure.as_ref()?)));
    let mut seen: BTreeMap<(&str, &str, FailureClass), (usize, &Failure)> = BTreeMap::new();
    let answers = results.parts.iter().flat_map(|part| &part.answers).filter_map(|answer| {
        Some((answer.variant.as_str(), "graded tasks", answer.failure.as_ref()?))
    });
    let documents = results.parts.iter().flat_map(|part| &part.fidelity).filter_map(|one| {
        let failed = |failure| (one.variant.as_str(), "documents", failure);
        let of_reference = |failure| (one.reference.as_str(), "documents", failure);
        let failure = one.failure.as_ref().map(failed);
        failure.or_else(|| one.reference_failure.as_ref().map(of_reference))
    });
    let under_load = results.parts.iter().flat_map(|part| &part.load).flat_map(|load| {
        let failed = |failure| (load.variant.as_str(), "loads as a whole", failure);
        let requests = load.requests.iter().filter_map(|request| request.failure.as_ref());
        let requests =
            requests.map(|failure| (load.variant.as_str(), "requests under load", failure));
        requests.chain(load.failure.as_ref().map(failed))
    });
    let all = requests.chain(loads).chain(answers).chain(documents).chain(under_load);
    for (variant, what, failure) in all {
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

fn warnings(results: &Results) -> Vec<String> {
    let mut warnings = Vec::new();
    if let [first, .., last] = &results.parts[..] {
        warnings.push(format!(
            "measured in {} sessions, {} to {}: nothing is paired between them, and the spread \
             between sessions is in none of them",
            results.parts.len(),
            first.header.session,
            last.header.session
        ));
    }
    warnings.extend(results.parts.iter().flat_map(of_session));
    warnings
}

fn of_session(part: &Part) -> Vec<String> {
    let header = &part.header;
    let mut warnings = setup::warnings(part);
    warnings.extend(stalls(part).iter().map(words::stall));
    warnings.extend(energy::warnings(part));
    for (variant, tasks) in deviations(part) {
        warnings.push(format!(
            "'{variant}' answered {} of {} timed tasks by other tokens in some rounds than in \
             others, with the same seed: {}",
            tasks.len(),
            header.plan.tasks.len(),
            some(&tasks.into_iter().collect::<Vec<_>>(), ", ")
        ));
    }
    for ((variant, streams), tasks) in deviations_under_load(part) {
        warnings.push(format!(
            "'{variant}' answered {} of {} tasks by other tokens at some times than at others under load by \
             {streams} at once, with the same seed: {}",
            tasks.len(),
            header.plan.tasks.len(),
            some(&tasks.into_iter().collect::<Vec<_>>(), ", ")
        ));
    }
    let (rounds, variants) = (part.complete().len(), header.plan.variants.len());
    if rounds > 0 && !rounds.is_multiple_of(variants.max(1)) {
        warnings.push(format!(
            "{rounds} rounds do not balance the order in which {variants} variants are started; \
             a multiple of {variants} does"
        ));
    }
    for (name, share) in cold_page_cache(part).into_iter().flatten() {
        warnings.push(format!(
            "only {:.0}% of the model of '{name}' were in the page cache before one of its cold starts, which read the \
             rest from the disk: the machine has too little free memory to keep it",
            share * 100.0
        ));
    }
    warnings.extend(effective::warnings(part));
    if let Some(quality) =
        header.plan.quality.as_ref().filter(|quality| !quality.lenient.is_empty())
    {
        warnings.push(format!(
            "{} of {} graded tasks follow the leaderboard's rule for `no_call`: an answer that cannot be read counts as \
             right there, so that damaged syntax raises their accuracy",
            quality.lenient.len(),
            quality.tasks.len()
        ));
    }
    for (name, variant) in &header.variants {
        for switch in &variant.test_switches {
            warnings.push(format!("test switch: '{name}' is {switch}"));
        }
        if variant.engine == "scripted" {
            warnings.push(format!("'{name}' is scripted: its figures are made up, for tests"));
        }
    }
    warnings.extend(session::warnings(header));
    warnings
}

fn method(results: &Results) -> Vec<String> {
    let nothing = |part: &Part| {
        part.rounds.is_empty()
            && part.answers.is_empty()
            && part.fidelity.is_empty()
            && part.load.is_empty()
    };
    if results.parts.iter().all(nothing) {
        let absent = results.parts.iter().flat_map(|part| part.header.plan.absent.values());
        let unknown = absent.filter(|absent| absent.verdict != VerdictKind::Unchanged).count();
        return vec![match unknown {
            0 => "Nothing was measured: both sides of every rule are the same by their content".to_string(),
            _ => "Nothing was measured: what is not the same by its content cannot be told from the base's"
                .to_string(),
        }];
    }
    let timed = results.parts.iter().filter(|part| !part.rounds.is_empty());
    let mut lines: Vec<String> = timed.map(of_rounds).collect();
    lines.extend(results.parts.last().and_then(of_text));
    if let Some(judgement) = &results.judgement {
        lines.push(
            "A gating rule is broken, or holds, when its whole interval lies beyond, or within, its \
             limit: Student's t over rounds (exact binomial for counts). Noise: the standard \
             deviation between rounds. Detects: the smallest true effect that would have been \
             proven broken with a probability of 90%"
                .to_string(),
        );
        lines.extend(results.parts.iter().filter_map(of_looks));
        lines.push(of_error(judgement));
    }
    lines.extend(results.parts.iter().filter_map(energy::method));
    lines.extend(results.parts.iter().filter_map(of_quality));
    lines.extend(results.parts.iter().filter_map(fidelity::method));
    lines.extend(results.parts.iter().flat_map(load::method));
    if let Some(judgement) = &results.judgement {
        lines.extend(of_baseline(judgement));
    }
    lines
}

/// What error was spent on what.
fn of_error(judgement: &Judgement) -> String {
    let mut by_level: Vec<(f64, Vec<&str>)> = Vec::new();
    let mut untested = Vec::new();
    let regression = |verdict: &&Verdict| verdict.rule.evidence == Evidence::Regression;
    for verdict in gating(&judgement.verdicts).filter(regression) {
        let id = verdict.rule.id.as_str();
        let Some(resolution) = &verdict.resolution else {
            untested.push(id);
            continue;
        };
        match by_level.iter_mut().find(|(level, _)| *level == resolution.level) {
            Some((_, ids)) => ids.push(id),
            None => by_level.push((resolution.level, vec![id])),
        }
    }
    let count: usize = by_level.iter().map(|(_, ids)| ids.len()).sum();
    let spent: Vec<String> = by_level
        .iter()
        .map(|(level, ids)| format!("{} for {}", words::level(*level), ids.join(", ")))
        .collect();
    let mut text = format!(
        "The chance of any false alarm of the gate is kept under {}, shared by Holm's procedure over \
         {count} gating rules",
        words::level(judgement.false_alarms)
    );
    if !spent.is_empty() {
        text += &format!(": {}", spent.join("; "));
    }
    if !untested.is_empty() {
        text += &format!(". Nothing was spent on {}, which no test decides", untested.join(", "));
    }
    text
}

/// How a session could end early, and whether it did.
fn of_looks(part: &Part) -> Option<String> {
    let stopping = part.header.plan.stopping.as_ref()?;
    let rounds = part.complete().len();
    let planned = part.header.plan.rounds as usize;
    let looks: Vec<String> = stopping.looks.iter().map(u32::to_string).collect();
    let ended = match rounds < planned {
        true => format!("settled after {rounds} of {planned} rounds"),
        false => format!("all {planned} rounds were run"),
    };
    Some(format!(
        "{ended}; looks after rounds {}, planned before the first, with the error shared out over \
         them in the manner of {}; it ends once these are decided: {}",
        looks.join(", "),
        stopping.spending.title(),
        stopping.drives.join(", ")
    ))
}

fn of_rounds(part: &Part) -> String {
    let plan = &part.header.plan;
    let lengths = match plan.prompt_tokens {
        Some(prompt) => format!("{prompt} tokens in"),
        None => "prompts of their own lengths in".to_string(),
    };
    let resumed = match &part.resumed[..] {
        [] => String::new(),
        times => format!("; interrupted, and resumed at {}", times.join(", ")),
    };
    format!(
        "{}: {} rounds of {} requests each, in lockstep, by fresh processes; {lengths}, {} out, {}; \
         {} warm-up requests each, not counted; cold starts {}{resumed}",
        plan.variants.join(", "),
        part.complete().len(),
        plan.tasks.len(),
        plan.gen_tokens,
        plan.sampling,
        plan.warmup,
        match cold_page_cache(part) {
            None => "by the machine's page cache as it was",
            Some(cold) if cold.is_empty() => "with the models in the page cache",
            Some(_) => "partly without the models in the page cache (see the warnings)",
        }
    )
}

/// Whether the prompts of rounds and graded tasks were put into chat templates.
fn of_text(part: &Part) -> Option<String> {
    let mut by_text: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let real = part.header.variants.iter().filter(|(_, variant)| variant.engine != "scripted");
    let sum = |variant: &VariantRecord| {
        let content = variant.identity.as_ref().map(|identity| &identity.content)?;
        Some(hash::short(content.get(record::CHAT_TEMPLATE)?, 12).to_string())
    };
    // Templates of one name may be several.
    let sums: BTreeSet<Option<String>> = real.clone().map(|(_, variant)| sum(variant)).collect();
    for (name, variant) in real {
        let date = variant.options.get("chat_date");
        let date = date.map_or(String::new(), |date| format!(", which is told that it is {date}"));
        let text = match variant.options.get(CHAT_TEMPLATE) {
            Some(template) => {
                let sum = sum(variant).filter(|_| sums.len() > 1);
                let sum = sum.map_or(String::new(), |sum| format!(", sha256 {sum}"));
                format!("in its chat template ({template}{sum}{date})")
            }
            None => "as they stand, without a chat template".to_string(),
        };
        by_text.entry(text).or_default().push(name);
    }
    let of = |(text, names): (&String, &Vec<&str>)| format!("{} {text}", names.join(", "));
    let all: Vec<String> = by_text.iter().map(of).collect();
    (!all.is_empty()).then(|| format!("Prompts, timed and graded: {}", all.join("; ")))
}

fn of_quality(part: &Part) -> Option<String> {
    let plan = &part.header.plan;
    let quality = plan.quality.as_ref().filter(|quality| !quality.variants.is_empty())?;
    let all = part.answers.len();
    let cached = part.answers.iter().filter(|answer| answer.cached).count();
    let of = match (quality.of, &quality.narrowed) {
        (of, _) if of <= quality.tasks.len() => String::new(),
        (of, None) => format!(" (of {of}, the same ones each time)"),
        (of, Some(some)) => format!(" (of {of}, those of {some})"),
    };
    let together = rows::words(part, quality.batch);
    Some(format!(
        "{} graded tasks{of} by {}, at most {} tokens each, {}, {together}; {cached} of {all} answers from \
         earlier sessions with the same model, engine and processor kind; paired by task, \
         an exact test in the order of Tango's score",
        quality.tasks.len(),
        quality.variants.join(", "),
        quality.max_tokens,
        plan.sampling
    ))
}

fn of_baseline(judgement: &Judgement) -> Option<String> {
    let mut all: Vec<String> = Vec::new();
    let of_now =
        |verdict: &Verdict| matches!(verdict.rule.against, Against::Baseline { anchor: None, .. });
    if judgement.verdicts.iter().any(of_now) {
        all.push(format!("{} stored sessions", judgement.baseline.len()));
    }
    all.extend(judgement.anchors.iter().map(|(name, anchor)| {
        let commit = hash::short(&anchor.commit, 12);
        format!("of {name} (commit {commit}) {} stored sessions", anchor.sessions.len())
    }));
    (!all.is_empty()).then(|| {
        format!(
            "The baseline: {}; a value of this one is held against the spread between theirs \
             (prediction interval). A ratio 'relative to' a variant assumes that this variant is as \
             fast as it was: the same model, engine and settings, which are checked, on a machine \
             that treats both alike, which is not",
            all.join(", ")
        )
    })
}

fn environment(results: &Results) -> Vec<(String, String)> {
    results.parts.iter().flat_map(of_part).collect()
}

fn of_part(part: &Part) -> Vec<(String, String)> {
    let header = &part.header;
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| lines.push((name.to_string(), value));
    let provenance = &header.provenance;
    add("perfgate", provenance.perfgate.clone());
    // What needed no measuring has no end.
    let ended = match part.ended.as_str() {
        "" => String::new(),
        ended => format!(" to {ended}"),
    };
    add("session", format!("{}, {}{ended}", header.session, header.started));
    add("commit", commit(header));
    add("machine", header.environment.machine.key());
    add("kernel", header.environment.kernel.clone());
    add("governor", header.environment.governor.to_string());
    add("throttling", energy::throttling(part));
    if let Some(quota) = energy::quota(part) {
        add("CPU quota", quota);
    }
    if let Some(frequency) = energy::frequency(part) {
        add("frequency", frequency);
    }
    add("workload", format!("sha256 {}", hash::short(&header.plan.workload_sha256, 16)));
    for (name, line) in setup::lines(part) {
        add(&name, line);
    }
    for name in &header.plan.variants {
        let Some(variant) = header.variants.get(name) else { continue };
        let mut parts = vec![variant.engine.clone()];
        let engine = part.engine(name);
        if let Some(engine) = engine {
            parts[0] = format!("{} {}", engine.engine, engine.version);
        }
        parts.push(format!("{} threads", variant.threads));
        parts.extend(variant.options.iter().map(|(key, value)| format!("{key} {value}")));
        parts.extend(
            engine.iter().flat_map(|e| &e.properties).map(|(key, value)| format!("{key}={value}")),
        );
        let sum = hash::short(&variant.model_sha256, 16);
        parts.push(format!("model {} sha256 {sum}", variant.model));
        match &variant.identity {
            Some(identity) => parts.extend(identity.words()),
            None => parts.push("tokenizer, templates and environment not recorded".to_string()),
        }
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
            format!("{} on {branch}, {state}", hash::short(&git.commit, 12))
        }
        (None, Some(why)) => format!("not available: {why}"),
        (None, None) => "not available".to_string(),
    }
}
