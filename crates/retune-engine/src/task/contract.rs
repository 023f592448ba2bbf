//! What a task is: how it learns from a batch, what it answers, and how answers are judged.

use super::decision::Decision;
use super::turn::{BatchTensors, Turn};
use crate::metric::detail::{Marked, Picture};
use crate::metric::{Evaluation, Metric, Said};
use anyhow::Result;
use retune_data::{Batch, Batching, Examples, Medium, Targets};
use retune_kernels::Lanes;
use retune_kernels::loss::SummedLoss;
use retune_kernels::tch::{Device, Tensor};
use retune_models::{ModelError, Network, NewHead, Tensors};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The examples that a task works on.
pub type Data<T> = Examples<<T as Task>::Medium, <T as Task>::Targets>;

/// One way to use a model. Training, evaluation and prediction go through the same methods.
pub trait Task: Send + Sync + Sized + 'static {
    /// What its inputs are.
    type Medium: Medium + 'static;
    /// What is to be learnt of them.
    type Targets: Targets<Self::Medium> + 'static;
    /// What a model says about one example.
    type Answer: Send;

    /// Rows that are answered before the first of their answers is written: answers of these are in memory together.
    const ROWS_TOGETHER: usize = 1024;

    /// The head it needs, with the names of its outputs.
    fn head(&self) -> NewHead;
    /// The summed loss of a batch; smoothing and weights of classes belong to [`Phase::Training`] alone.
    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, phase: Phase) -> Result<SummedLoss>;
    /// The same of a batch that was answered, without smoothing; what its answers needed is not computed again.
    fn answered_loss(&self, turn: &Turn<'_, Data<Self>>) -> Result<SummedLoss> {
        self.loss(turn.outputs()?, turn.batch, Phase::Evaluation)
    }
    /// Puts among the targets of each batch of a step what its loss needs to know of all of them.
    fn of_step(&self, _window: &mut [Batch]) {}
    /// Inputs that the loss reads, by Hugging Face's names: they are kept where frozen blocks have been computed once.
    fn loss_reads(&self) -> &'static [&'static str] {
        &[]
    }
    /// One answer for each row of a batch, from the network's outputs or from the network itself.
    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Self::Answer>>;
    /// The answer of an example whose rows are windows of it, from theirs.
    fn merge(&self, _data: &Data<Self>, _example: usize, mut windows: Vec<Self::Answer>) -> Result<Self::Answer> {
        Ok(windows.swap_remove(0))
    }
    /// Whether answers can be judged on this data: it says what is right, or the inputs themselves do.
    fn can_score(&self, data: &Data<Self>) -> bool {
        data.targets().is_some()
    }
    /// A fresh scorer.
    fn scorer(&self) -> Box<dyn Scorer<Self>>;
    /// The best guess that needs no model, learnt from the training data.
    fn guess(&self, _train: &Data<Self>) -> Result<Option<Guess<'_, Self>>> {
        Ok(None)
    }
    /// All such guesses, the simplest first.
    fn guesses(&self, train: &Data<Self>) -> Result<Vec<Guess<'_, Self>>> {
        Ok(self.guess(train)?.into_iter().collect())
    }
    /// The same task with less to go by, and its name: it is trained beside, from random weights with the same budget.
    fn rival(&self) -> Option<(&'static str, Self)> {
        None
    }
    /// The answer of a model that says exactly what is right: a metric that is undefined then is undefined on this data
    /// for every model. `None` where no answer is that.
    fn ideal(&self, _data: &Data<Self>, _example: usize) -> Result<Option<Self::Answer>> {
        Ok(None)
    }
    /// Whether the task's settings leave a decision to the validation split.
    fn decides(&self) -> bool {
        false
    }
    /// Whether the validation split can decide it, of which a model that is always right reaches `ideal`.
    fn check_validation(&self, _ideal: &Evaluation) -> Result<()> {
        Ok(())
    }
    /// The score \[B\] of the outputs that a heat map over the inputs explains; `None` where a task has none.
    fn explained(&self) -> Option<Explained<'_>> {
        None
    }
    /// The text of an example with the places marked that its answer rests on, where a task shows them; `run` gives the outputs of
    /// the network for a batch.
    fn rests(&self, _data: &Data<Self>, _example: usize, _run: Run<'_>) -> Result<Option<Marked>> {
        Ok(None)
    }
    /// An answer as the user reads it: `{"prediction": …}`.
    fn describe(&self, data: &Data<Self>, example: usize, answer: &Self::Answer) -> Result<Map<String, Value>>;
    /// Writes what of an answer is a file, and what the line says of it: into a folder, where there is one for files, which may
    /// not be there yet. Nothing where answers have no files.
    fn write(
        &self,
        _data: &Data<Self>,
        _example: usize,
        _answer: &Self::Answer,
        _folder: Option<&Path>,
    ) -> Result<Map<String, Value>> {
        Ok(Map::new())
    }
    /// Pictures of an answer beside what is right, for the report; they stand in the place of that of the example.
    fn pictures(&self, _data: &Data<Self>, _example: usize, _answer: &Self::Answer) -> Result<Vec<Picture>> {
        Ok(Vec::new())
    }
    /// An answer beside what is right, for the report; where what is right is left empty, the data's own words say it.
    fn said(&self, data: &Data<Self>, example: usize, answer: &Self::Answer) -> Result<Said>;
    /// What micro-batches have equally many of.
    fn batching(&self) -> Batching {
        Batching::Examples
    }
    /// Blocks below this depth never learn, whatever the method, unless all weights are random.
    fn frozen_below(&self) -> usize {
        0
    }
    /// Path of a part of the model that never learns, whatever the method, unless all weights are random.
    fn frozen_part(&self) -> Option<&'static str> {
        None
    }
    /// Brings up to date what a network keeps of what it has learnt: before it is evaluated and saved.
    ///
    /// # Errors
    /// A network or device that fails.
    fn renew(&self, _network: &Network, _device: Device, _lanes: &Lanes) -> Result<()> {
        Ok(())
    }
    /// Files that belong into the saved model: tokenizer, processor.
    fn files(&self) -> &[PathBuf];
    /// What was chosen on a validation split, to be used from now on.
    ///
    /// # Errors
    /// A decision of another task.
    fn adopt(&self, decision: &Decision) -> Result<()> {
        anyhow::bail!("`{}` is no decision of this task", decision.key)
    }
}

