//! The metrics of a class for each pixel: intersection over union, Dice, the share of pixels that are right, and how far borders
//! lie apart.
//!
//! As `evaluate`'s `mean_iou` and MMSegmentation: pixels of all pictures count together, those without a class not at all,
//! and means run over the classes that occur as truth or as prediction. Borders are compared picture by picture, the mean of a class
//! is that of its pictures. Intervals resample pictures.

use serde::{Deserialize, Serialize};

use super::bootstrap::{draw_counts, draws_for, percentile_intervals};
use super::classes::{Confusion, confusion};
use super::detail::{Block, Cell, Column, Detail, Table};
use super::evaluation::Evaluation;
use super::metric::Metric;
use super::surfaces::borders;

/// Intersection over union, the mean of all classes.
pub const MEAN_IOU: Metric = Metric::share("mean_iou", "Mean IoU");
/// Dice's coefficient, the mean of all classes.
pub const DICE: Metric = Metric::share("dice", "Dice");
/// The share of pixels that are right.
pub const PIXEL_ACCURACY: Metric = Metric::share("pixel_accuracy", "Pixel accuracy");
/// The share of each class's pixels that are found, the mean of all classes.
pub const MEAN_ACCURACY: Metric = Metric::share("mean_accuracy", "Mean accuracy");
/// F1 of border pixels, the mean of all classes.
pub const BOUNDARY_F1: Metric = Metric::share("boundary_f1", "Boundary F1");
/// The 95th percentile of the Hausdorff distance in pixels, the mean of all classes.
pub const HAUSDORFF_95: Metric = Metric::error("hausdorff_95", "Hausdorff distance, 95th percentile");

const METRICS: [&Metric; 6] = [&MEAN_IOU, &DICE, &PIXEL_ACCURACY, &MEAN_ACCURACY, &BOUNDARY_F1, &HAUSDORFF_95];
/// Rows of the table of classes, at most.
const MOST_ROWS: usize = 60;

/// Pixels of a class: right, true and predicted; and its borders.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Pixels {
    right: u64,
    truth: u64,
    predicted: u64,
    f1: Sum,
    distance: Sum,
    /// Pictures where only the truth or only the prediction has the class.
    alone: u64,
}

/// Of what is defined in some pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sum {
    sum: f64,
    count: u64,
}

impl Sum {
    fn of(value: Option<f64>) -> Self {
        Self { sum: value.unwrap_or(0.0), count: value.is_some().into() }
    }

    fn add(&mut self, other: Self, times: u64) {
        self.sum += other.sum * times as f64;
        self.count += other.count * times;
    }

