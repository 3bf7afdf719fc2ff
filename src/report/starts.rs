//! Owns the sheet of measured cold starts: by variant and condition how long they took, in which steps, and with how
//! much memory.

use super::build::some;
use super::clean::clean_sheet;
use super::{Grid, Sheet, words};
use crate::insight::{StartRow, start_rows};
use crate::metric::Unit;
use crate::record::{Condition, PageCache, StartSample, Starts, Taken};
use crate::{stats, verdict};

/// The cold starts of a file, for people.
pub fn of_starts(starts: &Starts) -> Sheet {
    let rows = start_rows(starts);
    let shown = Shown::of(&rows);
    let mut sheet = Sheet {
        headline: headline(starts, &rows),
        warnings: warnings(starts, &rows),
        tables: vec![times(&rows, &shown), steps(&rows, &shown), memory(&rows, &shown)],
        notes: notes(starts, &rows),
        ..Sheet::default()
    };
    clean_sheet(&mut sheet);
    sheet
}

/// The conditions that tell rows apart; the others need no column.
struct Shown {
    page_cache: bool,
    model_cache: bool,
    mmap: bool,
}

impl Shown {
    fn of(rows: &[StartRow]) -> Shown {
        let any = |has: fn(&Condition) -> bool| rows.iter().any(|row| has(&row.condition));
        Shown {
            page_cache: any(|condition| condition.page_cache.is_some()),
            model_cache: any(|condition| condition.model_cache.is_some()),
            mmap: any(|condition| condition.mmap.is_some()),
        }
    }

    fn header(&self, more: &[&str]) -> Vec<String> {
        let columns = [
            ("page cache", self.page_cache),
            ("model cache", self.model_cache),
            ("mmap", self.mmap),
        ];
        let shown = columns.into_iter().filter(|(_, shown)| *shown).map(|(title, _)| title);
        std::iter::once("variant")
            .chain(shown)
            .chain(more.iter().copied())
            .map(str::to_string)
            .collect()
    }

    fn cells(&self, row: &StartRow, more: impl IntoIterator<Item = String>) -> Vec<String> {
        let state = |on: Option<bool>| match on {
            Some(true) => "on".to_string(),
            Some(false) => "off".to_string(),
            None => "-".to_string(),
        };
        let page_cache = row.condition.page_cache.map_or("-", PageCache::id).to_string();
        let columns = [
            (page_cache, self.page_cache),
            (state(row.condition.model_cache), self.model_cache),
            (state(row.condition.mmap), self.mmap),
        ];
        let shown = columns.into_iter().filter(|(_, shown)| *shown).map(|(cell, _)| cell);
        std::iter::once(row.variant.clone()).chain(shown).chain(more).collect()
    }
}

fn headline(starts: &Starts, rows: &[StartRow]) -> String {
    let of_variant = |name: &String| {
        let own = || rows.iter().filter(move |row| row.variant == *name);
        let median = |row: &StartRow| Some((row.cold_start?.value, row.condition));
        let first = own().next().and_then(median);
        let Some((usual, condition)) = first else { return format!("{name} has no first token") };
        let all: Vec<(f64, Condition)> = own().filter_map(median).collect();
        let usual_words = seconds(usual);
        let end = |found: Option<&(f64, Condition)>, word: &str| {
            found.filter(|(_, of)| *of != condition).map(|(value, of)| {
                format!("{word} {} {}", seconds(*value), differing(*of, condition))
            })
        };
        let fastest = end(all.iter().min_by(|a, b| a.0.total_cmp(&b.0)), "fastest");
        let slowest = end(all.iter().max_by(|a, b| a.0.total_cmp(&b.0)), "slowest");
        let aside: Vec<String> = fastest.into_iter().chain(slowest).collect();
        match aside.is_empty() {
            true => format!("{name} {usual_words}"),
            false => format!("{name} {usual_words} ({})", aside.join(", ")),
        }
    };
    let each: Vec<String> = starts.plan.variants.iter().map(of_variant).collect();
    let repeats = starts.plan.repeats;
    format!("COLD START, medians of {repeats}: {}", some(&each, "; "))
}

