//! Heads: what they are for, their names as data, and what they compute. A new head is one file here.

mod aspp;
mod audio;
mod ctc;
mod deformable_detection;
mod detection;
mod dropout;
mod embeddings;
mod image;
mod last_token;
mod maps;
mod masked_words;
mod next_item;
mod next_token;
mod patch_loss;
mod pixels;
mod places;
mod pooler;
mod refined_detection;
mod segmentation;
mod sequence;
mod spans;
mod target_token;
mod token;
mod transform;
mod upernet;
mod word_scores;

pub use aspp::{AsppPlan, AsppSizes};
pub use audio::{AUDIO_CLASSIFICATION, ClassTokenPlan, FramesPlan, SpectrogramPlan};
pub use ctc::{CtcLoss, CtcPlan, LOGIT_LENGTHS, SPEECH_RECOGNITION};
pub use deformable_detection::DeformableDetectionPlan;
pub use detection::{
    DENOISING_DRAWS, DetectionPlan, EARLIER_BOXES, EARLIER_LOGITS, OBJECT_BOXES, OBJECT_DETECTION, OBJECT_LABELS,
    detection_outputs, detection_weights,
};
pub use embeddings::{BASE_CLASS, EmbeddingPlan, NORMALIZE, POOLING, SENTENCE_EMBEDDINGS};
pub use image::{IMAGE_CLASSIFICATION, ImagePlan, ImageReading, PooledNorm, Pooling};
pub use last_token::LastTokenPlan;
pub use maps::{MapSource, StageSource};
pub use masked_words::{MASKED_WORDS, MaskedWordsNames, MaskedWordsPlan};
pub use next_item::{NEXT_ITEM, NextItemPlan};
pub use next_token::{CAUSAL_LM, NextTokenPlan, SCORE_WEIGHT, SCORED, next_token_loss, softcap};
pub use patch_loss::{MaskedPatchLoss, patchify};
pub use pixels::{MASKED_IMAGE_MODELING, PixelPlan};
pub use places::{LOGIT_POSITIONS, pick};
pub use pooler::Pooler;
pub use refined_detection::RefinedDetectionPlan;
pub use segmentation::{AUXILIARY_LOGITS, AllMlpPlan, SEMANTIC_SEGMENTATION, SegmenterSizes};
pub use sequence::{SEQUENCE_CLASSIFICATION, SequencePlan, TextPooling, first_token};
pub use spans::{QUESTION_ANSWERING, SpanPlan};
pub use target_token::{SEQUENCE_TO_SEQUENCE, TargetTokenPlan, target_token_loss};
pub use token::{TOKEN_CLASSIFICATION, TokenPlan};
pub use transform::{Transform, TransformPlan, TransformSettings};
pub use upernet::{UpernetNames, UpernetPlan, UpernetSizes};
pub use word_scores::{WordScores, WordScoresPlan};

use crate::Purpose;

/// All purposes.
pub static PURPOSES: &[&Purpose] = &[
    &SEQUENCE_CLASSIFICATION,
    &TOKEN_CLASSIFICATION,
    &QUESTION_ANSWERING,
    &MASKED_WORDS,
    &SENTENCE_EMBEDDINGS,
    &CAUSAL_LM,
    &SEQUENCE_TO_SEQUENCE,
    &IMAGE_CLASSIFICATION,
    &SEMANTIC_SEGMENTATION,
    &OBJECT_DETECTION,
    &MASKED_IMAGE_MODELING,
    &SPEECH_RECOGNITION,
    &AUDIO_CLASSIFICATION,
    &NEXT_ITEM,
];
