//! BERT (Devlin et al. 2018), transformers `BertModel`; and what RoBERTa and ELECTRA share with it.

use crate::bodies::{TextEncoderNames, TextEncoderSizes};
use crate::family::{Fresh, FreshPieces, FreshSize, FreshTokens, TensorNames, TextBody, TextFamily};
use crate::heads::{
    MaskedWordsNames, MaskedWordsPlan, SequencePlan, SpanPlan, TokenPlan, TransformPlan, TransformSettings,
    WordScoresPlan, first_token,
};
use crate::layers::{AttentionNames, EmbeddingSizes, LayerNames, LayerSizes, PositionScheme};
use crate::{ModelConfig, ModelError};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// Sequences: pooler (tanh) → dropout → classifier.
pub static BERT: TextFamily = TextFamily {
    model_type: "bert",
    class: "Bert",
    names: TensorNames { spellings: BIAS, ..names("bert") },
    body: TextBody::PostNorm {
        names: BODY,
        sizes: |config| sizes(config, config.size("hidden_size")?, PositionScheme::Absolute),
    },
    pooler: Some(POOLER),
    sequence: SequencePlan {
        pooling: first_token,
        transform: TransformPlan {
            dense: POOLER,
            norm: None,
            settings: |_| Ok(TransformSettings::new(Activation::Tanh)),
        },
        is_pooler: true,
        classifier: "classifier",
        dropout_before: &[],
        dropout: DROPOUT,
    },
    token: TOKEN,
    spans: SPANS,
    words: MaskedWordsPlan(|_| Ok(WORDS)),
    defaults: || defaults(30522),
    fresh: Some(Fresh::texts(FreshTokens::Bert, FreshPieces::WordPiece, 512, fresh)),
};

/// Where only one of the two names of the bias of words' scores is stored, it may be the other.
pub(super) const BIAS: &[(&str, &str)] = &[("cls.predictions.bias", "cls.predictions.decoder.bias")];

const POOLER: &str = "bert.pooler.dense";

/// The usual names below `base`.
pub(super) const fn names(base: &'static str) -> TensorNames {
    TensorNames { base, spellings: &[], buffers: BUFFERS, modules: &[], lora: Ok(&["query", "value"]) }
}

/// What older checkpoints of text encoders store and nothing reads.
pub(super) const BUFFERS: &[&str] = &["position_ids", "token_type_ids"];

/// Names of the layers.
pub(super) const BODY: TextEncoderNames = TextEncoderNames {
    layers: "encoder.layer",
    layer: LayerNames {
        attention: AttentionNames {
            query: "attention.self.query",
            key: "attention.self.key",
            value: "attention.self.value",
            output: "attention.output.dense",
        },
        attention_norm: "attention.output.LayerNorm",
        intermediate: "intermediate.dense",
        output: "output.dense",
        output_norm: "output.LayerNorm",
    },
};

/// Words: dense → norm → the table.
pub(super) const WORDS: MaskedWordsNames = MaskedWordsNames {
    transform: TransformPlan {
        dense: "cls.predictions.transform.dense",
        norm: Some("cls.predictions.transform.LayerNorm"),
        settings: word_transform,
    },
    decoder: WordScoresPlan::new("cls.predictions.decoder", Some("cls.predictions.bias")),
};

/// The activation and the epsilon of the layers.
///
/// # Errors
/// Fields that are missing or wrong.
pub(super) fn word_transform(config: &ModelConfig) -> Result<TransformSettings, ModelError> {
    Ok(TransformSettings::normed(Activation::from_name(&config.text("hidden_act")?)?, config.number("layer_norm_eps")?))
}

/// Before classifiers.
pub(super) const DROPOUT: &[&str] = &["classifier_dropout", "hidden_dropout_prob"];

/// Tokens: dropout → classifier.
pub(super) const TOKEN: TokenPlan = TokenPlan::new(DROPOUT);

/// Answers: nothing in between.
pub(super) const SPANS: SpanPlan = SpanPlan { transform: None, outputs: "qa_outputs", dropout: &[] };

