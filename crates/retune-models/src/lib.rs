#![doc = include_str!("../README.md")]

pub mod adapter;
pub mod checkpoint;
pub mod config;
mod error;
pub mod explain;
pub mod families;
mod head_meaning;
pub mod heads;
pub mod inputs;
mod label_names;
pub mod layers;
mod model;
pub mod registry;
pub mod trace;

pub use adapter::{BaseModel, LoraPlan};
pub use checkpoint::{CheckpointFolder, LoadReport};
pub use config::{ModelConfig, ProblemType};
pub use error::ModelError;
pub use explain::Explanation;
pub use inputs::Inputs;
pub use model::{LoadOptions, LoadedModel, Mode, Model, Outputs, Source};