    fn mean(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl Pixels {
    fn union(self) -> u64 {
        self.truth + self.predicted - self.right
    }

    fn iou(self) -> Option<f64> {
        ratio(self.right, self.union())
    }

    fn dice(self) -> Option<f64> {
        ratio(2 * self.right, self.truth + self.predicted)
    }

    fn accuracy(self) -> Option<f64> {
        ratio(self.right, self.truth)
    }

    fn precision(self) -> Option<f64> {
        ratio(self.right, self.predicted)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The mean of what is defined.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = values.flatten().fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// Values of [`METRICS`].
fn scores(classes: &[Pixels]) -> Vec<Option<f64>> {
    let (right, all) = classes.iter().fold((0, 0), |(right, all), it| (right + it.right, all + it.truth));
    vec![
        mean(classes.iter().map(|it| it.iou())),
        mean(classes.iter().map(|it| it.dice())),
        ratio(right, all),
        mean(classes.iter().map(|it| it.accuracy())),
        mean(classes.iter().map(|it| it.f1.mean())),
        mean(classes.iter().map(|it| it.distance.mean())),
    ]
}

/// How well one class is found; a value is absent where it is not defined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SegmentedClass {
    /// The class.
    pub name: String,
    /// Pixels that are of it.
    pub pixels: u64,
    /// Intersection over union.
    pub iou: Option<f64>,
    /// Dice's coefficient, which is F1.
    pub dice: Option<f64>,
    /// Share of its pixels that are found.
    pub accuracy: Option<f64>,
    /// Share of the pixels said to be of it that are.
    pub precision: Option<f64>,
    /// F1 of its border pixels.
    pub boundary_f1: Option<f64>,
    /// 95th percentile of the Hausdorff distance, in pixels.
    pub hausdorff_95: Option<f64>,
}

/// Counts pixels, picture by picture.
pub struct SegmentationMetric {
    names: Vec<String>,
    /// `counts[truth · classes + predicted]` of all pictures.
    confusion: Vec<u64>,
    /// A row of classes for each picture.
    pictures: Vec<Pixels>,
}

impl SegmentationMetric {
    /// Nothing seen yet, of these classes.
    pub fn new(names: Vec<String>) -> Self {
        Self { confusion: vec![0; names.len() * names.len()], pictures: Vec::new(), names }
    }

    /// What [`compute`](Self::compute) gives.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        METRICS.to_vec()
    }

    /// Adds a picture: classes of its pixels, true and predicted, row by row of `width` pixels. Where either is no class, the pixel does
    /// not count. Returns the mean intersection over union of the picture alone, if it has a pixel that counts.
    pub fn add(&mut self, truth: &[u8], predicted: &[u8], width: usize) -> Option<f64> {
        let classes = self.names.len();
        let mut own = vec![0u64; classes * classes];
        for (&truth, &predicted) in truth.iter().zip(predicted) {
            let (truth, predicted) = (usize::from(truth), usize::from(predicted));
            if truth < classes && predicted < classes {
                own[truth * classes + predicted] += 1;
            }
        }
        let mut rows = vec![Pixels::default(); classes];
        for truth in 0..classes {
            for predicted in 0..classes {
                let count = own[truth * classes + predicted];
                rows[truth].truth += count;
                rows[predicted].predicted += count;
                if truth == predicted {
                    rows[truth].right += count;
                }
            }
        }
        for (row, borders) in rows.iter_mut().zip(borders(truth, predicted, width, classes)) {
            (row.f1, row.distance) = (Sum::of(borders.f1), Sum::of(borders.distance));
            row.alone = borders.alone.into();
        }
        self.confusion.iter_mut().zip(&own).for_each(|(all, own)| *all += own);
        let iou = scores(&rows)[0];
        self.pictures.extend(rows);
        iou
    }

    /// Metrics of all pictures so far.
    pub fn compute(&self) -> Evaluation {
        let classes = self.names.len().max(1);
        let pictures = self.pictures.len() / classes;
        let mut evaluation = Evaluation { examples: pictures, ..Evaluation::default() };
        let mut all = vec![Pixels::default(); classes];
        self.pictures.chunks_exact(classes).for_each(|picture| add(&mut all, picture, 1));
        let values = scores(&all);
        if values[2].is_none() {
            evaluation.notes.push("no pixel has a class: no metric is defined".to_owned());
            return evaluation;
        }
        let points: Vec<(&Metric, Option<f64>)> = METRICS.into_iter().zip(values).collect();
        for (metric, value) in &points {
            evaluation.metrics.extend(value.map(|value| (metric.key.to_owned(), value)));
        }
        let drawn = draws_for(pictures, 3 * classes);
        let sample: Vec<&[Pixels]> =
            (0..drawn).map(|i| &self.pictures[i * pictures / drawn * classes..][..classes]).collect();
        let mut counts = vec![0; drawn];
        evaluation.intervals = percentile_intervals(&points, (drawn, pictures), |random| {
            draw_counts(random, &mut counts);
            let mut sums = vec![Pixels::default(); classes];
            for (picture, &times) in sample.iter().zip(&counts).filter(|(_, times)| **times > 0) {
                add(&mut sums, picture, times.into());
            }
            scores(&sums)
        });
        let absent: Vec<&str> =
            self.names.iter().zip(&all).filter(|(_, it)| it.union() == 0).map(|(name, _)| name.as_str()).collect();
        if !absent.is_empty() {
            let are = if absent.len() == 1 { "class is" } else { "classes are" };
            let names = absent.join(", ");
            evaluation
                .notes
                .push(format!("{} {are} neither true nor predicted anywhere and in no mean: {names}", absent.len()));
        }
        let alone: u64 = all.iter().map(|it| it.alone).sum();
        if alone > 0 {
            evaluation.notes.push(format!(
                "hausdorff_95 leaves out {alone} times that a class is only true or only predicted in a picture: there is no distance"
            ));
        }
        evaluation.details = vec![self.table(&all), self.matrix()];
        evaluation
    }

    fn table(&self, all: &[Pixels]) -> Detail {
        let row = |(name, it): (&String, &Pixels)| SegmentedClass {
            name: name.clone(),
            pixels: it.truth,
            iou: it.iou(),
            dice: it.dice(),
            accuracy: it.accuracy(),
            precision: it.precision(),
            boundary_f1: it.f1.mean(),
            hausdorff_95: it.distance.mean(),
        };
        let rows: Vec<SegmentedClass> = self.names.iter().zip(all).map(row).collect();
        let mut shown: Vec<&SegmentedClass> = rows.iter().collect();
        let mut note = String::new();
        if shown.len() > MOST_ROWS {
            shown.retain(|row| row.pixels > 0);
            shown.sort_by(|a, b| a.iou.unwrap_or(2.0).total_cmp(&b.iou.unwrap_or(2.0)));
            shown.truncate(MOST_ROWS);
            note = format!("The {} classes with the lowest IoU out of {}.", shown.len(), rows.len());
        }
        let total: u64 = rows.iter().map(|row| row.pixels).sum();
        let line = |row: &&SegmentedClass| {
            vec![
                Cell::text(&row.name),
                Cell::Share(row.pixels as f64 / total.max(1) as f64),
                Cell::number(row.accuracy),
                Cell::number(row.precision),
                Cell::number(row.boundary_f1),
                Cell::number(row.hausdorff_95),
                Cell::number(row.dice),
                Cell::number(row.iou),
            ]
        };
        let columns = vec![
            Column::words("class"),
            Column::numbers("pixels"),
            Column::numbers("accuracy"),
            Column::numbers("precision"),
            Column::numbers("boundary F1"),
            Column::numbers("Hausdorff 95"),
            Column::numbers("Dice"),
            Column::bars("IoU"),
        ];
        let table = Table { columns, rows: shown.iter().map(line).collect(), note };
        Detail::new("per_class", "Classes", &rows, vec![Block::Table(table)])
    }

    fn matrix(&self) -> Detail {
        let counts = self.confusion.chunks(self.names.len().max(1)).map(<[u64]>::to_vec).collect();
        confusion(&Confusion { names: self.names.clone(), counts }, None)
    }
}

fn add(sums: &mut [Pixels], picture: &[Pixels], times: u64) {
    for (sum, it) in sums.iter_mut().zip(picture) {
        sum.right += it.right * times;
        sum.truth += it.truth * times;
        sum.predicted += it.predicted * times;
        sum.alone += it.alone * times;
        sum.f1.add(it.f1, times);
        sum.distance.add(it.distance, times);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("c{i}")).collect()
    }

    #[test]
    fn by_hand() {
        let mut metric = SegmentationMetric::new(names(4));
        // Class 3 occurs nowhere; the last two pixels have no class.
        let of_first = metric.add(&[0, 0, 1, 1, 255, 255], &[0, 1, 1, 1, 2, 0], 6);
        assert!((of_first.unwrap() - (0.5 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        metric.add(&[2, 2, 0], &[2, 0, 0], 3);
        assert_eq!(metric.add(&[255, 255], &[0, 1], 2), None);
        let evaluation = metric.compute();
        // Class 0: 2 right, 3 true, 3 predicted; class 1: 2, 2, 3; class 2: 1, 2, 1.
        let iou = [2.0 / 4.0, 2.0 / 3.0, 1.0 / 2.0];
        let dice = [4.0 / 6.0, 4.0 / 5.0, 2.0 / 3.0];
        let of = |key: &str| evaluation.metrics[key];
        assert!((of("mean_iou") - iou.iter().sum::<f64>() / 3.0).abs() < 1e-12);
        assert!((of("dice") - dice.iter().sum::<f64>() / 3.0).abs() < 1e-12);
        assert!((of("pixel_accuracy") - 5.0 / 7.0).abs() < 1e-12);
        assert!((of("mean_accuracy") - (2.0 / 3.0 + 1.0 + 0.5) / 3.0).abs() < 1e-12);
        assert_eq!(evaluation.examples, 3);
        assert!(evaluation.notes[0].contains("c3"), "{:?}", evaluation.notes);
        let rows: Vec<SegmentedClass> = evaluation.read("per_class").unwrap();
        assert_eq!((rows[0].iou, rows[3].iou, rows[2].pixels), (Some(0.5), None, 2));
        let confusion: Confusion = evaluation.read("confusion").unwrap();
        assert_eq!(confusion.counts[0], [2, 1, 0, 0]);
    }

    #[test]
    fn intervals_resample_pictures() {
        let mut metric = SegmentationMetric::new(names(2));
        for picture in 0..50u8 {
            // Whole pictures are right or wrong: pixels of one are not independent.
            let predicted = u8::from(picture % 5 == 0);
            metric.add(&[0; 400], &[predicted; 400], 20);
            metric.add(&[1; 400], &[1; 400], 20);
        }
        let evaluation = metric.compute();
        let (value, interval) = evaluation.value("pixel_accuracy").unwrap();
        let (low, high) = interval.unwrap();
        assert!((value - 0.9).abs() < 1e-12 && low < 0.87 && high > 0.93, "{value} {low} {high}");
        assert!(SegmentationMetric::new(names(2)).compute().metrics.is_empty());
    }
}
