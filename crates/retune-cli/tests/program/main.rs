//! The program as a user meets it: the real binary, tiny models, exit codes, messages and what lies on disk afterwards.

mod crash;
mod denoising;
mod detection;
mod disk;
mod finetune;
mod images;
mod input;
mod language;
mod marked;
mod masked_lm;
mod methods;
mod models;
mod molecules;
mod predict;
mod recommendation;
mod segmentation;
mod settings;
mod similarity;
mod speech;
mod support;
mod translation;
