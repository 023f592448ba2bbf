//! What a task is called, which head and settings it has, and how its data is opened.

use super::{BatchTensors, TASKS, Work};
use crate::Recipe;
use crate::recipe::Section;
use anyhow::{Context, Result, bail};
use retune_kernels::loss::SummedLoss;
use retune_models::{ModelConfig, Purpose, Tensors, registry};
use std::path::Path;

/// Called with what is going on, how much of it is done, and how much there is.
pub type OnProgress<'a> = &'a dyn Fn(&str, usize, usize);

/// A task, as lists and flags know it.
pub struct Entry {
    /// As in `--task`.
    pub name: &'static str,
    /// Which head its models have.
    pub purpose: &'static Purpose,
    /// The sections of a recipe that it reads, its medium's among them.
    pub settings: &'static [&'static Section],
    /// The key of `metrics.json` under which its decisions are kept, where it makes any.
    pub decides: Option<&'static str>,
    /// Reads and checks all data of a run.
    pub prepare: for<'a> fn(&Preparing<'a>) -> Result<Box<dyn Work>>,
    /// What the loss needs beside the network's outputs, by Hugging Face's names.
    pub targets: &'static [&'static str],
    /// The loss of a saved model, for raw outputs.
    pub loss: fn(&ModelConfig) -> Result<LossOf>,
    /// Opens data for a saved model.
    pub open: for<'a> fn(Opening<'a>) -> Result<Parts<'a>>,
}

/// A loss of outputs and the batch that they are of.
pub type LossOf = Box<dyn Fn(&Tensors, &BatchTensors) -> Result<SummedLoss>>;

/// What a task prepares the data of a run from.
pub struct Preparing<'a> {
    /// The settings.
    pub recipe: &'a Recipe,
    /// The folder of the model that is trained.
    pub model: &'a Path,
    /// Its configuration.
    pub config: &'a ModelConfig,
    /// Told how far reading is.
    pub progress: OnProgress<'a>,
}

/// What a task opens data for a saved model from.
pub struct Opening<'a> {
    /// The settings.
    pub recipe: &'a Recipe,
    /// The folder with the model's tokenizer or processor.
    pub model: &'a Path,
    /// The model's configuration.
    pub config: &'a ModelConfig,
    /// Where the rows come from.
    pub input: Input<'a>,
    /// Whether the rows must say what is right.
    pub targets: bool,
    /// Told how far reading is.
    pub progress: OnProgress<'a>,
}

/// Where rows come from when a saved model is used.
pub enum Input<'a> {
    /// A data file.
    File(&'a Path),
    /// Lines, read `part` at a time: JSON objects or plain inputs.
    Lines {
        /// Where they are read from.
        reader: Box<dyn std::io::BufRead + 'a>,
        /// Lines per part.
        part: usize,
    },
}

/// Data for a saved model, a part at a time; each part is a [`super::Split::Test`] of its own. What follows the first part is
/// not read before it is asked for.
pub type Parts<'a> = Box<dyn Iterator<Item = Result<Box<dyn Work>>> + 'a>;

/// The task of that name.
pub fn find(name: &str) -> Result<&'static Entry> {
    let found = TASKS.iter().find(|task| task.name == name).copied();
    found.with_context(|| {
        let names: Vec<&str> = TASKS.iter().map(|task| task.name).collect();
        format!("task `{name}` is not one of {}", names.join(", "))
    })
}

/// The task that a saved model was made for, as its config.json says; of several with that head the first.
///
/// # Errors
/// Its class belongs to no task.
pub fn of_model(config: &ModelConfig) -> Result<&'static Entry> {
    let purposes = registry::purposes_of_class(config);
    let found = TASKS.iter().find(|task| purposes.contains(&task.purpose)).copied();
    found.with_context(|| {
        let class = config.get("architectures").map_or("nothing".to_owned(), ToString::to_string);
        format!("config.json names {class} in `architectures`, which says of no task that it was trained for it")
    })
}

/// The first task that a model of this family can be trained for.
pub fn possible(config: &ModelConfig) -> Result<&'static Entry> {
    let mut refused = Vec::new();
    for &task in TASKS {
        match registry::family_for(config, Some(task.purpose)) {
            Ok(_) => return Ok(task),
            Err(error) => refused.push(error.to_string()),
        }
    }
    refused.dedup();
    bail!(refused.join("; "))
}
