//! Bodies: what families of one kind compute below their heads.

mod disentangled_encoder;
mod encoder_decoder;
mod image_encoder;
mod item_encoder;
mod log_mel_encoder;
mod pyramid;
mod refining_transformer;
mod rotary_encoder;
mod sequence_encoder;
mod set_transformer;
mod spectrogram_encoder;
mod speech_encoder;
mod stack;
mod text_decoder;
mod text_encoder;

pub use disentangled_encoder::{DisentangledEncoder, DisentangledEncoderSizes};
pub use encoder_decoder::EncoderDecoder;
pub use image_encoder::{GRID, ImageEncoder, ImageEncoderSizes, MASK, RESTORE, grid_of, layer_sizes};
pub use item_encoder::{ItemEncoder, ItemEncoderSizes};
pub use log_mel_encoder::{LogMelEncoder, LogMelEncoderSizes};
pub use pyramid::{MapShape, PatchStem, Pyramid, PyramidBlock, image_size_of, stage_name};
pub use refining_transformer::{BoxHead, CHOSEN, REFERENCES, RefiningTransformer, RefiningTransformerSizes, said_name};
pub use rotary_encoder::{RotaryEncoder, RotaryEncoderSizes, Span};
pub use sequence_encoder::SequenceEncoder;
pub use set_transformer::{INTERMEDIATE, MIDDLES, SetTransformer, SetTransformerSizes};
pub use spectrogram_encoder::{SpectrogramEncoder, SpectrogramEncoderSizes};
pub(crate) use speech_encoder::layer_name;
pub use speech_encoder::{SpeechEncoder, SpeechEncoderSizes};
pub use stack::{Stack, StackNames, StackPositions, StackSizes};
pub use text_decoder::{LAST, LayerKind, Positions, TextDecoder, TextDecoderNames, TextDecoderSizes};
pub use text_encoder::{Sharing, TextEncoder, TextEncoderNames, TextEncoderSizes};
