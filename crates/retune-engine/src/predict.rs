//! Using a saved model on new data: predictions line by line, or metrics of a labelled file.

use crate::Recipe;
use crate::error::{EngineError, InputContext};
use crate::evaluate::Predictor;
use crate::hardware::Hardware;
use crate::metric::Evaluation;
use crate::metric::operating_point::Cut;
use crate::observer::Observer;
use crate::open::Saved;
use crate::operating::Operating;
use crate::task::{self, Input, Opened, Prediction, Task};
use crate::watch::Watch;
use anyhow::{Context, Result, anyhow};
use retune_data::{BadExample, Dataset, set_encoding_threads};
use retune_models::LoadedModel;
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
    /// Column with the image.
    pub image_column: Option<String>,
    /// `fail` or `skip`.
    pub on_bad_example: Option<String>,
    /// Column with the label.
    pub label_column: Option<String>,
    /// Separates labels within one cell.
    pub label_separator: Option<char>,
    /// Labels that are numbers count the model's named labels from this number, 0 or 1.
    pub label_numbers: Option<u32>,
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

/// Batches whose predictions are written together; their rows are sorted by length, which saves padding.
const BATCHES: usize = 16;

/// A model that is ready to be used, and how.
struct Ready {
    saved: Saved,
    recipe: Recipe,
    hardware: Hardware,
    loaded: LoadedModel,
    /// The threshold of the run that made the model.
    cut: Option<Cut>,
}

impl PredictOptions {
    fn ready(&self, watch: &Watch<'_, '_>) -> Result<Ready, EngineError> {
        set_encoding_threads(self.threads);
        let saved = Saved::find(&self.model, watch).input()?;
        let task = saved.task(self.task.as_deref()).input()?;
        let known = saved.recipe.clone().unwrap_or_default();
        let cut = saved.operating_cut().input()?;
        let recipe = Recipe {
            task,
            text_column: self.text_column.clone().unwrap_or(known.text_column),
            text_pair_column: self.text_pair_column.clone().or(known.text_pair_column),
            image_column: self.image_column.clone().unwrap_or(known.image_column),
            on_bad_example: self.on_bad_example.clone().unwrap_or(known.on_bad_example),
            label_column: self.label_column.clone().unwrap_or(known.label_column),
            label_separator: self.label_separator.or(known.label_separator),
            label_numbers: self.label_numbers.or(known.label_numbers),
            max_length: self.max_length.or(known.max_length),
            positive_class: cut.as_ref().map(|cut| cut.positive_class.clone()).or(known.positive_class),
            // As in training, so that the run's own figures are met exactly.
            precision: if self.precision == "auto" { known.precision } else { self.precision.clone() },
            ..Recipe::default()
        };
        let (hardware, _) = Hardware::resolve(&self.device, &recipe.precision, self.threads).input()?;
        let loaded = saved.load(&recipe.task, &hardware).input()?;
        Ok(Ready { saved, recipe, hardware, loaded, cut })
    }
}

impl Ready {
    fn open<'a>(&self, input: Input<'a>, labels: bool, watch: &Watch<'_, '_>) -> Result<Opened<'a>, EngineError> {
        let progress = |what: &str, done, all| watch.progress(what, done, all);
        // An adapter folder saved by others may have no tokenizer or processor; its base has one.
        let has = ["tokenizer.json", "vocab.txt", "vocab.json", "preprocessor_config.json"]
            .iter()
            .any(|file| self.saved.folder.join(file).is_file());
        let folder = if has { &self.saved.folder } else { &self.saved.base };
        task::open(&self.recipe, folder, &self.loaded.config, input, labels, &progress).input()
    }

    fn predictor<'a>(&'a self, task: &'a dyn Task, batch_size: usize) -> Predictor<'a> {
        Predictor {
            model: self.loaded.model.as_ref(),
            task,
            batch_size,
            device: self.hardware.device,
            lanes: &self.hardware.lanes,
        }
    }

    fn operating(&self, task: &dyn Task) -> Option<Operating> {
        self.cut.as_ref().and_then(|cut| Operating::of(cut, task))
    }
}

