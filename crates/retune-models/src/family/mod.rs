//! Families: Hugging Face's model types as tables of tensor names and config mappings over shared bodies and heads.

mod decoder;
mod encoder_alone;
mod encoder_decoder;
mod fresh;
mod image;
mod items;
mod speech;
mod text;

pub use decoder::{DecoderFamily, DecoderHeads};
pub use encoder_alone::EncoderAloneFamily;
pub use encoder_decoder::{DecoderUse, EncoderDecoderFamily, EncoderDecoderPlan, StackPlan, Tables};
pub(crate) use fresh::with;
pub use fresh::{FRESH_SIZES, Fresh, FreshIds, FreshPieces, FreshSize, FreshTexts, FreshTokens};
pub use image::ImageFamily;
pub use items::ItemFamily;
pub use speech::SpeechFamily;
pub use text::{TextBody, TextFamily};

pub use crate::checkpoint::TensorNames;

use crate::checkpoint::Weights;
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes, TargetBegin};
use serde_json::Value;

/// What a configuration and its class become when a checkpoint is used for another purpose than that of its own class.
pub struct Becomes {
    /// The family whose class it is then.
    pub family: &'static dyn Family,
    /// Makes the configuration that family's, but for `model_type`.
    pub change: fn(&mut ModelConfig),
}

/// Families that serve single purposes in another one's place: Hugging Face's classes for these call the same tensors otherwise, or
/// take less of the model.
pub type Serving = &'static [(&'static Purpose, &'static dyn Family)];

/// Which of them serves a purpose; the configuration stays as it is.
fn served(by: Serving, purpose: Option<&Purpose>) -> Option<Becomes> {
    let found = by.iter().find(|(one, _)| purpose == Some(*one));
    found.map(|(_, family)| Becomes { family: *family, change: |_| () })
}

/// A family: everything that depends on `model_type`.
pub trait Family: Sync {
    /// `model_type` of its configurations.
    fn model_type(&self) -> &'static str;
    /// How the names of Hugging Face's classes begin, such as `XLMRoberta`.
    fn class(&self) -> &'static str;
    /// Hugging Face's class for a purpose, `architectures[0]`.
    fn architecture(&self, _config: &ModelConfig, purpose: &Purpose) -> String {
        format!("{}{}", self.class(), purpose.class_ending)
    }
    /// The heads that it has.
    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)>;
    /// Full path of the projection behind the base model's `pooler_output`, where it has one.
    fn pooler(&self) -> Option<&'static str> {
        None
    }
    /// How its tensors are called.
    fn names(&self) -> &TensorNames;
    /// What Hugging Face's configuration class assumes where config.json says nothing.
    fn defaults(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
    /// How it is made where it is trained from nothing; `None` where it never is.
    fn fresh(&self) -> Option<Fresh> {
        None
    }
    /// What its models take.
    ///
    /// # Errors
    /// A configuration that does not say it.
    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError>;
    /// How targets become inputs of a decoder that reads another text; `None` where there is none.
    fn target_begin(&self, _config: &ModelConfig) -> Option<Result<TargetBegin, ModelError>> {
        None
    }
    /// Makes the body from weights.
    ///
    /// # Errors
    /// A configuration or checkpoint that does not fit.
    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError>;
    /// What serves this purpose, or the base model alone, in its place; `None`: itself.
    fn becomes(&self, _purpose: Option<&Purpose>) -> Option<Becomes> {
        None
    }
    /// Makes a ResNet of this configuration the backbone, and returns where it stands; `None` where there is none.
    fn graft(&self, _config: &mut ModelConfig, _backbone: &ModelConfig) -> Option<Result<&'static str, ModelError>> {
        None
    }
    /// How the configuration of another family, named by its type, becomes one of this family with that model inside: for
    /// purposes that the other has no head for.
    fn over(&self, _other: &str) -> Option<fn(&mut ModelConfig)> {
        None
    }
}
