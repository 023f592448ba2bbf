//! GPT-NeoX and Pythia (Black et al. 2022, Biderman et al. 2023), transformers `GPTNeoXModel`: attention and feed-forward side by
//! side, a part of each head rotated.

use super::{llama, rope};
use crate::bodies::{LayerKind, Positions, TextDecoderNames, TextDecoderSizes};
use crate::family::{DecoderFamily, DecoderHeads, TensorNames};
use crate::heads::{NextTokenPlan, TokenPlan};
use crate::layers::{DecoderAttentionNames, DecoderLayerNames, DecoderSizes, NetworkNames, NormKind, ProjectionNames};
use crate::{ModelConfig, ModelError};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// The family.
pub static GPT_NEOX: DecoderFamily = DecoderFamily {
    model_type: "gpt_neox",
    class: "GPTNeoX",
    causal_class: None,
    causal_ending: llama::CAUSAL,
    names: TensorNames {
        base: "gpt_neox",
        spellings: &[],
        buffers: &[".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq"],
        modules: &[],
        lora: Ok(&["query_key_value"]),
    },
    body: TextDecoderNames {
        tokens: "embed_in",
        positions: "",
        layers: "layers",
        layer: DecoderLayerNames {
            attention: DecoderAttentionNames {
                projections: ProjectionNames::Heads("attention.query_key_value"),
                output: "attention.dense",
                norms: None,
            },
            network: NetworkNames::Plain { up: "mlp.dense_h_to_4h", down: "mlp.dense_4h_to_h" },
            before_attention: "input_layernorm",
            after_attention: None,
            cross: None,
            before_network: "post_attention_layernorm",
            after_network: None,
        },
        norm: "final_layer_norm",
    },
    heads: DecoderHeads {
        token: Some(TokenPlan::new(&["classifier_dropout"])),
        spans: Some(llama::SPANS),
        ..DecoderHeads::new(NextTokenPlan { projection: "embed_out", softcap: None })
    },
    others: &[],
    defaults,
    sizes,
    fresh: None,
};

const ROPE: rope::RopeFields =
    rope::RopeFields { base: "rotary_emb_base", usual_base: 10_000.0, share: Some(("rotary_pct", 0.25)) };

/// What `GPTNeoXConfig` assumes.
fn defaults() -> Vec<(&'static str, Value)> {
    vec![
        ("vocab_size", json!(50432)),
        ("hidden_size", json!(6144)),
        ("num_hidden_layers", json!(44)),
        ("num_attention_heads", json!(64)),
        ("intermediate_size", json!(24576)),
        ("hidden_act", json!("gelu")),
        ("attention_dropout", json!(0.0)),
        ("hidden_dropout", json!(0.0)),
        ("classifier_dropout", json!(0.1)),
        ("max_position_embeddings", json!(2048)),
        ("initializer_range", json!(0.02)),
        ("layer_norm_eps", json!(1e-5)),
        ("tie_word_embeddings", json!(false)),
    ]
}

fn sizes(config: &ModelConfig) -> Result<TextDecoderSizes, ModelError> {
    let (hidden, heads) = (config.size("hidden_size")?, config.size("num_attention_heads")?);
    if hidden % heads != 0 {
        let problem = format!("is {heads}, which does not divide the hidden size {hidden}");
        return Err(ModelError::Config { field: "num_attention_heads".to_owned(), problem });
    }
    let head_size = hidden / heads;
    let bias = config.flag_or("attention_bias", true)?;
    let dropout = config.probability("hidden_dropout")?;
    Ok(TextDecoderSizes {
        vocabulary: config.size("vocab_size")?,
        padding: None,
        filler: llama::padding(config)?,
        longest: Some(config.size("max_position_embeddings")? as usize),
        positions: Positions::Rotary(vec![rope::rotary(config, head_size, ROPE)?]),
        read_anew_beyond: None,
        embedding_scale: 1.0,
        embedding_dropout: dropout,
        layer: DecoderSizes {
            hidden,
            heads,
            key_heads: heads,
            head_size,
            intermediate: config.size("intermediate_size")?,
            activation: Activation::from_name(&config.text("hidden_act")?)?,
            norm: NormKind::Layer,
            norm_epsilon: config.number("layer_norm_eps")?,
            query_bias: bias,
            key_bias: bias,
            output_bias: bias,
            network_bias: true,
            transposed: false,
            scale: 1.0 / (head_size as f64).sqrt(),
            scale_by_layer: false,
            softcap: None,
            parallel: config.flag_or("use_parallel_residual", true)?,
            post_norm: false,
            hidden_dropout: dropout,
            attention_dropout: config.probability("attention_dropout")?,
            network_dropout: 0.0,
        },
        kinds: vec![LayerKind { window: None, rotary: 0 }; config.size("num_hidden_layers")? as usize],
    })
}
