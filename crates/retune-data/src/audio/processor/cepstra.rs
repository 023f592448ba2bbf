//! Mel-frequency cepstral coefficients as the published weights of KWT have them in their graph (Berg et al. 2021, §3): the cosine
//! transform of the logarithms of what filters let through of magnitudes.

use std::f64::consts::PI;
use std::sync::Arc;

use super::super::mel::{Filter, Scale};
use super::super::spectrum::{Spectrum, Window};

/// What is extracted; `KwtFeatureExtractor`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct CepstraSizes {
    /// Samples a second.
    pub(super) rate: u32,
    /// Samples of a sound: others are cut, or padded with silence.
    pub(super) samples: usize,
    /// Samples of a piece, from one to the next, and of its transform.
    pub(super) piece: (usize, usize, usize),
    /// Filters, and coefficients that are kept.
    pub(super) bins: (usize, usize),
    /// Hertz between which the filters lie.
    pub(super) hertz: (f64, f64),
    /// The least that counts of a filter.
    pub(super) floor: f64,
}

impl CepstraSizes {
    /// Whole pieces of a sound.
    pub(super) fn frames(&self) -> usize {
        self.samples.checked_sub(self.piece.0).map_or(0, |rest| rest / self.piece.1 + 1)
    }
}

/// The coefficients of a sound of fixed length.
#[derive(Clone)]
pub(crate) struct Cepstra {
    spectrum: Arc<Spectrum>,
    filters: Arc<Vec<Filter>>,
    /// [coefficients, filters].
    cosines: Arc<Vec<f64>>,
    sizes: CepstraSizes,
}

impl Cepstra {
    pub(super) fn new(sizes: CepstraSizes) -> Self {
        let ((length, hop, size), (bins, kept)) = (sizes.piece, sizes.bins);
        let spectrum = Spectrum::new(length, hop, size, Window::Periodic, None);
        let filters = Scale::Kaldi.filters((bins, spectrum.frequencies()), sizes.hertz, sizes.rate);
        let scale = (2.0 / bins as f64).sqrt();
        let cosine = |i: usize| {
            let (coefficient, bin) = ((i / bins) as f64, (i % bins) as f64);
            scale * (PI * coefficient * (bin + 0.5) / bins as f64).cos()
        };
        let cosines = (0..kept * bins).map(cosine).collect();
        Self { spectrum: Arc::new(spectrum), filters: Arc::new(filters), cosines: Arc::new(cosines), sizes }
    }

    /// Frames and coefficients.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.sizes.frames(), self.sizes.bins.1)
    }

    /// Samples of a sound.
    pub(crate) fn samples(&self) -> usize {
        self.sizes.samples
    }

    /// [frames, coefficients] of a sound, cut or padded.
    pub(crate) fn of(&self, sound: &[f32]) -> Vec<f32> {
        let mut samples: Vec<f64> = sound.iter().take(self.sizes.samples).map(|&sample| f64::from(sample)).collect();
        samples.resize(self.sizes.samples, 0.0);
        let (frames, kept) = self.shape();
        let mut values = vec![0.0f32; frames * kept];
        self.spectrum.of(&samples, |frame, power| {
            let magnitudes: Vec<f64> = power.iter().map(|power| power.sqrt()).collect();
            let logs: Vec<f64> =
                self.filters.iter().map(|filter| filter.apply(&magnitudes).max(self.sizes.floor).ln()).collect();
            let rows = self.cosines.chunks_exact(logs.len());
            for (value, cosines) in values[frame * kept..][..kept].iter_mut().zip(rows) {
                *value = logs.iter().zip(cosines).map(|(log, cosine)| log * cosine).sum::<f64>() as f32;
            }
        });
        values
    }
}
