//! Which code serves which `model_type`: the only place that matches on it.

use crate::checkpoint::Weights;
use crate::families::{beit, bert, convnext, deit, dinov2, distilbert, electra, roberta, swin, vit, vit_mae};
use crate::layers::SizeRule;
use crate::{Model, ModelConfig, ModelError};

/// What a model is loaded for: decides the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// `…ForSequenceClassification`.
    SequenceClassification,
    /// `…ForImageClassification`.
    ImageClassification,
    /// `ViTMAEForPreTraining`.
    MaskedImageModeling,
}

impl Purpose {
    /// In words, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::SequenceClassification => "sequence classification",
            Self::ImageClassification => "image classification",
            Self::MaskedImageModeling => "masked image modeling",
        }
    }

    /// Whether its outputs are the labels that a configuration names.
    pub fn has_labels(self) -> bool {
        self != Self::MaskedImageModeling
    }

    /// PEFT's `task_type`; it has none for images.
    pub fn peft_task_type(self) -> Option<&'static str> {
        (self == Self::SequenceClassification).then_some("SEQ_CLS")
    }

    /// The model types that have a family for it.
    fn supported(self) -> &'static str {
        match self {
            Self::SequenceClassification => "bert, roberta, xlm-roberta, camembert, distilbert, electra",
            Self::ImageClassification => "vit, vit_mae, deit, beit, dinov2, swin, convnext",
            Self::MaskedImageModeling => "vit_mae",
        }
    }
}

/// A family: a table of tensor names and a config mapping over shared layers.
pub trait Family {
    /// Prefix of the base model in full checkpoints, such as `bert.`.
    fn base_prefix(&self) -> String;
    /// Path prefixes that a base checkpoint may lack.
    fn head_prefixes(&self) -> Vec<String>;
    /// Hugging Face's class name.
    fn architecture(&self) -> String;
    /// Parts of tensor names that some files spell in another way: ours, theirs.
    fn spellings(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// Changes a configuration that was made for another class of Hugging Face's, as it will be saved.
    fn adapt_config(&self, _config: &mut ModelConfig) {}
    /// Makes the model from weights.
    fn build(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Model>, ModelError>;
}

/// The family of a configuration.
pub fn family(config: &ModelConfig, purpose: Purpose) -> Result<Box<dyn Family>, ModelError> {
    let model_type = config.model_type()?;
    Ok(match (purpose, model_type.as_str()) {
        (Purpose::SequenceClassification, "bert") => Box::new(bert::sequence_classification()),
        (Purpose::SequenceClassification, "roberta") => {
            Box::new(roberta::sequence_classification("RobertaForSequenceClassification"))
        }
        (Purpose::SequenceClassification, "xlm-roberta") => {
            Box::new(roberta::sequence_classification("XLMRobertaForSequenceClassification"))
        }
        (Purpose::SequenceClassification, "camembert") => {
            Box::new(roberta::sequence_classification("CamembertForSequenceClassification"))
        }
        (Purpose::SequenceClassification, "distilbert") => Box::new(distilbert::sequence_classification()),
        (Purpose::SequenceClassification, "electra") => Box::new(electra::sequence_classification()),
        (Purpose::ImageClassification, "vit" | "vit_mae") => Box::new(vit::image_classification()),
        (Purpose::ImageClassification, "deit") => match architecture(config) {
            Some(name) if name.ends_with("WithTeacher") => Box::new(deit::with_teacher()),
            _ => Box::new(deit::image_classification()),
        },
        (Purpose::ImageClassification, "beit") => Box::new(beit::image_classification()),
        (Purpose::ImageClassification, "dinov2") => Box::new(dinov2::image_classification()),
        (Purpose::ImageClassification, "swin") => Box::new(swin::SwinForImageClassification),
        (Purpose::ImageClassification, "convnext") => Box::new(convnext::ConvNextForImageClassification),
        (Purpose::MaskedImageModeling, "vit_mae") => Box::new(vit_mae::ViTMaeForPreTraining),
        _ => {
            return Err(ModelError::UnknownFamily {
                model_type,
                task: purpose.name().to_owned(),
                known: purpose.supported().to_owned(),
            });
        }
    })
}

/// What Hugging Face's configuration class assumes where a text model's config.json says nothing.
pub fn class_defaults(config: &ModelConfig) -> Vec<(&'static str, serde_json::Value)> {
    match config.get("model_type").and_then(serde_json::Value::as_str) {
        Some("bert") => bert::defaults(),
        Some("roberta") => roberta::defaults(50265),
        Some("xlm-roberta" | "camembert") => roberta::defaults(30522),
        Some("distilbert") => distilbert::defaults(),
        Some("electra") => electra::defaults(),
        _ => Vec::new(),
    }
}

/// `architectures[0]`: Hugging Face's class of the checkpoint.
fn architecture(config: &ModelConfig) -> Option<&str> {
    config.get("architectures")?.get(0)?.as_str()
}

/// What a saved model was made for; `None` where its class has a head that this program does not know, or none.
pub fn purpose_of(config: &ModelConfig) -> Option<Purpose> {
    let name = architecture(config)?;
    if name.ends_with("ForSequenceClassification") {
        Some(Purpose::SequenceClassification)
    } else if name.contains("ForImageClassification") {
        Some(Purpose::ImageClassification)
    } else {
        // Other families have a class of this ending that does something else.
        let masked = name.ends_with("ForPreTraining") && family(config, Purpose::MaskedImageModeling).is_ok();
        masked.then_some(Purpose::MaskedImageModeling)
    }
}

/// Dense layers that LoRA adapts when nothing is said: as PEFT's table has them, for images as practitioners use.
pub fn default_lora_targets(config: &ModelConfig) -> Result<Vec<String>, ModelError> {
    let targets: &[&str] = match config.model_type()?.as_str() {
        "distilbert" => &["q_lin", "v_lin"],
        "convnext" => {
            return Err(ModelError::Adapter(
                "convnext has no attention and so no usual targets; name its projections: pwconv1, pwconv2".to_owned(),
            ));
        }
        _ => &["query", "value"],
    };
    Ok(targets.iter().map(|&t| t.to_owned()).collect())
}

/// Longest input in tokens that a text model has positions for, special tokens included.
pub fn max_positions(config: &ModelConfig) -> Result<Option<usize>, ModelError> {
    if config.get("max_position_embeddings").is_none() {
        return Ok(None);
    }
    let rows = config.size("max_position_embeddings")?;
    let reserved = match config.model_type()?.as_str() {
        // Positions are numbered from the padding id + 1.
        "roberta" | "xlm-roberta" | "camembert" => config.number_or("pad_token_id", 1.0)? as i64 + 1,
        _ => 0,
    };
    Ok(Some((rows - reserved).max(0) as usize))
}

/// The images that a model was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageInput {
    /// Colour channels.
    pub channels: i64,
    /// Height and width; models that interpolate their positions take others too.
    pub size: (i64, i64),
    /// Height and width of a patch.
    pub patch: (i64, i64),
    /// The sizes it takes.
    pub sizes: SizeRule,
    /// What becomes of its positions at another size.
    pub positions: Positions,
}

/// What becomes of a model's positions when images are of another size than it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// There are none that depend on the size.
    Free,
    /// They are interpolated.
    Interpolated,
    /// They are interpolated; transformers wants to be told so.
    InterpolatedOnRequest,
}

