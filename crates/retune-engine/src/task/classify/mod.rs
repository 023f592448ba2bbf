//! Classification of whole inputs, whatever their medium: one label, several labels, or numbers for each.
//!
//! transformers' `…ForSequenceClassification` and `…ForImageClassification`, whose `problem_type` decides the loss:
//! cross-entropy, binary cross-entropy or squared error. B batch, C classes.
//!
//! | file | holds |
//! |---|---|
//! | `kind` | what differs between one label, several labels and numbers |
//! | `single`, `multi`, `numbers` | these three |
//! | `threshold` | a decision threshold for one class: chosen on one split, applied to others |
//! | `weights` | weights of classes |
//! | `settings` | what a recipe says of labels |
//! | `labels` | what labels mean, from the data or from a saved model |
//! | `text`, `image`, `audio` | the media |

pub(super) mod audio;
pub(super) mod image;
mod kind;
mod labels;
mod multi;
mod numbers;
mod settings;
mod single;
pub(super) mod text;
pub(crate) mod threshold;
mod weights;

use super::{BatchTensors, Data, Decision, Explained, Guess, Judged, Phase, Scorer, Task, Turn};
use crate::metric::{Evaluation, Metric, Said};
use anyhow::{Context, Result, ensure};
use kind::{Gold, Kind, Meter};
use retune_data::{Batching, Dataset, Medium, Targets};
use retune_kernels::loss::SummedLoss;
use retune_kernels::tch::Kind as DType;
use retune_models::{NewHead, Purpose, Tensors};
use serde_json::{Map, Value};
pub use settings::ClassificationSettings;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// The task over a medium, of one of three kinds.
pub(super) struct Classification<M, K> {
    purpose: &'static Purpose,
    kind: Arc<K>,
    files: Files,
    batching: Batching,
    frozen_below: usize,
    medium: PhantomData<fn() -> M>,
}

/// Files that belong into the saved model.
#[derive(Default)]
pub(super) struct Files {
    /// Their paths.
    pub(super) paths: Vec<PathBuf>,
    /// Where those lie that were made for this run; it goes with the task.
    pub(super) _folder: Option<TempDir>,
}

impl<M: Medium + 'static, K: Kind<M>> Classification<M, K> {
    fn new(purpose: &'static Purpose, kind: K, files: Files) -> Self {
        let batching = Batching::Examples;
        Self { purpose, kind: Arc::new(kind), files, batching, frozen_below: 0, medium: PhantomData }
    }

    fn with_batching(self, batching: Batching) -> Self {
        Self { batching, ..self }
    }

    fn with_frozen_below(self, frozen_below: usize) -> Self {
        Self { frozen_below, ..self }
    }
}

impl<M: Medium + 'static, K: Kind<M>> Task for Classification<M, K> {
    type Medium = M;
    type Targets = K::Targets;
    /// Probabilities of the classes, or predicted numbers.
    type Answer = Vec<f32>;

    fn head(&self) -> NewHead {
        NewHead::of(self.purpose).labels(self.kind.names().to_vec()).problem(self.kind.problem())
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, phase: Phase) -> Result<SummedLoss> {
        self.kind.loss(outputs.get("logits")?, batch.targets.get("labels")?, phase)
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Vec<f32>>> {
        let scores = self.kind.scores(&turn.outputs()?.get("logits")?.to_kind(DType::Float))?;
        let flat = Vec::<f32>::try_from(scores.f_view([-1])?)?;
        Ok(flat.chunks(self.kind.names().len()).map(<[f32]>::to_vec).collect())
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(Scores { kind: Arc::clone(&self.kind), meter: self.kind.meter() })
    }

    fn guess(&self, train: &Data<Self>) -> Result<Option<Guess<'_, Self>>> {
        let mut total = vec![0f64; self.kind.names().len()];
        for example in 0..train.examples() {
            let target = self.kind.target(&gold::<M, K>(train, example)?);
            total.iter_mut().zip(target).for_each(|(sum, value)| *sum += f64::from(value));
        }
        let mean: Vec<f32> = total.iter().map(|sum| (sum / train.examples() as f64) as f32).collect();
        Ok(Some(Guess { name: self.kind.guess_name(), answer: Box::new(move |_, _| Ok(mean.clone())) }))
    }

    fn ideal(&self, data: &Data<Self>, example: usize) -> Result<Option<Vec<f32>>> {
        Ok(Some(self.kind.target(&gold::<M, K>(data, example)?)))
    }

    fn decides(&self) -> bool {
        self.kind.decides()
    }

    fn check_validation(&self, ideal: &Evaluation) -> Result<()> {
        self.kind.check_validation(ideal)
    }

    fn explained(&self) -> Option<Explained<'_>> {
        Some(Box::new(|outputs| Ok(self.kind.explained(outputs.get("logits")?))))
    }

    fn describe(&self, _data: &Data<Self>, _example: usize, scores: &Vec<f32>) -> Result<Map<String, Value>> {
        Ok(self.kind.describe(scores))
    }

    fn said(&self, _data: &Data<Self>, _example: usize, scores: &Vec<f32>) -> Result<Said> {
        let (prediction, confidence) = self.kind.said(scores);
        Ok(Said { prediction, confidence, ..Said::default() })
    }

    fn batching(&self) -> Batching {
        self.batching
    }

    fn frozen_below(&self) -> usize {
        self.frozen_below
    }

    fn files(&self) -> &[PathBuf] {
        &self.files.paths
    }

    fn adopt(&self, decision: &Decision) -> Result<()> {
        self.kind.adopt(decision)
    }
}

/// What is right.
fn gold<M: Medium, K: Kind<M>>(data: &retune_data::Examples<M, K::Targets>, example: usize) -> Result<Gold<M, K>> {
    data.gold(example)?.context("the data has no labels")
}

/// Judges scores by the labels of the data.
struct Scores<M: Medium, K: Kind<M>> {
    kind: Arc<K>,
    meter: Box<dyn Meter<<K::Targets as Targets<M>>::Gold>>,
}

impl<M: Medium + 'static, K: Kind<M>> Scorer<Classification<M, K>> for Scores<M, K> {
    fn add(&mut self, data: &Data<Classification<M, K>>, example: usize, scores: &Vec<f32>) -> Result<Judged> {
        let gold = gold::<M, K>(data, example)?;
        self.meter.add(scores, &gold)?;
        Ok(self.kind.judge(scores, &gold))
    }

    fn evaluation(&self) -> Evaluation {
        self.meter.evaluation()
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.meter.metrics()
    }

    fn paired(&self) -> Option<&'static Metric> {
        self.meter.paired()
    }

    fn decide(&mut self) -> Result<Option<Decision>> {
        self.meter.decide()
    }
}

/// Scores by the names of the outputs. Outputs of one name would hide each other, so they are numbered.
fn by_name(names: &[String], scores: &[f32]) -> Value {
    Value::Object(names.iter().zip(scores).map(|(name, score)| (name.clone(), Value::from(*score))).collect())
}

/// Refuses settings that need one label per example.
fn demand_single(given: &[(&str, bool)]) -> Result<()> {
    given.iter().try_for_each(|(setting, given)| {
        ensure!(!given, "{setting} needs one label per example");
        Ok(())
    })
}

#[cfg(test)]
mod tests;
