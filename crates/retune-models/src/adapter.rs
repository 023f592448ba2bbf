//! LoRA adapters in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`, head included.

use crate::ModelError;
use crate::checkpoint::{read_json, read_tensors, write_json, write_tensors};
use retune_kernels::Params;
use retune_kernels::tch::Tensor;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

/// What PEFT puts in front of the names of a model's tensors.
pub(crate) const PREFIX: &str = "base_model.model.";

/// The model that an adapter is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaseModel {
    /// A folder or a hub id.
    pub name: String,
    /// Commit, branch or tag of a hub id.
    pub revision: Option<String>,
}

impl From<&str> for BaseModel {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), revision: None }
    }
}

impl From<&BaseModel> for BaseModel {
    fn from(it: &BaseModel) -> Self {
        it.clone()
    }
}

impl fmt::Display for BaseModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        self.revision.iter().try_for_each(|revision| write!(formatter, "@{revision}"))
    }
}

/// Which dense layers get a low-rank update, and how large.
#[derive(Debug)]
pub struct AdapterPlan {
    /// Rank of the update.
    pub rank: i64,
    /// Numerator of the scale.
    pub alpha: f64,
    /// Dropout on the adapter's input.
    pub dropout: f64,
    /// Scale by 1/√rank instead of 1/rank (rsLoRA).
    pub rank_stabilized: bool,
    /// Last parts of the paths to adapt, or `all-linear`.
    pub targets: Vec<String>,
    /// Values read from an adapter folder, by full parameter name.
    tensors: Option<BTreeMap<String, Tensor>>,
    /// The file's own configuration, so that unknown fields survive.
    config: Map<String, Value>,
}

impl Clone for AdapterPlan {
    fn clone(&self) -> Self {
        let tensors = self.tensors.as_ref();
        Self {
            rank: self.rank,
            alpha: self.alpha,
            dropout: self.dropout,
            rank_stabilized: self.rank_stabilized,
            targets: self.targets.clone(),
            tensors: tensors.map(|t| t.iter().map(|(n, t)| (n.clone(), t.shallow_clone())).collect()),
            config: self.config.clone(),
        }
    }
}

impl AdapterPlan {
    /// A new adapter.
    pub fn new(rank: i64, alpha: f64, dropout: f64, targets: Vec<String>) -> Result<Self, ModelError> {
        if !(1..=4096).contains(&rank) {
            return Err(ModelError::Adapter(format!("rank {rank} is outside 1..=4096")));
        }
        if !(0.0..1.0).contains(&dropout) {
            return Err(ModelError::Adapter(format!("dropout {dropout} is outside [0, 1)")));
        }
        if !alpha.is_finite() || alpha <= 0.0 {
            return Err(ModelError::Adapter(format!("alpha {alpha} must be above 0")));
        }
        if targets.is_empty() {
            return Err(ModelError::Adapter("no target layers given".to_owned()));
        }
        Ok(Self { rank, alpha, dropout, rank_stabilized: false, targets, tensors: None, config: Map::new() })
    }

