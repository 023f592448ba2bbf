//! The one place that erases a task's types: all that loop, session, report and CLI know of a task.

use super::{About, BatchTensors, Data, Decision, Phase, Split, Splits, Task};
use crate::evaluate::{Judging, Predictor, Scored};
use crate::metric::detail::Picture;
use crate::metric::{Evaluation, Metric, Said};
use crate::tensors::to_tensors;
use anyhow::{Context, Result};
use retune_data::{Batch, Batching, Dataset, HeatMap};
use retune_kernels::Lanes;
use retune_kernels::loss::SummedLoss;
use retune_kernels::tch::{Device, no_grad};
use retune_models::{Explanation, Mode, Network, NewHead, Tensors};
use serde_json::{Map, Value};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Takes the line of an example as it is answered; lines come in the order of the examples.
pub(crate) type OnLine<'a> = &'a mut dyn FnMut(usize, Map<String, Value>) -> Result<()>;

/// One answer as the report shows it.
pub struct Shown {
    /// What was said, and what is right.
    pub said: Said,
    /// A PNG of the example.
    pub picture: Result<Option<Vec<u8>>>,
    /// A small WAV file of the example.
    pub sound: Result<Option<Vec<u8>>>,
    /// Pictures of both, where a task draws them; they stand in its place.
    pub pictures: Vec<Picture>,
}

