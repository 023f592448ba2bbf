//! Text classification: one label, several labels or numbers per text (or pair of texts).
//!
//! transformers `…ForSequenceClassification`, whose `problem_type` decides the loss: cross-entropy, binary
//! cross-entropy or squared error.

use super::{Input, Prediction, Scorer, Splits, Task, default_metric};
use crate::Recipe;
use crate::metric::{ClassificationMetric, Evaluation, MultiLabelMetric, RegressionMetric};
use anyhow::{Context, Result, bail, ensure};
use retune_data::{
    DataFacts, Dataset, EncodedLabel, LabelSchema, Problem, TextColumns, TextDataset, TextRows, Tokenizer,
    stratified_group_split,
};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::random;
use retune_kernels::tch::{Kind, Tensor};
use retune_models::registry::{self, Purpose};
use retune_models::{CheckpointFolder, Inputs, Model, ModelConfig, Outputs, ProblemType};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Longest input when nobody says otherwise: what BERT-like encoders were pretrained with.
const USUAL_MAX_LENGTH: usize = 512;

struct TextClassification {
    schema: LabelSchema,
    names: Vec<String>,
    tokenizer: Tokenizer,
    max_length: usize,
    label_smoothing: f64,
    class_weights: Option<Vec<f32>>,
}

pub(super) fn prepare(
    recipe: &Recipe,
    model: &Path,
    progress: &dyn Fn(&str, usize, usize),
) -> Result<(Box<dyn Task>, Splits)> {
    let config = CheckpointFolder::config(model)?;
    let (tokenizer, max_length) = tokenizer(recipe, model, &config)?;
    let columns = columns(recipe);
    let read = |path: &Path| TextRows::read(path, &columns, true);
    let train_path = recipe.train.as_deref().context("a training file")?;
    let train_rows = read(train_path)?;
    let problem: Option<Problem> = (recipe.problem != "auto").then(|| recipe.problem.parse()).transpose()?;
    let schema = LabelSchema::infer(&train_rows, problem)?;
    let encode = |name: &str, rows: TextRows| {
        TextDataset::encode(rows, &tokenizer, &schema, max_length, &|done, all| progress(name, done, all))
    };
    // All files are read before any is tokenized, so that a typo in the last one costs nothing.
    let validation_rows = recipe.validation.as_deref().map(read).transpose()?;
    let test_rows = recipe.test.as_deref().map(read).transpose()?;
    let whole = encode("tokenizing training data", train_rows)?;
    let test = test_rows.map(|rows| encode("tokenizing test data", rows)).transpose()?;
    let mut notes = Vec::new();
    let (train, validation) = match validation_rows {
        Some(rows) => (whole, encode("tokenizing validation data", rows)?),
        None => {
            // Equal texts go to the same side: a copy in the validation part would make it too easy.
            let groups: Vec<u64> = (0..whole.len()).map(|row| whole.text_hash(row)).collect();
            let (train, validation) =
                stratified_group_split(&whole.strata(), &groups, recipe.validation_fraction, recipe.seed)?;
            notes.push(format!(
                "no validation file: {} of {} training rows validate (stratified, seed {})",
                validation.len(),
                whole.len(),
                recipe.seed
            ));
            (whole.subset(&train)?, whole.subset(&validation)?)
        }
    };
    let mut parts = vec![("train", &train), ("validation", &validation)];
    parts.extend(test.as_ref().map(|test| ("test", test)));
    let facts = DataFacts::gather(&parts)?;
    for split in facts.splits.iter().filter(|split| split.truncated > 0) {
        notes.push(format!(
            "{}: {} of {} texts are longer than {max_length} tokens and are cut; --max-length changes that",
            split.name, split.truncated, split.rows
        ));
    }
    for leak in facts.leakage.iter().filter(|leak| leak.rows > 0) {
        notes.push(format!("{} texts of {} are also in {}: its result is too good", leak.rows, leak.b, leak.a));
    }
    let class_weights = match (recipe.class_weights.as_str(), &schema) {
        ("balanced", LabelSchema::SingleLabel { names }) => Some(balanced(&train, names)?),
        ("balanced", _) => bail!("class-weights balanced needs one label per text"),
        _ => None,
    };
    ensure!(
        recipe.label_smoothing == 0.0 || matches!(schema, LabelSchema::SingleLabel { .. }),
        "label-smoothing needs one label per text"
    );
    let fingerprint = fingerprint(&train, max_length);
    let names = output_names(&schema);
    let task = TextClassification {
        schema,
        names,
        tokenizer,
        max_length,
        label_smoothing: recipe.label_smoothing,
        class_weights,
    };
    let splits = Splits {
        train: Arc::new(train),
        validation: Arc::new(validation),
        test: test.map(|test| Arc::new(test) as Arc<dyn Dataset>),
        facts,
        fingerprint,
        notes,
    };
    Ok((Box::new(task), splits))
}

