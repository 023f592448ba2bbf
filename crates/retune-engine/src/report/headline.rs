//! The result in one sentence and one figure: the model and its baselines with their intervals.

use super::data::{Baseline, Comparison, Headline, ReportData};
use super::html::{Cell, details, escape, table};
use super::number;
use super::svg::{round_range, ticks};
use crate::metric::{Direction, direction};

/// The headline, or nothing.
pub(super) fn body(data: &ReportData) -> String {
    let Some(headline) = &data.headline else {
        return String::new();
    };
    let metric = metric_name(&headline.metric);
    let interval = headline.interval.map_or_else(String::new, |interval| {
        format!("<span class=\"range\">95 % interval {}</span>", number::interval(interval))
    });
    format!(
        "<div class=\"headline\">\n<div class=\"big\"><span class=\"label\">{} on {}</span>\
         <strong>{}</strong>{interval}</div>\n<p class=\"lead\">{}</p>\n</div>\n{}",
        escape(&metric),
        escape(&headline.split),
        number::value(headline.value),
        sentence(headline),
        forest(headline, &data.method),
    )
}

fn metric_name(key: &str) -> String {
    match key {
        "mcc" => "Matthews correlation".into(),
        "auroc" => "AUROC".into(),
        "auprc" => "AUPRC".into(),
        "rmse" | "mae" | "mse" | "wer" | "cer" | "map" => key.to_uppercase(),
        "r2" => "R²".into(),
        "f1" => "F1".into(),
        "top_5_accuracy" => "Top-5 accuracy".into(),
        _ => {
            let words = key.replace('_', " ").replace(" f1", "-F1");
            let mut letters = words.chars();
            letters.next().map_or(String::new(), |c| c.to_uppercase().chain(letters).collect())
        }
    }
}

/// Says what was measured and how it stands to the strongest baseline. Escaped.
fn sentence(headline: &Headline) -> String {
    let rows = if headline.examples == 0 {
        format!("On the {} split", escape(&headline.split))
    } else {
        let noun = if headline.examples == 1 { "example" } else { "examples" };
        format!("On {} {} {noun}", number::count(headline.examples as u64), escape(&headline.split))
    };
    let mut text = format!("{rows}, the fine-tuned model reaches <b>{}</b>", number::value(headline.value));
    if let Some(rival) = strongest(headline) {
        text += &standing(headline, rival);
    }
    text.push('.');
    if let Some(comparison) = &headline.comparison {
        text += &paired(comparison);
    }
    text
}

fn lower_is_better(metric: &str) -> bool {
    direction(metric) == Some(Direction::Lower)
}

fn strongest(headline: &Headline) -> Option<&Baseline> {
    let sign = if lower_is_better(&headline.metric) { -1.0 } else { 1.0 };
    headline
        .baselines
        .iter()
        .filter(|b| b.value.is_finite())
        .max_by(|a, b| (sign * a.value).total_cmp(&(sign * b.value)))
}

fn standing(headline: &Headline, rival: &Baseline) -> String {
    let gain =
        if lower_is_better(&headline.metric) { rival.value - headline.value } else { headline.value - rival.value };
    let which = if headline.baselines.len() > 1 { "the best baseline, " } else { "" };
    let rival_text = format!("{which}<i>{}</i> ({})", escape(&rival.name), number::value(rival.value));
    let overlap = match (headline.interval, rival.interval) {
        (Some(a), Some(b)) if a.0 <= b.1 && b.0 <= a.1 && headline.comparison.is_none() => "; their intervals overlap",
        _ => "",
    };
    let size = number::value(gain.abs());
    if gain > 0.0 {
        format!(", better by <b>{size}</b> than {rival_text}{overlap}")
    } else if gain < 0.0 {
        format!(", <b>worse</b> by {size} than {rival_text}{overlap}")
    } else {
        format!(", the same as {rival_text}")
    }
}

fn paired(comparison: &Comparison) -> String {
    let d = &comparison.difference;
    let verdict = if d.p_value < 0.05 { "" } else { ", which could be chance" };
    format!(
        " Example by example its accuracy differs from <i>{}</i> by {} (95 % interval {}; exact McNemar test, {}){verdict}.",
        escape(&comparison.against),
        number::difference(d.difference),
        number::interval((d.low, d.high)),
        escape(&number::p_value(d.p_value)),
    )
}