/// A task with its data.
pub trait Work: Send + Sync {
    /// The head that the network needs.
    fn head(&self) -> NewHead;
    /// Files that belong into the saved model.
    fn files(&self) -> &[PathBuf];
    /// What micro-batches have equally many of.
    fn batching(&self) -> Batching;
    /// Blocks below this depth never learn, whatever the method, unless all weights are random.
    fn frozen_below(&self) -> usize;
    /// Path of a part of the model that never learns, whatever the method, unless all weights are random.
    fn frozen_part(&self) -> Option<&'static str>;
    /// Brings up to date what a network keeps of what it has learnt: before it is evaluated and saved.
    fn renew(&self, network: &Network, device: Device, lanes: &Lanes) -> Result<()>;
    /// What is known of the data.
    fn about(&self) -> &About;
    /// The rows of a split.
    fn rows(&self, split: Split) -> Option<Arc<dyn Dataset>>;
    /// The loss of a batch.
    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, phase: Phase) -> Result<SummedLoss>;
    /// Puts among the targets of each batch of a step what its loss needs to know of all of them.
    fn of_step(&self, window: &mut [Batch]);
    /// Inputs that the loss reads, by Hugging Face's names.
    fn loss_reads(&self) -> &'static [&'static str];
    /// Answers a split and judges the answers where it says what is right. `rows` are the split's, or what frozen blocks
    /// made of them.
    fn score(
        &self,
        split: Split,
        rows: &Arc<dyn Dataset>,
        with: &Predictor<'_>,
        judging: Judging<'_>,
    ) -> Result<Scored>;
    /// Answers some rows of a split, whole examples; what of answers is a file goes into the folder `files`.
    fn predict(
        &self,
        split: Split,
        rows: Range<usize>,
        with: &Predictor<'_>,
        files: Option<&Path>,
        line: OnLine<'_>,
    ) -> Result<()>;
    /// What is reached without a model, by name.
    fn guesses(&self, split: Split) -> Result<Vec<(&'static str, Evaluation)>>;
    /// The same work with less to go by, and its name.
    fn rival(&self) -> Option<(&'static str, Box<dyn Work>)>;
    /// What a model reaches on a split that says exactly what is right.
    fn ideal(&self, split: Split) -> Result<Option<Evaluation>>;
    /// Whether the task's settings leave a decision to the validation split.
    fn decides(&self) -> bool;
    /// Whether the validation split can decide it, of which a model that is always right reaches `ideal`.
    fn check_validation(&self, ideal: &Evaluation) -> Result<()>;
    /// All metrics that some examples have; the first is the usual one.
    fn metrics(&self) -> Vec<&'static Metric>;
    /// The metric that two models can be compared by, example by example.
    fn paired(&self) -> Option<&'static Metric>;
    /// What was chosen on a validation split, to be used from now on.
    fn adopt(&self, decision: &Decision) -> Result<()>;
    /// An example answered again, for the report; a picture is at most `side` pixels wide and high.
    fn show(
        &self,
        split: Split,
        example: usize,
        with: &Predictor<'_>,
        how: Option<Explanation>,
        side: usize,
    ) -> Result<Shown>;
}

/// A task with the data it works on.
pub struct Prepared<T: Task> {
    task: Arc<T>,
    splits: Splits<T>,
}

impl<T: Task> Prepared<T> {
    /// For a run.
    pub fn new(task: T, splits: Splits<T>) -> Self {
        Self { task: Arc::new(task), splits }
    }

    /// Data for a saved model.
    pub fn part(task: Arc<T>, data: Data<T>) -> Self {
        Self { task, splits: Splits::of_part(data) }
    }

    fn data(&self, split: Split) -> Result<&Arc<Data<T>>> {
        self.splits.get(split).with_context(|| format!("there is no {} split", split.name()))
    }

    fn judge(
        &self,
        split: Split,
        mut answer: impl FnMut(&Data<T>, usize) -> Result<Option<T::Answer>>,
    ) -> Result<Option<Evaluation>> {
        let data = self.data(split)?;
        let mut scorer = self.task.scorer();
        for example in 0..data.examples() {
            let Some(answer) = answer(data, example)? else { return Ok(None) };
            scorer.add(data, example, &answer)?;
        }
        Ok(Some(scorer.evaluation()))
    }

    /// The line of a prediction: the columns of the example, what is right where that is known, and the answer.
    fn line(
        &self,
        data: &Data<T>,
        example: usize,
        answer: &T::Answer,
        files: Option<&Path>,
    ) -> Result<Map<String, Value>> {
        let source = data.source(example)?;
        let mut line = source.fields;
        line.extend(source.label.map(|label| ("label".to_owned(), label)));
        line.extend(self.task.describe(data, example, answer)?);
        line.extend(self.task.write(data, example, answer, files)?);
        Ok(line)
    }
}

impl<T: Task> Work for Prepared<T> {
    fn head(&self) -> NewHead {
        self.task.head()
    }

    fn files(&self) -> &[PathBuf] {
        self.task.files()
    }

    fn batching(&self) -> Batching {
        self.task.batching()
    }

    fn frozen_below(&self) -> usize {
        self.task.frozen_below()
    }

    fn frozen_part(&self) -> Option<&'static str> {
        self.task.frozen_part()
    }

    fn renew(&self, network: &Network, device: Device, lanes: &Lanes) -> Result<()> {
        self.task.renew(network, device, lanes)
    }

    fn about(&self) -> &About {
        &self.splits.about
    }

    fn rows(&self, split: Split) -> Option<Arc<dyn Dataset>> {
        self.splits.get(split).map(|data| Arc::clone(data) as Arc<dyn Dataset>)
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, phase: Phase) -> Result<SummedLoss> {
        self.task.loss(outputs, batch, phase)
    }

    fn of_step(&self, window: &mut [Batch]) {
        self.task.of_step(window);
    }

    fn loss_reads(&self) -> &'static [&'static str] {
        self.task.loss_reads()
    }

    fn score(
        &self,
        split: Split,
        rows: &Arc<dyn Dataset>,
        with: &Predictor<'_>,
        judging: Judging<'_>,
    ) -> Result<Scored> {
        let data = self.data(split)?;
        let mut scorer = self.task.can_score(data).then(|| self.task.scorer());
        let mut judged = Vec::with_capacity(data.examples());
        let Judging { decide, mut line, files, progress } = judging;
        let start = std::time::Instant::now();
        let mut visit = |example: usize, answer: &T::Answer| {
            if let Some(scorer) = &mut scorer {
                judged.push(scorer.add(data, example, answer)?);
            }
            line.as_mut().map_or(Ok(()), |line| line(example, self.line(data, example, answer, files)?))
        };
        let loss = with.answer(self.task.as_ref(), (data, rows), 0..data.len(), true, &mut visit, progress)?;
        let decision = scorer.as_mut().filter(|_| decide).map(|scorer| scorer.decide()).transpose()?.flatten();
        let evaluation = scorer.map_or_else(Evaluation::default, |scorer| scorer.evaluation());
        Ok(Scored { evaluation, loss, judged, decision, seconds: start.elapsed().as_secs_f64() })
    }

    fn predict(
        &self,
        split: Split,
        rows: Range<usize>,
        with: &Predictor<'_>,
        files: Option<&Path>,
        line: OnLine<'_>,
    ) -> Result<()> {
        let data = self.data(split)?;
        let all: Arc<dyn Dataset> = Arc::clone(data) as Arc<dyn Dataset>;
        let mut visit = |example: usize, answer: &T::Answer| line(example, self.line(data, example, answer, files)?);
        with.answer(self.task.as_ref(), (data, &all), rows, false, &mut visit, &mut |_, _| {})?;
        Ok(())
    }

    fn guesses(&self, split: Split) -> Result<Vec<(&'static str, Evaluation)>> {
        let mut all = Vec::new();
        for mut guess in self.task.guesses(self.data(Split::Train)?)? {
            let evaluation = self.judge(split, |data, example| (guess.answer)(data, example).map(Some))?;
            all.extend(evaluation.map(|evaluation| (guess.name, evaluation)));
        }
        Ok(all)
    }

    fn rival(&self) -> Option<(&'static str, Box<dyn Work>)> {
        let (name, task) = self.task.rival()?;
        Some((name, Box::new(Self::new(task, self.splits.shared()))))
    }

    fn ideal(&self, split: Split) -> Result<Option<Evaluation>> {
        self.judge(split, |data, example| self.task.ideal(data, example))
    }

    fn decides(&self) -> bool {
        self.task.decides()
    }

    fn check_validation(&self, ideal: &Evaluation) -> Result<()> {
        self.task.check_validation(ideal)
    }

    fn metrics(&self) -> Vec<&'static Metric> {
        self.task.scorer().metrics()
    }

    fn paired(&self) -> Option<&'static Metric> {
        self.task.scorer().paired()
    }

    fn adopt(&self, decision: &Decision) -> Result<()> {
        self.task.adopt(decision)
    }

    fn show(
        &self,
        split: Split,
        example: usize,
        with: &Predictor<'_>,
        how: Option<Explanation>,
        side: usize,
    ) -> Result<Shown> {
        let data = self.data(split)?;
        let all: Arc<dyn Dataset> = Arc::clone(data) as Arc<dyn Dataset>;
        let rows = data.rows_of(example);
        let heat = match how.zip(self.task.explained()) {
            Some((how, score)) => Some(with.heat_map(data.as_ref(), rows.start, how, &score)?),
            None => None,
        };
        let mut shown = None;
        let mut visit = |_: usize, answer: &T::Answer| {
            shown = Some(Shown {
                said: self.task.said(data, example, answer)?,
                picture: picture(data, example, side, heat.as_ref()),
                sound: data.sound(example).map_err(Into::into),
                pictures: self.task.pictures(data, example, answer)?,
            });
            Ok(())
        };
        with.answer(self.task.as_ref(), (data, &all), rows, false, &mut visit, &mut |_, _| {})?;
        let mut shown = shown.context("an example that is there is answered")?;
        if shown.said.marked.is_none() {
            let run = |batch: &Batch| {
                let tensors = to_tensors(batch, with.device)?;
                Ok(no_grad(|| with.network.forward(&tensors.inputs, &Mode::evaluation()))?)
            };
            shown.said.marked = self.task.rests(data, example, &run)?;
        }
        Ok(shown)
    }
}

fn picture<M: retune_data::Medium, G: retune_data::Targets<M>>(
    data: &retune_data::Examples<M, G>,
    example: usize,
    side: usize,
    heat: Option<&HeatMap>,
) -> Result<Option<Vec<u8>>> {
    Ok(data.picture(example, side, heat)?)
}
