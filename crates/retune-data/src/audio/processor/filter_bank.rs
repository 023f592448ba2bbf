//! Logarithmic filter banks as AST's extractor makes them, which follows Kaldi (Povey et al. 2011): pieces of 25 ms, 10 ms apart.

use std::sync::Arc;

use super::super::mel::{Filter, Scale};
use super::super::spectrum::Spectrum;

/// Samples of a piece, from one to the next, and of its transform, at [`RATE`].
const SIZES: (usize, usize, usize) = (400, 160, 512);
/// The rate that these are for.
pub(super) const RATE: u32 = 16_000;
/// What is taken from each sample of the one before.
const PREEMPHASIS: f64 = 0.97;
/// Where filters begin.
const LOWEST: f64 = 20.0;
/// The least energy of a filter: the distance of single precision from 1.
const FLOOR: f64 = 1.192_092_955_078_125e-7;

/// The filter bank of a sound, cut or padded to so many frames.
#[derive(Clone)]
pub(crate) struct FilterBank {
    spectrum: Arc<Spectrum>,
    filters: Arc<Vec<Filter>>,
    frames: usize,
    /// Mean and standard deviation of what it was trained on.
    normalise: Option<(f64, f64)>,
}

impl FilterBank {
    pub(super) fn new(bins: usize, frames: usize, normalise: Option<(f64, f64)>) -> Self {
        let spectrum = Spectrum::new(SIZES.0, SIZES.1, SIZES.2, false, Some(PREEMPHASIS));
        let highest = f64::from(RATE / 2);
        let filters = Scale::Kaldi.filters((bins, spectrum.frequencies()), (LOWEST, highest), RATE);
        Self { spectrum: Arc::new(spectrum), filters: Arc::new(filters), frames, normalise }
    }

    /// Samples that one frame needs.
    pub(crate) fn least_samples() -> usize {
        SIZES.0
    }

    /// Frames and bins.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.frames, self.filters.len())
    }

    /// [frames, bins] of a sound.
    pub(crate) fn of(&self, sound: &[f32]) -> Vec<f32> {
        let samples: Vec<f64> = sound.iter().map(|&sample| f64::from(sample)).collect();
        let (frames, bins) = self.shape();
        // Frames behind the end hold 0 before they are normalised, as in Hugging Face.
        let mut values = vec![0.0; frames * bins];
        self.spectrum.of(&samples[..samples.len().min(SIZES.0 + SIZES.1 * (frames - 1))], |frame, power| {
            for (value, filter) in values[frame * bins..][..bins].iter_mut().zip(self.filters.iter()) {
                *value = filter.apply(power).max(FLOOR).ln();
            }
        });
        let (mean, scale) = self.normalise.map_or((0.0, 1.0), |(mean, deviation)| (mean, 2.0 * deviation));
        values.into_iter().map(|value| ((value - mean) / scale) as f32).collect()
    }
}
