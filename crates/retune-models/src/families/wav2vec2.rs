//! Wav2Vec2 (Baevski et al. 2020), transformers `Wav2Vec2Model`; and what HuBERT and WavLM share with it.

use crate::bodies::SpeechEncoderSizes;
use crate::family::{Fresh, FreshSize, SpeechFamily, TensorNames};
use crate::layers::{
    AudioConvolution, AudioConvolutionSizes, FrontNorm, Spans, SpecAugment, SpeechLayerSizes, SpeechShorteningSizes,
};
use crate::{ModelConfig, ModelError};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// With convolutions behind the encoder, where a checkpoint has them (`add_adapter`).
pub static WAV2VEC2: SpeechFamily = SpeechFamily {
    model_type: "wav2vec2",
    class: "Wav2Vec2",
    names: names("wav2vec2"),
    defaults: || defaults("sum"),
    sizes,
    fresh: Some(Fresh::without_texts(fresh)),
};

/// The usual names below `base`.
pub(super) const fn names(base: &'static str) -> TensorNames {
    TensorNames { base, spellings: SPELLINGS, buffers: &[], modules: &[], lora: Ok(&["q_proj", "v_proj"]) }
}

/// How PyTorch called lengths and directions of weights before 2.0.
const SPELLINGS: &[(&str, &str)] =
    &[(".parametrizations.weight.original0", ".weight_g"), (".parametrizations.weight.original1", ".weight_v")];

/// The config fields that all relatives share.
pub(super) fn sizes(config: &ModelConfig) -> Result<SpeechEncoderSizes, ModelError> {
    let norm = match config.text("feat_extract_norm")?.as_str() {
        "group" => FrontNorm::Group,
        "layer" => FrontNorm::Layer,
        other => {
            return Err(ModelError::of_field(
                "feat_extract_norm",
                format!("is `{other}`; only `group` and `layer` are known"),
            ));
        }
    };
    let (hidden, groups) = (config.size("hidden_size")?, config.size("num_conv_pos_embedding_groups")?);
    if hidden % groups != 0 {
        let problem = format!("is {groups}, which does not divide the hidden size {hidden}");
        return Err(ModelError::of_field("num_conv_pos_embedding_groups", problem));
    }
    Ok(SpeechEncoderSizes {
        front: AudioConvolutionSizes {
            convolutions: convolutions(config)?,
            bias: config.flag_or("conv_bias", false)?,
            norm,
            activation: Activation::from_name(&config.text("feat_extract_activation")?)?,
        },
        projection_norm: true,
        projection_dropout: config.probability("feat_proj_dropout")?,
        positions: (config.size("num_conv_pos_embeddings")?, groups),
        layer: SpeechLayerSizes {
            hidden,
            heads: config.size("num_attention_heads")?,
            intermediate: config.size("intermediate_size")?,
            activation: Activation::from_name(&config.text("hidden_act")?)?,
            norm_epsilon: config.number("layer_norm_eps")?,
            hidden_dropout: config.probability("hidden_dropout")?,
            activation_dropout: config.probability("activation_dropout")?,
            attention_dropout: config.probability("attention_dropout")?,
            norm_first: config.flag_or("do_stable_layer_norm", false)?,
            gated: false,
            adapter: config.get("adapter_attn_dim").map(|_| config.size("adapter_attn_dim")).transpose()?,
            key_bias: true,
        },
        layers: config.size("num_hidden_layers")?,
        layer_drop: config.probability("layerdrop")?,
        relative: None,
        spec_augment: spec_augment(config)?,
        keeps_layers: config.flag_or("use_weighted_layer_sum", false)?,
        shortening: config.flag_or("add_adapter", false)?.then(|| shortening(config)).transpose()?,
    })
}

/// The convolutions behind the encoder.
fn shortening(config: &ModelConfig) -> Result<SpeechShorteningSizes, ModelError> {
    Ok(SpeechShorteningSizes {
        width: config.size_or("output_hidden_size", config.size("hidden_size")?)?,
        kernel: config.size_or("adapter_kernel_size", 3)?,
        stride: config.size_or("adapter_stride", 2)?,
        layers: config.size_or("num_adapter_layers", 3)?,
    })
}

fn convolutions(config: &ModelConfig) -> Result<Vec<AudioConvolution>, ModelError> {
    let fields = ["conv_dim", "conv_kernel", "conv_stride"];
    let [channels, kernels, strides] = fields.map(|field| config.sizes(field));
    let (channels, kernels, strides) = (channels?, kernels?, strides?);
    for (field, list) in [("conv_kernel", &kernels), ("conv_stride", &strides)] {
        if list.len() != channels.len() {
            let problem = format!("has {} numbers, but conv_dim has {}", list.len(), channels.len());
            return Err(ModelError::of_field(field, problem));
        }
    }
    let of = |((&channels, &kernel), &stride)| AudioConvolution { channels, kernel, stride };
    Ok(channels.iter().zip(&kernels).zip(&strides).map(of).collect())
}

