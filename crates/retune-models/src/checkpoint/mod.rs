//! Files of a checkpoint: the only place of this crate that touches the disk.

mod buffers;
mod file;
mod folder;
mod given;
mod graft;
mod identity;
mod init;
mod language;
mod names;
mod part;
mod report;
mod root;
mod save;
mod sentences;
mod weights;

pub use buffers::{Buffer, Buffers};
pub use file::{SafetensorsFile, read_tensors};
pub use folder::{CheckpointFolder, read_json};
pub use given::GivenTensor;
pub use graft::{Grafted, graft};
pub use identity::identity;
pub use init::Init;
pub use language::{is_of_language, language_file};
pub use names::TensorNames;
pub use report::{LoadReport, NewTensor};
pub use root::{WeightsOptions, WeightsRoot};
pub use save::{write_json, write_params, write_some, write_tensors};
pub use sentences::SentenceModules;
pub use weights::Weights;
