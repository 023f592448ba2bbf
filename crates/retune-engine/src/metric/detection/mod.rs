//! The metrics of boxes with classes: average precision and recall as COCO's evaluation (pycocotools) computes them.
//!
//! Precision is averaged over 101 recalls, overlaps from 0.50 to 0.95 and classes; crowds are neither right nor wrong; at most
//! 100 boxes of a class count in a picture. Intervals resample pictures. What a threshold on the scores does is told beside it.

mod matching;
mod operating;
mod precision;
mod shown;

use super::bootstrap::{draw_counts, draws_for, percentile_intervals};
use super::evaluation::Evaluation;
use super::metric::Metric;
use matching::{AREAS, MOST_FOUND, THRESHOLDS, pair};
use precision::{ClassBoxes, Curves};

pub use shown::{DetectedClass, KEY};

/// The mean of all overlaps and classes.
pub const MAP: Metric = Metric::share("map", "mAP");
/// At an overlap of one half.
pub const MAP_50: Metric = Metric::share("map_50", "mAP at 0.50");
/// At an overlap of three quarters.
pub const MAP_75: Metric = Metric::share("map_75", "mAP at 0.75");
/// Of objects below 32 × 32 pixels.
pub const MAP_SMALL: Metric = Metric::share("map_small", "mAP, small");
/// Of objects up to 96 × 96 pixels.
pub const MAP_MEDIUM: Metric = Metric::share("map_medium", "mAP, medium");
/// Of larger objects.
pub const MAP_LARGE: Metric = Metric::share("map_large", "mAP, large");
/// Recall with one box of a class in a picture.
pub const MAR_1: Metric = Metric::share("mar_1", "Recall of 1");
/// Recall with ten boxes.
pub const MAR_10: Metric = Metric::share("mar_10", "Recall of 10");
/// Recall with a hundred boxes.
pub const MAR_100: Metric = Metric::share("mar_100", "Recall of 100");
/// Recall of objects below 32 × 32 pixels.
pub const MAR_SMALL: Metric = Metric::share("mar_small", "Recall, small");
/// Recall of objects up to 96 × 96 pixels.
pub const MAR_MEDIUM: Metric = Metric::share("mar_medium", "Recall, medium");
/// Recall of larger objects.
pub const MAR_LARGE: Metric = Metric::share("mar_large", "Recall, large");

const METRICS: [&Metric; 12] = [
    &MAP,
    &MAP_50,
    &MAP_75,
    &MAP_SMALL,
    &MAP_MEDIUM,
    &MAP_LARGE,
    &MAR_1,
    &MAR_10,
    &MAR_100,
    &MAR_SMALL,
    &MAR_MEDIUM,
    &MAR_LARGE,
];
/// Those that have an interval: the first ones.
const RESAMPLED: usize = 3;
/// Places of the overlaps one half and three quarters.
const HALF: usize = 0;
const THREE_QUARTERS: usize = 5;

/// An object that is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrueBox {
    /// Its class.
    pub class: usize,
    /// Left, top, right and bottom in pixels.
    pub corners: [f64; 4],
    /// By which it is small or large.
    pub area: f64,
    /// Many objects at once.
    pub crowd: bool,
}

/// An object that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoundBox {
    /// Its class.
    pub class: usize,
    /// How sure that is.
    pub score: f64,
    /// Left, top, right and bottom in pixels.
    pub corners: [f64; 4],
}

/// Keeps the boxes of all pictures.
pub struct DetectionMetric {
    names: Vec<String>,
    pictures: Vec<(Vec<TrueBox>, Vec<FoundBox>)>,
}

impl DetectionMetric {
    /// Nothing seen yet, of these classes.
    pub fn new(names: Vec<String>) -> Self {
        Self { names, pictures: Vec::new() }
    }

