#![doc = include_str!("../README.md")]

pub mod baseline;
pub mod directory;
pub mod doctor;
mod error;
pub mod evaluate;
mod files;
pub mod finetune;
pub mod forward;
pub mod hardware;
mod heat_map;
pub mod inspect;
pub mod method;
pub mod metric;
mod misplaced;
mod not_finite;
pub mod observer;
pub mod open;
mod operating;
pub mod plan;
pub mod predict;
pub mod recipe;
pub mod report;
mod report_data;
mod resume;
mod session;
pub mod step;
pub mod summary;
pub mod task;
pub mod tensors;
pub mod tfevents;
pub mod train;
mod watch;

pub use error::{EngineError, InputContext};
pub use finetune::{Finished, Start, finetune};
pub use observer::{Control, Observer};
pub use recipe::Recipe;
