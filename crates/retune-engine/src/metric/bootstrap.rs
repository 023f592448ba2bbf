//! Seeded percentile bootstrap (Efron & Tibshirani 1993, §13.3) for metrics without a closed form.
//!
//! A split larger than [`MAX_EXAMPLES`] is resampled with fewer draws, and the interval is shrunk by
//! the square root of the ratio (Bickel et al. 1997, "m out of n"), so the cost is bounded and the
//! width still belongs to the whole split.

use super::evaluation::Intervals;
use super::metric::Metric;

/// Resamples per interval.
pub(super) const RESAMPLES: usize = 200;
/// Largest number of examples drawn per resample.
pub(super) const MAX_EXAMPLES: usize = 20_000;
/// Largest number of (example, column, resample) visits spent on one interval.
const MAX_VISITS: usize = 200_000_000;
const SEED: u64 = 0x5eed_0f7e_575e_ed00;

/// SplitMix64 (Steele et al. 2014): small, seeded, the same on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; the bias of at most `bound / 2^64` is of no consequence here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

/// How many of `examples` one resample draws, when each costs `columns` visits.
pub(super) fn draws_for(examples: usize, columns: usize) -> usize {
    let affordable = MAX_VISITS / (RESAMPLES * columns.max(1));
    examples.min(MAX_EXAMPLES).min(affordable.max(100))
}

/// `counts[i]`: how often a resample of `counts.len()` examples drew example `i`.
pub(super) fn draw_counts(random: &mut Random, counts: &mut [u32]) {
    counts.fill(0);
    let bound = counts.len() as u64;
    for _ in 0..counts.len() {
        counts[random.below(bound) as usize] += 1;
    }
}

/// 95 % intervals of several statistics.
///
/// `points` are the metrics and their values on the whole split; `resample` answers with the values on one
/// resample of `drawn` out of `examples`, in the same order, `None` where undefined. A statistic that
/// never varies gets no interval (a resample cannot contain an error that never happened, so zero
/// width would be a false promise), nor does one undefined in more than a tenth of the resamples.
pub(super) fn percentile_intervals(
    points: &[(&Metric, Option<f64>)],
    sizes: (usize, usize),
    resample: impl FnMut(&mut Random) -> Vec<Option<f64>>,
) -> Intervals {
    intervals(points, sizes, false, resample)
}

/// The same for a statistic that a resample distorts, because it repeats rows: each interval is moved to its point.
pub(super) fn centred_intervals(
    points: &[(&Metric, Option<f64>)],
    sizes: (usize, usize),
    resample: impl FnMut(&mut Random) -> Vec<Option<f64>>,
) -> Intervals {
    intervals(points, sizes, true, resample)
}

fn intervals(
    points: &[(&Metric, Option<f64>)],
    (drawn, examples): (usize, usize),
    centred: bool,
    mut resample: impl FnMut(&mut Random) -> Vec<Option<f64>>,
) -> Intervals {
    let mut values: Vec<Vec<f64>> = vec![Vec::with_capacity(RESAMPLES); points.len()];
    if drawn >= 2 {
        let mut random = Random::new(SEED);
        for _ in 0..RESAMPLES {
            for (column, value) in values.iter_mut().zip(resample(&mut random)) {
                column.extend(value.filter(|v| v.is_finite()));
            }
        }
    }
    let shrink = (drawn as f64 / examples.max(1) as f64).sqrt();
    let mut intervals = Intervals::new();
    for ((metric, point), column) in points.iter().zip(&mut values) {
        let Some(point) = *point else { continue };
        if column.len() * 10 < RESAMPLES * 9 {
            continue;
        }
        column.sort_by(f64::total_cmp);
        let (mut low, mut high) = (quantile(column, 0.025), quantile(column, 0.975));
        if high - low <= 1e-12 * point.abs().max(1.0) {
            continue;
        }
        if drawn < examples || centred {
            let middle = quantile(column, 0.5);
            let (least, most) = metric.range;
            low = (point + (low - middle) * shrink).max(least);
            high = (point + (high - middle) * shrink).min(most);
        }
        intervals.insert(metric.key.to_owned(), (low, high));
    }
    intervals
}

/// The linear-interpolation quantile of sorted, non-empty values (NumPy's default).
fn quantile(sorted: &[f64], probability: f64) -> f64 {
    let place = probability * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Metric = Metric::error("size", "Size");

    /// The mean of 0..n has a known standard error; the bootstrap must find it.
    fn mean_interval(examples: usize) -> (f64, f64) {
        let drawn = draws_for(examples, 1);
        let mean = (examples - 1) as f64 / 2.0;
        let mut counts = vec![0; drawn];
        let intervals = percentile_intervals(&[(&SIZE, Some(mean))], (drawn, examples), |random| {
            draw_counts(random, &mut counts);
            let sum: f64 = (0..drawn).map(|i| f64::from(counts[i]) * (i * examples / drawn) as f64).sum();
            vec![Some(sum / drawn as f64)]
        });
        intervals["size"]
    }

    #[test]
    fn width_matches_the_standard_error_also_when_fewer_rows_are_drawn() {
        for examples in [500, 20_000, 80_000] {
            let (low, high) = mean_interval(examples);
            let n = examples as f64;
            let expected = 2.0 * 1.96 * (n / 12f64.sqrt()) / n.sqrt();
            let ratio = (high - low) / expected;
            assert!((0.8..1.2).contains(&ratio), "{examples}: {ratio}");
        }
    }

    #[test]
    fn constant_or_mostly_undefined_statistics_have_no_interval() {
        let mut turn = 0;
        let points = [(&SIZE, Some(1.0)), (&SIZE, Some(0.5)), (&SIZE, None)];
        let intervals = percentile_intervals(&points, (50, 50), |random| {
            turn += 1;
            let noise = random.below(100) as f64;
            vec![Some(1.0), (turn % 2 == 0).then_some(noise), Some(noise)]
        });
        assert!(intervals.is_empty(), "{intervals:?}");
    }

    #[test]
    fn quantiles_interpolate_like_numpy() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(quantile(&sorted, 0.5), 3.0);
        assert_eq!(quantile(&sorted, 0.25), 1.75);
        assert_eq!(quantile(&sorted, 1.0), 8.0);
    }
}
