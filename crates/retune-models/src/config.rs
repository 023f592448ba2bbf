//! `config.json` with typed access; fields that this program does not know survive a save.

use crate::ModelError;
use serde_json::{Map, Value, json};

/// What a classification head predicts, Hugging Face's `problem_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemType {
    /// One class per example.
    SingleLabelClassification,
    /// Any number of classes per example.
    MultiLabelClassification,
    /// Numbers.
    Regression,
}

/// A model configuration.
#[derive(Debug, Clone)]
pub struct ModelConfig(Map<String, Value>);

impl ModelConfig {
    /// Wraps a parsed `config.json` as it is.
    pub(crate) fn as_written(value: Value) -> Result<Self, ModelError> {
        let Value::Object(map) = value else {
            return Err(ModelError::Config { field: "{}".into(), problem: "is not a JSON object".into() });
        };
        Ok(Self(map))
    }

    /// The whole object.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The raw value of a field that is present and not null.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    /// Sets a field.
    pub fn set(&mut self, field: &str, value: Value) {
        self.0.insert(field.to_owned(), value);
    }

    /// Removes a field.
    pub fn remove(&mut self, field: &str) {
        self.0.remove(field);
    }

    fn required<T>(&self, field: &str, what: &str, read: impl Fn(&Value) -> Option<T>) -> Result<T, ModelError> {
        let value = self
            .get(field)
            .ok_or_else(|| ModelError::Config { field: field.to_owned(), problem: "is missing".to_owned() })?;
        read(value)
            .ok_or_else(|| ModelError::Config { field: field.to_owned(), problem: format!("is {value}, not {what}") })
    }

    /// A positive size.
    pub fn size(&self, field: &str) -> Result<i64, ModelError> {
        self.required(field, "a positive whole number", |v| v.as_i64().filter(|n| *n > 0 && *n < 1 << 31))
    }

    /// A positive size, or what Hugging Face assumes when the field is absent.
    pub fn size_or(&self, field: &str, default: i64) -> Result<i64, ModelError> {
        if self.get(field).is_some() { self.size(field) } else { Ok(default) }
    }

    /// Several positive sizes.
    pub fn sizes(&self, field: &str) -> Result<Vec<i64>, ModelError> {
        let size = |v: &Value| v.as_i64().filter(|n| *n > 0 && *n < 1 << 31);
        self.required(field, "a list of positive whole numbers", |v| {
            v.as_array().filter(|list| !list.is_empty())?.iter().map(size).collect()
        })
    }

    /// Height and width: one number for both, or a pair.
    pub fn height_and_width(&self, field: &str) -> Result<(i64, i64), ModelError> {
        if self.get(field).is_some_and(Value::is_array) {
            let sizes = self.sizes(field)?;
            let [height, width] = sizes[..] else {
                let problem = format!("is {sizes:?}, not a pair of height and width");
                return Err(ModelError::Config { field: field.to_owned(), problem });
            };
            return Ok((height, width));
        }
        self.size(field).map(|side| (side, side))
    }

    /// True or false, or what Hugging Face assumes when the field is absent.
    pub fn flag_or(&self, field: &str, default: bool) -> Result<bool, ModelError> {
        if self.get(field).is_none() {
            return Ok(default);
        }
        self.required(field, "true or false", Value::as_bool)
    }

    /// A number.
    pub fn number(&self, field: &str) -> Result<f64, ModelError> {
        self.required(field, "a number", Value::as_f64)
    }

    /// A number, or what Hugging Face assumes when the field is absent.
    pub fn number_or(&self, field: &str, default: f64) -> Result<f64, ModelError> {
        if self.get(field).is_some() { self.number(field) } else { Ok(default) }
    }

    /// A probability in [0, 1), absent means 0.
    pub fn probability(&self, field: &str) -> Result<f64, ModelError> {
        let p = self.number_or(field, 0.0)?;
        if (0.0..1.0).contains(&p) {
            return Ok(p);
        }
        Err(ModelError::Config { field: field.to_owned(), problem: format!("is {p}, not a probability below 1") })
    }

    /// Text.
    pub fn text(&self, field: &str) -> Result<String, ModelError> {
        self.required(field, "text", |v| v.as_str().map(str::to_owned))
    }

    /// `model_type`.
    pub fn model_type(&self) -> Result<String, ModelError> {
        self.text("model_type")
    }

    /// `architectures[0]`: Hugging Face's class of the checkpoint.
    pub fn architecture(&self) -> Option<&str> {
        self.get("architectures")?.get(0)?.as_str()
    }

    /// Class names by index, from `id2label`.
    pub fn labels(&self) -> Option<Vec<String>> {
        let map = self.get("id2label")?.as_object()?;
        (0..map.len()).map(|i| map.get(&i.to_string())?.as_str().map(str::to_owned)).collect()
    }

    /// Writes `id2label`, `label2id` and `problem_type`, if it has one; `num_labels` follows from them, as in Hugging Face.
    pub fn set_labels(&mut self, names: &[String], problem: impl Into<Option<ProblemType>>) {
        let by_id: Map<String, Value> = names.iter().enumerate().map(|(i, n)| (i.to_string(), json!(n))).collect();
        let by_name: Map<String, Value> = names.iter().enumerate().map(|(i, n)| (n.clone(), json!(i))).collect();
        self.set("id2label", Value::Object(by_id));
        self.set("label2id", Value::Object(by_name));
        match problem.into() {
            Some(problem) => self.set("problem_type", json!(problem)),
            None => self.remove("problem_type"),
        }
        self.0.remove("num_labels");
    }

    /// Size of the classification head: `id2label`, `num_labels`, or Hugging Face's default of 2.
    pub fn label_count(&self) -> i64 {
        let named = self.get("id2label").and_then(Value::as_object).map(|map| map.len() as i64);
        named.or_else(|| self.get("num_labels")?.as_i64()).unwrap_or(2)
    }

    /// `problem_type`, or what Hugging Face infers from the number of labels.
    pub fn problem_type(&self) -> ProblemType {
        let stated = self.get("problem_type").and_then(|v| serde_json::from_value(v.clone()).ok());
        stated.unwrap_or(if self.label_count() == 1 {
            ProblemType::Regression
        } else {
            ProblemType::SingleLabelClassification
        })
    }

    /// Overrides every dropout probability that the configuration has (classifier dropout included).
    ///
    /// # Errors
    /// It has none.
    pub fn set_dropout(&mut self, p: f64) -> Result<(), ModelError> {
        let names: Vec<String> = self.0.keys().filter(|k| k.contains("dropout")).cloned().collect();
        if names.is_empty() {
            let instead = match self.get("drop_path_rate") {
                Some(rate) => format!("; this model has stochastic depth instead: its `drop_path_rate` is {rate}"),
                None => String::new(),
            };
            return Err(ModelError::NoDropout { instead });
        }
        for name in names {
            self.set(&name, json!(p));
        }
        Ok(())
    }
}
