//! LoRA adapters (Hu et al. 2021) as PEFT's `LoraConfig` has them.

use super::targets::{Targets, ending};
use super::{BaseModel, DenseLayer, PREFIX, fields, saved_modules};
use crate::ModelError;
use crate::checkpoint::{Buffers, TensorNames, read_json, read_tensors, write_json, write_tensors};
use regex::Regex;
use retune_kernels::Params;
use retune_kernels::tch::Tensor;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const A: &str = ".lora_A.weight";

/// Which dense layers get a low-rank update, and how large.
#[derive(Debug)]
pub struct LoraPlan {
    /// Rank of the update.
    pub rank: i64,
    /// Numerator of the scale.
    pub alpha: f64,
    /// Dropout on the adapter's input.
    pub dropout: f64,
    /// Scale by 1/√rank instead of 1/rank (rsLoRA).
    pub rank_stabilized: bool,
    targets: Targets,
    /// Ranks and numerators of layers whose paths end so, in the order of the file.
    ranks: Vec<(Regex, f64)>,
    alphas: Vec<(Regex, f64)>,
    /// Values read from an adapter folder, by full parameter name.
    tensors: Option<BTreeMap<String, Tensor>>,
    /// The file's own configuration, which is written again.
    config: Map<String, Value>,
}

/// The update of one layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LoraLayer {
    pub(crate) rank: i64,
    pub(crate) scale: f64,
}

impl Clone for LoraPlan {
    fn clone(&self) -> Self {
        let tensors = self.tensors.as_ref();
        Self {
            targets: self.targets.clone(),
            ranks: self.ranks.clone(),
            alphas: self.alphas.clone(),
            tensors: tensors.map(|t| t.iter().map(|(n, t)| (n.clone(), t.shallow_clone())).collect()),
            config: self.config.clone(),
            ..*self
        }
    }
}

impl LoraPlan {
    /// A new adapter. Targets are last parts of layers' paths, `all-linear`, or one regular expression for whole paths.
    ///
    /// # Errors
    /// Numbers out of range, targets that say nothing.
    pub fn new(rank: i64, alpha: f64, dropout: f64, targets: Vec<String>) -> Result<Self, ModelError> {
        Self::with_targets(rank, alpha, dropout, Targets::new(targets).map_err(ModelError::Adapter)?)
    }

    fn with_targets(rank: i64, alpha: f64, dropout: f64, targets: Targets) -> Result<Self, ModelError> {
        if !(1..=4096).contains(&rank) {
            return Err(ModelError::Adapter(format!("rank {rank} is outside 1..=4096")));
        }
        if !(0.0..1.0).contains(&dropout) {
            return Err(ModelError::Adapter(format!("dropout {dropout} is outside [0, 1)")));
        }
        if !alpha.is_finite() || alpha <= 0.0 {
            return Err(ModelError::Adapter(format!("alpha {alpha} must be above 0")));
        }
        let (ranks, alphas) = (Vec::new(), Vec::new());
        Ok(Self {
            rank,
            alpha,
            dropout,
            rank_stabilized: false,
            targets,
            ranks,
            alphas,
            tensors: None,
            config: Map::new(),
        })
    }

    /// With modules that learn as a whole beside it and are saved with it, as PEFT's `modules_to_save`.
    #[must_use]
    pub fn with_whole_modules(self, modules: Vec<String>) -> Self {
        Self { targets: self.targets.beside_whole(modules), ..self }
    }

    /// Whether a parameter learns and is saved as a whole.
    pub(crate) fn saves_whole(&self, parameter: &str) -> bool {
        !parameter.contains(".lora_") && self.targets.saves_whole(parameter)
    }

