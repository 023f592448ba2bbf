//! Gathers what the report shows.

use crate::baseline::{Baselines, SCRATCH};
use crate::directory::RunState;
use crate::evaluate::Scored;
use crate::metric::{Detail, Evaluation, LOSS, find};
use crate::report::{
    Baseline, Comparison, Environment, Fact, Headline, Histogram, LeftOut, ReportData, SplitCard, StepPoint, WorstError,
};
use crate::session::Session;
use crate::summary::Summary;
use crate::task::Split;
use crate::{hardware, heat_map, number};
use anyhow::{Context, Result};
use retune_data::{Fact as DataFact, FactValue, Source, SplitFacts};
use retune_kernels::device::LIBTORCH_VERSION;
use retune_models::{LoadReport, LoadedModel};
use serde_json::Value;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Longer side of a picture in the report, in pixels.
const THUMBNAIL_SIDE: usize = 96;
/// Worst errors in the report.
const MOST_ERRORS: usize = 20;
/// Bytes of sounds in the report.
const MOST_SOUND: usize = 2 << 20;
/// Examples that were left out, listed in the report for each split.
const FIRST_LEFT_OUT: usize = 10;

/// Where the facts come from.
pub(crate) struct Sources<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) loaded: &'a LoadedModel,
    pub(crate) state: &'a RunState,
    pub(crate) load: &'a LoadReport,
    pub(crate) summary: &'a Summary,
    pub(crate) validation: &'a Scored,
    pub(crate) test: Option<&'a Scored>,
    pub(crate) baselines: &'a Baselines,
}

/// What may help a model that is worse than something simple.
const UNFINISHED: &str =
    "Its last evaluation was its best: more passes (--epochs), or larger steps (--learning-rate), may do better.";

