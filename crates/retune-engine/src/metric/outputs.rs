//! Several numbers for each example, one by one; and gold numbers beside predicted ones.

use serde::{Deserialize, Serialize};

use super::detail::{Axis, Block, Cell, Column, Detail, Plot, Series, Table};
use super::evaluation::Metrics;
use super::metric::Metric;

/// Points that are farthest off, shown as numbers.
const FARTHEST: usize = 20;

/// How well one of several numbers is predicted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputRow {
    /// The output.
    pub name: String,
    /// The metrics of regression, for this output alone.
    pub metrics: Metrics,
}

/// One row per output.
pub(super) fn per_output(metrics: &[&Metric], rows: &[OutputRow]) -> Detail {
    let line = |row: &OutputRow| {
        let values = metrics.iter().map(|metric| Cell::number(row.metrics.get(metric.key).copied()));
        [Cell::text(&row.name)].into_iter().chain(values).collect()
    };
    let numbers = metrics.iter().map(|metric| Column::numbers(metric.name));
    let table = Table {
        columns: [Column::words("output")].into_iter().chain(numbers).collect(),
        rows: rows.iter().map(line).collect(),
        note: "The metrics above average these evenly.".to_owned(),
    };
    Detail::new("per_output", "Outputs", &rows, vec![Block::Table(table)])
}

/// Pairs of gold and predicted numbers.
pub(super) fn scatter(points: &[(f32, f32)]) -> Detail {
    let cloud: Vec<(f64, f64)> = points.iter().map(|(gold, predicted)| ((*gold).into(), (*predicted).into())).collect();
    let ends = || cloud.iter().flat_map(|(gold, predicted)| [*gold, *predicted]);
    let range = (ends().fold(f64::INFINITY, f64::min), ends().fold(f64::NEG_INFINITY, f64::max));
    let mut far = cloud.clone();
    far.sort_by(|a, b| (b.0 - b.1).abs().total_cmp(&(a.0 - a.1).abs()));
    let row = |(gold, predicted): &(f64, f64)| [*gold, *predicted, predicted - gold].map(Cell::Number).into();
    let numbers = Table {
        columns: ["gold", "predicted", "error"].map(Column::numbers).into(),
        rows: far.iter().take(FARTHEST).map(row).collect(),
        note: "The points that are farthest off.".to_owned(),
    };
    let axis = |name: &str| Axis { name: name.to_owned(), range: Some(range) };
    let plot = Plot {
        caption: format!("{} examples", points.len()),
        spoken: "Predicted against gold numbers".to_owned(),
        x: axis("gold"),
        y: axis("predicted"),
        series: vec![
            Series::Reference("perfect".to_owned(), vec![(range.0, range.0), (range.1, range.1)]),
            Series::Cloud(String::new(), cloud),
        ],
        numbers: Some(numbers),
    };
    Detail::new("scatter", "Gold and predicted", &points, vec![Block::Plot(plot)])
}
