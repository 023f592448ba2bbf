//! What thresholds do: the ROC curve, and the chosen threshold on it.

use super::data::{Operating, ReportData};
use super::html::{Cell, escape, figure, legend, note, table};
use super::number;
use super::svg::{Labels, Plot, TALL};

/// Curve and table, or nothing.
pub(super) fn body(data: &ReportData) -> String {
    let table = data.operating_point.as_ref().map_or_else(String::new, values);
    let Some(roc) = data.roc.as_ref().filter(|roc| roc.points.len() > 1) else {
        return table;
    };
    let labels = Labels {
        id: "roc",
        title: "Sensitivity against false alarms at every threshold",
        x: "1 − specificity",
        y: "sensitivity",
    };
    let mut plot = Plot::new(&labels, (0.0, 1.0), (0.0, 1.0), TALL);
    plot.line("dashed", &[(0.0, 0.0), (1.0, 1.0)]);
    plot.line("accent", &roc.points);
    let mut entries = vec![("accent", "model"), ("dashed", "chance")];
    let chosen = data.operating_point.as_ref().and_then(|point| {
        let (_, found) = point.splits.iter().find(|(name, _)| *name == roc.split)?;
        Some((1.0 - found.specificity?, found.sensitivity?))
    });
    if let Some((x, y)) = chosen {
        plot.point("ring", 6.0, x, y);
        entries.push(("ring", "chosen threshold"));
    }
    // A table of every corner would be long; evenly spread ones say the same.
    let stride = roc.points.len().div_ceil(20);
    let rows: Vec<Vec<Cell>> = roc
        .points
        .iter()
        .step_by(stride)
        .map(|(alarms, found)| [1.0 - alarms, *found].map(|x| Cell::Number(number::value(x))).into())
        .collect();
    let numbers = self::table(&["specificity", "sensitivity"], 0, &rows);
    let caption = format!("Finding {}, {} split", escape(&roc.positive_class), escape(&roc.split));
    let drawing = figure(&caption, &legend(&entries), &plot.finish(), &numbers);
    format!("<div class=\"grid-2\">\n{drawing}<div class=\"aside\">\n{table}</div>\n</div>\n")
}

/// What the chosen threshold does.
fn values(point: &Operating) -> String {
    let mut headers = vec!["at the threshold"];
    headers.extend(point.splits.iter().map(|(name, _)| name.as_str()));
    let rows: Vec<Vec<Cell>> = ["sensitivity", "specificity", "precision"]
        .into_iter()
        .map(|wanted| {
            let mut row = vec![Cell::Head(wanted.into())];
            row.extend(point.splits.iter().map(|(_, found)| {
                let value = found.rows().find(|(name, ..)| *name == wanted);
                let text = value.map_or_else(
                    || "–<small class=\"range\"></small>".to_owned(),
                    |(_, value, interval)| {
                        let (value, interval) = (number::value(value), number::interval(interval));
                        format!("{value}<small class=\"range\">{interval}</small>")
                    },
                );
                Cell::Number(text)
            }));
            row
        })
        .collect();
    let origin = if point.chosen {
        format!(
            ": {}, chosen on the validation split, whose own values are therefore somewhat too good",
            escape(&point.rule)
        )
    } else {
        ", as asked for".to_owned()
    };
    let words = note(&format!(
        "An example counts as {} from a probability of {} on{origin}.",
        escape(&point.positive_class),
        number::value(point.threshold),
    ));
    table(&headers, 1, &rows) + &words
}
