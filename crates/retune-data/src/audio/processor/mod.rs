//! How sounds become what a model reads, by `preprocessor_config.json`: samples as Wav2Vec2's extractor gives them, log-mel
//! spectrograms as Whisper's, filter banks as AST's and SeamlessM4T's, cepstral coefficients as KWT's.

mod cepstra;
mod config;
mod filter_bank;
mod log_mel;
mod stacked;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub(super) use cepstra::Cepstra;
pub(super) use filter_bank::FilterBank;
pub(super) use log_mel::LogMel;
pub(super) use stacked::StackedFilterBank;

use crate::DataError;

/// Its file.
const FILE: &str = "preprocessor_config.json";
/// The file of a processor of several parts, which transformers 5 writes in place of it; and the part that counts here.
const OUTER: (&str, &str) = ("processor_config.json", "feature_extractor");

/// What a model reads of a sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureKind {
    /// Samples; whether with a mask that says which of them are padding, where no file says it.
    Samples {
        /// Whether there is a mask.
        masked: bool,
        /// Whether there is the number of samples of each row in place of a mask, whatever a file says.
        counted: bool,
    },
    /// A filter bank of so many frames and bins, as AST reads it.
    Spectrogram {
        /// Along time.
        frames: usize,
        /// Along frequency.
        bins: usize,
    },
    /// Frames of a filter bank of so many features, as Wav2Vec2-BERT reads them.
    Frames {
        /// Features of each, of several pieces side by side.
        size: usize,
    },
    /// Cepstral coefficients of so many frames, as KWT reads them.
    Cepstra {
        /// Along time.
        frames: usize,
        /// Coefficients of each.
        coefficients: usize,
    },
    /// A log-mel spectrogram of so many frames and bins, as Whisper reads it.
    LogMel {
        /// Along time.
        frames: usize,
        /// Along frequency.
        bins: usize,
    },
}

/// How sounds become a model's input.
#[derive(Clone)]
pub struct AudioProcessor {
    raw: Map<String, Value>,
    rate: u32,
    pub(super) extractor: Extractor,
}

/// What is extracted.
#[derive(Clone)]
pub(super) enum Extractor {
    /// `Wav2Vec2FeatureExtractor`.
    Samples(SampleOptions),
    /// `WhisperFeatureExtractor`.
    LogMel(LogMel),
    /// `ASTFeatureExtractor`.
    FilterBank(FilterBank),
    /// `KwtFeatureExtractor`.
    Cepstra(Cepstra),
    /// `SeamlessM4TFeatureExtractor`.
    Stacked(StackedFilterBank),
}

/// How samples are given to a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SampleOptions {
    /// Whether each sound gets mean 0 and variance 1.
    pub(super) normalise: bool,
    /// Whether a mask says what is padding.
    pub(super) masked: bool,
    /// Whether the number of samples of each row does, in its place.
    pub(super) counted: bool,
    /// What stands behind the end of a sound.
    pub(super) padding: f32,
}

impl AudioProcessor {
    /// Of a model's folder; where that has no file of it, what Hugging Face's class for `kind` assumes.
    ///
    /// # Errors
    /// A file that cannot be read, or asks for what is not known here; features of another kind or size than the model's.
    pub fn load(folder: &Path, kind: FeatureKind) -> Result<Self, DataError> {
        let (file, raw) = read(folder)?;
        Self::from_config(raw, kind).map_err(|message| DataError::Processor { path: file, message })
    }

    /// Samples a second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Samples that a sound must have so that there is something to extract.
    pub fn least_samples(&self) -> usize {
        match self.extractor {
            Extractor::FilterBank(_) => FilterBank::least_samples(),
            Extractor::Samples(_) | Extractor::LogMel(_) | Extractor::Stacked(_) | Extractor::Cepstra(_) => 1,
        }
    }

    /// Kernels and strides of what makes frames of any number of samples; empty where a model reads the samples themselves, or
    /// features of one size.
    pub fn frame_steps(&self) -> Vec<(usize, usize)> {
        match &self.extractor {
            Extractor::Stacked(features) => features.steps().to_vec(),
            Extractor::Samples(_) | Extractor::LogMel(_) | Extractor::FilterBank(_) | Extractor::Cepstra(_) => {
                Vec::new()
            }
        }
    }

    /// Samples of a piece, where a sound is read in pieces of one length: longer ones are cut.
    pub fn piece_samples(&self) -> Option<usize> {
        match &self.extractor {
            Extractor::LogMel(features) => Some(features.samples()),
            Extractor::Cepstra(features) => Some(features.samples()),
            Extractor::Samples(_) | Extractor::FilterBank(_) | Extractor::Stacked(_) => None,
        }
    }

    /// Frames of a piece, where a long sound may be read in pieces of one length, and seconds of a frame.
    pub fn piece_frames(&self) -> Option<(usize, f64)> {
        match &self.extractor {
            Extractor::LogMel(features) => {
                let frames = features.shape().0;
                Some((frames, features.samples() as f64 / frames as f64 / f64::from(self.rate)))
            }
            Extractor::Samples(_) | Extractor::FilterBank(_) | Extractor::Stacked(_) | Extractor::Cepstra(_) => None,
        }
    }

    /// As its file has it.
    pub fn config(&self) -> &Map<String, Value> {
        &self.raw
    }

    /// Writes `preprocessor_config.json` into a folder.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, folder: &Path) -> Result<PathBuf, DataError> {
        let file = folder.join(FILE);
        let text = serde_json::to_string_pretty(&self.raw).expect("JSON can be written") + "\n";
        std::fs::write(&file, text).map_err(|source| DataError::Write { file: file.clone(), source })?;
        Ok(file)
    }
}

/// The settings of a folder, and the file that they are in.
fn read(folder: &Path) -> Result<(PathBuf, Map<String, Value>), DataError> {
    let object = |file: &Path| -> Result<Map<String, Value>, DataError> {
        let text = std::fs::read(file).map_err(|source| DataError::Read { file: file.to_owned(), source })?;
        let message = |message: String| DataError::Processor { path: file.to_owned(), message };
        match serde_json::from_slice(&text) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => Err(message("is not a JSON object".to_owned())),
            Err(error) => Err(message(format!("is not JSON: {error}"))),
        }
    };
    let file = folder.join(FILE);
    if file.is_file() {
        let raw = object(&file)?;
        return Ok((file, raw));
    }
    let outer = folder.join(OUTER.0);
    if outer.is_file()
        && let Some(Value::Object(inner)) = object(&outer)?.remove(OUTER.1)
    {
        return Ok((outer, inner));
    }
    Ok((file, Map::new()))
}

/// Mean 0 and variance 1, as Wav2Vec2's extractor does it.
pub(super) fn normalised(samples: &[f32]) -> Vec<f32> {
    let count = samples.len().max(1) as f64;
    let mean = samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / count;
    let variance = samples.iter().map(|&sample| (f64::from(sample) - mean).powi(2)).sum::<f64>() / count;
    let scale = 1.0 / (variance + 1e-7).sqrt();
    samples.iter().map(|&sample| ((f64::from(sample) - mean) * scale) as f32).collect()
}

#[cfg(test)]
mod tests;
