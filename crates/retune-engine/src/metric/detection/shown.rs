//! What stands behind the numbers: classes, sizes, precision by recall, confusion with the background, and the threshold.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::operating::{self, counts};
use super::precision::{ClassBoxes, Curves, RECALLS};
use super::{AREAS, DetectionMetric, HALF, THREE_QUARTERS};
use crate::metric::classes::{Confusion, confusion};
use crate::metric::detail::{Axis, Block, Cell, Column, Detail, Plot, Series, Table};
use crate::number;

/// The key of the decision, and of the detail that shows what it does.
pub const KEY: &str = "score_threshold";
/// Rows of the table of classes, and lines of the plot, at most.
const MOST_ROWS: usize = 60;
const MOST_LINES: usize = 8;
/// Points of the plot of thresholds, at most.
const MOST_POINTS: usize = 200;

/// How well one class is found; a value is absent where it is not defined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DetectedClass {
    /// The class.
    pub name: String,
    /// Objects of it.
    pub objects: u64,
    /// Average precision over all overlaps.
    pub ap: Option<f64>,
    /// At an overlap of one half.
    pub ap_50: Option<f64>,
    /// At an overlap of three quarters.
    pub ap_75: Option<f64>,
    /// Recall of a hundred boxes.
    pub ar: Option<f64>,
    /// At the threshold, and an overlap of one half.
    pub precision: Option<f64>,
    /// The same.
    pub recall: Option<f64>,
    /// The same.
    pub f1: Option<f64>,
}

impl DetectionMetric {
    pub(super) fn details(
        &self,
        classes: &[ClassBoxes],
        all: &[Option<Curves>],
        sizes: &[Vec<Option<Curves>>],
        (threshold, chosen): (f64, bool),
    ) -> Vec<Detail> {
        vec![
            operated(classes, threshold, chosen),
            self.table(classes, all, threshold),
            self.plot(all),
            self.confusion(threshold),
            by_size(classes, sizes),
        ]
    }

    fn table(&self, classes: &[ClassBoxes], all: &[Option<Curves>], threshold: f64) -> Detail {
        let row = |((name, boxes), curves): ((&String, &ClassBoxes), &Option<Curves>)| {
            let at = counts(std::slice::from_ref(boxes), threshold);
            let of = |value: &dyn Fn(&Curves) -> f64| curves.as_ref().map(value);
            DetectedClass {
                name: name.clone(),
                objects: boxes.true_ones(0, |_| 1),
                ap: of(&Curves::mean),
                ap_50: of(&|curves| curves.at(HALF)),
                ap_75: of(&|curves| curves.at(THREE_QUARTERS)),
                ar: of(&Curves::mean_recall),
                precision: at.precision(),
                recall: at.recall(),
                f1: at.f1(),
            }
        };
        let rows: Vec<DetectedClass> = self.names.iter().zip(classes).zip(all).map(row).collect();
        let mut shown: Vec<&DetectedClass> = rows.iter().collect();
        let mut note = format!(
            "Precision and recall are those of boxes with a score of at least {}, at an overlap of 0.5.",
            number::value(threshold)
        );
        if shown.len() > MOST_ROWS {
            shown.retain(|row| row.objects > 0);
            shown.sort_by(|a, b| a.ap.unwrap_or(2.0).total_cmp(&b.ap.unwrap_or(2.0)));
            shown.truncate(MOST_ROWS);
            note = format!("The {} classes with the lowest AP out of {}. {note}", shown.len(), rows.len());
        }
        let line = |row: &&DetectedClass| {
            vec![
                Cell::text(&row.name),
                Cell::Count(row.objects),
                Cell::number(row.precision),
                Cell::number(row.recall),
                Cell::number(row.ar),
                Cell::number(row.ap_75),
                Cell::number(row.ap_50),
                Cell::number(row.ap),
            ]
        };
        let columns = vec![
            Column::words("class"),
            Column::numbers("objects"),
            Column::numbers("precision"),
            Column::numbers("recall"),
            Column::numbers("AR"),
            Column::numbers("AP 0.75"),
            Column::numbers("AP 0.50"),
            Column::bars("AP"),
        ];
        let table = Table { columns, rows: shown.iter().map(line).collect(), note };
        Detail::new("per_class", "Classes", &rows, vec![Block::Table(table)])
    }

