//! Encoders of BERT's kind as data. Each of them has every head for texts.

use super::{Family, TensorNames};
use crate::bodies::{TextEncoder, TextEncoderNames, TextEncoderSizes};
use crate::checkpoint::Weights;
use crate::heads::{
    MASKED_WORDS, MaskedWordsPlan, QUESTION_ANSWERING, SEQUENCE_CLASSIFICATION, SequencePlan, SpanPlan,
    TOKEN_CLASSIFICATION, TokenPlan,
};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use serde_json::Value;

/// A family of encoders of BERT's kind.
pub struct TextFamily {
    /// `model_type`.
    pub model_type: &'static str,
    /// How the names of Hugging Face's classes begin.
    pub class: &'static str,
    /// How tensors are called.
    pub names: TensorNames,
    /// How those of the body are called.
    pub body: TextEncoderNames,
    /// Full path of the base model's pooler.
    pub pooler: Option<&'static str>,
    /// The head of sequence classification.
    pub sequence: SequencePlan,
    /// Before the classifier of tokens.
    pub token: TokenPlan,
    /// Before the projection to begin and end.
    pub spans: SpanPlan,
    /// The head of masked words.
    pub words: MaskedWordsPlan,
    /// What the configuration class assumes.
    pub defaults: fn() -> Vec<(&'static str, Value)>,
    /// Reads the sizes.
    pub sizes: fn(&ModelConfig) -> Result<TextEncoderSizes, ModelError>,
}

impl Family for TextFamily {
    fn model_type(&self) -> &'static str {
        self.model_type
    }

    fn class(&self) -> &'static str {
        self.class
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![
            (&SEQUENCE_CLASSIFICATION, Box::new(self.sequence)),
            (&TOKEN_CLASSIFICATION, Box::new(self.token)),
            (&QUESTION_ANSWERING, Box::new(self.spans)),
            (&MASKED_WORDS, Box::new(self.words)),
        ]
    }

    fn pooler(&self) -> Option<&'static str> {
        self.pooler
    }

    fn names(&self) -> &TensorNames {
        &self.names
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        (self.defaults)()
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let sizes = (self.sizes)(config)?.embeddings;
        Ok(Takes::Tokens { longest: Some(sizes.longest()), vocabulary: sizes.vocabulary as usize })
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let sizes = (self.sizes)(config)?;
        Ok(Box::new(TextEncoder::load(weights, self.names.base, &self.body, sizes)?))
    }
}
