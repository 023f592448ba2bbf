//! Families: tables of tensor names and config mappings over shared layers.

pub mod bert;
pub mod distilbert;
pub mod electra;
pub mod roberta;
pub mod text_encoder;