    fn plot(&self, all: &[Option<Curves>]) -> Detail {
        let line = |(name, curves): (&String, &Curves)| {
            let points = (0..RECALLS).map(|i| (i as f64 * 0.01, curves.precision[HALF][i])).collect();
            Series::Line(format!("{name} ({})", number::value(curves.at(HALF))), points)
        };
        let mut lines: Vec<(&String, &Curves)> =
            self.names.iter().zip(all).filter_map(|(name, curves)| Some((name, curves.as_ref()?))).collect();
        let more = lines.len().saturating_sub(MOST_LINES);
        lines.sort_by(|a, b| a.1.at(HALF).total_cmp(&b.1.at(HALF)));
        lines.truncate(MOST_LINES);
        let caption = match more {
            0 => "Precision by recall at an overlap of 0.5".to_owned(),
            _ => format!("Precision by recall at an overlap of 0.5, of the {MOST_LINES} classes with the lowest AP"),
        };
        let spoken = "A falling line for each class: precision of the boxes found first, by the share of objects found"
            .to_owned();
        let plot = Plot {
            caption,
            spoken,
            x: Axis::unit("recall"),
            y: Axis::unit("precision"),
            series: lines.into_iter().map(line).collect(),
            numbers: None,
        };
        Detail::shown("precision_by_recall", "Precision and recall", vec![Block::Plot(plot)])
    }

    fn confusion(&self, threshold: f64) -> Detail {
        let nothing = self.names.len();
        let mut counts = vec![vec![0u64; nothing + 1]; nothing + 1];
        for (truth, found) in &self.pictures {
            for (t, i) in operating::pairs(truth, found, threshold) {
                counts[t.map_or(nothing, |t| truth[t].class)][i.map_or(nothing, |i| found[i].class)] += 1;
            }
        }
        let names = self.names.iter().cloned().chain(["background".to_owned()]).collect();
        confusion(&Confusion { names, counts }, Some(nothing))
    }
}

/// What the threshold does.
fn operated(classes: &[ClassBoxes], threshold: f64, chosen: bool) -> Detail {
    let at = counts(classes, threshold);
    let share = |value: Option<f64>| value.map_or("undefined".to_owned(), number::percent);
    let how = if chosen { "chosen by F1 on the validation split" } else { "not chosen on a validation split" };
    let words = format!(
        "Score threshold {} ({how}): precision {}, recall {}, F1 {} at an overlap of 0.5",
        number::value(threshold),
        share(at.precision()),
        share(at.recall()),
        share(at.f1())
    );
    let value = json!({"threshold": threshold, "precision": at.precision(), "recall": at.recall(), "f1": at.f1()});
    let points = operating::f1_by_threshold(classes);
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    let line: Vec<(f64, f64)> = points.into_iter().step_by(every).collect();
    let plot = Plot {
        caption: "F1 by score threshold".to_owned(),
        spoken: "A line of F1 over the threshold, with a ring at the one in use".to_owned(),
        x: Axis::unit("score threshold"),
        y: Axis::unit("F1"),
        series: vec![
            Series::Line(String::new(), line),
            Series::Ring("in use".to_owned(), (threshold, at.f1().unwrap_or(0.0))),
        ],
        numbers: None,
    };
    let shown = vec![Block::Words(words), Block::Plot(plot)];
    Detail { decided: chosen, ..Detail::new(KEY, "Score threshold", &value, shown) }
}

fn by_size(classes: &[ClassBoxes], sizes: &[Vec<Option<Curves>>]) -> Detail {
    let names = ["small (below 32 × 32 pixels)", "medium (up to 96 × 96)", "large"];
    let row = |(number, curves): (usize, &Vec<Option<Curves>>)| {
        let objects = classes.iter().map(|class| class.true_ones(number + 1, |_| 1)).sum();
        vec![
            Cell::text(names[number]),
            Cell::Count(objects),
            Cell::number(super::mean(curves, Curves::mean_recall)),
            Cell::number(super::mean(curves, |curves| curves.at(HALF))),
            Cell::number(super::mean(curves, Curves::mean)),
        ]
    };
    let columns = vec![
        Column::words("objects"),
        Column::numbers("count"),
        Column::numbers("AR"),
        Column::numbers("AP 0.50"),
        Column::bars("AP"),
    ];
    debug_assert_eq!(sizes.len() + 1, AREAS.len());
    let table = Table { columns, rows: sizes.iter().enumerate().map(row).collect(), note: String::new() };
    Detail::shown("by_size", "Sizes", vec![Block::Table(table)])
}
