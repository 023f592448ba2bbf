//! Wav2Vec2-BERT (Barrault et al. 2023, "Seamless"), transformers `Wav2Vec2BertModel`: a conformer over filter banks.

use super::wav2vec2::spec_augment;
use crate::bodies::{ConformerEncoder, ConformerEncoderSizes};
use crate::checkpoint::Weights;
use crate::family::{Family, TensorNames};
use crate::heads::{AUDIO_CLASSIFICATION, CtcPlan, FramesPlan, SPEECH_RECOGNITION};
use crate::layers::{ConformerAdapterSizes, ConformerAttentionSizes, ConformerPositions, ConformerSizes};
use crate::takes::AudioInput;
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// With heads for frames and for whole sounds.
pub static WAV2VEC2_BERT: Wav2Vec2Bert = Wav2Vec2Bert;

/// Its type.
pub struct Wav2Vec2Bert;

const NAMES: TensorNames = TensorNames {
    base: "wav2vec2_bert",
    spellings: &[],
    buffers: &[],
    modules: &[],
    lora: Ok(&["linear_q", "linear_v"]),
};

impl Family for Wav2Vec2Bert {
    fn model_type(&self) -> &'static str {
        "wav2vec2-bert"
    }

    fn class(&self) -> &'static str {
        "Wav2Vec2Bert"
    }

    fn architecture(&self, _config: &ModelConfig, purpose: &Purpose) -> String {
        let ending = if *purpose == AUDIO_CLASSIFICATION { "ForSequenceClassification" } else { purpose.class_ending };
        format!("{}{ending}", self.class())
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&SPEECH_RECOGNITION, Box::new(CtcPlan)), (&AUDIO_CLASSIFICATION, Box::new(FramesPlan::USUAL))]
    }

    fn names(&self) -> &TensorNames {
        &NAMES
    }

    fn defaults(&self) -> Vec<(&'static str, Value)> {
        defaults()
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let sizes = sizes(config)?;
        Ok(Takes::Audio(AudioInput::Frames { size: sizes.features, frames: sizes.frames() }))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        Ok(Box::new(ConformerEncoder::load(weights, NAMES.base, sizes(config)?)?))
    }
}

fn sizes(config: &ModelConfig) -> Result<ConformerEncoderSizes, ModelError> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    let divided = |field: &str, width: i64| {
        if width % heads == 0 {
            return Ok(());
        }
        Err(ModelError::of_field(
            "num_attention_heads",
            format!("is {heads}, which does not divide the {field} {width}"),
        ))
    };
    divided("hidden_size", hidden)?;
    let kernel = config.size("conv_depthwise_kernel_size")?;
    if kernel % 2 == 0 {
        return Err(ModelError::of_field("conv_depthwise_kernel_size", format!("is {kernel}, not an odd number")));
    }
    let layer = ConformerSizes {
        attention: ConformerAttentionSizes {
            hidden,
            heads,
            dropout: config.probability("attention_dropout")?,
            positions: positions(config, hidden, heads)?,
        },
        intermediate: config.size("intermediate_size")?,
        activation: Activation::from_name(&config.text("hidden_act")?)?,
        norm_epsilon: config.number("layer_norm_eps")?,
        kernel,
        hidden_dropout: config.probability("hidden_dropout")?,
        activation_dropout: config.probability("activation_dropout")?,
        convolution_dropout: config.probability("conformer_conv_dropout")?,
    };
    let adapter = || {
        let width = config.size_or("output_hidden_size", hidden)?;
        divided("output_hidden_size", width)?;
        let attention =
            ConformerAttentionSizes { hidden: width, positions: ConformerPositions::None, ..layer.attention };
        let sizes = ConformerAdapterSizes {
            layer: ConformerSizes { attention, ..layer },
            kernel: config.size("adapter_kernel_size")?,
            stride: config.size("adapter_stride")?,
            activation: Activation::from_name(&config.text("adapter_act")?)?,
        };
        Ok::<_, ModelError>((sizes, config.size("num_adapter_layers")?))
    };
    let adapter = config.flag_or("add_adapter", false)?.then(adapter).transpose()?;
    let network = config.flag_or("use_intermediate_ffn_before_adapter", false)?;
    if network && adapter.is_none() {
        let problem = "is true, but add_adapter is not".to_owned();
        return Err(ModelError::of_field("use_intermediate_ffn_before_adapter", problem));
    }
    Ok(ConformerEncoderSizes {
        features: config.size("feature_projection_input_dim")?,
        projection_dropout: config.probability("feat_proj_dropout")?,
        layer,
        layers: config.size("num_hidden_layers")?,
        layer_drop: config.probability("layerdrop")?,
        spec_augment: spec_augment(config)?,
        adapter,
        network,
        keeps_layers: config.flag_or("use_weighted_layer_sum", false)?,
    })
}