    /// Reads an adapter folder written by PEFT or by [`Self::save`].
    ///
    /// # Errors
    /// A configuration that says something this program does not understand, damaged files.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("adapter_config.json");
        let refuse = |problem: String| ModelError::file(&path, problem);
        let Value::Object(config) = read_json(&path)? else { return Err(refuse("is not a JSON object".to_owned())) };
        fields::check(&config).map_err(refuse)?;
        let number = |field: &str, default: f64| fields::number(&config, field, default).map_err(refuse);
        let rank = whole("r", number("r", 8.0)?).map_err(refuse)?;
        let targets = Targets::read(&config).map_err(refuse)?;
        let mut plan = Self::with_targets(rank, number("lora_alpha", 8.0)?, number("lora_dropout", 0.0)?, targets)?;
        plan.rank_stabilized = match config.get("use_rslora") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(stabilized)) => *stabilized,
            Some(other) => return Err(refuse(format!("`use_rslora` is {other}, not true or false"))),
        };
        plan.ranks = pattern(&config, "rank_pattern").map_err(refuse)?;
        plan.alphas = pattern(&config, "alpha_pattern").map_err(refuse)?;
        for (_, rank) in &plan.ranks {
            whole("rank_pattern", *rank).map_err(refuse)?;
        }
        let tensors = read_tensors(&weights_file(folder)?)?;
        let strip = |name: String| name.strip_prefix(PREFIX).map(str::to_owned).unwrap_or(name);
        plan.tensors = Some(tensors.into_iter().map(|(n, t)| (strip(n), t)).collect());
        if let Some((name, tensor)) = plan
            .tensors
            .iter()
            .flatten()
            .find(|(name, tensor)| !tensor.is_floating_point() && !name.ends_with("num_batches_tracked"))
        {
            let problem = format!("`{name}` holds {:?}, not floating-point numbers", tensor.kind());
            return Err(ModelError::file(folder.join("adapter_model.safetensors"), problem));
        }
        plan.config = config;
        Ok(plan)
    }

    /// `alpha / rank`, or `alpha / √rank`, where no layer has its own.
    pub fn scale(&self) -> f64 {
        self.scale_of(self.alpha, self.rank)
    }

    fn scale_of(&self, alpha: f64, rank: i64) -> f64 {
        alpha / if self.rank_stabilized { (rank as f64).sqrt() } else { rank as f64 }
    }

    /// Which layers it is for, in words.
    pub fn targets(&self) -> String {
        self.targets.shown()
    }

    /// Whether it was read from a folder, with its values.
    pub fn is_saved(&self) -> bool {
        self.tensors.is_some()
    }

    /// Number of labels in the saved head, where there is one.
    pub fn head_rows(&self) -> Option<i64> {
        let tensors = self.tensors.as_ref()?;
        let weight = [
            "classifier.weight",
            "classifier.out_proj.weight",
            "score.weight",
            "cls_classifier.weight",
            "decode_head.classifier.weight",
        ]
        .iter()
        .find_map(|n| tensors.get(*n));
        weight.map(|w| w.size()[0])
    }

    /// The update of a dense layer, if it gets one.
    pub(crate) fn layer(&self, layer: &DenseLayer) -> Option<LoraLayer> {
        if !self.is_saved() && layer.obstacle().is_some() {
            return None;
        }
        if layer.scores.is_some() && self.targets.are_all() {
            return None;
        }
        let path = layer.paths().find(|path| self.targets.matches(path))?;
        let own =
            |patterns: &[(Regex, f64)]| patterns.iter().find(|(p, _)| p.is_match(path)).map(|(_, number)| *number);
        let rank = own(&self.ranks).map_or(self.rank, |rank| rank as i64);
        Some(LoraLayer { rank, scale: self.scale_of(own(&self.alphas).unwrap_or(self.alpha), rank) })
    }

    /// The value of `part` of a layer's update, where it was read from a folder.
    pub(crate) fn saved(&self, layer: &DenseLayer, part: &str, shape: &[i64]) -> Result<Option<Tensor>, ModelError> {
        let Some(tensors) = &self.tensors else { return Ok(None) };
        let found = layer.paths().find_map(|path| tensors.get(&format!("{path}.{part}")));
        let name = format!("{}.{part}", layer.path);
        let tensor =
            found.ok_or_else(|| ModelError::Adapter(format!("adapter_model.safetensors lacks `{PREFIX}{name}`")))?;
        if tensor.size() != shape {
            return Err(ModelError::Shape { name, found: tensor.size(), expected: shape.to_vec() });
        }
        Ok(Some(tensor.shallow_clone()))
    }

    /// Checks the plan against all dense layers of a model, once they are made. Returns what to tell.
    pub(crate) fn check_used(&self, params: &Params, layers: &[DenseLayer]) -> Result<Vec<String>, ModelError> {
        let Some(tensors) = &self.tensors else {
            let modules = modules(params, |path| path.to_owned());
            let names: Vec<&str> = params.iter().map(|param| param.name.as_str()).collect();
            self.targets.check_whole(layers, &names).map_err(ModelError::Adapter)?;
            let mut notes = self.targets.check(layers, &modules).map_err(ModelError::Adapter)?;
            let tied = |layer: &&DenseLayer| layer.scores.as_ref().is_some_and(|scores| scores.tied.is_some());
            for layer in layers.iter().filter(tied).filter(|layer| self.layer(layer).is_some()) {
                notes.push(format!(
                    "the adapter beside `{}` changes scores alone, not the token table that they are tied to; it cannot be merged",
                    layer.path
                ));
            }
            return Ok(notes);
        };
        self.targets.check_saved(layers).map_err(ModelError::Adapter)?;
        // Whatever lies in the file is used, or the adapter is not the one that was trained.
        let adapted = layers.iter().filter(|layer| self.layer(layer).is_some());
        let here: BTreeSet<&str> = adapted.flat_map(DenseLayer::paths).collect();
        let is_here = |name: &str| name.split_once(".lora_").is_none_or(|(path, _)| here.contains(path));
        let unused = tensors.keys().find(|name| !is_here(name));
        unused.map_or(Ok(Vec::new()), |name| {
            Err(ModelError::Adapter(format!(
                "adapter_model.safetensors holds `{PREFIX}{name}`, a layer that `target_modules` of adapter_config.json or this \
                 model does not have"
            )))
        })
    }

    /// Puts the head (and anything else beside the low-rank pairs) of a loaded adapter into the model.
    ///
    /// # Errors
    /// Tensors that the model does not have, or has in another shape.
    pub fn apply_saved_modules(
        &self,
        params: &mut Params,
        buffers: &Buffers,
        names: &TensorNames,
    ) -> Result<Vec<String>, ModelError> {
        let mut applied = Vec::new();
        for (name, tensor) in self.tensors.iter().flatten().filter(|(name, _)| !name.contains(".lora_")) {
            let plain = name.replace(".modules_to_save.default.", ".").replace(".base_layer.", ".");
            if let Some(buffer) = buffers.restore(names, &plain, tensor)? {
                applied.push(buffer.to_owned());
                continue;
            }
            // PEFT stores the base's own weight beside an adapter of scores, also where that is the token table.
            let is_base = name.contains(".base_layer.");
            if is_base && names.find(params, &plain).is_none() && params.iter().any(|param| equals(param, tensor)) {
                continue;
            }
            let param = names
                .find(params, &plain)
                .ok_or_else(|| ModelError::Adapter(format!("holds `{name}`, which this model does not have")))?;
            if param.size() != tensor.size() {
                return Err(ModelError::Shape { name: plain, found: tensor.size(), expected: param.size() });
            }
            param.set(&tensor.to_device(param.leaf().device()))?;
            applied.push(param.name.clone());
        }
        Ok(applied)
    }

    /// Writes `adapter_config.json` and `adapter_model.safetensors` as PEFT does, with the names of transformers 5 for modules;
    /// there is a `task_type` for texts only.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn save(
        &self,
        folder: &Path,
        (params, buffers): (&Params, &Buffers),
        base_model: &BaseModel,
        task_type: Option<&str>,
        names: &TensorNames,
    ) -> Result<(), ModelError> {
        let module = |path: &str| names.module(path).unwrap_or_else(|| path.to_owned());
        let saved = params.iter().filter(|p| p.name.contains(".lora_") || p.head);
        let named = |name: &str| format!("{PREFIX}{}", module(name));
        let mut tensors: Vec<(String, Tensor)> =
            saved.map(|p| Ok((named(&p.name), p.value()?))).collect::<Result<_, ModelError>>()?;
        tensors.extend(buffers.of_adapter().map(|buffer| (named(&buffer.name), buffer.tensor.shallow_clone())));
        write_tensors(&folder.join("adapter_model.safetensors"), &tensors)?;
        let adapted: BTreeSet<String> =
            params.iter().filter_map(|param| param.name.strip_suffix(A)).map(module).collect();
        // transformers' `Conv1D`, which PEFT has to be told of.
        let fan_in_fan_out = params
            .iter()
            .filter(|param| param.transposed)
            .any(|param| param.name.strip_suffix(".weight").is_some_and(|path| adapted.contains(&module(path))));
        let mut config = json!({
            "alpha_pattern": {}, "auto_mapping": null, "bias": "none", "corda_config": null, "eva_config": null,
            "exclude_modules": null, "fan_in_fan_out": fan_in_fan_out, "inference_mode": true, "init_lora_weights": true,
            "layer_replication": null, "layers_pattern": null, "layers_to_transform": null, "loftq_config": {},
            "lora_alpha": self.alpha, "lora_bias": false, "lora_dropout": self.dropout, "megatron_config": null,
            "megatron_core": "megatron.core", "modules_to_save": saved_modules::modules_to_save(params, task_type),
            "peft_type": "LORA", "r": self.rank, "rank_pattern": {},
            "target_modules": self.targets.written(&adapted, &modules(params, module)), "task_type": task_type,
            "use_dora": false, "use_rslora": self.rank_stabilized,
        });
        if self.alpha.fract() == 0.0 {
            config["lora_alpha"] = json!(self.alpha as i64);
        }
        // What was read is what it is, patterns and fields of other versions included.
        for (field, value) in &self.config {
            config[field] = value.clone();
        }
        config["base_model_name_or_path"] = json!(base_model.name);
        config["revision"] = json!(base_model.revision);
        write_json(&folder.join("adapter_config.json"), &config)
    }
}

