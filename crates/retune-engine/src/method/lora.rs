//! LoRA: low-rank adapters and the head (Hu et al. 2021), as PEFT saves them.

use super::{Entry, Method};
use crate::Recipe;
use crate::recipe::Settings;
use crate::recipe::settings::{ABOVE_ZERO, AT_LEAST_ONE, METHOD, SHARE, settings};
use anyhow::Result;
use retune_kernels::Param;
use retune_models::{LoraPlan, ModelConfig, registry};

pub(super) static ENTRY: Entry = Entry {
    written: "lora",
    parse: |flag| (flag == "lora").then(|| Box::new(Lora) as Box<dyn Method>),
    settings: &[LoraSettings::SECTION],
};

settings! {
    /// The low-rank adapters of LoRA.
    pub struct LoraSettings, under METHOD, else "only --method lora has adapters, not `{method}`" {
        /// Rank of LoRA matrices
        lora_rank: i64 = 8, value("N"), range(AT_LEAST_ONE);
        /// Numerator of LoRA's scale
        lora_alpha: f64 = 16.0, value("X"), range(ABOVE_ZERO);
        /// Dropout before LoRA matrices
        lora_dropout: f64 = 0.0, value("P"), range(SHARE);
        /// Dense layers to adapt, such as query,value
        lora_targets: Vec<String>, value("NAMES");
        /// Modules that learn as a whole beside them and are saved with them, such as lm_head
        modules_to_save: Vec<String>, value("NAMES");
    }
}

#[derive(Debug)]
struct Lora;

impl Method for Lora {
    fn learning_rate(&self) -> f64 {
        2e-3
    }

    fn learns(&self, param: &Param, _blocks: usize) -> bool {
        param.head || param.name.contains(".lora_")
    }

    fn backward(&self) -> f64 {
        1.0
    }

    fn adapter(&self, recipe: &Recipe, config: &ModelConfig) -> Result<Option<LoraPlan>> {
        let LoraSettings { lora_rank, lora_alpha, lora_dropout, lora_targets, modules_to_save } = recipe.read()?;
        let targets = if lora_targets.is_empty() { registry::default_lora_targets(config)? } else { lora_targets };
        let plan = LoraPlan::new(lora_rank, lora_alpha, lora_dropout, targets)?;
        Ok(Some(plan.with_whole_modules(modules_to_save)))
    }
}
