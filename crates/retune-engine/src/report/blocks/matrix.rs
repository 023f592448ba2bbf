//! A matrix of counts as a grid whose shade is the share of the row.

use crate::metric::detail::Matrix;
use crate::number;
use crate::report::html::{escape, excerpt, note};

/// Names of this many characters are shown whole.
const MAX_NAME: usize = 24;
/// More rows than these are not drawn: nobody could read them.
const MAX_ROWS: usize = 60;
/// From this many rows on, cells are small and headings upright.
const DENSE: usize = 7;

/// The grid; nothing where the counts do not fit the names.
pub(in crate::report) fn draw(matrix: &Matrix) -> String {
    let size = matrix.names.len();
    let square = matrix.counts.len() == size && matrix.counts.iter().all(|row| row.len() == size);
    if size == 0 || !square {
        return String::new();
    }
    if size > MAX_ROWS {
        return note(&format!("A matrix of {size} rows is too large to be shown.")) + &note(&matrix.note);
    }
    let dense = if size >= DENSE { " dense" } else { "" };
    let head: String = matrix
        .names
        .iter()
        .map(|name| {
            format!("<th scope=\"col\" title=\"{}\"><span>{}</span></th>", escape(name), excerpt(name, MAX_NAME))
        })
        .collect();
    let rows: String = matrix.names.iter().zip(&matrix.counts).enumerate().map(row).collect();
    format!(
        "<div class=\"scroll\"><table class=\"confusion{dense}\">\n\
         <thead><tr><td class=\"corner\">gold \\ predicted</td>{head}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div>\n{}",
        note(&matrix.note)
    )
}

fn row((gold, (name, counts)): (usize, (&String, &Vec<Option<u64>>))) -> String {
    let total = counts.iter().flatten().sum::<u64>().max(1);
    let cell = |(predicted, count): (usize, &Option<u64>)| {
        let Some(count) = count else {
            return "<td class=\"cell none\"></td>".to_owned();
        };
        let share = *count as f64 / total as f64;
        let strong = if share > 0.5 { " strong" } else { "" };
        let right = if gold == predicted { " right" } else { "" };
        let zero = if *count == 0 { " zero" } else { "" };
        format!("<td class=\"cell{strong}{right}{zero}\" style=\"--share:{share:.3}\">{}</td>", number::count(*count))
    };
    let cells: String = counts.iter().enumerate().map(cell).collect();
    format!("<tr><th scope=\"row\" title=\"{}\">{}</th>{cells}</tr>\n", escape(name), excerpt(name, MAX_NAME))
}
