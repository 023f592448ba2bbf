//! Families as data, one file each; [`crate::registry::FAMILIES`] lists them.

pub mod ast;
pub mod beit;
pub mod bert;
pub mod convnext;
pub mod deit;
pub mod dinov2;
pub mod distilbert;
pub mod electra;
pub mod hubert;
pub mod roberta;
pub mod swin;
pub mod vit;
pub mod vit_mae;
pub mod wav2vec2;
pub mod wavlm;
