//! The encoder of an encoder–decoder over texts without its decoder: T5's, where each of its tokens is classified.

use super::{EncoderDecoderFamily, Family, TensorNames};
use crate::bodies::{SequenceEncoder, Stack};
use crate::checkpoint::Weights;
use crate::heads::{TOKEN_CLASSIFICATION, TokenPlan};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use serde_json::Value;

/// What checkpoints of the whole become where only the encoder is used.
pub struct EncoderAloneFamily {
    /// Both.
    pub of: &'static EncoderDecoderFamily,
    /// How tensors are called.
    pub names: TensorNames,
    /// The head.
    pub token: TokenPlan,
}

impl Family for EncoderAloneFamily {
    fn model_type(&self) -> &'static str {
        self.of.model_type
    }

    fn class(&self) -> &'static str {
        self.of.class
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&TOKEN_CLASSIFICATION, Box::new(self.token))]
    }

    fn names(&self) -> &TensorNames {
        &self.names
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        self.of.defaults()
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        self.of.takes(config)
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let plan = (self.of.plan)(config)?;
        let at_base = weights.at(self.names.base);
        let (tokens, name) = plan.source_table(&at_base)?;
        let encoder = plan.encoder;
        let stack = Stack::load(&at_base.at(encoder.path), &encoder.names, encoder.sizes, tokens, (0, 1))?;
        Ok(Box::new(SequenceEncoder::new(stack).alone_over(name)))
    }
}