fn positions(config: &ModelConfig, hidden: i64, heads: i64) -> Result<ConformerPositions, ModelError> {
    const FIELD: &str = "position_embeddings_type";
    let even = |what: &str, size: i64| {
        if size % 2 == 0 {
            Ok(())
        } else {
            Err(ModelError::of_field(FIELD, format!("needs an even {what}, not {size}")))
        }
    };
    let reach = |field: &str| {
        let number = config.number(field)?;
        if number >= 0.0 && number.fract() == 0.0 {
            return Ok(number as i64);
        }
        Err(ModelError::of_field(field, format!("is {number}, not a whole number from 0")))
    };
    // The class assumes relative keys where nothing is said; null says that there are no positions.
    match config.as_map().get(FIELD) {
        Some(Value::Null) => Ok(ConformerPositions::None),
        Some(Value::String(name)) if name == "relative" => {
            even("hidden size", hidden)?;
            Ok(ConformerPositions::Relative)
        }
        None => relative_key(&reach),
        Some(Value::String(name)) if name == "relative_key" => relative_key(&reach),
        Some(Value::String(name)) if name == "rotary" => {
            even("size of a head", hidden / heads)?;
            Ok(ConformerPositions::Rotary { base: config.number("rotary_embedding_base")? })
        }
        Some(other) => {
            let problem = format!("is {other}; only relative, relative_key, rotary and null are known");
            Err(ModelError::of_field(FIELD, problem))
        }
    }
}

fn relative_key(reach: &dyn Fn(&str) -> Result<i64, ModelError>) -> Result<ConformerPositions, ModelError> {
    let [left, right] = [reach("left_max_position_embeddings")?, reach("right_max_position_embeddings")?];
    Ok(ConformerPositions::RelativeKey { left, right })
}

/// What `Wav2Vec2BertConfig` assumes, as far as it is read; the kind of positions is left out, because null is one of them.
fn defaults() -> Vec<(&'static str, Value)> {
    vec![
        ("hidden_size", json!(1024)),
        ("num_hidden_layers", json!(24)),
        ("num_attention_heads", json!(16)),
        ("intermediate_size", json!(4096)),
        ("feature_projection_input_dim", json!(160)),
        ("hidden_act", json!("swish")),
        ("hidden_dropout", json!(0.0)),
        ("activation_dropout", json!(0.0)),
        ("attention_dropout", json!(0.0)),
        ("feat_proj_dropout", json!(0.0)),
        ("final_dropout", json!(0.1)),
        ("layerdrop", json!(0.1)),
        ("initializer_range", json!(0.02)),
        ("layer_norm_eps", json!(1e-5)),
        ("apply_spec_augment", json!(true)),
        ("mask_time_prob", json!(0.05)),
        ("mask_time_length", json!(10)),
        ("mask_time_min_masks", json!(2)),
        ("mask_feature_prob", json!(0.0)),
        ("mask_feature_length", json!(10)),
        ("mask_feature_min_masks", json!(0)),
        ("ctc_loss_reduction", json!("sum")),
        ("ctc_zero_infinity", json!(false)),
        ("use_weighted_layer_sum", json!(false)),
        ("classifier_proj_size", json!(768)),
        ("pad_token_id", json!(0)),
        ("add_adapter", json!(false)),
        ("adapter_kernel_size", json!(3)),
        ("adapter_stride", json!(2)),
        ("num_adapter_layers", json!(1)),
        ("adapter_act", json!("relu")),
        ("use_intermediate_ffn_before_adapter", json!(false)),
        ("rotary_embedding_base", json!(10_000)),
        ("left_max_position_embeddings", json!(64)),
        ("right_max_position_embeddings", json!(8)),
        ("conv_depthwise_kernel_size", json!(31)),
        ("conformer_conv_dropout", json!(0.1)),
    ]
}