impl ImageInput {
    /// Patches of an image of that size.
    pub fn patches(&self) -> i64 {
        (self.size.0 / self.patch.0) * (self.size.1 / self.patch.1)
    }
}

/// What images a configuration asks for; `None` for models that take none.
pub fn image_input(config: &ModelConfig) -> Result<Option<ImageInput>, ModelError> {
    if config.get("patch_size").is_none() {
        return Ok(None);
    }
    let patch = config.height_and_width("patch_size")?;
    let size = match config.get("image_size") {
        // ConvNeXt takes any size, and its older configurations name none.
        None => (224, 224),
        Some(_) => config.height_and_width("image_size")?,
    };
    if size.0 < patch.0 || size.1 < patch.1 {
        let problem = format!("is {}×{}, smaller than a patch of {}×{}", size.0, size.1, patch.0, patch.1);
        return Err(ModelError::Config { field: "image_size".to_owned(), problem });
    }
    let (sizes, positions) = match config.model_type()?.as_str() {
        "convnext" => (convnext::image_sizes(config)?, Positions::Free),
        "swin" if config.flag_or("use_absolute_embeddings", false)? => {
            (SizeRule::at_least(patch), Positions::InterpolatedOnRequest)
        }
        "swin" => (SizeRule::at_least(patch), Positions::Free),
        "beit" | "dinov2" => (SizeRule::multiples(patch), Positions::Interpolated),
        _ => (SizeRule::multiples(patch), Positions::InterpolatedOnRequest),
    };
    Ok(Some(ImageInput { channels: config.size_or("num_channels", 3)?, size, patch, sizes, positions }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `fixtures/configs/text_defaults.json` is what transformers' classes say without any argument.
    #[test]
    fn absent_fields_mean_what_hugging_face_assumes() {
        let text = include_str!("../../../fixtures/configs/text_defaults.json");
        let all: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
        for (model_type, theirs) in all {
            let config = ModelConfig::new(serde_json::json!({"model_type": model_type})).unwrap();
            assert!(config.as_map().len() > 10, "{model_type} has no defaults here");
            for (field, ours) in config.as_map() {
                assert_eq!(ours, &theirs[field], "{model_type}: {field}");
            }
            // Every field that is read has a default.
            let root = crate::checkpoint::WeightsRoot::new(
                None,
                crate::checkpoint::WeightsOptions {
                    base_prefix: String::new(),
                    new_prefixes: Vec::new(),
                    from_scratch: true,
                    seed: 0,
                    precision: retune_kernels::Precision::Fp32,
                    device: retune_kernels::tch::Device::Cpu,
                    initializer_range: 0.02,
                    adapter: None,
                },
            );
            let small = [
                ("num_hidden_layers", 1),
                ("n_layers", 1),
                ("vocab_size", 8),
                ("hidden_size", 24),
                ("dim", 24),
                ("intermediate_size", 8),
                ("hidden_dim", 8),
                ("embedding_size", 8),
            ];
            let mut config = config;
            for (field, size) in small {
                if config.get(field).is_some() {
                    config.set(field, size.into());
                }
            }
            family(&config, Purpose::SequenceClassification).unwrap().build(&root.root(), &config).unwrap();
        }
        let mut stated = ModelConfig::new(serde_json::json!({"model_type": "bert", "hidden_act": "relu"})).unwrap();
        assert_eq!(stated.text("hidden_act").unwrap(), "relu");
        assert_eq!(stated.probability("hidden_dropout_prob").unwrap(), 0.1);
        stated.set_dropout(0.0).unwrap();
        assert_eq!(stated.probability("attention_probs_dropout_prob").unwrap(), 0.0);
    }
}
