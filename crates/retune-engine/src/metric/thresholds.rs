//! What thresholds on the probability of one class do, to be seen: the ROC curve, and a chosen threshold on it.

use super::detail::{Axis, Block, Cell, Column, Detail, Plot, Series, Table};
use super::operating_point::{AtThreshold, Curve, Cut, Operated, OperatingPoint};

/// Corners of a curve that are drawn, at most.
const MAX_CORNERS: usize = 400;
/// Points of a curve in its table of numbers.
const MAX_ROWS: usize = 20;

impl Operated {
    /// As a detail of an evaluation.
    pub fn detail(&self) -> Detail {
        let splits = [("here", &self.found)];
        let shown = vec![Block::Words(origin(&self.cut)), Block::Table(values(&splits))];
        Detail::new("operating_point", "Threshold", self, shown)
    }
}

/// The ROC curve of a split, with the threshold of the run on it where there is one; only to be seen. `found` is what the
/// threshold does on the split of the curve.
pub fn thresholds(curve: &Curve, positive: &str, point: Option<&OperatingPoint>) -> Option<Detail> {
    let corners = curve.roc(MAX_CORNERS);
    let mut shown = Vec::new();
    if corners.len() > 1 {
        let stride = corners.len().div_ceil(MAX_ROWS);
        let row = |(alarms, found): &(f64, f64)| [1.0 - alarms, *found].map(Cell::Number).into();
        let numbers = Table {
            columns: ["specificity", "sensitivity"].map(Column::numbers).into(),
            rows: corners.iter().step_by(stride).map(row).collect(),
            note: String::new(),
        };
        let mut series = vec![
            Series::Reference("chance".to_owned(), vec![(0.0, 0.0), (1.0, 1.0)]),
            Series::Line("model".to_owned(), corners),
        ];
        let here = point.map(|point| curve.at(point.cut.threshold));
        if let Some((specificity, sensitivity)) = here.and_then(|at| at.specificity.zip(at.sensitivity)) {
            series.push(Series::Ring("chosen threshold".to_owned(), (1.0 - specificity, sensitivity)));
        }
        shown.push(Block::Plot(Plot {
            caption: format!("Finding {positive}"),
            spoken: "Sensitivity against false alarms at every threshold".to_owned(),
            x: Axis::unit("1 − specificity"),
            y: Axis::unit("sensitivity"),
            series,
            numbers: Some(numbers),
        }));
    }
    if let Some(point) = point {
        let mut splits = vec![("validation", &point.validation)];
        splits.extend(point.test.iter().map(|test| ("test", test)));
        shown.extend([Block::Table(values(&splits)), Block::Words(origin(&point.cut))]);
    }
    (!shown.is_empty()).then(|| Detail::shown("thresholds", "Thresholds", shown))
}

/// What a threshold does on some splits.
fn values(splits: &[(&str, &AtThreshold)]) -> Table {
    let columns = splits.iter().map(|(name, _)| Column::numbers(name));
    let cell = |found: &AtThreshold, wanted: &str| {
        let value = found.rows().find(|(name, ..)| *name == wanted);
        value.map_or(Cell::Missing, |(_, value, interval)| Cell::Interval(value, interval))
    };
    let row = |wanted: &str| {
        let values = splits.iter().map(|(_, found)| cell(found, wanted));
        [Cell::text(wanted)].into_iter().chain(values).collect()
    };
    Table {
        columns: [Column::words("at the threshold")].into_iter().chain(columns).collect(),
        rows: ["sensitivity", "specificity", "precision"].map(row).into(),
        note: String::new(),
    }
}

/// Where a threshold comes from, in words.
fn origin(cut: &Cut) -> String {
    let chosen = if cut.rule.chooses() {
        format!(": {}, chosen on the validation split, whose own values are therefore somewhat too good", cut.rule)
    } else {
        ", as asked for".to_owned()
    };
    format!("An example counts as {} from a probability of {} on{chosen}.", cut.positive_class, cut.threshold)
}
