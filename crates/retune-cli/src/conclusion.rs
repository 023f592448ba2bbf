//! The end of a run for a person: metrics beside baselines, one sentence, speed, and where things lie.

use retune_engine::metric::{Intervals, Metrics};
use retune_engine::summary::Summary;
use retune_engine::{Finished, number};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Everything, ending in a line end.
pub(crate) fn describe(finished: &Finished) -> String {
    let mut text = table(&finished.summary);
    if let Some(headline) = &finished.headline {
        text += &format!("\n{}\n", headline.sentence());
    }
    for line in &finished.decided {
        text += &format!("{line}\n");
    }
    text += &format!("\n{}, {} in all\n", speed(&finished.summary), number::duration(finished.seconds));
    let output = &finished.output;
    text += &format!("model   {}\n", output.join("model").display());
    text += &format!("report  {}\n", output.join("report.html").display());
    number::plain(&text)
}

/// Metrics of a split with their intervals.
pub(crate) fn table(summary: &Summary) -> String {
    let (split, metrics) = match (&summary.test, &summary.validation) {
        (Some(metrics), _) => ("test", metrics),
        (None, Some(metrics)) => ("validation", metrics),
        (None, None) => return String::new(),
    };
    let none = BTreeMap::new();
    let intervals = summary.intervals.get(split).unwrap_or(&none);
    metrics_table(split, metrics, intervals, &summary.baselines)
}

/// One row per metric; baselines stand to the right.
pub(crate) fn metrics_table(
    split: &str,
    metrics: &Metrics,
    intervals: &Intervals,
    baselines: &BTreeMap<String, Metrics>,
) -> String {
    let mut rows = vec![vec![split.to_owned(), "model".to_owned(), "95 % interval".to_owned()]];
    rows[0].extend(baselines.keys().cloned());
    for (name, value) in metrics {
        let interval = intervals.get(name).map_or_else(String::new, |it| number::interval(*it));
        let mut row = vec![name.clone(), number::value(*value), interval];
        row.extend(baselines.values().map(|b| b.get(name).map_or_else(String::new, |value| number::value(*value))));
        rows.push(row);
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if index == 0 { write!(line, "{cell:<width$}") } else { write!(line, "  {cell:>width$}") };
        }
        text += line.trim_end();
        text.push('\n');
    }
    number::plain(&text)
}

fn speed(summary: &Summary) -> String {
    let t = &summary.train;
    let mut parts = vec![
        format!("{} examples/s", number::rate(t.samples_per_second)),
        format!("{} tokens/s", number::rate(t.tokens_per_second)),
        format!("{} padding", number::percent(t.padding_fraction)),
    ];
    // A head on kept features has no blocks to compute.
    if t.peak_flops_per_second > 0.0 && t.model_flops_per_second > 0.0 {
        let share = number::percent(t.model_flops_per_second / t.peak_flops_per_second);
        parts.push(format!("{share} of the matrix-product ceiling"));
    }
    parts.push(format!("{} peak memory", number::bytes(t.peak_memory_bytes)));
    parts.extend(t.peak_device_memory_bytes.map(|bytes| format!("{} on the GPU", number::bytes(bytes))));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_baselines_stand_beside() {
        let metrics = Metrics::from([("accuracy".to_owned(), 0.925), ("macro_f1".to_owned(), 0.92)]);
        let intervals = BTreeMap::from([("accuracy".to_owned(), (0.9, 0.95))]);
        let baselines = BTreeMap::from([("majority class".to_owned(), Metrics::from([("accuracy".to_owned(), 0.5)]))]);
        let text = metrics_table("test", &metrics, &intervals, &baselines);
        let expected = "\
test      model  95 % interval  majority class
accuracy  0.925  0.900 – 0.950           0.500
macro_f1  0.920
";
        assert_eq!(text, expected);
    }
}
