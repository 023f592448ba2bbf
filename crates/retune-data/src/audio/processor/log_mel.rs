//! Log-mel spectrograms as Whisper's extractor makes them (Radford et al. 2022, §2.2): 8 below the loudest at most, around 0.

use std::sync::Arc;

use super::super::mel::{Filter, Scale};
use super::super::spectrum::{Spectrum, Window};

/// The highest frequency of all filters, whatever the rate.
const HIGHEST: f64 = 8000.0;
/// The least energy of a filter: that of silence.
const FLOOR: f64 = 1e-10;

/// The spectrogram of a piece of fixed length.
#[derive(Clone)]
pub(crate) struct LogMel {
    spectrum: Arc<Spectrum>,
    filters: Arc<Vec<Filter>>,
    size: usize,
    hop: usize,
    /// Samples of a piece: others are cut, or padded with silence.
    samples: usize,
}

impl LogMel {
    /// `bins` filters over transforms of `size` samples, `hop` apart, of pieces of `samples`.
    pub(super) fn new(bins: usize, (size, hop): (usize, usize), samples: usize, rate: u32) -> Self {
        let spectrum = Spectrum::new(size, hop, size, Window::Periodic, None);
        let filters = Scale::Slaney.filters((bins, spectrum.frequencies()), (0.0, HIGHEST), rate);
        Self { spectrum: Arc::new(spectrum), filters: Arc::new(filters), size, hop, samples }
    }

    /// Frames and bins.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.samples / self.hop, self.filters.len())
    }

    /// Samples of a piece.
    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    /// [bins, frames] of a sound, cut or padded to a piece.
    pub(crate) fn of(&self, sound: &[f32]) -> Vec<f32> {
        self.of_samples(sound, self.samples)
    }

    /// [bins, any frames] of all of a sound, of a piece at least.
    pub(crate) fn of_whole(&self, sound: &[f32]) -> Vec<f32> {
        self.of_samples(sound, sound.len().max(self.samples))
    }

    fn of_samples(&self, sound: &[f32], samples: usize) -> Vec<f32> {
        let mut piece: Vec<f64> = sound.iter().take(samples).map(|&sample| f64::from(sample)).collect();
        piece.resize(samples, 0.0);
        let (frames, bins, half) = (samples / self.hop, self.filters.len(), self.size / 2);
        // Pieces stand around their places, so that both ends are mirrored.
        let mirrored = (1..=half).rev().map(|i| piece[i]).chain(piece.iter().copied());
        let padded: Vec<f64> = mirrored.chain((1..=half).map(|i| piece[piece.len() - 1 - i])).collect();
        // Pieces behind the end of the sound are silence, and need no transform.
        let heard = (sound.len() + half).div_ceil(self.hop).clamp(1, frames);
        let mut values = vec![FLOOR.log10(); bins * frames];
        self.spectrum.of(&padded[..(heard - 1) * self.hop + self.size], |frame, power| {
            for (bin, filter) in self.filters.iter().enumerate() {
                values[bin * frames + frame] = filter.apply(power).max(FLOOR).log10();
            }
        });
        let loudest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        values.into_iter().map(|value| ((value.max(loudest - 8.0) + 4.0) / 4.0) as f32).collect()
    }
}
