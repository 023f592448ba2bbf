//! How well each class is found, and which classes are taken for which: tables for programs and for the report.

use serde::{Deserialize, Serialize};

use super::detail::{Block, Cell, Column, Detail, Matrix, Table};
use super::evaluation::share;

/// Rows of a table of classes, at most; the weakest ones are kept.
const MAX_ROWS: usize = 40;
/// Above this many classes a grid says less than a list.
const MAX_GRID: usize = 20;
/// Rows of such a list.
const MAX_PAIRS: usize = 25;

/// How well one class is found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassRow {
    /// The class.
    pub name: String,
    /// Examples whose gold label is this class.
    pub support: u64,
    /// Share of the predictions of this class that are right (0 when there is none).
    pub precision: f64,
    /// Share of the examples of this class that are found (0 when there is none).
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
}

impl ClassRow {
    /// The row of a class found `hits` times among `support` gold and `predicted` predicted ones.
    pub(super) fn new(name: &str, hits: u64, support: u64, predicted: u64) -> Self {
        Self {
            name: name.to_owned(),
            support,
            precision: share(hits, predicted),
            recall: share(hits, support),
            f1: share(2 * hits, support + predicted),
        }
    }
}

/// A confusion matrix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Class names, in index order.
    pub names: Vec<String>,
    /// `counts[gold][predicted]`.
    pub counts: Vec<Vec<u64>>,
}

/// One row per class, `things` that are counted under `title`; the weakest ones when there are many.
pub(super) fn per_class(title: &str, things: &str, rows: &[ClassRow]) -> Detail {
    let mut shown: Vec<&ClassRow> = rows.iter().collect();
    let mut note = String::new();
    if shown.len() > MAX_ROWS {
        shown.retain(|row| row.support > 0);
        shown.sort_by(|a, b| a.f1.total_cmp(&b.f1));
        shown.truncate(MAX_ROWS);
        note = format!("The {} classes with the lowest F1 out of {}.", shown.len(), rows.len());
    }
    let line = |row: &&ClassRow| {
        vec![
            Cell::text(&row.name),
            Cell::Count(row.support),
            Cell::Number(row.precision),
            Cell::Number(row.recall),
            Cell::Number(row.f1),
        ]
    };
    let columns = vec![
        Column::words("class"),
        Column::numbers(things),
        Column::numbers("precision"),
        Column::numbers("recall"),
        Column::bars("F1"),
    ];
    let table = Table { columns, rows: shown.iter().map(line).collect(), note };
    Detail::new("per_class", title, &rows, vec![Block::Table(table)])
}

/// The matrix as a grid, or as the most confused pairs where there are many classes. A row or column `outside` stands for
/// no class at all, which cannot be confused with itself.
pub(super) fn confusion(confusion: &Confusion, outside: Option<usize>) -> Detail {
    let shown = if confusion.names.len() > MAX_GRID { pairs(confusion) } else { grid(confusion, outside) };
    Detail::new("confusion", "Confusion", confusion, vec![shown])
}

fn grid(confusion: &Confusion, outside: Option<usize>) -> Block {
    let cell = |gold: usize, predicted: usize, count: u64| {
        let possible = gold != predicted || outside != Some(gold);
        possible.then_some(count)
    };
    let row = |(gold, counts): (usize, &Vec<u64>)| {
        counts.iter().enumerate().map(|(predicted, count)| cell(gold, predicted, *count)).collect()
    };
    Block::Matrix(Matrix {
        names: confusion.names.clone(),
        counts: confusion.counts.iter().enumerate().map(row).collect(),
        note: "Rows are gold, columns predicted. The shade is the share of the row.".to_owned(),
    })
}

fn pairs(confusion: &Confusion) -> Block {
    let mut wrong: Vec<(usize, usize, u64)> = Vec::new();
    for (gold, row) in confusion.counts.iter().enumerate() {
        let others = row.iter().enumerate().filter(|&(predicted, count)| predicted != gold && *count > 0);
        wrong.extend(others.map(|(predicted, count)| (gold, predicted, *count)));
    }
    wrong.sort_by_key(|(gold, predicted, count)| (std::cmp::Reverse(*count), *gold, *predicted));
    let total = wrong.len();
    if total == 0 {
        return Block::Words("No class was taken for another.".to_owned());
    }
    wrong.truncate(MAX_PAIRS);
    let line = |&(gold, predicted, count): &(usize, usize, u64)| {
        let support: u64 = confusion.counts[gold].iter().sum();
        let names = &confusion.names;
        vec![
            Cell::text(&names[gold]),
            Cell::text(&names[predicted]),
            Cell::Count(count),
            Cell::Share(share(count, support)),
        ]
    };
    let columns = vec![
        Column::words("gold"),
        Column::words("taken for"),
        Column::numbers("times"),
        Column::numbers("of the gold class"),
    ];
    let rows: Vec<Vec<Cell>> = wrong.iter().map(line).collect();
    let note = format!("The most confused of {} classes: {} of {total} pairs.", confusion.names.len(), rows.len());
    Block::Table(Table { columns, rows, note })
}