/// Writes one JSON object per input row, in order; returns how many. `lines` is read when no file is given: as much as
/// makes some full batches, whose answers are written before more is read. A batch size of 1 answers line by line.
pub fn predict(
    options: &PredictOptions,
    input: Option<&Path>,
    lines: Box<dyn BufRead + '_>,
    output: &mut dyn Write,
    observers: &mut [&mut dyn Observer],
) -> Result<usize, EngineError> {
    let watch = Watch::new(observers);
    let ready = options.ready(&watch)?;
    let part = if options.batch_size == 1 { 1 } else { options.batch_size * BATCHES };
    let input = input.map_or(Input::Lines { reader: lines, part }, Input::File);
    let whole = matches!(input, Input::File(_));
    let Opened { task, parts } = ready.open(input, false, &watch)?;
    let predictor = ready.predictor(task.as_ref(), options.batch_size);
    let operating = ready.operating(task.as_ref());
    let mut count = 0;
    let broken = "cannot write predictions";
    for data in parts {
        let data = data.input()?;
        data.remarks().iter().for_each(|remark| watch.message(remark));
        let mut bad = data.bad_examples().iter().peekable();
        let rows = data.len() + bad.len();
        let mut next = 0;
        // Every row has its line, in order, whether it can be used or not.
        for start in (0..data.len()).step_by(part) {
            let some = start..data.len().min(start + part);
            for (row, prediction) in some.clone().zip(predictor.predict(&data, some)?) {
                while let Some(bad) = bad.next_if(|bad| bad.row == next) {
                    writeln!(output, "{}", refusal(bad)?).context(broken)?;
                    next += 1;
                }
                let line = answer(task.as_ref(), operating.as_ref(), data.as_ref(), row, &prediction)?;
                writeln!(output, "{line}").context(broken)?;
                next += 1;
            }
            output.flush().context(broken)?;
            if whole {
                watch.progress("predicting", next, rows);
            }
        }
        for bad in bad {
            writeln!(output, "{}", refusal(bad)?).context(broken)?;
        }
        output.flush().context(broken)?;
        count += rows;
    }
    Ok(count)
}

/// A row that cannot be used, as one JSON object.
fn refusal(bad: &BadExample) -> Result<String> {
    let mut line = bad.fields.clone();
    if line.is_empty() {
        line.insert("line".to_owned(), bad.line.into());
    }
    line.insert("error".to_owned(), bad.reason.as_str().into());
    Ok(serde_json::to_string(&line)?)
}

/// A row with its prediction, as one JSON object; with a threshold, also whether the row reaches it.
pub(crate) fn answer(
    task: &dyn Task,
    operating: Option<&Operating>,
    data: &dyn Dataset,
    row: usize,
    prediction: &Prediction,
) -> Result<String> {
    let source = data.source(row)?;
    let mut line = source.fields;
    line.extend(source.label.map(|label| ("label".to_owned(), label)));
    line.extend(task.describe(prediction));
    line.extend(operating.map(|operating| ("positive".to_owned(), operating.is_positive(prediction).into())));
    Ok(serde_json::to_string(&line)?)
}

/// Metrics with intervals of a labelled file.
pub fn evaluate_file(
    options: &PredictOptions,
    data: &Path,
    observers: &mut [&mut dyn Observer],
) -> Result<Evaluation, EngineError> {
    let watch = Watch::new(observers);
    let ready = options.ready(&watch)?;
    let Opened { task, mut parts } = ready.open(Input::File(data), true, &watch)?;
    let dataset = parts.next().context("a file is one part")?.input()?;
    let bad = dataset.bad_examples();
    let listed: String = bad.iter().map(|bad| format!("\n  {bad}")).collect();
    if dataset.is_empty() {
        return Err(EngineError::Input(anyhow!("{}: no example can be used:{listed}", data.display())));
    }
    let predictor = ready.predictor(task.as_ref(), options.batch_size);
    let scored = predictor.score(&dataset, &mut |done, all| watch.progress("evaluating", done, all))?;
    let mut evaluation = scored.evaluation;
    evaluation.operating_point = ready.operating(task.as_ref()).and_then(|operating| operating.on(&evaluation));
    evaluation.notes.extend(dataset.remarks());
    if !bad.is_empty() {
        let (count, all) = (bad.len(), bad.len() + dataset.len());
        evaluation.notes.push(format!("{count} of {all} examples cannot be used and are left out:{listed}"));
    }
    evaluation.metrics.extend(scored.loss.map(|loss| ("loss".to_owned(), loss)));
    Ok(evaluation)
}
