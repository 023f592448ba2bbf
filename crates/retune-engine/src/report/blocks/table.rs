//! A table: words on the left, numbers on the right, with bars or a shaded ground where a column asks for them.

use crate::metric::detail::{Cell, Column, Look, Table};
use crate::number;
use crate::report::html::{escape, excerpt, note};

const MAX_ROWS: usize = 200;
const MAX_TEXT: usize = 300;

/// The table with its small print; nothing without rows.
pub(in crate::report) fn draw(table: &Table) -> String {
    if table.rows.is_empty() || table.columns.is_empty() {
        return note(&table.note);
    }
    let head: String = table
        .columns
        .iter()
        .map(|column| {
            let class = if column.look == Look::Words { "" } else { " class=\"number\"" };
            format!("<th scope=\"col\"{class}>{}</th>", escape(&column.name))
        })
        .collect();
    let rows: String = table.rows.iter().take(MAX_ROWS).map(|row| line(&table.columns, row)).collect();
    let rest = if table.rows.len() > MAX_ROWS {
        note(&format!("{MAX_ROWS} of {} rows.", number::count(table.rows.len() as u64)))
    } else {
        String::new()
    };
    format!(
        "<div class=\"scroll\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n{rest}{}",
        note(&table.note)
    )
}

fn line(columns: &[Column], row: &[Cell]) -> String {
    let cells = columns.iter().enumerate().map(|(index, column)| {
        let cell = row.get(index).unwrap_or(&Cell::Missing);
        let text = words(cell);
        match (column.look, share(cell)) {
            (Look::Words, _) if index == 0 => format!("<th scope=\"row\" dir=\"auto\">{text}</th>"),
            (Look::Words, _) => format!("<td dir=\"auto\">{text}</td>"),
            (Look::Bars, Some(share)) => {
                let meter = format!("<span class=\"meter\"><i style=\"width:{:.1}%\"></i></span>", share * 100.0);
                format!("<td class=\"number\">{meter}{text}</td>")
            }
            (Look::Heat, Some(share)) => {
                let strong = if share > 0.5 { " strong" } else { "" };
                format!("<td class=\"number heat{strong}\" style=\"--share:{share:.3}\">{text}</td>")
            }
            _ => format!("<td class=\"number\">{text}</td>"),
        }
    });
    format!("<tr>{}</tr>\n", cells.collect::<String>())
}

fn words(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => excerpt(text, MAX_TEXT),
        Cell::Number(value) => number::value(*value),
        Cell::Count(count) => number::count(*count),
        Cell::Share(share) => number::percent(*share),
        Cell::Interval(value, interval) => {
            format!("{}<small class=\"range\">{}</small>", number::value(*value), number::interval(*interval))
        }
        Cell::Missing => "–".to_owned(),
    }
}

/// A cell as a share of its whole scale.
fn share(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Number(value) | Cell::Share(value) | Cell::Interval(value, _) => {
            value.is_finite().then(|| value.clamp(0.0, 1.0))
        }
        _ => None,
    }
}
