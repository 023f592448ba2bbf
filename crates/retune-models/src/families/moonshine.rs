//! Moonshine (Jeffries et al. 2024), transformers `MoonshineForConditionalGeneration`: an encoder of samples and a decoder that writes
//! what was said, both with rotary positions over a part of each head.

use super::rope::{self, RopeFields, USUAL};
use crate::bodies::{
    EncoderDecoder, Stack, StackNames, StackPositions, StackSizes, WaveformEncoder, WaveformEncoderSizes,
};
use crate::checkpoint::{Init, Weights};
use crate::family::{Family, TensorNames};
use crate::heads::{SPEECH_RECOGNITION, TargetTokenPlan};
use crate::layers::{
    CrossNames, DecoderAttentionNames, DecoderLayerNames, DecoderSizes, NetworkNames, NormKind, ProjectionNames, Rotary,
};
use crate::takes::{AudioInput, Written};
use crate::{Body, FirstToken, HeadPlan, ModelConfig, ModelError, Purpose, Takes, TargetBegin};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// With a decoder whose scores are tied to its table.
pub static MOONSHINE: Moonshine = Moonshine;

/// Its type.
pub struct Moonshine;

const NAMES: TensorNames =
    TensorNames { base: "model", spellings: &[], buffers: &[], modules: &[], lora: Ok(&["q_proj", "v_proj"]) };

const ROPE: RopeFields = RopeFields { share: Some(("partial_rotary_factor", 0.9)), ..USUAL };

const fn attention([query, key, value, output]: [&'static str; 4]) -> DecoderAttentionNames {
    DecoderAttentionNames { projections: ProjectionNames::Apart { query, key, value }, output, norms: None }
}

/// Names inside a layer of the encoder.
const ENCODER: DecoderLayerNames = DecoderLayerNames {
    attention: attention(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]),
    network: NetworkNames::Plain { up: "mlp.fc1", down: "mlp.fc2" },
    before_attention: "input_layernorm",
    after_attention: None,
    cross: None,
    before_network: "post_attention_layernorm",
    after_network: None,
};

/// Names of the decoder.
const DECODER: StackNames = StackNames {
    positions: "",
    embedding_norm: None,
    layers: "layers",
    layer: DecoderLayerNames {
        network: NetworkNames::Joint { both: "mlp.fc1", gate_first: false, down: "mlp.fc2" },
        cross: Some(CrossNames {
            attention: attention([
                "encoder_attn.q_proj",
                "encoder_attn.k_proj",
                "encoder_attn.v_proj",
                "encoder_attn.o_proj",
            ]),
            norm: "post_attention_layernorm",
        }),
        before_network: "final_layernorm",
        ..ENCODER
    },
    norm: Some("norm"),
    relative: "",
};

impl Family for Moonshine {
    fn model_type(&self) -> &'static str {
        "moonshine"
    }

    fn class(&self) -> &'static str {
        "Moonshine"
    }

    fn architecture(&self, _config: &ModelConfig, _purpose: &Purpose) -> String {
        format!("{}ForConditionalGeneration", self.class())
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
        Ok(Takes::Audio(AudioInput::Samples {
            frames: WaveformEncoderSizes::frames(),
            masked: true,
            counted: true,
            written: Some(Written {
                longest: config.size("max_position_embeddings")? as usize,
                vocabulary: config.size("vocab_size")? as usize,
            }),
        }))
    }

    fn target_begin(&self, config: &ModelConfig) -> Option<Result<TargetBegin, ModelError>> {
        Some(begin(config))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        let base = weights.at(NAMES.base);
        let (sizes, rotary) = layer(config, "encoder")?;
        let layers = config.size("encoder_num_hidden_layers")? as usize;
        let sizes = WaveformEncoderSizes { layer: sizes, layers, rotary };
        let encoder = WaveformEncoder::load(&base.at("encoder"), &ENCODER, sizes)?;
        let (decoder, first) = (base.at("decoder"), encoder.blocks() + 1);
        let (layer, rotary) = layer(config, "decoder")?;
        let rows = config.size("vocab_size")?;
        let table = decoder.at("embed_tokens");
        let init = Init::Normal(weights.initializer_range());
        let tokens = table.depth(first).table("weight", [rows, layer.hidden], init)?;
        let padding = config.get("pad_token_id").and_then(Value::as_i64).filter(|token| (0..rows).contains(token));
        let tokens = tokens.with_padding(padding);
        let name = format!("{}.weight", table.path());
        let sizes = StackSizes {
            embedding_scale: 1.0,
            positions: StackPositions::None,
            rotary: Some(rotary),
            embedding_dropout: 0.0,
            layer,
            layers: config.size("decoder_num_hidden_layers")? as usize,
            relative: None,
            final_dropout: 0.0,
            layer_drop: 0.0,
        };
        let stack = Stack::load(&decoder, &DECODER, sizes, tokens, (first, first))?;
        Ok(Box::new(EncoderDecoder::new(Box::new(encoder), stack, name, begin(config).ok())))
    }
}