    /// What [`compute`](Self::compute) may give.
    pub fn metrics(&self) -> Vec<&'static Metric> {
        METRICS.to_vec()
    }

    /// Adds a picture. Returns how wrong it is where boxes below `threshold` do not count, from 0 to 1.
    pub fn add(&mut self, truth: Vec<TrueBox>, found: Vec<FoundBox>, threshold: f64) -> f32 {
        let severity = operating::severity(&truth, &found, threshold);
        self.pictures.push((truth, found));
        severity
    }

    /// The threshold on scores with the best F1 at an overlap of one half; `None` where nothing right was found.
    pub fn best_threshold(&self) -> Option<f64> {
        operating::best_threshold(&self.classes())
    }

    /// Boxes by class, paired.
    fn classes(&self) -> Vec<ClassBoxes> {
        let mut classes = vec![ClassBoxes::default(); self.names.len()];
        for (number, (truth, found)) in (0u32..).zip(&self.pictures) {
            for (class, boxes) in classes.iter_mut().enumerate() {
                let truth: Vec<&TrueBox> = truth.iter().filter(|it| it.class == class).collect();
                let found: Vec<&FoundBox> = found.iter().filter(|it| it.class == class).collect();
                if truth.is_empty() && found.is_empty() {
                    continue;
                }
                let (counted, there) = pair(number, &truth, &found);
                boxes.found.extend(counted);
                if there[0] > 0 {
                    boxes.there.push((number, there));
                }
            }
        }
        classes.iter_mut().for_each(ClassBoxes::sort);
        classes
    }

    /// Metrics of all pictures so far, and what the `threshold` does, which was `chosen` on another split or is the usual one.
    pub fn compute(&self, threshold: f64, chosen: bool) -> Evaluation {
        let pictures = self.pictures.len();
        let mut evaluation = Evaluation { examples: pictures, ..Evaluation::default() };
        let classes = self.classes();
        let curves = |range: usize, most: usize| -> Vec<Option<Curves>> {
            classes.iter().map(|class| class.curves(range, most, |_| 1)).collect()
        };
        let all = curves(0, MOST_FOUND);
        if all.iter().all(Option::is_none) {
            evaluation.notes.push("no picture has an object: no metric is defined".to_owned());
            return evaluation;
        }
        let sizes: Vec<Vec<Option<Curves>>> = (1..AREAS.len()).map(|range| curves(range, MOST_FOUND)).collect();
        let mut values = precisions(&all);
        values.extend(sizes.iter().map(|of| mean(of, Curves::mean)));
        values.extend([1, 10].map(|most| mean(&curves(0, most), Curves::mean_recall)));
        values.push(mean(&all, Curves::mean_recall));
        values.extend(sizes.iter().map(|of| mean(of, Curves::mean_recall)));
        let points: Vec<(&Metric, Option<f64>)> = METRICS.into_iter().zip(values).collect();
        for (metric, value) in &points {
            evaluation.metrics.extend(value.map(|value| (metric.key.to_owned(), value)));
        }
        let boxes: usize = classes.iter().map(|class| class.found.len()).sum();
        let drawn = draws_for(pictures, THRESHOLDS * boxes.div_ceil(pictures.max(1)));
        let sample: Vec<usize> = (0..drawn).map(|i| i * pictures / drawn).collect();
        let (mut counts, mut times) = (vec![0; drawn], vec![0u32; pictures]);
        evaluation.intervals = percentile_intervals(&points[..RESAMPLED], (drawn, pictures), |random| {
            draw_counts(random, &mut counts);
            sample.iter().zip(&counts).for_each(|(&picture, &count)| times[picture] = count);
            let curves: Vec<Option<Curves>> =
                classes.iter().map(|class| class.curves(0, MOST_FOUND, |picture| times[picture as usize])).collect();
            precisions(&curves)
        });
        let absent: Vec<&str> =
            self.names.iter().zip(&all).filter(|(_, it)| it.is_none()).map(|(name, _)| name.as_str()).collect();
        if !absent.is_empty() {
            let (are, names) = (if absent.len() == 1 { "class has" } else { "classes have" }, absent.join(", "));
            evaluation.notes.push(format!("{} {are} no object and are in no mean: {names}", absent.len()));
        }
        evaluation.details = self.details(&classes, &all, &sizes, (threshold, chosen));
        evaluation
    }
}

/// Values of the first metrics.
fn precisions(curves: &[Option<Curves>]) -> Vec<Option<f64>> {
    vec![
        mean(curves, Curves::mean),
        mean(curves, |curves| curves.at(HALF)),
        mean(curves, |curves| curves.at(THREE_QUARTERS)),
    ]
}

/// The mean of the classes that have objects.
fn mean(curves: &[Option<Curves>], of: impl Fn(&Curves) -> f64) -> Option<f64> {
    let values: Vec<f64> = curves.iter().flatten().map(of).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests;
