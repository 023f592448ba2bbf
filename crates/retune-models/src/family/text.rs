//! Encoders of texts as data. Each of them has every head for texts.

use super::{Family, Fresh, TensorNames};
use crate::bodies::{
    DisentangledEncoder, DisentangledEncoderSizes, RotaryEncoder, RotaryEncoderSizes, TextEncoder, TextEncoderNames,
    TextEncoderSizes,
};
use crate::checkpoint::Weights;
use crate::heads::{
    EmbeddingPlan, MASKED_WORDS, MaskedWordsPlan, QUESTION_ANSWERING, SENTENCE_EMBEDDINGS, SEQUENCE_CLASSIFICATION,
    SequencePlan, SpanPlan, TOKEN_CLASSIFICATION, TokenPlan,
};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use serde_json::Value;

/// What lies below the heads of a family.
pub enum TextBody {
    /// BERT's kind.
    PostNorm {
        /// How its tensors are called.
        names: TextEncoderNames,
        /// Reads the sizes.
        sizes: fn(&ModelConfig) -> Result<TextEncoderSizes, ModelError>,
    },
    /// ModernBERT's.
    Rotary {
        /// Reads the sizes.
        sizes: fn(&ModelConfig) -> Result<RotaryEncoderSizes, ModelError>,
    },
    /// DeBERTa's.
    Disentangled {
        /// Reads the sizes.
        sizes: fn(&ModelConfig) -> Result<DisentangledEncoderSizes, ModelError>,
    },
}

/// A family of encoders of texts.
pub struct TextFamily {
    /// `model_type`.
    pub model_type: &'static str,
    /// How the names of Hugging Face's classes begin.
    pub class: &'static str,
    /// How tensors are called.
    pub names: TensorNames,
    /// Below the heads.
    pub body: TextBody,
    /// Full path of the base model's pooler.
    pub pooler: Option<&'static str>,
    /// The head of sequence classification.
    pub sequence: SequencePlan,
    /// The head of token classification.
    pub token: TokenPlan,
    /// The head of question answering.
    pub spans: SpanPlan,
    /// The head of masked words.
    pub words: MaskedWordsPlan,
    /// What the configuration class assumes.
    pub defaults: fn() -> Vec<(&'static str, Value)>,
    /// How it is made from nothing.
    pub fresh: Option<Fresh>,
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
            (&SENTENCE_EMBEDDINGS, Box::new(EmbeddingPlan { pooler: self.pooler })),
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

    fn fresh(&self) -> Option<Fresh> {
        self.fresh
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let (longest, vocabulary) = match &self.body {
            TextBody::PostNorm { sizes, .. } => {
                let sizes = sizes(config)?.embeddings;
                (Some(sizes.longest()), sizes.vocabulary)
            }
            TextBody::Rotary { sizes } => {
                let sizes = sizes(config)?;
                (Some(sizes.longest as usize), sizes.vocabulary)
            }
            TextBody::Disentangled { sizes } => {
                let sizes = sizes(config)?;
                (Some(sizes.longest as usize), sizes.vocabulary)
            }
        };
        Ok(Takes::Tokens { longest, vocabulary: vocabulary as usize })
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let base = self.names.base;
        Ok(match &self.body {
            TextBody::PostNorm { names, sizes } => Box::new(TextEncoder::load(weights, base, names, sizes(config)?)?),
            TextBody::Rotary { sizes } => Box::new(RotaryEncoder::load(weights, base, sizes(config)?)?),
            TextBody::Disentangled { sizes } => Box::new(DisentangledEncoder::load(weights, base, sizes(config)?)?),
        })
    }
}
