//! Using a model on rows: the same forward pass and answers that training, evaluation and prediction share.

use crate::hardware;
use crate::metric::Evaluation;
use crate::task::{Data, Decision, Judged, Task, Turn};
use crate::tensors::to_tensors;
use anyhow::{Context, Result};
use retune_data::{Batch, Dataset, Loader, evaluation_batches};
use retune_kernels::Lanes;
use retune_kernels::tch::{Device, no_grad};
use retune_models::Network;
use serde_json::{Map, Value};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The result of scoring a split.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Metrics with intervals.
    pub evaluation: Evaluation,
    /// Loss per target, without smoothing or class weights; absent where the split does not say what is right.
    pub loss: Option<f64>,
    /// How each answer was, in the order of the examples.
    pub judged: Vec<Judged>,
    /// What the task chose on these rows, where it was asked to.
    pub decision: Option<Decision>,
    /// Wall-clock seconds, metrics and their intervals included.
    pub seconds: f64,
}

impl Scored {
    /// A metric, or the loss.
    pub fn value(&self, metric: &str) -> Option<f64> {
        match metric {
            "loss" => self.loss,
            name => self.evaluation.metrics.get(name).copied(),
        }
    }

    /// For a person: that this metric has no value here, and why as far as is known.
    pub(crate) fn undefined(&self, metric: &str) -> String {
        let why = self.evaluation.notes.iter().map(|note| format!("; {note}")).collect::<String>();
        format!("{metric} (--best-by) is not defined on the validation split, which counts as no improvement{why}")
    }
}

/// Takes the line of each example, in their order.
pub type Line<'a> = Option<&'a mut dyn FnMut(usize, Map<String, Value>) -> Result<()>>;

/// How a split is scored, beside its metrics.
pub struct Judging<'a> {
    /// Whether the task chooses on this split what its settings leave to it.
    pub decide: bool,
    /// Takes predictions as they are made.
    pub line: Line<'a>,
    /// The folder for what of predictions is a file.
    pub files: Option<&'a Path>,
    /// Told how many of how many rows are done.
    pub progress: &'a mut dyn FnMut(usize, usize),
}

impl<'a> Judging<'a> {
    /// Metrics alone.
    pub fn only(progress: &'a mut dyn FnMut(usize, usize)) -> Self {
        Self { decide: false, line: None, files: None, progress }
    }
}

/// Batches for each lane from one meeting of lanes to the next: enough that they seldom wait, few enough that progress shows.
const BATCHES: usize = 2;

/// A model at work.
#[derive(Clone, Copy)]
pub struct Predictor<'a> {
    /// The network.
    pub network: &'a Network,
    /// Rows per batch.
    pub batch_size: usize,
    /// Compute device.
    pub device: Device,
    /// Each works on a batch of its own.
    pub lanes: &'a Lanes,
}

/// What the model makes of a batch: an answer for each row, and the summed loss with its weight where it is asked for.
type Answered<A> = (Vec<A>, Option<(f64, f64)>);

impl Predictor<'_> {
    /// Answers the examples whose rows are in `range`, and visits them in their order. `rows` stand for those of `data`:
    /// they are its own, or what frozen blocks made of them. Returns the loss per target where it is wanted and the data
    /// says what is right. The rows of an example must not be cut by `range`.
    pub(crate) fn answer<T: Task>(
        &self,
        task: &T,
        (data, rows): (&Data<T>, &Arc<dyn Dataset>),
        range: Range<usize>,
        loss: bool,
        visit: &mut dyn FnMut(usize, &T::Answer) -> Result<()>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Option<f64>> {
        let loss = loss && task.can_score(data);
        let (mut sum, mut weight) = (0.0, 0.0);
        let (first, all) = (range.start, range.len());
        let mut start = first;
        while start < range.end {
            let end = whole_examples(rows.as_ref(), start + T::ROWS_TOGETHER, range.end);
            let mut answers: Vec<Option<T::Answer>> = (start..end).map(|_| None).collect();
            let from = start;
            let batches = evaluation_batches(&|row| rows.length(from + row), end - from, self.batch_size);
            let batches = batches.into_iter().map(move |rows| (rows.into_iter().map(|row| from + row).collect(), None));
            let (threads, ahead) = hardware::loaders(rows.as_ref(), self.device);
            let mut loader = Loader::new(Arc::clone(rows), batches, threads, ahead);
            let mut done = start - first;
            loop {
                let some = loader.by_ref().take(BATCHES * self.lanes.count()).collect::<Result<Vec<_>, _>>()?;
                if some.is_empty() {
                    break;
                }
                let computed = self.lanes.map(some, |batch| (self.batch(task, data, &batch, loss), batch.rows));
                for (result, rows) in computed {
                    let (some, losses) = result?;
                    if let Some((more, of)) = losses {
                        sum += more;
                        weight += of;
                    }
                    done += rows.len();
                    for (row, answer) in rows.into_iter().zip(some) {
                        answers[row - start] = Some(answer);
                    }
                }
                progress(done, all);
            }
            let mut answers = answers.into_iter().zip(start..end).peekable();
            while let Some((answer, row)) = answers.next() {
                let example = rows.example(row);
                let mut windows = vec![answer.context("every row is answered")?];
                while let Some((window, _)) = answers.next_if(|(_, row)| rows.example(*row) == example) {
                    windows.push(window.context("every row is answered")?);
                }
                visit(example, &task.merge(data, example, windows)?)?;
            }
            start = end;
        }
        Ok((weight > 0.0).then_some(sum / weight))
    }

    fn batch<T: Task>(&self, task: &T, data: &Data<T>, batch: &Batch, loss: bool) -> Result<Answered<T::Answer>> {
        let tensors = to_tensors(batch, self.device)?;
        no_grad(|| {
            let turn = Turn::new(data, &batch.rows, &tensors, self.network);
            let answers = task.answer(&turn)?;
            if !loss {
                return Ok((answers, None));
            }
            let loss = task.answered_loss(&turn)?;
            Ok((answers, Some((loss.sum.f_double_value(&[])?, loss.weight.f_double_value(&[])?))))
        })
    }
}

/// The end of the last example that begins before `wanted`, at most `end`.
pub(crate) fn whole_examples(rows: &dyn Dataset, wanted: usize, end: usize) -> usize {
    let mut at = wanted.min(end);
    while at < end && rows.example(at) == rows.example(at - 1) {
        at += 1;
    }
    at
}
