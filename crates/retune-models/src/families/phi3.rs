//! Phi-3 (Abdin et al. 2024), transformers `Phi3Model`: Llama with joint projections, and LongRoPE.

use super::llama::{self, BODY, CAUSAL, HEADS, NAMES};
use super::rope::PARTIAL;
use crate::bodies::{LayerKind, Positions, TextDecoderNames, TextDecoderSizes};
use crate::family::{DecoderFamily, TensorNames};
use crate::layers::{
    DecoderAttentionNames, DecoderLayerNames, DecoderSizes, NetworkNames, ProjectionNames, RopeScaling,
};
use serde_json::json;

/// The family.
pub static PHI3: DecoderFamily = DecoderFamily {
    model_type: "phi3",
    class: "Phi3",
    causal_class: None,
    causal_ending: CAUSAL,
    names: TensorNames { lora: Ok(&["qkv_proj"]), ..NAMES },
    body: TextDecoderNames {
        layer: DecoderLayerNames {
            attention: DecoderAttentionNames {
                projections: ProjectionNames::Blocks("self_attn.qkv_proj"),
                ..BODY.layer.attention
            },
            network: NetworkNames::Joint { both: "mlp.gate_up_proj", gate_first: true, down: "mlp.down_proj" },
            ..BODY.layer
        },
        ..BODY
    },
    heads: HEADS,
    others: &[],
    defaults: || {
        llama::defaults(&[
            ("vocab_size", json!(32064)),
            ("hidden_size", json!(3072)),
            ("intermediate_size", json!(8192)),
            ("rms_norm_eps", json!(1e-5)),
            ("max_position_embeddings", json!(4096)),
            ("original_max_position_embeddings", json!(4096)),
            ("resid_pdrop", json!(0.0)),
            ("embd_pdrop", json!(0.0)),
        ])
    },
    sizes: |config| {
        let sizes = llama::sizes(config, false, false, llama::ACTIVATION, PARTIAL)?;
        let window = llama::window(config)?;
        let padding = match config.as_map().get("pad_token_id") {
            None => Some(32000).filter(|&token| token < sizes.vocabulary),
            Some(_) => sizes.padding,
        };
        let read_anew_beyond = match &sizes.positions {
            Positions::Rotary(kinds) => kinds.iter().find_map(|kind| match kind.scaling {
                RopeScaling::LongRope { longest, .. } => Some(longest),
                _ => None,
            }),
            Positions::Learned(_) => None,
        };
        Ok(TextDecoderSizes {
            padding,
            read_anew_beyond,
            filler: padding,
            kinds: vec![LayerKind { window, rotary: 0 }; sizes.kinds.len()],
            layer: DecoderSizes { hidden_dropout: config.probability("resid_pdrop")?, ..sizes.layer },
            ..sizes
        })
    },
    fresh: None,
};
