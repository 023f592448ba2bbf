//! Classification of whole inputs, whatever their modality: one label, several labels, or numbers for each.
//!
//! transformers' `…ForSequenceClassification` and `…ForImageClassification`, whose `problem_type` decides the loss:
//! cross-entropy, binary cross-entropy or squared error. B batch, C classes.

use super::{Prediction, Scorer, Task};
use crate::Recipe;
use crate::baseline::MAJORITY;
use crate::metric::decision::{argmax, is_predicted};
use crate::metric::{self, ClassificationMetric, Evaluation, MultiLabelMetric, RegressionMetric};
use anyhow::{Context, Result, bail, ensure};
use retune_data::{Described, EncodedLabel, LabelNumbers, LabelSchema, Problem};
use retune_kernels::loss::{self, SummedLoss};
use retune_kernels::tch::{Kind, Tensor};
use retune_models::registry::Purpose;
use retune_models::{Explanation, Inputs, Model, ModelConfig, Outputs, ProblemType};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Whether inputs fit a model.
pub(super) type Check = Box<dyn Fn(&dyn Model) -> Result<()> + Sync>;

/// What a modality adds.
pub(super) struct Modality {
    /// As in `--task`.
    pub(super) name: &'static str,
    /// Which head it needs.
    pub(super) purpose: Purpose,
    /// Files that belong into the saved model.
    pub(super) files: Vec<PathBuf>,
    /// Where such files lie that were made for this run; it goes with the task.
    pub(super) _folder: Option<TempDir>,
    /// Whether its inputs fit a model.
    pub(super) check: Check,
}

/// The task over any modality.
pub(super) struct Classification {
    modality: Modality,
    schema: LabelSchema,
    names: Vec<String>,
    /// The class that thresholds, sensitivity and specificity are about.
    positive: Option<usize>,
    label_smoothing: f64,
    class_weights: Option<Vec<f32>>,
}

/// What the recipe says labels mean; `None` = to be inferred.
pub(super) fn problem(recipe: &Recipe) -> Result<Option<Problem>> {
    Ok((recipe.problem != "auto").then(|| recipe.problem.parse()).transpose()?)
}

/// Whether labels may be numbers where a saved model's labels have names: nobody but inference may have chosen the order of
/// a model that was made here; its recipe lies beside it.
pub(super) fn label_numbers(recipe: &Recipe, model: Option<&Path>) -> LabelNumbers {
    match (recipe.label_numbers, model) {
        (Some(first), _) => LabelNumbers::From(first),
        (None, Some(model)) if !model.join("recipe.toml").is_file() => LabelNumbers::Given,
        _ => LabelNumbers::ByOrder,
    }
}

/// Names and meaning of a saved model's outputs.
pub(super) fn saved_schema(config: &ModelConfig) -> (LabelSchema, Vec<String>) {
    let count = config.label_count();
    let names = config.labels().unwrap_or_else(|| numbered(count as usize));
    let schema = match config.problem_type() {
        ProblemType::SingleLabelClassification => LabelSchema::SingleLabel { names: names.clone() },
        ProblemType::MultiLabelClassification => LabelSchema::MultiLabel { names: names.clone() },
        ProblemType::Regression => LabelSchema::Regression { outputs: count as usize },
    };
    (schema, names)
}

/// The schema with its classes in the order of the checkpoint's labels, where these are the same but for case: its head
/// goes on meaning what it meant. With a note where that changed the order.
pub(super) fn ordered(schema: LabelSchema, config: &ModelConfig) -> (LabelSchema, Option<String>) {
    let Some(names) = config.in_label_order(schema.names()).filter(|names| names != schema.names()) else {
        return (schema, None);
    };
    let note = format!("labels are numbered as in the model: {}", names.join(", "));
    let ordered = match schema {
        LabelSchema::SingleLabel { .. } => LabelSchema::SingleLabel { names },
        LabelSchema::MultiLabel { .. } => LabelSchema::MultiLabel { names },
        LabelSchema::Regression { .. } => schema,
    };
    (ordered, Some(note))
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("LABEL_{i}")).collect()
}