pub(super) fn open(
    recipe: &Recipe,
    model: &Path,
    config: &ModelConfig,
    input: Input<'_>,
    labels: bool,
) -> Result<(Box<dyn Task>, Arc<dyn Dataset>)> {
    let (tokenizer, max_length) = tokenizer(recipe, model, config)?;
    let count = config.label_count();
    let names = config.labels().unwrap_or_else(|| (0..count).map(|i| format!("LABEL_{i}")).collect());
    let schema = match config.problem_type() {
        ProblemType::SingleLabelClassification => LabelSchema::SingleLabel { names: names.clone() },
        ProblemType::MultiLabelClassification => LabelSchema::MultiLabel { names: names.clone() },
        ProblemType::Regression => LabelSchema::Regression { outputs: count as usize },
    };
    let columns = columns(recipe);
    let rows = match input {
        Input::File(path) => TextRows::read(path, &columns, labels)?,
        Input::Lines(lines) => TextRows::from_reader(lines, Path::new("standard input"), &columns)?,
    };
    let dataset = TextDataset::encode(rows, &tokenizer, &schema, max_length, &|_, _| {})?;
    let task = TextClassification { schema, names, tokenizer, max_length, label_smoothing: 0.0, class_weights: None };
    Ok((Box::new(task), Arc::new(dataset)))
}

fn columns(recipe: &Recipe) -> TextColumns {
    TextColumns {
        text: recipe.text_column.clone(),
        text_pair: recipe.text_pair_column.clone(),
        label: recipe.label_columns(),
        label_separator: recipe.label_separator,
    }
}

fn tokenizer(recipe: &Recipe, model: &Path, config: &ModelConfig) -> Result<(Tokenizer, usize)> {
    let tokenizer = Tokenizer::load(model)?;
    let vocabulary = config.size("vocab_size")? as usize;
    ensure!(
        tokenizer.vocabulary_size() <= vocabulary,
        "{}: the tokenizer has {} pieces, but the model's embedding has {vocabulary} rows; they do not belong together",
        tokenizer.folder().display(),
        tokenizer.vocabulary_size()
    );
    let positions = registry::max_positions(config)?.unwrap_or(usize::MAX);
    let allowed = tokenizer.model_max_length().unwrap_or(usize::MAX).min(positions);
    let max_length = recipe.max_length.unwrap_or(allowed.min(USUAL_MAX_LENGTH));
    ensure!(max_length <= positions, "max-length: {max_length} is more than the {positions} positions this model has");
    let two_types = config.get("type_vocab_size").and_then(Value::as_u64).is_some_and(|n| n > 1);
    let wanted = tokenizer.token_types() && two_types;
    Ok((tokenizer.with_token_types(wanted), max_length))
}

fn output_names(schema: &LabelSchema) -> Vec<String> {
    match schema {
        LabelSchema::SingleLabel { names } | LabelSchema::MultiLabel { names } => names.clone(),
        LabelSchema::Regression { outputs } => (0..*outputs).map(|i| format!("LABEL_{i}")).collect(),
    }
}

/// scikit-learn's `balanced`: rows / (classes · rows of the class).
fn balanced(train: &TextDataset, names: &[String]) -> Result<Vec<f32>> {
    let mut counts = vec![0usize; names.len()];
    for row in 0..train.len() {
        if let Some(EncodedLabel::Class(class)) = train.label(row) {
            counts[class as usize] += 1;
        }
    }
    if let Some(empty) = counts.iter().position(|&n| n == 0) {
        bail!("class-weights balanced: no training row has the label `{}`", names[empty]);
    }
    Ok(counts.iter().map(|&n| train.len() as f32 / (names.len() as f32 * n as f32)).collect())
}

fn fingerprint(train: &TextDataset, max_length: usize) -> u64 {
    (0..train.len()).fold(max_length as u64, |state, row| {
        let label = format!("{:?}", train.label(row));
        random::mix(&[state, train.text_hash(row), random::name_key(&label)])
    })
}

