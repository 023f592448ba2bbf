//! Decoders alone as data. Each of them has a head for next tokens, and those for texts that Hugging Face has a class for.

use super::{Becomes, Family, Fresh, Serving, TensorNames, served};
use crate::bodies::{TextDecoder, TextDecoderNames, TextDecoderSizes};
use crate::checkpoint::Weights;
use crate::heads::{
    CAUSAL_LM, LastTokenPlan, NextTokenPlan, QUESTION_ANSWERING, SEQUENCE_CLASSIFICATION, SpanPlan,
    TOKEN_CLASSIFICATION, TokenPlan,
};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use serde_json::Value;

/// The heads of a family.
#[derive(Debug, Clone, Copy)]
pub struct DecoderHeads {
    /// Next tokens.
    pub next_token: Option<NextTokenPlan>,
    /// Sequences.
    pub sequence: Option<LastTokenPlan>,
    /// A class for each token.
    pub token: Option<TokenPlan>,
    /// Answers to questions.
    pub spans: Option<SpanPlan>,
}

impl DecoderHeads {
    /// None.
    pub const NONE: Self = Self { next_token: None, sequence: None, token: None, spans: None };

    /// Those that every family has.
    pub const fn new(next_token: NextTokenPlan) -> Self {
        Self { next_token: Some(next_token), sequence: Some(LastTokenPlan), ..Self::NONE }
    }
}

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
    /// Its heads.
    pub heads: DecoderHeads,
    /// What serves other purposes in its place.
    pub others: Serving,
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
        fn plan<P: HeadPlan + 'static>(of: Option<P>) -> Option<Box<dyn HeadPlan>> {
            of.map(|plan| Box::new(plan) as Box<dyn HeadPlan>)
        }
        let DecoderHeads { next_token, sequence, token, spans } = self.heads;
        let all: [(&'static Purpose, Option<Box<dyn HeadPlan>>); 4] = [
            (&CAUSAL_LM, plan(next_token)),
            (&SEQUENCE_CLASSIFICATION, plan(sequence)),
            (&TOKEN_CLASSIFICATION, plan(token)),
            (&QUESTION_ANSWERING, plan(spans)),
        ];
        all.into_iter().filter_map(|(purpose, plan)| Some((purpose, plan?))).collect()
    }

    fn becomes(&self, purpose: Option<&Purpose>) -> Option<Becomes> {
        served(self.others, purpose)
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
