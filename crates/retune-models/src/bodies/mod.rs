//! Bodies: what families of one kind compute below their heads.

mod image_encoder;
mod pyramid;
mod text_encoder;

pub use image_encoder::{GRID, ImageEncoder, ImageEncoderSizes, MASK, RESTORE, grid_of, layer_sizes};
pub use pyramid::{MapShape, PatchStem, Pyramid, PyramidBlock, stage_name};
pub use text_encoder::{TextEncoder, TextEncoderNames, TextEncoderSizes};
