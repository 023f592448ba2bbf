//! What the BERT-like families compute; each of them is a [`TextEncoderSpec`].

use crate::checkpoint::Weights;
use crate::heads::{HeadNames, SequenceClassificationHead};
use crate::layers::{EmbeddingSizes, EncoderLayer, LayerNames, LayerSizes, TextEmbeddings, text_embeddings};
use crate::registry::Family;
use crate::{Mode, Model, ModelConfig, ModelError, Tensors};
use retune_kernels::tch::{Kind, Tensor};
use retune_kernels::{Activation, AttentionMask, Dense, Packing, fused};
use serde_json::{Value, json};

/// Sizes of a text encoder, read from config.json by its family.
#[derive(Debug, Clone, Copy)]
pub struct TextEncoderSizes {
    /// Embedding tables.
    pub embeddings: EmbeddingSizes,
    /// Every layer.
    pub layer: LayerSizes,
    /// Number of layers.
    pub layers: i64,
    /// Dropout of the classification head.
    pub classifier_dropout: f64,
}

/// A family as data.
#[derive(Clone)]
pub struct TextEncoderSpec {
    /// Attribute of the base model in Hugging Face's class, such as `bert`.
    pub base: &'static str,
    /// Path of the layers below the base.
    pub layers: &'static str,
    /// Names inside a layer.
    pub layer: LayerNames,
    /// The classification head.
    pub head: HeadNames,
    /// Path prefixes that a base checkpoint may lack.
    pub head_prefixes: &'static [&'static str],
    /// Hugging Face's class.
    pub architecture: String,
    /// Reads the sizes.
    pub sizes: fn(&ModelConfig) -> Result<TextEncoderSizes, ModelError>,
}

impl Family for TextEncoderSpec {
    fn base_prefix(&self) -> String {
        format!("{}.", self.base)
    }

    fn head_prefixes(&self) -> Vec<String> {
        self.head_prefixes.iter().map(|&p| p.to_owned()).collect()
    }

    fn architecture(&self) -> String {
        self.architecture.clone()
    }

    fn build(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Model>, ModelError> {
        let sizes = (self.sizes)(config)?;
        if sizes.layer.hidden % sizes.layer.heads != 0 {
            return Err(ModelError::Config {
                field: "num_attention_heads".to_owned(),
                problem: format!(
                    "is {}, which does not divide the hidden size {}",
                    sizes.layer.heads, sizes.layer.hidden
                ),
            });
        }
        let base = weights.at(self.base);
        let embeddings = TextEmbeddings::load(&base.at("embeddings"), sizes.embeddings, weights.compute_kind())?;
        let project = sizes.embeddings.size != sizes.layer.hidden;
        let projection = project
            .then(|| base.at("embeddings_project").dense(sizes.embeddings.size, sizes.layer.hidden))
            .transpose()?;
        let layers = base.at(self.layers);
        let load =
            |i: i64| EncoderLayer::load(&layers.at(&i.to_string()).depth(i as usize + 1), &self.layer, &sizes.layer);
        let pooler = base.at("pooler.dense").depth(sizes.layers as usize + 1);
        let pooling = match weights.base_only() && pooler.is_stored("weight") {
            false => Pooling::None,
            true if self.head.transform == pooler.path() => Pooling::OfHead,
            true => Pooling::Own(pooler.dense(sizes.layer.hidden, sizes.layer.hidden)?),
        };
        Ok(Box::new(TextEncoder {
            embeddings,
            projection,
            layers: (0..sizes.layers).map(load).collect::<Result<_, _>>()?,
            head: SequenceClassificationHead::load(
                &weights.depth(sizes.layers as usize + 1),
                self.head,
                sizes.layer.hidden,
                config.label_count(),
                sizes.classifier_dropout,
            )?,
            pooling,
            kind: weights.compute_kind(),
            token_table: format!("{}.embeddings.{}.weight", self.base, text_embeddings::WORD),
            sizes,
        }))
    }
}

/// Where `pooler_output` of the base model alone comes from: tanh of a projection of the first token.
enum Pooling {
    /// It has none.
    None,
    /// The head's transform is the pooler (BERT).
    OfHead,
    /// A pooler that no head reads (RoBERTa).
    Own(Dense),
}

struct TextEncoder {
    embeddings: TextEmbeddings,
    projection: Option<Dense>,
    layers: Vec<EncoderLayer>,
    head: SequenceClassificationHead,
    pooling: Pooling,
    /// Of hidden states.
    kind: Kind,
    token_table: String,
    sizes: TextEncoderSizes,
}

impl TextEncoder {
    /// Block 0: [B, T, D].
    fn embed(&self, inputs: &Tensors, mode: &Mode) -> Result<Tensor, ModelError> {
        let input_ids = inputs.get("input_ids")?;
        Ok(mode.block(0, |train| {
            let x = self.embeddings.forward(input_ids, inputs.optional("token_type_ids"), train);
            self.projection.as_ref().map_or(x.shallow_clone(), |p| p.forward(&x, train))
        }))
    }

