//! M2M100 (Fan et al. 2020) and NLLB (NLLB Team 2022), transformers `M2M100Model`: mBART's layers without a norm of the embeddings,
//! fixed positions that are numbered after padding.

use super::bart::{self, NAMES, STACK};
use super::llama;
use crate::bodies::{StackNames, StackPositions};
use crate::family::{DecoderUse, EncoderDecoderFamily, TensorNames};
use crate::heads::TargetTokenPlan;
use crate::layers::Sinusoids;
use crate::{ModelConfig, ModelError, TargetBegin};
use serde_json::json;

/// The family.
pub static M2M_100: EncoderDecoderFamily = EncoderDecoderFamily {
    model_type: "m2m_100",
    class: "M2M100",
    ending: "ForConditionalGeneration",
    names: TensorNames {
        // They follow from the configuration.
        buffers: &["encoder.version", "decoder.version", "embed_positions.weights"],
        ..NAMES
    },
    decoder: DecoderUse::Writes { head: TargetTokenPlan::new("lm_head", None), reads_source: false },
    others: &[],
    defaults: || {
        bart::defaults(&[
            ("vocab_size", json!(128_112)),
            ("encoder_layerdrop", json!(0.05)),
            ("decoder_layerdrop", json!(0.05)),
            ("activation_function", json!("relu")),
            ("attention_dropout", json!(0.1)),
            ("decoder_start_token_id", json!(2)),
            ("scale_embedding", json!(true)),
        ])
    },
    plan: |config| {
        let names = StackNames { norm: Some("layer_norm"), ..STACK };
        bart::plan(config, StackPositions::AfterPadding(sinusoids(config)?), &names, true)
    },
    begin: TargetBegin::fixed,
    fresh: None,
};

fn sinusoids(config: &ModelConfig) -> Result<Sinusoids, ModelError> {
    let width = config.size("d_model")?;
    let Some(padding) = llama::padding(config)? else {
        let problem = "is missing; positions are numbered after it".to_owned();
        return Err(ModelError::Config { field: "pad_token_id".to_owned(), problem });
    };
    if width < 4 {
        let problem = format!("is {width}, too few for sinusoids");
        return Err(ModelError::Config { field: "d_model".to_owned(), problem });
    }
    Ok(Sinusoids { width, padding })
}