/// What is masked while training; `None` where nothing ever is, and no tensor for it is there.
pub(super) fn spec_augment(config: &ModelConfig) -> Result<Option<SpecAugment>, ModelError> {
    let options = masked_spans(config)?;
    let any = options.time.share > 0.0 || options.feature.share > 0.0;
    Ok((any && config.flag_or("apply_spec_augment", true)?).then_some(options))
}

/// What is masked where anything is.
pub(super) fn masked_spans(config: &ModelConfig) -> Result<SpecAugment, ModelError> {
    let spans = |axis: &str, share: f64, least: i64| {
        let field = |part: &str| format!("mask_{axis}_{part}");
        Ok::<_, ModelError>(Spans {
            share: config.number_or(&field("prob"), share)?,
            length: config.size_or(&field("length"), 10)?,
            least: config.number_or(&field("min_masks"), least as f64)? as i64,
        })
    };
    Ok(SpecAugment { time: spans("time", 0.05, 2)?, feature: spans("feature", 0.0, 0)? })
}

/// What the configuration classes assume, as far as it is read.
pub(super) fn defaults(reduction: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("vocab_size", json!(32)),
        ("hidden_size", json!(768)),
        ("num_hidden_layers", json!(12)),
        ("num_attention_heads", json!(12)),
        ("intermediate_size", json!(3072)),
        ("hidden_act", json!("gelu")),
        ("hidden_dropout", json!(0.1)),
        ("activation_dropout", json!(0.1)),
        ("attention_dropout", json!(0.1)),
        ("feat_proj_dropout", json!(0.0)),
        ("final_dropout", json!(0.1)),
        ("layerdrop", json!(0.1)),
        ("initializer_range", json!(0.02)),
        ("layer_norm_eps", json!(1e-5)),
        ("feat_extract_norm", json!("group")),
        ("feat_extract_activation", json!("gelu")),
        ("conv_dim", json!([512, 512, 512, 512, 512, 512, 512])),
        ("conv_stride", json!([5, 2, 2, 2, 2, 2, 2])),
        ("conv_kernel", json!([10, 3, 3, 3, 3, 2, 2])),
        ("conv_bias", json!(false)),
        ("num_conv_pos_embeddings", json!(128)),
        ("num_conv_pos_embedding_groups", json!(16)),
        ("do_stable_layer_norm", json!(false)),
        ("apply_spec_augment", json!(true)),
        ("mask_time_prob", json!(0.05)),
        ("mask_time_length", json!(10)),
        ("mask_time_min_masks", json!(2)),
        ("mask_feature_prob", json!(0.0)),
        ("mask_feature_length", json!(10)),
        ("ctc_loss_reduction", json!(reduction)),
        ("ctc_zero_infinity", json!(false)),
        ("use_weighted_layer_sum", json!(false)),
        ("classifier_proj_size", json!(256)),
        ("pad_token_id", json!(0)),
    ]
}

/// With a norm in every convolution and before every branch, as the large ones have them: such learn from nothing, and tell
/// padding by a mask. Sounds may be short, so that no span has to be masked.
pub(super) fn fresh(size: &FreshSize) -> Value {
    let (hidden, layers, heads) = size.of([(128, 4, 4), (256, 6, 4), (512, 8, 8), (768, 12, 12)]);
    let conv_dim = [size.of([128, 256, 512, 512]); 7];
    json!({
        "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": 4 * hidden,
        "hidden_act": "gelu", "hidden_dropout": 0.1, "activation_dropout": 0.0, "attention_dropout": 0.1,
        "feat_proj_dropout": 0.0, "final_dropout": 0.0, "layerdrop": 0.0, "initializer_range": 0.02, "layer_norm_eps": 1e-5,
        "feat_extract_norm": "layer", "feat_extract_activation": "gelu", "conv_dim": conv_dim,
        "conv_stride": [5, 2, 2, 2, 2, 2, 2], "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_bias": true,
        "num_conv_pos_embeddings": size.of([64, 64, 128, 128]), "num_conv_pos_embedding_groups": 16,
        "do_stable_layer_norm": true, "apply_spec_augment": true, "mask_time_prob": 0.05, "mask_time_length": 10,
        "mask_time_min_masks": 0, "mask_feature_prob": 0.0, "ctc_loss_reduction": "mean", "ctc_zero_infinity": true,
        "classifier_proj_size": 2 * hidden.min(128),
    })
}