/// The class that the recipe calls positive, the second of two unless it names one.
fn positive(recipe: &Recipe, schema: &LabelSchema) -> Result<Option<usize>> {
    let LabelSchema::SingleLabel { names } = schema else {
        for (flag, given) in
            [("positive-class", recipe.positive_class.is_some()), ("operating-point", recipe.operating_point.is_some())]
        {
            ensure!(!given, "{flag} needs one label per example");
        }
        return Ok(None);
    };
    match &recipe.positive_class {
        Some(name) => {
            let found = names.iter().position(|it| it == name);
            let class = found.with_context(|| format!("positive-class: `{name}` is not one of {}", listed(names)))?;
            Ok(Some(class))
        }
        None if names.len() == 2 => Ok(Some(1)),
        None => {
            ensure!(
                recipe.operating_point.is_none(),
                "operating-point: there are {} classes; name one of {} with --positive-class",
                names.len(),
                listed(names)
            );
            Ok(None)
        }
    }
}

/// Names for a message, the first few of many.
fn listed(names: &[String]) -> String {
    const MOST: usize = 20;
    let shown = names.iter().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{shown} and {} more", names.len() - MOST) } else { shown }
}

impl Classification {
    /// With a saved model.
    pub(super) fn saved(modality: Modality, recipe: &Recipe, config: &ModelConfig) -> Result<Self> {
        let (schema, names) = saved_schema(config);
        let positive = positive(recipe, &schema)?;
        Ok(Self { modality, schema, names, positive, label_smoothing: 0.0, class_weights: None })
    }

    /// For training, as the recipe wants it.
    pub(super) fn trained(
        modality: Modality,
        schema: LabelSchema,
        recipe: &Recipe,
        train: &dyn Described,
    ) -> Result<Self> {
        let single = matches!(schema, LabelSchema::SingleLabel { .. });
        ensure!(recipe.label_smoothing == 0.0 || single, "label-smoothing needs one label per example");
        let names = match &schema {
            LabelSchema::SingleLabel { names } | LabelSchema::MultiLabel { names } => names.clone(),
            LabelSchema::Regression { outputs } => {
                let columns: Vec<String> = recipe.label_column.split(',').map(|name| name.trim().to_owned()).collect();
                if *outputs > 1 && columns.len() == *outputs { columns } else { numbered(*outputs) }
            }
        };
        let positive = positive(recipe, &schema)?;
        let class_weights = match recipe.class_weights.as_str() {
            "balanced" if single => Some(balanced(train, &names)?),
            "balanced" => bail!("class-weights balanced needs one label per example"),
            _ => None,
        };
        Ok(Self { modality, schema, names, positive, label_smoothing: recipe.label_smoothing, class_weights })
    }

    fn class_metric(&self) -> ClassificationMetric {
        let metric = ClassificationMetric::new(self.names.clone());
        match self.positive {
            Some(class) => metric.with_positive(class),
            None => metric,
        }
    }

    /// What scores [rows · C] reach on labels.
    fn judge(&self, scores: &[f32], gold: &[EncodedLabel]) -> Result<Evaluation> {
        let numbers = || -> Vec<f32> { gold.iter().flat_map(|label| self.target(label)).collect() };
        Ok(match self.schema {
            LabelSchema::SingleLabel { .. } => {
                let mut metric = self.class_metric();
                let class = |label: &EncodedLabel| match label {
                    EncodedLabel::Class(class) => i64::from(*class),
                    _ => loss::IGNORE_INDEX,
                };
                metric.update(scores, &gold.iter().map(class).collect::<Vec<_>>())?;
                metric.compute()
            }
            LabelSchema::MultiLabel { .. } => {
                let mut metric = MultiLabelMetric::new(self.names.clone());
                metric.update(scores, &numbers())?;
                metric.compute()
            }
            LabelSchema::Regression { .. } => {
                let mut metric = RegressionMetric::new(self.names.clone());
                metric.update(scores, &numbers())?;
                metric.compute()
            }
        })
    }

