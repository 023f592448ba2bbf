//! Filter banks as SeamlessM4T's extractor makes them, for Wav2Vec2-BERT: each bin of a sound gets mean 0 and variance 1, then
//! neighbouring pieces stand side by side.

use super::super::spectrum::Window;
use super::filter_bank::{Energies, SIZES};

/// Samples are multiplied by this, so that they are those of 16 bits.
const LOUDNESS: f64 = 32_768.0;
/// Pieces of a batch are padded to a multiple of this before they are put together.
const EVEN: usize = 2;

/// Frames of several pieces.
#[derive(Clone)]
pub(crate) struct StackedFilterBank {
    energies: Energies,
    /// Pieces of a frame.
    stride: usize,
    /// What stands behind the end of a sound.
    padding: f32,
    /// Whether a mask says what is padding.
    masked: bool,
}

/// Frames of a batch: features [B, T, F] and their mask [B, T].
pub(crate) struct Stacked {
    pub(crate) values: Vec<f32>,
    pub(crate) mask: Option<Vec<i64>>,
    /// T and F.
    pub(crate) shape: (usize, usize),
}

impl StackedFilterBank {
    pub(super) fn new(bins: usize, stride: usize, padding: f32, masked: bool) -> Self {
        Self { energies: Energies::new(bins, Window::Povey), stride, padding, masked }
    }

    /// Kernel and stride of pieces over samples, and of what counts as a frame over pieces: one whose second piece is there.
    pub(super) fn steps(&self) -> [(usize, usize); 2] {
        [(SIZES.0, SIZES.1), (2, self.stride)]
    }

    /// [pieces, bins] of a sound.
    fn pieces(&self, sound: &[f32]) -> Vec<f32> {
        let samples: Vec<f64> = sound.iter().map(|&sample| f64::from(sample) * LOUDNESS).collect();
        let bins = self.energies.bins();
        let count = if samples.len() < SIZES.0 { 0 } else { (samples.len() - SIZES.0) / SIZES.1 + 1 };
        let mut values = vec![0.0; count * bins];
        self.energies.of(&samples, &mut values);
        for bin in 0..bins {
            let of_bin = || (0..count).map(|piece| piece * bins + bin);
            let mean = of_bin().map(|at| values[at]).sum::<f64>() / count as f64;
            let squares = of_bin().map(|at| (values[at] - mean).powi(2)).sum::<f64>();
            let scale = 1.0 / (squares / (count as f64 - 1.0) + 1e-7).sqrt();
            of_bin().for_each(|at| values[at] = (values[at] - mean) * scale);
        }
        values.into_iter().map(|value| value as f32).collect()
    }

    /// Of the sounds of a batch.
    pub(crate) fn of(&self, sounds: &[Vec<f32>]) -> Stacked {
        let bins = self.energies.bins();
        let sounds: Vec<Vec<f32>> = sounds.iter().map(|sound| self.pieces(sound)).collect();
        let longest = sounds.iter().map(|pieces| pieces.len() / bins).max().unwrap_or(0);
        let frames = longest.next_multiple_of(EVEN) / self.stride;
        let row = frames * self.stride * bins;
        let mut values = Vec::with_capacity(sounds.len() * row);
        let mut mask = Vec::new();
        for (place, pieces) in sounds.iter().enumerate() {
            values.extend(&pieces[..pieces.len().min(row)]);
            values.resize((place + 1) * row, self.padding);
            let real = pieces.len() / bins;
            mask.extend((0..frames).map(|frame| i64::from(frame * self.stride + 1 < real)));
        }
        Stacked { values, mask: self.masked.then_some(mask), shape: (frames, bins * self.stride) }
    }
}
