//! Tensor maths for training transformers: nothing here knows file formats, model names or tasks.
//!
//! ```
//! use retune_kernels::{Dense, tch::{Device, Kind, Tensor}};
//! let weight = Tensor::ones([2, 3], (Kind::Float, Device::Cpu));
//! let dense = Dense::new(weight, None);
//! let y = dense.forward(&Tensor::ones([1, 3], (Kind::Float, Device::Cpu)), false); // [1, 2]
//! assert_eq!(y.double_value(&[0, 1]), 3.0);
//! ```
#![doc = include_str!("../README.md")]

pub mod activation;
pub mod attention;
mod average;
pub mod batch_norm;
pub mod beside;
pub mod boxes;
mod deferred;
mod deformable;
pub mod dense;
pub mod device;
pub mod dropout;
mod error;
pub mod fused;
mod halves;
pub mod lanes;
pub mod loss;
pub mod mask;
pub mod memory;
pub mod norm;
pub mod optimizer;
pub mod packing;
pub mod param;
pub mod precision;
pub mod random;
pub mod replay;
pub mod schedule;
mod shim;
pub mod table;
pub mod weight;

pub use activation::Activation;
pub use attention::AttentionOptions;
pub use average::WeightAverage;
pub use batch_norm::BatchNorm;
pub use beside::{Beside, Linear, Lora};
pub use deformable::{Sampling, deformable_attention};
pub use dense::Dense;
pub use error::KernelError;
pub use lanes::Lanes;
pub use mask::AttentionMask;
pub use norm::LayerNorm;
pub use optimizer::{AdamW, AdamWOptions, GradientNorm};
pub use packing::Packing;
pub use param::{Param, Params, Source};
pub use precision::Precision;
pub use schedule::Schedule;
pub use table::Table;
/// The libtorch binding whose `Tensor` appears in this crate's signatures.
pub use tch;
pub use weight::Weight;
