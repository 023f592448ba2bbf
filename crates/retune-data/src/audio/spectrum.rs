//! Power spectra of short pieces of a sound.

use super::fourier::Fourier;
use std::f64::consts::TAU;

/// What a piece is weighted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    /// Hann's, that would begin anew behind the piece.
    Periodic,
    /// Hann's, that ends in zeros.
    Hann,
    /// Kaldi's: Hann's to the power of 0.85.
    Povey,
}

/// How pieces are cut and weighted.
pub(super) struct Spectrum {
    transform: Fourier,
    window: Vec<f64>,
    hop: usize,
    /// Whether each piece first loses its mean, and its low frequencies by so much of the sample before.
    preemphasis: Option<f64>,
}

impl Spectrum {
    /// Of pieces of `length` samples, `hop` apart, under a window, transformed at `size` places.
    pub(super) fn new(length: usize, hop: usize, size: usize, window: Window, preemphasis: Option<f64>) -> Self {
        let period = if window == Window::Periodic { length } else { length - 1 } as f64;
        let power = if window == Window::Povey { 0.85 } else { 1.0 };
        let window = (0..length).map(|i| (0.5 - 0.5 * (TAU * i as f64 / period).cos()).powf(power)).collect();
        Self { transform: Fourier::new(size), window, hop, preemphasis }
    }

    /// Places of a spectrum.
    pub(super) fn frequencies(&self) -> usize {
        self.transform.samples() / 2 + 1
    }

    /// Calls `each` with the power spectrum of each piece, in their order.
    pub(super) fn of(&self, samples: &[f64], mut each: impl FnMut(usize, &[f64])) {
        let length = self.window.len();
        if samples.len() < length {
            return;
        }
        let mut buffer = vec![0.0; self.transform.samples()];
        let mut scratch = self.transform.scratch();
        let mut power = vec![0.0; self.frequencies()];
        for (piece, begin) in (0..=samples.len() - length).step_by(self.hop).enumerate() {
            buffer[length..].fill(0.0);
            buffer[..length].copy_from_slice(&samples[begin..begin + length]);
            if let Some(share) = self.preemphasis {
                emphasise(&mut buffer[..length], share);
            }
            buffer.iter_mut().zip(&self.window).for_each(|(sample, weight)| *sample *= weight);
            self.transform.power(&buffer, &mut scratch, &mut power);
            each(piece, &power);
        }
    }
}

/// Takes the mean away, then `share` of the sample before each.
fn emphasise(piece: &mut [f64], share: f64) {
    let mean = piece.iter().sum::<f64>() / piece.len() as f64;
    piece.iter_mut().for_each(|sample| *sample -= mean);
    for i in (1..piece.len()).rev() {
        piece[i] -= share * piece[i - 1];
    }
    piece[0] *= 1.0 - share;
}
