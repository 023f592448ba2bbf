//! What the evaluation found: metrics, classes, outputs, calibration, scatter and the worst errors.

use std::collections::BTreeSet;

use super::data::{ReportData, WorstError};
use super::html::{Cell, escape, excerpt, facts, figure, legend, note, table};
use super::number;
use super::svg::{Labels, Plot, TALL, round_range};
use crate::metric::{ClassRow, Evaluation};

const MAX_CLASSES: usize = 40;
const MAX_ERRORS: usize = 20;
const MAX_ERROR_TEXT: usize = 700;

/// The split that detail tables are about: test, or else validation.
pub(super) fn detailed(data: &ReportData) -> Option<(&'static str, &Evaluation)> {
    let test = data.test.as_ref().map(|e| ("test", e));
    test.or(data.validation.as_ref().map(|e| ("validation", e)))
}

/// Every metric of both splits, with its interval.
pub(super) fn metrics(data: &ReportData) -> String {
    let splits: Vec<(&str, &Evaluation)> = [("validation", &data.validation), ("test", &data.test)]
        .into_iter()
        .filter_map(|(name, evaluation)| Some((name, evaluation.as_ref()?)))
        .collect();
    let keys: BTreeSet<&String> = splits.iter().flat_map(|(_, e)| e.metrics.keys()).collect();
    let notes: String =
        splits.iter().flat_map(|(name, e)| e.notes.iter().map(move |n| note(&format!("{name}: {n}.")))).collect();
    if keys.is_empty() {
        return notes;
    }
    let mut headers = vec!["metric"];
    headers.extend(splits.iter().map(|(name, _)| *name));
    let mut rows: Vec<Vec<Cell>> = keys
        .into_iter()
        .map(|key| {
            let mut row = vec![Cell::Head(escape(&key.replace('_', " ")))];
            for (_, evaluation) in &splits {
                let value = evaluation.metrics.get(key).map(|v| number::value(*v));
                let interval = evaluation.intervals.get(key).map(|i| number::interval(*i));
                row.push(Cell::Number(format!(
                    "{}<small class=\"range\">{}</small>",
                    value.unwrap_or_else(|| "–".into()),
                    interval.unwrap_or_default()
                )));
            }
            row
        })
        .collect();
    let mut examples = vec![Cell::Head("examples".into())];
    for (_, evaluation) in &splits {
        examples.push(Cell::Number(format!(
            "{}<small class=\"range\"></small>",
            number::count(evaluation.examples as u64)
        )));
    }
    rows.push(examples);
    table(&headers, 1, &rows) + &note("Beside each value its 95 % interval.") + &notes
}

/// One row per class, the weakest ones when there are many.
pub(super) fn classes(data: &ReportData) -> String {
    let Some((split, evaluation)) = detailed(data) else {
        return String::new();
    };
    if evaluation.per_class.is_empty() {
        return String::new();
    }
    let mut shown: Vec<&ClassRow> = evaluation.per_class.iter().collect();
    let mut about = format!("On the {split} split.");
    if shown.len() > MAX_CLASSES {
        shown.retain(|c| c.support > 0);
        shown.sort_by(|a, b| a.f1.total_cmp(&b.f1));
        shown.truncate(MAX_CLASSES);
        about = format!(
            "On the {split} split: the {} classes with the lowest F1 out of {}.",
            shown.len(),
            evaluation.per_class.len()
        );
    }
    let rows: Vec<Vec<Cell>> = shown
        .into_iter()
        .map(|c| {
            let meter = format!(
                "<span class=\"meter\"><i style=\"width:{:.1}%\"></i></span>{}",
                c.f1.clamp(0.0, 1.0) * 100.0,
                number::value(c.f1)
            );
            vec![
                Cell::Head(escape(&c.name)),
                Cell::Number(number::count(c.support)),
                Cell::Number(number::value(c.precision)),
                Cell::Number(number::value(c.recall)),
                Cell::Number(meter),
            ]
        })
        .collect();
    table(&["class", "examples", "precision", "recall", "F1"], 1, &rows) + &note(&about)
}

/// One row per output, where there are several.
pub(super) fn outputs(data: &ReportData) -> String {
    let Some((split, evaluation)) = detailed(data) else {
        return String::new();
    };
    let keys: BTreeSet<&String> = evaluation.per_output.iter().flat_map(|output| output.metrics.keys()).collect();
    if keys.is_empty() {
        return String::new();
    }
    let mut headers = vec!["output"];
    headers.extend(keys.iter().map(|key| key.as_str()));
    let rows: Vec<Vec<Cell>> = evaluation
        .per_output
        .iter()
        .map(|output| {
            let value = |key: &&String| output.metrics.get(*key).map_or_else(|| "–".into(), |x| number::value(*x));
            let mut row = vec![Cell::Head(escape(&output.name))];
            row.extend(keys.iter().map(|key| Cell::Number(value(key))));
            row
        })
        .collect();
    table(&headers, 1, &rows) + &note(&format!("On the {split} split. The metrics above average these evenly."))
}

