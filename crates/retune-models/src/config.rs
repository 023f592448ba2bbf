//! `config.json` with typed access; fields that this program does not know survive a save.

use crate::{ModelError, label_names};
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
pub struct ModelConfig {
    map: Map<String, Value>,
    /// Worth telling about its labels.
    label_notes: Vec<String>,
    /// Why it cannot be said what its labels are.
    label_problem: Option<String>,
}

impl ModelConfig {
    /// Wraps a parsed `config.json` as it is.
    pub(crate) fn as_written(value: Value) -> Result<Self, ModelError> {
        let Value::Object(map) = value else {
            return Err(ModelError::Config { field: "{}".into(), problem: "is not a JSON object".into() });
        };
        let mut config = Self { map, label_notes: Vec::new(), label_problem: None };
        match label_names::read(&config.map) {
            Ok(None) => (),
            Ok(Some(labels)) => {
                if !labels.usual {
                    config.write_labels(&labels.names);
                }
                config.label_notes = labels.notes;
            }
            Err(problem) => config.label_problem = Some(problem),
        }
        Ok(config)
    }

    /// A configuration that stands inside another one.
    pub(crate) fn part(value: Value) -> Result<Self, ModelError> {
        match value {
            Value::Object(map) => Ok(Self { map, label_notes: Vec::new(), label_problem: None }),
            _ => Err(ModelError::Config { field: "{}".into(), problem: "is not a JSON object".into() }),
        }
    }

    /// The whole object.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.map
    }

    /// The raw value of a field that is present and not null.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    /// Sets a field.
    pub fn set(&mut self, field: &str, value: Value) {
        self.map.insert(field.to_owned(), value);
    }

    /// Removes a field.
    pub fn remove(&mut self, field: &str) {
        self.map.remove(field);
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

    /// Names of the outputs, from `id2label` or `label2id`, each its own: several outputs of one name are told apart by their
    /// numbers. `None` where there are no names, or [`Self::label_problem`] says what is wrong with them.
    pub fn labels(&self) -> Option<Vec<String>> {
        self.stated_labels().map(|names| label_names::told_apart(names).0)
    }

    fn stated_labels(&self) -> Option<Vec<String>> {
        if self.label_problem.is_some() {
            return None;
        }
        label_names::read(&self.map).ok().flatten().map(|labels| labels.names)
    }

    /// Why it cannot be said which name each output has: two fields contradict each other, or ids have gaps.
    pub fn label_problem(&self) -> Option<&str> {
        self.label_problem.as_deref()
    }

    /// What a person should know about how the names of the outputs were understood.
    pub fn label_notes(&self) -> Vec<String> {
        let (_, shared) = label_names::told_apart(self.stated_labels().unwrap_or_default());
        let told = |name: &String| format!("several outputs are called `{name}`; they are told apart by their numbers");
        self.label_notes.iter().cloned().chain(shared.iter().map(told)).collect()
    }

    /// Writes `id2label`, `label2id` and `problem_type`, if it has one; `num_labels` follows from them, as in Hugging Face.
    pub fn set_labels(&mut self, names: &[String], problem: impl Into<Option<ProblemType>>) {
        self.write_labels(names);
        (self.label_notes, self.label_problem) = (Vec::new(), None);
        match problem.into() {
            Some(problem) => self.set("problem_type", json!(problem)),
            None => self.remove("problem_type"),
        }
        self.map.remove("num_labels");
    }

    fn write_labels(&mut self, names: &[String]) {
        let by_id: Map<String, Value> = names.iter().enumerate().map(|(i, n)| (i.to_string(), json!(n))).collect();
        let by_name: Map<String, Value> = names.iter().enumerate().map(|(i, n)| (n.clone(), json!(i))).collect();
        self.set("id2label", Value::Object(by_id));
        self.set("label2id", Value::Object(by_name));
    }

    /// Size of the classification head: its names, `num_labels`, or Hugging Face's default of 2.
    pub fn label_count(&self) -> i64 {
        let named = self.stated_labels().map(|names| names.len());
        let named = named.or_else(|| self.get("id2label")?.as_object().map(Map::len)).map(|count| count as i64);
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

    /// Overrides every dropout probability that the configuration has (classifier dropout included). Where it has none, 0 is what
    /// holds.
    ///
    /// # Errors
    /// It has none, and is to have some.
    pub fn set_dropout(&mut self, p: f64) -> Result<(), ModelError> {
        // GPT-2 and Phi-3 call some of theirs `resid_pdrop` and the like.
        let is_one = |name: &&String| -> bool { name.contains("dropout") || name.ends_with("_pdrop") };
        let names: Vec<String> = self.map.keys().filter(is_one).cloned().collect();
        let mut inside = 0;
        if let Some(Value::Object(part)) = self.map.get_mut("backbone_config") {
            for (_, value) in part.iter_mut().filter(|(name, _)| is_one(name)) {
                (*value, inside) = (json!(p), inside + 1);
            }
        }
        if names.is_empty() && inside == 0 && p > 0.0 {
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
