//! Texts that are alike: the cosine of their vectors (Reimers and Gurevych 2019), learnt from pairs with scores, pairs with
//! labels, or texts that belong together, whose others in a batch do not (Henderson et al. 2017).
//!
//! B batch, K texts of a row, D width. sentence-transformers' `CosineSimilarityLoss`, `ContrastiveLoss` (margin 0.5) and
//! `MultipleNegativesRankingLoss` (scale 20), save that equal texts of a batch are no negatives of each other.
//!
//! | file | holds |
//! |---|---|
//! | `settings`, `columns` | what a recipe says; which columns of a file are what |
//! | `reading`, `vectors` | texts as a model reads them; vectors of them |
//! | `scorer`, `search` | metrics; those of texts that are found among others |
//! | `lexical` | the baseline: words in common |
//! | `embedder` | vectors alone |

mod columns;
mod embedder;
mod lexical;
mod reading;
mod scorer;
mod search;
mod settings;
mod vectors;

use super::classify::ClassificationSettings;
use super::splits::Encoded;
use super::texts::{BatchSettings, TokenSettings};
use super::{
    BatchTensors, Data, Decision, Entry, Guess, Input, Opening, Parts, Phase, Prepared, Preparing, Scorer, Task, Turn,
    Work, parts,
};
use crate::metric::{Evaluation, Said};
use crate::number;
use crate::recipe::settings::Settings;
use anyhow::{Context, Result, bail, ensure};
use columns::{Columns, Target, of_stream};
pub use embedder::{Embedded, Embedder};
use lexical::Words;
use reading::{Reading, readers, width};
use retune_data::{
    Batching, Examples, LabelRows, Numbers, SeveralTexts, Similarities, Similarity, TableRows, column_names,
};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::random;
use retune_kernels::tch::{Kind, Tensor};
use retune_models::checkpoint::SentenceModules;
use retune_models::heads::{self, NORMALIZE, POOLING};
use retune_models::{ModelConfig, NewHead, Tensors};
use scorer::Alike;
use serde_json::{Map, Value, json};
use settings::{SimilaritySettings, score_range, usual_range};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;
use vectors::Vectors;

/// The task.
pub(super) static ENTRY: Entry = Entry {
    name: "sentence-similarity",
    purpose: &heads::SENTENCE_EMBEDDINGS,
    settings: &[
        SimilaritySettings::SECTION,
        TokenSettings::SECTION,
        BatchSettings::SECTION,
        ClassificationSettings::SECTION,
    ],
    decides: Some(KEY),
    targets: &["labels"],
    loss: raw_loss,
    prepare,
    open,
};

/// The key of the threshold of labelled pairs.
const KEY: &str = "similarity_threshold";
/// What vectors are called among the outputs.
const VECTORS: &str = "sentence_embedding";
/// How much cosines are enlarged before texts of a batch are chosen among.
const SCALE: f64 = 20.0;
/// How far apart pairs are kept that are not alike.
const MARGIN: f64 = 0.5;

/// The loss of raw outputs: squared errors of the cosines of neighbours, row 2i with row 2i + 1.
fn raw_loss(_: &ModelConfig) -> Result<super::LossOf> {
    Ok(Box::new(|outputs, batch| {
        let pairs = by_row(outputs.get(VECTORS)?, 2)?;
        let cosines = loss::cosines(&pairs.select(1, 0), &pairs.select(1, 1));
        Ok(loss::squared_error(&cosines, &batch.targets.get("labels")?.to_kind(Kind::Float)))
    }))
}

/// Vectors [B · K, D] as [B, K, D].
fn by_row(vectors: &Tensor, texts: i64) -> Result<Tensor> {
    let width = vectors.size()[1];
    Ok(vectors.f_reshape([-1, texts, width])?)
}

