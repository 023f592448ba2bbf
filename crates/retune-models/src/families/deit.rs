//! DeiT (Touvron et al. 2020), transformers `DeiTForImageClassification` and `…WithTeacher`.

use super::image_encoder::{ImageEncoderSpec, VIT_LAYER};
use super::vit;
use crate::checkpoint::Init;

/// A distillation token beside the class token; the classifier reads the class token.
pub fn image_classification() -> ImageEncoderSpec {
    ImageEncoderSpec {
        base: "deit",
        layer: VIT_LAYER,
        classifiers: &["classifier"],
        head_prefixes: &["classifier."],
        architecture: "DeiTForImageClassification",
        model_type: "deit",
        dropped_fields: &[],
        sizes: |config| vit::sizes(config, &["cls_token", "distillation_token"], Init::Constant(0.0)),
    }
}

/// One classifier on each of the two tokens; the logits are their mean, in training too.
pub fn with_teacher() -> ImageEncoderSpec {
    ImageEncoderSpec {
        classifiers: &["cls_classifier", "distillation_classifier"],
        head_prefixes: &["cls_classifier.", "distillation_classifier."],
        architecture: "DeiTForImageClassificationWithTeacher",
        ..image_classification()
    }
}
