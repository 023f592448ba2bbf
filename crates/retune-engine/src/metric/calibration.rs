//! Whether confidences mean what they say: the expected calibration error and the reliability diagram (Guo et al. 2017,
//! equal-width bins).

use serde::{Deserialize, Serialize};

use super::bootstrap::{centred_intervals, draw_counts, draws_for};
use super::detail::{Axis, Bar, Block, Cell, Column, Detail, Plot, Series, Table};
use super::evaluation::Evaluation;
use super::metric::Metric;

/// How far confidence and share of right answers are apart, over all bins.
pub const CALIBRATION_ERROR: Metric = Metric::mistakes("calibration_error", "Calibration error");

const BINS: usize = 15;
/// Confidences kept for the interval of the error: 32 MiB.
const MAX_CONFIDENCES: usize = 1 << 22;

/// One bin `(low, high]` of a reliability diagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Lower edge of the confidence, exclusive (the first bin includes 0).
    pub low: f64,
    /// Upper edge, inclusive.
    pub high: f64,
    /// Predictions in the bin.
    pub count: u64,
    /// Their mean confidence; 0 when the bin is empty.
    pub confidence: f64,
    /// The share of them that is right; 0 when the bin is empty.
    pub accuracy: f64,
}

/// Confidences and whether they were right.
pub(super) struct Calibration {
    bins: [Sums; BINS],
    /// Each of them, for the bootstrap; none past [`MAX_CONFIDENCES`].
    rows: Option<Vec<(f32, bool)>>,
}

#[derive(Clone, Copy, Default)]
struct Sums {
    count: u64,
    right: u64,
    confidence: f64,
}

impl Sums {
    fn add(&mut self, confidence: f64, right: bool, times: u64) {
        self.count += times;
        self.right += u64::from(right) * times;
        self.confidence += confidence * times as f64;
    }
}

impl Default for Calibration {
    fn default() -> Self {
        Self { bins: [Sums::default(); BINS], rows: Some(Vec::new()) }
    }
}

impl Calibration {
    /// Adds one prediction.
    pub(super) fn add(&mut self, confidence: f32, right: bool) {
        self.bins[bin_of(confidence.into())].add(confidence.into(), right, 1);
        if let Some(rows) = &mut self.rows {
            rows.push((confidence, right));
            if rows.len() > MAX_CONFIDENCES {
                self.rows = None;
            }
        }
    }

    /// Puts error, interval and diagram into an evaluation.
    pub(super) fn tell(&self, evaluation: &mut Evaluation) {
        let error = error(&self.bins);
        evaluation.metrics.insert(CALIBRATION_ERROR.key.to_owned(), error);
        evaluation.details.push(self.diagram(error));
        let Some(rows) = &self.rows else { return };
        let examples = rows.len();
        let drawn = draws_for(examples, 1);
        let mut counts = vec![0; drawn];
        let points = [(&CALIBRATION_ERROR, Some(error))];
        // Repeated rows alone make bins disagree more: the error of a resample is larger on average.
        evaluation.intervals.extend(centred_intervals(&points, (drawn, examples), |random| {
            draw_counts(random, &mut counts);
            let mut bins = [Sums::default(); BINS];
            for (index, times) in counts.iter().enumerate().filter(|(_, times)| **times > 0) {
                let (confidence, right) = rows[index * examples / drawn];
                bins[bin_of(confidence.into())].add(confidence.into(), right, u64::from(*times));
            }
            vec![Some(self::error(&bins))]
        }));
    }

    fn diagram(&self, error: f64) -> Detail {
        let bins: Vec<CalibrationBin> = self.bins.iter().enumerate().map(bin).collect();
        let total: u64 = bins.iter().map(|bin| bin.count).sum();
        // A bin of few examples says little.
        let few = |bin: &CalibrationBin| bin.count * 50 < total || bin.count < 10;
        let bars = |faint: bool| {
            let chosen = bins.iter().filter(|bin| bin.count > 0 && few(bin) == faint);
            chosen.map(|bin| Bar { over: (bin.low, bin.high), height: bin.accuracy }).collect()
        };
        let row = |bin: &CalibrationBin| {
            vec![
                Cell::Text(format!("{:.2}–{:.2}", bin.low, bin.high)),
                Cell::Count(bin.count),
                Cell::Number(bin.confidence),
                Cell::Number(bin.accuracy),
            ]
        };
        let columns = ["predictions", "mean confidence", "share right"].map(Column::numbers);
        let numbers = Table {
            columns: [Column::words("confidence")].into_iter().chain(columns).collect(),
            rows: bins.iter().filter(|bin| bin.count > 0).map(row).collect(),
            note: String::new(),
        };
        let plot = Plot {
            caption: "Reliability".to_owned(),
            spoken: "Share of right predictions at each confidence".to_owned(),
            x: Axis::unit("confidence"),
            y: Axis::unit("share right"),
            series: vec![
                Series::Bars("observed".to_owned(), bars(false)),
                Series::FaintBars("few examples".to_owned(), bars(true)),
                Series::Reference("perfect".to_owned(), vec![(0.0, 0.0), (1.0, 1.0)]),
            ],
            numbers: Some(numbers),
        };
        let words = format!(
            "When the model names a probability, it is off by {:.1} percentage points on average (expected calibration error, \
             {BINS} bins). Bars below the dashed line mean overconfidence, bars above it caution.",
            error * 100.0
        );
        Detail::new("calibration", "Calibration", &bins, vec![Block::Plot(plot), Block::Words(words)])
    }
}

fn bin((index, sums): (usize, &Sums)) -> CalibrationBin {
    let count = sums.count.max(1) as f64;
    CalibrationBin {
        low: index as f64 / BINS as f64,
        high: (index + 1) as f64 / BINS as f64,
        count: sums.count,
        confidence: sums.confidence / count,
        accuracy: sums.right as f64 / count,
    }
}

/// The bin `(low, high]` of a confidence.
fn bin_of(confidence: f64) -> usize {
    ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1
}

fn error(bins: &[Sums]) -> f64 {
    let apart: f64 = bins.iter().map(|bin| (bin.right as f64 - bin.confidence).abs()).sum();
    apart / bins.iter().map(|bin| bin.count).sum::<u64>().max(1) as f64
}