/// Refuses what has no meaning for texts that are compared.
fn check(labels: &ClassificationSettings) -> Result<()> {
    for (setting, given) in [
        ("label-separator", labels.label_separator.is_some()),
        ("label-numbers", labels.label_numbers.is_some()),
        ("positive-class", labels.positive_class.is_some()),
        ("operating-point", labels.operating_point.is_some()),
        ("problem", labels.problem != "auto"),
    ] {
        ensure!(!given, "{setting}: {} does not read it", ENTRY.name);
    }
    Ok(())
}

/// What the target column of rows says, and a note about it.
fn kind(columns: &Columns, settings: &SimilaritySettings, rows: &TableRows) -> Result<(Similarity, String)> {
    Ok(match columns.target() {
        None => {
            let others = if rows.layout().input_columns().count() > 2 { " and the third texts" } else { "" };
            let note =
                format!("texts that belong together: the other second texts of a batch{others} are what does not");
            (Similarity::Own, note)
        }
        Some(Target::Label(name)) => {
            (Similarity::Labels, format!("pairs are alike (1) or not (0) by the column `{name}`"))
        }
        Some(Target::Score(name)) => {
            let (low, high) = match &settings.score_range {
                Some(range) => score_range(range)?,
                None => {
                    let numbers = Numbers::read(rows, 1)?.with_context(|| format!("a row has no `{name}`"))?;
                    let all = || {
                        (0..rows.label_columns().len() * retune_data::Records::len(rows))
                            .map(|row| numbers.numbers(row)[0])
                    };
                    usual_range(all().fold(f32::INFINITY, f32::min), all().fold(f32::NEG_INFINITY, f32::max))?
                }
            };
            let mapped = if low == -1.0 && high == 1.0 { "are cosines" } else { "are mapped to cosines from 0 to 1" };
            let note = format!("scores of the column `{name}`, from {low} to {high}, {mapped} (--score-range)");
            (Similarity::Scores(low, high), note)
        }
    })
}

fn prepare(from: &Preparing<'_>) -> Result<Box<dyn Work>> {
    let recipe = from.recipe;
    let (settings, labels) = (recipe.read::<SimilaritySettings>()?, recipe.read::<ClassificationSettings>()?);
    check(&labels)?;
    let reading = Reading::of(recipe, from.model, from.config, &settings.pooling)?;
    let train = recipe.data.train.as_deref().context("training data")?;
    let columns = Columns::choose(&settings, &labels.label_column, &column_names(train)?);
    let layout = columns.layout(recipe.data.group_column.clone());
    let rows = Encoded::read(recipe, |path| reading.read(path, &layout, true))?;
    let (kind, note) = kind(&columns, &settings, &rows.train)?;
    let targets = rows.map(|_, rows| {
        let known = Similarities::read(&rows, kind)?;
        Ok((
            known.with_context(|| {
                format!("{}: a row says nothing", retune_data::Records::file(rows.as_ref()).display())
            })?,
            rows,
        ))
    })?;
    let data = targets.map(|split, (known, rows)| {
        let report = |done, all| (from.progress)(&format!("tokenizing {} data", split.whole_name()), done, all);
        let texts = reading.encode(&rows, &report)?;
        Ok(Examples::new(rows, texts, Some(known))?)
    })?;
    let modules = &reading.modules;
    let said = format!(
        "vectors: {} of tokens{}, texts of at most {} tokens",
        modules.pooling.name(),
        if modules.normalize { ", of length 1" } else { "" },
        reading.text.max_length
    );
    let pooling = random::name_key(modules.pooling.name());
    let fingerprint = random::mix(&[reading.text.max_length as u64, pooling, u64::from(modules.normalize)]);
    let splits = data.splits(recipe, fingerprint, vec![note, said])?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let written = modules.write(folder.path(), width(from.config)?)?;
    let task = SentenceSimilarity {
        batching: recipe.read::<BatchSettings>()?.batching(),
        files: reading.text.files().into_iter().chain(written).collect(),
        _folder: Some(folder),
        ..reading.task(Some(kind))
    };
    Ok(Box::new(Prepared::new(task, splits)))
}

