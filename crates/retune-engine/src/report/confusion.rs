//! The confusion matrix: a coloured grid, or the most confused pairs when there are many classes.

use super::data::ReportData;
use super::evaluation::detailed;
use super::html::{Cell, escape, excerpt, note, table};
use super::number;
use crate::metric::Confusion;

/// Above this many classes a grid says less than a list.
const MAX_GRID: usize = 20;
const MAX_PAIRS: usize = 25;

/// The grid or the list, or nothing.
pub(super) fn body(data: &ReportData) -> String {
    let Some((split, evaluation)) = detailed(data) else {
        return String::new();
    };
    let Some(confusion) = &evaluation.confusion else {
        return String::new();
    };
    let classes = confusion.names.len();
    let square = confusion.counts.len() == classes && confusion.counts.iter().all(|row| row.len() == classes);
    if classes == 0 || !square {
        return String::new();
    }
    if classes > MAX_GRID {
        return pairs(confusion, split);
    }
    grid(confusion)
        + &note(&format!(
            "Rows are gold classes, columns predictions; {split} split. The shade is the share of the row."
        ))
}

fn grid(confusion: &Confusion) -> String {
    let dense = if confusion.names.len() > 6 { " dense" } else { "" };
    let mut out = format!(
        "<div class=\"scroll\"><table class=\"confusion{dense}\">\n<thead><tr><td class=\"corner\">gold \\ predicted</td>"
    );
    for name in &confusion.names {
        out += &format!("<th scope=\"col\" title=\"{}\"><span>{}</span></th>", escape(name), excerpt(name, 24));
    }
    out += "</tr></thead>\n<tbody>\n";
    for (gold, (name, row)) in confusion.names.iter().zip(&confusion.counts).enumerate() {
        let total = row.iter().sum::<u64>().max(1);
        out += &format!("<tr><th scope=\"row\" title=\"{}\">{}</th>", escape(name), excerpt(name, 24));
        for (predicted, count) in row.iter().enumerate() {
            let share = *count as f64 / total as f64;
            let strong = if share > 0.5 { " strong" } else { "" };
            let right = if gold == predicted { " right" } else { "" };
            let zero = if *count == 0 { " zero" } else { "" };
            out += &format!(
                "<td class=\"cell{strong}{right}{zero}\" style=\"--share:{share:.3}\">{}</td>",
                number::count(*count)
            );
        }
        out += "</tr>\n";
    }
    out + "</tbody>\n</table></div>\n"
}

fn pairs(confusion: &Confusion, split: &str) -> String {
    let mut wrong: Vec<(usize, usize, u64)> = Vec::new();
    for (gold, row) in confusion.counts.iter().enumerate() {
        for (predicted, count) in row.iter().enumerate() {
            if gold != predicted && *count > 0 {
                wrong.push((gold, predicted, *count));
            }
        }
    }
    wrong.sort_by_key(|(gold, predicted, count)| (std::cmp::Reverse(*count), *gold, *predicted));
    if wrong.is_empty() {
        return note(&format!("No class was taken for another on the {split} split."));
    }
    let total = wrong.len();
    let rows: Vec<Vec<Cell>> = wrong
        .into_iter()
        .take(MAX_PAIRS)
        .map(|(gold, predicted, count)| {
            let support: u64 = confusion.counts[gold].iter().sum();
            vec![
                Cell::Head(escape(&confusion.names[gold])),
                Cell::Text(escape(&confusion.names[predicted])),
                Cell::Number(number::count(count)),
                Cell::Number(number::percent_of(count, support)),
            ]
        })
        .collect();
    let about = format!(
        "The most confused of {} classes on the {split} split: {} of {total} pairs.",
        confusion.names.len(),
        rows.len()
    );
    table(&["gold", "taken for", "times", "of the gold class"], 2, &rows) + &note(&about)
}
