//! Speech recognition: what is said.
//!
//! | file | holds |
//! |---|---|
//! | `settings` | what a recipe says, and what both kinds of models share of it |
//! | `fallback` | when a text with times is written again |
//! | `said` | answers, and how they are judged |
//! | `ctc` | models that write frame by frame: Wav2Vec2 and its relatives |
//! | `sequence` | models that write by a decoder: Whisper, Moonshine |

mod ctc;
mod fallback;
mod said;
mod sequence;
mod settings;
mod used;

use super::{Entry, FromScratchSettings, GenerationFlags, Opening, Parts, Preparing, Work};
use crate::recipe::Settings;
use crate::task::audio::AudioSettings;
use anyhow::Result;
use retune_models::heads::SPEECH_RECOGNITION;
use retune_models::{ModelConfig, Takes, registry};
use settings::SpeechSettings;

/// The task.
pub(super) static ENTRY: Entry = Entry {
    name: "speech-recognition",
    purpose: &SPEECH_RECOGNITION,
    settings: &[
        AudioSettings::SECTION,
        SpeechSettings::SECTION,
        GenerationFlags::SECTION,
        FromScratchSettings::SECTION,
    ],
    decides: None,
    targets: &["labels"],
    loss,
    prepare,
    open,
};

/// Whether a model writes by a decoder.
fn has_decoder(config: &ModelConfig) -> Result<bool> {
    Ok(matches!(registry::takes(config)?, Takes::Audio(input) if input.written().is_some()))
}

fn loss(config: &ModelConfig) -> Result<super::LossOf> {
    if has_decoder(config)? { Ok(sequence::raw_loss()) } else { ctc::raw_loss(config) }
}

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    if has_decoder(from.config)? { sequence::prepare(from) } else { ctc::prepare(from) }
}

fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    if has_decoder(from.config)? { sequence::open(from) } else { ctc::open(from) }
}
