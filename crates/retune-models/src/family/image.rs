//! Encoders of ViT's kind as data.

use super::{Family, Fresh, TensorNames};
use crate::bodies::{ImageEncoder, ImageEncoderSizes};
use crate::checkpoint::Weights;
use crate::heads::{IMAGE_CLASSIFICATION, ImagePlan};
use crate::layers::LayerNames;
use crate::takes::{ImageInput, Positions};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};

/// Heads of a family.
type Heads = Vec<(&'static Purpose, Box<dyn HeadPlan>)>;

/// A family of encoders of ViT's kind.
pub struct ImageFamily {
    /// `model_type`.
    pub model_type: &'static str,
    /// How the names of Hugging Face's classes begin.
    pub class: &'static str,
    /// What follows the usual ending of the class that a configuration names.
    pub class_suffix: fn(&ModelConfig) -> &'static str,
    /// How tensors are called.
    pub names: TensorNames,
    /// How those of a layer are called.
    pub layer: LayerNames,
    /// The head of image classification.
    pub classifier: ImagePlan,
    /// Its other heads.
    pub others: fn() -> Heads,
    /// What becomes of positions at another image size.
    pub positions: Positions,
    /// Reads the sizes.
    pub sizes: fn(&ModelConfig) -> Result<ImageEncoderSizes, ModelError>,
    /// How it is made from nothing.
    pub fresh: Option<Fresh>,
}

impl Family for ImageFamily {
    fn model_type(&self) -> &'static str {
        self.model_type
    }

    fn class(&self) -> &'static str {
        self.class
    }

    fn architecture(&self, config: &ModelConfig, purpose: &Purpose) -> String {
        format!("{}{}{}", self.class, purpose.class_ending, (self.class_suffix)(config))
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        let classifier: (_, Box<dyn HeadPlan>) = (&IMAGE_CLASSIFICATION, Box::new(self.classifier));
        std::iter::once(classifier).chain((self.others)()).collect()
    }

    fn names(&self) -> &TensorNames {
        &self.names
    }

    fn fresh(&self) -> Option<Fresh> {
        self.fresh
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        Ok(Takes::Images(ImageInput::new(config, self.positions)?))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let sizes = (self.sizes)(config)?;
        Ok(Box::new(ImageEncoder::load(weights, self.names.base, &self.layer, sizes)?))
    }
}