fn open(from: Opening<'_>) -> Result<Parts<'_>> {
    let recipe = from.recipe;
    let (settings, labels) = (recipe.read::<SimilaritySettings>()?, recipe.read::<ClassificationSettings>()?);
    check(&labels)?;
    let reading = Reading::of(recipe, from.model, from.config, "auto")?;
    let (mut input, targets, progress) = (from.input, from.targets, from.progress);
    let there = match &mut input {
        Input::File(path) => column_names(path)?,
        Input::Lines { reader, .. } => of_stream(reader)?,
    };
    let columns = Columns::choose(&settings, &labels.label_column, &there);
    let columns = if targets { columns } else { columns.pair() };
    let layout = columns.layout(None);
    // What the scores lie between decides nothing here: correlations know no scale.
    let (known, task) = match (targets, &input) {
        (true, Input::File(path)) => {
            let rows = reading.read(path, &layout, true)?;
            let (kind, _) = kind(&columns, &settings, &rows)?;
            (Similarities::read(&rows, kind)?, reading.task(Some(kind)))
        }
        _ => (None, reading.task(None)),
    };
    let reading = Arc::new(reading);
    let (file, lines) = readers(&reading, layout, targets);
    let encode = move |rows: Arc<TableRows>| {
        let report = |done, all| progress("tokenizing", done, all);
        let texts = reading.encode(&rows, if rows.streamed() { &|_, _| {} } else { &report })?;
        Ok(Examples::new(rows, texts, known.clone())?)
    };
    parts::parts(task, input, file, lines, encode)
}

struct SentenceSimilarity {
    /// What the data says; `None` where nothing is judged.
    kind: Option<Similarity>,
    modules: SentenceModules,
    /// From which cosine on labelled pairs count as alike, once it is chosen.
    threshold: Arc<OnceLock<f32>>,
    batching: Batching,
    files: Vec<PathBuf>,
    /// Where files lie that were made for this run; it goes with the task.
    _folder: Option<TempDir>,
}

/// Candidates that do not count for a query [B, M], by hashes of all texts [B, K]: those that are its own text or its own
/// second one, and second texts of rows with the same first one.
fn hidden(hashes: &Tensor) -> Tensor {
    let [batch, texts] = hashes.size()[..] else { panic!("hashes have two dimensions") };
    let (first, second) = (hashes.narrow(1, 0, 1), hashes.narrow(1, 1, 1)); // [B, 1]
    let others = hashes.narrow(1, 1, texts - 1).transpose(0, 1).reshape([1, -1]); // [1, M]
    let same_first = first.eq_tensor(&first.transpose(0, 1)); // [B, B]
    let rest = Tensor::zeros([batch, batch * (texts - 2)], (Kind::Bool, hashes.device()));
    let equal = others.eq_tensor(&first).logical_or(&others.eq_tensor(&second));
    let equal = equal.logical_or(&Tensor::cat(&[same_first, rest.shallow_clone()], 1));
    let own = Tensor::cat(&[Tensor::eye(batch, (Kind::Bool, hashes.device())), rest], 1);
    equal.logical_and(&own.logical_not())
}

impl Task for SentenceSimilarity {
    type Medium = SeveralTexts;
    type Targets = Similarities;
    type Answer = Vectors;

    fn head(&self) -> NewHead {
        let SentenceModules { pooling, normalize, .. } = self.modules;
        NewHead::of(ENTRY.purpose).field(POOLING, pooling.name()).field(NORMALIZE, normalize)
    }

    fn loss(&self, outputs: &Tensors, batch: &BatchTensors, _phase: Phase) -> Result<SummedLoss> {
        let vectors = outputs.get(VECTORS)?;
        if let Some(hashes) = batch.targets.optional("text_hashes") {
            let texts = by_row(vectors, hashes.size()[1])?;
            let (queries, others) = (texts.select(1, 0), texts.narrow(1, 1, hashes.size()[1] - 1));
            // All second texts, then all third ones.
            let candidates = others.transpose(0, 1).f_reshape([-1, vectors.size()[1]])?;
            return Ok(loss::in_batch_negatives(&queries, &candidates, &hidden(hashes), SCALE));
        }
        let (pairs, labels) = (by_row(vectors, 2)?, batch.targets.get("labels")?);
        let cosines = loss::cosines(&pairs.select(1, 0), &pairs.select(1, 1));
        Ok(match self.kind {
            Some(Similarity::Labels) => loss::contrastive(&cosines, labels, MARGIN),
            _ => loss::squared_error(&cosines, labels),
        })
    }

    fn answer(&self, turn: &Turn<'_, Data<Self>>) -> Result<Vec<Vectors>> {
        let vectors = turn.outputs()?.get(VECTORS)?.to_kind(Kind::Float);
        let width = vectors.size()[1] as usize;
        let flat = Vec::<f32>::try_from(vectors.f_reshape([-1])?)?;
        let all: Vec<Vec<f32>> = flat.chunks(width).map(<[f32]>::to_vec).collect();
        Ok(all.chunks(turn.data.medium().count()).map(|texts| Vectors::Dense(texts.to_vec())).collect())
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        Box::new(Alike::new(self.kind.unwrap_or(Similarity::Own), Arc::clone(&self.threshold)))
    }

    fn guess(&self, train: &Data<Self>) -> Result<Option<Guess<'_, Self>>> {
        let words = Words::of(train)?;
        let answer = move |data: &Data<Self>, example: usize| words.vectors(data, example);
        Ok(Some(Guess { name: "words in common (TF-IDF cosine)", answer: Box::new(answer) }))
    }

    fn ideal(&self, data: &Data<Self>, example: usize) -> Result<Option<Vectors>> {
        let Some(gold) = data.gold(example)?.flatten() else { return Ok(None) };
        Ok(Some(Vectors::Dense(vec![vec![1.0, 0.0], vec![gold, (1.0 - gold * gold).max(0.0).sqrt()]])))
    }

    fn decides(&self) -> bool {
        self.kind == Some(Similarity::Labels)
    }

    fn check_validation(&self, ideal: &Evaluation) -> Result<()> {
        if !ideal.metrics.contains_key("auroc") {
            bail!("the validation split has pairs of one label only, which choose no threshold; give others");
        }
        Ok(())
    }

    fn describe(&self, _data: &Data<Self>, _example: usize, answer: &Vectors) -> Result<Map<String, Value>> {
        let cosine = answer.cosine(0, 1);
        let mut line = Map::from_iter([("score".to_owned(), json!(cosine))]);
        line.extend(
            self.threshold.get().map(|threshold| ("prediction".to_owned(), json!(u8::from(cosine >= *threshold)))),
        );
        Ok(line)
    }

    fn said(&self, _data: &Data<Self>, _example: usize, answer: &Vectors) -> Result<Said> {
        Ok(Said { prediction: number::value(f64::from(answer.cosine(0, 1))), ..Said::default() })
    }

    fn batching(&self) -> Batching {
        self.batching
    }

    fn files(&self) -> &[PathBuf] {
        &self.files
    }

    fn adopt(&self, decision: &Decision) -> Result<()> {
        let threshold = decision.threshold()?;
        self.threshold.get_or_init(|| threshold as f32);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_of_a_batch_are_no_negatives() {
        // Rows: (1, 10), (2, 11), (1, 12), (3, 10), (12, 13).
        let hashes = Tensor::from_slice2(&[[1i64, 10], [2, 11], [1, 12], [3, 10], [12, 13]]);
        let expected = [
            // The same first text (12), the same second one (10).
            [false, false, true, true, false],
            [false; 5],
            [true, false, false, false, false],
            [true, false, false, false, false],
            // Its own first text.
            [false, false, true, false, false],
        ];
        assert_eq!(hidden(&hashes), Tensor::from_slice2(&expected));
        let three = Tensor::from_slice2(&[[1i64, 10, 20], [2, 11, 10]]);
        assert_eq!(hidden(&three), Tensor::from_slice2(&[[false, false, false, true], [false; 4]]));
    }
}