/// What could not be shown is said in `notes`.
pub(crate) fn collect(from: &Sources<'_>, notes: &mut Vec<String>) -> Result<ReportData> {
    let (recipe, work) = (from.session.recipe, from.session.work);
    let (scored, split) = from.test.map_or((from.validation, Split::Validation), |test| (test, Split::Test));
    let metrics = work.metrics();
    let wanted = recipe.optimization.best_by.as_deref().filter(|key| *key != LOSS.key);
    let metric =
        wanted.and_then(|key| find(&metrics, key)).or(metrics.first().copied()).context("a task has a metric")?;
    let of_baseline = |(name, evaluation): &(String, Evaluation)| {
        let (value, interval) = evaluation.value(metric.key)?;
        Some(Baseline { name: name.clone(), value, interval })
    };
    let difference = from.baselines.difference.filter(|_| work.paired().is_some_and(|paired| paired.key == metric.key));
    let mut headline = scored.evaluation.value(metric.key).map(|(value, interval)| Headline {
        metric,
        split: split.name().to_owned(),
        value,
        interval,
        examples: scored.evaluation.examples,
        baselines: from.baselines.all.iter().filter_map(of_baseline).collect(),
        comparison: difference.map(|difference| Comparison { against: SCRATCH.to_owned(), difference }),
        remarks: from.baselines.remark.iter().cloned().collect(),
    });
    if let Some(headline) = &mut headline
        && headline.verdict().is_some_and(|verdict| verdict.gain < 0.0)
        && from.state.ended_at_its_best()
    {
        headline.remarks.push(UNFINISHED.to_owned());
    }
    // What was decided on the validation split is shown beside what it does on the test split.
    let decided = from.validation.decision.as_ref().and_then(|it| from.validation.evaluation.detail(it.key));
    let detailed = |scored: &Scored| {
        let mut evaluation = scored.evaluation.clone();
        let title = |detail: &Detail| format!("{}, validation split", detail.title);
        evaluation.details.extend(decided.map(|detail| Detail {
            key: format!("{}-validation", detail.key),
            title: title(detail),
            value: Value::Null,
            shown: detail.shown.clone(),
            decided: true,
        }));
        evaluation
    };
    let train = &from.summary.train;
    Ok(ReportData {
        title: format!("{} with {}", recipe.data.task, recipe.start()),
        date: today(),
        task: recipe.data.task.clone(),
        model: recipe.start(),
        method: recipe.optimization.method.clone(),
        headline,
        steps: steps(&recipe.run.output.join("log.jsonl")),
        evaluations: from.state.evaluations.clone(),
        best: from.state.best.clone(),
        metrics,
        validation: Some(from.validation.evaluation.clone()),
        test: from.test.map(detailed),
        errors: worst_errors(from, scored, split, notes)?,
        about_errors: heat_map::wanted(recipe)?.map(|how| heat_map::legend(how).to_owned()),
        splits: work.about().facts.splits.iter().map(|facts| card(from, facts)).collect(),
        left_out: left_out(from),
        leaks: work.about().facts.leakage.clone(),
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

fn worst_errors(from: &Sources<'_>, scored: &Scored, split: Split, notes: &mut Vec<String>) -> Result<Vec<WorstError>> {
    let work = from.session.work;
    let data = work.rows(split).with_context(|| format!("a {} split", split.name()))?;
    let severity = |example: usize| scored.judged[example].severity;
    let mut wrong: Vec<usize> = (0..scored.judged.len()).filter(|&example| severity(example) > 0.0).collect();
    wrong.sort_by(|&a, &b| severity(b).total_cmp(&severity(a)));
    let how = heat_map::wanted(from.session.recipe)?;
    let with = from.session.predictor(from.loaded);
    let mut errors = Vec::new();
    let (mut missing, mut unheard, mut heard) = (Vec::new(), 0, 0);
    for example in wrong.into_iter().take(MOST_ERRORS) {
        let source = data.source(example)?;
        let shown = work.show(split, example, &with, how, THUMBNAIL_SIDE)?;
        // The original is read once more; that it is gone must not cost a finished run its report.
        let picture = shown.picture.unwrap_or_else(|error| {
            missing.push(error.to_string().lines().next().unwrap_or_default().to_owned());
            None
        });
        // Sounds are files that their original is read for, too.
        let sound = shown.sound.ok().flatten().filter(|wav| {
            let fits = heard + wav.len() <= MOST_SOUND;
            heard += if fits { wav.len() } else { 0 };
            unheard += usize::from(!fits);
            fits
        });
        let mut said = shown.said;
        if said.right.is_empty() {
            said.right = source.label.as_ref().map(plain).unwrap_or_default();
        }
        errors.push(WorstError {
            said,
            severity: severity(example).into(),
            place: place(&source),
            fields: source.fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
            picture: picture.filter(|_| shown.pictures.is_empty()),
            sound,
            pictures: shown.pictures,
        });
    }
    if let Some(first) = missing.first() {
        notes.push(format!("{} of the worst errors have no picture in the report: {first}", missing.len()));
    }
    if unheard > 0 {
        notes.push(format!("{unheard} of the worst errors cannot be heard in the report, which would be too large"));
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
    for (split, bad) in &from.session.work.about().left_out {
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
    let data = &from.session.recipe.data;
    let path = match split.name.as_str() {
        "validation" => data.validation.as_ref().or(data.train.as_ref()),
        "test" => data.test.as_ref(),
        _ => data.train.as_ref(),
    };
    let histogram = &split.sizes.histogram;
    let mut edges: Vec<f64> = histogram.iter().map(|&(edge, _)| edge as f64).collect();
    let width = if edges.len() > 1 { edges[1] - edges[0] } else { 1.0 };
    edges.extend(edges.last().copied().map(|last| last + width));
    SplitCard {
        name: split.name.clone(),
        file: path.map(|path| path.display().to_string()).unwrap_or_default(),
        rows: split.examples as u64,
        classes: split.counts.iter().map(|(name, n)| (name.clone(), *n as u64)).collect(),
        lengths: Some(Histogram {
            unit: split.sizes.unit.to_owned(),
            edges,
            counts: histogram.iter().map(|&(_, n)| n as u64).collect(),
        }),
        facts: split.facts.iter().map(fact).collect(),
    }
}

fn fact(fact: &DataFact) -> Fact {
    let value = match fact.value {
        FactValue::Count(n) => number::count(n),
        FactValue::Part { count, of } if count == 0 || of == 0 => number::count(count),
        FactValue::Part { count, of } => format!("{} ({})", number::count(count), number::percent_of(count, of)),
        FactValue::Share(share) => number::percent(share),
        FactValue::Number(value) => number::value(value),
    };
    Fact { name: fact.name.clone(), value, flagged: fact.flagged }
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
