//! ModernBERT (Warner et al. 2024), transformers `ModernBertModel`.
//!
//! Every head begins with one transform, the prediction head, which a checkpoint of any other head brings along.

use super::bert;
use crate::bodies::{RotaryEncoderSizes, Span};
use crate::family::{Fresh, FreshPieces, FreshSize, FreshTokens, TensorNames, TextBody, TextFamily};
use crate::heads::{
    MaskedWordsNames, MaskedWordsPlan, SequencePlan, SpanPlan, TextPooling, TokenPlan, TransformPlan,
    TransformSettings, WordScoresPlan,
};
use crate::layers::{GatedOptions, RopeScaling, Rotary, RotaryAttentionSizes};
use crate::{ModelConfig, ModelError};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// Sequences: first token or mean → prediction head → dropout → classifier.
pub static MODERNBERT: TextFamily = TextFamily {
    model_type: "modernbert",
    class: "ModernBert",
    names: TensorNames { lora: Ok(&["Wqkv"]), ..bert::names("model") },
    body: TextBody::Rotary { sizes },
    pooler: None,
    sequence: SequencePlan {
        pooling,
        transform: PREDICTION,
        is_pooler: false,
        classifier: "classifier",
        dropout_before: &[],
        dropout: DROPOUT,
    },
    token: TokenPlan { transform: Some(PREDICTION), ..TokenPlan::new(DROPOUT) },
    spans: SpanPlan { transform: Some(PREDICTION), outputs: "classifier", dropout: DROPOUT },
    words: MaskedWordsPlan(|_| {
        Ok(MaskedWordsNames {
            transform: PREDICTION,
            decoder: WordScoresPlan {
                has_bias: |config| config.flag_or("decoder_bias", true),
                ..WordScoresPlan::new("decoder", None)
            },
        })
    }),
    defaults,
    fresh: Some(Fresh::texts(FreshTokens::Bert, FreshPieces::Bpe, 8192, fresh)),
};

const DROPOUT: &[&str] = &["classifier_dropout"];

const PREDICTION: TransformPlan = TransformPlan {
    dense: "head.dense",
    norm: Some("head.norm"),
    settings: |config| {
        Ok(TransformSettings {
            activation: Activation::from_name(&config.text("classifier_activation")?)?,
            bias: config.flag_or("classifier_bias", false)?,
            norm: (config.number("norm_eps")?, config.flag_or("norm_bias", false)?),
        })
    },
};

fn pooling(config: &ModelConfig) -> Result<TextPooling, ModelError> {
    match config.text("classifier_pooling")?.as_str() {
        "cls" => Ok(TextPooling::First),
        "mean" => Ok(TextPooling::Mean),
        other => Err(ModelError::of_field("classifier_pooling", format!("is `{other}`; known are cls and mean"))),
    }
}

/// What `ModernBertConfig` assumes.
fn defaults() -> Vec<(&'static str, Value)> {
    vec![
        ("vocab_size", json!(50368)),
        ("hidden_size", json!(768)),
        ("intermediate_size", json!(1152)),
        ("num_hidden_layers", json!(22)),
        ("num_attention_heads", json!(12)),
        ("hidden_activation", json!("gelu")),
        ("max_position_embeddings", json!(8192)),
        ("initializer_range", json!(0.02)),
        ("norm_eps", json!(1e-5)),
        ("norm_bias", json!(false)),
        ("pad_token_id", json!(50283)),
        ("attention_bias", json!(false)),
        ("attention_dropout", json!(0.0)),
        ("local_attention", json!(128)),
        ("embedding_dropout", json!(0.0)),
        ("mlp_bias", json!(false)),
        ("mlp_dropout", json!(0.0)),
        ("decoder_bias", json!(true)),
        ("classifier_pooling", json!("cls")),
        ("classifier_dropout", json!(0.0)),
        ("classifier_bias", json!(false)),
        ("classifier_activation", json!("gelu")),
    ]
}

