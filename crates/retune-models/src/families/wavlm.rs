//! WavLM (Chen et al. 2022), transformers `WavLMModel`: Wav2Vec2's encoder with gated relative positions.

use super::wav2vec2;
use crate::ModelError;
use crate::family::SpeechFamily;
use serde_json::json;

/// The first layer holds the positions of all.
pub static WAVLM: SpeechFamily = SpeechFamily {
    model_type: "wavlm",
    class: "WavLM",
    names: wav2vec2::names("wavlm"),
    defaults: || {
        let mut defaults = wav2vec2::defaults("mean");
        defaults.extend([("num_buckets", json!(320)), ("max_bucket_distance", json!(800))]);
        defaults
    },
    sizes: |config| {
        let (buckets, farthest) = (config.size("num_buckets")?, config.size("max_bucket_distance")?);
        if buckets < 4 || farthest <= buckets / 4 {
            let problem = format!("is {buckets}, which does not suit a max_bucket_distance of {farthest}");
            return Err(ModelError::Config { field: "num_buckets".to_owned(), problem });
        }
        let mut sizes = wav2vec2::sizes(config)?;
        sizes.relative = Some((buckets, farthest));
        sizes.layer.gated = true;
        // Its class passes over them.
        sizes.layer.adapter = None;
        Ok(sizes)
    },
    fresh: None,
};
