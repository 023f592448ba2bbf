//! ELECTRA (Clark et al. 2020), transformers `ElectraForSequenceClassification`.

use super::text_encoder::{BERT_LAYER, TextEncoderSpec, bert_like_sizes};
use crate::heads::HeadNames;
use crate::layers::PositionScheme;
use retune_kernels::Activation;

/// Dropout → dense (GELU) → dropout → projection; embeddings may be narrower than the layers.
pub fn sequence_classification() -> TextEncoderSpec {
    TextEncoderSpec {
        base: "electra",
        layers: "encoder.layer",
        layer: BERT_LAYER,
        head: HeadNames {
            transform: "classifier.dense",
            activation: Activation::Gelu,
            dropout_before: true,
            classifier: "classifier.out_proj",
        },
        head_prefixes: &["classifier."],
        architecture: "ElectraForSequenceClassification".to_owned(),
        sizes: |config| bert_like_sizes(config, config.size("embedding_size")?, PositionScheme::Absolute),
    }
}
