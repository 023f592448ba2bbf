//! Heads: what they are for, their names as data, and what they compute. A new head is one file here.

mod audio;
mod ctc;
mod dropout;
mod image;
mod patch_loss;
mod pixels;
mod pooler;
mod sequence;
mod spans;
mod token;

pub use audio::{AUDIO_CLASSIFICATION, FramesPlan, SpectrogramPlan};
pub use ctc::{CtcLoss, CtcPlan, LOGIT_LENGTHS, SPEECH_RECOGNITION};
pub use image::{IMAGE_CLASSIFICATION, ImagePlan, ImageReading, PooledNorm, Pooling};
pub use patch_loss::{MaskedPatchLoss, patchify};
pub use pixels::{MASKED_IMAGE_MODELING, PixelPlan};
pub use pooler::Pooler;
pub use sequence::{SEQUENCE_CLASSIFICATION, SequencePlan};
pub use spans::{QUESTION_ANSWERING, SpanPlan};
pub use token::{TOKEN_CLASSIFICATION, TokenPlan};

use crate::Purpose;

/// All purposes.
pub static PURPOSES: &[&Purpose] = &[
    &SEQUENCE_CLASSIFICATION,
    &TOKEN_CLASSIFICATION,
    &QUESTION_ANSWERING,
    &IMAGE_CLASSIFICATION,
    &MASKED_IMAGE_MODELING,
    &SPEECH_RECOGNITION,
    &AUDIO_CLASSIFICATION,
];
