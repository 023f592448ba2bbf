//! Bodies: what families of one kind compute below their heads.

mod image_encoder;
mod pyramid;
mod spectrogram_encoder;
mod speech_encoder;
mod text_encoder;

pub use image_encoder::{GRID, ImageEncoder, ImageEncoderSizes, MASK, RESTORE, grid_of, layer_sizes};
pub use pyramid::{MapShape, Pyramid, PyramidBlock, Stem};
pub use spectrogram_encoder::{SpectrogramEncoder, SpectrogramEncoderSizes};
pub(crate) use speech_encoder::layer_name;
pub use speech_encoder::{SpeechEncoder, SpeechEncoderSizes};
pub use text_encoder::{TextEncoder, TextEncoderNames, TextEncoderSizes};
