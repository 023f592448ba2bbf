//! Whisper (Radford et al. 2022), transformers `WhisperForConditionalGeneration`: an encoder of log-mel spectrograms, and a decoder that
//! writes what was said.

use super::bart;
use crate::bodies::{EncoderDecoder, LogMelEncoder, LogMelEncoderSizes, Stack, StackNames, StackPositions, StackSizes};
use crate::checkpoint::{Init, Weights};
use crate::family::{Family, TensorNames};
use crate::heads::{SPEECH_RECOGNITION, TargetTokenPlan};
use crate::layers::{AttentionNames, DecoderSizes, LayerNames, NormKind, Spans, SpecAugment, SpeechLayerSizes};
use crate::takes::{AudioInput, Written};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes, TargetBegin};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// With a decoder whose scores are tied to its table.
pub static WHISPER: Whisper = Whisper;

/// Its type.
pub struct Whisper;

const NAMES: TensorNames =
    TensorNames { base: "model", spellings: &[], buffers: &[], modules: &[], lora: Ok(&["q_proj", "v_proj"]) };

/// Names inside a layer of the encoder.
const ENCODER_LAYER: LayerNames = LayerNames {
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

/// Names of the decoder: BART's, with a norm behind all.
const DECODER: StackNames = bart::over_encoder(&StackNames { norm: Some("layer_norm"), ..bart::STACK });

impl Family for Whisper {
    fn model_type(&self) -> &'static str {
        "whisper"
    }

    fn class(&self) -> &'static str {
        "Whisper"
    }

    fn architecture(&self, _config: &ModelConfig, purpose: &Purpose) -> String {
        let ending = if *purpose == SPEECH_RECOGNITION { "ForConditionalGeneration" } else { purpose.class_ending };
        format!("{}{ending}", self.class())
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&SPEECH_RECOGNITION, Box::new(TargetTokenPlan::new("proj_out", None)))]
    }

    fn names(&self) -> &TensorNames {
        &NAMES
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        defaults()
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
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

    fn target_begin(&self, config: &ModelConfig) -> Option<Result<TargetBegin, ModelError>> {
        Some(TargetBegin::fixed(config))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let base = weights.at(NAMES.base);
        let encoder = LogMelEncoder::load(&base.at("encoder"), &ENCODER_LAYER, encoder_sizes(config)?)?;
        let (decoder, first) = (base.at("decoder"), encoder.blocks() + 1);
        let sizes = decoder_sizes(config)?;
        let rows = config.size("vocab_size")?;
        let table = decoder.at("embed_tokens");
        let init = Init::Normal(weights.initializer_range());
        let tokens = table.depth(first).table("weight", [rows, sizes.layer.hidden], init)?;
        let padding = match config.as_map().get("pad_token_id") {
            Some(Value::Null) => None,
            _ => Some(config.number_or("pad_token_id", 50_256.0)? as i64),
        };
        let tokens = tokens.with_padding(padding.filter(|token| (0..rows).contains(token)));
        let name = format!("{}.weight", table.path());
        let stack = Stack::load(&decoder, &DECODER, sizes, tokens, (first, first))?;
        Ok(Box::new(EncoderDecoder::new(Box::new(encoder), stack, name, TargetBegin::fixed(config).ok())))
    }
}

fn refused(field: &str, problem: String) -> ModelError {
    ModelError::Config { field: field.to_owned(), problem }
}

/// The hidden size, and the heads that a field says divide it.
fn heads(config: &ModelConfig, field: &str) -> Result<(i64, i64), ModelError> {
    let (hidden, heads) = (config.size("d_model")?, config.size(field)?);
    if hidden % heads == 0 {
        return Ok((hidden, heads));
    }
    Err(refused(field, format!("is {heads}, which does not divide the hidden size {hidden}")))
}

fn encoder_sizes(config: &ModelConfig) -> Result<LogMelEncoderSizes, ModelError> {
    let (hidden, heads) = heads(config, "encoder_attention_heads")?;
    if hidden % 2 != 0 {
        return Err(refused("d_model", format!("is {hidden}; positions need an even one")));
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
            key_bias: false,
        },
        layers: config.size("encoder_layers")?,
        layer_drop: config.probability("encoder_layerdrop")?,
        spec_augment: spec_augment(config)?,
    })
}

/// Of PyTorch's layer norm, which the class does not set.
const NORM_EPSILON: f64 = 1e-5;

fn decoder_sizes(config: &ModelConfig) -> Result<StackSizes, ModelError> {
    let (hidden, heads) = heads(config, "decoder_attention_heads")?;
    let head_size = hidden / heads;
    Ok(StackSizes {
        // The class reads `scale_embedding`, but never multiplies by it.
        embedding_scale: 1.0,
        positions: StackPositions::Learned { rows: config.size("max_target_positions")?, unused: 0 },
        rotary: None,
        embedding_dropout: config.probability("dropout")?,
        layer: DecoderSizes {
            hidden,
            heads,
            key_heads: heads,
            head_size,
            intermediate: config.size("decoder_ffn_dim")?,
            activation: Activation::from_name(&config.text("activation_function")?)?,
            norm: NormKind::Layer,
            norm_epsilon: NORM_EPSILON,
            query_bias: true,
            key_bias: false,
            output_bias: true,
            network_bias: true,
            transposed: false,
            scale: 1.0 / (head_size as f64).sqrt(),
            scale_by_layer: false,
            softcap: None,
            parallel: false,
            post_norm: false,
            hidden_dropout: config.probability("dropout")?,
            attention_dropout: config.probability("attention_dropout")?,
            network_dropout: config.probability("activation_dropout")?,
        },
        layers: config.size("decoder_layers")? as usize,
        relative: None,
        final_dropout: 0.0,
        layer_drop: config.probability("decoder_layerdrop")?,
    })
}

/// What is masked while training: nothing unless the configuration says so.
fn spec_augment(config: &ModelConfig) -> Result<Option<SpecAugment>, ModelError> {
    let spans = |axis: &str| {
        let field = |part: &str| format!("mask_{axis}_{part}");
        Ok::<_, ModelError>(Spans {
            share: config.number(&field("prob"))?,
            length: config.size(&field("length"))?,
            least: config.number(&field("min_masks"))? as i64,
        })
    };
    let options = SpecAugment { time: spans("time")?, feature: spans("feature")? };
    Ok(config.flag_or("apply_spec_augment", false)?.then_some(options))
}

/// What `WhisperConfig` assumes, as far as it is read.
fn defaults() -> Vec<(&'static str, Value)> {
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
