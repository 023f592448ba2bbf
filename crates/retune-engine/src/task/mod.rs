//! Tasks: schema → preflight → encode → loss → scorer → decoded prediction. The only place that matches on task names.
//!
//! | file | holds |
//! |---|---|
//! | `splits` | the data of a run, whatever its modality |
//! | `classification` | labels, loss, metrics, predictions of everything that classifies or regresses |
//! | `scorer` | metrics as scorers |
//! | `preflight` | whether the validation split can decide what the recipe wants |
//! | `text_classification` | texts in, for `classification` |
//! | `images` | processor, columns and augmentation of all tasks on images |
//! | `image_classification` | images in, for `classification` |
//! | `masked_image_modeling` | images in, their hidden patches out |

mod classification;
mod image_classification;
mod images;
mod masked_image_modeling;
mod preflight;
mod scorer;
mod splits;
mod text_classification;

use crate::Recipe;
use crate::metric::{self, Evaluation, LOSS, Metric};
use crate::report::Said;
use anyhow::{Result, bail};
use retune_data::{Dataset, Described};
use retune_kernels::loss::SummedLoss;
use retune_kernels::tch::Tensor;
use retune_models::registry::{self, Purpose};
use retune_models::{Explanation, Inputs, Model, ModelConfig, Outputs, ProblemType};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use splits::Splits;

/// Known task names.
pub const TASKS: &[&str] = &["text-classification", "image-classification", "masked-image-modeling"];

/// The task of a recipe that names none.
pub const USUAL_TASK: &str = TASKS[0];

/// What a model says about one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Probabilities per class (one or several labels), predicted numbers, or how badly the input was reconstructed.
    pub scores: Vec<f32>,
}

/// Collects predictions batch by batch and keeps sufficient statistics.
pub trait Scorer {
    /// Adds a batch with its labels.
    fn update(&mut self, predictions: &[Prediction], inputs: &Inputs) -> Result<()>;
    /// Metrics of everything so far.
    fn compute(&self) -> Evaluation;
    /// All metrics that some rows have, the usual one first.
    fn metrics(&self) -> Vec<&'static Metric>;
}

/// One way to use a model. Training, evaluation and prediction go through the same methods.
pub trait Task: Sync {
    /// As in `--task`.
    fn name(&self) -> &'static str;
    /// Which head it needs.
    fn purpose(&self) -> Purpose;
    /// Names of the outputs and what they mean; `None` where outputs have no names.
    fn head(&self) -> Option<(Vec<String>, ProblemType)>;
    /// Training loss, smoothing and class weights included.
    fn loss(&self, outputs: &Outputs, inputs: &Inputs) -> Result<SummedLoss>;
    /// The same loss without them, for evaluation.
    fn plain_loss(&self, outputs: &Outputs, inputs: &Inputs) -> Result<SummedLoss>;
    /// Whether loss and metrics of a data set can be computed.
    fn can_score(&self, dataset: &dyn Dataset) -> bool {
        dataset.has_labels()
    }
    /// A fresh scorer.
    fn scorer(&self) -> Box<dyn Scorer>;
    /// One prediction per row of the batch.
    fn decode(&self, outputs: &Outputs, inputs: &Inputs) -> Result<Vec<Prediction>>;
    /// A prediction as the user reads it: `{"prediction": …, "scores": …}`.
    fn describe(&self, prediction: &Prediction) -> serde_json::Map<String, serde_json::Value>;
    /// A prediction for the report's list of errors; what is right is filled in from the row where it stays empty.
    fn said(&self, prediction: &Prediction) -> Said;
    /// The best guess that needs no model, by name, learnt from the training data and scored on `dataset`.
    fn majority(&self, train: &dyn Described, dataset: &dyn Described) -> Result<(&'static str, Evaluation)>;
    /// What a model reaches that says exactly the labels: a metric that is absent here is undefined on this data for
    /// every model. `None` where there are no labels to say.
    fn ideal(&self, _dataset: &dyn Described) -> Result<Option<Evaluation>> {
        Ok(None)
    }
    /// How wrong each prediction is: 0 = right, larger = worse.
    fn severities(&self, dataset: &dyn Described, predictions: &[Prediction]) -> Result<Vec<f64>>;
    /// What can pick the best checkpoint: the metrics, the first one where the user names none, and the loss.
    fn metrics(&self) -> Vec<&'static Metric> {
        let mut metrics = self.scorer().metrics();
        metrics.push(&LOSS);
        metrics
    }
    /// The metric of a key.
    fn metric(&self, key: &str) -> Option<&'static Metric> {
        metric::find(&self.metrics(), key)
    }
    /// Which places of each row its prediction rests on, [B, h, w]; `None` where a task cannot say.
    fn explain(&self, _model: &dyn Model, _inputs: &Inputs, _how: Explanation) -> Result<Option<Tensor>> {
        Ok(None)
    }
    /// Files that belong into the saved model: tokenizer, processor.
    fn files(&self) -> Vec<PathBuf>;
    /// Whether this input can be used with the loaded model; called before any compute.
    fn check_model(&self, model: &dyn Model) -> Result<()>;
}

