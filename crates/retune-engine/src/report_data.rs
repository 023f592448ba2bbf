//! Gathers what the report shows.

use crate::baseline::{Baselines, SCRATCH};
use crate::directory::RunState;
use crate::evaluate::Scored;
use crate::metric::OperatingPoint;
use crate::report::{
    Baseline, Best, Comparison, Environment, Headline, Histogram, Leak, LeftOut, LoadFacts, NewTensor, Operating,
    ReportData, Roc, Speed, SplitFacts, StepPoint, WorstError,
};
use crate::session::Session;
use crate::summary::Summary;
use crate::task::Described;
use crate::{hardware, heat_map};
use anyhow::Result;
use base64::prelude::{BASE64_STANDARD, Engine};
use retune_data::{CONFLICTING, DUPLICATES, FactValue, GROUPS, Source, TRUNCATED, UNKNOWN_TOKENS};
use retune_kernels::device::LIBTORCH_VERSION;
use retune_models::{LoadReport, Model};
use serde_json::{Map, Value};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Longer side of a picture in the report, in pixels.
const THUMBNAIL_SIDE: usize = 96;
/// Points of a curve in the report.
const ROC_POINTS: usize = 400;
/// Examples that were left out, listed in the report for each split.
const FIRST_LEFT_OUT: usize = 10;

/// Where the facts come from.
pub(crate) struct Sources<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) model: &'a dyn Model,
    pub(crate) state: &'a RunState,
    pub(crate) load: &'a LoadReport,
    pub(crate) summary: &'a Summary,
    pub(crate) validation: &'a Scored,
    pub(crate) test: Option<&'a Scored>,
    pub(crate) baselines: &'a Baselines,
}

/// What could not be shown is said in `notes`.
pub(crate) fn collect(from: &Sources<'_>, notes: &mut Vec<String>) -> Result<ReportData> {
    let recipe = from.session.recipe;
    let splits = from.session.splits;
    let (scored, split, data) = match (from.test, &splits.test) {
        (Some(scored), Some(data)) => (scored, "test", data),
        _ => (from.validation, "validation", &splits.validation),
    };
    let metric = match recipe.best_by.as_deref() {
        Some("loss") | None => from.session.task.default_metric().to_owned(),
        Some(metric) => metric.to_owned(),
    };
    let headline = scored.evaluation.metrics.get(&metric).map(|&value| Headline {
        metric: metric.clone(),
        split: split.to_owned(),
        value,
        interval: scored.evaluation.intervals.get(&metric).copied(),
        examples: scored.evaluation.examples,
        baselines: from
            .baselines
            .all
            .iter()
            .filter_map(|(name, evaluation)| {
                let value = *evaluation.metrics.get(&metric)?;
                let interval = evaluation.intervals.get(&metric).copied();
                Some(Baseline { name: name.clone(), value, interval })
            })
            .collect(),
        comparison: from
            .baselines
            .difference
            .filter(|_| metric == "accuracy")
            .map(|difference| Comparison { against: SCRATCH.to_owned(), difference }),
    });
    let train = &from.summary.train;
    Ok(ReportData {
        title: format!("{} with {}", recipe.task, recipe.model),
        date: today(),
        task: recipe.task.clone(),
        model: recipe.model.clone(),
        method: recipe.method.clone(),
        headline,
        steps: steps(&recipe.output.join("log.jsonl")),
        evaluations: from.state.evaluations.clone(),
        best: from
            .state
            .best
            .as_ref()
            .and_then(|b| Some(Best { step: b.step, metric: b.metric.clone(), value: b.value? })),
        validation: Some(from.validation.evaluation.clone()),
        test: from.test.map(|scored| scored.evaluation.clone()),
        roc: roc(from, scored, split),
        operating_point: from.summary.operating_point.as_ref().map(operating),
        errors: worst_errors(from, scored, data.as_ref(), notes)?,
        heat_maps: heat_map::wanted(recipe)?.map(|how| heat_map::legend(how).to_owned()),
        splits: split_facts(from),
        left_out: left_out(from),
        leaks: leaks(from),
        load: Some(LoadFacts {
            source: recipe.model.clone(),
            loaded: from.load.loaded as u64,
            new: from
                .load
                .new
                .iter()
                .map(|new| NewTensor { name: new.name.clone(), reason: new.reason.clone() })
                .collect(),
            unexpected: from.load.unexpected.clone(),
        }),
        recipe: recipe.to_toml(),
        speed: Some(Speed {
            seconds: Some(train.seconds),
            examples_per_second: Some(train.samples_per_second),
            tokens_per_second: Some(train.tokens_per_second),
            padding_fraction: Some(train.padding_fraction),
            // A head on kept features has no blocks to compute.
            model_flops_per_second: Some(train.model_flops_per_second).filter(|&rate| rate > 0.0),
            peak_flops_per_second: Some(train.peak_flops_per_second),
            peak_memory_bytes: Some(train.peak_memory_bytes),
            peak_device_memory_bytes: train.peak_device_memory_bytes,
            trainable_parameters: Some(train.trainable_parameters as u64),
            total_parameters: Some(train.total_parameters as u64),
        }),
        environment: Some(Environment {
            retune: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: LIBTORCH_VERSION.to_owned(),
            device: format!("{} ({})", from.session.hardware.described_device(), train.precision),
            cpu: hardware::processor(),
            threads: Some(train.threads as u64),
        }),
    })
}