impl TextClassification {
    fn summed(&self, outputs: &Outputs, inputs: &Inputs, plain: bool) -> Result<SummedLoss> {
        let labels = inputs.get("labels")?;
        let logits = &outputs.logits;
        Ok(match self.schema {
            LabelSchema::SingleLabel { .. } => {
                let weights = self.class_weights.as_ref().filter(|_| !plain);
                let weights = weights.map(|w| Tensor::from_slice(w).to_device(logits.device()));
                let smoothing = if plain { 0.0 } else { self.label_smoothing };
                loss::cross_entropy(logits, labels, weights.as_ref(), smoothing)
            }
            LabelSchema::MultiLabel { .. } => loss::binary_cross_entropy(logits, labels, None),
            LabelSchema::Regression { .. } => loss::squared_error(logits, labels),
        })
    }
}

enum Gold {
    Class(i64),
    Numbers(Vec<f32>),
}

impl Task for TextClassification {
    fn name(&self) -> &'static str {
        "text-classification"
    }

    fn purpose(&self) -> Purpose {
        Purpose::SequenceClassification
    }

    fn head(&self) -> (Vec<String>, ProblemType) {
        let problem = match self.schema {
            LabelSchema::SingleLabel { .. } => ProblemType::SingleLabelClassification,
            LabelSchema::MultiLabel { .. } => ProblemType::MultiLabelClassification,
            LabelSchema::Regression { .. } => ProblemType::Regression,
        };
        (self.names.clone(), problem)
    }

    fn loss(&self, outputs: &Outputs, inputs: &Inputs) -> Result<SummedLoss> {
        self.summed(outputs, inputs, false)
    }

    fn plain_loss(&self, outputs: &Outputs, inputs: &Inputs) -> Result<SummedLoss> {
        self.summed(outputs, inputs, true)
    }

    fn scorer(&self) -> Box<dyn Scorer> {
        match &self.schema {
            LabelSchema::SingleLabel { names } => Box::new(ClassificationMetric::new(names.clone())),
            LabelSchema::MultiLabel { names } => Box::new(MultiLabelMetric::new(names.clone())),
            LabelSchema::Regression { .. } => Box::new(RegressionMetric::new()),
        }
    }

    fn decode(&self, outputs: &Outputs) -> Result<Vec<Prediction>> {
        let logits = outputs.logits.to_kind(Kind::Float);
        let scores = match self.schema {
            LabelSchema::SingleLabel { .. } => logits.f_softmax(-1, Kind::Float)?,
            LabelSchema::MultiLabel { .. } => logits.f_sigmoid()?,
            LabelSchema::Regression { .. } => logits,
        };
        let width = self.names.len();
        let flat = Vec::<f32>::try_from(scores.f_view([-1])?)?;
        Ok(flat.chunks(width).map(|scores| Prediction { scores: scores.to_vec() }).collect())
    }

    fn describe(&self, prediction: &Prediction) -> Map<String, Value> {
        let scores = &prediction.scores;
        let by_name = || -> Map<String, Value> {
            self.names.iter().zip(scores).map(|(name, score)| (name.clone(), json!(score))).collect()
        };
        let mut map = Map::new();
        match self.schema {
            LabelSchema::SingleLabel { .. } => {
                let best = argmax(scores);
                map.insert("prediction".into(), json!(self.names[best]));
                map.insert("probability".into(), json!(scores[best]));
                map.insert("scores".into(), Value::Object(by_name()));
            }
            LabelSchema::MultiLabel { .. } => {
                let chosen: Vec<&String> =
                    self.names.iter().zip(scores).filter(|(_, s)| **s > 0.5).map(|(n, _)| n).collect();
                map.insert("prediction".into(), json!(chosen));
                map.insert("scores".into(), Value::Object(by_name()));
            }
            LabelSchema::Regression { .. } => {
                let value = if scores.len() == 1 { json!(scores[0]) } else { json!(scores) };
                map.insert("prediction".into(), value);
            }
        }
        map
    }

    fn majority(&self, train: &dyn Dataset, dataset: &dyn Dataset) -> Result<Evaluation> {
        let mut total = vec![0f64; self.names.len()];
        let gold = |data: &dyn Dataset| -> Result<Vec<Gold>> { self.labels_of(data) };
        let train_labels = gold(train)?;
        for label in &train_labels {
            match label {
                Gold::Class(class) => total[*class as usize] += 1.0,
                Gold::Numbers(values) => total.iter_mut().zip(values).for_each(|(t, v)| *t += f64::from(*v)),
            }
        }
        let guess: Vec<f32> = total.iter().map(|t| (t / train_labels.len() as f64) as f32).collect();
        let labels = gold(dataset)?;
        let scores: Vec<f32> = labels.iter().flat_map(|_| guess.iter().copied()).collect();
        Ok(match &self.schema {
            LabelSchema::SingleLabel { names } => {
                let mut metric = ClassificationMetric::new(names.clone());
                let classes: Vec<i64> =
                    labels.iter().map(|g| if let Gold::Class(class) = g { *class } else { -100 }).collect();
                metric.update(&scores, &classes)?;
                metric.compute()
            }
            other => {
                let numbers: Vec<f32> = labels
                    .iter()
                    .flat_map(|g| if let Gold::Numbers(values) = g { values.clone() } else { Vec::new() })
                    .collect();
                if let LabelSchema::MultiLabel { names } = other {
                    let mut metric = MultiLabelMetric::new(names.clone());
                    metric.update(&scores, &numbers)?;
                    metric.compute()
                } else {
                    let mut metric = RegressionMetric::new();
                    metric.update(&scores, &numbers)?;
                    metric.compute()
                }
            }
        })
    }

    fn severities(&self, dataset: &dyn Dataset, predictions: &[Prediction]) -> Result<Vec<f64>> {
        let gold = self.labels_of(dataset)?;
        let one = |(gold, prediction): (&Gold, &Prediction)| {
            let scores = &prediction.scores;
            match (gold, &self.schema) {
                (Gold::Class(class), _) => {
                    let best = argmax(scores);
                    if best as i64 == *class { 0.0 } else { f64::from(scores[best]) }
                }
                (Gold::Numbers(gold), schema) => {
                    let apart = gold.iter().zip(scores).map(|(g, s)| f64::from((g - s).abs()));
                    let worst = apart.fold(0.0, f64::max);
                    let tolerated = matches!(schema, LabelSchema::MultiLabel { .. }) && worst < 0.5;
                    if tolerated { 0.0 } else { worst }
                }
            }
        };
        Ok(gold.iter().zip(predictions).map(one).collect())
    }

    fn default_metric(&self) -> &'static str {
        default_metric(self.head().1)
    }

    fn files(&self) -> Vec<PathBuf> {
        self.tokenizer.files().to_vec()
    }

    fn check_model(&self, model: &dyn Model) -> Result<()> {
        if let Some(longest) = model.max_length() {
            ensure!(
                self.max_length <= longest,
                "max-length: {} is more than the {longest} positions this model has",
                self.max_length
            );
        }
        Ok(())
    }
}

