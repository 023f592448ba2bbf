//! Decoders alone as data. Each of them has a head for next tokens and one for sequences.

use super::{Family, Fresh, TensorNames};
use crate::bodies::{TextDecoder, TextDecoderNames, TextDecoderSizes};
use crate::checkpoint::Weights;
use crate::heads::{CAUSAL_LM, LastTokenPlan, NextTokenPlan, SEQUENCE_CLASSIFICATION};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use serde_json::Value;

/// A family of decoders.
pub struct DecoderFamily {
    /// `model_type`.
    pub model_type: &'static str,
    /// How the names of Hugging Face's classes begin.
    pub class: &'static str,
    /// How the class for next tokens begins, where it does not as the others.
    pub causal_class: Option<&'static str>,
    /// How the class for next tokens ends, where it is not the usual ending.
    pub causal_ending: &'static str,
    /// How tensors are called.
    pub names: TensorNames,
    /// How those of the body are called.
    pub body: TextDecoderNames,
    /// The head for next tokens.
    pub next_token: NextTokenPlan,
    /// What the configuration class assumes.
    pub defaults: fn() -> Vec<(&'static str, Value)>,
    /// Reads the sizes.
    pub sizes: fn(&ModelConfig) -> Result<TextDecoderSizes, ModelError>,
    /// How it is made from nothing.
    pub fresh: Option<Fresh>,
}

impl Family for DecoderFamily {
    fn model_type(&self) -> &'static str {
        self.model_type
    }

    fn class(&self) -> &'static str {
        self.class
    }

    fn architecture(&self, _config: &ModelConfig, purpose: &Purpose) -> String {
        if *purpose == CAUSAL_LM {
            return format!("{}{}", self.causal_class.unwrap_or(self.class), self.causal_ending);
        }
        format!("{}{}", self.class, purpose.class_ending)
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&CAUSAL_LM, Box::new(self.next_token)), (&SEQUENCE_CLASSIFICATION, Box::new(LastTokenPlan))]
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
        Ok(Takes::Tokens { longest: sizes.longest, vocabulary: sizes.vocabulary as usize })
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let sizes = (self.sizes)(config)?;
        Ok(Box::new(TextDecoder::load(weights, self.names.base, &self.body, sizes)?))
    }
}