fn roc(from: &Sources<'_>, scored: &Scored, split: &str) -> Option<Roc> {
    let curve = scored.evaluation.curve.as_ref()?;
    let (names, _) = from.session.task.head()?;
    let positive_class = names.get(curve.positive)?.clone();
    Some(Roc { split: split.to_owned(), positive_class, points: curve.roc(ROC_POINTS) })
}

fn operating(point: &OperatingPoint) -> Operating {
    let mut splits = vec![("validation".to_owned(), point.validation.clone())];
    splits.extend(point.test.clone().map(|test| ("test".to_owned(), test)));
    Operating {
        positive_class: point.cut.positive_class.clone(),
        rule: point.cut.rule.to_string(),
        chosen: point.cut.rule.chooses(),
        threshold: point.cut.threshold.into(),
        splits,
    }
}

/// Training curve from the log, thinned to what a figure can show.
fn steps(log: &Path) -> Vec<StepPoint> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let values = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let points: Vec<StepPoint> = values
        .filter(|value| value.get("evaluation").is_none())
        .filter_map(|value| {
            Some(StepPoint {
                step: value["step"].as_u64()?,
                loss: value["loss"].as_f64(),
                learning_rate: value["learning_rate"].as_f64(),
                gradient_norm: value["gradient_norm"].as_f64(),
            })
        })
        .collect();
    let stride = points.len().div_ceil(2000).max(1);
    points.into_iter().step_by(stride).collect()
}

fn worst_errors(
    from: &Sources<'_>,
    scored: &Scored,
    data: &dyn Described,
    notes: &mut Vec<String>,
) -> Result<Vec<WorstError>> {
    let task = from.session.task;
    let severities = task.severities(data, &scored.predictions)?;
    let mut wrong: Vec<usize> = (0..severities.len()).filter(|&row| severities[row] > 0.0).collect();
    wrong.sort_by(|&a, &b| severities[b].total_cmp(&severities[a]));
    let how = heat_map::wanted(from.session.recipe)?;
    let works = (task, from.model, from.session.hardware.device);
    let mut errors = Vec::new();
    let mut missing = Vec::new();
    for row in wrong.into_iter().take(20) {
        let source = data.source(row)?;
        let described = task.describe(&scored.predictions[row]);
        let heat = match how {
            Some(how) => heat_map::of_row(works, data, row, how)?,
            None => None,
        };
        // The original is read once more; that it is gone must not cost a finished run its report.
        let picture = data.thumbnail(row, THUMBNAIL_SIDE, heat.as_ref()).unwrap_or_else(|error| {
            missing.push(error.to_string().lines().next().unwrap_or_default().to_owned());
            None
        });
        let texts: Vec<String> = source.fields.values().map(plain).collect();
        errors.push(WorstError {
            text: texts.join("  ·  "),
            gold: source.label.as_ref().map(plain).unwrap_or_default(),
            predicted: described.get("prediction").map_or_else(|| worded(&described), plain),
            confidence: described.get("probability").and_then(Value::as_f64),
            place: place(&source),
            thumbnail: picture.map(|png| format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png))),
        });
    }
    if let Some(first) = missing.first() {
        notes.push(format!("{} of the worst errors have no picture in the report: {first}", missing.len()));
    }
    Ok(errors)
}