    /// Runs the blocks below depth `end`. Returns [B, T, D]; of all layers only the first token [B, 1, D], which the head
    /// reads, unless hidden states are wanted.
    fn encode(&self, inputs: &Tensors, mode: &Mode, end: usize) -> Result<Tensor, ModelError> {
        let (begin, mut x) = match inputs.hidden_states() {
            Some((depth, x)) => (depth, x.to_kind(self.kind)),
            None => (1, self.embed(inputs, mode)?),
        };
        let to_the_head = end > self.layers.len() && !mode.hidden_states;
        let mut mask = None;
        if let Some(given) = inputs.optional("attention_mask").filter(|_| begin < end) {
            let size = self.sizes.layer.hidden / self.sizes.layer.heads;
            let packs = to_the_head && fused::packed::suits(x.device(), size);
            mask = match packs.then(|| Packing::new(given, x.device())).transpose()?.flatten() {
                Some(packing) => {
                    x = packing.pack(&x);
                    Some(AttentionMask::packed(packing))
                }
                None => Some(AttentionMask::padding(given, x.device())?).filter(|mask| !mask.is_trivial()),
            };
        }
        let packing = mask.as_ref().and_then(AttentionMask::packing);
        for (layer, depth) in self.layers.iter().zip(1..).take(end - 1).skip(begin - 1) {
            x = mode.block(depth, |train| {
                let computed = match packing {
                    _ if depth < self.layers.len() || !to_the_head => x.shallow_clone(),
                    Some(packing) => packing.firsts(&x),
                    None => x.narrow(1, 0, 1),
                };
                layer.forward(&computed, &x, mask.as_ref(), train)
            });
        }
        Ok(if packing.is_some() { x.transpose(0, 1) } else { x }) // [1, B, D] → [B, 1, D]
    }
}

impl Model for TextEncoder {
    fn forward(&self, inputs: &Tensors, mode: &Mode) -> Result<Tensors, ModelError> {
        let last_hidden_state = self.encode(inputs, mode, self.blocks() + 1)?;
        let logits = mode.block(self.blocks() + 1, |train| self.head.forward(&last_hidden_state, train));
        let first = || last_hidden_state.select(1, 0);
        let pooled = match &self.pooling {
            Pooling::None => None,
            Pooling::OfHead => Some(self.head.transform(&first(), false)),
            Pooling::Own(dense) => Some(Activation::Tanh.forward(&dense.forward(&first(), false))),
        };
        let mut outputs = Tensors::from([("logits", logits)]);
        if let Some(pooled) = pooled {
            outputs.insert("pooler_output", pooled);
        }
        if mode.hidden_states {
            outputs.insert("last_hidden_state", last_hidden_state);
        }
        Ok(outputs)
    }

    fn frozen(&self, inputs: &Tensors, mode: &Mode) -> Result<Option<Tensors>, ModelError> {
        let depth = mode.first_trained_depth;
        let mut kept = Tensors::default();
        kept.insert(&Tensors::hidden_states_name(depth), self.encode(inputs, mode, depth)?);
        if let Some(mask) = inputs.optional("attention_mask").filter(|_| depth <= self.blocks()) {
            kept.insert("attention_mask", mask.shallow_clone());
        }
        Ok(Some(kept))
    }

    fn blocks(&self) -> usize {
        self.layers.len()
    }

    fn forward_flops(&self, length: usize) -> f64 {
        self.sizes.layer.stack_flops(self.layers.len(), 1.0, length as f64)
    }

    fn max_length(&self) -> Option<usize> {
        let reserved = match self.sizes.embeddings.scheme {
            crate::layers::PositionScheme::Absolute => 0,
            crate::layers::PositionScheme::AfterPadding(padding) => padding + 1,
        };
        Some((self.sizes.embeddings.positions - reserved).max(0) as usize)
    }

    fn token_table(&self) -> Option<&str> {
        Some(&self.token_table)
    }

    fn vocabulary_size(&self) -> Option<usize> {
        Some(self.sizes.embeddings.vocabulary as usize)
    }
}

/// The config fields that BERT, RoBERTa and ELECTRA share.
pub(super) fn bert_like_sizes(
    config: &ModelConfig,
    embedding_size: i64,
    scheme: crate::layers::PositionScheme,
) -> Result<TextEncoderSizes, ModelError> {
    if let Some(kind) = config.get("position_embedding_type").and_then(|v| v.as_str()).filter(|k| *k != "absolute") {
        return Err(ModelError::Config {
            field: "position_embedding_type".to_owned(),
            problem: format!("is `{kind}`; only `absolute` is supported"),
        });
    }
    if config.get("is_decoder").and_then(serde_json::Value::as_bool) == Some(true) {
        return Err(ModelError::Config { field: "is_decoder".to_owned(), problem: "must be false here".to_owned() });
    }
    let norm_epsilon = config.number("layer_norm_eps")?;
    let hidden_dropout = config.probability("hidden_dropout_prob")?;
    let stated = config.get("classifier_dropout").is_some();
    Ok(TextEncoderSizes {
        embeddings: EmbeddingSizes {
            vocabulary: config.size("vocab_size")?,
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
            attention_dropout: config.probability("attention_probs_dropout_prob")?,
        },
        layers: config.size("num_hidden_layers")?,
        classifier_dropout: if stated { config.probability("classifier_dropout")? } else { hidden_dropout },
    })
}

/// What `BertConfig` and its siblings assume; they differ in the vocabulary.
pub(super) fn bert_like_defaults(vocabulary: i64) -> Vec<(&'static str, Value)> {
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

/// Names inside a layer, as BERT has them.
pub(super) const BERT_LAYER: LayerNames = LayerNames {
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    intermediate: "intermediate.dense",
    output: "output.dense",
    output_norm: "output.LayerNorm",
};