/// Runs the network on a batch.
pub type Run<'a> = &'a dyn Fn(&Batch) -> Result<Tensors>;

/// Reads a score \[B\] from outputs.
pub type Explained<'a> = Box<dyn Fn(&Tensors) -> Result<Tensor, ModelError> + 'a>;

/// Whether a loss is to be learnt from or to be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// With smoothing, weights of classes, auxiliary terms.
    Training,
    /// Without them.
    Evaluation,
}

impl Phase {
    /// The share of label smoothing that counts.
    pub fn smoothing(self, share: f64) -> f64 {
        if self == Self::Training { share } else { 0.0 }
    }
}

/// How an answer was.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Judged {
    /// Whether it was right, where answers are right or wrong.
    pub right: Option<bool>,
    /// How wrong it was: 0 = not at all, larger = worse.
    pub severity: f32,
}

/// Compares answers with what is right, example by example, and keeps sufficient statistics.
pub trait Scorer<T: Task> {
    /// Adds an example.
    fn add(&mut self, data: &Data<T>, example: usize, answer: &T::Answer) -> Result<Judged>;
    /// Metrics of everything so far.
    fn evaluation(&self) -> Evaluation;
    /// All metrics that some examples have; the first is the usual one.
    fn metrics(&self) -> Vec<&'static Metric>;
    /// The metric that is the share of [`Judged::right`], which two models can be compared by, example by example.
    fn paired(&self) -> Option<&'static Metric> {
        None
    }
    /// Chooses what the task's settings leave to the validation split, and goes on with it.
    fn decide(&mut self) -> Result<Option<Decision>> {
        Ok(None)
    }
}

/// Makes the answer for an example without a model.
pub type Guesser<'a, T> = Box<dyn FnMut(&Data<T>, usize) -> Result<<T as Task>::Answer> + 'a>;

/// A guess that needs no model.
pub struct Guess<'a, T: Task> {
    /// What it is called in tables.
    pub name: &'static str,
    /// Says it.
    pub answer: Guesser<'a, T>,
}
