//! Encoders of Wav2Vec2's kind as data. Each of them recognizes speech and classifies sounds.

use super::{Family, Fresh, TensorNames};
use crate::bodies::{SpeechEncoder, SpeechEncoderSizes};
use crate::checkpoint::Weights;
use crate::heads::{AUDIO_CLASSIFICATION, CtcPlan, FramesPlan, SPEECH_RECOGNITION};
use crate::layers::FrontNorm;
use crate::takes::AudioInput;
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use serde_json::Value;

/// A family of encoders of Wav2Vec2's kind.
pub struct SpeechFamily {
    /// `model_type`.
    pub model_type: &'static str,
    /// How the names of Hugging Face's classes begin.
    pub class: &'static str,
    /// How tensors are called.
    pub names: TensorNames,
    /// What the configuration class assumes.
    pub defaults: fn() -> Vec<(&'static str, Value)>,
    /// Reads the sizes.
    pub sizes: fn(&ModelConfig) -> Result<SpeechEncoderSizes, ModelError>,
    /// How it is made from nothing.
    pub fresh: Option<Fresh>,
}

impl Family for SpeechFamily {
    fn model_type(&self) -> &'static str {
        self.model_type
    }

    fn class(&self) -> &'static str {
        self.class
    }

    fn architecture(&self, _config: &ModelConfig, purpose: &Purpose) -> String {
        let ending = if *purpose == AUDIO_CLASSIFICATION { "ForSequenceClassification" } else { purpose.class_ending };
        format!("{}{ending}", self.class)
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&SPEECH_RECOGNITION, Box::new(CtcPlan)), (&AUDIO_CLASSIFICATION, Box::new(FramesPlan::USUAL))]
    }

    fn names(&self) -> &TensorNames {
        &self.names
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        (self.defaults)()
    }

    fn fresh(&self) -> Option<Fresh> {
        self.fresh
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let sizes = (self.sizes)(config)?;
        // A norm over time sees the padding anyway, so that these models were trained without a mask.
        let masked = sizes.front.norm == FrontNorm::Layer;
        Ok(Takes::Audio(AudioInput::Samples { frames: sizes.frames(), masked, counted: false, written: None }))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        Ok(Box::new(SpeechEncoder::load(weights, self.names.base, (self.sizes)(config)?)?))
    }
}