fn sizes(config: &ModelConfig) -> Result<RotaryEncoderSizes, ModelError> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    if hidden % heads != 0 || hidden / heads % 2 != 0 {
        let problem = format!("is {heads}; heads of {hidden} numbers must be of one even size, for rotary positions");
        return Err(ModelError::of_field("num_attention_heads", problem));
    }
    let rotary = |kind: &str, older: &str, usual: f64| {
        Ok::<_, ModelError>(Rotary {
            size: hidden / heads,
            base: base(config, kind, older, usual)?,
            scaling: RopeScaling::None,
        })
    };
    let bias = config.flag_or("mlp_bias", false)?;
    Ok(RotaryEncoderSizes {
        vocabulary: config.size("vocab_size")?,
        padding: bert::padding(config, &crate::layers::PositionScheme::Absolute)?,
        longest: config.size("max_position_embeddings")?,
        embedding_dropout: config.probability("embedding_dropout")?,
        attention: RotaryAttentionSizes {
            hidden,
            heads,
            bias: config.flag_or("attention_bias", false)?,
            dropout: config.probability("attention_dropout")?,
        },
        intermediate: config.size("intermediate_size")?,
        gated: GatedOptions {
            gate_and_up: "Wi",
            down: "Wo",
            activation: Activation::from_name(&config.text("hidden_activation")?)?,
            bias,
            dropout: config.probability("mlp_dropout")?,
        },
        norm_epsilon: config.number("norm_eps")?,
        norm_bias: config.flag_or("norm_bias", false)?,
        spans: spans(config)?,
        reach: config.number("local_attention")? as i64 / 2,
        rotary: (rotary(GLOBAL, "global_rope_theta", 160_000.0)?, rotary(LOCAL, "local_rope_theta", 10_000.0)?),
    })
}

const GLOBAL: &str = "full_attention";
const LOCAL: &str = "sliding_attention";

/// What each layer attends to: `layer_types`, in older configurations every so many layers to all tokens.
fn spans(config: &ModelConfig) -> Result<Vec<Span>, ModelError> {
    let layers = config.size("num_hidden_layers")?;
    let Some(types) = config.get("layer_types") else {
        let every = config.size_or("global_attn_every_n_layers", 3)?;
        return Ok((0..layers).map(|i| if i % every == 0 { Span::Global } else { Span::Local }).collect());
    };
    let of = |kind: &Value| match kind.as_str()? {
        GLOBAL => Some(Span::Global),
        LOCAL => Some(Span::Local),
        _ => None,
    };
    let spans: Option<Vec<Span>> = types.as_array().and_then(|types| types.iter().map(of).collect());
    spans.filter(|spans| spans.len() as i64 == layers).ok_or_else(|| {
        ModelError::of_field(
            "layer_types",
            format!("is {types}, not one of {GLOBAL} and {LOCAL} for each of {layers} layers"),
        )
    })
}

/// The base of the wavelengths of one kind of layer.
fn base(config: &ModelConfig, kind: &str, older: &str, usual: f64) -> Result<f64, ModelError> {
    let parameters = config.get("rope_parameters").and_then(|all| all.get(kind));
    for scaling in parameters.into_iter().chain(config.get("rope_scaling")) {
        let stated = scaling.get("rope_type").or_else(|| scaling.get("type")).and_then(Value::as_str);
        if let Some(other) = stated.filter(|stated| *stated != "default") {
            let problem = format!("asks for `{other}` positions in layers of {kind}; only `default` is supported");
            return Err(ModelError::of_field("rope_parameters", problem));
        }
    }
    match parameters.and_then(|parameters| parameters.get("rope_theta")) {
        Some(theta) => {
            theta.as_f64().ok_or_else(|| ModelError::of_field("rope_parameters", format!("has a base of {theta}")))
        }
        None => config.number_or(older, usual),
    }
}

fn fresh(size: &FreshSize) -> Value {
    json!({
        "hidden_size": size.hidden, "num_hidden_layers": size.layers, "num_attention_heads": size.heads,
        "intermediate_size": size.hidden * 3 / 2, "hidden_activation": "gelu", "max_position_embeddings": 8192,
        "global_attn_every_n_layers": 3, "local_attention": 128, "norm_eps": 1e-5, "initializer_range": 0.02,
        "tie_word_embeddings": true,
    })
}
