#![doc = include_str!("../README.md")]

pub mod adapter;
pub mod checkpoint;
pub mod config;
mod error;
pub mod explain;
pub mod families;
pub mod heads;
mod labels;
pub mod layers;
mod load;
mod loaded;
mod mode;
mod network;
pub mod registry;
mod tensors;
pub mod trace;

pub use adapter::{AdapterPlan, BaseModel};
pub use checkpoint::{CheckpointFolder, LoadReport};
pub use config::{ModelConfig, ProblemType};
pub use error::ModelError;
pub use explain::Explanation;
pub use load::{LoadOptions, Source};
pub use loaded::LoadedModel;
pub use mode::Mode;
pub use network::Model;
pub use tensors::Tensors;