    /// Reads an adapter folder written by PEFT or by [`Self::save`].
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("adapter_config.json");
        let Value::Object(config) = read_json(&path)? else {
            return Err(ModelError::file(&path, "is not a JSON object"));
        };
        let refuse = |problem: String| Err(ModelError::file(&path, problem));
        if config.get("peft_type").and_then(Value::as_str) != Some("LORA") {
            return refuse(format!("peft_type {} is not supported, only LORA is", config["peft_type"]));
        }
        let set = |field: &str| match config.get(field) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(Value::Object(map)) => !map.is_empty(),
            Some(Value::Array(list)) => !list.is_empty(),
            Some(_) => true,
        };
        for field in [
            "use_dora",
            "rank_pattern",
            "alpha_pattern",
            "layers_to_transform",
            "layer_replication",
            "lora_bias",
            "use_qalora",
            "trainable_token_indices",
            "target_parameters",
            "exclude_modules",
        ] {
            if set(field) {
                return refuse(format!("`{field}` is set, which this version cannot honour"));
            }
        }
        if config.get("bias").and_then(Value::as_str).is_some_and(|bias| bias != "none") {
            return refuse("`bias` other than \"none\" is not supported".to_owned());
        }
        let targets = match config.get("target_modules") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(many)) => many.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect(),
            _ => return refuse("has no `target_modules`".to_owned()),
        };
        let number = |field: &str, default: f64| config.get(field).and_then(Value::as_f64).unwrap_or(default);
        let mut plan =
            Self::new(number("r", 8.0) as i64, number("lora_alpha", 8.0), number("lora_dropout", 0.0), targets)?;
        plan.rank_stabilized = set("use_rslora");
        let file = folder.join("adapter_model.safetensors");
        let strip = |name: String| name.strip_prefix(PREFIX).map(str::to_owned).unwrap_or(name);
        plan.tensors = Some(read_tensors(&file)?.into_iter().map(|(n, t)| (strip(n), t)).collect());
        plan.config = config;
        Ok(plan)
    }

    /// `alpha / rank`, or `alpha / √rank`.
    pub fn scale(&self) -> f64 {
        self.alpha / if self.rank_stabilized { (self.rank as f64).sqrt() } else { self.rank as f64 }
    }

    /// The base model an adapter folder names.
    pub fn base_model(folder: &Path) -> Option<BaseModel> {
        let config = read_json(&folder.join("adapter_config.json")).ok()?;
        let text = |field: &str| config[field].as_str().map(str::to_owned);
        Some(BaseModel { name: text("base_model_name_or_path")?, revision: text("revision") })
    }

    /// Whether it was read from a folder, with its values.
    pub fn is_saved(&self) -> bool {
        self.tensors.is_some()
    }

    /// Number of labels in the saved head, where there is one.
    pub fn head_rows(&self) -> Option<i64> {
        let tensors = self.tensors.as_ref()?;
        let weight = ["classifier.weight", "classifier.out_proj.weight", "score.weight", "cls_classifier.weight"]
            .iter()
            .find_map(|n| tensors.get(*n));
        weight.map(|w| w.size()[0])
    }

    pub(crate) fn targets(&self, path: &str, in_head: bool) -> bool {
        let matches = |target: &String| {
            (target == "all-linear" && !in_head) || path == target || path.ends_with(&format!(".{target}"))
        };
        self.targets.iter().any(matches)
    }

    pub(crate) fn saved(&self, name: &str, shape: &[i64]) -> Result<Option<Tensor>, ModelError> {
        let Some(tensors) = &self.tensors else { return Ok(None) };
        let tensor = tensors
            .get(name)
            .ok_or_else(|| ModelError::Adapter(format!("adapter_model.safetensors lacks `{PREFIX}{name}`")))?;
        if tensor.size() != shape {
            return Err(ModelError::Shape { name: name.to_owned(), found: tensor.size(), expected: shape.to_vec() });
        }
        Ok(Some(tensor.shallow_clone()))
    }

    pub(crate) fn check_used(&self, params: &Params) -> Result<(), ModelError> {
        for target in self.targets.iter().filter(|t| *t != "all-linear") {
            let suffix = format!("{target}.lora_A.weight");
            if !params.iter().any(|p| p.name.ends_with(&suffix)) {
                let known: BTreeSet<&str> = params
                    .iter()
                    .filter_map(|p| p.name.strip_suffix(".weight")?.rsplit('.').next())
                    .filter(|part| part.parse::<u32>().is_err())
                    .collect();
                let known: Vec<&str> = known.into_iter().collect();
                return Err(ModelError::Adapter(format!(
                    "no dense layer is called `{target}`; this model has: {}",
                    known.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// Puts the head (and anything else beside the low-rank pairs) of a loaded adapter into the model.
    pub fn apply_saved_modules(&self, params: &mut Params) -> Result<Vec<String>, ModelError> {
        let mut applied = Vec::new();
        for (name, tensor) in self.tensors.iter().flatten().filter(|(name, _)| !name.contains(".lora_")) {
            let plain = name.replace(".modules_to_save.default.", ".").replace(".base_layer.", ".");
            let param = params
                .get_mut(&plain)
                .ok_or_else(|| ModelError::Adapter(format!("holds `{name}`, which this model does not have")))?;
            if param.value().size() != tensor.size() {
                return Err(ModelError::Shape { name: plain, found: tensor.size(), expected: param.value().size() });
            }
            param.set(&tensor.to_device(param.value().device()))?;
            applied.push(plain);
        }
        Ok(applied)
    }

    /// Writes `adapter_config.json` and `adapter_model.safetensors` as PEFT does; it has a `task_type` for texts only.
    pub fn save(
        &self,
        folder: &Path,
        params: &Params,
        base_model: &BaseModel,
        task_type: Option<&str>,
    ) -> Result<(), ModelError> {
        let saved: Vec<_> = params.iter().filter(|p| p.name.contains(".lora_") || p.head).collect();
        let tensors: Vec<(String, Tensor)> = saved.iter().map(|p| (format!("{PREFIX}{}", p.name), p.value())).collect();
        write_tensors(&folder.join("adapter_model.safetensors"), &tensors)?;
        // PEFT adds these two itself for its task types.
        let mut modules: Vec<String> =
            if task_type.is_some() { vec!["classifier".into(), "score".into()] } else { Vec::new() };
        for param in saved.iter().filter(|p| p.head && !p.name.contains(".lora_")) {
            // The module directly below the base model, or the top one: `bert.pooler.dense.weight` → `pooler`.
            let parts: Vec<&str> = param.name.split('.').collect();
            let known = parts.iter().any(|part| modules.iter().any(|m| m == part));
            if !known {
                modules.push(parts[usize::from(parts.len() > 3)].to_owned());
            }
        }
        let mut config = json!({
            "alpha_pattern": {}, "auto_mapping": null, "base_model_name_or_path": base_model.name, "bias": "none",
            "corda_config": null, "eva_config": null, "exclude_modules": null, "fan_in_fan_out": false,
            "inference_mode": true, "init_lora_weights": true, "layer_replication": null, "layers_pattern": null,
            "layers_to_transform": null, "loftq_config": {}, "lora_alpha": self.alpha, "lora_bias": false,
            "lora_dropout": self.dropout, "megatron_config": null, "megatron_core": "megatron.core",
            "modules_to_save": modules, "peft_type": "LORA", "r": self.rank, "rank_pattern": {},
            "revision": base_model.revision,
            "target_modules": if self.targets == ["all-linear"] { adapted(params) } else { self.targets.clone() },
            "task_type": task_type, "use_dora": false, "use_rslora": self.rank_stabilized,
        });
        for (field, value) in &self.config {
            if config.get(field).is_none() {
                config[field] = value.clone();
            }
        }
        if self.alpha.fract() == 0.0 {
            config["lora_alpha"] = json!(self.alpha as i64);
        }
        write_json(&folder.join("adapter_config.json"), &config)
    }
}

fn adapted(params: &Params) -> Vec<String> {
    let last = |name: &str| name.strip_suffix(".lora_A.weight")?.rsplit('.').next().map(str::to_owned);
    params.iter().filter_map(|p| last(&p.name)).collect::<BTreeSet<_>>().into_iter().collect()
}