/// Called with what is going on, how much of it is done, and how much there is.
pub type OnProgress<'a> = &'a dyn Fn(&str, usize, usize);

/// Reads and checks all data of a run.
pub fn prepare(recipe: &Recipe, model: &Path, progress: OnProgress<'_>) -> Result<(Box<dyn Task>, Splits)> {
    let (task, splits) = match recipe.task.as_str() {
        "text-classification" => text_classification::prepare(recipe, model, progress),
        "image-classification" => image_classification::prepare(recipe, model, progress),
        "masked-image-modeling" => masked_image_modeling::prepare(recipe, model, progress),
        other => bail!(unknown(other)),
    }?;
    preflight::check(recipe, task.as_ref(), splits.validation.as_ref())?;
    Ok((task, splits))
}

/// Where rows come from when a saved model is used.
pub enum Input<'a> {
    /// A data file.
    File(&'a Path),
    /// Lines, read `part` at a time: JSON objects or plain text.
    Lines {
        /// Where they are read from.
        reader: Box<dyn std::io::BufRead + 'a>,
        /// Lines per part.
        part: usize,
    },
}

/// A task on data for a saved model.
pub struct Opened<'a> {
    /// The task.
    pub task: Box<dyn Task>,
    /// The rows; what follows the first part is not read before it is asked for.
    pub parts: Parts<'a>,
}

/// Rows, a part at a time.
pub type Parts<'a> = Box<dyn Iterator<Item = Result<Arc<dyn Dataset>>> + 'a>;

/// Opens data for a saved model; `labels` says whether the rows must have them.
pub fn open<'a>(
    recipe: &Recipe,
    model: &Path,
    config: &ModelConfig,
    input: Input<'a>,
    labels: bool,
    progress: OnProgress<'_>,
) -> Result<Opened<'a>> {
    match recipe.task.as_str() {
        "text-classification" => text_classification::open(recipe, model, config, input, labels, progress),
        "image-classification" => image_classification::open(recipe, model, config, input, labels, progress),
        "masked-image-modeling" => masked_image_modeling::open(recipe, model, config, input, progress),
        other => bail!(unknown(other)),
    }
}

/// What models are loaded for in a task.
pub fn purpose(name: &str) -> Result<Purpose> {
    match name {
        "text-classification" => Ok(Purpose::SequenceClassification),
        "image-classification" => Ok(Purpose::ImageClassification),
        "masked-image-modeling" => Ok(Purpose::MaskedImageModeling),
        other => bail!(unknown(other)),
    }
}

/// Whether inputs are images, else texts; `None` for a name that is no task.
pub fn takes_images(name: &str) -> Option<bool> {
    purpose(name).ok().map(|purpose| purpose != Purpose::SequenceClassification)
}

/// The task that a saved model was made for, as its config.json says.
pub fn of_model(config: &ModelConfig) -> Result<&'static str> {
    let purpose = registry::purpose_of(config);
    let task = TASKS.iter().find(|task| purpose.is_some() && self::purpose(task).ok() == purpose);
    let Some(task) = task else {
        let class = config.get("architectures").map_or("nothing".to_owned(), ToString::to_string);
        bail!("config.json names {class} in `architectures`, which says of no task that it was trained for it");
    };
    Ok(task)
}

/// The first task that a model of this family can be trained for.
pub fn possible(config: &ModelConfig) -> Result<&'static str> {
    let mut refused = Vec::new();
    for &task in TASKS {
        match registry::family(config, purpose(task)?) {
            Ok(_) => return Ok(task),
            Err(error) => refused.push(error.to_string()),
        }
    }
    bail!(refused.join("; "))
}

fn unknown(name: &str) -> String {
    format!("task `{name}` is not one of {}", TASKS.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(fields: serde_json::Value) -> ModelConfig {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), fields.to_string()).unwrap();
        retune_models::CheckpointFolder::config(folder.path()).unwrap()
    }

    #[test]
    fn every_task_has_a_purpose_of_its_own() {
        let purposes: Vec<Purpose> = TASKS.iter().map(|task| purpose(task).unwrap()).collect();
        for (index, one) in purposes.iter().enumerate() {
            assert!(!purposes[..index].contains(one), "{one:?}");
        }
        assert!(purpose("telepathy").unwrap_err().to_string().contains(TASKS[0]));
    }

    #[test]
    fn a_saved_model_says_its_task() {
        let trained = config(json!({"model_type": "bert", "architectures": ["BertForSequenceClassification"]}));
        assert_eq!(of_model(&trained).unwrap(), "text-classification");
        let masked = config(json!({"model_type": "vit_mae", "architectures": ["ViTMAEForPreTraining"]}));
        assert_eq!(of_model(&masked).unwrap(), "masked-image-modeling");
        let base = config(json!({"model_type": "bert", "architectures": ["BertModel"]}));
        let text = of_model(&base).unwrap_err().to_string();
        assert!(text.contains("BertModel"), "{text}");
        assert_eq!(possible(&base).unwrap(), "text-classification");
        let unknown = config(json!({"model_type": "telepath", "architectures": ["TelepathModel"]}));
        assert!(possible(&unknown).unwrap_err().to_string().contains("telepath"));
    }
}