/// The config fields that BERT, RoBERTa and ELECTRA share.
pub(super) fn sizes(
    config: &ModelConfig,
    embedding_size: i64,
    scheme: PositionScheme,
) -> Result<TextEncoderSizes, ModelError> {
    if let Some(kind) = config.get("position_embedding_type").and_then(Value::as_str).filter(|k| *k != "absolute") {
        return Err(ModelError::Config {
            field: "position_embedding_type".to_owned(),
            problem: format!("is `{kind}`; only `absolute` is supported"),
        });
    }
    if config.get("is_decoder").and_then(Value::as_bool) == Some(true) {
        return Err(ModelError::Config { field: "is_decoder".to_owned(), problem: "must be false here".to_owned() });
    }
    let norm_epsilon = config.number("layer_norm_eps")?;
    let hidden_dropout = config.probability("hidden_dropout_prob")?;
    Ok(TextEncoderSizes {
        embeddings: EmbeddingSizes {
            vocabulary: config.size("vocab_size")?,
            padding: padding(config, &scheme)?,
            positions: config.size("max_position_embeddings")?,
            types: config.number("type_vocab_size")? as i64,
            size: embedding_size,
            norm_epsilon,
            dropout: hidden_dropout,
            scheme,
        },
        layer: LayerSizes {
            hidden: config.size("hidden_size")?,
            heads: config.size("num_attention_heads")?,
            intermediate: config.size("intermediate_size")?,
            activation: Activation::from_name(&config.text("hidden_act")?)?,
            norm_epsilon,
            hidden_dropout,
            feed_forward_dropout: hidden_dropout,
            attention_dropout: config.probability("attention_probs_dropout_prob")?,
        },
        layers: config.size("num_hidden_layers")?,
        projection: None,
        sharing: None,
        relative_positions: None,
    })
}

/// The token of padding: `pad_token_id`, where absent what the classes assume; null is none.
///
/// # Errors
/// A number that is no token.
pub(super) fn padding(config: &ModelConfig, scheme: &PositionScheme) -> Result<Option<i64>, ModelError> {
    let assumed = match scheme {
        PositionScheme::Absolute => 0,
        PositionScheme::AfterPadding(padding) => *padding,
    };
    let field = "pad_token_id";
    let Some(value) = config.as_map().get(field) else { return Ok(Some(assumed)) };
    if value.is_null() {
        return Ok(None);
    }
    let (stated, rows) = (config.number(field)? as i64, config.size("vocab_size")?);
    // PyTorch counts negative ones from the end.
    let row = if stated < 0 { stated + rows } else { stated };
    if (0..rows).contains(&row) {
        return Ok(Some(row));
    }
    Err(ModelError::Config { field: field.to_owned(), problem: format!("is {stated}, but there are {rows} tokens") })
}

/// [`defaults`] with other values of some fields, and fields beside them.
pub(super) fn defaults_with(vocabulary: i64, own: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
    let others = defaults(vocabulary).into_iter().filter(|(field, _)| own.iter().all(|(other, _)| other != field));
    own.iter().cloned().chain(others).collect()
}

/// What `BertConfig` and its siblings assume; they differ in the vocabulary.
pub(super) fn defaults(vocabulary: i64) -> Vec<(&'static str, Value)> {
    vec![
        ("vocab_size", json!(vocabulary)),
        ("hidden_size", json!(768)),
        ("num_hidden_layers", json!(12)),
        ("num_attention_heads", json!(12)),
        ("intermediate_size", json!(3072)),
        ("hidden_act", json!("gelu")),
        ("hidden_dropout_prob", json!(0.1)),
        ("attention_probs_dropout_prob", json!(0.1)),
        ("max_position_embeddings", json!(512)),
        ("type_vocab_size", json!(2)),
        ("initializer_range", json!(0.02)),
        ("layer_norm_eps", json!(1e-12)),
    ]
}

fn fresh(size: &FreshSize) -> Value {
    fresh_fields(size, 512, 2, 1e-12)
}

/// The fields that most encoders share, of a model that is made from nothing.
pub(super) fn fresh_fields(size: &FreshSize, positions: i64, types: i64, epsilon: f64) -> Value {
    json!({
        "hidden_size": size.hidden, "num_hidden_layers": size.layers, "num_attention_heads": size.heads,
        "intermediate_size": 4 * size.hidden, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1, "max_position_embeddings": positions, "type_vocab_size": types,
        "initializer_range": 0.02, "layer_norm_eps": epsilon, "tie_word_embeddings": true,
    })
}
