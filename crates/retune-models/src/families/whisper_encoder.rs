//! What of Whisper hears: its encoder, alone under a head for sounds (transformers `WhisperForAudioClassification`), or under a
//! decoder.

use super::wav2vec2::masked_spans;
use crate::bodies::{LogMelEncoder, LogMelEncoderSizes};
use crate::checkpoint::Weights;
use crate::family::{Family, TensorNames};
use crate::heads::{AUDIO_CLASSIFICATION, FramesPlan};
use crate::layers::{AttentionNames, LayerNames, SpecAugment, SpeechLayerSizes};
use crate::takes::{AudioInput, Written};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// Without a decoder: what checkpoints of the whole become for the classification of sounds.
pub static WHISPER_ENCODER: WhisperEncoder = WhisperEncoder;

/// Its type.
pub struct WhisperEncoder;

/// Files of the whole model have the encoder inside of it.
const NAMES: TensorNames = TensorNames {
    base: "",
    spellings: &[("encoder.", "model.encoder.")],
    buffers: &[],
    modules: &[],
    lora: Ok(&["q_proj", "v_proj"]),
};

/// Names inside a layer.
pub(super) const LAYER: LayerNames = LayerNames {
    attention: AttentionNames {
        query: "self_attn.q_proj",
        key: "self_attn.k_proj",
        value: "self_attn.v_proj",
        output: "self_attn.out_proj",
    },
    attention_norm: "self_attn_layer_norm",
    intermediate: "fc1",
    output: "fc2",
    output_norm: "final_layer_norm",
};

impl Family for WhisperEncoder {
    fn model_type(&self) -> &'static str {
        "whisper"
    }

    fn class(&self) -> &'static str {
        "Whisper"
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&AUDIO_CLASSIFICATION, Box::new(FramesPlan { layers: "encoder_layers" }))]
    }

    fn names(&self) -> &TensorNames {
        &NAMES
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        defaults()
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        takes(config)
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let keeps_layers = config.flag_or("use_weighted_layer_sum", false)?;
        let sizes = LogMelEncoderSizes { keeps_layers, ..encoder_sizes(config)? };
        Ok(Box::new(LogMelEncoder::load(&weights.at("encoder"), &LAYER, sizes)?))
    }
}

pub(super) fn takes(config: &ModelConfig) -> Result<Takes, ModelError> {
    let encoder = encoder_sizes(config)?;
    Ok(Takes::Audio(AudioInput::LogMel {
        frames: encoder.frames(),
        bins: encoder.bins,
        written: Written {
            longest: config.size("max_target_positions")? as usize,
            vocabulary: config.size("vocab_size")? as usize,
        },
    }))
}

/// The hidden size, and the heads that a field says divide it.
pub(super) fn heads(config: &ModelConfig, field: &str) -> Result<(i64, i64), ModelError> {
    let (hidden, heads) = (config.size("d_model")?, config.size(field)?);
    if hidden % heads == 0 {
        return Ok((hidden, heads));
    }
    Err(ModelError::of_field(field, format!("is {heads}, which does not divide the hidden size {hidden}")))
}

/// Of PyTorch's layer norm, which the class does not set.
pub(super) const NORM_EPSILON: f64 = 1e-5;

pub(super) fn encoder_sizes(config: &ModelConfig) -> Result<LogMelEncoderSizes, ModelError> {
    let (hidden, heads) = heads(config, "encoder_attention_heads")?;
    if hidden % 2 != 0 {
        return Err(ModelError::of_field("d_model", format!("is {hidden}; positions need an even one")));
    }
    Ok(LogMelEncoderSizes {
        bins: config.size("num_mel_bins")?,
        positions: config.size("max_source_positions")?,
        layer: SpeechLayerSizes {
            hidden,
            heads,
            intermediate: config.size("encoder_ffn_dim")?,
            activation: Activation::from_name(&config.text("activation_function")?)?,
            norm_epsilon: NORM_EPSILON,
            hidden_dropout: config.probability("dropout")?,
            activation_dropout: config.probability("activation_dropout")?,
            attention_dropout: config.probability("attention_dropout")?,
            norm_first: true,
            gated: false,
            adapter: None,
            key_bias: false,
        },
        layers: config.size("encoder_layers")?,
        layer_drop: config.probability("encoder_layerdrop")?,
        spec_augment: spec_augment(config)?,
        keeps_layers: false,
    })
}

/// What is masked while training: nothing unless the configuration says so.
fn spec_augment(config: &ModelConfig) -> Result<Option<SpecAugment>, ModelError> {
    let options = masked_spans(config)?;
    Ok(config.flag_or("apply_spec_augment", false)?.then_some(options))
}

/// What `WhisperConfig` assumes, as far as it is read.
pub(super) fn defaults() -> Vec<(&'static str, Value)> {
    vec![
        ("vocab_size", json!(51865)),
        ("num_mel_bins", json!(80)),
        ("d_model", json!(384)),
        ("encoder_layers", json!(4)),
        ("encoder_attention_heads", json!(6)),
        ("encoder_ffn_dim", json!(1536)),
        ("decoder_layers", json!(4)),
        ("decoder_attention_heads", json!(6)),
        ("decoder_ffn_dim", json!(1536)),
        ("encoder_layerdrop", json!(0.0)),
        ("decoder_layerdrop", json!(0.0)),
        ("activation_function", json!("gelu")),
        ("dropout", json!(0.0)),
        ("attention_dropout", json!(0.0)),
        ("activation_dropout", json!(0.0)),
        ("init_std", json!(0.02)),
        ("max_source_positions", json!(1500)),
        ("max_target_positions", json!(448)),
        ("pad_token_id", json!(50256)),
        ("decoder_start_token_id", json!(50257)),
        ("use_weighted_layer_sum", json!(false)),
        ("classifier_proj_size", json!(256)),
        ("apply_spec_augment", json!(false)),
        ("mask_time_prob", json!(0.05)),
        ("mask_time_length", json!(10)),
        ("mask_time_min_masks", json!(2)),
        ("mask_feature_prob", json!(0.0)),
        ("mask_feature_length", json!(10)),
        ("mask_feature_min_masks", json!(0)),
        ("tie_word_embeddings", json!(true)),
    ]
}
