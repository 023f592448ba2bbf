//! Using a saved model on new data: predictions line by line, or metrics of a labelled file.

use crate::error::{EngineError, InputContext};
use crate::evaluate::evaluate;
use crate::hardware::Hardware;
use crate::metric::Evaluation;
use crate::task::{self, Input};
use crate::{Recipe, open};
use anyhow::Context;
use retune_data::hub::Silent;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

/// How to use a saved model; what is absent comes from the recipe that made it, else from the defaults.
#[derive(Debug, Clone)]
pub struct PredictOptions {
    /// A model folder or a run directory.
    pub model: PathBuf,
    /// Task name.
    pub task: Option<String>,
    /// Column with the text.
    pub text_column: Option<String>,
    /// Column with the second text.
    pub text_pair_column: Option<String>,
    /// Column with the label.
    pub label_column: Option<String>,
    /// Separates labels within one cell.
    pub label_separator: Option<char>,
    /// Examples per batch.
    pub batch_size: usize,
    /// Longest input in tokens.
    pub max_length: Option<usize>,
    /// `auto`, `fp32` or `bf16`.
    pub precision: String,
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// Compute threads; 0 = all cores.
    pub threads: usize,
}

impl PredictOptions {
    fn recipe(&self, folder: &Path) -> Recipe {
        let known = Recipe::beside(folder).unwrap_or_default();
        Recipe {
            task: self.task.clone().unwrap_or(known.task),
            text_column: self.text_column.clone().unwrap_or(known.text_column),
            text_pair_column: self.text_pair_column.clone().or(known.text_pair_column),
            label_column: self.label_column.clone().unwrap_or(known.label_column),
            label_separator: self.label_separator.or(known.label_separator),
            max_length: self.max_length.or(known.max_length),
            // As in training, so that the run's own figures are met exactly.
            precision: if self.precision == "auto" { known.precision } else { self.precision.clone() },
            ..Recipe::default()
        }
    }
}

/// Writes one JSON object per input row, in order; returns how many. `lines` is read when no file is given.
pub fn predict(
    options: &PredictOptions,
    input: Option<&Path>,
    lines: Box<dyn BufRead>,
    output: &mut dyn Write,
) -> Result<usize, EngineError> {
    let folder = open::model_folder(&options.model).input()?;
    let recipe = options.recipe(&folder);
    let (hardware, _) = Hardware::resolve(&options.device, &recipe.precision, options.threads).input()?;
    let loaded = open::load_saved(&folder, &hardware, &Silent).input()?;
    let input = input.map_or(Input::Lines(lines), Input::File);
    let (task, data) = task::open(&recipe, &tokenizer_folder(&folder)?, &loaded.config, input, false).input()?;
    let scored =
        evaluate(loaded.model.as_ref(), task.as_ref(), &data, options.batch_size, hardware.device, &mut |_, _| {})?;
    for (row, prediction) in scored.predictions.iter().enumerate() {
        let source = data.source(row).context("a row that was just read")?;
        let mut line = source.fields;
        line.extend(source.label.map(|label| ("label".to_owned(), label)));
        line.extend(task.describe(prediction));
        let text = serde_json::to_string(&line).context("plain data")?;
        writeln!(output, "{text}").context("cannot write predictions")?;
    }
    output.flush().context("cannot write predictions")?;
    Ok(scored.predictions.len())
}

/// Metrics with intervals of a labelled file.
pub fn evaluate_file(options: &PredictOptions, data: &Path) -> Result<Evaluation, EngineError> {
    let folder = open::model_folder(&options.model).input()?;
    let recipe = options.recipe(&folder);
    let (hardware, _) = Hardware::resolve(&options.device, &recipe.precision, options.threads).input()?;
    let loaded = open::load_saved(&folder, &hardware, &Silent).input()?;
    let (task, dataset) =
        task::open(&recipe, &tokenizer_folder(&folder)?, &loaded.config, Input::File(data), true).input()?;
    let scored =
        evaluate(loaded.model.as_ref(), task.as_ref(), &dataset, options.batch_size, hardware.device, &mut |_, _| {})?;
    let mut evaluation = scored.evaluation;
    evaluation.metrics.extend(scored.loss.map(|loss| ("loss".to_owned(), loss)));
    Ok(evaluation)
}

/// An adapter folder saved by others may have no tokenizer; its base has one.
fn tokenizer_folder(folder: &Path) -> Result<PathBuf, EngineError> {
    let has = ["tokenizer.json", "vocab.txt"].iter().any(|file| folder.join(file).is_file());
    if has { Ok(folder.to_owned()) } else { open::base_folder(folder, &Silent).input() }
}
