//! Logarithmic filter banks as AST's extractor makes them, which follows Kaldi (Povey et al. 2011): pieces of 25 ms, 10 ms apart.

use std::sync::Arc;

use super::super::mel::{Filter, Scale};
use super::super::spectrum::{Spectrum, Window};

/// Samples of a piece, from one to the next, and of its transform, at [`RATE`].
pub(super) const SIZES: (usize, usize, usize) = (400, 160, 512);
/// The rate that these are for.
pub(super) const RATE: u32 = 16_000;
/// What is taken from each sample of the one before.
const PREEMPHASIS: f64 = 0.97;
/// Where filters begin.
const LOWEST: f64 = 20.0;
/// The least energy of a filter: the distance of single precision from 1.
const FLOOR: f64 = 1.192_092_955_078_125e-7;

/// The logarithms of what filters let through of each piece.
#[derive(Clone)]
pub(super) struct Energies {
    spectrum: Arc<Spectrum>,
    filters: Arc<Vec<Filter>>,
}

impl Energies {
    pub(super) fn new(bins: usize, window: Window) -> Self {
        let spectrum = Spectrum::new(SIZES.0, SIZES.1, SIZES.2, window, Some(PREEMPHASIS));
        let highest = f64::from(RATE / 2);
        let filters = Scale::Kaldi.filters((bins, spectrum.frequencies()), (LOWEST, highest), RATE);
        Self { spectrum: Arc::new(spectrum), filters: Arc::new(filters) }
    }

    pub(super) fn bins(&self) -> usize {
        self.filters.len()
    }

    /// Writes those of each whole piece of `samples` into `values` [frames, bins], which has room for them.
    pub(super) fn of(&self, samples: &[f64], values: &mut [f64]) {
        let bins = self.bins();
        self.spectrum.of(samples, |frame, power| {
            for (value, filter) in values[frame * bins..][..bins].iter_mut().zip(self.filters.iter()) {
                *value = filter.apply(power).max(FLOOR).ln();
            }
        });
    }
}

/// The filter bank of a sound, cut or padded to so many frames.
#[derive(Clone)]
pub(crate) struct FilterBank {
    energies: Energies,
    frames: usize,
    /// Mean and standard deviation of what it was trained on.
    normalise: Option<(f64, f64)>,
}

impl FilterBank {
    pub(super) fn new(bins: usize, frames: usize, normalise: Option<(f64, f64)>) -> Self {
        Self { energies: Energies::new(bins, Window::Hann), frames, normalise }
    }

    /// Samples that one frame needs.
    pub(crate) fn least_samples() -> usize {
        SIZES.0
    }

    /// Frames and bins.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.frames, self.energies.bins())
    }

    /// [frames, bins] of a sound.
    pub(crate) fn of(&self, sound: &[f32]) -> Vec<f32> {
        let samples: Vec<f64> = sound.iter().map(|&sample| f64::from(sample)).collect();
        let (frames, bins) = self.shape();
        // Frames behind the end hold 0 before they are normalised, as in Hugging Face.
        let mut values = vec![0.0; frames * bins];
        self.energies.of(&samples[..samples.len().min(SIZES.0 + SIZES.1 * (frames - 1))], &mut values);
        let (mean, scale) = self.normalise.map_or((0.0, 1.0), |(mean, deviation)| (mean, 2.0 * deviation));
        values.into_iter().map(|value| ((value - mean) / scale) as f32).collect()
    }
}
