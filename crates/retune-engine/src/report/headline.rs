//! The result in one sentence and one figure: the model and its baselines with their intervals.

use super::data::ReportData;
use super::html::{Cell, details, escape, table};
use super::svg::{round_range, ticks};
use super::verdict::Headline;
use crate::number;

/// The headline, or nothing.
pub(super) fn body(data: &ReportData) -> String {
    let Some(headline) = &data.headline else {
        return String::new();
    };
    let worse = headline.verdict().is_some_and(|verdict| verdict.gain < 0.0);
    let interval = headline.interval.map_or_else(String::new, |interval| {
        format!("<span class=\"range\">95 % interval {}</span>", number::interval(interval))
    });
    format!(
        "<div class=\"headline\">\n<div class=\"big\"><span class=\"label\">{} on {}</span>\
         <strong>{}</strong>{interval}</div>\n<p class=\"lead{}\">{}</p>\n</div>\n{}",
        escape(headline.metric.name),
        escape(&headline.split),
        number::value(headline.value),
        if worse { " flag" } else { "" },
        escape(&headline.sentence()),
        forest(headline, &data.method),
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
    // Shares are shown on their whole scale, so that nothing looks larger than it is.
    let (low, high) =
        if high >= 0.3 && headline.metric.is_share() { (round_range(low, 1.0).0, 1.0) } else { round_range(low, high) };
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
    out += &details("Numbers", &table(&["", headline.metric.name, "95 % interval"], 1, &rows));
    out + "</figure>\n"
}