/// The reliability diagram.
pub(super) fn calibration(data: &ReportData) -> String {
    let Some((split, evaluation)) = detailed(data) else {
        return String::new();
    };
    let total: u64 = evaluation.calibration.iter().map(|b| b.count).sum();
    if total == 0 {
        return String::new();
    }
    let labels = Labels {
        id: "reliability",
        title: "Share of right predictions at each confidence",
        x: "confidence",
        y: "share right",
    };
    let unit = (0.0, 1.0);
    let mut plot = Plot::new(&labels, unit, unit, TALL);
    let mut rows = Vec::new();
    for bin in evaluation.calibration.iter().filter(|b| b.count > 0) {
        // A bin of few examples says little; show it lighter.
        let class = if bin.count * 50 < total || bin.count < 10 { "few" } else { "accent" };
        plot.bar(class, (bin.low, bin.high), bin.accuracy);
        rows.push(vec![
            Cell::Head(format!("{:.2}–{:.2}", bin.low, bin.high)),
            Cell::Number(number::count(bin.count)),
            Cell::Number(number::value(bin.confidence)),
            Cell::Number(number::value(bin.accuracy)),
        ]);
    }
    plot.line("dashed", &[(0.0, 0.0), (1.0, 1.0)]);
    let numbers = table(&["confidence", "predictions", "mean confidence", "share right"], 1, &rows);
    let entries = [("full", "observed"), ("few", "few examples"), ("dashed", "perfect")];
    let caption = format!("Reliability, {split} split");
    let drawing = figure(&caption, &legend(&entries), &plot.finish(), &numbers);
    let words = evaluation.metrics.get("calibration_error").map_or_else(String::new, |error| {
        format!(
            "<p>When the model names a probability, it is off by <b>{}</b> on average (expected calibration error, {} bins). \
             Bars below the dashed line mean overconfidence, bars above it caution.</p>\n",
            number::percent(*error),
            evaluation.calibration.len()
        )
    });
    format!("<div class=\"grid-2\">\n{drawing}<div class=\"aside\">\n{words}</div>\n</div>\n")
}

/// Regression: gold against predicted.
pub(super) fn scatter(data: &ReportData) -> String {
    let Some((split, evaluation)) = detailed(data) else {
        return String::new();
    };
    let points: Vec<(f64, f64)> = evaluation
        .scatter
        .iter()
        .map(|(gold, predicted)| (f64::from(*gold), f64::from(*predicted)))
        .filter(|(gold, predicted)| gold.is_finite() && predicted.is_finite())
        .collect();
    if points.is_empty() {
        return String::new();
    }
    let ends = || points.iter().flat_map(|(a, b)| [*a, *b]);
    let range = round_range(ends().fold(f64::INFINITY, f64::min), ends().fold(f64::NEG_INFINITY, f64::max));
    let labels = Labels { id: "scatter-plot", title: "Predicted against gold numbers", x: "gold", y: "predicted" };
    let mut plot = Plot::new(&labels, range, range, TALL);
    plot.line("dashed", &[(range.0, range.0), (range.1, range.1)]);
    for (gold, predicted) in &points {
        plot.point("cloud", 2.2, *gold, *predicted);
    }
    let mut far: Vec<&(f64, f64)> = points.iter().collect();
    far.sort_by(|a, b| (b.0 - b.1).abs().total_cmp(&(a.0 - a.1).abs()));
    let rows: Vec<Vec<Cell>> = far
        .iter()
        .take(20)
        .map(|(gold, predicted)| [*gold, *predicted, predicted - gold].map(|x| Cell::Number(number::value(x))).into())
        .collect();
    let numbers = note("The points that are farthest off.") + &table(&["gold", "predicted", "error"], 0, &rows);
    let caption = format!("{} {split} examples", number::count(points.len() as u64));
    let drawing = figure(&caption, &legend(&[("dashed", "perfect")]), &plot.finish(), &numbers);
    format!("<div class=\"grid-2\">\n{drawing}</div>\n")
}

/// The predictions that went most wrong.
pub(super) fn errors(data: &ReportData) -> String {
    if data.errors.is_empty() {
        return String::new();
    }
    let shown = data.errors.len().min(MAX_ERRORS);
    let items: String = data.errors[..shown].iter().map(error).collect();
    let rest = if shown < data.errors.len() {
        note(&format!("The {shown} worst of {}.", data.errors.len()))
    } else {
        String::new()
    };
    let colours = data.heat_maps.as_deref().map_or_else(String::new, note);
    format!("{colours}<ol class=\"errors\">\n{items}</ol>\n{rest}")
}

fn error(error: &WorstError) -> String {
    let picture = error
        .thumbnail
        .as_deref()
        .filter(|uri| is_picture(uri))
        .map_or_else(String::new, |uri| format!("<img src=\"{uri}\" alt=\"\">"));
    let text = if error.text.is_empty() {
        String::new()
    } else {
        format!("<p class=\"text\" dir=\"auto\">{}</p>", excerpt(&error.text, MAX_ERROR_TEXT))
    };
    let confidence = error.confidence.map_or_else(String::new, number::percent);
    let answers = facts(
        "inline",
        &[
            ("gold", excerpt(&error.gold, 200)),
            ("predicted", excerpt(&error.predicted, 200)),
            ("confidence", confidence),
            ("at", excerpt(&error.place, 200)),
        ],
    );
    format!("<li>{picture}<div>{text}\n{answers}</div></li>\n")
}

/// Whether a data URI is a bitmap and nothing else; SVG could carry script.
fn is_picture(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("data:image/") else {
        return false;
    };
    let Some((kind, payload)) = rest.split_once(";base64,") else {
        return false;
    };
    ["png", "jpeg", "webp", "gif"].contains(&kind)
        && payload.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bitmaps_are_shown() {
        assert!(is_picture("data:image/png;base64,iVBORw0KGgo="));
        for bad in [
            "https://example.org/a.png",
            "data:image/svg+xml;base64,AAAA",
            "data:image/png;base64,AA\" onerror=\"x",
            "data:text/html;base64,AAAA",
            "",
        ] {
            assert!(!is_picture(bad), "{bad}");
        }
    }
}
