//! Methods of transfer: which named parameters learn, and the adapter that layers get while they are made.

mod adapters;
mod bitfit;
mod full;
mod head;
mod last;
mod lora;

pub use full::Full;
pub use lora::LoraSettings;

use crate::Recipe;
use crate::recipe::Section;
use anyhow::{Result, bail};
use retune_kernels::{Param, Params};
use retune_models::{LoraPlan, ModelConfig};
use std::fmt::Debug;

/// One way to adapt a pretrained model. It sees nothing but parameters, so it works for every family and every task.
pub trait Method: Debug + Send + Sync {
    /// Usual peak learning rate: fewer and fresher parameters take larger steps.
    fn learning_rate(&self) -> f64;

    /// Whether a parameter learns in a model of so many blocks.
    fn learns(&self, param: &Param, blocks: usize) -> bool;

    /// Work of the backward pass above the lowest trained block, in forward passes: one for the gradients of activations,
    /// one for those of weights.
    fn backward(&self) -> f64;

    /// Whether it can be used on a model of so many blocks.
    fn check(&self, _blocks: usize) -> Result<()> {
        Ok(())
    }

    /// Whether the model has what it is for.
    fn check_params(&self, _params: &Params) -> Result<()> {
        Ok(())
    }

    /// The adapter to build into the model.
    fn adapter(&self, _recipe: &Recipe, _config: &ModelConfig) -> Result<Option<LoraPlan>> {
        Ok(None)
    }
}

/// A method in the list, and how a recipe names it.
#[derive(Debug)]
pub struct Entry {
    /// How it is written, as in `last:K`.
    pub written: &'static str,
    /// Makes it of what a recipe says; nothing where that is another one.
    pub parse: fn(&str) -> Option<Box<dyn Method>>,
    /// Its own settings.
    pub settings: &'static [&'static Section],
}

/// All methods.
pub static METHODS: &[&Entry] =
    &[&full::ENTRY, &head::ENTRY, &last::ENTRY, &bitfit::ENTRY, &lora::ENTRY, &adapters::ENTRY];

/// Usual peak learning rate where no weight is pretrained, whatever the method: there is nothing to be kept, so steps
/// may be an order of magnitude larger than those of fine-tuning.
pub const FROM_SCRATCH_LEARNING_RATE: f64 = 5e-4;

/// The method that a recipe names.
pub fn parse(flag: &str) -> Result<Box<dyn Method>> {
    let Some(method) = METHODS.iter().find_map(|entry| (entry.parse)(flag)) else {
        let known: Vec<&str> = METHODS.iter().map(|entry| entry.written).collect();
        bail!("`{flag}` is not one of {} (K at least 1)", known.join(", "));
    };
    Ok(method)
}

/// The sections of the method that a recipe names; for one that is not known, those of all methods.
pub fn sections(flag: &str) -> Vec<&'static Section> {
    let entry = METHODS.iter().find(|entry| (entry.parse)(flag).is_some());
    entry.map_or_else(all_sections, |entry| entry.settings.to_vec())
}

/// The sections of all methods.
pub(crate) fn all_sections() -> Vec<&'static Section> {
    METHODS.iter().flat_map(|entry| entry.settings).copied().collect()
}

impl dyn Method {
    /// Freezes what does not learn. `blocks` is the number of encoder blocks.
    pub fn apply(&self, params: &mut Params, blocks: usize) -> Result<()> {
        self.check(blocks)?;
        self.check_params(params)?;
        for param in params.iter_mut() {
            let learns = self.learns(param, blocks);
            param.set_trainable(learns);
        }
        Ok(())
    }

    /// Floating-point work of a training step relative to a forward pass, for the model FLOP/s figure. Gradients are
    /// needed only above the lowest trained block; with `features` the blocks below it are not computed at all.
    pub fn training_factor(&self, first_trained_depth: usize, blocks: usize, features: bool) -> f64 {
        let frozen = first_trained_depth.saturating_sub(1).min(blocks) as f64 / blocks.max(1) as f64;
        let forward = if features { 1.0 - frozen } else { 1.0 };
        forward + (1.0 - frozen) * self.backward()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retune_kernels::tch::{Kind, Tensor};

    #[test]
    fn flags() {
        for good in ["full", "head", "last:2", "bitfit", "lora", "adapters"] {
            parse(good).unwrap();
        }
        for bad in ["last:0", "last:", "LoRA", ""] {
            let text = parse(bad).unwrap_err().to_string();
            assert!(text.contains("full, head, last:K, bitfit, lora, adapters"), "{bad}: {text}");
        }
        assert_eq!((sections("full").len(), sections("lora").len()), (0, 1));
    }

    #[test]
    fn training_factors() {
        let factor = |flag: &str, depth, features| parse(flag).unwrap().training_factor(depth, 6, features);
        assert_eq!(factor("full", 0, false), 3.0);
        assert_eq!(factor("head", 7, false), 1.0);
        assert_eq!(factor("last:3", 4, false), 2.0);
        assert_eq!(factor("last:3", 4, true), 1.5);
        assert_eq!(factor("head", 7, true), 0.0);
    }

    #[test]
    fn each_selects_its_parameters() {
        let names =
            ["embeddings.weight", "layer.0.weight", "layer.0.bias", "layer.1.lora_A.weight", "classifier.weight"];
        let param = |place: usize, name: &str| {
            let depth = [0, 1, 1, 2, 3][place];
            Param::new(
                name.to_owned(),
                depth,
                depth == 3,
                Tensor::zeros([1], (Kind::Float, retune_kernels::tch::Device::Cpu)),
                Kind::Float,
            )
        };
        let learning = |flag: &str| {
            let method = parse(flag).unwrap();
            let all = names.iter().enumerate().map(|(place, name)| param(place, name));
            all.map(|param| if method.learns(&param, 2) { '1' } else { '0' }).collect::<String>()
        };
        for (flag, expected) in [
            ("full", "11111"),
            ("head", "00001"),
            ("last:1", "00011"),
            ("bitfit", "00101"),
            ("lora", "00011"),
            ("adapters", "00001"),
        ] {
            assert_eq!(learning(flag), expected, "{flag}");
        }
        assert!(parse("last:3").unwrap().check(2).unwrap_err().to_string().contains("only 2 blocks"));
    }
}
