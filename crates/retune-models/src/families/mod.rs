//! Families: tables of tensor names and config mappings over shared layers.

pub mod beit;
pub mod bert;
pub mod convnext;
pub mod deit;
pub mod dinov2;
pub mod distilbert;
pub mod electra;
pub mod image_encoder;
pub mod roberta;
pub mod swin;
pub mod text_encoder;
pub mod vit;
pub mod vit_mae;
