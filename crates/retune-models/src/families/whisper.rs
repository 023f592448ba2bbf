//! Whisper (Radford et al. 2022), transformers `WhisperForConditionalGeneration`: an encoder of log-mel spectrograms, and a decoder that
//! writes what was said.

use super::bart;
use super::whisper_encoder::{LAYER, NORM_EPSILON, WHISPER_ENCODER, defaults, encoder_sizes, heads, takes};
use crate::bodies::{EncoderDecoder, LogMelEncoder, Stack, StackNames, StackPositions, StackSizes};
use crate::checkpoint::{Init, Weights};
use crate::family::{Becomes, Family, TensorNames};
use crate::heads::{AUDIO_CLASSIFICATION, SPEECH_RECOGNITION, TargetTokenPlan};
use crate::layers::{DecoderSizes, NormKind};
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes, TargetBegin};
use retune_kernels::Activation;
use serde_json::Value;

/// With a decoder whose scores are tied to its table.
pub static WHISPER: Whisper = Whisper;

/// Its type.
pub struct Whisper;

const NAMES: TensorNames =
    TensorNames { base: "model", spellings: &[], buffers: &[], modules: &[], lora: Ok(&["q_proj", "v_proj"]) };

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
        takes(config)
    }

    fn target_begin(&self, config: &ModelConfig) -> Option<Result<TargetBegin, ModelError>> {
        Some(TargetBegin::fixed(config))
    }

    fn becomes(&self, purpose: Option<&Purpose>) -> Option<Becomes> {
        (purpose == Some(&AUDIO_CLASSIFICATION)).then_some(Becomes { family: &WHISPER_ENCODER, change: |_| () })
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let base = weights.at(NAMES.base);
        let encoder = LogMelEncoder::load(&base.at("encoder"), &LAYER, encoder_sizes(config)?)?;
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
