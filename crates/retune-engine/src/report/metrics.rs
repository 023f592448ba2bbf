//! Every metric of both splits, with its interval.

use super::data::ReportData;
use super::html::{Cell, escape, note, table};
use crate::metric::Evaluation;
use crate::number;

/// The table, and what is undefined or approximate.
pub(super) fn body(data: &ReportData) -> String {
    let splits: Vec<(&str, &Evaluation)> = [("validation", &data.validation), ("test", &data.test)]
        .into_iter()
        .filter_map(|(name, evaluation)| Some((name, evaluation.as_ref()?)))
        .collect();
    let notes: String = splits
        .iter()
        .flat_map(|(name, evaluation)| evaluation.notes.iter().map(move |it| note(&format!("{name}: {it}."))))
        .collect();
    let there = |key: &str| splits.iter().any(|(_, evaluation)| evaluation.metrics.contains_key(key));
    let mut keys: Vec<&str> = data.metrics.iter().map(|metric| metric.key).filter(|key| there(key)).collect();
    for key in splits.iter().flat_map(|(_, evaluation)| evaluation.metrics.keys()) {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    if keys.is_empty() {
        return notes;
    }
    let cell =
        |value: String, interval: String| Cell::Number(format!("{value}<small class=\"range\">{interval}</small>"));
    let line = |key: &str| {
        let mut row = vec![Cell::Head(escape(&data.metric_name(key)))];
        row.extend(splits.iter().map(|(_, evaluation)| match evaluation.value(key) {
            Some((value, interval)) => cell(number::value(value), interval.map(number::interval).unwrap_or_default()),
            None => cell("–".to_owned(), String::new()),
        }));
        row
    };
    let mut rows: Vec<Vec<Cell>> = keys.into_iter().map(line).collect();
    let mut examples = vec![Cell::Head("Examples".into())];
    examples.extend(splits.iter().map(|(_, it)| cell(number::count(it.examples as u64), String::new())));
    rows.push(examples);
    let mut headers = vec!["metric"];
    headers.extend(splits.iter().map(|(name, _)| *name));
    table(&headers, 1, &rows) + &note("Beside each value its 95 % interval.") + &notes
}
