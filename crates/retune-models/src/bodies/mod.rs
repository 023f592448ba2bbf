//! Bodies: what families of one kind compute below their heads.

mod image_encoder;
mod pyramid;
mod text_decoder;
mod text_encoder;

pub use image_encoder::{GRID, ImageEncoder, ImageEncoderSizes, MASK, RESTORE, grid_of, layer_sizes};
pub use pyramid::{MapShape, Pyramid, PyramidBlock, Stem};
pub use text_decoder::{LAST, LayerKind, Positions, TextDecoder, TextDecoderNames, TextDecoderSizes};
pub use text_encoder::{TextEncoder, TextEncoderNames, TextEncoderSizes};
