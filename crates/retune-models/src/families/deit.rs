//! DeiT (Touvron et al. 2020), transformers `DeiTForImageClassification` and `…WithTeacher`.

use super::vit;
use crate::ModelConfig;
use crate::checkpoint::Init;
use crate::family::{Fresh, ImageFamily};
use crate::heads::{ImagePlan, ImageReading, Pooling};
use crate::takes::Positions;

const WITH_TEACHER: &str = "WithTeacher";

/// A distillation token beside the class token. The classifier reads the class token; with a teacher there is one on each
/// of the two, and the logits are their mean, in training too.
pub static DEIT: ImageFamily = ImageFamily {
    model_type: "deit",
    class: "DeiT",
    class_suffix: |config| if has_teacher(config) { WITH_TEACHER } else { "" },
    names: vit::names("deit"),
    layer: vit::LAYER,
    classifier: ImagePlan(|config| {
        let both: &[&str] = &["cls_classifier", "distillation_classifier"];
        let one = ImageReading::new(Pooling::Tokens);
        Ok(if has_teacher(config) { ImageReading { classifiers: both, ..one } } else { one })
    }),
    others: Vec::new,
    positions: Positions::InterpolatedOnRequest,
    sizes: |config| vit::sizes(config, &["cls_token", "distillation_token"], Init::Constant(0.0)),
    fresh: Some(Fresh::without_texts(vit::fresh)),
};

fn has_teacher(config: &ModelConfig) -> bool {
    config.architecture().is_some_and(|class| class.ends_with(WITH_TEACHER))
}
