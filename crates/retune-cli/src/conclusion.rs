//! The end of a run for a person: metrics beside baselines, one sentence, speed, and where things lie.

use crate::number;
use retune_engine::Finished;
use retune_engine::metric::operating_point::{AtThreshold, Cut};
use retune_engine::metric::{Direction, Metrics, direction};
use retune_engine::report::{Baseline, Headline};
use retune_engine::summary::Summary;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Everything, ending in a line end.
pub(crate) fn describe(finished: &Finished) -> String {
    let mut text = table(&finished.summary);
    if let Some(headline) = &finished.headline {
        text += &format!("\n{}\n", sentence(headline));
    }
    if let Some(point) = &finished.summary.operating_point {
        let (split, found) = point.test.as_ref().map_or(("validation", &point.validation), |test| ("test", test));
        text += &operating(&point.cut, split, found);
    }
    text += &format!("\n{}, {} in all\n", speed(&finished.summary), number::duration(finished.seconds));
    let output = &finished.output;
    text += &format!("model   {}\n", output.join("model").display());
    text += &format!("report  {}\n", output.join("report.html").display());
    text
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
    intervals: &BTreeMap<String, (f64, f64)>,
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
    text
}

/// What was reached, and how it stands to the strongest baseline.
pub(crate) fn sentence(headline: &Headline) -> String {
    let lower = direction(&headline.metric) == Some(Direction::Lower);
    let sign = if lower { -1.0 } else { 1.0 };
    let better = |a: &&Baseline, b: &&Baseline| (sign * a.value).total_cmp(&(sign * b.value));
    let interval = headline.interval.map_or_else(String::new, |it| format!(" ({})", number::interval(it)));
    let mut text = format!(
        "On {} {} examples the model reaches {} {}{interval}",
        number::count(headline.examples as f64),
        headline.split,
        headline.metric,
        number::value(headline.value)
    );
    if let Some(rival) = headline.baselines.iter().filter(|b| b.value.is_finite()).max_by(better) {
        let gain = sign * (headline.value - rival.value);
        let name = format!("{} ({})", rival.name, number::value(rival.value));
        let size = number::value(gain.abs());
        text += &match gain {
            0.0 => format!(", the same as {name}"),
            _ if gain > 0.0 => format!(", better by {size} than {name}"),
            _ => format!(", WORSE by {size} than {name}"),
        };
        let overlap = matches!((headline.interval, rival.interval), (Some(a), Some(b)) if a.0 <= b.1 && b.0 <= a.1);
        if overlap && headline.comparison.is_none() {
            text += "; their intervals overlap";
        }
    }
    text.push('.');
    if let Some(comparison) = &headline.comparison {
        let d = &comparison.difference;
        let p = if d.p_value < 0.001 { "p < 0.001".to_owned() } else { format!("p = {:.3}", d.p_value) };
        let chance = if d.p_value < 0.05 { "" } else { ", which could be chance" };
        let against = &comparison.against;
        text += &format!(" Example by example against {against}: {:+.3} accuracy, McNemar {p}{chance}.", d.difference);
    }
    text
}

/// What a chosen threshold does, as a line.
pub(crate) fn operating(cut: &Cut, split: &str, found: &AtThreshold) -> String {
    let values: Vec<String> = found
        .rows()
        .map(|(name, value, interval)| format!("{name} {} ({})", number::value(value), number::interval(interval)))
        .collect();
    let origin = if cut.rule.chooses() {
        format!("{}, chosen on the validation split", cut.rule)
    } else {
        "as asked for".into()
    };
    format!(
        "Threshold on the {split} examples: `{}` from a probability of {} on ({origin}): {}.\n",
        cut.positive_class,
        cut.threshold,
        values.join(", ")
    )
}

fn speed(summary: &Summary) -> String {
    let t = &summary.train;
    let mut parts = vec![
        format!("{} examples/s", number::count(t.samples_per_second)),
        format!("{} tokens/s", number::count(t.tokens_per_second)),
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
accuracy  0.925    0.900–0.950           0.500
macro_f1  0.920
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_threshold_is_one_line() {
        let cut = Cut { positive_class: "ill".into(), rule: "specificity:0.9".parse().unwrap(), threshold: 0.625 };
        let intervals = BTreeMap::from([("sensitivity".to_owned(), (0.5, 0.75))]);
        let found = AtThreshold { sensitivity: Some(0.6), intervals, ..AtThreshold::default() };
        let expected = "Threshold on the test examples: `ill` from a probability of 0.625 on (specificity:0.9, chosen on the \
                        validation split): sensitivity 0.600 (0.500–0.750).\n";
        assert_eq!(operating(&cut, "test", &found), expected);
        let asked = Cut { rule: "threshold:0.625".parse().unwrap(), ..cut };
        assert!(operating(&asked, "test", &found).contains("on (as asked for): sensitivity"));
    }

    #[test]
    fn the_sentence_names_the_strongest_baseline_and_the_direction() {
        let baseline = |name: &str, value| Baseline { name: name.into(), value, interval: Some((value, value)) };
        let mut headline = Headline {
            metric: "accuracy".into(),
            split: "test".into(),
            value: 0.9,
            interval: Some((0.88, 0.92)),
            examples: 1599,
            baselines: vec![baseline("majority class", 0.5), baseline("random weights", 0.75)],
            comparison: None,
        };
        let text = sentence(&headline);
        assert_eq!(
            text,
            "On 1,599 test examples the model reaches accuracy 0.900 (0.880–0.920), better by 0.150 than random weights (0.750)."
        );
        headline.metric = "rmse".into();
        assert!(sentence(&headline).contains("WORSE by 0.400 than majority class"));
        headline.baselines[0].value = 0.9;
        headline.baselines.truncate(1);
        assert!(sentence(&headline).contains("the same as majority class"));
    }
}