    fn summed(&self, outputs: &Outputs, inputs: &Inputs, plain: bool) -> Result<SummedLoss> {
        let labels = inputs.get("labels")?;
        let logits = &outputs.logits;
        Ok(match self.schema {
            LabelSchema::SingleLabel { .. } => {
                let weights = self.class_weights.as_ref().filter(|_| !plain);
                let weights = weights.map(|w| Tensor::from_slice(w).to_device(logits.device()));
                let smoothing = if plain { 0.0 } else { self.label_smoothing };
                // Mixed examples (mixup, CutMix) bring shares of classes [B, C] instead of class ids [B].
                if labels.kind() == Kind::Float {
                    loss::soft_cross_entropy(logits, labels, weights.as_ref(), smoothing)
                } else {
                    loss::cross_entropy(logits, labels, weights.as_ref(), smoothing)
                }
            }
            LabelSchema::MultiLabel { .. } => loss::binary_cross_entropy(logits, labels, None),
            LabelSchema::Regression { .. } => loss::squared_error(logits, labels),
        })
    }

    /// A label as the numbers a model should have said.
    fn target(&self, label: &EncodedLabel) -> Vec<f32> {
        let hot = |classes: &[u32]| {
            let mut target = vec![0.0; self.names.len()];
            classes.iter().for_each(|&class| target[class as usize] = 1.0);
            target
        };
        match label {
            EncodedLabel::Class(class) => hot(&[*class]),
            EncodedLabel::Classes(classes) => hot(classes),
            EncodedLabel::Values(values) => values.clone(),
        }
    }
}

/// The labels of every row.
fn labels(data: &dyn Described) -> Result<Vec<EncodedLabel>> {
    (0..data.len()).map(|row| data.label(row).context("the data has no labels")).collect()
}

/// scikit-learn's `balanced`: rows / (classes · rows of the class).
fn balanced(train: &dyn Described, names: &[String]) -> Result<Vec<f32>> {
    let mut counts = vec![0usize; names.len()];
    for label in labels(train)? {
        if let EncodedLabel::Class(class) = label {
            counts[class as usize] += 1;
        }
    }
    if let Some(empty) = counts.iter().position(|&n| n == 0) {
        bail!("class-weights balanced: no training row has the label `{}`", names[empty]);
    }
    Ok(counts.iter().map(|&n| train.len() as f32 / (names.len() as f32 * n as f32)).collect())
}