/// In what a condition is another than the usual.
fn differing(condition: Condition, usual: Condition) -> String {
    let mut words = Vec::new();
    if condition.page_cache != usual.page_cache {
        words.push("the page cache dropped");
    }
    if condition.model_cache != usual.model_cache {
        words.push("a model cache");
    }
    let with =
        if words.is_empty() { String::new() } else { format!("with {}", words.join(" and ")) };
    match condition.mmap == usual.mmap {
        true => with,
        false => format!("{with} without mmap").trim_start().to_string(),
    }
}

fn times(rows: &[StartRow], shown: &Shown) -> Grid {
    let row = |row: &StartRow| {
        let interval = row.cold_start.and_then(|median| median.interval);
        let change = |interval: stats::Interval| words::percent(interval.point.exp_m1());
        let ends = |low: String, high: String| format!("{low} to {high}");
        let cells = [
            row.starts.to_string(),
            optional(row.cold_start.map(|median| median.value), seconds),
            interval.map_or("-".to_string(), |[low, high]| ends(seconds(low), seconds(high))),
            row.change.map_or("-".to_string(), change),
            row.change.map_or("-".to_string(), |interval| {
                let [low, high] =
                    [interval.low, interval.high].map(|end| words::percent(end.exp_m1()));
                ends(low.trim_end_matches('%').to_string(), high)
            }),
        ];
        shown.cells(row, cells)
    };
    Grid {
        title: "Cold start: spawn of a fresh process to its first token".to_string(),
        header: shown.header(&["starts", "median", "95% interval", "change", "95% interval"]),
        rows: rows.iter().map(row).collect(),
    }
}

fn steps(rows: &[StartRow], shown: &Shown) -> Grid {
    let row = |row: &StartRow| {
        let steps = row.steps;
        let spans = [steps.spawn, steps.library, steps.read, steps.compile, steps.first_token];
        shown.cells(row, spans.map(|span| optional(span, seconds)))
    };
    Grid {
        title: "Its steps, medians".to_string(),
        header: shown.header(&["spawn", "load library", "read model", "compile", "first token"]),
        rows: rows.iter().map(row).collect(),
    }
}

fn memory(rows: &[StartRow], shown: &Shown) -> Grid {
    let row = |row: &StartRow| {
        let held = row.memory;
        let sizes = [held.load_peak, held.loaded, held.serving_peak, held.steady];
        let ratio = held.load_peak.zip(held.steady).map(|(peak, steady)| peak / steady);
        let ratio = optional(ratio, |ratio| format!("{ratio:.2}×"));
        shown.cells(row, sizes.map(|size| optional(size, bytes)).into_iter().chain([ratio]))
    };
    Grid {
        title: "Memory, medians".to_string(),
        header: shown.header(&[
            "peak of loading",
            "loaded",
            "peak of serving",
            "steady",
            "peak / steady",
        ]),
        rows: rows.iter().map(row).collect(),
    }
}

fn warnings(starts: &Starts, rows: &[StartRow]) -> Vec<String> {
    let mut warnings = Vec::new();
    if !starts.complete {
        let (done, all) = (starts.samples.len(), crate::session::starts_in(&starts.plan));
        warnings.push(format!("cut short after {done} of {all} starts"));
    }
    for row in rows.iter().filter(|row| row.failed > 0) {
        let why = row.failure.as_deref().unwrap_or("no first token");
        let (name, failed, condition) = (&row.variant, row.failed, in_words(row.condition));
        warnings.push(format!("{failed} starts of '{name}'{condition} failed, the first: {why}"));
    }
    for row in rows.iter().filter(|row| row.is_off()) {
        let share = |share: Option<f64>| optional(share, |share| format!("{:.0}%", share * 100.0));
        let libraries = match row.library_page_cache {
            Some(libraries) => format!(" and {} of its libraries", share(Some(libraries))),
            None => String::new(),
        };
        let what = match row.condition.page_cache {
            Some(PageCache::Dropped) => "up to",
            _ => "as little as",
        };
        warnings.push(format!(
            "the page cache of '{}'{} was not as it says: {what} {} of the model{libraries} were in it before a start",
            row.variant,
            in_words(row.condition),
            share(row.page_cache)
        ));
    }
    for row in rows.iter().filter(|row| row.starts > 0 && row.page_cache.is_none()) {
        if row.condition.page_cache == Some(PageCache::Dropped) {
            warnings.push(format!(
                "whether the files of '{}' were really dropped from the page cache, the system does not tell this user",
                row.variant
            ));
        }
    }
    for (name, variant) in &starts.variants {
        for switch in &variant.test_switches {
            warnings.push(format!("test switch: '{name}' is {switch}"));
        }
        if variant.engine == "scripted" {
            warnings.push(format!("'{name}' is scripted: its figures are made up, for tests"));
        }
    }
    warnings.dedup();
    warnings
}

