//! What thresholds on the probability of one class do, to be seen: the ROC curve, and a chosen threshold on it.

use crate::number;

use super::detail::{Axis, Block, Cell, Column, Detail, Plot, Series, Table};
use super::operating_point::{AtThreshold, Curve, Cut, Operated};

/// Corners of a curve that are drawn, at most.
const MAX_CORNERS: usize = 400;
/// Points of a curve in its table of numbers.
const MAX_ROWS: usize = 20;

impl Operated {
    /// The threshold, where it comes from and what it does.
    fn sentence(&self) -> String {
        let values = self
            .found
            .rows()
            .map(|(name, value, interval)| format!("{name} {} ({})", number::value(value), number::interval(interval)));
        format!("{} Here: {}.", origin(&self.cut), values.collect::<Vec<_>>().join(", "))
    }

    /// As a detail of an evaluation.
    pub fn detail(&self) -> Detail {
        let splits = [("here", &self.found)];
        let shown = vec![Block::Words(self.sentence()), Block::Table(values(&splits))];
        Detail { decided: true, ..Detail::new("operating_point", "Threshold", self, shown) }
    }
}

/// The ROC curve of a split, only to be seen, with a chosen threshold on it and its detail where there is one.
pub fn details(curve: &Curve, positive: &str, chosen: Option<Operated>) -> Vec<Detail> {
    let corners = curve.roc(MAX_CORNERS);
    let mut details = Vec::new();
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
        let here = chosen.as_ref().and_then(|chosen| chosen.found.specificity.zip(chosen.found.sensitivity));
        if let Some((specificity, sensitivity)) = here {
            series.push(Series::Ring("chosen threshold".to_owned(), (1.0 - specificity, sensitivity)));
        }
        let plot = Block::Plot(Plot {
            caption: format!("Finding {positive}"),
            spoken: "Sensitivity against false alarms at every threshold".to_owned(),
            x: Axis::unit("1 − specificity"),
            y: Axis::unit("sensitivity"),
            series,
            numbers: Some(numbers),
        });
        details.push(Detail::shown("thresholds", "Thresholds", vec![plot]));
    }
    details.extend(chosen.as_ref().map(Operated::detail));
    details
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
    format!("An example counts as `{}` from a probability of {} on{chosen}.", cut.positive_class, cut.threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_one_sentence() {
        let cut = Cut { positive_class: "ill".into(), rule: "specificity:0.9".parse().unwrap(), threshold: 0.625 };
        let intervals = [("sensitivity".to_owned(), (0.5, 0.75))].into();
        let found = AtThreshold { sensitivity: Some(0.6), intervals, ..AtThreshold::default() };
        let chosen = Operated { cut, found };
        let text = number::plain(&chosen.sentence());
        for part in
            ["`ill` from a probability of 0.625 on", "specificity:0.9, chosen", "sensitivity 0.600 (0.500 – 0.750)"]
        {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        let asked = Cut { rule: "threshold:0.625".parse().unwrap(), ..chosen.cut.clone() };
        let asked = Operated { cut: asked, ..chosen };
        assert!(asked.sentence().contains(", as asked for"));
    }
}
