//! KWT, the keyword transformer (Berg, O'Connor and Cruz 2021). Hugging Face has no class for it: its fields are spelled in
//! transformers' usual manner, and its tensors as in the published weights (`proj`, `class_emb`, `blocks.N.attn.q`, `head`),
//! those of the encoder below `kwt`; `scripts/convert_kwt.py` makes such a folder of them.

use crate::bodies::{KeywordEncoder, KeywordEncoderNames, KeywordEncoderSizes, layer_sizes};
use crate::checkpoint::Weights;
use crate::family::{Family, Fresh, FreshSize, TensorNames};
use crate::heads::{AUDIO_CLASSIFICATION, ClassTokenPlan};
use crate::layers::{AttentionNames, LayerNames};
use crate::takes::AudioInput;
use crate::{Body, HeadPlan, ModelConfig, ModelError, Purpose, Takes};
use serde_json::{Value, json};

/// Post-norm layers over the cepstral coefficients of a second.
pub static KWT: Kwt =
    Kwt(TensorNames { base: "kwt", spellings: &[], buffers: &[], modules: &[], lora: Ok(&["attn.q", "attn.v"]) });

const NAMES: KeywordEncoderNames = KeywordEncoderNames {
    projection: "proj",
    class: "class_emb",
    positions: "pos_emb",
    layers: "blocks",
    layer: LayerNames {
        attention: AttentionNames { query: "attn.q", key: "attn.k", value: "attn.v", output: "attn.out" },
        attention_norm: "ln1",
        intermediate: "mlp.fc1",
        output: "mlp.fc2",
        output_norm: "ln2",
    },
};

/// Its type: how its tensors are called.
pub struct Kwt(TensorNames);

impl Family for Kwt {
    fn model_type(&self) -> &'static str {
        "kwt"
    }

    fn class(&self) -> &'static str {
        "KWT"
    }

    fn heads(&self) -> Vec<(&'static Purpose, Box<dyn HeadPlan>)> {
        vec![(&AUDIO_CLASSIFICATION, Box::new(ClassTokenPlan { name: "head" }))]
    }

    fn names(&self) -> &TensorNames {
        &self.0
    }

    /// KWT-1.
    fn defaults(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("hidden_size", json!(64)),
            ("num_hidden_layers", json!(12)),
            ("num_attention_heads", json!(1)),
            ("intermediate_size", json!(256)),
            ("hidden_act", json!("gelu_pytorch_tanh")),
            ("hidden_dropout_prob", json!(0.0)),
            ("attention_probs_dropout_prob", json!(0.0)),
            ("initializer_range", json!(0.02)),
            ("layer_norm_eps", json!(1e-6)),
            ("max_length", json!(98)),
            ("num_mfcc", json!(40)),
        ]
    }

    fn fresh(&self) -> Option<Fresh> {
        Some(Fresh::without_texts(fresh))
    }

    fn takes(&self, config: &ModelConfig) -> Result<Takes, ModelError> {
        let (frames, coefficients) = sizes(config)?.frames;
        Ok(Takes::Audio(AudioInput::Cepstra { frames, coefficients }))
    }

    fn body(&self, weights: &Weights<'_>, config: &ModelConfig) -> Result<Box<dyn Body>, ModelError> {
        Ok(Box::new(KeywordEncoder::load(weights, self.0.base, &NAMES, sizes(config)?)?))
    }
}

fn sizes(config: &ModelConfig) -> Result<KeywordEncoderSizes, ModelError> {
    for (field, only) in [("norm_first", false), ("qkv_bias", false)] {
        if config.flag_or(field, only)? != only {
            let problem =
                format!("is {}; only post-norm layers without bias of queries, keys and values are known", !only);
            return Err(ModelError::of_field(field, problem));
        }
    }
    Ok(KeywordEncoderSizes {
        frames: (config.size("max_length")?, config.size("num_mfcc")?),
        layer: layer_sizes(config, config.size("intermediate_size")?, 1e-6)?,
        layers: config.size("num_hidden_layers")?,
    })
}

/// KWT-1, 2 and 3, and one that is wider.
fn fresh(size: &FreshSize) -> Value {
    let heads = size.of([1, 2, 3, 4]);
    json!({
        "hidden_size": 64 * heads, "num_hidden_layers": 12, "num_attention_heads": heads, "intermediate_size": 256 * heads,
        "hidden_act": "gelu_pytorch_tanh", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02, "layer_norm_eps": 1e-6, "max_length": 98, "num_mfcc": 40,
    })
}