/// Whether a parameter has these values.
fn equals(param: &retune_kernels::Param, tensor: &Tensor) -> bool {
    let same = |value: Tensor| value.to_device(tensor.device()).to_kind(tensor.kind()).equal(tensor);
    param.size() == tensor.size() && param.value().is_ok_and(same)
}

/// Paths of all modules with a weight, each under the name that `named` gives it.
fn modules(params: &Params, named: impl Fn(&str) -> String) -> BTreeSet<String> {
    let weights = params.iter().filter_map(|param| param.name.strip_suffix(".weight"));
    weights.filter(|path| !path.contains(".lora_")).map(named).collect()
}

fn weights_file(folder: &Path) -> Result<std::path::PathBuf, ModelError> {
    let (file, pickle) = (folder.join("adapter_model.safetensors"), folder.join("adapter_model.bin"));
    if !file.is_file() && pickle.is_file() {
        return Err(ModelError::file(
            pickle,
            "pickle weights can run any code when they are opened, so they are refused; convert them once with PEFT: \
             PeftModel.from_pretrained(BASE, DIR).save_pretrained(DIR, safe_serialization=True)",
        ));
    }
    if !file.is_file() {
        return Err(ModelError::file(folder, "no adapter_model.safetensors here"));
    }
    Ok(file)
}

/// A rank.
fn whole(field: &str, number: f64) -> Result<i64, String> {
    let fits = number.fract() == 0.0 && (1.0..=4096.0).contains(&number);
    if fits { Ok(number as i64) } else { Err(format!("`{field}`: rank {number} is no whole number in 1..=4096")) }
}

/// A number for each layer whose path ends as a pattern says.
fn pattern(config: &Map<String, Value>, field: &str) -> Result<Vec<(Regex, f64)>, String> {
    let map = match config.get(field) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(map)) => map,
        Some(other) => return Err(format!("`{field}` is {other}, not an object of numbers")),
    };
    let entry = |(name, value): (&String, &Value)| {
        let number = value.as_f64().filter(|number| number.is_finite() && *number > 0.0);
        Ok((ending(name)?, number.ok_or_else(|| format!("`{field}`: `{name}` is {value}, not a number above 0"))?))
    };
    map.iter().map(entry).collect()
}