/// `file:line`, or the file where it is the example.
fn place(source: &Source) -> String {
    let file = source.file.display();
    if source.line == 0 { file.to_string() } else { format!("{file}:{}", source.line) }
}

fn left_out(from: &Sources<'_>) -> Vec<LeftOut> {
    let mut all: Vec<LeftOut> = Vec::new();
    for (split, bad) in &from.session.splits.left_out {
        if all.last().is_none_or(|last| last.split != *split) {
            all.push(LeftOut { split: (*split).to_owned(), ..LeftOut::default() });
        }
        if let Some(last) = all.last_mut() {
            last.count += 1;
            if last.first.len() < FIRST_LEFT_OUT {
                last.first.push(bad.to_string());
            }
        }
    }
    all
}

/// A prediction without an answer of its own, in words.
fn worded(described: &Map<String, Value>) -> String {
    described
        .iter()
        .map(|(key, value)| format!("{} {}", key.replace('_', " "), plain(value)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn split_facts(from: &Sources<'_>) -> Vec<SplitFacts> {
    let recipe = from.session.recipe;
    let file = |name: &str| {
        let path = match name {
            "validation" => recipe.validation.as_ref().or(recipe.train.as_ref()),
            "test" => recipe.test.as_ref(),
            _ => recipe.train.as_ref(),
        };
        path.map(|p| p.display().to_string()).unwrap_or_default()
    };
    let facts = &from.session.splits.facts;
    facts
        .splits
        .iter()
        .map(|split| {
            let mut edges: Vec<f64> = split.sizes.histogram.iter().map(|&(edge, _)| edge as f64).collect();
            let width = if edges.len() > 1 { edges[1] - edges[0] } else { 1.0 };
            edges.extend(edges.last().copied().map(|last| last + width));
            SplitFacts {
                name: split.name.clone(),
                file: file(&split.name),
                rows: split.examples as u64,
                classes: split.counts.iter().map(|(name, n)| (name.clone(), *n as u64)).collect(),
                lengths: Some(Histogram {
                    unit: split.sizes.unit.clone(),
                    edges,
                    counts: split.sizes.histogram.iter().map(|&(_, n)| n as u64).collect(),
                }),
                truncated: split.count(TRUNCATED),
                duplicates: split.count(DUPLICATES),
                conflicting: split.count(CONFLICTING),
                groups: split.count(GROUPS),
                unknown_tokens: split.fact(UNKNOWN_TOKENS).and_then(|fact| match fact.value {
                    FactValue::Share(share) => Some(share),
                    _ => None,
                }),
            }
        })
        .collect()
}

fn leaks(from: &Sources<'_>) -> Vec<Leak> {
    let facts = &from.session.splits.facts;
    let rows_of = |name: &str| facts.splits.iter().find(|s| s.name == name).map_or(0, |s| s.examples as u64);
    facts
        .leakage
        .iter()
        .map(|leak| Leak {
            held_out: leak.b.clone(),
            seen_in: leak.a.clone(),
            rows: leak.examples as u64,
            of: rows_of(&leak.b),
            groups: leak.groups.map(|n| n as u64),
        })
        .collect()
}

/// Today's date in UTC (Howard Hinnant's days-to-civil algorithm).
fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let days = (seconds / 86_400) as i64 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
