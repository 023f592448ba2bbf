//! Marian (Junczys-Dowmunt et al. 2018), transformers `MarianMTModel`: BART's layers without a norm of the embeddings, fixed positions,
//! and where config.json says so a vocabulary for each language.

use super::bart::{self, BIAS, NAMES, STACK};
use crate::bodies::StackPositions;
use crate::family::{DecoderUse, EncoderDecoderFamily, EncoderDecoderPlan, StackPlan, Tables, TensorNames};
use crate::heads::TargetTokenPlan;
use crate::{ModelConfig, ModelError, TargetBegin};
use serde_json::json;

/// The family.
pub static MARIAN: EncoderDecoderFamily = EncoderDecoderFamily {
    model_type: "marian",
    class: "Marian",
    ending: "MTModel",
    names: TensorNames { ..NAMES },
    decoder: DecoderUse::Writes { head: TargetTokenPlan::new("lm_head", Some(BIAS)), reads_source: false },
    others: &[],
    defaults: || {
        bart::defaults(&[
            ("vocab_size", json!(58101)),
            ("decoder_start_token_id", json!(58100)),
            ("pad_token_id", json!(58100)),
            ("eos_token_id", json!(0)),
            ("bos_token_id", json!(null)),
            ("share_encoder_decoder_embeddings", json!(true)),
        ])
    },
    plan,
    begin: TargetBegin::fixed,
    fresh: None,
};

fn plan(config: &ModelConfig) -> Result<EncoderDecoderPlan, ModelError> {
    let positions = StackPositions::Fixed(config.size("max_position_embeddings")?);
    let plan = bart::plan(config, positions, &STACK, false)?;
    let target = config.size_or("decoder_vocab_size", plan.encoder.vocabulary)?;
    if !config.flag_or("share_encoder_decoder_embeddings", true)? {
        let decoder = StackPlan { vocabulary: target, ..plan.decoder };
        return Ok(EncoderDecoderPlan { decoder, tables: Tables::Apart, ..plan });
    }
    if target != plan.encoder.vocabulary {
        let problem = format!("is {target}, but both sides share a vocabulary of {}", plan.encoder.vocabulary);
        return Err(ModelError::Config { field: "decoder_vocab_size".to_owned(), problem });
    }
    Ok(plan)
}
