//! AST, the audio spectrogram transformer (Gong et al. 2021), transformers `ASTModel`.

use super::vit;
use crate::bodies::{SpectrogramEncoder, SpectrogramEncoderSizes, layer_sizes};
use crate::checkpoint::Weights;
use crate::family::{Family, Fresh, FreshSize, TensorNames, with};
use crate::heads::{AUDIO_CLASSIFICATION, SpectrogramPlan};
use crate::layers::PreNormOptions;
use crate::takes::AudioInput;
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use serde_json::{Value, json};

/// A ViT over overlapping patches of a spectrogram.
pub static AST: Ast = Ast(vit::names("audio_spectrogram_transformer"));

/// Its type: how its tensors are called.
pub struct Ast(TensorNames);

impl Family for Ast {
    fn model_type(&self) -> &'static str {
        "audio-spectrogram-transformer"
    }

    fn class(&self) -> &'static str {
        "AST"
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&AUDIO_CLASSIFICATION, Box::new(SpectrogramPlan))]
    }

    fn names(&self) -> &TensorNames {
        &self.0
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("hidden_size", json!(768)),
            ("num_hidden_layers", json!(12)),
            ("num_attention_heads", json!(12)),
            ("intermediate_size", json!(3072)),
            ("hidden_act", json!("gelu")),
            ("hidden_dropout_prob", json!(0.0)),
            ("attention_probs_dropout_prob", json!(0.0)),
            ("initializer_range", json!(0.02)),
            ("layer_norm_eps", json!(1e-12)),
            ("patch_size", json!(16)),
            ("qkv_bias", json!(true)),
            ("frequency_stride", json!(10)),
            ("time_stride", json!(10)),
            ("max_length", json!(1024)),
            ("num_mel_bins", json!(128)),
        ]
    }

    fn fresh(&self) -> Option<Fresh> {
        Some(Fresh::without_texts(fresh))
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let (frames, bins) = sizes(config)?.spectrogram;
        Ok(Takes::Audio(AudioInput::Spectrogram { frames, bins }))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        Ok(Box::new(SpectrogramEncoder::load(weights, self.0.base, &vit::LAYER, sizes(config)?)?))
    }
}

fn sizes(config: &ModelConfig) -> Result<SpectrogramEncoderSizes, ModelError> {
    let bias = config.flag_or("qkv_bias", true)?;
    let (spectrogram, patch) = ((config.size("max_length")?, config.size("num_mel_bins")?), config.size("patch_size")?);
    for (field, size) in [("max_length", spectrogram.0), ("num_mel_bins", spectrogram.1)] {
        if size < patch {
            let problem = format!("is {size}, smaller than a patch of {patch}×{patch}");
            return Err(ModelError::Config { field: field.to_owned(), problem });
        }
    }
    Ok(SpectrogramEncoderSizes {
        spectrogram,
        patch,
        strides: (config.size("frequency_stride")?, config.size("time_stride")?),
        layer: layer_sizes(config, config.size("intermediate_size")?, 1e-12)?,
        options: PreNormOptions {
            query_value_bias: bias,
            key_bias: bias,
            layer_scale: None,
            gated: None,
            relative_position: None,
        },
        layers: config.size("num_hidden_layers")?,
    })
}

/// The first two of five seconds in patches that do not overlap.
fn fresh(size: &FreshSize) -> Value {
    let stride = size.of([16, 16, 10, 10]);
    let own = json!({"patch_size": 16, "frequency_stride": stride, "time_stride": stride,
        "max_length": size.of([512, 512, 1024, 1024]), "num_mel_bins": 128});
    let mut fields = with(vit::fresh(size), own);
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|field, _| !["image_size", "num_channels"].contains(&field.as_str()));
    }
    fields
}