/// The first token, and any token where there is no target: the class refuses targets without one of padding.
fn begin(config: &ModelConfig) -> Result<TargetBegin, ModelError> {
    let first = FirstToken::Fixed(config.number("decoder_start_token_id")? as i64);
    Ok(TargetBegin { first, padding: config.get("pad_token_id").and_then(Value::as_i64).unwrap_or(0) })
}

/// Layers of one stack, and their positions.
fn layer(config: &ModelConfig, stack: &str) -> Result<(DecoderSizes, Rotary), ModelError> {
    let field = |name: &str| format!("{stack}_{name}");
    let (hidden, heads) = (config.size("hidden_size")?, config.size(&field("num_attention_heads"))?);
    // What transformers computes then is not what the configuration says: both stacks share one field, the last written counts.
    let others = config.size("encoder_num_attention_heads")?;
    if heads != others {
        let problem =
            format!("is {heads}, but encoder_num_attention_heads is {others}; the class has one number for both");
        return Err(ModelError::of_field(&field("num_attention_heads"), problem));
    }
    let key_heads = config.size_or(&field("num_key_value_heads"), heads)?;
    if key_heads != heads {
        let problem = format!("is {key_heads}, not the number of attention heads {heads}; the class computes no other");
        return Err(ModelError::of_field(&field("num_key_value_heads"), problem));
    }
    let head_size = match config.get("head_dim") {
        Some(_) => config.size("head_dim")?,
        None if hidden % heads == 0 => hidden / heads,
        None => {
            let problem = format!("is {heads}, which does not divide the hidden size {hidden}");
            return Err(ModelError::of_field(&field("num_attention_heads"), problem));
        }
    };
    let bias = config.flag_or("attention_bias", false)?;
    let sizes = DecoderSizes {
        hidden,
        heads,
        key_heads,
        head_size,
        intermediate: config.size("intermediate_size")?,
        activation: Activation::from_name(&config.text(&field("hidden_act"))?)?,
        norm: NormKind::LayerWithoutBias,
        // Of PyTorch's layer norm, which the class does not set.
        norm_epsilon: 1e-5,
        query_bias: bias,
        key_bias: bias,
        output_bias: false,
        network_bias: true,
        transposed: false,
        scale: 1.0 / (head_size as f64).sqrt(),
        scale_by_layer: false,
        softcap: None,
        parallel: false,
        post_norm: false,
        hidden_dropout: 0.0,
        attention_dropout: config.probability("attention_dropout")?,
        network_dropout: 0.0,
    };
    Ok((sizes, rope::rotary(config, head_size, ROPE)?))
}

/// What `MoonshineConfig` assumes, as far as it is read.
fn defaults() -> Vec<(&'static str, Value)> {
    vec![
        ("is_encoder_decoder", json!(true)),
        ("vocab_size", json!(32_768)),
        ("hidden_size", json!(288)),
        ("intermediate_size", json!(1152)),
        ("encoder_num_hidden_layers", json!(6)),
        ("decoder_num_hidden_layers", json!(6)),
        ("encoder_num_attention_heads", json!(8)),
        ("decoder_num_attention_heads", json!(8)),
        ("encoder_hidden_act", json!("gelu")),
        ("decoder_hidden_act", json!("silu")),
        ("max_position_embeddings", json!(512)),
        ("initializer_range", json!(0.02)),
        ("decoder_start_token_id", json!(1)),
        ("attention_bias", json!(false)),
        ("attention_dropout", json!(0.0)),
        ("bos_token_id", json!(1)),
        ("eos_token_id", json!(2)),
        ("tie_word_embeddings", json!(true)),
    ]
}