impl TextClassification {
    /// Labels of every row, through the same batches the model sees.
    fn labels_of(&self, data: &dyn Dataset) -> Result<Vec<Gold>> {
        let mut all = Vec::with_capacity(data.len());
        let rows: Vec<usize> = (0..data.len()).collect();
        for chunk in rows.chunks(256) {
            let batch = data.batch(chunk, None)?;
            let labels = batch.arrays.get("labels").context("the data has no labels")?;
            match &labels.data {
                retune_data::ArrayData::I64(classes) => {
                    all.extend(classes.iter().map(|&class| Gold::Class(class)));
                }
                retune_data::ArrayData::F32(values) => {
                    all.extend(values.chunks(self.names.len()).map(|v| Gold::Numbers(v.to_vec())));
                }
                retune_data::ArrayData::U8(_) => bail!("labels are bytes"),
            }
        }
        Ok(all)
    }
}

fn argmax(scores: &[f32]) -> usize {
    scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i)
}

fn flat(predictions: &[Prediction]) -> Vec<f32> {
    predictions.iter().flat_map(|p| p.scores.iter().copied()).collect()
}

impl Scorer for ClassificationMetric {
    fn update(&mut self, predictions: &[Prediction], inputs: &Inputs) -> Result<()> {
        let labels = Vec::<i64>::try_from(inputs.get("labels")?)?;
        Ok(ClassificationMetric::update(self, &flat(predictions), &labels)?)
    }
    fn compute(&self) -> Evaluation {
        ClassificationMetric::compute(self)
    }
}

impl Scorer for MultiLabelMetric {
    fn update(&mut self, predictions: &[Prediction], inputs: &Inputs) -> Result<()> {
        let labels = Vec::<f32>::try_from(inputs.get("labels")?.f_view([-1])?)?;
        Ok(MultiLabelMetric::update(self, &flat(predictions), &labels)?)
    }
    fn compute(&self) -> Evaluation {
        MultiLabelMetric::compute(self)
    }
}

impl Scorer for RegressionMetric {
    fn update(&mut self, predictions: &[Prediction], inputs: &Inputs) -> Result<()> {
        let labels = Vec::<f32>::try_from(inputs.get("labels")?.f_view([-1])?)?;
        Ok(RegressionMetric::update(self, &flat(predictions), &labels)?)
    }
    fn compute(&self) -> Evaluation {
        RegressionMetric::compute(self)
    }
}
