//! Methods of transfer: filters over named parameters, and the adapter that layers get while they are made.

use crate::Recipe;
use anyhow::{Result, bail};
use retune_kernels::Params;
use retune_models::{LoraPlan, ModelConfig, registry};

/// Which parameters learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// All of them.
    Full,
    /// The head, and whatever has no pretrained value.
    Head,
    /// The head and the last K blocks.
    Last(usize),
    /// Biases and the head (Ben Zaken et al. 2021).
    BitFit,
    /// Low-rank adapters and the head (Hu et al. 2021).
    Lora,
}

impl Method {
    /// From the flag.
    pub fn parse(flag: &str) -> Result<Self> {
        Ok(match flag {
            "full" => Self::Full,
            "head" => Self::Head,
            "bitfit" => Self::BitFit,
            "lora" => Self::Lora,
            other => match other.strip_prefix("last:").map(str::parse) {
                Some(Ok(count)) if count > 0 => Self::Last(count),
                _ => bail!("`{other}` is not one of full, head, last:K (K at least 1), bitfit, lora"),
            },
        })
    }

    /// Usual peak learning rate: fewer and fresher parameters take larger steps.
    pub fn default_learning_rate(self) -> f64 {
        match self {
            Self::Full | Self::Last(_) => 5e-5,
            Self::Lora | Self::BitFit => 2e-3,
            Self::Head => 1e-2,
        }
    }

    /// Usual peak learning rate where no weight is pretrained, whatever the method: there is nothing to be kept, so steps
    /// may be an order of magnitude larger than those of fine-tuning.
    pub const FROM_SCRATCH_LEARNING_RATE: f64 = 5e-4;

    /// The adapter to build into the model.
    pub fn adapter(self, recipe: &Recipe, config: &ModelConfig) -> Result<Option<LoraPlan>> {
        if self != Self::Lora {
            return Ok(None);
        }
        let targets = if recipe.lora_targets.is_empty() {
            registry::default_lora_targets(config)?
        } else {
            recipe.lora_targets.clone()
        };
        Ok(Some(LoraPlan::new(recipe.lora_rank, recipe.lora_alpha, recipe.lora_dropout, targets)?))
    }

    /// Freezes what does not learn. `blocks` is the number of encoder blocks.
    pub fn apply(self, params: &mut Params, blocks: usize) -> Result<()> {
        if let Self::Last(count) = self
            && count > blocks
        {
            bail!("last:{count}: the model has only {blocks} blocks");
        }
        for param in params.iter_mut() {
            let learns = match self {
                Self::Full => true,
                Self::Head => param.head,
                Self::Last(count) => param.head || param.depth > blocks - count,
                Self::BitFit => param.head || param.name.ends_with(".bias"),
                Self::Lora => param.head || param.name.contains(".lora_"),
            };
            param.set_trainable(learns);
        }
        Ok(())
    }

    /// Floating-point work of a training step relative to a forward pass, for the model FLOP/s figure.
    ///
    /// The backward pass costs one forward pass for the gradients of activations and one for those of weights,
    /// both only above the lowest trained block. With `features` the blocks below that one are not computed at all.
    pub fn training_factor(self, first_trained_depth: usize, blocks: usize, features: bool) -> f64 {
        let frozen = first_trained_depth.saturating_sub(1).min(blocks) as f64 / blocks.max(1) as f64;
        let backward = match self {
            Self::Full | Self::Last(_) => 2.0,
            Self::Lora | Self::BitFit => 1.0,
            Self::Head => 0.0,
        };
        let forward = if features { 1.0 - frozen } else { 1.0 };
        forward + (1.0 - frozen) * backward
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags() {
        assert_eq!(Method::parse("last:2").unwrap(), Method::Last(2));
        for bad in ["last:0", "last:", "LoRA", ""] {
            assert!(Method::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn training_factors() {
        assert_eq!(Method::Full.training_factor(0, 6, false), 3.0);
        assert_eq!(Method::Head.training_factor(7, 6, false), 1.0);
        assert_eq!(Method::Last(3).training_factor(4, 6, false), 2.0);
        assert_eq!(Method::Last(3).training_factor(4, 6, true), 1.5);
        assert_eq!(Method::Head.training_factor(7, 6, true), 0.0);
    }
}