impl Task for Classification {
    fn name(&self) -> &'static str {
        self.modality.name
    }

    fn purpose(&self) -> Purpose {
        self.modality.purpose
    }

    fn head(&self) -> Option<(Vec<String>, ProblemType)> {
        let problem = match self.schema {
            LabelSchema::SingleLabel { .. } => ProblemType::SingleLabelClassification,
            LabelSchema::MultiLabel { .. } => ProblemType::MultiLabelClassification,
            LabelSchema::Regression { .. } => ProblemType::Regression,
        };
        Some((self.names.clone(), problem))
    }

    fn loss(&self, outputs: &Outputs, inputs: &Inputs) -> Result<SummedLoss> {
        self.summed(outputs, inputs, false)
    }

    fn plain_loss(&self, outputs: &Outputs, inputs: &Inputs) -> Result<SummedLoss> {
        self.summed(outputs, inputs, true)
    }

    fn scorer(&self) -> Box<dyn Scorer> {
        match self.schema {
            LabelSchema::SingleLabel { .. } => Box::new(self.class_metric()),
            LabelSchema::MultiLabel { .. } => Box::new(MultiLabelMetric::new(self.names.clone())),
            LabelSchema::Regression { .. } => Box::new(RegressionMetric::new(self.names.clone())),
        }
    }

    fn decode(&self, outputs: &Outputs, _inputs: &Inputs) -> Result<Vec<Prediction>> {
        let logits = outputs.logits.to_kind(Kind::Float);
        let scores = match self.schema {
            LabelSchema::SingleLabel { .. } => logits.f_softmax(-1, Kind::Float)?,
            LabelSchema::MultiLabel { .. } => logits.f_sigmoid()?,
            LabelSchema::Regression { .. } => logits,
        };
        let flat = Vec::<f32>::try_from(scores.f_view([-1])?)?;
        Ok(flat.chunks(self.names.len()).map(|scores| Prediction { scores: scores.to_vec() }).collect())
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
                    self.names.iter().zip(scores).filter(|(_, s)| is_predicted(**s)).map(|(n, _)| n).collect();
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

    fn majority(&self, train: &dyn Described, dataset: &dyn Described) -> Result<(&'static str, Evaluation)> {
        let learnt = labels(train)?;
        let mut total = vec![0f64; self.names.len()];
        for label in &learnt {
            total.iter_mut().zip(self.target(label)).for_each(|(t, value)| *t += f64::from(value));
        }
        let guess: Vec<f32> = total.iter().map(|t| (t / learnt.len() as f64) as f32).collect();
        let gold = labels(dataset)?;
        let evaluation = self.judge(&guess.repeat(gold.len()), &gold)?;
        let name = match self.schema {
            LabelSchema::SingleLabel { .. } => MAJORITY,
            LabelSchema::MultiLabel { .. } => "how frequent each label is",
            LabelSchema::Regression { .. } => "mean of the training targets",
        };
        Ok((name, evaluation))
    }

    fn ideal(&self, dataset: &dyn Described) -> Result<Option<Evaluation>> {
        let gold = labels(dataset)?;
        let scores: Vec<f32> = gold.iter().flat_map(|label| self.target(label)).collect();
        self.judge(&scores, &gold).map(Some)
    }

    fn severities(&self, dataset: &dyn Described, predictions: &[Prediction]) -> Result<Vec<f64>> {
        let one = |(label, prediction): (EncodedLabel, &Prediction)| {
            let scores = &prediction.scores;
            if let EncodedLabel::Class(class) = label {
                let best = argmax(scores);
                return if best == class as usize { 0.0 } else { f64::from(scores[best]) };
            }
            let target = self.target(&label);
            let pairs = || target.iter().zip(scores);
            let right = pairs().all(|(gold, score)| is_predicted(*gold) == is_predicted(*score));
            if right && matches!(self.schema, LabelSchema::MultiLabel { .. }) {
                return 0.0;
            }
            pairs().map(|(gold, score)| f64::from((gold - score).abs())).fold(0.0, f64::max)
        };
        Ok(labels(dataset)?.into_iter().zip(predictions).map(one).collect())
    }

    fn explain(&self, model: &dyn Model, inputs: &Inputs, how: Explanation) -> Result<Option<Tensor>> {
        // What the model said: its first choice, or all of its numbers.
        let score = |logits: &Tensor| match self.schema {
            LabelSchema::Regression { .. } => logits.sum_dim_intlist([-1i64].as_slice(), false, Kind::Float),
            _ => logits.amax([-1i64], false),
        };
        Ok(Some(model.explain(inputs, how, &score)?))
    }

    fn default_metric(&self) -> &'static str {
        metric::default_metric(match self.schema {
            LabelSchema::SingleLabel { .. } => metric::Problem::SingleLabel,
            LabelSchema::MultiLabel { .. } => metric::Problem::MultiLabel,
            LabelSchema::Regression { .. } => metric::Problem::Regression,
        })
    }

    fn files(&self) -> Vec<PathBuf> {
        self.modality.files.clone()
    }

    fn check_model(&self, model: &dyn Model) -> Result<()> {
        (self.modality.check)(model)
    }
}

#[cfg(test)]
#[path = "classification_tests.rs"]
mod tests;
