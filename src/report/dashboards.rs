//! Owns the formats that dashboards for benchmarks read: Bencher's metric format and the two files of
//! github-action-benchmark.

use super::{Figure, Format, LoadFigure, Report, Style};
use serde_json::{Map, Value, json};

/// Bencher Metric Format: a benchmark for each variant, a measure for each metric.
pub(super) const BMF: Format = Format {
    id: "bmf",
    help: "Bencher Metric Format, JSON",
    charts: false,
    render: bmf,
    sheet: None,
};

/// github-action-benchmark takes two lists, by which direction is better.
pub(super) const SMALLER: Format = Format {
    id: "benchmark-smaller",
    help: "What is better smaller, for github-action-benchmark's customSmallerIsBetter",
    charts: false,
    render: |report, _| list(report, false),
    sheet: None,
};

/// The other of the two.
pub(super) const BIGGER: Format = Format {
    id: "benchmark-bigger",
    help: "What is better bigger, for github-action-benchmark's customBiggerIsBetter",
    charts: false,
    render: |report, _| list(report, true),
    sheet: None,
};

fn bmf(report: &Report, _: Style) -> String {
    let mut benchmarks: Map<String, Value> = Map::new();
    for figure in &report.figures {
        let measures = benchmarks.entry(&figure.variant).or_insert_with(|| json!({}));
        measures[measure_id(figure)] = measure(figure.unit, figure.value, figure.interval);
    }
    for figure in &report.load_figures {
        let measures = benchmarks.entry(&figure.variant).or_insert_with(|| json!({}));
        // The point of a rate is none of a slug.
        let id = figure.id.replace('.', "-");
        measures[id] = measure(figure.unit, figure.value, figure.interval);
    }
    pretty(&Value::Object(benchmarks))
}

/// Bencher's own measure of latency is in nanoseconds, and all times go with it.
fn measure(unit: &str, value: f64, interval: Option<[f64; 2]>) -> Value {
    let scale = if unit == "s" { 1e9 } else { 1.0 };
    let mut measure = json!({ "value": value * scale });
    if let Some([low, high]) = interval {
        measure["lower_value"] = (low * scale).into();
        measure["upper_value"] = (high * scale).into();
    }
    measure
}

/// Bencher's slugs are in kebab case.
fn measure_id(figure: &Figure) -> String {
    let plain = matches!(figure.statistic, "mean" | "rate");
    let id = match plain {
        true => figure.metric.to_string(),
        false => format!("{}-{}", figure.metric, figure.statistic),
    };
    id.replace('_', "-")
}

fn list(report: &Report, more_is_better: bool) -> String {
    let wanted = report.figures.iter().filter(|figure| figure.more_is_better == more_is_better);
    let of_rounds = wanted.map(|figure| {
        let Figure { variant, what, unit, value, interval, .. } = figure;
        entry((variant, what), unit, *value, *interval)
    });
    let wanted = report.load_figures.iter().filter(|one| one.more_is_better == more_is_better);
    let of_load = wanted.map(|figure| {
        let LoadFigure { variant, what, unit, value, interval, .. } = figure;
        entry((variant, what), unit, *value, *interval)
    });
    pretty(&of_rounds.chain(of_load).collect())
}

fn entry(
    (variant, what): (&str, &str),
    unit: &str,
    value: f64,
    interval: Option<[f64; 2]>,
) -> Value {
    let mut entry = json!({ "name": format!("{variant}: {what}"), "unit": unit, "value": value });
    if let Some([low, high]) = interval {
        entry["range"] = format!("{low:.6} to {high:.6} (95%)").into();
    }
    entry
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("it is plain data");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let figure = |metric, statistic, unit, more_is_better, value| Figure {
            variant: "int8".into(),
            metric,
            statistic,
            what: format!("{metric} {statistic}"),
            unit,
            more_is_better,
            value,
            interval: Some([value * 0.5, value * 2.0]),
            rounds: 3,
            samples: 30,
        };
        let figures = vec![
            figure("latency", "median", "s", false, 0.5),
            figure("output_rate", "mean", "tok/s", true, 20.0),
        ];
        Report { figures, ..Report::default() }
    }

    #[test]
    fn bencher_gets_nanoseconds_and_slugs() {
        let value: Value = serde_json::from_str(&bmf(&report(), Style::default())).unwrap();
        assert_eq!(
            value["int8"]["latency-median"],
            json!({ "value": 5e8, "lower_value": 2.5e8, "upper_value": 1e9 })
        );
        assert_eq!(value["int8"]["output-rate"]["value"], 20.0);
    }

    #[test]
    fn each_direction_has_a_list_of_its_own() {
        let read = |more| serde_json::from_str::<Value>(&list(&report(), more)).unwrap();
        assert_eq!(read(false)[0]["name"], "int8: latency median");
        assert_eq!(read(false)[0]["unit"], "s");
        assert_eq!(read(true)[0]["range"], "10.000000 to 40.000000 (95%)");
        assert_eq!((read(false).as_array().unwrap().len(), read(true)[1].is_null()), (1, true));
    }
}
