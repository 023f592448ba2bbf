//! Using a saved model on new data: predictions line by line, or metrics of a labelled file.

use crate::Recipe;
use crate::error::{EngineError, InputContext};
pub use crate::files::files_beside;

use crate::evaluate::{Judging, Predictor, whole_examples};
use crate::hardware::Hardware;
use crate::metric::Evaluation;
use crate::observer::Observer;
use crate::open::SavedModel;
use crate::task::{Entry, Input, Opening, Parts, Split, Work};
use crate::watch::Watch;
use anyhow::{Context, Result, anyhow};
use retune_data::{BadExample, set_encoding_threads};
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
    /// Keys of a recipe that may be another at use, such as columns.
    pub overrides: toml::Table,
    /// Examples per batch.
    pub batch_size: usize,
    /// `auto`, `fp32` or `bf16`.
    pub precision: String,
    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// Compute threads; 0 = all cores.
    pub threads: usize,
    /// The folder for what of answers is a file, such as masks; without it the lines say everything.
    pub files: Option<PathBuf>,
}

/// Batches whose predictions are written together; their rows are sorted by length, which saves padding.
const BATCHES: usize = 16;

/// A model that is ready to be used, and how.
pub(crate) struct Ready {
    saved: SavedModel,
    pub(crate) entry: &'static Entry,
    pub(crate) recipe: Recipe,
    hardware: Hardware,
    pub(crate) loaded: LoadedModel,
}

impl PredictOptions {
    pub(crate) fn ready(&self, watch: &Watch<'_, '_>) -> Result<Ready, EngineError> {
        set_encoding_threads(self.threads);
        let saved = SavedModel::find(&self.model, watch).input()?;
        let entry = saved.task_of_use(self.task.as_deref()).input()?;
        let mut known = saved.recipe.clone().unwrap_or_default();
        entry.name.clone_into(&mut known.data.task);
        let mut recipe = known.at_use(&self.overrides).input()?;
        // As in training, so that the run's own figures are met exactly.
        if self.precision != "auto" {
            recipe.run.precision.clone_from(&self.precision);
        }
        let (hardware, _) = Hardware::resolve(&self.device, &recipe.run.precision, self.threads).input()?;
        let loaded = saved.load(entry, &hardware).input()?;
        loaded.report.warnings().iter().for_each(|line| watch.message(&format!("{}: {line}", self.model.display())));
        Ok(Ready { saved, entry, recipe, hardware, loaded })
    }
}

impl Ready {
    /// The folder with its tokenizer.
    pub(crate) fn files(&self) -> &Path {
        self.saved.folder_with_files()
    }

    /// Where it computes.
    pub(crate) fn device(&self) -> retune_kernels::tch::Device {
        self.hardware.device
    }

    fn open<'a>(
        &'a self,
        input: Input<'a>,
        targets: bool,
        progress: &'a dyn Fn(&str, usize, usize),
    ) -> Result<Parts<'a>, EngineError> {
        let (recipe, config) = (&self.recipe, &self.loaded.config);
        let model = self.saved.folder_with_files();
        (self.entry.open)(Opening { recipe, model, config, input, targets, progress }).input()
    }

    /// Goes on with what the run decided that made the model.
    fn adopt(&self, work: &dyn Work) -> Result<(), EngineError> {
        let decision = self.saved.decision(self.entry).input()?;
        decision.map_or(Ok(()), |decision| work.adopt(&decision)).input()
    }

    fn predictor(&self, batch_size: usize) -> Predictor<'_> {
        Predictor {
            network: &self.loaded.network,
            batch_size,
            device: self.hardware.device,
            lanes: &self.hardware.lanes,
        }
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
    let progress = |what: &str, done, all| watch.progress(what, done, all);
    let with = ready.predictor(options.batch_size);
    let mut count = 0;
    let broken = "cannot write predictions";
    for work in ready.open(input, false, &progress)? {
        let work = work.input()?;
        ready.adopt(work.as_ref())?;
        let data = work.rows(Split::Test).context("a part has rows")?;
        data.remarks().iter().for_each(|remark| watch.message(remark));
        let mut bad = data.bad_examples().iter().peekable();
        let examples = data.examples() + bad.len();
        let mut next = 0;
        // Every example has its line, in order, whether it can be used or not.
        let mut start = 0;
        while start < data.len() {
            let end = whole_examples(data.as_ref(), start + part, data.len());
            work.predict(Split::Test, start..end, &with, options.files.as_deref(), &mut |_, line| {
                while let Some(bad) = bad.next_if(|bad| bad.row == next) {
                    writeln!(output, "{}", refusal(bad)?).context(broken)?;
                    next += 1;
                }
                writeln!(output, "{}", serde_json::to_string(&line)?).context(broken)?;
                next += 1;
                Ok(())
            })?;
            output.flush().context(broken)?;
            if whole {
                watch.progress("predicting", next, examples);
            }
            start = end;
        }
        for bad in bad {
            writeln!(output, "{}", refusal(bad)?).context(broken)?;
        }
        output.flush().context(broken)?;
        count += examples;
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

/// Metrics with intervals of a labelled file.
pub fn evaluate_file(
    options: &PredictOptions,
    data: &Path,
    observers: &mut [&mut dyn Observer],
) -> Result<Evaluation, EngineError> {
    let watch = Watch::new(observers);
    let ready = options.ready(&watch)?;
    let progress = |what: &str, done, all| watch.progress(what, done, all);
    let work = ready.open(Input::File(data), true, &progress)?.next().context("a file is one part")?.input()?;
    ready.adopt(work.as_ref())?;
    let dataset = work.rows(Split::Test).context("a part has rows")?;
    let bad = dataset.bad_examples();
    let listed: String = bad.iter().map(|bad| format!("\n  {bad}")).collect();
    if dataset.is_empty() {
        return Err(EngineError::Input(anyhow!("{}: no example can be used:{listed}", data.display())));
    }
    let mut advance = |done, all| watch.progress("evaluating", done, all);
    let judging = Judging::only(&mut advance);
    let scored = work.score(Split::Test, &dataset, &ready.predictor(options.batch_size), judging)?;
    let mut evaluation = scored.evaluation;
    evaluation.notes.extend(dataset.remarks());
    if !bad.is_empty() {
        let (count, all) = (bad.len(), bad.len() + dataset.examples());
        evaluation.notes.push(format!("{count} of {all} examples cannot be used and are left out:{listed}"));
    }
    evaluation.metrics.extend(scored.loss.map(|loss| ("loss".to_owned(), loss)));
    Ok(evaluation)
}