/// A condition behind a name: ` (dropped, model cache on)`.
fn in_words(condition: Condition) -> String {
    let state = |on: bool| if on { "on" } else { "off" };
    let page_cache =
        condition.page_cache.map(|page_cache| format!("page cache {}", page_cache.id()));
    let model_cache = condition.model_cache.map(|on| format!("model cache {}", state(on)));
    let mmap = condition.mmap.map(|on| format!("mmap {}", state(on)));
    let words: Vec<String> = page_cache.into_iter().chain(model_cache).chain(mmap).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

fn notes(starts: &Starts, rows: &[StartRow]) -> Vec<String> {
    let plan = &starts.plan;
    let mut notes = vec![format!(
        "Fresh processes, one at a time; each of {} repeats goes once through all conditions of all variants, shuffled \
         (seed {}). Intervals of medians are of order statistics. Change: the mean ratio to the variant's first row, \
         paired by repeat, Student's t on logs, adjusted for nothing",
        plan.repeats, plan.seed
    )];
    if rows.iter().any(|row| row.condition.page_cache == Some(PageCache::Dropped)) {
        notes.push(
            "Dropped: the files of the model, of the engine's libraries and of the model cache were dropped from the \
             page cache before the spawn, and mincore(2) was asked how much of them stayed; perfgate itself, which the \
             worker is, stays. On a virtual machine the host may have cached the disk"
                .to_string(),
        );
    }
    notes.extend(fills(starts));
    notes.extend(made(starts));
    notes.extend(heavy(rows));
    notes
}

/// What it took to fill the model caches.
fn fills(starts: &Starts) -> Vec<String> {
    let fill = |sample: &StartSample| {
        let took = sample.run.first_token_ns? as f64 * 1e-9;
        let mmap = match sample.condition.mmap {
            Some(false) => " without mmap",
            _ => "",
        };
        Some(format!(
            "The model cache of '{}'{mmap} was filled by one start more, which took {}, and holds {}",
            sample.run.variant,
            seconds(took),
            optional(sample.model_cache_bytes.map(|size| size as f64), bytes)
        ))
    };
    starts.samples.iter().filter(|sample| sample.repeat == 0).filter_map(fill).collect()
}

/// The starts that made a compiled model in a folder that a variant names itself.
fn made(starts: &Starts) -> Vec<String> {
    let made = |sample: &&StartSample| {
        let cache = sample.run.model_cache;
        sample.repeat > 0 && cache.is_some_and(|cache| cache.taken == Taken::Made)
    };
    let sentence = |sample: &StartSample| {
        let held = sample.run.model_cache.map(|cache| cache.bytes as f64);
        let took = sample.run.first_token_ns.map(|ns| ns as f64 * 1e-9);
        format!(
            "One start of '{}' made the compiled model that the others take from CACHE_DIR ({}), took {}, and is not \
             counted",
            sample.run.variant,
            optional(held, bytes),
            optional(took, seconds)
        )
    };
    starts.samples.iter().filter(made).map(sentence).collect()
}

/// Where a memory limit has to let through more than serving takes, under the usual condition of each variant.
fn heavy(rows: &[StartRow]) -> Vec<String> {
    let usual = |row: &&StartRow| {
        let first = rows.iter().find(|other| other.variant == row.variant);
        first.is_some_and(|first| std::ptr::eq(first, *row))
    };
    let sentence = |row: &StartRow| {
        let (peak, steady) = (row.memory.load_peak?, row.memory.steady?);
        verdict::is_heavy(peak, steady).then(|| words::heavy_load(&row.variant, peak, steady))
    };
    rows.iter().filter(usual).filter_map(sentence).collect()
}

fn seconds(seconds: f64) -> String {
    Unit::Seconds.format(seconds)
}

fn bytes(bytes: f64) -> String {
    Unit::Bytes.format(bytes)
}

fn optional(value: Option<f64>, format: impl Fn(f64) -> String) -> String {
    value.map_or("-".to_string(), format)
}
