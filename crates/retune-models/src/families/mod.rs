//! Families as data, one file each; [`crate::registry::FAMILIES`] lists them.

pub mod albert;
pub mod ast;
pub mod beit;
pub mod bert;
pub mod convnext;
pub mod deberta_v2;
pub mod deit;
pub mod dinov2;
pub mod distilbert;
pub mod electra;
pub mod gemma;
pub mod gpt2;
pub mod gpt_neox;
pub mod hubert;
pub mod llama;
pub mod modernbert;
pub mod mpnet;
pub mod phi3;
pub mod roberta;
mod rope;
pub mod segformer;
pub mod swin;
pub mod vit;
pub mod vit_mae;
pub mod wav2vec2;
pub mod wavlm;
pub mod yolos;
