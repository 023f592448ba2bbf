//! When a text is written again, hotter, and when there is none: texts that repeat themselves or that the model itself finds unlikely,
//! and windows without speech (Radford et al. 2022, §4.5).

use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;

/// What a text has to keep to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fallback {
    /// One after another until a text is good; 0 takes the likeliest tokens, others draw.
    pub(super) temperatures: Vec<f64>,
    /// From this ratio on a text repeats itself.
    pub(super) compression: f64,
    /// Least mean log-probability of its tokens.
    pub(super) log_probability: f64,
    /// From this probability on, an unlikely text is that of silence.
    pub(super) no_speech: f64,
}

/// What becomes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is good.
    Kept,
    /// It is written again.
    Again,
    /// Nothing was said.
    Silence,
}

impl Fallback {
    /// Of the tokens of a text, their end among them, for a model of so many.
    pub(super) fn judge(&self, tokens: &[i64], log_probability: f64, no_speech: f64, vocabulary: usize) -> Verdict {
        let unlikely = log_probability < self.log_probability;
        if unlikely && no_speech > self.no_speech {
            return Verdict::Silence;
        }
        let repeats = compression_ratio(tokens, vocabulary) > self.compression;
        if unlikely || repeats { Verdict::Again } else { Verdict::Kept }
    }
}

/// How much smaller tokens become by zlib, each of as many bytes as the vocabulary needs: transformers' `_retrieve_compression_ratio`.
pub(super) fn compression_ratio(tokens: &[i64], vocabulary: usize) -> f64 {
    let width = ((vocabulary as f64).log2() / 8.0) as usize + 1;
    let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes().into_iter().take(width)).collect();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let compressed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
    // Writing into memory does not fail.
    compressed.map_or(1.0, |compressed| bytes.len() as f64 / compressed.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_repeat_themselves_are_small() {
        // Python: len(b) / len(zlib.compress(b)) of two bytes each.
        let varied: Vec<i64> = (0..40).map(|i| (i * 7919 + 13) % 50_000).collect();
        let same = [1000i64; 40];
        assert!((compression_ratio(&varied, 51_864) - 80.0 / VARIED).abs() < 0.02);
        assert!(compression_ratio(&same, 51_864) > 5.0);
    }

    const VARIED: f64 = 91.0;

    #[test]
    fn unlikely_texts_are_written_again_or_are_silence() {
        let rules = Fallback { temperatures: vec![0.0], compression: 1.35, log_probability: -1.0, no_speech: 0.6 };
        let text: Vec<i64> = (0..30).map(|i| (i * 7919 + 13) % 50_000).collect();
        assert_eq!(rules.judge(&text, -0.4, 0.9, 51_864), Verdict::Kept);
        assert_eq!(rules.judge(&text, -1.4, 0.5, 51_864), Verdict::Again);
        assert_eq!(rules.judge(&text, -1.4, 0.9, 51_864), Verdict::Silence);
        assert_eq!(rules.judge(&[7; 60], -0.1, 0.9, 51_864), Verdict::Again);
    }
}
