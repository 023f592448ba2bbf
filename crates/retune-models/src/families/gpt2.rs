//! GPT-2 (Radford et al. 2019), transformers `GPT2Model`: learned positions, weights stored [in, out].

use super::llama;
use crate::bodies::{LayerKind, Positions, TextDecoderNames, TextDecoderSizes};
use crate::family::{DecoderFamily, DecoderHeads, Fresh, FreshPieces, FreshSize, FreshTokens, TensorNames};
use crate::heads::{NextTokenPlan, TokenPlan};
use crate::layers::{DecoderAttentionNames, DecoderLayerNames, DecoderSizes, NetworkNames, NormKind, ProjectionNames};
use crate::{ModelConfig, ModelError};
use retune_kernels::Activation;
use serde_json::{Value, json};

/// Tied to its table of tokens.
pub static GPT2: DecoderFamily = DecoderFamily {
    model_type: "gpt2",
    class: "GPT2",
    causal_class: None,
    causal_ending: "LMHeadModel",
    names: TensorNames {
        base: "transformer",
        spellings: &[],
        buffers: &[".attn.bias", ".attn.masked_bias"],
        modules: &[],
        lora: Ok(&["c_attn"]),
    },
    body: TextDecoderNames {
        tokens: "wte",
        positions: "wpe",
        layers: "h",
        layer: DecoderLayerNames {
            attention: DecoderAttentionNames {
                projections: ProjectionNames::Blocks("attn.c_attn"),
                output: "attn.c_proj",
                norms: None,
            },
            network: NetworkNames::Plain { up: "mlp.c_fc", down: "mlp.c_proj" },
            before_attention: "ln_1",
            after_attention: None,
            cross: None,
            before_network: "ln_2",
            after_network: None,
        },
        norm: "ln_f",
    },
    heads: DecoderHeads {
        token: Some(TokenPlan { usual_dropout: 0.1, ..TokenPlan::new(&["classifier_dropout", "hidden_dropout"]) }),
        spans: Some(llama::SPANS),
        ..DecoderHeads::new(NextTokenPlan { projection: "lm_head", softcap: None })
    },
    others: &[],
    defaults,
    sizes,
    fresh: Some(Fresh::texts(FreshTokens::Decoder, FreshPieces::Bpe, 1024, fresh)),
};

/// What `GPT2Config` assumes.
fn defaults() -> Vec<(&'static str, Value)> {
    vec![
        ("vocab_size", json!(50257)),
        ("n_positions", json!(1024)),
        ("n_embd", json!(768)),
        ("n_layer", json!(12)),
        ("n_head", json!(12)),
        ("activation_function", json!("gelu_new")),
        ("resid_pdrop", json!(0.1)),
        ("embd_pdrop", json!(0.1)),
        ("attn_pdrop", json!(0.1)),
        ("layer_norm_epsilon", json!(1e-5)),
        ("initializer_range", json!(0.02)),
        ("tie_word_embeddings", json!(true)),
    ]
}

fn sizes(config: &ModelConfig) -> Result<TextDecoderSizes, ModelError> {
    if config.flag_or("add_cross_attention", false)? {
        let problem = "is true; only decoders without an encoder are supported".to_owned();
        return Err(ModelError::Config { field: "add_cross_attention".to_owned(), problem });
    }
    let (hidden, heads) = (config.size("n_embd")?, config.size("n_head")?);
    if hidden % heads != 0 {
        let problem = format!("is {heads}, which does not divide the hidden size {hidden}");
        return Err(ModelError::Config { field: "n_head".to_owned(), problem });
    }
    let positions = config.size("n_positions")?;
    let head_size = hidden / heads;
    let scaled = config.flag_or("scale_attn_weights", true)?;
    Ok(TextDecoderSizes {
        vocabulary: config.size("vocab_size")?,
        padding: None,
        filler: llama::padding(config)?,
        longest: Some(positions as usize),
        positions: Positions::Learned(positions),
        read_anew_beyond: None,
        embedding_scale: 1.0,
        embedding_dropout: config.probability("embd_pdrop")?,
        layer: DecoderSizes {
            hidden,
            heads,
            key_heads: heads,
            head_size,
            intermediate: config.size_or("n_inner", 4 * hidden)?,
            activation: Activation::from_name(&config.text("activation_function")?)?,
            norm: NormKind::Layer,
            norm_epsilon: config.number("layer_norm_epsilon")?,
            query_bias: true,
            key_bias: true,
            output_bias: true,
            network_bias: true,
            transposed: true,
            scale: if scaled { 1.0 / (head_size as f64).sqrt() } else { 1.0 },
            scale_by_layer: config.flag_or("scale_attn_by_inverse_layer_idx", false)?,
            softcap: None,
            parallel: false,
            post_norm: false,
            hidden_dropout: config.probability("resid_pdrop")?,
            attention_dropout: config.probability("attn_pdrop")?,
            network_dropout: 0.0,
        },
        kinds: vec![LayerKind { window: None, rotary: 0 }; config.size("n_layer")? as usize],
    })
}

fn fresh(size: &FreshSize) -> Value {
    json!({
        "n_embd": size.hidden, "n_layer": size.layers, "n_head": size.heads, "n_positions": 1024,
        "activation_function": "gelu_new", "embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1,
        "layer_norm_epsilon": 1e-5, "initializer_range": 0.02, "tie_word_embeddings": true,
    })
}
