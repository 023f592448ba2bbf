//! HuBERT (Hsu et al. 2021), transformers `HubertModel`: Wav2Vec2's encoder.

use super::wav2vec2;
use crate::ModelError;
use crate::family::{Fresh, SpeechFamily};
use serde_json::json;

/// The norm before the projection may be absent.
pub static HUBERT: SpeechFamily = SpeechFamily {
    model_type: "hubert",
    class: "Hubert",
    names: wav2vec2::names("hubert"),
    defaults: || {
        let mut defaults = wav2vec2::defaults("sum");
        defaults.extend([("feat_proj_layer_norm", json!(true)), ("conv_pos_batch_norm", json!(false))]);
        defaults
    },
    sizes: |config| {
        if config.flag_or("conv_pos_batch_norm", false)? {
            let problem = "is true; positions with a batch norm are not supported".to_owned();
            return Err(ModelError::Config { field: "conv_pos_batch_norm".to_owned(), problem });
        }
        if config.flag_or("add_adapter", false)? {
            let problem = "is true; transformers' HuBERT has no convolutions behind the encoder".to_owned();
            return Err(ModelError::of_field("add_adapter", problem));
        }
        let mut sizes = wav2vec2::sizes(config)?;
        sizes.projection_norm = config.flag_or("feat_proj_layer_norm", true)?;
        Ok(sizes)
    },
    fresh: Some(Fresh::without_texts(wav2vec2::fresh)),
};