/// Interval bars, one row per model. Drawn with HTML boxes, so that the words keep their size on a phone.
fn forest(headline: &Headline, method: &str) -> String {
    let name = if method.is_empty() { "fine-tuned".to_owned() } else { format!("fine-tuned ({method})") };
    let mut models = vec![(name.as_str(), headline.value, headline.interval, "model")];
    models.extend(headline.baselines.iter().map(|b| (b.name.as_str(), b.value, b.interval, "baseline")));
    models.retain(|m| m.1.is_finite());
    for model in &mut models {
        model.2 = model.2.filter(|(a, b)| a.is_finite() && b.is_finite());
    }
    if models.is_empty() {
        return String::new();
    }
    let ends = || models.iter().flat_map(|m| [m.1, m.2.map_or(m.1, |i| i.0), m.2.map_or(m.1, |i| i.1)]);
    let low = ends().fold(0.0, f64::min);
    let high = ends().fold(f64::NEG_INFINITY, f64::max);
    // Nearly every metric is a share; show those on the whole scale, so that nothing looks larger than it is.
    let (low, high) = if (0.3..=1.0).contains(&high) && !lower_is_better(&headline.metric) {
        (round_range(low, 1.0).0, 1.0)
    } else {
        round_range(low, high)
    };
    let place = |x: f64| ((x - low) / (high - low) * 100.0).clamp(0.0, 100.0);
    let (marks, step) = ticks(low, high, 5);
    let lines: String =
        marks.iter().map(|m| format!("<i class=\"mark\" style=\"left:{:.2}%\"></i>", place(*m))).collect();

    let mut out = String::from(
        "<figure class=\"forest\">\n<figcaption>Beside its baselines</figcaption>\n<div aria-hidden=\"true\">\n",
    );
    let mut rows = Vec::new();
    for (name, value, interval, class) in &models {
        let whisker = interval.map_or_else(String::new, |(a, b)| {
            format!("<i class=\"whisker\" style=\"left:{:.2}%;width:{:.2}%\"></i>", place(a), place(b) - place(a))
        });
        out += &format!(
            "<div class=\"row {class}\"><span class=\"who\">{}</span><span class=\"track\">{lines}\
             <i class=\"level\" style=\"left:{:.2}%;width:{:.2}%\"></i>{whisker}<i class=\"dot\" style=\"left:{:.2}%\"></i></span>\
             <span class=\"number\">{}</span></div>\n",
            escape(name),
            place(0.0),
            place(*value) - place(0.0),
            place(*value),
            number::value(*value),
        );
        rows.push(vec![
            Cell::Head(escape(name)),
            Cell::Number(number::value(*value)),
            Cell::Number(interval.map_or_else(|| "–".into(), number::interval)),
        ]);
    }
    let scale: String = marks
        .iter()
        .map(|m| format!("<span style=\"left:{:.2}%\">{}</span>", place(*m), number::tick(*m, step)))
        .collect();
    out += &format!(
        "<div class=\"row scale\"><span class=\"who\"></span><span class=\"track\">{scale}</span><span class=\"number\"></span></div>\n</div>\n"
    );
    out += &details("Numbers", &table(&["", &metric_name(&headline.metric), "95 % interval"], 1, &rows));
    out + "</figure>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Difference;

    fn headline(metric: &str, value: f64, rival: f64) -> Headline {
        Headline {
            metric: metric.into(),
            split: "test".into(),
            value,
            interval: Some((value - 0.05, value + 0.05)),
            examples: 1200,
            baselines: vec![Baseline {
                name: "majority class".into(),
                value: rival,
                interval: Some((rival - 0.02, rival + 0.02)),
            }],
            comparison: None,
        }
    }

    #[test]
    fn the_sentence_tells_better_from_worse() {
        assert!(
            sentence(&headline("accuracy", 0.9, 0.5)).contains("better by <b>0.400</b> than <i>majority class</i>")
        );
        assert!(sentence(&headline("accuracy", 0.5, 0.9)).contains("worse"));
        assert!(sentence(&headline("rmse", 0.5, 0.9)).contains("better by <b>0.400</b>"));
        assert!(sentence(&headline("accuracy", 0.9, 0.88)).contains("intervals overlap"));
        assert!(!sentence(&headline("accuracy", 0.9, 0.5)).contains("overlap"));
    }

    #[test]
    fn a_paired_test_that_finds_nothing_says_so() {
        let mut case = headline("accuracy", 0.9, 0.88);
        case.comparison = Some(Comparison {
            against: "from scratch".into(),
            difference: Difference { difference: 0.02, low: -0.01, high: 0.05, p_value: 0.21 },
        });
        let text = sentence(&case);
        assert!(text.contains("p\u{a0}=\u{a0}0.210") && text.contains("could be chance"), "{text}");
    }

    #[test]
    fn names_are_readable() {
        assert_eq!(metric_name("macro_f1"), "Macro-F1");
        assert_eq!(metric_name("accuracy"), "Accuracy");
        assert_eq!(metric_name("r2"), "R²");
    }
}
