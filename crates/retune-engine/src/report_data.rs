//! Gathers what the report shows.

use crate::baseline::{Baselines, SCRATCH};
use crate::directory::RunState;
use crate::evaluate::Scored;
use crate::metric::{ACCURACY, Detail, Evaluation, LOSS, thresholds};
use crate::report::{
    Baseline, Comparison, Environment, Fact, Headline, Histogram, LeftOut, ReportData, SplitCard, StepPoint, WorstError,
};
use crate::session::Session;
use crate::summary::Summary;
use crate::{hardware, heat_map, number};
use anyhow::Result;
use retune_data::{Described, Source, SplitFacts};
use retune_kernels::device::LIBTORCH_VERSION;
use retune_models::{LoadReport, Model};
use serde_json::Value;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Longer side of a picture in the report, in pixels.
const THUMBNAIL_SIDE: usize = 96;
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
    let metrics = from.session.task.metrics();
    let wanted = recipe.best_by.as_deref().filter(|key| *key != LOSS.key);
    let metric = wanted.and_then(|key| from.session.task.metric(key)).unwrap_or(metrics[0]);
    let of_baseline = |(name, evaluation): &(String, Evaluation)| {
        let (value, interval) = evaluation.value(metric.key)?;
        Some(Baseline { name: name.clone(), value, interval })
    };
    let difference = from.baselines.difference.filter(|_| metric.key == ACCURACY.key);
    let headline = scored.evaluation.value(metric.key).map(|(value, interval)| Headline {
        metric,
        split: split.to_owned(),
        value,
        interval,
        examples: scored.evaluation.examples,
        baselines: from.baselines.all.iter().filter_map(of_baseline).collect(),
        comparison: difference.map(|difference| Comparison { against: SCRATCH.to_owned(), difference }),
    });
    // The threshold belongs to the run and not to one evaluation: it is shown with the split of the other details.
    let detailed = |scored: &Scored| {
        let mut evaluation = scored.evaluation.clone();
        evaluation.details.extend(threshold(from, &evaluation));
        evaluation
    };
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
        best: from.state.best.clone(),
        metrics,
        validation: Some(detailed(from.validation)),
        test: from.test.map(detailed),
        errors: worst_errors(from, scored, data.as_ref(), notes)?,
        about_errors: heat_map::wanted(recipe)?.map(|how| heat_map::legend(how).to_owned()),
        splits: splits.facts.splits.iter().map(|facts| card(from, facts)).collect(),
        left_out: left_out(from),
        leaks: splits.facts.leakage.clone(),
        load: Some(from.load.clone()),
        recipe: recipe.to_toml(),
        speed: Some(train.clone()),
        environment: Some(Environment {
            retune: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: LIBTORCH_VERSION.to_owned(),
            device: format!("{} ({})", from.session.hardware.described_device(), train.precision),
            cpu: hardware::processor(),
            threads: train.threads as u64,
        }),
    })
}

/// What thresholds do on the rows of an evaluation, where one class is looked for.
fn threshold(from: &Sources<'_>, evaluation: &Evaluation) -> Option<Detail> {
    let curve = evaluation.curve.as_ref()?;
    let (names, _) = from.session.task.head()?;
    thresholds(curve, names.get(curve.positive)?, from.summary.operating_point.as_ref())
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
        let heat = match how {
            Some(how) => heat_map::of_row(works, data, row, how)?,
            None => None,
        };
        // The original is read once more; that it is gone must not cost a finished run its report.
        let picture = data.thumbnail(row, THUMBNAIL_SIDE, heat.as_ref()).unwrap_or_else(|error| {
            missing.push(error.to_string().lines().next().unwrap_or_default().to_owned());
            None
        });
        let mut said = task.said(&scored.predictions[row]);
        if said.right.is_empty() {
            said.right = source.label.as_ref().map(plain).unwrap_or_default();
        }
        errors.push(WorstError {
            said,
            severity: severities[row],
            place: place(&source),
            fields: source.fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
            picture,
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

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// What is known about a split, as the report shows it.
fn card(from: &Sources<'_>, split: &SplitFacts) -> SplitCard {
    let recipe = from.session.recipe;
    let path = match split.name.as_str() {
        "validation" => recipe.validation.as_ref().or(recipe.train.as_ref()),
        "test" => recipe.test.as_ref(),
        _ => recipe.train.as_ref(),
    };
    let mut edges: Vec<f64> = split.length_histogram.iter().map(|&(edge, _)| edge as f64).collect();
    let width = if edges.len() > 1 { edges[1] - edges[0] } else { 1.0 };
    edges.extend(edges.last().copied().map(|last| last + width));
    SplitCard {
        name: split.name.clone(),
        file: path.map(|path| path.display().to_string()).unwrap_or_default(),
        rows: split.rows as u64,
        classes: split.classes.iter().map(|(name, n)| (name.clone(), *n as u64)).collect(),
        lengths: Some(Histogram {
            unit: split.length_unit.to_owned(),
            edges,
            counts: split.length_histogram.iter().map(|&(_, n)| n as u64).collect(),
        }),
        facts: facts(split),
    }
}

fn facts(split: &SplitFacts) -> Vec<Fact> {
    let fact = |name: &str, value: String, flagged: bool| Fact { name: name.to_owned(), value, flagged };
    let of_rows = |n: usize| match (n as u64, split.rows as u64) {
        (n, rows) if n == 0 || rows == 0 => number::count(n),
        (n, rows) => format!("{} ({})", number::count(n), number::percent_of(n, rows)),
    };
    let mut facts = Vec::new();
    facts.extend(split.truncated.map(|n| fact("truncated", of_rows(n), false)));
    facts.extend(split.groups.map(|n| fact("groups", number::count(n as u64), false)));
    let conflicting = split.conflicting_duplicates;
    facts.push(fact("duplicates", of_rows(split.duplicates), false));
    facts.push(fact("conflicting labels", of_rows(conflicting), conflicting > 0));
    facts.extend(split.unknown_token_fraction.map(|share| fact("unknown tokens", number::percent(share), false)));
    if let Some(target) = &split.target {
        let range = format!("{} – {}", number::value(target.min), number::value(target.max));
        facts.push(fact("targets", range, false));
        let spread = format!("{} ± {}", number::value(target.mean), number::value(target.std));
        facts.push(fact("mean ± deviation", spread, false));
    }
    facts
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
