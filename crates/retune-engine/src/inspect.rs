//! What is in a model or a run.

use crate::error::{EngineError, InputContext};
use crate::hardware::Hardware;
use crate::number::count;
use crate::open::SavedModel;
use crate::task;
use anyhow::Result;
use retune_data::hub::Silent;
use retune_kernels::precision::Ceilings;
use retune_kernels::tch::Device;
use retune_kernels::{Lanes, Precision};
use retune_models::{LoadOptions, LoadedModel, NewHead};
use std::fmt::Write;
use std::path::Path;

/// Family, sizes, task, labels, adapter, parameters and the report of a load, as text. `task` is what to see in a
/// model that does not say what it does.
pub fn inspect(path: &Path, task: Option<&str>) -> Result<String, EngineError> {
    let saved = SavedModel::find(path, &Silent).input()?;
    describe(path, &saved, task).input()
}

fn describe(path: &Path, saved: &SavedModel, named: Option<&str>) -> Result<String> {
    let mut text = String::new();
    let config = &saved.config;
    writeln!(text, "folder       {}", saved.folder.display())?;
    writeln!(text, "family       {}", config.model_type()?)?;
    if let Some(architectures) = config.get("architectures") {
        writeln!(text, "class        {}", architectures.to_string().trim_matches(['[', ']', '"']))?;
    }
    for (title, fields) in [
        ("hidden size", &["hidden_size", "dim"][..]),
        ("layers", &["num_hidden_layers", "n_layers"]),
        ("heads", &["num_attention_heads", "n_heads"]),
        ("vocabulary", &["vocab_size"]),
        ("positions", &["max_position_embeddings"]),
    ] {
        if let Some(value) = fields.iter().find_map(|field| config.get(field)) {
            writeln!(text, "{title:<12} {value}")?;
        }
    }
    let hardware = Hardware {
        device: Device::Cpu,
        precision: Precision::Fp32,
        ceilings: Ceilings { fp32: 0.0, bf16: 0.0, onednn_fp32: false },
        threads: 0,
        lanes: Lanes::none(),
    };
    let task = match saved.task_of_use(named) {
        Ok(task) => task,
        Err(error) if named.is_some() => return Err(error),
        Err(_) => task::possible(config)?,
    };
    let loaded = match saved.load(task, &hardware) {
        Ok(loaded) => loaded,
        // A base checkpoint has no head yet: show what fine-tuning would add.
        Err(_) if !saved.is_adapter() => {
            let options = LoadOptions { new_head: true, ..LoadOptions::new(NewHead::of(task.purpose)) };
            LoadedModel::load(&saved.folder, &options)?
        }
        Err(error) => return Err(error),
    };
    writeln!(text, "task         {}", task.name)?;
    if let Some(adapter) = &loaded.adapter {
        writeln!(text, "adapter      LoRA rank {}, alpha {}, on {}", adapter.rank, adapter.alpha, adapter.targets())?;
        writeln!(text, "base model   {}", saved.base.display())?;
    }
    if loaded.purpose.is_some_and(|purpose| purpose.labels) {
        let labels = loaded.labels();
        let shown = if labels.len() > 12 { format!("{}, …", labels[..12].join(", ")) } else { labels.join(", ") };
        writeln!(text, "labels       {} ({shown})", labels.len())?;
    }
    writeln!(text, "parameters   {}", count(loaded.params.counts().0 as u64))?;
    for (i, line) in loaded.report.summary().lines().enumerate() {
        writeln!(text, "{:<12} {line}", if i == 0 { "load" } else { "" })?;
    }
    if let Ok(metrics) = std::fs::read_to_string(path.join("metrics.json")) {
        let value: serde_json::Value = serde_json::from_str(&metrics)?;
        if let Some(best) = value.get("best").filter(|best| !best.is_null()) {
            writeln!(text, "best         step {}, {} {}", best["step"], best["metric"], best["value"])?;
        }
    }
    Ok(text)
}
